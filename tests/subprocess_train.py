"""`astrosearch train …` in a process of its own, to be killed or given too little of something.

It is forked from a process that has imported everything, which takes ten seconds, once.
"""

import multiprocessing
import os
import resource
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from training.log import Log, LogEntry

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "training.cli",
        "training.lm.finetune",
        "training.contrastive.contrast",
        "training.lm.perplexity",
    ]
)


def event() -> Event:
    """For a run that waits for it."""
    return _SERVER.Event()


def train_apart(
    *arguments: object,
    said: Path,
    file_bytes: int | None = None,
    memory: int | None = None,
    last_step: int | None = None,
    go_on: Event | None = None,
) -> BaseProcess:
    """Start `astrosearch train ARGUMENTS`, on one thread.

    Args:
        said: where its output goes.
        file_bytes: no file may grow beyond them: the system refuses as on a full disk.
        memory: bytes of address space it may take beyond those of its imports.
        last_step: when its log has this step, the run is killed.
        go_on: the run is not killed then, but waits for it.
    """
    texts = [str(one) for one in arguments]
    limits = (file_bytes, memory, last_step, go_on)
    process = _SERVER.Process(target=_train, args=(texts, said, *limits))
    process.start()
    return process


def wait_for_step(log: Log, step: int) -> None:
    """Return as soon as a run's log has the step.

    Raises:
        AssertionError: if that takes more than 300 seconds.
    """
    end = time.monotonic() + 300
    while not any(entry.step >= step for entry in log.entries()):
        assert time.monotonic() < end, f"step {step} did not come in time"
        time.sleep(0.05)


def _train(
    arguments: list[str],
    said: Path,
    file_bytes: int | None,
    memory: int | None,
    last_step: int | None,
    go_on: Event | None,
) -> None:
    import torch

    from astrosearch.cli import main

    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    torch.set_num_threads(1)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    add = Log.add

    def add_and_stop(log: Log, entry: LogEntry) -> None:
        add(log, entry)
        if last_step is not None and entry.step >= last_step:
            if go_on is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                go_on.wait(300)

    Log.add = add_and_stop  # type: ignore[assignment, method-assign]
    main(["train", *arguments])

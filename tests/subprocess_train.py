"""`astrosearch train …` in a process of its own, to be killed or given too little of something.

It is forked from a process that has imported everything, which takes ten seconds, once.
"""

import multiprocessing
import os
import resource
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from training.log import Log

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "training.cli",
        "training.lm.finetune",
        "training.contrastive.contrast",
        "training.lm.perplexity",
    ]
)


def train_apart(
    *arguments: object, said: Path, file_bytes: int | None = None, memory: int | None = None
) -> BaseProcess:
    """Start `astrosearch train ARGUMENTS`, on one thread.

    Args:
        said: where its output goes.
        file_bytes: no file may grow beyond them: the system refuses as on a full disk.
        memory: bytes of address space it may take beyond those of its imports.
    """
    texts = [str(one) for one in arguments]
    process = _SERVER.Process(target=_train, args=(texts, said, file_bytes, memory))
    process.start()
    return process


def wait_for_step(log: Log, step: int) -> None:
    """Return as soon as a run's log has the step.

    Raises:
        AssertionError: if that takes more than 100 seconds.
    """
    end = time.monotonic() + 100
    while not any(entry.step >= step for entry in log.entries()):
        assert time.monotonic() < end, f"step {step} did not come in time"
        time.sleep(0.05)


def kill_at_step(process: BaseProcess, log: Log, step: int) -> None:
    """Kill a run as soon as its log has the step."""
    wait_for_step(log, step)
    process.kill()
    process.join()


def _train(arguments: list[str], said: Path, file_bytes: int | None, memory: int | None) -> None:
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
    main(["train", *arguments])

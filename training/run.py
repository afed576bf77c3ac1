"""A training run that can be killed at any moment, and goes on with the same command.

It works in `.OUT.partial` beside OUT:

    lock                 held by the process that trains (`training.disk.locked`)
    settings.json        what is being trained
    log.csv              a line per step
    checkpoint-STEP/     the newest two; one without a file `whole` was cut short

OUT, the adapter's folder, appears when it is whole.
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import Reporter
from training.disk import is_first_process, require_space
from training.log import Log, LogEntry

WHOLE = "whole"
"""A checkpoint with this file in it is whole."""

LOG = "log.csv"
SETTINGS = "settings.json"


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """When a run saves and when it pauses. This has no effect on what is learned."""

    checkpoint_minutes: float = 10.0
    max_minutes: float | None = None
    """Pause after this time; the same command goes on."""


Measure = Literal["perplexity", "loss"]
"""What a loss is shown as; `perplexity` shows both, for a language model."""


class UnfinishedRun(InputError):
    """The partial folder holds an unfinished run of other settings or other data."""


class OutOfMemory(AstrosearchError):
    """The device's memory does not suffice for a run."""


class Diverged(AstrosearchError):
    """The loss is infinite or not a number."""


class RunLog:
    """Writes the log of a run and tells how far it is; says when to save and when to pause."""

    def __init__(
        self,
        work: Path,
        steps: int,
        policy: CheckpointPolicy,
        reporter: Reporter,
        measure: Measure,
    ) -> None:
        """
        Args:
            steps: optimiser steps of the whole run.
        """
        self._log = Log(work / LOG)
        self._steps = steps
        self._policy = policy
        self._reporter = reporter
        self._measure = measure

    def begin(self, step: int, tokens: int) -> None:
        """Go on after `step`, or begin at 0. What the log has beyond that is dropped."""
        self._began = self._saved = self._stepped = time.monotonic()
        self._before = self._log.cut(step) if is_first_process() else 0.0
        self._tokens = tokens

    def add_step(
        self, step: int, tokens: int, *, loss: float, learning_rate: float, gradient_norm: float
    ) -> None:
        """
        Raises:
            Diverged: if the loss is infinite or not a number.
        """
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} at step {step:,}")
        speed = (tokens - self._tokens) / (time.monotonic() - self._stepped)
        entry = LogEntry(
            step,
            tokens,
            self._seconds(),
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=gradient_norm,
            tokens_per_second=speed,
        )
        self._log.add(entry)
        figures = f"{self._figure(entry, loss)}  {speed:,.0f} tokens/s"
        self._reporter.progress("Training", step, self._steps, figures)
        self._stepped, self._tokens = time.monotonic(), tokens

    def add_held_out(self, step: int, tokens: int, loss: float) -> None:
        entry = LogEntry(step, tokens, self._seconds(), held_out_loss=loss)
        self._log.add(entry)
        self._reporter.notify(
            f"step {step:,} of {self._steps:,}, {tokens:,} tokens, "
            f"{entry.seconds / 60:,.1f} min: held-out {self._figure(entry, loss)}"
        )
        self._stepped, self._tokens = time.monotonic(), tokens

    def is_due(self) -> tuple[bool, bool]:
        """Whether to save a checkpoint now, and whether to pause."""
        now = time.monotonic()
        limit = self._policy.max_minutes
        pause = limit is not None and now - self._began >= 60 * limit
        return pause or now - self._saved >= 60 * self._policy.checkpoint_minutes, pause

    def saved(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def _figure(self, entry: LogEntry, loss: float) -> str:
        shown = f"loss {loss:.3f}"
        return shown if self._measure == "loss" else f"{shown}, perplexity {entry.perplexity:.2f}"


def train(
    trainer: Trainer,
    work: Path,
    record: dict[str, Any],
    reporter: Reporter,
    *,
    policy: CheckpointPolicy,
    measure: Measure,
) -> bool:
    """Begin the run of a transformers Trainer in `work`, or go on with it.

    Args:
        work: the partial folder, whose lock is held.
        record: what is trained, its `settings` included. A run goes on only if this is equal.

    Returns:
        Whether all steps are done.

    Raises:
        UnfinishedRun: if an unfinished run in `work` has another record.
        OutOfMemory: if memory does not suffice.
        Diverged: if the loss is infinite or not a number.
    """
    if is_first_process():
        open_run(work, record)
    trainer.accelerator.wait_for_everyone()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Run(RunLog(work, trainer.args.max_steps, policy, reporter, measure)))
    checkpoint = newest_checkpoint(work)
    if checkpoint is not None:
        trainer.args.eval_on_start = False  # it is in the log
        reporter.notify(f"Going on from step {step_of(checkpoint):,}")
    with out_of_memory(trainer.args.device):
        trainer.train(resume_from_checkpoint=str(checkpoint or "") or None)
    return bool(trainer.state.global_step >= trainer.state.max_steps)


class _Run(TrainerCallback):
    """Tells a `RunLog` what a Trainer does, and the Trainer when to save and to pause."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._log.begin(state.global_step, int(state.num_input_tokens_seen))

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        logs: dict[str, float] = given["logs"]
        if not state.is_world_process_zero:
            return
        step, tokens = state.global_step, int(state.num_input_tokens_seen)
        if "eval_loss" in logs:
            self._log.add_held_out(step, tokens, logs["eval_loss"])
        elif "loss" in logs:
            self._log.add_step(
                step,
                tokens,
                loss=logs["loss"],
                learning_rate=logs["learning_rate"],
                gradient_norm=logs["grad_norm"],
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        # The processes' clocks differ, and all of them must do the same.
        save, pause = _as_first_process(*self._log.is_due())
        if state.global_step < state.max_steps:
            control.should_save |= save
            control.should_training_stop |= pause
        if control.should_save:
            require_checkpoint_space(Path(args.output_dir), given["model"])

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()
        self._log.saved()


def require_checkpoint_space(work: Path, model: torch.nn.Module) -> None:
    """
    Raises:
        OSError: ENOSPC, if a checkpoint of the model would not fit.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    require_space(work, 4 * 4 * trained)  # weights, two moments, spare


@contextmanager
def out_of_memory(device: torch.device) -> Iterator[None]:
    """Turn the ways in which memory runs out into an `OutOfMemory`."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _means_memory(error):
            raise
        raise OutOfMemory(f"{device} has too little memory for this run") from None


def _as_first_process(*flags: bool) -> list[bool]:
    if not torch.distributed.is_initialized():
        return list(flags)
    shared = [list(flags)]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]


def check_run(work: Path, record: dict[str, Any]) -> None:
    """Check that a run in `work`, if there is one, is the one that `record` describes.

    Args:
        record: what is known so far of the run; only this is compared.

    Raises:
        UnfinishedRun: if it is another run.
    """
    file = work / SETTINGS
    if not file.exists():
        return
    begun = json.loads(file.read_bytes())
    changed = [
        f"{name} was {begun['settings'].get(name)}, is now {value}"
        for name, value in record["settings"].items()
        if begun["settings"].get(name) != value
    ]
    if not changed and any(begun.get(name) != value for name, value in record.items()):
        changed = ["other data"]
    if changed:
        raise UnfinishedRun(
            f"{work} holds an unfinished run of other settings ({'; '.join(changed)}); give the "
            "same settings to go on with it"
        )


def open_run(work: Path, record: dict[str, Any]) -> None:
    """Write down what is trained, or check that the run in `work` is the same."""
    check_run(work, record)
    if not (work / SETTINGS).exists():
        written = work / "settings.tmp"
        written.write_text(json.dumps(record, indent=1) + "\n")
        written.rename(work / SETTINGS)
    for folder in work.glob("checkpoint-*"):
        if not (folder / WHOLE).exists():
            shutil.rmtree(folder)
    shutil.rmtree(work / "adapter", ignore_errors=True)


def newest_checkpoint(work: Path) -> Path | None:
    """The whole checkpoint of the highest step."""
    checkpoints = [file.parent for file in work.glob(f"checkpoint-*/{WHOLE}")]
    return max(checkpoints, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def _means_memory(error: RuntimeError) -> bool:
    return any(
        words in str(error)
        for words in ("out of memory", "can't allocate memory", "not enough memory")
    )

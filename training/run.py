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


def train(
    trainer: Trainer,
    work: Path,
    record: dict[str, Any],
    reporter: Reporter,
    *,
    policy: CheckpointPolicy,
    measure: Measure,
) -> bool:
    """Begin the run of a trainer in `work`, or go on with it.

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
    trainer.add_callback(_Run(work, policy, reporter, measure))
    checkpoint = _newest_checkpoint(work)
    if checkpoint is not None:
        trainer.args.eval_on_start = False  # it is in the log
        reporter.notify(f"Going on from step {_step(checkpoint):,}")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint or "") or None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _means_memory(error):
            raise
        raise OutOfMemory(f"{trainer.args.device} has too little memory for this run") from None
    return bool(trainer.state.global_step >= trainer.state.max_steps)


class _Run(TrainerCallback):
    """Writes the log, saves checkpoints by the clock, and pauses."""

    def __init__(
        self, work: Path, policy: CheckpointPolicy, reporter: Reporter, measure: Measure
    ) -> None:
        self._log = Log(work / LOG)
        self._policy = policy
        self._measure = measure
        self._reporter = reporter

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._began = self._saved = self._stepped = time.monotonic()
        self._before = self._log.cut(state.global_step) if state.is_world_process_zero else 0.0
        self._tokens = int(state.num_input_tokens_seen)

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        logs: dict[str, float] = given["logs"]
        if not state.is_world_process_zero:
            return
        now = time.monotonic()
        common: dict[str, Any] = {
            "step": state.global_step,
            "tokens": int(state.num_input_tokens_seen),
            "seconds": self._before + now - self._began,
        }
        if "eval_loss" in logs:
            entry = LogEntry(**common, held_out_loss=logs["eval_loss"])
        elif "loss" in logs:
            entry = LogEntry(
                **common,
                loss=logs["loss"],
                gradient_norm=logs["grad_norm"],
                learning_rate=logs["learning_rate"],
                tokens_per_second=(common["tokens"] - self._tokens) / (now - self._stepped),
            )
            if not math.isfinite(logs["loss"]):
                raise Diverged(f"the loss is {logs['loss']} at step {state.global_step:,}")
        else:
            return
        self._log.add(entry)
        self._report(entry, state.global_step, state.max_steps)
        self._stepped, self._tokens = time.monotonic(), common["tokens"]

    def _report(self, entry: LogEntry, step: int, steps: int) -> None:
        if entry.held_out_loss is None:
            speed = f"{entry.tokens_per_second:,.0f} tokens/s"
            self._reporter.progress("Training", step, steps, f"{self._figure(entry)}  {speed}")
            return
        self._reporter.notify(
            f"step {entry.step:,} of {steps:,}, {entry.tokens:,} tokens, "
            f"{entry.seconds / 60:,.1f} min: held-out {self._figure(entry)}"
        )

    def _figure(self, entry: LogEntry) -> str:
        loss = entry.loss if entry.held_out_loss is None else entry.held_out_loss
        shown = f"loss {loss:.3f}"
        return shown if self._measure == "loss" else f"{shown}, perplexity {entry.perplexity:.2f}"

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        now = time.monotonic()
        limit = self._policy.max_minutes
        pause = limit is not None and now - self._began >= 60 * limit
        save = pause or now - self._saved >= 60 * self._policy.checkpoint_minutes
        # The processes' clocks differ, and all of them must do the same.
        save, pause = _as_first_process(save, pause)
        if state.global_step < state.max_steps:
            control.should_save |= save
            control.should_training_stop |= pause
        if control.should_save:
            trained = sum(p.numel() for p in given["model"].parameters() if p.requires_grad)
            require_space(Path(args.output_dir), 4 * 4 * trained)  # weights, two moments, spare

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()
        self._saved = time.monotonic()


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


def _newest_checkpoint(work: Path) -> Path | None:
    checkpoints = [file.parent for file in work.glob(f"checkpoint-*/{WHOLE}")]
    return max(checkpoints, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _means_memory(error: RuntimeError) -> bool:
    return any(
        words in str(error)
        for words in ("out of memory", "can't allocate memory", "not enough memory")
    )

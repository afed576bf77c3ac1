"""A training run that can be killed at any moment, and goes on with the same command.

It works in `.OUT.partial` beside OUT:

    settings.json        what is being trained
    log.csv              a line a step
    checkpoint-STEP/     the newest two; one without a file `whole` was cut short

and OUT, the adapter's folder, appears when it is whole.
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
from training.disk import require_space
from training.log import Log, Row

WHOLE = "whole"
"""A checkpoint with this file in it is whole."""

LOG = "log.csv"


@dataclass(frozen=True, slots=True)
class Stops:
    """When a run saves and when it pauses. They change nothing of what is learned."""

    checkpoint_minutes: float = 10.0
    max_minutes: float | None = None
    """Pause after so long; the same command goes on."""


Measure = Literal["perplexity", "loss"]
"""What the loss is shown as: of a language model its perplexity too."""


def train(
    trainer: Trainer,
    work: Path,
    record: dict[str, Any],
    reporter: Reporter,
    *,
    stops: Stops,
    measure: Measure,
    memory_advice: str,
    restart: bool = False,
) -> bool:
    """Begin the run of a trainer in `work`, or go on with it.

    Args:
        record: what is trained, `settings` among it; a run is gone on with only if it is equal.
        measure: what is said of a loss.
        memory_advice: what to say if memory does not suffice.
        restart: throw away what an earlier run has left.

    Returns:
        Whether all steps are done.

    Raises:
        InputError: if an unfinished run in `work` has another record.
        AstrosearchError: if memory does not suffice, or the loss is no number any more.
    """
    if trainer.is_world_process_zero():
        open_run(work, record, restart)
    trainer.accelerator.wait_for_everyone()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Run(work, stops, reporter, measure))
    checkpoint = _newest_checkpoint(work)
    if checkpoint is not None:
        trainer.args.eval_on_start = False  # it is in the log
        reporter.notify(f"Going on from step {_step(checkpoint):,}")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint or "") or None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _means_memory(error):
            raise
        raise AstrosearchError(memory_advice) from None
    return bool(trainer.state.global_step >= trainer.state.max_steps)


class _Run(TrainerCallback):
    """Log, checkpoints by the clock, and the pause."""

    def __init__(self, work: Path, stops: Stops, reporter: Reporter, measure: Measure) -> None:
        self._log = Log(work / LOG)
        self._stops = stops
        self._measure = measure
        self._reporter = reporter
        self._told = reporter

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._begun = self._saved = self._stepped = time.monotonic()
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
            "seconds": self._before + now - self._begun,
        }
        if "eval_loss" in logs:
            row = Row(**common, held_out_loss=logs["eval_loss"])
        elif "loss" in logs:
            row = Row(
                **common,
                loss=logs["loss"],
                gradient_norm=logs["grad_norm"],
                learning_rate=logs["learning_rate"],
                tokens_per_second=(common["tokens"] - self._tokens) / (now - self._stepped),
            )
            if not math.isfinite(logs["loss"]):
                raise AstrosearchError(
                    f"the loss is {logs['loss']} at step {state.global_step:,}; lower "
                    "--learning-rate, or use --dtype float32"
                )
        else:
            return
        self._log.add(row)
        self._report(row, state.global_step, state.max_steps)
        self._stepped, self._tokens = time.monotonic(), common["tokens"]

    def _report(self, row: Row, step: int, steps: int) -> None:
        if row.held_out_loss is None:
            speed = f"{row.tokens_per_second:,.0f} tokens/s"
            self._reporter.progress("Training", step, steps, f"{self._figure(row)}  {speed}")
            return
        self._reporter.notify(
            f"step {row.step:,} of {steps:,}, {row.tokens:,} tokens, "
            f"{row.seconds / 60:,.1f} min: held-out {self._figure(row)}"
        )

    def _figure(self, row: Row) -> str:
        loss = row.loss if row.held_out_loss is None else row.held_out_loss
        shown = f"loss {loss:.3f}"
        return shown if self._measure == "loss" else f"{shown}, perplexity {row.perplexity:.2f}"

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        now = time.monotonic()
        limit = self._stops.max_minutes
        pause = limit is not None and now - self._begun >= 60 * limit
        save = pause or now - self._saved >= 60 * self._stops.checkpoint_minutes
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


def open_run(work: Path, record: dict[str, Any], restart: bool) -> None:
    """Make the working folder, or check that the one there is of the same run."""
    if restart:
        shutil.rmtree(work, ignore_errors=True)
    file = work / "settings.json"
    if file.exists():
        there = json.loads(file.read_bytes())
        if there != record:
            changed = [
                f"{name} {there['settings'].get(name)}, now {value}"
                for name, value in record["settings"].items()
                if there["settings"].get(name) != value
            ] or ["other data"]
            raise InputError(
                f"{work} holds an unfinished run of other settings ({'; '.join(changed)}); give "
                "the same settings to go on, or --restart to throw it away"
            )
    else:
        work.mkdir(parents=True, exist_ok=True)
        written = work / "settings.tmp"
        written.write_text(json.dumps(record, indent=1) + "\n")
        written.rename(file)
    for folder in work.glob("checkpoint-*"):
        if not (folder / WHOLE).exists():
            shutil.rmtree(folder)
    shutil.rmtree(work / "adapter", ignore_errors=True)


def _newest_checkpoint(work: Path) -> Path | None:
    whole = [file.parent for file in work.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _means_memory(error: RuntimeError) -> bool:
    return any(
        words in str(error)
        for words in ("out of memory", "can't allocate memory", "not enough memory")
    )

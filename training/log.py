"""The log of a training run: log.csv, one line per step. Figure 1 of the paper is drawn from it."""

import csv
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line. A step's own loss and the held-out loss are on separate lines."""

    step: int
    tokens: int
    """Trained on so far."""
    seconds: float
    """Of training so far, without pauses."""
    loss: float | None = None
    """Mean cross-entropy of a token of this step's batch, in nats."""
    held_out_loss: float | None = None
    """The same over held-out blocks or pairs."""
    learning_rate: float | None = None
    gradient_norm: float | None = None
    """Before clipping."""
    tokens_per_second: float | None = None

    @property
    def perplexity(self) -> float:
        """exp of this line's loss (arXiv:2309.06126, section 3.1)."""
        loss = self.loss if self.loss is not None else self.held_out_loss
        if loss is None:
            raise ValueError(f"the line of step {self.step} has no loss")
        return math.exp(min(loss, 700.0))


class Log:
    """A log.csv to which lines are appended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[LogEntry]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as stream:
            lines = list(csv.DictReader(stream))
        kinds: dict[str, Any] = {field.name: int for field in fields(LogEntry) if field.type is int}
        return [
            LogEntry(**{name: kinds.get(name, float)(text) for name, text in line.items() if text})
            for line in lines
            if None not in line.values()  # a kill can cut the last line short
        ]

    def add(self, entry: LogEntry) -> None:
        new = not self.path.exists()
        with self.path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            names = [field.name for field in fields(LogEntry)]
            if new:
                writer.writerow(names)
            values = [getattr(entry, name) for name in names]
            writer.writerow(["" if value is None else _figure(value) for value in values])

    def cut(self, step: int) -> float:
        """Drop the entries after `step`, which are about to be made again.

        Returns:
            Seconds of training up to `step`.
        """
        entries = [entry for entry in self.entries() if entry.step <= step] if step else []
        work = self.path.with_suffix(".tmp")
        work.unlink(missing_ok=True)
        for entry in entries:
            Log(work).add(entry)
        if entries:
            work.replace(self.path)
        else:
            self.path.unlink(missing_ok=True)
        return entries[-1].seconds if entries else 0.0


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(f"{value:.9g}"))

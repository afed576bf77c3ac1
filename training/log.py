"""The log of a training run: log.csv, a line a step, which is Figure 1 of the paper in numbers."""

import csv
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line. A step's own loss and the held-out loss stand on lines of their own."""

    step: int
    tokens: int
    """Trained on so far."""
    seconds: float
    """Of training so far, pauses left out."""
    loss: float | None = None
    """Mean cross-entropy of a token of this step's batch, in nats."""
    held_out_loss: float | None = None
    """The same over the held-out blocks."""
    learning_rate: float | None = None
    gradient_norm: float | None = None
    """Before clipping."""
    tokens_per_second: float | None = None

    @property
    def perplexity(self) -> float:
        """exp of the loss this line has (arXiv:2309.06126, section 3.1)."""
        loss = self.loss if self.loss is not None else self.held_out_loss
        assert loss is not None
        return math.exp(min(loss, 700.0))


class Log:
    """A log.csv that is added to, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as stream:
            lines = list(csv.DictReader(stream))
        kinds: dict[str, Any] = {field.name: int for field in fields(Row) if field.type is int}
        return [
            Row(**{name: kinds.get(name, float)(text) for name, text in line.items() if text})
            for line in lines
            if None not in line.values()  # a line that a kill has cut
        ]

    def add(self, row: Row) -> None:
        new = not self.path.exists()
        with self.path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            names = [field.name for field in fields(Row)]
            if new:
                writer.writerow(names)
            values = [getattr(row, name) for name in names]
            writer.writerow(["" if value is None else _figure(value) for value in values])

    def cut(self, step: int) -> float:
        """Drop what came after `step`, which is about to be done again; the seconds until then."""
        kept = [row for row in self.rows() if row.step <= step] if step else []
        work = self.path.with_suffix(".tmp")
        work.unlink(missing_ok=True)
        for row in kept:
            Log(work).add(row)
        if kept:
            work.replace(self.path)
        else:
            self.path.unlink(missing_ok=True)
        return kept[-1].seconds if kept else 0.0


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(f"{value:.9g}"))

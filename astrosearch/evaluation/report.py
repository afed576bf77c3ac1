"""What an evaluation found: figures for each task, mode and encoder, with their intervals."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from astrosearch import __version__
from astrosearch.encoders.base import EncoderSpec
from astrosearch.evaluation.bootstrap import RESAMPLES, Estimate
from astrosearch.evaluation.metrics import MEASURES, Isotropy, Values
from astrosearch.evaluation.tasks import Settings, Task

FORMAT = "astrosearch-eval-1"


@dataclass(frozen=True)
class Result:
    """What one system reaches in one task."""

    mode: str
    encoder: str | None
    """None for words alone."""
    values: Values
    """(queries, measures)"""
    estimates: dict[str, Estimate]
    differences: dict[str, Estimate] = field(default_factory=dict)
    """From the index's own encoder in the same mode; empty for that one itself."""


@dataclass(frozen=True)
class TaskReport:
    task: Task
    results: list[Result]


@dataclass(frozen=True)
class EncoderReport:
    name: str
    spec: EncoderSpec
    dimension: int
    isotropy: Isotropy
    """Of the documents of the first task."""


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    index: str
    papers: int
    settings: Settings
    encoders: list[EncoderReport]
    """The index's own first."""
    tasks: list[TaskReport]

    def as_record(self, *, values: bool = False) -> dict[str, Any]:
        """For JSON: no date and no duration, so that two runs give the same bytes.

        Args:
            values: whether what each single query scores is in it too, for a later gate.
        """
        return {
            "format": FORMAT,
            "index": self.index,
            "papers": self.papers,
            "settings": asdict(self.settings),
            "resamples": RESAMPLES,
            "versions": versions(),
            "encoders": [
                {
                    "name": one.name,
                    **one.spec.as_record(),
                    "dimension": one.dimension,
                    "isotropy": asdict(one.isotropy),
                }
                for one in self.encoders
            ],
            "tasks": [_task_record(one, values=values) for one in self.tasks],
        }


def _task_record(report: TaskReport, *, values: bool) -> dict[str, Any]:
    task = report.task
    return {
        "task": task.name,
        "sample": task.sample,
        "queries": len(task.queries),
        "pool": len(task.rows),
        "notes": task.notes,
        "results": [
            {
                "mode": result.mode,
                "encoder": result.encoder,
                "measures": {name: asdict(one) for name, one in result.estimates.items()},
                "differences": {
                    name: {**asdict(one), "verdict": one.verdict}
                    for name, one in result.differences.items()
                },
                **({"values": _columns(result.values)} if values else {}),
            }
            for result in report.results
        ],
    }


def _columns(values: Values) -> dict[str, list[float]]:
    return dict(zip(MEASURES, np.round(values, 6).T.tolist(), strict=True))


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    from importlib.metadata import version

    return {
        "astrosearch": __version__,
        **{name: version(name) for name in ("ir_measures", "numpy", "tantivy", "torch")},
    }

"""The report of an evaluation: scores of each task, mode and encoder, with their intervals."""

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
    """The scores of one system in one task."""

    mode: str
    encoder: str | None
    """None for words alone."""
    values: Values
    """(queries, measures): the scores of each query."""
    estimates: dict[str, Estimate]
    """Measure to its mean over queries."""
    differences: dict[str, Estimate] = field(default_factory=dict)
    """Measure to its difference from the index's own encoder in the same mode; empty for that
    encoder itself and for words alone."""


@dataclass(frozen=True)
class TaskReport:
    """A task and the scores of all systems in it."""

    task: Task
    results: list[Result]


@dataclass(frozen=True)
class EncoderReport:
    """An encoder that was evaluated."""

    name: str
    spec: EncoderSpec
    dimension: int
    isotropy: Isotropy
    """Of its vectors of the first task's documents."""


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    index: str
    papers: int
    settings: Settings
    encoders: list[EncoderReport]
    """The index's own encoder first."""
    tasks: list[TaskReport]

    def as_record(self, *, values: bool = False) -> dict[str, Any]:
        """The report for JSON. It has no date and no duration, so two runs give the same bytes.

        Args:
            values: whether to add the scores of each query, which a later gate needs.
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
                    "name": encoder.name,
                    **encoder.spec.as_record(),
                    "dimension": encoder.dimension,
                    "isotropy": asdict(encoder.isotropy),
                }
                for encoder in self.encoders
            ],
            "tasks": [_task_record(task, values=values) for task in self.tasks],
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
                "measures": {name: asdict(estimate) for name, estimate in result.estimates.items()},
                "differences": {
                    name: {**asdict(difference), "verdict": difference.verdict}
                    for name, difference in result.differences.items()
                },
                **({"values": _columns(result.values)} if values else {}),
            }
            for result in report.results
        ],
    }


def _columns(values: Values) -> dict[str, list[float]]:
    return dict(zip(MEASURES, np.round(values, 6).T.tolist(), strict=True))


def versions() -> dict[str, str]:
    """Versions of the packages that the scores depend on."""
    from importlib.metadata import version

    return {
        "astrosearch": __version__,
        **{name: version(name) for name in ("ir_measures", "numpy", "tantivy", "torch")},
    }

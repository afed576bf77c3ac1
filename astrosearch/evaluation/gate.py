"""Whether an index still answers as well as a saved report says it did."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from astrosearch.errors import InputError
from astrosearch.evaluation.bootstrap import interval, resampled_means
from astrosearch.evaluation.metrics import MEASURES
from astrosearch.evaluation.report import FORMAT, Report
from astrosearch.evaluation.tasks import Settings, Task

DECISIVE = "nDCG@10"
"""The measure that a gate tests: it depends on every rank up to 10 and on every grade."""

MIN_QUERIES = 10
"""Fewest queries that a gate decides by. Resampling fewer draws the same few again and again."""


_MODES = {"dense", "hybrid", "lexical"}
_OTHER_MODES = {"mean", "rerank"}


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether a report has everything that is read from it.

    Raises:
        KeyError: if a field is missing.
    """
    asdict(Settings(**record["settings"]))
    for task in record["tasks"]:
        modes = [result["mode"] for result in task["results"] if not result["differences"]]
        if len({*modes}) != len(modes) or not _MODES <= {*modes} <= _MODES | _OTHER_MODES:
            return False
        if not isinstance(task["sample"], str):
            return False
        for result in task["results"]:
            values = np.array(result["values"][DECISIVE], dtype=np.float64)
            if values.shape != (task["queries"],) or not np.isfinite(values).all():
                return False
    return bool(record["tasks"]) and all(isinstance(task["task"], str) for task in record["tasks"])


@dataclass(frozen=True)
class SavedReport:
    """The report of an earlier run, with the score of each query."""

    path: Path
    record: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "SavedReport":
        """Read a report that was saved with its values (`Report.as_record`).

        Raises:
            InputError: if `path` cannot be read or is not a report in this format.
        """
        try:
            record = orjson.loads(path.read_bytes())
            sound = record["format"] == FORMAT and _is_whole(record)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            sound = False
        if not sound:
            raise InputError(f"{path} is not a report in the format {FORMAT}")
        return cls(path, record)

    def check(self, tasks: Sequence[Task], settings: Settings) -> None:
        """Check that this run can be compared with the saved one.

        Raises:
            InputError: if the tasks or their samples differ, or a task has fewer than
                `MIN_QUERIES` queries.
        """
        saved_tasks = {task["task"]: task for task in self.record["tasks"]}
        if saved_tasks.keys() != {task.name for task in tasks}:
            raise InputError(
                f"{self.path} has the tasks {', '.join(saved_tasks)}, this run has "
                f"{', '.join(task.name for task in tasks)}: run the same tasks"
            )
        for task in tasks:
            if saved_tasks[task.name]["sample"] == task.sample:
                if len(task.queries) < MIN_QUERIES:
                    raise InputError(
                        f"task {task.name} has {len(task.queries)} queries: a gate needs at least "
                        f"{MIN_QUERIES} to test whether the index got worse"
                    )
                continue
            before, now = self.record["settings"], asdict(settings)
            differences = [
                f"{name} {before[name]}, not {now[name]}"
                for name in ("queries", "pool", "held_out", "seed")
                if before.get(name) != now[name]
            ]
            raise InputError(
                f"{self.path} was made on another sample of task {task.name}: "
                + (
                    f"it has {'; '.join(differences)}: use the same settings"
                    if differences
                    else "the index's papers or the judgements have changed: build the earlier "
                    "index again from the same papers and save a new report"
                )
            )

    def regressions(self, report: Report) -> list[str]:
        """Where the index is significantly worse than it was: a phrase for each task and mode.

        The measure is nDCG@10. With so many tasks and modes, one would often fail by chance. So
        the intervals hold at 95 % together, not each (Bonferroni).

        Raises:
            InputError: if the saved report has a mode that this one lacks: nothing tells whether
                that got worse.
        """
        saved_results = {task["task"]: task["results"] for task in self.record["tasks"]}
        for task_report in report.tasks:
            measured = {result.mode for result in task_report.results if not result.differences}
            for saved in saved_results[task_report.task.name]:
                if (mode := saved["mode"]) not in measured and not saved["differences"]:
                    raise InputError(
                        f"{self.path} has {mode} for task {task_report.task.name}, this run does "
                        "not: "
                        + (
                            "measure with --rerank, too"
                            if mode == "rerank"
                            else "measure with the same options, or save a new report"
                        )
                    )
        # The results of the index's own encoder, and of words, have no differences.
        pairs = [
            (task_report.task.name, result, saved)
            for task_report in report.tasks
            for result in task_report.results
            for saved in saved_results[task_report.task.name]
            if result.mode == saved["mode"] and not (result.differences or saved["differences"])
        ]
        column = MEASURES.index(DECISIVE)
        level = 1 - 0.05 / len(pairs)
        phrases = []
        for name, result, saved in pairs:
            before = np.array(saved["values"][DECISIVE])
            after = np.round(result.values[:, column], 6)
            difference = after - before
            means = resampled_means(difference[:, None], report.settings.seed)[:, 0]
            estimate = interval(difference.mean(), means, level)
            if estimate.verdict == "worse":
                phrases.append(
                    f"{name}, {result.mode}: {DECISIVE} {after.mean():.3f}, it was "
                    f"{before.mean():.3f} (difference {estimate.value:+.3f}, "
                    f"{estimate.low:+.3f} to {estimate.high:+.3f})"
                )
        return phrases

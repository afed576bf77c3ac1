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
"""The measure by which a gate decides: it sees every rank up to 10 and every grade."""

FEWEST = 10
"""Queries that a gate decides by: those of fewer, drawn again and again, are the same ones."""


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether a report has all that is read of it; what it lacks altogether is a KeyError."""
    asdict(Settings(**record["settings"]))
    for task in record["tasks"]:
        modes = [result["mode"] for result in task["results"] if not result["differences"]]
        if sorted(modes) != ["dense", "hybrid", "lexical"] or not isinstance(task["sample"], str):
            return False
        for result in task["results"]:
            values = np.array(result["values"][DECISIVE], dtype=np.float64)
            if values.shape != (task["queries"],) or not np.isfinite(values).all():
                return False
    return bool(record["tasks"]) and all(isinstance(task["task"], str) for task in record["tasks"])


@dataclass(frozen=True)
class SavedReport:
    """A report of an earlier run, with what each single query scored."""

    path: Path
    record: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "SavedReport":
        """
        Raises:
            InputError: if `path` is not a report in this format.
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
        """
        Raises:
            InputError: if the same tasks were not asked on the same sample then.
        """
        then = {task["task"]: task for task in self.record["tasks"]}
        if then.keys() != {task.name for task in tasks}:
            raise InputError(
                f"{self.path} holds the tasks {', '.join(then)}, this run has "
                f"{', '.join(task.name for task in tasks)}: ask for the same with --task"
            )
        for task in tasks:
            if then[task.name]["sample"] == task.sample:
                if len(task.queries) < FEWEST:
                    raise InputError(
                        f"task {task.name} has {len(task.queries)} queries: of fewer than {FEWEST} "
                        "no interval can be had, and nothing can be said to be worse"
                    )
                continue
            before, now = self.record["settings"], asdict(settings)
            other = [
                f"{name} {before[name]}, not {now[name]}"
                for name in ("queries", "pool", "held_out", "seed")
                if before.get(name) != now[name]
            ]
            raise InputError(
                f"{self.path} was made on another sample of task {task.name}: "
                + (
                    f"it has {'; '.join(other)}: give the same options"
                    if other
                    else "the index's papers, or the judgements, have changed: build the earlier "
                    "index again over them and --save a new report"
                )
            )

    def regressions(self, report: Report) -> list[str]:
        """Where the index is significantly worse than it was: one phrase for each task and mode.

        The measure is nDCG@10. So many tasks and modes are tested that one of them would often
        fail by chance: the intervals together, not each, hold at 95 % (Bonferroni).
        """
        then = {task["task"]: task["results"] for task in self.record["tasks"]}
        # Only what is compared with the index's own encoder has differences.
        pairs = [
            (one.task.name, result, saved)
            for one in report.tasks
            for result in one.results
            for saved in then[one.task.name]
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
            tested = interval(difference.mean(), means, level)
            if tested.verdict == "worse":
                phrases.append(
                    f"{name}, {result.mode}: {DECISIVE} {after.mean():.3f}, it was "
                    f"{before.mean():.3f} (difference {tested.value:+.3f}, "
                    f"{tested.low:+.3f} to {tested.high:+.3f})"
                )
        return phrases

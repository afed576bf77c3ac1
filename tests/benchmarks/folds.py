"""Reports of a cross-validation as one: `astrosearch eval --save` of each fold, taken together.

A fold's encoder is made without a fifth of all papers (`train contrast --fold`), and queries of
that fifth are put to it. So every query is asked of an encoder that has not seen it, and there are
five times as many of them as one fold has.

    python -m tests.benchmarks.folds REPORT.json...
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.gate import SavedReport
from astrosearch.evaluation.metrics import MEASURES, Values

System = tuple[str, str]
"""A mode, and an encoder: `own`, another's name, or nothing for words alone."""


def pooled(paths: list[Path]) -> dict[str, dict[System, Values]]:
    """For each task what each system scores, (queries of all reports, measures)."""
    tasks: dict[str, dict[System, list[Values]]] = {}
    for path in paths:
        record = SavedReport.read(path).record
        own = record["encoders"][0]["name"]
        for task in record["tasks"]:
            found = tasks.setdefault(task["task"], {})
            for result in task["results"]:
                encoder = "own" if result["encoder"] == own else result["encoder"] or ""
                values = np.array([result["values"][name] for name in MEASURES]).T
                found.setdefault((result["mode"], encoder), []).append(values)
    whole = {
        name: {system: np.concatenate(parts) for system, parts in found.items()}
        for name, found in tasks.items()
    }
    for name, one in whole.items():
        if len({len(values) for values in one.values()}) > 1:
            raise SystemExit(f"{name}: not every report has the same systems")
    return whole


def show(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path)
    console = Console()
    for task, found in pooled(parser.parse_args().reports).items():
        systems = list(found)
        means = {system: resampled_means(values, 0) for system, values in found.items()}
        table = Table("system", *MEASURES, title=f"{task}, {len(found[systems[0]])} queries")

        def row(name: str, values: Values, resampled: Values, table: Table = table) -> None:
            columns = enumerate(values.mean(axis=0))
            table.add_row(name, *(show(interval(one, resampled[:, i])) for i, one in columns))

        for system in systems:
            row(" ".join(system), found[system], means[system])
        table.add_section()
        mine = [("dense", "own"), ("hybrid", "own")]
        for one in mine:
            for other in systems:
                if other != one and (one[0] == "hybrid" or other not in mine):
                    name = f"{' '.join(one)} − {' '.join(other)}".strip()
                    row(name, found[one] - found[other], means[one] - means[other])
        console.print(table)


if __name__ == "__main__":
    main()

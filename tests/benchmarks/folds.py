"""A cross-validation as one table: the reports of `astrosearch eval --save` of all folds, pooled.

The encoder of a fold is trained without a fifth of all papers (`train contrast --fold`), and is
tested on the queries of that fifth. So no encoder has seen its queries, and five folds have five
times as many queries as one.

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
"""A mode and an encoder: `own`, the name of another, or empty for words alone."""


def pooled(paths: list[Path]) -> dict[str, dict[System, Values]]:
    """The scores of each system in each task, (queries of all reports, measures)."""
    tasks: dict[str, dict[System, list[Values]]] = {}
    for path in paths:
        record = SavedReport.read(path).record
        own = record["encoders"][0]["name"]
        for task in record["tasks"]:
            systems = tasks.setdefault(task["task"], {})
            for result in task["results"]:
                encoder = "own" if result["encoder"] == own else result["encoder"] or ""
                values = np.array([result["values"][name] for name in MEASURES]).T
                systems.setdefault((result["mode"], encoder), []).append(values)
    scores = {
        name: {system: np.concatenate(parts) for system, parts in systems.items()}
        for name, systems in tasks.items()
    }
    for name, task_scores in scores.items():
        if len({len(values) for values in task_scores.values()}) > 1:
            raise SystemExit(f"{name}: the reports do not all have the same systems")
    return scores


def show(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path)
    console = Console()
    for task, scores in pooled(parser.parse_args().reports).items():
        systems = list(scores)
        means = {system: resampled_means(values, 0) for system, values in scores.items()}
        table = Table("system", *MEASURES, title=f"{task}, {len(scores[systems[0]])} queries")

        def row(name: str, values: Values, resampled: Values, table: Table = table) -> None:
            columns = enumerate(values.mean(axis=0))
            table.add_row(name, *(show(interval(mean, resampled[:, i])) for i, mean in columns))

        for system in systems:
            row(" ".join(system), scores[system], means[system])
        table.add_section()
        own = [(mode, "own") for mode in ("dense", "hybrid", "rerank") if (mode, "own") in systems]
        for number, system in enumerate(own):
            for base in systems:
                if base != system and (base not in own or base in own[:number]):
                    name = f"{' '.join(system)} − {' '.join(base)}".strip()
                    row(name, scores[system] - scores[base], means[system] - means[base])
        console.print(table)


if __name__ == "__main__":
    main()

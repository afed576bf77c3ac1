"""Papers found by what people ask for, and how often `match` is right: as `query` answers, and as
`query --rerank` does.

Every request is put to a whole index, as a user would. Only the paper that it was written for
counts as relevant, although others may answer it, too.

    python -m tests.benchmarks.requests INDEX requests.jsonl

A line of the file is {"id", "question", "keywords", "need"}, or {"id", "need", "clause"}, where
`clause` says of which kind the need's second clause is.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch import open_index
from astrosearch.cli.console import Terminal
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.search.cross_encoder import shipped_cross_encoder
from astrosearch.search.hits import Hit
from training.contrastive.requests import FORMS
from training.ranking.fit import paired_rows


class Asked(NamedTuple):
    """A request with its first hits, as the learnt order has them and after they were read."""

    kind: str
    id: str
    learnt: list[Hit]
    read: list[Hit]


def requests(file: Path) -> Iterator[tuple[str, str, str]]:
    """The kind, the paper and the text of each request."""
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for form in FORMS:
            if form in record:
                yield record.get("clause", form), record["id"], record[form]


def ask(index: str, file: Path) -> list[Asked]:
    reporter, reader = Terminal(), shipped_cross_encoder()
    asked = []
    lines = list(requests(file))
    with open_index(index) as searcher:
        for number, (kind, paper_id, text) in enumerate(lines):
            reporter.progress("Asking", number, len(lines))
            hits = searcher.query(text, reader.depth)
            asked.append(Asked(kind, paper_id, hits, reader.rerank(text, hits)))
    reporter.progress("Asking", len(lines), len(lines))
    return asked


def reciprocal_rank(hits: list[Hit], paper_id: str) -> float:
    return next((1 / hit.rank for hit in hits[:10] if hit.paper.id == paper_id), 0.0)


def show(estimate: Estimate) -> str:
    return f"{estimate.value:6.3f} [{estimate.low:6.3f}, {estimate.high:6.3f}]"


def print_found(asked: list[Asked]) -> None:
    values = np.array(
        [[reciprocal_rank(each, one.id) for each in (one.learnt, one.read)] for one in asked]
    )
    kinds = [each.kind for each in asked]
    rows = paired_rows(kinds, values)
    if len(rows) > 1:
        rows += paired_rows(["all"] * len(asked), values)
    print(f"{'MRR@10':14}{'':>5}  {'query':22}  {'query --rerank':22}  difference")
    for kind, count, *estimates in rows:
        print(f"{kind:14}{count:5,}  " + "  ".join(map(show, estimates)))


def print_reliability(name: str, hits: list[tuple[Hit, bool]]) -> None:
    """For each tenth of `match`, how often a paper was the one."""
    match = np.array([hit.match for hit, _ in hits])
    relevant: NDArray[np.float64] = np.array([is_it for _, is_it in hits], dtype=np.float64)
    print(f"\n{name:14}{'hits':>7}{'mean match':>12}  share that was asked for, in percent")
    for low in range(0, 100, 10):
        chosen = (match >= low) & (match < low + 10 if low < 90 else match <= 100)
        if not chosen.any():
            continue
        found = relevant[chosen]
        share = interval(found.mean(), resampled_means(found[:, None], 0)[:, 0])
        high = low + 9 if low < 90 else 100
        print(
            f"{f'{low} to {high}':14}{chosen.sum():7,}{match[chosen].mean():12.1f}  "
            f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("requests", type=Path)
    arguments = parser.parse_args()
    asked = ask(arguments.index, arguments.requests)
    print_found(asked)
    learnt = [(hit, hit.paper.id == each.id) for each in asked for hit in each.learnt[:10]]
    read = [(hit, hit.paper.id == each.id) for each in asked for hit in each.read[:10]]
    print_reliability("query", learnt)
    print_reliability("query --rerank", read)


if __name__ == "__main__":
    main()

"""What papers cite, found by `cite`, against words alone and `similar`, all in one run.

Each citing paper that is held out asks among all papers of an index. The answers are the papers
that it cites; a second table leaves out those that share an author with it, among the answers and
among what is found. The searches are those of the commands. Words are BM25 of title and abstract.

    python -m tests.benchmarks.citing INDEX citations.jsonl

A line of the file is {"id": "2601.16919", "relevant": ["1905.08667"]}.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch import open_index
from astrosearch.corpus.filters import Filters
from astrosearch.evaluation.bootstrap import interval, resampled_means
from astrosearch.evaluation.metrics import MEASURES, measure
from astrosearch.evaluation.qrels import read_judgements
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper
from astrosearch.search.hits import Hit
from astrosearch.search.searcher import Searcher
from astrosearch.search.signals import author_keys

MANY = 100
"""Hits of a search whose own papers are taken out afterwards."""


def systems(searcher: Searcher) -> dict[str, Callable[[Paper, bool], list[Hit]]]:
    """From a citing paper, and whether its authors' papers are left out, to hits."""

    def like(paper: Paper, filters: Filters, *, words: bool) -> list[Hit]:
        return searcher.similar([paper.id], MANY, filters, "lexical" if words else "hybrid")

    def without_own(paper: Paper, hits: list[Hit]) -> list[Hit]:
        own = author_keys(paper).keys()
        return [hit for hit in hits if own.isdisjoint(author_keys(hit.paper))]

    def system(*, words: bool, dated: bool) -> Callable[[Paper, bool], list[Hit]]:
        def find(paper: Paper, no_self: bool) -> list[Hit]:
            hits = like(paper, Filters(until=paper.published if dated else None), words=words)
            return without_own(paper, hits) if no_self else hits

        return find

    return {
        "words": system(words=True, dated=False),
        "words, not later": system(words=True, dated=True),
        "similar": system(words=False, dated=False),
        "similar, not later": system(words=False, dated=True),
        "cite": lambda paper, no_self: searcher.cite([paper.id], no_self=no_self),
    }


def scores(found: list[list[str]], relevant: list[set[str]]) -> NDArray[np.float64]:
    """(queries, measures)"""
    numbers: dict[str, int] = {}
    for ids in (*found, *relevant):
        for paper_id in ids:
            numbers.setdefault(paper_id, len(numbers))
    return measure(
        [np.array([numbers[paper_id] for paper_id in ids], dtype=np.int64) for ids in found],
        [{numbers[paper_id]: 1 for paper_id in ids} for ids in relevant],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("citations", type=Path)
    parser.add_argument("--fold", type=int, default=0, help="The fifth that asks.")
    arguments = parser.parse_args()
    with open_index(arguments.index) as searcher:
        judged = {
            judgement.id: set(judgement.relevant)
            for judgement in read_judgements(arguments.citations)
            if judgement.id and is_held_out(judgement.id, arguments.fold)
        }
        papers = searcher.papers({*judged, *(each for ids in judged.values() for each in ids)})
        for no_self in (False, True):
            relevant = {}
            for paper_id, ids in judged.items():
                own = author_keys(papers[paper_id]).keys() if paper_id in papers else set()
                cited = {
                    each
                    for each in ids & papers.keys()
                    if not no_self or own.isdisjoint(author_keys(papers[each]))
                }
                if paper_id in papers and cited:
                    relevant[paper_id] = cited
            pairs = sum(map(len, relevant.values()))
            print(
                f"\n{'without' if no_self else 'with'} papers of the same authors: {len(relevant)} "
                f"citing papers, {pairs} cited, {len(searcher):,} searched"
            )
            values = {
                name: scores(
                    [
                        [hit.paper.id for hit in find(papers[paper_id], no_self)[:10]]
                        for paper_id in relevant
                    ],
                    list(relevant.values()),
                )
                for name, find in systems(searcher).items()
            }
            _print(values)


def _print(values: dict[str, NDArray[np.float64]]) -> None:
    means = np.split(
        resampled_means(np.concatenate(list(values.values()), axis=1), 0), len(values), axis=1
    )
    column = MEASURES.index("nDCG@10")
    print(f"{'':20}{'nDCG@10':22}{'R@10':22}cite above it, nDCG@10")
    for (name, value), mean in zip(values.items(), means, strict=True):
        cells = [
            interval(value[:, place].mean(), mean[:, place])
            for place in (column, MEASURES.index("R@10"))
        ]
        above = interval((values["cite"] - value)[:, column].mean(), (means[-1] - mean)[:, column])
        shown = [f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (*cells, above)]
        print(f"{name:20}" + "".join(f"{text:22}" for text in shown))


if __name__ == "__main__":
    main()

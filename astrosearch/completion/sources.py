"""The papers that a continuation is grounded in, and how near they have to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astrosearch.corpus.filters import Filters
from astrosearch.errors import NothingFound
from astrosearch.papers import Paper
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.searcher import Searcher

FLOOR_PAPERS = 32
"""Papers of the index whose beginnings are tried to set the relevance floor."""

FLOOR_QUANTILE = 0.05
"""Share of those beginnings whose k-th nearest paper is farther away than the floor."""


@dataclass(frozen=True, slots=True)
class Source:
    """A paper that is given to the generator."""

    paper: Paper
    cosine: float
    """Of the beginning and the paper."""


def find_sources(
    searcher: Searcher,
    beginning: str,
    k: int,
    filters: Filters | None = None,
    exclude: Sequence[str] = (),
    floor: float | None = None,
) -> list[Source]:
    """The `k` papers nearest to a beginning, without those that are near by chance only.

    Args:
        exclude: identifiers of papers that may not be sources, as the paper that is continued.
        floor: the lowest cosine of a source; by default `relevance_floor`'s.

    Raises:
        NothingFound: if no paper reaches the floor.
    """
    hits = searcher.query(ParsedQuery(beginning), k + len(exclude), filters)
    candidates = [
        Source(hit.paper, hit.cosine)
        for hit in hits
        if hit.paper.id not in exclude and hit.cosine is not None
    ]
    if not candidates:
        raise NothingFound(
            f"index {searcher.name} has no other paper that passes the filters", remedy="ungrounded"
        )
    if floor is None:
        floor = relevance_floor(searcher, len(beginning.split()), k)
    sources = [source for source in candidates if source.cosine >= floor][:k]
    if not sources:
        nearest = max(source.cosine for source in candidates)
        raise NothingFound(
            f"no paper of index {searcher.name} is related to this beginning: the nearest has "
            f"cosine {nearest:.2f}, and beginnings of the index's own papers reach {floor:.2f}",
            remedy="ungrounded",
        )
    return sources


def relevance_floor(searcher: Searcher, words: int, k: int) -> float:
    """The cosine that the k-th nearest other paper reaches for nearly all beginnings of `words`
    words, tried on papers of the index.

    The floor is measured because cosines have no scale of their own: each encoder has another
    background, and a short text is farther from a paper than two papers are from each other.
    """
    index = searcher.index
    count = min(FLOOR_PAPERS, len(index))
    rows = np.random.default_rng(0).choice(index.rows, size=count, replace=False)
    papers = index.corpus.papers(rows.tolist())
    beginnings = [" ".join(paper.abstract.split()[:words]) for paper in papers]
    cosines, neighbours = index.search(searcher.encoder.encode(beginnings), k + 1)
    kth = [
        float(line[near != row][:k].min(initial=1.0))
        for line, near, row in zip(cosines, neighbours, rows, strict=True)
    ]
    return float(np.quantile(kth, FLOOR_QUANTILE))

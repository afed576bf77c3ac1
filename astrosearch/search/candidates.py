"""Candidates: the papers that are ranked for a query, found by vectors and by words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.search.author_names import AuthorName, named_authors
from astrosearch.search.signals import (
    Column,
    EncodedQuery,
    Papers,
    Rows,
    SignalTable,
    author_match,
)


@dataclass(frozen=True)
class Candidates:
    """(n,) candidates with their first signals, and their ranks in each search."""

    signals: SignalTable
    """`cosine` if the query has a vector, `bm25` if it has words, `author_match` if it names an
    author of these papers; each for all rows."""
    dense_ranks: NDArray[np.int64]
    """(n,), 1 for the nearest vector; 0 if the dense search did not find the paper."""
    lexical_ranks: NDArray[np.int64]
    """(n,), 1 for the best BM25; 0 if the lexical search did not find the paper."""

    def take(self, order: NDArray[np.int64]) -> "Candidates":
        """The same candidates in another order."""
        return Candidates(
            self.signals.take(order), self.dense_ranks[order], self.lexical_ranks[order]
        )


def find_candidates(
    papers: Papers,
    query: EncodedQuery,
    depth: int,
    allowed: Rows | None = None,
    without: Rows | None = None,
) -> Candidates:
    """The `depth` best papers by vectors, as many by words, and where the query names authors, as
    many of their papers; rows ascending.

    Args:
        allowed: (m,) rows that may be found, ascending; None for all.
        without: rows to leave out: the papers that are the query.
    """
    k = depth + (0 if without is None else len(without))
    dense = lexical = np.zeros(0, np.int64)
    cosines = bm25 = np.zeros(0)
    if query.vector is not None:
        dense, cosines = _without(*papers.nearest(query.vector, k, allowed), without, depth)
    if query.words is not None:
        lexical, bm25 = _without(*papers.best_words(query.words, k, allowed), without, depth)
    # Not union1d, which imports numpy.ma: 9 ms of a cold query.
    rows = np.sort(np.concatenate([dense, lexical[np.isin(lexical, dense, invert=True)]]))
    authors: Column | None = None
    # Words alone have the names of authors among them already.
    if query.words is not None and query.vector is not None:
        rows, authors = _with_named_authors(papers, query.words, rows, depth, allowed, without)
    signals = SignalTable(rows)
    if query.vector is not None:
        vector = query.vector
        signals.columns["cosine"] = _completed(
            rows, dense, cosines, lambda missing: papers.cosines(vector, missing)
        )
    if query.words is not None:
        words = query.words
        signals.columns["bm25"] = _completed(
            rows, lexical, bm25, lambda missing: papers.bm25(words, missing)
        )
    if authors is not None:
        signals.columns["author_match"] = authors
    return Candidates(signals, _ranks(rows, dense), _ranks(rows, lexical))


def _with_named_authors(
    papers: Papers,
    text: str,
    rows: Rows,
    depth: int,
    allowed: Rows | None,
    without: Rows | None,
) -> tuple[Rows, Column | None]:
    """Candidates and the best papers of authors that a query names, with their `author_match`; the
    candidates alone and None if it names no author of an allowed paper."""
    names = named_authors(papers, text)
    if not names:
        return rows, None
    bearing = papers.with_authors([name.whole_words for name in names])
    if allowed is not None:
        bearing = np.intersect1d(bearing, allowed, assume_unique=True)
    if without is not None:
        bearing = np.setdiff1d(bearing, without, assume_unique=True)
    _, best = papers.best_words(text, depth, bearing)
    best = best[_author_match(papers, names, best) > 0]
    if not len(best):
        return rows, None
    rows = np.sort(np.concatenate([rows, best[np.isin(best, rows, invert=True)]]))
    return rows, _author_match(papers, names, rows)


def _author_match(papers: Papers, names: Sequence[AuthorName], rows: Rows) -> Column:
    return author_match(names, papers.authors(rows), rows)


def _without(scores: Column, rows: Rows, without: Rows | None, depth: int) -> tuple[Rows, Column]:
    """The first `depth` rows that are not in `without`, and their scores."""
    if without is not None:
        remaining = np.isin(rows, without, invert=True)
        scores, rows = scores[remaining], rows[remaining]
    return rows[:depth], scores[:depth]


def _completed(
    rows: Rows, known: Rows, scores: Column, compute: Callable[[Rows], Column]
) -> Column:
    """(n,) scores of all rows: `scores` for the `known` rows, computed for the others."""
    column = np.zeros(len(rows))
    column[np.searchsorted(rows, known)] = scores
    missing = np.setdiff1d(rows, known, assume_unique=True)
    if len(missing):
        column[np.searchsorted(rows, missing)] = compute(missing)
    return column


def _ranks(rows: Rows, ranked: Rows) -> NDArray[np.int64]:
    """(n,) ranks of `rows` in the ranking `ranked`, from 1; 0 for rows that are not in it."""
    ranks = np.zeros(len(rows), dtype=np.int64)
    ranks[np.searchsorted(rows, ranked)] = np.arange(1, len(ranked) + 1)
    return ranks

"""Candidates: the papers that are ranked for a query, found by vectors, by words and by authors."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from astrosearch.search.author_names import AuthorName, named_authors
from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import (
    EVERYTHING,
    Column,
    EncodedQuery,
    Found,
    PaperIndex,
    Scope,
)
from astrosearch.search.signals import SignalTable, author_match

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_NOTHING = Found([], np.zeros(0))

WORDS_SHARE = 3
"""A text gets a third as many candidates by words as by vectors. (Of the papers that 300 questions
in other words are about, 120 by vectors and 40 by words have .920 among 56,307, and 100 and 100
.897; of those that needs describe .943 and .937. Whatever has most of the words is among 40.)"""


@dataclass(frozen=True)
class Candidates:
    """(n,) candidates with their first signals, and their ranks in each search."""

    signals: SignalTable
    """`cosine` if the query has a vector, `bm25` if it has words, `author_match` if it names an
    author of these papers; each for all candidates."""
    dense_ranks: NDArray[np.int64]
    """(n,), 1 for the nearest vector; 0 if the dense search did not find the paper."""
    lexical_ranks: NDArray[np.int64]
    """(n,), 1 for the best BM25; 0 if the lexical search did not find the paper."""
    is_extra: NDArray[np.bool_] | None = None
    """(n,) whether the paper is one that was found in another way, too; None if none is."""

    def __len__(self) -> int:
        return len(self.signals.ids)

    def take(self, order: NDArray[np.int64]) -> "Candidates":
        """The same candidates in another order, or some of them."""
        return Candidates(
            self.signals.take(order),
            self.dense_ranks[order],
            self.lexical_ranks[order],
            None if self.is_extra is None else self.is_extra[order],
        )


def find_candidates(
    papers: PaperIndex,
    query: EncodedQuery,
    depth: int,
    scope: Scope = EVERYTHING,
    *,
    extra: Sequence[str] = (),
) -> Candidates:
    """The `depth` best papers by vectors, as many by words as `depths` says, and where the query
    names authors, `depth` of their papers; in the order of their ids.

    Args:
        extra: further candidates, found in another way.
    """
    dense, lexical, bm25 = _found(papers, query, depth, scope)
    ids = sorted({*dense.ids, *lexical.ids, *extra})
    authors: Column | None = None
    # Words alone have the names of authors among them already, and papers name nobody.
    if query.words is not None and query.vector is not None and not query.papers:
        ids, authors = _with_named_authors(papers, query.words, ids, depth, scope)
    signals = SignalTable(ids)
    if query.vector is not None:
        vector = query.vector
        signals.columns["cosine"] = _completed(
            ids,
            _by_id(dense.ids, dense.scores),
            lambda missing: papers.cosines(vector, missing),
        )
    if query.words is not None:
        words = query.words
        signals.columns["bm25"] = _completed(ids, bm25, lambda missing: papers.bm25(words, missing))
    if authors is not None:
        signals.columns["author_match"] = authors
    others = set(extra)
    is_extra = np.array([paper_id in others for paper_id in ids]) if others else None
    return Candidates(signals, _ranks(ids, dense), _ranks(ids, lexical), is_extra)


def depths(query: EncodedQuery, depth: int) -> tuple[int, int]:
    """How many candidates a query gets by vectors, and by words."""
    is_text = query.vector is not None and not query.papers
    return depth, -(-depth // WORDS_SHARE) if is_text else depth


def _found(
    papers: PaperIndex, query: EncodedQuery, depth: int, scope: Scope
) -> tuple[Found, Found, dict[str, float]]:
    """The best papers by vectors and by words, and the BM25 of all of them. While one thread looks
    among the words, another looks among the vectors."""
    words, vector = query.words, query.vector
    if vector is None:
        lexical = papers.best_words(words, depth, scope) if words is not None else _NOTHING
        return _NOTHING, lexical, _by_id(lexical.ids, lexical.scores)
    if words is None:
        return papers.nearest(vector, depth, scope), _NOTHING, {}
    depth, by_words = depths(query, depth)
    with meanwhile(papers.nearest, vector, depth, scope) as nearest:
        lexical, others = papers.best_words_and(words, by_words, scope, lambda: nearest().ids)
    dense = nearest()
    bm25 = _by_id(dense.ids, others) | _by_id(lexical.ids, lexical.scores)
    return dense, lexical, bm25


others_wait: ContextVar[bool] = ContextVar("others_wait", default=False)
"""Whether other processes want the processors of this machine: a second thread of this one then
gains nothing, and takes time of its own."""


@contextmanager
def meanwhile(
    compute: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> Iterator[Callable[[], _Result]]:
    """While the block runs, another thread computes something; gives what waits for its result. The
    block does not end before: the other thread may read an index that is closed next. Where others
    want the processors, it is computed here and now."""
    if others_wait.get():
        result = compute(*arguments, **named)
        yield lambda: result
        return
    future = _threads().submit(compute, *arguments, **named)
    try:
        yield future.result
    finally:
        wait([future])


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="astrosearch-search")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # threads are not forked


def _by_id(ids: Sequence[str], scores: Column) -> dict[str, float]:
    return dict(zip(ids, scores.tolist(), strict=True))


def _with_named_authors(
    papers: PaperIndex, text: str, ids: list[str], depth: int, scope: Scope
) -> tuple[list[str], Column | None]:
    """Candidates and the best papers of authors that a query names, with their `author_match`; the
    candidates alone and None if it names no author of a paper that may be found."""
    names = named_authors(papers, text)
    if not names:
        return ids, None
    bearing = BearsName(tuple(tuple(name.whole_words) for name in names))
    best = papers.best_words(text, depth, scope.also(bearing)).ids
    matches = _author_match(papers, names, best)
    best = [paper_id for paper_id, match in zip(best, matches, strict=True) if match > 0]
    if not best:
        return ids, None
    ids = sorted({*ids, *best})
    return ids, _author_match(papers, names, ids)


def _author_match(papers: PaperIndex, names: Sequence[AuthorName], ids: Sequence[str]) -> Column:
    return author_match(names, [paper.authors for paper in papers.papers(ids)])


def _completed(
    ids: Sequence[str], known: dict[str, float], compute: Callable[[list[str]], Column]
) -> Column:
    """(n,) scores of all papers: those that are known, and the others', which are computed."""
    missing = [paper_id for paper_id in ids if paper_id not in known]
    if missing:
        known = known | dict(zip(missing, compute(missing).tolist(), strict=True))
    return np.array([known[paper_id] for paper_id in ids])


def _ranks(ids: Sequence[str], found: Found) -> NDArray[np.int64]:
    """(n,) ranks of papers in a search, from 1; 0 for those that it did not find."""
    place = dict(zip(ids, range(len(ids)), strict=True))
    ranks = np.zeros(len(ids), dtype=np.int64)
    ranks[[place[paper_id] for paper_id in found.ids]] = np.arange(1, len(found.ids) + 1)
    return ranks

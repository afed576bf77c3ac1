"""What a paper or a draft should cite: candidates by its text, by its authors' own papers, and what
those cite, where the index has citations."""

from collections.abc import Callable, Collection
from datetime import date
from typing import NamedTuple

import numpy as np

from astrosearch.citations.graph import Graph, Works
from astrosearch.corpus.filters import Filters
from astrosearch.search.candidates import Candidates, find_candidates
from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import EVERYTHING, Column, EncodedQuery, PaperIndex, Scope
from astrosearch.search.signals import SHARPNESS, author_keys

DEPTH = 200
"""Candidates by vectors, and as many by words."""

BY_AUTHORS = 100
"""Candidates that bear a family name of the authors: the best of them by words."""


SOURCES = 600
"""Nearest papers whose references count; of the best by words two thirds, of the authors half."""

CITED = 100
"""Candidates that these papers cite, at most."""

UNIT = 0.6
"""A source as near as this cosine has the weight 1; others, e to `SHARPNESS` times what is more."""


def citing_candidates(
    papers: PaperIndex,
    query: EncodedQuery,
    scope: Scope = EVERYTHING,
    *,
    depth: int = DEPTH,
    cites: Collection[str] = (),
) -> Candidates:
    """What a paper may cite: papers like it, those of authors of the same name, and what both of
    these cite, none of them later, and not itself. Several that ask together may be among the
    answers.

    Args:
        query: of papers, with their words and vector. Authors count if one paper asks.
        depth: candidates by vectors, and as many by words.
        cites: papers that it cites already. What these cite counts, too.
    """
    day = query.day or max(paper.published for paper in query.papers)
    scope = Scope(
        (*scope.conditions, Filters(until=day)),
        scope.without,
    )
    extra: list[str] = []
    bearing: BearsName | None = None
    if len(query.papers) == 1 and query.words is not None:
        scope = Scope(scope.conditions, scope.without | {query.papers[0].id})
        names = sorted(set(author_keys(query.papers[0]).values()))
        if names:
            bearing = BearsName(tuple(tuple(name.split()) for name in names))
            extra = papers.best_words(query.words, BY_AUTHORS, scope.also(bearing)).ids
    if papers.graph is None:
        return find_candidates(papers, query, depth, scope, extra=extra)
    votes = _votes(papers, papers.graph, query, bearing, cites)
    best = votes.works[np.argsort(-votes.weights, kind="stable")[: 2 * CITED]]
    cited = list(papers.among_works(best, scope).values())[:CITED]
    candidates = find_candidates(papers, query, depth, scope, extra=[*extra, *cited])
    candidates.signals.columns.update(
        _citation_signals(papers, papers.graph, votes, candidates, day)
    )
    return candidates


class _Votes(NamedTuple):
    """What the papers near a query cite: w works."""

    works: Works
    """(w,) ascending."""
    weights: Column
    """(w,) the sum of the weights of those that cite it."""
    nearest: Column
    """(w,) the largest of their cosines with the query."""
    by_authors: Column
    """(w,) how many of them share an author with the paper that asks."""


def _votes(
    papers: PaperIndex,
    graph: Graph,
    query: EncodedQuery,
    bearing: BearsName | None,
    cites: Collection[str],
) -> _Votes:
    """Every paper near the query, also a later one, votes for what it cites."""
    everyone = Scope(
        without=frozenset(paper.id for paper in query.papers if len(query.papers) == 1)
    )
    ids: list[str] = list(cites)
    if query.vector is not None:
        ids += papers.nearest(query.vector, SOURCES, everyone).ids
    if query.words is not None:
        ids += papers.best_words(query.words, SOURCES * 2 // 3, everyone).ids
        if bearing is not None:
            ids += papers.best_words(query.words, SOURCES // 2, everyone.also(bearing)).ids
    ids = list(dict.fromkeys(ids))
    works = graph.works_of(papers.papers(ids))
    citing = np.flatnonzero(graph.reference_counts(works).any(axis=1))
    ids, works = [ids[place] for place in citing.tolist()], works[citing]
    if not ids or query.vector is None:
        none = np.zeros(0)
        return _Votes(none.astype(np.int64), none, none, none)
    cosines = (papers.vectors(ids) @ query.vector).astype(np.float64)
    own = set(author_keys(query.papers[0])) if bearing is not None else set()
    shares = [not own.isdisjoint(author_keys(paper)) for paper in papers.papers(ids)]
    rows = [np.concatenate([graph.references(work) for work in pair]) for pair in works.tolist()]
    cited, places = np.unique(np.concatenate(rows), return_inverse=True)
    source = np.repeat(np.arange(len(ids)), [len(row) for row in rows])
    nearest = np.full(len(cited), -1.0)
    np.maximum.at(nearest, places, cosines[source])
    weights = np.exp(SHARPNESS * (cosines - UNIT))
    return _Votes(
        cited,
        np.bincount(places, weights[source], len(cited)).astype(np.float64),
        nearest,
        np.bincount(places, np.array(shares)[source], len(cited)).astype(np.float64),
    )


def _citation_signals(
    papers: PaperIndex, graph: Graph, votes: _Votes, candidates: Candidates, day: date
) -> dict[str, Column]:
    """(n,) the signals of candidates that the graph knows of."""
    found = papers.papers(candidates.signals.ids)
    works = graph.works_of(found)
    columns = np.zeros((3, len(works)))
    for pair in works.T:
        place = np.searchsorted(votes.works, pair)
        place[place == len(votes.works)] = 0
        known = np.flatnonzero(votes.works[place] == pair) if len(votes.works) else place[:0]
        place = place[known]
        columns[0, known] += votes.weights[place]
        columns[1, known] = np.maximum(columns[1, known], votes.nearest[place])
        columns[2, known] += votes.by_authors[place]
    counts = graph.counts(works).sum(axis=1)
    years = np.array([max(0, (day - paper.published).days) / 365.25 for paper in found])
    return {
        "cited_nearby": np.log1p(columns[0]),
        "nearest_citing": columns[1],
        "cited_by_authors": (columns[2] > 0).astype(np.float64),
        "citations": np.log1p(counts),
        "citation_rate": np.log1p(counts / (1 + years)),
    }


def of_others(
    papers: PaperIndex, query: EncodedQuery, find: Callable[[int], Candidates], k: int
) -> Candidates:
    """Candidates that share no author with the papers that ask: `k` of them, if there are so many.

    Args:
        find: the candidates of a search that goes so deep.
    """
    own = {key for paper in query.papers for key in author_keys(paper, None)}
    depth, before = max(DEPTH, k), -1
    while True:
        candidates = find(depth)
        others = [
            place
            for place, paper in enumerate(papers.papers(candidates.signals.ids))
            if own.isdisjoint(author_keys(paper, None))
        ]
        if len(others) >= k or len(candidates) == before:
            return candidates.take(np.array(others, dtype=np.int64))
        depth, before = 2 * depth, len(candidates)

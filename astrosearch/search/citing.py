"""What a paper or a draft should cite: candidates by its text, and by its authors' own papers."""

from collections.abc import Callable

import numpy as np

from astrosearch.corpus.filters import Filters
from astrosearch.search.candidates import Candidates, find_candidates
from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import EVERYTHING, EncodedQuery, PaperIndex, Scope
from astrosearch.search.signals import author_keys

DEPTH = 200
"""Candidates by vectors, and as many by words."""

BY_AUTHORS = 100
"""Candidates that bear a family name of the authors: the best of them by words."""


def citing_candidates(
    papers: PaperIndex,
    query: EncodedQuery,
    scope: Scope = EVERYTHING,
    *,
    depth: int = DEPTH,
) -> Candidates:
    """What a paper may cite: papers like it, and those of authors of the same name, none of them
    later, and not itself. Several that ask together may be among the answers.

    Args:
        query: of papers, with their words and vector. Authors count if one paper asks.
        depth: candidates by vectors, and as many by words.
    """
    day = query.day or max(paper.published for paper in query.papers)
    scope = Scope(
        (*scope.conditions, Filters(until=day)),
        scope.without,
    )
    extra: list[str] = []
    if len(query.papers) == 1 and query.words is not None:
        scope = Scope(scope.conditions, scope.without | {query.papers[0].id})
        names = sorted(set(author_keys(query.papers[0]).values()))
        if names:
            bearing = BearsName(tuple(tuple(name.split()) for name in names))
            extra = papers.best_words(query.words, BY_AUTHORS, scope.also(bearing)).ids
    return find_candidates(papers, query, depth, scope, extra=extra)


def of_others(
    papers: PaperIndex, query: EncodedQuery, find: Callable[[int], Candidates], k: int
) -> Candidates:
    """Candidates that share no author with the papers that ask: `k` of them, if there are so many.

    Args:
        find: the candidates of a search that goes so deep.
    """
    own = {key for paper in query.papers for key in author_keys(paper)}
    depth, before = max(DEPTH, k), -1
    while True:
        candidates = find(depth)
        others = [
            place
            for place, paper in enumerate(papers.papers(candidates.signals.ids))
            if own.isdisjoint(author_keys(paper))
        ]
        if len(others) >= k or len(candidates) == before:
            return candidates.take(np.array(others, dtype=np.int64))
        depth, before = 2 * depth, len(candidates)

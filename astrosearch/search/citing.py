"""What a paper or a draft should cite: candidates by its text, and by its authors' own papers."""

from datetime import date

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
    before: date | None = None,
) -> Candidates:
    """What a paper may cite: papers like it, and those of authors of the same name, none of them
    later.

    Args:
        query: of one paper, with its words and vector.
        before: the last day; by default that of the paper.
    """
    [asking] = query.papers
    scope = Scope(
        (*scope.conditions, Filters(until=before or asking.published)),
        scope.without | {asking.id},
    )
    names = sorted(set(author_keys(asking).values()))
    extra: list[str] = []
    if names and query.words is not None:
        bearing = BearsName(tuple(tuple(name.split()) for name in names))
        extra = papers.best_words(query.words, BY_AUTHORS, scope.also(bearing)).ids
    return find_candidates(papers, query, DEPTH, scope, extra=extra)

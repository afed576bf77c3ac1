"""Texts for the page: in Unicode, cut into pieces, those at odd places words of the query."""

from functools import lru_cache

from astrosearch.papers import Paper
from astrosearch.text.marks import marked, terms_to_mark
from astrosearch.text.tex import one_line, to_unicode


@lru_cache(maxsize=4096)
def readable(text: str) -> str:
    """A text without its TeX."""
    return one_line(to_unicode(text))


def terms_of(query: str) -> frozenset[str]:
    """The terms of a query that are marked."""
    return terms_to_mark(query) if query else frozenset()


def marked_title(paper: Paper, terms: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """The title of a paper in pieces."""
    return {"title": marked(readable(paper.title), terms)}


def marked_paper(paper: Paper, terms: frozenset[str]) -> dict[str, list[str]]:
    """The title and the abstract of a paper in pieces."""
    return {**marked_title(paper, terms), "abstract": marked(readable(paper.abstract), terms)}

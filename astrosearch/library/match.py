"""Which paper of an index an entry is: by arXiv identifier, DOI, or title and first author."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from astrosearch.library import facts
from astrosearch.library.bibtex_text import Entry
from astrosearch.report import SILENT, Reporter
from astrosearch.text.analysis import STOP_WORDS, analyze
from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import family_name
from astrosearch.text.tex import one_line, to_unicode

if TYPE_CHECKING:
    from astrosearch.papers import Paper
    from astrosearch.search.searcher import Searcher

How = Literal["arXiv id", "DOI", "title and author", "title", ""]

SURE = 80
"""Percent from which on a paper is taken for the same."""

YEARS = 4
"""Most years between a preprint and its journal."""

_MOST = 98
"""Percent that are left to a title and an author that are the same."""

_NUMBER = re.compile(r"\d+|[ivx]+")

_SAME_TITLE = 0.3
"""Likeness of titles below which an identifier is doubted."""


@dataclass(frozen=True, slots=True)
class Match:
    """The paper of an index that an entry is, or why none was found."""

    arxiv: str = ""
    """Empty if none was found."""
    how: How = ""
    sure: int = 0
    """Percent."""
    reason: str = ""
    """Why no paper was found, or what is doubtful."""


def match_entries(
    searcher: "Searcher", entries: Sequence[Entry], reporter: Reporter = SILENT
) -> list[Match]:
    """The match of each entry, in order."""
    identifiers = [facts.arxiv_id(entry) for entry in entries]
    dois = [facts.doi(entry) for entry in entries]
    of_doi = searcher.papers_of_dois({doi for doi in dois if doi})
    named = {*filter(None, identifiers), *of_doi.values()}
    papers = searcher.papers(named)
    matches = []
    for place, entry in enumerate(entries):
        reporter.progress("Matching papers", place, len(entries))
        matches.append(
            _match(searcher, entry, identifiers[place], of_doi.get(dois[place] or ""), papers)
        )
    reporter.progress("Matching papers", len(entries), len(entries))
    return matches


def _match(
    searcher: "Searcher",
    entry: Entry,
    identifier: str | None,
    of_doi: str | None,
    papers: "dict[str, Paper]",
) -> Match:
    if identifier in papers and identifier:
        return _doubted(Match(identifier, "arXiv id", 100), entry, papers[identifier])
    if of_doi:
        return _doubted(Match(of_doi, "DOI", 100), entry, papers[of_doi])
    if identifier:
        return Match(reason=f"{identifier} is not in index {searcher.name}")
    return _by_title(searcher, entry)


def _doubted(match: Match, entry: Entry, paper: "Paper") -> Match:
    """The match; less sure if the titles have little in common."""
    title = facts.title(entry)
    if not title or likeness(title, paper.title) >= _SAME_TITLE:
        return match
    reason = f"its title there is “{_short(paper.title)}”"
    return Match(match.arxiv, match.how, 60, reason)


def _by_title(searcher: "Searcher", entry: Entry) -> Match:
    title = facts.title(entry)
    if not title:
        named = facts.doi(entry) or facts.bibcode(entry)
        known = (
            f"{named} is not known to index {searcher.name}" if named else "it has no identifier"
        )
        return Match(reason=f"{known}, and it has no title")
    found = nearest(title, entry, searcher.titled_like(title))
    if found is None:
        return Match(reason=f"no paper of index {searcher.name} has a title like it")
    sure, how, paper = found
    if sure >= SURE:
        return Match(paper.id, how, sure)
    by = f" by {family_name(paper.authors[0])}" if paper.authors else ""
    return Match(
        reason=f"no title and author like it; the nearest is {paper.id}, “{_short(paper.title)}”"
        f"{by} ({sure} %)"
    )


def nearest(title: str, entry: Entry, papers: "Sequence[Paper]") -> "tuple[int, How, Paper] | None":
    """The paper that is most surely the one of an entry, how sure that is, and by what; the first
    of several. Names are compared only where the titles leave room for more than was found."""
    name, year = facts.first_author(entry), facts.year(entry)
    author = AuthorQuery(family_name(name)) if name else None
    best: tuple[int, How, Paper] | None = None
    for paper in papers:
        alike = likeness(title, paper.title) * _numbers_agree(title, paper.title)
        if best and round(_MOST * alike) < best[0]:
            continue
        sure, how = _sureness(alike, author, year, paper)
        if best is None or (sure, how) > best[:2]:
            best = sure, how, paper
        if sure == _MOST:
            break
    return best


def _sureness(
    alike: float, author: AuthorQuery | None, year: int | None, paper: "Paper"
) -> tuple[int, How]:
    """How sure it is that a paper is another, in percent, and by what.

    Args:
        alike: how like the titles are, from 0 to 1.
        author, year: the first author and the year of the other; None if they are not known.
    """
    if not (author and paper.authors):
        return round(80 * alike), "title"
    if not author.matches(paper.authors[0], particles=False):
        return round(50 * alike), "title and author"
    if year is not None and abs(year - paper.published.year) > YEARS:
        alike *= 0.75
    return round(_MOST * alike), "title and author"


def likeness(title: str, other: str) -> float:
    """Dice's coefficient of the words of two titles, from 0 to 1; function words do not count.

    >>> likeness("The dust of NGC 1068", "Dust in NGC1068")
    1.0
    """
    ours, theirs = _words(title), _words(other)
    if not ours or not theirs:
        return 0.0
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def _numbers_agree(title: str, other: str) -> float:
    """What the numbers in two titles leave of their likeness: part I of a series is not part II,
    and NGC 1068 not NGC 4151."""
    ours, theirs = _numbers(title), _numbers(other)
    if ours == theirs:
        return 1.0
    return 0.6 if ours and theirs else 0.85


def _numbers(title: str) -> frozenset[str]:
    return frozenset(filter(_NUMBER.fullmatch, _terms(title)))


def _words(title: str) -> frozenset[str]:
    return _terms(title) - STOP_WORDS or _terms(title)


@lru_cache(maxsize=1_000)
def _terms(title: str) -> frozenset[str]:
    return frozenset(analyze(to_unicode(title)).terms)


def _short(title: str) -> str:
    text = one_line(to_unicode(title))
    return text if len(text) <= 70 else f"{text[:69]}…"


def words_of(match: Match) -> Iterator[str]:
    """How a match was found and how sure it is, `title and author, 98 %`."""
    if match.arxiv:
        yield match.how if match.sure == 100 else f"{match.how}, {match.sure} %"
    if match.reason:
        yield match.reason

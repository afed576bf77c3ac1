"""The query language: words to rank papers by, and conditions that each hit has to meet.

    "tidal tails" merger title:NGC author:"Hofmann, F" year:2015-2020 cat:astro-ph.GA

Free words rank the papers. Words in quotes must stand side by side in the title or the abstract,
and words after `title:` or `abs:` must stand in that field; these words rank papers as well.
`author:`, `year:` and `cat:` are filters; brackets around them do no harm. All other text is free
words, so a stray colon or quote does not break a query.
"""

import re
from dataclasses import dataclass
from datetime import date

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.text import analysis


@dataclass(frozen=True, slots=True)
class RequiredPhrase:
    """Words that a paper must have side by side."""

    words: str
    fields: tuple[str, ...] = ("title", "abstract")
    """Any one of these has to hold them."""

    def __str__(self) -> str:
        where = (
            "" if len(self.fields) > 1 else {"title": "title:", "abstract": "abs:"}[self.fields[0]]
        )
        return f'{where}"{self.words}"'


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, split into its parts."""

    text: str
    """The words that rank papers, by vectors and BM25: free words and those of conditions."""
    conditions: tuple[RequiredPhrase, ...] = ()
    """A hit has all of them."""
    filters: tuple[Filters, ...] = ()
    """A hit passes all of them."""


_TERM = re.compile(
    r"""(?<![^\s(\[])
        (?:(?P<prefix>title|abs|author|year|cat):)?
        (?: ["“”](?P<quoted>[^"“”]*[^\W_][^"“”]*)["“”](?=$|[\s.,;:!?)])
          | (?P<bare>(?<=:)[^\s"“”]*[^\W_][^\s"“”]*?)(?=[,;)\]]*(?!\S)) )""",
    re.VERBOSE | re.IGNORECASE,
)
_AROUND_FILTERS = "()[],;"
"""What may be left of `(year:2016),` once the filter is taken out."""
_YEARS = re.compile(r"(?P<first>\d{4})?(?:(?P<dash>[-–])(?P<last>\d{4})?)?", re.ASCII)


def parse(text: str) -> ParsedQuery:
    """Read a query as typed.

    >>> query = parse('merger "tidal tails" year:2016')
    >>> query.text, [str(phrase) for phrase in query.conditions]
    ('merger tidal tails', ['"tidal tails"'])
    >>> query.filters[0].since
    datetime.date(2016, 1, 1)

    Raises:
        InputError: if a filter cannot be read, such as `year:soon`, or if there are only filters.
    """
    conditions: list[RequiredPhrase] = []
    filters: list[Filters] = []

    def take(term: re.Match[str]) -> str:
        prefix = (term["prefix"] or "").lower()
        words = " ".join((term["quoted"] or term["bare"] or "").split())
        if not words or (prefix in ("", "title", "abs") and not analysis.analyze(words).terms):
            return term[0]
        match prefix:
            case "author":
                filters.append(Filters(author=words))
            case "cat":
                filters.append(Filters(category=words))
            case "year":
                filters.append(_years(words))
            case "title":
                conditions.append(RequiredPhrase(words, ("title",)))
                return words
            case "abs":
                conditions.append(RequiredPhrase(words, ("abstract",)))
                return words
            case _:
                conditions.append(RequiredPhrase(words))
                return words
        return ""

    left = _TERM.sub(take, text).split()
    free = " ".join(piece for piece in left if not filters or piece.strip(_AROUND_FILTERS))
    if filters and not free:
        raise InputError(f"{text.strip()!r} has only filters: add words to rank the papers by")
    return ParsedQuery(free, tuple(conditions), tuple(filters))


def _years(words: str) -> Filters:
    years = _YEARS.fullmatch(words)
    if not years or not (years["first"] or years["last"]):
        raise InputError(
            f"year:{words} is not a year: write year:2016, year:2015-2020, year:2015- or year:-2020"
        )
    first, last = years["first"], years["last"] or (None if years["dash"] else years["first"])
    if first and last and first > last:
        raise InputError(f"year:{words} ends before it begins")
    try:
        return Filters(
            since=date(int(first), 1, 1) if first else None,
            until=date(int(last), 12, 31) if last else None,
        )
    except ValueError:
        raise InputError(f"year:{words} is not a year: the first is 1") from None

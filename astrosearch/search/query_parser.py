"""What a query says: words to rank by, and conditions that an answer has to meet.

    "tidal tails" merger title:NGC author:"Hofmann, F" year:2015-2020 cat:astro-ph.GA

Free words rank the papers. Words in quotes must stand side by side in the title or the abstract;
those after `title:` or `abs:` must stand there; they rank too. `author:`, `year:` and `cat:` are
filters, in brackets too. Whatever does not read like that is free words: no colon and no quote
breaks a query.
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
    """Where: in any one of these."""

    def __str__(self) -> str:
        where = (
            "" if len(self.fields) > 1 else {"title": "title:", "abstract": "abs:"}[self.fields[0]]
        )
        return f'{where}"{self.words}"'


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, understood."""

    text: str
    """What the encoder sees and BM25 ranks: the free words and those of the conditions."""
    conditions: tuple[RequiredPhrase, ...] = ()
    filters: tuple[Filters, ...] = ()
    """All of them must hold."""


_TERM = re.compile(
    r"""(?<![^\s(\[])
        (?:(?P<prefix>title|abs|author|year|cat):)?
        (?: ["“”](?P<quoted>[^"“”]*[^\W_][^"“”]*)["“”](?=$|[\s.,;:!?)])
          | (?P<bare>(?<=:)[^\s"“”]*[^\W_][^\s"“”]*?)(?=[,;)\]]*(?!\S)) )""",
    re.VERBOSE | re.IGNORECASE,
)
_AROUND_FILTERS = "()[],;"
"""What may be left of `(year:2016),`."""
_YEARS = re.compile(r"(?P<first>\d{4})?(?:(?P<dash>[-–])(?P<last>\d{4})?)?", re.ASCII)


def parse(text: str) -> ParsedQuery:
    """Read a query as typed.

    >>> parse('merger "tidal tails" year:2016')
    Question(text='merger tidal tails',
             conditions=(Condition(words='tidal tails', fields=('title', 'abstract')),),
             filters=(Filters(since=date(2016, 1, 1), until=date(2016, 12, 31)),))

    Raises:
        InputError: if a filter says nothing, as `year:soon`, or if there are filters alone.
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

"""Which papers may be an answer, and the SQL that finds them."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from astrosearch.errors import InputError
from astrosearch.papers import normal_category
from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import name_words

LONGEST_AUTHOR = 200
"""Characters of an author's name; the longest of arXiv's have some 60."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which papers may be an answer; None asks for nothing."""

    since: date | None = None
    """First day, by date of the first version."""
    until: date | None = None
    """Last day, inclusive."""
    category: str | None = None
    """A category or an archive: `astro-ph` takes in `astro-ph.GA`."""
    author: str | None = None
    """`Family`, `Family, Given`, `Given Family`, with `^` in front if it must be the first author;
    see `text.author_match`."""

    def __post_init__(self) -> None:
        if self.category is not None:
            object.__setattr__(self, "category", normal_category(self.category))
        if self.author is not None:
            _check_author(self.author)
        check_days(self.since, self.until)

    def condition(self) -> tuple[str, list[str]]:
        """An SQL condition on the table of papers, and its arguments; empty if nothing is asked.

        Of the author it knows less than `author_query`: some papers pass that have another one.
        """
        conditions: list[str] = []
        arguments: list[str] = []
        if self.since:
            conditions.append("published >= ?")
            arguments.append(self.since.isoformat())
        if self.until:
            conditions.append("published <= ?")
            arguments.append(self.until.isoformat())
        if self.category:
            conditions.append("(categories GLOB ? OR categories GLOB ?)")
            category = _literal(self.category)
            arguments += [f"* {category} *", f"* {category}.*"]
        if query := self.author_query():
            conditions.append(f"({' OR '.join(['instr(author_words, ?)'] * len(query.forms))})")
            arguments += query.forms
        return " AND ".join(conditions), arguments

    def author_query(self) -> AuthorQuery | None:
        """Which authors pass; None for all."""
        return None if self.author is None else AuthorQuery(self.author)


_DAY = re.compile(r"(\d{4})(?:[-/](\d\d?))?(?:[-/](\d\d?))?", re.ASCII)


def read_day(text: str, *, is_last: bool) -> date | None:
    """The first or the last day of a year, a month or a day; None if the text is none of them.

    >>> read_day("2016", is_last=False), read_day("2016-02", is_last=True)
    (datetime.date(2016, 1, 1), datetime.date(2016, 2, 29))
    """
    match = _DAY.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(part or 0) for part in match.groups())  # ADS writes 2016-00-00
    try:
        if not month:
            return date(year, 12, 31) if is_last else date(year, 1, 1)
        if day or not is_last:
            return date(year, month, day or 1)
        return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    except ValueError:
        return None


def check_days(since: date | None, until: date | None) -> None:
    """
    Raises:
        InputError: if the first day is later than the last.
    """
    if since and until and since > until:
        raise InputError(f"the first day, {since}, is later than the last, {until}")


def _check_author(author: str) -> None:
    # Some signs of Unicode decompose into several words.
    if max(len(author), len(" ".join(name_words(author)))) > LONGEST_AUTHOR:
        raise InputError(
            f"an author of {len(author):,} characters is longer than {LONGEST_AUTHOR} characters"
        )
    forms = AuthorQuery(author).forms
    if not any(len(form) > len(" F ") or "," in author for form in forms):
        raise InputError(f"{author!r} does not name an author: write a family name")


def _literal(text: str) -> str:
    """Escape what GLOB would take for a pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)

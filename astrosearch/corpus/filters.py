"""Which papers may be an answer, and the SQL that finds them."""

import sqlite3
from dataclasses import dataclass
from datetime import date

from astrosearch.errors import InputError
from astrosearch.papers import normal_category
from astrosearch.text.authors import name_words, names_author

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
    """Words of one author's name in any order, as `Hofmann, F`: case and accents do not count,
    and an initial stands for any name that begins with it. One word must stand in full."""

    def __post_init__(self) -> None:
        if self.category is not None:
            object.__setattr__(self, "category", normal_category(self.category))
        if self.author is not None:
            _check_author(self.author)
        check_days(self.since, self.until)

    def condition(self) -> tuple[str, list[str]]:
        """An SQL condition on the table of papers, and its arguments; empty if nothing is asked.

        The connection needs the functions of `register`.
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
        if self.author:
            words = name_words(self.author)
            whole = [word for word in words if len(word) > 1]
            # The first condition spares most rows the slower second one.
            conditions.append(f"({' OR '.join(['author_words GLOB ?'] * len(whole))})")
            conditions.append("names_author(CAST(author_words AS BLOB), ?)")
            arguments += [f"* {word} *" for word in whole] + [" ".join(words)]
        return " AND ".join(conditions), arguments


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that a filter's condition calls."""
    connection.create_function("names_author", 2, _names_author, deterministic=True)


def check_days(since: date | None, until: date | None) -> None:
    """
    Raises:
        InputError: if the first day is later than the last.
    """
    if since and until and since > until:
        raise InputError(f"the first day, {since}, is later than the last, {until}")


def _check_author(author: str) -> None:
    words = name_words(author)
    # Some signs of Unicode decompose into several words.
    if max(len(author), len(" ".join(words))) > LONGEST_AUTHOR:
        raise InputError(
            f"an author of {len(author):,} characters is longer than {LONGEST_AUTHOR} characters"
        )
    if not any(len(word) > 1 for word in words):
        raise InputError(f"{author!r} does not name an author: write a family name")


def _names_author(lines: bytes, wanted: str) -> bool:
    # A blob, because SQLite would give up at a text that damage has left without a meaning.
    return names_author(lines.decode(errors="replace"), wanted.split(" "))


def _literal(text: str) -> str:
    """Escape what GLOB would take for a pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)

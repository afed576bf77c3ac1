"""Saved searches: `searches.toml` in the library's folder, a table for each.

    [jets]
    query = "relativistic jets"
    category = "astro-ph.HE"
    since = 2015-01-01

Comments and order are kept when it is changed (tomlkit).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrosearch import atomic, paths
from astrosearch.config import CHOICES
from astrosearch.corpus.filters import Filters
from astrosearch.errors import AstrosearchError, InputError, NothingFound
from astrosearch.library.digest import FIRST_DAYS, LATE_DAYS, Seen
from astrosearch.library.scope import LibraryScope
from astrosearch.library.store import PATIENCE, check_selection
from astrosearch.search.hits import Answer
from astrosearch.search.query_parser import parse

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from astrosearch.search.searcher import Searcher

FILE = "searches.toml"

TYPES: Mapping[str, type] = {
    "index": str,
    "count": int,
    "mode": str,
    "sort": str,
    "format": str,
    "key": str,
    "author": str,
    "category": str,
    "since": date,
    "until": date,
    "in": str,
    "not-in": str,
    "abstracts": bool,
    "explain": bool,
    "ranker": str,
    "rerank": str,
    "expand": str,
}
"""What a search may say beside its query, and of which type it is."""

ORDERING = ("ranker", "rerank", "expand")
"""Of these, what a `Searcher` is opened with: `astrosearch run` opens one for each search."""

AMONG_THE_BEST = 1_000
"""A new paper counts if it is among the best of so many papers; at least among the best 100."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SavedSearch:
    """A query with the options of `astrosearch query`."""

    name: str
    query: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """By the names in `TYPES`."""

    @property
    def filters(self) -> Filters:
        names = ("author", "category", "since", "until")
        return Filters(**{name: self.options.get(name) for name in names})

    @property
    def ordering(self) -> str:
        """A sentence for where searches share a `Searcher`, if this one asks for another order."""
        names = [name for name in ORDERING if name in self.options]
        if not names:
            return ""
        has = "has" if len(names) == 1 else "have"
        return (
            f"{' and '.join(names)} of {self.name} {has} no effect here, but in `astrosearch run`"
        )

    def check(self) -> None:
        """
        Raises:
            InputError: if its name, its query or an option cannot be used.
        """
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} cannot name a search: use up to 100 letters, digits, '.', '_', '-'"
            )
        parsed = parse(self.query)
        scopes = [self.options[name] for name in ("in", "not-in") if name in self.options]
        for scope in scopes:
            check_selection(scope)
        asks = parsed.text or parsed.conditions or parsed.identifier or scopes
        if not asks and self.filters == Filters():
            raise InputError(f"search {self.name} has neither a query nor a filter")

    def answer(self, searcher: "Searcher", *, new: bool, count: int | None = None) -> Answer:
        """What it finds.

        Args:
            new: whether only papers that came since the last run count: those, among the best of
                all papers, that are not among the seen ones.
            count: how many; by default as the search says, else 10.
        """
        parsed, filters = parse(self.query), self.filters
        scope = LibraryScope.of(self.options.get("in"), self.options.get("not-in"))
        mode = self.options.get("mode", "hybrid")
        k = count or self.options.get("count", 10)
        if not new:
            return scope.answer(searcher, parsed, k, filters, mode)
        seen = self.seen(searcher.name)
        days = LATE_DAYS if seen.newest else FIRST_DAYS
        since = (seen.newest or searcher.newest_day()) - timedelta(days)
        if parsed.text:
            depth = max(100, len(searcher) // AMONG_THE_BEST)
        else:
            filters = replace(filters, since=max(since, filters.since or since))
            depth = len(searcher)
        answer = scope.answer(searcher, parsed, depth, filters, mode)
        fresh = [
            hit
            for hit in answer.hits
            if hit.paper.published >= since and hit.paper.id not in seen.ids
        ]
        hits = [replace(hit, rank=rank) for rank, hit in enumerate(fresh[:k], start=1)]
        return replace(answer, hits=hits)

    def seen(self, index: str) -> Seen:
        """The papers of an index at the last run."""
        return Seen.read(f"{index}.search-{self.name}")


def read_searches(folder: Path | None = None) -> tuple[dict[str, SavedSearch], list[str]]:
    """The saved searches by name, and what in the file cannot be used, with the line.

    Raises:
        InputError: if the file is not TOML.
    """
    file = (folder or paths.library_folder()) / FILE
    return _parse(_text(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8: save the file in this encoding") from None


def _parse(text: str) -> tuple[dict[str, SavedSearch], list[str]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        raise InputError(f"{FILE} cannot be read: {message[:1].lower()}{message[1:]}") from None
    searches: dict[str, SavedSearch] = {}
    problems = []
    for name, table in document.items():
        line = _line(text, name)
        if not isinstance(table, dict):
            problems.append(f"{FILE} line {line}: {name} belongs under a search: [NAME]")
            continue
        options = dict(table)
        query = options.pop("query", "")
        bad = [option for option, value in options.items() if not _is_usable(option, value)]
        problems += [
            f"{FILE} line {_line(text, option, line)}: {option} of {name} cannot be used"
            for option in bad
        ]
        if bad or not isinstance(query, str):
            continue  # half of a search would find other papers
        search = SavedSearch(name, query, options)
        try:
            search.check()
        except InputError as error:
            problems.append(f"{FILE} line {line}: {error}")
            continue
        searches[name] = search
    return searches, problems


def _is_usable(option: str, value: object) -> bool:
    if type(value) is not TYPES.get(option):  # neither a bool for a number nor a time for a day
        return False
    if isinstance(value, int) and option == "count":
        return value >= 1
    if option in ("rerank", "expand"):
        is_shipped = option == "rerank" and value == "cross-encoder"
        return is_shipped or str(value).startswith("openai:")
    choices = {**CHOICES, "ranker": ("learnt", "mean")}.get(option)
    return choices is None or value in choices


def _line(text: str, name: str, start: int = 1) -> int:
    for number, line in enumerate(text.splitlines()[start - 1 :], start=start):
        if re.match(rf"\s*\[?\s*[\"']?{re.escape(name)}[\"']?\s*[\]=]", line):
            return number
    return start


def find_search(name: str) -> SavedSearch:
    """
    Raises:
        NothingFound: if there is none of that name; it names those that there are.
        InputError: if it cannot be used.
    """
    searches, problems = read_searches()
    if name in searches:
        return searches[name]
    if told := [problem for problem in problems if name in problem]:
        raise InputError(told[0])
    known = f"; there are: {', '.join(searches)}" if searches else ""
    raise NothingFound(f"there is no saved search {name!r}{known}")


def save_search(search: SavedSearch, *, force: bool = False) -> None:
    """
    Raises:
        InputError: if it cannot be used, or there is one of that name and not `force`.
        AstrosearchError: if it cannot be written.
    """
    import tomlkit

    search.check()
    with _changing() as document:
        if search.name in document and not force:
            raise InputError(f"there is a search {search.name} already; --force replaces it")
        table = tomlkit.table()
        if search.query:
            table.add("query", search.query)
        for name, value in search.options.items():
            table.add(name, value)
        document[search.name] = table


def forget_search(name: str) -> None:
    """
    Raises:
        NothingFound: if there is none of that name.
        AstrosearchError: if it cannot be written.
    """
    with _changing() as document:
        if name not in document:
            known = f"; there are: {', '.join(document)}" if document else ""
            raise NothingFound(f"there is no saved search {name!r}{known}")
        del document[name]
    for file in (paths.library_folder() / "seen").glob(f"*.search-{name}.txt"):
        file.unlink(missing_ok=True)


@contextmanager
def _changing() -> "Iterator[TOMLDocument]":
    """The file's document, which is written when the block ends without an error."""
    import tomlkit

    folder = paths.library_folder()
    busy = AstrosearchError(
        f"the library is being changed by another process for {PATIENCE:.0f} s; try again"
    )
    with atomic.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic.locked(folder / ".lock", busy, patience=PATIENCE):
        text = _text(folder / FILE)
        _parse(text)  # says where it is not TOML
        document = tomlkit.parse(text)
        yield document
        with atomic.writing(folder / FILE), atomic.whole_file(folder / FILE) as stream:
            stream.write(document.as_string().encode())

"""One JSON object to one `Paper`, and back: the Kaggle snapshot's fields, and our own.

Our own record holds the fields of `Paper` under their own names, dates as YYYY-MM-DD:

    {"id": "2309.06126", "title": "…", "abstract": "…", "authors": ["Tuan Dung Nguyen", …],
     "categories": ["astro-ph.IM", …], "published": "2023-09-12", "updated": null, "doi": null,
     "version": 1}

The Kaggle snapshot (https://www.kaggle.com/datasets/Cornell-University/arxiv) holds authors and
categories as strings and dates in `versions`. `is_summary` is written only where it is true.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, cast

from astrosearch.corpus.withdrawal import is_withdrawn
from astrosearch.errors import IdentifierError, InputError, RecordError
from astrosearch.papers import Paper, month_of_id, normal_category, parse_id
from astrosearch.text.author_lists import agrees, split_authors
from astrosearch.text.authors import name_from_parts, tidy
from astrosearch.text.markup import without_markup

LONGEST_TEXT = 100_000
"""Characters of a title or an abstract. arXiv's have at most 6,000; the limit bounds the time that
any work on a paper takes."""

_SPACE = re.compile(r"[\t-\r\x85]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class WithdrawnError(RecordError):
    """A record of a withdrawn paper, which ends the earlier records of that paper."""

    def __init__(self, paper: Paper) -> None:
        super().__init__("withdrawn", f"{paper.id} was withdrawn")
        self.paper = paper


def paper_from_record(record: object) -> Paper:
    """Read a record in either form; ours is recognised by its lists, or its date `published`.

    Raises:
        RecordError: with the reason it is counted under, if the record cannot be a paper.
    """
    if not isinstance(record, dict):
        raise RecordError("not a record", f"a JSON {type(record).__name__}, not an object")
    fields = cast(dict[str, Any], record)
    arxiv_id = fields.get("id")
    if arxiv_id is None or arxiv_id == "":
        raise RecordError("no id", "the record has no id")
    if not isinstance(arxiv_id, str):
        raise RecordError(
            "id not a string",
            f"id {arxiv_id!r} is a {type(arxiv_id).__name__}: digits may be lost, "
            "write identifiers as strings",
        )
    try:
        paper_id, version = parse_id(arxiv_id)
    except IdentifierError as error:
        raise RecordError("bad id", str(error)) from None
    abstract = _fold(without_markup(_text(fields, "abstract")))
    if not abstract:
        raise RecordError("no abstract", f"{paper_id} has no abstract")
    title = _fold(without_markup(_text(fields, "title")))
    if not title:
        raise RecordError("no title", f"{paper_id} has no title")
    if max(len(title), len(abstract)) > LONGEST_TEXT:
        raise RecordError("text too long", f"{paper_id} has more than {LONGEST_TEXT:,} characters")
    is_own = (
        "published" in fields
        or isinstance(fields.get("authors"), list)
        or (isinstance(fields.get("categories"), list) and "versions" not in fields)
    )
    read = _own if is_own else _kaggle
    try:
        paper = read(fields, paper_id, version, title, abstract)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise RecordError("bad field", f"{paper_id}: a field has an odd value ({error})") from None
    if is_withdrawn(_text(fields, "comments"), abstract) or fields.get("withdrawn") is True:
        raise WithdrawnError(paper)
    return paper


def record_from_paper(paper: Paper, *, withdrawn: bool = False) -> dict[str, object]:
    """The own record of a paper, ready for JSON; `paper_from_record` reads it back unchanged.

    A `withdrawn` one is refused there, and takes earlier records of the paper with it.
    """
    record: dict[str, object] = {
        "id": paper.id,
        "title": paper.title,
        "abstract": paper.abstract,
        "authors": list(paper.authors),
        "categories": list(paper.categories),
        "published": paper.published.isoformat(),
        "updated": paper.updated.isoformat() if paper.updated else None,
        "doi": paper.doi,
        "version": paper.version,
    }
    if paper.journal_ref:
        record["journal_ref"] = paper.journal_ref
    if withdrawn:
        record["withdrawn"] = True
    if paper.is_summary:
        record["is_summary"] = True
    return record


def _own(
    fields: Mapping[str, Any], paper_id: str, version: int | None, title: str, abstract: str
) -> Paper:
    authors, categories = fields.get("authors") or [], fields.get("categories") or []
    if isinstance(authors, str):
        authors = split_authors(authors)
    if isinstance(categories, str):
        categories = [categories]
    return Paper(
        id=paper_id,
        title=title,
        abstract=abstract,
        authors=tuple(tidy(name) for name in authors),
        categories=_categories(" ".join(categories)),
        published=_iso_date(fields, "published", paper_id) or month_of_id(paper_id),
        updated=_iso_date(fields, "updated", paper_id),
        doi=_doi(_text(fields, "doi")),
        version=version or _whole_number(fields.get("version")),
        is_summary=fields.get("is_summary") is True,
        journal_ref=_text(fields, "journal_ref") or _text(fields, "journal-ref") or None,
    )


def _kaggle(
    fields: Mapping[str, Any], paper_id: str, version: int | None, title: str, abstract: str
) -> Paper:
    versions = fields.get("versions") or []
    updated = _iso_date(fields, "update_date", paper_id)
    if versions and version is None:
        version = max(map(_number_of_version, versions)) or None
    return Paper(
        id=paper_id,
        title=title,
        abstract=abstract,
        authors=_authors(fields.get("authors_parsed"), _text(fields, "authors")),
        categories=_categories(_text(fields, "categories")),
        published=_published(versions, updated, paper_id),
        updated=updated,
        doi=_doi(_text(fields, "doi").split(" ")[0]),
        version=version,
        journal_ref=_text(fields, "journal-ref") or None,
    )


_BEFORE_A_DOI = re.compile(r"^(?:(?:https?://)?(?:dx\.|www\.)?doi\.org/|doi:\s*)+", re.IGNORECASE)


def _doi(text: str) -> str | None:
    """A DOI without the address that leads to it."""
    return _BEFORE_A_DOI.sub("", text) or None


def _categories(text: str) -> tuple[str, ...]:
    """Categories between blanks, commas, semicolons or bars, as arXiv spells them."""
    return tuple(dict.fromkeys(map(_category, filter(None, re.split(r"[\s,;|]+", text)))))


@lru_cache(maxsize=1024)
def _category(text: str) -> str:
    try:
        return normal_category(text)
    except InputError:
        return text


def _published(versions: list[Any], updated: date | None, paper_id: str) -> date:
    """Day of the first version. Without it the id knows the month; the record may have changed
    years later."""
    month = month_of_id(paper_id)
    days = {_number_of_version(version): _created(version, paper_id) for version in versions}
    dated = {number: day for number, day in days.items() if day}
    if dated and min(dated) <= 1:
        return dated[min(dated)]
    for day in (*dated.values(), updated):
        if day and (day.year, day.month) == (month.year, month.month):
            return day
    return month


def _number_of_version(version: Mapping[str, Any]) -> int:
    return _whole_number(str(version.get("version", "")).lstrip("vV")) or 0


def _authors(parsed: object, text: str) -> tuple[str, ...]:
    """The names of `authors_parsed`, unless it is of another list; else those of `authors`."""
    if not parsed:
        return split_authors(text)
    names = _names_from_parts(parsed)
    return names if names and (not text or agrees(names, text)) else split_authors(text)


def _names_from_parts(parsed: object) -> tuple[str, ...]:
    """`[["Hofmann", "Fabian", ""], …]` to `("Fabian Hofmann", …)`."""
    if not isinstance(parsed, list) or not all(
        isinstance(parts, list) and all(isinstance(part, str) for part in parts) for parts in parsed
    ):
        raise RecordError("bad field", "authors_parsed is not a list of lists of texts")
    names = (name_from_parts(*map(tidy, [*parts, "", "", ""][:3])) for parts in parsed)
    return tuple(filter(None, names))


def _fold(text: str) -> str:
    """White space folded, control characters gone: they could take over a terminal."""
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(_CONTROL.sub("", _SPACE.sub(" ", text)).split())


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError("bad field", f"{name} is a {type(value).__name__}, not a text")
    return _fold(value)


def _iso_date(fields: Mapping[str, Any], name: str, paper_id: str) -> date | None:
    value = fields.get(name)
    text = str(value) if type(value) is int else _text(fields, name)
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        pass
    short = _SHORT_DATE.fullmatch(text)
    if short is None or not 0 <= int(short[2] or 0) <= 12 or not int(short[1]):
        raise RecordError("bad field", f"{paper_id}: {name} {text!r} is not a date")
    year, month = int(short[1]), int(short[2] or 0)
    issued = month_of_id(paper_id)
    return issued if not month and year == issued.year else date(year, month or 1, 1)


_SHORT_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-00)?)?", re.ASCII)


def _created(version: Mapping[str, Any], paper_id: str) -> date | None:
    """`{"created": "Fri, 06 May 2016 00:00:00 GMT"}` to its day."""
    value = version.get("created")
    if not value:
        return None
    # strptime takes 8 microseconds, the general parser 20; a snapshot has millions of lines.
    try:
        return date(int(value[12:16]), _MONTHS[value[8:11]], int(value[5:7]))
    except (KeyError, ValueError):
        pass
    try:
        parsed: datetime = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        raise RecordError("bad field", f"{paper_id}: created {value!r} is not a date") from None
    return parsed.date()


_MONTHS = {
    name: number
    for number, name in enumerate(
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}


def _whole_number(value: object) -> int | None:
    try:
        number = int(str(value)[:9])  # no paper has so many versions
    except ValueError:
        return None
    return number if number > 0 else None

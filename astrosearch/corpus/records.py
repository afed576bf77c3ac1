"""One JSON object to one `Paper`, and back: our own fields, and those of the Kaggle snapshot.

Our own record holds the fields of `Paper` under their own names, dates as YYYY-MM-DD:

    {"id": "2309.06126", "title": "…", "abstract": "…", "authors": ["Tuan Dung Nguyen", …],
     "categories": ["astro-ph.IM", …], "published": "2023-09-12", "updated": null, "doi": null,
     "version": 1}

The Kaggle snapshot (https://www.kaggle.com/datasets/Cornell-University/arxiv) holds authors and
categories as texts and dates in `versions`; its copies hold some of them as lists. A field may be
in either form. `is_summary`, `journal_ref` and `withdrawn` are written only where they tell
something. Records of other services are brought into this form by `forms`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, cast

from astrosearch.corpus.forms import own_fields
from astrosearch.corpus.withdrawal import is_withdrawn
from astrosearch.errors import IdentifierError, InputError, RecordError
from astrosearch.papers import ArxivId, Paper, month_of_id, normal_category, parse_id
from astrosearch.text.author_lists import agrees, split_authors
from astrosearch.text.authors import (
    is_group,
    name_from_parts,
    plain_name,
    plain_names,
    split_name,
    tidy,
)
from astrosearch.text.markup import without_markup

LONGEST_TEXT = 100_000
"""Characters of a title or an abstract. arXiv's have at most 6,000; the limit bounds the time that
any work on a paper takes."""

_SPACE = re.compile(r"[\t-\r\x85]")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
"""Control characters, and those that have no width: soft hyphens, directions, byte order marks, and
tags, in which text can be hidden from people and not from language models."""


class WithdrawnError(RecordError):
    """A record of a withdrawn paper, which ends the earlier records of that paper."""

    def __init__(self, paper: Paper) -> None:
        super().__init__("withdrawn", f"{paper.id} was withdrawn")
        self.paper = paper


def paper_from_record(record: object) -> Paper:
    """Read a record in any of the forms.

    Raises:
        RecordError: with the reason it is counted under, if the record cannot be a paper.
    """
    if not isinstance(record, dict):
        raise RecordError("not a record", f"a JSON {type(record).__name__}, not an object")
    try:
        fields = own_fields(cast(dict[str, Any], record))
    except (AttributeError, TypeError) as error:
        raise RecordError("bad field", f"a field has an odd value ({error})") from None
    paper_id, version = _id(fields.get("id"))
    abstract = _plain_text(fields, "abstract")
    if len(abstract) < _LONGEST_NO_ABSTRACT and _NO_ABSTRACT.fullmatch(abstract):
        raise RecordError("no abstract", f"{paper_id} has no abstract")
    title = _plain_text(fields, "title")
    if not title:
        raise RecordError("no title", f"{paper_id} has no title")
    if max(len(title), len(abstract)) > LONGEST_TEXT:
        raise RecordError("text too long", f"{paper_id} has more than {LONGEST_TEXT:,} characters")
    try:
        paper = _paper(fields, paper_id, version, title, abstract)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise RecordError("bad field", f"{paper_id}: a field has an odd value ({error})") from None
    if is_withdrawn(_text(fields, "comments"), abstract, title) or fields.get("withdrawn") is True:
        raise WithdrawnError(paper)
    return paper


_NO_ABSTRACT = re.compile(r"|(?:abstract )?not available\.?|no abstract(?: available)?\.?", re.I)
_LONGEST_NO_ABSTRACT = 30


def _id(value: object) -> ArxivId:
    if value is None or value == "":
        raise RecordError("no id", "the record has no id")
    if not isinstance(value, str):
        raise RecordError(
            "id not a string",
            f"id {value!r} is a {type(value).__name__}: digits may be lost, "
            "write identifiers as strings",
        )
    try:
        return parse_id(value)
    except IdentifierError as error:
        raise RecordError("bad id", str(error)) from None


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


def _paper(
    fields: Mapping[str, Any], paper_id: str, version: int | None, title: str, abstract: str
) -> Paper:
    versions = fields.get("versions") or []
    if isinstance(versions, str):
        versions = [versions]
    numbers = map(_number_of_version, versions)
    updated = _day(fields, "updated", paper_id) or _day(fields, "update_date", paper_id)
    issued = _day(fields, "issued", paper_id)
    return Paper(
        id=paper_id,
        title=title,
        abstract=abstract,
        authors=_authors(fields),
        categories=_categories(fields.get("categories")),
        published=_day(fields, "published", paper_id)
        or _first_day(versions, (updated, issued), paper_id),
        updated=updated,
        doi=doi_in(doi) if (doi := _text(fields, "doi")) else None,
        version=version or _whole_number(fields.get("version")) or max(numbers, default=0) or None,
        is_summary=fields.get("is_summary") is True,
        journal_ref=_journal_ref(fields),
    )


def _journal_ref(fields: Mapping[str, Any]) -> str | None:
    text = _text(fields, "journal_ref") or _text(fields, "journal-ref")
    return (_fold(without_markup(text)) or None) if text else None


_DOI = re.compile(r"10\.\d[\d.]*/\S+?(?=[,;]?(?:\s|$)|[,;]\s*(?:doi:\s*)?10\.\d{4})", re.IGNORECASE)
_BEHIND_A_DOI = re.compile(r"(?:[.,;:'\"”’>}/\]]+|/(?:pdf|epdf|full|abstract|meta))$")


def doi_in(text: str) -> str | None:
    """The first DOI in a text: alone, behind `doi:`, or in an address; None if there is none.

    >>> doi_in("DOI 10.1093/mnras/stab1."), doi_in("https://doi.org/10.1016%2Fj.new.2020")
    ('10.1093/mnras/stab1', '10.1016/j.new.2020')
    """
    text = tidy(text[:1000])
    if "%" in text:
        text = re.sub("%2f", "/", text, flags=re.IGNORECASE)
    match = _DOI.search(text)
    if match is None:
        return None
    doi = match[0]
    while (shorter := _BEHIND_A_DOI.sub("", doi)) != doi or (
        doi.endswith(")") and doi.count("(") < doi.count(")")
    ):
        doi = shorter if shorter != doi else doi[:-1]
    return doi


def _categories(value: object) -> tuple[str, ...]:
    """Categories between blanks, commas, semicolons or bars, as arXiv spells them; those of the
    ACM and the MSC (`J.2`, `85A40 (Primary)`), which have digits, are left out."""
    if isinstance(value, Mapping):
        raise TypeError("categories is an object")
    text = value if isinstance(value, str) else " ".join(filter(None, cast(list[str], value or [])))
    return _known_categories(text) if len(text) < 100 else _categories_in(text)


def _categories_in(text: str) -> tuple[str, ...]:
    text = _RANK.sub(" ", _fold(text))
    names = _IN_BRACKETS.findall(text) or re.split(r"(?:[\s,;|/&·()\[\]'\"]|\band\b)+", text)
    return tuple(dict.fromkeys(_category(name) for name in names if not _NOT_ARXIV.search(name)))


_known_categories = lru_cache(maxsize=1024)(_categories_in)
"""A corpus has few thousand combinations of them, most of them rare."""

_RANK = re.compile(r"\((?:primary|secondary)\)", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(([A-Za-z-]+(?:\.[A-Za-z-]+)?)\)")
"""Astrophysics of Galaxies (astro-ph.GA)"""
_NOT_ARXIV = re.compile(r"\d|^$")


@lru_cache(maxsize=1024)
def _category(text: str) -> str:
    try:
        return normal_category(text)
    except InputError:
        return text


def _first_day(versions: list[Any], others: Iterable[date | None], paper_id: str) -> date:
    """Day of the first version. Without it the id knows the month, of which other days may be: the
    record may have changed, or a journal have printed the paper, years later."""
    days = {_number_of_version(version): _created(version, paper_id) for version in versions}
    dated = {number: day for number, day in days.items() if day}
    if dated and (first := min(dated)) <= 1:
        return dated[first]
    month = month_of_id(paper_id)
    for day in (*dated.values(), *others):
        if day and (day.year, day.month) == (month.year, month.month):
            return day
    return month


def _number_of_version(version: Mapping[str, Any] | str) -> int:
    """Of `{"version": "v2"}`, or of `v2` alone; 0 if it has none."""
    name = version if isinstance(version, str) else str(version.get("version", ""))
    return _number_in(name)


@lru_cache(maxsize=256)
def _number_in(name: str) -> int:
    return _whole_number(name.strip().lstrip("vV")) or 0


def _authors(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of `authors_parsed`, unless it is of another list; else those of `authors`."""
    parsed = fields.get("authors_parsed")
    if isinstance(fields.get("authors"), list) and not parsed:
        return tuple(filter(None, map(_name, fields["authors"])))
    text = "" if isinstance(fields.get("authors"), list) else _text(fields, "authors")
    if not parsed:
        return split_authors(text)
    names, odd = _names_from_parts(parsed)
    if names and (not text or not odd or agrees(names, text, odd)):
        return names
    return split_authors(text)


def _name(author: str | Mapping[str, Any]) -> str:
    """A name as it is stored, from a text or from an object that has it whole or in parts."""
    if isinstance(author, str):
        name = tidy(author)
        if "," not in name or is_group(name):
            return name
        parts = split_name(name)
        return name_from_parts(parts.surname, parts.given, parts.suffix)
    if author.get("name"):
        return _name(author["name"])
    middle = author.get("middle") or []
    given = [author.get("first") or author.get("given") or "", *middle]
    family = author.get("last") or author.get("family") or ""
    return name_from_parts(tidy(family), tidy(" ".join(given)), tidy(author.get("suffix") or ""))


def _names_from_parts(parsed: object) -> tuple[tuple[str, ...], list[str]]:
    """`[["Hofmann", "Fabian", ""], …]` to `("Fabian Hofmann", …)`, and those of the names that are
    not plain or have no given name; the others agree with any list."""
    if not (isinstance(parsed, list) and {*map(type, parsed)} <= {list}):
        raise RecordError("bad field", _NOT_PARTS)
    try:
        if plain := plain_names(parsed):
            return tuple(plain), []
    except TypeError:
        raise RecordError("bad field", _NOT_PARTS) from None
    names: list[str] = []
    odd: list[str] = []
    for parts in parsed:
        family, given, suffix = parts if len(parts) == 3 else [*parts, "", "", ""][:3]
        name = plain_name(family, given, suffix)
        if not (name and given):
            name = name or _tidy_name(family, given, suffix)
            odd.append(name)
        names.append(name)
    return tuple(filter(None, names)), [*filter(None, odd)]


_NOT_PARTS = "authors_parsed is not a list of lists of texts"


@lru_cache(maxsize=8192)  # half of those that are not plain come again
def _tidy_name(family: str, given: str, suffix: str) -> str:
    return name_from_parts(tidy(family), tidy(given), tidy(suffix))


def _fold(text: str) -> str:
    """White space folded, control characters gone: they could take over a terminal."""
    line = text.replace("\n", " ")  # the snapshot's lines are broken
    if _is_printable(line):
        return line.strip() if "  " not in line else " ".join(line.split())
    return " ".join(_CONTROL.sub("", _SPACE.sub(" ", text)).split())


def _is_printable(text: str) -> bool:
    """`str.isprintable`, which takes twice as long for an abstract in ASCII."""
    if len(text) > 100 and text.isascii():
        return len(text.encode().translate(None, _CONTROL_BYTES)) == len(text)
    return text.isprintable()


_CONTROL_BYTES = bytes(code for code in range(128) if not chr(code).isprintable())


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise RecordError("bad field", f"{name} is a {type(value).__name__}, not a text")
    return _fold(value)


def _plain_text(fields: Mapping[str, Any], name: str) -> str:
    """`_text` without markup."""
    text = _text(fields, name)
    plain = without_markup(text)
    return text if plain is text else _fold(plain)


def _day(fields: Mapping[str, Any], name: str, paper_id: str) -> date | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and value >= _FIRST_SECOND:
        seconds = value if value < 1000 * _FIRST_SECOND else value // 1000
        return datetime.fromtimestamp(seconds, UTC).date()
    text = str(value) if type(value) is int else _text(fields, name)
    if not text or text.startswith("0000"):  # 0000-00-00 is how databases write no date
        return None
    day = _read_day(text, paper_id)
    if day is None:
        raise RecordError("bad field", f"{paper_id}: {name} {text!r} is not a date")
    return day


_FIRST_SECOND = 5 * 10**8
"""Since 1970, in 1985: numbers from here on are seconds, or milliseconds as pandas writes them."""
_IN_WORDS = re.compile(
    r"(?:(\d{1,2})\s+)?([A-Z][a-z]{2})[a-z]*\.?\s+(?:(\d{1,2}),?\s+)?(\d{4})", re.ASCII
)
_NUMBERS = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?(?:[T ]\d\d?:.*|[T ]?Z?)", re.ASCII
)


def _read_day(text: str, paper_id: str) -> date | None:
    """2016-05-06, with a time or without; 2016-5, 2016-05-00 and 2016, whose first day is taken;
    6 May 2016, May 6, 2016 and May 2016; Fri, 6 May 2016 10:00:00 GMT. None if a text is not a
    date."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        pass
    match = _NUMBERS.fullmatch(text)
    words = _IN_WORDS.fullmatch(text)
    try:
        if words and words[2] in _MONTHS:
            return date(int(words[4]), _MONTHS[words[2]], int(words[1] or words[3] or 1))
        if match is None:
            return parsedate_to_datetime(text).date()
        year, month, day = (int(match[group] or 0) for group in (1, 3, 4))
        issued = month_of_id(paper_id)
        return issued if not month and year == issued.year else date(year, month or 1, day or 1)
    except (TypeError, ValueError):
        return None


def _created(version: Mapping[str, Any] | str, paper_id: str) -> date | None:
    """`{"created": "Fri, 06 May 2016 00:00:00 GMT"}` to its day."""
    value = None if isinstance(version, str) else version.get("created")
    if not value:
        return None
    # strptime takes 8 microseconds, the general parser 20; a snapshot has millions of lines.
    try:
        return date(int(value[12:16]), _MONTHS[value[8:11]], int(value[5:7]))
    except (KeyError, ValueError):
        pass
    day = _read_day(value, paper_id)
    if day is None:
        raise RecordError("bad field", f"{paper_id}: created {value!r} is not a date")
    return day


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

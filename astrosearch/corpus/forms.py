"""Records of other services, under the names of our fields.

`FORMS` lists the forms; README.md beside this file says which field comes from which key. A form
is recognised by its keys, so a file may hold several.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from astrosearch.errors import IdentifierError, RecordError
from astrosearch.papers import arxiv_id_of_bibcode, parse_id

Fields = Mapping[str, Any]


class Form(NamedTuple):
    """How a service writes a record."""

    name: str
    """With its article, as a refusal has it."""
    keys: frozenset[str]
    """Each of them tells the form from all others."""
    names: tuple[str, ...]
    """Keys of what a record without an arXiv identifier can be named by."""
    mapped: Callable[[Fields], dict[str, Any]]
    """A record's values under our names, in place of what it has there; None if it has none."""


def own_fields(fields: Fields) -> Fields:
    """The fields of a record under our names; a record in our own form or in that of the Kaggle
    snapshot stays as it is.

    >>> own_fields({"entry_id": "2309.06126", "summary": "We look at dust."})["abstract"]
    'We look at dust.'

    Raises:
        RecordError: if it is of another service and has no arXiv identifier.
        AttributeError, TypeError: if a value is of a kind that its form does not have.
    """
    if _KEYS.isdisjoint(fields):
        return fields
    for form in FORMS:
        if not form.keys.isdisjoint(fields):
            mapped = form.mapped(fields)
            if not mapped["id"]:
                name = next((fields[key] for key in form.names if fields.get(key)), "no name")
                raise RecordError(
                    "no arXiv id",
                    f"{form.name} record without an arXiv identifier, under which papers are kept "
                    f"({str(name)[:100]})",
                )
            return {**fields, **mapped}
    return fields


def _of_ads(fields: Fields) -> dict[str, Any]:
    """A document of the ADS search service: https://ui.adsabs.harvard.edu/help/api/."""
    keys = ("id", "identifier", "eid", "doi", "bibcode", "alternate_bibcode")
    pages = _number(fields.get("page_range")) or _number(fields.get("page"))
    name = _first_text(fields, "pub", "bibstem")
    year = _number(fields.get("year")) or _first_text(fields, "pubdate")[:4]
    return {
        "id": _arxiv_id(*map(fields.get, keys)),
        "title": _first_text(fields, "title"),
        "authors": fields.get("authors") or fields.get("author"),
        "categories": fields.get("categories") or fields.get("arxiv_class"),
        "comments": "; ".join(_texts(fields.get("comments") or fields.get("comment"))),
        "issued": _first_text(fields, "pubdate", "date"),
        "doi": _doi(_texts(fields.get("doi"))),
        "journal_ref": fields.get("journal_ref")
        or _journal_ref(name, _number(fields.get("volume")), pages, year),
    }


def _of_the_arxiv_api(fields: Fields) -> dict[str, Any]:
    """A `Result` of arxiv.py, or an entry of arXiv's Atom feed as XML readers dump it:
    https://info.arxiv.org/help/api/user-manual.html."""

    def value(name: str) -> Any:
        for key in (name, f"arxiv_{name}", f"arxiv:{name}"):
            if fields.get(key):
                return fields[key]
        return None

    keys = ("entry_id", "id", "arxiv_id", "short_id", "link", "pdf_url")
    categories = fields.get("categories") or fields.get("tags") or fields.get("category")
    authors = fields.get("authors") or fields.get("author")
    return {
        "id": _arxiv_id(*map(fields.get, keys)) or fields.get("id"),
        "title": " ".join(_terms(fields.get("title"))),
        "abstract": fields.get("abstract") or " ".join(_terms(fields.get("summary"))),
        "authors": [authors] if isinstance(authors, Mapping) else authors,
        "categories": [*_terms(value("primary_category")), *_terms(categories)],
        "comments": fields.get("comments") or " ".join(_terms(value("comment"))),
        "doi": _doi(_terms(value("doi"))),
        "journal_ref": " ".join(_terms(value("journal_ref"))),
    }


def _of_semantic_scholar(fields: Fields) -> dict[str, Any]:
    """A paper of Semantic Scholar's API or of its dumps, whose keys are in lower case:
    https://api.semanticscholar.org/api-docs/."""
    lower = {key.lower(): value for key, value in fields.items()}
    services = {key.lower(): value for key, value in _object(lower.get("externalids")).items()}
    explicit = services.get("arxiv") or lower.get("arxivid") or lower.get("arxiv_id")
    doi = _texts(services.get("doi") or lower.get("doi"))
    copy = _object(lower.get("openaccesspdf")).get("url")
    journal = lower.get("journal") or {}
    if not isinstance(journal, Mapping):
        journal = {"name": journal}
    name = _first_text(journal, "name") or _first_text(lower, "venue")
    volume, pages = _number(journal.get("volume")), _number(journal.get("pages"))
    return {
        "id": explicit or _arxiv_id(lower.get("id"), lower.get("paper_id"), doi, copy),
        "issued": lower.get("publicationdate"),
        "doi": _doi(doi),
        "journal_ref": lower.get("journal_ref")
        or _journal_ref(name, volume, pages, _number(lower.get("year"))),
    }


FORMS = (
    Form(
        "a Semantic Scholar",
        frozenset("paperId externalIds externalids corpusId corpusid arxivId paper_id".split()),
        ("paperId", "corpusid", "corpusId", "paper_id", "title"),
        _of_semantic_scholar,
    ),
    Form(
        "an ADS",
        frozenset("bibcode identifier arxiv_class pubdate bibstem".split()),
        ("bibcode", "title"),
        _of_ads,
    ),
    Form(
        "an arXiv API",
        frozenset(
            """entry_id summary pdf_url arxiv_id primary_category arxiv_primary_category
            arxiv:primary_category guidislink""".split()
        ),
        ("title",),
        _of_the_arxiv_api,
    ),
)
"""The forms that are known, in the order in which they are tried."""
_KEYS = frozenset().union(*(form.keys for form in FORMS))


def _arxiv_id(*values: object) -> str | None:
    """The first of some texts, or lists of them, that is an arXiv identifier, or the bibcode of a
    preprint."""
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    texts = [item for item in items if isinstance(item, str)]
    for text in texts:
        try:
            parse_id(text)
        except IdentifierError:
            continue
        return text
    return next(filter(None, map(arxiv_id_of_bibcode, texts)), None)


def _doi(texts: list[str]) -> str | None:
    """A journal's DOI, or else the one that arXiv itself gives a paper."""
    return min(texts, key=lambda text: "10.48550/" in text, default=None)


def _journal_ref(name: str, volume: str, pages: str, year: str) -> str | None:
    """`ApJ 912, 1 (2021)`; None for what appeared at arXiv alone."""
    if not name or "arxiv" in name.lower():
        return None
    pages = re.sub(r"\s*[-–—]+\s*", "-", pages)
    text = ", ".join(filter(None, (f"{name} {volume}".strip(), pages)))
    return f"{text} ({year})" if year else text


def _texts(value: object) -> list[str]:
    """The texts of a list, or a text alone; nulls and empty ones left out."""
    texts: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) or item is None:
            texts += [item] if item else []
        else:
            raise TypeError(f"a {type(item).__name__} where a text is expected")
    return texts


def _object(value: object) -> Mapping[str, Any]:
    """A value that has keys of its own; null is one without any."""
    if isinstance(value, Mapping):
        return value
    if value:
        raise TypeError(f"a {type(value).__name__} where an object is expected")
    return {}


def _first_text(fields: Fields, *keys: str) -> str:
    return next((text for key in keys for text in _texts(fields.get(key))), "")


def _number(value: object) -> str:
    """A year, a volume or a page, which may be a number, a text, or a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    return f"{value:.10g}" if isinstance(value, int | float) else "".join(_texts(value)).strip()


def _terms(value: object) -> list[str]:
    """The texts of elements, of which an XML reader makes objects or texts."""
    texts: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, Mapping):
            item = next((item[key] for key in ("term", "@term", "#text") if key in item), None)
        texts += _texts(item)
    return texts

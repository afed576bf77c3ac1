"""BibTeX entries as items of CSL-JSON (`text.csl`)."""

import re

from astrosearch.library import facts
from astrosearch.library.bibtex_text import Entry
from astrosearch.library.store import LibraryPaper
from astrosearch.text import csl

TYPES = {
    "article": "article-journal", "book": "book", "proceedings": "book", "booklet": "pamphlet",
    "inbook": "chapter", "incollection": "chapter", "inproceedings": "paper-conference",
    "conference": "paper-conference", "phdthesis": "thesis", "mastersthesis": "thesis",
    "thesis": "thesis", "techreport": "report", "report": "report", "unpublished": "manuscript",
    "online": "webpage", "electronic": "webpage", "software": "software", "dataset": "dataset",
}  # fmt: skip


def item(paper: LibraryPaper) -> csl.Item:
    """The item of a paper of the library, which is cited by its key."""
    entry = paper.entry
    preprint = csl.in_arxiv(paper.arxiv) if paper.arxiv else {}
    kind = TYPES.get(entry.type, "article" if preprint else "document")
    editors = entry.fields.get("editor") if entry.fields.get("author") else ""
    page = _text(entry, "pages", "eid")
    number = _text(entry, "number", "issue")
    keywords = _text(entry, "keywords")
    fields = {
        "type": kind,
        "title": facts.title(entry),
        "author": csl.people(facts.authors(entry)),
        "editor": csl.people(facts.people(editors)) if editors else [],
        "container-title": facts.journal(entry) or (kind != "book" and _text(entry, "booktitle")),
        "publisher": _text(entry, "publisher", "school", "institution", "organization"),
        "volume": _text(entry, "volume"),
        "issue": "" if "arxiv" in number.lower() else number,
        "page": "" if "arxiv" in page.lower() else re.sub("[-–—]+", "-", page),
        "edition": _text(entry, "edition"),
        "ISBN": _text(entry, "isbn"),
        "issued": _issued(entry),
        "DOI": facts.doi(entry),
        "URL": _text(entry, "url") or paper.paper.url,
        "abstract": _text(entry, "abstract"),
        "keyword": ", ".join(filter(None, map(str.strip, re.split("[,;]", keywords)))),
        "language": _text(entry, "language", "langid"),
        **preprint,
    }
    return csl.item(entry.key, fields)


def _text(entry: Entry, *names: str) -> str:
    """The first of some fields that is there."""
    return next((facts.readable(entry.fields[name]) for name in names if name in entry.fields), "")


def _issued(entry: Entry) -> csl.Item:
    day = facts.day(entry)
    if day is None:
        return {}
    has_month = "month" in entry.fields or re.match(r"\d{4}-\d\d", entry.fields.get("date", ""))
    return csl.issued(day.year, day.month) if has_month else csl.issued(day.year)

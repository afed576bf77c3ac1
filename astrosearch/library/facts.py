r"""What a BibTeX entry says of its paper, whoever wrote it.

ADS writes `eprint`, `archivePrefix` and `adsurl`; Zotero a `note` or `number`
`arXiv:1903.07603 [astro-ph]`; biblatex `eprinttype`; JabRef and papis what the user typed. Journals
may be macros of AASTeX, `\apj`.
"""

import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import unquote

from astrosearch.errors import IdentifierError
from astrosearch.library.bibtex_text import Entry
from astrosearch.papers import Paper, arxiv_id_of_bibcode, parse_id
from astrosearch.text.authors import ET_AL, name_from_parts
from astrosearch.text.journals import journal_named
from astrosearch.text.tex import one_line, to_unicode

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_IN_TEXT = re.compile(
    r"(?:arxiv(?:\s+preprint|\s+e-prints)?[:.\s/]+(?:abs/|arxiv[:.])?|arxiv\.org/(?:abs|pdf)/)"
    r"((?:[a-z-]+(?:\.[a-z]{2})?/)?\d{4}\.?\d{3,5})(?:v\d+)?(?!\d)",
    re.IGNORECASE,
)
_BIBCODE = re.compile(r"[12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:]")
_EXTENDED = re.compile(
    r"\b(family|given|prefix|suffix)\s*=\s*((?:[^,{}\"]|\{(?:[^{}]|\{[^{}]*\})*\})*)"
)
"""Parts of a name as biblatex has them, too: `family=Berg, given=Ann, prefix=van der`."""
_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>{}]+")
_TEXTS = ("note", "number", "journal", "howpublished", "pages", "volume", "url", "doi", "annote")
"""Fields in which a preprint's identifier may stand among other words."""


def arxiv_id(entry: Entry) -> str | None:
    """The arXiv identifier that an entry names; None if it names none."""
    fields = entry.fields
    archive = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").lower()
    names = ["arxiv", "arxivid", "arxiv_id"]
    if archive == "arxiv":
        names = ["eprint", *names]
    for name in names:
        if identifier := _parsed(fields.get(name, "")):
            return identifier
        old = f"{_class(entry)}/{fields.get(name, '')}"
        if fields.get(name) and (identifier := _parsed(old)):  # eprint = {9401008}
            return identifier
    for text in _texts(entry):
        for match in _IN_TEXT.finditer(text):
            if identifier := _parsed(match[1]):
                return identifier
    for text in (entry.key, fields.get("adsurl", ""), fields.get("bibcode", "")):
        for code in _BIBCODE.findall(text.replace("%26", "&")):
            if identifier := arxiv_id_of_bibcode(code):
                return identifier
    return None


def _class(entry: Entry) -> str:
    return entry.fields.get("primaryclass") or entry.fields.get("eprintclass", "")


def _parsed(text: str) -> str | None:
    try:
        return parse_id(text).id if text else None
    except IdentifierError:
        return None


def _texts(entry: Entry) -> Iterator[str]:
    return (entry.fields[name].replace("\\_", "_") for name in _TEXTS if name in entry.fields)


def doi(entry: Entry) -> str | None:
    """The DOI that an entry names, in lower case; not that of a preprint."""
    for name in ("doi", "url", "note", "howpublished"):
        text = re.sub(r"(\{?)\\([_%#&])(?(1)\}?)", r"\2", entry.fields.get(name, ""))
        if match := _DOI.search(text):
            found = match[0].rstrip(".,;)").lower()
            if not found.startswith("10.48550/"):
                return found
    return None


def bibcode(entry: Entry) -> str | None:
    """The bibcode that an entry names, by its address at ADS or its key."""
    fields = entry.fields
    for text in (fields.get("bibcode", ""), fields.get("adsurl", ""), entry.key):
        for part in unquote(text.replace("\\", "")).split("/"):
            if _BIBCODE.fullmatch(part) and any(map(str.isdigit, part[5:])):
                return part
    return None


def title(entry: Entry) -> str:
    """In Unicode, on one line."""
    return readable(entry.fields.get("title") or entry.fields.get("booktitle", ""))


def authors(entry: Entry) -> tuple[str, ...]:
    """Names, given name first; of a book without authors, its editors."""
    return people(_author_field(entry))


def first_author(entry: Entry) -> str:
    """The first of `authors`, without a look at the others; empty if there is none."""
    return next(_people(_author_field(entry)), "")


def _author_field(entry: Entry) -> str:
    return entry.fields.get("author") or entry.fields.get("editor", "")


def people(text: str) -> tuple[str, ...]:
    """The names of a field, given name first."""
    return tuple(_people(text)) if text else ()


def _people(text: str) -> Iterator[str]:
    from bibtexparser.middlewares.names import (
        InvalidNameError,
        parse_single_name_into_parts,
        split_multiple_persons_names,
    )

    for person in split_multiple_persons_names(text):
        if person.strip().lower() == "others":
            yield ET_AL
            continue
        if "family=" in person.replace(" ", ""):
            extended = {name: readable(value) for name, value in _EXTENDED.findall(person)}
            family = f"{extended.get('prefix', '')} {extended.get('family', '')}".strip()
            yield name_from_parts(family, extended.get("given", ""), extended.get("suffix", ""))
            continue
        try:
            parts = parse_single_name_into_parts(person, strict=False)
        except (InvalidNameError, ValueError):
            yield readable(person)
            continue
        family = readable(" ".join([*parts.von, *parts.last]))
        given, suffix = readable(" ".join(parts.first)), readable(" ".join(parts.jr))
        if name := name_from_parts(family, given, suffix):
            yield name


def year(entry: Entry) -> int | None:
    match = re.search(r"\b(1[5-9]|20)\d\d\b", entry.fields.get("year") or _date(entry))
    return int(match[0]) if match else None


def _date(entry: Entry) -> str:
    return entry.fields.get("date", "")


def day(entry: Entry) -> date | None:
    """The first day of what an entry tells of its date; None if it has no year."""
    number = year(entry)
    if number is None:
        return None
    month = entry.fields.get("month", "")[:3].lower()
    if month in _MONTHS:
        return date(number, _MONTHS.index(month) + 1, 1)
    if match := re.match(r"\d{4}-(\d\d)", _date(entry)):
        month = match[1]
    return date(number, min(max(int(month), 1), 12) if month.isdecimal() else 1, 1)


def journal(entry: Entry) -> str:
    """As reference lists print it: `ApJ` for `\\apj`."""
    text = entry.fields.get("journal") or entry.fields.get("journaltitle", "")
    if known := journal_named(text.lstrip("\\")) if text.startswith("\\") else None:
        return known.name
    return readable(text.lstrip("\\") if re.fullmatch(r"\\[a-z]+", text) else text)


def published_in(entry: Entry) -> str:
    """`ApJ 876, 85 (2019)`, as far as it is known."""
    name = journal(entry) or readable(
        entry.fields.get("booktitle") or entry.fields.get("publisher", "")
    )
    volume, page = (readable(entry.fields.get(field, "")) for field in ("volume", "pages"))
    page = page or readable(entry.fields.get("eid", ""))
    text = " ".join(filter(None, (name, ", ".join(filter(None, (volume, page))))))
    number = year(entry)
    return f"{text} ({number})" if text and number else text


def paper(entry: Entry, paper_id: str) -> Paper:
    """The paper that an entry describes, as far as it does. Without a year it is dated 1900.

    Args:
        paper_id: an arXiv identifier, or the key of an entry that has none.
    """
    return Paper(
        id=paper_id,
        title=title(entry) or entry.key,
        abstract=readable(entry.fields.get("abstract", "")),
        authors=authors(entry),
        categories=tuple(_class(entry).split()),
        published=day(entry) or date(1900, 1, 1),
        doi=doi(entry),
        journal_ref=published_in(entry) or None,
    )


def readable(text: str) -> str:
    return one_line(" ".join(to_unicode(text).split())) if text else ""

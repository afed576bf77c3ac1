"""RIS, the format of reference managers and publishers: lines of a tag of two letters and a value
(https://en.wikipedia.org/wiki/RIS_(file_format)).

    TY  - JOUR
    AU  - Nowak, Łucja
    TI  - Dust at z ∼ 7

Records are read from files of others; papers are written with the tags of Zotero's and EndNote's
import filters, in Unicode, not TeX.
"""

import re
from collections.abc import Iterator, Sequence

from astrosearch.library.bibtex_text import Problem
from astrosearch.library.records import Record, author_and_year, entry, people, person
from astrosearch.papers import Paper
from astrosearch.text.authors import is_et_al, is_group, split_name
from astrosearch.text.journals import published_in
from astrosearch.text.tex import one_line, to_unicode

_LINE = re.compile(r"([A-Z][A-Z0-9])  ?- ?(.*)")

TYPES = {
    "JOUR": "article", "JFULL": "article", "MGZN": "article", "EJOUR": "article",
    "BOOK": "book", "EBOOK": "book", "CHAP": "incollection", "ECHAP": "incollection",
    "CONF": "inproceedings", "CPAPER": "inproceedings", "THES": "phdthesis", "RPRT": "techreport",
    "UNPB": "unpublished",
}  # fmt: skip

FIELDS = {
    "title": "TI T1",
    "journal": "JO JF T2 JA J2",
    "volume": "VL",
    "number": "IS",
    "publisher": "PB",
    "doi": "DO",
    "url": "UR",
    "abstract": "AB N2",
    "note": "N1",
    "isbn": "SN",
    "eprint": "AN",
    "language": "LA",
}
"""What the fields of an entry are called, the first that is there counts."""

_READ = {"TY", "ER", "AU", "A1", "A2", "ED", "SP", "EP", "PY", "Y1", "DA", "KW", "ID"}


def looks_like_ris(text: str) -> bool:
    return bool(re.search(r"^\ufeff?TY  ?- ", text, re.MULTILINE))


def read(text: str) -> tuple[list[Record], list[Problem]]:
    """The records of a file, and what of it cannot be read."""
    records, problems = [], []
    values: dict[str, list[str]] = {}
    begun, last = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line)
        if match is None:
            if line.strip() and last:
                values[last][-1] += f" {line.strip()}"  # a value goes on
            elif line.strip():
                problems.append(Problem(number, "a line outside of any record"))
            continue
        tag, value = match[1], match[2].strip()
        if tag == "ER":
            if values:
                records.append(_record(values))
            values, last = {}, ""
        elif tag == "TY":
            if values:
                problems.append(Problem(begun, "the record does not end with ER"))
                records.append(_record(values))
            values, begun, last = {tag: [value]}, number, tag
        elif not values:
            problems.append(Problem(number, f"{tag} outside of any record"))
        else:
            values.setdefault(tag, []).append(value)
            last = tag
    if values:
        problems.append(Problem(begun, "the record does not end with ER"))
        records.append(_record(values))
    return records, problems


def _record(values: dict[str, list[str]]) -> Record:
    used = set(_READ)
    fields: dict[str, str] = {}
    names = [*values.get("AU", []), *values.get("A1", [])]
    fields["author"] = people(map(_person, names))
    fields["editor"] = people(map(_person, [*values.get("A2", []), *values.get("ED", [])]))
    for name, tags in FIELDS.items():
        for tag in tags.split():
            if tag in values and tag not in used:
                fields[name] = " ".join(values[tag])
                used.add(tag)
                break
    kind = TYPES.get(values["TY"][0], "misc")
    if kind in ("incollection", "inproceedings") and "journal" in fields:
        fields["booktitle"] = fields.pop("journal")
    if "eprint" in fields and not re.search(r"\d{4}\.\d{4,5}|/\d{7}", fields["eprint"]):
        fields["ris-an"] = fields.pop("eprint")
    first, last = (" ".join(values.get(tag, [])) for tag in ("SP", "EP"))
    fields["pages"] = first if last in ("", first) or "-" in first else f"{first}--{last}"
    dated = " ".join([*values.get("PY", []), *values.get("Y1", []), *values.get("DA", [])])
    year = re.search(r"\b(1[5-9]|20)\d\d\b", dated)
    fields["year"] = year[0] if year else ""
    if month := re.search(r"\b(?:1[5-9]|20)\d\d[/-](\d\d)", dated):
        fields["month"] = month[1]
    fields["keywords"] = ", ".join(values.get("KW", []))
    for tag, several in values.items():
        if tag not in used:  # nothing of a record is lost
            fields[f"ris-{tag.lower()}"] = "; ".join(several)
    family = names[0].partition(",")[0] if names else ""
    key = re.sub(r"\s+", "", " ".join(values.get("ID", []))) or author_and_year(
        family, fields["year"]
    )
    return Record(entry(kind, key, fields))


def _person(name: str) -> str:
    """`Last, First, Suffix`, as RIS has it, or a name in one piece."""
    family, *rest = (part.strip() for part in name.split(","))
    return person(family, *rest[:2])


def entries(papers: Sequence[Paper]) -> list[str]:
    """The entry of each paper, lines with CRLF between them, as the format wants it."""
    return ["\r\n".join(f"{tag}  - {value}" for tag, value in _tags(paper)) for paper in papers]


def _tags(paper: Paper) -> Iterator[tuple[str, str]]:
    reference = published_in(paper)
    if reference and not reference.year:
        reference = None
    yield "TY", "JOUR" if reference else "UNPB"
    yield from (("AU", name) for name in map(_name, paper.authors) if name)
    yield "TI", _readable(paper.title)
    yield "PY", f"{reference.year}" if reference else f"{paper.published.year}"
    if reference:
        fields = {
            "JO": reference.journal,
            "VL": reference.volume,
            "SP": reference.page,
            "EP": reference.last_page,
        }
        yield from ((tag, _readable(value)) for tag, value in fields.items() if value)
    yield "DA", paper.published.strftime("%Y/%m/%d")
    if paper.doi:
        yield "DO", one_line(paper.doi)
    yield "AB", _readable(paper.abstract)
    yield from (("KW", one_line(category)) for category in paper.categories)
    if paper.is_preprint:
        yield "AN", f"arXiv:{paper.id}"
    yield "UR", paper.url
    yield "ER", ""


def _name(name: str) -> str:
    """`Family, Given, Jr.`; all of a collaboration's name."""
    if is_et_al(name):
        return ""
    if is_group(name):
        return _readable(name)
    parts = split_name(name)
    return _readable(", ".join(filter(None, (parts.surname, parts.given, parts.suffix))))


def _readable(text: str) -> str:
    return one_line(to_unicode(text))

"""RIS, the format of reference managers and publishers: lines of a tag of two letters and a value
(https://en.wikipedia.org/wiki/RIS_(file_format))."""

import re

from astrosearch.library.bibtex_text import Problem
from astrosearch.library.records import Record, author_and_year, entry, people, person

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

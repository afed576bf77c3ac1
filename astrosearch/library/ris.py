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
from astrosearch.text.csl import Item

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
            if line.strip() and last == "KW":
                values[last].append(line.strip())  # EndNote has a keyword on each line
            elif line.strip() and last:
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


OF_CSL = {
    "article-journal": "JOUR", "article": "UNPB", "manuscript": "UNPB", "book": "BOOK",
    "pamphlet": "PAMP", "chapter": "CHAP", "paper-conference": "CPAPER", "thesis": "THES",
    "report": "RPRT", "webpage": "ELEC", "software": "COMP", "dataset": "DATA",
}  # fmt: skip


def entries(items: Sequence[Item]) -> list[str]:
    """The entry of each paper, lines with CRLF between them, as the format wants it.

    Args:
        items: papers as CSL-JSON has them (`text.csl`).
    """
    return ["\r\n".join(f"{tag}  - {value}" for tag, value in _tags(item)) for item in items]


def _tags(item: Item) -> Iterator[tuple[str, str]]:
    kind = OF_CSL.get(item["type"], "GEN")
    yield "TY", kind
    yield from (("AU", _name(person)) for person in item.get("author", ()))
    yield from (("ED", _name(person)) for person in item.get("editor", ()))
    [parts] = item.get("issued", {"date-parts": [[]]})["date-parts"]
    first, _, last = item.get("page", "").partition("-")
    archive = ":".join(item[name] for name in ("archive", "archive_location") if name in item)
    fields = {
        "TI": item.get("title"),
        "PY": f"{parts[0]}" if parts else "",
        "JO" if kind == "JOUR" else "T2": item.get("container-title"),
        "PB": item.get("publisher"),
        "VL": item.get("volume"),
        "IS": item.get("issue"),
        "SP": first,
        "EP": last,
        "SN": item.get("ISBN"),
        "DA": "/".join(f"{part:02}" for part in parts) if len(parts) > 1 else "",
        "DO": item.get("DOI"),
        "AB": item.get("abstract"),
        "LA": item.get("language"),
    }
    yield from ((tag, value) for tag, value in fields.items() if value)
    yield from (("KW", word) for word in item.get("keyword", "").split(", ") if word)
    yield from ((tag, value) for tag, value in (("AN", archive), ("UR", item.get("URL"))) if value)
    yield "ER", ""


def _name(person: Item) -> str:
    """`Family, Given, Jr.`; all of a collaboration's name."""
    parts = (person.get(part) for part in ("family", "given", "suffix"))
    return person.get("literal") or ", ".join(filter(None, parts))

"""Papers in RIS, which Zotero, Mendeley and EndNote read.

    TY  - JOUR
    AU  - Nowak, Łucja
    TI  - Dust at z ∼ 7

The tags are those of Zotero's and EndNote's import filters; texts are Unicode, not TeX.
"""

from collections.abc import Iterator, Sequence

from astrosearch.papers import Paper
from astrosearch.text.authors import is_et_al, is_group, split_name
from astrosearch.text.journals import published_in
from astrosearch.text.tex import one_line, to_unicode


def entries(papers: Sequence[Paper]) -> list[str]:
    """The entry of each paper, lines with CRLF between them, as the format wants it."""
    return ["\r\n".join(f"{tag}  - {value}" for tag, value in _fields(paper)) for paper in papers]


def _fields(paper: Paper) -> Iterator[tuple[str, str]]:
    reference = published_in(paper)
    if reference and not reference.year:
        reference = None
    yield "TY", "JOUR" if reference else "UNPB"
    yield from (("AU", name) for name in map(_author, paper.authors) if name)
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
    yield "AN", f"arXiv:{paper.id}"
    yield "UR", paper.url
    yield "ER", ""


def _author(name: str) -> str:
    """`Family, Given, Jr.`; all of a collaboration's name."""
    if is_et_al(name):
        return ""
    if is_group(name):
        return _readable(name)
    parts = split_name(name)
    return _readable(", ".join(filter(None, (parts.surname, parts.given, parts.suffix))))


def _readable(text: str) -> str:
    return one_line(to_unicode(text))

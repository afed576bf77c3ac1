"""Papers as items of CSL-JSON, which pandoc, Zotero and citeproc read
(https://docs.citationstyles.org/en/stable/specification.html). Texts are in Unicode, not TeX.

    {"id": "2019ApJ...876...85N", "type": "article-journal", "title": "Dust at z ∼ 7",
     "author": [{"family": "Nowak", "given": "Łucja"}], "issued": {"date-parts": [[2019]]}, ...}
"""

from collections.abc import Iterable, Sequence
from typing import Any

from astrosearch.papers import Paper
from astrosearch.text.authors import is_et_al, is_group, split_name
from astrosearch.text.journals import published_in
from astrosearch.text.tex import one_line, to_unicode

Item = dict[str, Any]


def items(papers: Sequence[Paper], keys: Sequence[str]) -> list[Item]:
    """
    Args:
        keys: what the papers are cited by, in their order.
    """
    return [_item(paper, key) for paper, key in zip(papers, keys, strict=True)]


def _item(paper: Paper, key: str) -> Item:
    reference = published_in(paper)
    published: Item = {}
    day = paper.published
    if reference and reference.year:
        published = {
            "container-title": readable(reference.journal),
            "volume": reference.volume,
            "page": "-".join(filter(None, (reference.page, reference.last_page))),
            "issued": issued(reference.year),
        }
    fields = {
        "type": "article-journal" if published else "article",
        "title": readable(paper.title),
        "author": people(paper.authors),
        "issued": issued(day.year, day.month, day.day),
        **published,
        "DOI": one_line(paper.doi or ""),
        "URL": paper.url,
        "abstract": readable(paper.abstract),
        "keyword": ", ".join(map(one_line, paper.categories)),
        **(in_arxiv(paper.id) if paper.is_preprint else {}),
    }
    return item(key, fields)


def item(key: str, fields: Item) -> Item:
    """An item without what is not known."""
    return {"id": key, **{name: value for name, value in fields.items() if value}}


def in_arxiv(paper_id: str) -> Item:
    return {"archive": "arXiv", "archive_location": paper_id}


def issued(*parts: int) -> Item:
    """A date of a year, a month and a day, or the first of these."""
    return {"date-parts": [list(parts)]}


def people(names: Iterable[str]) -> list[Item]:
    """The parts of names. A collaboration's name is whole; that there are more is left out, for
    which the format has no word."""
    found = []
    for name in names:
        if is_et_al(name):
            continue
        parts = split_name(name)
        if is_group(name) or not parts.given:
            found.append({"literal": readable(name)})
            continue
        person = {"family": parts.surname, "given": parts.given, "suffix": parts.suffix}
        found.append({name: readable(part) for name, part in person.items() if part})
    return found


def readable(text: str) -> str:
    return one_line(to_unicode(text)) if text else ""

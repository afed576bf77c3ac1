r"""Papers as BibTeX, in the form that ADS exports.

    @article{2019ApJ...876...85N,
      author = {{Nowak}, {\L}ucja and {Lighthouse Collaboration}},
      title = {{Dust at $z \sim 7$}},
      journal = {ApJ},
      ...

Where ADS has macros for journals, `\apj`, which only some classes define, an entry has the
abbreviation that they stand for. A paper without a journal is `@misc`, as arXiv itself exports it.
What stands in the fields is written by `latex.to_latex`, so it compiles, and no macro in it acts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args
from urllib.parse import quote

from astrosearch.papers import Paper
from astrosearch.text.authors import GROUP, family_name, is_et_al, is_group, split_name
from astrosearch.text.bibcode import ascii_letters, bibcode, preprint_bibcode
from astrosearch.text.journals import Reference, published_in
from astrosearch.text.latex import to_latex
from astrosearch.text.tex import one_line

KeyStyle = Literal["bibcode", "author-year"]
"""How entries are called: `2019ApJ...876...85R`, or `Riess2019`."""

KEY_STYLES: tuple[KeyStyle, ...] = get_args(KeyStyle)

FOREIGN = re.compile(r"\[U\+[0-9A-F]{4,6}\]")
"""A character that LaTeX lacks, as `to_latex` writes it."""

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def entries(papers: Sequence[Paper], key_style: KeyStyle = "bibcode") -> list[str]:
    """The entries of papers, in order. No two papers of one call have the same key, not even in
    another case, which BibTeX takes for the same. A paper that occurs twice has its key twice.

    Args:
        key_style: a bibcode depends on the paper alone, so files written on different days can be
            joined; in `author-year`, keys that would be equal get letters: `Riess2019a`.
    """
    codes = _bibcodes(papers)
    named = codes if key_style == "bibcode" else _authors_and_years(papers)
    return [_entry(paper, named[paper.id], codes[paper.id]) for paper in papers]


def keys(papers: Sequence[Paper], key_style: KeyStyle = "bibcode") -> list[str]:
    """The keys that `entries` gives papers, in order."""
    named = _bibcodes(papers) if key_style == "bibcode" else _authors_and_years(papers)
    return [named[paper.id] for paper in papers]


def _bibcodes(papers: Sequence[Paper]) -> dict[str, str]:
    """The bibcode of each paper by its id: its preprint's if two have the same one in a journal."""
    codes = {paper.id: bibcode(paper) for paper in papers}
    times = Counter(map(str.lower, codes.values()))
    return {
        paper.id: preprint_bibcode(paper) if times[codes[paper.id].lower()] > 1 else codes[paper.id]
        for paper in papers
    }


def _authors_and_years(papers: Sequence[Paper]) -> dict[str, str]:
    """A key of author and year for each paper by its id."""
    names = {paper.id: _author_and_year(paper) for paper in papers}
    times = Counter(map(str.lower, names.values()))
    given: Counter[str] = Counter()
    keys = {}
    for paper_id, name in names.items():
        keys[paper_id] = name
        if times[name.lower()] > 1:
            keys[paper_id] += _letters(given[name.lower()])
            given[name.lower()] += 1
    return keys


def _author_and_year(paper: Paper) -> str:
    family = family_name(paper.authors[0]) if paper.authors else ""
    if is_group(family):
        family = GROUP.sub("", re.sub(r"(?i)^the ", "", family))
    return f"{ascii_letters(family) or 'arXiv'}{_year(paper)}"


def _letters(number: int) -> str:
    """
    >>> _letters(0), _letters(25), _letters(26)
    ('a', 'z', 'aa')
    """
    rest, last = divmod(number, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("a") + last)


def _year(paper: Paper) -> int:
    reference = _article(paper)
    return (reference.year if reference else None) or paper.published.year


def _article(paper: Paper) -> Reference | None:
    """The journal, volume and year of a paper, if all of them are known."""
    reference = published_in(paper)
    return reference if reference and reference.year else None


def _entry(paper: Paper, key: str, code: str) -> str:
    reference = _article(paper)
    fields = {
        "author": _authors(paper.authors),
        "title": f"{{{to_latex(paper.title)}}}",
        **(_published_in(reference) if reference else _not_published(paper)),
        "doi": _doi(paper.doi or ""),
        "archivePrefix": "arXiv",
        "eprint": paper.id,
        "primaryClass": to_latex(paper.categories[0]) if paper.categories else "",
        "url": paper.url,
        "adsurl": f"https://ui.adsabs.harvard.edu/abs/{code}",
    }
    lines = [
        f"  {name} = {value}," if name == "month" else f"  {name} = {{{value}}},"
        for name, value in fields.items()
        if value not in ("", "{}")
    ]
    return "\n".join([f"@{'article' if reference else 'misc'}{{{key},", *lines, "}"])


def _published_in(reference: Reference) -> dict[str, str]:
    pages = "--".join(filter(None, (reference.page, reference.last_page)))
    by_months = reference.known is not None and reference.known.stem in ("JCAP", "JHEP")
    is_number = by_months or re.fullmatch(r"A\d+|\d{6}", reference.page)
    return {
        "journal": to_latex(reference.journal),
        "year": f"{reference.year}",
        "volume": to_latex(reference.volume),
        "eid": pages if is_number else "",
        "pages": to_latex(pages),
        "note": to_latex(reference.note),
    }


def _not_published(paper: Paper) -> dict[str, str]:
    """The date of a preprint; a journal reference that is not understood is a note."""
    return {
        "year": f"{paper.published.year}",
        "month": _MONTHS[paper.published.month - 1],
        "note": to_latex(paper.journal_ref or ""),
    }


def _authors(names: tuple[str, ...]) -> str:
    """All names; BibTeX's own word for more of them, `others`, is the last."""
    authors = [author for name in names if not is_et_al(name) and (author := _author(name))]
    if any(map(is_et_al, names)):
        authors.append("others")
    return " and ".join(authors)


def _author(name: str) -> str:
    """`{Family}, Jr., Given`, or all of a name in braces where its parts are not known."""
    if is_group(name):
        return f"{{{to_latex(name)}}}"
    parts = split_name(name)
    family, suffix, given = (
        to_latex(part.translate(_COMMAS)) for part in (parts.surname, parts.suffix, parts.given)
    )
    if not (family and given):
        whole = " ".join(filter(None, (given, family, suffix)))
        return f"{{{whole}}}" if whole else ""
    if _UNSAFE.search(given):
        given = f"{{{given}}}"
    return ", ".join(filter(None, (f"{{{family}}}", suffix, given)))


_UNSAFE = re.compile(r"\band\b|\\[%&#$_]", re.IGNORECASE)
"""What would part a name in two, or be lost in some parsers."""

_COMMAS = str.maketrans(dict.fromkeys(",，‚„", " "))
"""They would part a name; `split_name` leaves none that mean it."""


def _doi(doi: str) -> str:
    """A DOI as hyperlinks take it; braces would end the field."""
    bare = re.sub(r"\\([_%#&])", r"\1", "".join(one_line(doi).split()))
    return re.sub(
        r"[{}\\\"^`~]|[^\x21-\x7e]", lambda match: quote(match[0], errors="replace"), bare
    )

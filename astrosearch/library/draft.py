r"""Drafts: what a LaTeX file, a BibTeX file or a text tells of the paper that is to come of it, and
what it cites already.

Of LaTeX that is `\title`, the abstract, `\author` and `\date`; the keys in `\cite` and `\bibitem`,
and the entries that these keys have in the files of `\bibliography`, or where one of these is
missing, in the `.bbl` beside the draft. The files that it reads in belong to it.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from astrosearch.errors import InputError
from astrosearch.library import bibtex_text
from astrosearch.library.bibtex_text import BibText, Entry
from astrosearch.library.manuscript import sources_of
from astrosearch.library.match import SURE, match_entries
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.search.identifiers import Identifier, identifiers_in, read_identifier
from astrosearch.text import latex_source
from astrosearch.text.author_lists import split_authors
from astrosearch.text.tex import to_unicode

if TYPE_CHECKING:
    from astrosearch.search.searcher import Searcher

LARGEST = 20_000_000
"""Bytes of a LaTeX file or a text; a thesis has some 2 MB."""

_LATEX = re.compile(r"\\documentclass|\\begin\s*\{abstract\}|\\title\s*[\[{]")
_LIKE_LATEX = re.compile(r"\\begin\s*\{|\\section(?![A-Za-z])")
"""What an abstract in BibTeX may have, too."""
_BESIDE_NAMES = (
    "thanks|footnote|inst|altaffilmark|altaffiliation|affiliation|affil|email|orcid|orcidlink"
    "|orcidID|ORCID|textsuperscript|fnmsep|corref|fnref|ref|label|collaboration|nocollaboration"
)
_BESIDE_TEXT = r"[A-Za-z]*[cC]ite[A-Za-z]*|footnote|thanks|label|keywords|ref|newline"
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_NAME = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_DAY, _MONTH = r"(?:[12]\d|3[01]|0?[1-9])", r"(?:1[0-2]|0?[1-9])"
_FORMS = (
    rf"(?P<year>\d{{4}})-(?P<month>{_MONTH})(?:-(?P<day>{_DAY}))?",
    rf"(?P<year>\d{{4}})/(?P<month>{_MONTH})(?:/(?P<day>{_DAY}))?",
    rf"(?P<year>\d{{4}})(?P<month>{_MONTH})(?P<day>{_DAY})",
    rf"(?:(?P<day>{_DAY})\. ?)?(?P<month>{_MONTH})\. ?(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}}),?[ -](?P<month>{_NAME})\.?(?:,?[ -](?P<day>{_DAY}))?",
    rf"(?:(?P<day>{_DAY}) ?(?:st|nd|rd|th)?\.?(?: of)?[ -])?(?P<month>{_NAME})\.?,?[ -]"
    r"(?P<year>\d{4})",
    rf"(?P<month>{_NAME})\.? (?P<day>{_DAY}) ?(?:st|nd|rd|th)?,? (?P<year>\d{{4}})",
    # In 03/12/2017 either number may be the month, and 2015/2016 are years.
    r"(?:\d\d?[/-]){0,2}(?:\d{4}(?:/|--?))?(?P<year>\d{4})",
)
_ANY_FORM = "|".join(
    re.sub("P<([a-z]+)>", rf"P<\g<1>{number}>", form) for number, form in enumerate(_FORMS)
)
_IN_DATE = re.compile(rf"(?<![\w./-])(?:{_ANY_FORM})(?![\w/-]|\.\d)", re.IGNORECASE | re.ASCII)
"""A date in one of these forms; no word or number goes on before or behind it."""

_FIRST_YEAR = 1990
"""Before it there was no arXiv: what looks like an earlier year is another number."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a file tells of a paper that is being written."""

    name: str
    paper: Paper | None
    """Title, abstract, authors and date, without an `id`; None for BibTeX, which has none."""
    references: tuple[Entry, ...] = ()
    """What it cites already. One of which only the key is known has no fields."""
    notes: tuple[str, ...] = ()
    """Sentences: what was not read, and why."""


@dataclass(frozen=True, slots=True)
class Cited:
    """Which papers of an index a draft cites already."""

    ids: tuple[str, ...] = ()
    """Each once, in the order of the references."""
    references: int = 0
    """How many references there are."""
    known: int = 0
    """How many of these are papers of the index, as far as they tell."""


def read_draft(name: str, content: bytes, *, today: date, folder: Path) -> Draft:
    """
    Args:
        name: of the file; what does not end in `.tex` or `.bib` is told by what it holds.
        today: the date of what has none.
        folder: where the files of `\\bibliography` and `\\input` are sought.

    Raises:
        InputError: if it is not a text, or tells nothing of a paper.
    """
    if len(content) > LARGEST:
        raise InputError(
            f"{name} has {len(content) / 1e6:,.0f} MB; up to {LARGEST / 1e6:,.0f} MB are read"
        )
    if b"\0" in content:
        raise InputError(f"{name} is not a text: LaTeX, BibTeX and plain text are read")
    text, notes = _decoded(content, name)
    if not text.strip():
        raise InputError(f"{name} is empty")
    kind = _kind(name, text)
    if kind == "bib":
        bib = bibtex_text.parse(text)
        if not bib.entries:
            raise InputError(f"{name} has no BibTeX entry that can be read")
        return Draft(name, None, bib.entries, (*notes, *_problems(name, bib)))
    if kind == "tex":
        draft = _of_latex(name, text, today, folder)
        return Draft(name, draft.paper, draft.references, (*notes, *draft.notes))
    title, abstract = _title_and_rest(text)
    return Draft(name, _paper(title, abstract, (), today), notes=notes)


def cited_by(draft: Draft, searcher: "Searcher", reporter: Reporter = SILENT) -> Cited:
    """The papers of an index that a draft cites."""
    ids: dict[str, None] = {}
    known = 0
    matches = match_entries(searcher, draft.references, reporter)
    for entry, match in zip(draft.references, matches, strict=True):
        paper_id = match.arxiv if match.sure >= SURE else _by_identifier(searcher, entry)
        if paper_id:
            ids[paper_id] = None
            known += 1
    return Cited(tuple(ids), len(draft.references), known)


def _by_identifier(searcher: "Searcher", entry: Entry) -> str | None:
    """The paper that a key or the text of a `\\bibitem` names."""
    if entry.raw:  # an entry of BibTeX, whose fields were looked at
        return None
    key = read_identifier(entry.key)
    identifiers: list[Identifier] = [
        *([key] if key else []),
        *identifiers_in(entry.fields.get("note", "")),
    ]
    papers = (searcher.paper_of(identifier) for identifier in identifiers)
    return next((paper.id for paper in papers if paper), None)


def _kind(name: str, text: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix in (".bib", ".tex"):
        return suffix[1:]
    if _LATEX.search(text):
        return "tex"
    if bibtex_text.looks_like_bibtex(text):
        return "bib"
    return "tex" if _LIKE_LATEX.search(text) or latex_source.cited_keys(text) else "txt"


def _decoded(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        note = f"{name} line {line} is not UTF-8; the file is read as Latin-1"
        return content.decode("latin-1"), (note,)


def _problems(name: str, bib: BibText) -> Iterator[str]:
    """What cannot be used of a BibTeX file: the first of it, and how much there is."""
    if bib.problems:
        first, *others = bib.problems
        more = f" (and {len(others):,} more)" if others else ""
        yield f"{name} line {first.line}: {first.reason}{more}"


def _title_and_rest(text: str) -> tuple[str, str]:
    """A first line that an empty line follows is a title."""
    first, _, rest = text.strip().replace("\r\n", "\n").partition("\n")
    following, _, _ = rest.partition("\n")
    if rest and not following.strip():
        return _folded(first), _folded(rest)
    return "", _folded(text)


def _folded(text: str) -> str:
    return " ".join(text.split())


def _paper(title: str, abstract: str, authors: Sequence[str], day: date) -> Paper:
    return Paper(
        id="",
        title=title,
        abstract=abstract,
        authors=tuple(authors),
        categories=(),
        published=day,
    )


# --- LaTeX ---


def _of_latex(name: str, text: str, today: date, folder: Path) -> Draft:
    notes: list[str] = []
    source = "\n\n".join(source for _, source in sources_of(folder / name, text, notes))
    macros = latex_source.own_macros(source)

    def readable(tex: str) -> str:
        plain = latex_source.without_macros(tex, _BESIDE_TEXT).replace(r"\\", " ")
        return _folded(latex_source.expanded(plain, macros))

    title = readable(next(latex_source.arguments(source, "title"), ""))
    abstract = readable(
        latex_source.environment(source, "abstract")
        or " ".join(latex_source.several_arguments(source, "abstract", 5))  # A&A's has five
    )
    if not title and not abstract:
        told = "".join(f"; {note}" for note in notes[:3])
        raise InputError(f"{name} has neither a \\title nor an abstract{told}")
    if not abstract:
        notes.append(f"{name} has no abstract: its title alone asks")
    day = today
    if dates := list(latex_source.arguments(source, "date")):
        known = _latest(latex_source.expanded(dates[0], macros), today)
        if known is None and dates[0].strip():
            notes.append(f"the \\date of {name} is not understood: today's is taken")
        day = known or today
    references, told_of_files = _references(source, (folder / name).with_suffix(".bbl"))
    paper = _paper(title, abstract, _authors(source, macros), day)
    return Draft(name, paper, tuple(references), (*notes, *told_of_files))


def _latest(text: str, today: date) -> date | None:
    """The latest of the dates in a text, of which there may be those of submission and acceptance;
    of a month or a year its last day. None if there is none."""
    days = [today] if r"\today" in text else []
    plain = _folded(re.sub(r"\\(?:[A-Za-z]+|.)|[~{}$^]", " ", text))
    for match in _IN_DATE.finditer(plain):
        parts = {
            name.rstrip("0123456789"): part for name, part in match.groupdict().items() if part
        }
        if day := _day(parts, today.year + 1):
            days.append(day)
    return max(days, default=None)


def _day(parts: dict[str, str], last_year: int) -> date | None:
    """The last day of what a date tells; None if there is no such day, or not in the years that
    count."""
    year, month = int(parts["year"]), 12
    if not _FIRST_YEAR <= year <= last_year:
        return None
    if name := parts.get("month"):
        month = int(name) if name.isdigit() else _MONTHS.index(name[:3].lower()) + 1
    last = monthrange(year, month)[1]
    day = int(parts.get("day") or last)
    return date(year, month, day) if day <= last else None


def _authors(source: str, macros: dict[str, str]) -> tuple[str, ...]:
    names: list[str] = []
    for argument in latex_source.arguments(source, "author"):
        bare = latex_source.without_macros(latex_source.expanded(argument, macros), _BESIDE_NAMES)
        bare = re.sub(r"\$[^$]*\$", "", bare)
        bare = re.sub(r"\\newauthor(?![A-Za-z])", ", ", bare)
        for piece in re.split(r"\\(?:and|AND)(?![A-Za-z])", bare):
            line = piece.strip().partition(r"\\")[0]  # affiliations stand below
            names += split_authors(_folded(to_unicode(line)))
    return tuple(names)


def _references(source: str, bbl: Path) -> tuple[list[Entry], list[str]]:
    """The references of a source, and what has to be said of the files that have them.

    Args:
        bbl: what BibTeX makes of these files, which need not be there.
    """
    entries: dict[str, Entry] = {}
    items: dict[str, str] = {}
    notes: list[str] = []
    files = [bbl.parent / name for name in latex_source.bibliographies(source)]
    shown = re.search(r"\\printbibliography(?![A-Za-z])", source)
    lacking = [file for file in files if not file.exists()]
    if (lacking or (shown and not files)) and bbl.is_file():
        text, told = _decoded(bbl.read_bytes(), bbl.name)
        items = latex_source.bbl_items(latex_source.without_comments(text))
        notes += [*told, *(f"{file} is not there: {bbl.name} is read" for file in lacking)]
        files = [file for file in files if file not in lacking]
    for file in files:
        try:
            text, told = _decoded(file.read_bytes(), file.name)
        except OSError as error:
            notes.append(f"{file} cannot be read ({error.strerror}): what it holds is not known")
            continue
        bib = bibtex_text.parse(text)
        notes += [*told, *_problems(file.name, bib)]
        entries = {entry.key: entry for entry in bib.entries} | entries
    items |= latex_source.bibitems(source)
    keys = dict.fromkeys(latex_source.cited_keys(source))
    if "*" in keys:
        keys = dict.fromkeys([*keys, *entries])
    references = [
        entries.get(key) or Entry("misc", key, _fields(items.get(key, "")), raw="")
        for key in dict.fromkeys([*keys, *items])
        if key != "*"
    ]
    return references, notes


def _fields(item: str) -> dict[str, str]:
    """What the text of a `\\bibitem` tells."""
    fields = {"note": item, "title": latex_source.title_of_item(item)}
    return {name: value for name, value in fields.items() if value}

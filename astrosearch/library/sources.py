"""Where papers come into the library from: BibTeX, RIS, Zotero, lists of identifiers.

Each reader gives BibTeX entries, because that is what the library keeps. A file is told by what it
holds, not by its name.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from astrosearch.errors import InputError
from astrosearch.library import bibtex_text, marks, records, ris, zotero
from astrosearch.library.bibtex_text import BibText, Entry, Problem
from astrosearch.library.marks import Marks
from astrosearch.papers import month_of_id, parse_id
from astrosearch.search.identifiers import Identifier, identifiers_in, read_identifier, why_not

if TYPE_CHECKING:
    from astrosearch.search.searcher import Searcher

SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may come into the library."""

    entry: Entry
    marks: Marks = marks.NONE
    source: BibText = field(default_factory=lambda: BibText(""))
    """The file that it stands in."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source has."""

    name: str
    candidates: tuple[Candidate, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def read_source(text: str, searcher: "Searcher | None") -> Reading:
    """The papers of a file, of `-` (standard input), of `zotero:USER`, or of an identifier.

    Args:
        searcher: gives the entries of papers that are named by an identifier alone.

    Raises:
        InputError: if it is none of these, or nothing can be read from it.
        AstrosearchError: if Zotero's service does not answer.
    """
    if text == "-":
        content = _piped(sys.stdin.buffer, "standard input")
        return _of_bytes(content, "standard input", searcher)
    if text.startswith("zotero:"):
        candidates = zotero.read_web(text.removeprefix("zotero:"))
        return Reading(text, _parsed(candidates))
    if not text.strip():
        raise InputError("the name of a file is empty")
    path = Path(text)
    if path.is_dir():
        if (path / "zotero.sqlite").is_file():
            path = path / "zotero.sqlite"
        else:
            raise InputError(f"{path} is a folder, not a file of papers")
    if path.is_file():
        return _of_file(path, searcher)
    if path.is_fifo():  # as `<(command)` of a shell
        with path.open("rb") as stream:
            return _of_bytes(_piped(stream, text), text, searcher)
    identifier = read_identifier(text)
    if identifier is None:
        looks_like_a_file = "/" in text or "." in text
        reason = why_not(text) or (
            "it is not a file of papers"  # a device, as /dev/null
            if path.exists()
            else "there is no such file"
            if looks_like_a_file
            else "it is neither a file nor an identifier"
        )
        raise InputError(f"{text[:200]!r} cannot be added: {reason}")
    return Reading(text, tuple(_of_identifiers([identifier], searcher)))


def _piped(stream: BinaryIO, name: str) -> bytes:
    content = stream.read(bibtex_text.LARGEST + 1)
    if len(content) > bibtex_text.LARGEST:
        raise InputError(f"{name} has more than {bibtex_text.LARGEST / 1e6:,.0f} MB: split it")
    return content


def of_papers(ids: Sequence[str], searcher: "Searcher") -> Reading:
    """Papers of an index, by their identifiers, whatever files there are."""
    identifiers = [found for found in map(read_identifier, ids) if found]
    return Reading(searcher.name, tuple(_of_identifiers(identifiers, searcher)))


def _of_file(path: Path, searcher: "Searcher | None") -> Reading:
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(len(SQLITE))
        if head == SQLITE:
            return Reading(str(path), _parsed(zotero.read_database(path)))
        if size > bibtex_text.LARGEST:
            raise InputError(
                f"{path} has {size / 1e6:,.0f} MB; up to {bibtex_text.LARGEST / 1e6:,.0f} MB are "
                "read: split it"
            )
        return _of_bytes(head + stream.read(), str(path), searcher)


def _of_bytes(content: bytes, name: str, searcher: "Searcher | None") -> Reading:
    if b"\0" in content[:10_000] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name} is not a text: BibTeX, RIS and lists of identifiers are read")
    text, notes = _decoded(content, name)
    if not text.strip():
        raise InputError(f"{name} is empty")
    if bibtex_text.looks_like_bibtex(text):
        bib = bibtex_text.parse(text)
        entries = (*bib.entries, *bib.repeated)
        if not entries:
            raise InputError(f"{name} has no BibTeX entry that can be read{_first(bib.problems)}")
        candidates = tuple(Candidate(entry, source=bib) for entry in entries)
        return Reading(name, candidates, bib.problems, notes)
    if ris.looks_like_ris(text):
        several, problems = ris.read(text)
        return Reading(name, _parsed(several), tuple(problems), notes)
    return _of_list(text, name, notes, searcher)


def _decoded(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace"), ()
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        note = f"{name} line {line} is not UTF-8; the file is read as Latin-1"
        return content.decode("latin-1"), (note,)


def _first(problems: Sequence[Problem]) -> str:
    return f": line {problems[0].line}: {problems[0].reason}" if problems else ""


def _of_list(text: str, name: str, notes: tuple[str, ...], searcher: "Searcher | None") -> Reading:
    """Of a list of identifiers, one or several on each line; what is behind # is a comment."""
    identifiers: dict[str, Identifier] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        for word in [" ".join(words)] if read_identifier(" ".join(words)) else words:
            identifier = read_identifier(word) or next(iter(identifiers_in(word)), None)
            if identifier is None:
                shown = word if len(word) <= 60 else f"{word[:60]}…"
                reason = why_not(word) or f"{shown!r} is not an identifier"
                problems.append(Problem(number, reason))
            else:
                identifiers[identifier.arxiv_id or identifier.text.lower()] = identifier
    if not identifiers:
        raise InputError(
            f"{name} is neither BibTeX nor RIS nor a list of identifiers{_first(problems)}"
        )
    candidates = _of_identifiers(list(identifiers.values()), searcher)
    return Reading(name, tuple(candidates), tuple(problems), notes)


def _of_identifiers(
    identifiers: Sequence[Identifier], searcher: "Searcher | None"
) -> list[Candidate]:
    """The entries of papers that are named by identifiers: the index's, where it has them."""
    from astrosearch.text import bibtex

    known = {}
    if searcher is not None:
        known = searcher.papers({one.arxiv_id for one in identifiers if one.arxiv_id})
        others = {one.text for one in identifiers if not one.arxiv_id}
        known |= {
            text: paper
            for text in others
            if (
                paper := searcher.paper_of(
                    Identifier("DOI", text, None)
                    if text.startswith("10.")
                    else Identifier("bibcode", text, None)
                )
            )
        }
    papers = {paper.id: paper for paper in known.values()}
    entries = dict(zip(papers, bibtex.entries(list(papers.values())), strict=True))
    candidates: list[Candidate] = []
    for one in identifiers:
        paper = known.get(one.arxiv_id or one.text)
        raw = entries[paper.id] if paper else _stub(one)
        candidates += _parsed([records.Record(raw)])
    return candidates


def _stub(identifier: Identifier) -> str:
    """The entry of a paper of which nothing but its identifier is known."""
    if identifier.arxiv_id:
        year = month_of_id(parse_id(identifier.arxiv_id).id).year
        return (
            f"@misc{{{identifier.arxiv_id},\n  archivePrefix = {{arXiv}},\n"
            f"  eprint = {{{identifier.arxiv_id}}},\n  year = {{{year}}},\n}}"
        )
    if identifier.kind == "DOI":
        return f"@misc{{{identifier.text},\n  doi = {{{identifier.text}}},\n}}"
    return f"@misc{{{identifier.text},\n  bibcode = {{{identifier.text}}},\n}}"


def _parsed(several: Iterable[records.Record]) -> tuple[Candidate, ...]:
    """Entries that were written here, read back."""
    candidates = []
    for record in several:
        bib = bibtex_text.parse(record.raw)
        candidates += [Candidate(entry, record.marks, bib) for entry in bib.entries]
    return tuple(candidates)

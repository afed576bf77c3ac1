r"""A LaTeX document and what it reads in, and the entries of the papers that it cites."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astrosearch.errors import InputError
from astrosearch.library import bibtex_text
from astrosearch.library.bibtex_text import BibText, Entry
from astrosearch.text import bibtex, latex_source

if TYPE_CHECKING:
    from astrosearch.library.store import Library
    from astrosearch.search.searcher import Searcher

LARGEST = 20_000_000
"""Bytes of a file of LaTeX, and of all files of a document."""

MOST_FILES = 1_000

_INPUT = re.compile(
    r"(?<!\\)\\(?:input|include|subfile|subfileinclude)(?![A-Za-z])\s*"
    r"(?:\{([^{}]*)\}|\"([^\"]*)\"|([^\s{}\\%]+))"
    r"|(?<!\\)\\(?:sub)?(?:import|inputfrom|includefrom)\*?\s*\{([^{}]*)\}\s*\{([^{}]*)\}"
)

Where = Literal["library", "index", "file", "elsewhere", ""]


@dataclass(frozen=True, slots=True)
class Manuscript:
    """What a document cites."""

    keys: tuple[str, ...]
    """Each once, in the order of the text."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Keys that a BibTeX file of the document or a `\\bibitem` has, and the name of that file."""
    notes: tuple[str, ...] = ()
    """Sentences: what was not read, and why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A key that a document cites, and where its entry is."""

    key: str
    where: Where
    """`file`: in the file that is written, from before; `elsewhere`: in another file of the
    document; empty if it is nowhere."""
    told: str = ""
    """The name of that other file, or why nothing was found, or the key by which the document cites
    the same paper before."""


def read_manuscript(path: Path, written: Path | None = None) -> Manuscript:
    """
    Args:
        path: of the main file.
        written: a BibTeX file that does not count as one of the document.

    Raises:
        InputError: if the main file cannot be read, or nothing is cited.
    """
    notes: list[str] = []
    problems: list[str] = []
    text = _text(path, LARGEST, problems)
    if text is None:
        raise InputError(problems[0])
    sources = list(sources_of(path, text, notes))
    keys: dict[str, None] = {}
    elsewhere: dict[str, str] = {}
    for name, source in sources:
        keys |= dict.fromkeys(latex_source.cited_keys(source))
        elsewhere |= dict.fromkeys(latex_source.bibitems(source), name)
    files = dict.fromkeys(
        path.parent / name for _, source in sources for name in latex_source.bibliographies(source)
    )
    for file in files:
        if written is not None and file.resolve() == written.resolve():
            continue
        text = _text(file, bibtex_text.LARGEST, notes)
        if text is not None:
            bib = bibtex_text.parse(text)
            elsewhere |= dict.fromkeys((entry.key for entry in bib.entries), file.name)
    if keys.pop("*", "") is None:
        notes.append("\\nocite{*} cites all of the document's files, which need nothing more")
    if not keys:
        read = "" if len(sources) == 1 else f" and the {len(sources) - 1:,} files that it reads in"
        said = "".join(f"; {note}" for note in notes)
        raise InputError(f"{path}{read} cites nothing: there is no \\cite with a key{said}")
    return Manuscript(tuple(keys), elsewhere, tuple(notes))


def sources_of(main: Path, text: str, notes: list[str]) -> Iterator[tuple[str, str]]:
    """The names and texts of a document's files, each once, the main file first; without comments
    and what is shown as it is typed.

    Args:
        main: the main file.
        text: what it holds.
        notes: gets a sentence for each file that cannot be read.
    """
    yield main.name, (source := _acting(text))
    seen, size = {main.resolve()}, len(text)
    waiting = [_found(name, main.parent) for name in _inputs(source)]
    while waiting:
        file = waiting.pop(0)
        resolved = file.resolve()
        if resolved in seen:
            continue
        seen.add(resolved)
        read = _text(file, LARGEST, notes)
        if read is None:
            continue
        size += len(read)
        if size > LARGEST or len(seen) > MOST_FILES:
            notes.append(f"{file.name} and what follows is not read: the document is too long")
            return
        yield file.name, (source := _acting(read))
        waiting += [_found(name, file.parent, main.parent) for name in _inputs(source)]


def _acting(text: str) -> str:
    """What LaTeX acts upon."""
    return latex_source.without_verbatim(latex_source.without_comments(text))


def _inputs(source: str) -> Iterator[str]:
    """The names of the files that a source reads in."""
    for match in _INPUT.finditer(source):
        name = match[1] or match[2] or match[3] or f"{match[4]}/{match[5]}"
        if name.strip() and "#" not in name:
            yield name.strip()


def _found(name: str, *folders: Path) -> Path:
    """The file of a name, as TeX looks for it: with `.tex` or as it is."""
    endings = ("", ".tex") if name.endswith(".tex") else (".tex", "")
    paths = [folder / f"{name}{ending}" for folder in folders[::-1] for ending in endings]
    return next((path for path in paths if path.is_file()), paths[0])


def _text(file: Path, largest: int, problems: list[str]) -> str | None:
    """The text of a file; None if it has none that can be read."""
    try:
        if not file.is_file():
            reason = "is not a file" if file.exists() else "is not there"
        elif (size := file.stat().st_size) > largest:
            reason = f"has {size / 1e6:,.0f} MB; up to {largest / 1e6:,.0f} MB are read"
        elif b"\0" in (content := file.read_bytes()):
            reason = "is not a text"
        else:
            try:
                return content.decode("utf-8-sig")
            except UnicodeDecodeError:
                return content.decode("latin-1")
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    problems.append(f"{file} {reason}")
    return None


def add_references(
    manuscript: Manuscript, bib: BibText, library: "Library", searcher: "Searcher | None"
) -> tuple[str, list[Reference]]:
    """What a BibTeX file becomes with the entries of all that a document cites, and where each is.

    The entries that it has stay as they are. Others come from the library, else from the index,
    under the keys by which the document cites them.

    Args:
        bib: the file as it is.
        searcher: the index; None if there is none.
    """
    there = {entry.key for entry in (*bib.entries, *bib.repeated)}
    additions = bibtex_text.Additions(bib)
    references: list[Reference] = []
    cited: dict[str, str] = {}
    for key in manuscript.keys:
        if key in there:
            references.append(Reference(key, "file"))
        elif key in manuscript.elsewhere:
            references.append(Reference(key, "elsewhere", manuscript.elsewhere[key]))
        elif paper := library.get(key):
            for own, name in [(paper.entry, key), *_parents(paper.entry, library)]:
                if name not in there:
                    there.add(name)
                    additions.add(own, name, library.bib)
            references.append(Reference(key, "library", cited.setdefault(paper.id, key)))
        else:
            paper_id, entry, reason = _of_index(key, searcher)
            if entry is None:
                references.append(Reference(key, "", reason))
            else:
                there.add(key)
                additions.add(entry, key, BibText(""))
                references.append(Reference(key, "index", cited.setdefault(paper_id, key)))
    return additions.added_to(bib.text), references


def _parents(entry: Entry, library: "Library") -> Iterator[tuple[Entry, str]]:
    """The entry that another takes fields from, which has to stand behind it, and its key."""
    name = entry.fields.get("crossref", "")
    if name and (paper := library.get(name)) and paper.entry is not entry:
        yield paper.entry, name


def _of_index(key: str, searcher: "Searcher | None") -> tuple[str, Entry | None, str]:
    """The paper of an identifier and its entry, or why there is none."""
    from astrosearch.search.identifiers import read_identifier, why_not

    identifier = read_identifier(key)
    if identifier is None:
        return "", None, why_not(key) or "is neither a key of the library nor an identifier"
    if searcher is None:
        return "", None, "is not in the library, and there is no index"
    paper = searcher.paper_of(identifier)
    if paper is None:
        return "", None, f"is neither in the library nor in index {searcher.name}"
    [raw] = bibtex.entries([paper])
    [entry] = bibtex_text.parse(raw).entries
    return paper.id, entry, ""

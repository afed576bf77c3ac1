"""The library: `library.bib` and `papers.toml` in a folder, read and changed.

Both files are the user's: they may be edited with anything, and git can hold them. A change takes a
lock, reads them anew, and replaces each as a whole, so two processes lose nothing of each other.
What a file has that cannot be understood stays in it, and is told with its line.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from astrosearch import atomic, paths
from astrosearch.errors import AstrosearchError, InputError, NothingFound
from astrosearch.library import bibtex_text, facts, marks
from astrosearch.library.bibtex_text import BibText, Entry
from astrosearch.library.marks import Marks
from astrosearch.papers import Paper

BIB, MARKS = "library.bib", "papers.toml"

PATIENCE = 30.0
"""Seconds to wait for another process that changes the library."""

_ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}")


@dataclass(frozen=True)
class LibraryPaper:
    """A paper of the library."""

    entry: Entry
    marks: Marks = marks.NONE

    @property
    def key(self) -> str:
        return self.entry.key

    @cached_property
    def arxiv(self) -> str:
        """Its arXiv identifier; empty if none is known."""
        return self.marks.arxiv or facts.arxiv_id(self.entry) or ""

    @property
    def id(self) -> str:
        """By which it is named: the arXiv identifier, else the key."""
        return self.arxiv or self.key

    @cached_property
    def paper(self) -> Paper:
        """What its entry says of it."""
        return facts.paper(self.entry, self.id)

    @property
    def has_text(self) -> bool:
        """Whether the entry has more than an identifier."""
        return bool(facts.title(self.entry))


@dataclass(frozen=True)
class Library:
    """The library as it was when it was read."""

    folder: Path
    papers: tuple[LibraryPaper, ...] = ()
    problems: tuple[str, ...] = ()
    """What cannot be used in its files, each with the line."""
    bib: BibText = field(default_factory=lambda: BibText(""))
    marks_text: str = ""

    def __len__(self) -> int:
        return len(self.papers)

    @classmethod
    def read(cls, folder: Path | None = None) -> "Library":
        """
        Args:
            folder: by default that of this machine; it need not exist.

        Raises:
            InputError: if a file is not text, or `papers.toml` is not TOML.
        """
        folder = folder or paths.library_folder()
        bib = bibtex_text.parse(_read(folder / BIB))
        text = _read(folder / MARKS)
        known, mark_problems = marks.read_marks(text, MARKS)
        problems = [f"{BIB} line {line}: {reason}" for line, reason in bib.problems]
        problems += [
            f"{BIB} line {entry.line}: the key {entry.key} is used before; only the first counts"
            for entry in bib.repeated
        ]
        problems += [f"{MARKS} line {line}: {reason}" for line, reason in mark_problems]
        keys = {entry.key for entry in bib.entries}
        problems += [
            f"{MARKS}: there is no entry {key} in {BIB}" for key in known if key not in keys
        ]
        papers = tuple(
            LibraryPaper(entry, known.get(entry.key, marks.NONE)) for entry in bib.entries
        )
        return cls(folder, papers, tuple(problems), bib, text)

    def find(self, name: str) -> LibraryPaper:
        """The paper of a key, an arXiv identifier in any form, a DOI or a bibcode.

        Raises:
            NothingFound: if there is none.
        """
        if paper := self.get(name):
            return paper
        papers = "1 paper" if len(self) == 1 else f"{len(self):,} papers"
        raise NothingFound(f"{name} is not in the library of {papers}{self.near(name)}")

    def get(self, name: str) -> LibraryPaper | None:
        """The same; None if there is none."""
        from astrosearch.search.identifiers import read_identifier

        if paper := self._by_name.get(f"key:{name}"):
            return paper
        if identifier := read_identifier(name):
            text = identifier.arxiv_id or identifier.text
            if paper := self._by_name.get(text.lower()):
                return paper
        return self._by_name.get(f"like:{name.lower()}")

    @cached_property
    def _by_name(self) -> dict[str, LibraryPaper]:
        """Papers by all that they may be named by; the first one counts."""
        known: dict[str, LibraryPaper] = {}
        for paper in self.papers:
            entry = paper.entry
            names = (paper.arxiv, facts.doi(entry), facts.bibcode(entry))
            for name in (
                f"key:{paper.key}",
                f"like:{paper.key.lower()}",
                *(name.lower() for name in names if name),
            ):
                known.setdefault(name, paper)
        return known

    def near(self, name: str) -> str:
        """A clause with what is spelled much like a name; empty if nothing is."""
        from difflib import get_close_matches

        names = [name for paper in self.papers for name in (paper.key, paper.arxiv) if name]
        near = get_close_matches(name, names, n=3, cutoff=0.75)
        return f"; spelled much like it: {', '.join(near)}" if near else ""

    def export(self, papers: Sequence[LibraryPaper]) -> str:
        """A BibTeX file of some papers, as their entries stand here, with the `@string`s that they
        use."""
        used = {name for paper in papers for name in paper.entry.macros}
        strings = [block for name, block in self.bib.strings.items() if name in used]
        return "\n\n".join([*strings, *(paper.entry.raw for paper in papers)])

    def tags(self) -> dict[str, int]:
        """How many papers have each tag, the commonest first."""
        counts: dict[str, int] = {}
        for paper in self.papers:
            for tag in paper.marks.tags:
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def select(self, what: str) -> tuple[LibraryPaper, ...]:
        """The papers that a word of `--in` stands for: `library`, `tag:jets`, `liked`, `disliked`,
        `read`, `unread`.

        Raises:
            InputError: if it is none of these, or there is no such tag.
        """
        check_selection(what)
        name, _, tag = what.partition(":")
        if name == "tag":
            chosen = tuple(
                paper
                for paper in self.papers
                if tag.casefold() in (own.casefold() for own in paper.marks.tags)
            )
            if not chosen:
                known = ", ".join(list(self.tags())[:12])
                known = f"; there are: {known}" if known else ""
                raise InputError(f"no paper of the library has the tag {tag!r}{known}")
            return chosen
        match what:
            case "library":
                return self.papers
            case "liked" | "disliked":
                return tuple(paper for paper in self.papers if paper.marks.opinion == what)
            case _:
                return tuple(paper for paper in self.papers if paper.marks.read == (what == "read"))


def check_selection(what: str) -> None:
    """
    Raises:
        InputError: if it is not a word of `--in`.
    """
    if what not in ("library", "liked", "disliked", "read", "unread") and what[:4] != "tag:":
        raise InputError(
            f"{what!r} names no papers: write library, tag:NAME, liked, disliked, read or unread"
        )


def _read(file: Path) -> str:
    """
    Raises:
        InputError: if it is not text.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(
            f"{file} line {line} is not UTF-8: save the file in this encoding"
        ) from None


@contextmanager
def changing(folder: Path | None = None) -> "Iterator[Change]":
    """A change of the library, which is written when the block ends without an error.

    Raises:
        AstrosearchError: if another process changes it for longer than `PATIENCE`, or it cannot be
            written.
        InputError: if its files cannot be read.
    """
    folder = folder or paths.library_folder()
    busy = AstrosearchError(
        f"the library is being changed by another process for {PATIENCE:.0f} s; try again"
    )
    with atomic.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic.locked(folder / ".lock", busy, patience=PATIENCE):
        change = Change(Library.read(folder))
        yield change
        change.write()


class Change:
    """What is to become of a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._keys = {key.key.lower() for key in (*library.bib.entries, *library.bib.repeated)}
        self._numbers: dict[str, int] = {}
        """Of each key, how many made from it are taken."""
        self._additions = bibtex_text.Additions(library.bib)
        self._replaced: dict[str, str] = {}
        self._removed: list[Entry] = []
        self._marks: dict[str, Marks] = {}

    def free_key(self, key: str) -> str:
        """A key that no entry has, made from one that is wanted."""
        key = re.sub(r"[\s{}()\"#%'~,=\\]+", "", key) or "paper"
        candidate, number = key, self._numbers.get(key.lower(), 0)
        while candidate.lower() in self._keys:
            candidate = f"{key}{chr(ord('a') + number)}" if number < 26 else f"{key}-{number}"
            number += 1
        self._numbers[key.lower()] = number
        return candidate

    def add(self, entry: Entry, mark: Marks, source: BibText) -> str:
        """Add an entry under its key, or one that is free; returns the key.

        Args:
            source: where it stands, with the `@string`s that it uses.
        """
        key = self.free_key(entry.key)
        self._keys.add(key.lower())
        self._additions.add(entry, key, source)
        if mark != marks.NONE:
            self._marks[key] = mark
        return key

    def replace(self, key: str, entry: Entry, source: BibText) -> None:
        """Put another text in the place of an entry, under the same key."""
        self._replaced[key] = bibtex_text.in_place(entry, key, self.library.bib, source)

    def remove(self, papers: Collection[LibraryPaper]) -> None:
        """Remove entries, and what the user thinks of them."""
        self._removed += [paper.entry for paper in papers]
        self._marks |= {paper.key: marks.NONE for paper in papers}

    def mark(self, paper: LibraryPaper, mark: Marks) -> None:
        self._marks[paper.key] = mark

    def write(self) -> None:
        """
        Raises:
            AstrosearchError: if it cannot be written.
        """
        folder, bib = self.library.folder, self.library.bib
        text = self._changed_text()
        if text != bib.text:
            _write(folder / BIB, text)
        changed = {
            paper.key: paper.marks for paper in self.library.papers if paper.key in self._marks
        }
        if any(mark != changed.get(key, marks.NONE) for key, mark in self._marks.items()):
            document = marks.parse_document(self.library.marks_text)
            marks.write_marks(document, self._marks)
            for entry in self._removed:
                document.pop(entry.key, None)
            _write(folder / MARKS, document.as_string())

    def _changed_text(self) -> str:
        bib = self.library.bib
        pieces: list[tuple[Entry, str | None]] = [(entry, None) for entry in self._removed]
        pieces += [
            (entry, self._replaced[entry.key])
            for entry in bib.entries
            if entry.key in self._replaced
        ]
        return self._additions.added_to(bib.with_changes(pieces))


def _write(file: Path, text: str) -> None:
    with atomic.writing(file), atomic.whole_file(file) as stream:
        stream.write(text.encode())

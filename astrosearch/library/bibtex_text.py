r"""BibTeX files as people keep them: read by `bibtexparser`, changed as text.

A file is never written anew from what was understood of it. An entry is a stretch of the text, so
adding and removing one leaves every other byte as it was: comments, `@string`s, fields of other
programs, and what nobody can parse.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from astrosearch.errors import InputError

LARGEST = 200_000_000
"""Bytes of a file that is read; some 50,000 entries with abstracts take half of that."""

LONGEST_ENTRY = 1_000_000
"""Characters; what is longer is an entry that does not end, in a file that is something else."""

MOST_ENTRIES = 500_000

_MACRO = re.compile(r"[A-Za-z_][^\s{}\"#%'(),=]*")
_BEGIN = re.compile(r"^[ \t]*@[ \t]*[A-Za-z]+\s*[{(]", re.MULTILINE)
_LINE_ENDS = re.compile(r"(?:[ \t]*\r?\n){0,2}")


class Problem(NamedTuple):
    """A line that cannot be used as it is."""

    line: int
    """From 1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a BibTeX file."""

    type: str
    """In lower case: `article`."""
    key: str
    fields: Mapping[str, str]
    """Values by names in lower case, without the braces or quotes around them, `@string`s
    replaced, white space folded; TeX stays."""
    raw: str
    """As it stands in the file."""
    line: int = 0
    """Where it begins, from 1."""
    start: int = 0
    """Where it begins in the text of the file."""
    macros: tuple[str, ...] = ()
    """The `@string`s that it uses."""

    @property
    def end(self) -> int:
        return self.start + len(self.raw)


@dataclass(frozen=True)
class BibText:
    """A BibTeX file."""

    text: str
    entries: tuple[Entry, ...] = ()
    """No two with the same key."""
    repeated: tuple[Entry, ...] = ()
    """Entries whose key an earlier one has."""
    strings: Mapping[str, str] = field(default_factory=dict)
    """The blocks of `@string`s as they stand in the file, by name in lower case."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What the `@string`s stand for."""
    problems: tuple[Problem, ...] = ()

    def with_changes(self, changes: Sequence[tuple[Entry, str | None]]) -> str:
        """The text with other texts in the place of some entries; where it is None the entry goes,
        with the line ends behind it."""
        parts = []
        place = 0
        for entry, raw in sorted(changes, key=lambda change: change[0].start):
            parts.append(self.text[place : entry.start])
            place = entry.end
            if raw is not None:
                parts.append(raw)
            elif (not entry.start or self.text[entry.start - 1] == "\n") and (
                ends := _LINE_ENDS.match(self.text, place)
            ):
                place = ends.end()
        return "".join([*parts, self.text[place:]])


class Additions:
    """Entries that are to come into a BibTeX file, with the `@string`s that they use."""

    def __init__(self, bib: BibText) -> None:
        self._bib = bib
        self._strings: dict[str, str] = {}
        self._entries: list[str] = []

    def add(self, entry: Entry, key: str, source: BibText) -> None:
        """
        Args:
            key: under which it comes.
            source: where it stands. Its `@string`s come along; one that means something else in the
                file is replaced by what it stands for.
        """
        replaced: dict[str, str] = {}
        for name in entry.macros:
            if name not in source.strings:
                continue
            if name in self._bib.values:
                if self._bib.values[name] != source.values[name]:
                    replaced[name] = source.values[name]
            elif self._strings.setdefault(name, source.strings[name]) != source.strings[name]:
                replaced[name] = source.values[name]
        self._entries.append(renamed(with_macros_replaced(entry, replaced), key))

    def added_to(self, text: str) -> str:
        """A text with the entries behind it; it keeps its kind of line ends."""
        is_dos = "\r\n" in text
        parts = [text]
        for block in (*self._strings.values(), *self._entries):
            ending = "" if not parts[-1] else "\n" if parts[-1].endswith("\n") else "\n\n"
            added = f"{ending}{block.strip()}\n".replace("\r\n", "\n")
            parts.append(added.replace("\n", "\r\n") if is_dos else added)
        return "".join(parts)


def in_place(entry: Entry, key: str, bib: BibText, source: BibText) -> str:
    """The text of an entry in the place of another, which may stand before any `@string`: those
    that the file does not have, or that mean something else there, are replaced."""
    replaced = {
        name: source.values[name]
        for name in entry.macros
        if name in source.values and bib.values.get(name) != source.values[name]
    }
    return renamed(with_macros_replaced(entry, replaced), key)


def looks_like_bibtex(text: str) -> bool:
    """Whether a line of a text begins as an entry does."""
    return bool(_BEGIN.search(text))


def parse(text: str) -> BibText:
    """Read a BibTeX file. What cannot be parsed is a problem with its line; all else is read.

    Raises:
        InputError: if it has more than `MOST_ENTRIES`.
    """
    import logging

    import bibtexparser
    from bibtexparser import model

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL + 1)  # problems are told by us
    lines = _line_starts(text)
    short, too_long = _without_long_entries(text)
    blocks = bibtexparser.parse_string(short, parse_stack=[]).blocks
    values: dict[str, str] = {}
    strings: dict[str, str] = {}
    entries: dict[str, Entry] = {}
    repeated: list[Entry] = []
    problems = too_long
    for block in blocks:
        raw = str(block.raw or "")
        line = min(int(block.start_line or 0) + 1, len(lines))
        start = text.find(raw, lines[line - 1])
        if isinstance(block, model.String):
            values[block.key.lower()], *_ = _resolved(str(block.value), values)
            strings[block.key.lower()] = raw
            continue
        if isinstance(block, model.DuplicateFieldKeyBlock):
            names = ", ".join(sorted(block.duplicate_keys))
            problems.append(Problem(line, f"{names} is there twice; the first counts"))
        inner = _inner(block)
        if inner is None:
            if isinstance(block, model.ParsingFailedBlock):
                problems.append(Problem(line, _reason(block)))
            continue
        entry, reasons = _entry(inner, raw, line, start, values)
        problems += reasons
        if not entry.key:
            problems.append(Problem(line, "the entry has no key"))
        elif entry.key in entries:
            repeated.append(entry)
        else:
            entries[entry.key] = entry
    return BibText(text, tuple(entries.values()), tuple(repeated), strings, values, tuple(problems))


def _without_long_entries(text: str) -> tuple[str, list[Problem]]:
    """A text in which what is longer than `LONGEST_ENTRY` has become empty lines, since the parser
    takes minutes and gigabytes for it; and what that was."""
    starts = [0, *(match.start() for match in _BEGIN.finditer(text)), len(text)]
    if len(starts) > MOST_ENTRIES:
        raise InputError(
            f"{len(starts) - 2:,} entries are too many for a file; up to {MOST_ENTRIES:,} are read"
        )
    parts: list[str] = []
    problems = []
    for start, end in pairwise(starts):
        part = text[start:end]
        if len(part) > LONGEST_ENTRY:
            line = text.count("\n", 0, start + len(part) - len(part.lstrip())) + 1
            size = f"{len(part) / 1e6:,.0f} million characters"
            problems.append(Problem(line, f"what begins here has {size}, and no end"))
            part = "\n" * part.count("\n")
        parts.append(part)
    return ("".join(parts) if problems else text), problems


def _inner(block: Any) -> Any:
    """The entry that a block is or holds; None if it is something else."""
    from bibtexparser import model

    while isinstance(block, model.DuplicateFieldKeyBlock | model.DuplicateBlockKeyBlock):
        block = block.ignore_error_block
    return block if isinstance(block, model.Entry) else None


def _entry(
    block: Any, raw: str, line: int, start: int, values: Mapping[str, str]
) -> tuple[Entry, list[Problem]]:
    fields: dict[str, str] = {}
    macros: list[str] = []
    problems = []
    for part in block.fields:
        value, used, is_whole = _resolved(str(part.value), values)
        fields.setdefault(part.key.lower(), value)
        macros += used
        if not is_whole:
            at = line + raw[: raw.find(str(part.value))].count("\n")
            problems.append(
                Problem(at, f"{part.key} has no braces around it, or lacks the comma behind it")
            )
    entry = Entry(
        block.entry_type.lower(), block.key.strip(), fields, raw, line, start, tuple(macros)
    )
    return entry, problems


def _resolved(value: str, values: Mapping[str, str]) -> tuple[str, list[str], bool]:
    r"""What the parts of a value stand for, joined; the `@string`s among them, and whether it could
    be read to its end.

    >>> _resolved('jour # { 12}', {"jour": "ApJ"})
    ('ApJ 12', ['jour'], True)
    """
    parts: list[str] = []
    used: list[str] = []
    place = 0
    value = value.strip()
    while place < len(value):
        sign = value[place]
        if sign in '{"':
            end = _closing(value, place)
            parts.append(value[place + 1 : end])
            place = end + 1
        elif sign == "#" or sign.isspace():
            place += 1
        else:
            end = min(value.find(stop, place) % (len(value) + 1) for stop in '#{"')
            word = value[place:end].strip()
            if len(word.split()) > 1 or word.endswith("="):
                return " ".join(value.split()), used, False
            if _MACRO.fullmatch(word):
                used.append(word.lower())
            parts.append(values.get(word.lower(), word))
            place = end
    return " ".join("".join(parts).split()), used, True


def _closing(value: str, start: int) -> int:
    """The place of what closes the brace or quote at `start`; the end if nothing does."""
    depth, is_quoted = 0, value[start] == '"'
    place = start
    while place < len(value):
        sign = value[place]
        if sign == "\\":
            place += 1
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0 and not is_quoted:
                return place
        elif sign == '"' and is_quoted and depth == 0 and place > start:
            return place
        place += 1
    return len(value)


def _line_starts(text: str) -> list[int]:
    """Where each line of a text begins."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _reason(block: Any) -> str:
    """Why a block cannot be parsed, in a clause."""
    message = str(getattr(block.error, "abort_reason", "") or block.error)
    message = " ".join(message.split()).rstrip(".").replace("`", "")
    if "Unexpected block start" in message or "end of file" in message.lower():
        return "the entry does not end: a closing brace is missing"
    return f"the entry cannot be read: {message[:1].lower()}{message[1:]}"


def renamed(entry: Entry, key: str) -> str:
    """The text of an entry under another key."""
    if key == entry.key:
        return entry.raw
    head = re.match(r"@\s*\w+\s*[{(]\s*", entry.raw)
    if head is None:
        raise ValueError(f"{entry.raw[:40]!r} does not begin as an entry")
    return entry.raw[: head.end()] + key + entry.raw[head.end() + len(entry.key) :]


def with_macros_replaced(entry: Entry, values: Mapping[str, str]) -> Entry:
    """An entry with some `@string`s replaced by what they stand for.

    Args:
        values: by names in lower case.
    """

    def replace(match: re.Match[str]) -> str:
        value = values.get(match[2].lower())
        return match[0] if value is None else f"{match[1]}{{{value}}}"

    raw = re.sub(r"(=\s*)([A-Za-z_][\w.:+-]*)(?=\s*[,})])", replace, entry.raw)
    return entry if raw == entry.raw else dataclasses.replace(entry, raw=raw)

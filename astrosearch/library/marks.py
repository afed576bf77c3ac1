"""What the user thinks of papers: `papers.toml`, a table for each paper of which there is more to
say than its entry in `library.bib` does.

    ["2019ApJ...876...85R"]
    arxiv = "1903.07603"
    tags = ["h0"]
    opinion = "liked"
    read = true
    note = "the Cepheid sample"

Comments and order are kept when it is changed (tomlkit).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from astrosearch.errors import IdentifierError, InputError
from astrosearch.library.bibtex_text import Problem
from astrosearch.papers import parse_id

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Opinion = Literal["", "liked", "disliked"]

HEADER = """\
# What you think of the papers in library.bib, each under its key. Edit it as you like:
# arxiv = "2309.06126"    the paper in arXiv, where its entry does not say it
# tags = ["jets"]
# opinion = "liked"       or "disliked"
# read = true
# note = "..."
"""

_TAG = re.compile(r"[^\s,:\"'\x00-\x1f][^,:\"'\x00-\x1f]{0,79}")


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of a paper beside its entry."""

    arxiv: str = ""
    """The identifier of the preprint, where a match found it; empty if the entry tells it."""
    tags: tuple[str, ...] = ()
    opinion: Opinion = ""
    read: bool = False
    note: str = ""

    def merged(self, other: "Marks") -> "Marks":
        """With what another says; of two notes both stay."""
        notes = [self.note, *([other.note] if other.note not in self.note else [])]
        return replace(
            self,
            arxiv=other.arxiv or self.arxiv,
            tags=tuple(dict.fromkeys((*self.tags, *other.tags))),
            opinion=other.opinion or self.opinion,
            read=self.read or other.read,
            note="\n".join(filter(None, notes)),
        )


NONE = Marks()


def check_tag(tag: str) -> str:
    """A tag without blanks around it.

    Raises:
        InputError: if it cannot be one.
    """
    bare = tag.strip()
    if not _TAG.fullmatch(bare):
        raise InputError(
            f"{tag!r} cannot be a tag: it has up to 80 characters, and no comma, colon or quotes"
        )
    return bare


def read_marks(text: str, file: str) -> tuple[dict[str, Marks], list[Problem]]:
    """The marks in a TOML text by key, and what in it has no meaning.

    Raises:
        InputError: if it is not TOML, with the line.
    """
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} cannot be read: {_lowered(str(error))}; mend that line") from None
    marks: dict[str, Marks] = {}
    problems: list[Problem] = []
    for key, table in document.items():
        if not isinstance(table, dict):
            problems.append(Problem(_line(text, key), f"{key!r} belongs under a paper's key"))
            continue
        values: dict[str, Any] = {}
        for name, value in table.items():
            try:
                values[name] = _value(name, value)
            except InputError as error:
                problems.append(Problem(_line(text, name, after=key), str(error)))
        marks[key] = Marks(**values)
    return marks, problems


def _value(name: str, value: object) -> object:
    """A value as `Marks` has it.

    Raises:
        InputError: if it cannot be one.
    """
    match name:
        case "arxiv" if isinstance(value, str):
            try:
                return parse_id(value).id
            except IdentifierError as error:
                raise InputError(str(error)) from None
        case "tags" if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
            return tuple(dict.fromkeys(map(check_tag, value)))
        case "opinion" if value in ("liked", "disliked", ""):
            return value
        case "read" if isinstance(value, bool):
            return value
        case "note" if isinstance(value, str):
            return value
        case "arxiv" | "note":
            raise InputError(f"{name} is not a text in quotes")
        case "tags":
            raise InputError('tags are not a list of texts: ["jets", "agn"]')
        case "opinion":
            raise InputError('opinion is neither "liked" nor "disliked"')
        case "read":
            raise InputError("read is neither true nor false")
    raise InputError(f"{name} has no meaning here")


def _line(text: str, name: str, after: str = "") -> int:
    """The line of a name, from 1; of a name behind a table's head, if one is given."""
    lines = text.splitlines()
    start = 0
    if after:
        start = next((place for place, line in enumerate(lines) if after in line), 0)
    for place in range(start, len(lines)):
        if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", lines[place]):
            return place + 1
    return start + 1


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def parse_document(text: str) -> "TOMLDocument":
    import tomlkit

    return tomlkit.parse(text or HEADER)


def write_marks(document: "TOMLDocument", marks: Mapping[str, Marks]) -> None:
    """Change the tables of some keys in a document; a table that says nothing any more goes, unless
    it has names of the user's own."""
    import tomlkit

    for key, mark in marks.items():
        values = {
            "arxiv": mark.arxiv,
            "tags": list(mark.tags),
            "opinion": mark.opinion,
            "read": mark.read,
            "note": mark.note,
        }
        table = cast(dict[str, Any], document.get(key))
        if table is None:
            if any(values.values()):
                table = tomlkit.table()
                for name, value in values.items():
                    if value:
                        table.add(name, _item(name, value))
                table.add(tomlkit.nl())
                document.add(key, table)
            continue
        for name, value in values.items():
            if value and table.get(name) != value:
                table[name] = _item(name, value)
            elif not value and name in table:
                del table[name]
        if not table:
            del document[key]


def _item(name: str, value: object) -> object:
    import tomlkit

    if name == "note" and "\n" in str(value):
        return tomlkit.string(str(value), multiline=True)
    return value

"""Lines of JSON that people write for training: pairs, requests, judged answers."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from astrosearch.errors import IdentifierError, InputError
from astrosearch.papers import parse_id


def numbered_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a file that are not blank, each with its place for messages: `file:3`."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def record_of(line: bytes, place: str) -> object:
    """
    Raises:
        InputError: if the line is not JSON.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error})") from None


def normal_id(text: str, place: str) -> str:
    """A normalised arXiv identifier without version.

    Raises:
        InputError: if the text is not one.
    """
    try:
        return parse_id(text).id
    except IdentifierError as error:
        raise InputError(f"{place}: {error}") from None

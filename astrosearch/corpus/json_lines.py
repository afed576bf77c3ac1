"""Records of a JSON Lines file or a JSON document, plain, gzipped or zipped, streamed in bounded
memory."""

import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import orjson

from astrosearch.corpus import json_documents
from astrosearch.corpus.json_documents import UnfinishedDocument, is_document
from astrosearch.errors import AstrosearchError, CorpusError, RecordError

Stream = io.BufferedReader | gzip.GzipFile | zipfile.ZipExtFile

LONGEST_LINE = 2**20
"""Bytes; the longest record of arXiv has 60 kB (its author list)."""

MOST_UNPACKED, LARGEST_RATIO = 100 * 2**20, 100
"""Bytes, and times its own size, to which a packed file may unpack; arXiv's snapshot packs to a
third. A file that unpacks to more was made to keep its reader busy."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

BLOCK = 2**20
"""Bytes read at a time, at most; what precedes the point where a file breaks off is still read."""


_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)


def json_records(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Each record of a file, unparsed, with the number of its line from 1; one that is too long is
    cut. Of JSON Lines these are the lines that are not blank.

    Args:
        start: bytes of plain JSON Lines that are passed over; lines are counted from there.

    Raises:
        CorpusError: if the file is missing, a directory, or not JSON.
        AstrosearchError: if it breaks off in the middle (a truncated download).
    """
    number = 0
    with _open(path) as stream:
        beginning = _beginning(path, stream)
        try:
            if start:
                stream.seek(start)
            blocks = _blocks(stream, path)
            if is_document(beginning):
                records = json_documents.records(blocks, LONGEST_LINE)
            else:
                records = enumerate(_lines(blocks), start=1)
            for number, record in records:
                if record and not record.isspace():
                    yield number, record
        except (*_DAMAGE, UnfinishedDocument) as error:
            reason = f" ({error})" if str(error) else ""
            raise AstrosearchError(
                f"{path} breaks off or is damaged after line {number:,}{reason}; download it again"
            ) from None
    if number == 0 and not start:
        raise CorpusError(f"{path} holds no record")


def _blocks(stream: Stream, path: Path) -> Iterator[bytes]:
    left = max(MOST_UNPACKED, LARGEST_RATIO * path.stat().st_size)
    block = stream.read1(BLOCK).removeprefix(BYTE_ORDER_MARK)
    while block:
        yield block
        block = stream.read1(BLOCK)
        left -= len(block)
        if left < 0 and path.is_file():  # what comes down a pipe has no size
            raise CorpusError(
                f"{path} unpacks to more than {LARGEST_RATIO} times its size: no papers pack so "
                "well; if it is what it claims to be, unpack it and name that file"
            )


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, cut from large blocks: four times as fast as readline."""
    rest = b""
    for block in blocks:
        *lines, last = block.split(b"\n")
        if lines:
            lines[0] = rest + lines[0]
            rest = last
            yield from lines
        elif len(rest) < LONGEST_LINE:
            rest += last
    if rest:
        yield rest


def parsed(line: bytes) -> object:
    """The value of a line. `NaN`, which Python and pandas write for what is missing, is null.

    Raises:
        RecordError: if the line is not JSON, or too long to be a record.
    """
    if len(line) >= LONGEST_LINE:
        raise RecordError("line too long", f"longer than {LONGEST_LINE // 2**20} MB")
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if b"NaN" in line:
            try:
                return json.loads(line, parse_constant=lambda constant: None)
            except (ValueError, RecursionError):
                pass
        raise RecordError("broken JSON", str(error)) from None


@contextmanager
def _open(path: Path) -> Iterator[Stream]:
    """The bytes of a file; gzip and zip are recognised by their first bytes, not by the name."""
    if path.is_dir():
        raise CorpusError(f"{path} is a directory; name a .json, .jsonl, .gz or .zip file")
    if path.exists() and not path.is_file():  # one without a writer would be waited for
        raise CorpusError(f"{path} is a pipe or a device; write its lines to a file first")
    try:
        with path.open("rb") as plain:
            magic = plain.read(4)
            plain.seek(0)
            if magic[:2] == b"\x1f\x8b":
                with gzip.open(plain) as unpacked:
                    yield unpacked
            elif magic == b"PK\x03\x04":
                with zipfile.ZipFile(plain) as archive, archive.open(_member(archive)) as unpacked:
                    yield cast(zipfile.ZipExtFile, unpacked)
            else:
                yield plain
    except (zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise CorpusError(f"{path} is a damaged zip file ({error}); download it again") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in an odd way
        raise CorpusError(f"{path} is a zip file that cannot be read: {error}") from None
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise CorpusError(f"{path} is a damaged gzip file ({error})") from None
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from None


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if info.filename.endswith((".json", ".jsonl"))]
    if len(members) != 1:
        raise CorpusError(
            f"{archive.filename} holds {len(members)} .json files, expected one: unpack it and "
            "name the file"
        )
    return members[0]


def _beginning(path: Path, stream: Stream) -> bytes:
    """The first bytes of a file, without blanks before them; refuses what is not JSON."""
    start = stream.peek(65536)[:65536] if hasattr(stream, "peek") else b""
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text:
        raise CorpusError(f"{path} is empty")
    if b"\0" in start:
        raise CorpusError(f"{path} is a binary file, not JSON Lines")
    if text[:1] == b"<":
        raise CorpusError(f"{path} is HTML or XML, not JSON Lines: is it a saved error page?")
    if not is_document(text) and not any(line.lstrip()[:1] == b"{" for line in text.splitlines()):
        raise CorpusError(f"{path} is not JSON Lines: no line of it begins with '{{'")
    return text

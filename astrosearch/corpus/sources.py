"""What is remembered of a file of papers, so that an update reads only what was added to it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SAMPLE = 65_536
"""Bytes at either end of what was read whose hash is kept. If a file has grown, what stands between
is taken to be the same if both ends are: reading all of it again would take as long as reading a
new file."""

Change = Literal["same", "appended", "changed", "missing"]


@dataclass(frozen=True)
class FileState:
    """A file as it was when it was last read."""

    bytes: int
    modified: int
    """Time of its last change, nanoseconds since 1970."""
    sha256: str
    """Of its first and last `SAMPLE` bytes."""

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """
        Raises:
            OSError: if the file cannot be read.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, _ends_sha256(path, status.st_size))

    def change(self, path: Path) -> Change:
        """What happened to the file since."""
        try:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == (self.bytes, self.modified):
                return "same"
            if status.st_size <= self.bytes or _ends_sha256(path, self.bytes) != self.sha256:
                return "changed"
            return "appended" if _is_lines(path, self.bytes) else "changed"
        except FileNotFoundError:
            return "missing"


def _ends_sha256(path: Path, size: int) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(min(size, SAMPLE)))
        stream.seek(max(0, size - SAMPLE))
        digest.update(stream.read(min(size, SAMPLE)))
    return digest.hexdigest()


def _is_lines(path: Path, size: int) -> bool:
    """Whether the first `size` bytes are whole lines, a record each. A packed file, or one JSON
    document, cannot be read from its middle."""
    from astrosearch.corpus.json_documents import is_document
    from astrosearch.corpus.json_lines import BYTE_ORDER_MARK

    with path.open("rb") as stream:
        beginning = stream.read(SAMPLE)
        stream.seek(max(0, size - 1))
        is_packed = beginning.startswith((b"\x1f\x8b", b"PK"))
        text = beginning.removeprefix(BYTE_ORDER_MARK).lstrip()
        return not is_packed and not is_document(text) and stream.read(1) == b"\n"

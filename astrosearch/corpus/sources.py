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
            return "appended" if _ends_with_a_line(path, self.bytes) else "changed"
        except FileNotFoundError:
            return "missing"


def _ends_sha256(path: Path, size: int) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(min(size, SAMPLE)))
        stream.seek(max(0, size - SAMPLE))
        digest.update(stream.read(min(size, SAMPLE)))
    return digest.hexdigest()


def _ends_with_a_line(path: Path, size: int) -> bool:
    """Whether the first `size` bytes are whole lines of a plain file; a packed one cannot be read
    from its middle."""
    with path.open("rb") as stream:
        packed = stream.read(2) in (b"\x1f\x8b", b"PK")
        stream.seek(max(0, size - 1))
        return not packed and stream.read(1) == b"\n"

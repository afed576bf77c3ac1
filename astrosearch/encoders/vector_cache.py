"""Vectors that cost money or time, kept on this machine: a SQLite file for many models.

    vectors(service TEXT, model TEXT, hash BLOB, vector BLOB)

`service` is the address that gave the vector (two servers may call different models by one name),
or `here`; `hash` the first 16 bytes of the sha256 of the text as it was sent, in UTF-8;
`vector` (d,) float32, little-endian, as it was answered. Read one with

    np.frombuffer(db.execute("SELECT vector FROM vectors").fetchone()[0], "<f4")

Each answer is one transaction, in SQLite's write-ahead log: a process that dies loses none that
was written, and several processes may read and write at once.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import filelock
import numpy as np

from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import AstrosearchError
from astrosearch.papers import TextHash

TIMEOUT = 60.0
"""Seconds to wait for another process that writes."""

HASHES_A_STATEMENT = 500
"""Hashes in one statement; SQLite takes 999 parameters in its oldest builds."""


class VectorCache:
    """The vectors that one service gave for one model."""

    def __init__(self, db: sqlite3.Connection, file: Path, service: str, model: str) -> None:
        self._db = db
        self._file = file
        self._owner = (service, model)

    @classmethod
    @contextmanager
    def open(cls, file: Path, service: str, model: str) -> "Iterator[VectorCache]":
        """
        Raises:
            AstrosearchError: if the file is damaged, or cannot be read or written.
        """
        with _named(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=TIMEOUT, isolation_level=None)
        with closing(db):
            # SQLite does not wait for a lock when it changes to the log: one process at a time.
            with _named(file), filelock.FileLock(f"{file}.lock", timeout=TIMEOUT):
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (service TEXT NOT NULL, "
                    "model TEXT NOT NULL, hash BLOB NOT NULL, vector BLOB NOT NULL, "
                    "PRIMARY KEY (service, model, hash))"
                )
            yield cls(db, file, service, model)

    def read(self, hashes: Sequence[TextHash]) -> dict[TextHash, Vectors]:
        """The vectors that are here, (d,) float32 each, by their hashes."""
        vectors: dict[TextHash, Vectors] = {}
        with _named(self._file):
            for batch in _batches(hashes):
                query = f"SELECT hash, vector {self._where(batch)}"
                for key, blob in self._db.execute(query, (*self._owner, *batch)):
                    vectors[key] = self._vector(blob)
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise _damaged(self._file, "vectors of one model differ in dimension")
        return vectors

    def known(self, hashes: Sequence[TextHash]) -> set[TextHash]:
        """The hashes of the texts whose vectors are here."""
        with _named(self._file):
            return {
                key
                for batch in _batches(hashes)
                for (key,) in self._db.execute(
                    f"SELECT hash {self._where(batch)}", (*self._owner, *batch)
                )
            }

    def dimension(self) -> int | None:
        """Of the vectors that are here; None if there are none."""
        query = "SELECT vector FROM vectors WHERE service = ? AND model = ? LIMIT 1"
        with _named(self._file):
            row = self._db.execute(query, self._owner).fetchone()
        return None if row is None else len(self._vector(row[0]))

    def write(self, vectors: Mapping[TextHash, Vectors]) -> None:
        """Keep vectors, all of them or none; one that is here already stays."""
        rows = [(*self._owner, key, row.astype("<f4").tobytes()) for key, row in vectors.items()]
        with _named(self._file):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @staticmethod
    def _where(hashes: Sequence[TextHash]) -> str:
        marks = ", ".join("?" * len(hashes))
        return f"FROM vectors WHERE service = ? AND model = ? AND hash IN ({marks})"

    def _vector(self, blob: object) -> Vectors:
        if not isinstance(blob, bytes) or not blob or len(blob) % 4:
            raise _damaged(self._file, "what should be a vector is not one")
        vector = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if not np.isfinite(vector).all():
            raise _damaged(self._file, "a vector in it is not finite")
        return vector


def _batches(hashes: Sequence[TextHash]) -> Iterator[Sequence[TextHash]]:
    for start in range(0, len(hashes), HASHES_A_STATEMENT):
        yield hashes[start : start + HASHES_A_STATEMENT]


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Turns what goes wrong with the file into one line that names it."""
    try:
        yield
    except (OSError, sqlite3.OperationalError, filelock.Timeout) as error:
        raise AstrosearchError(f"{file}, where vectors are kept, cannot be used: {error}") from None
    except sqlite3.DatabaseError as error:
        raise _damaged(file, str(error)) from None


def _damaged(file: Path, how: str) -> AstrosearchError:
    return AstrosearchError(
        f"{file}, where vectors are kept, is damaged ({how}): remove it; what is needed of it "
        "will be encoded, and if it is a service's paid for, again"
    )

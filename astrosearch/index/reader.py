"""A built index: opened, checked, searched. indexes/README.md documents the bytes."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from astrosearch import paths
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import EncoderMismatch, IndexBusy, IndexDamaged
from astrosearch.index.manifest import PAPERS, VECTORS, WORDS, Manifest
from astrosearch.index.vector_index import VectorIndex
from astrosearch.index.vectors import map_vectors

if TYPE_CHECKING:
    from astrosearch.index.lexical_index import LexicalIndex

ATTEMPTS = 5
"""To open a folder in whose place a build puts another, 0.02 s apart."""

_CHECKED = (".fast", ".fieldnorm", f"{WORDS}/meta.json")
"""Ends of the names of small files of words/ whose sha256 is checked at opening: of a damaged one
the engine prints pages to stderr, or scores wrongly without a word."""

Stamp = tuple[int, int, int, int]


class Index:
    """A built index, open for searching. Several threads may search at once."""

    def __init__(self, folder: Path) -> None:
        """Open and check a folder; its bytes are mapped, not read.

        Raises:
            IndexDamaged: if its parts disagree on how many papers there are, or of what dimension.
            IndexBusy: if it is built again and again while it is opened.
        """
        self.folder = folder
        self._lexical: LexicalIndex | None = None
        self._lexical_lock = threading.Lock()
        # A build may put another folder in this one's place while its files are opened. They are
        # of one build if the manifest is the same before and after.
        for attempt in range(1, ATTEMPTS + 1):
            self._stamp = _stamp(folder)
            try:
                self.manifest = Manifest.read(folder)
                self._open(folder)
                if self.is_current():
                    return
                self.close()
            except IndexDamaged:
                if attempt == ATTEMPTS or (folder.exists() and self.is_current()):
                    raise
            time.sleep(0.02)
        raise IndexBusy(f"index {folder.name} is built again and again; ask when that is over")

    def _open(self, folder: Path) -> None:
        count, dimension = self.manifest.count, self.manifest.dimension
        self.vectors = map_vectors(folder / VECTORS, count, dimension)
        """(n, d) float16, mapped."""
        self.corpus = Corpus(folder / PAPERS)
        if len(self.corpus) != count:
            self.corpus.close()
            raise IndexDamaged(
                f"{folder / PAPERS} has {len(self.corpus):,} rows, the manifest says {count:,}",
                remedy="build-again",
            )
        name = self.manifest.faiss_file
        try:
            self.vector_index = VectorIndex(
                self.vectors, folder / name if name else None, dict(self.manifest.parameters)
            )
        except (RuntimeError, ValueError, KeyError) as error:
            self.corpus.close()
            raise IndexDamaged(
                f"{folder / str(name)} is not the FAISS index of {count:,} rows of {dimension} "
                f"dimensions that the manifest describes ({str(error).splitlines()[0]})",
                remedy="tune",
            ) from None

    def is_current(self) -> bool:
        """Whether the folder still holds the index that was opened; takes some microseconds."""
        return self._stamp is not None and _stamp(self.folder) == self._stamp

    def close(self) -> None:
        """Let go of files and threads; nothing can be searched afterwards."""
        self.vector_index.close()
        self.corpus.close()
        self._lexical = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.count

    @property
    def lexical(self) -> "LexicalIndex":
        """The words of the papers, opened when they are first needed.

        Raises:
            IndexDamaged: if they cannot be read, or are those of another number of papers.
            IndexBusy: if they are those of a later build.
        """
        with self._lexical_lock:
            if self._lexical is None:
                self._lexical = self._open_lexical()
            return self._lexical

    def _open_lexical(self) -> "LexicalIndex":
        from astrosearch.index.lexical_index import LexicalIndex

        lexical = None
        try:
            names = [name for name in self.manifest.files if name.endswith(_CHECKED)]
            if damaged := self.manifest.verify(self.folder, names):
                raise IndexDamaged(
                    f"{self.folder}: {', '.join(damaged)} changed since the build (sha256 differs)",
                    remedy="build-again",
                )
            lexical = LexicalIndex(self.folder / WORDS)
            if len(lexical) != len(self):
                raise IndexDamaged(
                    f"{self.folder / WORDS} has the words of {len(lexical):,} papers, the manifest "
                    f"says {len(self):,}",
                    remedy="build-again",
                )
        except (IndexDamaged, OSError):  # a build may take a file away while it is read
            if self.is_current():
                raise
        if lexical is None or not self.is_current():
            raise IndexBusy(
                f"index {self.folder.name} was built again or removed while it was being read; "
                "ask again"
            )
        return lexical

    def vector(self, row: int) -> Vectors:
        """(dimension,) float32, length 1."""
        vector: Vectors = unit_rows(self.vectors[row : row + 1])[0]
        return vector

    def check(self, encoder: Encoder) -> None:
        """
        Raises:
            EncoderMismatch: if vectors of `encoder` cannot be compared with this index's.
        """
        # A service's model may tell its dimension with its first answer only; `search` checks it.
        if not encoder.spec.is_service and encoder.dimension != self.manifest.dimension:
            raise EncoderMismatch(
                f"index {self.folder.name} has {self.manifest.dimension} dimensions, the encoder "
                f"gives {encoder.dimension}"
            )
        if encoder.spec != self.manifest.encoder:
            ours, theirs = self.manifest.encoder, encoder.spec
            raise EncoderMismatch(
                f"index {self.folder.name} was built with {ours} (revision {ours.revision}), the "
                f"encoder is {theirs} (revision {theirs.revision})",
                remedy="build-again",
            )

    def search(
        self, vectors: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]:
        """The nearest rows of each query vector, best first.

        Args:
            vectors: (q, dimension) float32, rows of length 1.
            k: rows for each query; fewer come back if fewer are allowed.
            allowed: (a,) rows that may be found, ascending; None for all. They are filtered before
                the search, so that `k` rows come back whenever so many are allowed.

        Returns:
            For each query its scores (cosines) and its rows.

        Raises:
            EncoderMismatch: if the vectors are of another dimension.
        """
        if vectors.shape[1] != self.manifest.dimension:
            raise EncoderMismatch(
                f"index {self.folder.name} has {self.manifest.dimension} dimensions, the query "
                f"has {vectors.shape[1]}"
            )
        k = min(k, len(self) if allowed is None else len(allowed))
        if k == 0:
            return [np.zeros(0, np.float32)] * len(vectors), [np.zeros(0, np.int64)] * len(vectors)
        scores, rows = self.vector_index.search(vectors, k, allowed)
        filled = rows >= 0
        return (
            [line[keep] for line, keep in zip(scores, filled, strict=True)],
            [line[keep] for line, keep in zip(rows, filled, strict=True)],
        )


def _stamp(folder: Path) -> Stamp | None:
    """What changes with every manifest that takes the place of another; None without one."""
    try:
        status = (folder / paths.MANIFEST).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

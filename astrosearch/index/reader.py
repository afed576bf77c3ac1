"""A built index: opened, checked, searched. indexes/README.md documents the bytes."""

import threading
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from astrosearch import paths
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import EncoderMismatch, IndexDamaged
from astrosearch.index.manifest import VECTORS, Segment
from astrosearch.index.papers import segmented_corpus
from astrosearch.index.segments import (
    JOINED_BYTES,
    SegmentedVectorIndex,
    SegmentedVectors,
    joined,
)
from astrosearch.index.snapshot import hold_current, hold_snapshot
from astrosearch.index.token_store import SPANS, SegmentedTokens, TokenStore
from astrosearch.index.vector_index import WHOLE, Share, VectorIndex
from astrosearch.index.vectors import map_vectors

if TYPE_CHECKING:
    from astrosearch.index.lexical_index import LexicalIndex

_CHECKED = (".fast", ".fieldnorm", "/meta.json", "/deleted.json")
"""Ends of the names of small files of words whose sha256 is checked at opening: of a damaged one
the engine prints pages to stderr, or scores wrongly without a word."""

Stamp = tuple[int, int, int, int]


class Index:
    """A snapshot of a built index, open for searching. Several threads may search at once.

    The index may be changed meanwhile: the snapshot stays as it was when it was opened.
    """

    def __init__(self, folder: Path, *, snapshot: int | None = None, share: Share = WHOLE) -> None:
        """Open and check a snapshot; its bytes are mapped, not read.

        Args:
            snapshot: its number; None for the current one.
            share: which of its vectors are searched.

        Raises:
            IndexDamaged: if its parts disagree on how many papers there are, or of what dimension.
            NothingFound: if there is no snapshot of that number any more.
        """
        self.folder = folder
        self._lexical: LexicalIndex | None = None
        self._lexical_lock = threading.Lock()
        self._stamp = _stamp(folder)
        self._share = share
        self._hold = hold_current(folder) if snapshot is None else hold_snapshot(folder, snapshot)
        self.manifest = self._hold.manifest
        try:
            self._open()
        except BaseException:
            self._hold.release()
            raise

    def _open(self) -> None:
        manifest = self.manifest
        self.dead = np.array(manifest.dead, dtype=np.int64)
        """(m,) rows, ascending, of papers that were replaced or withdrawn."""
        parts = [
            map_vectors(self.folder / segment.path(VECTORS), segment.rows, manifest.dimension)
            for segment in manifest.segments
            if segment.rows
        ]
        self.vectors = SegmentedVectors(parts, manifest.dimension)
        """(rows, d), dead rows among them."""
        self.corpus = segmented_corpus(self.folder, manifest)
        self.tokens = self._open_tokens()
        try:
            self.vector_index = self._open_vectors(parts)
        except BaseException:
            self.corpus.close()
            raise

    def _open_tokens(self) -> SegmentedTokens:
        segments = self.manifest.segments
        stores = [
            TokenStore(self.folder / segment.folder, segment.rows)
            if segment.path(SPANS) in self.manifest.files
            else None
            for segment in segments
        ]
        return SegmentedTokens(stores, np.array([segment.first for segment in segments]))

    def _open_vectors(self, parts: list[NDArray[np.float16]]) -> SegmentedVectorIndex:
        """Neighbours are looked for in each segment that has a FAISS index, or many vectors; small
        segments are joined."""
        opened: list[tuple[int, VectorIndex]] = []
        small: list[NDArray[np.float16]] = []
        row = 0
        for segment, vectors in zip(
            [segment for segment in self.manifest.segments if segment.rows], parts, strict=True
        ):
            name = self.manifest.faiss_file(segment)
            size = sum(part.nbytes for part in small) + vectors.nbytes
            if name is None and opened and size <= JOINED_BYTES:
                small.append(vectors)
                continue
            if small:
                opened.append((row, VectorIndex(joined(small), None, {}, self._share)))
                row, small = segment.first, []
            opened.append((segment.first, self._open_segment(segment, vectors, name)))
            row = segment.first + segment.rows
        if small:
            opened.append((row, VectorIndex(joined(small), None, {}, self._share)))
        return SegmentedVectorIndex(opened, self.manifest.rows, self.dead)

    def _open_segment(
        self, segment: Segment, vectors: NDArray[np.float16], name: str | None
    ) -> VectorIndex:
        try:
            path = self.folder / name if name else None
            return VectorIndex(vectors, path, dict(segment.parameters), self._share)
        except (RuntimeError, ValueError, KeyError) as error:
            raise IndexDamaged(
                f"{self.folder / str(name)} is not the FAISS index of {segment.rows:,} rows of "
                f"{self.manifest.dimension} dimensions that the manifest describes "
                f"({str(error).splitlines()[0]})",
                remedy="tune",
            ) from None

    def is_current(self) -> bool:
        """Whether this is still the current snapshot; takes some microseconds."""
        return self._stamp is not None and _stamp(self.folder) == self._stamp

    def close(self) -> None:
        """Let go of files and threads; nothing can be searched afterwards."""
        self.vector_index.close()
        self.vectors.close()
        self.corpus.close()
        self._lexical = None
        self._hold.release()

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
        """The number of papers."""
        return self.manifest.count

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(n,) the rows of all papers, ascending."""
        is_alive = np.ones(self.manifest.rows, dtype=bool)
        is_alive[self.dead] = False
        return np.flatnonzero(is_alive)

    @property
    def lexical(self) -> "LexicalIndex":
        """The words of the papers, opened when they are first needed.

        Raises:
            IndexDamaged: if they cannot be read, or are those of another number of papers.
        """
        with self._lexical_lock:
            if self._lexical is None:
                self._lexical = self._open_lexical()
            return self._lexical

    def _open_lexical(self) -> "LexicalIndex":
        from astrosearch.index.lexical_index import LexicalIndex

        folder = self.folder / self.manifest.words
        names = [
            name
            for name in self.manifest.files
            if name.startswith(f"{self.manifest.words}/") and name.endswith(_CHECKED)
        ]
        if damaged := self.manifest.verify(self.folder, names):
            raise IndexDamaged(
                f"{self.folder}: {', '.join(damaged)} changed since the build (sha256 differs)",
                remedy="build-again",
            )
        lexical = LexicalIndex(folder, self.dead, self.corpus.ids_of)
        if len(lexical) != len(self):
            raise IndexDamaged(
                f"{folder} has the words of {len(lexical):,} papers, the manifest says "
                f"{len(self):,}",
                remedy="build-again",
            )
        return lexical

    def vector(self, row: int) -> Vectors:
        """(dimension,) float32, length 1."""
        vector: Vectors = unit_rows(self.vectors[np.array([row])])[0]
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
            allowed: (a,) rows of papers that may be found, ascending; None for all. They are
                filtered before the search, so that `k` rows come back whenever so many are allowed.

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

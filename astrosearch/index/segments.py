"""The vectors of an index that has grown, read as one array, and the nearest of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from astrosearch.encoders.vectors import Vectors
from astrosearch.index.vector_index import VectorIndex
from astrosearch.index.vectors import RowReader

Rows = NDArray[np.int64]

JOINED_BYTES = 32_000_000
"""Vectors of segments without a FAISS index that are read into memory as one array: comparing forty
small arrays takes much longer than one of the same size."""

SPARE = 16
"""Rows that are looked for beyond those that are wanted, at least, where rows are dead."""


class SegmentedVectors:
    """(n, d) float16 unit rows in several arrays."""

    def __init__(self, parts: Sequence[NDArray[np.float16]], dimension: int) -> None:
        self.parts = tuple(part for part in parts if len(part))
        lengths = [len(part) for part in self.parts]
        self.firsts = np.cumsum([0, *lengths])[:-1]
        """The first row of each part."""
        self.shape = (sum(lengths), dimension)
        self._readers = [RowReader(part) for part in self.parts]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> Vectors:
        """(len(rows), d) float32, copied.

        Raises:
            OSError: if a file was cut off.
        """
        if len(self.parts) == 1:
            return self._readers[0][rows]
        vectors = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        places = np.searchsorted(self.firsts, rows, side="right") - 1
        for number in set(places.tolist()):
            here = places == number
            vectors[here] = self._readers[number][rows[here] - self.firsts[number]]
        return vectors

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.floating]:
        """(n, d) float16 unless another dtype is asked for, copied."""
        empty = np.zeros((0, self.shape[1]), dtype=np.float16)
        return np.concatenate([empty, *self.parts]).astype(dtype or np.float16, copy=False)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


class SegmentedVectorIndex:
    """The nearest of the rows of all segments but the dead. Several threads may search at once."""

    def __init__(self, parts: Sequence[tuple[int, VectorIndex]], rows: int, dead: Rows) -> None:
        """
        Args:
            parts: each with its first row, ascending, without a gap.
            rows: of all of them.
            dead: (m,) rows that are never found, ascending.
        """
        self._parts = tuple(parts)
        self._rows = rows
        self._dead = dead
        self._is_dead = np.zeros(rows, dtype=bool)
        self._is_dead[dead] = True

    def close(self) -> None:
        """End the threads and close the files; nothing can be searched afterwards."""
        for _, part in self._parts:
            part.close()

    @property
    def is_exact(self) -> bool:
        """Whether every search compares all vectors."""
        return all(part.is_exact for _, part in self._parts)

    def search(self, queries: Vectors, k: int, allowed: Rows | None = None) -> tuple[Vectors, Rows]:
        """The nearest rows of each query.

        Args:
            queries: (q, d) float32, rows of length 1.
            k: hits for each query.
            allowed: (a,) rows that a filter leaves, ascending, none of them dead; None for all.

        Returns:
            (q, k) float32 cosines, best first, and (q, k) rows; where fewer than k are allowed, the
            last rows are -1.
        """
        if allowed is not None or not len(self._dead):
            return self._search(queries, k, allowed)
        # As many more as there are dead rows among so many, twice over.
        spare = SPARE + 2 * k * len(self._dead) // self._rows
        count = min(self._rows, k + min(len(self._dead), spare))
        while True:
            scores, rows = self._search(queries, count, None)
            is_hit = (rows >= 0) & ~self._is_dead[rows]
            if count == self._rows or is_hit.sum(axis=1).min(initial=k) >= k:
                break
            count = min(self._rows, 2 * count)
        # Dead rows go to the end; the order of the others stays.
        order = np.argsort(~is_hit, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
        is_hit = np.take_along_axis(is_hit, order, axis=1)
        return _padded(np.where(is_hit, scores, -np.inf), np.where(is_hit, rows, -1), k)

    def _search(self, queries: Vectors, k: int, allowed: Rows | None) -> tuple[Vectors, Rows]:
        """The nearest rows, dead ones among them."""
        if len(self._parts) == 1:
            return self._parts[0][1].search(queries, k, allowed)
        scores, rows = [], []
        for first, part in self._parts:
            local = None
            if allowed is not None:
                start, end = np.searchsorted(allowed, [first, first + len(part)])
                local = allowed[start:end] - first
                if not len(local):
                    continue
            part_scores, part_rows = part.search(queries, min(k, len(part)), local)
            scores.append(part_scores)
            rows.append(np.where(part_rows < 0, -1, part_rows + first))
        if not scores:
            return np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1)
        all_scores, all_rows = np.hstack(scores), np.hstack(rows)
        all_scores[all_rows < 0] = -np.inf
        best = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
        return _padded(
            np.take_along_axis(all_scores, best, axis=1),
            np.take_along_axis(all_rows, best, axis=1),
            k,
        )


def joined(parts: Sequence[NDArray[np.float16]]) -> NDArray[np.float16]:
    """Small arrays, copied into one."""
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _padded(scores: Vectors, rows: Rows, k: int) -> tuple[Vectors, Rows]:
    if scores.shape[1] == k:
        return scores, rows
    width = ((0, 0), (0, k - scores.shape[1]))
    return (
        np.pad(scores, width, constant_values=-np.inf),
        np.pad(rows, width, constant_values=-1),
    )

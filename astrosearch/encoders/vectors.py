"""Vectors as rows: unit length, cosines, and reading a few of many. numpy alone."""

import mmap
import os
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

FLAT = "SQfp16"
"""What FAISS calls an index that compares all vectors, in float16: vectors.npy is its codes."""


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Each row divided by its length, (n, d) float32; a row of zeros stays zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def release(vectors: NDArray[Any]) -> None:
    """Give the pages of a mapped array that were read or written back to the system's cache, so
    that memory does not grow with what was looked at."""
    if isinstance(vectors.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        vectors.base.madvise(mmap.MADV_DONTNEED)


MAPPED_BYTES = 100_000_000
"""Of a file that may be mapped whole when rows of it are looked at."""


class RowReader:
    """Rows here and there of (n, d) vectors, copied.

    Those of a large mapped file are read from it: touching one would map the megabytes about it
    that the system keeps together, and a thousand of them the whole file.
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        self._vectors = vectors
        self._file: int | None = None
        mapped = isinstance(vectors, np.memmap) and isinstance(vectors.base, mmap.mmap)
        if mapped and vectors.nbytes > MAPPED_BYTES and hasattr(os, "preadv"):
            self._file = os.open(vectors.filename, os.O_RDONLY)  # type: ignore[attr-defined]
            weakref.finalize(self, os.close, self._file)

    def __getitem__(self, rows: NDArray[np.int64]) -> Vectors:
        """(len(rows), d) float32."""
        if self._file is None:
            return self._vectors[rows].astype(np.float32)
        taken = np.empty((len(rows), self._vectors.shape[1]), dtype=self._vectors.dtype)
        size = taken.itemsize * taken.shape[1]
        start = int(self._vectors.offset)  # type: ignore[attr-defined]
        for number, row in enumerate(rows.tolist()):
            if os.preadv(self._file, [taken[number].data], start + row * size) != size:
                raise OSError(f"{self._vectors.filename} was cut off")  # type: ignore[attr-defined]
        return taken.astype(np.float32)


PAIRS = 50_000
"""Random pairs, whose cosines are what any other cosine must be read against."""


def random_pair_cosines(vectors: NDArray[np.floating], seed: int = 0) -> Vectors:
    """(PAIRS,) ascending cosines of random pairs of the (n, d) rows, n > 1."""
    draw = np.random.default_rng(seed)
    left = draw.integers(0, len(vectors), PAIRS)
    right = (left + draw.integers(1, len(vectors), PAIRS)) % len(vectors)  # never itself
    taken = RowReader(vectors)
    cosines = []
    for some in np.array_split(np.arange(PAIRS), PAIRS // 4096):
        one, other = unit_rows(taken[left[some]]), unit_rows(taken[right[some]])
        cosines.append(np.einsum("ij,ij->i", one, other))
    return np.sort(np.concatenate(cosines))

"""The (n, d) float16 vectors of an index, where they lie on the disk."""

import mmap
import os
import weakref
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, IndexDamaged

FLAT = "SQfp16"
"""What FAISS calls an index that compares all vectors, in float16: vectors.npy is its codes."""

MAPPED_BYTES = 100_000_000
"""Size up to which a file is mapped whole when rows here and there are read."""

READ_BYTES = 1_000_000
"""Size up to which a file is read at once: one that is mapped stays open, and an index of fifty
small segments would keep more files open than some systems let a process."""

PAIRS = 50_000
"""Random pairs, whose cosines are what any other cosine must be read against."""

_DAMAGE = (OSError, ValueError, EOFError, SyntaxError, TypeError, MemoryError, TokenError)
"""What numpy raises for a damaged header, which it reads as Python."""


def load_or_map(path: Path) -> NDArray[Any]:
    """The array of a .npy file: a copy if it is small, else memory-mapped.

    Raises:
        OSError, ValueError and others of numpy's: if it is not there, or damaged.
    """
    array: NDArray[Any] = np.load(
        path, mmap_mode=None if path.stat().st_size <= READ_BYTES else "r", allow_pickle=False
    )
    return array


def map_vectors(path: Path, count: int, dimension: int) -> NDArray[np.float16]:
    """The (count, dimension) vectors of a vectors.npy, memory-mapped unless they are few.

    Raises:
        IndexDamaged: if it is not there, or has another shape or another number format.
    """
    try:
        vectors: NDArray[np.float16] = load_or_map(path)
    except PermissionError as error:
        raise AstrosearchError(f"{path} cannot be read: {error.strerror}") from None
    except _DAMAGE as error:
        raise IndexDamaged(f"{path} cannot be read ({error})", remedy="build-again") from None
    if vectors.shape != (count, dimension) or vectors.dtype != np.float16:
        raise IndexDamaged(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}, the manifest says float16 of "
            f"shape {(count, dimension)}",
            remedy="build-again",
        )
    return vectors


def new_vectors(path: Path, shape: tuple[int, int]) -> "np.memmap[Any, np.dtype[np.float16]]":
    """A new vectors.npy, mapped, whose bytes the disk has set aside already: one that fills up
    beneath a mapped file would end the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return np.lib.format.open_memmap(path, mode="r+")


def release(vectors: NDArray[Any]) -> None:
    """Give the pages of a mapped array that were read or written back to the system's cache, so
    that memory does not grow with what was looked at."""
    if isinstance(vectors.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        vectors.base.madvise(mmap.MADV_DONTNEED)


class RowReader:
    """Rows here and there of (n, d) vectors, copied. Several threads may read at once.

    Those of a large mapped file are read from it: touching one would map the megabytes about it
    that the system keeps together, and a thousand of them the whole file.
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        self._vectors = vectors
        self._file: int | None = None
        mapped = isinstance(vectors, np.memmap) and isinstance(vectors.base, mmap.mmap)
        if mapped and vectors.nbytes > MAPPED_BYTES and hasattr(os, "preadv"):
            self._file = os.open(vectors.filename, os.O_RDONLY)  # type: ignore[attr-defined]
            self._close = weakref.finalize(self, os.close, self._file)

    def __getitem__(self, rows: NDArray[np.int64]) -> Vectors:
        """(len(rows), d) float32.

        Raises:
            OSError: if the file was cut off.
        """
        if self._file is None:
            return self._vectors[rows].astype(np.float32)
        vectors = np.empty((len(rows), self._vectors.shape[1]), dtype=self._vectors.dtype)
        size = vectors.itemsize * vectors.shape[1]
        start = int(self._vectors.offset)  # type: ignore[attr-defined]
        for number, row in enumerate(rows.tolist()):
            if os.preadv(self._file, [vectors[number].data], start + row * size) != size:
                raise OSError(f"{self._vectors.filename} was cut off")  # type: ignore[attr-defined]
        return vectors.astype(np.float32)

    def close(self) -> None:
        """Close the file; no row can be read afterwards."""
        if self._file is not None:
            self._file = -1  # a number that is closed may be given to another file
            self._close()


def random_pair_cosines(vectors: NDArray[np.floating], seed: int = 0) -> Vectors:
    """(PAIRS,) ascending cosines of random pairs of the (n, d) rows, n > 1."""
    draw = np.random.default_rng(seed)
    left = draw.integers(0, len(vectors), PAIRS)
    right = (left + draw.integers(1, len(vectors), PAIRS)) % len(vectors)  # never itself
    reader = RowReader(vectors)
    cosines = []
    for pairs in np.array_split(np.arange(PAIRS), PAIRS // 4096):
        lefts, rights = unit_rows(reader[left[pairs]]), unit_rows(reader[right[pairs]])
        cosines.append(np.einsum("ij,ij->i", lefts, rights))
    return np.sort(np.concatenate(cosines))

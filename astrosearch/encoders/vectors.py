"""Vectors as rows: unit length, cosine, centring and whitening. numpy alone.

A language model's mean vectors share one large component: any two texts look alike (random
pairs of SmolLM2-135M have cosine .86). Whitening takes the mean out and scales the principal
axes alike, so that what tells texts apart counts (Su et al. 2021, arXiv:2103.15316).
"""

import mmap
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class LinearHead:
    """A fitted linear map from an encoder's unit rows to decorrelated unit rows.

    The map must be fitted on other papers than the ones it is judged on.
    """

    mean: Vectors
    """(d,), the mean of the unit rows it was fitted on."""
    projection: Vectors
    """(d, dimension), principal axes, each divided by its spread to the power `power`."""

    @classmethod
    def fit(cls, vectors: NDArray[np.floating], dimension: int, power: float = 1.0) -> "LinearHead":
        """Fit on (n, d) vectors, n > dimension; `power` 1 is full whitening, 0 is plain PCA.

        Raises:
            ValueError: if there are too few vectors to fit `dimension` axes.
        """
        rows = unit_rows(vectors).astype(np.float64)
        if len(rows) <= dimension:
            raise ValueError(
                f"whitening to {dimension} dimensions needs more than {len(rows)} rows"
            )
        mean = rows.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov(rows.T))
        largest = np.argsort(-variances)[:dimension]
        spread = np.sqrt(np.maximum(variances[largest], 1e-12))
        projection = axes[:, largest] / spread**power
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    def __call__(self, vectors: NDArray[np.floating]) -> Vectors:
        """(n, d) to (n, dimension), unit rows."""
        return unit_rows((unit_rows(vectors) - self.mean) @ self.projection)

    @classmethod
    def load(cls, path: Path) -> "LinearHead":
        from safetensors.numpy import load_file

        arrays = load_file(path)
        return cls(
            arrays["mean"].astype(np.float32, copy=False),
            arrays["projection"].astype(np.float32, copy=False),
        )

    def save(self, path: Path) -> None:
        """Write both arrays as float16: the rounding is far below the spread of the vectors."""
        from safetensors.numpy import save_file

        save_file(
            {
                # safetensors writes a buffer as it lies in memory: it must be in C order.
                "mean": np.ascontiguousarray(self.mean, dtype=np.float16),
                "projection": np.ascontiguousarray(self.projection, dtype=np.float16),
            },
            path,
        )

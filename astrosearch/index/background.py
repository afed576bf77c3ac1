"""The cosines of random pairs of papers: what any other cosine must be read against."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import IndexDamaged
from astrosearch.index.manifest import Background
from astrosearch.index.vectors import random_pair_cosines, release

BLOCK = 16_384
"""Rows of float32 vectors that are held in memory at a time."""


@dataclass(frozen=True)
class VectorSum:
    """The sum of the unit vectors of all papers. The mean cosine of all pairs follows from it,
    however the papers came, and papers are added and taken away without a look at the others."""

    total: NDArray[np.float64]
    """(dimension,)"""

    @classmethod
    def of(cls, vectors: NDArray[np.float16]) -> "VectorSum":
        """Of (n, dimension) vectors."""
        total = np.zeros(vectors.shape[1])
        for start in range(0, len(vectors), BLOCK):
            total += unit_rows(vectors[start : start + BLOCK]).sum(axis=0, dtype=np.float64)
            release(vectors)
        return cls(total)

    @classmethod
    def decode(cls, text: str, dimension: int) -> "VectorSum":
        """
        Raises:
            IndexDamaged: if it is not what `encode` gave.
        """
        try:
            total = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8")
        except ValueError:
            total = np.zeros(0)
        if total.shape != (dimension,) or not np.isfinite(total).all():
            raise IndexDamaged(
                f"vector_sum is not a vector of {dimension} dimensions", remedy="build-again"
            )
        return cls(total)

    def encode(self) -> str:
        return base64.b64encode(self.total.astype("<f8").tobytes()).decode()

    def with_change(
        self, added: NDArray[np.floating], removed: NDArray[np.floating]
    ) -> "VectorSum":
        """After (a, dimension) vectors came and (r, dimension) went."""
        return VectorSum(
            self.total
            + unit_rows(added).sum(axis=0, dtype=np.float64)
            - unit_rows(removed).sum(axis=0, dtype=np.float64)
        )

    def mean_cosine(self, count: int) -> float | None:
        """Of all pairs of different papers, `count` in all; None if there is no pair."""
        if count < 2:
            return None
        pairs = (float(self.total @ self.total) - count) / (count * (count - 1))
        return round(min(1.0, max(-1.0, pairs)), 6)


def background(vectors: NDArray[np.float16], total: VectorSum) -> Background:
    """Of (n, dimension) vectors whose sum is `total`. The spread is that of random pairs."""
    if len(vectors) < 2:
        return Background()
    cosines = random_pair_cosines(vectors)
    percentiles = np.percentile(cosines, range(101))
    return Background(
        pairs=len(cosines),
        mean=total.mean_cosine(len(vectors)),
        spread=round(float(cosines.std()), 4),
        percentiles=tuple(round(float(cosine), 4) for cosine in percentiles),
    )

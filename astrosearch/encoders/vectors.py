"""Vectors as rows: unit length, centring and whitening. numpy alone.

A language model's mean vectors share one large component: any two texts look alike (random
pairs of SmolLM2-135M have cosine .86). Whitening takes the mean out and scales the principal
axes alike, so that what tells texts apart counts (Su et al. 2021, arXiv:2103.15316).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Each row divided by its length, (n, d) float32; a row of zeros stays zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


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

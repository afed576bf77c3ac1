"""What follows a model: the weights of the tokens in the mean, and a linear map of the mean.

A language model's mean vectors share one large component: any two texts look alike (random
pairs of SmolLM2-135M have cosine .86). Whitening takes the mean out and scales the principal
axes alike, so that what tells texts apart counts (Su et al. 2021, arXiv:2103.15316). A trained
embedding adapter brings a map of its own.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import EncoderSpec, pooled_width
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError

HEAD = "head.safetensors"
"""In an embedding adapter's folder: `mean`, `projection` and, if it has any, `token_weights`."""


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


@dataclass(frozen=True)
class EncoderHead:
    """What turns a model's states into a text's vector, besides the mean."""

    linear: LinearHead | None = None
    token_weights: NDArray[np.float32] | None = None
    """(vocabulary,), what each token counts in a `weighted-` mean."""

    def __call__(self, pooled: Vectors) -> Vectors:
        """(n, d) means to (n, dimension) unit rows."""
        return unit_rows(pooled) if self.linear is None else self.linear(pooled)

    def dimension(self, width: int) -> int:
        """Of the vectors, where those of the means are of `width` dimensions."""
        return width if self.linear is None else int(self.linear.projection.shape[1])

    @classmethod
    def load(cls, spec: EncoderSpec, folder: Path, adapter: Path | None) -> "EncoderHead":
        """The head that an adapter brings, else the whitening that the spec names.

        Args:
            folder: of the model.

        Raises:
            InputError: if an adapter lacks the weights of a weighted mean, or is of another model.
        """
        from safetensors.numpy import load_file

        path = None if adapter is None else adapter / HEAD
        linear = weights = None
        if path is not None and path.exists():
            with readable(path):
                linear, weights = LinearHead.load(path), load_file(path).get("token_weights")
        if weights is None and spec.pooling.startswith("weighted"):
            raise InputError(
                f"pooling {spec.pooling} needs a trained embedding adapter, which brings the "
                "weights of the tokens"
            )
        if linear is None:
            return cls(load_whitening(spec.transform))
        config = read_object(folder / "config.json")
        width = pooled_width(spec.pooling, config.get("hidden_size", 0))
        words = 0 if weights is None else config.get("vocab_size", 0)
        lengths = (
            len(linear.mean),
            len(linear.projection),
            0 if weights is None else len(weights),
        )
        if lengths != (width, width, words):
            raise InputError(
                f"{path} is of another model: mean, projection and token weights have lengths "
                f"{lengths}, {spec.model} needs {(width, width, words)}"
            )
        return cls(linear, None if weights is None else weights.astype(np.float32))


NO_HEAD = EncoderHead()
"""Of a model whose mean is the vector."""


def load_whitening(name: str | None) -> LinearHead | None:
    """One of the whitenings in `transforms/`, by its name."""
    if name is None:
        return None
    known = sorted(file.stem for file in transforms().glob("*.safetensors"))
    if name not in known:
        raise InputError(f"there is no transform {name!r}; there are: {', '.join(known)}")
    return LinearHead.load(transforms() / f"{name}.safetensors")


def transforms() -> Path:
    return Path(str(files("astrosearch.encoders"))) / "transforms"

"""The query table: a second table of token vectors, which are added to the vectors of queries.

A paper says what it found, and a query asks for that in other words. Without layers, a token has
one vector for both. The query table moves a query's vector towards the papers that people look for
with such words. Documents keep their vectors, so no index has to be built again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import WeightedTokens
from astrosearch.encoders.hugging_face import readable
from astrosearch.encoders.mapped import map_safetensors
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.encoders.weights.fingerprint import QUERY_TABLE
from astrosearch.errors import InputError


def places_of(
    known: NDArray[np.integer], tokens: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(t,) the places of tokens among (m,) known ones, ascending, and (t,) whether they are there:
    the place of one that is not has no meaning."""
    places = np.searchsorted(known, tokens).clip(max=len(known) - 1)
    return places, known[places] == tokens


class QueryTable(NamedTuple):
    """A shift for each token that was met in training. `train queries` makes it."""

    tokens: NDArray[np.int32]
    """(m,), ascending."""
    shifts: NDArray[np.int8]
    """(m, dimension)."""
    scales: NDArray[np.float16]
    """(m,), what 1 stands for in each row of `shifts`."""

    @classmethod
    def of(cls, tokens: NDArray[np.integer], shifts: NDArray[np.float32]) -> "QueryTable":
        """Rounded to 8 bits: the largest entry of each row is 127 times its scale."""
        scales = (np.abs(shifts).max(axis=1) / 127).astype(np.float16)
        rows = np.zeros(shifts.shape, dtype=np.int8)
        used = scales > 0
        rows[used] = np.rint(shifts[used] / scales[used, None].astype(np.float32)).clip(-127, 127)
        return cls(tokens.astype(np.int32), rows, scales)

    @classmethod
    def load(cls, folder: Path, dimension: int) -> "QueryTable | None":
        """The table of an adapter's folder, mapped; None if it has none.

        Raises:
            InputError: if it cannot be read, or is not of vectors of that dimension.
        """
        file = folder / QUERY_TABLE
        if not file.exists():
            return None
        with readable(file):
            parts = map_safetensors(file)
            table = cls(*(parts[name] for name in cls._fields))
        if table.shifts.shape != (len(table.tokens), dimension) or not len(table.tokens):
            raise InputError(
                f"{file} is of another encoder: its vectors have shape {table.shifts.shape}, "
                f"{(len(table.tokens), dimension)} is needed; make it again: astrosearch train "
                "queries"
            )
        return table

    def save(self, file: Path) -> None:
        from safetensors.numpy import save_file

        save_file(self._asdict(), file)

    def __call__(self, vectors: Vectors, texts: Sequence[WeightedTokens]) -> Vectors:
        """(n, dimension) float32 unit rows of n queries.

        Args:
            vectors: (n, dimension) of the same texts, as documents.
            texts: their tokens, with what each counts for.
        """
        return unit_rows(vectors + np.stack([self._shift(text) for text in texts]))

    def _shift(self, text: WeightedTokens) -> Vectors:
        """(dimension,) the weighted mean of the shifts of a text's tokens; 0 for unknown ones."""
        places, is_known = places_of(self.tokens, text.tokens)
        rows = places[is_known]
        weights = text.weights[is_known] * self.scales[rows].astype(np.float32)
        return np.asarray(weights @ self.shifts[rows].astype(np.float32))

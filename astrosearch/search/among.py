"""Which papers may be found, by their identifiers: a list of the caller's, such as a library."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astrosearch.search.signals import Rows

if TYPE_CHECKING:
    from astrosearch.index.reader import Index


@dataclass(frozen=True, slots=True)
class Among:
    """Papers that may be found. Identifiers that the index does not have mean nothing."""

    only: Collection[str] | None = None
    """Normalised arXiv identifiers; None for all papers."""
    without: Collection[str] = ()
    """Identifiers of papers that may not."""
    name: str = ""
    """What the papers are, for messages: `in tag:jets`."""

    def rows(self, index: "Index", passing: Rows | None) -> Rows | None:
        """(n,) rows, ascending, of those that may be found; None for all.

        Args:
            passing: rows that pass filters, ascending; None for all.
        """
        if self.only is not None:
            rows = _rows(index, self.only)
            passing = rows if passing is None else np.intersect1d(passing, rows, assume_unique=True)
        if self.without:
            passing = index.rows if passing is None else passing
            passing = np.setdiff1d(passing, _rows(index, self.without), assume_unique=True)
        return passing


ALL = Among()


def _rows(index: "Index", ids: Collection[str]) -> Rows:
    return np.sort(np.array(list(index.corpus.rows_of(ids).values()), dtype=np.int64))

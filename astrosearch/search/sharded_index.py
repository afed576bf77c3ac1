"""The papers of an index whose vectors are compared by several processes, on one machine or many.

Each of them opens the index, but searches only its share of the vectors. Cosines do not depend on
the share, so that the best of all answers are those that one process would have found. Words,
papers and tokens are read where the question is answered: they are mapped, and few of them are
needed.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from astrosearch import paths
from astrosearch.encoders.vectors import Vectors
from astrosearch.index.reader import Index
from astrosearch.index.vector_index import Share
from astrosearch.search.conditions import Condition
from astrosearch.search.local_index import LocalIndex, Rows

Nearest = tuple[NDArray[np.float32], Rows]
"""(n,) cosines and (n,) rows of the snapshot."""

AskShards = Callable[[str, int, Vectors, int, tuple[Condition, ...]], Sequence[Nearest]]
"""Name of an index, number of its snapshot, vector, k and conditions to what each share gives."""

MOST_OPEN = 4
"""Snapshots that a shard keeps open: a question may still be about an earlier one."""


class Shard:
    """The nearest of a share of an index's vectors."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._open: OrderedDict[tuple[str, int], Index] = OrderedDict()

    def nearest(
        self, name: str, snapshot: int, vector: Vectors, k: int, conditions: Sequence[Condition]
    ) -> Nearest:
        """The `k` nearest papers of this share that meet all conditions.

        Raises:
            NothingFound: if the snapshot is not on this machine.
        """
        return LocalIndex(self._index(name, snapshot)).nearest_rows(vector, k, conditions)

    def _index(self, name: str, snapshot: int) -> Index:
        key = name, snapshot
        if key not in self._open:
            folder = paths.existing_index(name)
            self._open[key] = Index(folder, snapshot=snapshot, share=self._share)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # closed when the last question about it ends
        self._open.move_to_end(key)
        return self._open[key]


class ShardedIndex(LocalIndex):
    """A snapshot's papers, for one query, the nearest of which are found by shards."""

    def __init__(self, index: Index, ask: AskShards) -> None:
        super().__init__(index)
        self._ask = ask

    def nearest_rows(self, vector: Vectors, k: int, conditions: Sequence[Condition]) -> Nearest:
        index = self._index
        answers = self._ask(
            index.folder.name, index.manifest.snapshot, vector, k, tuple(conditions)
        )
        scores = np.concatenate([scores for scores, _ in answers])
        rows = np.concatenate([rows for _, rows in answers])
        allowed = self._rows_of(conditions)
        if len(rows) < min(k, len(index) if allowed is None else len(allowed)):
            # Inverted lists that were looked into hold fewer: all vectors are compared.
            return super().nearest_rows(vector, k, conditions)
        best = np.lexsort((rows, -scores))[:k]
        return scores[best], rows[best]

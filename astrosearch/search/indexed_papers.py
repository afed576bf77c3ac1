"""The papers of a local index, in the form that the ranker needs."""

from collections.abc import Sequence

import numpy as np

from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.search.signals import Column, Rows

TIES = 8
"""Extra papers that a search gets, to order equal vectors by their rows."""


class IndexedPapers:
    """An index's papers for one query (`search.signals.Papers`). A paper is read only once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._papers: dict[int, Paper] = {}

    @property
    def background(self) -> float:
        return self._index.manifest.background.mean or 0.0

    def nearest(self, vector: Vectors, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        # A few more than k, so that ties at the cut are in the order of rows too.
        [scores], [rows] = self._index.search(vector[None], k + TIES, allowed)
        order = np.lexsort((rows, -scores))[:k]
        return scores[order].astype(np.float64), rows[order]

    def best_words(self, text: str, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        scores, rows = self._index.lexical.search(text, k, allowed)
        return scores.astype(np.float64), rows

    def cosines(self, vector: Vectors, rows: Rows) -> Column:
        return np.asarray(unit_rows(self._index.vectors[rows]) @ vector, dtype=np.float64)

    def bm25(self, text: str, rows: Rows) -> Column:
        return self._index.lexical.scores(text, rows).astype(np.float64)

    def weighted_tokens(self, encoder: LateInteraction, rows: Rows) -> list[WeightedTokens]:
        bags = self._index.tokens.bags(rows)
        missing = [place for place, bag in enumerate(bags) if not len(bag.tokens)]
        if missing:
            text_of = self._index.manifest.encoder.text_of
            texts = [text_of(paper) for paper in self.papers(rows[missing])]
            for place, bag in zip(missing, encoder.token_bags(texts), strict=True):
                bags[place] = bag
        return [encoder.weigh(bag) for bag in bags]

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return self._index.lexical.frequency(word, fields)

    def with_authors(self, names: Sequence[Sequence[str]]) -> Rows:
        return self._index.lexical.rows_with_authors(names)

    def authors(self, rows: Rows) -> list[tuple[str, ...]]:
        return [paper.authors for paper in self.papers(rows)]

    def papers(self, rows: Rows) -> list[Paper]:
        """The papers of (n,) rows, in the same order."""
        missing = [row for row in rows.tolist() if row not in self._papers]
        if missing:
            self._papers |= zip(missing, self._index.corpus.papers(missing), strict=True)
        return [self._papers[row] for row in rows.tolist()]

"""Signals: named columns of numbers by which candidates are ranked.

A new signal is a function here, a name in `Signal`, and a weight in `ranker.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.text.authors import author_words

if TYPE_CHECKING:
    from astrosearch.search.author_names import AuthorName

Rows = NDArray[np.int64]
"""(n,) numbers of papers in a set."""

Column = NDArray[np.float64]
"""(n,) a number for each row."""

Signal = Literal["cosine", "bm25", "token_match", "author_match"]


class Papers(Protocol):
    """A set of papers that can be searched and ranked. Rows number its papers.

    A local index is one (`search.indexed_papers`), the documents of an evaluation are another.
    """

    @property
    def background(self) -> float:
        """Mean cosine of random pairs of the papers' vectors."""
        ...

    def nearest(self, vector: Vectors, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        """The `k` papers nearest to a (dimension,) unit vector: cosines, best first, and rows."""
        ...

    def best_words(self, text: str, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        """The `k` best papers by BM25 of a text's words: scores, best first, and rows."""
        ...

    def cosines(self, vector: Vectors, rows: Rows) -> Column:
        """(n,) cosines of a (dimension,) unit vector with the vectors of (n,) rows."""
        ...

    def bm25(self, text: str, rows: Rows) -> Column:
        """(n,) BM25 of a text's words for (n,) rows; 0 where a paper has none of the words."""
        ...

    def weighted_tokens(self, encoder: LateInteraction, rows: Rows) -> list[WeightedTokens]:
        """The encoder's weighted tokens of the papers of (n,) rows."""
        ...

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        """How many papers have a word in one of `fields`, of title, abstract and authors."""
        ...

    def with_authors(self, names: Sequence[Sequence[str]]) -> Rows:
        """Rows, ascending, of the papers among whose authors' names stand all words of a name."""
        ...

    def authors(self, rows: Rows) -> list[tuple[str, ...]]:
        """The names of the authors of (n,) rows."""
        ...


@dataclass(frozen=True)
class EncodedQuery:
    """A query in all forms that papers are compared with."""

    words: str | None = None
    """The text whose words are searched for; None to search by vectors alone."""
    vector: Vectors | None = None
    """(dimension,) float32, unit length; None to search by words alone."""
    tokens: tuple[WeightedTokens, ...] = ()
    """The tokens of each text of the query; empty if tokens are not compared."""
    encoder: LateInteraction | None = None
    """The encoder that compares the tokens."""


@dataclass(frozen=True)
class SignalTable:
    """The signals of (n,) rows. A signal that was not computed has no column."""

    rows: Rows
    columns: dict[Signal, Column] = field(default_factory=dict)
    """Each (n,); NaN where the signal of a row is not known."""

    def take(self, order: NDArray[np.int64]) -> "SignalTable":
        """The same rows in another order, or some of them."""
        columns = {name: column[order] for name, column in self.columns.items()}
        return SignalTable(self.rows[order], columns)


def token_match(query: EncodedQuery, papers: Papers, rows: Rows) -> Column:
    """(n,) late-interaction scores of papers, the mean over the texts of the query; NaN if the
    query has no tokens."""
    if query.encoder is None or not query.tokens or not len(rows):
        return np.full(len(rows), np.nan)
    documents = papers.weighted_tokens(query.encoder, rows)
    scores = [query.encoder.late_interaction_scores(text, documents) for text in query.tokens]
    return np.asarray(np.mean(scores, axis=0), dtype=np.float64)


FIRST_AUTHOR, OTHER_AUTHOR = 1.0, 0.9
"""What a match with a name counts, by the author's place in the list."""


def author_match(
    names: "Sequence[AuthorName]", authors: Sequence[tuple[str, ...]], rows: Rows
) -> Column:
    """(n,) how far the authors of papers are those that a query names, from 0 to 1: the mean over
    the names."""
    queries = [name.queries() for name in names]
    column = np.zeros(len(rows))
    for place, paper_authors in enumerate(authors):
        lines = author_words(paper_authors)
        for name, orders in zip(names, queries, strict=True):
            places = (query.first_place(paper_authors, lines, particles=False) for query in orders)
            first = min((number for number in places if number is not None), default=None)
            if first is not None:
                column[place] += name.certainty * (OTHER_AUTHOR if first else FIRST_AUTHOR)
    return column / max(len(names), 1)

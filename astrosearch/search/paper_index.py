"""What search knows of an index: papers, keyed by id, that can be found, compared and read.

A snapshot in a local folder is one (`search.local_index`), the documents of an evaluation another.
Which papers may be found travels as predicates, so an index may be spread over several machines:
nothing of ranking knows where a paper lies.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from astrosearch.citations.graph import Graph, Works
from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.papers import Paper
from astrosearch.search.conditions import Condition

if TYPE_CHECKING:
    from astrosearch.search.identifiers import Identifier

Column = NDArray[np.float64]
"""(n,) a number for each of n papers."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which papers may be found."""

    conditions: tuple[Condition, ...] = ()
    """A paper must meet each."""
    without: frozenset[str] = frozenset()
    """Ids of papers that are not found: those that are the query."""

    def also(self, *conditions: Condition) -> "Scope":
        """The same with more conditions."""
        return Scope((*self.conditions, *conditions), self.without)


EVERYTHING = Scope()


class Found(NamedTuple):
    """The papers that a search found, best first; among equals in the order of ids: an
    index that has grown gives the same as one that was built in one go."""

    ids: list[str]
    scores: Column


@dataclass(frozen=True)
class EncodedQuery:
    """A query in all forms that papers are compared with."""

    words: str | None = None
    """The text whose words are searched for; None to search by vectors alone."""
    vector: Vectors | None = None
    """(dimension,) float32, unit length; None to search by words alone."""
    written: Vectors | None = None
    """(dimension,) float32, unit length: the vector of the text as a document, which may differ
    from that of the text as a query; None if papers ask, or tokens are not compared."""
    tokens: tuple[WeightedTokens, ...] = ()
    """The tokens of each text of the query; empty if tokens are not compared."""
    encoder: LateInteraction | None = None
    """The encoder that compares the tokens."""
    papers: tuple[Paper, ...] = ()
    """The papers that are the query; none if it is a text."""
    day: date | None = None
    """The day on which these papers ask; None for that of the newest of them."""
    encode: Callable[[Sequence[str]], Vectors] | None = None
    """What encodes further texts for the query, such as titles; None if they are not compared."""


class PaperIndex(Protocol):
    """Papers that can be searched and ranked. All arguments and answers name papers by id; (n,)
    columns are in the order of the n ids that were asked for."""

    graph: Graph | None
    """What cites what; None if that is not known."""

    @property
    def background(self) -> float:
        """Mean cosine of random pairs of the papers' vectors."""
        ...

    def among_works(self, works: Works, scope: Scope = EVERYTHING) -> dict[int, str]:
        """Those of the graph's works that are papers that may be found, in order, and their ids."""
        ...

    def nearest(self, vector: Vectors, k: int, scope: Scope = EVERYTHING) -> Found:
        """The `k` papers nearest to a (dimension,) unit vector, with their cosines."""
        ...

    def best_words(self, text: str, k: int, scope: Scope = EVERYTHING) -> Found:
        """The `k` best papers by BM25 of a text's words, with their scores."""
        ...

    def best_words_and(
        self, text: str, k: int, scope: Scope, others: Callable[[], Sequence[str]]
    ) -> tuple[Found, Column]:
        """What `best_words` gives, and (n,) what `bm25` gives of n other papers. These are asked
        for when they are needed, so they may be looked for meanwhile."""
        ...

    def bm25(self, text: str, ids: Sequence[str]) -> Column:
        """(n,) BM25 of a text's words; 0 where a paper has none of them."""
        ...

    def pair_shares(self, text: str, ids: Sequence[str]) -> Column | None:
        """(n,) from 0 to 1, how much of a text's pairs of neighbouring words papers have as
        neighbours, too; None if there is no pair of words that papers have."""
        ...

    def name_shares(
        self, text: str, ids: Sequence[str], fields: Sequence[str] = ("title", "abstract")
    ) -> Column | None:
        """(n,) from 0 to 1, how much of a text's designations, such as NGC 1068, papers have in
        some fields; None if there is none that papers have there."""
        ...

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows."""
        ...

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> Column:
        """(n,) cosines with a (dimension,) unit vector, as `nearest` gives them."""
        ...

    def weighted_tokens(
        self, encoder: LateInteraction, ids: Sequence[str]
    ) -> Sequence[WeightedTokens]:
        """The encoder's weighted tokens of the texts that it reads of papers."""
        ...

    def papers(self, ids: Sequence[str]) -> list[Paper]:
        """The papers themselves."""
        ...

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        """How many papers have a word in one of `fields`, of title, abstract and authors."""
        ...


class SearchedIndex(PaperIndex, Protocol):
    """What a Searcher asks of an index, beside what ranking asks. What it finds is named by id,
    in order, each once."""

    def __len__(self) -> int:
        """The number of papers."""
        ...

    def find(self, identifier: "Identifier") -> str | None:
        """The id of a paper; None if no paper is known to have that DOI or bibcode.

        Raises:
            NothingFound: if an arXiv identifier is not in the index.
        """
        ...

    def require(self, paper_id: str) -> None:
        """
        Raises:
            NothingFound: if the paper is not in the index; it names those spelled much like it.
        """
        ...

    def known(self, ids: Collection[str]) -> list[str]:
        """Those of some papers that the index has."""
        ...

    def passing(self, ids: Collection[str], scope: Scope) -> list[str]:
        """Those of some papers that the index has and that may be found."""
        ...

    def ids_of_dois(self, dois: Collection[str]) -> dict[str, str]:
        """The papers that have these DOIs, by DOI in lower case."""
        ...

    def titled_like(self, title: str, k: int) -> list[str]:
        """The `k` papers whose titles have most of a title's words, best first."""
        ...

    def newest(self, k: int, scope: Scope = EVERYTHING) -> list[str]:
        """The `k` newest papers by the day of their first version, newest first."""
        ...

    def sample(self, count: int, seed: int) -> list[str]:
        """Papers at random, the same ones for a seed; all if there are no more than `count`."""
        ...

    def count(self, scope: Scope) -> int:
        """How many papers may be found."""
        ...

    def span(self) -> tuple[str, str]:
        """Days of the first and the last paper, YYYY-MM-DD."""
        ...

    def citation_counts(self, papers: Sequence[Paper]) -> list[int] | None:
        """How many works cite each paper; None if the index has no citations."""
        ...

    def document_frequency(self, term: str) -> int:
        """How many papers have a term of `text.analysis`."""
        ...

    def spelt_like(self, word: str, k: int) -> list[str]:
        """At most `k` papers that have a word in title or abstract with a letter or two more, less,
        exchanged or replaced.

        Raises:
            IndexDamaged: if the words cannot be read.
        """
        ...

    def knows(self, text: str) -> bool:
        """Whether a paper has a word of a text, function words aside if it has others.

        Raises:
            IndexDamaged: if the words cannot be read.
        """
        ...

    def is_weak(self, text: str, found: Sequence[str]) -> bool:
        """Whether the papers hold less of a text than all but the oddest random questions have
        (`index.match_strength`); False in an index without a threshold.

        Args:
            found: papers that fit the text, best first. They do not change the answer: whether
                they hold enough of it is seen sooner than whether others do.
        """
        ...

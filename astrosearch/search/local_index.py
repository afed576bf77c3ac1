"""The papers of an index in a local folder, as search needs them (`search.paper_index`)."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from astrosearch.citations.opened import graph_of
from astrosearch.corpus.filters import Filters
from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import NothingFound
from astrosearch.index.match_strength import match_strength
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.search.conditions import (
    AllOf,
    Among,
    AnyOf,
    BearsName,
    Condition,
    Excluded,
    RequiredPhrase,
)
from astrosearch.search.paper_index import EVERYTHING, Column, Found, Scope

if TYPE_CHECKING:
    from astrosearch.search.identifiers import Identifier

Rows = NDArray[np.int64]

LOOKED_AT = 10
"""Papers that were found of which it is asked first whether they hold enough of a text."""

TIES = 8
"""Extra papers that a search gets, to order equal vectors by their ids."""


class LocalIndex:
    """A snapshot's papers, for one query: what was read of a paper is kept."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.graph = graph_of(index)
        self._row_of: dict[str, int] = {}
        self._papers: dict[str, Paper] = {}
        self._allowed: dict[Scope, Rows | None] = {}
        self._filtering = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def background(self) -> float:
        return self._index.manifest.background.mean or 0.0

    def find(self, identifier: "Identifier") -> str | None:
        corpus = self._index.corpus
        if identifier.arxiv_id:
            try:
                row: int | None = corpus.row_of(identifier.arxiv_id)
            except NothingFound as error:
                raise NothingFound(f"{identifier}, but {error}") from None
        elif identifier.kind == "DOI":
            row = corpus.row_of_doi(identifier.text)
        else:
            from astrosearch.text.bibcode import parse_bibcode

            code = parse_bibcode(identifier.text)
            row = None if code is None else corpus.row_of_bibcode(code)
        return None if row is None else self._ids(np.array([row]))[0]

    def require(self, paper_id: str) -> None:
        self._row_of[paper_id] = self._index.corpus.row_of(paper_id)

    def known(self, ids: Collection[str]) -> list[str]:
        rows = self._index.corpus.rows_of(ids)
        self._row_of |= rows
        return [paper_id for paper_id in dict.fromkeys(ids) if paper_id in rows]

    def ids_of_dois(self, dois: Collection[str]) -> dict[str, str]:
        return self._index.corpus.ids_of_dois(dois)

    def passing(self, ids: Collection[str], scope: Scope) -> list[str]:
        rows = self._index.corpus.rows_of(ids)
        allowed = self._rows_of(scope.conditions)
        return [
            paper_id
            for paper_id, row in rows.items()
            if paper_id not in scope.without and (allowed is None or row in allowed)
        ]

    def nearest(self, vector: Vectors, k: int, scope: Scope = EVERYTHING) -> Found:
        # A few more than k, so that ties at the cut are in the order of ids too.
        scores, rows = self.nearest_rows(vector, k + len(scope.without) + TIES, scope.conditions)
        return self._found(scores, rows, k, scope)

    def nearest_rows(
        self, vector: Vectors, k: int, conditions: Sequence[Condition]
    ) -> tuple[NDArray[np.float32], Rows]:
        """Cosines and rows of the `k` papers nearest to a (dimension,) unit vector."""
        [scores], [rows] = self._index.search(vector[None], k, self._rows_of(conditions))
        return scores, rows

    def best_words(self, text: str, k: int, scope: Scope = EVERYTHING) -> Found:
        found, _ = self.best_words_and(text, k, scope, list)
        return found

    def best_words_and(
        self, text: str, k: int, scope: Scope, others: Callable[[], Sequence[str]]
    ) -> tuple[Found, Column]:
        (scores, rows), of_others = self._index.lexical.search_and_score(
            text,
            k + len(scope.without),
            lambda: self._rows(others()),
            self._rows_of(scope.conditions),
        )
        return self._found(scores, rows, k, scope), of_others.astype(np.float64)

    def titled_like(self, title: str, k: int) -> list[str]:
        return self._ids(self._index.lexical.search(title, k, fields=("title",), pairs=False)[1])

    def sample(self, count: int, seed: int) -> list[str]:
        return self._ids(np.random.default_rng(seed).permutation(self._index.rows)[:count])

    def newest(self, k: int, scope: Scope = EVERYTHING) -> list[str]:
        return self._ids(self._index.corpus.newest(k, self._rows_of(scope.conditions)))

    def count(self, scope: Scope) -> int:
        rows = self._rows_of(scope.conditions)
        return len(self) if rows is None else len(rows)

    def span(self) -> tuple[str, str]:
        return self._index.corpus.span()

    def among_works(self, works: Rows, scope: Scope = EVERYTHING) -> dict[int, str]:
        if self.graph is None:
            return {}
        keys = {work: self.graph.key(work) for work in works.tolist()}
        corpus = self._index.corpus
        rows = corpus.rows_of([key for key in keys.values() if not key.startswith("10.")])
        for key in keys.values():
            row = corpus.row_of_doi(key) if key.startswith("10.") else None
            if row is not None:
                rows[key] = row
        if not rows:
            return {}
        allowed = self._rows_of(scope.conditions)
        found = np.array(list(rows.values()), dtype=np.int64)
        passing = np.ones(len(found), dtype=bool) if allowed is None else np.isin(found, allowed)
        ids = dict(zip(rows, self._ids(found), strict=True))
        may = {key for key, passes in zip(rows, passing.tolist(), strict=True) if passes}
        return {
            work: ids[key]
            for work, key in keys.items()
            if key in may and ids[key] not in scope.without
        }

    def citation_counts(self, papers: Sequence[Paper]) -> list[int] | None:
        if self.graph is None:
            return None
        counts: list[int] = self.graph.counts(self.graph.works_of(papers)).sum(axis=1).tolist()
        return counts

    def citation_counts_of(self, ids: Sequence[str]) -> NDArray[np.int64] | None:
        """(n,) as `citation_counts`, of many papers, which are not read."""
        if self.graph is None:
            return None
        dois = dict(self._index.corpus.having_doi())
        works = self.graph.works_of_ids([(paper_id, dois.get(paper_id, "")) for paper_id in ids])
        counts: NDArray[np.int64] = self.graph.counts(works).sum(axis=1)
        return counts

    def bm25(self, text: str, ids: Sequence[str]) -> Column:
        return self._index.lexical.scores(text, self._rows(ids)).astype(np.float64)

    def pair_shares(self, text: str, ids: Sequence[str]) -> Column | None:
        return self._index.lexical.pair_shares(text, self._rows(ids))

    def name_shares(
        self, text: str, ids: Sequence[str], fields: Sequence[str] = ("title", "abstract")
    ) -> Column | None:
        return self._index.lexical.name_shares(text, self._rows(ids), fields)

    def vectors(self, ids: Sequence[str]) -> Vectors:
        return unit_rows(self._index.vectors[self._rows(ids)])

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> Column:
        return np.asarray(self.vectors(ids) @ vector, dtype=np.float64)

    def weighted_tokens(
        self, encoder: LateInteraction, ids: Sequence[str]
    ) -> Sequence[WeightedTokens]:
        joined = self._index.tokens.bags(self._rows(ids))
        missing = np.flatnonzero(joined.lengths == 0).tolist()
        if not missing:
            return encoder.weigh(joined)
        bags = list(joined)
        text_of = self._index.manifest.encoder.text_of
        texts = [text_of(paper) for paper in self.papers([ids[place] for place in missing])]
        for place, bag in zip(missing, encoder.token_bags(texts), strict=True):
            bags[place] = bag
        return encoder.weigh(bags)

    def papers(self, ids: Sequence[str]) -> list[Paper]:
        missing = [paper_id for paper_id in ids if paper_id not in self._papers]
        if missing:
            papers = self._index.corpus.papers(self._rows(missing).tolist())
            self._papers |= zip(missing, papers, strict=True)
        return [self._papers[paper_id] for paper_id in ids]

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return self._index.lexical.frequency(word, fields)

    def spelt_like(self, word: str, k: int) -> list[str]:
        return self._ids(self._index.lexical.rows_spelt_like(word, k))

    def knows(self, text: str) -> bool:
        return self._index.lexical.knows(text)

    def document_frequency(self, term: str) -> int:
        return self._index.lexical.document_frequency(term)

    def is_weak(self, text: str, found: Sequence[str]) -> bool:
        threshold = self._index.manifest.weak_match
        if threshold is None:
            return False
        # Those that were found hold enough of nearly every text, and are looked through sooner.
        for among in (self._rows(found[:LOOKED_AT]), None):
            strength = match_strength(self._index.lexical, text, among=among)
            if strength is None or strength >= threshold:
                return False
        return True

    def _found(self, scores: NDArray[np.float32], rows: Rows, k: int, scope: Scope) -> Found:
        """The best `k` that may be found."""
        ids = self._ids(rows)
        if not scope.without and (scores[1:] < scores[:-1]).all():  # in order, without a tie
            return Found(ids[:k], scores[:k].astype(np.float64))
        pairs = [
            (-score, paper_id)
            for score, paper_id in zip(scores.tolist(), ids, strict=True)
            if paper_id not in scope.without
        ]
        pairs = sorted(pairs)[:k]
        return Found([paper_id for _, paper_id in pairs], -np.array([each for each, _ in pairs]))

    def _ids(self, rows: Rows) -> list[str]:
        ids = self._index.corpus.ids_of(rows.tolist())
        self._row_of |= zip(ids, rows.tolist(), strict=True)
        return ids

    def _rows(self, ids: Sequence[str]) -> Rows:
        unknown = [paper_id for paper_id in ids if paper_id not in self._row_of]
        if unknown:
            self._row_of |= self._index.corpus.rows_of(unknown)
        return np.array([self._row_of[paper_id] for paper_id in ids], dtype=np.int64)

    def _rows_in_index(self, ids: Collection[str]) -> Rows:
        """Rows, ascending, of those papers that the index has."""
        return np.sort(np.array(list(self._index.corpus.rows_of(ids).values()), dtype=np.int64))

    def _rows_of(self, conditions: Sequence[Condition]) -> Rows | None:
        """Rows, ascending, of the papers that meet all conditions; None for all."""
        key = Scope(tuple(conditions))
        with self._filtering:  # vectors and words are searched at once, under the same conditions
            if key not in self._allowed:
                self._allowed[key] = self._meeting_all(conditions)
            return self._allowed[key]

    def _meeting_all(self, conditions: Sequence[Condition]) -> Rows | None:
        allowed: Rows | None = None
        for condition in conditions:
            rows = self._meeting(condition)
            if rows is not None:
                # Without `assume_unique` it imports numpy.ma: 9 ms of a cold query.
                allowed = (
                    rows if allowed is None else np.intersect1d(allowed, rows, assume_unique=True)
                )
        return allowed

    def _meeting(self, condition: Condition) -> Rows | None:
        match condition:
            case RequiredPhrase(words, fields):
                return self._index.lexical.rows_matching_phrase(words, fields)
            case BearsName(names):
                return self._index.lexical.rows_with_authors(names)
            case Filters():
                return self._index.corpus.rows_matching(condition)
            case Among(within, beyond):
                allowed = None if within is None else self._rows_in_index(within)
                if not beyond:
                    return allowed
                allowed = self._index.rows if allowed is None else allowed
                return np.setdiff1d(allowed, self._rows_in_index(beyond), assume_unique=True)
            case Excluded(excluded):
                rows = self._meeting(excluded)
                rows = self._index.rows if rows is None else rows
                return np.setdiff1d(self._index.rows, rows, assume_unique=True)
            case AllOf(conditions):
                return self._meeting_all(conditions)
            case AnyOf(conditions):
                several = [self._meeting(each) for each in conditions]
                if any(rows is None for rows in several):
                    return None
                return np.unique(np.concatenate([rows for rows in several if rows is not None]))

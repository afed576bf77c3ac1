"""Candidates, signals and ranks of five papers written out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.search.author_names import AuthorName, named_authors
from astrosearch.search.candidates import find_candidates
from astrosearch.search.ranker import rank
from astrosearch.search.signals import Column, EncodedQuery, Papers, Rows, author_match


class FivePapers:
    """Five papers with a vector and a BM25 each; a query is the first axis and any word."""

    def __init__(self, background: float = 0.0) -> None:
        self.background = background
        angles = np.radians([80, 10, 30, 50, 70])
        self._vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        self._bm25 = np.array([9.0, 0.0, 2.0, 0.0, 5.0])
        self._names = ["lee", "lee", "hofmann", "hofmann", "wu"]
        self.computed: list[list[int]] = []

    def nearest(self, vector: Vectors, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        return self._best((self._vectors @ vector).astype(np.float64), k, allowed)

    def best_words(self, text: str, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        scores, rows = self._best(self._bm25, k, allowed)
        return scores[scores > 0], rows[scores > 0]

    def cosines(self, vector: Vectors, rows: Rows) -> Column:
        self.computed.append(rows.tolist())
        return np.asarray(self._vectors[rows] @ vector, dtype=np.float64)

    def bm25(self, text: str, rows: Rows) -> Column:
        self.computed.append(rows.tolist())
        return self._bm25[rows]

    def weighted_tokens(self, encoder: LateInteraction, rows: Rows) -> list[WeightedTokens]:
        raise AssertionError("nothing here compares tokens")

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return sum(word.lower() == name for name in self._names) if "authors" in fields else 0

    def with_authors(self, names: Sequence[Sequence[str]]) -> Rows:
        return np.flatnonzero([[name] in names for name in self._names])

    def authors(self, rows: Rows) -> list[tuple[str, ...]]:
        return [("A. First", f"B. {self._names[row].title()}") for row in rows.tolist()]

    @staticmethod
    def _best(scores: Column, k: int, allowed: Rows | None) -> tuple[Column, Rows]:
        rows = np.argsort(-scores, kind="stable")
        if allowed is not None:
            rows = rows[np.isin(rows, allowed)]
        return scores[rows[:k]], rows[:k]


QUERY = EncodedQuery("word", np.array([1.0, 0.0], dtype=np.float32))


def test_candidates_are_those_of_both_searches_with_both_signals() -> None:
    papers = FivePapers()
    candidates = find_candidates(papers, QUERY, depth=2)
    assert candidates.signals.rows.tolist() == [0, 1, 2, 4]
    assert candidates.dense_ranks.tolist() == [0, 1, 2, 0]
    assert candidates.lexical_ranks.tolist() == [1, 0, 0, 2]
    assert papers.computed == [[0, 4], [1, 2]]
    cosines = np.cos(np.radians([80, 10, 30, 70]))
    np.testing.assert_allclose(candidates.signals.columns["cosine"], cosines, atol=1e-6)
    np.testing.assert_allclose(candidates.signals.columns["bm25"], [9, 0, 2, 5])


def test_a_query_without_vector_or_words_has_one_signal() -> None:
    lexical = find_candidates(FivePapers(), EncodedQuery("word"), depth=5)
    assert lexical.signals.rows.tolist() == [0, 2, 4]
    assert list(lexical.signals.columns) == ["bm25"]
    dense = find_candidates(FivePapers(), EncodedQuery(vector=QUERY.vector), depth=5)
    assert dense.signals.rows.tolist() == [0, 1, 2, 3, 4]
    assert list(dense.signals.columns) == ["cosine"]


def test_papers_of_the_query_are_left_out_and_others_take_their_places() -> None:
    candidates = find_candidates(FivePapers(), QUERY, depth=2, without=np.array([0, 1]))
    assert candidates.signals.rows.tolist() == [2, 3, 4]
    assert candidates.dense_ranks.tolist() == [1, 2, 0]
    assert candidates.lexical_ranks.tolist() == [2, 0, 1]


def test_papers_of_an_author_who_is_named_are_candidates() -> None:
    query = EncodedQuery("Hofmann", QUERY.vector)
    candidates = find_candidates(FivePapers(), query, depth=1)
    # Row 3 has no word of the query in the search by words, so only row 2 is added.
    assert candidates.signals.rows.tolist() == [0, 1, 2]
    assert candidates.signals.columns["author_match"].tolist() == [0, 0, 0.9]
    assert "author_match" not in find_candidates(FivePapers(), QUERY, 1).signals.columns


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hofmann", [("hofmann",)]),
        ("hofmann & Wu 2016", [("hofmann",), ("wu",)]),
        ("papers by Hofmann on dust", [("hofmann",)]),
        ("dust (Hofmann et al. 2016)", [("hofmann",)]),
        ("Hofmann dust", [("hofmann",)]),
        ("dust in a stream", []),
        ("on the dust of one galaxy and of another with more gas Hofmann", []),
        ("", []),
    ],
)
def test_a_name_is_told_by_the_papers(text: str, names: list[tuple[str, ...]]) -> None:
    assert [name.words for name in named_authors(FivePapers(), text)] == names


def test_a_name_matches_the_family_name_with_given_names_or_initials() -> None:
    authors = [("Selma E. de Brink",)]
    row = np.array([0])
    for text in ("brink", "de Brink", "Selma Brink", "Brink Selma", "brink s", "brink s e"):
        assert author_match([AuthorName(text, 1.0)], authors, row) == 1, text
    for text in ("selma", "de", "brink anna", "brink x", "brin"):
        assert author_match([AuthorName(text, 1.0)], authors, row) == 0, text


def test_a_filter_leaves_only_its_rows() -> None:
    candidates = find_candidates(FivePapers(), QUERY, depth=5, allowed=np.array([3, 4]))
    assert candidates.signals.rows.tolist() == [3, 4]
    assert find_candidates(FivePapers(), QUERY, 5, np.zeros(0, np.int64)).signals.rows.size == 0


@pytest.mark.parametrize("background", [0.0, 0.5])
def test_match_falls_with_the_rank_and_is_from_0_to_1(background: float) -> None:
    papers: Papers = FivePapers(background)
    for query in (QUERY, EncodedQuery("word"), EncodedQuery(vector=QUERY.vector)):
        ranking = rank(papers, query, find_candidates(papers, query, 5))
        assert (np.diff(ranking.scores) <= 0).all()
        assert (np.diff(ranking.match) <= 0).all()
        assert ranking.match.min() >= 0
        assert ranking.match.max() <= 1

"""Candidates, signals and ranks of five papers written out by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from astrosearch.citations.graph import Graph, Works
from astrosearch.corpus.filters import Filters
from astrosearch.encoders.base import LateInteraction, WeightedTokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.papers import Paper
from astrosearch.search.author_names import AuthorName, named_authors
from astrosearch.search.candidates import depths, find_candidates
from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import (
    EVERYTHING,
    Column,
    EncodedQuery,
    Found,
    PaperIndex,
    Scope,
)
from astrosearch.search.ranker import rank
from astrosearch.search.signals import author_match


class FivePapers:
    """Five papers with a vector and a BM25 each; a query is the first axis and any word."""

    def __init__(self, background: float = 0.0) -> None:
        self.background = background
        self.graph: Graph | None = None
        angles = np.radians([80, 10, 30, 50, 70])
        self._vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        self._bm25 = np.array([9.0, 0.0, 2.0, 0.0, 5.0])
        self._names = ["lee", "lee", "hofmann", "hofmann", "wu"]
        self.computed: list[list[str]] = []

    def among_works(self, works: Works, scope: Scope = EVERYTHING) -> dict[int, str]:
        return {}

    def nearest(self, vector: Vectors, k: int, scope: Scope = EVERYTHING) -> Found:
        return self._best((self._vectors @ vector).astype(np.float64), k, scope)

    def best_words(self, text: str, k: int, scope: Scope = EVERYTHING) -> Found:
        ids, scores = self._best(self._bm25, k, scope)
        return Found(
            [each for each, score in zip(ids, scores, strict=True) if score > 0], scores[scores > 0]
        )

    def best_words_and(
        self, text: str, k: int, scope: Scope, others: Callable[[], Sequence[str]]
    ) -> tuple[Found, Column]:
        return self.best_words(text, k, scope), self.bm25(text, others())

    def bm25(self, text: str, ids: Sequence[str]) -> Column:
        self.computed.append(list(ids))
        return self._bm25[[int(each) for each in ids]]

    def pair_shares(self, text: str, ids: Sequence[str]) -> Column | None:
        raise AssertionError("nothing here compares tokens")

    def name_shares(
        self, text: str, ids: Sequence[str], fields: Sequence[str] = ()
    ) -> Column | None:
        raise AssertionError("nothing here compares tokens")

    def vectors(self, ids: Sequence[str]) -> Vectors:
        return self._vectors[[int(each) for each in ids]]

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> Column:
        self.computed.append(list(ids))
        return (self.vectors(ids) @ vector).astype(np.float64)

    def weighted_tokens(self, encoder: LateInteraction, ids: Sequence[str]) -> list[WeightedTokens]:
        raise AssertionError("nothing here compares tokens")

    def papers(self, ids: Sequence[str]) -> list[Paper]:
        return [
            Paper(
                each,
                "Title",
                "Abstract.",
                ("A. First", f"B. {self._names[int(each)].title()}"),
                (),
                date(2024, 1, 2),
            )
            for each in ids
        ]

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return sum(word.lower() == name for name in self._names) if "authors" in fields else 0

    def _best(self, scores: Column, k: int, scope: Scope) -> Found:
        rows = [row for row in np.argsort(-scores, kind="stable").tolist() if self._may(row, scope)]
        return Found([str(row) for row in rows[:k]], scores[rows[:k]])

    def _may(self, row: int, scope: Scope) -> bool:
        for condition in scope.conditions:
            if isinstance(condition, BearsName):
                if (self._names[row],) not in condition.names:
                    return False
            elif condition == Filters(author="Wu"):
                if self._names[row] != "wu":
                    return False
            else:
                raise AssertionError(condition)
        return str(row) not in scope.without


QUERY = EncodedQuery("word", np.array([1.0, 0.0], dtype=np.float32))


def test_candidates_are_those_of_both_searches_with_both_signals() -> None:
    papers = FivePapers()
    candidates = find_candidates(papers, QUERY, depth=2)
    assert candidates.signals.ids == [*"012"]
    assert candidates.dense_ranks.tolist() == [0, 1, 2]
    assert candidates.lexical_ranks.tolist() == [1, 0, 0]
    assert papers.computed == [[*"12"], [*"0"]]
    cosines = np.cos(np.radians([80, 10, 30]))
    np.testing.assert_allclose(candidates.signals.columns["cosine"], cosines, atol=1e-6)
    np.testing.assert_allclose(candidates.signals.columns["bm25"], [9, 0, 2])


def test_a_text_gets_a_third_as_many_candidates_by_words_as_by_vectors() -> None:
    assert [depths(QUERY, depth) for depth in (120, 4, 3)] == [(120, 40), (4, 2), (3, 1)]
    paper = Paper("2503.14368", "Dust", "Gas.", ("A Lee",), ("astro-ph.GA",), date(2025, 3, 18))
    assert depths(replace(QUERY, papers=(paper,)), 120) == (120, 120)
    assert depths(EncodedQuery("word"), 120) == (120, 120)


def test_a_query_without_vector_or_words_has_one_signal() -> None:
    lexical = find_candidates(FivePapers(), EncodedQuery("word"), depth=5)
    assert lexical.signals.ids == [*"024"]
    assert list(lexical.signals.columns) == ["bm25"]
    dense = find_candidates(FivePapers(), EncodedQuery(vector=QUERY.vector), depth=5)
    assert dense.signals.ids == [*"01234"]
    assert list(dense.signals.columns) == ["cosine"]


def test_papers_of_the_query_are_left_out_and_others_take_their_places() -> None:
    candidates = find_candidates(FivePapers(), QUERY, depth=2, scope=Scope(without=frozenset("01")))
    assert candidates.signals.ids == [*"234"]
    assert candidates.dense_ranks.tolist() == [1, 2, 0]
    assert candidates.lexical_ranks.tolist() == [0, 0, 1]


def test_papers_of_an_author_who_is_named_are_candidates() -> None:
    query = EncodedQuery("Hofmann", QUERY.vector)
    candidates = find_candidates(FivePapers(), query, depth=1)
    # Row 3 has no word of the query in the search by words, so only row 2 is added.
    assert candidates.signals.ids == [*"012"]
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
    for text in ("brink", "de Brink", "Selma Brink", "Brink Selma", "brink s", "brink s e"):
        assert author_match([AuthorName(text, 1.0)], authors) == 1, text
    for text in ("selma", "de", "brink anna", "brink x", "brin"):
        assert author_match([AuthorName(text, 1.0)], authors) == 0, text


def test_a_condition_leaves_only_the_papers_that_meet_it() -> None:
    candidates = find_candidates(FivePapers(), QUERY, depth=5, scope=Scope((Filters(author="Wu"),)))
    assert candidates.signals.ids == ["4"]
    nobody = Scope((Filters(author="Wu"),), frozenset("4"))
    assert find_candidates(FivePapers(), QUERY, 5, nobody).signals.ids == []


@pytest.mark.parametrize("background", [0.0, 0.5])
def test_match_falls_with_the_rank_and_is_from_0_to_1(background: float) -> None:
    papers: PaperIndex = FivePapers(background)
    for query in (QUERY, EncodedQuery("word"), EncodedQuery(vector=QUERY.vector)):
        ranking = rank(papers, query, find_candidates(papers, query, 5))
        assert (np.diff(ranking.scores) <= 0).all()
        assert (np.diff(ranking.match) <= 0).all()
        assert ranking.match.min() >= 0
        assert ranking.match.max() <= 1

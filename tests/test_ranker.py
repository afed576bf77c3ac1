"""The ranker: weighted means of scaled signals, token matches, ties."""

import numpy as np
import pytest

from astrosearch.search.candidates import Candidates
from astrosearch.search.ranker import (
    WEIGHTS,
    Weights,
    first_pass,
    rank,
    scaled,
    second_pass,
    with_authors,
)
from astrosearch.search.signals import EncodedQuery, Papers, Signal, SignalTable
from tests.test_search_pipeline import FivePapers

LATE, REST = WEIGHTS.token_match, 1 - WEIGHTS.token_match


def table(rows: list[int], **columns: list[float]) -> SignalTable:
    names: list[Signal] = ["cosine", "bm25"]
    known = {name: np.array(columns[name]) for name in names if name in columns}
    return SignalTable(np.array(rows), known)


def order(signals: SignalTable, background: float = 0.0) -> list[int]:
    none = np.zeros(len(signals.rows), dtype=np.int64)
    papers: Papers = FivePapers(background=background)
    ranking = rank(papers, EncodedQuery("a"), Candidates(signals, none, none))
    return [int(row) for row in ranking.candidates.signals.rows]


def test_the_first_pass_is_a_weighted_mean_of_signals_scaled_to_their_best() -> None:
    # Chance has a cosine of 0.2, so 0.6 is half as far from it as 1.0.
    signals = table([7, 3, 5], cosine=[0.6, 1.0, 0.2], bm25=[8.0, 0.0, 4.0])
    scores = first_pass(signals, 0.2, Weights(cosine=0.25))
    np.testing.assert_allclose(scores, [0.25 / 2 + 0.75, 0.25, 0.75 / 2])


def test_a_single_signal_is_the_order_and_ties_are_in_the_order_of_rows() -> None:
    assert order(table([2, 5, 8], cosine=[0.9, 0.5, 0.5])) == [2, 5, 8]
    assert order(table([2, 5, 8], bm25=[3.0, 7.0, 3.0])) == [5, 2, 8]
    assert order(table([2, 5, 8], cosine=[0.5, 0.5, 0.5], bm25=[1.0, 1.0, 2.0])) == [8, 2, 5]
    assert order(table([], cosine=[], bm25=[])) == []


def test_where_nothing_is_nearer_than_chance_the_nearest_is_still_first() -> None:
    signals = table([2, 5, 8], cosine=[0.3, 0.2, 0.1], bm25=[0.0, 0.0, 0.0])
    assert order(signals, background=0.6) == [2, 5, 8]
    assert scaled(np.array([0.3, 0.2]), 0.6, 0.3) == pytest.approx([0.0, -0.1])


def test_papers_of_an_author_who_is_named_for_certain_come_first() -> None:
    signals = table([2, 5, 8], cosine=[1.0, 0.1, 0.0], bm25=[9.0, 1.0, 0.0])
    assert order(signals) == [2, 5, 8]
    signals.columns["author_match"] = np.array([0.0, 0.0, 0.9])
    assert order(signals) == [8, 2, 5]
    signals.columns["author_match"] = np.array([1.0, 0.9, 0.0])
    assert order(signals) == [2, 5, 8]


def test_without_author_match_the_scores_are_as_they_are() -> None:
    scores = np.array([1.0, 0.5])
    np.testing.assert_array_equal(with_authors(scores, table([1, 2])), scores)


def test_the_second_pass_adds_the_likeness_where_tokens_were_compared() -> None:
    scores = np.array([1.0, 0.5, 0.4, 0.3])
    likeness = np.array([0.2, 0.8, -0.1, np.nan])
    np.testing.assert_allclose(
        second_pass(scores, likeness),
        [REST + LATE / 4, REST * 0.5 + LATE, REST * 0.4, REST * 0.3],
    )
    np.testing.assert_allclose(second_pass(scores, np.full(4, np.nan)), REST * scores)

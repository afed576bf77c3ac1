"""The ranker: a weighted mean of scaled signals, a learnt function, ties."""

import numpy as np
import pytest

from astrosearch.search.candidates import Candidates
from astrosearch.search.paper_index import EncodedQuery, PaperIndex
from astrosearch.search.ranker import (
    Feature,
    Task,
    Weights,
    mean_scores,
    rank,
    scaled,
    shipped_weights,
    with_authors,
)
from astrosearch.search.signals import GROUPS, SignalTable, neighbourhood
from tests.test_search_pipeline import FivePapers


def table(ids: str, **columns: list[float]) -> SignalTable:
    known = {name: np.array(values) for name, values in columns.items()}
    return SignalTable([*ids], known)


def order(signals: SignalTable, background: float = 0.0) -> str:
    none = np.zeros(len(signals.ids), dtype=np.int64)
    papers: PaperIndex = FivePapers(background=background)
    ranking = rank(papers, EncodedQuery("a"), Candidates(signals, none, none))
    return "".join(ranking.candidates.signals.ids)


def test_the_mean_is_of_signals_scaled_to_their_best() -> None:
    # Chance has a cosine of 0.2, so 0.6 is half as far from it as 1.0.
    signals = table("735", cosine=[0.6, 1.0, 0.2], bm25=[8.0, 0.0, 4.0])
    scores = mean_scores(signals, 0.2, cosine=0.25)
    np.testing.assert_allclose(scores, [0.25 / 2 + 0.75, 0.25, 0.75 / 2])


def test_a_single_signal_is_the_order_and_ties_are_in_the_order_of_the_index() -> None:
    assert order(table("258", cosine=[0.9, 0.5, 0.5])) == "258"
    assert order(table("258", bm25=[3.0, 7.0, 3.0])) == "528"
    assert order(table("258", cosine=[0.5, 0.5, 0.5], bm25=[1.0, 1.0, 2.0])) == "825"
    assert order(table("", cosine=[], bm25=[])) == ""


def test_where_nothing_is_nearer_than_chance_the_nearest_is_still_first() -> None:
    signals = table("258", cosine=[0.3, 0.2, 0.1], bm25=[0.0, 0.0, 0.0])
    assert order(signals, background=0.6) == "258"
    assert scaled(np.array([0.3, 0.2]), 0.6, 0.3) == pytest.approx([0.0, -0.1])


def test_papers_of_an_author_who_is_named_for_certain_come_first() -> None:
    signals = table("258", cosine=[1.0, 0.1, 0.0], bm25=[9.0, 1.0, 0.0])
    assert order(signals) == "258"
    signals.columns["author_match"] = np.array([0.0, 0.0, 0.9])
    assert order(signals) == "825"
    signals.columns["author_match"] = np.array([1.0, 0.9, 0.0])
    assert order(signals) == "258"


def test_without_author_match_the_scores_are_as_they_are() -> None:
    scores = np.array([1.0, 0.5])
    np.testing.assert_array_equal(with_authors(scores, table("12")), scores)


def test_a_learnt_score_is_a_sum_over_groups_and_its_chance_falls_with_it() -> None:
    features = (
        Feature("cosine", True, 0.5, 0.25, 2.0),
        Feature("recall", False, 0.4, 0.1, 1.0),
        Feature("share_3", False, 0.0, 1.0, -3.0),
    )
    weights = Weights(features, (), (), (1.5, -0.5, -2.0, 1.0, 0.5, 0.25))
    signals = table("258", cosine=[0.8, 0.4, 0.2], recall=[0.4, 0.5, 0.6])
    scores = weights.scores(signals)
    np.testing.assert_allclose(scores, [4.0, 1.0, 0.0], atol=1e-9)
    given = weights.given(weights.values(signals))
    np.testing.assert_allclose(given["meaning"], [4.0, 0.0, -2.0], atol=1e-9)
    np.testing.assert_allclose(given["query in paper"], [0.0, 1.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(given["paper in query"], 0.0, atol=1e-9)
    np.testing.assert_allclose(sum(given.values()), scores, atol=1e-9)
    chances = weights.chances(scores, signals)
    np.testing.assert_allclose(np.log(chances / (1 - chances)), 1.5 * scores - 4.0)
    signals.columns["exact"] = np.array([0.1, 0.8, 0.3])
    chances = weights.chances(scores, signals)
    logits = (1.5 + 0.5 * 0.8) * scores + (-0.5 + 0.25 * 0.8) * 4.0 - 2.0 + 0.8
    np.testing.assert_allclose(np.log(chances / (1 - chances)), logits)


@pytest.mark.parametrize("task", ["query", "dense", "related", "cite"])
def test_the_weights_that_ship_know_their_signals(task: Task) -> None:
    weights = shipped_weights(task)
    names = {name for group in GROUPS.values() for name in group}
    assert {feature.signal for feature in weights.features} <= names
    assert all(feature.deviation > 0 for feature in weights.features)
    # It falls with the score, however much of the query a paper has.
    assert weights.chance[0] > 0
    assert weights.chance[0] + weights.chance[4] > 0
    words = {"query", "related", "cite"}
    assert ("bm25" in {feature.signal for feature in weights.features}) == (task in words)


def test_the_walk_comes_oftenest_by_papers_near_to_those_near_the_query() -> None:
    # Ten papers stand close together, near the query; of two others that are as near to the
    # query as each other, one stands beside the ten.
    generator = np.random.default_rng(0)
    crowd = np.array([1.0, 0.3, 0.0]) + generator.normal(0, 0.02, (10, 3))
    pair = np.array([[1.0, 0.6, 0.0], [1.0, -0.6, 0.0]])
    far = np.array([0.0, 0.0, 1.0]) + generator.normal(0, 0.02, (10, 3))
    vectors = np.concatenate([crowd, pair, far])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosines = vectors[:, 0].astype(np.float64)
    visits = neighbourhood(vectors, cosines)
    assert visits.shape == (22,)
    assert visits.max() == 1
    assert cosines[10] == pytest.approx(cosines[11])
    assert visits[10] > 1.1 * visits[11]
    assert visits[12:].max() < visits[:12].min()
    assert neighbourhood(vectors[:1], cosines[:1]).tolist() == [1.0]


def test_hidden_units_add_to_a_linear_score() -> None:
    features = (
        Feature("cosine", False, 0.0, 1.0, 1.0, (2.0, 0.0)),
        Feature("bm25", False, 0.0, 1.0, 0.0, (0.0, 1.0)),
    )
    weights = Weights(features, (0.5, -1.0), (3.0, -2.0))
    signals = table("25", cosine=[0.0, 1.0], bm25=[2.0, 0.0])
    expected = [3 * np.tanh(0.5) - 2 * np.tanh(1.0), 1 + 3 * np.tanh(2.5) - 2 * np.tanh(-1.0)]
    np.testing.assert_allclose(weights.scores(signals), expected)
    # What words give: the score without them, which is what average words would have.
    without = [3 * np.tanh(0.5) - 2 * np.tanh(-1.0), expected[1]]
    np.testing.assert_allclose(
        weights.given(weights.values(signals))["words"], np.subtract(expected, without)
    )

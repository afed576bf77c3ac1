"""The cosines of random pairs: the exact mean, however the papers came."""

import base64

import numpy as np
import pytest
from numpy.typing import NDArray

from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import IndexDamaged
from astrosearch.index.background import BLOCK, VectorSum, background

DIMENSION = 24


def rows(count: int, seed: int = 0) -> NDArray[np.float16]:
    """Unit rows that point into one half of the space."""
    draw = np.random.default_rng(seed)
    return unit_rows(draw.normal(0.3, 1, size=(count, DIMENSION)).astype(np.float32)).astype(
        np.float16
    )


def mean_of_all_pairs(vectors: NDArray[np.float16]) -> float:
    units = unit_rows(vectors).astype(np.float64)
    cosines = units @ units.T
    return float(cosines[np.triu_indices(len(vectors), 1)].mean())


@pytest.mark.parametrize("count", [2, 3, 500])
def test_the_mean_is_that_of_all_pairs(count: int) -> None:
    vectors = rows(count)
    total = VectorSum.of(vectors)
    assert total.mean_cosine(count) == pytest.approx(mean_of_all_pairs(vectors), abs=1e-6)
    assert background(vectors, total).mean == total.mean_cosine(count)


def test_more_rows_than_a_block_are_summed() -> None:
    vectors = np.tile(rows(100), (BLOCK // 100 + 3, 1))
    expected = unit_rows(vectors).sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(VectorSum.of(vectors).total, expected, rtol=1e-9)


def test_papers_that_come_and_go_change_the_mean_as_if_it_were_taken_anew() -> None:
    vectors = rows(400)
    total = VectorSum.of(vectors[:100])
    for start in range(100, 400, 10):
        total = total.with_change(vectors[start : start + 10], vectors[start - 100 : start - 95])
    left = np.concatenate([vectors[:300][np.arange(300) % 10 >= 5], vectors[300:]])
    expected = VectorSum.of(left)
    np.testing.assert_allclose(total.total, expected.total, atol=1e-9)
    assert total.mean_cosine(len(left)) == pytest.approx(mean_of_all_pairs(left), abs=1e-6)
    same = total.with_change(vectors[:0], vectors[:0])
    np.testing.assert_array_equal(same.total, total.total)


def test_lengths_that_float16_rounds_do_not_count() -> None:
    vectors = rows(50)
    longer = (vectors.astype(np.float32) * 1.01).astype(np.float16)
    total = VectorSum.of(longer)
    assert total.mean_cosine(50) == pytest.approx(VectorSum.of(vectors).mean_cosine(50), abs=1e-4)


def test_a_sum_is_kept_bit_for_bit() -> None:
    total = VectorSum.of(rows(77))
    decoded = VectorSum.decode(total.encode(), DIMENSION)
    np.testing.assert_array_equal(decoded.total, total.total)
    assert len(base64.b64decode(total.encode())) == 8 * DIMENSION


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "AAAA",
        VectorSum(np.zeros(DIMENSION - 1)).encode(),
        VectorSum(np.zeros(DIMENSION + 1)).encode(),
        VectorSum(np.full(DIMENSION, np.nan)).encode(),
        VectorSum(np.full(DIMENSION, np.inf)).encode(),
        VectorSum(np.zeros(DIMENSION)).encode()[:-3],
        "é" * 8,
    ],
)
def test_what_is_not_a_sum_of_this_dimension_is_damage(text: str) -> None:
    with pytest.raises(IndexDamaged, match="vector_sum is not a vector of 24 dimensions"):
        VectorSum.decode(text, DIMENSION)


def test_a_single_paper_makes_no_pair() -> None:
    vectors = rows(1)
    total = VectorSum.of(vectors)
    assert total.mean_cosine(1) is None
    facts = background(vectors, total)
    assert (facts.pairs, facts.mean, facts.percentiles) == (0, None, ())


def test_equal_papers_have_a_mean_of_one_and_no_more() -> None:
    vectors = np.repeat(rows(1), 30, axis=0)
    assert VectorSum.of(vectors).mean_cosine(30) == 1.0


def test_the_spread_and_the_percentiles_are_those_of_random_pairs() -> None:
    vectors = rows(300)
    facts = background(vectors, VectorSum.of(vectors))
    units = unit_rows(vectors).astype(np.float64)
    cosines = (units @ units.T)[np.triu_indices(300, 1)]
    assert facts.spread == pytest.approx(cosines.std(), abs=0.005)
    assert len(facts.percentiles) == 101
    assert facts.percentiles[50] == pytest.approx(np.median(cosines), abs=0.01)
    assert list(facts.percentiles) == sorted(facts.percentiles)

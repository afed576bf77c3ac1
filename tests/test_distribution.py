"""All pairs of a sample, against the same figures taken the long way."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astrosearch.comparison.distribution import STEPS, middle, pair_distributions, step
from astrosearch.encoders.vectors import Vectors, unit_rows

COUNT = 700
"""More rows than a block."""


@pytest.fixture(scope="module")
def spaces() -> list[Vectors]:
    """Two encoders that agree in part; the second crowds all its vectors together."""
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(COUNT, 8))
    one = np.hstack([shared, draw.normal(size=(COUNT, 4))])
    other = np.hstack([shared, draw.normal(size=(COUNT, 6))]) + 3
    return [unit_rows(one), unit_rows(other)]


def all_pairs(vectors: Vectors) -> NDArray[np.float64]:
    upper = np.triu_indices(COUNT, k=1)
    return (vectors.astype(np.float64) @ vectors.T.astype(np.float64))[upper]


def test_mean_spread_quantiles_and_shares_are_those_of_all_pairs(spaces: list[Vectors]) -> None:
    distributions, _ = pair_distributions(spaces)
    for distribution, vectors in zip(distributions, spaces, strict=True):
        cosines = all_pairs(vectors)
        assert distribution.pairs == len(cosines) == COUNT * (COUNT - 1) // 2
        assert distribution.counts.sum() == distribution.pairs
        assert distribution.mean == pytest.approx(cosines.mean(), abs=1e-4)
        assert distribution.spread == pytest.approx(cosines.std(), abs=1e-4)
        for percent, cosine in distribution.quantiles.items():
            assert cosine == pytest.approx(np.percentile(cosines, percent), abs=1e-3)
        assert distribution.share_above(0.3) == pytest.approx((cosines > 0.3).mean(), abs=1e-3)
        edges = np.linspace(-1, 1, 21)
        counts = np.histogram(cosines, edges)[0]
        assert np.abs(distribution.histogram(edges) - counts).max() <= 0.001 * distribution.pairs
        at = float(np.percentile(cosines, 90))
        assert distribution.percentile(at) == pytest.approx(90, abs=0.1)


def test_rank_correlation_is_spearmans(spaces: list[Vectors]) -> None:
    from scipy.stats import spearmanr

    _, [agreement] = pair_distributions(spaces)
    expected = spearmanr(*(all_pairs(vectors) for vectors in spaces)).statistic
    assert agreement.rank_correlation == pytest.approx(expected, abs=1e-4)


def test_shared_neighbours_are_counted_without_the_paper_itself(spaces: list[Vectors]) -> None:
    _, [agreement] = pair_distributions(spaces)
    nearest = []
    for vectors in spaces:
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        nearest.append([set(line) for line in np.argsort(-cosines, axis=1)[:, :10].tolist()])
    expected = np.mean([len(a & b) / 10 for a, b in zip(*nearest, strict=True)])
    assert 0.05 < expected < 0.95
    assert agreement.shared_neighbours == pytest.approx(expected)
    _, [same] = pair_distributions([spaces[0], spaces[0]])
    assert same.shared_neighbours == 1
    assert same.rank_correlation == pytest.approx(1)


def test_the_worst_disagreements_are_found_with_their_papers(spaces: list[Vectors]) -> None:
    distributions, [agreement] = pair_distributions(spaces, disagreements=5)
    upper = np.triu_indices(COUNT, k=1)
    cosines = [all_pairs(vectors) for vectors in spaces]
    percents = [
        one.percentiles[step(c.astype(np.float32))]
        for one, c in zip(distributions, cosines, strict=True)
    ]
    difference = percents[0] - percents[1]
    for way, sign in ((agreement.nearer_first, 1), (agreement.nearer_second, -1)):
        assert len(way) == 5
        worst = np.sort(sign * difference)[::-1][:5]
        for one, expected in zip(way, worst, strict=True):
            assert sign * (one.percentiles[0] - one.percentiles[1]) == pytest.approx(
                expected, abs=0.02
            )
            (place,) = np.flatnonzero((upper[0] == one.rows[0]) & (upper[1] == one.rows[1]))
            assert one.cosines[0] == pytest.approx(cosines[0][place], abs=1e-4)
            assert one.cosines[1] == pytest.approx(cosines[1][place], abs=1e-4)


def test_steps_go_from_minus_one_to_one() -> None:
    assert step(np.array([-1.0, 1.0, 1.0001], dtype=np.float32)).tolist() == [0] + [STEPS - 1] * 2
    values = np.linspace(-0.999, 0.999, 1001)
    assert np.abs(middle(step(values.astype(np.float32))) - values).max() < 2 / STEPS

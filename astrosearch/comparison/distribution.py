"""The cosines of all pairs of a sample under several encoders: Figure 3 of the AstroLLaMA paper
(arXiv:2309.06126).

10,000 papers are 49,995,000 pairs. Their cosines are computed block by block and stored as 16-bit
steps from -1 to 1, of 3e-5 each. All results are counted from these steps, without sorting, with
two bytes for each pair and encoder.

A cosine means little by itself: ada-002 puts all pairs between .7 and 1. So two encoders are
compared by the percentile of a pair among all pairs of the sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors
from astrosearch.report import SILENT, Reporter

STEPS = 65_536
"""Number of steps from -1 to 1 in which cosines are counted."""

MATRIX_ROWS = 512
"""Rows of the cosine matrix that are computed at once: 20 MB for 10,000 papers."""

NEIGHBOURS = 10
"""Number of a paper's nearest neighbours that are compared between encoders."""

QUANTILES = (1, 5, 25, 50, 75, 95, 99)
"""Quantiles that are reported, in per cent."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The cosines of all pairs of a sample under one encoder."""

    pairs: int
    mean: float
    spread: float
    """Standard deviation."""
    quantiles: dict[int, float]
    """The cosine at each of `QUANTILES`."""
    counts: NDArray[np.int64]
    """(STEPS,) number of pairs in each step."""

    def percentile(self, cosines: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Per cent of the pairs that have a lower cosine, plus half of those with an equal one."""
        return self.percentiles[step(np.asarray(cosines, dtype=np.float32))]

    @property
    def percentiles(self) -> NDArray[np.float64]:
        """(STEPS,) percentile of the pairs in each step."""
        below = np.cumsum(self.counts) - self.counts
        return np.asarray(100 * (below + self.counts / 2) / self.pairs)

    def share_above(self, cosine: float) -> float:
        """Share of the pairs that have a higher cosine, from 0 to 1."""
        return float(self.counts[step(np.float32(cosine)) + 1 :].sum() / self.pairs)

    def histogram(self, edges: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n - 1,) number of pairs between neighbouring edges, which are (n,) ascending cosines."""
        cumulative = np.concatenate([[0], np.cumsum(self.counts)])
        return np.diff(cumulative[step(edges.astype(np.float32))])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair on which two encoders differ."""

    rows: tuple[int, int]
    """The two papers, as rows of the sample."""
    cosines: tuple[float, float]
    """Their cosine under the first encoder and under the second."""
    percentiles: tuple[float, float]
    """The percentiles of these cosines."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two encoders agree on a sample."""

    rank_correlation: float
    """Spearman's rank correlation of the cosines, over all pairs."""
    shared_neighbours: float
    """Share of a paper's 10 nearest papers under one encoder that are among its 10 nearest under
    the other, from 0 to 1; the mean over all papers."""
    nearer_first: list[Disagreement]
    """Pairs that the first encoder puts much nearer than the second, the greatest difference
    first."""
    nearer_second: list[Disagreement]
    """The same for the second encoder."""


def step(cosines: NDArray[np.float32] | np.float32) -> NDArray[np.int64]:
    """The step of each cosine, from 0 to STEPS - 1.

    >>> step(np.array([-1.0, 0.0, 1.0], dtype=np.float32)).tolist()
    [0, 32768, 65535]
    """
    steps = np.floor((cosines + np.float32(1)) * np.float32(STEPS / 2)).astype(np.int64)
    return np.asarray(np.clip(steps, 0, STEPS - 1))


def middle(steps: NDArray[np.integer] | int) -> NDArray[np.float64]:
    """The cosine in the middle of a step."""
    return np.asarray((np.asarray(steps) + 0.5) * (2 / STEPS) - 1)


def cosine_range(distributions: Sequence[Distribution]) -> tuple[float, float]:
    """The lowest and the highest cosine under any encoder, rounded outwards to multiples of .05."""
    occupied = [np.flatnonzero(distribution.counts) for distribution in distributions]
    low = min(float(middle(int(steps[0]))) for steps in occupied)
    high = max(float(middle(int(steps[-1]))) for steps in occupied)
    return float(np.floor(low * 20) / 20), float(np.ceil(high * 20) / 20)


def pair_distributions(
    spaces: Sequence[Vectors], disagreements: int = 0, reporter: Reporter = SILENT
) -> tuple[list[Distribution], list[Agreement]]:
    """The distribution under each encoder, and the agreement of each other encoder with the first.

    Args:
        spaces: for each encoder the (n, d) float32 unit rows of the same n papers; d may differ.
        disagreements: number of pairs to list, in each direction.
    """
    count = len(spaces[0])
    pairs = count * (count - 1) // 2
    steps = [np.empty(pairs, dtype=np.uint16) for _ in spaces]
    nearest = [np.empty((count, min(NEIGHBOURS, count - 1)), dtype=np.int64) for _ in spaces]
    counts = [np.zeros(STEPS, dtype=np.int64) for _ in spaces]
    filled = 0
    for start in range(0, count, MATRIX_ROWS):
        rows = np.arange(start, min(start + MATRIX_ROWS, count))
        new = sum(count - 1 - int(row) for row in rows)
        for space, vectors in enumerate(spaces):
            cosines = vectors[rows] @ vectors.T
            cosines[np.arange(len(rows)), rows] = -2  # a paper is not its own neighbour
            width = nearest[space].shape[1]
            nearest[space][rows] = np.argpartition(-cosines, width - 1, axis=1)[:, :width]
            block = steps[space][filled : filled + new]
            _fill_upper(block, cosines, rows)
            counts[space] += np.bincount(block, minlength=STEPS)
        filled += new
        reporter.progress("Comparing papers", int(rows[-1]) + 1, count)
    distributions = [_distribution(step_counts, pairs) for step_counts in counts]
    agreements = [
        Agreement(
            _rank_correlation(distributions[0], distributions[space], steps[0], steps[space]),
            _shared(nearest[0], nearest[space]),
            *_disagreements(
                (distributions[0], distributions[space]),
                (steps[0], steps[space]),
                count,
                disagreements,
            ),
        )
        for space in range(1, len(spaces))
    ]
    return distributions, agreements


def _fill_upper(
    out: NDArray[np.uint16], cosines: NDArray[np.float32], rows: NDArray[np.int64]
) -> None:
    """Write the steps of the cosines right of the diagonal to `out`, row after row.

    Args:
        cosines: (r, n), the rows `rows` of the whole matrix.
    """
    filled = 0
    for row_cosines, row in zip(cosines, rows, strict=True):
        right = _steps16(row_cosines[row + 1 :])
        out[filled : filled + len(right)] = right
        filled += len(right)


def _steps16(cosines: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The same as `step`, in 16 bits instead of 64."""
    scaled = (cosines + np.float32(1)) * np.float32(STEPS / 2)
    return np.asarray(np.clip(scaled, 0, STEPS - 1), dtype=np.uint16)


def _distribution(counts: NDArray[np.int64], pairs: int) -> Distribution:
    cosines = middle(np.arange(STEPS))
    mean = float(counts @ cosines / pairs)
    up_to = np.cumsum(counts)
    return Distribution(
        pairs=pairs,
        mean=mean,
        spread=float(np.sqrt(counts @ (cosines - mean) ** 2 / pairs)),
        quantiles={
            quantile: float(middle(int(np.searchsorted(up_to, quantile / 100 * pairs))))
            for quantile in QUANTILES
        },
        counts=counts,
    )


PAIRS_AT_ONCE = 2**22
"""Pairs whose percentiles are looked up at once: 32 MB."""


def _rank_correlation(
    first: Distribution,
    second: Distribution,
    first_steps: NDArray[np.uint16],
    second_steps: NDArray[np.uint16],
) -> float:
    """Spearman's rank correlation: Pearson's of the mid-ranks, which are proportional to the
    percentiles."""
    tables = [distribution.percentiles - 50 for distribution in (first, second)]
    norms = [
        float(np.sqrt(distribution.counts @ table**2))
        for distribution, table in zip((first, second), tables, strict=True)
    ]
    if not norms[0] * norms[1]:
        return 0.0
    total = 0.0
    for start in range(0, len(first_steps), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        total += float(tables[0][first_steps[part]] @ tables[1][second_steps[part]])
    return total / (norms[0] * norms[1])


def _shared(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Mean share of the (n, k) neighbours that two encoders have in common."""
    shared = [len(set(a) & set(b)) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    return float(np.mean(shared) / first.shape[1])


def _disagreements(
    distributions: tuple[Distribution, Distribution],
    steps: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    count: int,
    most: int,
) -> tuple[list[Disagreement], list[Disagreement]]:
    """The `most` pairs that the first encoder puts nearest compared with the second, and the same
    for the second encoder."""
    tables = [distribution.percentiles for distribution in distributions]
    row_starts = np.cumsum(np.concatenate([[0], np.arange(count - 1, 0, -1)]))

    def disagreement(pair: int) -> Disagreement:
        row = int(np.searchsorted(row_starts, pair, side="right")) - 1
        first_step, second_step = (int(pair_steps[pair]) for pair_steps in steps)
        return Disagreement(
            (row, row + 1 + pair - int(row_starts[row])),
            (float(middle(first_step)), float(middle(second_step))),
            (float(tables[0][first_step]), float(tables[1][second_step])),
        )

    first, second = (
        [disagreement(pair) for pair in pairs] for pairs in _farthest_apart(tables, steps, most)
    )
    return first, second


def _farthest_apart(
    tables: Sequence[NDArray[np.float64]],
    steps: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    most: int,
) -> tuple[list[int], list[int]]:
    """The pairs whose percentiles differ most, each way, the worst first."""
    small = [table.astype(np.float32) for table in tables]
    best: tuple[list[tuple[float, int]], list[tuple[float, int]]] = ([], [])
    for start in range(0, len(steps[0]) if most else 0, PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        nearer = small[0][steps[0][part]] - small[1][steps[1][part]]
        for worst, differences in zip(best, (nearer, -nearer), strict=True):
            top = min(most, len(differences))
            places = np.argpartition(-differences, top - 1)[:top].tolist()
            worst += [(float(differences[place]), start + place) for place in places]
            worst.sort(key=lambda entry: (-entry[0], entry[1]))
            del worst[most:]
    return [pair for _, pair in best[0]], [pair for _, pair in best[1]]

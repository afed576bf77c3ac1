"""All pairs of a sample of papers under one encoder and another: the paper's Figure 3.

10,000 papers are 49,995,000 pairs. Their cosines are computed block by block and kept as 16-bit
steps from -1 to 1, of 3e-5 each, from which everything here is counted: two bytes a pair and
encoder, and no sorting.

A cosine means little by itself (ada-002 puts all pairs between .7 and 1), so two encoders are
compared by the percentile that a pair has among all pairs of the sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors

STEPS = 65_536
"""Steps from -1 to 1 that a cosine is counted by."""

BLOCK = 512
"""Rows of the cosine matrix that are computed at once: 20 MB for 10,000 papers."""

NEIGHBOURS = 10

QUANTILES = (1, 5, 25, 50, 75, 95, 99)
"""In per cent."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The cosines of all pairs of a sample under one encoder."""

    pairs: int
    mean: float
    spread: float
    """Standard deviation."""
    quantiles: dict[int, float]
    """Per cent to cosine."""
    counts: NDArray[np.int64]
    """(STEPS,) pairs in each step."""

    def percentile(self, cosines: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Per cent of the pairs that have a lower cosine; half of the equal ones count."""
        return self.percentiles[step(np.asarray(cosines, dtype=np.float32))]

    @property
    def percentiles(self) -> NDArray[np.float64]:
        """(STEPS,) the percentile of a pair in each step."""
        below = np.cumsum(self.counts) - self.counts
        return np.asarray(100 * (below + self.counts / 2) / self.pairs)

    def share_above(self, cosine: float) -> float:
        return float(self.counts[step(np.float32(cosine)) + 1 :].sum() / self.pairs)

    def histogram(self, edges: NDArray[np.floating]) -> NDArray[np.int64]:
        """Pairs between each two of the `edges`, ascending cosines."""
        cumulative = np.concatenate([[0], np.cumsum(self.counts)])
        return np.diff(cumulative[step(edges.astype(np.float32))])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair on which two encoders differ."""

    rows: tuple[int, int]
    """Places of the two papers in the sample."""
    cosines: tuple[float, float]
    percentiles: tuple[float, float]
    """Under the one encoder and the other."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two encoders agree on a sample."""

    rank_correlation: float
    """Spearman's, over all pairs."""
    shared_neighbours: float
    """Of a paper's 10 nearest under the one encoder, the share that is among them under the other;
    the mean over all papers."""
    nearer_first: list[Disagreement]
    """Pairs that the first encoder puts much nearer than the second, the worst first."""
    nearer_second: list[Disagreement]


def step(cosines: NDArray[np.float32] | np.float32) -> NDArray[np.int64]:
    """The step of each cosine.

    >>> step(np.array([-1.0, 0.0, 1.0], dtype=np.float32)).tolist()
    [0, 32768, 65535]
    """
    steps = np.floor((cosines + np.float32(1)) * np.float32(STEPS / 2)).astype(np.int64)
    return np.asarray(np.clip(steps, 0, STEPS - 1))


def middle(steps: NDArray[np.integer] | int) -> NDArray[np.float64]:
    """The cosine in the middle of a step."""
    return np.asarray((np.asarray(steps) + 0.5) * (2 / STEPS) - 1)


def distributions(
    sides: Sequence[Vectors],
    disagreements: int = 0,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> tuple[list[Distribution], list[Agreement]]:
    """Of each encoder its distribution, and of each but the first its agreement with the first.

    Args:
        sides: for each encoder the (n, d) float32 unit rows of the same n papers; d may differ.
        disagreements: how many pairs to name, each way.
    """
    count = len(sides[0])
    pairs = count * (count - 1) // 2
    steps = [np.empty(pairs, dtype=np.uint16) for _ in sides]
    nearest = [np.empty((count, min(NEIGHBOURS, count - 1)), dtype=np.int64) for _ in sides]
    counts = [np.zeros(STEPS, dtype=np.int64) for _ in sides]
    filled = 0
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        behind = filled
        for side, vectors in enumerate(sides):
            cosines = vectors[rows] @ vectors.T
            cosines[np.arange(len(rows)), rows] = -2  # a paper is no neighbour of itself
            width = nearest[side].shape[1]
            nearest[side][rows] = np.argpartition(-cosines, width - 1, axis=1)[:, :width]
            behind = filled
            for line, row in zip(cosines, rows, strict=True):
                some = _steps16(line[row + 1 :])
                steps[side][behind : behind + len(some)] = some
                behind += len(some)
            counts[side] += np.bincount(steps[side][filled:behind], minlength=STEPS)
        filled = behind
        progress(int(rows[-1]) + 1, count)
    found = [_distribution(one, pairs) for one in counts]
    agreements = [
        Agreement(
            _rank_correlation(found[0], found[side], steps[0], steps[side]),
            _shared(nearest[0], nearest[side]),
            *_disagreements((found[0], found[side]), (steps[0], steps[side]), count, disagreements),
        )
        for side in range(1, len(sides))
    ]
    return found, agreements


def _steps16(cosines: NDArray[np.float32]) -> NDArray[np.uint16]:
    """`step` in 16 bits, in place of 64."""
    scaled = (cosines + np.float32(1)) * np.float32(STEPS / 2)
    return np.asarray(np.clip(scaled, 0, STEPS - 1), dtype=np.uint16)


def _distribution(counts: NDArray[np.int64], pairs: int) -> Distribution:
    cosines = middle(np.arange(STEPS))
    mean = float(counts @ cosines / pairs)
    below = np.cumsum(counts)
    return Distribution(
        pairs=pairs,
        mean=mean,
        spread=float(np.sqrt(counts @ (cosines - mean) ** 2 / pairs)),
        quantiles={
            one: float(middle(int(np.searchsorted(below, one / 100 * pairs)))) for one in QUANTILES
        },
        counts=counts,
    )


PIECE = 2**22
"""Pairs that are looked up at once."""


def _rank_correlation(
    one: Distribution, other: Distribution, ours: NDArray[np.uint16], theirs: NDArray[np.uint16]
) -> float:
    """Spearman's: Pearson's of the mid-ranks, which are the percentiles but for scale."""
    tables = [side.percentiles.astype(np.float64) - 50 for side in (one, other)]
    spreads = [
        np.sqrt(side.counts @ table**2) for side, table in zip((one, other), tables, strict=True)
    ]
    total = 0.0
    for start in range(0, len(ours), PIECE):
        some = slice(start, start + PIECE)
        total += float(tables[0][ours[some]] @ tables[1][theirs[some]])
    return total / float(spreads[0] * spreads[1]) if spreads[0] * spreads[1] > 0 else 0.0


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    shared = [len(set(a) & set(b)) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    return float(np.mean(shared) / one.shape[1])


def _disagreements(
    sides: tuple[Distribution, Distribution],
    steps: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    count: int,
    wanted: int,
) -> tuple[list[Disagreement], list[Disagreement]]:
    tables = [side.percentiles.astype(np.float32) for side in sides]
    best: list[list[tuple[float, int]]] = [[], []]
    for start in range(0, len(steps[0]) if wanted else 0, PIECE):
        some = slice(start, start + PIECE)
        nearer = tables[0][steps[0][some]] - tables[1][steps[1][some]]
        for way, differences in enumerate((nearer, -nearer)):
            most = min(wanted, len(differences))
            places = np.argpartition(-differences, most - 1)[:most]
            best[way] += [(float(differences[i]), start + int(i)) for i in places]
            best[way] = sorted(best[way], key=lambda one: (-one[0], one[1]))[:wanted]
    first = np.cumsum(np.concatenate([[0], np.arange(count - 1, 0, -1)]))
    found: list[list[Disagreement]] = [[], []]
    for way in (0, 1):
        for _, pair in best[way]:
            row = int(np.searchsorted(first, pair, side="right")) - 1
            both = [int(one[pair]) for one in steps]
            found[way].append(
                Disagreement(
                    (row, row + 1 + pair - int(first[row])),
                    (float(middle(both[0])), float(middle(both[1]))),
                    (float(sides[0].percentiles[both[0]]), float(sides[1].percentiles[both[1]])),
                )
            )
    return found[0], found[1]

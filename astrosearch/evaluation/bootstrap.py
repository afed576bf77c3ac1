"""Bootstrap intervals of a mean over queries, paired where two systems are compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.evaluation.metrics import Values

RESAMPLES = 10_000
"""Times that the queries are resampled."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, or the difference of two means, with its bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What a difference shows: `better`, `worse`, or `no clear difference`."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no clear difference"


def resampled_means(values: Values, seed: int) -> Values:
    """(RESAMPLES, columns) means over queries drawn with replacement.

    The draws depend only on the seed and the number of queries. So two systems are resampled
    alike, and the difference of their means is a paired bootstrap (Efron and Tibshirani 1993,
    chapter 13; for retrieval Sakai 2006, doi:10.1145/1148170.1148261).

    Args:
        values: (queries, columns), what each query scores.
    """
    generator = np.random.default_rng(seed)
    count = len(values)
    block = max(1, min(RESAMPLES, 2_000_000 // count))
    means = []
    for start in range(0, RESAMPLES, block):
        resamples = min(block, RESAMPLES - start)
        drawn = generator.integers(0, count, (resamples, count))
        drawn += np.arange(resamples)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=resamples * count)  # how often each is drawn
        means.append(times.reshape(resamples, count) @ values / count)
    return np.concatenate(means)


def interval(mean: float, means: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """A mean with its percentile interval, rounded to six decimals.

    Args:
        means: (RESAMPLES,) resampled means, from `resampled_means`.
        level: confidence level of the interval, 0 to 1.
    """
    tail = 50 * (1 - level)
    low, high = np.percentile(means, [tail, 100 - tail])
    # Six decimals are far finer than any interval, and hide the order of summation.
    return Estimate(round(float(mean), 6), round(float(low), 6), round(float(high), 6))

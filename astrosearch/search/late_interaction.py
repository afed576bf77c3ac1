"""Late interaction: two texts compared token by token (Khattab and Zaharia 2020, arXiv:2004.12832).

Each token has its nearest in the other text, and how near that is can be summed up in several
ways. A mean tells least: a paper that has all but one of a question's words is a worse answer than
its mean says, and several tokens near one of the question's tell that a paper speaks of it
(kernels: Xiong et al. 2017, arXiv:1706.06613). Which of these count, the ranker has learnt.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Joined, LateInteraction, WeightedTokens

Scores = NDArray[np.float64]

EXACT = 0.999
"""Cosine from which two tokens are the same."""

EDGES = np.array([0.2, 0.35, 0.5, 0.65, 0.8, EXACT], dtype=np.float32)
"""Cosines between the classes of `Comparison.shares`."""

KERNELS = ((1.0, 0.05), (0.8, 0.1), (0.6, 0.1))
"""Centre and width of the kernels of `Comparison.support`."""


class Comparison(NamedTuple):
    """How (n,) documents compare with a query. Weights are those of the tokens in their text."""

    recall: Scores
    """(n,) weighted mean, over the query's tokens, of the cosine of the document's nearest."""
    precision: Scores
    """(n,) the same over the document's tokens, of the cosine of the query's nearest."""
    plain_recall: Scores
    """(n,) recall with equal weights."""
    missed: Scores
    """(n,) weighted mean of (1 - cosine)² over the query's tokens: one that is far counts more."""
    exact: Scores
    """(n,) the weight of the query's tokens that the document has itself."""
    support: Scores
    """(n, 3) weighted mean, over the query's tokens, of log(1 + how many of the document's tokens
    are about as near as a kernel says)."""
    shares: Scores
    """(n, 7) the weight of the document's tokens by the cosine of the query's nearest, from far to
    the same: the classes between `EDGES`. They add up to 1."""


def compare(
    encoder: LateInteraction, query: WeightedTokens, documents: Sequence[WeightedTokens]
) -> Comparison:
    """A query compared with n documents."""
    joined = Joined.of(WeightedTokens, documents)
    weights, starts, lengths = joined.numbers, joined.starts, joined.lengths
    if not len(lengths):
        none = np.zeros(0)
        return Comparison(
            none, none, none, none, none, np.zeros((0, len(KERNELS))), np.zeros((0, len(EDGES) + 1))
        )
    tokens, places = _distinct(joined.tokens)
    of_document = np.repeat(np.arange(len(lengths)), lengths)
    # (tokens of the query, distinct tokens): numpy takes and compares long rows much faster.
    cosines = encoder.token_vectors(tokens) @ encoder.token_vectors(query.tokens).T
    cosines = np.ascontiguousarray(cosines.T)
    nearest = np.maximum.reduceat(cosines.take(places, axis=1), starts, axis=1).T
    best = cosines.max(axis=0)
    classes = np.searchsorted(EDGES, best, side="right").take(places)
    bins = np.bincount(
        of_document * (len(EDGES) + 1) + classes,
        weights=weights,
        minlength=len(lengths) * (len(EDGES) + 1),
    )
    holds = np.zeros(len(lengths) * len(tokens), dtype=np.float32)
    holds[of_document * len(tokens) + places] = 1
    return Comparison(
        recall=_float64(nearest @ query.weights),
        precision=_float64(np.add.reduceat(weights * best.take(places), starts)),
        plain_recall=_float64(nearest.mean(axis=1)),
        missed=_float64((1 - nearest) ** 2 @ query.weights),
        exact=_float64((nearest > EXACT) @ query.weights),
        support=_support(cosines, holds.reshape(len(lengths), -1), query),
        shares=_float64(bins.reshape(len(lengths), -1)),
    )


def _support(
    cosines: NDArray[np.float32], holds: NDArray[np.float32], query: WeightedTokens
) -> Scores:
    """
    Args:
        cosines: (tokens of the query, distinct tokens).
        holds: (n, distinct tokens), 1 where a document has a token.
    """
    kernels = np.empty((len(KERNELS), *cosines.shape), dtype=np.float32)
    for kernel, (centre, width) in zip(kernels, KERNELS, strict=True):  # without copies
        np.subtract(cosines, np.float32(centre), out=kernel)
        np.square(kernel, out=kernel)
        kernel *= np.float32(-0.5 / width**2)
        np.exp(kernel, out=kernel)
    logs = np.log1p(holds @ kernels.reshape(-1, cosines.shape[1]).T).reshape(
        len(holds), len(KERNELS), -1
    )
    return _float64(logs @ query.weights)


def _distinct(tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each token once, ascending, and the place of each of `tokens` there. (Sorting them, as
    np.unique does, takes longer than all the rest.)"""
    is_there = np.zeros(int(tokens.max()) + 1, dtype=bool)
    is_there[tokens] = True
    distinct = np.flatnonzero(is_there)
    place = np.empty(len(is_there), dtype=np.int32)  # half as much memory is looked at
    place[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, place.take(tokens).astype(np.int64)


def _float64(values: NDArray[np.generic]) -> Scores:
    return np.asarray(values, dtype=np.float64)

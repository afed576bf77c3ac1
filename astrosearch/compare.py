"""Two papers under two encoders: how near they are, and how near that is.

A raw cosine says little, since every encoder has a background of its own (ada-002 puts all pairs
between .7 and 1). So a pair is placed by the percentile of its cosine among random pairs of the
same papers under the same encoder, by its rank in each paper's list of neighbours, and by how many
neighbours the two share. These can be compared between encoders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoder import Encoder
from astrosearch.sentences import sentences
from astrosearch.vectors import Vectors, unit_rows

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One encoder's vectors of the papers that a pair is placed among."""

    name: str
    vectors: Vectors
    """(n, d) float32, unit rows."""


@dataclass(frozen=True, slots=True)
class PairView:
    """How one encoder sees two papers."""

    encoder: str
    cosine: float
    percentile: float
    """Per cent of random pairs of the same papers that are less alike."""
    ranks: tuple[int, int] | None
    """Of the second in the first's list of neighbours, and of the first in the second's; 1 is the
    nearest. None for texts that are no papers of the pool."""
    shared: int | None
    """How many of their 10 nearest neighbours they share, each other left out."""
    papers: int
    """Among how many."""


def percentile(cosine: float, background: NDArray[np.float32]) -> float:
    """Per cent of an ascending background that is below `cosine`; half of what is equal counts.

    >>> percentile(0.5, np.array([0.1, 0.2, 0.5, 0.9], dtype=np.float32))
    62.5
    """
    at = np.float32(cosine)
    below = np.searchsorted(background, at, side="left")
    upto = np.searchsorted(background, at, side="right")
    return float(50 * (below + upto) / len(background))


def view_pair(side: Side, one: int, other: int, background: NDArray[np.float32]) -> PairView:
    """
    Args:
        one, other: rows of `side.vectors`.
        background: what `vectors.random_pair_cosines` gave for it.
    """
    both = side.vectors[[one, other]] @ side.vectors.T
    cosine = float(both[0, other])
    both[0, one] = both[1, other] = -2  # a paper is no neighbour of itself
    ranks = tuple(int((line > cosine).sum()) + 1 for line in both)
    lists = []
    for line in both:
        line[[one, other]] = -2
        most = min(NEIGHBOURS, len(line) - 2)
        lists.append(set(np.argsort(-line, kind="stable")[:most].tolist()))
    return PairView(
        side.name,
        cosine,
        percentile(cosine, background),
        (ranks[0], ranks[1]),
        len(lists[0] & lists[1]),
        len(side.vectors),
    )


def view_texts(
    side: Side, one: Vectors, other: Vectors, background: NDArray[np.float32]
) -> PairView:
    """Two texts that are no papers of the pool: their vectors, (d,), unit length."""
    cosine = float(one @ other)
    return PairView(
        side.name, cosine, percentile(cosine, background), None, None, len(side.vectors)
    )


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences, one of each text, and their cosine."""

    one: str
    other: str
    cosine: float


def closest_sentences(
    encoder: Encoder, one: str, other: str, wanted: int = 3
) -> list[SentencePair]:
    """The sentences of two texts that lie nearest, the nearest pair first; each sentence once."""
    ours, theirs = sentences(one), sentences(other)
    if not ours or not theirs:
        return []
    vectors = unit_rows(encoder.encode([*ours, *theirs]))
    cosines = vectors[: len(ours)] @ vectors[len(ours) :].T
    found = []
    for _ in range(min(wanted, len(ours), len(theirs))):
        i, j = (int(place) for place in np.unravel_index(np.argmax(cosines), cosines.shape))
        found.append(SentencePair(ours[i], theirs[j], float(cosines[i, j])))
        cosines[i, :] = cosines[:, j] = -2
    return found


NEAR, FAR = 95.0, 75.0
"""Percentiles from which a pair is called near, and below which it is called far."""


def verdict(views: Sequence[PairView]) -> str:
    """One sentence on what the encoders say of a pair, and whether they agree.

    >>> view = PairView("a", 0.5, 99.7, (3, 2), 4, 3000)
    >>> verdict([view])
    'a puts this pair nearer than 99.7 % of random pairs: near.'
    """
    said = [_words(view) for view in views]
    if len(views) == 1:
        return f"{said[0]}: {_kind(views[0])}."
    kinds = {_kind(view) for view in views}
    apart = max(view.percentile for view in views) - min(view.percentile for view in views)
    if len(kinds) == 1:
        how = f"The encoders agree that this pair is {kinds.pop()}"
    elif apart < 20:
        how = "The encoders agree in the main"
    elif kinds == {"near", "far"}:
        how = "The encoders disagree strongly"
    else:
        how = "The encoders disagree somewhat"
    return f"{how}: {'; '.join(said)}."


def _words(view: PairView) -> str:
    return f"{view.encoder} puts this pair nearer than {view.percentile:.1f} % of random pairs"


def _kind(view: PairView) -> str:
    if view.percentile >= NEAR:
        return "near"
    return "far" if view.percentile < FAR else "neither near nor far"

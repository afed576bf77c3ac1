"""Two papers under each of several encoders: how near they are, and how near that is.

A raw cosine says little, since every encoder has a background of its own (ada-002 puts all pairs
between .7 and 1). So a pair is placed by the percentile of its cosine among random pairs of the
same papers under the same encoder, by the rank of each paper among the other's neighbours, and by
how many of their nearest neighbours are the same. These can be compared between encoders.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from astrosearch.comparison.pool import EmbeddingSpace
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.papers import Paper
from astrosearch.text.analysis import STOP_WORDS, stem
from astrosearch.text.sentences import sentences
from astrosearch.text.tex import to_unicode

NEIGHBOURS = 10
"""Nearest neighbours of a paper that are compared with the other's."""

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class PairView:
    """How one encoder sees two papers."""

    encoder: str
    cosine: float
    percentile: float
    """Per cent of random pairs of the same papers that are farther apart."""
    ranks: tuple[int, int] | None
    """Of the second paper among the first's neighbours, and of the first among the second's; 1 is
    the nearest. None for texts that are not papers of the pool."""
    shared: int | None
    """How many of their `NEIGHBOURS` nearest are the same, each other left out; None for texts."""
    papers: int
    """Size of the pool."""


def percentiles(
    cosines: NDArray[np.floating] | float, background: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Per cent of the background that is below each cosine; half of the equal ones count.

    Args:
        background: ascending cosines of random pairs, as `random_pair_cosines` gives them.
    """
    at = np.asarray(cosines, dtype=np.float32)
    below = np.searchsorted(background, at, side="left")
    up_to = np.searchsorted(background, at, side="right")
    return np.asarray(50 * (below + up_to) / len(background))


def view_pair(
    space: EmbeddingSpace, one: int, other: int, background: NDArray[np.float32]
) -> PairView:
    """
    Args:
        one, other: rows of `space.vectors`.
        background: ascending cosines of random pairs of the space.
    """
    cosines = space.vectors[[one, other]] @ space.vectors.T
    cosine = float(cosines[0, other])
    cosines[0, one] = cosines[1, other] = -2  # a paper is not its own neighbour
    rank, other_rank = (int((line > cosine).sum()) + 1 for line in cosines)
    nearest = []
    for line in cosines:
        line[[one, other]] = -2
        most = min(NEIGHBOURS, len(line) - 2)
        nearest.append(set(np.argsort(-line, kind="stable")[:most].tolist()))
    return PairView(
        space.name,
        cosine,
        float(percentiles(cosine, background)),
        (rank, other_rank),
        len(nearest[0] & nearest[1]),
        len(space.vectors),
    )


def view_texts(
    space: EmbeddingSpace, one: Vectors, other: Vectors, background: NDArray[np.float32]
) -> PairView:
    """Two texts that are not papers of the pool, by their (d,) unit vectors."""
    cosine = float(one @ other)
    return PairView(
        space.name,
        cosine,
        float(percentiles(cosine, background)),
        None,
        None,
        len(space.vectors),
    )


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences, one of each text, and their cosine."""

    one: str
    other: str
    cosine: float


def closest_sentences(encoder: Encoder, one: str, other: str, count: int = 3) -> list[SentencePair]:
    """The `count` pairs of sentences of two texts that are nearest, the nearest first; no sentence
    is in two pairs. None if each text is a single sentence, which says no more than the texts."""
    ours, theirs = sentences(one), sentences(other)
    if not ours or not theirs or len(ours) == len(theirs) == 1:
        return []
    vectors = unit_rows(encoder.encode([*ours, *theirs]))
    cosines = vectors[: len(ours)] @ vectors[len(ours) :].T
    pairs = []
    for _ in range(min(count, len(ours), len(theirs))):
        i, j = (int(place) for place in np.unravel_index(np.argmax(cosines), cosines.shape))
        pairs.append(SentencePair(ours[i], theirs[j], float(cosines[i, j])))
        cosines[i, :] = cosines[:, j] = -2
    return pairs


def shared_words(one: Paper, other: Paper) -> list[str]:
    """Words that two papers share in any inflection, in the first paper's form, the longest
    first."""
    ours, theirs = (
        {
            stem(word): word
            for word in _WORD.findall(to_unicode(paper.text).lower())
            if word not in STOP_WORDS
        }
        for paper in (one, other)
    )
    shared = [ours[word] for word in ours.keys() & theirs]
    return sorted(shared, key=lambda word: (-len(word), word))


NEAR, FAR = 95.0, 75.0
"""Percentiles from which on a pair is called near, and below which it is called far."""


def verdict(views: Sequence[PairView]) -> str:
    """One sentence on what the encoders say of a pair, and whether they agree.

    >>> view = PairView("a", 0.5, 99.7, (3, 2), 4, 3000)
    >>> verdict([view])
    'a puts this pair nearer than 99.7 % of random pairs: near.'
    """
    statements = [f"{view.encoder} puts this pair {nearer_than(view.percentile)}" for view in views]
    if len(views) == 1:
        return f"{statements[0]}: {_kind(views[0])}."
    kinds = {_kind(view) for view in views}
    apart = max(view.percentile for view in views) - min(view.percentile for view in views)
    if len(kinds) == 1:
        how = f"The encoders agree that this pair is {kinds.pop()}"
    elif apart < 20:
        how = "The encoders mostly agree"
    elif kinds == {"near", "far"}:
        how = "The encoders disagree strongly"
    else:
        how = "The encoders disagree somewhat"
    return f"{how}: {'; '.join(statements)}."


def nearer_than(percentile: float) -> str:
    """
    >>> nearer_than(42.04), nearer_than(100.0)
    ('nearer than 42.0 % of random pairs', 'nearer than all random pairs')
    """
    if percentile in (0.0, 100.0):
        return f"{'nearer' if percentile else 'farther apart'} than all random pairs"
    return f"nearer than {per_cent(percentile)} of random pairs"


def per_cent(percentile: float) -> str:
    """Rounded down, so that 100 % means all.

    >>> per_cent(99.9999), per_cent(42.08), per_cent(100.0)
    ('99.99 %', '42.0 %', '100 %')
    """
    if percentile >= 100:
        return "100 %"
    digits = 2 if percentile >= 99.9 else 1
    return f"{floor(percentile * 10**digits) / 10**digits:.{digits}f} %"


def _kind(view: PairView) -> str:
    if view.percentile >= NEAR:
        return "near"
    return "far" if view.percentile < FAR else "neither near nor far"

"""How near two papers are under each of several encoders, in figures that can be compared.

A raw cosine says little, since each encoder has its own background: ada-002 puts all pairs between
.7 and 1. So a pair is described by the percentile of its cosine among random pairs of a pool of
papers under the same encoder, by the rank of each paper among the other's neighbours, and by the
number of nearest neighbours that they share.
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
"""Number of each paper's nearest neighbours that are compared with the other's."""

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class PairView:
    """Two papers, or two texts, under one encoder."""

    encoder: str
    cosine: float
    percentile: float
    """Per cent of random pairs of the pool that are farther apart."""
    ranks: tuple[int, int] | None
    """Rank of the second paper among the first's neighbours, and of the first among the second's;
    1 is the nearest. None for texts that are not papers of the pool."""
    shared: int | None
    """How many of their `NEIGHBOURS` nearest papers, without the two themselves, are the same; None
    for texts."""
    papers: int
    """Size of the pool."""


def percentiles(
    cosines: NDArray[np.floating] | float, background: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Per cent of the background below each cosine, plus half of the part that is equal.

    Args:
        background: (n,) ascending cosines of random pairs, from `random_pair_cosines`.
    """
    rounded = np.asarray(cosines, dtype=np.float32)
    below = np.searchsorted(background, rounded, side="left")
    up_to = np.searchsorted(background, rounded, side="right")
    return np.asarray(50 * (below + up_to) / len(background))


def view_pair(
    space: EmbeddingSpace, first: int, second: int, background: NDArray[np.float32]
) -> PairView:
    """Two papers of the pool under one encoder.

    Args:
        first, second: rows of `space.vectors`.
        background: (n,) ascending cosines of random pairs of the space.
    """
    cosines = space.vectors[[first, second]] @ space.vectors.T
    cosine = float(cosines[0, second])
    cosines[0, first] = cosines[1, second] = -2  # a paper is not its own neighbour
    second_rank, first_rank = (int((row > cosine).sum()) + 1 for row in cosines)
    nearest = []
    for row in cosines:
        row[[first, second]] = -2
        k = min(NEIGHBOURS, len(row) - 2)
        nearest.append(set(np.argsort(-row, kind="stable")[:k].tolist()))
    return PairView(
        space.name,
        cosine,
        float(percentiles(cosine, background)),
        (second_rank, first_rank),
        len(nearest[0] & nearest[1]),
        len(space.vectors),
    )


def view_texts(
    space: EmbeddingSpace, first: Vectors, second: Vectors, background: NDArray[np.float32]
) -> PairView:
    """Two texts that are not papers of the pool, by their (d,) unit vectors."""
    cosine = float(first @ second)
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
    """A sentence of each of two texts, and their cosine."""

    first: str
    second: str
    cosine: float


def closest_sentences(
    encoder: Encoder, first: str, second: str, count: int = 3
) -> list[SentencePair]:
    """The `count` nearest pairs of sentences of two texts, the nearest first; no sentence is in two
    pairs. Empty if each text is a single sentence: the pair would be the texts themselves."""
    first_sentences, second_sentences = sentences(first), sentences(second)
    if not first_sentences or not second_sentences:
        return []
    if len(first_sentences) == len(second_sentences) == 1:
        return []
    vectors = unit_rows(encoder.encode([*first_sentences, *second_sentences]))
    cosines = vectors[: len(first_sentences)] @ vectors[len(first_sentences) :].T
    pairs = []
    for _ in range(min(count, *cosines.shape)):
        i, j = (int(place) for place in np.unravel_index(np.argmax(cosines), cosines.shape))
        pairs.append(SentencePair(first_sentences[i], second_sentences[j], float(cosines[i, j])))
        cosines[i, :] = cosines[:, j] = -2
    return pairs


def shared_words(first: Paper, second: Paper) -> list[str]:
    """Words that two papers share in any inflection, in the first paper's form, the longest
    first."""
    first_words, second_words = (
        {
            stem(word): word
            for word in _WORD.findall(to_unicode(paper.text).lower())
            if word not in STOP_WORDS
        }
        for paper in (first, second)
    )
    shared = [first_words[word] for word in first_words.keys() & second_words]
    return sorted(shared, key=lambda word: (-len(word), word))


NEAR, FAR = 95.0, 75.0
"""A pair is near at this percentile or above, and far below the second one."""


def verdict(views: Sequence[PairView]) -> str:
    """One sentence on how near a pair is under each encoder, and whether the encoders agree.

    >>> view = PairView("a", 0.5, 99.7, (3, 2), 4, 3000)
    >>> verdict([view])
    'a puts this pair nearer than 99.7 % of random pairs: near.'
    """
    statements = [f"{view.encoder} puts this pair {nearer_than(view.percentile)}" for view in views]
    if len(views) == 1:
        return f"{statements[0]}: {_kind(views[0])}."
    kinds = {_kind(view) for view in views}
    spread = max(view.percentile for view in views) - min(view.percentile for view in views)
    if len(kinds) == 1:
        agreement = f"The encoders agree that this pair is {kinds.pop()}"
    elif spread < 20:
        agreement = "The encoders mostly agree"
    elif kinds == {"near", "far"}:
        agreement = "The encoders disagree strongly"
    else:
        agreement = "The encoders disagree somewhat"
    return f"{agreement}: {'; '.join(statements)}."


def nearer_than(percentile: float) -> str:
    """A percentile in words.

    >>> nearer_than(42.04), nearer_than(100.0)
    ('nearer than 42.0 % of random pairs', 'nearer than all random pairs')
    """
    if percentile in (0.0, 100.0):
        return f"{'nearer' if percentile else 'farther apart'} than all random pairs"
    return f"nearer than {per_cent(percentile)} of random pairs"


def per_cent(percentile: float) -> str:
    """A percentile, rounded down so that 100 % means all.

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

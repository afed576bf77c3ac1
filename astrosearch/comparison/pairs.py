"""Two papers under two encoders: how near they are, and how near that is.

A raw cosine says little, since every encoder has a background of its own (ada-002 puts all pairs
between .7 and 1). So a pair is placed by the percentile of its cosine among random pairs of the
same papers under the same encoder, by its rank in each paper's list of neighbours, and by how many
neighbours the two share. These can be compared between encoders.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Billable, Encoder, encode_all
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.index.reader import Index
from astrosearch.index.vectors import random_pair_cosines
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.text.analysis import STOP_WORDS, stem
from astrosearch.text.sentences import sentences

NEIGHBOURS = 10

OWN_POOL, SHARED_POOL = 100_000, 2_000
"""Papers that pairs are placed among: under the index's own vectors, and where other encoders have
to encode them first."""

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """One encoder's vectors of the papers that a pair is placed among."""

    name: str
    vectors: Vectors
    """(n, d) float32, unit rows."""


@dataclass(frozen=True, slots=True)
class ComparisonPool:
    """Papers of an index as its own encoder, and others, see them."""

    papers: list[Paper]
    sides: list[EmbeddingSpace]
    """The index's own first; row i of each is paper i."""

    def place(self, paper_id: str) -> int:
        return next(place for place, paper in enumerate(self.papers) if paper.id == paper_id)


def gather(
    index: Index,
    name: str,
    wanted: Sequence[str],
    others: Sequence[tuple[str, Encoder | Index]],
    count: int,
    seed: int,
    reporter: Reporter = SILENT,
) -> ComparisonPool:
    """Vectors of `wanted` papers and of others drawn at random, `count` in all, under each encoder.

    Args:
        name: of the index's own encoder.
        wanted: identifiers, as `parse_id` gives them.
        others: encoders, which encode the papers, or indexes, whose vectors are taken; of an index
            only papers that it has too are drawn.

    Raises:
        NothingFound: if a wanted paper is not in the index, or in one of the others.
        InputError: if fewer than three papers are left.
    """
    rows = [index.corpus.row_of(one) for one in dict.fromkeys(wanted)]
    every = np.arange(len(index))
    places = {}
    for other, one in others:
        if isinstance(one, Index):
            for paper_id in wanted:
                one.corpus.row_of(paper_id)
            places[other] = {paper.id: row for row, paper in enumerate(one.corpus)}
            here = [row for row, paper in enumerate(index.corpus) if paper.id in places[other]]
            every = np.intersect1d(every, np.array(here, dtype=np.int64))
    drawn = np.random.default_rng(seed).permutation(np.setdiff1d(every, rows))
    chosen = np.sort(np.concatenate([rows, drawn[: max(0, count - len(rows))]]).astype(np.int64))
    if len(chosen) < 3:
        raise InputError(f"{len(chosen)} papers are too few to compare encoders by")
    papers = list(index.corpus.stream(chosen))
    sides = [EmbeddingSpace(name, unit_rows(index.vectors[chosen]))]
    for _, one in others:
        if isinstance(one, Billable) and not isinstance(one, Index):
            one.request_approval(map(one.spec.text_of, papers))
    for other, one in others:
        if isinstance(one, Index):
            theirs = np.array([places[other][paper.id] for paper in papers])
            sides.append(EmbeddingSpace(other, unit_rows(one.vectors[theirs])))
        else:
            texts = [one.spec.text_of(paper) for paper in papers]
            vectors = encode_all(one, texts, f"Encoding papers with {other}", reporter)
            sides.append(EmbeddingSpace(other, vectors))
    return ComparisonPool(papers, sides)


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


def views(pool: ComparisonPool, one: int, other: int) -> list[PairView]:
    """How each encoder sees the papers at two places of a pool."""
    return [view_pair(side, one, other, random_pair_cosines(side.vectors)) for side in pool.sides]


def percentile(cosine: float, background: NDArray[np.float32]) -> float:
    """Per cent of an ascending background that is below `cosine`; half of what is equal counts.

    >>> percentile(0.5, np.array([0.1, 0.2, 0.5, 0.9], dtype=np.float32))
    62.5
    """
    at = np.float32(cosine)
    below = np.searchsorted(background, at, side="left")
    upto = np.searchsorted(background, at, side="right")
    return float(50 * (below + upto) / len(background))


def view_pair(
    side: EmbeddingSpace, one: int, other: int, background: NDArray[np.float32]
) -> PairView:
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
    side: EmbeddingSpace, one: Vectors, other: Vectors, background: NDArray[np.float32]
) -> PairView:
    """Two texts that are no papers of the pool: their vectors, (d,), unit length."""
    cosine = float(one @ other)
    return PairView(
        side.name, cosine, percentile(cosine, background), None, None, len(side.vectors)
    )


def view_new_texts(
    pool: ComparisonPool, encoders: Sequence[Encoder], one: str, other: str
) -> list[PairView]:
    """How each encoder of the pool's sides, in their order, sees two texts."""
    found = []
    for side, encoder in zip(pool.sides, encoders, strict=True):
        ours, theirs = encoder.encode([one, other])
        found.append(view_texts(side, ours, theirs, random_pair_cosines(side.vectors)))
    return found


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


def shared_words(one: Paper, other: Paper) -> list[str]:
    """Words that two papers share, in any of their forms, as the first has them; the longest
    first."""
    ours, theirs = (
        {stem(word): word for word in _WORD.findall(paper.text.lower()) if word not in STOP_WORDS}
        for paper in (one, other)
    )
    return sorted((ours[word] for word in ours.keys() & theirs), key=lambda one: (-len(one), one))


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
    return f"{view.encoder} puts this pair nearer than {per_cent(view.percentile)} of random pairs"


def per_cent(percentile: float) -> str:
    """
    >>> per_cent(99.973), per_cent(42.04)
    ('99.97 %', '42.0 %')
    """
    return f"{percentile:.2f} %" if percentile > 99.9 else f"{percentile:.1f} %"


def _kind(view: PairView) -> str:
    if view.percentile >= NEAR:
        return "near"
    return "far" if view.percentile < FAR else "neither near nor far"

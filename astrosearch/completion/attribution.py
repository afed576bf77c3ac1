"""What supports a sentence that a model wrote: which sources, which of their words it copies.

A sentence is supported by a source that has a sentence near to it in the encoder's space *and* with
its words. How near and how many words is what random pairs of the same index say: a sentence and a
paper that have nothing to do with each other reach it once in a hundred times.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.index.reader import Index
from astrosearch.text.analysis import STOP_WORDS, analyze, stem
from astrosearch.text.sentences import sentences

CALIBRATION_PAPERS = 48
"""Papers whose sentences are compared with each other's for the thresholds: some 15,000 pairs of a
sentence and a paper."""

CHANCE = 0.01
"""Share of such random pairs that a threshold lets through."""

COPY = 12
"""Words in a row from which on they are a quotation."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a sentence must reach with a source's sentence to be supported by it."""

    cosine: float
    overlap: float
    """Share of its content words."""


class Texts:
    """The sentences of some texts, and their vectors."""

    def __init__(self, encoder: Encoder, texts: Sequence[str]) -> None:
        self.owner: NDArray[np.int64]
        """(n,) which text each sentence is of."""
        parts = [sentences(text) for text in texts]
        flat = [one for part in parts for one in part]
        self.owner = np.repeat(np.arange(len(texts)), [len(part) for part in parts])
        self.vectors: Vectors = encode_sentences(encoder, flat)
        """(n, d) float32, unit rows."""
        self.words = [content_words(one) for one in flat]
        self.count = len(texts)


def encode_sentences(encoder: Encoder, some: Sequence[str]) -> Vectors:
    if not some:
        return np.zeros((0, encoder.dimension), dtype=np.float32)
    return unit_rows(encoder.encode(some))


def content_words(text: str) -> frozenset[str]:
    """Stems of a text's words that say something."""
    silent = {stem(word) for word in STOP_WORDS}
    return frozenset(one for one in analyze(text).terms if one not in silent and len(one) > 1)


def calibrated(index: Index, encoder: Encoder, seed: int = 0) -> Thresholds:
    """The thresholds of an index and its encoder, from sentences and papers drawn at random.

    Raises:
        InputError: if the index has fewer than three papers.
    """
    if len(index) < 3:
        raise InputError(
            f"index {index.folder.name} has {len(index)} papers: too few to tell what supports a "
            "sentence from what does so by chance"
        )
    count = min(CALIBRATION_PAPERS, len(index))
    rows = np.random.default_rng(seed).choice(len(index), size=count, replace=False)
    texts = Texts(encoder, [paper.abstract for paper in index.corpus.stream(np.sort(rows))])
    cosines = texts.vectors @ texts.vectors.T
    overlaps = _overlaps(texts.words, texts.words)
    best: list[tuple[float, float]] = []
    for other in range(count):
        theirs = texts.owner == other
        if not theirs.any() or theirs.all():
            continue
        near = cosines[~theirs][:, theirs].max(axis=1)
        shared = overlaps[~theirs][:, theirs].max(axis=1)
        best += zip(near.tolist(), shared.tolist(), strict=True)
    high = np.quantile(np.array(best), 1 - CHANCE, axis=0)
    return Thresholds(float(high[0]), float(high[1]))


def _overlaps(
    ours: Sequence[frozenset[str]], theirs: Sequence[frozenset[str]]
) -> NDArray[np.float32]:
    """(n, m) the share of each of our sentences' content words that each of theirs has."""
    found = np.zeros((len(ours), len(theirs)), dtype=np.float32)
    for i, one in enumerate(ours):
        if len(one) > 1:  # a single word supports nothing
            found[i] = [len(one & other) / len(one) for other in theirs]
    return found


def supporting(
    encoder: Encoder, some: Sequence[str], sources: Texts, thresholds: Thresholds
) -> list[list[int]]:
    """Of each sentence the sources that support it, the nearest first."""
    cosines = encode_sentences(encoder, some) @ sources.vectors.T
    overlaps = _overlaps([content_words(one) for one in some], sources.words)
    enough = (cosines > thresholds.cosine) & (overlaps > thresholds.overlap)
    found = []
    for line, near in zip(enough, cosines, strict=True):
        best = {
            owner: float(near[line & (sources.owner == owner)].max())
            for owner in np.unique(sources.owner[line]).tolist()
        }
        found.append(sorted(best, key=lambda owner: -best[owner]))
    return found


@dataclass(frozen=True, slots=True)
class Copy:
    """A run of words that stands in a source as it does here."""

    start: int
    end: int
    source: int
    """The place of the source."""
    words: int


_WORD = re.compile(r"\w+")


def copies(text: str, sources: Sequence[str], shortest: int = COPY) -> list[Copy]:
    """The longest runs of at least `shortest` words that a source has too, case and signs aside;
    none overlaps another.

    >>> copies("we see that gas falls in here", ["That gas falls in."], shortest=3)
    [Copy(start=7, end=24, source=0, words=4)]
    """
    spans = list(_WORD.finditer(text))
    ours = [one[0].lower() for one in spans]
    theirs = [[one.lower() for one in _WORD.findall(source)] for source in sources]
    places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for number, some in enumerate(theirs):
        for place, run in _runs(some, shortest):
            places.setdefault(run, []).append((number, place))
    found = []
    start = 0
    while start + shortest <= len(ours):
        best = (0, 0)
        for number, place in places.get(tuple(ours[start : start + shortest]), ()):
            length = shortest
            some = theirs[number]
            while (
                start + length < len(ours)
                and place + length < len(some)
                and ours[start + length] == some[place + length]
            ):
                length += 1
            best = max(best, (length, -number))
        length, number = best[0], -best[1]
        if length:
            end = spans[start + length - 1].end()
            found.append(Copy(spans[start].start(), end, number, length))
        start += max(1, length)
    return found


def _runs(some: Sequence[str], length: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    for place in range(len(some) - length + 1):
        yield place, tuple(some[place : place + length])

"""Where a generated sentence may come from: the sources related to it, and the words it copies.

A source is related to a sentence if one of its sentences is near in the encoder's space *and* has
the sentence's words. How near, and how many words, is measured on random pairs of the same index:
an unrelated sentence and paper reach each threshold once in a hundred times. A related source is
where to look; it does not show that the sentence is true.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.search.searcher import Searcher
from astrosearch.text.analysis import STOP_WORDS, analyze, stem
from astrosearch.text.sentences import sentences

CALIBRATION_PAPERS = 48
"""Papers whose sentences are compared with each other to set the thresholds: some 15,000 pairs of a
sentence and a paper."""

CHANCE = 0.01
"""Share of these random pairs that pass a threshold."""

COPY = 12
"""Words in a row that count as a quotation."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a sentence must exceed with one sentence of a source for the source to be related."""

    cosine: float
    overlap: float
    """Share of its content words."""


class SentenceSet:
    """The sentences of several texts, with their vectors and content words."""

    def __init__(self, encoder: Encoder, texts: Sequence[str]) -> None:
        split = [sentences(text) for text in texts]
        flat = [sentence for text_sentences in split for sentence in text_sentences]
        self.owner: NDArray[np.int64] = np.repeat(np.arange(len(texts)), [len(s) for s in split])
        """(n,) the text that each sentence belongs to."""
        self.vectors: Vectors = encode_sentences(encoder, flat)
        """(n, d) float32, unit rows."""
        self.words = [content_words(sentence) for sentence in flat]


def encode_sentences(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """(n, d) float32, unit rows; n may be 0."""
    if not texts:
        return np.zeros((0, encoder.dimension), dtype=np.float32)
    return unit_rows(encoder.encode(texts))


def content_words(text: str) -> frozenset[str]:
    """The stems of a text's words, without stop words and single letters."""
    stop_stems = {stem(word) for word in STOP_WORDS}
    return frozenset(
        term for term in analyze(text).terms if term not in stop_stems and len(term) > 1
    )


def calibrated_thresholds(searcher: Searcher, seed: int = 0) -> Thresholds:
    """The thresholds of an index and its encoder, from sentences and papers drawn at random.

    Raises:
        InputError: if the index has fewer than three papers.
    """
    index = searcher.index
    if len(index) < 3:
        raise InputError(
            f"index {searcher.name} has {len(index)} papers; at least 3 are needed to tell related "
            "sentences from chance"
        )
    count = min(CALIBRATION_PAPERS, len(index))
    rows = np.random.default_rng(seed).choice(index.rows, size=count, replace=False)
    abstracts = [paper.abstract for paper in index.corpus.stream(np.sort(rows))]
    drawn = SentenceSet(searcher.encoder, abstracts)
    cosines = drawn.vectors @ drawn.vectors.T
    overlaps = _overlaps(drawn.words, drawn.words)
    best: list[tuple[float, float]] = []
    for paper in range(count):
        own = drawn.owner == paper
        if not own.any() or own.all():
            continue
        nearest = cosines[~own][:, own].max(axis=1)
        shared = overlaps[~own][:, own].max(axis=1)
        best += zip(nearest.tolist(), shared.tolist(), strict=True)
    cosine, overlap = np.quantile(np.array(best), 1 - CHANCE, axis=0)
    return Thresholds(float(cosine), float(overlap))


def _overlaps(
    ours: Sequence[frozenset[str]], theirs: Sequence[frozenset[str]]
) -> NDArray[np.float32]:
    """(n, m) the share of each of our sentences' content words that each of theirs has."""
    shares = np.zeros((len(ours), len(theirs)), dtype=np.float32)
    for row, words in enumerate(ours):
        if len(words) > 1:  # one word in common says nothing
            shares[row] = [len(words & other) / len(words) for other in theirs]
    return shares


def related_sources(
    encoder: Encoder, texts: Sequence[str], sources: SentenceSet, thresholds: Thresholds
) -> list[list[int]]:
    """For each sentence the sources that are related to it, by their numbers from 0, the nearest
    first."""
    cosines = encode_sentences(encoder, texts) @ sources.vectors.T
    overlaps = _overlaps([content_words(text) for text in texts], sources.words)
    passes = (cosines > thresholds.cosine) & (overlaps > thresholds.overlap)
    related = []
    for passing, line in zip(passes, cosines, strict=True):
        best = {
            owner: float(line[passing & (sources.owner == owner)].max())
            for owner in np.unique(sources.owner[passing]).tolist()
        }
        related.append(sorted(best, key=lambda owner: -best[owner]))
    return related


@dataclass(frozen=True, slots=True)
class Copy:
    """A run of words that a source has too."""

    start: int
    end: int
    source: int
    """Number of the source, from 0."""
    words: int


_WORD = re.compile(r"\w+")


def copies(text: str, sources: Sequence[str], shortest: int = COPY) -> list[Copy]:
    """The longest runs of at least `shortest` words that a source has too, whatever their case and
    punctuation. No run overlaps another.

    >>> copies("we see that gas falls in here", ["That gas falls in."], shortest=3)
    [Copy(start=7, end=24, source=0, words=4)]
    """
    matches = list(_WORD.finditer(text))
    words = [match[0].lower() for match in matches]
    source_words = [[word.lower() for word in _WORD.findall(source)] for source in sources]
    starts: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for number, theirs in enumerate(source_words):
        for start, run in _runs(theirs, shortest):
            starts.setdefault(run, []).append((number, start))
    copied = []
    place = 0
    while place + shortest <= len(words):
        length, number = 0, 0
        for candidate, start in starts.get(tuple(words[place : place + shortest]), ()):
            longer = _common_length(words[place:], source_words[candidate][start:])
            if longer > length:
                length, number = longer, candidate
        if length:
            end = matches[place + length - 1].end()
            copied.append(Copy(matches[place].start(), end, number, length))
        place += max(1, length)
    return copied


def _runs(words: Sequence[str], length: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    for start in range(len(words) - length + 1):
        yield start, tuple(words[start : start + length])


def _common_length(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """How many words two sequences have in common from their start on."""
    for length, (word, other) in enumerate(zip(ours, theirs, strict=False)):
        if word != other:
            return length
    return min(len(ours), len(theirs))

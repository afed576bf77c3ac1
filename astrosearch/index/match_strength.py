"""Match strength: how much of what a question says the papers of an index hold.

A question that the papers have nothing to do with gets hits all the same, and their scores, which
are scaled to the best hit, do not show it. Its words do: no paper holds many of them together. This
number needs no encoder, so that one threshold holds for all modes. The threshold is calibrated on
random questions: pieces of the titles of the index, each asked without the paper it is from.
"""

import re
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from astrosearch.text.analysis import STOP_WORDS, analyze

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astrosearch.corpus.store import Corpus
    from astrosearch.index.lexical_index import LexicalIndex

BEST = 3
"""Papers over whose shares the strength is the mean."""

FEW_PAPERS = 20
"""Papers up to which an acronym or a designation is left out. Many titles have a new one; the other
words tell what they are about."""

QUESTIONS = 600
"""Random questions. (Less than 1 ms each with 56,307 papers.)"""

LENGTHS = (2, 10)
"""Words of a random question, function words aside, at least and at most."""

DEVIATIONS = 2.33
"""Standard deviations by which the threshold is below the mean of random questions. Among tens of
thousands of papers their strengths are nearly normal, so that 1 % are below it: a percentile of so
few questions varies three times as much."""

MOST_WEAK = 0.02
"""Share of random questions that are below the threshold at most, however they are distributed."""

SHORT = 3
"""Words up to which questions have the same threshold: two words are often a pair of which no other
paper speaks."""

_JOINT = re.compile(r"[\s/‐-―-]+")
_EDGES = ".,;:!?()[]{}\"'“”‘’`$"


def match_strength(
    lexical: "LexicalIndex",
    question: str,
    without: int | None = None,
    among: "NDArray[np.int64] | None" = None,
) -> float | None:
    """The share of a question's words that the best papers hold, each word weighted by how rare it
    is, times the square root of their number: the more words, the less of them any paper holds. On
    a scale from 0 to that root.

    Args:
        without: a row that does not count.
        among: (m,) the only rows that count, so that the strength is the same or lower; None for
            all.

    Returns:
        None for a question of less than two words, function words and numbers aside.
    """
    terms = {term for term in analyze(question).terms if term not in STOP_WORDS}
    frequencies = {term: lexical.document_frequency(term) for term in terms if _is_word(term)}
    names = _names(question)
    telling = {
        term: papers
        for term, papers in frequencies.items()
        if papers > FEW_PAPERS or term not in names
    }
    if len(telling) < 2:
        return None
    shares = lexical.best_shares(telling, BEST, without, among)
    return sqrt(max(len(telling), SHORT)) * float(shares.sum()) / BEST


def weak_match_threshold(lexical: "LexicalIndex", corpus: "Corpus") -> float:
    """The match strength below which an answer is weak. The same for the same papers.

    Args:
        corpus: the papers of `lexical`.
    """
    generator = np.random.default_rng(0)
    rows = generator.integers(len(corpus), size=QUESTIONS).tolist()
    strengths = [
        strength
        for row, paper in zip(rows, corpus.stream(rows), strict=True)
        if (strength := match_strength(lexical, _piece(paper.title, generator), row)) is not None
    ]
    if not strengths:
        return 0.0
    normal = float(np.mean(strengths) - DEVIATIONS * np.std(strengths))
    least = min(normal, float(np.quantile(strengths, MOST_WEAK)))
    # The engine adds in float32: equal strengths differ in the seventh digit.
    return round(max(0.0, least - 0.001), 3)


def _piece(title: str, generator: "np.random.Generator") -> str:
    """Neighbouring words of a title, as many as `LENGTHS` has it, or the whole of a shorter one."""
    words = title.split()
    telling = [
        place for place, word in enumerate(words) if word.strip(_EDGES).lower() not in STOP_WORDS
    ]
    count = int(generator.integers(LENGTHS[0], LENGTHS[1] + 1))
    if len(telling) <= count:
        return title
    first = int(generator.integers(len(telling) - count + 1))
    return " ".join(words[telling[first] : telling[first + count - 1] + 1])


def _is_word(term: str) -> bool:
    return any(map(str.isalpha, term))


def _names(text: str) -> set[str]:
    """The terms of what looks like an acronym or a designation: `pyROX`, `A64FX`; none where all is
    in capitals."""
    if text == text.upper():
        return set()
    return {
        term
        for word in _JOINT.split(text)
        if any(map(str.isupper, word[1:])) or any(map(str.isdigit, word))
        for term in analyze(word).terms
    }

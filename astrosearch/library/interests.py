"""A small model of what somebody works on, learnt from a library in milliseconds.

A library has several interests, so one mean vector tells little. Three parts are added, each as so
many standard deviations above random papers of the corpus:

- vectors: the soft maximum of the cosines with the papers of the library, log Σ exp(8 cosine) / 8,
  in which the nearest ones count most, but not alone;
- words: the same of TF-IDF cosines, for what two texts say literally;
- a direction: Fisher's linear discriminant between the library and the corpus, for what the library
  has that other papers lack.

Papers that are disliked are taken off each part. How it was chosen and what it gains is in
tests/benchmarks/README.md.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors
from astrosearch.papers import Paper
from astrosearch.text.analysis import STOP_WORDS, analyze

SHARPNESS = 8.0
"""Of the soft maximum; more is nearer to the nearest paper alone, less to the mean."""

SHRINKAGE = 5.0
"""What is added to the covariance of random papers, in units of its mean variance."""

LIKED = 2.0
"""What a liked paper counts; any other of the library counts 1."""

DISLIKED = 0.5
"""What likeness to disliked papers takes off, in relation to what likeness to others gives."""

TOGETHER = 0.1
"""Cosine by which the second paper that a reason names may be farther than the first."""

SCALED_BY = 300
"""Random papers whose scores are the scale; the discriminant uses all that are given."""

Scores = NDArray[np.float64]
Terms = Counter[str]


def terms_of(paper: Paper) -> Terms:
    """The words of a title and an abstract, without function words."""
    words, compounds = analyze(paper.text)
    return Counter(term for term in (*words, *compounds) if term not in STOP_WORDS)


@dataclass(frozen=True)
class Texts:
    """(n,) papers as they are compared."""

    vectors: Vectors
    """(n, dimension) float32 unit rows."""
    terms: Sequence[Terms]
    """n of them."""

    def __len__(self) -> int:
        return len(self.vectors)


class Interests:
    """What somebody works on."""

    def __init__(
        self,
        library: Texts,
        weights: Scores,
        background: Texts,
        rarity: Callable[[str], float],
        disliked: Texts | None = None,
    ) -> None:
        """
        Args:
            library: the papers, at least one.
            weights: (n,) what each counts.
            background: random papers of the corpus; the first `SCALED_BY` need terms.
            rarity: the weight of a term (IDF).
            disliked: papers of which fewer are wanted.
        """
        self._library = library.vectors
        self._weights = weights / weights.sum()
        self._words = _Words(library.terms, rarity)
        self._disliked = disliked if disliked is not None and len(disliked) else None
        self._disliked_words = _Words(self._disliked.terms, rarity) if self._disliked else None
        self._direction = self._discriminant(background.vectors)
        scale = Texts(background.vectors[:SCALED_BY], background.terms[:SCALED_BY])
        parts = self._parts(scale)
        self._mean, self._deviation = parts.mean(axis=1), parts.std(axis=1) + 1e-9
        self._near = float(np.quantile((scale.vectors @ self._library.T).max(axis=1), 0.99))
        self._own = float(np.quantile(self._scores_of_own(library), 0.95))

    def scores(self, papers: Texts) -> Scores:
        """(n,) how well papers fit: 0 for what random ones have on average, more for better."""
        return self._scaled(self._parts(papers))

    def match(self, scores: Scores) -> NDArray[np.int64]:
        """(n,) scores as whole numbers from 0, a random paper, to 100, as near as the nearest
        twentieth of the library's papers is to the others of it."""
        unit = self._own if self._own > 0 else 1.0
        matches: NDArray[np.int64] = np.clip(100 * scores / unit, 0, 100).round().astype(np.int64)
        return matches

    def nearest(self, papers: Texts, count: int = 2) -> list[tuple[list[int], bool]]:
        """For each paper, the places in the library of the nearest, with up to `count` that are
        nearly as near; and whether it is near: nearer than all but one in a hundred random papers
        are to any."""
        nearest = []
        for row in papers.vectors @ self._library.T:
            order = np.argsort(-row)[:count]
            best = float(row[order[0]])
            places = [int(place) for place in order if row[place] >= best - TOGETHER]
            nearest.append((places, best >= self._near))
        return nearest

    def _scaled(self, parts: Scores) -> Scores:
        scores: Scores = ((parts - self._mean[:, None]) / self._deviation[:, None]).mean(axis=0)
        return scores

    def _parts(self, papers: Texts) -> Scores:
        """(3, n) the parts of the scores."""
        vectors = soft_maximum(papers.vectors @ self._library.T, self._weights)
        words = soft_maximum(self._words.cosines(papers.terms), self._weights)
        if self._disliked is not None and self._disliked_words is not None:
            even = np.full(len(self._disliked), 1 / len(self._disliked))
            vectors -= DISLIKED * soft_maximum(papers.vectors @ self._disliked.vectors.T, even)
            words -= DISLIKED * soft_maximum(self._disliked_words.cosines(papers.terms), even)
        return np.stack([vectors, words, papers.vectors @ self._direction])

    def _scores_of_own(self, library: Texts) -> Scores:
        """(n,) scores of the papers of the library, each without its likeness to itself."""
        cosines = library.vectors @ library.vectors.T
        words = self._words.cosines(library.terms)
        if len(library) > 1:
            np.fill_diagonal(cosines, -np.inf)
            np.fill_diagonal(words, -np.inf)
        parts = [
            soft_maximum(cosines, self._weights),
            soft_maximum(words, self._weights),
            library.vectors @ self._direction,
        ]
        return self._scaled(np.stack(parts))

    def _discriminant(self, background: Vectors) -> NDArray[np.float64]:
        """(dimension,) the direction in which the library differs most from random papers, by the
        covariance of these (Fisher 1936), less what disliked papers have of it."""
        random = background.astype(np.float64)
        centre = random.mean(axis=0)
        covariance = np.cov(random.T)
        shrinkage = SHRINKAGE * np.trace(covariance) / len(covariance)
        difference = self._weights @ self._library - centre
        if self._disliked is not None:
            difference = difference - DISLIKED * (self._disliked.vectors.mean(axis=0) - centre)
        direction: NDArray[np.float64] = np.linalg.solve(
            covariance + shrinkage * np.eye(len(covariance)), difference
        )
        return direction


def soft_maximum(likeness: NDArray[np.floating], weights: Scores) -> Scores:
    """(n,) of each row of (n, m) numbers up to 1: log Σ weight exp(8 x) / 8, which lies between
    their mean and their maximum.

    Args:
        weights: (m,), their sum is 1.
    """
    scores: Scores = np.log(np.exp(SHARPNESS * likeness.astype(np.float64)) @ weights + 1e-300)
    return scores / SHARPNESS


class _Words:
    """The papers of a library by their words, for cosines of TF-IDF vectors."""

    def __init__(self, terms: Sequence[Terms], rarity: Callable[[str], float]) -> None:
        self._rarity = rarity
        self._size = len(terms)
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, counts in enumerate(terms):
            for term, weight in self._unit(counts).items():
                postings[term].append((place, weight))
        self._postings = {
            term: (
                np.array([place for place, _ in having], dtype=np.int64),
                np.array([weight for _, weight in having]),
            )
            for term, having in postings.items()
        }

    def cosines(self, papers: Sequence[Terms]) -> Scores:
        """(n, m) cosines of papers with those of the library."""
        cosines = np.zeros((len(papers), self._size))
        for row, counts in zip(cosines, papers, strict=True):
            square = 0.0
            for term, count in counts.items():
                weight = log1p(count) * self._rarity(term)
                square += weight * weight
                if posting := self._postings.get(term):
                    places, weights = posting
                    row[places] += weight * weights
            row /= sqrt(square) or 1.0
        return cosines

    def _unit(self, counts: Terms) -> Mapping[str, float]:
        weights = {term: log1p(count) * self._rarity(term) for term, count in counts.items()}
        length = sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {term: weight / length for term, weight in weights.items()}


def inverse_document_frequency(papers: int, having: int) -> float:
    """The weight of a term that `having` of `papers` have (Robertson and Zaragoza 2009)."""
    return log(1 + (papers - having + 0.5) / (having + 0.5))

"""Fit the whitening that makes a language model's early layers usable for retrieval.

Nothing is trained: the mean and the principal axes of the vectors of training papers (abstracts
and titles, since a query looks more like a title) are taken out of every vector. It is judged on
held-out papers: each title must find its own abstract among all the held-out abstracts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper

POWER = 0.7
"""Between PCA (0) and full whitening (1); the best of .7 and 1 on training papers' titles."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well titles find their abstracts, with 95 % bootstrap intervals over papers."""

    papers: int
    recall_at_1: tuple[float, float, float]
    """Value, lower and upper end."""
    recall_at_10: tuple[float, float, float]
    reciprocal_rank: tuple[float, float, float]


def split_papers(
    corpus: list[Path], training: int, held_out: int
) -> tuple[list[Paper], list[Paper]]:
    """The first `training` papers that are not held out, and the first `held_out` that are."""
    trained: list[Paper] = []
    held: list[Paper] = []
    for paper in _papers(corpus):
        wanted, limit = (held, held_out) if is_held_out(paper.id) else (trained, training)
        if len(wanted) < limit:
            wanted.append(paper)
        if len(trained) == training and len(held) == held_out:
            break
    return trained, held


def _papers(corpus: list[Path]) -> Iterator[Paper]:
    seen: set[str] = set()
    for paper, _, _ in read_papers(corpus, Selection(), Intake(), lambda refusal: None):
        if paper.id not in seen:
            seen.add(paper.id)
            yield paper


def fit(encoder: Encoder, papers: list[Paper], dimension: int) -> LinearHead:
    """Fit on the abstracts of all papers and on the titles of every fourth."""
    abstracts = encoder.encode([paper.abstract for paper in papers])
    titles = encoder.encode([paper.title for paper in papers[::4]])
    return LinearHead.fit(np.concatenate([abstracts, titles]), dimension, POWER)


def title_to_abstract(titles: Vectors, abstracts: Vectors, seed: int = 0) -> Retrieval:
    """Known-item retrieval: row i of `titles` must find row i of `abstracts`, both unit rows.

    A tie counts against the right answer.
    """
    ranks = np.concatenate(
        [
            (scores >= scores[np.arange(len(scores)), own][:, None]).sum(axis=1)
            for own in np.array_split(np.arange(len(titles)), max(1, len(titles) // 1000))
            for scores in [titles[own] @ abstracts.T]
        ]
    )
    return Retrieval(
        papers=len(ranks),
        recall_at_1=_interval(ranks <= 1, seed),
        recall_at_10=_interval(ranks <= 10, seed),
        reciprocal_rank=_interval(1 / ranks, seed),
    )


def _interval(values: NDArray[np.generic], seed: int) -> tuple[float, float, float]:
    """Mean with its 95 % percentile bootstrap interval, 1,000 resamples."""
    rng = np.random.default_rng(seed)
    sample = np.asarray(values, dtype=np.float64)
    means = [sample[rng.integers(0, len(sample), len(sample))].mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sample.mean()), float(low), float(high)


def judge(encoder: Encoder, papers: list[Paper], whitening: LinearHead) -> dict[str, Retrieval]:
    """Retrieval on held-out papers, as the encoder gives the vectors, and whitened."""
    titles = encoder.encode([paper.title for paper in papers])
    abstracts = encoder.encode([paper.abstract for paper in papers])
    return {
        "as encoded": title_to_abstract(unit_rows(titles), unit_rows(abstracts)),
        "whitened": title_to_abstract(whitening(titles), whitening(abstracts)),
    }

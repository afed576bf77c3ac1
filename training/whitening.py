"""Fit the whitening that makes a language model's early layers usable for retrieval.

Nothing is trained by gradients. The mean of the vectors of training papers is subtracted, and their
principal axes are scaled. They are vectors of abstracts and of titles, because a query looks more
like a title. The result is judged on held-out papers: each title must find its own abstract among
all the held-out abstracts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper

POWER = 0.7
"""Between PCA (0) and full whitening (1); on training papers' titles .7 was better than 1."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well titles find their abstracts, with 95 % bootstrap intervals over papers."""

    papers: int
    recall_at_1: Estimate
    recall_at_10: Estimate
    reciprocal_rank: Estimate


def split_papers(
    corpus: list[Path], training: int, held_out: int
) -> tuple[list[Paper], list[Paper]]:
    """The first `training` papers that are not held out, and the first `held_out` that are.

    Raises:
        InputError: if the corpus has none of one of the two.
    """
    fitted_on: list[Paper] = []
    judged_on: list[Paper] = []
    for paper in _papers(corpus):
        part, limit = (judged_on, held_out) if is_held_out(paper.id) else (fitted_on, training)
        if len(part) < limit:
            part.append(paper)
        if len(fitted_on) == training and len(judged_on) == held_out:
            break
    if not fitted_on or not judged_on:
        raise InputError(
            f"the corpus has {len(fitted_on)} training and {len(judged_on)} held-out papers; give "
            "a larger one"
        )
    return fitted_on, judged_on


def _papers(corpus: list[Path]) -> Iterator[Paper]:
    seen: set[str] = set()
    for paper, _, _ in read_papers(corpus, Selection(), Intake(), lambda refusal: None):
        if paper.id not in seen:
            seen.add(paper.id)
            yield paper


def fit(encoder: Encoder, papers: list[Paper], dimension: int) -> LinearHead:
    """Fit on the abstracts of all papers and on the titles of every fourth.

    Raises:
        InputError: if the encoder's vectors have fewer dimensions, or there are too few papers for
            so many.
    """
    if dimension > encoder.dimension:
        raise InputError(
            f"vectors of {encoder.dimension:,} dimensions cannot be whitened to {dimension:,}"
        )
    texts = len(papers) + len(papers[::4])
    if texts <= dimension:
        raise InputError(
            f"{len(papers):,} training papers give {texts:,} texts, too few to fit {dimension:,} "
            "dimensions; give more papers or fewer dimensions"
        )
    abstracts = encoder.encode([paper.abstract for paper in papers])
    titles = encoder.encode([paper.title for paper in papers[::4]])
    return LinearHead.fit(np.concatenate([abstracts, titles]), dimension, POWER)


def title_to_abstract(titles: Vectors, abstracts: Vectors, seed: int = 0) -> Retrieval:
    """Known-item retrieval: row i of `titles` must find row i of `abstracts`, both unit rows.

    Ties count against the right answer.
    """
    ranks = np.concatenate(
        [
            (scores >= scores[np.arange(len(scores)), own][:, None]).sum(axis=1)
            for own in np.array_split(np.arange(len(titles)), max(1, len(titles) // 1000))
            for scores in [titles[own] @ abstracts.T]
        ]
    )
    values = np.stack([ranks <= 1, ranks <= 10, 1 / ranks], axis=1)
    means = resampled_means(values, seed)
    estimates = (interval(values[:, i].mean(), means[:, i]) for i in range(3))
    return Retrieval(len(ranks), *estimates)


def judge(encoder: Encoder, papers: list[Paper], whitening: LinearHead) -> dict[str, Retrieval]:
    """Retrieval on held-out papers with the encoder's own vectors and with whitened ones."""
    titles = encoder.encode([paper.title for paper in papers])
    abstracts = encoder.encode([paper.abstract for paper in papers])
    return {
        "as encoded": title_to_abstract(unit_rows(titles), unit_rows(abstracts)),
        "whitened": title_to_abstract(whitening(titles), whitening(abstracts)),
    }

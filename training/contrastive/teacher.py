"""An encoder whose similarities another one learns (distillation, arXiv:1503.02531)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors
from astrosearch.report import Reporter
from training.contrastive.pairs import Pair, PairSampler

KINDS = ("title", "sentence", "span")
"""Kinds of pairs that it labels: a question, long or short, and a paper."""

TEMPERATURE = 0.05
"""Its cosines are divided by it."""

AT_ONCE = 512
"""Abstracts that are encoded before they are written."""


class Teacher:
    """Holds the vectors of the training papers' abstracts and encodes the queries of a batch."""

    def __init__(
        self, encoder: Encoder, sampler: PairSampler, file: Path, reporter: Reporter
    ) -> None:
        """Encode the training papers' abstracts into `file`, or those that it lacks."""
        self._encoder = encoder
        corpus = sampler.corpus
        shape = (len(corpus), encoder.dimension)
        mode = "r+" if file.exists() else "w+"
        self._abstracts: NDArray[np.float16] = np.lib.format.open_memmap(
            file, mode=mode, dtype=np.float16, shape=shape
        )
        todo = sampler.rows[~self._abstracts[sampler.rows].any(axis=1)]
        for start in range(0, len(todo), AT_ONCE):
            reporter.progress("Abstracts read by the teacher", start, len(todo))
            rows = todo[start : start + AT_ONCE]
            texts = [paper.abstract for paper in corpus.papers(rows.tolist())]
            self._abstracts[rows] = encoder.encode(texts)
        self._abstracts.flush()
        reporter.progress("Abstracts read by the teacher", len(todo), len(todo))

    def soft_labels(
        self, pairs: Sequence[Pair], unmasked: Sequence[bool]
    ) -> tuple[list[int], Vectors]:
        """The teacher's cosines for those pairs of a batch that are of its kinds.

        Args:
            unmasked: whether each pair's query is whole; a masked one has no label.

        Returns:
            The pairs' places in the batch, and the (m, m) float32 cosines of their queries with
            their papers' abstracts.
        """
        places = [n for n, pair in enumerate(pairs) if unmasked[n] and pair.kind in KINDS]
        if not places:
            return [], np.zeros((0, 0), dtype=np.float32)
        queries = self._encoder.encode([pairs[n].query for n in places])
        abstracts = self._abstracts[[pairs[n].rows[1] for n in places]].astype(np.float32)
        return places, queries @ abstracts.T


def distillation(scores: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a student's scores with its teacher's, of the same queries and documents.

    The mean of two directions: over the documents of each query and the queries of each document.

    Args:
        scores: (m, m), the student's cosines divided by its temperature.
        cosines: (m, m), the teacher's; they are divided by `TEMPERATURE` here.
    """
    labels = cosines / TEMPERATURE
    losses = [
        -(torch.softmax(teacher, 1) * torch.log_softmax(student, 1)).sum(1).mean()
        for student, teacher in ((scores, labels), (scores.T, labels.T))
    ]
    return torch.stack(losses).mean()

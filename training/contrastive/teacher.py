"""An encoder that another learns from: how near it puts texts (distillation, arXiv:1503.02531)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors
from astrosearch.report import Reporter
from training.contrastive.pairs import Pair, Views

KINDS = ("title", "sentence", "span")
"""Of pairs that it is asked about: a question, long or short, and a paper."""

TEMPERATURE = 0.05
"""Its cosines are divided by it."""

AT_ONCE = 512
"""Abstracts that are encoded before they are kept."""


class Teacher:
    """Knows the abstract of each training paper, and is asked about a batch's queries."""

    def __init__(
        self, encoder: Encoder, corpus: Corpus, views: Views, file: Path, reporter: Reporter
    ) -> None:
        """Encode the training papers' abstracts, into `file`, or go on with those it lacks."""
        self._encoder = encoder
        shape = (len(corpus), encoder.dimension)
        mode = "r+" if file.exists() else "w+"
        self._abstracts: NDArray[np.float16] = np.lib.format.open_memmap(
            file, mode=mode, dtype=np.float16, shape=shape
        )
        todo = views.rows[~self._abstracts[views.rows].any(axis=1)]
        for start in range(0, len(todo), AT_ONCE):
            reporter.progress("abstracts read by the teacher", start, len(todo))
            rows = todo[start : start + AT_ONCE]
            texts = [paper.abstract for paper in corpus.papers(rows.tolist())]
            self._abstracts[rows] = encoder.encode(texts)
        self._abstracts.flush()
        reporter.progress("abstracts read by the teacher", len(todo), len(todo))

    def lesson(self, pairs: Sequence[Pair], fair: Sequence[bool]) -> tuple[list[int], Vectors]:
        """What it says of the pairs of its kinds that are `fair` to ask about.

        Returns:
            Their places in the batch, and the (m, m) float32 cosines of their queries with their
            papers' abstracts.
        """
        asked = [n for n, pair in enumerate(pairs) if fair[n] and pair.kind in KINDS]
        if not asked:
            return [], np.zeros((0, 0), dtype=np.float32)
        queries = self._encoder.encode([pairs[n].query for n in asked])
        found = self._abstracts[[pairs[n].rows[1] for n in asked]].astype(np.float32)
        return asked, queries @ found.T


def distillation(scores: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a student's (m, m) scores with its teacher's cosines of the same queries
    and documents, over the documents of each query and the queries of each document.

    Args:
        scores: the student's cosines divided by its temperature.
        cosines: the teacher's; they are divided by `TEMPERATURE`.
    """
    wanted = cosines / TEMPERATURE
    losses = [
        -(torch.softmax(there, 1) * torch.log_softmax(here, 1)).sum(1).mean()
        for here, there in ((scores, wanted), (scores.T, wanted.T))
    ]
    return torch.stack(losses).mean()

"""Hard negatives: abstracts that a word search mistakes for a paper's own."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.atomic import temporary_folder
from astrosearch.corpus.store import Corpus
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from training.contrastive.pairs import PairSampler

NEGATIVES = 8
"""Most negatives of a paper; some of them are drawn each time a pair of it comes."""

NEARER = 0.95
"""An abstract that scores more than this share of the paper's own score is probably relevant too,
so it is left out (arXiv:2407.15831, "TopK-PercPos")."""


def hard_negatives(corpus: Corpus, sampler: PairSampler, file: Path) -> NDArray[np.int32]:
    """(papers, NEGATIVES) rows of each training paper's negatives, -1 where there are fewer.

    A paper's title is searched for in the training papers' abstracts. The paper itself, papers
    related to it and held-out papers are never negatives.

    Args:
        file: where the rows are kept for a run that goes on.
    """
    if file.exists():
        rows: NDArray[np.int32] = np.load(file)
        return rows
    with temporary_folder(parent=file.parent) as folder:
        writer = LexicalIndexWriter(folder / "words")
        for place, paper in enumerate(corpus.stream(sampler.rows)):
            writer.add(place, "", paper.abstract, ())
        writer.finish()
        negatives = _mined(corpus, sampler, LexicalIndex(folder / "words"))
    work = file.with_suffix(f".{os.getpid()}.npy")
    np.save(work, negatives)
    work.rename(file)
    return negatives


def _mined(corpus: Corpus, sampler: PairSampler, lexical_index: LexicalIndex) -> NDArray[np.int32]:
    negatives = np.full((len(corpus), NEGATIVES), -1, dtype=np.int32)
    for row, paper in zip(sampler.rows.tolist(), corpus.stream(sampler.rows), strict=True):
        scores, places = lexical_index.search(paper.title, 4 * NEGATIVES, fields=("abstract",))
        rows = sampler.rows[places]
        own = scores[rows == row]
        limit = NEARER * float(own[0]) if len(own) else np.inf
        related = sampler.related.get(row, ())
        unrelated = [
            int(other)
            for other, score in zip(rows, scores, strict=True)
            if other != row and score <= limit and other not in related
        ][:NEGATIVES]
        negatives[row, : len(unrelated)] = unrelated
    return negatives

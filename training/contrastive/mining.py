"""Hard negatives: abstracts that a word search takes for a paper's own, and that are not."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.store import Corpus
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from training.contrastive.pairs import Views

KEPT = 8
"""Negatives of a paper; some of them are drawn each time it comes."""

NEARER = 0.95
"""What scores more than this share of the paper's own score is taken for a relevant paper that
nobody has judged, and left out (arXiv:2407.15831, "TopK-PercPos")."""


def hard_negatives(corpus: Corpus, views: Views, file: Path) -> NDArray[np.int32]:
    """(papers, KEPT) rows of each training paper's negatives, -1 where there are fewer.

    A paper's title is looked for in the training papers' abstracts. Never a negative are the paper
    itself, papers related to it, and held-out ones. Kept in `file` for a run that goes on.
    """
    if file.exists():
        kept: NDArray[np.int32] = np.load(file)
        return kept
    with TemporaryDirectory(dir=file.parent) as folder:
        writer = LexicalIndexWriter(Path(folder) / "words")
        for row, paper in zip(views.rows.tolist(), corpus.stream(views.rows), strict=True):
            writer.add(row, "", paper.abstract, ())
        writer.finish()
        found = _mined(corpus, views, LexicalIndex(Path(folder) / "words"))
    work = file.with_suffix(f".{os.getpid()}.npy")
    np.save(work, found)
    work.rename(file)
    return found


def _mined(corpus: Corpus, views: Views, words: LexicalIndex) -> NDArray[np.int32]:
    found = np.full((len(corpus), KEPT), -1, dtype=np.int32)
    for row, paper in zip(views.rows.tolist(), corpus.stream(views.rows), strict=True):
        scores, rows = words.search(paper.title, 4 * KEPT, fields=("abstract",))
        own = scores[rows == row]
        limit = NEARER * float(own[0]) if len(own) else np.inf
        related = views.related.get(row, ())
        fair = [
            int(one)
            for one, score in zip(rows, scores, strict=True)
            if one != row and score <= limit and one not in related
        ][:KEPT]
        found[row, : len(fair)] = fair
    return found

"""Answers: papers in the order in which they fit a question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus import Filters
from astrosearch.encoder import Encoder
from astrosearch.errors import NothingFound
from astrosearch.index import Index
from astrosearch.papers import Paper
from astrosearch.vectors import unit_rows


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of an answer."""

    rank: int
    """1 for the best."""
    score: float
    """Cosine between the query's vector and the paper's, from -1 to 1."""
    paper: Paper


def query(
    index: Index,
    encoder: Encoder,
    texts: Sequence[str],
    k: int = 10,
    filters: Filters | None = None,
) -> list[list[Hit]]:
    """The `k` papers nearest in meaning to each text.

    Raises:
        EncoderMismatch: if `encoder` is not the one the index was built with.
    """
    index.check(encoder)
    allowed = index.corpus.rows_matching(filters or Filters())
    scores, rows = index.search(encoder.encode(texts), k, allowed)
    return [_hits(index, *found) for found in zip(scores, rows, strict=True)]


def similar(
    index: Index, ids: Sequence[str], k: int = 10, filters: Filters | None = None
) -> list[Hit]:
    """The `k` papers nearest to the mean of some papers' vectors, those papers left out.

    Raises:
        NothingFound: if one of the papers is not in the index.
    """
    given = np.unique([index.corpus.row_of(paper_id) for paper_id in ids])
    centre = unit_rows(np.mean([index.vector(row) for row in given], axis=0, keepdims=True))
    allowed = index.corpus.rows_matching(filters or Filters())
    if allowed is None:
        allowed = np.arange(len(index))
    scores, rows = index.search(centre, k, np.setdiff1d(allowed, given))
    return _hits(index, scores[0], rows[0])


def _hits(index: Index, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> list[Hit]:
    papers = index.corpus.papers(rows.tolist())
    return [
        Hit(rank, float(score), paper)
        for rank, (score, paper) in enumerate(zip(scores, papers, strict=True), start=1)
    ]


def nothing_found(index: Index, filters: Filters) -> NothingFound:
    """The error for an empty answer: which filters, out of how many papers."""
    asked = ", ".join(
        f"{name} {value}"
        for name in ("author", "category", "since", "until")
        if (value := getattr(filters, name)) is not None
    )
    if not asked:
        return NothingFound(f"index {index.folder.name} has no other papers than those named")
    first, last = index.corpus.span()
    return NothingFound(
        f"none of the {len(index):,} papers of index {index.folder.name} ({first} to {last}) "
        f"passes the filters ({asked}); loosen one of them"
    )

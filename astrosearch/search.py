"""Answers: papers in the order in which they fit a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus import Filters
from astrosearch.encoder import Encoder
from astrosearch.errors import InputError, NothingFound
from astrosearch.index import Index
from astrosearch.papers import Paper
from astrosearch.question import Question, parse
from astrosearch.vectors import Vectors, unit_rows

Mode = Literal["hybrid", "dense", "lexical"]
"""By meaning and by words, by meaning alone, by words alone."""

Rows = NDArray[np.int64]

DENSE_WEIGHT = 0.5
"""What the cosine counts in hybrid mode; BM25 counts the rest. Chosen on training papers
(`training/README.md`)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of an answer."""

    rank: int
    """1 for the best."""
    score: float
    """What the answer is ordered by. Dense: the cosine. Lexical: BM25, from 0 up, larger for
    longer questions. Hybrid: the mean of both, scaled to at most 1. Scores of two modes, and
    BM25 and hybrid scores of two questions, cannot be compared."""
    paper: Paper
    cosine: float | None = None
    """Between the query's vector and the paper's, from -1 to 1; None in lexical mode."""
    dense_rank: int | None = None
    """Rank by meaning; None if that did not find the paper."""
    lexical_rank: int | None = None
    """Rank by words; None if that did not find the paper."""


class Fused(NamedTuple):
    """Papers that either side found, best first."""

    scores: NDArray[np.float64]
    rows: Rows


def fuse(
    rows: Rows,
    cosines: NDArray[np.floating],
    bm25: NDArray[np.floating],
    background: float,
    *,
    dense_weight: float = DENSE_WEIGHT,
) -> Fused:
    """A weighted mean of cosine and BM25, each scaled so that the question's best paper has 1 and
    chance 0 (a convex combination: Bruch et al. 2023, arXiv:2210.11934). Ties are in the order of
    rows.

    Args:
        rows: (n,), those that either side found.
        cosines: (n,), of all of them.
        bm25: (n,), 0 where the words did not find the paper.
        background: the mean cosine of random pairs.
    """
    sides = [np.zeros(len(rows)), np.zeros(len(rows))]
    for number, (scores, chance) in enumerate(((cosines, background), (bm25, 0.0))):
        if len(rows) and (best := float(scores.max()) - chance) > 0:
            sides[number] = (scores.astype(np.float64) - chance) / best
    fused = dense_weight * sides[0] + (1 - dense_weight) * sides[1]
    order = np.lexsort((rows, -fused))
    return Fused(fused[order], rows[order])


def query(
    index: Index,
    encoder: Encoder | None,
    texts: Sequence[str | Question],
    k: int = 10,
    filters: Filters | None = None,
    mode: Mode = "hybrid",
) -> list[list[Hit]]:
    """The `k` papers that fit each text best.

    Args:
        encoder: may be None in lexical mode.
        texts: a string is read as `question.parse` reads it; `Question(text)` takes it as it is.
        filters: for all of them, besides those in the texts.

    Raises:
        EncoderMismatch: if `encoder` is not the one the index was built with.
        InputError: if a filter in a text says nothing.
    """
    questions = [parse(text) if isinstance(text, str) else text for text in texts]
    vectors: list[Vectors | None] = [None] * len(questions)
    if mode != "lexical":
        if encoder is None:
            raise InputError(f"mode {mode} compares vectors: it needs an encoder")
        index.check(encoder)
        vectors = list(encoder.encode([question.text for question in questions]))
    everywhere = index.corpus.rows_matching(filters or Filters())
    return [
        _answer(index, question, vector, k, _allowed(index, question, everywhere), mode)
        for question, vector in zip(questions, vectors, strict=True)
    ]


def _answer(
    index: Index,
    question: Question,
    vector: Vectors | None,
    k: int,
    allowed: Rows | None,
    mode: Mode,
) -> list[Hit]:
    count = max(100, 5 * k) if mode == "hybrid" else k
    cosines: dict[int, float] = {}
    bm25: dict[int, float] = {}
    if vector is not None:
        [scores], [rows] = index.search(vector[None], count, allowed)
        order = np.lexsort((rows, -scores))
        cosines = dict(zip(rows[order].tolist(), scores[order].tolist(), strict=True))
    if mode != "dense":
        scores, rows = index.words.search(question.text, count, allowed)
        bm25 = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    dense_ranks, lexical_ranks = (
        {row: i for i, row in enumerate(side, 1)} for side in (cosines, bm25)
    )
    if vector is not None:
        others = np.array([row for row in bm25 if row not in cosines], dtype=np.int64)
        known = unit_rows(index.vectors[others]) @ vector
        cosines |= zip(others.tolist(), known.tolist(), strict=True)
    if mode == "hybrid":
        fused = fuse(
            np.array(list(cosines), dtype=np.int64),
            np.array(list(cosines.values())),
            np.array([bm25.get(row, 0.0) for row in cosines]),
            index.manifest.background["mean"] or 0.0,
        )
        found = dict(zip(fused.rows[:k].tolist(), fused.scores[:k].tolist(), strict=True))
    else:
        found = cosines or bm25
    return [
        Hit(
            rank,
            score,
            paper,
            cosine=cosines.get(row),
            dense_rank=dense_ranks.get(row),
            lexical_rank=lexical_ranks.get(row),
        )
        for rank, ((row, score), paper) in enumerate(
            zip(found.items(), index.corpus.papers(list(found)), strict=True), start=1
        )
    ]


def _allowed(index: Index, question: Question, allowed: Rows | None) -> Rows | None:
    """Of the allowed rows, those which meet the question's filters and conditions."""
    met = [index.corpus.rows_matching(filters) for filters in question.filters]
    met += [index.words.rows_with(one.words, one.fields) for one in question.conditions]
    for rows in met:
        if rows is not None:
            allowed = rows if allowed is None else np.intersect1d(allowed, rows)
    return allowed


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
    [scores], [rows] = index.search(centre, k + len(given), allowed)
    others = np.flatnonzero(np.isin(rows, given, invert=True))[:k]
    return _hits(index, scores[others], rows[others])


def _hits(index: Index, cosines: NDArray[np.float32], rows: Rows) -> list[Hit]:
    papers = index.corpus.papers(rows.tolist())
    return [
        Hit(rank, float(cosine), paper, float(cosine), dense_rank=rank)
        for rank, (cosine, paper) in enumerate(zip(cosines, papers, strict=True), start=1)
    ]


def _any_passes(index: Index, question: Question, filters: Filters) -> bool:
    allowed = _allowed(index, question, index.corpus.rows_matching(filters))
    return allowed is None or len(allowed) > 0


def nothing_found(index: Index, filters: Filters, question: Question | None = None) -> NothingFound:
    """The error for an empty answer: which condition, filters or words, of how many papers."""
    where = f"none of the {len(index):,} papers of index {index.folder.name}"
    for condition in question.conditions if question else ():
        if not len(index.words.rows_with(condition.words, condition.fields)):
            return NothingFound(f"{where} has {condition}")
    given = (filters, *(question.filters if question else ()))
    asked = ", ".join(
        f"{name} {value}"
        for one in given
        for name in ("author", "category", "since", "until")
        if (value := getattr(one, name)) is not None
    )
    conditions = " and ".join(map(str, question.conditions)) if question else ""
    if asked:
        first, last = index.corpus.span()
        passing = f"{where} ({first} to {last}) passes the filters ({asked})"
        if conditions:
            passing += f" and has {conditions}"
        elif question and _any_passes(index, question, filters):
            passing += f" and has a word of {question.text!r}"
        return NothingFound(f"{passing}; loosen one of them")
    if conditions:
        return NothingFound(f"{where} has {conditions} together")
    if question:
        return NothingFound(f"{where} has a word of {question.text!r}")
    return NothingFound(f"index {index.folder.name} has no other papers than those named")

"""Answers: papers in the order in which they fit a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.store import Filters
from astrosearch.encoders.base import Encoder, LateInteraction
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.search.query_parser import ParsedQuery, parse

Mode = Literal["hybrid", "dense", "lexical"]
"""By meaning and by words, by meaning alone, by words alone."""

Rows = NDArray[np.int64]

DENSE_WEIGHT = 0.5
"""What the cosine counts in hybrid mode; BM25 counts the rest. Chosen on training papers
(`training/README.md`)."""


COMPARED = 16
"""Papers, the best by then, which are compared with the question token by token: of a question of a
few words 40 would find a little more, for which they take too long (`training/README.md`)."""

LATE_WEIGHT = 0.7
"""What that counts among them. Chosen on training papers (`training/README.md`)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of an answer."""

    rank: int
    """1 for the best."""
    score: float
    """What the answer is ordered by. Lexical: BM25, from 0 up, larger for longer questions. Hybrid:
    the mean of it and the cosine, scaled to at most 1. Dense: the cosine, or, of an encoder that
    compares texts token by token, with that and scaled as in hybrid mode. Scores of two modes, and
    those of two questions, but for a mere cosine, cannot be compared."""
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
        if len(rows):
            best = float(scores.max())
            # Where nothing is nearer than chance, the order is left and counts for little.
            zero, unit = (chance, best - chance) if best > chance else (best, 1.0)
            sides[number] = (scores.astype(np.float64) - zero) / unit
    fused = dense_weight * sides[0] + (1 - dense_weight) * sides[1]
    order = np.lexsort((rows, -fused))
    return Fused(fused[order], rows[order])


def rerank(fused: Fused, likeness: NDArray[np.floating]) -> Fused:
    """The first papers in the order of a weighted mean of their scores and of how like the query
    they are token by token, scaled so that the likest has 1. The others, of which that is not
    known, have 0 there, and stay behind them in their order.

    Args:
        likeness: (n,), of the first n papers.
    """
    late = np.zeros(len(fused.rows))
    if len(likeness) and (best := float(likeness.max())) > 0:
        late[: len(likeness)] = np.maximum(likeness.astype(np.float64), 0) / best
    scores = (1 - LATE_WEIGHT) * fused.scores + LATE_WEIGHT * late
    order = np.lexsort((fused.rows, -scores))
    return Fused(scores[order], fused.rows[order])


def query(
    index: Index,
    encoder: Encoder | None,
    texts: Sequence[str | ParsedQuery],
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
    late = encoder if mode != "lexical" and isinstance(encoder, LateInteraction) else None
    everywhere = index.corpus.rows_matching(filters or Filters())
    return [
        _answer(index, question, vector, late, k, _allowed(index, question, everywhere), mode)
        for question, vector in zip(questions, vectors, strict=True)
    ]


def _answer(
    index: Index,
    question: ParsedQuery,
    vector: Vectors | None,
    late: LateInteraction | None,
    k: int,
    allowed: Rows | None,
    mode: Mode,
) -> list[Hit]:
    count = max(100, 5 * k) if mode == "hybrid" else _deep(k, late)
    cosines: dict[int, float] = {}
    bm25: dict[int, float] = {}
    if vector is not None:
        [scores], [rows] = index.search(vector[None], count, allowed)
        order = np.lexsort((rows, -scores))
        cosines = dict(zip(rows[order].tolist(), scores[order].tolist(), strict=True))
    if mode != "dense":
        scores, rows = index.lexical.search(question.text, count, allowed)
        bm25 = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    dense_ranks, lexical_ranks = (
        {row: i for i, row in enumerate(side, 1)} for side in (cosines, bm25)
    )
    if vector is not None:
        others = np.array([row for row in bm25 if row not in cosines], dtype=np.int64)
        known = unit_rows(index.vectors[others]) @ vector
        cosines |= zip(others.tolist(), known.tolist(), strict=True)
    found = cosines or bm25
    papers: dict[int, Paper] = {}
    if mode == "hybrid" or late:
        fused = fuse(
            np.array(list(cosines), dtype=np.int64),
            np.array(list(cosines.values())),
            np.array([bm25.get(row, 0.0) for row in cosines]),
            index.manifest.background.mean or 0.0,
            dense_weight=1.0 if mode == "dense" else DENSE_WEIGHT,
        )
        if late:
            fused, papers = _compared(index, late, [question.text], fused)
        found = dict(zip(fused.rows.tolist(), fused.scores.tolist(), strict=True))
    best = list(found)[:k]
    papers |= _read(index, [row for row in best if row not in papers])
    return [
        Hit(
            rank,
            found[row],
            papers[row],
            cosine=cosines.get(row),
            dense_rank=dense_ranks.get(row),
            lexical_rank=lexical_ranks.get(row),
        )
        for rank, row in enumerate(best, start=1)
    ]


def _deep(k: int, late: LateInteraction | None) -> int:
    """How many of the nearest papers are needed for `k` answers."""
    return max(k, COMPARED) if late else k


def _read(index: Index, rows: Sequence[int]) -> dict[int, Paper]:
    return dict(zip(rows, index.corpus.papers(rows), strict=True))


def _compared(
    index: Index, late: LateInteraction, texts: Sequence[str], fused: Fused
) -> tuple[Fused, dict[int, Paper]]:
    """An answer in the order that its first papers' tokens give it, and these papers.

    Args:
        texts: what asks; the likeness to several is the mean.
    """
    first = fused.rows[:COMPARED].tolist()
    if not first:
        return fused, {}
    papers = _read(index, first)
    spec = index.manifest.encoder
    bags = late.weighted_tokens([*texts, *(spec.text_of(paper) for paper in papers.values())])
    asked, documents = bags[: len(texts)], bags[len(texts) :]
    likeness = np.mean([late.late_interaction_scores(one, documents) for one in asked], axis=0)
    return rerank(fused, likeness), papers


def _allowed(index: Index, question: ParsedQuery, allowed: Rows | None) -> Rows | None:
    """Of the allowed rows, those which meet the question's filters and conditions."""
    met = [index.corpus.rows_matching(filters) for filters in question.filters]
    met += [
        index.lexical.rows_matching_phrase(one.words, one.fields) for one in question.conditions
    ]
    for rows in met:
        if rows is not None:
            allowed = rows if allowed is None else np.intersect1d(allowed, rows)
    return allowed


def similar(
    index: Index,
    ids: Sequence[str],
    k: int = 10,
    filters: Filters | None = None,
    late: LateInteraction | None = None,
) -> list[Hit]:
    """The `k` papers nearest to the mean of some papers' vectors, those papers left out.

    Args:
        late: the index's encoder, if the nearest are to be compared token by token.

    Raises:
        NothingFound: if one of the papers is not in the index.
    """
    given = np.unique([index.corpus.row_of(paper_id) for paper_id in ids])
    centre = unit_rows(np.mean([index.vector(row) for row in given], axis=0, keepdims=True))
    allowed = index.corpus.rows_matching(filters or Filters())
    count = _deep(k, late)
    [scores], [rows] = index.search(centre, count + len(given), allowed)
    others = np.flatnonzero(np.isin(rows, given, invert=True))[:count]
    found = Fused(scores[others].astype(np.float64), rows[others])
    cosines = dict(zip(found.rows.tolist(), found.scores.tolist(), strict=True))
    ranks = {row: rank for rank, row in enumerate(cosines, start=1)}
    papers: dict[int, Paper] = {}
    if late:
        texts = [index.manifest.encoder.text_of(one) for one in index.corpus.papers(given.tolist())]
        background = index.manifest.background.mean or 0.0
        none = np.zeros(len(others))
        fused = fuse(found.rows, found.scores, none, background, dense_weight=1.0)
        found, papers = _compared(index, late, texts, fused)
    best = found.rows[:k].tolist()
    papers |= _read(index, [row for row in best if row not in papers])
    return [
        Hit(rank, score, papers[row], cosines[row], dense_rank=ranks[row])
        for rank, (row, score) in enumerate(zip(best, found.scores.tolist(), strict=False), start=1)
    ]


def _any_passes(index: Index, question: ParsedQuery, filters: Filters) -> bool:
    allowed = _allowed(index, question, index.corpus.rows_matching(filters))
    return allowed is None or len(allowed) > 0


def nothing_found(
    index: Index, filters: Filters, question: ParsedQuery | None = None
) -> NothingFound:
    """The error for an empty answer: which condition, filters or words, of how many papers."""
    where = f"none of the {len(index):,} papers of index {index.folder.name}"
    for condition in question.conditions if question else ():
        if not len(index.lexical.rows_matching_phrase(condition.words, condition.fields)):
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

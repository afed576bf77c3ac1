"""The ranker: puts candidates in order by their signals.

The first pass is a weighted mean of the signals that all candidates have. The second compares the
best of them with the query token by token, which takes about a millisecond a paper, and adds that
to the mean.
"""

from dataclasses import dataclass

import numpy as np

from astrosearch.search.candidates import Candidates
from astrosearch.search.signals import (
    Column,
    EncodedQuery,
    Papers,
    Signal,
    SignalTable,
    token_match,
)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the signals, chosen on training papers (`training/EXPERIMENTS.md`)."""

    cosine: float = 0.5
    """Weight of the cosine in the first pass; BM25 has the rest of 1 where both are known."""
    token_match: float = 0.7
    """Weight of the token match in the second pass; the first pass's score has the rest of 1."""
    author_match: float = 0.6
    """Weight of the author match where the query names an author; the score of all other signals
    has the rest of 1. It is high enough that an author named for certain comes first."""
    rerank_depth: int = 16
    """How many of the first pass's best papers go through the second. For queries of a few words
    40 would give slightly better hits, but take too long."""


WEIGHTS = Weights()


@dataclass(frozen=True)
class Ranking:
    """Candidates in order, best first."""

    scores: Column
    """(n,) descending."""
    match: Column
    """(n,) the scores on a scale from 0, chance, to 1, the best possible score for the query."""
    candidates: Candidates


def rank(
    papers: Papers, query: EncodedQuery, candidates: Candidates, weights: Weights = WEIGHTS
) -> Ranking:
    """Order candidates by all signals that they have. Ties are in the order of rows."""
    signals = candidates.signals
    compared = query.encoder is not None and bool(query.tokens)
    if not compared and not {"cosine", "bm25"} <= signals.columns.keys():
        return _rank_by_one(papers, candidates)
    scores = first_pass(signals, papers.background, weights)
    order = np.lexsort((signals.rows, -with_authors(scores, signals, weights)))
    candidates, scores = candidates.take(order), scores[order]
    if compared and len(order):
        head = candidates.signals.rows[: weights.rerank_depth]
        column = np.full(len(order), np.nan)
        column[: len(head)] = token_match(query, papers, head)
        candidates.signals.columns["token_match"] = column
        scores = second_pass(scores, column, weights)
    scores = with_authors(scores, candidates.signals, weights)
    order = np.lexsort((candidates.signals.rows, -scores))
    candidates, scores = candidates.take(order), scores[order]
    return Ranking(scores, np.clip(scores, 0, 1), candidates)


def _rank_by_one(papers: Papers, candidates: Candidates) -> Ranking:
    """The ranking by a single signal, which is the score."""
    [(name, scores)] = candidates.signals.columns.items()
    order = np.lexsort((candidates.signals.rows, -scores))
    scores = scores[order]
    if name == "cosine":
        match = scaled(scores, papers.background, 1.0)
    else:
        match = scaled(scores, 0.0, float(scores.max(initial=0.0)))
    return Ranking(scores, np.clip(match, 0, 1), candidates.take(order))


def first_pass(signals: SignalTable, background: float, weights: Weights = WEIGHTS) -> Column:
    """(n,) weighted mean of cosine and BM25, each scaled so that the query's best paper has 1 and
    chance 0 (a convex combination: Bruch et al. 2023, arXiv:2210.11934). If only one of the two
    is known, it has all the weight.

    Args:
        background: the mean cosine of random pairs of papers.
    """
    parts: dict[Signal, tuple[float, float]] = {
        "cosine": (weights.cosine, background),
        "bm25": (1 - weights.cosine, 0.0),
    }
    scores, total = np.zeros(len(signals.rows)), 0.0
    for name, (weight, chance) in parts.items():
        if name in signals.columns:
            column = signals.columns[name]
            scores += weight * scaled(column, chance, float(column.max(initial=-np.inf)))
            total += weight
    return scores / total


def second_pass(scores: Column, likeness: Column, weights: Weights = WEIGHTS) -> Column:
    """(n,) weighted mean of first-pass scores and late-interaction scores, the latter scaled so
    that the best paper has 1.

    Args:
        likeness: (n,) late-interaction scores; NaN where tokens were not compared. Such a paper
            gets 0, and so stays behind those that were compared.
    """
    late = np.nan_to_num(np.maximum(likeness, 0.0), nan=0.0)
    best = float(late.max(initial=0.0))
    if best > 0:
        late = late / best
    return (1 - weights.token_match) * scores + weights.token_match * late


def with_authors(scores: Column, signals: SignalTable, weights: Weights = WEIGHTS) -> Column:
    """(n,) weighted mean of scores and `author_match`; the scores as they are without it."""
    if "author_match" not in signals.columns:
        return scores
    share = weights.author_match
    return (1 - share) * scores + share * signals.columns["author_match"]


def scaled(values: Column, chance: float, best: float) -> Column:
    """(n,) values mapped linearly so that `chance` becomes 0 and `best` becomes 1. If `best` is not
    above `chance`, the best value becomes 0 and the others stay at their distance below it."""
    zero, unit = (chance, best - chance) if best > chance else (best, 1.0)
    if not len(values):
        return np.zeros(0)
    return (values.astype(np.float64) - zero) / unit

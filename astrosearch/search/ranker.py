"""The ranker: puts candidates in order by their signals.

Two ways. `mean` is a weighted mean of cosine and BM25, for any encoder. `learnt` is a small
function of all signals, whose weights `train rank` fits; it needs an encoder that compares tokens,
and looks at the best candidates of the mean. A single signal (words alone, or vectors of an encoder
that compares no tokens) is its own order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.search.candidates import Candidates, depths
from astrosearch.search.paper_index import Column, EncodedQuery, PaperIndex
from astrosearch.search.signals import (
    GROUPS,
    SignalTable,
    neighbourhood,
    paper_signals,
    token_signals,
    word_signals,
)

Task = Literal["query", "dense", "related", "cite", "answers"]
"""What is asked: a text by vectors and words, a text by vectors alone, papers like others, what a
paper should cite, which sentences answer (`search.quoting`)."""

Ranker = Literal["learnt", "mean"]


def task_of(query: EncodedQuery) -> Task:
    """As what the answers to a query are ranked, if it does not ask what to cite."""
    if query.papers:
        return "related"
    return "query" if query.words is not None else "dense"


COSINE = 0.5
"""Weight of the cosine in the mean; BM25 has the rest of 1 where both are known."""

AUTHOR_MATCH = 0.6
"""Weight of the author match where the query names an author; the score of all other signals has
the rest of 1. It is high enough that an author named for certain comes first."""

LOOKED_AT = 100
"""How many papers the learnt order looks at; the others follow."""

LOOK_COSINE = 0.7
"""Weight of the cosine in the mean that chooses them, beside what was found by words."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A signal as the learnt function reads it."""

    signal: str
    is_share: bool
    """Whether it is taken as a share of the query's best."""
    mean: float
    deviation: float
    """Mean and standard deviation over the candidates that the weights were fitted on."""
    weight: float
    """What one standard deviation adds to the score."""
    hidden: tuple[float, ...] = ()
    """What it adds to the argument of each hidden unit."""

    def values(self, signals: SignalTable) -> Column:
        """(n,) in standard deviations; the mean where the signal is not known."""
        column = signals.columns.get(self.signal)
        if column is None:
            return np.zeros(len(signals.ids))
        if self.is_share:
            best = float(column.max(initial=0.0))
            column = column / best if best > 0 else np.zeros(len(column))
        return (column - self.mean) / self.deviation


@dataclass(frozen=True)
class Weights:
    """A learnt function: a linear one of its features, and a few hidden units beside it. These let
    a title that a paper has word by word be ranked otherwise than a need in other words."""

    features: tuple[Feature, ...]
    biases: tuple[float, ...]
    outputs: tuple[float, ...]
    """Of each hidden unit, what is added to its argument, and what its hyperbolic tangent adds to
    the score; both are empty for a linear function."""
    chance: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """The chance that a paper is relevant is the logistic function of these times: its score, the
    query's best score, 1, the query's best `exact`, and that times the two scores. A query whose
    words a paper has all is judged otherwise than one in other words."""

    def scores(self, signals: SignalTable) -> Column:
        """(n,) any real numbers, the larger the better."""
        return self.scores_of(self.values(signals))

    def values(self, signals: SignalTable) -> NDArray[np.float64]:
        """(n, features), what the function reads of each paper."""
        return np.stack([feature.values(signals) for feature in self.features], axis=1)

    def scores_of(self, values: NDArray[np.float64]) -> Column:
        """(n,) as `scores`, of what `values` gives."""
        linear, hidden, biases, outputs = self._arrays
        scores = values @ linear
        if self.outputs:
            scores = scores + np.tanh(values @ hidden + biases) @ outputs
        return np.asarray(scores, dtype=np.float64)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float64], ...]:
        """Of all features the weights and the hidden weights; the biases and the outputs."""
        linear = [feature.weight for feature in self.features]
        hidden = [feature.hidden for feature in self.features]
        return np.array(linear), np.array(hidden), np.array(self.biases), np.array(self.outputs)

    def chances(self, scores: Column, signals: SignalTable) -> Column:
        """(n,) from 0 to 1."""
        if not len(scores):
            return scores
        terms = chance_terms(scores, signals) @ np.array(self.chance)
        return np.asarray(1 / (1 + np.exp(-terms)), dtype=np.float64)

    def given(self, values: NDArray[np.float64]) -> dict[str, Column]:
        """(n,) what each group of signals adds to the score: by how much it would be lower if the
        group were that of an average candidate.

        Args:
            values: as `values` gives them.
        """
        scores = self.scores_of(values)
        given = {}
        for group, names in GROUPS.items():
            places = [place for place, each in enumerate(self.features) if each.signal in names]
            if places:
                average = values.copy()
                average[:, places] = 0.0
                given[group] = scores - self.scores_of(average)
        return given


def chance_terms(scores: Column, signals: SignalTable) -> NDArray[np.float64]:
    """(n, 6) what a chance is computed from, for n > 0 papers."""
    exact = float(signals.columns["exact"].max()) if "exact" in signals.columns else 0.0
    best, one = np.full(len(scores), scores.max()), np.ones(len(scores))
    return np.stack([scores, best, one, exact * one, exact * scores, exact * best], axis=1)


@cache
def shipped_weights(task: Task) -> Weights:
    """The weights that `train rank` made, from `rankers/`."""
    return read_weights(files("astrosearch.search").joinpath(f"rankers/{task}.json").read_bytes())


def read_weights(text: bytes) -> Weights:
    """The weights of a file that `train rank` wrote."""
    record = orjson.loads(text)
    return Weights(
        tuple(
            Feature(
                each["signal"],
                each["of_best"],
                each["mean"],
                each["deviation"],
                each["weight"],
                tuple(each["hidden"]),
            )
            for each in record["features"]
        ),
        tuple(unit["bias"] for unit in record["hidden"]),
        tuple(unit["output"] for unit in record["hidden"]),
        tuple(record["chance"]),
    )


@dataclass(frozen=True)
class Ranking:
    """Candidates in order, best first."""

    scores: Column
    """(n,) descending."""
    match: Column
    """(n,) from 0 to 1, descending. Of the learnt order it is the chance that the paper is
    relevant; otherwise the score on a scale from chance to the best possible."""
    candidates: Candidates
    weights: Weights | None = None
    """Of the learnt order; None of another."""
    values: NDArray[np.float64] | None = None
    """(candidates looked at, features) what the weights read of the first ones."""

    def given(self, count: int) -> dict[str, Column]:
        """What each group of signals gave the first `count` papers, or those of them that were
        looked at; empty unless the order is learnt."""
        if self.weights is None or self.values is None:
            return {}
        # Of all of them, whatever `count` is: the last digit of a product depends on its size.
        given = self.weights.given(self.values)
        return {group: column[:count] for group, column in given.items()}


def rank(
    papers: PaperIndex,
    query: EncodedQuery,
    candidates: Candidates,
    *,
    task: Task = "query",
    ranker: Ranker = "learnt",
    depth: int | None = None,
) -> Ranking:
    """Order candidates by all signals that they have. Ties are in the order of ids.

    Args:
        depth: candidates that neither search had among its first `depth`, and that were not found
            in another way, come last, so that asking for more hits does not change the first
            ones; None for no such.
    """
    compares = query.encoder is not None and bool(query.tokens)
    if not compares and not {"cosine", "bm25"} <= candidates.signals.columns.keys():
        return _by_one_signal(papers, candidates)
    means = with_authors(mean_scores(candidates.signals, papers.background), candidates.signals)
    if compares and ranker == "learnt":
        order = first_looked_at(papers, query, candidates, means, depth)
        weights = shipped_weights(task)
        return _learnt(papers, query, candidates.take(order), means[order], weights)
    order = np.argsort(-means, kind="stable")
    scores = means[order]
    return Ranking(scores, np.clip(scores, 0, 1), candidates.take(order))


def first_looked_at(
    papers: PaperIndex,
    query: EncodedQuery,
    candidates: Candidates,
    means: Column,
    depth: int | None = None,
) -> NDArray[np.int64]:
    """(n,) candidates in the order in which the learnt one looks at them, the others by their
    means. A text: what was found by words, and the best of a mean in which the cosine weighs more.
    If both weighed the same, a request in other words would lose half of its score; without the
    former, a topic would lose that titles have word by word. Papers: the best means.

    Args:
        depth: as in `rank`.
    """
    is_far = _is_far(query, candidates, depth)
    by_means = np.lexsort((-means, is_far))
    columns = candidates.signals.columns
    if query.papers or "cosine" not in columns:
        return by_means
    deepest = depths(query, depth)[1] if depth else len(candidates)
    is_found = (candidates.lexical_ranks > 0) & (candidates.lexical_ranks <= deepest)
    authors = columns.get("author_match", np.zeros(len(candidates)))
    nearer = mean_scores(candidates.signals, papers.background, LOOK_COSINE)
    first = np.lexsort((-nearer, ~is_found, -authors, is_far))[:LOOKED_AT]
    return np.concatenate([first, by_means[~np.isin(by_means, first)]])


def _is_far(query: EncodedQuery, candidates: Candidates, depth: int | None) -> NDArray[np.bool_]:
    """(n,) whether neither search has a paper among its first, nor was it found in another way, nor
    its authors are named."""
    if depth is None:
        return np.zeros(len(candidates), dtype=bool)
    is_far = np.ones(len(candidates), dtype=bool)
    found = (candidates.dense_ranks, candidates.lexical_ranks)
    for ranks, deepest in zip(found, depths(query, depth), strict=True):
        is_far &= (ranks == 0) | (ranks > deepest)
    if candidates.is_extra is not None:
        is_far &= ~candidates.is_extra
    if "author_match" in candidates.signals.columns:
        is_far &= candidates.signals.columns["author_match"] == 0
    return is_far


def look_at(papers: PaperIndex, query: EncodedQuery, signals: SignalTable) -> None:
    """Add the signals that only the best candidates get."""
    if not signals.ids:
        return
    columns = signals.columns
    columns |= token_signals(query, papers, signals.ids)
    columns |= word_signals(query, papers, signals.ids)
    if "cosine" in columns:
        vectors = papers.vectors(signals.ids)
        columns["neighbourhood"] = neighbourhood(vectors, columns["cosine"])
        if query.written is not None:
            columns["written_cosine"] = (vectors @ query.written).astype(np.float64)
    if query.papers:
        columns |= paper_signals(query, papers, signals.ids)


def _learnt(
    papers: PaperIndex,
    query: EncodedQuery,
    candidates: Candidates,
    means: Column,
    weights: Weights,
) -> Ranking:
    """The learnt order of the first candidates, the others behind them as they are."""
    count = len(candidates)
    head = candidates.take(np.arange(min(LOOKED_AT, count)))
    look_at(papers, query, head.signals)
    values = weights.values(head.signals)
    learnt = weights.scores_of(values)
    chances = weights.chances(learnt, head.signals)
    scores = with_authors(chances, head.signals)
    # Chances near 0 or 1 are equal in their last digits: their scores are not.
    order = np.lexsort((-learnt, -scores))
    rest = slice(len(head), count)
    unknown = np.full(count, np.nan)
    columns = {
        name: np.concatenate([column[order], candidates.signals.columns.get(name, unknown)[rest]])
        for name, column in head.signals.columns.items()
    }
    whole = np.concatenate([order, np.arange(len(head), count)])
    candidates = candidates.take(whole)
    candidates = Candidates(
        SignalTable(candidates.signals.ids, columns),
        candidates.dense_ranks,
        candidates.lexical_ranks,
        candidates.is_extra,
    )
    scores = np.concatenate([scores[order], _below(means[len(head) :], scores)])
    return Ranking(scores, scores, candidates, weights, values[order])


def _below(means: Column, scores: Column) -> Column:
    """(m,) scores of the candidates that were not looked at, below all that were."""
    if not len(means):
        return means
    # A mean may be above the one before it where the search went deeper for more hits.
    falling = np.minimum.accumulate(np.maximum(means, 0.0))
    return falling / max(float(falling[0]), 1e-9) * float(scores.min())


def _by_one_signal(papers: PaperIndex, candidates: Candidates) -> Ranking:
    """The ranking by a single signal, which is the score."""
    [(name, scores)] = candidates.signals.columns.items()
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    if name == "cosine":
        match = scaled(scores, papers.background, 1.0)
    else:
        match = scaled(scores, 0.0, float(scores.max(initial=0.0)))
    return Ranking(scores, np.clip(match, 0, 1), candidates.take(order))


def mean_scores(signals: SignalTable, background: float, cosine: float = COSINE) -> Column:
    """(n,) weighted mean of cosine and BM25, each scaled so that the query's best paper has 1 and
    chance 0 (a convex combination: Bruch et al. 2023, arXiv:2210.11934). If only one of the two
    is known, it has all the weight. What papers near the query cite counts as much as both.

    Args:
        background: the mean cosine of random pairs of papers.
        cosine: the weight of the cosine.
    """
    parts: Sequence[tuple[str, float, float]] = (
        ("cosine", cosine, background),
        ("bm25", 1 - cosine, 0.0),
    )
    scores, total = np.zeros(len(signals.ids)), 0.0
    for name, weight, chance in parts:
        if name in signals.columns:
            column = signals.columns[name]
            scores += weight * scaled(column, chance, float(column.max(initial=-np.inf)))
            total += weight
    scores = scores / total
    if "cited_nearby" in signals.columns:
        cited = signals.columns["cited_nearby"]
        scores = (scores + scaled(cited, 0.0, max(float(cited.max(initial=0.0)), 1e-9))) / 2
    return scores


def with_authors(scores: Column, signals: SignalTable) -> Column:
    """(n,) weighted mean of scores and `author_match`; the scores as they are without it."""
    if "author_match" not in signals.columns:
        return scores
    return (1 - AUTHOR_MATCH) * scores + AUTHOR_MATCH * signals.columns["author_match"]


def scaled(values: Column, chance: float, best: float) -> Column:
    """(n,) values mapped linearly so that `chance` becomes 0 and `best` becomes 1. If `best` is not
    above `chance`, the best value becomes 0 and the others stay at their distance below it."""
    zero, unit = (chance, best - chance) if best > chance else (best, 1.0)
    if not len(values):
        return np.zeros(0)
    return (values.astype(np.float64) - zero) / unit

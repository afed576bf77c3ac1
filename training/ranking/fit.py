"""Fit the weights of the ranker: a small function of the signals of candidates.

Listwise: the scores of a query's candidates go through a softmax, and the relevant ones should have
all of it (ListNet's top one: Cao et al. 2007, doi:10.1145/1273496.1273513). L-BFGS finds a
minimum.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from astrosearch.errors import InputError
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.report import SILENT, Reporter
from astrosearch.search.ranker import Feature, Task, Weights, chance_terms
from astrosearch.search.signals import SHARES, SUPPORT
from training.ranking.logistic import logistic_regression
from training.ranking.samples import Sample

RIDGE, RIDGE_OF_HIDDEN = 1e-4, 3e-4
"""Weight of the sum of squared weights in the loss, of a linear function and of one that has hidden
units."""

PARTS = 5
"""Of the cross-validation: a paper is in one part with all that asks for it."""

HIDDEN: dict[Task, int] = {"query": 8, "dense": 8, "related": 0, "cite": 0, "answers": 0}
"""Hidden units. There are too few citing papers, and judged sentences, for any."""

ITERATIONS = 200
"""Of L-BFGS, at most."""

COUNTS = {"review": 3.0, "overview": 3.0}
"""How much a query of some kinds counts, all others 1: of those with several answers there are
few."""

_TOKENS = ("recall", "plain_recall", "missed", "exact", *SUPPORT, "precision", *SHARES[:-1])

SIGNALS: dict[Task, tuple[tuple[str, bool], ...]] = {
    "query": (
        ("cosine", True),
        ("written_cosine", True),
        ("written_cosine", False),
        ("bm25", True),
        ("pairs", False),
        ("names", False),
        ("title_names", False),
        *((name, False) for name in _TOKENS),
        ("neighbourhood", False),
    ),
    "dense": (
        ("cosine", True),
        ("written_cosine", True),
        ("written_cosine", False),
        *((name, False) for name in _TOKENS),
        ("neighbourhood", False),
    ),
    "related": (
        ("cosine", True),
        ("cosine", False),
        ("bm25", True),
        *((name, False) for name in _TOKENS),
        ("title_cosine", False),
        ("shared_categories", False),
    ),
    "cite": (
        ("cosine", True),
        ("cosine", False),
        ("bm25", True),
        *((name, False) for name in _TOKENS),
        ("title_cosine", False),
        ("shared_categories", False),
        ("age", False),
        ("recent", False),
        ("shared_authors", False),
        ("shares_author", False),
        ("cited_nearby", True),
        ("nearest_citing", False),
        ("cited_by_authors", False),
        ("citations", True),
        ("citation_rate", True),
    ),
    "answers": (
        ("bm25", True),
        *((name, False) for name in ("recall", "missed", "precision", "exact", "support")),
        ("cosine", False),
        *((name, False) for name in ("paper_match", "paper_rank", "place", "is_first", "finds")),
        *((name, False) for name in ("introduces", "motivates", "has_number", "asked_number")),
        ("length", False),
    ),
}
"""The signals that each task counts, and whether as shares of the query's best."""


Row = tuple[str, int, Estimate, Estimate, Estimate]
"""A kind of query: its name, how many there are, how good two orders are, and their paired
difference."""


@dataclass(frozen=True)
class Fitted:
    """Weights, and what a cross-validation says of them."""

    weights: Weights
    rows: list[Row]
    """nDCG@10 or MRR@10 of the weighted mean and of the learnt order."""


def fit(
    samples: Sequence[Sample],
    task: Task,
    chance_of: Sequence[str],
    reporter: Reporter = SILENT,
    seed: int = 0,
    cross_validated: list[NDArray[np.float64]] | None = None,
) -> Fitted:
    """Weights fitted on all samples, and their quality by cross-validation over papers.

    Args:
        chance_of: names of the samples that the chance of being relevant is fitted on.
        cross_validated: gets each sample's scores by weights that have not seen it.

    Raises:
        InputError: if too few samples have something relevant to be cross-validated.
    """
    telling = {sample.key for sample in samples if sample.relevant.any()}
    if len(telling) < PARTS or len({_part(key) for key in telling}) < 2:
        raise InputError(
            f"the fit needs {PARTS} queries or more that find something relevant, of papers in two "
            f"fifths or more; there are {len(telling):,}: give more of them"
        )
    features = _standardised(samples, task)
    matrices = [
        np.stack([feature.values(sample.signals) for feature in features], axis=1)
        for sample in samples
    ]
    parts = np.array([_part(sample.key) for sample in samples])
    scores: list[NDArray[np.float64]] = [np.zeros(0)] * len(samples)
    for part in range(PARTS):
        reporter.progress("Cross-validation", part, PARTS + 1)
        learnt = _minimum(
            [each for each, where in zip(matrices, parts, strict=True) if where != part],
            [each for each, where in zip(samples, parts, strict=True) if where != part],
            HIDDEN[task],
            seed,
        )
        for number in np.flatnonzero(parts == part).tolist():
            scores[number] = learnt(torch.tensor(matrices[number])).detach().numpy()
    if cross_validated is not None:
        cross_validated += scores
    reporter.progress("Cross-validation", PARTS, PARTS + 1)
    final = _minimum(matrices, samples, HIDDEN[task], seed)
    reporter.progress("Cross-validation", PARTS + 1, PARTS + 1)
    fitted = tuple(
        replace(feature, weight=weight, hidden=hidden)
        for feature, weight, hidden in zip(
            features,
            _short(*final.linear.tolist()),
            [_short(*line) for line in final.hidden.tolist()],
            strict=True,
        )
    )
    biases, outputs = _short(*final.biases.tolist()), _short(*final.outputs.tolist())
    judged = [number for number, sample in enumerate(samples) if sample.name in chance_of]
    chance = fitted_chance(
        [scores[number] for number in judged], [samples[number] for number in judged]
    )
    return Fitted(Weights(fitted, biases, outputs, chance), _rows(samples, scores, seed))


def as_json(weights: Weights, task: Task, command: str) -> bytes:
    """What `search.ranker.read_weights` reads."""
    record = {
        "task": task,
        "made_by": command,
        "features": [
            {
                "signal": feature.signal,
                "of_best": feature.is_share,
                "mean": feature.mean,
                "deviation": feature.deviation,
                "weight": feature.weight,
                "hidden": feature.hidden,
            }
            for feature in weights.features
        ],
        "hidden": [
            {"bias": bias, "output": output}
            for bias, output in zip(weights.biases, weights.outputs, strict=True)
        ],
        "chance": weights.chance,
    }
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _standardised(samples: Sequence[Sample], task: Task) -> list[Feature]:
    """The features of a task with mean and deviation over all candidates, and no weight."""
    features = []
    for signal, is_share in SIGNALS[task]:
        bare = Feature(signal, is_share, 0.0, 1.0, 0.0)
        known = [sample for sample in samples if signal in sample.signals.columns] or samples
        values = np.concatenate([bare.values(sample.signals) for sample in known])
        mean, deviation = _short(values.mean(), float(values.std()) or 1.0)
        features.append(Feature(signal, is_share, mean, deviation, 0.0))
    return features


def _short(*values: float) -> tuple[float, ...]:
    return tuple(float(f"{float(value):.6g}") for value in values)


def _part(key: str) -> int:
    return hashlib.sha256(key.encode()).digest()[-1] % PARTS


class _Function:
    """The function that is fitted: linear, with hidden units beside it."""

    def __init__(self, features: int, units: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.linear = torch.zeros(features, dtype=torch.float64)
        self.hidden = 0.1 * torch.randn((features, units), generator=generator, dtype=torch.float64)
        self.biases = torch.zeros(units, dtype=torch.float64)
        self.outputs = 0.1 * torch.randn(units, generator=generator, dtype=torch.float64)
        for parameter in self.parameters:
            parameter.requires_grad_()

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [self.linear, self.hidden, self.biases, self.outputs]

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """(n,) scores of (n, features) values."""
        return values @ self.linear + torch.tanh(values @ self.hidden + self.biases) @ self.outputs


def _minimum(
    matrices: Sequence[NDArray[np.float64]], samples: Sequence[Sample], units: int, seed: int
) -> _Function:
    """The function of the least loss. Queries none of whose relevant papers is a candidate
    teach nothing; all others count the same, but for `COUNTS`."""
    used = [number for number, sample in enumerate(samples) if sample.relevant.any()]
    inputs = torch.tensor(np.concatenate([matrices[number] for number in used]))
    sizes = [len(samples[number].relevant) for number in used]
    query = torch.repeat_interleave(torch.arange(len(used)), torch.tensor(sizes))
    counts = np.array([COUNTS.get(samples[number].name, 1.0) for number in used])
    counts /= counts.sum()
    relevant = torch.tensor(
        np.concatenate(
            [
                count * samples[number].relevant / samples[number].relevant.sum()
                for count, number in zip(counts, used, strict=True)
            ]
        )
    )
    function = _Function(inputs.shape[1], units, seed)
    ridge = RIDGE_OF_HIDDEN if units else RIDGE
    optimizer = torch.optim.LBFGS(
        function.parameters, max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = function(inputs)
        most = torch.full((len(used),), -torch.inf, dtype=torch.float64)
        most = most.scatter_reduce(0, query, scores.detach(), "amax")
        sums = torch.zeros(len(used), dtype=torch.float64)
        sums = sums.index_add(0, query, torch.exp(scores - most[query]))
        log_shares = scores - most[query] - torch.log(sums)[query]
        value = -(relevant * log_shares).sum()
        value = value + ridge * sum((each**2).sum() for each in function.parameters)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return function


def fitted_chance(
    scores: Sequence[NDArray[np.float64]], samples: Sequence[Sample]
) -> tuple[float, ...]:
    """`Weights.chance`: a logistic regression of being relevant."""
    columns = np.concatenate(
        [
            chance_terms(each, sample.signals)
            for each, sample in zip(scores, samples, strict=True)
            if len(each)
        ]
    )
    relevant = np.concatenate([sample.relevant for sample in samples])
    return _short(*logistic_regression(columns, relevant))


def _rows(samples: Sequence[Sample], scores: Sequence[NDArray[np.float64]], seed: int) -> list[Row]:
    values = [
        [_ndcg(sample, sample.means), _ndcg(sample, learnt)]
        for sample, learnt in zip(samples, scores, strict=True)
    ]
    return paired_rows([sample.name for sample in samples], np.array(values), seed)


def paired_rows(names: Sequence[str], values: NDArray[np.float64], seed: int = 0) -> list[Row]:
    """Two orders compared on the same queries, for each kind of query.

    Args:
        names: (n,) of what kind each query is.
        values: (n, 2) how good each order is.
    """
    values = np.concatenate([values, values[:, 1:] - values[:, :1]], axis=1)
    rows = []
    for name in dict.fromkeys(names):
        chosen = values[np.array([each == name for each in names])]
        means = resampled_means(chosen, seed)
        before, after, difference = (
            interval(chosen[:, column].mean(), means[:, column]) for column in range(3)
        )
        rows.append((name, len(chosen), before, after, difference))
    return rows


def _ndcg(sample: Sample, scores: NDArray[np.float64], k: int = 10) -> float:
    """nDCG at `k`; with one relevant paper its reciprocal rank instead, 0 beyond `k`."""
    order = np.argsort(-scores, kind="stable")[:k]
    found = np.flatnonzero(sample.relevant[order])
    if sample.all_relevant == 1:
        return 1 / (1 + int(found[0])) if len(found) else 0.0
    ideal = (1 / np.log2(2 + np.arange(min(k, sample.all_relevant)))).sum()
    return float((1 / np.log2(2 + found)).sum() / ideal)

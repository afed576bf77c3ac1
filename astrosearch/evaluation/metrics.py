"""How good rankings are: measures of retrieval, and the isotropy of vectors.

The measures are those of trec_eval, computed by ir_measures. All are cut at rank 10:

    R@1, R@10   share of a query's relevant papers among the first 1, 10
    MRR@10      1 / rank of the first relevant paper
    nDCG@10     gain by grade, discounted by log2(rank + 1), over the best possible
                (Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import unit_rows
from astrosearch.index.vectors import random_pair_cosines

Values = NDArray[np.float64]
"""(queries, measures): what each query scores by each measure."""

DEPTH = 10
"""Ranks that the measures take into account."""

_MEASURES = {
    "R@1": ir_measures.R @ 1,
    "R@10": ir_measures.R @ DEPTH,
    "MRR@10": ir_measures.RR @ DEPTH,
    "nDCG@10": ir_measures.nDCG @ DEPTH,
}

MEASURES = tuple(_MEASURES)

Relevant = Mapping[int, int]
"""A query's relevant documents with their grades, 1 or more."""


def rank_pessimistically(
    scores: NDArray[np.floating], documents: NDArray[np.int64], relevant: Relevant
) -> NDArray[np.int64]:
    """Documents in order of score, best first; among equal scores the relevant ones come last.

    So an encoder that gives all texts the same vector scores nothing, wherever the relevant
    documents stand.

    >>> rank_pessimistically(np.array([0.5, 0.9, 0.5]), np.array([3, 4, 5]), {3: 1}).tolist()
    [4, 5, 3]

    Args:
        scores: (n,), higher is better.
        documents: (n,), the documents that have them.
    """
    grades = np.array([relevant.get(document, 0) for document in documents.tolist()], np.int64)
    return documents[np.lexsort((documents, grades, -scores))]


def measure(rankings: Sequence[NDArray[np.int64]], relevant: Sequence[Relevant]) -> Values:
    """(queries, measures): what each query scores by each of `MEASURES`, from 0 to 1.

    Args:
        rankings: for each query the documents found, best first; an empty ranking scores 0.
        relevant: for each query the documents that it should have found.
    """
    judged = {
        str(query): {str(document): grade for document, grade in grades.items()}
        for query, grades in enumerate(relevant)
    }
    # trec_eval sorts by score and breaks ties by name: falling scores keep the order as it is.
    run = {
        str(query): {str(document): -float(rank) for rank, document in enumerate(ranking[:DEPTH])}
        for query, ranking in enumerate(rankings)
    }
    columns = {measure: column for column, measure in enumerate(_MEASURES.values())}
    values = np.zeros((len(relevant), len(columns)))
    for metric in ir_measures.iter_calc(list(columns), judged, run):
        values[int(metric.query_id), columns[metric.measure]] = metric.value
    return values


@dataclass(frozen=True, slots=True)
class Isotropy:
    """How evenly vectors fill their space (Ethayarajh 2019, arXiv:1909.00512). Where they do not,
    all texts look alike, whatever they say."""

    mean: float
    """Mean cosine of random pairs; near 0 if isotropic."""
    spread: float
    """Standard deviation of these cosines."""
    top_component: float
    """Share of the variance of the unit rows that lies along their first principal component."""


ROWS = 4_096
"""Vectors that isotropy is computed from: more are slow, and hardly change the components."""


def isotropy(vectors: NDArray[np.floating], seed: int = 0) -> Isotropy:
    """The isotropy of (n, d) vectors, n > 1; of `ROWS` drawn at random if there are more."""
    generator = np.random.default_rng(seed)
    if len(vectors) > ROWS:
        vectors = vectors[np.sort(generator.choice(len(vectors), ROWS, replace=False))]
    rows = unit_rows(vectors)
    cosines = random_pair_cosines(rows, seed)
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    scatter = centred @ centred.T if len(rows) < rows.shape[1] else centred.T @ centred
    variances = np.maximum(np.linalg.eigvalsh(scatter), 0)
    total = float(variances.sum())
    return Isotropy(
        mean=round(float(cosines.mean()), 4),
        spread=round(float(cosines.std()), 4),
        top_component=round(float(variances[-1]) / total, 4) if total > 0 else 1.0,
    )

"""The four comparisons: two papers, several papers, two texts, and all pairs of a sample.

    searcher = open_index("astro")
    compare_pair(searcher, "1605.04979", "1412.7687", [vector_source("minilm")])

Each is made in the embedding space of the index's own encoder, and in those of other encoders or
indexes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.comparison.distribution import Agreement, Distribution, pair_distributions
from astrosearch.comparison.pairs import (
    PairView,
    SentencePair,
    closest_sentences,
    percentiles,
    verdict,
    view_pair,
    view_texts,
)
from astrosearch.comparison.pool import OWN_POOL, SHARED_POOL, VectorSource, gather
from astrosearch.errors import InputError
from astrosearch.index.vectors import random_pair_cosines
from astrosearch.papers import Paper, parse_id
from astrosearch.report import SILENT, Reporter
from astrosearch.search.searcher import Searcher
from astrosearch.text.tex import one_line


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two papers, or two texts, compared by each encoder."""

    papers: tuple[Paper, Paper] | None
    """None for two texts."""
    texts: tuple[str, str]
    """The abstracts, or the texts themselves."""
    views: list[PairView]
    """One for each encoder, the index's own first."""
    closest: list[SentencePair]
    """The sentences that are nearest to each other under the index's encoder."""

    def as_record(self) -> dict[str, Any]:
        """The comparison for JSON."""
        if self.papers:
            names = [f"{paper.id}  {one_line(paper.title)}" for paper in self.papers]
        else:
            names = [f"“{text}”" for text in self.texts]
        return {
            "pair": names,
            "encoders": [
                {
                    "encoder": view.encoder,
                    "cosine": round(view.cosine, 4),
                    "percentile": round(view.percentile, 2),
                    "ranks": view.ranks,
                    "shared_neighbours": view.shared,
                    "among": view.papers,
                }
                for view in self.views
            ],
            "verdict": verdict(self.views),
            "sentences": [
                {"one": closest.first, "other": closest.second, "cosine": round(closest.cosine, 4)}
                for closest in self.closest
            ],
        }


@dataclass(frozen=True, slots=True)
class CosineMatrix:
    """All pairs of several papers under one encoder."""

    encoder: str
    cosines: NDArray[np.float32]
    """(n, n)."""
    percentiles: NDArray[np.float64]
    """(n, n), per cent of random pairs that are farther apart."""


@dataclass(frozen=True, slots=True)
class SeveralComparison:
    """Several papers compared by each encoder."""

    papers: list[Paper]
    matrices: list[CosineMatrix]

    def as_record(self) -> dict[str, Any]:
        """The comparison for JSON."""
        return {
            "papers": [{"id": paper.id, "title": paper.title} for paper in self.papers],
            "encoders": [
                {
                    "encoder": matrix.encoder,
                    "cosines": matrix.cosines.round(4).tolist(),
                    "percentiles": matrix.percentiles.round(2).tolist(),
                }
                for matrix in self.matrices
            ],
        }


@dataclass(frozen=True, slots=True)
class SampleComparison:
    """All pairs of a sample of papers compared by each encoder."""

    papers: list[Paper]
    encoders: list[str]
    """Their names, the index's own first."""
    distributions: list[Distribution]
    """One for each encoder."""
    agreements: list[Agreement]
    """How far each other encoder agrees with the index's own."""


def compare_pair(
    searcher: Searcher,
    first: str,
    second: str,
    sources: Sequence[VectorSource] = (),
    *,
    pool_size: int | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> PairComparison:
    """Compare two papers of the index.

    Args:
        first, second: their identifiers.
        sources: where the vectors of the other embedding spaces come from.
        pool_size: number of papers for percentiles and ranks; by default `OWN_POOL`, or
            `SHARED_POOL` if there are other spaces.
        seed: seed of the random draw of these papers.

    Raises:
        IdentifierError: if a text is not an arXiv identifier.
        NothingFound: if one of the papers is not in the index.
        InputError: if both are the same paper.
    """
    paper_ids = _identifiers(searcher, [first, second])
    pool = gather(searcher, paper_ids, sources, _size(pool_size, sources), seed, reporter)
    first_row, second_row = (pool.row_of(paper_id) for paper_id in paper_ids)
    views = [
        view_pair(space, first_row, second_row, random_pair_cosines(space.vectors))
        for space in pool.spaces
    ]
    papers = pool.papers[first_row], pool.papers[second_row]
    abstracts = papers[0].abstract, papers[1].abstract
    return PairComparison(papers, abstracts, views, closest_sentences(searcher.encoder, *abstracts))


def compare_several(
    searcher: Searcher,
    paper_ids: Sequence[str],
    sources: Sequence[VectorSource] = (),
    *,
    pool_size: int | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> SeveralComparison:
    """Compare all pairs of several papers. Arguments and errors are those of `compare_pair`."""
    paper_ids = _identifiers(searcher, paper_ids)
    pool = gather(searcher, paper_ids, sources, _size(pool_size, sources), seed, reporter)
    rows = [pool.row_of(paper_id) for paper_id in paper_ids]
    matrices = []
    for space in pool.spaces:
        cosines = space.vectors[rows] @ space.vectors[rows].T
        background = random_pair_cosines(space.vectors)
        matrices.append(CosineMatrix(space.name, cosines, percentiles(cosines, background)))
    return SeveralComparison([pool.papers[row] for row in rows], matrices)


def compare_texts(
    searcher: Searcher,
    first: str,
    second: str,
    sources: Sequence[VectorSource] = (),
    *,
    pool_size: int | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> PairComparison:
    """Compare two texts that are not papers. Other arguments are those of `compare_pair`.

    Raises:
        InputError: if a text is empty, or a source is an index, which has no vectors of new texts.
    """
    if not (first.strip() and second.strip()):
        raise InputError("a text to compare is empty")
    for source in sources:
        if source.papers is not None:
            source.encode([first, second])  # an index raises the error here, before any work
    pool = gather(searcher, [], sources, _size(pool_size, sources), seed, reporter)
    encoders = [searcher.encoder.encode, *(source.encode for source in sources)]
    encoded = [encode([first, second]) for encode in encoders]
    views = [
        view_texts(space, vectors[0], vectors[1], random_pair_cosines(space.vectors))
        for space, vectors in zip(pool.spaces, encoded, strict=True)
    ]
    closest = closest_sentences(searcher.encoder, first, second)
    return PairComparison(None, (first, second), views, closest)


def compare_sample(
    searcher: Searcher,
    count: int,
    sources: Sequence[VectorSource] = (),
    *,
    disagreements: int = 0,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> SampleComparison:
    """Compare all pairs of `count` papers drawn at random.

    Args:
        disagreements: number of pairs to list on which two encoders differ most, in each direction.

    Raises:
        InputError: if there are fewer than three papers.
    """
    if count > len(searcher.index):
        reporter.notify(
            f"Only {len(searcher.index):,} papers available; using all ({count:,} requested)."
        )
    pool = gather(searcher, [], sources, count, seed, reporter)
    distributions, agreements = pair_distributions(
        [space.vectors for space in pool.spaces], disagreements, reporter
    )
    names = [space.name for space in pool.spaces]
    return SampleComparison(pool.papers, names, distributions, agreements)


def _identifiers(searcher: Searcher, texts: Sequence[str]) -> list[str]:
    """Normalised identifiers, checked before anything is encoded.

    Raises:
        IdentifierError: if a text is not an arXiv identifier.
        NothingFound: if a paper is not in the index.
        InputError: if a paper is named twice.
    """
    paper_ids = [parse_id(text).id for text in texts]
    for number, paper_id in enumerate(paper_ids):
        if paper_id in paper_ids[:number]:
            raise InputError(f"{paper_id} is given twice")
        searcher.index.corpus.row_of(paper_id)
    return paper_ids


def _size(pool_size: int | None, sources: Sequence[VectorSource]) -> int:
    return pool_size or (SHARED_POOL if sources else OWN_POOL)

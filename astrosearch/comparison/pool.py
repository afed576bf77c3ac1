"""A pool of papers with their vectors under several encoders, in which comparisons are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from astrosearch import paths
from astrosearch.encoders import registry
from astrosearch.encoders.base import Billable, Encoder, encode_all
from astrosearch.encoders.loading import load_cached_encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.search.searcher import Searcher, open_index

OWN_POOL, SHARED_POOL = 100_000, 2_000
"""Default sizes of the pool: if the index has all vectors, and if other encoders have to encode the
papers first."""


class VectorSource(Protocol):
    """Where the vectors of an embedding space come from: an encoder, or another index."""

    @property
    def name(self) -> str: ...

    @property
    def papers(self) -> Mapping[str, int] | None:
        """Identifiers and rows of the papers that it has vectors of; None if it can encode any."""
        ...

    def request_approval(self, papers: Sequence[Paper]) -> None:
        """Ask the user to approve the cost of `vectors`, if there is one.

        Raises:
            AstrosearchError: if the user declines.
        """
        ...

    def vectors(self, papers: Sequence[Paper], reporter: Reporter) -> Vectors:
        """(n, d) float32 unit rows; row i is paper i."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 unit rows of new texts.

        Raises:
            InputError: if it has no encoder.
        """
        ...


class EncoderVectors:
    """Vectors from an encoder."""

    papers = None

    def __init__(self, name: str, encoder: Encoder) -> None:
        self.name = name
        self._encoder = encoder

    def request_approval(self, papers: Sequence[Paper]) -> None:
        if isinstance(self._encoder, Billable):
            self._encoder.request_approval(map(self._encoder.spec.text_of, papers))

    def vectors(self, papers: Sequence[Paper], reporter: Reporter) -> Vectors:
        texts = [self._encoder.spec.text_of(paper) for paper in papers]
        return encode_all(self._encoder, texts, f"Encoding papers with {self.name}", reporter)

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.encode(texts)


class IndexVectors:
    """Vectors from another index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @property
    def name(self) -> str:
        return self._index.folder.name

    @cached_property
    def papers(self) -> Mapping[str, int]:
        return self._index.corpus.ids()

    def request_approval(self, papers: Sequence[Paper]) -> None:
        """Nothing to approve: stored vectors cost nothing."""

    def vectors(self, papers: Sequence[Paper], reporter: Reporter) -> Vectors:
        rows = np.array([self.papers[paper.id] for paper in papers])
        return unit_rows(self._index.vectors[rows])

    def encode(self, texts: Sequence[str]) -> Vectors:
        raise InputError(
            f"index {self.name} has vectors of its papers only, not of new texts: compare with "
            "its encoder instead"
        )


def vector_source(name: str, reporter: Reporter = SILENT) -> VectorSource:
    """The vectors of another index or encoder.

    Args:
        name: an index on this machine or, if there is none of that name, an encoder as
            `encoders.registry.encoder_spec` takes it.

    Raises:
        InputError: if it is the name of neither.
        ModelMissing: if the encoder is not on this machine and cannot be fetched.
    """
    if name in paths.index_names():
        return IndexVectors(open_index(name, reporter=reporter).index)
    return EncoderVectors(name, load_cached_encoder(registry.encoder_spec(name), reporter))


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """One encoder's vectors of the papers of a pool."""

    name: str
    vectors: Vectors
    """(n, d) float32, unit rows."""


@dataclass(frozen=True, slots=True)
class ComparisonPool:
    """Papers of an index, with their vectors under its own encoder and others."""

    papers: list[Paper]
    spaces: list[EmbeddingSpace]
    """One for each encoder, the index's own first. Row i of each is paper i."""

    def row_of(self, paper_id: str) -> int:
        """The row of a paper.

        Raises:
            NothingFound: if the paper is not in the pool.
        """
        for row, paper in enumerate(self.papers):
            if paper.id == paper_id:
                return row
        raise NothingFound(f"{paper_id} is not among the {len(self.papers):,} papers compared")


def gather(
    searcher: Searcher,
    paper_ids: Sequence[str],
    sources: Sequence[VectorSource],
    count: int,
    seed: int,
    reporter: Reporter = SILENT,
) -> ComparisonPool:
    """A pool of `count` papers: the named ones and others drawn at random.

    Args:
        paper_ids: normalised identifiers of papers to include.
        sources: where the vectors of the other spaces come from. If one is an index, only papers
            that it has too are drawn.

    Raises:
        NothingFound: if one of `paper_ids` is not in the index, or not in one of the sources.
        InputError: if fewer than three papers are left.
    """
    index = searcher.index
    named = [index.corpus.row_of(paper_id) for paper_id in dict.fromkeys(paper_ids)]
    drawn = np.random.default_rng(seed).permutation(
        np.setdiff1d(_common_rows(index, paper_ids, sources), named)
    )
    extra = drawn[: max(0, count - len(named))]
    rows = np.sort(np.concatenate([named, extra]).astype(np.int64))
    if len(rows) < 3:
        raise InputError(f"{len(rows)} papers are too few to compare; at least 3 are needed")
    papers = list(index.corpus.stream(rows))
    for source in sources:
        source.request_approval(papers)
    own = EmbeddingSpace(index.manifest.encoder.short_name, unit_rows(index.vectors[rows]))
    others = [EmbeddingSpace(source.name, source.vectors(papers, reporter)) for source in sources]
    return ComparisonPool(papers, [own, *others])


def _common_rows(
    index: Index, paper_ids: Sequence[str], sources: Sequence[VectorSource]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) rows of the papers that all sources have vectors of, ascending.

    Raises:
        NothingFound: if a source lacks one of `paper_ids`.
    """
    limited = [source for source in sources if source.papers is not None]
    if not limited:
        return index.rows
    rows = index.corpus.ids()
    for source in limited:
        papers = source.papers or {}
        for paper_id in paper_ids:
            if paper_id not in papers:
                raise NothingFound(
                    f"{paper_id} is not among the {len(papers):,} papers of index {source.name}"
                )
        rows = {paper_id: row for paper_id, row in rows.items() if paper_id in papers}
    return np.array(sorted(rows.values()), dtype=np.int64)

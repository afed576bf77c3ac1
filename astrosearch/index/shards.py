"""Vectors of texts in small files, so that a kill at any moment costs at most one of them.

A shard is an .npz file with the vectors of some texts and the hashes of these texts. It is written
whole or not at all, and any later build with the same encoder takes up what it has use for.
"""

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from astrosearch.atomic import remove, whole_file
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Billable, Encoded, Encoder, EncoderSpec, TokenBag
from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import AstrosearchError
from astrosearch.index.folder import SHARDS, writing
from astrosearch.index.segments import SegmentedVectors
from astrosearch.index.token_store import SegmentedTokens, TokenWriter
from astrosearch.index.vectors import release
from astrosearch.report import Reporter

SECONDS = 2.0
"""That a shard takes, about: what a kill may cost."""

FIRST_SHARD, LARGEST_SHARD = 8, 4_096
"""Texts of the first shard, from which they grow until one takes long enough, and at most. Texts of
a shard are encoded together, sorted by length: the more there are, the less padding the large
batches of a GPU have."""

SERVICE_SHARD = 4_096
"""Texts of a shard of a service, which answers several requests at once; its answers are kept
besides."""

BLOCK = 16_384
"""Rows whose hashes or vectors are in memory at a time."""

Hashes = NDArray[np.bytes_]
"""(n,) of 16 bytes each: `TextHash`."""

Engine = Callable[[EncoderSpec, Path, NDArray[np.int64], int], Iterator[Encoded]]
"""Encodes (m,) rows of a papers.sqlite, shard by shard; in any order, since each is a file. It is
told of how many texts the largest shard is that is there, 0 if there is none."""


class Shard(NamedTuple):
    """What is kept of some texts."""

    hashes: Hashes
    """(m,)"""
    vectors: NDArray[np.float16]
    """(m, d)"""
    bags: list[TokenBag]
    """(m,); empty ones if the encoder does not compare tokens."""


class ShardStore:
    """The shards of one encoder, in the partial folder of an index."""

    def __init__(self, partial: Path, spec: EncoderSpec) -> None:
        """
        Raises:
            AstrosearchError: if the folder cannot be made.
        """
        self._partial = partial
        self._folder = partial / SHARDS / spec.key
        with writing(partial):
            if self._folder.is_symlink():  # nothing is written through a link
                remove(self._folder)
            self._folder.mkdir(parents=True, exist_ok=True)
            for torn in self._folder.glob("*.tmp"):  # from a process that died while it wrote
                torn.unlink()

    def write(
        self, hashes: Hashes, vectors: Vectors, bags: Sequence[TokenBag] | None = None
    ) -> None:
        """Add a shard.

        Args:
            hashes: (m,) of the texts.
            vectors: (m, d) float32, kept as float16.
            bags: the tokens of the texts, if the encoder compares tokens.

        Raises:
            AstrosearchError: if it cannot be written.
        """
        name = hashlib.sha256(hashes.tobytes()).hexdigest()[:32]
        with writing(self._partial), whole_file(self._folder / f"{name}.npz") as stream:
            np.savez(
                stream,
                allow_pickle=False,
                hashes=_as_bytes(hashes),
                vectors=vectors.astype(np.float16),
                **_packed(bags),
            )

    def __iter__(self) -> Iterator[Shard]:
        """Each shard that can be read."""
        for file in sorted(self._folder.glob("*.npz")):
            try:
                with file.open("rb") as stream, np.load(stream) as shard:
                    hashes, vectors, bags = shard["hashes"], shard["vectors"], _unpacked(shard)
                if len(hashes) == len(vectors) and vectors.ndim == 2:
                    if len(bags) != len(hashes):
                        bags = [TokenBag.empty()] * len(hashes)
                    yield Shard(_as_hashes(hashes), vectors, bags)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                continue  # one that is damaged is as good as none

    def dimension(self) -> int | None:
        """Of the vectors; None if there is no shard."""
        for shard in self:
            return int(shard.vectors.shape[1])
        return None

    def hashes(self) -> Iterator[Hashes]:
        """Those of each shard."""
        return (shard.hashes for shard in self)


class Previous(Protocol):
    """An index whose vectors and tokens are used again."""

    @property
    def vectors(self) -> SegmentedVectors: ...

    @property
    def tokens(self) -> SegmentedTokens: ...


@dataclass(frozen=True)
class EncodePlan:
    """Which rows are encoded, and which take a vector that lies somewhere already.

    Every text is encoded once, however many rows have it.
    """

    previous: tuple[NDArray[np.int64], NDArray[np.int64]]
    """(p,) rows whose text the previous index has, and (p,) the rows there."""
    hashes: Hashes
    """(t,) the different texts of all other rows, ascending."""
    rows: NDArray[np.int64]
    """(t,) the first row that has each of these texts."""
    copies: NDArray[np.int64]
    """(c, 2) other rows with such a text, and the first row that has it."""
    missing: NDArray[np.int64]
    """(m,) of `rows`, ascending: those whose text is in no shard."""
    largest: int
    """Texts of the largest shard."""

    @classmethod
    def make(
        cls,
        corpus: Corpus,
        previous: tuple[NDArray[np.int64], NDArray[np.int64]],
        store: ShardStore,
    ) -> "EncodePlan":
        others = np.setdiff1d(np.arange(len(corpus)), previous[0], assume_unique=True)
        hashes, first, text = np.unique(
            text_hashes(corpus, others), return_index=True, return_inverse=True
        )
        rows = others[first]
        copies = np.stack([others, rows[text]], axis=1)
        is_missing = np.ones(len(hashes), dtype=bool)
        largest = 0
        if len(hashes):
            for shard in store.hashes():
                is_missing[_positions(hashes, shard)[1]] = False
                largest = max(largest, len(shard))
        copies = copies[copies[:, 0] != copies[:, 1]]
        return cls(previous, hashes, rows, copies, np.sort(rows[is_missing]), largest)

    def gather(
        self,
        vectors: "np.memmap[Any, np.dtype[np.float16]]",
        tokens: TokenWriter,
        previous: Previous | None,
        store: ShardStore,
    ) -> None:
        """Fill all rows of a new vectors.npy, and the tokens.

        Args:
            vectors: (n, d), mapped for writing.
            previous: the previous index, if any row comes from there.
            store: with the shards of all rows that were missing. Each is read once.
        """
        ours, theirs = self.previous
        if previous is not None:
            for start in range(0, len(ours), BLOCK):
                block = slice(start, start + BLOCK)
                vectors[ours[block]] = previous.vectors[theirs[block]]
                tokens.add(ours[block].tolist(), previous.tokens.bags(theirs[block]))
                release(vectors)
        for shard in store:
            place, text = _positions(self.hashes, shard.hashes)
            vectors[self.rows[text]] = shard.vectors[place]
            tokens.add(self.rows[text].tolist(), [shard.bags[number] for number in place.tolist()])
            release(vectors)
        for start in range(0, len(self.copies), BLOCK):
            copies, rows = self.copies[start : start + BLOCK].T
            vectors[copies] = vectors[rows]
            tokens.copy(copies, rows)
            release(vectors)
        vectors.flush()


@dataclass
class EncodeStats:
    """What an encoder did."""

    texts: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Spent in the encoder."""


def encode(
    plan: EncodePlan,
    store: ShardStore,
    corpus: Corpus,
    spec: EncoderSpec,
    engine: Engine,
    papers: Path,
    reporter: Reporter,
) -> EncodeStats:
    """Encode the missing rows of a plan, and write a shard as soon as it is done.

    Args:
        papers: the corpus's papers.sqlite.

    Raises:
        AstrosearchError: if a vector is not finite, or a shard cannot be written.
    """
    stats = EncodeStats()
    if not len(plan.missing):
        return stats
    for encoded in engine(spec, papers, plan.missing, plan.largest):
        rows = encoded.rows
        finite = np.isfinite(encoded.vectors).all(axis=1)
        if not finite.all():
            paper = corpus.papers(rows[~finite].tolist())[0]
            raise AstrosearchError(
                f"the encoder's vector of {paper.id} is not finite: half precision is too coarse "
                "for it"
            )
        store.write(text_hashes(corpus, rows), encoded.vectors, encoded.bags)
        stats.texts += len(rows)
        stats.tokens += encoded.tokens
        stats.seconds += encoded.seconds
        speed = stats.tokens / stats.seconds if stats.seconds else 0.0
        reporter.progress("Encoding", stats.texts, len(plan.missing), f"{speed:,.0f} tokens/s")
    return stats


class LocalEngine:
    """Encodes in this process, with an encoder that is loaded when the first texts come."""

    def __init__(self, load: Callable[[EncoderSpec], Encoder], corpus: Corpus) -> None:
        self._load = load
        self._corpus = corpus
        self._encoder: Encoder | None = None

    def request_approval(self, spec: EncoderSpec, rows: NDArray[np.int64]) -> None:
        """Have an encoder that costs money show all that it will be given, before it starts."""
        encoder = self._loaded(spec)
        if isinstance(encoder, Billable):
            encoder.request_approval(
                text
                for start in range(0, len(rows), SERVICE_SHARD)
                for text in self._texts(spec, rows[start : start + SERVICE_SHARD])
            )

    def __call__(
        self, spec: EncoderSpec, papers: Path, rows: NDArray[np.int64], largest: int
    ) -> Iterator[Encoded]:
        encoder = self._loaded(spec)
        size = SERVICE_SHARD if spec.is_service else max(largest, FIRST_SHARD)
        place = 0
        while place < len(rows):
            shard = rows[place : place + size]
            texts = self._texts(spec, shard)
            start = time.perf_counter()
            vectors, tokens, bags = encoder.encode_counted(texts)
            seconds = time.perf_counter() - start
            yield Encoded(shard, vectors, tokens, seconds, bags)
            place += size
            if seconds < SECONDS / 2:
                size = min(2 * size, LARGEST_SHARD)

    def _loaded(self, spec: EncoderSpec) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load(spec)
        return self._encoder

    def _texts(self, spec: EncoderSpec, rows: NDArray[np.int64]) -> list[str]:
        return [spec.text_of(paper) for paper in self._corpus.papers(rows.tolist())]


def text_hashes(corpus: Corpus, rows: NDArray[np.int64]) -> Hashes:
    """(len(rows),) the hashes of their texts."""
    hashes = np.zeros(len(rows), dtype="V16")
    for start in range(0, len(rows), BLOCK):
        block = corpus.text_hashes(rows[start : start + BLOCK])
        hashes[start : start + BLOCK] = np.frombuffer(b"".join(block), dtype="V16")
    return hashes.view("S16")


def _packed(bags: Sequence[TokenBag] | None) -> dict[str, NDArray[np.integer]]:
    """Bags as the arrays of a shard."""
    if not bags:
        return {}
    return {
        "lengths": np.array([len(bag.tokens) for bag in bags], dtype=np.int64),
        "tokens": np.concatenate([bag.tokens for bag in bags]).astype(np.uint32),
        "counts": np.concatenate([np.minimum(bag.counts, 255) for bag in bags]).astype(np.uint8),
    }


def _unpacked(shard: Mapping[str, NDArray[Any]]) -> list[TokenBag]:
    """The bags of a shard; none if it has none."""
    if "lengths" not in shard:
        return []
    edges = np.cumsum(shard["lengths"])[:-1]
    tokens = np.split(shard["tokens"].astype(np.int64), edges)
    counts = np.split(shard["counts"], edges)
    return [TokenBag(*bag) for bag in zip(tokens, counts, strict=True)]


def _as_bytes(hashes: Hashes) -> NDArray[np.uint8]:
    """(m, 16), as shards hold them."""
    return np.frombuffer(hashes.tobytes(), dtype=np.uint8).reshape(-1, 16)


def _as_hashes(array: NDArray[np.uint8]) -> Hashes:
    """
    Raises:
        ValueError: if it is not (m, 16) uint8.
    """
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != 16:
        raise ValueError(f"hashes of shape {array.shape}")
    return np.ascontiguousarray(array).view("S16")[:, 0]


def _positions(hashes: Hashes, shard: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a shard's texts stand among (t,) ascending hashes, t > 0: the places in the shard of
    those that do, and their positions."""
    positions = np.searchsorted(hashes, shard)
    positions[positions == len(hashes)] = 0
    places = np.flatnonzero(hashes[positions] == shard)
    return places, positions[places]

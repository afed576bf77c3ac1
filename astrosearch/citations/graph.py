"""The citation graph on disk: works, what each cites and what cites it, as two sparse matrices in
compressed rows (CSR), memory-mapped. indexes/README.md documents the bytes.

A work need not be a paper of the index: its references and citations count when it comes.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.errors import IndexDamaged
from astrosearch.papers import Paper

WORKS, KEYS, KEY_OFFSETS = "works.npy", "keys.txt", "key_offsets.npy"
REFERENCES, REFERENCE_OFFSETS = "references.npy", "reference_offsets.npy"
CITATIONS, CITATION_OFFSETS = "citations.npy", "citation_offsets.npy"
ABOUT = "about.json"

Works = NDArray[np.int64]
"""(n,) numbers of works in a graph, -1 for one that it does not have."""


@dataclass(frozen=True)
class Source:
    """What was imported, and when."""

    name: str
    day: str
    """YYYY-MM-DD"""
    papers: int
    """That cite something."""
    references: int


@dataclass(frozen=True)
class About:
    """What a graph says of itself."""

    works: int
    papers: int
    """Works that cite."""
    references: int
    sources: tuple[Source, ...]
    """In the order in which they came."""

    def encode(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> "About":
        record = json.loads(content)
        sources = tuple(Source(**each) for each in record.pop("sources"))
        return cls(**record, sources=sources)


class Graph:
    """A citation graph, mapped from its folder. Several threads may read at once."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            IndexDamaged: if its files cannot be read, or do not fit together.
        """
        try:
            self.about = About.decode((folder / ABOUT).read_bytes())
            self._digests = _mapped(folder / WORKS)
            self._keys = np.memmap(folder / KEYS, dtype=np.uint8, mode="r")
            self._key_offsets = _mapped(folder / KEY_OFFSETS)
            self._references = _mapped(folder / REFERENCES)
            self._reference_offsets = _mapped(folder / REFERENCE_OFFSETS)
            self._citations = _mapped(folder / CITATIONS)
            self._citation_offsets = _mapped(folder / CITATION_OFFSETS)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexDamaged(
                f"{folder} is not a citation graph ({error})", remedy="import-citations"
            ) from None
        works = len(self._digests)
        for offsets, values in (
            (self._key_offsets, self._keys),
            (self._reference_offsets, self._references),
            (self._citation_offsets, self._citations),
        ):
            if len(offsets) != works + 1 or offsets[-1] != len(values):
                raise IndexDamaged(
                    f"{folder} is not a citation graph of {works:,} works: its offsets do not fit",
                    remedy="import-citations",
                )

        self._silent = np.zeros(0, dtype=np.int64)
        self._uncounted: Works | None = None

    def without(self, citing: Works) -> "Graph":
        """The same graph, in which some works cite nothing."""
        graph = copy(self)
        graph._silent = citing[citing >= 0]
        graph._uncounted = np.zeros(len(self), dtype=np.int64)
        for work in graph._silent.tolist():
            graph._uncounted[self.references(work)] += 1
        return graph

    def __len__(self) -> int:
        """The number of works."""
        return len(self._digests)

    def find(self, keys: Sequence[str]) -> Works:
        """The works of some keys."""
        digests = np.array([digest(key) for key in keys], dtype=np.uint64)
        places = np.searchsorted(self._digests, digests)
        works = np.full(len(keys), -1, dtype=np.int64)
        for number, (key, place) in enumerate(zip(keys, places.tolist(), strict=True)):
            while place < len(self) and self._digests[place] == digests[number]:
                if self.key(place) == key:
                    works[number] = place
                    break
                place += 1
        return works

    def key(self, work: int) -> str:
        """The key of a work (`citations.keys`)."""
        start, end = self._key_offsets[work : work + 2]
        return self._keys[start:end].tobytes().decode()

    def references(self, work: int) -> Works:
        """The works that one cites, ascending."""
        if work in self._silent:
            return np.zeros(0, dtype=np.int64)
        return _row(self._references, self._reference_offsets, work)

    def citations(self, work: int) -> Works:
        """The works that cite one, ascending."""
        citing = _row(self._citations, self._citation_offsets, work)
        return citing[np.isin(citing, self._silent, invert=True)] if len(self._silent) else citing

    def counts(self, works: Works) -> Works:
        """How many works cite each, in the shape of `works`; 0 for -1."""
        counts = _lengths(self._citation_offsets, works)
        if self._uncounted is not None:
            counts[works >= 0] -= self._uncounted[works[works >= 0]]
        return counts

    def reference_counts(self, works: Works) -> Works:
        """How many works each cites, in the shape of `works`; 0 for -1."""
        counts = _lengths(self._reference_offsets, works)
        counts[np.isin(works, self._silent)] = 0
        return counts

    def works_of(self, papers: Sequence[Paper]) -> Works:
        """(n, 2) the works that papers are: that of the identifier and that of the DOI, which may
        have come before the paper was known to have it; -1 where there is none."""
        return self.works_of_ids([(paper.id, paper.doi or "") for paper in papers])

    def works_of_ids(self, papers: Sequence[tuple[str, str]]) -> Works:
        """(n, 2) as `works_of`.

        Args:
            papers: (n,) identifiers and DOIs, empty where none is known.
        """
        works = np.full((len(papers), 2), -1, dtype=np.int64)
        works[:, 0] = self.find([paper_id for paper_id, _ in papers])
        firsts = [doi.split()[:1] for _, doi in papers]
        having = [place for place, first in enumerate(firsts) if first]
        if having:
            works[having, 1] = self.find([firsts[place][0].lower() for place in having])
        return works


def digest(key: str) -> int:
    """The number by which works are ordered: the first 8 bytes of a BLAKE2b of the key."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


def _mapped(path: Path) -> NDArray[np.int64]:
    array: NDArray[np.int64] = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 1:
        raise ValueError(f"{path.name} has {array.ndim} dimensions")
    return array


def _row(values: NDArray[np.int64], offsets: NDArray[np.int64], work: int) -> Works:
    if work < 0:
        return np.zeros(0, dtype=np.int64)
    start, end = offsets[work : work + 2]
    return values[start:end].astype(np.int64)


def _lengths(offsets: NDArray[np.int64], works: Works) -> Works:
    lengths = np.zeros(works.shape, dtype=np.int64)
    known = works >= 0
    lengths[known] = offsets[works[known] + 1] - offsets[works[known]]
    return lengths

"""From records of works and what they cite to a graph on disk, in bounded memory.

Twenty million references take some 20 bytes each while they are read, and every work some 170. A
work that goes by several names is one work if a record says so.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.citations.graph import (
    ABOUT,
    CITATION_OFFSETS,
    CITATIONS,
    KEY_OFFSETS,
    KEYS,
    REFERENCE_OFFSETS,
    REFERENCES,
    WORKS,
    About,
    Graph,
    Source,
    digest,
)
from astrosearch.citations.keys import key_of, rank_of
from astrosearch.report import SILENT, Reporter

NO_NAME = "astromlab:"
"""Numbers that mean nothing without the file that names them."""

BLOCK = 2**20
"""References that are written at a time."""

_UNUSABLE = 2**32 - 1
"""In the place of a number: a text that is no identifier."""


class GraphBuilder:
    """Collects references. Works are numbered as they come; at the end by their digests."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._keys: list[str] = []
        self._same: dict[int, int] = {}
        """A work that is the same as another, whose key says more."""
        self._citing, self._lengths, self._cited = array("I"), array("I"), array("I")
        self.refused: Counter[str] = Counter()
        """What could not be used, by reason."""
        self.examples: dict[str, str] = {}
        """The first text of each reason."""

    @property
    def references(self) -> int:
        """References that were given so far, some of them perhaps twice."""
        return len(self._cited)

    def add_graph(self, graph: Graph) -> None:
        """Begin with a graph that is there."""
        for work in range(len(graph)):
            self._number(graph.key(work))
        for work in np.flatnonzero(graph.reference_counts(np.arange(len(graph)))).tolist():
            references = graph.references(work)
            self._citing.append(work)
            self._lengths.append(len(references))
            self._cited.frombytes(references.astype(np.uint32).tobytes())

    def add(self, names: Sequence[str], references: Sequence[str]) -> bool:
        """A work by all of its names, and the works that it cites, each by one name.

        Returns:
            Whether it cites anything.
        """
        numbers = [number for name in names if (number := self._number(name)) != _UNUSABLE]
        if not numbers:
            self.refuse("no identifier", ", ".join(names))
            return False
        if len(numbers) > 1:
            self._unite(numbers)
        known = self._numbers
        cited = [known[name] if name in known else self._number(name) for name in references]
        if not cited:
            return False
        self._citing.append(numbers[0])
        self._lengths.append(len(cited))
        self._cited.extend(cited)
        return True

    def refuse(self, reason: str, example: str) -> None:
        self.refused[reason] += 1
        self.examples.setdefault(reason, example)

    def dois(self) -> list[str]:
        """The DOIs by which works are known."""
        return [key for key in self._keys if key.startswith("10.")]

    def unite(self, ids: Mapping[str, str]) -> None:
        """Say which papers have which DOIs."""
        for doi, paper_id in ids.items():
            self._unite([self._number(paper_id), self._number(doi)])

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is not None:
            if number == _UNUSABLE:
                self.refused[_NO_KEY] += 1
            return number
        key = key_of(name)
        if key is None:
            self.refuse(_NO_KEY, name)
            self._numbers[name] = _UNUSABLE
            return _UNUSABLE
        number = self._numbers.get(key)
        if number is None:
            number = len(self._keys)
            self._keys.append(key)
            self._numbers[key] = number
        if name != key:
            self._numbers[name] = number
        return number

    def _unite(self, numbers: Sequence[int]) -> None:
        roots = sorted({self._root(number) for number in numbers}, key=self._rank)
        for root in roots[1:]:
            self._same[root] = roots[0]

    def _rank(self, number: int) -> tuple[int, int]:
        return rank_of(self._keys[number]), number

    def _root(self, number: int) -> int:
        while number in self._same:
            number = self._same[number]
        return number

    def write(
        self,
        folder: Path,
        sources: Sequence[Source],
        reporter: Reporter = SILENT,
    ) -> About | None:
        """Write the graph into an empty folder; None if there is not a single reference. Nothing
        can be added afterwards.

        Args:
            sources: what was imported.

        Raises:
            OSError: if it cannot be written.
        """
        works, unnamed = self._write_works(folder)
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        rows = works[np.frombuffer(self._citing, dtype=np.uint32)]
        order = np.argsort(rows, kind="stable")
        order = order[rows[order] >= 0]
        cited = np.frombuffer(self._cited, dtype=np.uint32)
        count = int(works.max(initial=-1)) + 1
        papers, total, nameless = _write_references(
            folder, _Given(count, order, rows, starts, cited, works), unnamed, reporter
        )
        if nameless:
            self.refused["number without a name"] += nameless
        del cited, lengths
        if not total:
            return None
        self._citing, self._lengths, self._cited = array("I"), array("I"), array("I")
        _write_citations(folder, count, reporter)
        about = About(count, papers, total, tuple(sources))
        (folder / ABOUT).write_bytes(about.encode())
        return about

    def _write_works(self, folder: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Write the keys. Returns for each number, and one more for what is unusable, its work or
        -1; and whether it is only a number that nothing names."""
        count = len(self._keys)
        roots = np.arange(count + 1)
        for number in self._same:
            roots[number] = self._root(number)
        is_used = np.zeros(count + 1, dtype=bool)
        is_used[roots[:count]] = True
        unnamed = np.zeros(count + 1, dtype=bool)
        for number, key in enumerate(self._keys):
            if is_used[number] and key.startswith(NO_NAME):
                is_used[number], unnamed[number] = False, True
        used = np.flatnonzero(is_used)
        digests = np.array([digest(self._keys[number]) for number in used.tolist()], np.uint64)
        order = np.argsort(digests, kind="stable")
        np.save(folder / WORKS, digests[order])
        offsets = np.zeros(len(used) + 1, dtype=np.int64)
        with (folder / KEYS).open("wb") as stream:
            for place, number in enumerate(used[order].tolist(), start=1):
                offsets[place] = offsets[place - 1] + stream.write(self._keys[number].encode())
        np.save(folder / KEY_OFFSETS, offsets)
        works = np.full(count + 1, -1, dtype=np.int64)
        works[used[order]] = np.arange(len(used))
        works, unnamed = works[roots], unnamed[roots]
        self._numbers, self._keys, self._same = {}, [], {}
        return works, unnamed


_NO_KEY = "no identifier that is known"


class _ArrayStream:
    """An .npy file whose length is known only at its end."""

    def __init__(self, path: Path, dtype: type[np.uint32]) -> None:
        self._path, self._dtype = path, dtype
        self._stream = path.open("wb")
        self._count = 0
        self._waiting: list[NDArray[np.uint32]] = []
        self._size = 0
        self._header(0)

    def __enter__(self) -> "_ArrayStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._stream.seek(0)
        self._header(self._count)
        self._stream.close()

    def _header(self, count: int) -> None:
        # The header is padded to a multiple of 64 bytes; any count fits where 0 did.
        shape = {"descr": "<u4", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(self._stream, shape)

    def write(self, values: NDArray[np.int64]) -> None:
        self._waiting.append(values.astype(self._dtype))
        self._size += len(values)
        self._count += len(values)
        if self._size >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._stream.write(np.concatenate(self._waiting).tobytes())
        self._waiting, self._size = [], 0


class _Given(NamedTuple):
    """What was collected, m lines with e references of n texts."""

    count: int
    """Works."""
    order: NDArray[np.int64]
    """The lines by the works that cite."""
    rows: NDArray[np.int64]
    """(m,) which work cites."""
    starts: NDArray[np.int64]
    """(m + 1,) where the references of a line begin."""
    cited: NDArray[np.uint32]
    """(e,)"""
    works: NDArray[np.int64]
    """(n + 1,) the work of each number, -1 for none; the last is that of an unusable text."""


def _write_references(
    folder: Path,
    given: _Given,
    unnamed: NDArray[np.bool_],
    reporter: Reporter,
) -> tuple[int, int, int]:
    """Write what each work cites. Returns how many works cite, how many references there are,
    and how many were left out because nothing names them."""
    count, order, rows, starts, cited, works = given
    offsets = np.zeros(count + 1, dtype=np.int64)
    papers = total = nameless = place = 0
    with _ArrayStream(folder / REFERENCES, np.uint32) as stream:
        while place < len(order):
            row, first = int(rows[order[place]]), place
            while place < len(order) and rows[order[place]] == row:
                place += 1
            numbers = np.concatenate(
                [cited[starts[line] : starts[line + 1]] for line in order[first:place].tolist()]
            )
            numbers = np.minimum(numbers, len(works) - 1)  # what is unusable is the last
            nameless += int(unnamed[numbers].sum())
            targets = np.unique(works[numbers])
            targets = targets[(targets >= 0) & (targets != row)]
            offsets[row + 1] = len(targets)
            papers += len(targets) > 0
            total += len(targets)
            stream.write(targets)
            if place % 4096 == 0:
                reporter.progress("Writing references", place, len(order) + 1)
    reporter.progress("Writing references", 1, 1)
    np.save(folder / REFERENCE_OFFSETS, np.cumsum(offsets))
    return papers, total, nameless


def _write_citations(folder: Path, count: int, reporter: Reporter) -> None:
    """Write the transpose of the references: what cites each work, ascending."""
    references = np.load(folder / REFERENCES, mmap_mode="r")
    starts = np.load(folder / REFERENCE_OFFSETS)
    counts = np.zeros(count, dtype=np.int64)
    for start in range(0, len(references), BLOCK):  # bincount makes 8 bytes of each
        counts += np.bincount(references[start : start + BLOCK], minlength=count)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    places = offsets[:-1].copy()
    citing = np.empty(len(references), dtype=np.uint32)
    for row in np.flatnonzero(np.diff(starts)).tolist():
        targets = references[starts[row] : starts[row + 1]]
        citing[places[targets]] = row
        places[targets] += 1
        if row % 65_536 == 0:
            reporter.progress("Writing citations", row, count + 1)
    reporter.progress("Writing citations", 1, 1)
    np.save(folder / CITATIONS, citing)
    np.save(folder / CITATION_OFFSETS, offsets)

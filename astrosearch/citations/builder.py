"""From records of works and what they cite to a graph on disk, in bounded memory.

Twenty million references take some 20 bytes each while they are read, and every work some 170. A
work that goes by several names is one work if a record says so.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

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
"""Beginning of the keys that are dropped: numbers that mean nothing without the file that names
them."""

BLOCK = 2**20
"""References that are written at a time."""

_UNKNOWN, _UNUSABLE = 2**32 - 2, 2**32 - 1
"""In the place of a number: one that was not named yet, and a text that is not an identifier."""


Name = str | int
"""An identifier, or a number of AstroMLab-5."""


class GraphBuilder:
    """Collects references. Works are numbered as they come; at the end by their digests."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        """By every name that was read, and by every key."""
        self._astromlab = array("I")
        """By the numbers of AstroMLab-5, which are as many as there are works."""
        self._keys: list[str] = []
        """The key of each work that says most."""
        self._same: dict[int, int] = {}
        """Works that turned out to be another, when both had come."""
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

    def add(self, names: Sequence[Name], references: Sequence[Name]) -> bool:
        """A work by all of its names, and the works that it cites, each by one name.

        Returns:
            Whether it cites anything.
        """
        number = self._number(names[0]) if len(names) == 1 else self._united(names)
        if number == _UNUSABLE:
            self.refuse("a work without an identifier", ", ".join(map(str, names)) or "nothing")
            return False
        cited = [self._number(name) for name in references]
        if not cited:
            return False
        self._citing.append(number)
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
            self._united([paper_id, doi])

    def _known(self, name: Name) -> int | None:
        if isinstance(name, str):
            return self._numbers.get(name)
        number = self._astromlab[name] if name < len(self._astromlab) else _UNKNOWN
        return None if number == _UNKNOWN else number

    def _keep(self, name: Name, number: int) -> None:
        if isinstance(name, str):
            self._numbers[name] = number
            return
        if name >= len(self._astromlab):
            self._astromlab.extend([_UNKNOWN] * (name + 1 - len(self._astromlab)))
        self._astromlab[name] = number

    def _number(self, name: Name) -> int:
        """The number of a work; a new one if it was never named."""
        number = self._known(name)
        if number is None:
            key = _key(name)
            if key is None:
                self.refuse(_NO_KEY, str(name))
                self._keep(name, _UNUSABLE)
                return _UNUSABLE
            number = self._numbers.get(key)
            if number is None:
                number = len(self._keys)
                self._keys.append(key)
                if isinstance(name, str):
                    self._numbers[key] = number
            if name != key:
                self._keep(name, number)
        elif number == _UNUSABLE:
            self.refused[_NO_KEY] += 1
        return number

    def _united(self, names: Sequence[Name]) -> int:
        """The number of a work that has several names."""
        keys = {name: key for name in names if (key := _key(name)) is not None}
        if not keys:
            return _UNUSABLE
        known = {
            self._root(number)
            for name, key in keys.items()
            for number in (self._known(name), self._numbers.get(key))
            if number is not None
        }
        best = min(keys.values(), key=rank_of)
        number = min(known, key=lambda each: rank_of(self._keys[each])) if known else None
        if number is None:
            number = len(self._keys)
            self._keys.append(best)
        elif rank_of(best) < rank_of(self._keys[number]):
            self._keys[number] = best
        for other in known - {number}:
            self._same[other] = number
        for name, key in keys.items():
            self._keep(name, number)
            if isinstance(name, str) and key != name:
                self._numbers[key] = number
        return number

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
        works, is_unnamed = self._write_works(folder)
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)
        lines = _Lines(
            works[np.frombuffer(self._citing, dtype=np.uint32)],
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.frombuffer(self._cited, dtype=np.uint32),
        )
        count = int(works.max(initial=-1)) + 1
        papers, total, unnamed = _write_references(
            folder, count, lines, works, is_unnamed, reporter
        )
        if unnamed:
            self.refused["a number that no file names"] += unnamed
        if not total:
            return None
        del lengths, lines
        self._citing, self._lengths, self._cited = array("I"), array("I"), array("I")
        _write_citations(folder, count, reporter)
        about = About(count, papers, total, tuple(sources))
        (folder / ABOUT).write_bytes(about.encode())
        return about

    def _write_works(self, folder: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Write the keys. Returns for each number, and one more for what is unusable, its work or
        -1; and whether it is only a number that nothing names."""
        self._numbers, self._astromlab = {}, array("I")
        count = len(self._keys)
        roots = np.arange(count + 1)
        for number in self._same:
            roots[number] = self._root(number)
        is_unnamed = np.zeros(count + 1, dtype=bool)
        is_unnamed[:count] = np.fromiter(
            (key.startswith(NO_NAME) for key in self._keys), bool, count
        )
        used = np.flatnonzero((roots[:count] == np.arange(count)) & ~is_unnamed[:count])
        digests = np.fromiter((digest(self._keys[number]) for number in used), np.uint64, len(used))
        order = np.argsort(digests, kind="stable")
        np.save(folder / WORKS, digests[order])
        offsets = np.zeros(len(used) + 1, dtype=np.int64)
        with (folder / KEYS).open("wb") as stream:
            for place, number in enumerate(used[order], start=1):
                offsets[place] = offsets[place - 1] + stream.write(self._keys[number].encode())
        np.save(folder / KEY_OFFSETS, offsets)
        works = np.full(count + 1, -1, dtype=np.int64)
        works[used[order]] = np.arange(len(used))
        self._keys, self._same = [], {}
        return works[roots], is_unnamed[roots]


def _key(name: Name) -> str | None:
    return key_of(name) if isinstance(name, str) else f"{NO_NAME}{name}"


_NO_KEY = "no identifier that is known"


class _ArrayStream:
    """An .npy file of uint32 whose length is known only at its end."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._count = 0
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        # It is padded so that any count fits in the place of 0.
        shape = {"descr": "<u4", "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(self._stream, shape)

    def write(self, values: NDArray[np.int64]) -> None:
        self._stream.write(values.astype("<u4").tobytes())
        self._count += len(values)


class _Lines(NamedTuple):
    """What was collected: m lines with e references."""

    citing: NDArray[np.int64]
    """(m,) the work that cites, -1 for none."""
    starts: NDArray[np.int64]
    """(m + 1,) where the references of a line begin."""
    cited: NDArray[np.uint32]
    """(e,) numbers of what is cited."""

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """Lines by the works that cite; all lines of a work are in one block."""
        order = np.argsort(self.citing, kind="stable")
        order = order[self.citing[order] >= 0]
        ends = np.cumsum(self.starts[order + 1] - self.starts[order])
        first = 0
        while first < len(order):
            done = ends[first - 1] if first else 0
            last = int(np.searchsorted(ends, done + BLOCK)) + 1
            last = min(last, len(order))
            last = int(np.searchsorted(self.citing[order], self.citing[order[last - 1]], "right"))
            yield order[first:last]
            first = last


def _write_references(
    folder: Path,
    count: int,
    lines: _Lines,
    works: NDArray[np.int64],
    is_unnamed: NDArray[np.bool_],
    reporter: Reporter,
) -> tuple[int, int, int]:
    """Write what each of `count` works cites. Returns how many works cite, how many references
    there are, and how many were left out because nothing names them."""
    counts = np.zeros(count + 1, dtype=np.int64)
    total = unnamed = 0
    with _ArrayStream(folder / REFERENCES) as stream:
        for block in lines.blocks():
            reporter.progress("Writing references", total, len(lines.cited) + 1)
            lengths = lines.starts[block + 1] - lines.starts[block]
            shifts = lines.starts[block] - np.concatenate([[0], np.cumsum(lengths)[:-1]])
            places = np.repeat(shifts, lengths) + np.arange(lengths.sum())
            numbers = np.minimum(lines.cited[places], len(works) - 1)  # the last is unusable
            unnamed += int(is_unnamed[numbers].sum())
            rows, targets = np.repeat(lines.citing[block], lengths), works[numbers]
            kept = (targets >= 0) & (targets != rows)
            pairs = np.sort(rows[kept] << 32 | targets[kept])
            pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]]
            np.add.at(counts, (pairs >> 32) + 1, 1)
            total += len(pairs)
            stream.write(pairs & (2**32 - 1))
    reporter.progress("Writing references", 1, 1)
    np.save(folder / REFERENCE_OFFSETS, np.cumsum(counts))
    return int((counts > 0).sum()), total, unnamed


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

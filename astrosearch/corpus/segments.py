"""The papers of an index that has grown: several papers.sqlite, read as one table.

Each file holds a range of rows. A paper that was replaced or withdrawn is dead: its row stays, and
nothing finds it any more.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.filters import Filters
from astrosearch.corpus.recency import ends, recency
from astrosearch.corpus.store import Corpus, Match, Part, blocks, with_change
from astrosearch.errors import IndexDamaged, NothingFound
from astrosearch.papers import Paper

if TYPE_CHECKING:
    from astrosearch.text.bibcode import Bibcode

Rows = NDArray[np.int64]

_Value = TypeVar("_Value")


class Facets(NamedTuple):
    """How many papers there are of each kind."""

    years: dict[int, int]
    """By the year of the first version, ascending."""
    categories: dict[str, int]
    """By category, the commonest first; a paper counts in each of its own."""


class SegmentedCorpus:
    """The papers of an index, read-only, by row or by id. Several threads may read at once.

    A file is opened when something of it is first needed.
    """

    def __init__(self, parts: Sequence[Part], dead: Rows) -> None:
        """
        Args:
            parts: in the order of their rows, without a gap; at least one.
            dead: (m,) rows, ascending, of papers that were replaced or withdrawn.

        Raises:
            IndexDamaged: if the first file is missing, or is not a table of papers. The others
                raise it when they are opened.
        """
        self._parts = tuple(parts)
        self._firsts = np.array([part.first for part in parts], dtype=np.int64)
        self._dead = dead
        self._dead_set = frozenset(dead.tolist())
        self._opened: dict[int, Corpus] = {}
        self._lock = threading.Lock()
        self._corpus(0)

    def __len__(self) -> int:
        """The number of papers, without the dead."""
        return sum(part.rows for part in self._parts) - len(self._dead)

    def __iter__(self) -> Iterator[Paper]:
        """All papers in the order of rows, streamed."""
        for _, paper in self.numbered():
            yield paper

    def numbered(self) -> Iterator[tuple[int, Paper]]:
        """All papers with their rows, in the order of rows, streamed."""
        for number, part in enumerate(self._parts):
            for row, paper in self._corpus(number).numbered():
                if row + part.first not in self._dead_set:
                    yield row + part.first, paper

    def close(self) -> None:
        """Close all files; one that is still in use is closed by its thread."""
        for corpus in self._opened.values():
            corpus.close()

    def ids(self) -> dict[str, int]:
        """The row of each paper by its id, without reading the papers themselves."""
        rows = {}
        for number, part in enumerate(self._parts):
            for paper_id, row in self._corpus(number).ids().items():
                if row + part.first not in self._dead_set:
                    rows[paper_id] = row + part.first
        return rows

    def papers(self, rows: Sequence[int]) -> list[Paper]:
        """The papers of `rows`, in that order."""
        return self._of_rows(Corpus.papers, rows)

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """The ids of the papers of `rows`, in that order."""
        return self._of_rows(Corpus.ids_of, rows)

    def _of_rows(
        self, read: Callable[[Corpus, list[int]], list[_Value]], rows: Sequence[int]
    ) -> list[_Value]:
        """What each file says of those of its rows, in the order of `rows`."""
        if len(self._parts) == 1:
            return read(self._corpus(0), list(rows))
        values: dict[int, _Value] = {}
        for number, local in self._split(np.unique(np.asarray(rows, dtype=np.int64))):
            first = self._parts[number].first
            found = read(self._corpus(number), local.tolist())
            values |= zip((local + first).tolist(), found, strict=True)
        return [values[row] for row in rows]

    def stream(self, rows: Iterable[int]) -> Iterator[Paper]:
        """The papers of `rows`, in that order, a block in memory at a time."""
        for block in blocks(rows):
            yield from self.papers(block)

    def row_of(self, paper_id: str) -> int:
        """
        Raises:
            NothingFound: if the paper is not in this index; it names those spelled much like it.
        """
        row = self.find(paper_id)
        if row is None:
            near = self._spelled_like(paper_id)
            hint = f"; spelled much like it: {', '.join(near)}" if near else ""
            raise NothingFound(f"{paper_id} is not in this index of {len(self):,} papers{hint}")
        return row

    def find(self, paper_id: str) -> int | None:
        """The row of a paper; None if it is not in this index."""
        for number in reversed(range(len(self._parts))):
            row = self._corpus(number).find(paper_id)
            if row is not None and row + self._parts[number].first not in self._dead_set:
                return row + self._parts[number].first
        return None

    def row_of_doi(self, doi: str) -> int | None:
        """The first row of a DOI, in any case; None if no paper has it."""
        for number, part in enumerate(self._parts):
            for row in self._corpus(number).rows_of_doi(doi):
                if row + part.first not in self._dead_set:
                    return row + part.first
        return None

    def ids_of_dois(self, dois: Collection[str]) -> dict[str, str]:
        """The identifiers of the papers that have these DOIs, by DOI in lower case. It reads the
        DOIs of all papers, once."""
        wanted = {doi.lower() for doi in dois}
        ids: dict[str, str] = {}
        if wanted:
            for paper_id, found in self.having_doi():
                for doi in wanted.intersection(found.lower().split()):
                    ids.setdefault(doi, paper_id)
        return ids

    def having_doi(self) -> Iterator[tuple[str, str]]:
        """Identifier and DOI, or several, of each paper that has one, streamed."""
        for number, part in enumerate(self._parts):
            for row, paper_id, found in self._corpus(number).having_doi():
                if row + part.first not in self._dead_set:
                    yield paper_id, found

    def row_of_bibcode(self, code: "Bibcode") -> int | None:
        """The first row of the paper that a journal's bibcode stands for, as far as journal
        references and DOIs tell; None if none is known to have it."""
        from astrosearch.text.bibcode import is_bibcode_of

        is_apart = len(code.volume) != 2  # JCAP 1507:023 is volume 07 of 2015
        for number, part in enumerate(self._parts):
            corpus = self._corpus(number)
            rows = corpus.rows_published_in(code.volume, code.number, is_apart=is_apart)
            for row, paper in zip(rows, corpus.stream(rows), strict=True):
                if row + part.first not in self._dead_set and is_bibcode_of(code, paper):
                    return row + part.first
        return None

    def newest(self, k: int, rows: Rows | None) -> Rows:
        """The `k` newest papers by the day of their first version, newest first; of one day the
        last row first.

        Args:
            rows: those that count, ascending; None for all.
        """
        newest = []
        for number, part in enumerate(self._parts):
            local = self._alive(number) if rows is None else self._local(number, rows)
            if local is None or len(local):
                dated = self._corpus(number).newest(k, local)
                newest.append([(day, row + part.first) for day, row in dated])
        best = islice(merge(*newest, reverse=True), k)
        return np.array([row for _, row in best], dtype=np.int64)

    def rows_matching(self, filters: Filters) -> Rows | None:
        """Rows of the papers that pass, ascending; None if the filters ask for nothing."""
        matching = []
        for number, part in enumerate(self._parts):
            rows = self._corpus(number).rows_matching(filters)
            if rows is None:
                return None
            matching.append(rows + part.first)
        rows = np.concatenate(matching)
        return rows[np.isin(rows, self._dead, invert=True)] if len(self._dead) else rows

    def facets(self, filters: Filters) -> Facets:
        """How many papers pass, by year and by category."""
        years: Counter[int] = Counter()
        categories: Counter[str] = Counter()
        for number in range(len(self._parts)):
            dead = self._local(number, self._dead)
            counts = self._corpus(number).years_and_categories(filters, dead)
            for year, names, count in counts:
                years[int(year)] += count
                for name in names.split():
                    categories[name] += count
        return Facets(dict(sorted(years.items())), dict(categories.most_common()))

    def span(self) -> tuple[str, str]:
        """Days of the first and the last paper, YYYY-MM-DD."""
        spans = [
            self._corpus(number).span(self._alive(number)) for number in range(len(self._parts))
        ]
        return min(first for first, _ in spans if first), max(last for _, last in spans)

    def withdrawn(self) -> dict[str, tuple[int, str]]:
        """The papers that were withdrawn: version and day of the withdrawal by id."""
        marks: dict[str, tuple[int, str]] = {}
        for number in range(len(self._parts)):
            for paper_id, mark in self._corpus(number).withdrawn().items():
                marks[paper_id] = max(mark, marks.get(paper_id, mark))
        return marks

    def matches(self, papers: Corpus) -> Iterator[tuple[int, Match]]:
        """The papers that another file has, too, by id: each with the first row of its part."""
        for part in self._parts:
            for match in papers.matches(part.path):
                if part.first + match.other_row not in self._dead_set:
                    yield part.first, match

    def rows_without(self, papers: Corpus) -> Rows:
        """Rows, ascending, of the papers that another file does not have, by id."""
        rows = [
            self._corpus(number).rows_without(papers.path) + part.first
            for number, part in enumerate(self._parts)
        ]
        return np.setdiff1d(np.concatenate(rows), self._dead, assume_unique=True)

    def rows_withdrawn_by(self, marks: Mapping[str, tuple[int, str]]) -> Rows:
        """Rows, ascending, of the papers that marks of withdrawal take out: version and day by id;
        a record that is later than the mark stays."""
        rows = []
        present = self.rows_of(marks)
        for paper in self.papers(list(present.values())):
            version, day = recency(paper)
            if ends(marks[paper.id], (version, day.isoformat())):
                rows.append(present[paper.id])
        return np.array(sorted(rows), dtype=np.int64)

    def rows_of(self, ids: Collection[str]) -> dict[str, int]:
        """The row of each paper that is in this index."""
        rows = {}
        for number, part in enumerate(self._parts):
            for paper_id, row in self._corpus(number).rows_of(ids).items():
                if row + part.first not in self._dead_set:
                    rows[paper_id] = row + part.first
        return rows

    def digest(self, rows: Rows) -> str:
        """`Corpus.digest` of some rows, ascending."""
        digest = f"{0:064x}"
        for number, local in self._split(rows):
            digest = with_change(digest, self._corpus(number).digest(local), f"{0:064x}")
        return digest

    def paths(self) -> list[Part]:
        """The files, in the order of their rows."""
        return list(self._parts)

    def _corpus(self, number: int) -> Corpus:
        with self._lock:
            if number not in self._opened:
                self._opened[number] = self._open(number)
            return self._opened[number]

    def _open(self, number: int) -> Corpus:
        part = self._parts[number]
        corpus = Corpus(part.path)
        # A merge leaves dead rows out, so the last ones may be missing.
        has_dead = len(self._local(number, self._dead)) > 0
        if len(corpus) > part.rows or (len(corpus) < part.rows and not has_dead):
            corpus.close()
            raise IndexDamaged(
                f"{part.path} has {len(corpus):,} rows, the manifest says {part.rows:,}",
                remedy="build-again",
            )
        return corpus

    def _split(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Ascending rows by file: its number, and the rows there."""
        places = np.searchsorted(self._firsts, rows, side="right") - 1
        for number in np.flatnonzero(np.bincount(places, minlength=1)).tolist():
            yield number, rows[places == number] - self._firsts[number]

    def _local(self, number: int, rows: Rows) -> Rows:
        """Those of ascending rows that are in a file, as rows there."""
        part = self._parts[number]
        start, end = np.searchsorted(rows, [part.first, part.first + part.rows])
        return rows[start:end] - part.first

    def _alive(self, number: int) -> Rows | None:
        """The rows of a file that are not dead; None if all are alive."""
        dead = self._local(number, self._dead)
        if not len(dead):
            return None
        alive = np.ones(self._parts[number].rows, dtype=bool)
        alive[dead] = False
        return np.flatnonzero(alive)

    def _spelled_like(self, paper_id: str) -> list[str]:
        """Up to three ids that share half of an id and are near to it as a whole."""
        ids = {
            candidate
            for number in range(len(self._parts))
            for candidate in self._corpus(number).ids_sharing_half(paper_id)
        }
        near = get_close_matches(paper_id, sorted(ids), n=9, cutoff=0.85)
        return [candidate for candidate in near if self.find(candidate) is not None][:3]

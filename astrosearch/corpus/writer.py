"""How papers get into papers.sqlite, all of them or a sample."""

import hashlib
import heapq
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.parsing import Row, row_of
from astrosearch.corpus.recency import ends, recency, withdrawal
from astrosearch.corpus.store import FIELDS, INDEXES, SCHEMA, Part, paper_from_fields, read_only
from astrosearch.papers import Paper

_INSERT = f"INSERT OR IGNORE INTO papers VALUES (?, {', '.join('?' * len(Row._fields))})"

Lost = Literal["earlier", "later"]
"""Which of two records of a paper gave way, by the order in which they came."""


class CorpusWriter:
    """Fills a new papers.sqlite; rows are numbered 0, 1, … in order of arrival.

    With `sample`, the table is a reservoir: it ends with the `sample` papers whose hash with
    `seed` is smallest, a uniform choice that depends neither on order nor on memory.
    """

    def __init__(self, path: Path, *, sample: int | None = None, seed: int = 0) -> None:
        path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        # The file is worthless until its build is whole, so it need not survive a crash.
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        self._db.execute("BEGIN")
        self._sample = sample
        self._seed = seed
        self._largest: list[tuple[int, int]] = []  # heap of (-draw, row), for the reservoir
        self._withdrawn: dict[str, tuple[int, date]] = {}
        self.count = 0

    def add(self, paper: Paper) -> Lost | None:
        """`add_row` with the row of a paper."""
        return self.add_row(row_of(paper))

    def add_row(self, paper: Row) -> Lost | None:
        """Take one paper in; of two records of one paper the later stays: that of the higher
        version, of one version that of the later day, of one day the one that comes later.

        Returns:
            Which record lost if the paper was here before, else None.
        """
        if self._sample is not None:
            return self._draw(paper, self._sample)
        if not self._insert(self.count, paper):
            return self._settle(paper)
        self.count += 1
        return None

    def _draw(self, paper: Row, sample: int) -> Lost | None:
        """`add_row` with the table as a reservoir."""
        draw = self._draw_of(paper.id)
        if self.count < sample:
            if not self._insert(self.count, paper):
                return self._settle(paper)
            heapq.heappush(self._largest, (-draw, self.count))
            self.count += 1
            return None
        largest, row = self._largest[0]
        if draw > -largest:
            return None
        if self._db.execute("SELECT 1 FROM papers WHERE id = ?", (paper.id,)).fetchone():
            return self._settle(paper)
        self._replace(row, paper)
        heapq.heapreplace(self._largest, (-draw, row))
        return None

    def _draw_of(self, paper_id: str) -> int:
        text = f"{self._seed}:{paper_id}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())

    def _settle(self, paper: Row) -> Lost:
        """Keep the later of two records of one paper; tells which the other is."""
        row, version, updated, published = self._db.execute(
            "SELECT row, version, updated, published FROM papers WHERE id = ?", (paper.id,)
        ).fetchone()
        recency = (paper.version or 0, paper.updated or paper.published)
        if recency < (version or 0, updated or published):
            return "later"
        self._replace(row, paper)
        return "earlier"

    def withdraw(self, paper: Paper) -> None:
        """Take a paper out that was withdrawn, unless a later record of it comes or has come."""
        self._mark(paper.id, withdrawal(paper))

    def mark(self, paper_id: str, version: int, day: date) -> None:
        """`withdraw` by what another file has kept of a withdrawal."""
        self._mark(paper_id, (version, day))

    def _mark(self, paper_id: str, mark: tuple[int, date]) -> None:
        self._withdrawn[paper_id] = max(mark, self._withdrawn.get(paper_id, mark))

    def has_mark(self, paper_id: str) -> bool:
        """Whether a paper was withdrawn and no later record brought it back, once the file is
        whole; of a sample only if the paper would be in it."""
        if paper_id not in self._withdrawn:
            return False
        is_sampled = self._sample is not None and len(self._largest) == self._sample
        return not is_sampled or self._draw_of(paper_id) <= -self._largest[0][0]

    def finish(self) -> None:
        """Make the file whole; one that was not finished holds nothing."""
        self._take_out_withdrawn()
        for statement in INDEXES:
            self._db.execute(statement)
        self._db.execute("COMMIT")

    def _take_out_withdrawn(self) -> None:
        """Leave out the withdrawn papers, and keep a mark for each: an earlier record of it that
        comes with a later update must not bring it back."""
        gaps: list[int] = []
        for paper_id, (version, day) in [*self._withdrawn.items()]:
            row = self._db.execute(
                f"SELECT row, {FIELDS} FROM papers WHERE id = ?", (paper_id,)
            ).fetchone()
            if row and not ends((version, day), recency(paper_from_fields(row[1:]))):
                del self._withdrawn[paper_id]
                continue
            mark = (paper_id, version, day.isoformat())
            self._db.execute("INSERT INTO withdrawn VALUES (?, ?, ?)", mark)
            if row:
                self._db.execute("DELETE FROM papers WHERE row = ?", (row[0],))
                gaps.append(row[0])
        # Rows stay in order and without a gap: each moves down by the gaps before it.
        gaps.sort()
        for shift, gap in enumerate(gaps, start=1):
            end = gaps[shift] if shift < len(gaps) else self.count
            for row in range(gap + 1, end):
                self._db.execute("UPDATE papers SET row = ? WHERE row = ?", (row - shift, row))
        self.count -= len(gaps)

    def close(self) -> None:
        self._db.close()

    def _replace(self, row: int, paper: Row) -> None:
        self._db.execute("DELETE FROM papers WHERE row = ?", (row,))
        self._insert(row, paper)

    def _insert(self, row: int, paper: Row) -> bool:
        """Whether the row was written: it is not if the paper is here already."""
        return self._db.execute(_INSERT, (row, *paper)).rowcount == 1


def merge_files(
    target: Path, parts: Sequence[Part], dead: NDArray[np.int64], *, dense: bool
) -> None:
    """Write one papers.sqlite with the papers of several, in the same order, but the dead.

    Args:
        parts: in the order of their rows.
        dead: rows, ascending.
        dense: whether rows are numbered without a gap; else each keeps its distance from the first.
    """
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target, isolation_level=None, uri=True)) as db:
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        db.execute("CREATE TEMP TABLE dead (row INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO dead VALUES (?)", ((row,) for row in dead.tolist()))
        count = 0
        for part in parts:
            db.execute("ATTACH ? AS part", (read_only(part.path),))
            names = [name for _, name, *_ in db.execute("PRAGMA part.table_info(papers)")]
            names.remove("row")
            columns = ", ".join(names)
            number = f"{count} - 1 + row_number() OVER (ORDER BY row)"
            row = number if dense else f"row + {part.first - parts[0].first}"
            db.execute("BEGIN")
            count += db.execute(
                f"INSERT INTO papers (row, {columns}) SELECT {row}, {columns} FROM part.papers "
                f"WHERE row + {part.first} NOT IN (SELECT row FROM dead) ORDER BY part.papers.row"
            ).rowcount
            if db.execute("SELECT 1 FROM part.sqlite_master WHERE name = 'withdrawn'").fetchone():
                db.execute(
                    "INSERT INTO withdrawn SELECT id, version, day FROM part.withdrawn WHERE true "
                    "ON CONFLICT (id) DO UPDATE SET version = excluded.version, day = excluded.day "
                    "WHERE (excluded.version, excluded.day) > (version, day)"
                )
            db.execute("COMMIT")
            db.execute("DETACH part")
        for statement in INDEXES:
            db.execute(statement)

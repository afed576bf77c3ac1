"""The papers of an index in row order: papers.sqlite, read by any number of threads."""

import hashlib
import os
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.corpus.filters import Filters
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.papers import Paper, TextHash, text_hash
from astrosearch.text.author_match import AuthorQuery

SCHEMA = """
CREATE TABLE papers (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    abstract TEXT NOT NULL,
    authors TEXT NOT NULL,
    categories TEXT NOT NULL,
    published TEXT NOT NULL,
    updated TEXT,
    doi TEXT,
    version INTEGER,
    is_summary INTEGER NOT NULL,
    author_words TEXT NOT NULL,
    text_sha256 BLOB NOT NULL,
    journal_ref TEXT
);
CREATE TABLE withdrawn (id TEXT PRIMARY KEY, version INTEGER NOT NULL, day TEXT NOT NULL)
"""
INDEXES = (
    "CREATE INDEX filters ON papers (published, categories, author_words)",
    "CREATE INDEX published_in ON papers (doi, journal_ref)",
)
"""What lets filters, DOIs and bibcodes be looked up without reading the abstracts; made when all
papers are there."""

FIELDS = "id, title, abstract, authors, categories, published, updated, doi, version, is_summary"
"""The columns of a `Paper`, in the order that `paper_from_fields` takes."""

_COLUMNS = {*FIELDS.split(", "), "row", "author_words", "text_sha256"}
_COMPARED = " AND ".join(f"ours.{name} IS theirs.{name}" for name in FIELDS.split(", "))
_RECENCY = "ifnull({0}.version, 0), ifnull({0}.updated, {0}.published)"

DIGESTS = 2**256

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_Field = TypeVar("_Field")
_Value = TypeVar("_Value")
_BLOCK = 500
"""Rows or ids asked for at a time; SQLite's own limit is 32,766 arguments."""

OFTEN, MOST_KEPT = 4, 400_000
"""From how many requests on the ids of a file are kept in memory, and of how many papers at most:
30 MB. (Reading those of 56,307 papers takes 30 ms, those of a query's candidates 1 ms.)"""


class Part(NamedTuple):
    """A file of papers and its rows in an index."""

    path: Path
    first: int
    """The row of the index that row 0 of the file is."""
    rows: int
    """How many rows it has, dead ones among them."""


class Match(NamedTuple):
    """A paper that two files have."""

    row: int
    """In this file."""
    other_row: int
    is_same: bool
    """Whether all fields are equal."""
    has_same_text: bool
    """Whether title and abstract are equal."""
    other_recency: tuple[int, str]
    """Version and day of the other file's record."""


class Corpus:
    """The papers of a built index, read-only, by row or by id.

    It can be used by several threads at once. Each operation takes a connection of its own from
    those that are idle, or opens one.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            IndexDamaged: if the file is missing, or is not a table of papers.
        """
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        # A connection refers to itself: one that is dropped stays open until Python looks for
        # cycles, and an index that is opened anew every minute leaves hundreds of them.
        weakref.finalize(self, _close_all, self._idle)
        self._closed = False
        self._reading_ids = threading.Lock()
        """Vectors and words are searched by two threads: one connection is enough for both."""
        self._asked = 0
        self._ids: list[str | None] | None = None
        try:
            with self._connection() as db:
                columns = _columns(db, "main")
                # Indexes of earlier versions lack it.
                self._fields = FIELDS + (", journal_ref" if "journal_ref" in columns else "")
                if not columns >= _COLUMNS:
                    raise IndexDamaged(f"{path} is not a table of papers", remedy="build-again")
                # Rows are numbered from 0 without a gap; counting them would read them all.
                (self._count,) = db.execute(
                    "SELECT ifnull(max(row), -1) + 1 FROM papers"
                ).fetchone()
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path:
        return self._path

    def __len__(self) -> int:
        return int(self._count)

    def __iter__(self) -> Iterator[Paper]:
        """All papers in row order, streamed."""
        for _, paper in self.numbered():
            yield paper

    def numbered(self) -> Iterator[tuple[int, Paper]]:
        """All papers with their rows, in row order, streamed."""
        query = f"SELECT row, text_sha256, {self._fields} FROM papers ORDER BY row"
        with self._connection() as db, closing(db.execute(query)) as rows:
            for row, digest, *fields in rows:
                yield row, self._paper(fields, digest)

    def close(self) -> None:
        """Close all connections; one that is still in use is closed by its thread."""
        self._closed = True
        _close_all(self._idle)

    def ids(self) -> dict[str, int]:
        """The row of each paper by its id, without a look at the papers themselves."""
        with self._connection() as db:
            return dict(db.execute("SELECT id, row FROM papers"))

    def papers(self, rows: Sequence[int]) -> list[Paper]:
        """The papers of `rows`, in that order."""
        papers = {}
        for block in blocks(map(int, rows)):
            marks = ",".join("?" * len(block))
            query = f"SELECT row, text_sha256, {self._fields} FROM papers WHERE row IN ({marks})"
            with self._connection() as db:
                for row, digest, *fields in db.execute(query, block):
                    papers[row] = self._paper(fields, digest)
        if missing := set(rows) - set(papers):
            raise self._lacks(min(missing))
        return [papers[row] for row in rows]

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """The ids of the papers of `rows`, in that order. Who asks often is answered from memory,
        unless there are too many papers for that."""
        with self._reading_ids:
            self._asked += 1
            if self._asked > OFTEN and self._count <= MOST_KEPT:
                if self._ids is None:
                    kept: list[str | None] = [None] * self._count
                    for paper_id, row in self.ids().items():
                        kept[row] = paper_id
                    self._ids = kept
                known = [self._ids[row] if row < self._count else None for row in rows]
                if None in known:
                    raise self._lacks(rows[known.index(None)])
                return cast("list[str]", known)
            ids: dict[int, str] = {}
            for block in blocks(rows):
                marks = ",".join("?" * len(block))
                with self._connection() as db:
                    ids |= db.execute(f"SELECT row, id FROM papers WHERE row IN ({marks})", block)
            if missing := set(rows) - set(ids):
                raise self._lacks(min(missing))
            return [ids[row] for row in rows]

    def stream(self, rows: Iterable[int]) -> Iterator[Paper]:
        """The papers of `rows`, in that order, a block in memory at a time."""
        for block in blocks(rows):
            yield from self.papers(block)

    def find(self, paper_id: str) -> int | None:
        """The row of a paper; None if it is not in this file."""
        with self._connection() as db:
            row = db.execute("SELECT row FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return None if row is None else int(row[0])

    def rows_of_doi(self, doi: str) -> list[int]:
        """The rows of a DOI, in any case, ascending."""
        query = "SELECT row FROM papers WHERE instr(' ' || lower(doi) || ' ', ?) ORDER BY row"
        with self._connection() as db:
            return [row for (row,) in db.execute(query, (f" {doi.lower()} ",))]

    def having_doi(self) -> Iterator[tuple[int, str, str]]:
        """Row, identifier and DOI, or several, of each paper that has one, streamed."""
        query = "SELECT row, id, doi FROM papers WHERE doi IS NOT NULL ORDER BY row"
        with self._connection() as db, closing(db.execute(query)) as rows:
            yield from rows

    def rows_published_in(self, volume: str, page: str, *, is_apart: bool) -> list[int]:
        """The rows, ascending, of the papers whose journal reference or DOI has the digits of a
        volume and of a page: few papers, one of which may be meant.

        Args:
            is_apart: whether no digit may stand beside those of the volume.
        """
        if "journal_ref" not in self._fields:
            return []
        volume = f"[^0-9]{volume}[^0-9]" if is_apart else volume
        query = """
            SELECT row FROM papers
            WHERE ' ' || ifnull(journal_ref, '') || ' ' || ifnull(doi, '') || ' ' GLOB ?1
            AND ifnull(journal_ref, '') || ' ' || ifnull(doi, '') GLOB ?2 ORDER BY row
            """
        with self._connection() as db:
            return [row for (row,) in db.execute(query, (f"*{volume}*", f"*{page}*"))]

    def newest(self, k: int, rows: NDArray[np.int64] | None) -> list[tuple[str, int]]:
        """The `k` newest papers by the day of their first version, YYYY-MM-DD, and their rows;
        newest first, of one day the last row first.

        Args:
            rows: those that count; None for all.
        """
        return self._by_day("DESC", k, rows)

    def _by_day(self, order: str, k: int, rows: NDArray[np.int64] | None) -> list[tuple[str, int]]:
        """The days of the first versions of the first `k` papers and their rows."""
        counting = None if rows is None else set(rows.tolist())
        first: list[tuple[str, int]] = []
        query = f"SELECT published, row FROM papers ORDER BY published {order}, row {order}"
        with self._connection() as db, closing(db.execute(query)) as dated:
            for day, row in dated:
                if len(first) == k:
                    break
                if counting is None or row in counting:
                    first.append((day, row))
        return first

    def ids_sharing_half(self, paper_id: str) -> list[str]:
        """Ids that begin or end as an id does, with half of its letters."""
        half = len(paper_id) // 2
        query = "SELECT id FROM papers WHERE id LIKE ? OR id LIKE ?"
        halves = (f"{paper_id[:half]}%", f"%{paper_id[half:]}")
        with self._connection() as db:
            return [candidate for (candidate,) in db.execute(query, halves)]

    def withdrawn(self) -> dict[str, tuple[int, str]]:
        """The papers whose withdrawal this file records: its version and its day by id."""
        with self._connection() as db:
            if not db.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'withdrawn'"
            ).fetchone():  # files of earlier versions lack the table
                return {}
            marks = db.execute("SELECT id, version, day FROM withdrawn")
            return {paper_id: (version, day) for paper_id, version, day in marks}

    def text_hashes(self, rows: NDArray[np.int64]) -> list[TextHash]:
        query = "SELECT text_sha256 FROM papers WHERE row = ?"
        hashes: list[TextHash] = []
        with self._connection() as db:
            for row in rows.tolist():
                fields = db.execute(query, (row,)).fetchone()
                if fields is None:
                    raise self._lacks(row)
                hashes.append(fields[0])
        return hashes

    def rows_with_texts_of(self, other: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose text stands in another papers.sqlite too: our rows, ascending, and theirs."""
        query = """
            SELECT ours.row, min(theirs.row)
            FROM papers AS ours JOIN other.papers AS theirs USING (text_sha256)
            GROUP BY ours.row ORDER BY ours.row
            """
        with self._connection() as db:
            db.execute("ATTACH ? AS other", (read_only(other),))
            try:
                pairs = db.execute(query).fetchall()
            finally:
                db.execute("DETACH other")
        both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def matches(self, other: Path) -> list[Match]:
        """The papers that are in another papers.sqlite too, by id, in the order of our rows."""
        query = f"""
            SELECT ours.row, theirs.row, {_COMPARED}, ours.text_sha256 = theirs.text_sha256,
                {_RECENCY.format("theirs")}
            FROM papers AS ours JOIN other.papers AS theirs USING (id) ORDER BY ours.row
            """
        with self._connection() as db:
            db.execute("ATTACH ? AS other", (read_only(other),))
            try:
                if "journal_ref" in _columns(db, "other") & _columns(db, "main"):
                    query = query.replace(
                        _COMPARED, f"{_COMPARED} AND ours.journal_ref IS theirs.journal_ref"
                    )
                return [
                    Match(row, their_row, bool(is_same), bool(has_same_text), (version, day))
                    for row, their_row, is_same, has_same_text, version, day in db.execute(query)
                ]
            finally:
                db.execute("DETACH other")

    def recency(self) -> list[tuple[int, str]]:
        """Version and day of each row's record, what is larger for the later of two of a paper."""
        query = f"SELECT {_RECENCY.format('papers')} FROM papers ORDER BY row"
        with self._connection() as db:
            return list(db.execute(query))

    def rows_without(self, other: Path) -> NDArray[np.int64]:
        """Rows, ascending, of the papers that another papers.sqlite does not have, by id."""
        query = "SELECT row FROM papers WHERE id NOT IN (SELECT id FROM other.papers) ORDER BY row"
        with self._connection() as db:
            db.execute("ATTACH ? AS other", (read_only(other),))
            try:
                return np.array([row for (row,) in db.execute(query)], dtype=np.int64)
            finally:
                db.execute("DETACH other")

    def rows_matching(self, filters: Filters) -> NDArray[np.int64] | None:
        """Rows of the papers that pass, ascending; None if the filters ask for nothing."""
        condition, arguments = filters.condition()
        if not condition:
            return None
        author = filters.author_query()
        if author is None:
            # Unordered, so that SQLite reads the filters' index alone and no abstract.
            query = f"SELECT row FROM papers WHERE {condition}"
            with self._connection() as db:
                rows = [row for (row,) in db.execute(query, arguments)]
        else:
            rows = self._rows_by(author, condition, arguments)
        return np.sort(np.array(rows, dtype=np.int64))

    def years_and_categories(
        self, filters: Filters, dead: NDArray[np.int64]
    ) -> Iterator[tuple[str, str, int]]:
        """How many papers pass, by the year of the first version and all their categories.

        Args:
            dead: (m,) rows that do not count.
        """
        condition, arguments = filters.condition()
        if filters.author is not None:
            rows = self.rows_matching(filters)
            condition = "row IN (SELECT value FROM json_each(?))"
            arguments = [orjson.dumps([] if rows is None else rows.tolist()).decode()]
        if len(dead):
            alive = "row NOT IN (SELECT value FROM json_each(?))"
            condition = f"{condition} AND {alive}" if condition else alive
            arguments = [*arguments, orjson.dumps(dead.tolist()).decode()]
        query = f"""
            SELECT substr(published, 1, 4) AS year, trim(categories), count(*) FROM papers
            {f"WHERE {condition}" if condition else ""} GROUP BY 1, 2
            """
        with self._connection() as db:
            yield from db.execute(query, arguments).fetchall()

    def _rows_by(self, author: AuthorQuery, condition: str, arguments: list[str]) -> list[int]:
        """Rows of the papers that pass and have an author."""
        query = f"SELECT row, author_words FROM papers WHERE {condition}"
        rows: list[int] = []
        doubtful: dict[int, list[int]] = {}
        with self._connection() as db:
            for row, lines in db.execute(query, arguments):
                places = author.places(lines)
                if places is None:
                    rows.append(row)
                elif places:
                    doubtful[row] = places
        for row, names in self._authors(sorted(doubtful)):
            if any(author.matches(names[place]) for place in doubtful[row] if place < len(names)):
                rows.append(row)
        return rows

    def _authors(self, rows: Iterable[int]) -> Iterator[tuple[int, list[str]]]:
        """`rows`, each with the names of its authors."""
        for block in blocks(rows):
            marks = ",".join("?" * len(block))
            query = f"SELECT row, authors FROM papers WHERE row IN ({marks})"
            with self._connection() as db:
                fields = db.execute(query, block).fetchall()
            for row, authors in fields:
                yield row, self._read(names_from_field, authors)

    def digest(self, rows: NDArray[np.int64] | None = None) -> str:
        """64 hexadecimal digits that stand for every field of every paper: the sum of their
        sha256, modulo 2^256, so that the order of rows does not count.

        Args:
            rows: those that count; None for all.
        """
        total = 0
        query = f"SELECT {self._fields} FROM papers"
        with self._connection() as db:
            if rows is None:
                selected: Iterable[Sequence[object]] = db.execute(query)
            else:
                by_row = f"{query} WHERE row = ?"
                selected = (
                    fields for row in rows.tolist() for fields in db.execute(by_row, (row,))
                )
            for fields in selected:
                total += int.from_bytes(hashlib.sha256(orjson.dumps(fields)).digest())
        return f"{total % DIGESTS:064x}"

    def rows_of(self, ids: Iterable[str]) -> dict[str, int]:
        """The row of each paper that is here."""
        rows: dict[str, int] = {}
        with self._connection() as db:
            for block in blocks(ids):
                marks = ",".join("?" * len(block))
                rows |= db.execute(f"SELECT id, row FROM papers WHERE id IN ({marks})", block)
        return rows

    def span(self, rows: NDArray[np.int64] | None = None) -> tuple[str, str]:
        """Days of the first and the last paper, YYYY-MM-DD; empty without papers.

        Args:
            rows: those that count; None for all.
        """
        ends = self._by_day("ASC", 1, rows), self._by_day("DESC", 1, rows)
        first, last = (days[0][0] if days else "" for days in ends)
        return first, last

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one operation; here alone is damage told apart from our mistakes."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                raise IndexDamaged(
                    f"{self._path} is damaged ({error})", remedy="build-again"
                ) from None
            if _is_of_the_disk(error):
                raise AstrosearchError(f"{self._path} cannot be read ({error})") from None
            raise
        finally:
            self._idle.append(connection)
            if self._closed:
                _close_all(self._idle)

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        try:
            # Whichever thread takes it: but only one at a time.
            connection = sqlite3.connect(read_only(self._path), uri=True, check_same_thread=False)
        except sqlite3.OperationalError as error:
            if self._path.exists() and not os.access(self._path, os.R_OK):
                raise AstrosearchError(f"{self._path} cannot be read: Permission denied") from None
            raise IndexDamaged(
                f"{self._path} cannot be opened ({error})", remedy="build-again"
            ) from None
        return connection

    def _lacks(self, row: int) -> IndexDamaged:
        return IndexDamaged(f"{self._path} lacks row {row}", remedy="build-again")

    def _paper(self, fields: Sequence[object], digest: object) -> Paper:
        """The paper of a row's fields; a few microseconds tell whether its text is as written."""
        paper = self._read(paper_from_fields, fields)
        if text_hash(paper.text) != digest:
            raise IndexDamaged(
                f"{self._path} is damaged: the text of {paper.id} changed since the build (sha256 "
                "differs)",
                remedy="build-again",
            )
        return paper

    def _read(self, read: Callable[[_Field], _Value], field: _Field) -> _Value:
        try:
            return read(field)
        except (ValueError, TypeError) as error:
            raise IndexDamaged(
                f"{self._path} holds a paper that cannot be read ({error})", remedy="build-again"
            ) from None


def _close_all(connections: deque[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def with_change(digest: str, added: str, gone: str) -> str:
    """The digest of papers of which some were added and some have gone, by the digests of both."""
    return f"{(int(digest, 16) + int(added, 16) - int(gone, 16)) % DIGESTS:064x}"


def paper_from_fields(fields: Sequence[object]) -> Paper:
    """The paper of a row's `FIELDS`, and its `journal_ref` behind them where the table has it.

    Raises:
        ValueError, TypeError: if the fields are not as they were written.
    """
    paper_id, title, abstract, authors, categories, published, updated, doi, version, summary = (
        fields[:10]
    )
    journal_ref = fields[10] if len(fields) > 10 else None
    return Paper(
        id=str(paper_id),
        title=str(title),
        abstract=str(abstract),
        authors=tuple(names_from_field(authors)),
        categories=tuple(str(categories).split()),
        published=date.fromisoformat(str(published)),
        updated=date.fromisoformat(str(updated)) if updated else None,
        doi=str(doi) if doi else None,
        version=version if isinstance(version, int) else None,
        is_summary=bool(summary),
        journal_ref=str(journal_ref) if journal_ref else None,
    )


def names_from_field(authors: object) -> list[str]:
    """The names in the column `authors` of a row.

    Raises:
        ValueError, TypeError: if it is not as it was written.
    """
    names = orjson.loads(str(authors))
    if not isinstance(names, list) or not {str}.issuperset(map(type, names)):
        raise TypeError("the authors are not a list of names")
    return names


def _columns(db: sqlite3.Connection, schema: str) -> set[str]:
    return {name for _, name, *_ in db.execute(f"PRAGMA {schema}.table_info(papers)")}


def read_only(path: Path) -> str:
    """A URI that opens a finished file, which needs no lock."""
    return f"{path.resolve().as_uri()}?mode=ro&immutable=1"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether an error is the file's fault rather than that of our SQL."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module, which gives no code
        return str(error).startswith("Could not decode to UTF-8")
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ


def _is_of_the_disk(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


def blocks(items: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Rows or ids, as many at a time as are asked for at once."""
    iterator = iter(items)
    while block := list(islice(iterator, _BLOCK)):
        yield block

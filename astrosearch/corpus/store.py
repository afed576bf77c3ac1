"""The papers of an index in row order: papers.sqlite, its filters, and how papers get in."""

import hashlib
import heapq
import os
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.corpus.intake import Intake, Refusal, Selection, read_papers
from astrosearch.errors import (
    AstrosearchError,
    CorpusError,
    IndexDamaged,
    InputError,
    NothingFound,
)
from astrosearch.papers import Paper, TextHash, normal_category, text_hash

_SCHEMA = """
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
    text_sha256 BLOB NOT NULL
)
"""
_FIELDS = "id, title, abstract, authors, categories, published, updated, doi, version, is_summary"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which papers may be an answer; None asks for nothing."""

    since: date | None = None
    """First day, by date of the first version."""
    until: date | None = None
    """Last day, inclusive."""
    category: str | None = None
    """A category or an archive: `astro-ph` takes in `astro-ph.GA`."""
    author: str | None = None
    """Words of one author's name in any order, as `Hofmann, F`: case and accents do not count,
    and an initial stands for any name that begins with it. One word must stand in full."""

    def __post_init__(self) -> None:
        if self.category is not None:
            object.__setattr__(self, "category", normal_category(self.category))
        if self.author is not None and not any(len(word) > 1 for word in _name_words(self.author)):
            raise InputError(f"{self.author!r} names no author: write a family name")
        if self.since and self.until and self.since > self.until:
            raise InputError(f"--since {self.since} is later than --until {self.until}")


class CorpusWriter:
    """Fills a new papers.sqlite; rows are numbered 0, 1, … in order of arrival.

    With `sample`, the table is a reservoir: it ends with the `sample` papers whose hash with
    `seed` is smallest, a uniform choice that depends neither on order nor on memory.
    """

    def __init__(self, path: Path, *, sample: int | None = None, seed: int = 0) -> None:
        path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        # The file is worthless until its build is whole, so it need not survive a crash.
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        self._db.execute("BEGIN")
        self._sample = sample
        self._seed = seed
        self._largest: list[tuple[int, int]] = []  # heap of (-draw, row), for the reservoir
        self.count = 0

    def add(self, paper: Paper) -> Paper | None:
        """Take one paper in; of two records of one paper the higher version stays.

        Returns:
            The record that lost if the paper was here before, else None.
        """
        if self._sample is not None:
            return self._draw(paper, self._sample)
        if not self._insert(self.count, paper):
            return self._settle(paper)
        self.count += 1
        return None

    def _draw(self, paper: Paper, sample: int) -> Paper | None:
        """`add` with the table as a reservoir."""
        draw = int.from_bytes(
            hashlib.blake2b(f"{self._seed}:{paper.id}".encode(), digest_size=8).digest()
        )
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

    def _settle(self, paper: Paper) -> Paper:
        """Keep the later of two records of one paper; returns the other."""
        row, *fields = self._db.execute(
            f"SELECT row, {_FIELDS} FROM papers WHERE id = ?", (paper.id,)
        ).fetchone()
        present = _paper(fields)
        if _recency(paper) <= _recency(present):
            return paper
        self._replace(row, paper)
        return present

    def finish(self) -> None:
        """Make the file whole; one that was not finished holds nothing."""
        self._db.execute("CREATE INDEX filters ON papers (published, categories, author_words)")
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def _replace(self, row: int, paper: Paper) -> None:
        self._db.execute("DELETE FROM papers WHERE row = ?", (row,))
        self._insert(row, paper)

    def _insert(self, row: int, paper: Paper) -> bool:
        """Whether the row was written: it is not if the paper is here already."""
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO papers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row,
                paper.id,
                paper.title,
                paper.abstract,
                orjson.dumps(paper.authors).decode(),
                f" {' '.join(paper.categories)} ",
                paper.published.isoformat(),
                paper.updated.isoformat() if paper.updated else None,
                paper.doi,
                paper.version,
                paper.is_summary,
                _author_words(paper.authors),
                text_hash(paper.text),
            ),
        )
        return cursor.rowcount == 1


def import_papers(
    sources: Sequence[Path],
    selection: Selection,
    papers: Path,
    rejected: Path,
    *,
    strict: bool = False,
) -> Intake:
    """Write the selected papers of `sources` to a new papers.sqlite; a paper met twice is refused.

    Args:
        rejected: where the refused lines are listed, one JSON object each.
        strict: whether the first refused line ends it.

    Raises:
        CorpusError: if a file is not a corpus, if no line of them is a paper, or if `strict` and
            a line was refused.
        NothingFound: if no paper is selected.
    """
    intake = Intake()
    writer = CorpusWriter(papers, sample=selection.sample, seed=selection.seed)
    with closing(writer), rejected.open("wb") as stream:

        def refuse(refusal: Refusal) -> None:
            if strict:
                raise CorpusError(
                    f"{refusal.file}:{refusal.line}: {refusal.reason}: {refusal.detail}"
                )
            stream.write(orjson.dumps(refusal, option=orjson.OPT_APPEND_NEWLINE))
            intake.note(refusal)

        for paper, file, line in read_papers(sources, selection, intake, refuse):
            lost = writer.add(paper)
            if lost is not None:
                intake.refused["duplicate id"] += 1
                which = "this line" if lost is paper else "the earlier line"
                detail = f"{paper.id} came before; {which} gave way"
                refuse(Refusal(file, line, "duplicate id", detail))
            if selection.limit is not None and writer.count >= selection.limit:
                break
        writer.finish()
    if writer.count == 0:
        where = ", ".join(map(str, sources))
        if intake.refused.total() and not intake.not_selected:
            raise CorpusError(f"{where}: no line is a paper: {intake.summary()}")
        raise NothingFound(f"{where}: no paper is selected: {intake.summary()}")
    return intake


class Corpus:
    """The papers of a built index, read-only, by row or by id."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            # Rows are numbered from 0 without a gap; counting them would read them all.
            (self._count,) = self._db.execute(
                "SELECT ifnull(max(row), -1) + 1 FROM papers"
            ).fetchone()
        except sqlite3.DatabaseError as error:
            if path.exists() and not os.access(path, os.R_OK):
                raise AstrosearchError(f"{path} cannot be read: Permission denied") from None
            raise IndexDamaged(f"{path} is not a papers table ({error})") from None

    def __len__(self) -> int:
        return int(self._count)

    def __iter__(self) -> Iterator[Paper]:
        """All papers in row order, streamed."""
        return map(_paper, self._db.execute(f"SELECT {_FIELDS} FROM papers ORDER BY row"))

    def close(self) -> None:
        self._db.close()

    def papers(self, rows: Sequence[int]) -> list[Paper]:
        """The papers of `rows`, in that order."""
        found = {}
        for some in _chunks(rows):
            marks = ",".join("?" * len(some))
            query = f"SELECT row, {_FIELDS} FROM papers WHERE row IN ({marks})"
            found.update({row: _paper(rest) for row, *rest in self._db.execute(query, some)})
        if missing := set(rows) - set(found):
            raise IndexDamaged(f"papers.sqlite lacks row {min(missing)}; build the index again")
        return [found[row] for row in rows]

    def stream(self, rows: Iterable[int]) -> Iterator[Paper]:
        """The papers of `rows`, in that order, a block in memory at a time."""
        for some in _chunks(rows):
            yield from self.papers(some)

    def row_of(self, paper_id: str) -> int:
        """
        Raises:
            NothingFound: if the paper is not in this corpus; it names those spelled much like it.
        """
        found = self._db.execute("SELECT row FROM papers WHERE id = ?", (paper_id,)).fetchone()
        if found is None:
            near = self._spelled_like(paper_id)
            hint = f"; spelled much like it: {', '.join(near)}" if near else ""
            raise NothingFound(f"{paper_id} is not in this index of {len(self):,} papers{hint}")
        return int(found[0])

    def _spelled_like(self, paper_id: str) -> list[str]:
        """Up to three ids that share half of an id and are near to it as a whole."""
        half = len(paper_id) // 2
        query = "SELECT id FROM papers WHERE id LIKE ? OR id LIKE ?"
        some = self._db.execute(query, (f"{paper_id[:half]}%", f"%{paper_id[half:]}"))
        return get_close_matches(paper_id, [one for (one,) in some], n=3, cutoff=0.85)

    def text_hashes(self, rows: NDArray[np.int64]) -> list[TextHash]:
        query = "SELECT text_sha256 FROM papers WHERE row = ?"
        return [self._db.execute(query, (int(row),)).fetchone()[0] for row in rows]

    def rows_with_texts_of(self, other: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose text stands in another papers.sqlite too: our rows, ascending, and theirs."""
        self._db.execute("ATTACH ? AS other", (f"{other.resolve().as_uri()}?mode=ro&immutable=1",))
        found = self._db.execute(
            """
            SELECT ours.row, min(theirs.row)
            FROM papers AS ours JOIN other.papers AS theirs USING (text_sha256)
            GROUP BY ours.row ORDER BY ours.row
            """
        )
        both: NDArray[np.int64] = np.fromiter(found, dtype=np.dtype((np.int64, 2)))
        self._db.execute("DETACH other")
        return both[:, 0], both[:, 1]

    def rows_matching(self, filters: Filters) -> NDArray[np.int64] | None:
        """Rows of the papers that pass, ascending; None if the filters ask for nothing."""
        conditions, values = [], []
        if filters.since:
            conditions.append("published >= ?")
            values.append(filters.since.isoformat())
        if filters.until:
            conditions.append("published <= ?")
            values.append(filters.until.isoformat())
        if filters.category:
            conditions.append("(categories GLOB ? OR categories GLOB ?)")
            category = _literal(filters.category)
            values += [f"* {category} *", f"* {category}.*"]
        if filters.author:
            wanted = _name_words(filters.author)
            whole = [word for word in wanted if len(word) > 1]
            self._db.create_function(
                "is_author", 1, lambda names: _names_author(names, wanted), deterministic=True
            )
            # The first condition spares most rows the slower second one.
            conditions.append(f"({' OR '.join(['author_words GLOB ?'] * len(whole))})")
            conditions.append("is_author(author_words)")
            values += [f"* {word} *" for word in whole]
        if not conditions:
            return None
        # Unordered, so that SQLite reads the filters' index alone and no abstract.
        query = f"SELECT row FROM papers WHERE {' AND '.join(conditions)}"
        return np.sort([row for (row,) in self._db.execute(query, values)]).astype(np.int64)

    def digest(self) -> str:
        """sha256 over every field of every paper, in row order."""
        digest = hashlib.sha256()
        for row in self._db.execute(f"SELECT {_FIELDS} FROM papers ORDER BY row"):
            digest.update(orjson.dumps(row))
        return digest.hexdigest()

    def span(self) -> tuple[str, str]:
        """Days of the first and the last paper, YYYY-MM-DD."""
        first, last = self._db.execute(
            "SELECT min(published), max(published) FROM papers"
        ).fetchone()
        return first, last


def _paper(fields: Sequence[object]) -> Paper:
    """
    Raises:
        IndexDamaged: if the fields are none that were written here.
    """
    try:
        return _paper_of(fields)
    except (ValueError, TypeError, AssertionError) as error:
        raise IndexDamaged(
            f"papers.sqlite holds a paper that cannot be read ({error}); build the index again"
        ) from None


def _paper_of(fields: Sequence[object]) -> Paper:
    paper_id, title, abstract, authors, categories, published, updated, doi, version, summary = (
        fields
    )
    assert isinstance(categories, str)
    return Paper(
        id=str(paper_id),
        title=str(title),
        abstract=str(abstract),
        authors=tuple(orjson.loads(str(authors))),
        categories=tuple(categories.split()),
        published=date.fromisoformat(str(published)),
        updated=date.fromisoformat(str(updated)) if updated else None,
        doi=str(doi) if doi else None,
        version=version if isinstance(version, int) else None,
        is_summary=bool(summary),
    )


def _recency(paper: Paper) -> tuple[int, date]:
    return paper.version or 0, paper.updated or paper.published


def _author_words(authors: Iterable[str]) -> str:
    """One line an author: lower-case words without accents, each between spaces.

    >>> _author_words(["B. Téglas", "C. L. van Loon"])
    ' b teglas \n c l van loon '
    """
    lines = (" " + " \n ".join(authors) + " ").casefold()
    if "\\" in lines or "{" in lines:
        lines = _TEX_ACCENTS.sub("", lines)
    if not lines.isascii():
        lines = unicodedata.normalize("NFKD", lines)
    return lines.translate(_BARE_LETTERS)


# \'e, {\"u}, \v{c}, \o: what is left is the bare letter. (The lines are in lower case.)
_TEX_ACCENTS = re.compile(r"\\[^a-z\s]|\\[cvuhkrbdt](?=[\s{])\s*|[\\{}]")
_BARE_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"}
    | dict.fromkeys(map(chr, range(0x300, 0x370)), "")  # the accents that NFKD split off
    | {sign: " " for sign in map(chr, range(128)) if not sign.isalnum() and sign != "\n"}
    | dict.fromkeys(map(chr, range(0x2010, 0x2020)), " ")  # dashes and quotation marks
)


def _name_words(name: str) -> list[str]:
    return _author_words([name.encode(errors="replace").decode()]).split()


def _names_author(lines: str, wanted: Sequence[str]) -> bool:
    return any(_is_name(wanted, line.split()) for line in lines.split("\n"))


def _is_name(wanted: Sequence[str], name: list[str]) -> bool:
    """Whether each wanted word has a word of the name to itself: the same, or an initial of it."""
    if not any(word in name for word in wanted if len(word) > 1):
        return False
    shortened = []
    for word in wanted:
        if word in name:
            name.remove(word)
        else:
            shortened.append(word)
    for word in shortened:
        for other in name:
            if min(len(word), len(other)) == 1 and word[0] == other[0]:
                name.remove(other)
                break
        else:
            return False
    return True


def _literal(text: str) -> str:
    """Escape what GLOB would take for a pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)


def _chunks(rows: Iterable[int], size: int = 500) -> Iterator[list[int]]:
    iterator = iter(rows)
    while some := [int(row) for row in islice(iterator, size)]:
        yield some

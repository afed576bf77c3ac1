"""Full-text search: papers by the words they hold, ranked by BM25.

The engine is tantivy, which answers in milliseconds and reads its files where they lie. It is
given words that are cut already (`astrosearch.text.analysis`), separated by spaces.

A question is answered in two passes. The first lets every word count and takes the best
candidates. The second ranks those anew, with a bonus for pairs of words that stand next to each
other in the question and in the paper: looking at pairs for every paper would take a hundred
times as long.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from itertools import pairwise
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tantivy
from numpy.typing import NDArray

from astrosearch.errors import IndexDamaged
from astrosearch.text.analysis import STOP_WORDS, analyze, expand_abbreviations

FIELDS = {"title": 1.0, "abstract": 1.0, "authors": 0.7}
"""What can be searched, and how much a word counts there."""

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores and rows, best first."""

Clause = tuple[tantivy.Occur, tantivy.Query]
Hits = list[tuple[float, tantivy.DocAddress]]

_PANIC = "PanicException"  # of pyo3, which exports no name for it

MEMORY = 200_000_000
"""Bytes the writer holds before it writes a segment."""

MAX_TERMS = 64
"""Different words of a question that are looked for: the rarest ones. A title has a dozen, an
abstract a hundred."""

CANDIDATES = 200
"""Papers at least that the second pass ranks."""

NAMES, COMPOUNDS = 1.0, 0.25
"""What a compound of the question counts, relative to a word: one with a number is mostly a name,
others add little, since their parts count as well."""

PAIRS = 0.2
"""What two neighbouring words of the question count as neighbours, relative to a rare word."""

FEW = 1_000
"""Allowed rows up to which they are handed to the engine one by one; with more, candidates are
fetched until enough of them are allowed."""

_Q, _SHOULD, _MUST = tantivy.Query, tantivy.Occur.Should, tantivy.Occur.Must


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="position")
    builder.add_unsigned_field("row", indexed=True, fast=True)
    return builder.build()


class LexicalIndexWriter:
    """Fills a new words folder, in memory that does not grow with the number of papers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._schema = _schema()
        self._writer = tantivy.Index(self._schema, str(folder), reuse=False).writer(
            MEMORY, num_threads=1
        )
        self._folder = folder

    @staticmethod
    @contextmanager
    def _on_disk() -> Iterator[None]:
        """The engine's errors while it writes: a full disk, mostly."""
        try:
            yield
        except ValueError as error:
            raise OSError(str(error)) from None

    def add(self, row: int, title: str, abstract: str, authors: Sequence[str]) -> None:
        fields: dict[str, object] = {"row": row}
        # Commas keep the last word of one name from joining with the first of the next.
        for field, text in (
            ("title", title),
            ("abstract", abstract),
            ("authors", ", ".join(authors)),
        ):
            simple, compounds = analyze(text)
            # Behind everything else, so that phrases see only what the text has side by side.
            fields[field] = " ".join(simple + compounds)
        document = tantivy.Document.from_dict(fields, self._schema)
        with self._on_disk():
            self._writer.add_document(document)

    def finish(self) -> None:
        """Make the folder whole."""
        with self._on_disk():
            self._writer.commit()
            self._writer.wait_merging_threads()
        for lock in self._folder.glob(".*.lock"):
            lock.unlink()
        for file in self._folder.iterdir():
            file.chmod(0o644)  # the engine keeps some to the user alone


class LexicalIndex:
    """A words folder, open for searching."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            IndexDamaged: if it is no words folder.
        """
        self._folder = folder
        with self._sound(), _lockable(folder) as here:
            index = tantivy.Index.open(str(here))
            index.config_reader("manual")
            self._searcher = index.searcher()
            self._schema = index.schema

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """The engine's complaints as one line: it checks little before it reads, and panics."""
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, OSError | ValueError) or type(error).__name__ == _PANIC):
                raise
            reason = str(error).split(", logger")[0]
            raise IndexDamaged(
                f"{self._folder} cannot be read ({reason}); build the index again"
            ) from None

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self,
        question: str,
        k: int,
        allowed: NDArray[np.int64] | None = None,
        fields: Sequence[str] = tuple(FIELDS),
    ) -> Found:
        """The papers that fit the words of a question best; ties are in the order of rows.

        Function words count only if there are no others that any paper holds, and of a long
        question the `MOST_WORDS` rarest words.

        Args:
            k: how many; fewer come back if fewer papers hold any of the words.
            allowed: rows that may be found, ascending; None for all.
        """
        simple, compounds = analyze(question)
        counts: dict[str, float] = defaultdict(float)
        for word in simple:
            counts[word] += 1
        for word in compounds:
            counts[word] += NAMES if any(map(str.isdigit, word)) else COMPOUNDS
        telling = {word: count for word, count in counts.items() if word not in STOP_WORDS}
        wanted = self._weights(telling, fields) or self._weights(counts, fields)
        if not wanted or k < 1 or (allowed is not None and not len(allowed)):
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        terms = [
            (_SHOULD, _Q.boost_query(_Q.term_query(self._schema, field, word), weight))
            for (word, field), weight in wanted.items()
        ]
        pairs = self._pairs(simple, wanted.keys(), fields)
        scores, rows = self._best(terms, max(CANDIDATES, 2 * k) if pairs else k, allowed)
        if pairs and len(rows):
            scores = scores + self._scores_of(pairs, rows)
            order = np.lexsort((rows, -scores))[:k]
            scores, rows = scores[order], rows[order]
        return scores, rows

    def rows_matching_phrase(
        self, phrase: str, fields: Sequence[str] = ("title", "abstract")
    ) -> NDArray[np.int64]:
        """Rows, ascending, of the papers that hold the words of `phrase` side by side in one of
        `fields`."""
        queries = []
        for simple in expand_abbreviations(analyze(phrase).terms):
            if len(simple) > 1:
                queries += [self._phrase(field, list(enumerate(simple))) for field in fields]
            else:  # of one word the engine makes no phrase; of no word, nothing
                queries += [
                    _Q.term_query(self._schema, field, word) for field in fields for word in simple
                ]
        if not queries:
            return np.zeros(0, np.int64)
        query = _Q.const_score_query(_Q.boolean_query([(_SHOULD, one) for one in queries]), 1.0)
        return np.sort(self._rows(self._hits(query, len(self))))

    def _weights(
        self, counts: dict[str, float], fields: Sequence[str]
    ) -> dict[tuple[str, str], float]:
        """What each word counts in each field: as much as it is rare where it is commonest, so that
        a Dr Young does not make the young stars rare."""
        found = []
        for word, count in counts.items():
            with self._sound():
                papers = {field: self._searcher.doc_freq(field, word) for field in fields}
            if most := max(papers.values()):
                found.append((most, word, count, papers))
        found.sort(key=lambda one: one[:2])
        return {
            (word, field): FIELDS[field] * count * self._idf(most) / self._idf(papers[field])
            for most, word, count, papers in found[:MAX_TERMS]
            for field in fields
            if papers[field]
        }

    def _idf(self, papers: int) -> float:
        """As the engine has it: a word's weight if `papers` papers hold it."""
        return log(1 + (len(self) - papers + 0.5) / (papers + 0.5))

    def _pairs(
        self, simple: list[str], wanted: Set[tuple[str, str]], fields: Sequence[str]
    ) -> list[tantivy.Query]:
        """A query for each two neighbours of the question, in the fields that hold both; function
        words do not part them."""
        words = {word for word, _ in wanted}
        heavy = [(i, word) for i, word in enumerate(simple) if word in words]
        pairs = {(one, other, j - i) for (i, one), (j, other) in pairwise(heavy) if j - i <= 3}
        return [
            _Q.boost_query(
                self._phrase(field, [(0, one), (distance, other)]), PAIRS * FIELDS[field]
            )
            for one, other, distance in sorted(pairs)
            for field in fields
            if (one, field) in wanted and (other, field) in wanted
        ]

    def _scores_of(
        self, queries: Sequence[tantivy.Query], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(m,) what `queries` add up to for each of the (m,) `rows`."""
        _, chain = self._among(rows)
        # One around the other, since of two beside each other the engine would look at all papers.
        for query in queries:
            chain = _Q.boolean_query([(_MUST, chain), (_SHOULD, query)])
        hits = self._hits(chain, len(rows))
        found = dict(zip(self._rows(hits).tolist(), (score for score, _ in hits), strict=True))
        return np.array([found[row] for row in rows.tolist()], dtype=np.float32)

    def _phrase(self, field: str, placed: list[str | tuple[int, str]]) -> tantivy.Query:
        return _Q.phrase_query(self._schema, field, placed)

    def _among(self, rows: NDArray[np.int64]) -> Clause:
        # For so few rows a third as slow as the engine's own query for sets.
        each = [(_SHOULD, _Q.term_query(self._schema, "row", row)) for row in rows.tolist()]
        return _MUST, _Q.const_score_query(_Q.boolean_query(each), 0.0)

    def _best(self, terms: list[Clause], k: int, allowed: NDArray[np.int64] | None) -> Found:
        if allowed is None:
            return self._run(terms, k)
        if len(allowed) <= FEW:
            return self._run([self._among(allowed), *terms], k)
        mask = np.zeros(len(self), dtype=bool)
        mask[allowed] = True
        count = int(k * 1.5 * len(self) / len(allowed))
        while True:
            scores, rows = self._run(terms, count)
            keep = mask[rows]
            if keep.sum() >= k or len(rows) < count:
                return scores[keep][:k], rows[keep][:k]
            count *= 4

    def _run(self, clauses: list[Clause], k: int) -> Found:
        """The best `k`, ties in the order of rows also where they are cut."""
        query = _Q.boolean_query(clauses)
        count = k + 16
        while True:
            count = min(count, len(self))
            hits = self._hits(query, count)
            if len(hits) < count or count == len(self) or hits[-1][0] < hits[k - 1][0]:
                break
            count *= 4
        scores = np.array([score for score, _ in hits], dtype=np.float32)
        rows = self._rows(hits)
        order = np.lexsort((rows, -scores))
        order = order[scores[order] > 0][:k]
        return scores[order], rows[order]

    def _hits(self, query: tantivy.Query, count: int) -> Hits:
        with self._sound():
            return self._searcher.search(query, count, count=False).hits

    def _rows(self, hits: Hits) -> NDArray[np.int64]:
        addresses = [address for _, address in hits]
        with self._sound():
            return np.array(self._searcher.fast_field_values("row", addresses), dtype=np.int64)


@contextmanager
def _lockable(folder: Path) -> Iterator[Path]:
    """A place to open `folder` from. The engine puts a lock beside what it opens, so a folder that
    may not be written to is opened by links to its files; all are mapped at once."""
    if os.access(folder, os.W_OK) or not folder.is_dir():
        yield folder
        return
    with TemporaryDirectory(prefix="astrosearch-words-") as links:
        for file in folder.iterdir():
            if file.suffix != ".lock":
                (Path(links) / file.name).symlink_to(file.resolve())
        yield Path(links)

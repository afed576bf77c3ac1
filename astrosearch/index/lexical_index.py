"""Full-text search: papers by the words they hold, ranked by BM25.

The engine is tantivy, which answers in milliseconds and reads its files where they lie. It is
given terms that are cut already (`astrosearch.text.analysis`), separated by spaces.

A question is answered in two passes. The first scores papers by all terms and takes the best as
candidates. The second ranks those again, with a bonus for pairs of words that stand next to each
other in the question and in the paper: looking for pairs in every paper would take a hundred times
as long.
"""

import mmap
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from astrosearch.atomic import temporary_folder
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index.deleted_words import DeletedWords
from astrosearch.text.analysis import STOP_WORDS, analyze, expand_abbreviations

FIELDS = {"title": 1.0, "abstract": 1.0, "authors": 0.7}
"""What can be searched, and how much a word counts there."""

Ranking = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(n,) scores and (n,) rows, best first."""

Clause = tuple[tantivy.Occur, tantivy.Query]
Clauses = tuple[list[tantivy.Query], list[tantivy.Query]]
Hits = list[tuple[float, tantivy.DocAddress]]

_PANIC = "PanicException"  # pyo3's, which exports no name for it

_FILLER = "."
"""A term that no text and no question has."""

_AVERAGE = re.compile(r'"value": ([\d.e+-]+),\s*"description": "avgdl')
TELLS_AVERAGES = "0.27.0"
"""A version of the engine whose explanation of a score `_AVERAGE` reads."""

MEMORY, LEAST_MEMORY = 200_000_000, 15_000_000
"""Bytes the writer holds before it writes a segment; the least that the engine takes."""

SPARE_MEMORY = 500_000_000
"""Bytes of address space for the writer's threads."""

MAX_TERMS = 256
"""Different terms of a question that are searched for: the rarest ones. A title has a dozen, an
abstract a hundred."""

CANDIDATES = 100
"""Papers that the second pass ranks, at least. (Of the ten best among 200, .9997 are found.)"""

LOOKED_AT = 10_000
"""Papers, about, among which `best_shares` looks for those that hold most of a question."""

NAMES, COMPOUNDS = 1.0, 0.25
"""Weight of a compound of the question, relative to a word: one with a number is mostly a name,
others add little, since their parts count as well."""

PAIRS = 0.2
"""Weight of two neighbouring words of the question as neighbours, relative to a rare word."""

KEPT_FREQUENCIES = 20_000
"""Frequencies of terms that are kept in memory: 3 MB."""

FEW = 1_000
"""Allowed rows up to which they are handed to the engine one by one; with more, candidates are
fetched until enough of them are allowed."""

LONG, ENDING = 7, 3
"""Letters from which a word may be spelt like another that differs in two, and of an ending."""

DEEPEST = 128
"""Queries within queries, at most. The engine goes down into each: 1,024 overflow a stack of 8 MB,
256 one of 512 kB."""

DENSE = 2_000
"""Papers for each row up to which clauses that score given rows stand beside each other: the engine
then reads thousands of papers about each row. With more papers each clause is put around the one
before, and each row is looked up in each. (The terms of a title, CPU time: 53 of 56,307 papers
0.4 ms and 1.1 ms, 84 of 326,238 papers 0.9 ms and 1.7 ms.)"""

_Q, _SHOULD, _MUST = tantivy.Query, tantivy.Occur.Should, tantivy.Occur.Must


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="position")
    builder.add_unsigned_field("row", indexed=True, fast=True)
    return builder.build()


class LexicalIndexWriter:
    """Fills a words folder, in memory that does not grow with the number of papers."""

    def __init__(self, folder: Path, earlier: Path | None = None) -> None:
        """
        Args:
            folder: a new one.
            earlier: a words folder whose papers the new one has, too. Its files are shared, not
                copied, where the file system can; nothing of it is changed.

        Raises:
            OSError: if the folder exists already, or cannot be written.
            AstrosearchError: if the process may not take as much memory as the writer needs.
        """
        memory = _writer_memory() if earlier is None else LEAST_MEMORY
        folder.mkdir()
        self._schema = _schema()
        self._folder = folder
        self._deleted = DeletedWords()
        if earlier is not None:
            _share(earlier, folder)
            self._deleted = DeletedWords.read(folder)
        self._added: Counter[str] = Counter()
        self._gone: Counter[str] = Counter()
        with _as_os_error():
            index = tantivy.Index(self._schema, str(folder), reuse=earlier is not None)
            # Otherwise a thread watches the folder, and may still lock it when all is done.
            index.config_reader("manual")
            self._searcher = index.searcher()
            self._earlier_documents = self._documents = int(self._searcher.num_docs)
            self._writer = index.writer(memory, num_threads=1)

    def delete(self, title: str, abstract: str, authors: Sequence[str]) -> None:
        """Count the words of a paper of the earlier folder no more. Its texts must be those that it
        was added with. Whoever opens the folder says which rows are dead."""
        terms = {field: _terms(text) for field, text in _texts(title, abstract, authors)}
        self._deleted.add(terms)
        self._gone.update({field: len(words) for field, words in terms.items()})

    def add(self, row: int, title: str, abstract: str, authors: Sequence[str]) -> None:
        """Take in one paper.

        Args:
            row: rows are numbered from 0 without a gap, in any order.

        Raises:
            OSError: if the disk is full, mostly.
        """
        fields: dict[str, object] = {"row": row}
        for field, text in _texts(title, abstract, authors):
            terms = _terms(text)
            fields[field] = " ".join(terms)
            self._added[field] += len(terms)
        self._add(fields)

    def _add(self, fields: dict[str, object]) -> None:
        document = tantivy.Document.from_dict(fields, self._schema)
        with _as_os_error():
            self._writer.add_document(document)
        self._documents += 1

    def finish(self) -> None:
        """Make the folder whole.

        Raises:
            OSError: if the disk is full, mostly.
        """
        self._count()
        if self._deleted.papers:
            self._balance()
        with _as_os_error():
            self._writer.commit()
            self._writer.wait_merging_threads()
        self._deleted.write(self._folder)
        for lock in self._folder.glob(".*.lock"):
            lock.unlink()
        for file in self._folder.iterdir():
            file.chmod(0o644)  # the engine lets only the user read some

    def _count(self) -> None:
        """Count the terms of each field. Earlier versions did so only when a paper died."""
        deleted = self._deleted
        if self._earlier_documents and not deleted.counted_lengths:
            if not deleted.papers:
                return
            deleted.counted_lengths = Counter({field: self._length(field) for field in FIELDS})
            deleted.lengths = deleted.counted_lengths.copy()
        deleted.counted_lengths.update(self._added)
        deleted.lengths.update(self._added)
        deleted.lengths.subtract(self._gone)

    def _balance(self) -> None:
        """Make the engine's average lengths those of the papers that are not dead."""
        fillers, terms = self._deleted.balance(self._documents)
        for number in range(fillers):
            # All terms are in the first one.
            self._add({} if number else {field: f"{_FILLER} " * terms[field] for field in terms})

    def _length(self, field: str) -> int:
        """How many terms a field of the earlier folder has in all, where that is not written. The
        engine tells the average where it explains a score.

        Raises:
            AstrosearchError: if it does so in other words.
        """
        with _as_os_error():
            term = self._deleted.a_term(field)
            if term is None:  # finding one in the engine takes a look at all of them
                terms = self._searcher.terms_with_prefix(field, "", limit=1)
                if not terms:
                    return 0
                term = terms[0][0]
            query = _Q.term_query(self._schema, field, term)
            [(_, address)] = self._searcher.search(query, 1).hits
            averages = _AVERAGE.findall(query.explain(self._searcher, address).to_json())
            if len(averages) != 1:
                from importlib.metadata import version

                raise AstrosearchError(
                    f"tantivy {version('tantivy')} does not tell how long the texts are in words "
                    "that an earlier version of astrosearch wrote; do this once with another: pip "
                    f"install tantivy=={TELLS_AVERAGES}"
                )
            return round(float(averages[0]) * self._earlier_documents)


def _texts(
    title: str, abstract: str, authors: Sequence[str]
) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
    """The text of each field."""
    # Commas keep the last word of one name from joining with the first of the next.
    return ("title", title), ("abstract", abstract), ("authors", ", ".join(authors))


def _terms(text: str) -> list[str]:
    """The terms of a field, as the engine gets them."""
    terms, compounds = analyze(text)
    # Compounds come last, so that a phrase matches only what the text has side by side.
    return terms + compounds


def _any_of(queries: Sequence[tantivy.Query], score: float) -> tantivy.Query:
    """Gives what any of some queries finds a score."""
    return _Q.const_score_query(_Q.boolean_query([(_SHOULD, each) for each in queries]), score)


def _neighbours(words: Sequence[str], wanted: Set[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Each two neighbours among the words that are wanted in some field, and their distance: up to
    two other words may stand between them."""
    terms = {term for term, _ in wanted}
    places = [(place, word) for place, word in enumerate(words) if word in terms]
    return sorted(
        {
            (left, right, end - start)
            for (start, left), (end, right) in pairwise(places)
            if end - start <= 3
        }
    )


def _share(earlier: Path, folder: Path) -> None:
    """Put all files of a folder into another one too, as links if that can be. The engine replaces
    files, and never writes into one that is there."""
    for file in earlier.iterdir():
        if file.suffix == ".lock":
            continue
        try:
            os.link(file, folder / file.name)
        except OSError:
            shutil.copyfile(file, folder / file.name)


class LexicalIndex:
    """A words folder, open for searching by several threads at once."""

    def __init__(
        self,
        folder: Path,
        dead: NDArray[np.int64] | None = None,
        ids_of: Callable[[list[int]], Sequence[Any]] = list,
    ) -> None:
        """
        Args:
            dead: (m,) rows, ascending, of papers that are never found; None for none.
            ids_of: what (n,) rows are ordered by where the last of the best papers tie with others:
                something that stays the same when the papers have other rows.

        Raises:
            IndexDamaged: if it is not a words folder.
        """
        self._folder = folder
        self._ids_of = ids_of
        self._deleted = DeletedWords.read(folder)
        self._frequencies: dict[tuple[str, str], int] = {}
        self._latest: tuple[tuple[str, tuple[str, ...]], Clauses] = ("", ()), ([], [])
        with self._sound(), _lockable(folder) as place:
            index = tantivy.Index.open(str(place))
            index.config_reader("manual")
            self._searcher = index.searcher()
            self._schema = index.schema
            self._row_count = int(self._searcher.num_docs) - self._deleted.fillers
        self._is_dead = np.zeros(self._row_count, dtype=bool)
        if dead is not None:
            self._check(dead)
            self._is_dead[dead] = True

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """The engine's errors as one line: it checks little before it reads, and panics."""
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, OSError | ValueError) or type(error).__name__ == _PANIC):
                raise
            raise IndexDamaged(
                f"{self._folder} cannot be read ({_reason(error)})", remedy="build-again"
            ) from None

    def __len__(self) -> int:
        """The number of papers, without the dead."""
        return self._row_count - self._deleted.papers

    def search(
        self,
        question: str,
        k: int,
        allowed: NDArray[np.int64] | None = None,
        fields: Sequence[str] = tuple(FIELDS),
        *,
        pairs: bool = True,
    ) -> Ranking:
        """The papers that fit the words of a question best; of those that tie with the last, the
        first by their ids.

        Function words count only if no paper holds any other word of the question. Of a long
        question the `MAX_TERMS` rarest terms count.

        Args:
            k: how many; fewer come back if fewer papers hold any of the words.
            allowed: (a,) rows that may be found, ascending; None for all.
            fields: where words are searched for, of `FIELDS`.
            pairs: whether neighbouring words count more as neighbours; without them a title is
                searched for in a tenth of the time.
        """
        if not pairs:
            terms, _ = self._clauses(question, fields)
            if not terms or k < 1 or (allowed is not None and not len(allowed)):
                return np.zeros(0, np.float32), np.zeros(0, np.int64)
            return self._best([(_SHOULD, term) for term in terms], k, allowed)
        ranking, _ = self.search_and_score(
            question, k, lambda: np.zeros(0, np.int64), allowed, fields
        )
        return ranking

    def search_and_score(
        self,
        question: str,
        k: int,
        others: Callable[[], NDArray[np.int64]],
        allowed: NDArray[np.int64] | None = None,
        fields: Sequence[str] = tuple(FIELDS),
    ) -> tuple[Ranking, NDArray[np.float32]]:
        """What `search` gives, and the (n,) scores of (n,) other rows, as `scores` gives them.
        Pairs of words are looked for in all of them at once.

        Args:
            others: called between the two passes, so that they may be looked for during the first;
                gives different rows.
        """
        terms, pairs = self._clauses(question, fields)
        rows, scores = np.zeros(0, np.int64), np.zeros(0, np.float32)
        if terms and k > 0 and (allowed is None or len(allowed)):
            clauses = [(_SHOULD, term) for term in terms]
            scores, rows = self._best(clauses, max(CANDIDATES, 2 * k) if pairs else k, allowed)
        further = others()
        missing = np.setdiff1d(further, rows, assume_unique=True)
        count = len(rows)
        rows, scores = np.append(rows, missing), np.append(scores, self._scores_of(terms, missing))
        if pairs:
            scores = scores + self._scores_of(pairs, rows)
        order = np.argsort(rows)
        known = scores[order[np.searchsorted(rows, further, sorter=order)]]
        return self._first(scores[:count], rows[:count], k), known

    def scores(
        self,
        question: str,
        rows: NDArray[np.int64],
        fields: Sequence[str] = tuple(FIELDS),
    ) -> NDArray[np.float32]:
        """(n,) the score that `search` gives each of the (n,) rows: 0 where the paper holds no term
        of the question.

        Args:
            rows: in any order; a row may come twice.
            fields: as in `search`.

        Raises:
            IndexError: if there is no such row.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self._row_count:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self._row_count:,}")
        terms, pairs = self._clauses(question, fields)
        distinct, inverse = np.unique(rows, return_inverse=True)
        scores: NDArray[np.float32] = self._scores_of([*terms, *pairs], distinct)[inverse]
        return scores

    def pair_shares(
        self, question: str, rows: NDArray[np.int64], fields: Sequence[str] = tuple(FIELDS)
    ) -> NDArray[np.float64] | None:
        """(n,) from 0 to 1, how much of the question's pairs of neighbours each of (n,) different
        rows has as neighbours, too. A pair counts as much as its words are rare. None if the
        question has no pair of words that papers have.

        Args:
            fields: as in `search`.
        """
        words = analyze(question).terms
        wanted = self._weights({word: 1.0 for word in words if word not in STOP_WORDS}, fields)
        pairs = []
        for left, right, distance in _neighbours(words, wanted.keys()):
            phrases = [
                self._phrase(field, [(0, left), (distance, right)])
                for field in fields
                if (left, field) in wanted and (right, field) in wanted
            ]
            pairs.append((phrases, self._rarity(left, fields) + self._rarity(right, fields)))
        return self._shares(pairs, rows)

    def name_shares(
        self, question: str, rows: NDArray[np.int64], fields: Sequence[str] = tuple(FIELDS)
    ) -> NDArray[np.float64] | None:
        """(n,) from 0 to 1, how much of the question's designations (NGC 1068, z = 7: letters in
        front of a number) each of (n,) different rows has. One counts as much as it is rare. None
        if the question has none that papers have.

        Args:
            fields: as in `search`.
        """
        compounds = analyze(question).compounds
        names = {name: 1.0 for name in compounds if name[0].isalpha() and not name.isalpha()}
        wanted = self._weights(names, fields)
        return self._shares(
            [
                (
                    [
                        _Q.term_query(self._schema, field, name)
                        for field in fields
                        if (name, field) in wanted
                    ],
                    self._rarity(name, fields),
                )
                for name in names
            ],
            rows,
        )

    def _shares(
        self, parts: Sequence[tuple[Sequence[tantivy.Query], float]], rows: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """(n,) of the weight of all parts, what (n,) different rows have: a part if one of its
        queries finds the row. None if no part has a query."""
        parts = [(queries, weight) for queries, weight in parts if queries]
        if not parts:
            return None
        clauses = [_any_of(queries, weight) for queries, weight in parts]
        total = sum(weight for _, weight in parts)
        return self._scores_of(clauses, rows).astype(np.float64) / total

    def rows_matching_phrase(
        self, phrase: str, fields: Sequence[str] = ("title", "abstract")
    ) -> NDArray[np.int64]:
        """Rows, ascending, of the papers that hold the words of `phrase` side by side in one of
        `fields`."""
        queries = []
        for terms in expand_abbreviations(analyze(phrase).terms):
            if len(terms) > 1:
                queries += [self._phrase(field, list(enumerate(terms))) for field in fields]
            else:  # the engine makes no phrase of a single word
                queries += [
                    _Q.term_query(self._schema, field, term) for field in fields for term in terms
                ]
        if not queries:
            return np.zeros(0, np.int64)
        any_of_them = _Q.boolean_query([(_SHOULD, query) for query in queries])
        return self._alive_rows(any_of_them)

    def rows_spelt_like(self, word: str, k: int) -> NDArray[np.int64]:
        """At most `k` rows, ascending, of papers whose title or abstract has a word with a letter
        more, less, exchanged or replaced; of a long word, two."""
        terms = analyze(word).terms
        # A stem is cut off another way where its ending is spelt wrong.
        terms += [term[:-ENDING] for term in terms if len(term) >= LONG + ENDING]
        queries = [
            (_SHOULD, _Q.fuzzy_term_query(self._schema, field, term, 2 if len(term) >= LONG else 1))
            for term in terms
            for field in ("title", "abstract")
        ]
        if not queries or k < 1:
            return np.zeros(0, np.int64)
        rows = self._rows(self._hits(_Q.boolean_query(queries), k))
        return np.sort(rows[~self._is_dead[rows]])

    def frequency(self, text: str, fields: Sequence[str]) -> int:
        """How many papers have the words of a text in one of `fields`; for several words or fields
        a bound that is not too low."""
        terms = analyze(text).terms
        return sum(
            min((self._frequency(field, term) for term in terms), default=0) for field in fields
        )

    def document_frequency(self, term: str) -> int:
        """How many papers have a term, in the field where most have it."""
        return max(self._frequency(field, term) for field in FIELDS)

    def best_shares(
        self,
        frequencies: Mapping[str, int],
        k: int,
        without: int | None = None,
        among: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """(m,) of the weight of all terms, the shares of the m <= k papers that hold most of it in
        any field, best first. A term weighs the more the fewer papers have it.

        Args:
            frequencies: the `document_frequency` of each term.
            without: a row that does not count.
            among: (m,) the only rows that count; None for all.
        """
        weights = {term: self._idf(papers) for term, papers in frequencies.items()}
        known = sorted((papers, term) for term, papers in frequencies.items() if papers)[:MAX_TERMS]
        if not known or k < 1 or (among is not None and not len(among)):
            return np.zeros(0)
        clauses = [self._holding(term, weights[term]) for _, term in known]
        if among is not None:
            query = self._within(among, clauses)
        else:
            # Papers without any of the rarest terms hold little, and there may be millions of them.
            papers = np.cumsum([papers for papers, _ in known])
            rarest = max(1, int(np.searchsorted(papers, LOOKED_AT, side="right")))
            must = _MUST, _Q.boolean_query(clauses[:rarest])
            query = _Q.boolean_query([must, *clauses[rarest:]])
        count = k + 1
        while True:
            hits = self._hits(query, count)
            rows = self._rows(hits)
            counting = ~self._is_dead[rows] & (rows != (-1 if without is None else without))
            if len(hits) < count or counting.sum() >= k:
                break
            count *= 4
        scores = np.array([score for score, _ in hits], dtype=np.float64)[counting][:k]
        return np.asarray(scores / sum(weights.values()), dtype=np.float64)

    def _holding(self, term: str, score: float) -> Clause:
        """Gives papers that have a term in any field a score."""
        return _SHOULD, _any_of([_Q.term_query(self._schema, each, term) for each in FIELDS], score)

    def knows(self, text: str) -> bool:
        """Whether a paper has a word of a text, function words aside if it has others."""
        terms, _ = self._clauses(text, tuple(FIELDS))
        return bool(terms)

    def rows_with_authors(self, names: Sequence[Sequence[str]]) -> NDArray[np.int64]:
        """Rows, ascending, of the papers that have all words of one of `names` among their
        authors'."""
        rows = [np.zeros(0, np.int64)]
        for words in names:
            terms = [term for word in words for term in analyze(word).terms]
            if terms:
                all_of_them = _Q.boolean_query(
                    [(_MUST, _Q.term_query(self._schema, "authors", term)) for term in terms]
                )
                rows.append(self._alive_rows(all_of_them))
        return np.unique(np.concatenate(rows))

    def _clauses(self, question: str, fields: Sequence[str]) -> Clauses:
        """What a question searches for: its weighted terms, and its pairs of neighbours. One
        question is mostly asked for several times in a row: for the best papers, and for others."""
        key, clauses = self._latest
        if key != (question, tuple(fields)):
            clauses = self._new_clauses(question, fields)
            self._latest = (question, tuple(fields)), clauses
        return clauses

    def _new_clauses(self, question: str, fields: Sequence[str]) -> Clauses:
        words, compounds = analyze(question)
        counts: dict[str, float] = defaultdict(float)
        for word in words:
            counts[word] += 1
        for compound in compounds:
            counts[compound] += NAMES if any(map(str.isdigit, compound)) else COMPOUNDS
        telling = {term: count for term, count in counts.items() if term not in STOP_WORDS}
        weights = self._weights(telling, fields) or self._weights(counts, fields)
        terms = [
            _Q.boost_query(_Q.term_query(self._schema, field, term), weight)
            for (term, field), weight in weights.items()
        ]
        return terms, self._pairs(words, weights.keys(), fields)

    def _weights(
        self, counts: dict[str, float], fields: Sequence[str]
    ) -> dict[tuple[str, str], float]:
        """What each term counts in each field: as much as it is rare where it is commonest, so that
        a Dr Young does not make the young stars rare."""
        frequencies = []
        for term, count in counts.items():
            papers = {field: self._frequency(field, term) for field in fields}
            if most := max(papers.values()):
                frequencies.append((most, term, count, papers))
        frequencies.sort(key=lambda frequency: frequency[:2])
        return {
            (term, field): FIELDS[field]
            * count
            * self._idf(most)
            / self._engine_idf(field, term, papers[field])
            for most, term, count, papers in frequencies[:MAX_TERMS]
            for field in fields
            if papers[field]
        }

    def _frequency(self, field: str, term: str) -> int:
        """How many papers have a term in a field. The engine counts deleted ones, too."""
        frequency = self._frequencies.get((field, term))
        if frequency is None:
            # A question asks for each of its terms ten times, and another thread may take its turn
            # at every call of the engine.
            if len(self._frequencies) >= KEPT_FREQUENCIES:
                self._frequencies.clear()
            with self._sound():
                counted = int(self._searcher.doc_freq(field, term))
            frequency = counted - self._deleted.count(field, term)
            self._frequencies[field, term] = frequency
        return frequency

    def _idf(self, papers: int) -> float:
        """The weight of a term that `papers` papers have (Robertson and Zaragoza 2009)."""
        return log(1 + (len(self) - papers + 0.5) / (papers + 0.5))

    def _rarity(self, term: str, fields: Sequence[str]) -> float:
        """The weight of a term in the field where it is commonest."""
        return self._idf(max(self._frequency(field, term) for field in fields))

    def _engine_idf(self, field: str, term: str, papers: int) -> float:
        """The weight that the engine gives a term that `papers` papers have: by the same formula,
        with the deleted papers among all and among those, and the fillers among all."""
        counted = papers + self._deleted.count(field, term)
        total = self._row_count + self._deleted.fillers
        return log(1 + (total - counted + 0.5) / (counted + 0.5))

    def _pair_weight(self, field: str, pair: tuple[str, str]) -> float:
        """The weight of a pair in relation to the engine's, which is the sum of its terms'."""
        if not self._deleted.papers:
            return 1.0
        papers = {term: self._frequency(field, term) for term in pair}
        ours = sum(self._idf(papers[term]) for term in pair)
        return ours / sum(self._engine_idf(field, term, papers[term]) for term in pair)

    def _pairs(
        self, words: list[str], wanted: Set[tuple[str, str]], fields: Sequence[str]
    ) -> list[tantivy.Query]:
        """A query for each two neighbours of the question, in the fields that hold both; up to two
        function words may stand between them."""
        return [
            _Q.boost_query(
                self._phrase(field, [(0, left), (distance, right)]),
                PAIRS * FIELDS[field] * self._pair_weight(field, (left, right)),
            )
            for left, right, distance in _neighbours(words, wanted)
            for field in fields
            if (left, field) in wanted and (right, field) in wanted
        ]

    def _scores_of(
        self, queries: Sequence[tantivy.Query], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(m,) the sum of the scores of `queries` for each of the (m,) different `rows`."""
        if not queries or not len(rows):
            return np.zeros(len(rows), dtype=np.float32)
        clauses = [(_SHOULD, query) for query in queries]
        step = len(clauses) if self._is_dense(rows) else DEEPEST
        scores = np.zeros(len(rows), dtype=np.float32)
        for start in range(0, len(clauses), step):
            scores += self._scores_by(self._within(rows, clauses[start : start + step]), rows)
        return scores

    def _within(self, rows: NDArray[np.int64], clauses: Sequence[Clause]) -> tantivy.Query:
        """Gives the (m,) rows the sum of the scores of clauses."""
        only = self._only(rows)
        if self._is_dense(rows) or len(clauses) > DEEPEST:
            return _Q.boolean_query([only, *clauses])
        _, query = only
        for clause in clauses:
            query = _Q.boolean_query([(_MUST, query), clause])
        return query

    def _is_dense(self, rows: NDArray[np.int64]) -> bool:
        return self._row_count <= DENSE * len(rows)

    def _scores_by(self, query: tantivy.Query, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m,) the scores of the (m,) rows, which are all that a query finds."""
        hits = self._hits(query, len(rows))
        found = np.argsort(self._rows(hits))
        scores = np.empty(len(rows), dtype=np.float32)
        scores[np.argsort(rows)] = np.array([score for score, _ in hits], dtype=np.float32)[found]
        return scores

    def _phrase(self, field: str, places: list[str | tuple[int, str]]) -> tantivy.Query:
        return _Q.phrase_query(self._schema, field, places)

    def _only(self, rows: NDArray[np.int64]) -> Clause:
        """These rows, which score 0 by it."""
        # For so few rows this takes a third of the time of the engine's own query for sets.
        clauses = [(_SHOULD, _Q.term_query(self._schema, "row", row)) for row in rows.tolist()]
        return _MUST, _Q.const_score_query(_Q.boolean_query(clauses), 0.0)

    def _best(self, terms: list[Clause], k: int, allowed: NDArray[np.int64] | None) -> Ranking:
        if allowed is None:
            return self._first(*self._best_of_all(terms, k), k)
        if len(allowed) <= FEW:
            return self._first(*self._best_of_all([self._only(allowed), *terms], k), k)
        mask = np.zeros(self._row_count, dtype=bool)
        mask[allowed] = True
        count = int(k * 1.5 * self._row_count / len(allowed))
        while True:
            scores, rows = self._best_of_all(terms, count)
            keep = mask[rows]
            best = scores[keep]
            if len(rows) < count or (len(best) > k and best[-1] < best[k - 1]):
                return self._first(best, rows[keep], k)
            count *= 4

    def _first(self, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Ranking:
        """The best `k`, ties in the order of rows; of those that tie with the last, the first
        by their ids."""
        order = np.lexsort((rows, -scores))
        if 0 < k < len(order) and scores[order[k - 1]] == scores[order[k]]:
            last = scores[order[k]]
            tied = order[scores[order] == last]
            ids = self._ids_of(rows[tied].tolist())
            tied = tied[sorted(range(len(tied)), key=ids.__getitem__)]
            order = np.concatenate([order[scores[order] > last], tied])
        order = order[:k]
        return scores[order], rows[order]

    def _best_of_all(self, clauses: list[Clause], k: int) -> Ranking:
        """The best `k`, all that tie with the last of them, and maybe more."""
        query = _Q.boolean_query(clauses)
        count = k + 16
        while True:
            count = min(count, self._row_count)
            hits = self._hits(query, count)
            rows = self._rows(hits)
            is_alive = ~self._is_dead[rows]
            scores = np.array([score for score, _ in hits], dtype=np.float32)
            if len(hits) < count or count == self._row_count:
                break
            best = scores[is_alive]
            if len(best) > k and best[-1] < best[k - 1]:
                break
            count *= 4
        scores, rows = scores[is_alive], rows[is_alive]
        order = np.lexsort((rows, -scores))
        order = order[scores[order] > 0]
        return scores[order], rows[order]

    def _hits(self, query: tantivy.Query, count: int) -> Hits:
        with self._sound():
            return self._searcher.search(query, count, count=False).hits

    def _alive_rows(self, query: tantivy.Query) -> NDArray[np.int64]:
        """Rows, ascending, of all papers that a query finds."""
        rows = self._rows(self._hits(_Q.const_score_query(query, 1.0), self._row_count))
        return np.sort(rows[~self._is_dead[rows]])

    def _rows(self, hits: Hits) -> NDArray[np.int64]:
        addresses = [address for _, address in hits]
        with self._sound():
            rows = np.array(self._searcher.fast_field_values("row", addresses), dtype=np.int64)
        self._check(rows)
        return rows

    def _check(self, rows: NDArray[np.int64]) -> None:
        """
        Raises:
            IndexDamaged: if there is one that a folder of so many papers does not have.
        """
        if len(rows) and rows.max() >= self._row_count:
            raise IndexDamaged(
                f"{self._folder} has {self._row_count:,} papers, and no row {rows.max():,}",
                remedy="build-again",
            )


def _writer_memory() -> int:
    """`MEMORY`, or less where the process may not have so much (`ulimit -v`): the engine ends the
    process when it gets no memory.

    Raises:
        AstrosearchError: if not even the least is to be had.
    """
    for memory in (MEMORY, MEMORY // 4, LEAST_MEMORY):
        needed = 2 * memory + SPARE_MEMORY
        try:
            mmap.mmap(-1, needed, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except OSError:
            continue
        return memory
    raise AstrosearchError(
        f"the words of the papers take {needed / 1e6:,.0f} MB of memory to write, and this process "
        "may not have so much (see ulimit -v)"
    )


@contextmanager
def _as_os_error() -> Iterator[None]:
    """The engine's errors while it writes: a full disk or too little memory, mostly."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, ValueError | MemoryError) or type(error).__name__ == _PANIC:
            raise OSError(_reason(error) or "too little memory") from None
        raise


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split(", logger")[0].split())


@contextmanager
def _lockable(folder: Path) -> Iterator[Path]:
    """A place to open `folder` from. The engine puts a lock beside what it opens, so a folder that
    may not be written to is opened by links to its files; all are mapped at once."""
    if os.access(folder, os.W_OK) or not folder.is_dir():
        yield folder
        return
    with temporary_folder("astrosearch-words-") as links:
        for file in folder.iterdir():
            if file.suffix != ".lock":
                (links / file.name).symlink_to(file.resolve())
        yield links

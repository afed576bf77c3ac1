"""Retrieval quality of words, of an index's encoder and of others, on the index's own papers.

Each task (`evaluation.tasks`) is run in three modes: words alone (lexical), an encoder's vectors
alone (dense), and both (hybrid). All systems get the same queries and documents, so two of them
are compared query by query. The ranker is that of a search: what is measured is what users get.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from astrosearch.atomic import temporary_folder
from astrosearch.citations.graph import Graph, Works
from astrosearch.encoders.base import (
    Billable,
    Encoder,
    EncoderSpec,
    LateInteraction,
    WeightedTokens,
    encode_all,
)
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.metrics import MEASURES, Values, isotropy, measure, rank_pessimistically
from astrosearch.evaluation.report import EncoderReport, Report, Result, TaskReport
from astrosearch.evaluation.tasks import HALF, JUDGEMENTS, TITLE, Query, Settings, Task
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from astrosearch.index.reader import Index
from astrosearch.index.vector_index import BLOCK
from astrosearch.index.vectors import random_pair_cosines
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.search.candidates import find_candidates
from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import EVERYTHING, Column, EncodedQuery, Found, Scope
from astrosearch.search.ranker import Ranker, rank, task_of
from astrosearch.search.searcher import DEPTH, Reranker, hits_of

LEXICAL, DENSE, HYBRID = "lexical", "dense", "hybrid"
MEAN = "mean"
"""Hybrid by the weighted mean of cosine and BM25, without what the ranker has learnt."""
RERANK = "rerank"
"""Hybrid, and its first hits read by a cross-encoder."""

Rows = NDArray[np.int64]

Ranking = NDArray[np.int64]
"""(n,) places in the pool of the documents found for one query, best first."""

SystemRankings = tuple[str, str | None, list[Ranking]]
"""A mode, an encoder (None for words alone), and the ranking for each query."""


def evaluate(
    index: Index,
    settings: Settings,
    tasks: Sequence[Task],
    encoders: Sequence[tuple[str, Encoder]],
    reporter: Reporter = SILENT,
    reranker: Reranker | None = None,
) -> Report:
    """Run all tasks in all modes with all encoders.

    Args:
        tasks: from `sample_tasks` for this index.
        encoders: names and encoders, the index's own first. Its vectors of papers are taken from
            the index.
        reporter: gets the progress, and approves the cost of services.
        reranker: reads the first hybrid hits of tasks whose queries are texts, if an encoder
            compares tokens: one mode more.

    Raises:
        EncoderMismatch: if the first encoder is not the index's.
        AstrosearchError: if an encoder gives vectors that are not finite.
    """
    index.check(encoders[0][1])
    for number, (_, encoder) in enumerate(encoders):
        if isinstance(encoder, Billable):
            encoder.request_approval(_texts(index, tasks, encoder.spec, own=number == 0))
    with ExitStack() as open_indexes:
        worded = [open_indexes.enter_context(_worded(index, task)) for task in tasks]
        systems: list[list[SystemRankings]] = [
            [(LEXICAL, None, [rows for _, rows in words.best])] for words in worded
        ]
        encoder_reports = []
        for number, (name, encoder) in enumerate(encoders):
            papers = _paper_vectors(index, tasks, encoder, name, reporter, own=number == 0)
            for words, task_systems in zip(worded, systems, strict=True):
                documents = _encoded(index, words, encoder, name, papers, reporter)
                modes = (DENSE, HYBRID, MEAN) if documents.compares_tokens else (DENSE, HYBRID)
                for mode in modes:
                    task_systems.append((mode, name, _rankings(documents, mode)))
                if reranker and documents.compares_tokens and words.task.asks_in_texts:
                    rankings = _reread(
                        documents, reranker, f"Reading ({words.task.name})", reporter
                    )
                    task_systems.append((RERANK, name, rankings))
                if words is worded[0]:
                    evenness = isotropy(documents.vectors)
                    report = EncoderReport(name, encoder.spec, encoder.dimension, evenness)
                    encoder_reports.append(report)
    task_reports = [
        TaskReport(task, _results(task, task_systems, settings.seed))
        for task, task_systems in zip(tasks, systems, strict=True)
    ]
    return Report(index.folder.name, len(index), settings, encoder_reports, task_reports)


class _WordedTask:
    """A task, with a lexical index of its documents and the best of them for each query."""

    def __init__(self, task: Task, lexical: LexicalIndex, index: Index) -> None:
        self.task = task
        self._index = index
        self._lexical = lexical
        self.best = [self._best(query) for query in task.queries]

    def bm25(self, text: str, rows: Rows) -> Column:
        scores = self._lexical.scores(text, rows, fields=self.task.searched)
        return scores.astype(np.float64)

    def pair_shares(self, text: str, rows: Rows) -> Column | None:
        return self._lexical.pair_shares(text, rows, fields=self.task.searched)

    def name_shares(self, text: str, rows: Rows, fields: Sequence[str]) -> Column | None:
        searched = [field for field in fields if field in self.task.searched]
        return self._lexical.name_shares(text, rows, searched) if searched else None

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return self._lexical.frequency(word, fields)

    def papers(self, places: Rows) -> list[Paper]:
        return self._index.corpus.papers(self.task.rows[places].tolist())

    def best_bearing(
        self, text: str, k: int, names: Sequence[Sequence[str]]
    ) -> tuple[Column, Rows]:
        """The `k` best of the papers that have one of some names among their authors."""
        rows = self._lexical.rows_with_authors(names)
        scores, best = self._lexical.search(text, k, rows, fields=self.task.searched)
        return scores.astype(np.float64), best

    def _best(self, query: Query) -> tuple[Column, Rows]:
        # One more, since the query's own paper may be among them.
        scores, rows = self._lexical.search(query.text, DEPTH + 1, fields=self.task.searched)
        ranking = _without_itself(query, scores, rows)
        score_of = dict(zip(rows.tolist(), scores.tolist(), strict=True))
        return np.array([score_of[row] for row in ranking.tolist()], dtype=np.float64), ranking


@contextmanager
def _worded(index: Index, task: Task) -> Iterator[_WordedTask]:
    """The task with a lexical index in a temporary folder."""
    with temporary_folder("astrosearch-eval-") as folder:
        writer = LexicalIndexWriter(folder / "words")
        for place, paper in enumerate(index.corpus.stream(task.rows)):
            abstract = task.halves[place] if task.halves else paper.abstract
            writer.add(place, paper.title, abstract, paper.authors)
        writer.finish()
        yield _WordedTask(task, LexicalIndex(folder / "words"), index)


class Documents:
    """A task's documents and queries under one encoder, with the words of the documents."""

    def __init__(
        self,
        words: _WordedTask,
        queries: list[EncodedQuery],
        vectors: NDArray[np.float16],
        texts: Callable[[int], str],
    ) -> None:
        """
        Args:
            queries: those of the task, in order.
            vectors: (n, dimension) vectors of the documents.
            texts: from a place in the pool to the text that the encoder reads.
        """
        self.words = words
        self.queries = queries
        self.vectors = vectors
        self.background = float(random_pair_cosines(vectors).mean())
        self._texts = texts
        self._tokens: dict[int, WeightedTokens] = {}
        query_vectors = np.stack([query.vector for query in queries if query.vector is not None])
        self.near = _nearest(query_vectors, vectors, words.task)

    @property
    def compares_tokens(self) -> bool:
        return any(query.encoder is not None for query in self.queries)

    def of_query(self, number: int) -> "DocumentsOfQuery":
        return DocumentsOfQuery(self, number)

    def weighted_tokens(self, encoder: LateInteraction, places: Rows) -> list[WeightedTokens]:
        for place in places.tolist():
            if place not in self._tokens:
                [self._tokens[place]] = encoder.weighted_tokens([self._texts(place)])
        return [self._tokens[place] for place in places.tolist()]


@contextmanager
def documents_of(
    index: Index, task: Task, encoder: Encoder, reporter: Reporter = SILENT
) -> Iterator[Documents]:
    """A task's documents and queries under the index's own encoder."""
    with _worded(index, task) as words:
        papers = _paper_vectors(index, [task], encoder, "the encoder", reporter, own=True)
        yield _encoded(index, words, encoder, "the encoder", papers, reporter)


class DocumentsOfQuery:
    """The documents that one query may find, for the ranker (`search.paper_index.PaperIndex`): the
    id of one is its place in the pool. The query's own paper is not among them, and among equal
    scores the relevant documents come last."""

    def __init__(self, documents: Documents, number: int) -> None:
        self._documents = documents
        self._number = number
        self.graph: Graph | None = None

    def among_works(self, works: Works, scope: Scope = EVERYTHING) -> dict[int, str]:
        return {}

    @property
    def background(self) -> float:
        return self._documents.background

    def nearest(self, vector: Vectors, k: int, scope: Scope = EVERYTHING) -> Found:
        ids = _as_ids(self._documents.near[self._number][:k])
        return Found(ids, self.cosines(vector, ids))

    def best_words(self, text: str, k: int, scope: Scope = EVERYTHING) -> Found:
        words = self._documents.words
        scores, places = words.best[self._number]
        for condition in scope.conditions:
            if not isinstance(condition, BearsName):  # a task has no filters
                raise TypeError(f"{condition} of a task's query")
            scores, places = words.best_bearing(text, k + 1, condition.names)
            others = places != words.task.queries[self._number].place
            scores, places = scores[others], places[others]
        return Found(_as_ids(places[:k]), scores[:k])

    def best_words_and(
        self, text: str, k: int, scope: Scope, others: Callable[[], Sequence[str]]
    ) -> tuple[Found, Column]:
        return self.best_words(text, k, scope), self.bm25(text, others())

    def bm25(self, text: str, ids: Sequence[str]) -> Column:
        return self._documents.words.bm25(text, _places(ids))

    def pair_shares(self, text: str, ids: Sequence[str]) -> Column | None:
        return self._documents.words.pair_shares(text, _places(ids))

    def name_shares(
        self, text: str, ids: Sequence[str], fields: Sequence[str] = ("title", "abstract")
    ) -> Column | None:
        return self._documents.words.name_shares(text, _places(ids), fields)

    def vectors(self, ids: Sequence[str]) -> Vectors:
        return unit_rows(self._documents.vectors[_places(ids)])

    def cosines(self, vector: Vectors, ids: Sequence[str]) -> Column:
        # The cosines of equal texts may differ in their last bits: rounding makes them ties.
        return (self.vectors(ids) @ vector).round(6).astype(np.float64)

    def weighted_tokens(self, encoder: LateInteraction, ids: Sequence[str]) -> list[WeightedTokens]:
        return self._documents.weighted_tokens(encoder, _places(ids))

    def papers(self, ids: Sequence[str]) -> list[Paper]:
        return self._documents.words.papers(_places(ids))

    def frequency(self, word: str, fields: Sequence[str]) -> int:
        return self._documents.words.frequency(word, fields)


def _places(ids: Sequence[str]) -> Rows:
    return np.array([int(place) for place in ids], dtype=np.int64)


def _as_ids(places: Rows) -> list[str]:
    return [str(place) for place in places.tolist()]


def _rankings(documents: Documents, mode: str) -> list[Ranking]:
    """The ranking of each query, by vectors alone or with words."""
    rankings = []
    ranker: Ranker = "mean" if mode == MEAN else "learnt"
    for number, (query, encoded) in enumerate(
        zip(documents.words.task.queries, documents.queries, strict=True)
    ):
        papers = documents.of_query(number)
        encoded = as_asked(encoded, mode)
        ranking = rank(
            papers,
            encoded,
            find_candidates(papers, encoded, DEPTH),
            task=task_of(encoded),
            ranker=ranker,
        )
        places = _places(ranking.candidates.signals.ids)
        rankings.append(rank_pessimistically(ranking.scores.round(9), places, query.relevant))
    return rankings


def _reread(
    documents: Documents, reranker: Reranker, what: str, reporter: Reporter
) -> list[Ranking]:
    """The hybrid ranking of each query, its first hits read again. A reranker sees of papers what
    a task's documents have."""
    task = documents.words.task
    rankings = []
    for number, (query, encoded) in enumerate(zip(task.queries, documents.queries, strict=True)):
        reporter.progress(what, number, len(task.queries))
        papers = documents.of_query(number)
        ranking = rank(
            papers, encoded, find_candidates(papers, encoded, DEPTH), task=task_of(encoded)
        )
        hits = [
            replace(hit, paper=_as_document(task, int(place), hit.paper))
            for place, hit in zip(
                ranking.candidates.signals.ids,
                hits_of(papers, ranking, reranker.depth),
                strict=False,
            )
        ]
        hits = reranker.rerank(query.text, hits)
        scores = np.array([hit.score for hit in hits]).round(9)
        places = _places([hit.paper.id for hit in hits])
        rankings.append(rank_pessimistically(scores, places, query.relevant))
    reporter.progress(what, len(task.queries), len(task.queries))
    return rankings


def _as_document(task: Task, place: int, paper: Paper) -> Paper:
    """A paper as far as a task's document has it; its id is the place."""
    if task.name == JUDGEMENTS:
        return replace(paper, id=str(place))
    abstract = task.halves[place] if task.halves else paper.abstract
    return replace(paper, id=str(place), title="", abstract=abstract)


def as_asked(query: EncodedQuery, mode: str) -> EncodedQuery:
    """A query of a task as a mode asks it."""
    return replace(query, words=None) if mode == DENSE else query


def _without_itself(query: Query, scores: NDArray[np.floating], places: Rows) -> Ranking:
    """The `DEPTH` best documents, without the query's own paper."""
    others = places != query.place
    return rank_pessimistically(scores[others], places[others], query.relevant)[:DEPTH]


def _documents_apart(index: Index, task: Task, spec: EncoderSpec) -> Sequence[str] | None:
    """(n,) texts of a task's documents; None if they are what the encoder reads of whole papers."""
    if task.name == TITLE and spec.document != "abstract":
        return [paper.abstract for paper in index.corpus.stream(task.rows)]
    return task.halves


def _texts(index: Index, tasks: Sequence[Task], spec: EncoderSpec, *, own: bool) -> Iterator[str]:
    """All texts that an encoder will encode; without papers if the encoder is the index's own."""
    if not own:
        yield from (spec.text_of(paper) for paper in index.corpus.stream(_needed(tasks, spec)))
    for task in tasks:
        yield from _documents_apart(index, task, spec) or ()
        yield from (query.text for query in task.queries if query.row is None)


def _needed(tasks: Sequence[Task], spec: EncoderSpec) -> Rows:
    """(n,) rows of the papers whose vectors the tasks need, ascending."""
    query_rows = [query.row for task in tasks for query in task.queries if query.row is not None]
    apart = (TITLE, HALF) if spec.document != "abstract" else (HALF,)
    pools = [task.rows for task in tasks if task.name not in apart]
    return np.unique(np.concatenate([*pools, np.array(query_rows, dtype=np.int64)]))


def _paper_vectors(
    index: Index,
    tasks: Sequence[Task],
    encoder: Encoder,
    name: str,
    reporter: Reporter,
    *,
    own: bool,
) -> Callable[[Rows], NDArray[np.float16]]:
    """From (n,) rows to (n, dimension) vectors of their papers: the index's, or encoded here."""
    if own:
        return lambda rows: index.vectors[rows].astype(np.float16)
    needed = _needed(tasks, encoder.spec)
    texts = [encoder.spec.text_of(paper) for paper in index.corpus.stream(needed)]
    vectors = _encode(encoder, texts, f"papers with {name}", reporter)
    return lambda rows: vectors[np.searchsorted(needed, rows)]


def _encoded(
    index: Index,
    words: _WordedTask,
    encoder: Encoder,
    name: str,
    papers: Callable[[Rows], NDArray[np.float16]],
    reporter: Reporter,
) -> Documents:
    """A task's documents and queries under one encoder."""
    task, spec = words.task, encoder.spec
    apart = _documents_apart(index, task, spec)
    if apart is None:
        vectors = papers(task.rows)
    else:
        vectors = _encode(encoder, apart, f"documents ({task.name}) with {name}", reporter)
    texts = [query.text for query in task.queries if query.row is None]
    encoded = iter(_encode(encoder, texts, f"queries ({task.name}) with {name}", reporter))
    query_vectors = unit_rows(
        np.stack(
            [
                next(encoded) if query.row is None else papers(np.array([query.row]))[0]
                for query in task.queries
            ]
        )
    )

    def text_of(row: int) -> str:
        return spec.text_of(index.corpus.papers([row])[0])

    queries = []
    for query, vector in zip(task.queries, query_vectors, strict=True):
        asking = () if query.row is None else tuple(index.corpus.papers([query.row]))
        encoded_query = EncodedQuery(query.text, vector, papers=asking)
        if isinstance(encoder, LateInteraction):
            text = query.text if query.row is None else text_of(query.row)
            tokens = tuple(encoder.weighted_tokens([text]))
            encoded_query = replace(
                encoded_query, tokens=tokens, encoder=encoder, encode=encoder.encode
            )
            if query.row is None:
                [asked] = encoder.read_as_queries(vector[None], tokens)
                encoded_query = replace(encoded_query, vector=asked, written=vector)
        queries.append(encoded_query)
    return Documents(
        words,
        queries,
        vectors,
        lambda place: apart[place] if apart else text_of(int(task.rows[place])),
    )


def _encode(
    encoder: Encoder, texts: Sequence[str], what: str, reporter: Reporter
) -> NDArray[np.float16]:
    """(n, dimension) float16, as an index holds its vectors."""
    vectors = encode_all(encoder, texts, f"Encoding {what}", reporter).astype(np.float16)
    if not np.isfinite(vectors).all():
        raise AstrosearchError(f"an encoder gave vectors that are not finite ({what})")
    return vectors


SCORES_AT_ONCE = 2**23
"""Scores in memory at a time: 32 MB of float32."""


def _nearest(query_vectors: Vectors, documents: NDArray[np.float16], task: Task) -> list[Ranking]:
    """The `DEPTH` documents of the highest cosines for each query. Among equal cosines the relevant
    documents come last.

    Args:
        query_vectors: (q, dimension) float32, unit rows.
        documents: (n, dimension).
    """
    count = len(documents)
    rankings = []
    block = max(1, SCORES_AT_ONCE // count)
    for start in range(0, len(query_vectors), block):
        queries = query_vectors[start : start + block]
        scores = np.empty((len(queries), count), dtype=np.float32)
        for first in range(0, count, BLOCK):
            scores[:, first : first + BLOCK] = (
                queries @ unit_rows(documents[first : first + BLOCK]).T
            )
        scores = scores.round(6)  # equal texts are ties, as in `cosines`
        for query, row in zip(task.queries[start : start + block], scores, strict=True):
            row[list(query.relevant)] -= 5e-7  # behind its ties, before the next score
            k = min(DEPTH + 1, count)
            best = np.argpartition(-row, k - 1)[:k].astype(np.int64)
            rankings.append(_without_itself(query, row[best], best))
    return rankings


def _results(task: Task, systems: Sequence[SystemRankings], seed: int) -> list[Result]:
    """The result of each mode and encoder. The other encoders are compared with the first of the
    same mode, which is the index's own."""
    relevant = [query.relevant for query in task.queries]
    values = [measure(rankings, relevant) for _, _, rankings in systems]
    # All systems side by side: one draw of queries resamples them all.
    means = np.split(resampled_means(np.concatenate(values, axis=1), seed), len(values), axis=1)
    first = {mode: number for number, (mode, _, _) in reversed(list(enumerate(systems)))}
    results = []
    for number, (mode, encoder, _) in enumerate(systems):
        base = first[mode]
        differences = {}
        if number != base:
            differences = _estimates(values[number] - values[base], means[number] - means[base])
        estimates = _estimates(values[number], means[number])
        results.append(Result(mode, encoder, values[number], estimates, differences))
    return results


def _estimates(values: Values, means: Values) -> dict[str, Estimate]:
    """The mean of each measure, from (queries, measures) and (RESAMPLES, measures)."""
    return {
        name: interval(values[:, column].mean(), means[:, column])
        for column, name in enumerate(MEASURES)
    }

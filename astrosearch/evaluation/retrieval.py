"""Retrieval quality of words, of an index's encoder and of others, on the index's own papers.

Each task (`evaluation.tasks`) is asked in three modes: words alone (lexical), an encoder's vectors
alone (dense), both fused (hybrid). All systems get the same queries and the same documents, so a
difference between two is tested query by query.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch import __version__
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
from astrosearch.evaluation.metrics import (
    MEASURES,
    RESAMPLES,
    Estimate,
    Isotropy,
    Values,
    interval,
    isotropy,
    measure,
    rank_pessimistically,
    resampled_means,
)
from astrosearch.evaluation.tasks import HALF, TITLE, Query, Settings, Task
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from astrosearch.index.reader import Index
from astrosearch.index.vector_index import BLOCK
from astrosearch.index.vectors import random_pair_cosines
from astrosearch.report import SILENT, Reporter
from astrosearch.search.ranking import COMPARED, DENSE_WEIGHT, Fused, fuse, rerank

LEXICAL, DENSE, HYBRID = "lexical", "dense", "hybrid"

CANDIDATES = 100
"""Documents of each mode that are fused."""

FORMAT = "astrosearch-eval-1"


@dataclass(frozen=True)
class Result:
    """What one system reaches in one task."""

    mode: str
    encoder: str | None
    """None for words alone."""
    values: Values
    """(queries, measures)"""
    estimates: dict[str, Estimate]
    differences: dict[str, Estimate] = field(default_factory=dict)
    """From the index's own encoder in the same mode; empty for that one itself."""


@dataclass(frozen=True)
class TaskReport:
    task: Task
    results: list[Result]


@dataclass(frozen=True)
class EncoderReport:
    name: str
    spec: EncoderSpec
    dimension: int
    isotropy: Isotropy
    """Of the documents of the first task."""


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    index: str
    papers: int
    settings: Settings
    encoders: list[EncoderReport]
    """The index's own first."""
    tasks: list[TaskReport]

    def as_record(self, *, values: bool = False) -> dict[str, Any]:
        """For JSON: no date and no duration, so that two runs give the same bytes.

        Args:
            values: whether what each single query scores is in it too, for a later gate.
        """
        return {
            "format": FORMAT,
            "index": self.index,
            "papers": self.papers,
            "settings": asdict(self.settings),
            "resamples": RESAMPLES,
            "versions": versions(),
            "encoders": [
                {
                    "name": one.name,
                    **one.spec.as_record(),
                    "dimension": one.dimension,
                    "isotropy": asdict(one.isotropy),
                }
                for one in self.encoders
            ],
            "tasks": [_task_record(one, values=values) for one in self.tasks],
        }


def _task_record(report: TaskReport, *, values: bool) -> dict[str, Any]:
    task = report.task
    return {
        "task": task.name,
        "sample": task.sample,
        "queries": len(task.queries),
        "pool": len(task.rows),
        "notes": task.notes,
        "results": [
            {
                "mode": result.mode,
                "encoder": result.encoder,
                "measures": {name: asdict(one) for name, one in result.estimates.items()},
                "differences": {
                    name: {**asdict(one), "verdict": one.verdict}
                    for name, one in result.differences.items()
                },
                **({"values": _columns(result.values)} if values else {}),
            }
            for result in report.results
        ],
    }


def _columns(values: Values) -> dict[str, list[float]]:
    return dict(zip(MEASURES, np.round(values, 6).T.tolist(), strict=True))


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    from importlib.metadata import version

    return {
        "astrosearch": __version__,
        **{name: version(name) for name in ("ir_measures", "numpy", "tantivy", "torch")},
    }


Ranking = NDArray[np.int64]
"""Places in the pool of the documents found for one query, best first."""


def evaluate(
    index: Index,
    settings: Settings,
    tasks: Sequence[Task],
    encoders: Sequence[tuple[str, Encoder]],
    reporter: Reporter = SILENT,
) -> Report:
    """Ask all tasks in all modes.

    Args:
        tasks: what `draw` gave for this index.
        encoders: names and encoders, the index's own first; its vectors of papers are the index's.
        told: progress.

    Raises:
        EncoderMismatch: if the first encoder is not the index's.
    """
    index.check(encoders[0][1])
    for number, (_, encoder) in enumerate(encoders):
        if isinstance(encoder, Billable):
            encoder.request_approval(_texts(index, tasks, encoder.spec, own=number == 0))
    lexical = [_lexical(index, task) for task in tasks]
    answers: list[list[tuple[str, str | None, list[Ranking]]]] = [
        [(LEXICAL, None, [rows for rows, _ in found])] for found in lexical
    ]
    described = []
    for number, (name, encoder) in enumerate(encoders):
        papers = _paper_vectors(index, tasks, encoder, name, reporter, own=number == 0)
        for task, words, found in zip(tasks, lexical, answers, strict=True):
            apart = _documents(index, task, encoder.spec)
            documents, asked = _encoded(task, encoder, name, papers, apart, reporter)
            nearest = _nearest(asked, documents, task)
            late = _late(index, task, encoder, apart)
            # The mean cosine of random pairs.
            background = float(random_pair_cosines(documents).mean())
            among = (task, nearest, asked, documents, background, late)
            dense = nearest
            if late:
                dense = _fused(*among, [_NO_WORDS] * len(nearest), dense_weight=1.0)
            found += [(DENSE, name, dense), (HYBRID, name, _fused(*among, words))]
            if task is tasks[0]:
                even = isotropy(documents)
                described.append(EncoderReport(name, encoder.spec, encoder.dimension, even))
    reports = [
        TaskReport(task, _results(task, found, settings.seed))
        for task, found in zip(tasks, answers, strict=True)
    ]
    return Report(index.folder.name, len(index), settings, described, reports)


def _lexical(index: Index, task: Task) -> list[tuple[Ranking, NDArray[np.floating]]]:
    """What words find, and its scores, in the task's documents alone, indexed for the purpose."""
    with tempfile.TemporaryDirectory(prefix="astrosearch-eval-") as folder:
        writer = LexicalIndexWriter(Path(folder) / "words")
        for place, paper in enumerate(index.corpus.stream(task.rows)):
            abstract = task.halves[place] if task.halves else paper.abstract
            writer.add(place, paper.title, abstract, paper.authors)
        writer.finish()
        words = LexicalIndex(Path(folder) / "words")
        found = []
        for query in task.queries:
            # One more, since the paper that asks may be among them.
            scores, rows = words.search(query.text, CANDIDATES + 1, fields=task.searched)
            ranking = _without_itself(query, scores, rows)
            score = dict(zip(rows.tolist(), scores.tolist(), strict=True))
            found.append((ranking, np.array([score[row] for row in ranking.tolist()])))
        return found


def _without_itself(
    query: Query, scores: NDArray[np.floating], found: NDArray[np.int64]
) -> Ranking:
    others = found != query.place
    return rank_pessimistically(scores[others], found[others], query.relevant)[:CANDIDATES]


def _documents(index: Index, task: Task, spec: EncoderSpec) -> Sequence[str] | None:
    """A task's documents, where they are not the papers as the encoder sees them in an index."""
    if task.name == TITLE and spec.document != "abstract":
        return [paper.abstract for paper in index.corpus.stream(task.rows)]
    return task.halves


def _texts(index: Index, tasks: Sequence[Task], spec: EncoderSpec, *, own: bool) -> Iterator[str]:
    """Every text that an encoder will be given; of the index's own encoder, no papers."""
    if not own:
        yield from (spec.text_of(paper) for paper in index.corpus.stream(_needed(tasks, spec)))
    for task in tasks:
        yield from _documents(index, task, spec) or ()
        yield from (query.text for query in task.queries if query.row is None)


def _needed(tasks: Sequence[Task], spec: EncoderSpec) -> NDArray[np.int64]:
    """Rows of the papers, ascending, whose vectors the tasks take."""
    asking = [query.row for task in tasks for query in task.queries if query.row is not None]
    apart = (TITLE, HALF) if spec.document != "abstract" else (HALF,)
    pools = [task.rows for task in tasks if task.name not in apart]
    return np.unique(np.concatenate([*pools, np.array(asking, dtype=np.int64)]))


def _paper_vectors(
    index: Index,
    tasks: Sequence[Task],
    encoder: Encoder,
    name: str,
    reporter: Reporter,
    *,
    own: bool,
) -> Callable[[NDArray[np.int64]], NDArray[np.float16]]:
    """Rows of the index to the vectors of their papers: those of the index, or encoded here."""
    if own:
        return lambda rows: index.vectors[rows]
    needed = _needed(tasks, encoder.spec)
    texts = [encoder.spec.text_of(paper) for paper in index.corpus.stream(needed)]
    vectors = _encode(encoder, texts, f"papers with {name}", reporter)
    return lambda rows: vectors[np.searchsorted(needed, rows)]


def _encoded(
    task: Task,
    encoder: Encoder,
    name: str,
    papers: Callable[[NDArray[np.int64]], NDArray[np.float16]],
    apart: Sequence[str] | None,
    reporter: Reporter,
) -> tuple[NDArray[np.float16], Vectors]:
    """A task's documents, (n, dimension), and its queries, (q, dimension) unit rows."""
    if apart is None:
        documents = papers(task.rows)
    else:
        documents = _encode(encoder, apart, f"documents ({task.name}) with {name}", reporter)
    new = [query.text for query in task.queries if query.row is None]
    encoded = iter(_encode(encoder, new, f"queries ({task.name}) with {name}", reporter))
    asked = [
        next(encoded) if query.row is None else papers(np.array([query.row]))[0]
        for query in task.queries
    ]
    return documents, unit_rows(np.stack(asked))


def _encode(
    encoder: Encoder, texts: Sequence[str], what: str, reporter: Reporter
) -> NDArray[np.float16]:
    """(n, dimension) float16, as an index holds its vectors."""
    vectors = encode_all(encoder, texts, f"Encoding {what}", reporter).astype(np.float16)
    if not np.isfinite(vectors).all():
        raise AstrosearchError(f"an encoder gave vectors that are not finite ({what})")
    return vectors


SCORES_AT_ONCE = 2**23
"""Scores held in memory at a time, in float32: 32 MB."""


def _nearest(asked: Vectors, documents: NDArray[np.float16], task: Task) -> list[Ranking]:
    """The documents of the highest cosines, for each query; ties count against the right answer.

    Args:
        asked: (q, dimension), unit rows.
        documents: (n, dimension).
    """
    count = len(documents)
    found = []
    block = max(1, SCORES_AT_ONCE // count)
    for start in range(0, len(asked), block):
        some = asked[start : start + block]
        scores = np.empty((len(some), count), dtype=np.float32)
        for first in range(0, count, BLOCK):
            scores[:, first : first + BLOCK] = some @ unit_rows(documents[first : first + BLOCK]).T
        # Equal texts may differ in the last bits, by where they stand in a product: they are ties.
        scores = scores.round(6)
        for query, line in zip(task.queries[start : start + block], scores, strict=True):
            line[list(query.relevant)] -= 5e-7  # behind its ties, before the next score
            wanted = min(CANDIDATES + 1, count)
            best = np.argpartition(-line, wanted - 1)[:wanted].astype(np.int64)
            found.append(_without_itself(query, line[best], best))
    return found


Late = Callable[[int, Fused], Fused]
"""An answer to a query, by its number, in the order that its tokens give it."""


def _late(index: Index, task: Task, encoder: Encoder, apart: Sequence[str] | None) -> Late | None:
    """None for an encoder that does not compare texts token by token."""
    if not isinstance(encoder, LateInteraction):
        return None
    spec, compare = encoder.spec, encoder

    def text_of(row: int) -> str:
        return spec.text_of(index.corpus.papers([row])[0])

    bags: dict[int, WeightedTokens] = {}

    def reranked(number: int, fused: Fused) -> Fused:
        query = task.queries[number]
        first = fused.rows[:COMPARED].tolist()
        for place in first:
            if place not in bags:
                text = apart[place] if apart else text_of(int(task.rows[place]))
                [bags[place]] = compare.weighted_tokens([text])
        [asked] = compare.weighted_tokens([query.text if query.row is None else text_of(query.row)])
        return rerank(
            fused, compare.late_interaction_scores(asked, [bags[place] for place in first])
        )

    return reranked


_Words = tuple[Ranking, NDArray[np.floating]]
_NO_WORDS: _Words = (np.zeros(0, np.int64), np.zeros(0))


def _fused(
    task: Task,
    dense: Sequence[Ranking],
    asked: Vectors,
    documents: NDArray[np.float16],
    background: float,
    late: Late | None,
    lexical: Sequence[_Words],
    dense_weight: float = DENSE_WEIGHT,
) -> list[Ranking]:
    found = []
    for number, (query, (by_words, scores), by_vectors, vector) in enumerate(
        zip(task.queries, lexical, dense, asked, strict=True)
    ):
        rows = np.union1d(by_words, by_vectors)
        bm25 = np.zeros(len(rows))
        bm25[np.searchsorted(rows, by_words)] = scores
        cosines = (unit_rows(documents[rows]) @ vector).round(6)
        fused = fuse(rows, cosines, bm25, background, dense_weight=dense_weight)
        if late:
            fused = late(number, fused)
        found.append(rank_pessimistically(fused.scores.round(9), fused.rows, query.relevant))
    return found


def _results(
    task: Task, answers: Sequence[tuple[str, str | None, list[Ranking]]], seed: int
) -> list[Result]:
    """Of each mode and encoder; the first of a mode, the index's own, is what others are compared
    with."""
    relevant = [query.relevant for query in task.queries]
    values = [measure(found, relevant) for _, _, found in answers]
    # All systems side by side: one draw of queries resamples them all.
    means = np.split(resampled_means(np.concatenate(values, axis=1), seed), len(values), axis=1)
    first = {mode: number for number, (mode, _, _) in reversed(list(enumerate(answers)))}
    results = []
    for number, (mode, encoder, _) in enumerate(answers):
        base = first[mode]
        results.append(
            Result(
                mode,
                encoder,
                values[number],
                _estimates(values[number], means[number]),
                _estimates(values[number] - values[base], means[number] - means[base])
                if number != base
                else {},
            )
        )
    return results


def _estimates(values: Values, means: Values) -> dict[str, Estimate]:
    return {
        name: interval(values[:, column].mean(), means[:, column])
        for column, name in enumerate(MEASURES)
    }

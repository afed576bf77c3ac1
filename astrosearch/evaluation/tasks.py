"""The tasks of an evaluation: queries, and the pool of papers that is searched for the answers.

    title        the query is a paper's title, the answer its abstract; documents have no titles
    half         the query is the first half of an abstract, the answer the second half
    judgements   the query is a paper or a text, the answers are the papers judged relevant

The first two need no judgements: one part of a paper must find the other (known-item search).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import Judgement
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.reader import Index
from astrosearch.text.sentences import halves

TITLE, HALF, JUDGEMENTS = "title", "half", "judgements"

POOL = 10_000
"""Default size of the pool. Each of its papers has to be encoded for the task `half`, and again by
each encoder that is compared."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a sample of one corpus depends on."""

    tasks: tuple[str, ...] = (TITLE, HALF)
    queries: int = 1000
    """Number of queries of each task, drawn at random."""
    pool: int = POOL
    """Number of papers that are searched for the answers."""
    held_out: bool = False
    """Whether to use only papers that no training may use (`astrosearch.evaluation.split`)."""
    seed: int = 0
    fold: int = 0
    """Which fifth is held out; 0 is held out for good."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a task."""

    text: str
    relevant: dict[int, int]
    """Places of the relevant documents in the pool, each with its grade."""
    row: int | None = None
    """Row of the paper that is the query; None if the query is a text."""
    place: int | None = None
    """Place in the pool of the paper that asks, if it is there. It does not count as a hit."""


@dataclass(frozen=True, slots=True)
class Task:
    """Queries, and the documents in which each has to find the relevant ones."""

    name: str
    queries: list[Query]
    rows: NDArray[np.int64]
    """(n,) the pool, as rows of the index: document i is from paper `rows[i]`."""
    halves: list[str] | None
    """(n,) the documents, if they are second halves of abstracts; None if they are papers."""
    sample: str
    """Fingerprint of queries, documents and judgements: equal only for the same sample."""
    notes: list[str]
    """What a reader of the scores has to know: what was left out, how large the pool is."""

    @property
    def asks_in_texts(self) -> bool:
        """Whether no query is a paper."""
        return all(query.row is None for query in self.queries)

    @property
    def searched(self) -> tuple[str, ...]:
        """Fields of the documents that are searched for words."""
        return ("title", "abstract") if self.name == JUDGEMENTS else ("abstract",)


def sample_tasks(
    index: Index, settings: Settings, judgements: Sequence[Judgement] = ()
) -> list[Task]:
    """The tasks of an evaluation, drawn from an index's papers.

    Papers are taken in the order of a hash of seed and identifier, so a sample depends neither on
    the order of the corpus nor on the machine, and a larger one contains a smaller one.

    Raises:
        InputError: if a task has fewer than two documents, or no judged paper is in the index.
    """
    rows = _rows(index, held_out=settings.held_out, fold=settings.fold)
    drawn = _shuffled(rows, settings.seed)
    which = "papers that are held out" if settings.held_out else "papers"
    if len(drawn) < 2:
        raise InputError(f"index {index.folder.name} has {len(drawn)} {which}: too few to evaluate")
    tasks = []
    for name in settings.tasks:
        if name == JUDGEMENTS:
            tasks.append(_judged_task(index, settings, judgements, rows, drawn))
        else:
            tasks.append(_known_item_task(index, settings, name, drawn, which))
    return tasks


def sample_order(index: Index, *, held_out: bool, seed: int) -> NDArray[np.int64]:
    """(n,) all rows of an index, or those of held-out papers, in the order that samples take."""
    return _shuffled(_rows(index, held_out=held_out), seed)


def _rows(index: Index, *, held_out: bool, fold: int = 0) -> dict[str, int]:
    ids = index.corpus.ids()
    return {
        paper_id: row
        for paper_id, row in ids.items()
        if not held_out or is_held_out(paper_id, fold)
    }


def _shuffled(rows: dict[str, int], seed: int) -> NDArray[np.int64]:
    ids = sorted(rows, key=lambda paper_id: _hash(seed, paper_id))
    return np.array([rows[paper_id] for paper_id in ids], dtype=np.int64)


def _hash(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest()


def _known_item_task(
    index: Index, settings: Settings, name: str, drawn: NDArray[np.int64], which: str
) -> Task:
    """A task in which one part of a paper has to find the other."""
    parts: list[tuple[int, str, str]] = []
    unusable = 0
    for row, paper in zip(drawn.tolist(), index.corpus.stream(drawn), strict=True):
        halved = halves(paper.abstract) if name == HALF else (paper.title.strip(), paper.abstract)
        if halved is None or not halved[0]:
            unusable += 1
            continue
        parts.append((row, *halved))
        if len(parts) == settings.pool:
            break
    if len(parts) < 2:
        raise InputError(
            f"index {index.folder.name} has {len(parts)} {which} with "
            f"{'two halves of an abstract' if name == HALF else 'a title'}: too few to evaluate"
        )
    notes = []
    if unusable and name == HALF:
        notes.append(
            f"{unusable:,} papers left out: their abstracts cannot be halved between sentences"
        )
    if len(parts) + unusable < len(drawn):
        notes.append(_pool_note(len(parts), len(drawn), which))
    # The first papers drawn are the queries. The pool is in the order of the index, so that the
    # place of a paper does not tell whether it is a query.
    query_parts = parts[: settings.queries]
    parts.sort()
    place_of = {row: place for place, (row, _, _) in enumerate(parts)}
    queries = [Query(text, {place_of[row]: 1}) for row, text, _ in query_parts]
    if len(queries) < settings.queries:
        notes.append(
            f"only {len(queries):,} papers available; using all "
            f"({settings.queries:,} queries requested)"
        )
    documents = [rest for _, _, rest in parts]
    return Task(
        name,
        queries,
        np.array([row for row, _, _ in parts], dtype=np.int64),
        documents if name == HALF else None,
        _fingerprint(name, queries, documents),
        notes,
    )


@dataclass(frozen=True, slots=True)
class _UsableJudgement:
    """A judgement whose query can be used, with those of its relevant papers that can be."""

    judgement: Judgement
    relevant: dict[int, int]
    """Rows of the relevant papers, each with its grade."""


def _judged_task(
    index: Index,
    settings: Settings,
    judgements: Sequence[Judgement],
    rows: dict[str, int],
    drawn: NDArray[np.int64],
) -> Task:
    """A task whose relevant papers are those of judgements."""
    where = "among the papers held out" if settings.held_out else "in the index"
    usable = _usable(judgements, rows)
    notes = [*_cells_note(judgements), *_unknown_ids_note(judgements, rows, where)]
    if not usable:
        raise InputError(
            f"no judgement can be used: none has its query and a relevant paper {where} "
            f"({index.folder.name}, {len(rows):,} papers){': ' if notes else ''}{'; '.join(notes)}"
        )
    if len(usable) < len(judgements):
        notes.append(
            f"{len(judgements) - len(usable):,} of {len(judgements):,} queries are left out: "
            f"they, or all their relevant papers, are not {where}"
        )
    usable.sort(key=lambda judged: _query_hash(settings.seed, judged.judgement))
    if len(usable) > settings.queries:
        notes.append(f"{settings.queries:,} of {len(usable):,} judged queries are drawn")
        usable = usable[: settings.queries]
    pool = _pool_with_answers(usable, drawn, settings.pool)
    if len(pool) < len(drawn):
        notes.append(_pool_note(len(pool), len(drawn), "papers"))
    queries = _graded_queries(index, usable, rows, pool)
    documents = [paper.text for paper in index.corpus.stream(pool)]
    sample = _fingerprint(JUDGEMENTS, queries, documents)
    return Task(JUDGEMENTS, queries, pool, None, sample, notes)


def _usable(judgements: Sequence[Judgement], rows: dict[str, int]) -> list[_UsableJudgement]:
    usable = []
    for judgement in judgements:
        relevant = {
            rows[paper_id]: grade
            for paper_id, grade in judgement.relevant.items()
            if paper_id in rows and paper_id != judgement.id
        }
        if relevant and (judgement.text is not None or judgement.id in rows):
            usable.append(_UsableJudgement(judgement, relevant))
    return usable


def _query_hash(seed: int, judgement: Judgement) -> bytes:
    return _hash(seed, judgement.text or judgement.id or "")


def _cells_note(judgements: Sequence[Judgement]) -> list[str]:
    cells = sum(judgement.cells_without_id for judgement in judgements)
    if not cells:
        return []
    return [f"{cells:,} cell{'s hold' if cells > 1 else ' holds'} no arXiv identifier"]


def _unknown_ids_note(
    judgements: Sequence[Judgement], rows: dict[str, int], where: str
) -> list[str]:
    ids = {
        paper_id
        for judgement in judgements
        for paper_id in (judgement.id, *judgement.relevant)
        if paper_id
    }
    unknown = sorted(ids - rows.keys())
    if not unknown:
        return []
    first = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
    return [f"{len(unknown):,} of {len(ids):,} judged ids are not {where}: {first}"]


def _pool_with_answers(
    usable: Sequence[_UsableJudgement], drawn: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """(n,) rows, ascending: all that are relevant to a query, and others up to `size`."""
    answers = {row for judged in usable for row in judged.relevant}
    others = [row for row in drawn.tolist() if row not in answers]
    return np.array(sorted([*answers, *others[: max(0, size - len(answers))]]), dtype=np.int64)


def _graded_queries(
    index: Index, usable: Sequence[_UsableJudgement], rows: dict[str, int], pool: NDArray[np.int64]
) -> list[Query]:
    place_of = {row: place for place, row in enumerate(pool.tolist())}
    queries = []
    for judged in usable:
        judgement = judged.judgement
        row = rows.get(judgement.id or "")
        place = None if row is None else place_of.get(row)
        text = judgement.text
        if text is not None:
            row = None
        elif row is not None:
            text = index.corpus.papers([row])[0].text
        graded = {place_of[answer]: grade for answer, grade in judged.relevant.items()}
        queries.append(Query(text or "", graded, row, place))
    return queries


def _pool_note(size: int, papers: int, which: str) -> str:
    return f"the pool is {size:,} of {papers:,} {which}"


def _fingerprint(name: str, queries: Sequence[Query], documents: Sequence[str]) -> str:
    digest = hashlib.sha256(name.encode())
    for query in queries:
        digest.update(orjson.dumps([query.text, sorted(query.relevant.items())]))
    for document in documents:
        digest.update(hashlib.sha256(document.encode()).digest())
    return digest.hexdigest()[:32]

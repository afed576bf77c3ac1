"""What an evaluation asks: queries, and the papers among which their answers are sought.

    title        a paper's title asks, its abstract is to be found; documents lose their titles
    half         the first half of an abstract asks, the second half is to be found
    judgements   a paper or a text asks, the papers judged relevant are to be found

The first two need no labels: a part of a paper must find the rest of it (known-item search).
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
"""Papers among which an answer is sought if nothing is said: each of them has to be encoded for the
task `half`, and by every encoder that is compared."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a sample, for one corpus."""

    tasks: tuple[str, ...] = (TITLE, HALF)
    queries: int = 1000
    """How many queries a task, drawn at random."""
    pool: int = POOL
    """Among how many papers the answer is sought."""
    held_out: bool = False
    """Only papers that no training may use (`astrosearch.evaluation.split`)."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a task."""

    text: str
    relevant: dict[int, int]
    """Places in the task's pool, each with its grade."""
    row: int | None = None
    """Row of the paper whose abstract `text` is."""
    place: int | None = None
    """The same paper's place in the pool, if it is there: it is no answer to itself."""


@dataclass(frozen=True, slots=True)
class Task:
    """Queries and the documents among which each is to find its own. Holds texts, no vectors."""

    name: str
    queries: list[Query]
    rows: NDArray[np.int64]
    """The pool: rows of the index, document i is of paper `rows[i]`."""
    halves: list[str] | None
    """The documents if they are not the papers themselves."""
    sample: str
    """Fingerprint of queries, documents and judgements: equal only for the same questions."""
    notes: list[str]
    """What the reader of the figures has to know."""

    @property
    def searched(self) -> tuple[str, ...]:
        """Fields of the documents in which words are sought."""
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
    rows = _rows(index, held_out=settings.held_out)
    drawn = _drawn(rows, settings.seed)
    which = "papers that are held out" if settings.held_out else "papers"
    if len(drawn) < 2:
        raise InputError(f"index {index.folder.name} has {len(drawn)} {which}: too few to evaluate")
    tasks = []
    for name in settings.tasks:
        if name == JUDGEMENTS:
            tasks.append(_draw_judged(index, settings, judgements, rows, drawn))
        else:
            tasks.append(_draw_parts(index, settings, name, drawn, which))
    return tasks


def order(index: Index, *, held_out: bool, seed: int) -> NDArray[np.int64]:
    """All rows of an index, or those of held-out papers, in the order in which a sample takes
    them."""
    return _drawn(_rows(index, held_out=held_out), seed)


def _rows(index: Index, *, held_out: bool) -> dict[str, int]:
    return {
        paper.id: row
        for row, paper in enumerate(index.corpus)
        if not held_out or is_held_out(paper.id)
    }


def _drawn(rows: dict[str, int], seed: int) -> NDArray[np.int64]:
    lots = sorted(rows, key=lambda paper_id: _lot(seed, paper_id))
    return np.array([rows[paper_id] for paper_id in lots], dtype=np.int64)


def _lot(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest()


def _draw_parts(
    index: Index, settings: Settings, name: str, drawn: NDArray[np.int64], which: str
) -> Task:
    """A task in which a part of a paper asks for the rest of it."""
    parts: list[tuple[int, str, str]] = []
    unfit = 0
    for row, paper in zip(drawn.tolist(), index.corpus.stream(drawn), strict=True):
        both = halves(paper.abstract) if name == HALF else (paper.title.strip(), paper.abstract)
        if both is None or not both[0]:
            unfit += 1
            continue
        parts.append((row, *both))
        if len(parts) == settings.pool:
            break
    if len(parts) < 2:
        raise InputError(
            f"index {index.folder.name} has {len(parts)} {which} with "
            f"{'two halves of an abstract' if name == HALF else 'a title'}: too few to evaluate"
        )
    notes = []
    if unfit and name == HALF:
        notes.append(f"{unfit:,} papers are left out: no end of a sentence halves their abstracts")
    if len(parts) + unfit < len(drawn):
        notes.append(
            f"answers are sought among {len(parts):,} of {len(drawn):,} {which}; --pool sets it"
        )
    # The first drawn are asked; the pool is in the order of the index, so that no place in it
    # tells what was asked.
    asked = parts[: settings.queries]
    parts.sort()
    place = {row: i for i, (row, _, _) in enumerate(parts)}
    queries = [Query(text, {place[row]: 1}) for row, text, _ in asked]
    if len(queries) < settings.queries:
        notes.append(f"all {len(queries):,} papers are asked for, {settings.queries:,} were wanted")
    return Task(
        name,
        queries,
        np.array([row for row, _, _ in parts], dtype=np.int64),
        [rest for _, _, rest in parts] if name == HALF else None,
        _fingerprint(name, queries, [rest for _, _, rest in parts]),
        notes,
    )


def _draw_judged(
    index: Index,
    settings: Settings,
    judgements: Sequence[Judgement],
    rows: dict[str, int],
    drawn: NDArray[np.int64],
) -> Task:
    """A task in which others have said what answers a query."""
    named = {one for judged in judgements for one in (judged.id, *judged.relevant) if one}
    usable = []
    for judged in judgements:
        relevant = {
            rows[one]: grade
            for one, grade in judged.relevant.items()
            if one in rows and one != judged.id
        }
        if relevant and (judged.id is None or judged.id in rows):
            usable.append((judged, relevant))
    unknown = sorted(named - rows.keys())
    where = "among the papers held out" if settings.held_out else "in the index"
    notes = []
    if unknown:
        first = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        notes.append(f"{len(unknown):,} of {len(named):,} judged ids are not {where}: {first}")
    if not usable:
        raise InputError(
            f"no judgement can be used: none has its query and a relevant paper {where} "
            f"({index.folder.name}, {len(rows):,} papers){': ' if notes else ''}{''.join(notes)}"
        )
    if len(usable) < len(judgements):
        notes.append(
            f"{len(judgements) - len(usable):,} of {len(judgements):,} queries are left out: "
            f"they, or all their relevant papers, are not {where}"
        )
    usable.sort(key=lambda one: _lot(settings.seed, one[0].id or one[0].text or ""))
    if len(usable) > settings.queries:
        notes.append(f"{settings.queries:,} of {len(usable):,} judged queries are drawn")
        usable = usable[: settings.queries]
    answers = {row for _, relevant in usable for row in relevant}
    others = [row for row in drawn.tolist() if row not in answers]
    pool = sorted([*answers, *others[: max(0, settings.pool - len(answers))]])
    if len(pool) < len(drawn):
        notes.append(f"answers are sought among {len(pool):,} of {len(drawn):,} papers; --pool")
    place = {row: i for i, row in enumerate(pool)}
    queries = []
    for judged, relevant in usable:
        row = rows[judged.id] if judged.id is not None else None
        text = judged.text if row is None else index.corpus.papers([row])[0].text
        graded = {place[one]: grade for one, grade in relevant.items()}
        queries.append(Query(text or "", graded, row, None if row is None else place.get(row)))
    chosen = np.array(pool, dtype=np.int64)
    documents = [paper.text for paper in index.corpus.stream(chosen)]
    sample = _fingerprint(JUDGEMENTS, queries, documents)
    return Task(JUDGEMENTS, queries, chosen, None, sample, notes)


def _fingerprint(name: str, queries: Sequence[Query], documents: Sequence[str]) -> str:
    digest = hashlib.sha256(name.encode())
    for query in queries:
        digest.update(orjson.dumps([query.text, sorted(query.relevant.items())]))
    for document in documents:
        digest.update(hashlib.sha256(document.encode()).digest())
    return digest.hexdigest()[:32]

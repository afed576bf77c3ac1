"""Files to papers: which are selected, which lines are refused and why."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from astrosearch.corpus.filters import check_days
from astrosearch.corpus.json_lines import json_records
from astrosearch.corpus.parsing import BATCH, Batch, Parser, Refused, Row, paper_in
from astrosearch.corpus.recency import withdrawal
from astrosearch.errors import AstrosearchError, CorpusError, InputError, NothingFound
from astrosearch.papers import Paper, in_category, normal_category


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of a corpus's papers are taken in."""

    category: str | None = None
    """A category or an archive: `astro-ph` takes in `astro-ph.GA`."""
    primary_only: bool = False
    """Whether only the first category counts."""
    since: date | None = None
    until: date | None = None
    limit: int | None = None
    """Stop after so many papers."""
    sample: int | None = None
    """Keep so many of them, chosen at random."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.category is not None:
            object.__setattr__(self, "category", normal_category(self.category))
        check_days(self.since, self.until)
        if self.limit and self.sample:
            raise InputError(
                f"a limit of {self.limit:,} takes the first papers, a sample of {self.sample:,} "
                "any of them: give one of the two"
            )

    def as_record(self) -> dict[str, object]:
        """For JSON: what is not the default."""
        return {
            name: str(value) if isinstance(value, date) else value
            for name, value in asdict(self).items()
            if value not in (None, False)
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Selection":
        """Read what `as_record` gave.

        Raises:
            TypeError, ValueError, AttributeError, InputError: if it gave nothing like that.
        """
        kinds: dict[str, type] = {"category": str, "primary_only": bool, "since": str, "until": str}
        for name, value in record.items():
            if type(value) is not kinds.get(name, int):
                raise TypeError(f"{name} is {value!r}")
        days = {name: date.fromisoformat(record[name]) for name in {"since", "until"} & {*record}}
        return cls(**{**record, **days})

    def takes(self, paper: Paper) -> bool:
        return (
            (
                self.category is None
                or in_category(paper.categories, self.category, primary_only=self.primary_only)
            )
            and (self.since is None or paper.published >= self.since)
            and (self.until is None or paper.published <= self.until)
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that did not become a paper."""

    file: str
    line: int
    reason: str
    detail: str


FIRST_REFUSED = 5
"""Refusals kept in memory, to show what they look like."""

MOST_LISTED = 10_000
"""Refusals written down; a packed file may hold hundreds of millions."""

NO_STARTS: Mapping[Path, int] = MappingProxyType({})

MOST_LINES = 10_000
"""Of a batch, if few of them are parsed."""

TRIED_LINES, MOST_REFUSED = 100_000, 0.99
"""A file is given up if of so many lines at its beginning such a share is refused."""


@dataclass
class Intake:
    """What happened to the lines of a corpus."""

    lines: int = 0
    not_selected: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Lines by the reason of their refusal."""
    first_refused: list[Refusal] = field(default_factory=list)
    """`FIRST_REFUSED` of them at most."""
    withdrawn: list[Paper] = field(default_factory=list)
    """Of the selection, for `record_from_paper` to mark: earlier records of them are to go."""

    def summary(self) -> str:
        parts = [f"{self.lines:,} lines read"]
        if self.not_selected:
            parts.append(f"{self.not_selected:,} not selected")
        count = self.refused.total()
        reasons = _reasons(self.refused)
        parts.append(f"{count:,} refused" + (f" ({reasons})" if reasons else ""))
        if count > MOST_LISTED:
            parts.append(f"the first {MOST_LISTED:,} of them listed")
        return ", ".join(parts)


def _reasons(refused: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())


def read_papers(
    sources: Iterable[Path],
    selection: Selection,
    intake: Intake,
    refuse: Callable[[Refusal], None],
    withdraw: Callable[[Paper], None] = lambda paper: None,
    starts: Mapping[Path, int] = NO_STARTS,
) -> Iterator[tuple[Paper, str, int]]:
    """Stream the selected papers of some files: (paper, file, line number).

    `intake` is kept up to date on the way, and `withdraw` gets the withdrawn papers. `limit` and
    `sample` are left to the caller, because only the caller knows which papers were duplicates.

    Raises:
        CorpusError: if a file is not a corpus, or nearly all lines at its beginning are refused.
    """
    results = (
        (batch, (paper_in(line, selection) for line in batch.lines if line is not None))
        for batch in _batches(sources, selection, starts)
    )
    return _taken(results, intake, refuse, withdraw)


def _batches(
    sources: Iterable[Path], selection: Selection, starts: Mapping[Path, int]
) -> Iterator[Batch]:
    """The records of some files, each file in batches of its own."""
    # Most lines of arXiv end here: one that does not contain the category's name needs no parsing.
    # One that is cut short is left to the parser, which refuses it.
    wanted = (selection.category or "").lower().encode()
    for source in sources:
        file = os.fsencode(source).decode(errors="backslashreplace")
        batch = Batch(file, 0, [], [])
        size = 0
        try:
            for number, line in json_records(source, starts.get(source, 0)):
                batch.numbers.append(number)
                if wanted not in line.lower() and line.endswith((b"}", b"}\r")):
                    batch.lines.append(None)
                else:
                    batch.lines.append(line)
                    size += len(line)
                if size >= BATCH or len(batch.lines) >= MOST_LINES:
                    yield batch
                    batch = Batch(file, batch.first + len(batch.lines), [], [])
                    size = 0
        except AstrosearchError:
            yield batch  # what is wrong in it comes before the end of the file
            raise
        yield batch


_T = TypeVar("_T", Paper, Row)


def _taken(
    results: Iterable[tuple[Batch, Iterator[_T | Refused | None]]],
    intake: Intake,
    refuse: Callable[[Refusal], None],
    withdraw: Callable[[Paper], None],
) -> Iterator[tuple[_T, str, int]]:
    """The selected papers among what became of lines; the others are counted."""
    refused: Counter[str] = Counter()
    for batch, outcomes in results:
        if batch.first == 0:
            refused.clear()
        lines = zip(batch.numbers, batch.lines, strict=True)
        for tried, (number, line) in enumerate(lines, batch.first):
            if tried == TRIED_LINES and refused.total() >= MOST_REFUSED * TRIED_LINES:
                raise CorpusError(
                    f"{batch.file} is not a corpus: {refused.total():,} of its first "
                    f"{TRIED_LINES:,} lines are not papers ({_reasons(refused)})"
                )
            intake.lines += 1
            outcome = None if line is None else next(outcomes)
            if outcome is None:
                intake.not_selected += 1
            elif isinstance(outcome, Refused):
                if outcome.withdrawn:
                    withdraw(outcome.withdrawn)
                refused[outcome.reason] += 1
                intake.refused[outcome.reason] += 1
                refuse(Refusal(batch.file, number, outcome.reason, outcome.detail))
            else:
                yield outcome, batch.file, number


def import_papers(
    sources: Sequence[Path],
    selection: Selection,
    papers: Path,
    rejected: Path,
    *,
    strict: bool = False,
    starts: Mapping[Path, int] = NO_STARTS,
    may_be_empty: bool = False,
    workers: int | None = None,
) -> Intake:
    """Write the selected papers of `sources` to a new papers.sqlite; a paper met twice is refused.

    Args:
        rejected: where the first `MOST_LISTED` refused lines are listed, one JSON object each.
        strict: whether the first refused line ends it.
        starts: of plain files of which not all is read, the bytes that are passed over.
        may_be_empty: whether there may be no papers.
        workers: processes that parse beside this one, which makes no difference but in time; by
            default by the size of the sources and the cores there are (`parsing.Parser`).

    Raises:
        CorpusError: if a file is not a corpus, if no line of them is a paper, or if `strict` and
            a line was refused.
        AstrosearchError: if a worker ends too early.
        NothingFound: if no paper is selected.
    """
    # Workers import this module; what is heavy is for the one that writes.
    from astrosearch.corpus.writer import CorpusWriter

    intake = Intake()
    withdrawn: dict[str, Paper] = {}
    writer = CorpusWriter(papers, sample=selection.sample, seed=selection.seed)
    parser = Parser(selection, workers)
    with closing(writer), rejected.open("wb") as stream, closing(parser):

        def refuse(refusal: Refusal) -> None:
            if strict:
                raise CorpusError(
                    f"{refusal.file}:{refusal.line}: {refusal.reason}: {refusal.detail}"
                )
            if len(intake.first_refused) < FIRST_REFUSED:
                intake.first_refused.append(refusal)
            if intake.refused.total() <= MOST_LISTED:
                stream.write(orjson.dumps(refusal, option=orjson.OPT_APPEND_NEWLINE))

        def withdraw(paper: Paper) -> None:
            writer.withdraw(paper)
            before = withdrawn.get(paper.id, paper)
            withdrawn[paper.id] = max(before, paper, key=withdrawal)

        results = parser.rows(_batches(sources, selection, starts))
        for paper, file, line in _taken(results, intake, refuse, withdraw):
            lost = writer.add_row(paper)
            if lost is not None:
                intake.refused["duplicate id"] += 1
                which = "this line" if lost == "later" else "the earlier line"
                detail = f"{paper.id} came before; {which} gave way"
                refuse(Refusal(file, line, "duplicate id", detail))
            if selection.limit is not None and writer.count >= selection.limit:
                break
        writer.finish()
    intake.withdrawn = [
        paper
        for paper in withdrawn.values()
        if selection.takes(paper) and writer.has_mark(paper.id)
    ]
    if writer.count == 0 and not may_be_empty:
        where = ", ".join(map(str, sources))
        if intake.refused.total() and not intake.not_selected:
            raise CorpusError(f"{where}: no line is a paper: {intake.summary()}")
        raise NothingFound(f"{where}: no paper is selected: {intake.summary()}")
    return intake

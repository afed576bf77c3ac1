"""Lines to rows of papers.sqlite, in this process and, for large files, in others beside it.

Reading a corpus takes its time here: a line is parsed and checked in some 40 microseconds, and
written in 10. So the lines go in batches to other processes, which send back what they made of
them. Batches keep their order, whoever parses them. The others are plain Python processes with a
pipe each way; they import no more than this module needs, and end when their pipe does.
"""

import os
import pickle
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from astrosearch.cores import available_cores
from astrosearch.corpus.json_lines import parsed
from astrosearch.corpus.records import WithdrawnError, paper_from_record
from astrosearch.errors import AstrosearchError, RecordError
from astrosearch.papers import Paper, TextHash, text_hash
from astrosearch.text.authors import author_words

if TYPE_CHECKING:
    from astrosearch.corpus.intake import Selection

BATCH = 2**18
"""Bytes of lines that are parsed at a time; 150 papers."""

BATCHES_ALONE = 16
"""So many batches are parsed before other processes are started, which takes as long."""

MOST_WORKERS = 2
"""More would wait for the process that writes."""


class Row(NamedTuple):
    """A row of the table `papers`, as SQLite takes it, without its number."""

    id: str
    title: str
    abstract: str
    authors: str
    categories: str
    published: str
    updated: str | None
    doi: str | None
    version: int | None
    is_summary: bool
    author_words: str
    text_sha256: TextHash
    journal_ref: str | None


class Refused(NamedTuple):
    """What became of a line that is no paper."""

    reason: str
    detail: str
    withdrawn: Paper | None
    """The paper, if that is the reason."""


class Batch(NamedTuple):
    """Records of a file that follow one another."""

    file: str
    first: int
    """How many records of the file come before."""
    numbers: list[int]
    """Their lines."""
    lines: list[bytes | None]
    """None for a record that is not selected whatever it holds."""


def paper_in(line: bytes, selection: "Selection") -> Paper | Refused | None:
    """The paper of a line, or why there is none; None if it is not selected."""
    try:
        paper = paper_from_record(parsed(line))
    except RecordError as error:
        withdrawn = error.paper if isinstance(error, WithdrawnError) else None
        return Refused(error.reason, str(error), withdrawn)
    return paper if selection.takes(paper) else None


def row_of(paper: Paper) -> Row:
    """How a paper is stored."""
    return Row(
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
        author_words(paper.authors),
        text_hash(paper.text),
        paper.journal_ref,
    )


Outcome = Row | Refused | None
"""What became of a line; None if its paper is not selected."""


def row_in(line: bytes, selection: "Selection") -> Outcome:
    """`paper_in` with the row of the paper."""
    paper = paper_in(line, selection)
    return row_of(paper) if isinstance(paper, Paper) else paper


class Parser:
    """Makes rows of batches."""

    def __init__(self, selection: "Selection", workers: int | None = None) -> None:
        """
        Args:
            workers: processes beside this one, from the first line on. By default there is one
                for each core, at most `MOST_WORKERS`, once it turns out that they have enough to
                do; and none where there is only one core.
        """
        cores = available_cores()
        self._selection = selection
        self._most = (min(cores, MOST_WORKERS) if cores > 1 else 0) if workers is None else workers
        self._alone = BATCHES_ALONE if workers is None else 0
        """Batches that are yet to be parsed here."""
        self._patience = 0 if workers is None else None
        self._workers: deque[_Worker] = deque()
        self._are_up = False

    def close(self) -> None:
        """End the other processes."""
        for worker in self._workers:
            worker.end()

    def rows(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, Iterator[Outcome]]]:
        """Each batch, and what became of those of its lines that are not None.

        Raises:
            AstrosearchError: if another process ends too early; and what `batches` raises, after
                the batches that came before.
        """
        sent: deque[tuple[Batch, _Worker]] = deque()
        failure = None
        while True:
            try:
                batch = next(batches, None)
            except AstrosearchError as error:
                failure = error
                break
            if batch is None:
                break
            lines = [line for line in batch.lines if line is not None]
            if not self._has_workers():
                self._alone -= 1
                yield batch, (row_in(line, self._selection) for line in lines)
                continue
            # A worker has one batch at a time, so that it either reads or writes: nobody waits for
            # the other end of a full pipe. It gets its next batch before the rows are written.
            worker = self._workers[0]
            self._workers.rotate(-1)
            done = sent.popleft()[0] if len(sent) == len(self._workers) else None
            outcomes = worker.receive() if done else []
            worker.send(lines)
            sent.append((batch, worker))
            if done:
                yield done, iter(outcomes)
        for batch, worker in sent:
            yield batch, iter(worker.receive())
        if failure:
            raise failure

    def _has_workers(self) -> bool:
        """Whether the other processes are up; they are started when there is work for them."""
        if not self._are_up and self._most and self._alone <= 0:
            while len(self._workers) < self._most:
                self._workers.append(_Worker(self._selection))
            self._are_up = all(worker.is_up(self._patience) for worker in self._workers)
        return self._are_up


_PROGRAM = """
import sys
sys.path[:] = sys.argv[1:]
from astrosearch.corpus.parsing import work
work()
"""


class _Worker:
    """Another process that parses, as this one sees it."""

    def __init__(self, selection: "Selection") -> None:
        try:
            # In a process group of its own: Ctrl-C stops this process, and this one ends the other.
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise AstrosearchError(f"cannot start {sys.executable}: {error.strerror}") from None
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._is_up = False
        self.send(selection)

    def is_up(self, patience: float | None) -> bool:
        """Whether it has started, after `patience` seconds at most; None for all it takes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            if not self._is_up and selector.select(patience):
                self._is_up = self.receive() == []
        return self._is_up

    def send(self, request: object) -> None:
        try:
            pickle.dump(request, self._requests, pickle.HIGHEST_PROTOCOL)
            self._requests.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> list[Outcome]:
        try:
            outcomes: list[tuple[Any, ...] | Refused | None] = pickle.load(self._answers)
        except (EOFError, pickle.UnpicklingError):  # an answer that breaks off
            raise self._ended() from None
        return [
            Row._make(outcome) if type(outcome) is tuple else cast(Outcome, outcome)
            for outcome in outcomes
        ]

    def _ended(self) -> AstrosearchError:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return AstrosearchError(f"a process that parsed papers has ended ({how}): try again")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        with suppress(BrokenPipeError):  # what was not flushed
            self._requests.close()


def work() -> None:
    """The whole life of a worker: a selection, then lines in and outcomes out, to the end."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        selection = pickle.load(requests)
        outcomes: list[tuple[Any, ...] | Refused | None] = []
        while True:
            pickle.dump(outcomes, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
            # Plain tuples take a third of the time that named ones take.
            outcomes = [
                tuple(outcome) if isinstance(outcome := row_in(line, selection), Row) else outcome
                for line in pickle.load(requests)
            ]
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        os._exit(0)  # the process at the other end is gone; no flush of what nobody reads

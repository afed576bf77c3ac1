"""Asking a service what papers cite, and keeping every answer: a fetch that was stopped goes on,
and what was asked once is not asked again."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from astrosearch.citations.records import Line, Work
from astrosearch.citations.services import Asked, Known, Service
from astrosearch.report import SILENT, Reporter


class Answers:
    """What a service answered, a JSON line an answer, in a file that only grows: `{"name",
    "names", "references"}`, the last line of a name counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Known] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                # The last line of a process that was killed may be half of one.
                with suppress(orjson.JSONDecodeError, KeyError, TypeError):
                    record = orjson.loads(line)
                    self._known[record["name"]] = Known(
                        tuple(record["names"]), tuple(record["references"])
                    )

    def get(self, name: str) -> Known | None:
        """None if it was never asked for."""
        return self._known.get(name)

    def keep(self, answers: Mapping[str, Known]) -> None:
        """
        Raises:
            OSError: if the file cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        records = [
            orjson.dumps({"name": name, "names": known.names, "references": known.references})
            for name, known in answers.items()
        ]
        with self._path.open("ab") as stream:
            # Behind half a line a new one begins.
            start = b"\n" if stream.tell() and not _ends_a_line(self._path) else b""
            stream.write(start + b"".join(record + b"\n" for record in records))
            stream.flush()
            os.fsync(stream.fileno())
        self._known |= answers


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def fetch(
    service: Service,
    asked: Sequence[Asked],
    answers: Answers,
    *,
    again: bool = False,
    reporter: Reporter = SILENT,
) -> None:
    """Ask for what papers cite, and for what is cited, so far as it is not known.

    Args:
        again: ask for all of the papers, also for those that were asked for.

    Raises:
        SetupError: if the service wants another key.
        AstrosearchError: if it fails; what has come is kept.
        OSError: if that cannot be written.
    """
    new = [paper for paper in asked if again or answers.get(paper.key) is None]
    _keep(service.papers(new), answers, len(new), f"Asking {service.name} for papers", reporter)
    cited = dict.fromkeys(
        name
        for paper in asked
        for name in (answers.get(paper.key) or Known(())).references
        if answers.get(name) is None
    )
    _keep(
        service.works(list(cited)),
        answers,
        len(cited),
        f"Asking {service.name} for references",
        reporter,
    )


def _keep(
    parts: Iterator[dict[str, Known]],
    answers: Answers,
    total: int,
    task: str,
    reporter: Reporter,
) -> None:
    done = 0
    for part in parts:
        answers.keep(part)
        done += len(part)
        reporter.progress(task, done, max(total, done + 1))
    if done:
        reporter.progress(task, 1, 1)


def lines(asked: Iterable[Asked], answers: Answers) -> Iterator[Line]:
    """What was answered of papers and of what they cite, to be imported."""
    told: set[str] = set()
    for number, paper in enumerate(asked, start=1):
        known = answers.get(paper.key)
        if known is None or not known.names:
            continue
        works = []
        for name in known.references:
            cited = answers.get(name)
            if name not in told and cited is not None and cited.names:
                told.add(name)
                works.append(Work((name, *cited.names)))
        yield Line(number, [*works, Work(known.names, known.references)])

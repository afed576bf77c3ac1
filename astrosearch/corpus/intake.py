"""Readers: a file or a service to a stream of papers, with what was refused and why."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from astrosearch.corpus.json_lines import json_lines, parsed
from astrosearch.corpus.records import paper_from_record
from astrosearch.errors import InputError, RecordError
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
        if self.since and self.until and self.since > self.until:
            raise InputError(f"--since {self.since} is later than --until {self.until}")
        if self.limit and self.sample:
            raise InputError("--limit takes the first papers, --sample any of them: give one")

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


@dataclass
class Intake:
    """What happened to the lines of a corpus."""

    lines: int = 0
    not_selected: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first_refused: list[Refusal] = field(default_factory=list)
    """`FIRST_REFUSED` of them at most, to show what they look like."""

    def note(self, refusal: Refusal) -> None:
        if len(self.first_refused) < FIRST_REFUSED:
            self.first_refused.append(refusal)

    def summary(self) -> str:
        parts = [f"{self.lines:,} lines read"]
        if self.not_selected:
            parts.append(f"{self.not_selected:,} not selected")
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.refused.most_common())
        parts.append(f"{self.refused.total():,} refused" + (f" ({reasons})" if reasons else ""))
        return ", ".join(parts)


def read_papers(
    sources: Iterable[Path],
    selection: Selection,
    intake: Intake,
    refuse: Callable[[Refusal], None],
) -> Iterator[tuple[Paper, str, int]]:
    """Stream the selected papers of some files: (paper, file, line number).

    `intake` is kept up to date on the way; `limit` and `sample` are left to the caller, who
    alone knows which papers were duplicates.

    Raises:
        CorpusError: if a file is not a corpus.
    """
    # Most lines of arXiv end here: one that nowhere holds the category's name needs no parsing.
    # One that is cut short is left to the parser, to be refused.
    wanted = (selection.category or "").encode()
    for source in sources:
        name = os.fsencode(source).decode(errors="backslashreplace")
        for number, line in json_lines(source):
            intake.lines += 1
            if wanted not in line and line.endswith((b"}", b"}\r")):
                intake.not_selected += 1
                continue
            try:
                paper = paper_from_record(parsed(line))
            except RecordError as error:
                intake.refused[error.reason] += 1
                refuse(Refusal(name, number, error.reason, str(error)))
                continue
            if selection.takes(paper):
                yield paper, name, number
            else:
                intake.not_selected += 1

"""Options that several commands share."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import click

FORMATS = ("table", "json", "jsonl", "csv", "bibtex", "ids")

Command = Callable[..., Any]


class Day(click.ParamType[date]):
    """YYYY, YYYY-MM or YYYY-MM-DD; a shorter one means its first day, or its last."""

    name = "date"

    def __init__(self, *, last: bool = False) -> None:
        self._last = last

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            if not re.fullmatch(r"\d{4}(-\d\d?){0,2}", value, re.ASCII):
                raise ValueError
            parts = [int(part) for part in value.split("-")]
            if len(parts) == 3:
                return date(*parts)
            year, month = [*parts, 12 if self._last else 1][:2]
            if not self._last:
                return date(year, month, 1)
            following = date(year + month // 12, month % 12 + 1, 1)
            return date.fromordinal(following.toordinal() - 1)
        except (ValueError, TypeError):
            self.fail(f"{value!r} is no date: write YYYY-MM-DD, YYYY-MM or YYYY", param, ctx)


def mode_option(command: Command) -> Command:
    return click.option(
        "--mode",
        type=click.Choice(["hybrid", "dense", "lexical"]),
        default="hybrid",
        show_default=True,
        help="By meaning and words, meaning (dense) or words alone (lexical).",
    )(command)


def index_option(command: Command) -> Command:
    return click.option(
        "-i",
        "--index",
        "index_name",
        metavar="NAME",
        envvar="ASTROSEARCH_INDEX",
        help="The index to ask; by default the one built last.",
    )(command)


def date_options(command: Command) -> Command:
    command = click.option("--until", type=Day(last=True), help="Only papers up to this date.")(
        command
    )
    return click.option("--since", type=Day(), help="Only papers from this date on.")(command)


def selection_options(command: Command) -> Command:
    """The fields of `readers.Selection`, and `strict`."""
    for decorate in (
        click.option("--strict", is_flag=True, help="End at the first line that is refused."),
        seed_option("For --sample."),
        click.option(
            "--sample", type=click.IntRange(min=1), help="Keep so many, chosen at random."
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Stop after so many papers."),
        date_options,
        click.option(
            "--primary-only", is_flag=True, help="Look at a paper's first category alone."
        ),
        click.option("--category", metavar="CAT", help="Only papers of this category or archive."),
    ):
        command = decorate(command)
    return command


def filter_options(command: Command) -> Command:
    for decorate in (
        click.option("--author", metavar="NAME", help="Only papers of this author."),
        click.option("--category", metavar="CAT", help="Only this category or archive."),
        date_options,
    ):
        command = decorate(command)
    return command


def answer_options(command: Command) -> Command:
    for decorate in (
        click.option("--abstracts", is_flag=True, help="Show the abstracts too (table)."),
        click.option(
            "--format",
            "output",
            type=click.Choice(FORMATS),
            default="table",
            show_default=True,
            help="table is tab-separated lines down a pipe.",
        ),
        click.option(
            "-k",
            "--count",
            "k",
            type=click.IntRange(min=1),
            default=10,
            show_default=True,
            help="How many papers.",
        ),
    ):
        command = decorate(command)
    return command


def seed_option(what: str) -> Callable[[Command], Command]:
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help=what
    )


def kind_option(command: Command) -> Command:
    return click.option(
        "--kind",
        metavar="KIND",
        help="How neighbours are found: auto, flat (exact), sq8, ivf, hnsw, pq, rabitq or what "
        "faiss.index_factory takes.",
    )(command)


class Bytes(click.ParamType[int]):
    """A number of bytes, as 500MB or 1.5GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?)B", value, re.ASCII | re.IGNORECASE)
        if not found:
            self.fail(f"{value!r} is no size: write 500MB or 1.5GB", param, ctx)
        return int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))


def consent_option(command: Command) -> Command:
    return click.option("--yes", is_flag=True, help="Pay for `openai:` without being asked.")(
        command
    )

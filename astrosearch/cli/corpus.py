"""`astrosearch corpus`: get papers to index."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from astrosearch.readers.oai import Checkpoint

_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def corpus() -> None:
    """Get papers to index."""


@corpus.command()
@click.option(
    "--from", "since", type=_DAY, required=True, metavar="DATE", help="First day, YYYY-MM-DD."
)
@click.option("--until", type=_DAY, metavar="DATE", help="Last day, YYYY-MM-DD; now if absent.")
@click.option(
    "--set",
    "set_spec",
    default="physics:astro-ph",
    show_default=True,
    help="The archive or category, as OAI-PMH spells it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write; harvest-FROM-UNTIL.jsonl if absent.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--base-url",
    envvar="ASTROSEARCH_OAI_URL",
    show_envvar=True,
    default="https://oaipmh.arxiv.org/oai",
    show_default=True,
    help="The OAI-PMH service.",
)
@click.option(
    "--pause",
    type=click.FloatRange(min=0),
    default=3,
    show_default=True,
    metavar="SECONDS",
    help="Wait between requests; arXiv's terms of use ask for 3.",
)
def harvest(
    since: datetime,
    until: datetime | None,
    set_spec: str,
    out: Path | None,
    force: bool,
    base_url: str,
    pause: float,
) -> None:
    """Fetch the papers that arXiv added or changed between two days (UTC).

    \b
    astrosearch corpus harvest --from 2025-01-01
    astrosearch corpus harvest --from 2025-01-01 --until 2025-01-31 --set physics:astro-ph:GA

    A paper counts for the day its record last changed; arXiv's earliest such day is 2005-09-16.
    Stopped in the middle, the same command goes on from where it was.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from astrosearch.readers import oai

    if until is not None and since > until:
        raise click.UsageError(f"--from {since:%Y-%m-%d} is later than --until {until:%Y-%m-%d}")
    selection = oai.Selection(since.date(), until.date() if until else None, set_spec, base_url)
    if out is None:
        last_day = selection.until or datetime.now(UTC).date()
        out = Path(f"harvest-{selection.since}-{last_day}.jsonl")

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    task = bar.add_task("asking for the first page", total=None)

    def show(done: oai.Checkpoint) -> None:
        seen = done.papers + sum(done.refused.values())
        of_all = f" of {done.list_size:,} records" if done.list_size else ""
        text = f"{_count(done.pages, 'page')}, {_count(done.papers, 'paper')}{of_all}"
        bar.update(task, description=text, completed=seen, total=done.list_size)

    def say(line: str) -> None:
        bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        with bar:
            done = oai.harvest(
                selection,
                out,
                force=force,
                etiquette=oai.Etiquette(pause=pause),
                notice=say,
                on_page=show,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Run the same command again to go on from the last finished page."
        ) from None
    click.echo(_summary(done, out), err=True)


def _summary(done: "Checkpoint", out: Path) -> str:
    """`1,234 papers, 12 refused: 8 withdrawn, 4 deleted; listed in …; index them: …`"""
    text = _count(done.papers, "paper")
    if done.refused:
        most_first = sorted(done.refused.items(), key=lambda item: (-item[1], item[0]))
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in most_first)
        total = sum(done.refused.values())
        text += f", {total:,} refused: {reasons}; listed in {out}.rejected.jsonl"
    if done.papers:
        text += f"; index them: astrosearch index astro --corpus {shlex.quote(str(out))}"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

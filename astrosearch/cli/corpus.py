"""`astrosearch corpus`: get papers to index."""

import shlex
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import Day, selection_options, service_options
from astrosearch.errors import AstrosearchError, InputError

if TYPE_CHECKING:
    from astrosearch.corpus.harvest import Checkpoint
    from astrosearch.corpus.intake import Intake, Selection


@click.group()
def corpus() -> None:
    """Get papers to index, from files or from arXiv.

    \b
    astrosearch corpus import arxiv-metadata-oai-snapshot.json \\
      --category astro-ph --out astro.jsonl
    astrosearch corpus harvest --from 2025-01-01
    """


@corpus.command("import")
@click.argument(
    "sources", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@selection_options
def import_(
    sources: tuple[Path, ...], out: Path, force: bool, strict: bool, **selection: Any
) -> None:
    """Select papers from large files into one small file.

    The files are those that `astrosearch index` reads: JSON Lines or JSON in the form of the Kaggle
    snapshot (also from Hugging Face), ADS, arxiv.py, Semantic Scholar, or astrosearch itself. Of
    two records of a paper, the newer one is kept. Withdrawn papers stay as marks, so that no older
    file brings them back.

    \b
    astrosearch corpus import arxiv-metadata-oai-snapshot.json \\
      --category astro-ph --out astro.jsonl
    astrosearch corpus import astro.jsonl harvest.jsonl --out astro.jsonl --force
    """
    from astrosearch.corpus.intake import Selection

    _check_out(out, force)
    intake, count = _import(sources, out, Selection(**selection), strict)
    listed = f"; listed in {_rejected(out)}" if intake.refused else ""
    notify(f"{intake.summary()}{listed}")
    withdrawn = len(intake.withdrawn)
    marks = f" and {_count(withdrawn, 'mark')} of what was withdrawn" if withdrawn else ""
    notify(f"{_count(count, 'paper')}{marks}; {_next_step(out)}")


def _import(
    sources: tuple[Path, ...], out: Path, selection: "Selection", strict: bool
) -> "tuple[Intake, int]":
    """Write the selected papers to `out`: what became of the lines, and how many papers it has."""
    import shutil
    from contextlib import closing

    import orjson

    from astrosearch import atomic
    from astrosearch.corpus.intake import import_papers
    from astrosearch.corpus.records import record_from_paper
    from astrosearch.corpus.store import Corpus

    # Always the same name: the next run writes again what a killed one has left.
    work = atomic.partial_path(out)
    if work.is_symlink():
        raise InputError(f"{work} is a link: nothing is written through it; remove it first")
    papers, lines, rejected = (work / name for name in ("sqlite", "out", "rejected"))
    busy = AstrosearchError(f"another process is writing {out}; wait for it to end")
    with atomic.writing(out):
        work.mkdir(exist_ok=True)
        with atomic.locked(work / "lock", busy):
            try:
                intake = import_papers(sources, selection, papers, rejected, strict=strict)
                with closing(Corpus(papers)) as corpus, lines.open("wb") as stream:
                    for paper in corpus:
                        stream.write(orjson.dumps(record_from_paper(paper)) + b"\n")
                    for paper in intake.withdrawn:
                        mark = record_from_paper(paper, withdrawn=True)
                        stream.write(orjson.dumps(mark) + b"\n")
                    count = len(corpus)
                if intake.refused:
                    atomic.publish_file(rejected, _rejected(out))
                else:
                    _rejected(out).unlink(missing_ok=True)
                atomic.publish_file(lines, out)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return intake, count


@corpus.command()
@click.option("--from", "since", type=Day(), required=True, metavar="DATE", help="First day.")
@click.option("--until", type=Day(last=True), metavar="DATE", help="Last day; by default today.")
@click.option(
    "--set",
    "set_spec",
    default="physics:astro-ph",
    show_default=True,
    help="The archive or category, as OAI-PMH writes it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write; by default harvest-FROM-UNTIL.jsonl.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@service_options
def harvest(
    since: date,
    until: date | None,
    set_spec: str,
    out: Path | None,
    force: bool,
    base_url: str,
    pause: float,
) -> None:
    """Fetch papers that arXiv added or changed between two days (UTC).

    The day of a paper is when its record last changed; the earliest such day at arXiv is
    2005-09-16. If the command is stopped, the same command goes on where it was.

    \b
    astrosearch corpus harvest --from 2025-01-01
    astrosearch corpus harvest --from 2025-01-01 --set physics:astro-ph:GA
    """
    from astrosearch.corpus.harvest import Etiquette
    from astrosearch.corpus.harvest import harvest as fetch
    from astrosearch.corpus.oai import HarvestRequest

    if until is not None and since > until:
        raise click.UsageError(f"--from {since} is later than --until {until}")
    request = HarvestRequest(since, until, set_spec, base_url)
    out = out or Path(f"harvest-{since}-{until or datetime.now(UTC).date()}.jsonl")
    _check_out(out, force)
    etiquette = Etiquette(pause=pause)
    try:
        done = fetch(request, out, etiquette=etiquette, reporter=Terminal())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Run the same command again to go on from the last finished page."
        ) from None
    notify(_summary(done, out))


def _summary(done: "Checkpoint", out: Path) -> str:
    """`1,234 papers, 12 refused: 8 withdrawn, 4 deleted; listed in …; index them: …`"""
    text = _count(done.papers, "paper")
    if done.refused:
        refused = Counter(done.refused)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
        text += f", {refused.total():,} refused: {reasons}; listed in {_rejected(out)}"
    return f"{text}; {_next_step(out)}" if done.papers else text


def _check_out(out: Path, force: bool) -> None:
    if out.exists() and not out.is_file():
        raise InputError(f"{out} is not an ordinary file; give another --out")
    if out.exists() and not force:
        raise InputError(f"{out} exists; give another --out, or --force to replace it")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}; create it first")


def _rejected(out: Path) -> Path:
    return out.with_name(f"{out.name}.rejected.jsonl")


def _next_step(out: Path) -> str:
    return f"index them: astrosearch index astro --corpus {shlex.quote(str(out))}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

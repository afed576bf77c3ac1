"""`astrosearch update`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import consent_option, index_argument, service_options, was_given

if TYPE_CHECKING:
    from astrosearch.index.refresh import UpdateReport


@click.command()
@index_argument
@click.option(
    "--corpus",
    "added",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of papers that becomes a source of the index, too. May be repeated.",
)
@service_options
@consent_option
@click.option("--json", "as_json", is_flag=True, help="Write what came as a JSON object.")
def update(
    index_name: str | None,
    added: tuple[Path, ...],
    base_url: str,
    pause: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring an index up to date from what it was made of.

    From arXiv come the papers that are new, replaced or withdrawn since the last time; of a file
    that was appended to, only the new lines are read. It is quiet when nothing is new. If it is
    stopped, run it again.

    \b
    astrosearch update
    astrosearch update astro --json
    astrosearch update astro --corpus november.jsonl
    """
    from astrosearch import paths
    from astrosearch.cli.index import is_of_arxiv
    from astrosearch.corpus.harvest import Etiquette
    from astrosearch.encoders.consent import IndexConsent
    from astrosearch.encoders.loading import load_encoder
    from astrosearch.index.arxiv import Service
    from astrosearch.index.refresh import update as update_index

    folder = paths.existing_index(index_name)
    if not is_of_arxiv(folder):
        for option, parameter in (("--base-url", "base_url"), ("--pause", "pause")):
            if was_given(parameter):
                raise click.UsageError(
                    f"{option} has no effect: index {folder.name} is not made from arXiv"
                )
    command = f"astrosearch update {folder.name}"
    reporter = IndexConsent(Terminal(yes=yes, resume=command), folder)
    try:
        report = update_index(
            folder,
            lambda spec: load_encoder(spec, reporter),
            added=added,
            service=Service(base_url, Etiquette(pause=pause)),
            reporter=reporter,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"What has come so far is kept. To go on: {command}") from None
    _notify_report(folder, report)
    if as_json:
        write(json.dumps(_as_record(folder, report)))


def _notify_report(folder: Path, report: "UpdateReport") -> None:
    """Nothing in a pipe if nothing is new."""
    import sys

    from astrosearch.text.tex import one_line

    growth = report.growth
    if refused := _refused(report):
        lines = "1 line was" if refused == 1 else f"{refused:,} lines were"
        notify(f"{lines} refused")
        for refusal in report.first_refused:
            if refusal.reason not in _EXPECTED:
                notify(one_line(f"  {refusal.file}: {refusal.reason}: {refusal.detail}"))
    if growth.changes:
        notify(
            f"Index {folder.name}: {growth.added:,} new, {growth.replaced:,} replaced, "
            f"{growth.removed:,} removed; {report.manifest.count:,} papers"
        )
    elif sys.stderr.isatty():
        notify(f"Index {folder.name} is up to date: {report.manifest.count:,} papers")


_EXPECTED = ("withdrawn", "duplicate id")
"""Reasons for which a line is not a paper that are no mistake of whoever wrote it."""


def _refused(report: "UpdateReport") -> int:
    return sum(count for reason, count in report.refused.items() if reason not in _EXPECTED)


def _as_record(folder: Path, report: "UpdateReport") -> dict[str, object]:
    growth = report.growth
    return {
        "index": folder.name,
        "added": growth.added,
        "replaced": growth.replaced,
        "removed": growth.removed,
        "papers": report.manifest.count,
        "encoded": growth.encoded,
        "refused": _refused(report),
        "snapshot": report.manifest.snapshot,
        "seconds": round(report.seconds, 2),
        "new": list(growth.new),
    }

"""`astrosearch citations`: who cites whom."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import (
    format_option,
    index_argument,
    index_option,
    required_index_argument,
)

if TYPE_CHECKING:
    from astrosearch.citations.graph import About
    from astrosearch.citations.store import ImportReport


@click.group()
def citations() -> None:
    """Import, fetch and remove what papers cite.

    An index with citations counts them in its answers, and `cite` finds more.

    \b
    astrosearch citations import citations.jsonl
    astrosearch citations fetch --for library
    astrosearch citations info
    """


@citations.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@index_option
def import_(files: tuple[Path, ...], index_name: str | None) -> None:
    """Add the references of files to an index.

    A line is {"id": "2309.06126", "references": ["1706.03762", "10.1086/300499"]}, or a record of
    AstroMLab-5, Semantic Scholar, OpenAlex or ADS. Files may be packed with gzip. What was imported
    before stays. Works that the index does not have are kept, too: they count when they come.

    \b
    astrosearch citations import citations.jsonl
    astrosearch citations import citations_indexed.jsonl.gz identifier_mapping_all.csv.gz
    astrosearch citations import works.jsonl.gz --index astro
    """
    from astrosearch import paths
    from astrosearch.citations.store import import_files

    for file in files:
        if not file.exists():
            raise click.UsageError(f"there is no file {file}")
        if file.is_dir():
            raise click.UsageError(f"{file} is a folder: name a file")
    folder = paths.existing_index(index_name)
    notify_report(folder, import_files(folder, files, reporter=Terminal()))


def notify_report(folder: Path, report: "ImportReport") -> None:
    """Say what came, and what of it could not be used."""
    from astrosearch.text.tex import one_line

    about = report.about
    new = about.references - report.before
    notify(
        f"Index {folder.name}: {new:,} new references; {about.papers:,} works cite "
        f"{about.references:,} times"
    )
    for reason, count in sorted(report.refused.items(), key=lambda item: -item[1]):
        example = report.examples.get(reason)
        notify(one_line(f"  {count:,} not used: {reason}" + (f", as {example}" if example else "")))


@citations.command()
@index_argument
@format_option("table", "json")
def info(index_name: str | None, output: str) -> None:
    """Show how many citations an index has, and where they came from.

    \b
    astrosearch citations info
    astrosearch citations info astro --format json
    """
    import json
    from dataclasses import asdict

    from astrosearch import paths
    from astrosearch.citations.store import coverage_of
    from astrosearch.cli.views.tables import write_facts, write_table

    folder = paths.existing_index(index_name)
    about, coverage = coverage_of(folder)
    if output == "json":
        write(json.dumps({"index": folder.name, **asdict(about), **coverage._asdict()}, indent=1))
        return
    write_facts(_facts(folder, about) | {
        "papers of the index": f"{coverage.citing:,} cite, {coverage.cited:,} are cited, of "
        f"{coverage.indexed:,}",
    })
    write("")
    rows = [
        (source.day, f"{source.papers:,}", f"{source.references:,}", source.name)
        for source in about.sources
    ]
    write_table(("imported", "papers", "references", "source"), rows, right=(1, 2))


def _facts(folder: Path, about: "About") -> dict[str, str]:
    return {
        "index": folder.name,
        "references": f"{about.references:,}, of {about.papers:,} works",
        "works": f"{about.works:,}, citing or cited",
    }


@citations.command()
@required_index_argument
def remove(index_name: str) -> None:
    """Take the citations out of an index; its papers stay.

    \b
    astrosearch citations remove astro
    """
    from astrosearch import paths
    from astrosearch.citations.store import remove as remove_citations

    folder = paths.existing_index(index_name)
    about = remove_citations(folder)
    notify(f"Index {folder.name}: {about.references:,} references removed")

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
    from astrosearch.citations.services import Asked
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
    astrosearch citations import citations_indexed.jsonl.gz identifier_mapping*.gz
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


@citations.command()
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option(
    "--for",
    "whose",
    metavar="library|index|ID",
    help="Ask for all papers of your library, or of the index, or for a paper.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["openalex", "ads"]),
    default="openalex",
    show_default=True,
    help="The service to ask. ADS wants a token, in ADS_API_TOKEN.",
)
@click.option("--again", is_flag=True, help="Ask anew for papers that were asked for before.")
@index_option
def fetch(
    ids: tuple[str, ...], whose: str | None, source: str, again: bool, index_name: str | None
) -> None:
    """Ask OpenAlex or ADS what papers cite, and add it to an index.

    The identifiers of the papers are sent, nothing else. Every answer is kept: if it is stopped,
    the same command goes on, and nothing is asked twice. OpenAlex answers a hundred requests a day
    without a key, and thousands with a free one in OPENALEX_API_KEY; a request is for 50 papers,
    or for 100 references.

    \b
    astrosearch citations fetch 2309.06126
    astrosearch citations fetch --for library
    astrosearch citations fetch --for index --from ads
    """
    if whose is not None and whose not in ("library", "index"):
        ids, whose = (whose, *ids), None
    if bool(ids) == bool(whose):
        raise click.UsageError("give the IDs of papers, or --for library, or --for index")

    from astrosearch import paths
    from astrosearch.atomic import writing
    from astrosearch.citations.fetch import Answers, lines
    from astrosearch.citations.fetch import fetch as fetch_citations
    from astrosearch.citations.services import Ads, Known, OpenAlex, PoliteClient
    from astrosearch.citations.store import add

    folder = paths.existing_index(index_name)
    asked = _asked(ids, whose, folder)
    reporter = Terminal()
    answers = Answers(paths.citations_folder() / f"{source}.jsonl")
    with PoliteClient(reporter, pause=0.2 if source == "openalex" else 1.0) as client:
        service = OpenAlex(client) if source == "openalex" else Ads(client)
        try:
            with writing(paths.citations_folder()):
                fetch_citations(service, asked, answers, again=again, reporter=reporter)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "What has come so far is kept. To go on, run the same command again"
            ) from None
    known = [paper for paper in asked if (answers.get(paper.key) or Known(())).names]
    notify(f"{service.name} knows {len(known):,} of {len(asked):,} papers")
    notify_report(folder, add(folder, [(service.name, lines(known, answers))], reporter=reporter))


def _asked(ids: tuple[str, ...], whose: str | None, folder: Path) -> "list[Asked]":
    """The papers to ask for.

    Raises:
        UsageError: if one of the ids is not an identifier.
        NothingFound: if the library has no paper that can be asked for.
    """
    from astrosearch.citations.keys import key_of
    from astrosearch.citations.services import Asked
    from astrosearch.errors import NothingFound
    from astrosearch.index.papers import open_papers

    if whose == "library":
        from astrosearch.library.facts import doi as doi_of
        from astrosearch.library.store import Library

        own = [(paper.arxiv, doi_of(paper.entry) or "") for paper in Library.read().papers]
        asked = [Asked(arxiv or doi.lower(), doi.lower()) for arxiv, doi in own if arxiv or doi]
        if not asked:
            raise NothingFound("no paper of the library has an arXiv identifier or a DOI")
        return asked
    keys = {text: key_of(text) for text in ids}
    for text, key in keys.items():
        if key is None or not (key.startswith("10.") or "." in key or "/" in key):
            raise click.UsageError(
                f"{text!r} is neither an arXiv identifier nor a DOI, nor library or index"
            )
    with open_papers(folder) as corpus:
        if whose == "index":
            return [Asked(paper.id, _first(paper.doi)) for paper in corpus]
        names = [key for key in keys.values() if key]
        rows = corpus.rows_of(names)
        known = {paper.id: paper for paper in corpus.papers(list(rows.values()))}
        return [
            Asked(name, _first(known[name].doi) if name in known else "")
            for name in dict.fromkeys(names)
        ]


def _first(doi: str | None) -> str:
    return next(iter((doi or "").lower().split()), "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def notify_report(folder: Path, report: "ImportReport") -> None:
    """Say what came, and what of it could not be used."""
    from astrosearch.text.tex import one_line

    about = report.about
    new = about.references - report.before
    notify(
        f"Index {folder.name}: {_counted(new, 'new reference')}; now "
        f"{_counted(about.references, 'reference')} of {_counted(about.papers, 'work')}"
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
    write_facts(
        _facts(folder, about)
        | {
            "papers of the index": f"{coverage.citing:,} cite, {coverage.cited:,} are cited, of "
            f"{coverage.indexed:,}",
        }
    )
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

"""`astrosearch show`."""

from typing import TYPE_CHECKING

import click

from astrosearch.cli.options import (
    ENTRIES,
    FORMATS,
    KEYED,
    complete_paper,
    format_option,
    going_on,
    index_option,
    key_option,
)

if TYPE_CHECKING:
    from astrosearch.papers import Paper
    from astrosearch.text.bibtex import KeyStyle


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_paper)
@click.option("--references", "links", flag_value="references", help="What the paper cites.")
@click.option("--citations", "links", flag_value="citations", help="What cites the paper.")
@format_option(*FORMATS, help="json is a list where several are shown.")
@key_option
@index_option
@going_on
def show(
    ids: tuple[str, ...],
    links: str | None,
    output: str,
    key: "KeyStyle | None",
    index_name: str | None,
) -> "list[Paper]":
    """Show papers of an index with their abstracts.

    An ID may be an arXiv number, old or new, with or without version, or an arXiv address. With
    --references or --citations, what a paper cites or what cites it is listed, the most cited
    first; the index must have citations: astrosearch citations --help.

    \b
    astrosearch show 2503.14368
    astrosearch show 2503.14368 astro-ph/9401008 --format bibtex
    astrosearch show https://arxiv.org/abs/astro-ph/9401008v1
    astrosearch show 2503.14368 --open
    astrosearch show 2503.14368 --references
    astrosearch show 2503.14368 --citations --format bibtex
    """
    from astrosearch import paths
    from astrosearch.cli.console import notify
    from astrosearch.cli.views.hits import write_papers
    from astrosearch.index.papers import open_papers
    from astrosearch.papers import parse_id

    names = list(dict.fromkeys(parse_id(text).id for text in ids))
    if links:
        if len(names) > 1:
            raise click.UsageError(f"--{links} is about one paper: name one ID")
        papers = _show_links(names[0], links, output, key, index_name)
    else:
        with open_papers(paths.existing_index(index_name)) as corpus:
            papers = corpus.papers([corpus.row_of(name) for name in names])
        write_papers(papers, format=output, key=key)
    if key and output not in KEYED:
        notify(f"--key has no effect with --format {output}")
    return papers


def _show_links(
    paper_id: str, links: str, output: str, key: "KeyStyle | None", index_name: str | None
) -> "list[Paper]":
    """List what a paper cites, or what cites it; returns those that the index has.

    Raises:
        NothingFound: if the index does not know.
    """
    from astrosearch.cli.console import notify
    from astrosearch.cli.views.citations import write_works
    from astrosearch.errors import NothingFound
    from astrosearch.search.searcher import open_index

    with open_index(index_name) as searcher:
        works = (
            searcher.references(paper_id) if links == "references" else searcher.citations(paper_id)
        )
        if not works:
            fact = "what it cites" if links == "references" else "what cites it"
            raise NothingFound(f"index {searcher.name} has {paper_id}, but does not know {fact}")
    write_works(works, format=output, key=key)
    missing = sum(work.paper is None for work in works)
    if missing and output in ("csv", *ENTRIES):
        notify(f"{missing:,} of {len(works):,} are not in index {searcher.name}: left out")
    return [work.paper for work in works if work.paper]

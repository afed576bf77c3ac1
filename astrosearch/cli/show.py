"""`astrosearch show`."""

from typing import TYPE_CHECKING

import click

from astrosearch.cli.options import complete_paper, format_option, index_option, key_option

if TYPE_CHECKING:
    from astrosearch.text.bibtex import KeyStyle


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_paper)
@format_option("table", "json", "jsonl", "bibtex", help="json is a list where several are shown.")
@key_option
@index_option
def show(ids: tuple[str, ...], output: str, key: "KeyStyle | None", index_name: str | None) -> None:
    """Show papers of an index with their abstracts.

    An ID may be an arXiv number, old or new, with or without version, or an arXiv address.

    \b
    astrosearch show 2503.14368
    astrosearch show 2503.14368 astro-ph/9401008 --format bibtex
    astrosearch show https://arxiv.org/abs/astro-ph/9401008v1
    """
    from astrosearch import paths
    from astrosearch.cli.console import notify
    from astrosearch.cli.views.hits import write_papers
    from astrosearch.index.papers import open_papers
    from astrosearch.papers import parse_id

    names = dict.fromkeys(parse_id(text).id for text in ids)
    with open_papers(paths.existing_index(index_name)) as corpus:
        papers = corpus.papers([corpus.row_of(name) for name in names])
    write_papers(papers, format=output, key=key)
    if key and output != "bibtex":
        notify(f"--key has no effect with --format {output}")

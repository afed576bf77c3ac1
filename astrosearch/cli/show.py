"""`astrosearch show`."""

import click

from astrosearch.cli.options import index_option


@click.command()
@click.argument("paper_id", metavar="ID")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "bibtex"]),
    default="table",
    show_default=True,
)
@index_option
def show(paper_id: str, output: str, index_name: str | None) -> None:
    """Show one paper of an index.

    \b
    astrosearch show 2503.14368
    astrosearch show https://arxiv.org/abs/astro-ph/9401008v1 --format bibtex
    """
    from astrosearch import paths
    from astrosearch.cli.views.hits import write_paper
    from astrosearch.corpus.store import Corpus
    from astrosearch.index.manifest import PAPERS
    from astrosearch.papers import parse_id

    normal = parse_id(paper_id).id
    corpus = Corpus(paths.existing_index(index_name) / PAPERS)
    write_paper(corpus.papers([corpus.row_of(normal)])[0], format=output)

"""`astrosearch mcp`: tools for assistants."""

import click

from astrosearch.cli.console import Terminal
from astrosearch.cli.options import served_indexes_option
from astrosearch.cli.serve import check_extra, offer_of


@click.command()
@served_indexes_option
def mcp(index_names: tuple[str, ...]) -> None:
    """Let an assistant search, over the Model Context Protocol.

    An assistant starts this command itself and speaks to it at standard input and output. It gets
    the tools search, similar, cite, citations, ask, paper, compare, library, new and indexes. Over
    HTTP, `astrosearch serve` has the same at /mcp.

    \b
    claude mcp add astrosearch -- astrosearch mcp
    astrosearch mcp -i astro
    """
    check_extra("mcp")

    from astrosearch.server.mcp import run_stdio

    run_stdio(offer_of(index_names), Terminal())

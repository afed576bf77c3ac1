"""`astrosearch ask`."""

from typing import Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    ENTRIES,
    consent_option,
    count_option,
    filter_options,
    format_option,
    index_option,
    library_options,
    typed_text,
)

SOURCES = tuple(name for name in ENTRIES if name != "markdown")
"""Formats that have the papers alone which are quoted."""


@click.command()
@click.argument("question", nargs=-1, required=True)
@count_option("At most this many sentences.", default=6)
@format_option(
    "text", "json", "markdown", *SOURCES, default="text", help="bibtex and those after it: sources."
)
@filter_options
@library_options
@consent_option
@index_option
def ask(
    question: tuple[str, ...],
    k: int,
    output: str,
    within: str | None,
    beyond: str | None,
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Answer QUESTION in sentences of abstracts.

    The sentences of the best papers that answer it are quoted as they are, with the number of
    their paper. Nothing is written, so nothing is invented; nothing is checked, either. A line says
    when the answer is unsure. If no paper is likely to answer, nothing is quoted, and the exit code
    is 4.

    With - for QUESTION, it is read from standard input. Filters may stand in it, as in a query.

    \b
    astrosearch ask "how far away is the Magellanic Stream?"
    astrosearch ask "does the Hubble tension need Cepheids?" --since 2020
    astrosearch ask "what heats cluster gas? author:fabian" -k 8 --format markdown
    astrosearch ask "what heats cluster gas?" --format bibtex
    """
    typed = typed_text(question)
    if not typed.strip():
        raise click.UsageError("the question is empty")

    from astrosearch.cli.query import scope_of
    from astrosearch.cli.views.quotes import write_quotes
    from astrosearch.corpus.filters import Filters
    from astrosearch.errors import NothingFound
    from astrosearch.search.query_parser import parse
    from astrosearch.search.searcher import open_index

    option_filters = Filters(**filters)
    parsed = parse(typed)
    scope = scope_of(within, beyond)
    with open_index(index_name, reporter=Terminal(yes=yes)) as searcher:
        answer = searcher.ask(parsed, k, option_filters, scope.among)
        if not answer.quotes and not answer.has_papers:
            raise scope.why_empty(searcher, parsed, option_filters)
        name = searcher.name
    if not answer.quotes:
        *notes, reason = answer.notes
        for note in notes:
            notify(note)
        raise NothingFound(reason)
    for note in answer.notes:
        notify(note)
    if output in SOURCES:
        from astrosearch.cli.views.hits import write_papers

        write_papers(answer.sources, format=output)
    else:
        write_quotes(answer, format=output, index=name)

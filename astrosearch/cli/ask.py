"""`astrosearch ask`."""

from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    ENTRIES,
    GENERATOR,
    KEYED,
    consent_option,
    count_option,
    filter_options,
    format_option,
    generator_options,
    index_option,
    key_option,
    library_options,
    typed_text,
    was_given,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from astrosearch.completion.answering import WrittenAnswer
    from astrosearch.completion.generators.base import Generator, Sampling
    from astrosearch.corpus.filters import Filters
    from astrosearch.search.conditions import Among
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.quotes import QuotedAnswer
    from astrosearch.search.searcher import Searcher
    from astrosearch.text.bibtex import KeyStyle

SENTENCES = 6
"""That are quoted at most, by default."""

SOURCES = tuple(name for name in ENTRIES if name != "markdown")
"""Formats of the papers that are quoted, without the answer."""


@click.command()
@click.argument("question", nargs=-1, required=True)
@count_option("At most this many sentences.", default=SENTENCES)
@format_option(
    "text",
    "json",
    "markdown",
    *SOURCES,
    default="text",
    help="How the output is written; bibtex, ris, csl-json and ids are the sources alone.",
)
@key_option
@filter_options
@library_options
@generator_options("by default none, and the answer is quotes alone.")
@click.option("--strict", is_flag=True, help="Leave out sentences that do not pass the checks.")
@consent_option
@index_option
def ask(
    question: tuple[str, ...],
    k: int,
    output: str,
    key: "KeyStyle | None",
    within: str | None,
    beyond: str | None,
    model: str | None,
    adapter: str | None,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    quantize: Any,
    device: str | None,
    dtype: str | None,
    strict: bool,
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Answer QUESTION in sentences of abstracts.

    The sentences of the best papers that answer it are quoted as they are, with the number of
    their paper. Nothing is written, so nothing is invented; nothing is checked, either. A line says
    when the answer is unsure. If no paper is likely to answer, nothing is quoted, and the exit code
    is 4.

    With --model, a language model answers from these sentences, and they follow below. Each
    sentence that it writes must cite them; what it cites is looked for, and so is each number, unit
    and name. What does not pass is marked, and the model is asked once more. If it cannot be asked,
    a line says why, the sentences are quoted, and the exit code is that of the error. What it
    writes is generated text, not a result.

    With - for QUESTION, it is read from standard input. Filters may stand in it, as in a query.

    \b
    astrosearch ask "how far away is the Magellanic Stream?"
    astrosearch ask "does the Hubble tension need Cepheids?" --since 2020
    astrosearch ask "what heats cluster gas? author:fabian" -k 8 --format markdown
    astrosearch ask "what heats cluster gas?" --format bibtex >> refs.bib
    astrosearch ask "what heats cluster gas?" --model openai:gpt-4o --strict
    """
    _check_options(model, output)
    typed = typed_text(question)
    if not typed.strip():
        raise click.UsageError("the question is empty")

    from astrosearch.corpus.filters import Filters
    from astrosearch.search.query_parser import parse
    from astrosearch.search.searcher import open_index

    option_filters = Filters(**filters)
    parse(typed)  # its errors come before an index is opened
    reporter = Terminal(yes=yes)

    def load() -> "tuple[Generator, Sampling] | None":
        if model is None:
            return None
        from astrosearch.completion.generators.base import GeneratorSpec, Sampling
        from astrosearch.completion.generators.loading import load_generator

        spec = GeneratorSpec(model, adapter, quantize or "none", device, dtype)
        return load_generator(spec, reporter), Sampling(temperature, max_new_tokens, seed)

    with open_index(index_name, reporter=reporter) as searcher:
        answer = asked(
            searcher,
            lambda searcher, *question: searcher.ask(*question),
            typed,
            k,
            option_filters,
            (within, beyond),
        )
        if output in SOURCES:
            from astrosearch.cli.views.hits import write_papers

            write_papers(answer.sources, format=output, key=key)
        else:
            write(answer, searcher, load, strict=strict, output=output, reporter=reporter)
    if key and output not in KEYED:
        notify(f"--key has no effect with --format {output}")


def _check_options(model: str | None, output: str) -> None:
    """
    Raises:
        click.UsageError: if an option for a model is given without one, or a model where nothing
            that it writes is shown.
    """
    if model is not None and output in SOURCES:
        raise click.UsageError(f"--format {output} has no answer: leave --model out")
    for name in (*GENERATOR, "strict"):
        if model is None and was_given(name):
            raise click.UsageError(f"--{name.replace('_', '-')} needs --model")


def asked(
    searcher: "Searcher",
    ask: "Callable[[Searcher, ParsedQuery, int, Filters, Among], QuotedAnswer]",
    text: str,
    k: int,
    filters: "Filters",
    scope: tuple[str | None, str | None],
) -> "QuotedAnswer":
    """The quoted answer to a question; what has to be said of it is said.

    Args:
        ask: `Searcher.ask`, or that of a conversation.
        scope: what `--in` and `--not-in` are given.

    Raises:
        NothingFound: if nothing answers.
    """
    from astrosearch.cli.query import scope_of
    from astrosearch.errors import NothingFound
    from astrosearch.search.query_parser import parse

    parsed = parse(text)
    papers = scope_of(*scope)
    answer = ask(searcher, parsed, k, filters, papers.among)
    if not answer.quotes and not answer.has_papers:
        raise papers.why_empty(searcher, parsed, filters)
    *notes, last = answer.notes or ("",)
    for note in notes if not answer.quotes else answer.notes:
        notify(note)
    if not answer.quotes:
        raise NothingFound(last)
    return answer


def write(
    answer: "QuotedAnswer",
    searcher: "Searcher",
    load: "Callable[[], tuple[Generator, Sampling] | None]",
    *,
    strict: bool = False,
    output: str,
    reporter: Terminal,
) -> None:
    """Print a quoted answer; below what a model answers from it, if there is one.

    Args:
        load: the model, and how it writes.

    Raises:
        AstrosearchError: if the model does not answer to the end; what there is was printed.
    """
    from astrosearch.errors import AstrosearchError

    try:
        model = load()
    except AstrosearchError:
        _write_checked(None, answer, searcher, output)
        raise
    if model is None:
        from astrosearch.cli.views.quotes import write_quotes

        write_quotes(answer, format=output, index=searcher.name)
        return
    from astrosearch.cli.views.completion import live_text
    from astrosearch.completion.answering import written_answer

    try:
        with live_text("", wanted=output == "text") as on_text:
            written = written_answer(
                answer, searcher, *model, strict=strict, reporter=reporter, on_text=on_text
            )
    except AstrosearchError:
        _write_checked(None, answer, searcher, output)
        raise
    # Ctrl-C before the first word leaves nothing to check.
    _write_checked(written if written.text else None, answer, searcher, output)
    if written.broken_off:
        raise AstrosearchError(written.broken_off)
    if written.stats.stopped == "interrupted":
        raise click.exceptions.Exit(130)


def _write_checked(
    written: "WrittenAnswer | None", answer: "QuotedAnswer", searcher: "Searcher", output: str
) -> None:
    from astrosearch.cli.views.answers import write_answer

    write_answer(written, answer, format=output, index=searcher.name)

"""`astrosearch ask`."""

from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    GENERATOR,
    consent_option,
    count_option,
    filter_options,
    format_option,
    generator_options,
    index_option,
    library_options,
    typed_text,
    was_given,
)

if TYPE_CHECKING:
    from astrosearch.completion.generators.base import GeneratorSpec, Sampling
    from astrosearch.search.quotes import QuotedAnswer
    from astrosearch.search.searcher import Searcher


@click.command()
@click.argument("question", nargs=-1, required=True)
@count_option("At most this many sentences.", default=6)
@format_option("text", "json", "markdown", default="text")
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
    astrosearch ask "what heats cluster gas?" --model openai:gpt-4o --strict
    """
    _check_options(model)
    typed = typed_text(question)
    if not typed.strip():
        raise click.UsageError("the question is empty")

    from astrosearch.cli.query import scope_of
    from astrosearch.corpus.filters import Filters
    from astrosearch.errors import NothingFound
    from astrosearch.search.query_parser import parse
    from astrosearch.search.searcher import open_index

    option_filters = Filters(**filters)
    parsed = parse(typed)
    scope = scope_of(within, beyond)
    reporter = Terminal(yes=yes)
    with open_index(index_name, reporter=reporter) as searcher:
        answer = searcher.ask(parsed, k, option_filters, scope.among)
        if not answer.quotes and not answer.has_papers:
            raise scope.why_empty(searcher, parsed, option_filters)
        if not answer.quotes:
            *notes, reason = answer.notes
            for note in notes:
                notify(note)
            raise NothingFound(reason)
        for note in answer.notes:
            notify(note)
        if model is None:
            from astrosearch.cli.views.quotes import write_quotes

            write_quotes(answer, format=output, index=searcher.name)
            return
        from astrosearch.completion.generators.base import GeneratorSpec, Sampling

        spec = GeneratorSpec(model, adapter, quantize or "none", device, dtype)
        sampling = Sampling(temperature, max_new_tokens, seed)
        _write(answer, searcher, spec, sampling, strict=strict, output=output, reporter=reporter)


def _check_options(model: str | None) -> None:
    """
    Raises:
        click.UsageError: if an option for a model is given without one.
    """
    for name in (*GENERATOR, "strict"):
        if model is None and was_given(name):
            raise click.UsageError(f"--{name.replace('_', '-')} needs --model")


def _write(
    answer: "QuotedAnswer",
    searcher: "Searcher",
    spec: "GeneratorSpec",
    sampling: "Sampling",
    *,
    strict: bool,
    output: str,
    reporter: Terminal,
) -> None:
    """Have a model answer, and print its answer above the quotes.

    Raises:
        AstrosearchError: if it does not answer to the end; what there is was printed.
    """
    from astrosearch.cli.views.answers import write_answer
    from astrosearch.cli.views.completion import live_text
    from astrosearch.completion.answering import written_answer
    from astrosearch.completion.generators.loading import load_generator
    from astrosearch.errors import AstrosearchError

    try:
        generator = load_generator(spec, reporter)
        with live_text("", wanted=output == "text") as on_text:
            written = written_answer(
                answer,
                searcher,
                generator,
                sampling,
                strict=strict,
                reporter=reporter,
                on_text=on_text,
            )
    except AstrosearchError:
        write_answer(None, answer, format=output, index=searcher.name)
        raise
    write_answer(written, answer, format=output, index=searcher.name)
    if written.broken_off:
        raise AstrosearchError(written.broken_off)
    if written.stats.stopped == "interrupted":
        raise click.exceptions.Exit(130)

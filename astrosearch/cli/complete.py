"""`astrosearch complete`: a model continues an abstract, and what it writes is checked."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    Command,
    consent_option,
    filter_options,
    generator_options,
    index_option,
    typed_text,
    was_given,
)

if TYPE_CHECKING:
    from astrosearch.completion.generators.base import GeneratorSpec

BASE = "base"
"""A value of --against: the model without its adapter."""


def _old_spelling(old: str, new: str, **how: Any) -> Callable[[Command], Command]:
    """A hidden option that is still understood, with a line on stderr."""

    def tell(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if value:
            notify(f"{old} is now {new}")
        return value

    return click.option(old, "old_" + old.lstrip("-"), hidden=True, callback=tell, **how)


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--id", "paper_id", metavar="ID", help="Continue this paper; it is not used as a source."
)
@click.option(
    "--sentences",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="With --id: how many of its sentences are the beginning.",
)
@click.option(
    "-k",
    "--count",
    "k",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many papers are given to the model as sources.",
)
@filter_options
@click.option(
    "--no-grounding",
    is_flag=True,
    help="Give the model no sources, as in the AstroLLaMA paper; the text is still checked.",
)
@click.option(
    "--only-known-numbers",
    is_flag=True,
    help="Forbid numbers that are neither in the beginning nor in a source.",
)
@_old_spelling("--strict", "--only-known-numbers", is_flag=True)
@generator_options("by default the one that comes with astrosearch.")
@click.option(
    "--against",
    multiple=True,
    metavar="MODEL",
    help="Show another model's continuation too: a MODEL, or `base` for --model without its "
    "adapter; may be repeated.",
)
@_old_spelling("--versus", "--against", multiple=True)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of continuations, with consecutive seeds.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the output is written.",
)
@consent_option
@index_option
def complete(
    text: tuple[str, ...],
    paper_id: str | None,
    sentences: int,
    k: int,
    no_grounding: bool,
    only_known_numbers: bool,
    old_strict: bool,
    model: str | None,
    adapter: str | None,
    against: tuple[str, ...],
    old_versus: tuple[str, ...],
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    quantize: Any,
    device: str | None,
    dtype: str | None,
    output: str,
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Continue TEXT, the beginning of an abstract.

    With - for TEXT, the beginning is read from standard input. The papers nearest to it are given
    to the model as sources. Each sentence that the model writes is shown with the sources related
    to it, and each number and name is looked up in the beginning and the sources. What it writes is
    generated text, not a result.

    \b
    astrosearch complete "The Magellanic Stream is"
    astrosearch complete --id 2503.14368 --sentences 2 --only-known-numbers
    astrosearch complete "The Magellanic Stream is" --no-grounding --against base
    """
    if bool(text) == (paper_id is not None):
        raise click.UsageError("give a TEXT, - for standard input, or --id ID")
    if was_given("sentences") and paper_id is None:
        raise click.UsageError("--sentences needs --id ID")
    beginning = typed_text(text)
    if paper_id is None and not beginning.strip():
        raise click.UsageError("the beginning is empty")

    from astrosearch.cli.views.completion import live_text, write_completions
    from astrosearch.completion.complete import CompletionRequest, beginning_of, run
    from astrosearch.completion.generators.base import DEFAULT_GENERATOR, GeneratorSpec, Sampling
    from astrosearch.corpus.filters import Filters
    from astrosearch.errors import AstrosearchError
    from astrosearch.search.searcher import open_index

    own = GeneratorSpec(model or DEFAULT_GENERATOR, adapter, quantize or "none", device, dtype)
    others = tuple(_other(own, name) for name in (*against, *old_versus))
    reporter = Terminal(yes=yes)
    with open_index(index_name, reporter=reporter) as searcher:
        exclude: tuple[str, ...] = ()
        if paper_id is not None:
            paper = searcher.paper(paper_id)
            beginning, exclude = beginning_of(paper, sentences), (paper.id,)
        request = CompletionRequest(
            beginning,
            (own, *others),
            Sampling(temperature, max_new_tokens, seed),
            samples=samples,
            source_count=k,
            filters=Filters(**filters),
            exclude=exclude,
            grounded=not no_grounding,
            only_known_numbers=only_known_numbers or old_strict,
        )
        single = samples == 1 and not others
        with live_text(beginning, wanted=output != "json" and single) as on_text:
            result = run(request, searcher, reporter, on_text)
    if not (result.interrupted or any(done.text.strip() for done in result.completions)):
        names = ", ".join(dict.fromkeys(done.generator for done in result.completions))
        raise AstrosearchError(f"{names} wrote nothing")
    write_completions(result, as_json=output == "json")
    if result.interrupted:
        raise click.exceptions.Exit(130)


def _other(own: "GeneratorSpec", name: str) -> "GeneratorSpec":
    """The generator of one --against, loaded as --model is."""
    from dataclasses import replace

    from astrosearch.completion.generators.base import GeneratorSpec

    if name == BASE:
        return own.base
    other = GeneratorSpec(name)
    if other.is_service:
        return other
    return replace(other, quantize=own.quantize, device=own.device, dtype=own.dtype)

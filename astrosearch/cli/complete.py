"""`astrosearch complete`: a model continues an abstract, and what it says is looked up."""

import sys
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import filter_options, index_option, seed_option

if TYPE_CHECKING:
    from astrosearch.completion.complete import Source
    from astrosearch.completion.generators.base import Generator
    from astrosearch.index.reader import Index

BASE = "base"
"""For --versus: the model without its adapter."""


@click.command()
@click.argument("text", nargs=-1)
@click.option("--id", "paper_id", metavar="ID", help="Begin as this paper does; it is no source.")
@click.option(
    "--sentences",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="With --id: how many of its sentences.",
)
@click.option(
    "-k",
    "--count",
    "k",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Sources: papers given to the model.",
)
@filter_options
@click.option(
    "--no-grounding", is_flag=True, help="Give the model no sources: the AstroLLaMA paper's way."
)
@click.option(
    "--strict", is_flag=True, help="Let it write no number that beginning and sources lack."
)
@click.option(
    "--model",
    metavar="MODEL",
    help="A model's name, hub id or folder, or openai:NAME; by default the one that comes with "
    "astrosearch.",
)
@click.option("--adapter", metavar="ADAPTER", help="A PEFT adapter on --model.")
@click.option(
    "--versus",
    multiple=True,
    metavar="MODEL",
    help="Another continuation beside it, of `base` (without the adapter), or as --model.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=1, help="How many, by seeds in a row; 1."
)
@click.option(
    "--temperature", type=click.FloatRange(min=0), default=0.3, show_default=True, help="0: none."
)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=1024, show_default=True)
@seed_option("For the sampling.")
@click.option("--quantize", type=click.Choice(["4bit", "8bit"]), help="Hold the weights so.")
@click.option("--device", help="cuda, mps or cpu; by default the best there is.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]))
@click.option(
    "--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@index_option
def complete(
    text: tuple[str, ...],
    paper_id: str | None,
    sentences: int,
    k: int,
    no_grounding: bool,
    strict: bool,
    model: str | None,
    adapter: str | None,
    versus: tuple[str, ...],
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
    quantize: str | None,
    device: str | None,
    dtype: str | None,
    output: str,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Continue the beginning of an abstract, TEXT or - for standard input, and check what comes.

    The papers nearest to it are given to the model. Each sentence of the continuation carries those
    that support it, each number and name is looked up in them. It is a model's text, no finding.

    \b
    astrosearch complete "The Magellanic Stream is"
    astrosearch complete --id 2503.14368 --sentences 2 --strict
    astrosearch complete "The Magellanic Stream is" --no-grounding --versus base
    """
    if bool(text) == (paper_id is not None):
        raise click.UsageError("give a TEXT, - for standard input, or --id ID")
    if adapter and not model:
        raise click.UsageError("--adapter belongs to --model")
    beginning = sys.stdin.read() if text == ("-",) else " ".join(text)
    beginning = beginning.encode(errors="replace").decode()
    if paper_id is None and not beginning.strip():
        raise click.UsageError("the beginning is empty")

    from astrosearch import paths
    from astrosearch.cli.views import completion
    from astrosearch.completion.attribution import calibrated
    from astrosearch.completion.complete import GroundingChecker
    from astrosearch.completion.complete import complete as write
    from astrosearch.completion.generators.base import Sampling
    from astrosearch.corpus.filters import Filters
    from astrosearch.encoders.loading import load_query_encoder
    from astrosearch.errors import InputError
    from astrosearch.index.reader import Index
    from astrosearch.papers import parse_id

    opened = Index(paths.existing_index(index_name))
    without = []
    if paper_id is not None:
        without = [parse_id(paper_id).id]
        beginning = _beginning_of(opened, without[0], sentences)
    if strict and any(name.startswith("openai:") for name in (model or "", *versus)):
        raise InputError("--strict holds the decoder, and OpenAI's runs elsewhere")
    encoder = load_query_encoder(opened.manifest.encoder, Terminal())
    thresholds = calibrated(opened, encoder)
    wanted = Filters(**filters)
    sources = _sources(opened, encoder, beginning, k, wanted, without, grounded=not no_grounding)
    judge = GroundingChecker(encoder, thresholds, beginning, sources)
    options = {"quantize": quantize or "none", "device": device, "dtype": dtype}
    live = output == "text" and not versus and samples == 1 and completion.on_terminal()
    found = []
    for name in (None, *versus):
        writer = _writer(name, model, adapter, options)
        room = writer.fitting(
            beginning, [source.paper.abstract for source in sources], max_new_tokens
        )
        given = [] if no_grounding else sources[:room]
        if not no_grounding and room < len(sources):
            if not given:
                raise InputError(
                    f"no source has room beside the beginning and {max_new_tokens:,} new tokens: "
                    "give fewer --max-new-tokens, or --no-grounding"
                )
            notify(f"{room} of the {len(sources)} sources have room in what {writer.name} reads")
        for number in range(samples):
            sampling = Sampling(temperature, max_new_tokens, seed + number)
            with completion.writing(beginning, writer.name, live=live) as show:
                found.append(
                    write(writer, judge, beginning, given, sampling, strict=strict, piece=show)
                )
    completion.write_completions(
        beginning, sources, found, grounded=not no_grounding, as_json=output == "json"
    )
    if any(one.stats.stopped == "interrupted" for one in found):
        raise click.exceptions.Exit(130)


def _beginning_of(index: "Index", paper_id: str, count: int) -> str:
    from astrosearch.errors import InputError
    from astrosearch.text.sentences import sentence_spans

    [paper] = index.corpus.papers([index.corpus.row_of(paper_id)])
    spans = sentence_spans(paper.abstract)
    if len(spans) <= count:
        raise InputError(
            f"the abstract of {paper_id} has {len(spans)} sentences: give fewer --sentences"
        )
    return paper.abstract[: spans[count - 1][1]]


def _sources(
    index: "Index",
    encoder: Any,
    beginning: str,
    k: int,
    filters: Any,
    without: list[str],
    *,
    grounded: bool,
) -> "list[Source]":
    """The sources; without grounding what the text is looked up in, if there is anything."""
    from astrosearch.completion.complete import find_sources
    from astrosearch.errors import NothingFound

    try:
        return find_sources(index, encoder, beginning, k, filters, without)
    except NothingFound:
        if grounded:
            raise
        notify("No paper of the index has to do with this beginning: nothing to look it up in")
        return []


def _writer(
    name: str | None, model: str | None, adapter: str | None, options: dict[str, Any]
) -> "Generator":
    """The writer of --model, or one of --versus."""
    from astrosearch.completion.generators.base import DEFAULT_GENERATOR, load_generator
    from astrosearch.encoders.registry import DEFAULT

    main = model or DEFAULT_GENERATOR
    if name == BASE:
        if main.startswith("openai:"):
            raise click.UsageError(f"{main} has no base: name another model for --versus")
        return load_generator(DEFAULT if main == DEFAULT_GENERATOR else main, Terminal(), **options)
    if name is not None:
        alone = {} if name.startswith("openai:") else options
        return load_generator(name, Terminal(), **alone)
    return load_generator(main, Terminal(), adapter=adapter, **options)

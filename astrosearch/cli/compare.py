"""`astrosearch compare`: what an index's encoder and others make of the same papers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import consent_option, index_option, seed_option

if TYPE_CHECKING:
    from astrosearch.encoders.base import Encoder
    from astrosearch.index.reader import Index

ADA = "openai:text-embedding-ada-002"
"""What the AstroLLaMA paper compares with."""


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="Give two in place of ids.")
@click.option(
    "--against",
    multiple=True,
    metavar="ENCODER|INDEX",
    help="As for `index --encoder`, or another index; may be repeated. By default OpenAI's ada-002 "
    "if OPENAI_API_KEY is set.",
)
@click.option("--sample", type=click.IntRange(min=3), help="All pairs of so many papers.")
@click.option(
    "--disagreements",
    type=click.IntRange(min=1),
    help="With --sample: the pairs on which encoders differ most, so many each way.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --sample: the distributions as a figure, .png, .svg or .pdf.",
)
@click.option(
    "--pool",
    type=click.IntRange(min=3),
    help="Papers that a pair is placed among; by default all, or 2,000 with --against.",
)
@seed_option("For all that is drawn.")
@click.option(
    "--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@consent_option
@index_option
def compare(
    ids: tuple[str, ...],
    texts: tuple[str, ...],
    against: tuple[str, ...],
    sample: int | None,
    disagreements: int | None,
    plot: Path | None,
    pool: int | None,
    seed: int,
    output: str,
    yes: bool,
    index_name: str | None,
) -> None:
    """Compare papers, and encoders by them: two papers, several, or all pairs of a sample.

    A cosine means little by itself, so each comes with its percentile among random pairs of the
    same papers under the same encoder.

    \b
    astrosearch compare 2503.14368 astro-ph/9401008
    astrosearch compare 2503.14368 astro-ph/9401008 --against minilm
    astrosearch compare 2503.14368 astro-ph/9401008 2411.15044
    astrosearch compare --text "gas of the LMC" --text "a stream of H I"
    astrosearch compare --sample 1000 --against minilm --disagreements 5 --plot figure3.png
    """
    if sum([bool(ids), bool(texts), sample is not None]) != 1:
        raise click.UsageError("give two or more IDs, two --text, or --sample N")
    if len(ids) == 1:
        raise click.UsageError("one paper alone is compared with nothing: give two or more IDs")
    if texts and len(texts) != 2:
        raise click.UsageError("give --text twice")
    if not all(text.strip() for text in texts):
        raise click.UsageError("a --text is empty")
    if sample is None and (disagreements or plot):
        raise click.UsageError("--disagreements and --plot belong to --sample N")
    if disagreements and not against and not os.environ.get("OPENAI_API_KEY"):
        raise click.UsageError("--disagreements are between encoders: add --against minilm")

    from astrosearch import paths
    from astrosearch.cli.views import comparison
    from astrosearch.comparison import pairs as library
    from astrosearch.encoders.loading import load_query_encoder
    from astrosearch.errors import InputError
    from astrosearch.index.reader import Index
    from astrosearch.papers import parse_id

    if plot:
        from astrosearch.comparison.figure import check_figure

        check_figure(plot)
    reporter = Terminal(yes=yes)
    wanted = [parse_id(one).id for one in ids]
    if len(set(wanted)) < len(wanted):
        raise InputError("a paper is given twice")
    index = Index(paths.existing_index(index_name))
    for paper_id in wanted:
        index.corpus.row_of(paper_id)  # before anything is encoded
    if not against and os.environ.get("OPENAI_API_KEY"):
        against = (ADA,)
    elif not against:
        notify(
            "OPENAI_API_KEY is not set, so ada-002 is left out; offline there is --against minilm"
        )
    others = [(name, _other(name, reporter)) for name in dict.fromkeys(against)]
    count = sample or pool or (library.SHARED_POOL if others else library.OWN_POOL)
    if sample and sample > len(index):
        notify(f"The index has {len(index):,} papers: all of them are taken")
    own = index.manifest.encoder.short_name
    found = library.gather(index, own, wanted, others, count, seed, reporter)
    if sample:
        comparison.write_sample(found, disagreements or 0, plot, as_json=output == "json")
        return
    if len(wanted) > 2:
        comparison.write_matrix(found, [found.place(one) for one in wanted], output == "json")
        return
    encoder = load_query_encoder(index.manifest.encoder, reporter)
    if texts:
        encoders = [encoder, *(it for _, it in others if not isinstance(it, Index))]
        if len(encoders) < len(found.sides):
            raise InputError("an index's vectors say nothing of new texts: name its encoder")
        one, other = texts
        seen = library.view_new_texts(found, encoders, one, other)
        named = [f"“{text}”" for text in texts]
    else:
        places = [found.place(paper) for paper in wanted]
        seen = library.views(found, places[0], places[1])
        papers = [found.papers[place] for place in places]
        one, other = (paper.abstract for paper in papers)
        named = [comparison.heading(paper) for paper in papers]
    closest = library.closest_sentences(encoder, one, other)
    comparison.write_pair(named, seen, closest, as_json=output == "json")


def _other(name: str, reporter: Terminal) -> "Encoder | Index":
    from astrosearch import paths
    from astrosearch.encoders import registry
    from astrosearch.encoders.loading import load_cached_encoder
    from astrosearch.index.reader import Index

    if name in paths.index_names():
        return Index(paths.existing_index(name))
    return load_cached_encoder(registry.encoder_spec(name), reporter)

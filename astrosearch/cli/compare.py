"""`astrosearch compare`: the similarity of papers under an index's encoder and others."""

import os
from pathlib import Path
from typing import Any

import click

from astrosearch.cli.console import Terminal, notify, on_terminal
from astrosearch.cli.options import consent_option, format_option, index_option, seed_option

ADA = "openai:text-embedding-ada-002"
"""The encoder that the AstroLLaMA paper compares with (arXiv:2309.06126)."""


@click.command()
@click.argument("ids", nargs=-1)
@click.option(
    "--text", "texts", multiple=True, metavar="TEXT", help="A text to compare; give it twice."
)
@click.option(
    "--against",
    multiple=True,
    metavar="ENCODER|INDEX",
    help="Another encoder, as for `index --encoder`, or another index; may be repeated. By default "
    "OpenAI's ada-002 if OPENAI_API_KEY is set.",
)
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=3),
    help="Compare all pairs of N papers drawn at random.",
)
@click.option(
    "--disagreements",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --sample: show the N pairs on which two encoders differ most, in each direction.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --sample: draw the distributions as a .png, .svg or .pdf.",
)
@click.option(
    "--pool",
    metavar="N",
    type=click.IntRange(min=3),
    help="Number of papers for percentiles and ranks; by default up to 100,000, or 2,000 with "
    "--against.",
)
@seed_option("Seed of the papers that are drawn at random.")
@format_option("table", "json", help="In a pipe, a table is tab-separated lines.")
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
    """Compare papers, texts, or all pairs of a sample of papers.

    Give two IDs, several IDs, two --text, or --sample. A cosine means little by itself. So each is
    shown with the share of random pairs of papers that are farther apart under the same encoder.

    \b
    astrosearch compare 2503.14368 astro-ph/9401008
    astrosearch compare 2503.14368 astro-ph/9401008 --against minilm
    astrosearch compare 2503.14368 astro-ph/9401008 2411.15044
    astrosearch compare --text "gas of the LMC" --text "a stream of H I"
    astrosearch compare --sample 1000 --against minilm --disagreements 5
    """
    texts = tuple(text.encode(errors="replace").decode() for text in texts)
    _check(ids, texts, sample)
    _check_ids(ids)
    if sample is None and (disagreements or plot):
        raise click.UsageError("--disagreements and --plot need --sample N")
    if sample is not None and pool is not None:
        raise click.UsageError("--pool has no effect with --sample, whose papers are the pool")
    against = against or _default_encoders()
    if disagreements and not against:
        raise click.UsageError("--disagreements are between encoders: add --against minilm")

    from astrosearch.cli.views import comparison as views
    from astrosearch.comparison.compare import (
        compare_pair,
        compare_sample,
        compare_several,
        compare_texts,
    )
    from astrosearch.comparison.pool import vector_source
    from astrosearch.search.searcher import open_index

    if plot:
        from astrosearch.comparison.figure import check_figure

        check_figure(plot)
    reporter = Terminal(yes=yes)
    as_json = output == "json"
    with open_index(index_name, reporter=reporter) as searcher:
        sources = [vector_source(name, reporter) for name in dict.fromkeys(against)]
        settings: dict[str, Any] = {"pool_size": pool, "seed": seed, "reporter": reporter}
        if sample is not None:
            sampled = compare_sample(
                searcher,
                sample,
                sources,
                disagreements=disagreements or 0,
                seed=seed,
                reporter=reporter,
            )
            views.write_sample(sampled, plot, as_json=as_json)
        elif texts:
            first, second = texts
            pair = compare_texts(searcher, first, second, sources, **settings)
            views.write_pair(pair, as_json=as_json)
        elif len(ids) == 2:
            first, second = ids
            pair = compare_pair(searcher, first, second, sources, **settings)
            views.write_pair(pair, as_json=as_json)
        else:
            several = compare_several(searcher, ids, sources, **settings)
            views.write_several(several, as_json=as_json)


def _check(ids: tuple[str, ...], texts: tuple[str, ...], sample: int | None) -> None:
    """
    Raises:
        UsageError: unless there is exactly one kind of thing to compare, and enough of it.
    """
    if sum([bool(ids), bool(texts), sample is not None]) != 1:
        raise click.UsageError("give two or more IDs, two --text, or --sample N")
    if len(ids) == 1:
        raise click.UsageError("one paper cannot be compared: give two or more IDs")
    if texts and len(texts) != 2:
        raise click.UsageError("give --text twice")
    if not all(text.strip() for text in texts):
        raise click.UsageError("a --text is empty")


def _check_ids(ids: tuple[str, ...]) -> None:
    """What is wrong with an identifier is said before an index is opened and a model loaded."""
    from astrosearch.errors import IdentifierError, InputError
    from astrosearch.papers import parse_id

    for paper_id in ids:
        try:
            parse_id(paper_id)
        except IdentifierError as error:
            if len(paper_id.split()) > 1:
                raise InputError(
                    f"{paper_id!r} is not an arXiv identifier; to compare two texts: --text, twice"
                ) from None
            raise error


def _default_encoders() -> tuple[str, ...]:
    """The encoders to compare with if there is no --against."""
    if os.environ.get("OPENAI_API_KEY"):
        return (ADA,)
    if on_terminal():
        notify("For a second opinion, offline: --against minilm")
    return ()

"""How a comparison looks: tables and bars on a terminal, tab-separated lines down a pipe, JSON, a
figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from astrosearch.cli.views.hits import as_json
from astrosearch.comparison.distribution import (
    QUANTILES,
    Agreement,
    Disagreement,
    Distribution,
    distributions,
    middle,
)
from astrosearch.comparison.pairs import (
    ComparisonPool,
    PairView,
    SentencePair,
    per_cent,
    shared_words,
    verdict,
)
from astrosearch.index.vectors import random_pair_cosines
from astrosearch.papers import Paper
from astrosearch.text.tex import one_line

THRESHOLDS = (0.5, 0.7, 0.9)
"""Cosines whose share of pairs above them is told."""

BINS = 24
EXCERPT = 160


def heading(paper: Paper) -> str:
    return f"{paper.id}  {one_line(paper.title)}"


# A pair


def write_pair(
    named: Sequence[str],
    views: Sequence[PairView],
    closest: Sequence[SentencePair],
    *,
    as_json: bool,
) -> None:
    """Print how each encoder sees two papers or texts, what that comes to, and which of their
    sentences lie nearest."""
    if as_json:
        _write_json(
            {
                "pair": list(named),
                "encoders": [_view_record(view) for view in views],
                "verdict": verdict(views),
                "sentences": [
                    {"one": pair.one, "other": pair.other, "cosine": round(pair.cosine, 4)}
                    for pair in closest
                ],
            }
        )
        return
    console = Console()
    if not console.is_terminal:
        for view in views:
            click.echo("\t".join([view.encoder, *_view_fields(view)]))
        click.echo(verdict(views))
        for pair in closest:
            click.echo("\t".join([f"{pair.cosine:.4f}", one_line(pair.one), one_line(pair.other)]))
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    table.add_column("encoder", style="cyan", overflow="fold")
    for name in ("cosine", "percentile", "ranks", "shared", "among"):
        table.add_column(name, justify="right", no_wrap=True)
    for view in views:
        table.add_row(view.encoder, *_view_fields(view))
    parts: list[RenderableType] = [Text(line, style="bold") for line in named]
    parts += [table, Text(verdict(views))]
    if closest:
        parts += [Text(), Text("Sentences that lie nearest", style="bold")]
    for pair in closest:
        parts += [
            Text.assemble((f"{pair.cosine:.2f} ", "cyan"), one_line(pair.one)),
            Text.assemble("     ", (one_line(pair.other), "dim")),
        ]
    parts.append(
        Text(
            "percentile: of random pairs, how many are less alike. ranks: of the second paper "
            "among the first's neighbours, and the other way round. shared: of their 10 nearest "
            "neighbours.",
            style="dim",
        )
    )
    console.print(Group(*parts))


def _view_fields(view: PairView) -> list[str]:
    ranks = "" if view.ranks is None else f"{view.ranks[0]:,}, {view.ranks[1]:,}"
    shared = "" if view.shared is None else str(view.shared)
    return [f"{view.cosine:.3f}", per_cent(view.percentile), ranks, shared, f"{view.papers:,}"]


def _view_record(view: PairView) -> dict[str, Any]:
    return {
        "encoder": view.encoder,
        "cosine": round(view.cosine, 4),
        "percentile": round(view.percentile, 2),
        "ranks": view.ranks,
        "shared_neighbours": view.shared,
        "among": view.papers,
    }


# Several papers


def write_matrix(pool: ComparisonPool, places: Sequence[int], as_json: bool) -> None:
    """Print the cosines of several papers, and their percentiles, under each encoder."""
    papers = [pool.papers[place] for place in places]
    matrices = []
    for side in pool.sides:
        vectors = side.vectors[list(places)]
        cosines = vectors @ vectors.T
        background = random_pair_cosines(side.vectors)
        percentiles = 100 * np.searchsorted(background, cosines) / len(background)
        matrices.append((side.name, cosines, percentiles))
    if as_json:
        _write_json(
            {
                "papers": [{"id": paper.id, "title": paper.title} for paper in papers],
                "encoders": [
                    {
                        "encoder": name,
                        "cosines": cosines.round(4).tolist(),
                        "percentiles": percentiles.round(2).tolist(),
                    }
                    for name, cosines, percentiles in matrices
                ],
            }
        )
        return
    console = Console()
    if not console.is_terminal:
        for name, cosines, percentiles in matrices:
            for i, one in enumerate(papers):
                for j in range(i + 1, len(papers)):
                    fields = [name, one.id, papers[j].id, f"{cosines[i, j]:.4f}"]
                    click.echo("\t".join([*fields, f"{percentiles[i, j]:.2f}"]))
        return
    for number, paper in enumerate(papers, start=1):
        console.print(Text.assemble((f"{number:>2} ", "bold"), heading(paper)), soft_wrap=False)
    for name, cosines, percentiles in matrices:
        table = Table(box=box.SIMPLE_HEAD, border_style="dim", pad_edge=False)
        table.add_column(Text(name, style="cyan"), justify="right")
        for number in range(1, len(papers) + 1):
            table.add_column(str(number), justify="right", no_wrap=True)
        for i in range(len(papers)):
            cells = [
                Text("·", style="dim") if i == j else _cell(cosines[i, j], percentiles[i, j])
                for j in range(len(papers))
            ]
            table.add_row(str(i + 1), *cells)
        console.print(table)
    console.print(
        Text.assemble(
            ("Cosines: ", "dim"),
            ("nearer than 99 %", "bold green"),
            (", ", "dim"),
            ("95 %", "green"),
            (", ", "dim"),
            ("75 %", "yellow"),
            (" of random pairs, or not.", "dim"),
        )
    )


def _cell(cosine: float, percentile: float) -> Text:
    steps = ((99, "bold green"), (95, "green"), (75, "yellow"), (0, "dim"))
    return Text(f"{cosine:.2f}", next(style for least, style in steps if percentile >= least))


# All pairs of a sample


def write_sample(pool: ComparisonPool, wanted: int, plot: Path | None, *, as_json: bool) -> None:
    """Print how the cosines of all pairs of a pool are spread under each encoder, how far the
    encoders agree, and on which pairs they do not; draw it where a file is given."""
    found, agreements = distributions([side.vectors for side in pool.sides], wanted)
    names = [side.name for side in pool.sides]
    if plot:
        _draw(names, found, plot)
        click.echo(f"Wrote {plot}", err=True)
    if as_json:
        _write_json(_sample_record(pool, names, found, agreements))
        return
    console = Console()
    if console.is_terminal:
        console.print(_sample_view(pool, names, found, agreements, console.width))
        return
    for name, one in zip(names, found, strict=True):
        for key, value in _figures(one).items():
            click.echo(f"{name}\t{key}\t{value:.4f}")
    for name, agreement in zip(names[1:], agreements, strict=True):
        click.echo(f"{name}\trank correlation\t{agreement.rank_correlation:.4f}")
        click.echo(f"{name}\tshared neighbours\t{agreement.shared_neighbours:.4f}")
        for way, pairs in _ways(agreement, names[0], name):
            for pair in pairs:
                ours, theirs = (pool.papers[row] for row in pair.rows)
                fields = [way, ours.id, theirs.id, *(f"{p:.2f}" for p in pair.percentiles)]
                click.echo("\t".join([*fields, " ".join(shared_words(ours, theirs)[:8])]))


def _figures(one: Distribution) -> dict[str, float]:
    return (
        {"pairs": one.pairs, "mean": one.mean, "spread": one.spread}
        | {f"{per_cent} % quantile": one.quantiles[per_cent] for per_cent in QUANTILES}
        | {f"share above {threshold}": one.share_above(threshold) for threshold in THRESHOLDS}
    )


def _ways(agreement: Agreement, own: str, other: str) -> list[tuple[str, Sequence[Disagreement]]]:
    return [
        (f"nearer for {own}", agreement.nearer_first),
        (f"nearer for {other}", agreement.nearer_second),
    ]


def _sample_record(
    pool: ComparisonPool,
    names: Sequence[str],
    found: Sequence[Distribution],
    agreements: Sequence[Agreement],
) -> dict[str, Any]:
    def record(pair: Disagreement) -> dict[str, Any]:
        one, other = (pool.papers[row] for row in pair.rows)
        return {
            "papers": [{"id": paper.id, "title": paper.title} for paper in (one, other)],
            "cosines": [round(cosine, 4) for cosine in pair.cosines],
            "percentiles": [round(value, 2) for value in pair.percentiles],
            "shared_words": shared_words(one, other),
        }

    return {
        "papers": len(pool.papers),
        "encoders": [
            {"encoder": name, **_figures(one)} for name, one in zip(names, found, strict=True)
        ],
        "agreements": [
            {
                "encoders": [names[0], name],
                "rank_correlation": round(agreement.rank_correlation, 4),
                "shared_neighbours": round(agreement.shared_neighbours, 4),
                "nearer_for_first": [record(pair) for pair in agreement.nearer_first],
                "nearer_for_second": [record(pair) for pair in agreement.nearer_second],
            }
            for name, agreement in zip(names[1:], agreements, strict=True)
        ],
    }


def _sample_view(
    pool: ComparisonPool,
    names: Sequence[str],
    found: Sequence[Distribution],
    agreements: Sequence[Agreement],
    width: int,
) -> Group:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    table.add_column(f"{found[0].pairs:,} pairs", no_wrap=True)
    for name in names:
        table.add_column(Text(name, style="cyan"), justify="right", overflow="fold")
    every = [_figures(one) for one in found]
    for key in list(every[0])[1:]:
        table.add_row(key, *(f"{one[key]:.3f}" for one in every))
    parts: list[RenderableType] = [table, _histogram(names, found, width)]
    for name, agreement in zip(names[1:], agreements, strict=True):
        parts += [
            Text(),
            Text(
                f"{names[0]} and {name}: rank correlation {agreement.rank_correlation:.2f}; of "
                f"a paper's 10 nearest neighbours they share "
                f"{10 * agreement.shared_neighbours:.1f}."
            ),
        ]
        for way, pairs in _ways(agreement, names[0], name):
            parts += [Text(), Text(way, style="bold")] if pairs else []
            for pair in pairs:
                parts.append(_disagreement(pool, pair, (names[0], name)))
    return Group(*parts)


def _histogram(names: Sequence[str], found: Sequence[Distribution], width: int) -> Table:
    """Bars side by side, from the lowest cosine that any encoder gives to the highest."""
    edges = _edges(found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("cosine", justify="right", style="dim", no_wrap=True)
    for name in names:
        table.add_column(Text(name, style="cyan"), no_wrap=True)
    length = max(8, (width - 8) // len(names) - 4)
    counts = [one.histogram(edges) for one in found]
    for row in range(len(edges) - 1):
        bars = []
        for one in counts:
            filled = one[row] / one.max() * length
            bars.append(Text("█" * round(filled) or ("▏" if one[row] else ""), style="cyan"))
        table.add_row(f"{edges[row]:+.2f}", *bars)
    return table


def _edges(found: Sequence[Distribution]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    some = [np.flatnonzero(one.counts) for one in found]
    low = min(float(middle(int(one[0]))) for one in some)
    high = max(float(middle(int(one[-1]))) for one in some)
    return np.linspace(np.floor(low * 20) / 20, np.ceil(high * 20) / 20, BINS + 1)


def _disagreement(pool: ComparisonPool, pair: Disagreement, names: tuple[str, str]) -> Group:
    papers = [pool.papers[row] for row in pair.rows]
    said = "; ".join(
        f"{name} {cosine:.2f}, nearer than {per_cent(value)}"
        for name, cosine, value in zip(names, pair.cosines, pair.percentiles, strict=True)
    )
    parts = [Text(said, style="cyan")]
    for paper in papers:
        excerpt = one_line(paper.abstract)
        cut = excerpt[:EXCERPT].rsplit(" ", 1)[0] + " …" if len(excerpt) > EXCERPT else excerpt
        parts += [Text(f"  {heading(paper)}"), Text(f"    {cut}", style="dim")]
    words = ", ".join(shared_words(*papers)[:8]) or "none"
    parts.append(Text(f"  words in both: {words}", style="dim"))
    return Group(*parts)


def _draw(names: Sequence[str], found: Sequence[Distribution], out: Path) -> None:
    """Figure 3 of the AstroLLaMA paper, top: the density of the cosines of all pairs."""
    from astrosearch.comparison.figure import COLOURS, drawn

    dashes = ("-", "--", ":", "-.")
    low, high = _edges(found)[[0, -1]]
    edges = np.linspace(low, high, 201 if found[0].pairs > 1_000_000 else 61)
    centres, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    with drawn(out) as axes:
        for number, (name, one) in enumerate(zip(names, found, strict=True)):
            colour = COLOURS[number % len(COLOURS)]
            density = one.histogram(edges) / one.pairs / width
            axes.fill_between(centres, density, step="mid", color=colour, alpha=0.2, linewidth=0)
            axes.plot(
                centres, density, color=colour, linestyle=dashes[number % len(dashes)], label=name
            )
        axes.set_xlabel("Cosine similarity of two abstracts")
        axes.set_ylabel("Density of pairs per unit of cosine")
        axes.set_title(f"All {found[0].pairs:,} pairs of a sample", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)


def _write_json(record: dict[str, Any]) -> None:
    click.echo(as_json(record, indent=True))

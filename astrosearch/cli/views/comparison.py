"""The output of a comparison: tables and bars on a terminal, tab-separated lines in a pipe, JSON or
a figure."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from astrosearch.cli import console as terminal
from astrosearch.cli.views.hits import READABLE, as_json
from astrosearch.comparison.compare import (
    CosineMatrix,
    PairComparison,
    SampleComparison,
    SeveralComparison,
)
from astrosearch.comparison.distribution import (
    NEIGHBOURS,
    QUANTILES,
    Agreement,
    Disagreement,
    Distribution,
    cosine_range,
)
from astrosearch.comparison.pairs import (
    PairView,
    SentencePair,
    nearer_than,
    per_cent,
    shared_words,
    verdict,
)
from astrosearch.index.vectors import PAIRS
from astrosearch.papers import Paper
from astrosearch.text.tex import one_line, to_unicode

THRESHOLDS = (0.5, 0.7, 0.9)
"""Cosines for which the share of pairs with a higher cosine is shown."""

BINS = 24
"""Number of bars of a histogram in the terminal."""

EXCERPT = 160
"""Number of characters of an abstract shown with a disagreement."""

SHARED_WORDS = 8
"""Number of shared words shown with a disagreement."""


def _readable(text: str) -> str:
    return one_line(to_unicode(text))


def _write_json(record: dict[str, Any]) -> None:
    terminal.write(as_json(record, indent=True))


def _labelled(rows: Sequence[tuple[Text, ...]]) -> Table:
    """A grid of rows whose last field is running text, with a hanging indent."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0][:-1]:
        grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold", max_width=READABLE)
    for row in rows:
        grid.add_row(*row)
    return grid


# A pair


def write_pair(pair: PairComparison, *, as_json: bool) -> None:
    """Print the figures of each encoder for two papers or texts, the verdict, and the nearest
    sentences."""
    if as_json:
        _write_json(pair.as_record())
        return
    console = terminal.stdout()
    if console.is_terminal:
        console.print(pair_view(pair, console.width))
        return
    for view in pair.views:
        terminal.write("\t".join([view.encoder, *_view_fields(view)]))
    terminal.write(verdict(pair.views))
    for closest in pair.closest:
        fields = [f"{closest.cosine:.4f}", _readable(closest.first), _readable(closest.second)]
        terminal.write("\t".join(fields))


def _view_fields(view: PairView) -> list[str]:
    ranks = "" if view.ranks is None else f"{view.ranks[0]:,}, {view.ranks[1]:,}"
    shared = "" if view.shared is None else str(view.shared)
    return [f"{view.cosine:.3f}", per_cent(view.percentile), ranks, shared, f"{view.papers:,}"]


def pair_view(pair: PairComparison, width: int) -> Group:
    """The two papers, called A and B, a row for each encoder, the verdict, the nearest sentences,
    and what the columns mean."""
    names: list[tuple[Text, ...]]
    if pair.papers:
        names = [
            (Text(label, "bold cyan"), Text(paper.id, "cyan"), Text(_readable(paper.title), "bold"))
            for label, paper in zip("AB", pair.papers, strict=True)
        ]
    else:
        names = [
            (Text(label, "bold cyan"), Text(f"“{one_line(text)}”", "bold"))
            for label, text in zip("AB", pair.texts, strict=True)
        ]
    prose = _labelled([(Text(verdict(pair.views)),)])
    parts: list[RenderableType] = [_labelled(names), _views_table(pair.views), prose, Text()]
    if pair.closest:
        parts += [Text("Nearest sentences, with their cosine", style="bold")]
        parts += [_closest_grid(pair.closest), Text()]
    parts.append(_labelled([(Text(_pair_note(pair.views), "dim"),)]))
    return Group(*parts)


def _views_table(views: Sequence[PairView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    table.add_column("encoder", style="cyan", overflow="fold")
    headings = ["cosine", "nearer than\n… of pairs"]
    if any(view.ranks for view in views):
        headings += ["B is A's\n… nearest", "A is B's\n… nearest", "nearest\nin common"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for view in views:
        fields = [f"{view.cosine:.3f}", per_cent(view.percentile)]
        if view.ranks:
            nearest = min(NEIGHBOURS, view.papers - 2)
            fields += [*map(ordinal, view.ranks), f"{view.shared} of {nearest}"]
        table.add_row(view.encoder, *fields)
    return table


def _closest_grid(closest: Sequence[SentencePair]) -> Table:
    rows = []
    for pair in closest:
        cosine = Text(f"{pair.cosine:.2f}", "cyan")
        rows.append((cosine, Text("A", "bold cyan"), Text(_readable(pair.first))))
        rows.append((Text(), Text("B", "bold cyan"), Text(_readable(pair.second), "dim")))
    return _labelled(rows)


def _pair_note(views: Sequence[PairView]) -> str:
    papers = views[0].papers
    return (
        f"Compared among {papers:,} papers of the index. “… of pairs” is the share of {PAIRS:,} "
        "random pairs of these papers that have a lower cosine under the same encoder."
    )


def ordinal(number: int) -> str:
    """An ordinal number in figures.

    >>> [ordinal(number) for number in (1, 2, 11, 23, 1013)]
    ['1st', '2nd', '11th', '23rd', '1,013th']
    """
    teen = number % 100 in (11, 12, 13)
    suffix = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{suffix}"


# Several papers


def write_several(several: SeveralComparison, *, as_json: bool) -> None:
    """Print the cosines of several papers, and their percentiles, under each encoder."""
    if as_json:
        _write_json(several.as_record())
        return
    console = terminal.stdout()
    if console.is_terminal:
        console.print(several_view(several, console.width))
        return
    for matrix in several.matrices:
        for i, first in enumerate(several.papers):
            for j, second in enumerate(several.papers[i + 1 :], start=i + 1):
                numbers = [f"{matrix.cosines[i, j]:.4f}", f"{matrix.percentiles[i, j]:.2f}"]
                terminal.write("\t".join([matrix.encoder, first.id, second.id, *numbers]))


_SHADES = ((99, "bold green"), (95, "green"), (75, "yellow"), (0, "dim"))
"""Percentiles at and above which a cosine has a style."""


def several_view(several: SeveralComparison, width: int) -> Group:
    """The papers, numbered, and a matrix for each encoder, in parts if it is wider than the
    terminal."""
    parts: list[RenderableType] = [
        _labelled(
            [
                (Text(str(number), "bold"), Text(paper.id, "cyan"), Text(_readable(paper.title)))
                for number, paper in enumerate(several.papers, start=1)
            ]
        )
    ]
    for matrix in several.matrices:
        label = min(len(matrix.encoder), LABEL)
        fitting = max(1, (width - label - 2) // CELL)
        for start in range(0, len(several.papers), fitting):
            parts.append(_matrix_table(matrix, range(len(several.papers))[start : start + fitting]))
    parts.append(
        Text.assemble(
            ("Bold green: nearer than 99 % of random pairs", "bold green"),
            ("; ", "dim"),
            ("green 95 %", "green"),
            ("; ", "dim"),
            ("yellow 75 %", "yellow"),
            ("; dim less.", "dim"),
        )
    )
    return Group(*parts)


LABEL, CELL = 24, 7
"""Width of an encoder's name and of a cosine, with the space between them, in columns."""


def _matrix_table(matrix: CosineMatrix, columns: range) -> Table:
    table = Table(box=box.SIMPLE_HEAD, border_style="dim", pad_edge=False)
    name = Text(matrix.encoder, style="cyan")
    table.add_column(name, justify="right", overflow="fold", max_width=LABEL)
    for column in columns:
        table.add_column(str(column + 1), justify="right", no_wrap=True)
    for row in range(len(matrix.cosines)):
        cells = [
            Text("·", style="dim")
            if row == column
            else _cell(float(matrix.cosines[row, column]), float(matrix.percentiles[row, column]))
            for column in columns
        ]
        table.add_row(str(row + 1), *cells)
    return table


def _cell(cosine: float, percentile: float) -> Text:
    return Text(f"{cosine:.2f}", next(style for least, style in _SHADES if percentile >= least))


# All pairs of a sample


def write_sample(sample: SampleComparison, plot: Path | None, *, as_json: bool) -> None:
    """Print the distribution of all pairs under each encoder, how far the encoders agree, and on
    which pairs they differ; draw the distributions if a file is given."""
    if plot:
        from astrosearch.comparison.figure import draw_distributions

        draw_distributions(sample.encoders, sample.distributions, plot)
        terminal.notify(f"Wrote {plot}")
    if as_json:
        _write_json(_sample_record(sample))
        return
    console = terminal.stdout()
    if console.is_terminal:
        console.print(sample_view(sample, console.width))
        return
    for fields in _sample_lines(sample):
        terminal.write("\t".join(fields))


def _sample_lines(sample: SampleComparison) -> Iterator[list[str]]:
    for name, distribution in zip(sample.encoders, sample.distributions, strict=True):
        for key, value in _figures(distribution).items():
            yield [name, key, f"{value:.4f}"]
    for name, agreement in zip(sample.encoders[1:], sample.agreements, strict=True):
        yield [name, "rank correlation", f"{agreement.rank_correlation:.4f}"]
        yield [name, "shared neighbours", f"{agreement.shared_neighbours:.4f}"]
        for direction, pairs in _directions(agreement, sample.encoders[0], name):
            for pair in pairs:
                first, second = (sample.papers[row] for row in pair.rows)
                percentiles = [f"{percentile:.2f}" for percentile in pair.percentiles]
                words = " ".join(shared_words(first, second)[:SHARED_WORDS])
                yield [direction, first.id, second.id, *percentiles, words]


def _figures(distribution: Distribution) -> dict[str, float]:
    return (
        {
            "pairs": distribution.pairs,
            "mean": distribution.mean,
            "spread": distribution.spread,
        }
        | {f"{quantile} % quantile": distribution.quantiles[quantile] for quantile in QUANTILES}
        | {
            f"share above {threshold}": distribution.share_above(threshold)
            for threshold in THRESHOLDS
        }
    )


def _directions(
    agreement: Agreement, first: str, second: str
) -> list[tuple[str, Sequence[Disagreement]]]:
    return [
        (f"nearer for {first}", agreement.nearer_first),
        (f"nearer for {second}", agreement.nearer_second),
    ]


def _sample_record(sample: SampleComparison) -> dict[str, Any]:
    def record(pair: Disagreement) -> dict[str, Any]:
        first, second = (sample.papers[row] for row in pair.rows)
        return {
            "papers": [{"id": paper.id, "title": paper.title} for paper in (first, second)],
            "cosines": [round(cosine, 4) for cosine in pair.cosines],
            "percentiles": [round(percentile, 2) for percentile in pair.percentiles],
            "shared_words": shared_words(first, second),
        }

    return {
        "papers": len(sample.papers),
        "encoders": [
            {"encoder": name, **_figures(distribution)}
            for name, distribution in zip(sample.encoders, sample.distributions, strict=True)
        ],
        "agreements": [
            {
                "encoders": [sample.encoders[0], name],
                "rank_correlation": round(agreement.rank_correlation, 4),
                "shared_neighbours": round(agreement.shared_neighbours, 4),
                "nearer_for_first": [record(pair) for pair in agreement.nearer_first],
                "nearer_for_second": [record(pair) for pair in agreement.nearer_second],
            }
            for name, agreement in zip(sample.encoders[1:], sample.agreements, strict=True)
        ],
    }


def sample_view(sample: SampleComparison, width: int) -> Group:
    """Figures and a histogram of each encoder, then each encoder against the index's own."""
    own = sample.encoders[0]
    parts: list[RenderableType] = [_figures_table(sample), _histogram(sample, width)]
    for name, agreement in zip(sample.encoders[1:], sample.agreements, strict=True):
        shared = NEIGHBOURS * agreement.shared_neighbours
        line = (
            f"{own} and {name}: rank correlation {agreement.rank_correlation:.2f}; of a paper's "
            f"{NEIGHBOURS} nearest neighbours, {shared:.1f} are the same."
        )
        parts += [Text(), _labelled([(Text(line),)])]
        for direction, pairs in _directions(agreement, own, name):
            parts += [Text(), Text(direction, style="bold")] if pairs else []
            parts += [_disagreement(sample.papers, pair, (own, name)) for pair in pairs]
    return Group(*parts)


def _figures_table(sample: SampleComparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    table.add_column(f"{sample.distributions[0].pairs:,} pairs", no_wrap=True)
    for name in sample.encoders:
        table.add_column(Text(name, style="cyan"), justify="right", overflow="fold")
    columns = [_figures(distribution) for distribution in sample.distributions]
    for key in list(columns[0])[1:]:
        table.add_row(key, *(f"{column[key]:.3f}" for column in columns))
    return table


def _histogram(sample: SampleComparison, width: int) -> Table:
    """Bars side by side, from the lowest cosine of any encoder to the highest."""
    edges = np.linspace(*cosine_range(sample.distributions), BINS + 1)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("cosine", justify="right", style="dim", no_wrap=True)
    length = max(4, (width - 8) // len(sample.encoders) - 2)
    for name in sample.encoders:
        table.add_column(Text(name, style="cyan"), overflow="fold", width=length)
    counts = [distribution.histogram(edges) for distribution in sample.distributions]
    for row in range(len(edges) - 1):
        bars = []
        for bins in counts:
            filled = round(bins[row] / bins.max() * length)
            bars.append(Text("█" * filled or ("▏" if bins[row] else ""), style="cyan"))
        table.add_row(f"{edges[row]:+.2f}", *bars)
    return table


def _disagreement(papers: Sequence[Paper], pair: Disagreement, names: tuple[str, str]) -> Table:
    """A pair's cosine and percentile under each encoder, the two papers, and their shared words."""
    figures = "; ".join(
        f"{name} {cosine:.2f}, {nearer_than(percentile)}"
        for name, cosine, percentile in zip(names, pair.cosines, pair.percentiles, strict=True)
    )
    grid = Table.grid()
    grid.add_column(max_width=READABLE, overflow="fold")
    grid.add_row(Text(figures, "cyan"))
    first, second = (papers[row] for row in pair.rows)
    for paper in (first, second):
        title = Text.assemble((paper.id, "cyan"), "  ", _readable(paper.title))
        grid.add_row(_indented(title, 2))
        grid.add_row(_indented(Text(_excerpt(paper.abstract), "dim"), 4))
    words = ", ".join(shared_words(first, second)[:SHARED_WORDS]) or "none"
    grid.add_row(_indented(Text(f"words in both: {words}", "dim"), 2))
    return grid


def _indented(text: Text, columns: int) -> RenderableType:
    from rich.padding import Padding

    return Padding(text, (0, 0, 0, columns))


def _excerpt(abstract: str) -> str:
    text = _readable(abstract)
    return text[:EXCERPT].rsplit(" ", 1)[0] + " …" if len(text) > EXCERPT else text

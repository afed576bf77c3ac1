"""Figures of distributions, in the size and style of a paper."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from astrosearch.comparison.distribution import Distribution, cosine_range
from astrosearch.errors import InputError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's, which people with colour blindness can tell apart (https://jfly.uni-koeln.de/color/)."""


def check_figure(out: Path) -> None:
    """Check the name of a figure's file before any work.

    Raises:
        InputError: if the name does not end in .png, .svg or .pdf.
    """
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{out}: the name of a figure has to end in .png, .svg or .pdf")


@contextmanager
def drawn(out: Path) -> Iterator[Any]:
    """Axes to draw on, 5 by 3.3 inches, which are written to `out` at the end. The same drawing
    gives the same bytes.

    Raises:
        InputError: if `out` cannot be written.
    """
    with rc_context({"font.size": 9, "svg.hashsalt": "astrosearch"}):
        figure = Figure(figsize=(5.0, 3.3), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        yield axes
        axes.spines[["top", "right"]].set_visible(False)
        undated = {"Date": None} if out.suffix.lower() == ".svg" else None
        try:
            figure.savefig(out, dpi=200, metadata=undated)
        except OSError as error:
            raise InputError(f"{out} cannot be written: {error.strerror}") from None


def draw_distributions(
    names: Sequence[str], distributions: Sequence[Distribution], out: Path
) -> None:
    """Draw the density of the cosines of all pairs under each encoder: the top of Figure 3 of the
    AstroLLaMA paper (arXiv:2309.06126).

    Raises:
        InputError: if `out` cannot be written.
    """
    dashes = ("-", "--", ":", "-.")
    low, high = cosine_range(distributions)
    edges = np.linspace(low, high, 201 if distributions[0].pairs > 1_000_000 else 61)
    centres, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    with drawn(out) as axes:
        for number, (name, distribution) in enumerate(zip(names, distributions, strict=True)):
            colour = COLOURS[number % len(COLOURS)]
            density = distribution.histogram(edges) / distribution.pairs / width
            axes.fill_between(centres, density, step="mid", color=colour, alpha=0.2, linewidth=0)
            axes.plot(
                centres, density, color=colour, linestyle=dashes[number % len(dashes)], label=name
            )
        axes.set_xlabel("Cosine similarity of two abstracts")
        axes.set_ylabel("Density of pairs per unit of cosine")
        axes.set_title(f"All {distributions[0].pairs:,} pairs of a sample", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

"""The one way in which figures are drawn: small, plain, fit for a paper."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from astrosearch.errors import InputError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's, which the colour-blind can tell apart (https://jfly.uni-koeln.de/color/)."""


def check_figure(out: Path) -> None:
    """
    Raises:
        InputError: if the name does not end in a format that figures are written in.
    """
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{out}: a figure's name ends in .png, .svg or .pdf")


@contextmanager
def drawn(out: Path) -> Iterator[Any]:
    """Axes to draw on, 5 by 3.3 inches, written to `out` at the end; the same bytes each time.

    Raises:
        InputError: if it cannot be written.
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

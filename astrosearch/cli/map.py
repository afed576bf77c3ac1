"""`astrosearch map`: two coordinates a paper, and pictures of them."""

from pathlib import Path

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import index_argument


@click.command("map")
@index_argument
@click.option("--again", is_flag=True, help="Lay out all papers anew, those too that have a place.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write the map as one file for a browser, which needs no network and no server.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the map as a .png, .svg or .pdf.",
)
def map_(index_name: str | None, again: bool, out: Path | None, plot: Path | None) -> None:
    """Draw a map of an index: like papers lie together.

    The first time all papers are laid out, which takes minutes for a large index. Later, papers
    that came with an update are placed among the others, which stay where they are. The page of
    `astrosearch serve` shows the map, and so does `astrosearch browse` (the key M).

    \b
    astrosearch map
    astrosearch map astro --out map.html
    astrosearch map astro --plot map.png
    """
    from astrosearch import paths
    from astrosearch.index.map import draw_map

    if out and out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out {out}: the name has to end in .html; a picture: --plot")
    for file in (out, plot):
        if file and not file.resolve().parent.is_dir():
            raise click.UsageError(f"{file} cannot be written: there is no such folder")
    if plot:
        from astrosearch.comparison.figure import check_figure

        check_figure(plot)
    folder = paths.existing_index(index_name)
    drawn = draw_map(folder, again=again, reporter=Terminal())
    if drawn.laid_out:
        what = "laid out anew"
    elif drawn.placed or drawn.gone:
        what = f"{drawn.placed:,} placed, {drawn.gone:,} gone"
    else:
        what = "as it was"
    notify(f"Map of {folder.name}: {len(drawn.map):,} papers, {what}")
    if out or plot:
        from astrosearch.cli.views import map as views

        if plot:
            views.plot_map(drawn.map, folder.name, plot)
            notify(f"Drawn to {plot}")
        if out:
            views.write_page(drawn.map, folder, out)
            notify(f"Written to {out}")
    elif drawn.laid_out:
        notify("See it in a browser: astrosearch serve")
        notify(f"Or in the terminal: astrosearch browse --index {folder.name}, and press M")

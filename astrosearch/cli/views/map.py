"""A map of an index as a picture, and as a page of its own."""

import base64
import html
import zlib
from importlib import resources
from pathlib import Path

from astrosearch import atomic
from astrosearch.comparison.figure import drawn
from astrosearch.index.map import SIDE, PaperMap
from astrosearch.index.reader import Index
from astrosearch.text.tex import one_line, to_unicode


def plot_map(paper_map: PaperMap, name: str, out: Path) -> None:
    """
    Raises:
        InputError: if `out` cannot be written.
    """
    size = max(0.15, min(8.0, 20_000 / len(paper_map)))
    with drawn(out) as axes:
        points = axes.scatter(
            *paper_map.places.T,
            c=paper_map.years,
            s=size,
            linewidths=0,
            cmap="viridis",
            rasterized=True,
        )
        axes.figure.colorbar(points, ax=axes, label="Year", shrink=0.8)
        for region in paper_map.regions:
            if region.zoom == 0:
                label = axes.text(
                    region.x, region.y, region.name, fontsize=6, ha="center", va="center"
                )
                label.set_bbox({"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1})
        axes.set(xlim=(0, SIDE), ylim=(0, SIDE), xticks=[], yticks=[], aspect="equal")
        axes.set_title(f"{len(paper_map):,} papers of {name}", fontsize=9)
        axes.spines[["left", "bottom"]].set_visible(False)


def write_page(paper_map: PaperMap, folder: Path, out: Path) -> None:
    """One file with everything in it.

    Raises:
        AstrosearchError: if `out` cannot be written.
    """
    with Index(folder) as index:
        rows = index.corpus.ids()
        known = [name for name in paper_map.ids if name in rows]  # it may have changed since
        papers = index.corpus.stream([rows[name] for name in known])
        title_of = {paper.id: one_line(to_unicode(paper.title)) for paper in papers}
    titles = [title_of.get(name, name) for name in paper_map.ids]
    packed = zlib.compress(paper_map.as_bytes(titles, index=folder.name, missing=0), 9)
    script = resources.files("astrosearch.server").joinpath("page", "map.js").read_text("utf-8")
    page = _PAGE.format(
        name=html.escape(folder.name),
        script=script.replace("\nexport ", "\n"),
        data=base64.b64encode(packed).decode(),
    )
    with atomic.writing(out), atomic.whole_file(out) as stream:
        stream.write(page.encode())


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Map of {name}</title>
<style>
:root {{ color-scheme: light dark; --ground: #fff; --text: #1b1f24; --muted: #565d66;
  font: 100%/1.4 system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #14171b; --text: #e4e7eb; --muted: #a4acb6; }} }}
body {{ margin: 0; background: var(--ground); color: var(--text); }}
#map {{ position: fixed; inset: 0; }}
#map canvas {{ position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none; }}
#said {{ position: fixed; left: .6rem; bottom: .6rem; margin: 0; padding: .2rem .5rem;
  background: var(--ground); border-radius: .3rem; max-width: 90vw; }}
</style>
<div id="map"></div>
<p id="said" role="status"></p>
<script type="module">
{script}
const packed = Uint8Array.from(atob("{data}"), (letter) => letter.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
const bytes = await new Response(stream).arrayBuffer();
const said = document.getElementById("said");
const map = new PaperMap(document.getElementById("map"), bytes, {{
  hover: (paper) => {{ said.textContent = paper ? `${{paper.title}} · ${{paper.year}}` : rest; }},
  open: (paper) => open(`https://arxiv.org/abs/${{paper.id}}`, "_blank", "noopener,noreferrer"),
}});
const rest = `${{map.papers.toLocaleString("en")}} papers${{map.note}}`;
said.textContent = rest;
</script>
</html>
"""

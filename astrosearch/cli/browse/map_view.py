"""The map of the literature in letters: dots of braille, or shades where a terminal has none."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Label

from astrosearch.cli.browse.dialogs import Dialog
from astrosearch.cli.browse.widgets import papers_counted
from astrosearch.cli.views.hits import readable
from astrosearch.index.map import SIDE

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp

    from astrosearch.index.map import PaperMap
    from astrosearch.papers import Paper

CLOSEST = 256
"""The largest zoom."""
HIT, NAME, CURSOR = "bold $text-warning", "bold", "reverse"
BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the dots of a letter, from U+2800 on (Unicode 16, block Braille Patterns)."""
SHADES = " ░▒▓█"


def letters(counts: NDArray[np.int64]) -> list[str]:
    """Papers as dots: a dot is where there are at least as many as at the median of the places
    that have any, so that a full map still has a shape.

    Args:
        counts: (4 · rows, 2 · columns) papers at each dot, from the top.

    >>> letters(np.array([[3, 0], [0, 3], [0, 0], [0, 1]]))
    ['⠑']
    """
    rows, columns = counts.shape[0] // 4, counts.shape[1] // 2
    dots = counts >= (np.median(counts[counts > 0]) if counts.any() else 1)
    codes = dots.reshape(rows, 4, columns, 2) * BRAILLE[None, :, None, :]
    return ["".join(map(chr, row)) for row in 0x2800 + codes.sum(axis=(1, 3))]


def shades(counts: NDArray[np.int64]) -> list[str]:
    """The same for terminals without braille, as the console of Linux: one shade for each letter,
    by quarters of the letters that have papers."""
    rows, columns = counts.shape[0] // 4, counts.shape[1] // 2
    cells = counts.reshape(rows, 4, columns, 2).sum(axis=(1, 3))
    quarters = np.percentile(cells[cells > 0], [25, 50, 75]) if cells.any() else [1, 1, 1]
    levels = np.searchsorted(quarters, cells) + 1
    return ["".join(SHADES[level] for level in row) for row in np.where(cells, levels, 0)]


class MapView(Widget, can_focus=True):
    """A map with a cursor. Its window is stretched to the terminal's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", show=False),
        Binding("right,l", "move(1, 0)", show=False),
        Binding("up,k", "move(0, 1)", show=False),
        Binding("down,j", "move(0, -1)", show=False),
        Binding("n", "next(1)", show=False),
        Binding("N,p", "next(-1)", show=False),
        Binding("plus,equals_sign", "zoom(2)", show=False),
        Binding("minus", "zoom(0.5)", show=False),
        Binding("0", "zoom(0)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Moved(Message):
        """The cursor is elsewhere."""

    class Opened(Message):
        """The paper at the cursor is wanted."""

    def __init__(self, paper_map: "PaperMap", hits: Sequence[int], start: int | None) -> None:
        """
        Args:
            hits: the papers that are lit, by their place in the map, in their order.
            start: the paper at which the cursor is first; None for the middle.
        """
        super().__init__(id="map")
        self._map, self._hits = paper_map, list(hits)
        self._places: NDArray[np.float64] = paper_map.places.astype(np.float64)
        self._zoom = 1.0
        self._corner = np.zeros(2)
        """The lower left of what is shown."""
        middle = np.array([SIDE / 2, SIDE / 2])
        self._cursor = middle if start is None else self._places[start]
        self._draws = shades if os.environ.get("TERM") == "linux" else letters

    def on_mount(self) -> None:
        self._show()

    # --- where things are ---

    @property
    def _side(self) -> float:
        """How much of the map is shown, in each direction."""
        return (SIDE + 1) / self._zoom

    @property
    def _cell(self) -> NDArray[np.float64]:
        """(2,) how much of the map a letter stands for."""
        return self._side / np.array([max(self.size.width, 1), max(self.size.height, 1)])

    def _cells(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n, 2) columns from the left and rows from the top; some may be out of sight.

        Args:
            points: (n, 2)
        """
        cells = np.floor((points - self._corner) / self._cell).astype(np.int64)
        cells[:, 1] = self.size.height - 1 - cells[:, 1]
        return cells

    def at_cursor(self) -> tuple[int | None, int]:
        """The paper nearest to the cursor, one that is lit before others, and how many share the
        letter; None if none is within a letter and a half."""
        distances = (((self._places - self._cursor) / self._cell) ** 2).sum(axis=1)
        if not len(distances):
            return None, 0
        cells = np.floor((self._places - self._corner) / self._cell)
        cursor = np.floor((self._cursor - self._corner) / self._cell)
        count = int((cells == cursor).all(axis=1).sum())
        nearest = min(self._hits, key=lambda hit: distances[hit], default=0)
        if nearest not in self._hits or distances[nearest] > 1:
            nearest = int(distances.argmin())
        return (nearest if distances[nearest] <= 1.5**2 else None), count

    # --- keys ---

    def action_move(self, right: int, up: int) -> None:
        self._go(self._cursor + self._cell * (right, up))

    def action_next(self, step: int) -> None:
        """To the next paper that is lit, in the order of the list."""
        if not self._hits:
            return
        current, _ = self.at_cursor()
        place = self._hits.index(current) + step if current in self._hits else 0
        self._go(self._places[self._hits[place % len(self._hits)]])

    def action_zoom(self, factor: float) -> None:
        """Nearer to the cursor or away from it; all of the map with 0."""
        self._zoom = min(max(self._zoom * factor, 1.0), CLOSEST)
        self._centre()
        self._show()

    def action_open(self) -> None:
        self.post_message(self.Opened())

    def on_click(self, event: "Click") -> None:
        row = self.size.height - 1 - event.y
        cell = np.array([event.x, row])
        before = np.floor((self._cursor - self._corner) / self._cell)
        if (cell == before).all():
            self.action_open()
        else:
            self._go(self._corner + (cell + 0.5) * self._cell)

    def on_mouse_scroll_up(self, event: "MouseScrollUp") -> None:
        self.action_zoom(2)

    def on_mouse_scroll_down(self, event: "MouseScrollDown") -> None:
        self.action_zoom(0.5)

    def _go(self, place: NDArray[np.float64]) -> None:
        self._cursor = np.clip(place, 0, SIDE)
        if ((self._cursor < self._corner) | (self._cursor >= self._corner + self._side)).any():
            self._centre()
        self._show()

    def _centre(self) -> None:
        self._corner = np.clip(self._cursor - self._side / 2, 0, SIDE + 1 - self._side)

    def _show(self) -> None:
        self.refresh()
        self.post_message(self.Moved())

    # --- drawing ---

    def render(self) -> Content:
        width, height = self.size
        if not width or not height:
            return Content("")
        return Content("\n").join(self._lines(width, height))

    def _lines(self, width: int, height: int) -> list[Content]:
        over: dict[tuple[int, int], tuple[str, str]] = {}
        """Letters over the dots by column and row, with their style."""
        for column, row in self._cells(self._places[self._hits]).tolist():
            over[column, row] = "•", HIT
        over |= self._names(over)
        [[column, row]] = self._cells(self._cursor[None]).tolist()
        letter, style = over.get((column, row), ("", ""))
        lines = self._draws(self._counts(width, height))
        parts = []
        for y, line in enumerate(lines):
            cells = [over.get((x, y), (letter, "dim")) for x, letter in enumerate(line)]
            if y == row:
                letter, style = cells[column]
                cells[column] = letter, f"{style} {CURSOR}"
            runs = groupby(cells, key=lambda cell: cell[1])
            parts.append(
                Content.assemble(
                    *(("".join(sign for sign, _ in run), style) for style, run in runs)
                )
            )
        return parts

    def _counts(self, width: int, height: int) -> NDArray[np.int64]:
        """(4 · height, 2 · width) papers at each dot, from the top."""
        dots = np.floor((self._places - self._corner) / self._side * (2 * width, 4 * height))
        is_seen = ((dots >= 0) & (dots < (2 * width, 4 * height))).all(axis=1)
        x, y = dots[is_seen].astype(np.int64).T
        counts = np.bincount((4 * height - 1 - y) * 2 * width + x, minlength=8 * width * height)
        return counts.reshape(4 * height, 2 * width)

    def _names(
        self, lit: Mapping[tuple[int, int], object]
    ) -> dict[tuple[int, int], tuple[str, str]]:
        """The names of regions, the largest first, where they hide neither each other nor what is
        lit; a name that finds no such place within two rows hides what is lit."""
        level = {1.0: 0, 2.0: 1}.get(self._zoom, 2)
        regions = [region for region in self._map.regions if region.zoom == level]
        width, height = self.size
        named: dict[tuple[int, int], tuple[str, str]] = {}
        for region in sorted(regions, key=lambda region: -region.papers):
            [[column, row]] = self._cells(np.array([[region.x, region.y]], np.float64)).tolist()
            if not (0 <= column < width and 0 <= row < height):
                continue
            text = f" {readable(region.name)} "[:width]
            start = min(max(column - len(text) // 2, 0), width - len(text))
            rooms = [
                [(x, y) for x in range(start, start + len(text))]
                for y in (row, row + 1, row - 1, row + 2, row - 2)
                if 0 <= y < height
            ]
            free = [room for room in rooms if named.keys().isdisjoint(room)]
            free.sort(key=lambda room: not lit.keys().isdisjoint(room))
            if free:
                named |= {place: (sign, NAME) for place, sign in zip(free[0], text, strict=True)}
        return named


class MapDialog(Dialog[str]):
    """The map of an index with the papers of a list lit; gives the identifier of one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,M", "close", "close")]

    def __init__(
        self,
        paper_map: "PaperMap",
        ids: Sequence[str],
        current: str | None,
        look_up: "Callable[[str], Paper | None]",
    ) -> None:
        """
        Args:
            ids: the papers that are lit.
            current: the paper at which the cursor is first.
            look_up: gives a paper, in a thread; None if the index has it no more.
        """
        super().__init__(classes="-large")
        self._map, self._look_up = paper_map, look_up
        wanted = dict.fromkeys([*ids, current])
        place_of = {name: place for place, name in enumerate(paper_map.ids) if name in wanted}
        self._rank_of = {
            place_of[name]: rank for rank, name in enumerate(ids, 1) if name in place_of
        }
        self._missing = len(ids) - len(self._rank_of)
        self._view = MapView(paper_map, list(self._rank_of), place_of.get(current or ""))

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            missing = f" · {self._missing} of the list are not on it" if self._missing else ""
            box.border_title = f"Map of {papers_counted(len(self._map))}{missing}"
            box.border_subtitle = "arrows · n next • · + - zoom · Enter opens · Esc closes"
            yield self._view
            yield Label("", id="place", markup=False)

    @work(exclusive=True)
    async def on_map_view_moved(self) -> None:
        place, count = self._view.at_cursor()
        if place is None:
            self.query_one("#place", Label).update("No paper here")
            return
        paper_id = self._map.ids[place]
        paper = await asyncio.to_thread(self._look_up, paper_id)
        title = readable(paper.title) if paper else "A paper that is not in the index any more"
        facts = [paper_id, str(self._map.years[place])]
        facts += [f"number {self._rank_of[place]} in the list"] if place in self._rank_of else []
        facts += [f"{papers_counted(count)} here"] if count > 1 else []
        self.query_one("#place", Label).update(f"{title}\n{' · '.join(facts)}")

    def on_map_view_opened(self) -> None:
        place, _ = self._view.at_cursor()
        if place is not None:
            self.dismiss(self._map.ids[place])

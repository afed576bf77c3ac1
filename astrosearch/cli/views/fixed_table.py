"""A table whose columns have given widths, drawn at once.

Rich lays a table out for any contents: each cell goes through several layers, which takes most of
the time of an answer. Where all widths are given, a cell is cut into lines and padded. It looks the
same, which is tested; whatever this cannot draw, rich does.
"""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

Line = list[Segment]


class FixedTable(Table):
    """A table with the box of `hits_table`. Cells are texts, or groups of texts."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [column.width for column in self.columns]
        box = self.box
        if box is None or None in widths or not self._fits(options.max_width):
            yield from super().__rich_console__(console, options)
            return
        padded = [width + 1 for width in widths if width is not None]
        border = console.get_style(self.border_style or "")
        newline = Segment.line()
        styles = [console.get_style(column.style) for column in self.columns]
        head = console.get_style(self.header_style or "")
        headers = [list(_lines(console, column, column.header, head)) for column in self.columns]
        rule = Segment(box.get_row(padded, "head", edge=True), border)
        yield from (Segment(box.get_top(padded), border), newline)
        yield from _row(headers, padded)
        yield from (rule, newline)
        for number in range(self.row_count):
            cells = [
                list(_lines(console, column, column._cells[number], style))
                for column, style in zip(self.columns, styles, strict=True)
            ]
            yield from _row(cells, padded)
        yield from (Segment(box.get_bottom(padded), border), newline)

    def _fits(self, room: int) -> bool:
        """Whether no column has to give way: with its padding and the divider before it."""
        return sum((column.width or 0) + 2 for column in self.columns) + 1 <= room


def _lines(
    console: Console, column: Column, cell: RenderableType, style: Style
) -> Iterator[tuple[Line, int]]:
    """The lines of a cell, each with its width."""
    if isinstance(cell, Group):
        for part in cell.renderables:
            yield from _lines(console, column, part, style)
        return
    text = cell if isinstance(cell, Text) else Text(str(cell))
    width = column.width or 0
    length = cell_len(text.plain)
    if length <= width and "\n" not in text.plain and "\t" not in text.plain:
        parts = [text]
    else:
        parts = list(
            text.wrap(
                console,
                width,
                justify=text.justify or column.justify,
                overflow=text.overflow or column.overflow,
                no_wrap=column.no_wrap if text.no_wrap is None else text.no_wrap,
            )
        )
    for part in parts:
        own = style + console.get_style(text.style)
        segments = list(Segment.apply_style(part.render(console), own))
        length = cell_len(part.plain)
        if column.justify == "right" and 0 < length < width:
            segments = [Segment(" " * (width - length) + segments[0].text, own), *segments[1:]]
            length = width
        yield segments, length


def _row(cells: list[list[tuple[Line, int]]], padded: list[int]) -> Iterator[Segment]:
    """The lines of a row. Space has no style, so that all of it between two texts is one piece: the
    padding of a cell, those that are empty, and the dividers."""
    for number in range(max(map(len, cells))):
        space = 1
        for lines, width in zip(cells, padded, strict=True):
            segments, length = lines[number] if number < len(lines) else ([], 0)
            if segments:
                yield Segment(" " * space)
                yield from segments
                space = 0
            space += width - length + 1
        yield Segment(" " * space + "\n")

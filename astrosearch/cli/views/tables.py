"""Small tables and lists of facts: drawn on a terminal, plain lines down a pipe."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from astrosearch.cli.console import on_terminal, write
from astrosearch.text.tex import one_line

NARROWEST = 24
"""Columns that the last column of a table needs at least, for its words to be read."""


def write_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """A small table on a terminal, tab-separated rows without a head down a pipe.

    Args:
        right: columns of numbers, to be set flush right.
    """
    if on_terminal():
        console = Console()
        console.print(table_view(head, rows, right=right, width=console.width))
        return
    for row in rows:
        write("\t".join(one_line(field) for field in row))


def table_view(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), width: int
) -> RenderableType:
    """The last column is wrapped between words. Where it had no room beside the others, a row
    becomes a block of lines."""
    rows = [[one_line(field) for field in row] for row in rows]
    widths = [
        max(len(name), *(Text(row[place]).cell_len for row in rows)) if rows else len(name)
        for place, name in enumerate(head)
    ]
    taken = sum(widths[:-1]) + 2 * len(widths) + 1  # a space and a divider a column, and an edge
    if width - taken < min(widths[-1], NARROWEST):
        return Group(*(_block(head, row) for row in rows))
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    for place, name in enumerate(head):
        last = place == len(head) - 1
        table.add_column(
            name,
            justify="right" if place in right else "left",
            width=min(widths[-1], width - taken) if last else widths[place],
            no_wrap=not last,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _block(head: Sequence[str], row: Sequence[str]) -> RenderableType:
    """A row where columns would be too narrow.

    minilm
      here no · size 84 MB · licence Apache-2.0
      all-MiniLM-L6-v2, for comparison
    """
    facts = " · ".join(f"{name} {field}" for name, field in zip(head, row, strict=True) if field)
    first = f"{head[0]} {row[0]} · "
    last = f" · {head[-1]} {row[-1]}"
    lines = [facts.removeprefix(first).removesuffix(last), row[-1]]
    return Group(
        Text(row[0], style="bold"),
        *(Padding(Text(line), (0, 0, 0, 2)) for line in lines if line),
        Text(),
    )


def write_facts(facts: Mapping[str, str]) -> None:
    """Names and values, one under the other; down a pipe `name: value`."""
    if on_terminal():
        Console().print(facts_view(facts))
        return
    for name, value in facts.items():
        write(f"{name}: {one_line(value)}")


def facts_view(facts: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name, Text(one_line(value)))
    return grid

"""How the library looks: a table of papers with what the user thinks of them."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from astrosearch.cli.console import on_terminal, terminal_link, write
from astrosearch.cli.views.hits import READABLE, first_author
from astrosearch.library import facts
from astrosearch.library.store import LibraryPaper
from astrosearch.text.tex import one_line

SIGNS = {"liked": "+", "disliked": "−", "": ""}


def write_list(papers: Sequence[LibraryPaper]) -> None:
    """Print papers: a table on a terminal; down a pipe tab-separated key, identifier, year, first
    author, title, tags, opinion and whether it was read."""
    if on_terminal():
        console = Console()
        console.print(library_table(papers, width=console.width))
        return
    for one in papers:
        fields = (
            one.key,
            one.arxiv,
            str(facts.year(one.entry) or ""),
            first_author(one.paper),
            one.paper.title,
            ", ".join(one.marks.tags),
            one.marks.opinion,
            "read" if one.marks.read else "",
        )
        write("\t".join(map(one_line, fields)))


def library_table(papers: Sequence[LibraryPaper], *, width: int) -> Table:
    """A block for each paper: its title, its facts, what the user thinks of it."""
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    table.add_column("", width=1, style="green")
    table.add_column("paper", width=max(min(width - 6, READABLE), 20), overflow="fold")
    for one in papers:
        table.add_row(SIGNS[one.marks.opinion], _block(one))
    return table


def _block(one: LibraryPaper) -> Group:
    names = [str(facts.year(one.entry) or ""), first_author(one.paper)]
    names.append(one_line(facts.published_in(one.entry)) if not one.arxiv else "")
    link = Style(color="cyan", link=terminal_link(one.paper.url))
    identity = Text(one.id, style=link)
    rest = "".join(f" · {fact}" for fact in names if fact)
    lines = [Text(one.paper.title, style="bold"), Text.assemble(identity, (rest, "dim"))]
    marks = [*(f"#{tag}" for tag in one.marks.tags), *(["read"] if one.marks.read else [])]
    if marks:
        lines.append(Text("  ".join(marks), style="yellow"))
    if one.marks.note:
        lines.append(Text(one_line(one.marks.note), style="italic"))
    return Group(*lines)

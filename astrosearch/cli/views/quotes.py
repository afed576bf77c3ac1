"""How quoted answers look: on a terminal and down a pipe, as Markdown, as JSON."""

import textwrap
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from astrosearch.cli import console as terminal
from astrosearch.cli.views.hits import READABLE, SUMMARY, as_json, first_author, readable
from astrosearch.cli.views.markdown import escaped_markdown
from astrosearch.papers import Paper
from astrosearch.search.quotes import NATURE, Quote, QuotedAnswer


def write_quotes(answer: QuotedAnswer, *, format: str, index: str) -> None:
    """Print a quoted answer to standard output.

    Args:
        format: text, json or markdown.
    """
    match format:
        case "json":
            terminal.write(as_json({"index": index, **answer.as_record()}, indent=True))
        case "markdown":
            terminal.write(markdown(answer))
        case _ if terminal.on_terminal():
            console = terminal.stdout()
            width = min(console.width, READABLE)
            console.print(quotes_view(answer), width=width)
        case _:
            terminal.write("\n".join(plain_lines(answer)))


def quotes_view(answer: QuotedAnswer) -> RenderableType:
    """What it is, the quotes with the numbers of their sources before them, the sources."""
    parts: list[RenderableType] = [Text(NATURE, style="dim"), Text()]
    for group in answer.groups:
        if group.heading:
            parts.append(Text(group.heading, style="bold"))
        grid = _grid()
        for quote in group.quotes:
            text = Text.assemble(quoted(quote), (f"  {quote_facts(quote)}", "dim"))
            grid.add_row(f"[{quote.source}]", text)
        parts += [grid, Text()]
    sources = _grid()
    for number, paper in enumerate(answer.sources, start=1):
        sources.add_row(f"[{number}]", _source(paper))
    return Group(*parts, Text("Sources", style="bold"), sources)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", style="green", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def quoted(quote: Quote) -> str:
    """The sentence between quotation marks; its own become single ones, so that it cannot seem to
    end before it does.

    A number in square brackets in it stays: those of sources stand before the quotation.
    """
    inside = readable(quote.text)
    for sign, single in (("“", "‘"), ("”", "’"), ('"', "'"), ("``", "‘"), ("''", "’")):
        inside = inside.replace(sign, single)
    return f"“{inside}”"


def quote_facts(quote: Quote) -> str:
    """`Hofmann et al. 2016; alike: [3]`"""
    facts = f"{first_author(quote.paper)} {quote.paper.published.year}".strip()
    if quote.alike:
        facts += "; alike: " + " ".join(f"[{number}]" for number in quote.alike)
    return facts


def _source(paper: Paper) -> Text:
    facts = f" · {paper.published.year} · {first_author(paper)}".rstrip(" ·")
    note = f" · {SUMMARY[1:-2]}" if paper.is_summary else ""
    return Text.assemble(
        (readable(paper.title), "bold"),
        "\n",
        Text(
            paper.id,
            style=Style(color="cyan", link=terminal.terminal_link(paper.url)),
            no_wrap=True,
        ),
        (facts + note, "dim"),
    )


def plain_lines(answer: QuotedAnswer) -> list[str]:
    """The same down a pipe: no colours, short lines."""
    lines = [NATURE, ""]
    for group in answer.groups:
        if group.heading:
            lines.append(group.heading)
        for quote in group.quotes:
            lines += _hanging(f"[{quote.source}]", f"{quoted(quote)}  {quote_facts(quote)}")
        lines.append("")
    lines.append("Sources")
    for number, paper in enumerate(answer.sources, start=1):
        title, facts = _source(paper).plain.split("\n")
        lines += _hanging(f"[{number}]", title)
        lines.append(f"    {facts}")
    return lines


def _hanging(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{mark} {text}",
        READABLE,
        subsequent_indent=" " * (len(mark) + 1),
        break_long_words=False,
        break_on_hyphens=False,
    )


def markdown(answer: QuotedAnswer, written: Sequence[str] = ()) -> str:
    """The question as a heading, the quotes as a list with links to the sources below.

    Args:
        written: lines that come before the quotes.
    """
    lines = [f"# {escaped_markdown(answer.question)}", "", *written, f"*{NATURE}*", ""]
    if answer.is_unsure:
        lines += [f"**{escaped_markdown(answer.notes[-1])}**", ""]
    for group in answer.groups:
        if group.heading:
            lines += [f"## {escaped_markdown(group.heading)}", ""]
        for quote in group.quotes:
            facts = escaped_markdown(quote_facts(quote))
            text = escaped_markdown(quoted(quote))
            lines.append(f"- [{quote.source}] {text} {facts}")
        lines.append("")
    lines += ["## Sources", ""]
    for number, paper in enumerate(answer.sources, start=1):
        facts = f"{first_author(paper)}, {paper.published.year}, {paper.id}".removeprefix(", ")
        note = f" {SUMMARY}" if paper.is_summary else ""
        title = escaped_markdown(readable(paper.title))
        lines.append(f"{number}. [{title}]({paper.url}), {escaped_markdown(facts)}{note}")
    return "\n".join(lines)

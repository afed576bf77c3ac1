"""How a continuation looks, with its checks."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from astrosearch.cli.views.hits import READABLE, as_json, first_author
from astrosearch.completion.complete import CheckedMention, Completion, Source
from astrosearch.search.hits import paper_record
from astrosearch.text.tex import one_line, to_unicode

CAUTION = "A model's continuation, not a finding: what counts stands in the papers."

NARROW = 40
"""Columns of a continuation, below which they stand one below the other."""


def on_terminal() -> bool:
    return Console().is_terminal


@contextmanager
def writing(beginning: str, name: str, *, live: bool) -> Iterator[Callable[[str], None]]:
    """Yields what is told each piece: prints it as it comes behind the beginning or, if not
    `live`, shows that something is going on."""
    if not live:
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda piece: None
            return
        with console.status(f"Writing with {name}"):
            yield lambda piece: None
        return

    click.echo(click.style(one_line(beginning), dim=True), nl=False)

    def show(piece: str) -> None:
        click.echo(_harmless(piece), nl=False)
        sys.stdout.flush()

    yield show
    click.echo("\n")


def _harmless(piece: str) -> str:
    """With spaces for control characters: a model may write an escape sequence."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in piece)


def write_completions(
    beginning: str,
    sources: Sequence[Source],
    found: Sequence[Completion],
    *,
    grounded: bool,
    as_json: bool,
) -> None:
    """Print continuations of one beginning with their checks."""
    if as_json:
        _write_json(beginning, sources, found, grounded=grounded)
        return
    console = Console(highlight=False)
    width = min(console.width, READABLE) if len(found) == 1 else console.width
    begun = Text(beginning.rstrip(), style="dim")
    parts: list[Any] = [*_side_by_side(begun, found, width)]
    parts += [_sources(sources, grounded=grounded), Text(), Text(CAUTION, style="italic")]
    console.print(Group(*parts), width=width)


def _side_by_side(begun: Text, found: Sequence[Completion], width: int) -> Iterator[Any]:
    """The continuations: one behind its beginning, several beside each other where they have room,
    else one below the other."""
    if len(found) == 1:
        [one] = found
        yield from (begun + _marked(one), Text(), *_summary(one), Text())
        return
    yield from (begun, Text())
    if width // len(found) < NARROW:
        for one in found:
            heading = Text(_heading(one), style="bold")
            yield from (heading, _marked(one), Text(), *_summary(one), Text())
        return
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), show_edge=False)
    for one in found:
        table.add_column(_heading(one), ratio=1)
    table.add_row(*(Group(_marked(one), Text(), *_summary(one)) for one in found))
    yield from (table, Text())


def _heading(one: Completion) -> str:
    return f"{one.writer}, seed {one.sampling.seed}"


def _marked(one: Completion) -> Text:
    """The continuation, with its sources behind each sentence, a question mark behind each number
    and name that nobody has, and quotations between quotation marks."""
    puts: list[tuple[int, int, str, str]] = []  # where, order there, what, style
    styles: list[tuple[int, int, str]] = []
    for lookup in one.lookups:
        if not lookup.supported:
            number = lookup.mention.kind == "number"
            style = "bold red" if number else "yellow"
            styles.append((lookup.mention.start, lookup.mention.end, style))
            puts.append((lookup.mention.end, 0, "⁇" if number else "?", style))
    for copy in one.copies:
        styles.append((copy.start, copy.end, "underline"))
        puts.append((copy.start, 3, "“", "cyan"))
        puts.append((copy.end, 1, f"”[{copy.source + 1}]", "cyan"))
    for sentence in one.sentences:
        said = "".join(f"[{place + 1}]" for place in sentence.sources)
        put = (f" {said}", "green") if said else (" [unsupported]", "dim red")
        puts.append((sentence.end, 2, *put))
    text = Text(_harmless(one.text))
    for start, end, style in styles:
        text.stylize(style, start, end)
    marked = Text()
    last = 0
    for place, _, what, style in sorted(puts):
        marked.append_text(text[last:place])
        marked.append(what, style)
        last = place
    marked.append_text(text[last:])
    return marked if marked else Text(" (nothing)", style="dim")


def _summary(one: Completion) -> Iterator[str]:
    sentences = sum(bool(sentence.sources) for sentence in one.sentences)
    counts = [f"sentences supported {sentences} of {len(one.sentences)}"]
    for what, some in (("numbers", one.numbers), ("names", one.names)):
        counts.append(f"{what} supported {sum(it.supported for it in some)} of {len(some)}")
    copied = one.longest_copy
    counts.append(f"longest copy {copied} words" if copied else "no copy")
    yield "; ".join(counts)
    if one.strict:
        yield f"the decoder stepped in {one.stats.tokens_blocked} times"
    if one.stats.stopped == "length":
        yield f"cut off after {one.stats.tokens:,} tokens (--max-new-tokens)"
    elif one.stats.stopped == "interrupted":
        yield f"stopped after {one.stats.tokens:,} tokens"


def _sources(sources: Sequence[Source], *, grounded: bool) -> Table:
    title = "Sources" if grounded else "Looked up in, but not given to the model"
    table = Table(box=None, show_header=True, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", justify="right", style="green", no_wrap=True)
    table.add_column(title, header_style="bold", overflow="fold")
    table.add_column("cosine", justify="right", no_wrap=True, header_style="dim")
    for number, source in enumerate(sources, start=1):
        paper = source.paper
        facts = f"{paper.id} · {paper.published:%Y} · {first_author(paper)}"
        title_line = Text(one_line(to_unicode(paper.title)))
        table.add_row(
            f"[{number}]", Text.assemble(title_line, "\n", (facts, "dim")), f"{source.cosine:.3f}"
        )
    if not sources:
        table.add_row("", "none", "")
    return table


def _write_json(
    beginning: str, sources: Sequence[Source], found: Sequence[Completion], *, grounded: bool
) -> None:
    record = {
        "caution": CAUTION,
        "beginning": beginning,
        "grounded": grounded,
        "sources": [
            {"source": number, **paper_record(source.paper), "cosine": source.cosine}
            for number, source in enumerate(sources, start=1)
        ],
        "completions": [_record(one) for one in found],
    }
    click.echo(as_json(record, indent=True))


def _record(one: Completion) -> dict[str, Any]:
    """Places are letters of `text`."""
    return {
        "model": one.writer,
        "text": one.text,
        "seed": one.sampling.seed,
        "temperature": one.sampling.temperature,
        "tokens": one.stats.tokens,
        "stopped": one.stats.stopped,
        "strict": one.strict,
        "tokens_blocked": one.stats.tokens_blocked if one.strict else None,
        "sentences": [
            {"start": it.start, "end": it.end, "sources": _numbered(it.sources)}
            for it in one.sentences
        ],
        "numbers": [_lookup_record(it, one.text) for it in one.numbers],
        "names": [_lookup_record(it, one.text) for it in one.names],
        "copies": [
            {"start": it.start, "end": it.end, "words": it.words, "source": it.source + 1}
            for it in one.copies
        ],
        "summary": {
            "sentences": len(one.sentences),
            "sentences_supported": sum(bool(it.sources) for it in one.sentences),
            "numbers": len(one.numbers),
            "numbers_supported": sum(it.supported for it in one.numbers),
            "names": len(one.names),
            "names_supported": sum(it.supported for it in one.names),
            "longest_copy": one.longest_copy,
        },
    }


def _lookup_record(one: CheckedMention, text: str) -> dict[str, Any]:
    mention = one.mention
    return {
        "start": mention.start,
        "end": mention.end,
        "text": text[mention.start : mention.end],
        "value": mention.value,
        "unit": mention.unit or None,
        "error": mention.error or None,
        "supported": one.supported,
        "in_beginning": one.in_beginning,
        "sources": _numbered(one.sources),
    }


def _numbered(places: Sequence[int]) -> list[int]:
    return [place + 1 for place in places]

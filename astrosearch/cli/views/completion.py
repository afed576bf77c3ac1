"""How a continuation looks, with its checks."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from astrosearch.cli import console as terminal
from astrosearch.cli.views.hits import READABLE, as_json, first_author
from astrosearch.completion.attribution import Copy
from astrosearch.completion.complete import Completion, CompletionResult
from astrosearch.completion.generators.base import GenerationStats
from astrosearch.completion.grounding import CheckedMention, CheckedSentence
from astrosearch.completion.sources import Source
from astrosearch.search.hits import paper_record
from astrosearch.text.tex import one_line, to_unicode

CAUTION = "Generated text, not a result: check the papers."

NO_SOURCE = " [no source]"

NARROW = 40
"""Columns; continuations that would be narrower stand one below the other."""


@contextmanager
def live_text(beginning: str, *, wanted: bool) -> Iterator[Callable[[str], None] | None]:
    """Shows a text while it is generated, and takes it away at the end.

    Yields:
        What each piece of the text is given to; None if it is not wanted or nobody sits there.
    """
    console = terminal.stdout()
    if not (wanted and sys.stdout.isatty() and console.is_terminal):
        yield None
        return
    text = _LiveText(console, beginning)
    try:
        yield text.add
    finally:
        text.close()


class _LiveText:
    """The unchecked text, dim, in the last lines of a terminal. Only whole words are shown, and
    only as many lines as the terminal has: what has scrolled away cannot be replaced."""

    def __init__(self, console: Console, beginning: str) -> None:
        self._console = console
        self._text = one_line(beginning)
        self._live: Live | None = None

    def add(self, piece: str) -> None:
        self._text += _harmless(piece)
        if self._live is None:  # not before: what is loaded and sent is said first
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._shown(), refresh=True)

    def _shown(self) -> RenderableType:
        words = Text(whole_words(self._text), style="dim")
        width = min(self._console.width, READABLE)
        lines = words.wrap(self._console, width)
        return Group(*lines[-max(1, self._console.height - 2) :])

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()


def whole_words(text: str) -> str:
    """A text without the word that is still being written.

    >>> whole_words("gas falls onto the Magel")
    'gas falls onto the '
    """
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1]


def _harmless(piece: str) -> str:
    """With spaces for control characters: a model may write an escape sequence."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in piece)


def write_completions(result: CompletionResult, *, as_json: bool) -> None:
    """Print the continuations of one beginning with their checks."""
    if as_json:
        terminal.write(_as_json(result))
        return
    console = terminal.stdout()
    single = len(result.completions) == 1
    width = min(console.width, READABLE) if single else console.width
    console.print(completions_view(result, width), width=width)


def completions_view(result: CompletionResult, width: int) -> Group:
    """The caution, the continuations, what their marks mean, and the sources."""
    return Group(
        Text(CAUTION, style="bold yellow"),
        Text(),
        *_side_by_side(result, width),
        *_legend(result.completions),
        _sources(result),
    )


def _side_by_side(result: CompletionResult, width: int) -> Iterator[RenderableType]:
    """One continuation behind its beginning; several beside each other if there is room, else one
    below the other."""
    beginning = Text(one_line(result.beginning).rstrip(), style="bold")
    completions = result.completions
    if len(completions) == 1:
        yield Text.assemble(beginning, _marked(completions[0]))
        yield from (Text(), *_summary(completions[0]), Text())
        return
    yield from (beginning, Text())
    if width // len(completions) < NARROW:
        for done in completions:
            yield Text(_heading(done), style="bold cyan")
            yield from (_marked(done), Text(), *_summary(done), Text())
        return
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), show_edge=False)
    for done in completions:
        table.add_column(Text(_heading(done), style="cyan"), ratio=1, overflow="fold")
    table.add_row(*(Group(_column(done), Text(), *_summary(done)) for done in completions))
    yield from (table, Text())


def _column(done: Completion) -> Text:
    """The continuation without the space between it and its beginning."""
    marked = _marked(done)
    return marked[1:] if marked.plain.startswith(" ") else marked


def _heading(done: Completion) -> str:
    return f"{done.generator}, seed {done.sampling.seed}"


def _marked(done: Completion) -> Text:
    """The continuation with the numbers of the related sources behind each sentence."""
    marks = [
        (sentence.start, sentence.end, _sentence_mark(sentence)) for sentence in done.sentences
    ]
    dim = [(sentence.start, sentence.end) for sentence in done.sentences if not sentence.sources]
    marked = marked_text(done.text, marks, dim, (*done.numbers, *done.names), done.copies)
    return marked if marked else Text(" (nothing)", style="dim")


def marked_text(
    written: str,
    marks: Sequence[tuple[int, int, Text]],
    dim: Sequence[tuple[int, int]],
    mentions: Sequence[CheckedMention],
    copies: Sequence[Copy],
) -> Text:
    """A generated text with a mark behind each sentence, a question mark behind each number and
    name that was not found, and quotation marks around copies.

    Args:
        marks: of sentences, by their places.
        dim: places of what is less to be believed than the rest.
    """
    insertions = [(end, 2, mark) for _, end, mark in marks]  # place, order there, what
    styles = [(start, end, "dim") for start, end in dim]
    for checked in mentions:
        if not checked.is_matched:
            mark, style = ("⁇", "bold red") if checked.mention.kind == "number" else ("?", "yellow")
            styles.append((checked.mention.start, checked.mention.end, f"not dim {style}"))
            insertions.append((checked.mention.end, 0, Text(mark, style)))
    for copy in copies:
        styles.append((copy.start, copy.end, "underline"))
        insertions.append((copy.start, 3, Text("“", "cyan")))
        insertions.append((copy.end, 1, Text(f"”[{copy.source + 1}]", "cyan")))
    text = Text(_harmless(written))
    for start, end, style in styles:
        text.stylize(style, start, end)
    marked = Text()
    last = 0
    for place, _, what in sorted(insertions, key=lambda each: each[:2]):
        marked.append_text(text[last:place])
        marked.append_text(what)
        last = place
    marked.append_text(text[last:])
    return marked


def _sentence_mark(sentence: CheckedSentence) -> Text:
    if not sentence.sources:
        return Text(NO_SOURCE, "red")
    sign, style = ("?", "yellow") if sentence.unmatched else ("", "green")
    return Text(" " + "".join(f"[{number + 1}{sign}]" for number in sentence.sources), style)


def _summary(done: Completion) -> Iterator[Text]:
    yield Text(_sentence_counts(done.sentences))
    yield Text(mention_counts((*done.numbers, *done.names), done.copies))
    if done.only_known_numbers:
        yield Text(f"unknown numbers prevented at {done.stats.tokens_blocked} tokens")
    if stopped := why_stopped(done.stats):
        yield Text(stopped)


def mention_counts(mentions: Sequence[CheckedMention], copies: Sequence[Copy]) -> str:
    """`numbers found 1 of 3; no names; nothing copied`"""
    counts = []
    for kind in ("number", "name"):
        found = [checked.is_matched for checked in mentions if checked.mention.kind == kind]
        counts.append(f"{kind}s found {sum(found)} of {len(found)}" if found else f"no {kind}s")
    copied = max((copy.words for copy in copies), default=0)
    counts.append(f"longest copy {copied} words" if copied else "nothing copied")
    return "; ".join(counts)


def why_stopped(stats: GenerationStats) -> str:
    """Why a text ended before its end; empty if it did not."""
    if stats.stopped == "length":
        return f"cut off after {stats.tokens:,} tokens (--max-new-tokens)"
    return f"stopped after {stats.tokens:,} tokens" if stats.stopped == "interrupted" else ""


def _sentence_counts(sentences: Sequence[CheckedSentence]) -> str:
    """
    >>> _sentence_counts([CheckedSentence(0, 9, [1], 0), CheckedSentence(9, 18, [], 1)])
    'related sources for 1 of 2 sentences'
    """
    related = sum(sentence.is_related for sentence in sentences)
    in_part = sum(sentence.is_related_in_part for sentence in sentences)
    line = f"related sources for {related} of {len(sentences)} sentences"
    return f"{line}, in part for {in_part} more" if in_part else line


def _legend(completions: Sequence[Completion]) -> Iterator[RenderableType]:
    """What the marks mean, of those that are there."""
    sentences = [sentence for done in completions for sentence in done.sentences]
    numbers = [mention for done in completions for mention in done.numbers]
    names = [mention for done in completions for mention in done.names]
    entries = [
        (any(s.is_related for s in sentences), "[1]", "source 1 is related to the sentence"),
        (
            any(s.is_related_in_part for s in sentences),
            "[1?]",
            "related, but a number or name in the sentence was not found",
        ),
        (any(not s.sources for s in sentences), "[no source]", "no source is related to it"),
        (
            any(not number.is_matched for number in numbers),
            "⁇",
            "a number that is neither in the beginning nor in a source",
        ),
        (
            any(not name.is_matched for name in names),
            "?",
            "a name that is neither in the beginning nor in a source",
        ),
        (any(done.copies for done in completions), "“…”[1]", "words copied from source 1"),
    ]
    shown = [(mark, meaning) for occurs, mark, meaning in entries if occurs]
    if shown:
        yield from (legend(shown), Text())


def legend(entries: Sequence[tuple[str, str]]) -> Table:
    """Marks, and what they mean."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    for mark, meaning in entries:
        grid.add_row(Text(mark), Text(meaning))
    return grid


def _sources(result: CompletionResult) -> Table:
    title = "Sources" if result.grounded else "Checked against, but not given to the model"
    table = Table(box=None, show_header=True, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", justify="right", style="green", no_wrap=True)
    table.add_column(title, header_style="bold", overflow="fold")
    table.add_column("cosine", justify="right", no_wrap=True, header_style="dim")
    for number, source in enumerate(result.sources, start=1):
        table.add_row(f"[{number}]", _source_lines(source), f"{source.cosine:.3f}")
    if not result.sources:
        table.add_row("", "none", "")
    return table


def _source_lines(source: Source) -> Text:
    paper = source.paper
    facts = f"{paper.id} · {paper.published:%Y} · {first_author(paper)}"
    return Text.assemble(one_line(to_unicode(paper.title)), "\n", (facts, "dim"))


def _as_json(result: CompletionResult) -> str:
    record = {
        "caution": CAUTION,
        "beginning": result.beginning,
        "grounded": result.grounded,
        "sources": [
            {"source": number, **paper_record(source.paper), "cosine": source.cosine}
            for number, source in enumerate(result.sources, start=1)
        ],
        "completions": [_record(done) for done in result.completions],
    }
    return as_json(record, indent=True)


def _record(done: Completion) -> dict[str, Any]:
    """`start` and `end` are places in `text`; sources are numbered from 1."""
    return {
        "model": done.generator,
        "text": done.text,
        "seed": done.sampling.seed,
        "temperature": done.sampling.temperature,
        "tokens": done.stats.tokens,
        "stopped": done.stats.stopped,
        "only_known_numbers": done.only_known_numbers,
        "tokens_blocked": done.stats.tokens_blocked if done.only_known_numbers else None,
        "sentences": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "related_sources": _numbered(sentence.sources),
                "unmatched": sentence.unmatched,
            }
            for sentence in done.sentences
        ],
        "numbers": [mention_record(number, done.text) for number in done.numbers],
        "names": [mention_record(name, done.text) for name in done.names],
        "copies": copy_records(done.copies),
        "summary": {
            "sentences": len(done.sentences),
            "sentences_related": sum(s.is_related for s in done.sentences),
            "sentences_related_in_part": sum(s.is_related_in_part for s in done.sentences),
            "numbers": len(done.numbers),
            "numbers_matched": sum(number.is_matched for number in done.numbers),
            "names": len(done.names),
            "names_matched": sum(name.is_matched for name in done.names),
            "longest_copy": done.longest_copy,
        },
    }


def copy_records(copies: Sequence[Copy]) -> list[dict[str, Any]]:
    return [
        {"start": copy.start, "end": copy.end, "words": copy.words, "source": copy.source + 1}
        for copy in copies
    ]


def mention_record(
    checked: CheckedMention, text: str, beginning: str = "in_beginning"
) -> dict[str, Any]:
    """
    Args:
        beginning: the key that says whether what is continued, or asked, has it.
    """
    mention = checked.mention
    return {
        "start": mention.start,
        "end": mention.end,
        "text": text[mention.start : mention.end],
        "value": mention.value,
        "unit": mention.unit or None,
        "error": mention.error or None,
        "matched": checked.is_matched,
        beginning: checked.in_beginning,
        "sources": _numbered(checked.sources),
    }


def _numbered(sources: Sequence[int]) -> list[int]:
    return [number + 1 for number in sources]

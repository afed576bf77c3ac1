"""How a written answer looks, with its checks, above the sentences that it was written from."""

import textwrap
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from astrosearch.cli import console as terminal
from astrosearch.cli.views.completion import (
    CAUTION,
    NO_SOURCE,
    copy_records,
    legend,
    marked_text,
    mention_counts,
    mention_record,
    why_stopped,
)
from astrosearch.cli.views.hits import READABLE, as_json
from astrosearch.cli.views.markdown import escaped_markdown
from astrosearch.cli.views.quotes import markdown, plain_lines, quotes_view
from astrosearch.completion.answering import CitedSentence, WrittenAnswer
from astrosearch.search.quotes import QuotedAnswer


def write_answer(
    written: WrittenAnswer | None, quoted: QuotedAnswer, *, format: str, index: str
) -> None:
    """Print a written answer and the quotes that it is from to standard output.

    Args:
        written: None if there is none; JSON says so.
        format: text, json or markdown.
    """
    match format:
        case "json":
            record = {"written": _record(written) if written else None}
            terminal.write(as_json({"index": index, **quoted.as_record(), **record}, indent=True))
        case "markdown":
            terminal.write(markdown(quoted, _markdown(written) if written else ()))
        case _ if terminal.on_terminal():
            console = terminal.stdout()
            parts = [quotes_view(quoted)]
            if written:
                parts = [answer_view(written), Text(), *parts]
            console.print(Group(*parts), width=min(console.width, READABLE))
        case _:
            lines = [*_plain_lines(written), ""] if written else []
            terminal.write("\n".join([*lines, *plain_lines(quoted)]))


def answer_view(written: WrittenAnswer) -> RenderableType:
    """The caution, the checked answer, the figures, what the marks mean."""
    parts: list[RenderableType] = [Text(CAUTION, style="bold yellow"), Text(), _marked(written)]
    parts += [Text(), *map(Text, _summary(written))]
    if entries := list(_legend(written)):
        parts += [Text(), legend(entries)]
    return Group(*parts)


def _marked(written: WrittenAnswer) -> Text:
    """The answer with the numbers that each sentence cites behind it; what does not pass is dim."""
    marks = [(each.start, each.end, _mark(each)) for each in written.sentences]
    dim = [(each.start, each.end) for each in written.sentences if not each.passes]
    return marked_text(written.text, marks, dim, written.mentions, written.copies)


def _mark(sentence: CitedSentence) -> Text:
    mark = Text()
    sign, style = ("", "green") if sentence.passes else ("?", "yellow")
    for number in sentence.cited:
        mark.append(f"[{number}{sign}]", style)
    for number in sentence.unknown:
        mark.append(f"[{number}⁇]", "red")
    return Text(" ").append_text(mark) if mark else Text(NO_SOURCE, "red")


def _summary(written: WrittenAnswer) -> Iterator[str]:
    count, passing = len(written.sentences), written.passing
    line = f"{passing} of {count} sentences {'passes' if passing == 1 else 'pass'} the checks"
    if written.left_out:
        line += f"; {written.left_out} left out"
    if written.attempts > 1:
        line += "; asked twice"
    yield f"{line} ({written.generator})"
    yield mention_counts(written.mentions, written.copies)
    if written.broken_off:
        yield f"unfinished: {written.broken_off}"
    elif stopped := why_stopped(written.stats):
        yield stopped


def _legend(written: WrittenAnswer) -> Iterator[tuple[str, str]]:
    """The marks that occur, and what they mean."""
    sentences = written.sentences
    missing = {m.mention.kind for m in written.mentions if not m.is_matched}
    entries = (
        (
            any(each.passes for each in sentences),
            "[1]",
            "source 1 is related, and the cited sources have each number and name",
        ),
        (
            any(each.cited and not each.passes for each in sentences),
            "[1?]",
            "source 1 is cited, and something of this is not in it",
        ),
        (any(each.unknown for each in sentences), "[9⁇]", "there is no source 9"),
        (
            any(not (each.cited or each.unknown) for each in sentences),
            NO_SOURCE.strip(),
            "no source is cited",
        ),
        ("number" in missing, "⁇", "a number that no cited source has"),
        ("name" in missing, "?", "a name that neither a cited source nor the question has"),
        (bool(written.copies), "“…”[1]", "words copied from source 1"),
    )
    return ((mark, meaning) for occurs, mark, meaning in entries if occurs)


def _plain_lines(written: WrittenAnswer) -> list[str]:
    """The same down a pipe: no colours, short lines."""
    text = textwrap.wrap(
        _marked(written).plain, READABLE, break_long_words=False, break_on_hyphens=False
    )
    meanings = [f"{mark:<12}{meaning}" for mark, meaning in _legend(written)]
    return [CAUTION, "", *text, "", *_summary(written), *([""] if meanings else []), *meanings]


def _markdown(written: WrittenAnswer) -> list[str]:
    summary = escaped_markdown(". ".join(_summary(written)))
    return [
        f"*{CAUTION}*",
        "",
        escaped_markdown(_marked(written).plain),
        "",
        f"*{summary}.*",
        "",
    ]


def _record(written: WrittenAnswer) -> dict[str, Any]:
    """`start` and `end` are places in `text`; sources are numbered from 1."""
    numbers = [m for m in written.mentions if m.mention.kind == "number"]
    names = [m for m in written.mentions if m.mention.kind == "name"]
    return {
        "caution": CAUTION,
        "model": written.generator,
        "text": written.text,
        "seed": written.sampling.seed,
        "temperature": written.sampling.temperature,
        "tokens": written.stats.tokens,
        "stopped": written.stats.stopped,
        "broken_off": written.broken_off or None,
        "attempts": written.attempts,
        "left_out": written.left_out,
        "sentences": [
            {
                "start": each.start,
                "end": each.end,
                "cited": list(each.cited),
                "unknown": list(each.unknown),
                "related": list(each.related),
                "unmatched": list(each.unmatched),
                "passes": each.passes,
            }
            for each in written.sentences
        ],
        "numbers": [mention_record(each, written.text, "in_question") for each in numbers],
        "names": [mention_record(each, written.text, "in_question") for each in names],
        "copies": copy_records(written.copies),
        "summary": {
            "sentences": len(written.sentences),
            "sentences_passing": written.passing,
            "numbers": len(numbers),
            "numbers_matched": sum(each.is_matched for each in numbers),
            "names": len(names),
            "names_matched": sum(each.is_matched for each in names),
        },
    }

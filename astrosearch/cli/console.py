"""The one place that prints: lines to standard error, data to standard output, progress.

Whatever comes from a file, a manifest or the network passes through `harmless` on its way to a
terminal, which its control characters could steer otherwise.
"""

import codecs
import io
import os
import re
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from astrosearch.report import Reporter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console
    from rich.progress import Progress

LONG = 60
"""Seconds; a task that takes longer is announced."""
ENOUGH = 1
"""Seconds from which a task's speed is known: its first items wait for what is loaded."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def harmless(text: str) -> str:
    r"""A text that cannot steer a terminal; line ends and tabs stay.

    >>> harmless("two\nlines\x1b[2J")
    'two\nlines[2J'
    """
    return _CONTROLS.sub("", text)


def notify(line: str) -> None:
    """A line to standard error; on a terminal it breaks between words, and a bar stays below."""
    text = _wrapped(harmless(line)) if sys.stderr.isatty() else harmless(line)
    if _open_bars:
        _open_bars[-1].console.out(text, highlight=False)
    else:
        with suppress(OSError):  # what cannot be said must not end the work
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def _wrapped(text: str) -> str:
    """Each line of `text` in the terminal's width; a path or an address is never cut."""
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(
            line,
            max(width, 20),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def write(text: str) -> None:
    """Lines of data to standard output, in its encoding: click's `echo` takes ASCII for a mistake
    and writes UTF-8."""
    print(harmless(text), flush=True)  # noqa: T201


def stdout() -> "Console":
    """Rich's console for standard output; FORCE_COLOR makes anything a terminal."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Rich would end with exit code 1; whoever reads has seen enough."""
            raise BrokenPipeError

    return Output()


def on_terminal() -> bool:
    return stdout().is_terminal


def terminal_link(address: str) -> str | None:
    """What makes a text a link to a page (OSC 8); None where there is no page, or NO_COLOR asks
    for plain text."""
    return None if os.environ.get("NO_COLOR") else address or None


_PAIRS = (
    "‐ - ‑ - – - — - − - ─ - ━ - · * • * × x ∼ ~ … ... “ \" ” \" „ \" ‘ ' ’ ' ′ ' ″ '' ⁄ / "
    "▲ ^ ▼ v ☉ O ⊙ O ≤ <= ≥ >= ⩽ <= ⩾ >= ≲ <~ ≳ >~ ≈ ~ ≃ ~ ± +- → -> ∞ inf ° deg "
    "Ð D ð d Đ D đ d ħ h ı i Ł L ł l Ø O ø o Þ Th þ th Æ AE æ ae Œ OE œ oe ß ss ẞ SS"
).split()
_LOOKALIKES = str.maketrans(
    {**dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True)), "\u200b": "", "\u200d": ""}
)
"""Signs, and Latin letters that are no letter with an accent, in ASCII."""
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)")
_transliterations: list[str] = []


def _transliterate(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, in letters that it has, else a question mark.

    On its way to an ASCII terminal, `Tétlás — Hα, 3 ♃` becomes `Tetlas - Halpha, 3 ?`.
    """
    import unicodedata

    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_LOOKALIKES)
    # Decomposing makes a minus sign of a superscript one, and a fraction slash of ½.
    text = unicodedata.normalize("NFKD", lacking).translate(_LOOKALIKES)
    text = "".join(_in_ascii(letter) for letter in text if not unicodedata.combining(letter))
    return text.encode("ascii", "replace").decode(), error.end


def _in_ascii(letter: str) -> str:
    """The name of a Greek letter; any other as it is."""
    import unicodedata

    match = _GREEK.fullmatch(unicodedata.name(letter, ""))
    if match is None:
        return letter
    name = match[2].lower().replace("lamda", "lambda")  # as Unicode spells it
    return name if match[1] == "SMALL" else name.title()


def _transliterate_answer(error: UnicodeError) -> tuple[str, int]:
    """The same, kept in mind: see `flush`."""
    # A half of a surrogate pair, as of a file's name that is not text, has no encoding at all.
    if isinstance(error, UnicodeEncodeError) and not error.encoding.startswith("utf"):
        _transliterations.append(error.encoding)
    return _transliterate(error)


class OutputLost(OSError):
    """Standard output cannot be written; any other file that cannot is another OSError."""


class _Output(io.FileIO):
    """Standard output's file, whose errors are told from those of other files."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputLost(error.errno, error.strerror) from error


def prepare_streams() -> None:
    """Make the three streams usable: one that is closed fails when it is used, not before and not
    with a traceback; what an encoding lacks is transliterated, what cannot be decoded replaced."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), "r")
    if sys.stdout is None:
        os.open(os.devnull, os.O_RDONLY)  # takes the number 1, as the lowest that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is sys.__stdout__:
        encoding = sys.stdout.encoding if sys.stdout else "utf-8"
        file = _Output(1, "w", closefd=False)
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(  # type: ignore[misc]
            io.BufferedWriter(file), encoding=encoding, line_buffering=file.isatty()
        )
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for stream, handler in ((sys.stdout, _transliterate_answer), (sys.stderr, _transliterate)):
        if isinstance(stream, io.TextIOWrapper):
            name = f"astrosearch.{handler.__name__}"
            codecs.register_error(name, handler)
            stream.reconfigure(errors=name)


def flush() -> None:
    """Write what is left to standard output, and say if not all of it could be written as it is.

    Raises:
        OSError: if it cannot be written.
    """
    sys.stdout.flush()
    if _transliterations:
        encoding = sys.stdout.encoding  # the codec's own name may be `charmap`
        _transliterations.clear()
        notify(
            f"Some letters do not exist in {encoding} and were replaced by similar ones or '?'; "
            "PYTHONIOENCODING=utf-8 writes all of them"
        )


def discard_output() -> None:
    """Let standard output end in nothing, so that Python does not fail on it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


_open_bars: "list[Progress]" = []


def close() -> None:
    """Take away what is drawn of unfinished tasks."""
    while _open_bars:
        _open_bars.pop().stop()


class Terminal(Reporter):
    """Lines on standard error, questions, and progress: on a terminal a bar that vanishes when the
    task ends; elsewhere, for a long task, a line with an estimate."""

    def __init__(self, *, yes: bool = False, resume: str = "") -> None:
        """
        Args:
            yes: agree to costs without asking.
            resume: the command that goes on with a stopped job; empty if there is none.
        """
        self._yes = yes
        self._resume = resume
        self._task = ""
        self._began = 0.0
        self._first = 0
        self._announced = False
        self._bar: Progress | None = None

    def notify(self, line: str) -> None:
        notify(line)

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        now = time.monotonic()
        if task != self._task:
            self._stop()
            self._task, self._began, self._first, self._announced = task, now, done, False
        if done >= total:
            self._stop()
            self._task = ""
            return
        elapsed, fresh = now - self._began, done - self._first
        if not self._announced and fresh and elapsed >= ENOUGH:
            self._announced = True
            left = (total - done) * elapsed / fresh
            if left > LONG:
                self._announce(task, total - done, fresh / elapsed, detail, left)
        self._draw(task, done, total, detail)

    def _announce(self, task: str, items: int, speed: float, detail: str, seconds: float) -> None:
        figures = f"{speed:,.1f}/s" + (f", {detail}" if detail else "")
        line = f"{task}: {items:,} left, {figures}, {duration(seconds)}."
        if self._resume:
            line += f" You may stop it at any time; to go on: {self._resume}"
        notify(line)

    def _draw(self, task: str, done: int, total: int, detail: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if self._bar is None:
            console = Console(stderr=True)
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeRemainingColumn(),
                console=console,
                disable=not console.is_terminal,
                transient=True,
            )
            self._bar.add_task(harmless(task), total=total, completed=done, detail=detail)
            self._bar.start()
            if console.is_terminal:
                _open_bars.append(self._bar)
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, detail=detail)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            if self._bar in _open_bars:
                _open_bars.remove(self._bar)
            self._bar = None

    def confirm(self, cost: object) -> bool:
        """
        Raises:
            SetupError: if nobody can be asked; it says what the cost would be.
        """
        self._stop()
        if self._yes:
            notify(f"Sending {cost}")
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            from astrosearch.errors import SetupError

            raise SetupError(f"not sent without consent: {cost}; to agree, add --yes")
        return click.confirm(harmless(f"This sends {cost}. Go on?"), err=True)


def duration(seconds: float) -> str:
    """
    >>> duration(5000)
    'about 1 h 23 min'
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"about {minutes} min"
    return f"about {minutes // 60:,} h {minutes % 60:02} min"

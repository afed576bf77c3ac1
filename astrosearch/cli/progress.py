"""How far long work is: a bar on a terminal; of an encoding, one estimate elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from astrosearch.index.build import Progress

LONG = 60
"""Seconds; an encoding that takes longer is announced."""
ENOUGH = 1
"""Seconds from which an encoding's speed is known: its first texts wait for what is loaded."""


@contextmanager
def encoding_progress(command: str) -> Iterator[Callable[[Progress], None]]:
    """Yields what `build` tells its progress to; `command` is how to go on after a stop."""
    console = Console(stderr=True)
    began: float | None = None
    announced = False
    bar = Bar(
        TextColumn("Encoding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    task = bar.add_task("", total=None, speed="", visible=False)
    try:

        def show(progress: Progress) -> None:
            nonlocal announced, began
            if not progress.encoded:
                return
            now = time.monotonic()
            began = now - progress.seconds if began is None else began
            papers = progress.encoded / (now - began)
            tokens = progress.tokens / (now - began)
            left = progress.remaining / papers
            if not announced and now - began >= ENOUGH:
                announced = True
                if left > LONG:
                    click.echo(
                        f"{progress.remaining:,} papers are left to encode, at {papers:,.1f} "
                        f"papers/s ({tokens:,.0f} tokens/s) {duration(left)}. It may be stopped "
                        f"at any time; the same command goes on: {command}",
                        err=True,
                    )
            bar.start()  # not before: the user may be asked something first
            bar.update(
                task,
                visible=True,
                completed=progress.encoded,
                total=progress.encoded + progress.remaining,
                speed=f"{papers:,.1f} papers/s  {tokens:,.0f} tokens/s",
            )

        yield show
    finally:
        bar.stop()


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Yields what is told what is being done, how many are done, and of how many: a bar on a
    terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True)
    task = bar.add_task("", total=None, visible=False)
    try:

        def told(what: str, done: int, count: int) -> None:
            bar.start()  # not before: the user may be asked something first
            bar.update(task, description=what, completed=done, total=count, visible=True)
            if done == count:
                bar.stop()  # what comes next may draw a bar of its own

        yield told
    finally:
        bar.stop()


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

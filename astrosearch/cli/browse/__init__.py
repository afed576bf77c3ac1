"""`astrosearch browse`: a full-screen reader. Only this command imports textual."""

import os
import sys
from typing import Any

import click

from astrosearch.cli.console import notify, write
from astrosearch.cli.options import (
    consent_option,
    count_option,
    filter_options,
    index_option,
    key_option,
    library_options,
    mode_option,
    sort_option,
)


@click.command()
@click.argument("text", nargs=-1, metavar="[QUERY]")
@mode_option
@sort_option
@count_option("How many papers an answer has.", default=50)
@filter_options
@library_options
@key_option
@click.option(
    "--theme",
    type=click.Choice(["auto", "dark", "light"]),
    default="auto",
    show_default=True,
    help="Its colours; auto asks the terminal whether it is dark or light.",
)
@consent_option
@index_option
@click.pass_context
def browse(
    ctx: click.Context,
    /,
    text: tuple[str, ...],
    k: int,
    theme: str,
    yes: bool,
    index_name: str | None,
    **settings: Any,
) -> None:
    """Search and read on the full screen.

    The papers are on the left, the abstract on the right. Answers come while you type. ? shows all
    keys, Ctrl-P lists all commands, q leaves. What is marked then and was not exported is listed;
    down a pipe, the identifiers of the marked papers are written.

    \b
    astrosearch browse
    astrosearch browse "gas stripped from a dwarf"
    astrosearch browse --since 2020 --category astro-ph.GA
    astrosearch browse | xargs astrosearch show --format bibtex
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "browse needs a terminal; to ask down a pipe: astrosearch query, astrosearch shell"
        )
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        raise click.UsageError(
            "this terminal cannot show a full screen (TERM is dumb or not set); to ask line by "
            "line: astrosearch shell"
        )
    from astrosearch import paths

    folder = paths.existing_index(index_name)

    from astrosearch.cli.browse.app import Browser
    from astrosearch.cli.browse.background import is_light
    from astrosearch.cli.browse.keyboard import take_any_bytes
    from astrosearch.cli.browse.reporter import ScreenReporter

    light = is_light() if theme == "auto" else theme == "light"
    reporter = ScreenReporter(yes=yes)
    typed = " ".join(text).encode(errors="replace").decode()
    browser = Browser(folder.name, typed, k=k, light=light, reporter=reporter, **settings)
    reporter.attach(browser)
    take_any_bytes()
    try:
        code = browser.run()
    finally:
        browser.close()
    if browser.failure is not None:
        raise browser.failure
    if not sys.stdout.isatty():
        for hit in browser.marked.values():
            write(hit.paper.id)
    elif browser.has_unsaved_marks:
        notify(f"Marked, not exported: {' '.join(browser.marked)}")
    ctx.exit(code if code is not None else browser.return_code or 0)

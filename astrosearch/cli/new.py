"""`astrosearch new`."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    ENTRIES,
    KEYED,
    Day,
    consent_option,
    count_option,
    format_option,
    going_on,
    index_option,
    key_option,
)

if TYPE_CHECKING:
    from astrosearch.papers import Paper
    from astrosearch.text.bibtex import KeyStyle

FORMATS = ("table", "json", "jsonl", *ENTRIES, "html", "atom")


@click.command()
@click.option("--since", type=Day(), help="Papers from this date on: YYYY, YYYY-MM or YYYY-MM-DD.")
@click.option("--days", type=click.IntRange(1, 36_500), help="Papers of the last days.")
@click.option("--category", metavar="CAT", help="Only papers of this category, as astro-ph.GA.")
@count_option("How many papers to show.", default=30)
@click.option("--mark-read", is_flag=True, help="Remember these papers, to show them only once.")
@click.option("--again", is_flag=True, help="Show papers that were shown before, too.")
@format_option(*FORMATS, help="In a pipe, a table is tab-separated lines.")
@click.option("--abstracts", is_flag=True, help="Show the abstracts in the table.")
@key_option
@consent_option
@index_option
@going_on
def new(
    since: date | None,
    days: int | None,
    category: str | None,
    k: int,
    mark_read: bool,
    again: bool,
    output: str,
    abstracts: bool,
    key: "KeyStyle | None",
    yes: bool,
    index_name: str | None,
) -> "list[Paper]":
    """Show what is new, ranked by your library.

    New are the papers that `astrosearch update` brought since the last `new --mark-read`; at first
    those of the last week. Each has a reason: the papers of your library that it is near to.
    Papers that you like count twice, those that you dislike take away. Authors and words that you
    follow come first; `astrosearch config edit` has the list.

    The line below, in a crontab, mails them every morning; with --format atom, a feed reader
    shows them.

    \b
    astrosearch new
    astrosearch new --days 3 -k 10 --abstracts
    astrosearch new --mark-read --format html > today.html
    0 7 * * * astrosearch update && astrosearch new --mark-read --format html
      | mail -E -a "Content-Type: text/html; charset=utf-8" -s New me
    """
    from astrosearch.cli import actions, console
    from astrosearch.cli.views.digest import feed, write_digest
    from astrosearch.corpus.filters import Filters
    from astrosearch.errors import NothingFound
    from astrosearch.library.digest import Seen
    from astrosearch.search.searcher import open_index

    if since is not None and days is not None:
        raise click.UsageError("--since and --days contradict each other")
    if days is not None:
        since = date.today() - timedelta(days)
    filters = Filters(since=since, category=category)
    with open_index(index_name, reporter=Terminal(yes=yes)) as searcher:
        try:
            result, problems = actions.new_papers(searcher, filters, k, again=again)
        except NothingFound:
            if output == "atom":  # a reader of feeds takes an empty file for a fault
                console.write(feed(searcher.name, []))
            raise
        for problem in problems:
            notify(problem)
        if not result.library:
            notify(
                "The library is empty, so the newest come first. Fill it with your papers: "
                "astrosearch library add FILE.bib"
            )
        write_digest(result, format=output, abstracts=abstracts, key=key)
        console.flush()
        if mark_read:
            Seen.read(searcher.name).mark(searcher, category)
    if abstracts and output != "table":
        notify(f"--abstracts has no effect with --format {output}")
    if key and output not in KEYED:
        notify(f"--key has no effect with --format {output}")
    if output == "table":
        shown = "" if result.new <= k else f"; the first {k:,} are shown"
        notify(f"{result.new:,} papers since {result.since}{shown}")
    return [one.paper for one in result.suggestions]

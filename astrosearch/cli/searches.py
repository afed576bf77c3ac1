"""`astrosearch save`, `run`, `searches` and `forget`: searches under a name."""

from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import (
    FORMATS,
    answer_options,
    consent_option,
    expand_option,
    filter_options,
    format_option,
    going_on,
    index_option,
    library_options,
    mode_option,
    ranker_option,
    rerank_option,
    sort_option,
    was_given,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from astrosearch.library.searches import SavedSearch
    from astrosearch.papers import Paper
    from astrosearch.search.hits import Answer
    from astrosearch.search.searcher import Searcher

PARAMETERS = {
    "index": "index_name",
    "count": "k",
    "format": "output",
    "in": "within",
    "not-in": "beyond",
    **{
        name: name
        for name in """mode sort key author category since until abstracts explain ranker rerank
        expand""".split()
    },
}
"""Options of a search as the file calls them, and the parameters of `query` that they are."""


def _complete_search(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The names of searches that a shell offers at the Tab key."""
    from click.shell_completion import CompletionItem

    from astrosearch.errors import AstrosearchError
    from astrosearch.library.searches import read_searches

    try:
        searches, _ = read_searches()
    except AstrosearchError:
        return []
    return [CompletionItem(name) for name in searches if name.startswith(incomplete)]


@click.command()
@click.argument("name")
@click.argument("text", nargs=-1)
@click.option("--force", is_flag=True, help="Replace a search of this name.")
@mode_option
@ranker_option
@rerank_option
@expand_option
@sort_option
@answer_options
@filter_options
@library_options
@index_option
def save(name: str, text: tuple[str, ...], force: bool, **options: Any) -> None:
    """Save a search under NAME, with its options.

    Whatever `astrosearch query` takes can be saved. The file searches.toml in the folder of the
    library has all searches; you may edit it.

    \b
    astrosearch save jets "relativistic jets" --category astro-ph.HE
    astrosearch run jets
    """
    from astrosearch.library.searches import SavedSearch, save_search

    given = {
        name: options[parameter]
        for name, parameter in PARAMETERS.items()
        if was_given(parameter) and options[parameter] is not None
    }
    save_search(SavedSearch(name, " ".join(" ".join(text).split()), given), force=force)
    notify(f"Saved. To run it: astrosearch run {name}")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_search)
@click.option("--all", "every", is_flag=True, help="Run all saved searches.")
@click.option("--new", is_flag=True, help="Show only what came since the last run.")
@click.option("-k", "--count", "k", type=click.IntRange(min=1), help="How many papers to show.")
@format_option(*FORMATS, "atom", help="By default as the search says.")
@consent_option
@index_option
@going_on
def run(
    names: tuple[str, ...],
    every: bool,
    new: bool,
    k: int | None,
    output: str,
    yes: bool,
    index_name: str | None,
) -> "list[Paper]":
    """Run saved searches.

    With --new, a paper is shown that came since the search was last run, and is among the best of
    a thousand papers for it; at first, papers of the last week are new.

    \b
    astrosearch run jets
    astrosearch run --all --new --format atom > alerts.xml
    """
    from astrosearch.cli import console
    from astrosearch.errors import AstrosearchError, NothingFound
    from astrosearch.library.searches import find_search
    from astrosearch.search.searcher import open_index

    if was_given("opened") and (every or len(names) > 1):
        raise click.UsageError("--open is for one search: name it")
    if every == bool(names):
        raise click.UsageError("name a search, or give --all")
    chosen = _all_searches() if every else [find_search(name) for name in dict.fromkeys(names)]
    results: list[tuple[SavedSearch, Answer, str]] = []
    for search in chosen:
        index = index_name if was_given("index_name") else search.options.get("index", index_name)
        try:
            with _searcher(search, index, Terminal(yes=yes)) as searcher:
                answer = search.answer(searcher, new=new, count=k)
                results.append((search, answer, searcher.name))
        except AstrosearchError as error:
            if len(chosen) == 1:
                raise
            notify(f"{search.name}: {error}")  # the others are run all the same
            continue
        if not answer.hits:
            notify(f"{search.name}: nothing {'new' if new else 'found'}")
    found = [result for result in results if result[1].hits]
    # A feed without entries is one; a reader of feeds takes an empty file for a fault.
    if shown := results if output == "atom" else found:
        _write(shown, output if was_given("output") else None, several=len(chosen) > 1)
        console.flush()
    for search, _, index in results:
        with open_index(index) as searcher:
            search.seen(index).mark(searcher)
    if failed := len(chosen) - len(results):
        raise AstrosearchError(f"{failed} of {len(chosen)} searches could not be run")
    if not found:
        raise NothingFound("no search found anything" + (" new" if new else ""))
    hits = [hit for search, answer, _ in found for hit in _ordered(search, answer).hits]
    return list({hit.paper.id: hit.paper for hit in hits}.values())


def _searcher(search: "SavedSearch", index: str | None, reporter: Terminal) -> "Searcher":
    from astrosearch.cli.query import open_ordering
    from astrosearch.library.searches import ORDERING
    from astrosearch.search.query_parser import parse

    return open_ordering(
        index,
        reporter,
        mode=search.options.get("mode", "hybrid"),
        query=parse(search.query),
        **{name: search.options.get(name) for name in ORDERING},
    )


def _all_searches() -> "list[SavedSearch]":
    """Those of the file that can be used; the others are told.

    Raises:
        NothingFound: if there is none.
    """
    from astrosearch.errors import NothingFound
    from astrosearch.library.searches import read_searches

    searches, problems = read_searches()
    for problem in problems:
        notify(problem)
    if not searches:
        raise NothingFound("there is no saved search; save one: astrosearch save NAME TEXT")
    return list(searches.values())


def _ordered(search: "SavedSearch", answer: "Answer") -> "Answer":
    from astrosearch.search.hits import in_order

    return in_order(answer, search.options.get("sort", "match"))


def _write(
    results: "list[tuple[SavedSearch, Answer, str]]", output: str | None, *, several: bool
) -> None:
    from astrosearch.cli.query import AnswerStyle, write_answer
    from astrosearch.cli.views.digest import atom
    from astrosearch.cli.views.hits import as_json

    if output == "atom":
        reasons: dict[str, list[str]] = {}
        papers = {}
        for search, answer, _ in results:
            for hit in answer.hits:
                papers[hit.paper.id] = hit.paper
                reasons.setdefault(hit.paper.id, []).append(f"search: {search.name}")
        names = ", ".join(search.name for search, *_ in results)
        entries = [(paper, reasons[paper_id]) for paper_id, paper in papers.items()]
        name = "searches" if several else f"search:{results[0][0].name}"
        write(atom(f"Searches: {names}", name, entries))
        return
    if several and output in ("json", "jsonl"):
        records = [
            {"search": search.name, "query": search.query, "index": index, **answer.as_record()}
            for search, answer, index in results
        ]
        if output == "json":
            write(as_json(records, indent=True))
        else:
            for record in records:
                write(as_json(record))
        return
    for search, answer, index in results:
        options = search.options
        style = AnswerStyle(
            output or options.get("format", "table"),
            options.get("abstracts", False),
            options.get("explain", False),
            options.get("key"),
        )
        for note in answer.notes:
            notify(note)
        if several:
            notify(f"{search.name}: {search.query}")
        write_answer(_ordered(search, answer), style, query=search.query, index=index)


@click.command()
@format_option("table", "json", "jsonl")
def searches(output: str) -> None:
    """List the saved searches.

    \b
    astrosearch searches
    """
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.tables import write_table

    saved = _all_searches()
    records = [
        {"name": search.name, "query": search.query, "options": _plain(search.options)}
        for search in saved
    ]
    if output == "json":
        write(as_json(records, indent=True))
    elif output == "jsonl":
        for record in records:
            write(as_json(record))
    else:
        rows = [
            (
                search.name,
                " ".join(f"{name}={value}" for name, value in _plain(search.options).items()),
                search.query,
            )
            for search in saved
        ]
        write_table(("search", "options", "query"), rows)


def _plain(options: Any) -> dict[str, object]:
    from datetime import date

    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in options.items()
    }


@click.command()
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete_search
)
def forget(names: tuple[str, ...]) -> None:
    """Delete saved searches.

    \b
    astrosearch forget jets
    """
    from astrosearch.library.searches import forget_search

    for name in dict.fromkeys(names):
        forget_search(name)
        notify(f"Forgot {name}")

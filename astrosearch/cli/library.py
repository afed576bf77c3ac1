"""`astrosearch library`: the user's own papers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.group import ListGroup
from astrosearch.cli.options import (
    ENTRIES,
    complete_paper,
    complete_scope,
    format_option,
    index_option,
    library_scope,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astrosearch.library.add import Added
    from astrosearch.library.marks import Marks
    from astrosearch.library.store import Change, Library, LibraryPaper
    from astrosearch.search.searcher import Searcher

SHOWN = 20
"""Papers that were not found that are listed; --format json has all."""


@click.group(cls=ListGroup)
def library() -> None:
    """Keep your own papers: import, tag and export them.

    They are in two files that you may edit: library.bib, and papers.toml for tags and notes.
    `astrosearch library info` says where. Search them with `astrosearch query TEXT --in library`.

    \b
    astrosearch library add papers.bib
    astrosearch library add ~/Zotero/zotero.sqlite
    astrosearch query "magellanic stream" --format ids | astrosearch library add -
    astrosearch library tag 2503.14368 --tag streams --liked
    astrosearch library list --in tag:streams
    """


def _mark_options(command: "Callable[..., Any]") -> "Callable[..., Any]":
    for decorate in (
        click.option("--note", metavar="TEXT", help="A note on it."),
        click.option("--read/--unread", default=None, help="Whether you have read it."),
        click.option("--disliked", is_flag=True, help="You want fewer papers like it."),
        click.option("--liked", is_flag=True, help="You want more papers like it."),
        click.option(
            "--tag", "tags", metavar="NAME", multiple=True, help="A tag; may be repeated."
        ),
    ):
        command = decorate(command)
    return command


@library.command("add")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|ID|-...")
@_mark_options
@click.option("--keywords", is_flag=True, help="Make tags of the keywords of entries, too.")
@click.option(
    "--replace", "replacing", is_flag=True, help="Take the new entry of a paper that is there."
)
@click.option("--dry-run", is_flag=True, help="Say what would be added, and change nothing.")
@format_option("table", "json", "jsonl", help="json and jsonl list every paper.")
@index_option
def add_papers(
    sources: tuple[str, ...],
    tags: tuple[str, ...],
    liked: bool,
    disliked: bool,
    read: bool | None,
    note: str | None,
    keywords: bool,
    replacing: bool,
    dry_run: bool,
    output: str,
    index_name: str | None,
) -> None:
    """Add papers to the library.

    A FILE may be BibTeX (of JabRef, Zotero, ADS or papis), RIS, a Zotero database (read even while
    Zotero has it open), or a list of identifiers; - is standard input. zotero:users/NUMBER and
    zotero:groups/NUMBER are read from zotero.org (ZOTERO_API_KEY has the key), zotero:local from
    the Zotero that runs here. An ID is an arXiv identifier, a DOI or a bibcode.

    Each paper is looked for in the index: by arXiv identifier, else DOI, else title and first
    author. Those that are not there are listed with the reason; they are kept and found all the
    same. Your entries stay as they are, with all their fields.

    \b
    astrosearch library add papers.bib --dry-run
    astrosearch library add ~/Zotero/zotero.sqlite
    astrosearch library add 2503.14368 --tag streams --liked
    astrosearch query "magellanic stream" --format ids | astrosearch library add -
    """
    from astrosearch.library.add import add
    from astrosearch.library.marks import Marks
    from astrosearch.library.sources import read_source
    from astrosearch.library.store import Library

    marks = _changed(Marks(), tags, (), liked, disliked, read, note)
    _tell_problems(Library.read())
    with OpenedIndex(index_name) as searcher:
        readings = [read_source(source, searcher) for source in sources]
        for reading in readings:
            for text in reading.notes:
                notify(text)
            for problem in reading.problems[:SHOWN]:
                notify(f"{reading.name} line {problem.line}: {problem.reason}")
            if len(reading.problems) > SHOWN:
                notify(f"{reading.name}: {len(reading.problems) - SHOWN:,} more lines like these")
        results = add(
            readings,
            searcher,
            marks,
            replacing=replacing,
            dry_run=dry_run,
            keywords=keywords,
            reporter=Terminal(),
        )
        name = searcher.name if searcher else ""
    _write_added(results, output, everything=dry_run)
    _summarize(results, name, dry_run=dry_run)


class OpenedIndex:
    """The Searcher of an index; None if there is no index at all."""

    def __init__(self, index_name: str | None) -> None:
        self._name = index_name
        self._searcher: Searcher | None = None

    def __enter__(self) -> "Searcher | None":
        from astrosearch import paths
        from astrosearch.search.searcher import open_index

        if self._name is not None or paths.index_names():
            self._searcher = open_index(self._name, reporter=Terminal())
        else:
            notify("There is no index yet, so papers are kept without looking for them")
        return self._searcher

    def __exit__(self, *_: object) -> None:
        if self._searcher is not None:
            self._searcher.close()


def _write_added(results: "Sequence[Added]", output: str, *, everything: bool) -> None:
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.tables import write_table
    from astrosearch.library import facts
    from astrosearch.library.match import words_of

    records = [result.as_record() for result in results]
    if output == "json":
        write(as_json(records, indent=True))
    elif output == "jsonl":
        for record in records:
            write(as_json(record))
    else:
        listed = [
            result
            for result in results
            if everything or (result.match.sure < 100 and result.outcome != "already there")
        ]
        shown = listed if everything else listed[:SHOWN]
        rows = [
            (
                result.key,
                result.match.arxiv or "—",
                "; ".join(words_of(result.match)) or facts.title(result.entry),
            )
            for result in shown
        ]
        if rows:
            write_table(("key", "in the index", "found by, or why not"), rows)
        if len(listed) > len(shown):
            notify(f"{len(listed) - len(shown):,} more; --format json lists all")


def _summarize(results: "Sequence[Added]", index: str, *, dry_run: bool) -> None:
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("added", "replaced", "already there")
    }
    new = [result for result in results if result.outcome == "added"]
    found = sum(bool(result.match.arxiv) for result in new)
    would = "Would add" if dry_run else "Added"
    parts = [f"{would} {_papers(counts['added'])}"]
    if new and index:
        parts[0] += f": {found:,} of index {index}, {len(new) - found:,} that it does not have"
    if counts["replaced"]:
        parts.append(f"{counts['replaced']:,} replaced")
    if counts["already there"]:
        parts.append(f"{counts['already there']:,} there already")
    notify("; ".join(parts))


def _papers(count: int) -> str:
    return "1 paper" if count == 1 else f"{count:,} papers"


def _changed(
    marks: "Marks",
    tags: "Sequence[str]",
    untags: "Sequence[str]",
    liked: bool,
    disliked: bool,
    read: bool | None,
    note: str | None,
) -> "Marks":
    """Marks with what options say.

    Raises:
        UsageError, InputError: if they contradict each other, or a tag cannot be one.
    """
    from dataclasses import replace

    from astrosearch.library.marks import check_tag

    if liked and disliked:
        raise click.UsageError("--liked and --disliked contradict each other")
    gone = {check_tag(tag).casefold() for tag in untags}
    kept = [tag for tag in marks.tags if tag.casefold() not in gone]
    known = {tag.casefold() for tag in kept}
    kept += [tag for tag in map(check_tag, tags) if tag.casefold() not in known]
    return replace(
        marks,
        tags=tuple(dict.fromkeys(kept)),
        opinion="liked" if liked else "disliked" if disliked else marks.opinion,
        read=marks.read if read is None else read,
        note=marks.note if note is None else note,
    )


def _tell_problems(library: "Library") -> None:
    """What in the library's files cannot be used, on standard error."""
    for problem in library.problems[:SHOWN]:
        notify(problem)
    if len(library.problems) > SHOWN:
        notify(f"{len(library.problems) - SHOWN:,} more; see astrosearch library info")


def _read_library() -> "Library":
    from astrosearch.errors import NothingFound
    from astrosearch.library.store import Library

    library = Library.read()
    _tell_problems(library)
    if not library.papers:
        raise NothingFound("the library is empty; fill it: astrosearch library add FILE")
    return library


@library.command("list")
@library_scope
@click.option("--missing", is_flag=True, help="Only papers that the index does not have.")
@format_option("table", "json", "jsonl", *ENTRIES, help="In a pipe, a table is lines.")
@index_option
def list_papers(within: str, missing: bool, output: str, index_name: str | None) -> None:
    """List the papers of the library.

    \b
    astrosearch library
    astrosearch library list --in tag:streams
    astrosearch library list --in liked --format ids
    """
    library = _read_library()
    papers = library.select(within)
    if missing:
        with OpenedIndex(index_name) as searcher:
            ids = {paper.arxiv for paper in papers if paper.arxiv}
            known = searcher.papers_known(ids) if searcher else set()
        papers = tuple(paper for paper in papers if paper.arxiv not in known)
    if not papers:
        from astrosearch.errors import NothingFound

        raise NothingFound(f"no paper of the library is {'missing' if missing else within}")
    if output == "table":
        from astrosearch.cli.views.library import write_list

        write_list(papers)
    else:
        write(_text(library, papers, output))


def _text(library: "Library", papers: "Sequence[LibraryPaper]", output: str) -> str:
    """Papers in any format but a table."""
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.markdown import papers_list
    from astrosearch.library import csl_entries, ris

    match output:
        case "json":
            return as_json([_record(paper) for paper in papers], indent=True)
        case "jsonl":
            return "\n".join(as_json(_record(paper)) for paper in papers)
        case "bibtex":
            return library.export(papers)
        case "csl-json":
            return as_json([csl_entries.item(paper) for paper in papers], indent=True)
        case "ris":
            entries = ris.entries([csl_entries.item(paper) for paper in papers])
            return "\n\n".join(entries).replace("\r\n", "\n")
        case "markdown":
            return papers_list([paper.paper for paper in papers])
        case _:
            return "\n".join(paper.id for paper in papers)


def _record(paper: "LibraryPaper") -> dict[str, object]:
    from astrosearch.library import facts

    return {
        "key": paper.key,
        "id": paper.id,
        "arxiv": paper.arxiv or None,
        "doi": facts.doi(paper.entry),
        "title": facts.title(paper.entry),
        "authors": list(facts.authors(paper.entry)),
        "year": facts.year(paper.entry),
        "published_in": facts.published_in(paper.entry) or None,
        "tags": list(paper.marks.tags),
        "opinion": paper.marks.opinion or None,
        "read": paper.marks.read,
        "note": paper.marks.note or None,
        "type": paper.entry.type,
        "fields": dict(paper.entry.fields),
    }


@library.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID|-...", shell_complete=complete_paper)
@_mark_options
@click.option("--untag", "untags", metavar="NAME", multiple=True, help="Take a tag away.")
@click.option("--no-opinion", is_flag=True, help="Neither liked nor disliked.")
def tag(
    ids: tuple[str, ...],
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    liked: bool,
    disliked: bool,
    no_opinion: bool,
    read: bool | None,
    note: str | None,
) -> None:
    """Tag papers of the library, and say what you think of them.

    An ID is a key of library.bib, an arXiv identifier or a DOI; with -, identifiers are read from
    standard input. An empty --note takes the note away.

    \b
    astrosearch library tag 2503.14368 --tag streams --liked --read
    astrosearch library tag 2503.14368 --untag streams --note "RR Lyrae of Gaia"
    astrosearch library list --format ids | astrosearch library tag - --tag jets
    """
    from dataclasses import replace

    from astrosearch.errors import NothingFound
    from astrosearch.library.store import changing

    if not (tags or untags or liked or disliked or no_opinion or note is not None) and read is None:
        raise click.UsageError("say what to change: --tag, --liked, --read, --note …")
    if no_opinion and (liked or disliked):
        raise click.UsageError("--no-opinion contradicts --liked and --disliked")
    names = _names(ids)
    with changing() as change:
        _tell_problems(change.library)
        try:
            papers = [change.library.find(name) for name in names]
        except NothingFound as error:
            add = "to add a paper with a tag: astrosearch library add ID --tag NAME"
            raise NothingFound(f"{error}; {add}") from None
        for paper in papers:
            marks = replace(paper.marks, opinion="") if no_opinion else paper.marks
            change.mark(paper, _changed(marks, tags, untags, liked, disliked, read, note))
    notify(f"Changed {_papers(len(papers))}")


@library.command()
@click.argument("ids", nargs=-1, metavar="[ID|-]...", shell_complete=complete_paper)
@click.option(
    "--in",
    "within",
    metavar="WHAT",
    shell_complete=complete_scope,
    help="All papers there: library, tag:NAME, liked, disliked, read or unread.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
def remove(ids: tuple[str, ...], within: str | None, dry_run: bool) -> None:
    """Remove papers from the library, with their tags and notes.

    \b
    astrosearch library remove 2503.14368
    astrosearch library remove --in tag:old --dry-run
    """
    from astrosearch.library.store import Library, changing

    if bool(ids) == bool(within):
        raise click.UsageError("name papers, or give --in WHAT")
    names = _names(ids) if ids else []

    def chosen(library: "Library") -> "list[LibraryPaper]":
        papers = library.select(within) if within else [library.find(name) for name in names]
        return list({paper.key: paper for paper in papers}.values())

    if dry_run:
        papers = chosen(Library.read())
    else:
        change: Change
        with changing() as change:
            papers = chosen(change.library)
            change.remove(papers)
    for paper in papers[:SHOWN]:
        notify(f"{paper.key}  {paper.paper.title}")
    notify(f"{'Would remove' if dry_run else 'Removed'} {_papers(len(papers))}")


@library.command()
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True)
)
@library_scope
@format_option(*ENTRIES, "json", "jsonl", default="bibtex")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def export(file: Path | None, within: str, output: str, force: bool) -> None:
    """Write papers of the library to FILE or to standard output.

    BibTeX entries are written as they stand in library.bib.

    \b
    astrosearch library export refs.bib --in tag:streams
    astrosearch library export --format ids
    """
    library = _read_library()
    papers = library.select(within)
    text = _text(library, papers, output)
    if file is None or str(file) == "-":
        write(text)
        return
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force replaces it")
    from astrosearch import atomic

    with atomic.writing(file), atomic.whole_file(file) as stream:
        stream.write(f"{text.rstrip()}\n".encode())
    notify(f"Wrote {_papers(len(papers))} to {file}")


@library.command()
@click.option(
    "--ads", "name", metavar="NAME", required=True, help="The name of your library at ADS."
)
@library_scope
@click.option("--dry-run", is_flag=True, help="Say what ADS knows, and change nothing.")
def push(name: str, within: str, dry_run: bool) -> None:
    """Add papers of the library to a library at ADS.

    The library at ADS is made if you have none of this name; what it has stays in it, so you may
    push again. Papers are named to ADS by arXiv identifier, DOI or bibcode, and nothing else is
    sent. What ADS does not know is listed. ADS_API_TOKEN has the token of your account.

    \b
    astrosearch library push --ads thesis
    astrosearch library push --ads streams --in tag:streams
    """
    from astrosearch.citations.services import Ads, PoliteClient
    from astrosearch.errors import InputError, NothingFound
    from astrosearch.library import ads

    if not name.strip():
        raise InputError("the name of a library at ADS is empty")
    papers = _read_library().select(within)
    if not papers:
        raise NothingFound(f"no paper of the library is {within}")
    reporter = Terminal()
    with PoliteClient(reporter) as client:
        pushed = ads.push(name, papers, Ads(client), dry_run=dry_run, reporter=reporter)
    for paper, reason in pushed.unknown:
        notify(f"{paper.key}: {reason}")
    if not pushed.added and not pushed.there:
        raise NothingFound(f"none of {_papers(len(papers))} is known to ADS")
    if dry_run:
        notify(f"ADS knows {pushed.added:,} of {_papers(len(papers))}")
        return
    made = ", which is new" if pushed.is_new else ""
    parts = [f"Added {_papers(pushed.added)} to {name} at ADS{made}"]
    if pushed.there:
        parts.append(f"{pushed.there:,} there already")
    if pushed.unknown:
        parts.append(f"{len(pushed.unknown):,} not known to ADS")
    notify("; ".join(parts))


@library.command()
@click.argument("name", required=False, metavar="[ID]", shell_complete=complete_paper)
@format_option("table", "json")
@index_option
def info(name: str | None, output: str, index_name: str | None) -> None:
    """Say what the library has, or what is known of a paper.

    \b
    astrosearch library info
    astrosearch library info 2503.14368
    """
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.tables import write_facts
    from astrosearch.library.store import Library

    library = Library.read()
    if name is not None:
        record = _record(library.find(name))
        if output == "json":
            write(as_json(record, indent=True))
        else:
            write_facts(_facts_of(record))
        return
    with OpenedIndex(index_name) as searcher:
        ids = {paper.arxiv for paper in library.papers if paper.arxiv}
        known = len(searcher.papers_known(ids)) if searcher else 0
        index = searcher.name if searcher else None
    record = {
        "folder": str(library.folder),
        "papers": len(library),
        "index": index,
        "in_index": known,
        "liked": len(library.select("liked")),
        "disliked": len(library.select("disliked")),
        "read": len(library.select("read")),
        "tags": library.tags(),
        "problems": list(library.problems),
    }
    if output == "json":
        write(as_json(record, indent=True))
        return
    tags = ", ".join(f"{tag} ({count:,})" for tag, count in library.tags().items())
    opinions = [f"{record[name]:,} {name}" for name in ("liked", "disliked", "read")]
    facts = {
        "folder": str(library.folder),
        "papers": f"{len(library):,}" + (f", {known:,} of them in index {index}" if index else ""),
        "marked": ", ".join(opinions),
        "tags": tags,
    }
    write_facts({name: value for name, value in facts.items() if value})
    for problem in library.problems:
        notify(problem)


def _facts_of(record: dict[str, Any]) -> dict[str, str]:
    names = ("key", "arxiv", "title", "authors", "year", "published_in", "doi")
    facts = {
        name.replace("_", " "): ", ".join(value) if isinstance(value, list) else str(value)
        for name in (*names, "tags", "opinion", "note")
        if (value := record[name])
    }
    facts["read"] = "yes" if record["read"] else "no"
    shown = {"title", "author", "year", "doi", "journal", "volume", "pages"}
    facts |= {f"{name} =": value for name, value in record["fields"].items() if name not in shown}
    return facts


def _names(ids: tuple[str, ...]) -> list[str]:
    """Identifiers, those of standard input where - stands."""
    names: list[str] = []
    for name in ids:
        names += sys.stdin.read().split() if name == "-" else [name]
    if not names:
        raise click.UsageError("no paper is named")
    return list(dict.fromkeys(names))

"""What can be done with papers, by the shell as by the full-screen reader, so that no action exists
twice. Nothing here prints: whoever asks shows what comes back.

What loads numpy is imported where it is needed, so that the reader's screen comes at once."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError, NothingFound, SetupError
from astrosearch.papers import Paper
from astrosearch.search.hits import Answer, Hit, in_order

if TYPE_CHECKING:
    from astrosearch.comparison.compare import PairComparison
    from astrosearch.index.map import PaperMap
    from astrosearch.library.digest import Digest
    from astrosearch.library.marks import Marks, Opinion
    from astrosearch.library.searches import SavedSearch
    from astrosearch.search.quotes import QuotedAnswer
    from astrosearch.search.searcher import Mode, Searcher
    from astrosearch.text.bibtex import KeyStyle

Part = Literal["bibtex", "id", "title", "address"]
"""What of a paper can be copied."""

PARTS: dict[Part, str] = {
    "bibtex": "BibTeX", "id": "identifiers", "title": "titles", "address": "addresses",
}  # fmt: skip

FORMAT_OF = {
    ".bib": "bibtex", ".ris": "ris", ".md": "markdown", ".json": "json", ".jsonl": "jsonl",
    ".csv": "csv", ".txt": "ids",
}  # fmt: skip
"""The format of a file by the ending of its name."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an index."""

    text: str
    k: int
    filters: Filters = Filters()  # noqa: RUF009  frozen
    mode: "Mode" = "hybrid"
    sort: str = "match"
    within: str | None = None
    """What `--in` says: `library`, `tag:jets`; None for all papers."""
    beyond: str | None = None
    """What `--not-in` says."""


def answer(searcher: "Searcher", question: Question) -> Answer:
    """The hits of a question.

    Raises:
        InputError: if a filter in the text cannot be read, or the library has no such papers.
        NothingFound: if there are none; it says why.
    """
    from astrosearch.cli.query import scope_of
    from astrosearch.search.query_parser import parse

    query = parse(question.text)
    scope = scope_of(question.within, question.beyond)
    found = scope.answer(searcher, query, question.k, question.filters, question.mode)
    if not found.hits:
        raise scope.why_empty(searcher, query, question.filters)
    return in_order(found, question.sort)


def ask(searcher: "Searcher", question: Question, k: int = 6) -> "QuotedAnswer":
    """At most `k` sentences of abstracts that answer a question; of the question, its text and the
    papers that it leaves count.

    Raises:
        InputError: if there is nothing to answer, or the library has no such papers.
        NothingFound: if nothing answers; it says why.
    """
    from astrosearch.cli.query import scope_of
    from astrosearch.search.query_parser import parse

    query = parse(question.text)
    scope = scope_of(question.within, question.beyond)
    found = searcher.ask(query, k, question.filters, scope.among)
    if not found.quotes and not found.has_papers:
        raise scope.why_empty(searcher, query, question.filters)
    if not found.quotes:
        raise NothingFound("; ".join(found.notes))
    return found


def paper_map(searcher: "Searcher") -> "PaperMap":
    """
    Raises:
        NothingFound: if none was drawn.
        IndexDamaged: if it cannot be read.
    """
    from astrosearch.index.map import read_map

    return read_map(searcher.index.folder)


def similar(searcher: "Searcher", ids: Sequence[str], question: Question) -> Answer:
    """The papers nearest to some; of the question, all counts but its text.

    Raises:
        IdentifierError: if one of the ids is not an arXiv identifier.
        NothingFound: if one of the papers is not in the index, or no others pass the filters.
    """
    from astrosearch.cli.query import scope_of

    scope = scope_of(question.within, question.beyond)
    hits = scope.similar(searcher, ids, question.k, question.filters, question.mode)
    if not hits:
        raise scope.why_empty(searcher, None, question.filters)
    return in_order(Answer(hits), question.sort)


def cite(searcher: "Searcher", ids: Sequence[str], question: Question) -> Answer:
    """What papers of the index should cite; of the question, the count and the filters count.

    Raises:
        NothingFound: if one of the papers is not in the index, or no others pass the filters.
    """
    hits = searcher.cite(ids, question.k, question.filters)
    if not hits:
        raise searcher.why_empty(filters=question.filters)
    return Answer(hits)


def new_papers(
    searcher: "Searcher", filters: Filters, k: int, *, again: bool = False
) -> "tuple[Digest, list[str]]":
    """The new papers of an index by how near they are to the library, and what cannot be used in
    the files of the library and of the settings.

    Args:
        again: whether papers that were shown before count, too.

    Raises:
        NothingFound: if none is new.
    """
    from astrosearch.library.digest import read_digest

    result, problems = read_digest(searcher, filters, k, again=again)
    if not result.new:
        newest = searcher.newest_day()
        were_shown = not again and newest >= result.since
        raise NothingFound(
            f"no paper of index {searcher.name} since {result.since} is new to you; the newest is "
            f"of {newest}. To get new ones: astrosearch update {searcher.name}"
            + ("; to see these again: --again" if were_shown else "")
        )
    return result, problems


def library_papers(searcher: "Searcher", within: str = "library") -> "dict[str, tuple[Hit, Marks]]":
    """Papers of the library by identifier, those that were added last first, and what the user
    thinks of them. The text is that of the index, where it has the paper.

    Raises:
        InputError: if `within` names no papers, or the files cannot be read.
    """
    from astrosearch.library.store import Library

    chosen = Library.read().select(within)[::-1]
    known = searcher.papers({one.arxiv for one in chosen if one.arxiv})
    return {
        one.id: (Hit(rank, 1.0, known.get(one.arxiv, one.paper)), one.marks)
        for rank, one in enumerate(chosen, start=1)
    }


def check_scope(within: str) -> None:
    """
    Raises:
        InputError: if the library has no such papers.
    """
    from astrosearch.library.scope import LibraryScope

    LibraryScope.of(within, None)


def think(
    searcher: "Searcher", papers: Sequence[Paper], change: "Callable[[Marks], Marks]"
) -> None:
    """Change what the user thinks of papers. Those that the library does not have are added.

    Raises:
        AstrosearchError: if the library cannot be read or written.
    """
    from astrosearch.library.add import mark

    mark(searcher, [paper.id for paper in papers], change)


def with_opinion(marks: "Marks", opinion: "Opinion") -> "Marks":
    """With an opinion; without one, if it is this one already."""
    return replace(marks, opinion="" if marks.opinion == opinion else opinion)


def with_tags(marks: "Marks", typed: str) -> "Marks":
    """With the tags of a line that has commas between them; `-jets` takes one away.

    Raises:
        InputError: if one cannot be a tag.
    """
    from astrosearch.library.marks import check_tag

    tags = {tag.casefold(): tag for tag in marks.tags}
    for word in filter(None, map(str.strip, typed.split(","))):
        tag = check_tag(word.removeprefix("-"))
        if word.startswith("-"):
            tags.pop(tag.casefold(), None)
        else:
            tags.setdefault(tag.casefold(), tag)
    return replace(marks, tags=tuple(tags.values()))


def save_question(name: str, question: Question) -> None:
    """Save a question, for the reader as for `astrosearch run`.

    Raises:
        InputError: if there is a search of this name, or the name or the question cannot be used.
        AstrosearchError: if it cannot be written.
    """
    from astrosearch.library.searches import SavedSearch, save_search

    filters = question.filters
    options = {
        "mode": None if question.mode == "hybrid" else question.mode,
        "sort": None if question.sort == "match" else question.sort,
        "author": filters.author,
        "category": filters.category,
        "since": filters.since,
        "until": filters.until,
        "in": question.within,
        "not-in": question.beyond,
    }
    given = {name: value for name, value in options.items() if value is not None}
    save_search(SavedSearch(name, " ".join(question.text.split()), given))


def question_of(search: "SavedSearch", k: int) -> Question:
    """The question that a saved search asks.

    Args:
        k: how many papers, if the search does not say it.
    """
    options = search.options
    return Question(
        search.query,
        options.get("count", k),
        search.filters,
        options.get("mode", "hybrid"),
        options.get("sort", "match"),
        options.get("in"),
        options.get("not-in"),
    )


def compare(searcher: "Searcher", first: Paper, second: Paper) -> "PairComparison":
    """Two papers under the index's own encoder."""
    from astrosearch.comparison.compare import compare_pair

    return compare_pair(searcher, first.id, second.id)


def why(hit: Hit) -> list[tuple[str, str]]:
    """The numbers behind a hit's place, and what each group of signals added to it."""
    from astrosearch.cli.views.hits import explanation

    rows = [("match", f"{hit.match} of 100"), *explanation(hit).items()]
    return [(name, value) for name, value in rows if value]


def part(papers: Sequence[Paper], what: Part, key: "KeyStyle | None" = None) -> str:
    """BibTeX entries, identifiers, titles or addresses of papers, as text to be pasted."""
    from astrosearch.cli.views.hits import papers_text, readable

    match what:
        case "bibtex":
            return papers_text(papers, format="bibtex", key=key)[0]
        case "id":
            return "\n".join(paper.id for paper in papers)
        case "title":
            return "\n".join(readable(paper.title) for paper in papers)
        case "address":
            return "\n".join(address(paper) for paper in papers)


def go_on(
    papers: Sequence[Paper], opened: int | None, copied: Part | None, key: "KeyStyle | None" = None
) -> None:
    """Open the page of a paper of an answer, and copy its papers.

    Args:
        opened: the place of the paper, from 1; None opens none.
        copied: None copies nothing.

    Raises:
        InputError: if the answer has no such place.
        NothingFound: if the paper has no page.
        SetupError: if there is no browser or no clipboard.
    """
    from astrosearch.cli import clipboard
    from astrosearch.cli.console import flush, notify

    flush()  # the answer comes first
    if copied:
        clipboard.copy(part(papers, copied, key))
        count = "1 paper" if len(papers) == 1 else f"{len(papers):,} papers"
        notify(f"Copied: {PARTS[copied]} of {count}")
    if opened is None:
        return
    if opened > len(papers):
        count = f"papers 1 to {len(papers):,}" if len(papers) > 1 else "1 paper"
        raise InputError(f"there is no paper {opened:,} to open: {count} shown")
    page = address(papers[opened - 1])
    open_in_browser(page)
    notify(f"{page} is opened in your web browser")


def address(paper: Paper) -> str:
    """
    Raises:
        NothingFound: if the paper has no page, as one of the library may have none.
    """
    if not paper.url:
        raise NothingFound(f"no page of {paper.id} is known: its entry has neither id nor DOI")
    return paper.url


def export(papers: Sequence[Paper], file: Path, key: "KeyStyle | None" = None) -> list[str]:
    """Write papers to a file, whole or not at all, in the format that its ending names.

    Returns:
        What is to be said of them, in sentences.

    Raises:
        InputError: if the ending names no format.
        AstrosearchError: if the file cannot be written.
    """
    from astrosearch import atomic
    from astrosearch.cli.views.hits import papers_text

    format = FORMAT_OF.get(file.suffix.lower())
    if format is None:
        raise InputError(
            f"{file.name!r} does not end in a format: write {', '.join(FORMAT_OF)} behind the name"
        )
    text, notes = papers_text(papers, format=format, key=key, in_utf8=True)
    with atomic.writing(file), atomic.whole_file(file) as stream:
        stream.write((text if text.endswith("\n") else f"{text}\n").encode())
    return notes


def pdf_address(paper: Paper) -> str:
    """
    Raises:
        NothingFound: if the paper is not in arXiv.
    """
    if not paper.is_preprint:
        raise NothingFound(f"{paper.id} is not in arXiv, so its PDF is not known")
    return f"https://arxiv.org/pdf/{paper.id}"


def browser_takes_terminal() -> bool:
    """Whether the user's web browser runs in the terminal, as w3m does."""
    import webbrowser

    try:
        return type(webbrowser.get()) is webbrowser.GenericBrowser
    except webbrowser.Error:
        return False


def open_in_browser(address: str) -> bool:
    """Open a page in the user's web browser; returns True.

    Raises:
        SetupError: if there is none, or it fails; it tells the address.
    """
    # What a browser of its own window writes must not come onto the screen.
    stream = None if browser_takes_terminal() else subprocess.DEVNULL
    code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, address],
        stdin=stream,
        stdout=stream,
        stderr=stream,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"no web browser could be started; the page is {address}")
    return True

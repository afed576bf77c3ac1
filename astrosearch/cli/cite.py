"""`astrosearch cite`."""

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    ENTRIES,
    Day,
    answer_options,
    consent_option,
    filter_options,
    going_on,
    index_option,
    sort_option,
)
from astrosearch.cli.query import AnswerStyle, write_answer

if TYPE_CHECKING:
    from astrosearch.library.draft import Cited, Draft
    from astrosearch.papers import Paper
    from astrosearch.search.searcher import Searcher
    from astrosearch.text.bibtex import KeyStyle


@click.command()
@click.argument("what", metavar="ID|FILE|-")
@click.option(
    "--before",
    type=Day(last=True),
    help="Nothing later than this date; by default that of the paper, of \\date, or today.",
)
@click.option("--no-self", is_flag=True, help="No papers that share an author with the draft.")
@click.option("--mark-cited", is_flag=True, help="Show and mark what the draft cites already.")
@sort_option
@answer_options
@filter_options
@consent_option
@index_option
@going_on
def cite(
    what: str,
    before: date | None,
    no_self: bool,
    mark_cited: bool,
    sort: str,
    k: int,
    output: str,
    abstracts: bool,
    explain: bool,
    key: "KeyStyle | None",
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> "list[Paper]":
    """Find what a paper or a draft should cite and does not yet.

    ID is a paper of the index. FILE is a draft in LaTeX, of which title, abstract, authors and
    \\date are read; or a BibTeX file, whose papers ask together; or a text. With - a text is read
    from standard input; a first line that an empty line follows is its title.

    What the draft cites already is left out: what \\cite, \\bibitem and the files of \\bibliography
    name by arXiv identifier, DOI, bibcode or title; of a \\bibitem, a title in quotation marks or
    italics. Where a file of \\bibliography is missing, draft.bbl is read. Files of \\input and
    \\include are read, too. Nothing later than the draft is proposed.

    \b
    astrosearch cite 2503.14368
    astrosearch cite 2503.14368 --no-self
    astrosearch cite draft.tex
    astrosearch cite draft.tex -k 30 --format bibtex >> draft.bib
    astrosearch cite draft.tex --mark-cited --explain
    astrosearch cite draft.bib --since 2020
    pbpaste | astrosearch cite - --before 2018-06
    """
    if mark_cited and output in ENTRIES:
        raise click.UsageError(f"--mark-cited cannot be seen with --format {output}")

    from astrosearch.corpus.filters import Filters
    from astrosearch.search.hits import Answer, in_order
    from astrosearch.search.searcher import open_index

    option_filters = Filters(**filters)
    draft = _draft(what)
    _check(draft, no_self=no_self, mark_cited=mark_cited)
    reporter = Terminal(yes=yes)
    with open_index(index_name, reporter=reporter) as searcher:
        notes: list[str] = []
        paper: Paper | None
        if draft is None:
            paper = known = _paper(what, searcher)
            asking: list[str] | Paper = [known.id]
            cited, notes = _cited_by_paper(known, searcher, mark_cited=mark_cited)
        else:
            paper = draft.paper
            cited, notes = _cited(draft, searcher, reporter, mark_cited=mark_cited)
            asking = draft.paper or list(cited.ids)
        day = before or (paper.published if paper else date.today())
        if option_filters.since and option_filters.since > day:
            raise click.UsageError(
                f"--since {option_filters.since} leaves nothing: no paper later than {day} is "
                f"proposed for {draft.name if draft else what}; give an earlier day, or a later "
                "--before"
            )
        without = () if mark_cited else cited.ids
        hits = searcher.cite(
            asking,
            k,
            option_filters,
            before=day,
            without=without,
            cites=cited.ids,
            no_self=no_self,
        )
        for note in notes:
            notify(note)
        if not hits:
            last = min(day, option_filters.until or day)
            raise searcher.why_empty(filters=replace(option_filters, until=last))
    if mark_cited:
        hits = [replace(hit, is_cited=hit.paper.id in cited.ids) for hit in hits]
    answer = in_order(Answer(hits, tuple(notes)), sort)
    style = AnswerStyle(output, abstracts, explain, key)
    return write_answer(answer, style, query=what, index=searcher.name)


def _draft(what: str) -> "Draft | None":
    """The draft that is in a file or on standard input; None if there is no such file.

    Raises:
        UsageError: if what is named is a folder.
        InputError: if it tells nothing of a paper.
    """
    from astrosearch.library.draft import read_draft

    path = Path(what)
    if what == "-":
        content, name, folder = sys.stdin.buffer.read(), "standard input", Path()
    elif not what.strip():
        raise click.UsageError("the name of a file is empty")
    elif path.is_dir():
        raise click.UsageError(f"{what} is a folder: name a file")
    elif path.exists():
        content, name, folder = path.read_bytes(), path.name, path.parent
    else:
        return None
    return read_draft(name, content, today=date.today(), folder=folder)


def _check(draft: "Draft | None", *, no_self: bool, mark_cited: bool) -> None:
    """
    Raises:
        UsageError: if an option has nothing to act on.
    """
    if mark_cited and draft is not None and not draft.references:
        raise _nothing_to_mark("the draft")
    if no_self and draft is not None and not (draft.paper and draft.paper.authors):
        raise click.UsageError(
            f"--no-self has nothing to leave out: {draft.name} does not say who writes the draft"
        )


def _nothing_to_mark(what: str) -> click.UsageError:
    return click.UsageError(f"--mark-cited has nothing to mark: no references of {what} are known")


def _cited_by_paper(
    paper: "Paper", searcher: "Searcher", *, mark_cited: bool
) -> "tuple[Cited, list[str]]":
    """What a paper of the index cites as far as its citations tell, and what has to be said of it.

    Raises:
        UsageError: if references are to be marked, and none are known.
    """
    from astrosearch.library.draft import Cited

    works = searcher.references(paper.id) if searcher.has_citations else []
    ids = tuple(work.paper.id for work in works if work.paper)
    if not ids:
        if mark_cited:
            raise _nothing_to_mark(paper.id)
        return Cited(), []
    cited = Cited(ids, len(works), len(ids))
    return cited, [_said_of(cited, searcher.name, mark_cited=mark_cited)]


def _said_of(cited: "Cited", index: str, *, mark_cited: bool) -> str:
    """`2 references: 1 is in index astro and is left out`"""
    is_one = cited.references == 1
    references = "1 reference" if is_one else f"{cited.references:,} references"
    if not cited.known:
        return f"{references}: {'it is not' if is_one else 'none is'} known to be in index {index}"
    these, be = "it" if is_one else f"{cited.known:,}", "is" if cited.known == 1 else "are"
    done = "marked" if mark_cited else "left out"
    return f"{references}: {these} {be} in index {index} and {be} {done}"


def _paper(what: str, searcher: "Searcher") -> "Paper":
    """The paper of the index that an identifier names.

    Raises:
        UsageError: if it is no identifier.
        NothingFound: if the index does not have it.
    """
    from astrosearch.errors import NothingFound
    from astrosearch.search.identifiers import read_identifier, why_not

    identifier = read_identifier(what)
    if identifier is None:
        raise click.UsageError(
            why_not(what) or f"{what!r} is neither a file nor an identifier of a paper"
        )
    if identifier.arxiv_id:
        return searcher.paper(identifier.arxiv_id)
    paper = searcher.paper_of(identifier)
    if paper is None:
        raise NothingFound(
            f"{identifier}, but no paper of index {searcher.name} is known to have it"
        )
    return paper


def _cited(
    draft: "Draft", searcher: "Searcher", reporter: Terminal, *, mark_cited: bool
) -> "tuple[Cited, list[str]]":
    """What a draft cites, and what has to be said of it.

    Raises:
        NothingFound: if BibTeX asks, of which the index has no paper.
    """
    from astrosearch.errors import NothingFound
    from astrosearch.library.draft import cited_by

    cited = cited_by(draft, searcher, reporter)
    notes = list(draft.notes)
    if draft.paper is None and not cited.ids:
        raise NothingFound(f"no paper of {draft.name} is known to be in index {searcher.name}")
    if cited.references:
        notes.append(_said_of(cited, searcher.name, mark_cited=mark_cited))
    return cited, notes

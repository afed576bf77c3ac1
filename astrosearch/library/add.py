"""Adding papers to the library."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astrosearch.library import facts, marks
from astrosearch.library.bibtex_text import Entry
from astrosearch.library.marks import Marks
from astrosearch.library.match import Match, likeness, match_entries
from astrosearch.library.sources import Candidate, Reading, of_papers
from astrosearch.library.store import Change, Library, LibraryPaper, changing
from astrosearch.library.zotero import as_tag
from astrosearch.report import SILENT, Reporter

if TYPE_CHECKING:
    from astrosearch.search.searcher import Searcher

Outcome = Literal["added", "already there", "replaced"]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a candidate."""

    key: str
    """In the library."""
    outcome: Outcome
    entry: Entry
    match: Match
    source: str

    @property
    def id(self) -> str:
        return self.match.arxiv or facts.arxiv_id(self.entry) or self.key

    def as_record(self) -> dict[str, object]:
        return {
            "key": self.key,
            "outcome": self.outcome,
            "title": facts.title(self.entry),
            "arxiv": self.match.arxiv or facts.arxiv_id(self.entry),
            "in_index": bool(self.match.arxiv),
            "matched_by": self.match.how,
            "sure": self.match.sure,
            "reason": self.match.reason,
            "source": self.source,
            "line": self.entry.line,
        }


def add(
    readings: Sequence[Reading],
    searcher: "Searcher | None",
    extra: Marks = marks.NONE,
    *,
    replacing: bool = False,
    dry_run: bool = False,
    keywords: bool = False,
    folder: Path | None = None,
    reporter: Reporter = SILENT,
) -> list[Added]:
    """Add the papers of some sources to the library, matched with an index.

    A paper that is there already, under the same key or with the same identifier, stays as it is,
    but for what is thought of it.

    Args:
        searcher: the index; None if there is none.
        extra: what is thought of all of them.
        replacing: whether the new entry takes the place of one that is there.
        dry_run: whether nothing is to be written.
        keywords: whether keywords become tags.
        folder: of the library; by default that of this machine.

    Raises:
        AstrosearchError: as `changing`.
    """
    candidates = [(one, reading.name) for reading in readings for one in reading.candidates]
    entries = [candidate.entry for candidate, _ in candidates]
    if searcher is None:
        matches = [Match(reason="there is no index")] * len(entries)
    else:
        with _stoppable():
            matches = match_entries(searcher, entries, reporter)
    if dry_run:
        change = Change(Library.read(folder))
        return _merge(change, candidates, matches, extra, replacing=replacing, keywords=keywords)
    with changing(folder) as change, _stoppable():
        return _merge(change, candidates, matches, extra, replacing=replacing, keywords=keywords)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Work before anything is written.

    Raises:
        KeyboardInterrupt: if it is stopped; it says that nothing was added.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was added: the library is as it was") from None


def mark(
    searcher: "Searcher", ids: Sequence[str], change_marks: Callable[[Marks], Marks]
) -> list[LibraryPaper]:
    """Change what is thought of papers, which are added if the library does not have them.

    Args:
        ids: keys of the library, or identifiers of papers of the index.

    Raises:
        IdentifierError, NothingFound: if neither the library nor the index has a paper.
        AstrosearchError: as `changing`.
    """
    library = Library.read()
    own = {name for paper in library.papers for name in (paper.id, paper.key)}
    missing = [searcher.paper(paper_id).id for paper_id in ids if paper_id not in own]
    if missing:
        add([of_papers(missing, searcher)], searcher)
    with changing() as change:
        found = [change.library.find(paper_id) for paper_id in ids]
        changed = [replace(paper, marks=change_marks(paper.marks)) for paper in found]
        for paper in changed:
            change.mark(paper, paper.marks)
    return changed


def _merge(
    change: Change,
    candidates: Sequence[tuple[Candidate, str]],
    matches: Sequence[Match],
    extra: Marks,
    *,
    replacing: bool,
    keywords: bool,
) -> list[Added]:
    known = _Known(change.library)
    results = []
    for (candidate, source), match in zip(candidates, matches, strict=True):
        entry = candidate.entry
        mark = candidate.marks.merged(extra)
        if keywords:
            mark = mark.merged(Marks(tags=_keywords(entry)))
        if match.arxiv and match.arxiv != facts.arxiv_id(entry):
            mark = replace(mark, arxiv=match.arxiv)
        paper = known.find(entry, match.arxiv)
        outcome: Outcome = "already there"
        if paper is None:
            key = change.add(entry, mark, candidate.source)
            outcome = "added"
            known.put(LibraryPaper(replace(entry, key=key), mark))
        else:
            key = paper.key
            if replacing and entry.raw != paper.entry.raw and key in known.original:
                change.replace(key, entry, candidate.source)
                outcome = "replaced"
            merged = paper.marks.merged(mark)
            if merged != paper.marks:
                paper = replace(paper, marks=merged)
                change.mark(paper, merged)
                known.put(paper)
        results.append(Added(key, outcome, entry, match, source))
    return results


class _Known:
    """The papers that are there, by all that they can be known by."""

    def __init__(self, library: Library) -> None:
        self.original = {paper.key for paper in library.papers}
        self._by: dict[str, LibraryPaper] = {}
        for paper in library.papers:
            self.put(paper)

    def put(self, paper: LibraryPaper) -> None:
        self._by[f"key:{paper.key.lower()}"] = paper
        if paper.arxiv:
            self._by[f"arxiv:{paper.arxiv}"] = paper
        if doi := facts.doi(paper.entry):
            self._by[f"doi:{doi}"] = paper

    def find(self, entry: Entry, arxiv: str) -> LibraryPaper | None:
        """The paper that an entry is: it has the same identifier, or the same key and a title that
        is not another's."""
        arxiv = arxiv or facts.arxiv_id(entry) or ""
        if arxiv and (paper := self._by.get(f"arxiv:{arxiv}")):
            return paper
        doi = facts.doi(entry)
        if doi and (paper := self._by.get(f"doi:{doi}")):
            return paper
        paper = self._by.get(f"key:{entry.key.lower()}")
        if paper is None or (arxiv and paper.arxiv and arxiv != paper.arxiv):
            return None
        title, other = facts.title(entry), facts.title(paper.entry)
        if title and other and likeness(title, other) < SAME:
            return None
        return paper


SAME = 0.6
"""Likeness of titles from which on two entries of one key are one paper."""


def _keywords(entry: Entry) -> tuple[str, ...]:
    text = facts.readable(entry.fields.get("keywords", ""))
    parts = text.split(";") if ";" in text else text.split(",")
    return tuple(filter(None, map(as_tag, parts)))

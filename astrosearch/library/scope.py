"""Searching in the library, in a part of it, or everywhere else: `--in` and `--not-in`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.conditions import ALL, Among
from astrosearch.search.hits import Answer, Hit
from astrosearch.search.query_parser import ParsedQuery

if TYPE_CHECKING:
    from astrosearch.errors import NothingFound
    from astrosearch.library.store import LibraryPaper
    from astrosearch.search.searcher import Mode, Searcher


@dataclass(frozen=True)
class LibraryScope:
    """The papers that may be found."""

    among: Among = ALL
    papers: tuple["LibraryPaper", ...] = ()
    """Of the library; those that the index does not have are found by their own text."""

    @classmethod
    def of(cls, within: str | None, beyond: str | None) -> "LibraryScope":
        """
        Args:
            within: what `--in` says, as `Library.select` takes it; None for all papers.
            beyond: what `--not-in` says.

        Raises:
            InputError: if one of them names no papers, or the library cannot be read.
        """
        if within is None and beyond is None:
            return cls()
        from astrosearch.library.store import Library  # not for a search of all papers

        library = Library.read()
        if not library.papers:
            raise InputError("the library is empty; fill it: astrosearch library add FILE")
        papers = library.select(within) if within is not None else ()
        if within is not None and not papers:
            raise InputError(f"no paper of the library is {within}")
        left_out = library.select(beyond) if beyond is not None else ()
        keys = {paper.key for paper in left_out}
        papers = tuple(paper for paper in papers if paper.key not in keys)
        names = [f"in {within}"] if within else []
        names += [f"not in {beyond}"] if beyond else []
        among = Among(
            None if within is None else frozenset(paper.arxiv for paper in papers if paper.arxiv),
            frozenset(paper.arxiv for paper in left_out if paper.arxiv),
            " and ".join(names),
        )
        return cls(among, papers)

    def answer(
        self, searcher: "Searcher", query: ParsedQuery, k: int, filters: Filters, mode: "Mode"
    ) -> Answer:
        """The answer to a query, as `Searcher.answers` gives it, with own papers in it."""
        [answer] = searcher.answers([query], k, filters, mode, among=self.among)
        own = self._own(searcher)
        if not own or query.identifier:
            return answer
        from astrosearch.library.own_papers import with_own

        hits = with_own(searcher, answer.hits, [one.paper for one in own], query, k, filters, mode)
        return replace(answer, hits=hits)

    def similar(
        self,
        searcher: "Searcher",
        ids: Sequence[str],
        k: int,
        filters: Filters,
        mode: "Mode" = "hybrid",
    ) -> list[Hit]:
        """The papers most like some, as `Searcher.similar` gives them, with own papers."""
        hits = searcher.similar(ids, k, filters, mode, among=self.among)
        own = [one for one in self._own(searcher) if one.id not in ids]
        if not own:
            return hits
        from astrosearch.library.own_papers import with_own

        text = "\n".join(paper.text for paper in searcher.papers(ids).values())
        papers = [one.paper for one in own]
        # Own papers are placed by their vectors, or in a search by words alone, by their words.
        own_mode: Mode = "lexical" if mode == "lexical" else "dense"
        return with_own(searcher, hits, papers, ParsedQuery(text), k, filters, own_mode)

    def why_empty(
        self, searcher: "Searcher", query: ParsedQuery | None, filters: Filters
    ) -> "NothingFound":
        return searcher.why_empty(query, filters, self.among)

    def _own(self, searcher: "Searcher") -> "list[LibraryPaper]":
        """The library's papers that the index does not have, and that have a text."""
        if not self.papers:
            return []
        known = searcher.papers_known({paper.arxiv for paper in self.papers if paper.arxiv})
        return [paper for paper in self.papers if paper.arxiv not in known and paper.has_text]

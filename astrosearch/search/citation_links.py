"""What papers cite and what cites them, and papers that are near to others by that."""

from dataclasses import dataclass

import numpy as np

from astrosearch.citations.graph import Graph, Works
from astrosearch.errors import NothingFound
from astrosearch.papers import Paper
from astrosearch.search.hits import Hit, paper_record
from astrosearch.search.paper_index import Column, Scope, SearchedIndex


@dataclass(frozen=True)
class LinkedWork:
    """A work that a paper cites, or that cites it."""

    key: str
    """An arXiv identifier, a DOI, a bibcode, or a number of OpenAlex or Semantic Scholar."""
    paper: Paper | None
    """None if it is not a paper of the index."""
    citations: int
    """How many works cite it."""

    def as_record(self) -> dict[str, object]:
        """The work for JSON."""
        record: dict[str, object] = {"key": self.key, "citations": self.citations}
        return record | ({} if self.paper is None else paper_record(self.paper))


def linked_works(papers: SearchedIndex, paper_id: str, *, citing: bool) -> list[LinkedWork]:
    """What cites a paper, or what it cites: first the papers of the index, the most cited first.

    Raises:
        NothingFound: if the index has no citations.
    """
    graph = _graph(papers)
    works = _links(graph, graph.works_of(papers.papers([paper_id]))[0], citing=citing)
    ids = papers.among_works(works)
    by_id = dict(zip(ids, papers.papers(list(ids.values())), strict=True))
    counts = graph.counts(works).tolist()
    linked = [
        LinkedWork(graph.key(work), by_id.get(work), count)
        for work, count in zip(works.tolist(), counts, strict=True)
    ]
    return sorted(linked, key=lambda each: (each.paper is None, -each.citations, each.key))


def linked(papers: SearchedIndex, ids: list[str], k: int, scope: Scope) -> list[Hit]:
    """The `k` papers nearest to some by bibliographic coupling (Kessler 1963,
    doi:10.1002/asi.5090140103) and co-citation (Small 1973, doi:10.1002/asi.4630240406), best
    first.

    Either is the number of works that both cite, or that cite both, over the geometric mean of how
    many there are of each (Salton's cosine), the mean over `ids`; the score is the mean of the two.

    Raises:
        NothingFound: if the index has no citations, or knows of none of these papers.
    """
    graph = _graph(papers)
    total = np.zeros(len(graph))
    shared = [np.zeros(len(graph), dtype=np.int64) for _ in range(2)]
    for pair in graph.works_of(papers.papers(ids)):
        for citing in (False, True):
            scores, counts = _overlaps(graph, pair, citing=citing)
            total += scores / (2 * len(ids))
            shared[citing] += counts
    if not total.any():
        names = ", ".join(ids)
        raise NothingFound(f"the index knows no paper that shares references with {names}")
    works = np.flatnonzero(total)
    works = works[np.argsort(-total[works], kind="stable")]
    found: dict[int, str] = {}
    block = max(4 * k, 100)
    for start in range(0, len(works), block):
        found |= papers.among_works(works[start : start + block], scope)
        if len(found) >= k:
            break
    best = dict(list(found.items())[:k])
    return [
        Hit(
            rank=rank,
            score=float(total[work]),
            paper=paper,
            match=round(100 * float(total[work])),
            shared_references=int(shared[False][work]),
            cocitations=int(shared[True][work]),
        )
        for rank, (work, paper) in enumerate(
            zip(best, papers.papers(list(best.values())), strict=True), start=1
        )
    ]


def _overlaps(graph: Graph, pair: Works, *, citing: bool) -> tuple[Column, Works]:
    """For each work, how much its references overlap with those of a paper, or if `citing`, what
    cites them; and how many are the same."""
    ours = _links(graph, pair, citing=citing)
    back = graph.references if citing else graph.citations
    counts = np.zeros(len(graph), dtype=np.int64)
    for work in ours.tolist():
        counts[back(work)] += 1
    counts[pair[pair >= 0]] = 0
    others = np.flatnonzero(counts)
    sizes = graph.counts(others) if citing else graph.reference_counts(others)
    scores = np.zeros(len(graph))
    scores[others] = counts[others] / np.sqrt(sizes * max(1, len(ours)))
    return scores, counts


def _links(graph: Graph, pair: Works, *, citing: bool) -> Works:
    links = graph.citations if citing else graph.references
    return np.unique(np.concatenate([links(work) for work in pair.tolist()]))


def _graph(papers: SearchedIndex) -> Graph:
    if papers.graph is None:
        raise NothingFound("the index has no citations", remedy="import-citations")
    return papers.graph

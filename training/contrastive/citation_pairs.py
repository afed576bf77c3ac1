"""Which papers belong together by the citations of an index (`astrosearch.citations`)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.citations.graph import Graph, Works
from astrosearch.corpus.store import Corpus
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.manifest import Manifest
from astrosearch.report import SILENT, Reporter

Rows = NDArray[np.int64]

BLOCK = 10_000
"""Papers that are read at once."""

COMMONEST = 1_000
"""Works that are cited more often, and papers that cite more, tell little of who is near to whom,
and would take most of the time."""


def graph_of(folder: Path) -> Graph:
    """The citations of the index in a folder.

    Raises:
        InputError: if there is no index, or it has no citations.
    """
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{folder} is not the folder of an index")
    citations = Manifest.read(folder, check_files=False).citations
    if not citations:
        raise InputError(
            f"index {folder.name} has no citations; import them: astrosearch citations import FILE "
            f"--index {folder.name}"
        )
    return Graph(folder / citations)


def related_rows(
    graph: Graph, corpus: Corpus, fold: int, neighbours: int = 0, reporter: Reporter = SILENT
) -> Iterator[tuple[int, Rows]]:
    """Rows of training papers and the rows of training papers that belong to each.

    Args:
        fold: which fifth is held out; neither its papers nor what they cite count.
        neighbours: 0 for the papers that one cites; else so many that are nearest by bibliographic
            coupling and co-citation. SciNCL (arXiv:2202.06671) takes the nearest in an embedding of
            the graph.
    """
    ids = list(corpus.ids())
    works = np.concatenate(
        [
            graph.works_of(corpus.papers(range(start, min(start + BLOCK, len(ids)))))
            for start in range(0, len(ids), BLOCK)
        ]
    )
    held_out = np.array([is_held_out(paper_id, fold) for paper_id in ids], dtype=bool)
    row_of = np.full(len(graph), -1, dtype=np.int64)
    hidden = np.zeros(len(graph), dtype=bool)
    for column in (1, 0):
        known = works[:, column] >= 0
        row_of[works[known & ~held_out, column]] = np.flatnonzero(known & ~held_out)
        hidden[works[known & held_out, column]] = True
    near = _Near(graph, row_of, hidden)
    for row in np.flatnonzero(~held_out & (works >= 0).any(axis=1)).tolist():
        reporter.progress("Reading citations", row, len(ids))
        others = near.nearest(works[row], neighbours) if neighbours else near.cited(works[row])
        others = others[others != row]
        if len(others):
            yield row, others[:neighbours] if neighbours else others
    reporter.progress("Reading citations", len(ids), len(ids))


class _Near:
    def __init__(self, graph: Graph, row_of: Rows, hidden: NDArray[np.bool_]) -> None:
        """
        Args:
            row_of: (works,) rows of training papers, -1 for other works.
            hidden: (works,) whether a work is held out.
        """
        self._graph, self._row_of, self._hidden = graph, row_of, hidden

    def cited(self, pair: Works) -> Rows:
        """The training papers that a paper cites."""
        rows = self._row_of[self._links(pair, citing=False)]
        return np.unique(rows[rows >= 0])

    def nearest(self, pair: Works, count: int) -> Rows:
        """The training papers nearest to a paper, best first, one more than `count`."""
        scores: dict[int, float] = {}
        for citing in (False, True):
            links = self._links(pair, citing=citing)
            if not len(links):
                continue
            others = [self._back(work, citing=citing) for work in links.tolist()]
            works, shared = np.unique(np.concatenate(others), return_counts=True)
            sizes = self._graph.counts(works) if citing else self._graph.reference_counts(works)
            cosines = shared / np.sqrt(np.maximum(sizes, 1) * len(links))
            for row, cosine in zip(self._row_of[works].tolist(), cosines.tolist(), strict=True):
                if row >= 0:
                    scores[row] = scores.get(row, 0.0) + cosine
        best = sorted(scores, key=lambda row: (-scores[row], row))
        return np.array(best[: count + 1], dtype=np.int64)

    def _links(self, pair: Works, *, citing: bool) -> Works:
        graph = self._graph
        links = graph.citations if citing else graph.references
        works = np.unique(np.concatenate([links(work) for work in pair.tolist()]))
        return works[~self._hidden[works]] if citing else works

    def _back(self, work: int, *, citing: bool) -> Works:
        """What else cites a work, or if `citing`, what else a work cites."""
        others = self._graph.references(work) if citing else self._graph.citations(work)
        return others if len(others) <= COMMONEST else others[:0]

"""Signals: named columns of numbers by which candidates are ranked.

A new signal is a function here and a name in `GROUPS`; `train rank` gives it its weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors
from astrosearch.papers import Paper
from astrosearch.search.late_interaction import KERNELS, Comparison, compare
from astrosearch.search.paper_index import Column, EncodedQuery, PaperIndex
from astrosearch.text.authors import author_words, is_group, name_words, split_name

if TYPE_CHECKING:
    from astrosearch.search.author_names import AuthorName

SUPPORT = tuple(f"support_{round(10 * centre)}" for centre, _ in KERNELS)
SHARES = tuple(f"share_{number}" for number in range(7))

GROUPS = {
    "words": ("bm25", "pairs", "names", "title_names"),
    "meaning": ("cosine", "written_cosine"),
    "query in paper": ("recall", "plain_recall", "missed", "exact", *SUPPORT),
    "paper in query": ("precision", *SHARES),
    "neighbours": ("neighbourhood",),
    "title": ("title_cosine",),
    "authors": ("author_match", "shared_authors", "shares_author"),
    "age": ("age", "recent"),
    "category": ("shared_categories",),
    "citations": (
        "cited_nearby",
        "nearest_citing",
        "cited_by_authors",
        "citations",
        "citation_rate",
    ),
}
"""All signals, by what they tell, in the words of `--explain`."""


@dataclass(frozen=True)
class SignalTable:
    """The signals of (n,) papers. A signal that was not computed has no column."""

    ids: list[str]
    columns: dict[str, Column] = field(default_factory=dict)
    """Each (n,); NaN where the signal of a paper is not known."""

    def take(self, order: NDArray[np.int64]) -> "SignalTable":
        """The same papers in another order, or some of them."""
        columns = {name: column[order] for name, column in self.columns.items()}
        return SignalTable([self.ids[place] for place in order.tolist()], columns)


def token_signals(query: EncodedQuery, papers: PaperIndex, ids: Sequence[str]) -> dict[str, Column]:
    """How papers compare with the query token by token, the mean over its texts; nothing if it has
    no tokens."""
    if query.encoder is None or not query.tokens:
        return {}
    documents = papers.weighted_tokens(query.encoder, ids)
    comparisons = [compare(query.encoder, text, documents) for text in query.tokens]
    mean = comparisons[0]
    if len(comparisons) > 1:
        mean = Comparison(*(np.mean(each, axis=0) for each in zip(*comparisons, strict=True)))
    return {
        "recall": mean.recall,
        "precision": mean.precision,
        "plain_recall": mean.plain_recall,
        "missed": mean.missed,
        "exact": mean.exact,
        **dict(zip(SUPPORT, mean.support.T, strict=True)),
        **dict(zip(SHARES, mean.shares.T, strict=True)),
    }


def word_signals(query: EncodedQuery, papers: PaperIndex, ids: Sequence[str]) -> dict[str, Column]:
    """How much of a text's neighbouring words, and of its designations, papers have. What no paper
    has has no column."""
    if query.words is None or query.papers:
        return {}
    columns = {
        "pairs": papers.pair_shares(query.words, ids),
        "names": papers.name_shares(query.words, ids),
        "title_names": papers.name_shares(query.words, ids, ("title",)),
    }
    return {name: column for name, column in columns.items() if column is not None}


NEIGHBOURS = 8
"""Neighbours of a candidate in the graph of `neighbourhood`."""

RESTART = 0.6
"""Probability that its walk begins anew at each step."""

SHARPNESS = 8.0
"""How much likelier it begins at a paper nearer to the query: as e to this times the cosine."""

STEPS = 8
"""After so many, what is left of the first distribution is .4⁸ = .0007."""


def neighbourhood(vectors: Vectors, cosines: Column) -> Column:
    """(n,) how often a random walk over the nearest neighbours among the candidates, which begins
    anew at those nearest to the query, comes by a paper: 1 for the commonest. (Personalised
    PageRank: Haveliwala 2002.)

    Args:
        vectors: (n, dimension) unit rows of the candidates.
        cosines: (n,) with the query.
    """
    count = len(vectors)
    if count < 2:
        return np.ones(count)
    likeness = (vectors @ vectors.T).astype(np.float64)
    np.fill_diagonal(likeness, -1.0)
    neighbours = min(NEIGHBOURS, count - 1)
    nearest = np.argpartition(-likeness, neighbours - 1, axis=1)[:, :neighbours]
    edges = np.zeros_like(likeness)
    rows = np.arange(count)[:, None]
    edges[rows, nearest] = np.maximum(likeness[rows, nearest], 0.0)
    edges = np.maximum(edges, edges.T)
    edges /= np.maximum(edges.sum(axis=1, keepdims=True), 1e-9)
    start = np.exp(SHARPNESS * (cosines - cosines.max()))
    start /= start.sum()
    visits = start
    for _ in range(STEPS):
        visits = RESTART * start + (1 - RESTART) * (visits @ edges)
    return np.asarray(visits / visits.max(), dtype=np.float64)


FIRST_AUTHOR, OTHER_AUTHOR = 1.0, 0.9
"""What a match with a name counts, by the author's place in the list."""


def author_match(names: "Sequence[AuthorName]", authors: Sequence[tuple[str, ...]]) -> Column:
    """(n,) how far the authors of papers are those that a query names, from 0 to 1: the mean over
    the names."""
    queries = [name.queries() for name in names]
    column = np.zeros(len(authors))
    for place, paper_authors in enumerate(authors):
        lines = author_words(paper_authors)
        for name, orders in zip(names, queries, strict=True):
            places = (query.first_place(paper_authors, lines, particles=False) for query in orders)
            first = min((number for number in places if number is not None), default=None)
            if first is not None:
                column[place] += name.certainty * (OTHER_AUTHOR if first else FIRST_AUTHOR)
    return column / max(len(names), 1)


MOST_AUTHORS = 100
"""Authors of a paper that are compared: of a larger collaboration, the first."""

RECENT_YEARS = 2.0
"""Years after which `recent` has fallen to 1/e."""


def paper_signals(query: EncodedQuery, papers: PaperIndex, ids: Sequence[str]) -> dict[str, Column]:
    """What papers that ask share with others beside their texts: authors, date, categories, and if
    their encoder is at hand, how near the titles are; of several papers the mean.

    What is not known of those that ask has no column, nor have authors if several papers ask.
    """
    candidates = papers.papers(ids)
    day = query.day or max(paper.published for paper in query.papers)
    years = np.array([max(0, (day - paper.published).days) / 365.25 for paper in candidates])
    columns = {"age": np.log1p(years), "recent": np.exp(-years / RECENT_YEARS)}
    if len(query.papers) == 1 and query.papers[0].authors:
        shared = _shared_authors(query.papers[0], candidates, papers)
        columns["shared_authors"] = np.sqrt(shared)
        columns["shares_author"] = (shared > 0).astype(np.float64)
    if categories := [paper.categories for paper in query.papers if paper.categories]:
        columns["shared_categories"] = np.array(
            [
                sum(_overlap(ours, paper.categories) for ours in categories) / len(categories)
                for paper in candidates
            ]
        )
    asking = [paper.title for paper in query.papers if paper.title]
    if query.encode is not None and asking:
        titles = query.encode([*asking, *(paper.title for paper in candidates)])
        mean = titles[: len(asking)].mean(axis=0)
        columns["title_cosine"] = np.asarray(titles[len(asking) :] @ mean, dtype=np.float64)
    return columns


def author_keys(paper: Paper, most: int | None = MOST_AUTHORS) -> dict[str, str]:
    """A paper's authors by family name and first initial, each with the family name alone.

    Args:
        most: only so many authors, the first; None for all.
    """
    keys = {}
    for author in paper.authors[:most]:
        if not is_group(author):
            name = split_name(author)
            family = " ".join(name_words(name.surname))
            given = name_words(name.given)
            if family:
                keys[f"{family}, {given[0][0] if given else ''}"] = family
    return keys


def _shared_authors(asking: Paper, candidates: Sequence[Paper], papers: PaperIndex) -> Column:
    """(n,) how many authors papers have in common, each counting 1 over the logarithm of how many
    papers have the name."""
    ours = author_keys(asking)
    weights = {
        key: 1 / log(2 + papers.frequency(family, ("authors",))) for key, family in ours.items()
    }
    return np.array(
        [sum(weights[key] for key in author_keys(paper) if key in weights) for paper in candidates],
        dtype=np.float64,
    )


def _overlap(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """The categories that two papers share, as a part of all that they have."""
    return len({*ours} & {*theirs}) / max(1, len({*ours} | {*theirs}))

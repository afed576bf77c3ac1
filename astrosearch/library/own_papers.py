"""The user's papers that an index does not have: found by their own text, in one answer with those
that it has.

They are few, so each is compared with the query. The words are weighted as the index weights them
(BM25 with its document frequencies), the vector is made by its encoder and kept in the user's
cache. An own paper is put into the answer where its first-pass score, the mean of cosine and BM25,
has its place among those of the index's papers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import TYPE_CHECKING

import numpy as np

from astrosearch.corpus.filters import Filters
from astrosearch.papers import Paper, in_category
from astrosearch.search.conditions import (
    AllOf,
    Among,
    AnyOf,
    BearsName,
    Condition,
    Excluded,
    RequiredPhrase,
)
from astrosearch.search.hits import Hit
from astrosearch.text.analysis import STOP_WORDS, analyze, expand_abbreviations
from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import author_words

if TYPE_CHECKING:
    from astrosearch.encoders.vectors import Vectors
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.searcher import Mode, Searcher

K1, B = 1.2, 0.75
"""The parameters of BM25 that the index has, too."""

LENGTH = 150
"""Words of a usual title with its abstract."""


@dataclass(frozen=True)
class OwnPaper:
    """A paper with its words."""

    paper: Paper

    @cached_property
    def terms(self) -> Counter[str]:
        text = f"{self.paper.text} {' '.join(self.paper.authors)}"
        words, compounds = analyze(text)
        return Counter([*words, *compounds])

    @cached_property
    def fields(self) -> dict[str, list[str]]:
        return {
            "title": analyze(self.paper.title).terms,
            "abstract": analyze(self.paper.abstract).terms,
        }

    def meets(self, condition: Condition) -> bool:
        """Whether it meets a condition of a query."""
        match condition:
            case RequiredPhrase(words, fields):
                forms = [terms for terms in expand_abbreviations(analyze(words).terms) if terms]
                return any(_holds(self.fields[name], form) for name in fields for form in forms)
            case Excluded(excluded):
                return not self.meets(excluded)
            case AllOf(conditions):
                return all(map(self.meets, conditions))
            case AnyOf(conditions):
                return any(map(self.meets, conditions))
            case Filters():
                return self.passes(condition)
            case BearsName(names):
                authors = set(author_words(self.paper.authors).split())
                return any(authors.issuperset(words) for words in names)
            case Among(within, beyond):
                own = self.paper.id
                return (within is None or own in within) and own not in beyond

    def passes(self, filters: Filters) -> bool:
        paper = self.paper
        if filters.since and paper.published < filters.since:
            return False
        if filters.until and paper.published > filters.until:
            return False
        if filters.category and not in_category(paper.categories, filters.category):
            return False
        if filters.author is None:
            return True
        query = AuthorQuery(filters.author)
        place = query.first_place(paper.authors, author_words(paper.authors))
        return place is not None and (place == 0 or not query.is_first)


def _holds(terms: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether some terms stand side by side."""
    size = len(phrase)
    return any(list(terms[i : i + size]) == list(phrase) for i in range(len(terms) - size + 1))


def with_own(
    searcher: "Searcher",
    hits: Sequence[Hit],
    papers: Sequence[Paper],
    query: "ParsedQuery",
    k: int,
    filters: Filters,
    mode: "Mode",
) -> list[Hit]:
    """The `k` best of an answer's hits and of papers that the index does not have.

    Args:
        hits: the answer of the index.
        papers: those that it does not have.
        query: what was asked; without words, the newest papers come first.
    """
    own = [OwnPaper(paper) for paper in papers]
    own = [one for one in own if one.passes(filters) and all(map(one.meets, query.conditions))]
    if not own:
        return list(hits[:k])
    if not query.text:
        return _by_day(hits, own)[:k]
    bm25 = _bm25(searcher, query.text, own) if mode != "dense" else None
    cosines = _cosines(searcher, query.text, own) if mode != "lexical" else None
    return _merged(searcher, hits, own, cosines, bm25)[:k]


def _by_day(hits: Sequence[Hit], own: Sequence[OwnPaper]) -> list[Hit]:
    new = [Hit(rank=0, score=1.0, paper=one.paper, match=100) for one in own]
    ordered = sorted([*hits, *new], key=lambda hit: hit.paper.published, reverse=True)
    return _ranked(ordered)


def _bm25(searcher: "Searcher", text: str, own: Sequence[OwnPaper]) -> list[float]:
    words = Counter(term for term in analyze(text).terms if term not in STOP_WORDS)
    index = searcher.index
    total = len(index) + len(own)
    weights = {}
    for term in words:
        having = index.lexical.document_frequency(term) + sum(term in one.terms for one in own)
        weights[term] = log(1 + (total - having + 0.5) / (having + 0.5))
    scores = []
    for one in own:
        norm = K1 * (1 - B + B * one.terms.total() / LENGTH)
        scores.append(
            sum(
                words[term] * weights[term] * one.terms[term] * (K1 + 1) / (one.terms[term] + norm)
                for term in words
                if term in one.terms
            )
        )
    return scores


def _cosines(searcher: "Searcher", text: str, own: Sequence[OwnPaper]) -> list[float]:
    vectors = own_vectors(searcher, [one.paper for one in own])
    query = searcher.encoder.encode([text])[0]
    return [float(cosine) for cosine in vectors @ query]


def own_vectors(searcher: "Searcher", papers: Sequence[Paper]) -> "Vectors":
    """(n, dimension) float32 unit rows of papers that an index does not have, by its encoder."""
    from astrosearch.encoders.cached import CachedEncoder

    spec = searcher.index.manifest.encoder
    encoder = CachedEncoder(spec, lambda: searcher.encoder)
    return encoder.encode([spec.text_of(paper) for paper in papers])


def _merged(
    searcher: "Searcher",
    hits: Sequence[Hit],
    own: Sequence[OwnPaper],
    cosines: Sequence[float] | None,
    bm25: Sequence[float] | None,
) -> list[Hit]:
    """Hits of the index in their order, with those of own papers between them."""
    background = searcher.index.manifest.background.mean or 0.0
    known = len(hits)
    first = np.zeros(known + len(own))
    parts = 0
    for values, ours, chance in (
        ([hit.cosine for hit in hits], cosines, background),
        ([hit.bm25 for hit in hits], bm25, 0.0),
    ):
        if ours is None:
            continue
        column = np.array([*(value or 0.0 for value in values), *ours])
        best = column.max()
        first += np.clip((column - chance) / (best - chance), 0, 1) if best > chance else 0.0
        parts += 1
    first /= max(parts, 1)
    merged = [(float(place), 0.0, hit) for place, hit in enumerate(hits)]
    for number, score in enumerate(first[known:].tolist()):
        if score > 0 or cosines is not None:  # as in the index, only words exclude papers
            place = int((first[:known] >= score).sum())
            hit = Hit(
                rank=0,
                score=_between(score, [other.score for other in hits], place),
                paper=own[number].paper,
                match=round(_between(100 * score, [other.match for other in hits], place)),
                cosine=None if cosines is None else cosines[number],
                bm25=None if bm25 is None else bm25[number],
            )
            merged.append((place - 0.5, -score, hit))
    return _ranked([hit for *_, hit in sorted(merged, key=lambda item: item[:2])])


def _between(score: float, scores: Sequence[float], place: int) -> float:
    """A score as it may be at a place among descending ones."""
    if place < len(scores):
        score = max(score, scores[place])
    return min(score, scores[place - 1]) if place else score


def _ranked(hits: Sequence[Hit]) -> list[Hit]:
    return [replace(hit, rank=place) for place, hit in enumerate(hits, start=1)]

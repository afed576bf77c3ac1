"""Do the later papers of an author rank high, for who has the author's earlier ones as a library?

    ASTROSEARCH_HOME=... python -m tests.benchmarks.interests [INDEX] [--citations FILE] [--half N]

Authors with 12 to 60 papers and at least two initials, so that few are several people. The older
half of their papers is the library. Their later papers, and those that these cite, as far as the
file of citations knows, are to rank high among all papers of the same months. Nothing is known of
the authors of a paper. AUC, and recall among the first 30 (of 30 papers at most), with intervals
over authors, against the mean of the library's vectors, its nearest paper, and BM25 with the words
of all its titles. The model was chosen on one half of the authors (--half 0); the other is the
test.
"""

import argparse
import hashlib
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.evaluation.bootstrap import interval, resampled_means
from astrosearch.library.interests import (
    Interests,
    Texts,
    inverse_document_frequency,
    terms_of,
)
from astrosearch.papers import Paper
from astrosearch.report import Reporter
from astrosearch.search.searcher import Searcher, open_index
from astrosearch.text.analysis import STOP_WORDS, analyze
from astrosearch.text.authors import is_et_al, is_group, split_name
from astrosearch.text.tex import to_unicode

FEWEST, MOST = 12, 60
LARGEST_GROUP = 30
"""Authors of a paper that counts as the work of each."""
RANDOM = 2_000
Rows = NDArray[np.int64]
Scores = NDArray[np.float64]


class Case(NamedTuple):
    library: Rows
    candidates: Rows
    relevant: NDArray[np.bool_]
    past: Rows
    """Papers that were there when the library was."""


def month(paper: Paper) -> int:
    return paper.published.year * 12 + paper.published.month


def by_author(papers: list[Paper]) -> dict[tuple[str, str], list[int]]:
    """Papers of each family name with the same initials, the oldest first."""
    papers_of = defaultdict(set)
    for number, paper in enumerate(papers):
        for name in paper.authors if len(paper.authors) <= LARGEST_GROUP else ():
            if is_group(name) or is_et_al(name):
                continue
            parts = split_name(to_unicode(name))
            family = unicodedata.normalize("NFKD", parts.surname.lower())
            words = parts.given.replace("-", " ").replace(".", " ").lower().split()
            initials = "".join(word[0] for word in words)
            if len(initials) >= 2:
                papers_of["".join(filter(str.isalpha, family)), initials].add(number)
    return {
        author: sorted(numbers, key=lambda number: (papers[number].published, papers[number].id))
        for author, numbers in papers_of.items()
        if FEWEST <= len(numbers) <= MOST
    }


def cases(papers: list[Paper], citations: dict[str, list[str]], half: int) -> Iterator[Case]:
    months = np.array([month(paper) for paper in papers])
    number_of = {paper.id: number for number, paper in enumerate(papers)}
    for author, numbers in sorted(by_author(papers).items()):
        if hashlib.sha256(repr(author).encode()).digest()[0] % 2 != half:
            continue
        library = numbers[: len(numbers) // 2]
        last = months[library[-1]]
        later = [number for number in numbers[len(library) :] if months[number] > last]
        if len(later) < 3:
            continue
        wanted = {
            number_of[cited]
            for number in later
            for cited in citations.get(papers[number].id, [])
            if cited in number_of
        }
        of_months = np.flatnonzero(np.isin(months, months[later]))
        candidates = np.setdiff1d(of_months, library)
        relevant = np.isin(candidates, [*later, *wanted])
        yield Case(np.array(library), candidates, relevant, np.flatnonzero(months <= last))


def auc(scores: Scores, relevant: NDArray[np.bool_]) -> float:
    """The share of pairs of a relevant paper and another that are in the right order."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(relevant.sum())
    rest = len(relevant) - positive
    return float((ranks[relevant].sum() - positive * (positive + 1) / 2) / (positive * rest))


def recall(scores: Scores, relevant: NDArray[np.bool_], depth: int = 30) -> float:
    best = np.argsort(-scores, kind="stable")[:depth]
    return float(relevant[best].sum() / min(depth, relevant.sum()))


class Peers:
    """The corpus, and the ways to rank it."""

    def __init__(self, searcher: Searcher, papers: list[Paper]) -> None:
        self.vectors = searcher.vectors([paper.id for paper in papers])[1]
        self.terms = [terms_of(paper) for paper in papers]
        self.titles = [
            Counter(term for term in analyze(paper.title).terms if term not in STOP_WORDS)
            for paper in papers
        ]
        having = Counter(term for terms in self.terms for term in terms)
        self.lengths = np.array([terms.total() for terms in self.terms])
        count = len(papers)
        self.rarity = cache(lambda term: inverse_document_frequency(count, having[term]))
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, terms in enumerate(self.terms):
            for term, times in terms.items():
                postings[term].append((number, times))
        self.postings = {term: np.array(pairs) for term, pairs in postings.items()}

    def bm25(self, library: Rows) -> Scores:
        """BM25 (k1 1.2, b 0.75) of all papers for the words of the library's titles."""
        query: Counter[str] = sum((self.titles[number] for number in library), Counter())
        scores = np.zeros(len(self.terms))
        norm = 1.2 * (0.25 + 0.75 * self.lengths / self.lengths.mean())
        for term, times in query.items():
            if term in self.postings:
                rows, counts = self.postings[term].T
                scores[rows] += times * self.rarity(term) * counts * 2.2 / (counts + norm[rows])
        return scores

    def texts(self, rows: Rows) -> Texts:
        return Texts(self.vectors[rows], [self.terms[row] for row in rows])

    def scores(self, case: Case, seed: int) -> dict[str, Scores]:
        generator = np.random.default_rng(seed)
        past = np.setdiff1d(case.past, case.library)
        random = generator.choice(past, min(RANDOM, len(past)), replace=False)
        interests = Interests(
            self.texts(case.library),
            np.ones(len(case.library)),
            self.texts(random),
            self.rarity,
        )
        library, candidates = self.vectors[case.library], self.vectors[case.candidates]
        cosines = (candidates @ library.T).astype(np.float64)
        return {
            "interests": interests.scores(self.texts(case.candidates)),
            "mean vector": cosines.mean(axis=1),
            "nearest paper": cosines.max(axis=1),
            "BM25 of titles": self.bm25(case.library)[case.candidates],
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("index", nargs="?")
    parser.add_argument("--citations", type=Path)
    parser.add_argument("--half", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="only each n-th author")
    options = parser.parse_args()
    citations: dict[str, list[str]] = {}
    if options.citations:
        for line in options.citations.read_text().splitlines():
            record = json.loads(line)
            citations[record["id"]] = record.get("relevant") or record.get("references")
    with open_index(options.index, reporter=Reporter()) as searcher:
        papers = list(searcher.index.corpus)
        peers = Peers(searcher, papers)
    values: dict[str, list[tuple[float, float]]] = defaultdict(list)
    sizes = []
    for number, case in enumerate(cases(papers, citations, options.half)):
        if number % options.every:
            continue
        sizes.append((len(case.library), int(case.relevant.sum()), len(case.candidates)))
        for name, scores in peers.scores(case, number).items():
            values[name].append((auc(scores, case.relevant), recall(scores, case.relevant)))
    library, relevant, candidates = np.mean(sizes, axis=0)
    print(
        f"{len(sizes)} authors; on average {library:.1f} papers in the library, {relevant:.1f} "
        f"relevant ones among {candidates:,.0f}"
    )
    ours = np.array(values["interests"])
    for name, pairs in values.items():
        columns = np.array(pairs)
        means = resampled_means(columns, seed=0)
        gains = resampled_means(ours - columns, seed=0)
        line = f"{name:15}"
        for place, measure in enumerate(("AUC", "R@30")):
            mean = interval(float(columns[:, place].mean()), means[:, place])
            line += f"  {measure} {mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
            if name != "interests":
                gain = interval(float((ours - columns)[:, place].mean()), gains[:, place])
                line += f" gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        print(line)


if __name__ == "__main__":
    main()

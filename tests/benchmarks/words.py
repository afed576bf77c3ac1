"""Full-text search, against bm25s on the same papers in the same run.

Each title has to find its abstract among all abstracts. bm25s runs as in its README: with its own
tokeniser, English stop words and the English stemmer. Both tokenise each query and give 100 papers;
they take turns, query by query. Times are processor time, with the writer's thread. The papers are
of the training share, on which the weights in `astrosearch.index.lexical_index` were chosen.

    python -m tests.benchmarks.words arxiv-metadata-oai-snapshot.json --papers 8000
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import Stemmer

from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from astrosearch.papers import Paper

COUNT = 100


def read(corpus: Path, count: int) -> list[Paper]:
    """The first `count` papers of the training share."""
    papers = []
    for paper, _, _ in read_papers([corpus], Selection(), Intake(), lambda refusal: None):
        if not is_held_out(paper.id):
            papers.append(paper)
            if len(papers) == count:
                break
    return papers


def main() -> None:
    import bm25s

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--papers", type=int, default=8000)
    parser.add_argument("--questions", type=int, help="Number of titles; by default all.")
    arguments = parser.parse_args()
    papers = read(arguments.corpus, arguments.papers)
    names = ("astrosearch", "bm25s")
    built = dict.fromkeys(names, 0.0)
    stemmer = Stemmer.Stemmer("english")

    def tokenized(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        writer = LexicalIndexWriter(Path(folder) / "words")
        for row, paper in enumerate(papers):
            writer.add(row, "", paper.abstract, [])
        writer.finish()
        ours = LexicalIndex(Path(folder) / "words")
        built["astrosearch"] = time.process_time() - start
        start = time.process_time()
        theirs = bm25s.BM25()
        theirs.index(tokenized([paper.abstract for paper in papers]), show_progress=False)
        built["bm25s"] = time.process_time() - start

        rows = np.unique(
            np.linspace(0, len(papers) - 1, arguments.questions or len(papers)).astype(int)
        )
        times: dict[str, list[float]] = {name: [] for name in names}
        inverse: dict[str, list[float]] = {name: [] for name in names}
        for row in rows:
            title = papers[row].title
            start = time.process_time()
            _, our_rows = ours.search(title, COUNT, fields=("abstract",))
            middle = time.process_time()
            their_rows, _ = theirs.retrieve(tokenized([title]), k=COUNT, show_progress=False)
            for name, spent, ranking in (
                ("astrosearch", middle - start, our_rows),
                ("bm25s", time.process_time() - middle, their_rows[0]),
            ):
                times[name].append(spent * 1000)
                place = np.flatnonzero(ranking == row)
                inverse[name].append(1 / (place[0] + 1) if len(place) else 0.0)
    print(f"{len(papers):,} abstracts, {len(rows):,} titles")
    for name in names:
        p50, p95 = np.percentile(times[name], (50, 95))
        at_1 = np.mean(np.array(inverse[name]) == 1)
        print(
            f"{name:12} built in {built[name]:.0f} s, p50 {p50:.2f} ms, p95 {p95:.2f} ms, "
            f"R@1 {at_1:.3f}, MRR@{COUNT} {np.mean(inverse[name]):.3f}"
        )
    medians = [np.median(times[name]) for name in names]
    print(
        f"ratio of p50 (theirs to ours) {medians[1] / medians[0]:.2f}, of MRR (ours to theirs) "
        f"{np.mean(inverse['astrosearch']) / np.mean(inverse['bm25s']):.3f}"
    )


if __name__ == "__main__":
    main()

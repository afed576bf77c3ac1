"""A query in a running shell, against sentence-transformers kept loaded in the same run.

The queries are titles of the index's papers, and the first words of titles. Both answer all of
them. They take turns by fifty queries, because the threads of one go on spinning for a while and
would take the other's time. astrosearch does all that `astrosearch shell` does with a line: words,
vectors and the table for a terminal of 100 columns. sentence-transformers has all-MiniLM-L6-v2, one
numpy product with as many random rows, and prints ten titles. A `Searcher` alone, without the
table, has the same queries after them. Processor time counts all threads: with OMP_NUM_THREADS=1 it
is the time of a query on an idle machine.

    python -m tests.benchmarks.warm INDEX --questions 500
"""

import argparse
import contextlib
import os
import time
from collections.abc import Callable

from astrosearch.cli.console import Terminal
from astrosearch.cli.shell import Shell, shell
from astrosearch.report import SILENT

TURN = 50
"""Queries that one side answers before it is the other's turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--mode", default="hybrid")
    arguments = parser.parse_args()
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}

    import numpy as np  # after astrosearch.cli, which sets the number of threads

    from astrosearch.encoders.weights import locate
    from astrosearch.search.searcher import open_index

    context = shell.make_context("shell", ["--mode", arguments.mode])
    settings = {name: value for name, value in context.params.items() if name != "index_name"}
    ours = Shell(context, open_index(arguments.index), settings, Terminal())

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate.locate("minilm", SILENT)[0]))
    titles = [paper.title for paper in ours.searcher.index.corpus]
    width = model.encode(["a"]).shape[1]
    vectors = np.random.default_rng(0).normal(size=(len(titles), width)).astype(np.float32)

    rows = np.linspace(0, len(titles) - 1, arguments.questions).astype(int)
    queries = [
        titles[row] if number % 2 else " ".join(titles[row].split()[:4])
        for number, row in enumerate(rows)
    ]
    names = ("astrosearch shell", "sentence-transformers", "a Searcher alone")
    wall: dict[str, list[float]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}

    def theirs(query: str) -> None:
        [vector] = model.encode([query], normalize_embeddings=True, show_progress_bar=False)
        scores = vectors @ vector
        best = np.argpartition(-scores, 10)[:10]
        print("\n".join(titles[row] for row in best[np.argsort(-scores[best])]))

    answers: tuple[Callable[[str], object], ...] = (ours.run, theirs, ours.searcher.query)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        for first in range(0, len(queries), TURN):
            for name, answer in zip(names, answers, strict=True):
                for query in queries[first : first + TURN]:
                    start, processor_start = time.perf_counter(), time.process_time()
                    answer(query)
                    wall[name].append((time.perf_counter() - start) * 1000)
                    processor[name].append((time.process_time() - processor_start) * 1000)
    print(f"{len(titles):,} papers, {len(queries):,} queries, mode {arguments.mode}")
    for name in names:
        p50, p99 = np.percentile(wall[name], (50, 99))
        median = np.median(processor[name])
        print(f"{name:22} p50 {p50:.1f} ms, p99 {p99:.1f} ms; processor time p50 {median:.1f} ms")
    print(
        f"ratio of p50 (theirs to ours) {np.median(wall[names[1]]) / np.median(wall[names[0]]):.2f}"
    )


if __name__ == "__main__":
    main()

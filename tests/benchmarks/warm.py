"""A question to a shell that is up, against sentence-transformers kept loaded in the same run.

The questions are titles of the index's papers, and the first words of titles. Both answer all of
them, fifty at a time in turn, so that the threads of one, which go on spinning for a while, do not
take the other's time: astrosearch with what `astrosearch shell` does with a line,
words, vectors and the table on a terminal of 100 columns included; sentence-transformers with
all-MiniLM-L6-v2, one numpy product with as many random rows, and the ten titles. Processor time
counts all threads: with OMP_NUM_THREADS=1 it is what a question takes on a machine that does
nothing else.

    python -m tests.benchmarks.warm INDEX --questions 500
"""

import argparse
import contextlib
import os
import time

from astrosearch.cli.shell import Shell, shell
from astrosearch.report import SILENT

TURN = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--mode", default="hybrid")
    arguments = parser.parse_args()
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}

    import numpy as np  # after astrosearch.cli, as in the program, which sets its threads

    from astrosearch.encoders.weights import locate
    from astrosearch.search.searcher import open_index

    context = shell.make_context("shell", ["--mode", arguments.mode])
    settings = {name: value for name, value in context.params.items() if name != "index_name"}
    ours = Shell(context, open_index(arguments.index), settings)

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate.locate("minilm", SILENT)[0]))
    titles = [paper.title for paper in ours.searcher.index.corpus]
    width = model.encode(["a"]).shape[1]
    vectors = np.random.default_rng(0).normal(size=(len(titles), width)).astype(np.float32)

    rows = np.linspace(0, len(titles) - 1, arguments.questions).astype(int)
    questions = [
        titles[row] if number % 2 else " ".join(titles[row].split()[:4])
        for number, row in enumerate(rows)
    ]
    names = ("astrosearch shell", "sentence-transformers")
    wall: dict[str, list[float]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}

    def theirs(question: str) -> None:
        [query] = model.encode([question], normalize_embeddings=True, show_progress_bar=False)
        scores = vectors @ query
        best = np.argpartition(-scores, 10)[:10]
        print("\n".join(titles[row] for row in best[np.argsort(-scores[best])]))

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        for first in range(0, len(questions), TURN):
            for name, answer in zip(names, (ours.run, theirs), strict=True):
                for question in questions[first : first + TURN]:
                    start, begun = time.perf_counter(), time.process_time()
                    answer(question)
                    wall[name].append((time.perf_counter() - start) * 1000)
                    processor[name].append((time.process_time() - begun) * 1000)
    print(f"{len(titles):,} papers, {len(questions):,} questions, mode {arguments.mode}")
    for name in names:
        p50, p99 = np.percentile(wall[name], (50, 99))
        worked = np.median(processor[name])
        print(f"{name:22} p50 {p50:.1f} ms, p99 {p99:.1f} ms; processor time p50 {worked:.1f} ms")
    print(
        f"ratio of p50 (theirs to ours) {np.median(wall[names[1]]) / np.median(wall[names[0]]):.2f}"
    )


if __name__ == "__main__":
    main()

"""Reading the first hits of a question, against the same layers in torch.

The cross-encoder that ships, and as many layers of the model that it began as, with transformers
in float32, score the same pairs of a question and a paper. They take turns. A new process also
reads once, from the import on: what `--rerank` adds to a cold question.

    python -m tests.benchmarks.reading INDEX --papers 50
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from astrosearch import open_index
from astrosearch.encoders.weights.locate import locate
from astrosearch.report import SILENT
from astrosearch.search.cross_encoder import shipped_cross_encoder

COLD = """
import time
start = time.perf_counter()
from astrosearch.search.cross_encoder import shipped_cross_encoder
shipped_cross_encoder()
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--papers", type=int, default=50)
    parser.add_argument("--questions", type=int, default=20)
    arguments = parser.parse_args()

    lines = Path("training/development.jsonl").read_text().splitlines()[: arguments.questions]
    questions = [json.loads(line)["question"] for line in lines]
    with open_index(arguments.index) as searcher:
        papers = [
            [hit.paper for hit in searcher.query(question, arguments.papers)]
            for question in questions
        ]
    reader = shipped_cross_encoder()

    import torch

    from training.reranking import BASE, Model, Settings

    model = Model(locate(BASE, SILENT)[0], Settings().layers)
    readings: dict[str, Callable[[int], object]] = {
        "astrosearch": lambda number: reader.scores(questions[number], papers[number]),
        "torch": lambda number: model([(questions[number], paper) for paper in papers[number]]),
    }
    wall: dict[str, list[float]] = {name: [] for name in readings}
    processor: dict[str, list[float]] = {name: [] for name in readings}
    with torch.no_grad():
        for number in [0, *range(len(questions))]:  # the first time does not count
            for name, read in readings.items():
                before, processor_before = time.perf_counter(), time.process_time()
                read(number)
                wall[name].append(time.perf_counter() - before)
                processor[name].append(time.process_time() - processor_before)
    for name in readings:
        of_wall, of_processor = (1000 * np.array(each[name][1:]) for each in (wall, processor))
        print(
            f"{name:12} {arguments.papers} papers: p50 {np.median(of_wall):.0f} ms, "
            f"p95 {np.quantile(of_wall, 0.95):.0f} ms; "
            f"{np.median(of_processor):.0f} ms of processor time"
        )
    print(f"ratio of p50 {np.median(wall['torch'][1:]) / np.median(wall['astrosearch'][1:]):.2f}")
    cold = [
        float(subprocess.run([sys.executable, "-c", COLD], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    print(f"imported and loaded in {1000 * np.median(cold):.0f} ms")


if __name__ == "__main__":
    main()

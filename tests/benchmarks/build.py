"""Memory of a build, which must not grow with the corpus: `astrosearch index`, as whole processes.

Each paper has a few random words of a real one and a new identifier, since only the number of
papers matters here. The build is compared with one of a tenth of the papers. Memory is the peak of
the process, with the pages that it maps. Then the index is opened in a process of its own, and
searched for the ten papers nearest to directions halfway between two papers.

    python -m tests.benchmarks.build arxiv-metadata-oai-snapshot.json --papers 2700000
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from astrosearch.corpus.json_lines import json_records

OPENED = """
import sys, time
from pathlib import Path
import numpy as np
from astrosearch.index.reader import Index
from astrosearch.encoders.vectors import unit_rows
start = time.perf_counter()
index = Index(Path(sys.argv[1]))
index.lexical
opened = 1000 * (time.perf_counter() - start)
first, second = np.random.default_rng(1).integers(0, len(index), (2, 500))
seconds = []
for query in unit_rows(index.vectors[first]) + unit_rows(index.vectors[second]):
    start = time.perf_counter()
    index.vector_index.search(unit_rows(query[None]), 10)
    seconds.append(time.perf_counter() - start)
p50, p99 = 1000 * np.percentile(seconds, (50, 99))
recall = index.manifest.recall
print(f"opened in {opened:.0f} ms, searched in p50 {p50:.1f} ms, p99 {p99:.1f} ms", end=", ")
print(f"recall@10 {recall:.3f}")
"""


def make_corpus(source: Path, target: Path, count: int, length: int) -> None:
    """Write `count` papers of `length` words, a fifth of them in the title."""
    records = [json.loads(line) for _, line in islice(json_records(source), 2_000)]
    texts = [[word for word in record["abstract"].split() if word.isalpha()] for record in records]
    texts = [words for words in texts if len(words) >= length]
    draw = random.Random(0)
    with target.open("w") as stream:
        for number in range(count):
            month, serial = divmod(number, 99_999)
            words = draw.choice(texts)
            chosen = draw.sample(words, length)
            record = {
                "id": f"{15 + month // 12:02}{month % 12 + 1:02}.{serial + 1:05}",
                "title": " ".join(chosen[: length // 5]),
                "abstract": " ".join(chosen[length // 5 :]),
                "authors": f"A. {draw.choice(words)}, B. {draw.choice(words)}",
                "categories": "astro-ph.GA",
                "versions": [{"version": "v1", "created": "Fri, 06 May 2016 00:00:00 GMT"}],
            }
            stream.write(json.dumps(record) + "\n")


def measure(source: Path, count: int, length: int) -> tuple[float, float]:
    """Build an index of `count` papers; return its seconds and peak memory in MB."""
    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work) / "papers.jsonl"
        # In a process of its own: a child's peak memory begins with that of its parent.
        maker = multiprocessing.get_context("spawn").Process(
            target=make_corpus, args=(source, corpus, count, length)
        )
        maker.start()
        maker.join()
        start = time.perf_counter()
        command = [sys.executable, "-m", "astrosearch", "index", "many", "--corpus", str(corpus)]
        process = subprocess.Popen(command, env=os.environ | {"ASTROSEARCH_HOME": work})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("a build failed")
        seconds, memory = time.perf_counter() - start, usage.ru_maxrss / 1024
        folder = Path(work) / "indexes" / "many"
        opened = subprocess.run(
            [sys.executable, "-c", OPENED, folder], check=True, capture_output=True, text=True
        )
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(
            f"{count:,} papers: built in {seconds:,.0f} s, {memory:,.0f} MB at its peak, "
            f"{size / 1e6:,.0f} MB on disk, {opened.stdout.strip()}",
            flush=True,
        )
        return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="real records in the Kaggle snapshot's format")
    parser.add_argument("--papers", type=int, default=2_700_000)
    parser.add_argument("--words", type=int, default=10)
    arguments = parser.parse_args()
    _, tenth = measure(arguments.source, arguments.papers // 10, arguments.words)
    _, memory = measure(arguments.source, arguments.papers, arguments.words)
    print(f"ratio of memory, all papers to a tenth of them: {memory / tenth:.2f}")


if __name__ == "__main__":
    main()

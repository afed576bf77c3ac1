"""Questions a second from a Ray cluster of this machine, against `astrosearch serve` without Ray.

One replica and two, and two with shards, beside one worker and two. Each is up alone, since they
would take processors from each other; clients ask as in `tests.benchmarks.serve`.

    python -m tests.benchmarks.replicas INDEX
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from astrosearch.search.searcher import open_index
from astrosearch.text.tex import one_line
from tests.benchmarks.serve import Server

WAYS = {
    "1 worker": ("--workers", "1"),
    "2 workers": ("--workers", "2"),
    "Ray, 1 replica": ("--engine", "ray", "--replicas", "1"),
    "Ray, 2 replicas": ("--engine", "ray", "--replicas", "2"),
    "Ray, 2 replicas, 2 shards": ("--engine", "ray", "--replicas", "2", "--shards", "2"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20, help="for each way")
    parser.add_argument("--port", type=int, default=8300)
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS])
    arguments = parser.parse_args()
    with open_index(arguments.index) as searcher:
        papers = [one_line(paper.title) for paper in searcher.index.corpus]
    titles = [papers[row] for row in np.linspace(0, len(papers) - 1, 2000).astype(int)]
    print(f"{len(papers):,} papers, {arguments.clients} clients, {os.cpu_count()} processors")
    speeds: dict[str, float] = {}
    for number, (name, options) in enumerate(WAYS.items()):
        if name not in arguments.ways:
            continue
        speeds[name] = measure(name, options, arguments.port + number, titles, arguments)
        first = next(iter(speeds))
        print(f"    {speeds[name] / speeds[first]:.2f} times {first}", flush=True)


def measure(
    name: str,
    options: Sequence[str],
    port: int,
    titles: Sequence[str],
    arguments: argparse.Namespace,
) -> float:
    """Questions a second."""
    serve = (sys.executable, "-m", "astrosearch", "serve", "-i", arguments.index)
    process = subprocess.Popen((*serve, "--port", str(port), *options), text=True)
    server = Server(name, port, "/api/query?k=10&q={}", process)
    try:
        server.wait()
        server.load(titles, arguments.clients, 3)
        server.seconds.clear()
        server.errors, server.duration, server.processor = 0, 0.0, 0.0
        server.load(titles, arguments.clients, arguments.seconds)
    finally:
        process.terminate()
        process.wait(60)
    count = len(server.seconds) - server.errors
    p50, p99 = np.percentile(server.seconds, (50, 99)) * 1000
    print(
        f"{name:27} {count / server.duration:6.1f} questions/s, p50 {p50:.0f} ms, p99 {p99:.0f} "
        f"ms, {server.errors} errors, {1000 * server.processor / max(count, 1):.1f} ms of "
        f"processor time each, {server.memory[-1]:,.0f} MB"
    )
    return count / server.duration


if __name__ == "__main__":
    main()

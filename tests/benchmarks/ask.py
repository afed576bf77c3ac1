"""How long `ask` takes, and how often it answers where an index has the paper and where it has not.

Each question is asked of the whole index and without the paper that it is about; an answer may be
marked as unsure, or withheld. Times are of the whole index: of a running shell, where everything is
loaded and the answer is written for a terminal of 100 columns, and of whole processes. Processor
time counts all threads: with OMP_NUM_THREADS=1 it is the time on an idle machine.

    python -m tests.benchmarks.ask INDEX --requests training/development.jsonl
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from astrosearch.cli.console import Terminal
from astrosearch.cli.shell import Shell, shell
from astrosearch.errors import NothingFound

COLD = 5
"""Processes that are started."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--times-only", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}

    import numpy as np  # after astrosearch.cli, which sets the number of threads

    from astrosearch.search.conditions import Among
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.searcher import open_index

    lines = arguments.requests.read_text(encoding="utf-8").splitlines()[: arguments.questions]
    asked = [(record["id"], record["question"]) for record in map(json.loads, lines)]
    searcher = open_index(arguments.index)
    if not arguments.times_only:
        for what, is_there in (("paper there", True), ("paper not there", False)):
            counts = {"answered": 0, "marked unsure": 0, "silent": 0}
            for paper_id, question in asked:
                among = Among() if is_there else Among(None, frozenset([paper_id]))
                answer = searcher.ask(ParsedQuery(question), among=among)
                kind = "marked unsure" if answer.is_unsure else "answered"
                counts[kind if answer.quotes else "silent"] += 1
            print(f"{what}: {len(asked)} questions, {counts}")
    context = shell.make_context("shell", [])
    settings = {name: value for name, value in context.params.items() if name != "index_name"}
    session = Shell(context, searcher, settings, Terminal())
    times, processor = [], []
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        for _, question in asked:
            start, used = time.perf_counter(), time.process_time()
            with contextlib.suppress(NothingFound):
                session.run(f"/ask {question}")
            times.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
    half, most = np.quantile(times, [0.5, 0.95])
    print(
        f"warm: median {1000 * half:.0f} ms, 95 % within {1000 * most:.0f} ms; processor time "
        f"{1000 * np.median(processor):.0f} ms"
    )
    cold, used_cold = [], []
    for _, question in asked[:COLD]:
        command = [sys.executable, "-m", "astrosearch", "ask", question, "-i", arguments.index]
        start, used = time.perf_counter(), _of_children()
        subprocess.run(command, capture_output=True, check=False)
        cold.append(time.perf_counter() - start)
        used_cold.append(_of_children() - used)
    print(
        f"cold: median {np.median(cold):.2f} s ({min(cold):.2f} to {max(cold):.2f}); processor "
        f"time {np.median(used_cold):.2f} s"
    )


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

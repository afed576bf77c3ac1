"""Reading a snapshot in which most lines are not astronomy, against Hugging Face `datasets`.

The snapshot repeats real records under new identifiers, four of five in categories outside
astronomy. Ours is `import_papers`, into papers.sqlite, with all checks (identifiers, withdrawn
papers, duplicates). The peer is `load_dataset("json")` and `filter` on the same categories, without
checks: once with whole rows, and once with the column of the categories alone, in two processes,
which is the fastest way that it has. All take turns, several times; the ratio is the median of the
ratios of each turn. Time is that of the whole program; "cpu" is what all its processes and threads
computed, which other work on the machine hardly changes. Memory is the peak of the sum over all its
processes of their proportional set size (Pss: memory that several share is counted once), asked for
five times a second; on systems without /proc it is not measured.

    python -m tests.benchmarks.ingest arxiv-metadata-oai-snapshot.json --gigabytes 2 --times 3
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from astrosearch.corpus.json_lines import json_records
from astrosearch.text.authors import split_name

OURS = """
import sys
from pathlib import Path
from astrosearch.corpus.intake import import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.corpus.intake import Selection
papers = Path(sys.argv[2]) / "papers.sqlite"
rejected = Path(sys.argv[2]) / "rejected.jsonl"
import_papers([Path(sys.argv[1])], Selection(category="astro-ph"), papers, rejected)
print(len(Corpus(papers)))
"""

PEER = """
import sys
from datasets import disable_progress_bars, load_dataset
disable_progress_bars()
papers = load_dataset("json", data_files=sys.argv[1], cache_dir=sys.argv[2], split="train")
astro = papers.filter(
    lambda row: any(name.startswith("astro-ph") for name in row["categories"].split())
)
print(len(astro))
"""

PEER_OF_A_COLUMN = PEER.replace(
    """    lambda row: any(name.startswith("astro-ph") for name in row["categories"].split())
""",
    """    lambda names: any(name.startswith("astro-ph") for name in names.split()),
    input_columns="categories",
    num_proc=2,
""",
)

PROGRAMS = {"ours": OURS, "peer": PEER, "peer, one column": PEER_OF_A_COLUMN}


def make_snapshot(source: Path, target: Path, size: int) -> None:
    """Write `size` bytes of records, every fifth one astronomy."""
    records = [
        record for _, line in json_records(source) if (record := json.loads(line))["categories"]
    ]
    # `datasets` infers the type of a column from its first values, so these are texts and lists.
    for record in records:
        record.update({name: record[name] or "" for name in record if name != "versions"})
        record["versions"] = [{"version": "v1", "created": "Fri, 06 May 2016 00:00:00 GMT"}]
        names = map(split_name, record["authors"].replace(" and ", ", ").split(", "))
        record["authors_parsed"] = [[name.surname, name.given, name.suffix] for name in names]
    written = number = 0
    with target.open("w") as stream:
        while written < size:
            record = records[number % len(records)]
            month, serial = divmod(number, 99_999)
            record["id"] = f"{15 + month // 12:02}{month % 12 + 1:02}.{serial + 1:05}"
            if number % 5:
                record = {**record, "categories": "hep-th math-ph"}
            written += stream.write(json.dumps(record) + "\n")
            number += 1


def memory_of(process: int) -> float:
    """Pss in MB of a process and all that it started."""
    total = 0.0
    with suppress(OSError, ValueError):  # it has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) / 1024
        for task in Path(f"/proc/{process}/task").iterdir():
            total += sum(map(memory_of, map(int, (task / "children").read_text().split())))
    return total


def measure(program: str, snapshot: Path) -> tuple[float, float, float, str]:
    """Seconds, seconds of computing, peak memory in MB, and standard output of a program."""
    peak = 0.0
    with tempfile.TemporaryDirectory(dir=snapshot.parent) as work:
        start, computed = time.perf_counter(), seconds_of_children()
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(snapshot), work], stdout=subprocess.PIPE, text=True
        )
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.2):
                peak = max(peak, memory_of(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        printed, _ = process.communicate()
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
    if process.returncode:
        raise SystemExit("a run failed")
    return seconds, seconds_of_children() - computed, peak, printed.strip()


def seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="real records in the Kaggle snapshot's format")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.json"
        # In a process of its own, so that the watcher's is small.
        size = int(arguments.gigabytes * 1e9)
        maker = multiprocessing.get_context("spawn").Process(
            target=make_snapshot, args=(arguments.source, snapshot, size)
        )
        maker.start()
        maker.join()
        print(f"{snapshot.stat().st_size / 1e9:.2f} GB")
        for _ in range(arguments.times):
            for name, program in PROGRAMS.items():
                seconds, computed, memory, printed = measure(program, snapshot)
                times[name].append(seconds)
                print(
                    f"{name:16} {seconds:8.1f} s {computed:8.1f} s cpu {memory:8.0f} MB "
                    f"{printed:>9} papers",
                    flush=True,
                )
    for name in [*PROGRAMS][1:]:
        ratios = [theirs / own for own, theirs in zip(times["ours"], times[name], strict=True)]
        print(f"{statistics.median(ratios):.1f} times as fast as {name}")


if __name__ == "__main__":
    main()

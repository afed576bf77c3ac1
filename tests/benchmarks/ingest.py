"""Reading a snapshot in which most lines are not astronomy, against Hugging Face `datasets`.

The snapshot repeats real records under new identifiers, four of five in categories outside
astronomy. Ours is `import_papers`, into papers.sqlite, with all checks (identifiers, withdrawn
papers, duplicates). The peer is `load_dataset("json")` and `filter` on the same categories, without
checks. Each runs in a process of its own; time is that of the whole process, memory its peak.

    python -m tests.benchmarks.ingest arxiv-metadata-oai-snapshot.json --gigabytes 2
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from astrosearch.corpus.json_lines import json_records

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


def make_snapshot(source: Path, target: Path, size: int) -> None:
    """Write `size` bytes of records, every fifth one astronomy."""
    records = [
        record for _, line in json_records(source) if (record := json.loads(line))["categories"]
    ]
    # `datasets` infers the type of a column from its first values, so these are texts and lists.
    for record in records:
        record.update({name: record[name] or "" for name in record if name != "versions"})
        record["versions"] = [{"version": "v1", "created": "Fri, 06 May 2016 00:00:00 GMT"}]
        record["authors_parsed"] = [[name, "", ""] for name in record["authors"].split(", ")]
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


def measure(program: str, snapshot: Path) -> tuple[float, float, str]:
    """Seconds, peak memory in MB, and standard output of a program."""
    with tempfile.TemporaryDirectory(dir=snapshot.parent) as work:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(snapshot), work], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        printed = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("a run failed")
        return time.perf_counter() - start, usage.ru_maxrss / 1024, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="real records in the Kaggle snapshot's format")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.json"
        # In a process of its own: a child's peak memory begins with that of its parent.
        size = int(arguments.gigabytes * 1e9)
        maker = multiprocessing.get_context("spawn").Process(
            target=make_snapshot, args=(arguments.source, snapshot, size)
        )
        maker.start()
        maker.join()
        print(f"{snapshot.stat().st_size / 1e9:.2f} GB")
        results = {name: measure(run, snapshot) for name, run in (("ours", OURS), ("peer", PEER))}
    for name, (seconds, memory, printed) in results.items():
        print(f"{name:5} {seconds:8.1f} s {memory:8.0f} MB peak {printed:>9} papers")
    print(f"ratio {results['peer'][0] / results['ours'][0]:.1f} times as fast as datasets")


if __name__ == "__main__":
    main()

"""Lines of a metadata file for a smaller index: papers that ask, those they cite, and others.

The papers that ask are those of `citations.jsonl` that are held out; the others are drawn by a hash
of their identifiers.

    python -m tests.benchmarks.pool FILE citations.jsonl --papers 8934 > pool.jsonl
    astrosearch index pool --corpus pool.jsonl
    python -m tests.benchmarks.citing pool citations.jsonl
"""

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from astrosearch.evaluation.qrels import read_judgements
from astrosearch.evaluation.split import is_held_out


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Identifiers and lines of a metadata file."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["id"], line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("citations", type=Path)
    parser.add_argument("--papers", type=int, default=8934)
    arguments = parser.parse_args()
    needed = {
        paper_id
        for judged in read_judgements(arguments.citations)
        if judged.id and is_held_out(judged.id)
        for paper_id in (judged.id, *judged.relevant)
    }
    ids = sorted(
        (paper_id for paper_id, _ in lines(arguments.file)),
        key=lambda paper_id: (
            paper_id not in needed,
            hashlib.sha256(paper_id.encode()).digest(),
        ),
    )
    pool = frozenset(ids[: arguments.papers])
    for paper_id, line in lines(arguments.file):
        if paper_id in pool:
            sys.stdout.write(line)


if __name__ == "__main__":
    main()

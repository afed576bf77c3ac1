"""Does an index that has grown answer like one that was built in one go? Real records, 40 updates.

    python -m tests.benchmarks.grown FILE

Of the records of FILE, in the format of the Kaggle snapshot and at random, all but --papers go
into an index, a quarter of that number of them with a shorter abstract. Each of 40 updates brings
some of the others, and the real versions of some of the shortened. Another index is built of all
the real records, in another order. Both are asked the same 500 questions: titles, the first words
of titles and, with --requests FILE, questions, needs and keywords. Hits and their order must be the
same, and scores to 1e-4. The exit code is 1 if an answer differs.
"""

import argparse
import gzip
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

UPDATES, CLOSE = 40, 1e-4


def records(file: Path) -> list[bytes]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        return list(stream)


def shortened(line: bytes) -> bytes:
    """An earlier version of a record."""
    record = orjson.loads(line)
    record["abstract"] = record["abstract"][:300] + " This is an earlier version."
    record["update_date"] = "1990-01-01"
    return orjson.dumps(record) + b"\n"


def astrosearch(*arguments: str | Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "astrosearch", *map(str, arguments)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def grow(lines: list[bytes], papers: int, folder: Path) -> None:
    """Build `whole` of all lines, and `grown` of them in 40 updates."""
    draw = random.Random(0)
    draw.shuffle(lines)
    first, later = lines[:-papers], lines[-papers:]
    replaced = draw.sample(range(len(first)), papers // 4)
    later += [first[place] for place in replaced]
    for place in replaced:
        first[place] = shortened(first[place])
    draw.shuffle(later)
    corpus = folder / "grown.jsonl"
    corpus.write_bytes(b"".join(first))
    astrosearch("index", "grown", "--corpus", corpus)
    for number in range(UPDATES):
        with corpus.open("ab") as stream:
            stream.write(b"".join(later[number::UPDATES]))
        astrosearch("update", "grown")
        print(f"{number + 1} of {UPDATES} updates", file=sys.stderr)
    draw.shuffle(lines)
    (folder / "whole.jsonl").write_bytes(b"".join(lines))
    astrosearch("index", "whole", "--corpus", folder / "whole.jsonl")


def questions(titles: list[str], requests: Path | None, count: int) -> Iterator[str]:
    forms = ("question", "need", "keywords")
    asked = [] if requests is None else requests.read_bytes().splitlines()
    for number, line in enumerate(asked[: count // 2]):
        yield orjson.loads(line)[forms[number % 3]]
    rows = np.linspace(0, len(titles) - 1, count - min(len(asked), count // 2)).astype(int)
    for number, row in enumerate(rows.tolist()):
        words = titles[row].split()
        yield " ".join(words if number % 2 else words[:3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--papers", type=int, default=2_000)
    parser.add_argument("--requests", type=Path)
    parser.add_argument("--questions", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["ASTROSEARCH_HOME"] = home
        grow(records(arguments.file), arguments.papers, Path(home))
        from astrosearch.search.searcher import open_index

        grown, whole = open_index("grown"), open_index("whole")
        titles = [paper.title for paper in whole.index.corpus]
        different, largest = 0, 0.0
        for question in questions(titles, arguments.requests, arguments.questions):
            ours, theirs = grown.query(question), whole.query(question)
            same = [hit.paper.id for hit in ours] == [hit.paper.id for hit in theirs]
            gaps = [abs(one.score - other.score) for one, other in zip(ours, theirs, strict=False)]
            largest = max([largest, *gaps])
            if not same or max(gaps, default=0) > CLOSE:
                different += 1
                print(f"other hits or scores: {question}")
        print(
            f"{len(grown):,} papers in {len(grown.index.manifest.segments)} segments and "
            f"{len(whole):,} in one go: {different} of {arguments.questions} answers differ, "
            f"scores by {largest:.1e} at most"
        )
        grown.close()
        whole.close()
    raise SystemExit(different > 0)


if __name__ == "__main__":
    main()

"""300 new papers a day into a large index, against LanceDB and txtai, as whole processes.

The papers are made up (`made_up.py`). An index of --papers of them is built once and kept in
--home; of more than 326,238 only so many are encoded, and the others have vectors like theirs.
Then a file of 300 papers is put to `astrosearch update` on each of --days days. Of the 300, 270 are
new, and 30 are later versions of papers that are there. Then questions are put to two shells that
are up, one of the index as it was built and one of the grown index, in turns of fifty.

The peers get the same texts, in as many rows, and vectors that are ready, while astrosearch encodes
them. LanceDB appends 300 rows and brings its vector index and its full-text index up to date
(`optimize`). txtai, with BM25 and the texts stored, upserts 300 and saves. Both update once.

Bytes written are those that the system counts for the process (`write_bytes` of /proc/PID/io), so
files that are deleted again count, too. Beside ours stands what is new on the disk.

    python -m tests.benchmarks.update --papers 326238 --python PYTHON_OF_PEERS
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

NEW, REPLACED = 270, 30
"""Papers of a day."""

LARGE = 326_238
"""Papers of which all are encoded when an index of more is built."""

TURN = 50
"""Questions that one index answers before it is the other's turn."""

LANCEDB = """
import json, sys
from itertools import islice
import lancedb, numpy as np, pyarrow as pa

work, folder, step = sys.argv[1:]
db = lancedb.connect(folder + "/lancedb")

def tables(name):
    vectors = np.load(f"{work}/{name}.npy", mmap_mode="r")
    width, start = vectors.shape[1], 0
    with open(f"{work}/{name}.jsonl") as stream:
        while lines := list(islice(stream, 8192)):
            records = [json.loads(line) for line in lines]
            block = np.ascontiguousarray(vectors[start : start + len(lines)]).reshape(-1)
            start += len(lines)
            yield pa.table({
                "id": [record["id"] for record in records],
                "text": [record["title"] + "\\n" + record["abstract"] for record in records],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(block, pa.float16()), width),
            })

if step == "build":
    blocks = tables("papers")
    table = db.create_table("papers", next(blocks))
    for block in blocks:
        table.add(block)
    table.optimize()
    table.create_index(metric="cosine", index_type="IVF_PQ", vector_column_name="vector")
    table.create_fts_index("text")
else:
    table = db.open_table("papers")
    for block in tables("day"):
        table.add(block)
    table.optimize()
for name in ("vector_idx", "text_idx"):
    assert table.index_stats(name).num_unindexed_rows == 0
"""

TXTAI = """
import json, sys
import numpy as np
from txtai import Embeddings

work, folder, step = sys.argv[1:]
name = "papers" if step == "build" else "day"
vectors = np.load(f"{work}/{name}.npy", mmap_mode="r")
with open(f"{work}/{name}.jsonl") as stream:
    records = [json.loads(line) for line in stream]
texts = [record["title"] + "\\n" + record["abstract"] for record in records]
rows = {text: row for row, text in enumerate(texts)}

def transform(texts):
    return np.stack([vectors[rows[text]] for text in texts]).astype(np.float32)

path = folder + "/txtai"
documents = ((record["id"], text, None) for record, text in zip(records, texts))
settings = {"method": "external", "transform": transform, "content": True, "hybrid": True}
embeddings = Embeddings(settings)
if step == "build":
    embeddings.index(documents)
else:
    embeddings.load(path, config=settings)
    embeddings.upsert(documents)
embeddings.save(path)
"""


@dataclass(frozen=True)
class Cost:
    """Of a process."""

    seconds: float
    processor: float
    """Seconds of all threads."""
    written: int
    """Bytes."""
    memory: int
    """Bytes, at its peak."""


def measure(command: list[str], environment: dict[str, str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    printed = process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - start
    lines = Path(f"/proc/{process.pid}/io").read_text().splitlines()
    written = int(next(line for line in lines if line.startswith("write_bytes")).split()[1])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{printed}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, written, usage.ru_maxrss * 1024)


def files(folder: Path) -> dict[int, int]:
    """The sizes of all files in a folder, by their inodes."""
    stats = [file.stat() for file in folder.rglob("*") if file.is_file()]
    return {stat.st_ino: stat.st_size for stat in stats}


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"


def prepare(home: Path, count: int) -> Path:
    """The folder of an index of so many made-up papers; it is built if it is not there."""
    from tests.benchmarks.made_up import MadeUpPapers, build_index, build_large_index

    folder, corpus = home / "indexes" / f"p{count}", home / f"p{count}.jsonl"
    if (folder / "manifest.json").exists():
        return folder
    corpus.unlink(missing_ok=True)
    MadeUpPapers().append(corpus, range(count))
    folder.parent.mkdir(exist_ok=True)
    if count > LARGE:
        build_large_index(folder, corpus, prepare(home, LARGE))
    else:
        build_index(folder, corpus)
    return folder


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, which runs in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def clone(folder: Path, name: str) -> Path:
    """A second index with the same files: they are never changed, so they are shared."""
    other = folder.with_name(name)
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other, copy_function=os.link)
    return other


def days_of_papers(count: int, days: int) -> list[bytes]:
    """The lines of each day: new papers, and later versions of some of the first `count`."""
    import orjson

    from tests.benchmarks.made_up import MadeUpPapers

    papers = MadeUpPapers()
    lines = []
    for first in range(count, count + days * (NEW + REPLACED), NEW + REPLACED):
        records = [papers.record(number) for number in range(first, first + NEW + REPLACED)]
        for record in records[NEW:]:
            earlier = papers.record(random.Random(str(record["id"])).randrange(count))
            record.update(id=earlier["id"], version=2)
        lines.append(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return lines


def update(folder: Path, count: int, days: int) -> None:
    """Bring a day's papers into an index, again and again, and print what it costs."""
    daily = folder.parent / f"{folder.name}.jsonl"
    daily.unlink(missing_ok=True)
    environment = os.environ | {"ASTROSEARCH_HOME": str(folder.parent.parent)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "astrosearch", "update", folder.name]
    costs, added = [], []
    for day, lines in enumerate(in_a_process(days_of_papers, count, days)):
        with daily.open("ab") as stream:
            stream.write(lines)
        before = files(folder)
        costs.append(measure(command if day else [*command, "--corpus", str(daily)], environment))
        after = files(folder)
        added.append(sum(size for inode, size in after.items() if inode not in before))
    report(f"astrosearch update, first of {days}", costs[0], added[0])
    if days > 1:
        seconds = [cost.seconds for cost in costs]
        written = [cost.written for cost in costs]
        print(
            f"all {days}: median {median(seconds):.2f} s ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), {megabytes(median(written))} written ({megabytes(min(written))} "
            f"to {megabytes(max(written))}), {megabytes(median(added))} new on disk (at most "
            f"{megabytes(max(added))})",
            flush=True,
        )


def report(name: str, cost: Cost, added: int | None = None) -> None:
    new = "" if added is None else f" ({megabytes(added)} new on disk)"
    print(
        f"{name:32} {cost.seconds:7.2f} s ({cost.processor:.2f} s of processor time), "
        f"{megabytes(cost.written)} written{new}, {megabytes(cost.memory)} of memory",
        flush=True,
    )


def ask(
    names: tuple[str, str], count: int, questions: int, home: Path
) -> dict[str, list[tuple[float, float]]]:
    """The milliseconds of each question to each of two indexes: of the clock, and of all threads'
    processor time."""
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": "100", "ASTROSEARCH_HOME": str(home)}
    from astrosearch.cli.console import Terminal
    from astrosearch.cli.shell import Shell, shell
    from astrosearch.search.searcher import open_index
    from tests.benchmarks.made_up import MadeUpPapers

    papers = MadeUpPapers()
    asked = [papers.question(number * count // questions) for number in range(questions)]
    context = shell.make_context("shell", [])
    settings = {name: value for name, value in context.params.items() if name != "index_name"}
    shells = [Shell(context, open_index(name), settings, Terminal()) for name in names]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        for is_measured in (False, True):
            for first in range(0, questions, TURN):
                for name, session in zip(names, shells, strict=True):
                    for question in asked[first : first + TURN]:
                        start, processor = time.perf_counter(), time.process_time()
                        session.run(question)
                        ended = time.perf_counter() - start, time.process_time() - processor
                        if is_measured:
                            times[name].append((1000 * ended[0], 1000 * ended[1]))
    return times


def compare_questions(folders: tuple[Path, Path], count: int, questions: int) -> None:
    import numpy as np

    names = (folders[0].name, folders[1].name)
    times = in_a_process(ask, names, count, questions, folders[0].parent.parent)
    percentiles = {name: np.percentile(times[name], (50, 99), axis=0) for name in names}
    for name, what in zip(names, ("as it was built", "grown"), strict=True):
        (p50, processor_p50), (p99, processor_p99) = percentiles[name]
        print(
            f"a warm question, {what:16} p50 {p50:6.1f} ms, p99 {p99:6.1f} ms; of processor time "
            f"{processor_p50:6.1f} ms, {processor_p99:6.1f} ms"
        )
    (p50, processor_p50), (p99, processor_p99) = percentiles[names[1]] / percentiles[names[0]]
    print(
        f"ratio (grown to built)            p50 {p50:.2f}, p99 {p99:.2f}; of processor time "
        f"{processor_p50:.2f}, {processor_p99:.2f}",
        flush=True,
    )


def write_for_peers(folder: Path, work: Path, count: int) -> None:
    """The texts and vectors of an index and of a day, as files that the peers read."""
    import numpy as np
    import orjson

    from astrosearch.encoders.loading import load_encoder
    from astrosearch.index.manifest import Manifest

    manifest = Manifest.read(folder)
    (work / "papers.npy").symlink_to(folder / manifest.segments[0].path("vectors.npy"))
    (work / "papers.jsonl").symlink_to(manifest.corpus.sources[0])
    [lines] = days_of_papers(count, 1)
    (work / "day.jsonl").write_bytes(lines)
    records = [orjson.loads(line) for line in lines.splitlines()]
    texts = [f"{record['title']}\n{record['abstract']}" for record in records]
    vectors = load_encoder(manifest.encoder).encode(texts)
    np.save(work / "day.npy", vectors.astype(np.float16))


def update_peers(folder: Path, count: int, python: str, peers: list[str]) -> None:
    work = folder.parent.parent / "peers"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    in_a_process(write_for_peers, folder, work, count)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    for name in peers:
        program = {"lancedb": LANCEDB, "txtai": TXTAI}[name]
        (work / f"with_{name}.py").write_text(program)
        command = [python, str(work / f"with_{name}.py"), str(work), str(work)]
        report(f"{name}, the index built", measure([*command, "build"], environment))
        report(f"{name}, 300 papers", measure([*command, "update"], environment))
    shutil.rmtree(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=326_238)
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--home", type=Path, required=True, help="A folder for indexes.")
    parser.add_argument(
        "--python", default=sys.executable, help="A Python that has the peers installed."
    )
    parser.add_argument("--peers", nargs="*", default=["lancedb", "txtai"])
    arguments = parser.parse_args()
    count, home = arguments.papers, arguments.home.resolve()
    home.mkdir(exist_ok=True)
    folder = in_a_process(prepare, home, count)
    print(f"{count:,} papers, {megabytes(sum(files(folder).values()))} on disk", flush=True)
    grown = clone(folder, f"{folder.name}-grown")
    update(grown, count, arguments.days)
    compare_questions((folder, grown), count, arguments.questions)
    update_peers(folder, count, arguments.python, arguments.peers)


if __name__ == "__main__":
    main()

"""Finding neighbours among many vectors, against faiss flat fp32 and usearch in the same run.

The vectors are those of a built index, turned at random into the dimension asked for and
repeated to the number asked for. Copies are moved by random noise until two of one paper are as
near to each other as a paper is to its nearest neighbour (by the median): no duplicates, and no
lonelier than papers are. How near the tenth answer to a query is, is printed for a quarter of the
papers, for all, and for the vectors, since papers crowd as they become more. Queries are directions
halfway between two random papers, others than those the index was tuned with. Each runs in a
process of its own; memory is what it grew by from before opening the index to the end of the
queries, mapped files included. Some queries are put again under filters that leave random rows.
usearch is a graph over float16, as its defaults are.

    python -m tests.benchmarks.indexes NAME --papers 326238 --dimension 576
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch import paths
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.index.vectors import release

QUERIES, K, BLOCK = 500, 10, 16_384
SHARES = (0.99, 0.5, 0.1, 0.01, 0.0)
"""Of the rows, that a filter lets pass; 0 stands for a single one."""


def make_vectors(source: Path, target: Path, count: int, dimension: int) -> None:
    """(count, dimension) float16 unit rows, written in blocks."""
    real = np.load(source, mmap_mode="r")
    draw = np.random.default_rng(0)
    wide = max(dimension, real.shape[1])
    axes = np.linalg.qr(draw.normal(size=(wide, real.shape[1])).astype(np.float32))[0]
    axes = axes.T[:, :dimension]
    some = draw.choice(len(real), 300, replace=False)
    cosines = np.sort(unit_rows(real[some]) @ unit_rows(real[:]).T, axis=1)
    nearest = float(np.median(cosines[:, -2]))  # the last is the paper itself
    spread = (1 / nearest - 1) ** 0.5 / dimension**0.5  # of two copies 1 / (1 + noise²)
    stored = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.float16, shape=(count, dimension)
    )
    row = 0
    while row < count:
        first = row % len(real)
        block = unit_rows(real[first : first + BLOCK][: count - row]) @ axes
        if row >= len(real):
            noise = draw.standard_normal(size=block.shape, dtype=np.float32)
            block = unit_rows(block) + spread * noise
        stored[row : row + len(block)] = unit_rows(block)
        row += len(block)
        release(stored)
    stored.flush()


def questions(stored: NDArray[np.floating]) -> Vectors:
    one, other = np.random.default_rng(1).integers(0, len(stored), (2, QUERIES))
    return unit_rows(unit_rows(stored[one]) + unit_rows(stored[other]))


def tenth_answer(rows: Vectors) -> float:
    """The median cosine of queries with their tenth answer."""
    scores = np.sort(questions(rows) @ rows.T, axis=1)
    return float(np.median(scores[:, -K]))


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("VmRSS"))
    return int(found.split()[1]) * 1024


def blocks(stored: NDArray[np.float16]) -> Any:
    for start in range(0, len(stored), BLOCK):
        yield start, unit_rows(stored[start : start + BLOCK])
        release(stored)


def build(way: str, stored: NDArray[np.float16], path: Path) -> dict[str, Any]:
    count, dimension = stored.shape
    if way == "flat fp32":
        import faiss

        flat = faiss.IndexFlatIP(dimension)
        for _, rows in blocks(stored):
            flat.add(rows)
        faiss.write_index(flat, str(path))
        return {}
    if way == "usearch":
        from usearch.index import Index

        graph = Index(ndim=dimension, metric="ip", dtype="f16")
        for start, rows in blocks(stored):
            graph.add(np.arange(start, start + len(rows)), rows)
        graph.save(str(path))
        return {}
    from astrosearch.index import vector_index as neighbours

    words = neighbours.factory(way, count, dimension)
    if words == "SQfp16":
        return {"factory": words, "parameters": {}, "measured": 1.0}
    neighbours.write(path, stored, words)
    found = neighbours.VectorIndex(stored, path, {})
    measured = found.tune(neighbours.RECALL)
    return {"factory": words, "parameters": found.parameters, "measured": measured}


def ask(way: str, stored: NDArray[np.float16], path: Path, parameters: Any) -> Any:
    """Open what was built; returns a function from a query, and the rows allowed, to rows."""
    if way == "flat fp32":
        import faiss

        flat = faiss.read_index(str(path))

        def search(query: Vectors, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
            selector = None
            if allowed is not None:
                mask = np.zeros(flat.ntotal, dtype=bool)
                mask[allowed] = True
                selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            found: NDArray[np.int64] = flat.search(
                query, K, params=faiss.SearchParameters(sel=selector)
            )[1][0]
            return found

        return search
    if way == "usearch":
        from usearch.index import Index

        graph = Index.restore(str(path), view=True)
        return lambda query: graph.search(query[0], K).keys.astype(np.int64)
    from astrosearch.index.vector_index import VectorIndex

    found = VectorIndex(stored, path if path.exists() else None, parameters)
    return lambda query, allowed=None: found.search(query, K, allowed)[1][0]


def measure(way: str, folder: Path) -> dict[str, Any]:
    stored = np.load(folder / "vectors.npy", mmap_mode="r")
    facts = json.loads((folder / f"{way}.json").read_text())
    queries = questions(stored)
    ask(way, stored[:100], Path("/nowhere"), {}) if way not in ("flat fp32", "usearch") else None
    release(stored)
    before = resident()
    start = time.perf_counter()
    search = ask(way, stored, folder / way, facts.get("parameters"))
    opened = time.perf_counter() - start
    seconds, rows = [], []
    for query in queries:
        start = time.perf_counter()
        rows.append(search(query[None]))
        seconds.append(time.perf_counter() - start)
    memory = resident() - before
    scores = np.stack(
        [np.sort(unit_rows(stored[np.sort(r)]) @ q) for r, q in zip(rows, queries, strict=True)]
    )
    if way == "flat fp32":
        np.save(folder / "worst.npy", scores[:, 0])
    worst = np.load(folder / "worst.npy")
    p50, p99 = (1000 * np.percentile(seconds, (50, 99))).tolist()
    recall = float(np.mean(scores >= worst[:, None] - 1e-4))
    found = {"opened": opened, "memory": memory, "p50": p50, "p99": p99, "recall": recall}
    if way == "usearch":
        return found
    draw = np.random.default_rng(2)
    found["filtered"] = []
    for share in SHARES:
        count = max(1, round(share * len(stored)))
        allowed = np.sort(draw.choice(len(stored), count, replace=False))
        seconds = []
        for query in queries[:25]:
            start = time.perf_counter()
            search(query[None], allowed)
            seconds.append(time.perf_counter() - start)
        found["filtered"].append(1000 * float(np.median(seconds)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", help="Name or folder of an index.")
    parser.add_argument("--papers", type=int, default=326_238)
    parser.add_argument("--dimension", type=int, default=576)
    parser.add_argument(
        "--ways", nargs="*", default=["auto", "usearch"], help="usearch, or kinds of ours."
    )
    parser.add_argument("--only", nargs=2, metavar=("WORK", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        work, way = given.only
        if work == "make":
            make_vectors(
                Path(given.index), given.folder / "vectors.npy", given.papers, given.dimension
            )
        elif work == "build":
            stored = np.load(given.folder / "vectors.npy", mmap_mode="r")
            start = time.perf_counter()
            facts = build(way, stored, given.folder / way)
            facts["seconds"] = time.perf_counter() - start
            (given.folder / f"{way}.json").write_text(json.dumps(facts))
        else:
            print(json.dumps(measure(way, given.folder)))
        return
    folder = Path(given.index)
    source = (folder if folder.is_dir() else paths.existing_index(given.index)) / "vectors.npy"

    with tempfile.TemporaryDirectory() as work_folder:
        here = Path(work_folder)

        def step(work: str, way: str = "") -> str:
            command = [sys.executable, "-m", "tests.benchmarks.indexes", str(source)]
            command += ["--papers", str(given.papers), "--dimension", str(given.dimension)]
            command += ["--folder", str(here), "--only", work, way]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

        step("make")
        real = unit_rows(np.load(source))
        print(
            f"{given.papers:,} × {given.dimension}; the tenth answer to a query has a cosine of "
            f"{tenth_answer(real[::4]):.3f} among {len(real) // 4:,} papers, "
            f"{tenth_answer(real):.3f} among {len(real):,}",
            flush=True,
        )
        del real
        found: dict[str, dict[str, Any]] = {}
        for way in ("flat fp32", *given.ways):
            step("build", way)
            facts = json.loads((here / f"{way}.json").read_text())
            one = found[way] = facts | json.loads(step("ask", way).splitlines()[-1])
            size = (here / way).stat().st_size if (here / way).exists() else 0
            print(
                f"{way:10} built in {one['seconds']:,.0f} s, {size / 1e6:,.1f} MB on disk, opened "
                f"in {1000 * one['opened']:.0f} ms, {one['memory'] / 1e6:,.0f} MB resident, "
                f"p50 {one['p50']:.2f} ms, p99 {one['p99']:.2f} ms, recall@10 {one['recall']:.4f}",
                flush=True,
            )
            for share, p50 in zip(SHARES, one.get("filtered", []), strict=False):
                what = f"{share:.0%} of the papers" if share else "one paper"
                print(f"           p50 {p50:.2f} ms under a filter that leaves {what}", flush=True)
            if "factory" in one:
                print(f"           {one['factory']} {one['parameters']} {one['measured']:.4f}")
            (here / way).unlink(missing_ok=True)
            flat = found["flat fp32"]
            if one is flat:
                tenth = np.median(np.load(here / "worst.npy"))
                print(f"           tenth answer of a query: median cosine {tenth:.3f}")
            print(
                f"           ratio of p50 (flat to it) {flat['p50'] / one['p50']:.1f}, of memory "
                f"(it to flat) {one['memory'] / flat['memory']:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Finding neighbours among many vectors, against faiss flat fp32 and usearch in the same run.

The vectors are those of a built index, rotated at random into --dimension dimensions and repeated
to --papers vectors. Random noise moves the copies so far apart that two copies of a paper are as
near as a paper is to its nearest neighbour (by the median): they are neither duplicates nor more
isolated than papers are. The cosine of a query with its tenth hit is printed for a quarter of the
papers, for all papers, and for the vectors, since more papers are nearer to each other. Queries are
directions halfway between two random papers, other ones than the index was tuned with. Each kind
runs in a process of its own; memory is its growth from before opening the index to the end of the
queries, with mapped files. Some queries are repeated under filters that leave random rows. usearch
is a graph over float16, as in its defaults.

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
from astrosearch.index.manifest import Manifest
from astrosearch.index.vectors import release

QUERIES, K, BLOCK = 500, 10, 16_384
SHARES = (0.99, 0.5, 0.1, 0.01, 0.0)
"""Shares of the rows that pass a filter; 0 stands for a single row."""


def make_vectors(source: Path, target: Path, count: int, dimension: int) -> None:
    """Write (count, dimension) float16 unit rows to `target`, in blocks."""
    real = np.load(source, mmap_mode="r")
    draw = np.random.default_rng(0)
    wide = max(dimension, real.shape[1])
    axes = np.linalg.qr(draw.normal(size=(wide, real.shape[1])).astype(np.float32))[0]
    axes = axes.T[:, :dimension]
    sample = draw.choice(len(real), 300, replace=False)
    cosines = np.sort(unit_rows(real[sample]) @ unit_rows(real[:]).T, axis=1)
    nearest = float(np.median(cosines[:, -2]))  # the last is the paper itself
    spread = (1 / nearest - 1) ** 0.5 / dimension**0.5  # cosine of two copies: 1 / (1 + noise²)
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


def query_vectors(stored: NDArray[np.floating]) -> Vectors:
    """(QUERIES, dimension) directions halfway between two random rows."""
    first, second = np.random.default_rng(1).integers(0, len(stored), (2, QUERIES))
    return unit_rows(unit_rows(stored[first]) + unit_rows(stored[second]))


def tenth_cosine(rows: Vectors) -> float:
    """The median cosine of queries with their tenth hit."""
    scores = np.sort(query_vectors(rows) @ rows.T, axis=1)
    return float(np.median(scores[:, -K]))


def resident() -> int:
    """Resident memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def blocks(stored: NDArray[np.float16]) -> Any:
    for start in range(0, len(stored), BLOCK):
        yield start, unit_rows(stored[start : start + BLOCK])
        release(stored)


def build(way: str, stored: NDArray[np.float16], path: Path) -> dict[str, Any]:
    """Write an index of one kind; return its factory string, parameters and measured recall."""
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
    from astrosearch.index import vector_index

    factory = vector_index.factory(way, count, dimension)
    if factory == "SQfp16":
        return {"factory": factory, "parameters": {}, "measured": 1.0}
    vector_index.write(path, stored, factory)
    index = vector_index.VectorIndex(stored, path, {})
    recall = index.tune(vector_index.RECALL)
    return {"factory": factory, "parameters": index.parameters, "measured": recall}


def open_search(way: str, stored: NDArray[np.float16], path: Path, parameters: Any) -> Any:
    """Open an index of one kind; return a function from a query and the allowed rows to rows."""
    if way == "flat fp32":
        import faiss

        flat = faiss.read_index(str(path))

        def search(query: Vectors, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
            selector = None
            if allowed is not None:
                mask = np.zeros(flat.ntotal, dtype=bool)
                mask[allowed] = True
                selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            rows: NDArray[np.int64] = flat.search(
                query, K, params=faiss.SearchParameters(sel=selector)
            )[1][0]
            return rows

        return search
    if way == "usearch":
        from usearch.index import Index

        graph = Index.restore(str(path), view=True)
        return lambda query: graph.search(query[0], K).keys.astype(np.int64)
    from astrosearch.index.vector_index import VectorIndex

    index = VectorIndex(stored, path if path.exists() else None, parameters)
    return lambda query, allowed=None: index.search(query, K, allowed)[1][0]


def measure(way: str, folder: Path) -> dict[str, Any]:
    """Times in seconds and ms, memory in bytes and recall of an index of one kind."""
    stored = np.load(folder / "vectors.npy", mmap_mode="r")
    facts = json.loads((folder / f"{way}.json").read_text())
    queries = query_vectors(stored)
    if way not in ("flat fp32", "usearch"):  # imports come before memory is measured
        open_search(way, stored[:100], Path("/nowhere"), {})
    release(stored)
    before = resident()
    start = time.perf_counter()
    search = open_search(way, stored, folder / way, facts.get("parameters"))
    opened = time.perf_counter() - start
    seconds, rows = [], []
    for query in queries:
        start = time.perf_counter()
        rows.append(search(query[None]))
        seconds.append(time.perf_counter() - start)
    memory = resident() - before
    scores = np.stack(
        [
            np.sort(unit_rows(stored[np.sort(hit_rows)]) @ query)
            for hit_rows, query in zip(rows, queries, strict=True)
        ]
    )
    if way == "flat fp32":
        np.save(folder / "worst.npy", scores[:, 0])
    worst = np.load(folder / "worst.npy")
    p50, p99 = (1000 * np.percentile(seconds, (50, 99))).tolist()
    recall = float(np.mean(scores >= worst[:, None] - 1e-4))
    figures = {"opened": opened, "memory": memory, "p50": p50, "p99": p99, "recall": recall}
    if way == "usearch":
        return figures
    draw = np.random.default_rng(2)
    figures["filtered"] = []
    for share in SHARES:
        count = max(1, round(share * len(stored)))
        allowed = np.sort(draw.choice(len(stored), count, replace=False))
        seconds = []
        for query in queries[:25]:
            start = time.perf_counter()
            search(query[None], allowed)
            seconds.append(time.perf_counter() - start)
        figures["filtered"].append(1000 * float(np.median(seconds)))
    return figures


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
    arguments = parser.parse_args()
    if arguments.only:
        run_step(arguments)
    else:
        run_all(arguments)


def run_step(arguments: argparse.Namespace) -> None:
    """One step, in a process of its own: make the vectors, or build or measure one kind."""
    work, way = arguments.only
    folder = arguments.folder
    if work == "make":
        source = Path(arguments.index)
        make_vectors(source, folder / "vectors.npy", arguments.papers, arguments.dimension)
    elif work == "build":
        stored = np.load(folder / "vectors.npy", mmap_mode="r")
        start = time.perf_counter()
        facts = build(way, stored, folder / way)
        facts["seconds"] = time.perf_counter() - start
        (folder / f"{way}.json").write_text(json.dumps(facts))
    else:
        print(json.dumps(measure(way, folder)))


def run_all(arguments: argparse.Namespace) -> None:
    """All steps, each kind after the other, with their figures printed."""
    index = Path(arguments.index)
    found = index if index.is_dir() else paths.existing_index(arguments.index)
    source = found / Manifest.read(found).segments[0].path("vectors.npy")

    with tempfile.TemporaryDirectory() as work_folder:
        folder = Path(work_folder)

        def step(work: str, way: str = "") -> str:
            command = [sys.executable, "-m", "tests.benchmarks.indexes", str(source)]
            command += ["--papers", str(arguments.papers)]
            command += ["--dimension", str(arguments.dimension)]
            command += ["--folder", str(folder), "--only", work, way]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

        step("make")
        real = unit_rows(np.load(source))
        print(
            f"{arguments.papers:,} × {arguments.dimension}; a query and its tenth hit have a "
            f"median cosine of {tenth_cosine(real[::4]):.3f} among {len(real) // 4:,} papers, "
            f"{tenth_cosine(real):.3f} among {len(real):,}",
            flush=True,
        )
        del real
        flat: dict[str, Any] = {}
        for way in ("flat fp32", *arguments.ways):
            step("build", way)
            facts = json.loads((folder / f"{way}.json").read_text())
            figures = facts | json.loads(step("measure", way).splitlines()[-1])
            size = (folder / way).stat().st_size if (folder / way).exists() else 0
            (folder / way).unlink(missing_ok=True)
            flat = flat or figures
            print_figures(way, figures, flat, size)
            if figures is flat:
                tenth = np.median(np.load(folder / "worst.npy"))
                print(f"           a query and its tenth hit: median cosine {tenth:.3f}")


def print_figures(way: str, figures: dict[str, Any], flat: dict[str, Any], size: int) -> None:
    """Print the figures of one kind, and their ratios to those of the flat index.

    Args:
        size: bytes on disk.
    """
    print(
        f"{way:10} built in {figures['seconds']:,.0f} s, {size / 1e6:,.1f} MB on disk, "
        f"opened in {1000 * figures['opened']:.0f} ms, {figures['memory'] / 1e6:,.0f} MB resident, "
        f"p50 {figures['p50']:.2f} ms, p99 {figures['p99']:.2f} ms, "
        f"recall@10 {figures['recall']:.4f}"
    )
    for share, p50 in zip(SHARES, figures.get("filtered", []), strict=False):
        rows = f"{share:.0%} of the papers" if share else "one paper"
        print(f"           p50 {p50:.2f} ms under a filter that leaves {rows}")
    if "factory" in figures:
        print(f"           {figures['factory']} {figures['parameters']} {figures['measured']:.4f}")
    print(
        f"           ratio of p50 (flat to it) {flat['p50'] / figures['p50']:.1f}, of memory "
        f"(it to flat) {figures['memory'] / flat['memory']:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()

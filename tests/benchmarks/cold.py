"""A cold query, against a sentence-transformers script and `llm similar`, as whole processes.

Each process starts, loads its model, encodes one query, compares it with as many papers as the
index has, and prints ten ids. The processes take turns; files are in the system's cache, and
modules are compiled. The peers use all-MiniLM-L6-v2. Their vectors are random rows of its
dimension, in an .npy file and in llm's own database: the values do not change the time.

    python -m tests.benchmarks.cold INDEX --times 5
"""

import argparse
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.weights.locate import locate
from astrosearch.report import SILENT
from astrosearch.search.searcher import open_index

QUERY = "gas stripped from a dwarf galaxy"

SCRIPT = """
import sys
import numpy as np
from sentence_transformers import SentenceTransformer

model, vectors, ids, text = sys.argv[1:]
query = SentenceTransformer(model).encode([text], normalize_embeddings=True)[0]
scores = np.load(vectors, mmap_mode="r") @ query
names = open(ids).read().split()
print("\\n".join(names[row] for row in np.argsort(-scores)[:10]))
"""


def write_llm(
    folder: Path, python: str, model: Path, ids: list[str], vectors: NDArray[np.float32]
) -> Path:
    """A database of llm with a vector for each id: created by llm, and filled in its format."""
    database = folder / "llm.db"
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    llm = [python, "-m", "llm"]
    embed = ["embed", "papers", "first", "-c", QUERY, "-d", str(database), "-m"]
    for arguments in (
        ["sentence-transformers", "register", str(model)],
        [*embed, f"sentence-transformers/{model}"],
    ):
        subprocess.run([*llm, *arguments], env=environment, check=True, capture_output=True)
    with sqlite3.connect(database) as db:
        db.executemany(
            "INSERT INTO embeddings (collection_id, id, embedding, content_hash, updated) "
            "VALUES (1, ?, ?, ?, 0)",
            (
                (paper_id, row.astype("<f4").tobytes(), hashlib.md5(paper_id.encode()).digest())
                for paper_id, row in zip(ids, vectors, strict=True)
            ),
        )
    return database


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds, peak resident memory (MB) and output of a process."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.DEVNULL, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        answer = output.read().decode()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return seconds, usage.ru_maxrss / 1024, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--python", default=sys.executable, help="A Python that has the peers installed."
    )
    arguments = parser.parse_args()
    with open_index(arguments.index) as searcher:
        ids = [paper.id for paper in searcher.index.corpus]
    model, _ = locate("minilm", SILENT)
    width = json.loads((model / "config.json").read_bytes())["hidden_size"]
    vectors = np.random.default_rng(0).normal(size=(len(ids), width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # An installed tool has compiled modules, so they must not be switched off here.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "vectors.npy", vectors)
        (folder / "ids").write_text("\n".join(ids))
        (folder / "peer.py").write_text(SCRIPT)
        environment["LLM_USER_PATH"] = name
        database = write_llm(folder, arguments.python, model, ids, vectors)
        ours = [sys.executable, "-m", "astrosearch", "query", QUERY, "--format", "ids"]
        commands = {
            "astrosearch query": [*ours, "-i", arguments.index],
            "sentence-transformers": [
                *[arguments.python, str(folder / "peer.py"), str(model)],
                *[str(folder / "vectors.npy"), str(folder / "ids"), QUERY],
            ],
            "llm similar": [
                *[arguments.python, "-m", "llm", "similar", "papers"],
                *["-c", QUERY, "-d", str(database), "-n", "10"],
            ],
        }
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(arguments.times + 1):
            for name, command in commands.items():
                seconds, memory, answer = measure(command, environment)
                assert len(answer.strip().splitlines()) == 10, answer
                if turn:  # the first run compiles modules and fills the system's cache
                    figures[name].append((seconds, memory))
    print(f"{len(ids):,} papers, {arguments.times} times, {os.cpu_count()} processors")
    own = [seconds for seconds, _ in figures["astrosearch query"]]
    for name, runs in figures.items():
        times, memories = zip(*runs, strict=True)
        ratio = median(theirs / ours for theirs, ours in zip(times, own, strict=True))
        print(
            f"{name:22} {median(times):6.2f} s ({min(times):.2f} to {max(times):.2f}), "
            f"{max(memories):5.0f} MB, ratio {ratio:.1f}"
        )


if __name__ == "__main__":
    main()

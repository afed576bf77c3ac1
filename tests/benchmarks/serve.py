"""Questions a second of `astrosearch serve`, against two services over as many papers.

One is txtai's API with all-MiniLM-L6-v2 and its usual index; the other a script as one writes it
with FastAPI, sentence-transformers and a flat FAISS index. Both answer with ids and titles; their
vectors are random rows of the model's width, which cost a search as much as real ones.
All three are up from the beginning and are asked in turns, so that other work on the machine
hits all of them. Clients keep their connections and ask one question after the other: titles of the
index's papers, and the first words of titles. Processor time is that of the server's processes,
of all their cores: it tells how many questions an idle machine could answer.

    python -m tests.benchmarks.serve INDEX --peers-python .venv-peers/bin/python
"""

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

STARTING = 300
"""Seconds in which a server has to answer its first question."""
ROUNDS = 4
"""Turns of each server."""

FASTAPI = """
import sys
import faiss, numpy as np, uvicorn
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(sys.argv[1])
papers = [line.rstrip("\\n").split("\\t") for line in open(sys.argv[2])]
width = model.encode(["a"]).shape[1]
vectors = np.random.default_rng(0).normal(size=(len(papers), width)).astype("float32")
faiss.normalize_L2(vectors)
index = faiss.IndexFlatIP(width)
index.add(vectors)
app = FastAPI()

@app.get("/search")
def search(query: str, limit: int = 10):
    vector = model.encode([query], normalize_embeddings=True, show_progress_bar=False)
    scores, rows = index.search(vector, limit)
    return [
        {"id": papers[row][0], "title": papers[row][1], "score": float(score)}
        for row, score in zip(rows[0], scores[0])
    ]

uvicorn.run(app, port=int(sys.argv[3]), log_level="error")
"""

TXTAI = """
import os, sys
import numpy as np
from txtai import Embeddings

papers = [line.rstrip("\\n").split("\\t") for line in open(sys.argv[2])]
random = np.random.default_rng(0)
embeddings = Embeddings(
    method="external", content=True,
    transform=lambda texts: random.normal(size=(len(texts), 384)).astype("float32"),
)
embeddings.index((key, title, None) for key, title in papers)
for name in ("method", "transform"):
    embeddings.config.pop(name)
embeddings.config["path"] = sys.argv[1]
folder = sys.argv[4]
embeddings.save(folder + "/index")
with open(folder + "/app.yml", "w") as stream:
    stream.write(f"path: {folder}/index\\nembeddings:\\n  path: {sys.argv[1]}\\n  content: true\\n")
os.environ["CONFIG"] = folder + "/app.yml"
import uvicorn
uvicorn.run("txtai.api:app", port=int(sys.argv[3]), log_level="error")
"""


class Server:
    """A server's process, what it was asked, and what that took."""

    def __init__(self, name: str, port: int, target: str, process: "subprocess.Popen[str]") -> None:
        self.name, self.port, self.target, self.process = name, port, target, process
        self.seconds: list[float] = []
        self.errors = 0
        self.duration = 0.0
        self.processor = 0.0
        self.memory: list[float] = []

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            try:
                if ask(self, http.client.HTTPConnection("127.0.0.1", self.port), "dust"):
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended")
            time.sleep(0.5)
        raise SystemExit(f"{self.name} does not answer")

    def load(self, queries: Sequence[str], clients: int, seconds: float) -> None:
        before, start = tree(self.process.pid), time.perf_counter()
        end = start + seconds
        threads = [
            threading.Thread(target=self._client, args=(queries[number::clients], end))
            for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = tree(self.process.pid)
        self.duration += time.perf_counter() - start
        self.processor += after[0] - before[0]
        self.memory.append(after[1])

    def _client(self, queries: Sequence[str], end: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        place = 0
        while time.perf_counter() < end:
            start = time.perf_counter()
            try:
                answered = ask(self, connection, queries[place % len(queries)])
            except (OSError, http.client.HTTPException):
                answered = False
                connection.close()
            self.errors += not answered
            self.seconds.append(time.perf_counter() - start)
            place += 1
        connection.close()


def ask(server: Server, connection: http.client.HTTPConnection, query: str) -> bool:
    connection.request("GET", server.target.format(quote(query)))
    response = connection.getresponse()
    body = response.read()
    return response.status == 200 and len(body) > 2


def tree(pid: int) -> tuple[float, float]:
    """Seconds of processor time of a process and those below it, and their memory in MB (each
    shared page counted once, in parts)."""
    pids = [pid]
    for parent in pids:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            pids += map(int, children.read_text().split())
    ticks, memory = 0, 0
    for process in pids:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        memory += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
    return ticks / os.sysconf("SC_CLK_TCK"), memory / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--peers-python", default=sys.executable, help="has txtai and FastAPI")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60, help="for each server, in all")
    parser.add_argument("--port", type=int, default=8200)
    arguments = parser.parse_args()

    from astrosearch.encoders.weights import locate
    from astrosearch.report import SILENT
    from astrosearch.search.searcher import open_index
    from astrosearch.text.tex import one_line

    with open_index(arguments.index) as searcher:
        papers = [(paper.id, one_line(paper.title)) for paper in searcher.index.corpus]
    minilm = str(locate.locate("minilm", SILENT)[0])
    rows = np.linspace(0, len(papers) - 1, 2000).astype(int)
    queries = [
        papers[row][1] if number // arguments.clients % 2 else " ".join(papers[row][1].split()[:4])
        for number, row in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "papers.tsv"
        table.write_text("".join(f"{key}\t{title}\n" for key, title in papers))
        servers = start(arguments, minilm, table, folder)
        try:
            for server in servers:
                server.wait()
                server.load(queries, arguments.clients, 2)  # what is loaded with the first requests
                server.seconds.clear()
                server.errors, server.duration, server.processor = 0, 0.0, 0.0
            for _ in range(ROUNDS):
                for server in servers:
                    server.load(queries, arguments.clients, arguments.seconds / ROUNDS)
        finally:
            for server in servers:
                server.process.kill()
    report(servers, len(papers), arguments.clients)


def start(arguments: argparse.Namespace, minilm: str, table: Path, folder: str) -> list[Server]:
    port = arguments.port
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def run(*command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(command, env=environment, text=True)

    peer = (arguments.peers_python, "-c")
    return [
        Server(
            "astrosearch serve",
            port,
            "/api/query?k=10&q={}",
            run(
                *(sys.executable, "-m", "astrosearch", "serve"),
                *("-i", arguments.index, "--port", str(port)),
            ),
        ),
        Server(
            "txtai API",
            port + 1,
            "/search?limit=10&query={}",
            run(*peer, TXTAI, minilm, str(table), str(port + 1), folder),
        ),
        Server(
            "sentence-transformers, FAISS, FastAPI",
            port + 2,
            "/search?limit=10&query={}",
            run(*peer, FASTAPI, minilm, str(table), str(port + 2)),
        ),
    ]


def report(servers: Sequence[Server], papers: int, clients: int) -> None:
    print(f"{papers:,} papers, {clients} clients")
    speeds, costs = [], []
    for server in servers:
        count = len(server.seconds) - server.errors
        p50, p99 = np.percentile(server.seconds, (50, 99)) * 1000
        speeds.append(count / server.duration)
        costs.append(1000 * server.processor / max(count, 1))
        print(
            f"{server.name:38} {speeds[-1]:6.1f} questions/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"{server.errors} errors, {costs[-1]:.1f} ms of processor time each, "
            f"{server.memory[0]:,.0f} MB at first, {server.memory[-1]:,.0f} MB at the end"
        )
    for server, speed, cost in zip(servers[1:], speeds[1:], costs[1:], strict=True):
        print(
            f"ratio to {server.name}: questions/s {speeds[0] / speed:.2f}, "
            f"processor time {cost / costs[0]:.2f}"
        )


if __name__ == "__main__":
    main()

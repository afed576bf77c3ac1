"""`astrosearch serve --engine ray`: two machines as Ray sees them, under load, one of them lost."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astrosearch.search.searcher import open_index
from tests.conftest import Run, kaggle_line
from tests.servers import Response, RunningServer, serving
from tests.test_cluster import cluster_of_two

REASON = "Ray Serve is an optional extra: pip install '.[ray-serve]'"
QUESTIONS = ("magellanic stream", "cold gas", "little red dots", "pulsar timing", "dust")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray.serve", reason=REASON)
    with cluster_of_two(processors=3) as made:
        yield made


def expected(home: Path) -> dict[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTROSEARCH_HOME", str(home))
        with open_index("sampler") as searcher:
            return {text: [hit.paper.id for hit in searcher.query(text)] for text in QUESTIONS}


class Load:
    """Clients that ask one question after the other, and note each answer that is not right: not
    200, or not the hits that they are told to expect."""

    def __init__(self, server: RunningServer, right: dict[str, list[str]], clients: int) -> None:
        self._server, self._right = server, right
        self._ends = threading.Event()
        self.answered, self.wrong = 0, list[str]()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, answers: int) -> None:
        end = time.monotonic() + 300
        wanted = self.answered + answers
        while self.answered < wanted:
            assert time.monotonic() < end, f"{self.answered} answers, {self.wrong}"
            time.sleep(0.05)

    def _ask(self, number: int) -> None:
        while not self._ends.is_set():
            text = QUESTIONS[number % len(QUESTIONS)]
            number += 1
            answer = self._server.get("/api/query", q=text)
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {answer.body!r}")
            elif self._right and hit_ids(answer) != self._right[text]:
                self.wrong.append(text)
            self.answered += 1


def options(cluster: Any, shards: int) -> tuple[str, ...]:
    engine = ("--engine", "ray", "--address", cluster.address)
    return (*engine, "--replicas", "2", "--shards", str(shards))


def replicas(name: str = "replica") -> list[int]:
    """Processes that answer for the cluster of this process; others may have one, too."""
    return [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdecimal()
        and _command(path).startswith(b"ray::ServeReplica:")
        and f":{name}".encode() in _command(path)
        and os.getpid() in _ancestors(int(path.name))
    ]


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        try:
            # Behind the name, which may have spaces: the state, and the parent.
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return
        yield pid


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def hit_ids(answer: Response) -> list[str]:
    return [hit["id"] for hit in answer.json["hits"]]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ended
        return b""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("shards", [1, 2])
def test_a_replica_that_is_killed_under_load_loses_no_request(
    cluster: Any, sampler_home: Path, shards: int
) -> None:
    with serving(sampler_home, *options(cluster, shards)) as server:
        with Load(server, expected(sampler_home), clients=3) as load:
            load.wait_for(20)
            killed = replicas()
            assert len(killed) == 2
            os.kill(killed[0], signal.SIGKILL)
            load.wait_for(40)
            wait_until(lambda: len(set(replicas()) - {killed[0]}) == 2)  # Ray starts another
            load.wait_for(20)
        assert load.wrong == []
    wait_until(lambda: not replicas())


def test_a_shard_that_is_killed_under_load_loses_no_request(
    cluster: Any, sampler_home: Path
) -> None:
    with serving(sampler_home, *options(cluster, 2)) as server:
        with Load(server, expected(sampler_home), clients=3) as load:
            load.wait_for(20)
            [killed] = replicas("shard-1")
            os.kill(killed, signal.SIGKILL)
            load.wait_for(40)
        assert load.wrong == []


def test_a_new_snapshot_is_taken_up_without_a_lost_request(
    cluster: Any, run: Run, snapshot: Path, tiny_llama: Path, home: Path
) -> None:
    run("index", "--corpus", snapshot, "--encoder", tiny_llama)
    with serving(home, *options(cluster, 2)) as server:
        with Load(server, {}, clients=2) as load:
            load.wait_for(10)
            with snapshot.open("a") as stream:
                stream.write(kaggle_line(150, title="The zygote nebula") + "\n")
            run("update", "main")
            new = json.loads(kaggle_line(150))["id"]
            assert server.get("/api/query", q="zygote nebula").json["hits"][0]["id"] == new
            load.wait_for(10)
        assert load.wrong == []


def test_a_machine_that_is_lost_under_load_loses_no_request(
    cluster: Any, sampler_home: Path
) -> None:
    with serving(sampler_home, *options(cluster, 1)) as server:
        with Load(server, expected(sampler_home), clients=3) as load:
            load.wait_for(20)
            cluster.remove_node(cluster.second, allow_graceful=False)
            load.wait_for(60)
        assert load.wrong == []


def test_what_a_cluster_cannot_do_is_one_line(
    cluster: Any, run: Run, sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    given = ("serve", "--port", "0", "--engine", "ray", "--address", cluster.address)
    many = run(*given, "--replicas", "99", code=3).stderr.splitlines()[-1]
    assert "processors, replicas and shards need 99" in many
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    nobody = run("serve", "--engine", "ray", "--address", f"127.0.0.1:{port}", code=3)
    assert f"there is no Ray cluster at 127.0.0.1:{port}" in nobody.stderr.splitlines()[-1]

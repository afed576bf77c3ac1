"""Encoding on a Ray cluster: the same index, also when a machine is lost in the middle."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.weights.locate import resolve
from astrosearch.errors import EncoderMismatch
from astrosearch.index.build import build
from astrosearch.report import SILENT
from tests.conftest import Run, kaggle_line
from tests.reporters import Lines, Watch
from tests.test_index import files, load

REASON = "Ray is an optional extra: pip install 'ray[data]'"
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason=REASON)
    with cluster_of_two() as made:
        yield made


@contextmanager
def cluster_of_two(processors: int = 1) -> Iterator[Any]:
    """Two machines, as Ray sees it, of so many processors each; the second may be lost."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    machine = {"num_cpus": processors, "object_store_memory": 80_000_000}
    with tempfile.TemporaryDirectory(
        prefix="ray", dir="/tmp"
    ) as folder:  # paths of sockets are short
        os.environ |= {
            "RAY_TMPDIR": folder,
            "RAY_worker_niceness": "0",
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        # Ray writes its address there, and makes no folder for it.
        (Path(folder) / "ray").mkdir()
        made = Cluster(
            initialize_head=True,
            head_node_args={
                **machine,
                "include_dashboard": False,
                "_system_config": {
                    "health_check_initial_delay_ms": 500,
                    "health_check_period_ms": 300,
                    "health_check_failure_threshold": 3,
                },
            },
        )
        made.second = made.add_node(**machine)
        try:
            yield made
        finally:
            made.shutdown()
            os.environ.clear()
            os.environ.update(before)


def test_an_index_is_the_same_though_a_machine_is_lost_in_the_middle(
    cluster: Any, tmp_path: Path, tiny_llama: Path
) -> None:
    from astrosearch.index.ray import RayEngine

    source = tmp_path / "many.json"
    source.write_text("\n".join(kaggle_line(n) for n in range(6000)))
    spec = resolve(EncoderSpec(str(tiny_llama), layers=0), SILENT)[0]
    build(tmp_path / "whole", [source], Selection(), spec, load)
    said = Lines()
    seen: list[int] = []

    def lose_one(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 1:
            cluster.remove_node(cluster.second, allow_graceful=False)

    report = build(
        tmp_path / "spread",
        [source],
        Selection(),
        spec,
        load,
        engine=RayEngine(cluster.address, said, {"device": "cpu"}),
        reporter=Watch(lose_one),
    )
    assert said == ["Encoding on 2 machines with 2 actors"]
    assert (report.encoded, report.reused) == (6000, 0)
    assert seen[-1] == 6000
    assert files(tmp_path / "spread") == files(tmp_path / "whole")


def test_what_an_encoder_raises_is_the_line_of_its_machine(
    cluster: Any, tmp_path: Path, snapshot: Path, tiny_llama: Path
) -> None:
    from astrosearch.index.ray import RayEngine

    spec = EncoderSpec(str(tiny_llama), layers=0, revision="another")
    with pytest.raises(EncoderMismatch, match=rf"^on {socket.gethostname()}: .* revision another"):
        build(
            tmp_path / "one",
            [snapshot],
            Selection(),
            spec,
            load,
            engine=RayEngine(cluster.address, SILENT, {}),
        )


def test_a_cluster_that_cannot_be_used_is_one_line(
    run: Run, snapshot: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason=REASON)
    given = ("index", "x", "--corpus", snapshot, "--encoder")
    service = run(*given, "openai:text-embedding-3-small", "--engine", "ray", code=2)
    assert "runs at its service: leave --engine ray out" in service.stderr
    ray = (*given, tiny_llama, "--layers", 0, "--engine", "ray", "--address")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nobody = run(*ray, f"127.0.0.1:{port}", code=3)
    assert f"there is no Ray cluster at 127.0.0.1:{port}" in nobody.stderr.splitlines()[-1]
    assert "write HOST:PORT" in run(*ray, "ray://head", code=2).stderr.splitlines()[-1]
    alone = run(*given, tiny_llama, "--address", "head:6379", code=2)
    assert "add --engine ray" in alone.stderr
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "astrosearch.index.ray", raising=False)
    missing = run(*given, tiny_llama, "--engine", "ray", code=3)
    assert "pip install 'ray[data]" in missing.stderr.splitlines()[-1]

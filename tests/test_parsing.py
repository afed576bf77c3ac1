"""A corpus that is parsed by several processes."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.errors import CorpusError
from tests.conftest import kaggle_line


def some_lines(count: int) -> list[str]:
    """Papers, and among them all that a line can be instead."""
    lines = [kaggle_line(n, categories=("hep-th", "astro-ph.GA")[n % 2]) for n in range(count)]
    lines[3] = lines[1]  # a duplicate, which comes back again much later
    lines[-3] = lines[1].replace("2016-05-07", "2017-01-01")
    lines[5] = kaggle_line(5, comments="This paper has been withdrawn")
    lines[7] = kaggle_line(7, abstract="")
    lines[9] = lines[9][:-20]
    lines[11] = ""
    lines[13] += "\r"
    lines[-1] = "{"
    return lines


def outcome(source: Path, folder: Path, workers: int, selection: Selection) -> tuple[object, ...]:
    """All that an import leaves behind and gives back."""
    folder.mkdir()
    papers, rejected = folder / "papers.sqlite", folder / "rejected.jsonl"
    intake = import_papers([source], selection, papers, rejected, workers=workers)
    return papers.read_bytes(), rejected.read_text(), intake


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(category="astro-ph"),
        Selection(limit=700),
        Selection(sample=50, seed=3),
    ],
    ids=["all", "category", "limit", "sample"],
)
def test_one_process_and_several_make_the_same_corpus(tmp_path: Path, selection: Selection) -> None:
    source = tmp_path / "lines.json.gz"
    source.write_bytes(gzip.compress("\n".join(some_lines(1_500)).encode(), 1))
    alone = outcome(source, tmp_path / "alone", 0, selection)
    assert outcome(source, tmp_path / "two", 2, selection) == alone


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_line_whoever_parsed_it(tmp_path: Path, workers: int) -> None:
    source = tmp_path / "lines.json"
    lines = [kaggle_line(n) for n in range(2_000)]
    lines[1_700] = lines[1_800] = '{"id": 5}'
    # What comes after the line is no excuse, even if reading it fails.
    source.write_bytes(gzip.compress("\n".join(lines).encode())[:-500])
    with pytest.raises(CorpusError, match=r"lines\.json:1701: id not a string: "):
        import_papers(
            [source],
            Selection(),
            tmp_path / "papers.sqlite",
            tmp_path / "rejected.jsonl",
            strict=True,
            workers=workers,
        )


SLOW = """
import time
from astrosearch.cli import main
from astrosearch.corpus import parsing
receive = parsing._Worker.receive
def slowly(worker):
    time.sleep(1)
    return receive(worker)
parsing._Worker.receive = slowly
main(prog_name="astrosearch")
"""
"""The command line, where an import takes minutes: it is never over before it is stopped."""


@pytest.fixture
def long_import(tmp_path: Path) -> "subprocess.Popen[str]":
    """`corpus import` in a process group of its own, while others parse for it."""
    source, out = tmp_path / "lines.json", tmp_path / "out" / "papers.jsonl"
    out.parent.mkdir()
    begin, end = kaggle_line(0).encode().split(b"1001.0000")
    with source.open("wb") as stream:
        for month in range(1501, 1504):
            stream.writelines(b"%s%d.%05d%s\n" % (begin, month, n, end) for n in range(1, 20_000))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "corpus", "import", str(source), "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    while process.poll() is None and len(children(process.pid)) < 2:
        time.sleep(0.01)
    return process


def children(parent: int) -> list[int]:
    listing = Path(f"/proc/{parent}/task/{parent}/children")
    if listing.exists():  # at once, where `ps` may take seconds on a busy machine
        return [int(child) for child in listing.read_text().split()]
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, its_parent in pairs if its_parent == parent]


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def are_gone_soon(pids: list[int]) -> bool:
    """Whether processes end; one whose parent has ended is reaped a little later."""
    deadline = time.monotonic() + 60
    while not all(map(is_gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(is_gone, pids))


several_cores = pytest.mark.skipif(
    (os.cpu_count() or 1) < 2, reason="on a single core nobody parses beside"
)


@several_cores
def test_ctrl_c_ends_all_processes_and_leaves_nothing(
    tmp_path: Path, long_import: "subprocess.Popen[str]"
) -> None:
    workers = children(long_import.pid)
    assert long_import.poll() is None, "it was over before it could be stopped"
    os.killpg(long_import.pid, signal.SIGINT)
    _, said = long_import.communicate(timeout=100)
    assert long_import.returncode == 130, said
    assert "Traceback" not in said
    assert are_gone_soon(workers)
    assert list((tmp_path / "out").iterdir()) == []


@several_cores
def test_a_killed_worker_ends_the_import_with_a_line_and_leaves_nothing(
    tmp_path: Path, long_import: "subprocess.Popen[str]"
) -> None:
    first, second = children(long_import.pid)
    os.kill(first, signal.SIGKILL)
    _, said = long_import.communicate(timeout=100)
    assert long_import.returncode == 1
    assert len(said.splitlines()) == 1
    assert "a process that parsed papers has ended (killed by signal 9)" in said
    assert are_gone_soon([second])
    assert list((tmp_path / "out").iterdir()) == []


@several_cores
def test_workers_end_with_a_killed_import(long_import: "subprocess.Popen[str]") -> None:
    workers = children(long_import.pid)
    long_import.kill()
    long_import.communicate(timeout=100)
    assert are_gone_soon(workers)

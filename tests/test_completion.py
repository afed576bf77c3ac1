"""The Tab key in real shells: what a shell writes after it, on a terminal of its own."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Run

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}

Complete = Callable[[str], str]

LINES = [
    ("astrosearch show 24", "astrosearch show 2411.15044 "),
    ("astrosearch show wu:", "astrosearch show wu:2011 "),
    ("astrosearch run je", "astrosearch run jets "),
    ("astrosearch query -i sam", "astrosearch query -i sampler "),
    ("astrosearch query --in tag:h", "astrosearch query --in tag:h0 "),
    ("astrosearch query --in tag:dus", "astrosearch query --in tag:dusty\\ gas "),
    ("astrosearch query --format csl", "astrosearch query --format csl-json "),
    ("astrosearch query dust --copy ti", "astrosearch query dust --copy title "),
    ("astrosearch library pus", "astrosearch library push "),
]


@pytest.fixture
def used(run: Run, home: Path, sampler_home: Path, tmp_path: Path) -> Path:
    """A folder with an answer, a library and a saved search; `astrosearch` is on the path."""
    (home / "indexes").mkdir(parents=True)
    (home / "indexes/sampler").symlink_to(sampler_home / "indexes/sampler")
    run("query", "magellanic stream", "-k", 2)
    (tmp_path / "own.bib").write_text("@book{wu:2011, title={Light}, author={Wu, B.}}\n")
    run("library", "add", tmp_path / "own.bib", "--tag", "h0", "--tag", "dusty gas")
    run("save", "jets", "relativistic jets")
    program = tmp_path / "bin/astrosearch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m astrosearch "$@"\n')
    program.chmod(0o755)
    return program.parent


def script_of(shell: str, folder: Path, run: Run) -> Path:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine: apt-get install {shell}")
    script = folder / f"completion.{shell}"
    script.write_text(run("completion", shell).stdout)
    return script


class Shell:
    """A shell that somebody types into."""

    def __init__(self, shell: str, script: Path) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.environ |= {"PS1": "$ ", "TERM": "dumb", "HOME": str(script.parent)}
            os.environ["PATH"] = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
            os.execvp(START[shell][0], START[shell])
        self.type(f"source {script}; echo rea''dy\n")
        self.read_until("ready\r\n")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, wanted: str, seconds: float = 60) -> str:
        """What is written until a text comes, or nothing more does."""
        written, end = "", time.monotonic() + seconds
        while wanted not in written and time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.5)[0]:
                written += os.read(self._terminal, 65536).decode(errors="replace")
        return written

    def stop(self) -> None:
        os.close(self._terminal)  # as if the window were closed
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell(request: pytest.FixtureRequest, used: Path, run: Run) -> Iterator[Shell]:
    started = Shell(request.param, script_of(request.param, used, run))
    yield started
    started.stop()


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh"], indirect=True)
def test_the_tab_key_completes_ids_names_and_tags(shell: Shell) -> None:
    for typed, completed in LINES:
        shell.type(f"{typed}\t")
        assert completed in shell.read_until(completed), typed
        shell.type("\x15")  # clears the line
        shell.read_until("\a", 0)


@pytest.mark.slow
def test_fish_is_offered_the_same(used: Path, run: Run) -> None:
    script = script_of("fish", used, run)

    def offered_for(typed: str) -> str:
        """Lines, each a word, a tab and what it means."""
        return subprocess.run(
            ["fish", "--no-config", "-c", f"source {script}; complete --do-complete {typed!r}"],
            env={**os.environ, "PATH": f"{used}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    for typed, completed in LINES:
        offered = [line.partition("\t")[0] for line in offered_for(typed).splitlines()]
        assert (
            completed.rpartition(" ")[0]
            .partition(typed.rpartition(" ")[0] + " ")[2]
            .replace("\\", "")
            in offered
        ), typed
    assert "what papers cite, and" in offered_for("astrosearch citations fe")

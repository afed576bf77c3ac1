"""A shell: lines to answers, settings that last, an error that costs its line alone."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from astrosearch import paths
from tests.conftest import Run


@pytest.mark.usefixtures("built")
class TestDownAPipe:
    def test_a_line_is_answered_as_a_query_is(self, run: Run) -> None:
        said = run(
            "shell", "-k", 3, stdin="gas in a stream\n\ntitle:stream dust year:2016\n"
        ).stdout
        one = run("query", "gas in a stream", "-k", 3).stdout
        other = run("query", "title:stream dust year:2016", "-k", 3).stdout
        assert said == one + other

    def test_settings_last_until_they_are_taken_back(self, run: Run) -> None:
        lines = [
            "/k 2",
            "/mode lexical",
            "/format ids",
            "/category gr-qc",
            "gas",
            "/category",
            "gas",
        ]
        said = run("shell", stdin="\n".join(lines)).stdout
        few = ("query", "gas", "-k", 2, "--mode", "lexical", "--format", "ids")
        assert said == run(*few, "--category", "gr-qc").stdout + run(*few).stdout

    def test_papers_of_the_last_answer_go_by_their_numbers(self, run: Run) -> None:
        first, second = run("query", "gas", "-k", 2, "--format", "ids").stdout.split()
        said = run("shell", "--format", "ids", stdin="/k 2\ngas\n/open 2\n/similar 2 1\n").stdout
        shown = run("show", second).stdout
        near = run("similar", second, first, "-k", 2, "--format", "ids").stdout
        assert said == f"{first}\n{second}\n{shown}{near}"
        assert run("shell", stdin=f"/show arXiv:{first}v1").stdout == run("show", first).stdout

    def test_a_line_that_cannot_be_answered_costs_itself_alone(self, run: Run) -> None:
        wrong = {
            "/since May": "is not a date",
            "/k 0": "/k 0: write a whole number from 1 on",
            "/k few": "/k few: write a whole number from 1 on",
            "/mode fast": "/mode fast: write hybrid, dense or lexical",
            "/abstracts yes": "/abstracts takes no value: it switches on and off",
            "/nothing": "there is no /nothing; see /help",
            "/open 3": "there is no answer yet, so no paper 3: ask first",
            "/open": "name a paper",
            "/bibtex": "there is no answer yet",
            "/similar": "name a paper",
            "/show 2309.06126": "is not in this index",
            "gas year:2020": "none of the 150 papers",
            "year:soon": "is not a year",
        }
        result = run("shell", "--format", "ids", stdin="\n".join([*wrong, "gas"]), code=2)
        assert len(result.stdout.split()) == 10
        lines = result.stderr.splitlines()
        assert len(lines) == len(wrong)
        for line, fact in zip(lines, wrong.values(), strict=True):
            assert line.startswith("astrosearch: ")
            assert fact in line

    def test_a_number_beyond_the_last_answer_is_told_how_many_there_are(self, run: Run) -> None:
        result = run("shell", "-k", 2, stdin="gas\n/open 3\n", code=2)
        assert "the last answer has papers 1 to 2; there is no paper 3" in result.stderr

    def test_bibtex_is_that_of_show(self, run: Run) -> None:
        ids = run("query", "gas", "-k", 3, "--format", "ids").stdout.split()
        lines = "gas\n/bibtex\n/bibtex 3 1\n"
        said = run("shell", "-k", 3, "--format", "ids", stdin=lines).stdout
        entries = [
            run("show", *chosen, "--format", "bibtex").stdout for chosen in (ids, ids[2::-2])
        ]
        assert said == "\n".join(ids) + "\n" + "".join(entries)

    def test_web_opens_the_page_of_a_paper(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "browser"
        program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/told\n')
        program.chmod(0o755)
        monkeypatch.setenv("BROWSER", f"{program} %s")
        (first,) = run("query", "gas", "-k", 1, "--format", "ids").stdout.split()
        result = run("shell", "-k", 1, "--format", "ids", stdin="gas\n/web 1\n")
        assert (tmp_path / "told").read_text() == f"https://arxiv.org/abs/{first}\n"
        assert f"https://arxiv.org/abs/{first} is opened in your web browser" in result.stderr

    def test_index_alone_lists_the_indexes(self, run: Run, built: Path) -> None:
        assert "main is searched; there are no others" in run("shell", stdin="/index\n").stderr
        (built.parent / "other").symlink_to(built)
        assert (
            "main is searched; others: other"
            in run("shell", "--index", "main", stdin="/index\n").stderr
        )

    def test_a_filter_that_cannot_hold_is_refused_when_it_is_set(self, run: Run) -> None:
        lines = ["/since 2010", "/until 2005", "/author F", "/category 7", "gas"]
        result = run("shell", "--format", "ids", stdin="\n".join(lines), code=2)
        said = result.stderr.splitlines()
        assert "2010-01-01, is later than the last" in said[0]
        assert "does not name an author" in said[1]
        assert "is not a category" in said[2]
        assert len(said) == 3
        assert result.stdout == run("query", "gas", "--since", 2010, "--format", "ids").stdout

    def test_another_index_is_asked_from_then_on(
        self, run: Run, snapshot: Path, tiny_llama: Path
    ) -> None:
        options = ("--corpus", snapshot, "--encoder", tiny_llama, "--limit", 5)
        run("index", "few", *options)
        shell = ("shell", "--index", "main", "--format", "ids", "-k", 150)
        result = run(*shell, stdin="gas\n/index few\ngas\n/index none\ngas\n", code=3)
        assert len(result.stdout.split()) == 150 + 5 + 5
        assert "5 papers in index few" in result.stderr
        assert "there is no index 'none'" in result.stderr
        assert "build it" not in result.stderr

    def test_it_ends_where_it_is_told_to(self, run: Run) -> None:
        for line in ("/quit", "exit", " quit "):
            assert run("shell", stdin=f"{line}\ngas\n").stdout == ""
        assert "/similar" in run("shell", stdin="/help\n").stderr
        assert not paths.history_file().exists()


class Terminal:
    """`astrosearch shell` on a terminal of its own."""

    def __init__(self) -> None:
        self._fd, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "astrosearch", "shell"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "dumb"},
        )
        os.close(slave)
        self._unread = ""

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C, again every other second until a prompt comes: readline does not see a signal
        in the instant between a key and its wait for the next."""
        for _ in range(30):
            self.process.send_signal(signal.SIGINT)
            with suppress(AssertionError):
                self.read_until("main> ", seconds=2)
                return
        raise AssertionError("Ctrl-C was not seen")

    def read_until(self, text: str, seconds: float = 60) -> str:
        """What it says up to `text`, from where the last call ended.

        Raises:
            AssertionError: if it does not come in time.
        """
        end = time.monotonic() + seconds
        while text not in self._unread:
            assert time.monotonic() < end, self._unread
            if select.select([self._fd], [], [], 1)[0]:
                self._unread += os.read(self._fd, 65536).decode(errors="replace")
        said, _, self._unread = self._unread.partition(text)
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


@pytest.fixture
def terminal(built: Path) -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


def test_on_a_terminal_ctrl_c_clears_a_line_and_ctrl_d_leaves(terminal: Terminal) -> None:
    assert "150 papers in index main" in terminal.read_until("main> ")
    terminal.type("gas in a str")
    terminal.read_until("gas in a str")
    terminal.interrupt()
    terminal.type("/k 2\n")
    terminal.read_until("main k=2> ")
    terminal.type("dust\n")
    assert "Traceback" not in terminal.read_until("match")
    terminal.read_until("main k=2> ")
    terminal.type("/since May\n")
    assert "is not a date" in terminal.read_until("main k=2> ")
    terminal.type("\x10\x10\n")  # Ctrl-P, twice back in the history: the question again
    terminal.read_until("match")
    terminal.read_until("main k=2> ")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0
    lines = paths.history_file().read_text().splitlines()
    assert lines == ["/k 2", "dust", "/since May", "dust"]


def test_tab_completes_commands_indexes_identifiers_and_values(terminal: Terminal) -> None:
    terminal.read_until("main> ")
    for typed, completed in (
        ("/bi\t", "/bibtex "),
        ("/index m\t", "/index main "),
        ("/mode de\t", "/mode dense "),
    ):
        terminal.type(f"{typed}#")
        assert terminal.read_until("#").endswith(completed)
        terminal.interrupt()
    terminal.type("gas\n")
    terminal.read_until("main> ")
    terminal.type("/k 1\n")
    terminal.read_until("main k=1> ")
    terminal.type("gas\n")
    answer = terminal.read_until("main k=1> ")
    (paper_id,) = re.findall(r"\d{4}\.\d{4,5}", answer)
    terminal.type("/open \t#")
    assert paper_id in terminal.read_until("#")


def test_the_help_keeps_within_80_columns(built: Path, run: Run) -> None:
    said = run("shell", stdin="/help\n").stderr
    assert "/similar N" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []

"""What comes after an answer: a browser, the clipboard, files for other programs."""

import base64
import csv
import json
import os
import pty
import sys
from pathlib import Path

import pytest

from astrosearch.cli import options
from astrosearch.config import CHOICES
from astrosearch.library import ris
from tests.conftest import Run

NATIVE = """\
@string{pub = "Harbour Press"}

@book{Berg2001,
  author = {Berg, Anna and {van der Wal}, Jan},
  title = {Light and {Dust}},
  publisher = pub,
  year = 2001,
  isbn = {1-2-3},
}

@inproceedings{Wu2011,
  author = {Wu, B. and others},
  editor = {Ng, C.},
  title = {Seeing \\& telling},
  booktitle = {Proceedings of a (made-up) meeting},
  pages = {3--9},
  month = may,
  year = {2011},
  doi = {10.1000/made(1)9},
}

@article{Own2020,
  author = {Own, Ada},
  title = {A paper at arXiv},
  journal = {\\apj},
  volume = {7},
  number = {2},
  pages = {12},
  year = {2020},
  eprint = {2001.00001},
}
"""


@pytest.fixture
def home(sampler_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return sampler_home


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def on_terminal(*arguments: str, **environment: str) -> tuple[bytes, int]:
    """What the command line writes to a terminal of its own, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, "-m", "astrosearch", *arguments])
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # as Linux says that nobody writes any more
            break
        if not part:
            break
        written += part
    os.close(terminal)
    return written, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


SEARCH = ("query", "magellanic stream", "-k", "3")


def test_a_page_of_the_answer_is_opened_in_the_browser(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tmp_path / "opened"
    monkeypatch.setenv("BROWSER", str(program(tmp_path / "browser", f'echo "$1" >> {opened}')))
    ids = run(*SEARCH, "--format", "ids").stdout.split()
    said = run(*SEARCH, "--open").stderr
    assert f"https://arxiv.org/abs/{ids[0]} is opened in your web browser" in said
    run(*SEARCH, "--open", 3)
    run("similar", ids[0], "-k", 1, "--open")
    run("cite", ids[0], "-k", 2, "--open", 2)
    run("show", *ids, "--open", 2)
    pages = opened.read_text().split()
    assert pages[:2] == [f"https://arxiv.org/abs/{one}" for one in (ids[0], ids[2])]
    assert pages[-1] == f"https://arxiv.org/abs/{ids[1]}"
    assert len(pages) == 5
    missing = run(*SEARCH, "--open", 4, code=2)
    assert "there is no paper 4 to open: papers 1 to 3 shown" in missing.stderr
    assert missing.stdout.count("\n") == 3
    misread = run("query", "--open", "magellanic stream", code=2).stderr
    assert "'magellanic stream' is not a valid number" in misread
    assert "write it behind the text" in misread
    (tmp_path / "questions").write_text("dust\n")
    assert "leave" in run("query", "--batch", tmp_path / "questions", "--open", code=2).stderr
    assert len(opened.read_text().split()) == 5


def test_an_answer_is_copied_to_the_clipboard_of_terminal_and_platform(
    home: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipboard = tmp_path / "clipboard"
    program(tmp_path / "xclip", f'[ "$*" = "-selection clipboard" ] && exec cat > {clipboard}')
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    written, code = on_terminal(
        *SEARCH, "--copy", TERM="xterm-256color", DISPLAY=":9", PATH=path, NO_COLOR="1"
    )
    assert code == 0
    assert b"Copied: BibTeX of 3 papers" in written
    of_terminal = written.partition(b"\x1b]52;c;")[2].partition(b"\a")[0]
    entries = base64.b64decode(of_terminal).decode()
    assert entries == clipboard.read_text()
    assert entries == run(*SEARCH, "--format", "bibtex").stdout.rstrip("\n")

    written, code = on_terminal(*SEARCH, "--copy", "id", TERM="dumb")
    assert b"\x1b" not in written
    assert (b"there is no clipboard" in written, code) == (True, 3)
    written, code = on_terminal(*SEARCH, "--copy", "id", TERM="dumb", DISPLAY=":9", PATH=path)
    assert code == 0
    assert clipboard.read_text() == run(*SEARCH, "--format", "ids").stdout.rstrip("\n")
    program(tmp_path / "xclip", "exit 1")  # as it does where there is no such display
    written, code = on_terminal(*SEARCH, "--copy", TERM="dumb", DISPLAY=":9", PATH=path)
    assert code == 3


def test_identifiers_are_links_where_the_terminal_may_know_them(home: Path, run: Run) -> None:
    link = b"\x1b]8;"
    written, _ = on_terminal(*SEARCH, TERM="xterm-256color")
    assert written.count(link) == 6  # each is closed
    assert b";https://arxiv.org/abs/2411.15044\x1b" in written
    assert link in on_terminal("show", "2411.15044", TERM="xterm-256color")[0]
    for environment in ({"TERM": "dumb"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}):
        written, _ = on_terminal(*SEARCH, **environment)
        assert link not in written
        assert b"2411.15044" in written
        assert link not in on_terminal("show", "2411.15044", **environment)[0]
    assert "\x1b" not in run(*SEARCH).stdout


def test_answers_are_written_as_csl_json(run: Run, home: Path) -> None:
    items = json.loads(run(*SEARCH, "--format", "csl-json").stdout)
    keys = [
        line.split("{")[1].rstrip(",")
        for line in run(*SEARCH, "--format", "bibtex").stdout.splitlines()
        if line.startswith("@")
    ]
    assert [item["id"] for item in items] == keys
    [item] = json.loads(run("show", "2411.15044", "--format", "csl-json").stdout)
    assert item["type"] == "article"
    assert item["author"][0] == {"family": "Zaritsky", "given": "Dennis"}
    assert item["issued"]["date-parts"][0][:2] == [2024, 11]
    assert (item["archive"], item["archive_location"]) == ("arXiv", "2411.15044")
    named = run(*SEARCH, "--format", "csl-json", "--key", "author-year")
    assert "Zaritsky2024" in named.stdout
    assert "no effect" not in named.stderr


def test_answers_are_written_as_markdown(run: Run, home: Path) -> None:
    text = run(*SEARCH, "--format", "markdown").stdout
    assert text.startswith(
        "1. [The Origin of the Magellanic Stream](https://arxiv.org/abs/astro-ph/9401008)  "
    )
    assert text.count("](https://arxiv.org/abs/") == 3
    first, *_ = run("show", "astro-ph/9401008", "--format", "markdown").stdout.split("\n\n")
    with_abstracts = run(*SEARCH, "--format", "markdown", "--abstracts")
    assert first in with_abstracts.stdout
    assert len(with_abstracts.stdout) > 2 * len(text)
    assert "no effect" not in with_abstracts.stderr
    assert "--explain has no effect" in run(*SEARCH, "--format", "markdown", "--explain").stderr


def test_the_library_is_written_in_every_format(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(tmp_path))
    (tmp_path / "own.bib").write_text(NATIVE)
    run("library", "add", tmp_path / "own.bib")
    book, talk, article = json.loads(run("library", "export", "--format", "csl-json").stdout)
    assert (book["id"], book["type"], book["publisher"]) == ("Berg2001", "book", "Harbour Press")
    assert book["author"][1] == {"family": "van der Wal", "given": "Jan"}
    assert "container-title" not in book
    assert talk["type"] == "paper-conference"
    assert talk["title"] == "Seeing & telling"
    assert talk["issued"] == {"date-parts": [[2011, 5]]}
    assert talk["editor"] == [{"family": "Ng", "given": "C."}]
    assert (talk["page"], talk["DOI"]) == ("3-9", "10.1000/made(1)9")
    assert (article["container-title"], article["issue"], article["issued"]) == (
        "ApJ",
        "2",
        {"date-parts": [[2020]]},
    )
    records, problems = ris.read(run("library", "list", "--format", "ris").stdout)
    assert not problems
    kinds = [record.raw.partition("{")[0] for record in records]
    assert kinds == ["@book", "@inproceedings", "@article"]
    assert "booktitle = {Proceedings of a (made-up) meeting}" in records[1].raw
    run("library", "export", tmp_path / "own.md", "--format", "markdown")
    text = (tmp_path / "own.md").read_text()
    assert "[Seeing & telling](https://doi.org/10.1000/made%281%299)" in text
    assert "2. " in text


def test_what_is_cited_is_written_as_a_table_of_a_spreadsheet(run: Run, home: Path) -> None:
    rows = list(csv.reader(run("show", "2411.15044", "--format", "csv").stdout.splitlines()))
    assert rows[0][0] == "id"
    assert [row[0] for row in rows[1:]] == ["2411.15044"]


def test_settings_and_options_have_the_same_formats() -> None:
    assert CHOICES["format"] == options.FORMATS

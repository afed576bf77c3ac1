"""What the README and the packages' READMEs say is true: commands run, answers are those shown,
paths exist."""

import ast
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from astrosearch.cli import main
from tests.conftest import Run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / ".github/CONTRIBUTING.md").read_text()
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in (
        "README.md",
        ".github/**/*.md",
        "astrosearch/**/README.md",
        "indexes/README.md",
        "tests/benchmarks/README.md",
        "training/*.md",
    )
    for page in ROOT.glob(pattern)
)
MOST_BYTES = 12_288
"""Of README.md: what is longer belongs beside the code."""


def blocks(mark: str) -> list[str]:
    """The fenced blocks of the README that follow an HTML comment `mark`."""
    return re.findall(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)


def shell_commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `astrosearch …` in a page's fenced blocks, one command a line."""
    for block in re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            for command in line.removeprefix("$ ").split(" && "):
                if command.removeprefix(".venv/bin/").startswith("astrosearch "):
                    words = shlex.split(command, comments=True)
                    ends = [place for place, word in enumerate(words) if word in ("|", ">", "<")]
                    yield words[1 : min(ends, default=None)]


@pytest.fixture
def sampler(default_model: None, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of the sampler, the only one; the working folder is empty."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    run("index")


@pytest.mark.usefixtures("sampler")
def test_the_commands_of_the_readme_run_and_answer(run: Run) -> None:
    first, *others = blocks("run")
    # Installing is for .ci/run to try; what follows it is tried here.
    commands = [part.strip().removeprefix(".venv/bin/") for part in first.split("&&")[2:]]
    assert commands == ["astrosearch index", 'astrosearch query "magellanic stream"']
    commands += [line for block in others for line in block.splitlines()]
    for command in commands:
        name, *arguments = shlex.split(command)
        assert name == "astrosearch"
        result = run(*arguments)
        assert result.stdout or arguments == ["index"], command


@pytest.mark.usefixtures("sampler")
def test_the_program_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.usefixtures("sampler")
def test_the_answers_in_the_readme_are_those_of_the_tool() -> None:
    answers = blocks("answer")
    assert len(answers) == 3
    for answer in answers:
        command, *shown = answer.splitlines()
        name, *arguments = shlex.split(command.removeprefix("$ "))
        assert name == "astrosearch"
        printed = [line.rstrip() for line in on_terminal(arguments).splitlines() if line.strip()]
        assert [without_match(line) for line in shown] == [
            without_match(line) for line in printed
        ], command
        # The last digit may be rounded otherwise on another processor.
        assert matches(shown) == pytest.approx(matches(printed), abs=1), command
        assert len(matches(shown)) == int(arguments[arguments.index("-k") + 1])


_ROW = re.compile(r"^( *\d+) +(\d+)  (?=\S)")


def without_match(line: str) -> str:
    return _ROW.sub(r"\1 ", line)


def matches(lines: list[str]) -> list[int]:
    return [int(row[2]) for row in map(_ROW.match, lines) if row]


def on_terminal(arguments: list[str]) -> str:
    """What a command prints on a terminal of 80 columns."""
    reader, writer = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "astrosearch", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    output = b""
    with suppress(OSError):  # Linux says EIO where the last writer has closed the terminal
        while piece := os.read(reader, 65_536):
            output += piece
    os.close(reader)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_is_understood(page: str) -> None:
    for arguments in shell_commands((ROOT / page).read_text()):
        try:
            parse(arguments)
        except click.UsageError as error:
            pytest.fail(f"{page}: astrosearch {shlex.join(arguments)}: {error.format_message()}")


def parse(arguments: list[str]) -> None:
    """Read arguments as the command line does, without running anything.

    Raises:
        click.UsageError: if a command or an option is not known, or a value is wrong.
    """
    context = main.make_context("astrosearch", list(arguments))
    command: click.Command = main
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, inner, rest = command.resolve_command(context, rest)
        assert inner is not None
        try:
            context = inner.make_context(name, rest, parent=context)
        except click.BadParameter as error:
            if "does not exist" in error.message:  # files of the reader's
                return
            raise
        command = inner


def test_every_command_is_named() -> None:
    for name, command in main.commands.items():
        assert command.hidden or f"`astrosearch {name}`" in README, name


def test_every_dependency_has_its_purpose() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    required = re.search(r"\ndependencies = \[(.*?)\]", project, re.DOTALL)
    assert required
    for name in re.findall(r'"([\w-]+)[<>=]', required[1]):
        assert re.search(rf"^\|.*\b{name}\b.*\|.*\|$", CONTRIBUTING, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES)
def test_paths_and_links_on_a_page_exist(page: str) -> None:
    file = ROOT / page
    text = file.read_text()
    for name in re.findall(r"`((?:astrosearch|training|tests|indexes|\.ci)/[\w./-]+)`", text):
        if "NAME" not in name:
            assert (ROOT / name).exists(), f"{page}: {name}"
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        assert (file.parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("astrosearch/")])
def test_modules_named_on_a_package_s_page_exist(page: str) -> None:
    folder = (ROOT / page).parent
    text = (ROOT / page).read_text()
    for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", text):
        places = (folder, ROOT / "astrosearch", ROOT / "training", ROOT)
        assert any((place / name).exists() for place in places), f"{page}: {name}"


def test_the_tree_in_the_readme_is_that_of_the_packages() -> None:
    (tree,) = re.findall(r"^astrosearch/\n((?:  .*\n)+)", README, re.MULTILINE)
    shown = set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))
    packages = {file.parent.name for file in ROOT.glob("astrosearch/*/__init__.py")}
    assert shown == packages | {"adapters"}


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= MOST_BYTES


def test_programs_on_the_pages_are_python() -> None:
    for page in PAGES:
        for program in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
            ast.parse(program)

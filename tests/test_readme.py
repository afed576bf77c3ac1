"""The README is what a user does: its commands run, its help is the tool's."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from astrosearch.cli import main
from astrosearch.encoders import registry
from astrosearch.encoders.weights import locate
from astrosearch.errors import ModelMissing
from astrosearch.report import SILENT
from tests.conftest import Run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(mark: str) -> list[str]:
    """The fenced blocks that follow an HTML comment `mark`."""
    return re.findall(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def default_model() -> None:
    try:
        locate.resolve(registry.encoder_spec(registry.DEFAULT_ENCODER), SILENT)
    except ModelMissing as error:
        pytest.skip(f"the default model is not on this machine: {error}")


@pytest.mark.usefixtures("default_model")
def test_the_commands_of_the_readme_run_and_answer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, *others = blocks("run")
    # Installing is for .ci/run to try; what follows it is tried here.
    commands = [part.strip().removeprefix(".venv/bin/") for part in first.split("&&")[2:]]
    commands += [line for block in others for line in block.splitlines()]
    assert commands[:2] == ["astrosearch index", 'astrosearch query "magellanic stream"']
    for command in commands:
        name, *arguments = shlex.split(command)
        assert name == "astrosearch"
        result = run(*arguments)
        assert result.stdout or arguments == ["index"], command
    top = run("query", "magellanic stream", "--format", "ids").stdout.split()[:3]
    assert "astro-ph/9401008" in top

    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})


def test_the_answer_in_the_readme_is_the_one_the_tool_gives() -> None:
    shown = re.search(r"What the first line answers:\n\n```\n(.*?)```", README, re.DOTALL)
    assert shown
    assert "The Origin of the Magellanic Stream" in shown[1]


def test_help_in_the_readme_is_the_help_of_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (shown,) = blocks("help")
    said = [
        CliRunner().invoke(main, [*name.split(), "--help"], prog_name="astrosearch").output
        for name in ("", "index", "query")
    ]
    assert shown == "\n".join(said)


def test_every_command_and_every_dependency_is_named() -> None:
    for command in main.commands:
        assert f"astrosearch {command}" in README, command
    project = (ROOT / "pyproject.toml").read_text()
    required = re.search(r"\ndependencies = \[(.*?)\]", project, re.DOTALL)
    assert required
    table = README.split("## Dependencies")[1]
    for name in re.findall(r'"([\w-]+)[<>=]', required[1]):
        assert re.search(rf"[| ,]{name}[ ,|]", table), name


def test_paths_named_in_the_readme_exist() -> None:
    for name in re.findall(r"`((?:astrosearch|training|tests|indexes)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name

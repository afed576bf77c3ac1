"""Commands that other packages add, and what stands in their way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def add_package(folder: Path, entry_points: str, code: str = "") -> None:
    """A package `orbits` with an entry point, as pip would install it."""
    info = folder / "orbits-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orbits\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[astrosearch.commands]\n{entry_points}\n")
    (folder / "orbits").mkdir()
    (folder / "orbits" / "__init__.py").write_text("print('orbits is imported')\n")
    (folder / "orbits" / "cli.py").write_text(code)


ORBIT = '''
import click

@click.command()
@click.argument("body")
def orbit(body: str) -> None:
    """Compute an orbit.

    Kepler's way.
    """
    click.echo(f"an ellipse around {body}")
'''


def astrosearch(
    *arguments: str, site: Path | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own, with `site` as one more site-packages."""
    folders = (ROOT, site, os.environ.get("PYTHONPATH"))
    path = os.pathsep.join(str(folder) for folder in folders if folder)
    return subprocess.run(
        [sys.executable, "-m", "astrosearch", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_packages_command_is_listed_without_importing_it_and_runs(tmp_path: Path) -> None:
    add_package(tmp_path, "orbit = orbits.cli:orbit", ORBIT)
    listed = astrosearch("--help", site=tmp_path).stdout
    assert re.search(r"^  orbit +Compute an orbit\.$", listed, re.MULTILINE)
    assert "orbits is imported" not in listed
    result = astrosearch("orbit", "Sgr A*", site=tmp_path)
    assert result.stdout == "orbits is imported\nan ellipse around Sgr A*\n"
    assert "Kepler's way." in astrosearch("orbit", "--help", site=tmp_path).stdout
    wrong = astrosearch("orbit", site=tmp_path)
    assert (wrong.returncode, "Missing argument 'BODY'" in wrong.stderr) == (2, True)


def test_a_command_of_our_own_gives_way_to_no_other(tmp_path: Path) -> None:
    add_package(tmp_path, "doctor = orbits.cli:orbit", ORBIT)
    assert "orbits is imported" not in astrosearch("doctor", "--help", site=tmp_path).stdout


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        (
            "orbit = nowhere.cli:orbit",
            "the command orbit of orbits (nowhere.cli:orbit) cannot be loaded: "
            "ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            "orbit = orbits.cli:nothing",
            "the command orbit of orbits (orbits.cli:nothing) cannot be loaded: "
            "AttributeError: module 'orbits.cli' has no attribute 'nothing'",
        ),
        (
            "orbit = orbits.cli:click",
            "the command orbit of orbits (orbits.cli:click) is not a click command but a module",
        ),
    ],
)
def test_a_command_that_cannot_be_loaded_is_one_line_that_names_it(
    tmp_path: Path, entry_point: str, message: str
) -> None:
    add_package(tmp_path, entry_point, ORBIT)
    result = astrosearch("orbit", site=tmp_path)
    assert result.returncode == 3
    assert result.stderr == f"astrosearch: {message}\n"
    listed = astrosearch("--help", site=tmp_path)
    assert listed.returncode == 0
    assert "  orbit" in listed.stdout


def test_a_folder_with_packages_of_our_names_is_no_danger(tmp_path: Path) -> None:
    for name in ("training", "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
        (tmp_path / name / "cli.py").touch()
    result = astrosearch("train", "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "contrast" in result.stdout


def test_train_is_listed_without_importing_the_training_package() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from astrosearch.cli import main; "
        "print(CliRunner().invoke(main, ['--help']).output); "
        "assert not {'training', 'torch', 'numpy'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^  train +Fine-tune the models that astrosearch uses\.$", result.stdout, re.M
    )

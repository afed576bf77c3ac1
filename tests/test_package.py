"""The package as it is installed: what it holds, and what it costs to ask it for help."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Run

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch transformers faiss peft datasets openai bitsandbytes numpy rich orjson httpx2 tantivy "
    "Stemmer ray textual onnxruntime onnx"
)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["query", "--help"],
        ["index", "--help"],
        ["shell", "--help"],
        ["browse", "--help"],
        ["help", "indexes", "tune"],
        ["completion", "zsh"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from astrosearch.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY.split()!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_tab_key_completes_commands_and_names_of_indexes_and_imports_nothing_heavy(
    home: Path,
) -> None:
    for name in ("astro", "andromeda", "main"):
        (home / "indexes" / name).mkdir(parents=True)
        (home / "indexes" / name / "manifest.json").write_text("{}")
    for words, offered in (
        ("astrosearch indexes ver", {"verify"}),
        ("astrosearch query --index a", {"astro", "andromeda"}),
        ("astrosearch indexes info m", {"main"}),
        ("astrosearch index an", {"andromeda"}),
    ):
        program = (
            "import sys\n"
            "from astrosearch.cli import main\n"
            "try:\n"
            "    main(prog_name='astrosearch')\n"
            "finally:\n"
            f"    print([name for name in {HEAVY.split()!r} if name in sys.modules])\n"
        )
        environment = {
            "_ASTROSEARCH_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )
        *lines, heavy = done.stdout.splitlines()
        assert {line.removeprefix("plain,") for line in lines} == offered
        assert heavy == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_the_tab_key_calls_the_tool(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"_ASTROSEARCH_COMPLETE={shell}_complete" in script
    assert "astrosearch" in script


def test_the_manual_page_has_every_command_and_option(run: Run) -> None:
    page = run("help", "--man").stdout
    assert page.startswith('.TH ASTROSEARCH 1 "" "astrosearch ')
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS"):
        assert f"\n.SH {heading}\n" in page
    assert "\n.SS astrosearch indexes tune [OPTIONS] [NAME]\n" in page
    assert "\n\\fB\\-\\-memory SIZE\\fR\n" in page
    assert "\n.nf\nastrosearch indexes tune astro \\-\\-recall .995\n" in page
    assert "\x08" not in page
    assert "old_json" not in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_is_roff_without_warnings(run: Run) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-K", "utf8", "-T", "utf8", "-z"],
        input=run("help", "--man").stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr


NOT_FOR_A_QUERY = (
    "torch",
    "transformers",
    "gzip",
    "astrosearch.corpus.writer",
    "astrosearch.corpus.json_lines",
    "astrosearch.corpus.json_documents",
    "astrosearch.encoders.openai_costs",
)


def test_a_query_of_a_llama_imports_neither_torch_nor_what_builds_need(built: Path) -> None:
    program = (
        "import sys\n"
        "from astrosearch.cli import main\n"
        "main(['query', 'gas'], standalone_mode=False)\n"
        f"print([name for name in {NOT_FOR_A_QUERY!r} if name in sys.modules])\n"
    )
    assert built.exists()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("default_model")
def test_the_first_commands_of_a_new_user_import_no_torch(home: Path) -> None:
    query = ["query", "magellanic stream"]
    not_before_reading = ("torch", "transformers", "onnxruntime")
    for arguments, names in (
        (["index"], not_before_reading),
        (query, not_before_reading),
        ([*query, "--rerank"], ("torch", "transformers", "onnx")),
    ):
        program = (
            "import sys\n"
            "from astrosearch.cli import main\n"
            f"main({arguments!r}, standalone_mode=False)\n"
            f"print([name for name in {names!r} if name in sys.modules])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", arguments


@pytest.mark.parametrize("package", ["astrosearch", "training"])
def test_no_check_vanishes_under_python_o(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        lines = [
            node.lineno
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Assert)
        ]
        assert lines == [], file


def test_the_wheel_holds_two_packages_and_their_data(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"astrosearch", "training"}
    assert "astrosearch/corpus/sampler/papers.jsonl" in names
    assert "astrosearch/py.typed" in names
    assert {
        f"astrosearch/server/page/{name}" for name in ("index.html", "page.css", "page.js")
    } <= set(names)
    assert any(name.startswith("astrosearch/encoders/transforms/") for name in names)
    assert "astrosearch/adapters/astro-smollm2-135m/adapter_model.safetensors" in names

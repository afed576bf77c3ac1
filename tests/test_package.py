"""The package as it is installed: what it holds, and what it costs to ask it for help."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch transformers faiss peft datasets openai bitsandbytes numpy rich orjson httpx2 tantivy "
    "Stemmer ray"
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["query", "--help"], ["index", "--help"], ["shell", "--help"]]
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


def test_a_query_of_a_llama_does_not_import_torch(built: Path) -> None:
    program = (
        "import sys\n"
        "from astrosearch.cli import main\n"
        "main(['query', 'gas'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    assert built.exists()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


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
    assert any(name.startswith("astrosearch/encoders/transforms/") for name in names)
    assert "astrosearch/adapters/astro-smollm2-135m/adapter_model.safetensors" in names

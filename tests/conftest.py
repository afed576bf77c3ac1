"""Small real fixtures: a LLaMA with random weights, a corpus of invented papers, a built index."""

import json
import os
import shutil
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from astrosearch.index.reader import Index

os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the tests in the background ignores Ctrl-C, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
"""Whether kills, flipped bytes and the like are tried many times. Set by hand."""

# How fast examples are drawn on a busy machine says nothing about them.
_KEPT: dict[str, Any] = {"deadline": None, "database": None}
_KEPT["suppress_health_check"] = list(HealthCheck)
settings.register_profile("suite", max_examples=25, derandomize=True, **_KEPT)
settings.register_profile("long", max_examples=5_000, **_KEPT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

WORDS = (
    "the of a in stars galaxies gas dust magnetic field stream cloud planet orbit disc wind burst "
    "supernova pulsar quasar cluster lens survey spectrum mass radius light emission we find that "
    "around with from observed model hydrogen Magellanic Milky Way black hole neutron white dwarf"
).split()


@pytest.fixture(autouse=True)
def own_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test has the web browsers of an earlier one: Python reads $BROWSER once in a process."""
    monkeypatch.setattr(webbrowser, "_tryorder", None)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of 4 layers, width 64, grouped heads and random weights, with a tokenizer."""
    return make_llama(tmp_path_factory.mktemp("models") / "tiny-llama", seed=0)


def make_llama(folder: Path, seed: int, width: int = 64, further: int = 0) -> Path:
    """
    Args:
        further: tokens that the model has rows for beside the tokenizer's.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2}
    for word in WORDS:
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = LlamaConfig(
        vocab_size=len(vocabulary) + further,
        hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        # Large weights, so that attention is far from uniform and padding would show.
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def kaggle_line(number: int, **changes: object) -> str:
    """An invented record in the Kaggle snapshot's format; it depends on `number` alone."""
    words = [
        WORDS[(number * 7 + i * (3 + number % 5)) % len(WORDS)] for i in range(8 + number % 30)
    ]
    record: dict[str, object] = {
        "id": f"{10 + number % 10:02}{1 + number % 12:02}.{number:04}",
        "submitter": None,
        "authors": f"A. B{number}son, Carla M\\'endez and D. Wu",
        "title": f"On the {words[3]} of\n  {words[5]} number {number}",
        "comments": None,
        "journal-ref": None,
        "doi": None,
        "report-no": None,
        "categories": ("astro-ph.GA", "astro-ph.HE gr-qc", "gr-qc astro-ph.CO")[number % 3],
        "license": None,
        "abstract": "  " + " ".join(words) + f"\n we find {number} .\n",
        "versions": [{"version": "v1", "created": "Fri, 06 May 2016 00:00:00 GMT"}],
        "update_date": "2016-05-07",
        "authors_parsed": [],
    }
    if int(str(record["id"])[:2]) >= 15:
        record["id"] = str(record["id"]).replace(".", ".0")
    return json.dumps({**record, **changes})


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """150 invented papers in the Kaggle snapshot's format."""
    path = tmp_path / "snapshot.json"
    path.write_text("\n".join(kaggle_line(number) for number in range(150)) + "\n")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for indexes, and one for settings."""
    folder = tmp_path / "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ASTROSEARCH_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ASTROSEARCH_INDEX", raising=False)
    return folder


def segment_folder(index: Path) -> Path:
    """The folder of the one segment that an index has which was built in one go."""
    from astrosearch.index.manifest import Manifest

    (segment,) = Manifest.read(index, check_files=False).segments
    return index / segment.folder


def words_folder(index: Path) -> Path:
    from astrosearch.index.manifest import Manifest

    return index / Manifest.read(index, check_files=False).words


def assert_holds_one_snapshot(index: Path) -> None:
    """See that an index folder has the files of the current snapshot and no others."""
    from astrosearch.index.manifest import Manifest

    manifest = Manifest.read(index)
    names = {file.relative_to(index).as_posix() for file in index.rglob("*") if file.is_file()}
    # The engine locks the words it opens by a file beside them.
    names = {name for name in names if not name.endswith(".lock")}
    assert names == {*manifest.files, "manifest.json", f"snapshot-{manifest.snapshot}.json"}


FROZEN = Path(__file__).parent / "frozen"


@pytest.fixture
def frozen(home: Path) -> Path:
    """A copy, named `main`, of the committed exact index of format 2. Its encoder is not on this
    machine."""
    folder = home / "indexes/main"
    shutil.copytree(FROZEN / "format-2/exact", folder)
    return folder


Run = Callable[..., Result]


@pytest.fixture
def run(home: Path) -> Run:
    """Calls the command line in this process: `run("query", "stars", code=4)`."""

    def call(*arguments: object, code: int = 0, stdin: str | None = None) -> Result:
        from astrosearch.cli import main

        result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def built(run: Run, snapshot: Path, tiny_llama: Path) -> Path:
    """The folder of an index `main` of the snapshot, encoded with the tiny LLaMA."""
    run("index", "--corpus", snapshot, "--encoder", tiny_llama)
    from astrosearch import paths

    return paths.index_folder("main")


@pytest.fixture(scope="session")
def default_model() -> None:
    """Skips a test if the shipped encoder's base model is not here and cannot be fetched."""
    from astrosearch.encoders import registry
    from astrosearch.encoders.weights import locate
    from astrosearch.errors import ModelMissing
    from astrosearch.report import SILENT

    try:
        locate.resolve(registry.encoder_spec(registry.DEFAULT_ENCODER), SILENT)
    except ModelMissing as error:
        pytest.skip(f"the default model is not on this machine: {error}")


@pytest.fixture(scope="session")
def sampler_home(tmp_path_factory: pytest.TempPathFactory, default_model: None) -> Path:
    """A folder with an index of the papers that come with astrosearch."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run(
        [sys.executable, "-m", "astrosearch", "index"],
        env={**os.environ, "ASTROSEARCH_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture
def own_home(sampler_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `sampler_home`, whose library may be changed."""
    folder = tmp_path / "own"
    shutil.copytree(sampler_home, folder)
    monkeypatch.setenv("ASTROSEARCH_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture(scope="session")
def eight_papers(tmp_path_factory: pytest.TempPathFactory, default_model: None) -> Path:
    """A folder with an index `papers` of the papers of `tests/eight_papers.py`."""
    from tests.eight_papers import PAPERS, lines_of

    home = tmp_path_factory.mktemp("eight")
    (home / "corpus.json").write_text("\n".join(lines_of(PAPERS)) + "\n")
    subprocess.run(
        [sys.executable, "-m", "astrosearch", "index", "papers", "--corpus", home / "corpus.json"],
        env={**os.environ, "ASTROSEARCH_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A folder with 120 papers, and an encoder without layers, trained on them for one epoch."""
    from astrosearch.cli import main

    folder = tmp_path_factory.mktemp("trained")
    source = folder / "papers.json"
    source.write_text("\n".join(long_line(number) for number in range(120)) + "\n")
    options = ("--layers", 0, "--rank", 8, "--kept-rank", 8, "--epochs", 1, "--batch", 32)
    small = ("--dimension", 32, "--dtype", "float32", "--base", tiny_llama)
    line = ("train", "contrast", source, *options, *small, "--out", folder / "embed")
    result = CliRunner().invoke(main, [str(argument) for argument in line])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def words_index(run: "Run", trained: Path, tmp_path: Path) -> "Index":
    """An index `words` of these papers; its encoder is in `tmp_path`."""
    from astrosearch import paths
    from astrosearch.index.reader import Index

    shutil.copytree(trained / "embed", tmp_path / "embed")
    run("index", "words", "--corpus", trained / "papers.json", "--encoder", tmp_path / "embed")
    return Index(paths.existing_index("words"))


def long_line(number: int) -> str:
    """A record whose abstract has four sentences, so that it has halves."""
    record = json.loads(kaggle_line(number))
    words = record["abstract"].split()
    cut = [" ".join([*words[i::4], f"gas {number}"]).capitalize() + "." for i in range(4)]
    return json.dumps({**record, "abstract": " ".join(cut)})

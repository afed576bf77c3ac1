"""Input made to do harm, or damaged: one line each, in bounded time, and nothing is run or written.

Each property is tried on a few examples; many more are tried, for as long as it takes, with

    HYPOTHESIS_PROFILE=long pytest tests/test_hostile.py
"""

import gzip
import json
import os
import pickle
import re
import shutil
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

import bibtexparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astrosearch.completion.language_model import load_language_model
from astrosearch.corpus.json_lines import parsed
from astrosearch.corpus.records import paper_from_record
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.encoders.registry import resolve
from astrosearch.errors import AstrosearchError, IdentifierError, InputError, RecordError
from astrosearch.index.manifest import Manifest
from astrosearch.papers import Paper, parse_id
from astrosearch.report import SILENT
from astrosearch.search.query_parser import parse
from astrosearch.text.analysis import analyze
from astrosearch.text.bibtex import entry
from astrosearch.text.quantities import AllowedValues, mentions
from astrosearch.text.tex import one_line, to_unicode
from tests.conftest import Run, kaggle_line

_KEPT: dict[str, Any] = {"deadline": None, "database": None}
_KEPT["suppress_health_check"] = list(HealthCheck)
settings.register_profile("suite", max_examples=25, derandomize=True, **_KEPT)
settings.register_profile("long", max_examples=5_000, **_KEPT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SIGNS = st.text(st.sampled_from(list("\\{}$^_~`'\"%&#@,=az19 \n\x1b\x9b\u202e")), max_size=60)
PIECES = """0 1 23 1,200 4.50 .5 - + ± +/- ^ _ { } ( ) e-15 E 10^ × x 10 \\times \\la $ ~ z =
    redshift kpc Myr yr km/s s^-1 erg cm^-2 Msun M⊙ keV arcsec '' % σ five twenty-three million one
    NGC 1068 M31 J1234+56 SDSS LMC (LMC) Large Magellanic Cloud . , ½ ⁸ ⁻¹ ٣ Ⅷ""".split()
NUMBERS = st.lists(st.sampled_from([*PIECES, " ", ""]), max_size=12).map("".join)
STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def a_paper(text: str) -> Paper:
    return Paper("2401.00001", text, text, (text, text), (text,), date(2024, 1, 1), doi=text)


@given(st.sampled_from(sorted(json.loads(kaggle_line(1)))), JSON)
def test_a_record_with_an_odd_field_is_a_paper_or_refused(name: str, value: Any) -> None:
    record = json.loads(kaggle_line(1)) | {name: value}
    with suppress(RecordError):
        assert paper_from_record(record).id


@given(st.binary(max_size=200))
def test_a_line_of_any_bytes_is_read_or_refused(line: bytes) -> None:
    with suppress(RecordError):
        paper_from_record(parsed(line))


@given(st.text(max_size=80) | SIGNS)
def test_any_identifier_and_any_query_are_understood_or_refused(text: str) -> None:
    for read in (parse_id, parse, analyze):
        with suppress(InputError):
            read(text)


@given(SIGNS)
def test_no_text_steers_a_terminal_or_ends_its_bibtex_entry(text: str) -> None:
    shown = to_unicode(text)
    shown.encode()  # a terminal and a file hold no half of a surrogate pair
    assert not STEERING.search(one_line(shown))
    library = bibtexparser.parse_string(entry(a_paper(f"A {text}")))
    assert library.failed_blocks == []
    assert len(library.entries) == 1


@given(NUMBERS | st.text(max_size=40))
def test_any_text_knows_its_own_numbers(text: str) -> None:
    known = AllowedValues([text])
    assert known.unknown(text) is None
    for mention in mentions(text):
        assert known.having(mention) == [0]


@pytest.mark.parametrize("sign", ["\\frac{", "{", "$", "\\'", "^", "\\[", "α", "1a", "a.", '"'])
def test_a_hundred_thousand_signs_end_in_time(sign: str) -> None:
    text = sign * (100_000 // len(sign))
    assert to_unicode(text)
    assert analyze(text)
    assert entry(a_paper(text)).count("@misc{") == 1
    parse(text)


def test_an_identifier_as_long_as_a_book_is_refused_at_once() -> None:
    with pytest.raises(IdentifierError, match="of 100,002 characters"):
        parse_id("a" + " " * 100_000 + "b")


def test_a_text_as_long_as_a_book_is_not_an_abstract() -> None:
    with pytest.raises(RecordError, match="more than 100,000 characters"):
        paper_from_record(json.loads(kaggle_line(1, abstract="x " * 60_000)))


def test_a_file_that_unpacks_without_end_is_left(tmp_path: Path, run: Run) -> None:
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        stream.write(kaggle_line(1).encode() + b"\n")
        for _ in range(101):
            stream.write(b" " * 2**20)
    said = run("corpus", "import", bomb, "--out", tmp_path / "x.jsonl", code=2).stderr
    assert "unpacks to more than 100 times its size" in said
    assert [file.name for file in tmp_path.iterdir()] == ["bomb.json.gz"]


def test_a_title_of_half_a_character_and_a_filter_of_pages_are_lines(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    corpus = tmp_path / "odd.json"
    odd = r"\unicode{xd800} quasar"
    lines = [kaggle_line(n, title=odd, abstract=odd, authors=odd) for n in range(5)]
    corpus.write_text("\n".join(lines))
    run("index", "--corpus", corpus, "--encoder", tiny_llama)
    for words in (("query", "quasar"), ("show", "1001.0000")):
        for form in ("table", "json", "bibtex"):
            assert "quasar" in run(*words, "--format", form).stdout
    for words in (("--author", "wang " * 1200), ("--category", "x" * 60_000)):
        said = run("query", "quasar", *words, code=2).stderr
        assert "longer than" in said
        assert len(said) < 200


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


@pytest.mark.parametrize(
    ("name", "said"),
    [("pytorch_model.bin", "is a pickle"), ("model.safetensors", "cannot be loaded")],
)
def test_pickled_weights_are_refused_unread(
    tmp_path: Path, tiny_llama: Path, name: str, said: str
) -> None:
    shutil.copytree(tiny_llama, tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    (tmp_path / "model" / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    spec = EncoderSpec(str(tmp_path / "model"))
    for load in (load_query_encoder, load_encoder):
        with pytest.raises(InputError, match=said):
            load(spec, SILENT)
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_adapter_is_refused_whatever_lies_beside_it(
    tmp_path: Path, tiny_llama: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "head.safetensors").write_bytes(b"")
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(InputError, match=r"adapter_model\.bin is a pickle"):
        resolve(EncoderSpec(str(tiny_llama), adapter=str(tmp_path)), SILENT)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b"[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_broken_file_of_a_model_is_a_line(
    tmp_path: Path, tiny_llama: Path, name: str, content: bytes
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(folder))) as caught:
        load_query_encoder(EncoderSpec(str(folder)), SILENT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 7, 5_000])
def test_weights_that_break_off_are_a_line(tmp_path: Path, tiny_llama: Path, size: int) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    os.truncate(folder / "model.safetensors", size)
    with pytest.raises(InputError, match="cannot be loaded"):
        load_query_encoder(EncoderSpec(str(folder)), SILENT)


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_weights_that_lack_a_layer_are_a_line(
    tmp_path: Path, tiny_llama: Path, attention: Literal["causal", "bidirectional"]
) -> None:
    """numpy reads the one, torch the other, whose libraries would fill the layer at random."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 5}))
    with pytest.raises(InputError, match="cannot be loaded"):
        load_query_encoder(EncoderSpec(str(folder), attention=attention), SILENT)
    with pytest.raises(InputError, match=r"9 weights that its config.json calls for are missing"):
        load_language_model(str(folder), SILENT)


MANIFEST = {
    "count": 0,
    "dimension": 8,
    "encoder": EncoderSpec("m").as_record(),
    "corpus": {"sources": [], "selection": {}},
    "background": {"mean": None},
    "factory": "Flat",
    "built": "2024-01-01T00:00:00+00:00",
    "tool": "0",
    "metric": "cosine",
    "format": 2,
    "files": {},
}


@given(st.sampled_from(sorted(MANIFEST)), JSON)
def test_a_manifest_with_an_odd_field_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | {name: value}))
    try:
        manifest = Manifest.read(folder)
    except AstrosearchError:
        return
    assert str(manifest.encoder)
    assert manifest.dimension > 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "words/../../x", ".."])
def test_a_manifest_that_points_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = {name: {"bytes": 1, "sha256": "0"}}
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"files": files}))
    with pytest.raises(AstrosearchError, match="a field of an odd kind"):
        Manifest.read(tmp_path)


def test_a_message_cannot_steer_the_terminal(run: Run, home: Path) -> None:
    folder = home / "indexes/main"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | {"format": "\x1b[2J\x9b31m"}))
    assert not STEERING.search(run("query", "gas", code=1).stderr.rstrip("\n"))

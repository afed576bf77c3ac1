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
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

import bibtexparser
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from astrosearch.cli import main
from astrosearch.completion.language_model import load_language_model
from astrosearch.corpus.json_lines import parsed
from astrosearch.corpus.records import paper_from_record
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.encoders.weights.locate import resolve
from astrosearch.errors import (
    IdentifierError,
    IndexDamaged,
    InputError,
    RecordError,
)
from astrosearch.index.manifest import Manifest
from astrosearch.papers import Paper, parse_id
from astrosearch.report import SILENT
from astrosearch.search.query_parser import parse
from astrosearch.text.analysis import analyze
from astrosearch.text.bibtex import entries
from astrosearch.text.quantities import AllowedValues, mentions
from astrosearch.text.tex import one_line, to_unicode
from tests.conftest import FROZEN, Run, kaggle_line

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
    library = bibtexparser.parse_string("".join(entries([a_paper(f"A {text}")])))
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
    assert "".join(entries([a_paper(text)])).count("@misc{") == 1
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


FORMAT_2 = json.loads((FROZEN / "format-2/exact/manifest.json").read_bytes())
SEGMENT = {name: FORMAT_2[name] for name in ("factory", "parameters", "recall")}
SEGMENT |= {"folder": "", "first": 0, "rows": 20, "source": "", "until": ""}
MANIFEST = {name: value for name, value in FORMAT_2.items() if name not in SEGMENT}
MANIFEST |= {"format": 3, "snapshot": 1, "segments": [SEGMENT], "words": "words", "dead": []}
MANIFEST |= {"vector_sum": ""}
"""The manifest of the same index, turned into format 3."""


def changed(**fields: Any) -> dict[str, Any]:
    """A manifest, some of whose fields have another value; `corpus__lines` is a field of `corpus`,
    and `...` takes a field away."""
    record: dict[str, Any] = json.loads(json.dumps(MANIFEST))
    for path, value in fields.items():
        *parents, name = path.split("__")
        inner = record
        for parent in parents:
            inner = inner[parent]
        if value is ...:
            del inner[name]
        else:
            inner[name] = value
    return record


def with_segments(*segments: Any, **fields: Any) -> dict[str, Any]:
    """A manifest whose segments differ from its one sound segment in these fields."""
    records = [SEGMENT | one if isinstance(one, dict) else one for one in segments]
    return changed(segments=records, **fields)


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ODD = {
    "count is -1": changed(count=-1),
    "count is 0": changed(count=0),
    "count is True": changed(count=True),
    "count is 20.0": changed(count=20.0),
    "count is a huge number": changed(count=10**400),
    "count is 'x'": changed(count="x"),
    "dimension is 0": changed(dimension=0),
    "encoder is missing": changed(encoder=...),
    "encoder is None": changed(encoder=None),
    "encoder.max_tokens is -5": changed(encoder__max_tokens=-5),
    "encoder.max_tokens is 0": changed(encoder__max_tokens=0),
    "encoder.layers is -1": changed(encoder__layers=-1),
    "encoder.model is 'mmmm": changed(encoder__model="m" * 300),
    r"encoder.model is '\ud800": changed(encoder__model="\ud800"),
    "encoder.adapter is 'a/aaaa": changed(encoder__adapter="a/" + "a" * 256),
    "encoder's pooling": changed(encoder__pooling="none"),
    "fields this version does not know: prompt": changed(encoder__prompt="x"),
    "corpus is a list": changed(corpus=[]),
    "corpus.sources is missing": changed(corpus__sources=...),
    "corpus.sources is 5": changed(corpus__sources=[5]),
    "corpus.selection.since is a list": changed(corpus__selection={"since": []}),
    "corpus.selection.x is a list": changed(corpus__selection={"x": nested(900)}),
    "corpus.lines is -1": changed(corpus__lines=-1),
    "corpus.refused.broken": changed(corpus__refused={"broken": "many"}),
    "NaN is not a number": changed(background__mean=float("nan")),
    "Infinity is not a number": changed(background__mean=float("inf")),
    "background.mean is 1e+308": changed(background__mean=1e308),
    "background.spread is -0.1": changed(background__spread=-0.1),
    "background.percentiles has 3 numbers": changed(background__percentiles=[0, 0, 0]),
    "background.percentiles is 'x'": changed(background__percentiles=["x"] * 101),
    "asked.memory is 'x'": changed(asked__memory="x"),
    "asked.kind is 5": changed(asked__kind=5),
    "asked.recall is None": changed(asked__recall=None),
    "segments is 'x'": changed(segments="x"),
    "segments is missing": changed(segments=...),
    "count is 20, of 0 rows": changed(segments=[]),
    "segments[0] is None": with_segments(None),
    "segments[1] is a list": with_segments({}, []),
    "segments[0].factory is ''": with_segments({"factory": ""}),
    "files has 0 FAISS files": with_segments({"factory": "IVF4,SQ8"}),
    "segments[0].parameters is a list": with_segments({"parameters": []}),
    "segments[0].parameters.k_factor is missing": with_segments({"parameters": {"nprobe": 1}}),
    "segments[0].parameters.x is a field": with_segments({"parameters": {"k_factor": 1, "x": 1}}),
    "segments[0].recall is 2": with_segments({"recall": 2}),
    "segments[0].x is a field": with_segments({"x": 1}),
    "segments[0].folder is '..'": with_segments({"folder": ".."}),
    "segments[0].folder is '/tmp/segment-1'": with_segments({"folder": "/tmp/segment-1"}),
    "segments[0].folder is 'segment-1/x'": with_segments({"folder": "segment-1/x"}),
    "segments[0].rows is -1": with_segments({"rows": -1}),
    "segments[0].first is 1, not 0": with_segments({"first": 1}),
    "segments[1].first is 19, not 20": with_segments({}, {"folder": "segment-1", "first": 19}),
    "segments[1].first is 21, not 20": with_segments({}, {"folder": "segment-1", "first": 21}),
    "segments[1] has the folder of another": with_segments({"rows": 10}, {"first": 10, "rows": 10}),
    "count is 20, of 40 rows": with_segments({}, {"folder": "segment-1", "first": 20}),
    "files lacks segment-1/papers.sqlite, segment-1/vectors.npy": with_segments(
        {"folder": "segment-1"}
    ),
    "dead is missing": changed(dead=...),
    "dead is -1": changed(dead=[-1], count=19),
    "dead is True": changed(dead=[True], count=19),
    "dead is not a list of ascending rows below 20": changed(dead=[3, 2], count=18),
    "not a list of ascending rows": changed(dead=[3, 3], count=18),
    "dead is not a list": changed(dead=[20], count=19),
    "count is 20, of 20 rows 1 are dead": changed(dead=[3]),
    "words is '../words'": changed(words="../words"),
    "files lacks words-2/meta.json": changed(words="words-2"),
    "vector_sum is 5": changed(vector_sum=5),
    "snapshot is 0": changed(snapshot=0),
    "snapshot is 'x'": changed(snapshot="x"),
    "factory is None": {**FORMAT_2, "factory": None},
    "snapshot is a field": {**FORMAT_2, "snapshot": 1},
    "built is 'soon'": changed(built="soon"),
    "tool is None": changed(tool=None),
    "metric is 'l2'": changed(metric="l2"),
    "format version 9": changed(format=9),
    r"format version '\x1b[2J": changed(format="\x1b[2J\x9b31m"),
    "files lacks words/meta.json, papers.sqlite, vectors.npy": changed(files={}),
    "files lacks words/meta.json": {
        **MANIFEST,
        "files": {name: MANIFEST["files"][name] for name in ("papers.sqlite", "vectors.npy")},
    },
    "files is a list": changed(files=[]),
    "files.vectors.npy.bytes is -1": {
        **MANIFEST,
        "files": {**MANIFEST["files"], "vectors.npy": {"bytes": -1, "sha256": "0" * 64}},
    },
    "files.vectors.npy.sha256 is '0'": {
        **MANIFEST,
        "files": {**MANIFEST["files"], "vectors.npy": {"bytes": 1, "sha256": "0"}},
    },
    r"'x\x1b[2J' is a field": changed(**{"x\x1b[2J": 1}),
    "papers is a field": changed(papers=nested(900)),
    "cannot be read": nested(100_000),
    "it is a list": [],
}
"""Manifests that nobody wrote so, by what is said of them."""

COMMANDS = (
    ("indexes",),
    ("indexes", "info", "main"),
    ("indexes", "verify", "main"),
    ("indexes", "tune", "main", "--kind", "flat"),
    ("query", "gas"),
    ("query", "gas", "--mode", "lexical"),
    ("similar", "1504.00003"),
    ("index", "main"),
    ("compare", "1504.00003", "1502.00001"),
    ("eval", "main"),
    ("shell",),
    ("show", "1504.00003"),
)
"""All that open an index."""


def dumped(value: Any) -> str:
    """As JSON, however deep it is nested."""
    if isinstance(value, list) and value:
        depth = 0
        while value:
            value, depth = value[0], depth + 1
        return "[" * (depth + 1) + "]" * (depth + 1)
    return json.dumps(value)


@pytest.mark.parametrize("fact", ODD)
def test_an_odd_manifest_is_one_line_in_every_command(frozen: Path, run: Run, fact: str) -> None:
    (frozen / "manifest.json").write_text(dumped(ODD[fact]))
    for command in COMMANDS:
        result = CliRunner().invoke(main, list(command), input="gas\n")
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        assert not STEERING.search(result.output.replace("\n", "")), command
        assert result.exit_code == (0 if command == ("indexes",) else 1), command
        assert fact in result.stderr.splitlines()[0], (command, result.stderr)


@pytest.mark.parametrize(
    "field", ["tool", "encoder__model", "encoder__revision", "corpus__sources", "asked__kind"]
)
def test_no_text_of_a_manifest_steers_the_terminal(frozen: Path, run: Run, field: str) -> None:
    """In a manifest that is whole but for it."""
    text = "\x1b]0;X\x07\x1b[2J\x9b31m\u202e"
    value: Any = [text] if field == "corpus__sources" else text
    (frozen / "manifest.json").write_text(json.dumps(changed(**{field: value})))
    for command in COMMANDS:
        result = CliRunner().invoke(main, list(command), input="gas\n")
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        assert not STEERING.search(re.sub("[\n\t]", "", result.output)), command


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_a_manifest_that_is_not_a_file_is_one_line(
    frozen: Path, run: Run, make: Callable[[Path], None]
) -> None:
    (frozen / "manifest.json").unlink()
    make(frozen / "manifest.json")
    for command in COMMANDS[1:-1]:
        result = CliRunner().invoke(main, list(command), input="gas\n")
        assert isinstance(result.exception, SystemExit), command
        assert result.exit_code in (1, 2, 3), command


@given(st.sampled_from(sorted(MANIFEST)), JSON)
def test_a_manifest_with_an_odd_field_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | {name: value}))
    try:
        manifest = Manifest.read(folder, check_files=False)
    except IndexDamaged:
        return
    assert str(manifest.encoder)
    assert manifest.dimension > 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "words/../../x", ".."])
def test_a_manifest_that_points_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = {**MANIFEST["files"], name: {"bytes": 1, "sha256": "0" * 64}}
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"files": files}))
    with pytest.raises(IndexDamaged, match="not the name of an index's file"):
        Manifest.read(tmp_path)


def test_a_corpus_that_is_a_pipe_is_refused_at_once(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "papers.jsonl")
    for command in (("index", "x", "--corpus"), ("corpus", "import", "--out", tmp_path / "y")):
        assert "is a pipe" in run(*command, tmp_path / "papers.jsonl", code=2).stderr

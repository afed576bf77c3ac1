"""Fine-tuning on a tiny LLaMA with random weights: the blocks, the run, the adapter, the kill."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from astrosearch.completion.language_model import attach_adapter, load_language_model
from astrosearch.completion.perplexity import Losses, losses_of, reduction
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.report import SILENT
from tests.conftest import Run, kaggle_line, make_llama
from tests.subprocess_train import train_apart
from training.lm.abstracts import Prepared, blocks_of, held_out_abstracts
from training.lm.dropout import ByteDropout
from training.lm.finetune import collate, steps_of
from training.lm.packing import BLOCK, pack
from training.log import Log, LogEntry
from training.settings import FinetuneSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "papers.json"
    path.write_text("\n".join(kaggle_line(number) for number in range(400)) + "\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, corpus: Path, tiny_llama: Path) -> Path:
    """The corpus's blocks, for the tiny LLaMA."""
    from astrosearch.corpus.intake import Selection
    from training.lm.abstracts import prepare

    out = tmp_path_factory.mktemp("data") / "blocks"
    prepare([corpus], out, str(tiny_llama), Selection(), SILENT)
    return out


Finetune = Callable[..., Path]


@pytest.fixture
def finetune(run: Run, tmp_path: Path, tiny_llama: Path, data: Path) -> Finetune:
    """Calls `train finetune` for a few short steps; the adapter's folder."""

    def call(*options: object, base: Path = tiny_llama, code: int = 0) -> Path:
        out = tmp_path / "adapter"
        common = ("--base", base, "--data", data, "--out", out, "--dtype", "float32")
        small = ("--rank", 4, "--batch", 4, "--max-tokens", 8 * BLOCK)
        run("train", "finetune", *common, *small, *options, code=code)
        return out

    return call


# Blocks


def test_abstracts_run_on_from_block_to_block_and_the_rest_is_kept() -> None:
    abstracts = [[0, 7, 8, 9, 1], [0, 5, 1], [0, 3, 4, 1]]
    assert list(pack(abstracts, pad=1, block=8)) == [
        ([0, 7, 8, 9, 1, 0, 5, 1], 8),
        ([0, 3, 4, 1, 1, 1, 1, 1], 4),
    ]
    assert list(pack([[1] * 16], pad=0, block=8)) == [([1] * 8, 8), ([1] * 8, 8)]


def test_a_whole_block_of_the_data(data: Path, corpus: Path, tiny_llama: Path) -> None:
    vocabulary = json.loads((tiny_llama / "tokenizer.json").read_bytes())["model"]["vocab"]
    tokens: list[int] = []
    for line in corpus.read_text().splitlines():
        record = json.loads(line)
        if not is_held_out(record["id"]):
            words = record["abstract"].split()
            tokens += [0, *(vocabulary.get(word, vocabulary["<unk>"]) for word in words), 1]
    blocks = blocks_of(data, "train")
    assert blocks[0]["input_ids"] == tokens[:BLOCK]
    assert blocks[1]["input_ids"] == tokens[BLOCK : 2 * BLOCK]
    rest = len(tokens) % BLOCK
    assert blocks[len(blocks) - 1] == {
        "input_ids": tokens[-rest:] + [1] * (BLOCK - rest),
        "length": rest,
    }
    assert Prepared.read(data).train.tokens == len(tokens) == sum(blocks["length"])


def test_no_paper_is_in_both_splits(data: Path, corpus: Path) -> None:
    ids = {json.loads(line)["id"] for line in corpus.read_text().splitlines()}
    held_out = set(held_out_abstracts(data)["id"])
    assert held_out == {id for id in ids if is_held_out(id)}
    prepared = Prepared.read(data)
    assert prepared.test.papers == len(held_out)
    assert prepared.train.papers == len(ids) - len(held_out)


def test_prepare_prints_the_papers_table(
    run: Run, corpus: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    out = tmp_path / "blocks"
    lines = dict(
        line.split("\t")
        for line in run(
            "train", "prepare", corpus, "--base", tiny_llama, "--out", out
        ).stdout.splitlines()
    )
    assert lines["papers"] == "400"
    assert (lines["first month"], lines["last month"]) == ("2016-05", "2016-05")
    prepared = Prepared.read(out)
    assert lines["tokens"] == f"{prepared.tokens:,}"
    assert lines["training papers"] == f"{prepared.train.papers:,}"
    assert prepared.median_tokens == float(
        np.median(
            [len(json.loads(text)["abstract"].split()) for text in corpus.read_text().splitlines()]
        )
    )
    assert not list(tmp_path.glob(".*partial"))


def test_labels_are_the_inputs_and_padding_has_none() -> None:
    full = {"input_ids": list(range(10, 18)), "length": 8}
    rest = {"input_ids": [5, 6, 7, 1, 1, 1, 1, 1], "length": 4}  # its EOS, 1, is real once
    batch = collate([full, rest])
    assert batch["input_ids"].tolist() == [full["input_ids"], rest["input_ids"]]
    assert batch["labels"].tolist() == [
        full["input_ids"],
        [5, 6, 7, 1, -100, -100, -100, -100],
    ]


def test_padding_changes_no_loss(tiny_llama: Path) -> None:
    model = load_language_model(str(tiny_llama), SILENT, device="cpu", dtype=torch.float32).model
    short = collate([{"input_ids": [0, 5, 6, 7, 1], "length": 5}])
    padded = collate([{"input_ids": [0, 5, 6, 7, 1, 1, 1, 1], "length": 5}])
    with torch.no_grad():
        assert model(**padded).loss.item() == pytest.approx(model(**short).loss.item(), rel=1e-6)


# The run


@pytest.mark.slow
def test_the_schedule_is_the_papers(finetune: Finetune) -> None:
    out = finetune("--max-tokens", 20 * 4 * BLOCK, "--epochs", 100)
    rates = [
        entry.learning_rate for entry in Log(out / "log.csv").entries() if entry.loss is not None
    ]
    assert len(rates) == 20
    # 2 of 20 steps are warm-up; then a cosine from 3e-4 to 3e-5 over 18.
    assert rates[:3] == pytest.approx([0, 1.5e-4, 3e-4])
    assert rates[2 + 9] == pytest.approx(1.65e-4)  # half way: the mean of the two
    assert rates[2 + 6] == pytest.approx(3e-5 + 2.7e-4 * 0.75)  # cos(60°) = 1/2
    assert rates[19] == pytest.approx(3e-5 + 2.7e-4 * (1 + math.cos(math.pi * 17 / 18)) / 2)


def test_steps_are_counted_from_epochs_or_tokens() -> None:
    assert steps_of(FinetuneSettings("base", batch=32, epochs=3), blocks=100) == 12
    assert steps_of(FinetuneSettings("base", batch=32, max_tokens=20_000), blocks=10_000) == 2
    assert steps_of(FinetuneSettings("base", batch=32, max_tokens=1), blocks=10_000) == 1


@pytest.mark.slow
def test_loss_falls_on_what_can_be_memorised(finetune: Finetune) -> None:
    out = finetune("--max-tokens", 12 * 4 * BLOCK, "--epochs", 100, "--learning-rate", 0.05)
    entries = Log(out / "log.csv").entries()
    losses = [entry.loss for entry in entries if entry.loss is not None]
    assert losses[-1] < losses[0] - 1
    held_out = [entry.held_out_loss for entry in entries if entry.held_out_loss is not None]
    assert held_out[-1] < held_out[0] - 0.5


def test_the_adapter_folder_says_what_it_is(
    finetune: Finetune, tiny_llama: Path, data: Path
) -> None:
    out = finetune("--seed", 3)
    record = json.loads((out / "training.json").read_bytes())
    assert record["settings"]["seed"] == 3
    assert record["settings"]["beta2"] == 0.95
    assert record["data"]["corpus"] == Prepared.read(data).corpus
    assert record["outcome"]["steps"] == 2
    assert record["outcome"]["tokens"] == 8 * BLOCK
    card = (out / "README.md").read_text()
    assert "4,096 tokens in 2 steps" in card
    assert "perplexity went from" in card
    config = json.loads((out / "adapter_config.json").read_bytes())
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 32, 0.05)
    assert config["base_model_name_or_path"] == str(tiny_llama)
    assert not list(out.parent.glob(".*partial"))


def test_an_adapter_gives_the_same_logits_attached_merged_and_after_a_round_trip(
    finetune: Finetune, tiny_llama: Path, tmp_path: Path
) -> None:
    out = finetune("--learning-rate", 0.02)
    ids = torch.tensor([[0, 5, 9, 12, 4, 1]])

    def logits(model: Any) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(input_ids=ids).logits
        return found

    base = load_language_model(str(tiny_llama), SILENT, device="cpu", dtype=torch.float32)
    bare = logits(base.model)
    attached = attach_adapter(base.model, base.name, base.revision, str(out), SILENT)
    with_adapter = logits(attached)
    assert (with_adapter - bare).abs().max() > 0.01
    attached.save_pretrained(tmp_path / "again")
    again = load_language_model(
        str(tiny_llama),
        SILENT,
        adapter=str(tmp_path / "again"),
        device="cpu",
        dtype=torch.float32,
    )
    assert torch.equal(logits(again.model), with_adapter)
    merged = logits(again.model.merge_and_unload())
    assert torch.allclose(merged, with_adapter, atol=1e-4)


def test_an_adapter_of_a_language_model_makes_an_encoder(
    finetune: Finetune, tiny_llama: Path
) -> None:
    out = finetune("--learning-rate", 0.02)
    texts = ["gas stream of a quasar", "dust"]
    plain = load_encoder(EncoderSpec(str(tiny_llama)), SILENT, dtype="float32").encode(texts)
    for layers in (None, 2):
        spec = EncoderSpec(str(tiny_llama), adapter=str(out), layers=layers)
        vectors = load_encoder(spec, SILENT, dtype="float32").encode(texts)
        assert np.abs(vectors - plain).max() > 1e-3
        assert np.allclose(load_query_encoder(spec, SILENT).encode(texts), vectors, atol=1e-5)
    base = load_language_model(str(tiny_llama), SILENT, device="cpu", dtype=torch.float32)
    whole = attach_adapter(base.model, base.name, base.revision, str(out), SILENT)
    ids = torch.tensor([[base.vocabulary.bos, *base.vocabulary.ids(["dust"])[0]]])
    with torch.no_grad():
        hidden = whole(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, 1:]
    spec = EncoderSpec(str(tiny_llama), adapter=str(out))
    expected = torch.nn.functional.normalize(hidden.mean(dim=0), dim=0).numpy()
    assert np.allclose(
        load_encoder(spec, SILENT, dtype="float32").encode(["dust"])[0], expected, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_few_bits_on_the_cpu_learn_nearly_what_full_precision_learns(
    finetune: Finetune, tmp_path: Path, quantize: str
) -> None:
    options = ("--max-tokens", 6 * 4 * BLOCK, "--epochs", 9, "--learning-rate", 0.05)
    plain = _losses(finetune(*options))
    (tmp_path / "adapter").rename(tmp_path / "plain")
    # The held-out blocks are read before and between the steps: that must not spoil a gradient.
    quantized = _losses(finetune(*options, "--quantize", quantize))
    assert plain[0] - plain[-1] > 0.5
    assert quantized[0] - quantized[-1] == pytest.approx(plain[0] - plain[-1], rel=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quick_dropout_drops_its_share_and_keeps_the_mean(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropout = ByteDropout(0.25)
    x = torch.ones(1000, 1003, dtype=dtype)
    y = dropout(x)
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=2e-3)
    assert y[kept].float().unique().tolist() == [torch.tensor(4 / 3).to(dtype).item()]
    # Neither rows nor columns are dropped together, and the next mask is another one.
    assert kept.float().mean(dim=0).std().item() == pytest.approx((0.1875 / 1000) ** 0.5, rel=0.1)
    assert (dropout(x) != y).float().mean().item() == pytest.approx(2 * 0.1875, abs=5e-3)
    torch.manual_seed(0)
    assert torch.equal(dropout(x), y)
    assert dropout.eval()(x) is x


@pytest.mark.slow
def test_gradient_checkpointing_changes_no_loss(finetune: Finetune, tmp_path: Path) -> None:
    plain = [entry.loss for entry in Log(finetune() / "log.csv").entries()]
    (tmp_path / "adapter").rename(tmp_path / "plain")
    saving = [
        entry.loss for entry in Log(finetune("--gradient-checkpointing") / "log.csv").entries()
    ]
    assert saving == plain


@pytest.mark.slow
def test_a_pause_goes_on_with_the_same_command(
    finetune: Finetune, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--max-tokens", 6 * 4 * BLOCK, "--epochs", 9)
    whole = finetune(*options)
    weights = (whole / "adapter_model.safetensors").read_bytes()
    losses = [entry.loss for entry in Log(whole / "log.csv").entries()]
    whole.rename(tmp_path / "whole")
    paused = finetune(*options, "--max-minutes", 1e-6)
    assert not paused.exists()
    assert [entry.step for entry in Log(tmp_path / ".adapter.partial" / "log.csv").entries()][
        -1
    ] == 1
    finetune(*options)
    assert [entry.loss for entry in Log(paused / "log.csv").entries()] == losses
    assert (paused / "adapter_model.safetensors").read_bytes() == weights


# Processes of their own


def _command(tiny_llama: Path, data: Path, out: Path, *options: str) -> list[str]:
    return [
        *("finetune", "--base", str(tiny_llama), "--data", str(data), "--out", str(out)),
        *("--dtype", "float32", "--rank", "4", "--batch", "4", "--epochs", "100"),
        *("--max-tokens", str(12 * 4 * BLOCK), *options),
    ]


@pytest.mark.slow
def test_killed_at_any_step_it_ends_at_the_same_losses(
    tiny_llama: Path, data: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "adapter", tmp_path / "said"
    whole = train_apart(*_command(tiny_llama, data, tmp_path / "whole"), said=tmp_path / "too")
    command = _command(tiny_llama, data, out, "--checkpoint-minutes", "0")
    killed = train_apart(*command, said=said, last_step=5)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert not out.exists()
    # What a kill in the middle of a save leaves behind is not taken for a checkpoint.
    cut_short = tmp_path / ".adapter.partial" / "checkpoint-11"
    cut_short.mkdir()
    (cut_short / "trainer_state.json").write_text("{")
    again = train_apart(*command, said=said)
    for process, output in ((again, said), (whole, tmp_path / "too")):
        process.join()
        assert process.exitcode == 0, output.read_text()
    assert "Going on from step" in said.read_text()
    assert _losses(out) == _losses(tmp_path / "whole")
    weights = [folder / "adapter_model.safetensors" for folder in (out, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tiny_llama: Path, data: Path, tmp_path: Path) -> None:
    options = ("--dropout", "0", "--learning-rate", "0.01")
    alone = train_apart(
        *_command(tiny_llama, data, tmp_path / "of-1", *options), said=tmp_path / "said"
    )
    launch = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training")
    command = _command(tiny_llama, data, tmp_path / "of-2", *options)
    done = subprocess.run(
        [sys.executable, "-m", *launch, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Wrote") == 1
    alone.join()
    said = (tmp_path / "said").read_text()
    assert alone.exitcode == 0, said
    assert said.count("Wrote") == 1
    by_one, by_two = (_losses(tmp_path / f"of-{processes}") for processes in (1, 2))
    assert by_two == pytest.approx(by_one, rel=1e-4)
    assert by_one[0] - by_one[-1] > 0.1  # so that equal losses mean the same was learnt


def _losses(adapter: Path) -> list[float]:
    return [entry.loss for entry in Log(adapter / "log.csv").entries() if entry.loss is not None]


# Perplexity


def test_losses_are_the_models_own(tiny_llama: Path) -> None:
    model = load_language_model(str(tiny_llama), SILENT, device="cpu", dtype=torch.float32)
    texts = [[0, 5, 9, 12, 1], [0, 7, 7]]
    found = losses_of(model, texts, lambda done: None)
    assert found.tokens.tolist() == [4, 2]
    for text, total in zip(texts, found.total, strict=True):
        ids = torch.tensor([text])
        with torch.no_grad():
            mean = model.model(input_ids=ids, labels=ids).loss.item()
        assert total == pytest.approx(mean * (len(text) - 1), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.total.sum() / 6))


def test_a_reduction_has_its_interval() -> None:
    tokens = np.full(50, 100)
    base = Losses(np.linspace(330, 370, 50), tokens)
    same_drop = Losses(base.total - 40, tokens)  # 0.4 nats a token for every text
    share, low, high = reduction(base, same_drop)
    assert (share, low, high) == pytest.approx((1 - math.exp(-0.4),) * 3)
    rng = np.random.default_rng(0)
    noisy = Losses(base.total - rng.normal(40, 20, 50), tokens)
    share, low, high = reduction(base, noisy)
    assert low < share < high
    assert high - low == pytest.approx(4 * 0.2 / 50**0.5 * (1 - share), rel=0.4)


def test_perplexity_of_a_base(run: Run, tiny_llama: Path, data: Path) -> None:
    asked = ("--base", tiny_llama, "--data", data, "--all", "--dtype", "float32")
    (line,) = run("train", "perplexity", *asked).stdout.splitlines()
    model = load_language_model(str(tiny_llama), SILENT, device="cpu", dtype=torch.float32)
    blocks = [row["input_ids"][: row["length"]] for row in blocks_of(data, "test")]
    abstracts = [row["input_ids"][:-1] for row in held_out_abstracts(data)]
    expected = [losses_of(model, texts, lambda done: None) for texts in (blocks, abstracts)]
    figures = [f"{losses.perplexity:.2f}" for losses in expected]
    assert line.split("\t") == [str(tiny_llama), figures[0], "", figures[1], ""]


@pytest.mark.parametrize("option", ["--papers", "--blocks"])
def test_all_held_out_texts_are_not_a_number_of_them(
    run: Run, tiny_llama: Path, data: Path, option: str
) -> None:
    asked = ("--base", tiny_llama, "--data", data, "--all", option, 5)
    assert f"{option} has no effect with --all" in run("train", "perplexity", *asked, code=2).stderr


@pytest.mark.slow
def test_perplexity_of_base_and_adapter_in_one_table(
    run: Run, finetune: Finetune, tiny_llama: Path, data: Path, tmp_path: Path
) -> None:
    out = finetune("--max-tokens", 12 * 4 * BLOCK, "--epochs", 100, "--learning-rate", 0.05)
    figure = tmp_path / "figure.svg"
    common = ("train", "perplexity", "--base", tiny_llama, "--data", data, "--adapter", out)
    result = run(*common, "--papers", 20, "--plot", figure, "--dtype", "float32")
    base, adapter = (line.split("\t") for line in result.stdout.splitlines())
    assert base[0] == str(tiny_llama)
    for place in (1, 3):
        lower = 1 - float(adapter[place]) / float(base[place])
        assert lower > 0.2
        assert adapter[place + 1].startswith(f"{lower:.1%} [")
    drawn = figure.read_text()
    assert "<svg" in drawn
    # The same figure twice, to the last byte.
    run(*common, "--papers", 20, "--plot", tmp_path / "again.svg", "--dtype", "float32")
    assert (tmp_path / "again.svg").read_text() == drawn


# What can go wrong


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (0, "is empty"),
        (3, "less than one block of 512; give a larger corpus"),
    ],
)
def test_a_corpus_that_is_too_small_is_a_line(
    run: Run, tmp_path: Path, tiny_llama: Path, lines: int, said: str
) -> None:
    path = tmp_path / "few.json"
    path.write_text("".join(kaggle_line(number) + "\n" for number in range(lines)))
    result = run(
        *("train", "prepare", path, "--base", tiny_llama, "--out", tmp_path / "blocks"), code=2
    )
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "blocks").exists()
    assert not (tmp_path / ".blocks.partial").exists()


def test_a_base_without_a_padding_token_is_padded_with_eos(
    run: Run, tmp_path: Path, corpus: Path
) -> None:
    base = make_llama(tmp_path / "llama", seed=1)
    config = json.loads((base / "config.json").read_bytes())
    (base / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    result = run("train", "prepare", corpus, "--base", base, "--out", tmp_path / "blocks")
    assert "has no padding token: EOS fills the last block" in result.stderr
    assert Prepared.read(tmp_path / "blocks").pad == 1


def test_a_base_without_an_end_is_refused(run: Run, tmp_path: Path, corpus: Path) -> None:
    base = make_llama(tmp_path / "llama", seed=1)
    config = json.loads((base / "config.json").read_bytes())
    (base / "config.json").write_text(json.dumps({**config, "eos_token_id": None}))
    result = run("train", "prepare", corpus, "--base", base, "--out", tmp_path / "out", code=2)
    assert "does not name its EOS token" in result.stderr


@pytest.mark.slow
def test_an_adapter_of_another_base_is_refused(
    run: Run, finetune: Finetune, data: Path, tmp_path: Path, tiny_llama: Path, corpus: Path
) -> None:
    out = finetune()
    other = make_llama(tmp_path / "other", seed=7)
    run("train", "prepare", corpus, "--base", other, "--out", tmp_path / "blocks")
    asked = ("--adapter", out, "--data", tmp_path / "blocks")
    result = run("train", "perplexity", "--base", other, *asked, code=2)
    assert f"adapter {out} was trained on {tiny_llama}" in result.stderr
    result = run("train", "perplexity", "--base", other, "--data", data, code=2)
    assert "prepare the data for it" in result.stderr
    finetune("--out", tmp_path / "new", base=other, code=2)


@pytest.mark.slow
def test_an_unfinished_run_of_other_settings_is_not_mixed_in(
    run: Run, finetune: Finetune, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune("--max-minutes", 1e-6)
    unfinished = tmp_path / ".adapter.partial" / "settings.json"
    before = unfinished.read_bytes()
    finetune("--learning-rate", 0.01, code=2)
    assert unfinished.read_bytes() == before
    out = finetune("--learning-rate", 0.01, "--restart")
    assert json.loads((out / "training.json").read_bytes())["settings"]["learning_rate"] == 0.01
    finetune(code=2)  # it is there already


def test_a_batch_that_cannot_be_cut_is_a_line(
    run: Run, tiny_llama: Path, data: Path, tmp_path: Path
) -> None:
    asked = ("train", "finetune", "--base", tiny_llama, "--data", data, "--out", tmp_path / "a")
    result = run(*asked, "--batch", 6, "--micro-batch", 4, code=2)
    assert "choose a batch that 4 divides" in result.stderr


@pytest.mark.parametrize("stage", ["prepare", pytest.param("finetune", marks=pytest.mark.slow)])
def test_a_full_disk_is_a_line_and_leaves_nothing_for_whole(
    stage: str, tiny_llama: Path, corpus: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = {
        "prepare": ["prepare", str(corpus), "--base", str(tiny_llama), "--out", str(out)],
        "finetune": _command(tiny_llama, data, out, "--checkpoint-minutes", "0"),
    }[stage]
    process = train_apart(*arguments, said=tmp_path / "said", file_bytes=20_000)
    process.join()
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 1, said
    assert "is full" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not out.exists()
    assert not list(tmp_path.rglob("whole"))


@pytest.mark.slow
def test_too_little_memory_is_a_line_with_what_to_change(
    run: Run, tiny_llama: Path, tmp_path: Path
) -> None:
    out, data, many_papers = tmp_path / "out", tmp_path / "blocks", tmp_path / "papers.json"
    many_papers.write_text("\n".join(kaggle_line(number) for number in range(4_000)) + "\n")
    run("train", "prepare", many_papers, "--base", tiny_llama, "--out", data)
    many = ("--batch", "1024", "--micro-batch", "1024", "--max-tokens", "1")
    command = _command(tiny_llama, data, out, *many)
    process = train_apart(*command, said=tmp_path / "said", memory=800_000_000)
    process.join()
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 1, said
    last = said.splitlines()[-1]
    assert last == (
        "astrosearch: cpu has too little memory for this run; try --micro-batch 512 or "
        "--gradient-checkpointing or --quantize 4bit"
    )
    assert not out.exists()


def test_data_that_are_not_there_are_a_line(run: Run, tmp_path: Path, tiny_llama: Path) -> None:
    asked = ("train", "finetune", "--base", tiny_llama, "--out", tmp_path / "a")
    result = run(*asked, "--data", tmp_path, code=2)
    assert "make it with: astrosearch train prepare" in result.stderr


def test_a_log_that_a_kill_has_cut_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv")
    for step in (1, 2, 3):
        log.add(LogEntry(step, step * 10, step * 1.5, loss=2.0 / step))
    with log.path.open("a") as stream:
        stream.write("4,40")
    assert [entry.step for entry in log.entries()] == [1, 2, 3]
    assert log.cut(2) == 3.0
    assert log.entries() == [LogEntry(1, 10, 1.5, loss=2.0), LogEntry(2, 20, 3.0, loss=1.0)]


def test_a_data_folder_of_another_format_is_refused(data: Path, tmp_path: Path) -> None:
    record = json.loads((data / "prepared.json").read_bytes())
    (tmp_path / "prepared.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(InputError, match="has format 99"):
        Prepared.read(tmp_path)

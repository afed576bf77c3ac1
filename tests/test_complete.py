"""Grounded completion: sources, checks, the held decoder, and what goes wrong."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from astrosearch.completion.attribution import Texts, Thresholds, calibrated, copies, supporting
from astrosearch.completion.complete import (
    Completion,
    GroundingChecker,
    Source,
    complete,
    find_sources,
)
from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.completion.language_model import load_language_model
from astrosearch.encoders.base import EncodedTexts, Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.report import SILENT
from astrosearch.text.quantities import AllowedValues
from tests.conftest import Run, kaggle_line

SIGNS = "0123456789.,^ abkpcMz=~×σ±+-(ng"
PIECES = [" seven", " ten", "teen", " kpc", " Myr", "½", "10^", " NGC ", "M31"]


@pytest.fixture(scope="session")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of one layer with random weights that writes little but numbers."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    letters = sorted({sign for text in SIGNS for sign in _bytes_as_signs(text)})
    vocabulary = {one: number for number, one in enumerate(["<s>", "</s>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in PIECES])
    folder = tmp_path_factory.mktemp("models") / "babbler"
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        max_position_embeddings=256,
    )
    torch.manual_seed(1)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _bytes_as_signs(text: str) -> list[str]:
    from tokenizers import pre_tokenizers

    [(piece, _)] = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return list(piece)


BEGUN = "a bank"


def test_a_held_decoder_writes_no_number_that_is_not_known(babbler: Path) -> None:
    text = "of 1,068 stars at z = 7.25 some 10^8 have 7 kpc, 40 ± 3 km/s or 3σ; M31"
    known = AllowedValues([text])
    writer = LocalGenerator("babbler", load_language_model(str(babbler), SILENT, device="cpu"))
    allowed = set(re.findall(r"[0-9]+", text)) | {"1068"}
    tokens_blocked = written = 0
    for seed in range(1_000):
        stats = GenerationStats()
        sampling = Sampling(temperature=2.0, max_new_tokens=12, seed=seed)
        pieces = "".join(writer.write(BEGUN, [], sampling, stats, known))
        tokens_blocked += stats.tokens_blocked
        if stats.stopped != "end":
            unfinished = known.unknown(BEGUN + pieces, len(BEGUN))
            pieces = pieces if unfinished is None else pieces[: unfinished.start - len(BEGUN)]
        assert known.unknown(BEGUN + pieces) is None, pieces
        runs = re.findall(r"[0-9]+", pieces)
        written += len(runs)
        assert set(runs) <= allowed, repr(pieces)
        assert "½" not in pieces
        assert not re.search(r"\bten\b", pieces), pieces
    assert tokens_blocked > 500
    assert written > 200  # it may write known ones


def test_without_holding_it_the_same_model_invents_numbers(babbler: Path) -> None:
    known = AllowedValues(["of 7 stars"])
    writer = LocalGenerator("babbler", load_language_model(str(babbler), SILENT, device="cpu"))
    sampling = Sampling(temperature=2.0, max_new_tokens=40)
    text = "".join(writer.write(BEGUN, [], sampling, GenerationStats()))
    assert known.unknown(BEGUN + text) is not None


def test_a_seed_gives_the_same_text_whatever_was_written_before(babbler: Path) -> None:
    model = load_language_model(str(babbler), SILENT, device="cpu")
    one, other = LocalGenerator("a", model), LocalGenerator("b", model)

    def text(writer: LocalGenerator, seed: int) -> str:
        sampling = Sampling(temperature=1.0, max_new_tokens=30, seed=seed)
        return "".join(writer.write("gas", ["pc and kpc", "a bank"], sampling, GenerationStats()))

    first = [text(one, seed) for seed in (0, 1, 2)]
    assert [text(other, seed) for seed in (2, 1, 0)] == first[::-1]
    assert len(set(first)) == 3


def test_the_text_is_what_transformers_would_write(babbler: Path) -> None:
    import torch

    model = load_language_model(str(babbler), SILENT, device="cpu")
    writer = LocalGenerator("a", model)
    sampling = Sampling(temperature=0.0, max_new_tokens=24)
    text = "".join(writer.write("gas at 7", ["pc and kpc"], sampling, GenerationStats()))
    prompt = torch.tensor([writer.prompt("gas at 7", ["pc and kpc"])])
    found = model.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24
    )
    theirs = model.vocabulary.tokenizer.decode(found[0, prompt.shape[1] :].tolist())
    assert theirs.startswith(text)
    assert text


def test_sources_stand_whole_before_the_beginning_the_best_last(babbler: Path) -> None:
    writer = LocalGenerator("a", load_language_model(str(babbler), SILENT, device="cpu"))
    decode = writer.model.vocabulary.tokenizer.decode
    ids = writer.prompt("a bank ", ["pc", "kpc"])
    assert decode(ids, skip_special_tokens=False) == "<s>kpc</s><s>pc</s><s>a bank"
    # 256 tokens: one abstract of 100 letters has room beside 100 new tokens, two have not.
    assert writer.fitting("gas", ["a" * 100, "b" * 100], 100) == 1
    assert writer.fitting("gas", ["a" * 100, "b" * 100], 20) == 2
    with pytest.raises(InputError, match="shorten the beginning"):
        writer.fitting("a" * 300, [], 1)


class WordEncoder:
    """Vectors that count letters: enough to tell sentences apart."""

    spec = EncoderSpec("letters")
    dimension = 26

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(self.encode(texts), 0)

    def encode(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), 26), dtype=np.float32)
        for row, text in enumerate(texts):
            for sign in text.lower():
                if "a" <= sign <= "z":
                    found[row, ord(sign) - 97] += 1
        return unit_rows(found)


def test_a_sentence_is_supported_by_a_source_that_is_near_and_has_its_words() -> None:
    sources = Texts(
        WordEncoder(),
        [
            "Gas is stripped from the dwarf galaxy. Stars form.",
            "We map the dust of a molecular cloud.",
            "Gas is stripped from the dwarf galaxies by ram pressure.",
        ],
    )
    some = [
        "Gas was stripped from the dwarf galaxy.",
        "The dust of the cloud is mapped in molecular lines.",
        "Neutrinos oscillate.",
    ]
    found = supporting(WordEncoder(), some, sources, Thresholds(0.8, 0.45))
    assert found == [[0, 2], [1], []]
    # Near without the words, or the words without being near, is not enough.
    assert supporting(WordEncoder(), some, sources, Thresholds(0.8, 1.0)) == [[], [], []]
    assert supporting(WordEncoder(), some, sources, Thresholds(0.9999, 0.1)) == [[], [], []]


def test_thresholds_are_reached_by_chance_once_in_a_hundred_times(built: Path) -> None:
    index = Index(built)
    encoder = load_encoder(index.manifest.encoder, SILENT)
    thresholds = calibrated(index, encoder)
    assert calibrated(index, encoder) == thresholds
    rows = np.random.default_rng(5).choice(len(index), 40, replace=False)
    papers = index.corpus.papers(rows.tolist())
    texts = Texts(encoder, [paper.abstract for paper in papers[:20]])
    found = supporting(encoder, [one.abstract for one in papers[20:]], texts, thresholds)
    # Pairs of a text and a paper: 20 by 20.
    assert sum(map(len, found)) <= 0.05 * 400


def test_copied_runs_are_found_whole_and_once() -> None:
    source = "The stream is made of gas that was torn from the clouds by a tide."
    text = "We say: the stream is made of gas that was torn from the clouds. It is a tide."
    [copy] = copies(text, ["nothing", source])
    assert text[copy.start : copy.end] == "the stream is made of gas that was torn from the clouds"
    assert (copy.source, copy.words) == (1, 12)
    assert copies(text, [source], shortest=14) == []


def _source(number: int, abstract: str) -> Source:
    from datetime import date

    paper = Paper(
        f"2001.0000{number}",
        f"Title {number}",
        abstract,
        ("A. B",),
        ("astro-ph.GA",),
        date(2020, 1, 1),
    )
    return Source(paper, 0.5)


class Dictated:
    """A writer that says what it is told to: a text in pieces, or an interruption."""

    name = "dictated"

    def __init__(self, *pieces: str, interrupted: bool = False) -> None:
        self.pieces, self.interrupted = pieces, interrupted

    def fitting(self, beginning: str, abstracts: object, max_new_tokens: int) -> int:
        return 9

    def write(self, *arguments: object) -> object:
        stats = arguments[3]
        assert isinstance(stats, GenerationStats)
        yield from self.pieces
        if self.interrupted:
            raise KeyboardInterrupt
        stats.stopped = "end"


def _completed(beginning: str, *pieces: str, **more: bool) -> Completion:
    sources = [
        _source(1, "Gas is stripped from the dwarf galaxy at 50 kpc. The mass is 10^8 Msun."),
        _source(2, "We map NGC 1068 with ALMA."),
    ]
    judge = GroundingChecker(WordEncoder(), Thresholds(0.85, 0.5), beginning, sources)
    writer = Dictated(*pieces, **more)
    return complete(writer, judge, beginning, sources, Sampling())  # type: ignore[arg-type]


def test_places_point_at_the_text_and_say_who_has_it() -> None:
    done = _completed(
        "We find 12 clouds of 3",
        "0 kpc, and gas stripped from the dwarf galaxy",
        " at 50 kpc. Of 12 clouds, 99 have $10^{8}$ M$_\\odot$. ",
        "NGC 1068 and M87 were seen by ALMA.",
    )
    text = done.text
    got = {
        text[one.mention.start : one.mention.end]: (one.in_beginning, one.sources)
        for one in done.lookups
    }
    assert got == {
        "0 kpc": (False, []),  # 30 kpc
        "50 kpc": (False, [0]),
        "12": (True, []),
        "99": (False, []),
        "10^{8}$ M$_\\odot": (False, [0]),
        "NGC 1068": (False, [1]),
        "M87": (False, []),
        "ALMA": (False, [1]),
    }
    first, second, third = (text[one.start : one.end] for one in done.sentences)
    assert first.startswith("0 kpc")
    assert first.endswith("50 kpc.")
    assert second == "Of 12 clouds, 99 have $10^{8}$ M$_\\odot$."
    assert third.startswith("NGC 1068")
    assert done.sentences[0].sources == [0]
    assert done.stats.stopped == "end"


def test_an_interruption_keeps_what_was_written_and_checks_it() -> None:
    done = _completed("We find", " 77 clouds", interrupted=True)
    assert (done.text, done.stats.stopped) == (" 77 clouds", "interrupted")
    assert [one.supported for one in done.numbers] == [False]


def test_nothing_written_is_nothing_to_check() -> None:
    done = _completed("We find 50 kpc.")
    assert (done.sentences, done.lookups, done.copies) == ([], [], [])


@pytest.fixture
def home_index(run: Run, tmp_path: Path, tiny_llama: Path) -> Path:
    """30 papers on streams and dust, as the tiny LLaMA sees them."""
    texts = ("gas stream of Magellanic cloud light", "dust disc planet orbit star", "pulsar wind")
    lines = [
        kaggle_line(number, abstract=f"{texts[number % 3]} of {number} galaxies. We find {number}.")
        for number in range(30)
    ]
    source = tmp_path / "corpus.json"
    source.write_text("\n".join(lines))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    from astrosearch import paths

    return paths.index_folder("main")


def test_a_paper_is_never_its_own_source(home_index: Path) -> None:
    index = Index(home_index)
    encoder: Encoder = load_encoder(index.manifest.encoder, SILENT)
    for paper in list(index.corpus)[:6]:
        with_it = find_sources(index, encoder, paper.abstract, 3)
        assert paper.id in [one.paper.id for one in with_it]
        found = find_sources(index, encoder, paper.abstract, 3, without=[paper.id])
        assert paper.id not in [one.paper.id for one in found]


def test_a_beginning_that_no_paper_has_to_do_with_is_said_so(home_index: Path) -> None:
    index = Index(home_index)

    ours = load_encoder(index.manifest.encoder, SILENT)
    nowhere = -np.asarray(index.vectors[:]).mean(axis=0).astype(np.float32)

    class Elsewhere:
        spec, dimension = ours.spec, ours.dimension

        def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
            return EncodedTexts(self.encode(texts), 0)

        def encode(self, texts: Sequence[str]) -> Vectors:
            found = ours.encode(texts)
            found[[text == "stocks and bonds" for text in texts]] = nowhere
            return unit_rows(found)

    with pytest.raises(NothingFound, match="--no-grounding"):
        find_sources(index, Elsewhere(), "stocks and bonds", 3)


def test_complete_answers_with_text_sources_and_checks(
    run: Run, home_index: Path, babbler: Path
) -> None:
    text, few = "gas stream of Magellanic", ("--max-new-tokens", 30, "-k", 2)
    asked = ("complete", text, "--model", babbler, *few, "--temperature", 1)
    said = run(*asked).stdout
    assert "A model's continuation, not a finding" in said
    assert "sentences supported" in said
    assert "[1]" in said
    record = json.loads(run(*asked, "--format", "json", "--samples", 2, "--strict").stdout)
    assert [one["seed"] for one in record["completions"]] == [0, 1]
    assert len(record["sources"]) == 2
    for one in record["completions"]:
        assert one["summary"]["numbers"] == one["summary"]["numbers_supported"]
        for kind in ("numbers", "names"):
            for mention in one[kind]:
                assert one["text"][mention["start"] : mention["end"]] == mention["text"]
    again = json.loads(run(*asked, "--format", "json", "--samples", 2, "--strict").stdout)
    assert again == record
    paper = next(iter(Index(home_index).corpus))
    own = run("complete", "--id", paper.id, "--sentences", 1, *asked[2:], "--format", "json")
    record = json.loads(own.stdout)
    assert record["beginning"] == paper.abstract.split(". ")[0] + "."
    assert paper.id not in [one["id"] for one in record["sources"]]
    both = run(*asked, "--versus", babbler, "--no-grounding").stdout
    assert both.count("sentences supported") == 2
    assert "not given to the model" in both


def test_what_cannot_be_continued_is_a_line(
    run: Run, home_index: Path, babbler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    text = "gas stream of Magellanic"
    own = ("--model", babbler)
    few, many = ((*own, "--max-new-tokens", count) for count in (9, 180))
    for arguments, code, message in (
        ((), 2, "give a TEXT"),
        ((" ",), 2, "is empty"),
        ((text, "--id", "1105.0001"), 2, "give a TEXT"),
        (("--id", "1105.0001"), 4, "is not in this index"),
        (("--id", next(iter(Index(home_index).corpus)).id), 2, "give fewer --sentences"),
        ((text, *own), 2, "fewer --max-new-tokens"),
        ((f"{text} cloud. " * 20, *few, "--no-grounding"), 2, "shorten the beginning"),
        ((f"{text} cloud light of 3 galaxies.", *many), 2, "no source has room"),
        ((text, "--model", "openai:gpt-4o"), 3, "OPENAI_API_KEY"),
        ((text, "--model", "openai:gpt-4o", "--strict"), 2, "--strict holds the decoder"),
        ((text, "--model", "openai:gpt-4o", "--adapter", "x"), 2, "runs at its service"),
        ((text, "--adapter", "x"), 2, "belongs to --model"),
        ((text, "--model", "nonsense"), 2, "is not a known model"),
        ((text, *own, "--author", "Nobody"), 4, "--no-grounding"),
    ):
        result = run("complete", *arguments, code=code)
        assert message in result.stderr.splitlines()[-1], (arguments, result.stderr)


def test_ctrl_c_prints_what_there_is(run: Run, home_index: Path, babbler: Path) -> None:
    import pty

    command = [sys.executable, "-m", "astrosearch", "complete", "gas stream of Magellanic"]
    command += ["--model", str(babbler), "-k", "1", "--max-new-tokens", "100", "--temperature", "1"]
    # A writer that takes its time: the model is slowed down from outside, by a wait at each token.
    slow = (
        "import sys, time, astrosearch.completion.generators.local as local\n"
        "quick = local.LocalGenerator._next\n"
        "def slow(*a):\n    time.sleep(0.1)\n    return quick(*a)\n"
        "local.LocalGenerator._next = slow\n"
        "from astrosearch.cli import main\n"
        f"main({command[3:]!r})\n"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", slow], stdout=theirs, stderr=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    seen = b""
    end = time.monotonic() + 60
    while b"Magellanic" not in seen and time.monotonic() < end:
        seen += os.read(ours, 1000)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a terminal
        while some := os.read(ours, 1000):
            seen += some
    assert process.wait(30) == 130
    assert process.stderr is not None
    with process.stderr as stream:
        assert b"Traceback" not in stream.read()
    os.close(ours)
    text = seen.decode()
    assert "stopped after" in text
    assert "not a finding" in text


@pytest.fixture(scope="session")
def babbler_adapter(babbler: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA on the babbler, with weights that change what it says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(2)
    base = AutoModelForCausalLM.from_pretrained(babbler)
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(base, lora)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    folder = tmp_path_factory.mktemp("models") / "babbler-adapter"
    model.save_pretrained(folder)
    return folder


def test_what_grounding_is_worth_is_measured_on_both_models(
    run: Run, tmp_path: Path, tiny_llama: Path, babbler: Path, babbler_adapter: Path
) -> None:
    texts = ("gas stream of the Magellanic cloud", "dust disc of a planet orbit")
    lines = [
        kaggle_line(n, abstract=f"{texts[n % 2]} {n}. We find {n} galaxies near a {n} kpc bank.")
        for n in range(12)
    ]
    source = tmp_path / "corpus.json"
    source.write_text("\n".join([*lines, kaggle_line(99, abstract="gas and dust alone")]))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    sizes = ("--queries", 6, "--continued", 4, "--sources", 1)
    models = ("--model", babbler, "--adapter", babbler_adapter)
    asked = ("eval", "--task", "completion", *sizes, *models)
    record = json.loads(run(*asked, "--json").stdout)
    assert record["papers"] == 6
    perplexities = [one["value"] for one in record["perplexities"]]
    assert len(set(perplexities)) == 4
    assert all(value > 1 for value in perplexities)
    for one, (before, after) in zip(
        record["reductions"], ((0, 1), (2, 3), (0, 2), (1, 3)), strict=True
    ):
        share = 1 - perplexities[after] / perplexities[before]
        assert one["estimate"]["value"] == pytest.approx(share, abs=1e-5)
        assert one["estimate"]["low"] <= share <= one["estimate"]["high"]
    free, grounded, strict = record["sampled"]
    assert (free["how"], grounded["abstracts"]) == ("without sources", 4)
    assert free["unsupported_by_all"] > 0
    assert strict["unsupported_by_all"] == 0
    assert strict["tokens_blocked"] > 0
    assert json.loads(run(*asked, "--json").stdout) == record
    assert "perplexity of the true ending" in run(*asked).stdout
    for more in (("--task", "title"), ("--against", "paper"), ("--save", tmp_path / "x")):
        assert "asked alone" in run(*asked, *more, code=2).stderr
    assert "together" in run(*asked[:-2], code=2).stderr
    assert "belong to --task completion" in run("eval", "--continued", 3, code=2).stderr


def test_the_perplexity_is_that_of_the_ending_alone(babbler: Path) -> None:
    import torch

    from astrosearch.completion.perplexity import losses_of

    model = load_language_model(str(babbler), SILENT, device="cpu", dtype=torch.float32)
    text = [0, 5, 9, 3, 7, 11, 4]
    found = losses_of(model, [text], lambda done: None, [4])
    with torch.inference_mode():
        scores = model.model(input_ids=torch.tensor([text])).logits[0].log_softmax(-1)
    wanted = -sum(float(scores[place - 1, text[place]]) for place in (4, 5, 6))
    assert found.total[0] == pytest.approx(wanted, rel=1e-4)
    assert found.tokens.tolist() == [3]

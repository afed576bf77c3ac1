"""Grounded completion: sources, checks, the constrained decoder, and what goes wrong."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from astrosearch.cli.views.completion import CAUTION, completions_view, whole_words
from astrosearch.completion.attribution import (
    SentenceSet,
    Thresholds,
    calibrated_thresholds,
    content_words,
    copies,
    encode_sentences,
    related_sources,
)
from astrosearch.completion.complete import (
    Completion,
    CompletionRequest,
    CompletionResult,
    beginning_of,
    complete,
)
from astrosearch.completion.complete import (
    run as run_request,
)
from astrosearch.completion.generators.base import GenerationStats, GeneratorSpec, Sampling
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.completion.grounding import GroundingChecker
from astrosearch.completion.language_model import load_language_model
from astrosearch.completion.sources import Source, find_sources
from astrosearch.encoders.base import EncodedTexts, EncoderSpec
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.report import SILENT
from astrosearch.search.searcher import Searcher, open_index
from astrosearch.text.quantities import AllowedValues
from astrosearch.text.sentences import sentences
from tests.conftest import LONG, Run, kaggle_line
from tests.reporters import Lines, Watch
from tests.servers import chat_service

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


SEEDS = 1_000 if LONG else 30


def test_a_constrained_decoder_writes_no_unknown_number(babbler: Path) -> None:
    text = "of 1,068 stars at z = 7.25 some 10^8 have 7 kpc, 40 ± 3 km/s or 3σ; M31"
    known = AllowedValues([text])
    generator = LocalGenerator("babbler", load_language_model(str(babbler), SILENT, device="cpu"))
    allowed = set(re.findall(r"[0-9]+", text)) | {"1068"}
    tokens_blocked = written = 0
    for seed in range(SEEDS):
        stats = GenerationStats()
        sampling = Sampling(temperature=2.0, max_new_tokens=12, seed=seed)
        pieces = "".join(generator.generate(BEGUN, [], sampling, stats, known))
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
    assert tokens_blocked > SEEDS / 2
    assert written > SEEDS / 5  # it may write known ones


def test_without_constraint_the_same_model_invents_numbers(babbler: Path) -> None:
    known = AllowedValues(["of 7 stars"])
    generator = LocalGenerator("babbler", load_language_model(str(babbler), SILENT, device="cpu"))
    sampling = Sampling(temperature=2.0, max_new_tokens=40)
    text = "".join(generator.generate(BEGUN, [], sampling, GenerationStats()))
    assert known.unknown(BEGUN + text) is not None


def test_a_seed_gives_the_same_text_whatever_was_written_before(babbler: Path) -> None:
    model = load_language_model(str(babbler), SILENT, device="cpu")
    one, other = LocalGenerator("a", model), LocalGenerator("b", model)

    def text(generator: LocalGenerator, seed: int) -> str:
        sampling = Sampling(temperature=1.0, max_new_tokens=30, seed=seed)
        return "".join(
            generator.generate("gas", ["pc and kpc", "a bank"], sampling, GenerationStats())
        )

    first = [text(one, seed) for seed in (0, 1, 2)]
    assert [text(other, seed) for seed in (2, 1, 0)] == first[::-1]
    assert len(set(first)) == 3


def test_the_text_is_what_transformers_would_write(babbler: Path) -> None:
    import torch

    model = load_language_model(str(babbler), SILENT, device="cpu")
    generator = LocalGenerator("a", model)
    sampling = Sampling(temperature=0.0, max_new_tokens=24)
    text = "".join(generator.generate("gas at 7", ["pc and kpc"], sampling, GenerationStats()))
    prompt = torch.tensor([generator.prompt("gas at 7", ["pc and kpc"])])
    found = model.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24
    )
    theirs = model.vocabulary.tokenizer.decode(found[0, prompt.shape[1] :].tolist())
    assert theirs.startswith(text)
    assert text


def test_sources_stand_whole_before_the_beginning_the_best_last(babbler: Path) -> None:
    generator = LocalGenerator("a", load_language_model(str(babbler), SILENT, device="cpu"))
    decode = generator.model.vocabulary.tokenizer.decode
    ids = generator.prompt("a bank ", ["pc", "kpc"])
    assert decode(ids, skip_special_tokens=False) == "<s>kpc</s><s>pc</s><s>a bank"
    # 256 tokens: one abstract of 100 letters has room beside 100 new tokens, two have not.
    assert generator.count_fitting("gas", ["a" * 100, "b" * 100], 100) == 1
    assert generator.count_fitting("gas", ["a" * 100, "b" * 100], 20) == 2
    with pytest.raises(InputError, match="are 302 tokens, a reads at most 256") as error:
        generator.count_fitting("a" * 300, [], 1)
    assert error.value.remedy == "fewer-tokens"


class LetterEncoder:
    """Vectors that count letters: enough to tell sentences apart."""

    spec = EncoderSpec("letters")
    dimension = 26

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(self.encode(texts), 0)

    def encode(self, texts: Sequence[str]) -> Vectors:
        counts = np.zeros((len(texts), 26), dtype=np.float32)
        for row, text in enumerate(texts):
            for sign in text.lower():
                if "a" <= sign <= "z":
                    counts[row, ord(sign) - 97] += 1
        return unit_rows(counts)


def test_a_source_is_related_to_a_sentence_if_it_is_near_and_has_its_words() -> None:
    sources = SentenceSet(
        LetterEncoder(),
        [
            "Gas is stripped from the dwarf galaxy. Stars form.",
            "We map the dust of a molecular cloud.",
            "Gas is stripped from the dwarf galaxies by ram pressure.",
        ],
    )
    texts = [
        "Gas was stripped from the dwarf galaxy.",
        "The dust of the cloud is mapped in molecular lines.",
        "Neutrinos oscillate.",
    ]
    related = related_sources(LetterEncoder(), texts, sources, Thresholds(0.8, 0.45))
    assert related == [[0, 2], [1], []]
    # Near without the words, or the words without being near, is not enough.
    for thresholds in (Thresholds(0.8, 1.0), Thresholds(0.9999, 0.1)):
        assert related_sources(LetterEncoder(), texts, sources, thresholds) == [[], [], []]


def test_a_threshold_is_passed_by_chance_once_in_a_hundred_times(built: Path) -> None:
    searcher = Searcher(Index(built))
    thresholds = calibrated_thresholds(searcher)
    assert calibrated_thresholds(searcher) == thresholds
    papers = list(searcher.index.corpus)
    drawn = SentenceSet(searcher.encoder, [paper.abstract for paper in papers])
    cosines, overlaps = [], []
    for number, paper in enumerate(papers):
        own = drawn.owner == number
        for text in sentences(paper.abstract):
            near = encode_sentences(searcher.encoder, [text])[0] @ drawn.vectors.T
            words = content_words(text)
            shared = [len(words & other) / len(words) for other in drawn.words]
            for other in set(range(len(papers))) - {number}:
                theirs = drawn.owner == other
                cosines.append(near[theirs].max())
                overlaps.append(max(np.array(shared)[theirs]))
        assert own.any()
    by_cosine = np.mean(np.array(cosines) > thresholds.cosine)
    by_overlap = np.mean(np.array(overlaps) > thresholds.overlap)
    assert 0.005 < by_cosine < 0.015
    assert 0.005 < by_overlap < 0.015


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
    """A generator that writes what it is told to: a text in pieces, or an interruption."""

    name = "dictated"

    def __init__(self, *pieces: str, interrupted: bool = False) -> None:
        self.pieces, self.interrupted = pieces, interrupted

    def count_fitting(self, beginning: str, abstracts: object, max_new_tokens: int) -> int:
        return 9

    def generate(self, *arguments: object) -> object:
        stats = arguments[3]
        assert isinstance(stats, GenerationStats)
        yield from self.pieces
        if self.interrupted:
            raise KeyboardInterrupt
        stats.stopped = "end"


SOURCES = [
    _source(1, "Gas is stripped from the dwarf galaxy at 50 kpc. The mass is 10^8 Msun."),
    _source(2, "We map NGC 1068 with ALMA, as Zwicky did. The Hubble-Lemaître law holds."),
]


def _completed(
    beginning: str,
    *pieces: str,
    thresholds: Thresholds = Thresholds(0.85, 0.5),  # noqa: B008
    interrupted: bool = False,
) -> Completion:
    checker = GroundingChecker(
        LetterEncoder(), thresholds, beginning, [source.paper for source in SOURCES]
    )
    generator = Dictated(*pieces, interrupted=interrupted)
    return complete(generator, checker, beginning, SOURCES, Sampling())  # type: ignore[arg-type]


def _matches(done: Completion) -> dict[str, tuple[bool, list[int]]]:
    """Each number and name as it is written, and where it was found."""
    return {
        done.text[checked.mention.start : checked.mention.end]: (
            checked.in_beginning,
            checked.sources,
        )
        for checked in done.grounding.mentions
    }


def test_numbers_names_and_sentences_are_placed_in_the_text_and_looked_up() -> None:
    done = _completed(
        "We find 12 clouds of 3",
        "0 kpc, and gas stripped from the dwarf galaxy",
        " at 50 kpc. Of 12 clouds, 99 have $10^{8}$ M$_\\odot$. ",
        "NGC 1068 and M87 were seen by ALMA.",
    )
    assert _matches(done) == {
        "0 kpc": (False, []),  # 30 kpc
        "50 kpc": (False, [0]),
        "12": (True, []),
        "99": (False, []),
        "10^{8}$ M$_\\odot": (False, [0]),
        "NGC 1068": (False, [1]),
        "M87": (False, []),
        "ALMA": (False, [1]),
    }
    first, second, third = (done.text[s.start : s.end] for s in done.sentences)
    assert first.startswith("0 kpc")
    assert first.endswith("50 kpc.")
    assert second == "Of 12 clouds, 99 have $10^{8}$ M$_\\odot$."
    assert third.startswith("NGC 1068")
    assert done.sentences[0].sources == [0]
    assert [s.unmatched for s in done.sentences] == [1, 1, 1]
    assert done.stats.stopped == "end"


def test_subscripts_in_a_source_are_not_taken_for_words() -> None:
    papers = [_source(1, r"Gas of 5 M$_{\odot}$ is stripped from the Quimby cloud.").paper]
    checker = GroundingChecker(
        LetterEncoder(), Thresholds(0.85, 0.5), r"A mass of 2 M$_{\odot}$ is", papers
    )
    found = checker.check(" in the Quimby cloud.").mentions
    assert [(checked.in_beginning, checked.sources) for checked in found] == [(False, [0])]


def test_a_sentence_with_an_invented_name_is_related_in_part_only() -> None:
    done = _completed(
        "We study gas.",
        " Gas is stripped from the dwarf galaxy by the Hubble-Lemaitre-Zwicky method.",
        " Gas is stripped from the dwarf galaxy by the Hubble-Lemaître law, as Zwicky said.",
        " Gas is stripped from the dwarf galaxy by the Lemarchand wind in the Universe.",
        thresholds=Thresholds(0.75, 0.35),
    )
    assert _matches(done) == {
        "Hubble-Lemaitre-Zwicky": (False, []),
        "Hubble-Lemaître": (False, [1]),
        "Zwicky": (False, [1]),
        "Lemarchand": (False, []),
    }
    assert [bool(s.sources) for s in done.sentences] == [True, True, True]
    assert [s.is_related for s in done.sentences] == [False, True, False]
    assert [s.is_related_in_part for s in done.sentences] == [True, False, True]


def test_an_interruption_keeps_what_was_written_and_checks_it() -> None:
    done = _completed("We find", " 77 clouds", interrupted=True)
    assert (done.text, done.stats.stopped) == (" 77 clouds", "interrupted")
    assert [number.is_matched for number in done.numbers] == [False]


def test_nothing_written_is_nothing_to_check() -> None:
    done = _completed("We find 50 kpc.")
    assert (done.sentences, done.grounding.mentions, done.copies) == ([], [], [])


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_caution_comes_first_and_nothing_is_wider_than_the_terminal(
    width: int, count: int
) -> None:
    done = _completed(
        "We study gas.",
        " Gas is stripped from the dwarf galaxy by the Lemarchand wind.",
        " Gas is stripped from the dwarf galaxy. It has 99 clouds and neutrinos oscillate.",
    )
    result = CompletionResult("We study gas.", SOURCES, True, [done] * count)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(completions_view(result, width), width=width)
    text = console.export_text()
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= width
    assert lines[0] == CAUTION
    assert "supported" not in text
    assert text.count("related sources for 1 of 3 sentences, in part for 1 more") >= (count < 2)
    joined = " ".join(text.split())
    for mark in ("Lemarchand?", "[1?]", "galaxy. [1]", "99⁇", "[no source]"):
        assert mark in joined or count > 1, mark
    assert "a number or name in the sentence was not found" in joined


def test_what_is_not_related_is_dim_and_only_the_beginning_is_bold() -> None:
    done = _completed("We study gas.", " Gas is stripped from the dwarf galaxy. Neutrinos exist.")
    view = completions_view(CompletionResult("We study gas.", SOURCES, True, [done]), 80)
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    styles = {
        segment.text.strip(): segment.style
        for line in console.render_lines(view, console.options)
        for segment in line
        if segment.text.strip() and segment.style is not None
    }
    assert styles["We study gas."].bold
    assert styles["Neutrinos exist."].dim
    related = styles["Gas is stripped from the dwarf galaxy."]
    assert not related.dim
    assert not related.bold


def test_text_is_shown_by_whole_words_while_it_is_written() -> None:
    pieces = [" Mag", "ellan", "ic cl", "ouds"]
    shown = [whole_words("".join(pieces[: n + 1])) for n in range(len(pieces))]
    assert shown == [" ", " ", " Magellanic ", " Magellanic "]


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
    searcher = Searcher(Index(home_index))
    for paper in list(searcher.index.corpus)[:6]:
        with_own = find_sources(searcher, paper.abstract, 3)
        assert paper.id in [source.paper.id for source in with_own]
        sources = find_sources(searcher, paper.abstract, 3, exclude=[paper.id])
        assert paper.id not in [source.paper.id for source in sources]


def test_a_beginning_that_no_paper_is_related_to_is_refused_with_both_cosines(
    home_index: Path,
) -> None:
    searcher = Searcher(Index(home_index))
    ours = searcher.encoder
    nowhere = -np.asarray(searcher.index.vectors).mean(axis=0).astype(np.float32)

    class Elsewhere:
        spec, dimension = ours.spec, ours.dimension

        def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
            return EncodedTexts(self.encode(texts), 0)

        def encode(self, texts: Sequence[str]) -> Vectors:
            vectors = ours.encode(texts)
            vectors[[text == "stocks and bonds" for text in texts]] = nowhere
            return unit_rows(vectors)

    with pytest.raises(NothingFound, match=r"has cosine -?0\.\d\d, .* reach 0\.\d\d") as error:
        find_sources(Searcher(Index(home_index), encoder=Elsewhere()), "stocks and bonds", 3)
    assert error.value.remedy == "ungrounded"
    assert "--" not in str(error.value)


# The library: a request in, a result out


BEGINNING = "gas stream of Magellanic"


def test_a_request_is_answered_by_each_generator_with_consecutive_seeds(
    home_index: Path, babbler: Path
) -> None:
    request = CompletionRequest(
        BEGINNING,
        (GeneratorSpec(str(babbler), device="cpu"),) * 2,
        Sampling(temperature=1.0, max_new_tokens=8, seed=4),
        samples=2,
        source_count=2,
        only_known_numbers=True,
    )
    seen: list[tuple[int, int]] = []
    result = run_request(
        request, Searcher(Index(home_index)), Watch(lambda done, total: seen.append((done, total)))
    )
    assert [done.sampling.seed for done in result.completions] == [4, 5, 4, 5]
    texts = [done.text for done in result.completions]
    assert texts[:2] == texts[2:]
    assert len(result.sources) == 2
    assert not result.interrupted
    assert seen[-1] == (8, 8)
    assert all(number.is_matched for done in result.completions for number in done.numbers)


def test_an_interrupted_request_ends_with_what_is_written(home_index: Path, babbler: Path) -> None:
    request = CompletionRequest(
        BEGINNING,
        (GeneratorSpec(str(babbler), device="cpu"),),
        Sampling(temperature=1.0, max_new_tokens=50),
        samples=3,
        source_count=1,
    )
    pieces: list[str] = []

    def stop(piece: str) -> None:
        pieces.append(piece)
        if len(pieces) == 5:
            raise KeyboardInterrupt

    result = run_request(request, Searcher(Index(home_index)), on_text=stop)
    assert result.interrupted
    [done] = result.completions
    assert done.text == "".join(pieces)


def test_without_grounding_a_beginning_from_elsewhere_is_continued_unchecked(
    home_index: Path, babbler: Path
) -> None:
    from astrosearch.corpus.filters import Filters

    lines = Lines()
    request = CompletionRequest(
        BEGINNING,
        (GeneratorSpec(str(babbler), device="cpu"),),
        Sampling(max_new_tokens=5),
        filters=Filters(author="Nobody"),
        grounded=False,
    )
    result = run_request(request, Searcher(Index(home_index)), lines)
    assert result.sources == []
    assert lines[-1].startswith("Nothing to check the text against")


def test_a_request_that_a_service_cannot_fulfil_is_refused_before_anything_is_sent(
    home_index: Path,
) -> None:
    request = CompletionRequest(
        BEGINNING, (GeneratorSpec("openai:gpt-4o"),), only_known_numbers=True
    )
    with pytest.raises(InputError, match="cannot be kept to known numbers"):
        run_request(request, Searcher(Index(home_index)))
    with pytest.raises(InputError, match="has no base"):
        _ = GeneratorSpec("openai:gpt-4o").base


def test_the_base_of_the_default_is_its_model_without_the_adapter() -> None:
    assert GeneratorSpec(device="cpu").base == GeneratorSpec("smollm2-135m", device="cpu")
    assert GeneratorSpec("x", "y").base == GeneratorSpec("x")


def test_a_beginning_leaves_something_to_continue(home_index: Path) -> None:
    paper = Searcher(Index(home_index)).paper(
        next(iter(Searcher(Index(home_index)).index.corpus)).id
    )
    assert beginning_of(paper, 1) == paper.abstract.split(". ")[0] + "."
    with pytest.raises(InputError, match="has 2 sentences; a beginning of 2"):
        beginning_of(paper, 2)


# The command


def test_complete_answers_with_text_sources_and_checks(
    run: Run, home_index: Path, babbler: Path
) -> None:
    few = ("--max-new-tokens", 30, "-k", 2)
    command = ("complete", BEGINNING, "--model", babbler, *few, "--temperature", 1)
    output = run(*command).stdout
    assert output.startswith(CAUTION)
    assert re.search(r"related sources for \d+ of \d+ sentences", output)
    assert "supported" not in output
    assert "[1]" in output
    json_options = ("--format", "json", "--samples", 2, "--only-known-numbers")
    record = json.loads(run(*command, *json_options).stdout)
    assert [done["seed"] for done in record["completions"]] == [0, 1]
    assert len(record["sources"]) == 2
    for done in record["completions"]:
        assert done["summary"]["numbers"] == done["summary"]["numbers_matched"]
        for kind in ("numbers", "names"):
            for mention in done[kind]:
                assert done["text"][mention["start"] : mention["end"]] == mention["text"]
    assert json.loads(run(*command, *json_options).stdout) == record
    paper = next(iter(open_index().index.corpus))
    own = run("complete", "--id", paper.id, "--sentences", 1, *command[2:], "--format", "json")
    record = json.loads(own.stdout)
    assert record["beginning"] == beginning_of(paper, 1)
    assert paper.id not in [source["id"] for source in record["sources"]]
    both = run(*command, "--against", babbler, "--no-grounding").stdout
    assert both.count("related sources for") == 2
    assert "not given to the model" in both


def test_old_option_names_are_understood_and_the_new_ones_are_said(
    run: Run, home_index: Path, babbler: Path
) -> None:
    command = ("complete", BEGINNING, "--model", babbler, "--max-new-tokens", 3, "-k", 1)
    result = run(*command, "--strict", "--versus", "base", "--format", "json")
    assert "--strict is now --only-known-numbers" in result.stderr
    assert "--versus is now --against" in result.stderr
    completions = json.loads(result.stdout)["completions"]
    assert [done["only_known_numbers"] for done in completions] == [True, True]
    shown = run("complete", "--help").stdout
    assert "--strict" not in shown
    assert "--versus" not in shown


def test_what_cannot_be_continued_is_a_line(
    run: Run, home_index: Path, babbler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    own = ("--model", babbler)
    few, many = ((*own, "--max-new-tokens", count) for count in (9, 180))
    for arguments, code, message in (
        ((), 2, "give a TEXT"),
        ((" ",), 2, "is empty"),
        ((BEGINNING, "--id", "1105.0001"), 2, "give a TEXT"),
        (("--id", "1105.0001"), 4, "is not in this index"),
        (("--id", next(iter(open_index().index.corpus)).id), 2, "leaves nothing to continue"),
        ((BEGINNING, *own), 2, "reads at most 256"),
        ((f"{BEGINNING} cloud. " * 20, *few, "--no-grounding"), 2, "reads at most 256"),
        ((f"{BEGINNING} cloud light of 3 galaxies.", *many), 2, "no source fits"),
        ((BEGINNING, "--model", "openai:gpt-4o"), 3, "OPENAI_API_KEY"),
        ((BEGINNING, "--model", "openai:gpt-4o", "--only-known-numbers"), 2, "kept to known"),
        ((BEGINNING, "--model", "openai:gpt-4o", "--adapter", "x"), 2, "runs at its service"),
        ((BEGINNING, "--model", "openai:gpt-4o", "--against", "base"), 2, "has no base"),
        ((BEGINNING, "--adapter", "x"), 2, "needs --model"),
        ((BEGINNING, "--model", "nonsense"), 2, "known model"),
        ((BEGINNING, *own, "--author", "Nobody"), 4, "no other paper that passes the filters"),
    ):
        result = run("complete", *arguments, code=code)
        assert message in result.stderr.splitlines()[-1], (arguments, result.stderr)


def test_a_model_that_writes_nothing_has_failed(run: Run, home_index: Path) -> None:
    with chat_service() as service:
        service.pieces = [" "]
        command = ("complete", BEGINNING, "-k", 1, "--model", "openai:gpt-4o", "--yes")
        for style in ("text", "json"):
            result = run(*command, "--format", style, code=1)
            assert result.stdout == ""
            assert result.stderr.splitlines()[-1] == "astrosearch: openai:gpt-4o wrote nothing"


class SlowService(BaseHTTPRequestHandler):
    """A chat service that writes a word every 50 ms until nobody listens any more."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            for number in range(2_000):
                choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
                event = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}
                self.wfile.write(f"data: {json.dumps({**event, 'choices': [choice]})}\n\n".encode())
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


def test_ctrl_c_shows_and_checks_what_is_written_so_far(home_index: Path) -> None:
    import pty

    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowService)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = os.environ | {
        "OPENAI_API_KEY": "sk-0123456789",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
        "TERM": "xterm",
        "COLUMNS": "100",
        "LINES": "30",
    }
    command = [sys.executable, "-m", "astrosearch", "complete", BEGINNING, "-k", "1"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--model", "openai:slow", "--yes"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        os.close(theirs)
        seen = b""
        end = time.monotonic() + 120
        while b"word5 " not in seen and time.monotonic() < end:
            seen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the end of a terminal
            while output := os.read(ours, 1000):
                seen += output
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    os.close(ours)
    server.shutdown()
    server.server_close()
    final = seen.decode().rpartition(CAUTION)[2]
    assert "word5" in final
    assert "stopped after" in final


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
    free, grounded, known_only = record["sampled"]
    assert (free["how"], grounded["abstracts"]) == ("without sources", 4)
    assert free["unsupported_by_all"] > 0
    assert known_only["unsupported_by_all"] == 0
    assert known_only["tokens_blocked"] > 0
    assert json.loads(run(*asked, "--json").stdout) == record
    assert "perplexity of the true ending" in run(*asked).stdout
    others = (
        ("--task", "title"),
        ("--against", "paper"),
        ("--save", tmp_path / "x"),
        ("--pool", 9),
    )
    for more in (*others, ("--topics", source)):
        assert "cannot be combined" in run(*asked, *more, code=2).stderr
    assert "together" in run(*asked[:-2], code=2).stderr
    for option in ("--continued", "--sources"):
        assert "belong to --task completion" in run("eval", option, 3, code=2).stderr
    assert "--sentences needs --id" in run("complete", "gas", "--sentences", 2, code=2).stderr


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


def test_an_adapter_whose_weights_are_named_otherwise_is_refused(
    babbler: Path, babbler_adapter: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "renamed"
    shutil.copytree(babbler_adapter, folder)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    assert load_language_model(str(babbler), SILENT, adapter=str(folder), device="cpu")
    save_file({name.replace("layers.0", "h.0"): w for name, w in weights.items()}, file)
    line = r"4 of its weights are missing .*; 4 of its weights belong to no part of this base"
    with pytest.raises(InputError, match=line):
        load_language_model(str(babbler), SILENT, adapter=str(folder), device="cpu")
    save_file({name: w for name, w in weights.items() if "layers.0" not in name}, file)
    with pytest.raises(InputError, match=r"4 of its weights are missing"):
        load_language_model(str(babbler), SILENT, adapter=str(folder), device="cpu")
    config = json.loads((folder / "adapter_config.json").read_bytes())
    config["base_model_name_or_path"] = "meta-llama/Llama-2-7b-hf"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"made for the base meta-llama/Llama-2-7b-hf, this base"):
        load_language_model(str(babbler), SILENT, adapter=str(folder), device="cpu")

"""The split that holds for good, whitening, options made from settings, one run at a time."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import numpy as np
import pytest
from click.testing import CliRunner

from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.evaluation.split import HELD_OUT_SHARE, is_held_out
from tests.conftest import Run, kaggle_line
from training.cli import train
from training.disk import locked, publish
from training.options import settings_options
from training.settings import ContrastSettings, FinetuneSettings, Option
from training.whitening import split_papers, title_to_abstract


def test_one_paper_in_five_is_held_out_and_always_the_same_ones() -> None:
    ids = [f"2001.{number:05}" for number in range(10_000)]
    share = np.mean([is_held_out(id) for id in ids])
    assert share == pytest.approx(0.2, abs=0.02)
    # Written out: a change of the rule would let training papers into every test.
    known = ["astro-ph/9401008", "2309.06126", "1605.01938", "2503.14368", "1812.08192"]
    assert [is_held_out(id) for id in known] == [False, True, False, False, False]


def test_each_paper_is_held_out_in_one_fold() -> None:
    for number in range(1_000):
        id = f"2001.{number:05}"
        assert sum(is_held_out(id, fold) for fold in range(HELD_OUT_SHARE)) == 1
        assert is_held_out(id, 0) == is_held_out(id)


def test_no_paper_is_in_both_parts(tmp_path: Path) -> None:
    path = tmp_path / "papers.json"
    path.write_text("\n".join([kaggle_line(n) for n in range(300)] + [kaggle_line(5)]))
    trained, held = split_papers([path], 100, 30)
    assert (len(trained), len(held)) == (100, 30)
    assert not {paper.id for paper in trained} & {paper.id for paper in held}
    assert all(is_held_out(paper.id) for paper in held)


def test_ranks_of_four_titles_written_out() -> None:
    abstracts = np.eye(4, dtype=np.float32)
    titles: Sequence[Sequence[float]] = [
        [1.0, 0.0, 0.0, 0.0],  # finds its own first
        [0.9, 0.5, 0.0, 0.0],  # second
        [0.5, 0.5, 0.5, 0.0],  # three tie: the third
        [0.3, 0.2, 0.1, 0.0],  # last
    ]
    vectors: Vectors = unit_rows(np.array(titles))
    retrieval = title_to_abstract(vectors, abstracts)
    assert retrieval.papers == 4
    assert retrieval.recall_at_1.value == 1 / 4
    assert retrieval.recall_at_10.value == 1
    rank = retrieval.reciprocal_rank
    assert rank.value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, abs=1e-6)
    assert rank.low < rank.value < rank.high
    assert title_to_abstract(vectors, abstracts) == retrieval


def test_the_command_fits_judges_and_writes(run: Run, tmp_path: Path, tiny_llama: Path) -> None:
    path = tmp_path / "papers.json"
    path.write_text("\n".join(kaggle_line(n) for n in range(400)))
    out = tmp_path / "white.safetensors"
    arguments = [str(path), "--model", str(tiny_llama), "--layers", "2", "--dimension", "16"]
    result = run("train", "whiten", *arguments, "--held-out", 50, "--out", out)
    assert "50 held out" in result.output
    assert "as encoded" in result.output
    assert LinearHead.load(out).projection.shape == (64, 16)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--papers", 10), 2, "10 training papers give 13 texts, too few to fit 64 dimensions"),
        (("--dimension", 65), 2, "vectors of 64 dimensions cannot be whitened to 65"),
        (("--papers", -1), 2, "-1 is not in the range x>=2"),
        (("--held-out", -1), 2, "-1 is not in the range x>=2"),
    ],
)
def test_too_few_papers_for_a_whitening_are_one_clear_line(
    run: Run, tmp_path: Path, tiny_llama: Path, options: tuple[object, ...], code: int, message: str
) -> None:
    path = tmp_path / "papers.json"
    path.write_text("\n".join(kaggle_line(n) for n in range(400)))
    result = run("train", "whiten", path, "--model", tiny_llama, *options, code=code)
    assert message in result.stderr.splitlines()[-1]


def test_a_corpus_without_held_out_papers_cannot_judge_a_whitening(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    path = tmp_path / "papers.json"
    lines = [line for n in range(20) if not is_held_out(json.loads(line := kaggle_line(n))["id"])]
    path.write_text("\n".join(lines))
    result = run("train", "whiten", path, "--model", tiny_llama, code=2)
    assert f"the corpus has {len(lines)} training and 0 held-out papers" in result.stderr


# Options


@dataclass(frozen=True)
class _Settings:
    base: str
    """Not an option."""
    rank: Annotated[int, Option("Rank.", least=1)] = 16
    learning_rate: Annotated[float, Option("Peak.", above=0)] = 3e-4
    share: Annotated[float, Option("Of the loss.", least=0, most=1, experimental=True)] = 0.5
    layers: Annotated[int | None, Option("How many.", least=0)] = None
    attention: Annotated[Literal["causal", "bidirectional"], Option("Of a token.")] = "causal"
    saving: Annotated[bool, Option("Less memory.")] = False


def test_a_field_of_the_settings_is_an_option_with_its_type_default_bounds_and_help() -> None:
    @click.command()
    @settings_options(_Settings)
    def command(**options: object) -> None:
        click.echo(repr(_Settings("base", **options)))  # type: ignore[arg-type]

    runner = CliRunner()
    assert runner.invoke(command, []).output == f"{_Settings('base')!r}\n"
    given = ["--rank", "4", "--learning-rate", "1", "--layers", "2", "--saving", "--share", "1"]
    given += ["--attention", "bidirectional"]
    settings = _Settings("base", 4, 1.0, 1.0, 2, "bidirectional", True)
    assert runner.invoke(command, given).output == f"{settings!r}\n"
    for wrong in (("--rank", "0"), ("--learning-rate", "0"), ("--share", "2"), ("--layers", "-1")):
        assert runner.invoke(command, wrong).exit_code == 2
    assert runner.invoke(command, ["--base", "x"]).exit_code == 2
    text = " ".join(runner.invoke(command, ["--help"]).output.split())
    assert "--learning-rate FLOAT RANGE Peak. [default: 0.0003; x>0]" in text
    assert "Experimental: of the loss." in text


@pytest.mark.parametrize("command", ["finetune", "contrast"])
def test_a_command_has_no_default_of_its_own(command: str) -> None:
    kinds: dict[str, Any] = {"finetune": FinetuneSettings, "contrast": ContrastSettings}
    settings = kinds[command]("base")
    # What these are by default depends on the device.
    on_device = {"base", "dtype", "quantize", "micro_batch"}
    options = {option.name: option for option in train.commands[command].params}
    for name in set(asdict(settings)) & set(options) - on_device:
        assert options[name].default == getattr(settings, name)
    shown = [o for o in options.values() if isinstance(o, click.Option) and not o.hidden]
    assert all(option.help for option in shown)


def test_options_that_serve_experiments_say_so() -> None:
    texts = {
        o.name: o.help or ""
        for o in train.commands["contrast"].params
        if isinstance(o, click.Option)
    }
    experimental = {name for name, text in texts.items() if text.startswith("Experimental: ")}
    assert experimental == {
        *("attention", "masked", "teacher", "teacher_share", "hard_negatives"),
        *("head_learning_rate", "weight_learning_rate", "token_temperature", "neighbours"),
    }
    assert "weighted-first-last is experimental" in texts["pooling"]


# One run at a time


@pytest.mark.parametrize("command", ["prepare", "finetune", "contrast"])
def test_a_second_run_in_the_same_folder_is_refused_before_it_touches_anything(
    run: Run, tmp_path: Path, tiny_llama: Path, command: str
) -> None:
    path, out, data = tmp_path / "papers.json", tmp_path / "out", tmp_path / "blocks"
    path.write_text("\n".join(kaggle_line(n) for n in range(200)))
    arguments: list[object] = [path]
    if command == "finetune":
        run("train", "prepare", path, "--base", tiny_llama, "--out", data)
        arguments = ["--data", data]
    with locked(out) as work:
        (work / "papers.sqlite").write_text("of the first run")
        line = ("train", command, *arguments, "--base", tiny_llama, "--out", out)
        result = run(*line, code=1)
        assert (work / "papers.sqlite").read_text() == "of the first run"
    (said,) = result.stderr.splitlines()
    assert f"another process is making {out}" in said


def test_a_folder_that_was_finished_while_another_waited_is_not_overwritten(tmp_path: Path) -> None:
    with publish(tmp_path / "out") as work:
        (work / "file").touch()
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "file"]
    with pytest.raises(InputError, match="exists already"), publish(tmp_path / "out"):
        pass
    assert not list(tmp_path.glob(".*"))

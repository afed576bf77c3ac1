"""The split that holds for good, and the whitening judged on held-out papers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.evaluation.split import HELD_OUT_SHARE, is_held_out
from tests.conftest import Run, kaggle_line
from training.whitening import split_papers, title_to_abstract


def test_one_paper_in_five_is_held_out_and_always_the_same_ones() -> None:
    ids = [f"2001.{number:05}" for number in range(10_000)]
    share = np.mean([is_held_out(one) for one in ids])
    assert share == pytest.approx(0.2, abs=0.02)
    # Written out: a change of the rule would let training papers into every test.
    known = ["astro-ph/9401008", "2309.06126", "1605.01938", "2503.14368", "1812.08192"]
    assert [is_held_out(one) for one in known] == [False, True, False, False, False]


def test_each_paper_is_held_out_in_one_fold() -> None:
    for number in range(1_000):
        one = f"2001.{number:05}"
        assert sum(is_held_out(one, fold) for fold in range(HELD_OUT_SHARE)) == 1
        assert is_held_out(one, 0) == is_held_out(one)


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
    found = title_to_abstract(vectors, abstracts)
    assert found.papers == 4
    assert found.recall_at_1[0] == 1 / 4
    assert found.recall_at_10[0] == 1
    assert found.reciprocal_rank[0] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    low, high = found.reciprocal_rank[1:]
    assert low < found.reciprocal_rank[0] < high
    assert title_to_abstract(vectors, abstracts) == found


def test_the_command_fits_judges_and_writes(run: Run, tmp_path: Path, tiny_llama: Path) -> None:
    path = tmp_path / "papers.json"
    path.write_text("\n".join(kaggle_line(n) for n in range(400)))
    out = tmp_path / "white.safetensors"
    arguments = [str(path), "--model", str(tiny_llama), "--layers", "2", "--dimension", "16"]
    result = run("train", "whiten", *arguments, "--held-out", 50, "--out", out)
    assert "50 held out" in result.output
    assert "as encoded" in result.output
    assert LinearHead.load(out).projection.shape == (64, 16)

"""Two papers, several, and all pairs of a sample, as an index's encoder and others see them."""

import json
from pathlib import Path

import numpy as np
import pytest

from astrosearch import paths
from astrosearch.comparison.distribution import distributions, middle, step
from astrosearch.comparison.pairs import (
    EmbeddingSpace,
    closest_sentences,
    gather,
    percentile,
    shared_words,
    verdict,
    view_pair,
    views,
)
from astrosearch.comparison.pairs import PairView as View
from astrosearch.encoders.cached import CachedEncoder
from astrosearch.encoders.loading import load_cached_encoder, load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import NothingFound
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from tests.conftest import Run, kaggle_line, make_llama

PAPERS = 40


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def index(run: Run, tmp_path: Path, tiny_llama: Path) -> Index:
    source = tmp_path / "papers.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(PAPERS)) + "\n")
    run("index", "small", "--corpus", source, "--encoder", tiny_llama)
    return Index(paths.existing_index("small"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("other") / "llama", seed=3)


def ids(index: Index, count: int) -> list[str]:
    return [paper.id for paper in index.corpus.papers(list(range(count)))]


# A pair


def test_a_pair_is_placed_by_percentile_ranks_and_shared_neighbours() -> None:
    angles = np.radians([0, 10, 25, 60, 90])
    side = EmbeddingSpace(
        "a", np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    )
    background = np.array([0.0, 0.5, 0.9, 0.99], dtype=np.float32)
    view = view_pair(side, 0, 2, background)
    assert view.cosine == pytest.approx(np.cos(np.radians(25)))
    assert view.percentile == 75.0
    # From 0 degrees 25 is second; from 25 degrees 10 is nearer than 0.
    assert view.ranks == (2, 2)
    assert (view.shared, view.papers) == (3, 5)


def test_a_percentile_counts_half_of_what_is_equal() -> None:
    background = np.array([0.1, 0.2, 0.2, 0.9], dtype=np.float32)
    assert percentile(0.2, background) == 50.0
    assert (percentile(0.0, background), percentile(1.0, background)) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (99.0, 97.0, "agree that this pair is near"),
        (99.0, 90.0, "agree in the main"),
        (99.0, 10.0, "disagree strongly"),
        (99.0, 76.0, "disagree somewhat"),
        (20.0, 60.0, "agree that this pair is far"),
    ],
)
def test_the_verdict_says_whether_encoders_agree_and_how_strongly(
    one: float, two: float, said: str
) -> None:
    both = [View(name, 0.5, value, (1, 1), 3, 99) for name, value in (("a", one), ("b", two))]
    assert said in verdict(both)


def test_the_closest_sentences_are_named_each_once(tiny_llama: Path) -> None:
    encoder = load_encoder(encoder_spec(str(tiny_llama)), SILENT)
    first = "Gas falls onto a white dwarf. The stream of a galaxy is long."
    second = "The stream of a galaxy is long. A model of dust is new here."
    found = closest_sentences(encoder, first, second)
    assert (found[0].one, found[0].other) == ("The stream of a galaxy is long.",) * 2
    assert found[0].cosine == pytest.approx(1, abs=1e-5)
    assert len({pair.one for pair in found}) == len({pair.other for pair in found}) == len(found)
    assert closest_sentences(encoder, "", second) == []


def test_both_encoders_see_the_same_papers(index: Index, other: Path) -> None:
    wanted = ids(index, 2)
    encoder = load_encoder(encoder_spec(str(other)), SILENT)
    pool = gather(index, "own", wanted, [("other", encoder)], 20, seed=1)
    assert len(pool.papers) == 20
    assert [paper.id for paper in pool.papers if paper.id in wanted] == wanted
    rows = [index.corpus.row_of(paper.id) for paper in pool.papers]
    np.testing.assert_allclose(pool.sides[0].vectors, unit_rows(index.vectors[rows]), atol=1e-6)
    texts = [paper.abstract for paper in pool.papers]
    np.testing.assert_allclose(pool.sides[1].vectors, encoder.encode(texts), atol=1e-5)
    again = gather(index, "own", wanted, [("other", encoder)], 20, seed=1)
    assert [paper.id for paper in again.papers] == [paper.id for paper in pool.papers]
    seen = views(pool, pool.place(wanted[0]), pool.place(wanted[1]))
    assert [view.encoder for view in seen] == ["own", "other"]
    assert {view.papers for view in seen} == {20}


def test_another_index_lends_its_vectors_of_the_papers_both_have(
    run: Run, index: Index, tmp_path: Path, other: Path
) -> None:
    source = tmp_path / "half.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(20)) + "\n")
    run("index", "half", "--corpus", source, "--encoder", other)
    half = Index(paths.existing_index("half"))
    pool = gather(index, "own", ids(index, 2), [("half", half)], PAPERS, seed=0)
    assert {paper.id for paper in pool.papers} == {paper.id for paper in half.corpus}
    rows = [half.corpus.row_of(paper.id) for paper in pool.papers]
    np.testing.assert_allclose(pool.sides[1].vectors, unit_rows(half.vectors[rows]), atol=1e-6)
    last = [paper.id for paper in index.corpus][-1]
    with pytest.raises(NothingFound, match="is not in this index of 20 papers"):
        gather(index, "own", [ids(index, 1)[0], last], [("half", half)], PAPERS, seed=0)


# What is kept


def test_a_second_question_encodes_nothing_and_answers_the_same(other: Path) -> None:
    spec = encoder_spec(str(other))
    texts = ["gas stream", "dust", "gas stream"]
    first = load_cached_encoder(spec, SILENT)
    assert isinstance(first, CachedEncoder)
    vectors = first.encode(texts)
    plain = load_encoder(spec, SILENT).encode(texts)
    np.testing.assert_allclose(vectors, plain, atol=1e-6)

    def never() -> object:
        raise AssertionError("it was loaded")

    second = CachedEncoder(first.spec, never)  # type: ignore[arg-type]
    assert np.array_equal(second.encode(texts), vectors)
    assert second.dimension == vectors.shape[1]
    with pytest.raises(AssertionError, match="it was loaded"):
        second.encode(["black hole"])


# A sample


def test_all_pairs_are_counted_and_ranked_as_numpy_does() -> None:
    generator = np.random.default_rng(0)
    sides = [unit_rows(generator.normal(size=(60, 8)) + 0.3) for _ in range(2)]
    found, (agreement,) = distributions(sides, disagreements=3)
    upper = np.triu_indices(60, 1)
    cosines = [(side @ side.T)[upper] for side in sides]
    for one, expected in zip(found, cosines, strict=True):
        assert one.pairs == 60 * 59 // 2 == one.counts.sum()
        assert one.mean == pytest.approx(expected.mean(), abs=1e-4)
        assert one.spread == pytest.approx(expected.std(), abs=1e-4)
        assert one.quantiles[50] == pytest.approx(np.median(expected), abs=2e-3)
        assert one.share_above(0.5) == pytest.approx((expected > 0.5).mean(), abs=1e-3)
        assert one.histogram(np.linspace(-1, 1, 5)).sum() == one.pairs
    first, second = (np.argsort(np.argsort(one)) for one in cosines)
    correlation = np.asarray(np.corrcoef(np.stack([first, second])))
    assert agreement.rank_correlation == pytest.approx(float(correlation[0, 1]), abs=1e-3)
    worst = agreement.nearer_first[0]
    apart = 100 * (first - second) / len(first)
    assert worst.percentiles[0] - worst.percentiles[1] == pytest.approx(apart.max(), abs=0.5)
    pair = int(apart.argmax())
    assert worst.rows == (int(upper[0][pair]), int(upper[1][pair]))


def test_encoders_that_are_one_agree_wholly() -> None:
    side = unit_rows(np.random.default_rng(1).normal(size=(30, 5)))
    _, (agreement,) = distributions([side, side.copy()])
    assert agreement.rank_correlation == pytest.approx(1)
    assert agreement.shared_neighbours == 1
    assert (agreement.nearer_first, agreement.nearer_second) == ([], [])


def test_steps_are_fine_enough_for_four_digits() -> None:
    cosines = np.linspace(-1, 1, 999, dtype=np.float32)
    np.testing.assert_allclose(middle(step(cosines)), cosines, atol=5e-5)


# The command


def test_a_pair_in_any_form_of_its_ids(run: Run, index: Index, other: Path) -> None:
    one, two = ids(index, 2)
    result = run("compare", f"arXiv:{one}v1", f"https://arxiv.org/abs/{two}", "--format", "json")
    assert "OPENAI_API_KEY is not set" in result.stderr
    assert "--against minilm" in result.stderr
    record = json.loads(result.stdout)
    assert [line.split()[0] for line in record["pair"]] == [one, two]
    (view,) = record["encoders"]
    both = unit_rows(index.vectors[:2])
    assert view["cosine"] == pytest.approx(float(both[0] @ both[1]), abs=1e-4)
    assert view["among"] == PAPERS
    lines = run("compare", one, two, "--against", other).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines[:2]] == ["tiny-llama", str(other)]


def test_several_papers_are_a_matrix(run: Run, index: Index) -> None:
    some = ids(index, 4)
    record = json.loads(run("compare", *some, "--format", "json").stdout)
    cosines = np.array(record["encoders"][0]["cosines"])
    vectors = unit_rows(index.vectors[:4])
    np.testing.assert_allclose(cosines, vectors @ vectors.T, atol=1e-4)
    assert len(run("compare", *some).stdout.splitlines()) == 6


def test_pasted_texts_are_compared(run: Run, index: Index, other: Path) -> None:
    texts = ("--text", "gas stream", "--text", "gas stream")
    record = json.loads(run("compare", *texts, "--against", other, "--format", "json").stdout)
    assert [view["cosine"] for view in record["encoders"]] == [1.0, 1.0]
    assert [view["ranks"] for view in record["encoders"]] == [None, None]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_sample_is_told_and_drawn(
    run: Run, index: Index, other: Path, tmp_path: Path, kind: str
) -> None:
    figure = tmp_path / f"figure.{kind}"
    options = ("--sample", 30, "--against", other, "--disagreements", 2, "--plot", figure)
    record = json.loads(run("compare", *options, "--format", "json").stdout)
    assert record["papers"] == 30
    assert record["encoders"][0]["pairs"] == 30 * 29 // 2
    (agreement,) = record["agreements"]
    assert len(agreement["nearer_for_first"]) == len(agreement["nearer_for_second"]) == 2
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert figure.read_bytes().startswith(head)
    assert run("compare", *options[:6]).stdout.count("nearer for") == 4


def test_words_that_two_papers_share_are_told_in_a_form_they_have(index: Index) -> None:
    one, two = index.corpus.papers([0, 1])
    shared = shared_words(one, two)
    assert all(word in one.text.lower() for word in shared)


def test_an_unknown_paper_is_offered_its_nearest_spelling(run: Run, index: Index) -> None:
    one, two = ids(index, 2)
    wrong = one[:-2] + one[-1] + one[-2] if one[-1] != one[-2] else one[:-1] + "9"
    result = run("compare", wrong, two, code=4)
    assert f"{wrong} is not in this index of {PAPERS} papers" in result.stderr
    assert "spelled much like it: " in result.stderr


def test_what_makes_no_comparison_is_a_line(run: Run, index: Index, tmp_path: Path) -> None:
    one, two = ids(index, 2)
    for arguments, message in (
        ((), "give two or more IDs"),
        ((one,), "one paper alone"),
        ((one, one), "given twice"),
        (("--text", "a"), "give --text twice"),
        (("--text", "a", "--text", " "), "is empty"),
        ((one, two, "--plot", tmp_path / "x.png"), "belong to --sample"),
        (("--sample", 9, "--disagreements", 3), "add --against minilm"),
        (("--sample", 9, "--plot", tmp_path / "x.gif"), "figure's name ends in .png"),
        (("--sample", 9, "--plot", tmp_path / "no" / "x.png"), "cannot be written"),
        ((one, "nonsense"), "nonsense"),
    ):
        result = run("compare", *arguments, code=2)
        assert message in result.stderr.splitlines()[-1]
    # Only who asks for ada-002 by name is told to get a key.
    assert (
        "OPENAI_API_KEY"
        in run(
            "compare", one, two, "--against", "openai:text-embedding-ada-002", "--yes", code=3
        ).stderr
    )
    assert not list(tmp_path.rglob("x.*"))

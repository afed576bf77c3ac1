"""Two papers, several, and all pairs of a sample, as an index's encoder and others see them."""

import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from astrosearch import paths
from astrosearch.cli.views.comparison import pair_view, sample_view, several_view
from astrosearch.comparison.compare import (
    CosineMatrix,
    PairComparison,
    SampleComparison,
    SeveralComparison,
    compare_pair,
    compare_sample,
    compare_several,
    compare_texts,
)
from astrosearch.comparison.distribution import middle, pair_distributions, step
from astrosearch.comparison.pairs import (
    PairView,
    SentencePair,
    closest_sentences,
    nearer_than,
    percentiles,
    shared_words,
    verdict,
    view_pair,
)
from astrosearch.comparison.pool import (
    EmbeddingSpace,
    EncoderVectors,
    IndexVectors,
    gather,
    vector_source,
)
from astrosearch.encoders.cached import CachedEncoder
from astrosearch.encoders.loading import load_cached_encoder, load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.report import SILENT
from astrosearch.search.searcher import Searcher
from tests.conftest import Run, kaggle_line, make_llama
from tests.reporters import Lines

PAPERS = 40


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def searcher(run: Run, tmp_path: Path, tiny_llama: Path) -> Searcher:
    source = tmp_path / "papers.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(PAPERS)) + "\n")
    run("index", "small", "--corpus", source, "--encoder", tiny_llama)
    return Searcher(Index(paths.existing_index("small")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("other") / "llama", seed=3)


def ids(searcher: Searcher, count: int) -> list[str]:
    return [paper.id for paper in searcher.index.corpus.papers(list(range(count)))]


# A pair


def test_a_pair_is_placed_by_percentile_ranks_and_shared_neighbours() -> None:
    angles = np.radians([0, 10, 25, 60, 90])
    space = EmbeddingSpace(
        "a", np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    )
    background = np.array([0.0, 0.5, 0.9, 0.99], dtype=np.float32)
    view = view_pair(space, 0, 2, background)
    assert view.cosine == pytest.approx(np.cos(np.radians(25)))
    assert view.percentile == 75.0
    # From 0 degrees 25 is second; from 25 degrees 10 is nearer than 0.
    assert view.ranks == (2, 2)
    assert (view.shared, view.papers) == (3, 5)


def test_a_percentile_counts_half_of_what_is_equal() -> None:
    background = np.array([0.1, 0.2, 0.2, 0.9], dtype=np.float32)
    assert percentiles(0.2, background) == 50.0
    assert percentiles(np.array([0.0, 1.0]), background).tolist() == [0.0, 100.0]


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (99.0, 97.0, "agree that this pair is near"),
        (99.0, 90.0, "mostly agree"),
        (99.0, 10.0, "disagree strongly"),
        (99.0, 76.0, "disagree somewhat"),
        (20.0, 60.0, "agree that this pair is far"),
    ],
)
def test_the_verdict_says_whether_encoders_agree_and_how_strongly(
    one: float, two: float, said: str
) -> None:
    both = [PairView(name, 0.5, value, (1, 1), 3, 99) for name, value in (("a", one), ("b", two))]
    assert said in verdict(both)


def test_the_closest_sentences_are_named_each_once(tiny_llama: Path) -> None:
    encoder = load_encoder(encoder_spec(str(tiny_llama)), SILENT)
    first = "Gas falls onto a white dwarf. The stream of a galaxy is long."
    second = "The stream of a galaxy is long. A model of dust is new here."
    found = closest_sentences(encoder, first, second)
    assert (found[0].first, found[0].second) == ("The stream of a galaxy is long.",) * 2
    assert found[0].cosine == pytest.approx(1, abs=1e-5)
    assert len({pair.first for pair in found}) == len({pair.second for pair in found}) == len(found)
    assert closest_sentences(encoder, "", second) == []
    assert closest_sentences(encoder, "gas of a cloud", "dust of a disc") == []


def test_a_share_of_pairs_is_never_rounded_up_to_all() -> None:
    assert nearer_than(99.9999) == "nearer than 99.99 % of random pairs"
    assert nearer_than(100.0) == "nearer than all random pairs"
    assert nearer_than(0.0) == "farther apart than all random pairs"


def test_both_encoders_see_the_same_papers(searcher: Searcher, other: Path) -> None:
    index, given = searcher.index, ids(searcher, 2)
    encoder = load_encoder(encoder_spec(str(other)), SILENT)
    source = EncoderVectors("other", encoder)
    pool = gather(searcher, given, [source], 20, seed=1)
    assert len(pool.papers) == 20
    assert [paper.id for paper in pool.papers if paper.id in given] == given
    rows = [index.corpus.row_of(paper.id) for paper in pool.papers]
    np.testing.assert_allclose(
        pool.spaces[0].vectors, unit_rows(np.asarray(index.vectors)[rows]), atol=1e-6
    )
    texts = [paper.abstract for paper in pool.papers]
    np.testing.assert_allclose(pool.spaces[1].vectors, encoder.encode(texts), atol=1e-5)
    again = gather(searcher, given, [source], 20, seed=1)
    assert [paper.id for paper in again.papers] == [paper.id for paper in pool.papers]
    pair = compare_pair(searcher, given[0], given[1], [source], pool_size=20, seed=1)
    assert [view.encoder for view in pair.views] == ["tiny-llama", "other"]
    assert {view.papers for view in pair.views} == {20}
    with pytest.raises(NothingFound, match="is not among the 20 papers compared"):
        pool.row_of("9901.00001")


@pytest.fixture
def half(run: Run, searcher: Searcher, tmp_path: Path, other: Path) -> IndexVectors:
    """The first 20 papers in another index, by another encoder."""
    source = tmp_path / "half.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(20)) + "\n")
    run("index", "half", "--corpus", source, "--encoder", other)
    vectors = vector_source("half")
    assert isinstance(vectors, IndexVectors)
    return vectors


def test_another_index_lends_its_vectors_of_the_papers_both_have(
    searcher: Searcher, half: IndexVectors
) -> None:
    index = Index(paths.existing_index("half"))
    pool = gather(searcher, ids(searcher, 2), [half], PAPERS, seed=0)
    assert {paper.id for paper in pool.papers} == {paper.id for paper in index.corpus}
    rows = [index.corpus.row_of(paper.id) for paper in pool.papers]
    np.testing.assert_allclose(
        pool.spaces[1].vectors, unit_rows(np.asarray(index.vectors)[rows]), atol=1e-6
    )
    last = [paper.id for paper in searcher.index.corpus][-1]
    with pytest.raises(NothingFound, match="is not among the 20 papers of index half"):
        compare_pair(searcher, ids(searcher, 1)[0], last, [half])


def test_another_index_has_no_vectors_of_new_texts(searcher: Searcher, half: IndexVectors) -> None:
    with pytest.raises(InputError, match="index half has vectors of its papers only"):
        compare_texts(searcher, "gas stream", "dust", [half])


# What is cached


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
    spaces = [unit_rows(generator.normal(size=(60, 8)) + 0.3) for _ in range(2)]
    found, (agreement,) = pair_distributions(spaces, disagreements=3)
    upper = np.triu_indices(60, 1)
    cosines = [(space @ space.T)[upper] for space in spaces]
    for distribution, expected in zip(found, cosines, strict=True):
        assert distribution.pairs == 60 * 59 // 2 == distribution.counts.sum()
        assert distribution.mean == pytest.approx(expected.mean(), abs=1e-4)
        assert distribution.spread == pytest.approx(expected.std(), abs=1e-4)
        assert distribution.quantiles[50] == pytest.approx(np.median(expected), abs=2e-3)
        assert distribution.share_above(0.5) == pytest.approx((expected > 0.5).mean(), abs=1e-3)
        assert distribution.histogram(np.linspace(-1, 1, 5)).sum() == distribution.pairs
    first, second = (np.argsort(np.argsort(line)) for line in cosines)
    correlation = np.asarray(np.corrcoef(np.stack([first, second])))
    assert agreement.rank_correlation == pytest.approx(float(correlation[0, 1]), abs=1e-3)
    worst = agreement.nearer_first[0]
    apart = 100 * (first - second) / len(first)
    assert worst.percentiles[0] - worst.percentiles[1] == pytest.approx(apart.max(), abs=0.5)
    pair = int(apart.argmax())
    assert worst.rows == (int(upper[0][pair]), int(upper[1][pair]))


def test_an_encoder_agrees_wholly_with_itself() -> None:
    space = unit_rows(np.random.default_rng(1).normal(size=(30, 5)))
    _, (agreement,) = pair_distributions([space, space.copy()])
    assert agreement.rank_correlation == pytest.approx(1)
    assert agreement.shared_neighbours == 1
    assert (agreement.nearer_first, agreement.nearer_second) == ([], [])


def test_steps_are_fine_enough_for_four_digits() -> None:
    cosines = np.linspace(-1, 1, 999, dtype=np.float32)
    np.testing.assert_allclose(middle(step(cosines)), cosines, atol=5e-5)


# The library


def test_several_papers_are_a_matrix_of_cosines_and_percentiles(searcher: Searcher) -> None:
    several = compare_several(searcher, ids(searcher, 3))
    (matrix,) = several.matrices
    vectors = unit_rows(np.asarray(searcher.index.vectors)[:3])
    np.testing.assert_allclose(matrix.cosines, vectors @ vectors.T, atol=1e-6)
    one, other = ids(searcher, 2)
    pair = compare_pair(searcher, one, other)
    assert pair.views[0].cosine == pytest.approx(float(matrix.cosines[0, 1]))
    assert pair.views[0].percentile == pytest.approx(float(matrix.percentiles[0, 1]))


def test_a_sample_larger_than_the_index_takes_all_papers_and_says_so(searcher: Searcher) -> None:
    lines = Lines()
    sample = compare_sample(searcher, 1_000, reporter=lines)
    assert len(sample.papers) == PAPERS
    assert lines == ["Only 40 papers available; using all (1,000 requested)."]


# How it looks


TEX = (
    r"We find that the mass of NGC~1068 is $10^{8}\,M_\odot$, \emph{and} a stream of gas is long. "
)


def _paper(number: int) -> Paper:
    return Paper(
        f"2001.0000{number}",
        rf"The $H_0$ tension and the structure of the heliosphere {number}, a title beyond a line",
        TEX * 3,
        ("A. B",),
        ("astro-ph.GA",),
        date(2020, 1, 1),
    )


def _pair() -> PairComparison:
    views = [
        PairView("astro-embed", 0.219, 97.8, (12, 2), 3, 264),
        PairView("openai:text-embedding-ada-002", 0.81, 100.0, (1, 1), 7, 264),
    ]
    papers = _paper(1), _paper(2)
    closest = [SentencePair(TEX.strip(), TEX.strip(), 0.91)] * 2
    return PairComparison(papers, (papers[0].abstract, papers[1].abstract), views, closest)


def _several() -> SeveralComparison:
    cosines = np.full((16, 16), 0.25, dtype=np.float32)
    names = ("astro-embed", "openai:text-embedding-ada-002")
    shares = np.full((16, 16), 25.0)
    matrices = [CosineMatrix(name, cosines, shares) for name in names]
    return SeveralComparison([_paper(1)] * 16, matrices)


def _sample() -> SampleComparison:
    draw = np.random.default_rng(0)
    spaces = [unit_rows(draw.normal(size=(30, 5))) for _ in range(4)]
    found, agreements = pair_distributions(spaces, disagreements=2)
    names = ["astro-embed", "openai:text-embedding-ada-002", "minilm", "a-long-name-of-an-encoder"]
    return SampleComparison([_paper(1)] * 30, names, found, agreements)


def _screen(view: RenderableType, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    for view in (pair_view(_pair(), width), several_view(_several(), width)):
        assert max(map(len, _screen(view, width))) <= width
    sample = _screen(sample_view(_sample(), width), width)
    assert max(map(len, sample)) <= width
    assert any("█" in line for line in sample)


def test_all_columns_of_a_wide_matrix_are_shown_on_a_narrow_terminal() -> None:
    lines = _screen(several_view(_several(), 80), 80)
    heads = [line.split() for line in lines if line.split()[:1] == ["astro-embed"]]
    assert [int(number) for head in heads for number in head[1:]] == list(range(1, 17))


def test_a_pair_is_explained_where_its_numbers_are_and_reads_as_text() -> None:
    lines = _screen(pair_view(_pair(), 80), 80)
    text = " ".join(" ".join(lines).split())
    row = next(line for line in lines if line.split()[:1] == ["astro-embed"])
    assert row.split() == ["astro-embed", "0.219", "97.8", "%", "12th", "2nd", "3", "of", "10"]
    for said in ("B is A's", "… nearest", "in common", "nearer than all random pairs"):
        assert said in text
    assert "$" not in text
    assert "\\" not in text
    assert "10⁸ M⊙" in text
    first, second, *_ = (n for n, line in enumerate(lines) if "We find that the mass" in line)
    for place in (first, second):
        start = lines[place].index("We find")
        following = lines[place + 1]
        assert len(following) - len(following.lstrip()) == start, lines[place : place + 2]


# The command


def test_a_pair_in_any_form_of_its_ids(run: Run, searcher: Searcher, other: Path) -> None:
    one, two = ids(searcher, 2)
    result = run("compare", f"arXiv:{one}v1", f"https://arxiv.org/abs/{two}", "--format", "json")
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert [name.split()[0] for name in record["pair"]] == [one, two]
    (view,) = record["encoders"]
    both = unit_rows(np.asarray(searcher.index.vectors)[:2])
    assert view["cosine"] == pytest.approx(float(both[0] @ both[1]), abs=1e-4)
    assert view["among"] == PAPERS
    lines = run("compare", one, two, "--against", other).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines[:2]] == ["tiny-llama", str(other)]


def test_another_encoder_is_offered_in_a_terminal_in_one_short_line(
    run: Run, searcher: Searcher, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    one, two = ids(searcher, 2)
    (line,) = run("compare", one, two).stderr.splitlines()
    assert "--against minilm" in line
    assert len(line) < 80
    assert "--against minilm" not in run("compare", one, two, "--against", other).stderr


def test_several_papers_are_a_line_for_each_pair_in_a_pipe(run: Run, searcher: Searcher) -> None:
    given = ids(searcher, 4)
    record = json.loads(run("compare", *given, "--format", "json").stdout)
    cosines = np.array(record["encoders"][0]["cosines"])
    vectors = unit_rows(np.asarray(searcher.index.vectors)[:4])
    np.testing.assert_allclose(cosines, vectors @ vectors.T, atol=1e-4)
    assert len(run("compare", *given).stdout.splitlines()) == 6


def test_pasted_texts_are_compared(run: Run, searcher: Searcher, other: Path) -> None:
    texts = ("--text", "gas stream", "--text", "gas stream")
    record = json.loads(run("compare", *texts, "--against", other, "--format", "json").stdout)
    assert record["pair"] == ["“gas stream”"] * 2
    assert [view["cosine"] for view in record["encoders"]] == [1.0, 1.0]
    assert [view["ranks"] for view in record["encoders"]] == [None, None]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_sample_is_described_and_drawn(
    run: Run, searcher: Searcher, other: Path, tmp_path: Path, kind: str
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


def test_words_that_two_papers_share_are_in_the_first_ones_form(searcher: Searcher) -> None:
    one, other = searcher.index.corpus.papers([0, 1])
    shared = shared_words(one, other)
    assert shared
    assert all(word in one.text.lower() for word in shared)
    assert "emph" not in shared_words(_paper(1), _paper(2))  # a macro, not a word


def test_an_unknown_paper_is_offered_its_nearest_spelling(run: Run, searcher: Searcher) -> None:
    one, two = ids(searcher, 2)
    wrong = one[:-2] + one[-1] + one[-2] if one[-1] != one[-2] else one[:-1] + "9"
    result = run("compare", wrong, two, code=4)
    assert f"{wrong} is not in this index of {PAPERS} papers" in result.stderr
    assert "spelled much like it: " in result.stderr


def test_what_cannot_be_compared_is_a_line(run: Run, searcher: Searcher, tmp_path: Path) -> None:
    one, two = ids(searcher, 2)
    for arguments, message in (
        ((), "give two or more IDs"),
        ((one,), "one paper cannot be compared"),
        ((one, one), "given twice"),
        (("--text", "a"), "give --text twice"),
        (("--text", "a", "--text", " "), "is empty"),
        ((one, two, "--plot", tmp_path / "x.png"), "need --sample"),
        (("--sample", 9, "--disagreements", 3), "add --against minilm"),
        (("--sample", 9, "--pool", 20), "--pool has no effect with --sample"),
        (("--sample", 9, "--plot", tmp_path / "x.gif"), "name of a figure has to end in .png"),
        (("--sample", 9, "--plot", tmp_path / "no" / "x.png"), "cannot be written"),
        ((one, "nonsense"), "nonsense"),
        ((one, two, "--against", "nonsense"), "nonsense"),
    ):
        result = run("compare", *arguments, code=2)
        assert message in result.stderr.splitlines()[-1], arguments
    ada = ("--against", "openai:text-embedding-ada-002", "--yes")
    assert "OPENAI_API_KEY" in run("compare", one, two, *ada, code=3).stderr
    assert not list(tmp_path.rglob("x.*"))

"""Texts compared token by token, by an encoder of which no layer is run."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from astrosearch import paths
from astrosearch.cli import main
from astrosearch.encoders.base import EncoderSpec, LateInteraction, WeightedTokens
from astrosearch.encoders.head import EncoderHead, LinearHead
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.encoders.static import DIMENSIONS, StaticEncoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import Judgement
from astrosearch.evaluation.retrieval import evaluate
from astrosearch.evaluation.tasks import JUDGEMENTS, Settings, sample_tasks
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.ranker import WEIGHTS
from astrosearch.search.searcher import Mode, Searcher
from tests.conftest import WORDS, Run, make_llama
from tests.reporters import Lines
from tests.test_contrast import long_line


def _encoder(llama: Path, dimension: int = 16) -> StaticEncoder:
    draw = np.random.default_rng(0)
    width, vocabulary = 64, len(dict.fromkeys(WORDS)) + 3
    return StaticEncoder(
        EncoderSpec(str(llama), layers=0, pooling="weighted-mean-without-bos"),
        llama,
        adapter=None,
        head=EncoderHead(
            LinearHead(
                (draw.normal(size=width) / 50).astype(np.float32),
                draw.normal(size=(width, dimension)).astype(np.float32),
            ),
            draw.uniform(0.2, 3, vocabulary).astype(np.float32),
        ),
    )


def test_likeness_is_that_of_each_token_to_the_nearest_one_on_the_other_side(
    tiny_llama: Path,
) -> None:
    encoder = _encoder(tiny_llama)
    texts = ["stars dust gas stars stars", "gas disc", "pulsar wind stars"]
    asked, *documents = encoder.weighted_tokens(texts)

    def mean(one: str, other: str, one_bag: WeightedTokens) -> float:
        """Over the words of `one`: what each counts, and its cosine with the nearest of `other`."""
        words = dict.fromkeys(one.split())
        vectors = {word: encoder.encode([word])[0] for word in (*words, *other.split())}
        ids = {word: int(encoder.weighted_tokens([word])[0].tokens[0]) for word in words}
        share = dict(zip(one_bag.tokens.tolist(), one_bag.weights.tolist(), strict=True))
        nearest = [max(vectors[word] @ vectors[there] for there in other.split()) for word in words]
        return float(np.dot([share[ids[word]] for word in words], nearest))

    expected = [
        (mean(texts[0], text, asked) + mean(text, texts[0], bag)) / 2
        for text, bag in zip(texts[1:], documents, strict=True)
    ]
    np.testing.assert_allclose(
        encoder.late_interaction_scores(asked, documents), expected, atol=1e-5
    )


def test_a_token_that_comes_four_times_counts_twice(tiny_llama: Path) -> None:
    encoder = _encoder(tiny_llama)
    [once], [often] = (
        encoder.weighted_tokens(["dust gas"]),
        encoder.weighted_tokens(["dust gas dust dust dust"]),
    )
    assert once.tokens.tolist() == often.tokens.tolist()
    assert often.weights.sum() == pytest.approx(1)
    [dust] = encoder.weighted_tokens(["dust"])[0].tokens
    place = once.tokens.tolist().index(dust)
    ratios = [bag.weights[place] / bag.weights[1 - place] for bag in (often, once)]
    assert ratios[0] == pytest.approx(2 * ratios[1])


def test_a_text_is_most_like_itself_and_likeness_has_two_equal_sides(tiny_llama: Path) -> None:
    encoder = _encoder(tiny_llama)
    texts = ["stars in the Milky Way", "black hole", "dust", ""]
    bags = encoder.weighted_tokens(texts)
    table = np.stack([encoder.late_interaction_scores(bag, bags) for bag in bags])
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    np.testing.assert_allclose(table, table.T, atol=1e-5)
    assert (table < 1 + 1e-5).all()
    # What was asked before changes nothing.
    anew = _encoder(tiny_llama).late_interaction_scores(bags[1], bags[2:3])[0]
    assert anew == pytest.approx(table[1, 2], abs=1e-5)


def test_of_a_long_vector_of_a_token_the_beginning_is_compared(tmp_path: Path) -> None:
    llama = make_llama(tmp_path / "wide", seed=0)
    encoder = _encoder(llama, dimension=DIMENSIONS + 40)
    asked, document = encoder.weighted_tokens(["pulsar", "quasar"])
    cut = unit_rows(encoder.encode(["pulsar", "quasar"])[:, :DIMENSIONS])
    found = encoder.late_interaction_scores(asked, [document])[0]
    assert found == pytest.approx(float(cut[0] @ cut[1]), abs=1e-5)


def test_two_threads_get_the_vectors_and_scores_of_one(tiny_llama: Path) -> None:
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(WORDS, 12)) for _ in range(200)]
    alone, shared = _encoder(tiny_llama), _encoder(tiny_llama)
    vectors = alone.encode(texts)
    asked, *documents = alone.weighted_tokens(texts)
    scores = alone.late_interaction_scores(asked, documents)
    start = threading.Barrier(4)

    def answer(_: int) -> tuple[Vectors, Vectors]:
        start.wait()
        ours = np.concatenate([shared.encode([text]) for text in texts])
        each = [shared.late_interaction_scores(asked, [document])[0] for document in documents]
        return ours, np.array(each)

    with ThreadPoolExecutor(4) as pool:
        for ours, each in pool.map(answer, range(4)):
            np.testing.assert_allclose(ours, vectors, atol=1e-6)
            np.testing.assert_allclose(each, scores, atol=1e-6)


def test_an_encoder_without_trained_weights_is_refused(tiny_llama: Path) -> None:
    spec = EncoderSpec(str(tiny_llama), layers=0, pooling="weighted-mean-without-bos")
    with pytest.raises(InputError, match="no trained linear map"):
        StaticEncoder(spec, tiny_llama, adapter=None, head=EncoderHead())
    with pytest.raises(InputError, match="needs a trained embedding adapter"):
        load_encoder(spec, SILENT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A folder with 120 papers, and an encoder without layers that was trained on them a little."""
    folder = tmp_path_factory.mktemp("trained")
    source = folder / "papers.json"
    source.write_text("\n".join(long_line(number) for number in range(120)) + "\n")
    options = ("--layers", 0, "--rank", 8, "--kept-rank", 8, "--epochs", 1, "--batch", 32)
    small = ("--dimension", 32, "--dtype", "float32", "--base", tiny_llama)
    line = ("train", "contrast", source, *options, *small, "--out", folder / "embed")
    result = CliRunner().invoke(main, [str(one) for one in line])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def index(run: Run, trained: Path, tmp_path: Path) -> Index:
    """An index `words` of these papers; the encoder lies in `tmp_path`."""
    shutil.copytree(trained / "embed", tmp_path / "embed")
    run("index", "words", "--corpus", trained / "papers.json", "--encoder", tmp_path / "embed")
    return Index(paths.existing_index("words"))


QUESTIONS = ("black hole disc wind", "gas stream", "emission of a quasar we observed", "lens mass")


def test_meaning_is_asked_token_by_token_and_papers_beyond_follow(index: Index) -> None:
    encoder = load_query_encoder(index.manifest.encoder, SILENT)
    assert isinstance(encoder, LateInteraction)
    searcher = Searcher(index, encoder=encoder)
    for text in QUESTIONS:
        hits = searcher.query(ParsedQuery(text), k=60, mode="dense")
        few = searcher.query(ParsedQuery(text), k=7, mode="dense")
        assert [hit.paper.id for hit in few] == [hit.paper.id for hit in hits[:7]]
        assert [hit.score for hit in few] == [hit.score for hit in hits[:7]]
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] <= 1
        # The first by the cosine are put in another order, the others stay in theirs.
        by_cosine = [hit.dense_rank for hit in hits]
        depth = WEIGHTS.rerank_depth
        assert {*by_cosine[:depth]} == {*range(1, depth + 1)}
        assert by_cosine[:depth] != list(range(1, depth + 1))
        assert by_cosine[depth:] == list(range(depth + 1, 61))
        asked, *documents = encoder.weighted_tokens(
            [text, *(hit.paper.text for hit in hits[: WEIGHTS.rerank_depth])]
        )
        likeness = encoder.late_interaction_scores(asked, documents)
        cosines = np.array([hit.cosine for hit in hits[:depth]])
        chance = index.manifest.background.mean
        expected = WEIGHTS.token_match * likeness / likeness.max()
        expected += (1 - WEIGHTS.token_match) * (cosines - chance) / (cosines.max() - chance)
        np.testing.assert_allclose(scores[:depth], expected, atol=1e-4)


def test_papers_like_some_are_compared_token_by_token_with_each_of_them(
    index: Index, run: Run, tmp_path: Path
) -> None:
    encoder = load_query_encoder(index.manifest.encoder, SILENT)
    assert isinstance(encoder, LateInteraction)
    ids = [paper.id for paper in index.corpus][3:5]
    hits = Searcher(index, encoder=encoder).similar(ids, 12)
    (tmp_path / "embed").rename(tmp_path / "elsewhere")
    notices = Lines()
    nearest = Searcher(index, reporter=notices).similar(ids, 12)
    assert [line[:42] for line in notices] == ["Papers are compared by their vectors alone"]
    (tmp_path / "elsewhere").rename(tmp_path / "embed")
    assert not {hit.paper.id for hit in hits} & set(ids)
    assert [hit.cosine for hit in nearest] == [hit.score for hit in nearest]
    assert [hit.paper.id for hit in hits] != [hit.paper.id for hit in nearest]
    given = index.corpus.papers([3, 4])
    bags = encoder.weighted_tokens([paper.text for paper in (*given, *(hit.paper for hit in hits))])
    likeness = (
        encoder.late_interaction_scores(bags[0], bags[2:])
        + encoder.late_interaction_scores(bags[1], bags[2:])
    ) / 2
    late = np.array([hit.score for hit in hits])
    cosines = np.array([hit.cosine for hit in hits])
    # Both parts of a score, from what they were scaled by.
    parts = np.linalg.lstsq(np.stack([likeness, cosines, np.ones(12)], 1), late, rcond=None)
    assert np.allclose(np.stack([likeness, cosines, np.ones(12)], 1) @ parts[0], late, atol=1e-4)
    assert parts[0][0] > 0

    said = run("similar", *ids, "-i", "words", "--format", "ids")
    assert said.stdout.split() == [hit.paper.id for hit in hits[:10]]
    lines = run("shell", "-i", "words", "--format", "ids", stdin=f"/similar {' '.join(ids)}\n")
    assert lines.stdout == said.stdout
    (tmp_path / "embed").rename(tmp_path / "elsewhere")
    said = run("similar", *ids, "-i", "words", "--format", "ids")
    assert said.stdout.split() == [hit.paper.id for hit in nearest[:10]]
    assert said.stderr.startswith("Papers are compared by their vectors alone: ")
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_an_evaluation_finds_what_a_query_finds(index: Index, mode: Mode) -> None:
    encoder = load_encoder(index.manifest.encoder, SILENT)
    asked = [ParsedQuery(text) for text in QUESTIONS]
    answers = Searcher(index, encoder=encoder).query_batch(asked, k=10, mode=mode)
    # A paper that no other has the score of, with its rank.
    right = [
        next(one for one, next_ in pairwise(hits) if one.score - next_.score > 1e-3)
        for hits in answers
    ]
    judged = [
        Judgement(None, text, {hit.paper.id: 1}) for text, hit in zip(QUESTIONS, right, strict=True)
    ]
    settings = Settings((JUDGEMENTS,))
    tasks = sample_tasks(index, settings, judged)
    [report] = evaluate(index, settings, tasks, [("words", encoder)]).tasks
    [result] = [one for one in report.results if one.mode == mode]
    expected = {text: 1 / hit.rank for text, hit in zip(QUESTIONS, right, strict=True)}
    for one, values in zip(tasks[0].queries, result.values, strict=True):
        assert values[2] == pytest.approx(expected[one.text])

"""Texts compared token by token, with an encoder that runs no layers."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from astrosearch.encoders.base import (
    EncoderSpec,
    Joined,
    LateInteraction,
    TokenBag,
    WeightedTokens,
)
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
from astrosearch.search.late_interaction import compare
from astrosearch.search.paper_index import Column
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.ranker import LOOKED_AT
from astrosearch.search.searcher import Mode, Searcher
from tests.conftest import WORDS, Run, make_llama
from tests.reporters import Lines


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


def scores_of(
    encoder: LateInteraction, query: WeightedTokens, documents: Sequence[WeightedTokens]
) -> Column:
    """(n,) the mean of both directions."""
    compared = compare(encoder, query, documents)
    return (compared.recall + compared.precision) / 2


def test_the_score_is_the_mean_cosine_of_each_token_with_its_nearest_on_the_other_side(
    tiny_llama: Path,
) -> None:
    encoder = _encoder(tiny_llama)
    texts = ["stars dust gas stars stars", "gas disc", "pulsar wind stars"]
    query, *documents = encoder.weighted_tokens(texts)

    def mean(text: str, target: str, bag: WeightedTokens) -> float:
        """The weighted mean, over the words of `text`, of the cosine with the nearest word of
        `target`; `bag` has the weights."""
        words, target_words = dict.fromkeys(text.split()), target.split()
        vectors = {word: encoder.encode([word])[0] for word in (*words, *target_words)}
        ids = {word: int(encoder.weighted_tokens([word])[0].tokens[0]) for word in words}
        weights = dict(zip(bag.tokens.tolist(), bag.weights.tolist(), strict=True))
        nearest = [
            max(vectors[word] @ vectors[target_word] for target_word in target_words)
            for word in words
        ]
        return float(np.dot([weights[ids[word]] for word in words], nearest))

    expected = [
        (mean(texts[0], text, query) + mean(text, texts[0], document)) / 2
        for text, document in zip(texts[1:], documents, strict=True)
    ]
    np.testing.assert_allclose(scores_of(encoder, query, documents), expected, atol=1e-5)


def test_joined_texts_are_those_that_were_joined(tiny_llama: Path) -> None:
    encoder = _encoder(tiny_llama)
    bags = encoder.token_bags(["dust gas dust", "pulsar", "stars in the Milky Way"])
    joined = Joined.of(TokenBag, bags)
    assert Joined.of(TokenBag, joined) is joined
    assert len(joined) == 3
    cut = [*joined, joined[-1], *joined[1:]]
    for one, other in zip(cut, [*bags, bags[-1], *bags[1:]], strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert one.counts.tolist() == other.counts.tolist()
    together, apart = encoder.weigh(joined), [encoder.weigh([bag])[0] for bag in bags]
    for text, alone in zip(together, apart, strict=True):
        np.testing.assert_array_equal(text.weights, alone.weights)
    assert len(Joined.of(TokenBag, [])) == len(encoder.weigh([])) == 0


def test_a_token_that_occurs_four_times_weighs_twice_as_much(tiny_llama: Path) -> None:
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


def test_a_text_is_most_like_itself_and_the_score_is_symmetric(tiny_llama: Path) -> None:
    encoder = _encoder(tiny_llama)
    texts = ["stars in the Milky Way", "black hole", "dust", ""]
    bags = encoder.weighted_tokens(texts)
    table = np.stack([scores_of(encoder, bag, bags) for bag in bags])
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    np.testing.assert_allclose(table, table.T, atol=1e-5)
    assert (table < 1 + 1e-5).all()
    # Earlier calls change nothing.
    score = scores_of(_encoder(tiny_llama), bags[1], bags[2:3])[0]
    assert score == pytest.approx(table[1, 2], abs=1e-5)


def test_only_the_first_dimensions_of_a_token_vector_are_compared(tmp_path: Path) -> None:
    llama = make_llama(tmp_path / "wide", seed=0)
    encoder = _encoder(llama, dimension=DIMENSIONS + 40)
    query, document = encoder.weighted_tokens(["pulsar", "quasar"])
    vectors = unit_rows(encoder.encode(["pulsar", "quasar"])[:, :DIMENSIONS])
    score = scores_of(encoder, query, [document])[0]
    assert score == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


def test_four_threads_get_the_vectors_and_scores_of_one(tiny_llama: Path) -> None:
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(WORDS, 12)) for _ in range(200)]
    alone, shared = _encoder(tiny_llama), _encoder(tiny_llama)
    vectors = alone.encode(texts)
    query, *documents = alone.weighted_tokens(texts)
    scores = scores_of(alone, query, documents)
    start = threading.Barrier(4)

    def answer(_: int) -> tuple[Vectors, Vectors]:
        start.wait()
        rows = np.concatenate([shared.encode([text]) for text in texts])
        column = [scores_of(shared, query, [document])[0] for document in documents]
        return rows, np.array(column)

    with ThreadPoolExecutor(4) as pool:
        for thread_vectors, thread_scores in pool.map(answer, range(4)):
            np.testing.assert_allclose(thread_vectors, vectors, atol=1e-6)
            np.testing.assert_allclose(thread_scores, scores, atol=1e-6)


def test_an_encoder_without_trained_weights_is_refused(tiny_llama: Path) -> None:
    spec = EncoderSpec(str(tiny_llama), layers=0, pooling="weighted-mean-without-bos")
    with pytest.raises(InputError, match="no trained linear map"):
        StaticEncoder(spec, tiny_llama, adapter=None, head=EncoderHead())
    with pytest.raises(InputError, match="needs a trained embedding adapter"):
        load_encoder(spec, SILENT)


@pytest.fixture
def index(words_index: Index) -> Index:
    return words_index


QUERIES = ("black hole disc wind", "gas stream", "emission of a quasar we observed", "lens mass")


def test_dense_mode_orders_the_nearest_by_what_was_learnt_and_the_rest_by_cosine(
    index: Index,
) -> None:
    encoder = load_query_encoder(index.manifest.encoder, SILENT)
    searcher = Searcher(index, encoder=encoder)
    for text in QUERIES:
        hits = searcher.query(ParsedQuery(text), k=120, mode="dense")
        few = searcher.query(ParsedQuery(text), k=7, mode="dense")
        assert few == hits[:7]
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert 0 < scores[0] <= 1
        dense_ranks = [hit.dense_rank for hit in hits]
        assert {*dense_ranks[:LOOKED_AT]} == {*range(1, LOOKED_AT + 1)}
        assert dense_ranks[:LOOKED_AT] != list(range(1, LOOKED_AT + 1))
        assert dense_ranks[LOOKED_AT:] == list(range(LOOKED_AT + 1, 121))
        matches = [hit.match for hit in hits]
        assert matches == sorted(matches, reverse=True)
        groups = {"meaning", "query in paper", "paper in query", "neighbours"}
        assert all(set(hit.contributions) == groups for hit in hits[:LOOKED_AT])
        assert not any(hit.contributions for hit in hits[LOOKED_AT:])


def test_without_what_was_learnt_hits_are_ordered_by_their_cosines(index: Index) -> None:
    with Searcher(index, ranker="mean") as searcher:
        for text in QUERIES:
            hits = searcher.query(ParsedQuery(text), k=20, mode="dense")
            assert [hit.dense_rank for hit in hits] == list(range(1, 21))
            assert not any(hit.contributions for hit in hits)


@pytest.mark.parametrize("mode", ["dense", "lexical"])
def test_an_identifier_is_searched_by_its_mode(index: Index, run: Run, mode: str) -> None:
    [paper] = index.corpus.papers([3])
    line = ("--mode", mode, "--format", "json")
    found = json.loads(run("query", paper.id, *line, "-k", 6).stdout)["hits"]
    like_it = json.loads(run("similar", paper.id, *line, "-k", 5).stdout)["hits"]
    assert found[0]["id"] == paper.id
    assert [hit["id"] for hit in found[1:]] == [hit["id"] for hit in like_it]
    unknown = "bm25" if mode == "dense" else "cosine"
    assert all(hit[unknown] is None for hit in found)
    hybrid = json.loads(run("query", paper.id, "--format", "json", "-k", 6).stdout)["hits"]
    assert all(hit["bm25"] is not None and hit["cosine"] is not None for hit in hybrid[1:])


def test_groups_whose_signals_nobody_knows_are_not_explained(index: Index, run: Run) -> None:
    [paper] = index.corpus.papers([3])
    for command, unknown in (
        (("similar", paper.id, "--mode", "dense"), "words"),
        (("cite", paper.id), "citations"),
    ):
        hits = json.loads(run(*command, "--format", "json").stdout)["hits"]
        assert "meaning" in hits[0]["contributions"]
        assert unknown not in hits[0]["contributions"]
    whole = json.loads(run("similar", paper.id, "--format", "json").stdout)["hits"]
    assert "words" in whole[0]["contributions"]


def test_what_signed_numbers_are_is_said_and_what_match_is_where_an_author_is_named(
    index: Index, run: Run
) -> None:
    said = run("query", "gas stream", "--explain").stderr
    assert "need not add up to the score" in said
    assert "author" not in said
    [paper] = index.corpus.papers([3])
    named = run("query", f"gas by {paper.authors[0]}", "--explain", "-k", 3).stderr
    assert "60% of match is how well a paper's authors fit" in named


def test_similar_compares_tokens_with_each_paper_and_falls_back_to_vectors_with_a_notice(
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
    assert all(hit.token_match is None and not hit.contributions for hit in nearest)
    assert [hit.paper.id for hit in hits] != [hit.paper.id for hit in nearest]
    papers = [*index.corpus.papers([3, 4]), *(hit.paper for hit in hits)]
    bags = encoder.weighted_tokens([paper.text for paper in papers])
    likeness = (scores_of(encoder, bags[0], bags[2:]) + scores_of(encoder, bags[1], bags[2:])) / 2
    found = np.array([hit.token_match for hit in hits], dtype=np.float64)
    np.testing.assert_allclose(found, likeness, atol=1e-5)

    result = run("similar", *ids, "-i", "words", "--format", "ids")
    assert result.stdout.split() == [hit.paper.id for hit in hits[:10]]
    lines = run("shell", "-i", "words", "--format", "ids", stdin=f"/similar {' '.join(ids)}\n")
    assert lines.stdout == result.stdout
    (tmp_path / "embed").rename(tmp_path / "elsewhere")
    result = run("similar", *ids, "-i", "words", "--format", "ids")
    assert result.stdout.split() == [hit.paper.id for hit in nearest[:10]]
    assert result.stderr.startswith("Papers are compared by their vectors alone: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_an_evaluation_finds_what_a_query_finds(index: Index, mode: Mode) -> None:
    encoder = load_encoder(index.manifest.encoder, SILENT)
    queries = [ParsedQuery(text) for text in QUERIES]
    answers = Searcher(index, encoder=encoder).query_batch(queries, k=10, mode=mode)
    # The relevant paper of each query is the first hit whose score is clear of the next.
    relevant = [
        next(hit for hit, next_hit in pairwise(hits) if hit.score - next_hit.score > 1e-3)
        for hits in answers
    ]
    judgements = [
        Judgement(None, text, {hit.paper.id: 1})
        for text, hit in zip(QUERIES, relevant, strict=True)
    ]
    settings = Settings((JUDGEMENTS,))
    tasks = sample_tasks(index, settings, judgements)
    [report] = evaluate(index, settings, tasks, [("words", encoder)]).tasks
    [result] = [result for result in report.results if result.mode == mode]
    expected = {text: 1 / hit.rank for text, hit in zip(QUERIES, relevant, strict=True)}
    for query, values in zip(tasks[0].queries, result.values, strict=True):
        assert values[2] == pytest.approx(expected[query.text])

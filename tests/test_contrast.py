"""The contrastive stage: its pairs, its objective, a run that is killed, the encoder it makes."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from math import exp, log
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch

import training
from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.transformer import padded
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import parse_id
from astrosearch.report import SILENT
from tests.conftest import Run, kaggle_line, long_line
from tests.reporters import Lines, Watch
from tests.subprocess_train import event, train_apart, wait_for_step
from training.contrastive.late_interaction import (
    TokenBags,
    late_interaction_loss,
    late_interaction_scores,
    nearest_documents,
)
from training.contrastive.mining import hard_negatives
from training.contrastive.model import tokens_of, untrained_model
from training.contrastive.objective import back_propagate, info_nce
from training.contrastive.pairs import SPAN_WORDS, Pair, PairSampler, mask_query, read_relations
from training.contrastive.requests import FORMS, read_requests
from training.contrastive.teacher import TEMPERATURE, Teacher, distillation
from training.contrastive.trainer import learning_rate_share
from training.log import Log
from training.settings import ContrastSettings


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "papers.json"
    path.write_text("\n".join(long_line(number) for number in range(120)) + "\n")
    return path


@pytest.fixture
def corpus(source: Path, tmp_path: Path) -> Corpus:
    papers = tmp_path / "papers.sqlite"
    import_papers([source], Selection(), papers, tmp_path / "rejected.jsonl")
    return Corpus(papers)


# Pairs


@pytest.mark.parametrize("fold", [0, 3])
def test_no_held_out_paper_is_ever_in_a_pair(corpus: Corpus, tmp_path: Path, fold: int) -> None:
    ids = [paper.id for paper in corpus]
    relations = tmp_path / "cited.jsonl"
    relations.write_text(json.dumps({"id": ids[0], "relevant": ids[1:]}) + "\n")
    sampler = PairSampler(corpus, read_relations([relations], corpus, fold), seed=0, fold=fold)
    drawn = [sampler.pair(number) for number in range(4 * len(sampler))]
    rows = {row for pair in drawn for row in pair.rows}
    assert {ids[row] for row in rows} == {id for id in ids if not is_held_out(id, fold)}
    looked_at = PairSampler(corpus, {}, seed=0, held_out=True, fold=fold)
    assert {looked_at.pair(n).rows[0] for n in range(len(looked_at))} == {
        row for row, id in enumerate(ids) if is_held_out(id, fold)
    }


def test_a_round_has_each_paper_once_and_a_pair_is_the_same_when_asked_again(
    corpus: Corpus,
) -> None:
    sampler = PairSampler(corpus, {}, seed=5)
    first = [sampler.pair(number) for number in range(len(sampler))]
    assert sorted(pair.rows[0] for pair in first) == sampler.rows.tolist()
    assert [sampler.pair(number) for number in (7, 3, 90)] == [
        PairSampler(corpus, {}, seed=5).pair(number) for number in (7, 3, 90)
    ]
    assert first != [PairSampler(corpus, {}, seed=6).pair(number) for number in range(len(sampler))]


def test_each_kind_of_pair_is_two_parts_of_one_paper(corpus: Corpus) -> None:
    sampler = PairSampler(corpus, {}, seed=0)
    kinds = set()
    for number in range(6 * len(sampler)):
        pair = sampler.pair(number)
        (paper,) = corpus.papers([pair.rows[0]])
        kinds.add(pair.kind)
        if pair.kind == "title":
            assert (pair.query, pair.document) == (paper.title, paper.abstract)
        elif pair.kind == "half":
            assert paper.abstract in (
                f"{pair.query} {pair.document}",
                f"{pair.document} {pair.query}",
            )
        elif pair.kind == "sentence":
            assert pair.query in paper.abstract
            assert pair.query not in pair.document
        else:
            words = pair.query.split()
            assert 1 <= len(words) <= SPAN_WORDS[1]
            assert all(word in f"{paper.title} {paper.abstract}" for word in words)
    assert kinds == {"title", "half", "sentence", "span"}


def test_relations_hold_both_ways_and_only_between_training_papers(
    corpus: Corpus, tmp_path: Path
) -> None:
    ids = [paper.id for paper in corpus]
    train = [row for row, id in enumerate(ids) if not is_held_out(id)]
    held_out = next(row for row, id in enumerate(ids) if is_held_out(id))
    a, b, c, d = train[:4]
    cited = tmp_path / "cited.jsonl"
    cited.write_text(json.dumps({"id": ids[a], "relevant": [ids[b], ids[held_out]]}) + "\n")
    series = tmp_path / "series.jsonl"
    series.write_text(json.dumps({"series": "s", "members": [ids[b], ids[c], ids[d]]}) + "\n")
    found = read_relations([cited, series], corpus)
    assert found == {a: [b], b: sorted([a, c, d]), c: sorted([b, d]), d: sorted([b, c])}
    sampler = PairSampler(corpus, found, seed=0)
    related = [sampler.pair(n) for n in range(12 * len(sampler))]
    pairs = {pair.rows for pair in related if pair.kind == "related"}
    assert pairs
    assert all(second in found[first] for first, second in pairs)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("5", ":1: not a judgement"),
        ("null", ":1: not a judgement"),
        ('{"members": [1, 2]}', ":1: not a series of papers: write"),
        ('{"members": "1605.01938"}', ":1: not a series of papers: write"),
        ('{"members": ["1605.01938", "banana"]}', ":1: .*banana.* not an arXiv identifier"),
        ('{"members": ["1605.01938"]}\n5', ":2: not a series of papers: write"),
    ],
)
def test_a_line_that_is_no_relation_is_refused_by_its_number(
    corpus: Corpus, tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=f"pairs.jsonl{said}"):
        read_relations([path], corpus)


def test_papers_that_relations_leave_out_are_counted_and_blank_lines_are_none(
    corpus: Corpus, tmp_path: Path
) -> None:
    ids = [paper.id for paper in corpus]
    held_out = next(paper_id for paper_id in ids if is_held_out(paper_id))
    a, b, *_ = (paper_id for paper_id in ids if not is_held_out(paper_id))
    unknown = next(f"9901.{n:05}" for n in range(1, 99) if not is_held_out(f"9901.{n:05}"))
    series, words = tmp_path / "series.jsonl", tmp_path / "words.jsonl"
    said = Lines()
    series.write_text("\n" + json.dumps({"members": [a, b]}) + "\n \n")
    assert len(read_relations([series], corpus, reporter=said)) == 2
    assert not said
    series.write_text(json.dumps({"members": [a, b, held_out, unknown]}) + "\n")
    words.write_text(json.dumps({"query": "dust", "relevant": [a]}) + "\n")
    assert len(read_relations([series, words], corpus, reporter=said)) == 2
    [line] = said
    assert line == (
        "Of 4 papers in the pairs, 1 are held out and 1 are not in the corpus; 1 queries are "
        "words: those are left out."
    )


def requests_line(paper_id: str, **changes: object) -> str:
    """The requests for a paper, which differ from those for all others."""
    record = {form: f"{form} for {paper_id}" for form in ("question", "keywords", "need")}
    return json.dumps({"id": paper_id, **record, **changes}) + "\n"


def test_requests_are_asked_equally_often_between_the_papers_own_pairs(
    corpus: Corpus, tmp_path: Path
) -> None:
    ids = [paper.id for paper in corpus]
    train = [id for id in ids if not is_held_out(id)]
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(map(requests_line, train[:4])))
    requests = read_requests([file], corpus, SILENT)
    sampler = PairSampler(corpus, {}, 0, requests=requests, request_share=0.12)
    pairs = [sampler.pair(number) for number in range(1000)]
    asked = [pair for pair in pairs if pair.kind == "request"]
    assert len(asked) == 120
    counts = Counter(pair.query for pair in asked)
    assert set(counts) == {f"{form} for {id}" for form in FORMS for id in train[:4]}
    assert set(counts.values()) == {10}
    for pair in asked:
        (paper,) = corpus.papers([pair.rows[0]])
        assert (pair.query.split()[-1], pair.document) == (paper.id, paper.text)
        assert pair.rows[0] == pair.rows[1]
    others = [pair.rows[0] for pair in pairs if pair.kind != "request"]
    assert sorted(others[: len(sampler)]) == sampler.rows.tolist()  # no paper has lost its turn
    alone = PairSampler(corpus, {}, 0, request_share=0.12)
    assert not any(alone.pair(number).kind == "request" for number in range(200))


@pytest.mark.parametrize("fold", [0, 2])
def test_a_request_for_a_held_out_or_unknown_paper_is_left_out_and_counted(
    corpus: Corpus, tmp_path: Path, fold: int
) -> None:
    ids = [paper.id for paper in corpus]
    held_out = sum(is_held_out(id, fold) for id in ids)
    files = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    files[0].write_text("".join(map(requests_line, ids[:70])) + "\n")
    files[1].write_text("".join(map(requests_line, [f"arXiv:{id}v2" for id in ids[70:]])))
    with files[1].open("a") as stream:
        known = {is_held_out(id, fold): id for id in ("2501.00001", "2501.00002", "2501.00009")}
        stream.write(requests_line(known[False]))
    lines = Lines()
    requests = read_requests(files, corpus, lines, fold)
    rows = [row for row, id in enumerate(ids) if not is_held_out(id, fold)]
    assert [request.row for request in requests] == [row for row in rows for _ in FORMS]
    assert lines == [
        f"Of 121 papers with requests, {held_out} are held out and 1 are not in the corpus: those "
        "are left out."
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not the requests for a paper"),
        ('["a"]', "not the requests for a paper"),
        (requests_line("2501.0"), "not an arXiv identifier"),
        (requests_line("2501.00001", id=2501.00001), "not the requests for a paper"),
        (requests_line("2501.00001", need=None), "not the requests for a paper"),
        (requests_line("2501.00001", need=[]), "not the requests for a paper"),
        ('{"id": "2501.00001", "question": "Why?", "need": "Dust"}', "'keywords'"),
        (requests_line("2501.00001", question=" \n", need=""), "question, need of 2501.00001 is"),
        (requests_line("2501.00002"), "2501.00002 has its requests in"),
    ],
)
def test_a_line_that_is_not_three_requests_is_named(
    corpus: Corpus, tmp_path: Path, line: str, message: str
) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(requests_line("2501.00002") + line)
    with pytest.raises(InputError, match=f"requests.jsonl:2: .*{message}"):
        read_requests([file], corpus, SILENT)


def test_requests_of_which_none_can_be_used_are_an_error(corpus: Corpus, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    held_out = next(paper.id for paper in corpus if is_held_out(paper.id))
    for content in ("", requests_line(held_out)):
        file.write_text(content)
        with pytest.raises(InputError, match="no request for a training paper of this corpus"):
            read_requests([file], corpus, SILENT)


TRAINING = Path(training.__file__).parent


def test_the_requests_that_are_trained_on_and_those_for_development_are_apart() -> None:
    """And keep to the rules of training/README.md that can be seen without the papers."""
    ids = {}
    for name in ("requests.jsonl", "development.jsonl"):
        records = [orjson.loads(line) for line in (TRAINING / name).read_bytes().splitlines()]
        ids[name] = [parse_id(record["id"]).id for record in records]
        assert ids[name] == [record["id"] for record in records]
        assert len(set(ids[name])) == len(records)
        texts = [record[form] for record in records for form in FORMS]
        assert len(set(texts)) == len(texts)
        for record in records:
            assert tuple(record) == ("id", *FORMS)
            lengths = {form: len(record[form].split()) for form in FORMS}
            assert 3 <= lengths["keywords"] <= 12, record
            assert 8 <= lengths["question"] <= 45, record
            assert 6 <= lengths["need"] <= 45, record
    assert not any(map(is_held_out, ids["requests.jsonl"]))
    for name in ("development.jsonl", "two-clauses.jsonl"):
        lines = (TRAINING / name).read_bytes().splitlines()
        used = {orjson.loads(line)["id"] for line in lines}
        assert all(is_held_out(id, fold=1) for id in used)
        assert not used & set(ids["requests.jsonl"])


def test_a_paper_is_never_its_own_negative(corpus: Corpus, tmp_path: Path) -> None:
    sampler = PairSampler(corpus, {}, seed=0)
    a, b, c = sampler.rows[:3].tolist()
    mined = hard_negatives(corpus, sampler, tmp_path / "negatives.npy")
    assert mined.shape == (len(corpus), 8)
    for row, others in enumerate(mined.tolist()):
        assert row not in others
        assert set(others) - {-1} <= set(sampler.rows.tolist()) - {row}
    assert (mined[sampler.rows, 0] >= 0).mean() > 0.5
    # Nor is what is related to it; (query's paper, document's paper) against documents' papers.
    sampler = PairSampler(corpus, {a: [b], b: [a]}, seed=0)
    assert b not in hard_negatives(corpus, sampler, tmp_path / "others.npy")[a]
    assert sampler.false_negative_mask([(a, a), (c, c)], [a, c, b, a]).tolist() == [
        [True, False, True, True],
        [False, True, False, False],
    ]


# The objective


def test_info_nce_by_hand() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])  # the third: a hard negative
    none = torch.zeros(2, 3, dtype=torch.bool)
    t = 0.5
    # Cosines: query 0: 1, .6, 0; query 1: 0, .8, 1. Back: document 0: 1, 0; document 1: .6, .8.
    forth = log(1 + exp(-0.4 / t) + exp(-1 / t)) + log(1 + exp(-0.8 / t) + exp(0.2 / t))
    back = log(1 + exp(-1 / t)) + log(1 + exp(-0.2 / t))
    loss = info_nce(queries, documents, none, t).item()
    assert loss == pytest.approx((forth + back) / 4, rel=1e-6)
    # The hard negative turns out to be related to query 1: it is no negative of it any more.
    known = none.clone()
    known[1, 2] = True
    known[0, 0] = True  # its own document is related, and stays its positive
    forth = log(1 + exp(-0.4 / t) + exp(-1 / t)) + log(1 + exp(-0.8 / t))
    loss = info_nce(queries, documents, known, t).item()
    assert loss == pytest.approx((forth + back) / 4, rel=1e-6)


def test_nested_dimensions_are_losses_of_their_own() -> None:
    torch.manual_seed(0)
    queries, documents = (torch.nn.functional.normalize(torch.randn(5, 6), dim=1) for _ in range(2))
    none = torch.zeros(5, 5, dtype=torch.bool)
    asked, found = (
        torch.nn.functional.normalize(one[:, :2], dim=1) for one in (queries, documents)
    )
    both = (info_nce(queries, documents, none, 0.1) + info_nce(asked, found, none, 0.1)) / 2
    assert info_nce(queries, documents, none, 0.1, [2]).item() == pytest.approx(both.item())


@pytest.mark.parametrize("chunks", [[[0, 1, 2, 3, 4, 5]], [[3, 0], [5, 1, 4], [2]]])
def test_cached_gradients_are_the_plain_ones(chunks: list[list[int]]) -> None:
    torch.manual_seed(0)
    texts = torch.randn(6, 4)
    none = torch.zeros(3, 3, dtype=torch.bool)
    gradients = []
    for cached in (False, True):
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))

        def encode(some: Sequence[int], model: torch.nn.Module = model) -> torch.Tensor:
            return torch.nn.functional.normalize(model(texts[list(some)]), dim=1)

        def loss_of(vectors: torch.Tensor) -> torch.Tensor:
            return info_nce(vectors[:3], vectors[3:], none, 0.1)

        whole = loss_of(encode(range(6))).item()
        loss = back_propagate(encode, chunks, loss_of, cached=cached)
        assert loss.item() == pytest.approx(whole, rel=1e-5)
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, ours in zip(*gradients, strict=True):
        assert plain is not None
        assert ours is not None
        assert torch.allclose(plain, ours, atol=1e-5)


def test_the_late_interaction_score_is_that_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator), dim=1)
    weights = torch.rand(9, generator=generator) + 0.1
    queries = [[0, 3, 4, 3], [0, 8]]
    documents = [[0, 1, 2, 2, 2], [0, 3, 4, 5, 6, 7], [0, 8, 8]]
    candidates = [[0, 1], [2, 0]]

    def share(text: list[int]) -> dict[int, float]:
        raw = {token: weights[token].item() * text.count(token) ** 0.5 for token in text[1:]}
        return {token: weight / sum(raw.values()) for token, weight in raw.items()}

    def mean_of_nearest(one: list[int], other: list[int]) -> float:
        return sum(
            weight * max((vectors[token] @ vectors[near]).item() for near in other[1:])
            for token, weight in share(one).items()
        )

    expected = [
        [
            (mean_of_nearest(query, documents[n]) + mean_of_nearest(documents[n], query)) / 2
            for n in row
        ]
        for query, row in zip(queries, candidates, strict=True)
    ]
    bags = [TokenBags.of(texts, torch.device("cpu")) for texts in (queries, documents)]
    found = late_interaction_scores(
        vectors, weights, bags[0], bags[1].take(torch.tensor(candidates))
    )
    assert found.tolist() == [pytest.approx(row, rel=1e-5) for row in expected]
    assert found[1, 0].item() == pytest.approx(1)  # the same token, however often


def test_a_query_is_compared_with_its_own_document_and_those_nearest_that_may_be_negatives() -> (
    None
):
    cosines = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.8, 0.2, 0.6, 0.4]])
    excluded = torch.zeros(2, 4, dtype=torch.bool)
    excluded[0, 1] = excluded[0, 0] = True
    assert nearest_documents(cosines, excluded, 3).tolist() == [[0, 3, 2], [1, 0, 2]]
    assert nearest_documents(cosines, excluded, 9).shape == (2, 4)


def test_a_masked_query_keeps_what_its_document_lacks() -> None:
    query, document = [1, *range(10, 30)], [1, *range(20, 60)]
    drawn = [mask_query(query, document, np.random.default_rng(seed)) for seed in range(200)]
    for kept in drawn:
        assert kept is not None
        assert kept[:11] == query[:11]  # BOS, and the tokens that the document lacks
        assert kept == [token for token in query if token in kept]
    shared = [len(kept) - 11 for kept in drawn if kept]
    assert 2.5 < np.mean(shared) < 3.5  # of ten, seven are lost
    # Of nothing but shared words too little may be left.
    assert None in [
        mask_query([1, 20, 21, 22], document, np.random.default_rng(n)) for n in range(20)
    ]


def test_distillation_by_hand() -> None:
    cosines = torch.tensor([[0.1, 0.0], [0.05, 0.1]])
    scores = torch.tensor([[2.0, 0.0], [1.0, 1.0]])

    def share(a: float, b: float) -> float:
        return 1 / (1 + exp(b - a))

    t = TEMPERATURE
    rows = [  # the teacher's share of the first, and the student's
        (share(0.1 / t, 0), share(2, 0)),
        (share(0.05 / t, 0.1 / t), share(1, 1)),
    ]
    columns = [
        (share(0.1 / t, 0.05 / t), share(2, 1)),
        (share(0, 0.1 / t), share(0, 1)),
    ]
    entropies = [-p * log(q) - (1 - p) * log(1 - q) for p, q in rows + columns]
    assert distillation(scores, cosines).item() == pytest.approx(sum(entropies) / 4, rel=1e-5)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn() -> None:
    torch.manual_seed(0)
    cosines = torch.rand(6, 6)
    scores = (cosines / TEMPERATURE).requires_grad_()
    distillation(scores, cosines).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.abs().max() < 1e-6


class _Letters:
    """An encoder whose vectors are counts of letters, and which counts what it was asked."""

    dimension = 26

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        counts = [[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        return unit_rows(np.array(counts, dtype=np.float32).reshape(-1, 26))


def test_a_teacher_reads_each_training_abstract_once_and_is_asked_about_questions_alone(
    corpus: Corpus, tmp_path: Path
) -> None:
    sampler, letters = PairSampler(corpus, {}, seed=0), _Letters()
    file = tmp_path / "teacher.npy"
    told: list[tuple[int, int]] = []
    watch = Watch(lambda done, total: told.append((done, total)))
    for _ in range(2):
        teacher = Teacher(letters, sampler, file, watch)  # type: ignore[arg-type]
        assert letters.asked == len(sampler)
    assert told[-1] == (0, 0)
    pairs = [sampler.pair(number) for number in range(40)]
    fair = [number % 3 != 0 for number in range(40)]
    places, cosines = teacher.soft_labels(pairs, fair)
    assert places == [
        n for n in range(40) if fair[n] and pairs[n].kind in ("title", "sentence", "span")
    ]
    papers = [corpus.papers([pairs[n].rows[1]])[0].abstract for n in places]
    expected = letters.encode([pairs[n].query for n in places]) @ letters.encode(papers).T
    np.testing.assert_allclose(cosines, expected, atol=2e-3)
    assert teacher.soft_labels([Pair("a", "b", (0, 0), "half")], [True])[0] == []


# The run


def test_the_learning_rate_rises_for_the_warm_up_and_falls_to_a_twentieth() -> None:
    shares = [learning_rate_share(step, steps=22, warmup=2) for step in range(23)]
    assert shares[:3] == [0, 0.5, 1]
    assert shares[12] == pytest.approx((1 + 0.05) / 2)  # half way down
    assert shares[22] == pytest.approx(0.05)
    assert learning_rate_share(0, steps=1, warmup=0) == 1


@pytest.mark.slow
def test_what_a_teacher_knows_is_learnt(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path, corpus: Corpus
) -> None:
    """The teacher is a random model, whose likes and dislikes nobody would come to alone."""
    papers = list(corpus)

    def cosines(name: str) -> np.ndarray:
        encoder = load_encoder(encoder_spec(name), SILENT, dtype="float32")
        titles, abstracts = [p.title for p in papers], [p.abstract for p in papers]
        found = encoder.encode(titles) @ encoder.encode(abstracts).T
        return found[~np.eye(len(papers), dtype=bool)]

    agreement = []
    for name, share in (("alone", 0), ("taught", 1)):
        options = _options(tiny_llama, tmp_path / name)
        taught = ("--teacher", tiny_llama, "--teacher-share", share, "--epochs", 20, "--layers", 0)
        run("train", "contrast", source, *options, *taught)
        made = cosines(str(tmp_path / name))
        agreement.append(np.corrcoef(made, cosines(str(tiny_llama)))[0, 1])
    assert agreement[1] > agreement[0] + 0.1
    settings = json.loads((tmp_path / "taught" / "training.json").read_text())["settings"]
    assert (settings["teacher"], settings["teacher_share"]) == (str(tiny_llama), 1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--layers", 2, "--all-layers"), "--layers and --all-layers contradict each other"),
        (("--layers", 2, "--kept-rank", 8), "--kept-rank has no effect with layers"),
        (("--all-layers", "--kept-rank", 8), "--kept-rank has no effect with layers"),
        (("--attention", "causal"), "--attention has no effect without layers"),
        (("--teacher-share", 0.5), "--teacher-share needs --teacher"),
        (
            ("--pooling", "mean-without-bos", "--weight-learning-rate", 0.1),
            "--weight-learning-rate has no effect with --pooling mean-without-bos",
        ),
    ],
)
def test_an_option_without_effect_is_refused(
    run: Run, source: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    command = ("train", "contrast", source, "--out", tmp_path / "made")
    assert said in run(*command, *options, code=2).stderr
    assert not (tmp_path / "made").exists()


def _options(tiny_llama: Path, out: Path) -> list[object]:
    return [
        *("--base", tiny_llama, "--out", out, "--layers", 2, "--rank", 4, "--batch", 16),
        *("--dimension", 32, "--epochs", 3, "--dtype", "float32", "--memory-tokens", 512),
        *("--learning-rate", 3e-2),
    ]


@pytest.mark.parametrize(
    "attention", ["causal", pytest.param("bidirectional", marks=pytest.mark.slow)]
)
def test_the_encoder_it_makes_finds_more_and_is_the_same_without_torch(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path, attention: str
) -> None:
    out = tmp_path / "embed"
    options = _options(tiny_llama, out)
    run("train", "contrast", source, *options, "--attention", attention, "--epochs", 6)
    entries = Log(out / "log.csv").entries()
    losses = [entry.loss for entry in entries if entry.loss is not None]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
    assert "An encoder of astronomy papers" in (out / "README.md").read_text()
    spec = encoder_spec(str(out))
    assert (spec.layers, spec.attention, spec.adapter) == (2, attention, str(out))
    encoder, short = load_encoder(spec, SILENT, dtype="float32"), load_query_encoder(spec, SILENT)
    assert type(short).__name__ == "LlamaEncoder"
    texts = ["gas stream of a quasar", "dust", "Stars in the Milky Way and black hole disc"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, 32)
    assert np.allclose(short.encode(texts), vectors, atol=1e-5)
    assert np.allclose(encoder.encode(texts[:1]), vectors[:1], atol=1e-5)
    run("index", "embedded", "--corpus", source, "--encoder", out)
    assert run("query", "gas stream", "-i", "embedded", "--mode", "dense").stdout


def test_it_begins_from_a_language_models_adapter(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    blocks, language = tmp_path / "blocks", tmp_path / "language"
    many = tmp_path / "many.json"
    many.write_text("\n".join(kaggle_line(number) for number in range(300)) + "\n")
    run("train", "prepare", many, "--base", tiny_llama, "--out", blocks)
    asked = ("--base", tiny_llama, "--data", blocks, "--out", language, "--dtype", "float32")
    run("train", "finetune", *asked, "--rank", 4, "--batch", 2, "--max-tokens", 2048)
    options = _options(tiny_llama, tmp_path / "embed")
    few = ("--max-pairs", 16, "--learning-rate", 1e-9)  # one step that changes next to nothing
    run("train", "contrast", source, *options, *few, "--adapter", language)
    from safetensors.numpy import load_file, save_file

    begun = load_file(language / "adapter_model.safetensors")
    made = load_torch(tmp_path / "embed" / "adapter_model.safetensors")
    name = "base_model.model.{}layers.1.mlp.up_proj.lora_B.weight"
    scaled = begun[name.format("model.")] * 8  # alpha 32, rank 4
    assert np.abs(scaled).max() > 0
    assert np.allclose(made[name.format("")].numpy(), scaled, atol=1e-3)
    result = run(
        "train",
        "contrast",
        source,
        *_options(tiny_llama, tmp_path / "e2"),
        "--rank",
        2,
        "--adapter",
        language,
        code=2,
    )
    assert "has rank 4, more than this run's rank of 2" in result.stderr
    del begun[name.format("model.")]
    begun["base_model.model.model.h.1.mlp.up_proj.lora_B.weight"] = scaled
    save_file(begun, language / "adapter_model.safetensors")
    wrong = _options(tiny_llama, tmp_path / "e3")
    result = run("train", "contrast", source, *wrong, "--adapter", language, code=2)
    assert "1 of its weights are missing" in result.stderr
    assert "layers.1.mlp.up_proj.lora_B" in result.stderr
    assert "1 of its weights belong to no part of this base, as" in result.stderr


def test_it_begins_where_an_embedding_adapter_ends(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    words, whole = tmp_path / "words", tmp_path / "whole"
    options = (*_options(tiny_llama, words), "--layers", 0, "--max-pairs", 64)
    said = run("train", "contrast", source, *options).stderr
    assert "--memory-tokens has no effect without layers" in said
    # Of a rank beyond the adapter's, which adds nothing at first.
    options = (*_options(tiny_llama, whole), "--max-pairs", 16, "--adapter", words, "--rank", 6)
    still = ("--learning-rate", 1e-9, "--head-learning-rate", 1e-9)
    run("train", "contrast", source, *options, *still, "--pooling", "weighted-first-last")
    # What the layers find counts nothing yet, so the vectors are those of the words alone.
    texts = ["gas stream of a quasar", "dust"]
    one, two = (
        load_encoder(encoder_spec(str(one)), SILENT, dtype="float32") for one in (words, whole)
    )
    assert (one.spec.layers, two.spec.layers) == (0, 2)
    # The map is rounded to 16 bits once more.
    assert ((one.encode(texts) * two.encode(texts)).sum(axis=1) > 0.999).all()
    again = load_query_encoder(two.spec, SILENT)
    assert type(again).__name__ == "LlamaEncoder"
    assert np.allclose(again.encode(texts), two.encode(texts), atol=1e-5)
    index = ("index", "x", "--corpus", source)
    assert "takes no --adapter" in run(*index, "--encoder", words, "--layers", 1, code=2).stderr
    assert "is an encoder by itself" in run(*index, "--adapter", words, code=2).stderr
    wrong = (*options, "--dimension", 8, "--out", tmp_path / "wrong")
    result = run("train", "contrast", source, *wrong, code=2)
    assert "has 64 rows and dimension 32, this run's 64 rows and dimension 8" in result.stderr
    same = (*wrong, "--layers", 0, "--pooling", "weighted-first-last")
    result = run("train", "contrast", source, *same, code=2)
    assert "weighted-first-last needs at least one layer" in result.stderr


@pytest.mark.slow
def test_what_is_learnt_of_a_vocabulary_is_kept_at_a_lower_rank_in_8_bits(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    titles = [json.loads(long_line(number))["title"] for number in range(120)]
    vectors, size = {}, {}
    for name, rank, kept in (("whole", 32, 32), ("narrow", 32, 12), ("begun", 1, 1)):
        out = tmp_path / name
        options = (*_options(tiny_llama, out), "--layers", 0, "--rank", rank, "--kept-rank", kept)
        epochs = 0.1 if name == "begun" else 6
        run("train", "contrast", source, *options, "--epochs", epochs)
        config = json.loads((out / "adapter_config.json").read_text())
        assert config["r"] == config["lora_alpha"] == kept
        weights = load_torch(out / "adapter_model.safetensors")
        (down,) = (one for key, one in weights.items() if key.endswith("lora_embedding_A"))
        assert (down.dtype, down.shape[0]) == (torch.float8_e4m3fn, kept)
        assert 4 <= down.float().abs().max() <= 8
        spec = encoder_spec(str(out))
        encoder, short = load_encoder(spec, SILENT), load_query_encoder(spec, SILENT)
        assert type(short).__name__ == "StaticEncoder"
        assert np.allclose(short.encode(titles), encoder.encode(titles), atol=1e-5)
        vectors[name] = encoder.encode(titles)
        size[name] = (out / "adapter_model.safetensors").stat().st_size
    head = load_file(out / "head.safetensors")
    save_file(head | {"token_weights": head["token_weights"][:9]}, out / "head.safetensors")
    with pytest.raises(InputError, match="is of another model: mean, projection and token weights"):
        load_query_encoder(encoder_spec(str(out)), SILENT)
    assert size["narrow"] < size["whole"] / 2
    kept_cosines = (vectors["narrow"] * vectors["whole"]).sum(axis=1)
    assert kept_cosines.mean() > 0.95
    assert kept_cosines.mean() > (vectors["begun"] * vectors["whole"]).sum(axis=1).mean() + 0.02


def test_what_compares_tokens_is_learnt(
    tiny_llama: Path, source: Path, tmp_path: Path, corpus: Corpus, run: Run
) -> None:
    """Of random token vectors, until each title has its own abstract first."""
    settings = ContrastSettings(str(tiny_llama), layers=0, rank=8, dimension=32)
    sampler = PairSampler(corpus, {}, seed=0)
    device = torch.device("cpu")
    model = untrained_model(settings, tiny_llama, sampler, device, SILENT)
    papers = corpus.papers(sampler.rows[:24].tolist())
    tokens = tokens_of(settings, tiny_llama, 512)
    titles, abstracts = [paper.title for paper in papers], [paper.abstract for paper in papers]
    ids = tokens.ids(titles + abstracts)
    excluded = torch.zeros(24, 24, dtype=torch.bool)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-2)
    losses = []
    for _ in range(80):
        with torch.no_grad():
            vectors = model(*padded(ids, device))
        known = model.token_states(torch.tensor([token for text in ids for token in text]))
        loss = late_interaction_loss(model, known, ids, vectors, excluded, np.arange(24), 0.04)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    whole, known = padded(ids, device), model.token_states(known.tokens)
    assert torch.allclose(model(*whole, known), model(*whole), atol=1e-5)
    assert losses[0] > 1
    assert losses[-1] < 0.5 * losses[0]
    options = _options(tiny_llama, tmp_path / "layers")
    result = run("train", "contrast", source, *options, "--token-share", 0.5, code=2)
    assert "only without layers" in result.stderr
    plain = ("--layers", 0, "--pooling", "mean-without-bos", "--token-share", 0.5)
    result = run("train", "contrast", source, *options, *plain, code=2)
    assert "which pooling mean-without-bos does not have" in result.stderr


def test_a_share_of_the_loss_is_that_of_compared_tokens(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    """The first step's loss, of equal weights and pairs, is a mean of both."""
    losses = []
    for share in (0, 1, 0.25):
        out = tmp_path / f"share-{share}"
        options = (*_options(tiny_llama, out), "--layers", 0, "--max-pairs", 16)
        run("train", "contrast", source, *options, "--token-share", share)
        (loss,) = [entry.loss for entry in Log(out / "log.csv").entries() if entry.loss is not None]
        losses.append(loss)
    vectors, tokens, both = losses
    assert abs(vectors - tokens) > 0.01
    assert both == pytest.approx(0.75 * vectors + 0.25 * tokens, abs=1e-4)


def test_a_run_with_requests_says_so_and_is_not_gone_on_with_when_they_change(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path, corpus: Corpus
) -> None:
    file, out = tmp_path / "requests.jsonl", tmp_path / "embed"
    ids = [paper.id for paper in corpus]
    file.write_text("".join(map(requests_line, ids[:40])))
    held_out = sum(map(is_held_out, ids[:40]))
    command = (*_paused(tiny_llama, source, out), "--requests", file, "--request-share", 0.5)
    result = run(*command)
    assert f"Of 40 papers with requests, {held_out} are held out and 0 are not" in result.stderr
    assert "Going on from step 1" in run(*command).stderr
    changed = file.read_text().replace("keywords for", "words for", 1)
    file.write_text(changed)
    assert "other data" in run(*command, code=2).stderr
    run(*command, "--restart", "--max-minutes", 9)
    training = json.loads((out / "training.json").read_text())
    assert training["data"]["requests"] == 3 * (40 - held_out)
    assert f"and {3 * (40 - held_out)} requests were" in (out / "README.md").read_text()
    without = run(*_paused(tiny_llama, source, out), "--request-share", 0.5, code=2)
    assert "--request-share belongs to --requests FILE" in without.stderr


@pytest.mark.slow
def test_killed_at_any_step_it_ends_at_the_same_weights(
    tiny_llama: Path, source: Path, tmp_path: Path
) -> None:
    def start(out: Path, last_step: int | None = None) -> BaseProcess:
        options = (*_options(tiny_llama, out), "--max-pairs", 128, "--checkpoint-minutes", 0)
        said = out.with_suffix(".said")
        return train_apart("contrast", source, *options, said=said, last_step=last_step)

    out, whole = tmp_path / "embed", start(tmp_path / "whole")
    killed = start(out, last_step=4)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert not out.exists()
    for name, process in (("embed", start(out)), ("whole", whole)):
        process.join()
        assert process.exitcode == 0, (tmp_path / f"{name}.said").read_text()
    files = ("adapter_model.safetensors", "head.safetensors")
    for name in files:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _paused(tiny_llama: Path, source: Path, out: Path) -> list[object]:
    """A run that pauses after its first step."""
    return ["train", "contrast", source, *_options(tiny_llama, out), "--max-minutes", 1e-6]


def test_a_run_that_goes_on_imports_its_corpus_once(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "papers.json"
    mine.write_bytes(source.read_bytes())
    os.utime(mine, (1, 1))  # however coarse the clock of the file system is
    command = _paused(tiny_llama, mine, tmp_path / "embed")
    papers = tmp_path / ".embed.partial" / "papers.sqlite"
    run(*command)
    os.utime(papers, (1, 1))
    imported = papers.stat()
    assert "Going on from step 1" in run(*command).stderr
    assert (papers.stat().st_ino, papers.stat().st_mtime_ns) == (
        imported.st_ino,
        imported.st_mtime_ns,
    )
    # Touched but unchanged, the papers are imported again and found to be the same.
    mine.touch()
    assert "Going on from step 2" in run(*command).stderr
    assert papers.stat().st_mtime_ns != imported.st_mtime_ns


def test_an_unfinished_run_of_other_settings_or_data_is_not_gone_on_with(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "papers.json"
    mine.write_bytes(source.read_bytes())
    command = _paused(tiny_llama, mine, tmp_path / "embed")
    papers = tmp_path / ".embed.partial" / "papers.sqlite"
    run(*command)
    imported = papers.read_bytes()
    mine.write_text(mine.read_text() + long_line(500) + "\n")
    result = run(*command, "--temperature", 0.1, code=2)
    assert "temperature was 0.04, is now 0.1" in result.stderr
    assert "--restart to discard it" in result.stderr
    assert papers.read_bytes() == imported  # settings are compared before the corpus is read
    assert "other data" in run(*command, code=2).stderr
    assert "Going on" not in run(*command, "--restart").stderr


@pytest.mark.slow
def test_of_two_runs_in_one_folder_the_second_gives_way(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "embed", tmp_path / "said"
    options = (*_options(tiny_llama, out), "--epochs", 40)
    go_on = event()
    first = train_apart("contrast", source, *options, said=said, last_step=2, go_on=go_on)
    wait_for_step(Log(tmp_path / ".embed.partial" / "log.csv"), 2)
    result = run("train", "contrast", source, *options, code=1)
    assert f"another process is making {out}" in result.stderr
    restarted = run("train", "contrast", source, *options, "--restart", code=1)
    assert restarted.stderr == result.stderr
    go_on.set()
    first.join()
    assert first.exitcode == 0, said.read_text()
    assert (out / "adapter_model.safetensors").exists()


def test_several_processes_are_refused(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    out = tmp_path / "embed"
    result = run("train", "contrast", source, *_options(tiny_llama, out), code=2)
    assert "runs in one process" in result.stderr


def test_too_few_papers_for_a_batch_are_a_line(
    run: Run, source: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    options = _options(tiny_llama, tmp_path / "embed")
    result = run("train", "contrast", source, *options, "--batch", 500, code=2)
    assert "fewer than the 500 pairs of a batch" in result.stderr


@pytest.fixture
def cited(eight_papers: Path, run: Run, home: Path, tmp_path: Path) -> Callable[..., Path]:
    """Imports references between made-up papers, of which an index is in the folder."""
    shutil.copytree(eight_papers, home)

    def imported(references: dict[str, list[str]]) -> Path:
        lines = [json.dumps({"id": one, "references": many}) for one, many in references.items()]
        (tmp_path / "graph.jsonl").write_text("\n".join(lines) + "\n")
        run("citations", "import", tmp_path / "graph.jsonl")
        return home / "indexes/papers"

    return imported


def _of_eight(home: Path, tmp_path: Path) -> tuple[Corpus, dict[str, int], list[str], list[str]]:
    """The made-up papers, their rows, those that are trained on and those that are held out."""
    papers = tmp_path / "eight.sqlite"
    import_papers([home / "corpus.json"], Selection(), papers, tmp_path / "rejected.jsonl")
    corpus = Corpus(papers)
    rows = corpus.ids()
    held_out = [paper_id for paper_id in rows if is_held_out(paper_id, fold=1)]
    assert held_out
    return corpus, rows, [paper_id for paper_id in rows if paper_id not in held_out], held_out


def test_the_citations_of_an_index_are_relations(
    cited: Callable[..., Path], home: Path, tmp_path: Path
) -> None:
    corpus, rows, [a, b, c, d, *_], [held_out, *_] = _of_eight(home, tmp_path)
    folder = cited({a: [b, held_out, "10.1000/elsewhere"], c: [a], held_out: [d]})
    found = read_relations([folder], corpus, fold=1)
    row_a, row_b, row_c = rows[a], rows[b], rows[c]
    assert found == {row_a: sorted([row_b, row_c]), row_b: [row_a], row_c: [row_a]}
    sampler = PairSampler(corpus, found, seed=0, related_share=0.8, fold=1)
    kinds = [sampler.pair(number).kind for number in range(100 * len(sampler))]
    related = kinds.count("related") / len(kinds)
    assert related == pytest.approx(0.8 * 3 / len(sampler), abs=0.05)
    assert kinds.count("span") / len(kinds) == pytest.approx(0.2 * 0.2 / 0.95, abs=0.03)


def test_neighbours_are_the_nearest_by_what_is_cited_and_what_cites(
    cited: Callable[..., Path], home: Path, tmp_path: Path
) -> None:
    corpus, rows, [a, b, c, d, e, *_], [held_out, *_] = _of_eight(home, tmp_path)
    x, y, z = "10.1000/x", "10.1000/y", "10.1000/z"
    # a and b cite the same; c shares one work of two with them; d and e are cited together, once
    # by a paper that is held out.
    folder = cited({a: [x, y], b: [x, y], c: [y, z], "2301.00001": [d, e], held_out: [d, c]})
    found = read_relations([folder], corpus, fold=1, neighbours=1)
    assert found == {
        rows[a]: [rows[b]],
        rows[b]: [rows[a]],
        rows[c]: [min(rows[a], rows[b])],
        rows[d]: [rows[e]],
        rows[e]: [rows[d]],
    }
    wider = read_relations([folder], corpus, fold=1, neighbours=5)
    assert wider[rows[a]] == sorted([rows[b], rows[c]])


def test_a_folder_without_citations_is_one_line(
    run: Run, eight_papers: Path, source: Path, tmp_path: Path
) -> None:
    folder = eight_papers / "indexes/papers"
    few = ("train", "contrast", source, "--out", tmp_path / "made", "--batch", 2)
    for options, said in (
        (("--pairs", folder), "index papers has no citations"),
        (("--pairs", tmp_path), "is not the folder of an index"),
        (("--pairs", source, "--neighbours", 3), "--neighbours belongs to --pairs with the folder"),
        (("--related-share", 0.2), "--related-share belongs to --pairs"),
    ):
        assert said in run(*few, *options, code=2).stderr

"""A cross-encoder that reads the first hits: its arithmetic, its training, `query --rerank`."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel

from astrosearch import open_index
from astrosearch.errors import InputError
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.search.cross_encoder import CrossEncoder, shipped_cross_encoder
from astrosearch.search.hits import Hit
from astrosearch.search.searcher import NOTHING_TO_READ
from tests.conftest import Run
from training import reranking
from training.contrastive.requests import FORMS


@pytest.fixture
def base(words_index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A BERT of two layers and random weights that knows the words of the index; the base that is
    trained on."""
    folder = tmp_path / "bert"
    words = sorted({word for paper in words_index.corpus for word in paper.text.lower().split()})
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]
    tokenizer = Tokenizer(WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(names),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=256,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    monkeypatch.setattr(reranking, "BASE", str(folder))
    return folder


def requests_file(index: Index, path: Path) -> Path:
    """Requests for each paper of an index: pieces of its abstract."""
    lines = []
    for paper in index.corpus:
        words = paper.abstract.split()
        forms = (" ".join(words[start : start + 5]) for start in (0, 4, 8))
        lines.append(dict(zip(("id", *FORMS), (paper.id, *forms), strict=True)))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def trained_folder(base: Path, words_index: Index, run: Run, tmp_path: Path) -> Path:
    """A cross-encoder of four steps."""
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    out = tmp_path / "reader"
    line = ("train", "rerank", "words", "--requests", requests, "--layers", 1, "--steps", 4)
    table = run(*line, "--judged", 5, "--out", out).stdout.splitlines()
    assert table[0].split()[:3] == ["queries", "learnt", "order"]
    assert {each.split()[0] for each in table[1:4]} == {"question", "keywords", "need"}
    return out


def test_how_much_reading_counts_is_fitted_among_all_papers(
    trained_folder: Path, words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    line = ("train", "mixture", "words", "--requests", requests, "--reader", trained_folder)
    table = run(*line, "--out", tmp_path / "config.json").stdout.splitlines()
    assert {each.split()[0] for each in table[1:4]} == {"question", "keywords", "need"}
    before = json.loads((trained_folder / "config.json").read_bytes())
    after = json.loads((tmp_path / "config.json").read_bytes())
    assert before.pop("mixture") != after.pop("mixture")
    assert before == after


def test_what_was_trained_gives_the_same_scores_without_torch(
    trained_folder: Path, base: Path, words_index: Index
) -> None:
    papers = list(words_index.corpus)[:6]
    reader = CrossEncoder(trained_folder)
    model = reranking.Model(base, 1)
    # The same weights as the file has: whole numbers times a scale for each row.
    graph = onnx.load(trained_folder / "model.onnx").graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights = {}
    for name in model.state_dict():
        array = arrays.get(name.removeprefix("body."))
        if array is None:
            assert "pooler" in name
            continue
        if name.endswith("embeddings.weight"):
            array = array * arrays[name.removeprefix("body.").replace(".weight", ".scale")]
        elif array.dtype == np.int8:
            array = (
                array.T * arrays[name.removeprefix("body.").replace(".weight", ".scale")][:, None]
            )
        elif array.ndim == 2:
            array = array.T
        weights[name] = torch.tensor(array)
    unknown = model.load_state_dict(weights, strict=False)
    assert not unknown.unexpected_keys
    with torch.no_grad():
        expected = model([("gas of a dwarf", paper) for paper in papers]).numpy()
    scores = reader.scores("gas of a dwarf", papers)
    assert scores.dtype == np.float32
    # What is multiplied in whole numbers is rounded.
    assert np.ptp(expected) > 1e-3
    assert np.abs(scores - expected).max() < 0.1 * np.ptp(expected)


def test_a_folder_without_a_sound_model_is_one_line(
    trained_folder: Path, words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    line = ("train", "mixture", "words", "--requests", requests, "--reader", trained_folder)
    file = trained_folder / "model.onnx"
    file.write_bytes(file.read_bytes()[:2000])
    said = run(*line, "--out", tmp_path / "config.json", code=2).stderr
    assert "model.onnx is not a model that can be run" in said
    file.unlink()
    assert "model.onnx cannot be used" in run(*line, "--out", tmp_path / "c.json", code=1).stderr


def test_a_run_that_was_stopped_goes_on_and_other_settings_are_refused(
    base: Path, words_index: Index, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    line = ("train", "rerank", "words", "--requests", requests, "--layers", 1, "--judged", 5)
    monkeypatch.setattr(reranking, "SAVE_EVERY", 2)
    run(*line, "--steps", 4, "--out", tmp_path / "whole")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(reranking, "_mixture", stop)
        run(*line, "--steps", 4, "--out", tmp_path / "cut", code=130)
    refused = run(*line, "--steps", 5, "--out", tmp_path / "cut", code=2)
    assert "unfinished run of other settings" in refused.stderr
    run(*line, "--steps", 4, "--out", tmp_path / "cut")
    whole, cut = ((tmp_path / name / "model.onnx") for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


def hit(rank: int, title: str, score: float, author_match: float | None = None) -> Hit:
    paper = Paper(
        f"2001.{rank:05}",
        title,
        "An abstract.",
        ("Ada Roe",),
        ("astro-ph.GA",),
        date(2020, 1, rank),
    )
    return Hit(
        rank,
        score,
        paper,
        round(100 * score),
        author_match=author_match,
        contributions={"words": 1.0},
    )


def test_both_the_learnt_order_and_the_reading_count() -> None:
    reader = shipped_cross_encoder()
    question = "does the crust of a neutron star crack?"
    hits = [
        hit(1, "Galaxy clusters in X-rays", 0.31),
        hit(2, "Cracks in the crust of neutron stars", 0.3),
        hit(3, "The crust of a neutron star", 0.0001),
    ]
    reranked = reader.rerank(question, hits)
    assert reranked[0].paper.title == "Cracks in the crust of neutron stars"
    assert [each.rank for each in reranked] == [1, 2, 3]
    assert [each.match for each in reranked] == sorted(
        (each.match for each in reranked), reverse=True
    )
    assert reranked[0].contributions["context"] > 0
    alone = reader.scores(question, [each.paper for each in hits])
    assert alone[1] > alone[0]


def test_papers_of_a_named_author_stay_first() -> None:
    reader = shipped_cross_encoder()
    hits = [
        hit(1, "Galaxy clusters in X-rays", 0.61, author_match=1.0),
        hit(2, "Cracks in the crust of neutron stars", 0.2, author_match=0.0),
    ]
    reranked = reader.rerank("the crust of a neutron star", hits)
    assert [each.rank for each in reranked] == [1, 2]
    assert reranked[0].paper == hits[0].paper
    assert reranked[0].score >= 0.6


def test_an_order_that_was_not_learnt_is_refused() -> None:
    bare = replace(hit(1, "Dust", 0.5), contributions={})
    with pytest.raises(InputError, match="adds to the learnt order"):
        shipped_cross_encoder().rerank("dust", [bare])
    assert shipped_cross_encoder().rerank("dust", []) == []


def test_a_query_is_reranked_and_says_so(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    text = "planets that might have liquid water"
    hits = json.loads(run("query", text, "--rerank", "--format", "json").stdout)["hits"]
    assert len(hits) == 10
    assert all("context" in each["contributions"] for each in hits)
    assert [each["match"] for each in hits] == sorted((e["match"] for e in hits), reverse=True)
    plain, read = (run("query", text, "--explain", *more).stdout for more in ((), ("--rerank",)))
    assert read.splitlines()[0].count("\t") == plain.splitlines()[0].count("\t") + 1
    with open_index("sampler", reranker=shipped_cross_encoder()) as searcher:
        assert [each.paper.id for each in searcher.query(text)] == [each["id"] for each in hits]


def test_what_cannot_be_reranked_is_told(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    for option in ("--mode lexical", "--ranker mean"):
        for line in (("tidal tails",), ("--batch", "-"), ("--index", "none", "tidal tails")):
            result = run("query", *line, *option.split(), "--rerank", stdin="dust\n", code=2)
            assert result.stdout == ""
            assert (
                f"--rerank adds to the learnt order of hits, which {option} does not have: leave "
                f"{option} out, or --rerank"
            ) in result.stderr
    result = run("query", "--rerank", "tidal tails", code=2)
    assert "write --rerank alone behind the text" in result.stderr


def test_a_ranker_without_effect_is_told(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    told = "--ranker has no effect with --mode lexical"
    assert told in run("query", "dust", "--mode", "lexical", "--ranker", "mean").stderr
    assert told not in run("query", "dust", "--ranker", "mean").stderr
    assert told in run("similar", "2503.14368", "--mode", "lexical", "--ranker", "mean").stderr


def test_an_encoder_that_compares_no_tokens_makes_a_ranker_without_effect(
    built: Path, run: Run
) -> None:
    said = run("query", "dust", "--ranker", "mean").stderr
    assert "--ranker has no effect on index main" in said
    refused = run("query", "dust", "--rerank", code=2).stderr
    assert "which index main does not have" in refused
    assert "leave --rerank out" in refused


def test_filters_alone_are_said_to_be_listed_by_date(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    for options, given in (
        ("--mode lexical --ranker mean", "--mode lexical and --ranker mean have"),
        ("--mode dense", "--mode dense has"),
        ("--ranker mean", "--ranker mean has"),
    ):
        said = run("query", "year:2024", *options.split()).stderr
        assert f"{given} no effect on filters alone: the newest papers come first" in said
        assert "BM25" not in said
    assert "no effect" not in run("query", "year:2024").stderr
    assert "no effect" not in run("query", "2503.14368", "--mode", "dense").stderr


def test_reranking_without_words_is_told_to_have_no_effect(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    for text in ("2503.14368", "year:2024"):
        told = run("query", text, "--rerank").stderr
        assert "Reading hits again has no effect without words to rank by" in told
        with open_index("sampler", reranker=shipped_cross_encoder()) as searcher:
            [answer] = searcher.answers([text])
        assert NOTHING_TO_READ in answer.notes
    assert "no effect" not in run("query", "dust", "--rerank").stderr


def test_an_evaluation_reads_what_its_documents_have(
    sampler_home: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    read: list[Paper] = []
    scores = CrossEncoder.scores

    def watched(reader: CrossEncoder, query: str, papers: list[Paper]) -> object:
        read.extend(papers)
        return scores(reader, query, papers)

    monkeypatch.setattr(CrossEncoder, "scores", watched)
    judged = tmp_path / "judged.jsonl"
    question = "planets that might have liquid water"
    relevant = json.loads(run("query", question, "--rerank", "--format", "json").stdout)["hits"][0]
    judged.write_text(json.dumps({"query": question, "relevant": [relevant["id"]]}))
    line = ("eval", "--judgements", judged, "--queries", 3, "--rerank", "--format", "json")
    read.clear()
    [titles, halves, judgements] = json.loads(run(*line).stdout)["tasks"]
    for task in (titles, halves, judgements):
        assert [each["mode"] for each in task["results"]][-1] == "rerank"
    assert {bool(paper.title) for paper in read[:-30]} == {False}
    assert all(paper.title for paper in read[-30:])
    assert judgements["results"][-1]["measures"]["R@1"]["value"] == 1
    judged.write_text(json.dumps({"id": relevant["id"], "relevant": ["2503.14368"]}))
    result = run(*line, "--task", "judgements")
    assert "judgements: --rerank has no effect where papers ask" in result.stderr
    assert "rerank" not in result.stdout


def test_an_evaluation_does_not_read_where_no_order_was_learnt(built: Path, run: Run) -> None:
    assert "--rerank adds to the learnt order" in run("eval", "--rerank", code=2).stderr


def test_a_score_does_not_depend_on_how_many_papers_are_read_together(
    sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    reader, question = shipped_cross_encoder(), "gas stripped from a dwarf"
    with open_index("sampler") as searcher:
        papers = [hit.paper for hit in searcher.query(question, 7)]
    together = reader.scores(question, papers)
    alone = [reader.scores(question, [paper])[0] for paper in papers]
    assert together == pytest.approx(alone, abs=1e-4)

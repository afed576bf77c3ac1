"""The query table: its arithmetic, its file, its training."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from astrosearch import open_index
from astrosearch.encoders.base import WeightedTokens
from astrosearch.encoders.query_table import QueryTable
from astrosearch.encoders.registry import shipped_adapter
from astrosearch.encoders.static import StaticEncoder
from astrosearch.encoders.vectors import unit_rows
from astrosearch.encoders.weights.fingerprint import QUERY_TABLE, fingerprint
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from tests.conftest import Run
from training import query_table as training
from training.contrastive.requests import FORMS

DRAW = np.random.default_rng(0)
TOKENS = np.array([3, 5, 9])
SHIFTS = DRAW.normal(size=(3, 8)).astype(np.float32)


def text(*tokens: int) -> WeightedTokens:
    return WeightedTokens(np.array(tokens), np.full(len(tokens), 1 / len(tokens), np.float32))


def test_a_query_is_moved_by_the_weighted_mean_of_what_its_tokens_ask_for() -> None:
    table = QueryTable.of(TOKENS, SHIFTS)
    vectors = unit_rows(DRAW.normal(size=(2, 8)).astype(np.float32))
    moved = table(vectors, [text(3, 9), text(5)])
    expected = unit_rows(vectors + np.stack([(SHIFTS[0] + SHIFTS[2]) / 2, SHIFTS[1]]))
    np.testing.assert_allclose(moved, expected, atol=0.01)  # 8 bits
    assert moved.dtype == np.float32


def test_tokens_that_were_not_met_in_training_move_nothing() -> None:
    table = QueryTable.of(TOKENS, SHIFTS)
    vectors = unit_rows(DRAW.normal(size=(1, 8)).astype(np.float32))
    np.testing.assert_allclose(table(vectors, [text(1, 4, 10)]), vectors, atol=1e-6)


def test_eight_bits_are_as_near_as_half_a_step() -> None:
    table = QueryTable.of(TOKENS, np.vstack([SHIFTS[:2], np.zeros((1, 8), np.float32)]))
    kept = table.shifts * table.scales[:, None].astype(np.float32)
    steps = np.abs(SHIFTS[:2]).max(axis=1, keepdims=True) / 127
    assert (np.abs(kept[:2] - SHIFTS[:2]) <= 0.6 * steps).all()
    assert not kept[2].any()


def test_a_table_is_read_as_it_was_written_and_one_of_another_encoder_is_refused(
    tmp_path: Path,
) -> None:
    assert QueryTable.load(tmp_path, 8) is None
    table = QueryTable.of(TOKENS, SHIFTS)
    table.save(tmp_path / QUERY_TABLE)
    again = QueryTable.load(tmp_path, 8)
    assert again is not None
    for ours, theirs in zip(table, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="train queries"):
        QueryTable.load(tmp_path, 16)
    (tmp_path / QUERY_TABLE).write_bytes(b"no table")
    with pytest.raises(InputError, match=QUERY_TABLE):
        QueryTable.load(tmp_path, 8)


def test_an_index_stays_good_when_its_encoder_gets_another_table(tmp_path: Path) -> None:
    shipped = shipped_adapter("astro-embed")
    assert shipped is not None
    folder = tmp_path / "embed"
    shutil.copytree(shipped, folder)
    before = fingerprint(folder)
    QueryTable.of(TOKENS, SHIFTS).save(folder / QUERY_TABLE)
    assert fingerprint(folder) == before
    (folder / "encoder.json").write_text("{}")
    assert fingerprint(folder) != before


def test_the_shipped_encoder_reads_a_question_otherwise_than_a_document(
    sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    question = "why do galaxies stop making stars?"
    with open_index("sampler") as searcher:
        encoder = searcher.encoder
        assert isinstance(encoder, StaticEncoder)
        vectors = encoder.encode([question])
        asked = encoder.read_as_queries(vectors, encoder.weighted_tokens([question]))
        assert 0.5 < float(vectors[0] @ asked[0]) < 0.999
        [hit] = searcher.query(question, k=1)
        [document] = encoder.encode([f"{hit.paper.title}\n{hit.paper.abstract}"])
        assert hit.cosine == pytest.approx(float(asked[0] @ document), abs=1e-3)


def requests_file(index: Index, path: Path) -> Path:
    """Requests for all papers that are not held out: words of theirs."""
    lines = []
    for paper in index.corpus:
        if not is_held_out(paper.id):
            words = paper.abstract.split()
            forms = (" ".join(words[start : start + 5]) for start in (0, 4, 8))
            lines.append(dict(zip(("id", *FORMS), (paper.id, *forms), strict=True)))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_table_is_trained_and_judged_on_the_papers_of_a_fold(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    out = tmp_path / QUERY_TABLE
    line = ("train", "queries", "words", "--requests", requests, "--fold", 1)
    rows = run(*line, "--out", out).stdout.splitlines()
    assert rows[0].split() == ["queries", "as", "documents", "as", "queries", "difference"]
    assert {row.split()[0] for row in rows[1:4]} == {"question", "keywords", "need"}
    table = QueryTable.load(tmp_path, words_index.manifest.dimension)
    assert table is not None
    assert table.shifts.any(axis=1).mean() > 0.5
    assert not (tmp_path / f".{QUERY_TABLE}.partial").exists()
    assert "exists" in run(*line, "--out", out, code=2).stderr


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    words_index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    settings = training.Settings(epochs=3)
    with open_index("words") as searcher:
        encoder = searcher.encoder
        assert isinstance(encoder, StaticEncoder)

        def train(out: Path) -> bytes:
            training.train(words_index, encoder, requests, out, settings, SILENT)
            return out.read_bytes()

        whole = train(tmp_path / "whole")
        stopped = tmp_path / "stopped"
        epoch = training._Run.epoch

        def stop_in_the_last(run: training._Run, number: int, reporter: object) -> None:
            if number == 2:
                raise KeyboardInterrupt
            epoch(run, number, SILENT)

        with monkeypatch.context() as patch:
            patch.setattr(training._Run, "epoch", stop_in_the_last)
            with pytest.raises(KeyboardInterrupt):
                train(stopped)
        assert not stopped.exists()
        assert train(stopped) == whole


def test_without_a_request_for_a_training_paper_a_line_says_so(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    held_out = next(paper for paper in words_index.corpus if is_held_out(paper.id))
    file = tmp_path / "requests.jsonl"
    file.write_text(json.dumps(dict.fromkeys(FORMS, "some words") | {"id": held_out.id}))
    refused = run(
        "train", "queries", "words", "--requests", file, "--out", tmp_path / "out", code=2
    )
    assert "no request for a training paper" in refused.stderr


def test_a_run_does_not_go_on_with_other_requests(
    words_index: Index, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, out = requests_file(words_index, tmp_path / "requests.jsonl"), tmp_path / "table"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "epoch", stop)
        run("train", "queries", "words", "--requests", requests, "--out", out, code=130)
    requests.write_text("".join(requests.read_text().splitlines(keepends=True)[:-3]))
    refused = run("train", "queries", "words", "--requests", requests, "--out", out, code=2)
    assert f"{tmp_path / '.table.partial'} holds an unfinished run" in refused.stderr
    assert not out.exists()


def test_a_fold_without_requests_is_refused_before_anything_is_trained(
    words_index: Index, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    kept = [
        line
        for line in requests.read_text().splitlines(keepends=True)
        if not is_held_out(json.loads(line)["id"], 2)
    ]
    requests.write_text("".join(kept))
    monkeypatch.delattr(training._Run, "epoch")
    line = ("train", "queries", "words", "--requests", requests, "--out", tmp_path / "table")
    refused = run(*line, "--fold", 2, code=2)
    assert "no request is for a paper of fold 2" in refused.stderr
    assert not list(tmp_path.glob("*table*"))


def test_an_encoder_with_layers_gets_no_table(
    words_index: Index, run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"id": "2001.00001", "title": "Dust", "abstract": "Stars, gas."}))
    run("index", "layers", "--corpus", corpus, "--encoder", tiny_llama)
    line = ("train", "queries", "layers", "--requests", requests, "--out", tmp_path / "table")
    assert "index layers has layers" in run(*line, code=2).stderr

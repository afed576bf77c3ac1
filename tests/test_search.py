"""Queries by vectors, by words and by both, through the command line and a Searcher."""

import json
import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from astrosearch.atomic import file_sha256
from astrosearch.corpus.filters import Filters
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.weights.locate import resolve
from astrosearch.errors import IndexDamaged
from astrosearch.index.build import build
from astrosearch.index.lexical_index import LexicalIndexWriter
from astrosearch.index.manifest import describe_files
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.searcher import Mode, Searcher
from tests.conftest import Run, kaggle_line
from tests.reporters import Watch

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")


@pytest.fixture
def pairs(run: Run, tmp_path: Path, tiny_llama: Path) -> Path:
    """An index of 60 papers; number 30 names NGC 1068, which the tiny LLaMA cannot read."""
    source = tmp_path / "pairs.json"
    lines = [kaggle_line(number) for number in range(60)]
    lines[30] = kaggle_line(30, title="A torus", abstract="The dusty torus of NGC1068 is warm.")
    source.write_text("\n".join(lines))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    from astrosearch import paths

    return paths.index_folder("main")


def query_hits(run: Run, *arguments: object) -> list[dict[str, object]]:
    answer = json.loads(run("query", *arguments, "--format", "json").stdout)
    hits: list[dict[str, object]] = answer["hits"]
    return hits


@pytest.mark.usefixtures("pairs")
def test_the_hits_of_each_mode_have_the_scores_and_ranks_of_its_searches(run: Run) -> None:
    relevant = json.loads(kaggle_line(30))["id"]
    (best, *_) = query_hits(run, "torus of NGC 1068", "--mode", "lexical")
    assert best["id"] == relevant
    assert (best["rank"], best["lexical_rank"]) == (1, 1)
    assert (best["cosine"], best["dense_rank"]) == (None, None)
    assert isinstance(best["score"], float)
    assert best["score"] > 1

    dense = query_hits(run, "torus of NGC 1068", "--mode", "dense", "-k", 60)
    assert len(dense) == 60
    assert all(hit["score"] == hit["cosine"] for hit in dense)
    assert [hit["dense_rank"] for hit in dense] == list(range(1, 61))
    assert {hit["lexical_rank"] for hit in dense} == {None}

    hybrid = query_hits(run, "torus of NGC 1068", "-k", 60)
    hybrid_hits = {hit["id"]: hit for hit in hybrid}
    lexical = query_hits(run, "torus of NGC 1068", "--mode", "lexical", "-k", 60)
    for hits, name in ((dense, "dense_rank"), (lexical, "lexical_rank")):
        for hit in hits:
            assert hybrid_hits[hit["id"]][name] == hit["rank"]
    scores = [float(str(hit["score"])) for hit in hybrid]
    assert scores == sorted(scores, reverse=True)
    # BM25 finds only this paper, which gives it half of the score; the cosine adds its share.
    assert 0.5 < scores[0] <= 1
    assert hybrid[0]["id"] == relevant
    cosines = {hit["id"]: hit["cosine"] for hit in dense}
    assert {hit["id"]: hit["cosine"] for hit in hybrid} == cosines


def test_a_hit_that_only_words_found_has_its_cosine_too(built: Path, run: Run) -> None:
    searcher = Searcher(Index(built))
    words_alone = 0
    for number in range(50, 80):
        dense = searcher.query(str(number), k=150, mode="dense")
        hybrid = searcher.query(str(number), k=10)
        cosines = {hit.paper.id: hit.cosine for hit in dense}
        for hit in hybrid:
            words_alone += hit.dense_rank is None
            assert hit.cosine == pytest.approx(cosines[hit.paper.id], abs=2e-3)
    assert words_alone


@pytest.mark.parametrize("mode", MODES)
def test_filters_hold_in_every_mode(run: Run, built: Path, mode: Mode) -> None:
    def ids(*arguments: object) -> set[str]:
        return {str(hit["id"]) for hit in query_hits(run, *arguments, "--mode", mode, "-k", 150)}

    # "number" stands in every title, so that words find every paper too.
    assert len(ids("number gas")) == 150
    assert ids("number gas", "--author", "B7son") == {"1708.00007"}
    assert ids("number gas author:B7son") == {"1708.00007"}
    assert ids("number gas author:B7son author:Wu") == {"1708.00007"}
    with_option = ids("number gas", "--category", "astro-ph.GA")
    assert with_option == ids("number gas cat:astro-ph.GA")
    assert len(with_option) == 50
    assert ids("number gas cat:astro-ph.GA", "--author", "B9son") == ids("number author:B9son")
    assert ids("number gas year:2016") == ids("number gas")
    assert "passes the filters" in run("query", "gas year:2017-", "--mode", mode, code=4).stderr
    assert ids('"we find 77"') == ids("gas title:77")
    assert len(ids("gas title:77")) == 1
    error = run("query", 'gas "no such phrase"', "--mode", mode, code=4).stderr
    assert 'has "no such phrase"' in error
    error = run("query", 'title:77 "we find 78"', "--mode", mode, code=4).stderr
    assert 'has title:"77" and "we find 78" together' in error


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "text",
    ['"', "z: 7", "the of and", "🙂", "[ \\ ( AND OR NOT", "Hubble's constant: a", "foo:bar"],
)
def test_odd_queries_break_nothing(run: Run, built: Path, mode: Mode, text: str) -> None:
    lines = run("query", "--batch", "-", "--mode", mode, stdin=text + "\n").stdout.splitlines()
    assert [json.loads(line)["query"] for line in lines] == [text]
    if mode != "lexical":
        assert len(json.loads(lines[0])["hits"]) == 10


def test_lexical_mode_needs_no_model(
    run: Run, built: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(tiny_llama, moved)
    try:
        assert run("query", "gas", "--mode", "lexical", "--format", "ids").stdout
        piped = run("query", "-", "--mode", "lexical", "--format", "ids", stdin="gas").stdout
        assert piped == run("query", "gas", "--mode", "lexical", "--format", "ids").stdout
        assert "is not a known model" in run("query", "gas", code=2).stderr
    finally:
        shutil.move(moved, tiny_llama)
    hits = Searcher(Index(built)).query(ParsedQuery("gas"), mode="lexical")
    assert len(hits) == 10
    assert "has a word of 'xyzzy'" in run("query", "xyzzy", "--mode", "lexical", code=4).stderr


def file_fact(path: Path) -> dict[str, object]:
    """A file as a manifest describes it."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def test_a_damaged_lexical_index_is_an_error_of_one_line(run: Run, built: Path) -> None:
    (built / "words/meta.json").write_text("{")
    assert "words/meta.json has 1 bytes, the manifest says" in run("query", "gas", code=1).stderr
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["files"]["words/meta.json"] = file_fact(built / "words/meta.json")
    (built / "manifest.json").write_text(json.dumps(manifest))
    assert "words cannot be read" in run("query", "gas", code=1).stderr
    assert run("query", "gas", "--mode", "dense").stdout
    next((built / "words").glob("*.idx")).unlink()
    assert ".idx is missing" in run("query", "gas", code=1).stderr


def test_the_lexical_index_of_another_index_is_refused(run: Run, built: Path) -> None:
    shutil.rmtree(built / "words")
    writer = LexicalIndexWriter(built / "words")
    writer.add(0, "A title", "gas", ["A. Lee"])
    writer.finish()
    manifest = json.loads((built / "manifest.json").read_text())
    words = sorted(f"words/{file.name}" for file in (built / "words").iterdir())
    facts = {name: asdict(fact) for name, fact in describe_files(built, words).items()}
    other_facts = {name: fact for name, fact in manifest["files"].items() if "/" not in name}
    manifest["files"] = other_facts | facts
    (built / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexDamaged, match="the words of 1 papers, the manifest says 150"):
        _ = Index(built).lexical


def test_a_build_stopped_in_its_lexical_index_goes_on_and_answers_the_same(
    run: Run, snapshot: Path, tiny_llama: Path
) -> None:
    from astrosearch import paths

    spec = resolve(EncoderSpec(str(tiny_llama)), SILENT)[0]
    folder = paths.index_folder("cut")

    def stop_at_the_end(done: int, total: int) -> None:
        if done == total:
            half = LexicalIndexWriter(paths.partial_folder(folder) / "words")
            half.add(0, "half a", "folder", [])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(
            folder,
            [snapshot],
            Selection(),
            spec,
            lambda spec: load_encoder(spec, SILENT, device="cpu"),
            reporter=Watch(stop_at_the_end),
        )
    assert not folder.exists()
    assert (paths.partial_folder(folder) / "words").exists()
    arguments = ("--corpus", snapshot, "--encoder", tiny_llama)
    assert "0 encoded, 150 vectors reused" in run("index", "cut", *arguments).stderr
    run("index", "whole", *arguments)
    answers = [
        run(
            "query", "gas number 7", "-i", name, "--mode", mode, "-k", 50, "--format", "jsonl"
        ).stdout
        for mode in MODES
        for name in ("cut", "whole")
    ]
    assert answers[::2] == answers[1::2]
    assert not Index(folder).manifest.verify(folder)


def test_changed_titles_and_authors_are_found_after_an_update(
    run: Run, snapshot: Path, built: Path
) -> None:
    lines = snapshot.read_text().splitlines()
    lines[8] = kaggle_line(8, title="Magnetars", authors="Z. Quimby")
    snapshot.write_text("\n".join(lines))
    run("index", "main", "--corpus", snapshot)
    for text in ("magnetar", "quimby"):
        (hit,) = query_hits(run, text, "--mode", "lexical")
        assert hit["title"] == "Magnetars"
    index = Index(built)
    since = Filters(since=date(2016, 1, 1))
    hits = Searcher(index).query("magnetar", filters=since, mode="lexical")
    assert len(hits) == 1

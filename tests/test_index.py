"""An index folder: built, killed, brought up to date, refused, searched."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import EncodedTexts, Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder, load_query_encoder
from astrosearch.encoders.vectors import Vectors
from astrosearch.encoders.weights.locate import resolve
from astrosearch.errors import (
    AstrosearchError,
    CorpusError,
    EncoderMismatch,
    IndexBusy,
    IndexDamaged,
    InputError,
    NothingFound,
)
from astrosearch.index.build import BuildReport, build
from astrosearch.index.folder import locked
from astrosearch.index.manifest import Manifest
from astrosearch.index.reader import Index
from astrosearch.index.shards import SECONDS
from astrosearch.index.tune import tune
from astrosearch.index.vector_index import BLOCK, VectorIndex
from astrosearch.report import SILENT
from astrosearch.search.searcher import Searcher
from tests.conftest import FROZEN, Run, kaggle_line, segment_folder
from tests.events import just_before, signalled_at_shard
from tests.letters import SPEC, Letters, build_letters, letters_paper, write_letters
from tests.reporters import Lines, StopAfter, Stopped, Watch


@pytest.fixture
def spec(tiny_llama: Path) -> EncoderSpec:
    return resolve(EncoderSpec(str(tiny_llama)), SILENT)[0]


def load(spec: EncoderSpec) -> Encoder:
    return load_encoder(spec, SILENT, device="cpu", dtype="float32")


def make(folder: Path, source: Path, spec: EncoderSpec, **options: Any) -> BuildReport:
    return build(folder, [source], options.pop("selection", Selection()), spec, load, **options)


def files(folder: Path) -> dict[str, bytes]:
    """Those of the segment that are the same, byte for byte, in two builds of the same papers."""
    return {
        file.name: file.read_bytes()
        for file in segment_folder(folder).iterdir()
        if file.name != "papers.sqlite"
    }


def test_row_i_is_paper_i_everywhere(tmp_path: Path, snapshot: Path, spec: EncoderSpec) -> None:
    seen: list[tuple[int, int]] = []
    report = make(
        tmp_path / "one",
        snapshot,
        spec,
        reporter=Watch(lambda done, total: seen.append((done, total - done))),
    )
    assert seen == sorted(seen)
    assert {done + left for done, left in seen} == {150}
    assert seen[-1] == (150, 0)
    index = Index(tmp_path / "one")
    assert report.count == report.encoded == len(index) == 150
    expected = load(spec).encode([spec.text_of(paper) for paper in index.corpus])
    np.testing.assert_allclose(np.asarray(index.vectors).astype(np.float32), expected, atol=1e-3)
    assert np.asarray(index.vectors).dtype == np.float16
    scores, rows = index.search(expected[:20], k=1)
    assert [int(found[0]) for found in rows] == list(range(20))
    np.testing.assert_allclose(np.concatenate(scores), 1, atol=2e-3)


def test_the_manifest_tells_the_whole_story(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec, selection=Selection(category="gr-qc", limit=30))
    manifest = json.loads((tmp_path / "one/manifest.json").read_text())
    assert (manifest["format"], manifest["snapshot"]) == (3, 1)
    assert (manifest["count"], manifest["dimension"]) == (30, 64)
    assert manifest["encoder"] == spec.as_record()
    assert manifest["corpus"]["sources"] == [str(snapshot)]
    assert manifest["corpus"]["selection"] == {"category": "gr-qc", "limit": 30}
    (segment,) = manifest["segments"]
    assert segment == {
        "folder": "segment-1",
        "first": 0,
        "rows": 30,
        "factory": "SQfp16",
        "parameters": {},
        "recall": 1.0,
        "source": str(snapshot),
        "until": manifest["built"],
    }
    assert (manifest["words"], manifest["dead"]) == ("words-1", [])
    words = {f"words-1/{file.name}" for file in (tmp_path / "one/words-1").iterdir()}
    assert "words-1/meta.json" in words
    assert set(manifest["files"]) == {
        "segment-1/papers.sqlite",
        "segment-1/vectors.npy",
        "segment-1/rejected.jsonl",
        *words,
    }
    assert (tmp_path / "one/snapshot-1.json").read_text() == (
        tmp_path / "one/manifest.json"
    ).read_text()
    assert len(manifest["background"]["percentiles"]) == 101
    assert not (tmp_path / ".one.partial").exists()


def test_a_lock_that_the_engine_puts_late_beside_the_words_is_no_file_of_the_index(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    words = tmp_path / ".one.partial/words"
    with just_before("os.rename", words, (words / ".tantivy-meta.lock").touch):
        make(tmp_path / "one", snapshot, spec)
    assert not [name for name in Manifest.read(tmp_path / "one").files if "lock" in name]
    assert not list((tmp_path / "one/words-1").glob(".*.lock"))


def test_an_index_that_is_up_to_date_stays_as_it_is(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    before = (tmp_path / "one/manifest.json").stat().st_mtime_ns

    def never(wanted: EncoderSpec) -> Encoder:
        raise AssertionError(f"{wanted} was loaded for nothing")

    report = build(tmp_path / "one", [snapshot], Selection(), spec, never)
    assert not report.changed
    assert (tmp_path / "one/manifest.json").stat().st_mtime_ns == before


def test_a_corpus_that_moved_is_remembered_though_nothing_is_encoded(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec, index_type="HNSW8,SQfp16")
    moved = snapshot.rename(tmp_path / "moved.json")
    report = make(tmp_path / "one", moved, spec)
    assert (report.changed, report.encoded) == (True, 0)
    manifest = Index(tmp_path / "one").manifest
    assert manifest.corpus.sources == (str(moved),)
    assert manifest.largest.factory == manifest.ann_config.index_type == "HNSW8,SQfp16"


def test_only_new_and_changed_texts_are_encoded_again(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    old = np.asarray(Index(tmp_path / "one").vectors).copy()
    lines = snapshot.read_text().splitlines()
    lines[7] = kaggle_line(7, abstract="gas around a white dwarf")  # changed text
    lines[8] = kaggle_line(8, title="Another title")
    lines[100] = kaggle_line(500)  # another paper
    snapshot.write_text("\n".join([kaggle_line(600), *lines]))
    report = make(tmp_path / "one", snapshot, spec)
    assert (report.encoded, report.reused, report.count) == (4, 147, 151)
    index = Index(tmp_path / "one")
    kept = [row for row in range(150) if row not in (7, 8, 100)]
    np.testing.assert_array_equal(index.vectors[np.array(kept) + 1], old[kept])
    expected = load(spec).encode([spec.text_of(paper) for paper in index.corpus])
    np.testing.assert_allclose(np.asarray(index.vectors).astype(np.float32), expected, atol=1e-3)
    assert index.corpus.papers([9])[0].title == "Another title"


def test_another_encoder_encodes_everything_again_and_says_so(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec, tiny_llama: Path
) -> None:
    make(tmp_path / "one", snapshot, spec)
    said = Lines()
    other = resolve(EncoderSpec(str(tiny_llama), layers=2), SILENT)[0]
    report = make(tmp_path / "one", snapshot, other, reporter=said)
    assert report.encoded == 150
    assert "all layers" in said[0]
    assert "2 layers" in said[0]


def test_an_interrupted_build_goes_on_and_ends_bit_for_bit_the_same(
    tmp_path: Path, snapshot: Path, tiny_llama: Path
) -> None:
    """With an encoder that runs no layer: others depend a little on what is encoded together."""
    spec = resolve(EncoderSpec(str(tiny_llama), layers=0), SILENT)[0]
    make(tmp_path / "whole", snapshot, spec)
    stop = StopAfter(2)
    with pytest.raises(Stopped):
        make(tmp_path / "cut", snapshot, spec, reporter=stop)
    assert not (tmp_path / "cut").exists()
    report = make(tmp_path / "cut", snapshot, spec)
    assert (report.encoded, report.reused) == (150 - stop.encoded, stop.encoded)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_shards_of_an_interrupted_build_serve_another_corpus(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    stop = StopAfter(2)
    with pytest.raises(Stopped):
        make(tmp_path / "one", snapshot, spec, reporter=stop)
    lines = snapshot.read_text().splitlines()
    snapshot.write_text("\n".join([kaggle_line(700), *lines[::-1]]))
    report = make(tmp_path / "one", snapshot, spec)
    assert (report.encoded, report.reused) == (151 - stop.encoded, stop.encoded)
    index = Index(tmp_path / "one")
    expected = load(spec).encode([spec.text_of(paper) for paper in index.corpus])
    np.testing.assert_allclose(np.asarray(index.vectors).astype(np.float32), expected, atol=1e-3)


class Counting(Letters):
    """Keeps how many texts it was given at a time."""

    def __init__(self, spec: EncoderSpec, pause: float = 0.0) -> None:
        super().__init__(spec)
        self.sizes: list[int] = []
        self._pause = pause

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        self.sizes.append(len(texts))
        time.sleep(self._pause)
        return super().encode_counted(texts)


def test_shards_grow_until_one_takes_long(tmp_path: Path) -> None:
    source = write_letters(tmp_path / "papers.jsonl", map(letters_paper, range(120)))
    quick, slow = Counting(SPEC), Counting(SPEC, pause=SECONDS / 2)
    build(tmp_path / "quick", [source], Selection(), SPEC, lambda _: quick)
    assert quick.sizes == [8, 16, 32, 64]
    write_letters(source, map(letters_paper, range(20)))
    build(tmp_path / "slow", [source], Selection(), SPEC, lambda _: slow)
    assert slow.sizes == [8, 8, 4]


def test_a_build_that_goes_on_takes_shards_of_any_size_and_begins_with_the_largest(
    tmp_path: Path,
) -> None:
    source = write_letters(tmp_path / "papers.jsonl", map(letters_paper, range(150)))
    stop, encoder = StopAfter(3), Counting(SPEC)
    with pytest.raises(Stopped):
        build(tmp_path / "one", [source], Selection(), SPEC, Letters, reporter=stop)
    assert stop.encoded == 8 + 16 + 32
    report = build(tmp_path / "one", [source], Selection(), SPEC, lambda _: encoder)
    assert (report.encoded, encoder.sizes) == (94, [32, 62])
    build_letters(tmp_path / "whole", source)
    assert files(tmp_path / "one") == files(tmp_path / "whole")


@pytest.mark.slow
def test_sigkill_in_mid_build_costs_at_most_a_shard(
    run: Run, home: Path, tmp_path: Path, tiny_llama: Path
) -> None:
    source = tmp_path / "many.json"
    source.write_text("\n".join(kaggle_line(n) for n in range(3000)))
    arguments = ["index", "many", "--corpus", str(source), "--encoder", str(tiny_llama)]
    command = signalled_at_shard(4, signal.SIGKILL, *arguments)
    killed = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    shards = home / "indexes/.many.partial/shards"
    kept = sum(len(np.load(shard)["hashes"]) for shard in shards.glob("*/*.npz"))
    assert 0 < kept < 3000
    assert not (home / "indexes/many").exists()
    run("query", "gas", "--index", "many", code=3)
    result = run(*arguments)
    assert f"{3000 - kept:,} encoded, {kept:,} vectors reused" in result.stderr
    run("index", "whole", *arguments[2:])
    with Index(home / "indexes/many") as many, Index(home / "indexes/whole") as whole:
        vectors = np.asarray(whole.vectors).astype(np.float32)
        # What is encoded together changes a vector by as much as float32 rounds.
        np.testing.assert_allclose(many.vectors[many.rows], vectors, atol=2e-3)


def test_a_failed_build_leaves_the_old_index_in_place(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    snapshot.write_text("<html>")
    with pytest.raises(CorpusError, match="is HTML"):
        make(tmp_path / "one", snapshot, spec)
    assert len(Index(tmp_path / "one")) == 150
    assert not (tmp_path / ".one.partial").exists()


def test_vectors_that_are_not_finite_end_the_build(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    class Broken:
        dimension = 8

        def __init__(self, spec: EncoderSpec) -> None:
            self.spec = spec

        def encode(self, texts: Sequence[str]) -> Vectors:
            return np.full((len(texts), 8), np.nan, dtype=np.float32)

        def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
            return EncodedTexts(self.encode(texts), 0)

    with pytest.raises(AstrosearchError, match=r"vector of 1001.0000 is not finite"):
        build(tmp_path / "one", [snapshot], Selection(), spec, Broken)
    assert not (tmp_path / "one").exists()


def test_a_full_disk_is_a_line_and_the_work_goes_on_later(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    """The limit on a file's size stands in for the disk's: the kernel refuses the write alike."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
        with pytest.raises(AstrosearchError, match=r"cannot write .*one\.partial"):
            make(tmp_path / "one", snapshot, spec)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "one").exists()
    assert make(tmp_path / "one", snapshot, spec).count == 150


def test_two_builds_of_one_index_do_not_meet(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    with locked(tmp_path / "one"), pytest.raises(IndexBusy, match="by another process"):
        make(tmp_path / "one", snapshot, spec)


def test_refused_lines_stand_in_rejected_jsonl_and_strict_stops(
    tmp_path: Path, spec: EncoderSpec
) -> None:
    source = tmp_path / "some.json"
    source.write_text(
        "\n".join([kaggle_line(1), "{broken", kaggle_line(2, id=1.5), kaggle_line(3)])
    )
    report = make(tmp_path / "one", source, spec)
    assert report.rejected == segment_folder(tmp_path / "one") / "rejected.jsonl"
    rejected = [json.loads(line) for line in report.rejected.read_text().splitlines()]
    assert [(one["line"], one["reason"]) for one in rejected] == [
        (2, "broken JSON"),
        (3, "id not a string"),
    ]
    with pytest.raises(CorpusError, match=r"some.json:2: broken JSON"):
        make(tmp_path / "two", source, spec, strict=True)
    assert not (tmp_path / "two").exists()


def test_nothing_selected_is_nothing_found_and_nothing_usable_is_no_corpus(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    with pytest.raises(NothingFound, match="150 not selected"):
        make(tmp_path / "one", snapshot, spec, selection=Selection(category="math"))
    snapshot.write_text('{"id": 1}\n')
    with pytest.raises(CorpusError, match="1 id not a string"):
        make(tmp_path / "one", snapshot, spec)


@pytest.mark.parametrize("kind", ["IVF1,SQfp16", "hnsw", "PCA16,SQ8", "Flat"])
def test_every_kind_of_index_finds_under_a_filter_what_the_exact_one_finds(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec, kind: str
) -> None:
    make(tmp_path / "exact", snapshot, spec)
    make(tmp_path / "other", snapshot, spec, index_type=kind)
    exact, other = Index(tmp_path / "exact"), Index(tmp_path / "other")
    allowed = np.arange(0, 150, 7)
    vectors = np.asarray(exact.vectors)[:5].astype(np.float32)
    expected, found = exact.search(vectors, 30, allowed), other.search(vectors, 30, allowed)
    for row, (scores, rows) in enumerate(zip(*expected, strict=True)):
        assert sorted(rows) == allowed.tolist()
        assert sorted(found[1][row]) == allowed.tolist()
        np.testing.assert_allclose(found[0][row], scores, atol=2e-3)
    assert [len(rows) for rows in other.search(vectors, 10)[1]] == [10] * 5


def test_a_kind_that_faiss_does_not_know_is_refused(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    def never(wanted: EncoderSpec) -> Encoder:
        raise AssertionError(f"{wanted} was loaded before the refusal")

    with pytest.raises(InputError, match="'Nonsense' is not a FAISS index"):
        build(tmp_path / "one", [snapshot], Selection(), spec, never, index_type="Nonsense")


def test_filters_are_applied_before_the_search(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    searcher = Searcher(Index(tmp_path / "one"))
    hits = searcher.query("gas", k=200, filters=Filters(category="gr-qc"))
    assert len(hits) == 100
    assert [hit.rank for hit in hits] == list(range(1, 101))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for name in ("B7son", "b7SON, A", "B7son, A."):
        hits = searcher.query("gas", k=10, filters=Filters(author=name))
        assert [hit.paper.id for hit in hits] == ["1708.00007"], name
    hits = searcher.query("gas", k=200, filters=Filters(author="Carla Mendez"))
    assert len(hits) == 150
    hits = searcher.query("gas", k=5, filters=Filters(author="Carla B7son"))
    assert hits == []
    hits = searcher.query("gas", k=5, filters=Filters(since=date(2017, 1, 1)))
    assert hits == []


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Anders J{\\o}rgensen", "Jørgensen"),
        ("Anders Jørgensen", "jorgensen, a"),
        ("B. T\\'eglas", "Téglas"),
        ('Hans M{\\"u}ller', "Muller"),
        ("Ivan \\v{C}ernohorsky", "Černohorský"),
        ("Ł. Wyrzykowski", "Lukasz Wyrzykowski"),
        ("K. El-Badry", "el-badry"),
        ("M. van der Berg", "van der Berg"),
    ],
)
def test_an_author_is_found_however_the_accents_are_written(
    tmp_path: Path, spec: EncoderSpec, written: str, asked: str
) -> None:
    source = tmp_path / "one.json"
    source.write_text(
        "\n".join([kaggle_line(1, authors=f"{written}, A. Lee"), kaggle_line(2, authors="J. Li")])
    )
    make(tmp_path / "one", source, spec)
    corpus = Index(tmp_path / "one").corpus
    for name, rows in ((asked, [0]), ("Le", [])):
        found = corpus.rows_matching(Filters(author=name))
        assert found is not None
        assert found.tolist() == rows


def test_an_author_is_one_person(tmp_path: Path, spec: EncoderSpec) -> None:
    source = tmp_path / "some.json"
    names = ["Jie Wang", "W. Wang", "Kendrick Smith, S. Basak", "Y. Chen, C. Adams", "P. Barge"]
    source.write_text("\n".join(kaggle_line(n, authors=one) for n, one in enumerate(names)))
    make(tmp_path / "one", source, spec)
    corpus = Index(tmp_path / "one").corpus
    for asked, expected in (
        ("Wang, W", [1]),
        ("Wang", [0, 1]),
        ("Smith, S", []),
        ("Chen, C", []),
        ("Pierre Barge", [4]),
    ):
        found = corpus.rows_matching(Filters(author=asked))
        assert found is not None
        assert found.tolist() == expected, asked


@pytest.mark.parametrize(
    "filters",
    [
        {"author": "..."},
        {"author": ""},
        {"category": ""},
        {"category": "astro-ph.GA gr-qc"},
        {"since": date(2022, 1, 1), "until": date(2020, 1, 1)},
    ],
)
def test_a_filter_that_says_nothing_is_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Filters(**filters)


def test_categories_are_found_however_they_are_spelt() -> None:
    assert Filters(category=" ASTRO-PH.ga").category == "astro-ph.GA"
    assert Selection(category="Cond-Mat.mes-hall").category == "cond-mat.mes-hall"


def test_damaged_vectors_are_neither_kept_nor_called_up_to_date(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    good = files(tmp_path / "one")
    for name in ("vectors.npy", "papers.sqlite"):
        file = segment_folder(tmp_path / "one") / name
        content = bytearray(file.read_bytes())
        content[5000:9000] = bytes(4000)
        file.write_bytes(content)
        said = Lines()
        report = make(tmp_path / "one", snapshot, spec, reporter=said)
        assert (report.changed, report.encoded) == (True, 150)
        assert name in said[0]
        assert files(tmp_path / "one") == good


def test_a_damaged_shard_is_encoded_again(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    with pytest.raises(Stopped):
        make(tmp_path / "one", snapshot, spec, reporter=StopAfter(1))
    (shard,) = (tmp_path / ".one.partial/shards").glob("*/*.npz")
    os.truncate(shard, 1000)
    assert make(tmp_path / "one", snapshot, spec).encoded == 150


def test_a_folder_that_is_no_index_is_left_alone(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    with pytest.raises(InputError, match="is not an index"):
        make(tmp_path / "mine", snapshot, spec)
    assert (tmp_path / "mine/notes.txt").read_text() == "precious"


def test_a_kind_that_does_not_suit_is_one_line(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    with pytest.raises(InputError, match="'IVF1000,Flat' does not suit 150 papers"):
        make(tmp_path / "one", snapshot, spec, index_type="IVF1000,Flat")


def test_similar_leaves_out_what_it_was_asked_with(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)
    index = Index(tmp_path / "one")
    ids = [paper.id for paper in index.corpus.papers([3, 9])]
    searcher = Searcher(index)
    hits = searcher.similar(ids, k=150, mode="dense")
    assert searcher.similar([*ids, ids[0]], k=150, mode="dense") == hits
    assert len(hits) == 148
    assert not {hit.paper.id for hit in hits} & set(ids)
    vectors = np.asarray(index.vectors).astype(np.float32)
    centre = vectors[[3, 9]].mean(axis=0)
    scores = vectors @ (centre / np.linalg.norm(centre))
    scores[[3, 9]] = -2
    assert hits[0].paper == index.corpus.papers([int(scores.argmax())])[0]
    assert hits[0].score == pytest.approx(scores.max(), abs=2e-3)
    with pytest.raises(NothingFound, match=r"2309.06126 is not in this index of 150 papers"):
        searcher.similar(["2309.06126"])


def test_queries_of_another_encoder_or_dimension_are_refused_with_both(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec, tiny_llama: Path
) -> None:
    make(tmp_path / "one", snapshot, spec)
    index = Index(tmp_path / "one")
    other = load_query_encoder(EncoderSpec(str(tiny_llama), layers=2), SILENT)
    with pytest.raises(EncoderMismatch, match=r"all layers.* 2 layers"):
        Searcher(index, encoder=other)
    with pytest.raises(EncoderMismatch, match="has 64 dimensions, the query has 32"):
        index.search(np.zeros((1, 32), dtype=np.float32), 1)


def test_a_folder_that_disagrees_with_its_manifest_is_refused(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec
) -> None:
    make(tmp_path / "one", snapshot, spec)

    def damaged(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(tmp_path / "one", folder)
        return folder

    def edit(folder: Path, **changes: object) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))

    folder = damaged("format")
    edit(folder, format=9)
    with pytest.raises(IndexDamaged, match="format version 9, this astrosearch reads 2 and 3"):
        Index(folder)
    folder = damaged("count")
    segment = json.loads((folder / "manifest.json").read_text())["segments"][0]
    edit(folder, count=149, segments=[{**segment, "rows": 149}])
    with pytest.raises(IndexDamaged, match=r"shape \(150, 64\), the manifest says .* \(149, 64\)"):
        Index(folder)
    folder = damaged("short")
    os.truncate(segment_folder(folder) / "vectors.npy", 1000)
    with pytest.raises(IndexDamaged, match="has 1,000 bytes, the manifest says 19,328"):
        Index(folder)
    folder = damaged("missing")
    (segment_folder(folder) / "papers.sqlite").unlink()
    with pytest.raises(IndexDamaged, match=r"papers.sqlite is missing$"):
        Index(folder)
    folder = damaged("nonsense")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(IndexDamaged, match="cannot be read"):
        Index(folder)
    folder = damaged("newer")
    edit(folder, encoder={**spec.as_record(), "prompt": "x"})
    with pytest.raises(IndexDamaged, match="fields this version does not know: prompt"):
        Index(folder)


def test_a_shard_of_another_corpus_is_read_once_however_its_papers_are_shuffled(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopAfter(4)
    with pytest.raises(Stopped):
        make(tmp_path / "one", snapshot, spec, reporter=stop)
    lines = snapshot.read_text().splitlines()
    snapshot.write_text("\n".join(lines[1::2] + lines[::2]))
    reads: list[str] = []
    load_array = np.load

    def counting(file: Any, *rest: Any, **options: Any) -> Any:
        reads.append(str(getattr(file, "name", file)))
        return load_array(file, *rest, **options)

    monkeypatch.setattr(np, "load", counting)
    report = make(tmp_path / "one", snapshot, spec)
    assert (report.encoded, report.reused) == (150 - stop.encoded, stop.encoded)
    # Twice each: to see which texts it has, and for their vectors; the first for the dimension.
    shards = [name for name in reads if name.endswith(".npz")]
    assert len(shards) == 4 + len(set(shards)) + 1
    index = Index(tmp_path / "one")
    expected = load(spec).encode([spec.text_of(paper) for paper in index.corpus])
    np.testing.assert_allclose(np.asarray(index.vectors).astype(np.float32), expected, atol=1e-3)


def test_a_text_that_two_papers_share_is_encoded_once(tmp_path: Path, spec: EncoderSpec) -> None:
    source = tmp_path / "papers.jsonl"
    same = {"title": "The same", "abstract": "gas in stars of a galaxy"}
    source.write_text("\n".join(kaggle_line(n, **(same if n % 2 else {})) for n in range(9)))
    report = make(tmp_path / "one", source, spec)
    assert (report.encoded, report.reused) == (6, 3)
    index = Index(tmp_path / "one")
    expected = load(spec).encode([spec.text_of(paper) for paper in index.corpus])
    np.testing.assert_allclose(np.asarray(index.vectors).astype(np.float32), expected, atol=1e-3)


@pytest.mark.parametrize(
    "error", [ConnectionError("no route"), TimeoutError("too slow"), FileNotFoundError("no model")]
)
@pytest.mark.parametrize("when", ["loading", "encoding"])
def test_what_goes_wrong_in_an_encoder_is_not_called_a_failed_write(
    tmp_path: Path, snapshot: Path, spec: EncoderSpec, error: OSError, when: str
) -> None:
    class Broken:
        dimension = 8

        def __init__(self, spec: EncoderSpec) -> None:
            self.spec = spec
            if when == "loading":
                raise error

        def encode(self, texts: Sequence[str]) -> Vectors:
            raise error

        def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
            raise error

    with pytest.raises(type(error)) as caught:
        build(tmp_path / "one", [snapshot], Selection(), spec, Broken)
    assert caught.value is error
    assert not (tmp_path / "one").exists()
    assert not (tmp_path / ".one.partial").exists()


def test_links_in_the_place_of_an_index_are_not_followed(
    run: Run, frozen: Path, snapshot: Path, tmp_path: Path, spec: EncoderSpec
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.faiss").write_text("precious")
    home = frozen.parent
    (home / ".new.partial").symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"\.new\.partial is a link"):
        make(home / "new", snapshot, spec)
    (home / "link").symlink_to(frozen)
    with pytest.raises(InputError, match="link is a link"):
        make(home / "link", snapshot, spec)
    assert "1504.00003" in run("query", "dwarf", "-i", "link", "--mode", "lexical").stdout
    run("indexes", "remove", "link", "--yes")
    assert not (home / "link").exists()
    (home / "dangling").symlink_to(home / "nowhere")
    run("indexes", "remove", "dangling", "--yes")
    assert not (home / "dangling").is_symlink()
    (home / ".half.partial").mkdir()
    (home / ".half.partial/vectors.npy").symlink_to(elsewhere / "precious.faiss")
    (home / ".half.partial/shards").symlink_to(elsewhere)
    make(home / "half", snapshot, spec)
    assert [file.read_text() for file in elsewhere.iterdir()] == ["precious"]
    assert len(Index(frozen)) == 20


@pytest.mark.parametrize("name", ["meta.json", "fieldnorm", "fast"])
def test_a_flipped_byte_of_a_small_file_of_words_is_seen_at_opening(
    frozen: Path, name: str
) -> None:
    (file,) = (frozen / "words").glob(f"*{name}" if "." not in name else name)
    good = file.read_bytes()
    for place in range(0, len(good), max(1, len(good) // 20)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with Index(frozen) as index, pytest.raises(IndexDamaged, match="sha256 differs"):
            _ = index.lexical
    file.write_bytes(good)
    with Index(frozen) as index:
        assert len(index.lexical) == 20


@pytest.mark.parametrize("name", ["exact", "lists"])
def test_an_index_of_format_2_is_read_as_it_was_written(home: Path, run: Run, name: str) -> None:
    """tests/frozen/README.md says how it was made."""
    folder = home / "indexes" / name
    shutil.copytree(FROZEN / "format-2" / name, folder)
    assert f"{name}: 20 papers" in run("indexes", "verify", name).stdout
    lexical = json.loads(
        run("query", "white dwarf NGC1068", "--mode", "lexical", "-k", 3, "--format", "json").stdout
    )
    hits = [(hit["id"], hit["score"]) for hit in lexical["hits"]]
    assert [paper for paper, _ in hits] == ["1602.00013", "1504.00003", "1511.00010"]
    assert [score for _, score in hits] == pytest.approx([14.3263, 9.8032, 4.7357], abs=1e-3)
    similar_ids = run("similar", "1504.00003", "-k", 4, "--mode", "dense", "--format", "ids")
    assert similar_ids.stdout.split() == ["1508.00007", "1510.00009", "1502.00001", "1602.00013"]
    assert "by their vectors alone" in similar_ids.stderr
    with Index(folder) as index:
        assert index.vector_index.is_exact == (name == "exact")
        assert index.manifest.corpus.refused == {"broken JSON": 1}
        record = json.loads((folder / "manifest.json").read_bytes())
        del record["manifest_sha256"]
        # Fields that were renamed since are read by their old names; what was said of the index's
        # one segment is now said in a list of them.
        segment = {name: record.pop(name) for name in ("factory", "parameters", "recall")}
        segment |= {"folder": "", "first": 0, "rows": 20, "source": "", "until": ""}
        record["encoder"] = EncoderSpec.from_record(record["encoder"]).as_record()
        record |= {"segments": [segment], "words": "words", "dead": [], "vector_sum": ""}
        record |= {"snapshot": 0, "format": 3}
        record["corpus"] |= {"files": {}, "arxiv": None}
        record["weak_match"] = None
        assert json.loads(json.dumps(index.manifest.as_record())) == record


def test_an_index_of_format_3_is_read_as_it_was_written(home: Path, run: Run) -> None:
    """tests/frozen/README.md says how it was made."""
    folder = home / "indexes/grown"
    shutil.copytree(FROZEN / "format-3/grown", folder)
    assert "grown: 23 papers, 38 files, sound" in run("indexes", "verify", "grown").stdout
    ask = ("query", "white dwarf NGC1068", "--mode", "lexical", "-k", 4, "--format", "json")
    hits = json.loads(run(*ask).stdout)["hits"]
    # The paper of row 20 took the place of that of row 3; that of row 5 was withdrawn.
    found = ["1602.00013", "1504.00003", "1612.00023", "1511.00010"]
    assert [hit["id"] for hit in hits] == found
    scores = [14.3711, 9.4691, 8.5610, 5.6880]
    assert [hit["score"] for hit in hits] == pytest.approx(scores, abs=1e-3)
    similar_ids = run("similar", "1504.00003", "-k", 4, "--mode", "dense", "--format", "ids")
    assert similar_ids.stdout.split() == ["1602.00013", "1612.00023", "1608.00019", "1604.00015"]
    run("show", "1506.00005", "--index", "grown", code=4)
    with Index(folder) as index:
        assert not index.vector_index.is_exact
        assert index.dead.tolist() == [3, 5]
        assert index.corpus.withdrawn() == {"1506.00005": (2, "2016-05-06")}
        [paper] = index.corpus.papers([20])
        assert (paper.version, paper.journal_ref) == (2, "Letters 3, 103 (2016)")
        bags = index.tokens.bags(np.array([0, 20, 24]))
        assert [(len(bag.tokens), bag.counts.sum()) for bag in bags] == [
            (25, 73),
            (21, 52),
            (28, 68),
        ]
        assert index.manifest.weak_match == 0.388
        record = json.loads((folder / "manifest.json").read_bytes())
        del record["manifest_sha256"]
        assert json.loads(json.dumps(index.manifest.as_record())) == record


def test_an_index_notices_that_another_took_its_place(frozen: Path) -> None:
    with Index(frozen) as index:
        assert index.is_current()
        start = time.thread_time()
        for _ in range(100):
            index.is_current()
        assert time.thread_time() - start < 0.5
        tune(frozen, index_type="sq8")
        assert not index.is_current()
    with Index(frozen) as index:
        assert index.is_current()
        shutil.rmtree(frozen)
        assert not index.is_current()


def test_a_closed_vector_index_leaves_no_thread() -> None:
    def threads() -> set[threading.Thread]:
        alive = threading.enumerate()
        return {thread for thread in alive if thread.name.startswith("astrosearch-vectors")}

    # Those of an index of an earlier test may end meanwhile.
    before, cores = threads(), faiss.omp_get_max_threads()
    vectors = np.zeros((2 * BLOCK, 4), dtype=np.float16)
    vectors[:, 0] = 1
    faiss.omp_set_num_threads(2)
    try:
        index = VectorIndex(vectors, None, {})
        index.search(np.eye(1, 4, dtype=np.float32), 5)
        assert threads() - before
        index.close()
    finally:
        faiss.omp_set_num_threads(cores)
    assert not threads() - before


def test_eight_threads_get_the_answers_that_one_gets(home: Path) -> None:
    folder = home / "indexes/lists"
    shutil.copytree(FROZEN / "format-2/lists", folder)
    questions = ["quasar", "white dwarf NGC1068", "dust in the Magellanic Clouds", "mendez", "x"]
    alone, shared = Index(folder), Index(folder)

    def answer(index: Index, number: int) -> list[list[float]]:
        text, vector = questions[number % 5], index.vector(number % 20)[None]
        allowed = None if number % 3 else np.arange(number % 20, 20)
        [scores], [rows] = index.search(vector, 5, allowed)
        words, found = index.lexical.search(text, 7, allowed)
        given = index.lexical.scores(text, np.arange(20))
        phrase = index.lexical.rows_matching_phrase("white dwarf")
        return [part.tolist() for part in (scores, rows, words, found, given, phrase)]

    numbers = range(400)
    expected = [answer(alone, number) for number in numbers]
    with shared, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: answer(shared, number), numbers)) == expected

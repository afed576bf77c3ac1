"""Snapshots: what a reader keeps, what is deleted and when, and kills between any two steps."""

import gc
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrosearch.atomic import remove
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.loading import load_encoder
from astrosearch.errors import IndexDamaged, InputError
from astrosearch.index.build import build
from astrosearch.index.manifest import Manifest, describe_files
from astrosearch.index.papers import open_papers
from astrosearch.index.reader import Index
from astrosearch.index.refresh import update
from astrosearch.index.snapshot import (
    OLD_READERS,
    collect_garbage,
    hold_current,
    holding,
    is_unfinished,
    next_number,
    publish,
)
from astrosearch.index.tune import tune
from astrosearch.report import SILENT
from tests.conftest import FROZEN, Run, assert_holds_one_snapshot
from tests.letters import Letters, build_letters, letters_paper, write_letters
from tests.reporters import Lines

COUNT = 60

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.letters", "astrosearch.index.tune"])


def write_version(source: Path, version: int) -> Path:
    """A corpus of 60 papers, all of one version."""
    return write_letters(source, [letters_paper(number, version) for number in range(COUNT)])


def version_of(index: Index) -> str:
    """The version that the vectors, the papers and the words of an index have in common."""
    [[row]] = index.search(index.vector(7)[None], 1)[1]
    [paper] = index.corpus.papers([int(row)])
    [version] = [word for word in paper.abstract.split() if word.startswith("version")]
    version = version.rstrip(",")
    assert len(index) == len(index.lexical) == COUNT
    assert len(index.lexical.rows_matching_phrase(version)) == COUNT
    np.testing.assert_allclose(
        np.asarray(index.vectors)[row].astype(np.float32),
        Letters(index.manifest.encoder).encode([paper.abstract])[0],
        atol=1e-3,
    )
    return version


def snapshots(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("snapshot-*.json")}


def open_files(folder: Path, name: str) -> int:
    """How many descriptors of this process point to files of an index that begin with a name."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    count = 0
    for descriptor in descriptors.iterdir():
        with suppress(FileNotFoundError):  # the one that listed them
            count += str(descriptor.readlink()).startswith(f"{folder}/{name}")
    return count


def held_snapshots(folder: Path) -> int:
    return open_files(folder, "snapshot-")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_version(tmp_path / "papers.jsonl", 1)


@pytest.fixture
def folder(tmp_path: Path, source: Path) -> Path:
    """An index of version 1."""
    build_letters(tmp_path / "index", source)
    return tmp_path / "index"


def test_a_reader_keeps_its_snapshot_while_builds_replace_the_index(
    folder: Path, source: Path
) -> None:
    with Index(folder) as reader:
        papers = reader.corpus.papers([3, 59])
        question = reader.vector(11)[None]
        [scores], [rows] = reader.search(question, 9)
        for version in range(2, 7):
            write_version(source, version)
            build_letters(folder, source)
            tune(folder, index_type=("sq8", "flat")[version % 2])
            with Index(folder) as other:
                assert version_of(other) == f"version{version}"
            [same_scores], [same_rows] = reader.search(question, 9)
            assert same_rows.tolist() == rows.tolist()
            np.testing.assert_array_equal(same_scores, scores)
            assert reader.corpus.papers([3, 59]) == papers
        assert not reader.is_current()
        # Only now are its words opened.
        assert version_of(reader) == "version1"
        assert len(snapshots(folder)) == 2
    tune(folder, index_type="sq8")
    assert_holds_one_snapshot(folder)


def test_files_of_a_snapshot_that_nobody_reads_go_with_the_next_one(
    folder: Path, source: Path
) -> None:
    first = {path.name for path in folder.iterdir()}
    assert first == {"manifest.json", "snapshot-1.json", "segment-1", "words-1"}
    assert_holds_one_snapshot(folder)
    write_version(source, 2)
    build_letters(folder, source)
    assert_holds_one_snapshot(folder)
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "snapshot-2.json",
        "segment-2",
        "words-2",
    }
    tune(folder, index_type="sq8")
    tune(folder, index_type="flat")
    assert_holds_one_snapshot(folder)


def test_readers_that_are_dropped_without_close_hold_nothing(folder: Path, source: Path) -> None:
    gc.collect()
    gc.disable()  # nothing may wait for that
    try:
        for version in range(2, 5):
            reader = Index(folder)
            reader.lexical.search("quasar", 5)
            list(reader.corpus)
            write_version(source, version)
            build_letters(folder, source)
            assert len(snapshots(folder)) == 2
            assert held_snapshots(folder) == 1
            assert open_files(folder, "segment-")
            del reader
            assert held_snapshots(folder) == 0
            assert open_files(folder, "segment-") == 0
    finally:
        gc.enable()
    tune(folder, index_type="sq8")
    assert_holds_one_snapshot(folder)


def test_papers_that_are_read_alone_are_those_of_one_snapshot(folder: Path, source: Path) -> None:
    with open_papers(folder) as papers:
        write_version(source, 2)
        build_letters(folder, source)
        assert {paper.version for paper in papers} == {1}
    with open_papers(folder) as papers:
        assert {paper.version for paper in papers} == {2}


def _read(folder: Path, opened: Event) -> None:
    with Index(folder):
        opened.set()
        time.sleep(1_000)


def test_a_reader_that_is_killed_keeps_no_files(folder: Path, source: Path) -> None:
    opened = _SERVER.Event()
    reader = _SERVER.Process(target=_read, args=(folder, opened))
    reader.start()
    assert opened.wait(100)
    write_version(source, 2)
    build_letters(folder, source)
    assert snapshots(folder) == {"snapshot-1.json", "snapshot-2.json"}
    assert (folder / "segment-1/vectors.npy").exists()
    reader.kill()
    reader.join()
    tune(folder, index_type="flat", recall=0.9)
    assert_holds_one_snapshot(folder)


STEPS = ("os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "shutil.rmtree")
"""What Python tells of before it happens; the process is killed before each of them in turn."""


def _act_until(step: int, action: Callable[..., object], *arguments: Any) -> None:
    """Do something, and end the process like a kill before the given step."""
    count = 0

    def watch(event: str, _: object) -> None:
        nonlocal count
        count += event in STEPS
        if count == step:
            os._exit(9)

    sys.addaudithook(watch)
    action(*arguments)


def killed_at_each_step(
    folder: Path, action: Callable[..., object], *arguments: Any
) -> Iterator[int]:
    """Do something to an index in a process of its own, killed before its first step, then from
    the same beginning before its second one, and so on until it is through."""
    before = folder.with_name("before")
    if folder.exists():
        shutil.copytree(folder, before)
    step, code = 0, 9
    while code == 9:
        step += 1
        for path in (folder, folder.with_name(f".{folder.name}.partial")):
            remove(path)
        if before.exists():
            shutil.copytree(before, folder)
        process = _SERVER.Process(target=_act_until, args=(step, action, *arguments))
        process.start()
        process.join()
        code = process.exitcode or 0
        yield step
    assert code == 0
    assert step > 5


@pytest.mark.slow
def test_a_first_build_killed_before_any_step_is_taken_up_by_the_next(
    tmp_path: Path, source: Path
) -> None:
    folder = tmp_path / "index"
    encoded = []
    for _ in killed_at_each_step(folder, build_letters, folder, source):
        if (folder / "manifest.json").exists():
            assert Manifest.read(folder).verify(folder) == []
        encoded.append(build_letters(folder, source).encoded)
        assert_holds_one_snapshot(folder)
        with Index(folder) as index:
            assert version_of(index) == "version1"
        assert not (tmp_path / ".index.partial").exists()
    # What was on the disk, shard by shard, was not encoded again.
    assert (encoded[0], encoded[-1]) == (COUNT, 0)
    assert encoded == sorted(encoded, reverse=True)


@pytest.mark.slow
def test_a_build_killed_before_any_step_leaves_the_old_index_or_the_new(
    folder: Path, source: Path
) -> None:
    write_version(source, 2)
    versions = []
    for _ in killed_at_each_step(folder, build_letters, folder, source):
        with Index(folder) as index:
            assert index.manifest.verify(folder) == []
            versions.append(version_of(index))
        build_letters(folder, source)
        assert_holds_one_snapshot(folder)
        with Index(folder) as index:
            assert version_of(index) == "version2"
    assert set(versions) == {"version1", "version2"}
    assert versions == sorted(versions)


@pytest.mark.slow
def test_an_index_of_format_2_killed_on_its_way_to_format_3_is_one_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(FROZEN / "format-2/lists", folder)
    formats = []
    for _ in killed_at_each_step(folder, tune, folder):
        with Index(folder) as index:
            assert index.manifest.verify(folder) == []
            assert len(index.lexical) == len(index) == 20
        formats.append(json.loads((folder / "manifest.json").read_bytes())["format"])
        tune(folder, index_type="flat")
        make_old_readers_leave(folder)
        tune(folder, index_type="flat")
        assert_holds_one_snapshot(folder)
    assert formats == sorted(formats)
    assert set(formats) == {2, 3}


def make_old_readers_leave(folder: Path) -> None:
    """As if the first change of an index of format 2 was long ago."""
    then = time.time() - OLD_READERS - 10
    os.utime(folder / "snapshot-0.json", (then, then))


def frozen_source(frozen: Path) -> Path:
    """The papers of an index as a corpus."""
    with Index(frozen) as index:
        return write_letters(frozen.with_name("papers.jsonl"), index.corpus)


@pytest.mark.parametrize("name", ["exact", "lists"])
def test_an_index_of_format_2_becomes_one_of_format_3_without_encoding(
    run: Run, home: Path, name: str
) -> None:
    folder = home / "indexes" / name
    shutil.copytree(FROZEN / "format-2" / name, folder)
    with Index(folder) as old:
        [scores], [rows] = old.search(old.vector(3)[None], 5)
        run("indexes", "tune", name, "--kind", "flat")
        manifest = Manifest.read(folder)
        assert json.loads((folder / "manifest.json").read_bytes())["format"] == 3
        assert (manifest.snapshot, manifest.count, manifest.dead) == (1, 20, ())
        assert manifest.largest.folder == ""
        assert "sound" in run("indexes", "verify", name).stdout
        with Index(folder) as index:
            [same_scores], [same_rows] = index.search(index.vector(3)[None], 5)
            assert same_rows.tolist() == rows.tolist()
            np.testing.assert_allclose(same_scores, scores, atol=1e-3)
        # Its readers hold no lock, and may open their words later.
        assert len(old.lexical) == 20
    make_old_readers_leave(folder)
    tune(folder, index_type="sq8")
    assert_holds_one_snapshot(folder)


def test_an_index_of_format_2_is_built_again_without_encoding_and_its_readers_go_on(
    frozen: Path,
) -> None:
    source = frozen_source(frozen)
    with Index(frozen) as old:
        expected = [paper.id for paper in old.corpus]
        spec = old.manifest.encoder
        report = build(frozen, [source], Selection(), spec, Letters)
        assert (report.changed, report.encoded, report.count) == (True, 0, 20)
        assert json.loads((frozen / "manifest.json").read_bytes())["format"] == 3
        assert not old.is_current()
        assert len(old.lexical.search("quasar", 5)[1]) == 2
        assert [paper.id for paper in old.corpus] == expected
    with Index(frozen) as index:
        assert {paper.id for paper in index.corpus} == set(expected)
        assert index.manifest.largest.folder == "segment-1"
    assert (frozen / "vectors.npy").exists()
    make_old_readers_leave(frozen)
    tune(frozen, index_type="sq8")
    assert_holds_one_snapshot(frozen)


def test_an_index_of_format_2_is_built_again_without_its_encoder(run: Run, frozen: Path) -> None:
    source = frozen_source(frozen)
    told = run("index", "main", "--corpus", source).stderr
    assert "'frozen-letters' is not a known model" in told
    assert "The tokens of the papers are not stored, a search cuts them anew: " in told
    assert "20 papers, 0 encoded, 20 vectors reused" in told
    assert Manifest.read(frozen).format == 3
    assert "sound" in run("indexes", "verify", "main").stdout
    paper = letters_paper(1)
    write_letters(source, [paper])
    line = "'frozen-letters' is not a known model"
    assert line in run("index", "main", code=2).stderr.splitlines()[-1]
    assert line in run("index", "main", "--layers", 1, code=2).stderr.splitlines()[-1]
    assert Manifest.read(frozen).count == 20


def test_an_update_keeps_vectors_without_an_encoder(frozen: Path) -> None:
    source = frozen_source(frozen)
    with Index(frozen) as index:
        first, *papers = index.corpus
    load = partial(load_encoder, reporter=SILENT)
    build(frozen, [source], Selection(), index.manifest.encoder, load)
    write_letters(source, [replace(first, categories=("gr-qc",)), *papers])
    told = Lines()
    growth = update(frozen, load, reporter=told).growth
    assert (growth.replaced, growth.encoded) == (1, 0)
    assert len(told) == 1
    assert "'frozen-letters' is not a known model" in told[0]
    with Index(frozen) as index:
        assert not index.tokens
        assert next(iter(index.corpus.stream([20]))).categories == ("gr-qc",)


@pytest.mark.parametrize("content", ["{", '{"format": 2}', '{"format": 3}', '{"format": 9}'])
def test_a_damaged_manifest_does_not_stop_the_next_build(
    tmp_path: Path, folder: Path, source: Path, content: str
) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(IndexDamaged):
        Index(folder)
    assert build_letters(folder, source).encoded == COUNT
    assert_holds_one_snapshot(folder)
    old = tmp_path / "old"
    shutil.copytree(FROZEN / "format-2/exact", old)
    (old / "manifest.json").write_text(content)
    build_letters(old, source)
    assert_holds_one_snapshot(old)


def test_a_copy_of_an_index_is_an_index(folder: Path, source: Path, tmp_path: Path) -> None:
    """Also one that was copied while a reader held another snapshot of it."""
    with Index(folder):
        write_version(source, 2)
        build_letters(folder, source)
        subprocess.run(["cp", "-r", folder, tmp_path / "copy"], check=True)
    shutil.rmtree(folder)
    with Index(tmp_path / "copy") as copy:
        assert version_of(copy) == "version2"
        assert copy.manifest.verify(tmp_path / "copy") == []
    tune(tmp_path / "copy", index_type="sq8")
    assert_holds_one_snapshot(tmp_path / "copy")
    write_version(source, 3)
    build_letters(tmp_path / "copy", source)
    with Index(tmp_path / "copy") as copy:
        assert version_of(copy) == "version3"


def test_an_index_copied_without_the_numbered_manifest_is_read(folder: Path) -> None:
    (folder / "snapshot-1.json").unlink()
    with Index(folder) as index:
        assert version_of(index) == "version1"
        assert index.manifest.verify(folder) == []
    tune(folder, index_type="sq8")
    assert_holds_one_snapshot(folder)


def test_a_pipe_in_the_place_of_a_numbered_manifest_is_not_waited_for(
    folder: Path, source: Path
) -> None:
    (folder / "snapshot-1.json").unlink()
    os.mkfifo(folder / "snapshot-1.json")
    os.mkfifo(folder / "snapshot-7.json")
    with Index(folder) as index:
        assert version_of(index) == "version1"
        assert index.manifest.verify(folder) == []
    write_version(source, 2)
    build_letters(folder, source)
    assert_holds_one_snapshot(folder)


def test_a_user_s_own_folder_is_not_taken_for_an_unfinished_build(
    tmp_path: Path, source: Path
) -> None:
    for names in (
        ["vectors.faiss"],
        ["papers.sqlite", "vectors.npy"],
        ["words"],
        ["snapshot.json"],
    ):
        mine = tmp_path / names[0]
        mine.mkdir()
        for name in names:
            (mine / name).write_text("precious")
        with pytest.raises(InputError, match="is not an index"):
            build_letters(mine, source)
        assert sorted(path.name for path in mine.iterdir()) == sorted(names)


def test_what_is_not_ours_stays_in_an_index_folder(folder: Path, source: Path) -> None:
    for name in ("notes.txt", "snapshot-x.json", "segment-1b", "my-words"):
        (folder / name).write_text("precious")
    write_version(source, 2)
    build_letters(folder, source)
    for name in ("notes.txt", "snapshot-x.json", "segment-1b", "my-words"):
        (folder / name).unlink()
    assert_holds_one_snapshot(folder)


@pytest.mark.parametrize(
    ("names", "unfinished"),
    [
        ([], True),
        (["segment-1", "words-1"], True),
        (["segment-12", "snapshot-12.json", ".manifest.json.4711.tmp"], True),
        ([".snapshot-1.json.4711.tmp"], True),
        (["segment-1", "notes.txt"], False),
        (["segment"], False),
        (["words-1.txt"], False),
        (["snapshot-1.json.bak"], False),
        (["segment-٣"], False),
    ],
)
def test_an_unfinished_build_is_told_by_its_names(
    tmp_path: Path, names: list[str], unfinished: bool
) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    assert is_unfinished(tmp_path) == unfinished


def test_a_number_is_not_given_twice(tmp_path: Path) -> None:
    assert next_number(tmp_path) == 1
    for name in ("snapshot-3.json", "segment-7", "words-5", "segment-9.txt", "snapshot-x.json"):
        (tmp_path / name).write_text("")
    assert next_number(tmp_path) == 8


def test_a_snapshot_is_published_and_held(folder: Path) -> None:
    with holding(folder) as manifest:
        assert manifest == Manifest.read(folder)
        (folder / "segment-2").mkdir()
        (folder / "segment-2/papers.sqlite").write_bytes(
            (folder / "segment-1/papers.sqlite").read_bytes()
        )
        (folder / "segment-2/vectors.npy").write_bytes(
            (folder / "segment-1/vectors.npy").read_bytes()
        )
        names = ["segment-2/papers.sqlite", "segment-2/vectors.npy"]
        files = {
            name: record
            for name, record in manifest.files.items()
            if not name.startswith("segment-1")
        }
        moved = _with(manifest, files={**files, **describe_files(folder, names)})
        publish(folder, moved, ["segment-2"])
        assert Manifest.read(folder) == moved
        assert (folder / "snapshot-2.json").read_bytes() == (folder / "manifest.json").read_bytes()
        collect_garbage(folder)
        assert (folder / "segment-1/rejected.jsonl").exists()
        another = hold_current(folder)
        assert another.manifest == moved
    collect_garbage(folder)
    assert_holds_one_snapshot(folder)
    another.release()
    another.release()


def _with(manifest: Manifest, **changes: Any) -> Manifest:
    """The manifest of the next snapshot, whose one segment lies in `segment-2`."""
    [segment] = manifest.segments
    return replace(
        manifest, segments=(replace(segment, folder="segment-2"),), snapshot=2, **changes
    )


def test_a_snapshot_of_which_a_file_is_missing_is_not_held(folder: Path) -> None:
    (folder / "segment-1/vectors.npy").unlink()
    with pytest.raises(IndexDamaged, match=r"vectors\.npy is missing"), holding(folder):
        pass
    assert held_snapshots(folder) == 0


def test_garbage_of_a_folder_whose_manifest_cannot_be_read_stays(folder: Path) -> None:
    (folder / "segment-9").mkdir()
    (folder / "manifest.json").write_text("{")
    collect_garbage(folder)
    assert (folder / "segment-9").exists()
    assert (folder / "segment-1/vectors.npy").exists()
    collect_garbage(folder / "nowhere")


def test_a_later_snapshot_that_was_not_published_goes(folder: Path) -> None:
    (folder / "snapshot-2.json").write_bytes((folder / "manifest.json").read_bytes())
    (folder / "segment-2").mkdir()
    (folder / "segment-2/vectors.npy").write_text("half")
    (folder / ".manifest.json.4711.tmp").write_text("half")
    (folder / "segment-1/.new.faiss.tmp").write_text("half")
    collect_garbage(folder)
    assert_holds_one_snapshot(folder)
    assert not (folder / "segment-2").exists()

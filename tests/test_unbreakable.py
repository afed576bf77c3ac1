"""Kills at random moments, damaged bytes, folders that may not be used, many processes at once.

A few of each in the suite; `HYPOTHESIS_PROFILE=long pytest tests/test_unbreakable.py` kills 50
builds, flips 200 bytes of each file and lets a builder and ten readers run for a minute.
"""

import json
import multiprocessing
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index.manifest import Manifest
from astrosearch.index.reader import Index
from astrosearch.index.tune import tune
from astrosearch.report import SILENT
from tests.conftest import LONG, Run, assert_holds_one_snapshot, kaggle_line, segment_folder

KILLS, FLIPS, READERS, SECONDS = (50, 200, 10, 60.0) if LONG else (8, 40, 3, 3.0)

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "astrosearch.index.build",
        "astrosearch.encoders.transformer",
        "astrosearch.encoders.llama_numpy",
    ]
)


def apart(folder: Path, source: Path, llama: Path) -> BaseProcess:
    """A build in a process of its own."""
    process = _SERVER.Process(target=_build, args=(folder, source, llama))
    process.start()
    return process


def _build(
    folder: Path, source: Path, llama: Path, pause: Callable[[], None] = lambda: None
) -> None:
    """A build; `pause` is called before its encoder is loaded."""
    import torch

    from astrosearch.corpus.intake import Selection
    from astrosearch.encoders.loading import load_encoder
    from astrosearch.encoders.weights.locate import resolve
    from astrosearch.index.build import build

    torch.set_num_threads(1)
    spec = resolve(EncoderSpec(str(llama), layers=0), SILENT)[0]

    def load(spec: EncoderSpec) -> Encoder:
        pause()
        return load_encoder(spec, SILENT, device="cpu")

    build(folder, [source], Selection(), spec, load)


def write(source: Path, number: int) -> None:
    """A corpus of 100 papers, of which those of odd `number` have other texts than those of even
    one; the new file replaces the old one in one step."""
    new = source.with_suffix(".new")
    abstract = f"version {number % 2} of gas in stars"
    new.write_text("\n".join(kaggle_line(n, abstract=f"{abstract} {n}") for n in range(100)))
    new.replace(source)


def versions(folder: Path) -> set[str]:
    """Which versions of the corpus the papers of an index that opens, and its answers, show."""
    index = Index(folder)
    _, [rows] = index.search(index.vector(7)[None], 3)
    papers = [*index.corpus, *index.corpus.papers(rows.tolist())]
    found = {paper.abstract.split()[1] for paper in papers}
    assert len(index) == 100
    assert set(rows.tolist()) <= set(range(100))
    assert len(index.lexical) == 100
    for word in ("0", "1"):
        assert bool(len(index.lexical.rows_matching_phrase(f"version {word}"))) == (word in found)
    return found


@pytest.mark.slow
def test_a_build_killed_at_any_moment_leaves_the_old_index_or_the_new(
    tmp_path: Path, tiny_llama: Path
) -> None:
    folder, source, draw = tmp_path / "indexes/one", tmp_path / "corpus.json", random.Random(0)
    write(source, 0)
    start = time.monotonic()
    whole = apart(folder, source, tiny_llama)
    whole.join(100)
    took = time.monotonic() - start
    assert whole.exitcode == 0
    for number in range(1, KILLS + 1):
        before = versions(folder)
        write(source, number)
        process = apart(folder, source, tiny_llama)
        time.sleep(draw.uniform(0, took))
        process.kill()
        process.join()
        assert versions(folder) in (before, {str(number % 2)})
        assert Manifest.read(folder).verify(folder) == []
    again = apart(folder, source, tiny_llama)
    again.join(100)
    assert again.exitcode == 0
    assert versions(folder) == {str(KILLS % 2)}
    assert {file.name for file in folder.parent.iterdir()} <= {"one", ".one.lock", ".one.partial"}
    # What the killed builds left in the folder is gone, too.
    assert_holds_one_snapshot(folder)


@pytest.mark.slow
def test_a_builder_and_readers_at_once_never_mix_two_builds(
    tmp_path: Path, tiny_llama: Path
) -> None:
    folder, source = tmp_path / "indexes/one", tmp_path / "corpus.json"
    write(source, 0)
    first = apart(folder, source, tiny_llama)
    first.join(100)
    said = _SERVER.Queue()
    readers = [_SERVER.Process(target=_read, args=(folder, SECONDS, said)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        number += 1
        write(source, number)
        builder = apart(folder, source, tiny_llama)
        builder.join(100)
        assert builder.exitcode == 0
    outcomes = [said.get(timeout=100) for _ in readers]
    for reader in readers:
        reader.join(100)
    assert {problem for problems, _ in outcomes for problem in problems} == set()
    assert all(answers for _, answers in outcomes)


def _read(
    folder: Path, seconds: float, said: "multiprocessing.Queue[tuple[list[str], int]]"
) -> None:
    """Ask again and again; whatever is not an answer of one build is told."""
    problems, answers = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or not answers:
        try:
            found = versions(folder)
            answers += 1
            if len(found) != 1:
                problems.append(f"two builds in one answer: {found}")
        except Exception as error:
            problems.append(repr(error))
    said.put((problems, answers))


@pytest.mark.slow
def test_two_builders_at_once_end_with_one_index(tmp_path: Path, tiny_llama: Path) -> None:
    """The second starts while the first is about to encode, and is told so."""
    folder, source = tmp_path / "indexes/one", tmp_path / "corpus.json"
    write(source, 0)
    outcomes = _SERVER.Queue()
    inside, go_on = _SERVER.Event(), _SERVER.Event()
    first = _SERVER.Process(
        target=_try_to_build, args=(folder, source, tiny_llama, outcomes, inside, go_on)
    )
    first.start()
    assert inside.wait(100)
    second = _SERVER.Process(target=_try_to_build, args=(folder, source, tiny_llama, outcomes))
    second.start()
    assert outcomes.get(timeout=100) == "IndexBusy"
    assert not folder.exists()
    go_on.set()
    assert outcomes.get(timeout=100) == "built"
    for builder in (first, second):
        builder.join(100)
        assert builder.exitcode == 0
    assert versions(folder) == {"0"}


def _try_to_build(
    folder: Path,
    source: Path,
    llama: Path,
    outcomes: "multiprocessing.Queue[str]",
    inside: Event | None = None,
    go_on: Event | None = None,
) -> None:
    """A build that waits for `go_on` before it encodes, and puts what came of it."""

    def pause() -> None:
        if inside and go_on:
            inside.set()
            go_on.wait(100)

    try:
        _build(folder, source, llama, pause)
        outcomes.put("built")
    except AstrosearchError as error:
        outcomes.put(type(error).__name__)


def flips_are_found(folder: Path, run: Run, flips: int) -> None:
    """Flip bytes of each file of the index `main`, one at a time; `verify` has to find each."""
    draw = random.Random(0)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        good = file.read_bytes()
        for _ in range(flips if good else 0):
            place = draw.randrange(len(good))
            bad = bytes([good[place] ^ (1 << draw.randrange(8))])
            file.write_bytes(good[:place] + bad + good[place + 1 :])
            with suppress(IndexDamaged):
                assert Manifest.read(folder).verify(folder), (file, place)
        run("indexes", "verify", "main", code=1 if good else 0)
        file.write_bytes(good)
    assert "sound" in run("indexes", "verify", "main").stdout


def test_a_letter_of_a_text_that_changed_is_no_answer(frozen: Path, run: Run) -> None:
    """Also where nobody asks for `verify`: SQLite does not see it."""
    with sqlite3.connect(frozen / "papers.sqlite") as db:
        (paper_id, abstract) = db.execute("SELECT id, abstract FROM papers LIMIT 1").fetchone()
    file = frozen / "papers.sqlite"
    content, text = file.read_bytes(), abstract.encode()
    assert content.count(text) == 1
    file.write_bytes(content.replace(text, b"X" + text[1:]))
    said = f"the text of {paper_id} changed since the build (sha256 differs)"
    for command in (("show", paper_id), ("query", abstract, "--mode", "lexical", "-k", 20)):
        assert said in run(*command, code=1).stderr


def test_verify_finds_flipped_bytes(frozen: Path, run: Run) -> None:
    flips_are_found(frozen, run, 5)


@pytest.mark.slow
def test_verify_finds_every_flipped_byte(built: Path, run: Run) -> None:
    flips_are_found(built, run, FLIPS)


@pytest.mark.slow
@pytest.mark.parametrize("format", [2, 3])
def test_an_index_that_may_not_be_read_or_written_is_a_line(
    frozen: Path, tmp_path: Path, format: int
) -> None:
    """For a user who is not root, who may do everything: the child becomes another."""
    if format == 3:
        tune(frozen, index_type="flat")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    source = tmp_path / "one.jsonl"
    source.write_text(kaggle_line(1))
    home = frozen.parent
    shutil.copytree(frozen, home / "locked")
    (home / "locked/vectors.npy").chmod(0)
    for folder in (home, frozen):
        folder.chmod(0o555)
    outcomes = _SERVER.Queue()
    stranger = _SERVER.Process(target=_ask_as_stranger, args=(home, source, outcomes))
    try:
        stranger.start()
        lines = outcomes.get(timeout=100)
        stranger.join(100)
    finally:
        for folder in (home, frozen):
            folder.chmod(0o755)
    assert lines["query"] == "answered"
    for action in ("build", "remove", "tune"):
        assert re.search("cannot write .*Permission denied", lines[action]), lines[action]
    assert "vectors.npy cannot be read: Permission denied" in lines["locked"]
    assert sorted(path.name for path in frozen.iterdir()) == sorted(
        path.name for path in (home / "locked").iterdir()
    )


def _ask_as_stranger(
    home: Path, source: Path, outcomes: "multiprocessing.Queue[dict[str, str]]"
) -> None:
    from astrosearch.corpus.intake import Selection
    from astrosearch.index.build import build
    from astrosearch.index.folder import remove

    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    folder = home / "main"

    def line(action: Callable[[], object]) -> str:
        try:
            action()
        except AstrosearchError as error:
            return str(error)
        return "answered"

    def never(spec: EncoderSpec) -> Encoder:
        raise AssertionError(f"{spec} was loaded for nothing")

    def ask() -> None:
        with Index(folder) as index:
            assert len(index.lexical.search("gas", 3)[1]) == 3

    spec = Manifest.read(folder).encoder
    outcomes.put(
        {
            "query": line(ask),
            "build": line(lambda: build(folder, [source], Selection(), spec, never)),
            "remove": line(lambda: remove(folder)),
            "tune": line(lambda: tune(folder, index_type="sq8")),
            "locked": line(lambda: Index(home / "locked")),
        }
    )


def test_an_index_that_vanishes_in_mid_query_is_a_line_or_the_old_answer(built: Path) -> None:
    index = Index(built)
    before = index.corpus.papers([3])
    shutil.rmtree(built)
    _, [rows] = index.search(index.vector(3)[None], 1)
    assert rows.tolist() == [3]
    assert index.corpus.papers([3]) == before
    with pytest.raises(IndexDamaged, match="changed since the build"):
        _ = index.lexical
    with pytest.raises(IndexDamaged, match="cannot be read"):
        Index(built)


def test_a_transform_or_a_pipe_in_a_manifest_reaches_no_file_elsewhere(
    built: Path, run: Run
) -> None:
    record = json.loads((built / "manifest.json").read_text())
    encoder = {**record["encoder"], "transform": "../../../x"}
    (built / "manifest.json").write_text(json.dumps({**record, "encoder": encoder}))
    assert "there is no transform '../../../x'" in run("query", "gas", code=2).stderr
    rejected = segment_folder(built) / "rejected.jsonl"
    rejected.unlink()
    os.mkfifo(rejected)  # reading it would wait for ever
    assert "rejected.jsonl is missing" in run("indexes", "verify", "main", code=1).stderr


@pytest.mark.parametrize(
    "odd",
    [
        {"parameters": {"k_factor": 0, "nprobe": 1}},
        {"parameters": {"nprobe": 1}},
        {"parameters": {"k_factor": 2**31, "nprobe": 1}},
        {"parameters": {"k_factor": True, "nprobe": 1}},
    ],
)
def test_parameters_that_no_tuning_gives_are_a_line(
    built: Path, run: Run, odd: dict[str, Any]
) -> None:
    run("indexes", "tune", "main", "--kind", "ivf")
    record = json.loads((built / "manifest.json").read_text())
    record["segments"][0] |= odd
    (built / "manifest.json").write_text(json.dumps(record))
    assert "parameters.k_factor is" in run("query", "gas", code=1).stderr


@pytest.mark.parametrize(
    "odd",
    [
        {"selection": {"since": 3}},
        {"selection": {"since": "soon"}},
        {"selection": {"nonsense": 3}},
        {"sources": []},
        {"sources": ["a\0b"]},
    ],
)
def test_a_manifest_whose_corpus_says_nothing_is_a_line(
    built: Path, run: Run, odd: dict[str, Any]
) -> None:
    record = json.loads((built / "manifest.json").read_text())
    corpus = {**record["corpus"], **odd}
    (built / "manifest.json").write_text(json.dumps({**record, "corpus": corpus}))
    assert "--corpus FILE" in run("index", "main", code=1).stderr.splitlines()[-1]


def test_a_damaged_header_of_vectors_is_a_line(built: Path, run: Run) -> None:
    file = segment_folder(built) / "vectors.npy"
    good = file.read_bytes()
    for place, mask in ((8, 64), (9, 1), (10, 1), (10, 64), (10, 255), (20, 255)):
        content = bytearray(good)
        content[place] ^= mask
        file.write_bytes(content)
        assert re.search(r"vectors\.npy (cannot be read|holds)", run("query", "gas", code=1).stderr)


def test_tuning_touches_no_index_that_lacks_a_part(built: Path, run: Run) -> None:
    run("indexes", "tune", "main", "--kind", "sq8")
    (segment_folder(built) / "papers.sqlite").unlink()
    before = {file: file.read_bytes() for file in built.rglob("*") if file.is_file()}
    assert "is missing" in run("indexes", "tune", "main", "--kind", "flat", code=1).stderr
    assert before == {file: file.read_bytes() for file in built.rglob("*") if file.is_file()}
    assert "nan is not a recall" in run("indexes", "tune", "main", "--recall", "nan", code=2).stderr

"""The nearest vectors: every kind finds what exact search finds, under filters too."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from astrosearch.atomic import file_sha256
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import IndexBusy, IndexDamaged, InputError, SetupError
from astrosearch.index import vector_index
from astrosearch.index.folder import locked
from astrosearch.index.manifest import AnnConfig, Manifest
from astrosearch.index.reader import Index
from astrosearch.index.tune import tune
from astrosearch.index.vector_index import INDEX_TYPES, VectorIndex
from tests.conftest import LONG, Run, segment_folder

COUNT, DIMENSION = 4000, 64
COMPRESSED = tuple(kind for kind in INDEX_TYPES if kind not in ("auto", "flat"))
OTHERS = ("IVF16,SQ8", "IVF16,RaBitQ", "PCA32,SQ8", "RR64,IVF16,RaBitQ", "RaBitQfs")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float16]:
    """Clustered vectors in a file, mapped."""
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(60, DIMENSION))
    rows = centres[draw.integers(0, 60, COUNT)] + 0.7 * draw.normal(size=(COUNT, DIMENSION))
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    np.save(path, unit_rows(rows).astype(np.float16))
    mapped: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return mapped


@pytest.fixture(scope="module")
def questions(stored: NDArray[np.float16]) -> Vectors:
    draw = np.random.default_rng(9)
    noise = draw.normal(size=(100, DIMENSION)) / DIMENSION**0.5
    return unit_rows(stored[draw.integers(0, COUNT, 100)] + 0.8 * noise)


def compared(
    stored: NDArray[np.float16], questions: Vectors, k: int, allowed: NDArray[np.int64]
) -> tuple[Vectors, NDArray[np.int64]]:
    """The right answer, by numpy."""
    cosines = questions @ unit_rows(stored[allowed]).T
    best = np.argsort(-cosines, axis=1)[:, :k]
    return np.take_along_axis(cosines, best, axis=1), allowed[best]


@pytest.fixture(scope="module", params=[*COMPRESSED, *OTHERS])
def tuned(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    stored: NDArray[np.float16],
) -> tuple[VectorIndex, float]:
    words = vector_index.factory(request.param, COUNT, DIMENSION)
    path = tmp_path_factory.mktemp("faiss") / "vectors.faiss"
    vector_index.write(path, stored, words)
    found = VectorIndex(stored, path, {})
    return found, found.tune(0.99)


def test_every_kind_reaches_the_recall_that_is_asked(
    tuned: tuple[VectorIndex, float], stored: NDArray[np.float16], questions: Vectors
) -> None:
    found, recall = tuned
    assert recall >= 0.99
    expected, _ = compared(stored, questions, 10, np.arange(COUNT))
    scores, rows = found.search(questions, 10)
    assert (np.diff(scores, axis=1) <= 0).all()
    # These are other questions than those on which it was measured.
    assert np.mean(scores >= expected[:, -1:] - 1e-3) >= 0.98
    exact = np.einsum("qd,qkd->qk", questions, stored[rows].astype(np.float32))
    np.testing.assert_allclose(scores, exact, atol=1e-3)


def test_parameters_rise_until_more_recall_is_reached(
    tmp_path: Path, stored: NDArray[np.float16]
) -> None:
    vector_index.write(tmp_path / "one", stored, "IVF64,RaBitQ")
    found = VectorIndex(stored, tmp_path / "one", {})
    low = found.tune(0.5), found.parameters
    high = found.tune(1.0), found.parameters
    assert low[0] < high[0] == 1.0
    assert all(high[1][name] >= value for name, value in low[1].items())
    assert high[1] != low[1]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01, 1 / COUNT])
def test_a_filter_finds_what_exact_search_finds(
    tuned: tuple[VectorIndex, float],
    stored: NDArray[np.float16],
    questions: Vectors,
    share: float,
) -> None:
    found, _ = tuned
    allowed = np.sort(np.random.default_rng(5).permutation(COUNT)[: round(share * COUNT)])
    expected, wanted = compared(stored, questions, 10, allowed)
    scores, rows = found.search(questions, 10, allowed)
    assert np.isin(rows[rows >= 0], allowed).all()
    right = scores[:, : wanted.shape[1]] >= expected - 1e-3
    assert right.all() if share < 1 else right.mean() >= 0.98


def test_a_filter_that_leaves_only_what_is_far_from_the_question_hides_nothing(
    tuned: tuple[VectorIndex, float], stored: NDArray[np.float16], questions: Vectors
) -> None:
    found, _ = tuned
    for question in questions[:10]:
        far = np.sort(np.argsort(unit_rows(stored) @ question)[: COUNT // 2])
        expected, _ = compared(stored, question[None], 10, far)
        scores, rows = found.search(question[None], 10, far)
        assert np.isin(rows, far).all()
        np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_more_answers_than_the_lists_looked_into_hold_are_found_all_the_same(
    tuned: tuple[VectorIndex, float], stored: NDArray[np.float16], questions: Vectors
) -> None:
    found, _ = tuned
    scores, rows = found.search(questions[:3], COUNT)
    assert all(sorted(line) == list(range(COUNT)) for line in rows)
    expected, _ = compared(stored, questions[:3], COUNT, np.arange(COUNT))
    np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_flat_is_exact_and_writes_nothing(
    stored: NDArray[np.float16], questions: Vectors, tmp_path: Path
) -> None:
    found = VectorIndex(stored, None, {})
    assert (found.tune(0.99), found.parameters) == (1.0, {})
    for allowed in (None, np.arange(0, COUNT, 7)):
        rows = np.arange(COUNT) if allowed is None else allowed
        expected, _ = compared(stored, questions, 20, rows)
        scores, answer = found.search(questions, 20, allowed)
        np.testing.assert_allclose(scores, expected, atol=1e-3)
        exact = np.einsum("qd,qkd->qk", questions, stored[answer].astype(np.float32))
        np.testing.assert_allclose(exact, scores, atol=1e-3)
        assert np.isin(answer, rows).all()


def test_where_nearly_all_would_be_candidates_all_are_compared(
    tmp_path: Path, stored: NDArray[np.float16], questions: Vectors
) -> None:
    vector_index.write(tmp_path / "one", stored, "PQ2x4np")
    coarse = VectorIndex(stored, tmp_path / "one", {"k_factor": 1})
    expected, _ = compared(stored, questions, 10, np.arange(COUNT))
    assert np.mean(coarse.search(questions, 10)[0] >= expected - 1e-3) < 0.5
    # Codes of a byte tell nothing apart here, so that the recall asked needs far too many of them.
    assert coarse.tune(1.0) == 1.0
    assert 10 * coarse.parameters["k_factor"] < COUNT
    np.testing.assert_allclose(coarse.search(questions, 10)[0], expected, atol=1e-3)


def test_identical_papers_do_not_count_as_missed(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    copies = np.repeat(unit_rows(draw.normal(size=(20, 32))), 50, axis=0).astype(np.float16)
    vector_index.write(tmp_path / "one", copies, "SQ8")
    found = VectorIndex(copies, tmp_path / "one", {})
    assert found.tune(0.99) == 1.0
    assert found.parameters["k_factor"] < 16


@pytest.mark.parametrize(
    ("count", "dimension", "memory", "expected"),
    [
        (264, 512, None, "SQfp16"),
        (30_000, 512, None, "SQfp16"),
        (56_307, 512, None, "PQ256x4fs"),
        (200_000, 512, None, "PQ256x4fs"),
        (380_000, 512, None, "PQ256x4fs"),
        (100_000, 515, None, "SQfp16"),
        (326_238, 576, None, "PQ288x4fs"),
        (400_000, 576, None, "IVF1264,PQ144x4fs"),
        (326_238, 4096, None, "IVF626,PQ512x4fs"),
        (2_700_000, 576, None, "IVF3286,PQ72x4fs"),
        (20_000_000, 576, None, "IVF4451,RaBitQ"),
        (200_000, 512, 26_000_000, "PQ256x4fs"),
        (200_000, 514, 20_000_000, "IVF894,RaBitQ"),
        (200_000, 514, 15_000_000, "RaBitQ"),
    ],
)
def test_auto_goes_by_size_dimension_and_memory(
    count: int, dimension: int, memory: int | None, expected: str
) -> None:
    assert vector_index.factory("auto", count, dimension, memory) == expected


def test_an_unknown_kind_and_too_little_memory_are_one_line(run: Run, built: Path) -> None:
    before = (built / "manifest.json").read_bytes()
    for arguments, fact in (
        (("--kind", "Nonsense"), "'Nonsense' is not a FAISS index of 64 dimensions"),
        (("--memory", "1kB"), "150 papers of 64 dimensions need 0.002 MB at least"),
        (("--kind", "hnsw", "--memory", "1kB"), "the limit is 0.0 MB"),
        (("--kind", "pq"), "does not suit 150 papers"),
        (("--memory", "much"), "'much' is not a size: write 500MB"),
    ):
        stderr = run("indexes", "tune", "main", *arguments, code=2).stderr
        assert fact in stderr.strip().splitlines()[-1]
    assert (built / "manifest.json").read_bytes() == before
    assert not list(built.rglob("*faiss*"))


def test_tuning_encodes_nothing_keeps_the_answers_and_is_remembered(run: Run, built: Path) -> None:
    assert Manifest.read(built).largest.recall == 1
    vectors = (segment_folder(built) / "vectors.npy").read_bytes()
    before = run("query", "gas", "--mode", "dense", "--format", "ids").stdout
    for kind in ("sq8", "ivf", "hnsw", "rabitq", "flat"):
        said = run("indexes", "tune", "main", "--kind", kind, "--recall", 1).stderr
        assert "recall" in said
        manifest = Manifest.read(built)
        assert manifest.ann_config == AnnConfig(kind, 1.0)
        assert manifest.largest.recall == 1.0
        assert (manifest.largest.parameters == {}) == (kind == "flat")
        assert [f"{one.parent.name}/{one.name}" for one in built.glob("segment*/*faiss*")] == [
            name for name in manifest.files if "faiss" in name
        ]
        run("indexes", "verify", "main")
        assert run("query", "gas", "--mode", "dense", "--format", "ids").stdout == before
    assert (segment_folder(built) / "vectors.npy").read_bytes() == vectors
    run("indexes", "tune", "--kind", "ivf", "--memory", "1.5MB")
    kept = Manifest.read(built)
    assert kept.ann_config == AnnConfig("ivf", 1.0, 1_500_000)
    assert "is up to date" in run("index", "main").stderr
    assert "149 vectors reused" in run("index", "main", "--limit", 149).stderr
    assert Manifest.read(built).ann_config == kept.ann_config


def test_tuning_mends_a_damaged_faiss_file(run: Run, built: Path) -> None:
    run("indexes", "tune", "main", "--kind", "sq8")
    manifest = Manifest.read(built)
    name = manifest.faiss_file(manifest.largest)
    assert name
    content = (built / name).read_bytes()
    (built / name).write_bytes(b"x" * len(content))
    assert "is not the FAISS index" in run("query", "gas", code=1).stderr
    run("indexes", "tune", "main")
    assert (built / name).read_bytes() == content
    (segment_folder(built) / "vectors.npy").unlink()
    with pytest.raises(IndexDamaged, match=r"vectors.npy is missing"):
        tune(built)


def test_two_do_not_tune_one_index(built: Path) -> None:
    with locked(built), pytest.raises(IndexBusy):
        tune(built, index_type="sq8")


@pytest.mark.slow
def test_sigkill_during_tuning_leaves_an_index_whole(run: Run, home: Path, built: Path) -> None:
    """Killed at many moments, each time from the index as it then is, to and fro."""
    with Index(built) as index:
        question = index.vector(3)[None]
        expected = index.search(question, 10)[0][0]
    start = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "astrosearch",
        "indexes",
        "tune",
        "main",
        "--recall",
        "1",
        "--kind",
    ]
    subprocess.run([*command, "ivf"], check=True, stderr=subprocess.DEVNULL)
    whole = time.monotonic() - start
    kinds = set()
    for part in range(50 if LONG else 8):
        kind = ("hnsw", "sq8", "flat", "ivf")[part % 4]
        process = subprocess.Popen([*command, kind], stderr=subprocess.DEVNULL)
        time.sleep(whole * (0.5 + part % 8 / 12 + part / 500))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Index(built) as index:
            assert not index.manifest.verify(built)
            np.testing.assert_allclose(index.search(question, 10)[0][0], expected, atol=1e-3)
            kinds.add(index.manifest.ann_config.index_type)
    run("indexes", "tune", "main", "--kind", "sq8")
    assert len(list(built.rglob("*.faiss*"))) == 1  # what was left behind is gone


def test_an_index_of_the_first_releases_is_read(run: Run, frozen: Path) -> None:
    """They had vectors.faiss beside vectors.npy, and nothing measured."""
    for words, exact in (("SQfp16", True), ("IVF4,SQfp16", False)):
        folder = frozen.with_name("old")
        shutil.copytree(frozen, folder)
        vector_index.write(folder / "vectors.faiss", np.asarray(Index(frozen).vectors), words)
        record = json.loads((folder / "manifest.json").read_text())
        for field in ("asked", "parameters", "recall"):
            del record[field]
        record["factory"] = words
        record["files"]["vectors.faiss"] = {
            "bytes": (folder / "vectors.faiss").stat().st_size,
            "sha256": file_sha256(folder / "vectors.faiss"),
        }
        (folder / "manifest.json").write_text(json.dumps(record))
        index = Index(folder)
        assert index.vector_index.is_exact == exact
        assert index.search(index.vector(0)[None], 1)[0][0][0] == pytest.approx(1, abs=1e-3)
        run("indexes", "tune", "old", "--kind", "flat")
        manifest = Manifest.read(folder)
        assert "vectors.faiss" not in manifest.files
        assert (manifest.largest.recall, manifest.largest.factory) == (1, "SQfp16")
        shutil.rmtree(folder)


def test_a_reader_that_meets_a_change_reads_the_new_index(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(built, index_type="sq8")
    old = Manifest.read(built)
    read = Manifest.read_file

    def overtaken(path: Path) -> Manifest:
        """The old manifest, just before the tuning that takes its file away."""
        monkeypatch.setattr(Manifest, "read_file", read)
        tune(built, index_type="rabitq")
        return old

    monkeypatch.setattr(Manifest, "read_file", overtaken)
    assert Index(built).manifest.largest.factory == "RaBitQ"


def test_what_a_search_looked_at_does_not_stay_resident(tmp_path: Path) -> None:
    """In a process of its own, by the pages of files that it has mapped."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    program = """
import sys
from pathlib import Path
import faiss
import numpy as np
from astrosearch.index import vector_index
from astrosearch.index.vector_index import VectorIndex
from astrosearch.encoders.vectors import unit_rows
folder = Path(sys.argv[1])
rows = unit_rows(np.random.default_rng(0).normal(size=(40_000, 128))).astype(np.float16)
np.save(folder / "vectors.npy", rows)
stored = np.load(folder / "vectors.npy", mmap_mode="r")
vector_index.write(folder / "one.faiss", stored, "RaBitQ")
found = VectorIndex(stored, folder / "one.faiss", {"k_factor": 32})
def mapped():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssFile"):
            return int(line.split()[1]) * 1024
found.search(unit_rows(rows[:1]), 10)
before = mapped()
for start in range(0, 40_000, 100):
    found.search(unit_rows(rows[start : start + 1]), 10)
print(mapped() - before, stored.nbytes)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    grown, size = map(int, done.stdout.split())
    assert grown < size / 2


def test_too_little_memory_says_how_much_is_needed() -> None:
    with pytest.raises(InputError, match=r"need 26\.1 MB at least, 10\.0 MB were given"):
        vector_index.factory("auto", 326_238, 576, 10_000_000)


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "IVF16,Flat"])
def test_few_answers_are_as_right_as_ten_also_of_a_small_index(tmp_path: Path, kind: str) -> None:
    """So few vectors that they are compared at once, were recall measured with all of them."""
    draw = np.random.default_rng(0)
    stored = unit_rows(draw.normal(size=(3_000, 32)).astype(np.float32)).astype(np.float16)
    vector_index.write(tmp_path / "faiss", stored, vector_index.factory(kind, *stored.shape))
    found = VectorIndex(stored, tmp_path / "faiss", {})
    assert found.tune(0.99) >= 0.99
    queries = unit_rows(draw.normal(size=(100, 32)).astype(np.float32))
    exact = VectorIndex(stored, None, {})
    for k in (1, 3, 5, 10):
        right = exact.search(queries, k)[1]
        assert (
            np.mean(
                [
                    np.isin(*pair).mean()
                    for pair in zip(found.search(queries, k)[1], right, strict=True)
                ]
            )
            > 0.98
        )


@pytest.mark.parametrize("words", ["HNSW0", "IVF0,Flat", "IVF1000000000,Flat", "PQ0", "OPQ0,IVF4"])
def test_words_that_would_end_the_process_are_refused(words: str) -> None:
    with pytest.raises(InputError, match="is not a FAISS index"):
        vector_index.factory(words, 1_000, 64)


def test_a_faiss_that_lays_out_its_vectors_in_another_way_is_one_line(
    monkeypatch: pytest.MonkeyPatch, stored: NDArray[np.float16]
) -> None:
    class Codes:
        is_owned = True

    class Another:
        def __init__(self, *rest: object) -> None:
            self.codes = Codes()

    vector_index._check_flat_view.cache_clear()
    monkeypatch.setattr(faiss, "IndexScalarQuantizer", Another)
    with pytest.raises(
        SetupError, match=r"lacks view_data, .* knows faiss 1\.12 to 1\.15"
    ) as caught:
        VectorIndex(stored, None, {})
    assert faiss.__version__ in str(caught.value)
    monkeypatch.undo()
    assert VectorIndex(stored, None, {}).is_exact

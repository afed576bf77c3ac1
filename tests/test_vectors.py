"""Unit rows, rows here and there, and whitening."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.vectors import unit_rows
from astrosearch.index import vectors as of_vectors
from astrosearch.index.vectors import RowReader


def test_rows_get_length_one_and_zeros_stay() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])
    assert rows.dtype == np.float32


@pytest.mark.parametrize("mapped_bytes", [0, 10**9])
def test_rows_here_and_there_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_bytes: int
) -> None:
    monkeypatch.setattr(of_vectors, "MAPPED_BYTES", mapped_bytes)
    rows = np.random.default_rng(0).normal(size=(500, 24)).astype(np.float16)
    np.save(tmp_path / "vectors.npy", rows)
    stored = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    chosen = np.array([499, 0, 17, 17, 250])
    taken = RowReader(stored)[chosen]
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, rows[chosen].astype(np.float32))
    assert RowReader(stored)[chosen[:0]].shape == (0, 24)
    # A slice of the file, and an array that is none, are not to be read from its beginning.
    for part in (stored[100:400], rows[100:400]):
        np.testing.assert_array_equal(RowReader(part)[np.array([7])], rows[107:108])


def test_rows_of_the_file_that_was_opened_are_read_when_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_vectors, "MAPPED_BYTES", 0)
    np.save(tmp_path / "vectors.npy", np.ones((4, 8), np.float16))
    np.save(tmp_path / "other.npy", np.zeros((4, 8), np.float16))
    stored = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    scattered = RowReader(stored)
    (tmp_path / "other.npy").replace(tmp_path / "vectors.npy")
    assert scattered[np.array([3])].sum() == 8


def test_a_file_that_was_cut_off_gives_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_vectors, "MAPPED_BYTES", 0)
    np.save(tmp_path / "vectors.npy", np.ones((4, 8), np.float16))
    scattered = RowReader(np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    os.truncate(tmp_path / "vectors.npy", 150)
    with pytest.raises(OSError, match="cut off"):
        scattered[np.array([3])]


def test_rows_here_and_there_of_a_large_file_map_nothing_of_it(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    program = """
import sys
from pathlib import Path
import numpy as np
from astrosearch.index.vectors import MAPPED_BYTES, RowReader
count = MAPPED_BYTES // 1024 + 1
stored = np.lib.format.open_memmap(sys.argv[1], mode="w+", dtype=np.float16, shape=(count, 512))
stored[:] = 1
stored.flush()
stored = np.load(sys.argv[1], mmap_mode="r")
def mapped():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssFile"):
            return int(line.split()[1]) * 1024
before = mapped()
assert (RowReader(stored)[np.arange(0, count, 100)] == 1).all()
print(mapped() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "vectors.npy"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert int(done.stdout) < 10_000_000


def test_whitening_takes_out_the_mean_and_equalises_the_axes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # One large common component and axes of very different spread: a language model's vectors.
    vectors = 5 * np.ones(6) + rng.normal(size=(4000, 6)) * [4, 2, 1, 1, 0.5, 0.2]
    whitening = LinearHead.fit(vectors, dimension=4)
    cosines = unit_rows(vectors) @ unit_rows(vectors).T
    white = whitening(vectors)
    assert white.shape == (4000, 4)
    assert cosines.mean() > 0.5
    assert abs((white @ white.T).mean()) < 0.01
    np.testing.assert_allclose(np.cov(white.T), np.eye(4) / 4, atol=0.03)
    whitening.save(tmp_path / "white.safetensors")
    again = LinearHead.load(tmp_path / "white.safetensors")(vectors)
    np.testing.assert_allclose((again * white).sum(axis=1), 1, atol=1e-3)


def test_whitening_needs_more_rows_than_dimensions() -> None:
    with pytest.raises(ValueError, match="needs more than 3 rows"):
        LinearHead.fit(np.eye(3), dimension=3)

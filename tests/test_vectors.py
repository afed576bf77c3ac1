"""Unit rows and whitening."""

from pathlib import Path

import numpy as np
import pytest

from astrosearch.vectors import Whitening, unit_rows


def test_rows_get_length_one_and_zeros_stay() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])
    assert rows.dtype == np.float32


def test_whitening_takes_out_the_mean_and_equalises_the_axes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # One large common component and axes of very different spread: a language model's vectors.
    vectors = 5 * np.ones(6) + rng.normal(size=(4000, 6)) * [4, 2, 1, 1, 0.5, 0.2]
    whitening = Whitening.fit(vectors, dimension=4)
    cosines = unit_rows(vectors) @ unit_rows(vectors).T
    white = whitening(vectors)
    assert white.shape == (4000, 4)
    assert cosines.mean() > 0.5
    assert abs((white @ white.T).mean()) < 0.01
    np.testing.assert_allclose(np.cov(white.T), np.eye(4) / 4, atol=0.03)
    whitening.save(tmp_path / "white.safetensors")
    again = Whitening.load(tmp_path / "white.safetensors")(vectors)
    np.testing.assert_allclose((again * white).sum(axis=1), 1, atol=1e-3)


def test_whitening_needs_more_rows_than_dimensions() -> None:
    with pytest.raises(ValueError, match="needs more than 3 rows"):
        Whitening.fit(np.eye(3), dimension=3)

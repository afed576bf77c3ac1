"""The vectors of several segments, and the nearest of them: what numpy finds in one array."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.index import vector_index
from astrosearch.index.segments import SegmentedVectorIndex, SegmentedVectors, joined
from astrosearch.index.vector_index import VectorIndex

DIMENSION = 32
LENGTHS = (700, 1, 64, 300)
COUNT = sum(LENGTHS)
FIRSTS = (0, 700, 701, 765)


@pytest.fixture(scope="module")
def stored() -> NDArray[np.float16]:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, DIMENSION))
    rows = centres[draw.integers(0, 20, COUNT)] + 0.6 * draw.normal(size=(COUNT, DIMENSION))
    return unit_rows(rows.astype(np.float32)).astype(np.float16)


@pytest.fixture(scope="module")
def queries(stored: NDArray[np.float16]) -> Vectors:
    draw = np.random.default_rng(1)
    near = stored[draw.integers(0, COUNT, 40)].astype(np.float32)
    return unit_rows(near + 0.1 * draw.normal(size=near.shape).astype(np.float32))


def parts_of(stored: NDArray[np.float16]) -> list[NDArray[np.float16]]:
    return [
        np.ascontiguousarray(stored[first : first + length])
        for first, length in zip(FIRSTS, LENGTHS, strict=True)
    ]


def compared(
    stored: NDArray[np.float16], queries: Vectors, k: int, allowed: NDArray[np.int64]
) -> Vectors:
    """(q, min(k, allowed)) the right cosines, best first."""
    cosines = queries @ stored[allowed].astype(np.float32).T
    best: Vectors = -np.sort(-cosines, axis=1)[:, :k]
    return best


def assert_right(
    index: SegmentedVectorIndex,
    stored: NDArray[np.float16],
    queries: Vectors,
    k: int,
    allowed: NDArray[np.int64] | None,
    alive: NDArray[np.int64],
) -> None:
    """See that an answer has the right cosines, each row once, its own cosine, and -1 behind."""
    scores, rows = index.search(queries, k, allowed)
    assert scores.shape == rows.shape == (len(queries), k)
    assert scores.dtype == np.float32
    expected = compared(stored, queries, k, alive if allowed is None else allowed)
    width = expected.shape[1]
    np.testing.assert_allclose(scores[:, :width], expected, atol=1e-5)
    assert (rows[:, width:] == -1).all()
    assert np.isneginf(scores[:, width:]).all()
    found = rows[:, :width]
    assert np.isin(found, alive if allowed is None else allowed).all()
    assert all(len(set(line)) == width for line in found.tolist())
    own = np.einsum("qd,qkd->qk", queries, stored[found].astype(np.float32))
    np.testing.assert_allclose(scores[:, :width], own, atol=1e-5)


DEAD = {
    "none": np.zeros(0, dtype=np.int64),
    "few": np.array([0, 5, 700, 702, 1064]),
    "half": np.arange(0, COUNT, 2),
    "a whole segment": np.arange(701, 765),
    "nearly all": np.setdiff1d(np.arange(COUNT), [3, 700, 1000]),
}


@pytest.fixture(params=DEAD)
def dead(request: pytest.FixtureRequest) -> NDArray[np.int64]:
    return DEAD[str(request.param)]


@pytest.fixture
def index(stored: NDArray[np.float16], dead: NDArray[np.int64]) -> Iterator[SegmentedVectorIndex]:
    parts = [
        (first, VectorIndex(part, None, {}))
        for first, part in zip(FIRSTS, parts_of(stored), strict=True)
    ]
    with closing(SegmentedVectorIndex(parts, COUNT, dead)) as index:
        yield index


@pytest.mark.parametrize("k", [1, 10, 500, COUNT, COUNT + 50])
def test_the_nearest_of_several_segments_are_those_of_one_array(
    index: SegmentedVectorIndex,
    stored: NDArray[np.float16],
    queries: Vectors,
    dead: NDArray[np.int64],
    k: int,
) -> None:
    alive = np.setdiff1d(np.arange(COUNT), dead)
    assert index.is_exact
    for batch in (queries, queries[:1]):
        assert_right(index, stored, batch, k, None, alive)


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_a_filter_keeps_to_the_rows_that_it_allows(
    index: SegmentedVectorIndex,
    stored: NDArray[np.float16],
    queries: Vectors,
    dead: NDArray[np.int64],
    share: float,
) -> None:
    alive = np.setdiff1d(np.arange(COUNT), dead)
    draw = np.random.default_rng(2)
    allowed = np.sort(draw.permutation(alive)[: max(1, round(share * len(alive)))])
    for k in (1, 10, COUNT):
        assert_right(index, stored, queries, k, allowed, alive)
    # Rows of one segment alone, and none.
    assert_right(index, stored, queries, 5, alive[alive >= 765], alive)
    scores, rows = index.search(queries, 4, np.zeros(0, dtype=np.int64))
    assert (rows == -1).all()
    assert np.isneginf(scores).all()


def test_a_query_whose_nearest_papers_are_all_dead_finds_the_next(
    stored: NDArray[np.float16], queries: Vectors
) -> None:
    """So many that the first look finds none that is alive."""
    nearest = np.argsort(-(queries[0] @ stored.astype(np.float32).T), kind="stable")
    dead, alive = np.sort(nearest[:400]), np.sort(nearest[400:])
    parts = [
        (first, VectorIndex(part, None, {}))
        for first, part in zip(FIRSTS, parts_of(stored), strict=True)
    ]
    with closing(SegmentedVectorIndex(parts, COUNT, dead)) as index:
        assert_right(index, stored, queries, 3, None, alive)


@pytest.mark.parametrize("kind", ["SQ8", "IVF8,SQ8", "HNSW16,SQ8"])
def test_a_segment_with_a_faiss_index_and_others_without_one_are_searched_together(
    tmp_path: Path, stored: NDArray[np.float16], queries: Vectors, kind: str
) -> None:
    first, *others = parts_of(stored)
    np.save(tmp_path / "vectors.npy", first)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    vector_index.write(tmp_path / "faiss", mapped, kind)
    large = VectorIndex(mapped, tmp_path / "faiss", {})
    large.tune(1.0)
    small = VectorIndex(joined(others), None, {})
    dead = np.arange(0, COUNT, 3)
    alive = np.setdiff1d(np.arange(COUNT), dead)
    with closing(SegmentedVectorIndex([(0, large), (700, small)], COUNT, dead)) as index:
        assert not index.is_exact
        for allowed in (None, alive[::2]):
            assert_right(index, stored, queries, 10, allowed, alive)
        assert_right(index, stored, queries, len(alive) + 5, None, alive)


def test_ties_are_in_the_order_of_segments() -> None:
    same = unit_rows(np.ones((4, DIMENSION), dtype=np.float32)).astype(np.float16)
    parts = [(4 * number, VectorIndex(same, None, {})) for number in range(3)]
    with closing(SegmentedVectorIndex(parts, 12, np.array([1]))) as index:
        _, rows = index.search(same[:1].astype(np.float32), 11)
        segments = (rows[0] // 4).tolist()
        assert segments == sorted(segments)
        assert sorted(rows[0].tolist()) == [0, *range(2, 12)]


def test_rows_here_and_there_are_gathered(stored: NDArray[np.float16]) -> None:
    with closing(SegmentedVectors(parts_of(stored), DIMENSION)) as vectors:
        assert len(vectors) == COUNT
        assert vectors.shape == (COUNT, DIMENSION)
        assert vectors.firsts.tolist() == list(FIRSTS)
        rows = np.random.default_rng(3).integers(0, COUNT, 200)
        gathered = vectors[rows]
        assert gathered.dtype == np.float32
        np.testing.assert_array_equal(gathered, stored[rows].astype(np.float32))
        np.testing.assert_array_equal(vectors[np.array([700])], stored[[700]].astype(np.float32))
        assert vectors[rows[:0]].shape == (0, DIMENSION)
        whole = np.asarray(vectors)
        assert whole.dtype == np.float16
        np.testing.assert_array_equal(whole, stored)
        assert np.asarray(vectors, dtype=np.float32).dtype == np.float32


def test_segments_without_rows_are_passed_over(stored: NDArray[np.float16]) -> None:
    empty = stored[:0]
    with closing(SegmentedVectors([stored[:9], empty, stored[9:20]], DIMENSION)) as vectors:
        rows = np.array([19, 0, 9, 8])
        np.testing.assert_array_equal(vectors[rows], stored[rows].astype(np.float32))
    with closing(SegmentedVectors([empty], DIMENSION)) as vectors:
        assert np.asarray(vectors).shape == (0, DIMENSION)


def test_one_array_is_not_copied_where_it_is_joined(stored: NDArray[np.float16]) -> None:
    assert joined([stored]) is stored
    np.testing.assert_array_equal(joined([stored[:5], stored[5:]]), stored)

"""An index whose vectors are divided among shards: the answers of one that is searched whole."""

import shutil
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from astrosearch import Filters
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import NothingFound
from astrosearch.index.reader import Index
from astrosearch.index.vector_index import WHOLE, Share, VectorIndex, write
from astrosearch.search.conditions import Condition
from astrosearch.search.hits import Hit
from astrosearch.search.searcher import Searcher
from astrosearch.search.sharded_index import AskShards, Nearest, Shard, ShardedIndex
from tests.letters import SPEC, Letters, build_letters, letters_paper, write_letters
from tests.test_growing_index import History, update

QUESTIONS = ("quasar in M 31", "faint dwarf NGC 1068", "Téglas burst", "gas number 17", "version2")


def asking(shards: Sequence[Shard]) -> AskShards:
    def ask(
        name: str,
        snapshot: int,
        vector: np.typing.NDArray[np.float32],
        k: int,
        conditions: tuple[Condition, ...],
    ) -> list[Nearest]:
        return [shard.nearest(name, snapshot, vector, k, conditions) for shard in shards]

    return ask


def shards_of(count: int) -> list[Shard]:
    return [Shard(Share(number, count)) for number in range(count)]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an index that grew in ten updates, some of its rows dead."""
    home = tmp_path_factory.mktemp("home")
    (home / "indexes").mkdir()
    folder = home / "indexes" / "letters"
    build_letters(folder, write_letters(home / "first.jsonl", History.first))
    for _, (papers, withdrawn) in zip(range(10), History.updates(), strict=False):
        update(folder, papers, withdrawn)
    return home


@pytest.fixture
def home(grown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(grown))
    return grown


@pytest.fixture(params=[1, 2, 3, 7])
def pair(home: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Searcher, Searcher]]:
    """A searcher of the whole index, and one of its shards."""
    folder = home / "indexes" / "letters"
    ask = asking(shards_of(request.param))
    encoder = Letters(SPEC)
    with (
        Searcher(Index(folder), encoder=encoder) as whole,
        Searcher(
            Index(folder), encoder=encoder, papers_of=lambda index: ShardedIndex(index, ask)
        ) as sharded,
    ):
        yield whole, sharded


def as_pairs(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.paper.id, hit.score) for hit in hits]


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_shards_together_find_what_the_whole_index_finds(
    pair: tuple[Searcher, Searcher], mode: str
) -> None:
    whole, sharded = pair
    filters = Filters(since=date(2021, 6, 1), category="astro-ph.GA")
    for question in QUESTIONS:
        for asked in (None, filters):
            expected = whole.query(question, 20, asked, mode)  # type: ignore[arg-type]
            assert expected
            assert as_pairs(sharded.query(question, 20, asked, mode)) == as_pairs(expected)  # type: ignore[arg-type]


def test_shards_find_what_is_like_a_paper(pair: tuple[Searcher, Searcher]) -> None:
    whole, sharded = pair
    asked = [letters_paper(50).id]
    assert as_pairs(sharded.similar(asked)) == as_pairs(whole.similar(asked))


def test_more_hits_than_a_shard_has_are_all_found(pair: tuple[Searcher, Searcher]) -> None:
    whole, sharded = pair
    hits = sharded.query("a stream of gas", len(whole), mode="dense")
    assert len(hits) == len(whole)
    assert as_pairs(hits) == as_pairs(whole.query("a stream of gas", len(whole), mode="dense"))


def test_a_question_that_began_on_an_earlier_snapshot_ends_on_it(
    grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(grown / "indexes", tmp_path / "indexes")
    monkeypatch.setenv("ASTROSEARCH_HOME", str(tmp_path))
    folder = tmp_path / "indexes" / "letters"
    [shard] = shards_of(1)
    vector = Letters(SPEC).encode(["a quasar in M 31"])[0]
    with Index(folder) as before:
        number = before.manifest.snapshot
        update(folder, [letters_paper(900)])
        _, rows = shard.nearest("letters", number, vector, 500, ())
        assert len(rows) == len(before)
        with Index(folder) as after:
            _, rows = shard.nearest("letters", after.manifest.snapshot, vector, 500, ())
            assert len(rows) == len(after) == len(before) + 1
    with pytest.raises(NothingFound, match="no snapshot 99"):
        shard.nearest("letters", 99, vector, 5, ())


@pytest.mark.parametrize("words", ["IVF16,PQ8x4fs", "IVF16,RaBitQ", "OPQ8,IVF16,Flat", "HNSW8"])
def test_shares_of_a_faiss_index_together_find_what_it_finds(tmp_path: Path, words: str) -> None:
    draw = np.random.default_rng(0)
    vectors = unit_rows(draw.normal(size=(3_000, 16)).astype(np.float32)).astype(np.float16)
    queries = unit_rows(draw.normal(size=(5, 16)).astype(np.float32))
    write(tmp_path / "codes.faiss", vectors, words)
    parameters = {"k_factor": 4, "efSearch" if "HNSW" in words else "nprobe": 2}

    def opened(share: Share = WHOLE) -> VectorIndex:
        return VectorIndex(vectors, tmp_path / "codes.faiss", parameters, share)

    scores, _ = opened().search(queries, 10)
    exact, _ = VectorIndex(vectors, None, {}).search(queries, 10)
    assert not np.allclose(scores, exact), "all rows are compared"
    found = [opened(Share(number, 3)).search(queries, 10) for number in range(3)]
    for query in range(len(queries)):
        rows = np.concatenate([rows[query] for _, rows in found])
        rows = rows[rows >= 0]
        assert len(set(rows.tolist())) == len(rows), "a row is in two shares"
        merged = -np.sort(-np.concatenate([scores[query] for scores, _ in found]))[:10]
        # Each share looks at as many candidates as the whole does, so that none is lost.
        assert (merged >= scores[query] - 1e-6).all()
        assert (merged <= exact[query] + 1e-3).all()


def test_shares_cut_rows_without_a_gap() -> None:
    vectors = np.eye(8, dtype=np.float16)[np.arange(50) % 8]
    for count in (1, 2, 7, 60):
        rows: list[int] = []
        for number in range(count):
            index = VectorIndex(vectors, None, {}, Share(number, count))
            _, found = index.search(np.eye(8, dtype=np.float32)[:1], 50)
            rows += [row for row in found[0].tolist() if row >= 0]
            index.close()
        assert sorted(rows) == list(range(50))

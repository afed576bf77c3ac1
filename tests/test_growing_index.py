"""An index that grows by segments and is merged: the answers of one that was built in one go."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.corpus.writer import CorpusWriter
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.index.folder import locked, partial_folder
from astrosearch.index.manifest import Manifest
from astrosearch.index.merge import MOST_DEAD, MOST_SEGMENTS, fold, fold_if_due, is_due, merge
from astrosearch.index.reader import Index
from astrosearch.index.tune import tune
from astrosearch.index.update import Growth, grow
from astrosearch.papers import Paper
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.paper_index import EVERYTHING, Scope
from tests.conftest import FROZEN, assert_holds_one_snapshot
from tests.letters import Letters, build_letters, letters_paper, write_letters
from tests.test_snapshot import killed_at_each_step, make_old_readers_leave

QUESTIONS = ("quasar in M 31", "faint dwarf NGC 1068", "Téglas burst", "gas number 17", "version2")


def update(
    folder: Path,
    papers: Sequence[Paper],
    withdrawn: Sequence[Paper] = (),
    load: Callable[[EncoderSpec], Encoder] = Letters,
) -> Growth:
    """Bring papers into an index, and take others out."""
    with locked(folder), partial_folder(folder) as partial:
        incoming = partial / "incoming.sqlite"
        with closing(CorpusWriter(incoming)) as writer:
            for paper in papers:
                writer.add(paper)
            for paper in withdrawn:
                writer.withdraw(paper)
            writer.finish()
        record = Manifest.read(folder).corpus
        growth = grow(folder, partial, incoming, record, load, source="tests")
        shutil.rmtree(partial)
    return growth


def unused(spec: EncoderSpec) -> Encoder:
    raise AssertionError(f"{spec} was loaded for nothing")


class History:
    """What happens to an index: at first 120 papers, then 40 updates of a few new ones, a new
    version of one, and now and then a withdrawal."""

    first = tuple(letters_paper(number) for number in range(120))

    @staticmethod
    def updates() -> Iterator[tuple[list[Paper], list[Paper]]]:
        for day in range(40):
            new = [letters_paper(120 + 3 * day + n) for n in range(3)]
            changed = [letters_paper(day * 2, 2), letters_paper(100 + day, 3)]
            withdrawn = [letters_paper(day + 1, 9)] if day % 4 == 0 else []
            yield [*new, *changed], withdrawn

    @classmethod
    def outcome(cls) -> list[Paper]:
        """The papers that there are in the end."""
        papers = {paper.id: paper for paper in cls.first}
        for arrivals, withdrawn in cls.updates():
            papers |= {paper.id: paper for paper in arrivals}
            for paper in withdrawn:
                papers.pop(paper.id, None)
        return list(papers.values())


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same papers in three indexes: `grown`, `merged` (grown and merged) and `whole`."""
    home = tmp_path_factory.mktemp("histories")
    build_letters(home / "grown", write_letters(home / "first.jsonl", History.first))
    for papers, withdrawn in History.updates():
        assert update(home / "grown", papers, withdrawn).changes
    build_letters(home / "whole", write_letters(home / "whole.jsonl", History.outcome()))
    shutil.copytree(home / "grown", home / "merged")
    merge(home / "merged")
    return home


@pytest.fixture(params=["grown", "merged"])
def pair(request: pytest.FixtureRequest, histories: Path) -> Iterator[tuple[Index, Index]]:
    """An index that grew, or was merged then, and one of the same papers that was built at once."""
    with Index(histories / str(request.param)) as ours, Index(histories / "whole") as whole:
        yield ours, whole


def ids(index: Index, rows: np.typing.NDArray[np.int64]) -> list[str]:
    return [paper.id for paper in index.corpus.papers(rows.tolist())]


def test_an_index_that_grew_has_the_papers_of_one_built_in_one_go(
    pair: tuple[Index, Index],
) -> None:
    ours, whole = pair
    assert len(ours) == len(whole) == len(History.outcome())
    papers = {paper.id: paper for paper in ours.corpus}
    assert papers == {paper.id: paper for paper in whole.corpus}
    assert ours.rows.tolist() == sorted(ours.corpus.ids().values())
    for row, paper in ours.corpus.numbered():
        np.testing.assert_allclose(
            ours.vector(row), whole.vector(whole.corpus.row_of(paper.id)), atol=1e-6
        )


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists open files")
def test_an_index_of_many_segments_keeps_few_files_open(histories: Path) -> None:
    folder = histories / "grown"
    with Index(folder) as index:
        assert len(index.manifest.segments) > 40
        index.search(index.vectors[np.arange(3)], 5)
        held = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # threads open and close files meanwhile
                held += [link] if link.readlink().is_relative_to(folder) else []
        assert 0 < len(held) < 10


def test_an_index_that_grew_finds_the_nearest_papers_with_the_same_cosines(
    pair: tuple[Index, Index],
) -> None:
    ours, whole = pair
    queries = np.concatenate([whole.vector(row)[None] for row in range(0, len(whole), 7)])
    for k in (1, 10, len(whole)):
        scores, rows = ours.search(queries, k)
        expected, _ = whole.search(queries, k)
        for line, other in zip(scores, expected, strict=True):
            np.testing.assert_allclose(line, other, atol=1e-5)
        for found in rows:
            assert len(set(ids(ours, found))) == k


def test_an_index_that_grew_filters_like_one_built_in_one_go(pair: tuple[Index, Index]) -> None:
    ours, whole = pair
    query = whole.vector(5)[None]
    for filters in (Filters(category="gr-qc"), Filters(author="Nowak")):
        rows, expected = ours.corpus.rows_matching(filters), whole.corpus.rows_matching(filters)
        assert rows is not None
        assert expected is not None
        assert set(ids(ours, rows)) == set(ids(whole, expected))
        [scores], [found] = ours.search(query, 7, rows)
        [other_scores], _ = whole.search(query, 7, expected)
        assert set(found.tolist()) <= set(rows.tolist())
        np.testing.assert_allclose(scores, other_scores, atol=1e-5)


def test_an_index_that_grew_scores_words_like_one_built_in_one_go(
    pair: tuple[Index, Index],
) -> None:
    ours, whole = pair
    all_ids = [paper.id for paper in History.outcome()]
    our_rows = np.array([ours.corpus.row_of(paper_id) for paper_id in all_ids])
    their_rows = np.array([whole.corpus.row_of(paper_id) for paper_id in all_ids])
    for question in QUESTIONS:
        np.testing.assert_allclose(
            ours.lexical.scores(question, our_rows),
            whole.lexical.scores(question, their_rows),
            rtol=1e-4,
        )
        scores, rows = ours.lexical.search(question, 40)
        expected, _ = whole.lexical.search(question, 40)
        np.testing.assert_allclose(scores, expected, rtol=1e-4)
        assert set(rows.tolist()) <= set(ours.rows.tolist())


@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_of_papers_that_tie_the_same_are_found_however_the_index_came(
    pair: tuple[Index, Index], k: int
) -> None:
    ours, whole = map(LocalIndex, pair)
    tied = 0
    few = Scope((Filters(since=date(2021, 6, 1)),))
    for question in ("gas", "stream", "faint quasar", "Nowak", "lens in the Milky Way"):
        for scope in (EVERYTHING, few):
            found = ours.best_words(question, k, scope)
            assert found.ids == whole.best_words(question, k, scope).ids
            np.testing.assert_allclose(found.scores, np.sort(found.scores)[::-1])
            more = ours.best_words(question, k + 1, scope).scores
            tied += len(more) > k and more[k] == more[k - 1]
    assert tied
    for row in range(0, 60, 7):
        vector = pair[1].vector(row)
        assert ours.nearest(vector, k).ids == whole.nearest(vector, k).ids


def test_the_background_of_an_index_that_grew_has_the_mean_of_all_pairs(
    pair: tuple[Index, Index],
) -> None:
    ours, whole = pair
    assert ours.manifest.background.mean == pytest.approx(whole.manifest.background.mean, abs=2e-6)


def test_the_digest_of_the_papers_does_not_tell_how_they_came(pair: tuple[Index, Index]) -> None:
    ours, whole = pair
    assert ours.manifest.corpus.sha256 == whole.manifest.corpus.sha256


def test_many_small_segments_are_compared_as_one_array(histories: Path) -> None:
    with Index(histories / "grown") as grown:
        assert len(grown.manifest.segments) == 41
        assert len(grown.manifest.dead) > 0
        assert len(grown.vector_index._parts) == 2
        assert grown.vector_index.is_exact
    with Index(histories / "merged") as merged:
        assert len(merged.manifest.segments) == 1
        # More than a tenth were dead: they are left out.
        assert merged.manifest.dead == ()
        assert len(merged.manifest.files) < 20
    assert_holds_one_snapshot(histories / "merged")
    assert_holds_one_snapshot(histories / "grown")


def test_segments_with_and_without_a_faiss_index_answer_together(
    histories: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(histories / "grown", folder)
    manifest = tune(folder, index_type="sq8", recall=1.0)
    assert [segment.factory for segment in manifest.segments[:2]] == ["SQ8", "SQfp16"]
    with Index(folder) as tuned, Index(histories / "grown") as grown:
        assert not tuned.vector_index.is_exact
        assert len(tuned.vector_index._parts) == 2
        for row in grown.rows[::9].tolist():
            query = grown.vector(row)[None]
            np.testing.assert_allclose(
                tuned.search(query, 10)[0][0], grown.search(query, 10)[0][0], atol=1e-3
            )
    assert merge(folder).largest.factory == "SQ8"


def test_a_reader_keeps_its_rows_while_a_merge_numbers_them_anew(
    histories: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(histories / "grown", folder)
    with Index(folder) as reader:
        query = reader.vector(int(reader.rows[50]))[None]
        [scores], [rows] = reader.search(query, 12)
        names = ids(reader, rows)
        assert merge(folder).rows == len(reader)
        [same_scores], [same_rows] = reader.search(query, 12)
        assert same_rows.tolist() == rows.tolist()
        np.testing.assert_array_equal(same_scores, scores)
        assert ids(reader, rows) == names
        assert [paper.id for paper in reader.corpus.papers(reader.rows[-3:].tolist())]
        assert len(reader.lexical) == len(reader)  # opened only now
    update(folder, [letters_paper(900)])
    assert_holds_one_snapshot(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index of 120 papers, and three segments more: new papers, changed ones, a withdrawal."""
    folder = tmp_path / "index"
    build_letters(folder, write_letters(tmp_path / "first.jsonl", History.first))
    update(folder, [letters_paper(number) for number in range(120, 130)])
    update(folder, [letters_paper(3, 2), letters_paper(121, 2), letters_paper(130)])
    update(folder, [], [letters_paper(7, 4)])
    return folder


def answers(folder: Path) -> tuple[dict[str, int | None], list[list[float]]]:
    """The papers of an index with their versions, and what it scores."""
    with Index(folder) as index:
        assert index.manifest.verify(folder) == []
        by_id = sorted(index.corpus.ids().items())
        rows = np.array([row for _, row in by_id])
        scores = [
            [round(float(score), 3) for score in index.lexical.scores(question, rows)]
            for question in QUESTIONS
        ]
        [nearest] = index.search(index.vector(int(rows[5]))[None], len(index))[0]
        scores.append([round(float(score), 3) for score in nearest])
        return {paper.id: paper.version for paper in index.corpus}, scores


def test_a_merge_encodes_nothing_and_keeps_answers_and_withdrawals(folder: Path) -> None:
    before = answers(folder)
    manifest = Manifest.read(folder)
    assert [segment.rows for segment in manifest.segments] == [120, 10, 3, 0]
    assert len(manifest.dead) == 3
    merged = merge(folder)
    assert [segment.rows for segment in merged.segments] == [133]
    assert merged.dead == manifest.dead  # few: rows keep their numbers
    assert merged.words == manifest.words
    assert answers(folder) == before
    assert_holds_one_snapshot(folder)
    assert not folder.with_name(".index.partial").exists()
    assert merge(folder) == merged
    # An earlier record of a withdrawn paper does not come back, a later one does.
    assert not update(folder, [letters_paper(7, 3)], load=unused).changes
    assert update(folder, [letters_paper(7, 5)]).added == 1


def test_an_update_that_brings_nothing_new_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    growth = update(folder, [letters_paper(1), letters_paper(3, 2), letters_paper(3)], load=unused)
    assert growth == Growth()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_paper_whose_text_stays_is_not_encoded_again(folder: Path) -> None:
    renamed = replace(letters_paper(4), authors=("Zoe Zimmer",), version=2)
    growth = update(folder, [renamed], load=unused)
    assert (growth.replaced, growth.encoded) == (1, 0)
    with Index(folder) as index:
        row = index.corpus.row_of(renamed.id)
        assert index.corpus.papers([row]) == [renamed]
        np.testing.assert_array_equal(index.vector(row), index.vector(4))
        assert index.corpus.row_of_doi(str(renamed.doi)) == row
        assert index.lexical.rows_with_authors([["zimmer"]]).tolist() == [row]


def test_segments_without_rows_are_folded(folder: Path) -> None:
    for number in (10, 11):
        update(folder, [], [letters_paper(number, 4)])
    before = answers(folder)
    manifest = Manifest.read(folder)
    assert [segment.rows for segment in manifest.segments] == [120, 10, 3, 0, 0, 0]
    with locked(folder), partial_folder(folder) as partial:
        folded = fold(folder, partial, 3)
        shutil.rmtree(partial)
    assert [segment.rows for segment in folded.segments] == [120, 10, 3, 0]
    assert answers(folder) == before
    assert_holds_one_snapshot(folder)
    with Index(folder) as index:
        withdrawn = {letters_paper(number).id for number in (7, 10, 11)}
        assert index.corpus.withdrawn().keys() == withdrawn
    assert [segment.rows for segment in merge(folder).segments] == [133]
    assert answers(folder) == before


def test_many_segments_are_folded_by_themselves_behind_the_first(folder: Path) -> None:
    number = 200
    while len(Manifest.read(folder).segments) <= MOST_SEGMENTS:
        assert not is_due(Manifest.read(folder))
        update(folder, [letters_paper(number)])
        number += 1
    assert is_due(Manifest.read(folder))
    before = answers(folder)
    with locked(folder), partial_folder(folder) as partial:
        fold_if_due(folder, partial)
        shutil.rmtree(partial)
    manifest = Manifest.read(folder)
    assert manifest.segments[0].folder == "segment-1"
    assert len(manifest.segments) == 2
    assert answers(folder) == before
    assert_holds_one_snapshot(folder)


def test_many_dead_rows_are_left_out(folder: Path) -> None:
    changed = [letters_paper(number, 3) for number in range(40, 60)]
    update(folder, changed)
    manifest = Manifest.read(folder)
    assert len(manifest.dead) > MOST_DEAD * manifest.rows
    before = answers(folder)
    merged = merge(folder)
    assert (merged.dead, merged.rows) == ((), merged.count)
    assert answers(folder) == before
    assert merged.background.mean == pytest.approx(manifest.background.mean, abs=2e-6)
    assert_holds_one_snapshot(folder)


@pytest.mark.parametrize("name", ["exact", "lists"])
def test_an_index_of_format_2_grows_and_is_merged(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "index"
    shutil.copytree(FROZEN / "format-2" / name, folder)
    with Index(folder) as old:
        first = [paper.id for paper in old.corpus]
        update(folder, [letters_paper(900)], [letters_paper(901)])
        manifest = Manifest.read(folder)
        assert [(part.folder, part.rows) for part in manifest.segments] == [
            ("", 20),
            ("segment-1", 1),
        ]
        with Index(folder) as index:
            assert index.manifest.verify(folder) == []
            assert [paper.id for paper in index.corpus] == [*first, letters_paper(900).id]
            assert len(index.lexical) == 21
            [[row]] = index.search(index.vector(20)[None], 1)[1]
            assert row == 20
        assert len(merge(folder).segments) == 1
        assert len(old.lexical) == 20
        assert [paper.id for paper in old.corpus] == first
    make_old_readers_leave(folder)
    update(folder, [letters_paper(902)])
    assert_holds_one_snapshot(folder)


def test_an_index_of_format_3_grows_and_is_merged(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(FROZEN / "format-3/grown", folder)
    with Index(folder) as old:
        first = [paper.id for paper in old.corpus]
        scores, rows = old.lexical.search("white dwarf NGC 1068", 30)
        papers = old.corpus.papers(rows.tolist())
    update(folder, [letters_paper(900)])
    assert [part.rows for part in Manifest.read(folder).segments] == [20, 4, 1, 1]
    update(folder, [], [letters_paper(900)], unused)
    assert len(merge(folder).segments) == 1
    with Index(folder) as index:
        assert index.manifest.verify(folder) == []
        assert [paper.id for paper in index.corpus] == first
        same_scores, same_rows = index.lexical.search("white dwarf NGC 1068", 30)
        assert index.corpus.papers(same_rows.tolist()) == papers
    np.testing.assert_allclose(same_scores, scores, rtol=1e-5)
    assert_holds_one_snapshot(folder)


@pytest.mark.slow
def test_a_merge_killed_before_any_step_leaves_an_index_with_the_same_answers(
    folder: Path,
) -> None:
    before = answers(folder)
    segments = []
    for _ in killed_at_each_step(folder, merge, folder):
        assert answers(folder) == before
        segments.append(len(Manifest.read(folder).segments))
        merge(folder)
        assert answers(folder) == before
        tune(folder)  # a change, by which all that was left behind goes
        assert_holds_one_snapshot(folder)
        assert not folder.with_name(".index.partial").exists()
    assert set(segments) == {1, 4}
    assert segments == sorted(segments, reverse=True)


@pytest.mark.slow
def test_an_update_killed_before_any_step_comes_whole_or_not_at_all(folder: Path) -> None:
    before = answers(folder)
    papers = [letters_paper(300), letters_paper(12, 2)]
    withdrawn = [letters_paper(13, 3)]
    outcomes = []
    for _ in killed_at_each_step(folder, update, folder, papers, withdrawn):
        outcomes.append(answers(folder))
        update(folder, papers, withdrawn)
        after = answers(folder)
        tune(folder)
        assert_holds_one_snapshot(folder)
        assert outcomes[-1] in (before, after)
    assert outcomes[0] == before
    assert outcomes[-1] == after

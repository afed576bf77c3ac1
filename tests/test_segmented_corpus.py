"""Several papers.sqlite read as one table: what one file with the same papers says."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.corpus.segments import SegmentedCorpus
from astrosearch.corpus.store import Corpus, Part
from astrosearch.corpus.writer import CorpusWriter, merge_files
from astrosearch.errors import IndexDamaged, NothingFound
from astrosearch.papers import Paper
from tests.letters import letters_paper

FIRST = [letters_paper(number) for number in range(30)]
SECOND = [letters_paper(number, 2) for number in (3, 8, 21)] + [
    letters_paper(number) for number in range(30, 40)
]
THIRD = [letters_paper(number, 3) for number in (8, 33)] + [
    letters_paper(number) for number in range(40, 45)
]
FILES = (FIRST, SECOND, THIRD)
DEAD = np.array([0, 3, 8, 21, 29, 31, 36, 48])
"""Rows of papers 3, 8, 21 and 33, which were replaced, and 8 twice; of 0, 29 and 43, which were
withdrawn."""


def write_papers(
    path: Path, papers: list[Paper], withdrawn: tuple[tuple[str, int, date], ...] = ()
) -> Path:
    with closing(CorpusWriter(path)) as writer:
        for paper in papers:
            writer.add(paper)
        for mark in withdrawn:
            writer.mark(*mark)
        writer.finish()
    return path


def parts_of(folder: Path, files: tuple[list[Paper], ...]) -> list[Part]:
    parts = []
    first = 0
    for number, papers in enumerate(files):
        path = write_papers(folder / f"{number}.sqlite", papers)
        parts.append(Part(path, first, len(papers)))
        first += len(papers)
    return parts


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    return parts_of(tmp_path, FILES)


@pytest.fixture
def corpus(parts: list[Part]) -> Iterator[SegmentedCorpus]:
    with closing(SegmentedCorpus(parts, DEAD)) as corpus:
        yield corpus


ALIVE = [
    (row, paper)
    for row, paper in enumerate([*FIRST, *SECOND, *THIRD])
    if row not in set(DEAD.tolist())
]


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Corpus]:
    """One file of the same papers. Its row i is the i-th row that is not dead."""
    path = write_papers(tmp_path / "whole.sqlite", [paper for _, paper in ALIVE])
    with closing(Corpus(path)) as corpus:
        yield corpus


ROWS = np.array([row for row, _ in ALIVE])


def test_the_dead_rows_of_these_tests_are_those_of_replaced_and_withdrawn_papers() -> None:
    papers = [*FIRST, *SECOND, *THIRD]
    ids = [paper.id for _, paper in ALIVE]
    assert len(set(ids)) == len(ids)
    latest = {paper.id: paper.version for paper in papers}
    assert all(paper.version == latest[paper.id] for _, paper in ALIVE)
    assert len({paper.id for paper in papers}) - len(ids) == 3


def test_all_papers_come_in_the_order_of_their_rows(corpus: SegmentedCorpus) -> None:
    assert len(corpus) == len(ALIVE)
    assert list(corpus.numbered()) == ALIVE
    assert list(corpus) == [paper for _, paper in ALIVE]


def test_papers_come_by_row_in_any_order(corpus: SegmentedCorpus, whole: Corpus) -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        places = draw.integers(0, len(ROWS), 25)  # some twice
        expected = whole.papers(places.tolist())
        assert corpus.papers(ROWS[places].tolist()) == expected
        assert list(corpus.stream(ROWS[places].tolist())) == expected
    assert corpus.papers([]) == []
    assert list(corpus.stream(row for row in ROWS[:3].tolist())) == whole.papers([0, 1, 2])


def test_more_papers_than_a_block_are_streamed_in_order(tmp_path: Path) -> None:
    files = tuple([letters_paper(600 * file + n) for n in range(600)] for file in range(2))
    corpus = SegmentedCorpus(parts_of(tmp_path, files), np.zeros(0, dtype=np.int64))
    with closing(corpus):
        rows = np.random.default_rng(1).permutation(1200)
        papers = [*files[0], *files[1]]
        assert list(corpus.stream(rows.tolist())) == [papers[row] for row in rows]


def test_a_row_that_no_file_has_is_damage(corpus: SegmentedCorpus) -> None:
    with pytest.raises(IndexDamaged, match="lacks row 7"):
        corpus.papers([1, 50])


def test_rows_by_id_are_those_of_the_papers_that_are_not_dead(corpus: SegmentedCorpus) -> None:
    assert corpus.ids() == {paper.id: row for row, paper in ALIVE}
    for row, paper in ALIVE:
        assert corpus.find(paper.id) == corpus.row_of(paper.id) == row


def test_a_withdrawn_paper_is_not_found_and_one_spelled_much_like_it_is_named(
    corpus: SegmentedCorpus,
) -> None:
    assert corpus.find(FIRST[0].id) is None
    with pytest.raises(NothingFound, match=f"{FIRST[0].id} is not in this index of 42 papers"):
        corpus.row_of(FIRST[0].id)
    assert THIRD[-1].id == "2109.00044"
    with pytest.raises(NothingFound, match=r"; spelled much like it: .*2109\.00044"):
        corpus.row_of("2109.00094")
    with pytest.raises(NothingFound, match=r"papers$"):
        corpus.row_of("hep-th/9901001")


def test_a_paper_that_is_not_found_is_not_named_as_spelled_like_another(
    corpus: SegmentedCorpus,
) -> None:
    """2101.00000 was withdrawn."""
    with pytest.raises(NothingFound) as caught:
        corpus.row_of("2101.00003")
    assert FIRST[0].id not in str(caught.value)


def test_a_doi_has_the_row_of_the_paper_that_is_not_dead(corpus: SegmentedCorpus) -> None:
    for row, paper in ALIVE:
        if paper.doi:
            assert corpus.row_of_doi(paper.doi) == row
            assert corpus.row_of_doi(paper.doi.upper()) == row
    assert FIRST[8].doi == THIRD[0].doi == "10.1000/Letters.8"
    assert corpus.row_of_doi("10.1000/letters.8") == len(FIRST) + len(SECOND)
    assert FIRST[0].doi
    assert corpus.row_of_doi(FIRST[0].doi) is None
    assert corpus.row_of_doi("10.1000/nothing") is None


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_the_newest_papers_come_first_and_of_a_day_the_last_row(
    corpus: SegmentedCorpus, whole: Corpus, k: int
) -> None:
    expected = [row for _, row in whole.newest(k, None)]
    assert corpus.newest(k, None).tolist() == ROWS[expected].tolist()
    for step in (2, 5, 20):
        some = np.arange(0, len(ROWS), step)
        expected = [row for _, row in whole.newest(k, some)]
        assert corpus.newest(k, ROWS[some]).tolist() == ROWS[expected].tolist()
    assert corpus.newest(k, np.zeros(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize(
    "filters",
    [
        Filters(category="gr-qc"),
        Filters(category="astro-ph"),
        Filters(author="Nowak"),
        Filters(author="Teglas, B"),
        Filters(since=date(2021, 8, 1)),
        Filters(until=date(2021, 3, 1), category="astro-ph.GA"),
        Filters(author="Nobody"),
    ],
)
def test_filters_pass_what_they_pass_of_one_file(
    corpus: SegmentedCorpus, whole: Corpus, filters: Filters
) -> None:
    rows, expected = corpus.rows_matching(filters), whole.rows_matching(filters)
    assert rows is not None
    assert expected is not None
    assert rows.tolist() == ROWS[expected].tolist()
    assert rows.dtype == np.int64


def test_no_filter_gives_no_rows_to_keep_to(corpus: SegmentedCorpus) -> None:
    assert corpus.rows_matching(Filters()) is None


def test_the_span_is_that_of_the_papers_that_are_not_dead(
    parts: list[Part], corpus: SegmentedCorpus, whole: Corpus
) -> None:
    assert corpus.span() == whole.span()
    days = [paper.published.isoformat() for paper in [*FIRST, *SECOND, *THIRD]]
    dead = [row for row, day in enumerate(days) if day in (min(days), max(days))]
    assert dead
    with closing(SegmentedCorpus(parts, np.array(dead))) as shorter:
        left = [day for row, day in enumerate(days) if row not in dead]
        assert shorter.span() == (min(left), max(left))


def test_a_file_without_papers_is_passed_over(tmp_path: Path) -> None:
    """An update that only withdraws papers adds one."""
    mark = (FIRST[5].id, 2, date(2023, 5, 5))
    parts = [
        Part(write_papers(tmp_path / "0.sqlite", FIRST), 0, 30),
        Part(write_papers(tmp_path / "1.sqlite", [], (mark,)), 30, 0),
        Part(write_papers(tmp_path / "2.sqlite", THIRD), 30, 7),
    ]
    with closing(SegmentedCorpus(parts, np.array([5]))) as corpus:
        assert len(corpus) == 36
        assert corpus.papers([29, 30]) == [FIRST[29], THIRD[0]]
        assert corpus.newest(1, None).tolist() in ([n] for n in range(37))
        assert corpus.span()[0] == min(p.published.isoformat() for p in [*FIRST, *THIRD])
        assert corpus.withdrawn() == {FIRST[5].id: (2, "2023-05-05")}
        assert corpus.row_of_doi("10.1000/letters.44") == 36


def test_of_several_marks_of_a_withdrawal_the_latest_counts(tmp_path: Path) -> None:
    paper_id = "2201.00001"
    marks = [(1, date(2022, 1, 9)), (3, date(2022, 1, 2)), (2, date(2023, 1, 1))]
    parts = [
        Part(write_papers(tmp_path / f"{n}.sqlite", [FIRST[n]], ((paper_id, *mark),)), n, 1)
        for n, mark in enumerate(marks)
    ]
    with closing(SegmentedCorpus(parts, np.zeros(0, dtype=np.int64))) as corpus:
        assert corpus.withdrawn() == {paper_id: (3, "2022-01-02")}


def test_what_another_file_has_too_is_told_with_the_rows_of_what_is_not_dead(
    tmp_path: Path, corpus: SegmentedCorpus
) -> None:
    changed = letters_paper(33, 4)
    incoming = [FIRST[5], SECOND[1], changed, FIRST[0], letters_paper(99)]
    with closing(Corpus(write_papers(tmp_path / "in.sqlite", incoming))) as papers:
        matches = {match.row: (first, match) for first, match in corpus.matches(papers)}
        assert sorted(matches) == [0, 1, 2]
        first, same = matches[0]
        assert first + same.other_row == 5
        assert (same.is_same, same.has_same_text) == (True, True)
        first, earlier = matches[1]  # the second version of 8, of which the index has the third
        assert first + earlier.other_row == 43
        assert (earlier.is_same, earlier.has_same_text) == (False, False)
        assert earlier.other_recency == (3, "2023-01-03")
        assert papers.recency()[1] == (2, "2023-01-02")
        without = corpus.rows_without(papers)
        assert without.tolist() == [row for row in ROWS.tolist() if row not in (5, 43, 44)]


def test_a_mark_of_a_withdrawal_takes_out_records_that_are_not_later(
    corpus: SegmentedCorpus,
) -> None:
    marks = {
        FIRST[4].id: (1, "2023-01-01"),  # of the same record
        FIRST[8].id: (2, "2023-06-06"),  # of an earlier one: the index has version 3
        THIRD[-1].id: (1, "2022-01-01"),  # of the same version, an earlier day
        FIRST[6].id: (2, "2021-01-01"),  # of a later version
        FIRST[0].id: (9, "2025-01-01"),  # dead already
        "2201.00001": (1, "2025-01-01"),  # not here
    }
    assert corpus.rows_withdrawn_by(marks).tolist() == [4, 6]


def test_eight_threads_read_what_one_reads(parts: list[Part]) -> None:
    def answers(corpus: SegmentedCorpus, number: int) -> list[object]:
        rows = np.random.default_rng(number).choice(ROWS, 9).tolist()
        matching = corpus.rows_matching(Filters(category="gr-qc"))
        assert matching is not None
        paper_id = ALIVE[number % len(ALIVE)][1].id
        return [corpus.papers(rows), corpus.find(paper_id), matching.tolist(), corpus.span()]

    with closing(SegmentedCorpus(parts, DEAD)) as alone:
        expected = [answers(alone, number) for number in range(80)]
    with closing(SegmentedCorpus(parts, DEAD)) as shared, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: answers(shared, number), range(80))) == expected


def test_a_file_with_other_rows_than_the_manifest_says_is_damage(parts: list[Part]) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    for rows in (29, 31):
        with pytest.raises(IndexDamaged, match=f"has 30 rows, the manifest says {rows}"):
            SegmentedCorpus([Part(parts[0].path, 0, rows)], nothing)
    shifted = [parts[0], Part(parts[1].path, 30, 14), Part(parts[2].path, 44, 7)]
    with closing(SegmentedCorpus(shifted, nothing)) as corpus:
        assert corpus.papers([3]) == [FIRST[3]]  # the second file was not needed
        with pytest.raises(IndexDamaged, match="has 13 rows, the manifest says 14"):
            corpus.papers([30])


def test_dead_rows_that_a_merge_left_out_may_be_missing(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, FILES)
    merge_files(tmp_path / "merged.sqlite", parts, DEAD, dense=False)
    with closing(SegmentedCorpus([Part(tmp_path / "merged.sqlite", 0, 50)], DEAD)) as corpus:
        assert list(corpus.numbered()) == ALIVE
        assert len(corpus) == len(ALIVE)
    dead = np.array([5, 48, 49])
    merge_files(tmp_path / "merged.sqlite", parts[:1], dead, dense=True)
    with closing(Corpus(tmp_path / "merged.sqlite")) as merged:
        assert list(merged) == [*FIRST[:5], *FIRST[6:]]


def test_the_first_file_is_looked_at_when_the_index_is_opened(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match="cannot be opened"):
        SegmentedCorpus([Part(tmp_path / "nowhere.sqlite", 0, 3)], np.zeros(0, dtype=np.int64))

"""papers.sqlite: read by many threads, and what is damage and what is not."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from astrosearch.corpus.filters import LONGEST_AUTHOR, Filters
from astrosearch.corpus.store import Corpus
from astrosearch.corpus.writer import CorpusWriter
from astrosearch.errors import IndexDamaged, InputError
from astrosearch.papers import Paper
from astrosearch.search.query_parser import parse

FAMILIES = "Nowak Téglas Øster Riess Hofmann van~Dam Sol Poe Wu Mendez".split()


def a_paper(number: int) -> Paper:
    return Paper(
        id=f"2401.{number:05}",
        title=f"On object {number}",
        abstract=f"We look at object {number}. " * 20,
        authors=(f"A. {FAMILIES[number % 10]}", f"Bea {FAMILIES[number // 10 % 10]}"),
        categories=("astro-ph.GA",) if number % 3 else ("gr-qc", "astro-ph.CO"),
        published=date(2024, 1, 1 + number % 28),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """papers.sqlite of 600 papers."""
    path = tmp_path / "papers.sqlite"
    with closing(CorpusWriter(path)) as writer:
        for number in range(600):
            writer.add(a_paper(number))
        writer.finish()
    return path


@pytest.fixture
def corpus(path: Path) -> Iterator[Corpus]:
    with closing(Corpus(path)) as corpus:
        yield corpus


def reads(corpus: Corpus) -> list[Callable[[], object]]:
    """Reads of every kind, each of which gives the same whenever it is called."""
    kinds: list[Callable[[], object]] = [
        lambda: corpus.papers([599, 3, 42]),
        lambda: list(corpus.stream(range(0, 600, 7))),
        lambda: list(corpus)[17],
        lambda: corpus.find("2401.00123"),
        lambda: sorted(corpus.ids().items()),
        lambda: corpus.span(),
        lambda: corpus.digest(),
        lambda: corpus.text_hashes(np.array([5, 6], dtype=np.int64)),
    ]
    filters = [
        Filters(author="Nowak, A."),
        Filters(author="teglas b"),
        Filters(author="Oster", since=date(2024, 1, 10)),
        Filters(author="van Dam", category="gr-qc"),
        Filters(category="astro-ph", until=date(2024, 1, 5)),
    ]

    def matching(wanted: Filters) -> Callable[[], object]:
        def rows() -> object:
            found = corpus.rows_matching(wanted)
            assert found is not None
            return found.tolist()

        return rows

    return kinds + [matching(wanted) for wanted in filters]


def test_eight_threads_read_what_one_reads(corpus: Corpus) -> None:
    work = reads(corpus)
    expected = [read() for read in work]
    assert expected[-5] == [n for n in range(600) if n % 10 == 0]  # A. Nowak
    order = random.Random(0).choices(range(len(work)), k=400)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda which: work[which](), order))
    assert results == [expected[which] for which in order]


def test_a_corpus_closed_by_another_thread_than_opened_it_takes_no_more_questions(
    path: Path,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        corpus = pool.submit(Corpus, path).result()
        half_read = iter(corpus)
        next(half_read)
    corpus.close()
    assert next(half_read).id == "2401.00001"  # what has begun goes on
    with pytest.raises(ValueError, match="is closed"):
        corpus.papers([1])


def test_rows_by_id_are_those_of_the_papers(corpus: Corpus) -> None:
    assert corpus.ids() == {paper.id: row for row, paper in enumerate(corpus)}


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 300])
def test_another_file_is_not_a_table_of_papers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "papers.sqlite"
    path.write_bytes(content)
    with pytest.raises(IndexDamaged, match="is not a"):
        Corpus(path)
    with pytest.raises(IndexDamaged, match="cannot be opened"):
        Corpus(tmp_path / "nowhere.sqlite")


def test_a_table_of_other_columns_is_not_a_table_of_papers(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "papers.sqlite")) as db:
        db.execute("CREATE TABLE papers (row INTEGER PRIMARY KEY, id TEXT)")
    with pytest.raises(IndexDamaged, match="is not a table of papers"):
        Corpus(tmp_path / "papers.sqlite")


def test_overwritten_pages_are_damage_wherever_they_are_met(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    with pytest.raises(IndexDamaged) as caught, closing(Corpus(path)) as corpus:
        list(corpus)
    assert caught.value.remedy == "build-again"
    assert str(path) in str(caught.value)


def test_a_file_cut_short_is_damage(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(IndexDamaged), closing(Corpus(path)) as corpus:
        list(corpus)


def test_a_text_that_is_not_unicode_is_damage(path: Path) -> None:
    content = path.read_bytes().replace(b"On object 321", b"On \xff\xfeject 321")
    path.write_bytes(content)
    with closing(Corpus(path)) as corpus:
        with pytest.raises(IndexDamaged, match="Could not decode to UTF-8"):
            corpus.papers([321])
        assert corpus.papers([320])[0].title == "On object 320"


def test_a_mistake_in_our_sql_is_not_called_damage(corpus: Corpus) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error"), corpus._connection() as db:
        db.execute("SELEKT 1")
    with pytest.raises(sqlite3.ProgrammingError), corpus._connection() as db:
        db.execute("SELECT ?")
    assert corpus.find("2401.00001") == 1


def test_a_missing_row_is_damage_and_a_missing_paper_is_not(corpus: Corpus) -> None:
    with pytest.raises(IndexDamaged, match="lacks row 600"):
        corpus.papers([1, 600])
    with pytest.raises(IndexDamaged, match="lacks row 600"):
        corpus.text_hashes(np.array([600], dtype=np.int64))
    assert corpus.find("2401.00699") is None


def test_rows_with_the_same_texts_are_found_in_another_corpus(path: Path, corpus: Corpus) -> None:
    other = path.with_name("other.sqlite")
    with closing(CorpusWriter(other)) as writer:
        for number in (1000, 5, 2000, 3):
            writer.add(a_paper(number))
        writer.finish()
    ours, theirs = corpus.rows_with_texts_of(other)
    assert (ours.tolist(), theirs.tolist()) == ([3, 5], [3, 1])
    ours, theirs = corpus.rows_with_texts_of(other)  # and again, by the same connection
    assert (ours.tolist(), theirs.tolist()) == ([3, 5], [3, 1])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Filters(author="wang " * 1200),
        lambda: Filters(author="\ufdfa" * 150),  # one sign that decomposes into four words
        lambda: Filters(category="astro-ph." + "x" * 60_000),
        lambda: parse(f'dust author:"{"wang " * 1200}"'),
        lambda: parse(f"dust cat:{'x' * 60_000}"),
    ],
)
def test_a_filter_as_long_as_a_book_is_one_line(ask: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"longer than \d+ characters") as caught:
        ask()
    assert len(str(caught.value)) < 120


def test_the_longest_author_filter_is_answered(corpus: Corpus) -> None:
    words = ("xx " * 100)[:LONGEST_AUTHOR].strip()
    rows = corpus.rows_matching(Filters(author=words))
    assert rows is not None
    assert rows.tolist() == []


def test_a_first_day_behind_the_last_is_refused_with_both() -> None:
    with pytest.raises(InputError, match="2024-02-01, is later than the last, 2024-01-01"):
        Filters(since=date(2024, 2, 1), until=date(2024, 1, 1))

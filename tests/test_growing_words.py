"""A words folder that grows: the same scores as of one that was written in one go."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import tantivy
from numpy.typing import NDArray

from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index import lexical_index
from astrosearch.index.deleted_words import FILE, DeletedWords
from astrosearch.index.lexical_index import _FILLER, FIELDS, LexicalIndex, LexicalIndexWriter
from astrosearch.papers import Paper
from astrosearch.text.analysis import analyze
from tests.letters import letters_paper

Rows = NDArray[np.int64]

QUESTIONS = [
    "a quasar in M 31",
    "stream of gas in the Magellanic Clouds",
    "faint dwarf NGC 1068 number 17",
    "Téglas burst",
    "van der Berg",
    "version2",
    "the of in",
    "Cygnus X-1 jet and ring, which are faint",
    "void planet halo disc lens cluster",
]


def texts(paper: Paper) -> tuple[str, str, Sequence[str]]:
    return paper.title, paper.abstract, paper.authors


def write(
    folder: Path,
    papers: Sequence[Paper],
    rows: Iterable[int],
    earlier: Path | None = None,
    dead: Iterable[int] = (),
) -> Path:
    """A words folder with some rows of `papers`, and those of an earlier one but the dead."""
    writer = LexicalIndexWriter(folder, earlier)
    for row in dead:
        writer.delete(*texts(papers[row]))
    for row in rows:
        writer.add(row, *texts(papers[row]))
    writer.finish()
    return folder


def sha256s(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.suffix != ".lock"
    }


class Grown:
    """The same papers twice: in a folder that grew, and in one that was written in one go."""

    def __init__(self, folder: Path, papers: Sequence[Paper], dead: Sequence[int]) -> None:
        """The first half is there at first; the rest comes, and papers die, in 8 updates."""
        half = len(papers) // 2
        current = write(folder / "0", papers, range(half))
        dying = list(dead)
        for number, rows in enumerate(np.array_split(np.arange(half, len(papers)), 8), 1):
            gone = [row for row in dying if row < rows[0]][: 1 + len(dead) // 8]
            dying = [row for row in dying if row not in gone]
            current = write(folder / str(number), papers, rows.tolist(), current, gone)
        current = write(folder / "last", papers, [], current, dying)
        self.folder = current
        self.alive = np.setdiff1d(np.arange(len(papers)), dead)
        self.index = LexicalIndex(current, np.array(sorted(dead), dtype=np.int64))
        alive = [papers[row] for row in self.alive.tolist()]
        self.whole = LexicalIndex(write(folder / "whole", alive, range(len(alive))))

    def assert_same(
        self, question: str, fields: Sequence[str], places: Rows | None = None, rtol: float = 1e-5
    ) -> None:
        """See that both give the same papers the same scores, in the same order but for ties.

        Args:
            places: those that may be found, as rows of the folder that was written in one go.
        """
        rows = None if places is None else self.alive[places]
        scores, found = self.index.search(question, 50, rows, fields)
        expected, _ = self.whole.search(question, 50, places, fields)
        np.testing.assert_allclose(scores, expected, rtol=rtol)
        found_places = np.searchsorted(self.alive, found)
        assert self.alive[found_places].tolist() == found.tolist()
        own = self.whole.scores(question, found_places, fields)
        np.testing.assert_allclose(scores, own, rtol=rtol)
        np.testing.assert_allclose(
            self.index.scores(question, self.alive, fields),
            self.whole.scores(question, np.arange(len(self.alive)), fields),
            rtol=rtol,
            atol=1e-5,
        )


def papers_of(count: int) -> list[Paper]:
    return [letters_paper(number, 1 + number % 2) for number in range(count)]


DEAD = {
    "none": [],
    "few": [3, 250, 5, 599, 301],
    "a third": list(range(0, 600, 3)),
    # Papers with a long abstract, and those with a short one.
    "long": [row for row in range(600) if row % 4 == 3][:60],
    "short": [row for row in range(600) if row % 4 == 0][:60],
}


@pytest.mark.parametrize("dead", DEAD.values(), ids=DEAD)
def test_a_folder_that_grew_ranks_as_one_written_in_one_go(tmp_path: Path, dead: list[int]) -> None:
    grown = Grown(tmp_path, papers_of(600), dead)
    assert len(grown.index) == len(grown.whole) == 600 - len(dead)
    for question in QUESTIONS:
        for fields in (tuple(FIELDS), ("title",), ("abstract", "authors")):
            grown.assert_same(question, fields)


def test_filters_phrases_names_and_frequencies_are_those_of_papers_that_are_not_dead(
    tmp_path: Path,
) -> None:
    papers = papers_of(300)
    grown = Grown(tmp_path, papers, list(range(0, 300, 4)))
    draw = np.random.default_rng(0)
    for question in QUESTIONS:
        for share in (0.9, 0.1):
            places = np.sort(draw.choice(len(grown.alive), int(share * len(grown.alive)), False))
            grown.assert_same(question, tuple(FIELDS), places)
        terms = analyze(question).terms
        for field in FIELDS:
            for term in terms:
                ours = grown.index.frequency(term, (field,))
                assert ours == grown.whole.frequency(term, (field,)), (term, field)
        assert grown.index.knows(question) == grown.whole.knows(question)
    for phrase in ("Magellanic Clouds", "quasar", "NGC 1068", "is faint"):
        rows = grown.index.rows_matching_phrase(phrase)
        assert rows.tolist() == grown.alive[grown.whole.rows_matching_phrase(phrase)].tolist()
    for names in ([["nowak"]], [["van", "der", "berg"], ["lee"]]):
        rows = grown.index.rows_with_authors(names)
        assert rows.tolist() == grown.alive[grown.whole.rows_with_authors(names)].tolist()


def test_a_word_that_only_dead_papers_have_is_not_known(tmp_path: Path) -> None:
    papers = [letters_paper(number) for number in range(20)]
    papers.append(replace(papers[0], id="2201.00001", title="A magnetar"))
    first = write(tmp_path / "0", papers, range(21))
    index = LexicalIndex(write(tmp_path / "1", papers, [], first, [20]), np.array([20]))
    assert not index.knows("magnetar")
    assert index.frequency("magnetar", ("title",)) == 0
    assert len(index.search("magnetar", 5)[1]) == 0
    assert index.rows_matching_phrase("magnetar").tolist() == []
    assert LexicalIndex(first).knows("magnetar")


def engine_averages(folder: Path) -> dict[str, float]:
    """How long the engine takes fields to be on average, by its own explanation of a score."""
    index = tantivy.Index.open(str(folder))
    searcher = index.searcher()
    averages = {}
    for field in FIELDS:
        [(term, _)] = searcher.terms_with_prefix(field, "", limit=1)
        query = tantivy.Query.term_query(index.schema, field, term)
        [(_, address)] = searcher.search(query, 1).hits
        [value] = re.findall(
            r'([\d.]+),\s*"description": "avgdl', query.explain(searcher, address).to_json()
        )
        averages[field] = float(value)
    return averages


@pytest.mark.parametrize("dead", DEAD.values(), ids=DEAD)
def test_the_engine_s_average_lengths_are_those_of_the_papers(
    tmp_path: Path, dead: list[int]
) -> None:
    papers = papers_of(600)
    grown = Grown(tmp_path, papers, dead)
    ours, theirs = engine_averages(grown.folder), engine_averages(tmp_path / "whole")
    assert ours == pytest.approx(theirs, rel=1e-5)
    alive = [papers[row] for row in grown.alive.tolist()]
    lengths = [sum(map(len, analyze(paper.title))) for paper in alive]
    assert ours["title"] == pytest.approx(np.mean(lengths), rel=1e-5)


def test_papers_without_authors_that_die_are_balanced_too(tmp_path: Path) -> None:
    nobody = [replace(letters_paper(n), authors=()) for n in range(10)]
    papers = [*nobody, *[letters_paper(n) for n in range(10, 100)]]
    grown = Grown(tmp_path, papers, list(range(10)))
    for question in QUESTIONS:
        grown.assert_same(question, tuple(FIELDS), rtol=1e-4)


def test_fillers_are_never_found_and_few(tmp_path: Path) -> None:
    grown = Grown(tmp_path, papers_of(600), DEAD["long"])
    deleted = DeletedWords.read(grown.folder)
    assert 0 < deleted.fillers < 600
    engine = tantivy.Index.open(str(grown.folder)).searcher()
    assert engine.num_docs == 600 + deleted.fillers
    assert analyze(_FILLER) == ([], [])
    assert not grown.index.knows(_FILLER)
    assert grown.index.rows_matching_phrase(_FILLER).tolist() == []
    for question in QUESTIONS:
        _, rows = grown.index.search(question, 10_000)
        assert set(rows.tolist()) <= set(grown.alive.tolist())


def test_the_earlier_folder_stays_byte_for_byte_and_shares_its_files(tmp_path: Path) -> None:
    papers = papers_of(200)
    first = write(tmp_path / "0", papers, range(150))
    before = sha256s(first)
    second = write(tmp_path / "1", papers, range(150, 200), first, [3, 4])
    assert sha256s(first) == before
    shared = [name for name in before if (second / name).exists()]
    large = [name for name in before if name.endswith((".idx", ".pos", ".term"))]
    assert large
    for name in large:
        assert name in shared
        assert (first / name).samefile(second / name)
    assert (second / FILE).exists()
    middle = sha256s(second)
    third = write(tmp_path / "2", papers, [], second, [5])
    assert sha256s(second) == middle
    assert sha256s(first) == before
    assert DeletedWords.read(second).papers == 2
    assert DeletedWords.read(third).papers == 3
    # Each is a folder of its own: the others are not needed.
    for folder in (first, second):
        for file in folder.iterdir():
            file.unlink()
    dead = np.array([3, 4, 5])
    assert len(LexicalIndex(third, dead)) == 197


def test_a_folder_that_only_grew_counts_nothing_as_dead(tmp_path: Path) -> None:
    papers = papers_of(80)
    first = write(tmp_path / "0", papers, range(40))
    second = write(tmp_path / "1", papers, range(40, 80), first)
    deleted = DeletedWords.read(second)
    assert (deleted.papers, deleted.fillers) == (0, 0)
    assert len(LexicalIndex(second)) == 80


def lengths_of(papers: Sequence[Paper]) -> dict[str, int]:
    """How many terms each field of some papers has."""
    return {
        "title": sum(sum(map(len, analyze(paper.title))) for paper in papers),
        "abstract": sum(sum(map(len, analyze(paper.abstract))) for paper in papers),
        "authors": sum(sum(map(len, analyze(", ".join(paper.authors)))) for paper in papers),
    }


def test_a_folder_tells_how_long_its_texts_are(tmp_path: Path) -> None:
    papers = papers_of(100)
    first = write(tmp_path / "0", papers, range(60))
    deleted = DeletedWords.read(first)
    assert dict(deleted.lengths) == dict(deleted.counted_lengths) == lengths_of(papers[:60])
    second = write(tmp_path / "1", papers, range(60, 80), first)
    assert dict(DeletedWords.read(second).lengths) == lengths_of(papers[:80])
    third = write(tmp_path / "2", papers, range(80, 100), second, [7, 61])
    alive = [paper for row, paper in enumerate(papers) if row not in (7, 61)]
    assert dict(DeletedWords.read(third).lengths) == lengths_of(alive)
    engine = engine_averages(third)
    deleted = DeletedWords.read(third)
    documents = 100 + deleted.fillers
    for field, length in deleted.counted_lengths.items():
        assert engine[field] == pytest.approx(length / documents, rel=1e-6)


def test_a_folder_of_an_earlier_version_grows_like_one_of_this(tmp_path: Path) -> None:
    """It has no counts of its own until a paper dies."""
    papers = papers_of(100)
    first = write(tmp_path / "0", papers, range(60))
    (first / FILE).unlink()
    second = write(tmp_path / "1", papers, range(60, 80), first)
    assert not (second / FILE).exists()
    third = write(tmp_path / "2", papers, range(80, 100), second, [7, 61])
    alive = [paper for row, paper in enumerate(papers) if row not in (7, 61)]
    assert dict(DeletedWords.read(third).lengths) == lengths_of(alive)


def test_an_engine_that_explains_in_other_words_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = papers_of(20)
    first = write(tmp_path / "0", papers, range(20))
    monkeypatch.setattr(lexical_index, "_AVERAGE", re.compile("([0-9]+) words on average"))
    write(tmp_path / "1", papers, [], first, [3])
    (first / FILE).unlink()
    line = rf"tantivy {version('tantivy')} does not tell .* pip install tantivy==[\d.]+$"
    with pytest.raises(AstrosearchError, match=line):
        write(tmp_path / "2", papers, [], first, [3])


def test_dead_words_are_counted_once_a_paper(tmp_path: Path) -> None:
    deleted = DeletedWords()
    assert (deleted.papers, deleted.count("title", "gas"), deleted.a_term("title")) == (0, 0, None)
    deleted.write(tmp_path)
    assert not (tmp_path / FILE).exists()
    deleted.add({"title": ["gas", "gas", "dust"], "authors": []})
    deleted.add({"title": ["gas"], "authors": ["wu"]})
    deleted.write(tmp_path)
    again = DeletedWords.read(tmp_path)
    for counts in (deleted, again):
        assert counts.papers == 2
        assert counts.count("title", "gas") == 2
        assert counts.count("title", "dust") == 1
        assert counts.count("authors", "wu") == 1
        assert counts.count("abstract", "gas") == 0
        assert counts.a_term("authors") == "wu"


def test_the_file_of_dead_words_is_written_anew(tmp_path: Path) -> None:
    """It may be shared with an earlier folder."""
    earlier, later = tmp_path / "0", tmp_path / "1"
    earlier.mkdir()
    later.mkdir()
    deleted = DeletedWords()
    deleted.add({"title": ["gas"]})
    deleted.write(earlier)
    os.link(earlier / FILE, later / FILE)
    content = (earlier / FILE).read_bytes()
    deleted.add({"title": ["dust"]})
    deleted.write(later)
    assert (earlier / FILE).read_bytes() == content
    assert DeletedWords.read(later).papers == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"papers": "x"}',
        '{"papers": 1, "fillers": 0, "lengths": {}, "counted_lengths": {}, "counts": 5}',
        '{"papers": 1, "fillers": 0, "lengths": 7, "counted_lengths": {}, "counts": {}}',
        '{"papers": 1, "fillers": 0, "lengths": {}, "counted_lengths": {}, "counts": {"title": 1}}',
        '{"papers": null, "fillers": 0, "lengths": {}, "counted_lengths": {}, "counts": {}}',
    ],
)
def test_a_damaged_file_of_dead_words_is_a_line(tmp_path: Path, content: str) -> None:
    folder = write(tmp_path / "words", papers_of(10), range(10))
    (folder / FILE).write_text(content)
    with pytest.raises(IndexDamaged, match=r"deleted\.json cannot be read"):
        LexicalIndex(folder)


def test_a_dead_row_that_a_folder_does_not_have_is_damage(tmp_path: Path) -> None:
    folder = write(tmp_path / "words", papers_of(10), range(10))
    with pytest.raises(IndexDamaged, match="has 10 papers, and no row 10"):
        LexicalIndex(folder, np.array([3, 10]))


def test_rows_that_leave_gaps_are_damage(tmp_path: Path) -> None:
    folder = write(tmp_path / "words", papers_of(40), range(0, 40, 2))
    with pytest.raises(IndexDamaged, match="has 20 papers, and no row"):
        LexicalIndex(folder).search("gas", 20)


@pytest.mark.parametrize(
    ("lengths", "counted", "documents", "dead"),
    [
        ({"title": 900, "abstract": 9_000}, {"title": 1_000, "abstract": 10_500}, 100, 10),
        ({"title": 900, "abstract": 9_000}, {"title": 910, "abstract": 9_100}, 100, 10),
        ({"title": 900, "abstract": 9_000}, {"title": 1_000, "abstract": 10_000}, 100, 10),
        ({"title": 9, "authors": 0}, {"title": 1_000, "authors": 40}, 100, 99),
    ],
)
def test_fillers_bring_the_averages_back(
    lengths: dict[str, int], counted: dict[str, int], documents: int, dead: int
) -> None:
    deleted = DeletedWords()
    deleted.papers = dead
    deleted.lengths, deleted.counted_lengths = Counter(lengths), Counter(counted)
    fillers, terms = deleted.balance(documents)
    assert all(count >= 0 for count in terms.values())
    assert (fillers > 0) >= any(terms.values())
    assert deleted.fillers == fillers
    for field, length in lengths.items():
        if length:
            average = (counted[field] + terms[field]) / (documents + fillers)
            assert average == pytest.approx(length / (documents - dead), rel=1e-4)
            assert deleted.counted_lengths[field] == counted[field] + terms[field]
    # Nothing more is to be done.
    again, _ = deleted.balance(documents + fillers)
    assert again <= 1

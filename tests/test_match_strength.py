"""Match strength: weak answers are told by a threshold that each index has."""

import json
import subprocess
import sys
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest

from astrosearch.errors import IndexDamaged
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from astrosearch.index.manifest import Manifest
from astrosearch.index.match_strength import FEW_PAPERS, match_strength
from astrosearch.index.reader import Index
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.searcher import Searcher
from tests.conftest import Run, kaggle_line

WEAK = "gas bread recipe oven"
"""A question with one word that the papers of the fixture have."""


@pytest.fixture
def lexical(tmp_path: Path) -> LexicalIndex:
    texts = ["dust and gas", "dust", "stars of dust", "stars", "a halo"]
    writer = LexicalIndexWriter(tmp_path / "words")
    for row, text in enumerate(texts):
        writer.add(row, text, "", ["Ann Halo"] if row == 3 else [])
    writer.finish()
    return LexicalIndex(tmp_path / "words")


def idf(papers: int, count: int = 5) -> float:
    return log(1 + (count - papers + 0.5) / (papers + 0.5))


def test_the_strength_is_the_share_of_the_words_that_the_best_three_papers_hold(
    lexical: LexicalIndex,
) -> None:
    dust, gas, stars, unknown = idf(3), idf(1), idf(2), idf(0)
    share = (1 + 2 * dust / (dust + gas)) / 3
    assert match_strength(lexical, "the dust and the gas") == pytest.approx(sqrt(3) * share)
    total = dust + gas + stars + unknown
    best = (dust + stars) + (dust + gas) + max(dust, stars)
    strength = match_strength(lexical, "gas, dust, stars, bread")
    assert strength == pytest.approx(sqrt(4) * best / total / 3)
    # Without its best paper; and with a word that only an author has.
    assert match_strength(lexical, "dust gas", without=0) == pytest.approx(
        sqrt(3) * 2 * dust / (dust + gas) / 3
    )
    assert match_strength(lexical, "halo stars") == pytest.approx(
        sqrt(3) * (1 + 2 * max(stars, idf(1)) / (stars + idf(1))) / 3, rel=0.2
    )


def test_among_some_papers_the_strength_is_the_same_or_lower(lexical: LexicalIndex) -> None:
    whole = match_strength(lexical, "dust gas")
    assert whole is not None
    assert match_strength(lexical, "dust gas", among=np.array([0, 1, 2])) == pytest.approx(whole)
    total = idf(3) + idf(1)
    assert match_strength(lexical, "dust gas", among=np.array([1, 3])) == pytest.approx(
        sqrt(3) * idf(3) / total / 3
    )
    assert match_strength(lexical, "dust gas", among=np.zeros(0, np.int64)) == 0


def test_numbers_and_rare_acronyms_do_not_count(lexical: LexicalIndex) -> None:
    strength = match_strength(lexical, "dust gas")
    for question in (
        "dust 2016 gas",
        "dust and gas in KWXYZ",
        "A64FX gas dust",
        "pyDust: dust gas",
    ):
        assert match_strength(lexical, question) == strength, question
    assert match_strength(lexical, "DUST GAS BREAD") == match_strength(lexical, "dust gas bread")
    assert match_strength(lexical, "dust gas bread") != strength


@pytest.mark.parametrize(
    "question", ["dust", "the dust of the", "2016 dust", "", "?!", "KWXYZ dust"]
)
def test_a_question_of_one_word_has_no_strength(lexical: LexicalIndex, question: str) -> None:
    assert match_strength(lexical, question) is None


def test_an_acronym_that_many_papers_have_counts(tmp_path: Path) -> None:
    writer = LexicalIndexWriter(tmp_path / "words")
    for row in range(FEW_PAPERS + 1):
        writer.add(row, "KWXYZ dust", "", [])
    writer.add(FEW_PAPERS + 1, "gas", "", [])
    writer.finish()
    lexical = LexicalIndex(tmp_path / "words")
    assert match_strength(lexical, "KWXYZ gas") is not None


def test_a_weak_match_is_said_and_hides_nothing(run: Run, built: Path) -> None:
    assert Manifest.read(built).weak_match
    for mode in ("hybrid", "dense", "lexical"):
        weak = run("query", WEAK, "--mode", mode, "--format", "ids")
        assert f"Weak match: no paper has much of '{WEAK}'" in weak.stderr
        assert len(weak.stdout.split()) == 10
        strong = run("query", "gas in a stream", "--mode", mode)
        assert "Weak match" not in strong.stderr
    assert json.loads(run("query", WEAK, "--format", "json").stdout)["weak_match"] is True
    strong_answer = json.loads(run("query", "gas and dust", "--format", "json").stdout)
    assert (strong_answer["weak_match"], strong_answer["notes"]) == (False, [])


@pytest.mark.usefixtures("built")
def test_batch_and_shell_say_it_of_each_query(run: Run) -> None:
    lines = f"gas and dust\n{WEAK}\nxyzzy\nauthor:Wu\ngas OR dust\n🙂\n2306.01003\n"
    result = run("query", "--batch", "-", stdin=lines)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["weak_match"] for record in records] == [False, True, True, *[False] * 4]
    said = [" ".join(record["notes"]) for record in records]
    assert said[0] == said[3] == ""
    assert "Weak match" in said[1]
    assert "No paper has a word of 'xyzzy'" in said[2]
    assert "OR has no meaning" in said[4]
    assert all(record["hits"] for record in records[:5])
    assert "has a word of '🙂'" in records[5]["error"]
    assert "is an arXiv identifier, but" in records[6]["error"]
    shell = run("shell", stdin=lines, code=4).stderr
    for part in (said[1], said[2], said[4], records[5]["error"], records[6]["error"]):
        assert part in shell


@pytest.mark.usefixtures("built")
def test_function_words_alone_are_a_weak_match(run: Run) -> None:
    result = run("query", "the of and", "--format", "json")
    assert "'the of and' has function words alone" in result.stderr
    assert json.loads(result.stdout)["weak_match"] is True


@pytest.mark.usefixtures("built")
def test_an_author_who_is_named_is_no_weak_match(run: Run) -> None:
    for query in ("papers by Wu on bread", "Mendez et al. 2016", "Mendez"):
        assert "Weak match" not in run("query", query).stderr, query


def test_an_index_without_a_threshold_says_nothing(run: Run, built: Path) -> None:
    file = built / "manifest.json"
    record = json.loads(file.read_text())
    del record["weak_match"]
    file.write_text(json.dumps(record))
    assert "Weak match" not in run("query", WEAK).stderr
    assert json.loads(run("query", WEAK, "--format", "json").stdout)["weak_match"] is False


@pytest.mark.parametrize("value", [-1, 9, "x", True, float("nan")])
def test_a_threshold_that_can_be_none_is_refused(built: Path, value: object) -> None:
    file = built / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"weak_match": value}))
    with pytest.raises(IndexDamaged):
        Manifest.read(built)


def test_the_threshold_is_that_of_the_papers_and_an_update_keeps_it(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    threshold = Manifest.read(built).weak_match
    run("index", "again", "--corpus", snapshot, "--encoder", tiny_llama)
    assert Manifest.read(built.parent / "again").weak_match == threshold
    with snapshot.open("a") as stream:
        stream.write(kaggle_line(900) + "\n")
    run("update", "main")
    assert len(Index(built)) == 151
    assert Manifest.read(built).weak_match == threshold


def test_titles_of_the_papers_are_no_weak_matches(built: Path) -> None:
    with Searcher(Index(built)) as searcher:
        titles = [paper.title for paper in searcher.index.corpus]
        answers = searcher.answers(titles, k=1, mode="lexical")
    assert not any(answer.is_weak for answer in answers)


def test_what_was_found_does_not_change_whether_a_match_is_weak(built: Path) -> None:
    index = Index(built)
    papers, ids = LocalIndex(index), [paper.id for paper in index.corpus]
    for text in [WEAK, *(paper.title for paper in index.corpus)]:
        for found in ([], ids[:1], ids[-20:]):
            assert papers.is_weak(text, found) == (text == WEAK), text


def test_a_search_does_not_load_what_only_builds_need() -> None:
    code = "import sys, astrosearch.search.searcher; print('numpy.random' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"

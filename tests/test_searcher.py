"""A Searcher as a library: its public names, many threads, an index that is built again."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import astrosearch
from astrosearch import Filters, IndexMissing, NothingFound, ParsedQuery, Searcher
from astrosearch.search.searcher import Mode
from tests.conftest import Run, kaggle_line

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")

PUBLIC = {
    *("open_index", "Searcher", "Hit", "Paper", "ParsedQuery", "Filters", "Reporter"),
    "QuotedAnswer",
    *("AstrosearchError", "InputError", "IdentifierError", "NothingFound"),
    *("SetupError", "IndexMissing", "ModelMissing"),
    *("IndexDamaged", "IndexBusy", "EncoderMismatch"),
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(astrosearch.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(astrosearch, name).__name__ == name
    assert set(dir(astrosearch)) >= PUBLIC
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = astrosearch.nothing


def test_importing_the_package_imports_none_of_its_modules() -> None:
    program = (
        "import sys, astrosearch\n"
        "print([name for name in sys.modules if name.startswith('astrosearch.')])\n"
        "print([name for name in ('numpy', 'torch', 'faiss', 'click') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "[]\n[]\n", result.stderr


def test_an_index_answers_queries_and_finds_similar_papers(built: Path) -> None:
    with astrosearch.open_index("main") as searcher:
        assert searcher.name == "main"
        assert len(searcher) == 150
        hits = searcher.query("gas in a stream", k=3)
        assert [hit.rank for hit in hits] == [1, 2, 3]
        assert searcher.paper(hits[0].paper.id) == hits[0].paper
        near = searcher.similar([hits[0].paper.id], k=3)
        assert hits[0].paper.id not in {hit.paper.id for hit in near}


def test_an_empty_answer_is_an_empty_list_and_can_be_explained(built: Path) -> None:
    with astrosearch.open_index() as searcher:
        assert searcher.query("xyzzy", mode="lexical") == []
        error = searcher.why_empty(ParsedQuery("xyzzy"))
        assert isinstance(error, NothingFound)
        assert "has a word of 'xyzzy'" in str(error)
        nobody = Filters(author="Nobody")
        assert searcher.query("gas", filters=nobody) == []
        assert "author Nobody" in str(searcher.why_empty(filters=nobody))


def test_a_missing_index_is_an_error_that_lists_the_existing_ones(built: Path) -> None:
    with pytest.raises(IndexMissing, match=r"there is no index 'other' .*: main"):
        astrosearch.open_index("other")


def test_more_hits_do_not_change_the_first_ones(built: Path) -> None:
    with astrosearch.open_index() as searcher:
        for mode in MODES:
            many = searcher.query("dust and gas of the cloud", k=60, mode=mode)
            assert [hit.rank for hit in many] == list(range(1, 61))
            for k in (1, 10, 21):
                few = searcher.query("dust and gas of the cloud", k=k, mode=mode)
                assert few == many[:k], (mode, k)


def test_a_paper_that_only_vectors_found_has_its_bm25_too(built: Path) -> None:
    with astrosearch.open_index() as searcher:
        lexical = searcher.query("gas number", k=150, mode="lexical")
        score_of = {hit.paper.id: hit.bm25 for hit in lexical}
        hybrid = searcher.query("gas number", k=100)
        vectors_alone = [hit for hit in hybrid if hit.lexical_rank is None]
        assert vectors_alone
        for hit in hybrid:
            assert hit.bm25 == pytest.approx(score_of.get(hit.paper.id, 0.0), rel=1e-5)


def searches() -> list[Callable[[Searcher], object]]:
    """Calls of all kinds: queries in all modes, similar papers, a paper by its identifier."""
    texts = ("gas in a stream", "dust author:B7son", '"we find 77"', "title:77", "year:2016 disc")
    calls: list[Callable[[Searcher], object]] = []
    for text in texts:
        for mode in MODES:
            calls.append(lambda searcher, text=text, mode=mode: searcher.query(text, mode=mode))  # type: ignore[misc]
    for number in (3, 9, 27):
        paper_id = f"{10 + number % 10:02}{1 + number % 12:02}.{number:04}"
        if number % 10 >= 5:
            paper_id = paper_id.replace(".", ".0")
        calls.append(lambda searcher, paper_id=paper_id: searcher.similar([paper_id]))  # type: ignore[misc]
        calls.append(lambda searcher, paper_id=paper_id: searcher.paper(paper_id))  # type: ignore[misc]
    return calls


def test_eight_threads_get_the_answers_that_one_gets(built: Path) -> None:
    calls = searches()
    with astrosearch.open_index() as alone:
        expected = [call(alone) for call in calls]
    with astrosearch.open_index() as shared:
        start = threading.Barrier(8)

        def answer(thread: int) -> list[tuple[int, object]]:
            start.wait()
            order = [(number + 5 * thread) % len(calls) for number in range(2 * len(calls))]
            return [(number, calls[number](shared)) for number in order]

        with ThreadPoolExecutor(8) as pool:
            for answers in pool.map(answer, range(8)):
                for number, hits in answers:
                    assert hits == expected[number], number


def test_an_index_that_was_built_again_answers_the_next_query(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    with astrosearch.open_index("main") as searcher:
        assert searcher.query("magnetar", mode="lexical") == []
        lines = [kaggle_line(8, title="Magnetars"), *snapshot.read_text().splitlines()[9:]]
        snapshot.write_text("\n".join(lines))
        run("index", "main", "--corpus", snapshot)
        (hit,) = searcher.query("magnetar", mode="lexical")
        assert hit.paper.title == "Magnetars"
        assert len(searcher) == 142
        # Another encoder is loaded with the index that it made.
        run("index", "main", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 2)
        assert searcher.query("gas", k=3)
        assert searcher.encoder.spec.layers == 2


@pytest.mark.slow
def test_threads_that_search_while_an_index_is_built_again_get_whole_answers(
    run: Run, built: Path, snapshot: Path
) -> None:
    """Each answer is of one build: the title of every paper names the build it came with."""
    lines = snapshot.read_text().splitlines()
    stop = threading.Event()
    with astrosearch.open_index("main") as searcher:

        def search() -> int:
            answers = 0
            while not stop.is_set():
                hits = searcher.query("stars and gas number", k=100)
                builds = {hit.paper.title.partition(" build ")[2] for hit in hits}
                assert len(hits) == 100
                assert len(builds) == 1, builds
                answers += 1
            return answers

        with ThreadPoolExecutor(4) as pool:
            threads = [pool.submit(search) for _ in range(4)]
            try:
                for build in range(6):
                    changed = [
                        kaggle_line(number, title=f"On the number {number} build {build}")
                        for number in range(len(lines))
                    ]
                    snapshot.write_text("\n".join(changed))
                    run("index", "main", "--corpus", snapshot)
            finally:
                stop.set()
            assert all(thread.result() > 0 for thread in threads)

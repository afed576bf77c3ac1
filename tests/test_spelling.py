"""Words that no paper has: what was probably meant is said."""

import pytest

from astrosearch.search import spelling
from astrosearch.search.query_parser import parse
from astrosearch.search.searcher import Searcher
from tests.test_ask import searcher

__all__ = ["searcher"]


@pytest.fixture(autouse=True)
def _large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler has 264 papers."""
    monkeypatch.setattr(spelling, "LEAST_PAPERS", 200)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("magelanic stream", "Did you mean 'magellanic stream'?"),
        ("the Magelanic Streem", "Did you mean 'the magellanic stream'?"),
        ("gravitatonal waves, JWST", "Did you mean 'gravitational waves, JWST'?"),
        ("exoplannet", "Did you mean 'exoplanet'?"),
    ],
)
def test_a_word_that_no_paper_has_is_offered_as_papers_spell_it(
    searcher: Searcher, text: str, meant: str
) -> None:
    for mode in ("hybrid", "dense"):
        [answer] = searcher.answers([text], mode=mode)
        assert meant in answer.notes


@pytest.mark.parametrize(
    "text",
    [
        "magellanic stream",
        "MAGELANIC",  # an acronym
        "sourdough",  # nothing is like it
        "die Nebel leuchten wegen heisser Sterne",  # another language
        "NGC1068x",
    ],
)
def test_what_papers_have_and_what_is_like_nothing_stays(searcher: Searcher, text: str) -> None:
    [answer] = searcher.answers([text])
    assert not any("Did you mean" in note for note in answer.notes)


def test_filters_stay_in_what_was_meant(searcher: Searcher) -> None:
    for text, meant in (
        ("magelanic stream year:2015-2025", "magellanic stream year:2015-2025"),
        ('Streem -gas  author:"Lee, A"', 'stream -gas author:"Lee, A"'),
        ("title:magelanic", "title:magellanic"),
        ("magellanic stream", ""),
        ("year:2015", ""),
        ("2503.14368", ""),
    ):
        [answer] = searcher.answers([text])
        assert answer.meant == meant
        assert answer.as_record()["meant"] == (meant or None)
    quoted = searcher.ask("where is the magelanic stream? year:2020-")
    assert quoted.as_record()["meant"] == "where is the magellanic stream? year:2020-"


def test_where_nothing_is_found_it_is_said_too(searcher: Searcher) -> None:
    said = str(searcher.why_empty(parse("magelanic")))
    assert said.endswith("has a word of 'magelanic'. Did you mean 'magellanic'?")


def test_a_small_index_does_not_know_how_words_are_spelt(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    [answer] = searcher.answers(["magelanic stream"])
    assert not any("Did you mean" in note for note in answer.notes)

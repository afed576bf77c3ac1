"""The full-screen reader: each key, the journeys of a new user, and a terminal that goes away."""

import asyncio
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Footer, Input, Label, OptionList, Static

from astrosearch import paths
from astrosearch.cli import actions, history
from astrosearch.cli.browse.app import Browser
from astrosearch.cli.browse.background import light_in
from astrosearch.cli.browse.dialogs import HelpDialog, bars, binned
from astrosearch.cli.browse.keys import KEYS
from astrosearch.cli.browse.map_view import MapDialog, MapView, letters, shades
from astrosearch.cli.browse.widgets import (
    Chip,
    PaperList,
    PaperView,
    QuestionField,
    QuoteList,
    facts_in,
    spans_of,
)
from astrosearch.cli.browse.widgets import words_of as words
from astrosearch.index.map import SIDE, PaperMap
from astrosearch.index.regions import Region
from astrosearch.library.store import Library
from astrosearch.papers import Paper
from astrosearch.search.searcher import Searcher, open_index
from tests.conftest import Run, kaggle_line

QUESTION = "gas in a stream"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A home with an index `main` of 150 invented papers."""
    from click.testing import CliRunner

    from astrosearch.cli import main

    folder = tmp_path_factory.mktemp("shelf")
    snapshot = folder / "snapshot.json"
    lines = [
        kaggle_line(
            number,
            versions=[
                {"version": "v1", "created": f"Fri, 06 May {2010 + number % 10} 00:00:00 GMT"}
            ],
        )
        for number in range(150)
    ]
    snapshot.write_text("\n".join(lines) + "\n")
    home = folder / "home"
    arguments = ["index", "main", "--corpus", str(snapshot), "--encoder", str(tiny_llama)]
    result = CliRunner().invoke(main, arguments, env={"ASTROSEARCH_HOME": str(home)})
    assert result.exit_code == 0, result.output
    return home


@pytest.fixture
def reader(shelf: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which files are written; `main` is the index of this test's home."""
    (home / "indexes").mkdir(parents=True)
    (home / "indexes/main").symlink_to(shelf / "indexes/main")
    folder = home / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Session:
    """A reader that runs, and what it shows."""

    def __init__(self, browser: Browser, pilot: Pilot[int]) -> None:
        self.browser = browser
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        names = {
            " ": "space",
            ".": "full_stop",
            "/": "slash",
            ":": "colon",
            "-": "minus",
            ",": "comma",
        }
        await self.press(*(names.get(letter, letter) for letter in text))

    async def until(self, holds: Callable[[], object]) -> None:
        """
        Raises:
            AssertionError: if it does not come to hold within two minutes.
        """
        end = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < end, self.status
            await self.pilot.pause(0.02)
        await self.pilot.pause()

    def papers(self, tab: str = "answer") -> PaperList:
        return self.browser.screen_stack[0].query_one(f"#{tab}", PaperList)

    def ids(self, tab: str = "answer") -> list[str]:
        return [hit.paper.id for hit in self.papers(tab).hits]

    def entry(self, place: int) -> str:
        """A paper as the list shows it."""
        return str(self.papers().get_option_at_index(place).prompt)

    @property
    def current(self) -> Paper:
        hit = self.papers(self.tab).current
        assert hit is not None
        return hit.paper

    @property
    def tab(self) -> str:
        return str(self.browser.screen_stack[0].query_one("#lists").current)  # type: ignore[attr-defined]

    @property
    def focus(self) -> str | None:
        """Where keys go."""
        focused = self.browser.focused
        return None if focused is None else focused.id

    @property
    def footer(self) -> set[str]:
        keys = self.browser.query_one(Footer).query("FooterKey")
        return {key.description for key in keys}  # type: ignore[attr-defined]

    @property
    def status(self) -> str:
        return str(self.browser.screen_stack[0].query_one("#status", Label).content)

    @property
    def page(self) -> str:
        return str(self.browser.screen_stack[0].query_one(PaperView).content)

    @property
    def count(self) -> str:
        return str(self.browser.screen_stack[0].query_one("#counts", Label).content)

    @property
    def on_map(self) -> str:
        """What the map says of its cursor; empty without a map."""
        labels = self.browser.screen.query("#place").results(Label)
        return "".join(str(label.content) for label in labels)

    @property
    def map_lines(self) -> list[str]:
        return str(self.browser.screen.query_one(MapView).render()).splitlines()

    @property
    def chips(self) -> list[str]:
        return [str(chip.content) for chip in self.browser.screen_stack[0].query(Chip)]


@asynccontextmanager
async def opened(
    text: str = QUESTION,
    size: tuple[int, int] = (100, 30),
    index: str = "main",
    **settings: Any,
) -> AsyncIterator[Session]:
    """A reader that has answered its first question."""
    browser = Browser(index, text, **settings)
    try:
        async with browser.run_test(size=size) as pilot:
            session = Session(browser, pilot)
            await session.until(lambda: session.ids())
            yield session
    finally:
        browser.close()


def drive(journey: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(journey())  # type: ignore[arg-type]


def asked(run: Run, *arguments: object) -> list[str]:
    """The identifiers that `astrosearch query` finds."""
    return run("query", *arguments, "--format", "ids").stdout.split()


class TestAsking:
    def test_the_answer_is_that_of_query(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                assert session.ids() == asked(run, QUESTION, "-k", 50)
                assert session.current.id == session.ids()[0]
                assert session.current.url in session.page

        drive(journey)

    def test_without_a_question_the_newest_papers_are_listed(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened("") as session:
                days = [hit.paper.published for hit in session.papers().hits]
                assert len(days) == 50
                assert days == sorted(days, reverse=True)
                assert "\n20" in session.entry(0)  # no match, as nothing was asked
                assert session.focus == "question"

        drive(journey)

    def test_answers_come_while_a_question_is_typed(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened("") as session:
                await session.type("dust")
                dust = asked(run, "dust", "-k", 50)
                await session.until(lambda: session.ids() == dust)
                await session.type(" wind")
                wind = asked(run, "dust wind", "-k", 50)
                await session.until(lambda: session.ids() == wind)
                await session.press("down", "down")
                assert session.papers().highlighted == 2
                await session.press("enter")
                assert session.focus == "answer"

        drive(journey)

    def test_all_tabs_have_room_on_a_terminal_of_80_columns(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened(size=(80, 24)) as session:
                await session.press("9")
                await session.until(lambda: session.tab == "history")
                assert session.browser.query_one("#tabs-scroll").max_scroll_x == 0

        drive(journey)

    def test_a_question_that_is_longer_than_its_field_scrolls(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened("", size=(40, 12)) as session:
                field = session.browser.query_one(QuestionField)
                await session.type("gas stripped from a dwarf")
                assert field.scroll_offset.x == field.content_width - field.size.width
                await session.press("home")
                assert field.scroll_offset.x == 0

        drive(journey)

    def test_typing_does_not_wait_and_the_last_question_is_answered_last(
        self, reader: Path
    ) -> None:
        """The search stands still until all is typed; then two answers come, in order."""

        async def journey() -> None:
            async with opened("") as session:
                gate, begun, answered = threading.Event(), threading.Event(), []
                answer = session.browser._answer

                def slow(question: Any) -> Any:
                    begun.set()
                    gate.wait(300)
                    answered.append(question.text)
                    return answer(question)

                session.browser._answer = slow  # type: ignore[method-assign]
                await session.type("g")
                await session.until(begun.is_set)
                await session.type("alaxies")
                field = session.browser.query_one(QuestionField)
                assert field.value == "galaxies"
                assert answered == []
                gate.set()
                await session.until(lambda: answered[-1:] == ["galaxies"])
                await session.until(lambda: session.papers().words == words("galaxies"))
                assert answered == ["g", "galaxies"]

        drive(journey)

    def test_a_condition_that_is_half_typed_is_told_and_keeps_the_answer(
        self, reader: Path
    ) -> None:
        async def journey() -> None:
            async with opened() as session:
                before = session.ids()
                session.browser.query_one(QuestionField).value = f"{QUESTION} year:soon"
                await session.until(lambda: "is not a year" in session.status)
                assert session.ids() == before

        drive(journey)

    def test_words_that_no_paper_has_are_told(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                session.browser.query_one(QuestionField).value = "sourdough bread recipe"
                await session.until(lambda: "No paper has a word of" in session.status)
                session.browser.query_one(QuestionField).value = 'title:"sourdough bread"'
                await session.until(lambda: "none of the 150 papers" in session.status)

        drive(journey)

    def test_questions_are_kept_and_can_be_asked_again(self, reader: Path) -> None:
        history.remember("planets")
        history.remember("/k 5")

        async def journey() -> None:
            async with opened("") as session:
                await session.type("dust")
                await session.press("enter", "9")
                questions = session.browser.query_one("#history", OptionList)
                assert [str(option.prompt) for option in questions.options] == ["dust", "planets"]
                await session.press("down", "enter")
                assert session.browser.query_one(QuestionField).value == "planets"
                assert session.tab == "answer"
                await session.until(lambda: session.papers().words == words("planets"))

        drive(journey)
        assert history.earlier() == ["planets", "/k 5", "dust"]


class TestMoving:
    def test_keys_go_through_the_list(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                steps = (
                    ("j", 1),
                    ("down", 2),
                    ("k", 1),
                    ("up", 0),
                    ("G", 49),
                    ("g", 0),
                    ("end", 49),
                    ("home", 0),
                )
                for key, place in steps:
                    await session.press(key)
                    assert session.papers().highlighted == place, key
                    assert session.current.url in session.page
                await session.press("pagedown")
                down = session.papers().highlighted
                assert down is not None
                assert down > 2
                await session.press("pageup")
                assert session.papers().highlighted == 0

        drive(journey)

    def test_a_click_goes_to_a_paper(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.pilot.click("#answer", offset=(4, 6))
                assert session.papers().highlighted not in (None, 0)

        drive(journey)

    def test_an_abstract_is_read_on_the_whole_screen(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened(size=(80, 24)) as session:
                narrow = session.browser.query_one(PaperView).size.width
                await session.press("j", "enter")
                view = session.browser.query_one(PaperView)
                assert session.focus == "paper"
                assert view.size.width > narrow
                await session.press("escape")
                assert view.size.width == narrow
                assert session.focus == "answer"
                assert session.papers().highlighted == 1

        drive(journey)

    def test_the_abstract_scrolls_while_the_list_has_the_keys(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened(size=(60, 14)) as session:
                view = session.browser.query_one(PaperView)
                await session.press("J")
                assert view.scroll_y > 0
                await session.press("K")
                assert view.scroll_y == 0

        drive(journey)

    def test_each_tab_keeps_its_place(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("j", "j", "s")
                await session.until(lambda: session.tab == "similar" and session.ids("similar"))
                await session.press("j")
                similar = session.current.id
                await session.press("1")
                assert session.papers().highlighted == 2
                await session.press("right_square_bracket", "right_square_bracket")
                assert session.current.id == similar
                await session.press(*["left_square_bracket"] * 3)
                assert session.tab == "history"

        drive(journey)

    @pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
    def test_another_size_keeps_the_place(self, reader: Path, size: tuple[int, int]) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press(*["j"] * 30)
                before = session.current.id
                await session.pilot.resize_terminal(*size)
                papers = session.papers()

                def is_seen() -> bool:
                    top, lines = papers.scroll_offset.y, papers.size.height
                    return bool(top <= papers._index_to_line[30] < top + lines)

                await session.until(lambda: session.browser.size == size and is_seen())
                await session.pilot.pause(0.2)
                assert is_seen()
                assert session.current.id == before
                assert session.page.count(before) >= 1

        drive(journey)


class TestFilters:
    def test_filters_become_chips_and_go_by_a_click(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                everything = session.ids()
                await session.press("f")
                await session.type("2012")
                await session.press("tab")
                await session.type("2015-06")
                await session.press("tab")
                await session.type("gr-qc")
                await session.press("enter")
                few = ("--since", "2012", "--until", "2015-06", "--category", "gr-qc")
                filtered = asked(run, QUESTION, "-k", 50, *few)
                await session.until(lambda: session.ids() == filtered)
                assert session.chips == ["2012–2015-06-30 ×", "gr-qc ×"]
                await session.pilot.click(Chip)
                await session.until(lambda: session.chips == ["gr-qc ×"])
                of_category = asked(run, QUESTION, "-k", 50, "--category", "gr-qc")
                await session.until(lambda: session.ids() == of_category)
                await session.press("F")
                await session.until(lambda: session.ids() == everything)
                assert session.chips == []

        drive(journey)

    def test_a_filter_that_cannot_be_read_is_told_beside_the_field(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("f")
                await session.type("May")
                await session.press("enter")
                error = session.browser.screen.query_one(".problem", Label)
                assert "'May' is not a date" in str(error.content)
                session.browser.screen.query_one("#since", Input).value = ""
                session.browser.screen.query_one("#category", Input).value = "CO"
                await session.press("enter")
                assert "astro-ph.CO is one" in str(error.content)
                await session.press("escape")
                assert session.chips == []

        drive(journey)

    def test_filters_of_the_command_are_chips(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened(category="gr-qc", author="Wu") as session:
                assert session.chips == ["gr-qc ×", "Wu ×"]

        drive(journey)

    def test_the_library_is_a_filter_too(self, reader: Path, run: Run) -> None:
        ids = asked(run, "dust", "-k", 4)
        run("library", "add", *ids[:3], "--tag", "mine")

        async def journey() -> None:
            async with opened(within="tag:mine") as session:
                assert sorted(session.ids()) == sorted(ids[:3])
                assert session.chips == ["in tag:mine ×"]
                await session.press("F")
                await session.until(lambda: len(session.ids()) == 50)
                assert session.chips == []

        drive(journey)

    def test_order_and_mode_are_changed(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("r")
                newest = asked(run, QUESTION, "-k", 50, "--sort", "date")
                await session.until(lambda: session.ids() == newest)
                await session.press("r", "m")
                dense = asked(run, QUESTION, "-k", 50, "--mode", "dense")
                await session.until(lambda: session.ids() == dense)

        drive(journey)

    def test_the_most_cited_come_first_where_the_index_has_citations(
        self, reader: Path, shelf: Path, home: Path, run: Run
    ) -> None:
        (home / "indexes/main").unlink()
        shutil.copytree(shelf / "indexes/main", home / "indexes/main")
        ids = asked(run, QUESTION, "-k", 50)
        file = reader / "citations.jsonl"
        records = [
            {"id": citing, "references": ids[number + 1 :: 7]}
            for number, citing in enumerate(ids[:7])
        ]
        file.write_text("\n".join(map(json.dumps, records)))
        run("citations", "import", file)
        most_cited = asked(run, QUESTION, "-k", 50, "--sort", "citations")
        best = asked(run, QUESTION, "-k", 50)
        assert most_cited != best

        async def journey() -> None:
            async with opened() as session:
                await session.press("r", "r")
                await session.until(lambda: session.ids() == most_cited)
                await session.until(lambda: "most cited first" in session.count)
                first, last = session.papers().hits[0], session.papers().hits[-1]
                assert first.citations
                assert not last.citations
                options = session.papers().options
                assert f"cited {first.citations}" in str(options[0].prompt)
                assert "cited" not in str(options[-1].prompt)
                await session.press("r")
                await session.until(lambda: session.ids() == best)

        drive(journey)

    def test_a_bar_of_the_histogram_becomes_a_filter(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                years = sorted({hit.paper.published.year for hit in session.papers().hits})
                await session.press("h")
                chart = session.browser.screen.query_one("#years", OptionList)
                assert [str(option.id) for option in chart.options] == [
                    str(year) for year in range(years[0], years[-1] + 1)
                ]
                await session.press("enter")
                await session.until(lambda: session.chips == [f"{years[0]} ×"])
                await session.until(
                    lambda: (
                        {hit.paper.published.year for hit in session.papers().hits} == {years[0]}
                    )
                )

        drive(journey)


class TestUsingPapers:
    def test_three_papers_are_marked_and_exported_from_what_the_screen_says(
        self, reader: Path, run: Run
    ) -> None:
        async def journey() -> None:
            async with opened("", size=(80, 24)) as session:
                await session.until(lambda: {"to the papers", "all keys"} <= session.footer)
                await session.press("f1")
                assert isinstance(session.browser.screen, HelpDialog)
                await session.press("escape")
                await session.type("dust")
                await session.press("enter")
                await session.until(lambda: "export" in session.footer)
                await session.until(lambda: session.papers().words == words("dust"))
                assert {"ask", "mark", "help", "quit"} <= session.footer
                await session.press("space", "space", "space")
                assert list(session.browser.marked) == session.ids()[:3]
                await session.press("e", "enter")
                assert "3 papers written to papers.bib" in session.status
                assert not session.browser.has_unsaved_marks
                await session.press("q")

        drive(journey)
        ids = asked(run, "dust", "-k", 3)
        assert (reader / "papers.bib").read_text() == run("show", *ids, "--format", "bibtex").stdout

    def test_the_ending_of_a_file_says_its_format(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("space", "space")
                for name in ("a.json", "a.jsonl", "a.csv", "a.txt", "a.pdf"):
                    await session.press("e")
                    session.browser.screen.query_one("#file", Input).value = name
                    await session.press("enter")
                error = session.browser.screen.query_one(".problem", Label)
                assert "does not end in a format" in str(error.content)
                await session.press("escape")
                first, second = session.browser.marked
                assert (reader / "a.txt").read_text() == f"{first}\n{second}\n"
                records = json.loads((reader / "a.json").read_text())
                assert [record["id"] for record in records] == [first, second]
                lines = (reader / "a.jsonl").read_text().splitlines()
                assert [json.loads(line) for line in lines] == records
                assert (reader / "a.csv").read_text().startswith("id,title,authors,")
                assert not (reader / "a.pdf").exists()

        drive(journey)

    def test_a_file_that_exists_is_replaced_only_after_a_second_enter(self, reader: Path) -> None:
        (reader / "papers.bib").write_text("mine")

        async def journey() -> None:
            async with opened() as session:
                await session.press("e", "enter")
                error = session.browser.screen.query_one(".problem", Label)
                assert "exists: Enter again replaces it" in str(error.content)
                assert (reader / "papers.bib").read_text() == "mine"
                await session.press("enter")
                assert (reader / "papers.bib").read_text().startswith("@")

        drive(journey)

    def test_a_folder_that_cannot_be_written_is_told(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("e")
                session.browser.screen.query_one("#file", Input).value = "nowhere/papers.bib"
                await session.press("enter")
                error = session.browser.screen.query_one(".problem", Label)
                assert "cannot write nowhere/papers.bib" in str(error.content)

        drive(journey)

    def test_y_and_a_letter_copy(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                paper = session.current
                bibtex = run("show", paper.id, "--format", "bibtex").stdout.strip()
                for key, text in (
                    ("b", bibtex),
                    ("i", paper.id),
                    ("t", " ".join(paper.title.split())),
                    ("u", paper.url),
                ):
                    await session.press("y", key)
                    assert session.browser.clipboard == text
                    assert "of 1 paper copied" in session.status
                await session.press("y", "escape")
                await session.press("space", "space", "y", "i")
                assert session.browser.clipboard == "\n".join(session.ids()[:2])

        drive(journey)

    def test_marks_have_a_tab_and_can_be_taken_away(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("space", "j", "space", "7")
                first, _, third, *_ = session.ids()
                assert session.ids("marks") == [first, third]
                await session.press("space")
                assert session.ids("marks") == [third]
                await session.press("u")
                assert session.ids("marks") == []
                assert "mark with the space bar" in session.page
                assert session.browser.marked == {}

        drive(journey)

    def test_similar_papers_are_those_of_similar(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("space", "space", "s")
                near = run("similar", *session.ids()[:2], "-k", 50, "--format", "ids").stdout
                await session.until(lambda: session.ids("similar") == near.split())
                assert session.tab == "similar"
                assert "Similar to 2 marked papers" in session.status

        drive(journey)

    def test_o_opens_the_page_and_capital_o_the_pdf(
        self, reader: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = browser_that_writes(reader, monkeypatch)

        async def journey() -> None:
            async with opened() as session:
                await session.press("o")
                await session.until(told.exists)
                await session.until(lambda: told.read_text() == f"{session.current.url}\n")
                await session.until(lambda: "is opened in your web browser" in session.status)
                await session.press("O")
                pdf = f"https://arxiv.org/pdf/{session.current.id}"
                await session.until(lambda: told.read_text().endswith(f"{pdf}\n"))

        drive(journey)

    def test_without_a_browser_the_address_is_told(
        self, reader: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BROWSER", str(reader / "none"))
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("DISPLAY", raising=False)

        async def journey() -> None:
            async with opened() as session:
                await session.press("o")
                await session.until(lambda: session.current.url in session.status)

        drive(journey)


def browser_that_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a program the web browser that writes each address to a file; returns the file. One that
    ends at once, Python takes for one that failed."""
    told, program = folder / "told", folder / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >> {told}\nsleep 20\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s &")
    return told


class TestLibrary:
    def test_what_should_be_cited_is_that_of_cite(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("G")
                paper_id = session.current.id
                await session.press("c")
                cited = run("cite", paper_id, "-k", 50, "--format", "ids")
                await session.until(lambda: session.tab == "cite" or "none" in session.status)
                assert session.ids("cite") == cited.stdout.split()
                assert f"What {paper_id} should cite" in session.status

        drive(journey)

    def test_a_paper_that_is_liked_is_kept_in_the_library(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                first, second, *_ = session.ids()
                await session.press("l")
                await session.until(lambda: f"{first} is liked" in session.status)
                assert "in your library · liked" in session.page
                assert session.entry(0).endswith("liked")
                await session.press("j", "d")
                await session.until(lambda: f"{second} is disliked" in session.status)
                await session.press("d")
                await session.until(lambda: "neither liked" in session.status)
                await session.press("6")
                assert session.ids("library") == [second, first]

        drive(journey)
        library = Library.read()
        assert [paper.marks.opinion for paper in library.papers] == ["liked", ""]

    def test_a_paper_is_liked_while_the_library_is_still_being_read(
        self, reader: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate, read, found = threading.Event(), actions.library_papers, list[Any]()

        def slow_at_first(searcher: Searcher) -> Any:
            library = read(searcher)
            found.append(library)
            if len(found) == 1:
                gate.wait(300)
            return library

        monkeypatch.setattr(actions, "library_papers", slow_at_first)

        async def journey() -> None:
            async with opened() as session:
                await session.until(lambda: found)
                await session.press("l")
                await session.until(lambda: Library.read().papers)
                gate.set()
                await session.until(lambda: "is liked" in session.status)
                await session.pilot.pause(0.2)
                assert session.entry(0).endswith("liked")

        drive(journey)

    def test_all_marked_papers_are_tagged_at_once(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("space", "space", "t")
                await session.type("jets, gas")
                await session.press("enter")
                await session.until(lambda: "Kept in your library" in session.status)
                assert session.entry(0).endswith("\nown · jets · gas")
                await session.press("t")
                await session.type("-jets")
                await session.press("enter")
                await session.until(lambda: session.entry(0).endswith("\nown · gas"))
                await session.press("t")
                await session.type("a:b")
                await session.press("enter")
                problem = session.browser.screen.query_one(".problem", Label)
                await session.until(lambda: "cannot be a tag" in str(problem.content))
                await session.press("escape")

        drive(journey)
        assert Library.read().tags() == {"gas": 2}

    def test_a_note_is_written_and_changed(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("n")
                await session.type("gas")
                await session.press("enter")
                await session.until(lambda: "Note: gas" in session.page)
                await session.press("n")
                await session.type(" again")
                await session.press("enter")
                await session.until(lambda: "Note: gas again" in session.page)
                await session.press("n", *["backspace"] * 9, "enter")
                await session.until(lambda: "Note:" not in session.page)

        drive(journey)
        assert [paper.marks.note for paper in Library.read().papers] == [""]

    def test_a_file_that_is_called_like_a_paper_is_not_read(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                Path(session.current.id).write_text("@article{other, title={Other}}")
                await session.press("l")
                await session.until(lambda: "is liked" in session.status)
                assert session.ids("library") == [session.current.id]

        drive(journey)

    def test_the_library_is_a_filter_that_is_typed(self, reader: Path, run: Run) -> None:
        ids = asked(run, QUESTION, "-k", 3)
        run("library", "add", *ids, "--tag", "mine")

        async def journey() -> None:
            async with opened() as session:
                await session.press("f")
                session.browser.screen.query_one("#within", Input).value = "tag:nobody"
                await session.press("enter")
                problem = session.browser.screen.query_one(".problem", Label)
                assert "there are: mine" in str(problem.content)
                session.browser.screen.query_one("#within", Input).value = "tag:mine"
                await session.press("enter")
                await session.until(lambda: session.chips == ["in tag:mine ×"])
                await session.until(lambda: sorted(session.ids()) == sorted(ids))

        drive(journey)

    def test_new_papers_are_those_of_new(self, reader: Path, run: Run) -> None:
        run("library", "add", *asked(run, QUESTION, "-k", 3))
        new = run("new", "-k", 50, "--format", "jsonl").stdout.splitlines()

        async def journey() -> None:
            async with opened() as session:
                await session.press("5")
                await session.until(lambda: session.ids("new"))
                records = [json.loads(line) for line in new]
                assert session.ids("new") == [record["id"] for record in records]
                assert records[0]["reasons"][0] in session.page
                assert "what fits your library first" in session.status

        drive(journey)

    def test_a_question_is_saved_and_asked_again(self, reader: Path, run: Run) -> None:
        async def journey() -> None:
            async with opened(category="gr-qc") as session:
                before = session.ids()
                await session.press("S")
                await session.type("streams")
                await session.press("enter")
                await session.until(lambda: "Saved as streams" in session.status)
                await session.press("S")
                await session.type("streams")
                await session.press("enter")
                problem = session.browser.screen.query_one(".problem", Label)
                await session.until(lambda: "already" in str(problem.content))
                await session.press("escape", "F")
                await session.until(lambda: session.ids() != before)
                session.browser.query_one(QuestionField).value = "dust"
                await session.until(lambda: session.papers().words == words("dust"))
                await session.press("8", "enter")
                await session.until(lambda: session.ids() == before)
                assert session.chips == ["gr-qc ×"]
                assert session.browser.query_one(QuestionField).value == QUESTION
                assert before == run("run", "streams", "-k", 50, "--format", "ids").stdout.split()

        drive(journey)

    def test_what_of_a_saved_search_has_no_effect_is_said(self, reader: Path, run: Run) -> None:
        run("save", "read", QUESTION, "--rerank", "--index", "main")
        file = paths.library_folder() / "searches.toml"
        file.write_text(file.read_text().replace('"main"', '"another"'))

        async def journey() -> None:
            async with opened() as session:
                shown = session.ids()
                await session.press("8", "enter")
                await session.until(
                    lambda: "read was saved for index another; this is main" in session.status
                )
                assert "rerank of read has no effect here" in session.status
                assert session.ids() == shown
                session.browser.query_one(QuestionField).value = "dust"
                await session.until(lambda: session.papers().words == words("dust"))
                assert "no effect" not in session.status

        drive(journey)


class TestLookingCloser:
    def test_why_shows_the_signals(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                assert "cosine" not in session.page
                await session.press("w", "j")
                hit = session.papers().current
                assert hit is not None
                assert hit.cosine is not None
                assert f"{hit.cosine:.3f}" in session.page
                assert f"{hit.match} of 100" in session.page
                await session.press("w")
                assert "cosine" not in session.page

        drive(journey)

    def test_two_papers_are_compared(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened(size=(120, 40)) as session:
                await session.press("equals_sign")
                assert "mark two to compare" in session.status
                await session.press("space", "space", "equals_sign")
                await session.until(lambda: len(session.browser.screen_stack) == 2)
                drawn = "\n".join(
                    "".join(segment.text for segment in strip)
                    for strip in session.browser.screen._compositor.render_strips()
                )
                for paper_id in session.ids()[:2]:
                    assert paper_id in drawn
                assert "nearer than" in drawn
                await session.press("escape")
                assert len(session.browser.screen_stack) == 1

        drive(journey)

    def test_the_words_of_the_question_are_marked(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened("galaxy of the gas", mode="lexical") as session:
                content = session.browser.query_one(PaperView).content
                marked = {
                    session.page[span.start : span.end].lower()
                    for span in content.spans
                    if "$text-warning" in str(span.style)
                }
                assert marked <= {"galaxies", "gas"}
                assert marked

        drive(journey)

    def test_the_help_names_every_key(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("question_mark")
                assert isinstance(session.browser.screen, HelpDialog)
                said = str(session.browser.screen.query_one(Static).content)
                for key in KEYS:
                    assert key.shown in said
                    assert key.help in said
                await session.press("escape")

        drive(journey)

    def test_every_key_is_a_command_of_the_palette(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                commands = session.browser.get_system_commands(session.browser.screen)
                names = {command.title for command in commands}
                for key in KEYS:
                    if key.keys != "ctrl+p":
                        assert f"{key.name} ({key.shown})" in names
                await session.press("ctrl+p")
                await session.type("why")
                found = session.browser.screen.query_one(CommandList)
                await session.until(lambda: found.highlighted == 0 and found.option_count == 1)
                await session.press("enter")
                await session.until(lambda: "cosine" in session.page)

        drive(journey)


QUOTED = "how far away is the Magellanic Stream?"


@pytest.fixture
def sampler(reader: Path, home: Path, sampler_home: Path) -> None:
    (home / "indexes/sampler").symlink_to(sampler_home / "indexes/sampler")


class TestQuotes:
    def test_a_answers_in_the_sentences_of_ask(self, sampler: None, run: Run) -> None:
        record = json.loads(run("ask", QUOTED, "--index", "sampler", "--format", "json").stdout)
        quotes = [quote for group in record["groups"] for quote in group["quotes"]]

        async def journey() -> None:
            async with opened(QUOTED, index="sampler") as session:
                await session.press("a")
                await session.until(lambda: session.ids("quotes"))
                assert session.tab == session.focus == "quotes"
                assert session.ids("quotes") == [quote["id"] for quote in quotes]
                shown = session.papers("quotes")
                for place, quote in enumerate(quotes):
                    entry = str(shown.get_option_at_index(place).prompt)
                    assert f"[{quote['source']}] “{quote['text'][:20]}" in entry
                assert session.count.startswith(f"{len(quotes)} sentences · ")
                assert "quoted as they are" in session.status
                assert history.earlier() == [QUOTED]
                await session.press("1")
                await session.until(lambda: session.tab == "answer")
                assert not session.status
                await session.press("2")
                await session.until(lambda: "quoted as they are" in session.status)

        drive(journey)

    def test_the_paper_of_a_sentence_is_read_with_the_sentence_underlined(
        self, sampler: None
    ) -> None:
        async def journey() -> None:
            async with opened(QUOTED, index="sampler", size=(80, 24)) as session:
                await session.press("a")
                await session.until(lambda: session.ids("quotes"))
                await session.press("j")
                sentence = session.browser.screen_stack[0].query_one(QuoteList).quote
                content = session.browser.query_one(PaperView).content
                underlined = [
                    session.page[span.start : span.end]
                    for span in content.spans
                    if span.style == "underline"
                ]
                assert [" ".join(text.split()) for text in underlined] == [sentence]
                assert session.current.url in session.page
                await session.press("enter")
                assert session.focus == "paper"
                await session.press("escape", "l")
                await session.until(lambda: "is liked" in session.status)
                paper_id = session.current.id
                await session.press("space")
                assert list(session.browser.marked) == [paper_id]

        drive(journey)

    def test_a_long_abstract_scrolls_to_the_sentence(self, sampler: None) -> None:
        async def journey() -> None:
            async with opened(QUOTED, index="sampler", size=(50, 16)) as session:
                await session.press("a")
                await session.until(lambda: session.ids("quotes"))
                quotes, view = (
                    session.browser.query_one(QuoteList),
                    session.browser.query_one(PaperView),
                )
                tops = []
                for _ in session.ids("quotes"):
                    words = quotes.quote.split()[:2]
                    lines = [
                        "".join(segment.text for segment in view.render_line(y)) for y in range(5)
                    ]
                    assert words[0] in "".join(lines)
                    tops.append(view.scroll_offset.y)
                    await session.press("j")
                assert max(tops) > 0

        drive(journey)

    @pytest.mark.parametrize(
        ("question", "told"),
        [
            ("", "Type a question first"),
            ("who won the football world cup", "No abstract is likely to answer"),
            ("year:2016", "no question beside the filters"),
        ],
    )
    def test_what_has_no_sentences_is_told(self, sampler: None, question: str, told: str) -> None:
        async def journey() -> None:
            async with opened("", index="sampler") as session:
                session.browser.query_one(QuestionField).value = question
                await session.press("enter", "a")
                await session.until(lambda: told in session.status)
                assert session.tab == "answer"

        drive(journey)


REGIONS = (Region("radio jets", 10_000, 60_000, 0, 60), Region("dust", 60_000, 10_000, 0, 30))


@pytest.fixture
def mapped(reader: Path, home: Path, shelf: Path) -> list[str]:
    """An index `mapped` that is `main` with a map, on which the papers lie on a diagonal; returns
    their identifiers from the lower left on."""
    folder = home / "indexes/mapped"
    shutil.copytree(shelf / "indexes/main", folder)
    with open_index("mapped") as searcher:
        ids = tuple(paper.id for paper in searcher.index.corpus)
    steps = np.linspace(0, SIDE, len(ids)).astype(np.uint16)
    places = np.stack([steps, steps], axis=1)
    years, zeros = np.full(len(ids), 2016, np.uint16), np.zeros(len(ids), np.uint8)
    PaperMap(1, "", ids, places, years, zeros, ("astro-ph",), REGIONS).write(folder)
    return list(ids)


class TestMap:
    def test_the_papers_of_the_list_are_lit_and_gone_through(self, mapped: list[str]) -> None:
        async def journey() -> None:
            async with opened(index="mapped") as session:
                ids = session.ids()
                await session.press("j", "M")
                await session.until(lambda: session.on_map)
                assert ids[1] in session.on_map
                assert "number 2 in the list" in session.on_map
                await session.press("n")
                await session.until(lambda: ids[2] in session.on_map)
                await session.press("p", "p")
                await session.until(lambda: ids[0] in session.on_map)
                drawn = session.map_lines
                assert "\n".join(drawn).count("•") >= 10
                assert "radio jets" in "\n".join(drawn[:4])
                assert "dust" in "\n".join(drawn[-8:])
                await session.press("n", "n", "n", "enter")
                assert session.papers().highlighted == 3
                assert session.focus == "answer"

        drive(journey)

    def test_zooming_keeps_the_cursor_and_moving_beyond_the_edge_moves_the_map(
        self, mapped: list[str]
    ) -> None:
        async def journey() -> None:
            async with opened(index="mapped") as session:
                await session.press("M")
                await session.until(lambda: session.on_map)
                paper_id = session.ids()[0]
                for key in ("plus", "plus", "minus", "0"):
                    await session.press(key)
                    assert paper_id in session.on_map
                await session.press(*["plus"] * 10, *["l"] * 200)
                await session.until(lambda: "No paper here" in session.on_map)
                await session.press(*["n"] * 3)
                await session.until(lambda: "in the list" in session.on_map)
                await session.press("escape")
                assert session.papers().highlighted == 0

        drive(journey)

    def test_a_click_goes_to_a_paper_and_a_second_one_asks_for_it(self, mapped: list[str]) -> None:
        async def journey() -> None:
            async with opened(index="mapped", k=3) as session:
                await session.press("M")
                await session.until(lambda: session.on_map)
                listed = {mapped.index(paper_id) for paper_id in session.ids()}
                number = next(n for n in range(3, 147) if listed.isdisjoint(range(n - 3, n + 4)))
                width, height = session.browser.screen.query_one(MapView).size
                part = number / (len(mapped) - 1)
                cell = int(part * width), height - 1 - int(part * height)
                await session.pilot.click(MapView, offset=cell)
                near = mapped[number - 3 : number + 4]
                await session.until(lambda: any(name in session.on_map for name in near))
                [shown] = [name for name in near if name in session.on_map]
                await session.pilot.click(MapView, offset=cell)
                await session.until(lambda: session.ids()[:1] == [shown])
                assert session.focus == "answer"
                assert history.earlier() == [QUESTION]

        drive(journey)

    def test_papers_that_came_after_the_map_are_counted(self, mapped: list[str]) -> None:
        folder = paths.index_folder("mapped")
        few = tuple(mapped[:30])
        places = np.full((30, 2), 60_000, np.uint16)
        zeros = np.zeros(30, np.uint8)
        PaperMap(1, "", few, places, zeros.astype(np.uint16), zeros, ("a",), ()).write(folder)

        async def journey() -> None:
            async with opened(index="mapped") as session:
                missing = len(set(session.ids()) - set(few))
                await session.press("M")
                await session.until(lambda: isinstance(session.browser.screen, MapDialog))
                title = str(session.browser.screen.query_one("#box").border_title)
                assert title.endswith(f"{missing} of the list are not on it")

        drive(journey)

    def test_without_a_map_the_command_is_told(self, reader: Path) -> None:
        async def journey() -> None:
            async with opened() as session:
                await session.press("M")
                await session.until(lambda: "astrosearch map main" in session.status)

        drive(journey)


def test_a_full_map_still_has_a_shape() -> None:
    counts = np.array([[9, 1], [1, 9], [0, 0], [0, 9]])
    assert letters(counts) == ["⢑"]
    assert letters(np.zeros((4, 4), int)) == ["⠀⠀"]
    assert letters(np.full((8, 2), 3)) == ["⣿", "⣿"]


def test_shades_stand_for_braille_on_the_console_of_linux() -> None:
    counts = np.zeros((4, 10), int)
    counts[2, 2:] = [1, 0, 2, 0, 3, 0, 4, 0]
    assert shades(counts) == [" ░▒▓█"]
    assert shades(np.zeros((4, 2), int)) == [" "]


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("light", [False, True])
def test_nothing_is_drawn_beyond_the_screen(
    reader: Path, size: tuple[int, int], light: bool
) -> None:
    async def journey() -> None:
        async with opened(size=size, light=light) as session:
            for keys in ((), ("f",), ("y",), ("e",), ("h",), ("question_mark",)):
                await session.press(*keys)
                for widget in session.browser.screen.query("#box, #top, #body, Footer"):
                    assert session.browser.screen.region.contains_region(widget.region), keys
                await session.press("escape")

    drive(journey)


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "linux")])
def test_without_colours_the_paper_at_the_cursor_is_reversed(
    reader: Path, monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    monkeypatch.setenv(*variable)

    async def journey() -> None:
        async with opened() as session:
            await session.press("j")
            papers = session.papers()
            first = papers._index_to_line[1]
            reversed_lines = [
                any(segment.style and segment.style.reverse for segment in papers.render_line(line))
                for line in (0, first)
            ]
            assert reversed_lines == [False, True]

    drive(journey)


def test_marked_words_are_those_of_the_question_in_any_ending() -> None:
    assert words("the gas of author:lee galaxies") == frozenset({"gas", "galaxi"})
    assert words("year:soon") == frozenset()
    assert spans_of("A galaxy, gas-rich", words("galaxies gas")) == [(2, 8), (10, 13)]


def test_a_fact_below_a_title_is_never_on_two_lines(reader: Path) -> None:
    facts = ["62", "2015", "Zhao et al.", "GA", "cited 1,207"]
    assert facts_in(facts, 0) == facts_in(facts, 60) == " · ".join(facts)
    assert facts_in(facts, 24) == "62 · 2015 · Zhao et al.\nGA · cited 1,207"
    assert facts_in(facts, 3).splitlines() == facts

    async def journey() -> None:
        async with opened(size=(200, 60)) as session:
            assert session.entry(0).count("\n") == 1
            await session.pilot.resize_terminal(40, 12)
            await session.pilot.resize_terminal(30, 12)
            await session.until(lambda: session.papers().size.width == 30)
            await session.until(lambda: session.entry(0).count("\n") == 2)

    drive(journey)


def test_years_are_put_together_where_there_is_little_room() -> None:
    assert binned([2001, 2001, 2003], 10) == {"2001": 2, "2002": 0, "2003": 1}
    assert binned([2001, 2009], 3) == {"2000–2004": 1, "2005–2009": 1}
    assert binned([], 3) == {}
    longest, none, shortest = bars({"a": 40, "b": 0, "c": 1}, 30)
    assert [str(line).count("█") for line in (longest, none, shortest)] == [23, 0, 1]


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\\x1b[?62c", True),
        (b"\x1b]11;rgb:1e/1e/2e\x07\x1b[?62c", False),
        (b"\x1b]11;rgba:fa/fa/fa/ff\x07", True),
        (b"\x1b[?6c", False),
        (b"", False),
    ],
)
def test_a_terminal_tells_whether_it_is_light(answer: bytes, light: bool) -> None:
    assert light_in(answer) is light


PATIENT = """
from astrosearch.cli import main
from astrosearch.cli.browse import background
background.PATIENCE = 100
main(prog_name="astrosearch")
"""
"""The command line, for a terminal whose answer may be late on a busy machine."""


class Screen:
    """`astrosearch browse` on a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        answers: bytes = b"\x1b[?62c",
        controls: bool = True,
        **variables: str,
    ) -> None:
        """
        Args:
            controls: whether signals of the terminal reach the reader.
            answers: what the terminal says when it is asked for its background.
        """
        self._fd, slave = pty.openpty()
        self._before = termios.tcgetattr(slave)
        termios.tcsetwinsize(slave, (24, 80))
        environment = {**os.environ, "TERM": "xterm-256color", **variables}
        environment.pop("COLORFGBG", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, "browse", *arguments],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment,
            start_new_session=True,
            # So that it is the terminal of the process, whose end the system tells it.
            preexec_fn=partial(fcntl.ioctl, slave, termios.TIOCSCTTY, 0) if controls else None,
        )
        self._slave = slave
        self._answers = answers
        self._answered = 0
        self.drawn = b""

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def read_until(self, text: bytes, seconds: float = 120) -> None:
        """
        Raises:
            AssertionError: if it is not drawn in time.
        """
        end = time.monotonic() + seconds
        while text not in self.drawn:
            assert time.monotonic() < end, self.drawn[-3000:]
            if select.select([self._fd], [], [], 1)[0]:
                self._read()

    def _read(self) -> None:
        """What is drawn; where that asks for the background, it is told."""
        self.drawn += os.read(self._fd, 65536)
        while self._answered < self.drawn.count(b"\x1b[c"):
            self._answered += 1
            os.write(self._fd, self._answers)

    def ended(self) -> tuple[int, bytes]:
        """Its exit code, and what it wrote to standard output."""
        with suppress(OSError):
            while self.process.poll() is None:
                if select.select([self._fd], [], [], 0.1)[0]:
                    self._read()
            while select.select([self._fd], [], [], 0.1)[0]:
                self._read()
        assert self.process.stdout is not None
        return self.process.wait(60), self.process.stdout.read()

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its modes, the usual screen, the cursor, the mouse."""
        return (
            termios.tcgetattr(self._slave) == self._before
            and self.drawn.rfind(b"\x1b[?1049l") > self.drawn.rfind(b"\x1b[?1049h")
            and self.drawn.rfind(b"\x1b[?25h") > self.drawn.rfind(b"\x1b[?25l")
            and self.drawn.rfind(b"\x1b[?1000l") > self.drawn.rfind(b"\x1b[?1000h")
        )

    def hang_up(self) -> None:
        """Take the terminal away, as when a connection is lost."""
        os.close(self._slave)
        os.close(self._fd)
        self._fd = self._slave = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for number in {self._fd, self._slave} - {-1}:
            os.close(number)


@pytest.fixture
def screen(reader: Path) -> Iterator[Callable[..., Screen]]:
    opened: list[Screen] = []

    def open(*arguments: str, **settings: Any) -> Screen:
        opened.append(Screen(*arguments, **settings))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    ("leave", "code"), [(b"q", 0), (b"/dust\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_leaving_gives_the_terminal_back_as_it_was(
    screen: Callable[..., Screen], leave: bytes | int, code: int
) -> None:
    opened = screen(QUESTION)
    opened.read_until(b" ms")
    if isinstance(leave, bytes):
        opened.type(leave)
    else:
        opened.process.send_signal(leave)
    assert opened.ended() == (code, b"")
    assert opened.is_restored
    assert b"Traceback" not in opened.drawn


def test_bytes_that_are_not_utf_8_do_not_end_it(screen: Callable[..., Screen]) -> None:
    opened = screen(QUESTION)
    opened.read_until(b" ms")
    opened.type(b"\xe9\xffl")
    opened.read_until(b"is liked")
    opened.type(b"q")
    assert opened.ended() == (0, b"")
    assert opened.is_restored


@pytest.mark.parametrize("controls", [True, False])
def test_a_lost_terminal_ends_it(screen: Callable[..., Screen], controls: bool) -> None:
    opened = screen(QUESTION, controls=controls)
    opened.read_until(b" ms")
    opened.hang_up()
    assert opened.process.wait(60) != 0


def test_a_kill_leaves_the_library_whole(screen: Callable[..., Screen]) -> None:
    opened = screen(QUESTION)
    opened.read_until(b" ms")
    opened.type(b"l")
    opened.read_until(b"is liked")
    opened.type(b"jljljljljl")
    opened.process.kill()
    assert opened.process.wait(60) == -signal.SIGKILL
    library = Library.read()
    assert library.problems == ()
    assert library.papers[0].marks.opinion == "liked"


def test_marked_papers_go_down_a_pipe(screen: Callable[..., Screen], run: Run) -> None:
    opened = screen(QUESTION)
    opened.read_until(b" ms")
    opened.type(b"  q")
    ids = asked(run, QUESTION, "-k", 2)
    assert opened.ended() == (0, "".join(f"{paper_id}\n" for paper_id in ids).encode())


@pytest.mark.parametrize(
    "variables", [{"TERM": "linux"}, {"NO_COLOR": "1"}, {"TERM": "tmux-256color"}]
)
def test_it_draws_on_any_terminal(screen: Callable[..., Screen], variables: dict[str, str]) -> None:
    opened = screen(QUESTION, **variables)
    opened.read_until(b" ms")
    opened.type(b"q")
    assert opened.ended()[0] == 0
    if "NO_COLOR" in variables:
        assert b"\x1b[38;" not in opened.drawn
        assert b"\x1b[48;" not in opened.drawn
    if variables.get("TERM") == "linux":
        assert b";2;" not in opened.drawn
        assert b"]11;?" not in opened.drawn
        assert "\x1b[30m\u2502".encode() not in opened.drawn  # black on black


def test_a_light_terminal_gets_light_colours(screen: Callable[..., Screen]) -> None:
    opened = screen(
        QUESTION, answers=b"\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?62c", COLORTERM="truecolor"
    )
    opened.read_until(b" ms")
    opened.type(b"q")
    opened.ended()
    assert b"48;2;250;250;250" in opened.drawn


@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        ((), 2, "browse needs a terminal"),
        (("--since", "May"), 2, "is not a date"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    run: Run, arguments: tuple[str, ...], code: int, fact: str
) -> None:
    assert fact in run("browse", *arguments, code=code).stderr


def test_a_missing_index_is_told_before_the_screen_is_taken(
    home: Path, screen: Callable[..., Screen]
) -> None:
    opened = screen("--index", "none")
    code, _ = opened.ended()
    assert code == 3
    assert b"there is no index 'none'" in opened.drawn
    assert b"\x1b[?1049h" not in opened.drawn


def test_a_damaged_index_ends_it_with_a_line(screen: Callable[..., Screen], shelf: Path) -> None:
    (paths.index_folder("half")).mkdir()
    (paths.index_folder("half") / "manifest.json").write_text("{}")
    opened = screen("--index", "half")
    code, _ = opened.ended()
    assert code == 1
    assert b"build it again: astrosearch index half" in opened.drawn
    assert b"Traceback" not in opened.drawn


def test_a_bare_call_says_that_there_is_a_reader(run: Run, home: Path) -> None:
    assert "browse" not in run().stdout
    folder = home / "indexes/astro"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    assert "astrosearch browse" in run().stdout


def test_the_screen_comes_before_numpy() -> None:
    program = "import sys; import astrosearch.cli.browse.app; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_only_browse_imports_textual(reader: Path) -> None:
    program = (
        "import sys\n"
        "from astrosearch.cli import main\n"
        "main(['query', 'gas'], standalone_mode=False)\n"
        "print('textual' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"

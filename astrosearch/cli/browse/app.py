"""The full-screen reader: papers on the left, an abstract on the right, answers as you type.

Questions are answered beside the interface, one after the other. While one is answered, only the
last of those that were asked meanwhile waits, so an older answer never takes the place of a newer
one.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, ComposeResult, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import ContentSwitcher, Footer, Input, Label, OptionList, Static, Tab, Tabs
from textual.widgets.option_list import Option

from astrosearch.cli import actions, clipboard, history
from astrosearch.cli.actions import Question
from astrosearch.cli.browse.keys import KEYS
from astrosearch.cli.browse.widgets import (
    Chip,
    Chips,
    Lines,
    PaperList,
    PaperView,
    QuestionField,
    QuoteList,
    TabBar,
    papers_counted,
    without,
    words_of,
)
from astrosearch.cli.errors import ending
from astrosearch.corpus.filters import Filters
from astrosearch.errors import NothingFound
from astrosearch.report import SILENT, Reporter
from astrosearch.search.hits import Hit

if TYPE_CHECKING:
    from astrosearch.library.marks import Marks, Opinion
    from astrosearch.library.searches import SavedSearch
    from astrosearch.papers import Paper
    from astrosearch.search.hits import Answer
    from astrosearch.search.searcher import Mode, Searcher
    from astrosearch.text.bibtex import KeyStyle

TABS = {
    "answer": "Answer",
    "quotes": "Quotes",
    "similar": "Similar",
    "cite": "To cite",
    "new": "New",
    "library": "Library",
    "marks": "Marked",
    "searches": "Saved",
    "history": "History",
}
LINES = ("searches", "history")
"""The tabs that list no papers."""

EVERYTHING = Filters(since=date(1, 1, 1))
"""Filters that all papers pass: without words they list the newest."""

MODES: "tuple[Mode, ...]" = ("hybrid", "dense", "lexical")
MODE_NAMES = {"hybrid": "meaning and words", "dense": "meaning alone", "lexical": "words alone"}
SORT_NAMES = {"date": "newest first", "citations": "most cited first"}

THEMES = {
    "dark": Theme(
        "astro-dark",
        primary="#7aa2f7",
        secondary="#89b4c4",
        accent="#e0af68",
        warning="#e0af68",
        error="#f7768e",
        success="#9ece6a",
        foreground="#d5d9e6",
        background="#14161f",
        surface="#1b1e2a",
        panel="#232736",
        variables={"divider": "#4c5268"},
    ),
    "light": Theme(
        "astro-light",
        primary="#2f5fb3",
        secondary="#3f7286",
        accent="#9a5b00",
        warning="#9a5b00",
        error="#b3263f",
        success="#3f7a1f",
        foreground="#22252e",
        background="#fafafa",
        surface="#ffffff",
        panel="#e8eaf0",
        variables={"divider": "#b4b9c6"},
        dark=False,
    ),
}


class Browser(App[int]):
    """The reader; it ends with the exit code of the command."""

    CSS_PATH = "browser.tcss"
    TITLE = "astrosearch"
    AUTO_FOCUS = None
    ESCAPE_TO_MINIMIZE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-normal")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            key.keys,
            key.action,
            key.name,
            show=key.is_in_footer,
            key_display=key.shown,
            priority=key.keys == "ctrl+c",
        )
        for key in KEYS
        if key.keys != "ctrl+p"  # textual's own
    ]

    def __init__(
        self,
        index: str,
        text: str = "",
        *,
        k: int = 50,
        mode: "Mode" = "hybrid",
        sort: str = "match",
        light: bool = False,
        within: str | None = None,
        beyond: str | None = None,
        key: "KeyStyle | None" = None,
        reporter: Reporter = SILENT,
        **filters: Any,
    ) -> None:
        """
        Args:
            index: the name of an index that exists.
            text: the first question.
            within, beyond: which papers of the library, as `Question` has them.
            light: whether the terminal is.
            key: how BibTeX entries are called.
            filters: the fields of `Filters`.
        """
        has_few_colours = _has_few_colours()  # before textual takes NO_COLOR from the environment
        super().__init__(ansi_color=has_few_colours or None)
        for theme in THEMES.values():
            self.register_theme(theme)
        shade = "light" if light else "dark"
        self.theme = f"ansi-{shade}" if has_few_colours else f"astro-{shade}"
        self.failure: Exception | None = None
        """What ended it, if it was an error."""
        self.marked: dict[str, Hit] = {}
        """By identifier, in the order in which they were marked."""
        self.has_unsaved_marks = False
        self.own: dict[str, Marks] = {}
        """What the user thinks of the papers of the library, by identifier."""
        self._reading_library = asyncio.Lock()
        self._reasons: dict[str, tuple[str, ...]] = {}
        """Why new papers may matter, by identifier."""
        self._searches: list[SavedSearch] = []
        self._saved: tuple[Question | None, tuple[str, ...]] = None, ()
        """The question of a saved search, and what of that search has no effect here."""
        self._are_new_shown = False
        self._statuses: dict[str, tuple[str, bool]] = {}
        """What is said of the list in a tab, and whether it is a warning."""
        self._seconds: dict[str, float] = {}
        """How long the answer in a tab took."""
        self._index = index
        self._key = key
        self._reporter = reporter
        self._searcher: Searcher | None = None
        self._question = Question(text, k, Filters(**filters), mode, sort, within, beyond)
        self._asked: Question | None = None
        """The question whose answer is shown, or being sought."""
        self._waiting: Question | None = None
        self._is_answering = False
        self._explains = False
        self._questions: list[str] = []

    def get_css_variables(self) -> dict[str, str]:
        """With the line between list and abstract, if a theme has none: the one that textual draws
        with few colours is black on black."""
        variables = super().get_css_variables()
        few = self.theme.startswith("ansi-")
        return {"divider": "ansi_default" if few else variables["border-blurred"]} | variables

    @property
    def _main(self) -> Screen[Any]:
        """The screen of the papers, also where a dialog is over it."""
        return self.screen_stack[0]

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Label("/", id="slash")
            yield QuestionField(
                self._question.text,
                placeholder="Ask in your own words, or author:riess",
                id="question",
                compact=True,
                select_on_focus=False,
            )
            yield Label("", id="index", markup=False)
        yield Chips(id="chips")
        yield TabBar(*(Tab(_label(tab), id=f"tab-{tab}") for tab in TABS), id="tabs")
        with Horizontal(id="body"):
            with ContentSwitcher(initial="answer", id="lists"):
                for tab in TABS:
                    if tab in LINES:
                        yield Lines(id=tab, markup=False)
                    else:
                        kind = QuoteList if tab == "quotes" else PaperList
                        yield kind(id=tab, marked=self.marked, own=self.own)
            yield PaperView(id="paper")
        with Horizontal(id="bottom"):
            yield Label("", id="status", markup=False)
            yield Label("", id="counts", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    async def on_mount(self) -> None:
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            asyncio.get_running_loop().add_signal_handler(number, self.action_leave, 128 + number)
        if not self.is_headless:
            Thread(target=_watch_terminal, daemon=True).start()
        self._questions = [line for line in history.earlier() if not line.startswith("/")]
        self._show_history()
        await self._main.query_one(Chips).show(self._question)
        field = self._main.query_one(QuestionField)
        field.cursor_position = len(field.value)
        self.show_status(f"Opening index {self._index} …")
        if self._question.text:
            self._list().focus()
        else:
            field.focus()
        self._open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key has a meaning now: `/` has none in the question."""
        is_typing = bool(self.screen_stack) and isinstance(self._main.focused, QuestionField)
        return not (action == "ask" and is_typing)

    # --- asking ---

    @work
    async def _open(self) -> None:
        """Open the index and load what the first answer needs, beside the interface."""
        if await self._beside(self._opened):
            self._main.query_one("#index", Label).update(
                f"{self._index} · {len(self._opened_searcher()):,} papers"
            )
            self.show_status("")
            self._ask()
            await self._show_library()

    def _opened(self) -> bool:
        from astrosearch.search.searcher import open_index

        searcher = open_index(self._index, reporter=self._reporter)
        if self._question.mode != "lexical":
            _ = searcher.encoder
        _ = searcher.index.lexical
        self._searcher = searcher
        return True

    def _opened_searcher(self) -> "Searcher":
        if self._searcher is None:
            raise RuntimeError("the index is not open yet")
        return self._searcher

    async def _beside(self, work: "Callable[[], Any]") -> Any:
        """The result of work in a thread; None after an error that ends the reader."""
        try:
            return await asyncio.to_thread(work)
        except Exception as error:
            if ending(error, self._index) is None:
                raise  # a bug keeps its traceback
            self.failure = error
            self.exit()
            return None

    async def _tried(self, work: "Callable[[], Any]") -> Any:
        """The result of work in a thread; None after an error, which is shown."""
        try:
            return await asyncio.to_thread(work)
        except Exception as error:
            shown = ending(error, self._index)
            if shown is None:
                raise
            self.show_status(shown.line, is_warning=True)
            return None

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "question":
            self._question = replace(self._question, text=event.value)
            self.action_tab("answer")
            self._ask()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "question":
            self._leave_question()

    def _ask(self) -> None:
        if self._searcher is None or self._question == self._asked:
            return
        self._asked = self._waiting = self._question
        if not self._is_answering:
            self._answer_waiting()

    @work
    async def _answer_waiting(self) -> None:
        self._is_answering = True
        try:
            while (question := self._waiting) is not None:
                self._waiting = None
                began = time.perf_counter()
                answer = await self._tried(partial(self._answer, question))
                if answer is not None:
                    asked, cautions = self._saved
                    if question == asked:
                        answer = replace(answer, notes=(*cautions, *answer.notes))
                    seconds = time.perf_counter() - began
                    text = question.text.strip()
                    self._show_answer(
                        "answer", answer, words_of(text), seconds, has_match=bool(text)
                    )
        finally:
            self._is_answering = False

    def _answer(self, question: Question) -> "Answer":
        if not question.text.strip() and question.filters == Filters():
            question = replace(question, text="", filters=EVERYTHING)
        return actions.answer(self._opened_searcher(), question)

    def _show_answer(
        self,
        tab: str,
        answer: "Answer",
        words: frozenset[str],
        seconds: float,
        *,
        has_match: bool = True,
    ) -> None:
        papers = self._main.query_one(f"#{tab}", PaperList)
        papers.show(answer.hits, words, has_match=has_match)
        self.show_status("; ".join(answer.notes), is_warning=bool(answer.notes), tab=tab)
        self._seconds[tab] = seconds
        self._show_counts()
        self._show_paper()

    # --- what is shown ---

    def show_status(self, text: str, *, is_warning: bool = False, tab: str | None = None) -> None:
        """A line below the papers, which the next one replaces.

        Args:
            tab: whose list it is about, so that it comes and goes with the tab; by default it goes
                with the one that is shown.
        """
        if tab is not None:
            self._statuses[tab] = text, is_warning
            if tab != self._main.query_one(ContentSwitcher).current:
                return
        status = self._main.query_one("#status", Label)
        status.set_class(is_warning, "-warning")
        _update(status, text)

    def say(self, text: str) -> None:
        """A note over the papers, which goes by itself."""
        self.notify(text, markup=False)

    def _show_counts(self) -> None:
        papers = self._papers()
        parts = [papers.count] if papers and papers.hits else []
        seconds = self._seconds.get(str(self._main.query_one(ContentSwitcher).current))
        if seconds is not None:
            parts.append(f"{1000 * seconds:3.0f} ms")
        if self._question.mode != "hybrid":
            parts.append(MODE_NAMES[self._question.mode])
        if self._question.sort != "match":
            parts.append(SORT_NAMES[self._question.sort])
        if self.marked:
            parts.append(f"{len(self.marked)} marked")
        _update(self._main.query_one("#counts", Label), " · ".join(parts))

    def _show_paper(self) -> None:
        papers, view = self._papers(), self._main.query_one(PaperView)
        if papers is None:
            view.show_text(Content.styled(_LINES[str(self._list().id)], "dim"))
        elif papers.current is None:
            view.show_text(Content.styled(_EMPTY[str(papers.id)], "dim"))
        else:
            paper_id = papers.current.paper.id
            view.show(
                papers.current,
                papers.words,
                self.own.get(paper_id),
                self._reasons.get(paper_id, ()) if papers.id == "new" else (),
                papers.quote if isinstance(papers, QuoteList) else "",
                explains=self._explains,
            )

    def _show_history(self) -> None:
        questions = list(dict.fromkeys(reversed(self._questions)))
        shown = self._main.query_one("#history", OptionList)
        shown.set_options(Option(text) for text in questions)
        shown.highlighted = 0 if questions else None

    def _show_searches(self) -> None:
        from astrosearch.errors import AstrosearchError
        from astrosearch.library.searches import read_searches

        try:
            searches, _ = read_searches()
        except AstrosearchError as error:
            self.show_status(str(error), is_warning=True)
            return
        self._searches = list(searches.values())
        shown = self._main.query_one("#searches", OptionList)
        place = shown.highlighted or 0
        shown.set_options(
            Option(Content.assemble((search.name, "bold"), "\n", (_said(search), "dim")))
            for search in self._searches
        )
        shown.highlighted = min(place, len(searches) - 1) if searches else None

    async def _show_library(self) -> None:
        """The library as its files are now, in its tab and at papers everywhere."""
        async with self._reading_library:  # what was read first is shown first
            found = await self._tried(partial(actions.library_papers, self._opened_searcher()))
            if found is None:
                return
            known = dict(self.own)
            self.own.clear()
            self.own.update({paper_id: marks for paper_id, (_, marks) in found.items()})
            changed = {
                paper_id
                for paper_id in known.keys() | self.own.keys()
                if known.get(paper_id) != self.own.get(paper_id)
            }
            self._main.query_one("#library", PaperList).keep_place(
                [hit for hit, _ in found.values()], has_match=False
            )
            for papers in self._main.query(PaperList):
                papers.redraw(changed)
            self._show_counts()
            self._show_paper()

    @work(exclusive=True, group="new")
    async def _show_new(self) -> None:
        """The newest papers, when their tab is shown first."""
        self._are_new_shown = True
        self.show_status("Looking for new papers …")
        searcher, k = self._opened_searcher(), self._question.k
        found = await self._tried(partial(actions.new_papers, searcher, Filters(), k, again=True))
        if found is None:
            self._are_new_shown = False
            return
        digest, problems = found
        self._reasons = {one.paper.id: one.reasons for one in digest.suggestions}
        hits = [
            Hit(one.rank, (one.match or 0) / 100, one.paper, one.match or 0)
            for one in digest.suggestions
        ]
        self._main.query_one("#new", PaperList).show(hits, has_match=bool(digest.library))
        self._show_counts()
        order = "what fits your library first" if digest.library else "the newest first"
        self.show_status(
            "; ".join([f"{digest.new:,} papers since {digest.since}, {order}", *problems[:1]]),
            tab="new",
        )
        self._show_paper()

    def _list(self) -> OptionList:
        """The list of the tab that is shown."""
        return self._main.query_one(f"#{self._main.query_one(ContentSwitcher).current}", OptionList)

    def _papers(self) -> PaperList | None:
        """The same, if it is a list of papers."""
        shown = self._list()
        return shown if isinstance(shown, PaperList) else None

    def _current(self) -> "Hit | None":
        papers = self._papers()
        return papers.current if papers else None

    def _chosen(self) -> "list[Paper]":
        """The marked papers; if there are none, the current one."""
        if self.marked:
            return [hit.paper for hit in self.marked.values()]
        hit = self._current()
        if hit is None:
            self.show_status("There is no paper here", is_warning=True)
        return [hit.paper] if hit else []

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_list is self._list():
            self._show_paper()

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list is not self._list():
            return  # of a dialog
        if event.option_list.id == "history":
            self._main.query_one(QuestionField).value = str(event.option.prompt)
            self.action_tab("answer")
        elif event.option_list.id == "searches":
            await self._ask_saved(self._searches[event.option_index])
        else:
            self.action_read()

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        tab = str(event.tab.id).removeprefix("tab-")
        switcher = self._main.query_one(ContentSwitcher)
        if switcher.current == tab:
            return
        in_list = self._main.focused is not None and self._main.focused is not self._main.query_one(
            QuestionField
        )
        switcher.current = tab
        text, is_warning = self._statuses.get(tab, ("", False))
        self.show_status(text, is_warning=is_warning)
        if in_list:
            self._list().focus()
        if tab == "searches":
            self._show_searches()
        elif tab == "new" and not self._are_new_shown and self._searcher is not None:
            self._show_new()
        self._show_counts()
        self._show_paper()

    async def on_chip_removed(self, event: Chip.Removed) -> None:
        await self._narrow(without(self._question, event.names))
        self._list().focus()

    async def _ask_saved(self, search: "SavedSearch") -> None:
        question = actions.question_of(search, self._question.k)
        cautions = [search.ordering] if search.ordering else []
        index = search.options.get("index", self._index)
        if index != self._index:
            cautions.append(f"{search.name} was saved for index {index}; this is {self._index}")
        self._saved, self._asked = (question, tuple(cautions)), None
        self._main.query_one(QuestionField).value = question.text
        await self._narrow(question)

    async def _set_question(self, question: Question | None) -> None:
        """Take the filters of a dialog. What was typed stays."""
        if question is not None:
            await self._narrow(question)

    async def _set_filters(self, filters: Filters | None) -> None:
        if filters is not None:
            await self._narrow(replace(self._question, filters=filters))

    async def _narrow(self, question: Question) -> None:
        """Ask the same of other papers."""
        self._question = question
        await self._main.query_one(Chips).show(question)
        self.action_tab("answer")
        self._ask()

    # --- keys ---

    def action_ask(self) -> None:
        self._main.query_one(QuestionField).focus()

    def action_to_list(self) -> None:
        """From the question or the abstract to the list."""
        if self._main.maximized is not None:
            self._main.minimize()
        if self._main.focused is self._main.query_one(QuestionField):
            self._leave_question()
        else:
            self._list().focus()

    def _leave_question(self) -> None:
        self._list().focus()
        self._remember_question()

    def _remember_question(self) -> None:
        text = self._question.text.strip()
        if not text or self._questions[-1:] == [text]:
            return
        self._questions.append(text)
        self._show_history()
        try:
            history.remember(text)
        except OSError as error:
            self.show_status(f"this question could not be kept: {error}", is_warning=True)

    @work(exclusive=True, group="think")
    async def action_quote(self) -> None:
        question = self._question
        if not question.text.strip():
            self.show_status("Type a question first: / goes to it", is_warning=True)
            return
        if self._searcher is None:
            return
        self._remember_question()
        self.show_status("Reading abstracts …")
        began = time.perf_counter()
        answer = await self._tried(partial(actions.ask, self._searcher, question))
        if answer is None:
            return
        from astrosearch.search.quotes import NATURE

        self._seconds["quotes"] = time.perf_counter() - began
        quotes = self._main.query_one(QuoteList)
        quotes.show_quotes(answer, words_of(question.text))
        self.action_tab("quotes")
        self._list().focus()
        self._show_counts()
        self._show_paper()
        self.show_status(
            "; ".join(answer.notes) or NATURE, is_warning=bool(answer.notes), tab="quotes"
        )

    async def action_filter(self) -> None:
        from astrosearch.cli.browse.dialogs import FilterDialog

        self.push_screen(FilterDialog(self._question), self._set_question)

    async def action_clear_filters(self) -> None:
        await self._narrow(replace(self._question, filters=Filters(), within=None, beyond=None))

    def action_sort(self) -> None:
        counts = self._searcher is not None and self._searcher.has_citations
        following = {"match": "date", "date": "citations" if counts else "match"}
        sort = following.get(self._question.sort, "match")
        self._question = replace(self._question, sort=sort)
        self._ask()

    def action_mode(self) -> None:
        mode = MODES[(MODES.index(self._question.mode) + 1) % len(MODES)]
        self._question = replace(self._question, mode=mode)
        self._ask()

    def action_move(self, how: str) -> None:
        getattr(self._list(), f"action_{how}")()

    def action_scroll(self, direction: int) -> None:
        view = self._main.query_one(PaperView)
        view.scroll_relative(y=direction * max(view.size.height // 2, 1), animate=False)

    def action_read(self) -> None:
        view = self._main.query_one(PaperView)
        if self._current() is not None:
            self._main.maximize(view, container=False)
            view.focus()

    def action_tab(self, tab: str) -> None:
        self._main.query_one("#tabs", Tabs).active = f"tab-{tab}"

    def action_turn(self, step: int) -> None:
        tabs = list(TABS)
        place = tabs.index(str(self._main.query_one(ContentSwitcher).current))
        self.action_tab(tabs[(place + step) % len(tabs)])

    def action_mark(self) -> None:
        hit = self._current()
        if hit is None:
            return
        paper_id = hit.paper.id
        if self.marked.pop(paper_id, None) is None:
            self.marked[paper_id] = hit
        self._show_marks([paper_id])
        if (shown := self._papers()) and shown.id != "marks":
            shown.action_cursor_down()

    def action_unmark(self) -> None:
        ids = list(self.marked)
        self.marked.clear()
        self._show_marks(ids)

    def _show_marks(self, changed: list[str]) -> None:
        self.has_unsaved_marks = bool(self.marked)
        for papers in self._main.query(PaperList):
            papers.redraw(changed)
        self._main.query_one("#marks", PaperList).keep_place(list(self.marked.values()))
        self._show_counts()
        self._show_paper()

    def action_similar(self) -> None:
        self._ask_of_papers("similar", actions.similar, "Similar to {}")

    def action_cite(self) -> None:
        self._ask_of_papers("cite", actions.cite, "What {} should cite")

    @work(exclusive=True, group="papers")
    async def _ask_of_papers(
        self, tab: str, ask: "Callable[[Searcher, list[str], Question], Answer]", told: str
    ) -> None:
        """Ask what papers have to do with others, and show it in a tab."""
        papers = self._chosen()
        if not papers or self._searcher is None:
            return
        ids = [paper.id for paper in papers]
        began = time.perf_counter()
        answer = await self._tried(partial(ask, self._searcher, ids, self._question))
        if answer is not None:
            self.action_tab(tab)
            self._show_answer(tab, answer, frozenset(), time.perf_counter() - began)
            named = ids[0] if len(ids) == 1 else f"{len(ids)} marked papers"
            self.show_status(told.format(named), tab=tab)

    @work(group="think")
    async def action_opinion(self, opinion: "Opinion") -> None:
        hit = self._current()
        if hit is None or self._searcher is None:
            return
        change = partial(actions.with_opinion, opinion=opinion)
        if await self._tried(partial(self._thought, [hit.paper], change)):
            await self._show_library()
            marks = self.own.get(hit.paper.id)
            said = marks.opinion if marks and marks.opinion else "neither liked nor disliked"
            self.show_status(f"{hit.paper.id} is {said}, and in your library")

    def _thought(self, papers: "list[Paper]", change: "Callable[[Marks], Marks]") -> bool:
        actions.think(self._opened_searcher(), papers, change)
        return True

    def action_tag(self) -> None:
        from astrosearch.cli.browse.dialogs import LineDialog

        papers = self._chosen()
        if not papers or self._searcher is None:
            return

        def use(text: str) -> None:
            self._thought(papers, partial(actions.with_tags, typed=text))

        hint = "commas between tags, -NAME takes one away"
        title = f"Tag {papers_counted(len(papers))}"
        self.push_screen(LineDialog(title, hint, use, example="jets, to read"), self._show_thought)

    def action_note(self) -> None:
        from astrosearch.cli.browse.dialogs import LineDialog

        hit = self._current()
        if hit is None or self._searcher is None:
            return
        paper = hit.paper
        marks = self.own.get(paper.id)

        def use(text: str) -> None:
            self._thought([paper], lambda marks: replace(marks, note=text))

        title = f"Note on {paper.id}"
        earlier = marks.note if marks else ""
        self.push_screen(LineDialog(title, "Empty: no note", use, earlier), self._show_thought)

    async def _show_thought(self, text: str | None) -> None:
        if text is not None:
            await self._show_library()
            self.show_status("Kept in your library")

    def action_save(self) -> None:
        from astrosearch.cli.browse.dialogs import LineDialog

        question = self._question

        def use(name: str) -> None:
            actions.save_question(name, question)

        def tell(name: str | None) -> None:
            if name is not None:
                self._show_searches()
                self.show_status(f"Saved as {name}: 8 lists saved searches")

        hint = "A name for the question and its filters"
        self.push_screen(LineDialog("Save the question", hint, use, example="jets"), tell)

    def action_export(self) -> None:
        from astrosearch.cli.browse.dialogs import ExportDialog

        papers = self._chosen()

        def tell(file: str | None) -> None:
            if file is not None:
                self.has_unsaved_marks = False
                self.show_status(f"{papers_counted(len(papers))} written to {file}")

        if papers:
            self.push_screen(ExportDialog(papers, self._key), tell)

    def action_copy(self) -> None:
        from astrosearch.cli.browse.dialogs import COPIES, CopyDialog

        papers = self._chosen()

        def copy(key: str | None) -> None:
            if key is not None:
                part, name = COPIES[key]
                try:
                    text = actions.part(papers, part, self._key)
                except NothingFound as error:
                    self.show_status(str(error), is_warning=True)
                    return
                self.copy_to_clipboard(text)
                clipboard.to_platform(text)
                self.show_status(f"{name} of {papers_counted(len(papers))} copied")

        if papers:
            self.push_screen(CopyDialog(len(papers)), copy)

    def action_open(self) -> None:
        if hit := self._current():
            self._open_page(partial(actions.address, hit.paper))

    def action_open_pdf(self) -> None:
        if hit := self._current():
            self._open_page(partial(actions.pdf_address, hit.paper))

    @work(group="page")
    async def _open_page(self, address_of: Callable[[], str]) -> None:
        try:
            address = address_of()
        except NothingFound as error:
            self.show_status(str(error), is_warning=True)
            return
        if actions.browser_takes_terminal():
            # Not in a thread: the terminal is the browser's until it ends.
            try:
                with self.suspend():
                    actions.open_in_browser(address)
            except SuspendNotSupported:
                self.show_status(f"The page is {address}")
        elif await self._tried(partial(actions.open_in_browser, address)):
            self.show_status(f"{address} is opened in your web browser")

    def action_why(self) -> None:
        self._explains = not self._explains
        self._show_paper()

    @work(exclusive=True, group="compare")
    async def action_compare(self) -> None:
        from astrosearch.cli.browse.dialogs import CompareDialog

        papers = [hit.paper for hit in self.marked.values()]
        hit = self._current()
        if len(papers) == 1 and hit and hit.paper.id != papers[0].id:
            papers.append(hit.paper)
        if len(papers) != 2:
            self.show_status(
                f"{len(papers)} papers are marked: mark two to compare them", is_warning=True
            )
            return
        self.show_status("Comparing …")
        pair = await self._tried(partial(actions.compare, self._opened_searcher(), *papers))
        if pair is not None:
            self.show_status("")
            self.push_screen(CompareDialog(pair))

    def action_histogram(self) -> None:
        from astrosearch.cli.browse.dialogs import HistogramDialog

        papers = self._papers()
        if papers and papers.hits:
            self.push_screen(
                HistogramDialog(papers.papers, self._question.filters),
                self._set_filters,
            )

    @work(exclusive=True, group="map")
    async def action_map(self) -> None:
        if self._searcher is None:
            return
        from astrosearch.cli.browse.map_view import MapDialog

        self.show_status("Opening the map …")
        drawn = await self._tried(partial(actions.paper_map, self._searcher))
        if drawn is None:
            return
        self.show_status("")
        papers, hit, searcher = self._papers(), self._current(), self._searcher

        def look_up(paper_id: str) -> "Paper | None":
            return searcher.papers({paper_id}).get(paper_id)

        self.push_screen(
            MapDialog(
                drawn,
                [paper.id for paper in papers.papers] if papers else [],
                hit.paper.id if hit else None,
                look_up,
            ),
            self._go_to,
        )

    def _go_to(self, paper_id: str | None) -> None:
        """To a paper in the list that is shown, if it is there; otherwise it is asked for."""
        papers = self._papers()
        if paper_id is None:
            return
        ids = [hit.paper.id for hit in papers.hits] if papers else []
        if papers and paper_id in ids:
            papers.highlighted = ids.index(paper_id)
        else:
            self._remember_question()
            self._main.query_one(QuestionField).value = paper_id
            self.action_tab("answer")
        self._list().focus()

    def action_help(self) -> None:
        from astrosearch.cli.browse.dialogs import HelpDialog

        self.push_screen(HelpDialog())

    def action_leave(self, code: int) -> None:
        self.exit(code)

    async def confirm(self, cost: str) -> bool:
        """Ask whether something may be sent. Called from a search's thread."""
        from astrosearch.cli.browse.dialogs import ConfirmDialog

        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.push_screen(ConfirmDialog(cost), lambda agrees: answer.set_result(bool(agrees)))
        return await answer

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for key in KEYS:
            if key.action != "command_palette":
                yield SystemCommand(
                    f"{key.name} ({key.shown})", key.help, partial(self.run_action, key.action)
                )
        yield SystemCommand("theme", "Other colours", self.action_change_theme)

    def close(self) -> None:
        """Close the index, once no search goes on any more."""
        if self._searcher is not None:
            self._searcher.close()


_EMPTY = {
    "answer": "No papers yet: type a question. ? shows all keys.",
    "quotes": "Sentences of abstracts that answer your question: type one, press Enter, then a.",
    "similar": "Papers similar to the marked ones, or to the one you are at: press s in a list.",
    "cite": "What the marked papers, or the one you are at, should cite: press c in a list.",
    "new": "No new papers.",
    "library": "Your library is empty: l likes a paper, t tags it, n notes it, and keeps it here.",
    "marks": "Papers that you mark with the space bar: press e to export them, = to compare two.",
}


def _update(shown: Static, text: str) -> None:
    """Show a text. Only one of another length lays out the screen anew."""
    before = str(shown.content)
    if len(before) != len(text):
        shown.update(Content(text))
    elif before != text:
        shown.update(Content(text), layout=False)


def _label(tab: str) -> str:
    """The name of a tab, with its key."""
    return f"{list(TABS).index(tab) + 1} {TABS[tab]}"


_LINES = {
    "searches": "Enter asks a saved search. S saves the question that you have asked.",
    "history": "Enter asks the question again.",
}


def _said(search: "SavedSearch") -> str:
    """What a saved search asks, in a line."""
    options = (f"{name}={value}" for name, value in search.options.items())
    return " · ".join(filter(None, (search.query, *options)))


def _watch_terminal() -> None:
    """End the process when the terminal has gone: textual would wait for it for ever."""
    import termios

    while True:
        time.sleep(1)
        try:
            termios.tcgetattr(0)
        except termios.error:
            os._exit(128 + signal.SIGHUP)


def _has_few_colours() -> bool:
    """Whether the terminal has its own 16 colours and no more."""
    return "NO_COLOR" in os.environ or os.environ.get("TERM") in ("linux", "ansi", "vt100", "vt220")

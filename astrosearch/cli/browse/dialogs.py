"""What opens over the papers: filters, copying, export, comparison, histograms, help, a
question."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

import click
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from astrosearch.cli import actions
from astrosearch.cli.browse.keys import KEYS
from astrosearch.cli.browse.widgets import Lines, papers_counted
from astrosearch.cli.options import Day
from astrosearch.cli.views.comparison import pair_view
from astrosearch.cli.views.hits import readable
from astrosearch.corpus.filters import Filters
from astrosearch.errors import AstrosearchError

if TYPE_CHECKING:
    from astrosearch.comparison.compare import PairComparison
    from astrosearch.papers import Paper
    from astrosearch.text.bibtex import KeyStyle

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A box over the papers, which Escape closes."""

    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close")]

    def action_close(self) -> None:
        self.dismiss(None)


class FilterDialog(Dialog[actions.Question]):
    """Asks for filters; gives the same question with them."""

    def __init__(self, question: actions.Question) -> None:
        super().__init__()
        self._question = question
        self._filters = question.filters

    def compose(self) -> ComposeResult:
        values = {
            "since": self._filters.since and self._filters.since.isoformat(),
            "until": self._filters.until and self._filters.until.isoformat(),
            "category": self._filters.category,
            "author": self._filters.author,
            "within": self._question.within,
        }
        examples = {
            "since": "2015, 2015-06 or 2015-06-30",
            "until": "2020",
            "category": "astro-ph.GA",
            "author": "Hofmann, or ^Hofmann as the first",
            "within": "library, tag:jets, liked, unread",
        }
        with Vertical(id="box") as box:
            box.border_title = "Only papers"
            for name, label in (
                ("since", "from"),
                ("until", "to"),
                ("category", "in"),
                ("author", "by"),
                ("within", "of your"),
            ):
                with Horizontal(classes="row"):
                    yield Label(label)
                    yield Input(
                        values[name] or "", placeholder=f"such as {examples[name]}", id=name
                    )
            yield Label("", classes="problem", markup=False)
            yield Label("Tab: next field · Enter: apply · Esc: leave as it was", classes="hint")

    def on_input_submitted(self) -> None:
        try:
            filters = Filters(
                since=self._day("since", last=False),
                until=self._day("until", last=True),
                category=self._text("category"),
                author=self._text("author"),
            )
            within = self._text("within")
            if within:
                actions.check_scope(within)
        except click.UsageError as error:
            self.query_one(".problem", Label).update(error.message)
        except AstrosearchError as error:
            self.query_one(".problem", Label).update(str(error))
        else:
            self.dismiss(replace(self._question, filters=filters, within=within))

    def _text(self, name: str) -> str | None:
        return self.query_one(f"#{name}", Input).value.strip() or None

    def _day(self, name: str, *, last: bool) -> date | None:
        text = self._text(name)
        return None if text is None else Day(last=last).convert(text, None, None)


COPIES: dict[str, tuple[actions.Part, str]] = {
    "b": ("bibtex", "BibTeX"),
    "i": ("id", "id"),
    "t": ("title", "title"),
    "u": ("address", "address"),
}
"""What can be copied, by its key."""


class CopyDialog(Dialog[str]):
    """Asks what to copy; gives its key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"choose('{key}')", name) for key, (_, name) in COPIES.items()
    ]

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def compose(self) -> ComposeResult:
        keys = "   ".join(f"{key} {name}" for key, (_, name) in COPIES.items())
        with Vertical(id="box") as box:
            box.border_title = f"Copy of {papers_counted(self._count)}"
            yield Label(f"{keys}   Esc nothing", markup=False)

    def action_choose(self, key: str) -> None:
        self.dismiss(key)


class ExportDialog(Dialog[str]):
    """Writes papers to a file; gives its name."""

    def __init__(self, papers: "Sequence[Paper]", key: "KeyStyle | None") -> None:
        super().__init__()
        self._papers = papers
        self._key = key
        self._agreed: Path | None = None
        """A file that exists and may be replaced."""

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = f"Export {papers_counted(len(self._papers))}"
            yield Input("papers.bib", id="file", select_on_focus=False)
            yield Label("", classes="problem", markup=False)
            endings = ", ".join(f"{ending} ({name})" for ending, name in actions.FORMAT_OF.items())
            yield Label(f"The ending says the format: {endings}", classes="hint", markup=False)
            yield Label("Enter: write · Esc: do not", classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        file = Path(event.value.strip()).expanduser()
        if file.exists() and file != self._agreed:
            self._agreed = file
            self._say(f"{file} exists: Enter again replaces it")
            return
        try:
            notes = actions.export(self._papers, file, self._key)
        except AstrosearchError as error:
            self._say(str(error))
            return
        for note in notes:
            self.app.notify(note, markup=False)
        self.dismiss(str(file))

    def _say(self, text: str) -> None:
        self.query_one(".problem", Label).update(text)


class LineDialog(Dialog[str]):
    """Asks for a line, which is used before it closes, so that what is wrong is told here."""

    def __init__(
        self, title: str, hint: str, use: Callable[[str], object], text: str = "", example: str = ""
    ) -> None:
        """
        Args:
            use: takes the line, in a thread: another process may hold the library.
        """
        super().__init__()
        self._title, self._hint, self._use = title, hint, use
        self._value, self._example = text, example

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = self._title
            yield Input(self._value, placeholder=self._example, id="line", select_on_focus=False)
            yield Label("", classes="problem", markup=False)
            yield Label(f"{self._hint} · Enter: save · Esc: do not", classes="hint", markup=False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            await asyncio.to_thread(self._use, event.value.strip())
        except AstrosearchError as error:
            self.query_one(".problem", Label).update(str(error))
        else:
            self.dismiss(event.value.strip())


class ConfirmDialog(Dialog[bool]):
    """Asks whether something may be sent, and money spent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
    ]

    def __init__(self, cost: str) -> None:
        super().__init__()
        self._cost = cost

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(f"This sends {self._cost}. Go on?", markup=False)
            yield Label("y: yes · n: no", classes="hint")

    def action_answer(self, agrees: bool) -> None:
        self.dismiss(agrees)


class HelpDialog(Dialog[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,question_mark", "close", "close")]

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes · arrows scroll"
            with VerticalScroll():
                yield Static(_keys(), markup=False)


_LANGUAGE = (
    ("gas stripped from a dwarf", "any words: by meaning and by the words themselves"),
    ('"tidal tails"', "these words side by side"),
    ("title:torus", "this word in the title"),
    ("author:hofmann", "papers of an author"),
    ("year:2015-2020", "papers of these years"),
    ("-gas", "no papers with this word"),
    ("2309.06126", "a paper, then those like it"),
)


def _keys() -> Content:
    lines = []
    for group in dict.fromkeys(key.group for key in KEYS):
        lines.append(Content.styled(group, "bold"))
        lines += [
            Content.assemble((f"  {key.shown:<9}", "$text-warning"), key.help)
            for key in KEYS
            if key.group == group
        ]
        lines.append(Content(""))
    lines.append(Content.styled("What a question can say", "bold"))
    lines += [
        Content.assemble((f"  {typed:<27}", "$text-warning"), meaning)
        for typed, meaning in _LANGUAGE
    ]
    return Content("\n").join(lines)


class CompareDialog(Dialog[None]):
    """Two papers side by side, and how near they are."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,enter", "close", "close")]

    def __init__(self, pair: "PairComparison") -> None:
        super().__init__(classes="-large")
        self._pair = pair

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = "Two papers compared"
            box.border_subtitle = "Esc closes · Tab and arrows scroll"
            with VerticalScroll():
                yield Static(id="figures")
            with Horizontal(id="columns"):
                for label, paper in zip("AB", self._pair.papers or (), strict=False):
                    with VerticalScroll():
                        yield Static(
                            Content.assemble(
                                (f"{label}  {readable(paper.title)}", "bold"),
                                (f"\n{paper.id} · {paper.published.year}\n\n", "dim"),
                                readable(paper.abstract),
                            )
                        )

    def on_resize(self) -> None:
        width = max(self.app.size.width - 6, 20)
        self.query_one("#figures", Static).update(pair_view(self._pair, width))


class HistogramDialog(Dialog[Filters]):
    """Years and categories of some papers; the chosen one becomes a filter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,h", "close", "close")]

    def __init__(self, papers: "Sequence[Paper]", filters: Filters) -> None:
        super().__init__(classes="-large")
        self._papers = papers
        self._filters = filters

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = f"Years and categories of {papers_counted(len(self._papers))}"
            box.border_subtitle = "Enter: only these · Tab: other side · Esc closes"
            with Horizontal(id="columns"):
                yield Lines(id="years", markup=False)
                yield Lines(id="categories", markup=False)

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        room = max(self.app.size.width // 2 - 8, 10)
        years = binned([paper.published.year for paper in self._papers], self.app.size.height - 4)
        categories = Counter(paper.categories[0] for paper in self._papers if paper.categories)
        for name, counts in (
            ("years", years),
            ("categories", dict(categories.most_common())),
        ):
            chart = self.query_one(f"#{name}", OptionList)
            place = chart.highlighted
            chart.set_options(
                Option(line, id=label)
                for label, line in zip(counts, bars(counts, room), strict=True)
            )
            chart.highlighted = place or 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        chosen = str(event.option.id)
        filters = self._filters
        if event.option_list.id == "years":
            first, _, last = chosen.partition("–")
            since = Day().convert(first, None, None)
            until = Day(last=True).convert(last or first, None, None)
            self.dismiss(Filters(since, until, filters.category, filters.author))
        else:
            self.dismiss(Filters(filters.since, filters.until, chosen, filters.author))


def binned(years: Sequence[int], rows: int) -> dict[str, int]:
    """Papers for each year, or for as many years together as it takes to keep to some rows.

    >>> binned([2001, 2001, 2003], 10), binned([2001, 2009], 3)
    ({'2001': 2, '2002': 0, '2003': 1}, {'2000–2004': 1, '2005–2009': 1})
    """
    if not years:
        return {}
    spans = (span for span in (1, 2, 5, 10, 20, 50))
    first, last = min(years), max(years)
    span = next((span for span in spans if last // span - first // span < rows), 50)
    counts = Counter(year // span for year in years)
    return {
        (f"{bin * span}" if span == 1 else f"{bin * span}–{bin * span + span - 1}"): counts[bin]
        for bin in range(first // span, last // span + 1)
    }


def bars(counts: dict[str, int], room: int) -> list[Content]:
    """A line with a bar for each count; the longest one fills the room."""
    widest = max(map(len, counts), default=0)
    most = max(counts.values(), default=1)
    space = max(room - widest - 6, 1)
    return [
        Content.assemble(
            f"{label:>{widest}} ",
            ("█" * (-(-count * space // most)), "$primary"),
            (f" {count}", "dim"),
        )
        for label, count in counts.items()
    ]

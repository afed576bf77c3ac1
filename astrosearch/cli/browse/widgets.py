"""The parts of the screen: a list of papers, a paper to read, filters as chips."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import HorizontalGroup, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.style import Style
from textual.widgets import Input, OptionList, Static, Tabs
from textual.widgets.option_list import Option

from astrosearch.cli import actions
from astrosearch.cli.views.hits import SUMMARY, first_author, paper_facts, readable
from astrosearch.errors import InputError
from astrosearch.search.hits import Hit
from astrosearch.text.analysis import STOP_WORDS, analyze

if TYPE_CHECKING:
    from textual.events import Click

    from astrosearch.library.marks import Marks
    from astrosearch.papers import Paper
    from astrosearch.search.quotes import Quote, QuotedAnswer

_WORD = re.compile(r"[^\W_]+")


class WholeLetters(ScrollBarRender):
    """Scroll bars without the eighths of a block, which the console of Linux lacks."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]


ScrollBar.renderer = WholeLetters


class QuestionField(Input):
    """The field for a question. The arrow keys move in the list meanwhile."""

    # One line of a fixed width: a longer text needs no new layout of the screen at each key.
    virtual_size: Reactive[Size] = Reactive(Size(0, 0), layout=False)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "to the papers", key_display="Enter"),
        Binding("down", "app.move('cursor_down')", "next", key_display="Down"),
        Binding("up", "app.move('cursor_up')", show=False),
        Binding("pagedown", "app.move('page_down')", show=False),
        Binding("pageup", "app.move('page_up')", show=False),
        Binding("escape", "app.to_list", show=False),
        Binding("f1", "app.help", "all keys", key_display="F1"),
    ]


class TabBar(Tabs, can_focus=False):
    """Tabs that leave the Tab key to the question, the list and the abstract."""


class Lines(OptionList):
    """A list whose current line can be reversed, as it has to be where there are no colours."""

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        style = super().get_visual_style(*component_classes, partial=partial)
        parts = map(self.get_component_styles, component_classes)
        if any(part.text_style.reverse for part in parts):  # which textual leaves out
            style += Style(reverse=True)
        return style


class PaperList(Lines):
    """Papers, one of which is the current one."""

    def __init__(self, *, id: str, marked: Collection[str], own: "Mapping[str, Marks]") -> None:
        """
        Args:
            marked: identifiers of the papers that are marked now.
            own: what the user thinks of the papers of the library now.
        """
        super().__init__(id=id, markup=False)
        self._marked, self._own, self._has_match = marked, own, True
        self.hits: list[Hit] = []
        self.words: frozenset[str] = frozenset()
        """The terms of the question that the papers answer."""

    @property
    def current(self) -> Hit | None:
        return None if self.highlighted is None else self.hits[self.highlighted]

    @property
    def papers(self) -> "list[Paper]":
        """Each paper once, though several sentences may be from it."""
        return list({hit.paper.id: hit.paper for hit in self.hits}.values())

    def show(
        self, hits: Sequence[Hit], words: frozenset[str] = frozenset(), *, has_match: bool = True
    ) -> None:
        """Show other papers, and go to the first.

        Args:
            has_match: whether their match says anything.
        """
        self._has_match = has_match
        self.hits, self.words = list(hits), words
        self.set_options(Option(self._entry(place)) for place in range(len(hits)))
        self.scroll_home(animate=False)
        self.highlighted = 0 if hits else None

    def keep_place(self, hits: Sequence[Hit], *, has_match: bool = True) -> None:
        """Show other papers, and stay at the current one, or where it was."""
        place = self.highlighted or 0
        if hit := self.current:
            ids = [other.paper.id for other in hits]
            place = ids.index(hit.paper.id) if hit.paper.id in ids else place
        self.show(hits, self.words, has_match=has_match)
        if hits:
            self.highlighted = min(place, len(hits) - 1)

    def redraw(self, changed: Collection[str]) -> None:
        """Show the marks of some papers as they are now."""
        for place, hit in enumerate(self.hits):
            if hit.paper.id in changed:
                self.replace_option_prompt_at_index(place, self._entry(place))

    @property
    def count(self) -> str:
        """How many papers there are, in words."""
        return papers_counted(len(self.hits))

    def _entry(self, place: int) -> Content:
        """A paper in the list: mark and title, and the facts below."""
        hit = self.hits[place]
        paper = hit.paper
        details = [str(hit.match)] if self._has_match else []
        details += [str(paper.published.year), first_author(paper)]
        details += [category.removeprefix("astro-ph.") for category in paper.categories[:1]]
        details += [f"cited {hit.citations:,}"] if hit.citations else []
        return Content.assemble(
            self._mark(paper.id),
            (readable(paper.title), "bold"),
            "\n",
            (" · ".join(filter(None, details)), "dim"),
            self._thoughts(paper.id),
        )

    def _mark(self, paper_id: str) -> tuple[str, str]:
        return "* " if paper_id in self._marked else "", "bold $text-warning"

    def _thoughts(self, paper_id: str) -> tuple[str, str]:
        """What the user thinks of a paper, on a line of its own; empty for one that is not in the
        library."""
        own = self._own.get(paper_id)
        said = [] if own is None else [own.opinion or "own", *own.tags]
        return "\n" + " · ".join(said) if said else "", "$text-warning"

    def on_resize(self) -> None:
        self.call_after_refresh(self.scroll_to_highlight)


class QuoteList(PaperList):
    """Sentences of abstracts; the current paper is the one that the current sentence is from."""

    def __init__(self, *, id: str, marked: Collection[str], own: "Mapping[str, Marks]") -> None:
        super().__init__(id=id, marked=marked, own=own)
        self._quotes: list[Quote] = []
        self._headings: dict[int, str] = {}
        """Of a group, at the place of its first sentence."""

    @property
    def quote(self) -> str:
        """The current sentence, as it stands in its abstract."""
        return "" if self.highlighted is None else self._quotes[self.highlighted].text

    @property
    def count(self) -> str:
        return "1 sentence" if len(self.hits) == 1 else f"{len(self.hits)} sentences"

    def show_quotes(self, answer: "QuotedAnswer", words: frozenset[str]) -> None:
        self._quotes, self._headings = answer.quotes, {}
        place = 0
        for group in answer.groups:
            self._headings[place] = group.heading
            place += len(group.quotes)
        hits = [
            Hit(quote.source, quote.chance, quote.paper, round(100 * quote.chance))
            for quote in answer.quotes
        ]
        self.show(hits, words)

    def _entry(self, place: int) -> Content:
        from astrosearch.cli.views.quotes import quote_facts, quoted  # which load numpy

        quote = self._quotes[place]
        heading = self._headings.get(place)
        return Content.assemble(
            (f"{heading}\n" if heading else "", "bold underline"),
            self._mark(quote.paper.id),
            (f"[{quote.source}] ", "bold"),
            quoted(quote),
            "\n",
            (quote_facts(quote), "dim"),
            self._thoughts(quote.paper.id),
        )


class PaperView(VerticalScroll):
    """A paper to read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]
    ALLOW_MAXIMIZE = True
    _shown: tuple[object, ...] | None = None
    """What the page that is shown was made from; it need not be made twice."""

    def compose(self) -> Iterable[Static]:
        yield Static(id="text", markup=False)

    def show(
        self,
        hit: Hit,
        words: frozenset[str],
        own: "Marks | None",
        reasons: Sequence[str] = (),
        quote: str = "",
        *,
        explains: bool,
    ) -> None:
        """
        Args:
            quote: a sentence of the abstract to be underlined, and scrolled to.
        """
        wanted = hit, words, own, reasons, quote, explains
        if wanted == self._shown:
            return
        self._shown = wanted
        page = _page(hit, words, own, reasons, explains=explains)
        sentence = readable(quote)
        start = page.plain.rfind(sentence) if sentence else -1
        if start < 0:
            self._update(page)
            return
        self._update(page.stylize("underline", start, start + len(sentence)))
        above = page[:start].get_height({}, self.query_one("#text").size.width or 1)
        self.scroll_to(y=max(above - 2, 0), animate=False)

    def show_text(self, content: Content) -> None:
        """Show a text in place of a paper."""
        self._shown = None
        self._update(content)

    def _update(self, content: Content) -> None:
        self.query_one("#text", Static).update(content)
        self.scroll_home(animate=False)


def _page(
    hit: Hit,
    words: frozenset[str],
    own: "Marks | None",
    reasons: Sequence[str],
    *,
    explains: bool,
) -> Content:
    paper = hit.paper
    known = dict(paper_facts(paper))
    address = known.pop("url", "")
    lines = [_with_words(readable(paper.title), words, "bold"), Content("")]
    if authors := known.pop("authors", ""):
        lines.append(Content(authors))
    lines.append(Content.styled(" · ".join(known.values()), "dim"))
    if address:
        lines.append(Content.styled(address, Style(dim=True, link=address)))
    if own is not None:
        read = "read" if own.read else ""
        said = " · ".join(filter(None, ("in your library", own.opinion, read, *own.tags)))
        lines.append(Content.styled(said, "$text-warning"))
        lines += [Content.styled(f"Note: {own.note}", "italic")] if own.note else []
    lines += [Content.styled(reason, "$text-warning") for reason in reasons]
    if explains:
        lines += [Content(""), Content.styled("What gave it its place", "bold")]
        lines += [
            Content.assemble((f"{name:<18}", "dim"), value) for name, value in actions.why(hit)
        ]
    lines += [Content(""), _with_words(readable(paper.abstract), words)]
    if paper.is_summary:
        lines.append(Content.styled(SUMMARY, "italic dim"))
    return Content("\n").join(lines)


def _with_words(text: str, words: frozenset[str], style: str = "") -> Content:
    """A text in which the words of the question are marked."""
    content = Content.styled(text, style)
    for start, end in spans_of(text, words):
        content = content.stylize("bold $text-warning", start, end)
    return content


def words_of(question: str) -> frozenset[str]:
    """The terms of a question, without function words.

    >>> sorted(words_of("gas stripped from galaxies author:lee"))
    ['galaxi', 'gas', 'strip']
    """
    from astrosearch.search.query_parser import parse

    try:
        text = parse(question).text
    except InputError:
        return frozenset()
    return frozenset(analyze(text).terms) - STOP_WORDS


def spans_of(text: str, words: frozenset[str]) -> list[tuple[int, int]]:
    """Where a text has one of the words, in any of its endings.

    >>> spans_of("Stripped gas", frozenset({"strip"}))
    [(0, 8)]
    """
    return [
        match.span() for match in _WORD.finditer(text) if not words.isdisjoint(_terms(match[0]))
    ]


@lru_cache(maxsize=20_000)
def _terms(word: str) -> list[str]:
    return list(analyze(word).terms)


class Chip(Static, can_focus=True):
    """A filter that holds; a click, Enter or Delete takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,delete,backspace", "remove_filter", show=False)
    ]

    class Removed(Message):
        def __init__(self, names: tuple[str, ...]) -> None:
            super().__init__()
            self.names = names

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        """
        Args:
            names: the fields of a question or its filters that it stands for.
        """
        super().__init__(f"{text} ×", markup=False)
        self._names = names

    def on_click(self, event: "Click") -> None:
        event.stop()
        self.action_remove_filter()

    def action_remove_filter(self) -> None:
        self.post_message(self.Removed(self._names))


class Chips(HorizontalGroup):
    """The filters that hold."""

    async def show(self, question: "actions.Question") -> None:
        chips = [Chip(text, names) for text, names in chips_of(question)]
        await self.remove_children()
        await self.mount_all(chips)
        self.set_class(bool(chips), "-some")


def chips_of(question: "actions.Question") -> list[tuple[str, tuple[str, ...]]]:
    """The texts of chips, and the fields of the question or its filters that each stands for."""
    filters = question.filters
    chips: list[tuple[str, tuple[str, ...]]] = []
    since, until = filters.since, filters.until
    if since or until:
        first = "" if since is None else _day(since.isoformat(), "-01-01")
        last = "" if until is None else _day(until.isoformat(), "-12-31")
        text = first if first == last else f"{first}–{last}"
        chips.append((text, ("since", "until")))
    for name in ("category", "author"):
        if value := getattr(filters, name):
            chips.append((value, (name,)))
    if question.within:
        chips.append((f"in {question.within}", ("within",)))
    if question.beyond:
        chips.append((f"not in {question.beyond}", ("beyond",)))
    return chips


def _day(day: str, edge: str) -> str:
    """A year, where the day is its first or last."""
    return day.removesuffix(edge)


def without(question: "actions.Question", names: Sequence[str]) -> "actions.Question":
    """A question without some of its filters."""
    if "within" in names:
        return replace(question, within=None)
    if "beyond" in names:
        return replace(question, beyond=None)
    return replace(question, filters=replace(question.filters, **dict.fromkeys(names)))


def papers_counted(count: int) -> str:
    return "1 paper" if count == 1 else f"{count:,} papers"

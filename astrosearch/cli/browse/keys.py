"""The keys of the full-screen reader: one table for the bindings, the line below, the help and the
palette."""

from typing import NamedTuple


class Key(NamedTuple):
    keys: str
    """As textual calls them, separated by commas."""
    shown: str
    """As people call them."""
    action: str
    name: str
    """In a word or two, for the line below the papers."""
    help: str
    group: str
    is_in_footer: bool = False


ASK, READ, USE, LOOK = "Ask", "Move and read", "Use papers", "Look closer"
OWN = "Your library"
LEAVE = "Leave"

KEYS = (
    Key("slash", "/", "ask", "ask", "Type a question; answers come as you type", ASK, True),
    Key("a", "a", "quote", "quote", "Answer in sentences of abstracts, with sources", ASK, True),
    Key("f", "f", "filter", "filter", "Filter by years, category, author, library, tag", ASK, True),
    Key("F", "F", "clear_filters", "no filters", "Take all filters away", ASK),
    Key("r", "r", "sort", "order", "Order by match, newest first, most cited first", ASK),
    Key("m", "m", "mode", "mode", "By meaning and words, meaning alone, words alone", ASK),
    Key("j", "j, Down", "move('cursor_down')", "next", "Next paper", READ),
    Key("k", "k, Up", "move('cursor_up')", "previous", "Previous paper", READ),
    Key("pagedown", "PgDn", "move('page_down')", "page down", "A page down", READ),
    Key("pageup", "PgUp", "move('page_up')", "page up", "A page up", READ),
    Key("g", "g, Home", "move('first')", "first", "First paper", READ),
    Key("G", "G, End", "move('last')", "last", "Last paper", READ),
    Key("J", "J", "scroll(1)", "abstract down", "Scroll the abstract down", READ),
    Key("K", "K", "scroll(-1)", "abstract up", "Scroll the abstract up", READ),
    Key("enter", "Enter", "read", "read", "Read the abstract on the whole screen", READ),
    Key("escape", "Esc", "to_list", "back", "Back to the list", READ),
    Key("1", "1", "tab('answer')", "answer", "The papers that answer", READ),
    Key("2", "2", "tab('quotes')", "quotes", "The sentences that answer", READ),
    Key("3", "3", "tab('similar')", "similar", "Papers similar to others", READ),
    Key("4", "4", "tab('cite')", "to cite", "What papers should cite", READ),
    Key("5", "5", "tab('new')", "new", "The newest week, what fits your library first", READ),
    Key("6", "6", "tab('library')", "library", "Your library, the last added first", READ),
    Key("7", "7", "tab('marks')", "marked", "The papers that are marked", READ),
    Key("8", "8", "tab('searches')", "saved", "Saved searches; Enter asks one", READ),
    Key("9", "9", "tab('history')", "history", "Earlier questions; Enter asks again", READ),
    Key("left_square_bracket", "[", "turn(-1)", "tab left", "The tab to the left", READ),
    Key("right_square_bracket", "]", "turn(1)", "tab right", "The tab to the right", READ),
    Key("space", "Space", "mark", "mark", "Mark the paper, or take the mark away", USE, True),
    Key("u", "u", "unmark", "unmark all", "Take all marks away", USE),
    Key("s", "s", "similar", "similar", "Papers similar to the marked ones", USE, True),
    Key("c", "c", "cite", "to cite", "What the marked papers should cite", USE),
    Key("e", "e", "export", "export", "Export the marked papers to a file", USE, True),
    Key("y", "y", "copy", "copy", "Copy: then b BibTeX, i id, t title, u address", USE, True),
    Key("o", "o", "open", "page", "Open the paper's page in your web browser", USE, True),
    Key("O", "O", "open_pdf", "PDF", "Open the PDF in your web browser", USE),
    Key("l", "l", "opinion('liked')", "like", "Like this paper, or take it back", OWN),
    Key("d", "d", "opinion('disliked')", "dislike", "Dislike this paper, or take it back", OWN),
    Key("t", "t", "tag", "tag", "Tag the marked papers", OWN),
    Key("n", "n", "note", "note", "A note on this paper", OWN),
    Key("S", "S", "save", "save", "Save the question with its filters", OWN),
    Key("w", "w", "why", "why", "Show what gave the paper its place", LOOK),
    Key("equals_sign", "=", "compare", "compare", "Compare two marked papers", LOOK),
    Key("h", "h", "histogram", "histogram", "Years and categories of these papers", LOOK),
    Key("M", "M", "map", "map", "These papers on the map of the index", LOOK),
    Key("question_mark", "?", "help", "help", "All keys; F1 while you type", LEAVE, True),
    Key("ctrl+p", "Ctrl-P", "command_palette", "palette", "All commands, by name", LEAVE),
    Key("q", "q", "leave(0)", "quit", "Leave", LEAVE, True),
    Key("ctrl+c", "Ctrl-C", "leave(130)", "stop", "Leave at once, also while typing", LEAVE),
)

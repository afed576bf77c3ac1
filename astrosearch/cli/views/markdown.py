"""How papers look in Markdown: a numbered list, whose titles are links."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from astrosearch.papers import Paper
from astrosearch.text.authors import display_name
from astrosearch.text.tex import one_line, to_unicode

MOST_NAMES = 6
"""Authors that are named before the others are counted."""


def papers_list(papers: Sequence[Paper], *, abstracts: bool = False) -> str:
    """
    Args:
        abstracts: whether they stand below the papers.
    """
    entries = []
    for number, paper in enumerate(papers, start=1):
        published = str(paper.published.year) if paper.is_preprint else paper.journal_ref or ""
        lines = paper_lines(number, paper, published, paper.id)
        if abstracts and paper.abstract:
            lines += ["", f"   {escaped_markdown(to_unicode(paper.abstract))}"]
        entries.append("\n".join(lines))
    return "\n\n".join(entries)


def paper_lines(number: int, paper: Paper, *facts: str, note: str = "") -> list[str]:
    """An entry of the list.

    Args:
        facts: what stands between the authors and the categories.
        note: a line below it.
    """
    title = escaped_markdown(to_unicode(paper.title))
    known = (names(paper), *facts, " ".join(paper.categories))
    lines = [
        f"[{title}]({_address(paper.url)})" if paper.url else title,
        escaped_markdown(" · ".join(filter(None, known))),
        *([f"*{escaped_markdown(note)}*"] if note else []),
    ]
    first, *rest = [f"{line}  " for line in lines[:-1]] + lines[-1:]  # two spaces break a line
    return [f"{number}. {first}", *(f"   {line}" for line in rest)]


def _address(url: str) -> str:
    """An address that ends where it should."""
    return re.sub(r"[()<>\\\s]", lambda match: quote(match[0]), url)


def names(paper: Paper) -> str:
    """The first authors, and how many more there are."""
    shown = [one_line(to_unicode(display_name(name))) for name in paper.authors[:MOST_NAMES]]
    more = len(paper.authors) - MOST_NAMES
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def escaped_markdown(text: str) -> str:
    """A text of which Markdown takes no sign for its own."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|" else sign for sign in one_line(text))

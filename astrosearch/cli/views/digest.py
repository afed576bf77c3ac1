"""How new papers look: a table, Markdown, one HTML file for a browser or a mail, an Atom feed."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, time
from html import escape
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape as xml_escape
from xml.sax.saxutils import quoteattr

from rich import box
from rich.console import Console, Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from astrosearch.cli.console import on_terminal, terminal_link, write
from astrosearch.cli.views.hits import READABLE, as_json, first_author, write_papers
from astrosearch.cli.views.markdown import escaped_markdown, names, paper_lines
from astrosearch.library.digest import Digest, Suggestion
from astrosearch.papers import Paper
from astrosearch.text.authors import display_name
from astrosearch.text.tex import one_line, to_unicode

if TYPE_CHECKING:
    from astrosearch.text.bibtex import KeyStyle


def write_digest(
    digest: Digest, *, format: str, abstracts: bool = False, key: "KeyStyle | None" = None
) -> None:
    """Print new papers to standard output.

    Args:
        format: table, json, jsonl, bibtex, ris, csl-json, ids, markdown, html or atom. Down a pipe
            a table is tab-separated lines: rank, match, id, day, first author, title, reasons.
    """
    suggestions = digest.suggestions
    match format:
        case "json":
            record = {
                "index": digest.index,
                "since": digest.since.isoformat(),
                "new": digest.new,
                "library": digest.library,
                "papers": [one.as_record() for one in suggestions],
            }
            write(as_json(record, indent=True))
        case "jsonl":
            for one in suggestions:
                write(as_json(one.as_record()))
        case "bibtex" | "ris" | "csl-json":
            write_papers([one.paper for one in suggestions], format=format, key=key)
        case "ids":
            write("\n".join(one.paper.id for one in suggestions))
        case "markdown":
            write(markdown(digest))
        case "html":
            write(html(digest))
        case "atom":
            write(feed(digest.index, suggestions))
        case _ if on_terminal():
            console = Console()
            console.print(digest_table(suggestions, width=console.width, abstracts=abstracts))
        case _:
            for one in suggestions:
                write("\t".join(_plain_fields(one, abstracts=abstracts)))


def _plain_fields(one: Suggestion, *, abstracts: bool) -> list[str]:
    paper = one.paper
    fields = [
        str(one.rank),
        "" if one.match is None else str(one.match),
        paper.id,
        paper.published.isoformat(),
        first_author(paper),
        _readable(paper.title),
        "; ".join(one.reasons),
    ]
    return [*map(one_line, fields), *([_readable(paper.abstract)] if abstracts else [])]


# --- the terminal ---


def digest_table(
    suggestions: Sequence[Suggestion], *, width: int, abstracts: bool = False
) -> Table:
    """A block for each paper: its title, its facts, and why it is here."""
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    number = len(str(len(suggestions)))
    table.add_column("#", width=max(number, 1), justify="right", style="dim")
    has_match = any(one.match is not None for one in suggestions)
    if has_match:
        table.add_column("match", width=5, justify="right", style="green")
    room = width - number - 5 - (7 if has_match else 0)
    table.add_column("paper", width=max(min(room, READABLE), 20), overflow="fold")
    for one in suggestions:
        match = [str(one.match)] if has_match else []
        table.add_row(str(one.rank), *match, _block(one, abstracts=abstracts))
    return table


def _block(one: Suggestion, *, abstracts: bool) -> Group:
    paper = one.paper
    facts = [paper.published.isoformat(), first_author(paper), " ".join(paper.categories)]
    lines = [
        Text(_readable(paper.title), style="bold"),
        Text.assemble(
            Text(paper.id, style=Style(color="cyan", link=terminal_link(paper.url))),
            ("".join(f" · {one_line(fact)}" for fact in facts if fact), "dim"),
        ),
    ]
    if one.reasons:
        lines.append(Text("; ".join(one.reasons), style="yellow"))
    if abstracts:
        lines += [Text(_readable(paper.abstract)), Text()]
    return Group(*lines)


# --- documents ---


def markdown(digest: Digest) -> str:
    """A heading and a numbered list."""
    entries = [
        "\n".join(
            paper_lines(
                one.rank, one.paper, one.paper.published.isoformat(), note="; ".join(one.reasons)
            )
        )
        for one in digest.suggestions
    ]
    return "\n\n".join([f"# {escaped_markdown(_heading(digest))}", *entries])


def _heading(digest: Digest) -> str:
    count = len(digest.suggestions)
    papers = "1 new paper" if count == 1 else f"{count:,} new papers"
    rest = f" of {digest.new:,}" if digest.new > count else ""
    return f"{papers}{rest} in {digest.index}"


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
@media (prefers-color-scheme: dark) {{
  body {{ background: #16181c !important; color: #e4e6ea !important; }}
  a {{ color: #8ab8ff !important; }}
  .facts, .foot {{ color: #a2a8b3 !important; }}
  .why {{ color: #d9b45b !important; }}
  .paper {{ border-color: #33373f !important; }}
}}
</style>
</head>
<body style="margin:0;overflow-wrap:anywhere;background:#ffffff;color:#1d2026;\
font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif">
<div style="max-width:44em;margin:0 auto;padding:16px">
<h1 style="font-size:1.3em;margin:0 0 12px">{title}</h1>
{papers}
<p class="foot" style="color:#5a616c;font-size:.85em">{foot}</p>
</div>
</body>
</html>"""

_PAPER = """\
<div class="paper" style="border-top:1px solid #dde0e5;padding:12px 0">
<div style="font-weight:600">\
<a href={url} style="color:#0b57c2;text-decoration:none">{title}</a></div>
<div class="facts" style="color:#5a616c;font-size:.9em">{facts}</div>
{reasons}<details style="margin-top:4px">\
<summary style="cursor:pointer;font-size:.9em">Abstract</summary>
<p style="margin:6px 0 0">{abstract}</p></details>
</div>"""

_REASONS = '<div class="why" style="color:#8a6100;font-size:.9em">{reasons}</div>\n'


def html(digest: Digest) -> str:
    """One file, without scripts or anything to fetch: for a phone, and for mail clients, which
    know inline styles only."""
    papers = []
    for one in digest.suggestions:
        paper = one.paper
        match = [f"match {one.match}"] if one.match is not None else []
        facts = [
            escape(names(paper)),
            _unbroken(paper.published.isoformat()),
            " ".join(map(_unbroken, paper.categories)),
            *match,
        ]
        reasons = escape(one_line("; ".join(one.reasons)))
        papers.append(
            _PAPER.format(
                url=quoteattr(paper.url),
                title=escape(_readable(paper.title)),
                facts=" · ".join(filter(None, facts)),
                reasons=_REASONS.format(reasons=reasons) if reasons else "",
                # Mail may break a line of more than 998 bytes anywhere (RFC 5322, section 2.1.1).
                abstract=textwrap.fill(
                    escape(_readable(paper.abstract)),
                    200,
                    break_long_words=False,
                    break_on_hyphens=False,
                ),
            )
        )
    ranked = f"ranked by {digest.library:,} papers of your library" if digest.library else "newest"
    foot = f"Since {digest.since}, {ranked}; by astrosearch."
    return _PAGE.format(title=escape(_heading(digest)), papers="\n".join(papers), foot=escape(foot))


def _unbroken(text: str) -> str:
    """A day or a category, in which a line ends at no hyphen, if it has room for all of it."""
    return f'<span style="display:inline-block">{escape(one_line(text))}</span>'


def feed(index: str, suggestions: Sequence[Suggestion]) -> str:
    """The new papers of an index as an Atom feed, which may have none."""
    papers = [(one.paper, one.reasons) for one in suggestions]
    return atom(f"New papers in {index}", f"new:{index}", papers)


def atom(title: str, name: str, papers: Sequence[tuple[Paper, Sequence[str]]]) -> str:
    """An Atom feed (RFC 4287).

    Args:
        name: of the feed, which makes its identifier: the same one every day.
        papers: each with the reasons why it is there.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{_xml(title)}</title>",
        f"<id>{_xml(_tag(name))}</id>",
        f"<updated>{now}</updated>",
        "<generator>astrosearch</generator>",
    ]
    for paper, reasons in papers:
        day = datetime.combine(paper.published, time(), UTC).isoformat()
        changed = datetime.combine(paper.updated or paper.published, time(), UTC).isoformat()
        summary = " — ".join(filter(None, ("; ".join(reasons), _readable(paper.abstract))))
        people = [_readable(display_name(author)) for author in paper.authors] or ["unknown"]
        lines += [
            "<entry>",
            f"<title>{_xml(_readable(paper.title))}</title>",
            f"<id>{_xml(paper.url or _tag(paper.id))}</id>",
            f'<link rel="alternate" href={quoteattr(paper.url)}/>' if paper.url else "",
            f"<published>{day}</published>",
            f"<updated>{changed}</updated>",
            *(f"<author><name>{_xml(one)}</name></author>" for one in people),
            *(f"<category term={quoteattr(one_line(term))}/>" for term in paper.categories),
            f"<summary>{_xml(summary)}</summary>",
            "</entry>",
        ]
    return "\n".join(filter(None, [*lines, "</feed>"]))


def _tag(name: str) -> str:
    """An identifier of our own (RFC 4151)."""
    from urllib.parse import quote

    return f"tag:astrosearch.invalid,2025:{quote(name, safe=':')}"


def _xml(text: str) -> str:
    """A text without what XML does not let through."""
    return xml_escape("".join(sign for sign in one_line(text) if sign not in "\ufffe\uffff"))


def _readable(text: str) -> str:
    return one_line(to_unicode(text))

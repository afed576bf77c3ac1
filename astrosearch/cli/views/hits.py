"""How answers look: a table on a terminal, plain lines down a pipe, and the formats of programs."""

import csv
import re
import sys
import textwrap
from collections.abc import Sequence

import click
import orjson
from rich import box
from rich.console import Console, Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from astrosearch.papers import Paper
from astrosearch.search.ranking import Hit
from astrosearch.text import bibtex
from astrosearch.text.authors import family_name
from astrosearch.text.tex import one_line, to_unicode

WIDE = 120
"""Columns from which on every fact of a paper has a column of its own."""

READABLE = 88
"""Columns beyond which running text gets hard to read."""


def write_hits(
    hits: Sequence[Hit],
    *,
    format: str,
    query: str | None,
    index: str,
    abstracts: bool = False,
    footer: Sequence[str] = (),
) -> None:
    """Print an answer to standard output, and what is to be said of it to standard error.

    `write_hits(hits, format="ids", query="magellanic stream", index="main")` prints

        2503.14368
        astro-ph/9401008

    Args:
        format: table, json, jsonl, csv, bibtex or ids. A table is for a terminal; down a pipe it
            becomes tab-separated lines: rank, score, id, year, first author, title, categories,
            and with `abstracts` the abstract.
    """
    match format:
        case "json":
            record = {"query": query, "index": index, "hits": [hit_record(hit) for hit in hits]}
            click.echo(as_json(record, indent=True))
        case "jsonl":
            for hit in hits:
                click.echo(as_json(hit_record(hit)))
        case "csv":
            _write_csv(hits)
        case "bibtex":
            click.echo("\n\n".join(bibtex.entry(hit.paper) for hit in hits))
        case "ids":
            click.echo("\n".join(hit.paper.id for hit in hits))
        case _ if _on_terminal():
            console = Console()
            console.print(hits_table(hits, abstracts=abstracts, width=console.width))
        case _:
            for hit in hits:
                click.echo("\t".join(_plain_fields(hit, abstracts=abstracts)))
    for line in footer:
        click.echo(line, err=True)


def write_paper(paper: Paper, *, format: str) -> None:
    """Print one paper to standard output: as a page to read, as JSON or as BibTeX."""
    if format == "json":
        click.echo(as_json(paper_record(paper), indent=True))
    elif format == "bibtex":
        click.echo(bibtex.entry(paper))
    elif _on_terminal():
        console = Console()
        console.print(paper_view(paper), width=min(console.width, READABLE))
    else:
        click.echo("\n".join(_paper_lines(paper)))


def write_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """A small table on a terminal, tab-separated rows without a head down a pipe.

    Args:
        right: columns of numbers, to be set flush right.
    """
    if not _on_terminal():
        for row in rows:
            click.echo("\t".join(one_line(field) for field in row))
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column, name in enumerate(head):
        table.add_column(
            name,
            justify="right" if column in right else "left",
            no_wrap=column == 0 or column in right,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(one_line(field)) for field in row))
    Console().print(table)


def hit_record(hit: Hit) -> dict[str, object]:
    """A hit as JSON has it; texts as they are stored, with their TeX."""
    return {
        "rank": hit.rank,
        "score": round(hit.score, 4),
        "cosine": None if hit.cosine is None else round(hit.cosine, 4),
        "dense_rank": hit.dense_rank,
        "lexical_rank": hit.lexical_rank,
        **paper_record(hit.paper),
    }


def paper_record(paper: Paper) -> dict[str, object]:
    return {
        "id": paper.id,
        "title": paper.title,
        "authors": list(paper.authors),
        "categories": list(paper.categories),
        "published": paper.published.isoformat(),
        "year": paper.published.year,
        "abstract": paper.abstract,
        "url": paper.url,
        "doi": paper.doi,
        "version": paper.version,
        "is_summary": paper.is_summary,
    }


def hits_table(hits: Sequence[Hit], *, abstracts: bool, width: int) -> Table:
    """The table of an answer for a terminal of `width` columns.

    Where there is room, a fact has a column. On a narrow terminal, and always where abstracts are
    to be read, a hit is a block instead, so that no title is squeezed:

         #  cosine  by       paper
        ────────────────────────────────────────────────────────────────────
         1   0.743  both     Mass assembly and morphological transformations
                             1606.04952 · 2016 · Huertas-Company et al. · astro-ph.GA

    `by` says which side found a hit, if two were asked: its words, its meaning, or both.
    """
    hybrid = any(hit.dense_rank for hit in hits) and any(hit.lexical_rank for hit in hits)
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    # Columns of a given width are laid out once, others twice: half of what a table takes.
    measures = [_measures(hit, hybrid) for hit in hits]
    name = "score" if any(hit.cosine is None for hit in hits) else "cosine"
    room = width - 3
    for place, (head, style) in enumerate([("#", "dim"), (name, "green"), ("by", "dim")]):
        if head == "by" and not hybrid:
            continue
        widest = max(map(len, (head, *(fields[place] for fields in measures))))
        table.add_column(
            head,
            justify="left" if head == "by" else "right",
            style=style,
            no_wrap=True,
            width=widest,
        )
        room -= widest + 2
    if abstracts or width < WIDE:
        table.add_column("paper", width=max(min(room, READABLE), 1), overflow="fold")
        for hit, measured in zip(hits, measures, strict=True):
            table.add_row(*measured, _block(hit.paper, abstracts=abstracts))
        return table
    table.expand = True
    table.add_column("id", no_wrap=True)
    table.add_column("year", no_wrap=True)
    table.add_column("first author", max_width=22, overflow="fold")
    table.add_column("title", ratio=1, overflow="fold")
    table.add_column("categories", style="dim", max_width=16, overflow="fold")
    for hit, measured in zip(hits, measures, strict=True):
        paper = hit.paper
        table.add_row(
            *measured,
            _identifier(paper),
            str(paper.published.year),
            Text(first_author(paper)),
            Text(_readable(paper.title), style="bold"),
            Text(_categories(paper)),
        )
    return table


def _measures(hit: Hit, hybrid: bool) -> list[str]:
    """The first columns: rank, cosine (or score, where there is none), who found it."""
    shown = hit.score if hit.cosine is None else hit.cosine
    return [str(hit.rank), f"{shown:.3f}", *([_found_by(hit)] if hybrid else [])]


def _found_by(hit: Hit) -> str:
    if hit.dense_rank and hit.lexical_rank:
        return "both"
    return "meaning" if hit.dense_rank else "words"


def _block(paper: Paper, *, abstracts: bool) -> Group:
    """A hit where columns would be too narrow: title, facts, abstract, one under the other."""
    facts = [str(paper.published.year), first_author(paper), _categories(paper)]
    lines = [
        Text(_readable(paper.title), style="bold"),
        Text.assemble(_identifier(paper), ("".join(f" · {fact}" for fact in facts if fact), "dim")),
    ]
    if abstracts:
        lines += [Text(_readable(paper.abstract)), Text()]
    return Group(*lines)


def _identifier(paper: Paper) -> Text:
    return Text(paper.id, style=Style(color="cyan", link=paper.url), no_wrap=True)


def _categories(paper: Paper) -> str:
    return one_line(" ".join(paper.categories))


def paper_view(paper: Paper) -> Group:
    """One paper for a terminal."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(paper):
        link = Style(link=value) if name == "url" else Style()
        facts.add_row(name, Text(value, style=link))
    note = [Text(_SUMMARY, style="dim italic")] if paper.is_summary else []
    return Group(
        Text(_readable(paper.title), style="bold"),
        Text(),
        facts,
        Text(),
        Text(_readable(paper.abstract)),
        *note,
    )


_SUMMARY = "(A summary by astrosearch, not the authors' abstract.)"


def _paper_lines(paper: Paper) -> list[str]:
    """The same down a pipe: no colours, no columns, lines short enough to be read."""
    return [
        *_wrapped(_readable(paper.title)),
        "",
        *(line for name, value in _facts(paper) for line in _wrapped(f"{name}: {value}", hang=2)),
        "",
        *_wrapped(_readable(paper.abstract)),
        *([_SUMMARY] if paper.is_summary else []),
    ]


def _wrapped(text: str, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        READABLE,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(paper: Paper) -> list[tuple[str, str]]:
    names = [_readable(name) for name in paper.authors]
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
    facts = [
        ("authors", shown),
        ("id", paper.id + (f"v{paper.version}" if paper.version else "")),
        ("date", paper.published.isoformat()),
        ("categories", _categories(paper)),
        ("doi", one_line(paper.doi or "")),
        ("url", paper.url),
    ]
    return [(name, value) for name, value in facts if value]


def first_author(paper: Paper) -> str:
    """`Hofmann et al.`; empty if the record names nobody."""
    if not paper.authors:
        return ""
    name = _readable(family_name(paper.authors[0]))
    return f"{name} et al." if len(paper.authors) > 1 else name


def _plain_fields(hit: Hit, *, abstracts: bool) -> list[str]:
    paper = hit.paper
    fields = [
        str(hit.rank),
        f"{hit.score:.4f}",
        paper.id,
        str(paper.published.year),
        first_author(paper),
        _readable(paper.title),
        _categories(paper),
    ]
    return [*fields, _readable(paper.abstract)] if abstracts else fields


def _write_csv(hits: Sequence[Hit]) -> None:
    """RFC 4180, one header line, authors separated by semicolons."""
    writer = None
    for hit in hits:
        record = hit_record(hit)
        record["authors"] = "; ".join(hit.paper.authors)
        record["categories"] = " ".join(hit.paper.categories)
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(record))
            writer.writeheader()
        writer.writerow(
            {
                name: one_line(value) if isinstance(value, str) else value
                for name, value in record.items()
            }
        )


def _readable(text: str) -> str:
    return one_line(to_unicode(text))


def as_json(record: object, *, indent: bool = False) -> str:
    """JSON with every control character escaped, also those that the standard lets through."""
    text = orjson.dumps(record, option=orjson.OPT_INDENT_2 if indent else None).decode()
    return re.sub(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", text)


def _on_terminal() -> bool:
    return Console().is_terminal  # FORCE_COLOR makes it one

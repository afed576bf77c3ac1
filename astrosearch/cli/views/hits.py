"""How answers look: a table on a terminal, plain lines down a pipe, and the formats of programs."""

import csv
import io
import json
import re
import sys
import textwrap
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from rich import box
from rich.console import Console, Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from astrosearch.cli.console import notify, on_terminal, terminal_link, write
from astrosearch.cli.views.fixed_table import FixedTable
from astrosearch.config import FIELDS, read_config
from astrosearch.papers import Paper
from astrosearch.search.hits import Answer, Hit, paper_record
from astrosearch.text.authors import display_name, family_name
from astrosearch.text.tex import one_line, to_unicode

if TYPE_CHECKING:
    from astrosearch.library.store import LibraryPaper
    from astrosearch.text.bibtex import KeyStyle
    from astrosearch.text.csl import Item

WIDE = 120
"""Columns from which on every fact of a paper has a column of its own."""

READABLE = 100
"""Columns beyond which running text gets hard to read."""


def write_hits(
    hits: Sequence[Hit],
    *,
    format: str,
    query: str | None,
    index: str,
    abstracts: bool = False,
    explain: bool = False,
    key: "KeyStyle | None" = None,
    footer: Sequence[str] = (),
    notes: Sequence[str] = (),
    is_weak: bool = False,
    meant: str = "",
) -> None:
    """Print an answer to standard output, and what is to be said of it to standard error.

    `write_hits(hits, format="ids", query="magellanic stream", index="main")` prints

        2503.14368
        astro-ph/9401008

    Args:
        format: of `options.FORMATS`. A table is for a terminal; down a pipe it becomes
            tab-separated lines: rank, match, id, year, first author, title, categories; whether it
            is cited, if that was asked for; how often it is cited, if the index has citations; with
            `explain` the signals too; with `abstracts` the abstract.
        explain: show the numbers behind the order in a table; json, jsonl and csv always have them.
        key: how BibTeX entries are called; None means by their bibcodes.
        notes, is_weak, meant: of the answer; json has them.
    """
    match format:
        case "json":
            answer = Answer(list(hits), tuple(notes), is_weak, meant)
            record = {"query": query, "index": index, **answer.as_record()}
            write(as_json(record, indent=True))
        case "jsonl":
            for hit in hits:
                write(as_json(hit.as_record()))
        case "csv":
            sys.stdout.write(_as_csv([hit.as_record() for hit in hits]))
        case "bibtex" | "ris" | "csl-json" | "markdown" | "ids":
            papers = [hit.paper for hit in hits]
            write_papers(papers, format=format, key=key, abstracts=abstracts)
        case _ if on_terminal():
            console = Console()
            columns = read_config().columns or FIELDS
            console.print(
                hits_table(
                    hits,
                    abstracts=abstracts,
                    width=console.width,
                    explain=explain,
                    columns=columns,
                ),
                crop=False,  # no line is too long; to look for such takes a tenth of the time
            )
        case _:
            for hit in hits:
                write("\t".join(_plain_fields(hit, abstracts=abstracts, explain=explain)))
    if explain and format == "table" and any(hit.contributions for hit in hits):
        notify(HOW_TO_READ)
        if any(hit.author_match is not None for hit in hits):
            from astrosearch.search.ranker import AUTHOR_MATCH

            notify(OF_AUTHORS.format(share=AUTHOR_MATCH))
    for line in footer:
        notify(line)


HOW_TO_READ = (
    "match: the chance that the paper is relevant, in percent. A signed number: by how much the "
    "score behind it would be lower if these signals were those of an average candidate; they need "
    "not add up to the score"
)
OF_AUTHORS = (
    "As an author is named, {share:.0%} of match is how well a paper's authors fit, and the rest "
    "that chance"
)


def write_papers(
    papers: Sequence[Paper],
    *,
    format: str,
    key: "KeyStyle | None" = None,
    abstracts: bool = True,
) -> None:
    """Print papers to standard output.

    Args:
        format: table, as pages to read, or one of `papers_text`.
        key, abstracts: as in `papers_text`.
    """
    if format == "table" and on_terminal():
        console = Console()
        for place, paper in enumerate(papers):
            console.print(
                *([Text()] if place else []),
                paper_view(paper),
                width=min(console.width, READABLE),
            )
        return
    text, notes = papers_text(papers, format=format, key=key, abstracts=abstracts)
    write(text.removesuffix("\r\n"))  # of csv
    for note in notes:
        notify(note)


def papers_text(
    papers: Sequence[Paper],
    *,
    format: str,
    key: "KeyStyle | None" = None,
    abstracts: bool = True,
    in_utf8: bool | None = None,
) -> tuple[str, list[str]]:
    """Papers in a format, and what is to be said of them, in sentences.

    Args:
        format: table (pages to read, without colours), json (an object for one paper, a list for
            several), jsonl, csv, bibtex, ris, csl-json, markdown or ids.
        key: as in `write_hits`.
        abstracts: whether markdown has them.
        in_utf8: as in `as_json`.
    """
    match format:
        case "json":
            records = [paper_record(paper) for paper in papers]
            one_or_all = records[0] if len(records) == 1 else records
            return as_json(one_or_all, indent=True, in_utf8=in_utf8), []
        case "jsonl":
            lines = [as_json(paper_record(paper), in_utf8=in_utf8) for paper in papers]
            return "\n".join(lines), []
        case "csv":
            return _as_csv([paper_record(paper) for paper in papers]), []
        case "ids":
            return "\n".join(paper.id for paper in papers), []
        case "bibtex":
            return _as_bibtex(papers, key)
        case "csl-json":
            return as_json(_csl_items(papers, key), indent=True, in_utf8=in_utf8), []
        case "ris":
            from astrosearch.library import ris

            entries = ris.entries(_csl_items(papers, key))
            return "\n\n".join(entries).replace("\r\n", "\n"), []
        case "markdown":
            from astrosearch.cli.views.markdown import papers_list

            return papers_list(papers, abstracts=abstracts), []
        case _:
            return "\n\n".join("\n".join(_paper_lines(paper)) for paper in papers), []


def _as_bibtex(papers: Sequence[Paper], key: "KeyStyle | None") -> tuple[str, list[str]]:
    """Entries, and what their user has to mend."""
    from astrosearch.text import bibtex

    preprints = [paper for paper in papers if paper.is_preprint]
    entries = bibtex.entries(preprints, key or "bibcode")
    if len(preprints) < len(papers):
        written = dict(zip(preprints, entries, strict=True))
        own = _own_papers()
        entries = [written.get(paper) or own[paper.id].entry.raw for paper in papers]
    notes = []
    nameless = sum(not paper.authors for paper in papers)
    if nameless:
        notes.append(f"{nameless:,} of {_entries(len(papers), nameless)} no author")
    foreign = sum(bool(bibtex.FOREIGN.search(entry)) for entry in entries)
    if foreign:
        notes.append(
            f"{foreign:,} of {_entries(len(papers), foreign)} characters that LaTeX lacks, "
            "written as [U+...]"
        )
    return "\n\n".join(entries), notes


def _csl_items(papers: Sequence[Paper], key: "KeyStyle | None") -> "list[Item]":
    from astrosearch.text import bibtex, csl

    preprints = [paper for paper in papers if paper.is_preprint]
    items = csl.items(preprints, bibtex.keys(preprints, key or "bibcode"))
    if len(preprints) == len(papers):
        return items
    from astrosearch.library import csl_entries

    written, own = dict(zip(preprints, items, strict=True)), _own_papers()
    return [written.get(paper) or csl_entries.item(own[paper.id]) for paper in papers]


def _own_papers() -> "dict[str, LibraryPaper]":
    """The papers of the library by their keys: what is not in arXiv is written as it is there."""
    from astrosearch.library.store import Library

    return {paper.key: paper for paper in Library.read().papers}


def _entries(count: int, number: int) -> str:
    """`10 entries has`, where `number` of them have something."""
    return f"{count:,} {'entry' if count == 1 else 'entries'} {'has' if number == 1 else 'have'}"


def write_paper(paper: Paper, *, format: str) -> None:
    """Print one paper, as `write_papers` does."""
    write_papers([paper], format=format)


def hits_table(
    hits: Sequence[Hit],
    *,
    abstracts: bool,
    width: int,
    explain: bool = False,
    columns: Sequence[str] = FIELDS,
) -> Table:
    """The table of an answer for a terminal of `width` columns.

    Where there is room, a fact has a column. On a narrow terminal, and always where abstracts are
    to be read, a hit is a block instead, so that no title is squeezed:

         #  match  paper
        ────────────────────────────────────────────────────────────────────
         1     74  Mass assembly and morphological transformations
                   1606.04952 · 2016 · Huertas-Company et al. · astro-ph.GA

    Args:
        explain: the signals behind the order too, and the ranks by meaning and by words.
        columns: what a wide table has of each paper, of `config.FIELDS`, in order.
    """
    table = FixedTable(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    in_blocks = abstracts or width < WIDE or (explain and any(hit.contributions for hit in hits))
    counts = any(hit.citations for hit in hits)
    measures = [_measures(hit, explain=explain and not in_blocks, counts=counts) for hit in hits]
    styles = {"#": "dim", "match": "green"}
    room = width - 3
    for head in measures[0] if measures else ():
        widest = max(len(head), *(len(fields[head]) for fields in measures))
        table.add_column(
            head, justify="right", style=styles.get(head, "dim"), no_wrap=True, width=widest
        )
        room -= widest + 2
    if in_blocks:
        table.add_column("paper", width=max(min(room, READABLE), 1), overflow="fold")
        for hit, fields in zip(hits, measures, strict=True):
            table.add_row(*fields.values(), _block(hit, abstracts=abstracts, explain=explain))
        return table
    rows = [_columns(hit.paper) for hit in hits]
    widths = _widths(rows, room)
    places = [FIELDS.index(name) for name in columns]
    for place in places:
        style = "dim" if FIELDS[place] == "categories" else ""
        table.add_column(_HEADS[place], width=widths[place], overflow="fold", style=style)
    for fields, row in zip(measures, rows, strict=True):
        table.add_row(*fields.values(), *(row[place] for place in places))
    return table


_HEADS = ("id", "year", "first author", "title", "categories")
"""Of `FIELDS`."""
_LONGEST_AUTHOR = 24
"""Columns; a longer name is wrapped."""


def _columns(paper: Paper) -> tuple[Text, ...]:
    """What stands under `_HEADS`."""
    return (
        _identifier(paper),
        Text(str(paper.published.year)),
        Text(first_author(paper)),
        Text(readable(paper.title), style="bold"),
        Text(_categories(paper)),
    )


def _widths(rows: Sequence[Sequence[Text]], room: int) -> list[int]:
    """Columns for each of `_HEADS`: titles get what they need, then all categories a line."""
    needs = [
        max(len(head), *(row[place].cell_len for row in rows)) for place, head in enumerate(_HEADS)
    ]
    identifier, year, author, title, categories = needs
    author = min(author, _LONGEST_AUTHOR)
    room -= identifier + year + author + 2 * (len(needs) - 1)
    words = (word for row in rows for word in row[-1].plain.split())
    longest = max([len(_HEADS[-1]), *map(len, words)])
    categories = min(max(room - title, longest), categories)
    return [identifier, year, author, max(min(title, room - categories), 5), categories]


def _measures(hit: Hit, *, explain: bool, counts: bool) -> dict[str, str]:
    """The numbers of a hit, by the heads of their columns.

    Args:
        counts: whether to show how often it is cited.
    """
    numbers = {"#": str(hit.rank), "match": str(hit.match)}
    if hit.is_cited is not None:
        numbers["cited"] = "✓" if hit.is_cited else ""
    if counts:
        numbers["cit."] = "" if hit.citations is None else f"{hit.citations:,}"
    return numbers | explanation(hit) if explain else numbers


def explanation(hit: Hit) -> dict[str, str]:
    """The numbers behind a hit's place, by their names; empty for those that it lacks."""
    author = {} if hit.author_match is None else {"author": _signal(hit.author_match, 2)}
    return {
        "score": f"{hit.score:.3f}",
        "cosine": _signal(hit.cosine),
        "BM25": _signal(hit.bm25, 1),
        "tokens": _signal(hit.token_match),
        **author,
        **{
            name: "" if value is None else str(value)
            for name, value in (
                ("shared references", hit.shared_references),
                ("cited together", hit.cocitations),
            )
            if value is not None
        },
        "by meaning": f"{hit.dense_rank or ''}",
        "by words": f"{hit.lexical_rank or ''}",
        **{name: f"{value:+.1f}" for name, value in hit.contributions.items()},
    }


def _block(hit: Hit, *, abstracts: bool, explain: bool) -> Group:
    """A hit where columns would be too narrow: title, facts, signals, abstract, one under the
    other."""
    paper = hit.paper
    facts = [str(paper.published.year), first_author(paper), _categories(paper)]
    lines = [
        Text(readable(paper.title), style="bold"),
        Text.assemble(_identifier(paper), ("".join(f" · {fact}" for fact in facts if fact), "dim")),
    ]
    if explain:
        lines.append(Text(_signals_line(hit), style="dim"))
    if abstracts:
        lines += [Text(readable(paper.abstract)), Text()]
    return Group(*lines)


def _identifier(paper: Paper) -> Text:
    return Text(paper.id, style=Style(color="cyan", link=terminal_link(paper.url)), no_wrap=True)


def _categories(paper: Paper) -> str:
    return one_line(" ".join(paper.categories))


def paper_view(paper: Paper) -> Group:
    """One paper for a terminal."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in paper_facts(paper):
        link = Style(link=terminal_link(value)) if name == "url" else Style()
        facts.add_row(name, Text(value, style=link))
    note = [Text(SUMMARY, style="dim italic")] if paper.is_summary else []
    return Group(
        Text(readable(paper.title), style="bold"),
        Text(),
        facts,
        Text(),
        Text(readable(paper.abstract)),
        *note,
    )


SUMMARY = "(A summary by astrosearch, not the authors' abstract.)"


def _paper_lines(paper: Paper) -> list[str]:
    """The same down a pipe: no colours, no columns, lines short enough to be read."""
    return [
        *_wrapped(readable(paper.title)),
        "",
        *(
            line
            for name, value in paper_facts(paper)
            for line in _wrapped(f"{name}: {value}", hang=2)
        ),
        "",
        *_wrapped(readable(paper.abstract)),
        *([SUMMARY] if paper.is_summary else []),
    ]


def _wrapped(text: str, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        READABLE,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def paper_facts(paper: Paper) -> list[tuple[str, str]]:
    names = [readable(display_name(name)) for name in paper.authors]
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
    facts = [
        ("authors", shown),
        ("id", paper.id + (f"v{paper.version}" if paper.version else "")),
        ("date", paper.published.isoformat()),
        ("categories", _categories(paper)),
        ("journal", readable(paper.journal_ref or "")),
        ("doi", one_line(paper.doi or "")),
        ("url", paper.url),
    ]
    return [(name, value) for name, value in facts if value]


def _signals_line(hit: Hit) -> str:
    """`score 0.978 · cosine 0.478 (#1) · BM25 29.3 (#4) · tokens 0.665`: the ranks are those by
    meaning and by words. Under it, what each group of signals gave: `meaning +2.1 · words -0.3`."""
    numbers = explanation(hit)
    for name, rank in (("cosine", "by meaning"), ("BM25", "by words")):
        if place := numbers.pop(rank):
            numbers[name] += f" (#{place})"
    gave = [f"{name} {numbers.pop(name)}" for name in hit.contributions]
    signals = " · ".join(f"{name} {value}" for name, value in numbers.items() if value)
    return "\n".join([signals, *([" · ".join(gave)] if gave else [])])


def _signal(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def first_author(paper: Paper) -> str:
    """`Hofmann et al.`; empty if the record names nobody."""
    if not paper.authors:
        return ""
    name = readable(family_name(paper.authors[0]))
    return f"{name} et al." if len(paper.authors) > 1 else name


def _plain_fields(hit: Hit, *, abstracts: bool, explain: bool) -> list[str]:
    paper = hit.paper
    fields = [
        str(hit.rank),
        str(hit.match),
        paper.id,
        str(paper.published.year),
        first_author(paper),
        readable(paper.title),
        _categories(paper),
    ]
    if hit.is_cited is not None:
        fields.append("cited" if hit.is_cited else "")
    if hit.citations is not None:
        fields.append(str(hit.citations))
    fields += explanation(hit).values() if explain else ()
    return [*fields, readable(paper.abstract)] if abstracts else fields


def _as_csv(records: Sequence[dict[str, Any]]) -> str:
    """RFC 4180, one header line, authors separated by semicolons."""
    if not records:
        return ""
    text = io.StringIO(newline="")
    # A paper of the library that is not in the index lacks what only the index knows.
    writer = csv.DictWriter(text, list(dict.fromkeys(chain.from_iterable(records))))
    writer.writeheader()
    for record in records:
        flat = {
            **record,
            "authors": "; ".join(record["authors"]),
            "categories": " ".join(record["categories"]),
        }
        if "contributions" in record:
            flat["contributions"] = "; ".join(
                f"{name} {value:+.2f}" for name, value in record["contributions"].items()
            )
        writer.writerow(
            {
                name: one_line(value) if isinstance(value, str) else value
                for name, value in flat.items()
            }
        )
    return text.getvalue()


def readable(text: str) -> str:
    """A text on one line, its TeX in the signs that it stands for."""
    return one_line(to_unicode(text))


def as_json(record: object, *, indent: bool = False, in_utf8: bool | None = None) -> str:
    """JSON with every control character escaped, also those that the standard lets through.

    Args:
        in_utf8: whether it is written in UTF-8, otherwise in ASCII, so that nothing of it is lost;
            None asks standard output.
    """
    text = orjson.dumps(record, option=orjson.OPT_INDENT_2 if indent else None).decode()
    if in_utf8 is None:
        in_utf8 = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    return (_CONTROLS if in_utf8 else _NOT_ASCII).sub(_escaped, text)


_CONTROLS = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


def _escaped(sign: re.Match[str]) -> str:
    return json.dumps(sign[0])[1:-1]

"""`astrosearch query` and `astrosearch similar`: from a query to an answer."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from astrosearch.cli.console import Terminal, write
from astrosearch.cli.options import (
    answer_options,
    filter_options,
    index_option,
    mode_option,
    sort_option,
)

if TYPE_CHECKING:
    from astrosearch.search.hits import Hit
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.searcher import Mode


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--batch",
    metavar="FILE|-",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="Queries, one on each line; the answers are JSON, one object on each line.",
)
@mode_option
@sort_option
@answer_options
@filter_options
@index_option
def query(
    text: tuple[str, ...],
    batch: Path | None,
    mode: "Mode",
    sort: str,
    k: int,
    output: str,
    abstracts: bool,
    explain: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Find the papers nearest to TEXT, or to standard input if TEXT is -.

    Words in "quotes" must stand side by side in the title or the abstract; words after title: or
    abs: must be in that field. Endings do not count. author:, cat: and year: are filters:
    year:2016, year:2015-2020, year:2015-. A minus sign or NOT excludes: -word, -author:name.

    Papers of an author that TEXT names come first. An arXiv identifier, a DOI or a bibcode finds
    that paper, and papers like it. Filters without TEXT list the newest papers that pass.

    \b
    astrosearch query "magellanic stream"
    astrosearch query "gas stripped from a dwarf galaxy" --since 2010 --category astro-ph.GA
    astrosearch query 'title:"tidal tails" dwarf galaxy author:hofmann year:2015-2020'
    astrosearch query "NGC 1068" --mode lexical
    astrosearch query "papers by Madhusudhan on atmospheres"
    astrosearch query 2309.06126
    astrosearch query author:hofmann -k 20
    pbpaste | astrosearch query - --format bibtex
    astrosearch query --batch questions.txt > answers.jsonl
    """
    has_filters = any(value is not None for value in filters.values())
    if text if batch is not None else not (text or has_filters):
        raise click.UsageError("give a TEXT, - for standard input, --batch FILE, or a filter")
    if batch is not None and (output != "table" or abstracts or explain or sort != "match"):
        raise click.UsageError(
            "--batch writes JSON lines: leave --format, --sort, --abstracts and --explain out"
        )
    given = sys.stdin.read() if text == ("-",) else " ".join(text)
    given = given.encode(errors="replace").decode()  # what is not UTF-8 becomes question marks
    if text and not given.strip():
        raise click.UsageError("the query is empty")

    from astrosearch.corpus.filters import Filters
    from astrosearch.search.query_parser import parse
    from astrosearch.search.searcher import open_index

    wanted = Filters(**filters)
    # What is wrong with a query is said before an index is opened and a model loaded.
    parsed = parse(given) if batch is None else None
    with open_index(index_name, reporter=Terminal()) as searcher:
        if batch is not None:
            _answer_batch(batch, lambda texts: searcher.query_batch(texts, k, wanted, mode))
            return
        hits = searcher.query(parsed or given, k, wanted, mode)
        if not hits:
            raise searcher.why_empty(parsed, wanted)
    hits = in_order(hits, sort)
    style = AnswerStyle(output, abstracts, explain)
    write_answer(hits, style, query=" ".join(given.split()), index=searcher.name)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@answer_options
@filter_options
@index_option
def similar(
    ids: tuple[str, ...],
    k: int,
    output: str,
    abstracts: bool,
    explain: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Find the papers nearest to one paper, or to several together.

    \b
    astrosearch similar 2503.14368
    astrosearch similar 2503.14368 astro-ph/9401008 --since 2000
    """
    from astrosearch.corpus.filters import Filters
    from astrosearch.papers import parse_id
    from astrosearch.search.searcher import open_index

    normal = [parse_id(paper_id).id for paper_id in ids]
    wanted = Filters(**filters)
    with open_index(index_name, reporter=Terminal()) as searcher:
        hits = searcher.similar(normal, k, wanted)
        if not hits:
            raise searcher.why_empty(filters=wanted)
    style = AnswerStyle(output, abstracts, explain)
    write_answer(hits, style, query=" ".join(normal), index=searcher.name)


def in_order(hits: "list[Hit]", sort: str) -> "list[Hit]":
    """Hits as `--sort` has them; each keeps its rank."""
    if sort == "date":
        return sorted(hits, key=lambda hit: hit.paper.published, reverse=True)
    return hits


def _answer_batch(file: Path, answer: "Callable[[list[ParsedQuery]], list[list[Hit]]]") -> None:
    """One JSON object for each line of `file`, in order, a few queries at a time. What is wrong
    with a query is said in its object: the others are answered."""
    from astrosearch.cli.views.hits import as_json

    size = 1 if str(file) == "-" else 64  # who pipes a query may wait for its answer
    with click.open_file(str(file), encoding="utf-8-sig", errors="replace") as stream:
        for texts in _batches((line.strip() for line in stream), size):
            for record in _answers(texts, answer):
                write(as_json(record))


def _answers(
    texts: list[str], answer: "Callable[[list[ParsedQuery]], list[list[Hit]]]"
) -> Iterator[dict[str, Any]]:
    from astrosearch.errors import InputError, NothingFound
    from astrosearch.search.query_parser import ParsedQuery, parse

    queries: dict[int, ParsedQuery] = {}
    errors: dict[int, str] = {}
    for place, text in enumerate(texts):
        try:
            queries[place] = parse(text)
        except InputError as error:
            errors[place] = str(error)
    nothing = ParsedQuery("")
    places = [
        place for place, query in queries.items() if query != nothing and not query.identifier
    ]
    answers = answer([queries[place] for place in places]) if places else []
    hits_of = dict(zip(places, answers, strict=True))
    for place, query in queries.items():
        if query.identifier:
            try:
                [hits_of[place]] = answer([query])
            except NothingFound as error:
                errors[place] = str(error)
    for place, text in enumerate(texts):
        hits = [hit.as_record() for hit in hits_of.get(place, ())]
        record: dict[str, Any] = {"query": text, "hits": hits}
        if place in errors:
            record["error"] = errors[place]
        yield record


def _batches(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    from itertools import islice

    while batch := list(islice(texts, size)):
        yield batch


class AnswerStyle(NamedTuple):
    """How an answer is written."""

    format: str
    abstracts: bool = False
    explain: bool = False


def write_answer(hits: "list[Hit]", style: AnswerStyle, *, query: str, index: str) -> None:
    from astrosearch.cli.views.hits import write_hits
    from astrosearch.corpus import sampler

    footer = []
    if any(hit.paper.is_summary for hit in hits):
        footer = [
            "The texts are astrosearch's own summaries of a few notable papers. To search the "
            f"abstracts themselves: {sampler.THE_REAL_THING}"
        ]
    write_hits(hits, footer=footer, query=query, index=index, **style._asdict())

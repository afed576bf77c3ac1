"""`astrosearch query` and `astrosearch similar`: from a question to an answer."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import answer_options, filter_options, index_option, mode_option

if TYPE_CHECKING:
    from astrosearch.corpus.store import Filters
    from astrosearch.encoders.base import Encoder, EncoderSpec, LateInteraction
    from astrosearch.index.reader import Index
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.ranking import Hit, Mode


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--batch",
    metavar="FILE|-",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="One query a line; one JSON object a line comes out.",
)
@mode_option
@answer_options
@filter_options
@index_option
def query(
    text: tuple[str, ...],
    batch: Path | None,
    mode: "Mode",
    k: int,
    output: str,
    abstracts: bool,
    index_name: str | None,
    **filters: Any,
) -> None:
    """Find the papers nearest to TEXT, or to standard input if TEXT is -.

    Words in "quotes" must stand side by side in the title or abstract, those after title: or abs:
    there; stems are compared. author:, cat: and year: filter: year:2016, year:2015-2020,
    year:2015-.

    \b
    astrosearch query "magellanic stream"
    astrosearch query "gas stripped from a dwarf galaxy" --since 2010 --category astro-ph.GA
    astrosearch query 'title:"tidal tails" dwarf galaxy author:hofmann year:2015-2020'
    astrosearch query "NGC 1068" --mode lexical
    pbpaste | astrosearch query - --format bibtex
    astrosearch query --batch questions.txt > answers.jsonl
    """
    if (batch is None) == (not text):
        raise click.UsageError("give a TEXT, - for standard input, or --batch FILE")
    if batch is not None and (output != "table" or abstracts):
        raise click.UsageError("--batch writes JSON lines: leave --format and --abstracts out")
    asked = sys.stdin.read() if text == ("-",) else " ".join(text)
    asked = asked.encode(errors="replace").decode()  # what is no UTF-8 becomes question marks
    if batch is None and not asked.strip():
        raise click.UsageError("the query is empty")

    from astrosearch import paths
    from astrosearch.corpus.store import Filters
    from astrosearch.encoders.loading import load_query_encoder
    from astrosearch.index.reader import Index
    from astrosearch.search import ranking as search
    from astrosearch.search.query_parser import parse

    opened = Index(paths.existing_index(index_name))
    wanted = Filters(**filters)
    if batch is None:
        parse(asked)  # what is wrong with a question is said before a model is loaded
    encoder = None
    if mode != "lexical":
        spec = opened.manifest.encoder
        encoder = load_query_encoder(spec, Terminal())
    if batch is not None:
        _answer_batch(batch, lambda some: search.query(opened, encoder, some, k, wanted, mode))
        return
    hits = find(opened, encoder, asked, k=k, filters=wanted, mode=mode)
    write_answer(opened, hits, output=output, abstracts=abstracts, query=" ".join(asked.split()))


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
    index_name: str | None,
    **filters: Any,
) -> None:
    """Find the papers nearest to one paper, or to several together.

    \b
    astrosearch similar 2503.14368
    astrosearch similar 2503.14368 astro-ph/9401008 --since 2000
    """
    from astrosearch import paths
    from astrosearch.corpus.store import Filters
    from astrosearch.encoders.loading import load_query_encoder
    from astrosearch.index.reader import Index
    from astrosearch.papers import parse_id

    normal = [parse_id(one).id for one in ids]
    opened = Index(paths.existing_index(index_name))
    spec = opened.manifest.encoder
    late = late_encoder(spec, lambda: load_query_encoder(spec, Terminal()))
    hits = find_similar(opened, normal, k=k, filters=Filters(**filters), late=late)
    write_answer(opened, hits, output=output, abstracts=abstracts, query=" ".join(normal))


def find(
    index: "Index",
    encoder: "Encoder | None",
    text: str,
    *,
    k: int,
    filters: "Filters",
    mode: "Mode",
) -> "list[Hit]":
    """
    Raises:
        NothingFound: with what it was that no paper meets.
    """
    from astrosearch.search import ranking as search
    from astrosearch.search.query_parser import parse

    question = parse(text)
    hits = search.query(index, encoder, [question], k, filters, mode)[0]
    if not hits:
        raise search.nothing_found(index, filters, question)
    return hits


def late_encoder(spec: "EncoderSpec", load: "Callable[[], Encoder]") -> "LateInteraction | None":
    """An index's encoder, if it is one that compares papers token by token. If it is not on this
    machine, that is said: papers are compared by their vectors, which lie in the index."""
    from astrosearch.encoders.base import LateInteraction
    from astrosearch.errors import AstrosearchError

    if spec.layers != 0:
        return None
    try:
        encoder = load()
    except AstrosearchError as error:
        notify(f"Papers are compared by their vectors alone: {error}")
        return None
    return encoder if isinstance(encoder, LateInteraction) else None


def find_similar(
    index: "Index",
    ids: list[str],
    *,
    k: int,
    filters: "Filters",
    late: "LateInteraction | None" = None,
) -> "list[Hit]":
    """
    Raises:
        NothingFound: as `find` does.
    """
    from astrosearch.search import ranking as search

    hits = search.similar(index, ids, k, filters, late)
    if not hits:
        raise search.nothing_found(index, filters)
    return hits


def _answer_batch(file: Path, ask: "Callable[[list[ParsedQuery]], list[list[Hit]]]") -> None:
    """One JSON object for each line of `file`, in order, a few queries at a time. What is wrong
    with a query is said in its object: the others are answered."""
    from astrosearch.cli.views.hits import as_json, hit_record
    from astrosearch.errors import InputError
    from astrosearch.search.query_parser import parse

    size = 1 if str(file) == "-" else 64  # who pipes a question may wait for its answer
    with click.open_file(str(file), encoding="utf-8-sig", errors="replace") as stream:
        for texts in _batches((line.strip() for line in stream), size):
            questions: dict[int, ParsedQuery] = {}
            errors: dict[int, str] = {}
            for place, text in enumerate(texts):
                try:
                    questions[place] = parse(text)
                except InputError as error:
                    errors[place] = str(error)
            asked = [place for place, question in questions.items() if question.text]
            found = ask([questions[place] for place in asked]) if asked else []
            answers = dict(zip(asked, found, strict=True))
            for place, text in enumerate(texts):
                hits = [hit_record(hit) for hit in answers.get(place, ())]
                record: dict[str, Any] = {"query": text, "hits": hits}
                if place in errors:
                    record["error"] = errors[place]
                click.echo(as_json(record))


def _batches(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    from itertools import islice

    while some := list(islice(texts, size)):
        yield some


def write_answer(
    index: "Index", hits: "list[Hit]", *, output: str, abstracts: bool, query: str
) -> None:
    from astrosearch.cli.views.hits import write_hits
    from astrosearch.corpus import sampler

    footer = []
    if any(hit.paper.is_summary for hit in hits):
        footer = [
            "The texts are astrosearch's own summaries of a few notable papers. To search the "
            f"abstracts themselves: {sampler.THE_REAL_THING}"
        ]
    write_hits(
        hits,
        format=output,
        footer=footer,
        abstracts=abstracts,
        query=query,
        index=index.folder.name,
    )

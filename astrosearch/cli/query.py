"""`astrosearch query` and `astrosearch similar`."""

import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import (
    CROSS_ENCODER,
    ENTRIES,
    KEYED,
    answer_options,
    complete_paper,
    consent_option,
    expand_option,
    filter_options,
    going_on,
    index_option,
    library_options,
    mode_option,
    ranker_option,
    rerank_option,
    sort_option,
    typed_text,
    was_given,
)

if TYPE_CHECKING:
    from astrosearch.corpus.filters import Filters
    from astrosearch.library.scope import LibraryScope
    from astrosearch.papers import Paper
    from astrosearch.search.hits import Answer
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.ranker import Ranker
    from astrosearch.search.searcher import Expander, Mode, Reranker, Searcher
    from astrosearch.text.bibtex import KeyStyle


class QueryCommand(click.Command):
    """A command whose text may have a word with a minus sign: then it must be quoted."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            letter = error.option_name.removeprefix("-")
            excluded = [word for word in typed if _EXCLUDED.match(word)]
            if not any(letter in word for word in excluded) or letter.startswith("-"):
                raise
            words = takewhile(lambda word: word in excluded or word[:1] != "-", typed)
            text = " ".join(words)
            if text in ("", *excluded) or '"' in text:
                text = f"dark matter {excluded[0]}"
            raise click.UsageError(
                f"a query with {excluded[0]} has to be in quotation marks: "
                f'astrosearch query "{text}"',
                ctx,
            ) from None


_EXCLUDED = re.compile(r"-[^\W\d][\w:]")


@click.command(cls=QueryCommand)
@click.argument("text", nargs=-1)
@click.option(
    "--batch",
    metavar="FILE|-",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="Answer the queries of a file, one on each line; write one JSON object for each.",
)
@mode_option
@ranker_option
@rerank_option
@expand_option
@sort_option
@answer_options
@filter_options
@library_options
@consent_option
@index_option
@going_on
def query(
    text: tuple[str, ...],
    batch: Path | None,
    mode: "Mode",
    ranker: "Ranker",
    rerank: str | None,
    expand: str | None,
    sort: str,
    k: int,
    output: str,
    abstracts: bool,
    explain: bool,
    key: "KeyStyle | None",
    within: str | None,
    beyond: str | None,
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> "list[Paper]":
    """Find the papers that match TEXT best.

    With - for TEXT, the query is read from standard input. Words in "quotes" must stand side by
    side in the title or the abstract; words after title: or abs: must stand in that field. Endings
    are ignored: galaxies matches galaxy. author:, cat:, year: and pubdate: are filters: year:2016,
    year:2015-2020, year:2015-, pubdate:2016-05. A minus sign or NOT excludes: -word, -author:name.
    OR leaves a choice of filters or phrases: author:(lee OR wu). A line says what of TEXT is not
    understood, and whether the papers have little to do with it.

    Papers of an author that TEXT names come first. An arXiv identifier, a DOI or a bibcode finds
    that paper, and papers like it. Filters without TEXT list the newest papers that pass.

    \b
    astrosearch query "magellanic stream"
    astrosearch query "gas stripped from a dwarf" --since 2010 --author putman
    astrosearch query 'title:"tidal tails" dwarf author:hofmann year:2015-2020'
    astrosearch query "NGC 1068" --mode lexical
    astrosearch query "papers by Madhusudhan on atmospheres"
    astrosearch query "does the Hubble tension survive without Cepheids?" --rerank
    astrosearch query 2309.06126
    astrosearch query author:hofmann -k 20
    astrosearch query "tidal tails" --in tag:dwarfs
    astrosearch query "tidal tails" -k 3 --open 2 --copy
    pbpaste | astrosearch query - --format bibtex
    astrosearch query --batch questions.txt > answers.jsonl
    """
    has_filters = any(value is not None for value in (*filters.values(), within, beyond))
    if text if batch is not None else not (text or has_filters):
        raise click.UsageError("give a TEXT, - for standard input, --batch FILE, or a filter")
    if batch is not None and (within or beyond):
        raise click.UsageError("--batch searches all papers: leave --in and --not-in out")
    of_answers = ("output", "abstracts", "explain", "key", "sort", "opened", "copied")
    styled = any(map(was_given, of_answers))
    if batch is not None and styled:
        raise click.UsageError(
            "--batch writes JSON lines: leave --format, --sort, --abstracts, --explain, --key, "
            "--open and --copy out"
        )
    typed = typed_text(text)
    if text and not typed.strip():
        raise click.UsageError("the query is empty")

    from astrosearch.corpus.filters import Filters
    from astrosearch.search.query_parser import parse

    option_filters = Filters(**filters)
    # Errors of the query come before an index is opened and a model loaded.
    parsed = parse(typed)
    scope = scope_of(within, beyond)
    with open_ordering(
        index_name,
        Terminal(yes=yes),
        mode=mode,
        query=parsed if batch is None else None,
        ranker=ranker if was_given("ranker") else None,
        rerank=rerank,
        expand=expand,
    ) as searcher:
        if batch is not None:
            _answer_batch(batch, searcher, k, option_filters, mode)
            return []
        answer = scope.answer(searcher, parsed, k, option_filters, mode)
        for note in answer.notes:
            notify(note)
        if not answer.hits:
            raise scope.why_empty(searcher, parsed, option_filters)
    from astrosearch.search.hits import in_order

    answer = in_order(answer, sort)
    style = AnswerStyle(output, abstracts, explain, key)
    return write_answer(answer, style, query=" ".join(typed.split()), index=searcher.name)


@click.command()
@click.argument("ids", nargs=-1, required=True, shell_complete=complete_paper)
@click.option(
    "--by",
    type=click.Choice(["text", "citations"]),
    default="text",
    show_default=True,
    help="By what the papers say, or by what they cite and what cites them.",
)
@sort_option
@answer_options
@mode_option
@ranker_option
@filter_options
@library_options
@consent_option
@index_option
@going_on
def similar(
    ids: tuple[str, ...],
    by: str,
    sort: str,
    k: int,
    output: str,
    abstracts: bool,
    explain: bool,
    key: "KeyStyle | None",
    mode: "Mode",
    ranker: "Ranker",
    within: str | None,
    beyond: str | None,
    yes: bool,
    index_name: str | None,
    **filters: Any,
) -> "list[Paper]":
    """Find the papers most like one paper, or several together.

    With --by citations these are papers that cite the same works, and that are cited together with
    them. The index must have citations: astrosearch citations --help.

    \b
    astrosearch similar 2503.14368
    astrosearch similar 2503.14368 astro-ph/9401008 --since 2000
    astrosearch similar 2503.14368 --by citations
    """
    if by == "citations" and (was_given("mode") or was_given("ranker")):
        raise click.UsageError("--mode and --ranker have no effect with --by citations")
    from astrosearch.corpus.filters import Filters
    from astrosearch.papers import parse_id
    from astrosearch.search.searcher import open_index

    normal = [parse_id(paper_id).id for paper_id in ids]
    option_filters = Filters(**filters)
    scope = scope_of(within, beyond)
    with open_index(index_name, reporter=Terminal(yes=yes), ranker=ranker) as searcher:
        if by == "citations":
            hits = searcher.similar_by_citations(normal, k, option_filters, scope.among)
        else:
            check_ranker(mode, searcher, is_given=was_given("ranker"))
            hits = scope.similar(searcher, normal, k, option_filters, mode)
        if not hits:
            raise scope.why_empty(searcher, None, option_filters)
    from astrosearch.search.hits import Answer, in_order

    answer = in_order(Answer(hits), sort)
    style = AnswerStyle(output, abstracts, explain, key)
    return write_answer(answer, style, query=" ".join(normal), index=searcher.name)


def open_ordering(
    index_name: str | None,
    reporter: Terminal,
    *,
    mode: "Mode",
    query: "ParsedQuery | None",
    ranker: "Ranker | None",
    rerank: str | None,
    expand: str | None,
) -> "Searcher":
    """An index, opened as `--ranker`, `--rerank` and `--expand` say. A line says so where one of
    them has no effect.

    Args:
        query: what will be asked; None for many queries.
        ranker: None if nothing was said.

    Raises:
        InputError: if the cross-encoder is to add to an order that is not the learnt one.
        SetupError: if the key of a service is missing.
        IndexMissing, IndexDamaged: as `open_index` does.
    """
    from astrosearch.errors import InputError
    from astrosearch.search.searcher import open_index

    if rerank == CROSS_ENCODER and (mode == "lexical" or ranker == "mean"):
        other = "--mode lexical" if mode == "lexical" else "--ranker mean"
        raise InputError(
            f"--rerank adds to the learnt order of hits, which {other} does not have: leave "
            f"{other} out, or --rerank"
        )
    searcher = open_index(
        index_name,
        reporter=reporter,
        ranker=ranker or "learnt",
        reranker=_reranker_of(rerank, reporter) if rerank else None,
        expander=_expander_of(expand, mode, query, reporter),
    )
    if query is not None and not query.text and query.identifier is None:
        given = [f"--mode {mode}"] if mode != "hybrid" else []
        given += [f"--ranker {ranker}"] if ranker else []
        if given:
            have = "has" if len(given) == 1 else "have"
            notify(
                f"{' and '.join(given)} {have} no effect on filters alone: the newest papers come "
                "first"
            )
        return searcher
    if rerank == CROSS_ENCODER and not searcher.index.manifest.encoder.is_static:
        with searcher:
            raise InputError(
                f"--rerank adds to the learnt order of hits, which index {searcher.name} does not "
                "have, because its encoder compares no tokens: leave --rerank out"
            )
    check_ranker(mode, searcher, is_given=ranker is not None)
    return searcher


def _reranker_of(name: str, reporter: Terminal) -> "Reranker":
    """What `--rerank` names.

    Raises:
        SetupError: if a service's key is missing.
    """
    if name == CROSS_ENCODER:
        from astrosearch.search.cross_encoder import shipped_cross_encoder

        return shipped_cross_encoder()
    from astrosearch.completion.rerank import ChatReranker

    return ChatReranker(name, reporter)


def _expander_of(
    name: str | None, mode: "Mode", query: "ParsedQuery | None", reporter: Terminal
) -> "Expander | None":
    """What `--expand` names; None, and a line, where it has no effect.

    Raises:
        SetupError: if the service's key is missing.
    """
    if name is None:
        return None
    if mode == "lexical" or (query and (not query.text or query.identifier is not None)):
        notify("--expand has no effect without a meaning to search by")
        return None
    from astrosearch.completion.expand import ChatExpander

    return ChatExpander(name, reporter)


def check_ranker(mode: "Mode", searcher: "Searcher", *, is_given: bool) -> None:
    """Say so where `--ranker` was given and has no effect."""
    if not is_given:
        return
    if mode == "lexical":
        notify("--ranker has no effect with --mode lexical: BM25 is the order")
    elif not searcher.index.manifest.encoder.is_static:
        notify(
            f"--ranker has no effect on index {searcher.name}: its encoder does not compare "
            "tokens, so there is no learnt order for it"
        )


def scope_of(within: str | None, beyond: str | None) -> "LibraryScope":
    """The papers that `--in` and `--not-in` leave. The library is read only if one is given."""
    from astrosearch.library.scope import LibraryScope

    return LibraryScope.of(within, beyond)


def _answer_batch(
    file: Path, searcher: "Searcher", k: int, filters: "Filters", mode: "Mode"
) -> None:
    """Write one JSON object for each line of `file`, in order. The object of a bad query holds its
    error; the others are answered."""
    from astrosearch.cli.views.hits import as_json
    from astrosearch.search.batch import answer_records

    size = 1 if str(file) == "-" else 64  # a pipe may wait for each answer
    with click.open_file(str(file), encoding="utf-8-sig", errors="replace") as stream:
        for texts in _batches((line.strip() for line in stream), size):
            for record in answer_records(searcher, texts, k, filters, mode):
                write(as_json(record))


def _batches(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    from itertools import islice

    while batch := list(islice(texts, size)):
        yield batch


class AnswerStyle(NamedTuple):
    """How hits are written: the options --format, --abstracts, --explain and --key."""

    format: str
    abstracts: bool = False
    explain: bool = False
    key: "KeyStyle | None" = None


def write_answer(answer: "Answer", style: AnswerStyle, *, query: str, index: str) -> "list[Paper]":
    """Write hits to standard output, and return their papers. Below summaries, say that they are
    not the abstracts."""
    from astrosearch.cli.views.hits import write_hits

    footer = []
    for option in ("abstracts", "explain"):
        shown = option == "abstracts" and style.format == "markdown"
        if style.format in ENTRIES and getattr(style, option) and not shown:
            footer.append(f"--{option} has no effect with --format {style.format}")
    if style.key and style.format not in KEYED:
        footer.append(f"--key has no effect with --format {style.format}")
    if any(hit.paper.is_summary for hit in answer.hits):
        footer.append(
            "The texts are astrosearch's own summaries of a few notable papers. To search the "
            "abstracts themselves: astrosearch index astro "
            "--corpus arxiv-metadata-oai-snapshot.json --category astro-ph"
        )
    _remember(answer)
    write_hits(
        answer.hits,
        footer=footer,
        query=query,
        index=index,
        notes=answer.notes,
        is_weak=answer.is_weak,
        meant=answer.meant,
        **style._asdict(),
    )
    return [hit.paper for hit in answer.hits]


def _remember(answer: "Answer") -> None:
    """Keep the identifiers for the Tab key; where nothing can be written, there is nothing to
    offer."""
    from contextlib import suppress

    from astrosearch import paths

    file = paths.last_answer_file()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        ids = "".join(f"{hit.paper.id}\n" for hit in answer.hits).encode()
        # What somebody reads is private. A file that is emptied first takes milliseconds.
        stream = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.truncate(stream, os.write(stream, ids))
        finally:
            os.close(stream)

"""Many queries at once: the answer to each, or why it has none."""

from collections.abc import Iterator, Sequence

from astrosearch.corpus.filters import Filters
from astrosearch.errors import (
    AstrosearchError,
    EncoderMismatch,
    IndexDamaged,
    InputError,
    NothingFound,
    SetupError,
)
from astrosearch.search.hits import Answer
from astrosearch.search.query_parser import ParsedQuery, parse
from astrosearch.search.searcher import Mode, Searcher


def answer_records(
    searcher: Searcher, texts: Sequence[str], k: int, filters: Filters, mode: Mode = "hybrid"
) -> Iterator[dict[str, object]]:
    """The answer to each text for JSON, in order: `query`, the fields of `Answer.as_record`, and
    `error` where a query is bad or has no hits. All texts are encoded together; but where each is
    read by a reranker or an expander, one is answered after the other, and what fails at it is its
    `error`.

    Raises:
        AstrosearchError: what fails for every text.
    """
    if not searcher.reads_each_query:
        yield from _records(searcher, texts, k, filters, mode)
        return
    for text in texts:
        try:
            yield from list(_records(searcher, [text], k, filters, mode))
        except (SetupError, IndexDamaged, EncoderMismatch):
            raise
        except AstrosearchError as error:
            yield {"query": text, **Answer([]).as_record(), "error": str(error)}


def _records(
    searcher: Searcher, texts: Sequence[str], k: int, filters: Filters, mode: Mode
) -> Iterator[dict[str, object]]:
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
    found = searcher.answers([queries[place] for place in places], k, filters, mode)
    answers = dict(zip(places, found, strict=True))
    for place, query in queries.items():
        try:
            if query.identifier:
                [answers[place]] = searcher.answers([query], k, filters, mode)
            elif query != nothing and not answers[place].hits:
                raise searcher.why_empty(query, filters)
        except NothingFound as error:
            errors[place] = str(error)
    for place, text in enumerate(texts):
        record = {"query": text, **answers.get(place, Answer([])).as_record()}
        if place in errors:
            record["error"] = errors[place]
        yield record

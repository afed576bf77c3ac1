"""The answer to each kind of request, as the bytes that are sent. It is worked out in a process of
its own (`workers.py`)."""

import base64
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch import paths
from astrosearch.errors import (
    AstrosearchError,
    IdentifierError,
    InputError,
    NothingFound,
    SetupError,
)
from astrosearch.index.manifest import Manifest
from astrosearch.index.map import PaperMap, read_map
from astrosearch.index.reader import Index
from astrosearch.library.scope import LibraryScope
from astrosearch.library.store import Library
from astrosearch.papers import Paper
from astrosearch.search.batch import answer_records
from astrosearch.search.conditions import Among
from astrosearch.search.hits import Answer, in_order, paper_record
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.query_parser import parse
from astrosearch.search.searcher import DEPTH, Searcher
from astrosearch.server import requests
from astrosearch.server.formats import MEDIA_TYPES, write_papers
from astrosearch.server.library_answers import OWN_ANSWERS
from astrosearch.server.marking import marked_paper, marked_title, readable, terms_of
from astrosearch.server.searchers import Reply, Searchers, is_there
from astrosearch.server.settings import MOST_HITS, MOST_PER_PAGE, Offer
from astrosearch.text.marks import marked

COMPARED = 10_000
"""Papers among which two are compared: enough for a percentile, and a tenth of a second."""


def query(searchers: Searchers, asked: requests.QueryRequest) -> Reply:
    filters = asked.filters()
    text = " ".join((asked.q or "").split())
    if not text and not _has_filters(asked):
        raise InputError("there is nothing to look for: give words or a filter")
    parsed = parse(text)
    searcher = searchers(asked.index)
    answer = Answer([])
    try:
        scope = _scope(searchers, searcher, asked)
        answer = _ranked(asked, lambda k: scope.answer(searcher, parsed, k, filters, asked.mode))
        if not answer.hits:
            raise scope.why_empty(searcher, parsed, filters)
    except NothingFound as error:
        answer = Answer([], (*parsed.notes, str(error)), meant=answer.meant)
    return _page(searcher, asked, answer, text, parsed.text)


def similar(searchers: Searchers, asked: requests.SimilarRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    scope = _scope(searchers, searcher, asked)
    answer = _ranked(
        asked, lambda k: Answer(scope.similar(searcher, asked.id, k, filters, asked.mode))
    )
    if not answer.hits:
        answer = Answer([], (str(scope.why_empty(searcher, None, filters)),))
    return _page(searcher, asked, answer, " ".join(asked.id), "")


def cite(searchers: Searchers, asked: requests.CiteRequest) -> Reply:
    filters, day = asked.filters(), asked.day()
    searcher = searchers(asked.index)
    answer = _ranked(
        asked,
        lambda k: Answer(searcher.cite(asked.id, k, filters, before=day, no_self=asked.no_self)),
    )
    if not answer.hits:
        last = day or max(searcher.paper(name).published for name in asked.id)
        last = min(last, filters.until or last)
        answer = Answer([], (str(searcher.why_empty(filters=replace(filters, until=last))),))
    return _page(searcher, asked, answer, " ".join(asked.id), "")


def ask(searchers: Searchers, asked: requests.AskRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    scope = _scope(searchers, searcher, asked)
    question = " ".join(asked.q.split())
    answer = searcher.ask(question, asked.k, filters, scope.among)
    record: dict[str, Any] = {"index": searcher.name, **answer.as_record()}
    if asked.marked:
        terms = terms_of(question)
        for group in record["groups"]:
            for quote in group["quotes"]:
                quote["marked"] = {"text": marked(readable(quote["text"]), terms)}
        for source, paper in zip(record["sources"], answer.sources, strict=True):
            source["marked"] = marked_title(paper)
    return Reply(orjson.dumps(record))


def paper(searchers: Searchers, asked: requests.PaperRequest) -> Reply:
    searcher = searchers(asked.index)
    found = _paper(searchers, searcher, asked.id)
    if asked.format not in (None, "json"):
        body = write_papers([found], asked.format, asked.key, found.id)
        return Reply(body, MEDIA_TYPES[asked.format])
    record = paper_record(found)
    if asked.marked:
        record["marked"] = marked_paper(found, terms_of(asked.q or ""))
    return Reply(orjson.dumps({"index": searcher.name, **record}))


def citations(searchers: Searchers, asked: requests.CitationsRequest) -> Reply:
    searcher = searchers(asked.index)
    linked = searcher.references if asked.links == "references" else searcher.citations
    works = linked(asked.id)
    end = asked.offset + asked.k
    next_offset = end if end < len(works) else None
    record = {
        "index": searcher.name,
        "total": len(works),
        "next_offset": next_offset,
        "works": [work.as_record() for work in works[asked.offset : end]],
    }
    return Reply(orjson.dumps(record), next_offset=next_offset)


def _paper(searchers: Searchers, searcher: Searcher, name: str) -> Paper:
    """A paper of the index, or one of the library that the index does not have."""
    try:
        return searcher.paper(name)
    except (IdentifierError, NothingFound):
        if not searchers.shows_library:
            raise
        own = [one for one in Library.read().papers if name in (one.key, one.id)]
        if not own:
            raise
        return own[0].paper


def compare(searchers: Searchers, asked: requests.CompareRequest) -> Reply:
    from astrosearch.comparison.compare import compare_pair, compare_several

    searcher = searchers(asked.index)
    pool_size = min(COMPARED, len(searcher))
    if len(asked.id) == 2:
        first, second = asked.id
        record = compare_pair(searcher, first, second, pool_size=pool_size).as_record()
        record["pair"] = [readable(name) for name in record["pair"]]
        for sentences in record["sentences"]:
            sentences |= {name: readable(sentences[name]) for name in ("one", "other")}
    else:
        record = compare_several(searcher, asked.id, pool_size=pool_size).as_record()
    return Reply(orjson.dumps({"index": searcher.name, **record}))


def facets(searchers: Searchers, asked: requests.FacetsRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    counts = searcher.index.corpus.facets(filters)
    years = {str(year): count for year, count in counts.years.items()}
    record = {"index": searcher.name, "years": years, "categories": counts.categories}
    return Reply(orjson.dumps(record))


def paper_map(searchers: Searchers, asked: requests.MapRequest) -> Reply:
    index = searchers(asked.index).index
    drawn = read_map(index.folder)
    counts = _citation_counts(index, drawn)
    known = index.corpus.ids() if drawn.snapshot != index.manifest.snapshot else drawn.ids
    missing = len(set(known).difference(drawn.ids)) if known is not drawn.ids else 0
    body = drawn.as_bytes(
        citations=counts, index=index.folder.name, snapshot=drawn.snapshot, missing=missing
    )
    return Reply(body, "application/octet-stream")


@lru_cache(maxsize=1)
def _citation_counts(index: Index, drawn: PaperMap) -> NDArray[np.int64] | None:
    return LocalIndex(index).citation_counts_of(drawn.ids)


def batch(searchers: Searchers, asked: requests.BatchRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    answers = list(answer_records(searcher, asked.queries, asked.k, filters, asked.mode))
    return Reply(orjson.dumps({"index": searcher.name, "answers": answers}))


def embed(searchers: Searchers, asked: requests.EmbeddingRequest) -> Reply:
    texts = asked.texts()
    encoder = searchers.of_encoder(asked.model).encoder
    if asked.dimensions not in (None, encoder.dimension):
        raise InputError(
            f"{asked.model} has {encoder.dimension} dimensions, not {asked.dimensions}"
        )
    encoded = encoder.encode_counted(texts)
    data = [
        {"object": "embedding", "index": place, "embedding": _vector(vector, asked.encoding_format)}
        for place, vector in enumerate(encoded.vectors.astype(np.float32))
    ]
    usage = {"prompt_tokens": encoded.tokens, "total_tokens": encoded.tokens}
    record = {"object": "list", "model": asked.model, "data": data, "usage": usage}
    return Reply(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY))


ANSWERS: dict[type, Callable[[Searchers, Any], Reply]] = {
    **OWN_ANSWERS,
    requests.QueryRequest: query,
    requests.SimilarRequest: similar,
    requests.CiteRequest: cite,
    requests.AskRequest: ask,
    requests.PaperRequest: paper,
    requests.CitationsRequest: citations,
    requests.CompareRequest: compare,
    requests.FacetsRequest: facets,
    requests.MapRequest: paper_map,
    requests.BatchRequest: batch,
    requests.EmbeddingRequest: embed,
}
"""The function that answers each kind of request."""


def index_records(offer: Offer) -> list[dict[str, Any]]:
    """What is known of each index without opening it."""
    records: list[dict[str, Any]] = []
    for name in offer.names():
        try:
            manifest = Manifest.read(paths.index_folder(name), check_files=False)
        except AstrosearchError:
            error = "the index is damaged" if is_there(name) else "the index is not there any more"
            records.append({"name": name, "error": error})
            continue
        records.append(
            {
                "name": name,
                "papers": manifest.count,
                "snapshot": manifest.snapshot,
                "built": manifest.built,
                "encoder": manifest.encoder.short_name,
                "is_service": manifest.encoder.is_service,
                "dimension": manifest.dimension,
            }
        )
    return records


def _has_filters(asked: requests.QueryRequest) -> bool:
    filters = (asked.since, asked.until, asked.category, asked.author)
    return any((*filters, asked.area, asked.within, asked.beyond))


def _scope(searchers: Searchers, searcher: Searcher, asked: requests.Mapped) -> LibraryScope:
    """The papers among which the answer is looked for.

    Raises:
        NothingFound: if the index has no map, but a part of it is asked for.
        NotOffered: if a part of the library is asked for that is not for clients.
    """
    if asked.within or asked.beyond:
        searchers.check_library()
    scope = LibraryScope.of(asked.within, asked.beyond)
    if asked.area is None:
        return scope
    corners = np.array(asked.area.split(","), dtype=np.int64)
    if len(corners) % 2:
        raise InputError("area has an x without a y")
    there = frozenset(read_map(searcher.index.folder).within(corners.reshape(-1, 2)))
    own = scope.among
    names = " and ".join(filter(None, (own.name, "in this part of the map")))
    within = there if own.within is None else there & own.within
    return LibraryScope(Among(within, own.beyond, names))


def _ranked(asked: requests.Paged, search: Callable[[int], Answer]) -> Answer:
    """The answer up to one hit more than are wanted, which tells whether there are more.

    Beyond the depth of ranking, the order depends on how deep an index is searched. So there is one
    depth for all pages there, and the hits of the first pages are left out of them.

    Args:
        search: gives the best hits, as many as it is told.
    """
    wanted = asked.offset + asked.k + 1
    if wanted <= DEPTH:
        return search(wanted)
    answer = search(DEPTH)
    if len(answer.hits) < DEPTH:
        return answer
    first = {hit.paper.id for hit in answer.hits}
    deep = search(MOST_HITS + MOST_PER_PAGE)
    further = [hit for hit in deep.hits if hit.paper.id not in first]
    hits = [replace(hit, rank=rank) for rank, hit in enumerate(further, start=DEPTH + 1)]
    return replace(answer, hits=[*answer.hits, *hits])


def _page(
    searcher: Searcher, asked: requests.Paged, answer: Answer, query: str, marks: str
) -> Reply:
    """The hits of a page.

    Args:
        marks: the text whose words are marked.
    """
    end = asked.offset + asked.k
    hits = answer.hits[asked.offset : end]
    more = len(answer.hits) > end and end < MOST_HITS
    next_offset = end if more else None
    try:
        answer = in_order(replace(answer, hits=hits), asked.sort)
    except SetupError as error:
        raise InputError(str(error)) from None
    hits = answer.hits
    if asked.format not in (None, "json"):
        papers = [hit.paper for hit in hits]
        body = write_papers(papers, asked.format, asked.key, query or "newest papers")
        return Reply(body, MEDIA_TYPES[asked.format], next_offset)
    record = {
        "query": query,
        "index": searcher.name,
        "next_offset": next_offset,
        **answer.as_record(),
    }
    if asked.marked:
        terms = terms_of(marks)
        record["hits"] = [
            {**hit.as_record(), "marked": marked_title(hit.paper, terms)} for hit in hits
        ]
    return Reply(orjson.dumps(record), next_offset=next_offset)


def _vector(vector: Any, encoding_format: str) -> object:
    """A vector as OpenAI writes it: its numbers, or its little-endian float32 in base64."""
    if encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector

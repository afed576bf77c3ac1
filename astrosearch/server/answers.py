"""The answer to each kind of request, as the bytes that are sent. It is worked out in a process of
its own (`workers.py`)."""

import base64
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson

from astrosearch import paths
from astrosearch.errors import AstrosearchError, InputError, NothingFound
from astrosearch.index.manifest import Manifest
from astrosearch.index.map import read_map
from astrosearch.report import SILENT, Reporter
from astrosearch.search.batch import answer_records
from astrosearch.search.conditions import ALL, Among
from astrosearch.search.hits import Answer, Hit, paper_record
from astrosearch.search.query_parser import parse
from astrosearch.search.searcher import DEPTH, Searcher, open_index
from astrosearch.server import requests
from astrosearch.server.formats import MEDIA_TYPES, write_papers
from astrosearch.server.settings import MOST_HITS, Offer
from astrosearch.text.marks import marked, terms_to_mark
from astrosearch.text.tex import one_line, to_unicode

MOST_OPEN = 4
"""Indexes that a worker keeps open."""

COMPARED = 10_000
"""Papers among which two are compared: enough for a percentile, and a tenth of a second."""


class Reply(NamedTuple):
    """What is sent."""

    body: bytes
    media_type: str = MEDIA_TYPES["json"]
    next_offset: int | None = None
    """Where the next page begins, if there is one."""


class Searchers:
    """The open indexes of a worker."""

    def __init__(self, offer: Offer, reporter: Reporter = SILENT) -> None:
        self._offer = offer
        self._reporter = reporter
        self._open: OrderedDict[str, Searcher] = OrderedDict()

    def __call__(self, name: str | None) -> Searcher:
        """
        Raises:
            NothingFound: if the index is not served.
        """
        name = self._offer.choose(name)
        if name not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[name] = open_index(name, reporter=self._reporter)
        self._open.move_to_end(name)
        return self._open[name]

    def of_encoder(self, model: str) -> Searcher:
        """
        Raises:
            NothingFound: if no index has an encoder of that name, or if it is not of this machine.
        """
        known = []
        for name in self._offer.names():
            searcher = self(name)
            spec = searcher.index.manifest.encoder
            if spec.is_service:
                continue
            if spec.short_name == model:
                return searcher
            known.append(spec.short_name)
        names = ", ".join(dict.fromkeys(known))
        raise NothingFound(f"there is no model {model!r} here; there are: {names}")


def query(searchers: Searchers, asked: requests.QueryRequest) -> Reply:
    filters = asked.filters()
    text = " ".join((asked.q or "").split())
    if not text and not _has_filters(asked):
        raise InputError("there is nothing to look for: give q or a filter")
    parsed = parse(text)
    searcher = searchers(asked.index)
    try:
        among = _among(searcher, asked)
        [answer] = searcher.answers([parsed], _depth(asked), filters, asked.mode, among=among)
        if not answer.hits:
            raise searcher.why_empty(parsed, filters, among)
    except NothingFound as error:
        answer = Answer([], (*parsed.notes, str(error)))
    return _page(searcher, asked, answer, text, parsed.text)


def similar(searchers: Searchers, asked: requests.SimilarRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    among = _among(searcher, asked)
    hits = searcher.similar(asked.id, _depth(asked), filters, asked.mode, among)
    notes = () if hits else (str(searcher.why_empty(filters=filters, among=among)),)
    return _page(searcher, asked, Answer(hits, notes), " ".join(asked.id), "")


def cite(searchers: Searchers, asked: requests.CiteRequest) -> Reply:
    filters, day = asked.filters(), asked.day()
    if asked.area is not None:
        raise InputError("what to cite is looked for on the whole map: leave area out")
    searcher = searchers(asked.index)
    hits = searcher.cite(asked.id, _depth(asked), filters, before=day, no_self=asked.no_self)
    notes = () if hits else (str(searcher.why_empty(filters=filters)),)
    return _page(searcher, asked, Answer(hits, notes), " ".join(asked.id), "")


def ask(searchers: Searchers, asked: requests.AskRequest) -> Reply:
    filters = asked.filters()
    searcher = searchers(asked.index)
    answer = searcher.ask(" ".join(asked.q.split()), asked.k, filters)
    return Reply(orjson.dumps({"index": searcher.name, **answer.as_record()}))


def paper(searchers: Searchers, asked: requests.PaperRequest) -> Reply:
    searcher = searchers(asked.index)
    found = searcher.paper(asked.id)
    if asked.format not in (None, "json"):
        body = write_papers([found], asked.format, asked.key, found.id)
        return Reply(body, MEDIA_TYPES[asked.format])
    record = paper_record(found)
    if asked.marked:
        terms = _terms(asked.q or "")
        record["marked"] = {
            "title": marked(_readable(found.title), terms),
            "abstract": marked(_readable(found.abstract), terms),
        }
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


def compare(searchers: Searchers, asked: requests.CompareRequest) -> Reply:
    from astrosearch.comparison.compare import compare_pair, compare_several

    searcher = searchers(asked.index)
    pool_size = min(COMPARED, len(searcher))
    if len(asked.id) == 2:
        first, second = asked.id
        record = compare_pair(searcher, first, second, pool_size=pool_size).as_record()
        record["pair"] = [_readable(name) for name in record["pair"]]
        for sentences in record["sentences"]:
            sentences |= {name: _readable(sentences[name]) for name in ("one", "other")}
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
    known = index.corpus.ids() if drawn.snapshot != index.manifest.snapshot else drawn.ids
    missing = len(set(known).difference(drawn.ids)) if known is not drawn.ids else 0
    body = drawn.as_bytes(index=index.folder.name, snapshot=drawn.snapshot, missing=missing)
    return Reply(body, "application/octet-stream")


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
            records.append({"name": name, "error": "the index is damaged"})
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


def _has_filters(asked: requests.Paged) -> bool:
    return any((asked.since, asked.until, asked.category, asked.author, asked.area))


def _among(searcher: Searcher, asked: requests.Paged) -> Among:
    """The papers of the part of the map that is asked for.

    Raises:
        NothingFound: if the index has no map.
    """
    if asked.area is None:
        return ALL
    corners = np.array(asked.area.split(","), dtype=np.int64)
    if len(corners) % 2:
        raise InputError("area has an x without a y")
    drawn = read_map(searcher.index.folder)
    return Among(frozenset(drawn.within(corners.reshape(-1, 2))), name="in this part of the map")


def _depth(asked: requests.Paged) -> int:
    """How many hits are looked for: one more than are wanted, which tells whether there are more.
    Beyond the depth of ranking the order may depend on it, so it grows in steps: pages of one
    step fit together."""
    wanted = asked.offset + asked.k + 1
    return wanted if wanted <= DEPTH else -(-wanted // DEPTH) * DEPTH


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
    if asked.sort == "date":
        hits = sorted(hits, key=lambda hit: hit.paper.published, reverse=True)
    if asked.format not in (None, "json"):
        papers = [hit.paper for hit in hits]
        body = write_papers(papers, asked.format, asked.key, query or "newest papers")
        return Reply(body, MEDIA_TYPES[asked.format], next_offset)
    record = {
        "query": query,
        "index": searcher.name,
        "next_offset": next_offset,
        **Answer(hits, answer.notes, answer.is_weak).as_record(),
    }
    if asked.marked:
        terms = _terms(marks)
        record["hits"] = [_marked_hit(hit, terms) for hit in hits]
    return Reply(orjson.dumps(record), next_offset=next_offset)


def _marked_hit(hit: Hit, terms: frozenset[str]) -> dict[str, object]:
    return {**hit.as_record(), "marked": {"title": marked(_readable(hit.paper.title), terms)}}


def _terms(query: str) -> frozenset[str]:
    return terms_to_mark(query) if query else frozenset()


@lru_cache(maxsize=4096)
def _readable(text: str) -> str:
    return one_line(to_unicode(text))


def _vector(vector: Any, encoding_format: str) -> object:
    """A vector as OpenAI writes it: its numbers, or its little-endian float32 in base64."""
    if encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector

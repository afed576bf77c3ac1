"""The answers that come from the user's own files: library, saved searches, new papers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import orjson

from astrosearch.errors import InputError
from astrosearch.library import add, digest, facts, searches
from astrosearch.library.marks import Marks, check_tag
from astrosearch.library.searches import SavedSearch
from astrosearch.library.store import Library, LibraryPaper, changing
from astrosearch.search.hits import in_order
from astrosearch.server import requests
from astrosearch.server.formats import MEDIA_TYPES, write_papers
from astrosearch.server.marking import marked_title, terms_of
from astrosearch.server.searchers import Reply, Searchers


def library(searchers: Searchers, asked: requests.LibraryRequest) -> Reply:
    searchers.check_library()
    own = Library.read()
    chosen = own.select(asked.within)[::-1]
    if asked.format == "bibtex":  # as the entries stand there
        return Reply(f"{own.export(chosen)}\n".encode() if chosen else b"", MEDIA_TYPES["bibtex"])
    if asked.format not in (None, "json"):
        papers = [one.paper for one in chosen]
        body = write_papers(papers, asked.format, asked.key, asked.within)
        return Reply(body, MEDIA_TYPES[asked.format])
    record = {
        "papers": [_paper_record(one) for one in chosen],
        "tags": own.tags(),
        "notes": own.problems,
    }
    return Reply(orjson.dumps(record))


def mark(searchers: Searchers, asked: requests.MarkRequest) -> Reply:
    searchers.check_library()
    wanted = asked.marks.model_dump(exclude={"index"}, exclude_none=True)
    if "tags" in wanted:
        tags = {tag.casefold(): tag for tag in map(check_tag, wanted["tags"])}
        wanted["tags"] = tuple(tags.values())

    def change(marks: Marks) -> Marks:
        return replace(marks, **wanted)

    [changed] = add.mark(searchers(asked.marks.index), [asked.id], change)
    return Reply(orjson.dumps(_paper_record(changed)))


def remove(searchers: Searchers, asked: requests.RemoveRequest) -> Reply:
    searchers.check_library()
    with changing() as change:
        paper = change.library.find(asked.id)
        change.remove([paper])
    return Reply(orjson.dumps(_paper_record(paper)))


def new(searchers: Searchers, asked: requests.NewRequest) -> Reply:
    searchers.check_library()
    filters = asked.filters()
    searcher = searchers(asked.index)
    found, problems = digest.read_digest(searcher, filters, asked.k, again=asked.again)
    papers = [suggestion.paper for suggestion in found.suggestions]
    if asked.format not in (None, "json"):
        body = write_papers(papers, asked.format, asked.key, f"new papers of {searcher.name}")
        return Reply(body, MEDIA_TYPES[asked.format])
    if not found.new:
        problems.append(
            f"No paper since {found.since} is new to you; the newest is of {searcher.newest_day()}."
        )
    elif not found.library:
        problems.append("The library is empty, so the newest come first.")
    hits = [suggestion.as_record() for suggestion in found.suggestions]
    if asked.marked:
        for hit, paper in zip(hits, papers, strict=True):
            hit["marked"] = marked_title(paper)
    record = {
        "index": searcher.name,
        "since": found.since.isoformat(),
        "new": found.new,
        "library": found.library,
        "notes": problems,
        "hits": hits,
    }
    return Reply(orjson.dumps(record))


def see(searchers: Searchers, asked: requests.SeenRequest) -> Reply:
    searchers.check_library()
    searcher = searchers(asked.index)
    seen = (
        searches.find_search(asked.search).seen(searcher.name)
        if asked.search
        else digest.Seen.read(searcher.name)
    )
    seen.mark(searcher)
    record = {"index": searcher.name, "newest": searcher.newest_day().isoformat()}
    return Reply(orjson.dumps(record))


def saved_searches(searchers: Searchers, asked: requests.SearchesRequest) -> Reply:
    searchers.check_library()
    saved, problems = searches.read_searches()
    record = {"searches": [_search_record(search) for search in saved.values()], "notes": problems}
    return Reply(orjson.dumps(record))


def saved(searchers: Searchers, asked: requests.SavedRequest) -> Reply:
    searchers.check_library()
    search = searches.find_search(asked.name)
    searcher = searchers(search.options.get("index"))
    answer = search.answer(searcher, new=asked.new, count=asked.k)
    answer = in_order(answer, search.options.get("sort", "match"))
    if search.ordering:
        answer = replace(answer, notes=(*answer.notes, search.ordering))
    papers = [hit.paper for hit in answer.hits]
    if asked.format not in (None, "json"):
        body = write_papers(papers, asked.format, asked.key, f"search {search.name}")
        return Reply(body, MEDIA_TYPES[asked.format])
    record: dict[str, Any] = {
        "query": search.query,
        "index": searcher.name,
        "next_offset": None,
        **answer.as_record(),
    }
    if asked.marked:
        terms = terms_of(search.query)
        hits = [
            {**hit.as_record(), "marked": marked_title(hit.paper, terms)} for hit in answer.hits
        ]
        record["hits"] = hits
    return Reply(orjson.dumps(record))


def save(searchers: Searchers, asked: requests.SaveRequest) -> Reply:
    searchers.check_library()
    wanted = asked.search
    if wanted.index is not None:
        searchers(wanted.index)  # says so if there is none
    filters = wanted.filters()
    options = {
        "index": wanted.index,
        "mode": wanted.mode,
        "sort": wanted.sort,
        "author": filters.author,
        "category": filters.category,
        "since": filters.since,
        "until": filters.until,
        "in": wanted.within,
        "not-in": wanted.beyond,
    }
    given = {name: value for name, value in options.items() if value is not None}
    search = SavedSearch(asked.name, " ".join(wanted.q.split()), given)
    if not wanted.replace and asked.name in searches.read_searches()[0]:
        raise InputError(f"there is a search {asked.name} already; replace: true replaces it")
    searches.save_search(search, force=wanted.replace)
    return Reply(orjson.dumps(_search_record(search)))


def forget(searchers: Searchers, asked: requests.ForgetRequest) -> Reply:
    searchers.check_library()
    searches.forget_search(asked.name)
    return Reply(orjson.dumps({"name": asked.name}))


OWN_ANSWERS: dict[type, Callable[[Searchers, Any], Reply]] = {
    requests.LibraryRequest: library,
    requests.MarkRequest: mark,
    requests.RemoveRequest: remove,
    requests.NewRequest: new,
    requests.SeenRequest: see,
    requests.SearchesRequest: saved_searches,
    requests.SavedRequest: saved,
    requests.SaveRequest: save,
    requests.ForgetRequest: forget,
}


def _paper_record(paper: LibraryPaper) -> dict[str, object]:
    return {
        "id": paper.id,
        "key": paper.key,
        "title": facts.title(paper.entry),
        "authors": list(facts.authors(paper.entry)),
        "year": facts.year(paper.entry),
        "tags": list(paper.marks.tags),
        "opinion": paper.marks.opinion,
        "read": paper.marks.read,
        "note": paper.marks.note,
    }


def _search_record(search: SavedSearch) -> dict[str, object]:
    """A search by the names that the parameters of `/api/query` have."""
    names = {"in": "within", "not-in": "beyond", "count": "k"}
    parameters = {"q": search.query} if search.query else {}
    for name, value in search.options.items():
        plain = value.isoformat() if isinstance(value, date) else value
        parameters[names.get(name, name)] = plain
    return {"name": search.name, "parameters": parameters}

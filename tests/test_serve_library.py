"""The library, saved searches and new papers over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bibtexparser
import pytest

from astrosearch.library.digest import read_digest
from astrosearch.library.searches import find_search
from astrosearch.library.store import Library
from astrosearch.search.searcher import open_index
from tests.servers import RunningServer, serving

STREAM, OLD = "2503.14368", "astro-ph/9401008"  # both on the Magellanic Stream


@pytest.fixture
def server(own_home: Path) -> Iterator[RunningServer]:
    with serving(own_home, "--workers", "1") as running:
        yield running


def test_a_paper_that_is_liked_and_tagged_is_in_the_library(
    server: RunningServer, own_home: Path
) -> None:
    marked = server.request(
        "PUT", f"/api/library/{OLD}", {"opinion": "liked", "tags": ["hi", "HI"]}
    )
    assert (marked.json["opinion"], marked.json["tags"]) == ("liked", ["HI"])
    server.request("PUT", f"/api/library/{STREAM}", {"read": True, "note": "the distance"})
    changed = server.request("PUT", f"/api/library/{OLD}", {"opinion": ""}).json
    assert (changed["opinion"], changed["tags"]) == ("", ["HI"])  # what is left out stays
    own = {paper.id: paper.marks for paper in Library.read(own_home / "library").papers}
    assert (own[STREAM].read, own[STREAM].note) == (True, "the distance")
    listed = server.get("/api/library").json
    assert [paper["id"] for paper in listed["papers"]] == [STREAM, OLD]
    assert listed["tags"] == {"HI": 1}
    read = server.get("/api/library", within="read", format="bibtex").body.decode()
    assert [entry["eprint"] for entry in bibtexparser.parse_string(read).entries] == [STREAM]
    assert server.get("/api/library", within="read", format="ids").body.decode() == f"{STREAM}\n"


def test_a_search_in_the_library_finds_nothing_else(server: RunningServer) -> None:
    empty = server.get("/api/query", q="stream", within="library")
    assert (empty.status, empty.json["exit_code"]) == (400, 2)
    for paper in (OLD, STREAM):
        server.request("PUT", f"/api/library/{paper}", {"tags": ["hi"]})

    def ids(path: str, **parameters: Any) -> set[str]:
        return {hit["id"] for hit in server.get(path, k=50, **parameters).json["hits"]}

    assert ids("/api/query", q="stream", within="tag:hi") == {OLD, STREAM}
    assert ids("/api/query", within="library") == {OLD, STREAM}
    assert not ids("/api/query", q="stream", beyond="library") & {OLD, STREAM}
    assert ids("/api/similar", id=OLD, within="library") == {STREAM}
    question = "how far away is the Magellanic Stream?"
    quoted = server.get("/api/ask", q=question, within="library", marked="true").json
    assert {source["id"] for source in quoted["sources"]} <= {OLD, STREAM}
    [first, *_] = [quote for group in quoted["groups"] for quote in group["quotes"]]
    assert "".join(first["marked"]["text"])


def test_a_paper_that_the_index_does_not_have_is_found_by_its_own_text(
    server: RunningServer, own_home: Path
) -> None:
    (own_home / "library").mkdir(exist_ok=True)
    entry = "@article{me:2020, author = {Me, A.}, title = {Toasters in the Stream}, year = {2020}}"
    (own_home / "library" / "library.bib").write_text(entry)
    [hit] = server.get("/api/query", q="toasters", within="library").json["hits"]
    assert hit["id"] == "me:2020"
    assert server.get("/api/papers/me:2020", marked="true").json["marked"]["title"] == [
        hit["title"]
    ]
    assert server.get("/api/papers/me:2021").status == 400


def test_a_paper_is_removed_and_one_that_nobody_has_is_not_added(server: RunningServer) -> None:
    server.request("PUT", f"/api/library/{OLD}", {})
    assert server.request("DELETE", f"/api/library/{OLD}").json["id"] == OLD
    assert server.get("/api/library").json["papers"] == []
    assert server.request("DELETE", f"/api/library/{OLD}").status == 404
    assert server.request("PUT", "/api/library/2309.99999", {}).status == 404
    assert server.request("PUT", "/api/library/nonsense", {}).status == 400
    assert server.request("PUT", f"/api/library/{OLD}", {"tags": ["a,b"]}).status == 400
    assert server.request("PUT", f"/api/library/{OLD}", {"id": STREAM}).status == 400
    assert server.get("/api/library").json["papers"] == []


def test_searches_are_saved_run_replaced_and_deleted(server: RunningServer, own_home: Path) -> None:
    search = {"q": "stream", "since": "1990", "until": "2025", "sort": "date", "mode": "lexical"}
    saved = server.request("PUT", "/api/searches/hi", search)
    assert saved.json["parameters"]["until"] == "2025-12-31"
    assert find_search("hi").options["mode"] == "lexical"
    assert server.get("/api/searches").json["searches"] == [saved.json]
    found = server.get("/api/searches/hi", k=5).json["hits"]
    parameters = saved.json["parameters"]
    assert {hit["id"] for hit in found} == {
        hit["id"] for hit in server.get("/api/query", k=5, **parameters).json["hits"]
    }
    assert [hit["published"] for hit in found] == sorted(
        (hit["published"] for hit in found), reverse=True
    )
    assert server.request("PUT", "/api/searches/hi", {"q": "dust"}).status == 400
    assert find_search("hi").query == "stream"
    assert server.request("PUT", "/api/searches/hi", {"q": "dust", "replace": True}).status == 200
    assert find_search("hi").query == "dust"
    assert server.request("PUT", "/api/searches/empty", {}).status == 400
    assert server.request("PUT", "/api/searches/odd", {"within": "shelf"}).status == 400
    assert server.request("PUT", "/api/searches/a%2Fb", {"q": "x"}).status in (400, 404)
    assert server.request("DELETE", "/api/searches/hi").status == 200
    assert server.request("DELETE", "/api/searches/hi").status == 404
    assert server.get("/api/searches/hi").status == 404


def test_new_papers_are_those_of_the_command_line_and_are_seen_once(
    server: RunningServer, own_home: Path
) -> None:
    from astrosearch import Filters
    from astrosearch.corpus.filters import read_day

    server.request("PUT", f"/api/library/{OLD}", {"opinion": "liked"})
    answer = server.get("/api/new", since="2025", k=5, marked="true").json
    with open_index("sampler") as searcher:
        filters = Filters(since=read_day("2025", is_last=False))
        expected, _ = read_digest(searcher, filters, 5)
    assert [hit["id"] for hit in answer["hits"]] == [one.paper.id for one in expected.suggestions]
    assert (answer["new"], answer["library"]) == (expected.new, 1)
    assert answer["hits"][0]["reasons"]
    feed = server.get("/api/new", {"Accept": "application/atom+xml"}, since="2025", k=5)
    assert feed.body.count(b"<entry>") == 5
    assert server.request("POST", "/api/seen", {}).status == 200
    after = server.get("/api/new").json
    assert (after["hits"], after["new"]) == ([], 0)
    assert "is new to you" in after["notes"][-1]
    assert server.get("/api/new", again="true").json["hits"]


def test_new_papers_of_a_search_are_seen_by_themselves(server: RunningServer) -> None:
    server.request("PUT", "/api/searches/all", {"since": "2026"})
    assert server.get("/api/searches/all", new="true").json["hits"]
    server.request("POST", "/api/seen", {"search": "all"})
    assert server.get("/api/searches/all", new="true").json["hits"] == []
    assert server.get("/api/new").json["hits"]
    assert server.request("POST", "/api/seen", {"search": "none"}).status == 404


def test_a_page_of_another_site_changes_nothing(server: RunningServer) -> None:
    own = f"http://127.0.0.1:{server.port}"
    path = f"/api/library/{OLD}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"{own}0"):
        assert server.request("PUT", path, {}, {"Origin": origin}).status == 403, origin
        assert server.request("POST", "/api/seen", {}, {"Origin": origin}).status == 403
    # What a form can send without being asked about first.
    assert server.request("PUT", path, {}, {"Content-Type": "text/plain"}).status == 415
    for method in ("GET", "POST", "HEAD"):
        assert server.request(method, path).status == 405
    assert server.get("/api/library").json["papers"] == []
    assert server.request("PUT", path, {}, {"Origin": own}).status == 200


def test_the_library_is_not_for_a_group_unless_it_is_said_to_be(own_home: Path) -> None:
    for options, status in (
        (("--host", "0.0.0.0"), 403),
        (("--public-name", "papers.example.org"), 403),
        (("--no-library",), 403),
        (("--host", "0.0.0.0", "--library"), 200),
    ):
        with serving(own_home, "--workers", "1", *options) as server:
            assert server.get("/api/indexes").json["library"] is (status == 200)
            server.request("PUT", f"/api/library/{OLD}", {})
            assert server.request("PUT", f"/api/library/{OLD}", {}).status == status
            for path in ("/api/library", "/api/new", "/api/searches", "/api/query?within=library"):
                assert server.get(path).status == status, (options, path)
            assert server.get("/api/query", q="dust").status == 200


def test_an_answer_cannot_be_sorted_by_citations_that_the_index_does_not_have(
    server: RunningServer,
) -> None:
    refused = server.get("/api/query", q="dust", sort="citations")
    assert refused.status == 400
    assert "no citations" in refused.json["detail"]

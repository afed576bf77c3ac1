"""`astrosearch serve`: real servers, asked by real clients."""

import base64
import http.client
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import bibtexparser
import numpy as np
import openai
import pytest

from astrosearch.search.searcher import Searcher, open_index
from tests.conftest import LONG, Run, kaggle_line
from tests.servers import RunningServer, request, serving, serving_here

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def server(sampler_home: Path) -> Iterator[RunningServer]:
    with serving(sampler_home, "--workers", "2") as running:
        yield running


@pytest.fixture
def searcher(sampler_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searcher]:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    with open_index("sampler") as opened:
        yield opened


# Answers


def test_an_answer_has_the_hits_of_the_searcher(server: RunningServer, searcher: Searcher) -> None:
    answer = server.get("/api/query", q="magellanic stream", k=5).json
    expected = [hit.as_record() for hit in searcher.query("magellanic stream", 5)]
    assert answer["hits"] == json.loads(json.dumps(expected))
    assert answer["query"] == "magellanic stream"
    assert answer["index"] == "sampler"


def test_filters_and_modes_are_those_of_the_searcher(
    server: RunningServer, searcher: Searcher
) -> None:
    from datetime import date

    from astrosearch import Filters

    filters = Filters(since=date(2015, 1, 1), until=date(2024, 12, 31), category="astro-ph.GA")
    expected = searcher.query("a stream of gas", 4, filters, "lexical")
    answer = server.get(
        "/api/query",
        q="a stream of gas",
        k=4,
        since="2015",
        until="2024",
        category="astro-ph.GA",
        mode="lexical",
    ).json
    assert [hit["id"] for hit in answer["hits"]] == [hit.paper.id for hit in expected]
    assert answer["hits"]


def test_answers_are_the_same_while_others_wait(server: RunningServer) -> None:
    queries = ["magellanic stream", "planets in the habitable zone", "black hole mergers"] * 10
    alone = [server.get("/api/query", q=query).json for query in queries[:3]]
    with ThreadPoolExecutor(len(queries)) as threads:
        crowded = threads.map(lambda query: server.get("/api/query", q=query).json, queries)
    assert list(crowded) == alone * 10


def test_pages_follow_each_other_and_leave_nothing_out(server: RunningServer) -> None:
    whole = [hit["id"] for hit in server.get("/api/query", q="galaxies", k=30).json["hits"]]
    target = "/api/query?q=galaxies&k=7"
    ids: list[str] = []
    while len(ids) < 28:
        response = server.get(target)
        ids += [hit["id"] for hit in response.json["hits"]]
        link = re.fullmatch(r'<(.+)>; rel="next"', response.headers["link"])
        assert link
        target = link[1]
        assert f"offset={response.json['next_offset']}" in target
    assert ids == whole[:28]


def test_no_paper_is_on_two_pages_however_far_one_reads(server: RunningServer) -> None:
    target, ids = "/api/query?q=galaxies&k=37", list[str]()
    while target:
        response = server.get(target)
        hits = response.json["hits"]
        assert [hit["rank"] for hit in hits] == list(range(len(ids) + 1, len(ids) + len(hits) + 1))
        ids += [hit["id"] for hit in hits]
        target = response.headers.get("link", "").partition(">")[0][1:]
    assert len(ids) > 111
    assert len(set(ids)) == len(ids)


def test_the_last_page_has_no_next(server: RunningServer) -> None:
    response = server.get("/api/query", q="author:moore", k=100)
    assert response.json["hits"]
    assert response.json["next_offset"] is None
    assert "link" not in response.headers


def test_similar_papers_do_not_have_the_paper_itself(
    server: RunningServer, searcher: Searcher
) -> None:
    answer = server.get("/api/similar", id=["2503.14368", "astro-ph/9401008"], k=5).json
    expected = searcher.similar(["2503.14368", "astro-ph/9401008"], 5)
    assert [hit["id"] for hit in answer["hits"]] == [hit.paper.id for hit in expected]


def test_what_to_cite_is_that_of_the_library(server: RunningServer, searcher: Searcher) -> None:
    answer = server.get("/api/cite", id="2503.14368", k=5, no_self="true", before="2020").json
    expected = searcher.cite(["2503.14368"], 5, before=date(2020, 12, 31), no_self=True)
    assert [hit["id"] for hit in answer["hits"]] == [hit.paper.id for hit in expected]
    assert all(hit["year"] <= 2020 for hit in answer["hits"])
    refused = server.get("/api/cite", id="2503.14368", area="1,1,1,2,2,1")
    assert (refused.status, refused.json["exit_code"]) == (400, 2)


def test_that_nothing_is_old_enough_to_be_cited_is_said(server: RunningServer) -> None:
    answer = server.get("/api/cite", id="2503.14368", before="1980").json
    assert answer["hits"] == []
    assert "until 1980-12-31" in answer["notes"][0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sincee": "2020"}, "sincee is not a field; did you mean since?"),
        ({"since": "2020-13"}, "since cannot be '2020-13'; for example 2015, 2015-03, 2015-03-01"),
        ({"category": "a b"}, "category cannot be 'a b'; for example astro-ph.GA"),
        ({"k": 0}, "k: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_may_be(
    server: RunningServer, fields: dict[str, Any], said: str
) -> None:
    refused = server.get("/api/query", q="dust", **fields)
    assert (refused.status, refused.json["detail"]) == (400, said)
    missing = server.get("/api/similar")
    assert (missing.status, missing.json["detail"]) == (400, "id is missing")


def test_a_question_is_answered_in_sentences(server: RunningServer, searcher: Searcher) -> None:
    question = "where does the Magellanic Stream come from?"
    answer = server.get("/api/ask", q=question).json
    expected = searcher.ask(question)
    said = [quote["text"] for group in answer["groups"] for quote in group["quotes"]]
    assert said == [quote.text for quote in expected.quotes]
    assert said
    nothing = server.get("/api/ask", q="how do I bake bread?").json
    assert nothing["groups"] == []
    assert nothing["notes"]


def test_a_paper_has_its_words_of_the_query_marked_in_unicode(server: RunningServer) -> None:
    paper = server.get("/api/papers/astro-ph/9401008", marked="true", q="magellanic streams").json
    assert paper["id"] == "astro-ph/9401008"
    pieces = paper["marked"]["title"]
    assert pieces[1] == "Magellanic Stream"
    assert "".join(pieces) == "The Origin of the Magellanic Stream"
    assert "$" not in "".join(paper["marked"]["abstract"])


def test_papers_are_compared(server: RunningServer) -> None:
    pair = server.get("/api/compare", id=["2503.14368", "astro-ph/9401008"]).json
    assert pair["encoders"][0]["percentile"] > 95
    several = server.get("/api/compare", id=["2503.14368", "astro-ph/9401008", "2411.15044"]).json
    assert np.array(several["encoders"][0]["cosines"]).shape == (3, 3)


def test_facets_count_the_papers_that_pass(server: RunningServer, searcher: Searcher) -> None:
    facets = server.get("/api/facets").json
    assert sum(facets["years"].values()) == len(searcher)
    papers = list(searcher.index.corpus)
    assert facets["categories"]["gr-qc"] == sum("gr-qc" in paper.categories for paper in papers)
    filtered = server.get("/api/facets", author="Moore", since="1994", until="1994").json
    assert filtered["years"] == {"1994": 1}


def test_a_batch_answers_each_query_and_names_the_error_of_a_bad_one(
    server: RunningServer, searcher: Searcher
) -> None:
    queries = ["magellanic stream", "year:soon", "dust"]
    answers = server.post("/api/batch", {"queries": queries, "k": 3}).json["answers"]
    assert [answer["query"] for answer in answers] == queries
    assert "year:soon" in answers[1]["error"]
    for place in (0, 2):
        expected = [hit.paper.id for hit in searcher.query(queries[place], 3)]
        assert [hit["id"] for hit in answers[place]["hits"]] == expected


def test_nothing_found_is_an_answer_that_says_why(server: RunningServer) -> None:
    response = server.get("/api/query", q='"magellanic toaster"')
    assert response.status == 200
    assert response.json["hits"] == []
    assert "toaster" in response.json["notes"][-1]


# Formats


def test_an_answer_is_written_in_each_format(server: RunningServer) -> None:
    ids = [hit["id"] for hit in server.get("/api/query", q="magellanic", k=5).json["hits"]]

    def get(format: str) -> str:
        return server.get("/api/query", q="magellanic", k=5, format=format).body.decode()

    assert get("ids").split() == ids
    library = bibtexparser.parse_string(get("bibtex"))
    assert [entry["eprint"] for entry in library.entries] == ids
    assert re.findall(r"^AN  - arXiv:(.+)\r$", get("ris"), re.MULTILINE) == ids
    feed = ElementTree.fromstring(get("atom"))
    assert [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")] == [
        f"http://arxiv.org/abs/{paper_id}" for paper_id in ids
    ]


def test_accept_chooses_the_format_and_format_outweighs_it(server: RunningServer) -> None:
    accept = {"Accept": "text/html, application/x-bibtex;q=0.8, application/json;q=0.1"}
    paper = server.get("/api/papers/2503.14368", accept)
    assert paper.headers["content-type"] == "application/x-bibtex"
    assert paper.body.startswith(b"@")
    assert server.get("/api/papers/2503.14368", accept, format="json").json["id"] == "2503.14368"
    anything = {"Accept": "text/plain;q=0.5, */*"}
    assert server.get("/api/papers/2503.14368", anything).json["id"] == "2503.14368"


# Problems


@pytest.mark.parametrize(
    ("target", "status", "exit_code", "said"),
    [
        ("/api/query?q=x&k=1000", 400, 2, "k: "),
        ("/api/query?q=x&qq=y", 400, 2, "qq is not a field"),
        ("/api/query?q=x&q=y", 400, 2, "q is given twice"),
        ("/api/query", 400, 2, "give words"),
        ("/api/query?q=year:soon", 400, 2, "year:soon"),
        ("/api/query?q=x&since=2020&until=2010", 400, 2, "later"),
        ("/api/query?q=" + "x" * 2001, 400, 2, "q: "),
        ("/api/query?q=x&index=other", 404, 4, "sampler"),
        ("/api/papers/2309.99999", 404, 4, "2309.99999"),
        ("/api/papers/nothing", 400, 2, "not an arXiv identifier"),
        ("/api/similar?id=2309.99999", 404, 4, "2309.99999"),
        ("/api/compare?id=2503.14368", 400, 2, "id: "),
        ("/nothing", 404, 2, "openapi.json"),
    ],
)
def test_an_error_is_a_problem_with_the_exit_code_of_the_command_line(
    server: RunningServer, target: str, status: int, exit_code: int, said: str
) -> None:
    response = server.get(target)
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json
    assert (problem["status"], problem["exit_code"]) == (status, exit_code)
    assert said in problem["detail"]


def test_the_wrong_method_and_a_body_that_is_not_json_are_problems(server: RunningServer) -> None:
    wrong = request(server.port, "DELETE", "/api/query?q=x")
    assert wrong.status == 405
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD"}
    plain = server.post("/api/batch", {"queries": ["x"]}, {"Content-Type": "text/plain"})
    assert plain.status == 415
    assert (
        request(
            server.port, "POST", "/api/batch", b"{", {"Content-Type": "application/json"}
        ).status
        == 400
    )


# OpenAI's clients


def test_openais_client_gets_the_vectors_of_the_indexs_encoder(
    server: RunningServer, searcher: Searcher
) -> None:
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
    [model] = client.models.list().data
    assert model.id == "astro-embed"
    assert client.models.retrieve(model.id) == model
    texts = ["a stream of gas", "planets that might have water"]
    for encoding in ("float", "base64"):
        answer = client.embeddings.create(model=model.id, input=texts, encoding_format=encoding)
        vectors = [
            np.frombuffer(base64.b64decode(item.embedding), "<f4")
            if isinstance(item.embedding, str)
            else np.array(item.embedding)
            for item in answer.data
        ]
        np.testing.assert_allclose(vectors, searcher.encoder.encode(texts), atol=1e-6)
    assert answer.usage.prompt_tokens > 0


def test_openais_client_understands_the_errors(server: RunningServer) -> None:
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.NotFoundError, match="astro-embed"):
        client.embeddings.create(model="other", input="x")
    with pytest.raises(openai.NotFoundError, match="astro-embed") as unknown:
        client.models.retrieve("an/other")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError, match=r"openapi\.json"):
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.APIStatusError, match="longer than 1,000,000 bytes"):
        client.embeddings.create(model="astro-embed", input="x" * 1_000_000)
    with pytest.raises(openai.BadRequestError, match="512 dimensions"):
        client.embeddings.create(model="astro-embed", input="x", dimensions=7)
    wrong: list[Any] = [" ", [], ["x", ""], [1, 2], [[1, 2]], ["x"] * 2_049]
    for texts in wrong:
        with pytest.raises(openai.BadRequestError, match="input: write a text or a list"):
            client.embeddings.create(model="astro-embed", input=texts)


# Who may ask, and what for


def test_only_names_of_this_machine_are_taken(server: RunningServer) -> None:
    for host, status in {
        "localhost": 200,
        f"127.0.0.1:{server.port}": 200,
        "[::1]:8000": 200,
        "evil.example": 421,
        "192.168.0.1": 421,
        "": 421,
    }.items():
        assert server.get("/healthz", {"Host": host}).status == status, host


def test_a_page_of_another_site_may_read_nothing(server: RunningServer) -> None:
    response = server.get("/api/query", {"Origin": "https://evil.example"}, q="x")
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]


def test_a_site_that_is_allowed_may_read_answers(sampler_home: Path) -> None:
    with serving(
        sampler_home, "--workers", "1", "--allow-origin", "https://good.example"
    ) as allowing:
        good = allowing.get("/api/indexes", {"Origin": "https://good.example"})
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        bad = allowing.get("/api/indexes", {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in bad.headers


def test_a_token_is_asked_for_and_appears_nowhere(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "1", ASTROSEARCH_TOKEN="s3cret-of-mine") as guarded:
        assert guarded.get("/healthz").status == 200
        assert guarded.get("/").status == 200
        refused = guarded.get("/api/query", q="x")
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        for token in ("wrong", "s3cret-of-min", "s3cret-of-minE", "\xff"):
            assert guarded.get("/metrics", {"Authorization": f"Bearer {token}"}).status == 401
        right = {"Authorization": "Bearer s3cret-of-mine"}
        assert guarded.get("/api/query", right, q="private thoughts").status == 200
        metrics = guarded.get("/metrics", right).body.decode()
        document = guarded.get("/api/openapi.json", right)
        client = openai.OpenAI(base_url=f"{guarded.address}/v1", api_key="no", max_retries=0)
        with pytest.raises(openai.AuthenticationError, match="Bearer TOKEN") as wrong:
            client.models.list()
        assert wrong.value.code == "invalid_api_key"
        assert document.json["security"]
    said = "".join(guarded.said)
    for text in (said, metrics, document.body.decode()):
        assert "s3cret" not in text
        assert "private" not in text


@pytest.mark.parametrize(
    "target",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page.css/../../settings.py",
        "//etc/passwd",
        "/page.js%00.html",
        "/api/papers/../../../../etc/passwd",
        "/api/papers/..%2f..%2fetc%2fpasswd",
        "/api/query?q=x&index=../../etc",
        "/api/query?q=x&index=/etc",
        "/api/indexes?index=..",
        "/%c0%ae%c0%ae/etc/passwd",
    ],
)
def test_no_path_reaches_the_disk(server: RunningServer, target: str) -> None:
    response = server.get(target)
    assert response.status in (400, 404)
    assert b"root:" not in response.body
    assert str(server.home).encode() not in response.body


# Hostile clients


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_body_of_100_megabytes_is_refused_before_it_is_read(server: RunningServer) -> None:
    kind = {"Content-Type": "application/json"}
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        client.sendall(
            b"POST /api/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        answer = client.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"application/problem+json" in answer
    endless = (b"x" * 65536 for _ in range(100_000_000 // 65536))
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        connection.request("POST", "/api/batch", endless, kind, encode_chunked=True)
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # it was cut off while it sent
    finally:
        connection.close()
    assert status == 413
    assert server.get("/healthz").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /api/query?q=\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST /api/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_harms_nobody(server: RunningServer, sent: bytes) -> None:
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        with suppress(ConnectionError):  # it may hang up before all is sent
            client.sendall(sent)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := client.recv(65_536):
                answer += piece
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
    if answer.startswith(b"HTTP/1.1 4"):
        assert b"content-type: application/problem+json" in answer
    assert server.get("/api/query", q="dust", k=1).status == 200


_POST = b"POST /api/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: " + b"y" * 994 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"y" * 1_000),
        (b"GET /", b"y" * 1_000),
        (_POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"y" * 1_000),
        (
            _POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: " + b"y" * 994 + b"\r\n",
        ),
    ],
    ids=["headers", "a header", "an address", "an extension of a chunk", "headers after a body"],
)
def test_an_endless_head_is_refused(server: RunningServer, begun: bytes, piece: bytes) -> None:
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):  # it hangs up before all is sent
            client.sendall(begun)
            for _ in range(70):
                client.sendall(piece)
                time.sleep(0.001)
        with suppress(ConnectionError):
            answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 431"), answer[:200]
    assert b"content-type: application/problem+json" in answer
    assert server.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (b"http://localhost/healthz", b"Host: localhost", 200),
        (b"/healthz", b"Host: localhost\r\nHost: evil.example", 421),
        (b"/healthz", b"X: y", 421),
    ],
)
def test_a_request_names_one_host(
    server: RunningServer, target: bytes, headers: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        client.sendall(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, headers))
        assert client.recv(100).startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.slow
def test_clients_that_never_finish_are_cut_off(server: RunningServer) -> None:
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    assert server.get("/api/query", q="dust", k=1).status == 200
    for client in clients:
        client.settimeout(100)
        assert client.recv(100) == b""
        client.close()


@pytest.mark.slow
def test_no_request_to_the_tools_waits_for_ever(server: RunningServer) -> None:
    waiting = server.get("/mcp", {"Accept": "text/event-stream"})
    assert (waiting.status, waiting.headers["allow"]) == (405, "POST")
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Accept: application/json, text/event-stream\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        client.sendall(head)
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as client:
        client.sendall(head)  # and leave
    assert server.get("/healthz").status == 200
    assert not any("Traceback" in line for line in server.said)


def test_requests_beyond_the_queue_are_told_to_come_again(sampler_home: Path) -> None:
    """The worker stands still until all others are turned away."""
    others = set(multiprocessing.active_children())
    with serving_here(sampler_home, queue=1, seconds=300) as port:
        [worker] = set(multiprocessing.active_children()) - others
        assert worker.pid
        statuses: list[int] = []
        headers: list[dict[str, str]] = []

        def ask() -> None:
            body = json.dumps({"queries": ["a stream of gas"] * 100, "k": 100}).encode()
            kind = {"Content-Type": "application/json"}
            response = request(port, "POST", "/api/batch", body, kind)
            statuses.append(response.status)
            headers.append(response.headers)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            for thread in threads:
                thread.start()
            until(lambda: len(headers) == 6)
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 503}
        assert statuses.count(200) == 2
        turned_away = [
            header for status, header in zip(statuses, headers, strict=True) if status == 503
        ]
        assert all(header["retry-after"] == "1" for header in turned_away)
        assert request(port, "GET", "/api/query?q=dust").status == 200


def test_a_request_that_takes_too_long_is_given_up_and_the_next_is_answered(
    sampler_home: Path,
) -> None:
    with serving_here(sampler_home, seconds=0.05) as port:
        body = json.dumps({"queries": ["a stream of gas"] * 100, "k": 100}).encode()
        kind = {"Content-Type": "application/json"}
        response = request(port, "POST", "/api/batch", body, kind)
        assert response.status == 504
        assert request(port, "GET", "/healthz").status == 200
        assert request(port, "GET", "/api/papers/2503.14368").status in (200, 504)


def test_a_worker_that_is_killed_loses_no_request(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "2") as server:
        statuses: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                statuses.append(server.get("/api/query", q="magellanic stream").status)

        def wait_for(more: int) -> None:
            wanted = len(statuses) + more
            until(lambda: len(statuses) >= wanted)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        killed = set()
        for pid in server.workers():
            wait_for(20)
            os.kill(pid, 9)
            killed.add(pid)
        wait_for(20)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        for _ in range(4):  # a worker that died idle is missed when its turn comes
            assert server.get("/api/query", q="dust", k=1).status == 200
        assert not killed & set(server.workers())
        assert len(server.workers()) == 2


def test_a_new_snapshot_is_taken_up_without_a_dropped_request(
    run: Run, snapshot: Path, tiny_llama: Path, home: Path
) -> None:
    run("index", "--corpus", snapshot, "--encoder", tiny_llama)
    with serving(home, "--workers", "2") as server:
        statuses: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                statuses.append(server.get("/api/query", q="stars and dust").status)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert 'astrosearch_index_papers{index="main"} 150' in server.get("/metrics").body.decode()
        with snapshot.open("a") as stream:
            stream.write(kaggle_line(150, title="The zygote nebula") + "\n")
        run("update", "main")
        paper_id = json.loads(kaggle_line(150))["id"]
        assert server.get(f"/api/papers/{paper_id}").json["title"] == "The zygote nebula"
        metrics = server.get("/metrics").body.decode()
        assert 'astrosearch_index_papers{index="main"} 151' in metrics
        assert 'astrosearch_index_snapshot{index="main"} 2' in metrics
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}


def test_an_index_that_is_removed_meanwhile_is_said_to_be_gone(
    sampler_home: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(sampler_home, home)
    shutil.copytree(home / "indexes/sampler", home / "indexes/other")
    with serving(home, "--workers", "1", "-i", "sampler", "-i", "other") as server:
        assert server.get("/api/query", q="gas").status == 200
        shutil.rmtree(home / "indexes/sampler")
        response = server.get("/api/query", q="gas")
        assert response.status == 404
        assert response.json["detail"] == "index sampler is not there any more"
        [gone, other] = server.get("/api/indexes").json["indexes"]
        assert gone["error"] == "the index is not there any more"
        assert other["papers"] == 264
        assert server.get("/api/query", q="gas", index="other").status == 200


def test_metrics_count_requests_by_route_and_status(server: RunningServer) -> None:
    def count(status: int) -> int:
        metrics = server.get("/metrics").body.decode()
        name = re.escape(f'astrosearch_requests_total{{route="/api/facets",status="{status}"}}')
        match = re.search(rf"^{name} (\d+)$", metrics, re.MULTILINE)
        return int(match[1]) if match else 0

    before = count(200), count(400)
    server.get("/api/facets")
    server.get("/api/facets", category="!")
    assert (count(200), count(400)) == (before[0] + 1, before[1] + 1)


# The command


def test_ctrl_c_ends_the_server_and_its_workers(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "2") as server:
        workers = server.workers()
        assert server.stop() == 130
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_end_with_a_server_that_is_killed(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "2") as server:
        workers = server.workers()
        server.process.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_port_that_is_taken_and_an_index_that_is_missing_are_a_line(
    run: Run, sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no index" in run("serve", code=3).stderr
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in run("serve", "--port", port, code=2).stderr
    assert "no index 'other'" in run("serve", "-i", "other", code=3).stderr


def test_names_that_no_request_could_have_are_refused(
    run: Run, sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    for option, name, said in (
        ("--public-name", "https://papers.example.org/", "papers.example.org"),
        ("--allow-origin", "papers.example.org", "https://example.org"),
        ("--allow-origin", "https://papers.example.org/", "https://example.org"),
        ("--host", "no.such.host.invalid", "another: --host"),
    ):
        assert said in run("serve", "--port", 0, option, name, code=2).stderr


def test_without_the_extra_a_line_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("serve", code=3)
    assert "uvicorn" in result.stderr
    assert "pip install '.[serve]'" in result.stderr


def test_a_server_for_others_without_a_token_says_what_that_means(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "1", "--host", "0.0.0.0") as server:
        assert server.get("/healthz", {"Host": "10.1.2.3:80"}).status == 200
        assert server.get("/healthz", {"Host": "evil.example"}).status == 421
    assert "ASTROSEARCH_TOKEN" in "".join(server.said)


# The document


@pytest.mark.slow
def test_the_server_does_as_its_openapi_document_says(own_home: Path) -> None:
    """schemathesis asks for whatever the document allows, and for what it forbids."""
    with serving(own_home, "--workers", "2") as server:
        result = _schemathesis(server)
    assert result.returncode == 0, result.stdout[-5000:]
    assert "25/25" in result.stdout


def _schemathesis(server: RunningServer) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *(Path(sys.executable).parent / "schemathesis", "run"),
            f"{server.address}/api/openapi.json",
            *("--max-examples", "2000" if LONG else "20", "--seed", "1"),
            *("--request-timeout", "100", "--suppress-health-check", "too_slow"),
            # A schema cannot say that there is no 30 February, and which papers there are.
            *("--exclude-checks", "positive_data_acceptance"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

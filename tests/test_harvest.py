"""Harvesting over OAI-PMH, against a real HTTP server on loopback.

The server speaks the protocol as arXiv does, with records made up here, and fails on request.
"""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from click.testing import CliRunner

from astrosearch import __version__
from astrosearch.cli import main
from astrosearch.corpus.harvest import Checkpoint, Etiquette, harvest
from astrosearch.corpus.oai import HarvestRequest, _page, _parsed
from astrosearch.corpus.records import WithdrawnError, paper_from_record, record_from_paper
from astrosearch.errors import AstrosearchError, InputError, NothingFound
from astrosearch.papers import Paper
from astrosearch.retry_after import retry_after
from tests.conftest import LONG
from tests.reporters import Lines, Watch


def record(
    arxiv_id: str,
    versions: tuple[str, ...] = ("Fri, 05 Jan 2024 09:21:47 GMT",),
    changed: str = "2024-01-06",
    **fields: str,
) -> str:
    """A record as arXiv writes it, with the dates of its versions."""
    dates = "".join(
        f'<version version="v{number}"><date>{when}</date><size>14kb</size></version>'
        for number, when in enumerate(versions, start=1)
    )
    defaults = {
        "title": f"On object {arxiv_id}",
        "authors": "A. Doe",
        "categories": "astro-ph.GA",
        "abstract": f"We look at object {arxiv_id}.",
    }
    texts = "".join(
        f"<{name}>{escape(text)}</{name}>" for name, text in (defaults | fields).items()
    )
    return (
        f"<record><header><identifier>oai:arXiv.org:{arxiv_id}</identifier>"
        f"<datestamp>{changed}</datestamp><setSpec>physics:astro-ph</setSpec></header>"
        '<metadata><arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/">'
        f"<id>{arxiv_id}</id><submitter>A. Doe</submitter>{dates}{texts}"
        "</arXivRaw></metadata></record>"
    )


def deleted(arxiv_id: str) -> str:
    return (
        f'<record><header status="deleted"><identifier>oai:arXiv.org:{arxiv_id}</identifier>'
        "<datestamp>2024-01-06</datestamp></header></record>"
    )


def document(content: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        f"<responseDate>2024-02-01T00:00:00Z</responseDate>{content}</OAI-PMH>"
    ).encode()


def token_for(number: int) -> str:
    """A token that only survives if it is encoded exactly once, as arXiv's own are."""
    return f"verb%3DListRecords%26skip%3D{number}&a=b c|+"


KILLS = 50 if LONG else 3

Fault = Callable[["Service", BaseHTTPRequestHandler, bytes], None]


@dataclass
class Service:
    """What the server serves, what it was asked, and how it is to fail."""

    lists: list[list[str]]
    """Records, page by page."""
    faults: dict[int, list[Fault]] = field(default_factory=dict)
    """By page number (from 1): what happens to its first requests instead of an answer."""
    attributes: str = ""
    """Of every resumption token."""
    base_url: str = ""
    most: int = 20
    """Requests that are answered."""
    asked: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    connections: set[Any] = field(default_factory=set)
    held: threading.Event = field(default_factory=threading.Event)
    """Set when a request hangs."""
    released: threading.Event = field(default_factory=threading.Event)

    def page(self, number: int) -> bytes:
        last = number == len(self.lists)
        token = "" if last else escape(token_for(number + 1))
        element = f"<resumptionToken {self.attributes}>{token}</resumptionToken>"
        if len(self.lists) == 1:
            element = ""  # a list of one page has none; a longer one ends with an empty one
        content = "".join(self.lists[number - 1]) + element
        return document(f"<ListRecords>{content}</ListRecords>")


def send(
    to: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "text/xml", **more: str
) -> None:
    to.send_response(status)
    to.send_header("Content-Type", kind)
    to.send_header("Content-Length", str(len(body)))
    for name, value in more.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


def status(code: int, retry_after: str | None = None) -> Fault:
    def fail(_: Service, to: BaseHTTPRequestHandler, __: bytes) -> None:
        more = {"Retry_After": retry_after} if retry_after is not None else {}
        send(to, b"", code, **more)

    return fail


def oai_error(code: str, text: str = "no") -> Fault:
    def fail(_: Service, to: BaseHTTPRequestHandler, __: bytes) -> None:
        send(to, document(f'<error code="{code}">{text}</error>'))

    return fail


def html(_: Service, to: BaseHTTPRequestHandler, __: bytes) -> None:
    send(to, b"<!DOCTYPE html><html><head><meta></head>Log in</html>", kind="text/html")


def well_formed_html(_: Service, to: BaseHTTPRequestHandler, __: bytes) -> None:
    send(to, b"<html><body>Log in</body></html>", kind="text/html")


def truncated(_: Service, to: BaseHTTPRequestHandler, body: bytes) -> None:
    send(to, body[: len(body) // 2])


def dropped(_: Service, to: BaseHTTPRequestHandler, body: bytes) -> None:
    to.send_response(200)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body[: len(body) // 2])
    to.close_connection = True


def hang(service: Service, to: BaseHTTPRequestHandler, _: bytes) -> None:
    service.held.set()
    service.released.wait(300)
    to.close_connection = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: ClassVar[Service]

    def do_GET(self) -> None:
        service = self.service
        asked = {
            name: values[0]
            for name, values in parse_qs(urlsplit(self.path).query, strict_parsing=True).items()
        }
        service.asked.append(asked)
        service.times.append(time.monotonic())
        service.agents.add(self.headers["User-Agent"])
        service.connections.add(self.client_address)
        tokens = {token_for(number + 1): number + 1 for number in range(1, len(service.lists))}
        token = asked.get("resumptionToken")
        if token is not None and token not in tokens:
            send(self, document('<error code="badResumptionToken">unknown</error>'))
            return
        if len(service.asked) > service.most:
            send(self, b"", 404)  # ends a harvest that would not end
            return
        number = tokens[token] if token is not None else 1
        if faults := service.faults.get(number):
            faults.pop(0)(service, self, service.page(number))
        else:
            send(self, service.page(number))

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are part of the tests


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Starts a server for pages of records; `attributes` and `faults` as in `Service`."""
    running: list[tuple[_Server, Service]] = []

    def start(*lists: list[str], **settings: Any) -> Service:
        service = Service(list(lists), **settings)
        handler = type("Handler", (_Handler,), {"service": service})
        server = _Server(("127.0.0.1", 0), handler)
        service.base_url = f"http://127.0.0.1:{server.server_address[1]}/oai"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append((server, service))
        return service

    yield start
    for server, service in running:
        service.released.set()
        server.shutdown()
        server.server_close()


JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
THREE_PAGES = (
    [record("2401.00001"), record("2401.00002")],
    [record("2401.00003"), deleted("2401.00004")],
    [record("2401.00005")],
)


def january(service: Service) -> HarvestRequest:
    return HarvestRequest(*JANUARY, base_url=service.base_url)


def run(service: Service, out: Path, **settings: Any) -> tuple[Checkpoint, list[float], list[str]]:
    """A harvest of January: its outcome, the waits in seconds (not waited) and the notices."""
    waits: list[float] = []
    notices = Lines()
    etiquette = Etiquette(sleep=waits.append, **settings)
    done = harvest(january(service), out, etiquette=etiquette, reporter=notices)
    return done, waits, notices


def ids(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_text().splitlines()]


def only_paper(service: Service, tmp_path: Path) -> Paper:
    out = tmp_path / "january.jsonl"
    done, _, _ = run(service, out)
    assert done.refused == {}
    return paper_from_record(json.loads(out.read_bytes()))


# What is read from a record


def test_a_record_becomes_a_paper_with_the_days_of_its_first_version_and_its_last_change(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(
        [
            record(
                "2401.00001",
                (
                    "Sun, 31 Dec 2023 23:59:59 GMT",
                    "Thu, 07 Mar 2024 10:00:00 GMT",
                    "Fri, 08 Mar 2024 10:00:00 GMT",
                ),
                changed="2024-05-09",
                authors="Ana M. de la Cruz (1), E. A. Poe, Jr and The Lamp Collaboration ((1) ESO)",
                title="Lamps &\n  stars",
                categories="astro-ph.GA gr-qc",
                comments="3 pages",
                doi="10.1000/182 10.1000/183",
                abstract="  First line,\n second line: $x < y$.\n",
            )
        ]
    )
    assert only_paper(service, tmp_path) == Paper(
        id="2401.00001",
        title="Lamps & stars",
        abstract="First line, second line: $x < y$.",
        authors=("Ana M. de la Cruz", "E. A. Poe Jr", "The Lamp Collaboration"),
        categories=("astro-ph.GA", "gr-qc"),
        published=date(2023, 12, 31),
        updated=date(2024, 5, 9),
        doi="10.1000/182",
        version=3,
    )


def test_an_old_identifier_keeps_its_archive(serve: Callable[..., Service], tmp_path: Path) -> None:
    paper = only_paper(serve([record("astro-ph/0601001")]), tmp_path)
    assert paper.id == "astro-ph/0601001"


def test_a_control_character_does_not_spoil_its_page(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve([record("2401.00001", abstract="A \x0bform\x1b of dust.")])
    assert only_paper(service, tmp_path).abstract == "A form of dust."


def test_records_that_are_no_papers_are_refused_with_the_reason(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(
        [
            record("2401.00001"),
            record("2401.00002", abstract="This paper has been withdrawn by the author."),
            record("2401.00003", comments="Withdrawn: the lamp was off."),
            record("2401.00004", abstract=" "),
            record("0601001"),
            record("2401.00005", changed="yesterday"),
            deleted("2401.00006"),
        ]
    )
    out = tmp_path / "january.jsonl"
    done, _, _ = run(service, out)
    # The withdrawn ones stay, marked, to end the earlier records of other files.
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003"]
    assert done.refused == {
        "withdrawn": 2,
        "no abstract": 1,
        "bad id": 1,
        "bad field": 1,
        "deleted": 1,
    }
    lines = (tmp_path / "january.jsonl.rejected.jsonl").read_text().splitlines()
    rejected = [json.loads(line) for line in lines]
    assert [(one["reason"], one["id"]) for one in rejected] == [
        ("withdrawn", "2401.00002"),
        ("withdrawn", "2401.00003"),
        ("no abstract", "2401.00004"),
        ("bad id", "0601001"),
        ("bad field", "2401.00005"),
        ("deleted", "2401.00006"),
    ]
    assert rejected[5]["detail"] == "2401.00006 was deleted by arXiv"


# How the list is walked


def test_pages_follow_the_tokens_to_the_empty_one(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES)
    out = tmp_path / "january.jsonl"
    done, waits, notices = run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert (done.pages, done.papers, done.refused) == (3, 4, {"deleted": 1})
    assert service.asked == [
        {
            "verb": "ListRecords",
            "metadataPrefix": "arXivRaw",
            "set": "physics:astro-ph",
            "from": "2024-01-01",
            "until": "2024-01-31",
        },
        {"verb": "ListRecords", "resumptionToken": token_for(2)},
        {"verb": "ListRecords", "resumptionToken": token_for(3)},
    ]
    assert waits == [3.0, 3.0]
    assert notices == []
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "january.jsonl",
        "january.jsonl.rejected.jsonl",
    ]


@pytest.mark.parametrize(
    ("attributes", "steps"),
    [
        ('completeListSize="5" cursor="0"', [(2, 5), (4, 5), (5, 5)]),
        ('completeListSize="4000 or so"', [(2, 3), (4, 5), (5, 5)]),
        ("", [(2, 3), (4, 5), (5, 5)]),
        ('completeListSize="1"', [(2, 3), (4, 5), (5, 5)]),
    ],
)
def test_progress_is_in_records_of_as_many_as_the_service_says(
    serve: Callable[..., Service], tmp_path: Path, attributes: str, steps: list[tuple[int, int]]
) -> None:
    service = serve(*THREE_PAGES)
    service.attributes = attributes
    seen: list[tuple[int, int]] = []
    etiquette = Etiquette(pause=0)
    watch = Watch(lambda done, total: seen.append((done, total)))
    harvest(january(service), tmp_path / "out.jsonl", etiquette=etiquette, reporter=watch)
    assert seen == steps


def test_the_service_sees_one_connection_and_who_is_asking(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES)
    run(service, tmp_path / "january.jsonl")
    assert len(service.connections) == 1
    assert service.agents == {f"astrosearch/{__version__} (astronomy literature search)"}


def test_without_a_last_day_none_is_sent(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve([record("2401.00001")])
    harvest(HarvestRequest(date(2024, 1, 1), base_url=service.base_url), tmp_path / "new.jsonl")
    assert "until" not in service.asked[0]


@pytest.mark.parametrize("page", [2, 3])
def test_a_token_given_twice_is_refused_rather_than_followed_for_ever(
    serve: Callable[..., Service], tmp_path: Path, page: int
) -> None:
    def name_page_two(service: Service, to: BaseHTTPRequestHandler, _: bytes) -> None:
        send(to, service.page(1))

    service = serve(*THREE_PAGES, faults={page: [name_page_two] * 100})
    with pytest.raises(AstrosearchError, match="twice: its list has no end"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == page


def test_an_empty_list_is_nothing_found_and_leaves_no_file(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve([], faults={1: [oai_error("noRecordsMatch")]})
    with pytest.raises(NothingFound, match="physics:astro-ph from 2024-01-01 until 2024-01-31"):
        run(service, tmp_path / "january.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_list_whose_rest_has_gone_meanwhile_ends_there(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={3: [oai_error("noRecordsMatch")]})
    out = tmp_path / "january.jsonl"
    run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003"]


def test_other_protocol_errors_are_told_with_code_and_text(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(
        [],
        faults={
            1: [
                oai_error("cannotDisseminateFormat", "No such format"),
                oai_error("badArgument", "Illegal"),
            ]
        },
    )
    with pytest.raises(AstrosearchError, match="refused with cannotDisseminateFormat: No such"):
        run(service, tmp_path / "january.jsonl")
    with pytest.raises(AstrosearchError, match=r"badArgument: Illegal \(asked for physics"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == 2


# Failures of the service


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("Fri, 05 Jan 2024 09:21:47 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("Fri, 05 Jan 99999999999 09:21:47 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(header: str, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_of_a_date_to_come_is_the_time_until_then() -> None:
    now = time.time()
    wait = retry_after(formatdate(now + 100, usegmt=True))
    assert wait is not None
    assert 99 - (time.time() - now) <= wait <= 100  # a date has no parts of seconds


def test_retry_after_in_seconds_is_waited_for(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [status(503, "1")]})
    out = tmp_path / "january.jsonl"
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    harvest(january(service), out, etiquette=Etiquette(pause=0, sleep=sleep))
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert sum(waits) == 1.0
    assert service.times[2] - service.times[1] >= 1.0


def test_retry_after_as_a_date_is_waited_for(serve: Callable[..., Service], tmp_path: Path) -> None:
    now = time.time()
    when = formatdate(now + 100, usegmt=True)
    service = serve([record("2401.00001")], faults={1: [status(429, when)]})
    _, waits, notices = run(service, tmp_path / "january.jsonl")
    (wait,) = waits
    assert 99 - (time.time() - now) <= wait <= 100
    (notice,) = notices
    assert notice.startswith("127.0.0.1 answered 429 Too Many Requests; attempt 2 of 6 in ")


def test_a_shorter_retry_after_than_the_pause_does_not_hurry(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    past = formatdate(time.time() - 100, usegmt=True)
    faults = [status(503, "0"), status(503, past), status(503, "soon")]
    service = serve([record("2401.00001")], faults={1: faults})
    _, waits, _ = run(service, tmp_path / "january.jsonl")
    assert waits == [3.0, 3.0, 20.0]  # an unreadable one counts as none: the third back-off


def test_a_service_that_asks_for_hours_is_left_alone(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve([record("2401.00001")], faults={1: [status(503, "7200")]})
    with pytest.raises(AstrosearchError, match="pause of 120 minutes: after that, run the same"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (status(500), "127.0.0.1 answered 500 Internal Server Error"),
        (truncated, "127.0.0.1 sent broken XML"),
        (dropped, "127.0.0.1 could not be read (peer closed connection"),
    ],
)
def test_a_passing_failure_is_tried_again_after_doubling_waits(
    serve: Callable[..., Service], tmp_path: Path, fault: Fault, told: str
) -> None:
    service = serve(*THREE_PAGES, faults={2: [fault, fault, fault]})
    out = tmp_path / "january.jsonl"
    done, waits, notices = run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert done.papers == 4
    assert waits == [3.0, 5.0, 10.0, 20.0, 3.0]
    assert [notice.startswith(told) for notice in notices] == [True, True, True]


def test_a_silent_service_is_asked_again(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve([record("2401.00001")], faults={1: [hang]})
    out = tmp_path / "january.jsonl"
    _, waits, notices = run(service, out, timeout=0.5)
    assert ids(out) == ["2401.00001"]
    assert waits[0] == 5.0
    assert notices[0] == "127.0.0.1 was silent for 0.5 s; attempt 2 of 6 in 5 s"
    # On a busy machine a sound answer may be late, too.
    assert len(service.asked) == 1 + len(waits)


def test_a_lasting_failure_is_one_line_that_says_how_to_go_on(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [status(502)] * 6})
    out = tmp_path / "january.jsonl"
    with pytest.raises(AstrosearchError) as caught:
        run(service, out)
    assert str(caught.value) == (
        "127.0.0.1 answered 502 Bad Gateway, 6 times in a row: "
        "run the same command again to go on from where it stopped"
    )
    assert caught.value.exit_code == 1
    assert not out.exists()

    run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert service.asked[-2:] == [
        {"verb": "ListRecords", "resumptionToken": token_for(2)},
        {"verb": "ListRecords", "resumptionToken": token_for(3)},
    ]
    assert len(service.asked) == 1 + 6 + 2


@pytest.mark.parametrize("fault", [html, well_formed_html])
def test_a_web_page_in_place_of_records_is_told_at_once(
    serve: Callable[..., Service], tmp_path: Path, fault: Fault
) -> None:
    service = serve([], faults={1: [fault]})
    with pytest.raises(AstrosearchError, match=r"something other than OAI-PMH \(text/html\)"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == 1


def test_a_page_that_is_not_there_is_told_at_once(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve([], faults={1: [status(404)]})
    with pytest.raises(AstrosearchError, match=r"^127\.0\.0\.1 answered 404 Not Found to http"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == 1


# Going on


def test_a_refused_token_starts_the_list_over(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={3: [oai_error("badResumptionToken")]})
    out = tmp_path / "january.jsonl"
    done, waits, notices = run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert (done.pages, done.papers, done.refused) == (3, 4, {"deleted": 1})
    assert [asked.get("resumptionToken") for asked in service.asked] == [
        None,
        token_for(2),
        token_for(3),
        None,
        token_for(2),
        token_for(3),
    ]
    assert waits == [3.0] * 5
    (notice,) = notices
    assert notice.startswith("the resumption token has expired: starting physics:astro-ph from")


def test_a_token_refused_again_ends_the_harvest(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [oai_error("badResumptionToken")] * 2})
    with pytest.raises(AstrosearchError, match="does not accept its resumption token"):
        run(service, tmp_path / "january.jsonl")
    assert len(service.asked) == 4


@pytest.mark.parametrize("attribute", ["expires", "expirationDate"])
def test_a_token_past_its_date_is_not_used_in_a_later_run(
    serve: Callable[..., Service], tmp_path: Path, attribute: str
) -> None:
    service = serve(
        *THREE_PAGES, attributes=f'{attribute}="2024-02-01T00:00:00Z"', faults={3: [status(404)]}
    )
    out = tmp_path / "january.jsonl"
    with pytest.raises(AstrosearchError, match="404"):
        run(service, out)
    _, _, notices = run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert "resumptionToken" not in service.asked[3]
    (notice,) = notices
    assert notice.startswith("the resumption token expired at 2024-02-01T00:00:00Z: starting")


def test_a_shortened_partial_file_starts_the_list_over(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={3: [status(404)]})
    out = tmp_path / "january.jsonl"
    with pytest.raises(AstrosearchError, match="404"):
        run(service, out)
    os.truncate(tmp_path / "january.jsonl.partial", 10)
    _, _, notices = run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    (notice,) = notices
    assert "january.jsonl.partial lacks records that were there" in notice


def test_another_harvest_into_the_same_file_is_noticed(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    def meddle(service: Service, to: BaseHTTPRequestHandler, body: bytes) -> None:
        with (tmp_path / "january.jsonl.partial").open("ab") as partial:
            partial.write(b"{}\n")
        send(to, body)

    service = serve(*THREE_PAGES, faults={2: [meddle]})
    with pytest.raises(AstrosearchError, match="another harvest is writing it"):
        run(service, tmp_path / "january.jsonl")


def test_a_harvest_killed_before_the_last_rename_needs_no_request(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES)
    out = tmp_path / "january.jsonl"

    def stop_at_the_end(pages: int, total: int) -> None:
        if pages == total:
            raise KeyboardInterrupt

    watch = Watch(stop_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        harvest(january(service), out, etiquette=Etiquette(pause=0), reporter=watch)
    assert not out.exists()
    done, _, _ = run(service, out)
    assert done.papers == 4
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]
    assert len(service.asked) == 3


def test_an_unfinished_harvest_of_other_dates_is_not_mixed_in(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [status(404)]})
    out = tmp_path / "january.jsonl"
    with pytest.raises(AstrosearchError, match="404"):
        run(service, out)
    other = HarvestRequest(date(2023, 12, 1), base_url=service.base_url)
    with pytest.raises(InputError) as caught:
        harvest(other, out)
    assert str(caught.value) == (
        f"{out}.state.json belongs to an unfinished harvest of physics:astro-ph from 2024-01-01 "
        f"until 2024-01-31 at {service.base_url}, this is one of physics:astro-ph from 2023-12-01 "
        f"until now at {service.base_url}: finish that one, or delete {out}.state.json"
    )
    (tmp_path / "january.jsonl.state.json").unlink()
    harvest(other, out, etiquette=Etiquette(pause=0))
    assert ids(out) == ["2401.00001", "2401.00002", "2401.00003", "2401.00005"]


def test_a_file_that_is_no_state_is_named(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve([record("2401.00001")])
    (tmp_path / "january.jsonl.state.json").write_text("[]")
    with pytest.raises(InputError, match=r"january.jsonl.state.json is not the state of a harv"):
        run(service, tmp_path / "january.jsonl")


# The command


def command(service: Service, out: Path) -> list[str]:
    dates = "--from 2024-01-01 --until 2024-01-31 --pause 0"
    address = ["--base-url", service.base_url, "--out", str(out)]
    return ["corpus", "harvest", *dates.split(), *address]


def start(service: Service, out: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "astrosearch", *command(service, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_harvest_goes_on_and_ends_with_the_same_bytes(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    run(serve(*THREE_PAGES), whole)

    service = serve(*THREE_PAGES, faults={3: [hang]})
    with start(service, cut) as process:
        assert service.held.wait(100)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not cut.exists()
    for torn in ("cut.jsonl.partial", "cut.jsonl.rejected.jsonl"):
        with (tmp_path / torn).open("ab") as file:
            file.write(b'{"id": "2401.000')  # as if killed amid the next page

    with start(service, cut) as process:
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0
    assert stdout == ""
    assert stderr == (
        f"4 papers, 1 refused: 1 deleted; listed in {cut}.rejected.jsonl; "
        f"index them: astrosearch index astro --corpus {cut}\n"
    )
    assert service.asked[-1] == {"verb": "ListRecords", "resumptionToken": token_for(3)}
    assert len(service.asked) == 4
    assert cut.read_bytes() == whole.read_bytes()
    assert (tmp_path / "cut.jsonl.rejected.jsonl").read_bytes() == (
        tmp_path / "whole.jsonl.rejected.jsonl"
    ).read_bytes()
    assert sorted(file.name for file in tmp_path.glob("cut*")) == [
        "cut.jsonl",
        "cut.jsonl.rejected.jsonl",
    ]


@pytest.mark.slow
def test_a_harvest_killed_at_any_moment_goes_on_and_ends_with_the_same_bytes(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    pages = [
        [record(f"2401.{100 * page + one:05}") for one in range(1, 40)]
        + [deleted(f"2402.{page:05}")]
        for page in range(30)
    ]
    service, draw = serve(*pages), random.Random(0)
    service.most = 100_000
    with start(service, tmp_path / "whole.jsonl") as process:
        assert process.wait(300) == 0
    whole = (tmp_path / "whole.jsonl").read_bytes()
    cut, kills, ended = tmp_path / "cut.jsonl", 0, False
    while kills < KILLS or not ended:
        wanted = len(service.asked) + draw.randrange(len(pages))
        with start(service, cut) as process:
            while kills < KILLS and process.poll() is None and len(service.asked) < wanted:
                time.sleep(0.005)
            if kills < KILLS and process.poll() is None:
                time.sleep(draw.uniform(0, 0.02))
                process.kill()
            process.wait(300)
        kills += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL)
        ended = process.returncode == 0 or cut.exists()
        if ended:
            assert cut.read_bytes() == whole
            cut.unlink()
    assert {file.name for file in tmp_path.glob("cut*")} <= {"cut.jsonl.rejected.jsonl"}


def test_a_full_disk_is_a_line_and_the_harvest_goes_on_later(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    """The limit on a file's size stands in for the disk's: the kernel refuses the write alike."""
    service = serve([record("2401.00001", abstract="Gas. " * 1000)], [record("2401.00002")])
    out = tmp_path / "january.jsonl"
    line = shlex.join([sys.executable, "-m", "astrosearch", *command(service, out)])
    ended = subprocess.run(
        ["bash", "-c", f"ulimit -f 4; {line}"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    [said] = ended.stderr.splitlines()
    assert f"cannot write {out}" in said
    assert not out.exists()
    run(service, out)
    assert ids(out) == ["2401.00001", "2401.00002"]


def test_an_interrupted_harvest_says_how_to_go_on(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [hang]})
    with start(service, tmp_path / "january.jsonl") as process:
        assert service.held.wait(100)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=100)
    assert process.returncode == 130
    assert stderr == (
        "\nastrosearch: stopped. Run the same command again to go on from the last finished page.\n"
    )


def test_the_file_is_named_after_the_dates(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve([record("2401.00001")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASTROSEARCH_OAI_URL", service.base_url)
    dates = ["--from", "2024-01-01", "--until", "2024-01-31"]
    result = CliRunner().invoke(main, ["corpus", "harvest", *dates])
    assert result.exit_code == 0
    assert result.stderr == (
        "1 paper; index them: "
        "astrosearch index astro --corpus harvest-2024-01-01-2024-01-31.jsonl\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["harvest-2024-01-01-2024-01-31.jsonl"]
    assert json.loads(Path("harvest-2024-01-01-2024-01-31.jsonl").read_bytes()) == {
        "id": "2401.00001",
        "title": "On object 2401.00001",
        "abstract": "We look at object 2401.00001.",
        "authors": ["A. Doe"],
        "categories": ["astro-ph.GA"],
        "published": "2024-01-05",
        "updated": "2024-01-06",
        "doi": None,
        "version": 1,
    }


def test_an_existing_file_is_replaced_only_by_force(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve([record("2401.00001")])
    out = tmp_path / "january.jsonl"
    out.write_text("mine\n")
    result = CliRunner().invoke(main, command(service, out))
    assert result.exit_code == 2
    assert result.stderr == (
        f"astrosearch: {out} exists; give another --out, or --force to replace it\n"
    )
    assert out.read_text() == "mine\n"
    assert service.asked == []
    result = CliRunner().invoke(main, [*command(service, out), "--force"])
    assert result.exit_code == 0
    assert ids(out) == ["2401.00001"]


def test_down_a_pipe_only_trouble_and_the_outcome_are_told(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    service = serve(*THREE_PAGES, faults={2: [status(503, "0")]})
    result = CliRunner().invoke(main, command(service, tmp_path / "january.jsonl"))
    assert result.exit_code == 0
    assert result.stdout == ""
    told, outcome = result.stderr.splitlines()
    assert told == "127.0.0.1 answered 503 Service Unavailable; attempt 2 of 6 in 0 s"
    assert outcome.startswith("4 papers, 1 refused: 1 deleted; listed in ")


def test_nothing_found_is_exit_code_four(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve([], faults={1: [oai_error("noRecordsMatch")]})
    result = CliRunner().invoke(main, command(service, tmp_path / "january.jsonl"))
    assert result.exit_code == 4
    assert result.stderr.startswith("astrosearch: 127.0.0.1 has no records of physics:astro-ph")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "2024-13-01"], "'2024-13-01' is not a date"),
        (["--from", "yesterday"], "'yesterday' is not a date"),
        (
            ["--from", "2024-02-01", "--until", "2024-01-31"],
            "--from 2024-02-01 is later than --until 2024-01-31",
        ),
        ([], "Missing option '--from'"),
        (["--from", "2024-01-01", "--base-url", "arxiv.org/oai"], "is not a web address"),
        (["--from", "2024-01-01", "--pause", "-1"], "-1.0 is not in the range x>=0"),
        (["--from", "2024-01-01", "--out", "nowhere/x.jsonl"], "there is no folder nowhere"),
    ],
)
def test_unusable_arguments_are_exit_code_two(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["corpus", "harvest", *arguments])
    assert result.exit_code == 2
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", [b"&#x1;", b"\xff\xfe", b"&nosuch;", b"<i>"])
def test_a_record_that_is_not_xml_costs_itself_alone(harm: bytes) -> None:
    ids = [f"2401.0000{number}" for number in (1, 2, 3)]
    body = document(f"<ListRecords>{''.join(map(record, ids))}</ListRecords>")
    page = _page(
        _parsed(body.replace(b"On object 2401.00002", b"On " + harm)),
        HarvestRequest(date(2024, 1, 1)),
        None,
    )
    assert [paper.id for paper in page.papers] == [ids[0], ids[2]]
    assert [(bad.id, bad.reason) for bad in page.refused] == [(ids[1], "broken XML")]


def test_a_page_that_was_cut_off_is_asked_for_again() -> None:
    body = document(f"<ListRecords>{record('2401.00001')}</ListRecords>")
    with pytest.raises(ET.ParseError):
        _parsed(body[:-40])


def test_a_withdrawn_record_of_a_page_stays_known() -> None:
    comments = "This paper has been withdrawn by the author"
    body = document(f"<ListRecords>{record('2401.00001', comments=comments)}</ListRecords>")
    page = _page(_parsed(body), HarvestRequest(date(2024, 1, 1)), None)
    assert page.papers == []
    (paper,) = page.withdrawn
    with pytest.raises(WithdrawnError, match="was withdrawn"):
        paper_from_record(record_from_paper(paper, withdrawn=True))

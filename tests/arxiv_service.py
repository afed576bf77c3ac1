"""A service that speaks OAI-PMH as arXiv does, on loopback: its records change from day to day."""

import random
import threading
import xml.sax.saxutils
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from astrosearch.corpus.arxiv import set_spec
from tests.conftest import WORDS


@dataclass(frozen=True)
class Record:
    """A paper as the service has it now."""

    id: str
    changed: date
    abstract: str
    categories: str = "astro-ph.GA"
    versions: int = 1
    comments: str = ""
    is_deleted: bool = False

    @property
    def published(self) -> date:
        digits = self.id.partition(".")[0]
        return date(2000 + int(digits[:2]), int(digits[2:]), 5)

    def is_in(self, wanted: str) -> bool:
        """Whether it is in a set. A record that was deleted stays in its sets."""
        sets = [set_spec(category) for category in self.categories.split()]
        return any(spec == wanted or spec.startswith(wanted + ":") for spec in sets)

    def xml(self) -> str:
        header = (
            f"<identifier>oai:arXiv.org:{self.id}</identifier><datestamp>{self.changed}</datestamp>"
        )
        if self.is_deleted:
            return f'<record><header status="deleted">{header}</header></record>'
        versions = "".join(
            f'<version version="v{number}"><date>{self.published:%a, %d %b %Y} 10:00:00 GMT</date>'
            "</version>"
            for number in range(1, self.versions + 1)
        )
        texts = {
            "title": f"On object {self.id}",
            "authors": "A. Doe and Carla Mendez",
            "categories": self.categories,
            "comments": self.comments,
            "abstract": self.abstract,
        }
        fields = "".join(
            f"<{name}>{xml.sax.saxutils.escape(text)}</{name}>" for name, text in texts.items()
        )
        return (
            f"<record><header>{header}</header><metadata>"
            f'<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>{self.id}</id>{versions}{fields}'
            "</arXivRaw></metadata></record>"
        )


def text_of(number: int) -> str:
    """An abstract unlike any other, so that no two papers match a question equally well."""
    draw = random.Random(number)
    rare = " ".join(f"NGC{draw.randrange(3_000)}" for _ in range(3))
    return " ".join(draw.choices(WORDS, k=9 + number % 30)) + f" {rare} we find {number} ."


def invented(number: int, changed: date, **changes: Any) -> Record:
    """A record that depends on its arguments alone."""
    published = changed - timedelta(days=number % 3)
    digits = f"{number:05}" if published.year >= 2015 else f"{number % 10_000:04}"
    record = Record(
        id=f"{published:%y%m}.{digits}",
        changed=changed,
        abstract=text_of(number),
        categories=("astro-ph.GA", "astro-ph.HE gr-qc", "gr-qc astro-ph.CO")[number % 3],
    )
    return replace(record, **changes)


@dataclass
class Arxiv:
    """What the service has, and what it was asked."""

    today: date
    page: int = 1_000
    records: dict[str, Record] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    fail_after: int | None = None
    """Requests that are answered; then it fails for good."""
    base_url: str = ""

    def put(self, *records: Record) -> None:
        for record in records:
            self.records[record.id] = record

    def change(self, paper_id: str, **changes: Any) -> None:
        """Change a record today."""
        self.put(replace(self.records[paper_id], changed=self.today, **changes))

    def answer(self, asked: dict[str, str]) -> str:
        self.asked.append(asked)
        token = asked.get("resumptionToken")
        start = 0
        if token is not None:
            since, until, wanted, skip = token.split("|")
            start = int(skip)
        else:
            since, until, wanted = asked["from"], asked.get("until", "9999-12-31"), asked["set"]
        records = sorted(
            (
                record
                for record in self.records.values()
                if since <= str(record.changed) <= until and record.is_in(wanted)
            ),
            key=lambda record: (record.changed, record.id),
        )
        if not records[start:]:
            return '<error code="noRecordsMatch">none</error>'
        end = start + self.page
        following = f"{since}|{until}|{wanted}|{end}" if end < len(records) else ""
        page = "".join(record.xml() for record in records[start:end])
        return (
            f"<ListRecords>{page}<resumptionToken completeListSize='{len(records)}'>"
            f"{following}</resumptionToken></ListRecords>"
        )


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # clients that are killed are part of the tests


def serve(service: Arxiv) -> Server:
    """A running server; `shutdown` and `server_close` end it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query, strict_parsing=True)
            if service.fail_after is not None and len(service.asked) >= service.fail_after:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = service.answer({name: values[0] for name, values in query.items()})
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>'
                '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
                f"<responseDate>{service.today}T12:00:00Z</responseDate>{content}</OAI-PMH>"
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    service.base_url = f"http://127.0.0.1:{server.server_address[1]}/oai"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server

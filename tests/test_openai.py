"""OpenAI's embeddings, against a real HTTP server on loopback.

The server speaks the embeddings API, with vectors of 8 dimensions made of each text's hash, and
misbehaves on request.
"""

import base64
import gzip
import hashlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from astrosearch.encoders import openai_service, openai_waiting, registry
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.openai import OpenAIEncoder
from astrosearch.encoders.openai_costs import CostEstimate
from astrosearch.encoders.openai_requests import GRACE, RetryPolicy, _Sending
from astrosearch.errors import AstrosearchError, InputError, SetupError
from astrosearch.index.reader import Index
from astrosearch.papers import text_hash
from astrosearch.report import SILENT, Reporter
from tests.conftest import Run
from tests.reporters import Lines

SECRET = "sk-proj-0123456789abcdef"
QUICK = RetryPolicy(at_once=4, tries=3, first_delay=0.001, timeout=30)

Fault = Callable[["Service", BaseHTTPRequestHandler, list[str]], None]


def vector_of(text: str) -> list[float]:
    """8 numbers that float32 holds exactly, never all of them zero."""
    return [byte / 8 + 0.125 for byte in hashlib.sha256(text.encode()).digest()[:8]]


def in_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(texts: list[str], *, floats: bool = False) -> dict[str, Any]:
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": vector_of(text) if floats else in_base64(vector_of(text)),
        }
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
    return {"object": "list", "data": data, "model": "tiny", "usage": usage}


@dataclass
class Service:
    """What the server was asked, and how it is to fail."""

    faults: deque[Fault] = field(default_factory=deque)
    """What happens to its first requests instead of an answer."""
    fault: Fault | None = None
    """What happens to all the others."""
    url: str = ""
    asked: list[list[str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)
    """Ends what `hold` holds."""

    @property
    def texts(self) -> list[str]:
        return [text for some in self.asked for text in some]


class Handler(BaseHTTPRequestHandler):
    service: ClassVar[Service]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service = self.service
        service.times.append(time.monotonic())
        service.keys.add(self.headers["Authorization"])
        service.bodies.append(body)
        service.asked.append(body["input"])
        assert self.path == "/v1/embeddings"
        try:
            fault = service.faults.popleft()
        except IndexError:
            fault = service.fault or good
        fault(service, self, body["input"])

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that went away is what some tests are about."""


def send(to: BaseHTTPRequestHandler, body: object, status: int = 200, **more: str) -> None:
    content = json.dumps(body).encode()
    to.send_response(status)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(len(content)))
    for name, value in more.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(content)


def good(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    send(to, answer(texts))


def status(code: int, message: str = "no", error_code: str | None = None, **more: str) -> Fault:
    def fail(_: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
        error = {"message": message, "type": "x", "param": None, "code": error_code}
        send(to, {"error": error}, code, **more)

    return fail


def changed(change: Callable[[dict[str, Any]], object], *, floats: bool = False) -> Fault:
    """An answer with something wrong in it."""

    def fail(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
        body = answer(texts, floats=floats)
        change(body)
        send(to, body)

    return fail


def cut_off(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    """Half of an answer, and the connection is dropped."""
    content = json.dumps(answer(texts)).encode()
    to.send_response(200)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(len(content)))
    to.end_headers()
    to.wfile.write(content[: len(content) // 2])
    to.wfile.flush()
    to.connection.shutdown(socket.SHUT_RDWR)
    to.close_connection = True


def cut_short(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    """Half of an answer that claims to be whole."""
    content = json.dumps(answer(texts)).encode()[:-20]
    to.send_response(200)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(len(content)))
    to.end_headers()
    to.wfile.write(content)


def no_answer(_: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
    """The connection is dropped before a byte."""
    to.connection.shutdown(socket.SHUT_RDWR)
    to.close_connection = True


def slow(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    time.sleep(2.0)
    send(to, answer(texts))


def hold(service: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    """No answer until it is released."""
    service.released.wait(300)
    send(to, answer(texts))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A server, a key for it, and an empty cache."""
    service = Service()
    handler = type("OfThisTest", (Handler,), {"service": service})
    server = Server(("127.0.0.1", 0), handler)
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_LOG"):
        monkeypatch.delenv(name, raising=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield service
    service.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "astrosearch" / "openai.sqlite"


def kept(cache: Path) -> int:
    """Vectors in the cache."""
    if not cache.exists():
        return 0
    with closing(sqlite3.connect(cache)) as db:
        count: int = db.execute("SELECT count(*) FROM vectors").fetchone()[0]
        return count


def make(
    name: str = "tiny",
    *,
    policy: RetryPolicy = QUICK,
    reporter: Reporter | None = None,
) -> OpenAIEncoder:
    spec = registry.encoder_spec(f"openai:{name}")
    return OpenAIEncoder(spec, reporter or Payer(), policy=policy)


class Payer(Reporter):
    """Keeps what it is told and asked; it agrees unless it is made not to."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.lines: list[str] = []
        self.costs: list[CostEstimate] = []
        self._agrees = agrees

    def notify(self, line: str) -> None:
        self.lines.append(line)

    def confirm(self, cost: object) -> bool:
        assert isinstance(cost, CostEstimate)
        self.costs.append(cost)
        return self._agrees


def unit(text: str) -> np.ndarray[Any, Any]:
    vector = np.array(vector_of(text), dtype=np.float64)
    return vector / np.linalg.norm(vector)


def long_texts(count: int) -> list[str]:
    """Of 8,000 bytes: 37 of them fill a request."""
    return [f"{number:08}" * 1_000 for number in range(count)]


class TestSpec:
    def test_its_name_says_what_it_is_and_nothing_that_nobody_knows(self) -> None:
        spec = registry.encoder_spec("openai:text-embedding-3-small")
        assert spec.model == "openai:text-embedding-3-small"
        assert spec.revision == "text-embedding-3-small"
        assert spec.pooling == "undisclosed"
        assert spec.max_tokens == 8_192
        assert spec.is_service
        assert str(spec) == "openai:text-embedding-3-small"
        assert EncoderSpec.from_record(spec.as_record()) == spec
        assert not registry.encoder_spec("minilm").is_service

    @pytest.mark.parametrize("name", ["openai:", "openai: ", "openai:two words"])
    def test_a_name_of_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(InputError, match="does not name a model"):
            registry.encoder_spec(name)

    def test_what_only_a_model_here_can_do_is_refused(self, service: Service) -> None:
        spec = registry.encoder_spec("paper:openai:tiny")
        with pytest.raises(InputError, match="as it is"):
            load_encoder(spec, SILENT)
        with pytest.raises(InputError, match="takes no device, batch tokens"):
            load_encoder(
                registry.encoder_spec("openai:tiny"),
                SILENT,
                device="cpu",
                dtype=None,
                batch_tokens=5,
            )
        assert not service.asked

    @pytest.mark.parametrize(
        ("name", "dimension"),
        [
            ("text-embedding-ada-002", 1_536),
            ("text-embedding-3-small", 1_536),
            ("text-embedding-3-large", 3_072),
        ],
    )
    def test_the_dimension_of_a_known_model_costs_nothing(
        self, service: Service, name: str, dimension: int
    ) -> None:
        assert make(name).dimension == dimension
        assert not service.asked

    def test_the_dimension_of_another_model_is_that_of_its_first_answer(
        self, service: Service
    ) -> None:
        encoder = make()
        with pytest.raises(AstrosearchError, match="not known before its first answer"):
            encoder.dimension  # noqa: B018
        assert not service.asked
        encoder.encode(["a"])
        assert encoder.dimension == 8
        assert make().dimension == 8  # from the cache
        assert service.asked == [["a"]]


class TestVectors:
    @pytest.mark.parametrize("floats", [False, True])
    def test_rows_are_unit_vectors_in_the_order_of_the_texts(
        self, service: Service, floats: bool
    ) -> None:
        service.fault = changed(lambda body: body["data"].reverse(), floats=floats)
        texts = [f"text {number}" for number in range(50)] + ["text 3", "α Centauri"]
        vectors, tokens, _ = make().encode_counted(texts)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, [unit(text) for text in texts], atol=1e-6)
        assert sorted(service.texts) == sorted(set(texts))  # what comes twice is sent once
        assert tokens == 3 * 51  # what the service counted
        assert service.keys == {f"Bearer {SECRET}"}
        assert service.bodies[0]["model"] == "tiny"

    def test_twenty_thousand_texts_go_in_ten_requests(self, service: Service) -> None:
        texts = [f"{number}" for number in range(20_000)]
        before = time.process_time()
        vectors = make().encode(texts)
        assert time.process_time() - before < 10
        assert sorted(map(len, service.asked)) == [20_000 - 9 * 2_048, *[2_048] * 9]
        for row in (0, 2_047, 2_048, 19_999):
            np.testing.assert_allclose(vectors[row], unit(texts[row]), atol=1e-6)

    def test_no_request_can_hold_more_tokens_than_the_service_takes(self, service: Service) -> None:
        make().encode(long_texts(100))
        assert sorted(map(len, service.asked)) == [26, 37, 37]
        assert all(sum(len(text.encode()) for text in some) <= 300_000 for some in service.asked)

    def test_requests_run_at_the_same_time(self, service: Service) -> None:
        all_here = threading.Barrier(4)

        def together(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
            all_here.wait(100)  # breaks, and the server is silent, unless four are in flight
            send(to, answer(texts))

        service.fault = together
        make().encode(long_texts(4 * 37))
        assert len(service.asked) == 4

    def test_long_texts_are_cut_and_counted_in_one_line(self, service: Service) -> None:
        payer = Payer()
        texts = ["a" * 8_192, "b" * 8_193, "c" * 8_191 + "é and more"]
        vectors = make(reporter=payer).encode(texts)
        assert sorted(service.texts) == ["a" * 8_192, "b" * 8_192, "c" * 8_191]
        np.testing.assert_allclose(vectors[2], unit("c" * 8_191), atol=1e-6)
        (line,) = payer.lines
        assert line.startswith("2 of the texts are longer than 8,192 bytes and are cut")

    def test_an_empty_text_is_refused_before_anything_is_sent(self, service: Service) -> None:
        with pytest.raises(InputError, match="no empty text"):
            make().encode(["a", ""])
        assert not service.asked
        assert make("text-embedding-3-small").encode([]).shape == (0, 1_536)


class TestFailures:
    @pytest.mark.parametrize(
        "fault",
        [status(429), status(500), status(503), cut_off, cut_short, no_answer],
        ids=["429", "500", "503", "cut off", "cut short", "no answer"],
    )
    def test_what_passes_is_tried_again(self, service: Service, fault: Fault) -> None:
        service.faults = deque([fault, fault])
        np.testing.assert_allclose(make().encode(["a"])[0], unit("a"), atol=1e-6)
        assert service.asked == [["a"]] * 3

    def test_an_answer_that_does_not_come_is_asked_for_again(self, service: Service) -> None:
        service.faults = deque([hold])
        make(policy=RetryPolicy(tries=5, first_delay=0.001, timeout=0.5)).encode(["a"])
        assert len(service.asked) >= 2

    @pytest.mark.parametrize("now", ["0", formatdate(0, usegmt=True)], ids=["seconds", "date"])
    def test_the_servers_own_word_on_waiting_counts(self, service: Service, now: str) -> None:
        service.faults = deque([status(429, Retry_After=now)])
        before = time.monotonic()
        make(policy=RetryPolicy(tries=2, first_delay=600, longest_delay=600)).encode(["a"])
        assert time.monotonic() - before < 300  # which its own delay is at least

    def test_no_request_comes_before_the_time_that_the_server_named(self, service: Service) -> None:
        service.faults = deque([status(503, Retry_After="0.5")])
        make().encode(["a"])
        assert service.times[1] - service.times[0] >= 0.5

    def test_a_wait_that_is_too_long_ends_the_job(self, service: Service) -> None:
        service.fault = status(429, "come back tomorrow", Retry_After="86400")
        with pytest.raises(AstrosearchError, match=r"asks to wait 86,400 s .*come back tomorrow"):
            make().encode(["a"])
        assert len(service.asked) == 1

    def test_delays_double_up_to_a_cap(self) -> None:
        policy = RetryPolicy(first_delay=1, longest_delay=6)
        for failures, whole in ((1, 1), (2, 2), (3, 4), (4, 6), (9, 6)):
            assert whole / 2 <= policy.delay(failures) <= whole

    def test_after_the_last_try_one_line_says_why_and_what_is_kept(
        self, service: Service, cache: Path
    ) -> None:
        service.fault = status(500, "the engine\n is on fire")
        with pytest.raises(AstrosearchError) as caught:
            make().encode(["a"])
        line = str(caught.value)
        assert "500: the engine is on fire (3 tries)" in line
        assert f"kept in {cache}, the same command goes on" in line
        assert "\n" not in line
        assert caught.value.exit_code == 1
        assert len(service.asked) == 3

    def test_when_one_request_fails_the_answers_to_the_others_are_kept(
        self, service: Service, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail = _Sending.fail

        def release(sending: _Sending, error: BaseException) -> None:
            fail(sending, error)
            service.released.set()  # the others are answered when the failure is known

        monkeypatch.setattr(_Sending, "fail", release)
        service.faults = deque([status(400, "I do not like this"), hold, hold])
        service.fault = good
        with pytest.raises(AstrosearchError, match="400: I do not like this"):
            make(policy=RetryPolicy(at_once=3, first_delay=0.001)).encode(long_texts(10 * 37))
        sent = len(service.asked)
        assert 1 <= sent <= 4  # nothing is begun after the failure
        assert kept(cache) == (sent - 1) * 37
        make().encode(long_texts(10 * 37))
        assert len(service.asked) == sent + 10 - (sent - 1)

    @pytest.mark.parametrize("code", [400, 404, 422])
    def test_what_is_refused_is_not_sent_again(self, service: Service, code: int) -> None:
        service.fault = status(code, "there is no such model")
        with pytest.raises(AstrosearchError, match=f"{code}: there is no such model"):
            make().encode(["a"])
        assert len(service.asked) == 1

    def test_an_empty_account_is_not_waited_for(self, service: Service) -> None:
        service.fault = status(429, "You exceeded your quota", "insufficient_quota")
        with pytest.raises(AstrosearchError, match="You exceeded your quota"):
            make().encode(["a"])
        assert len(service.asked) == 1

    def test_nobody_at_the_address(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{free.getsockname()[1]}/v1")
            with pytest.raises(AstrosearchError, match=r"refused.*3 tries"):
                make().encode(["a"])

    def test_an_address_that_is_none(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
        with pytest.raises(SetupError, match="OPENAI_BASE_URL is not an address"):
            make()


class TestKey:
    @pytest.mark.parametrize("key", [None, "", "  "])
    def test_without_a_key_one_line_names_the_variable(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, key: str | None
    ) -> None:
        if key is None:
            monkeypatch.delenv("OPENAI_API_KEY")
        else:
            monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(SetupError, match="OPENAI_API_KEY is not set") as caught:
            make().encode(["a"])
        assert caught.value.exit_code == 3
        assert not service.asked

    @pytest.mark.parametrize("key", ["sk-two words", "sk-ключ", "sk-line\nbreak"])
    def test_what_cannot_be_a_key_is_not_sent_and_not_shown(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, key: str
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(SetupError, match="OPENAI_API_KEY holds") as caught:
            make().encode(["a"])
        assert key not in str(caught.value)

    @pytest.mark.parametrize(("code", "exit_code"), [(401, 3), (403, 3), (400, 1), (500, 1)])
    def test_a_server_that_quotes_the_key_does_not_show_it(
        self, service: Service, cache: Path, code: int, exit_code: int
    ) -> None:
        service.fault = status(code, f"Bad key: {SECRET}, also sk-proj-****cdef.")
        with pytest.raises(AstrosearchError) as caught:
            make().encode(["a"])
        assert caught.value.exit_code == exit_code
        assert str(code) in str(caught.value)
        assert "sk-" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        assert len(service.asked) == (3 if code == 500 else 1)
        assert SECRET.encode() not in b"".join(file.read_bytes() for file in cache.parent.iterdir())

    def test_what_is_in_the_cache_needs_no_key(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make().encode(["a"])
        monkeypatch.delenv("OPENAI_API_KEY")
        np.testing.assert_allclose(make().encode(["a"])[0], unit("a"), atol=1e-6)


def of_first(value: object) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["data"][0]["embedding"] = value

    return change


class TestOtherServers:
    """Servers that speak OpenAI's language in part."""

    def test_one_that_takes_no_base64_is_asked_for_numbers(self, service: Service) -> None:
        def fault(service: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
            if service.bodies[-1]["encoding_format"] == "base64":
                status(400, "encoding_format must be 'float'")(service, to, texts)
            else:
                send(to, answer(texts, floats=True))

        service.fault = fault
        payer = Payer()
        encoder = make(reporter=payer)
        np.testing.assert_allclose(encoder.encode(["a"])[0], unit("a"), atol=1e-6)
        encoder.encode(["b"])
        formats = [body["encoding_format"] for body in service.bodies]
        assert formats == ["base64", "float", "float"]
        assert sum("takes no base64" in line for line in payer.lines) == 1

    @pytest.mark.parametrize(
        ("most", "code", "message"),
        [
            (
                10,
                400,
                "<400> batch size is invalid, it should not be larger than 10.: input.contents",
            ),
            (32, 422, "batch size {} > maximum allowed batch size 32"),
            (32, 413, "Too many inputs: {}. Maximum is 32 items"),
            (16, 400, "Too many inputs. The max number of inputs is 16. We hope to allow more."),
            (50, 400, "total number of texts must be at most 50, of at most 512 tokens each"),
            (20, 400, "[{{'loc': ['input'], 'msg': 'List should have at most 20 items'}}]"),
            (60, 400, "* at most 60 requests can be in one batch, got {}"),
        ],
    )
    def test_one_that_takes_few_texts_is_sent_few(
        self, service: Service, cache: Path, most: int, code: int, message: str
    ) -> None:
        def fault(service: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
            refused = status(code, message.format(len(texts)))
            (refused if len(texts) > most else good)(service, to, texts)

        service.fault = fault
        texts = [f"text {number}" for number in range(75)]
        encoder = make()
        vectors = encoder.encode(texts)
        np.testing.assert_allclose(vectors, np.stack(list(map(unit, texts))), atol=1e-6)
        assert [len(some) for some in service.asked].count(75) == 1
        assert max(len(some) for some in service.asked[1:]) == most
        assert kept(cache) == 75
        asked = len(service.asked)
        encoder.encode([f"more {number}" for number in range(most)])
        assert len(service.asked) == asked + 1

    def test_texts_that_are_too_long_are_not_too_many(self, service: Service) -> None:
        service.fault = status(400, "maximum context length is 512 tokens, input 3 has 600 tokens")
        with pytest.raises(AstrosearchError, match="512 tokens"):
            make().encode(["a", "b", "c"])
        assert len(service.asked) == 1

    def test_numbers_of_64_bits_are_recognised_and_refused(
        self, service: Service, cache: Path
    ) -> None:
        def in_64(vector: list[float]) -> str:
            return base64.b64encode(struct.pack(f"<{len(vector)}d", *vector)).decode()

        line = r"{} bytes holds {} numbers of 64 bits"
        service.fault = changed(of_first(in_64([0.6, 0.8] + [0.0] * 6)))
        with pytest.raises(AstrosearchError, match=line.format(64, 8)):
            make().encode(["a"])
        service.fault = changed(of_first(in_64([2.0] * 1536)))
        with pytest.raises(AstrosearchError, match=line.format("12,288", "1,536")):
            make("text-embedding-3-small").encode(["a"])
        assert kept(cache) == 0

    def test_a_redirect_is_not_followed(self, service: Service) -> None:
        elsewhere = service.url.replace("127.0.0.1", "localhost") + "/embeddings"
        service.fault = status(307, "moved", Location=elsewhere)
        with pytest.raises(AstrosearchError, match="307: it redirects to http://localhost"):
            make().encode(["a"])
        assert len(service.asked) == 1

    def test_an_answer_that_has_no_end_is_not_read_whole(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = 0

        def endless(_: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
            nonlocal sent
            to.close_connection = True
            to.send_response(200)
            to.end_headers()
            for chunk in range(100):
                to.wfile.write(b" " * 10**6)
                sent = (chunk + 1) * 10**6

        monkeypatch.setattr(openai_service, "LONGEST_ANSWER", 5 * 10**6)
        service.fault = endless
        with pytest.raises(AstrosearchError, match="answers with more than 5 MB"):
            make().encode(["a"])
        assert len(service.asked) == 1
        assert sent < 50 * 10**6

    @pytest.mark.parametrize(
        "address",
        [
            "http://[::1",
            "http://127.0.0.1:99999/v1",
            "http://127.0.0.1:0/v1",
            "http://127.0.0.1:80:80",
            "http://",
            "http:///v1",
            "//host/v1",
            "file:///etc",
            "http://two words/v1",
            "http://line\nbreak/v1",
            "http://h\x01/v1",
            "http://a..b/v1",
            "http://./v1",
            "http://-x/v1",
            "http://*/v1",
            "http://%zz/v1",
            "http://999.1.1.1/v1",
            "http://" + "a" * 64,
            "http://" + "a." * 200 + "b",
            "http://é.org/v1",
            "http://127.0.0.1:８８/v1",
            "http://good.org\\@bad.org/v1",
            "http://host/v1#part",
            "http://host/\udcff",
        ],
    )
    def test_an_address_that_cannot_be_read_is_a_line(
        self, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        with pytest.raises(SetupError, match="OPENAI_BASE_URL is not an address") as caught:
            make()
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("address", [" {} ", "{}/"])
    def test_an_address_in_other_forms_is_used(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", address.format(service.url))
        np.testing.assert_allclose(make().encode(["a"])[0], unit("a"), atol=1e-6)

    @pytest.mark.parametrize(
        ("name", "value", "line"),
        [
            ("HTTP_PROXY", "foo://x", "HTTP_PROXY, HTTPS_PROXY"),
            ("ALL_PROXY", "http://[::1", "HTTP_PROXY, HTTPS_PROXY"),
            ("SSL_CERT_FILE", "/nowhere/certificates", "SSL_CERT_FILE"),
            ("OPENAI_ORG_ID", "é", "OPENAI_ORG_ID holds"),
            ("OPENAI_CUSTOM_HEADERS", "a: \x01", "OPENAI_CUSTOM_HEADERS holds"),
        ],
    )
    def test_settings_that_allow_no_connection_are_a_line(
        self,
        service: Service,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        value: str,
        line: str,
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(SetupError, match=line):
            make().encode(["a"])
        assert not service.asked

    @pytest.mark.parametrize(
        "quoted",
        [
            SECRET,
            SECRET.upper(),
            SECRET.title(),
            SECRET[8:],
            SECRET[:-4],
            f"{SECRET[:12]}…",
            f"{SECRET[:10]}\n{SECRET[10:]}",
            f"Bearer%20{SECRET}",
        ],
    )
    def test_a_key_quoted_in_any_case_or_in_part_is_not_shown(
        self, service: Service, quoted: str
    ) -> None:
        for fault in (status(400, f"Bad key {quoted}!"), changed(failing(f"Bad key {quoted}!"))):
            service.fault = fault
            with pytest.raises(AstrosearchError, match="Bad key") as caught:
                make().encode(["a"])
            shown = str(caught.value).lower()
            size = openai_service.SHOWN_PART + 1
            for start in range(len(SECRET) - size + 1):
                assert SECRET[start : start + size] not in shown

    def test_a_packed_answer_is_refused_unread(self, service: Service) -> None:
        def packed(_: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
            content = gzip.compress(b" " * 10**8)
            to.send_response(200)
            to.send_header("Content-Encoding", "gzip")
            to.send_header("Content-Length", str(len(content)))
            to.end_headers()
            to.wfile.write(content)

        service.fault = packed
        with pytest.raises(AstrosearchError, match="answers in gzip, which was not asked for"):
            make().encode(["a"])
        assert len(service.asked) == 1

    @pytest.mark.parametrize("code", [200, 400])
    def test_an_answer_of_brackets_is_a_line(self, service: Service, code: int) -> None:
        def deep(_: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
            to.send_response(code)
            to.send_header("Content-Type", "application/json")
            to.send_header("Content-Length", "100000")
            to.end_headers()
            to.wfile.write(b"[" * 100_000)

        service.fault = deep
        with pytest.raises(AstrosearchError, match="gave no vectors"):
            make().encode(["a"])


def failing(message: str) -> Callable[[dict[str, Any]], object]:
    return lambda body: body.update(error={"message": message})


class TestWaiting:
    """Servers that do not answer, or only in drops."""

    def test_a_line_says_that_it_is_waited_for(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(openai_waiting, "SILENCE", 0.2)
        service.faults = deque([slow, slow])
        payer = Payer()
        encoder = make(reporter=payer)
        for text in "ab":
            encoder.encode([text])
        line = f"Waiting for {host_of(service)}, which has not answered yet; Ctrl-C stops"
        assert payer.lines == [line]

    def test_a_line_says_why_it_is_asked_again(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(openai_waiting, "SILENCE", 0.2)
        service.faults = deque([status(503, "too busy", Retry_After="1.5")])
        payer = Payer()
        make(reporter=payer).encode(["a"])
        line = f"Waiting for {host_of(service)}, to ask again: 503: too busy; Ctrl-C stops"
        assert payer.lines[-1] == line  # on a busy machine the answer itself was waited for, too
        assert payer.lines.count(line) == 1

    @pytest.mark.parametrize("in_header", [False, True])
    def test_an_answer_in_drops_is_given_up(self, service: Service, in_header: bool) -> None:
        """Each drop comes before the time for which a silence is borne."""

        def drip(service: Service, to: BaseHTTPRequestHandler, __: list[str]) -> None:
            to.close_connection = True
            to.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X: " if in_header else b"\r\n"))
            while not service.released.wait(0.1):
                to.wfile.write(b" ")
                to.wfile.flush()

        service.fault = drip
        before = time.monotonic()
        with pytest.raises(AstrosearchError, match="has not finished an answer within 2 s"):
            make(policy=RetryPolicy(timeout=1, limit=2)).encode(["a"])
        assert time.monotonic() - before < 100

    @pytest.mark.parametrize("signals", [1, 2])
    def test_a_process_is_stopped_though_nothing_is_answered(
        self, service: Service, cache: Path, signals: int
    ) -> None:
        service.fault = hold
        process = start(0, 12 * 37)
        until(lambda: len(service.asked) == 8)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        _, errors = process.communicate(timeout=100)  # the server lets go when the test ends
        assert "KeyboardInterrupt" in errors
        assert len(service.asked) == 8
        assert kept(cache) == 0


class TestWrongAnswers:
    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (lambda body: body["data"].pop(), "1 vectors for 2 texts"),
            (lambda body: body["data"].append(body["data"][0]), "3 vectors for 2 texts"),
            (lambda body: body["data"][1].update(index=0), "indices"),
            (lambda body: body["data"][1].update(index=2), "indices"),
            (lambda body: body["data"][1].update(index=True), "indices"),
            (of_first(in_base64([1.0] * 7)), "7 and 8 dimensions"),
            (of_first([1.0] * 7), "7 and 8 dimensions"),
            (of_first(in_base64([1.0] * 7 + [float("nan")])), "not finite"),
            (of_first([1.0] * 7 + [float("nan")]), "not finite"),
            (of_first([1.0] * 7 + [1e300]), "not finite"),
            (of_first([0.0] * 8), "nothing but zeros"),
            (of_first("not base64!"), "is not one"),
            (of_first("AAAA"), "is not one"),
            (of_first([[1.0]]), "is not one"),
            (of_first([]), "is not one"),
            (of_first(None), "is not one"),
            (of_first({"a": 1}), "is not one"),
            (lambda body: body.pop("data"), "no list of vectors"),
            (lambda body: body.update(data=["x", "y"]), "no list of vectors"),
            (lambda body: body.update(error={"message": "overloaded"}), "overloaded"),
        ],
    )
    def test_is_a_line_and_nothing_is_kept(
        self,
        service: Service,
        cache: Path,
        change: Callable[[dict[str, Any]], object],
        line: str,
    ) -> None:
        service.fault = changed(change)
        with pytest.raises(AstrosearchError, match=line) as caught:
            make().encode(["a", "b"])
        assert "answered wrongly" in str(caught.value)
        assert kept(cache) == 0
        assert len(service.asked) == 1

    def test_a_known_model_has_its_dimension(self, service: Service, cache: Path) -> None:
        with pytest.raises(
            AstrosearchError, match="8 dimensions, text-embedding-3-small has 1,536"
        ):
            make("text-embedding-3-small").encode(["a"])
        assert kept(cache) == 0

    def test_a_dimension_does_not_change(self, service: Service, cache: Path) -> None:
        make().encode(["a"])
        service.fault = changed(of_first([1.0] * 9))
        with pytest.raises(AstrosearchError, match="9 dimensions, tiny has 8"):
            make().encode(["a", "b"])
        encoder = make()
        assert encoder.dimension == 8
        with pytest.raises(AstrosearchError, match="9 dimensions, tiny has 8"):
            encoder.encode(["b"])
        assert kept(cache) == 1


class TestCache:
    def test_a_second_run_sends_nothing(self, service: Service) -> None:
        texts = [f"text {number}" for number in range(1_200)]
        first = make().encode(texts)
        vectors, tokens, _ = make().encode_counted(texts[::-1])
        np.testing.assert_array_equal(vectors, first[::-1])
        assert len(service.asked) == 1
        assert tokens == 0

    def test_only_what_is_new_is_sent(self, service: Service) -> None:
        make().encode(["a", "b"])
        vectors = make().encode(["c", "b", "a"])
        assert service.asked == [["a", "b"], ["c"]]
        np.testing.assert_allclose(vectors, [unit(text) for text in "cba"], atol=1e-6)

    def test_another_model_and_another_server_have_their_own(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make().encode(["a"])
        make("other").encode(["a"])
        monkeypatch.setenv("OPENAI_BASE_URL", service.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("NO_PROXY", "localhost")
        make().encode(["a"])
        assert service.asked == [["a"]] * 3

    def test_what_is_in_the_file_is_what_its_description_says(
        self, service: Service, cache: Path
    ) -> None:
        make().encode(["a"])
        with closing(sqlite3.connect(cache)) as db:
            (row,) = db.execute("SELECT service, model, hash, vector FROM vectors").fetchall()
        assert row[:3] == (service.url, "tiny", hashlib.sha256(b"a").digest()[:16])
        assert np.frombuffer(row[3], "<f4").tolist() == vector_of("a")

    def test_a_user_and_password_in_the_address_are_not_kept(
        self, service: Service, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", service.url.replace("//", "//me:hidden@"))
        make().encode(["a"])
        assert b"hidden" not in cache.read_bytes()

    @pytest.mark.parametrize("damage", ["no database", "holes", "half a vector", "not finite"])
    def test_a_damaged_file_is_named(self, service: Service, cache: Path, damage: str) -> None:
        make().encode([f"text {number}" for number in range(500)])
        if damage == "no database":
            cache.write_bytes(b"nothing of the sort" * 1_000)
        elif damage == "holes":
            with cache.open("r+b") as file:
                file.seek(4_096)
                file.write(b"\xff" * 40_000)
        else:
            blob = b"\0" * 7 if damage == "half a vector" else struct.pack("<f", np.nan) * 8
            with closing(sqlite3.connect(cache)) as db, db:
                db.execute("UPDATE vectors SET vector = ?", (blob,))
        with pytest.raises(AstrosearchError, match="damaged") as caught:
            make().encode([f"text {number}" for number in range(500)])
        assert str(cache) in str(caught.value)
        assert "remove it" in str(caught.value)
        assert len(service.asked) == 1

    def test_a_place_that_cannot_be_written_is_named(self, service: Service, cache: Path) -> None:
        cache.mkdir(parents=True)
        with pytest.raises(AstrosearchError, match=r"openai\.sqlite.* cannot be used"):
            make().encode(["a"])
        assert not service.asked


PROGRAM = """
import sys
from astrosearch.encoders import openai, registry
from astrosearch.encoders.loading import load_encoder
from tests.reporters import Lines
first, last = int(sys.argv[1]), int(sys.argv[2])
openai.GRACE = float(sys.argv[3])
class Told(Lines):
    def notify(self, line):
        print(line, file=sys.stderr, flush=True)
texts = [f"{number:08}" * 1_000 for number in range(first, last)]
load_encoder(registry.encoder_spec("openai:tiny"), Told()).encode(texts)
"""


def start(first: int, last: int, grace: float = GRACE) -> subprocess.Popen[str]:
    """Another process, which encodes `long_texts`.

    Args:
        grace: seconds after Ctrl-C in which the next answer may still come.
    """
    numbers = map(str, (first, last, grace))
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *numbers], text=True, stderr=subprocess.PIPE
    )


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestProcesses:
    def test_a_killed_process_loses_only_what_was_in_flight(
        self, service: Service, cache: Path
    ) -> None:
        service.faults = deque([good] * 3)
        service.fault = hold
        process = start(0, 12 * 37)
        until(lambda: len(service.asked) == 11 and kept(cache) == 3 * 37)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        service.released.set()
        service.asked.clear()
        service.fault = good
        vectors = make().encode(long_texts(12 * 37))
        assert sorted(map(len, service.asked)) == [37] * 9
        np.testing.assert_allclose(vectors[-1], unit(long_texts(12 * 37)[-1]), atol=1e-6)

    def test_a_stopped_process_waits_for_what_is_paid(self, service: Service, cache: Path) -> None:
        service.fault = hold
        process = start(0, 12 * 37, grace=100)
        until(lambda: len(service.asked) == 8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "Waiting a moment" not in (line := process.stderr.readline()):
            assert line, "it ended"
        service.released.set()
        _, errors = process.communicate(timeout=100)
        assert "KeyboardInterrupt" in errors
        assert len(service.asked) == 8
        assert kept(cache) == 8 * 37

    def test_two_processes_at_once(self, service: Service, cache: Path) -> None:
        both = [start(0, 20 * 37), start(10 * 37, 30 * 37)]
        for process in both:
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
        assert kept(cache) == 30 * 37
        with closing(sqlite3.connect(cache)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        service.asked.clear()
        make().encode(long_texts(30 * 37))
        assert not service.asked


class TestConsent:
    def test_costs_are_told_before_anything_is_sent(self, service: Service) -> None:
        class Early(Payer):
            def confirm(self, cost: object) -> bool:
                assert not service.asked
                return super().confirm(cost)

        payer = Early()
        make(reporter=payer).encode(["abcd" * 1_000] * 2 + ["x", "y" * 9_000])
        (cost,) = payer.costs
        assert (cost.texts, cost.tokens, cost.cut) == (3, 1_000 + 1 + 2_048, 1)
        assert service.asked

    def test_a_no_ends_it(self, service: Service, cache: Path) -> None:
        with pytest.raises(AstrosearchError, match=r"nothing was sent to 127\.0"):
            make(reporter=Payer(agrees=False)).encode(["a"])
        assert not service.asked
        assert kept(cache) == 0

    def test_a_job_is_agreed_to_once_and_what_is_here_is_not_counted(
        self, service: Service
    ) -> None:
        make().encode(["a", "b"])
        payer = Payer()
        asked = payer.costs
        encoder = make(reporter=payer)
        encoder.request_approval(text for text in "abcdec")
        assert [(one.texts, one.tokens) for one in asked] == [(3, 3)]
        for text in "abcde":
            encoder.encode([text])
        assert len(asked) == 1
        encoder.encode(["f"])  # was not agreed to
        assert [(one.texts, one.tokens) for one in asked[1:]] == [(1, 1)]
        encoder.request_approval("abcdef")
        assert len(asked) == 2

    @pytest.mark.parametrize(
        ("model", "tokens", "line"),
        [
            ("text-embedding-ada-002", 105_000_000, "about $10.50 ($0.10 a million tokens"),
            ("text-embedding-3-small", 1_000_000, "about $0.02 ($0.02 a million tokens"),
            ("text-embedding-3-large", 20_000_000_000, "about $2,600.00 ($0.13 a million tokens"),
            ("text-embedding-3-large", 1_000, "less than $0.01 ($0.13 a million tokens"),
            ("tiny", 1_000, "price not known"),
        ],
    )
    def test_the_price(self, model: str, tokens: int, line: str) -> None:
        said = str(CostEstimate(model, "api.openai.com", 1_234, tokens, 0))
        assert said.startswith(
            f"1,234 texts, about {tokens:,} tokens, to api.openai.com for {model}"
        )
        assert line in said
        assert ("OpenAI's price of 20" in said) == (model != "tiny")

    def test_the_library_tells_if_nobody_asks(self, service: Service) -> None:
        said = Lines()
        load_encoder(registry.encoder_spec("openai:tiny"), said).encode(["a"])
        host = service.url.removeprefix("http://").removesuffix("/v1")
        assert said == [f"Sending 1 text, about 1 tokens, to {host} for tiny: price not known"]


def on_terminal(service: Service, *arguments: str, key: bytes) -> tuple[int, str]:
    """The exit code of a command on a real terminal, and what is shown there; `key` is the answer
    to its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "astrosearch", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "500"},
    )
    os.close(theirs)
    shown = b""
    asked = len(service.asked)
    try:
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                shown += os.read(ours, 4_096)
            except OSError:  # the other side is closed
                break
            if key and b"Go on? [y/N]: " in shown:
                assert len(service.asked) == asked
                os.write(ours, key)
                key = b""
    finally:
        os.close(ours)
        process.kill() if process.poll() is None and key else process.wait(60)
    return process.returncode, shown.decode()


class TestForeignIndex:
    """An index that somebody else built, whose encoder runs at a service."""

    @pytest.fixture
    def copied(self, frozen: Path, service: Service) -> Path:
        """An index whose manifest was edited: it would send the questions to a service."""
        return with_encoder(frozen, registry.encoder_spec("openai:tiny"))

    def test_no_command_sends_anything_before_consent(
        self, run: Run, copied: Path, service: Service
    ) -> None:
        line = (
            f"astrosearch: not sent without consent: questions and texts to {host_of(service)} for "
            "tiny, because index main names it as its encoder; to agree, add --yes\n"
        )
        assert run("query", "gas", code=3).stderr == line
        assert run("query", "--batch", "-", stdin="gas\nwind\n", code=3).stderr == line
        assert run("shell", stdin="gas\n", code=3).stderr == line
        run("compare", "--text", "gas", "--text", "wind", code=3)
        run("complete", "the gas of the", code=3)
        run("eval", "--task", "title", code=3)
        assert run("query", "gas", "--mode", "lexical").stdout
        assert run("similar", "1504.00003").stdout
        assert not service.asked
        assert not service.keys

    def test_consent_is_kept_for_one_index_and_one_service(
        self, run: Run, copied: Path, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.fault = wide
        run("query", "gas", "--yes")
        assert service.asked == [["gas"]]
        again = run("query", "dust").stderr
        assert again == f"Sending the question to {host_of(service)} for tiny\n"
        shutil.copytree(copied, copied.parent / "other")
        assert "index other names it" in run("query", "gas of it", "-i", "other", code=3).stderr
        monkeypatch.setenv("OPENAI_BASE_URL", service.url.replace("127.0.0.1", "localhost"))
        assert "texts to localhost" in run("query", "gas cloud", "-i", "main", code=3).stderr
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
        run("query", "gas cloud", "-i", "main")
        with_encoder(copied, registry.encoder_spec("openai:other"))
        assert "for other, because" in run("query", "gas", "-i", "main", code=3).stderr
        assert service.texts == ["gas", "dust", "gas cloud"]

    def test_what_was_agreed_to_ends_with_the_index(
        self, run: Run, copied: Path, service: Service, tmp_path: Path
    ) -> None:
        service.fault = wide
        run("query", "gas", "--yes")
        kept_away = tmp_path / "copy"
        shutil.copytree(copied, kept_away)
        run("indexes", "remove", "main", "--yes")
        shutil.copytree(kept_away, copied)
        run("query", "wind", code=3)
        assert service.asked == [["gas"]]

    @pytest.mark.parametrize("content", [b"", b"[" * 10**5, b"[]", b'{"x": 5}', b"\xff"])
    def test_a_damaged_file_of_answers_is_no_consent(
        self, run: Run, copied: Path, service: Service, tmp_path: Path, content: bytes
    ) -> None:
        service.fault = wide
        file = tmp_path / "config/astrosearch/consent.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        run("query", "gas", code=3)
        run("query", "gas", "--yes")
        run("query", "wind")
        assert service.texts == ["gas", "wind"]

    def test_an_answer_that_cannot_be_kept_counts_once(
        self, run: Run, copied: Path, service: Service, tmp_path: Path
    ) -> None:
        service.fault = wide
        (tmp_path / "config").write_text("")
        assert "Your answer cannot be kept in" in run("query", "gas", "--yes").stderr
        run("query", "wind", code=3)
        assert service.texts == ["gas"]

    @pytest.mark.parametrize(("key", "code"), [(b"y\n", 0), (b"n\n", 1)])
    def test_on_a_terminal_the_user_is_asked_once(
        self, copied: Path, service: Service, key: bytes, code: int
    ) -> None:
        service.fault = wide
        returned, text = on_terminal(service, "query", "gas", "--mode", "dense", key=key)
        assert returned == code, text
        assert f"This sends questions and texts to {host_of(service)} for tiny" in text
        assert len(service.asked) == (code == 0)
        if code == 0:
            _, text = on_terminal(service, "query", "wind", "--mode", "dense", key=b"")
            assert "Go on?" not in text
            assert "Sending the question" in text


def host_of(service: Service) -> str:
    return service.url.removeprefix("http://").removesuffix("/v1")


def with_encoder(folder: Path, spec: EncoderSpec) -> Path:
    """An index whose manifest names another encoder."""
    file = folder / "manifest.json"
    record = json.loads(file.read_bytes())
    record.pop("manifest_sha256", None)
    file.write_text(json.dumps(record | {"encoder": spec.as_record()}))
    return folder


def wide(_: Service, to: BaseHTTPRequestHandler, texts: list[str]) -> None:
    """An answer as wide as the frozen index, of 16 dimensions."""
    body = answer(texts)
    for entry, text in zip(body["data"], texts, strict=True):
        entry["embedding"] = in_base64(vector_of(text) * 2)
    send(to, body)


class TestCommandLine:
    def test_an_index_is_built_for_one_consent_and_asked(
        self, run: Run, snapshot: Path, service: Service
    ) -> None:
        report = run("index", "--corpus", snapshot, "--encoder", "openai:tiny", "--yes").stderr
        assert report.count("Sending") == 1
        assert "Sending 150 texts, about" in report
        assert "150 encoded" in report
        assert list(map(len, service.asked)) == [150]
        assert "up to date" in run("index", "main").stderr

        answered = run("query", "gas", "-k", 3, "--format", "ids", "--mode", "dense")
        assert len(answered.stdout.split()) == 3
        assert answered.stderr.startswith("Sending the question to 127.0.0.1")
        assert service.asked[1:] == [["gas"]]
        run("query", "gas", "--mode", "dense")
        assert len(service.asked) == 2
        assert "openai:tiny" in run("indexes", "info", "main").stdout

        run("indexes", "remove", "main", "--yes")
        report = run("index", "--corpus", snapshot, "--encoder", "openai:tiny").stderr
        assert "Sending" not in report  # all of it is in the cache: nobody has to agree
        assert len(service.asked) == 2

    def test_without_a_terminal_and_without_yes_nothing_is_sent(
        self, run: Run, snapshot: Path, service: Service
    ) -> None:
        arguments = ("index", "--corpus", snapshot, "--encoder", "openai:text-embedding-ada-002")
        refused = run(*arguments, code=3).stderr.splitlines()
        assert refused[-1].startswith("astrosearch: not sent without consent: 150 texts, about")
        assert "less than $0.01" in refused[-1]
        assert "--yes" in refused[-1]
        assert [line.split()[0] for line in refused] == ["Reading", "astrosearch:"]
        assert not service.asked

    def test_without_a_key(
        self,
        run: Run,
        snapshot: Path,
        service: Service,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        said = run("index", "--corpus", snapshot, "--encoder", "openai:tiny", "--yes", code=3)
        assert said.stderr.splitlines()[-1].startswith("astrosearch: OPENAI_API_KEY is not set")

    @pytest.mark.parametrize(
        "option",
        [("--layers", 1), ("--pooling", "mean"), ("--max-tokens", 99), ("--device", "cpu")],
    )
    def test_options_of_a_model_here_are_refused(
        self, run: Run, snapshot: Path, service: Service, option: tuple[str, object]
    ) -> None:
        arguments = ("index", "--corpus", snapshot, "--encoder", "openai:tiny", "--yes")
        assert "openai:tiny" in run(*arguments, *option, code=2).stderr
        assert not service.asked

    def test_a_build_that_failed_goes_on(self, run: Run, snapshot: Path, service: Service) -> None:
        service.faults = deque([status(400, "not today")])
        arguments = ("index", "--corpus", snapshot, "--encoder", "openai:tiny", "--yes")
        assert "not today" in run(*arguments, code=1).stderr
        assert "150 encoded" in run(*arguments).stderr

    def test_an_evaluation_is_agreed_to_as_well(
        self, run: Run, snapshot: Path, service: Service
    ) -> None:
        run("index", "--corpus", snapshot, "--encoder", "openai:tiny", "--yes")
        service.asked.clear()
        against = ("eval", "main", "--against", "openai:other", "--task", "title", "--json")
        assert "add --yes" in run(*against, code=3).stderr
        assert not service.asked
        agreed = run(*against, "--yes")
        sending = [line for line in agreed.stderr.splitlines() if line.startswith("Sending")]
        assert [line.rpartition(" for ")[2] for line in sending] == [
            "tiny: price not known",
            "other: price not known",
        ]
        named = [one["model"] for one in json.loads(agreed.stdout)["encoders"]]
        assert named == ["openai:tiny", "openai:other"]
        count = len(service.asked)
        run(*against)
        assert len(service.asked) == count

    def test_a_comparison_is_with_ada_if_there_is_a_key_and_pays_once(
        self, run: Run, built: Path, service: Service, tmp_path: Path
    ) -> None:
        one, two, *_ = (paper.id for paper in Index(built).corpus)
        refused = run("compare", one, two, code=3).stderr
        assert "for text-embedding-ada-002" in refused
        assert "add --yes" in refused
        assert not service.asked
        figure, against = tmp_path / "figure3.png", ("--against", "openai:tiny")
        agreed = run("compare", one, two, *against, "--yes", "--format", "json")
        assert "150 texts" in agreed.stderr
        names = [view["encoder"] for view in json.loads(agreed.stdout)["encoders"]]
        assert names[1] == "openai:tiny"
        count = len(service.asked)
        assert run("compare", one, two, *against, "--format", "json").stdout == agreed.stdout
        run("compare", "--sample", 100, *against, "--plot", figure, "--disagreements", 2)
        assert figure.stat().st_size > 10_000
        assert len(service.asked) == count

    @pytest.mark.parametrize(("key", "code"), [(b"y\n", 0), (b"n\n", 1)])
    def test_on_a_terminal_the_user_is_asked(
        self, home: Path, snapshot: Path, service: Service, key: bytes, code: int
    ) -> None:
        """With a real terminal, on which also the progress is shown."""
        arguments = ("index", "--corpus", str(snapshot), "--encoder", "openai:tiny")
        returned, text = on_terminal(service, *arguments, key=key)
        assert returned == code, text
        assert "150 texts, about" in text
        assert ("150 encoded" in text) == (code == 0)
        assert ("nothing was sent" in text) == (code == 1)
        assert len(service.asked) == (1 if code == 0 else 0)


def test_the_hash_is_that_of_the_text_in_utf_8() -> None:
    assert text_hash("α").hex() == hashlib.sha256("α".encode()).hexdigest()[:32]

"""Servers: `astrosearch serve` in a process of its own, one in a thread of this process, and one
that speaks OpenAI's chat API."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

import pytest


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RunningServer:
    """A process that serves."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "astrosearch", "serve", "--port", "0", *options],
            env={**os.environ, "ASTROSEARCH_HOME": str(home), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        match = None
        while match is None:
            self.said.append(self.process.stderr.readline())
            assert self.said[-1], self.said
            match = re.search(r"http://[^/]+:(\d+)/", self.said[-1])
        self.port = int(match[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        # Its address is told before it answers there. What is not HTTP is not counted as a request.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 300) as probe:
            probe.sendall(b"?\r\n\r\n")
            probe.recv(1)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(100)
        self._reader.join(100)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> Response:
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        return request(self.port, "GET", path + query, headers=headers)

    def post(self, path: str, record: object, headers: dict[str, str] | None = None) -> Response:
        return self.request("POST", path, record, headers)

    def request(
        self,
        method: str,
        path: str,
        record: object = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """
        Args:
            record: the body, as JSON; None for no body.
        """
        if record is None:
            return request(self.port, method, path, headers=headers)
        kind = {"Content-Type": "application/json"}
        body = json.dumps(record).encode()
        return request(self.port, method, path, body, {**kind, **(headers or {})})

    def workers(self) -> list[int]:
        """The processes that answer."""
        pids = []
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):  # threads and processes end
                pids += [int(pid) for pid in children.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in _command(pid)]


def _command(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def lasting_port() -> int:
    """A port that nobody else is given while no server has it: below those that the system hands
    out, and another one for each process of tests."""
    for port in range(10_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports are taken")


def request(
    port: int,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, names, response.read())
    finally:
        connection.close()


@contextmanager
def serving(home: Path, *options: str, **environment: str) -> Iterator[RunningServer]:
    server = RunningServer(home, *options, **environment)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def serving_here(home: Path, queue: int = 64, seconds: float = 30) -> Iterator[int]:
    """The port of a server in a thread of this process, with one worker and narrower bounds."""
    import uvicorn

    from astrosearch.server.http import create_app
    from astrosearch.server.settings import Offer, Settings
    from astrosearch.server.workers import WorkerPool

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTROSEARCH_HOME", str(home))
        settings = Settings(Offer("sampler"), queue=queue, seconds=seconds)
        pool = WorkerPool(settings.offer, 1, queue=queue, seconds=seconds)
        config = uvicorn.Config(create_app(settings, pool), lifespan="on", log_level="error")
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(100)
            listener.close()
            pool.close()


SECRET = "sk-proj-0123456789abcdef"


class ChatService(BaseHTTPRequestHandler):
    """Speaks OpenAI's chat API: answers with its pieces one by one, or fails as it is told to."""

    protocol_version = "HTTP/1.1"
    pieces: ClassVar[list[str]] = ["the", " gas of 50 kpc.", " It has 99 clouds."]
    reason: ClassVar[str] = "stop"
    answers: ClassVar[deque[list[str]]] = deque()
    """The pieces of the next answers; `pieces` when there are no more."""
    faults: ClassVar[deque[int | str | bytes | None]] = deque()
    released: ClassVar[threading.Event] = threading.Event()
    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        assert self.path == "/v1/chat/completions"
        assert self.headers["Authorization"] == f"Bearer {SECRET}"
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            content = json.dumps({"error": {"message": f"no to {SECRET}"}}).encode()
            self.send_response(fault)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "0.01")
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if fault == "cut":  # a whole answer would be longer
            self.send_header("Content-Length", "99999")
        self.end_headers()
        pieces = self.answers.popleft() if self.answers else self.pieces
        for number, piece in enumerate(pieces):
            if fault in ("broken", "cut") and number == 1:
                return
            if fault == "silent":
                self.released.wait(300)
            if isinstance(fault, bytes):
                self.wfile.write(b"data: " + fault + b"\n\n")
                continue
            self._event({"content": piece}, None)
        self._event({}, self.reason)
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, delta: dict[str, str], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "gpt-4o"}
        self.wfile.write(f"data: {json.dumps({**event, 'choices': [choice]})}\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def chat_service() -> Iterator[type[ChatService]]:
    """A server on loopback, to which the environment's key and address lead."""
    with loopback(ChatService) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", SECRET)
        patch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        for name in ("answers", "faults"):
            patch.setattr(ChatService, name, deque())
        patch.setattr(ChatService, "bodies", [])
        patch.setattr(ChatService, "pieces", ChatService.pieces)
        ChatService.released.clear()
        try:
            yield ChatService
        finally:
            ChatService.released.set()


class QuietHandler:
    """What goes before `BaseHTTPRequestHandler` for one that logs nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


class _Loopback(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients may leave
            super().handle_error(request, client_address)


@contextmanager
def loopback(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server in threads of this process, as some service has it."""
    server = _Loopback(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

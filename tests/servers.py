"""Servers: `astrosearch serve` in a process of its own, and one in a thread of this process."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
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
        self.said = [self.process.stderr.readline()]
        match = re.search(r"http://[^/]+:(\d+)/", self.said[0])
        assert match, self.said[0] + self.process.stderr.read()
        self.port = int(match[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._reader.join(20)
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
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for children in threads for pid in children.read_text().split()]
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
        return [pid for pid, command in commands.items() if b"spawn_main" in command]


def request(
    port: int,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
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
            thread.join(20)
            listener.close()
            pool.close()

"""Connections that bring nothing are closed, and so are those that bring too much."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from astrosearch.server import problems
from astrosearch.server.problems import Problem

SECONDS = 20
"""In which the head of a request has to arrive."""

HEAD_BYTES = 65_536
"""Of a request's head, at most, and of what else comes between two pieces of a body."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's, which otherwise waits for the rest of a request for ever, however long it is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._unread = 0
        self._watch(None)

    def _watch(self, last: Any) -> None:
        self._watcher = self.loop.call_later(SECONDS, self._close_if_idle, last)

    def _close_if_idle(self, last: Any) -> None:
        """Close the connection if no request has begun since the one that was the last then."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.cycle is not last:
            self._watch(self.cycle)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(f"the head of the request is longer than {HEAD_BYTES:,} bytes", 431)

    def on_headers_complete(self) -> None:
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as all else is refused."""
        self._refuse("this is not a request of HTTP that can be read", 400)

    def _refuse(self, detail: str, status: int) -> None:
        body = Problem(status, detail, 2).body()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watcher.cancel()
        super().connection_lost(exc)

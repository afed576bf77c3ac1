"""Connections that bring nothing are closed."""

import asyncio
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from astrosearch.server import problems
from astrosearch.server.problems import Problem

SECONDS = 20
"""In which the head of a request has to arrive."""


class PatientProtocol(H11Protocol):
    """uvicorn's, which waits for the rest of a request for ever otherwise."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as all else is refused."""
        body = Problem(400, "this is not a request of HTTP that can be read", 2).body()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        with suppress(h11.LocalProtocolError):  # an answer has begun, or none may have a body
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watcher.cancel()
        super().connection_lost(exc)

"""Connections that bring nothing are closed."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

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

    def connection_lost(self, exc: Exception | None) -> None:
        self._watcher.cancel()
        super().connection_lost(exc)

"""Waiting for a service: the user is told of it, and Ctrl-C is heard at once.

A thread that reads from a socket hears neither Ctrl-C nor a deadline, and a server that sends a
byte now and then holds it for good. So threads that are left behind if need be talk to the
service, and the caller waits for what they put into a queue.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from astrosearch.errors import AstrosearchError
from astrosearch.report import Reporter

SILENCE = 5.0
"""Seconds without an answer after which a line says that it is waited for."""

T = TypeVar("T")


class Waiting:
    """Says once why it takes so long, and gives up in the end."""

    def __init__(self, host: str, reporter: Reporter, limit: float) -> None:
        """
        Args:
            limit: seconds without anything from the service after which it is given up.
        """
        self._host = host
        self._reporter = reporter
        self._limit = limit
        self._told: set[str] = set()
        self.reason = ""
        """Why the last attempt came to nothing; empty if none did."""

    def next(self, items: "SimpleQueue[T]", grace: float | None = None) -> T:
        """The next item of a queue.

        Args:
            grace: seconds after which `queue.Empty` is raised.

        Raises:
            AstrosearchError: if none comes within the limit.
        """
        began = time.monotonic()
        while True:
            passed = time.monotonic() - began
            if grace is not None and passed >= grace:
                raise Empty
            if passed >= self._limit:
                raise AstrosearchError(
                    f"{self._host} has not finished an answer within {self._limit:,.0f} s"
                )
            if passed >= SILENCE:
                self._tell()
            with suppress(Empty):
                return items.get(timeout=min(0.5, grace or 0.5))

    def _tell(self) -> None:
        if self.reason not in self._told:
            self._told.add(self.reason)
            line = f"Waiting for {self._host}, which has not answered yet; Ctrl-C stops"
            if self.reason:
                line = f"Waiting for {self._host}, to ask again: {self.reason}; Ctrl-C stops"
            self._reporter.notify(line)


def in_background(work: Callable[[], None]) -> None:
    """Run something in a thread that does not keep the process from ending."""
    Thread(target=work, daemon=True).start()

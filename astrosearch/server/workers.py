"""The processes that answer.

Python runs one thread at a time, so each core gets a process. All map the same index, so that a
further one costs some 100 MB. A worker answers one request after the other. One that takes too long
or dies is replaced; the request of one that died is asked again, once.
"""

import asyncio
import multiprocessing
import os
import pickle
import signal
import socket
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.context import SpawnContext
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pydantic import BaseModel

from astrosearch.errors import AstrosearchError
from astrosearch.report import SILENT, Reporter
from astrosearch.server.problems import Problem, of_error
from astrosearch.server.settings import Offer

if TYPE_CHECKING:
    from astrosearch.index.reader import Index
    from astrosearch.search.paper_index import SearchedIndex

STARTING = 600
"""Seconds in which a worker has to be ready: a large encoder is read for minutes."""
PATIENCE = 1
"""Seconds after which a client that was turned away may ask again."""
LONG_WAIT = 0.5
"""Seconds of waiting after which it is asked whether the client is still there."""

LENGTH = 4
"""Bytes of a message's length, before it."""
PIECE = 1 << 18
"""Bytes that are read at once."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Busy(Exception):
    """More requests wait than may."""


class TookTooLong(Exception):
    """A request was given up."""


class WorkerDied(Exception):
    """A worker ended in the middle of a request."""


class Pool(Protocol):
    """What answers requests: processes of this machine, or of a cluster."""

    @property
    def waiting(self) -> int:
        """Requests that nothing works on yet."""
        ...

    async def ask(
        self, asked: BaseModel, is_gone: Callable[[], Awaitable[bool]] | None = None
    ) -> object:
        """A `Reply` or a `Problem`; None if the client has gone while the request waited.

        Raises:
            Busy: if too many requests wait already.
            TookTooLong: if it is not answered in time.
            WorkerDied: if whoever was asked ended, also when it was asked again.
        """
        ...

    def close(self) -> None: ...


class Worker:
    """A process with open indexes, seen from the server."""

    def __init__(self, context: SpawnContext, offer: Offer) -> None:
        self._socket, theirs = socket.socketpair()
        self._process = context.Process(target=_work, args=(theirs, offer), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """
        Raises:
            AstrosearchError: if the default index cannot be searched.
            TookTooLong, WorkerDied: the worker is of no use then.
        """
        self._socket.settimeout(STARTING)
        try:
            with self._socket.makefile("rb") as stream:
                error = _read(stream)
        except TimeoutError:
            raise TookTooLong from None
        except (EOFError, OSError):
            raise WorkerDied from None
        if error is not None:
            raise error
        self._socket.setblocking(False)

    async def ask(
        self, asked: BaseModel, seconds: float, *, others_wait: bool
    ) -> tuple[object, list[str]]:
        """A `Reply` or a `Problem`, and lines for whoever runs the server.

        Args:
            others_wait: whether other requests want the processors, too.

        Raises:
            TookTooLong, WorkerDied: the worker is of no use then.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(self._socket, _message((asked, others_wait)))
                reply, lines = await self._received(loop)
        except TimeoutError:
            raise TookTooLong from None
        except (EOFError, OSError):
            raise WorkerDied from None
        return reply, lines

    async def _received(self, loop: asyncio.AbstractEventLoop) -> Any:
        received = bytearray()
        while len(received) < LENGTH or len(received) < LENGTH + _length(received):
            piece = await loop.sock_recv(self._socket, PIECE)
            if not piece:
                raise EOFError
            received += piece
        return pickle.loads(memoryview(received)[LENGTH:])

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._socket.close()


def _message(content: object) -> bytes:
    """What goes from one process to the other."""
    pickled = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return len(pickled).to_bytes(LENGTH) + pickled


def _length(message: bytes | bytearray) -> int:
    """The length of the pickle in a message that has begun."""
    return int.from_bytes(message[:LENGTH])


def _read(stream: BinaryIO) -> Any:
    """The content of the next message.

    Raises:
        EOFError: if the other process has ended.
    """
    head = stream.read(LENGTH)
    pickled = stream.read(_length(head))
    if len(head) < LENGTH or len(pickled) < _length(head):
        raise EOFError
    return pickle.loads(pickled)


class WorkerPool:
    """Hands requests to workers that are free; the others wait, no more than may."""

    def __init__(
        self, offer: Offer, count: int, *, queue: int, seconds: float, reporter: Reporter = SILENT
    ) -> None:
        """Start the workers and wait until they are ready.

        Args:
            queue: requests that may wait.
            seconds: in which a request has to be answered, its waiting included.

        Raises:
            AstrosearchError: if the default index cannot be searched.
        """
        for name in _THREADS:
            os.environ.setdefault(name, str(max(1, (os.cpu_count() or 1) // count)))
        self._context = multiprocessing.get_context("spawn")
        self._offer, self._queue, self._seconds, self._reporter = offer, queue, seconds, reporter
        self._workers = [Worker(self._context, offer) for _ in range(count)]
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        for worker in self._workers:
            self._idle.put_nowait(worker)
        self.waiting = 0
        """Requests without a worker."""
        try:
            for worker in self._workers:
                worker.wait_until_ready()
        except WorkerDied:
            self.close()
            raise AstrosearchError("a worker ended while it opened the index") from None
        except TookTooLong:
            self.close()
            raise AstrosearchError(f"a worker was not ready within {STARTING} s") from None
        except BaseException:
            self.close()
            raise

    async def ask(
        self, asked: BaseModel, is_gone: Callable[[], Awaitable[bool]] | None = None
    ) -> object:
        """A `Reply` or a `Problem`; None if the client has gone while the request waited.

        Raises:
            Busy: if too many requests wait already.
            TookTooLong: if it is not answered in time.
            WorkerDied: if two workers died of it.
        """
        if self._idle.empty() and self.waiting >= self._queue:
            raise Busy
        loop = asyncio.get_running_loop()
        start = loop.time()
        end = start + self._seconds
        self.waiting += 1
        try:
            async with asyncio.timeout_at(end):
                worker = await self._idle.get()
        except TimeoutError:
            raise Busy from None
        finally:
            self.waiting -= 1
        try:
            has_waited = loop.time() - start > LONG_WAIT
            is_wanted = is_gone is None or not has_waited or not await is_gone()
        except BaseException:
            self._idle.put_nowait(worker)
            raise
        if not is_wanted:
            self._idle.put_nowait(worker)
            return None
        # Whoever waits may be cancelled; the worker is not free before it has answered.
        return await asyncio.shield(self._answer(worker, asked, end))

    async def _answer(self, worker: Worker, asked: BaseModel, end: float) -> object:
        """The reply of a worker, or of the one in its place if it died."""
        loop = asyncio.get_running_loop()
        try:
            for is_last in (False, True):
                seconds = max(end - loop.time(), 0)
                try:
                    reply, lines = await worker.ask(asked, seconds, others_wait=self.waiting > 0)
                except (TookTooLong, WorkerDied) as error:
                    worker = await asyncio.to_thread(self._replace, worker)
                    if is_last or isinstance(error, TookTooLong):
                        raise
                else:
                    for line in lines:
                        self._reporter.notify(line)
                    return reply
            raise WorkerDied
        finally:
            self._idle.put_nowait(worker)

    def _replace(self, worker: Worker) -> Worker:
        """A new worker in the place of another, ready."""
        worker.stop()
        self._workers.remove(worker)
        self._reporter.notify(f"Worker {worker.pid} was replaced: it died or took too long")
        new = Worker(self._context, self._offer)
        self._workers.append(new)
        with suppress(AstrosearchError, TookTooLong, WorkerDied):  # its requests will say so
            new.wait_until_ready()
        return new

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()


def _work(connection: socket.socket, offer: Offer) -> None:
    """What a worker does, until the server closes its end of the connection or is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    try:
        answerer = Answerer(offer)
    except AstrosearchError as error:
        connection.sendall(_message(error))
        return
    connection.sendall(_message(None))

    from astrosearch.search import candidates

    with connection, connection.makefile("rb") as stream, suppress(EOFError, OSError):
        while True:
            asked, others_wait = _read(stream)
            candidates.others_wait.set(others_wait)
            connection.sendall(_message(answerer.answer(asked)))


class Answerer:
    """Open indexes, and the answers from them; in a process of its own."""

    def __init__(
        self, offer: Offer, papers_of: "Callable[[Index], SearchedIndex] | None" = None
    ) -> None:
        """Load all that a query needs.

        Args:
            papers_of: as in `Searcher`.

        Raises:
            AstrosearchError: if the default index cannot be searched.
        """
        from astrosearch.server.answers import ANSWERS
        from astrosearch.server.searchers import Searchers

        self._answers, self._notices = ANSWERS, _Notices()
        self._searchers = Searchers(offer, self._notices, papers_of)
        self._searchers(None).query("stars", k=1)

    def answer(self, asked: BaseModel) -> tuple[object, list[str]]:
        """A `Reply` or a `Problem`, and lines for whoever runs the server."""
        reply: object
        try:
            reply = self._answers[type(asked)](self._searchers, asked)
        except AstrosearchError as error:
            reply = of_error(error)
            if reply.status >= 500:
                self._notices.notify(str(error))
        except Exception:
            self._notices.notify(traceback.format_exc().rstrip())
            reply = Problem(500, "the server failed; its standard error says how")
        return reply, self._notices.taken()


class _Notices(Reporter):
    """Keeps lines until they go to the server with the next reply."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def notify(self, line: str) -> None:
        self._lines.append(line)

    def taken(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

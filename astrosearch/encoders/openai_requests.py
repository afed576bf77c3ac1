"""Requests to OpenAI's embeddings API: several at once, sent again after what passes, met where a
server takes other forms than OpenAI's.

The limits are those of https://platform.openai.com/docs/api-reference/embeddings/create. What must
not be exceeded is counted in bytes of UTF-8: a token of a byte-pair encoding is at least one byte,
so a text of 8,192 bytes cannot have more tokens. Of 56,307 astronomical abstracts of arXiv the
longest has 5,459 bytes.
"""

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue

import openai

from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import EncodedTexts
from astrosearch.encoders.openai_answers import UnreadableAnswer, WrongAnswer, read_answer
from astrosearch.encoders.openai_costs import estimated_tokens
from astrosearch.encoders.openai_waiting import Waiting, in_background
from astrosearch.errors import AstrosearchError
from astrosearch.papers import TextHash
from astrosearch.report import Reporter
from astrosearch.retry_after import retry_after

TEXTS_A_REQUEST = 2_048
TOKENS_A_REQUEST = 300_000

GRACE = 1.0
"""Seconds after Ctrl-C in which the next of the answers on their way, which are paid for, may still
come."""


@dataclass(frozen=True)
class RetryPolicy:
    """How requests are sent, and sent again; times are in seconds.

    The client of the openai library can do this too, but it would send again what an empty account
    was refused, would not send again after an answer that was cut off, and its waits cannot be
    stopped.
    """

    at_once: int = 8
    """Requests in flight."""
    tries: int = 8
    """Of one request, before the job is given up: about two minutes with the delays below."""
    first_delay: float = 1.0
    """After a failure; doubled with each further one. Half of it is by chance, so that requests
    that failed together do not come back together."""
    longest_delay: float = 60.0
    longest_retry_after: float = 300.0
    """A longer Retry-After is not waited for."""
    timeout: float = 120.0
    """Without a byte, after which an attempt is given up."""
    limit: float = 600.0
    """Without a whole answer to any request, after which the job is given up."""

    def delay(self, failures: int) -> float:
        whole = min(self.first_delay * 2.0 ** (failures - 1), self.longest_delay)
        return whole * random.uniform(0.5, 1.0)


RETRY_POLICY = RetryPolicy()


@dataclass
class Batch:
    """The texts of one request."""

    texts: dict[TextHash, str] = field(default_factory=dict)
    bytes: int = 0


def batches(texts: Mapping[TextHash, str]) -> Iterator[Batch]:
    """Texts cut into requests that the service takes, whatever their tokens are."""
    batch = Batch()
    for key, text in texts.items():
        size = len(text.encode())
        full = len(batch.texts) == TEXTS_A_REQUEST or batch.bytes + size > TOKENS_A_REQUEST
        if batch.texts and full:
            yield batch
            batch = Batch()
        batch.texts[key] = text
        batch.bytes += size
    if batch.texts:
        yield batch


def _parts(batch: Batch, most: int) -> list[Batch]:
    """A batch cut into some of so many texts at most."""
    texts = iter(batch.texts.items())
    parts = []
    while part := dict(islice(texts, most)):
        parts.append(Batch(part, sum(len(text.encode()) for text in part.values())))
    return parts


class _Failed(Exception):
    """An attempt that came to nothing and may be repeated."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that the server wants to be left alone."""


class _TooManyTexts(Exception):
    """A request of more texts than the server takes at once."""


class _Stopped(Exception):
    """A request that was not sent, because another one failed for good."""


Keep = Callable[[Batch, EncodedTexts], None]
Result = tuple[Batch, EncodedTexts | BaseException]


class Requests:
    """Sends texts to one model of a service."""

    def __init__(
        self,
        model: str,
        reporter: Reporter,
        policy: RetryPolicy,
        kept: str,
        *,
        grace: float = GRACE,
    ) -> None:
        """
        Args:
            kept: says in an error what happens with earlier answers.
            grace: seconds after Ctrl-C in which the next answer may still come.
        """
        self._model = model
        self._reporter = reporter
        self._policy = policy
        self._kept = kept
        self._grace = grace
        self._dimension: int | None = None
        self._texts_a_request = TEXTS_A_REQUEST
        self._in_base64 = True
        """Whether vectors are asked for as base64, a third of the bytes of decimal numbers."""
        self._changing = threading.Lock()
        self._waiting = Waiting(service.host(), reporter, policy.limit)

    def send(self, todo: list[Batch], keep: Keep, dimension: int | None = None) -> None:
        """Have batches answered, several at once. Each answer is handed to `keep` as it comes, also
        after one request failed: what is in flight then is paid for.

        Args:
            dimension: of the vectors, if it is known.

        Raises:
            AstrosearchError: if the service fails for good, or answers wrongly.
            SetupError: if there is no key, or it is refused.
        """
        self._dimension = dimension
        with service.client(self._model, timeout=self._policy.timeout, retries=0) as client:
            sending = _Sending(self._policy.at_once, lambda *job: self._answer(client, *job))
            sending.begin(todo)
            while sending.left:
                try:
                    grace = self._grace if sending.is_interrupted else None
                    sending.take(self._waiting.next(sending.results, grace), keep, self._parts)
                except Empty:
                    break
                except KeyboardInterrupt as interrupt:
                    if sending.is_interrupted:
                        break
                    sending.fail(interrupt)
                    if self._grace:
                        self._reporter.notify("Waiting a moment for answers on their way")
                except AstrosearchError as error:  # no answer came within the limit
                    sending.fail(error)
                    break
            sending.end()
        if sending.failure:
            raise sending.failure

    def _parts(self, batch: Batch) -> list[Batch]:
        return _parts(batch, self._texts_a_request)

    def _answer(self, client: openai.OpenAI, batch: Batch, stop: threading.Event) -> EncodedTexts:
        """A batch's vectors as the service gives them; waits and tries again. If it fails for
        good, no thread sends anything more."""
        texts = list(batch.texts.values())
        reason = ""
        try:
            for attempt in range(1, self._policy.tries + 1):
                if stop.is_set():
                    raise _Stopped
                if len(texts) > self._texts_a_request:
                    raise _TooManyTexts
                try:
                    return self._attempt(client, texts)
                except _Failed as failed:
                    reason, pause = str(failed), failed.retry_after
                if pause is not None and pause > self._policy.longest_retry_after:
                    raise self._given_up(f"it asks to wait {pause:,.0f} s ({reason})")
                self._waiting.reason = reason
                if attempt < self._policy.tries:
                    stop.wait(self._policy.delay(attempt) if pause is None else pause)
            raise self._given_up(f"{reason} ({self._policy.tries} tries)")
        except AstrosearchError:
            stop.set()
            raise

    def _attempt(self, client: openai.OpenAI, texts: list[str]) -> EncodedTexts:
        """One request.

        Raises:
            _Failed: if it may be repeated.
            AstrosearchError: if it may not.
        """
        in_base64 = self._in_base64
        try:
            answer = client.embeddings.with_raw_response.create(
                model=self._model, input=texts, encoding_format="base64" if in_base64 else "float"
            )
            vectors, tokens = read_answer(answer.content, len(texts), self._dimension)
        except openai.APIStatusError as error:
            service.check_admitted(error)
            if self._is_met(error, len(texts), in_base64=in_base64):
                return self._attempt(client, texts)
            reason = f"{error.status_code}: {service.reason(error)}"
            passing = error.status_code in (408, 409, 429) or error.status_code >= 500
            if not passing or error.code == "insufficient_quota":
                raise self._given_up(reason) from None
            raise _Failed(
                reason, retry_after(error.response.headers.get("retry-after", ""))
            ) from None
        except openai.APITimeoutError:
            raise _Failed(f"no answer within {self._policy.timeout:g} s") from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, AstrosearchError):
                raise error.__cause__ from None
            cause = service.without_key(f"{error.__cause__ or error}")
            raise _Failed(cause or "connection lost") from None
        except UnreadableAnswer as error:
            raise _Failed(str(error)) from None
        except WrongAnswer as error:
            raise AstrosearchError(
                f"{service.host()} answered wrongly: {service.without_key(str(error))}; "
                "nothing of this answer is kept"
            ) from None
        return EncodedTexts(
            vectors, sum(map(estimated_tokens, texts)) if tokens is None else tokens
        )

    def _is_met(self, error: openai.APIStatusError, count: int, *, in_base64: bool) -> bool:
        """Whether the server refused the form of the request, and takes the one that is used from
        now on.

        Raises:
            _TooManyTexts: if it takes fewer texts at once.
        """
        if error.status_code not in (400, 413, 422):
            return False
        reason = service.whole_reason(error)
        if in_base64 and _OF_ENCODING.search(reason):
            with self._changing:
                if self._in_base64:
                    self._in_base64 = False
                    self._reporter.notify(f"{service.host()} takes no base64: asking for numbers")
            return True
        is_count = _OF_COUNT.search(reason) and not _OF_LENGTH.search(reason)
        if count > 1 and (is_count or _OF_COUNT_ALONE.search(reason)):
            numbers = [
                int(digits) for digits in re.findall(r"(?<![\w.])\d{1,4}(?![\w.]*\d)", reason)
            ]
            most = max((number for number in numbers if 0 < number < count), default=count // 2)
            with self._changing:
                if most < self._texts_a_request:
                    self._texts_a_request = most
                    self._reporter.notify(f"{service.host()} takes {most:,} texts at once")
            raise _TooManyTexts
        return False

    def _given_up(self, reason: str) -> AstrosearchError:
        return AstrosearchError(f"{service.host()} gave no vectors: {reason}; {self._kept}")


class _Sending:
    """The batches of one job: threads answer them, one after the other each."""

    def __init__(
        self, at_once: int, answer: Callable[[Batch, threading.Event], EncodedTexts]
    ) -> None:
        self._at_once = at_once
        self._answer = answer
        self._todo: SimpleQueue[Batch | None] = SimpleQueue()
        self.results: SimpleQueue[Result] = SimpleQueue()
        self.left = 0
        """Batches without a result."""
        self.failure: BaseException | None = None
        """The first that ended the job; the threads then send nothing more."""
        self._stop = threading.Event()

    @property
    def is_interrupted(self) -> bool:
        return isinstance(self.failure, KeyboardInterrupt)

    def begin(self, batches: list[Batch]) -> None:
        self._add(batches)
        for _ in range(min(self._at_once, len(batches))):
            in_background(self._work)

    def take(self, result: Result, keep: Keep, parts: Callable[[Batch], list[Batch]]) -> None:
        """Deal with the result of a batch."""
        batch, answer = result
        self.left -= 1
        if isinstance(answer, _TooManyTexts):
            self._add(parts(batch))
        elif isinstance(answer, EncodedTexts):
            try:
                keep(batch, answer)
            except AstrosearchError as error:
                self.fail(error)
        elif not isinstance(answer, _Stopped):
            self.fail(answer)

    def fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        if isinstance(error, KeyboardInterrupt):
            self.failure = error
        self._stop.set()

    def end(self) -> None:
        """Let the threads go, whatever they wait for."""
        self._stop.set()
        for _ in range(self._at_once):
            self._todo.put(None)

    def _add(self, batches: list[Batch]) -> None:
        self.left += len(batches)
        for batch in batches:
            self._todo.put(batch)

    def _work(self) -> None:
        while (batch := self._todo.get()) is not None:
            try:
                if self._stop.is_set():
                    raise _Stopped
                self.results.put((batch, self._answer(batch, self._stop)))
            except BaseException as error:
                self.results.put((batch, error))


_OF_ENCODING = re.compile(r"encoding.?format|base64", re.IGNORECASE)
_OF_LENGTH = re.compile(r"\btokens?\b|context|character", re.IGNORECASE)
_OF_COUNT = re.compile(
    r"batch|(?:max|limit|at most|no more than|less than|larger|exceed|too many|too long).*"
    r"(?:input|item|element|text|array|list|size)|"
    r"(?:input|item|element|text|array|list).*(?:max|limit|at most|no more than|exceed|too many)",
    re.IGNORECASE | re.DOTALL,
)
"""How servers say that a request has too many texts: `batch size is invalid, it should not be
larger than 10`, `Batch size 64 > maximum allowed batch size 32`."""

_OF_COUNT_ALONE = re.compile(
    r"(?:number of|too many|\d|max|maximum)\W+(?:inputs?|texts|items|elements|strings|documents|"
    r"requests)\b",
    re.IGNORECASE,
)
"""The same beyond doubt, whatever is said of tokens besides."""

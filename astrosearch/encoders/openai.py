"""OpenAI's embedding models as an encoder: over the network, and for money.

Three things follow from the money. Whoever pays is told what a job costs and may say no before
anything is sent (`openai_costs.py`). Every vector that came back is kept in the user's cache
(`vector_cache.py`), answer by answer: nothing is paid for twice, and a run that dies loses at most
the requests in flight. And an answer is checked before it is kept (`openai_answers.py`).

The limits are those of https://platform.openai.com/docs/api-reference/embeddings/create. What must
not be exceeded is counted in bytes of UTF-8: a token of a byte-pair encoding is at least one byte,
so a text of 8,192 bytes cannot have more tokens. Of 56,307 astronomical abstracts of arXiv the
longest has 5,459 bytes.
"""

import random
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openai

from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI, Billable, EncodedTexts, EncoderSpec
from astrosearch.encoders.openai_answers import UnreadableAnswer, WrongAnswer, read_answer
from astrosearch.encoders.openai_costs import CostEstimate, estimated_tokens
from astrosearch.encoders.vector_cache import VectorCache
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.papers import TextHash, text_hash
from astrosearch.paths import cache_folder
from astrosearch.report import Reporter
from astrosearch.retry_after import retry_after

CACHE = "openai.sqlite"

TEXTS_A_REQUEST = 2_048
TOKENS_A_REQUEST = 300_000

DIMENSIONS = {
    "text-embedding-ada-002": 1_536,
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
}
"""https://platform.openai.com/docs/guides/embeddings; another model's first answer tells it."""


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

    def delay(self, failures: int) -> float:
        whole = min(self.first_delay * 2.0 ** (failures - 1), self.longest_delay)
        return whole * random.uniform(0.5, 1.0)


RETRY_POLICY = RetryPolicy()


class _Text(NamedTuple):
    """A text as it is sent."""

    text: str
    cut: bool
    """Whether it was longer than the service takes."""


@dataclass
class _Batch:
    """The texts of one request."""

    texts: dict[TextHash, str] = field(default_factory=dict)
    bytes: int = 0


class _Failed(Exception):
    """An attempt that came to nothing and may be repeated."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that the server wants to be left alone."""


class _TooManyTexts(Exception):
    """A request of more texts than the server takes at once."""


class _Stopped(Exception):
    """A request that was not sent again because another one failed for good."""


class OpenAIEncoder(Billable):
    """One of OpenAI's embedding models, or one of a server that speaks its language."""

    def __init__(
        self,
        spec: EncoderSpec,
        reporter: Reporter,
        *,
        ask: bool = True,
        cache: Path | None = None,
        policy: RetryPolicy = RETRY_POLICY,
    ) -> None:
        """
        Args:
            ask: whether the reporter has to agree to what a job costs before anything is sent; if
                not, it is asked once whether the service may be used.
            cache: the file of kept vectors; by default `openai.sqlite` in the user's cache.

        Raises:
            SetupError: if `OPENAI_BASE_URL` is not an address.
        """
        self.spec = spec
        self._model = spec.model.removeprefix(OPENAI)
        self._reporter = reporter
        self._ask = ask
        self._file = cache or cache_folder() / CACHE
        self._policy = policy
        self._address = service.address()
        self._dimension = DIMENSIONS.get(self._model)
        self._texts_a_request = TEXTS_A_REQUEST
        self._is_announced = False
        self._changing = threading.Lock()
        self._in_base64 = True
        """Whether vectors are asked for as base64, a third of the bytes of decimal numbers."""
        self._approved = 0
        """Tokens that were agreed to and not spent yet."""

    @property
    def dimension(self) -> int:
        """Of the vectors.

        Raises:
            AstrosearchError: if the model is not a known one and never answered: nothing is sent
                to learn it.
        """
        if self._dimension is None:
            with self._cache() as cache:
                self._dimension = cache.dimension()
        if self._dimension is None:
            raise AstrosearchError(
                f"the dimension of {self._model} is not known before its first answer"
            )
        return self._dimension

    def request_approval(self, texts: Iterable[str]) -> None:
        """Have a whole job agreed to; `encode` asks no more until it is spent.

        Raises:
            AstrosearchError: if the answer is no.
            InputError: if a text is empty.
            SetupError: if something is to be sent and there is no key.
        """
        stream = iter(texts)
        new: dict[TextHash, tuple[int, bool]] = {}
        with self._cache() as cache:
            while batch := dict(map(self._as_sent, islice(stream, 10_000))):
                known = cache.known(list(batch))
                new |= {
                    key: (estimated_tokens(sent.text), sent.cut)
                    for key, sent in batch.items()
                    if key not in known
                }
        self._approve(list(new.values()))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i; what `encode_counted` raises."""
        return self.encode_counted(texts).vectors

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        """
        Raises:
            AstrosearchError: if the service fails for good, or answers wrongly; what it answered
                before is kept.
            InputError: if a text is empty.
            SetupError: if something is to be sent and there is no key, or it is refused.
        """
        if not texts:
            return EncodedTexts(np.zeros((0, self._dimension or 0), dtype=np.float32), 0)
        sent = [self._as_sent(text) for text in texts]
        tokens = 0
        with self._cache() as cache:
            vectors = cache.read(list(dict.fromkeys(key for key, _ in sent)))
            for vector in islice(vectors.values(), 1):
                self._check_dimension(vector, f"{self._file} has")
            missing = {key: text for key, text in sent if key not in vectors}
            if missing:
                self._spend(missing.values())
                fresh, tokens = self._send(list(_batches(missing)), cache)
                vectors |= fresh
        return EncodedTexts(unit_rows(np.stack([vectors[key] for key, _ in sent])), tokens)

    def _as_sent(self, text: str) -> tuple[TextHash, _Text]:
        """What is sent for a text, and the hash of that."""
        if not text:
            raise InputError(f"{self.spec.model} takes no empty text")
        whole = text.encode(errors="replace")
        # A character that the cut goes through is dropped.
        sent = whole[: self.spec.max_tokens].decode(errors="ignore")
        return text_hash(sent), _Text(sent, len(whole) > self.spec.max_tokens)

    def _spend(self, texts: Iterable[_Text]) -> None:
        """Take texts from what was agreed to; have them agreed to if they are more than that."""
        costs = [(estimated_tokens(sent.text), sent.cut) for sent in texts]
        spent = sum(tokens for tokens, _ in costs)
        if spent > self._approved:
            self._approve(costs)
        self._approved -= spent

    def _approve(self, costs: Sequence[tuple[int, bool]]) -> None:
        """Ask for texts of so many tokens each, some of them cut."""
        if not costs:
            return
        service.key(self.spec.model)
        host = service.host()
        tokens, cut = (sum(column) for column in zip(*costs, strict=True))
        estimate = CostEstimate(self._model, host, len(costs), tokens, cut)
        if self._ask and not self._reporter.confirm(estimate):
            raise AstrosearchError(f"nothing was sent to {host}")
        if not self._ask and not self._is_announced:
            request = f"questions and texts to {host} for {self._model}"
            if not self._reporter.may_contact(estimate.service, request):
                raise AstrosearchError(f"nothing was sent to {host}")
            self._reporter.notify(f"Sending the question to {host} for {self._model}")
            self._is_announced = True
        self._approved += tokens
        if cut:
            self._reporter.notify(
                f"{cut:,} of the texts are longer than {self.spec.max_tokens:,} bytes and are cut: "
                f"the service takes {self.spec.max_tokens:,} tokens, and a token may be one byte"
            )

    def _send(
        self, batches: Sequence[_Batch], cache: VectorCache
    ) -> tuple[dict[TextHash, Vectors], int]:
        """The vectors of several requests, sent at once, and their tokens. Each answer is kept as
        it comes, also after one request failed: what is in flight then is paid for."""
        stop = threading.Event()
        failure: BaseException | None = None
        vectors: dict[TextHash, Vectors] = {}
        spent = 0
        with (
            service.client(self.spec.model, timeout=self._policy.timeout, retries=0) as client,
            ThreadPoolExecutor(min(self._policy.at_once, len(batches))) as pool,
        ):
            waiting: dict[Future[EncodedTexts], _Batch] = {
                pool.submit(self._answer, client, batch, stop): batch for batch in batches
            }
            while waiting:
                try:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        batch = waiting.pop(future)
                        if future.cancelled():
                            continue
                        rows, tokens = future.result()
                        self._check_dimension(rows[0], f"{self._model} answered with")
                        answered = dict(zip(batch.texts, rows, strict=True))
                        cache.write(answered)
                        vectors |= answered
                        spent += tokens
                except _TooManyTexts:
                    for part in _parts(batch, self._texts_a_request):
                        waiting[pool.submit(self._answer, client, part, stop)] = part
                except _Stopped:
                    continue
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt) and not stop.is_set():
                        self._reporter.notify("Waiting for the answers that are on their way")
                    failure = failure or error
                    stop.set()
                    for future in waiting:
                        future.cancel()
        if failure:
            raise failure
        return vectors, spent

    def _answer(self, client: openai.OpenAI, batch: _Batch, stop: threading.Event) -> EncodedTexts:
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
        if count > 1 and _OF_COUNT.search(reason) and not _OF_LENGTH.search(reason):
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
        return AstrosearchError(
            f"{service.host()} gave no vectors: {reason}; what it gave before is kept in "
            f"{self._file}, the same command goes on"
        )

    def _check_dimension(self, vector: Vectors, source: str) -> None:
        if self._dimension is None:
            self._dimension = len(vector)
        if len(vector) != self._dimension:
            raise AstrosearchError(
                f"{source} {len(vector):,} dimensions, {self._model} has {self._dimension:,}; "
                "nothing of it is kept"
            )

    def _cache(self) -> AbstractContextManager[VectorCache]:
        return VectorCache.open(self._file, self._address, self._model)


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


def _parts(batch: _Batch, most: int) -> Iterator[_Batch]:
    """A batch cut into some of so many texts at most."""
    texts = iter(batch.texts.items())
    while part := dict(islice(texts, most)):
        yield _Batch(part, sum(len(text.encode()) for text in part.values()))


def _batches(texts: Mapping[TextHash, _Text]) -> Iterator[_Batch]:
    """Cut texts into requests that the service takes, whatever their tokens are."""
    batch = _Batch()
    for key, (text, _) in texts.items():
        size = len(text.encode())
        full = len(batch.texts) == TEXTS_A_REQUEST or batch.bytes + size > TOKENS_A_REQUEST
        if batch.texts and full:
            yield batch
            batch = _Batch()
        batch.texts[key] = text
        batch.bytes += size
    if batch.texts:
        yield batch

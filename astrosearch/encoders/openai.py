"""OpenAI's embedding models as an encoder: over the network, and for money.

Three things follow from the money. Whoever pays is told what a job costs and may say no before
anything is sent (`CostEstimate`). Every vector that came back is kept in the user's cache
(`vector_cache.py`), answer by answer: nothing is paid for twice, and a run that dies loses at most
the requests in flight. And an answer is checked before it is kept.

The service's limits and the forms of its answers are those of
https://platform.openai.com/docs/api-reference/embeddings/create. It counts in tokens of a
vocabulary (cl100k_base) that tiktoken, its tokenizer, downloads at run time, which a machine
behind a wall cannot. What must not be exceeded is counted in bytes of UTF-8 instead: a token of a
byte-pair encoding is at least one byte, so a text of 8,192 bytes cannot have more tokens. Of
56,307 astronomical abstracts of arXiv the longest has 5,459 bytes.
"""

import base64
import binascii
import json
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path

import numpy as np
import openai

from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI, EncoderSpec
from astrosearch.encoders.vector_cache import VectorCache
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.papers import TextHash, text_hash
from astrosearch.paths import cache_folder
from astrosearch.report import Reporter

CACHE = "openai.sqlite"

TEXTS_A_REQUEST = 2_048
TOKENS_A_REQUEST = 300_000

BYTES_A_TOKEN = 4
"""For the estimate of the costs alone. Abstracts of arXiv's astro-ph have 4.7 bytes a token of
cl100k_base on average and nine in ten more than 4, so it is rather too high than too low."""

DOLLARS_A_MILLION_TOKENS = {
    "text-embedding-ada-002": 0.10,
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
}
PRICES_OF = "2026-11"
"""When the prices were last looked up: https://developers.openai.com/api/docs/pricing"""

DIMENSIONS = {
    "text-embedding-ada-002": 1_536,
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
}
"""https://platform.openai.com/docs/guides/embeddings; of another model its first answer tells."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a job sends and costs; of texts whose vectors are here already nothing is counted."""

    model: str
    host: str
    """Where the texts go."""
    texts: int
    tokens: int
    """Estimated, rather too high: `BYTES_A_TOKEN`."""
    cut: int
    """Texts that are longer than the service takes."""

    @property
    def dollars(self) -> float | None:
        price = DOLLARS_A_MILLION_TOKENS.get(self.model)
        return None if price is None else self.tokens * price / 1e6

    def __str__(self) -> str:
        texts = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        said = f"{texts}, about {self.tokens:,} tokens, to {self.host} for {self.model}"
        if self.dollars is None:
            return f"{said}: price not known"
        price = DOLLARS_A_MILLION_TOKENS[self.model]
        about = f"about ${self.dollars:,.2f}" if self.dollars >= 0.01 else "less than $0.01"
        return f"{said}: {about} (${price:.2f} a million tokens, OpenAI's price of {PRICES_OF})"


@dataclass(frozen=True)
class RetryPolicy:
    """How the service is spoken to; times are in seconds."""

    at_once: int = 8
    """Requests in flight."""
    tries: int = 8
    """Of one request, before the job is given up: about two minutes with the delays below."""
    first_delay: float = 1.0
    """After a failure; doubled with each further one. Half of it is by chance, so that requests
    that failed together do not come back together."""
    longest_delay: float = 60.0
    longest_asked: float = 300.0
    """A longer Retry-After is not waited for."""
    timeout: float = 120.0
    """Without a byte, after which an attempt is given up."""

    def delay(self, failures: int) -> float:
        whole = min(self.first_delay * 2.0 ** (failures - 1), self.longest_delay)
        return whole * random.uniform(0.5, 1.0)


RETRY_POLICY = RetryPolicy()


@dataclass
class _Batch:
    """The texts of one request."""

    texts: dict[TextHash, str] = field(default_factory=dict)
    bytes: int = 0


class _Unreadable(Exception):
    """An answer that was cut off, or is no JSON: worth another try."""


class _Stopped(Exception):
    """A request that was not sent again because another one failed for good."""


class OpenAIEncoder:
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
            ask: whether the reporter has to agree to what a job costs before anything is sent.
            cache: the file of kept vectors; by default `openai.sqlite` in the user's cache.

        Raises:
            SetupError: if `OPENAI_BASE_URL` is no address.
        """
        self.spec = spec
        self.tokens_seen = 0
        self._model = spec.model.removeprefix(OPENAI)
        self._reporter = reporter
        self._ask_first = ask
        self._file = cache or cache_folder() / CACHE
        self._policy = policy
        self._address = service.address()
        self._dimension = DIMENSIONS.get(self._model)
        self._agreed = 0
        """Tokens that were agreed to and not spent yet."""

    @property
    def dimension(self) -> int:
        """Of a model whose dimension is not known, and was never asked anything, one answer tells:
        the word `dimension`, two tokens, is sent without asking."""
        if self._dimension is None:
            with self._cache() as cache:
                self._dimension = cache.dimension()
        if self._dimension is None:
            self._agreed += _tokens("dimension")
            self.encode(["dimension"])
        assert self._dimension is not None
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
            while some := dict(map(self._as_sent, islice(stream, 10_000))):
                here = cache.known(list(some))
                for key, (text, cut) in some.items():
                    if key not in here:
                        new[key] = _tokens(text), cut
        self._agree(new.values())

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i.

        Raises:
            AstrosearchError: if the service fails for good, or answers wrongly; what it answered
                before is kept.
            InputError: if a text is empty.
            SetupError: if something is to be sent and there is no key, or it is refused.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        sent = [self._as_sent(text) for text in texts]
        keys = [key for key, _ in sent]
        with self._cache() as cache:
            found = cache.read(list(dict.fromkeys(keys)))
            for vector in islice(found.values(), 1):
                self._check_dimension(vector, f"{self._file} has")
            missing = {key: one for key, one in sent if key not in found}
            if missing:
                cost = [(_tokens(text), cut) for text, cut in missing.values()]
                spent = sum(tokens for tokens, _ in cost)
                if spent > self._agreed:
                    self._agree(cost)
                self._agreed -= spent
                batches = _batches({key: text for key, (text, _) in missing.items()})
                found |= self._send(list(batches), cache)
        return unit_rows(np.stack([found[key] for key in keys]))

    def _as_sent(self, text: str) -> tuple[TextHash, tuple[str, bool]]:
        """The hash of what is sent for a text; that, and whether it was cut."""
        if not text:
            raise InputError(f"{self.spec.model} takes no empty text")
        whole = text.encode(errors="replace")
        # A character that the cut goes through is dropped.
        kept = whole[: self.spec.max_tokens].decode(errors="ignore")
        return text_hash(kept), (kept, len(whole) > self.spec.max_tokens)

    def _agree(self, new: Iterable[tuple[int, bool]]) -> None:
        """Ask for texts of so many tokens each, some of them cut."""
        outlays = list(new)
        if not outlays:
            return
        service.key(self.spec.model)
        host = service.host()
        tokens, cut = (sum(part) for part in zip(*outlays, strict=True))
        cost = CostEstimate(self._model, host, len(outlays), tokens, cut)
        if self._ask_first and not self._reporter.confirm(cost):
            raise AstrosearchError(f"nothing was sent to {host}")
        self._agreed += tokens
        if cut:
            self._reporter.notify(
                f"{cut:,} of the texts are longer than {self.spec.max_tokens:,} bytes and are cut: "
                f"the service takes {self.spec.max_tokens:,} tokens, and a token may be one byte"
            )

    def _send(self, batches: list[_Batch], cache: VectorCache) -> dict[TextHash, Vectors]:
        """Send several requests at once, and keep each answer as it comes."""
        stop = threading.Event()
        failure: BaseException | None = None
        found: dict[TextHash, Vectors] = {}
        with (
            # Its own retries cannot be stopped, nor told how long to wait.
            service.client(self.spec.model, timeout=self._policy.timeout, retries=0) as client,
            ThreadPoolExecutor(min(self._policy.at_once, len(batches))) as pool,
        ):
            waiting: dict[Future[tuple[Vectors, int]], _Batch] = {
                pool.submit(self._ask_unless, stop, client, batch): batch for batch in batches
            }
            while waiting:
                try:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        batch = waiting.pop(future)
                        if future.cancelled():
                            continue
                        vectors, tokens = future.result()
                        self._check_dimension(vectors[0], f"{self._model} answered with")
                        answered = dict(zip(batch.texts, vectors, strict=True))
                        cache.write(answered)
                        found |= answered
                        self.tokens_seen += tokens
                except _Stopped:
                    continue
                except BaseException as error:
                    # What is in flight is paid for: it is waited for and kept.
                    if isinstance(error, KeyboardInterrupt) and not stop.is_set():
                        self._reporter.notify("Waiting for the answers that are on their way")
                    failure = failure or error
                    stop.set()
                    for future in waiting:
                        future.cancel()
        if failure:
            raise failure
        return found

    def _ask_unless(
        self, stop: threading.Event, client: openai.OpenAI, batch: _Batch
    ) -> tuple[Vectors, int]:
        """`_ask`, in a thread; if it fails for good, no thread sends anything more."""
        try:
            return self._ask(client, batch, stop)
        except AstrosearchError:
            stop.set()
            raise

    def _ask(
        self, client: openai.OpenAI, batch: _Batch, stop: threading.Event
    ) -> tuple[Vectors, int]:
        """(n, d) vectors of a batch, in its order, and the tokens it had; waits and tries again."""
        texts = list(batch.texts.values())
        for attempt in range(1, self._policy.tries + 1):
            if stop.is_set():
                raise _Stopped
            asked = None
            try:
                answer = client.embeddings.with_raw_response.create(
                    model=self._model, input=texts, encoding_format="base64"
                )
                vectors, tokens = read_answer(answer.content, len(texts))
                return vectors, sum(map(_tokens, texts)) if tokens is None else tokens
            except openai.APIStatusError as error:
                service.check_admitted(error)
                reason = service.reason(error)
                passing = error.status_code in (408, 409, 429) or error.status_code >= 500
                if not passing or error.code == "insufficient_quota":
                    raise self._given_up(f"{error.status_code}: {reason}") from None
                reason = f"{error.status_code}: {reason}"
                asked = _retry_after(error.response.headers)
            except openai.APITimeoutError:
                reason = f"no answer within {self._policy.timeout:g} s"
            except openai.APIConnectionError as error:
                reason = service.without_key(f"{error.__cause__ or error}") or "connection lost"
            except _Unreadable as error:
                reason = str(error)
            except _WrongAnswer as error:
                raise AstrosearchError(
                    f"{service.host()} answered wrongly: {service.without_key(str(error))}; "
                    "nothing of this answer is kept"
                ) from None
            if asked is not None and asked > self._policy.longest_asked:
                raise self._given_up(f"it asks to wait {asked:,.0f} s ({reason})")
            if attempt < self._policy.tries:
                stop.wait(self._policy.delay(attempt) if asked is None else asked)
        raise self._given_up(f"{reason} ({self._policy.tries} tries)")

    def _given_up(self, why: str) -> AstrosearchError:
        return AstrosearchError(
            f"{service.host()} gave no vectors: {why}; what it gave before is kept in "
            f"{self._file}, the same command goes on"
        )

    def _check_dimension(self, vector: Vectors, who: str) -> None:
        if self._dimension is None:
            self._dimension = len(vector)
        if len(vector) != self._dimension:
            raise AstrosearchError(
                f"{who} {len(vector):,} dimensions, {self._model} has {self._dimension:,}; nothing "
                "of it is kept"
            )

    def _cache(self) -> AbstractContextManager[VectorCache]:
        return VectorCache.open(self._file, self._address, self._model)


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def _batches(texts: Mapping[TextHash, str]) -> Iterator[_Batch]:
    """Cut texts into requests that the service takes, whatever their tokens are."""
    batch = _Batch()
    for key, text in texts.items():
        size = len(text.encode())
        full = len(batch.texts) == TEXTS_A_REQUEST or batch.bytes + size > TOKENS_A_REQUEST
        if batch.texts and full:
            yield batch
            batch = _Batch()
        batch.texts[key] = text
        batch.bytes += size
    if batch.texts:
        yield batch


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: the header has a number of them, or an HTTP date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


class _WrongAnswer(Exception):
    """An answer that can be read and must not be used."""


def read_answer(content: bytes, count: int) -> tuple[Vectors, int | None]:
    """The vectors of an answer to `count` texts, and the tokens it says they had.

    Returns:
        (count, d) float32, in the order of the texts.
    """
    try:
        answer = json.loads(content)
    except ValueError:
        raise _Unreadable("an answer that is cut off, or no JSON") from None
    if not isinstance(answer, dict):
        raise _WrongAnswer("its JSON is no object")
    if error := answer.get("error"):
        said = error.get("message") if isinstance(error, dict) else error
        raise _WrongAnswer(" ".join(str(said).split())[:300])
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise _WrongAnswer("it holds no list of vectors")
    if len(data) != count:
        raise _WrongAnswer(f"{len(data):,} vectors for {count:,} texts")
    rows: dict[object, Vectors] = {}
    for one in data:
        index = one.get("index")
        if type(index) is not int or not 0 <= index < count or index in rows:
            raise _WrongAnswer(f"the indices of its {count:,} vectors are not 0 to {count - 1:,}")
        rows[index] = _read_vector(one.get("embedding"))
    if len(sizes := {len(row) for row in rows.values()}) > 1:
        raise _WrongAnswer(f"its vectors have {' and '.join(map(str, sorted(sizes)))} dimensions")
    vectors = np.stack([rows[index] for index in range(count)])
    if not np.isfinite(vectors).all():
        raise _WrongAnswer("a vector holds a number that is not finite")
    if not vectors.any(axis=1).all():
        raise _WrongAnswer("a vector holds nothing but zeros")
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return vectors, tokens if type(tokens) is int and tokens >= 0 else None


def _read_vector(form: object) -> Vectors:
    """A list of numbers, or base64 of little-endian float32."""
    try:
        if isinstance(form, str):
            vector = np.frombuffer(base64.b64decode(form, validate=True), "<f4").astype(np.float32)
        else:
            with np.errstate(over="ignore"):  # too large becomes infinite, which is refused
                vector = np.array(form, dtype=np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise _WrongAnswer("what should be a vector is none") from None
    if vector.ndim != 1 or not len(vector):
        raise _WrongAnswer("what should be a vector is none")
    return vector

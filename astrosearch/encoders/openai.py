"""OpenAI's embedding models as an encoder: over the network, and for money.

Three things follow from the money. Whoever pays is told what a job costs and may say no before
anything is sent (`openai_costs.py`). Every vector that came back is kept in the user's cache
(`vector_cache.py`), answer by answer: nothing is paid for twice, and a run that dies loses at most
the requests in flight (`openai_requests.py`). And an answer is checked before it is kept
(`openai_answers.py`).
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI, Billable, EncodedTexts, EncoderSpec
from astrosearch.encoders.openai_costs import CostEstimate, estimated_tokens
from astrosearch.encoders.openai_requests import (
    GRACE,
    RETRY_POLICY,
    Batch,
    Requests,
    RetryPolicy,
    batches,
)
from astrosearch.encoders.vector_cache import VectorCache
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.papers import TextHash, text_hash
from astrosearch.paths import cache_folder
from astrosearch.report import Reporter

CACHE = "openai.sqlite"

DIMENSIONS = {
    "text-embedding-ada-002": 1_536,
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
}
"""https://platform.openai.com/docs/guides/embeddings; another model's first answer tells it."""


class _Text(NamedTuple):
    """A text as it is sent."""

    text: str
    cut: bool
    """Whether it was longer than the service takes."""


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
        self._address = service.address()
        kept = f"what it gave before is kept in {self._file}, the same command goes on"
        self._requests = Requests(self._model, reporter, policy, kept, grace=GRACE if ask else 0.0)
        self._dimension = DIMENSIONS.get(self._model)
        self._is_announced = False
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
                fresh, tokens = self._send(missing, cache)
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
        self, missing: dict[TextHash, _Text], cache: VectorCache
    ) -> tuple[dict[TextHash, Vectors], int]:
        """The vectors of texts, and how many tokens they had. Each answer is kept as it comes."""
        vectors: dict[TextHash, Vectors] = {}
        spent = 0

        def keep(batch: Batch, answer: EncodedTexts) -> None:
            nonlocal spent
            self._check_dimension(answer.vectors[0], f"{self._model} answered with")
            answered = dict(zip(batch.texts, answer.vectors, strict=True))
            cache.write(answered)
            vectors.update(answered)
            spent += answer.tokens

        texts = {key: sent.text for key, sent in missing.items()}
        self._requests.send(list(batches(texts)), keep, self._dimension)
        return vectors, spent

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

"""OpenAI's chat models, given the same sources."""

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Event

import openai

from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI
from astrosearch.encoders.openai_waiting import Waiting, in_background
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import Reporter
from astrosearch.text.quantities import AllowedValues

TIMEOUT = 120.0
"""Seconds without a byte after which a request is given up."""
RETRIES = 4
"""How often the client repeats a request that was not answered, as the service asks."""
LIMIT = 600.0
"""Seconds without a piece of text after which the answer is given up, whatever else comes."""
BYTES_AN_EVENT, MARGIN = 4_000, 10**6
"""Of the answer's events, of which each token has one of about 300 bytes, and of all else in it."""

BYTES_A_TOKEN = 4
"""On the low side, so that the number of tokens is overestimated rather than underestimated."""

CHARACTERS_A_TOKEN = 20
"""More than any text has on average: what is longer is cut off, however few pieces it comes in."""

LONGEST = 400_000
"""Bytes of a prompt: at four bytes a token, fewer than the 128,000 tokens of GPT-4o and later
models (https://platform.openai.com/docs/models/gpt-4o)."""

TASK = """You are given the beginning of the abstract of an astronomy paper. Continue it from the \
very character where it stops, in the same style, until the abstract is complete. Write the \
continuation alone: no heading, no remark, no repetition of the beginning."""
GROUNDED = """ Say only what the numbered sources support. Write no number and no name of an \
object, survey or instrument that neither they nor the beginning have. Do not cite them."""


class OpenAIGenerator:
    """Continues a text with OpenAI's chat API."""

    def __init__(self, model: str, reporter: Reporter) -> None:
        if not model or model.split() != [model]:
            raise InputError(f"{OPENAI}{model} does not name a model: write {OPENAI}gpt-4o")
        service.key(OPENAI + model)
        service.address()
        self.name = OPENAI + model
        self._model = model
        self._reporter = reporter
        self._has_consent = False
        """Whether the reporter has agreed to what is sent; it is asked once."""

    def count_fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        size = len(beginning.encode()) + BYTES_A_TOKEN * max_new_tokens
        if size > LONGEST:
            raise InputError(
                f"the beginning and {max_new_tokens:,} new tokens are about {size:,} bytes, "
                f"{self.name} reads at most {LONGEST:,}",
                remedy="fewer-tokens",
            )
        for count, abstract in enumerate(abstracts):
            size += len(abstract.encode())
            if size > LONGEST:
                return count
        return len(abstracts)

    def generate(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        allowed: AllowedValues | None = None,
    ) -> Iterator[str]:
        """
        Raises:
            InputError: if `allowed` is given: the service's decoder cannot be constrained.
            SetupError: if the service does not accept the key.
            AstrosearchError: if the reporter does not agree that text is sent to the service, or
                the service still fails after its retries.
        """
        if allowed is not None:
            raise InputError(
                f"{self.name} runs at its service and cannot be kept to known numbers; a model on "
                "this machine can"
            )
        sources = [
            f"[{number}] {abstract}"
            for number, abstract in reversed(list(enumerate(abstracts, start=1)))
        ]
        prompt = "\n\n".join([*sources, f"Beginning: {beginning}"])
        task = TASK + (GROUNDED if sources else "")
        first = True
        for piece in self.chat(task, prompt, sampling, stats):
            yield f" {piece}" if first and piece[0].isalnum() else piece
            first = False

    def chat(
        self, task: str, prompt: str, sampling: Sampling, stats: GenerationStats
    ) -> Iterator[str]:
        """Pieces of the answer to a prompt, as they come.

        Args:
            task: what the model is told to do.
            stats: is filled.

        Raises:
            SetupError: if the service does not accept the key.
            AstrosearchError: if the reporter does not agree that text is sent to the service, or
                the service still fails after its retries.
        """
        tokens = len((task + prompt).encode()) // BYTES_A_TOKEN
        job = (
            f"about {tokens:,} tokens to {service.host()} for {self.name}, which may answer with "
            f"{sampling.max_new_tokens:,}"
        )
        if self._has_consent:
            self._reporter.notify(f"Sending {job}")
        elif not self._reporter.confirm(job):
            raise AstrosearchError(f"nothing was sent to {service.host()}")
        self._has_consent = True
        room = sampling.max_new_tokens * CHARACTERS_A_TOKEN
        for piece in self._pieces(task, prompt, sampling, stats):
            if stats.tokens == sampling.max_new_tokens:  # a server need not keep to it
                stats.stopped = "length"
                break
            stats.tokens += 1
            yield piece[:room]
            if len(piece) > room:
                stats.stopped = "length"
                break
            room -= len(piece)
        if stats.stopped == "interrupted":
            raise _broken_off() if stats.tokens else _wrong()  # a web page, say

    def _pieces(
        self, task: str, prompt: str, sampling: Sampling, stats: GenerationStats
    ) -> Iterator[str]:
        """The pieces of an answer, as they come from a thread that talks to the service."""
        pieces: SimpleQueue[str | BaseException | None] = SimpleQueue()
        is_read = Event()

        def answer() -> None:
            try:
                for piece in self._answer(task, prompt, sampling, stats):
                    pieces.put(piece)
                    if is_read.is_set():
                        return
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        waiting = Waiting(service.host(), self._reporter, LIMIT)
        in_background(answer)
        try:
            while (piece := waiting.next(pieces)) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            is_read.set()

    def _answer(
        self, task: str, prompt: str, sampling: Sampling, stats: GenerationStats
    ) -> Iterator[str]:
        has_begun = False
        try:
            with (
                service.client(
                    self.name,
                    timeout=TIMEOUT,
                    retries=RETRIES,
                    longest=MARGIN + sampling.max_new_tokens * BYTES_AN_EVENT,
                ) as client,
                client.chat.completions.create(
                    model=self._model,
                    messages=[
                        {"role": "system", "content": task},
                        {"role": "user", "content": prompt},
                    ],
                    temperature=sampling.temperature,
                    max_completion_tokens=sampling.max_new_tokens,
                    seed=sampling.seed,
                    stream=True,
                ) as events,
            ):
                for event in events:
                    for piece in _read(event, stats):
                        has_begun = True
                        yield piece
        except openai.APIError as error:
            if has_begun and isinstance(error, openai.APIConnectionError):
                raise _broken_off() from None
            raise service.failure(error, TIMEOUT) from None
        except (ValueError, RecursionError):  # of the library, for an event that is not JSON
            raise _wrong() from None


def _read(event: object, stats: GenerationStats) -> Iterator[str]:
    """The piece of text in an event, if it has one.

    The library makes objects of whatever JSON the server sends, and checks none of it.

    Raises:
        AstrosearchError: if it is not an event of a chat.
    """
    choices = getattr(event, "choices", None)
    if not choices:
        return
    try:
        choice = choices[0]
        piece, reason = choice.delta.content, choice.finish_reason
    except (AttributeError, TypeError, KeyError, IndexError):
        raise _wrong() from None
    if piece is not None and not isinstance(piece, str):
        raise _wrong()
    if piece:
        yield piece
    if reason:
        stats.stopped = "length" if reason == "length" else "end"


def _broken_off() -> AstrosearchError:
    return AstrosearchError(f"{service.host()} broke off in the middle of its answer")


def _wrong() -> AstrosearchError:
    return AstrosearchError(f"{service.host()} answered wrongly: not the events of a chat")

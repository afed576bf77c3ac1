"""OpenAI's chat models, given the same sources."""

from collections.abc import Iterator, Sequence

import openai

from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import Reporter
from astrosearch.text.quantities import AllowedValues

TIMEOUT = 120.0
"""Seconds without a byte, after which a request is given up."""
RETRIES = 4
"""Of a request that was not answered yet, by the client, as the service asks."""

BYTES_A_TOKEN = 4
"""Rather few, so that tokens are rather overestimated."""

LONGEST = 400_000
"""Bytes of a prompt: no more than the 128,000 tokens that GPT-4o and later models read
(https://platform.openai.com/docs/models/gpt-4o)."""

TASK = """You are given the beginning of the abstract of an astronomy paper. Continue it from the \
very character where it stops, in the same style, until the abstract is complete. Write the \
continuation alone: no heading, no remark, no repetition of the beginning."""
GROUNDED = """ Say only what the numbered sources support. Write no number and no name of an \
object, survey or instrument that neither they nor the beginning have. Do not cite them."""


class OpenAIGenerator:
    """Continues a text by OpenAI's chat API."""

    def __init__(self, model: str, reporter: Reporter) -> None:
        if not model or model.split() != [model]:
            raise InputError(f"{OPENAI}{model} names no model: write {OPENAI}gpt-4o")
        service.key(OPENAI + model)
        service.address()
        self.name = OPENAI + model
        self._model = model
        self._reporter = reporter

    def fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        size = len(beginning.encode()) + BYTES_A_TOKEN * max_new_tokens
        if size > LONGEST:
            raise InputError(f"the beginning is too long for {self.name}: shorten it")
        for count, abstract in enumerate(abstracts):
            size += len(abstract.encode())
            if size > LONGEST:
                return count
        return len(abstracts)

    def write(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        known: AllowedValues | None = None,
    ) -> Iterator[str]:
        """
        Raises:
            InputError: with `known`: the service's decoder is not ours to hold.
            SetupError: if the service does not take the key.
            AstrosearchError: if it fails for good.
        """
        if known is not None:
            raise InputError(f"--strict holds the decoder, and {self.name}'s runs elsewhere")
        sources = [
            f"[{number}] {abstract}"
            for number, abstract in reversed(list(enumerate(abstracts, start=1)))
        ]
        asked = "\n\n".join([*sources, f"Beginning: {beginning}"])
        task = TASK + (GROUNDED if sources else "")
        tokens = len((task + asked).encode()) // BYTES_A_TOKEN
        self._reporter.notify(
            f"Sending about {tokens:,} tokens to {service.host()} for {self.name}"
        )
        try:
            with (
                service.client(self.name, timeout=TIMEOUT, retries=RETRIES) as client,
                client.chat.completions.create(
                    model=self._model,
                    messages=[
                        {"role": "system", "content": task},
                        {"role": "user", "content": asked},
                    ],
                    temperature=sampling.temperature,
                    max_completion_tokens=sampling.max_new_tokens,
                    seed=sampling.seed,
                    stream=True,
                ) as answer,
            ):
                first = True
                for event in answer:
                    if not event.choices:
                        continue
                    choice = event.choices[0]
                    if piece := choice.delta.content:
                        stats.tokens += 1
                        yield f" {piece}" if first and piece[0].isalnum() else piece
                        first = False
                    if choice.finish_reason:
                        stats.stopped = "length" if choice.finish_reason == "length" else "end"
        except openai.APIError as error:
            raise service.failure(error, TIMEOUT) from None
        if stats.stopped == "interrupted":
            raise AstrosearchError(f"{service.host()} broke off in the middle of its answer")

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
"""Seconds without a byte after which a request is given up."""
RETRIES = 4
"""How often the client repeats a request that was not answered, as the service asks."""

BYTES_A_TOKEN = 4
"""On the low side, so that the number of tokens is overestimated rather than underestimated."""

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
        tokens = len((task + prompt).encode()) // BYTES_A_TOKEN
        job = f"about {tokens:,} tokens to {service.host()} for {self.name}"
        if self._has_consent:
            self._reporter.notify(f"Sending {job}")
        elif not self._reporter.confirm(job):
            raise AstrosearchError(f"nothing was sent to {service.host()}")
        self._has_consent = True
        try:
            with (
                service.client(self.name, timeout=TIMEOUT, retries=RETRIES) as client,
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
                first = True
                for event in events:
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

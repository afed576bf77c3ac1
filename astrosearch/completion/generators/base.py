"""Models that continue an abstract: on this machine (local), or OpenAI's (openai)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from astrosearch.encoders.base import OPENAI
from astrosearch.encoders.registry import DEFAULT
from astrosearch.errors import InputError
from astrosearch.report import Reporter
from astrosearch.text.quantities import AllowedValues

DEFAULT_GENERATOR = "astro-smollm2-135m"
"""The language-model adapter that ships, over `models.DEFAULT`."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a continuation is drawn; the AstroLLaMA paper's choices (arXiv:2309.06126, 3.2)."""

    temperature: float = 0.3
    """0 for the likeliest token each time."""
    max_new_tokens: int = 1024
    seed: int = 0


@dataclass(slots=True)
class GenerationStats:
    """What there is to tell of a continuation beside its text; filled as it is written."""

    tokens: int = 0
    tokens_blocked: int = 0
    """At how many tokens an unknown number was prevented."""
    stopped: Literal["end", "length", "interrupted"] = "interrupted"


class Generator(Protocol):
    """Anything that continues a text."""

    @property
    def name(self) -> str: ...

    def fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        """How many of the abstracts, from the first on, stand before the beginning as wholes, with
        room for the answer.

        Raises:
            InputError: if not even the beginning and the answer have room.
        """
        ...

    def write(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        known: AllowedValues | None = None,
    ) -> Iterator[str]:
        """Pieces of a continuation, as they come.

        Args:
            abstracts: the sources, best first; the best will stand next to the beginning.
            tally: is filled.
            known: what numbers it may write; None for any.
        """
        ...


def load_generator(
    name: str, reporter: Reporter, *, adapter: str | None = None, **options: Any
) -> Generator:
    """A writer by its name: `openai:MODEL`, an adapter that ships, or a base as for
    `language_model.load_language_model`, with or without an adapter.

    Args:
        options: `quantize`, `device`, `dtype`, for models on this machine.

    Raises:
        InputError: if a service is asked for what only a model on this machine can do.
    """
    if name.startswith(OPENAI):
        if adapter or any(value not in (None, "none") for value in options.values()):
            raise InputError(f"{name} runs at its service: no --adapter, --quantize or --device")
        from astrosearch.completion.generators.openai import OpenAIGenerator

        return OpenAIGenerator(name.removeprefix(OPENAI), reporter)
    from astrosearch.completion.generators.local import LocalGenerator

    if name == DEFAULT_GENERATOR and adapter is None:
        return LocalGenerator.load(DEFAULT, reporter, adapter=name, **options)
    return LocalGenerator.load(name, reporter, adapter=adapter, **options)

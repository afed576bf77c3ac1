"""What a generator is: a model that writes, on this machine or at a service."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from astrosearch.encoders.base import OPENAI
from astrosearch.encoders.registry import DEFAULT
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import Reporter
from astrosearch.text.quantities import AllowedValues

DEFAULT_GENERATOR = "astro-smollm2-135m"
"""The language-model adapter that ships; its base is `encoders.registry.DEFAULT`."""


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """Which model, and how it is loaded."""

    model: str = DEFAULT_GENERATOR
    """`DEFAULT_GENERATOR`, a model's name, hub id, folder or GGUF file, or `openai:NAME`."""
    adapter: str | None = None
    """A PEFT adapter on `model`: hub id or folder."""
    quantize: Literal["4bit", "8bit", "none"] = "none"
    device: str | None = None
    """`cuda`, `mps` or `cpu`; None for the best there is."""
    dtype: str | None = None
    """`float32`, `bfloat16` or `float16`; None for what the device is fast with."""

    @property
    def is_service(self) -> bool:
        """Whether the model runs elsewhere."""
        return self.model.startswith(OPENAI)

    @property
    def base(self) -> "GeneratorSpec":
        """The same model without its adapter.

        Raises:
            InputError: if it is a service's, whose models have no base.
        """
        if self.is_service:
            raise InputError(f"{self.model} has no base to compare with: name another model")
        model = DEFAULT if self.model == DEFAULT_GENERATOR else self.model
        return replace(self, model=model, adapter=None)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; by default as in the AstroLLaMA paper (arXiv:2309.06126, 3.2)."""

    temperature: float = 0.3
    """0 takes the likeliest token each time; higher values vary more."""
    max_new_tokens: int = 1024
    seed: int = 0


@dataclass(slots=True)
class GenerationStats:
    """What is known of a continuation beside its text; filled while it is generated."""

    tokens: int = 0
    tokens_blocked: int = 0
    """How many tokens were drawn again because they would have begun an unknown number."""
    stopped: Literal["end", "length", "interrupted"] = "interrupted"


def collect(
    pieces: Iterator[str],
    stats: GenerationStats,
    *,
    task: str,
    most: int,
    reporter: Reporter,
    on_text: Callable[[str], None] | None = None,
) -> str:
    """A text that is being generated, when it is done. Ctrl-C ends it: what has come is kept.

    Args:
        stats: are filled while it is generated.
        task: what is being done, for the reporter's progress.
        most: tokens that are generated at most.
        on_text: is given each piece, in place of the reporter's progress.

    Raises:
        BrokenOff: if the generator fails when something has come already.
        AstrosearchError: if it fails before.
    """
    written: list[str] = []
    task = f"{task}, at most {most:,} tokens"
    try:
        for piece in pieces:
            written.append(piece)
            if on_text is not None:
                on_text(piece)
            else:
                reporter.progress(task, min(stats.tokens, most - 1), most)
    except KeyboardInterrupt:
        stats.stopped = "interrupted"
    except AstrosearchError as error:
        if not written:
            raise
        raise BrokenOff("".join(written), error) from None
    finally:
        if on_text is None:
            reporter.progress(task, most, most)
    return "".join(written)


class BrokenOff(AstrosearchError):
    """A generator failed in the middle of its text.

    Attributes:
        text: what had come.
    """

    def __init__(self, text: str, error: AstrosearchError) -> None:
        super().__init__(str(error), remedy=error.remedy)
        self.text = text
        self.exit_code = error.exit_code


class Generator(Protocol):
    """Anything that continues a text, and answers."""

    @property
    def name(self) -> str: ...

    def count_fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        """How many of the abstracts, from the first on, fit whole before the beginning and leave
        room for the new tokens.

        Raises:
            InputError: if the beginning and the new tokens alone are too long.
        """
        ...

    def generate(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        allowed: AllowedValues | None = None,
    ) -> Iterator[str]:
        """Pieces of a continuation, as they come.

        Args:
            abstracts: the sources, best first; the best is put next to the beginning.
            stats: is filled.
            allowed: the numbers that may be written; None for any.

        Raises:
            InputError: if `allowed` is given and the decoder runs elsewhere.
        """
        ...

    def chat(
        self, task: str, prompt: str, sampling: Sampling, stats: GenerationStats
    ) -> Iterator[str]:
        """Pieces of the answer to a prompt, as they come.

        Args:
            task: what the model is told to do.
            stats: is filled.

        Raises:
            InputError: if the model cannot read so much.
        """
        ...

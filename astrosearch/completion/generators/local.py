"""A causal language model on this machine, token by token."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from tokenizers.decoders import DecodeStream

from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.completion.language_model import LanguageModel, Quantize, load_language_model
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import Reporter
from astrosearch.text.quantities import SEEN_BEFORE, AllowedValues

GUARDED_TOKENS = 96
"""The last tokens whose text is searched for unknown numbers; in prose these are more than
`quantities.SEEN_BEFORE` characters."""


class LocalGenerator:
    """Continues a text in the form that a model was fine-tuned on: [BOS] abstract [EOS] …"""

    def __init__(self, name: str, model: LanguageModel) -> None:
        self.name = name
        self.model = model
        self._prompt_state: tuple[list[int], Any, torch.Tensor] | None = None
        """The last prompt, the keys and values of its tokens, the logits of the next token."""

    @classmethod
    def load(
        cls,
        base: str,
        reporter: Reporter,
        *,
        adapter: str | None = None,
        quantize: Quantize = "none",
        device: str | None = None,
        dtype: str | None = None,
    ) -> "LocalGenerator":
        """
        Raises:
            ModelMissing: if the weights are not on this machine and cannot be fetched.
            InputError: if they cannot be loaded, or the adapter was made for another base.
        """
        precision = getattr(torch, dtype) if dtype else None
        model = load_language_model(
            base, reporter, adapter=adapter, quantize=quantize, device=device, dtype=precision
        )
        if adapter is not None and quantize == "none":
            # LoRA beside each map would take half as much time again.
            model = replace(model, model=model.model.merge_and_unload())
        return cls((adapter or base).rstrip("/").rpartition("/")[2], model)

    @property
    def context(self) -> int:
        """Tokens that the model can read at once."""
        return int(self.model.model.config.max_position_embeddings)

    def count_fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        needed = len(self.prompt(beginning, ())) + max_new_tokens
        if needed > self.context:
            raise InputError(
                f"the beginning and {max_new_tokens:,} new tokens are {needed:,} tokens, "
                f"{self.name} reads at most {self.context:,}",
                remedy="fewer-tokens",
            )
        count = 0
        for ids in self.model.vocabulary.ids(list(abstracts)):
            needed += len(ids) + 2
            if needed > self.context:
                break
            count += 1
        return count

    def prompt(self, beginning: str, abstracts: Sequence[str]) -> list[int]:
        """[BOS] abstract [EOS] for each source, the best last, then [BOS] beginning."""
        vocabulary = self.model.vocabulary
        *sources, start = vocabulary.ids([*reversed(abstracts), beginning.rstrip()])
        ids = [token for text in sources for token in (vocabulary.bos, *text, vocabulary.eos)]
        return [*ids, vocabulary.bos, *start]

    @torch.inference_mode()
    def generate(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        allowed: AllowedValues | None = None,
    ) -> Iterator[str]:
        guard = _NumberGuard(self.model, beginning, allowed) if allowed is not None else None
        ends = frozenset((self.model.vocabulary.eos,))
        yield from self._pieces(self.prompt(beginning, abstracts), sampling, stats, ends, guard)

    @torch.inference_mode()
    def chat(
        self, task: str, prompt: str, sampling: Sampling, stats: GenerationStats
    ) -> Iterator[str]:
        """
        A model that was taught conversations reads one. Any other reads a text that ends in
        `Answer:`, and its answer ends with the paragraph.
        """
        vocabulary = self.model.vocabulary
        special = {
            number: token.content
            for number, token in vocabulary.tokenizer.get_added_tokens_decoder().items()
            if token.special
        }
        for token in special.values():  # in an abstract they would end the prompt
            prompt = prompt.replace(token, " ")
        if vocabulary.chat_template is None:
            [ids] = vocabulary.ids([f"{task}\n\n{prompt}\n\nAnswer:"])
            ids = [vocabulary.bos, *ids]
        else:
            ids = self._conversation(vocabulary.chat_template, f"{task}\n\n{prompt}")
        needed = len(ids) + sampling.max_new_tokens
        if needed > self.context:
            raise InputError(
                f"the question with its sources and {sampling.max_new_tokens:,} new tokens are "
                f"{needed:,} tokens, {self.name} reads at most {self.context:,}",
                remedy="fewer-sentences",
            )
        pieces = self._pieces(ids, sampling, stats, frozenset((vocabulary.eos, *special)))
        if vocabulary.chat_template is None:
            pieces = _first_paragraph(pieces, stats)
        yield from pieces

    def _conversation(self, template: str, message: str) -> list[int]:
        """The tokens of a conversation that a user began with a message.

        Raises:
            InputError: if the model's template cannot be followed.
        """
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        vocabulary = self.model.vocabulary
        bos, eos = (vocabulary.tokenizer.id_to_token(i) for i in (vocabulary.bos, vocabulary.eos))
        try:
            rendered = render_jinja_template(
                [[{"role": "user", "content": message}]],
                chat_template=template,
                add_generation_prompt=True,
                bos_token=bos,
                eos_token=eos,
            )[0][0]
        except (TemplateError, TypeError, ValueError) as error:
            raise InputError(f"the chat template of {self.name} cannot be used: {error}") from None
        return vocabulary.ids([rendered])[0]

    def _pieces(
        self,
        prompt: list[int],
        sampling: Sampling,
        stats: GenerationStats,
        ends: frozenset[int],
        guard: "_NumberGuard | None" = None,
    ) -> Iterator[str]:
        """What follows a prompt, until one of the tokens that end it."""
        vocabulary = self.model.vocabulary
        cache, logits = self._begin(prompt)
        random = torch.Generator().manual_seed(sampling.seed)
        stream = DecodeStream(ids=prompt[-8:], skip_special_tokens=True)
        written: list[int] = []
        while True:
            token = _draw_token(logits, sampling.temperature, random, guard, written, stats)
            if token is None or token in ends:
                stats.stopped = "end"
                return
            written.append(token)
            stats.tokens = len(written)
            if piece := stream.step(vocabulary.tokenizer, token):
                yield piece
            if len(written) == sampling.max_new_tokens:
                stats.stopped = "length"
                return
            logits = self._next([token], cache)

    def _begin(self, prompt: list[int]) -> tuple[Any, torch.Tensor]:
        """The keys and values of a prompt, and the logits of the token after it. A second sample of
        the same prompt does not read it again."""
        if self._prompt_state is None or self._prompt_state[0] != prompt:
            self._prompt_state = None
            from transformers import DynamicCache

            cache = DynamicCache(config=self.model.model.config)
            self._prompt_state = prompt, cache, self._next(prompt, cache)
        _, cache, logits = self._prompt_state
        if (longer := cache.get_seq_length() - len(prompt)) > 0:
            cache.crop(-longer)
        return cache, logits

    def _next(self, ids: list[int], cache: Any) -> torch.Tensor:
        """(vocabulary,) float32 on the CPU: the logits of the token after `ids`."""
        try:
            output = self.model.model(
                input_ids=torch.tensor([ids], device=self.model.device),
                cache=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        except torch.OutOfMemoryError:
            raise AstrosearchError(
                f"{self.model.device} has too little memory for {cache.get_seq_length():,} tokens",
                remedy="less-memory",
            ) from None
        logits: torch.Tensor = output.logits[0, -1].float().cpu()
        return logits


def _first_paragraph(pieces: Iterator[str], stats: GenerationStats) -> Iterator[str]:
    """A text up to the first empty line behind its beginning."""
    text = ""
    for piece in pieces:
        text += piece
        _, *rest = text.lstrip().split("\n\n", 1)
        if rest:
            stats.stopped = "end"
            yield piece[: max(0, len(piece) - len(rest[0]) - 2)]
            return
        yield piece


class _NumberGuard:
    """Whether a token may follow if only allowed numbers may be written."""

    def __init__(self, model: LanguageModel, beginning: str, allowed: AllowedValues) -> None:
        self._vocabulary = model.vocabulary
        self._allowed = allowed
        self._before = model.vocabulary.ids([beginning.rstrip()[-SEEN_BEFORE:]])[0]

    def allows(self, written: list[int], token: int) -> bool:
        ids = (self._before + written)[-GUARDED_TOKENS:]
        if token == self._vocabulary.eos:
            # A number that is unknown now cannot become a known one any more.
            text = self._vocabulary.tokenizer.decode(ids)[-SEEN_BEFORE:]
            return self._allowed.unknown(text, len(text) - SEEN_BEFORE // 2) is None
        return self._allowed.allows(self._vocabulary.tokenizer.decode([*ids, token]))


def _draw_token(
    logits: torch.Tensor,
    temperature: float,
    random: torch.Generator,
    guard: _NumberGuard | None,
    written: list[int],
    stats: GenerationStats,
) -> int | None:
    """Draw a token that the guard allows, with the model's probabilities at a temperature; None if
    the guard allows none.

    A forbidden token is struck out and the rest drawn from again, which gives the same distribution
    as striking out all forbidden tokens first.

    Args:
        logits: (vocabulary,) float32.
    """
    logits = logits / temperature if temperature else logits
    blocked = False
    while True:
        if temperature:
            token = int(torch.multinomial(logits.softmax(0), 1, generator=random))
        else:
            token = int(logits.argmax())
        if guard is None or guard.allows(written, token):
            stats.tokens_blocked += blocked
            return token
        if not blocked:
            blocked, logits = True, logits.clone()
        logits[token] = -torch.inf
        if bool(logits.isneginf().all()):
            return None

"""A causal language model of this machine, token by token."""

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

LOOKED_BACK = 96
"""Tokens whose text is looked at for unknown numbers; more than `SEEN_BEFORE` letters of prose."""


class LocalGenerator:
    """Continues a text in the form that a model was fine-tuned on: [BOS] abstract [EOS] …"""

    def __init__(self, name: str, model: LanguageModel) -> None:
        self.name = name
        self.model = model
        self._read: tuple[list[int], Any, torch.Tensor] | None = None
        """The last prompt, the keys and values of its tokens, the scores of what comes next."""

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
            As `load_language_model`.
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
        """Tokens that the model was made for."""
        return int(self.model.model.config.max_position_embeddings)

    def fitting(self, beginning: str, abstracts: Sequence[str], max_new_tokens: int) -> int:
        needed = len(self.prompt(beginning, ())) + max_new_tokens
        if needed > self.context:
            raise InputError(
                f"the beginning and {max_new_tokens:,} new tokens are {needed:,} tokens, "
                f"{self.name} takes {self.context:,}: shorten the beginning, or give fewer "
                "--max-new-tokens"
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
        ids = [one for text in sources for one in (vocabulary.bos, *text, vocabulary.eos)]
        return [*ids, vocabulary.bos, *start]

    @torch.inference_mode()
    def write(
        self,
        beginning: str,
        abstracts: Sequence[str],
        sampling: Sampling,
        stats: GenerationStats,
        known: AllowedValues | None = None,
    ) -> Iterator[str]:
        vocabulary = self.model.vocabulary
        prompt = self.prompt(beginning, abstracts)
        cache, scores = self._begin(prompt)
        lot = torch.Generator().manual_seed(sampling.seed)
        stream = DecodeStream(ids=prompt[-8:], skip_special_tokens=True)
        written: list[int] = []
        guard = _Guard(self.model, beginning, known) if known else None
        while True:
            token = _drawn(scores, sampling.temperature, lot, guard, written, stats)
            if token is None or token == vocabulary.eos:
                stats.stopped = "end"
                return
            written.append(token)
            stats.tokens = len(written)
            if piece := stream.step(vocabulary.tokenizer, token):
                yield piece
            if len(written) == sampling.max_new_tokens:
                stats.stopped = "length"
                return
            scores = self._next([token], cache)

    def _begin(self, prompt: list[int]) -> tuple[Any, torch.Tensor]:
        """The keys and values of a prompt, and the scores of what follows it; another sample of
        the same prompt does not read it again."""
        if self._read is None or self._read[0] != prompt:
            self._read = None
            from transformers import DynamicCache

            cache = DynamicCache(config=self.model.model.config)
            self._read = prompt, cache, self._next(prompt, cache)
        _, cache, scores = self._read
        if (longer := cache.get_seq_length() - len(prompt)) > 0:
            cache.crop(-longer)
        return cache, scores

    def _next(self, ids: list[int], cache: Any) -> torch.Tensor:
        """(vocabulary,) float32 on the CPU: the scores of the token behind `ids`."""
        try:
            found = self.model.model(
                input_ids=torch.tensor([ids], device=self.model.device),
                cache=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        except torch.OutOfMemoryError:
            raise AstrosearchError(
                f"{self.model.device} has too little memory for {cache.get_seq_length():,} tokens; "
                "take fewer sources (-k) or --quantize 4bit"
            ) from None
        scores: torch.Tensor = found.logits[0, -1].float().cpu()
        return scores


class _Guard:
    """Whether a token may follow, where only known numbers may be written."""

    def __init__(self, model: LanguageModel, beginning: str, known: AllowedValues) -> None:
        self._vocabulary = model.vocabulary
        self._known = known
        self._before = model.vocabulary.ids([beginning.rstrip()[-SEEN_BEFORE:]])[0]

    def allows(self, written: list[int], token: int) -> bool:
        ids = (self._before + written)[-LOOKED_BACK:]
        if token == self._vocabulary.eos:
            # What ends here is not going to become anything else.
            text = self._vocabulary.tokenizer.decode(ids)[-SEEN_BEFORE:]
            return self._known.unknown(text, len(text) - SEEN_BEFORE // 2) is None
        return self._known.allows(self._vocabulary.tokenizer.decode([*ids, token]))


def _drawn(
    scores: torch.Tensor,
    temperature: float,
    lot: torch.Generator,
    guard: _Guard | None,
    written: list[int],
    stats: GenerationStats,
) -> int | None:
    """A token by its probability at a temperature, of those that the guard allows; None if it
    allows none. What it forbids is drawn again from the rest, which is what a distribution without
    the forbidden tokens would give."""
    scores = scores / temperature if temperature else scores
    tokens_blocked = False
    while True:
        if temperature:
            token = int(torch.multinomial(scores.softmax(0), 1, generator=lot))
        else:
            token = int(scores.argmax())
        if guard is None or guard.allows(written, token):
            stats.tokens_blocked += tokens_blocked
            return token
        if not tokens_blocked:
            tokens_blocked, scores = True, scores.clone()
        scores[token] = -torch.inf
        if bool(scores.isneginf().all()):
            return None

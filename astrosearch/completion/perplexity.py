"""Perplexity: how well a language model predicts texts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from astrosearch.completion.language_model import LanguageModel
from astrosearch.evaluation.bootstrap import interval, resampled_means


@dataclass(frozen=True, slots=True)
class Losses:
    """Cross-entropy of each of n texts under one model."""

    total: NDArray[np.float64]
    """(n,) nats, summed over a text's predicted tokens."""
    tokens: NDArray[np.int64]
    """(n,) number of predicted tokens: all but those of the prompt."""

    @property
    def perplexity(self) -> float:
        """exp of the mean loss of a token (arXiv:2309.06126, section 3.1)."""
        return math.exp(self.total.sum() / self.tokens.sum())


@torch.inference_mode()
def losses_of(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    progress: Callable[[int], None],
    prompt_lengths: Sequence[int] | None = None,
) -> Losses:
    """The loss of each text. One text at a time, so nothing is padded.

    Args:
        texts: token ids of each text.
        progress: called with the number of texts done so far.
        prompt_lengths: number of tokens at the start of each text that are not predicted; by
            default 1.
    """
    total = np.zeros(len(texts))
    starts = np.ones(len(texts), np.int64) if prompt_lengths is None else np.array(prompt_lengths)
    model.model.eval()
    for number, (text, start) in enumerate(zip(texts, starts.tolist(), strict=True)):
        ids = torch.tensor([list(text)], device=model.device)
        predicted = len(text) - start
        output = model.model(input_ids=ids, logits_to_keep=predicted + 1)
        losses = torch.nn.functional.cross_entropy(
            output.logits[0, :-1].float(), ids[0, start:], reduction="none"
        )
        total[number] = losses.double().sum().item()
        progress(number + 1)
    return Losses(total, np.array([len(text) for text in texts]) - starts)


def reduction(before: Losses, after: Losses, seed: int = 0) -> tuple[float, float, float]:
    """How much lower the perplexity after a change is than before, as a share of that before.

    Args:
        before, after: losses of the same texts.

    Returns:
        The share, and its 95 % interval from a paired bootstrap over texts: value, low, high.
    """
    columns = np.stack([after.total - before.total, before.tokens], axis=1)
    means = resampled_means(columns, seed)
    shares = 1 - np.exp(means[:, 0] / means[:, 1])
    estimate = interval(1 - after.perplexity / before.perplexity, shares)
    return estimate.value, estimate.low, estimate.high

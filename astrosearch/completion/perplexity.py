"""How well a language model predicts a text."""

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
    """Cross-entropy of some texts under one model, text by text."""

    total: NDArray[np.float64]
    """(n,) nats, summed over a text's tokens."""
    tokens: NDArray[np.int64]
    """(n,) tokens that were predicted: all but the given ones."""

    @property
    def perplexity(self) -> float:
        """exp of the mean loss of a token (arXiv:2309.06126, section 3.1)."""
        return math.exp(self.total.sum() / self.tokens.sum())


@torch.inference_mode()
def losses_of(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    progress: Callable[[int], None],
    given: Sequence[int] | None = None,
) -> Losses:
    """The loss of each text. One text at a time, so nothing is padded.

    Args:
        texts: token ids.
        given: how many tokens at the start of each text are not predicted; by default 1.
    """
    total = np.zeros(len(texts))
    first = np.ones(len(texts), dtype=np.int64) if given is None else np.array(given)
    model.model.eval()
    for number, (text, start) in enumerate(zip(texts, first.tolist(), strict=True)):
        ids = torch.tensor([list(text)], device=model.device)
        predicted = len(text) - start
        output = model.model(input_ids=ids, logits_to_keep=predicted + 1)
        losses = torch.nn.functional.cross_entropy(
            output.logits[0, :-1].float(), ids[0, start:], reduction="none"
        )
        total[number] = losses.double().sum().item()
        progress(number + 1)
    return Losses(total, np.array([len(text) for text in texts]) - first)


def reduction(base: Losses, other: Losses, seed: int = 0) -> tuple[float, float, float]:
    """How much lower `other`'s perplexity is than the base's, as a share of it.

    Returns:
        The share with its 95 % interval from a paired bootstrap over texts.
    """
    columns = np.stack([other.total - base.total, base.tokens], axis=1)
    means = resampled_means(columns, seed)
    shares = 1 - np.exp(means[:, 0] / means[:, 1])
    estimate = interval(1 - other.perplexity / base.perplexity, shares)
    return estimate.value, estimate.low, estimate.high

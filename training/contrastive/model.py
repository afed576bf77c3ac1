"""The encoder that is trained, and its state before training.

A model's first layers with LoRA on their linear maps and on the token embeddings, a weight for
each token of the vocabulary, and a linear map behind the mean. The linear map begins as the
whitening of the untrained vectors, which is far better than a random one. The weights begin as
those of rare words (SIF: Arora et al. 2017, openreview.net/forum?id=SyK00v5xx).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft.helpers import disable_input_dtype_casting

from astrosearch.encoders.base import EncoderSpec, Pooling, pooled_width
from astrosearch.encoders.head import LinearHead
from astrosearch.encoders.hugging_face import quiet_transformers
from astrosearch.encoders.static import DIMENSIONS
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.transformer import (
    load_body,
    mean_shares,
    padded,
    pool,
    token_batches,
    token_weights,
)
from astrosearch.report import Reporter
from training.contrastive.pairs import PairSampler
from training.contrastive.warm_start import extend_head, load_adapter
from training.settings import ContrastSettings
from training.whitening import POWER

PASS_TOKENS = 8_192
"""Tokens that go through the layers together: texts of similar length, so that little is padded."""

BAG_TOKENS = 131_072
"""The same where there are no layers."""

FITTING_PAPERS = 4_000
"""Training papers on whose untrained vectors the linear map is fitted."""


class TokenStates(NamedTuple):
    """The tokens of a batch as they are where no layer is run: the same in all of its texts."""

    tokens: torch.Tensor
    """(v,) int64, ascending."""
    states: torch.Tensor
    """(v, width) float32, behind the final norm."""


class EmbeddingModel(torch.nn.Module):
    """A body, a weighted mean and a linear map: token ids to unit vectors."""

    def __init__(
        self,
        body: Any,
        causal: bool,
        pooling: Pooling,
        head: LinearHead,
        weights: NDArray[np.float32] | None,
    ) -> None:
        """
        Args:
            body: a `PeftModel` of a LLaMA without its language-model head.
            weights: (vocabulary,) of each token; None if the pooling has none.
        """
        super().__init__()
        self.mean: torch.Tensor
        self.body = body
        self.causal = causal
        self.pooling = pooling
        self.register_buffer("mean", torch.from_numpy(head.mean))
        self.projection = torch.nn.Parameter(torch.from_numpy(head.projection.copy()))
        self.log_weights: torch.nn.Parameter | None = None
        if weights is not None:
            self.log_weights = torch.nn.Parameter(torch.from_numpy(np.log(weights)))

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, known: TokenStates | None = None
    ) -> torch.Tensor:
        """(b, t) token ids and their mask to (b, dimension) unit vectors.

        Args:
            known: without layers: the states of these tokens and perhaps others, if they are there.
        """
        weights = None
        if self.log_weights is not None:
            weights = token_weights(self.log_weights.exp(), ids, mask)
        if self.body.config.num_hidden_layers == 0:
            pooled = self._bag(ids, mask, weights, known or self.token_states(ids))
        else:
            pooled = self._pooled(ids, mask, weights)
        return self._head(pooled, self.projection)

    def token_states(self, ids: torch.Tensor) -> TokenStates:
        """Of all tokens of some texts, without layers: each is computed once."""
        tokens = torch.unique(ids)
        with disable_input_dtype_casting(self.body):
            states: torch.Tensor = self.body(input_ids=tokens[:, None]).last_hidden_state[:, 0]
        return TokenStates(tokens, states.float())

    def compared_tokens(self, known: TokenStates) -> tuple[torch.Tensor, torch.Tensor]:
        """The (v, at most DIMENSIONS) unit vectors and (v,) weights of tokens, with which texts are
        compared token by token.

        Raises:
            ValueError: if the pooling gives tokens no weights.
        """
        if self.log_weights is None:
            raise ValueError(f"pooling {self.pooling} gives tokens no weights")
        vectors = self._head(known.states, self.projection[:, :DIMENSIONS])
        return vectors, self.log_weights[known.tokens].exp()

    def _head(self, pooled: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
        """What `LinearHead` does."""
        centred = torch.nn.functional.normalize(pooled, dim=1) - self.mean
        return torch.nn.functional.normalize(centred @ projection, dim=1)

    def _pooled(
        self, ids: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        # Autocast casts each map's input to the weights' dtype; peft would do it a second time.
        with disable_input_dtype_casting(self.body):
            output = self.body(
                input_ids=ids,
                attention_mask=None if self.causal else mask,
                output_hidden_states=self.pooling == "weighted-first-last",
            )
        return pool(self.body.get_base_model(), output, mask, self.pooling, weights)

    def _bag(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        weights: torch.Tensor | None,
        known: TokenStates,
    ) -> torch.Tensor:
        """Without layers a token's state does not depend on its place. A padded place, which counts
        nothing, may be of a token that is not known."""
        shares = mean_shares(mask, without_first=True, weights=weights)
        return torch.nn.functional.embedding_bag(
            torch.searchsorted(known.tokens, ids),
            known.states,
            per_sample_weights=shares,
            mode="sum",
        )

    def trained(self) -> dict[str, torch.Tensor]:
        """The parameters that are trained, by name."""
        return {
            name: parameter.detach().contiguous()
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        }


def tokens_of(settings: ContrastSettings, folder: Path, limit: int) -> Tokens:
    """The base's tokenizer as this run reads texts, the longest cut to `limit` tokens."""
    return Tokens(folder, "mean-without-bos", limit, settings.normalization)


def pass_tokens(settings: ContrastSettings) -> int:
    """How many tokens go through the model together."""
    return BAG_TOKENS if settings.spec.is_static else min(PASS_TOKENS, settings.memory_tokens)


def autocast(settings: ContrastSettings, device: torch.device) -> torch.autocast:
    """The run's precision of products."""
    return torch.autocast(
        device.type, torch.bfloat16, enabled=settings.dtype == "bfloat16", cache_enabled=False
    )


def untrained_model(
    settings: ContrastSettings,
    folder: Path,
    sampler: PairSampler,
    device: torch.device,
    reporter: Reporter,
) -> EmbeddingModel:
    """The encoder before training, its linear map fitted on some of the training papers.

    Args:
        folder: where the base model is.

    Raises:
        InputError: if the settings name an adapter whose weights do not fit this run.
    """
    body, causal = _lora_body(settings, folder, device)
    begun = load_adapter(body, settings, reporter) if settings.adapter else {}
    draw = np.random.default_rng(settings.seed)
    count = min(len(sampler.rows), FITTING_PAPERS)
    chosen = draw.choice(sampler.rows, size=count, replace=False)
    papers = sampler.corpus.papers(sorted(chosen.tolist()))
    texts = [settings.spec.text_of(paper) for paper in papers]
    texts += [paper.title for paper in papers[::4]]
    ids = tokens_of(settings, folder, settings.document_tokens).ids(texts)
    weights = None
    if settings.pooling.startswith("weighted"):
        weights = begun.get("token_weights", rare_word_weights(ids, body.config.vocab_size))
    width = pooled_width(settings.pooling, body.config.hidden_size)
    identity = LinearHead(np.zeros(width, np.float32), np.eye(width, dtype=np.float32))
    pooling = settings.pooling
    bare = EmbeddingModel(body, causal, pooling, identity, weights).to(device).eval()
    vectors = np.concatenate(
        [batch.cpu().numpy() for batch in _encoded(bare, ids, settings, device)]
    )
    wanted = settings.dimension or body.config.hidden_size
    dimension = min(wanted, width, len(vectors) - 1)
    if dimension < wanted:
        reporter.notify(
            f"The vectors get {dimension:,} dimensions, not {wanted:,}: the linear map is fitted "
            f"on {len(vectors):,} texts of {width:,} dimensions"
        )
    head = LinearHead.fit(vectors, dimension, power=POWER)
    if "projection" in begun:
        head = extend_head(begun["mean"], begun["projection"], head)
    model = EmbeddingModel(body, causal, pooling, head, weights).to(device)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def _lora_body(settings: ContrastSettings, folder: Path, device: torch.device) -> tuple[Any, bool]:
    """The layers that are kept, with LoRA; and whether their attention is causal."""
    with quiet_transformers():
        from peft import LoraConfig, get_peft_model

    spec = EncoderSpec(
        settings.base,
        layers=settings.layers,
        attention=settings.attention,
        max_tokens=settings.document_tokens,
    )
    # On a CPU torch's fused attention is fast forwards and slow backwards.
    kernel = "eager" if device.type == "cpu" else None
    body, causal = load_body(spec, folder, None, device, settings.dtype, kernel=kernel)
    # Embeddings too: much of what a few layers know of a word is in its embedding.
    kinds = (torch.nn.Linear, torch.nn.Embedding)
    modules = {
        name.rpartition(".")[2]
        for name, module in body.named_modules()
        if isinstance(module, kinds)
    }
    torch.manual_seed(settings.seed)
    lora = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=sorted(modules))
    with quiet_transformers():
        body = get_peft_model(body, lora)
    for name, weight in body.named_parameters():
        if "lora_embedding_B" in name:
            # peft draws it with entries of size 1: the first step would move each token too far.
            weight.data /= math.sqrt(body.config.hidden_size)
    return body, causal


def rare_word_weights(
    ids: Sequence[Sequence[int]], vocabulary: int, smooth: float = 1e-3
) -> NDArray[np.float32]:
    """(vocabulary,) a / (a + p) for a token that is a share p of all tokens, with mean 1 over
    them (Arora et al. 2017, equation 1).

    >>> rare_word_weights([[0, 1], [0, 1]], 3, smooth=0.5).round(2).tolist()
    [1.0, 1.0, 2.0]
    """
    counts = np.bincount(np.concatenate([np.asarray(text) for text in ids]), minlength=vocabulary)
    share = counts / counts.sum()
    weights = smooth / (smooth + share)
    return np.asarray(weights / (weights * share).sum(), dtype=np.float32)


def _encoded(
    model: EmbeddingModel,
    ids: Sequence[Sequence[int]],
    settings: ContrastSettings,
    device: torch.device,
) -> Iterator[torch.Tensor]:
    """Batches of float32 vectors, of texts in an order of their own."""
    with torch.no_grad(), autocast(settings, device):
        for batch in token_batches([len(text) for text in ids], pass_tokens(settings)):
            yield model(*padded([ids[i] for i in batch], device)).float()

"""Any transformer model as an encoder, with torch: the way to encode a corpus.

The paper's pooling: last hidden states, mean over the real tokens, the first of them (BOS) left
out (Nguyen et al. 2023, arXiv:2309.06126, section 3.2). Padding is kept out of it by
construction, so a text's vector does not depend on what it is batched with.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from astrosearch.encoders.adapters import WEIGHTS, attach
from astrosearch.encoders.base import EncodedTexts, EncoderSpec, Pooling, pooled_width
from astrosearch.encoders.devices import fast_dtype, pick_device
from astrosearch.encoders.head import NO_HEAD, EncoderHead
from astrosearch.encoders.hugging_face import load_model, loading
from astrosearch.encoders.mapped import shapes
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import AstrosearchError, InputError

BATCH_TOKENS = {"cpu": 1_024, "mps": 8_192, "cuda": 32_768}
"""Tokens a batch, padding included. On a CPU small batches keep the activations in the cache."""


def mean_pool(
    hidden: torch.Tensor,
    mask: torch.Tensor,
    *,
    without_first: bool,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of the hidden states over the real tokens.

    Args:
        hidden: (b, t, d).
        mask: (b, t), 1 for a real token; the padding may be on either side.
        without_first: leave out the first real token, unless it is the only one.
        weights: (b, t), what each token counts; None for all alike.

    Returns:
        (b, d) float32.
    """
    shares = mean_shares(mask, without_first=without_first, weights=weights)
    return torch.einsum("btd,bt->bd", hidden.to(torch.float32), shares)


def mean_shares(
    mask: torch.Tensor, *, without_first: bool, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """(b, t) float32, the share of each token in its text's mean; each row sums to 1."""
    shares = mask.to(torch.float32)
    if without_first:
        first = shares.cumsum(dim=1).eq(1) & shares.bool()
        several = shares.sum(dim=1, keepdim=True) > 1
        shares = shares.masked_fill(first & several, 0.0)
    if weights is not None:
        shares = shares * weights
    return shares / shares.sum(dim=1, keepdim=True)


def token_weights(weights: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(b, t), what each token counts in a `weighted-` mean.

    Args:
        weights: (vocabulary,).
        ids: (b, t).
        mask: (b, t), 1 for a real token.
    """
    row = torch.arange(len(ids), device=ids.device)[:, None]
    token = torch.where(mask.bool(), ids + row * len(weights), -1)
    _, places, counts = torch.unique(token, return_inverse=True, return_counts=True)
    shares: torch.Tensor = weights[ids] / counts[places].sqrt()
    return shares


def pool(
    model: Any, output: Any, mask: torch.Tensor, pooling: Pooling, weights: torch.Tensor | None
) -> torch.Tensor:
    """A model's output for a batch of texts to (b, `pooled_width`) float32.

    Args:
        model: whose final norm `weighted-first-last` puts the embeddings through, too.
        output: its `last_hidden_state` and, for `weighted-first-last`, `hidden_states`.
        mask: (b, t), 1 for a real token.
        weights: (b, t), what each token counts; None for all alike.
    """
    without_first = pooling != "mean"
    last = mean_pool(output.last_hidden_state, mask, without_first=without_first, weights=weights)
    if pooling != "weighted-first-last":
        return last
    embedded = model.norm(output.hidden_states[0])
    first = mean_pool(embedded, mask, without_first=True, weights=weights)
    return torch.cat([torch.nn.functional.normalize(mean, dim=1) for mean in (first, last)], dim=1)


def padded(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of token ids to (b, t) ids, padded on the right, and their mask, 1 for a real one."""
    tokens = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, text_ids in enumerate(ids):
        tokens[row, : len(text_ids)] = torch.tensor(text_ids)
        mask[row, : len(text_ids)] = 1
    return tokens.to(device), mask.to(device)


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut texts into batches of at most `budget` tokens after padding, longest texts first.

    Sorted by length, so that little is padded; a text longer than the budget goes alone.

    >>> list(token_batches([2, 9, 3, 8], budget=18))
    [[1, 3], [2, 0]]
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


class TransformerEncoder:
    """A decoder or encoder model from a folder in transformers' format."""

    def __init__(
        self,
        spec: EncoderSpec,
        folder: Path,
        *,
        adapter: Path | None = None,
        head: EncoderHead = NO_HEAD,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        """
        Args:
            device: `cuda`, `mps` or `cpu`; by default the best there is.
            dtype: of the weights, `float32`, `bfloat16` or `float16`; by default what the device
                is fast with (`fast_dtype`). Pooling is always in float32.

        Raises:
            SetupError: if the device is not there.
            InputError: if the model has fewer layers than the spec asks for.
        """
        self.spec = spec
        self._device = pick_device(device)
        self._batch_tokens = batch_tokens or BATCH_TOKENS[self._device.type]
        self._tokens = Tokens(folder, spec.pooling, spec.max_tokens, spec.normalization)
        self._head = head
        self._token_weights = None
        if head.token_weights is not None:
            self._token_weights = torch.from_numpy(head.token_weights).to(self._device)
        self._model, self._causal = load_body(spec, folder, adapter, self._device, dtype)
        self._width = pooled_width(spec.pooling, self._model.config.hidden_size)

    @property
    def dimension(self) -> int:
        return self._head.dimension(self._width)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        return self.encode_counted(texts).vectors

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        """
        Raises:
            AstrosearchError: if the device has too little memory for a batch.
        """
        ids = self._tokens.ids(texts)
        pooled = np.zeros((len(ids), self._width), dtype=np.float32)
        try:
            for batch in token_batches(list(map(len, ids)), self._batch_tokens):
                pooled[batch] = self._pool([ids[i] for i in batch])
        except torch.OutOfMemoryError:
            raise AstrosearchError(
                f"{self._device} has too little memory for a batch of {self._batch_tokens:,} "
                f"tokens; {self._batch_tokens // 4:,} may fit",
                remedy="smaller-batches",
            ) from None
        return EncodedTexts(self._head(pooled), sum(map(len, ids)))

    @torch.inference_mode()
    def _pool(self, ids: list[list[int]]) -> Vectors:
        tokens, mask = padded(ids, self._device)
        # Behind a causal mask a real token never sees the padding to its right: the model needs
        # no padding mask, and attention takes its fastest way.
        padding_mask = None if self._causal else mask
        pooling = self.spec.pooling
        output = self._model(
            input_ids=tokens,
            attention_mask=padding_mask,
            output_hidden_states=pooling == "weighted-first-last",
        )
        weights = None
        if self._token_weights is not None:
            weights = token_weights(self._token_weights, tokens, mask)
        return pool(self._model, output, mask, pooling, weights).cpu().numpy()


def load_body(
    spec: EncoderSpec,
    folder: Path,
    adapter: Path | None,
    device: torch.device,
    dtype: str | None,
    *,
    kernel: str | None = None,
) -> tuple[Any, bool]:
    """The model without its language-modelling head, and whether its attention is causal.

    Args:
        kernel: transformers' `attn_implementation`; by default the one it prefers.
    """
    with loading(folder):
        config = AutoConfig.from_pretrained(folder)
    all_layers = getattr(config, "num_hidden_layers", None)
    if spec.layers is not None:
        if spec.layers > config.num_hidden_layers:
            raise InputError(
                f"{spec.model} has {config.num_hidden_layers} layers, {spec.layers} were asked for"
            )
        config.num_hidden_layers = spec.layers
    if spec.attention is not None:
        config.is_causal = spec.attention == "causal"
    precision = getattr(torch, dtype) if dtype else fast_dtype(device)
    options: dict[str, Any] = {"attn_implementation": kernel}
    if spec.quantize == "4bit":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=precision,
        )
        options["device_map"] = {"": device}
    options |= {"config": config, "dtype": precision}
    whole = adapter is not None and _is_of_language_model(adapter)
    model = load_model(AutoModelForCausalLM if whole else AutoModel, folder, **options)
    if adapter is not None:
        cut_from = None if spec.layers is None else all_layers
        model = attach(model, adapter, spec.model, cut_from=cut_from).merge_and_unload()
    if whole:
        model = model.get_decoder()
    if spec.quantize is None:
        model = model.to(device)
    causal = model.config.model_type in CAUSAL and getattr(model.config, "is_causal", True)
    longest = getattr(config, "max_position_embeddings", None)
    if not causal and longest and spec.max_tokens > longest:  # rotary positions have no end
        raise InputError(
            f"{spec.model} takes {longest:,} tokens at most, {spec.max_tokens:,} were asked for"
        )
    return model.eval(), causal


CAUSAL = frozenset(
    "llama mistral qwen2 qwen3 gemma gemma2 gpt2 gpt_neox phi phi3 olmo olmo2 smollm3".split()
)
"""Model types known to be decoders; any other is given a padding mask, which is always right."""


def _is_of_language_model(adapter: Path) -> bool:
    """Whether an adapter was trained around a model with its head: its weights are named so."""
    return any(
        name.startswith(("base_model.model.model.", "base_model.model.lm_head."))
        for name in shapes(adapter / WEIGHTS)
    )

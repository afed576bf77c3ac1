"""A LLaMA's forward pass in numpy, for queries.

Importing torch and transformers takes seconds, a query of ten words takes milliseconds of
arithmetic. The weights are memory-mapped, so that only the layers that run are read and two
queries at once share them. The vectors are those of `TransformerEncoder` (a test compares them).

The architecture is that of Touvron et al. 2023 (arXiv:2302.13971) with grouped key/value heads
(arXiv:2305.13245): RMS norm, rotary positions, SwiGLU.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import EncodedTexts, EncoderSpec, pooled_width
from astrosearch.encoders.head import NO_HEAD, EncoderHead
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.mapped import Array, LowRank, map_safetensors, read_lora
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError

_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads")
_LAYER = (
    *("input_layernorm", "post_attention_layernorm"),
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)
"""Weights of a layer; each has one side as long as the model is wide."""


def can_read(folder: Path) -> bool:
    """Whether a folder holds a LLaMA that `LlamaEncoder` computes, and nothing beyond."""
    config = read_object(folder / "config.json")
    rope = config.get("rope_parameters") or {}
    return (
        config.get("model_type") == "llama"
        and all(isinstance(config.get(name), int) for name in _SIZES)
        and isinstance(rope, dict)
        and config.get("dtype", config.get("torch_dtype")) == "float32"
        and (folder / "model.safetensors").exists()
        and config.get("hidden_act") == "silu"
        and not config.get("attention_bias")
        and not config.get("mlp_bias")
        and rope.get("rope_type", "default") == "default"
        and config.get("rope_scaling") is None
    )


class LlamaEncoder:
    """A LLaMA of one float32 safetensors file, on the CPU, one text at a time."""

    def __init__(
        self,
        spec: EncoderSpec,
        folder: Path,
        *,
        adapter: Path | None = None,
        head: EncoderHead = NO_HEAD,
    ) -> None:
        """
        Raises:
            InputError: if the model has fewer layers than the spec names, or lacks weights.
        """
        self.spec = spec
        self._config = read_object(folder / "config.json")
        self._tokens = Tokens(folder, spec.pooling, spec.max_tokens, spec.normalization)
        with readable(folder / "model.safetensors"):
            self._weights = map_safetensors(folder / "model.safetensors")
        self._prefix = "model." if "model.norm.weight" in self._weights else ""
        self._head = head
        layers: int = self._config["num_hidden_layers"]
        self._layers = layers if spec.layers is None else spec.layers
        if self._layers > layers:
            raise InputError(f"{spec.model} has {layers} layers, {self._layers} were asked for")
        width = self._config["hidden_size"]
        names = [f"layers.{i}.{name}.weight" for i in range(self._layers) for name in _LAYER]
        for name in ("embed_tokens.weight", "norm.weight", *names):
            tensor = self._weights.get(self._prefix + name)
            if tensor is None or width not in tensor.shape:
                raise InputError(
                    f"{folder} cannot be loaded: model.safetensors has no {name} of width "
                    f"{width}, which its config.json describes"
                )
        self._lora = self._read_lora(adapter, layers) if adapter else {}

    def _read_lora(self, adapter: Path, layers: int) -> dict[str, LowRank]:
        names = ["embed_tokens", *(f"layers.{i}.{name}" for i in range(layers) for name in _LAYER)]
        used = {"embed_tokens", *names[1 : 1 + self._layers * len(_LAYER)]}
        matrices = {name: self._weight(name).shape for name in names if name in used}
        cut = {*names, "lm_head"} - used
        return read_lora(adapter, self.spec.model, matrices, cut.__contains__)

    @property
    def dimension(self) -> int:
        return self._head.dimension(self._width)

    @property
    def _width(self) -> int:
        return pooled_width(self.spec.pooling, self._config["hidden_size"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        return self.encode_counted(texts).vectors

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        pooled = np.zeros((len(texts), self._width), dtype=np.float32)
        tokens = [np.array(ids) for ids in self._tokens.ids(texts)]
        for row, ids in enumerate(tokens):
            pooled[row] = self._pooled(ids)
        return EncodedTexts(self._head(pooled), sum(map(len, tokens)))

    def _pooled(self, ids: NDArray[np.int64]) -> Array:
        """(`pooled_width`,) of a text's (t,) tokens."""
        start = 1 if self.spec.pooling != "mean" and len(ids) > 1 else 0
        weights: Array = np.ones(len(ids), dtype=np.float32)
        if self._head.token_weights is not None:
            _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
            weights /= np.sqrt(counts[places], dtype=np.float32)
            weights *= self._head.token_weights[ids]
        shares = weights[start:] / weights[start:].sum()
        means = [shares @ states[start:] for states in self._forward(ids)]
        return means[0] if len(means) == 1 else unit_rows(np.stack(means)).ravel()

    def _embed(self, ids: NDArray[np.int64]) -> Array:
        """(t,) token ids to their (t, d) embeddings."""
        x: Array = self._weight("embed_tokens")[ids]
        if "embed_tokens" in self._lora:
            x = x + self._lora["embed_tokens"].of_tokens(ids)
        return x

    def _forward(self, ids: NDArray[np.int64]) -> list[Array]:
        """(t,) token ids to (t, d), the last hidden states after the final norm; before them, for
        `weighted-first-last`, those of no layer."""
        x = self._embed(ids)
        first = [self._norm(x, "norm")] if self.spec.pooling == "weighted-first-last" else []
        rotation = self._rotation(len(x))
        for number in range(self._layers):
            layer = f"layers.{number}."
            x = x + self._attention(layer, self._norm(x, layer + "input_layernorm"), rotation)
            x = x + self._feed_forward(layer, self._norm(x, layer + "post_attention_layernorm"))
        return [*first, self._norm(x, "norm")]

    def _attention(self, layer: str, x: Array, rotation: tuple[Array, Array]) -> Array:
        heads: int = self._config["num_attention_heads"]
        shared = heads // (self._config.get("num_key_value_heads") or heads)
        size = self._head_size
        q, k, v = (
            self._linear(x, f"{layer}self_attn.{name}_proj")
            .reshape(len(x), -1, size)
            .transpose(1, 0, 2)  # (heads, t, size)
            for name in "qkv"
        )
        q, k = _rotate(q, rotation), _rotate(k, rotation)
        k, v = np.repeat(k, shared, axis=0), np.repeat(v, shared, axis=0)
        scores = q @ k.transpose(0, 2, 1) * np.float32(size**-0.5)  # (heads, t, t)
        if self.spec.attention != "bidirectional":
            scores += np.triu(np.full(scores.shape[1:], -np.inf, dtype=np.float32), k=1)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ v).transpose(1, 0, 2).reshape(len(x), heads * size)
        return self._linear(mixed, layer + "self_attn.o_proj")

    def _feed_forward(self, layer: str, x: Array) -> Array:
        gate = self._linear(x, layer + "mlp.gate_proj")
        up = self._linear(x, layer + "mlp.up_proj")
        swish = gate / (1 + np.exp(-gate))
        return self._linear(swish * up, layer + "mlp.down_proj")

    def _linear(self, x: Array, name: str) -> Array:
        """(t, in) to (t, out), with what an adapter adds."""
        y = x @ self._weight(name).T
        if name in self._lora:
            y = y + self._lora[name].of_states(x)
        return np.asarray(y, dtype=np.float32)

    def _norm(self, x: Array, name: str) -> Array:
        scale = np.sqrt((x * x).mean(axis=-1, keepdims=True) + self._config["rms_norm_eps"])
        return np.asarray(x / scale * self._weight(name), dtype=np.float32)

    def _rotation(self, length: int) -> tuple[Array, Array]:
        """Cosine and sine of each position's angles, (t, size)."""
        rope = self._config.get("rope_parameters") or {}
        base = rope.get("rope_theta") or self._config.get("rope_theta", 10_000.0)
        size = self._head_size
        frequencies = base ** (-np.arange(0, size, 2) / size)
        angles = np.outer(np.arange(length), np.concatenate([frequencies, frequencies]))
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    @property
    def _head_size(self) -> int:
        given = self._config.get("head_dim")
        return int(given or self._config["hidden_size"] // self._config["num_attention_heads"])

    def _weight(self, name: str) -> Array:
        return self._weights[f"{self._prefix}{name}.weight"]


def _rotate(x: Array, rotation: tuple[Array, Array]) -> Array:
    cosine, sine = rotation
    half = x.shape[-1] // 2
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return np.asarray(x * cosine + turned * sine, dtype=np.float32)

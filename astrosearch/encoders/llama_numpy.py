"""A LLaMA's forward pass in numpy, for queries, and for whole corpora where no layer is run.

Importing torch and transformers takes seconds, a query of ten words takes milliseconds of
arithmetic. The weights are memory-mapped, so that only the layers that run are read and two
queries at once share them. The vectors are those of `TransformerEncoder` (a test compares them).

The architecture is that of Touvron et al. 2023 (arXiv:2302.13971) with grouped key/value heads
(arXiv:2305.13245): RMS norm, rotary positions, SwiGLU.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import EncoderSpec, pooled_width
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.vectors import LinearHead, Vectors, unit_rows
from astrosearch.errors import InputError

Array = NDArray[np.float32]

_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads")
_OF_A_LAYER = (
    *("input_layernorm", "post_attention_layernorm"),
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)
"""Weights of a layer; each has one side as long as the model is wide."""

_DTYPES = {"F32": np.float32, "F16": np.float16, "F8_E4M3": np.uint8}
"""Of safetensors, whose own reader for numpy has no float8: those are left as bytes."""

_bytes = np.arange(256, dtype=np.int32)
_FLOAT8 = np.where(
    _bytes & 0x78,
    (1 + (_bytes & 7) / 8) * 2.0 ** ((_bytes >> 3 & 15) - 7),
    (_bytes & 7) / 8 * 2.0**-6,
).astype(np.float32) * np.where(_bytes & 0x80, -1, 1).astype(np.float32)
"""The float8 that each byte is, of four bits of exponent and three of mantissa (E4M3 of
arXiv:2209.05433, but for its NaN)."""


class LlamaEncoder:
    """A LLaMA of one float32 safetensors file, on the CPU; through layers one text at a time."""

    def __init__(
        self,
        spec: EncoderSpec,
        folder: Path,
        *,
        adapter: Path | None = None,
        whitening: LinearHead | None = None,
        token_weights: Array | None = None,
    ) -> None:
        self.spec = spec
        self.tokens_seen = 0
        self._config = read_object(folder / "config.json")
        self._tokens = Tokens(folder, spec.pooling, spec.max_tokens, spec.spelling)
        with readable(folder / "model.safetensors"):
            self._weights = _map_safetensors(folder / "model.safetensors")
        self._prefix = "model." if "model.norm.weight" in self._weights else ""
        self._whitening = whitening
        self._token_weights = token_weights
        self._lora: dict[str, tuple[Array, Array]] = {}
        if adapter:
            with readable(adapter):
                self._lora = _read_lora(adapter)
        every: int = self._config["num_hidden_layers"]
        self._layers = every if spec.layers is None else spec.layers
        if self._layers > every:
            raise InputError(f"{spec.model} has {every} layers, {self._layers} were asked for")
        width = self._config["hidden_size"]
        names = [f"layers.{i}.{name}.weight" for i in range(self._layers) for name in _OF_A_LAYER]
        for name in ("embed_tokens.weight", "norm.weight", *names):
            tensor = self._weights.get(self._prefix + name)
            if tensor is None or width not in tensor.shape:
                raise InputError(
                    f"{folder} cannot be loaded: model.safetensors holds no {name} of width "
                    f"{width}, which its config.json speaks of"
                )

    @staticmethod
    def can_read(folder: Path, adapter: Path | None = None) -> bool:
        """Whether the folders hold what this class computes, and nothing beyond."""
        if adapter is not None:
            lora = read_object(adapter / "adapter_config.json")
            beyond = "use_dora use_rslora rank_pattern alpha_pattern modules_to_save".split()
            if lora.get("peft_type") != "LORA" or lora.get("bias", "none") != "none":
                return False
            if any(lora.get(name) for name in beyond):
                return False
            with readable(adapter):
                header, _ = _header(_mapped(adapter / "adapter_model.safetensors"))
                if any(entry["dtype"] not in _DTYPES for entry in header.values()):
                    return False
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

    @property
    def dimension(self) -> int:
        if self._whitening:
            return int(self._whitening.projection.shape[1])
        return pooled_width(self.spec.pooling, self._config["hidden_size"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        width = pooled_width(self.spec.pooling, self._config["hidden_size"])
        pooled = np.zeros((len(texts), width), dtype=np.float32)
        every = [np.array(ids) for ids in self._tokens.ids(texts)]
        states = self._states(every) if self._layers == 0 else map(self._forward, every)
        for row, (ids, found) in enumerate(zip(every, states, strict=True)):
            start = 1 if self.spec.pooling != "mean" and len(ids) > 1 else 0
            weights = np.ones(len(ids), dtype=np.float32)
            if self._token_weights is not None:
                _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
                weights = self._token_weights[ids] / np.sqrt(counts[places], dtype=np.float32)
            shares = weights[start:] / weights[start:].sum()
            means = [shares @ one[start:] for one in found]
            pooled[row] = means[0] if len(means) == 1 else unit_rows(np.stack(means)).ravel()
            self.tokens_seen += len(ids)
        return self._whitening(pooled) if self._whitening else unit_rows(pooled)

    def _states(self, every: Sequence[NDArray[np.int64]]) -> Iterator[list[Array]]:
        """What `_forward` gives for each text where there are no layers: a token's state is then
        the same wherever it stands, and is found once."""
        tokens, places = np.unique(np.concatenate(every), return_inverse=True)
        found = self._forward(tokens)
        end = 0
        for ids in every:
            start, end = end, end + len(ids)
            yield [one[places[start:end]] for one in found]

    def _embed(self, ids: NDArray[np.int64]) -> Array:
        """(t,) token ids to their (t, d) embeddings."""
        x: Array = self._weight("embed_tokens")[ids]
        if "embed_tokens" in self._lora:
            down, up = self._lora["embed_tokens"]
            x = x + _floats(down[:, ids]).T @ up.T
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
        """(t, in) to (t, out), with what an adapter adds (arXiv:2106.09685, 4.1)."""
        y = x @ self._weight(name).T
        if name in self._lora:
            down, up = self._lora[name]
            y = y + (x @ down.T) @ up.T
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


def _read_lora(folder: Path) -> dict[str, tuple[Array, Array]]:
    """LoRA's two matrices for each map of a model, (rank, in) and (out, rank), float32; the second
    holds the scale, alpha / rank. For embeddings `in` is the vocabulary, of which a text needs a
    few columns: the first matrix stays as it is stored."""
    config = read_object(folder / "adapter_config.json")
    scale = np.float32(config["lora_alpha"] / config["r"])
    arrays = {
        name.removeprefix("base_model.model.").removeprefix("model."): array
        for name, array in _map_safetensors(folder / "adapter_model.safetensors").items()
    }
    found = {}
    for name, down in arrays.items():
        for kind, suffix in (("lora_A", ".weight"), ("lora_embedding_A", "")):
            if name.endswith(f".{kind}{suffix}"):
                up = _floats(arrays[name.replace("_A", "_B")])
                kept = down if kind == "lora_embedding_A" else _floats(down)
                found[name.removesuffix(f".{kind}{suffix}")] = (kept, up * scale)
    return found


def _floats(array: NDArray[Any]) -> Array:
    return _FLOAT8[array] if array.dtype == np.uint8 else array.astype(np.float32)


def _map_safetensors(file: Path) -> dict[str, NDArray[Any]]:
    """Tensors of a safetensors file as views of the mapped file, but for those of another dtype
    than `_DTYPES`.

    The format is an 8-byte header length, a JSON header, the bytes
    (https://huggingface.co/docs/safetensors); the safetensors library would copy them.
    """
    mapped = _mapped(file)
    header, start = _header(mapped)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if dtype := _DTYPES.get(entry["dtype"]):
            part = mapped[start + begin : start + end]
            tensors[name] = np.asarray(part.view(dtype).reshape(entry["shape"]))
    return tensors


def _mapped(file: Path) -> NDArray[np.uint8]:
    return np.memmap(file, dtype=np.uint8, mode="r")


def _header(mapped: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of each of its tensors, and where their bytes begin."""
    length = int(mapped[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(mapped[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    return header, 8 + length

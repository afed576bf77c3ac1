"""Weights in safetensors files as numpy arrays over the mapped file: nothing is read before it is
used, and two processes share what is.

The format is an 8-byte header length, a JSON header, the bytes
(https://huggingface.co/docs/safetensors); the safetensors library would copy them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.adapters import check_shape, check_weights
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.errors import InputError

Array = NDArray[np.float32]

_DTYPES = {
    "F32": np.float32,
    "F16": np.float16,
    "I8": np.int8,
    "I32": np.int32,
    "F8_E4M3": np.uint8,
}
"""Of safetensors, whose own reader for numpy has no float8: those are left as bytes."""

_bytes = np.arange(256, dtype=np.int32)
_FLOAT8 = np.where(
    _bytes & 0x78,
    (1 + (_bytes & 7) / 8) * 2.0 ** ((_bytes >> 3 & 15) - 7),
    (_bytes & 7) / 8 * 2.0**-6,
).astype(np.float32) * np.where(_bytes & 0x80, -1, 1).astype(np.float32)
"""The float8 that each byte is, with four bits of exponent and three of mantissa (E4M3 of
arXiv:2209.05433, except its NaN)."""


def map_safetensors(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file as views of the mapped file; float8 as bytes, tensors of
    a dtype that is not in `_DTYPES` left out."""
    mapped = _mapped(file)
    header, start = _header(mapped)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if dtype := _DTYPES.get(entry["dtype"]):
            part = mapped[start + begin : start + end]
            tensors[name] = np.asarray(part.view(dtype).reshape(entry["shape"]))
    return tensors


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a safetensors file.

    Raises:
        InputError: if it cannot be read.
    """
    with readable(file):
        header, _ = _header(_mapped(file))
        return {name: tuple(entry["shape"]) for name, entry in header.items()}


def floats(array: NDArray[Any]) -> Array:
    """float32 of a tensor as `map_safetensors` gives it; bytes are float8."""
    return _FLOAT8[array] if array.dtype == np.uint8 else array.astype(np.float32)


class LowRank(NamedTuple):
    """What LoRA adds to one matrix of a model: `up @ down` (arXiv:2106.09685, section 4.1)."""

    down: NDArray[Any]
    """(rank, in). Of embeddings, where `in` is the vocabulary, as it is stored: a text needs a few
    columns only."""
    up: Array
    """(out, rank), times the scale, alpha / rank."""

    def of_tokens(self, ids: NDArray[np.int64]) -> Array:
        """(t, out), what is added to the embeddings of (t,) tokens."""
        return self.of_columns(self.down[:, ids])

    def of_columns(self, columns: NDArray[Any]) -> Array:
        """The same by the tokens' (rank, t) columns of `down`."""
        return np.asarray(floats(columns).T @ self.up.T, dtype=np.float32)

    def of_states(self, states: Array) -> Array:
        """(t, out), what is added to the matrix's products with (t, in) states."""
        return np.asarray((states @ self.down.T) @ self.up.T, dtype=np.float32)


def read_lora(
    folder: Path, base: str, matrices: Mapping[str, tuple[int, ...]], cut: Callable[[str], bool]
) -> dict[str, LowRank]:
    """What an adapter's folder adds to each matrix of a model, by the matrix's name.

    Args:
        base: its name.
        matrices: the shapes, (out, in), of those that are used of the model, by name, as
            `layers.0.mlp.up_proj`; of the embeddings, (vocabulary, width).
        cut: whether a matrix is in the model and not used.

    Raises:
        InputError: if it cannot be read, or its weights are not those that its configuration calls
            for on these matrices.
    """
    with readable(folder):
        config = read_object(folder / "adapter_config.json")
        scale = np.float32(config["lora_alpha"] / config["r"])
        arrays = {
            name.removeprefix("base_model.model.").removeprefix("model."): array
            for name, array in map_safetensors(folder / "adapter_model.safetensors").items()
        }
        lora = {}
        for name, down in arrays.items():
            for kind, suffix in (("lora_A", ".weight"), ("lora_embedding_A", "")):
                if name.endswith(f".{kind}{suffix}"):
                    up = floats(arrays[name.replace("_A", "_B")]) * scale
                    down = down if kind == "lora_embedding_A" else floats(down)
                    lora[name.removesuffix(f".{kind}{suffix}")] = LowRank(down, up)
    called_for = {name for name in matrices if _is_target(name, config["target_modules"])}
    lora = {name: added for name, added in lora.items() if not cut(name)}
    check_weights(
        folder, base, missing=called_for - lora.keys(), unexpected=lora.keys() - called_for
    )
    if not lora:
        raise InputError(f"adapter {folder} does not fit {base}: it changes no part that is used")
    for name, added in lora.items():
        shape = len(added.up), added.down.shape[1]
        check_shape(
            folder, base, name, shape[::-1] if name == "embed_tokens" else shape, matrices[name]
        )
    return lora


def _is_target(name: str, targets: Iterable[str]) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)


def can_read_lora(folder: Path) -> bool:
    """Whether an adapter is plain LoRA, of dtypes that numpy or this module has."""
    config = read_object(folder / "adapter_config.json")
    beyond = """use_dora use_rslora rank_pattern alpha_pattern modules_to_save lora_bias
        layers_to_transform exclude_modules target_parameters trainable_token_indices""".split()
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        return False
    if not isinstance(config.get("target_modules"), list):  # a pattern, or a word for all of them
        return False
    if any(config.get(name) for name in beyond):
        return False
    with readable(folder):
        header, _ = _header(_mapped(folder / "adapter_model.safetensors"))
        return all(entry["dtype"] in _DTYPES and ".lora_" in name for name, entry in header.items())


def _mapped(file: Path) -> NDArray[np.uint8]:
    return np.memmap(file, dtype=np.uint8, mode="r")


def _header(mapped: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of each of its tensors, and where their bytes begin."""
    length = int(mapped[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(mapped[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    return header, 8 + length

"""Weights in safetensors files as numpy arrays over the mapped file: nothing is read before it is
used, and two processes share what is.

The format is an 8-byte header length, a JSON header, the bytes
(https://huggingface.co/docs/safetensors); the safetensors library would copy them.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.hugging_face import read_object, readable

Array = NDArray[np.float32]

_DTYPES = {"F32": np.float32, "F16": np.float16, "I8": np.int8, "F8_E4M3": np.uint8}
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
        return np.asarray(floats(self.down[:, ids]).T @ self.up.T, dtype=np.float32)

    def of_states(self, states: Array) -> Array:
        """(t, out), what is added to the matrix's products with (t, in) states."""
        return np.asarray((states @ self.down.T) @ self.up.T, dtype=np.float32)


def read_lora(folder: Path) -> dict[str, LowRank]:
    """What an adapter's folder adds to each matrix of a model, by the matrix's name.

    Raises:
        InputError: if it cannot be read.
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
        return lora


def can_read_lora(folder: Path) -> bool:
    """Whether an adapter is plain LoRA, of dtypes that numpy or this module has."""
    config = read_object(folder / "adapter_config.json")
    beyond = "use_dora use_rslora rank_pattern alpha_pattern modules_to_save".split()
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        return False
    if any(config.get(name) for name in beyond):
        return False
    with readable(folder):
        header, _ = _header(_mapped(folder / "adapter_model.safetensors"))
        return all(entry["dtype"] in _DTYPES for entry in header.values())


def _mapped(file: Path) -> NDArray[np.uint8]:
    return np.memmap(file, dtype=np.uint8, mode="r")


def _header(mapped: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of each of its tensors, and where their bytes begin."""
    length = int(mapped[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(mapped[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    return header, 8 + length

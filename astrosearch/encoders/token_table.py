"""The token embeddings of a model and its final norm: all that an encoder without layers needs.

They come from a model's folder in transformers' format, or from a folder that holds nothing else,
which is made of a GGUF file in seconds (`weights/gguf.py`):

    embeddings.safetensors
        embed_tokens   (vocabulary, width) int8, or float32 without scales
        scales         (vocabulary, width / 32) float16; a token's number times the scale of its
                       block of 32 is the embedding (Q8_0 of GGUF)
        norm           (width,) float32
    config.json        hidden_size, vocab_size, rms_norm_eps, bos_token_id
    tokenizer.json     of the tokenizers library
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.mapped import Array, map_safetensors
from astrosearch.errors import InputError

FILE = "embeddings.safetensors"

BLOCK = 32
"""Numbers that share a scale."""


class TokenTable:
    """What each token is before and after a model's layers, none of which is run."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            InputError: if the folder lacks the embeddings or the norm.
        """
        config = read_object(folder / "config.json")
        width = config.get("hidden_size")
        self._eps = np.float32(config.get("rms_norm_eps", 1e-6))
        whole = not (folder / FILE).exists()
        file = folder / ("model.safetensors" if whole else FILE)
        with readable(file):
            tensors = map_safetensors(file)
        if whole:
            tensors = {
                name.removeprefix("model.").removesuffix(".weight"): tensor
                for name, tensor in tensors.items()
            }
        for name in ("embed_tokens", "norm"):
            if name not in tensors or tensors[name].shape[-1] != width:
                raise InputError(
                    f"{folder} cannot be loaded: {file.name} has no {name} of width {width}, "
                    "which its config.json describes"
                )
        self._embeddings: NDArray[Any] = tensors["embed_tokens"]
        self._norm: Array = tensors["norm"]
        self._scales: NDArray[np.float16] | None = None if whole else tensors.get("scales")

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def width(self) -> int:
        return int(self._embeddings.shape[1])

    def embeddings(self, ids: NDArray[np.int64]) -> Array:
        """(t,) token ids to their (t, width) embeddings."""
        rows = self._embeddings[ids].astype(np.float32)
        if self._scales is None:
            return rows
        scales = self._scales[ids].astype(np.float32)
        blocks = rows.reshape(len(ids), -1, BLOCK) * scales[:, :, None]
        return np.asarray(blocks.reshape(rows.shape), dtype=np.float32)

    def norm(self, states: Array) -> Array:
        """(t, width) states through the final norm (RMS norm, arXiv:1910.07467)."""
        scale = np.sqrt((states * states).mean(axis=-1, keepdims=True) + self._eps)
        return np.asarray(states / scale * self._norm, dtype=np.float32)

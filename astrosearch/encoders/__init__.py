"""Encoders, each in a module of its own that is imported when it is asked for."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from astrosearch import models
from astrosearch.encoder import Encoder, EncoderSpec, Say
from astrosearch.errors import EncoderMismatch, InputError
from astrosearch.vectors import Whitening

HEAD = "head.safetensors"
"""In an embedding adapter's folder: the linear map behind the mean, and the tokens' weights."""


def load_encoder(spec: EncoderSpec, say: Say, **options: Any) -> Encoder:
    """The encoder of a spec, for a corpus.

    Args:
        options: `device`, `dtype` and `batch_tokens` of `TransformerEncoder`.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
        EncoderMismatch: if the weights found are not those the spec names.
    """
    from astrosearch.encoders.transformer import TransformerEncoder

    found, folder, adapter = _resolve(spec, say)
    head = _load_head(spec, adapter)
    return TransformerEncoder(found, folder, adapter=adapter, **head, **options)


def load_query_encoder(spec: EncoderSpec, say: Say) -> Encoder:
    """The same encoder for a few short texts: without torch, whose import takes seconds, if the
    model is a plain LLaMA."""
    from astrosearch.encoders.llama import LlamaEncoder

    found, folder, adapter = _resolve(spec, say)
    if spec.quantize is None and LlamaEncoder.can_read(folder, adapter):
        return LlamaEncoder(found, folder, adapter=adapter, **_load_head(spec, adapter))
    return load_encoder(spec, say)


def _load_head(spec: EncoderSpec, adapter: Path | None) -> dict[str, Any]:
    """What follows the body: `whitening`, and the `token_weights` of a weighted mean."""
    path = None if adapter is None else adapter / HEAD
    if path is None or not path.exists():
        if spec.pooling.startswith("weighted"):
            raise InputError(
                f"pooling {spec.pooling} needs an adapter of `astrosearch train contrast`, which "
                "brings the weights"
            )
        return {"whitening": load_whitening(spec.transform)}
    from safetensors.numpy import load_file

    weights = load_file(path).get("token_weights")
    return {
        "whitening": Whitening.load(path),
        "token_weights": None if weights is None else weights.astype(np.float32),
    }


def load_whitening(name: str | None) -> Whitening | None:
    """One of the whitenings in `transforms/`, by its name."""
    if name is None:
        return None
    path = transforms() / f"{name}.safetensors"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in transforms().glob("*.safetensors")))
        raise InputError(f"there is no transform {name!r}; there are: {known}")
    return Whitening.load(path)


def transforms() -> Path:
    return Path(str(files("astrosearch.encoders"))) / "transforms"


def _resolve(spec: EncoderSpec, say: Say) -> tuple[EncoderSpec, Path, Path | None]:
    found, folder, adapter = models.resolve(spec, say)
    if spec.revision not in ("", found.revision):
        raise EncoderMismatch(
            f"the index was built with {spec.model} of revision {spec.revision}, this machine has "
            f"{found.revision}; build the index again"
        )
    return found, folder, adapter

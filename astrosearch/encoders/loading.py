"""Encoders, each in a module of its own that is imported when it is asked for."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from astrosearch.encoders import registry
from astrosearch.encoders.base import Encoder, EncoderSpec, pooled_width
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.vectors import LinearHead
from astrosearch.errors import EncoderMismatch, InputError
from astrosearch.report import SILENT, Reporter

HEAD = "head.safetensors"
"""In an embedding adapter's folder: the linear map behind the mean, and the tokens' weights."""


def load_encoder(spec: EncoderSpec, reporter: Reporter = SILENT, **options: Any) -> Encoder:
    """The encoder of a spec, for a corpus.

    Args:
        reporter: asked before a service's encoder spends money.
        options: `device`, `dtype` and `batch_tokens` of `TransformerEncoder`.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
        EncoderMismatch: if the weights found are not those the spec names.
        InputError: if a service is given options of a model on this machine.
    """
    if spec.is_service:
        if given := [name for name, value in options.items() if value is not None]:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise InputError(f"{spec.model} does not run on this machine: no {names}")
        return _service_encoder(spec, reporter)
    found, folder, adapter = _resolve(spec, reporter)
    plain = options.get("device") in (None, "cpu") and options.get("dtype") in (None, "float32")
    if spec.layers == 0 and plain and (light := _without_torch(found, folder, adapter)):
        return light
    from astrosearch.encoders.transformer import TransformerEncoder

    head = _load_head(spec, folder, adapter)
    return TransformerEncoder(found, folder, adapter=adapter, **head, **options)


def load_cached_encoder(spec: EncoderSpec, reporter: Reporter = SILENT) -> Encoder:
    """The encoder of a spec whose vectors are kept in the user's cache; a service's are anyhow, and
    where no layer is run they take no longer to make than to look up.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
    """
    if spec.is_service or spec.layers == 0:
        return load_encoder(spec, reporter)
    from astrosearch.encoders.cached import CachedEncoder

    known = registry.with_revision(spec, reporter)
    return CachedEncoder(known, lambda: load_encoder(known, reporter))


def load_query_encoder(spec: EncoderSpec, reporter: Reporter = SILENT) -> Encoder:
    """The same encoder for a few short texts: without torch, whose import takes seconds, if the
    model is a plain LLaMA. For a service nobody is asked to agree: a query of a few dozen words
    costs less than a thousandth of a cent."""
    if spec.is_service:
        return _service_encoder(spec, reporter, ask=False)
    found, folder, adapter = _resolve(spec, reporter)
    if spec.quantize is None and (light := _without_torch(found, folder, adapter)):
        return light
    return load_encoder(spec, reporter)


def _without_torch(spec: EncoderSpec, folder: Path, adapter: Path | None) -> Encoder | None:
    """The encoder in numpy alone, if its model is a plain LLaMA."""
    from astrosearch.encoders.llama_numpy import LlamaEncoder

    if not LlamaEncoder.can_read(folder, adapter):
        return None
    head = _load_head(spec, folder, adapter)
    trained = head["whitening"] is not None and head.get("token_weights") is not None
    if spec.layers == 0 and trained:
        from astrosearch.encoders.static import StaticEncoder

        return StaticEncoder(spec, folder, adapter=adapter, **head)
    return LlamaEncoder(spec, folder, adapter=adapter, **head)


def _service_encoder(spec: EncoderSpec, reporter: Reporter, *, ask: bool = True) -> Encoder:
    from astrosearch.encoders.openai import OpenAIEncoder

    return OpenAIEncoder(registry.with_revision(spec, reporter), reporter, ask=ask)


def _load_head(spec: EncoderSpec, folder: Path, adapter: Path | None) -> dict[str, Any]:
    """What follows the body: `whitening`, and the `token_weights` of a weighted mean.

    Raises:
        InputError: if an adapter lacks the weights, or is one of another model.
    """
    path = None if adapter is None else adapter / HEAD
    if path is None or not path.exists():
        if spec.pooling.startswith("weighted"):
            raise InputError(
                f"pooling {spec.pooling} needs an adapter of `astrosearch train contrast`, which "
                "brings the weights"
            )
        return {"whitening": load_whitening(spec.transform)}
    from safetensors.numpy import load_file

    with readable(path):
        whitening, weights = LinearHead.load(path), load_file(path).get("token_weights")
    config = read_object(folder / "config.json")
    width = pooled_width(spec.pooling, config.get("hidden_size", 0))
    words = 0 if weights is None else config.get("vocab_size", 0)
    found = (len(whitening.mean), len(whitening.projection), 0 if weights is None else len(weights))
    if found != (width, width, words):
        raise InputError(
            f"{path} is of another model: mean, projection and token weights have lengths {found}, "
            f"{spec.model} wants {(width, width, words)}"
        )
    return {
        "whitening": whitening,
        "token_weights": None if weights is None else weights.astype(np.float32),
    }


def load_whitening(name: str | None) -> LinearHead | None:
    """One of the whitenings in `transforms/`, by its name."""
    if name is None:
        return None
    known = sorted(file.stem for file in transforms().glob("*.safetensors"))
    if name not in known:
        raise InputError(f"there is no transform {name!r}; there are: {', '.join(known)}")
    return LinearHead.load(transforms() / f"{name}.safetensors")


def transforms() -> Path:
    return Path(str(files("astrosearch.encoders"))) / "transforms"


def _resolve(spec: EncoderSpec, reporter: Reporter) -> tuple[EncoderSpec, Path, Path | None]:
    found, folder, adapter = registry.resolve(spec, reporter)
    if spec.revision not in ("", found.revision):
        raise EncoderMismatch(
            f"the index was built with {spec.model} of revision {spec.revision}, this machine has "
            f"{found.revision}; build the index again"
        )
    return found, folder, adapter

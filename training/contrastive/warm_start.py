"""A run that begins from the weights of an adapter: of a language model or of an encoder."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from astrosearch.encoders.head import HEAD, LinearHead
from astrosearch.encoders.hugging_face import read_object
from astrosearch.encoders.registry import adapter_spec
from astrosearch.encoders.weights.locate import locate_adapter
from astrosearch.errors import InputError
from astrosearch.report import Reporter
from training.settings import ContrastSettings


def load_adapter(
    body: Any, settings: ContrastSettings, reporter: Reporter
) -> dict[str, NDArray[np.float32]]:
    """Copy an adapter's weights into the LoRA matrices of the layers that are kept.

    Returns:
        The arrays of an encoder's head (mean, projection, token_weights); none of a language
        model's adapter.

    Raises:
        InputError: if the adapter does not fit this run.
    """
    folder, _ = locate_adapter(settings.adapter or "", reporter)
    weights = load_file(folder / "adapter_model.safetensors")
    config = read_object(folder / "adapter_config.json")
    parameters = dict(body.named_parameters())
    copied = 0
    for name, weight in weights.items():
        inner = _parameter_name(name)
        if inner not in parameters:
            continue
        parameter = parameters[inner].data
        rows, columns = weight.shape
        if rows > parameter.shape[0] or columns > parameter.shape[1]:
            raise InputError(
                f"adapter {settings.adapter} has rank {config['r']}, more than this run's rank of "
                f"{settings.rank}"
            )
        if re.search(r"\.lora_(embedding_)?B", name):
            weight = weight.float() * (config["lora_alpha"] / config["r"])
        # One of the two matrices begins as zeros, so beyond the adapter's rank the product is 0.
        parameter[:rows, :columns] = weight
        copied += 1
    if not copied:
        raise InputError(f"adapter {settings.adapter} has no weights for {settings.base}")
    if not (folder / HEAD).exists():
        return {}
    normalization = adapter_spec(folder).normalization
    if normalization != settings.normalization:
        raise InputError(
            f"adapter {settings.adapter} was trained on texts with normalization {normalization}, "
            f"not {settings.normalization}"
        )
    return {name: array.astype(np.float32) for name, array in load_arrays(folder / HEAD).items()}


def _parameter_name(name: str) -> str:
    """The parameter of a `PeftModel` without its language-model head that a saved weight is for.

    >>> _parameter_name("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")
    'base_model.model.layers.0.mlp.up_proj.lora_A.default.weight'
    >>> _parameter_name("base_model.model.embed_tokens.lora_embedding_A")
    'base_model.model.embed_tokens.lora_embedding_A.default'
    """
    inner = name.replace("base_model.model.model.", "base_model.model.")
    stem = inner.removesuffix(".weight")  # the matrices of embeddings have no such suffix
    return f"{stem}.default{inner[len(stem) :]}"


def extend_head(
    mean: NDArray[np.float32], projection: NDArray[np.float32], fitted: LinearHead
) -> LinearHead:
    """An adapter's head for this run's pooled vectors, which may be longer than the adapter's.

    What is longer has no effect at first: its rows of the projection are 0.

    Args:
        mean: (w,) of the adapter's head.
        projection: (w, d) of the adapter's head.
        fitted: the head that this run would begin with otherwise; its shape is the result's.

    Raises:
        InputError: if the adapter's head has another dimension, or longer pooled vectors.
    """
    shape = fitted.projection.shape
    rows, columns = projection.shape
    if columns != shape[1] or rows > shape[0]:
        raise InputError(
            f"the adapter's linear map has {rows} rows and dimension {columns}, this run's "
            f"{shape[0]} rows and dimension {shape[1]}; give the adapter's dimension and pooling"
        )
    scale = np.sqrt(shape[0] / rows)  # the halves of a vector of length 1 are shorter than 1
    extended = np.zeros(shape, dtype=np.float32)
    extended[:rows] = projection * scale
    centre = fitted.mean.copy()
    centre[:rows] = mean / scale
    return LinearHead(centre, extended)

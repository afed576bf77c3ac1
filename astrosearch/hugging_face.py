"""Hugging Face libraries without their chatter: our user gets one line, and it is ours."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from astrosearch.errors import InputError

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
    """What the libraries say of a folder they cannot read, in a line."""
    import torch

    try:
        with quiet_transformers():
            yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        what = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{folder} cannot be loaded: {what}") from error

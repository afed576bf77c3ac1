"""`astrosearch doctor`: what is installed, what is missing, and the command that mends it."""

import importlib.util
import os
from collections.abc import Iterator
from typing import NamedTuple

import click

from astrosearch import __version__
from astrosearch.cli.console import write
from astrosearch.cli.options import format_option


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    well: bool
    text: str
    """What was found, or the command that mends it."""


@click.command()
@format_option("table", "json", help="json is for a bug report.")
def doctor(output: str) -> None:
    """Show what is installed and what is missing.

    Each missing thing comes with the command that mends it; the exit code is then 3.

    \b
    astrosearch doctor
    astrosearch doctor --format json
    """
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.tables import write_table
    from astrosearch.errors import SetupError

    findings = list(_findings())
    if output == "json":
        records = [
            {"what": finding.what, "ok": finding.well, "found": finding.text}
            for finding in findings
        ]
        write(as_json({"versions": _versions(), "findings": records}, indent=True))
    else:
        rows = [
            (finding.what, "ok" if finding.well else "missing", finding.text)
            for finding in findings
        ]
        write_table(("what", "state", "found, or what to do"), rows)
    if missing := [finding.what for finding in findings if not finding.well]:
        raise SetupError(f"{len(missing)} missing: {', '.join(missing)}")


_NEEDED = (
    "torch",
    "transformers",
    "faiss-cpu",
    "tantivy",
    "tokenizers",
    "onnxruntime",
    "peft",
    "openai",
)


def _versions() -> dict[str, str | None]:
    """What a bug report has to say first; None for a package that is not installed."""
    import platform

    return {
        "astrosearch": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: _version(package) for package in (*_NEEDED, "numpy", "click", "rich")},
    }


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _findings() -> Iterator[Finding]:
    import platform

    python = f"{platform.python_version()} on {platform.platform()}"
    yield Finding("astrosearch", True, f"{__version__}, Python {python}")
    for package in _NEEDED:
        version = _version(package)
        yield Finding(package, version is not None, version or f"pip install {package}")
    yield _device()
    yield from _models()
    yield from _indexes()
    yield _openai_key()


def _device() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("device", False, "pip install torch")
    import torch

    if torch.cuda.is_available():
        return Finding("device", True, f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Finding("device", True, "mps")
    return Finding("device", True, f"cpu, {torch.get_num_threads()} threads (no GPU is needed)")


def _models() -> Iterator[Finding]:
    from astrosearch.encoders.registry import DEFAULT, DEFAULT_ENCODER, KNOWN
    from astrosearch.encoders.weights.wheel import has_tokens

    well = has_tokens(KNOWN[DEFAULT])
    text = "on this machine" if well else f"astrosearch models fetch {DEFAULT_ENCODER}"
    yield Finding(f"model {DEFAULT_ENCODER}", well, text)


def _indexes() -> Iterator[Finding]:
    from astrosearch import paths
    from astrosearch.cli.errors import with_remedy
    from astrosearch.errors import AstrosearchError
    from astrosearch.index.reader import Index

    names = paths.index_names()
    if not names:
        yield Finding("indexes", False, f"none in {paths.indexes_folder()}; astrosearch index")
    for name in names:
        try:
            count = len(Index(paths.index_folder(name)))
            yield Finding(f"index {name}", True, f"{count:,} papers")
        except AstrosearchError as error:
            yield Finding(f"index {name}", False, with_remedy(error, name))


def _openai_key() -> Finding:
    if os.environ.get("OPENAI_API_KEY"):
        return Finding("OPENAI_API_KEY", True, "set")
    return Finding("OPENAI_API_KEY", True, "not set; only `openai:` models need it")

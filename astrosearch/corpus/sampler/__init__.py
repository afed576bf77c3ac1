"""Real, notable papers with summaries in our own words, for a first try without any download."""

from importlib.resources import files
from pathlib import Path

NAME = "sampler"
"""The index that `astrosearch index` builds without arguments."""


def path() -> Path:
    """papers.jsonl, in the own JSON Lines format of `astrosearch.corpus.intake`."""
    return Path(str(files("astrosearch.corpus.sampler"))) / "papers.jsonl"

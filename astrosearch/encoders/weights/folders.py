"""Folders of converted weights in the user's cache: one that exists is whole."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from astrosearch.paths import cache_folder


def model_folder(name: str) -> Path:
    return cache_folder() / "models" / name


def publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary folder beside `folder`, then rename it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(work)
        try:
            work.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first: its folder is as good
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)

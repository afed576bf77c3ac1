"""Folders that are whole or not there, also when the disk is full."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrosearch.errors import AstrosearchError, InputError


def refuse_to_overwrite(out: Path) -> None:
    """
    Raises:
        InputError: if there is something at `out` already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already; remove it or choose another --out")


def partial(out: Path) -> Path:
    """Where `out` is made until it is whole."""
    return out.absolute().with_name(f".{out.name}.partial")


@contextmanager
def publish(out: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `out` at the end and removed if that is not reached."""
    refuse_to_overwrite(out)
    work = partial(out)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
        rename(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def rename(work: Path, out: Path) -> None:
    if out.is_dir():
        out.rmdir()  # it is empty
    work.rename(out)


@contextmanager
def out_of_space(folder: Path) -> Iterator[None]:
    """A full disk in a line; several libraries say it in ways of their own."""
    try:
        yield
    except Exception as error:
        if not _means_full(error):
            raise
        room = shutil.disk_usage(_existing(folder)).free
        raise AstrosearchError(
            f"the disk of {folder} is full ({room / 1e6:,.0f} MB left); make room and run the "
            "same command again"
        ) from None


def require_space(folder: Path, needed: int) -> None:
    """
    Raises:
        OSError: ENOSPC, if `folder` has less than `needed` bytes left.
    """
    if shutil.disk_usage(_existing(folder)).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return folder if folder.exists() else _existing(folder.parent)


def _means_full(error: BaseException) -> bool:
    numbers = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    words = (
        "No space left",
        "File too large",
        "disk is full",  # SQLite
        "disk I/O error",
        "unexpected pos",  # torch.save
    )
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in numbers or any(word in str(seen) for word in words):
            return True
        seen = seen.__cause__
    return False

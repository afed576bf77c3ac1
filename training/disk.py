"""Folders that appear only when they are whole, made by one process at a time.

What becomes OUT is made in `.OUT.partial` beside it and renamed at the end.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from astrosearch import atomic
from astrosearch.errors import AstrosearchError, InputError

LOCK = "lock"
"""In a partial folder: held by the process that fills it."""


def is_first_process() -> bool:
    """Whether this is the first of a run's processes, which alone writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


def partial(out: Path) -> Path:
    """Where `out` is made until it is whole."""
    return atomic.partial_path(out.absolute())


@contextmanager
def locked(out: Path) -> Iterator[Path]:
    """The partial folder of `out`, for one run at a time; removed at the end if it is empty.

    Of several processes of one run only the first takes the lock.

    Raises:
        InputError: if there is something at `out` already.
        AstrosearchError: if another run is making `out`.
    """
    _refuse_to_overwrite(out)
    work = partial(out)
    if not is_first_process():
        yield work
        return
    work.mkdir(parents=True, exist_ok=True)
    busy = AstrosearchError(
        f"another process is making {out} (it holds {work / LOCK}); wait for it, or stop it"
    )
    with atomic.locked(work / LOCK, busy):
        try:
            _refuse_to_overwrite(out)  # the other process may have finished it meanwhile
            yield work
        finally:
            if work.is_dir() and all(file.name == LOCK for file in work.iterdir()):
                shutil.rmtree(work)


def begin(work: Path, settings: Mapping[str, object]) -> Path:
    """The file in `work` that says of what settings its run is.

    Raises:
        InputError: if the unfinished run there is of others.
    """
    record, file = orjson.dumps(settings), work / "settings.json"
    if file.exists() and file.read_bytes() != record:
        raise InputError(f"{work} holds an unfinished run of other settings: remove it")
    file.write_bytes(record)
    return file


def save_checkpoint(state: object, file: Path) -> None:
    """Write what torch can save; the file before it stays until this one is whole."""
    import torch

    with atomic.whole_file(file) as stream:
        torch.save(state, stream)


def clear(work: Path) -> None:
    """Remove everything in a partial folder but its lock."""
    for file in work.iterdir():
        if file.name != LOCK:
            atomic.remove(file)


@contextmanager
def publish(out: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `out` at the end. If that is not reached, it is removed.

    Raises:
        InputError: if there is something at `out` already.
        AstrosearchError: if another process is making `out`.
    """
    with locked(out) as work:
        clear(work)
        try:
            yield work
            (work / LOCK).unlink()
            rename(work, out)
        except BaseException:
            clear(work)
            raise


def rename(work: Path, out: Path) -> None:
    """Give a whole folder its name, once its files are on the disk."""
    atomic.flush_tree(work)
    if out.is_dir():
        out.rmdir()  # empty, or `locked` had refused it
    work.rename(out)


def _refuse_to_overwrite(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already; remove it or choose another name")


@contextmanager
def out_of_space(folder: Path) -> Iterator[None]:
    """Turn the many ways in which libraries report a full disk into one line."""
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
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in numbers or any(word in str(cause) for word in words):
            return True
        cause = cause.__cause__
    return False

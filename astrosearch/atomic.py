"""Files and folders that are whole or not there; locks; checksums.

Everything is written beside its target and renamed once it is whole. A kill, a full disk or a power
cut at any moment leaves the old target or the new one, never half of one.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from astrosearch.errors import AstrosearchError


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until a file that was written is on the disk.

    Raises:
        OSError: if the disk refuses it.
    """
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def flush_tree(folder: Path) -> None:
    """`flush` for all files of a folder and of the folders in it."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            flush(path)


def publish_file(work: Path, target: Path) -> None:
    """Put a finished file in place of `target`, which may exist."""
    flush(work)
    work.replace(target)


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become `target` when the block ends, and vanish if it fails. A link
    stays one, and a file keeps its permissions; a device or a pipe is written to at once.

    What a killed process leaves behind ends in `.tmp`.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not (target.is_file() or target.is_dir()):
        with target.open("wb") as stream:
            yield stream
        return
    work = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with work.open("wb") as stream:
            yield stream
        if target.exists():
            shutil.copymode(target, work)
        publish_file(work, target)
    finally:
        work.unlink(missing_ok=True)


def partial_path(target: Path) -> Path:
    """Where work that goes on after a kill is kept until it is whole: `.NAME.partial` beside it."""
    return target.with_name(f".{target.name}.partial")


@contextmanager
def whole_folder(
    target: Path, work: Path | None = None, *, interchangeable: bool = False
) -> Iterator[Path]:
    """A new folder to fill, which becomes `target` when the block ends and vanishes if it fails.

    Args:
        target: must not exist, or be an empty folder.
        work: where to fill it, emptied first; by default a new place beside `target`.
        interchangeable: whether all who make `target` fill it alike, so that the folder of another
            process that was first is as good as this one.

    Raises:
        OSError: if it cannot be written, or if `target` is there and not empty.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if work is None:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    else:
        remove(work)
        work.mkdir(parents=True)
    try:
        yield work
        flush_tree(work)
        try:
            work.rename(target)
        except OSError:
            if not (interchangeable and target.is_dir()):
                raise
    finally:
        remove(work)


@contextmanager
def temporary_folder(prefix: str = "astrosearch-", parent: Path | None = None) -> Iterator[Path]:
    """A new folder, in `parent` or where the system has such, which goes when the block ends. Words
    may be opened in it, which `tempfile.TemporaryDirectory` does not always survive."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        remove(folder)


ATTEMPTS = 10
"""How often a folder is deleted in which files appear meanwhile."""


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there; of a link the link alone.

    Raises:
        OSError: if it cannot be deleted.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for is_last in (*[False] * (ATTEMPTS - 1), True):
        try:
            shutil.rmtree(path)
        except OSError as error:
            # Whoever opens words puts a lock beside them, once and perhaps late: a thread of the
            # engine does it.
            if is_last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


@contextmanager
def locked(lock_file: Path, busy: AstrosearchError, *, patience: float = 0) -> Iterator[None]:
    """Hold a lock, which ends with the process at the latest; its file stays.

    Args:
        patience: seconds to wait for it.

    Raises:
        AstrosearchError: `busy`, if it is held by another for longer.
    """
    import filelock

    lock = filelock.FileLock(lock_file)
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(target: Path, remains: Callable[[], str] = str) -> Iterator[None]:
    """A full disk, or a folder that may not be written to, as one line.

    Only writing belongs into the block: of anything else that is an `OSError`, as a lost
    connection, it would say the wrong thing.

    Args:
        remains: gives a clause for the end of the message.

    Raises:
        AstrosearchError: if the block cannot write, with the system's reason.
    """
    import sqlite3

    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or error  # without the number and the name
        raise AstrosearchError(f"cannot write {target} ({reason}){remains()}") from error

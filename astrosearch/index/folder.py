"""An index folder while it is built or removed: its lock, and the partial folder beside it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from astrosearch import atomic, paths
from astrosearch.encoders import consent
from astrosearch.errors import IndexBusy, InputError
from astrosearch.index.snapshot import is_unfinished

SHARDS = "shards"
"""The folder in a partial folder that holds vectors, a folder for each encoder."""

UPDATE = "update"
"""The folder in it where updates work, so that the shards of a stopped build stay as they are. It
has shards of its own."""

HARVEST = "harvest"
"""The folder in that with what has come from arXiv and is not in the index yet."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock under which an index is built, tuned or removed.

    Raises:
        IndexBusy: if another process holds it.
        AstrosearchError: if nothing may be written there.
    """
    lock_file = folder.with_name(f".{folder.name}.lock")
    busy = IndexBusy(
        f"index {folder.name} is being built by another process (it holds {lock_file}); wait for "
        "it, or stop it: what it encoded is kept"
    )
    with ExitStack() as stack:
        with atomic.writing(lock_file):
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(atomic.locked(lock_file, busy))
        yield


@contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """Where `folder` is built: empty but for the shards of a build that was stopped, and the folder
    of an update that was. It is left behind only if it holds such.

    Raises:
        InputError: if something else is in the place of the index.
        AstrosearchError: if it cannot be written.
    """
    _check_place(folder)
    partial = paths.partial_folder(folder)
    if partial.is_symlink():
        raise InputError(f"{partial} is a link: nothing is built through it; remove it first")
    with _work_folder(partial, SHARDS, UPDATE):
        yield partial


@contextmanager
def update_folder(folder: Path) -> Iterator[Path]:
    """Where `folder` is updated, in its partial folder: empty but for the shards of an update that
    was stopped, and what it had fetched. It goes when all is done.

    Raises:
        InputError: if something else is in the place of the index.
        AstrosearchError: if it cannot be written.
    """
    with partial_folder(folder) as partial, _work_folder(partial / UPDATE, SHARDS, HARVEST) as work:
        yield work
        with suppress(OSError):
            atomic.remove(work)


@contextmanager
def _work_folder(work: Path, *kept: str) -> Iterator[Path]:
    """A folder that has nothing but some folders at first, and is left only for these."""
    with writing(work):
        work.mkdir(exist_ok=True)
        for path in work.iterdir():
            if path.name not in kept or path.is_symlink():
                atomic.remove(path)
    try:
        yield work
    finally:
        if not _is_of_use(work) and not _is_of_use(work / UPDATE):
            with suppress(OSError):
                atomic.remove(work)


def _check_place(folder: Path) -> None:
    if folder.is_symlink():
        raise InputError(
            f"{folder} is a link: nothing is built in its place; remove it, or choose another name"
        )
    if folder.exists() and not (folder / paths.MANIFEST).exists() and not is_unfinished(folder):
        raise InputError(
            f"{folder} exists and is not an index (it has no {paths.MANIFEST}): remove it, or "
            "choose another name"
        )


def writing(partial: Path) -> AbstractContextManager[None]:
    """`atomic.writing` in a partial folder. It says what is kept, if anything is."""
    kept = "; what was encoded is kept, and the same build goes on from there"
    return atomic.writing(partial, lambda: kept if has_shards(partial) else "")


def has_shards(partial: Path) -> bool:
    """Whether a build of it would find vectors."""
    return any(partial.glob(f"{SHARDS}/*/*.npz"))


def _is_of_use(work: Path) -> bool:
    """Whether somebody would go on from what is in a folder."""
    return has_shards(work) or any(work.glob(f"{HARVEST}/*"))


def remove(folder: Path) -> None:
    """Delete an index and what is left of an unfinished build of it; of a link the link alone.

    Raises:
        IndexBusy: if it is being built.
        OSError: if it cannot be deleted.
    """
    with locked(folder):
        consent.forget(folder)
        for path in (folder, paths.partial_folder(folder)):
            atomic.remove(path)

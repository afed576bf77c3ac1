"""Snapshots: how a change becomes visible, and when the files of an earlier state may go.

manifest.json is the current snapshot, and `snapshot-N.json` is the same under its number. A reader
holds a shared lock on the latter for as long as it reads. Whoever changes the index writes new
files, replaces manifest.json, and then deletes the earlier snapshots that nobody holds, with the
files that no remaining snapshot names.
"""

import os
import re
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from astrosearch.atomic import flush_tree, remove, whole_file
from astrosearch.errors import IndexDamaged, NothingFound
from astrosearch.index.manifest import Manifest
from astrosearch.paths import MANIFEST

try:
    import fcntl
except ModuleNotFoundError:  # Windows: a file that is open cannot be deleted there
    fcntl = None  # type: ignore[assignment]

# A pipe in the place of a file would be waited for.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)

OLD_READERS = 3600
"""Seconds for which the files of an index of format 2 are kept after its first change: its readers
hold no lock."""

_SNAPSHOT = re.compile(r"snapshot-(\d{1,12})\.json")
_NEW = re.compile(
    r"(?:segment|words|citations)-\d{1,12}|\.(?:snapshot-\d{1,12}|manifest)\.json\.\d+\.tmp",
    re.ASCII,
)
"""Names, beside those of snapshots, that a change adds to an index folder."""
_OWN = re.compile(
    rf"{_NEW.pattern}|words|.*\.faiss(?:\.tmp)?|papers\.sqlite|vectors\.npy|rejected\.jsonl",
    re.ASCII,
)
"""Names in the folder of an index that are ours to delete, those of format 2 among them."""


def snapshot_file(folder: Path, number: int) -> Path:
    return folder / f"snapshot-{number}.json"


class Hold:
    """A snapshot that is being read: its files stay until `release`, or until this is dropped."""

    def __init__(self, manifest: Manifest, descriptor: int | None) -> None:
        self.manifest = manifest
        # One that is dropped without `release` holds nothing either.
        self._close = None if descriptor is None else weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        if self._close is not None:
            self._close()


def hold_current(folder: Path) -> Hold:
    """Read the current snapshot and keep its files from being deleted.

    Raises:
        IndexDamaged: as `Manifest.read`.
    """
    while True:
        manifest = Manifest.read_file(folder / MANIFEST)
        descriptor = _locked(snapshot_file(folder, manifest.snapshot))
        hold = Hold(manifest, descriptor)
        # If a later snapshot was published before the lock was held, files may be gone.
        if descriptor is not None or Manifest.read_file(folder / MANIFEST) == manifest:
            try:
                manifest.check_sizes(folder, manifest.files)
            except BaseException:
                hold.release()
                raise
            return hold


def hold_snapshot(folder: Path, number: int) -> Hold:
    """Keep the files of a snapshot from being deleted that somebody holds already.

    Raises:
        IndexDamaged: as `Manifest.read`.
        NothingFound: if there is no such snapshot any more.
    """
    file = snapshot_file(folder, number)
    descriptor = _locked(file)
    if descriptor is None:
        raise NothingFound(f"index {folder.name} has no snapshot {number} here any more")
    hold = Hold(Manifest.read_file(file), descriptor)
    try:
        hold.manifest.check_sizes(folder, hold.manifest.files)
    except BaseException:
        hold.release()
        raise
    return hold


@contextmanager
def holding(folder: Path) -> Iterator[Manifest]:
    """The current snapshot, whose files stay while the block runs.

    Raises:
        IndexDamaged: as `Manifest.read`.
    """
    hold = hold_current(folder)
    try:
        yield hold.manifest
    finally:
        hold.release()


def _locked(file: Path) -> int | None:
    """A descriptor of a file, with a shared lock; None if it is not there, or was deleted before
    the lock was held."""
    try:
        descriptor = os.open(file, _READ)
    except OSError:
        return None
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def next_number(folder: Path) -> int:
    """A number that no snapshot nor folder of its has, not even an abandoned one."""
    numbers = [
        int(match[1])
        for path in folder.iterdir()
        if (
            match := re.fullmatch(
                r"(?:snapshot|segment|words|citations)-(\d{1,12})(?:\.json)?", path.name
            )
        )
    ]
    return max(numbers, default=0) + 1


def is_unfinished(folder: Path) -> bool:
    """Whether a folder has nothing but what a build that was killed left there."""
    return all(
        _NEW.fullmatch(path.name) or _SNAPSHOT.fullmatch(path.name) for path in folder.iterdir()
    )


def publish(folder: Path, manifest: Manifest, fresh: Iterable[str]) -> None:
    """Make a snapshot the current one. Its files must be in `folder`.

    Args:
        fresh: the folders in it that are new.

    Raises:
        OSError: if it cannot be written.
    """
    for name in fresh:
        flush_tree(folder / name)
    if _is_of_old_format(folder):
        # For its readers, which may open its words later.
        with whole_file(snapshot_file(folder, 0)) as stream:
            stream.write((folder / MANIFEST).read_bytes())
    manifest.write(snapshot_file(folder, manifest.snapshot))
    manifest.write(folder / MANIFEST)


def _is_of_old_format(folder: Path) -> bool:
    """Whether a sound manifest of format 2 is in a folder."""
    try:
        return Manifest.read_file(folder / MANIFEST).snapshot == 0
    except IndexDamaged:
        return False


def collect_garbage(folder: Path) -> None:
    """Delete what no snapshot that is current or held names. Only whoever holds the index's lock
    may do this. What cannot be deleted stays for the next time."""
    current: int | None = None
    named: set[str] = set()
    if not folder.is_dir():
        return
    if (folder / MANIFEST).exists():
        try:
            manifest = Manifest.read_file(folder / MANIFEST)
        except IndexDamaged:
            return
        current, named = manifest.snapshot, _names(manifest)
    for file in folder.glob("snapshot-*.json"):
        match = _SNAPSHOT.fullmatch(file.name)
        if not match or int(match[1]) == current:
            continue
        with _unheld(file) as is_unheld:
            if is_unheld:
                with suppress(OSError):
                    file.unlink()
                    continue
        with suppress(IndexDamaged):
            named |= _names(Manifest.read_file(file))
    for path in folder.iterdir():
        if path.name in named or not _OWN.fullmatch(path.name):
            continue
        with suppress(OSError):
            remove(path)
    for path in folder.glob("segment*/*"):
        if f"{path.parent.name}/{path.name}" not in named:
            with suppress(OSError):
                remove(path)


def _names(manifest: Manifest) -> set[str]:
    """The files of a snapshot and their folders."""
    return {*manifest.files, *(name.partition("/")[0] for name in manifest.files)}


@contextmanager
def _unheld(file: Path) -> Iterator[bool]:
    """Whether nobody reads a snapshot; while the block runs nobody can begin to."""
    if file.name == snapshot_file(file.parent, 0).name:
        yield time.time() - file.stat().st_mtime > OLD_READERS
        return
    try:
        descriptor = os.open(file, _READ)
    except OSError:  # of another user
        yield False
        return
    try:
        yield _is_unlocked(descriptor)
    finally:
        os.close(descriptor)


def _is_unlocked(descriptor: int) -> bool:
    """Whether an exclusive lock on a file was to be had; it then holds."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True

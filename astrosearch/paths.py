"""Where things are on this machine.

Indexes: `$ASTROSEARCH_HOME/indexes` if that variable is set; else `./indexes` if the working folder
is a checkout of this project; else the platform's data folder. Converted models: the platform's
cache folder, wherever the indexes are.
"""

import os
import re
from pathlib import Path

from astrosearch import atomic
from astrosearch.errors import IndexMissing, InputError

MANIFEST = "manifest.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("astrosearch", appauthor=False))


def model_folder(name: str) -> Path:
    """Where converted weights are kept in the user's cache."""
    return cache_folder() / "models" / name


def indexes_folder() -> Path:
    here = Path.cwd()
    in_checkout = (here / "indexes" / "README.md").exists() and (here / "astrosearch").is_dir()
    if in_checkout and not os.environ.get("ASTROSEARCH_HOME"):
        return here / "indexes"
    return _data_folder() / "indexes"


def library_folder() -> Path:
    """The user's own papers: `astrosearch.library`."""
    return _data_folder() / "library"


def citations_folder() -> Path:
    """What services of citations answered: `astrosearch.citations.fetch`."""
    return _data_folder() / "citations"


def history_file() -> Path:
    """Lines that were typed into the shell."""
    return _data_folder() / "history"


def last_answer_file() -> Path:
    """The identifiers of the last answer, for the Tab key of a shell."""
    return _data_folder() / "last-answer"


def consent_file() -> Path:
    """What the user agreed to send elsewhere: `astrosearch.encoders.consent`."""
    return _config_folder() / "consent.json"


def config_file() -> Path:
    """The user's settings: `astrosearch.config`."""
    return _config_folder() / "config.toml"


def _config_folder() -> Path:
    import platformdirs

    return platformdirs.user_config_path("astrosearch", appauthor=False)


def _data_folder() -> Path:
    if home := os.environ.get("ASTROSEARCH_HOME"):
        try:
            return Path(home).expanduser()
        except RuntimeError as error:
            raise InputError(f"ASTROSEARCH_HOME is {home!r}: {error}") from None
    import platformdirs

    return Path(platformdirs.user_data_dir("astrosearch", appauthor=False))


def index_folder(name: str) -> Path:
    """The folder of an index, whether or not it exists yet.

    Raises:
        InputError: if `name` cannot be a folder's name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an index: use up to 100 letters, digits, '.', '_' and '-'"
        )
    return indexes_folder() / name


def partial_folder(folder: Path) -> Path:
    """Where an index is built before it is published."""
    return atomic.partial_path(folder)


def index_names() -> list[str]:
    """Names of the whole indexes on this machine, the one built last first."""
    root = indexes_folder()
    if not root.is_dir():
        return []
    built = [
        ((folder / MANIFEST).stat().st_mtime, folder.name)
        for folder in root.iterdir()
        if _NAME.fullmatch(folder.name) and (folder / MANIFEST).exists()
    ]
    return [name for _, name in sorted(built, reverse=True)]


def existing_index(name: str | None) -> Path:
    """The folder of index `name`; without a name, of the index built last.

    Raises:
        IndexMissing: if there is none.
    """
    if name is None:
        names = index_names()
        if not names:
            raise IndexMissing(f"there is no index in {indexes_folder()} yet", remedy="build")
        return index_folder(names[0])
    folder = index_folder(name)
    if not (folder / MANIFEST).exists():
        known = ", ".join(index_names())
        known = f"; there are: {known}" if known else ""
        begun = " (a build of it was begun)" if partial_folder(folder).exists() else ""
        raise IndexMissing(
            f"there is no index {name!r} in {indexes_folder()}{begun}{known}",
            remedy="build",
        )
    return folder

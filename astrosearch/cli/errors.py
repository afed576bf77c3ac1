"""What an error becomes on the command line: a line, with the command that mends it, and an exit
code.

The library's errors carry facts and the name of a remedy (`astrosearch.errors.Remedy`); only here
does a remedy become a command.
"""

import errno
import os
from typing import NamedTuple

import click

from astrosearch.cli.console import OutputLost
from astrosearch.errors import AstrosearchError

REMEDIES: dict[str, str] = {
    "build": "build it: astrosearch index {index} --corpus FILE",
    "build-again": "build it again: astrosearch index {index}",
    "fewer-sentences": "give fewer sentences (-k), or fewer --max-new-tokens",
    "fewer-tokens": "shorten the beginning, or give fewer --max-new-tokens",
    "import-citations": "import them: astrosearch citations import FILE --index {index}",
    "less-memory": "give fewer sources (-k), or --quantize 4bit",
    "list-models": "the known ones: astrosearch models",
    "map": "draw it: astrosearch map {index}",
    "map-again": "draw it again: astrosearch map {index} --again",
    "smaller-batches": "try a smaller --batch-tokens",
    "tune": "change how it is searched: astrosearch indexes tune {index}",
    "ungrounded": "--no-grounding continues it without sources",
}
"""By `Remedy`; {index} is the name of the index that the command was about."""

_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What the system says of files that may not be read or written, or have gone meanwhile."""

_NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What it says where writing fails for a reason outside the program."""


LONGEST_LINE = 1_000
"""Characters of an error's text that are shown."""

LEAST_MEMORY = 1_200_000_000
"""Bytes of address space below which numpy's threads or the full-text engine end the process."""


class Ending(NamedTuple):
    """How a command ends."""

    line: str
    """For standard error; empty if there is nothing to say."""
    exit_code: int
    output_lost: bool = False
    """Whether standard output cannot be written to any more."""


def ending(error: BaseException, index: str | None = None) -> Ending | None:
    """The line and exit code of an error; None for a bug, which keeps its traceback.

    Args:
        index: the index that the command was about, to be named in the remedy.
    """
    if isinstance(error, AstrosearchError):
        return Ending(with_remedy(error, index), error.exit_code)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return None  # click writes the help
    if isinstance(error, click.UsageError):
        return Ending(_usage(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt | click.Abort):  # click's is Ctrl-C at a question
        return Ending(f"stopped. {error}".rstrip(), 130)
    if isinstance(error, BrokenPipeError):
        return Ending("", 0, output_lost=True)  # the reader (head, less) has seen enough
    if isinstance(error, OSError):
        return _of_the_system(error)
    if _is_of_memory(error):
        return Ending(f"there is too little memory{_memory_limit()}", 1)
    return None


def _is_of_memory(error: BaseException) -> bool:
    """Whether memory does not suffice, also for a library of a package that is being imported."""
    said = str(error).lower()
    is_import = isinstance(error, ImportError) and (
        "failed to map segment" in said or "cannot allocate memory" in said
    )
    return isinstance(error, MemoryError) or is_import


def check_memory() -> None:
    """
    Raises:
        AstrosearchError: if this process may take less memory than its libraries reserve, which
            end it without a word then.
    """
    if limit := _memory_limit(LEAST_MEMORY):
        raise AstrosearchError(f"there is too little memory{limit}")


def _memory_limit(least: int | None = None) -> str:
    """How the memory of this process is limited; empty if it is not, or not below `least`."""
    try:
        import resource
    except ImportError:  # on Windows
        return ""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or (least is not None and limit >= least):
        return ""
    return f": this process may take {limit / 1e6:,.0f} MB (ulimit -v)"


def _usage(error: click.UsageError) -> str:
    """What is wrong with the arguments, in one line that ends with the next step."""
    text = _shortened(" ".join(error.format_message().split()).rstrip("."))
    if text.endswith("?") or "astrosearch " in text or error.ctx is None:
        return text
    return f"{text}; for help: {error.ctx.command_path} --help"


def with_remedy(error: AstrosearchError, index: str | None = None) -> str:
    """`index main has no manifest.json; build it again: astrosearch index main`

    Args:
        index: None means the one built last.
    """
    words = REMEDIES.get(error.remedy, "")
    if error.remedy == "build" and index is None:
        words = "build one: astrosearch index"
    if "{index}" in words:
        words = words.format(index=index or _built_last())
    return "; ".join(filter(None, (_shortened(str(error)), words)))


def _shortened(text: str) -> str:
    """A text whose middle is left out where it quotes pages of input.

    >>> _shortened("x" * 5_000).count("x")
    1000
    """
    if len(text) <= LONGEST_LINE:
        return text
    half = LONGEST_LINE // 2
    return f"{text[:half]} … {text[-half:]}"


def _built_last() -> str:
    from astrosearch import paths

    return next(iter(paths.index_names()), "NAME")


def _of_the_system(error: OSError) -> Ending | None:
    if isinstance(error, OutputLost):
        closed = error.errno == errno.EBADF
        why = "standard output is closed" if closed else error.strerror
        return Ending(f"the answer cannot be written: {why}", 1, output_lost=True)
    if error.filename is not None and error.errno in _NO_ACCESS + _NO_WRITING:
        return Ending(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}", 1)
    if error.errno == errno.EBADF:
        return Ending("standard input is closed", 1)
    if error.errno in _NO_WRITING:
        return Ending(f"a file cannot be written: {error.strerror}", 1)
    return None

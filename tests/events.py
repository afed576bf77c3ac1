"""What Python is about to do, as audit hooks tell it: so a test acts at one certain moment."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_watching: list[Callable[[str, tuple[Any, ...]], None]] = []


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in _watching.copy():
        watch(event, arguments)


sys.addaudithook(_tell)  # which stays for good


@contextmanager
def just_before(event: str, argument: object, act: Callable[[], object]) -> Iterator[None]:
    """Act once, just before the first event of a name (`os.rename`) whose first argument is as
    given."""

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        if name == event and str(arguments[0]) == str(argument):
            _watching.remove(watch)
            act()

    _watching.append(watch)
    try:
        yield
        assert watch not in _watching, f"{event} {argument} has not come"
    finally:
        _watching[:] = [one for one in _watching if one is not watch]


_SIGNALLED = """
import os, sys
shard, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))

def count(event, arguments):
    global shard
    if event == "os.rename" and str(arguments[1]).endswith(".npz"):
        shard -= 1
        if not shard:
            os.kill(os.getpid(), number)

sys.addaudithook(count)
from astrosearch.cli import main
main(prog_name="astrosearch")
"""


def signalled_at_shard(shard: int, number: signal.Signals, *arguments: object) -> list[str]:
    """A command line of astrosearch that gets a signal when it is about to put its shard of that
    number, from 1 on, into place."""
    numbers = map(str, (shard, int(number)))
    return [sys.executable, "-c", _SIGNALLED, *numbers, *map(str, arguments)]

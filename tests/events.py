"""What Python is about to do, as audit hooks tell it: so a test acts at one certain moment."""

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

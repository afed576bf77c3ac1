"""Reporters for tests: one keeps the lines it is told, one watches progress."""

from collections.abc import Callable

from astrosearch.report import Reporter


class Lines(list[str], Reporter):
    """The lines it was told; it agrees to every cost."""

    def notify(self, line: str) -> None:
        self.append(line)

    def confirm(self, cost: object) -> bool:
        self.notify(f"Sending {cost}")
        return True


class Watch(Reporter):
    """Calls a function at every step of a task, with how much is done and how much there is."""

    def __init__(self, step: Callable[[int, int], None]) -> None:
        self._step = step

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        self._step(done, total)


class Stopped(Exception):
    """A build was stopped by its reporter."""


class StopAfter(Reporter):
    """Stops the encoding after some shards, and keeps how many texts were encoded."""

    def __init__(self, shards: int) -> None:
        self._left = shards
        self.encoded = 0

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        self.encoded = done
        self._left -= 1
        if not self._left:
            raise Stopped

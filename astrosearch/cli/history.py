"""The lines that were typed into the shell or asked in the full-screen reader, in one file."""

from collections import deque

from astrosearch import paths

REMEMBERED = 1_000
"""Lines of earlier sessions that can be gone back to."""


def earlier() -> list[str]:
    """The last lines, the oldest first."""
    try:
        with paths.history_file().open(encoding="utf-8", errors="replace") as stream:
            return [line.rstrip("\n") for line in deque(stream, maxlen=REMEMBERED)]
    except OSError:
        return []


def remember(line: str) -> None:
    """
    Raises:
        OSError: if it cannot be written.
    """
    file = paths.history_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)  # queries are private
    with file.open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(line + "\n")

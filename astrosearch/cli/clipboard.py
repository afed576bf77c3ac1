"""The clipboard: the platform's own, by the program that sets it, and that of the terminal, which
also works over SSH (OSC 52, https://invisible-island.net/xterm/ctlseqs/ctlseqs.html)."""

import base64
import os
import shutil
import subprocess

PROGRAMS = (
    ("", ("pbcopy",)),
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)
"""What sets the platform's clipboard, and the environment variable without which it cannot."""

SECONDS = 5
"""That a program may take."""


def copy(text: str) -> None:
    """
    Raises:
        SetupError: if there is no clipboard.
    """
    of_platform, of_terminal = to_platform(text), to_terminal(text)
    if not (of_platform or of_terminal):
        from astrosearch.errors import SetupError

        names = ", ".join(program for _, (program, *_) in PROGRAMS)
        raise SetupError(
            f"there is no clipboard: no terminal that has one, and none of {names} could be used"
        )


def to_platform(text: str) -> bool:
    """Whether the platform has a clipboard, which now holds the text."""
    for variable, (program, *arguments) in PROGRAMS:
        path = shutil.which(program)
        if path is None or (variable and not os.environ.get(variable)):
            continue
        try:
            done = subprocess.run(
                [path, *arguments],
                input=text.encode(),
                stdout=subprocess.DEVNULL,  # xclip stays, and would keep a pipe open
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_CTYPE": "UTF-8"} if program == "pbcopy" else None,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return True
    return False


def to_terminal(text: str) -> bool:
    """Whether there is a terminal that may have a clipboard; it was told to hold the text."""
    if os.environ.get("TERM", "") in ("", "dumb", "linux"):  # they would show what they are told
        return False
    try:
        with open("/dev/tty", "wb", buffering=0) as terminal:  # noqa: PTH123  unbuffered
            terminal.write(b"\x1b]52;c;" + base64.b64encode(text.encode()) + b"\a")
    except OSError:
        return False
    return True

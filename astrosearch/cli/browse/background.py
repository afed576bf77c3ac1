"""Whether the terminal has a light background, by its own answer.

OSC 11 asks for the colour of the background (xterm's control sequences,
https://invisible-island.net/xterm/ctlseqs/ctlseqs.html). A terminal that does not know it says
nothing, so DA1, which all terminals answer, is asked behind it: its answer ends the wait.
"""

import os
import re
import select
import sys
import time

PATIENCE = 0.5
"""Seconds to wait for a terminal, as one behind a slow line, that answers nothing at all."""

_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")
_DA1 = re.compile(rb"\x1b\[\?[\d;]*c")


def is_light() -> bool:
    """False where the terminal does not say."""
    told = os.environ.get("COLORFGBG", "").rpartition(";")[2]  # as rxvt and Konsole set it
    if told.isdecimal():
        return int(told) in (7, *range(9, 16))
    if os.environ.get("TERM") == "linux":
        return False  # the console of Linux is dark, and old ones print what they do not know
    return light_in(_answer())


def light_in(answer: bytes) -> bool:
    """Whether the colour in a terminal's answer is nearer to white than to black.

    >>> light_in(b"\\x1b]11;rgb:ffff/ffff/eeee\\x07"), light_in(b"\\x1b[?62c")
    (True, False)
    """
    match = _COLOUR.search(answer)
    if match is None:
        return False
    red, green, blue = (int(part, 16) / (16.0 ** len(part) - 1) for part in match.groups())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)


def _answer() -> bytes:
    """What the terminal says of its background; empty if it cannot be asked."""
    try:
        import termios
        import tty
    except ImportError:  # on Windows
        return b""
    source = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(source)
    except termios.error:
        return b""
    answer = b""
    try:
        tty.setcbreak(source)
        os.write(sys.stderr.fileno(), b"\x1b]11;?\x1b\\\x1b[c")
        end = time.monotonic() + PATIENCE
        while not _DA1.search(answer) and (left := end - time.monotonic()) > 0:
            if select.select([source], [], [], left)[0]:
                piece = os.read(source, 1024)
                if not piece:
                    break
                answer += piece
    except OSError:  # a terminal that has gone
        return b""
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
    return answer

"""The keyboard of a terminal that does not send UTF-8."""

import codecs
from functools import partial

from textual.drivers import linux_driver


def take_any_bytes() -> None:
    """Let textual take what is not UTF-8, as é in a terminal of Latin-1, for U+FFFD: its decoder is
    strict, and the first such byte would end the reader with a traceback."""
    decoder = codecs.getincrementaldecoder("utf-8")
    vars(linux_driver)["getincrementaldecoder"] = lambda _: partial(decoder, errors="replace")

"""What the terminal is told: announcements of long work, questions, nothing that steers it."""

import codecs
import io
import re
import time
from contextlib import redirect_stderr

import pytest

from astrosearch.cli import console


def test_long_work_is_announced_once_its_speed_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    terminal = console.Terminal(resume="astrosearch index held")
    for seconds, done in ((0, 64), (0.9, 500), (2, 704), (3, 1_100)):
        clock[0] = 100.0 + seconds
        terminal.progress("Encoding", done, 100_704, "3,200 tokens/s")
        if seconds < 1:
            assert not capsys.readouterr().err
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "Encoding: 100,000 left, 320.0/s, 3,200 tokens/s, about 5 min. You may stop it at any "
        "time; to go on: astrosearch index held"
    )


def test_short_work_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = console.Terminal()
    for done in range(1, 101):
        terminal.progress("Encoding", done, 100)
    assert not capsys.readouterr().err


def test_no_line_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.notify("a\x1b]0;title\x07b\x9b2Jc\u202ed\te\rf")
    assert capsys.readouterr().err == "a]0;titleb2Jcd\tef\n"


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """A terminal of 40 columns, to be put in the place of standard error."""
    for name, value in (("COLUMNS", "40"), ("LINES", "20"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Tty()


def test_on_a_terminal_lines_break_between_words_and_never_in_a_path(tty: Tty) -> None:
    path = "/home/somebody/papers/of-a-long-name/index"
    with redirect_stderr(tty):
        console.notify(f"The words of a line that goes on and on, beyond {path}, wrap.\n  A hint.")
    assert tty.getvalue().splitlines() == [
        "The words of a line that goes on and on,",
        "beyond",
        f"{path},",
        "wrap.",
        "  A hint.",
    ]


def test_down_a_pipe_a_line_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    console.notify("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "in_ascii"),
    [
        ("Tétlás — Hα, 3 ♃", "Tetlas - Halpha, 3 ?"),
        ("Łódź, Þór, Ærø, Straße, ħ", "Lodz, Thor, AEro, Strasse, h"),
        ("Λ ς ΐ ϵ µ", "Lambda sigma iota epsilon mu"),
        ("z ≲ 3 ≥ 1 ± 0.5°, 10⁻³, ½", "z <~ 3 >= 1 +- 0.5deg, 10-3, 1/2"),
        ("a\u200bb \ud800 中 “x”…", 'ab ? ? "x"...'),
    ],
)
def test_what_ascii_lacks_is_written_in_letters_that_it_has(text: str, in_ascii: str) -> None:
    codecs.register_error("in letters", console._transliterate)
    assert text.encode("ascii", "in letters").decode() == in_ascii


_ERASED = "\x1b[1A\x1b[2K"  # one line up, and blank


def test_a_bar_vanishes_at_the_end_of_its_task(tty: Tty) -> None:
    with redirect_stderr(tty):
        terminal = console.Terminal()
        for done in (0, 1344, 1500):
            terminal.progress("Encoding", done, 1500)
        assert "0/1500" in tty.getvalue()
        assert tty.getvalue().endswith(_ERASED)
        terminal.progress("Reading", 0, 3)
        console.close()
    assert tty.getvalue().endswith(_ERASED)


def test_a_line_stands_above_the_bar_that_goes_on(tty: Tty) -> None:
    with redirect_stderr(tty):
        terminal = console.Terminal()
        terminal.progress("Encoding", 5, 10)
        terminal.notify("a line of its own")
        terminal.progress("Encoding", 10, 10)
    assert re.search(r"\x1b\[2Ka line of its own\n.*Encoding", tty.getvalue())

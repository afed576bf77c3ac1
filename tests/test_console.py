"""What the terminal is told: announcements of long work, questions, nothing that steers it."""

import time

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
        "Encoding: 100,000 left, 320.0/s, 3,200 tokens/s, about 5 min. It may be stopped at any "
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

"""The full-screen reader as a whole process in a terminal: its start, and answers while one types.

Start is from the start of the process until the first screen is drawn, and until the newest papers
are listed on it; the terminal says at once that it is dark. The files are in the system's cache,
and modules are compiled. Then questions, which are the first words of titles of the index, are
typed. A keystroke is timed until the last byte that the reader draws for it, the papers and the
abstract of the new answer among them; the next one comes half a second after it. Processor time is
that of all threads of the reader (Linux): until the first screen there is only one, so that it is
the time of the clock on an idle machine.

    python -m tests.benchmarks.browse INDEX --times 10 --questions 5
"""

import argparse
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np

from astrosearch.search.searcher import open_index
from astrosearch.text.tex import to_unicode

PATIENCE = 0.4
"""Seconds for which a keystroke's drawing is watched: the cursor blinks after half a second."""


class Reader:
    """`astrosearch browse` in a terminal of 100 columns and 30 rows."""

    def __init__(self, index: str) -> None:
        self._fd, slave = pty.openpty()
        termios.tcsetwinsize(slave, (30, 100))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("COLORFGBG", None)
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "astrosearch", "browse", "--index", index],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self._drawn = b""

    def seconds_until(self, text: bytes) -> float:
        """Seconds from the start of the process until it draws a text."""
        is_asked = False
        while text not in self._drawn:
            self._drawn += os.read(self._fd, 65536)
            if not is_asked and b"\x1b[c" in self._drawn:
                is_asked = True
                os.write(self._fd, b"\x1b]11;rgb:0000/0000/0000\x07\x1b[?62c")
        return time.perf_counter() - self._began

    @property
    def processor_seconds(self) -> float:
        """The processor time that the process has taken."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime

    def seconds_of_key(self, key: bytes) -> float:
        """Seconds from a key until the last of what is drawn for it."""
        began = last = time.perf_counter()
        os.write(self._fd, key)
        while (left := began + PATIENCE - time.perf_counter()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                os.read(self._fd, 65536)
                last = time.perf_counter()
        time.sleep(0.1)
        return last - began

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._fd)


def questions(index: str, count: int) -> list[str]:
    """The first three words of titles, without signs."""
    with open_index(index) as searcher:
        titles = [to_unicode(paper.title) for paper in searcher.index.corpus]
    chosen = np.linspace(0, len(titles) - 1, count).astype(int)
    clean = (
        "".join(sign for sign in titles[row] if sign.isalnum() or sign == " ") for row in chosen
    )
    return [" ".join(title.split()[:3]).lower() for title in clean]


def told(name: str, seconds: list[float]) -> str:
    middle, most = np.percentile(seconds, [50, 95])
    return f"{name:<34}{1000 * middle:>6.0f} ms{1000 * most:>8.0f} ms{1000 * max(seconds):>8.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--questions", type=int, default=5)
    arguments = parser.parse_args()

    screens, answers, keys, processor = [], [], [], []
    for number in range(arguments.times + 1):
        reader = Reader(arguments.index)
        screen, used = reader.seconds_until(b"Opening index"), reader.processor_seconds
        answer = reader.seconds_until(b" ms")
        if number:  # the first one compiles modules, and reads files that are not cached
            screens.append(screen)
            processor.append(used)
            answers.append(answer)
        if number == arguments.times:
            used = reader.processor_seconds
            for question in questions(arguments.index, arguments.questions):
                keys += [reader.seconds_of_key(letter.encode()) for letter in question]
                reader.seconds_of_key(b"\x15")  # deletes the line
            used = reader.processor_seconds - used
        reader.close()
    print(f"{'':<34}{'median':>9}{'p95':>11}{'most':>11}")
    print(told(f"first screen, {len(screens)} starts", screens))
    print(told("its processor time", processor))
    print(told("newest papers listed", answers))
    print(told(f"keystroke to answer, {len(keys)} keys", keys))
    each = 1000 * used / (len(keys) + arguments.questions)
    print(f"processor time of a keystroke, the blinking of the cursor included: {each:.0f} ms")


if __name__ == "__main__":
    main()

"""What a search has to say while the screen is the reader's: notices, progress, a question."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from astrosearch.cli.console import Terminal, harmless

if TYPE_CHECKING:
    from astrosearch.cli.browse.app import Browser


class ScreenReporter(Terminal):
    """Speaks on the screen while a reader runs, before and after that on the terminal."""

    def __init__(self, *, yes: bool = False) -> None:
        super().__init__(yes=yes)
        self._agrees = yes
        self._browser: Browser | None = None

    def attach(self, browser: "Browser") -> None:
        self._browser = browser

    def notify(self, line: str) -> None:
        if browser := self._running():
            _show(browser, browser.say, harmless(line))
        else:
            super().notify(line)

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        if browser := self._running():
            text = "" if done >= total else f"{harmless(task)}: {done:,} of {total:,} {detail}"
            _show(browser, browser.show_status, text)
        else:
            super().progress(task, done, total, detail)

    def confirm(self, cost: object) -> bool:
        browser = self._running()
        if browser is None or self._agrees:
            return super().confirm(cost)
        ask: Any = browser.confirm
        return bool(browser.call_from_thread(ask, harmless(str(cost))))

    def _running(self) -> "Browser | None":
        return self._browser if self._browser and self._browser.is_running else None


def _show(browser: "Browser", show: Callable[[str], None], text: str) -> None:
    """Have a text shown, from the thread of the interface or from any other."""
    if threading.current_thread() is threading.main_thread():
        show(text)
    else:
        browser.call_from_thread(show, text)

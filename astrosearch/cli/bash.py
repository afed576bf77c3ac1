"""Completion in bash where words have colons or spaces, as `tag:jets` and `wu:2011`.

Bash takes a colon for a word of its own, `tag`, `:`, `j`, and completes what stands behind it.
"""

import os
import re
from typing import Any

from click.shell_completion import BashComplete, CompletionItem
from click.shell_completion import split_arg_string as split


class ColonBash(BashComplete):
    _behind = 0
    """Characters of the word that bash takes for other words."""

    def get_completion_args(self) -> tuple[list[str], str]:
        number = int(os.environ["COMP_CWORD"])
        parts = [*split(os.environ["COMP_WORDS"]), ""][: number + 1]
        words: list[str] = []
        goes_on = False
        for part in parts:
            is_colon = set(part) == {":"}
            if words and (goes_on or is_colon):
                words[-1] += part
            else:
                words.append(part)
            goes_on = is_colon
        *before, last = words
        self._behind = 0 if last == parts[-1] else last.rfind(":") + 1
        return before[1:], last

    def format_completion(self, item: "CompletionItem[Any]") -> str:
        # Two backslashes: the script's `read` takes one away.
        value = re.sub(r"([^\w@%+=:,./-])", r"\\\\\1", str(item.value)[self._behind :])
        return f"{item.type},{value}"

"""The user's settings: `config.toml` in the platform's config folder.

    index = "astro"
    count = 20

    [follow]
    authors = ["Riess, A"]
    keywords = ["TRGB"]

An option on the command line wins over an environment variable, which wins over this file.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrosearch import paths
from astrosearch.errors import InputError

FIELDS = ("id", "year", "author", "title", "categories")
"""What a table of papers may show."""

CHOICES = {
    "mode": ("hybrid", "dense", "lexical"),
    "format": (
        "table",
        "json",
        "jsonl",
        "csv",
        "bibtex",
        "ris",
        "csl-json",
        "markdown",
        "ids",
    ),
    "sort": ("match", "date", "citations"),
    "key": ("bibcode", "author-year"),
}

TEMPLATE = """\
# Settings of astrosearch. An option on the command line wins over an environment variable, which
# wins over this file. Take the # away to set one.

# index = "astro"                # the index to search
# count = 10                     # how many papers to show (-k)
# mode = "hybrid"                # or "dense", "lexical"
# sort = "match"                 # or "date", "citations"
# format = "table"               # or "json", "jsonl", "csv", "bibtex", "ris", "csl-json",
                                 # "markdown", "ids"
# key = "bibcode"                # or "author-year"
# columns = ["id", "year", "author", "title", "categories"]    # of a wide table

[follow]
# Papers by these authors, and with these words, come first in `astrosearch new`.
# authors = ["Riess, A", "Leavitt, H S"]
# keywords = ["TRGB", "tip of the red giant branch"]
"""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings; None where the file does not say."""

    index: str | None = None
    count: int | None = None
    mode: str | None = None
    format: str | None = None
    sort: str | None = None
    key: str | None = None
    columns: tuple[str, ...] | None = None
    authors: tuple[str, ...] = ()
    """Whose papers come first in `astrosearch new`."""
    keywords: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=(), compare=False)
    """What in the file cannot be used, each with the line."""


def read_config(file: Path | None = None) -> Config:
    """The settings of this machine.

    Args:
        file: by default that of the user; it need not exist.

    Raises:
        InputError: if it is not TOML.
    """
    file = file or paths.config_file()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Config()
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8: save the file in this encoding") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    return parse_config(text, file)


def parse_config(text: str, file: Path) -> Config:
    """
    Raises:
        InputError: if it is not TOML.
    """
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        raise InputError(f"{file} cannot be read: {message[:1].lower()}{message[1:]}") from None
    values: dict[str, Any] = {}
    problems = []
    follow = document.pop("follow", {})
    if not isinstance(follow, dict):
        problems.append(f"{file} line {_line(text, 'follow')}: follow is not a table: [follow]")
        follow = {}
    for place, table, allowed in (
        ("", document, set(Config.__slots__) - {"authors", "keywords", "problems"}),
        ("follow.", follow, {"authors", "keywords"}),
    ):
        for name, value in table.items():
            setting = "count" if name == "k" else name  # as the option is called
            reason = _reason(setting, value) if setting in allowed else "has no meaning here"
            if reason:
                problems.append(f"{file} line {_line(text, name)}: {place}{name} {reason}")
            else:
                values[setting] = tuple(value) if isinstance(value, list) else value
    return Config(**values, problems=tuple(problems))


def _reason(name: str, value: object) -> str:
    """Why a setting cannot have a value, in a clause; empty if it can."""
    if name in CHOICES:
        choices = CHOICES[name]
        return "" if value in choices else f"is none of {', '.join(choices)}"
    if name == "count":
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return "" if is_count else "is not a whole number from 1 up"
    if name in ("authors", "keywords", "columns"):
        if not isinstance(value, list) or not all(
            isinstance(text, str) and text.strip() for text in value
        ):
            return 'is not a list of texts: ["…", "…"]'
        if name == "columns" and not (value and set(value) <= set(FIELDS)):
            return f"may have {', '.join(FIELDS)}"
        return ""
    return "" if isinstance(value, str) and value else "is not a text in quotes"


def _line(text: str, name: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*\[?[\"']?{re.escape(name)}\b", line):
            return number
    return 1

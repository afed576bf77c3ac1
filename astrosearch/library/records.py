"""Records of other programs, written as BibTeX entries."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from astrosearch.library import marks
from astrosearch.library.marks import Marks
from astrosearch.text.authors import is_group
from astrosearch.text.bibcode import ascii_letters
from astrosearch.text.latex import to_latex
from astrosearch.text.markup import without_markup

VERBATIM = frozenset("doi url eprint file".split())
"""Fields in which TeX's signs stand for themselves."""


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in BibTeX, and what the user thinks of the paper."""

    raw: str
    marks: Marks = marks.NONE


def entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    """The text of an entry; empty fields are left out.

    Args:
        fields: values by name, in Unicode without TeX.
    """
    lines = [
        f"  {name} = {{{_value(name, value)}}}," for name, value in fields.items() if value.strip()
    ]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _value(name: str, value: str) -> str:
    value = " ".join(value.split())
    if name in VERBATIM:
        return re.sub(r"[{}\\]", "", value)
    if name in ("author", "editor"):
        return value  # each name was written by `person`
    return to_latex(without_markup(value))


def person(family: str, given: str = "", suffix: str = "") -> str:
    """A name as BibTeX takes it: `{van der Berg}, Ann`."""
    family, given, suffix = (
        to_latex(part.replace(",", " ").strip()) for part in (family, given, suffix)
    )
    if not given or is_group(family):
        return f"{{{' '.join(filter(None, (given, family)))}}}"
    return ", ".join(filter(None, (f"{{{family}}}", suffix, given)))


def people(names: Iterable[str]) -> str:
    return " and ".join(name for name in names if name != "{}")


def author_and_year(family: str, year: str) -> str:
    """A key: `Riess2019`."""
    return f"{ascii_letters(family) or 'paper'}{year}"

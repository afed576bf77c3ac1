"""Names of authors: taken from a list, split into parts, and matched.

A corpus stores the words of its authors' names (`author_words`), a filter searches them for one
author (`names_author`), and BibTeX needs the parts of a name (`split_name`).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from astrosearch.text.tables import ACCENT_LETTERS, COMBINING_ACCENTS, LETTERS

GROUP = re.compile(
    r"\b(collaborations?|consortium|team|group|project|survey|network|observatory|members)\b",
    re.IGNORECASE,
)
"""Words that occur in the names of collaborations, and not in those of persons."""

_SUFFIXES = frozenset("Jr Jr. Sr Sr. II III IV".split())
_PARTICLES = frozenset(
    """af al da dal de degli dei del della den der des di do dos du el in la las le les lo los ten
    ter van von vom zu zum zur 't""".split()
)


class Name(NamedTuple):
    """The parts of a name; each is empty if the name lacks it."""

    given: str
    family: str
    """With its particles: `van der Berg`. All of a collaboration's name."""
    suffix: str
    """`Jr`, `III`."""


def family_name(name: str) -> str:
    """The family name with its particles, or the whole name of a collaboration.

    >>> family_name("Maartje van der Berg"), family_name("Lighthouse Collaboration")
    ('van der Berg', 'Lighthouse Collaboration')
    """
    return split_name(name).family


def split_name(name: str) -> Name:
    """The parts of a name, in which the given name is first or follows a comma.

    >>> split_name("Sam van Poe Jr.")
    Name(given='Sam', family='van Poe', suffix='Jr.')
    """
    words = name.replace("~", " ").split()
    if "," in name:  # already "Family, Given"
        family, _, given = name.partition(",")
        return Name(given.strip(), family.strip(), "")
    if GROUP.search(name):
        return Name("", " ".join(words), "")
    suffix = words.pop() if len(words) > 1 and words[-1] in _SUFFIXES else ""
    first = len(words) - 1
    while first > 0 and words[first - 1].lower() in _PARTICLES:
        # "Di Wang" and "Le Thi Hoa" begin with a given name, "van Dyk" does not.
        if first == 1 and not words[0].islower():
            break
        first -= 1
    return Name(" ".join(words[:first]), " ".join(words[max(first, 0) :]), suffix)


_BRACKETS = re.compile(r"\s*\([^()]*\)")  # the innermost ones; applied until none are left
_BETWEEN_NAMES = re.compile(r",\s*and\s+|\s+and\s+|\s*&\s+|[,;:|]\s*")
_NOT_ONLY_COMMAS = re.compile(r"\band\b|[&;:|]|,\S|,$")  # names not separated by ", " alone
_SUFFIXES_IN_LISTS = frozenset("Jr Sr II III IV".split())


def split_authors(text: str) -> tuple[str, ...]:
    """The names in arXiv's free-text author list, without affiliations.

    White space in `text` must be single spaces.

    >>> split_authors("A. Riess (1), B. P. Schmidt and C. Ahn (2) ((1) STScI, (2) ANU)")
    ('A. Riess', 'B. P. Schmidt', 'C. Ahn')
    """
    flat = text.removeprefix("Authors:").partition("((")[0]  # affiliations follow
    while "(" in flat and (shorter := _BRACKETS.sub("", flat)) != flat:
        flat = shorter
    parts = _BETWEEN_NAMES.split(flat) if _NOT_ONLY_COMMAS.search(flat) else flat.split(", ")
    names: list[str] = []
    for part in filter(None, map(str.strip, parts)):
        if names and part.rstrip(".") in _SUFFIXES_IN_LISTS:
            names[-1] += f" {part}"
        else:
            names.append(part)
    return tuple(names)


def author_words(authors: Iterable[str]) -> str:
    r"""A line for each author: lower-case words without accents, each between spaces.

    >>> author_words(["B. Téglas", "C. L. van Loon"])
    ' b  teglas \n c  l  van loon '
    """
    lines = (" " + " \n ".join(authors) + " ").casefold()
    if "\\" in lines or "{" in lines:
        lines = _TEX_ACCENTS.sub("", lines)
    if not lines.isascii():
        lines = unicodedata.normalize("NFKD", lines)
    return lines.translate(_BARE_LETTERS)


# \'e, {\"u}, \v{c}, \o: the bare letter remains. (The lines are in lower case.)
_TEX_ACCENTS = re.compile(
    rf"\\[^a-z\s]|\\[{''.join(sorted({*ACCENT_LETTERS.lower(), 't'}))}](?=[\s{{])\s*|[\\{{}}]"
)
_BARE_LETTERS = str.maketrans(
    LETTERS
    | dict.fromkeys(COMBINING_ACCENTS, "")
    | {sign: " " for sign in map(chr, range(128)) if not sign.isalnum() and sign != "\n"}
    | dict.fromkeys(map(chr, range(0x2010, 0x2020)), " ")  # dashes and quotation marks
)


def name_words(name: str) -> list[str]:
    """The words of one name, as `author_words` writes them.

    >>> name_words("Téglas, B.")
    ['teglas', 'b']
    """
    return author_words([name.encode(errors="replace").decode()]).split()


def names_author(lines: str, author: Sequence[str]) -> bool:
    """Whether one of the lines, from `author_words`, is the name of an author.

    Args:
        author: the author's words, from `name_words`. A word matches the same word, an initial
            matches a word that begins with it, and at least one whole word has to match.
    """
    return any(_is_name(author, line.split()) for line in lines.split("\n"))


def _is_name(author: Sequence[str], name: list[str]) -> bool:
    """Whether each word of the author matches a word of the name of its own: the same word, or one
    is an initial of the other. Consumes `name`."""
    if not any(word in name for word in author if len(word) > 1):
        return False
    unmatched = []
    for word in author:
        if word in name:
            name.remove(word)
        else:
            unmatched.append(word)
    for word in unmatched:
        for name_word in name:
            if min(len(word), len(name_word)) == 1 and word[0] == name_word[0]:
                name.remove(name_word)
                break
        else:
            return False
    return True

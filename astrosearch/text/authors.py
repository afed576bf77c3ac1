r"""Names of authors: split into parts, shown, and folded.

A name is stored as a text: given name first (`Sam van Poe Jr.`) where its parts can be read from
that, else with commas as BibTeX has them (`Mac Lean, Mordecai`). `split_name` takes a name apart,
`display_name` puts given names first, and `author_words` folds names for the filter.
"""

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from astrosearch.text.tables import ACCENT_LETTERS, COMBINING_ACCENTS, LETTERS

GROUP = re.compile(
    r"\b(collab(?:orat(?:ions?|ors)|ration)?|consorti(?:um|a)|team|group|project|survey|network"
    r"|observatory|members|participants|contributors|workshop|partnership|initiative)\b",
    re.IGNORECASE,
)
"""The words that tell a collaboration's name from a person's."""

INSTITUTION = re.compile(
    r"""\b(?:universit(?:y|ies|[àäée]t?|ad|à)|universidade?|uniwersytet|univ\.|institut(?:e|o|es)?
        |istituto|agency|cent(?:er|re)\s(?:for|of)|\w+\s(?:center|centre|college)|centro\sde
        |laborator(?:y|ies|io)|laboratoire|department|d[eé]partement|departamento|dipartimento
        |faculty|facultad|fakultät|schools?\sof|academy|society|foundation|association|committee
        |working\sgroup|offices?\sof|observator(?:ies|io|ium)|observatoire|osservatorio
        |corporation)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""The words that tell an institution's name."""

GROUP_STEMS = tuple(
    """collab consorti team group project survey network observ osserv member particip contribut
    workshop partner initiat univer uniwer univ. institut istitut agency center centre centro
    laborat depart départ dipart facult fakult school college academy societ foundat associat
    committ working office corporat""".split()
)
"""A name in lower case without any of these is not one of a group or an institution."""

_OF_GROUPS = re.compile("|".join(map(re.escape, GROUP_STEMS)))

ET_AL = "et al."
"""The name that says that there are more authors."""

SUFFIXES = frozenset("jr sr ii iii iv".split())
_FIRST_OF_SUFFIXES = frozenset(suffix[0].upper() for suffix in SUFFIXES)
OF_FAMILIES = frozenset("filho neto netto júnior junior sobrinho".split())
"""What stands behind a family name in Portuguese and belongs to it."""
_TITLES = re.compile(r"^(?:(?:Dr|Prof)(?:\.\s*|\s+))+(?=\S)")
# These begin a family name in lower case, wherever they stand behind a given name ...
_PARTICLES = frozenset(
    """'t in't op't van't af al ben bin binti d' da dal dalla de degli dei del dell' della delle den
    der des di do dos du el ibn in la las le les lo los op st st. te ten ter van vom von zu zum
    zur""".split()
)
# ... and these before a last word, with a capital too.
_CAPITAL_PARTICLES = _PARTICLES - {"ben", "bin", "in", "op", "te", "ten"} | {"mac", "mc"}
PARTICLES = _CAPITAL_PARTICLES | _PARTICLES
"""All of them, in lower case."""
_NOT_GIVEN = frozenset("De Del Della Di Dal Dalla Le Von".split())
"""Particles that do not end given names."""
_SHORT_FAMILIES = frozenset("EOUÓ")
"""Single letters that are family names: Weinan E."""
_OF_GIVEN_NAMES = frozenset(
    """angeles carmen cassia concepcion dolores fatima guadalupe jesus lluc lourdes mar mercedes
    nieves pilar rosario socorro valle dios""".split()
)
"""What stands behind a particle in given names: María del Carmen, Juan de Dios."""


class Name(NamedTuple):
    """The parts of a name; each is empty if the name lacks it."""

    given: str
    particle: str
    """`van der`."""
    family: str
    """Without its particles. All of a collaboration's name."""
    suffix: str
    """`Jr.`, `III`."""

    @property
    def surname(self) -> str:
        """The family name with its particles."""
        return f"{self.particle} {self.family}".strip()


def is_group(name: str) -> bool:
    """Whether a name is one of a collaboration or an institution.

    >>> is_group("Lighthouse Collaboration"), is_group("Anna Berg")
    (True, False)
    """
    if not _OF_GROUPS.search(name.lower()):
        return False
    return bool(GROUP.search(name) or INSTITUTION.search(name))


def is_et_al(name: str) -> bool:
    """Whether a name only says that there are more authors.

    >>> is_et_al("et al.")
    True
    """
    return name.rstrip(".").casefold() == "et al"


def family_name(name: str) -> str:
    """What a paper is called after: the family name with its particles, or the collaboration.

    >>> family_name("Maartje van der Berg"), family_name("Lighthouse Collaboration")
    ('van der Berg', 'Lighthouse Collaboration')
    """
    return split_name(name).surname


def display_name(name: str) -> str:
    """A name with given names first.

    >>> display_name("Mac Lean, Mordecai")
    'Mordecai Mac Lean'
    """
    if "," not in name:
        return name
    return _shown(split_name(name))


def _shown(parts: Name) -> str:
    return " ".join(filter(None, (parts.given, parts.surname, parts.suffix)))


def split_name(name: str) -> Name:
    """The parts of a name: given name first, or `Family, Given`, or `Family, Jr., Given`.

    >>> split_name("Sam van Poe Jr.")
    Name(given='Sam', particle='van', family='Poe', suffix='Jr.')
    """
    name = _UNTIED.sub(" ", name).strip()
    if "," in name:
        return _from_commas(name)
    words = name.split()
    if is_et_al(name) or is_group(name) or not words:
        return Name("", "", " ".join(words), "")
    suffix = words.pop() if len(words) > 1 and is_suffix(words[-1]) else ""
    if initials := len(words) - initials_from(words):
        return _with_initials_last(words, initials, suffix)
    if initials := _initials_of_family(words):  # "Nia A. Olvera M."
        start = len(words) - initials - 1
        return Name(" ".join(words[:start]), "", " ".join(words[start:]), suffix)
    start = _surname_start(words)
    particle, family = without_particles(words[start:])
    return Name(" ".join(words[:start]), particle, family, suffix)


def _from_commas(name: str) -> Name:
    family, *rest = (part.strip() for part in name.split(","))
    suffix = ""
    if len(rest) > 1:
        suffix = rest.pop(1 if is_suffix(rest[1]) else 0)
    elif is_suffix(rest[0]):
        return split_name(f"{family} {rest[0]}")
    words = family.split()
    if len(words) > 1 and is_suffix(words[-1]) and not suffix:  # "Okafor Jr., Nia"
        suffix = words.pop()
    particle, family = without_particles(words)
    given = " ".join(rest).split()
    if family.lower() in OF_FAMILIES and len(given) > 1 and not is_initial(given[-1]):
        family = f"{given.pop()} {family}"
    # "Berg, Anna van der" is how some lists sort by the family name proper.
    first = len(given)
    while not particle and first > 1 and _is_particle_behind(given, first - 1):
        first -= 1
    return Name(" ".join(given[:first]), particle or " ".join(given[first:]), family, suffix)


def _initials_of_family(words: list[str]) -> int:
    """How many initials stand behind a surname that has others in front of it."""
    initials = 0
    while initials < len(words) and is_initial(words[-initials - 1]):
        initials += 1
    is_short_family = initials == 1 and words[-1] in _SHORT_FAMILIES
    return initials if len(words) - initials > 1 and not is_short_family else 0


def _is_particle_behind(given: list[str], i: int) -> bool:
    """Whether a particle of the family name stands behind given names: `Berg, A. Van`."""
    word = given[i]
    return word in _PARTICLES or (
        word.lower() in _CAPITAL_PARTICLES
        and (word in _NOT_GIVEN or all(map(is_initial, given[:i])))
    )


def _with_initials_last(words: list[str], initials: int, suffix: str) -> Name:
    """The parts of `Dobrova D. V.`, or of `Abhishek Hegade K. R.`, a surname with initials."""
    particle, family = without_particles(words[:-initials])
    if " " not in family:
        return Name(" ".join(words[-initials:]), particle, family, suffix)
    start = len(words) - initials - 1
    return Name(" ".join(words[:start]), "", " ".join(words[start:]), suffix)


def _surname_start(words: list[str]) -> int:
    """Where the surname of a name without commas begins."""
    last = len(words) - 1
    if words[0] in _PARTICLES and last > 0:  # "van Dyk" has no given name
        return 0
    start = last
    for i in range(1, last):
        if words[i] in _PARTICLES and last - i < 6 and not _goes_on_in_given_names(words, i):
            start = i
            break
        if words[i] in ("y", "i", "e") and i > 1:  # Ramón y Cajal, Costa e Silva
            start = i - 1
            break
    if start > 1 and words[start].lower() in OF_FAMILIES and not is_initial(words[start - 1]):
        start -= 1
    while start > 1 and words[start - 1].lower() in _CAPITAL_PARTICLES:
        start -= 1
    # "Di Wang" and "Le Thi Hoa" begin with a given name, "De la Torre" does not.
    if start == 1 and words[0].lower() in _PARTICLES and words[1] in _PARTICLES:
        return 0
    return start


def _goes_on_in_given_names(words: list[str], i: int) -> bool:
    """Whether the particle at `i` is one of given names, as in María del Carmen Sánchez."""
    while i < len(words) - 1 and words[i] in _PARTICLES:
        i += 1
    given = i < len(words) - 1 and " ".join(name_words(words[i])) in _OF_GIVEN_NAMES
    return given or is_initial(words[i])  # Caio B. de S. Nascimento


def without_particles(words: list[str]) -> tuple[str, str]:
    """The particles that a surname begins with, and the rest of it."""
    first = 0
    while first < len(words) - 1 and words[first].lower() in PARTICLES:
        first += 1
    return " ".join(words[:first]), " ".join(words[first:])


def plain_name(family: str, given: str, suffix: str) -> str:
    """The stored form of a name for which one look is enough, as for nineteen of twenty; else
    empty, and `name_from_parts` knows."""
    if suffix or (given and " " in family):
        return ""
    name = f"{given} {family}" if given else family
    return name if _PLAIN_NAME.fullmatch(name) else ""


def plain_names(parts: list[list[str]]) -> list[str]:
    """The stored forms of some names if `plain_name` knows them all, with a given name each; else
    empty.

    Args:
        parts: family name, given names and suffix of each.

    Raises:
        TypeError: if a part is not a text.
    """
    lines = "\n".join(map("\t".join, parts))
    # A tab within a part would pass for the end of one where another is missing.
    if (
        {*map(len, parts)} != {3}
        or lines.count("\n") >= len(parts)
        or not _PLAIN_LINES.fullmatch(lines)
    ):
        return []
    return [f"{given} {family}" for family, given, _ in parts]


def name_from_parts(family: str, given: str = "", suffix: str = "") -> str:
    """The stored form of a name of known parts; empty if there is nothing of it.

    >>> name_from_parts("Mac Lean", "Mordecai"), name_from_parts("Mac Lean Berg", "Mordecai")
    ('Mordecai Mac Lean', 'Mac Lean Berg, Mordecai')
    """
    if plain := plain_name(family, given, suffix):
        return plain
    family, given, suffix = (bare_name(part) for part in (family, given, suffix))
    natural = " ".join(filter(None, (given, family, suffix)))
    if not (family and given) or is_group(family) or is_et_al(natural):
        return _FOR_THE.sub("", natural)
    family, suffix, given = (part.replace(",", " ") for part in (family, suffix, given))
    if "." in family and is_initial(family.split()[-1]) and not is_initial(given.split()[0]):
        return natural  # "Dobrova D. V.", cut at its last word
    listed = ", ".join(filter(None, (family, suffix, given)))
    parts = split_name(listed)
    natural = _shown(parts)
    return natural if split_name(natural) == parts else listed


def any_of(words: Iterable[str]) -> str:
    """A pattern of some words that looks at what they begin with once: in a row of fifty, each
    would be tried at each place.

    >>> any_of(["La", "Las", "Von"])
    '(?:La(?:s)?|Von)'
    """
    ends = "" in (words := {*words})
    initials = sorted({word[0] for word in words if word})
    if not initials:
        return ""
    branches = [
        re.escape(initial) + any_of(word[1:] for word in words if word.startswith(initial))
        for initial in initials
    ]
    pattern = "|".join(branches)
    return f"(?:{pattern})?" if ends else f"(?:{pattern})" if branches[1:] else pattern


# Words with a capital, and initials, before a family name of one word: none of them a particle, a
# suffix or a title, or anything of the name of a group. Groups are not repeated possessively:
# Python before 3.11.5 sometimes fails to match those that hold a choice.
_NOT_PLAIN = tuple(
    word.title()
    for word in (
        *PARTICLES,
        *OF_FAMILIES,
        *SUFFIXES,
        *"dr et for on others prof representing with".split(),
    )
)
_OF_A_GROUP = tuple(stem.title() for stem in GROUP_STEMS)
_NOT_GIVEN_WORD = any_of([*_OF_A_GROUP, *(word + end for word in _NOT_PLAIN for end in " .\t")])
_NOT_FAMILY_WORD = rf"{any_of(_OF_A_GROUP)}|{any_of(_NOT_PLAIN)}(?:\t|$)"
_CAPITAL, _SMALL = "[A-ZÀ-ÖØ-ÞĀ-ſ]", "[a-zß-öø-ÿĀ-ſ]"
_PLAIN_PART = rf"(?!{any_of(_OF_A_GROUP)}){_CAPITAL}{_SMALL}++"
_PLAIN_WORD = (
    rf"(?:{_CAPITAL}{_SMALL}++(?:-{_PLAIN_PART})*|(?:Ma?c|[DO]'){_PLAIN_PART}(?:-{_PLAIN_PART})*)"
)
_PLAIN_GIVEN = (
    rf"(?!{_NOT_GIVEN_WORD})(?:{_CAPITAL}(?:\.(?:-?{_CAPITAL}\.)*)?|{_PLAIN_WORD})(?=[ \t])"
)
_PLAIN_FAMILY = rf"(?!{_NOT_FAMILY_WORD}){_PLAIN_WORD}"
_PLAIN_NAME = re.compile(rf"(?:{_PLAIN_GIVEN} )+{_PLAIN_FAMILY}")
_PLAIN_LINE = rf"{_PLAIN_FAMILY}\t{_PLAIN_GIVEN}(?: {_PLAIN_GIVEN})*\t"
_PLAIN_LINES = re.compile(rf"{_PLAIN_LINE}(?:\n{_PLAIN_LINE})*")
"""Family name, given names and no suffix, with a tab behind the first two."""

# --- texts of names ---

_FOR_THE = re.compile(r"^(?:(?:for|on behalf of|representing)\s+(?:the\s+)?)+", re.IGNORECASE)

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNTIED = re.compile(r"(?<!\\)~")
_INITIALS = re.compile(r"-?(?:[^\W\d_][a-z]?\.-?)+[^\W\d_]?|[^\W\d_a-z](?:-[^\W\d_a-z])?")
_HYPHENED_INITIAL = re.compile(r"-[^\W\d_]\.?")
_BARE_INITIALS = re.compile(r"[A-Z](?:-?[A-Z]){0,2}")
_TEX = re.compile(r"\\[^A-Za-z\s]|\\[A-Za-z]+\s*|[{}]")


def tidy(text: str) -> str:
    """A text of one line, its HTML entities read, without control and invisible characters."""
    if text.isascii() and text.isprintable() and "&" not in text and "  " not in text:
        return text.strip()
    for _ in range(2):  # &amp;#039;
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if not text.isprintable():
        text = "".join(
            " " if sign.isspace() else sign
            for sign in text
            if sign.isprintable() or (sign.isspace() and sign not in "\x1c\x1d\x1e\x1f")
        )
    return unicodedata.normalize("NFC", " ".join(text.split()))


def bare_name(text: str) -> str:
    """A name without titles, marks around it and the stop of a sentence."""
    text = text.strip(" \t*†‡§¶,;()")
    if text.lower() in ("et al", "others"):
        return ET_AL
    if not text or (text[-1].isalpha() and not text.startswith(("Dr", "Prof"))):
        return text
    text = _TITLES.sub("", text)
    last = text.rpartition(" ")[2]
    if last.endswith(".") and len(last) > 3 and "." not in last[:-1] and last != ET_AL:
        text = text if is_suffix(last) or _INITIALS.fullmatch(last) else text[:-1]
    return text


@lru_cache(maxsize=4096)
def is_initial(word: str) -> bool:
    """Whether a word of a name is one initial or several: `J.`, `J.-P.`, `JP.`, `-H.`."""
    bare = _TEX.sub("", word) if "\\" in word or "{" in word else word
    if len(bare) > 3 and "." not in bare:
        return False
    return (bare[:1].isupper() and bool(_INITIALS.fullmatch(bare))) or bool(
        _HYPHENED_INITIAL.fullmatch(bare)
    )


def is_bare_initials(word: str) -> bool:
    """Whether a word may be initials without full stops: `NK`."""
    return bool(_BARE_INITIALS.fullmatch(word)) and not is_suffix(word)


def is_suffix(word: str) -> bool:
    """Whether a word stands behind a family name: `Jr.`, `III`."""
    return word[:1] in _FIRST_OF_SUFFIXES and word.rstrip(".").lower() in SUFFIXES


def initials_from(words: list[str], *, bare: bool = False) -> int:
    """Where the initials at the end of a name begin; `bare` ones may be like `NK`."""
    first = len(words)
    while first > 0 and (
        is_initial(words[first - 1]) or (bare and _BARE_INITIALS.fullmatch(words[first - 1]))
    ):
        first -= 1
    # "J. A." and "M. Olvera J." are cut short, "Dobrova D. V." is whole.
    whole = first > 0 and not any(is_initial(word) for word in words[:first])
    is_short_family = first == len(words) - 1 and words[first] in _SHORT_FAMILIES
    return first if whole and not is_short_family else len(words)


# --- folded forms ---


def author_words(authors: Iterable[str]) -> str:
    r"""One line an author: lower-case words without accents, each between spaces.

    >>> author_words(["B. Téglas", "C. L. van Loon"])
    ' b  teglas \n c  l  van loon '
    """
    lines = (" " + " \n ".join(authors) + " ").casefold()
    if "\\" in lines or "{" in lines:
        lines = _TEX_ACCENTS.sub("", lines)
    if not lines.isascii():
        lines = _COMBINING.sub("", unicodedata.normalize("NFKD", lines))
    if lines.isascii():
        return lines.encode().translate(_BARE_ASCII).decode()
    return lines.translate(_BARE_LETTERS)


# \'e, {\"u}, \v{c}, \o: what is left is the bare letter. (The lines are in lower case.)
_TEX_ACCENTS = re.compile(
    rf"\\[^a-z\s]|\\[{''.join(sorted({*ACCENT_LETTERS.lower(), 't'}))}](?=[\s{{])\s*|[\\{{}}]"
)
_BARE_LETTERS = str.maketrans(
    LETTERS
    | {"ð": "d", "þ": "th"}
    | {sign: " " for sign in map(chr, range(128)) if not sign.isalnum() and sign != "\n"}
    # dashes, quotation marks, what is written for apostrophes, dots
    | dict.fromkeys(map(chr, (*range(0x2010, 0x2020), *range(0x2B9, 0x2BF), 0x2212, 0xB7)), " ")
)

_BARE_ASCII = bytes(range(128)).decode().translate(_BARE_LETTERS).encode().ljust(256)
_COMBINING = re.compile(f"[{''.join(COMBINING_ACCENTS)}]+")


def name_words(name: str) -> list[str]:
    """The words of one name, as `author_words` writes them.

    >>> name_words("Téglas, B.")
    ['teglas', 'b']
    """
    return author_words([name.encode(errors="replace").decode()]).split()

r"""Names of authors: taken from a list, split into parts, shown, and matched.

A name is stored as a text: given name first (`Sam van Poe Jr.`) where its parts can be read from
that, else with commas as BibTeX has them (`Mac Lean, Mordecai`). `split_authors` cuts a list into
names, `split_name` a name into parts, `display_name` puts given names first, and `author_words`
folds names for the filter.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from astrosearch.text.tables import ACCENT_LETTERS, COMBINING_ACCENTS, LETTERS

GROUP = re.compile(
    r"\b(collaborations?|consortium|team|group|project|survey|network|observatory|members)\b",
    re.IGNORECASE,
)
"""The words that tell a collaboration's name from a person's."""

_INSTITUTION = re.compile(
    r"""\b(?:universit(?:y|ies|[àäée]t?|ad|à)|institut(?:e|o|es)?|agency|cent(?:er|re)\s(?:for|of)|
        \w+\scent(?:er|re)|laborator(?:y|ies)|department|faculty|academy|society|foundation|
        association|committee|working\sgroup|observatories|corporation)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_ADDRESSES = re.compile(
    r"(?i)universi|institu|agency|cent(?:er|re)\b|laborator|depart|faculty|academy|school|observator"
)
_ET_AL = "et al."

_SUFFIXES = frozenset("jr sr ii iii iv".split())
_TITLES = re.compile(r"^(?:(?:Dr|Prof)\.\s*)+(?=\S)")
_DEGREES = frozenset("phd ph.d md m.d msc m.sc".split())
# These begin a family name in lower case, wherever they stand behind a given name ...
_PARTICLES = frozenset(
    """'t af al ben bin d' da dal dalla de degli dei del dell' della delle den der des di do dos du
    el ibn in la las le les lo los op st st. te ten ter van vom von zu zum zur""".split()
)
# ... and these before a last word, with a capital too.
_CAPITAL_PARTICLES = _PARTICLES - {"ben", "bin", "in", "op", "te", "ten"} | {"mac", "mc"}
_OF_GIVEN_NAMES = frozenset(
    """angeles carmen concepcion fatima guadalupe jesus lourdes mar pilar rosario socorro valle
    dios""".split()
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
    return bool(GROUP.search(name) or _INSTITUTION.search(name))


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
    parts = split_name(name)
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
    suffix = words.pop() if len(words) > 1 and _is_suffix(words[-1]) else ""
    if initials := len(words) - _initials_from(words):
        return _with_initials_last(words, initials, suffix)
    start = _surname_start(words)
    particle, family = _without_particles(words[start:])
    return Name(" ".join(words[:start]), particle, family, suffix)


def _from_commas(name: str) -> Name:
    family, *rest = (part.strip() for part in name.split(","))
    suffix = ""
    if len(rest) > 1:
        suffix = rest.pop(1 if _is_suffix(rest[1]) else 0)
    elif _is_suffix(rest[0]):
        return split_name(f"{family} {rest[0]}")
    particle, family = _without_particles(family.split())
    given = " ".join(rest).split()
    # "Berg, Anna van der" is how some lists sort by the family name proper.
    first = len(given)
    while not particle and first > 1 and given[first - 1] in _PARTICLES:
        first -= 1
    return Name(" ".join(given[:first]), particle or " ".join(given[first:]), family, suffix)


def _with_initials_last(words: list[str], initials: int, suffix: str) -> Name:
    """The parts of `Dobrova D. V.`, or of `Abhishek Hegade K. R.`, a surname with initials."""
    particle, family = _without_particles(words[:-initials])
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
        if words[i] in ("y", "i") and i > 1:  # Ramón y Cajal
            start = i - 1
            break
    while start > 1 and words[start - 1].lower() in _CAPITAL_PARTICLES:
        start -= 1
    # "Di Wang" and "Le Thi Hoa" begin with a given name, "De la Torre" does not.
    if start == 1 and words[0].lower() in _PARTICLES and words[1] in _PARTICLES:
        return 0
    return start


def _goes_on_in_given_names(words: list[str], i: int) -> bool:
    """Whether the particle at `i` is one of given names, as in María del Carmen Sánchez."""
    while i < len(words) and words[i] in _PARTICLES:
        i += 1
    given = i < len(words) - 1 and " ".join(name_words(words[i])) in _OF_GIVEN_NAMES
    return given or _is_initial(words[i])  # Caio B. de S. Nascimento


def _without_particles(words: list[str]) -> tuple[str, str]:
    """The particles that a surname begins with, and the rest of it."""
    first = 0
    while first < len(words) - 1 and words[first].lower() in _CAPITAL_PARTICLES | _PARTICLES:
        first += 1
    return " ".join(words[:first]), " ".join(words[first:])


def name_from_parts(family: str, given: str = "", suffix: str = "") -> str:
    """The stored form of a name of known parts; empty if there is nothing of it.

    >>> name_from_parts("Mac Lean", "Mordecai"), name_from_parts("Mac Lean Berg", "Mordecai")
    ('Mordecai Mac Lean', 'Mac Lean Berg, Mordecai')
    """
    family, given, suffix = (_tidied(part) for part in (family, given, suffix))
    natural = " ".join(filter(None, (given, family, suffix)))
    if is_group(family) or not (family and given) or is_et_al(natural):
        return _FOR_THE.sub("", natural)
    family, suffix, given = (part.replace(",", " ") for part in (family, suffix, given))
    listed = ", ".join(filter(None, (family, suffix, given)))
    natural = display_name(listed)
    return natural if split_name(natural) == split_name(listed) else listed


# --- lists ---

_BRACKETS = re.compile(r"\s*\([^()]*\)")  # innermost ones; applied until none is left
_LETTERLESS = re.compile(r"[\W\d_]*")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNTIED = re.compile(r"(?<!\\)~")
_SPACED_ACCENT = re.compile(r"(\\['\"`^~=.])\s+(?=\\?[^\W\d_]|\{)")
_SPACED_LETTER_ACCENT = re.compile(rf"\\([{ACCENT_LETTERS}t])\s+(\\?[^\W\d_])")
_SPACED_LETTER = re.compile(r"\\(aa|AA|ae|AE|oe|OE|ss|o|O|l|L|i|j)\s+(?=[a-zß-ÿ])")
_RELAXED = re.compile(r"\\(?:relax|protect|newline|quad|thanks\{[^{}]*\})(?![A-Za-z])\s*|\\[,; ]")
_FOOTNOTES = re.compile(
    r"""\$\s*(?:\{\})?\^[^$]*\$ | \$\s*\\(?:dagger|ddagger|ast|star)\s*\$
      | (?<!\\)\^(?:\{[^{}]*\}|[\d*a-z](?:,[\d*a-z])*)(?!\w)
      | \\(?:inst|altaffilmark|textsuperscript|footnotemark|orcid)(?:\{[^{}]*\}|\[[^][]*\])
      | <sup>.*?</sup> | \[[\d,;\s*]*\] | [⁰¹²³⁴-⁹](?:,?[⁰¹²³⁴-⁹])*""",
    re.VERBOSE,
)
# Moser1, Agapov1,2: digits at the end of a word that ends a name.
_DIGITS_BEHIND = re.compile(
    r"""(?<=[^\W\d_][^\W\d_]|[^\W\d_]\.)\s?\d{1,3}(?:\s?[,;]\s?\d{1,3}|\s\d{1,3})*(?:,?\s?[*†‡§¶])*
        (?=\s*(?:$|[,;&|]|\band\b))""",
    re.VERBOSE,
)
_AFFILIATIONS = re.compile(r"\(\(|(?<=[.;,)])\s*\(1\)\s*(?=[^\W\d_])")
_MORE_AUTHORS = re.compile(
    r"""\b(?:et\.?\s+al(?:ii|\b\.?)|(?:and|\&)\s+(?:others|\d+\s+(?:more|others|co-?authors)
        (?:\s+authors)?|(?:many\s)?(?:more|other)\s+authors?|co-?authors|coworkers))(?![^\W\d_])\.?""",
    re.IGNORECASE | re.VERBOSE,
)
_FOR_THE = re.compile(r"^(?:(?:for|on behalf of|representing)\s+(?:the\s+)?)+", re.IGNORECASE)
_ON_BEHALF = re.compile(  # but not the Institute for Dust Survey
    r"(?<!institute)(?<!center)(?<!centre)(?<!agency)(?<!laboratory)"
    r"\s(?:and\s+)?(?:for|on\s+behalf\s+of|representing)\s+(?:all\s+of\s+)?(?:the\s+)?"
    rf"(?=[^,;]{{0,200}}{GROUP.pattern})",
    re.IGNORECASE,
)
_ASTRONOMY_AND = re.compile(  # Institute of Physics and Astronomy
    r"\b(?:institut\w*|department|school|cent(?:er|re)|faculty|division|college|academy|society)"
    r"\s+(?:of|for)\s+(?:[^\W\d_]{3,}\s+)+?(and|&)\s+(?=[^\W\d_]{3,})",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"""\s*(?: [,;，；、]?\s*(?:(?<=[\s,;，；、])(?:and|And|AND|und|et(?!\s+al\b))(?=\s)|\\?&)\s*
             | [,;:|，；、]\s* )""",
    re.VERBOSE,
)
_RUN_TOGETHER = re.compile(r"(?<![^\W\d_])([^\W\d_a-z][a-z]?\.)(?=[^\W\d_a-z][^\W\d_]{2})")
_INITIALS = re.compile(r"-?(?:[^\W\d_][a-z]?\.-?)+[^\W\d_]?|[^\W\d_a-z](?:-[^\W\d_a-z])?")
_BARE_INITIALS = re.compile(r"[A-Z](?:-?[A-Z]){0,2}")
_TEX = re.compile(r"\\[^A-Za-z\s]|\\[A-Za-z]+\s*|[{}]")


_ORDINARY_WORD = r"(?:[^\W\d_]|['’-]|\.(?![^\W\d_]{2}))*"
_ORDINARY_NAME = (
    rf"[A-ZÀ-Ž]{_ORDINARY_WORD} (?:[^\W\d_]{_ORDINARY_WORD} )*"
    r"(?=[^\s,]*[a-zß-ž](?:[^\W\d_]|['’-]))[A-ZÀ-Ž](?:[^\W\d_]|['’-])*"
)
_ORDINARY = re.compile(rf"{_ORDINARY_NAME}(?:, {_ORDINARY_NAME})*")
_UNUSUAL = re.compile(
    rf"{GROUP.pattern}|{_OF_ADDRESSES.pattern[4:]}|foundation|society|committee|corporation|association"
    r"|\b(?:et al|et|und|for|others|by|behalf|dr\.|prof\.|and|with|phd)\b",
    re.IGNORECASE,
)


class _Part(NamedTuple):
    """What stands between two separators of a list."""

    separator: str
    """Before it: `,`, `;` or `and`; the first part has a semicolon."""
    text: str
    suffix: str = ""


def split_authors(text: str) -> tuple[str, ...]:
    """The names in a free-text author list, affiliations and footnotes taken off.

    Names stand as `Given Family` or `Family, Given`, between commas, semicolons or `and`. A last
    name of `et al.` says that the list is not whole.

    >>> split_authors("A. Riess (1), B. P. Schmidt and C. Ahn (2) ((1) STScI, (2) ANU)")
    ('A. Riess', 'B. P. Schmidt', 'C. Ahn')
    >>> split_authors("Riess, A., Schmidt, Brian P., et al.")
    ('A. Riess', 'Brian P. Schmidt', 'et al.')
    """
    # Nine lists of ten are `Given Family, G. Family`: one look spares them all the others.
    plain = text.replace(", and ", ", ").replace(" and ", ", ")
    if _ORDINARY.fullmatch(plain) and not _UNUSUAL.search(plain):
        return tuple(plain.split(", "))
    return _names(_parts(_cleaned_list(text)))


def agrees(names: Sequence[str], text: str) -> bool:
    """Whether names that somebody else read from a list were read as pairs where it has pairs.

    arXiv's own reader takes `Berg, Anna, Doe, Bob` for four authors without given names.
    """
    bare = sum(not split_name(name).given and not is_group(name) for name in names)
    own = split_authors(text)
    bare_of_own = sum(not split_name(name).given and not is_group(name) for name in own)
    return len(own) >= len(names) or bare <= bare_of_own


def _cleaned_list(text: str) -> str:
    """A list without what is not part of a name."""
    text = tidy(text)
    text = re.sub(r"^(?:authors?|by)\s*:\s*", "", text, flags=re.IGNORECASE)
    if "\\" in text:
        text = _close_accents(text)
    text = _FOOTNOTES.sub("", text)
    text = _AFFILIATIONS.split(text, maxsplit=1)[0]
    while "(" in text and (shorter := _BRACKETS.sub("", text)) != text:
        text = shorter
    text = _without_affiliation(_DIGITS_BEHIND.sub("", text))
    text = _MORE_AUTHORS.sub(f", {_ET_AL},", text)
    if is_group(text):
        text = _ON_BEHALF.sub(", ", text)
        text = _ASTRONOMY_AND.sub(lambda match: match[0].replace(match[1], "\0"), text)
    return _RUN_TOGETHER.sub(r"\1 ", _UNTIED.sub(" ", text))


def _without_affiliation(text: str) -> str:
    """A list with blanks before its commas (LaTeXML's) may end with an address, in no brackets."""
    head, comma, last = text.rpartition(" , ")
    if not comma or not _INSTITUTION.search(last):
        return text
    words = last.partition(", ")[0].split()
    for i, word in enumerate(words):
        if i > 1 and _OF_ADDRESSES.match(word):
            end = i - 1 if word in ("University", "Observatory", "Laboratory") and i > 2 else i
            return head + comma + " ".join(words[:end])
    return text


def tidy(text: str) -> str:
    """A text of one line, its HTML entities read, without control and invisible characters."""
    for _ in range(2):  # &amp;#039;
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if not text.isprintable():
        text = "".join(
            " " if sign.isspace() else sign
            for sign in text
            if sign.isprintable() or (sign.isspace() and sign not in "\x1c\x1d\x1e\x1f")
        )
    return " ".join(text.split())


def _close_accents(text: str) -> str:
    r"""TeX without the blank inside of a letter: `\' n` and `\c c` are one letter each."""
    text = _RELAXED.sub(lambda match: " " if len(match[0]) == 2 else "", text)
    text = _SPACED_ACCENT.sub(r"\1", text)
    text = _SPACED_LETTER_ACCENT.sub(r"\\\1{\2}", text)
    return _SPACED_LETTER.sub(r"\\\1{}", text)


def _parts(text: str) -> list[_Part]:
    parts: list[_Part] = []
    separator, start = ";", 0
    for match in [*_SEPARATOR.finditer(text), None]:
        piece = text[start : match.start() if match else None]
        piece = _tidied(piece.replace("\0", "and"))
        if parts and _is_suffix(piece):
            parts[-1] = parts[-1]._replace(suffix=piece)
        elif not _LETTERLESS.fullmatch(piece) and piece.lower().rstrip(".") not in _DEGREES:
            parts.append(_Part(separator, piece))
            separator = ""
        if match:
            sign = match[0].strip()
            separator = separator if separator in (";", "and") else _kind(sign)
            start = match.end()
    return parts


def _kind(sign: str) -> str:
    if sign in (",", "，", "、"):
        return ","
    return ";" if sign in (";", ":", "|", "；") else "and"


def _tidied(text: str) -> str:
    """A name without marks around it and the stop of a sentence."""
    text = _TITLES.sub("", text.strip(" \t*†‡§¶,;"))
    last = text.rpartition(" ")[2]
    if last.endswith(".") and len(last) > 3 and "." not in last[:-1] and last != _ET_AL:
        text = text[:-1] if not _is_suffix(last) and not _INITIALS.fullmatch(last) else text
    return text if text.lower() != "et al" else _ET_AL


def _names(parts: list[_Part]) -> tuple[str, ...]:
    pairs = _pairs(parts)
    names: list[str] = []
    if pairs is not None:
        return tuple(filter(None, pairs))
    words_of = [part.text.split() for part in parts]
    bare = len(parts) > 1 and all(
        _has_bare_initials_last(words) for words in words_of if not _is_alone(" ".join(words))
    )
    firsts = [_initials_from(words, bare=bare) for words in words_of]
    initials_last = [first < len(words) for first, words in zip(firsts, words_of, strict=True)]
    family_first = 2 * sum(initials_last) > len(parts)
    for part, words, first in zip(parts, words_of, firsts, strict=True):
        name = f"{part.text} {part.suffix}".strip()
        if _is_alone(part.text):
            name = _FOR_THE.sub("", part.text)
        elif first < len(words) and family_first:
            name = name_from_parts(" ".join(words[:first]), " ".join(words[first:]), part.suffix)
        elif first < len(words):
            parts_of_name = split_name(name)
            name = name_from_parts(parts_of_name.surname, parts_of_name.given, part.suffix)
        names.append(name)
    return tuple(dict.fromkeys(names)) if names.count(_ET_AL) > 1 else tuple(names)


def _pairs(parts: list[_Part]) -> list[str] | None:
    """The names of a list of `Family, Given`; None if the list is not one.

    Such a list shows in its family names: one word each, mostly, or initials alone behind them.
    In other lists names of one word are rare, and initials begin a part.
    """
    names: list[str] = []
    strong = weak = lone = 0
    i = 0
    while i < len(parts):
        part, after = parts[i], parts[i + 1] if i + 1 < len(parts) else None
        if _is_alone(part.text) and not (after and _is_split_group(part.text, after)):
            names.append(_FOR_THE.sub("", part.text))
        elif after and after.separator == "," and _may_be_pair(part.text, after.text):
            suffix = part.suffix or after.suffix
            names.append(name_from_parts(part.text, after.text, suffix))
            if _is_strong(part.text, after.text):
                strong += 1
            elif not _is_initial(after.text.split()[-1]):
                weak += 1
            i += 1
        else:
            names.append(f"{part.text} {part.suffix}".strip())
            lone += 1
        i += 1
    if not strong or strong < 2 * weak or lone > max(1, strong // 3) or (lone == strong == 1):
        return None
    return names


def _is_alone(text: str) -> bool:
    """Whether a text is a name by itself: of a group, `et al.`, or an acronym."""
    return is_group(text) or is_et_al(text) or bool(re.fullmatch(r"\w*[a-z]\w*[A-Z]{2}\w*", text))


def _is_split_group(text: str, after: _Part) -> bool:
    """`Collaboration, Planck`: a group's name that somebody turned round."""
    return after.separator == "," and bool(GROUP.fullmatch(text)) and " " not in after.text


def _may_be_pair(family: str, given: str) -> bool:
    family_words, given_words = family.split(), given.split()
    return (
        not _is_alone(given)
        and len(family_words) <= 5
        and len(given_words) <= 5
        and not any(_is_initial(word) for word in family_words)
    )


def _is_strong(family: str, given: str) -> bool:
    if all(map(_is_initial, given.split())):
        return True
    words = _without_particles(family.split())[1].split()
    # "Ben Moews" and "Bin Liu" begin with what may be a particle.
    return len(words) == 1 and (" " not in family or family[0].islower() or " " not in given)


def _is_initial(word: str) -> bool:
    bare = _TEX.sub("", word) if "\\" in word or "{" in word else word
    return (bare[:1].isupper() and bool(_INITIALS.fullmatch(bare))) or bool(
        re.fullmatch(r"-[^\W\d_]\.?", bare)
    )


def _is_suffix(text: str) -> bool:
    return text.rstrip(".").lower() in _SUFFIXES and text[:1].isupper()


def _initials_from(words: list[str], *, bare: bool = False) -> int:
    """Where the initials at the end of a name begin; `bare` ones have no full stops."""
    first = len(words)
    if not bare and (not words or "." not in words[-1]):
        return first
    while first > 0 and (
        (_is_initial(words[first - 1]) and "." in words[first - 1])
        or (bare and _BARE_INITIALS.fullmatch(words[first - 1]))
    ):
        first -= 1
    # "J. A." and "M. Olvera J." are cut short, "Dobrova D. V." is whole.
    whole = first > 0 and not any(_is_initial(word) for word in words[:first])
    return first if whole else len(words)


def _has_bare_initials_last(words: list[str]) -> bool:
    return (
        len(words) > 1
        and bool(_BARE_INITIALS.fullmatch(words[-1]))
        and not _is_suffix(words[-1])
        and not _is_initial(words[0])
    )


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
        lines = unicodedata.normalize("NFKD", lines)
    return lines.translate(_BARE_LETTERS)


# \'e, {\"u}, \v{c}, \o: what is left is the bare letter. (The lines are in lower case.)
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


def names_author(lines: str, wanted: Sequence[str]) -> bool:
    """Whether a line of `author_words` is the name of the author who has the wanted words."""
    return any(_is_name(wanted, line.split()) for line in lines.split("\n"))


def _is_name(wanted: Sequence[str], name: list[str]) -> bool:
    """Whether each wanted word has a word of the name to itself: the same, or an initial of it."""
    if not any(word in name for word in wanted if len(word) > 1):
        return False
    shortened = []
    for word in wanted:
        if word in name:
            name.remove(word)
        else:
            shortened.append(word)
    for word in shortened:
        for other in name:
            if min(len(word), len(other)) == 1 and word[0] == other[0]:
                name.remove(other)
                break
        else:
            return False
    return True

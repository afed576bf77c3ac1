r"""Author lists as people write them, cut into names.

Names stand as `Given Family` or as `Family, Given`, between commas, semicolons or `and`, among
affiliations, addresses, footnotes, entities and TeX. `split_authors` leaves the names; what a name
is made of is known to `authors`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from astrosearch.text.authors import (
    ET_AL,
    GROUP,
    GROUP_STEMS,
    INSTITUTION,
    PARTICLES,
    any_of,
    bare_name,
    initials_from,
    is_bare_initials,
    is_et_al,
    is_group,
    is_initial,
    is_suffix,
    name_from_parts,
    plain_name,
    split_name,
    tidy,
    without_particles,
)
from astrosearch.text.tables import ACCENT_LETTERS


class _Part(NamedTuple):
    """What stands between two separators of a list."""

    separator: str
    """Before it: `,`, `;` or `and`; the first part has a semicolon."""
    text: str
    suffix: str = ""

    @property
    def name(self) -> str:
        return f"{self.text} {self.suffix}".strip()


def split_authors(text: str) -> tuple[str, ...]:
    """The names in a free-text author list, affiliations and footnotes taken off.

    A last name of `et al.` says that the list is not whole.

    >>> split_authors("A. Riess (1), B. P. Schmidt and C. Ahn (2) ((1) STScI, (2) ANU)")
    ('A. Riess', 'B. P. Schmidt', 'C. Ahn')
    >>> split_authors("Riess, A., Schmidt, Brian P., et al.")
    ('A. Riess', 'Brian P. Schmidt', 'et al.')
    """
    # Nine lists of ten are `Given Family, G. Family`: one look spares them all the others.
    head, joined, last = text.rpartition(" and ")
    plain = f"{head.removesuffix(',')}, {last}" if joined and "," not in last else text
    ordinary = _ORDINARY_ASCII if plain.isascii() else _ORDINARY
    if ordinary.fullmatch(plain) and not _holds_odd_words(plain) and "' t " not in plain:
        return tuple(plain.split(", "))
    names = _names(_cleaned_parts(text))
    persons = [name for name in names if name != ET_AL]
    return (*persons, ET_AL) if len(persons) < len(names) else tuple(persons)


def agrees(names: Sequence[str], text: str, odd: Sequence[str] | None = None) -> bool:
    """Whether names that somebody else read from a list were read as pairs where it has pairs.

    arXiv's own reader takes `Berg, Anna, Doe, Bob` for four authors without given names. Of
    `Ruksana, Anna Berg` it knows more than the list tells.

    Args:
        odd: those of the names that may lack a given name; by default all.
    """
    bare = sum(map(_is_bare, names if odd is None else odd))
    if not bare:
        return True
    parts = _cleaned_parts(text)
    if len(parts) == 2 and not (" " not in parts[1].text or _are_initials(parts[1].text)):
        return True
    own = _names(parts)
    return len(own) >= len(names) or bare <= sum(map(_is_bare, own))


def _is_bare(name: str) -> bool:
    words = name.split()
    if (
        len(words) > 1
        and not ("," in name or "~" in name)
        and not is_suffix(words[-1])
        and words[0].lower() not in _BEFORE_A_BARE_NAME
    ):
        return False  # the first word is a given name, or all are the name of a group
    return not split_name(name).given and not is_group(name)


_BEFORE_A_BARE_NAME = PARTICLES | {"et"}


@lru_cache(maxsize=1)  # a list that its names do not agree with is split anew
def _cleaned_parts(text: str) -> Sequence[_Part]:
    text = _cleaned(text)
    parts = _parts(text)
    return _without_addresses(parts) if _holds_odd_words(text) else parts


# --- ordinary lists ---


def _ordinary_list(
    letter: str, letters: str, first: str, capital: str, small: str
) -> re.Pattern[str]:
    """The pattern of a list of ordinary names.

    Args:
        letter: the class of letters.
        letters: any number of them, of apostrophes and of hyphens.
        first: the class of what a word begins with.
        capital, small: classes of letters that show whether a word is in capitals.
    """
    # Not possessive: Python before 3.11.5 goes on behind the dot where such a group fails.
    word = rf"{letters}(?:\.(?!{letter}{{2}}){letters})*"
    # The last word is a family name: not initials, not in capitals.
    name = rf"{first}(?!{capital}){word} (?:{letter}{word} )*{first}{letters}(?<={small})"
    return re.compile(rf"{name}(?:, {name})*")


_ORDINARY = _ordinary_list(
    r"[^\W\d_]", r"(?:[^\W\d_]++|['’-])*+", "[A-ZÀ-Ž]", "[A-ZÀ-ÖØ-ÞĀ-Ž]", "[a-zß-ž]"
)
# Three times as fast, for texts in ASCII.
_ORDINARY_ASCII = _ordinary_list("[A-Za-z]", "[A-Za-z'-]*+", "[A-Z]", "[A-Z]", "[a-z]")
_ODD_WORDS = (
    *GROUP_STEMS,
    *("dr.", "prof", "phd", " et ", " und ", " for ", " and ", " others", " by ", " with "),
)
"""What makes a list in lower case worth a closer look."""
_ODD_WORD = re.compile(any_of(_ODD_WORDS))


def _holds_odd_words(text: str) -> bool:
    return bool(_ODD_WORD.search(text.lower()))


# --- what is not part of a name ---

_BRACKETS = re.compile(r"\s*\([^()]*\)(?=([^\W\d_])?)")  # innermost ones, till none is left
_OPEN_BRACKET = re.compile(r"\s*\([^()]*$")
_UNTIED = re.compile(r"(?<!\\)~")
_SPACED_ACCENT = re.compile(r"(\\['\"`^~=.])\s+(?=\\?[^\W\d_]|\{)")
_SPACED_LETTER_ACCENT = re.compile(rf"\\([{ACCENT_LETTERS}t])\s+(\\?[^\W\d_])")
_SPACED_LETTER = re.compile(r"\\(aa|AA|ae|AE|oe|OE|ss|o|O|l|L|i|j)\s+(?=[a-zß-ÿ])")
_RELAXED = re.compile(
    r"\\(?:relax|protect|newline|quad|thanks\{[^{}]*\})(?![A-Za-z])\s*|\\[,; ]"
    r"|(?:\{\\(?:it|bf|rm|sc|em)\s+|\\(?:text(?:it|bf|sc|rm)|emph|mbox)\{)([^{}]*)\}"
)
_SUPERSCRIPTS = "ªº¹²³⁰-₟ᴬ-ᵪᶛ-ᶿ"
_MARKS = "*†‡§¶#♯※‖∗⁎⋆☀-➿⬀-⯿"
_FOOTNOTES = re.compile(
    rf"""(?:\s*(?:
        \$\s*(?:\{{\}})?\^[^$]*\$ | \$\s*\\(?:dagger|ddagger|ast|star)\s*\$
      | (?<!\\)\^(?:\{{[^{{}}]*\}}|[\d{_MARKS}a-z](?:,[\d{_MARKS}a-z])*)(?!\w)
      | \\(?:inst|altaffil\w*|textsuperscript|footnotemark|orcid\w*)(?:\{{[^{{}}]*\}}|\[[^][]*\])
      | <sup>[^<]*</sup> | <[^<>]*@[^<>]*> | \[[^][]*\]
      | \d*[{_SUPERSCRIPTS}{_MARKS}]+(?:[,;]?\d*[{_SUPERSCRIPTS}{_MARKS}]+)*
    ))+(?=(\s+[^\W\d_])?)""",
    re.VERBOSE,
)
_HAS_FOOTNOTES = re.compile(rf"[$^\\<\[{_SUPERSCRIPTS}{_MARKS}]")
# Moser1, Agapov1,2: digits at the end of a word that ends a name.
_DIGITS_BEHIND = re.compile(
    rf"""(?<=[^\W\d_][^\W\d_]|[^\W\d_]\.)\s?\d{{1,3}}(?:\s?[,;]\s?\d{{1,3}}|\s\d{{1,3}})*
        (?:,?\s?[{_MARKS}])*(?=\s*(?:$|[,;&|]|\band\b))""",
    re.VERBOSE,
)
_DIGITS_BETWEEN = re.compile(r",\s?\d{1,3}(?:,\s?\d{1,3})*\s+(?=[^\W\d_])")  # Moser,1,2 Agapov
_AFFILIATIONS = re.compile(r"\(\(|(?<=[.;,)])\s*\(1\)\s*(?=[^\W\d_])")
_MORE_AUTHORS = re.compile(
    r"""\b(?:et\.?\s+al(?:ii|\b\.?))(?![^\W\d_])\.?
      | (?:(?:\band|\&)\s+)?\d+\s+(?:(?:more|other|additional)(?:\sauthors)?|others|co-?authors)\b
      | (?:\band|\&)\s+(?:others|(?:many\s)?(?:more|other)(?:\s+authors?)?|co-?(?:authors|workers)
        |colleagues|collaborators)(?![^\W\d_])\.?
      | \.\.\.+ | … | \\[lc]?dots\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SIGNS_OF_MORE = (" al", "and", "&", "..", "…", "dots", "author", "more")
# Most lists with one of these signs have none of the words that `_MORE_AUTHORS` needs.
_WORDS_OF_MORE = (
    *("et ", "et. ", "..", "…", "dots", "author", "more", "other", " add", "orker", "colleague"),
    "collaborator",
)
_ASTRONOMY_AND = re.compile(  # Institute of Physics and Astronomy; Lamp and Torch Collaborations
    r"""\b(?:institut\w*|department|school|cent(?:er|re)|faculty|division|college|academy|society)
        \s+(?:of|for)\s+(?:[^\W\d_]{3,}\s+)+?(and|&)\s+(?=[^\W\d_]{3,})
      | (?:\bthe\s)?[\w/-]+(?:\s[\w/-]+)?\s(and|&)\s(?=(?:the\s)?[\w/-]+(?:\s[\w/-]+)?\s
        (?:collaborations|teams|consortia|surveys|projects)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_MAY_BE_ASTRONOMY_AND = re.compile(
    r""" (?:of|for) | (?:and|&) (?:the )?[\w/-]+(?: [\w/-]+)? """
    r"(?:collaborations|teams|consortia|surveys|projects)\b",
    re.IGNORECASE,
)
"""What each of the two needs, looked for at blanks alone."""
_STOP_BEFORE_INITIAL = re.compile(r"\.(?<=[^\W\d_]{4}\.)(?= [^\W\d_a-z](?:,|$))")  # Biswal. M
_RUN_TOGETHER = re.compile(r"(?<![^\W\d_])([^\W\d_a-z][a-z]?\.)(?=[^\W\d_a-z][^\W\d_]{2})")
_STOP_IN_A_WORD = re.compile(r"\.[^\W\d_a-z]")
_ADDRESS_OF_MAIL = re.compile(r"[^\s,;<>()]+@[^\s,;<>()]+")
_LOOSE_HYPHEN = re.compile(
    r"(?<=[^\W\d_a-z]) (?=-[^\W\d_a-z]\b)|(?<=[^\W\d_a-z]\.) (?=-[^\W\d_a-z]\.)"
)


def _cleaned(text: str) -> str:
    """A list without what is not part of a name."""
    text = tidy(text)
    text = re.sub(r"^(?:authors?\s*:|by(?:\s*:|(?=\s)))\s*", "", text, flags=re.IGNORECASE)
    if "\\" in text:
        text = _close_accents(text)
    if _HAS_FOOTNOTES.search(text):
        text = _FOOTNOTES.sub(_between, text)
    if "(" in text:
        text = _without_brackets(text)
    lower = text.lower()
    if any(word in lower for word in _WORDS_OF_MORE) and any(
        sign in lower for sign in _SIGNS_OF_MORE
    ):
        text = _MORE_AUTHORS.sub(f", {ET_AL},", text)
    if re.search(r"\d", text):
        text = _DIGITS_BETWEEN.sub(", ", _DIGITS_BEHIND.sub("", text))
    if "@" in text:
        text = _ADDRESS_OF_MAIL.sub("", text)
    is_odd = _holds_odd_words(text)
    if text.endswith(")") or (is_odd and " , " in text):
        text = _without_affiliation(text)
    if is_odd and _MAY_BE_ASTRONOMY_AND.search(text):
        text = _ASTRONOMY_AND.sub(_protected, text)
    if "' t " in text:
        text = re.sub(r"\b(in|op|van)' t ", r"\1 't ", text)
    if " -" in text:
        text = _LOOSE_HYPHEN.sub("", text)
    text = _STOP_BEFORE_INITIAL.sub("", text)
    if "~" in text:
        text = _UNTIED.sub(" ", text)
    return _RUN_TOGETHER.sub(r"\1 ", text) if _STOP_IN_A_WORD.search(text) else text


def _without_brackets(text: str) -> str:
    text = _AFFILIATIONS.split(text, maxsplit=1)[0]
    while "(" in text and (shorter := _BRACKETS.sub(_gap, text)) != text:
        text = shorter
    return _OPEN_BRACKET.sub("", text)


def _between(footnote: re.Match[str]) -> str:
    """What stands for a footnote's mark: `Moser$^1$ O. Agapov` has no comma of its own."""
    before = footnote.string[footnote.start() - 1 : footnote.start()]
    return "," if footnote[1] and before.isalpha() else ""


def _gap(brackets: re.Match[str]) -> str:
    """What stands for brackets: `Nia (Ni)Okafor` has a blank, `Nia Okafor (1)Tor Lind` a comma."""
    if not brackets[1]:
        return ""
    before = brackets.string[: brackets.start()].rpartition(",")[2]
    return ", " if " " in before.strip() else " "


def _protected(group: re.Match[str]) -> str:
    """A group's name with its `and` hidden from the separators."""
    place = group.start(1) if group[1] else group.start(2)
    end = place + len(group[1] or group[2]) - group.start()
    return f"{group[0][: place - group.start()]}\0{group[0][end:]}"


def _close_accents(text: str) -> str:
    r"""TeX without the blank inside of a letter: `\' n` and `\c c` are one letter each."""
    text = _RELAXED.sub(lambda match: match[1] or (" " if len(match[0]) == 2 else ""), text)
    text = _SPACED_ACCENT.sub(r"\1", text)
    text = _SPACED_LETTER_ACCENT.sub(r"\\\1{\2}", text)
    return _SPACED_LETTER.sub(r"\\\1{}", text)


# --- addresses ---

_ADDRESS = re.compile(
    r"""\b(?:univers[iíà]\w*|uniwersyt\w+|univ\.|in?stitut\w*|laborat\w+|d[eé]part\w+|dipart\w+|dept\.
        |fa[ck]ult\w+|schools?\sof|college|observat\w+|osservat\w+|cent(?:er|re)\s(?:for|of)
        |national\s\w+\s(?:center|centre))""",
    re.IGNORECASE | re.VERBOSE,
)
_BEGINS_ADDRESS = re.compile(
    r"""d[eé]part|dipart|dept|schools?$|facult|laboratoi|observatoi|osservat|institut[^e]
        |istitut|cent(?:er|re)$|centro|universi(?:t[àaé]|d)|astronomical""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_ADDRESSES = re.compile(
    r"national|royal|american|indian|chinese|european|united|max-?|leibniz|space$", re.IGNORECASE
)
"""Behind a name without initials these begin an address too."""


def _without_affiliation(text: str) -> str:
    """A list with blanks before its commas (LaTeXML's) may end with addresses, in no brackets.

    The bracket behind them is left sometimes.
    """
    pieces = text.split(" , ")
    for i, piece in enumerate(pieces):
        address = _ADDRESS.search(piece)
        if i and (address or piece.endswith(")")):
            name = _first_name(piece.partition(",")[0].split())
            is_last = address is None or len(name) < address.start()
            return " , ".join([*pieces[:i], name]) if is_last and name else text
        if address:
            names, comma, last = piece[: address.end()].rpartition(", ")
            return names + comma + _first_name(last.split())
    return text


def _first_name(words: list[str]) -> str:
    """The name that stands before an address: `Eva R. Poe` of `Eva R. Poe Dust University`."""
    end = 0 if words and is_initial(words[0]) else 1
    has_initials = any(map(is_initial, words[: end + 1]))
    while end < len(words) and is_initial(words[end]):
        end += 1
    particle, _ = without_particles(words[end:])
    end += len(particle.split()) + 1
    for i, word in enumerate(words[: end + 2]):
        if (
            _BEGINS_ADDRESS.match(word)
            or (i <= end and _ADDRESS.match(word))
            or (i >= end and re.match(r"[A-Z]{3}", word))
            or (i >= end and not has_initials and _OF_ADDRESSES.match(word))
        ):
            return " ".join(words[:i])
    return " ".join(words[:end])


def _without_addresses(parts: list[_Part]) -> list[_Part]:
    """Parts without the addresses behind the persons; an institution in front is an author."""
    first = next((i for i, part in enumerate(parts) if i and _is_address(part.text)), None)
    if first is None or _is_address(parts[0].text):
        return parts
    kept = parts[:first]
    inside = True
    for i in range(first, len(parts)):
        part = parts[i]
        if part.separator == ";":
            inside = _is_address(part.text)
        elif inside:
            following = parts[i + 1].text if i + 1 < len(parts) else ""
            inside = _is_address(part.text) or not _is_person(part, following, alternate=first == 1)
        elif _is_address(part.text) or (kept[-1].separator == ";" and not _has_initials(part)):
            inside = True
        if not inside:
            kept.append(part)
    return kept


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.search(text)) and not _COLLABORATION.search(text)


_COLLABORATION = re.compile(r"(?i)\b(?:collab\w*|consorti\w+|team|group|members)\b")


def _is_person(part: _Part, following: str, *, alternate: bool) -> bool:
    """Whether a part behind an address is not of that address.

    Where names and addresses `alternate`, a name without initials shows by the address behind it.
    """
    if is_et_al(part.text) or _COLLABORATION.search(part.text) or _has_initials(part):
        return True
    words = part.text.split()
    return 1 < len(words) < 5 and (
        part.separator == "and"
        or (alternate and _is_address(following) and words[0] not in _OF_PLACES)
    )


_OF_PLACES = frozenset("New North South East West San Santa St. St Los Las The United Hong".split())


def _has_initials(part: _Part) -> bool:
    words = part.text.split()
    return len(words) > 1 and is_initial(words[0]) and not words[-1][:1].isdigit()


# --- parts ---

_SEPARATOR = re.compile(
    r"""\s*(?: [,;，；、]?\s*(?:(?<=[\s,;，；、])(?:(?:and|And|AND)(?=[\s,])|et(?=\s)(?!\s+al\b)
               |und(?=\s+[^\s,;]+\s+[^\s,;]))|\\?&)\s*
             | [,;:|，；、]\s* | \s[·•]\s )""",
    re.VERBOSE,
)
_LETTERLESS = re.compile(r"[\W\d_]*")
_NOTHING = frozenset("phd ph.d md m.d msc m.sc dr prof and und by the".split())
_FOR = re.compile(
    r"(?:^|\s)(?:for|on\s+behalf\s+of|representing|(?:in\s+collaboration\s+)?with)\s+"
    r"(?:all\s+(?:of\s+)?)?(?:the\s+)?",
    re.IGNORECASE,
)


_ODD_SEPARATORS = (*";:|&，；、·•", " and", " And", " AND", ",and", " et ", " und ")


def _parts(text: str) -> list[_Part]:
    parts: list[_Part] = []
    separator = ";"
    for piece, following in _pieces(text):
        plain = plain_name(piece.strip(" \t"), "", "")
        if plain:  # what follows would leave it as it is
            parts.append(_Part(separator, plain))
            separator = ""
        for name in () if plain else _names_with_groups(piece):
            name, suffix = _without_suffix(bare_name(name))
            if parts and suffix and not name:
                parts[-1] = parts[-1]._replace(suffix=suffix)
            elif not _is_nothing(name):
                parts.append(_Part(separator, name, suffix))
                separator = ""
        if separator not in (";", "and"):
            separator = following
    return parts


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """What stands between separators, and the kind of the separator behind it."""
    if not any(sign in text for sign in _ODD_SEPARATORS):
        for piece in text.split(","):
            yield piece.replace("\0", "and"), ","
        return
    start = 0
    for match in _SEPARATOR.finditer(text):
        yield text[start : match.start()].replace("\0", "and"), _kind(match[0].strip())
        start = match.end()
    yield text[start:].replace("\0", "and"), ""


def _names_with_groups(piece: str) -> list[str]:
    """`N. Okafor for the Lamp Collaboration` cut in two; an Institute for Dust is not."""
    match = _FOR.search(piece) if "for" in piece or "with" in piece or "behalf" in piece else None
    before = piece[: match.start()].strip() if match else ""
    if match is None or before.lower().startswith("the ") or INSTITUTION.search(before):
        return [piece]
    return [before, piece[match.end() :]]


def _without_suffix(name: str) -> tuple[str, str]:
    """A name and the suffix behind it; nothing and the suffix if it is all that there is."""
    head, _, last = name.rpartition(" ")
    if len(last) > 3 or not is_suffix(last):
        return name, ""
    return (head[:-1] if head.endswith(".") and not is_initial(head) else head), last


def _is_nothing(name: str) -> bool:
    if len(name) > 5 and name[0].isalpha():
        return False
    return bool(_LETTERLESS.fullmatch(name)) or name.lower().rstrip(".") in _NOTHING


def _kind(sign: str) -> str:
    if sign in (",", "，", "、"):
        return ","
    return ";" if sign in (";", ":", "|", "；", "·", "•") else "and"


# --- names ---


def _names(parts: Sequence[_Part]) -> list[str]:
    pairs = _pairs(parts)
    if pairs is not None:
        return pairs
    if any(part.text[1:2].isupper() for part in parts) and _have_capitals_first(parts):
        return [_with_capitals_first(part) for part in parts]
    if not any(map(_may_end_in_initials, parts)):
        return [part.name for part in parts]
    words_of = [[] if _is_alone(part.text) else part.text.split() for part in parts]
    persons = list(filter(None, words_of))
    bare = len(persons) > 1 and all(map(_has_bare_initials_last, persons))
    firsts = [initials_from(words, bare=bare) for words in words_of]
    surnames = [
        words[:first] for first, words in zip(firsts, words_of, strict=True) if first < len(words)
    ]
    family_first = 2 * len(surnames) > len(parts) and any(
        " " not in without_particles(surname)[1] for surname in surnames
    )
    names = []
    for part, words, first in zip(parts, words_of, firsts, strict=True):
        if first == len(words):
            names.append(part.name)
        elif family_first:
            names.append(
                name_from_parts(" ".join(words[:first]), " ".join(words[first:]), part.suffix)
            )
        else:
            name = split_name(part.text)
            names.append(name_from_parts(name.surname, name.given, part.suffix))
    return names


def _may_end_in_initials(part: _Part) -> bool:
    return part.text[-1] == "." or part.text[-1].isupper()


def _has_bare_initials_last(words: list[str]) -> bool:
    return len(words) > 1 and is_bare_initials(words[-1]) and not is_initial(words[0])


def _have_capitals_first(parts: Sequence[_Part]) -> bool:
    """Whether all names are like `OKAFOR Nia`."""
    persons = [part.text.split() for part in parts if not _is_alone(part.text)]
    return (
        len(persons) > 1
        and any(len(words[0]) > 3 for words in persons)
        and all(
            len(words[0]) > 1
            and words[0].isupper()
            and "." not in words[0]
            and not words[-1].isupper()
            for words in persons
        )
    )


def _with_capitals_first(part: _Part) -> str:
    if _is_alone(part.text):
        return part.name
    words = part.text.split()
    first = next(i for i, word in enumerate(words) if not word.isupper())
    return name_from_parts(" ".join(words[:first]), " ".join(words[first:]), part.suffix)


# --- pairs of family and given name ---


def _pairs(parts: Sequence[_Part]) -> list[str] | None:
    """The names of a list of `Family, Given`; None if the list is not one.

    Such a list shows in its family names: one word each, mostly, or initials alone behind them.
    In other lists names of one word are rare, and initials begin a part. Where every name has
    semicolons or an `and` around it, a comma inside of it tells.
    """
    if _are_pairs_apart(parts):
        return _paired(parts)[0]
    if 4 * sum(map(_may_be_half, parts)) < len(parts) - 3:
        return None
    names, strengths = _paired(parts)
    strong, weak = strengths.count(1), strengths.count(-1)
    lone = strengths.count(None)
    if len(parts) == 2 and len(names) == 1:
        return names if _is_lone_pair(*parts) else None
    if not strong or strong < 2 * weak or lone > max(1, strong // 3) or (lone == strong == 1):
        return None
    return names


def _is_lone_pair(part: _Part, after: _Part) -> bool:
    """Whether the only two parts of a list are a pair: `Okafor, J. Robert`, not `Anna Berg, V`."""
    family, given = part.text, after.text
    if _strength(family, given) == 1:
        # "Anna Berg, B. B. K" names two, one of them with a family name of one letter.
        return " " not in family or "." not in given or given.endswith(".")
    return " " not in family and given.count(" ") < 3


def _may_be_half(part: _Part) -> bool:
    """Whether a part may belong to a pair that counts, for a quick look."""
    return " " not in part.text or part.text[0].islower() or _may_end_in_initials(part)


def _are_pairs_apart(parts: Sequence[_Part]) -> bool:
    starts = [i for i, part in enumerate(parts) if part.separator != ","]
    if len(starts) < 2:
        return False
    segments = [
        parts[start:end] for start, end in zip(starts, [*starts[1:], len(parts)], strict=True)
    ]
    pairs = [segment for segment in segments if len(segment) == 2]
    return (
        len(pairs) > 1
        and all(_may_be_pair(family, given) for family, given in pairs)
        and all(
            len(segment) == 2 or (len(segment) == 1 and _is_alone(segment[0].text))
            for segment in segments
        )
    )


def _paired(parts: Sequence[_Part]) -> tuple[list[str], list[int | None]]:
    """The names, if parts are pairs where they can be, and how much each speaks for that.

    1 for a pair that does, -1 for one that does not, 0 for neither; None for a part by itself.
    """
    names: list[str] = []
    strengths: list[int | None] = []
    i = 0
    while i < len(parts):
        part, after = parts[i], parts[i + 1] if i + 1 < len(parts) else None
        if _is_alone(part.text) and not (after and _is_split_group(part.text, after)):
            names.append(part.name)
            strengths.append(0)
        elif after and _may_be_pair(part, after):
            names.append(name_from_parts(part.text, after.text, part.suffix or after.suffix))
            strengths.append(_strength(part.text, after.text))
            i += 1
        else:
            names.append(part.name)
            strengths.append(None)
        i += 1
    return names, strengths


def _is_alone(text: str) -> bool:
    """Whether a text is a name by itself: of a group, `et al.`, or an acronym."""
    return is_group(text) or is_et_al(text) or bool(_ACRONYM.fullmatch(text))


_ACRONYM = re.compile(r"\w*[a-z]\w*[A-Z]{2}\w*")


def _is_split_group(text: str, after: _Part) -> bool:
    """`Collaboration, Planck`: a group's name that somebody turned round."""
    return after.separator == "," and bool(GROUP.fullmatch(text)) and not is_group(after.text)


def _may_be_pair(part: _Part, after: _Part) -> bool:
    family, given = part.text, after.text
    if after.separator != "," or _is_alone(given):
        return False
    return (
        family != family.lower()  # Chinese has no capitals
        and family.count(" ") < 5
        and given.count(" ") < 5
        and not any(map(is_initial, family.split()))
    )


def _are_initials(text: str) -> bool:
    return all(map(is_initial, text.split()))


def _strength(family: str, given: str) -> int:
    initials = [is_initial(word) for word in given.split()]
    if all(initials):
        return 1
    if initials[0] and not initials[-1]:  # "Ruksana, N. Okafor"; seldom "Okafor, J. Robert"
        return -1 if " " in family else 0
    words = without_particles(family.split())[1].split()
    # "Ben Moews" and "Bin Liu" begin with what may be a particle.
    if len(words) == 1 and (" " not in family or family[0].islower() or " " not in given):
        return 1
    return 0 if initials[-1] else -1

"""Whether an author is the one that a query names, as the search of ADS has it.

A query is `Family`, `Family, Given`, `Family, G. H.`, or the same with given names first. The
family name must be the author's, with its particles. Accents and case do not count, `ö` is `o` and
`oe`, and hyphens, apostrophes and capitals inside of a word are blanks: `O'Neill` is `ONeill`,
`DiMatteo` is `Di Matteo`. Given names are compared one by one from the first on, as far as both
have them, and an initial stands for any that begins with it: `Smith, John A` is J. Smith and John
Smith, not Bob Smith or Jane Smith. A `^` in front asks for the first author
(https://ui.adsabs.harvard.edu/help/search/search-syntax).
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from astrosearch.text.authors import (
    OF_FAMILIES,
    PARTICLES,
    SUFFIXES,
    is_bare_initials,
    is_group,
    is_initial,
    name_words,
    split_name,
    without_particles,
)

LONGEST_SURNAME = 5
"""Words of a surname."""

Spellings = tuple[str, ...]
"""What is one word, or surname, in lower case without accents."""

_WIDE = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "ae", "Ö": "oe", "Ü": "ue"}
    | {"Ø": "oe", "Å": "aa"}
)
_DIGRAPH = re.compile(r"(a)a|([aou])e")
_AMBIGUOUS = PARTICLES | SUFFIXES | OF_FAMILIES | frozenset("y i e".split())
"""Words of a folded name that leave open where the surname begins."""
_COMMA = re.compile(r"[^ ]{2}  +[^ ]")
_ARTICLE_OR_PLURAL = re.compile(r"^the(?=.)|(?<=collaboration)s$")
_CAPITAL_INSIDE = re.compile(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])")
# O'Neill, N'Diaye, Mac Low: with a blank and without.
_PREFIX = r"[dlo]|n(?= ?[b-df-hj-np-tv-z])|mac|mc"
_JOINED_TO_NEXT = re.compile(rf"\b({_PREFIX}) (?=[^ ])")
_PREFIXED = re.compile(rf"({_PREFIX})([^ ]{{3}}.*)")
_ELIDED = re.compile(r" [^ ] [^ ]+ $")

# Between a given name and a family name these are another given name, not half of the family name.
_GIVEN = frozenset(
    """adam alan albert alex alexander alice amy andrea andrew ann anna anne anthony antonio
    arthur ben benjamin brian carl carlos catherine charles chris christian christopher claire
    daniel david edward elena elizabeth emily eric eva francesco francis francisco frank george
    giovanni gregory hans helen henry hyun ian isabel jack jae jacob james jan jane jason javier
    jean jeffrey jennifer jessica joan joanna john jonathan jorge jose joseph juan julia julian
    karen karl katherine keith kevin kim kumar laura lee lisa louis louise luca lucas luis marco
    maria marie mark martin mary matthew max michael miguel min nicholas nicolas oliver oscar pablo
    patricia patrick paul pedro peter philip philippe pierre rachel raj ramon richard robert rosa
    ruth ryan samuel sandra sara sarah scott sean simon sofia soo stefan stephen steven sung susan
    thomas timothy victor vincent walter wayne will william young""".split()
)
_SYLLABLE = re.compile(  # of Chinese, in pinyin
    r"(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:a|ai|an|ang|ao|e|ei|en|eng|er|i|ia|ian|iang|iao|ie|in"
    r"|ing|iong|iu|o|ong|ou|u|ua|uai|uan|uang|ue|ui|un|uo)"
)


class _Reading(NamedTuple):
    """One way to take a query, or an author's name, apart."""

    family: Spellings
    """The surname, in its spellings."""
    given: tuple[Spellings, ...] = ()
    is_stretched: bool = False
    """Of an author: the surname has words that may be given names, as in `Ann Poe Lind`. Of a
    query: it may be such a surname."""


class AuthorQuery:
    """A query for an author; the module says what it means.

    >>> AuthorQuery("Smith, J").matches("John A. Smith")
    True
    >>> AuthorQuery("O'Neill").matches("Ann ONeill"), AuthorQuery("Mink").matches("Ann de Mink")
    (True, False)
    """

    def __init__(self, text: str) -> None:
        bare = _unicode(text.replace('"', " ").strip())
        self.is_first = bare.startswith("^")
        """Whether only the first author counts."""
        splits = list(dict.fromkeys(_splits(bare.lstrip("^ "))))
        self._readings = [_Reading(_surname(split.surname), *split[1:]) for split in splits]
        forms = {form for split in splits for form in _forms(split.surname)}
        self.forms = tuple(
            form for form in forms if not any(other in form for other in forms - {form})
        )
        """What a line of `author_words` has, one of them, if it names the author: words between
        blanks. Empty if the query names nobody."""

    def matches(self, name: str, *, particles: bool = True) -> bool:
        """Whether the query names an author.

        Args:
            name: the author, as a paper's record has the name.
            particles: whether the query must have the particles of the author's family name.
        """
        name = _unicode(name)
        return any(
            not set(query.family).isdisjoint(author.family)
            and _agree(query.given, author.given)
            and (query.is_stretched or not author.is_stretched)
            for author in _readings_of_author(name, particles=particles)
            for query in self._readings
        )

    def first_place(
        self, names: Sequence[str], lines: str, *, particles: bool = True
    ) -> int | None:
        """Where in a paper's list the first author stands whom the query names; None if it names
        none of them.

        Args:
            names: the authors.
            lines: their `author_words`.
            particles: as in `matches`.
        """
        named = (
            place
            for place, _ in self._lines(lines)
            if place < len(names) and self.matches(names[place], particles=particles)
        )
        return min(named, default=None)

    def places(self, lines: str) -> list[int] | None:
        """Which authors the query may name, by the `author_words` of them all; None if it names
        one of them for certain.

        The lines have lost accents, capitals and commas, but tell of most authors without them.
        """
        places: set[int] = set()
        for place, line in self._lines(lines):
            is_named = self._matches_line(line)
            if is_named:
                return None
            if is_named is None:
                places.add(place)
        return sorted(places)

    def _lines(self, lines: str) -> Iterator[tuple[int, str]]:
        """The lines that have one of `forms`, each with its place."""
        text = lines.partition("\n")[0] if self.is_first else lines
        for form in self.forms:
            found = text.find(form)
            while found >= 0:
                start = text.rfind("\n", 0, found) + 1
                end = (text.find("\n", found) + 1 or len(text) + 1) - 1
                yield text.count("\n", 0, start), text[start:end]
                found = text.find(form, end)

    def _matches_line(self, line: str) -> bool | None:
        *given, family = words = line.split()
        # A blank more than between words stands for a comma, or behind an initial.
        if len(family) == 1 or not _AMBIGUOUS.isdisjoint(words) or _COMMA.search(line):
            return None
        is_half = (
            bool(given) and len(given[-1]) > 1 and not (len(given) == 1 and _is_given(given[0]))
        )
        # Nia Poe Lind may be Nia Poe-Lind, Gopal Krishna Gopal-Krishna, Nia O Lind Nia O'Lind.
        if is_half or _ELIDED.search(line) or is_group(line):
            return None
        spellings = [(word,) for word in given]
        readings = [query for query in self._readings if family in query.family]
        agreeing = [query for query in readings if _agree(query.given, spellings)]
        if agreeing:  # "jd" may be J. D.
            has_initials = any(1 < len(word) < 4 for word in given)
            return True if not has_initials or len(agreeing[0].given) < 2 else None
        is_sure = len(readings) == len(self._readings) and not any(
            query.is_stretched or not given or query.given[0][0][0] == given[0][0]
            for query in readings
        )
        return False if is_sure else None


# --- queries ---


class _Split(NamedTuple):
    """A query cut into surname and given names."""

    surname: str
    given: tuple[Spellings, ...] = ()
    is_stretched: bool = False


def _splits(text: str) -> Iterator[_Split]:
    if is_group(text):
        yield _Split(text)
        return
    words = text.split()
    if "," in text:
        name = split_name(text)
        is_several = len(_words(name.family)) > 1
        yield _Split(name.surname, _given(name.given), is_stretched=is_several)
        return
    initials = _trailing_initials(words)
    words = [word.upper() if len(word) == 1 else word for word in words]
    if words and words[0] in _GIVEN:
        words[0] = words[0].capitalize()  # "ben smith" is not ben Smith
    if initials:  # "Lee YS", "smith j"
        is_several = len(words) - initials > 1
        family, given = words[:-initials], words[-initials:]
        yield _Split(" ".join(family), _given(" ".join(given)), is_stretched=is_several)
    if not initials or len(words[-1]) == 1:
        name = split_name(" ".join(words))
        is_several = len(_words(name.family)) > 1
        yield _Split(name.surname, _given(name.given), is_stretched=is_several)
    # "Collier Cameron" and "Ann Collier Cameron" may have a family name of two words.
    for i in range(max(0, len(words) - LONGEST_SURNAME), len(words) - 1):
        if not is_initial(words[i]):
            has_initials = any(map(is_initial, words[i:]))
            may_be_cut = not has_initials and not _is_given(words[i])
            yield _Split(" ".join(words[i:]), _given(" ".join(words[:i])), is_stretched=may_be_cut)


def _trailing_initials(words: Sequence[str]) -> int:
    """How many words at the end are initials without full stops, as of `lee y s` and `Lee YS`."""
    count = 0
    while count < len(words) - 1 and (
        len(words[-count - 1]) == 1
        or (is_bare_initials(words[-count - 1]) and not " ".join(words).isupper())
    ):
        count += 1
    return count


def _forms(surname: str) -> Iterator[str]:
    """The words that every author of this surname has side by side, whatever the spelling."""
    if is_group(surname):  # H.E.S.S. is " h e s s " there
        last = name_words(surname)[-1]
        yield from {f" {last} ", f" {last.removesuffix('s')} ", f" {last}s "}
        return
    core = without_particles(surname.split())[1]
    for spelling in {*_surname(surname), *_surname(core), *_spaced(core)} - {""}:
        for form in (spelling, _DIGRAPH.sub(r"\1\2", spelling)):
            yield f" {form} "
            yield f" {form.replace(' ', '')} "
            if prefixed := _PREFIXED.fullmatch(form):
                yield f" {prefixed[1]} {prefixed[2]} "


def _is_given(word: str) -> bool:
    """Whether a word is a given name rather than half of a family name."""
    first, *_ = name_words(word) or [""]
    return first in _GIVEN or bool(_SYLLABLE.fullmatch(first))


# --- authors ---


def _readings_of_author(name: str, *, particles: bool) -> Iterator[_Reading]:
    if is_group(name):
        yield _Reading(_surname(name))
        return
    parts = split_name(name)
    given = _given(parts.given)
    yield _Reading(_surname(parts.surname), given)
    if parts.particle and not particles:
        yield _Reading(_surname(parts.family), given)
    family = parts.family.split()
    while len(family) > 1 and is_initial(family[-1]):  # "Balagopal V."
        family.pop()
        yield _Reading(_surname(f"{parts.particle} {' '.join(family)}"), given)
    words = parts.given.split()
    surname = parts.surname
    while words and not is_initial(words[-1]) and "," not in name:
        surname = f"{words.pop()} {surname}"
        yield _Reading(_surname(surname), _given(" ".join(words)), is_stretched=True)


# --- spellings ---


def _words(text: str) -> list[Spellings]:
    """The words of a text, each in its spellings."""
    if text.isascii():
        return [(word,) for word in name_words(text)]
    text = unicodedata.normalize("NFC", text)
    plain, wide = name_words(text), name_words(text.translate(_WIDE))
    return [
        (word,) if word == other else (word, other) for word, other in zip(plain, wide, strict=True)
    ]


def _spaced(text: str) -> Spellings:
    """The words of a text between blanks, in their spellings."""
    words = _words(text)
    return tuple({" ".join(word[place] for word in words) for place in (0, -1)})


def _surname(text: str) -> Spellings:
    """A surname, or a group's name without its article and plural, in its spellings."""
    if is_group(text):
        return tuple(_ARTICLE_OR_PLURAL.sub("", words.replace(" ", "")) for words in _spaced(text))
    spellings = {*_spaced(text), *_spaced(_CAPITAL_INSIDE.sub(" ", text))}
    return tuple({_JOINED_TO_NEXT.sub(r"\1", spelling) for spelling in spellings})


def _given(text: str) -> tuple[Spellings, ...]:
    """Given names one by one; `JP` is J. P."""
    spread = " ".join(
        " ".join(word.replace("-", "")) if is_bare_initials(word) else word for word in text.split()
    )
    return tuple(_words(spread))


def _agree(query: Sequence[Spellings], author: Sequence[Spellings]) -> bool:
    """Whether given names agree as far as both go; somebody without any agrees with none."""
    i = j = 0
    while i < len(query) and j < len(author):
        if not set(query[i]).isdisjoint(author[j]) or _is_initial_of(query[i], author[j]):
            i, j = i + 1, j + 1
        elif run := _run_together(query[i], author[j:]) or _run_together(author[j], query[i:]):
            # "Yuansen" is "Yuan Sen".
            longer_is_query = len(query[i][0]) > len(author[j][0])
            i, j = (i + 1, j + run) if longer_is_query else (i + run, j + 1)
        else:
            return False
    return bool(author) or not query


def _is_initial_of(word: Spellings, other: Spellings) -> bool:
    return min(len(word[0]), len(other[0])) == 1 and word[0][0] == other[0][0]


def _run_together(word: Spellings, others: Sequence[Spellings]) -> int:
    """How many words one word is, written without blanks; 0 if it is not."""
    letters = ""
    for count, other in enumerate(others, start=1):
        letters += other[0]
        if letters == word[0]:
            return count
    return 0


def _unicode(name: str) -> str:
    if "\\" not in name and "{" not in name:
        return name
    from astrosearch.text.tex import to_unicode

    return to_unicode(name)

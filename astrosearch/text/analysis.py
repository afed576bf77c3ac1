r"""The words of a text, such that the spellings of one thing meet.

Astronomers write NGC 1068, NGC1068 and ngc-1068; Hα, H-alpha, Halpha and $H\alpha$; colour and
color; z~7, z = 7 and $z\sim7$. Here each becomes the same words. Papers and questions are cut by
the same function, so what it gets wrong it gets wrong on both sides.

A text is cut as finely as it goes (`ngc 1068`, `h alpha`, `gamma ray`), which is what phrases
compare. Neighbours that make up a name are also joined, as `compounds` (`ngc1068`, `halpha`,
`gammaray`), which is what tells NGC 1068 from any other paper on an NGC and a 1068.

The work is done once for each distinct piece between white spaces and kept, because nearly all
pieces of a corpus have been met before.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import Stemmer

from astrosearch.text import tables, units

LONGEST = 64
"""Letters after which a word is cut; no real word is longer."""

LONGEST_KEPT = 200
"""Letters of a piece between white spaces up to which its words are cached."""

_stem = Stemmer.Stemmer("english", 0).stemWord

_GREEK = frozenset(tables.GREEK.values())

# A hyphen is the joint of a compound: everything that joins without meaning becomes one.
_SIGNS = str.maketrans(
    {sign: f"-{name}-" for sign, name in tables.GREEK.items()}
    | tables.LETTERS
    | {"µ": "-mu-", "⊙": "-sun-", "☉": "-sun-", "å": "a", "’": "'", "‘": "'", "′": "'"}
    | dict.fromkeys(map(chr, range(0x2010, 0x2016)), "-")
    | dict.fromkeys("−_^~\u00a0", "-")
    | dict.fromkeys("∼≈≃≅≲≳≤≥≪≫⩽⩾<>±∝≡", "=")
    | dict.fromkeys("${}\u200b\xad", "")
    | dict.fromkeys(tables.COMBINING_ACCENTS, "")
)

_A_LETTER = "|".join(tables.LETTER_MACROS)
# In front of a word, `\AA` is a unit.
_A_LETTER_OF_A_WORD = "|".join(
    letter for letter in tables.LETTER_MACROS if letter not in ("AA", "AE", "OE")
)
_ACCENTS_APART = re.compile(
    rf"\\[{tables.ACCENT_LETTERS}] +(?=[A-Za-z])|\\(?:{_A_LETTER_OF_A_WORD})(?: +|\{{\}})"
)
_ACCENTS = re.compile(rf"\\[{tables.ACCENT_SIGNS}]|\\[{tables.ACCENT_LETTERS}](?=\{{)")
_LETTERS = re.compile(rf"\\({_A_LETTER})(?![A-Za-z])")
_MACRO = re.compile(r"\\([A-Za-z]+)\*?|\\.?")
_MICRON = re.compile(r"-mu-+m(?![a-z])")
# What says how a text looks with an argument of its own, or puts nothing but space.
_SILENT = tables.SILENT | frozenset(
    """mathrm mathit mathbf mathsf mathcal mathscr mathbb textrm textit textbf textsf textsc texttt
    textsl text mbox hbox emph ensuremath ion boldmath textsuperscript textsubscript operatorname
    boldsymbol bm vec hat bar tilde dot overline underline sqrt frac dfrac tfrac quad qquad cdot
    times""".split()
)
_MACROS = {
    **{name: f"-{name}-" for name in _GREEK},
    **{f"var{name}": f"-{name}-" for name in _GREEK},
    **dict.fromkeys(tables.RELATIONS, "="),
    **dict.fromkeys(_SILENT, ""),
    **dict.fromkeys(("odot", "sun", "bigodot"), "-sun-"),
}

_POSSESSIVE = re.compile(r"'s\b|'")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ATOM = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?(?:[^\W\d_]+)?", re.ASCII)
_ATOM_OF_ANY_SCRIPT = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?(?:[^\W\d_]+)?")
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)([^\W\d_]+)")
_ENDS_HARD = re.compile(r"[.,;:!?)\]\"”]+[${}]*$")

_ELEMENTS = "h he c n o ne na mg al si s ar ca ti cr mn fe ni".split()
_STAGES = [numeral.lower() for numeral in tables.ROMAN]
_STAGE = frozenset(_STAGES)
_ELEMENT = frozenset(_ELEMENTS)

_PARTS = (
    {
        element + stage: (element, stage)
        for element in _ELEMENTS
        for stage in _STAGES
        if element + stage not in {"six", "mix", "civil"}
    }
    | {
        line + letter: (line, letter)
        for line in ("h", "ly", "pa", "br", "lyman")
        for letter in ("alpha", "beta", "gamma", "delta", "epsilon")
    }
    | {
        whole: tuple(parts.split())
        for whole, parts in {
            "lya": "ly alpha",
            "lyb": "ly beta",
            "lcdm": "lambda cdm",
            "lambdacdm": "lambda cdm",
            "wcdm": "w cdm",
            "xray": "x ray",
            "xrays": "x ray",
            "gammaray": "gamma ray",
            "gammarays": "gamma ray",
            "nbody": "n body",
            "snia": "sn ia",
            "sneia": "sn ia",
            **{unit + "sun": f"{unit} sun" for unit in "mlrz"},
        }.items()
    }
)
"""Words that are also written apart."""

_SHORT = {"messier": "m", "lyman": "ly", "paschen": "pa", "brackett": "br"} | {
    "redshift": "z",
    "redshifts": "z",
    "markarian": "mrk",
    "mkn": "mrk",
    "sne": "sn",
}
"""How the first word of a compound is abbreviated: Messier 31, Lyman-alpha, redshift 7."""

_BETWEEN = frozenset("of about around approximately roughly".split())
"""What may stand between a redshift and its number."""

STOP_WORDS = frozenset(
    """a about above after all also an and any are as at be because been before being below
    between both but by can could did do does during each few for from further had has have having
    he her here his how i if in into is it its itself may more most much no nor not of off on once
    only or other our out over own same she should so some such than that the their them then there
    these they this those through to too under until up upon us very via was we were what when
    where whether which while who whom why will with within without would you your""".split()
)
"""Function words of English. They are indexed, for phrases, but seldom tell papers apart."""

# American spellings, except that -ize becomes -ise, because -ise to -ize would need a word list.
_SPELLINGS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"iz(?=(?:e|ed|es|er|ers|ing|able|ations?|ational)$)", "is"),
        (r"yz(?=(?:e|ed|es|er|ers|ing)$)", "ys"),
        (r"(behavi|neighb|endeav|harb|flav|fav|vap|hon|lab|hum|rum|tum)our", r"\1or"),
        (r"(od|arm|rig|vig)our(?=s?$|less$|ed$)", r"\1or"),
        (r"colour", r"color"),
        (r"(cent|fib|calib|spect|theat|lust)re(?=s?$)", r"\1er"),
        (r"^((?:kilo|centi|(?:sub)?milli|micro|nano|sub)?(?:met|lit))re(?=s?$)", r"\1er"),
        (r"(cent)red$", r"\1ered"),
        (r"(cent)ring$", r"\1ering"),
        (r"(mod|lab|trav|lev|chann|tunn|canc|fu)ell(?=ed|ing|er)", r"\1el"),
        (r"(sign|spir|equ|tot)all(?=ed|ing)", r"\1al"),
        (r"^grey", "gray"),
        (r"(catal|anal|dial)ogu(?:e(?=s?$|d$)|(?=ing$))", r"\1og"),
        (r"^disc(?=s?$)", "disk"),
        (r"^sulph", "sulf"),
        (r"^alumini", "alumin"),
        (r"^artefact", "artifact"),
        (r"^manoeuvr", "maneuver"),
        (r"^programme(?=s?$)", "program"),
        (r"(def|off|lic)ence(?=s?$)", r"\1ense"),
        (r"^(pal|arch)ae(?=o)", r"\1e"),
        (r"^haemat", "hemat"),
        (r"^caes(?=ium)", "ces"),
        (r"^sceptic", "skeptic"),
        (r"^ageing$", "aging"),
        (r"^focuss(?=ed|ing|es)", "focus"),
        (r"^towards$", "toward"),
        (r"ae$", "a"),  # novae, nebulae
    )
]  # fmt: skip

_STEMS = {
    plural: singular
    for singular, plurals in {
        "spectrum": "spectrum spectra spectrums",
        "nucleus": "nucleus nuclei",
        "radius": "radius radii",
        "maximum": "maximum maxima maximums",
        "minimum": "minimum minima minimums",
        "continuum": "continuum continua",
        "momentum": "momentum momenta",
        "phenomenon": "phenomenon phenomena",
        "criterion": "criterion criteria",
        "locus": "locus loci",
        "focus": "focus foci focuses focused focusing",
        "axis": "axis axes",
        "matrix": "matrix matrices",
        "vertex": "vertex vertices",
        "index": "index indices indexes",
        "analysis": "analysis analyses analyse analysed analysing analyser",
        "hypothesis": "hypothesis hypotheses",
        "synthesis": "synthesis syntheses",
        "ephemeris": "ephemeris ephemerides",
        "halo": "halo halos haloes",
        "dwarf": "dwarf dwarfs dwarves",
        "lens": "lens lenses lensed lensing",
        "bias": "bias biases biased",
        "gas": "gas gases",
        "sn": "sn sne",
        "medium": "medium media",
        "datum": "datum data",
        "quantum": "quantum quanta",
        "stratum": "stratum strata",
        "supernova": "supernova supernovas",
        "mass": "mass masses",
        "torus": "torus tori",
        "annulus": "annulus annuli",
        "modulus": "modulus moduli",
        "vortex": "vortex vortices",
        "extremum": "extremum extrema",
        "perihelion": "perihelion perihelia",
        "aphelion": "aphelion aphelia",
        "basis": "basis bases",
        "thesis": "thesis theses",
        "crisis": "crisis crises",
        "plateau": "plateau plateaus plateaux",
        "polyhedron": "polyhedron polyhedra",
        "micron": "micron microns um micrometer micrometers",
        "relativity": "relativity",
        "positive": "positive positives positively",
        "experience": "experience experiences experienced",
        "intensive": "intensive intensively",
        "university": "university universities",
        "universal": "universal universally universality",
        "several": "several",
        "organic": "organic organics",
    }.items()
    for plural in plurals.split()
}
"""Words that the stemmer keeps apart, or throws together with others."""


class Analyzed(NamedTuple):
    """The words of a text."""

    terms: list[str]
    """Cut as finely as it goes, in the text's order, repeated as often as they occur."""
    compounds: list[str]
    """Neighbours that belong together, joined."""


def analyze(text: str) -> Analyzed:
    r"""Cut a text into stemmed words.

    >>> analyze("Colours of the $\gamma$-ray source NGC1068")
    Analyzed(terms=['color', 'of', 'the', 'gamma', 'ray', 'sourc', 'ngc', '1068'],
             compounds=['gammaray', 'ngc1068'])
    """
    if "\\" in text:
        text = _accents_joined(text)
    terms: list[str] = []
    compounds: list[str] = []
    before = None
    for piece in text.split():
        # A long piece is not cached: a corpus of them would fill the memory.
        cut = _piece if len(piece) <= LONGEST_KEPT else _piece.__wrapped__
        stems, joined, first, last = cut(piece)
        if stems:
            terms += stems
            if joined:
                compounds += joined
            if before is not None and first is not None:
                compounds += _across(before, first)
            if not (first in _BETWEEN and before in ("redshift", "redshifts")):
                before = last
        elif last is None or (last == "=" and before not in ("z", "redshift")):
            before = None
    return Analyzed(terms, compounds)


def normalize(text: str) -> str:
    r"""A text as its words alone, in lower case, not stemmed.

    An encoder may read it, so that a word becomes the same tokens in a title, in TeX and at the
    beginning of a sentence. It begins with a space, as words do elsewhere in a text.

    >>> normalize("Colours of the $\gamma$-ray source NGC1068")
    ' colours of the gamma ray source ngc 1068'
    """
    if "\\" in text:
        text = _accents_joined(text)
    cut = (
        _plain_piece(piece) if len(piece) <= LONGEST_KEPT else _plain_piece.__wrapped__(piece)
        for piece in text.split()
    )
    return "".join(cut)


@lru_cache(maxsize=1 << 17)
def _plain_piece(piece: str) -> str:
    return "".join(f" {atom}" for atom, _ in _atoms(_without_tex(piece)))


def _accents_joined(text: str) -> str:
    r"""`\o rsted` is one word: `\o{}rsted`."""
    return _ACCENTS_APART.sub(lambda match: match[0].rstrip(" {}") + "{}", text)


_Piece = tuple[tuple[str, ...], tuple[str, ...], str | None, str | None]


@lru_cache(maxsize=1 << 17)
def _piece(piece: str) -> _Piece:
    """What stands between two white spaces: its words and compounds; its first and last word as
    they are before stemming, each None if a sign of punctuation parts it from its neighbours.

    Without words, the last is None for punctuation, `=` for a relation, empty for nothing.
    """
    clean = _without_tex(piece)
    pairs = _atoms(clean)
    atoms, gaps = [atom for atom, _ in pairs], [gap for _, gap in pairs]
    if not atoms:
        if "=" in clean or piece == "~":
            return (), (), None, "="
        return (), (), None, "" if not clean.strip("-") and piece not in ("-", "–", "—") else None
    joined = [
        compound
        for left, right, gap in zip(atoms, atoms[1:], gaps[1:], strict=False)
        for compound in _joined(left, right, gap)
    ]
    for head, number, letter in zip(atoms, atoms[1:], atoms[2:], strict=False):
        if head.isalpha() and number[0].isdigit() and len(letter) == 1 and letter.isalpha():
            joined.append(head + number + letter)  # HD 209458b, SN1987A
    first = atoms[0] if not gaps[0].strip("-") else None
    if len(atoms) > 1 and atoms[0][0].isdigit() and len(atoms[1]) == 1 and gaps[1] == "":
        first = first and f"{first} {atoms[1]}"
    last = None if _ENDS_HARD.search(piece) else atoms[-1]
    return tuple(map(stem, atoms)), tuple(joined), first, last


def _atoms(clean: str) -> list[tuple[str, str]]:
    """The words of a piece, as finely as it is cut, each with what stands before it."""
    pattern = _ATOM if clean.isascii() else _ATOM_OF_ANY_SCRIPT
    atoms = []
    end = 0
    for match in pattern.finditer(clean):
        gap = clean[end : match.start()]
        end = match.end()
        for part in _parts(match[0][:LONGEST]):
            atoms.append((part, gap))
            gap = ""
    return atoms


def _without_tex(piece: str) -> str:
    """A piece in lower case, Greek letters spelt out, joints as hyphens, relations as `=`."""
    if "\\" in piece:
        piece = _LETTERS.sub(lambda match: match[1][0] if match[1] in "iIaaAA" else match[1], piece)
        piece = _ACCENTS.sub("", piece)
        piece = _MACRO.sub(_macro, piece)
    if not piece.isascii():
        piece = unicodedata.normalize("NFKD", piece)
    piece = piece.lower().translate(_SIGNS)
    if "-mu-" in piece:
        piece = _MICRON.sub("-micron", piece)
    if "'" in piece:
        piece = _POSSESSIVE.sub("", piece)
    return _THOUSANDS.sub("", piece) if "," in piece else piece


def _macro(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return "-"
    known = _MACROS.get(name)
    if known is None:
        known = _MACROS.get(name.lower(), f"-{name}-")
    return known


def _parts(atom: str) -> tuple[str, ...]:
    if atom[0].isdigit():
        match = _NUMBER_AND_UNIT.fullmatch(atom)
        if match and (match[2] in units.JOINED or (len(match[2]) == 1 and len(match[1]) > 1)):
            return match[1], match[2]
        return (atom,)
    return _PARTS.get(atom, (atom,))


def _joined(left: str, right: str, gap: str) -> list[str]:
    """The compound of two neighbours in one piece, if they make one."""
    head = _SHORT.get(left, left)
    if right[0].isdigit():
        if left[-1].isalpha() and not gap.strip("-=" if head == "z" else "-"):
            return [head + _number(head, right)]
    elif gap.strip("-"):
        return []
    elif left[0].isdigit():
        if right in units.JOINED or not left[-1].isdigit():
            return [left + stem(right)]
    else:
        return [head + right if right in _GREEK else stem(left + right)]
    return []


def _number(head: str, number: str) -> str:
    """A redshift of 7.0 is one of 7."""
    return number.removesuffix(".0") if head == "z" else number


def _across(left: str, right: str) -> list[str]:
    """The compounds of two neighbours with a white space between them, if they make any."""
    head = _SHORT.get(left, left)
    if right[0].isdigit():
        number, _, letter = right.partition(" ")
        if left[-1].isalpha() and len(left) <= 9 and left not in STOP_WORDS:
            joined = head + _number(head, number)
            return [joined, *([joined + letter] if letter else [])]
    elif left[0].isdigit():
        if right in units.JOINED:
            return [left + stem(right)]
    elif right in _GREEK:
        if len(head) <= 2 and left not in STOP_WORDS:
            return [head + right]
    elif (
        (len(left) == 1 and left not in STOP_WORDS and len(right) > 1)
        or (left in _GREEK and right in ("ray", "rays", "cdm"))
        or (left in _ELEMENT and right in _STAGE)
    ):
        return [stem(left + right)]
    return []


def expand_abbreviations(terms: list[str]) -> list[list[str]]:
    """Terms in all ways in which the names among them are abbreviated, because a phrase spelt in
    one way does not match the other.

    >>> expand_abbreviations(["m", "31", "cluster"])
    [['m', '31', 'cluster'], ['messier', '31', 'cluster']]
    """
    ways = [terms]
    for place, (word, after) in enumerate(pairwise(terms)):
        if after[0].isdigit() or after in _GREEK:
            ways = [
                [*way[:place], other, *way[place + 1 :]]
                for way in ways
                for other in _ABBREVIATED.get(word, [word])
            ][:MOST_WAYS]
    return ways


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """The stem of a lower-case word, British and American spelling alike."""
    if not word or word[0].isdigit():
        return word
    for pattern, replacement in _SPELLINGS:
        word = pattern.sub(replacement, word)
    known = _STEMS.get(word)
    return known if known is not None else str(_stem(word))


MOST_WAYS = 16
"""Spellings in which a phrase is looked for."""

_ABBREVIATED = {
    word: [word, *(other for other in group if other != word)]
    for short in dict.fromkeys(_SHORT.values())
    for group in [dict.fromkeys([short, *(stem(full) for full in _SHORT if _SHORT[full] == short)])]
    for word in group
}
"""Stems of the first word of a compound to all of its spellings."""

r"""Numbers, with their units and errors, and the names of things, as astronomers write them.

A continuation is checked by them: a number that neither its beginning nor a source has was
invented, and so was a survey's name. Numbers are compared by value and unit, so that `10^8 M_\odot`
in TeX is 10⁸ M⊙ in Unicode, 1,068 is 1068, `five` is 5, and 0.5 Gyr is 500 Myr; names by their
letters and digits, so that NGC 1068 is NGC1068, and an acronym by what it stands for.

No digit goes unseen: what is not a number by itself (M31, J1234+5678, 2MASS) is a name.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from astrosearch.text import tables
from astrosearch.text.names import ACRONYMS, introduced_acronyms, name_key, names, same_name
from astrosearch.text.units import BY_DIMENSION, SPELLINGS, UNITS, Dimension, dimension_of

Amount = tuple[Fraction, Dimension]
"""How much a quantity is in the base units of its dimension: one for equal quantities."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A number or a name at its place in a text."""

    kind: Literal["number", "name"]
    start: int
    end: int
    """Of the number with its unit or error, or of the name: `text[start:end]`."""
    value: str
    """Of a number, its plainest form, as `7.2` or `1E+8`; of a name, its letters and digits."""
    unit: str = ""
    """As `km s-1`, the same for all its spellings; `z` for a redshift; empty for none."""
    error: str = ""
    """Its error, or those up and down; empty for none."""
    range_unit: str = ""
    """Of a number without a unit that begins a range: the unit behind the range, as of 5 in
    `5-10 kpc`."""
    counts: bool = False
    """Whether it says how many there are of what the next word names: `87 clouds`."""

    def agrees_with(self, other: "Mention") -> bool:
        """Whether both say the same: of numbers the value, the unit and the error; of names the
        letters and digits, or those of what the field abbreviates so.

        A number without unit or error agrees with one that has them, but neither a share with what
        is none, nor a count or a year with a measured value, nor a year with a count.
        """
        if self.kind != other.kind:
            return False
        if self.kind == "name":
            return same_name(self.value, other.value)
        if not self.unit or not other.unit:
            return (
                self.value == other.value
                and self._may_lack_unit(other)
                and _agree(self.error, other.error)
            )
        return self.amount() == other.amount() and _agree(self._errors(), other._errors())

    def _may_lack_unit(self, other: "Mention") -> bool:
        """Whether two numbers of one value, of which one has no unit at least, can be one."""
        if not self.unit and not other.unit:
            return self.counts == other.counts or not _is_year(self.value)
        bare, measured = (other, self) if self.unit else (self, other)
        if bare.range_unit:
            return bare.range_unit == measured.unit
        return not (bare.counts or measured.unit == "%" or _is_year(bare.value))

    @property
    def dimension(self) -> Dimension:
        """Of its unit, or of that of the range that it begins; empty for a number without one."""
        return dimension_of(self.unit or self.range_unit)[0]

    def amount(self) -> Amount:
        """How much a number with a unit is."""
        dimension, factor = dimension_of(self.unit)
        return Fraction(self.value) * factor, dimension

    def _errors(self) -> tuple[Fraction, ...]:
        factor = dimension_of(self.unit)[1]
        return tuple(Fraction(error) * factor for error in self.error.split())


def _is_year(value: str) -> bool:
    """Whether a number without a unit may be a year of our era's astronomy."""
    return len(value) == 4 and value.isdigit() and 1600 <= int(value) < 2100


def _agree(error: object, other: object) -> bool:
    return error == other or not error or not other


def mentions(text: str) -> list[Mention]:
    r"""All numbers and names of a text, in its order; none overlaps another.

    >>> [(mention.value, mention.unit) for mention in mentions(r"at z = 7.2, 10$^{8}$ M$_\odot$")]
    [('7.2', 'z'), ('1E+8', 'Msun')]
    """
    plain, starts, ends = plain_text(text)
    in_plain: list[Mention] = []
    taken = bytearray(len(plain))
    for finder in (_names, _numbers, _spelt):
        for mention in finder(plain):
            if not any(taken[mention.start : mention.end]):
                taken[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
                in_plain.append(mention)
    rest = "".join(" " if seen else sign for sign, seen in zip(plain, taken, strict=True))
    in_plain += _rest(rest)
    in_plain.sort(key=lambda mention: mention.start)
    in_text = []
    for mention in in_plain:
        start, end = starts[mention.start], ends[mention.end - 1]
        while text[end : end + 1] in ("}", "$") and _is_open(text[start:end], text[end]):
            end += 1
        in_text.append(replace(mention, start=start, end=end))
    return in_text


def _is_open(text: str, closing: str) -> bool:
    """Whether TeX that was begun in a text ends behind it."""
    if closing == "$":
        return text.count("$") % 2 == 1
    return text.count("{") > text.count("}")


# Plain text: TeX, superscripts and the many signs for one thing made one.

_SIGNS = {
    **dict.fromkeys("−–‐‑", "-"),
    **dict.fromkeys("≈∼≃≅", "~"),
    **dict.fromkeys("≲≤⩽≪", "<"),
    **dict.fromkeys("≳≥⩾≫", ">"),
    **dict.fromkeys("\u00a0\u2009\u202f", " "),
    **dict.fromkeys("${}\u200b", ""),
    "☉": "⊙",
    "µ": "μ",
    "·": "×",
    "\u212b": "Å",  # the sign of the unit to the letter
}
_MACROS = {macro: _SIGNS.get(sign, sign) for macro, sign in tables.RELATIONS.items()} | {
    "times": "×",
    "cdot": "×",
    "odot": "⊙",
    "sun": "⊙",
    "oplus": "⊕",
    "mu": "μ",
    "sigma": "σ",
    "circ": "°",
    "degr": "°",
    "deg": "°",
    "arcsec": " arcsec",
    "arcmin": " arcmin",
    "AA": "Å",
    "aa": "Å",
    "micron": " μm",
    "kms": " km s^-1",
    "msun": " M⊙",
    "Msun": " M⊙",
    "lsun": " L⊙",
    "Lsun": " L⊙",
    "rsun": " R⊙",
    "Rsun": " R⊙",
    "percent": "%",
}
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_TEX = re.compile(r"\\(?:([A-Za-z]+) ?|[,;:! ~]|(.))|\*\*|~")


def plain_text(text: str) -> tuple[str, list[int], list[int]]:
    r"""A text without TeX and with one sign for one thing; where each of its letters begins and
    ends in the text.

    >>> plain_text(r"10$^{8}$ M$_\odot$")[0], plain_text("10⁸ M⊙")[0]
    ('10^8 M⊙', '10^8 M⊙')
    """
    signs: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    raised = False
    while place < len(text):
        sign = text[place]
        length = 1
        if sign in "\\*~" and (match := _TEX.match(text, place)):
            length = len(match[0])
            if match[1]:
                put = _MACROS.get(match[1], "")
            elif match[0] == "~":
                # A tie in TeX where it joins a word to what follows, else `about`.
                put = " " if _is_tie(text, place) else "~"
            else:
                put = {"**": "^"}.get(match[0], match[2] or " ")
        elif sign in _RAISED:
            put = _RAISED[sign] if raised else "^" + _RAISED[sign]
        else:
            put = _SIGNS.get(sign, sign)
        raised = sign in _RAISED
        if put == "⊙" and signs and signs[-1] == "_":
            signs[-1], ends[-1] = put, place + length  # M_⊙ is M⊙
        elif not (put.isspace() and signs and signs[-1].isspace()):
            signs += put
            starts += [place] * len(put)
            ends += [place + length] * len(put)
        place += length
    return "".join(signs), starts, ends


def _is_tie(text: str, place: int) -> bool:
    """Whether a tilde joins what stands before it to what follows."""
    before, behind = text[max(0, place - 1) : place], text[place + 1 : place + 3].lstrip("$")[:1]
    return before.isalnum() or (before in ("$", "}", ")") and (behind.isalpha() or behind == "\\"))


# Numbers.

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_POWER = r"10 ?\^ ?(?P<{0}>[-+]?[0-9]+(?:\.[0-9]+)?)"
_ERROR = rf" ?(?:±|\+/-|\+-) ?{_DIGITS}| ?\^ ?\+ ?{_DIGITS} ?_ ?- ?{_DIGITS}"
_ERROR += rf"| ?_ ?- ?{_DIGITS} ?\^ ?\+ ?{_DIGITS}|\([0-9]{{1,2}}\)"
_NUMBER = re.compile(
    r"(?P<symbol>(?<![A-Za-z])(?:z|redshifts?(?: of)?) ?[~<>=]* ?(?=[-0-9.]))?"
    r"(?P<sign>(?<![0-9A-Za-z)\]^_])[-+](?=[0-9.]))?(?<![0-9.^_])"
    rf"(?:{_POWER.format('alone')}|(?P<digits>{_DIGITS})"
    rf"(?:(?P<inner>{_ERROR})\)?(?= ?(?:×|x|\*) ?10 ?\^))?"
    rf"(?:(?:[eE]|[dD](?=[-+][0-9]{{2}}))(?P<e>[-+]?[0-9]{{1,3}})(?![0-9]|\.[0-9])"
    rf"| ?(?:×|x|\*) ?{_POWER.format('power')})?)"
    rf"(?![0-9])(?P<error>{_ERROR})?"
)
_MULTIPLES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
_MULTIPLE = re.compile(rf"[ -]({'|'.join(_MULTIPLES)})\b", re.IGNORECASE)

_SMALL = (
    """zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen"""
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBER_WORDS = dict(zip([*_SMALL, *_TENS], [0, *range(2, 20), *range(20, 100, 10)], strict=True))
NUMBER_WORDS["dozen"] = 12
"""`one` is left out: it is a pronoun more often than a number."""
_SPELT = re.compile(
    rf"(?<![\w-])(?:(?P<tens>{'|'.join(_TENS)})-(?P<ones>one|{'|'.join(_SMALL[1:9])})"
    rf"|(?P<word>{'|'.join(NUMBER_WORDS)})|(?P<one>(?:a|one)(?= (?:{'|'.join(_MULTIPLES)})\b)))"
    rf"(?P<multiples>(?:[ -](?:{'|'.join(_MULTIPLES)})\b)*)(?!\w)",
    re.IGNORECASE,
)


def _numbers(plain: str) -> Iterator[Mention]:
    for match in _NUMBER.finditer(plain):
        end = match.end()
        digits = match["digits"]
        value = _decimal(digits) if digits else Decimal(1)
        exponent = Decimal(match["alone"] or match["power"] or match["e"] or 0)
        errors = [_decimal(digits) for digits in re.findall(_DIGITS, match["error"] or "")]
        if exponent == int(exponent) and abs(exponent) < 1000:
            value = value.scaleb(int(exponent))
            # In 1.4 ± 0.2 × 10^11 the power is of both.
            inner = re.findall(_DIGITS, match["inner"] or "")
            errors = [_decimal(digits).scaleb(int(exponent)) for digits in inner] or errors
        else:  # 10^10.5: its exponent is as good as itself
            value = exponent
        if match["sign"] == "-":
            value = -value
        if multiple := _MULTIPLE.match(plain, end):
            value *= _MULTIPLES[multiple[1].lower()]
            end = multiple.end()
        error = " ".join(map(_plain, errors))
        if match["symbol"]:
            yield Mention("number", match.start(), end, _plain(value), "z", error)
            continue
        unit, end = _unit_behind_errors(plain, end)
        if plain[end : end + 1].isalpha() or plain[end : end + 1].isdigit():
            continue  # 2MASS, 3D: a name
        range_unit = ""
        if not unit and (rest := _RANGE.match(plain, end)):
            range_unit, _ = _unit(plain, rest.end())
        counts = not unit and not range_unit and _counts(plain, end, _plain(value))
        yield Mention("number", match.start(), end, _plain(value), unit, error, range_unit, counts)


_LABEL = r" ?\( ?(?:stat|sys|rand)[a-z]*\.? ?\)"
_LABELLED = re.compile(rf"(?:{_LABEL})+(?P<more>(?:(?:{_ERROR})(?:{_LABEL})?)*)")


def _unit_behind_errors(plain: str, start: int) -> tuple[str, int]:
    """The unit behind a number, and where both end. In `13.4 ± 0.1 (stat.) ± 0.2 (sys.) Gyr` the
    unit is of all three, but the second error is a number by itself."""
    unit, end = _unit(plain, start)
    if unit or not (labelled := _LABELLED.match(plain, start)):
        return unit, end
    unit, end = _unit(plain, labelled.end())
    return unit, start if labelled["more"] or not unit else end


_RANGE = re.compile(
    rf"(?: ?-{{1,3}} ?| (?:to|and|or) |, ?(?:and )?)(?:{_DIGITS}(?: ?(?:×|x) ?10 ?\^ ?-?[0-9]+)?)"
)
_NEXT_WORD = re.compile(r"[ -]([a-z]{3,})(?![\w])")
_NO_NOUNS = frozenset(
    """about after against and are around because been before below between but can during each for
    from had has have here how its just may more most near nor not off onto our out over per since
    some such than that the their then there these they this those through times thus under until
    upon using was were when where which while who will with within without yet""".split()
)


def _counts(plain: str, end: int, value: str) -> bool:
    word = _NEXT_WORD.match(plain, end)
    if word is None or word[1] in _NO_NOUNS:
        return False
    return word[1].endswith("s") or not _is_year(value)


def _spelt(plain: str) -> Iterator[Mention]:
    for match in _SPELT.finditer(plain):
        value = Decimal(1)
        if match["word"]:
            value = Decimal(NUMBER_WORDS[match["word"].lower()])
        elif match["tens"]:
            value = Decimal(NUMBER_WORDS[match["tens"].lower()])
            value += NUMBER_WORDS.get(match["ones"].lower(), 1)
        for multiple in re.findall("[a-z]+", match["multiples"].lower()):
            value *= _MULTIPLES[multiple]
        unit, end = _unit(plain, match.end())
        counts = not unit and _counts(plain, end, _plain(value))
        yield Mention("number", match.start(), end, _plain(value), unit, counts=counts)


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", ""))


def _plain(value: Decimal) -> str:
    """One form for equal values.

    >>> _plain(Decimal("7.20")), _plain(Decimal("1500")), _plain(Decimal("100000000"))
    ('7.2', '1500', '1E+8')
    """
    normal = value.normalize()
    return f"{normal:f}" if -7 < normal.adjusted() < 7 else str(normal)


# Units.

_ONE_UNIT = "|".join(re.escape(unit) for unit in sorted(SPELLINGS, key=len, reverse=True))
_RAISED_BY = r"(?: ?\^ ?(?P<power>[-+]?[0-9])|(?:(?P<bare>-[0-9]|[23]))?(?![A-Za-z⊙⊕]))"
_FIRST_UNIT = re.compile(rf"[ -]?(?P<unit>{_ONE_UNIT}){_RAISED_BY}")
_NEXT_UNIT = re.compile(
    rf"(?P<per> ?/ ?| per | ?[.×] ?| |(?<=[0-9]))(?P<unit>{_ONE_UNIT}){_RAISED_BY}"
)


def _unit(plain: str, start: int) -> tuple[str, int]:
    """The unit behind a number, and where it ends: `km/s`, `km s^-1` and `km per s` are one."""
    match = _FIRST_UNIT.match(plain, start)
    if match is None:
        return "", start
    parts: dict[str, int] = {}
    end = start
    while match:
        power = int(match["power"] or match["bare"] or 1)
        per = match.groupdict().get("per", "").strip()
        if per == "" and parts and power == 1:
            break  # `5 kpc s`: what stands apart from a unit is one only with an exponent
        unit = SPELLINGS[match["unit"]]
        parts[unit] = -power if per in ("/", "per") else power
        end = match.end()
        match = _NEXT_UNIT.match(plain, end)
    return " ".join(unit if power == 1 else f"{unit}{power}" for unit, power in parts.items()), end


# Names.


def _names(plain: str) -> Iterator[Mention]:
    for start, end in names(plain):
        yield Mention("name", start, end, name_key(plain[start:end]))


_REST = re.compile(r"\w*[0-9][\w.]*(?<!\.)|[^\W0-9]")


def _rest(plain: str) -> Iterator[Mention]:
    """What is left of digits, in any script."""
    for match in _REST.finditer(plain):
        if any(map(str.isnumeric, match[0])):
            yield Mention("name", match.start(), match.end(), name_key(match[0]))


class AllowedValues:
    """The numbers and names of some texts: those that a continuation may have."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._by_text: list[dict[object, list[Mention]]] = []
        """By what equal ones have in common (`_keys`)."""
        self._beginnings: set[str] = set()
        self._digits: set[str] = set()
        self._precision: Counter[Amount] = Counter()
        """How many significant digits an amount is given with, at most."""
        self._acronyms = _introduced(texts)
        for text in texts:
            by_key: dict[object, list[Mention]] = {}
            for mention in mentions(text):
                for key in self._keys(mention):
                    by_key.setdefault(key, []).append(mention)
                written = _squeezed(text[mention.start : mention.end])
                self._digits.update(_RUN.findall(written))
                self._may_begin(written)
                if mention.kind == "number":
                    amount = mention.amount()
                    digits = _significant(written, mention.value)
                    self._precision[amount] = max(digits, self._precision[amount])
                    for conversion in _conversions(mention, digits):
                        self._may_begin(conversion)
            self._by_text.append(by_key)

    def having(self, mention: Mention) -> list[int]:
        """Which of the texts have it, by their places."""
        keys = self._keys(mention)
        if mention.kind == "name":
            return [place for place, by_key in enumerate(self._by_text) if by_key.keys() & keys]
        return [
            place
            for place, by_key in enumerate(self._by_text)
            if any(mention.agrees_with(other) for key in keys for other in by_key.get(key, ()))
        ]

    def unknown(self, text: str, start: int = 0) -> Mention | None:
        """The first number, or name with a digit, that ends behind `start` and no text has, or
        none with so many digits: 3.0 says more than 3."""
        for mention in mentions(text):
            counts = mention.kind == "number" or any(map(str.isnumeric, mention.value))
            if counts and mention.end > start:
                written = _squeezed(text[mention.start : mention.end])
                if not (self.having(mention) and self._has_digits(mention, written)):
                    return mention
        return None

    def without_unfinished(self, beginning: str, text: str) -> str:
        """What was written behind a beginning, without the unfinished number at its end, which
        would be read as a different one."""
        begun = beginning.rstrip()
        unfinished = self.unknown(begun + text, len(begun))
        return text if unfinished is None else text[: max(0, unfinished.start - len(begun))]

    def allows(self, text: str) -> bool:
        """Whether what a text ends in is known, or may become so as it goes on.

        Only what ends in its last 100 characters is looked at: what stands before was looked at
        when it was written.
        """
        tail = text[-SEEN_BEFORE:]
        if not _MAY_BE_NUMBER.search(tail):
            return True
        unknown = self.unknown(tail, len(tail) - SEEN_BEFORE // 2)
        return unknown is None or _squeezed(tail[unknown.start :]) in self._beginnings

    def _keys(self, mention: Mention) -> set[object]:
        """What it shares with all that agree with it: at least one of these."""
        key = mention.value
        if mention.kind == "name":
            return {key, self._acronyms.get(key, key), ACRONYMS.get(key, key)}
        return {Decimal(key), mention.amount()} if mention.unit else {Decimal(key)}

    def _has_digits(self, mention: Mention, written: str) -> bool:
        """Whether a known number was given with the digits written, or with as many in another
        form or unit."""
        if self._digits.issuperset(_RUN.findall(written)):
            return True
        return (
            mention.kind == "number"
            and not mention.error
            and _significant(written, mention.value) <= self._precision[mention.amount()]
        )

    def _may_begin(self, written: str) -> None:
        self._beginnings.update(written[:length] for length in range(1, len(written) + 1))


SEEN_BEFORE = 200
_RUN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MAY_BE_NUMBER = re.compile(rf"[0-9]|[^\x00-\x7f]|\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)


def _introduced(texts: Sequence[str]) -> dict[str, str]:
    """The acronyms that texts introduce; one that they introduce for two names is left out."""
    acronyms: dict[str, str] = {}
    of_two: set[str] = set()
    for text in texts:
        for acronym, name in introduced_acronyms(plain_text(text)[0]).items():
            if acronyms.setdefault(acronym, name) != name:
                of_two.add(acronym)
    return {acronym: name for acronym, name in acronyms.items() if acronym not in of_two}


def _significant(written: str, value: str) -> int:
    """How many digits of a number say something: 500 has one, 0.50 has two."""
    run = _RUN.search(written)
    if run is None:  # in words
        return max(1, sum(map(str.isdigit, value.partition("E")[0].strip("-0."))))
    digits = run[0].lstrip("0.") if "." in run[0] else run[0].strip("0")
    return max(1, sum(map(str.isdigit, digits)))


def _conversions(mention: Mention, digits: int) -> Iterator[str]:
    """A number in the other units of its dimension, as `_squeezed` would have them, where that
    takes no more than so many digits."""
    unit = UNITS.get(mention.unit)
    if unit is None:
        return
    for other in BY_DIMENSION[unit.dimension]:
        value = Fraction(mention.value) * unit.factor / other.factor
        if other is unit or not Fraction(1, 1000) <= abs(value) < 10**6:
            continue
        number = f"{float(value):.10f}".rstrip("0").rstrip(".")
        if Fraction(number) == value and _significant(number, number) <= digits:
            for spelling in other.spellings:
                yield _squeezed(number + spelling)


def _squeezed(text: str) -> str:
    """A number or name as it is written, but for spaces, thousands' commas and what stands before
    a redshift."""
    plain = re.sub(r"(?<=[0-9]) +(?=[0-9])", "_", plain_text(text)[0].lower())
    return re.sub(r"^(?:z|redshifts?(?: of)?) ?[~<>=]*(?=.)|[ ,]", "", plain)

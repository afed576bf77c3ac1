r"""Numbers, with their units and errors, and the names of things, as astronomers write them.

A continuation is checked by them: a number that neither its beginning nor a source has was
invented, and so was a survey's name. Numbers are compared by value and unit, so that `10^8 M_\odot`
in TeX is 10⁸ M⊙ in Unicode, 1,068 is 1068, and `five` is 5; names by their letters and digits, so
that NGC 1068 is NGC1068.

No digit goes unseen: what is no number by itself (M31, J1234+5678, 2MASS) is a name.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal


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

    def agrees_with(self, other: "Mention") -> bool:
        """Whether both say the same: of numbers the value, and unit and error where both have
        them."""
        if (self.kind, self.value) != (other.kind, other.value):
            return False
        return all(
            one == another or not one or not another
            for one, another in ((self.unit, other.unit), (self.error, other.error))
        )


def mentions(text: str) -> list[Mention]:
    r"""All numbers and names of a text, in its order; none overlaps another.

    >>> [(one.value, one.unit) for one in mentions(r"at z = 7.2, 10$^{8}$ M$_\odot$ of gas")]
    [('7.2', 'z'), ('1E+8', 'Msun')]
    """
    plain, starts, ends = plain_text(text)
    found: list[Mention] = []
    taken = bytearray(len(plain))
    for finder in (_names, _numbers, _spelt):
        for one in finder(plain):
            if not any(taken[one.start : one.end]):
                taken[one.start : one.end] = b"\1" * (one.end - one.start)
                found.append(one)
    found += _rest("".join(" " if seen else sign for sign, seen in zip(plain, taken, strict=True)))
    found.sort(key=lambda one: one.start)
    placed = []
    for one in found:
        start, end = starts[one.start], ends[one.end - 1]
        while text[end : end + 1] in ("}", "$") and _is_open(text[start:end], text[end]):
            end += 1
        placed.append(replace(one, start=start, end=end))
    return placed


def _is_open(text: str, closing: str) -> bool:
    """Whether TeX that was begun in a text ends behind it."""
    if closing == "$":
        return text.count("$") % 2 == 1
    return text.count("{") > text.count("}")


# Plain text: TeX, superscripts and the many signs for one thing made one.

_MACROS = {
    "times": "×",
    "cdot": "×",
    "pm": "±",
    "odot": "⊙",
    "sun": "⊙",
    "oplus": "⊕",
    "sim": "~",
    "simeq": "~",
    "approx": "~",
    "lesssim": "<",
    "gtrsim": ">",
    "leq": "<",
    "geq": ">",
    "le": "<",
    "ge": ">",
    "lt": "<",
    "gt": ">",
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
_SIGNS = {
    "−": "-",
    "–": "-",
    "‐": "-",
    "‑": "-",
    "☉": "⊙",
    "µ": "μ",
    "≈": "~",
    "∼": "~",
    "≃": "~",
    "≲": "<",
    "≳": ">",
    "≤": "<",
    "≥": ">",
    "·": "×",
    "Å": "Å",
    "\u00a0": " ",
    "\u2009": " ",
    "\u202f": " ",
    "$": "",
    "{": "",
    "}": "",
    "\u200b": "",
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
                put = " " if place and text[place - 1].isalnum() else "~"
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


# Numbers.

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_POWER = r"10 ?\^ ?(?P<{0}>[-+]?[0-9]+(?:\.[0-9]+)?)"
_ERROR = rf" ?(?:±|\+/-|\+-) ?{_DIGITS}| ?\^ ?\+ ?{_DIGITS} ?_ ?- ?{_DIGITS}"
_ERROR += rf"| ?_ ?- ?{_DIGITS} ?\^ ?\+ ?{_DIGITS}|\([0-9]{{1,2}}\)"
_NUMBER = re.compile(
    r"(?P<symbol>(?<![A-Za-z])(?:z|redshifts?(?: of)?) ?[~<>=]* ?(?=[-0-9.]))?"
    r"(?P<sign>(?<![0-9A-Za-z)\]^_])[-+](?=[0-9.]))?(?<![0-9.^_])"
    rf"(?:{_POWER.format('alone')}|(?P<digits>{_DIGITS})"
    rf"(?:[eE](?P<e>[-+]?[0-9]{{1,2}})(?![0-9.])| ?(?:×|x|\*) ?{_POWER.format('power')})?)"
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
        value = Decimal(digits.replace(",", "")) if digits else Decimal(1)
        exponent = Decimal(match["alone"] or match["power"] or match["e"] or 0)
        if exponent == int(exponent) and abs(exponent) < 1000:
            value = value.scaleb(int(exponent))
        else:  # 10^10.5: its exponent is as good as itself
            value = exponent
        if match["sign"] == "-":
            value = -value
        if multiple := _MULTIPLE.match(plain, end):
            value *= _MULTIPLES[multiple[1].lower()]
            end = multiple.end()
        error = " ".join(_plain(Decimal(one)) for one in re.findall(_DIGITS, match["error"] or ""))
        if match["symbol"]:
            yield Mention("number", match.start(), end, _plain(value), "z", error)
            continue
        unit, end = _unit(plain, end)
        if plain[end : end + 1].isalpha() or plain[end : end + 1].isdigit():
            continue  # 2MASS, 3D: a name
        yield Mention("number", match.start(), end, _plain(value), unit, error)


def _spelt(plain: str) -> Iterator[Mention]:
    for match in _SPELT.finditer(plain):
        value = Decimal(1)
        if match["word"]:
            value = Decimal(NUMBER_WORDS[match["word"].lower()])
        elif match["tens"]:
            value = Decimal(NUMBER_WORDS[match["tens"].lower()])
            value += NUMBER_WORDS.get(match["ones"].lower(), 1)
        for one in re.findall("[a-z]+", match["multiples"].lower()):
            value *= _MULTIPLES[one]
        unit, end = _unit(plain, match.end())
        yield Mention("number", match.start(), end, _plain(value), unit)


def _plain(value: Decimal) -> str:
    """One form for equal values.

    >>> _plain(Decimal("7.20")), _plain(Decimal("1500")), _plain(Decimal("100000000"))
    ('7.2', '1500', '1E+8')
    """
    normal = value.normalize()
    return f"{normal:f}" if -7 < normal.adjusted() < 7 else str(normal)


# Units.

_UNITS = {
    spelling: unit
    for unit, spellings in {
        "%": "%|per cent|percent",
        "Msun": "M⊙|M_⊙|Msun|M_sun|solar masses|solar mass",
        "Lsun": "L⊙|L_⊙|Lsun|L_sun|solar luminosities|solar luminosity",
        "Rsun": "R⊙|R_⊙|Rsun|R_sun|solar radii|solar radius",
        "Zsun": "Z⊙|Z_⊙|Zsun|Z_sun",
        "Mearth": "M⊕|M_⊕|M_Earth|Earth masses|Earth mass",
        "Rearth": "R⊕|R_⊕|R_Earth|Earth radii|Earth radius",
        "Mjup": "M_J|M_Jup|MJup|Jupiter masses|Jupiter mass",
        "Rjup": "R_J|R_Jup|RJup|Jupiter radii|Jupiter radius",
        "km": "km|kilometers|kilometres",
        "m": "m|meters|metres|meter|metre",
        "cm": "cm",
        "mm": "mm",
        "um": "μm|um|microns|micron",
        "nm": "nm",
        "A": "Å|angstroms|angstrom|Angstroms|Angstrom",
        "pc": "pc|parsecs|parsec",
        "kpc": "kpc|kiloparsecs|kiloparsec",
        "Mpc": "Mpc|megaparsecs|megaparsec",
        "Gpc": "Gpc",
        "AU": "AU|au",
        "ly": "ly|light-years|light years|light-year",
        "s": "s|sec|seconds|second",
        "ms": "ms|milliseconds",
        "us": "μs|microseconds",
        "min": "min|minutes",
        "h": "h|hr|hrs|hours|hour",
        "d": "d|days|day",
        "yr": "yr|yrs|years|year",
        "kyr": "kyr",
        "Myr": "Myr|Myrs",
        "Gyr": "Gyr|Gyrs",
        "Hz": "Hz",
        "kHz": "kHz",
        "MHz": "MHz",
        "GHz": "GHz",
        "THz": "THz",
        "eV": "eV",
        "keV": "keV",
        "MeV": "MeV",
        "GeV": "GeV",
        "TeV": "TeV",
        "PeV": "PeV",
        "EeV": "EeV",
        "erg": "erg|ergs",
        "Jy": "Jy",
        "mJy": "mJy",
        "uJy": "μJy|uJy",
        "MJy": "MJy",
        "K": "K",
        "mK": "mK",
        "uK": "μK",
        "G": "G|Gauss|gauss",
        "mG": "mG",
        "uG": "μG",
        "nG": "nG",
        "kG": "kG",
        "g": "g",
        "kg": "kg",
        "mag": "mag|mags|magnitudes|magnitude",
        "dex": "dex",
        "deg": "°|^°|deg|degrees|degree",
        "arcmin": "'|′|^'|^′|arcmin|arcminutes|arcminute",
        "arcsec": "''|″|^''|^″|arcsec|arcseconds|arcsecond",
        "mas": "mas",
        "uas": "μas",
        "sr": "sr",
        "sigma": "σ|-σ|sigma|-sigma",
        "beam": "beam",
        "th": "th|st|nd|rd",
    }.items()
    for spelling in spellings.split("|")
}
_ONE_UNIT = "|".join(re.escape(one) for one in sorted(_UNITS, key=len, reverse=True))
_RAISED_BY = r"(?: ?\^ ?(?P<power>[-+]?[0-9])|(?P<bare>-[0-9]|[23]))?"
_FIRST_UNIT = re.compile(rf"[ -]?(?P<unit>{_ONE_UNIT}){_RAISED_BY}(?![A-Za-z⊙⊕])")
_NEXT_UNIT = re.compile(
    rf"(?P<per> ?/ ?| per | ?[.×] ?| )(?P<unit>{_ONE_UNIT}){_RAISED_BY}(?![A-Za-z⊙⊕])"
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
        unit = _UNITS[match["unit"]]
        parts[unit] = -power if per in ("/", "per") else power
        end = match.end()
        match = _NEXT_UNIT.match(plain, end)
    return " ".join(one if power == 1 else f"{one}{power}" for one, power in parts.items()), end


# Names.

_SURVEYS = """2MASS ACT AGILE AKARI ALFALFA ALMA APOGEE ARIEL ASKAP ASAS-SN ATCA ATLAS AUGER BAT
    BATSE BICEP BICEP2 BOSS CANDELS CARMA CARMENES CFHT CFHTLS CHEOPS CHIME COBE COS COSMOS CoRoT
    Chandra DES DESI Effelsberg eBOSS EUVE Euclid FAST FUSE Fermi Fermi-LAT GALAH GALEX GASKAP GBT
    GMRT GOODS GRAVITY Gaia Gemini HARPS H.E.S.S. HESS HIPASS HIRES HST Herschel Hipparcos Hubble
    Hyper-Suprime-Cam IceCube INTEGRAL IRAC IRAM IRAS IRTF ISO JCMT JWST K2 KAGRA KiDS KMOS Keck
    Kepler LAMOST LAT LIGO LISA LOFAR LSST MAGIC MIPS MIRI MOSFIRE MUSE MaNGA MeerKAT NICER NIRCam
    NIRSpec NICMOS NOEMA NuSTAR NVSS OGLE PHANGS PLATO Pan-STARRS PanSTARRS Parkes Planck RAVE ROSAT
    Roman RXTE SDO SDSS SKA SOFIA SOHO SPT STIS SWIRE Spitzer Subaru Suzaku Swift TESS UKIDSS UVES
    VERITAS VISTA VLA VLBA VLBI VLT VVV Virgo WFC3 WFPC2 WISE WMAP X-shooter XMM XMM-Newton ZTF
    Zwicky""".split()
_CATALOGUES = """NGC IC UGC UGCA PGC ESO DDO Arp Mrk Mkn Markarian Abell ACO MACS RXJ SPT-CL Zw HD
    HR HIP HE BD CD GJ Gl Gliese LHS GSC TYC TOI WASP HAT-P HATS KELT KIC EPIC Kepler CoRoT OGLE WR
    PSR PKS QSO PG SN GRB GW FRB AT XTE GRO GX Cyg Sgr Vela SMC LMC LS LSI V AB BL 3C 4C 4U 1E 1RXS
    1ES 2MASX 6dF Terzan Pal Palomar Messier Sh Cas Cen Cir Her Lyn Sco TW RR""".split()
_SKIES = "Tuc Cas Cen Car Cyg Eri Ori Peg Tau UMa Vir Cnc Cet Lyr Dor Doradus Cygni Eridani Cancri"
_COMMON = frozenset(
    """AGN AGNs AGB BAO BH BHs BBN CCD CMB CMD CME CDM DM EOS FIR FWHM GR GC GCs GRB GRBs HII HI HR
    ICM IGM IMF IR ISM LSR MHD MS NIR NS NSs PDF PSF QPO QPOs QSO QSOs RGB RMS SED SEDs SFR SFH SN
    SNe SNR SNRs SPH SSFR UV WD WDs WIMP XRB YSO YSOs ΛCDM LCDM FUV EUV PAH PAHs PN PNe RV LOS DLA
    DLAs CR CRs TOV EoS GW GWs EW EM CNO AD""".split()
)
_WORD = r"[A-Z][a-zé']+"
_NAME = re.compile(
    # J1234+5678, B1937+21, with or without what stands before
    r"(?<![\w])(?:[A-Z0-9][\w-]* )?[JB][0-9]{3,}[\w.]*(?:[+-][0-9][\w.]*)?"
    # a catalogue's name and a number: NGC 1068, Abell 2029, GRB 170817A
    rf"|(?<![\w-])(?:{'|'.join(map(re.escape, _CATALOGUES))})[ -]?[0-9][\w.+-]*(?<![.+-])"
    # 47 Tuc, 30 Doradus
    rf"|(?<![\w.])[0-9]{{1,3}} (?:{'|'.join(_SKIES.split())})\b"
    # surveys, telescopes, instruments, with a release: SDSS DR7
    rf"|(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_SURVEYS, key=len, reverse=True)))})"
    r"(?![\w])(?:[ -](?:DR|EDR)?[0-9IVX]+[A-Za-z]?\b(?![.,]?[0-9]))?"
    # letters with digits: M31, DR7, HD209458b, sigma8
    r"|(?<![\w.])[^\W\d_]+-?[0-9][\w+-]*(?:\.[0-9]\w*)*(?<![+-])"
    # signs of three capitals or more
    r"|(?<![\w-])(?=[\w-]*[A-Z][\w-]*[A-Z][\w-]*[A-Z])[A-Za-z][A-Za-z-]+(?![\w])"
    # Large Magellanic Cloud: capitals in a row, not at the beginning of a sentence
    rf"|(?<=[a-z,;(] )(?:{_WORD}(?:[ -]{_WORD})+)"
)


def _names(plain: str) -> Iterator[Mention]:
    for match in _NAME.finditer(plain):
        if match[0] in _COMMON or match[0] in _UNITS:
            continue
        yield Mention("name", match.start(), match.end(), name_key(match[0]))


_REST = re.compile(r"\w*[0-9][\w.]*(?<!\.)|[^\W0-9]")


def _rest(plain: str) -> Iterator[Mention]:
    """What is left of digits, in whatever script."""
    for match in _REST.finditer(plain):
        if any(map(str.isnumeric, match[0])):
            yield Mention("name", match.start(), match.end(), name_key(match[0]))


class AllowedValues:
    """The numbers and names of some texts: those that a continuation may have."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._by_text: list[dict[str, list[Mention]]] = []
        self._beginnings: set[str] = set()
        self._digits: set[str] = set()
        for text in texts:
            found: dict[str, list[Mention]] = {}
            for one in mentions(text):
                found.setdefault(one.value, []).append(one)
                written = _squeezed(text[one.start : one.end])
                self._beginnings |= {written[:length] for length in range(1, len(written) + 1)}
                self._digits.update(_RUN.findall(written))
            self._by_text.append(found)

    def having(self, mention: Mention) -> list[int]:
        """Which of the texts have it, by their places."""
        return [
            place
            for place, found in enumerate(self._by_text)
            if any(mention.agrees_with(one) for one in found.get(mention.value, ()))
        ]

    def unknown(self, text: str, start: int = 0) -> Mention | None:
        """The first number, or name with a digit, that ends behind `start` and no text has, or
        none in these digits: 3.0 says more than 3."""
        for one in mentions(text):
            counts = one.kind == "number" or any(map(str.isnumeric, one.value))
            if counts and one.end > start:
                digits = _RUN.findall(_squeezed(text[one.start : one.end]))
                if not (self.having(one) and self._digits.issuperset(digits)):
                    return one
        return None

    def without_unfinished(self, beginning: str, text: str) -> str:
        """What was written behind a beginning, without the number that it was cut off in: that
        would be another one."""
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
        one = self.unknown(tail, len(tail) - SEEN_BEFORE // 2)
        return one is None or _squeezed(tail[one.start :]) in self._beginnings


SEEN_BEFORE = 200
_RUN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MAY_BE_NUMBER = re.compile(rf"[0-9]|[^\x00-\x7f]|\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)


def _squeezed(text: str) -> str:
    """A number or name as it is written, but for spaces, thousands' commas and what stands before
    a redshift."""
    plain = re.sub(r"(?<=[0-9]) +(?=[0-9])", "_", plain_text(text)[0].lower())
    return re.sub(r"^(?:z|redshifts?(?: of)?) ?[~<>=]*(?=.)|[ ,]", "", plain)


def name_key(name: str) -> str:
    """Letters and digits of a name, in lower case, without accents.

    >>> name_key("NGC 1068"), name_key("XMM-Newton")
    ('ngc1068', 'xmmnewton')
    """
    apart = unicodedata.normalize("NFKD", name.lower())
    return "".join(sign for sign in apart if sign.isalnum())

"""Units as abstracts write them, and how they convert.

Only what is exact converts: nobody writes a parsec in metres to its last digit, or the Sun's mass
in grams, so each of those is a dimension of its own. A year is the Julian one of 365.25 days, as
the IAU Style Manual (Wilkins 1989) recommends; the astronomical unit and the electronvolt are exact
by definition (IAU 2012 resolution B2, SI 2019).
"""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # every search by words reads this module, and none converts a unit
    from fractions import Fraction

# name: (dimension, how many of its dimension's base unit it is, spellings). An asterisk marks
# a spelling that an index joins to the number before it (`analysis`).
_TABLE = {
    "%": ("%", "1", "%|per cent|percent"),
    "Msun": ("Msun", "1", "M⊙|M_⊙|Msun*|M_sun|solar masses|solar mass"),
    "Lsun": ("Lsun", "1", "L⊙|L_⊙|Lsun|L_sun|solar luminosities|solar luminosity"),
    "Rsun": ("Rsun", "1", "R⊙|R_⊙|Rsun|R_sun|solar radii|solar radius"),
    "Zsun": ("Zsun", "1", "Z⊙|Z_⊙|Zsun|Z_sun"),
    "Mearth": ("Mearth", "1", "M⊕|M_⊕|M_Earth|Earth masses|Earth mass"),
    "Rearth": ("Rearth", "1", "R⊕|R_⊕|R_Earth|Earth radii|Earth radius"),
    "Mjup": ("Mjup", "1", "M_J|M_Jup|MJup|Jupiter masses|Jupiter mass"),
    "Rjup": ("Rjup", "1", "R_J|R_Jup|RJup|Jupiter radii|Jupiter radius"),
    "km": ("length", "1E3", "km*|kilometers|kilometres"),
    "m": ("length", "1", "m*|meters|metres|meter*|metre*"),
    "cm": ("length", "1E-2", "cm*"),
    "mm": ("length", "1E-3", "mm*"),
    "um": ("length", "1E-6", "μm|um*|microns*|micron*"),
    "nm": ("length", "1E-9", "nm*|nanometers|nanometres"),
    "A": ("length", "1E-10", "Å|angstroms|angstrom|Angstroms|Angstrom"),
    "AU": ("length", "149597870700", "AU*|au"),
    "ly": ("length", "9460730472580800", "ly|light-years|light years|light-year|light year"),
    "pc": ("parsec", "1", "pc*|parsecs|parsec"),
    "kpc": ("parsec", "1E3", "kpc*|kiloparsecs|kiloparsec"),
    "Mpc": ("parsec", "1E6", "Mpc*|megaparsecs|megaparsec"),
    "Gpc": ("parsec", "1E9", "Gpc*|gigaparsecs|gigaparsec"),
    "s": ("time", "1", "s|sec|seconds|second"),
    "ks": ("time", "1E3", "ks"),
    "ms": ("time", "1E-3", "ms*|milliseconds|millisecond"),
    "us": ("time", "1E-6", "μs|microseconds"),
    "min": ("time", "60", "min*|minutes|minute"),
    "h": ("time", "3600", "h|hr|hrs|hours*|hour*"),
    "d": ("time", "86400", "d*|days*|day*"),
    "week": ("time", "604800", "weeks|week"),
    "yr": ("time", "31557600", "yr*|yrs|years*|year*"),
    "kyr": ("time", "31557600E3", "kyr*"),
    "Myr": ("time", "31557600E6", "Myr*|Myrs|megayears"),
    "Gyr": ("time", "31557600E9", "Gyr*|Gyrs|gigayears"),
    "Hz": ("frequency", "1", "Hz*"),
    "kHz": ("frequency", "1E3", "kHz*"),
    "MHz": ("frequency", "1E6", "MHz*|megahertz"),
    "GHz": ("frequency", "1E9", "GHz*|gigahertz"),
    "THz": ("frequency", "1E12", "THz*"),
    "erg": ("energy", "1", "erg|ergs"),
    "eV": (
        "energy",
        "1.602176634E-12",
        "eV*|electron volts|electron volt|electronvolts|electronvolt",
    ),
    "keV": ("energy", "1.602176634E-9", "keV*"),
    "MeV": ("energy", "1.602176634E-6", "MeV*"),
    "GeV": ("energy", "1.602176634E-3", "GeV*"),
    "TeV": ("energy", "1.602176634", "TeV*"),
    "PeV": ("energy", "1.602176634E3", "PeV*"),
    "EeV": ("energy", "1.602176634E6", "EeV"),
    "W": ("power", "1", "W|watts|watt"),
    "kW": ("power", "1E3", "kW"),
    "Jy": ("flux density", "1", "Jy*"),
    "mJy": ("flux density", "1E-3", "mJy*"),
    "uJy": ("flux density", "1E-6", "μJy|uJy"),
    "MJy": ("flux density", "1E6", "MJy*"),
    "K": ("temperature", "1", "K*|kelvins|kelvin"),
    "MK": ("temperature", "1E6", "MK"),
    "mK": ("temperature", "1E-3", "mK"),
    "uK": ("temperature", "1E-6", "μK"),
    "G": ("magnetic field", "1", "G|Gauss|gauss"),
    "kG": ("magnetic field", "1E3", "kG|kilogauss"),
    "mG": ("magnetic field", "1E-3", "mG|milligauss"),
    "uG": ("magnetic field", "1E-6", "μG|microgauss"),
    "nG": ("magnetic field", "1E-9", "nG"),
    "g": ("mass", "1", "g"),
    "kg": ("mass", "1E3", "kg"),
    "ppm": ("ppm", "1", "ppm"),
    "mag": ("mag", "1", "mag*|mags|magnitudes|magnitude"),
    "dex": ("dex", "1", "dex"),
    "deg": ("angle", "3600", "°|^°|deg*|degrees|degree"),
    "arcmin": ("angle", "60", "'|′|^'|^′|arcmin*|arcminutes|arcminute"),
    "arcsec": ("angle", "1", "''|″|^''|^″|arcsec*|arcseconds|arcsecond"),
    "mas": ("angle", "1E-3", "mas*"),
    "uas": ("angle", "1E-6", "μas|uas*"),
    "sr": ("sr", "1", "sr"),
    "sigma": ("sigma", "1", "σ|-σ|sigma|-sigma"),
    "beam": ("beam", "1", "beam"),
    "th": ("th", "1", "th|st|nd|rd"),
}


class Unit(NamedTuple):
    """A unit that quantities are given in."""

    name: str
    dimension: str
    """Units of one dimension convert into each other."""
    exact_factor: str
    """How many of its dimension's base unit it is, in decimals."""
    spellings: tuple[str, ...]
    """In plain text, without TeX."""

    @property
    def factor(self) -> "Fraction":
        from fractions import Fraction

        return Fraction(self.exact_factor)


UNITS = {
    name: Unit(name, dimension, factor, tuple(spellings.replace("*", "").split("|")))
    for name, (dimension, factor, spellings) in _TABLE.items()
}
"""By name."""

SPELLINGS = {spelling: unit.name for unit in UNITS.values() for spelling in unit.spellings}
"""All spellings to the names of their units."""

JOINED = frozenset(
    spelling.removesuffix("*").lower()
    for _, _, spellings in _TABLE.values()
    for spelling in spellings.split("|")
    if spelling.endswith("*")
)
"""Lower-case words that an index joins to the number before them."""

BY_DIMENSION = {
    dimension: tuple(unit for unit in UNITS.values() if unit.dimension == dimension)
    for dimension in dict.fromkeys(unit.dimension for unit in UNITS.values())
}

Dimension = tuple[tuple[str, int], ...]
"""Dimensions with their powers, in the order of their names."""


@lru_cache(maxsize=1 << 12)
def dimension_of(unit: str) -> "tuple[Dimension, Fraction]":
    """The dimension of a unit with powers, and how many of the dimension's base units it is.

    >>> dimension_of("km s-1")
    ((('length', 1), ('time', -1)), Fraction(1000, 1))
    """
    from fractions import Fraction

    powers: dict[str, int] = {}
    factor = Fraction(1)
    for part in unit.split():
        name = part.rstrip("-0123456789")
        power = int(part[len(name) :] or 1)
        known = UNITS.get(name)  # a redshift's `z` is not in the table
        dimension = known.dimension if known else name
        powers[dimension] = powers.get(dimension, 0) + power
        factor *= (known.factor if known else 1) ** power
    return tuple(sorted((name, power) for name, power in powers.items() if power)), factor

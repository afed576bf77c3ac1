"""Numbers, units, errors and names, in the phrasing of abstracts."""

import pytest

from astrosearch.text.names import name_key
from astrosearch.text.quantities import AllowedValues, mentions

NUMBERS = [
    # text, (value, unit, error) of each number in it
    ("at z = 7.2", [("7.2", "z", "")]),
    ("at $z\\sim7.2$", [("7.2", "z", "")]),
    ("a redshift of 0.158", [("0.158", "z", "")]),
    ("redshifts z>6", [("6", "z", "")]),
    ("10^8 M⊙ of gas", [("1E+8", "Msun", "")]),
    ("$10^{8}\\,M_\\odot$ of gas", [("1E+8", "Msun", "")]),
    ("10$^{8}$ M$_\\odot$ of gas", [("1E+8", "Msun", "")]),
    ("$10^{8} \\, M_{\\odot}$ of gas", [("1E+8", "Msun", "")]),
    ("10⁸ solar masses", [("1E+8", "Msun", "")]),
    ("3.2 x 10^5 K", [("320000", "K", "")]),
    ("$3.2\\times10^{-13}$ erg cm$^{-2}$ s$^{-1}$", [("3.2E-13", "erg cm-2 s-1", "")]),
    ("2e-15 erg/s/cm^2", [("2E-15", "erg s-1 cm-2", "")]),
    (
        "$66.9_{-8.1}^{+11.2} \\rm{km} \\rm{s}^{-1}\\rm{Mpc}^{-1}$",
        [("66.9", "km s-1 Mpc-1", "8.1 11.2")],
    ),
    ("$0.10^{+0.04}_{-0.05}$~eV", [("0.1", "eV", "0.04 0.05")]),
    ("$8\\times10^{4}$~$M_\\odot$", [("80000", "Msun", "")]),
    ("50.30 +/- 0.53 (stat.) kpc", [("50.3", "kpc", "0.53")]),
    (
        "$13.39 \\pm 0.10 ({\\rm stat.}) \\pm 0.23 ({\\rm sys.})$ Gyr",
        [("13.39", "Gyr", "0.1"), ("0.23", "Gyr", "")],
    ),
    ("five clusters", [("5", "", "")]),
    ("Twenty-three stars", [("23", "", "")]),
    ("two hundred galaxies", [("200", "", "")]),
    ("a million stars", [("1000000", "", "")]),
    ("a dozen dwarfs", [("12", "", "")]),
    ("3.5 million sources", [("3500000", "", "")]),
    ("a 3σ excess", [("3", "sigma", "")]),
    ("at the 5-sigma level", [("5", "sigma", "")]),
    ("$2.5\\sigma$ tension", [("2.5", "sigma", "")]),
    ("250 ± 10 km/s", [("250", "km s-1", "10")]),
    ("$250\\pm10$ km s$^{-1}$", [("250", "km s-1", "10")]),
    ("250 +/- 10 km s^-1", [("250", "km s-1", "10")]),
    ("67.4$^{+0.5}_{-0.6}$ km s$^{-1}$ Mpc$^{-1}$", [("67.4", "km s-1 Mpc-1", "0.5 0.6")]),
    ("$1.97_{-0.04}^{+0.05}$ days", [("1.97", "d", "0.04 0.05")]),
    ("1.38$^{+0.27}_{-0.24}\\times10^{11}$ M$_\\odot$", [("1.38E+11", "Msun", "2.7E+10 2.4E+10")]),
    ("(1.4 ± 0.2) × 10^11 M⊙", [("1.4E+11", "Msun", "2E+10")]),
    ("a period of 5.366249(8) d", [("5.366249", "d", "8")]),
    ("1,068 spectra", [("1068", "", "")]),
    ("1068 spectra", [("1068", "", "")]),
    ("5-10 kpc", [("5", "", ""), ("10", "kpc", "")]),
    ("between 20 and 30 Myr", [("20", "", ""), ("30", "Myr", "")]),
    ("[Fe/H] = -2.1", [("-2.1", "", "")]),
    ("[Fe/H] = −2.1 dex", [("-2.1", "dex", "")]),
    ("about 40% of them", [("40", "%", "")]),
    ("about 40 per cent of them", [("40", "%", "")]),
    ("40\\% of them", [("40", "%", "")]),
    ("21 cm emission", [("21", "cm", "")]),
    ("21-cm emission", [("21", "cm", "")]),
    ("at 24 $\\mu$m", [("24", "um", "")]),
    ("at 24 μm", [("24", "um", "")]),
    ("at 24 microns", [("24", "um", "")]),
    ("5007 Å", [("5007", "A", "")]),
    ("5007 \\AA", [("5007", "A", "")]),
    ("0.5''", [("0.5", "arcsec", "")]),
    ("0.5 arcsec", [("0.5", "arcsec", "")]),
    ("30° away", [("30", "deg", "")]),
    ("30$^\\circ$ away", [("30", "deg", "")]),
    ("1.4 GHz", [("1.4", "GHz", "")]),
    ("2-10 keV", [("2", "", ""), ("10", "keV", "")]),
    ("of 18th magnitude", [("18", "th", "")]),
    ("V = 18.3 mag", [("18.3", "mag", "")]),
    ("in 2015", [("2015", "", "")]),
    ("0.3 mJy/beam", [("0.3", "mJy beam-1", "")]),
    ("$\\Omega_m = 0.315\\pm0.007$", [("0.315", "", "0.007")]),
    ("a mass ratio of 1:4", [("1", "", ""), ("4", "", "")]),
    (".5 Gyr ago", [("0.5", "Gyr", "")]),
    ("1.4 solar radii", [("1.4", "Rsun", "")]),
    ("log M = 10.5", [("10.5", "", "")]),
    ("10 per year", [("10", "", "")]),
    ("300 km per second", [("300", "km s-1", "")]),
    ("one of the stars in the tenth field", []),
]


@pytest.mark.parametrize(("text", "wanted"), NUMBERS, ids=[text for text, _ in NUMBERS])
def test_a_number_is_read_with_its_unit_and_error(
    text: str, wanted: list[tuple[str, str, str]]
) -> None:
    found = [one for one in mentions(text) if one.kind == "number"]
    assert [(one.value, one.unit, one.error) for one in found] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the nucleus of NGC 1068 is", ["NGC 1068"]),
        ("NGC1068 and M31", ["NGC1068", "M31"]),
        ("SDSS DR7 quasars", ["SDSS DR7"]),
        ("the pulsar PSR B1937+21", ["PSR B1937+21"]),
        ("toward 2MASS J22132050-5137385 we", ["2MASS J22132050-5137385"]),
        ("stars of 47 Tuc and 30 Doradus", ["47 Tuc", "30 Doradus"]),
        ("with Spitzer, XMM-Newton and the VLT", ["Spitzer", "XMM-Newton", "VLT"]),
        ("gas in the Large Magellanic Cloud", ["Large Magellanic Cloud"]),
        ("the planet HD 209458b transits", ["HD 209458b"]),
        ("a burst, GRB 170817A, was", ["GRB 170817A"]),
        ("we run 3D models of sigma8", ["3D", "sigma8"]),
        ("the AGN of our sample", []),
    ],
)
def test_a_name_is_found_whole(text: str, wanted: list[str]) -> None:
    found = [one for one in mentions(text) if one.kind == "name"]
    assert [text[one.start : one.end] for one in found] == wanted


def test_places_are_those_of_the_text_with_its_tex() -> None:
    text = "gas at 10$^{8}$ M$_\\odot$, $z\\sim7.2$ and 5$\\,$kpc."
    found = [text[one.start : one.end] for one in mentions(text)]
    assert found == ["10$^{8}$ M$_\\odot$", "z\\sim7.2", "5$\\,$kpc"]


def test_no_digit_of_whatever_script_goes_unseen() -> None:
    text = "x1 of ½ and ٣٤ in H2O, 1.2.3 a 5x b³ 10^ 7__8 Ⅷ 三 9ab"
    covered = {place for one in mentions(text) for place in range(one.start, one.end)}
    assert {i for i, sign in enumerate(text) if sign.isnumeric()} <= covered


def test_the_same_quantity_in_two_spellings_agrees() -> None:
    for one, other in (
        ("10$^{8}$ M$_\\odot$", "10^8 solar masses"),
        ("250 km/s", "250 ± 10 km s^{-1}"),
        ("five", "5"),
        ("NGC 1068", "NGC1068"),
        ("1,068 stars", "1068"),
        ("z = 7.20", "a redshift of 7.2"),
    ):
        assert AllowedValues([one]).having(mentions(other)[0]) == [0], (one, other)
    for one, other in (("7 kpc", "7 Myr"), ("7.2", "-7.2"), ("5 ± 1 K", "5 ± 2 K")):
        assert AllowedValues([one]).having(mentions(other)[0]) == [], (one, other)


EQUAL = [
    # in other units
    ("0.5 Gyr", "500 Myr"),
    ("500 Myr", "5 x 10^8 yr"),
    ("1 kpc", "1000 pc"),
    ("0.05 Mpc", "50 kpc"),
    ("1.2 Gpc", "1200 Mpc"),
    ("1 keV", "1000 eV"),
    ("0.511 MeV", "511 keV"),
    ("2.5 TeV", "2500 GeV"),
    ("60 arcsec", "1 arcmin"),
    ("1 deg", "60 arcmin"),
    ("0.1''", "100 mas"),
    ("30°", "1800'"),
    ("50 μas", "0.05 mas"),
    ("1 Jy", "1000 mJy"),
    ("0.3 mJy", "300 μJy"),
    ("5 MJy/sr", "5000000 Jy sr^-1"),
    ("1.4 GHz", "1400 MHz"),
    ("150 MHz", "0.15 GHz"),
    ("2 d", "48 hours"),
    ("90 min", "1.5 h"),
    ("1 yr", "365.25 days"),
    ("33 ms", "0.033 s"),
    ("5007 Å", "500.7 nm"),
    ("24 μm", "0.024 mm"),
    ("21 cm", "0.21 m"),
    ("1 AU", "149597870.7 km"),
    ("100 mK", "0.1 K"),
    ("5 μG", "0.005 mG"),
    ("2 kG", "2000 G"),
    ("2 kg", "2000 g"),
    ("3 arcmin^2", "10800 arcsec^2"),
    ("0.2 km/s", "200 m s^-1"),
    ("2 Msun/yr", "2 x 10^6 Msun Myr^-1"),
    ("0.3 mJy/beam", "300 μJy beam^-1"),
    ("250 ± 10 kpc", "0.25 ± 0.01 Mpc"),
    # in other spellings of the unit
    ("3 erg cm^-2 s^-1", "3 erg s^-1 cm^-2"),
    ("3 erg/s/cm^2", "3 erg cm$^{-2}$ s$^{-1}$"),
    ("220 km/s", "220 km s^-1"),
    ("220 km/s", "220 km per second"),
    ("220 km/s", "220\\,km\\,s$^{-1}$"),
    ("70 km/s/Mpc", "70 km s^-1 Mpc^-1"),
    ("10^8 solar masses", "10$^{8}$ M$_\\odot$"),
    ("5 microns", "5 $\\mu$m"),
    ("40 per cent", "40%"),
    # in other spellings of the number
    ("3e-15", "3E-15"),
    ("3e-15", "3 x 10^-15"),
    ("3E-15", "3\\times10^{-15}"),
    ("3 × 10⁻¹⁵", "3 \\times 10^{-15}"),
    ("3e-15 erg", "3*10^-15 erg"),
    ("1,068 stars", "1068"),
    ("7.20", "7.2"),
    ("1.5 million", "1500000"),
    ("twenty-three", "23"),
    ("10^8", "100000000"),
    ("-2.1", "−2.1"),
    ("500", "500 Myr"),  # a number without a unit is any
    ("250 ± 10 km/s", "250 km/s"),
    ("1,500 ± 1,200 K", "1500 ± 1200 K"),
    ("z \\la 7", "z < 7"),
    # names
    ("the LMC", "the Large Magellanic Cloud"),
    ("the HST", "by Hubble"),
    ("the JWST", "the James Webb Space Telescope"),
    ("in SDSS", "in the Sloan Digital Sky Survey"),
    ("NGC 1068", "NGC1068"),
    ("Pan-STARRS", "PanSTARRS"),
]
DIFFERENT = [
    ("0.5 Gyr", "50 Myr"),
    ("0.5 Gyr", "0.5 Myr"),
    ("1 kpc", "100 pc"),
    ("1 kpc", "1000 km"),
    ("1 pc", "3.086 x 10^13 km"),  # not exact
    ("1 Msun", "1.989 x 10^33 g"),
    ("1 Rsun", "695700 km"),
    ("1 Msun", "1 Lsun"),
    ("1 Mjup", "318 Mearth"),
    ("1 keV", "1000 K"),
    ("1 Hz", "1 s^-1"),
    ("1 mJy", "1 MJy"),
    ("1 mK", "1 K"),
    ("1 arcmin", "1 min"),
    ("30'", "30''"),
    ("3 arcmin^2", "180 arcsec^2"),
    ("3 erg s^-1", "3 erg cm^-2 s^-1"),
    ("220 km/s", "220 km"),
    ("7 kpc", "7 Myr"),
    ("7.2", "-7.2"),
    ("40%", "0.4"),
    ("5 ± 1 K", "5 ± 2 K"),
    ("250 ± 10 kpc", "0.25 ± 0.02 Mpc"),
    ("500", "0.5 Gyr"),
    ("3e-15", "3e-14"),
    ("z = 2", "2 kpc"),
    ("the LMC", "the Small Magellanic Cloud"),
    ("the LMC", "the SMC"),
    ("NGC 1068", "NGC 1069"),
]


@pytest.mark.parametrize(("text", "other"), EQUAL, ids=[" = ".join(pair) for pair in EQUAL])
def test_what_says_the_same_agrees_whatever_its_spelling_and_unit(text: str, other: str) -> None:
    (mention,), (counterpart,) = mentions(text), mentions(other)
    assert mention.agrees_with(counterpart)
    assert counterpart.agrees_with(mention)
    assert AllowedValues([text]).having(counterpart) == [0]
    assert AllowedValues([other]).having(mention) == [0]


@pytest.mark.parametrize(("text", "other"), DIFFERENT, ids=[" ≠ ".join(pair) for pair in DIFFERENT])
def test_what_says_something_else_does_not_agree(text: str, other: str) -> None:
    (mention, *_), (counterpart, *_) = mentions(text), mentions(other)
    assert not mention.agrees_with(counterpart)
    assert not counterpart.agrees_with(mention)
    assert AllowedValues([text]).having(counterpart) == []


@pytest.mark.parametrize(
    ("source", "acronym", "name"),
    [
        ("in the Square Lamp Array (SLA) we", "the SLA", "the Square Lamp Array"),
        ("the Deep Survey of Old Lamps (DSOL)", "of DSOL stars", "the Deep Survey of Old Lamps"),
        ("a Wide-field Lamp Finder (WLF)", "by WLF", "by the Wide-field Lamp Finder"),
        ("by the Lamp Counting Machines (LCMs)", "by LCM", "by Lamp Counting Machines"),
    ],
)
def test_an_acronym_that_a_source_introduces_is_its_name(
    source: str, acronym: str, name: str
) -> None:
    known = AllowedValues(["no lamp", source])
    for text in (acronym, name):
        (mention, *_) = mentions(text)
        assert known.having(mention) == [1], text
    assert AllowedValues([acronym]).having(mentions(name)[0]) == []


@pytest.mark.parametrize(
    "source",
    [
        "the Square Lamp Telescope (SLA)",
        "the Square Lamp, an Array (SLA)",
        "the (SLA)",
        "a square lamp array (SLA)",
        "the Square Lamp Array (SLA) and the Small Lamp Archive (SLA)",
    ],
)
def test_other_brackets_introduce_no_acronym(source: str) -> None:
    (name,) = mentions("the Square Lamp Array")
    known = AllowedValues([source.replace("Square Lamp Array (SLA)", "(SLA)"), source])
    sla = mentions("an SLA is")[0]
    assert not known._keys(sla) & known._keys(name)


def test_a_known_number_may_be_written_in_another_unit_and_not_more_precisely() -> None:
    known = AllowedValues(["0.5 Gyr ago, at 1.25 kpc, 2.50 keV, 7 d and 12 ± 1 Mpc"])
    for written in ("500 Myr", "1250 pc", "1,250 pc", "2500 eV", "7 days", "12000 kpc"):
        text = f"we find {written}"
        for end in range(len("we find "), len(text) + 1):
            assert known.allows(text[:end]), text[:end]
        assert known.unknown(text) is None, text
    for written in ("500.0 Myr", "500 kyr", "501 Myr", "1250 kpc", "1251 pc", "168 h", "1 Mpc"):
        text = f"we find {written} "
        assert not (known.allows(text) and known.unknown(text) is None), written


def test_a_number_is_allowed_as_long_as_it_may_become_a_known_one() -> None:
    known = AllowedValues(["1,068 stars at z = 7.25, 10^8 Msun, 7 kpc, seventeen and NGC 1275"])
    for end in (
        "1",
        "106",
        "1,06",
        "1068",
        "1,068 stars",
        "7.2",
        "z = 7.2",
        "10^",
        "10^8 M",
        "NGC 12",
    ):
        assert known.allows(f"we find {end}"), end
    for end in (
        "2",
        "1069",
        "106 ",
        "7.2 stars",
        "10 stars",
        "10^9",
        "7 Myr",
        "five",
        "NGC 13",
        "½",
    ):
        assert not known.allows(f"we find {end}") or known.unknown(f"we find {end}"), end
    assert known.allows("we find seven")  # may become seventeen
    assert not known.allows("we find five")
    assert not known.allows("we find 106 stars")


def test_a_name_is_its_letters_and_digits() -> None:
    assert name_key("XMM-Newton") == name_key("XMM Newton") == "xmmnewton"


SUPPORTED = [
    # what a source says, what is written, whether the source supports it
    ("0.5 Gyr", "500 Myr", True),
    ("1 kpc", "1000 pc", True),
    ("1 keV", "1000 eV", True),
    ("3 erg cm^-2 s^-1", "3 erg s^-1 cm^-2", True),
    ("3e-15", "3 x 10^-15", True),
    ("3e-15", "3E-15", True),
    ("3.0e-15", "3×10⁻¹⁵", True),
    ("3d-15", "3e-15", True),
    ("1e5", "100000", True),
    ("3 \\cdot 10^{-15}", "3e-15", True),
    ("3e+05", "300000", True),
    ("3e-015", "3e-15", True),
    ("1e100", "1 x 10^100", True),
    ("In 2021 we", "2021 kpc", False),
    ("published in 2021", "2021 galaxies", False),
    ("87 %", "87 clouds", False),
    ("87%", "87", False),
    ("87 clouds", "87 %", False),
    ("87 clouds", "87 galaxies", True),
    ("5 kpc", "5", True),
    ("5", "5 kpc", True),
    ("in 2015", "in 2015", True),
    ("2015", "2015", True),
    ("(2021)", "2021 kpc", False),
    ("Since 1999", "1999 km/s", False),
    ("5 kpc", "5 Mpc", False),
    ("5 days", "5 years", False),
    ("3 sigma", "3", True),
    ("LMC", "Large Magellanic Cloud", True),
    ("the Large Magellanic Cloud", "LMC", True),
    ("the SMC", "Large Magellanic Cloud", False),
    ("a Foo Bar Telescope (FBT)", "the FBT", True),
    ("1 Jy", "1000 mJy", True),
    ("1 arcmin", "60 arcsec", True),
    ("1.0 deg", "3600''", True),
    ("1.0 h", "3600 s", True),
    ("1 GHz", "1000 MHz", True),
    ("10 G", "0.01 kG", True),
    ("1 Å", "0.1 nm", True),
    ("100 km/s", "100 km s-1", True),
    ("1 m/s", "100 cm/s", True),
    ("1000 m/s", "1 km/s", True),
    ("1 AU", "1 au", True),
    ("2 kpc^2", "2e6 pc^2", True),
    ("3 ks", "3000 s", True),
    ("1 pc", "3.26 ly", False),
    ("1 mas", "1000 uas", True),
    ("1 kW", "1000 W", True),
    ("1 Rjup", "1 R_J", True),
    ("1 degree", "60 arcmin", True),
    ("20 mag", "20 dex", False),
    ("5 kyr", "5000 yr", True),
    ("13 TeV", "13000 GeV", True),
    ("1 erg cm^-2 s^-1 Hz^-1", "1 erg/s/cm^2/Hz", True),
    ("100 km s^-1 kpc^-1", "0.1 km/s/pc", True),
    ("1 cm^-3", "1 cm-3", True),
    ("18 h", "0.75 d", True),
    ("1 mJy", "1 mag", False),
    ("0.1 um", "100 nm", True),
    ("1 kms^-1", "1 km/s", True),
    ("40 per cent", "40%", True),
    ("0.4", "40%", False),
    ("1 hour", "60 minutes", True),
    ("1 week", "7 days", True),
    ("100 ks", "1e5 s", True),
    ("1 light year", "1 ly", True),
    ("10^7 solar masses", "10^7 M⊙", True),
    ("1e-3 Mpc", "1 kpc", True),
    ("2 Rsun", "2 Msun", False),
    ("3.0e-15 erg/s", "3e-15 erg s^-1", True),
    ("1 electron volt", "1 eV", True),
    ("1 kilogauss", "1000 G", True),
    ("100 Gpc^-3 yr^-1", "100 yr^-1 Gpc^-3", True),
    ("1 MK", "1e6 K", True),
    ("3 kelvin", "3 K", True),
    ("3 megayears", "3 Myr", True),
    ("3 billion years", "3 Gyr", True),
    ("3 million years", "3 Myr", True),
    ("1 second", "1 s", True),
    ("the 1990s", "1990 pc", False),
    ("in May 2021", "2021 stars", False),
    ("Smith et al. 2021", "2021 pc", False),
    ("1 W", "0.001 kW", True),
    ("5-10 kpc", "5 kpc", True),
    ("5-10 kpc", "5 Mpc", False),
    ("5 to 10 Gyr", "5000 Myr", False),
    ("between 20 and 30 Myr", "20 Myr", True),
    ("5-10%", "5%", True),
    ("87 of them", "87 clouds", True),
    ("87 clouds", "87 of them", True),
    ("12 clusters", "12 kpc", False),
    ("12 kpc", "12 clusters", False),
    ("a dozen clusters", "12 clusters", True),
    ("a dozen clusters", "12 kpc", False),
    ("in 2010 we found", "found in 2010", True),
    ("1850 galaxies", "in 1850", False),
    ("1,850 galaxies", "1850 galaxies", True),
    ("3e-15 erg s^-1 cm^-2", "3e-15 erg/cm^2/s", True),
    ("3e-15 erg s^-1 cm^-2", "3e-15 erg s^-1", False),
    ("3e-15", "3e-14", False),
    ("6.02e23", "6.02 x 10^23", True),
    ("1 mJy", "1000 uJy", True),
    ("2 keV", "2 MeV", False),
    ("1 kpc", "1001 pc", False),
    ("0.5 Gyr", "5000 Myr", False),
    ("30 arcsec", "0.5 arcmin", True),
    ("120 s", "2 min", True),
    ("the James Webb Space Telescope", "JWST", True),
    ("JWST", "the Hubble", False),
    ("HST", "the Hubble Space Telescope", True),
    ("SDSS", "the Sloan Digital Sky Survey", True),
    ("NGC 1068", "NGC1068", True),
    ("NGC 1068", "NGC 1086", False),
    ("M31", "M33", False),
    ("the Wide Sky Mapper (WSM)", "WSM", True),
    ("WSM", "the Wide Sky Mapper", False),
    ("Small Magellanic Cloud", "LMC", False),
    ("5σ", "5 sigma", True),
    ("-2.1 dex", "2.1 dex", False),
    ("70 km s^-1 Mpc^-1", "70 km/s/Mpc", True),
]


@pytest.mark.parametrize(("source", "written", "supported"), SUPPORTED)
def test_what_a_source_supports(source: str, written: str, supported: bool) -> None:
    allowed = AllowedValues([source])
    parts = mentions(written)
    assert parts
    assert all(allowed.having(part) for part in parts) == supported
    assert (allowed.unknown(written) is None) or not supported


def test_the_table_of_support_is_long_enough() -> None:
    assert len(set(SUPPORTED)) >= 120

"""Names of surveys, telescopes and objects, as astronomers write them.

A name is its letters and digits, so that NGC 1068 is NGC1068. An acronym is the name that it
stands for where a text says so, as in `the Large Magellanic Cloud (LMC)`, or where the whole field
knows it.
"""

import re
import unicodedata
from collections.abc import Iterator

from astrosearch.text.units import SPELLINGS

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
_FIELD_NAMES = {
    "2MASS": "Two Micron All Sky Survey",
    "ALMA": "Atacama Large Millimeter Array",
    "APEX": "Atacama Pathfinder Experiment",
    "CFHT": "Canada-France-Hawaii Telescope",
    "DES": "Dark Energy Survey",
    "DESI": "Dark Energy Spectroscopic Instrument",
    "EHT": "Event Horizon Telescope",
    "GBT": "Green Bank Telescope",
    "GMRT": "Giant Metrewave Radio Telescope",
    "HST": "Hubble Space Telescope",
    "Hubble": "Hubble Space Telescope",
    "HUDF": "Hubble Ultra Deep Field",
    "JCMT": "James Clerk Maxwell Telescope",
    "JWST": "James Webb Space Telescope",
    "LHC": "Large Hadron Collider",
    "LMC": "Large Magellanic Cloud",
    "LOFAR": "Low Frequency Array",
    "LSST": "Large Synoptic Survey Telescope",
    "SDSS": "Sloan Digital Sky Survey",
    "SKA": "Square Kilometre Array",
    "SMC": "Small Magellanic Cloud",
    "SPT": "South Pole Telescope",
    "TESS": "Transiting Exoplanet Survey Satellite",
    "VLA": "Very Large Array",
    "VLBA": "Very Long Baseline Array",
    "VLT": "Very Large Telescope",
    "WISE": "Wide-field Infrared Survey Explorer",
    "WMAP": "Wilkinson Microwave Anisotropy Probe",
    "ZTF": "Zwicky Transient Facility",
}
"""What the whole field knows."""
_WORD = r"[A-Z][a-zé']+"
_NAME = re.compile(
    # J1234+5678, B1937+21, with or without what stands before
    r"(?<![\w])(?:[A-Z0-9][\w-]* )?[JB][0-9]{3,}[\w.]*(?:[+-][0-9][\w.]*)?"
    # a catalogue's name and a number: NGC 1068, Abell 2029, GRB 170817A
    rf"|(?<![\w-])(?:{'|'.join(map(re.escape, _CATALOGUES))})[ -]?[0-9][\w.+-]*(?<![.+-])"
    # 47 Tuc, 30 Doradus
    rf"|(?<![\w.])[0-9]{{1,3}} (?:{'|'.join(_SKIES.split())})\b"
    # what is abbreviated, also at the beginning of a sentence
    rf"|(?<![\w-])(?:{'|'.join(name for name in _FIELD_NAMES.values() if ' ' in name)})(?!\w)"
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


def names(plain: str) -> Iterator[tuple[int, int]]:
    """Where the names of a text without TeX begin and end."""
    for match in _NAME.finditer(plain):
        if (
            match[0] not in _COMMON
            and match[0] not in SPELLINGS
            and not _is_raised_unit(match[0], plain[: match.start()])
        ):
            yield match.span()


def _is_raised_unit(name: str, before: str) -> bool:
    """Whether what looks like a name is a unit with its power: the `s-1` of `10 km s-1`."""
    unit = name.rstrip("0123456789").rstrip("-")
    power = name[len(unit) :]
    if unit not in SPELLINGS or len(power.lstrip("-")) != 1:
        return False
    *_, last = before.split() or [""]
    return last.rstrip("-0123456789") in SPELLINGS or last[-1:].isdigit()


def name_key(name: str) -> str:
    """Letters and digits of a name, in lower case, without accents.

    >>> name_key("NGC 1068"), name_key("XMM-Newton")
    ('ngc1068', 'xmmnewton')
    """
    apart = unicodedata.normalize("NFKD", name.lower())
    return "".join(sign for sign in apart if sign.isalnum())


ACRONYMS = {name_key(acronym): name_key(name) for acronym, name in _FIELD_NAMES.items()}
"""What the whole field knows, as keys of names."""

_IN_BRACKETS = re.compile(r" \(([A-Z][A-Za-z]*[A-Z])s?\)")
_LONGEST_NAME = 120
_PART = re.compile(r"[A-Za-z][A-Za-z'’]*")


def introduced_acronyms(plain: str) -> dict[str, str]:
    """The acronyms that a text without TeX introduces, to the names before them, as keys.

    >>> introduced_acronyms("gas of the Large Magellanic Cloud (LMC)")
    {'lmc': 'largemagellaniccloud'}
    """
    acronyms = {}
    for match in _IN_BRACKETS.finditer(plain):
        before = plain[max(0, match.start() - _LONGEST_NAME) : match.start()]
        name = _abbreviated(before, match[1])
        if name:
            acronyms[name_key(match[1])] = name_key(name)
    return acronyms


def _abbreviated(before: str, acronym: str) -> str:
    """The end of a text whose words begin with the letters of an acronym; empty if none does.

    Words in lower case (`of`, `and`) need no letter. What is between the words is spaces, hyphens
    and slashes alone.
    """
    left = acronym.upper()
    parts = [*_PART.finditer(before)]
    following = len(before)
    for part in reversed(parts):
        if before[part.end() : following].strip(" -/"):
            return ""
        following = part.start()
        if part[0][0].upper() == left[-1]:
            left = left[:-1]
            if not left:
                return before[part.start() :] if part[0][0].isupper() else ""
        elif part[0][0].isupper():
            return ""
    return ""


def same_name(key: str, other: str) -> bool:
    """Whether two keys are one name to the whole field."""
    return ACRONYMS.get(key, key) == ACRONYMS.get(other, other)

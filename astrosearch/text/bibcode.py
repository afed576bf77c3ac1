"""Bibcodes: the identifiers of the Astrophysics Data System (ADS).

A bibcode has 19 characters, `YYYYJJJJJVVVVMPPPPA`: year, journal, volume, section, page, and the
initial of the first author's family name, with dots where it lacks some
(https://ui.adsabs.harvard.edu/help/actions/bibcode). Issues of journals that number their articles
by six digits are letters: `043007` is `d3007`. A preprint's holds its identifier:
`2023arXiv230906126N`, `1994astro.ph..1008M`.
"""

import re
import unicodedata
from typing import NamedTuple

from astrosearch.papers import Paper, month_of_id
from astrosearch.text.authors import family_name, is_group
from astrosearch.text.journals import Reference, published_in, year_of_volume
from astrosearch.text.tables import LETTERS
from astrosearch.text.tex import to_unicode

_BIBCODE = re.compile(
    r"(?P<year>[12]\d{3})(?P<stem>[A-Za-z][A-Za-z&.]{4})(?P<volume>[A-Za-z0-9.]{4})"
    r"(?P<page>[A-Za-z0-9.]{5})(?P<initial>[A-Za-z.:])"
)


class Bibcode(NamedTuple):
    """The parts of a journal's bibcode, without the dots between them."""

    year: int
    stem: str
    """`ApJ`"""
    volume: str
    page: str
    """With its section: `85`, `L1`, `A1`, `d3007`."""
    initial: str
    """Empty if the paper has no author."""

    @property
    def number(self) -> str:
        """The digits of the page as references write them: `85`, `1`, `043007`."""
        section, digits = self.page[:1], self.page[1:]
        if section.islower():
            return f"{ord(section) - ord('a') + 1:02}{digits}"
        return digits if section.isalpha() else self.page

    def __str__(self) -> str:
        """
        >>> str(Bibcode(2019, "ApJ", "875", "L1", "E"))
        '2019ApJ...875L...1E'
        """
        section = self.page[:1] if self.page[:1].isalpha() else ""
        page = self.page.removeprefix(section)
        page = section + page.rjust(4, ".") if section else page.rjust(5, ".")
        return f"{self.year}{self.stem:.<5}{self.volume:.>4}{page}{self.initial or '.'}"


def parse_bibcode(text: str) -> Bibcode | None:
    """The parts of a journal's bibcode; None if a text is not one.

    >>> parse_bibcode("2019ApJ...875L...1E")
    Bibcode(year=2019, stem='ApJ', volume='875', page='L1', initial='E')
    """
    match = _BIBCODE.fullmatch(text)
    if match is None:
        return None
    year, stem, volume, page, initial = match.groups()
    section = page[0] if page[0].isalpha() else ""
    page = section + page.removeprefix(section).lstrip(".")
    parts = Bibcode(int(year), stem.rstrip("."), volume.lstrip("."), page, initial.strip(".:"))
    return parts if parts.volume and parts.page else None


def bibcode(paper: Paper) -> str:
    """The bibcode by which ADS knows a paper: its journal's if that is certain, else its
    preprint's, which finds the same record there.

    >>> bibcode(Paper("2309.06126", "", "", ("Anna Duarte",), (), date(2023, 9, 12)))
    '2023arXiv230906126D'
    """
    return journal_bibcode(paper) or preprint_bibcode(paper)


def preprint_bibcode(paper: Paper) -> str:
    """
    >>> preprint_bibcode(Paper("astro-ph/0601001", "", "", ("Łucja Nowak",), (), date(2006, 1, 1)))
    '2006astro.ph..1001N'
    """
    year = month_of_id(paper.id).year
    archive, slash, number = paper.id.rpartition("/")
    if slash:
        place = archive.replace("-", ".").ljust(9, ".") + number[2:].lstrip("0").rjust(5, ".")
    else:
        place = "arXiv" + (number.replace(".", "") if len(number) == 10 else number)
    return f"{year}{place}{initial(paper) or '.'}"


def journal_bibcode(paper: Paper) -> str | None:
    """The bibcode of a paper in its journal; None if any part of it is not certain.

    A collaboration on arXiv may have a person for first author in the journal, so its paper has
    none.
    """
    parts = _parts(published_in(paper))
    if parts is None or not paper.authors or is_group(paper.authors[0]):
        return None
    letter = initial(paper)
    return str(parts._replace(initial=letter)) if letter else None


def is_bibcode_of(code: Bibcode, paper: Paper) -> bool:
    """Whether a journal's bibcode is a paper's, as far as its journal reference or DOI tells."""
    parts = _parts(published_in(paper))
    if parts is None or parts[:-1] != code[:-1]:
        return False
    of_group = bool(paper.authors) and is_group(paper.authors[0])
    letter = initial(paper)
    return of_group or not (letter and code.initial) or letter == code.initial.upper()


def initial(paper: Paper) -> str:
    """The first letter of the first author's family name, particles included, in A to Z; empty if
    there is none."""
    family = family_name(paper.authors[0]) if paper.authors else ""
    return ascii_letters(family)[:1].upper()


def ascii_letters(name: str) -> str:
    r"""The letters of a name, in A to Z and a to z.

    >>> ascii_letters(r"Øster-M\"uß")
    'OsterMuss'
    """
    apart = unicodedata.normalize("NFKD", to_unicode(name).translate(_ASCII))
    return re.sub(r"[^A-Za-z]", "", apart)


_ASCII = str.maketrans(
    LETTERS
    | {letter.upper(): plain.capitalize() for letter, plain in LETTERS.items() if letter != "ı"}
    | {"ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ß": "ss"}
)

# --- volume and page ---

_BY_MONTHS = ("JCAP", "JHEP")
"""Journals whose volume is a month of two digits, and whose pages have three."""

_BY_ISSUES = frozenset(
    "PhRvA PhRvC PhRvD PhRvE PhRvL PhRvX PhRvR RvMP RPPh CQGra PASP NJPh JPhG JATIS".split()
)
"""Journals that number their articles by six digits, of which two are the issue."""

_FIRST_NUMBERED = 509
"""The first volume of A&A whose articles have numbers, `A1`, in place of pages."""


def _parts(reference: Reference | None) -> Bibcode | None:
    """A journal's bibcode without its initial; None if a part of it is not certain."""
    if reference is None or reference.known is None or not reference.volume.isdecimal():
        return None
    stem, volume = reference.known.stem, reference.volume
    year = year_of_volume(stem, volume)
    if year and reference.year and year != reference.year:
        return None
    year = year or reference.year
    page = _page(reference, stem)
    if not year or not page or len(volume) > 4:
        return None
    return Bibcode(year, stem, volume if stem in _BY_MONTHS else f"{int(volume)}", page, "")


def _page(reference: Reference, stem: str) -> str | None:
    """The page with its section, as a bibcode has it; None if that is not certain."""
    match = re.fullmatch(r"([A-Z]?)(\d{1,6})", reference.page)
    if match is None:
        page = re.fullmatch(r"e0*(\d{1,4})", reference.page) if stem == "PASA" else None
        return page[1] if page else None
    section, digits = match.groups()
    if reference.known and reference.known.is_letters:
        section = section or "L"
    if stem in _BY_MONTHS:
        return digits if len(digits) == 3 and not section else None
    if section not in ("", "L", "A" if stem == "A&A" else "L"):
        return None
    if stem == "A&A" and int(reference.volume) >= _FIRST_NUMBERED and not section:
        return None
    if len(digits) == 6:
        issue = int(digits[:2])
        certain = stem in _BY_ISSUES and 1 <= issue <= 26 and not section
        return f"{chr(ord('a') + issue - 1)}{digits[2:]}" if certain else None
    if digits[0] == "0" or (len(digits) == 5 and section):
        return None
    return section + digits

"""Identifiers as queries: an arXiv identifier, a DOI or an ADS bibcode, in any usual form.

A bibcode has 19 characters: year, journal, volume, page, and the initial of the first author
(https://ui.adsabs.harvard.edu/help/actions/bibcode). That of a preprint holds its arXiv identifier:
2023arXiv230906126N is 2309.06126, 1994astro.ph..1008M is astro-ph/9401008.
"""

import re
from typing import Literal, NamedTuple

from astrosearch.errors import IdentifierError
from astrosearch.papers import LONGEST_ID, arxiv_id_of_bibcode, parse_id, without_wrapping

Kind = Literal["arXiv identifier", "DOI", "bibcode"]


class Identifier(NamedTuple):
    """An identifier that a query consists of."""

    kind: Kind
    """The form in which it was written."""
    text: str
    """As it was written, without brackets, prefixes and punctuation around it."""
    arxiv_id: str | None
    """The arXiv identifier that it stands for, if it is one of a preprint."""

    def __str__(self) -> str:
        """`2023arXiv230906126N is a bibcode`"""
        return f"{self.text} is {'an' if self.kind[0] == 'a' else 'a'} {self.kind}"


_DOI = re.compile(
    r"(?:https?://(?:dx\.|www\.)?doi\.org/|doi:?\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE
)
_ADS = re.compile(
    r"https?://(?:ui\.|www\.)?adsabs\.harvard\.edu/(?:abs|link_gateway|full)/([^\s/?#]+)(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_BIBCODE = re.compile(r"(?:bibcode:\s*)?([12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:])")


def read_identifier(text: str) -> Identifier | None:
    """The identifier that a text is, with nothing else beside it; None if it is another text."""
    if len(text) > LONGEST_ID:
        return None
    bare = without_wrapping(text)
    if match := _ADS.fullmatch(bare):
        bare = match[1].replace("%26", "&")
    if arxiv_id := _arxiv_id(bare):
        return Identifier("arXiv identifier", bare, arxiv_id)
    if match := _DOI.fullmatch(bare):
        return Identifier("DOI", match[1], None)
    # A word of nineteen letters is not a bibcode, which has the digits of a volume or a page.
    if (match := _BIBCODE.fullmatch(bare)) and any(map(str.isdigit, match[1][5:])):
        return Identifier("bibcode", match[1], arxiv_id_of_bibcode(match[1]))
    return None


def _arxiv_id(text: str) -> str | None:
    try:
        return parse_id(text).id
    except IdentifierError:
        return None

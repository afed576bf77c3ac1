"""Identifiers as queries: an arXiv identifier, a DOI or an ADS bibcode, in any usual form.

A bibcode has 19 characters: year, journal, volume, page, and the initial of the first author
(https://ui.adsabs.harvard.edu/help/actions/bibcode). That of a preprint holds its arXiv identifier:
2023arXiv230906126N is 2309.06126, 1994astro.ph..1008M is astro-ph/9401008. That of a journal is
compared with the journal references and DOIs of papers (`text/bibcode.py`).
"""

import re
import unicodedata
from typing import Literal, NamedTuple
from urllib.parse import unquote

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


_QUOTES = "«»‹›„‚*_|"
_PREFIX = re.compile(
    r"(?:(?:identifier|eprint|bibcode|doi|id|info|urn)\s?:\s*|(?:doi|arxiv)[ ./]?(?=\d|10\.))",
    re.IGNORECASE,
)
_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>]+")
_BIBCODE = re.compile(r"[12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:]")
_OLD_APART = re.compile(r"([a-z-]+(?:\.[A-Za-z-]+)?)[: ](\d{7}(?:v\d+)?)", re.IGNORECASE)
_LOOKS_LIKE_ID = re.compile(
    r"(?:\d\d(?:0[1-9]|1[0-2])\.\d{4,5}|\d{7})(?:v\d+)?|(?:arxiv:|[a-z-]+/)\d[\d.]+(?:v\d+)?",
    re.IGNORECASE,
)

# --- addresses ---

_ADDRESS = re.compile(r"(?:https?://|(?:[\w-]+\.)+[a-z]{2,}/)\S+", re.IGNORECASE)
_IN_ADDRESS = re.compile(
    r"""(?P<doi>10\.\d{4,9}/[^\s?#&"<>{}\]]+)
      | (?<![\w.])(?P<bibcode>[12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:])(?![\w.])
      | (?<![\d.])(?P<new>\d{4}\.\d{4,5})(?!\d)
      | (?<![\w.-])(?P<old>[a-z-]+(?:\.[A-Za-z-]+)?/\d{7})(?!\d)""",
    re.VERBOSE,
)
_BEHIND_DOI = re.compile(
    r"(?:/(?:pdf|epdf|full|html|abstract|meta|references|citations|fulltext)|\.pdf|\))+$",
    re.IGNORECASE,
)


def read_identifier(text: str) -> Identifier | None:
    """The identifier that a text is, with nothing else beside it; None if it is another text."""
    if len(text) > LONGEST_ID or not any(map(str.isnumeric, text)):
        return None
    bare = without_wrapping(unicodedata.normalize("NFKC", text)).strip(_QUOTES)
    if identifier := _read(bare):
        return identifier
    if " " not in bare and (_ADDRESS.search(bare) or "](" in bare):
        identifiers = identifiers_in(bare)
        return identifiers[0] if len(identifiers) == 1 else None
    while (shorter := without_wrapping(_PREFIX.sub("", bare, count=1))) != bare:
        bare = shorter
        if identifier := _read(bare):
            return identifier
    return None


def why_not(text: str) -> str:
    """What is wrong with a text that looks like an arXiv identifier and is not one; empty if it
    does not look like one, or is one."""
    bare = without_wrapping(text)
    if len(text) > LONGEST_ID or not _LOOKS_LIKE_ID.fullmatch(bare):
        return ""
    try:
        parse_id(bare)
    except IdentifierError as error:
        return str(error)
    return ""


def identifiers_in(text: str) -> list[Identifier]:
    """The identifiers in an address or a link, none twice."""
    identifiers: dict[str, Identifier] = {}
    for match in _IN_ADDRESS.finditer(unquote(text)):
        part = _BEHIND_DOI.sub("", match[0]) if match["doi"] else match[0]
        if identifier := _read(part):
            identifiers.setdefault(identifier.arxiv_id or identifier.text.lower(), identifier)
    return list(identifiers.values())


def _read(bare: str) -> Identifier | None:
    """The identifier that a text is, without any prefix but those of arXiv."""
    bare = _OLD_APART.sub(r"\1/\2", bare) if _OLD_APART.fullmatch(bare) else bare
    if arxiv_id := _arxiv_id(bare):
        return Identifier("arXiv identifier", bare, arxiv_id)
    if _DOI.fullmatch(bare):
        return Identifier("DOI", bare, None)
    # A word of nineteen letters is not a bibcode, which has the digits of a volume or a page.
    if _BIBCODE.fullmatch(bare) and any(map(str.isdigit, bare[5:])):
        return Identifier("bibcode", bare, arxiv_id_of_bibcode(bare))
    return None


def _arxiv_id(text: str) -> str | None:
    try:
        return parse_id(text).id
    except IdentifierError:
        return None

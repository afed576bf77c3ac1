"""Keys: the one spelling by which the graph knows a work."""

import re

from astrosearch.errors import IdentifierError
from astrosearch.papers import arxiv_id_of_bibcode, parse_id

LONGEST_KEY = 300
"""Characters; a text that is longer names no work."""

_DOI = re.compile(r"(?:(?:https?://)?(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_BIBCODE = re.compile(r"[12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:]", re.ASCII)
_OPENALEX = re.compile(r"(?:https?://openalex\.org/(?:works/)?|openalex:)?(W\d+)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:s2|astromlab):\w+")

RANKS = ("arxiv", "doi", "bibcode", "openalex:", "s2:", "astromlab:")
"""Kinds of keys, the one that says most first."""


def key_of(text: str) -> str | None:
    """The key of an identifier: an arXiv identifier, a DOI in lower case, a bibcode, or a number of
    OpenAlex, Semantic Scholar or AstroMLab-5 behind its name; None if it is none of these.

    >>> key_of("arXiv:2309.06126v2"), key_of("https://doi.org/10.1086/300499")
    ('2309.06126', '10.1086/300499')
    >>> key_of("https://openalex.org/W2741809807"), key_of("2023arXiv230906126N")
    ('openalex:W2741809807', '2309.06126')
    """
    text = text.strip()
    if len(text) > LONGEST_KEY:
        return None
    try:
        return parse_id(text).id
    except IdentifierError:
        pass
    if match := _DOI.fullmatch(text):
        return match[1].lower().rstrip(".,;")
    if _BIBCODE.fullmatch(text):
        return arxiv_id_of_bibcode(text) or text
    if match := _OPENALEX.fullmatch(text):
        return f"openalex:{match[1].upper()}"
    return text if _NUMBERED.fullmatch(text) else None


def rank_of(key: str) -> int:
    """The place of a key's kind in `RANKS`."""
    for rank, name in enumerate(RANKS):
        if name.endswith(":") and key.startswith(name):
            return rank
    if key.startswith("10.") and "/" in key:
        return RANKS.index("doi")
    return RANKS.index("bibcode") if _BIBCODE.fullmatch(key) else 0

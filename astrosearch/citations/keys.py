"""Keys: the one spelling by which the graph knows a work."""

import re
from contextlib import suppress

from astrosearch.errors import IdentifierError
from astrosearch.papers import arxiv_id_of_bibcode, parse_id

LONGEST_KEY = 300
"""Characters; a text that is longer names no work."""

_NEW_ID = re.compile(r"\d{4}\.\d{4,5}")
_DOI = re.compile(r"(?:(?:https?://)?(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_BIBCODE = re.compile(r"[12]\d{3}[A-Za-z][A-Za-z0-9.&]{13}[A-Za-z.:]", re.ASCII)
_OPENALEX = re.compile(r"(?:https?://openalex\.org/(?:works/)?|openalex:)?(W\d+)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:s2|astromlab):\w+")

_NUMBERS = ("openalex:", "s2:", "astromlab:")


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
    # What is cheap to tell comes first: there may be millions.
    if _NEW_ID.fullmatch(text):
        with suppress(IdentifierError):
            return parse_id(text).id
        return None
    if _BIBCODE.fullmatch(text):
        return arxiv_id_of_bibcode(text) or text
    if _NUMBERED.fullmatch(text):
        return text
    if match := _OPENALEX.fullmatch(text):
        return f"openalex:{match[1].upper()}"
    try:
        return parse_id(text).id
    except IdentifierError:
        match = _DOI.fullmatch(text)
        return match[1].lower().rstrip(".,;") if match else None


def rank_of(key: str) -> int:
    """How little a key says: 0 for an arXiv identifier, then DOI, bibcode, numbers."""
    if key.startswith("10."):
        return 1
    for rank, name in enumerate(_NUMBERS, start=3):
        if key.startswith(name):
            return rank
    return 2 if len(key) == 19 and "/" not in key else 0

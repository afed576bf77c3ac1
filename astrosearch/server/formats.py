"""How papers are written: JSON, BibTeX, RIS, identifiers, Atom."""

from collections.abc import Sequence
from xml.etree import ElementTree

from astrosearch.library import ris
from astrosearch.papers import Paper
from astrosearch.server.requests import Format
from astrosearch.text import bibtex, csl
from astrosearch.text.authors import display_name
from astrosearch.text.bibtex import KeyStyle
from astrosearch.text.tex import one_line, to_unicode

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "bibtex": "application/x-bibtex",
    "ris": "application/x-research-info-systems",
    "ids": "text/plain",
    "atom": "application/atom+xml",
}
ATOM = "http://www.w3.org/2005/Atom"


def accepted(accept: str) -> Format:
    """The format that an `Accept` header asks for first; JSON if it names none of ours.

    >>> accepted("text/html, application/atom+xml;q=0.9")
    'atom'
    """
    wanted = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            wanted.append((float(quality), media_type))
        except ValueError:
            continue
    formats = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    formats |= {"*/*": "json", "application/*": "json"}
    for weight, media_type in sorted(wanted, key=lambda pair: -pair[0]):
        if media_type in formats and weight:
            return formats[media_type]
    return "json"


def write_papers(papers: Sequence[Paper], format: Format, key: KeyStyle, title: str) -> bytes:
    """Papers in any format but JSON, in UTF-8.

    Args:
        key: how BibTeX entries are called.
        title: of an Atom feed.
    """
    match format:
        case "bibtex":
            text = "\n\n".join(bibtex.entries(papers, key))
        case "ris":
            text = "\r\n\r\n".join(ris.entries(csl.items(papers, bibtex.keys(papers, key))))
        case "ids":
            text = "\n".join(paper.id for paper in papers)
        case _:
            return _atom(papers, title)
    return f"{text}\n".encode() if papers else b""


def _atom(papers: Sequence[Paper], title: str) -> bytes:
    """A feed (RFC 4287). Its identifiers are those of arXiv's own feeds."""
    days = [paper.updated or paper.published for paper in papers]
    feed = ElementTree.Element("feed", xmlns=ATOM)
    _add(feed, "id", "urn:astrosearch:" + _identifier(title))
    _add(feed, "title", title)
    _add(feed, "updated", f"{max(days).isoformat() if days else '1970-01-01'}T00:00:00Z")
    _add(_add(feed, "author"), "name", "astrosearch")
    for paper, day in zip(papers, days, strict=True):
        entry = _add(feed, "entry")
        _add(entry, "id", paper.url.replace("https://", "http://"))
        _add(entry, "title", paper.title)
        _add(entry, "updated", f"{day.isoformat()}T00:00:00Z")
        _add(entry, "published", f"{paper.published.isoformat()}T00:00:00Z")
        for name in paper.authors:
            _add(_add(entry, "author"), "name", display_name(name))
        for category in paper.categories:
            _add(entry, "category").set("term", _legal(category))
        link = _add(entry, "link")
        link.set("href", paper.url)
        link.set("rel", "alternate")
        _add(entry, "summary", paper.abstract)
    written: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _identifier(title: str) -> str:
    from urllib.parse import quote

    return quote(_legal(title))


def _add(parent: ElementTree.Element, tag: str, text: str = "") -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    child.text = _legal(to_unicode(text)) or None
    return child


def _legal(text: str) -> str:
    """Without what XML 1.0 does not allow."""
    return "".join(
        sign
        for sign in one_line(text)
        if not 0xD800 <= ord(sign) <= 0xDFFF and ord(sign) & 0xFFFE != 0xFFFE
    )

"""OAI-PMH, the protocol over which arXiv gives its metadata: a request to the page it asks for.

The protocol is defined at https://www.openarchives.org/OAI/openarchivesprotocol.html; what
arXiv makes of it at https://info.arxiv.org/help/oa/index.html. Dates select by the day a record
last *changed*, not by the day the paper appeared. The format asked for, `arXivRaw`, lists every
version of a paper.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from datetime import date

import httpx2

from astrosearch.corpus.records import WithdrawnError, paper_from_record
from astrosearch.errors import AstrosearchError, InputError, NothingFound, RecordError
from astrosearch.papers import Paper
from astrosearch.retry_after import retry_after

ARXIV_OAI = "https://oaipmh.arxiv.org/oai"

_XML = {
    "": "http://www.openarchives.org/OAI/2.0/",
    "raw": "http://arxiv.org/OAI/arXivRaw/",
}

# Control characters that XML forbids and old abstracts contain: one of them would make its page
# unreadable for ever.
_FORBIDDEN = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D})


_ROOT_TAG = re.compile(rb"<(OAI-PMH)\b[^<>]*>")
_RECORD = re.compile(rb"<record>.*?</record>", re.DOTALL)
_IDENTIFIER = re.compile(rb"<identifier>[\x21-\x25\x27-\x3b\x3d\x3f-\x7e]{1,100}</identifier>")


@dataclass(frozen=True, slots=True)
class HarvestRequest:
    """Which records to ask for, and whom.

    Raises:
        InputError: `base_url` is not a web address.
    """

    since: date
    """First day of change, in UTC; arXiv has none before 2005-09-16."""
    until: date | None = None
    """Last day of change, in UTC; None: up to now."""
    set_spec: str = "physics:astro-ph"
    """A group, archive or category in OAI-PMH's spelling: `physics:astro-ph:GA`."""
    base_url: str = ARXIV_OAI

    def __post_init__(self) -> None:
        try:
            url = httpx2.URL(self.base_url)
        except httpx2.InvalidURL:
            url = httpx2.URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise InputError(f"{self.base_url!r} is not a web address: write it like {ARXIV_OAI}")

    @property
    def host(self) -> str:
        return httpx2.URL(self.base_url).host

    def arguments(self, token: str | None) -> dict[str, str]:
        """What is asked for the first page, or for the page of a token."""
        if token is not None:
            # The protocol allows no other argument beside it.
            return {"verb": "ListRecords", "resumptionToken": token}
        first = {
            "verb": "ListRecords",
            "metadataPrefix": "arXivRaw",
            "set": self.set_spec,
            "from": str(self.since),
        }
        return first | ({"until": str(self.until)} if self.until else {})

    def __str__(self) -> str:
        """All of the request: it identifies an unfinished harvest."""
        where = "" if self.base_url == ARXIV_OAI else f" at {self.base_url}"
        return f"{self.set_spec} from {self.since} until {self.until or 'now'}{where}"


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that is not a paper."""

    id: str
    reason: str
    """The word it is counted under: a `RecordError.reason`, or `deleted`."""
    detail: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    papers: list[Paper]
    refused: list[RefusedRecord]
    token: str | None = None
    """Asks for the next page; None on the last one."""
    expires: str | None = None
    """When `token` ceases to be valid, as 2024-02-01T00:00:00Z; None if unknown."""
    list_size: int | None = None
    """Records of the whole list, as far as the service says it."""
    withdrawn: list[Paper] = field(default_factory=list)
    """Those of the refused that were withdrawn: earlier records of them are to go."""
    day: str = ""
    """Of the answer by the service's clock, YYYY-MM-DD; empty if it does not say."""


class NoRecords(NothingFound):
    """No records match."""

    day = ""
    """As that of a page."""


class TokenExpired(AstrosearchError):
    """The service no longer knows a resumption token; its list has to be asked for anew."""


class PassingError(Exception):
    """A failure that may be gone at the next attempt; `wait` is the pause asked for, in seconds."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


def fetch_page(client: httpx2.Client, request: HarvestRequest, token: str | None) -> Page:
    """The page of a token, or the first one if that is None; one attempt.

    Raises:
        PassingError: if another attempt may succeed.
        TokenExpired: if the service does not accept the token.
        NoRecords: if none match.
        AstrosearchError: if the service refused, or does not speak the protocol.
    """
    return _page(_answer(client, request, token), request, token)


def _answer(client: httpx2.Client, request: HarvestRequest, token: str | None) -> ET.Element:
    host, base_url = request.host, request.base_url
    try:
        response = client.get(base_url, params=request.arguments(token))
    except httpx2.TimeoutException:
        raise PassingError(f"was silent for {client.timeout.read or 0:g} s") from None
    except httpx2.RequestError as error:
        problem = str(error) or type(error).__name__
        raise PassingError(f"could not be read ({problem})") from None
    status = f"answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code == 429 or response.status_code >= 500:
        raise PassingError(status, retry_after(response.headers.get("Retry-After", "")))
    if response.status_code != 200:
        raise AstrosearchError(f"{host} {status} to {response.url}")
    body = response.content.translate(None, delete=_FORBIDDEN)
    kind = response.headers.get("Content-Type", "no content type")
    try:
        root = _parsed(body)
    except ET.ParseError as error:
        if "html" not in kind and b"<html" not in body[:1000].lower():
            raise PassingError(f"sent broken XML ({error})") from None
    else:
        if root.tag == f"{{{_XML['']}}}OAI-PMH":
            return root
    raise AstrosearchError(
        f"{host} answered with something other than OAI-PMH ({kind}): is {base_url} the right "
        "address, and is no login page or proxy in between?"
    )


def _parsed(body: bytes) -> ET.Element:
    """A page; of a record that is not XML only the identifier is left, and a mark.

    Raises:
        ET.ParseError: if the page is not XML otherwise: it was cut off, say.
    """
    try:
        return ET.fromstring(body)
    except ET.ParseError:
        root_tag = _ROOT_TAG.search(body)
        if root_tag is None:
            raise
    opening, closing = root_tag[0], b"</" + root_tag[1] + b">"

    def without_content(match: re.Match[bytes]) -> bytes:
        try:
            ET.fromstring(opening + match[0] + closing)
        except ET.ParseError:
            name = _IDENTIFIER.search(match[0])
            header = name[0] if name else b""
            return b"<record><header>" + header + b"</header><broken/></record>"
        return match[0]

    return ET.fromstring(_RECORD.sub(without_content, body))


def _page(root: ET.Element, request: HarvestRequest, token: str | None) -> Page:
    day = _day(root)
    error = root.find("error", _XML)
    if error is not None:
        try:
            return replace(_page_of_error(error, request, token), day=day)
        except NoRecords as nothing:
            nothing.day = day
            raise
    records = root.find("ListRecords", _XML)
    if records is None:
        raise AstrosearchError(f"{request.host} answered with neither records nor an error")
    papers: list[Paper] = []
    refused: list[RefusedRecord] = []
    withdrawn: list[Paper] = []
    for record in records.iterfind("record", _XML):
        oai_id = record.findtext("header/identifier", "", _XML).strip()
        arxiv_id = oai_id.removeprefix("oai:arXiv.org:")
        try:
            papers.append(_paper(arxiv_id, record))
        except RecordError as refusal:
            if isinstance(refusal, WithdrawnError):
                withdrawn.append(refusal.paper)
            refused.append(RefusedRecord(arxiv_id, refusal.reason, str(refusal)))
    following = records.find("resumptionToken", _XML)
    if following is None or not (text := (following.text or "").strip()):
        return Page(papers, refused, withdrawn=withdrawn, day=day)
    # The protocol's name of the attribute, and the one arXiv gives it.
    expires = following.get("expirationDate") or following.get("expires")
    size = following.get("completeListSize", "")
    list_size = int(size) if size.isascii() and size.isdecimal() and len(size) < 10 else None
    return Page(papers, refused, text, expires, list_size, withdrawn, day)


def _day(root: ET.Element) -> str:
    try:
        return date.fromisoformat(root.findtext("responseDate", "", _XML).strip()[:10]).isoformat()
    except ValueError:
        return ""


def _page_of_error(error: ET.Element, request: HarvestRequest, token: str | None) -> Page:
    """The empty page that some errors come to; the others are raised."""
    host = request.host
    code, text = error.get("code", "no code"), error.text or "it says no more"
    if code == "noRecordsMatch":
        if token is None:
            raise NoRecords(f"{host} has no records of {request}")
        # The rest of the list has changed meanwhile and left the range of dates.
        return Page([], [])
    if code == "badResumptionToken":
        raise TokenExpired(f"{host} does not accept its resumption token {token!r}: {text}")
    hint = ""
    if code == "badArgument":
        hint = (
            f" (asked for {request}: is there such a set, and do the dates lie between "
            "2005-09-16 and today?)"
        )
    raise AstrosearchError(f"{host} refused with {code}: {text}{hint}")


def _paper(arxiv_id: str, record: ET.Element) -> Paper:
    """The paper in a record, whose elements have the names of the Kaggle snapshot's fields.

    Raises:
        RecordError: if it does not hold one.
    """
    if record.find("header[@status='deleted']", _XML) is not None:
        raise RecordError("deleted", f"{arxiv_id} was deleted by arXiv")
    if record.find("broken", _XML) is not None:
        raise RecordError("broken XML", f"{arxiv_id or 'a record'} is not XML")
    fields: dict[str, object] = {
        element.tag.rpartition("}")[2]: element.text
        for element in record.iterfind("metadata/raw:arXivRaw/*", _XML)
    }
    fields["id"] = arxiv_id
    fields["versions"] = [
        {"version": version.get("version"), "created": version.findtext("raw:date", "", _XML)}
        for version in record.iterfind("metadata/raw:arXivRaw/raw:version", _XML)
    ]
    fields["update_date"] = record.findtext("header/datestamp", None, _XML)
    return paper_from_record(fields)

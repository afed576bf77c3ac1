"""arXiv's metadata over OAI-PMH: page by page from the service, into a file of own records.

The protocol is defined at https://www.openarchives.org/OAI/openarchivesprotocol.html; what
arXiv makes of it at https://info.arxiv.org/help/oa/index.html. Dates select by the day a record
last *changed*, not by the day the paper appeared. The format asked for, `arXivRaw`, lists every
version of a paper.

A harvest that dies goes on from its last finished page, because four things beside `FILE` are
kept in this order after every page:

    FILE.partial           the papers so far          appended and synced
    FILE.rejected.jsonl    the refused, with reasons  appended and synced
    FILE.state.json        where to go on, and how many bytes of the two above are whole pages;
                           replaced in one step, hence never half written
    FILE                   FILE.partial, renamed when the list has ended
"""

import os
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import orjson

from astrosearch import __version__
from astrosearch.corpus.records import paper_from_record, record_from_paper
from astrosearch.errors import AstrosearchError, InputError, NothingFound, RecordError
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter

ARXIV_OAI = "https://oaipmh.arxiv.org/oai"

ATTEMPTS = 6
"""At one page, before the harvest is given up."""

FIRST_BACKOFF = 5.0
"""Seconds between the first two attempts, if the service asks for no other; then doubled."""

LONGEST_WAIT = 3600.0
"""Seconds; a service that asks for more is left alone."""

_RERUN = "run the same command again to go on from where it stopped"
_XML = {
    "": "http://www.openarchives.org/OAI/2.0/",
    "raw": "http://arxiv.org/OAI/arXivRaw/",
}

# Control characters that XML forbids and old abstracts contain: one of them would make its page
# unreadable for ever.
_FORBIDDEN = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D})


@dataclass(frozen=True, slots=True)
class HarvestRequest:
    """Which records to ask for, and whom.

    Raises:
        InputError: `base_url` is no web address.
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
            raise InputError(f"{self.base_url!r} is no web address: write it like {ARXIV_OAI}")

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
        """All of the request: an unfinished harvest is told by it."""
        where = "" if self.base_url == ARXIV_OAI else f" at {self.base_url}"
        return f"{self.set_spec} from {self.since} until {self.until or 'now'}{where}"


@dataclass(frozen=True, slots=True)
class Etiquette:
    """How a service is spoken to; times are in seconds."""

    # "no more than one request every three seconds", over "a single connection at a time":
    # https://info.arxiv.org/help/api/tou.html
    pause: float = 3.0
    """Between an answer and the next request."""
    timeout: float = 120.0
    """Without a byte, after which an attempt is given up; large pages are slow to begin."""
    sleep: Callable[[float], object] = time.sleep


ETIQUETTE = Etiquette()


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that is not a paper."""

    id: str
    reason: str
    """The word it is counted under: a `RecordError.reason`, or `deleted`."""
    detail: str


@dataclass(frozen=True, slots=True)
class _Page:
    papers: list[Paper]
    refused: list[RefusedRecord]
    token: str | None = None
    """Asks for the next page; None on the last one."""
    expires: str | None = None
    """When `token` ceases to be valid, as 2024-02-01T00:00:00Z; None if nobody says."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the finished pages of a harvest came to, and where it goes on."""

    pages: int = 0
    papers: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Records by reason."""
    token: str | None = None
    expires: str | None = None
    partial_bytes: int = 0
    rejected_bytes: int = 0

    @property
    def finished(self) -> bool:
        return self.pages > 0 and self.token is None


class _TokenError(AstrosearchError):
    """The service no longer knows a resumption token; its list has to be asked for anew."""


class _PassingError(Exception):
    """A failure that may be gone at the next attempt; `wait` is the pause asked for, in seconds."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


def harvest(
    request: HarvestRequest,
    out: Path,
    *,
    etiquette: Etiquette = ETIQUETTE,
    reporter: Reporter = SILENT,
) -> Checkpoint:
    """Write the papers asked for to `out`, one own record a line, and count them.

    A harvest of the same request that was cut off goes on from its last finished page, and ends
    with the bytes that an uninterrupted one would have written. Refused records go to
    `out` + `.rejected.jsonl`. A record that changes while the harvest runs may come twice, the
    newer one later.

    Args:
        reporter: is told of every page, of repeated attempts and of a list begun anew.

    Raises:
        InputError: an unfinished harvest of another request lies beside `out`.
        NothingFound: no records match.
        AstrosearchError: the service refused or failed, or the disk did.
    """
    try:
        return _harvest(request, out, etiquette, reporter)
    except OSError as error:
        raise AstrosearchError(
            f"cannot write {out}: {error.strerror}; mend that, then {_RERUN}"
        ) from error


def _harvest(
    request: HarvestRequest,
    out: Path,
    etiquette: Etiquette,
    reporter: Reporter,
) -> Checkpoint:
    partial, rejected, state = (
        out.with_name(out.name + suffix)
        for suffix in (".partial", ".rejected.jsonl", ".state.json")
    )
    done = _load(state, request)
    if done.expires and done.expires <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}":
        # arXiv's token says how many records of a day to skip. It would still be taken, but
        # records leave their day when they change, and as many others would be missed.
        reporter.notify(f"the resumption token expired at {done.expires}: starting {request} over")
        done = Checkpoint()
    elif done.pages and not (
        _cut(partial, done.partial_bytes) and _cut(rejected, done.rejected_bytes)
    ):
        reporter.notify(f"{partial} lacks records that were there: starting {request} over")
        done = Checkpoint()

    used: set[str | None] = set()
    restarted = False
    with httpx2.Client(
        headers={"User-Agent": f"astrosearch/{__version__} (astronomy literature search)"},
        timeout=etiquette.timeout,
        limits=httpx2.Limits(max_connections=1),
        follow_redirects=True,
    ) as client:
        service = _Service(client, request, etiquette, reporter)
        while not done.finished:
            if done.pages == 0:
                for file in (state, partial, rejected):
                    file.unlink(missing_ok=True)
            used.add(done.token)
            try:
                page = service.page(done.token)
            except _TokenError:
                if restarted:
                    raise
                reporter.notify(f"the resumption token has expired: starting {request} over")
                done, used, restarted = Checkpoint(), set(), True
                etiquette.sleep(etiquette.pause)
                continue
            if page.token is not None and page.token in used:
                raise AstrosearchError(
                    f"{request.host} gave the resumption token {page.token!r} twice: "
                    "its list has no end"
                )
            papers = [orjson.dumps(record_from_paper(one)) for one in page.papers]
            refused = [orjson.dumps(one) for one in page.refused]
            done = Checkpoint(
                pages=done.pages + 1,
                papers=done.papers + len(papers),
                refused=Counter(done.refused) + Counter(one.reason for one in page.refused),
                token=page.token,
                expires=page.expires,
                partial_bytes=_append(partial, done.partial_bytes, papers),
                rejected_bytes=_append(rejected, done.rejected_bytes, refused),
            )
            _save(state, request, done)
            fetched = f"{done.papers:,} papers"
            total = done.pages if done.finished else done.pages + 1
            reporter.progress("Pages", done.pages, total, fetched)
            if not done.finished:
                etiquette.sleep(etiquette.pause)

    partial.replace(out)
    if done.rejected_bytes == 0:
        rejected.unlink()
    state.unlink()
    return done


@dataclass(frozen=True, slots=True)
class _Service:
    """A service that is asked for the pages of one list."""

    client: httpx2.Client
    request: HarvestRequest
    etiquette: Etiquette
    reporter: Reporter

    def page(self, token: str | None) -> _Page:
        """The page of a token, or the first one; asked for again while a failure may pass."""
        host = self.request.host
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._read(self._ask(token), token)
            except _PassingError as passing:
                problem, wait = str(passing), passing.wait
            if wait is None:
                wait = FIRST_BACKOFF * 2 ** (attempt - 1)
            elif wait > LONGEST_WAIT:
                raise AstrosearchError(
                    f"{host} {problem} and asks for a pause of {wait / 60:.0f} minutes: "
                    f"after that, {_RERUN}"
                )
            if attempt < ATTEMPTS:
                wait = max(wait, self.etiquette.pause)
                self.reporter.notify(
                    f"{host} {problem}; attempt {attempt + 1} of {ATTEMPTS} in {wait:.0f} s"
                )
                self.etiquette.sleep(wait)
        raise AstrosearchError(f"{host} {problem}, {ATTEMPTS} times in a row: {_RERUN}")

    def _ask(self, token: str | None) -> ET.Element:
        host, base_url = self.request.host, self.request.base_url
        try:
            response = self.client.get(base_url, params=self.request.arguments(token))
        except httpx2.TimeoutException:
            raise _PassingError(f"was silent for {self.etiquette.timeout:g} s") from None
        except httpx2.RequestError as error:
            problem = str(error) or type(error).__name__
            raise _PassingError(f"could not be read ({problem})") from None
        status = f"answered {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code == 429 or response.status_code >= 500:
            raise _PassingError(status, _retry_after(response.headers.get("Retry-After", "")))
        if response.status_code != 200:
            raise AstrosearchError(f"{host} {status} to {response.url}")
        body = response.content.translate(None, delete=_FORBIDDEN)
        kind = response.headers.get("Content-Type", "no content type")
        try:
            root = ET.fromstring(body)
        except ET.ParseError as error:
            if "html" not in kind and b"<html" not in body[:1000].lower():
                raise _PassingError(f"sent broken XML ({error})") from None
        else:
            if root.tag == f"{{{_XML['']}}}OAI-PMH":
                return root
        raise AstrosearchError(
            f"{host} answered with something else than OAI-PMH ({kind}): is {base_url} the right "
            "address, and does nothing stand in between?"
        )

    def _read(self, root: ET.Element, asked: str | None) -> _Page:
        """The page in the answer to the token `asked`, or to a first request if that is None."""
        request, host = self.request, self.request.host
        error = root.find("error", _XML)
        if error is not None:
            code, text = error.get("code", "no code"), error.text or ""
            if code == "noRecordsMatch":
                if asked is None:
                    raise NothingFound(f"{host} has no records of {request}")
                # The rest of the list has changed meanwhile and left the range of dates.
                return _Page([], [])
            if code == "badResumptionToken":
                raise _TokenError(f"{host} does not accept its resumption token {asked!r}: {text}")
            hint = ""
            if code == "badArgument":
                hint = (
                    f" (asked for {request}: is there such a set, and do the dates lie between "
                    "2005-09-16 and today?)"
                )
            raise AstrosearchError(f"{host} refused with {code}: {text}{hint}")

        records = root.find("ListRecords", _XML)
        if records is None:
            raise AstrosearchError(f"{host} answered with neither records nor an error")
        papers: list[Paper] = []
        refused: list[RefusedRecord] = []
        for record in records.iterfind("record", _XML):
            oai_id = record.findtext("header/identifier", "", _XML).strip()
            arxiv_id = oai_id.removeprefix("oai:arXiv.org:")
            try:
                papers.append(_paper(arxiv_id, record))
            except RecordError as refusal:
                refused.append(RefusedRecord(arxiv_id, refusal.reason, str(refusal)))
        token = records.find("resumptionToken", _XML)
        if token is None or not (text := (token.text or "").strip()):
            return _Page(papers, refused)
        # The protocol's name of the attribute, and the one arXiv gives it.
        expires = token.get("expirationDate") or token.get("expires")
        return _Page(papers, refused, text, expires)


def _retry_after(header: str) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or an HTTP date."""
    if header.isdecimal():
        return float(header)
    try:
        return parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return None


def _paper(arxiv_id: str, record: ET.Element) -> Paper:
    """The paper in a record, whose elements have the names of the Kaggle snapshot's fields.

    Raises:
        RecordError: if it holds none.
    """
    if record.find("header[@status='deleted']", _XML) is not None:
        raise RecordError("deleted", f"{arxiv_id} was deleted by arXiv")
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


def _append(file: Path, size: int, lines: list[bytes]) -> int:
    """Add lines to a file of `size` bytes; its new size, once the lines are on the disk."""
    with file.open("ab") as stream:
        if stream.tell() != size:
            raise AstrosearchError(
                f"{file} has {stream.tell():,} bytes where this harvest left {size:,}: "
                "another one is writing it"
            )
        stream.writelines(line + b"\n" for line in lines)
        stream.flush()
        os.fsync(stream.fileno())
        return stream.tell()


def _cut(file: Path, size: int) -> bool:
    """Take off what a page left unfinished; False if the file has fewer than `size` bytes."""
    if not file.exists() or file.stat().st_size < size:
        return False
    os.truncate(file, size)
    return True


def _save(state: Path, request: HarvestRequest, done: Checkpoint) -> None:
    new = state.with_suffix(".new")
    with new.open("wb") as stream:
        stream.write(orjson.dumps({"request": str(request), "done": done}))
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(state)


def _load(state: Path, request: HarvestRequest) -> Checkpoint:
    if not state.exists():
        return Checkpoint()
    try:
        saved = orjson.loads(state.read_bytes())
        theirs, done = saved["request"], Checkpoint(**saved["done"])
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{state} is not the state of a harvest: delete it to start over"
        ) from None
    if theirs != str(request):
        raise InputError(
            f"{state} belongs to an unfinished harvest of {theirs}, this is one of {request}: "
            f"finish that one, or delete {state}"
        )
    return done

"""arXiv's metadata over OAI-PMH: page by page from the service, into a file of own records.

The protocol is defined at https://www.openarchives.org/OAI/openarchivesprotocol.html; what
arXiv makes of it at https://info.arxiv.org/help/oa/index.html. Dates select by the day a record
last *changed*, not by the day the paper appeared.

`pages` speaks the protocol, `harvest` keeps a file. A harvest that dies goes on from its last
finished page, because four things beside `FILE` are kept in this order after every page:

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
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import orjson

from astrosearch import __version__
from astrosearch.errors import AstrosearchError, InputError, NothingFound, RecordError
from astrosearch.papers import Paper, month_of_id
from astrosearch.readers.records import paper_from_record, record_from_paper

ARXIV_OAI = "https://oaipmh.arxiv.org/oai"
ASTRO_PH = "physics:astro-ph"

# "no more than one request every three seconds", over "a single connection at a time":
# https://info.arxiv.org/help/api/tou.html
PAUSE = 3.0

_RERUN = "run the same command again to go on from where it stopped"
_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_ARXIV = "{http://arxiv.org/OAI/arXiv/}"

# Control characters that XML forbids and old abstracts contain: one of them would make its page
# unreadable for ever.
_FORBIDDEN = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to ask for, and whom.

    Raises:
        InputError: `base_url` is no web address.
    """

    since: date
    """First day of change, in UTC; arXiv has none before 2005-09-16."""
    until: date | None = None
    """Last day of change, in UTC; None: up to now."""
    set_spec: str = ASTRO_PH
    """A group, archive or category in OAI-PMH's spelling: `physics:astro-ph:GA`."""
    base_url: str = ARXIV_OAI

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise InputError(f"{self.base_url!r} is no web address: write it like {ARXIV_OAI}")

    @property
    def host(self) -> str:
        return httpx.URL(self.base_url).host

    def arguments(self, token: str | None) -> dict[str, str]:
        """The arguments of a ListRecords request: for the first page, or the one of a token."""
        if token is not None:
            # The protocol allows no other argument beside it.
            return {"verb": "ListRecords", "resumptionToken": token}
        first = {
            "verb": "ListRecords",
            "metadataPrefix": "arXiv",
            "set": self.set_spec,
            "from": self.since.isoformat(),
        }
        return first | ({"until": self.until.isoformat()} if self.until else {})

    def __str__(self) -> str:
        where = "" if self.base_url == ARXIV_OAI else f" at {self.base_url}"
        return f"{self.set_spec} from {self.since} until {self.until or 'now'}{where}"


@dataclass(frozen=True, slots=True)
class Etiquette:
    """How a service is spoken to; times are in seconds."""

    pause: float = PAUSE
    """Between an answer and the next request."""
    timeout: float = 120.0
    """Without a byte, after which a request is given up; large pages are slow to begin."""
    attempts: int = 6
    """At one page, before the harvest is given up."""
    first_backoff: float = 5.0
    """Between the first two attempts, if the service asks for no other; doubled from then on."""
    longest_wait: float = 3600.0
    """A service that asks for more than this is left alone."""
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not a paper."""

    reason: str
    """The word it is counted under: a `RecordError.reason`, or `deleted`."""
    detail: str
    id: str
    """As the service wrote it, without `oai:arXiv.org:`."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the service."""

    papers: tuple[Paper, ...]
    refused: tuple[Refusal, ...]
    token: str | None
    """Asks for the next page; None on the last one."""
    expires: str | None = None
    """When `token` ceases to be valid, in ISO 8601; None if the service does not say."""
    list_size: int | None = None
    """Records in the whole list; arXiv has not told since 2025."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the finished pages of a harvest came to, and where it goes on."""

    pages: int = 0
    papers: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Records by reason."""
    token: str | None = None
    expires: str | None = None
    list_size: int | None = None
    partial_bytes: int = 0
    rejected_bytes: int = 0

    @property
    def finished(self) -> bool:
        return self.pages > 0 and self.token is None


class TokenError(AstrosearchError):
    """The service no longer knows a resumption token; its list has to be asked for anew."""


class _PassingError(Exception):
    """A failure that may be gone at the next attempt; `wait` is the pause asked for, in seconds."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


ETIQUETTE = Etiquette()


def _silent(_: object) -> None:
    pass


def pages(
    selection: Selection,
    token: str | None = None,
    *,
    etiquette: Etiquette = ETIQUETTE,
    notice: Callable[[str], object] = _silent,
) -> Generator[Page, None, None]:
    """The pages of a list, from its start or from the page that `token` asks for.

    Args:
        notice: told, in a line, of every attempt that is to be repeated.

    Raises:
        NothingFound: the list is empty.
        TokenError: the service does not accept a token.
        AstrosearchError: the service refused, or failed too often in a row.
    """
    used = {token}
    with httpx.Client(
        headers={"User-Agent": f"astrosearch/{__version__} (astronomy literature search)"},
        timeout=etiquette.timeout,
        limits=httpx.Limits(max_connections=1),
        follow_redirects=True,
    ) as client:
        while True:
            answer = _answer(client, selection, token, etiquette, notice)
            page = _read(answer, selection, token)
            if page.token is not None and page.token in used:
                raise AstrosearchError(
                    f"{selection.host} gave the resumption token {page.token!r} twice: "
                    "its list has no end"
                )
            yield page
            if page.token is None:
                return
            token = page.token
            used.add(token)
            etiquette.sleep(etiquette.pause)


def _answer(
    client: httpx.Client,
    selection: Selection,
    token: str | None,
    etiquette: Etiquette,
    notice: Callable[[str], object],
) -> ET.Element:
    for attempt in range(1, etiquette.attempts + 1):
        try:
            return _ask(client, selection, token)
        except _PassingError as passing:
            problem, wait = str(passing), passing.wait
        if wait is None:
            wait = etiquette.first_backoff * 2 ** (attempt - 1)
        elif wait > etiquette.longest_wait:
            raise AstrosearchError(
                f"{selection.host} {problem} and asks for a pause of {wait / 60:.0f} minutes: "
                f"after that, {_RERUN}"
            )
        if attempt < etiquette.attempts:
            wait = max(wait, etiquette.pause)
            next_one = f"attempt {attempt + 1} of {etiquette.attempts}"
            notice(f"{selection.host} {problem}; {next_one} in {wait:.0f} s")
            etiquette.sleep(wait)
    raise AstrosearchError(
        f"{selection.host} {problem}, {etiquette.attempts} times in a row: {_RERUN}"
    )


def _ask(client: httpx.Client, selection: Selection, token: str | None) -> ET.Element:
    try:
        response = client.get(selection.base_url, params=selection.arguments(token))
    except httpx.TimeoutException:
        raise _PassingError(f"was silent for {client.timeout.read:g} s") from None
    except httpx.RequestError as error:
        raise _PassingError(f"could not be read ({str(error) or type(error).__name__})") from None
    status = f"answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code == 429 or response.status_code >= 500:
        raise _PassingError(status, _retry_after(response.headers.get("Retry-After")))
    if response.status_code != 200:
        raise AstrosearchError(f"{selection.host} {status} to {response.url}")
    body = response.content.translate(None, delete=_FORBIDDEN)
    kind = response.headers.get("Content-Type", "no content type")
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        if "html" not in kind and b"<html" not in body[:1000].lower():
            raise _PassingError(f"sent broken XML ({error})") from None
    else:
        if root.tag == f"{_OAI}OAI-PMH":
            return root
    raise AstrosearchError(
        f"{selection.host} answered with something else than OAI-PMH ({kind}): is "
        f"{selection.base_url} the right address, and does nothing stand in between?"
    )


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or an HTTP date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _read(root: ET.Element, selection: Selection, asked: str | None) -> Page:
    """The page in an answer to the token `asked`, or to a first request if that is None."""
    host = selection.host
    error = root.find(f"{_OAI}error")
    if error is not None:
        code, text = error.get("code", "no code"), _text(error)
        if code == "noRecordsMatch":
            if asked is not None:
                # The rest of the list has changed meanwhile and left the range of dates.
                return Page((), (), None)
            raise NothingFound(f"{host} has no records of {selection}")
        if code == "badResumptionToken":
            raise TokenError(f"{host} does not accept its resumption token {asked!r}: {text}")
        hint = ""
        if code == "badArgument":
            hint = (
                f" (asked for {selection}: is there such a set, and do the dates lie between "
                "2005-09-16 and today?)"
            )
        raise AstrosearchError(f"{host} refused with {code}: {text}{hint}")

    records = root.find(f"{_OAI}ListRecords")
    if records is None:
        raise AstrosearchError(f"{host} answered with neither records nor an error")
    papers: list[Paper] = []
    refused: list[Refusal] = []
    for record in records.iterfind(f"{_OAI}record"):
        read = _read_record(record)
        if isinstance(read, Paper):
            papers.append(read)
        else:
            refused.append(read)

    token = records.find(f"{_OAI}resumptionToken")
    if token is None or not _text(token):
        return Page(tuple(papers), tuple(refused), None)
    size = token.get("completeListSize", "")
    return Page(
        tuple(papers),
        tuple(refused),
        _text(token),
        # The protocol's name of the attribute, and the one arXiv gives it.
        expires=token.get("expirationDate") or token.get("expires"),
        list_size=int(size) if size.isdecimal() else None,
    )


def _read_record(record: ET.Element) -> Paper | Refusal:
    fields = record.find(f"{_OAI}metadata/{_ARXIV}arXiv")
    if fields is None:
        fields = ET.Element("nothing")

    def text(name: str) -> str:
        return _text(fields.find(_ARXIV + name))

    header = record.find(f"{_OAI}header")
    oai_id = _text(record.find(f"{_OAI}header/{_OAI}identifier"))
    arxiv_id = text("id") or oai_id.removeprefix("oai:arXiv.org:")
    if header is not None and header.get("status") == "deleted":
        return Refusal("deleted", f"{arxiv_id} was deleted by arXiv", arxiv_id)
    names = (
        " ".join(_text(author.find(_ARXIV + part)) for part in ("forenames", "keyname", "suffix"))
        for author in fields.iterfind(f"{_ARXIV}authors/{_ARXIV}author")
    )
    try:
        paper = paper_from_record(
            {
                "id": arxiv_id,
                "title": text("title"),
                "abstract": text("abstract"),
                "authors": [name for name in names if name.strip()],
                "categories": text("categories"),
                "comments": text("comments"),
                "published": text("created"),
                "updated": text("updated"),
                "doi": (text("doi").split() or [""])[0],  # some records hold several
            }
        )
    except RecordError as error:
        return Refusal(error.reason, str(error), arxiv_id)
    return _with_first_date(paper)


def _with_first_date(paper: Paper) -> Paper:
    """The paper with `published` put right where `created` is the day of a later version.

    arXiv's server fills `created` from the record of the current version
    (github.com/arXiv/oaipmh, templates/record_formats.xml). No first version is younger than the
    month of its identifier, so such a day gives way to the first of that month.
    """
    month = month_of_id(paper.id)
    if paper.published.replace(day=1) <= month:
        return paper
    return replace(paper, published=month, updated=paper.updated or paper.published)


def _text(element: ET.Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def harvest(
    selection: Selection,
    out: Path,
    *,
    force: bool = False,
    etiquette: Etiquette = ETIQUETTE,
    notice: Callable[[str], object] = _silent,
    on_page: Callable[[Checkpoint], object] = _silent,
) -> Checkpoint:
    """Write the papers of a selection to `out`, one own record a line, and count them.

    A harvest of the same selection that was cut off goes on from its last finished page, and
    ends with the bytes that an uninterrupted one would have written. Refused records go to
    `out` + `.rejected.jsonl`. A record that changes while the harvest runs may come twice, the
    newer one later.

    Args:
        force: replace `out` if it exists, once the harvest is complete.
        notice: told, in a line, of repeated attempts and of a list begun anew.
        on_page: told what has come so far, after every page.

    Raises:
        InputError: `out` exists or cannot be, or an unfinished harvest of another selection
            lies beside it.
        NothingFound: no records match.
        AstrosearchError: the service refused or failed, or the disk did.
    """
    if out.exists() and not force:
        raise InputError(f"{out} exists: give another --out, or --force to replace it")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: create it first")
    try:
        return _harvest(selection, out, etiquette, notice, on_page)
    except OSError as error:
        raise AstrosearchError(
            f"cannot write {out}: {error.strerror}; mend that, then {_RERUN}"
        ) from error


def _harvest(
    selection: Selection,
    out: Path,
    etiquette: Etiquette,
    notice: Callable[[str], object],
    on_page: Callable[[Checkpoint], object],
) -> Checkpoint:
    partial, rejected, state = (
        _beside(out, suffix) for suffix in (".partial", ".rejected.jsonl", ".state.json")
    )
    done = _load(state, selection)
    if _expired(done.expires):
        # arXiv's token says how many records of a day to skip. It might still be taken, but
        # records leave their day when they change, and as many others would be missed.
        notice(f"the resumption token expired at {done.expires}: starting {selection} over")
        done = Checkpoint()
    elif done.pages and not (
        _cut(partial, done.partial_bytes) and _cut(rejected, done.rejected_bytes)
    ):
        notice(f"{partial} lacks records that were there: starting {selection} over")
        done = Checkpoint()

    restarted = False
    while not done.finished:
        if done.pages == 0:
            for file in (state, partial, rejected):
                file.unlink(missing_ok=True)
        arriving = pages(selection, done.token, etiquette=etiquette, notice=notice)
        try:
            with closing(arriving):
                for page in arriving:
                    papers = [orjson.dumps(record_from_paper(one)) for one in page.papers]
                    refused = [orjson.dumps(one) for one in page.refused]
                    done = Checkpoint(
                        pages=done.pages + 1,
                        papers=done.papers + len(papers),
                        refused=dict(
                            Counter(done.refused) + Counter(one.reason for one in page.refused)
                        ),
                        token=page.token,
                        expires=page.expires,
                        list_size=page.list_size or done.list_size,
                        partial_bytes=_append(partial, done.partial_bytes, papers),
                        rejected_bytes=_append(rejected, done.rejected_bytes, refused),
                    )
                    _save(state, selection, done)
                    on_page(done)
        except TokenError:
            if restarted:
                raise
            restarted = True
            notice(f"the resumption token has expired: starting {selection} over")
            done = Checkpoint()
            etiquette.sleep(etiquette.pause)

    partial.replace(out)
    if done.rejected_bytes == 0:
        rejected.unlink()
    state.unlink()
    return done


def _beside(out: Path, suffix: str) -> Path:
    return out.with_name(out.name + suffix)


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


def _save(state: Path, selection: Selection, done: Checkpoint) -> None:
    new = _beside(state, ".new")
    with new.open("wb") as stream:
        stream.write(orjson.dumps({"selection": asdict(selection), "done": asdict(done)}))
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(state)


def _load(state: Path, selection: Selection) -> Checkpoint:
    try:
        saved = orjson.loads(state.read_bytes())
        asked = saved["selection"]
        asked["since"] = date.fromisoformat(asked["since"])
        asked["until"] = date.fromisoformat(asked["until"]) if asked["until"] else None
        theirs, done = Selection(**asked), Checkpoint(**saved["done"])
    except FileNotFoundError:
        return Checkpoint()
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{state} is not the state of a harvest: delete it to start over"
        ) from None
    if theirs != selection:
        raise InputError(
            f"{state} belongs to an unfinished harvest of {theirs}, this is one of {selection}: "
            f"finish that one, or delete {state}"
        )
    return done


def _expired(expires: str | None) -> bool:
    try:
        when = datetime.fromisoformat(expires or "")
    except ValueError:
        return False
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return when <= datetime.now(UTC)

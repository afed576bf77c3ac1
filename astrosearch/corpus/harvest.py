"""A list of arXiv's records into a file, page by page, politely and resumable.

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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import orjson

from astrosearch import __version__
from astrosearch.corpus.oai import HarvestRequest, Page, PassingError, TokenExpired, fetch_page
from astrosearch.corpus.records import record_from_paper
from astrosearch.errors import AstrosearchError, InputError
from astrosearch.report import SILENT, Reporter

ATTEMPTS = 6
"""At one page, before the harvest is given up."""

FIRST_BACKOFF = 5.0
"""Seconds between the first two attempts, if the service asks for no other; then doubled."""

LONGEST_WAIT = 3600.0
"""Seconds; a service that asks for more is left alone."""

_RERUN = "run the same command again to go on from where it stopped"


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
    day: str = ""
    """On which its first page came, YYYY-MM-DD, by the service's clock: what changed later may be
    missing."""

    @property
    def finished(self) -> bool:
        return self.pages > 0 and self.token is None


def harvest(
    request: HarvestRequest,
    out: Path,
    *,
    etiquette: Etiquette = ETIQUETTE,
    on_page: Callable[[Checkpoint], None] = lambda checkpoint: None,
    reporter: Reporter = SILENT,
) -> Checkpoint:
    """Write the papers asked for to `out`, one own record a line, and count them.

    A harvest of the same request that was cut off goes on from its last finished page, and ends
    with the bytes that an uninterrupted one would have written. Refused records go to
    `out` + `.rejected.jsonl`. A record that changes while the harvest runs may come twice, the
    newer one later.

    Args:
        on_page: called after every page, when what it brought is in the files.
        reporter: learns of every page, of repeated attempts and of a list started over.

    Raises:
        InputError: an unfinished harvest of another request lies beside `out`.
        NoRecords: none match.
        AstrosearchError: the service refused or failed, or the disk did.
    """
    try:
        with httpx2.Client(
            headers={"User-Agent": f"astrosearch/{__version__} (astronomy literature search)"},
            timeout=etiquette.timeout,
            limits=httpx2.Limits(max_connections=1),
            follow_redirects=True,
        ) as client:
            return _Harvest(client, request, out, etiquette, on_page, reporter).run()
    except OSError as error:
        raise AstrosearchError(
            f"cannot write {out}: {error.strerror}; after that is mended, {_RERUN}"
        ) from error


class _Harvest:
    """One list on its way into one file."""

    def __init__(
        self,
        client: httpx2.Client,
        request: HarvestRequest,
        out: Path,
        etiquette: Etiquette,
        on_page: Callable[[Checkpoint], None],
        reporter: Reporter,
    ) -> None:
        self._client = client
        self._request = request
        self._etiquette = etiquette
        self._on_page = on_page
        self._reporter = reporter
        self._out = out
        self._partial, self._rejected, self._state = (
            out.with_name(out.name + suffix)
            for suffix in (".partial", ".rejected.jsonl", ".state.json")
        )

    def run(self) -> Checkpoint:
        checkpoint = self._resumed()
        used: set[str | None] = set()
        restarted = False
        while not checkpoint.finished:
            if checkpoint.pages == 0:
                for file in (self._state, self._partial, self._rejected):
                    file.unlink(missing_ok=True)
            used.add(checkpoint.token)
            try:
                page = self._page(checkpoint.token)
            except TokenExpired:
                if restarted:
                    raise
                self._start_over("the resumption token has expired")
                checkpoint, used, restarted = Checkpoint(), set(), True
                self._etiquette.sleep(self._etiquette.pause)
                continue
            if page.token is not None and page.token in used:
                raise AstrosearchError(
                    f"{self._request.host} gave the resumption token {page.token!r} twice: "
                    "its list has no end"
                )
            checkpoint = self._kept(page, checkpoint)
            self._on_page(checkpoint)
            if not checkpoint.finished:
                self._etiquette.sleep(self._etiquette.pause)

        self._partial.replace(self._out)
        if checkpoint.rejected_bytes == 0:
            self._rejected.unlink()
        self._state.unlink()
        return checkpoint

    def _resumed(self) -> Checkpoint:
        """Where an unfinished harvest of the same request stopped; else the beginning."""
        checkpoint = _load(self._state, self._request)
        if checkpoint.expires and checkpoint.expires <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}":
            # arXiv's token says how many records of a day to skip. It would still be taken, but
            # records leave their day when they change, and as many others would be missed.
            self._start_over(f"the resumption token expired at {checkpoint.expires}")
            return Checkpoint()
        if checkpoint.pages and not (
            _cut(self._partial, checkpoint.partial_bytes)
            and _cut(self._rejected, checkpoint.rejected_bytes)
        ):
            self._start_over(f"{self._partial} lacks records that were there")
            return Checkpoint()
        return checkpoint

    def _start_over(self, reason: str) -> None:
        self._reporter.notify(f"{reason}: starting {self._request} over")

    def _kept(self, page: Page, before: Checkpoint) -> Checkpoint:
        """Put a page into the files."""
        papers = [orjson.dumps(record_from_paper(paper)) for paper in page.papers]
        gone = [orjson.dumps(record_from_paper(paper, withdrawn=True)) for paper in page.withdrawn]
        refused = [orjson.dumps(record) for record in page.refused]
        checkpoint = Checkpoint(
            pages=before.pages + 1,
            papers=before.papers + len(papers),
            refused=Counter(before.refused) + Counter(record.reason for record in page.refused),
            token=page.token,
            expires=page.expires,
            partial_bytes=_append(self._partial, before.partial_bytes, papers + gone),
            rejected_bytes=_append(self._rejected, before.rejected_bytes, refused),
            day=before.day or page.day or f"{datetime.now(UTC):%Y-%m-%d}",
        )
        _save(self._state, self._request, checkpoint)
        records = checkpoint.papers + sum(checkpoint.refused.values())
        # Services need not say how long their list is; then its end is known with the last page.
        total = records if checkpoint.finished else max(page.list_size or 0, records + 1)
        self._reporter.progress("Fetching records", records, total, f"page {checkpoint.pages:,}")
        return checkpoint

    def _page(self, token: str | None) -> Page:
        """The page of a token, or the first one; asked for again while a failure may pass."""
        host = self._request.host
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return fetch_page(self._client, self._request, token)
            except PassingError as passing:
                problem, wait = str(passing), passing.wait
            if wait is None:
                wait = FIRST_BACKOFF * 2 ** (attempt - 1)
            elif wait > LONGEST_WAIT:
                raise AstrosearchError(
                    f"{host} {problem} and asks for a pause of {wait / 60:.0f} minutes: "
                    f"after that, {_RERUN}"
                )
            if attempt < ATTEMPTS:
                wait = max(wait, self._etiquette.pause)
                self._reporter.notify(
                    f"{host} {problem}; attempt {attempt + 1} of {ATTEMPTS} in {wait:.0f} s"
                )
                self._etiquette.sleep(wait)
        raise AstrosearchError(f"{host} {problem}, {ATTEMPTS} times in a row: {_RERUN}")


def _append(file: Path, size: int, lines: list[bytes]) -> int:
    """Add lines to a file of `size` bytes; its new size, once the lines are on the disk."""
    with file.open("ab") as stream:
        if stream.tell() != size:
            raise AstrosearchError(
                f"{file} has {stream.tell():,} bytes where this harvest left {size:,}: "
                "another harvest is writing it"
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

"""arXiv as the source of an index: it is harvested window by window, and what has come can be
searched at once.

A window is a range of days of change. The newest comes first, then older and older ones; later
updates ask for what changed since. `corpus.arxiv` of the manifest says which days are there. Within
a window every batch of papers becomes a segment. These files are kept in the folder of updates:

    harvest/FROM-UNTIL.jsonl…   what `corpus.harvest` keeps to go on after a kill
    harvest/read.json           how much of it is in the index
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from astrosearch.atomic import whole_file
from astrosearch.corpus import arxiv
from astrosearch.corpus.harvest import ETIQUETTE, Checkpoint, Etiquette, harvest
from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.oai import ARXIV_OAI, HarvestRequest, NoRecords
from astrosearch.corpus.recency import recency
from astrosearch.corpus.store import Corpus
from astrosearch.corpus.writer import CorpusWriter
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.index.build import create
from astrosearch.index.folder import HARVEST, SHARDS, writing
from astrosearch.index.manifest import ArxivState, CorpusRecord
from astrosearch.index.merge import fold_if_due
from astrosearch.index.papers import open_papers
from astrosearch.index.shards import Engine
from astrosearch.index.update import Growth, grow
from astrosearch.paths import MANIFEST
from astrosearch.report import SILENT, Reporter

BATCH = 5_000
"""Papers that come before they are put into the index, if a window has more."""

MONTH, YEAR = timedelta(days=31), timedelta(days=365)
"""Length of a window in the last year, and before. Every window costs a page that is not full."""

OVERLAP = timedelta(days=1)
"""A day is asked for again after it has ended: when it was asked for first, it had not."""


@dataclass(frozen=True)
class Service:
    """Where arXiv is asked, and how."""

    base_url: str = ARXIV_OAI
    etiquette: Etiquette = ETIQUETTE


@dataclass(frozen=True)
class Making:
    """How papers become part of an index."""

    spec: EncoderSpec
    load: Callable[[EncoderSpec], Encoder]
    engine: Engine | None = None
    index_type: str | None = None
    """Of an index that does not exist yet."""
    reporter: Reporter = SILENT


@dataclass(frozen=True)
class _Window:
    """A range of days of change."""

    since: date
    until: date | None
    """None for up to now."""
    set_spec: str
    is_old: bool = False
    """Whether it is before what the index has."""

    @property
    def name(self) -> str:
        set_spec = self.set_spec.replace(":", "_")
        return f"{set_spec}-{self.since}-{self.until or 'now'}.jsonl"


@dataclass(frozen=True)
class _Read:
    """How much of a harvest is in the index."""

    name: str
    day: str = ""
    """Of the harvest's first page."""
    papers: int = 0
    papers_bytes: int = 0
    rejected_bytes: int = 0


class ArxivHarvest:
    """arXiv on its way into an index, whose lock must be held."""

    def __init__(
        self,
        folder: Path,
        partial: Path,
        record: CorpusRecord,
        state: ArxivState,
        selection: Selection,
        service: Service,
        making: Making,
        *,
        anew: bool = False,
    ) -> None:
        """
        Args:
            folder: of the index, whether or not it exists yet.
            partial: a folder to work in, beside it.
            record: of the index.
            state: how much of arXiv it has.
            selection: which papers the index has; it has a category.
            anew: whether an index that is there cannot be used.
        """
        self._folder = folder
        self._partial = partial
        self._record = replace(record, arxiv=state)
        self._state = state
        self._selection = selection
        self._service = service
        self._making = making
        self._growth = Growth()
        self._has_asked = False
        self._exists = (folder / MANIFEST).exists() and not anew

    def run(self) -> Growth:
        """Fetch what is missing.

        Raises:
            AstrosearchError: if arXiv or the disk fails; what came before is in the index.
        """
        for window in self._windows():
            self._fetch(window)
        return self._growth

    def _windows(self) -> Iterator[_Window]:
        """What is asked for: what changed lately, then what is older; each when the one before is
        in the index."""
        category = str(self._selection.category)
        since = date.fromisoformat(self._state.since)
        today = datetime.now(UTC).date()
        # Papers that have left the category are in the list of its group alone.
        recent = arxiv.group(category)
        while self._state.until:
            start = date.fromisoformat(self._state.until) - OVERLAP
            if today - start <= MONTH:
                yield _Window(start, None, recent)
                if self._has_asked:  # and did not go on with what a killed update had fetched
                    break
                continue
            asked_until = self._state.until
            yield _Window(start, start + MONTH, recent)
            if self._state.until == asked_until:  # the service's clock is behind this machine's
                break
        set_spec = arxiv.set_spec(category)
        if not self._state.until:
            yield _Window(max(since, min(today, today - MONTH)), None, set_spec)
        while not self._state.is_complete:
            end = date.fromisoformat(self._state.reached) - timedelta(days=1)
            length = MONTH if today - end < YEAR else YEAR
            yield _Window(max(since, end - length), end, set_spec, is_old=True)

    def _fetch(self, window: _Window) -> None:
        """Bring all of a window into the index."""
        place = self._partial / HARVEST
        out = place / window.name
        with writing(self._partial):
            place.mkdir(exist_ok=True)
            for file in place.iterdir():  # of a window that is not asked for any more
                if not file.name.startswith(window.name) and file.name != _READ:
                    file.unlink()
        read = _load(place, window.name)
        if out.exists() and not read.day:
            out.unlink()

        def on_page(checkpoint: Checkpoint) -> None:
            nonlocal read
            if checkpoint.pages == 1:
                read = _Read(window.name, checkpoint.day)
                _save(place, read)
            if checkpoint.papers - read.papers >= BATCH and not checkpoint.finished:
                partial = out.with_name(f"{out.name}.partial")
                self._take(window, partial, read, self._record, read.day)
                read = replace(
                    read,
                    papers=checkpoint.papers,
                    papers_bytes=checkpoint.partial_bytes,
                    rejected_bytes=checkpoint.rejected_bytes,
                )
                _save(place, read)

        if not out.exists():
            self._pause()
            request = HarvestRequest(
                window.since, window.until, window.set_spec, self._service.base_url
            )
            try:
                harvest(
                    request,
                    out,
                    etiquette=self._service.etiquette,
                    on_page=on_page,
                    reporter=self._making.reporter,
                )
            except NoRecords as nothing:
                out.touch()
                read = replace(read, day=nothing.day)
        state = self._state_after(window, read.day)
        record = replace(self._record, arxiv=state)
        self._take(window, out, read, record, read.day)
        is_first = not self._state.until
        self._record, self._state = record, state
        shutil.rmtree(place, ignore_errors=True)
        if is_first or window.is_old:
            days = f"{window.since} to {window.until or read.day or 'now'}"
            self._making.reporter.notify(f"{days}: {self._growth.added:,} papers so far")

    def _pause(self) -> None:
        """Between the last page of one list and the first of the next."""
        if self._has_asked:
            self._service.etiquette.sleep(self._service.etiquette.pause)
        self._has_asked = True

    def _state_after(self, window: _Window, day: str) -> ArxivState:
        state = self._state
        if window.is_old:
            return replace(state, reached=str(window.since))
        # Days that have not come yet by the service's clock are asked for again.
        days = [str(one) for one in (window.until, day) if one]
        end = min(days, default=str(window.since))
        return replace(
            state, reached=state.reached or str(window.since), until=max(state.until, end)
        )

    def _take(
        self, window: _Window, file: Path, read: _Read, record: CorpusRecord, day: str
    ) -> None:
        """Put what is new in a harvest's files into the index."""
        incoming = self._partial / "incoming.sqlite"
        papers = self._select(file, read, incoming)
        source, until = f"arXiv {self._state.set}", str(window.until or day or window.since)
        making = self._making
        if self._exists:
            growth = grow(
                self._folder,
                self._partial,
                incoming,
                record,
                making.load,
                source=source,
                until=until,
                engine=making.engine,
                reporter=making.reporter,
            )
            fold_if_due(self._folder, self._partial)
        elif papers:
            with closing(Corpus(incoming)) as corpus:
                ids = tuple(corpus.ids())
            stats = create(
                self._folder,
                self._partial,
                incoming,
                record,
                making.spec,
                making.load,
                source=source,
                until=until,
                engine=making.engine,
                index_type=making.index_type,
                reporter=making.reporter,
            )
            growth = Growth(added=papers, encoded=stats.texts, new=ids)
            self._exists = True
        else:
            growth = Growth()
        self._growth += growth
        shutil.rmtree(self._partial / SHARDS, ignore_errors=True)
        incoming.unlink(missing_ok=True)

    def _select(self, file: Path, read: _Read, incoming: Path) -> int:
        """Write the papers of the index's selection that are new in a harvest's files, and marks of
        those that it must not have any more; returns how many papers there are."""
        rejected = _rejected(file)
        harvested = self._partial / "harvested.sqlite"
        with closing(CorpusWriter(incoming)) as writer:
            gone: dict[str, tuple[int, date] | None] = dict.fromkeys(
                _deleted(rejected, read.rejected_bytes)
            )
            if file.stat().st_size > read.papers_bytes:
                import_papers(
                    [file],
                    Selection(),
                    harvested,
                    self._partial / "refused.jsonl",
                    starts={file: read.papers_bytes},
                    may_be_empty=True,
                )
                with closing(Corpus(harvested)) as corpus:
                    for paper in corpus:
                        if self._selection.takes(paper):
                            writer.add(paper)
                        else:
                            gone[paper.id] = recency(paper)
                    for paper_id, (version, day) in corpus.withdrawn().items():
                        writer.mark(paper_id, version, date.fromisoformat(day))
                harvested.unlink()
            if gone and self._exists:
                self._mark(writer, gone)
            writer.finish()
            return writer.count

    def _mark(self, writer: CorpusWriter, gone: dict[str, tuple[int, date] | None]) -> None:
        """Mark those papers of the index that were deleted, or have left its category."""
        with open_papers(self._folder) as corpus:
            rows = corpus.rows_of(gone)
            for paper in corpus.papers(list(rows.values())):
                version, day = gone[paper.id] or recency(paper)
                writer.mark(paper.id, version, day)


_READ = "read.json"


def _rejected(file: Path) -> Path:
    """Where the harvest lists what it refused, for its finished file or the partial one."""
    return file.with_name(f"{file.name.removesuffix('.partial')}.rejected.jsonl")


def _deleted(rejected: Path, start: int) -> list[str]:
    """The ids of deleted records that are listed from a byte on."""
    if not rejected.exists():
        return []
    with rejected.open("rb") as stream:
        stream.seek(start)
        records = [orjson.loads(line) for line in stream]
    return [record["id"] for record in records if record["reason"] == "deleted"]


def _load(place: Path, name: str) -> _Read:
    try:
        read = _Read(**orjson.loads((place / _READ).read_bytes()))
    except (OSError, ValueError, TypeError):
        return _Read(name)
    return read if read.name == name else _Read(name)


def _save(place: Path, read: _Read) -> None:
    with writing(place), whole_file(place / _READ) as stream:
        stream.write(orjson.dumps(read))

"""Bringing an index up to date from what it was made of, and making one from arXiv.

Of a file that was appended to only the new lines are read; if a file has changed otherwise, all
files are read again. Of arXiv what changed since the last time is asked for.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from astrosearch.corpus.arxiv import EARLIEST, set_spec
from astrosearch.corpus.intake import Intake, Refusal, Selection, import_papers
from astrosearch.corpus.sources import Change
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.errors import AstrosearchError, CorpusError, IndexDamaged, InputError, NothingFound
from astrosearch.index.arxiv import ArxivHarvest, Making, Service
from astrosearch.index.build import file_states, selection_record, sound_index
from astrosearch.index.folder import locked, update_folder, writing
from astrosearch.index.manifest import ArxivState, CorpusRecord, Manifest, source_text
from astrosearch.index.merge import fold_if_due
from astrosearch.index.snapshot import collect_garbage
from astrosearch.index.update import Growth, grow
from astrosearch.paths import MANIFEST
from astrosearch.report import SILENT, Reporter


@dataclass(frozen=True)
class UpdateReport:
    """What an update did."""

    growth: Growth
    manifest: Manifest
    """Of the index as it is now."""
    seconds: float
    refused: Mapping[str, int] = field(default_factory=dict)
    """Lines of the files that were read and did not become papers, by reason."""
    first_refused: Sequence[Refusal] = ()


def update(
    folder: Path,
    load: Callable[[EncoderSpec], Encoder],
    *,
    added: Sequence[Path] = (),
    service: Service | None = None,
    reporter: Reporter = SILENT,
) -> UpdateReport:
    """Bring an index up to date from what it was made of.

    Args:
        folder: of the index.
        load: makes the encoder; called only if there is something to encode.
        added: files of papers that become sources of the index, too.
        service: arXiv; by default itself.

    Raises:
        IndexBusy: if another process changes the index.
        IndexDamaged: if it cannot be read.
        CorpusError: if an added file is not a corpus.
        AstrosearchError: if a file is missing or has no papers any more, or if arXiv or the disk
            fails. What came before that is in the index.
    """
    began = time.monotonic()
    with locked(folder), update_folder(folder) as partial:
        manifest = Manifest.read(folder)
        selection = selection_of(manifest.corpus, folder.name)
        files = _Files(folder, partial, manifest.corpus, selection, added)
        growth, intake = files.bring(load, reporter)
        record = Manifest.read(folder).corpus
        if record.arxiv is not None:
            making = Making(manifest.encoder, load, reporter=reporter)
            harvest = ArxivHarvest(
                folder, partial, record, record.arxiv, selection, service or Service(), making
            )
            growth += harvest.run()
        collect_garbage(folder)  # of an update that was killed when it was all but done
        return UpdateReport(
            growth,
            Manifest.read(folder),
            time.monotonic() - began,
            intake.refused,
            intake.first_refused,
        )


def build_from_arxiv(
    folder: Path, selection: Selection, service: Service, making: Making
) -> UpdateReport:
    """Make an index of arXiv, go on with it, or make arXiv a source of one that was built from
    files.

    Args:
        folder: of the index, whether or not it exists yet.
        selection: with a category; papers from `since` on.

    Raises:
        InputError: if the index that is there is another one, or the selection has no category.
        IndexBusy: if another process changes the index.
        NothingFound: if there is no such paper.
        AstrosearchError: if arXiv or the disk fails. What came before that is in the index.
    """
    began = time.monotonic()
    with locked(folder), update_folder(folder) as partial:
        record, state = arxiv_record(folder, selection, making.spec)
        later = ", its files come with the next update" if record.sources else ""
        sound = sound_index(folder, making.reporter, f"it is made anew{later}")
        if sound is None:
            record = CorpusRecord(record.sources, record.selection)
            state = ArxivState(state.set, state.since)
        else:
            sound.close()
        kept = selection_of(record, folder.name)
        growth = ArxivHarvest(
            folder, partial, record, state, kept, service, making, anew=sound is None
        ).run()
        if not (folder / MANIFEST).exists():
            raise NothingFound(f"arXiv has no papers of {selection.category} in these days")
        return UpdateReport(growth, Manifest.read(folder), time.monotonic() - began)


def arxiv_record(
    folder: Path, selection: Selection, spec: EncoderSpec
) -> tuple[CorpusRecord, ArxivState]:
    """What the manifest is to say of an index of arXiv that is there, or is to be made.

    Args:
        selection: the same as the index has goes on with it. Another `since` is the day from which
            on arXiv is asked; an index that was built from files keeps its earlier papers.

    Raises:
        InputError: if the index that is there is another one, or the selection has no category.
    """
    since = str(selection.since or EARLIEST)
    exists = (folder / MANIFEST).exists()
    manifest = Manifest.read(folder, check_files=False) if exists else None
    if manifest is not None and manifest.corpus.arxiv is None:
        _check_files(folder.name, manifest.corpus, selection_of(manifest.corpus, folder.name))
    if selection.category is None:
        raise InputError("an index of arXiv is of a category")
    fresh = ArxivState(set_spec(selection.category), since)
    if manifest is None:
        return CorpusRecord((), selection_record(selection)), fresh
    record, present = manifest.corpus, selection_of(manifest.corpus, folder.name)
    if manifest.encoder != spec:
        raise InputError(
            f"index {folder.name} was built with {manifest.encoder}, not {spec}; choose another "
            "name"
        )
    if replace(selection, since=None) != replace(present, since=None):
        raise InputError(
            f"index {folder.name} is of other papers ({dict(record.selection)}); choose another "
            "name"
        )
    if record.arxiv is None:
        return record, fresh
    if selection == present or since == record.arxiv.since:
        return record, record.arxiv
    if since > record.arxiv.since:
        raise InputError(f"index {folder.name} has the papers since {record.arxiv.since} already")
    # Older papers that changed since were seen and passed over: all is asked for again.
    if present.since is not None:
        record = replace(record, selection=selection_record(selection))
    return record, fresh


def _check_files(name: str, record: CorpusRecord, selection: Selection) -> None:
    """
    Raises:
        InputError: if arXiv cannot be a source of an index that was built from files.
    """
    sources = f"index {name} was built from files ({source_text(record.sources)})"
    if selection.limit or selection.sample:
        raise InputError(
            f"{sources} and has a part of them ({dict(record.selection)}); choose another name for "
            "one of arXiv"
        )
    if selection.category is None:
        raise InputError(
            f"{sources} without --category, and arXiv is read by category; build it again with "
            "one, or choose another name for one of arXiv"
        )


def selection_of(record: CorpusRecord, name: str) -> Selection:
    """Which papers an index has.

    Raises:
        IndexDamaged: if the manifest has none that can be read.
    """
    try:
        return Selection.from_record(dict(record.selection))
    except (InputError, TypeError, ValueError, AttributeError) as error:
        raise IndexDamaged(
            f"the manifest of index {name} has a selection that cannot be read ({error})",
            remedy="build-again",
        ) from None


class _Files:
    """The files that an index was made of, and those that are added."""

    def __init__(
        self,
        folder: Path,
        partial: Path,
        record: CorpusRecord,
        selection: Selection,
        added: Sequence[Path],
    ) -> None:
        self._folder = folder
        self._partial = partial
        self._record = record
        self._selection = selection
        known = [Path(source) for source in record.sources]
        resolved = dict.fromkeys(path.resolve() for path in added)
        self._added = [path for path in resolved if path not in known]
        self._sources = known + self._added

    def bring(
        self, load: Callable[[EncoderSpec], Encoder], reporter: Reporter
    ) -> tuple[Growth, Intake]:
        """Bring what changed into the index.

        Raises:
            AstrosearchError: if a file is missing, or has no papers any more.
        """
        changes = self._changes()
        states = file_states(self._sources)
        starts, is_complete = self._plan(changes)
        record = replace(self._record, sources=tuple(map(str, self._sources)), files=states)
        if not starts:
            return Growth(), Intake()
        intake = self._import(starts, is_complete)
        growth = grow(
            self._folder,
            self._partial,
            self._partial / "incoming.sqlite",
            replace(
                record,
                lines=intake.lines + (0 if is_complete else record.lines),
                not_selected=intake.not_selected + (0 if is_complete else record.not_selected),
                refused=dict(intake.refused + Counter({} if is_complete else record.refused)),
            ),
            load,
            source=source_text(map(str, starts)),
            complete=is_complete,
            reporter=reporter,
        )
        fold_if_due(self._folder, self._partial)
        return growth, intake

    def _changes(self) -> dict[Path, Change]:
        changes: dict[Path, Change] = {}
        for path in self._sources:
            state = self._record.files.get(str(path))
            try:
                if state is not None:
                    changes[path] = state.change(path)
                else:
                    changes[path] = "changed" if path.exists() else "missing"
            except OSError as error:
                raise AstrosearchError(f"{path} cannot be read: {error.strerror}") from None
        missing = [path for path, change in changes.items() if change == "missing"]
        if gone := [path for path in missing if path not in self._added]:
            raise AstrosearchError(
                f"{', '.join(map(str, gone))}: no such file any more; index {self._folder.name} "
                "stays as it was"
            )
        return changes

    def _plan(self, changes: Mapping[Path, Change]) -> tuple[dict[Path, int], bool]:
        """Which files are read from which byte on, and whether that is all of the sources."""
        is_whole = any(
            change == "changed" and path not in self._added for path, change in changes.items()
        )
        if self._selection.limit or self._selection.sample:
            is_whole = any(change != "same" for change in changes.values())
        if is_whole and self._record.arxiv is None:
            return dict.fromkeys(self._sources, 0), True
        starts = {}
        for path, change in changes.items():
            if change == "appended":
                starts[path] = self._record.files[str(path)].bytes
            elif change != "same":
                starts[path] = 0
        return starts, False

    def _import(self, starts: Mapping[Path, int], is_complete: bool) -> Intake:
        with writing(self._partial):
            try:
                return import_papers(
                    list(starts),
                    self._selection,
                    self._partial / "incoming.sqlite",
                    self._partial / "rejected.jsonl",
                    starts=starts,
                    may_be_empty=not is_complete,
                )
            except (CorpusError, NothingFound) as error:
                if any(path in self._added for path in starts):
                    raise
                raise AstrosearchError(
                    f"{error}; index {self._folder.name} stays as it was"
                ) from None

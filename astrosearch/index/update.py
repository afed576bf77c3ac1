"""Adding papers to an index: what is new becomes one more segment, the rest stays as it is."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch import __version__
from astrosearch.corpus.recency import ends
from astrosearch.corpus.segments import SegmentedCorpus
from astrosearch.corpus.store import Corpus, with_change
from astrosearch.corpus.writer import CorpusWriter
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.errors import AstrosearchError
from astrosearch.index.background import VectorSum
from astrosearch.index.build import SEGMENT, moved, write_vectors
from astrosearch.index.folder import writing
from astrosearch.index.lexical_index import LexicalIndexWriter
from astrosearch.index.manifest import (
    FORMAT,
    PAPERS,
    VECTORS,
    WORDS,
    CorpusRecord,
    Manifest,
    Segment,
)
from astrosearch.index.reader import Index
from astrosearch.index.shards import EncodeStats, Engine
from astrosearch.index.snapshot import collect_garbage, next_number, publish
from astrosearch.report import SILENT, Reporter

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """What an update did."""

    added: int = 0
    """Papers that are new."""
    replaced: int = 0
    """Papers of which a later record came."""
    removed: int = 0
    """Papers that were withdrawn, or that the sources do not have any more."""
    encoded: int = 0
    """Texts that went through the encoder."""
    new: tuple[str, ...] = ()
    """The ids of the papers that are new."""

    def __add__(self, other: "Growth") -> "Growth":
        return Growth(
            self.added + other.added,
            self.replaced + other.replaced,
            self.removed + other.removed,
            self.encoded + other.encoded,
            self.new + other.new,
        )

    @property
    def changes(self) -> bool:
        return bool(self.added or self.replaced or self.removed)


@dataclass(frozen=True)
class _Difference:
    """What of some incoming papers changes an index."""

    added: Rows
    """Rows of the incoming file."""
    replacing: Rows
    """Rows of the incoming file, ascending."""
    replaced: Rows
    """The rows of the index that they replace, in the same order."""
    has_same_text: NDArray[np.bool_]
    """For each of them, whether the text is that of the row it replaces."""
    removed: Rows
    """Rows of the index, ascending, of papers that were withdrawn or have gone from the sources."""


def grow(
    folder: Path,
    partial: Path,
    incoming: Path,
    record: CorpusRecord,
    load: Callable[[EncoderSpec], Encoder],
    *,
    source: str,
    until: str = "",
    complete: bool = False,
    engine: Engine | None = None,
    reporter: Reporter = SILENT,
) -> Growth:
    """Bring some papers into an index. The index's lock must be held.

    Args:
        folder: of the index.
        partial: a folder to work in, beside it.
        incoming: a papers.sqlite. Of a paper that the index has too, the later record stays.
        record: what the manifest is to say of the index's sources; its `sha256` follows from the
            index's.
        load: makes the encoder; called only if there is something to encode here.
        source: where the papers came from, for the manifest.
        until: up to when that source was read, ISO 8601; by default, now.
        complete: whether `incoming` has all papers of the index's sources: those that it lacks go,
            and its records replace the index's, whichever is later.

    Raises:
        IndexDamaged: if the index cannot be read.
        AstrosearchError: if the folder cannot be written.
    """
    with Index(folder) as index, closing(Corpus(incoming)) as papers:
        difference = _difference(papers, index.corpus, complete=complete)
        growth = Growth(len(difference.added), len(difference.replacing), len(difference.removed))
        record = replace(record, sha256=index.manifest.corpus.sha256)
        if not growth.changes and not papers.withdrawn().keys() - index.corpus.withdrawn().keys():
            if record != index.manifest.corpus:
                _publish_record(folder, index.manifest, record)
            return growth
        gone = np.union1d(difference.replaced, difference.removed)
        if growth.added + growth.replaced == 0 and len(gone) == len(index):
            raise AstrosearchError(f"no paper of index {folder.name} would be left: it stays")
        work = partial / SEGMENT
        with writing(partial):
            work.mkdir()
            new = _write_papers(work / PAPERS, papers, difference)
        with closing(Corpus(work / PAPERS)) as corpus:
            stats = EncodeStats()
            if len(corpus):
                same = np.flatnonzero(difference.has_same_text)
                shared = same, difference.replaced[same]
                spec = index.manifest.encoder
                stats = write_vectors(partial, corpus, spec, load, engine, index, shared, reporter)
            if record.sha256:
                before, after = index.corpus.digest(gone), corpus.digest()
                record = replace(record, sha256=with_change(record.sha256, after, before))
            _publish(folder, partial, corpus, gone, index, record, (source, until))
    collect_garbage(folder)
    return replace(growth, encoded=stats.texts, new=new)


def _difference(papers: Corpus, corpus: SegmentedCorpus, *, complete: bool) -> _Difference:
    recency = papers.recency()
    is_new = np.ones(len(papers), dtype=bool)
    # All papers of the sources are those that are left, whatever was withdrawn earlier.
    marks = {} if complete else corpus.withdrawn()
    for paper_id, mark in marks.items():
        row = papers.find(paper_id)
        if row is not None and ends(mark, recency[row]):
            is_new[row] = False
    replacing: list[tuple[int, int, bool]] = []
    for first, match in corpus.matches(papers):
        is_withdrawn = not is_new[match.row]
        is_new[match.row] = False
        is_later = complete or recency[match.row] >= match.other_recency
        if is_later and not is_withdrawn and not match.is_same:
            replacing.append((match.row, first + match.other_row, match.has_same_text))
    removed = corpus.rows_withdrawn_by(papers.withdrawn())
    if complete:
        removed = np.union1d(removed, corpus.rows_without(papers))
    columns = np.array(sorted(replacing), dtype=np.int64).reshape(-1, 3)
    return _Difference(
        added=np.flatnonzero(is_new),
        replacing=columns[:, 0],
        replaced=columns[:, 1],
        has_same_text=columns[:, 2].astype(bool),
        removed=removed,
    )


def _write_papers(path: Path, papers: Corpus, difference: _Difference) -> tuple[str, ...]:
    """The papers of the new segment: first those that replace others, then the new ones, whose ids
    are returned."""
    ids = []
    with closing(CorpusWriter(path)) as writer:
        for paper in papers.stream(np.concatenate([difference.replacing, difference.added])):
            writer.add(paper)
            ids.append(paper.id)
        for paper_id, (version, day) in papers.withdrawn().items():
            writer.mark(paper_id, version, date.fromisoformat(day))
        writer.finish()
    return tuple(ids[len(difference.replacing) :])


def _publish(
    folder: Path,
    partial: Path,
    corpus: Corpus,
    gone: Rows,
    index: Index,
    record: CorpusRecord,
    read: tuple[str, str],
) -> None:
    """Write the words of the new snapshot, and make it the current one.

    Args:
        gone: rows of the index that are dead from now on.
        read: the source of the papers, and until when it was read.
    """
    manifest = index.manifest
    source, until = read
    with writing(partial):
        writer = LexicalIndexWriter(partial / WORDS, folder / manifest.words)
        for paper in index.corpus.stream(gone.tolist()):
            writer.delete(paper.title, paper.abstract, paper.authors)
        for row, paper in corpus.numbered():
            writer.add(manifest.rows + row, paper.title, paper.abstract, paper.authors)
        writer.finish()
        added = np.zeros((0, manifest.dimension), dtype=np.float16)
        if len(corpus):
            added = np.load(partial / SEGMENT / VECTORS)
        total = _vector_sum(index).with_change(added, index.vectors[gone])
        collect_garbage(folder)
        number = next_number(folder)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        segment = Segment(
            folder=f"{SEGMENT}-{number}",
            first=manifest.rows,
            rows=len(corpus),
            source=source,
            until=until or now,
        )
        words = f"{WORDS}-{number}"
        prefix = f"{manifest.words}/"
        known = {
            name.removeprefix(prefix): file
            for name, file in manifest.files.items()
            if name.startswith(prefix)
        }
        count = manifest.count + len(corpus) - len(gone)
        grown = replace(
            manifest,
            count=count,
            corpus=record,
            background=replace(manifest.background, mean=total.mean_cosine(count)),
            segments=(*manifest.segments, segment),
            words=words,
            built=now,
            tool=__version__,
            files={
                **manifest.files_without(manifest.words),
                **moved(partial / SEGMENT, folder / segment.folder),
                **moved(partial / WORDS, folder / words, (folder / manifest.words, known)),
            },
            dead=tuple(np.union1d(index.dead, gone).tolist()),
            vector_sum=total.encode(),
            snapshot=number,
            format=FORMAT,
        )
        publish(folder, grown, [segment.folder, words])


def _vector_sum(index: Index) -> VectorSum:
    """Of all papers. Indexes of format 2 do not have it, so it is computed."""
    if index.manifest.vector_sum:
        return VectorSum.decode(index.manifest.vector_sum, index.manifest.dimension)
    total = VectorSum(np.zeros(index.manifest.dimension))
    for part in index.vectors.parts:
        total = VectorSum(total.total + VectorSum.of(part).total)
    return total.with_change(index.vectors[index.dead[:0]], index.vectors[index.dead])


def _publish_record(folder: Path, manifest: Manifest, record: CorpusRecord) -> None:
    """Say anew what the sources are like, where no paper changed."""
    with writing(folder):
        number = next_number(folder)
        publish(folder, replace(manifest, corpus=record, snapshot=number, format=FORMAT), [])
    collect_garbage(folder)

"""Building an index so that a kill at any moment costs little.

A build works in `.NAME.partial`. Vectors are encoded in shards, each a file that is written whole
or not at all; the next build takes up every shard with a text that it needs. At the end a segment
with all papers and a folder of words are moved into the index, and manifest.json is replaced.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch import __version__, paths
from astrosearch.corpus.intake import Intake, Selection, import_papers
from astrosearch.corpus.sources import FileState
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoder, EncoderSpec, LateInteraction
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index import vector_index
from astrosearch.index.background import VectorSum, background
from astrosearch.index.folder import SHARDS, locked, partial_folder, writing
from astrosearch.index.lexical_index import LexicalIndex, LexicalIndexWriter
from astrosearch.index.manifest import (
    PAPERS,
    REJECTED,
    VECTORS,
    WORDS,
    AnnConfig,
    CorpusRecord,
    FileRecord,
    Manifest,
    Segment,
    describe_files,
    source_text,
)
from astrosearch.index.match_strength import weak_match_threshold
from astrosearch.index.reader import Index
from astrosearch.index.shards import (
    EncodePlan,
    EncodeStats,
    Engine,
    LocalEngine,
    ShardStore,
    encode,
)
from astrosearch.index.snapshot import collect_garbage, next_number, publish
from astrosearch.index.token_store import TokenWriter
from astrosearch.index.tune import build_ann, merged
from astrosearch.index.vector_index import AUTO, RECALL
from astrosearch.index.vectors import new_vectors
from astrosearch.report import SILENT, Reporter

BLOCK = 4_096
"""Papers whose texts are in memory at a time."""

SEGMENT = "segment"
"""The folder in a partial folder that becomes a segment."""

NO_ROWS = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    folder: Path
    count: int
    """Papers of the index."""
    intake: Intake
    encoded: int
    """Texts that went through the encoder in this run."""
    reused: int
    """Papers whose vector is that of the previous index, of an interrupted build, or of another
    paper with the same text."""
    tokens: int
    seconds: float
    """Spent in the encoder."""
    changed: bool
    """False if the index was up to date already and stayed as it was."""
    rejected: Path | None = None
    """The file that lists the refused lines; None if the index stayed as it was."""


def build(
    folder: Path,
    sources: list[Path],
    selection: Selection,
    spec: EncoderSpec,
    load: Callable[[EncoderSpec], Encoder],
    *,
    engine: Engine | None = None,
    index_type: str | None = None,
    strict: bool = False,
    reporter: Reporter = SILENT,
) -> BuildReport:
    """Build the index in `folder`, or bring it up to date; only new and changed texts are encoded.

    Args:
        folder: of the index, whether or not it exists yet.
        sources: files of papers.
        selection: which of their papers are indexed.
        spec: the encoder, with the revision of its weights.
        load: makes the encoder; called only if there is something to encode here.
        engine: encodes elsewhere; by default the encoder of `load` does it, in this process.
        index_type: how neighbours are found, one of `vector_index.INDEX_TYPES` or a FAISS index in
            the words of `faiss.index_factory`; by default as last time, at first `auto`.
        strict: whether the first refused line ends the build.
        reporter: is told what changes, and how far the encoding is.

    Raises:
        InputError: if there is no such index type, or a source cannot be used.
        IndexBusy: if another process is building it.
        CorpusError: if a source is not a corpus, or `strict` and a line was refused.
        NothingFound: if no paper is left to index.
        AstrosearchError: if the folder cannot be written.
    """
    if index_type:
        vector_index.factory(index_type, 10_000, 11_520)  # which nearly any quantiser divides
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        partial = stack.enter_context(partial_folder(folder))
        stack.callback(collect_garbage, folder)  # when the previous index is closed
        work = partial / SEGMENT
        states = file_states(sources)
        with writing(partial):
            work.mkdir()
            intake = import_papers(
                sources, selection, work / PAPERS, work / REJECTED, strict=strict
            )
        corpus = stack.enter_context(closing(Corpus(work / PAPERS)))
        record = _corpus_record(sources, selection, corpus, intake, states)
        previous = sound_index(folder, reporter, "all texts are encoded again")
        if previous:
            stack.enter_context(previous)
        config = AnnConfig(AUTO, RECALL)
        if previous:
            config = previous.manifest.ann_config
        config = merged(config, index_type)
        if previous and previous.manifest.encoder != spec:
            reporter.notify(
                f"The encoder changes from {previous.manifest.encoder} to {spec}: "
                "all texts are encoded again"
            )
            previous = None
        if previous:
            present = previous.manifest
            if present.ann_config == config and present.corpus.has_same_papers(record):
                shutil.rmtree(work)
                # Those of a build that was killed when its index was whole; others' are kept.
                shutil.rmtree(partial / SHARDS / spec.key, ignore_errors=True)
                return BuildReport(
                    folder, len(corpus), intake, 0, len(corpus), 0, 0.0, changed=False
                )
            # What no longer fits is said before hours of encoding.
            vector_index.factory(
                config.index_type, len(corpus), previous.manifest.dimension, config.memory
            )
        shared = rows_with_same_text(corpus, previous) if previous else NO_ROWS
        stats = write_vectors(partial, corpus, spec, load, engine, previous, shared, reporter)
        source = source_text(record.sources)
        manifest = _finish(folder, partial, corpus, spec, record, config, source, reporter)
        shutil.rmtree(partial, ignore_errors=True)
    return BuildReport(
        folder,
        manifest.count,
        intake,
        stats.texts,
        manifest.count - stats.texts,
        stats.tokens,
        stats.seconds,
        changed=True,
        rejected=folder / manifest.segments[0].path(REJECTED),
    )


def _corpus_record(
    sources: list[Path],
    selection: Selection,
    corpus: Corpus,
    intake: Intake,
    states: dict[str, FileState],
) -> CorpusRecord:
    return CorpusRecord(
        sources=tuple(str(source.resolve()) for source in sources),
        selection=selection_record(selection),
        sha256=corpus.digest(),
        lines=intake.lines,
        not_selected=intake.not_selected,
        refused=dict(intake.refused),
        files=states,
    )


def selection_record(selection: Selection) -> dict[str, str | int | bool]:
    """A selection as the manifest has it."""
    return {
        name: value
        for name, value in selection.as_record().items()
        if isinstance(value, str | int | bool)
    }


def file_states(sources: Iterable[Path]) -> dict[str, FileState]:
    """What files are like, by their absolute paths; of what is not a file, reading it will tell."""
    states = {}
    for source in sources:
        with suppress(OSError):
            if source.is_file():
                states[str(source.resolve())] = FileState.of(source)
    return states


def create(
    folder: Path,
    partial: Path,
    incoming: Path,
    record: CorpusRecord,
    spec: EncoderSpec,
    load: Callable[[EncoderSpec], Encoder],
    *,
    source: str,
    until: str,
    engine: Engine | None = None,
    index_type: str | None = None,
    reporter: Reporter = SILENT,
) -> EncodeStats:
    """Make an index of some papers. Its lock must be held.

    Args:
        folder: of the index, which does not exist.
        partial: a folder to work in, beside it.
        incoming: a papers.sqlite, at least one paper; it is moved into the index.
        record: what the manifest is to say of the index's sources.
        source, until: what it is to say of these papers.

    The others are those of `build`.

    Raises:
        AstrosearchError: if the folder cannot be written.
    """
    work = partial / SEGMENT
    with writing(partial):
        work.mkdir()
        incoming.rename(work / PAPERS)
    with closing(Corpus(work / PAPERS)) as corpus:
        record = replace(record, sha256=corpus.digest())
        stats = write_vectors(partial, corpus, spec, load, engine, None, NO_ROWS, reporter)
        config = merged(AnnConfig(AUTO, RECALL), index_type)
        _finish(folder, partial, corpus, spec, record, config, source, reporter, until)
    return stats


def sound_index(folder: Path, reporter: Reporter, otherwise: str) -> Index | None:
    """The index that is there; None if there is none, or if it cannot be used.

    Args:
        otherwise: what happens if it cannot be used, for the line that says so.
    """
    if not (folder / paths.MANIFEST).exists():
        return None
    try:
        index = Index(folder)
        if damaged := index.manifest.verify(folder):
            index.close()
            raise IndexDamaged(f"{', '.join(damaged)} changed since the build (sha256 differs)")
    except (IndexDamaged, sqlite3.DatabaseError) as error:
        reporter.notify(f"The index that was there cannot be used, {otherwise}: {error}")
        return None
    return index


def write_vectors(
    partial: Path,
    corpus: Corpus,
    spec: EncoderSpec,
    load: Callable[[EncoderSpec], Encoder],
    engine: Engine | None,
    previous: Index | None,
    shared: tuple[NDArray[np.int64], NDArray[np.int64]],
    reporter: Reporter,
) -> EncodeStats:
    """Write the vectors and the tokens of a segment; texts are encoded.

    Args:
        corpus: its papers.
        previous: an index of the same encoder, if there is one.
        shared: (p,) rows whose vectors `previous` has, ascending, and (p,) the rows there.
    """
    store = ShardStore(partial, spec)
    plan = EncodePlan.make(corpus, shared, store)
    local = LocalEngine(load, corpus)
    if spec.is_service and len(plan.missing):
        local.request_approval(spec, plan.missing)
    stats = encode(plan, store, corpus, spec, engine or local, partial / SEGMENT / PAPERS, reporter)
    dimension = previous.manifest.dimension if previous else store.dimension() or 0
    _gather(partial, corpus, spec, plan, store, previous, dimension, load, reporter)
    return stats


def _gather(
    partial: Path,
    corpus: Corpus,
    spec: EncoderSpec,
    plan: EncodePlan,
    store: ShardStore,
    previous: Index | None,
    dimension: int,
    load: Callable[[EncoderSpec], Encoder],
    reporter: Reporter,
) -> None:
    """Write the vectors and the tokens of a segment whose texts are encoded.

    Args:
        dimension: of the vectors.
        load: makes the encoder; called only for tokens that are in no shard and not in `previous`.
            If it is not to be had, they stay unknown: whoever needs them cuts the texts.
    """
    work = partial / SEGMENT
    with writing(partial), closing(TokenWriter(work, len(corpus))) as tokens:
        vectors = new_vectors(work / VECTORS, (len(corpus), dimension))
        plan.gather(vectors, tokens, previous, store)
        unknown = tokens.unknown()
        encoder = _token_encoder(spec, load, reporter) if len(unknown) and spec.is_static else None
        if encoder is not None:
            for start in range(0, len(unknown), BLOCK):
                rows = unknown[start : start + BLOCK].tolist()
                texts = [spec.text_of(paper) for paper in corpus.papers(rows)]
                tokens.add(rows, encoder.token_bags(texts))
        tokens.finish()


def _token_encoder(
    spec: EncoderSpec, load: Callable[[EncoderSpec], Encoder], reporter: Reporter
) -> LateInteraction | None:
    """An encoder that compares tokens; None if this one does not, or cannot be loaded."""
    try:
        encoder = load(spec)
    except AstrosearchError as error:
        reporter.notify(
            f"The tokens of the papers are not stored, a search cuts them anew: {error}"
        )
        return None
    return encoder if isinstance(encoder, LateInteraction) else None


def rows_with_same_text(
    corpus: Corpus, index: Index
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a corpus whose text a paper of an index has, too: ascending, and the rows there. A
    dead row has a vector as good as any."""
    ours: list[NDArray[np.int64]] = []
    theirs: list[NDArray[np.int64]] = []
    for part in index.corpus.paths():
        here, there = corpus.rows_with_texts_of(part.path)
        ours.append(here)
        theirs.append(there + part.first)
    rows, places = np.unique(np.concatenate(ours), return_index=True)
    return rows, np.concatenate(theirs)[places]


def _finish(
    folder: Path,
    partial: Path,
    corpus: Corpus,
    spec: EncoderSpec,
    record: CorpusRecord,
    config: AnnConfig,
    source: str,
    reporter: Reporter,
    until: str = "",
) -> Manifest:
    """Write what is left, and make it the index."""
    work = partial / SEGMENT
    vectors: NDArray[np.float16] = np.load(work / VECTORS, mmap_mode="r")
    ann = build_ann(work, vectors, config, reporter)
    with writing(partial):
        write_words(partial / WORDS, corpus)
        weak_match = weak_match_threshold(LexicalIndex(partial / WORDS), corpus)
        total = VectorSum.of(vectors)
        folder.mkdir(exist_ok=True)
        citations, graph_files = _kept_citations(folder, reporter)
        collect_garbage(folder)
        number = next_number(folder)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        segment = Segment(
            folder=f"segment-{number}",
            first=0,
            rows=len(corpus),
            factory=ann.factory,
            parameters=ann.parameters,
            recall=ann.recall,
            source=source,
            until=until or now,
        )
        manifest = Manifest(
            count=len(corpus),
            dimension=vectors.shape[1],
            encoder=spec,
            corpus=record,
            background=background(vectors, total),
            ann_config=config,
            segments=(segment,),
            words=f"{WORDS}-{number}",
            built=now,
            tool=__version__,
            files={
                **moved(work, folder / segment.folder),
                **moved(partial / WORDS, folder / f"{WORDS}-{number}"),
                **graph_files,
            },
            vector_sum=total.encode(),
            weak_match=weak_match,
            snapshot=number,
            citations=citations,
        )
        publish(folder, manifest, [segment.folder, manifest.words])
        shutil.rmtree(partial / SHARDS, ignore_errors=True)
    return manifest


def _kept_citations(folder: Path, reporter: Reporter) -> tuple[str, dict[str, FileRecord]]:
    """The citation graph of the index that is there, its folder and its files: it knows works by
    their identifiers, whichever papers are indexed."""
    try:
        manifest = Manifest.read_file(folder / paths.MANIFEST)
    except IndexDamaged:
        return "", {}
    prefix = f"{manifest.citations}/"
    files = {name: file for name, file in manifest.files.items() if name.startswith(prefix)}
    if damaged := manifest.verify(folder, files):
        reporter.notify(f"The citations are left out, {', '.join(damaged)} changed since")
        return "", {}
    return manifest.citations, files


def moved(
    work: Path, target: Path, shared: tuple[Path, Mapping[str, FileRecord]] | None = None
) -> dict[str, FileRecord]:
    """Move a finished folder into the index; its files, as the manifest has them.

    Args:
        shared: a folder of the index, and what the manifest says of its files by name: a file that
            is a link to one of them is not read.

    Raises:
        OSError: if it cannot be moved.
    """
    work.rename(target)
    # The engine leaves one where it opened the words. A thread of it may do so late, but no more
    # when the folder has another name.
    for lock in target.glob(".*.lock"):
        lock.unlink()
    names = sorted(file.name for file in target.iterdir())
    known = {}
    if shared is not None:
        earlier, records = shared
        known = {
            name: records[name]
            for name in names
            if name in records
            and (earlier / name).exists()
            and (earlier / name).samefile(target / name)
        }
    files = known | describe_files(target, [name for name in names if name not in known])
    return {f"{target.name}/{name}": record for name, record in sorted(files.items())}


def write_words(folder: Path, corpus: Corpus) -> None:
    """Write the words of all papers.

    Raises:
        OSError: if they cannot be written.
    """
    writer = LexicalIndexWriter(folder)
    for row, paper in enumerate(corpus):
        writer.add(row, paper.title, paper.abstract, paper.authors)
    writer.finish()

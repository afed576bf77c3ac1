"""Folding the segments of an index that has grown; nothing is encoded.

Each segment costs a query a little. When there are many, or when much has come since the first,
they become one. Dead rows stay, as long as they are few: without them all rows would have other
numbers, and all words would have to be written again.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.store import Corpus
from astrosearch.corpus.writer import merge_files
from astrosearch.index.background import VectorSum, background
from astrosearch.index.build import SEGMENT, moved, write_words
from astrosearch.index.folder import locked, partial_folder, writing
from astrosearch.index.manifest import (
    FORMAT,
    PAPERS,
    VECTORS,
    WORDS,
    Manifest,
    Segment,
    source_text,
)
from astrosearch.index.reader import Index
from astrosearch.index.snapshot import collect_garbage, next_number, publish
from astrosearch.index.token_store import TokenWriter
from astrosearch.index.tune import build_ann
from astrosearch.index.vector_index import WHOLE_BYTES
from astrosearch.index.vectors import new_vectors, release
from astrosearch.report import SILENT, Reporter

MOST_SEGMENTS = 50
"""More are folded by themselves."""

MOST_DEAD = 0.1
"""Share of dead rows above which a merge leaves them out."""

BLOCK = 16_384
"""Rows of vectors that are copied at a time."""


def is_due(manifest: Manifest) -> bool:
    """Whether an update should fold segments."""
    return _first_to_fold(manifest) is not None


def _first_to_fold(manifest: Manifest) -> int | None:
    """The number of the first segment that should be folded with all later ones."""
    later = manifest.rows - manifest.segments[0].rows
    if (
        later > manifest.segments[0].rows
        or later * manifest.dimension * 2 > WHOLE_BYTES
        or len(manifest.dead) > MOST_DEAD * manifest.rows
    ):
        return 0
    return 1 if len(manifest.segments) > MOST_SEGMENTS else None


def merge(folder: Path, *, reporter: Reporter = SILENT) -> Manifest:
    """Fold all segments of an index into one.

    Returns:
        The new manifest; the present one if there is nothing to fold.

    Raises:
        IndexBusy: if another process builds or changes it.
        IndexDamaged: if the index cannot be read.
        AstrosearchError: if the folder cannot be written.
    """
    with locked(folder), partial_folder(folder) as partial:
        return fold(folder, partial, 0, reporter=reporter)


def fold_if_due(folder: Path, partial: Path, *, reporter: Reporter = SILENT) -> None:
    """Fold segments if there are many. The index's lock must be held."""
    start = _first_to_fold(Manifest.read(folder))
    if start is not None:
        fold(folder, partial, start, reporter=reporter)


def fold(folder: Path, partial: Path, start: int, *, reporter: Reporter = SILENT) -> Manifest:
    """Fold segment `start` and all later ones into one. The index's lock must be held."""
    with Index(folder) as index:
        manifest = index.manifest
        leave_out = start == 0 and len(index.dead) > MOST_DEAD * manifest.rows
        if len(manifest.segments) <= start + 1 and not leave_out:
            return manifest
        work = partial / SEGMENT
        if leave_out:
            rows = index.rows
            reporter.notify(f"Merging {len(manifest.segments)} segments, without the dead rows")
        else:
            rows = np.arange(manifest.segments[start].first, manifest.rows)
            reporter.notify(f"Merging {len(manifest.segments) - start} segments")
        with writing(partial):
            work.mkdir()
            parts = index.corpus.paths()[start:]
            merge_files(work / PAPERS, parts, index.dead, dense=leave_out)
            vectors = _write_vectors(work, index, rows)
        segment = Segment(
            folder=SEGMENT,
            first=0 if start == 0 else manifest.segments[start].first,
            rows=len(rows),
            source=source_text(other.source for other in manifest.segments[start:]),
            until=manifest.segments[-1].until,
        )
        if start == 0:
            ann = build_ann(work, vectors, manifest.ann_config, reporter)
            segment = replace(
                segment, factory=ann.factory, parameters=ann.parameters, recall=ann.recall
            )
        with writing(partial):
            if leave_out:
                with closing(Corpus(work / PAPERS)) as corpus:
                    write_words(partial / WORDS, corpus)
            merged = _publish(folder, partial, index, start, segment, vectors)
    collect_garbage(folder)
    return merged


def _write_vectors(work: Path, index: Index, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """Write the vectors and tokens of some rows, if there are any; returns the vectors, mapped."""
    if not len(rows):  # segments that only remember withdrawals
        return np.zeros((0, index.manifest.dimension), dtype=np.float16)
    vectors = new_vectors(work / VECTORS, (len(rows), index.manifest.dimension))
    with closing(TokenWriter(work, len(rows))) as tokens:
        for begin in range(0, len(rows), BLOCK):
            block = rows[begin : begin + BLOCK]
            vectors[begin : begin + BLOCK] = index.vectors[block]
            if index.tokens:
                tokens.add(range(begin, begin + len(block)), index.tokens.bags(block))
            release(vectors)
        tokens.finish()
    vectors.flush()
    written: NDArray[np.float16] = np.load(work / VECTORS, mmap_mode="r")
    return written


def _publish(
    folder: Path,
    partial: Path,
    index: Index,
    start: int,
    segment: Segment,
    vectors: NDArray[np.float16],
) -> Manifest:
    manifest = index.manifest
    number = next_number(folder)
    segment = replace(segment, folder=f"{SEGMENT}-{number}")
    gone = {other.folder for other in manifest.segments[start:]}
    merged = replace(
        manifest,
        files=manifest.files_without(*gone),
        segments=(*manifest.segments[:start], segment),
        snapshot=number,
        format=FORMAT,
    )
    fresh = [segment.folder]
    if (partial / WORDS).exists():
        words = f"{WORDS}-{number}"
        total = VectorSum.of(vectors)
        merged = replace(
            merged,
            words=words,
            files=merged.files_without(manifest.words) | moved(partial / WORDS, folder / words),
            dead=(),
            vector_sum=total.encode(),
            background=background(vectors, total),
        )
        fresh.append(words)
    files = {**merged.files, **moved(partial / SEGMENT, folder / segment.folder)}
    merged = replace(merged, files=files)
    publish(folder, merged, fresh)
    return merged

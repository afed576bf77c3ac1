"""How neighbours are found in a built index: the FAISS file, made and tuned; nothing is encoded."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.atomic import file_sha256, publish_file, writing
from astrosearch.errors import InputError
from astrosearch.index import vector_index
from astrosearch.index.folder import locked
from astrosearch.index.manifest import (
    FORMAT,
    VECTORS,
    AnnConfig,
    FileRecord,
    Manifest,
    Segment,
    describe_files,
)
from astrosearch.index.snapshot import collect_garbage, next_number, publish
from astrosearch.index.vector_index import Parameters, VectorIndex
from astrosearch.index.vectors import FLAT, map_vectors
from astrosearch.report import SILENT, Reporter


@dataclass(frozen=True)
class Ann:
    """A way to find neighbours, as the manifest describes it."""

    file: str | None
    factory: str
    parameters: Parameters
    recall: float


def tune(
    folder: Path,
    *,
    index_type: str | None = None,
    recall: float | None = None,
    memory: int | None = None,
    reporter: Reporter = SILENT,
) -> Manifest:
    """Find neighbours another way in a built index; nothing is encoded.

    The new FAISS file is written beside the old one, and the manifest, replaced at once, says which
    one counts: whenever this is stopped, the index is the old one or the new one.

    Args:
        folder: of the index.
        index_type: as in `build`.
        recall: recall@10 against exact search, at least.
        memory: bytes that the FAISS index, or the vectors that are compared, may take.
        Each is by default what it was last time.

    Returns:
        The new manifest.

    Raises:
        InputError: if there is no such index type, or it does not fit into `memory`.
        IndexBusy: if another process is building or tuning it.
        IndexDamaged: if a file but the FAISS index is damaged; that one is made again.
        AstrosearchError: if the folder cannot be written.
    """
    with locked(folder):
        manifest = Manifest.read(folder, check_files=False)
        segment = manifest.largest
        others = {name for name in manifest.files if not name.endswith(".faiss")}
        manifest.check_sizes(folder, others)
        place = folder / segment.folder
        vectors = map_vectors(place / VECTORS, segment.rows, manifest.dimension)
        config = merged(manifest.ann_config, index_type, recall, memory)
        try:
            ann = build_ann(place, vectors, config, reporter, manifest)
            with writing(folder):
                changed = replace(
                    manifest,
                    ann_config=config,
                    segments=tuple(
                        _searched_by(ann, other) if other == segment else other
                        for other in manifest.segments
                    ),
                    files=_files(folder, manifest, segment, ann.file),
                    snapshot=next_number(folder),
                    format=FORMAT,
                )
                publish(folder, changed, [])
        finally:
            collect_garbage(folder)
            for file in place.glob(".*.faiss*"):
                file.unlink()
    return changed


def _searched_by(ann: Ann, segment: Segment) -> Segment:
    return replace(segment, factory=ann.factory, parameters=ann.parameters, recall=ann.recall)


def merged(
    config: AnnConfig,
    index_type: str | None = None,
    recall: float | None = None,
    memory: int | None = None,
) -> AnnConfig:
    """A configuration with the fields that are given."""
    return AnnConfig(
        config.index_type if index_type is None else index_type,
        config.recall if recall is None else recall,
        config.memory if memory is None else memory,
    )


def _files(
    folder: Path, manifest: Manifest, segment: Segment, faiss_file: str | None
) -> dict[str, FileRecord]:
    """The files of an index where the FAISS file of a segment, or none, is now `faiss_file`."""
    wanted = [segment.path(faiss_file)] if faiss_file else []
    gone = set(manifest.faiss_files(segment)).difference(wanted)
    files = {name: record for name, record in manifest.files.items() if name not in gone}
    return files | describe_files(folder, [name for name in wanted if name not in files])


def build_ann(
    folder: Path,
    vectors: NDArray[np.float16],
    config: AnnConfig,
    reporter: Reporter,
    present: Manifest | None = None,
) -> Ann:
    """Write and tune the FAISS index that `config` describes; none is written if all vectors are to
    be compared.

    Args:
        folder: of the segment, where the file comes to lie; it is named for its content, so that
            another content never takes its name.
        vectors: (n, d), of the index.
        present: the index's manifest; the FAISS file of its largest segment is used if it is such
            a one.

    Raises:
        InputError: if FAISS does not know such an index, or it does not fit into `config.memory`.
        AstrosearchError: if it cannot be written.
    """
    count, dimension = vectors.shape
    factory = vector_index.factory(config.index_type, count, dimension, config.memory)
    name = _present_faiss_file(folder, present, factory) if present else None
    if factory != FLAT and not name:
        name = _write_faiss(folder, vectors, factory)
    held = (folder / name).stat().st_size if name else vectors.nbytes
    if config.memory is not None and held > config.memory:
        raise InputError(
            f"{config.index_type} ({factory}) holds {held / 1e6:,.1f} MB of {count:,} papers in "
            f"memory, the limit is {config.memory / 1e6:,.1f} MB"
        )
    index = VectorIndex(vectors, folder / name if name else None, {})
    try:
        recall = round(index.tune(config.recall), 4)
    finally:
        index.close()
    if index.is_exact:
        reporter.notify(
            f"Neighbours: exact, {held / 1e6:,.1f} MB of vectors are compared; recall 1"
        )
    else:
        parameters = ", ".join(f"{key} {value}" for key, value in index.parameters.items())
        reporter.notify(
            f"Neighbours: {factory}, {held / 1e6:,.1f} MB, {parameters}; "
            f"recall@{vector_index.RECALL_AT} {recall} against exact search on "
            f"{vector_index.QUERIES} queries"
        )
    return Ann(name, factory, index.parameters, recall)


def _present_faiss_file(folder: Path, manifest: Manifest, factory: str) -> str | None:
    """The FAISS file of the largest segment, in its folder, if it is sound and such a one."""
    segment = manifest.largest
    name = manifest.faiss_file(segment)
    if name is None or segment.factory != factory:
        return None
    index = folder.parent if segment.folder else folder
    return None if name in manifest.verify(index, [name]) else name.rpartition("/")[2]


def _write_faiss(folder: Path, vectors: NDArray[np.float16], factory: str) -> str:
    work = folder / ".new.faiss.tmp"
    with writing(folder):
        try:
            vector_index.write(work, vectors, factory)
            name = f"vectors-{file_sha256(work)[:12]}.faiss"
            publish_file(work, folder / name)
        finally:
            work.unlink(missing_ok=True)
    return name

"""Building an index so that a kill at any moment costs little.

A build works in `.NAME.partial`. Vectors are encoded in shards, each a file that is written
whole or not at all; the next build takes up every shard whose texts and encoder are the same. At
the end the folder is renamed into place.
"""

import hashlib
import os
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from astrosearch import __version__, paths
from astrosearch.corpus.intake import Intake, Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Billable, Encoded, Encoder, EncoderSpec
from astrosearch.encoders.vectors import FLAT, Vectors, random_pair_cosines, release
from astrosearch.errors import AstrosearchError, IndexBusy, IndexDamaged, InputError
from astrosearch.index import vector_index as neighbours
from astrosearch.index.lexical_index import LexicalIndexWriter
from astrosearch.index.manifest import Manifest, describe_files, file_sha256
from astrosearch.index.reader import PAPERS, REJECTED, VECTORS, WORDS, Index, map_vectors
from astrosearch.index.vector_index import AUTO, BLOCK, RECALL, Parameters, VectorIndex
from astrosearch.papers import TextHash
from astrosearch.report import SILENT, Reporter

SHARDS = "shards"

SHARD = 64
"""Papers a shard: what a kill may cost, and the window in which texts are sorted by length."""

SERVICE_SHARD = 4_096
"""The same for a service, which answers several requests at once and loses no answer by a kill."""


Engine = Callable[[EncoderSpec, Path, Sequence[NDArray[np.int64]]], Iterator[Encoded]]
"""Encodes rows of a papers.sqlite, shard by shard; in any order, since each is a file."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    folder: Path
    count: int
    intake: Intake
    encoded: int
    """Texts that went through the encoder in this run."""
    reused: int
    """Vectors taken from the previous index or from an interrupted build."""
    tokens: int
    seconds: float
    """Spent in the encoder."""
    changed: bool
    """False if the index was up to date already and stayed as it was."""


def build(
    folder: Path,
    sources: list[Path],
    selection: Selection,
    spec: EncoderSpec,
    load: Callable[[EncoderSpec], Encoder],
    *,
    engine: Engine | None = None,
    kind: str | None = None,
    strict: bool = False,
    reporter: Reporter = SILENT,
) -> BuildReport:
    """Build the index in `folder`, or bring it up to date; only new and changed texts are encoded.

    Args:
        spec: the encoder, with the revision of its weights.
        load: makes the encoder; called only if there is something to encode here.
        engine: encodes elsewhere; by default the encoder of `load` does it, in this process.
        kind: how neighbours are found, one of `neighbours.KINDS` or a FAISS index in the words
            of `faiss.index_factory`; by default as last time, at first `auto`.
        strict: whether the first refused line ends the build.

    Raises:
        InputError: if `kind` is none.
        IndexBusy: if another process is building it.
        CorpusError: if a source is not a corpus, or `strict` and a line was refused.
        NothingFound: if no paper is left to index.
        AstrosearchError: if the folder cannot be written.
    """
    if kind:
        neighbours.factory(kind, 10_000, 11_520)  # a dimension that nearly any quantiser divides
    kept = "; what was encoded is kept, the same command goes on"
    with (
        _written(paths.partial_folder(folder), kept),
        locked(folder),
        _partial(folder) as partial,
    ):
        intake = import_papers(
            sources,
            selection,
            partial / PAPERS,
            partial / REJECTED,
            strict=strict,
        )
        corpus = Corpus(partial / PAPERS)
        described: dict[str, Any] = {
            "sources": [str(source.resolve()) for source in sources],
            "selection": selection.as_record(),
            "sha256": corpus.digest(),
            "lines": intake.lines,
            "not_selected": intake.not_selected,
            "refused": dict(intake.refused),
        }
        previous = _previous(folder, reporter)
        asked: dict[str, Any] = {"kind": AUTO, "recall": RECALL, "memory": None}
        if previous:
            asked = previous.manifest.asked
        if kind:
            asked = {**asked, "kind": kind}
        if previous and previous.manifest.encoder != spec:
            reporter.notify(
                f"The encoder changes from {previous.manifest.encoder} to {spec}: "
                "all texts are encoded again"
            )
            previous = None
        if previous and (previous.manifest.corpus, previous.manifest.asked) == (described, asked):
            shutil.rmtree(partial)
            return BuildReport(folder, len(corpus), intake, 0, len(corpus), 0, 0.0, changed=False)

        if previous:  # what no longer fits is said before hours of encoding
            neighbours.factory(
                asked["kind"], len(corpus), previous.manifest.dimension, asked["memory"]
            )
        encoding = _Encoding(partial, corpus, spec, load, engine, reporter)
        encoding.run(previous)
        vectors = np.load(partial / VECTORS, mmap_mode="r")
        found = _arrange(partial, vectors, asked, reporter)
        words = _write_words(partial / WORDS, corpus)
        manifest = Manifest(
            count=len(corpus),
            dimension=vectors.shape[1],
            encoder=spec,
            corpus=described,
            background=_background(vectors),
            asked=asked,
            factory=found.factory,
            parameters=found.parameters,
            recall=found.recall,
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            tool=__version__,
            files=describe_files(
                partial, [PAPERS, VECTORS, *([found.file] if found.file else []), REJECTED, *words]
            ),
        )
        shutil.rmtree(partial / SHARDS, ignore_errors=True)
        manifest.write(partial)
        corpus.close()
        paths.publish(folder)
    return BuildReport(
        folder,
        manifest.count,
        intake,
        encoding.encoded,
        manifest.count - encoding.encoded,
        encoding.tokens,
        encoding.seconds,
        changed=True,
    )


@contextmanager
def _written(folder: Path, kept: str) -> Iterator[None]:
    """A full disk or a folder that may not be written to is the user's to mend, not a bug.

    Args:
        kept: what is left if it ends so, and what to do then.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise AstrosearchError(f"cannot write {folder} ({error}){kept}") from error


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """Where `folder` is built; left behind by a failure only if something was encoded there."""
    paths.recover(folder)
    if (folder / paths.MANIFEST).exists():  # a process died before it took the old one away
        shutil.rmtree(paths.replaced_folder(folder), ignore_errors=True)
    if folder.exists() and not (folder / paths.MANIFEST).exists():
        raise InputError(
            f"{folder} is there and is no index (it has no {paths.MANIFEST}): remove it, or "
            "choose another name"
        )
    partial = paths.partial_folder(folder)
    partial.mkdir(exist_ok=True)
    (partial / paths.MANIFEST).unlink(missing_ok=True)
    for left in partial.glob("*.faiss*"):
        left.unlink()
    try:
        yield partial
    except BaseException:
        if not any(partial.glob(f"{SHARDS}/*/*")):
            shutil.rmtree(partial)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock under which an index is built or removed.

    Raises:
        IndexBusy: if another process holds it.
    """
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise IndexBusy(
            f"index {folder.name} is being built by another process (it holds {lock.lock_file}); "
            "wait for it, or stop it: what it encoded is kept"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _previous(folder: Path, reporter: Reporter) -> Index | None:
    if not (folder / paths.MANIFEST).exists():
        return None
    try:
        index = Index(folder)
        if damaged := index.manifest.verify(folder):
            raise IndexDamaged(f"{', '.join(damaged)} changed since the build (sha256 differs)")
    except (IndexDamaged, sqlite3.DatabaseError) as error:
        reporter.notify(
            f"The index that was there cannot be used, all texts are encoded again: {error}"
        )
        return None
    return index


class _Encoding:
    """The texts of a corpus to vectors.npy, shard by shard."""

    def __init__(
        self,
        partial: Path,
        corpus: Corpus,
        spec: EncoderSpec,
        load: Callable[[EncoderSpec], Encoder],
        engine: Engine | None,
        reporter: Reporter,
    ) -> None:
        self._partial = partial
        self._corpus = corpus
        self._shards = partial / SHARDS / spec.key
        self._spec = spec
        self._load = load
        self._engine = engine or self._encode_here
        self._reporter = reporter
        self._encoder: Encoder | None = None
        self.encoded = 0
        self.tokens = 0
        self.seconds = 0.0

    def run(self, previous: Index | None) -> None:
        """Write vectors.npy: rows from `previous` where the text is the same, else encoded."""
        self._shards.mkdir(parents=True, exist_ok=True)
        for torn in self._shards.glob("*.tmp"):  # of a process that died while it wrote
            torn.unlink()
        count = len(self._corpus)
        rows = np.arange(count)
        if previous:
            kept, theirs = self._corpus.rows_with_texts_of(previous.folder / PAPERS)
            rows = np.setdiff1d(rows, kept, assume_unique=True)
        size = SERVICE_SHARD if self._spec.is_service else SHARD
        shards = [rows[start : start + size] for start in range(0, len(rows), size)]
        # A shard is named for its texts, so a run with the same corpus cuts the same shards, and
        # its batches, and so its vectors to the last bit, are those of an uninterrupted run.
        files = [self._shard_file(shard) for shard in shards]
        here = {file for file in files if _is_sound(file)}
        todo = [pair for pair in zip(shards, files, strict=True) if pair[1] not in here]
        self._todo = sum(len(shard) for shard, _ in todo)
        elsewhere = self._vectors_of_other_shards(here) if todo else {}
        if self._spec.is_service and todo:
            self._approve([shard for shard, _ in todo], elsewhere)
        self._encode(todo, elsewhere)
        dimension = (
            np.load(files[0])["vectors"].shape[1] if files else previous.manifest.dimension  # type: ignore[union-attr]
        )
        vectors = _new_vectors(self._partial / VECTORS, (count, dimension))
        if previous:
            for start in range(0, len(kept), BLOCK):
                some = slice(start, start + BLOCK)
                vectors[kept[some]] = previous.vectors[theirs[some]]
                release(vectors)
                release(previous.vectors)
        for shard, file in zip(shards, files, strict=True):
            vectors[shard] = np.load(file)["vectors"]
            release(vectors)
        vectors.flush()

    def _texts(self, rows: NDArray[np.int64]) -> list[str]:
        return [self._spec.text_of(paper) for paper in self._corpus.papers(rows.tolist())]

    def _shard_file(self, rows: NDArray[np.int64]) -> Path:
        digest = hashlib.sha256(b"".join(self._corpus.text_hashes(rows)))
        return self._shards / f"{digest.hexdigest()[:32]}.npz"

    def _vectors_of_other_shards(self, here: set[Path]) -> dict[TextHash, tuple[Path, int]]:
        """Where an interrupted build of another corpus left vectors of texts we may need."""
        found: dict[TextHash, tuple[Path, int]] = {}
        for file in filter(_is_sound, sorted(set(self._shards.glob("*.npz")) - here)):
            hashes = np.load(file)["hashes"]
            found.update({one.tobytes(): (file, row) for row, one in enumerate(hashes)})
        return found

    def _approve(
        self, shards: list[NDArray[np.int64]], elsewhere: dict[TextHash, tuple[Path, int]]
    ) -> None:
        """Tell an encoder that costs money all it will be given, before the first of it."""
        self._encoder = self._load(self._spec)
        if isinstance(self._encoder, Billable):
            self._encoder.request_approval(
                text
                for shard in shards
                for text, one in zip(
                    self._texts(shard), self._corpus.text_hashes(shard), strict=True
                )
                if one not in elsewhere
            )

    def _encode(
        self,
        todo: list[tuple[NDArray[np.int64], Path]],
        elsewhere: dict[TextHash, tuple[Path, int]],
    ) -> None:
        """Write the files of shards, from vectors that lie elsewhere and from the engine's."""
        jobs = []
        for shard, file in todo:
            hashes = self._corpus.text_hashes(shard)
            missing = np.array([one not in elsewhere for one in hashes])
            if missing.any():
                jobs.append((shard, file, missing))
            else:
                self._write_shard(shard, file, elsewhere)
        if not jobs:
            return
        rows = [shard[missing] for shard, _, missing in jobs]
        results = self._engine(self._spec, self._partial / PAPERS, rows)
        for fresh in results:
            shard, file, missing = jobs[fresh.number]
            self.seconds += fresh.seconds
            self.tokens += fresh.tokens
            self.encoded += len(fresh.vectors)
            bad = ~np.isfinite(fresh.vectors).all(axis=1)
            if bad.any():
                paper = self._corpus.papers(shard[missing][bad].tolist())[0]
                raise AstrosearchError(
                    f"the encoder gave no finite vector for {paper.id}; with half precision try "
                    "--dtype float32"
                )
            self._write_shard(shard, file, elsewhere, fresh.vectors)

    def _encode_here(
        self, spec: EncoderSpec, papers: Path, shards: Sequence[NDArray[np.int64]]
    ) -> Iterator[Encoded]:
        """The engine of one process."""
        if self._encoder is None:
            self._encoder = self._load(spec)
        for number, rows in enumerate(shards):
            texts = self._texts(rows)
            start = time.perf_counter()
            vectors, tokens = self._encoder.encode_counted(texts)
            yield Encoded(number, vectors, tokens, time.perf_counter() - start)

    def _write_shard(
        self,
        rows: NDArray[np.int64],
        file: Path,
        elsewhere: dict[TextHash, tuple[Path, int]],
        fresh: Vectors | None = None,
    ) -> None:
        """Write a shard: rows that are not elsewhere are those of `fresh`, in order."""
        hashes = self._corpus.text_hashes(rows)
        encoded = iter(() if fresh is None else fresh.astype(np.float16))
        vectors = []
        for one in hashes:
            if one in elsewhere:
                other, row = elsewhere[one]
                vectors.append(np.load(other)["vectors"][row])
            else:
                vectors.append(next(encoded))
        self._todo -= len(rows)
        _write_whole(
            file,
            hashes=np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 16),
            vectors=np.stack(vectors),
        )
        speed = self.tokens / self.seconds if self.seconds else 0.0
        total = self.encoded + self._todo
        self._reporter.progress("Encoding", self.encoded, total, f"{speed:,.0f} tokens/s")


def _new_vectors(path: Path, shape: tuple[int, int]) -> np.memmap[Any, np.dtype[np.float16]]:
    """A new vectors.npy, mapped, its bytes taken from the disk already: a disk that fills up
    beneath a mapped file ends the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return np.lib.format.open_memmap(path, mode="r+")


def _is_sound(file: Path) -> bool:
    """Whether a shard is there and can be read; one that cannot is as good as none."""
    try:
        with file.open("rb") as stream, np.load(stream) as shard:
            return len(shard["hashes"]) == len(shard["vectors"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def _write_whole(file: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz so that a file of this name is always whole, also after a power cut."""
    work = file.with_suffix(f".{os.getpid()}.tmp")
    with work.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    _flush(work)
    work.rename(file)


def _flush(file: Path) -> None:
    """See to it that a file that was written lies on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


@dataclass(frozen=True)
class _Arrangement:
    """How neighbours are found, as the manifest has it."""

    file: str | None
    factory: str
    parameters: Parameters
    recall: float


def _arrange(
    folder: Path,
    vectors: NDArray[np.float16],
    asked: dict[str, Any],
    reporter: Reporter,
    present: Manifest | None = None,
) -> _Arrangement:
    """Write and tune the FAISS index that was asked for; that of `present` serves if it is one.

    The file is named for its content, so that another never takes its name.
    """
    count, dimension = vectors.shape
    factory = neighbours.factory(asked["kind"], count, dimension, asked["memory"])
    name = present.faiss_file if present and present.factory == factory else None
    if name and present and name in present.verify(folder, [name]):
        name = None
    if factory != FLAT and not name:
        work = folder / f".{os.getpid()}.faiss.tmp"
        try:
            neighbours.write(work, vectors, factory)
            _flush(work)
            name = f"vectors-{file_sha256(work)[:12]}.faiss"
            work.rename(folder / name)
        finally:
            work.unlink(missing_ok=True)
    held = (folder / name).stat().st_size if name else vectors.nbytes
    if asked["memory"] is not None and held > asked["memory"]:
        raise InputError(
            f"{asked['kind']} ({factory}) holds {held / 1e6:,.1f} MB of {count:,} papers in "
            f"memory, {asked['memory'] / 1e6:,.1f} MB were asked for; choose another kind"
        )
    found = VectorIndex(vectors, folder / name if name else None, {})
    recall = round(found.tune(asked["recall"]), 4)
    if found.is_exact:
        reporter.notify(
            f"Neighbours: exact, {held / 1e6:,.1f} MB of vectors are compared; recall 1"
        )
    else:
        parameters = ", ".join(f"{key} {value}" for key, value in found.parameters.items())
        reporter.notify(
            f"Neighbours: {factory}, {held / 1e6:,.1f} MB, {parameters}; recall@"
            f"{neighbours.RECALL_AT} {recall} against exact search on {neighbours.QUERIES} queries"
        )
    return _Arrangement(name, factory, found.parameters, recall)


def tune(
    folder: Path,
    *,
    kind: str | None = None,
    recall: float | None = None,
    memory: int | None = None,
    reporter: Reporter = SILENT,
) -> Manifest:
    """Find neighbours another way in a built index; nothing is encoded.

    The new FAISS file comes beside the old one, and the manifest, replaced at once, says which
    counts: whenever this is stopped, the index is the old one or the new one.

    Args:
        kind: as in `build`.
        recall: recall@10 against exact search, at least.
        memory: bytes that the FAISS index, or the compared vectors, may have.
        Each by default as it was asked for last time.

    Raises:
        InputError: if there is no such kind, or it does not fit into `memory`.
        IndexBusy: if another process is building or tuning it.
        AstrosearchError: if the folder cannot be written.
    """
    with _written(folder, "; the index is as it was"), locked(folder):
        manifest = Manifest.read(folder, check_files=False)
        others = [name for name in manifest.files if not name.endswith(".faiss")]
        manifest.check_sizes(folder, others)  # a damaged FAISS file is mended here
        vectors = map_vectors(folder, manifest)
        given = {"kind": kind, "recall": recall, "memory": memory}
        asked = manifest.asked | {key: one for key, one in given.items() if one is not None}
        try:
            found = _arrange(folder, vectors, asked, reporter, manifest)
            files = {
                name: facts
                for name, facts in manifest.files.items()
                if not name.endswith(".faiss") or name == found.file
            }
            if found.file and found.file not in files:
                files |= describe_files(folder, [found.file])
            changed = replace(
                manifest,
                asked=asked,
                factory=found.factory,
                parameters=found.parameters,
                recall=found.recall,
                files=files,
            )
            changed.write(folder)
        finally:
            counts = Manifest.read(folder, check_files=False).files
            for left in folder.glob("*.faiss*"):
                if left.name not in counts:
                    left.unlink()
    return changed


def _write_words(folder: Path, corpus: Corpus) -> list[str]:
    """Write the words of all papers; returns the files' names as the manifest has them.

    What an interrupted build left is written anew: it takes a few minutes for a whole archive.
    """
    shutil.rmtree(folder, ignore_errors=True)
    writer = LexicalIndexWriter(folder)
    for row, paper in enumerate(corpus):
        writer.add(row, paper.title, paper.abstract, paper.authors)
    writer.finish()
    return sorted(f"{folder.name}/{file.name}" for file in folder.iterdir())


def _background(vectors: NDArray[np.float16]) -> dict[str, Any]:
    """The cosines that random pairs of this index have: what a raw cosine must be read against."""
    if len(vectors) < 2:
        return {"pairs": 0, "mean": None, "spread": None, "percentiles": []}
    cosines = random_pair_cosines(vectors)
    return {
        "pairs": len(cosines),
        "mean": round(float(cosines.mean()), 4),
        "spread": round(float(cosines.std()), 4),
        "percentiles": [round(float(q), 4) for q in np.percentile(cosines, range(101))],
    }

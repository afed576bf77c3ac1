"""What an index folder says of itself. Written last: its presence means the folder is whole."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, NoReturn

from astrosearch.atomic import file_sha256, whole_file
from astrosearch.encoders.base import EncoderSpec
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index.json_record import FieldError, JsonRecord
from astrosearch.index.vectors import FLAT
from astrosearch.paths import MANIFEST

FORMAT = 2
"""Version of the on-disk format, documented in indexes/README.md."""

PAPERS, VECTORS, REJECTED, WORDS = "papers.sqlite", "vectors.npy", "rejected.jsonl", "words"
"""Names in an index folder; the last is a folder."""

REQUIRED = (PAPERS, VECTORS, REJECTED, f"{WORDS}/meta.json")
"""Files without which an index is not one."""

LONGEST = 64 * 2**20
"""Bytes; that of an index of many thousand files has some hundred kB."""

DIGEST, NO_DIGEST = "manifest_sha256", "0" * 64
"""The field with the manifest's own sha256, and what stands there when it is taken."""

_FILE = re.compile(r"(?:words/)?[\w.-]*\w[\w.-]*", re.ASCII)
_SHA256, _FACTORY = "[0-9a-f]{64}", ".{1,200}"

COSINE = 1.001
"""The largest cosine of two rows, whose length float16 rounds."""

LONGEST_NAME = 255
"""Bytes that a part of a path may have, on all file systems in use."""


@dataclass(frozen=True)
class CorpusRecord:
    """Where the papers of an index came from."""

    sources: tuple[str, ...]
    """Files, as absolute paths."""
    selection: Mapping[str, str | int | bool]
    """What `Selection.as_record` gave."""
    sha256: str = ""
    """Over all fields of all papers, in row order."""
    lines: int = 0
    """Read from the sources."""
    not_selected: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    """Lines that did not become papers, by reason."""

    @classmethod
    def decode(cls, record: JsonRecord) -> "CorpusRecord":
        selection = record.record("selection")
        refused = record.record("refused", {})
        decoded = cls(
            sources=record.texts("sources"),
            selection={name: selection.scalar(name) for name in selection.names()},
            sha256=record.text("sha256", "", pattern=f"({_SHA256})?"),
            lines=record.whole("lines", 0, least=0),
            not_selected=record.whole("not_selected", 0, least=0),
            refused={name: refused.whole(name, least=0) for name in refused.names()},
        )
        record.end()
        return decoded


@dataclass(frozen=True)
class Background:
    """The cosines of random pairs of an index: what a raw cosine must be read against."""

    pairs: int = 0
    """How many; 0 of a single paper, which makes no pair."""
    mean: float | None = None
    spread: float | None = None
    """Their standard deviation."""
    percentiles: tuple[float, ...] = ()
    """101 of them, from 0 to 100; none without pairs."""

    @classmethod
    def decode(cls, record: JsonRecord) -> "Background":
        decoded = cls(
            pairs=record.whole("pairs", 0, least=0),
            mean=record.number_or_null("mean", None, least=-COSINE, most=COSINE),
            spread=record.number_or_null("spread", None, least=0, most=COSINE),
            percentiles=record.numbers("percentiles", [], least=-COSINE, most=COSINE),
        )
        record.end()
        return decoded


@dataclass(frozen=True)
class AnnConfig:
    """How neighbours are to be found; a later build goes by it. On the disk it is called `asked`,
    and `index_type` there is `kind`."""

    index_type: str
    """One of `vector_index.INDEX_TYPES`, or a FAISS index in the words of `index_factory`."""
    recall: float
    """Recall@10 against exact search, at least."""
    memory: int | None = None
    """Bytes that may be held in memory; None for no limit."""

    @classmethod
    def decode(cls, record: JsonRecord) -> "AnnConfig":
        decoded = cls(
            record.text("kind", pattern=_FACTORY),
            record.number("recall", least=0, most=1),
            record.whole_or_null("memory", least=0),
        )
        record.end()
        return decoded

    def as_record(self) -> dict[str, object]:
        return {"kind": self.index_type, "recall": self.recall, "memory": self.memory}


@dataclass(frozen=True)
class FileRecord:
    """What a file must be like."""

    bytes: int
    sha256: str

    @classmethod
    def decode(cls, record: JsonRecord) -> "FileRecord":
        decoded = cls(record.whole("bytes", least=0), record.text("sha256", pattern=_SHA256))
        record.end()
        return decoded


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json."""

    count: int
    """Papers, which are rows of papers.sqlite, vectors.npy, the FAISS index and words/ alike."""
    dimension: int
    encoder: EncoderSpec
    corpus: CorpusRecord
    background: Background
    ann_config: AnnConfig
    factory: str
    """The FAISS index, in the words of `faiss.index_factory`."""
    parameters: Mapping[str, int]
    """Of a search: `k_factor`, and `nprobe` or `efSearch`; empty if all vectors are compared."""
    recall: float | None
    """Recall@10 against exact search, as measured with `parameters`; 1 if all are compared, None
    if it was not measured."""
    built: str
    """Time of the build, ISO 8601, UTC."""
    tool: str
    """Version of astrosearch that built it."""
    files: Mapping[str, FileRecord]
    """Each other file of the folder by its name, `words/…` among them."""
    metric: str = "cosine"
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path, *, check_files: bool = True) -> "Manifest":
        """
        Raises:
            IndexDamaged: if it cannot be read, is of another format version, if a field is
                missing or wrong, or if a file of the folder is missing or has another length.
        """
        path = folder / MANIFEST
        record = _parse(path)
        try:
            manifest = cls._decode(record)
        except (FieldError, IndexDamaged) as error:
            raise IndexDamaged(f"{path}: {error}", remedy="build-again") from None
        if check_files:
            manifest.check_sizes(folder, manifest.files)
        return manifest

    @classmethod
    def _decode(cls, record: JsonRecord) -> "Manifest":
        record.raw("format")
        record.raw(DIGEST, None)
        files = record.record("files")
        factory = record.text("factory", pattern=_FACTORY)
        parameters = record.record("parameters", {})
        # Indexes of the first releases lack these two and `recall`: nothing was measured.
        ann_config = {
            "kind": "auto" if factory == FLAT else factory,
            "recall": 0.99,
            "memory": None,
        }
        manifest = cls(
            count=record.whole("count", least=1),
            dimension=record.whole("dimension", least=1, most=2**20),
            encoder=_encoder(record.record("encoder")),
            corpus=CorpusRecord.decode(record.record("corpus")),
            background=Background.decode(record.record("background")),
            ann_config=AnnConfig.decode(record.record("asked", ann_config)),
            factory=factory,
            parameters={
                name: parameters.whole(name, least=1, most=2**31 - 1)
                for name in ("k_factor", "nprobe", "efSearch")
                if name in parameters.names()
            },
            recall=record.number_or_null("recall", None, least=0, most=1),
            built=record.text("built"),
            tool=record.text("tool", longest=100),
            files={name: FileRecord.decode(files.record(name)) for name in files.names()},
            metric=record.text("metric", "cosine", pattern="cosine"),
        )
        parameters.end()
        record.end()
        manifest._check()
        return manifest

    def _check(self) -> None:
        """
        Raises:
            FieldError: if two fields contradict each other, or names lead out of the folder.
        """
        try:
            datetime.fromisoformat(self.built)
        except ValueError:
            raise FieldError(f"built is {ascii(self.built)[:40]}, not a time") from None
        if self.parameters and "k_factor" not in self.parameters:
            raise FieldError("parameters.k_factor is missing")
        if len(self.background.percentiles) not in (0, 101):
            count = len(self.background.percentiles)
            raise FieldError(f"background.percentiles has {count:,} numbers, not 101")
        for name in self.files:
            # A name that led out of the folder would have any file of this machine read.
            if not _FILE.fullmatch(name):
                raise FieldError(f"files has {ascii(name)[:40]}, not the name of an index's file")
        if missing := [name for name in REQUIRED if name not in self.files]:
            raise FieldError(f"files lacks {', '.join(missing)}")
        faiss_files = [name for name in self.files if name.endswith(".faiss")]
        if len(faiss_files) > 1 or (self.factory != FLAT and not faiss_files):
            raise FieldError(
                f"files has {len(faiss_files)} FAISS files, for factory {ascii(self.factory)[:40]}"
            )

    def check_sizes(self, folder: Path, names: Iterable[str]) -> None:
        """
        Raises:
            IndexDamaged: if one of the files is missing, or not as long as it should be.
        """
        for name in names:
            file, expected = folder / name, self.files[name].bytes
            size = None
            # Between two looks at it a build may take the file away.
            with suppress(FileNotFoundError, NotADirectoryError):
                status = file.stat()
                size = status.st_size if S_ISREG(status.st_mode) else None
            if size != expected:
                fact = "is missing" if size is None else f"has {size:,} bytes"
                raise IndexDamaged(
                    f"{file} {fact}, the manifest says {expected:,}", remedy="build-again"
                )

    @property
    def faiss_file(self) -> str | None:
        """The file with the FAISS index; None if all of vectors.npy is compared."""
        names = [name for name in self.files if name.endswith(".faiss")]
        return names[0] if names and self.factory != FLAT else None

    def as_record(self) -> dict[str, Any]:
        """The fields as they are on the disk."""
        record: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "ann_config":
                record["asked"] = self.ann_config.as_record()
            else:
                record[name] = value
        return record | {"encoder": self.encoder.as_record()}

    def write(self, folder: Path) -> None:
        """Replace the manifest at once: a reader, or a crash, finds the old one or this.

        Raises:
            OSError: if it cannot be written.
        """
        content = json.dumps({**self.as_record(), DIGEST: NO_DIGEST}, indent=1).encode() + b"\n"
        digest = hashlib.sha256(content).hexdigest().encode()
        with whole_file(folder / MANIFEST) as stream:
            stream.write(content.replace(NO_DIGEST.encode(), digest))

    def verify(self, folder: Path, names: Iterable[str] | None = None) -> list[str]:
        """Those of some files, or of all and the manifest itself, whose content is not what the
        manifest says, by sha256."""
        changed = [
            name
            for name in (self.files if names is None else names)
            if not (folder / name).exists() or file_sha256(folder / name) != self.files[name].sha256
        ]
        if names is None and not _is_as_written((folder / MANIFEST).read_bytes()):
            changed.append(MANIFEST)
        return changed


def has_digest(folder: Path) -> bool:
    """Whether a manifest states its own sha256, as all but those of the first releases do."""
    return DIGEST.encode() in (folder / MANIFEST).read_bytes()


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, FileRecord]:
    """Files as `Manifest.files` holds them.

    Raises:
        OSError: if one of them cannot be read.
    """
    return {
        name: FileRecord((folder / name).stat().st_size, file_sha256(folder / name))
        for name in names
    }


def _parse(path: Path) -> JsonRecord:
    """
    Raises:
        IndexDamaged: if the file is not a JSON object of this format's version.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")  # a pipe would be waited for
        with path.open("rb") as stream:
            content = stream.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise ValueError(f"longer than {LONGEST // 2**20} MB")
        value = json.loads(content, parse_constant=_refuse)
        version = JsonRecord(value).raw("format")
    except PermissionError as error:
        raise AstrosearchError(f"{path} cannot be read: {error.strerror}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise IndexDamaged(f"{path} cannot be read ({error})", remedy="build-again") from None
    if type(version) is not int or version != FORMAT:
        tool = value.get("tool", "unknown")
        raise IndexDamaged(
            f"{path.parent} has format version {ascii(version)[:40]}, this astrosearch reads "
            f"{FORMAT}; version {ascii(tool)[:40]} wrote it",
            remedy="build-again",
        )
    return JsonRecord(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _encoder(record: JsonRecord) -> EncoderSpec:
    """
    Raises:
        FieldError: if a field could be no encoder's.
        IndexDamaged: if this version does not know such an encoder.
    """
    fields = record.remaining()
    for name in ("model", "revision", "adapter", "transform"):
        text = fields.get(name)
        if isinstance(text, str) and not _can_be_a_path(text):
            raise FieldError(f"encoder.{name} is {ascii(text)[:40]}, which cannot be a name")
    record.whole("max_tokens", 512, least=1, most=2**31)
    record.whole_or_null("layers", None, least=0, most=2**31)
    return EncoderSpec.from_record(fields)


def _can_be_a_path(text: str) -> bool:
    """Whether a file system could be asked for it; it raises errors of its own otherwise."""
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        return False
    return b"\0" not in os.fsencode(text) and max(map(len, parts)) <= LONGEST_NAME


def _is_as_written(content: bytes) -> bool:
    """Whether a manifest has the digest that it states; those of earlier versions state none."""
    digest = json.loads(content).get(DIGEST)
    if digest is None:
        return DIGEST.encode() not in content
    blank = content.replace(str(digest).encode(), NO_DIGEST.encode())
    return hashlib.sha256(blank).hexdigest() == str(digest)

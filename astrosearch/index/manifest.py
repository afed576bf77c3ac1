"""What an index folder says of itself: which files make up the index now.

manifest.json is the current snapshot. It is replaced at once, after everything that it names is on
the disk, so that a reader, and a crash, finds the index before or after a change. Files that a
snapshot names are never changed.
"""

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
from astrosearch.corpus.sources import FileState
from astrosearch.encoders.base import EncoderSpec
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index.json_record import FieldError, JsonRecord
from astrosearch.index.vectors import FLAT
from astrosearch.paths import MANIFEST

FORMAT, OLD_FORMAT = 3, 2
"""Version of the on-disk format, documented in indexes/README.md, and the one before, an index of
one segment in the index folder itself, which is read all the same."""

PAPERS, VECTORS, REJECTED, WORDS = "papers.sqlite", "vectors.npy", "rejected.jsonl", "words"
"""Names of files in a segment, and of the folder of words."""

CITATIONS = "citations"
"""Beginning of the name of the folder with the citation graph."""

LONGEST = 64 * 2**20
"""Bytes; that of an index of many thousand files has some hundred kB."""

DIGEST, NO_DIGEST = "manifest_sha256", "0" * 64
"""The field with the manifest's own sha256, and what stands there when it is taken."""

_FOLDER = r"(?:words|segment)(?:-\d{1,12})?"
_GRAPH = r"citations-\d{1,12}"
_FILE = re.compile(rf"(?:(?:{_FOLDER}|{_GRAPH})/)?[\w.-]*\w[\w.-]*", re.ASCII)
_SHA256, _FACTORY = "[0-9a-f]{64}", ".{1,200}"

COSINE = 1.001
"""The largest cosine of two rows, whose length float16 rounds."""

LARGEST_STRENGTH = 8
"""The largest match strength, that of a question of 64 words which a paper holds all."""

LONGEST_NAME = 255
"""Bytes that a part of a path may have, on all file systems in use."""


@dataclass(frozen=True)
class ArxivState:
    """How much of arXiv an index has. Days are YYYY-MM-DD; those of changes, in UTC."""

    set: str
    """In OAI-PMH's spelling: `physics:astro-ph`."""
    since: str
    """The day from which on all is wanted."""
    reached: str = ""
    """The earliest day down to which all is there; empty as long as there is none."""
    until: str = ""
    """The last day of which changes were asked for; what changed on it may have come in part."""

    @classmethod
    def decode(cls, record: JsonRecord) -> "ArxivState":
        decoded = cls(
            record.text("set", longest=200),
            record.day("since"),
            record.day("reached", ""),
            record.day("until", ""),
        )
        record.end()
        return decoded

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing but what changed lately."""
        return bool(self.reached) and self.reached <= self.since


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
    files: Mapping[str, FileState] = field(default_factory=dict)
    """What each of the sources was like when it was last read."""
    arxiv: ArxivState | None = None
    """If arXiv is a source, too."""

    def has_same_papers(self, other: "CorpusRecord") -> bool:
        """Whether an index of `other` needs no build to be one of this."""
        return (self.sources, self.selection, self.sha256, self.arxiv) == (
            other.sources,
            other.selection,
            other.sha256,
            other.arxiv,
        )

    @classmethod
    def decode(cls, record: JsonRecord) -> "CorpusRecord":
        selection = record.record("selection")
        refused = record.record("refused", {})
        files = record.record("files", {})
        arxiv = record.raw("arxiv", None)
        decoded = cls(
            sources=record.texts("sources"),
            selection={name: selection.scalar(name) for name in selection.names()},
            sha256=record.text("sha256", "", pattern=f"({_SHA256})?"),
            lines=record.whole("lines", 0, least=0),
            not_selected=record.whole("not_selected", 0, least=0),
            refused={name: refused.whole(name, least=0) for name in refused.names()},
            files={name: _file_state(files.record(name)) for name in files.names()},
            arxiv=None if arxiv is None else ArxivState.decode(JsonRecord(arxiv, "corpus.arxiv")),
        )
        record.end()
        return decoded


def _file_state(record: JsonRecord) -> FileState:
    state = FileState(
        record.whole("bytes", least=0),
        record.whole("modified", least=-(2**63)),
        record.text("sha256", pattern=_SHA256),
    )
    record.end()
    return state


SHOWN_SOURCES = 3


def source_text(sources: Iterable[str]) -> str:
    """What a segment says of its sources; it names `SHOWN_SOURCES` of them."""
    names = list(dict.fromkeys(filter(None, sources)))
    text = ", ".join(name[:1_000] for name in names[:SHOWN_SOURCES])
    more = len(names) - SHOWN_SOURCES
    return f"{text} and {more:,} more" if more > 0 else text


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
class Segment:
    """Papers and vectors that were added together. Its files never change."""

    folder: str
    """In the index folder; empty for the index folder itself."""
    first: int
    """Its first row."""
    rows: int
    """How many it has, dead ones among them."""
    factory: str = FLAT
    """The FAISS index of its vectors, in the words of `faiss.index_factory`."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """Of a search: `k_factor`, and `nprobe` or `efSearch`; empty if all vectors are compared."""
    recall: float | None = 1.0
    """Recall@10 against exact search, as measured with `parameters`; 1 if all are compared, None
    if it was not measured."""
    source: str = ""
    """Where its papers came from."""
    until: str = ""
    """Up to when that source was read, ISO 8601, UTC."""

    def path(self, name: str) -> str:
        """The name of one of its files, as `Manifest.files` has it."""
        return f"{self.folder}/{name}" if self.folder else name

    @classmethod
    def decode(cls, record: JsonRecord) -> "Segment":
        parameters = record.record("parameters", {})
        names = parameters.names()
        segment = cls(
            folder=record.text("folder", pattern=f"({_FOLDER})?"),
            first=record.whole("first", least=0),
            rows=record.whole("rows", least=0),
            factory=record.text("factory", pattern=_FACTORY),
            parameters={
                name: parameters.whole(name, least=1, most=2**31 - 1)
                for name in ("k_factor", "nprobe", "efSearch")
                if name in names or (names and name == "k_factor")
            },
            recall=record.number_or_null("recall", None, least=0, most=1),
            source=record.text("source", ""),
            until=record.text("until", "", longest=100),
        )
        parameters.end()
        record.end()
        return segment


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json: a snapshot of an index."""

    count: int
    """Papers, without the dead."""
    dimension: int
    encoder: EncoderSpec
    corpus: CorpusRecord
    background: Background
    ann_config: AnnConfig
    segments: tuple[Segment, ...]
    """In the order of their rows, without a gap."""
    words: str
    """The folder of words."""
    built: str
    """Time of the build or of the last update, ISO 8601, UTC."""
    tool: str
    """Version of astrosearch that wrote it."""
    files: Mapping[str, FileRecord]
    """Each other file by its name in the index folder."""
    dead: tuple[int, ...] = ()
    """Rows, ascending, of papers that were replaced or withdrawn."""
    vector_sum: str = ""
    """The sum of all vectors but the dead, (dimension,) little-endian float64 in base64, from which
    the mean cosine of all pairs follows; empty in indexes of format 2."""
    weak_match: float | None = None
    """The match strength below which an answer is weak (`index.match_strength`), as it was at the
    last build; None in indexes of format 2."""
    snapshot: int = 0
    """One more for each change; 0 in indexes of format 2."""
    citations: str = ""
    """The folder of the citation graph; empty, and not written, if there is none."""
    metric: str = "cosine"
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path, *, check_files: bool = True) -> "Manifest":
        """
        Raises:
            IndexDamaged: if it cannot be read, is of another format version, if a field is
                missing or wrong, or if a file of the folder is missing or has another length.
        """
        manifest = cls.read_file(folder / MANIFEST)
        if check_files:
            manifest.check_sizes(folder, manifest.files)
        return manifest

    @classmethod
    def read_file(cls, path: Path) -> "Manifest":
        """`read` of one snapshot's file; the files that it names are not looked at."""
        record = _parse(path)
        try:
            return cls._decode(record)
        except (FieldError, IndexDamaged) as error:
            raise IndexDamaged(f"{path}: {error}", remedy="build-again") from None

    @classmethod
    def _decode(cls, record: JsonRecord) -> "Manifest":
        version = record.raw("format")
        record.raw(DIGEST, None)
        files = record.record("files")
        count = record.whole("count", least=1)
        kind: dict[str, object] | None = None
        if version == OLD_FORMAT:
            segments, kind = _only_segment(record, count)
        else:
            segments = tuple(
                Segment.decode(JsonRecord(value, f"segments[{number}]"))
                for number, value in enumerate(record.list("segments"))
            )
        manifest = cls(
            count=count,
            dimension=record.whole("dimension", least=1, most=2**20),
            encoder=_encoder(record.record("encoder")),
            corpus=CorpusRecord.decode(record.record("corpus")),
            background=Background.decode(record.record("background")),
            ann_config=AnnConfig.decode(
                record.record("asked", kind) if kind else record.record("asked")
            ),
            segments=segments,
            words=WORDS if kind else record.text("words", pattern=_FOLDER),
            built=record.text("built"),
            tool=record.text("tool", longest=100),
            files={name: FileRecord.decode(files.record(name)) for name in files.names()},
            dead=() if kind else record.rows("dead"),
            vector_sum="" if kind else record.text("vector_sum", longest=2**24),
            weak_match=record.number_or_null("weak_match", None, least=0, most=LARGEST_STRENGTH),
            snapshot=0 if kind else record.whole("snapshot", least=1),
            citations="" if kind else record.text("citations", "", pattern=f"({_GRAPH})?"),
            metric=record.text("metric", "cosine", pattern="cosine"),
        )
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
        if len(self.background.percentiles) not in (0, 101):
            count = len(self.background.percentiles)
            raise FieldError(f"background.percentiles has {count:,} numbers, not 101")
        for name in self.files:
            # A name that led out of the folder would have any file of this machine read.
            if not _FILE.fullmatch(name):
                raise FieldError(f"files has {ascii(name)[:40]}, not the name of an index's file")
        self._check_rows()
        required = [f"{self.words}/meta.json"]
        required += [f"{self.citations}/about.json"] if self.citations else []
        for segment in self.segments:
            required.append(segment.path(PAPERS))
            required += [segment.path(VECTORS)] if segment.rows else []
            faiss_files = self.faiss_files(segment)
            if len(faiss_files) > 1 or (segment.factory != FLAT and not faiss_files):
                raise FieldError(
                    f"files has {len(faiss_files)} FAISS files, for factory "
                    f"{ascii(segment.factory)[:40]}"
                )
        if missing := [name for name in required if name not in self.files]:
            raise FieldError(f"files lacks {', '.join(missing)}")

    def _check_rows(self) -> None:
        """
        Raises:
            FieldError: if segments overlap or leave a gap, or `dead` and `count` do not fit them.
        """
        row = 0
        for number, segment in enumerate(self.segments):
            if segment.first != row:
                raise FieldError(f"segments[{number}].first is {segment.first:,}, not {row:,}")
            row += segment.rows
            if segment.folder in {other.folder for other in self.segments[:number]}:
                raise FieldError(f"segments[{number}] has the folder of another")
        if list(self.dead) != sorted({row for row in self.dead if row < self.rows}):
            raise FieldError(f"dead is not a list of ascending rows below {self.rows:,}")
        if self.rows - len(self.dead) != self.count:
            raise FieldError(
                f"count is {self.count:,}, of {self.rows:,} rows {len(self.dead):,} are dead"
            )

    @property
    def rows(self) -> int:
        """Rows of all segments, dead ones among them."""
        return sum(segment.rows for segment in self.segments)

    @property
    def largest(self) -> Segment:
        """The segment that has most rows."""
        return max(self.segments, key=lambda segment: segment.rows)

    def faiss_files(self, segment: Segment) -> list[str]:
        """The FAISS files in a segment's folder: one at most, which counts if `factory` is not
        that of comparing all."""
        return [
            name
            for name in self.files
            if name.endswith(".faiss") and name.rpartition("/")[0] == segment.folder
        ]

    def faiss_file(self, segment: Segment) -> str | None:
        """The file with a segment's FAISS index; None if all of its vectors are compared."""
        return self.faiss_files(segment)[0] if segment.factory != FLAT else None

    def files_without(self, *folders: str) -> dict[str, FileRecord]:
        """`files`, but those of some segments or words; an empty name is the index folder's."""
        return {
            name: file
            for name, file in self.files.items()
            if name.rpartition("/")[0] not in folders
        }

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
                fact = "is missing"
                if size is not None:
                    fact = f"has {size:,} bytes, the manifest says {expected:,}"
                raise IndexDamaged(f"{file} {fact}", remedy="build-again")

    def as_record(self) -> dict[str, Any]:
        """The fields as they are on the disk."""
        record: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "ann_config":
                record["asked"] = self.ann_config.as_record()
            elif name != "citations" or value:  # earlier versions refuse a field they do not know
                record[name] = value
        return record | {"encoder": self.encoder.as_record()}

    def write(self, path: Path) -> None:
        """Write it to a file at once: a reader, or a crash, finds the old one or this.

        Raises:
            OSError: if it cannot be written.
        """
        content = json.dumps({**self.as_record(), DIGEST: NO_DIGEST}, indent=1).encode() + b"\n"
        digest = hashlib.sha256(content).hexdigest().encode()
        with whole_file(path) as stream:
            stream.write(content.replace(NO_DIGEST.encode(), digest))

    def verify(self, folder: Path, names: Iterable[str] | None = None) -> list[str]:
        """Those of some files, or of all, the manifest and its copy under the snapshot's number,
        whose content is not what the manifest says, by sha256."""
        changed = [
            name
            for name in (self.files if names is None else names)
            if not (folder / name).exists() or file_sha256(folder / name) != self.files[name].sha256
        ]
        if names is None:
            own = [MANIFEST, f"snapshot-{self.snapshot}.json"]
            changed += [
                name
                for name in own
                if (folder / name).is_file() and not _is_as_written((folder / name).read_bytes())
            ]
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
    if type(version) is not int or version not in (OLD_FORMAT, FORMAT):
        tool = value.get("tool", "unknown")
        raise IndexDamaged(
            f"{path.parent} has format version {ascii(version)[:40]}, this astrosearch reads "
            f"{OLD_FORMAT} and {FORMAT}; version {ascii(tool)[:40]} wrote it",
            remedy="build-again",
        )
    return JsonRecord(value)


def _only_segment(record: JsonRecord, count: int) -> tuple[tuple[Segment, ...], dict[str, object]]:
    """The segment of an index of format 2, and the configuration that one without `asked` has."""
    segment = {
        "folder": "",
        "first": 0,
        "rows": count,
        "factory": record.raw("factory"),
        # Indexes of the first releases lack these two and `asked`: nothing was measured.
        "parameters": record.raw("parameters", {}),
        "recall": record.raw("recall", None),
    }
    decoded = Segment.decode(JsonRecord(segment))
    kind = "auto" if decoded.factory == FLAT else decoded.factory
    return (decoded,), {"kind": kind, "recall": 0.99, "memory": None}


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
    try:
        digest = json.loads(content).get(DIGEST)
    except (ValueError, AttributeError):
        return False
    if digest is None:
        return DIGEST.encode() not in content
    blank = content.replace(str(digest).encode(), NO_DIGEST.encode())
    return hashlib.sha256(blank).hexdigest() == str(digest)

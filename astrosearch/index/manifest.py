"""What an index folder says of itself. Written last: its presence means the folder is whole."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from stat import S_ISREG
from typing import Any

from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.vectors import FLAT
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.paths import MANIFEST

FORMAT = 2
"""Version of the on-disk format, documented in indexes/README.md."""

DIGEST, NO_DIGEST = "manifest_sha256", "0" * 64
"""The field with the manifest's own sha256, and what stands there when it is taken."""

_FILE = re.compile(r"(?:words/)?[\w.-]*\w[\w.-]*", re.ASCII)


_EARLIER: dict[str, Any] = {"parameters": {}, "recall": None}
"""Fields that indexes of earlier versions lack: they were not measured."""


def _asked_earlier(record: dict[str, Any]) -> dict[str, Any]:
    kind = "auto" if record["factory"] == FLAT else record["factory"]
    return {"asked": {"kind": kind, "recall": 0.99, "memory": None}}


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json."""

    count: int
    """Papers, which are rows of papers.sqlite, vectors.npy, vectors.faiss and words/ alike."""
    dimension: int
    encoder: EncoderSpec
    corpus: dict[str, Any]
    """Where the papers came from: `sources`, `selection`, `sha256`, `refused` by reason."""
    background: dict[str, Any]
    """Cosines of random pairs: `pairs`, `mean`, `spread`, `percentiles` (101 values, 0 to 100)."""
    asked: dict[str, Any]
    """How neighbours were to be found: `kind`, `recall` (at least), `memory` (bytes, or None)."""
    factory: str
    """The FAISS index, in the words of `faiss.index_factory`."""
    parameters: dict[str, int]
    """Of a search: `k_factor`, and `nprobe` or `efSearch`; empty if all vectors are compared."""
    recall: float | None
    """Recall@10 against exact search, as measured with `parameters`; 1 if all are compared."""
    built: str
    """Time of the build, ISO 8601, UTC."""
    tool: str
    """Version of astrosearch that built it."""
    metric: str = "cosine"
    format: int = FORMAT
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`bytes` and `sha256` of each other file of the folder, `words/…` among them."""

    @classmethod
    def read(cls, folder: Path, *, check_files: bool = True) -> "Manifest":
        """
        Raises:
            IndexDamaged: if it cannot be read, is of another format version, or if a file of
                the folder is missing or not as long as it says.
        """
        path = folder / MANIFEST
        try:
            record = json.loads(path.read_bytes())
            version = record["format"]
        except PermissionError as error:
            raise AstrosearchError(f"{path} cannot be read: {error.strerror}") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise IndexDamaged(f"{path} cannot be read ({error}); build the index again") from None
        if version != FORMAT:
            raise IndexDamaged(
                f"{folder} has format version {version}, this astrosearch reads {FORMAT}; "
                "build the index again or use the version that wrote it "
                f"({record.get('tool', 'unknown')})"
            )
        try:
            record.pop(DIGEST, None)
            encoder = EncoderSpec.from_record(record.pop("encoder"))
            manifest = cls(encoder=encoder, **_EARLIER | _asked_earlier(record) | record)
            date.fromisoformat(manifest.built[:10])
            sizes = {name: int(facts["bytes"]) for name, facts in manifest.files.items()}
            sums = [facts["sha256"] for facts in manifest.files.values()]
            mean = manifest.background["mean"]
            whole = all(type(one) is int and one >= 0 for one in (manifest.count, *sizes.values()))
            whole = whole and type(manifest.dimension) is int and manifest.dimension > 0
            whole = whole and all(
                isinstance(one, str)
                for one in (*sums, manifest.factory, manifest.tool, *manifest.corpus["sources"])
            )
            whole = whole and isinstance(manifest.corpus["selection"], dict)
            whole = whole and (not manifest.parameters or "k_factor" in manifest.parameters)
            whole = whole and all(
                type(one) is int and 0 < one < 2**31 for one in manifest.parameters.values()
            )
            whole = whole and set(manifest.asked) == {"kind", "recall", "memory"}
            whole = whole and (mean is None or isinstance(mean, float | int))
            # A name that led out of the folder would have any file of this machine read.
            whole = whole and all(_FILE.fullmatch(name) for name in sizes)
            if not whole:
                raise ValueError("a field of an odd kind")
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise IndexDamaged(f"{path} is incomplete ({error}); build the index again") from None
        if check_files:
            manifest.check_sizes(folder, sizes)
        return manifest

    def check_sizes(self, folder: Path, names: Iterable[str]) -> None:
        """
        Raises:
            IndexDamaged: if one of the files is missing, or not as long as it should be.
        """
        for name in names:
            file, size = folder / name, int(self.files[name]["bytes"])
            found = None
            # Between two looks at it a build may take the file away.
            with suppress(FileNotFoundError, NotADirectoryError):
                status = file.stat()
                found = status.st_size if S_ISREG(status.st_mode) else None
            if found != size:
                has = "is missing" if found is None else f"has {found:,} bytes"
                raise IndexDamaged(
                    f"{file} {has}, the manifest says {size:,}; build the index again: "
                    f"astrosearch index {folder.name}"
                )

    @property
    def faiss_file(self) -> str | None:
        """The file with the FAISS index; None if all of vectors.npy is compared."""
        names = [name for name in self.files if name.endswith(".faiss")]
        return names[0] if names and self.factory != FLAT else None

    def write(self, folder: Path) -> None:
        """Replace the manifest at once: a reader, or a crash, finds the old one or this."""
        content = json.dumps({**asdict(self), DIGEST: NO_DIGEST}, indent=1).encode() + b"\n"
        digest = hashlib.sha256(content).hexdigest().encode()
        work = folder / f".{MANIFEST}.tmp"
        with work.open("wb") as stream:
            stream.write(content.replace(NO_DIGEST.encode(), digest))
            stream.flush()
            os.fsync(stream.fileno())
        work.replace(folder / MANIFEST)

    def verify(self, folder: Path, names: Iterable[str] | None = None) -> list[str]:
        """Those of some files, or of all and the manifest itself, whose content is not what the
        manifest says, by sha256."""
        changed = [
            name
            for name in (self.files if names is None else names)
            if not (folder / name).exists()
            or file_sha256(folder / name) != self.files[name]["sha256"]
        ]
        if names is None and not _is_as_written((folder / MANIFEST).read_bytes()):
            changed.append(MANIFEST)
        return changed


def _is_as_written(content: bytes) -> bool:
    """Whether a manifest has the digest that it says; those of earlier versions say none."""
    said = json.loads(content).get(DIGEST)
    if said is None:
        return DIGEST.encode() not in content
    blank = content.replace(str(said).encode(), NO_DIGEST.encode())
    return hashlib.sha256(blank).hexdigest() == str(said)


def describe_files(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """`bytes` and `sha256` of files, as `Manifest.files` holds them."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
        for name in names
    }


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

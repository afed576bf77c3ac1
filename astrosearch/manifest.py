"""What an index folder says of itself. Written last: its presence means the folder is whole."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from astrosearch.encoder import EncoderSpec
from astrosearch.errors import IndexDamaged
from astrosearch.locations import MANIFEST

FORMAT = 2
"""Version of the on-disk format, documented in indexes/README.md."""

MANIFEST_SUM = "manifest.sha256"
"""The manifest's own sha256, as `sha256sum` writes it."""

_FILE = re.compile(r"(?:words/)?[\w.-]*\w[\w.-]*", re.ASCII)


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
    factory: str
    """The FAISS index, in the words of `faiss.index_factory`."""
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
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise IndexDamaged(f"{path} cannot be read ({error}); build the index again") from None
        if version != FORMAT:
            raise IndexDamaged(
                f"{folder} has format version {version}, this astrosearch reads {FORMAT}; "
                "build the index again or use the version that wrote it "
                f"({record.get('tool', 'unknown')})"
            )
        try:
            encoder = EncoderSpec.from_record(record.pop("encoder"))
            manifest = cls(encoder=encoder, **record)
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
            whole = whole and (mean is None or isinstance(mean, float | int))
            # A name that led out of the folder would have any file of this machine read.
            whole = whole and all(_FILE.fullmatch(name) for name in sizes)
            if not whole:
                raise ValueError("a field of an odd kind")
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise IndexDamaged(f"{path} is incomplete ({error}); build the index again") from None
        for name, size in sizes.items() if check_files else ():
            file = folder / name
            found = file.stat().st_size if file.is_file() else None
            if found != size:
                has = "is missing" if found is None else f"has {found:,} bytes"
                raise IndexDamaged(
                    f"{file} {has}, the manifest says {size:,}; build the index again: "
                    f"astrosearch index {folder.name}"
                )
        return manifest

    def write(self, folder: Path) -> None:
        content = (json.dumps(asdict(self), indent=1) + "\n").encode()
        digest = hashlib.sha256(content).hexdigest()
        (folder / MANIFEST_SUM).write_text(f"{digest}  {MANIFEST}\n")
        (folder / MANIFEST).write_bytes(content)

    def verify(self, folder: Path) -> list[str]:
        """Names of the files whose content is not what the manifest says, by sha256."""
        changed = [
            name
            for name, facts in self.files.items()
            if file_sha256(folder / name) != facts["sha256"]
        ]
        said = folder / MANIFEST_SUM  # indexes of earlier versions have none
        if said.exists():
            expected = f"{file_sha256(folder / MANIFEST)}  {MANIFEST}\n".encode()
            changed += [] if said.read_bytes() == expected else [MANIFEST]
        return changed


def describe_files(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """`bytes` and `sha256` of files, as `Manifest.files` holds them."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
        for name in names
    }


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""A built index: opened, checked, searched. indexes/README.md documents the bytes."""

import time
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, EncoderMismatch, IndexBusy, IndexDamaged
from astrosearch.index.manifest import Manifest
from astrosearch.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from astrosearch.index.lexical_index import LexicalIndex

PAPERS, VECTORS, REJECTED = "papers.sqlite", "vectors.npy", "rejected.jsonl"
WORDS = "words"

_DAMAGE = (OSError, ValueError, EOFError, SyntaxError, TypeError, MemoryError, TokenError)
"""What numpy raises of a damaged header, which it reads as Python."""

ATTEMPTS = 5
"""At opening a folder in whose place a build puts another, 0.02 s apart."""


class Index:
    """A built index, open for searching."""

    def __init__(self, folder: Path) -> None:
        """Open and check a folder; its bytes are mapped, not read.

        Raises:
            IndexDamaged: if its parts disagree on how many papers there are, or of what dimension.
        """
        self.folder = folder
        # A build may put another folder in this one's place while its files are opened. They are
        # of one build if the manifest is the same before and after.
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.manifest = Manifest.read(folder)
                self._open(folder)
                if self._is_the_same():
                    return
            except IndexDamaged:
                if attempt == ATTEMPTS or (folder.exists() and self._is_the_same()):
                    raise
            time.sleep(0.02)
        raise IndexBusy(f"index {folder.name} is built again and again; ask when that is over")

    def close(self) -> None:
        self.corpus.close()

    def is_current(self) -> bool:
        return self._is_the_same()

    def _is_the_same(self) -> bool:
        """Whether the folder still holds the index whose manifest was read."""
        try:
            return Manifest.read(self.folder, check_files=False) == self.manifest
        except (IndexDamaged, AttributeError):
            return False

    def _open(self, folder: Path) -> None:
        self.corpus = Corpus(folder / PAPERS)
        self.vectors = map_vectors(folder, self.manifest)
        count, dimension = self.manifest.count, self.manifest.dimension
        if len(self.corpus) != count:
            raise IndexDamaged(
                f"{folder / PAPERS} has {len(self.corpus):,} rows, the manifest says {count:,}; "
                "build the index again"
            )
        name = self.manifest.faiss_file
        try:
            self.neighbours = VectorIndex(
                self.vectors, folder / name if name else None, self.manifest.parameters
            )
        except (RuntimeError, ValueError, KeyError) as error:
            raise IndexDamaged(
                f"{folder / str(name)} is not the FAISS index of {count:,} rows of {dimension} "
                f"dimensions that the manifest describes ({str(error).splitlines()[0]}); make it "
                f"again: astrosearch indexes tune {folder.name}"
            ) from None

    def __len__(self) -> int:
        return self.manifest.count

    @cached_property
    def lexical(self) -> "LexicalIndex":
        """The words of the papers, opened when they are first asked for.

        Raises:
            IndexDamaged: if they cannot be read, or are those of another number of papers.
            IndexBusy: if they are those of a later build.
        """
        from astrosearch.index.lexical_index import LexicalIndex

        words = None
        try:
            # Of these the engine complains with pages on stderr.
            columns = [name for name in self.manifest.files if name.endswith(".fast")]
            if damaged := self.manifest.verify(self.folder, columns):
                raise IndexDamaged(
                    f"{self.folder}: {', '.join(damaged)} changed since the build (sha256 "
                    "differs); build the index again"
                )
            words = LexicalIndex(self.folder / WORDS)
            if len(words) != len(self):
                raise IndexDamaged(
                    f"{self.folder / WORDS} has the words of {len(words):,} papers, the manifest "
                    f"says {len(self):,}; build the index again"
                )
        except (IndexDamaged, OSError):  # a build may take a file away while it is read
            if self._is_the_same():
                raise
        if words is None or not self._is_the_same():
            raise IndexBusy(
                f"index {self.folder.name} was built again or removed while it was being read; "
                "ask again"
            )
        return words

    def vector(self, row: int) -> Vectors:
        """(dimension,) float32, length 1."""
        vector: Vectors = unit_rows(self.vectors[row : row + 1])[0]
        return vector

    def check(self, encoder: Encoder) -> None:
        """
        Raises:
            EncoderMismatch: if vectors of `encoder` cannot be compared with this index's.
        """
        # A service's model may tell its dimension with its first answer only; `search` checks it.
        if not encoder.spec.is_service and encoder.dimension != self.manifest.dimension:
            raise EncoderMismatch(
                f"index {self.folder.name} has {self.manifest.dimension} dimensions, the encoder "
                f"gives {encoder.dimension}"
            )
        if encoder.spec != self.manifest.encoder:
            ours, theirs = self.manifest.encoder, encoder.spec
            raise EncoderMismatch(
                f"index {self.folder.name} was built with {ours} (revision {ours.revision}), the "
                f"encoder is {theirs} (revision {theirs.revision}); build the index again with it"
            )

    def search(
        self, vectors: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]:
        """The nearest rows of each query vector, best first.

        Args:
            vectors: (q, dimension) float32, unit rows.
            k: how many rows a query; fewer come back if fewer are allowed.
            allowed: rows that may be found; None for all. They are filtered before the search,
                so that `k` rows come back whenever so many are allowed.

        Returns:
            For each query its scores (cosines) and its rows.

        Raises:
            EncoderMismatch: if the vectors are of another dimension.
        """
        if vectors.shape[1] != self.manifest.dimension:
            raise EncoderMismatch(
                f"index {self.folder.name} has {self.manifest.dimension} dimensions, the query "
                f"has {vectors.shape[1]}"
            )
        k = min(k, len(self) if allowed is None else len(allowed))
        if k == 0:
            return [np.zeros(0, np.float32)] * len(vectors), [np.zeros(0, np.int64)] * len(vectors)
        scores, rows = self.neighbours.search(vectors, k, allowed)
        found = rows >= 0
        return (
            [line[keep] for line, keep in zip(scores, found, strict=True)],
            [line[keep] for line, keep in zip(rows, found, strict=True)],
        )


def map_vectors(folder: Path, manifest: Manifest) -> NDArray[np.float16]:
    """The (n, d) vectors of a folder, memory-mapped.

    Raises:
        IndexDamaged: if they are not there, or others than the manifest says.
    """
    path = folder / VECTORS
    try:
        vectors: NDArray[np.float16] = np.load(path, mmap_mode="r")
    except PermissionError as error:
        raise AstrosearchError(f"{path} cannot be read: {error.strerror}") from None
    except _DAMAGE as error:
        raise IndexDamaged(
            f"{path} cannot be read ({error}); build the index again: "
            f"astrosearch index {folder.name}"
        ) from None
    if vectors.shape != (manifest.count, manifest.dimension) or vectors.dtype != np.float16:
        raise IndexDamaged(
            f"{path} has {len(vectors):,} rows of {vectors.shape[-1]} dimensions, the manifest "
            f"says {manifest.count:,} of {manifest.dimension}; build the index again"
        )
    return vectors

"""A built index: opened, checked, searched. indexes/README.md documents the bytes."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus import Corpus
from astrosearch.encoder import Encoder
from astrosearch.errors import EncoderMismatch, IndexDamaged
from astrosearch.locations import MANIFEST
from astrosearch.manifest import Manifest
from astrosearch.neighbours import Neighbours
from astrosearch.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from astrosearch.words import Words

PAPERS, VECTORS, REJECTED = "papers.sqlite", "vectors.npy", "rejected.jsonl"
WORDS = "words"


class Index:
    """A built index, open for searching."""

    def __init__(self, folder: Path) -> None:
        """Open and check a folder; its bytes are mapped, not read.

        Raises:
            IndexDamaged: if its parts disagree on how many papers there are, or of what dimension.
        """
        self.folder = folder
        found = _manifest_bytes(folder)
        try:
            self._open(folder)
        except IndexDamaged:
            if _manifest_bytes(folder) == found:
                raise
            self._open(folder)  # it was replaced in the meantime

    def _open(self, folder: Path) -> None:
        self.manifest = Manifest.read(folder)
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
            self.neighbours = Neighbours(
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
    def words(self) -> "Words":
        """The words of the papers, opened when they are first asked for.

        Raises:
            IndexDamaged: if they cannot be read, or are those of another number of papers.
        """
        from astrosearch.words import Words

        words = Words(self.folder / WORDS)
        if len(words) != len(self):
            raise IndexDamaged(
                f"{self.folder / WORDS} has the words of {len(words):,} papers, the manifest says "
                f"{len(self):,}; build the index again"
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
        if encoder.dimension != self.manifest.dimension:
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
    except (OSError, ValueError) as error:
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


def _manifest_bytes(folder: Path) -> bytes | None:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None

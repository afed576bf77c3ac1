"""The papers of an index alone, without its vectors and words."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from astrosearch.corpus.segments import SegmentedCorpus
from astrosearch.corpus.store import Part
from astrosearch.index.manifest import PAPERS, Manifest
from astrosearch.index.snapshot import holding


def segmented_corpus(folder: Path, manifest: Manifest) -> SegmentedCorpus:
    """The papers of a snapshot.

    Raises:
        IndexDamaged: if they cannot be opened.
    """
    parts = [
        Part(folder / segment.path(PAPERS), segment.first, segment.rows)
        for segment in manifest.segments
    ]
    return SegmentedCorpus(parts, np.array(manifest.dead, dtype=np.int64))


@contextmanager
def open_papers(folder: Path) -> Iterator[SegmentedCorpus]:
    """The papers of the current snapshot.

    Raises:
        IndexDamaged: if they cannot be opened.
    """
    with holding(folder) as manifest, closing(segmented_corpus(folder, manifest)) as corpus:
        yield corpus

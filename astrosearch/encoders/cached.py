"""An encoder of this machine whose vectors are kept, so that a second question costs nothing."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.vector_cache import VectorCache
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.papers import text_hash
from astrosearch.paths import cache_folder

FILE = "vectors.sqlite"
"""In the user's cache."""

KEPT_AT_ONCE = 256
"""Texts encoded between two writes: what a kill may cost."""


class CachedEncoder:
    """Asks an encoder only for texts that it was not asked for before, by any process.

    The encoder is loaded when it is first needed: where all vectors are kept, never.
    """

    def __init__(self, spec: EncoderSpec, load: Callable[[], Encoder]) -> None:
        """
        Args:
            spec: with the fingerprint of the weights, which vectors are kept under.
        """
        self.spec = spec
        self._load = load
        self._encoder: Encoder | None = None

    @property
    def tokens_seen(self) -> int:
        return self._encoder.tokens_seen if self._encoder else 0

    @property
    def dimension(self) -> int:
        with self._cache() as cache:
            known = cache.dimension()
        return known or self._loaded().dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        hashes = [text_hash(text) for text in texts]
        with self._cache() as cache:
            found = cache.read(list(dict.fromkeys(hashes)))
            given = dict(zip(hashes, texts, strict=True))
            new = [one for one in given if one not in found]
            for start in range(0, len(new), KEPT_AT_ONCE):
                some = new[start : start + KEPT_AT_ONCE]
                vectors = self._loaded().encode([given[one] for one in some])
                cache.write(dict(zip(some, vectors, strict=True)))
                found |= zip(some, vectors, strict=True)
        return unit_rows(np.stack([found[one] for one in hashes]))

    def _cache(self) -> AbstractContextManager[VectorCache]:
        return VectorCache.open(cache_folder() / FILE, "here", self.spec.key)

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder

"""An encoder of this machine whose vectors are kept, so that a second question costs nothing."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from astrosearch.encoders.base import EncodedTexts, Encoder, EncoderSpec
from astrosearch.encoders.vector_cache import VectorCache
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.papers import text_hash
from astrosearch.paths import cache_folder

FILE = "vectors.sqlite"
"""In the user's cache."""

BATCH_TEXTS = 256
"""Texts encoded between two writes: what a kill may cost."""


class CachedEncoder:
    """Gives an encoder only texts that it was not given before, by any process.

    The encoder is loaded when it is first needed: where all vectors are in the cache, never.
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
    def dimension(self) -> int:
        with self._cache() as cache:
            known = cache.dimension()
        return known or self._loaded().dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        return self.encode_counted(texts).vectors

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        if not texts:
            return EncodedTexts(np.zeros((0, self.dimension), dtype=np.float32), 0)
        hashes = [text_hash(text) for text in texts]
        text_of = dict(zip(hashes, texts, strict=True))
        tokens = 0
        with self._cache() as cache:
            vectors = cache.read(list(text_of))
            new = [key for key in text_of if key not in vectors]
            for start in range(0, len(new), BATCH_TEXTS):
                keys = new[start : start + BATCH_TEXTS]
                encoded = self._loaded().encode_counted([text_of[key] for key in keys])
                fresh = dict(zip(keys, encoded.vectors, strict=True))
                cache.write(fresh)
                vectors |= fresh
                tokens += encoded.tokens
        return EncodedTexts(unit_rows(np.stack([vectors[key] for key in hashes])), tokens)

    def _cache(self) -> AbstractContextManager[VectorCache]:
        return VectorCache.open(cache_folder() / FILE, "here", self.spec.key)

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder

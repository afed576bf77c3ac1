"""An encoder of which no layer is run, trained for it: a token's vector is the same in every text.

So texts can be compared by their tokens at the time of a question, with nothing kept for it: the
vectors of their tokens are looked up.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import EncoderSpec, WeightedTokens
from astrosearch.encoders.llama_numpy import Array, LlamaEncoder
from astrosearch.encoders.vectors import LinearHead, Vectors

DIMENSIONS = 128
"""Of a token's vector, at most: the first of those that the encoder was trained to end at
(`training/README.md`). They find as much as all 512 do."""


class StaticEncoder(LlamaEncoder):
    """A LLaMA's token embeddings with what `astrosearch train contrast` has made of them."""

    def __init__(
        self,
        spec: EncoderSpec,
        folder: Path,
        *,
        adapter: Path | None,
        whitening: LinearHead,
        token_weights: Array,
    ) -> None:
        super().__init__(
            spec, folder, adapter=adapter, whitening=whitening, token_weights=token_weights
        )
        self._weights_of = token_weights  # never None here
        self._beginning = LinearHead(whitening.mean, whitening.projection[:, :DIMENSIONS])
        width = self._beginning.projection.shape[1]
        # Of tokens that no text has had yet the memory is not touched.
        self._vectors = np.zeros((len(token_weights), width), np.float32)
        self._known = np.zeros(len(token_weights), dtype=bool)

    def weighted_tokens(self, texts: Sequence[str]) -> list[WeightedTokens]:
        """Each text as its tokens, weighted as in its vector."""
        found = []
        for ids in self._tokens.ids(texts):
            tokens, counts = np.unique(ids[1:] or ids, return_counts=True)
            weights = self._weights_of[tokens] * np.sqrt(counts, dtype=np.float32)
            found.append(WeightedTokens(tokens, weights / weights.sum()))
        return found

    def late_interaction_scores(
        self, query: WeightedTokens, documents: Sequence[WeightedTokens]
    ) -> NDArray[np.float32]:
        """(n,) float32: the mean cosine of each token of the query with the document's nearest to
        it, and that of each token of the document with the query's nearest, weighted; half the sum
        of both (recall and precision of Zhang et al. 2020, arXiv:1904.09675, with other weights).
        """
        every = np.concatenate([document.tokens for document in documents])
        tokens, places = np.unique(every, return_inverse=True)
        cosines = self._token_vectors(query.tokens) @ self._token_vectors(tokens).T
        found = np.zeros(len(documents), dtype=np.float32)
        end = 0
        for number, document in enumerate(documents):
            start, end = end, end + len(document.tokens)
            some = cosines[:, places[start:end]]
            covered, said = query.weights @ some.max(axis=1), document.weights @ some.max(axis=0)
            found[number] = (covered + said) / 2
        return found

    def _token_vectors(self, tokens: NDArray[np.int64]) -> Vectors:
        """(t, at most DIMENSIONS) unit rows."""
        new = tokens[~self._known[tokens]]
        if len(new):
            self._vectors[new] = self._beginning(self._forward(new)[-1])
            self._known[new] = True
        return self._vectors[tokens]

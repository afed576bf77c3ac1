"""An encoder of which no layer is run, trained for it: a token's vector is the same in every text.

So a text's vector takes a few looked-up rows, and texts can be compared by their tokens at the
time of a question, with nothing stored for it.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import (
    EncodedTexts,
    EncoderSpec,
    Joined,
    LateInteraction,
    TokenBag,
    WeightedTokens,
)
from astrosearch.encoders.head import EncoderHead, LinearHead
from astrosearch.encoders.mapped import Array, read_lora
from astrosearch.encoders.query_table import QueryTable
from astrosearch.encoders.token_table import TokenTable
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import InputError


def _bag(ids: list[int]) -> TokenBag:
    return TokenBag(*np.unique(ids[1:] or ids, return_counts=True))


def _is_in_a_layer(name: str) -> bool:
    return name.startswith(("layers.", "lm_head"))


DIMENSIONS = 128
"""Of a token's vector, at most: the first of those that the encoder was trained to end at
(`training/EXPERIMENTS.md`). They find as much as all 512 do."""


class StaticEncoder(LateInteraction):
    """A model's token embeddings, with an adapter and a head that were trained on them. It may be
    used from several threads at once."""

    def __init__(
        self, spec: EncoderSpec, folder: Path, *, adapter: Path | None, head: EncoderHead
    ) -> None:
        """
        Args:
            folder: of the model, or of its token table alone.
            head: with a linear map and the weights of the tokens.

        Raises:
            InputError: if a folder lacks what is needed, or the head lacks a part.
        """
        if head.linear is None or head.token_weights is None:
            raise InputError(f"{spec} has no trained linear map and weights of tokens")
        self.spec = spec
        self._tokenizer = Tokens(folder, spec.pooling, spec.max_tokens, spec.normalization)
        self._table = TokenTable(folder)
        self._added = None
        if adapter:
            matrices = {"embed_tokens": (len(self._table), self._table.width)}
            added = read_lora(adapter, spec.model, matrices, _is_in_a_layer)
            self._added = added["embed_tokens"]
            # A column is spread over the whole file: those of tokens that were met are kept side by
            # side.
            self._columns = np.zeros(self._added.down.shape[::-1], self._added.down.dtype)
            self._has_column = np.zeros(len(self._columns), dtype=bool)
        self._head = head.linear
        self._weights = head.token_weights
        self._token_head = LinearHead(head.linear.mean, head.linear.projection[:, :DIMENSIONS])
        width = self._token_head.projection.shape[1]
        # The system gives memory to rows that are written: of tokens that no text had, none.
        self._token_vectors = np.zeros((len(self._weights), width), np.float32)
        self._filled = np.zeros(len(self._weights), dtype=bool)
        self._filling = threading.Lock()
        self._query_table = QueryTable.load(adapter, self.dimension) if adapter else None

    @property
    def dimension(self) -> int:
        return int(self._head.projection.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32 unit rows, row i for text i."""
        return self.encode_counted(texts).vectors

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        ids = self._tokenizer.ids(texts)
        token_bags = [_bag(text_ids) for text_ids in ids]
        bags = self.weigh(token_bags)
        pooled = np.zeros((len(texts), self._table.width), dtype=np.float32)
        if len(bags) == 1:
            pooled[0] = bags.numbers @ self._states(bags.tokens)
        elif len(bags):
            tokens, places = np.unique(bags.tokens, return_inverse=True)
            states = self._states(tokens)
            end = 0
            for row, bag in enumerate(bags):
                start, end = end, end + len(bag.tokens)
                pooled[row] = bag.weights @ states[places[start:end]]
        return EncodedTexts(self._head(pooled), sum(map(len, ids)), token_bags)

    def token_bags(self, texts: Sequence[str]) -> list[TokenBag]:
        """The tokens of each text without BOS, unless it has no other."""
        return [_bag(ids) for ids in self._tokenizer.ids(texts)]

    def weigh(self, bags: Sequence[TokenBag]) -> Joined[WeightedTokens]:
        """Tokens weighted as in the vectors of their texts."""
        joined = Joined.of(TokenBag, bags)
        weights = self._weights.take(joined.tokens)
        if len(joined):
            weights *= np.sqrt(joined.numbers, dtype=np.float32)
            weights /= np.repeat(np.add.reduceat(weights, joined.starts), joined.lengths)
        return Joined(WeightedTokens, joined.tokens, weights, joined.lengths)

    def read_as_queries(self, vectors: Vectors, texts: Sequence[WeightedTokens]) -> Vectors:
        if self._query_table is None or not texts:
            return vectors
        return self._query_table(vectors, texts)

    def token_vectors(self, tokens: NDArray[np.int64]) -> Vectors:
        """(t, at most DIMENSIONS) float32 unit rows, computed when a token is first met."""
        if not self._filled.take(tokens).all():
            with self._filling:
                new = tokens[~self._filled[tokens]]
                if len(new):
                    self._token_vectors[new] = self._token_head(self._states(new))
                    self._filled[new] = True
        return self._token_vectors.take(tokens, axis=0)

    def _states(self, tokens: NDArray[np.int64]) -> Array:
        """(t, width), the embeddings of (t,) tokens as they were trained, behind the norm."""
        embeddings = self._table.embeddings(tokens)
        if self._added:
            new = tokens[~self._has_column[tokens]]
            self._columns[new] = self._added.down[:, new].T
            self._has_column[new] = True
            columns = np.ascontiguousarray(self._columns[tokens].T)
            embeddings = embeddings + self._added.of_columns(columns)
        return self._table.norm(embeddings)

"""The objective for comparing tokens: the late-interaction score puts a query's own document first.

Only where no layer is run, since there a token has the same vector in all texts. What is scored is
what `encoders.static` computes when a query is compared with the papers that were found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.contrastive.model import EmbeddingModel, TokenStates

DOCUMENTS = 16
"""Documents that each query is compared with: its own, and those of the batch that its vector is
nearest to, as the ranker compares the best that were found."""

QUERIES_AT_ONCE = 32
"""Queries of similar length, so that little is padded."""


@dataclass(frozen=True, slots=True)
class TokenBags:
    """Texts as the tokens that they have, padded to the longest."""

    tokens: torch.Tensor
    """(n, t) int64, each token of a text once; it is padded with its first token, which changes the
    nearest token of no other."""
    roots: torch.Tensor
    """(n, t) float32, the root of how often the text has the token; 0 where it is padded."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], device: torch.device) -> "TokenBags":
        """
        Args:
            texts: token ids, the first of them BOS, which is left out if there are others.
        """
        bags = [np.unique(text[1:] or text, return_counts=True) for text in texts]
        shape = (len(bags), max(len(tokens) for tokens, _ in bags))
        padded, roots = np.empty(shape, np.int64), np.zeros(shape, np.float32)
        for row, (tokens, counts) in enumerate(bags):
            padded[row] = tokens[0]
            padded[row, : len(tokens)] = tokens
            roots[row, : len(tokens)] = np.sqrt(counts)
        return cls(torch.from_numpy(padded).to(device), torch.from_numpy(roots).to(device))

    def take(self, rows: torch.Tensor) -> "TokenBags":
        """The texts of (...,) rows, padded to the longest of them: (..., t)."""
        roots = self.roots[rows]
        longest = int((roots > 0).sum(dim=-1).max())
        return TokenBags(self.tokens[rows][..., :longest], roots[..., :longest])

    def numbered(self, tokens: torch.Tensor) -> "TokenBags":
        """The same with each token as its place in (v,) ascending tokens."""
        return TokenBags(torch.searchsorted(tokens, self.tokens), self.roots)


def late_interaction_scores(
    vectors: torch.Tensor, weights: torch.Tensor, queries: TokenBags, documents: TokenBags
) -> torch.Tensor:
    """(n, k) late-interaction scores of n queries with k documents each.

    Args:
        vectors: (v, d) unit rows, of each token.
        weights: (v,) of each token in a text that has it once.
        queries: (n, q) tokens.
        documents: (n, k, t) tokens.
    """
    count, candidates, length = documents.tokens.shape
    asked = torch.nn.functional.embedding(queries.tokens, vectors)
    found = torch.nn.functional.embedding(documents.tokens.reshape(count, -1), vectors)
    cosines = (asked @ found.transpose(1, 2)).reshape(count, -1, candidates, length)
    shares = [
        torch.nn.functional.normalize(weights[bags.tokens] * bags.roots, p=1, dim=-1)
        for bags in (queries, documents)
    ]
    recall = (shares[0][:, :, None] * cosines.amax(dim=3)).sum(dim=1)
    precision = (shares[1] * cosines.amax(dim=1)).sum(dim=2)
    return (recall + precision) / 2


def nearest_documents(cosines: torch.Tensor, excluded: torch.Tensor, count: int) -> torch.Tensor:
    """(n, count) columns of each query's own document, which comes first, and of those nearest.

    Args:
        cosines: (n, documents), of which the first n are the queries' own.
        excluded: (n, documents), True for those that are not negatives of a query.
    """
    own = torch.arange(len(cosines), device=cosines.device)
    others = cosines.masked_fill(excluded, -torch.inf)
    others[own, own] = torch.inf
    return others.topk(min(count, cosines.shape[1]), dim=1).indices


def late_interaction_loss(
    model: EmbeddingModel,
    known: TokenStates,
    ids: Sequence[Sequence[int]],
    vectors: torch.Tensor,
    excluded: torch.Tensor,
    chosen: NDArray[np.int64],
    temperature: float,
) -> torch.Tensor:
    """Cross-entropy of each query's own document among those that its vector is nearest to.

    Args:
        known: the states of all tokens of the batch.
        ids: the tokens of a batch's queries, then of its documents.
        vectors: (queries and documents, dimension) of the same texts; no gradient goes into them.
        excluded: (queries, documents), True for those that are not negatives of a query.
        chosen: (n,) the queries that are compared.
        temperature: scores are divided by it.
    """
    count = excluded.shape[0]
    rows = torch.from_numpy(chosen).to(vectors.device)
    with torch.no_grad():
        cosines = vectors[:count] @ vectors[count:].T
        columns = nearest_documents(cosines, excluded, DOCUMENTS)[rows]
    used, places = torch.unique(columns, return_inverse=True)
    token_vectors, token_weights = model.compared_tokens(known)
    queries, documents = (
        bags.numbered(known.tokens)
        for bags in (
            TokenBags.of([ids[row] for row in chosen.tolist()], vectors.device),
            TokenBags.of([ids[count + row] for row in used.tolist()], vectors.device),
        )
    )
    lengths = (queries.roots > 0).sum(dim=1)
    losses = []
    for some in torch.split(torch.argsort(lengths), QUERIES_AT_ONCE):
        scores = late_interaction_scores(
            token_vectors, token_weights, queries.take(some), documents.take(places[some])
        )
        no_negatives = excluded[rows[some, None], columns[some]].clone()
        no_negatives[:, 0] = False
        scores = (scores / temperature).masked_fill(no_negatives, -torch.inf)
        own = torch.zeros(len(some), dtype=torch.long, device=scores.device)
        losses.append(torch.nn.functional.cross_entropy(scores, own, reduction="sum"))
    return torch.stack(losses).sum() / len(chosen)

"""The contrastive objective, and its gradient for batches larger than memory."""

from collections.abc import Callable, Sequence

import torch

Vectors = torch.Tensor
Encode = Callable[[Sequence[int]], Vectors]
"""Positions of b texts of a batch to their (b, d) unit vectors."""


def info_nce(
    queries: Vectors,
    documents: Vectors,
    excluded: torch.Tensor,
    temperature: float,
    dimensions: Sequence[int] = (),
) -> torch.Tensor:
    """Symmetric InfoNCE (arXiv:1807.03748, with the directions of arXiv:2103.00020).

    LogEntry i of `queries` belongs to row i of `documents`; all others are its negatives.

    Args:
        queries: (n, d), unit rows.
        documents: (n + m, d), unit rows; the last m are hard negatives and belong to no query.
        excluded: (n, n + m) bool, True where a document must not count as a negative of a query,
            for instance another part of its own paper or one that it cites; entries (i, i) have no
            effect.
        temperature: cosines are divided by it.
        dimensions: for each, the loss of the vectors' first so many dimensions is computed too
            (Matryoshka, arXiv:2205.13147); the result is the mean of all losses.

    >>> from math import log
    >>> unit = torch.eye(2)
    >>> loss = info_nce(unit, unit, torch.zeros(2, 2, dtype=torch.bool), temperature=1.0)
    >>> round(loss.item(), 6) == round(log(1 + 1 / 2.718281828459045), 6)
    True
    """
    count = len(queries)
    own = torch.eye(count, documents.shape[0], dtype=torch.bool, device=queries.device)
    masked = excluded & ~own
    target = torch.arange(count, device=queries.device)
    losses = []
    for width in (queries.shape[1], *dimensions):
        left, right = queries, documents
        if width < queries.shape[1]:
            left, right = (
                torch.nn.functional.normalize(side[:, :width], dim=1) for side in (left, right)
            )
        scores = (left @ right.T / temperature).masked_fill(masked, -torch.inf)
        losses += [
            torch.nn.functional.cross_entropy(scores, target),
            torch.nn.functional.cross_entropy(scores[:, :count].T, target),
        ]
    return torch.stack(losses).mean()


def encode_chunks(encode: Encode, chunks: Sequence[Sequence[int]]) -> Vectors:
    """(n, d) vectors of all texts of a batch, in order, encoded chunk by chunk."""
    order = torch.tensor([position for chunk in chunks for position in chunk])
    return torch.cat([encode(chunk) for chunk in chunks])[torch.argsort(order)]


def back_propagate(
    encode: Encode,
    chunks: Sequence[Sequence[int]],
    loss_of: Callable[[Vectors], torch.Tensor],
    backward: Callable[[torch.Tensor], None] = torch.autograd.backward,
    *,
    cached: bool,
) -> torch.Tensor:
    """Back-propagate a loss over all texts of a batch, encoded chunk by chunk.

    Args:
        encode: may be called with any part of the batch.
        chunks: positions of texts; each text is in one chunk.
        loss_of: (n, d) vectors of all texts, in order, to the loss.
        backward: how a scalar is propagated.
        cached: hold the activations of one chunk at a time (GradCache, arXiv:2101.06983). Each
            text is then encoded twice: first without a gradient, for the loss of the whole batch
            and its gradient with respect to the vectors; then chunk by chunk, to carry that
            gradient into the weights. The encoder must give the same vectors both times, so it
            must have no dropout.

    Returns:
        The loss, detached.
    """
    if not cached:
        loss = loss_of(encode_chunks(encode, chunks))
        backward(loss)
        return loss.detach()
    with torch.no_grad():
        vectors = encode_chunks(encode, chunks)
    loss = loss_of(vectors.requires_grad_())
    (gradient,) = torch.autograd.grad(loss, vectors)
    for chunk in chunks:
        backward((encode(chunk) * gradient[list(chunk)]).sum())
    return loss.detach()

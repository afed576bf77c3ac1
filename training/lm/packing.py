"""Abstracts into blocks of one length, so that no computation is spent on padding."""

from collections.abc import Iterable, Iterator

BLOCK = 512
"""Tokens per block (arXiv:2309.06126, section 2.2)."""


def pack(
    abstracts: Iterable[list[int]], pad: int, block: int = BLOCK
) -> Iterator[tuple[list[int], int]]:
    """Concatenate token lists and cut them into blocks.

    An abstract that does not fit goes on in the next block. What is left at the end becomes a last
    block, filled up with `pad`, so that no token is lost.

    Yields:
        `block` token ids, and how many of them are real: `block` for all but the last.

    >>> list(pack([[1, 5, 6, 2], [1, 7, 2]], pad=0, block=5))
    [([1, 5, 6, 2, 1], 5), ([7, 2, 0, 0, 0], 2)]
    """
    row: list[int] = []
    for abstract in abstracts:
        row += abstract
        while len(row) >= block:
            yield row[:block], block
            row = row[block:]
    if row:
        yield row + [pad] * (block - len(row)), len(row)

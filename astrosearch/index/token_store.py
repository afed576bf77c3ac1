"""The tokens of papers, so that comparing a query with them reads a few bytes and cuts no text.

A segment of an encoder that compares tokens has three files:

    token_ids.npy       (t,) uint16, or uint32 for a vocabulary of more than 65,536: the different
                        tokens of each text, ascending, text after text
    token_counts.npy    (t,) uint8: how often each stands in the text, 255 for more
    token_spans.npy     (rows, 2) int64: where the tokens of a row begin, and how many there are;
                        none if they are not known

Texts are in the order in which they were encoded; papers with the same text share its tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Joined, TokenBag
from astrosearch.errors import IndexDamaged
from astrosearch.index.vectors import load_or_map

IDS, COUNTS, SPANS = "token_ids.npy", "token_counts.npy", "token_spans.npy"
FILES = (IDS, COUNTS, SPANS)

Rows = NDArray[np.int64]


class TokenStore:
    """The tokens of a segment's papers, where they lie. Several threads may read at once."""

    def __init__(self, folder: Path, rows: int) -> None:
        """
        Raises:
            IndexDamaged: if the files are not those of `rows` rows.
        """
        try:
            self._ids, self._counts, self._spans = (
                np.asarray(load_or_map(folder / name)) for name in FILES
            )
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise IndexDamaged(
                f"the tokens in {folder} cannot be read ({error})", remedy="build-again"
            ) from None
        if (
            self._spans.shape != (rows, 2)
            or self._spans.dtype != np.int64
            or self._ids.dtype not in (np.uint16, np.uint32)
            or self._counts.dtype != np.uint8
            or self._ids.shape != self._counts.shape
        ):
            raise IndexDamaged(
                f"the tokens in {folder} are not those of {rows:,} papers", remedy="build-again"
            )

    def bags(self, rows: Rows) -> Joined[TokenBag]:
        """The tokens of (n,) rows; of one whose tokens are not known, none."""
        begins, lengths = self._spans[rows].T
        ends = np.cumsum(lengths)
        # All at once, since a hundred rows are read for each query.
        places = np.arange(ends[-1] if len(ends) else 0)
        places += np.repeat(begins - (ends - lengths), lengths)
        tokens = self._ids.take(places).astype(np.int64)
        return Joined(TokenBag, tokens, self._counts.take(places), lengths)


class TokenWriter:
    """Writes the tokens of a segment's papers, in memory that hardly grows with them."""

    def __init__(self, folder: Path, rows: int) -> None:
        """
        Raises:
            OSError: if the files cannot be written.
        """
        self._folder = folder
        self._spans = np.zeros((rows, 2), dtype=np.int64)
        self._count = 0
        self._largest = 0
        self._raw = folder / ".token_ids.tmp", folder / ".token_counts.tmp"
        self._streams = [path.open("wb") for path in self._raw]

    def add(self, rows: Sequence[int], bags: Sequence[TokenBag]) -> None:
        """The tokens of some rows. A bag without tokens says that they are not known."""
        ids, counts = self._streams
        for row, bag in zip(rows, bags, strict=True):
            self._spans[row] = self._count, len(bag.tokens)
            self._count += len(bag.tokens)
            self._largest = max(self._largest, int(bag.tokens.max(initial=0)))
            ids.write(bag.tokens.astype(np.uint32).tobytes())
            counts.write(np.minimum(bag.counts, 255).astype(np.uint8).tobytes())

    def copy(self, rows: Rows, others: Rows) -> None:
        """Let (n,) rows have the tokens of (n,) others."""
        self._spans[rows] = self._spans[others]

    def unknown(self) -> Rows:
        """The rows whose tokens are not known, ascending."""
        return np.flatnonzero(self._spans[:, 1] == 0)

    def finish(self) -> None:
        """Make the files whole; without a token there are none."""
        self.close()
        if self._count:
            np.save(self._folder / SPANS, self._spans)
            dtype = np.uint16 if self._largest < 2**16 else np.uint32
            _convert(self._raw[0], self._folder / IDS, np.uint32, dtype, self._count)
            _convert(self._raw[1], self._folder / COUNTS, np.uint8, np.uint8, self._count)
        for path in self._raw:
            path.unlink()

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


def _convert(source: Path, target: Path, have: type, want: type, count: int) -> None:
    """A file of bare numbers to numpy's own format."""
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(want)),
        "fortran_order": False,
        "shape": (count,),
    }
    with source.open("rb") as stream, target.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        while block := stream.read(2**20 * np.dtype(have).itemsize):
            out.write(np.frombuffer(block, dtype=have).astype(want).tobytes())


class SegmentedTokens:
    """The tokens of an index's papers."""

    def __init__(self, stores: Sequence[TokenStore | None], firsts: Rows) -> None:
        """
        Args:
            stores: of each segment; None for one without tokens.
            firsts: the first row of each.
        """
        self._stores = tuple(stores)
        self._firsts = firsts

    def __bool__(self) -> bool:
        """Whether any paper has tokens."""
        return any(store is not None for store in self._stores)

    def bags(self, rows: Rows) -> Joined[TokenBag]:
        """The tokens of (n,) rows; of one whose tokens are not known, none."""
        if len(self._stores) == 1 and self._stores[0] is not None:
            return self._stores[0].bags(rows)
        bags = [TokenBag.empty()] * len(rows)
        numbers = np.searchsorted(self._firsts, rows, side="right") - 1
        for number in set(numbers.tolist()):
            store = self._stores[number]
            if store is not None:
                places = np.flatnonzero(numbers == number)
                for place, bag in zip(
                    places.tolist(), store.bags(rows[places] - self._firsts[number]), strict=True
                ):
                    bags[place] = bag
        return Joined.of(TokenBag, bags)

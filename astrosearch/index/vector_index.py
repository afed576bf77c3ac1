"""The nearest of many vectors: exactly, or through a FAISS index whose recall is measured.

Every type but `flat` finds k × `k_factor` candidates by compressed vectors, or in a graph, and
compares them exactly, from vectors.npy. How far a search goes is chosen by measurement: it rises
until the wanted recall is reached.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import InputError, SetupError
from astrosearch.index.vectors import FLAT, RowReader, release

Parameters = dict[str, int]
"""`k_factor`, and `nprobe` of inverted lists or `efSearch` of a graph: as FAISS names them."""

AUTO = "auto"
INDEX_TYPES = (AUTO, "flat", "sq8", "pq4", "ivf", "hnsw", "pq", "rabitq")

EXACT_BYTES = 32_000_000
"""Bytes of vectors.npy up to which `auto` compares them all: 1.6 ms on one core."""

WHOLE_BYTES = 400_000_000
"""Bytes of vectors.npy up to which `auto` reads the codes of all: 2.2 ms on one core. A file of
that size may stay mapped, so that rows of it are compared where they lie."""

READ_BYTES = 150_000_000
"""Bytes of codes up to which they may be of a type that FAISS reads at opening: 0.16 s."""

BLOCK = 16_384
"""Rows of float32 vectors that are held in memory at a time."""

CANDIDATES = 1_000_000
"""Candidates that are found at a time, for as many queries as that makes."""

SCATTERED = 16
"""Comparing one row in 16, here and there, takes as long as comparing all of them in order."""

TRAINING_BYTES = 400_000_000
"""Float32 vectors that a quantiser is trained on, at most."""

POINTS_PER_LIST = 39
"""Below so many training vectors a centroid FAISS's k-means warns of too few."""

RECALL = 0.99
RECALL_AT = 10
QUERIES = 500
"""Queries on which recall is measured."""

_COUNTS, MOST = re.compile(r"(?:IVF|IMI2x|HNSW|NSG|PQ|PCAR?|OPQ|RR)(\d+)"), 10_000_000
"""Numbers of lists, links, parts, dimensions in the words of `faiss.index_factory`."""

SPARSE = 1024
"""Where a filter leaves at most one row in 1,024, these are taken out and compared: FAISS asks of
each row of the index whether it may be compared."""

LEAST_FACTOR = 8
"""`k_factor` of codes of all vectors, at least: of the nearest 108 papers of 300 questions among
56,307, .99997 are then found (with 4 .998), for .03 ms more."""

GENEROUS = 64
"""`k_factor` with which `tune` measures whether enough lists are probed."""

FAISS_VERSIONS = "1.12 to 1.15"
"""Those whose Python lets codes be a view of other memory (see `_flat_view`)."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several searchers compares of the vectors; all of them together miss none."""

    number: int = 0
    """From 0."""
    count: int = 1

    @property
    def is_whole(self) -> bool:
        return self.count == 1

    def rows(self, total: int) -> tuple[int, int]:
        """The first row of this share of `total` rows, and the first beyond it."""
        return self.number * total // self.count, (self.number + 1) * total // self.count


WHOLE = Share()


def factory(index_type: str, count: int, dimension: int, memory: int | None = None) -> str:
    """The words of `faiss.index_factory` for an index type; another text is taken for such words.

    `auto` is exact for up to `EXACT_BYTES`. Beyond that it reads codes of product quantisation,
    four bits for a few dimensions, read from the processor's registers (André et al. 2017,
    arXiv:1704.07355; at the same recall a fifth of the time of RaBitQ): up to `WHOLE_BYTES` of all
    vectors, for each two dimensions (of 56,307 papers, .6 ms and a recall@108 of .99997, where half
    as many codes took .9 ms for .998, and inverted lists lose a hundredth); of more in inverted
    lists, for each four dimensions, or eight where that would be too much to read at opening. Where
    that is too much, too, or there is too little to learn from, the codes are those of RaBitQ, a
    bit a dimension (Gao and Long 2024, arXiv:2405.12497), which FAISS maps. The codes are of the
    vectors themselves, not of what is left of them beyond their list's centroid (`fsr`): those keep
    fewer of the right ones, and each list takes tables of its own (of 563,070 papers, in an eighth
    of the lists: recall .9945 with 40 candidates in 1.0 ms, and .9790 in 1.2 ms).

    Args:
        index_type: one of `INDEX_TYPES`, or such words.
        count: how many vectors.
        dimension: of each.
        memory: bytes which `auto` may hold in memory, at most.

    Raises:
        InputError: if FAISS does not know it, or nothing fits into `memory`.
    """
    trained = _training_rows(count, dimension)
    lists = max(1, min(int(2 * count**0.5), trained // POINTS_PER_LIST))
    # At most a byte for four dimensions; a quantiser's parts must be equal.
    parts = max(m for m in range(1, dimension // 4 + 2) if dimension % m == 0)
    codes = "RaBitQ"
    learnt = count >= 16 * POINTS_PER_LIST
    fast = f"PQ{dimension // 2}x4fs" if learnt and dimension % 2 == 0 else None
    for width in (4, 8):  # dimensions that share four bits
        if learnt and dimension % width == 0 and count * dimension / width / 2 <= READ_BYTES:
            codes = f"PQ{dimension // width}x4fs"
            break
    words = {
        "flat": FLAT,
        "sq8": "SQ8",
        "pq4": fast or f"PQ{parts}np",
        "ivf": f"IVF{lists},{codes}",
        "hnsw": "HNSW32,SQ8",
        "pq": f"PQ{parts}np",
        "rabitq": "RaBitQ",
    }
    if index_type != AUTO:
        chosen = words.get(index_type, index_type)
        _make(chosen, dimension)
        return chosen
    exact = 2 * count * dimension
    codes_size = count * (dimension // 8 + 8)
    sizes = {
        "flat": exact if exact <= (EXACT_BYTES if fast else WHOLE_BYTES) else None,
        "pq4": exact // 8 if fast and exact <= WHOLE_BYTES else None,
        "ivf": codes_size + count * 8 + 4 * lists * dimension,  # with row numbers and centroids
        "rabitq": codes_size,
    }
    fitting = {kind: size for kind, size in sizes.items() if size is not None}
    for kind, size in fitting.items():
        if memory is None or size <= memory:
            return words[kind]
    raise InputError(
        f"{count:,} papers of {dimension} dimensions need {_megabytes(min(fitting.values()))} at "
        f"least, {_megabytes(memory or 0)} were given",
        remedy="tune",
    )


def write(path: Path, vectors: NDArray[np.float16], words: str) -> None:
    """Train and fill the FAISS index that `words` describe, and write it to `path`.

    Args:
        vectors: (n, d) float16, rows of length 1.
        words: those of `faiss.index_factory`.

    Raises:
        InputError: if it does not suit the vectors.
        OSError: if it cannot be written.
    """
    index = _make(words, vectors.shape[1])
    _silence_training(index)
    try:
        if not index.is_trained:
            wanted = POINTS_PER_LIST * max(1024, getattr(_core(index), "nlist", 0))
            rows = min(_training_rows(len(vectors), vectors.shape[1]), wanted)
            sample = np.random.default_rng(0).choice(len(vectors), size=rows, replace=False)
            index.train(_unit_rows_at(vectors, np.sort(sample)))
        for start in range(0, len(vectors), BLOCK):
            index.add(unit_rows(vectors[start : start + BLOCK]))
            release(vectors)
    except (RuntimeError, MemoryError) as error:
        raise InputError(
            f"{words!r} does not suit {len(vectors):,} papers: {_reason(error)}"
        ) from None
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(_reason(error)) from None  # a full disk, mostly


class VectorIndex:
    """Finds the nearest of (n, d) float16 unit rows, through a FAISS index or without one.

    Several threads may search at once, though not while one tunes.
    """

    def __init__(
        self,
        vectors: NDArray[np.float16],
        path: Path | None,
        parameters: Parameters,
        share: Share = WHOLE,
    ) -> None:
        """Map the FAISS index at `path`; without one, all vectors are compared.

        Args:
            parameters: as `tune` gave them; empty for some that suit most indexes.
            share: what is searched: a part of the rows where vectors are compared exactly, every
                so manyth of the inverted lists where there are such. What has neither belongs to
                the first share.

        Raises:
            RuntimeError: if FAISS cannot read it.
            ValueError: if it is of another count or dimension.
            SetupError: if the FAISS of this machine cannot search vectors.npy where it lies.
        """
        _check_flat_view()
        self._approximate: Any = None
        self.parameters: Parameters = {}
        if path is not None:
            self._approximate = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            shape = (self._approximate.ntotal, self._approximate.d)
            if shape != vectors.shape:
                raise ValueError(f"{shape[0]:,} rows of {shape[1]} dimensions")
            self._core = _core(self._approximate)
            self._set(parameters or self._usual(len(vectors)))
        self._vectors = vectors
        self._reader = RowReader(vectors)
        self._share = share
        self._first, self._end = first, end = share.rows(len(vectors))
        self._exact = _flat_view(vectors[first:end])
        parts = min(faiss.omp_get_max_threads(), 1 + (end - first) // BLOCK)
        edges = np.linspace(first, end, parts + 1).astype(int).tolist()
        self._parts = [(part, _flat_view(vectors[slice(*part)])) for part in pairwise(edges)]
        self._threads = ThreadPoolExecutor(
            parts,
            thread_name_prefix="astrosearch-vectors",
            initializer=faiss.omp_set_num_threads,
            initargs=(1,),
        )

    def __len__(self) -> int:
        return len(self._vectors)

    def close(self) -> None:
        """End the threads and close the file; nothing can be searched afterwards."""
        self._threads.shutdown()
        self._reader.close()

    @property
    def is_exact(self) -> bool:
        return self._approximate is None

    @property
    def _shares_lists(self) -> bool:
        """Whether FAISS gives the lists of one query to several threads."""
        return not self.is_exact and isinstance(self._core, faiss.IndexIVF)

    @property
    def _may_stay_mapped(self) -> bool:
        return self._vectors.nbytes <= WHOLE_BYTES

    def search(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """The nearest rows of each query.

        Args:
            queries: (q, d) float32, rows of length 1.
            k: answers for each query.
            allowed: (a,) rows that a filter leaves, ascending; None for all.

        Returns:
            (q, k) float32 cosines, best first, and (q, k) rows; where fewer than k are allowed, the
            last rows are -1.

        Under a filter all allowed rows are compared. Recall is measured without one, and says
        nothing about the rows that a filter leaves: where those are far from the query, codes
        cannot tell them apart, lists of the near ones hold none, and a graph loses its way.
        """
        if allowed is not None and len(allowed) == len(self._vectors):
            allowed = None
        if len(queries) == 1 and not self._shares_lists:
            with _one_thread():
                scores, rows = self._search(queries, k, allowed)
        else:
            scores, rows = self._search(queries, k, allowed)
        if not self.is_exact and allowed is None and not self._may_stay_mapped:
            # Only the index stays resident; the pages stay in the system's cache. Under a filter
            # they stay mapped: mapping them again would make it slower than exact search.
            release(self._vectors)
        return scores, rows

    def _search(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        if allowed is not None and len(allowed) * SPARSE <= len(self._vectors):
            ours = slice(*np.searchsorted(allowed, [self._first, self._end]).tolist())
            scores, rows = self._rescore(queries, k, allowed[ours])
        elif self.is_exact or allowed is not None or self._compares_all(k):
            scores, rows = self._exact_search(queries, k, allowed)
        else:
            scores, rows = self._approximate_search(queries, k)
            short = (rows < 0).any(axis=1)  # more are wanted than the lists or the graph give
            if self._share.is_whole and short.any():  # other shares may have the rest
                scores[short], rows[short] = self._exact_search(queries[short], k)
        return scores, rows

    def _rescore(
        self, queries: Vectors, k: int, candidates: NDArray[np.int64]
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """The nearest of `candidates`, ascending rows here and there, by their own vectors."""
        cosines = queries @ self._reader[candidates].T
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1)
        scores[:, : best.shape[1]] = np.take_along_axis(cosines, best, axis=1)
        rows[:, : best.shape[1]] = candidates[best]
        return scores, rows

    def _exact_scores_at(
        self, queries: Vectors, k: int, rows: NDArray[np.int64]
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """As `_exact_search`, of a few of the rows, ascending. Copied side by side they are
        compared in half of the time that FAISS takes to pick them out of all."""
        near = np.asarray(self._vectors[rows])  # kept as long as its view
        scores, places = _flat_view(near).search(queries, k)
        return scores, np.where(places < 0, -1, rows.take(places, mode="clip"))

    def _exact_search(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """The nearest of all rows that are allowed. FAISS gives a query to one thread, so a single
        one is searched in several parts of the rows at once."""
        mask = None
        if allowed is not None:
            mask = np.zeros(len(self._vectors), dtype=bool)
            mask[allowed] = True

        def search(part: tuple[tuple[int, int], Any]) -> tuple[Vectors, NDArray[np.int64]]:
            (start, end), index = part
            selector = None if mask is None else _selector(mask[start:end])
            parameters = faiss.SearchParameters(sel=selector)
            scores, rows = index.search(queries, k, params=parameters)
            return scores, np.where(rows < 0, -1, rows + start)

        is_little = allowed is not None and len(allowed) < BLOCK
        if len(queries) > 1 or len(self._parts) == 1 or is_little:
            return search(((self._first, self._end), self._exact))
        results = list(self._threads.map(search, self._parts))
        scores = np.hstack([scores for scores, _ in results])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        rows = np.hstack([rows for _, rows in results])
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def _candidates(self, k: int) -> int:
        """How many rows are compared exactly for k answers; for fewer than `RECALL_AT`, of which
        recall was measured, as many as for that."""
        return max(k, RECALL_AT) * self.parameters["k_factor"]

    def _compares_all(self, k: int) -> bool:
        """Whether there would be so many candidates that comparing all rows takes no longer."""
        return self._candidates(k) * SCATTERED >= len(self._vectors)

    def _approximate_search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """The nearest of the candidates that the FAISS index gives for each query."""
        count = self._candidates(k)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1)
        step = max(1, CANDIDATES // count)
        for start in range(0, len(queries), step):
            batch = self._near(queries[start : start + step], count)
            for number, candidates in enumerate(batch, start):
                candidates = np.sort(candidates[candidates >= 0])
                at = slice(number, number + 1)
                # A share's lists hold rows of all parts.
                is_exact = self._may_stay_mapped and self._share.is_whole
                compared = self._exact_scores_at if is_exact else self._rescore
                scores[at], rows[at] = compared(queries[at], k, candidates)
        return scores, rows

    def _near(self, queries: Vectors, count: int) -> NDArray[np.int64]:
        """(q, count) the rows that the FAISS index gives for each query; -1 behind the last."""
        if self._share.is_whole:
            return np.asarray(self._approximate.search(queries, count)[1])
        if not isinstance(self._core, faiss.IndexIVF):
            if self._share.number == 0:
                return np.asarray(self._approximate.search(queries, count)[1])
            return np.full((len(queries), count), -1)
        if self._core is not self._approximate:  # behind rotations or projections
            for number in range(self._approximate.chain.size()):
                queries = self._approximate.chain.at(number).apply(queries)
        distances, lists = self._core.quantizer.search(queries, self._core.nprobe)
        lists[lists % self._share.count != self._share.number] = -1
        return np.asarray(self._core.search_preassigned(queries, count, lists, distances)[1])

    def tune(self, recall: float) -> float:
        """Raise the parameters until recall@10 against exact search is at least `recall`.

        Queries are directions halfway between two random rows: like a question, none is itself
        among the rows, and each has neighbours. (Of 326,238 papers, the first 160 by codes of a
        bit a dimension hold .997 of the ten that are right for these queries, .999 for real titles,
        .996 for sentences, .990 for the first three words of titles.) Half of what may be missed
        is allowed to the lists or the graph, half to the codes. An answer as near as the tenth is
        right.

        Returns:
            The recall reached, from 0 to 1.
        """
        if self.is_exact:
            return 1.0
        count = len(self._vectors)
        draw = np.random.default_rng(0)
        left, right = draw.integers(0, count, (2, QUERIES))
        queries = unit_rows(unit_rows(self._reader[left]) + unit_rows(self._reader[right]))
        k = min(RECALL_AT, count)
        worst = self._exact_scores(queries, k)[:, -1:]

        def measure(**parameters: int) -> float:
            self._set(parameters)
            if self._compares_all(k):
                return 1.0
            scores, rows = self._approximate_search(queries, k)
            return float(np.mean((scores >= worst - 1e-6) & (rows >= 0)))

        breadth = {}
        for value in self._breadths(count):
            breadth = {self._breadth_name: value}
            if measure(k_factor=GENEROUS, **breadth) >= (1 + recall) / 2:
                break
        factor = LEAST_FACTOR if isinstance(self._core, faiss.IndexPQFastScan) else 1
        while (reached := measure(k_factor=factor, **breadth)) < recall and factor * k < count:
            factor *= 2
        return reached

    def _exact_scores(self, queries: Vectors, k: int) -> Vectors:
        """(q, k) descending; block by block, so that what is mapped does not grow."""
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for start in range(0, len(self._vectors), 8 * BLOCK):
            block = _flat_view(self._vectors[start : start + 8 * BLOCK])
            scores, _ = block.search(queries, k)
            best = -np.sort(-np.hstack([best, scores]), axis=1)[:, :k]
            release(self._vectors)
        return best

    @property
    def _breadth_name(self) -> str:
        return "nprobe" if isinstance(self._core, faiss.IndexIVF) else "efSearch"

    def _breadths(self, count: int) -> list[int]:
        """Lists probed, or nodes kept in view, of `count` rows: ever more, up to all."""
        if isinstance(self._core, faiss.IndexIVF):
            return list(_doubled(max(1, self._core.nlist // 64), self._core.nlist))
        if isinstance(self._core, faiss.IndexHNSW):
            return list(_doubled(min(16, count), count))
        return []

    def _usual(self, count: int) -> Parameters:
        """Parameters for an index of the first releases, which was not measured."""
        usual = {"k_factor": 4}
        if breadths := self._breadths(count):
            usual[self._breadth_name] = breadths[min(2, len(breadths) - 1)]
        return usual

    def _set(self, parameters: Parameters) -> None:
        self.parameters = parameters
        if isinstance(self._core, faiss.IndexIVF):
            self._core.nprobe = parameters["nprobe"]
            # All cores share the lists of one query: by default each query has one core.
            self._core.parallel_mode = 1
        elif isinstance(self._core, faiss.IndexHNSW):
            self._core.hnsw.efSearch = parameters["efSearch"]


def _training_rows(count: int, dimension: int) -> int:
    return min(count, TRAINING_BYTES // (4 * dimension))


def _unit_rows_at(vectors: NDArray[np.float16], rows: NDArray[np.int64]) -> Vectors:
    """(len(rows), d) float32, with two copies of one block in memory at a time."""
    reader, units = RowReader(vectors), np.empty((len(rows), vectors.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        units[block] = unit_rows(reader[rows[block]])
    return units


def _make(words: str, dimension: int) -> Any:
    try:
        for count in map(int, _COUNTS.findall(words)):
            if not 0 < count <= MOST:  # FAISS ends the process, or takes all memory
                raise RuntimeError(f"{count} is not between 1 and {MOST:,}")
        return faiss.index_factory(dimension, words, faiss.METRIC_INNER_PRODUCT)
    except (RuntimeError, MemoryError) as error:
        raise InputError(
            f"{words!r} is not a FAISS index of {dimension} dimensions: {_reason(error)}; there "
            f"are {', '.join(INDEX_TYPES)}, and what faiss.index_factory takes"
        ) from None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 10_000_000 else f"{count / 1e6:,.3f} MB"


def _silence_training(index: Any) -> None:
    """Keep FAISS from printing a line for each quantiser that has few points to learn from: what
    they are worth is measured."""
    for layer in (index, _core(index)):
        for quantiser in (layer, getattr(layer, "pq", None)):
            if settings := getattr(quantiser, "cp", None):
                settings.min_points_per_centroid = 1


def _reason(error: Exception) -> str:
    return str(error).strip().rpartition(": ")[2]  # behind the C++ function and file


def _flat_view(vectors: NDArray[np.float16]) -> Any:
    """A FAISS index that compares all rows where they lie, without a copy of them: the caller
    keeps them as long as the index.

    FAISS keeps codes in a vector that may be a view, but its Python has no function that makes
    one of a numpy array: its fields are set (`_check_flat_view` sees that they are the right ones).
    """
    count, dimension = vectors.shape
    index = faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    codes = index.codes
    codes.is_owned = False
    codes.view_data = codes.c_ptr = faiss.swig_ptr(vectors.view(np.uint8))
    codes.view_size = codes.c_size = vectors.nbytes
    index.ntotal = count
    return index


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for what this one asks of FAISS: it gives a query to one anyway, and the others
    would wait for work at full speed, at the cost of whoever searches the words meanwhile."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@cache
def _check_flat_view() -> None:
    """See, once for each process, that this FAISS compares a view of numpy's memory rightly.

    Raises:
        SetupError: if it lays its vectors out in another way.
    """
    codes = faiss.IndexScalarQuantizer(8, faiss.ScalarQuantizer.QT_fp16).codes
    fields = ("is_owned", "view_data", "view_size", "c_ptr", "c_size")
    missing = [field for field in fields if not hasattr(codes, field)]
    if not missing:
        rows = unit_rows(np.sin(np.arange(24.0)).reshape(3, 8)).astype(np.float16)
        scores, order = _flat_view(rows).search(rows[:1].astype(np.float32), 3)
        cosines = rows.astype(np.float32) @ rows[0].astype(np.float32)
        if np.allclose(scores[0], cosines[order[0]], atol=1e-3) and set(order[0]) == {0, 1, 2}:
            return
    raise SetupError(
        f"faiss {faiss.__version__} cannot search vectors where they lie"
        + (f" (it lacks {', '.join(missing)})" if missing else "")
        + f"; this version of astrosearch knows faiss {FAISS_VERSIONS}"
    )


def _core(index: Any) -> Any:
    """The index itself behind a rotation or projection of vectors."""
    return (
        faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    )


def _selector(allowed: NDArray[np.bool_]) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def _doubled(first: int, last: int) -> Iterator[int]:
    while first < last:
        yield first
        first *= 2
    yield last

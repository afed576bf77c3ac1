"""The nearest of many vectors: exactly, or through a FAISS index whose recall is measured.

Every kind but `flat` finds k × `k_factor` candidates by compressed vectors, or in a graph, and
compares them exactly, from vectors.npy. How far a search goes is chosen by measurement: it rises
until the asked recall holds.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import FLAT, RowReader, Vectors, release, unit_rows
from astrosearch.errors import InputError

Parameters = dict[str, int]
"""`k_factor`, and `nprobe` of inverted lists or `efSearch` of a graph: as FAISS names them."""

AUTO = "auto"
KINDS = (AUTO, "flat", "sq8", "ivf", "hnsw", "pq", "rabitq")

EXACT_BYTES = 250_000_000
"""Bytes of vectors.npy up to which `auto` compares them all: 20 ms on two cores."""

READ_BYTES = 150_000_000
"""Bytes of codes up to which they may be of a kind that FAISS reads at opening: 0.16 s."""

BLOCK = 16_384
"""Rows of float32 vectors that are held in memory at a time."""

CANDIDATES = 1_000_000
"""That are found at a time, for as many queries as that makes."""

SCATTERED = 16
"""Comparing one row in so many, here and there, takes as long as all of them in order."""

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

FEW = 1024
"""Below one row in so many that a filter leaves, these are taken out and compared: FAISS looks at
each row of the index whether it may be compared."""

GENEROUS = 64
"""`k_factor` with which it is seen whether enough lists are looked into."""


def factory(kind: str, count: int, dimension: int, memory: int | None = None) -> str:
    """The words of `faiss.index_factory` for a kind; another text is taken for such words.

    `auto` is exact for up to `EXACT_BYTES`, beyond that inverted lists of codes of product
    quantisation: four bits for each four dimensions, read from the processor's registers (André et
    al. 2017, arXiv:1704.07355; at the same recall a fifth of the time of RaBitQ), or for each eight
    where that would be too much to read at opening. Where that is too much, too, or there is too
    little to learn from, the codes are those of RaBitQ, a bit a dimension (Gao and Long 2024,
    arXiv:2405.12497), which FAISS maps. The codes are of the vectors themselves, not of what is
    left of them beyond their list's centroid (`fsr`): those keep fewer of the right ones, and each
    list takes tables of its own (of 563,070 papers, in an eighth of the lists: recall .9945 with 40
    candidates in 1.0 ms, and .9790 in 1.2 ms).

    Args:
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
    for width in (4, 8):  # dimensions that share four bits
        if learnt and dimension % width == 0 and count * dimension / width / 2 <= READ_BYTES:
            codes = f"PQ{dimension // width}x4fs"
            break
    words = {
        "flat": FLAT,
        "sq8": "SQ8",
        "ivf": f"IVF{lists},{codes}",
        "hnsw": "HNSW32,SQ8",
        "pq": f"PQ{parts}np",
        "rabitq": "RaBitQ",
    }
    if kind != AUTO:
        _make(words.get(kind, kind), dimension)
        return words.get(kind, kind)
    exact = 2 * count * dimension
    if exact <= min(EXACT_BYTES, exact if memory is None else memory):
        return FLAT
    code = dimension // 8 + 8
    for chosen, size in (
        ("ivf", count * (code + 8) + 4 * lists * dimension),  # with row numbers and centroids
        ("rabitq", count * code),
    ):
        if memory is None or size <= memory:
            return words[chosen]
    raise InputError(
        f"{count:,} papers of {dimension} dimensions need {_megabytes(count * code)} at least, "
        f"{_megabytes(memory or 0)} were given: give more with astrosearch indexes tune NAME "
        "--memory SIZE"
    )


def write(path: Path, vectors: NDArray[np.float16], words: str) -> None:
    """Train and fill the FAISS index that `words` describe, and write it to `path`.

    Raises:
        InputError: if it does not suit the vectors.
    """
    index = _make(words, vectors.shape[1])
    _warn_of_nothing(index)
    try:
        if not index.is_trained:
            wanted = POINTS_PER_LIST * max(1024, getattr(_core(index), "nlist", 0))
            rows = min(_training_rows(len(vectors), vectors.shape[1]), wanted)
            chosen = np.random.default_rng(0).choice(len(vectors), size=rows, replace=False)
            index.train(_taken(vectors, np.sort(chosen)))
        for start in range(0, len(vectors), BLOCK):
            index.add(unit_rows(vectors[start : start + BLOCK]))
            release(vectors)
    except (RuntimeError, MemoryError) as error:
        raise InputError(
            f"{words!r} does not suit {len(vectors):,} papers: {_reason(error)}; choose another "
            "--kind"
        ) from None
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(_reason(error)) from None  # a full disk, mostly


class VectorIndex:
    """Finds the nearest of (n, d) float16 unit rows, through a FAISS index or without one."""

    def __init__(
        self, vectors: NDArray[np.float16], path: Path | None, parameters: Parameters
    ) -> None:
        """Map the FAISS index at `path`; without one, all vectors are compared.

        Args:
            parameters: as `tune` gave them; empty for some that suit most indexes.

        Raises:
            RuntimeError: if FAISS cannot read it.
            ValueError: if it is of another count or dimension.
        """
        self._vectors = vectors
        self._scattered = RowReader(vectors)
        self._exact = _compared(vectors)
        parts = min(faiss.omp_get_max_threads(), 1 + len(vectors) // BLOCK)
        edges = np.linspace(0, len(vectors), parts + 1).astype(int).tolist()
        self._parts = [(one, _compared(vectors[slice(*one)])) for one in pairwise(edges)]
        self._threads = ThreadPoolExecutor(parts)
        self._approximate: Any = None
        self.parameters: Parameters = {}
        if path is None:
            return
        self._approximate = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        found = (self._approximate.ntotal, self._approximate.d)
        if found != vectors.shape:
            raise ValueError(f"{found[0]:,} rows of {found[1]} dimensions")
        self._core = _core(self._approximate)
        self._set(parameters or self._usual())

    @property
    def is_exact(self) -> bool:
        return self._approximate is None

    def search(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Scores (q, k), best first, and rows (q, k); a row of -1 is none: fewer are allowed.

        Under a filter all allowed rows are compared. Recall is measured without one, and says
        nothing about the rows that a filter leaves: where those are far from the query, codes
        cannot tell them apart, lists of the near ones hold none, and a graph loses its way.
        """
        if allowed is not None and len(allowed) == len(self._vectors):
            allowed = None
        if allowed is not None and len(allowed) * FEW <= len(self._vectors):
            scores, rows = self._among(queries, k, allowed)
        elif self.is_exact or allowed is not None or self._compares_all(k):
            scores, rows = self._exactly(queries, k, allowed)
        else:
            scores, rows = self._approximately(queries, k)
            short = (rows < 0).any(axis=1)  # more are asked for than the lists or graph give
            if short.any():
                scores[short], rows[short] = self._exactly(queries[short], k)
        if not self.is_exact and allowed is None:
            # What is resident is the index alone; the pages stay in the system's cache. Under a
            # filter they stay mapped: to map them again would make it slower than exact search.
            release(self._vectors)
        return scores, rows

    def _among(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64]
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Of rows here and there, ascending: those that a filter leaves, or candidates."""
        cosines = queries @ self._scattered[allowed].T
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1)
        scores[:, : best.shape[1]] = np.take_along_axis(cosines, best, axis=1)
        rows[:, : best.shape[1]] = allowed[best]
        return scores, rows

    def _exactly(
        self, queries: Vectors, k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """All rows that are allowed; FAISS gives a query to one thread, so a lone one is put to
        parts of the rows at once."""
        mask = None
        if allowed is not None:
            mask = np.zeros(len(self._vectors), dtype=bool)
            mask[allowed] = True

        def ask(part: tuple[tuple[int, int], Any]) -> tuple[Vectors, NDArray[np.int64]]:
            (start, end), index = part
            selector = None if mask is None else _selector(mask[start:end])
            parameters = faiss.SearchParameters(sel=selector)
            scores, rows = index.search(queries, k, params=parameters)
            return scores, np.where(rows < 0, -1, rows + start)

        if len(queries) > 1:
            return ask(((0, len(self._vectors)), self._exact))
        found = list(self._threads.map(ask, self._parts))
        scores = np.hstack([scores for scores, _ in found])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        rows = np.hstack([rows for _, rows in found])
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def _candidates(self, k: int) -> int:
        """How many are compared exactly: for fewer answers than those whose recall was measured,
        as many as for these."""
        return max(k, RECALL_AT) * self.parameters["k_factor"]

    def _compares_all(self, k: int) -> bool:
        """Whether there would be so many candidates that comparing all rows is no slower."""
        return self._candidates(k) * SCATTERED >= len(self._vectors)

    def _approximately(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        wanted = self._candidates(k)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1)
        step = max(1, CANDIDATES // wanted)
        for start in range(0, len(queries), step):
            some = slice(start, start + step)
            for line, found in enumerate(self._approximate.search(queries[some], wanted)[1], start):
                found = np.sort(found[found >= 0])
                one = slice(line, line + 1)
                scores[one], rows[one] = self._among(queries[one], k, found)
        return scores, rows

    def tune(self, recall: float) -> float:
        """Raise the parameters until recall@10 against exact search is at least `recall`.

        Queries are directions halfway between two random rows: like a question, none is itself
        among the rows, and each has neighbours. (Of 326,238 papers, the first 160 by codes of a
        bit a dimension hold .997 of the ten that are right for these queries, .999 for real titles,
        .996 for sentences, .990 for the first three words of titles.) What may be missed is shared
        by halves between lists or graph, and codes. An answer as near as the tenth is right.

        Returns:
            The recall, from 0 to 1.
        """
        if self.is_exact:
            return 1.0
        count = len(self._vectors)
        draw = np.random.default_rng(0)
        one, other = draw.integers(0, count, (2, QUERIES))
        queries = unit_rows(unit_rows(self._scattered[one]) + unit_rows(self._scattered[other]))
        k = min(RECALL_AT, count)
        worst = self._exact_scores(queries, k)[:, -1:]

        def measured(**parameters: int) -> float:
            self._set(parameters)
            if self._compares_all(k):
                return 1.0
            scores, rows = self._approximately(queries, k)
            return float(np.mean((scores >= worst - 1e-6) & (rows >= 0)))

        breadth = {}
        for value in self._breadths:
            breadth = {self._breadth_name: value}
            if measured(k_factor=GENEROUS, **breadth) >= (1 + recall) / 2:
                break
        factor = 1
        while (reached := measured(k_factor=factor, **breadth)) < recall and factor * k < count:
            factor *= 2
        return reached

    def _exact_scores(self, queries: Vectors, k: int) -> Vectors:
        """(q, k) descending; block by block, so that what is mapped does not grow."""
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for start in range(0, len(self._vectors), 8 * BLOCK):
            some = _compared(self._vectors[start : start + 8 * BLOCK])
            scores, _ = some.search(queries, k)
            best = -np.sort(-np.hstack([best, scores]), axis=1)[:, :k]
            release(self._vectors)
        return best

    @property
    def _breadth_name(self) -> str:
        return "nprobe" if isinstance(self._core, faiss.IndexIVF) else "efSearch"

    @property
    def _breadths(self) -> list[int]:
        """How many lists are looked into, or nodes kept in view: ever more, up to all."""
        if isinstance(self._core, faiss.IndexIVF):
            return list(_doubled(max(1, self._core.nlist // 64), self._core.nlist))
        if isinstance(self._core, faiss.IndexHNSW):
            return list(_doubled(min(16, len(self._vectors)), len(self._vectors)))
        return []

    def _usual(self) -> Parameters:
        """For an index of an earlier version, which was not measured."""
        usual = {"k_factor": 4}
        if breadths := self._breadths:
            usual[self._breadth_name] = breadths[min(2, len(breadths) - 1)]
        return usual

    def _set(self, parameters: Parameters) -> None:
        self.parameters = parameters
        if isinstance(self._core, faiss.IndexIVF):
            self._core.nprobe = parameters["nprobe"]
            # All cores share the lists of one query: by default a lone one has one core.
            self._core.parallel_mode = 1
        elif isinstance(self._core, faiss.IndexHNSW):
            self._core.hnsw.efSearch = parameters["efSearch"]


def _training_rows(count: int, dimension: int) -> int:
    return min(count, TRAINING_BYTES // (4 * dimension))


def _taken(vectors: NDArray[np.float16], rows: NDArray[np.int64]) -> Vectors:
    scattered, taken = RowReader(vectors), np.empty((len(rows), vectors.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK):
        some = slice(start, start + BLOCK)
        taken[some] = unit_rows(scattered[rows[some]])
    return taken


def _make(words: str, dimension: int) -> Any:
    try:
        for count in map(int, _COUNTS.findall(words)):
            if not 0 < count <= MOST:  # FAISS ends the process, or takes all memory
                raise RuntimeError(f"{count} is none of 1 to {MOST:,}")
        return faiss.index_factory(dimension, words, faiss.METRIC_INNER_PRODUCT)
    except (RuntimeError, MemoryError) as error:
        raise InputError(
            f"{words!r} is no FAISS index of {dimension} dimensions: {_reason(error)}; there are "
            f"{', '.join(KINDS)}, and what faiss.index_factory takes"
        ) from None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 10_000_000 else f"{count / 1e6:,.3f} MB"


def _warn_of_nothing(index: Any) -> None:
    """Keep FAISS from a line about each quantiser that has few points to learn from: what they are
    worth is measured."""
    for one in (index, _core(index)):
        for learner in (one, getattr(one, "pq", None)):
            if settings := getattr(learner, "cp", None):
                settings.min_points_per_centroid = 1


def _reason(error: Exception) -> str:
    return str(error).strip().rpartition(": ")[2]  # behind the C++ function and file


def _compared(vectors: NDArray[np.float16]) -> Any:
    """A FAISS index that compares all rows where they lie, without a copy of them: the caller
    keeps them as long as the index.

    FAISS keeps codes in a vector that may be a view, but its Python has no function that makes
    one of a numpy array: its fields are set.
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

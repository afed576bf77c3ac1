"""A map of an index: two coordinates a paper, such that papers on the same things lie together.

It is laid out once, by t-SNE of the papers' vectors (van der Maaten and Hinton 2008) on a graph of
nearest neighbours, in openTSNE's implementation, whose time grows with the number of papers alone
(Linderman et al. 2019). Papers that come later are placed among their neighbours, and no other
moves. `map.npz` in the index folder keeps it; indexes/README.md documents the bytes.
"""

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch import atomic
from astrosearch.cores import available_cores
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, IndexDamaged, NothingFound, SetupError
from astrosearch.index.reader import Index
from astrosearch.index.regions import Region, name_regions
from astrosearch.report import SILENT, Reporter

FILE = "map.npz"
SIDE = 65_535
"""The largest coordinate."""
MARGIN = 0.03
"""Part of the side that stays empty at each edge."""

COMPONENTS = 50
"""Principal components of the vectors that are compared: the others are mostly noise."""
NEIGHBOURS = 15
FEWEST = 5
"""Papers below which there is nothing to lay out."""
BLOCK = 8_192
PHASES = ((250, 12.0, 0.5), (500, 1.0, 0.8))
"""Steps, exaggeration and momentum of the two phases of t-SNE (Belkina et al. 2019)."""
EXACT = 10_000
"""Papers up to which neighbours, and forces between all pairs, are not approximated by grids."""

PLACING = 10
"""Neighbours among which a new paper is placed."""
SHARPNESS = 30
"""The weight of a neighbour is exp(SHARPNESS · cosine): one that is nearer by 0.1 counts 20 times
as much, so that a paper between two subjects lies with one of them, not in the void between."""

Places = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class PaperMap:
    """n papers on a map, in the order of their rows when it was drawn."""

    snapshot: int
    """Of the index."""
    encoder: str
    """Of the vectors that it was laid out from."""
    ids: tuple[str, ...]
    places: Places
    """(n, 2) x to the right and y upwards, 0 to SIDE."""
    years: NDArray[np.uint16]
    """(n,) of the first version."""
    categories: NDArray[np.uint8]
    """(n,) the place of the primary category in `category_names`; 255 if it is not there."""
    category_names: tuple[str, ...]
    regions: tuple[Region, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def within(self, corners: NDArray[np.int64]) -> list[str]:
        """The ids of the papers within a polygon, by the even-odd rule.

        Args:
            corners: (m, 2) in order.
        """
        low, high = corners.min(axis=0), corners.max(axis=0)
        near = np.flatnonzero(((self.places >= low) & (self.places <= high)).all(axis=1))
        x, y = self.places[near].astype(np.float64).T
        is_inside = np.zeros(len(near), dtype=bool)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
            if y1 != y2:
                crosses = (y1 > y) != (y2 > y)
                is_inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        return [self.ids[place] for place in near[is_inside].tolist()]

    def as_bytes(
        self,
        titles: Sequence[str] = (),
        citations: NDArray[np.int64] | None = None,
        **facts: object,
    ) -> bytes:
        """The map for a page: the length of a header (uint32), the header in JSON, padded with
        spaces to four bytes; n × 2 uint16 places, n uint16 years, n uint16 citations if the header
        says that there are such, n uint8 categories, all little-endian; then a line for each
        paper, its id.

        Args:
            titles: n of them, which follow the ids after a tab; none to leave them out.
            citations: (n,) how many works cite each paper; None if that is not known.
            facts: further fields of the header.
        """
        counts = () if citations is None else np.minimum(citations, 65_535)
        names, categories = self._commonest_first()
        header = json.dumps(
            {
                "papers": len(self),
                "has_citations": citations is not None,
                "categories": names,
                "regions": [region._asdict() for region in self.regions],
                **facts,
            }
        ).encode()
        header += b" " * (-len(header) % 4)
        lines = self.ids
        if titles:
            lines = tuple(map("\t".join, zip(self.ids, titles, strict=True)))
        return b"".join(
            (
                len(header).to_bytes(4, "little"),
                header,
                self.places.astype("<u2").tobytes(),
                self.years.astype("<u2").tobytes(),
                np.asarray(counts, dtype="<u2").tobytes(),
                categories.tobytes(),
                "\n".join(lines).encode(),
            )
        )

    def _commonest_first(self) -> tuple[list[str], NDArray[np.uint8]]:
        """The names of the categories, and (n,) the place of each paper's in them, as
        `categories`."""
        known = len(self.category_names)
        counts = np.bincount(self.categories, minlength=256)[:known]
        order = np.argsort(-counts, kind="stable")
        place_of = np.full(256, 255, dtype=np.uint8)
        place_of[order] = np.arange(known)
        return [self.category_names[number] for number in order], place_of[self.categories]

    def write(self, folder: Path) -> None:
        """
        Raises:
            AstrosearchError: if it cannot be written.
        """
        header = {
            "format": 1,
            "snapshot": self.snapshot,
            "encoder": self.encoder,
            "categories": self.category_names,
            "regions": [region._asdict() for region in self.regions],
        }
        path = folder / FILE
        with atomic.writing(path), atomic.whole_file(path) as stream:
            np.savez(
                stream,
                header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
                ids=np.array([name.encode() for name in self.ids], dtype=np.bytes_),
                places=self.places,
                years=self.years,
                categories=self.categories,
            )


def read_map(folder: Path) -> PaperMap:
    """
    Raises:
        NothingFound: if no map was drawn.
        IndexDamaged: if it cannot be read.
    """
    path = folder / FILE
    try:
        status = path.stat()
    except FileNotFoundError:
        raise NothingFound(f"index {folder.name} has no map", remedy="map") from None
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> PaperMap:
    """The map in a file as it was at some time; a server asks for it again and again."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != 1:
                raise ValueError(f"it has format {header['format']}, this version reads 1")
            drawn = PaperMap(
                header["snapshot"],
                header["encoder"],
                tuple(name.decode() for name in arrays["ids"].tolist()),
                arrays["places"],
                arrays["years"],
                arrays["categories"],
                tuple(header["categories"]),
                tuple(Region(**region) for region in header["regions"]),
            )
        n = len(drawn)
        shapes = drawn.places.shape, drawn.years.shape, drawn.categories.shape
        if shapes != ((n, 2), (n,), (n,)) or drawn.places.dtype != np.uint16:
            raise ValueError("its arrays do not fit together")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise IndexDamaged(f"{path} cannot be read ({error})", remedy="map-again") from None
    return drawn


class Drawn(NamedTuple):
    """What `draw_map` did."""

    map: PaperMap
    laid_out: bool
    """Whether all papers were laid out anew."""
    placed: int
    """Papers that were placed among the others."""
    gone: int
    """Papers that are in the index no more."""


def draw_map(folder: Path, *, again: bool = False, reporter: Reporter = SILENT) -> Drawn:
    """Draw the map of an index, or bring it up to date, and keep it in the index folder.

    Args:
        again: lay out all papers anew, even if there is a map.

    Raises:
        SetupError: if openTSNE is not installed and papers have to be laid out.
        AstrosearchError: if the index has too few papers, or the map cannot be written.
        IndexDamaged: as `Index`.
    """
    with Index(folder) as index:
        encoder = json.dumps(index.manifest.encoder.as_record(), sort_keys=True)
        old = None
        if not again and (folder / FILE).exists():
            old = read_map(folder)
            if old.encoder != encoder:
                reporter.notify("The index has another encoder now, so all is laid out anew")
                old = None
        if old is None:
            drawn = Drawn(_laid_out(index, encoder, reporter), True, 0, 0)
        else:
            drawn = _brought_up_to_date(index, old)
    if drawn.map is not old:
        drawn.map.write(folder)
    return drawn


def check_extra() -> None:
    """
    Raises:
        SetupError: if what lays out papers is not installed.
    """
    if find_spec("openTSNE") is None:
        raise SetupError(
            "to draw a map needs openTSNE; install astrosearch with the extra map: "
            "pip install '.[map]'"
        )


def _laid_out(index: Index, encoder: str, reporter: Reporter) -> PaperMap:
    check_extra()
    if len(index) < FEWEST:
        raise AstrosearchError(
            f"index {index.folder.name} has {len(index)} papers; a map needs {FEWEST} at least"
        )
    components = _principal_components(index, reporter)
    neighbours = _nearest_neighbours(components, reporter)
    places = _scaled(_embedded(components, neighbours, reporter))
    facts, titles = _facts(index, index.rows, reporter, ())
    regions = name_regions(places, titles)
    return PaperMap(index.manifest.snapshot, encoder, facts.ids, places, *facts[1:], regions)


def _brought_up_to_date(index: Index, old: PaperMap) -> Drawn:
    """The old map with the papers that came, and without those that are gone."""
    if old.snapshot == index.manifest.snapshot:
        return Drawn(old, False, 0, 0)
    rows = index.corpus.ids()
    known = np.array([rows.get(name, -1) for name in old.ids], dtype=np.int64)
    stays = np.flatnonzero(known >= 0)
    if not len(stays):
        raise AstrosearchError(
            "none of the papers of the map is in the index any more", remedy="map-again"
        )
    stays = stays[np.argsort(known[stays], kind="stable")]
    known = known[stays]
    fresh = np.setdiff1d(index.rows, known, assume_unique=True)
    facts, _ = _facts(index, fresh, SILENT, old.category_names)
    order = np.argsort(np.concatenate([known, fresh]), kind="stable")
    ids = [*(old.ids[place] for place in stays.tolist()), *facts.ids]
    drawn = PaperMap(
        index.manifest.snapshot,
        old.encoder,
        tuple(ids[place] for place in order.tolist()),
        np.concatenate([old.places[stays], _placed(index, fresh, known, old.places[stays])])[order],
        np.concatenate([old.years[stays], facts.years])[order],
        np.concatenate([old.categories[stays], facts.categories])[order],
        facts.category_names,
        old.regions,
    )
    return Drawn(drawn, False, len(fresh), len(old) - len(stays))


def _placed(
    index: Index, fresh: NDArray[np.int64], known: NDArray[np.int64], places: Places
) -> Places:
    """(m, 2) where new papers belong: the weighted mean of their neighbours' places.

    Args:
        fresh: (m,) their rows.
        known: (n,) the rows of the papers that have a place, ascending.
        places: (n, 2)
    """
    result = np.zeros((len(fresh), 2), dtype=np.uint16)
    for start in range(0, len(fresh), BLOCK):
        vectors = unit_rows(index.vectors[fresh[start : start + BLOCK]])
        found = zip(*index.search(vectors, PLACING, known), strict=True)
        for number, (cosines, rows) in enumerate(found, start):
            weights = np.exp(SHARPNESS * (cosines - cosines.max()).astype(np.float64))
            near = places[np.searchsorted(known, rows)].astype(np.float64)
            result[number] = np.rint(weights @ near / weights.sum())
    return result


class _Facts(NamedTuple):
    ids: tuple[str, ...]
    years: NDArray[np.uint16]
    categories: NDArray[np.uint8]
    category_names: tuple[str, ...]


def _facts(
    index: Index, rows: NDArray[np.int64], reporter: Reporter, names: tuple[str, ...]
) -> tuple[_Facts, list[str]]:
    """What the map shows of papers, and their titles.

    Args:
        names: the categories that have a number already.
    """
    numbers = {name: number for number, name in enumerate(names)}
    ids, years, categories, titles = [], [], [], []
    for done, paper in enumerate(index.corpus.stream(rows.tolist()), 1):
        ids.append(paper.id)
        years.append(paper.published.year)
        primary = next(iter(paper.categories), "")
        number = numbers.setdefault(primary, len(numbers)) if len(numbers) < 255 else 255
        categories.append(numbers.get(primary, number))
        titles.append(paper.title)
        if done % BLOCK == 0:
            reporter.progress("Reading titles", done, len(rows))
    reporter.progress("Reading titles", len(rows), len(rows))
    facts = _Facts(
        tuple(ids), np.array(years, np.uint16), np.array(categories, np.uint8), tuple(numbers)
    )
    return facts, titles


def _principal_components(index: Index, reporter: Reporter) -> Vectors:
    """(n, at most COMPONENTS) float32."""
    import faiss

    rows = index.rows
    count = min(COMPONENTS, index.manifest.dimension, len(rows) - 1)
    sample = np.random.default_rng(0).permutation(rows)[:50_000]
    turn = faiss.PCAMatrix(index.manifest.dimension, count)
    turn.train(unit_rows(index.vectors[np.sort(sample)]))
    components = np.empty((len(rows), count), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        components[start : start + BLOCK] = turn.apply(unit_rows(index.vectors[block]))
        reporter.progress("Reading vectors", min(start + BLOCK, len(rows)), len(rows))
    return components


def _nearest_neighbours(
    points: Vectors, reporter: Reporter
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(n, k) the nearest of n points to each of them, without itself, and their distances."""
    import faiss

    n, d = points.shape
    k = min(NEIGHBOURS, n - 1)
    kind = "Flat" if n <= EXACT else f"IVF{round(2 * math.sqrt(n))},Flat"
    finder = faiss.index_factory(d, kind)
    finder.train(points[:: max(1, n // 100_000)])
    finder.add(points)
    if n > EXACT:
        finder.nprobe = 16
    neighbours = np.empty((n, k), dtype=np.int64)
    distances = np.empty((n, k), dtype=np.float32)
    for start in range(0, n, BLOCK):
        squares, found = finder.search(points[start : start + BLOCK], k + 1)
        own = np.arange(start, start + len(found))[:, None]
        # Of several papers with the same text, itself need not be the first.
        order = np.argsort(found == own, axis=1, kind="stable")[:, :k]
        order.sort(axis=1)
        neighbours[start : start + BLOCK] = np.take_along_axis(found, order, axis=1)
        distances[start : start + BLOCK] = np.sqrt(
            np.maximum(np.take_along_axis(squares, order, axis=1), 0)
        )
        reporter.progress("Finding neighbours", min(start + BLOCK, n), n)
    return neighbours, distances


def _embedded(
    points: Vectors, neighbours: tuple[NDArray[Any], NDArray[Any]], reporter: Reporter
) -> NDArray[np.float64]:
    """(n, 2)"""
    import openTSNE

    # For few papers, threads wait for each other longer than they work.
    threads = 1 if len(points) <= EXACT else available_cores()
    graph = openTSNE.affinity.Uniform(
        None,
        k_neighbors=neighbours[0].shape[1],
        knn_index=openTSNE.nearest_neighbors.PrecomputedNeighbors(*neighbours),
        n_jobs=threads,
    )
    method = "bh" if len(points) <= EXACT else "fft"
    # A little noise, because papers of the same text would stay in one place.
    noise = np.random.default_rng(0).normal(scale=1e-6, size=(len(points), 2))
    start = openTSNE.initialization.rescale(points[:, :2].astype(np.float64) + noise)
    layout = openTSNE.TSNEEmbedding(
        start, graph, negative_gradient_method=method, n_jobs=threads, random_state=0
    )
    total = sum(steps for steps, *_ in PHASES)
    before = 0

    def tell(step: int, *_: object) -> None:
        reporter.progress("Laying out the map", before + step, total)

    for steps, exaggeration, momentum in PHASES:
        layout.optimize(
            steps,
            exaggeration=exaggeration,
            momentum=momentum,
            inplace=True,
            callbacks=tell,
            callbacks_every_iters=10,
        )
        before += steps
    reporter.progress("Laying out the map", total, total)
    return np.asarray(layout, dtype=np.float64)


def _scaled(points: NDArray[np.float64]) -> Places:
    """The same map in whole numbers from 0 to SIDE, both axes on one scale."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (1 - 2 * MARGIN) * SIDE / max(float((high - low).max()), 1e-12)
    places: Places = np.rint((points - (low + high) / 2) * scale + SIDE / 2).astype(np.uint16)
    return places

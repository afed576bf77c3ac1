"""Names for the regions of a map: what the titles of a region say more often than the others'.

Terms are compared by the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and
Quinn 2008, eq. 16 and 22), which neither rare nor common terms win by their number alone.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.text.analysis import STOP_WORDS, stem
from astrosearch.text.tex import one_line, to_unicode

ZOOMS = (14, 50, 170)
"""How many regions there are at each zoom, at most."""
FEWEST = 12
"""Papers of a region, in the mean, at least."""
PRIOR = 1_000.0
"""Terms that the prior stands for."""
COMMON = 3
"""Titles that have a term, at least."""
CANDIDATES = 12
"""The best terms of a region, from which its name is taken."""

_WORD = re.compile(r"[^\W\d_][\w'’+-]*\w|\d+[^\W\d_][\w-]*")
_EMPTY = STOP_WORDS | frozenset(
    """new using via based toward towards study studies analysis observation observations
    observational observed constraint constraints evidence result results model models modeling
    modelling implications search effect effects property properties first two three one case role
    probing revisited survey data method approach high low large small ii iii iv part among across
    without within near evolution formation origin nature detection discovery measurement
    measurements investigation possible simulations simulation theory general dependence""".split()
)
"""Words that name no subject."""


class Region(NamedTuple):
    """A part of a map."""

    name: str
    x: int
    y: int
    zoom: int
    """0 for the largest regions."""
    papers: int


class _Terms(NamedTuple):
    """Which of n titles has which of v terms."""

    names: list[str]
    titles: NDArray[np.int64]
    """(t,) a title …"""
    terms: NDArray[np.int64]
    """(t,) … and a term that it has."""


def name_regions(places: NDArray[np.uint16], titles: Sequence[str]) -> tuple[Region, ...]:
    """Regions at all zooms, the largest first.

    Args:
        places: (n, 2)
        titles: n of them, with their TeX.
    """
    import faiss

    readable = [one_line(to_unicode(title)) for title in titles]
    terms = _terms(readable)
    points = np.ascontiguousarray(places, dtype=np.float32)
    regions: list[Region] = []
    for zoom, most in enumerate(ZOOMS):
        count = max(1, min(most, len(titles) // FEWEST))
        if zoom and count <= len(regions):
            break
        means = faiss.Kmeans(2, count, niter=25, seed=1, min_points_per_centroid=1)
        means.train(points)
        _, nearest = means.index.search(points, 1)
        groups = nearest[:, 0]
        sizes = np.bincount(groups, minlength=count)
        taken: set[str] = set()
        for group in np.argsort(-sizes, kind="stable").tolist():
            if not sizes[group]:
                continue
            name = _name(terms, groups, group, taken)
            if name:
                members = np.flatnonzero(groups == group)
                x, y = np.median(points[members], axis=0).astype(int).tolist()
                shown = _as_written(name, [readable[place] for place in members.tolist()])
                regions.append(Region(shown, x, y, zoom, len(members)))
    return tuple(regions)


def _terms(titles: Sequence[str]) -> _Terms:
    counts: Counter[str] = Counter()
    of_titles = [frozenset(_terms_of(title)) for title in titles]
    for terms in of_titles:
        counts.update(terms)
    names = [name for name, count in counts.items() if count >= COMMON]
    numbers = {name: number for number, name in enumerate(names)}
    pairs = [
        (title, numbers[term])
        for title, terms in enumerate(of_titles)
        for term in terms
        if term in numbers
    ]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return _Terms(names, both[:, 0], both[:, 1])


def _terms_of(title: str) -> Iterator[str]:
    """The words of a title that name a subject, and pairs of neighbours.

    >>> sorted(_terms_of("The Dusty Torus of NGC 1068"))
    ['dusty', 'dusty torus', 'ngc', 'torus']
    """
    for piece in re.split(r"[^\w'’+ -]+|\s-+\s", title.lower()):
        found = _WORD.findall(piece)
        tell = [word not in _EMPTY and len(word) > 2 for word in found]
        for word, tells in zip(found, tell, strict=True):
            if tells:
                yield word
        for (first, is_first), (second, is_second) in pairwise(zip(found, tell, strict=True)):
            if is_first and is_second:
                yield f"{first} {second}"


def _name(terms: _Terms, groups: NDArray[np.int64], group: int, taken: set[str]) -> str:
    """The term that tells a group best from the rest and that no other group is named by; empty if
    there is none.

    Args:
        taken: stems of the names of other groups, to which those of this one are added.
    """
    vocabulary = len(terms.names)
    total = np.bincount(terms.terms, minlength=vocabulary).astype(np.float64)
    here = np.bincount(terms.terms[groups[terms.titles] == group], minlength=vocabulary)
    prior = PRIOR * total / max(total.sum(), 1)
    inside, outside = here + prior, total - here + prior
    odds = np.log(inside / (inside.sum() - inside + 1e-9))
    odds -= np.log(outside / (outside.sum() - outside + 1e-9))
    scores = np.where(here >= COMMON, odds / np.sqrt(1 / inside + 1 / outside), -np.inf)
    best = np.argsort(-scores, kind="stable")[:CANDIDATES]
    candidates = [place for place in best.tolist() if scores[place] > 0]
    for place in candidates:
        name: str = terms.names[place]
        # "white dwarf" says more than "white", if most of the titles mean it.
        longer = [
            terms.names[other]
            for other in candidates
            if " " in terms.names[other]
            and " " not in name
            and name in terms.names[other].split()
            and here[other] > here[place] / 3
        ]
        name = longer[0] if longer else name
        stems = " ".join(map(stem, name.split()))
        if stems not in taken:
            taken.add(stems)
            return name
    return ""


def _as_written(name: str, titles: Sequence[str]) -> str:
    """A name as most titles write it in the middle of a sentence: `NGC`, but `dark matter`."""
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    written: Counter[str] = Counter()
    for title in titles:
        written.update(pattern.findall(title))
    pieces = []
    for place, word in enumerate(name.split()):
        forms = Counter[str]()
        for text, count in written.items():
            forms[text.split()[place]] += count
        most = forms.most_common(1)[0][0] if forms else word
        pieces.append(most if sum(letter.isupper() for letter in most[1:]) else word)
    return " ".join(pieces)

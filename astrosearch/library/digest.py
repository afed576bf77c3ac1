"""New papers, ranked by the library: which are new, how well each fits, and why, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astrosearch import atomic, paths
from astrosearch.config import read_config
from astrosearch.corpus.filters import Filters
from astrosearch.library import facts
from astrosearch.library.store import Library, LibraryPaper
from astrosearch.papers import Paper
from astrosearch.search.conditions import RequiredPhrase
from astrosearch.search.hits import paper_record
from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import author_words, family_name
from astrosearch.text.tex import one_line, to_unicode

if TYPE_CHECKING:
    from astrosearch.library.interests import Texts
    from astrosearch.search.searcher import Searcher

FIRST_DAYS = 7
"""Days before the index's newest paper that a first look goes back."""

LATE_DAYS = 60
"""Days for which it is remembered which papers were seen: some come weeks after their date."""

RANDOM = 2_000
"""Random papers of the index that the library is compared with."""

LONGEST = 3_000
"""Papers of a library that count; of a larger one the last, which were added last."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A new paper, and why it may matter."""

    rank: int
    paper: Paper
    match: int | None
    """From 0, as a random paper, to 100, as near to the library as its own papers are to the others
    of it, at best; None if there is no library."""
    reasons: tuple[str, ...] = ()
    is_pinned: bool = False
    """Whether it comes first because of an author or a word that is followed."""
    near: tuple[str, ...] = ()
    """Identifiers or keys of the papers of the library that it is near to."""

    def as_record(self) -> dict[str, object]:
        return {
            "rank": self.rank,
            "match": self.match,
            "pinned": self.is_pinned,
            "reasons": list(self.reasons),
            "near": list(self.near),
            **paper_record(self.paper),
        }


@dataclass(frozen=True, slots=True)
class Digest:
    """New papers, best first."""

    index: str
    since: date
    suggestions: tuple[Suggestion, ...]
    new: int
    """How many papers are new, those among them that are not shown."""
    library: int
    """Papers of the library that the order comes from."""


# --- which papers are new ---


@dataclass(frozen=True)
class Seen:
    """What was looked at, of an index: `seen/INDEX.txt` in the library's folder, the day of the
    newest paper and the identifiers of the last weeks, one on each line."""

    file: Path
    newest: date | None = None
    ids: frozenset[str] = frozenset()

    @classmethod
    def read(cls, index: str) -> "Seen":
        file = paths.library_folder() / "seen" / f"{index}.txt"
        try:
            first, *lines = file.read_text(encoding="utf-8").split()
            return cls(file, date.fromisoformat(first), frozenset(lines))
        except (FileNotFoundError, ValueError):  # a file that is not whole means nothing was seen
            return cls(file)

    def mark(self, searcher: "Searcher", category: str | None = None) -> None:
        """Remember the papers of the last weeks as seen.

        Args:
            category: the only one that was looked at; what is new in others stays new.

        Raises:
            AstrosearchError: if it cannot be written.
        """
        newest = searcher.newest_day()
        recent = Filters(since=newest - timedelta(LATE_DAYS))
        known = {paper.id for paper in searcher.papers_passing(recent)}
        if category:
            looked_at = searcher.papers_passing(replace(recent, category=category))
            _, new = new_papers(searcher, Filters(), self)
            known -= {paper.id for paper in new} - {paper.id for paper in looked_at}
        lines = [newest.isoformat(), *sorted(known)]
        with atomic.writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with atomic.whole_file(self.file) as stream:
                stream.write(("\n".join(lines) + "\n").encode())


def new_papers(
    searcher: "Searcher", filters: Filters, seen: Seen, *, again: bool = False
) -> tuple[date, list[Paper]]:
    """The first day that counts, and the new papers, the newest first.

    Args:
        filters: with a first day, or without: then the papers that are not among those seen at the
            last look, and at the first look those of the last days of the index.
        again: whether papers that were seen count, too.
    """
    since = filters.since
    if since is None and seen.newest is not None and not again:
        since = seen.newest - timedelta(LATE_DAYS)
    elif since is None:
        since = searcher.newest_day() - timedelta(FIRST_DAYS)
    papers = searcher.papers_passing(replace(filters, since=since))
    if not again:
        papers = [paper for paper in papers if paper.id not in seen.ids]
    return since, papers


def read_digest(
    searcher: "Searcher", filters: Filters, k: int, *, again: bool = False
) -> "tuple[Digest, list[str]]":
    """The new papers of an index by how near they are to this machine's library, and what cannot be
    used in the files of the library and of the settings.

    Args:
        again: as `new_papers`.

    Raises:
        InputError: if the files cannot be read.
    """
    config, library = read_config(), Library.read()
    since, papers = new_papers(searcher, filters, Seen.read(searcher.name), again=again)
    followed = Followed(config.authors, config.keywords)
    result = digest(searcher, library, followed, papers, since, k)
    return result, [*config.problems, *library.problems]


# --- how well they fit ---


@dataclass(frozen=True, slots=True)
class Followed:
    """Whose papers, and what words, come first."""

    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()

    def reasons(self, paper: Paper) -> tuple[str, ...]:
        """`follows: Riess`, `keyword: TRGB`, as far as they hold."""
        lines = author_words(paper.authors)
        reasons = []
        for author in self.authors:
            if AuthorQuery(author).first_place(paper.authors, lines) is not None:
                reasons.append(f"follows: {author}")
        for keyword in self.keywords:
            from astrosearch.library.own_papers import OwnPaper

            if OwnPaper(paper).meets(RequiredPhrase(keyword)):
                reasons.append(f"keyword: {keyword}")
        return tuple(reasons)


def digest(
    searcher: "Searcher",
    library: Library,
    followed: Followed,
    papers: Sequence[Paper],
    since: date,
    k: int,
) -> Digest:
    """The `k` best of new papers: those that are pinned, then those that fit the library.

    Without a library they stay in their order. Papers that the library has are left out.
    """
    own = {paper.arxiv for paper in library.papers}
    papers = [paper for paper in papers if paper.id not in own]
    pins = [followed.reasons(paper) for paper in papers]
    positive = _chosen(library)
    scores = np.zeros(len(papers))
    matches: list[int | None] = [None] * len(papers)
    model: _Model | None = None
    texts: Texts | None = None
    if positive and papers:
        model = _Model(searcher, library, positive)
        texts = model.texts(papers)
        scores = model.interests.scores(texts)
        matches = model.interests.match(scores).tolist()
    order = sorted(range(len(papers)), key=lambda place: (not pins[place], -scores[place], place))[
        :k
    ]
    near = model.near(texts, order) if model and texts else [_NONE] * len(order)
    suggestions = tuple(
        Suggestion(
            rank=rank,
            paper=papers[place],
            match=matches[place],
            reasons=(*neighbours.in_words(), *pins[place]),
            is_pinned=bool(pins[place]),
            near=tuple(paper.id for paper in neighbours.papers),
        )
        for rank, (place, neighbours) in enumerate(zip(order, near, strict=True), start=1)
    )
    return Digest(searcher.name, since, suggestions, len(papers), len(positive))


def _chosen(library: Library) -> list[LibraryPaper]:
    """The papers of the library that say what somebody works on."""
    chosen = [
        paper for paper in library.papers if paper.marks.opinion != "disliked" and paper.has_text
    ]
    return chosen[-LONGEST:]


class _Model:
    """The interests that a library shows, in an index."""

    def __init__(
        self, searcher: "Searcher", library: Library, positive: Sequence[LibraryPaper]
    ) -> None:
        from astrosearch.library.interests import (
            LIKED,
            SCALED_BY,
            Interests,
            Texts,
            inverse_document_frequency,
            terms_of,
        )

        self._searcher = searcher
        self._terms_of = terms_of
        count = len(searcher)
        rarity = cache(
            lambda term: inverse_document_frequency(count, searcher.document_frequency(term))
        )
        own = {paper.arxiv for paper in library.papers}
        random = [paper for paper in searcher.sample(RANDOM) if paper.id not in own]
        terms = [terms_of(paper) for paper in random[:SCALED_BY]]
        background = Texts(searcher.vectors([paper.id for paper in random])[1], terms)
        self._positive = positive
        weights = [LIKED if one.marks.opinion == "liked" else 1.0 for one in positive]
        negative = [one for one in library.select("disliked") if one.has_text]
        self.interests: Interests = Interests(
            self._of_library(positive),
            np.array(weights),
            background,
            rarity,
            self._of_library(negative) if negative else None,
        )

    def texts(self, papers: Sequence[Paper]) -> "Texts":
        """Papers of the index."""
        from astrosearch.library.interests import Texts

        vectors = self._searcher.vectors([paper.id for paper in papers])[1]
        return Texts(vectors, [self._terms_of(paper) for paper in papers])

    def _of_library(self, library: Sequence[LibraryPaper]) -> "Texts":
        """Papers of the library: as the index has them, the others by their own text."""
        from astrosearch.library.interests import Texts
        from astrosearch.library.own_papers import own_vectors

        known = self._searcher.papers({paper.arxiv for paper in library if paper.arxiv})
        papers = [known.get(paper.arxiv) or paper.paper for paper in library]
        there = [place for place, one in enumerate(library) if one.arxiv in known]
        others = [place for place, one in enumerate(library) if one.arxiv not in known]
        vectors = self._searcher.vectors([papers[place].id for place in there])[1]
        joined = np.zeros((len(papers), vectors.shape[1]), dtype=np.float32)
        joined[there] = vectors
        if others:
            joined[others] = own_vectors(self._searcher, [papers[place] for place in others])
        return Texts(joined, [self._terms_of(paper) for paper in papers])

    def near(self, texts: "Texts", places: Sequence[int]) -> "list[_Neighbours]":
        """The papers of the library that are nearest to some of the texts."""
        from astrosearch.library.interests import Texts

        chosen = Texts(texts.vectors[list(places)], [texts.terms[place] for place in places])
        return [
            _Neighbours(tuple(self._positive[place] for place in near), is_near)
            for near, is_near in self.interests.nearest(chosen)
        ]


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """The papers of the library that are nearest to a paper."""

    papers: tuple[LibraryPaper, ...] = ()
    is_near: bool = False

    def in_words(self) -> tuple[str, ...]:
        """`near Smith 2019 and Lee 2021 in your library`"""
        if not self.papers:
            return ()
        if not self.is_near:
            return (f"nearest in your library: {_name(self.papers[0])}",)
        names = " and ".join(dict.fromkeys(map(_name, self.papers)))
        return (f"near {names} in your library",)


_NONE = _Neighbours()


def _name(paper: LibraryPaper) -> str:
    authors = facts.authors(paper.entry)
    family = one_line(to_unicode(family_name(authors[0]))) if authors else paper.key
    return " ".join(filter(None, (family, str(facts.year(paper.entry) or ""))))

"""The open indexes of a process that answers, and what it sends."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from astrosearch import paths
from astrosearch.errors import NothingFound
from astrosearch.index.reader import Index
from astrosearch.report import SILENT, Reporter
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.paper_index import SearchedIndex
from astrosearch.search.searcher import Searcher, open_index
from astrosearch.server.formats import MEDIA_TYPES
from astrosearch.server.problems import NotOffered
from astrosearch.server.settings import Offer

MOST_OPEN = 4
"""Indexes that a worker keeps open."""


class Reply(NamedTuple):
    """What is sent."""

    body: bytes
    media_type: str = MEDIA_TYPES["json"]
    next_offset: int | None = None
    """Where the next page begins, if there is one."""


def is_there(name: str) -> bool:
    """Whether an index that is served was not removed meanwhile."""
    return (paths.index_folder(name) / paths.MANIFEST).exists()


def no_model(name: str, known: Iterable[str]) -> NothingFound:
    return NothingFound(f"there is no model {name!r} here; there are: {', '.join(known)}")


class Searchers:
    """The open indexes of a worker."""

    def __init__(
        self,
        offer: Offer,
        reporter: Reporter = SILENT,
        papers_of: Callable[[Index], SearchedIndex] | None = None,
    ) -> None:
        """
        Args:
            papers_of: as in `Searcher`.
        """
        self._offer = offer
        self._reporter = reporter
        self._papers_of = papers_of or LocalIndex
        self._open: OrderedDict[str, Searcher] = OrderedDict()

    def __call__(self, name: str | None) -> Searcher:
        """
        Raises:
            NothingFound: if the index is not served, or was removed.
        """
        name = self._offer.choose(name)
        if not is_there(name):
            raise NothingFound(f"index {name} is not there any more")
        if name not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[name] = open_index(name, reporter=self._reporter, papers_of=self._papers_of)
        self._open.move_to_end(name)
        return self._open[name]

    @property
    def shows_library(self) -> bool:
        """Whether the library is for clients."""
        return self._offer.library

    def check_library(self) -> None:
        """
        Raises:
            NotOffered: if the library is not for clients.
        """
        if not self.shows_library:
            raise NotOffered(
                "this server keeps the library of whoever runs it to itself: start it with "
                "--library"
            )

    def of_encoder(self, model: str) -> Searcher:
        """
        Raises:
            NothingFound: if no index has an encoder of that name, or if it is not of this machine.
        """
        known = []
        for name in self._offer.names():
            searcher = self(name)
            spec = searcher.index.manifest.encoder
            if spec.is_service:
                continue
            if spec.short_name == model:
                return searcher
            known.append(spec.short_name)
        raise no_model(model, dict.fromkeys(known))

"""What a server offers, to whom, and within which bounds."""

from dataclasses import dataclass, field

from astrosearch import paths
from astrosearch.errors import NothingFound

MOST_BYTES = 1_000_000
"""Of a request's body."""
MOST_CHARACTERS = 2_000
"""Of a query; a title has some 100, an abstract some 1,500."""
MOST_PER_PAGE = 100
MOST_IDS = 20
"""Papers that ask together."""
MOST_HITS = 1_000
"""How far a client may page."""
MOST_CORNERS = 100
"""Of a part of the map."""
MOST_QUOTES = 20
"""Sentences of an answer."""
MOST_QUERIES = 100
"""Of a batch."""
MOST_TEXTS = 2_048
"""Of a request for vectors; as many as OpenAI takes."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The indexes that are served."""

    default: str
    """The index of a request that names none."""
    only: tuple[str, ...] = ()
    """The others are not served; empty for all of this machine, those too that are built later."""
    library: bool = True
    """Whether clients may read and change the library and the saved searches of this machine."""

    def names(self) -> list[str]:
        """The default first."""
        others = self.only or paths.index_names()
        return [self.default, *(name for name in others if name != self.default)]

    def choose(self, name: str | None) -> str:
        """
        Raises:
            NothingFound: if there is no such index, or it is not served.
        """
        if name is None:
            return self.default
        names = self.names()
        if name not in names:
            raise NothingFound(f"there is no index {name!r} here; there are: {', '.join(names)}")
        return name


@dataclass(frozen=True, slots=True)
class Cluster:
    """How many processes of a Ray cluster answer."""

    address: str | None = None
    """HOST:PORT of a cluster that this machine belongs to; None for the one that runs here, else
    one that is made of this machine alone."""
    replicas: tuple[int, int] = (1, 1)
    """The fewest and the most that answer; between them, as many as there are questions for."""
    shards: int = 1
    """Processes among which the vectors are divided; 1 leaves them to each that answers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of `astrosearch serve`."""

    offer: Offer
    host: str = "127.0.0.1"
    port: int = 8000
    """0 for any that is free."""
    token: str | None = field(default=None, repr=False)
    """What a client has to show; None lets everybody ask."""
    workers: int = 1
    """Processes that answer."""
    cluster: Cluster | None = None
    """The cluster whose processes answer in their place."""
    public_names: tuple[str, ...] = ()
    """Names by which the server is reached, beside addresses and names of this machine."""
    allowed_origins: tuple[str, ...] = ()
    """Web sites whose scripts may read answers (CORS)."""
    seconds: float = 30
    """After which a request is given up."""
    queue: int = 64
    """Requests that may wait for a worker; more are turned away."""

"""astrosearch: find astronomy papers by meaning.

    import astrosearch

    with astrosearch.open_index("astro") as searcher:
        for hit in searcher.query("tidal tails", k=3):
            print(hit.rank, hit.paper.id, hit.paper.title)

The names below are the public interface. They are imported when they are first used, so that
importing the package, as the command line does, costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astrosearch.corpus.filters import Filters
    from astrosearch.errors import (
        AstrosearchError,
        EncoderMismatch,
        IdentifierError,
        IndexBusy,
        IndexDamaged,
        IndexMissing,
        InputError,
        ModelMissing,
        NothingFound,
        SetupError,
    )
    from astrosearch.papers import Paper
    from astrosearch.report import Reporter
    from astrosearch.search.hits import Hit
    from astrosearch.search.query_parser import ParsedQuery
    from astrosearch.search.quotes import QuotedAnswer
    from astrosearch.search.searcher import Searcher, open_index

__version__ = "0.1.0"

__all__ = [
    "AstrosearchError",
    "EncoderMismatch",
    "Filters",
    "Hit",
    "IdentifierError",
    "IndexBusy",
    "IndexDamaged",
    "IndexMissing",
    "InputError",
    "ModelMissing",
    "NothingFound",
    "Paper",
    "ParsedQuery",
    "QuotedAnswer",
    "Reporter",
    "Searcher",
    "SetupError",
    "open_index",
]

_MODULE_OF = {
    "Filters": "corpus.filters",
    "Hit": "search.hits",
    "Paper": "papers",
    "ParsedQuery": "search.query_parser",
    "QuotedAnswer": "search.quotes",
    "Reporter": "report",
    "Searcher": "search.searcher",
    "open_index": "search.searcher",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE_OF.get(name, 'errors')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

"""The citation graph of an open index."""

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from astrosearch.citations.graph import Graph

if TYPE_CHECKING:
    from astrosearch.index.reader import Index

_OPENED: "WeakKeyDictionary[Index, Graph]" = WeakKeyDictionary()
_LOCK = threading.Lock()


def graph_of(index: "Index") -> Graph | None:
    """The citation graph of a snapshot, opened once; None if it has none.

    Raises:
        IndexDamaged: if it cannot be opened.
    """
    if not index.manifest.citations:
        return None
    with _LOCK:
        if index not in _OPENED:
            _OPENED[index] = Graph(index.folder / index.manifest.citations)
        return _OPENED[index]

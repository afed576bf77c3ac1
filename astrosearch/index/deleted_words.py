"""How often words stand in papers that are dead.

The engine goes on counting the words of a paper that was replaced or withdrawn: it is not told of
it, since after a deletion it only estimates how long texts are on average. Weights must not depend
on the dead, so what the engine counts too much is kept beside its files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from astrosearch.errors import IndexDamaged

FILE = "deleted.json"


class DeletedWords:
    """The words of the dead papers of a words folder."""

    def __init__(self) -> None:
        self.papers = 0
        """How many papers are dead."""
        self._counts: dict[str, Counter[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> "DeletedWords":
        """Those of a words folder; none if no paper is dead.

        Raises:
            IndexDamaged: if the file cannot be read.
        """
        deleted = cls()
        file = folder / FILE
        if not file.exists():
            return deleted
        try:
            record: dict[str, Any] = orjson.loads(file.read_bytes())
            deleted.papers = int(record["papers"])
            deleted._counts = {field: Counter(counts) for field, counts in record["counts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexDamaged(f"{file} cannot be read ({error})", remedy="build-again") from None
        return deleted

    def count(self, field: str, term: str) -> int:
        """How many dead papers have a term in a field."""
        counts = self._counts.get(field)
        return counts[term] if counts else 0

    def add(self, terms: Mapping[str, Sequence[str]]) -> None:
        """Count a paper by the terms of each of its fields."""
        self.papers += 1
        for field, words in terms.items():
            self._counts.setdefault(field, Counter()).update(set(words))

    def write(self, folder: Path) -> None:
        """Write the file anew: the one that is there may be shared with an earlier folder.

        Raises:
            OSError: if it cannot be written.
        """
        (folder / FILE).unlink(missing_ok=True)
        if self.papers:
            record = {"papers": self.papers, "counts": self._counts}
            (folder / FILE).write_bytes(orjson.dumps(record))

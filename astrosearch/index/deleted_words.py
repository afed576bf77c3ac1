"""How often words stand in papers that were deleted.

The engine goes on counting the words of a deleted paper until it merges the segment that holds it.
Weights must not depend on that, so what it counts too much is kept beside its files.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from astrosearch.errors import IndexDamaged

FILE = "deleted.json"


class DeletedWords:
    """The deleted papers that the engine still counts, by its segments."""

    def __init__(self) -> None:
        self._papers: Counter[str] = Counter()
        self._terms: dict[str, dict[str, Counter[str]]] = {}
        self._totals: dict[str, Counter[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> "DeletedWords":
        """Those of a words folder; none if none was deleted.

        Raises:
            IndexDamaged: if the file cannot be read.
        """
        deleted = cls()
        file = folder / FILE
        if not file.exists():
            return deleted
        try:
            segments: dict[str, Any] = orjson.loads(file.read_bytes())
            for segment, record in segments.items():
                deleted._papers[segment] = int(record["papers"])
                deleted._terms[segment] = {
                    field: Counter(counts) for field, counts in record["terms"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexDamaged(f"{file} cannot be read ({error})", remedy="build-again") from None
        return deleted

    @property
    def papers(self) -> int:
        """How many there are."""
        return self._papers.total()

    def count(self, field: str, term: str) -> int:
        """How many of them have a term in a field."""
        if field not in self._totals:
            self._totals[field] = sum(
                (terms.get(field, Counter()) for terms in self._terms.values()), Counter()
            )
        return self._totals[field][term]

    def add(self, segment: str, terms: Mapping[str, Sequence[str]]) -> None:
        """Count a paper.

        Args:
            segment: the engine's segment that has the paper.
            terms: of each field.
        """
        self._papers[segment] += 1
        fields = self._terms.setdefault(segment, {})
        for field, words in terms.items():
            fields.setdefault(field, Counter()).update(set(words))
        self._totals.clear()

    def write(self, folder: Path, segments: Iterable[str]) -> None:
        """Write those of the segments that are still there. The file is never changed: it may be
        shared with an earlier folder.

        Raises:
            OSError: if it cannot be written.
        """
        remaining = {
            segment: {"papers": self._papers[segment], "terms": self._terms[segment]}
            for segment in segments
            if segment in self._terms
        }
        (folder / FILE).unlink(missing_ok=True)
        if remaining:
            (folder / FILE).write_bytes(orjson.dumps(remaining))

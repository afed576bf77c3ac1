"""arXiv as a source: the names of its sets, and what fetching all of one takes."""

from dataclasses import dataclass
from datetime import date

EARLIEST = date(2005, 9, 16)
"""The earliest day of change of arXiv's records: older ones count as changed then."""

_PHYSICS = {
    "astro-ph",
    "cond-mat",
    "gr-qc",
    "hep-ex",
    "hep-lat",
    "hep-ph",
    "hep-th",
    "math-ph",
    "nlin",
    "nucl-ex",
    "nucl-th",
    "physics",
    "quant-ph",
}
"""The archives of the group `physics` (https://arxiv.org/category_taxonomy). Each other archive is
a group by itself."""


def group(category: str) -> str:
    """The set of the group to which a category belongs, in OAI-PMH's spelling.

    >>> group("astro-ph.GA")
    'physics'
    """
    archive = category.partition(".")[0]
    return "physics" if archive in _PHYSICS else archive


def set_spec(category: str) -> str:
    """The set of a category or an archive, in OAI-PMH's spelling: group, archive, category
    (https://info.arxiv.org/help/oa/index.html).

    >>> set_spec("astro-ph"), set_spec("astro-ph.GA"), set_spec("cs.LG")
    ('physics:astro-ph', 'physics:astro-ph:GA', 'cs:cs:LG')
    """
    archive, _, subject = category.partition(".")
    return ":".join(filter(None, (group(category), archive, subject)))


_RECORDS = {"astro-ph": 450_000, "": 2_900_000}
"""Records that changed from `EARLIEST` to the end of 2025, in an archive and in all of arXiv: each
counts on the day of its last change alone (https://arxiv.org/archive/astro-ph has the papers of
each year)."""
_DAYS = (date(2025, 12, 31) - EARLIEST).days

PAGE = 1_000
"""Records of a page, about."""

_RECORD_BYTES = 2_600
"""Of a record in the format arXivRaw, as it is sent: 1,900 of its texts (the mean of 56,307 of
astro-ph), the rest XML."""

_INDEXED_BYTES = 4_200
"""Of a paper in an index with the default encoder: 236 MB for 56,307."""

_ANSWER = 5.0
"""Seconds until a page has come; arXiv takes from two to ten."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a harvest takes, roughly."""

    pages: int
    megabytes: float
    """That are fetched."""
    index_megabytes: float
    """Of the index, with the default encoder."""
    minutes: float
    is_most: bool
    """Whether it is an upper bound: how large the archive is is not known here."""

    def __str__(self) -> str:
        quantity = "at most" if self.is_most else "about"
        return (
            f"{quantity} {self.pages:,} pages of {PAGE:,} records, {self.megabytes:,.0f} MB to "
            f"fetch in {self.minutes:,.0f} minutes, an index of {self.index_megabytes:,.0f} MB"
        )


def estimate(category: str, since: date, until: date, pause: float) -> Estimate:
    """What it takes to fetch the records that changed between two days.

    Args:
        pause: seconds between requests.
    """
    archive = category.partition(".")[0]
    is_known = category in _RECORDS
    records = _RECORDS.get(archive, _RECORDS[""])
    share = max((until - max(since, EARLIEST)).days + 1, 1) / _DAYS
    pages = max(1, round(records * share / PAGE))
    return Estimate(
        pages,
        max(1.0, pages * PAGE * _RECORD_BYTES / 1e6),
        max(1.0, pages * PAGE * _INDEXED_BYTES / 1e6),
        max(1.0, pages * (pause + _ANSWER) / 60),
        not is_known,
    )

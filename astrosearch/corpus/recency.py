"""Which of two records of a paper is the later, and whether a withdrawal came after a record."""

from datetime import date
from typing import TypeVar

from astrosearch.papers import Paper


def withdrawal(paper: Paper) -> tuple[int, date]:
    """Version and day of a withdrawal; 0 and the last of days where they are not known."""
    return paper.version or 0, paper.updated or (paper.published if paper.version else date.max)


Day = TypeVar("Day", date, str)


def ends(withdrawal: tuple[int, Day], record: tuple[int, Day]) -> bool:
    """Whether a withdrawal is not older than a record of its paper: by version if both have one,
    else by day.

    Args:
        withdrawal: version and day, as a date or written YYYY-MM-DD.
        record: the same of the record, as `recency` gives them.
    """
    both_have_versions = withdrawal[0] and record[0]
    return withdrawal >= record if both_have_versions else withdrawal[1] >= record[1]


def recency(paper: Paper) -> tuple[int, date]:
    """Version and day of a record: what is larger for the later of two records of a paper."""
    return paper.version or 0, paper.updated or paper.published

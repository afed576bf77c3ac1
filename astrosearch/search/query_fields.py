"""What a field of a query requires: `author:Lee`, `year:2015-2020`, `pubdate:[2016-01 TO *]`."""

import re
from datetime import date

from astrosearch.corpus.filters import Filters, read_day
from astrosearch.errors import InputError
from astrosearch.search.conditions import RequiredPhrase

_YEARS = re.compile(r"(?P<first>\d{4})?(?:(?P<dash>[-–]|\.\.)(?P<last>\d{4})?)?", re.ASCII)
_BETWEEN = re.compile(r"[\[{]?\s*(\S+?)\s+TO\s+(\S+?)\s*[\]}]?", re.IGNORECASE)


def condition_of(field: str, words: str) -> RequiredPhrase | Filters:
    """The condition of a field, of those in `query_tokens.FIELDS` that have one; of an empty field
    that of a phrase.

    Raises:
        InputError: if there is no such year, category or name.
    """
    match field:
        case "title":
            return RequiredPhrase(words, ("title",))
        case "abs":
            return RequiredPhrase(words, ("abstract",))
        case "author":
            return Filters(author=words)
        case "first_author":
            return Filters(author=f"^{words.removeprefix('^')}")
        case "cat":
            return Filters(category=words.removesuffix(".*"))
        case "year" | "pubdate":
            return _days(field, words)
        case _:
            return RequiredPhrase(words)


def _days(field: str, words: str) -> Filters:
    """The days of `2016`, `2015-2020`, `2016-05`, `[2016-01 TO 2018-12]`."""
    if between := _BETWEEN.fullmatch(words):
        first, last = between[1], between[2]
    elif (years := _YEARS.fullmatch(words)) and (years["first"] or years["last"]):
        first = years["first"] or "*"
        last = years["last"] or ("*" if years["dash"] else first)
    else:
        first = last = words
    since, until = _day(first, is_last=False), _day(last, is_last=True)
    if since is None or until is None:
        example = "2016, 2015-2020, 2015- or -2020"
        if field == "pubdate":
            example = "2016, 2016-05 or [2016-01 TO 2018-12]"
        raise InputError(
            f"{field}:{words} is not a {'year' if field == 'year' else 'date'}: "
            f"write {field}:{example}"
        )
    if since > until:
        raise InputError(f"{field}:{words} ends before it begins")
    return Filters(
        since=None if since == date.min else since, until=None if until == date.max else until
    )


def _day(text: str, *, is_last: bool) -> date | None:
    """The first or the last day of a year or month, or an open end; None if it is neither."""
    if text == "*":
        return date.max if is_last else date.min
    return read_day(text, is_last=is_last)

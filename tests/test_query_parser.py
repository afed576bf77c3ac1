"""The query language: what is a condition, what a filter, and what plain words."""

from datetime import date

import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.query_parser import ParsedQuery, RequiredPhrase, parse


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("tidal  tails", ParsedQuery("tidal tails")),
        (
            '"tidal tails" in mergers',
            ParsedQuery("tidal tails in mergers", (RequiredPhrase("tidal tails"),)),
        ),
        (
            "the “missing satellite” problem",
            ParsedQuery("the missing satellite problem", (RequiredPhrase("missing satellite"),)),
        ),
        (
            'title:NGC1068 jets abs:"dust torus"',
            ParsedQuery(
                "NGC1068 jets dust torus",
                (
                    RequiredPhrase("NGC1068", ("title",)),
                    RequiredPhrase("dust torus", ("abstract",)),
                ),
            ),
        ),
        ("spin author:hofmann", ParsedQuery("spin", (), (Filters(author="hofmann"),))),
        ('author:"Hofmann, F" spin', ParsedQuery("spin", (), (Filters(author="Hofmann, F"),))),
        ("dust cat:astro-ph.GA", ParsedQuery("dust", (), (Filters(category="astro-ph.GA"),))),
        (
            "dust year:2016",
            ParsedQuery("dust", (), (Filters(since=date(2016, 1, 1), until=date(2016, 12, 31)),)),
        ),
        (
            "Year:2015-2020 dust",
            ParsedQuery("dust", (), (Filters(since=date(2015, 1, 1), until=date(2020, 12, 31)),)),
        ),
        ("dust year:2015-", ParsedQuery("dust", (), (Filters(since=date(2015, 1, 1)),))),
        ("dust year:-2015", ParsedQuery("dust", (), (Filters(until=date(2015, 12, 31)),))),
        (
            "dust (year:2016), [cat:astro-ph.GA]",
            ParsedQuery(
                "dust",
                (),
                (
                    Filters(since=date(2016, 1, 1), until=date(2016, 12, 31)),
                    Filters(category="astro-ph.GA"),
                ),
            ),
        ),
        (
            "dust year:2015–2020",
            ParsedQuery("dust", (), (Filters(since=date(2015, 1, 1), until=date(2020, 12, 31)),)),
        ),
        (
            "dust author:lee author:wu",
            ParsedQuery("dust", (), (Filters(author="lee"), Filters(author="wu"))),
        ),
    ],
)
def test_a_query_is_understood(typed: str, expected: ParsedQuery) -> None:
    assert parse(typed) == expected


@pytest.mark.parametrize(
    "typed",
    [
        "Hubble's constant: a review",
        "z: 7",
        '"unclosed',
        'title:"unclosed words',
        'a 5" aperture and a 3" slit',
        "foo:bar",
        "title: dust",
        "subtitle:dust",
        '"$\\sim$" dust',
        "abs:$\\rm dust$",
        'author:""',
        '""',
        '"',
        ":",
        "[ ( \\ AND OR NOT",
        "🙂:🙂",
        "",
    ],
)
def test_what_is_no_condition_is_plain_words(typed: str) -> None:
    assert parse(typed) == ParsedQuery(typed)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("dust year:abc", "year:abc is not a year: write year:2016"),
        ("dust year:20152016", "year:20152016 is not a year"),
        ("dust year:2020-2015", "year:2020-2015 ends before it begins"),
        ("dust year:0000", "year:0000 is not a year"),
        ("dust cat:7", "'7' is not a category"),
        ("dust author:F", "'F' does not name an author"),
        ("author:hofmann year:2016", "only filters: add words"),
    ],
)
def test_a_filter_that_says_nothing_is_one_line(typed: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(typed)

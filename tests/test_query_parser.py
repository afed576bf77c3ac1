"""The query language: what is a condition, what a filter, and what plain words."""

from datetime import date

import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.conditions import Excluded, RequiredPhrase
from astrosearch.search.query_parser import ParsedQuery, parse

IN_TITLE = RequiredPhrase("dust", ("title",))


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
        ("spin author:hofmann", ParsedQuery("spin", (Filters(author="hofmann"),))),
        ('author:"Hofmann, F" spin', ParsedQuery("spin", (Filters(author="Hofmann, F"),))),
        ("dust cat:astro-ph.GA", ParsedQuery("dust", (Filters(category="astro-ph.GA"),))),
        (
            "dust year:2016",
            ParsedQuery("dust", (Filters(since=date(2016, 1, 1), until=date(2016, 12, 31)),)),
        ),
        (
            "Year:2015-2020 dust",
            ParsedQuery("dust", (Filters(since=date(2015, 1, 1), until=date(2020, 12, 31)),)),
        ),
        ("dust year:2015-", ParsedQuery("dust", (Filters(since=date(2015, 1, 1)),))),
        ("dust year:-2015", ParsedQuery("dust", (Filters(until=date(2015, 12, 31)),))),
        (
            "dust (year:2016), [cat:astro-ph.GA]",
            ParsedQuery(
                "dust",
                (
                    Filters(since=date(2016, 1, 1), until=date(2016, 12, 31)),
                    Filters(category="astro-ph.GA"),
                ),
            ),
        ),
        (
            "dust year:2015–2020",
            ParsedQuery("dust", (Filters(since=date(2015, 1, 1), until=date(2020, 12, 31)),)),
        ),
        ("author: Lee dust", ParsedQuery("dust", (Filters(author="Lee"),))),
        ("au:Lee ti:dust", ParsedQuery("dust", (Filters(author="Lee"), IN_TITLE))),
        ("title: dust", ParsedQuery("dust", (IN_TITLE,))),
        ("author:van Dyk spin", ParsedQuery("spin", (Filters(author="van Dyk"),))),
        ("author:Mac Coy spin", ParsedQuery("spin", (Filters(author="Mac Coy"),))),
        ("author:in 't Veld spin", ParsedQuery("spin", (Filters(author="in 't Veld"),))),
        ("author:Lee, Y.-S. spin", ParsedQuery("spin", (Filters(author="Lee, Y.-S."),))),
        ("author:Lee, Y spin", ParsedQuery("spin", (Filters(author="Lee, Y"),))),
        ("author:Lee, AGN spin", ParsedQuery("AGN spin", (Filters(author="Lee"),))),
        ("author:^Lee spin", ParsedQuery("spin", (Filters(author="^Lee"),))),
        ('author:"^Lee, Y"', ParsedQuery("", (Filters(author="^Lee, Y"),))),
        ('author:^"Lee, Y"', ParsedQuery("", (Filters(author="^Lee, Y"),))),
        ("first_author:Lee spin", ParsedQuery("spin", (Filters(author="^Lee"),))),
        (
            "title:(dust gas)",
            ParsedQuery("dust gas", (IN_TITLE, RequiredPhrase("gas", ("title",)))),
        ),
        (
            "author:(Lee; Wu)",
            ParsedQuery("", (Filters(author="Lee"), Filters(author="Wu"))),
        ),
        ("author:lee", ParsedQuery("", (Filters(author="lee"),))),
        ("dust -gas", ParsedQuery("dust", (Excluded(RequiredPhrase("gas")),))),
        ("dust NOT gas", ParsedQuery("dust", (Excluded(RequiredPhrase("gas")),))),
        ('dust -"cold gas"', ParsedQuery("dust", (Excluded(RequiredPhrase("cold gas")),))),
        ("dust -title:dust", ParsedQuery("dust", (Excluded(IN_TITLE),))),
        ("dust -author:Lee", ParsedQuery("dust", (Excluded(Filters(author="Lee")),))),
        ("dust AND gas", ParsedQuery("dust gas")),
        (
            "dust author:lee author:wu",
            ParsedQuery("dust", (Filters(author="lee"), Filters(author="wu"))),
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
        "subtitle:dust",
        "The Heliophysical Year: 2007",
        "[Fe/H] of -1 and X -ray gas",
        "DUST NOT GAS AND -ICE",
        " ".join(["pasted"] * 30) + " -word NOT gas",
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
    ],
)
def test_a_filter_that_says_nothing_is_one_line(typed: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(typed)


@pytest.mark.parametrize(
    ("typed", "kind", "arxiv_id"),
    [
        ("2306.01003", "arXiv identifier", "2306.01003"),
        ("https://arxiv.org/abs/2306.01003v2", "arXiv identifier", "2306.01003"),
        ("(arXiv:2306.01003).", "arXiv identifier", "2306.01003"),
        ("2306.\u200b01003", "arXiv identifier", "2306.01003"),
        ("doi:10.48550/arXiv.2306.01003", "arXiv identifier", "2306.01003"),
        ("https://doi.org/10.3847/2041-8213/ab1234", "DOI", None),
        ("2023arXiv230601003N", "bibcode", "2306.01003"),
        ("2012arXiv1204.1234K", "bibcode", "1204.1234"),
        ("1994astro.ph..1008M", "bibcode", "astro-ph/9401008"),
        ("1998hep.ph...11234K", "bibcode", "hep-ph/9811234"),
        (
            "https://ui.adsabs.harvard.edu/abs/2023arXiv230601003N/abstract",
            "bibcode",
            "2306.01003",
        ),
        ("2015ApJ...798..100X", "bibcode", None),
    ],
)
def test_an_identifier_alone_is_told(typed: str, kind: str, arxiv_id: str | None) -> None:
    identifier = parse(typed).identifier
    assert identifier is not None
    assert (identifier.kind, identifier.arxiv_id) == (kind, arxiv_id)


@pytest.mark.parametrize("typed", ["1215.6701", "dust 2306.01003", "10.5 kpc", "spectroscopicals"])
def test_other_numbers_and_words_are_no_identifiers(typed: str) -> None:
    assert parse(typed).identifier is None


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("dust OR gas", "OR has no meaning here"),
        ("keyword:dust gas", "keyword: has no meaning here"),
        ("doi:nonsense", "nonsense is taken for a word"),
        ("dust author:Ries*", "the * of Ries* has no meaning here"),
    ],
)
def test_what_has_no_meaning_here_is_said(typed: str, note: str) -> None:
    [said] = parse(typed).notes
    assert note in said

"""The query language: what is a condition, what a filter, and what plain words."""

import random
import time
from contextlib import suppress
from datetime import date

import pytest

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.conditions import Excluded, RequiredPhrase, described
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
        ("author:degli Esposti gas", ParsedQuery("gas", (Filters(author="degli Esposti"),))),
        ("author:Do orbits", ParsedQuery("orbits", (Filters(author="Do"),))),
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
        'a 5" aperture and a 3" slit',
        "The Heliophysical Year: 2007",
        "[Fe/H] of -1 and X -ray gas",
        " ".join(["pasted"] * 30) + " -word NOT gas",
        '""',
        '"',
        ":",
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


NO_MEANING = "has no meaning here"
LEFT_OUT = "has no meaning here and is left out"
WORDS = "what follows is plain words"
OR_OF_WORDS = "OR has no meaning between plain words"
LOOKED_UP = "an identifier is looked up where it is the whole query"

IN_ADS = [
    # typed; the words that rank papers; conditions; a part of each note
    ('author:"Lee, A" year:2016-2020', "", ["author Lee, A", "since 2016-01-01, until 2020-12-31"]),
    ('author:"^Lee, A" dust', "dust", ["author ^Lee, A"]),
    ("author:^Lee dust", "dust", ["author ^Lee"]),
    ('first_author:"Lee, A"', "", ["author ^Lee, A"]),
    ("author : Lee", "", ["author Lee"]),
    ("author: Lee, A. B. dust", "dust", ["author Lee, A. B."]),
    ('dust author:"Lee, A" -author:Wu', "dust", ["author Lee, A", "not author Wu"]),
    ("au:de_wit ANDNOT ti:checkerboard", "", ["author de_wit", 'not title:"checkerboard"']),
    ("author:Lee NOT author:Wu", "", ["author Lee", "not author Wu"]),
    ("author:Lee AND NOT author:Wu", "", ["author Lee", "not author Wu"]),
    ("author:Lee AND author:Wu", "", ["author Lee", "author Wu"]),
    ("author:Lee OR author:Wu", "", ["author Lee or author Wu"]),
    ("author:lee or author:wu dust", "dust", ["author lee or author wu"]),
    ("AUTHOR:LEE OR AUTHOR:WU", "", ["author LEE or author WU"]),
    ("(author:Lee OR author:Wu) year:2016", "", [
        "author Lee or author Wu", "since 2016-01-01, until 2016-12-31",
    ]),
    ("author:Lee OR author:Wu AND cat:gr-qc", "", [
        "author Lee or (author Wu and category gr-qc)",
    ]),
    ('author:("Lee, A" OR "Wu, B") AND title:dust', "dust", [
        "author Lee, A or author Wu, B", 'title:"dust"',
    ]),
    ("author:(Lee OR Wu)", "", ["author Lee or author Wu"]),
    ("author:(Lee or van Dyk)", "", ["author Lee or author van Dyk"]),
    ('author:("Lee, A"; "Wu, B")', "", ["author Lee, A", "author Wu, B"]),
    ('author:("Lee, A" AND NOT "Wu, B")', "", ["author Lee, A", "not author Wu, B"]),
    ("dust NOT author:Lee", "dust", ["not author Lee"]),
    ("dust not author:Lee", "dust", ["not author Lee"]),
    ("-author:Lee", "", ["not author Lee"]),
    ('dust -"cold gas"', "dust", ['not "cold gas"']),
    ("dust -gas, -ice", "dust", ['not "gas"', 'not "ice"']),
    ("dust -(gas OR ice)", "dust", ['not ("gas" or "ice")']),
    ("dust NOT (gas ice)", "dust", ['not ("gas" and "ice")']),
    ("dust -(author:Lee AND year:2016)", "dust", [
        "not (author Lee and since 2016-01-01, until 2016-12-31)",
    ]),
    ("NOT NOT dust", "dust", []),
    ("title:(dark energy)", "dark energy", ['title:"dark"', 'title:"energy"']),
    ("title:(the dark AND energy)", "dark energy", ['title:"dark"', 'title:"energy"']),
    ("title:(dark OR energy)", "dark energy", ['title:"dark" or title:"energy"']),
    ("title:(dark -energy)", "dark", ['title:"dark"', 'not title:"energy"']),
    ('title:("dark energy" OR quintessence)', "dark energy quintessence", [
        'title:"dark energy" or title:"quintessence"',
    ]),
    ("abs:(nova OR kilonova) AND ti:dust", "nova kilonova dust", [
        'abs:"nova" or abs:"kilonova"', 'title:"dust"',
    ]),
    ('"dark energy" OR abs:quintessence', "dark energy quintessence", [
        '"dark energy" or abs:"quintessence"',
    ]),
    ('"dark energy" or "dark matter"', "dark energy dark matter", [
        '"dark energy" or "dark matter"',
    ]),
    ("author:Lee AND (ti:dust OR (abs:gas AND NOT abs:ice))", "dust gas", [
        "author Lee", 'title:"dust" or (abs:"gas" and not abs:"ice")',
    ]),
    ("(author:Lee dust) OR (author:Wu gas)", "dust gas", ["author Lee or author Wu"]),
    ("author:Lee,title:dust", "dust", ["author Lee", 'title:"dust"']),
    ("title:H(z)", "H(z)", ['title:"H(z)"']),
    ("+dust gas", "dust gas", ['"dust"']),
    ("dust && gas", "dust gas", []),
    ("pubdate:[2016-01 TO 2018-11]", "", ["since 2016-01-01, until 2018-11-30"]),
    ("pubdate:[2016-03 TO *] dust", "dust", ["since 2016-03-01"]),
    ("pubdate:2016-02", "", ["since 2016-02-01, until 2016-02-29"]),
    ("pubdate:2016-00-00", "", ["since 2016-01-01, until 2016-12-31"]),
    ("pubdate:2016-12", "", ["since 2016-12-01, until 2016-12-31"]),
    ("year:[2016 TO 2018]", "", ["since 2016-01-01, until 2018-12-31"]),
    ("year:2016..2018", "", ["since 2016-01-01, until 2018-12-31"]),
    ("year:2016 OR year:2018", "", [
        "since 2016-01-01, until 2016-12-31 or since 2018-01-01, until 2018-12-31",
    ]),
    ("arxiv_class:astro-ph.CO dust", "dust", ["category astro-ph.CO"]),
    ("cat:astro-ph.* dust", "dust", ["category astro-ph"]),
    ("cat:gr-qc OR cat:astro-ph.CO", "", ["category gr-qc or category astro-ph.CO"]),
    # what is not understood
    ("dust OR gas", "dust gas", [], OR_OF_WORDS),
    ("dust || gas", "dust gas", [], OR_OF_WORDS),
    ("(dust OR gas) AND author:Lee", "dust gas", ["author Lee"], OR_OF_WORDS),
    ("dust OR author:Lee", "dust Lee", [], "hits need not meet the condition"),
    ("OR author:Lee", "", ["author Lee"], "OR has nothing to join"),
    ("author:Lee AND", "", ["author Lee"], "AND has nothing to join"),
    ("DUST NOT GAS", "DUST NOT GAS", [], "NOT is a plain word where all is in capitals"),
    ('dust full:"cold torus"', "dust cold torus", [], WORDS),
    ("keyword:dust gas", "dust gas", [], WORDS),
    ("all:electron", "electron", [], WORDS),
    ('object:"M 31" dust', "M 31 dust", [], WORDS),
    ("dust property:refereed", "dust", [], LEFT_OUT),
    ("dust AND property:(refereed OR eprint)", "dust", [], LEFT_OUT),
    ("bibstem:ApJ author:Lee", "", ["author Lee"], LEFT_OUT),
    ("citation_count:[10 TO *] dust", "dust", [], LEFT_OUT),
    ("entdate:[NOW-7DAYS TO NOW] dust", "dust", [], LEFT_OUT),
    ('aff:"a place" dust', "dust", [], LEFT_OUT),
    ("database:astronomy title:dust", "dust", ['title:"dust"'], LEFT_OUT),
    ("submittedDate:[202001010600 TO 202101010600] AND cat:gr-qc", "", ["category gr-qc"],
     LEFT_OUT),
    ('dust citations(author:"Lee, A" year:2011)', "dust", [], "citations(…) has no meaning"),
    ("references(bibcode:2011ApJ...730..119R) dust", "dust", [], "references(…) has no"),
    ('pos(author:"Lee, A", 1) gas', "gas", [], "pos(…) has no meaning"),
    ("galax* evolution", "galax evolution", [], "there are no wildcards here"),
    ("gal?xy", "gal?xy", [], "there are no wildcards here"),
    ("title:galax*", "galax", [], "there are no wildcards here"),
    ("title:/dark.*/ gas", "dark. gas", [], "there are no wildcards here"),
    ("dust author:Le*", "dust", ["author Le*"], "the * of Le* has no meaning here"),
    ("galaxy~2", "galaxy", [], "~2 has no meaning here"),
    ('"dark energy"~5', "dark energy", ['"dark energy"'], "~5 has no meaning here"),
    ("title:dust^2 gas", "dust gas", ['title:"dust"'], "^2 has no meaning here"),
    ("dark NEAR5 energy", "dark energy", [], "NEAR5 has no meaning here"),
    ('=author:"Lee, A"', "", ["author Lee, A"], "= has no meaning here"),
    ("arxiv:2306.01003 dust", "2306.01003 dust", [], LOOKED_UP),
    ("2306.01003 dust", "2306.01003 dust", [], LOOKED_UP),
    ("doi:nonsense", "nonsense", [], LOOKED_UP),
    ('title:"dark energy', "dark energy", [], "title: is not followed by what it asks for"),
    ('author:"Lee', "Lee", [], "author: is not followed by what it asks for"),
    ('"dark energy', "dark energy", [], "is not closed"),
    ("title:(dark energy", "dark energy", [], "the bracket behind title: is not closed"),
    ("autor:Lee", "autor:Lee", [], "autor: is not a field here"),
    ("subtitle:dust", "subtitle:dust", [], "subtitle: is not a field here"),
    ("2306.1003", "2306.1003", [], "is not an arXiv identifier: 2023 has 5 digits"),
    ("0601001", "0601001", [], "lacks its archive"),
]  # fmt: skip


@pytest.mark.parametrize("example", IN_ADS, ids=lambda example: str(example[0]))
def test_the_language_of_ads_has_its_meaning_or_a_note_says_that_it_has_none(
    example: tuple[str, str, list[str]] | tuple[str, str, list[str], str],
) -> None:
    typed, text, conditions, *notes = example
    query = parse(typed)
    assert query.text == text
    assert [described(condition) for condition in query.conditions] == conditions
    assert len(query.notes) == len(notes)
    for note, part in zip(query.notes, notes, strict=True):
        assert part in note


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("property:refereed", "property: has no meaning here"),
        ("citations(author:Lee)", "citations(…) has no meaning here"),
        ("title:()", "nothing stands in the brackets behind title:"),
        ('author:""', "author: is not followed by what it asks for"),
        ("pubdate:[2016-13 TO 2018]", "is not a date: write pubdate:2016, 2016-05 or"),
        ("pubdate:2016-02-30", "is not a date"),
        ("year:>2016", "year:>2016 is not a year"),
        ("author:(F OR Lee)", "'F' does not name an author"),
        ("2306.01003, 2306.01004", "these are 2 identifiers: ask for one at a time"),
    ],
)
def test_a_query_of_nothing_that_has_a_meaning_is_refused(typed: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(typed)
    assert part in str(caught.value)


OPERANDS = ("AND OR NOT ANDNOT and or not && || - + = ( ) (( )) title:( author:( -( \" “ * ~2 ^3 "
            "dust author:Lee title:x year:2016 \"a b\" citations( [ ] { } , ; : \\ $x$ 2306.01003 "
            "a:b 🙂 \0").split(" ")  # fmt: skip


def test_no_mixture_of_operators_and_brackets_is_a_traceback() -> None:
    generator = random.Random(0)
    understood = 0
    for _ in range(5_000):
        typed = generator.choice((" ", "")).join(
            generator.choices(OPERANDS, k=generator.randint(1, 8))
        )
        with suppress(InputError):
            query = parse(typed)
            understood += 1
            assert query.text or query.conditions or not typed.strip(), typed
    assert understood > 3_000


@pytest.mark.parametrize("sign", ["(", "NOT ", "-(", "title:(", "citations(", '"', "author:"])
def test_a_query_of_one_sign_many_times_is_read_at_once(sign: str) -> None:
    began = time.thread_time()
    with suppress(InputError):
        parse(sign * 10_000 + "dust")
    assert time.thread_time() - began < 2


# --- identifiers ---

IDENTIFIERS = [
    *((typed, "arXiv identifier", "2306.01003") for typed in (
        "2306.01003", "2306.01003.", "(2306.01003)", "[arXiv:2306.01003]", "«2306.01003»",
        "2306.\u200b01003", "\ufeff2306.01003v2", "2306.01003\u00ad", "２３０６.０１００３",
        "arXiv:2306.01003v2 [astro-ph.CO]", "arXiv:2306.01003v2 [astro-ph.CO] 2 Jun 2023",
        "arXiv.2306.01003", "arXiv2306.01003", "arxiv/2306.01003", "abs/arxiv:2306.01003",
        "identifier:2306.01003", "id:2306.01003", "eprint:arXiv:2306.01003",
        "info:arxiv/2306.01003", "https://arxiv.org/abs/2306.01003v2",
        "arxiv.org/pdf/2306.01003v2.pdf#page=3", "https://export.arxiv.org/abs/2306.01003",
        "https://export.arxiv.org/api/query?id_list=2306.01003v1",
        "https://www.alphaxiv.org/overview/2306.01003v1", "https://ar5iv.org/html/2306.01003",
        "https://ar5iv.labs.arxiv.org/html/2306.01003", "https://huggingface.co/papers/2306.01003",
        "https://www.semanticscholar.org/arxiv/2306.01003", "doi:10.48550/arXiv.2306.01003",
        "https://doi.org/10.48550/ARXIV.2306.01003",
        "https://ui.adsabs.harvard.edu/abs/arXiv:2306.01003",
        "[2306.01003](https://arxiv.org/abs/2306.01003)",
        r"\href{https://arxiv.org/abs/2306.01003}{arXiv:2306.01003}",
    )),
    *((typed, "arXiv identifier", "physics/0601001") for typed in (
        "physics.space-ph/0601001", "physics/0601001v3", "physics:0601001", "physics 0601001",
        "http://xxx.example.org/abs/physics/0601001",
    )),
    *((typed, "DOI", None) for typed in (
        "10.3847/2041-8213/ab1234", "doi:10.3847/2041-8213/ab1234.", "DOI 10.3847/2041-8213/ab1234",
        'doi:"10.3847/2041-8213/ab1234"', "doi.org/10.3847/2041-8213/ab1234",
        "https://doi.org/10.3847/2041-8213/ab1234", "http://dx.doi.org/10.3847/2041-8213/ab1234",
        "https://publisher.example.org/article/10.3847/2041-8213/ab1234/pdf",
    )),
    *((typed, "bibcode", "2306.01003") for typed in (
        "2023arXiv230601003N", "https://ui.adsabs.harvard.edu/abs/2023arXiv230601003N/abstract",
        "https://ui.adsabs.harvard.edu/#abs/2023arXiv230601003N",
    )),
    ("2012arXiv1204.1234K", "bibcode", "1204.1234"),
    ("1994astro.ph..1008M", "bibcode", "astro-ph/9401008"),
    ("1998hep.ph...11234K", "bibcode", "hep-ph/9811234"),
    ("2015ApJ...798..100X", "bibcode", None),
    ("bibcode:2015ApJ...798..100X", "bibcode", None),
    ("https://ui.adsabs.harvard.edu/abs/1998A%26A...330..109S/abstract", "bibcode", None),
    ("https://ui.adsabs.harvard.edu/search/q=bibcode%3A2015ApJ...798..100X", "bibcode", None),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "kind", "arxiv_id"), IDENTIFIERS)
def test_an_identifier_alone_is_told(typed: str, kind: str, arxiv_id: str | None) -> None:
    identifier = parse(typed).identifier
    assert identifier is not None
    assert (identifier.kind, identifier.arxiv_id) == (kind, arxiv_id)
    if kind == "DOI":
        assert identifier.text == "10.3847/2041-8213/ab1234"


@pytest.mark.parametrize(
    "typed",
    [
        *("1215.6701", "dust 2306.01003", "10.5 kpc", "spectroscopicals", "version 2306 01003"),
        *("https://arxiv.org", "https://arxiv.org/list/astro-ph.GA/new", "http://example.org/x"),
        "https://example.org/2306.01003/2306.01004",
    ],
)
def test_other_numbers_words_and_addresses_are_no_identifiers(typed: str) -> None:
    assert parse(typed).identifier is None

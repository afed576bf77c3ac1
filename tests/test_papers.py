"""Identifiers in every form people write them."""

from datetime import date

import pytest

from astrosearch.errors import IdentifierError, InputError
from astrosearch.papers import ArxivId, in_category, month_of_id, normal_category, parse_id
from astrosearch.search.identifiers import identifiers_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2309.06126", ArxivId("2309.06126", None)),
        (" 2309.06126v2 ", ArxivId("2309.06126", 2)),
        ("0704.0001", ArxivId("0704.0001", None)),
        ("1412.9999v10", ArxivId("1412.9999", 10)),
        ("arXiv:2309.06126v1 [astro-ph.IM]", ArxivId("2309.06126", 1)),
        ("https://arxiv.org/abs/2309.06126", ArxivId("2309.06126", None)),
        ("https://arxiv.org/pdf/2309.06126v2.pdf", ArxivId("2309.06126", 2)),
        ("http://export.arxiv.org/abs/astro-ph/0601001v3", ArxivId("astro-ph/0601001", 3)),
        ("arxiv.org/html/2309.06126?context=astro-ph", ArxivId("2309.06126", None)),
        ("10.48550/arXiv.2309.06126", ArxivId("2309.06126", None)),
        ("https://doi.org/10.48550/arXiv.astro-ph/9311034", ArxivId("astro-ph/9311034", None)),
        ("oai:arXiv.org:astro-ph/0601001", ArxivId("astro-ph/0601001", None)),
        ("astro-ph.GA/0601001", ArxivId("astro-ph/0601001", None)),
        ("Hep-Th/9901001", ArxivId("hep-th/9901001", None)),
        ("[2309.06126].", ArxivId("2309.06126", None)),
        ("\u200b2309.06126\ufeff", ArxivId("2309.06126", None)),
        ("physics.space-ph/0601001", ArxivId("physics/0601001", None)),
        ("abs/arXiv:2309.06126v1", ArxivId("2309.06126", 1)),
        ("arXiv 2309.06126", ArxivId("2309.06126", None)),
        ("arXiv:2309.06126v1 [astro-ph.IM] 12 Sep 2023", ArxivId("2309.06126", 1)),
        ("https://ar5iv.labs.arxiv.org/html/2309.06126", ArxivId("2309.06126", None)),
        ("https://huggingface.co/papers/2309.06126", ArxivId("2309.06126", None)),
    ],
)
def test_every_common_form_is_normalised(text: str, expected: ArxivId) -> None:
    assert parse_id(text) == expected


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("0601001", "lacks its archive"),
        ("704.0001", "not an arXiv identifier"),
        ("1605.0193", "2016 has 5 digits after the point, this has 4"),
        ("1405.01930", "2014 has 4 digits after the point, this has 5"),
        ("2313.00001", "none has the year and month 2313"),
        ("0703.0001", "the year and month 0703"),
        ("astro-ph/0704001", "the year and month 0704"),
        ("foo-bar/0601001", "no archive 'foo-bar'"),
        ("", "not an arXiv identifier"),
        ("magellanic stream", "not an arXiv identifier"),
    ],
)
def test_what_is_no_identifier_is_refused_with_the_reason(text: str, fact: str) -> None:
    with pytest.raises(IdentifierError, match=fact):
        parse_id(text)


def test_the_month_is_read_from_both_schemes() -> None:
    assert month_of_id("astro-ph/9204001") == date(1992, 4, 1)
    assert month_of_id("astro-ph/0601001") == date(2006, 1, 1)
    assert month_of_id("2309.06126") == date(2023, 9, 1)


def test_an_archive_takes_in_its_subcategories_and_nothing_else() -> None:
    assert in_category(("gr-qc", "astro-ph.HE"), "astro-ph")
    assert in_category(("astro-ph",), "astro-ph")
    assert not in_category(("astro-ph",), "astro-ph.GA")
    assert not in_category(("math-ph", "astro-physics"), "astro-ph")
    assert not in_category(("gr-qc", "astro-ph.HE"), "astro-ph", primary_only=True)


def test_a_category_without_its_archive_is_named_whole() -> None:
    for text in ("CO", "co"):
        with pytest.raises(InputError, match=f"'{text}' is not a category; astro-ph.CO is one"):
            normal_category(text)
    assert normal_category("cs") == "cs"


def test_brackets_within_a_doi_belong_to_it_and_those_behind_it_do_not() -> None:
    inner = f"10.1000/a{')' * 40}b"
    found = [
        each.text for each in identifiers_in(f"https://doi.org/{inner} https://doi.org/10.1000/c))")
    ]
    assert found == [inner, "10.1000/c"]

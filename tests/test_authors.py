"""Names of authors: lists into names, names into parts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrosearch.text.author_lists import agrees
from astrosearch.text.authors import (
    Name,
    any_of,
    author_words,
    display_name,
    is_group,
    name_from_parts,
    plain_name,
    plain_names,
    split_name,
)

WORDS = st.sampled_from(
    """Anna Berg Nia Okafor Zoë Ünal Łucja Xu A. J.-P. B.C. M J. -P. Yu. MacQueen McNeil Mac Mc
    O'Brien D'Anna Qiu-Yi Jean-team B-G von De Del St. St Al Jr Jr. Iii III Et al Dr Drake Prof. On
    Others With Team Observ Lamp Collaboration Filho E EO e y ten TenBerg ﬁ Ǆuro 李
    {\\'E} $x$""".split()
)
SEPARATORS = st.sampled_from([" ", " ", " ", "\t", "\n", "\t\n", ", ", "", "-", "*"])
PARTS = st.lists(st.tuples(WORDS, SEPARATORS), max_size=4).map(
    lambda words: "".join(map("".join, words)).removesuffix(" ")
)
NAMES = st.tuples(PARTS, PARTS, st.sampled_from(["", "", "", "Jr.", "\t"])).map(list)
"""Family name, given names and suffix, mostly odd ones."""


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("C. de la Torre Ruiz", Name("C.", "de la", "Torre Ruiz", "")),
        ("Guido De Marco", Name("Guido", "De", "Marco", "")),
        ("Di Wang", Name("Di", "", "Wang", "")),
        ("Maria del Carmen Ruiz", Name("Maria del Carmen", "", "Ruiz", "")),
        ("Caio B. de S. Prado", Name("Caio B. de S.", "", "Prado", "")),
        ("Berg, Anna van der", Name("Anna", "van der", "Berg", "")),
        ("Okafor, Jr., Nia", Name("Nia", "", "Okafor", "Jr.")),
        ("Nia Okafor III", Name("Nia", "", "Okafor", "III")),
        ("Petrenko O. V.", Name("O. V.", "", "Petrenko", "")),
        ("Lamp Collaboration", Name("", "", "Lamp Collaboration", "")),
        ("et al.", Name("", "", "et al.", "")),
        ("Anna van de", Name("Anna", "van", "de", "")),
    ],
)
def test_a_name_has_parts(name: str, parts: Name) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("parts", "name", "is_plain"),
    [
        (("Xu", "Qiu-Yi"), "Qiu-Yi Xu", True),
        (("O'Brien", "J.-P. M"), "J.-P. M O'Brien", True),
        (("Okafor", "M-A."), "M-A Okafor", False),
        (("Okafor", "JR."), "Okafor JR.", False),
        (("Iii", "Anna"), "Iii, Anna", False),
        (("Others", "Anna"), "et al., Anna", False),
        (("Berg", "Prof Anna"), "Anna Berg", False),
        (("Berg", "Anna Team"), "Berg, Anna Team", False),
        (("Mac Lean", "Mordecai"), "Mordecai Mac Lean", False),
    ],
)
def test_one_look_is_enough_for_plain_names_alone(
    parts: tuple[str, str], name: str, is_plain: bool
) -> None:
    assert name_from_parts(*parts) == name
    assert plain_name(*parts, "") == (name if is_plain else "")


@given(NAMES)
def test_a_plain_name_is_what_a_closer_look_makes_of_it(parts: list[str]) -> None:
    family, *others = parts
    if name := plain_name(*parts):
        assert name_from_parts(f"{family}*", *others) == name  # the mark has to be taken off


@given(st.lists(NAMES, min_size=1, max_size=3), st.booleans())
def test_names_are_plain_together_if_each_of_them_is(names: list[list[str]], cut: bool) -> None:
    if cut:
        names[-1] = ["\t".join(names[-1][:2]), ""]
    plain = [plain_name(*parts) if len(parts) == 3 and parts[1] else "" for parts in names]
    assert plain_names(names) == (plain if all(plain) else [])


def test_a_part_that_holds_the_marks_between_parts_is_not_taken_for_two() -> None:
    assert plain_names([["Berg", "Anna", ""], ["Okafor", "Nia", ""]]) == ["Anna Berg", "Nia Okafor"]
    assert plain_names([["Berg\tAnna\t\nOkafor", "Nia", ""]]) == []
    assert plain_names([["Berg\tAnna", ""]]) == []
    with pytest.raises(TypeError):
        plain_names([["Berg", None, ""]])  # type: ignore[list-item]


@given(st.lists(st.text("ab.'", max_size=4), min_size=1), st.text("ab.'", max_size=4))
def test_a_pattern_of_words_finds_them_alone(words: list[str], other: str) -> None:
    assert bool(re.fullmatch(any_of(words), other)) == (other in words)
    assert all(re.fullmatch(any_of(words), word) for word in words)


@given(st.text(), st.text(st.characters(max_codepoint=127)))
def test_a_name_is_folded_alike_beside_names_of_other_alphabets(name: str, ascii: str) -> None:
    for author in (name, ascii):
        alone = author_words([author, "A"])
        assert author_words([author, "李"]) == alone[:-2] + "李 "
        assert author_words([author, "Á"]) == alone


def test_known_parts_come_back_from_the_stored_form() -> None:
    stored = name_from_parts("Vaziri Rad", "Ali", "V")
    assert split_name(stored) == Name("Ali", "", "Vaziri Rad", "V")
    assert display_name(stored) == "Ali Vaziri Rad V"
    assert name_from_parts("Collaboration", "for the Lamp") == "Lamp Collaboration"
    assert name_from_parts("Okafor", "Nia") == "Nia Okafor"


def test_names_that_were_cut_at_every_comma_do_not_agree_with_their_list() -> None:
    text = "Okafor, Nia, Lindqvist, Tor"
    assert not agrees(["Okafor", "Nia", "Lindqvist", "Tor"], text)
    assert agrees(["Nia Okafor", "Tor Lindqvist"], text)


def test_institutions_are_not_persons() -> None:
    assert is_group("European Space Agency")
    assert not is_group("Anna Berg")

"""Names of authors: lists into names, names into parts."""

import pytest

from astrosearch.text.author_lists import agrees
from astrosearch.text.authors import (
    Name,
    display_name,
    is_group,
    name_from_parts,
    plain_name,
    split_name,
)


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

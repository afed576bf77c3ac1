from astrosearch.text.marks import marked, terms_to_mark


def _marks(query: str, text: str) -> list[str]:
    pieces = marked(text, terms_to_mark(query))
    assert "".join(pieces) == text
    return pieces[1::2]


def test_words_are_marked_in_any_inflection() -> None:
    assert _marks("the lensed galaxy", "Lensing of GALAXIES by the galaxy") == [
        "Lensing",
        "GALAXIES",
        "galaxy",
    ]


def test_other_spellings_of_a_name_are_marked() -> None:
    assert _marks("NGC 1068", "ngc1068 and NGC-1068, not NGC 4151") == [
        "ngc1068",
        "NGC-1068",
        "NGC",
    ]
    assert _marks("H-alpha", "Hα of stars") == ["Hα"]


def test_neighbours_are_marked_as_one() -> None:
    assert _marks("magellanic stream", "A Magellanic Stream, a stream") == [
        "Magellanic Stream",
        "stream",
    ]


def test_function_words_and_single_letters_are_not_marked() -> None:
    assert _marks("a dwarf of the z = 7", "the mass of a dwarf at z") == ["dwarf"]


def test_without_words_nothing_is_marked() -> None:
    assert marked("gas of a stream", terms_to_mark("of the")) == ["gas of a stream"]

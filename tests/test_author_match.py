"""Which authors a query names."""

import pytest

from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import author_words

NAMED = [
    # Initials and given names, one by one.
    ("Okafor", "Nia Okafor"),
    ("okafor", "OKAFOR, Nia"),
    ("Okafor, N", "Nia Okafor"),
    ("Okafor, N", "N. K. Okafor"),
    ("Okafor, Nia", "N. Okafor"),
    ("Okafor, Nia", "N. K. Okafor"),
    ("Okafor, Nia Kay", "Nia Okafor"),
    ("Okafor, Nia K", "N. Kay Okafor"),
    ("Okafor, N. K.", "Nia Okafor"),
    ("Nia Okafor", "N. K. Okafor"),
    ("N. Okafor", "Nia Okafor"),
    ("okafor n", "Nia Okafor"),
    ("Okafor N. K.", "Nia Kay Okafor"),
    ("Okafor NK", "N.K. Okafor"),
    ("Okafor, NK", "Nia-Kay Okafor"),
    ("Okafor, N. K.", "NK Okafor"),
    ('"Okafor, N"', "Nia Okafor"),
    ("Okafor, N., Jr.", "Nia Okafor Jr."),
    ("Okafor Jr., N", "Nia Okafor"),
    # Hyphens, blanks, words run together.
    ("Lee, Y.-S.", "Young Sun Lee"),
    ("Lee Y. S.", "Young-Sun Lee"),
    ("Tang, Yuan-Sho", "Yuansho Tang"),
    ("Tang, Yuansho", "Yuan Sho Tang"),
    ("Barnard-Smith", "Olga Barnard-Smith"),
    ("Barnard Smith", "Olga Barnard-Smith"),
    ("Barnard-Smith, O", "Olga Barnard Smith"),
    ("Barnard Smith", "Barnard Smith, Olga"),
    ("Silva Prado", "Ana Silva Prado"),
    ("Ana Silva Prado", "Ana M. Silva Prado"),
    ("ben wang", "Ben Wang"),
    # Apostrophes and capitals.
    ("ODea", "Seán O'Dea"),
    ("O'Dea", "Sean O’Dea"),
    ("odea", "S. ODea"),
    ("O Dea, S", "Seán O'Dea"),
    ("N'Dour", "M. NDour"),
    ("d'Arco", "Livia D'Arco"),
    ("McCoy", "James Mc Coy"),
    ("DiMarco", "Guido Di Marco"),
    ("Di Marco, G", "Guido DiMarco"),
    # Particles.
    ("de Brink", "Selma E. de Brink"),
    ("De Brink, S", "Selma E. de Brink"),
    ("Brink, S. E. de", "Selma E. de Brink"),
    ("Selma de Brink", "S.E. de Brink"),
    ("van den Berg", "Hanne Van Den Berg"),
    ("Mac Coy", "M.-M. Mac Coy"),
    ("de la Torre Ruiz", "C. de la Torre Ruiz"),
    # Letters.
    ("Möller", "J. Moller"),
    ("Möller", "J. Moeller"),
    ("Moller", "J. Möller"),
    ("Moeller", "J. Möller"),
    ("Moeller", "J. Møller"),
    ("Boehm", 'K. B\\"ohm'),
    ("Böhm", 'K. B{\\"o}hm'),
    ("Gudmundsen", "Jón Guðmundsen"),
    ("Guðmundsen", "Jon Gudmundsen"),
    ("Thorsen", "B. Þorsen"),
    ("Strasser", "L. Straßer"),
    ("Straßer", "L. Strasser"),
    ("Kjaersen", "A. Kjærsen"),
    ("Aasen", "B. Åsen"),
    ("Åsen", "B. Aasen"),
    ("Nowak", "Łucja Nowak"),
    ("Łokas", "E. Lokas"),
    # One letter, one word, other scripts.
    ("Weimin E", "Weimin E"),
    ("E, Weimin", "Weimin E"),
    ("Balagop V", "Vijay Balagop V."),
    ("Balagop", "Vijay Balagop V."),
    ("Ruksana", "Ruksana"),
    ("王小明", "王小明"),
    ("Иванов, И", "И. И. Иванов"),
    # Groups.
    ("Lamp Collaboration", "the Lamp Collaboration"),
    ("The Lamp Collaboration", "Lamp collaboration"),
    ("HELP Collaboration", "H. E. L. P. Collaboration"),
    ("Lamp-LAT Collaboration", "The Lamp LAT Collaboration"),
]
NOT_NAMED = [
    ("Okafor, N", "Bob Okafor"),
    ("Okafor, Nia", "Nora Okafor"),
    ("Okafor, Nia K", "Nia L. Okafor"),
    ("Okafor, K", "N. K. Okafor"),
    ("Okafor, Nia", "Okafor"),
    ("Nia", "Nia Okafor"),
    ("Kepler, David", "David K. Singer"),
    ("Nia Okafor", "Bob Nia Okafor"),
    ("Xiao Wang", "Li Xiao Wang"),
    ("Barnard", "Olga Barnard-Smith"),
    ("Smith", "Olga Barnard-Smith"),
    ("Barnard", "Barnard Smith, Olga"),
    ("Brink", "Selma de Brink"),
    ("de Brink", "Jessica Brink"),
    ("de Brink", "M. de Val-Brink"),
    ("Dea", "Seán O'Dea"),
    ("Le Roux", "F. Leroux"),
    ("Moller", "J. Moeller"),
    ("Moeller", "J. Moller"),
    ("Lamp", "Lamp Collaboration"),
    ("Lamp Collaboration", "Torch Collaboration"),
    ("Collaboration", "Lamp Collaboration"),
    ("Lee, Y.-S.", "Sun Young Lee"),
    ("Okaf", "Nia Okafor"),
]


@pytest.mark.parametrize(("query", "author"), NAMED)
def test_a_query_names_an_author(query: str, author: str) -> None:
    assert AuthorQuery(query).matches(author)
    assert AuthorQuery(query).places(author_words(["B. Doe", author])) in (None, [1])


@pytest.mark.parametrize(("query", "author"), NOT_NAMED)
def test_a_query_does_not_name_another(query: str, author: str) -> None:
    assert not AuthorQuery(query).matches(author)
    assert AuthorQuery(query).places(author_words(["B. Doe", author])) in ([], [1])


def test_lines_of_words_tell_of_most_authors() -> None:
    lines = author_words(["Bob Doe", "Nia K. Okafor", "Ann Berg"])
    assert AuthorQuery("Okafor, N").places(lines) is None
    assert AuthorQuery("Okafor, B").places(lines) == []
    assert AuthorQuery("Berg").places(author_words(["Nia Poe Berg", "A. van Berg"])) == [0, 1]


def test_the_first_author_is_asked_for() -> None:
    names = ["Ann Doe", "Nia Okafor"]
    lines = author_words(names)
    assert AuthorQuery("Okafor").first_place(names, lines) == 1
    assert AuthorQuery("^Okafor").first_place(names, lines) is None
    assert AuthorQuery("^Okafor").places(lines) == []
    assert AuthorQuery('"^Doe, A"').first_place(names, lines) == 0
    assert AuthorQuery("^Doe").places(lines) is None


def test_particles_may_be_left_out_where_that_is_allowed() -> None:
    assert AuthorQuery("Brink").matches("Selma de Brink", particles=False)
    assert not AuthorQuery("Selma").matches("Selma de Brink", particles=False)
    assert not AuthorQuery("de").matches("Selma de Brink", particles=False)

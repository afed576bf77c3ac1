"""Which authors a query names: `papers by Hofmann on dust`, `Hofmann et al. 2016`, `hofmann`.

A word counts as a name if it occurs among the authors of the index and less often, or never, in
titles and abstracts. Most queries name nobody, and finding that out must take microseconds: long
queries are skipped, and for the others a few counts are read.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from astrosearch.search.conditions import BearsName
from astrosearch.search.paper_index import PaperIndex, Scope
from astrosearch.text.analysis import STOP_WORDS
from astrosearch.text.author_match import AuthorQuery
from astrosearch.text.authors import name_words

LONGEST_QUERY = 12
"""Words of a query in which names are looked for; a longer one is a title or an abstract."""

LONGEST_NAME = 4
"""Words of a name."""

LIKELY = 0.5
"""Certainty of a word that could be a name, where nothing else in the query says that it is."""

_INTRODUCED = frozenset(
    """paper papers article articles publication publications preprint preprints written
    authored""".split()
)
"""Words before `by` that make what follows it a name."""

_EDGES = ".,;:!?()[]{}\"'“”‘’`"
_YEAR = re.compile(r"(?:18|19|20)\d\d[a-z]?")


class AuthorName(NamedTuple):
    """A name in a query."""

    text: str
    """Family name, perhaps with given names or initials, in either order."""
    certainty: float
    """From 0 to 1; 1 where the query leaves no doubt that this is a name."""

    @property
    def words(self) -> tuple[str, ...]:
        """As they stand in the index."""
        return tuple(name_words(self.text))

    @property
    def whole_words(self) -> list[str]:
        """Those that are not initials."""
        return [word for word in self.words if len(word) > 1]

    def queries(self) -> list[AuthorQuery]:
        """What it may mean: the name as it stands, or with the family name in front."""
        first, *others = self.text.split()
        orders = [self.text, f"{first}, {' '.join(others)}"] if others else [self.text]
        return [AuthorQuery(order) for order in orders]


def named_authors(papers: PaperIndex, text: str) -> list[AuthorName]:
    """The names in a query, none twice; mostly none."""
    pieces = [piece.strip(_EDGES).removesuffix("'s").removesuffix("’s") for piece in text.split()]
    pieces = [piece for piece in pieces if piece]
    if not 0 < len(pieces) <= LONGEST_QUERY:
        return []
    return (
        _of_names_alone(papers, pieces)
        or _introduced(papers, pieces)
        or [
            AuthorName(piece, LIKELY)
            for piece in dict.fromkeys(pieces)
            if len(piece) > 2
            and piece.lower() not in STOP_WORDS
            and _borne(papers, piece)
            and not _written(papers, piece)
        ]
    )


def _of_names_alone(papers: PaperIndex, pieces: Sequence[str]) -> list[AuthorName]:
    """The names of a query that has nothing else but years: `Hofmann & Lee 2016`, `F. Hofmann`."""
    groups: list[list[str]] = [[]]
    for piece in pieces:
        if piece.lower() in ("and", "&"):
            groups.append([])
        elif not _YEAR.fullmatch(piece) and piece.lower() not in ("et", "al"):
            groups[-1].append(piece)
    names = [name for group in groups if (name := _as_name(papers, group))]
    return names if len(names) == len(groups) else []


def _as_name(papers: PaperIndex, pieces: Sequence[str]) -> AuthorName | None:
    name = AuthorName(" ".join(pieces), 1.0)
    whole = name.whole_words
    if not 0 < len(whole) <= LONGEST_NAME or not all(_borne(papers, word) for word in whole):
        return None
    if not any(_mostly_borne(papers, word) for word in whole):
        return None
    return name if _is_borne_together(papers, whole) else None


def _introduced(papers: PaperIndex, pieces: Sequence[str]) -> list[AuthorName]:
    """Names behind a `by` or in front of an `et al.`."""
    lower = [piece.lower() for piece in pieces]
    names = []
    for place, word in enumerate(lower):
        if word == "by":
            is_introduced = place > 0 and lower[place - 1] in _INTRODUCED
            name = _longest_name(papers, pieces[place + 1 :], is_introduced=is_introduced)
            names += [name] if name else []
        elif word == "et" and place and lower[place + 1 : place + 2] == ["al"]:
            family = pieces[place - 1]
            if name_words(family) and _borne(papers, family):
                names.append(AuthorName(family, 1.0))
    return list(dict.fromkeys(names))


def _longest_name(
    papers: PaperIndex, pieces: Sequence[str], *, is_introduced: bool
) -> AuthorName | None:
    """The name that a text begins with."""
    count = 0
    while count < min(len(pieces), LONGEST_NAME) and pieces[count].lower() not in STOP_WORDS:
        count += 1
    for end in range(count, 0, -1):
        name = AuthorName(" ".join(pieces[:end]), 1.0)
        whole = name.whole_words
        if (
            whole
            and all(_borne(papers, word) for word in whole)
            and (is_introduced or any(_mostly_borne(papers, word) for word in whole))
            and _is_borne_together(papers, whole)
        ):
            return name
    return None


def _is_borne_together(papers: PaperIndex, words: Sequence[str]) -> bool:
    """Whether a paper has all words among its authors' names."""
    return bool(papers.best_words(" ".join(words), 1, Scope((BearsName((tuple(words),)),))).ids)


def _borne(papers: PaperIndex, word: str) -> int:
    return papers.frequency(word, ("authors",))


def _written(papers: PaperIndex, word: str) -> int:
    return papers.frequency(word, ("title", "abstract"))


def _mostly_borne(papers: PaperIndex, word: str) -> bool:
    return _borne(papers, word) > _written(papers, word)

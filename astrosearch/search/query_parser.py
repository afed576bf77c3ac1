"""The query language: words to rank papers by, and conditions that each hit has to meet.

    "tidal tails" merger -gas title:NGC author:"Hofmann, F" year:2015-2020 cat:astro-ph.GA

Free words rank the papers. Words in quotes must stand side by side in the title or the abstract,
and words after `title:` or `abs:` must stand in that field; these words rank papers as well.
`author:`, `year:` and `cat:` are filters; brackets around them do no harm. A minus sign or NOT in
front of any of them excludes papers. A query that is an identifier asks for that paper. All other
text is free words, so a stray colon or quote does not break a query. Where it looks like the
language of ADS and has no meaning here, a note says so.
"""

import re
from dataclasses import dataclass
from datetime import date

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.identifiers import Identifier, read_identifier
from astrosearch.text import analysis


@dataclass(frozen=True, slots=True)
class RequiredPhrase:
    """Words that a paper must have side by side."""

    words: str
    fields: tuple[str, ...] = ("title", "abstract")
    """Any one of these has to hold them."""

    def __str__(self) -> str:
        where = (
            "" if len(self.fields) > 1 else {"title": "title:", "abstract": "abs:"}[self.fields[0]]
        )
        return f'{where}"{self.words}"'


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, split into its parts."""

    text: str
    """The words that rank papers, by vectors and BM25: free words and those of conditions. Empty if
    there are only filters: the answer is then the newest papers."""
    conditions: tuple[RequiredPhrase, ...] = ()
    """A hit has all of them."""
    filters: tuple[Filters, ...] = ()
    """A hit passes all of them."""
    excluded: tuple[RequiredPhrase | Filters, ...] = ()
    """A hit has none of them."""
    identifier: Identifier | None = None
    """If the query is one and nothing else."""
    notes: tuple[str, ...] = ()
    """A sentence for each part that looks like query language but has no meaning here."""


LONGEST_TYPED = 30
"""Words up to which a minus sign and NOT are operators: in a longer text, pasted from a paper, they
are mostly something else."""

_PREFIXES = {
    "title": "title",
    "ti": "title",
    "abs": "abs",
    "abstract": "abs",
    "author": "author",
    "au": "author",
    "first_author": "first_author",
    "cat": "cat",
    "year": "year",
    "doi": "identifier",
    "arxiv": "identifier",
    "bibcode": "identifier",
    "identifier": "identifier",
}
_NOT_KNOWN = frozenset(
    """ack aff all arxiv_class bibgroup bibstem body caption citation_count citations data database
    doctype entdate full grant inst keyword lang object orcid page property pubdate references
    similar trending useful volume""".split()
)
"""Fields and functions of ADS that have no meaning here
(https://ui.adsabs.harvard.edu/help/search/comprehensive-solr-term-list)."""

_VALUE = r"""["“”](?P<quoted>[^"“”]*[^\W_][^"“”]*)["“”](?=$|[\s.,;:!?)\]])"""
_SEVERAL = r"\((?P<several>[^()]*[^\W_][^()]*)\)(?=$|[\s.,;:!?)\]])"
_PARTICLES = r"""\^?(?:(?:af|al|da|dal|dalla|de|del|della|den|der|di|dos|du|el|in(?=[ ]'t)|la|las|le
    |los|mac|mc|st\.?|'t|ten|ter|van|von|zu|zur)[ ]+(?=['\w]))*"""
_GIVEN = r"(?:,[ ]+(?-i:[A-Z]\.?(?:(?:[ -]{1,2}|(?<=\.))[A-Z]\.?)*)(?![\w.'’]))?"
"""Initials behind a family name, as in `author:Lee, Y.-S.`"""
_BARE = r"""[^\s"“”(]*[^\W_][^\s"“”]*?(?=[,;)\]]*(?!\S))"""
_TERM = re.compile(
    rf"""(?<![^\s(\[])
        (?P<not> -(?=[^\W\d_"“”]|["“”]) | (?-i:NOT)\s+ )?
        (?: (?P<prefix> (?P<author>(?:first_)?author|au) | {"|".join(_PREFIXES)} )
            : (?P<gap>[ ]*) )?
        (?: {_VALUE}
          | (?(prefix){_SEVERAL}|(?!))
          | (?P<bare> (?(author){_PARTICLES}) (?(prefix){_BARE}|(?(not){_BARE}|(?!)))
              (?(author){_GIVEN}) ) )""",
    re.VERBOSE | re.IGNORECASE,
)
_CARET = re.compile(r"(?<!\S)(-?(?:author|au):[ ]*)\^[\"“]", re.IGNORECASE)
_PIECE = re.compile(r"""["“”]([^"“”]*)["“”]|(\S+)""")
_FIELD = re.compile(r"(?<!\S)-?(\w+):(?=\S)")
_AROUND_FILTERS = "()[],;"
"""What may be left of `(year:2016),` once the filter is taken out."""
_YEARS = re.compile(r"(?P<first>\d{4})?(?:(?P<dash>[-–])(?P<last>\d{4})?)?", re.ASCII)


def parse(text: str) -> ParsedQuery:
    """Read a query as typed.

    >>> query = parse('merger "tidal tails" year:2016 -gas')
    >>> query.text, [str(phrase) for phrase in query.conditions]
    ('merger tidal tails', ['"tidal tails"'])
    >>> query.filters[0].since
    datetime.date(2016, 1, 1)
    >>> [str(phrase) for phrase in query.excluded]
    ['"gas"']

    Raises:
        InputError: if a filter cannot be read, such as `year:soon`.
    """
    if identifier := read_identifier(text):
        return ParsedQuery(identifier.text, identifier=identifier)
    return _Reader(text).read()


class _Reader:
    """Takes the terms out of one query."""

    def __init__(self, text: str) -> None:
        self._text = _CARET.sub(r'\1"^', text)
        # Where all is in capitals, so are the words that would be operators.
        self._has_operators = len(text.split()) <= LONGEST_TYPED and text != text.upper()
        self._conditions: list[RequiredPhrase] = []
        self._filters: list[Filters] = []
        self._excluded: list[RequiredPhrase | Filters] = []
        self._notes: list[str] = []

    def read(self) -> ParsedQuery:
        left = _TERM.sub(self._take, self._text).split()
        if self._has_operators:
            if "OR" in left:
                self._notes.append("OR has no meaning here: papers need not have all the words")
            left = [piece for piece in left if piece not in ("AND", "OR")]
        for field in _FIELD.findall(self._text):
            if field.lower() in _NOT_KNOWN:
                self._notes.append(f"{field}: has no meaning here: what follows is plain words")
        has_terms = self._filters or self._excluded
        free = " ".join(piece for piece in left if not has_terms or piece.strip(_AROUND_FILTERS))
        return ParsedQuery(
            free,
            tuple(self._conditions),
            tuple(self._filters),
            tuple(self._excluded),
            notes=tuple(self._notes),
        )

    def _take(self, term: re.Match[str]) -> str:
        """What of a term stays among the free words."""
        field = _PREFIXES.get((term["prefix"] or "").lower(), "")
        if term["not"] and not self._is_operator(term):
            return term[0]
        if not self._is_prefix(term, field):
            return term[0]
        values = _values(term, field)
        terms = [made for value in values if (made := self._term(field, value)) is not None]
        if len(terms) < len(values) or not terms:
            return term[0]
        if term["not"]:
            self._excluded += terms
            return ""
        self._conditions += [made for made in terms if isinstance(made, RequiredPhrase)]
        self._filters += [made for made in terms if isinstance(made, Filters)]
        return " ".join(made.words for made in terms if isinstance(made, RequiredPhrase))

    def _is_operator(self, term: re.Match[str]) -> bool:
        """`gas -dust` excludes dust, `X -ray` does not exclude rays."""
        before = self._text[: term.start()].split()
        return self._has_operators and not (term["not"] == "-" and before and len(before[-1]) == 1)

    def _is_prefix(self, term: re.Match[str], field: str) -> bool:
        """`author: Lee` is a prefix, `The Heliophysical Year: 2007` is not."""
        if not term["gap"] or field in ("author", "first_author", "identifier"):
            return True
        return str(term["prefix"]).islower() or not self._text[: term.start()].strip()

    def _term(self, field: str, words: str) -> RequiredPhrase | Filters | None:
        """What a field must hold; None if the words are none."""
        match field:
            case "author" | "first_author":
                if words.endswith("*"):
                    self._notes.append(f"the * of {words} has no meaning here: names are whole")
                first = "^" if field == "first_author" and not words.startswith("^") else ""
                return Filters(author=first + words)
            case "cat":
                return Filters(category=words)
            case "year":
                return _years(words)
            case "identifier":
                self._notes.append(
                    f"{words} is taken for a word: an identifier is looked up where it is the "
                    "whole query"
                )
                return None
        if not analysis.analyze(words).terms:
            return None
        fields = {"title": ("title",), "abs": ("abstract",)}
        return RequiredPhrase(words, fields[field]) if field else RequiredPhrase(words)


def _values(term: re.Match[str], field: str) -> list[str]:
    """The words of a term: those of brackets each for itself, names of authors but by commas."""
    if term["several"] is None:
        return [" ".join((term["quoted"] or term["bare"]).split())]
    if field in ("author", "first_author"):
        return [words.strip(' "“”') for words in re.split(r";|\bAND\b", term["several"])]
    pieces = (quoted or bare for quoted, bare in _PIECE.findall(term["several"]))
    return [" ".join(piece.split()) for piece in pieces if piece not in ("AND", "OR")]


def _years(words: str) -> Filters:
    years = _YEARS.fullmatch(words)
    if not years or not (years["first"] or years["last"]):
        raise InputError(
            f"year:{words} is not a year: write year:2016, year:2015-2020, year:2015- or year:-2020"
        )
    first, last = years["first"], years["last"] or (None if years["dash"] else years["first"])
    if first and last and first > last:
        raise InputError(f"year:{words} ends before it begins")
    try:
        return Filters(
            since=date(int(first), 1, 1) if first else None,
            until=date(int(last), 12, 31) if last else None,
        )
    except ValueError:
        raise InputError(f"year:{words} is not a year: the first is 1") from None

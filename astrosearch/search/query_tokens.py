"""The tokens of a query: words, phrases in quotes, fields and values, brackets, operators."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from astrosearch.text.authors import PARTICLES

FIELDS = {
    "title": "title",
    "ti": "title",
    "abs": "abs",
    "abstract": "abs",
    "author": "author",
    "au": "author",
    "first_author": "first_author",
    "cat": "cat",
    "arxiv_class": "cat",
    "year": "year",
    "pubdate": "pubdate",
    "doi": "identifier",
    "arxiv": "identifier",
    "bibcode": "identifier",
    "identifier": "identifier",
    "id": "identifier",
    **dict.fromkeys(
        "ack all any body caption comment co full fulltext keyword kw object".split(), "words"
    ),
    **dict.fromkeys(
        """aff aff_id affil alternate_bibcode alternate_title arxiv_id author_count author_norm
        bibgroup bibstem citation citation_count citation_count_norm cite_read_boost
        classic_factor collection copyright data database date docs doctype editor eid entdate
        entry_date esources facility grant grant_agencies has inst issn issue jr lang library
        links_data list mention mention_count metadata_mtime nedid nedtype nonbib_mtime orcid
        orcid_other orcid_pub orcid_user page page_count page_range planetary_feature
        primarycategory property pub pub_raw publisher pubnote read_count reader recid ref
        reference references rn series since simbid simbtype submitteddate lastupdateddate uat
        until vizier volume""".split(),
        "unknown",
    ),
}
"""What the fields of ADS (https://ui.adsabs.harvard.edu/help/search/comprehensive-solr-term-list)
and of arXiv (https://info.arxiv.org/help/api/user-manual.html) are here, by their names in lower
case: fields with a meaning, those of which the words alone have one, and those without."""

_ALSO_WORDS = frozenset(
    """all any body caption citation co comment data database date editor full grant has inst issue
    keyword library list mention object page property pub publisher reader ref reference references
    series since until volume""".split()
)
"""Of these, words that titles have in front of a colon: in a field no blank is behind it."""

_FUNCTION = re.compile(
    r"""(citations|docs|instructive|joincitations|joinreferences|pos|references|reviews|similar
        |topn|trending|useful)\(""",
    re.IGNORECASE | re.VERBOSE,
)
"""Functions of ADS; none has a meaning here."""

_OPERATORS = {"and": "AND", "&&": "AND", "or": "OR", "||": "OR", "not": "NOT", "andnot": "NOT"}

DEEPEST = 20
"""Brackets within brackets; deeper ones are words."""

Kind = Literal["word", "phrase", "field", "function", "sign", "operator", "(", ")"]


class Token(NamedTuple):
    """A piece of a query."""

    kind: Kind
    text: str
    """As typed; of a field with brackets, up to the opening one. Of an operator: AND, OR or NOT."""
    value: str = ""
    """The words in the quotes of a phrase, or behind the colon of a field; empty if those are in
    brackets."""
    field: str = ""
    """The name of a field or a function as typed, in lower case."""
    is_quoted: bool = False

    @property
    def opens(self) -> bool:
        """Whether a group begins with it."""
        return self.kind == "(" or (self.kind == "field" and not self.value)

    @property
    def is_term(self) -> bool:
        """Whether it can be no plain word."""
        return self.kind in ("phrase", "field", "function")


_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"(?:[^\s()]|\([^\s()]*\))+|.", re.DOTALL)
_SIGN = re.compile(r"""-(?=[^\W\d_]|["“”(])|\+(?=[^\W\d_]{2}|["“”(])|=(?=["“”]|[A-Za-z_]+:)""")
_NAME = re.compile(r"([A-Za-z][A-Za-z_]+)( ?):( *)")
_QUOTED = re.compile(r"""["“”]([^"“”]*)["“”](?:~[\d.]*|\^[\d.]+)?(?=$|[\s.,;:!?)\]])""")
_RANGE = re.compile(r"[\[{]\s*[^\s\[\]{}]+\s+TO\s+[^\s\[\]{}]+\s*[\]}]", re.IGNORECASE)
_END = r"(?=[,;)\]]*(?!\S))"
_BARE = re.compile(rf"""[^\s"“”(]*[^\W_][^\s"“”]*?{_END}""")
_ALSO_NAMES = frozenset("ben bin des do in lo op te".split())
"""Particles that more often are a name of their own, or a word behind one."""
_PARTICLE = "|".join(map(re.escape, sorted(PARTICLES - _ALSO_NAMES)))
_BARE_NAME = re.compile(
    rf"""\^?[ ]?
        (?i:(?:{_PARTICLE}|in(?=[ ]'t))[ ]+(?=['\w]))*
        [^\s"“”(]*[^\W_][^\s"“”]*?
        (?:,[ ]?[A-Z]\.?(?:(?:[ -]{{1,2}}|(?<=\.))[A-Z]\.?)*(?![\w.'’]))?{_END}""",
    re.VERBOSE,
)
"""A family name with its particles in front, and perhaps initials behind a comma."""
_CARET = re.compile(r"(?<!\S)(-?(?:author|au):[ ]*)\^[\"“]", re.IGNORECASE)
"""`author:^"Lee, Y"` is `author:"^Lee, Y"`."""
_ANOTHER_FIELD = re.compile(r"[,;](?=[A-Za-z_]+:)")


def tokens_of(text: str, *, is_typed: bool) -> list[Token]:
    """Cut a query into tokens. Brackets that have no counterpart are words.

    Args:
        is_typed: whether AND, OR, NOT and signs between plain words are operators. Between fields
            and phrases they always are, also in lower case.
    """
    tokens = _without_stray_brackets(list(_scan(_CARET.sub(r'\1"^', text))))
    return list(_with_operators(tokens, is_typed=is_typed))


def _scan(text: str) -> Iterator[Token]:
    place = 0
    while True:
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        if place >= len(text):
            return
        token = _token_at(text, place)
        yield token
        place += len(token.text)


def _token_at(text: str, place: int) -> Token:
    before = text[place - 1 : place]
    if not before.strip() or before in "([-+=,;":
        if (match := _SIGN.match(text, place)) and before not in tuple("-+="):
            return Token("sign", match[0])
        if token := _field(text, place):
            return token
        if match := _FUNCTION.match(text, place):
            return Token("function", _with_bracket(text, place, match.end()), field=match[1])
        if (match := _QUOTED.match(text, place)) and any(map(str.isalnum, match[1])):
            return Token("phrase", match[0], _folded(match[1]), is_quoted=True)
        if text[place] == "[" and _field(text, place + 1):
            return Token("word", "[")
    if text[place] == "(":
        return Token("(", "(")
    if text[place] == ")":
        return Token(")", ")")
    word = _WORD.match(text, place)
    return Token("word", word[0] if word and text[place] not in ",;" else text[place])


def _field(text: str, place: int) -> Token | None:
    """A field with its value; None if it is another word with a colon."""
    match = _NAME.match(text, place)
    name = match[1].lower() if match else ""
    if not match or name not in FIELDS or not _is_field(text, match):
        return None
    start = match.end()
    bare = _BARE_NAME if FIELDS[name] in ("author", "first_author") else _BARE
    for pattern in (_QUOTED, _RANGE, bare):
        value = pattern.match(text, start)
        if not value or not any(map(str.isalnum, value[0])):
            continue
        words, end = value[0], value.end()
        if pattern is _QUOTED:
            words = value[1]
        elif pattern is bare:
            words = _ANOTHER_FIELD.split(words, maxsplit=1)[0]
            # H(z) lost its bracket to what may stand behind a value.
            words += text[end : end + 1] if words.count("(") > words.count(")") else ""
            end = start + len(words)
        return Token("field", text[place:end], _folded(words), name, pattern is _QUOTED)
    if text[start : start + 1] == "(":
        return Token("field", text[place : start + 1], field=name)
    return None


def _folded(words: str) -> str:
    return " ".join(words.split())


def _is_field(text: str, match: re.Match[str]) -> bool:
    """`author: Lee` is a field, `The Heliophysical Year: 2007` is not."""
    if not (match[2] or match[3]):
        return True
    name = match[1].lower()
    if name in _ALSO_WORDS:
        return False
    if FIELDS[name] in ("author", "identifier") and not match[2]:
        return True
    return match[1].islower() or not text[: match.start()].strip()


def _with_bracket(text: str, start: int, place: int) -> str:
    """A text from `start` to the bracket that closes what opened in front of `place`, or all."""
    depth = 1
    while place < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        place += 1
    return text[start:place]


def _without_stray_brackets(tokens: list[Token]) -> list[Token]:
    open_places: list[int] = []
    stray: set[int] = set()
    for place, token in enumerate(tokens):
        if token.opens:
            open_places.append(place)
            if len(open_places) > DEEPEST:
                stray.update(range(len(tokens)))
                break
        elif token.kind == ")":
            if open_places:
                open_places.pop()
            else:
                stray.add(place)
    stray.update(open_places)
    return [
        Token("word", token.text, field=token.field)
        if place in stray and (token.opens or token.kind == ")")
        else token
        for place, token in enumerate(tokens)
    ]


def _with_operators(tokens: list[Token], *, is_typed: bool) -> Iterator[Token]:
    """Tell operators from words; a sign that is not one belongs to the word behind it."""
    groups: list[Token] = []
    begins, ends = _begin_terms(tokens), _end_terms(tokens)
    before: Token | None = None
    sign = ""
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        if token.opens:
            groups.append(token)
        elif token.kind == ")":
            groups.pop()
        is_sure = any(group.field for group in groups)
        operator = ""
        if token.kind == "sign":
            follows_letter = before is not None and before.kind == "word" and len(before.text) == 1
            if begins[place + 1] or is_sure or (is_typed and not follows_letter):
                operator = {"-": "NOT", "+": "+", "=": "="}[token.text]
            else:
                sign = token.text
                continue
        elif token.kind == "word" and after and after.kind != ")":
            operator = _OPERATORS.get(token.text.lower(), "")
            if operator in ("AND", "OR") and (not before or before.kind == "operator"):
                operator = ""
            is_upper = token.text == token.text.upper()
            if not (is_sure or (is_typed and is_upper)) and operator:
                is_between = operator == "NOT" and after.kind == "field"
                is_between |= operator != "NOT" and ends[place - 1] and begins[place + 1]
                operator = operator if is_between else ""
        made = Token("operator", operator) if operator else token
        if sign:
            made, sign = made._replace(text=sign + made.text), ""
        yield made
        before = made if not made.opens else None


def _begin_terms(tokens: list[Token]) -> list[bool]:
    """(n + 1,) whether a field or phrase is at each place, or behind NOT or a bracket there."""
    begins = [False] * (len(tokens) + 1)
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        passes = token.kind in ("(", "sign") or token.text.lower() in ("not", "andnot")
        begins[place] = token.is_term or (passes and begins[place + 1])
    return begins


def _end_terms(tokens: list[Token]) -> list[bool]:
    """(n,) whether a field, a phrase, or a group that has one, ends at each place."""
    ends: list[bool] = []
    groups: list[bool] = []
    for token in tokens:
        if token.opens:
            groups.append(token.is_term)
            ends.append(False)
        elif token.kind == ")":
            has_term = groups.pop()
            if groups:
                groups[-1] |= has_term
            ends.append(has_term)
        else:
            if groups:
                groups[-1] |= token.is_term
            ends.append(token.is_term)
    return ends

"""The query language: words to rank papers by, and conditions that each hit has to meet.

    "tidal tails" merger -gas title:NGC author:"Hofmann, F" year:2015-2020 cat:astro-ph.GA

Free words rank the papers. Words in quotes must stand side by side in the title or the abstract,
and words after `title:` or `abs:` must stand in that field; these words rank papers as well.
`author:`, `year:`, `pubdate:` and `cat:` are filters. A minus sign or NOT in front of any of them
excludes papers, OR between them leaves the choice, and brackets group them: `author:(Lee OR Wu)`.
A query that is an identifier asks for that paper.

All other text is free words, so a stray colon or quote does not break a query. Where it looks like
the language of ADS and has no meaning here, a note says so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError
from astrosearch.search.conditions import AllOf, AnyOf, Condition, Excluded, RequiredPhrase
from astrosearch.search.identifiers import Identifier, read_identifier, why_not
from astrosearch.search.query_fields import condition_of
from astrosearch.search.query_tokens import FIELDS, Token, tokens_of
from astrosearch.text import analysis


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, split into its parts."""

    text: str
    """The words that rank papers, by vectors and BM25: free words and those of conditions. Empty if
    there are only filters: the answer is then the newest papers."""
    conditions: tuple[Condition, ...] = ()
    """A hit meets all of them."""
    identifier: Identifier | None = None
    """If the query is one and nothing else."""
    notes: tuple[str, ...] = ()
    """A sentence for each part that looks like query language but has no meaning here."""
    typed: str = field(default="", compare=False)
    """All of it, with its conditions; empty if that is not known."""


LONGEST_TYPED = 30
"""Words up to which AND, OR, NOT and signs are operators between plain words: in a longer text,
pasted from a paper, they are mostly something else."""

_IDENTIFIER = "{} is taken for a word: an identifier is looked up where it is the whole query"
_OF_AUTHORS = ("author", "first_author")

_AROUND = "()[],;:"
"""What may be left of `(year:2016),` once the filter is taken out."""

_WILDCARD = re.compile(r"[a-z]{3}\*|^\*[a-z]{3}|[a-z]\?[a-z]|^/.+/$")
_MARK = re.compile(
    r"""(?<=["“”])~[\d.]*$ | (?<=[a-z]{3})(?<!redshift)~[\d.]*$  # galaxy~2, but not redshift~2
      | (?<=["“”])\^[\d.]+$ | (?<=[a-z]{4})\^[\d.]+$            # dust^2, but not cm^2
      | ^NEAR/?\d+$""",
    re.VERBOSE,
)
_FIELD = re.compile(r"-?([a-z_]{2,}|[A-Za-z_]{2,}(?=:[\"“”])):(?!//)(?=\S)")
_OPEN_QUOTE = re.compile(r"""["“”]\w""")


def parse(text: str) -> ParsedQuery:
    """Read a query as typed.

    >>> query = parse('merger "tidal tails" -gas')
    >>> query.text, [str(condition) for condition in query.conditions]
    ('merger tidal tails', ['"tidal tails"', 'not "gas"'])

    Raises:
        InputError: if a filter cannot be read, such as `year:soon`, or if nothing of the query has
            a meaning here.
    """
    if identifier := read_identifier(text):
        return ParsedQuery(identifier.text, identifier=identifier)
    pieces = re.split(r"[\s,;]+", text.strip())
    if 1 < len(pieces) <= LONGEST_TYPED and all(map(read_identifier, pieces)):
        raise InputError(f"these are {len(pieces)} identifiers: ask for one at a time")
    return _Parser(text).read()


class _Words(NamedTuple):
    """Free words: they rank papers, and none of them is required."""

    text: str


class _Group(NamedTuple):
    nodes: "tuple[_Node, ...]"
    is_choice: bool = False
    """Whether one of the nodes is enough."""


class _Not(NamedTuple):
    node: "_Node"


_Node = RequiredPhrase | Filters | _Words | _Group | _Not


class _Parser:
    """Reads one query. Operators bind as in ADS: NOT, AND, OR, then the AND that is left out."""

    def __init__(self, text: str) -> None:
        self._text = text
        is_short = len(text.split()) <= LONGEST_TYPED
        # Where all is in capitals, so are the words that would be operators.
        is_capital = text == text.upper() and text != text.lower()
        self._is_typed = is_short and not is_capital
        self._tokens = tokens_of(text, is_typed=self._is_typed)
        self._place = 0
        self._notes: dict[str, None] = dict.fromkeys(filter(None, [why_not(text)]))
        for token in self._tokens if is_short and is_capital else ():
            if token.kind == "word" and re.fullmatch(r"OR|NOT|ANDNOT|-\w+", token.text):
                self._note(f"{token.text} is a plain word where all is in capitals")

    def read(self) -> ParsedQuery:
        node = _Group(tuple(self._sequence("")))
        self._note_choices(node)
        notes = tuple(self._notes)
        typed = ParsedQuery(" ".join(self._text.split()))
        if not notes and all(token.kind in ("word", "(", ")") for token in self._tokens):
            return typed
        words = _words_of(node).split()
        text = " ".join(word for word in words if word.strip(_AROUND))
        required = _required(node)
        conditions: tuple[Condition, ...] = () if required is None else (required,)
        if isinstance(required, AllOf):
            conditions = required.conditions
        if text or conditions:
            return ParsedQuery(text, conditions, notes=notes, typed=typed.text)
        if notes:
            raise InputError(f"{'; '.join(notes)}; nothing is left to search for")
        return typed

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None

    def _note_choices(self, node: _Node) -> None:
        """Say of each OR that leaves no choice among conditions what it does."""
        if not isinstance(node, _Group):
            return
        required = [_required(inner) for inner in node.nodes]
        if node.is_choice and not any(required):
            self._note("OR has no meaning between plain words: papers need not have all of them")
        elif node.is_choice and not all(required):
            self._note("OR between plain words and a condition: hits need not meet the condition")
        for inner in node.nodes:
            self._note_choices(inner)

    # --- grammar ---

    def _sequence(self, field: str) -> list[_Node]:
        """Everything up to the end, or to the bracket that closes a group."""
        nodes: list[_Node] = []
        while self._place < len(self._tokens) and self._tokens[self._place].kind != ")":
            nodes += self._choice(field)
        return nodes

    def _choice(self, field: str) -> list[_Node]:
        choices = [self._conjunction(field)]
        while self._accepted("OR"):
            choices.append(self._conjunction(field))
        if len(choices) == 1:
            return choices[0]
        return [_Group(tuple(_Group(tuple(nodes)) for nodes in choices if nodes), is_choice=True)]

    def _conjunction(self, field: str) -> list[_Node]:
        nodes = self._unit(field)
        while self._accepted("AND"):
            nodes += self._unit(field)
        return nodes

    def _unit(self, field: str) -> list[_Node]:
        """A term or a group, which may be excluded or, with a plus sign, required."""
        is_excluded = is_required = False
        while operator := self._accepted("NOT", "+", "="):
            is_excluded ^= operator == "NOT"
            is_required |= operator == "+"
            if operator == "=":
                self._note("= has no meaning here: the endings of words are ignored")
        nodes = self._term(field)
        if not (is_excluded or is_required):
            return nodes
        required = [_with_words_required(node) for node in nodes]
        if not required or any(_required(node) is None for node in required):
            return nodes
        return [_Not(_Group(tuple(required)))] if is_excluded else required

    def _accepted(self, *operators: str) -> str:
        """The operator that comes next, which is then behind us; empty if it is another token."""
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        if token is None or token.kind != "operator" or token.text not in operators:
            return ""
        self._place += 1
        return token.text

    def _term(self, field: str) -> list[_Node]:
        if self._place >= len(self._tokens) or self._tokens[self._place].kind in (")", "operator"):
            return []
        token = self._tokens[self._place]
        self._place += 1
        match token.kind:
            case "(":
                return self._group(field)
            case "field":
                return self._field(token)
            case "function":
                self._note(f"{token.field}(…) has no meaning here and is left out")
                return []
            case "phrase":
                return self._leaf(self._checked(token), field, is_quoted=True)
            case _ if field in _OF_AUTHORS:
                return self._name(token, field)
            case _:
                return self._leaf(self._checked(token), field, is_quoted=False)

    def _group(self, field: str) -> list[_Node]:
        nodes = self._sequence(field)
        self._place += 1  # the closing bracket
        return [_Group(tuple(nodes))] if nodes else []

    def _field(self, token: Token) -> list[_Node]:
        field = FIELDS[token.field]
        if field == "words":
            self._note(f"{token.field}: has no meaning here: what follows is plain words")
        if field == "unknown":
            self._note(f"{token.field}: has no meaning here and is left out with what follows")
        if not token.opens:
            words = self._checked(token) if field != "unknown" else ""
            return self._leaf(words, field, is_quoted=token.is_quoted)
        notes = dict(self._notes)
        nodes = self._group("words" if field == "unknown" else field)
        if field == "unknown":
            self._notes = notes  # what was noted in brackets that are left out
            return []
        if not nodes:
            self._note(f"nothing stands in the brackets behind {token.field}:")
        return nodes

    def _name(self, token: Token, field: str) -> list[_Node]:
        """A name in brackets: words up to a semicolon, an operator or a phrase."""
        words = [token.text]
        while not words[-1].endswith(";") and self._place < len(self._tokens):
            after = self._tokens[self._place]
            if after.kind != "word":
                break
            words.append(after.text)
            self._place += 1
        return self._leaf(" ".join(words).rstrip(";"), field, is_quoted=False)

    # --- words ---

    def _leaf(self, words: str, field: str, *, is_quoted: bool) -> list[_Node]:
        """What a word or phrase asks for in a field; without one, phrases alone are required."""
        has_words = any(map(str.isalnum, words))
        match field:
            case _ if not words:
                return []
            case "identifier":
                self._note(_IDENTIFIER.format(words))
                return [_Words(words)]
            case "author" | "first_author":
                if words.endswith("*"):
                    self._note(f"the * of {words} has no meaning here: names are whole")
                return [condition_of(field, words)] if has_words else []
            case "cat" | "year" | "pubdate":
                return [condition_of(field, words)]
            case "title" | "abs" if not is_quoted and words.lower() in analysis.STOP_WORDS:
                return []
        if (field or self._is_typed) and any(map(_WILDCARD.search, words.split())):
            self._note(f"{words}: there are no wildcards here, but endings of words are ignored")
            return [_Words(words.replace("*", "").strip("/"))]
        is_required = field in ("title", "abs") or (is_quoted and not field)
        if not is_required or not analysis.analyze(words).terms:
            return [_Words(words)]
        return [condition_of(field, words if is_quoted else words.strip(",;:[]"))]

    def _checked(self, token: Token) -> str:
        """The words of a token. Of what has no meaning here, a note tells."""
        words = token.value or token.text
        if token.kind == "word" and token.field:
            self._note(f"the bracket behind {token.field}: is not closed")
            return ""
        if token.kind == "word" and (match := _FIELD.match(words)) and match[1].lower() in FIELDS:
            self._note(f"{match[1]}: is not followed by what it asks for")
            return words[match.end() :].lstrip('"“”')
        if not (token.is_term or self._is_typed):
            return words
        if match := _MARK.search(token.text):
            self._note(f"{match[0]} has no meaning here")
            return words.removesuffix(match[0])
        return words if token.is_term else self._checked_word(words)

    def _checked_word(self, word: str) -> str:
        if match := _FIELD.match(word):
            self._note(f"{match[1]}: is not a field here: {word} is taken for plain words")
        elif _OPEN_QUOTE.match(word) and sum(map(self._text.count, '"“”')) % 2 == 1:
            self._note(f"the quotation mark in {word} is not closed: plain words follow")
            return word[1:]
        elif read_identifier(word):
            self._note(_IDENTIFIER.format(word))
        elif word in ("AND", "OR", "NOT", "ANDNOT") and any(
            token.is_term for token in self._tokens
        ):
            self._note(f"{word} has nothing to join here")
            return ""
        return word


def _required(node: _Node) -> Condition | None:
    """What a hit must meet; None if it need not meet anything."""
    match node:
        case _Words():
            return None
        case _Not(inner):
            required = _required(inner)
            return None if required is None else Excluded(required)
        case _Group(nodes, is_choice):
            several = [_required(inner) for inner in nodes]
            conditions = [condition for condition in several if condition is not None]
            if not conditions or (is_choice and len(conditions) < len(several)):
                return None
            if len(conditions) == 1:
                return conditions[0]
            return (AnyOf if is_choice else AllOf)(_spliced(conditions, is_choice=is_choice))
        case _:
            return node


def _spliced(conditions: Sequence[Condition], *, is_choice: bool) -> tuple[Condition, ...]:
    """Conditions, a group of the same kind among them replaced by its own."""
    kind = AnyOf if is_choice else AllOf
    return tuple(
        inner
        for condition in conditions
        for inner in (condition.conditions if isinstance(condition, kind) else (condition,))
    )


def _words_of(node: _Node, *, with_authors: bool = False) -> str:
    """The words by which papers are ranked."""
    match node:
        case _Words(text):
            return text
        case RequiredPhrase(words, _):
            return words
        case _Group(nodes, is_choice):
            # What may be met instead of words ranks papers, too.
            with_authors |= is_choice and _required(node) is None
            return " ".join(_words_of(inner, with_authors=with_authors) for inner in nodes)
        case Filters() if with_authors and node.author:
            return node.author
        case _:
            return ""


def _with_words_required(node: _Node) -> _Node:
    """A node whose free words are required one by one."""
    match node:
        case _Words(text):
            words = [word.strip(_AROUND) for word in text.split() if analysis.analyze(word).terms]
            return _Group(tuple(map(RequiredPhrase, words))) if words else node
        case _Group(nodes, is_choice):
            return _Group(tuple(map(_with_words_required, nodes)), is_choice)
        case _Not(inner):
            return _Not(_with_words_required(inner))
        case _:
            return node

"""Which words of a text are those of a query, in any inflection or spelling."""

import re
from collections.abc import Set
from functools import lru_cache

from astrosearch.text.analysis import STOP_WORDS, analyze

_WORD = re.compile(r"\w+(?:\.\d+)?")
_JOINT = re.compile(r"[\s\-–]{1,2}")
"""What may stand between two words that are marked as one."""


def terms_to_mark(query: str) -> frozenset[str]:
    """The stems and compounds of a query that tell papers apart; single letters and digits alone do
    not."""
    analyzed = analyze(query)
    terms = {term for term in analyzed.terms if len(term) > 1 and term not in STOP_WORDS}
    return frozenset(terms.union(analyzed.compounds))


def marked(text: str, terms: Set[str]) -> list[str]:
    """A text in pieces: those at odd places are words of `terms`.

    >>> marked("Gas of a stream", terms_to_mark("the gases"))
    ['', 'Gas', ' of a stream']
    """
    if not terms:
        return [text]
    spans: list[list[int]] = []
    for word in _WORD.finditer(text):
        if terms.isdisjoint(_terms(word[0])):
            continue
        if spans and _JOINT.fullmatch(text, spans[-1][1], word.start()):
            spans[-1][1] = word.end()
        else:
            spans.append([word.start(), word.end()])
    pieces = []
    end = 0
    for start, stop in spans:
        pieces += [text[end:start], text[start:stop]]
        end = stop
    return [*pieces, text[end:]]


@lru_cache(maxsize=1 << 15)
def _terms(word: str) -> frozenset[str]:
    analyzed = analyze(word)
    return frozenset((*analyzed.terms, *analyzed.compounds))

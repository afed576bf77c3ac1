"""Words of a query that no paper has, and which were probably meant.

What is offered are words of the index's own papers, so that no dictionary is needed, and names and
terms of the field are known. In a small index too many words are lacking for that to be a sign.
"""

import re
from collections import Counter
from collections.abc import Iterable

from astrosearch.search.paper_index import SearchedIndex
from astrosearch.text.analysis import analyze

LEAST_PAPERS = 1_000
"""In an index of fewer, a word that no paper has is mostly spelt well."""

LEAST_LETTERS = 5
"""Of shorter words, another one is too often only a letter away."""

LOOKED_AT = 100
"""Papers whose words are looked through for each word."""

MOST_WORDS = 3
"""Words of a query that are looked up; where more are unknown, it is in another language."""

LIKENESS = 0.8
"""Least share of letters that two spellings have in common, in order (Ratcliff and Metzener 1988,
as `difflib` has it)."""

_WORD = re.compile(rf"[^\W\d_]{{{LEAST_LETTERS},}}")


def respelt(papers: SearchedIndex, text: str, whole: str = "") -> str:
    """A text with the words that no paper has as they were probably meant; empty if there are none,
    or nothing is like them.

    Args:
        whole: what the words are taken from, and what is given in the place of the text: a query
            with its filters.

    Raises:
        IndexDamaged: if the words of the index cannot be read.
    """
    if len(papers) < LEAST_PAPERS or all(map(papers.document_frequency, analyze(text).terms)):
        return ""
    unknown = [word for word in dict.fromkeys(_WORD.findall(text)) if _is_unknown(papers, word)]
    if len(unknown) > MOST_WORDS:
        return ""
    meant = {word: _nearest(papers, word.lower()) for word in unknown}
    if not any(meant.values()):
        return ""
    return _WORD.sub(lambda match: meant.get(match[0]) or match[0], whole or text)


def _is_unknown(papers: SearchedIndex, word: str) -> bool:
    """Whether no paper has a word that does not look like an acronym or a name of something."""
    terms = analyze(word).terms
    return (
        word[1:].islower()
        and bool(terms)
        and not any(papers.document_frequency(term) for term in terms)
    )


def _nearest(papers: SearchedIndex, word: str) -> str:
    """The likest word of papers that have one spelt much like it; empty if none is like it."""
    found = papers.papers(papers.spelt_like(word, LOOKED_AT))
    counts = Counter(
        other
        for paper in found
        for other in _WORD.findall(f"{paper.title} {paper.abstract}".lower())
    )
    return max(_alike(word, counts), default=(0.0, 0, ""))[2]


def _alike(word: str, counts: Counter[str]) -> Iterable[tuple[float, int, str]]:
    """Likeness and number of the words that are like another, and begin as it does."""
    from difflib import SequenceMatcher  # hardly a query needs it

    matcher = SequenceMatcher(b=word, autojunk=False)
    for other, count in counts.items():
        if other[0] == word[0]:
            matcher.set_seq1(other)
            if matcher.quick_ratio() >= LIKENESS and (likeness := matcher.ratio()) >= LIKENESS:
                yield likeness, count, other

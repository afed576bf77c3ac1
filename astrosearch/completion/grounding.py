"""A continuation checked against its beginning and its sources: sentences, numbers, names, copies.

A language model invents numbers and names (arXiv:2309.06126, sections 3.2 and 4). What can be
checked without understanding the text is whether a sentence is close to one of a source, and
whether each number and name in it is in the beginning or a source at all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from astrosearch.completion.attribution import (
    Copy,
    SentenceSet,
    Thresholds,
    copies,
    related_sources,
)
from astrosearch.encoders.base import Encoder
from astrosearch.papers import Paper
from astrosearch.text.analysis import stem
from astrosearch.text.names import name_key
from astrosearch.text.quantities import AllowedValues, Mention, mentions
from astrosearch.text.sentences import sentence_spans


@dataclass(frozen=True, slots=True)
class CheckedMention:
    """A number or a name of the continuation, and where it was found."""

    mention: Mention
    """Its `start` and `end` are places in the continuation."""
    in_beginning: bool
    sources: list[int]
    """Numbers of the sources that have it, from 0."""

    @property
    def is_matched(self) -> bool:
        """Whether the beginning or a source has it."""
        return self.in_beginning or bool(self.sources)


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of the continuation, or the part of one that was generated."""

    start: int
    end: int
    sources: list[int]
    """Numbers of the related sources, from 0, the nearest first."""
    unmatched: int
    """How many of its numbers and names neither the beginning nor a source has."""

    @property
    def is_related(self) -> bool:
        """Whether a source is related to it and every number and name in it was found."""
        return bool(self.sources) and not self.unmatched

    @property
    def is_related_in_part(self) -> bool:
        """Whether a source is related to it although a number or name in it was not found."""
        return bool(self.sources) and bool(self.unmatched)


@dataclass(frozen=True, slots=True)
class Grounding:
    """Everything that was checked of one continuation."""

    sentences: list[CheckedSentence]
    mentions: list[CheckedMention]
    copies: list[Copy]


class GroundingChecker:
    """Checks continuations of one beginning, or answers to one question, against it and its
    sources."""

    def __init__(
        self,
        encoder: Encoder,
        thresholds: Thresholds,
        beginning: str,
        papers: Sequence[Paper],
        *,
        continues: bool = True,
    ) -> None:
        """
        Args:
            beginning: what is continued, or the question.
            papers: the sources.
            continues: whether a text goes on where the beginning stops.
        """
        self._encoder = encoder
        self._thresholds = thresholds
        self._beginning = beginning.rstrip()
        self._continues = continues
        self._texts = [paper.text for paper in papers]
        self._sources = SentenceSet(encoder, [paper.abstract for paper in papers])
        self._vocabularies = [_Vocabulary(text) for text in (self._beginning, *self._texts)]
        self.allowed = AllowedValues([self._beginning, *self._texts])
        """The numbers and names that the beginning and the sources have."""

    def check(self, text: str) -> Grounding:
        """What of a text is found in the beginning and the sources."""
        before = self._beginning if self._continues else ""
        whole, shift = before + text, len(before)
        checked = list(self._checked_mentions(whole, shift, text))
        spans = [span for span in sentence_spans(whole) if span[1] > shift]
        related = related_sources(
            self._encoder,
            [whole[start:end] for start, end in spans],
            self._sources,
            self._thresholds,
        )
        sentences = []
        for span, sources in zip(spans, related, strict=True):
            start, end = _within(*span, shift, text)
            unmatched = sum(
                not mention.is_matched and start <= mention.mention.start < end
                for mention in checked
            )
            sentences.append(CheckedSentence(start, end, sources, unmatched))
        return Grounding(sentences, checked, copies(text, self._texts))

    def _checked_mentions(self, whole: str, shift: int, text: str) -> Iterator[CheckedMention]:
        known = mentions(whole)
        for mention in _with_proper_names(whole, known):
            if mention.end <= shift:
                continue
            if mention in known:
                having = self.allowed.having(mention)
            else:
                having = [
                    number
                    for number, vocabulary in enumerate(self._vocabularies)
                    if mention.value in vocabulary
                ]
            start, end = _within(mention.start, mention.end, shift, text)
            here = replace(mention, start=start, end=end)
            yield CheckedMention(here, 0 in having, [number - 1 for number in having if number])


def _within(start: int, end: int, shift: int, text: str) -> tuple[int, int]:
    """A span of the whole text as a span of the continuation. What began in the beginning starts
    where the continuation does."""
    first = start - shift if start >= shift else len(text) - len(text.lstrip())
    return first, end - shift


# Names that no list has: words with a capital letter inside a sentence, and compounds of them, as
# `Lemaitre` or `Hubble-Zwicky`. The beginning and the sources have one if they have the word.

_PROPER_NAME = re.compile(r"(?<![\w\\$^_{-])[A-Z][a-zà-ÿ'’]+(?:[-–][A-Z][a-zà-ÿ'’]+)*(?![\w-])")
_COMPOUND = re.compile(r"[-–]")
_ORDINARY = frozenset(
    "earth galactic galaxy gaussian bayesian i newtonian solar stellar sun universe we".split()
)
"""Keys of words that are written with a capital letter and name nothing that could be invented."""


def _with_proper_names(text: str, known: Sequence[Mention]) -> list[Mention]:
    """Mentions with the names that `mentions` leaves out, in order, none overlapping another.

    A compound replaces the mentions in it: where `Hubble` alone is known, `Hubble-Zwicky` is not.
    """
    starts = {start for start, _ in sentence_spans(text)}
    merged = list(known)
    for match in _PROPER_NAME.finditer(text):
        is_compound = bool(_COMPOUND.search(match[0]))
        if not is_compound and (match.start() in starts or name_key(match[0]) in _ORDINARY):
            continue
        inside = [m for m in merged if m.start < match.end() and match.start() < m.end]
        if inside and not is_compound:
            continue
        if any(m.start < match.start() or m.end > match.end() for m in inside):
            continue
        merged = [mention for mention in merged if mention not in inside]
        merged.append(Mention("name", match.start(), match.end(), _word_key(match[0])))
    return sorted(merged, key=lambda mention: mention.start)


class _Vocabulary:
    """The words of a text, and its compounds, in whatever case and inflection."""

    def __init__(self, text: str) -> None:
        words = re.findall(r"\w[\w'’]*(?:[-–]\w[\w'’]*)*", text)
        parts = [part for word in words for part in _COMPOUND.split(word)]
        self._keys = {_word_key(word) for word in (*words, *parts)}

    def __contains__(self, key: str) -> bool:
        return key in self._keys


def _word_key(word: str) -> str:
    """
    >>> _word_key("Cepheids"), _word_key("Hubble-Lemaître")
    ('cepheid', 'hubblelemaitr')
    """
    return stem(name_key(re.sub(r"['’]s$", "", word)))

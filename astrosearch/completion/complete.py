"""Grounded completion: an abstract is continued from papers of an index, and every sentence, number
and name of the continuation is looked up in them.

The AstroLLaMA paper lets a model continue the first sentences of an abstract, and finds that it
invents numbers (arXiv:2309.06126, 3.2 and 4). A language model's text is no finding; what can be
told is where it might come from, and what nothing supports.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from astrosearch.completion.attribution import Copy, Texts, Thresholds, copies, supporting
from astrosearch.completion.generators.base import GenerationStats, Generator, Sampling
from astrosearch.corpus.filters import Filters
from astrosearch.encoders.base import Encoder
from astrosearch.errors import NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.searcher import Searcher
from astrosearch.text.quantities import AllowedValues, Mention, mentions
from astrosearch.text.sentences import sentence_spans

TRIED = 32
"""Beginnings of the index's own papers, by which it is told how near a source has to be."""

RELATED = 0.05
"""Share of them that find fewer than the sources asked for that near."""


@dataclass(frozen=True, slots=True)
class Source:
    """A paper that stands before the beginning."""

    paper: Paper
    cosine: float
    """Of the beginning and the paper."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the continuation, or what there is of it."""

    start: int
    end: int
    sources: list[int]
    """Places of those that support it, the nearest first."""


@dataclass(frozen=True, slots=True)
class CheckedMention:
    """A number or a name of the continuation, and who else has it."""

    mention: Mention
    """Its place is that in the continuation."""
    in_beginning: bool
    sources: list[int]

    @property
    def supported(self) -> bool:
        return self.in_beginning or bool(self.sources)


@dataclass(frozen=True, slots=True)
class Completion:
    """A continuation with its checks. Places are those of its letters."""

    writer: str
    text: str
    sentences: list[Sentence]
    lookups: list[CheckedMention]
    copies: list[Copy]
    sampling: Sampling
    stats: GenerationStats
    strict: bool = False
    seconds: float = field(default=0.0, compare=False)
    """Of writing."""

    @property
    def numbers(self) -> list[CheckedMention]:
        return [one for one in self.lookups if one.mention.kind == "number"]

    @property
    def names(self) -> list[CheckedMention]:
        return [one for one in self.lookups if one.mention.kind == "name"]

    @property
    def longest_copy(self) -> int:
        """Words."""
        return max((one.words for one in self.copies), default=0)


def find_sources(
    index: Index,
    encoder: Encoder,
    beginning: str,
    k: int,
    filters: Filters | None = None,
    without: Sequence[str] = (),
    limit: float | None = None,
) -> list[Source]:
    """The papers that are nearest to a beginning by meaning and words, and not only by chance.

    Args:
        without: identifiers of papers that are not to be sources: the one whose beginning it is.
        limit: the lowest cosine of a source; by default what `nearness` finds.

    Raises:
        NothingFound: if no paper is as near to it as papers are to beginnings of the index's own.
    """
    searcher = Searcher(index, encoder=encoder)
    found = searcher.query(ParsedQuery(beginning), k + len(without), filters)
    if limit is None:
        limit = relevance_floor(index, encoder, len(beginning.split()), k)
    others = [hit for hit in found if hit.paper.id not in without]
    sources = [
        Source(hit.paper, hit.cosine)
        for hit in others
        if hit.cosine is not None and hit.cosine >= limit
    ][:k]
    if not sources:
        nearest = max((hit.cosine or 0.0 for hit in others), default=0.0)
        raise NothingFound(
            f"no paper of index {index.folder.name} has to do with this beginning (the nearest has "
            f"cosine {nearest:.2f}, those of its own papers' beginnings have {limit:.2f}); "
            "--no-grounding continues it without sources"
        )
    return sources


def relevance_floor(index: Index, encoder: Encoder, words: int, k: int) -> float:
    """The cosine that the k-th nearest other paper reaches for nearly all beginnings of so many
    words, tried with the index's own papers. An encoder's cosines mean nothing by themselves, and
    those of a short text and a paper are lower than those of two papers."""
    count = min(TRIED, len(index))
    rows = np.random.default_rng(0).choice(len(index), size=count, replace=False)
    papers = index.corpus.papers(rows.tolist())
    asked = encoder.encode([" ".join(paper.abstract.split()[:words]) for paper in papers])
    scores, found = index.search(asked, k + 1)
    kth = [
        float(line[near != row][:k].min(initial=1.0))
        for line, near, row in zip(scores, found, rows, strict=True)
    ]
    return float(np.quantile(kth, RELATED))


class GroundingChecker:
    """Looks a continuation up in the beginning and the sources."""

    def __init__(
        self,
        encoder: Encoder,
        thresholds: Thresholds,
        beginning: str,
        sources: Sequence[Source],
    ) -> None:
        self._encoder = encoder
        self._thresholds = thresholds
        self._beginning = beginning.rstrip()
        self._texts = [source.paper.text for source in sources]
        self._sources = Texts(encoder, [source.paper.abstract for source in sources])
        self.known = AllowedValues([self._beginning, *self._texts])

    def check(self, text: str) -> tuple[list[Sentence], list[CheckedMention], list[Copy]]:
        """Sentences, numbers and names, and copied runs of words of a continuation."""
        whole, shift = self._beginning + text, len(self._beginning)
        spans = [span for span in sentence_spans(whole) if span[1] > shift]
        support = supporting(
            self._encoder,
            [whole[start:end] for start, end in spans],
            self._sources,
            self._thresholds,
        )
        found = [
            Sentence(*_within(start, end, shift, text), sources)
            for (start, end), sources in zip(spans, support, strict=True)
        ]
        return found, self._lookups(whole, shift, text), copies(text, self._texts)

    def _lookups(self, whole: str, shift: int, text: str) -> list[CheckedMention]:
        found = []
        for one in mentions(whole):
            if one.end <= shift:
                continue
            having = self.known.having(one)
            start, end = _within(one.start, one.end, shift, text)
            here = Mention(one.kind, start, end, one.value, one.unit, one.error)
            found.append(
                CheckedMention(here, 0 in having, [place - 1 for place in having if place])
            )
        return found


def _within(start: int, end: int, shift: int, text: str) -> tuple[int, int]:
    """A place of the whole as one of the continuation; what began before it begins with it."""
    first = start - shift if start >= shift else len(text) - len(text.lstrip())
    return first, end - shift


def complete(
    writer: Generator,
    judge: GroundingChecker,
    beginning: str,
    sources: Sequence[Source],
    sampling: Sampling,
    *,
    strict: bool = False,
    piece: Callable[[str], None] = lambda piece: None,
) -> Completion:
    """Continue a beginning and check what came. Ctrl-C ends the writing, not the checks.

    Args:
        sources: those that have room before it (`Generator.fitting`).
        strict: no number may be written that neither the beginning nor a source has.
        piece: is told each piece of the text as it comes.
    """
    stats = GenerationStats()
    pieces: list[str] = []
    start = time.perf_counter()
    known = judge.known if strict else None
    abstracts = [source.paper.abstract for source in sources]
    try:
        for one in writer.write(beginning, abstracts, sampling, stats, known):
            pieces.append(one)
            piece(one)
    except KeyboardInterrupt:
        stats.stopped = "interrupted"
    seconds = time.perf_counter() - start
    text = "".join(pieces)
    if strict and stats.stopped != "end":
        text = judge.known.without_unfinished(beginning, text)
    sentences, lookups, copied = judge.check(text)
    return Completion(
        writer.name, text, sentences, lookups, copied, sampling, stats, strict, seconds
    )

"""An answer in the papers' own sentences: quotes, the papers they are from, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from astrosearch.papers import Paper
from astrosearch.search.hits import paper_record

NATURE = "Sentences of abstracts, quoted as they are: an answer to read, not one that was written."
"""What an answer is, for whoever reads it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of an abstract."""

    text: str
    """Exactly as it stands there: `paper.abstract[start:end]`, with its TeX."""
    start: int
    end: int
    paper: Paper
    source: int
    """Number of the paper among the sources, from 1."""
    chance: float
    """From 0 to 1: the chance that the sentence answers the question, if its paper does."""
    alike: tuple[int, ...] = ()
    """Numbers of other sources with a sentence so near to this one that it is left out."""

    def as_record(self) -> dict[str, object]:
        """The quote for JSON."""
        return {
            "source": self.source,
            "id": self.paper.id,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "chance": round(self.chance, 4),
            "alike": list(self.alike),
        }


@dataclass(frozen=True, slots=True)
class QuoteGroup:
    """Quotes that belong together."""

    heading: str
    """What they have in common, as `Values in km s-1 Mpc-1` or `Until 2004`; empty for nothing that
    can be told."""
    quotes: tuple[Quote, ...]

    def as_record(self) -> dict[str, object]:
        """The group for JSON."""
        return {"heading": self.heading, "quotes": [quote.as_record() for quote in self.quotes]}


@dataclass(frozen=True, slots=True)
class QuotedAnswer:
    """The sentences of abstracts that answer a question."""

    question: str
    groups: tuple[QuoteGroup, ...]
    """In the order in which they are to be read; none if nothing answers."""
    sources: tuple[Paper, ...]
    """The papers of the quotes, in the order of their numbers."""
    chance: float
    """From 0 to 1: the chance that one of the papers answers the question."""
    is_unsure: bool = False
    """Whether that is so low that a reader has to be told."""
    has_papers: bool = True
    """Whether there are papers at all that have a word of it or are near to it."""
    notes: tuple[str, ...] = ()
    """Sentences: why nothing answers, that the answer is unsure, what of the question has no
    meaning."""
    meant: str = ""
    """The question as it was probably meant, as in `Answer`."""

    @property
    def quotes(self) -> list[Quote]:
        """All quotes, in the order in which they are to be read."""
        return [quote for group in self.groups for quote in group.quotes]

    def as_record(self) -> dict[str, object]:
        """The answer for JSON. Texts keep their TeX."""
        return {
            "question": self.question,
            "nature": NATURE,
            "chance": round(self.chance, 4),
            "unsure": self.is_unsure,
            "notes": list(self.notes),
            "meant": self.meant or None,
            "groups": [group.as_record() for group in self.groups],
            "sources": [
                {"source": number, **paper_record(paper)}
                for number, paper in enumerate(self.sources, start=1)
            ],
        }


def numbered(quotes: Sequence[Quote]) -> dict[str, int]:
    """The numbers of the papers of quotes, from 1, in their order, by identifier."""
    return {
        paper_id: number
        for number, paper_id in enumerate(dict.fromkeys(q.paper.id for q in quotes), start=1)
    }

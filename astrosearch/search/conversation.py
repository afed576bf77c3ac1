"""Questions that follow one another: "and at higher redshift?" keeps the subject.

A question that goes on from the one before is asked together with the words of the last question
that stood by itself. The papers of the last answer stay candidates, and so do the filters, unless
the new question has its own.
"""

import re
from dataclasses import replace

from astrosearch.corpus.filters import Filters
from astrosearch.search.conditions import ALL, Among
from astrosearch.search.query_parser import ParsedQuery, parse
from astrosearch.search.quotes import QuotedAnswer
from astrosearch.search.searcher import Searcher
from astrosearch.text.analysis import STOP_WORDS

LONGEST = 12
"""Words of a question that goes on without saying so in its first word."""

_GOES_ON = re.compile(
    r"(?:and|but|or|also|then|so)\b|(?:what|how) about\b|(?:what|why|how) else\b|since when\b",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"(?:why|why not|how|how so|how come|when|where|since when|how much|how many|how far|how large|"
    r"how old|how often|how certain|by whom|in which|at which|compared to what)\W*",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"(?:at|in|with|without|for|from|by|during|after|before|around|near|within|beyond|under|above|"
    r"below|since|until|between|among|on|using|only|except|especially)\b",
    re.IGNORECASE,
)
_HAS_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|may|might|should|has|have|had)\b"
    r"|, *(?:what|which|how|why|when|where|who)\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:its|they|them|their|theirs|itself|themselves|ones|these|those|the (?:same|latter|"
    r"former|others?))\b"
    r"|\bit\b(?! (?:is )?(?:true|possible|likely|known|clear|certain|that)\b)"
    r"|\b(?:of|for|in|by|from|with|to|than|is|are|does|do|about) (?:this|that)\W*$"
    r"|\bdoes (?:this|that) [a-z]+\W*$|\bthere\W*$",
    re.IGNORECASE,
)
"""Words that stand for something said before. The `it` of `is it true that` does not."""


def goes_on(text: str) -> bool:
    """Whether a question has no subject of its own.

    >>> goes_on("and at higher redshift?"), goes_on("how massive is it?"), goes_on("why is it so?")
    (True, True, True)
    >>> goes_on("is it true that dark matter decays?"), goes_on("what heats cluster gas?")
    (False, False)
    """
    text = text.strip()
    if _GOES_ON.match(text) or _ALONE.fullmatch(text):
        return True
    if len(text.split()) > LONGEST:
        return False
    if (refers := _REFERS.search(text)) and not _names_something(text[: refers.start()]):
        return True
    return bool(_PREPOSITION.match(text) and not _HAS_VERB.search(text))


def _names_something(text: str) -> bool:
    """Whether what stands before a word such as `they` may be what it stands for."""
    words = re.findall(r"\w+", text.lower())
    return sum(word not in STOP_WORDS for word in words) > 1


class Conversation:
    """Asks questions of an index, each in the light of those before."""

    def __init__(self) -> None:
        self._subject: ParsedQuery | None = None
        """The last question that stood by itself."""
        self._papers: tuple[str, ...] = ()
        """Identifiers of the papers of the last answer."""

    def ask(
        self,
        searcher: Searcher,
        question: str | ParsedQuery,
        k: int = 6,
        filters: Filters | None = None,
        among: Among = ALL,
    ) -> QuotedAnswer:
        """As `Searcher.ask`. Where a question goes on from the last, the answer's `question` has
        the words of both, and a note says so."""
        parsed = parse(question) if isinstance(question, str) else question
        subject = self._subject
        has_text = bool(parsed.text or parsed.identifier)
        if subject is None or (has_text and not goes_on(parsed.text)):
            answer = searcher.ask(parsed, k, filters, among)
            self._subject = parsed
        else:
            whole = replace(
                parsed,
                text=f"{subject.text} {parsed.text}".strip(),
                conditions=parsed.conditions or subject.conditions,
                notes=(*parsed.notes, f"Going on from: {subject.text}"),
                typed="",
            )
            answer = searcher.ask(whole, k, filters, among, also=self._papers, focus=parsed.text)
        self._papers = tuple(paper.id for paper in answer.sources) or self._papers
        return answer

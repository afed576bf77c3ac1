"""What may be asked: the parameters of each request, with their bounds.

The HTTP API checks its parameters by these classes, its OpenAPI document is made from them, and the
MCP tools ask by them too.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from astrosearch.corpus.filters import LONGEST_AUTHOR, Filters, read_day
from astrosearch.errors import InputError
from astrosearch.papers import LONGEST_CATEGORY, LONGEST_ID
from astrosearch.search.searcher import Mode
from astrosearch.server.settings import (
    MOST_CHARACTERS,
    MOST_CORNERS,
    MOST_HITS,
    MOST_PER_PAGE,
    MOST_QUERIES,
    MOST_QUOTES,
    MOST_TEXTS,
)
from astrosearch.text.bibtex import KeyStyle

Format = Literal["json", "bibtex", "ris", "ids", "atom"]
DAY = r"^[12]\d{3}(-(0?[1-9]|1[0-2])(-(0?[1-9]|[12]\d|3[01]))?)?$"
AREA = rf"^\d{{1,5}}(,\d{{1,5}}){{5,{2 * MOST_CORNERS - 1}}}$"
CATEGORY = r"^[A-Za-z-]+(\.[A-Za-z-]*)?$"

Text = Annotated[str, StringConstraints(max_length=MOST_CHARACTERS)]
Input = Annotated[str, Field(pattern=r"\S")]
"""A text to be encoded, not empty."""
PaperId = Annotated[
    str,
    Field(
        max_length=LONGEST_ID,
        description="An arXiv identifier or address.",
        examples=["2503.14368"],
    ),
]
Day = Annotated[str, Field(pattern=DAY, examples=["2015", "2015-03", "2015-03-01"])]


class Asked(BaseModel):
    """Of any request. What is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    index: str | None = Field(
        None, max_length=100, description="The index to ask; by default the server's first."
    )


class Filtered(Asked):
    """Which papers may be an answer."""

    since: Day | None = Field(None, description="Only papers from this date on.")
    until: Day | None = Field(None, description="Only papers up to this date.")
    category: str | None = Field(
        None,
        max_length=LONGEST_CATEGORY,
        pattern=CATEGORY,
        description="A category or archive.",
        examples=["astro-ph.GA"],
    )
    author: str | None = Field(
        None, max_length=LONGEST_AUTHOR, description="An author.", examples=["Hofmann, F"]
    )

    def filters(self) -> Filters:
        """
        Raises:
            InputError: if there is no such day, category or author.
        """
        return Filters(
            since=_day(self.since, is_last=False),
            until=_day(self.until, is_last=True),
            category=self.category,
            author=self.author,
        )


def _day(text: str | None, *, is_last: bool) -> date | None:
    if text is None:
        return None
    day = read_day(text, is_last=is_last)
    if day is None:
        raise InputError(f"{text!r} is not a date: write YYYY-MM-DD, YYYY-MM or YYYY")
    return day


class Paged(Filtered):
    """Which hits of an answer are wanted, and how they are written."""

    k: int = Field(10, ge=1, le=MOST_PER_PAGE, description="How many hits.")
    offset: int = Field(
        0, ge=0, le=MOST_HITS - 1, description="How many hits to pass over: `next_offset` goes on."
    )
    sort: Literal["match", "date"] = Field(
        "match", description="The order of the hits of this page: the best or the newest first."
    )
    format: Format | None = Field(
        None, description="How the answer is written; by default as `Accept` says, else JSON."
    )
    key: KeyStyle = Field("bibcode", description="How BibTeX entries are called.")
    area: str | None = Field(
        None,
        pattern=AREA,
        description="Only papers within this part of the map: the corners of a polygon, x and y in "
        "turn, in the map's own units.",
        examples=["20000,20000,40000,20000,30000,40000"],
    )
    marked: bool = Field(
        False,
        description="Whether each hit has `marked`: its title in Unicode, cut into pieces; those "
        "at odd places are words of the query.",
    )


class MapRequest(Asked):
    """The map of an index: a place for each paper, and names of regions."""


class QueryRequest(Paged):
    """The papers that match a text best."""

    q: Text | None = Field(
        None,
        description="What to look for, in your own words and in the query language. May be left "
        "out beside filters: the newest papers that pass are then listed.",
        examples=["magellanic stream"],
    )
    mode: Mode = Field("hybrid", description="By meaning and words, by meaning, or by words.")


class SimilarRequest(Paged):
    """The papers nearest to one paper, or to several together."""

    id: list[PaperId] = Field(min_length=1, max_length=20, description="May be repeated.")
    mode: Mode = Field("hybrid", description="By meaning and words, by meaning, or by words.")


class CiteRequest(Paged):
    """The papers that a paper should cite and, as far as its references are known, does not."""

    id: list[PaperId] = Field(
        min_length=1, max_length=20, description="May be repeated: papers that ask together."
    )
    before: Day | None = Field(
        None, description="Only papers up to this date; by default that of the paper that asks."
    )
    no_self: bool = Field(False, description="Leave out papers that share an author with it.")

    def day(self) -> date | None:
        """The day after which nothing is proposed.

        Raises:
            InputError: if there is no such day.
        """
        return _day(self.before, is_last=True)


class AskRequest(Filtered):
    """The sentences of abstracts that answer a question, quoted with their papers."""

    q: Annotated[Text, Field(pattern=r"\S")] = Field(
        description="A question.", examples=["where does the Magellanic Stream come from?"]
    )
    k: int = Field(6, ge=1, le=MOST_QUOTES, description="How many sentences at most.")


class PaperRequest(Asked):
    """One paper."""

    id: PaperId
    format: Format | None = Field(None, description="By default as `Accept` says, else JSON.")
    key: KeyStyle = Field("bibcode", description="How a BibTeX entry is called.")
    marked: bool = Field(
        False,
        description="Whether there is `marked`: title and abstract in Unicode, cut into pieces; "
        "those at odd places are words of `q`.",
    )
    q: Text | None = Field(None, description="The query whose words are marked.")


class CitationsRequest(Asked):
    """What a paper cites, or what cites it: first the papers of the index, the most cited first."""

    id: PaperId
    links: Literal["references", "citations"] = Field(
        "references", description="What it cites, or what cites it."
    )
    k: int = Field(MOST_PER_PAGE, ge=1, le=MOST_PER_PAGE, description="How many works.")
    offset: int = Field(
        0, ge=0, le=10**9, description="How many works to pass over: `next_offset` goes on."
    )


class CompareRequest(Asked):
    """How similar papers are, under the index's encoder."""

    id: list[PaperId] = Field(min_length=2, max_length=20, description="Given twice or more often.")


class FacetsRequest(Filtered):
    """How many papers there are by year and category."""


class BatchRequest(Filtered):
    """Many queries at once."""

    queries: list[Text] = Field(min_length=1, max_length=MOST_QUERIES)
    k: int = Field(10, ge=1, le=MOST_PER_PAGE, description="How many hits for each.")
    mode: Mode = "hybrid"


class EmbeddingRequest(BaseModel):
    """As OpenAI's API has it. Other fields of theirs have no effect on a vector."""

    model: str = Field(max_length=200, description="One of `/v1/models`.")
    input: Input | Annotated[list[Input], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="That of the model; no other is there.")
    user: str | None = None

    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

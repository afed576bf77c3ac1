"""What may be asked: the parameters of each request, with their bounds.

The HTTP API checks its parameters by these classes, its OpenAPI document is made from them, and the
MCP tools ask by them too.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from astrosearch.corpus.filters import LONGEST_AUTHOR, Filters, read_day
from astrosearch.errors import InputError
from astrosearch.papers import LONGEST_CATEGORY, LONGEST_ID
from astrosearch.search.searcher import Mode
from astrosearch.server.settings import (
    MOST_CHARACTERS,
    MOST_CORNERS,
    MOST_HITS,
    MOST_IDS,
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

Sort = Literal["match", "date", "citations"]
Marked = Annotated[
    bool,
    Field(
        description="Whether each paper and quote has `marked`: its text in Unicode, cut into "
        "pieces; those at odd places are words of the query."
    ),
]

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
SearchName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples=["jets"])]
Day = Annotated[str, Field(pattern=DAY)]
DAYS = ["2015", "2015-03", "2015-03-01"]


Within = Annotated[
    str,
    Field(
        max_length=100,
        description="`library`, `tag:NAME`, `liked`, `disliked`, `read` or `unread`.",
        examples=["library"],
    ),
]


class Asked(BaseModel):
    """Of any request. What is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    index: str | None = Field(
        None, max_length=100, description="The index to ask; by default the server's first."
    )


class Filtered(Asked):
    """Which papers may be an answer."""

    since: Day | None = Field(None, description="Only papers from this date on.", examples=DAYS)
    until: Day | None = Field(None, description="Only papers up to this date.", examples=DAYS)
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


class Scoped(Filtered):
    """Among which papers the answer is looked for."""

    within: Within | None = Field(
        None, description="Only papers of the library of whoever runs the server."
    )
    beyond: Within | None = Field(None, description="No papers of this part of the library.")


class Mapped(Scoped):
    """As `Scoped`, on a part of the map, too."""

    area: str | None = Field(
        None,
        pattern=AREA,
        description="Only papers within this part of the map: the corners of a polygon, x and y in "
        "turn, in the map's own units.",
        examples=["20000,20000,40000,20000,30000,40000"],
    )


class Written(BaseModel):
    """How papers are written."""

    format: Format | None = Field(
        None, description="How the answer is written; by default as `Accept` says, else JSON."
    )
    key: KeyStyle = Field("bibcode", description="How BibTeX entries are called.")


class Paged(Filtered, Written):
    """Which hits of an answer are wanted, and how they are written."""

    k: int = Field(10, ge=1, le=MOST_PER_PAGE, description="How many hits.")
    offset: int = Field(
        0, ge=0, le=MOST_HITS - 1, description="How many hits to pass over: `next_offset` goes on."
    )
    sort: Sort = Field(
        "match",
        description="The order of the hits of this page: the best, the newest or the most cited "
        "first.",
    )
    marked: Marked = False


class MapRequest(Asked):
    """The map of an index: a place for each paper, and names of regions."""


class QueryRequest(Paged, Mapped):
    """The papers that match a text best."""

    q: Text | None = Field(
        None,
        description="What to look for, in your own words and in the query language. May be left "
        "out beside filters: the newest papers that pass are then listed.",
        examples=["magellanic stream"],
    )
    mode: Mode = Field("hybrid", description="By meaning and words, by meaning, or by words.")


class SimilarRequest(Paged, Mapped):
    """The papers nearest to one paper, or to several together."""

    id: list[PaperId] = Field(min_length=1, max_length=MOST_IDS, description="May be repeated.")
    mode: Mode = Field("hybrid", description="By meaning and words, by meaning, or by words.")


class CiteRequest(Paged):
    """The papers that a paper should cite and, as far as its references are known, does not."""

    id: list[PaperId] = Field(
        min_length=1, max_length=MOST_IDS, description="May be repeated: papers that ask together."
    )
    before: Day | None = Field(
        None,
        description="Only papers up to this date; by default that of the paper that asks.",
        examples=DAYS,
    )
    no_self: bool = Field(False, description="Leave out papers that share an author with it.")

    def day(self) -> date | None:
        """The day after which nothing is proposed.

        Raises:
            InputError: if there is no such day.
        """
        return _day(self.before, is_last=True)


class AskRequest(Mapped):
    """The sentences of abstracts that answer a question, quoted with their papers."""

    q: Annotated[Text, Field(pattern=r"\S")] = Field(
        description="A question.", examples=["where does the Magellanic Stream come from?"]
    )
    k: int = Field(6, ge=1, le=MOST_QUOTES, description="How many sentences at most.")
    marked: Marked = False


class PaperRequest(Asked, Written):
    """One paper."""

    id: PaperId
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

    id: list[PaperId] = Field(
        min_length=2, max_length=MOST_IDS, description="Given twice or more often."
    )


class FacetsRequest(Filtered):
    """How many papers there are by year and category."""


class BatchRequest(Filtered):
    """Many queries at once."""

    queries: list[Text] = Field(min_length=1, max_length=MOST_QUERIES)
    k: int = Field(10, ge=1, le=MOST_PER_PAGE, description="How many hits for each.")
    mode: Mode = "hybrid"


class NewRequest(Filtered, Written):
    """The papers that are new, those first that fit the library of whoever runs the server."""

    k: int = Field(30, ge=1, le=MOST_PER_PAGE, description="How many papers.")
    again: bool = Field(
        False, description="Whether papers count that were seen; without `since`, of a week."
    )
    marked: Marked = False


class SeenRequest(Asked):
    """All papers of an index count as seen from now on."""

    search: SearchName | None = Field(
        None, description="Only for this saved search; by default for `/api/new`."
    )


class LibraryRequest(Asked, Written):
    """The library of whoever runs the server, the papers that were added last first."""

    within: Within = "library"


class Marks(Asked):
    """What is thought of a paper. What is left out stays as it is."""

    tags: list[Annotated[str, Field(max_length=80)]] | None = Field(None, max_length=100)
    opinion: Literal["", "liked", "disliked"] | None = None
    read: bool | None = Field(None, strict=True)
    note: Text | None = None


class MarkRequest(BaseModel):
    """Say what is thought of a paper, which is put into the library if it is not there."""

    id: PaperId
    marks: Marks


class RemoveRequest(BaseModel):
    """Take a paper out of the library, with what was thought of it."""

    model_config = ConfigDict(extra="forbid")

    id: PaperId


class SearchesRequest(BaseModel):
    """The saved searches of whoever runs the server."""

    model_config = ConfigDict(extra="forbid")


class SavedRequest(Written):
    """What a saved search finds."""

    model_config = ConfigDict(extra="forbid")

    name: SearchName
    new: bool = Field(False, description="Only papers that were not seen, among the best of all.")
    k: int | None = Field(
        None, ge=1, le=MOST_PER_PAGE, description="How many; by default as the search says, else 10"
    )
    marked: Marked = False


class Search(Scoped):
    """A search, to be saved."""

    q: Text = ""
    mode: Mode | None = None
    sort: Sort | None = None
    replace: bool = Field(
        False, strict=True, description="Whether it may take the place of one of its name."
    )


class SaveRequest(BaseModel):
    """Save a search under a name."""

    name: SearchName
    search: Search


class ForgetRequest(BaseModel):
    """Delete a saved search."""

    model_config = ConfigDict(extra="forbid")

    name: SearchName


class ModelRequest(BaseModel):
    """One encoder, as OpenAI describes a model."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(max_length=200, examples=["astro-embed"])


class EmbeddingRequest(BaseModel):
    """As OpenAI's API has it. Other fields of theirs have no effect on a vector."""

    model: str = Field(max_length=200, description="One of `/v1/models`.")
    input: Input | Annotated[list[Input], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="That of the model; no other is there.")
    user: str | None = None

    @field_validator("input", mode="wrap")
    @classmethod
    def _check_input(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise PydanticCustomError(
                "input",
                "write a text or a list of 1 to {most} texts, none of them empty; numbers of "
                "tokens are not read",
                {"most": f"{MOST_TEXTS:,}"},
            ) from None

    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

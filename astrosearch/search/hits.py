"""A hit: a paper that answers a query, with its rank and the signals behind it."""

from dataclasses import dataclass, field, replace

from astrosearch.errors import SetupError
from astrosearch.papers import Paper
from astrosearch.text.authors import display_name


@dataclass(frozen=True, slots=True)
class Hit:
    """A paper that answers a query, and why it ranks where it does."""

    rank: int
    """1 for the best."""
    score: float
    """What hits are ordered by. In lexical mode it is BM25, from 0 up, larger for longer queries;
    in dense mode with an encoder that compares no tokens it is the cosine. Otherwise it is from 0
    to 1: `match` in full, or lower where the query names an author whose paper this is not."""
    paper: Paper
    match: int = 0
    """0 to 100, falling with the rank. With an encoder that compares tokens it is the chance, in
    percent, that the paper is relevant; otherwise the score on a scale from 0, chance, to 100, the
    best possible score for the query."""
    cosine: float | None = None
    """Cosine of the query's vector and the paper's, from -1 to 1; None in lexical mode."""
    dense_rank: int | None = None
    """Rank among the nearest vectors; None if the paper was not among them."""
    lexical_rank: int | None = None
    """Rank by BM25; None if the paper was not among the best."""
    bm25: float | None = None
    """BM25 of the query's words; None in dense mode."""
    token_match: float | None = None
    """How near the texts are token by token, the mean of both directions, from -1 to 1; None if
    tokens were not compared."""
    author_match: float | None = None
    """How well the authors match those that the query names, from 0 to 1; None if it names none."""
    citations: int | None = None
    """How many works cite the paper, as far as the index knows; None if it has no citations."""
    shared_references: int | None = None
    cocitations: int | None = None
    """Of papers that are similar by citations: how many works both cite, and how many cite both."""
    is_cited: bool | None = None
    """Whether the draft that asks cites the paper already; None if nobody asked for that."""
    contributions: dict[str, float] = field(default_factory=dict)
    """What each group of signals (`search.signals.GROUPS`) adds to the score that the chance is
    computed from, in relation to an average candidate; empty where nothing learnt decides."""

    def as_record(self) -> dict[str, object]:
        """The hit for JSON. Texts keep their TeX."""
        cited = {
            "is_cited": self.is_cited,
            "citations": self.citations,
            "shared_references": self.shared_references,
            "cocitations": self.cocitations,
        }
        return {
            "rank": self.rank,
            "match": self.match,
            **{name: value for name, value in cited.items() if value is not None},
            "score": round(self.score, 4),
            "cosine": _rounded(self.cosine),
            "bm25": _rounded(self.bm25),
            "token_match": _rounded(self.token_match),
            "author_match": _rounded(self.author_match),
            "dense_rank": self.dense_rank,
            "lexical_rank": self.lexical_rank,
            "contributions": {name: round(value, 2) for name, value in self.contributions.items()},
            **paper_record(self.paper),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of a query, and what has to be said of them."""

    hits: list[Hit]
    """Best first."""
    notes: tuple[str, ...] = ()
    """Sentences: what of the query has no meaning, that the match is weak, what was meant."""
    is_weak: bool = False
    """Whether the papers hold too little of the query for the hits to mean much; False in an index
    that does not know (`Manifest.weak_match`)."""
    meant: str = ""
    """The query as it was probably meant, with its conditions, if it has a word that no paper has;
    empty if nothing is like that word."""

    def as_record(self) -> dict[str, object]:
        """The answer for JSON."""
        return {
            "weak_match": self.is_weak,
            "notes": list(self.notes),
            "meant": self.meant or None,
            "hits": [hit.as_record() for hit in self.hits],
        }


def in_order(answer: Answer, sort: str) -> Answer:
    """Hits as `--sort` has them; each keeps its rank.

    Raises:
        SetupError: if they are to be sorted by citations, and the index has none.
    """
    if sort == "match" or not answer.hits:
        return answer
    if sort == "date":
        hits = sorted(answer.hits, key=lambda hit: hit.paper.published, reverse=True)
        return replace(answer, hits=hits)
    if all(hit.citations is None for hit in answer.hits):
        raise SetupError("the index has no citations to sort by", remedy="import-citations")
    hits = sorted(answer.hits, key=lambda hit: hit.citations or 0, reverse=True)
    return replace(answer, hits=hits)


def paper_record(paper: Paper) -> dict[str, object]:
    """A paper for JSON, with the abstract's address and the year."""
    return {
        "id": paper.id,
        "title": paper.title,
        "authors": [display_name(name) for name in paper.authors],
        "categories": list(paper.categories),
        "published": paper.published.isoformat(),
        "year": paper.published.year,
        "abstract": paper.abstract,
        "url": paper.url,
        "doi": paper.doi,
        "journal_ref": paper.journal_ref,
        "version": paper.version,
        "is_summary": paper.is_summary,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

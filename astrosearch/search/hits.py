"""A hit: a paper of an answer, its place there, and what gave it that place."""

from dataclasses import dataclass

from astrosearch.papers import Paper


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of an answer."""

    rank: int
    """1 for the best."""
    score: float
    """What the answer is ordered by. Lexical: BM25, from 0 up, larger for longer queries. Hybrid,
    and dense where tokens are compared: a weighted mean of signals, each scaled so that the query's
    best paper has 1. Dense otherwise: the cosine. Only plain cosines can be compared between
    queries."""
    paper: Paper
    match: int = 0
    """The score as a whole number from 0 to 100, relative to the best that the query could have."""
    cosine: float | None = None
    """Between the query's vector and the paper's, from -1 to 1; None in lexical mode."""
    dense_rank: int | None = None
    """Rank among the nearest vectors; None if the paper was not among them."""
    lexical_rank: int | None = None
    """Rank by BM25; None if the paper was not among the best."""
    bm25: float | None = None
    """BM25 of the query's words; None in dense mode."""
    token_match: float | None = None
    """Late-interaction score, from -1 to 1; None where tokens were not compared."""
    author_match: float | None = None
    """How far the authors are those that the query names, from 0 to 1; None if it names nobody."""

    def as_record(self) -> dict[str, object]:
        """The hit for JSON; texts as they are stored, with their TeX."""
        return {
            "rank": self.rank,
            "match": self.match,
            "score": round(self.score, 4),
            "cosine": _rounded(self.cosine),
            "bm25": _rounded(self.bm25),
            "token_match": _rounded(self.token_match),
            "author_match": _rounded(self.author_match),
            "dense_rank": self.dense_rank,
            "lexical_rank": self.lexical_rank,
            **paper_record(self.paper),
        }


def paper_record(paper: Paper) -> dict[str, object]:
    """A paper for JSON."""
    return {
        "id": paper.id,
        "title": paper.title,
        "authors": list(paper.authors),
        "categories": list(paper.categories),
        "published": paper.published.isoformat(),
        "year": paper.published.year,
        "abstract": paper.abstract,
        "url": paper.url,
        "doi": paper.doi,
        "version": paper.version,
        "is_summary": paper.is_summary,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

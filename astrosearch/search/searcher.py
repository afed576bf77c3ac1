"""The Searcher: an open index with its encoder, which answers queries.

The command line and users of the library search through it. It may be used from several threads
at once, and before each query it checks whether its index was built again.

    parsed query → candidates → signals → ranker → hits
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from math import isnan
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeVar

import numpy as np

from astrosearch import paths
from astrosearch.corpus.filters import Filters
from astrosearch.encoders.base import Encoder, LateInteraction
from astrosearch.encoders.loading import load_query_encoder
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.errors import AstrosearchError, IndexDamaged, InputError, NothingFound
from astrosearch.index.reader import Index
from astrosearch.papers import Paper, parse_id
from astrosearch.report import SILENT, Reporter
from astrosearch.search.author_names import named_authors
from astrosearch.search.candidates import Candidates, find_candidates
from astrosearch.search.conditions import ALL, Among, Condition, RequiredPhrase, described
from astrosearch.search.hits import Answer, Hit
from astrosearch.search.identifiers import Identifier
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.paper_index import (
    Column,
    EncodedQuery,
    PaperIndex,
    Scope,
    SearchedIndex,
)
from astrosearch.search.query_parser import ParsedQuery, parse
from astrosearch.search.ranker import Ranker, Ranking, rank, task_of
from astrosearch.search.signals import GROUPS
from astrosearch.text.analysis import STOP_WORDS, analyze

if TYPE_CHECKING:
    from astrosearch.search.citation_links import LinkedWork
    from astrosearch.search.quotes import QuotedAnswer

Mode = Literal["hybrid", "dense", "lexical"]
"""By vectors and words, by vectors alone, by words alone."""

T = TypeVar("T")


class Reranker(Protocol):
    """What puts the first hits of a text in another order, having read their papers."""

    depth: int
    """How many hits it wants to see."""

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits, best first."""


NOTHING_TO_READ = "Reading hits again has no effect without words to rank by"
"""The note of an answer whose query a reranker was not given."""


class Expander(Protocol):
    """What writes a text that would answer a query, to be searched with beside it."""

    def expand(self, query: str) -> str:
        """The text."""


MOST_COMPARED = 8
"""Papers that ask together and are compared token by token: of more, some of them stand for all."""

DEPTH = 120
"""Candidates that a search gets (`candidates.depths`); `k` if that is more."""


class Searcher:
    """An open index with its encoder, which is loaded when it is first needed."""

    def __init__(
        self,
        index: Index,
        *,
        encoder: Encoder | None = None,
        reporter: Reporter = SILENT,
        ranker: Ranker = "learnt",
        reranker: Reranker | None = None,
        expander: Expander | None = None,
        papers_of: Callable[[Index], SearchedIndex] = LocalIndex,
    ) -> None:
        """
        Args:
            encoder: the index's encoder, if it is loaded already.
            reporter: gets notices, such as that a model is being fetched.
            ranker: how hits are ordered; "mean" leaves out all that was learnt.
            reranker: reads the first hits of a text; `shipped_cross_encoder()` is one.
            expander: writes texts whose vectors are searched with, beside those of queries.
            papers_of: how the papers of a snapshot are searched; by default by this process alone.

        Raises:
            EncoderMismatch: if `encoder` is not the index's.
        """
        if encoder is not None:
            index.check(encoder)
        self._folder = index.folder
        self._reporter = reporter
        self._lock = threading.Lock()
        self._index = index
        self._encoder = encoder
        self._ranker: Ranker = ranker
        self._reranker = reranker
        self._expander = expander
        self._papers_of = papers_of

    @property
    def name(self) -> str:
        """The index's name."""
        return self._folder.name

    @property
    def index(self) -> Index:
        """The index as it was last built."""
        with self._lock:
            return self._current()

    @property
    def encoder(self) -> Encoder:
        """The index's encoder.

        Raises:
            ModelMissing: if its weights are not on this machine and cannot be fetched.
        """
        return self._snapshot()[1]

    @property
    def reads_each_query(self) -> bool:
        """Whether a reranker or an expander is given each query by itself, and may fail at it."""
        return self._reranker is not None or self._expander is not None

    def __len__(self) -> int:
        """The number of papers."""
        return len(self.index)

    def query(
        self,
        text: str | ParsedQuery,
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
    ) -> list[Hit]:
        """The `k` papers that fit a text best, best first; an empty list if none does.

        A text that is an identifier gives that paper and those like it. A text of filters alone
        gives the newest papers that pass.

        Args:
            text: a string is parsed by `query_parser.parse`; in `ParsedQuery(text)` all text is
                free words.
            filters: apply in addition to those in the text.

        Raises:
            InputError: if a filter in the text cannot be read.
            NothingFound: if the text is an identifier that is not in the index.
            ModelMissing: if the encoder's weights are not on this machine and cannot be fetched.
        """
        return self.query_batch([text], k, filters, mode)[0]

    def query_batch(
        self,
        texts: Sequence[str | ParsedQuery],
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
    ) -> list[list[Hit]]:
        """The hits of several texts, as `query` gives them. The texts are encoded together."""
        answers = self.answers(texts, k, filters, mode)
        for answer in answers:
            for note in answer.notes:
                self._reporter.notify(note)
        return [answer.hits for answer in answers]

    def answers(
        self,
        texts: Sequence[str | ParsedQuery],
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
        among: Among = ALL,
    ) -> list[Answer]:
        """The hits of several texts, with what has to be said of them, as `query` says it.

        Args:
            among: the papers that may be found, in addition to what filters say.
        """
        filters = filters or Filters()
        parsed = [parse(text) if isinstance(text, str) else text for text in texts]
        ranked = [query for query in parsed if query.identifier is None and query.text]
        answers = iter(self._ranked(ranked, k, filters, mode, among) if ranked else ())
        unread = (NOTHING_TO_READ,) if self._reranker else ()
        return [
            Answer(self._of_identifier(query.identifier, k, filters, mode, among), unread)
            if query.identifier
            else next(answers)
            if query.text
            else Answer(self._newest(query, k, filters, among), (*query.notes, *unread))
            for query in parsed
        ]

    def _ranked(
        self, queries: Sequence[ParsedQuery], k: int, filters: Filters, mode: Mode, among: Among
    ) -> list[Answer]:
        """The answers to queries that have words to rank by."""

        def answer(papers: SearchedIndex, encoder: Encoder | None) -> list[Answer]:
            forms = encode_queries(encoder, queries, mode)
            if encoder is not None and self._expander is not None:
                forms = [
                    _expanded(form, self._expander.expand(query.text), encoder)
                    for query, form in zip(queries, forms, strict=True)
                ]
            return [
                self._answer(papers, query, form, k, _scope(query, filters, among))
                for query, form in zip(queries, forms, strict=True)
            ]

        return self._ask(answer, with_encoder=mode != "lexical")

    def _answer(
        self,
        papers: SearchedIndex,
        query: ParsedQuery,
        encoded: EncodedQuery,
        k: int,
        scope: Scope,
        extra: Sequence[str] = (),
    ) -> Answer:
        """The answer to a query with words to rank by."""
        if encoded.vector is not None and not _is_readable(query.text, encoded):
            return Answer([], query.notes)
        wanted = max(k, self._reranker.depth) if self._reranker else k
        hits = _hits(papers, encoded, wanted, scope, self._ranker, extra)
        if self._reranker:
            hits = self._reranker.rerank(query.text, hits)[:k]
        needs_words = encoded.words is not None
        weakness = _weakness(papers, query.text, hits, needs_words=needs_words) if hits else ""
        meant = _meant(papers, query, needs_words=needs_words)
        said = _did_you_mean(meant) if hits and meant else ""
        notes = (*query.notes, *filter(None, (weakness, said)))
        return Answer(hits, notes, is_weak=bool(weakness), meant=meant)

    def _newest(self, query: ParsedQuery, k: int, filters: Filters, among: Among) -> list[Hit]:
        """The newest papers that pass the filters of a query without words."""
        scope = _scope(query, filters, among)
        if not scope.conditions:
            return []

        def answer(papers: SearchedIndex, _: Encoder | None) -> list[Hit]:
            newest = papers.papers(papers.newest(k, scope))
            return _counted(
                papers,
                [
                    Hit(rank=place, score=1.0, paper=paper, match=100)
                    for place, paper in enumerate(newest, start=1)
                ],
            )

        return self._ask(answer, with_encoder=False)

    def _of_identifier(
        self, identifier: Identifier, k: int, filters: Filters, mode: Mode, among: Among
    ) -> list[Hit]:
        """The paper of an identifier, and those like it.

        Raises:
            NothingFound: if it is not in the index.
        """

        def answer(papers: SearchedIndex, _: Encoder | None) -> Hit:
            paper_id = papers.find(identifier)
            if paper_id is None:
                raise NothingFound(
                    f"{identifier}, but no paper of index {self.name} is known to have it"
                )
            [paper] = papers.papers([paper_id])
            return _counted(papers, [Hit(rank=1, score=1.0, paper=paper, match=100)])[0]

        first = self._ask(answer, with_encoder=False)
        others = self.similar([first.paper.id], k - 1, filters, mode, among) if k > 1 else []
        return [first, *(replace(hit, rank=hit.rank + 1) for hit in others)]

    def similar(
        self,
        ids: Sequence[str],
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
        among: Among = ALL,
    ) -> list[Hit]:
        """The `k` papers most like one paper, or several, without these papers.

        Args:
            ids: arXiv identifiers of papers of the index, in any common form.
            among: the papers that may be found, in addition to what filters say.

        Raises:
            IdentifierError: if one of the ids is not an arXiv identifier.
            NothingFound: if one of the papers is not in the index.
        """
        normal = _normal(ids)
        compares_tokens = mode != "lexical" and self._compares_tokens()

        def answer(papers: SearchedIndex, encoder: Encoder | None) -> list[Hit]:
            query = query_of_papers(papers, normal, encoder, mode)
            scope = Scope(_conditions(filters, among), frozenset(normal))
            return _hits(papers, query, k, scope, self._ranker)

        return self._ask(answer, with_encoder=compares_tokens)

    def similar_by_citations(
        self,
        ids: Sequence[str],
        k: int = 10,
        filters: Filters | None = None,
        among: Among = ALL,
    ) -> list[Hit]:
        """The `k` papers that cite the same works as some papers, and that the same works cite.

        The arguments are those of `similar`.

        Raises:
            IdentifierError: if one of the ids is not an arXiv identifier.
            NothingFound: if one of the papers is not in the index, or the index has no citations.
        """
        from astrosearch.search.citation_links import linked

        normal = _normal(ids)

        def answer(papers: SearchedIndex, _: Encoder | None) -> list[Hit]:
            for paper_id in normal:
                papers.require(paper_id)
            scope = Scope(_conditions(filters, among), frozenset(normal))
            return _counted(papers, linked(papers, normal, k, scope))

        return self._ask(answer, with_encoder=False)

    @property
    def has_citations(self) -> bool:
        """Whether the index knows what cites what."""
        return bool(self.index.manifest.citations)

    def references(self, paper_id: str) -> "list[LinkedWork]":
        """What a paper cites, as far as the index knows.

        Raises:
            IdentifierError: if `paper_id` is not an arXiv identifier.
            NothingFound: if the paper is not in the index, or the index has no citations.
        """
        return self._linked_works(paper_id, citing=False)

    def citations(self, paper_id: str) -> "list[LinkedWork]":
        """What cites a paper, as `references`."""
        return self._linked_works(paper_id, citing=True)

    def _linked_works(self, paper_id: str, *, citing: bool) -> "list[LinkedWork]":
        from astrosearch.search.citation_links import linked_works

        normal = parse_id(paper_id).id

        def answer(papers: SearchedIndex, _: Encoder | None) -> "list[LinkedWork]":
            papers.require(normal)
            return linked_works(papers, normal, citing=citing)

        return self._ask(answer, with_encoder=False)

    def cite(
        self,
        asking: Sequence[str] | Paper,
        k: int = 10,
        filters: Filters | None = None,
        *,
        before: date | None = None,
        without: Collection[str] = (),
        cites: Collection[str] = (),
        no_self: bool = False,
    ) -> list[Hit]:
        """The `k` papers that a paper or a draft should cite, best first.

        Args:
            asking: the arXiv identifier of a paper of the index, in a sequence; several ask
                together. Or a draft, whose `id` may be empty.
            before: papers of a later day are not proposed; by default that of the draft, or of the
                newest paper that asks.
            without: normalised identifiers of papers that are not proposed: those that it cites
                already. A paper that asks alone is not proposed either.
            cites: normalised identifiers of papers that the draft cites already: what these cite
                counts, in an index that has citations.
            no_self: leave out papers that share an author with those that ask.

        Raises:
            IdentifierError: if one of the ids is not an arXiv identifier.
            NothingFound: if one of the papers is not in the index.
            ModelMissing: if a draft asks, and the encoder's weights are not on this machine and
                cannot be fetched.
        """
        from astrosearch.search import citing  # no other question needs it

        draft, ids = (asking, []) if isinstance(asking, Paper) else (None, _normal(asking))

        def answer(papers: SearchedIndex, encoder: Encoder | None) -> list[Hit]:
            query = (
                query_of_draft(draft, encoder)
                if draft and encoder
                else query_of_papers(papers, ids, encoder)
            )
            if len(query.papers) > 1:  # all their abstracts have all words
                titles = "\n".join(paper.title for paper in query.papers)
                query = replace(query, words=titles)
            query = replace(query, day=before)
            scope = Scope(_conditions(filters), frozenset(without))
            known = papers.known(cites)

            def find(depth: int) -> Candidates:
                return citing.citing_candidates(papers, query, scope, depth=depth, cites=known)

            candidates = (
                citing.of_others(papers, query, find, k) if no_self else find(max(citing.DEPTH, k))
            )
            ranking = rank(
                papers, query, candidates, task="cite", ranker=self._ranker, depth=citing.DEPTH
            )
            return _counted(papers, hits_of(papers, ranking, k))

        return self._ask(answer, with_encoder=draft is not None or self._compares_tokens())

    def ask(
        self,
        question: str | ParsedQuery,
        k: int = 6,
        filters: Filters | None = None,
        among: Among = ALL,
        also: Collection[str] = (),
        focus: str = "",
    ) -> "QuotedAnswer":
        """The sentences of abstracts that answer a question, at most `k`; none if nothing answers.

        Args:
            question: as for `query`.
            among: the papers that may be quoted, in addition to what filters say.
            also: normalised identifiers of papers that are ranked whether the question finds them
                or not; those that the index does not have, or that may not be quoted, are not.
            focus: the part of the question that is new; papers and sentences are ranked by it and
                by the whole question alike.

        Raises:
            InputError: if there is nothing to answer: an identifier or filters alone.
            ModelMissing: if the encoder's weights are not on this machine and cannot be fetched.
        """
        from astrosearch.search import quoting  # no other question needs it

        parsed = parse(question) if isinstance(question, str) else question
        if parsed.identifier is not None:
            raise InputError("this is an identifier, not a question")
        if not parsed.text:
            raise InputError("there is no question beside the filters")
        scope = _scope(parsed, filters or Filters(), among)

        index, encoder = self._snapshot()
        papers = self._papers_of(index)
        asked = [parsed, replace(parsed, text=focus)] if focus else [parsed]
        encoded = encode_queries(encoder, asked, "hybrid")
        extra = papers.passing(also, scope)
        depth = DEPTH if focus else quoting.PAPERS
        found = [
            self._answer(papers, each, form, depth, scope, extra)
            for each, form in zip(asked, encoded, strict=True)
        ]
        return quoting.quoted_answer(papers, encoder, encoded, found, k, question=parsed.text)

    def paper(self, paper_id: str) -> Paper:
        """A paper of the index.

        Raises:
            IdentifierError: if `paper_id` is not an arXiv identifier.
            NothingFound: if the paper is not in the index.
        """
        normal = parse_id(paper_id).id

        def answer(papers: SearchedIndex, _: Encoder | None) -> Paper:
            papers.require(normal)
            return papers.papers([normal])[0]

        return self._ask(answer, with_encoder=False)

    def papers(self, ids: Collection[str]) -> dict[str, Paper]:
        """The papers of normalised identifiers, by these; those that the index does not have are
        left out."""

        def answer(papers: SearchedIndex, _: Encoder | None) -> dict[str, Paper]:
            return {paper.id: paper for paper in papers.papers(papers.known(ids))}

        return self._ask(answer, with_encoder=False)

    def papers_known(self, ids: Collection[str]) -> set[str]:
        """Those of normalised identifiers that the index has."""
        return self._ask(lambda papers, _: set(papers.known(ids)), with_encoder=False)

    def papers_of_dois(self, dois: Collection[str]) -> dict[str, str]:
        """The identifiers of the papers that have these DOIs, by DOI in lower case."""
        return self._ask(lambda papers, _: papers.ids_of_dois(dois), with_encoder=False)

    def paper_of(self, identifier: Identifier) -> Paper | None:
        """The paper of an identifier; None if no paper of the index is known to have it."""

        def answer(papers: SearchedIndex, _: Encoder | None) -> Paper | None:
            try:
                paper_id = papers.find(identifier)
            except NothingFound:
                return None
            return None if paper_id is None else papers.papers([paper_id])[0]

        return self._ask(answer, with_encoder=False)

    def titled_like(self, title: str, k: int = 5) -> list[Paper]:
        """The `k` papers whose titles have most of a title's words, best first."""

        def answer(papers: SearchedIndex, _: Encoder | None) -> list[Paper]:
            return papers.papers(papers.titled_like(title, k))

        return self._ask(answer, with_encoder=False)

    def papers_passing(self, filters: Filters) -> list[Paper]:
        """The papers that pass filters, the newest first."""

        def answer(papers: SearchedIndex, _: Encoder | None) -> list[Paper]:
            scope = Scope(_conditions(filters))
            return papers.papers(papers.newest(papers.count(scope), scope))

        return self._ask(answer, with_encoder=False)

    def newest_day(self) -> date:
        """The day of the newest paper."""
        return self._ask(lambda papers, _: date.fromisoformat(papers.span()[1]), with_encoder=False)

    def sample(self, count: int, seed: int = 0) -> list[Paper]:
        """Papers of the index at random, the same ones for a seed; all if there are no more than
        `count`."""

        def answer(papers: SearchedIndex, _: Encoder | None) -> list[Paper]:
            return papers.papers(papers.sample(count, seed))

        return self._ask(answer, with_encoder=False)

    def document_frequency(self, term: str) -> int:
        """How many papers have a term of `text.analysis`."""
        return self._ask(lambda papers, _: papers.document_frequency(term), with_encoder=False)

    def vectors(self, ids: Sequence[str]) -> tuple[list[str], Vectors]:
        """The vectors of papers, as the index has them.

        Args:
            ids: normalised identifiers.

        Returns:
            Those of the identifiers that the index has, n of them, each once, and (n, dimension)
            float32 unit rows.
        """

        def answer(papers: SearchedIndex, _: Encoder | None) -> tuple[list[str], Vectors]:
            known = papers.known(ids)
            return known, papers.vectors(known)

        return self._ask(answer, with_encoder=False)

    def why_empty(
        self,
        query: ParsedQuery | None = None,
        filters: Filters | None = None,
        among: Among = ALL,
    ) -> NothingFound:
        """The error that says why a query has no hits: which condition, filter or word no paper
        matches."""
        return self._ask(
            lambda papers, _: _why_empty(papers, self.name, query, filters or Filters(), among),
            with_encoder=False,
        )

    def close(self) -> None:
        """Release files and threads. The Searcher cannot be used afterwards."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, answer: Callable[[SearchedIndex, Encoder | None], T], *, with_encoder: bool
    ) -> T:
        """An answer of the current snapshot. The index may change meanwhile: the snapshot stays."""
        index, encoder = self._snapshot() if with_encoder else (self.index, None)
        return answer(self._papers_of(index), encoder)

    def _current(self) -> Index:
        """The index, opened anew if it was built again. The old one stays open for threads that
        still read it, and is closed when the last of them drops it."""
        if not self._index.is_current():
            index = Index(self._folder)
            if index.manifest.encoder != self._index.manifest.encoder:
                self._encoder = None
            self._index = index
        return self._index

    def _snapshot(self) -> tuple[Index, Encoder]:
        """The current index and its encoder."""
        with self._lock:
            index = self._current()
            if self._encoder is None:
                from astrosearch.encoders.consent import IndexConsent

                consent = IndexConsent(self._reporter, index.folder)
                self._encoder = load_query_encoder(index.manifest.encoder, consent)
            return index, self._encoder

    def _compares_tokens(self) -> bool:
        """Whether papers can be compared token by token. If the encoder cannot be loaded, a notice
        says so: papers are then compared by their vectors, which are in the index."""
        if not self.index.manifest.encoder.is_static:
            return False
        try:
            return isinstance(self.encoder, LateInteraction)
        except AstrosearchError as error:
            self._reporter.notify(f"Papers are compared by their vectors alone: {error}")
            return False


def open_index(
    name: str | None = None,
    *,
    reporter: Reporter = SILENT,
    ranker: Ranker = "learnt",
    reranker: Reranker | None = None,
    expander: Expander | None = None,
    papers_of: Callable[[Index], SearchedIndex] = LocalIndex,
) -> Searcher:
    """Open an index of this machine.

    Args:
        name: by default the index that was built last.
        reporter: gets notices, such as that a model is being fetched.
        ranker: how hits are ordered; "mean" leaves out all that was learnt.
        reranker: reads the first hits of a text; `shipped_cross_encoder()` is one.
        expander: writes texts whose vectors are searched with, beside those of queries.
        papers_of: how the papers of a snapshot are searched; by default by this process alone.

    Raises:
        IndexMissing: if there is no index of that name.
        IndexDamaged: if its files do not match its manifest.
    """
    index = Index(paths.existing_index(name))
    return Searcher(
        index,
        reporter=reporter,
        ranker=ranker,
        reranker=reranker,
        expander=expander,
        papers_of=papers_of,
    )


def encode_queries(
    encoder: Encoder | None, queries: Sequence[ParsedQuery], mode: Mode
) -> list[EncodedQuery]:
    """Queries in the forms that a mode needs: words, vectors, tokens.

    Args:
        encoder: None in lexical mode.
    """
    texts = [query.text for query in queries]
    if encoder is None:
        return [EncodedQuery(text) for text in texts]
    encoded = _encode(encoder, texts)
    return [replace(query, words=None) for query in encoded] if mode == "dense" else encoded


def _encode(encoder: Encoder, texts: Sequence[str]) -> list[EncodedQuery]:
    if not isinstance(encoder, LateInteraction):
        vectors = encoder.encode(texts)
        return [EncodedQuery(text, vector) for text, vector in zip(texts, vectors, strict=True)]
    encoded = encoder.encode_counted(texts)
    tokens = encoder.weigh(encoded.bags or encoder.token_bags(texts))
    asking = encoder.read_as_queries(encoded.vectors, tokens)
    return [
        EncodedQuery(text, vector, written, (each,), encoder)
        for text, vector, written, each in zip(texts, asking, encoded.vectors, tokens, strict=True)
    ]


def _expanded(query: EncodedQuery, text: str, encoder: Encoder) -> EncodedQuery:
    """A query whose vector is the mean of its own and that of a text that would answer it."""
    both = np.stack([query.vector, encoder.encode([text])[0]])  # type: ignore[list-item]
    return replace(query, vector=unit_rows(both.mean(axis=0, keepdims=True))[0])


def query_of_papers(
    papers: SearchedIndex, ids: Sequence[str], encoder: Encoder | None, mode: Mode = "hybrid"
) -> EncodedQuery:
    """Papers of the index as a query: the mean of their vectors, their words, their tokens.

    Args:
        encoder: the index's; None if it is not at hand: then tokens are not compared.

    Raises:
        NothingFound: if one of the papers is not in the index.
    """
    for paper_id in ids:
        papers.require(paper_id)
    asking = tuple(papers.papers(ids))
    words = "\n".join(paper.text for paper in asking)
    if mode == "lexical":
        return EncodedQuery(words, papers=asking)
    centre = np.mean(papers.vectors(ids), axis=0, keepdims=True)
    query = EncodedQuery(words if mode == "hybrid" else None, unit_rows(centre)[0], papers=asking)
    if isinstance(encoder, LateInteraction):
        compared = ids[:: -(-len(ids) // MOST_COMPARED)]
        tokens = tuple(papers.weighted_tokens(encoder, compared))
        return replace(query, tokens=tokens, encoder=encoder, encode=encoder.encode)
    return query


def query_of_draft(draft: Paper, encoder: Encoder) -> EncodedQuery:
    """A paper that the index does not have as a query: its vector, its words, its tokens."""
    text = encoder.spec.text_of(draft).strip() or draft.title
    vector = encoder.encode([text])[0]
    query = EncodedQuery(draft.text, vector, papers=(draft,))
    if isinstance(encoder, LateInteraction):
        tokens = tuple(encoder.weighted_tokens([text]))
        return replace(query, tokens=tokens, encoder=encoder, encode=encoder.encode)
    return query


def _normal(ids: Sequence[str]) -> list[str]:
    """Identifiers in their normal form, each once.

    Raises:
        IdentifierError: if one of them is not an arXiv identifier.
    """
    return list(dict.fromkeys(parse_id(paper_id).id for paper_id in ids))


def _conditions(filters: Filters | None, among: Among = ALL) -> tuple[Condition, ...]:
    passing: tuple[Condition, ...] = () if filters is None or filters == Filters() else (filters,)
    return passing if among == ALL else (*passing, among)


def _scope(query: ParsedQuery, filters: Filters, among: Among) -> Scope:
    return Scope((*query.conditions, *_conditions(filters, among)))


def _hits(
    papers: SearchedIndex,
    query: EncodedQuery,
    k: int,
    scope: Scope,
    ranker: Ranker,
    extra: Sequence[str] = (),
) -> list[Hit]:
    is_one_search = query.encoder is None and (query.vector is None or query.words is None)
    depth = k if is_one_search else max(DEPTH, k)
    candidates = find_candidates(papers, query, depth, scope, extra=extra)
    ranking = rank(papers, query, candidates, task=task_of(query), ranker=ranker, depth=DEPTH)
    return _counted(papers, hits_of(papers, ranking, k))


SHOWN = ("cosine", "bm25", "recall", "precision", "author_match")
"""Signals that a hit has."""


def hits_of(papers: PaperIndex, ranking: Ranking, k: int) -> list[Hit]:
    """The first `k` papers of a ranking, with their signals."""
    candidates = ranking.candidates.take(np.arange(min(k, len(ranking.scores))))
    columns = candidates.signals.columns
    signals = _by_paper(columns, SHOWN, len(candidates))
    given = {
        group: column
        for group, column in ranking.given(len(candidates)).items()
        if not columns.keys().isdisjoint(GROUPS[group])  # what is not known tells nothing
    }
    contributions = _by_paper(given, given, len(candidates))
    hits = []
    for place, paper in enumerate(papers.papers(candidates.signals.ids)):
        shown = signals[place]
        tokens = [shown[name] for name in ("recall", "precision") if name in shown]
        hits.append(
            Hit(
                rank=place + 1,
                score=float(ranking.scores[place]),
                paper=paper,
                match=round(100 * float(ranking.match[place])),
                dense_rank=int(candidates.dense_ranks[place]) or None,
                lexical_rank=int(candidates.lexical_ranks[place]) or None,
                cosine=shown.get("cosine"),
                bm25=shown.get("bm25"),
                token_match=sum(tokens) / len(tokens) if tokens else None,
                author_match=shown.get("author_match"),
                contributions=contributions[place],
            )
        )
    return hits


def _counted(papers: SearchedIndex, hits: list[Hit]) -> list[Hit]:
    """The same hits with their citations, if the index has such."""
    counts = papers.citation_counts([hit.paper for hit in hits])
    if counts is None:
        return hits
    return [replace(hit, citations=count) for hit, count in zip(hits, counts, strict=True)]


def _by_paper(
    columns: Mapping[str, Column], names: Iterable[str], count: int
) -> list[dict[str, float]]:
    """Of each of the first `count` papers the numbers that are known, by their names."""
    of_papers: list[dict[str, float]] = [{} for _ in range(count)]
    for name in names:
        if name in columns:
            for numbers, number in zip(of_papers, columns[name].tolist(), strict=False):
                if not isnan(number):
                    numbers[name] = number
    return of_papers


def _weakness(papers: SearchedIndex, text: str, hits: Sequence[Hit], *, needs_words: bool) -> str:
    """Why the hits of a text may mean little, in a sentence; empty if nothing says so.

    Args:
        needs_words: whether the hits needed the words of the index: otherwise they stand without.
    """
    try:
        is_known = papers.knows(text)
    except IndexDamaged:
        if needs_words:
            raise
        return ""
    if not is_known:
        return (
            f"No paper has a word of {_shortened(text)!r}: these are the nearest by meaning, which "
            "may be far"
        )
    if STOP_WORDS.issuperset(analyze(text).terms):
        return f"Weak match: {_shortened(text)!r} has function words alone"
    if papers.is_weak(text, [hit.paper.id for hit in hits]) and not any(
        name.certainty == 1 for name in named_authors(papers, text)
    ):
        return (
            f"Weak match: no paper has much of {_shortened(text)!r}; these may have little to do "
            "with it"
        )
    return ""


def _meant(papers: SearchedIndex, query: ParsedQuery, *, needs_words: bool) -> str:
    """What was probably meant by a query with words that no paper has; empty if there are none, or
    nothing is like them.

    Args:
        needs_words: as for `_weakness`.
    """
    from astrosearch.search.spelling import respelt

    try:
        return respelt(papers, query.text, query.typed)
    except IndexDamaged:
        if needs_words:
            raise
        return ""


def _did_you_mean(meant: str) -> str:
    return f"Did you mean {_shortened(meant)!r}?"


def _is_readable(text: str, encoded: EncodedQuery) -> bool:
    """Whether an encoder could read anything in a text. One with a table of tokens reads a foreign
    script letter by letter, which tells it nothing."""
    if encoded.encoder is None:
        return any(map(str.isalnum, text))
    return any(term.isascii() for term in analyze(text).terms)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _why_empty(
    papers: SearchedIndex, name: str, query: ParsedQuery | None, filters: Filters, among: Among
) -> NothingFound:
    none_of = f"none of the {len(papers):,} papers of index {name}"
    if among != ALL:
        none_of = f"none of the {papers.count(Scope((among,))):,} papers of index {name} {among}"
    conditions = query.conditions if query else ()
    phrases = [condition for condition in conditions if isinstance(condition, RequiredPhrase)]
    for phrase in phrases:
        if not papers.count(Scope((phrase,))):
            return NothingFound(f"{none_of} has {phrase}")
    others = [condition for condition in conditions if not isinstance(condition, RequiredPhrase)]
    description = ", ".join(filter(None, map(described, (filters, *others))))
    required = " and ".join(map(str, phrases))
    if description:
        first, last = papers.span()
        reason = f"{none_of} ({first} to {last}) passes the filters ({description})"
        if required:
            reason += f" and has {required}"
        elif query and query.text and papers.count(_scope(query, filters, among)):
            reason += f" and has a word of {_shortened(query.text)!r}"
        return NothingFound(f"{reason}; loosen one of them")
    if required:
        return NothingFound(f"{none_of} has {required} together")
    if query:
        meant = _meant(papers, query, needs_words=False)
        reason = f"{none_of} has a word of {_shortened(query.text)!r}"
        return NothingFound(f"{reason}. {_did_you_mean(meant)}" if meant else reason)
    return NothingFound(f"index {name} has no other papers")

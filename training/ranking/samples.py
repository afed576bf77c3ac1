"""Samples: queries with the signals of their candidates, and which of these are relevant.

The signals must come from an encoder that has trained neither on the requests nor on the citations
that the weights are fitted on: on those that it knows its cosines look too good, and weights fitted
to them do harm.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch.citations.graph import Graph
from astrosearch.citations.opened import graph_of
from astrosearch.encoders.base import Encoder
from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import Judgement
from astrosearch.evaluation.retrieval import as_asked, documents_of
from astrosearch.evaluation.split import HELD_OUT_SHARE, is_held_out
from astrosearch.evaluation.tasks import HALF, JUDGEMENTS, TITLE, Settings, sample_tasks
from astrosearch.index.reader import Index
from astrosearch.report import Reporter
from astrosearch.search.candidates import Candidates, find_candidates
from astrosearch.search.citing import citing_candidates
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.paper_index import EncodedQuery, PaperIndex, Scope
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.ranker import LOOKED_AT, Task, first_looked_at, look_at, mean_scores
from astrosearch.search.searcher import DEPTH, Mode, encode_queries, query_of_papers
from astrosearch.search.signals import SignalTable
from astrosearch.text.analysis import STOP_WORDS, analyze
from training.contrastive.requests import FORMS, request_lines


@dataclass(frozen=True)
class Sample:
    """A query, as the ranker sees it."""

    name: str
    """What the query is of: `question`, `title`, `cite`."""
    key: str
    """What must not be on both sides of a cross-validation: a paper's id."""
    signals: SignalTable
    """Of the (n,) candidates that the learnt order looks at."""
    relevant: NDArray[np.bool_]
    """(n,)"""
    all_relevant: int
    """How many papers are relevant, found or not."""
    means: NDArray[np.float64]
    """(n,) the weighted mean of cosine and BM25."""


class Request(NamedTuple):
    """A text in which a paper is asked for."""

    id: str
    form: str
    """`question`, `keywords` or `need`."""
    text: str


def requests_of(path: Path, fold: int) -> list[Request]:
    """The requests for papers of one fold.

    Raises:
        InputError: if a line is not three requests, or none is for a paper of the fold.
    """
    requests = [
        Request(paper_id, form, text)
        for _, paper_id, texts in request_lines(path)
        if is_held_out(paper_id, fold)
        for form, text in zip(FORMS, texts, strict=True)
    ]
    if not requests:
        raise InputError(f"{path}: no request is for a paper of fold {fold}")
    return requests


FEW, MANY = 3, 60
"""Papers of the fold whose titles must have a topic."""


def topics_of(index: Index, fold: int | None, count: int) -> list[Judgement]:
    """Topics, as people type them: two or three neighbouring words of a title of one fold, or of
    any training paper, which several other titles have side by side, too. Those papers are
    relevant."""
    papers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for paper in index.corpus:
        if not is_held_out(paper.id) if fold is None else is_held_out(paper.id, fold):
            words = [_bare(word) for word in paper.title.split()]
            for length in (2, 3):
                for start in range(len(words) - length + 1):
                    piece = tuple(words[start : start + length])
                    if all(map(_is_telling, piece)):
                        papers[piece].add(paper.id)
    topics = [piece for piece, ids in papers.items() if FEW <= len(ids) <= MANY]
    topics.sort(key=lambda piece: hashlib.sha256(" ".join(piece).encode()).digest())
    return [
        Judgement(None, " ".join(piece), dict.fromkeys(sorted(papers[piece]), 1))
        for piece in topics[:count]
    ]


RAREST, COMMONEST = 5, 500
"""Papers of the fold that must have a word that is asked for beside a designation."""

SHORTEST = 4
"""Letters of that word: shorter ones are mostly abbreviations."""

_DESIGNATION = re.compile(r"[A-Z][\w+./-]*(?: [\w+./-]+)?(?<=\w)")


def named_topics_of(index: Index, fold: int, count: int) -> list[Judgement]:
    """Designations, such as GD-1, of titles of one fold, each with a word of that paper's abstract
    before or behind it. Papers with the designation in the title and the word are relevant: it says
    more than the word does."""
    texts: dict[str, tuple[str, str]] = {}
    terms: dict[str, frozenset[str]] = {}
    titled: dict[str, set[str]] = defaultdict(set)
    papers_with: Counter[str] = Counter()
    for paper in index.corpus:
        if is_held_out(paper.id, fold):
            texts[paper.id] = paper.title, paper.abstract
            terms[paper.id] = frozenset(analyze(f"{paper.title} {paper.abstract}").terms)
            papers_with.update(terms[paper.id])
            for name in analyze(paper.title).compounds:
                titled[name].add(paper.id)
    judgements = []
    drawn = sorted((hashlib.sha256(paper_id.encode()).digest(), paper_id) for paper_id in texts)
    for digest, paper_id in drawn:
        title, abstract = texts[paper_id]
        designations = _designations(title)
        if not designations:
            continue
        of_title = analyze(title).terms
        words = {
            word: term
            for word in map(_bare, abstract.split())
            if _is_telling(word) and word.isalpha() and len(word) >= SHORTEST
            for term in analyze(word).terms
            if RAREST <= papers_with[term] <= COMMONEST and term not in of_title
        }
        if not words:
            continue
        word = sorted(words)[digest[0] % len(words)]
        designation = sorted(designations)[digest[1] % len(designations)]
        text = f"{designation} {word}" if digest[2] % 2 else f"{word} {designation}"
        with_name = titled[designations[designation]]
        relevant = sorted(each for each in with_name if words[word] in terms[each])
        judgements.append(Judgement(None, text, dict.fromkeys(relevant, 1)))
        if len(judgements) == count:
            break
    return judgements


def _designations(title: str) -> dict[str, str]:
    """The designations in a title, as written, and as compounds of `text.analysis`.

    >>> _designations("A gap in GD-1, and NGC 1068 in X-rays")
    {'GD-1': 'gd1', 'NGC 1068': 'ngc1068'}
    """
    words = title.split()
    found = {}
    for length in (1, 2):
        for start in range(len(words) - length + 1):
            text = " ".join(words[start : start + length]).strip(_EDGES)
            terms, compounds = analyze(text)
            name = "".join(terms)
            if name in compounds and _DESIGNATION.fullmatch(text) and not name.isalpha():
                found[text] = name
    return found


def _bare(word: str) -> str:
    return word.strip(_EDGES).lower()


_EDGES = ".,;:!?()[]{}\"'“”‘’`$"


def _is_telling(word: str) -> bool:
    return word.isascii() and any(map(str.isalpha, word)) and word not in STOP_WORDS


def request_samples(
    index: Index,
    encoder: Encoder,
    requests: Sequence[Request],
    *,
    task: Task,
    fold: int,
    titles: int,
    reporter: Reporter,
) -> list[Sample]:
    """Requests for papers of one fold, titles, halves and topics of it, sought among all its
    papers.

    Args:
        task: "query", or "dense" to search by vectors alone.
        titles: how many papers give a title and two halves each, and how many topics there are;
            of those with a designation there are half as many.

    """
    samples: list[Sample] = []
    by_text = {request.text: request for request in requests}
    judgements = [Judgement(None, text, {request.id: 1}) for text, request in by_text.items()]
    settings = Settings(
        tasks=(JUDGEMENTS,), queries=len(judgements), pool=len(index), held_out=True, fold=fold
    )
    known_items = Settings(tasks=(TITLE, HALF), queries=titles, pool=8000, held_out=True, fold=fold)
    topics = topics_of(index, fold, titles)
    named = named_topics_of(index, fold, titles // 2)
    tasks = {
        "request": sample_tasks(index, settings, judgements),
        "topic": sample_tasks(index, settings, topics) if topics else [],
        "named": sample_tasks(index, settings, named) if named else [],
        "": sample_tasks(index, known_items),
    }
    for kind, sampled in ((kind, sampled) for kind, each in tasks.items() for sampled in each):
        with documents_of(index, sampled, encoder, reporter) as documents:
            for number, (query, encoded) in enumerate(
                zip(sampled.queries, documents.queries, strict=True)
            ):
                reporter.progress(f"Signals ({sampled.name})", number, len(sampled.queries))
                papers = documents.of_query(number)
                asked_query = as_asked(encoded, "hybrid" if task == "query" else "dense")
                candidates = find_candidates(papers, asked_query, DEPTH)
                request = by_text.get(query.text) if kind == "request" else None
                samples.append(
                    sample(
                        request.form if request else kind or sampled.name,
                        request.id if request else query.text,
                        papers,
                        asked_query,
                        candidates,
                        {str(place) for place in query.relevant},
                    )
                )
            reporter.progress(f"Signals ({sampled.name})", 1, 1)
    return samples


def paper_samples(
    index: Index,
    encoder: Encoder,
    judgements: Sequence[Judgement],
    *,
    task: Task,
    reporter: Reporter,
) -> list[Sample]:
    """Papers that ask for those that they cite, among all papers of an index; neither is one that
    is held out for good.

    If the index has citations, a paper asks what to cite twice: without them, and with those of the
    other fifths, so that one order does for both.

    Raises:
        InputError: if no judgement is left, or one asks in words.
    """
    usable = _usable(index, judgements, reporter)
    graphs = _of_other_fifths(index) if task == "cite" else {}
    samples = []
    for number, (paper_id, text, relevant) in enumerate(usable):
        reporter.progress("Signals (citations)", number, len(usable))
        if paper_id is None or text is not None:
            raise InputError(f"--task {task} takes papers that ask, not queries in words")
        papers = LocalIndex(index)
        query = query_of_papers(papers, [paper_id], encoder)
        if task == "cite":
            papers.graph = None
            candidates = _trained_on(citing_candidates(papers, query))
            samples.append(sample(task, paper_id, papers, query, candidates, relevant))
            if not graphs:
                continue
            papers.graph = graphs[next(fold for fold in graphs if is_held_out(paper_id, fold))]
            candidates = citing_candidates(papers, query)
        else:
            candidates = find_candidates(papers, query, DEPTH, Scope((), frozenset([paper_id])))
        name = "cite+" if task == "cite" else task
        samples.append(sample(name, paper_id, papers, query, _trained_on(candidates), relevant))
    reporter.progress("Signals (citations)", 1, 1)
    return samples


def _of_other_fifths(index: Index) -> dict[int, Graph]:
    """For each fifth the citations that are made neither by its papers nor by those that are held
    out for good; none if the index has no citations."""
    graph = graph_of(index)
    if graph is None:
        return {}
    ids = list(index.corpus.ids())
    return {
        fold: graph.without(
            graph.find([each for each in ids if is_held_out(each) or is_held_out(each, fold)])
        )
        for fold in range(1, HELD_OUT_SHARE)
    }


def cited_samples(
    index: Index,
    encoder: Encoder,
    judgements: Sequence[Judgement],
    *,
    task: Task,
    reporter: Reporter,
) -> list[Sample]:
    """Queries with several answers: texts of judgements, of kind `review` if they are of a paper
    that cites these, otherwise of kind `overview`; and titles of papers that cite, of kind `cited`.
    As `paper_samples`."""
    usable = _usable(index, judgements, reporter)
    samples = []
    mode: Mode = "hybrid" if task == "query" else "dense"
    for number, (paper_id, text, relevant) in enumerate(usable):
        reporter.progress("Signals (several answers)", number, len(usable))
        papers = LocalIndex(index)
        own = [paper_id] if paper_id else []
        if text is None:
            text, kind = papers.papers(own)[0].title, "cited"
        else:
            kind = "review" if paper_id else "overview"
        [query] = encode_queries(encoder, [ParsedQuery(text)], mode)
        candidates = find_candidates(papers, query, DEPTH, Scope(without=frozenset(own)))
        key = paper_id or text
        samples.append(sample(kind, key, papers, query, _trained_on(candidates), relevant))
    reporter.progress("Signals (several answers)", 1, 1)
    return samples


def _usable(
    index: Index, judgements: Sequence[Judgement], reporter: Reporter
) -> list[tuple[str | None, str | None, set[str]]]:
    """Judgements by papers of an index that are not held out, and by texts: the paper, the text,
    and the relevant papers that are not held out. A line to the reporter has the numbers of those
    that are left out.

    Raises:
        InputError: if there are none.
    """
    ids = {paper_id for paper_id in index.corpus.ids() if not is_held_out(paper_id)}
    askers = [judged.id for judged in judgements if judged.id is not None]
    held_out = sum(map(is_held_out, askers))
    unknown = sum(each not in ids for each in askers) - held_out
    usable = [
        (judged.id, judged.text, relevant)
        for judged in judgements
        if (judged.id is None or judged.id in ids)
        and (relevant := {*judged.relevant} & ids - {judged.id})
    ]
    if len(usable) < len(judgements):
        reporter.notify(
            f"Of {len(judgements):,} judgements, {held_out:,} are of held-out papers, {unknown:,} "
            "of papers that the index lacks, and "
            f"{len(judgements) - len(usable) - held_out - unknown:,} have no relevant training "
            "paper in it: those are left out."
        )
    if not usable:
        raise InputError("no judgement is of training papers of this index")
    return usable


def _trained_on(candidates: Candidates) -> Candidates:
    """The candidates that are not held out for good: of the others it is not asked whether they
    are relevant."""
    kept = [not is_held_out(paper_id) for paper_id in candidates.signals.ids]
    return candidates.take(np.flatnonzero(kept))


def sample(
    name: str,
    key: str,
    papers: PaperIndex,
    query: EncodedQuery,
    candidates: Candidates,
    relevant: set[str],
) -> Sample:
    means = mean_scores(candidates.signals, papers.background)
    order = first_looked_at(papers, query, candidates, means)[:LOOKED_AT]
    head = candidates.take(order)
    look_at(papers, query, head.signals)
    return Sample(
        name,
        key,
        head.signals,
        np.array([paper_id in relevant for paper_id in head.signals.ids]),
        len(relevant),
        means[order],
    )

"""Fit what makes a sentence an answer, and when papers answer at all.

Sentences were judged: for each question, those of its paper's abstract that answer it. The weights
are those of a softmax over the sentences of all papers that were found, as for hits (`fit`).
Whether papers answer at all is a logistic regression on questions that are asked twice: of the
whole index, and without the paper that they are about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import InputError
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.report import Reporter
from astrosearch.search.conditions import Among
from astrosearch.search.hits import Hit
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.quoting import PAPERS, answer_signals, choose
from astrosearch.search.ranker import Weights
from astrosearch.search.searcher import Searcher, encode_queries
from astrosearch.search.sentence_signals import SentenceTable, sentence_table, sentences_of
from training.contrastive.requests import FORMS, request_lines
from training.json_lines import normal_id, numbered_lines, record_of
from training.ranking.fit import as_json, fit
from training.ranking.logistic import logistic_regression
from training.ranking.samples import Sample

RIDGE = 1.0
"""Weight of half the sum of squared weights in the regression."""

SILENT = 0.02
"""Share of questions whose paper is there that stay without an answer."""

UNSURE = 0.6
"""Share of questions whose paper is not there whose answer is marked as unsure, or not given: a
half, and twice the standard error of a hundred other questions."""

QUOTES = 6
"""Sentences of an answer that is judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, and the numbers of the sentences of its paper that answer it, the best first."""

    id: str
    question: str
    sentences: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """A question with the sentences that were found, whether or not its paper was among them."""

    judged: Judged
    hits: list[Hit]
    table: SentenceTable

    @property
    def answers(self) -> NDArray[np.bool_]:
        """(n,) whether a sentence was judged to answer."""
        return np.array(
            [
                each.hit.paper.id == self.judged.id and each.place in self.judged.sentences
                for each in self.table.sentences
            ],
            dtype=bool,
        )


def read_judged(path: Path, requests: Path) -> list[Judged]:
    """The judged questions of a file, with their texts.

    Args:
        path: JSON Lines of `{"id", "form", "sentences"}`.
        requests: the requests that were judged.

    Raises:
        InputError: if a line is not a judged question, one of them is not among the requests, or
            there are none.
    """
    texts = {
        (paper_id, form): text
        for _, paper_id, lines in request_lines(requests)
        for form, text in zip(FORMS, lines, strict=True)
    }
    judged = []
    for place, line in numbered_lines(path):
        paper_id, form, sentences = _judged_line(line, place)
        if (paper_id, form) not in texts:
            raise InputError(f"{place}: {requests} has no {form} for {paper_id}")
        judged.append(Judged(paper_id, texts[paper_id, form], sentences))
    if not judged:
        raise InputError(f"{path} is empty: {_EXPECTED}")
    return judged


_EXPECTED = 'write {"id": "2601.16919", "form": "question", "sentences": [1, 0]}'


def _judged_line(line: bytes, place: str) -> tuple[str, str, tuple[int, ...]]:
    """Paper, form and sentences of a line."""
    record = record_of(line, place)
    if not isinstance(record, dict):
        raise InputError(f"{place}: not a judged question: {_EXPECTED}")
    paper_id, form, sentences = map(record.get, ("id", "form", "sentences"))
    if not isinstance(paper_id, str) or not isinstance(form, str):
        raise InputError(f'{place}: "id" and "form" have to be strings: {_EXPECTED}')
    # `True` is an int, too.
    is_list = isinstance(sentences, list) and all(type(each) is int for each in sentences)
    if not is_list or not sentences or min(sentences) < 0:
        raise InputError(
            f'{place}: "sentences" has to be a list of one or more numbers from 0: {_EXPECTED}'
        )
    return normal_id(paper_id, place), form, tuple(sentences)


def _answerable(searcher: Searcher, judged: Sequence[Judged], reporter: Reporter) -> list[Judged]:
    """The judged questions whose papers the index has; a line to the reporter counts the others.

    Raises:
        InputError: if none is left, or one was judged by a sentence that its paper does not have.
    """
    known = searcher.papers_known({each.id for each in judged})
    left = [each for each in judged if each.id in known]
    if len(left) < len(judged):
        reporter.notify(
            f"Of {len(judged):,} judged questions, {len(judged) - len(left):,} are of papers that "
            f"index {searcher.name} lacks: those are left out."
        )
    if not left:
        raise InputError(f"index {searcher.name} has none of the judged papers: give one that has")
    papers = LocalIndex(searcher.index).papers([each.id for each in left])
    for each, paper in zip(left, papers, strict=True):
        count = len(sentences_of([Hit(1, 0.0, paper)]))
        if max(each.sentences) >= count:
            raise InputError(
                f"sentence {max(each.sentences)} was judged of {each.id}, which has {count:,} in "
                f"index {searcher.name}, counted from 0: correct that line of the judged questions"
            )
    return left


def ask(searcher: Searcher, judged: Judged, *, without: bool) -> Asked:
    """A question's sentences; `without` leaves its paper out of the index."""
    query = ParsedQuery(judged.question)
    among = Among(None, frozenset([judged.id])) if without else Among()
    [found] = searcher.answers([query], PAPERS, among=among)
    papers = LocalIndex(searcher.index)
    [encoded] = encode_queries(searcher.encoder, [query], "hybrid")
    table = sentence_table(papers, searcher.encoder, encoded, found.hits)
    return Asked(judged, found.hits, table)


def fitted_answers(
    searcher: Searcher,
    judged: Sequence[Judged],
    reporter: Reporter,
    command: str,
    against: Sequence[tuple[str, Encoder]] = (),
) -> tuple[bytes, list[str]]:
    """The file that `search.quoting.read_knowledge` reads, and lines that say how good it is.

    Args:
        against: names and encoders; the sentences that are nearest by their vectors are judged,
            too.
    """
    judged = _answerable(searcher, judged, reporter)
    there, absent = [], []
    for number, each in enumerate(judged):
        reporter.progress("Sentences", number, len(judged))
        there.append(ask(searcher, each, without=False))
        absent.append(ask(searcher, each, without=True))
    reporter.progress("Sentences", len(judged), len(judged))
    samples = [_sample(each) for each in there]
    scores: list[NDArray[np.float64]] = []
    fitted = fit(samples, "answers", ("question",), reporter, cross_validated=scores)
    ways = [("ask", _chosen(there, scores)), *_simpler_ways(there)]
    for name, encoder in against:
        ways.append((name, _nearest(there, _cosines(there, encoder, name, reporter))))
    lines = _quality(there, ways)
    regression, told = _regression(there, absent, fitted.weights)
    record = orjson.loads(as_json(fitted.weights, "answers", command))
    record["answered"] = regression
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(record, option=options), [*lines, *told]


def _sample(asked: Asked) -> Sample:
    signals = asked.table.signals
    return Sample(
        "question",
        asked.judged.id,
        signals,
        asked.answers,
        len(asked.judged.sentences),
        signals.columns["bm25"],
    )


def _chosen(asked: Sequence[Asked], scores: Sequence[NDArray[np.float64]]) -> list[Sequence[int]]:
    """The places of the sentences that `ask` quotes."""
    return [
        choose(
            theirs,
            each.table.likeness(),
            [sentence.hit.rank for sentence in each.table.sentences],
            QUOTES,
        )
        for each, theirs in zip(asked, scores, strict=True)
    ]


def _nearest(asked: Sequence[Asked], scores: Sequence[NDArray[np.floating]]) -> list[Sequence[int]]:
    """The places of the sentences that score best."""
    return [
        np.argsort(-theirs, kind="stable")[:QUOTES].tolist()
        for _, theirs in zip(asked, scores, strict=True)
    ]


def _simpler_ways(asked: Sequence[Asked]) -> list[tuple[str, list[Sequence[int]]]]:
    """What `ask` is compared with: the first sentences of the best papers, and the best of the
    same papers by one signal."""
    first = [
        [place for place, sentence in enumerate(each.table.sentences) if not sentence.place]
        for each in asked
    ]
    signals = [each.table.signals.columns for each in asked]
    return [
        ("first sentences", [places[:QUOTES] for places in first]),
        ("BM25", _nearest(asked, [columns["bm25"] for columns in signals])),
        ("vectors", _nearest(asked, [columns["cosine"] for columns in signals])),
    ]


def _cosines(
    asked: Sequence[Asked], encoder: Encoder, name: str, reporter: Reporter
) -> list[NDArray[np.floating]]:
    """The cosine of each sentence with its question, by another encoder."""
    cosines = []
    for number, each in enumerate(asked):
        reporter.progress(f"Sentences by {name}", number, len(asked))
        texts = [each.judged.question, *(sentence.text for sentence in each.table.sentences)]
        vectors = unit_rows(encoder.encode(texts))
        cosines.append(vectors[1:] @ vectors[0])
    reporter.progress(f"Sentences by {name}", len(asked), len(asked))
    return cosines


def _quality(
    asked: Sequence[Asked], ways: Sequence[tuple[str, Sequence[Sequence[int]]]]
) -> list[str]:
    """For ways to choose six sentences, how often one is of the right paper, is the best by
    judgement, or is one that answers by judgement; and how much oftener by the first way."""
    values = {
        name: np.array([_hit_by(each, places) for each, places in zip(asked, chosen, strict=True)])
        for name, chosen in ways
    }
    first, *others = values
    rows = values | {f"{first} above {name}": values[first] - values[name] for name in others}
    lines = [f"{'':26}{'right paper':25}{'best sentence':25}a sentence that answers"]
    for name, row in rows.items():
        means = resampled_means(row, 0)
        cells = [interval(row[:, n].mean(), means[:, n]) for n in range(3)]
        lines.append(f"{name:25} " + "".join(f"{_shown(cell):25}" for cell in cells).rstrip())
    return lines


def _hit_by(asked: Asked, places: Sequence[int]) -> list[float]:
    sentences = [asked.table.sentences[place] for place in places]
    own = [each.place for each in sentences if each.hit.paper.id == asked.judged.id]
    judged = asked.judged.sentences
    return [float(bool(own)), float(judged[0] in own), float(any(n in judged for n in own))]


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _regression(
    there: Sequence[Asked], absent: Sequence[Asked], weights: Weights
) -> tuple[dict[str, object], list[str]]:
    """What tells whether papers answer, and how well it does where every second question sets the
    thresholds and the others are asked."""
    signals = [_signals(each, weights) for each in (*there, *absent)]
    names = sorted(set.intersection(*(set(each) for each in signals)))
    values = np.array([[each[name] for name in names] for each in signals])
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    values = (values - mean) / np.where(deviation > 0, deviation, 1.0)
    is_there = np.arange(len(signals)) < len(there)
    is_fitted = np.arange(len(signals)) % len(there) % 2 == 0
    halves = _logistic(values[is_fitted], is_there[is_fitted])
    chances = _chances(values, halves)
    silent, unsure = _thresholds(chances[is_fitted], is_there[is_fitted])
    told = []
    for group, name in ((is_there, "paper there"), (~is_there, "paper not there")):
        asked = chances[group & ~is_fitted]
        told.append(
            f"{name}: {len(asked)} questions, answered {np.mean(asked >= unsure):.3f}, marked "
            f"unsure {np.mean((asked >= silent) & (asked < unsure)):.3f}, silent "
            f"{np.mean(asked < silent):.3f}"
        )
    final = _logistic(values, is_there)
    silent, unsure = _thresholds(_chances(values, final), is_there)
    record: dict[str, object] = {
        "signals": [
            {"signal": name, "mean": _short(m), "deviation": _short(d), "weight": _short(w)}
            for name, m, d, w in zip(names, mean, deviation, final, strict=False)
        ],
        "bias": _short(final[-1]),
        "silent": _short(silent),
        "unsure": _short(unsure),
    }
    return record, told


def _signals(asked: Asked, weights: Weights) -> dict[str, float]:
    return answer_signals(asked.hits, asked.table, weights.scores(asked.table.signals))


def _thresholds(chances: NDArray[np.float64], is_there: NDArray[np.bool_]) -> tuple[float, float]:
    silent = float(np.quantile(chances[is_there], SILENT))
    return silent, max(silent, float(np.quantile(chances[~is_there], UNSURE)))


def _chances(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = values @ weights[:-1] + weights[-1]
    return np.asarray(1 / (1 + np.exp(-total)), dtype=np.float64)


def _logistic(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(signals + 1,) weights and bias."""
    inputs = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    return logistic_regression(inputs, truth, RIDGE)


def _short(value: float) -> float:
    return float(f"{float(value):.6g}")

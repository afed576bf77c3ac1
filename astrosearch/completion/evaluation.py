"""Does grounding help? On abstracts that a model has not seen, cut in halves.

The first half is the beginning. How well is the true second half predicted, with sources before it
and without, by the base and by the adapter? What share of the numbers that a model writes there do
the true abstract or the sources have? How near does it come to the true ending?
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.completion.complete import find_sources, relevance_floor
from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.completion.perplexity import Losses, losses_of, reduction
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.tasks import sample_order
from astrosearch.index.reader import Index
from astrosearch.report import Reporter
from astrosearch.text.quantities import AllowedValues, mentions
from astrosearch.text.sentences import halves

Load = Callable[[], LocalGenerator]


@dataclass(frozen=True, slots=True)
class Case:
    """An abstract in halves, and the sources of the first."""

    paper_id: str
    beginning: str
    ending: str
    sources: list[str]
    """Abstracts, best first; the paper's own is none of them."""


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Of the true endings, under one model."""

    model: str
    grounded: bool
    value: float


@dataclass(frozen=True, slots=True)
class Reduction:
    """How much lower one perplexity is than another, as a share of it."""

    what: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the continuations of one way of writing are like."""

    how: str
    abstracts: int
    numbers: int
    """Written in all."""
    supported: Estimate | None
    """Share of them that the true abstract or a source has; None if none was written."""
    unsupported_by_all: int
    """Numbers that neither the beginning nor a source has."""
    similarity: Estimate
    """Mean cosine of a continuation and the true ending."""
    shuffled: Estimate
    """The same with the ending of another paper."""
    tokens_blocked: int


@dataclass(frozen=True, slots=True)
class CompletionReport:
    """Everything that was measured."""

    index: str
    papers: int
    sources: float
    """Mean number of sources that stood before a beginning."""
    left_out: int
    """Papers without two halves, or without sources."""
    perplexities: list[Perplexity]
    reductions: list[Reduction]
    sampled: list[Sampled]

    def as_record(self) -> dict[str, Any]:
        return asdict(self)


def draw_cases(
    index: Index,
    encoder: Encoder,
    count: int,
    k: int,
    *,
    held_out: bool,
    seed: int,
    reporter: Reporter,
) -> tuple[list[Case], int]:
    """The first `count` papers of a sample that have two halves and sources; and how many were
    passed over.

    Raises:
        InputError: if there are fewer than two.
    """
    cases: list[Case] = []
    left_out = 0
    limits: dict[int, float] = {}  # for beginnings of about the same length
    rows = sample_order(index, held_out=held_out, seed=seed)
    for paper in index.corpus.stream(rows):
        reporter.progress("Finding sources", len(cases), count)
        cut = halves(paper.abstract)
        try:
            if cut is None:
                raise NothingFound
            words = 1 << len(cut[0].split()).bit_length()
            if words not in limits:
                limits[words] = relevance_floor(index, encoder, words, k)
            sources = find_sources(
                index, encoder, cut[0], k, without=[paper.id], limit=limits[words]
            )
        except NothingFound:
            left_out += 1
            continue
        cases.append(Case(paper.id, *cut, [source.paper.abstract for source in sources]))
        if len(cases) == count:
            break
    reporter.progress("Finding sources", len(cases), len(cases))
    if len(cases) < 2:
        raise InputError(f"index {index.folder.name} has {len(cases)} fit papers: too few")
    return cases, left_out


def evaluate_completion(
    index: Index,
    encoder: Encoder,
    loads: tuple[Load, Load],
    cases: Sequence[Case],
    left_out: int,
    *,
    continued: int,
    seed: int,
    reporter: Reporter,
) -> CompletionReport:
    """Perplexities of both models, and continuations of the adapter's.

    Args:
        loads: make the writer of the base, and that of the adapter; one is held at a time.
        left_out: what `draw_cases` passed over.
        continued: how many of the cases, the first ones, are continued too.
    """
    perplexities: list[Perplexity] = []
    losses: dict[tuple[int, bool], Losses] = {}
    sampled: list[Sampled] = []
    names = []
    for number, load in enumerate(loads):
        writer = load()
        names.append(writer.name)
        for grounded in (False, True):
            what = f"Reading with {writer.name}{', grounded' if grounded else ''}"
            found = _losses(writer, cases, grounded=grounded, what=what, reporter=reporter)
            losses[number, grounded] = found
            perplexities.append(Perplexity(writer.name, grounded, found.perplexity))
        if number == 1:
            sampled = list(_sampled(writer, encoder, cases[:continued], seed, reporter))
        del writer  # before the next one is loaded
    base, adapter = names
    reductions = [
        Reduction(what, _estimate(reduction(losses[one], losses[other], seed)))
        for what, one, other in (
            (f"grounding, {base}", (0, False), (0, True)),
            (f"grounding, {adapter}", (1, False), (1, True)),
            ("adapter, without sources", (0, False), (1, False)),
            ("adapter, with sources", (0, True), (1, True)),
        )
    ]
    return CompletionReport(
        index.folder.name,
        len(cases),
        float(np.mean([len(case.sources) for case in cases])),
        left_out,
        perplexities,
        reductions,
        sampled,
    )


def _estimate(values: tuple[float, float, float]) -> Estimate:
    return Estimate(*(round(value, 6) for value in values))


def _ending(writer: LocalGenerator, case: Case) -> list[int]:
    """Token ids of the true ending, as they follow the beginning."""
    vocabulary = writer.model.vocabulary
    whole, begun = vocabulary.ids([f"{case.beginning} {case.ending}", case.beginning])
    return whole[len(begun) :]


def _given(writer: LocalGenerator, case: Case, room: int) -> list[str]:
    """The sources that have room beside the beginning and an answer of so many tokens."""
    return case.sources[: writer.fitting(case.beginning, case.sources, room)]


def _losses(
    writer: LocalGenerator, cases: Sequence[Case], *, grounded: bool, what: str, reporter: Reporter
) -> Losses:
    texts, given = [], []
    for case in cases:
        ending = _ending(writer, case)
        sources = _given(writer, case, len(ending)) if grounded else []
        prompt = writer.prompt(case.beginning, sources)
        texts.append([*prompt, *ending])
        given.append(len(prompt))
    return losses_of(
        writer.model, texts, lambda done: reporter.progress(what, done, len(cases)), given
    )


WAYS = (("without sources", False, False), ("grounded", True, False), ("strict", True, True))


@dataclass(slots=True)
class _Written:
    """What one way of writing gave, case by case."""

    texts: list[str] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    """Written, and of these true or in a source."""
    invented: int = 0
    tokens_blocked: int = 0


def _sampled(
    writer: LocalGenerator, encoder: Encoder, cases: Sequence[Case], seed: int, reporter: Reporter
) -> Iterator[Sampled]:
    """Each case continued by as many tokens as its true ending has, in each way."""
    written = {how: _Written() for how, _, _ in WAYS}
    for done, case in enumerate(cases):
        reporter.progress(f"Writing with {writer.name}", done, len(cases))
        known = AllowedValues([case.beginning, *case.sources])
        true = AllowedValues([case.beginning, case.ending, *case.sources])
        for how, grounded, strict in WAYS:  # the last two share a prompt, which is read once
            text, stats = _continued(writer, case, seed, known, grounded=grounded, strict=strict)
            found = [one for one in mentions(text) if one.kind == "number"]
            into = written[how]
            into.texts.append(text.strip() or ".")
            into.numbers.append((len(found), sum(bool(true.having(one)) for one in found)))
            into.invented += sum(not known.having(one) for one in found)
            into.tokens_blocked += stats.tokens_blocked
    reporter.progress(f"Writing with {writer.name}", len(cases), len(cases))
    endings = unit_rows(encoder.encode([case.ending for case in cases]))
    for how, into in written.items():
        vectors = unit_rows(encoder.encode(into.texts))
        yield Sampled(
            how,
            len(cases),
            sum(count for count, _ in into.numbers),
            _share(np.array(into.numbers, dtype=np.float64), seed),
            into.invented,
            _mean((vectors * endings).sum(axis=1), seed),
            _mean((vectors * np.roll(endings, 1, axis=0)).sum(axis=1), seed),
            into.tokens_blocked,
        )


def _continued(
    writer: LocalGenerator,
    case: Case,
    seed: int,
    known: AllowedValues,
    *,
    grounded: bool,
    strict: bool,
) -> tuple[str, GenerationStats]:
    length = max(1, len(_ending(writer, case)))
    given = _given(writer, case, length) if grounded else []
    stats = GenerationStats()
    sampling = Sampling(max_new_tokens=length, seed=seed)
    pieces = writer.write(case.beginning, given, sampling, stats, known if strict else None)
    text = "".join(pieces)
    if strict and stats.stopped != "end":
        text = known.without_unfinished(case.beginning, text)
    return text, stats


def _share(counts: NDArray[np.float64], seed: int) -> Estimate | None:
    """Of (n, 2) counts of a whole and its part: the share in all, resampled by rows."""
    if not counts[:, 0].sum():
        return None
    means = resampled_means(counts, seed)
    means = means[means[:, 0] > 0]
    return interval(counts[:, 1].sum() / counts[:, 0].sum(), means[:, 1] / means[:, 0])


def _mean(values: NDArray[np.floating], seed: int) -> Estimate:
    column = values.astype(np.float64)[:, None]
    return interval(float(column.mean()), resampled_means(column, seed)[:, 0])

"""Does grounding help? Measured on abstracts that the model has not seen, cut in halves.

The first half is the beginning. Three things are measured: how well the base and the adapter
predict the true second half, with sources and without; what share of the numbers they write are in
the true abstract or in a source; and how near their text comes to the true ending. README.md beside
this file has the figures.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.completion.perplexity import Losses, losses_of, reduction
from astrosearch.completion.sources import find_sources, relevance_floor
from astrosearch.encoders.vectors import unit_rows
from astrosearch.errors import InputError, NothingFound
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.tasks import sample_order
from astrosearch.report import Reporter
from astrosearch.search.searcher import Searcher
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
    """Abstracts, best first, without the paper's own."""


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
    """What the continuations written in one way are like."""

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
    searcher: Searcher,
    count: int,
    k: int,
    *,
    held_out: bool,
    seed: int,
    reporter: Reporter,
) -> tuple[list[Case], int]:
    """The first `count` papers of a sample that have two halves and sources, and how many papers
    were passed over.

    Raises:
        InputError: if fewer than two papers have both.
    """
    cases: list[Case] = []
    left_out = 0
    floors: dict[int, float] = {}  # one for all beginnings of about the same length
    rows = sample_order(searcher.index, held_out=held_out, seed=seed)
    for paper in searcher.index.corpus.stream(rows):
        reporter.progress("Finding sources", len(cases), count)
        cut = halves(paper.abstract)
        try:
            if cut is None:
                raise NothingFound
            words = 1 << len(cut[0].split()).bit_length()
            if words not in floors:
                floors[words] = relevance_floor(searcher, words, k)
            sources = find_sources(searcher, cut[0], k, exclude=[paper.id], floor=floors[words])
        except NothingFound:
            left_out += 1
            continue
        cases.append(Case(paper.id, *cut, [source.paper.abstract for source in sources]))
        if len(cases) == count:
            break
    reporter.progress("Finding sources", len(cases), len(cases))
    if len(cases) < 2:
        raise InputError(
            f"{len(cases)} papers of index {searcher.name} have two halves and sources; at least 2 "
            "are needed"
        )
    return cases, left_out


def evaluate_completion(
    searcher: Searcher,
    loads: tuple[Load, Load],
    cases: Sequence[Case],
    left_out: int,
    *,
    continued: int,
    seed: int,
    reporter: Reporter,
) -> CompletionReport:
    """The perplexities of base and adapter, and continuations by the adapter.

    Args:
        loads: load the base's generator and the adapter's; only one is in memory at a time.
        left_out: the papers that `draw_cases` passed over.
        continued: how many of the cases, from the first on, are continued as well.
    """
    perplexities: list[Perplexity] = []
    losses: dict[tuple[int, bool], Losses] = {}
    sampled: list[Sampled] = []
    names = []
    for number, load in enumerate(loads):
        generator = load()
        names.append(generator.name)
        for grounded in (False, True):
            task = f"Reading with {generator.name}{', grounded' if grounded else ''}"
            read = _losses(generator, cases, grounded=grounded, task=task, reporter=reporter)
            losses[number, grounded] = read
            perplexities.append(Perplexity(generator.name, grounded, read.perplexity))
        if number == 1:
            sampled = list(_sampled(generator, searcher, cases[:continued], seed, reporter))
        del generator  # before the next one is loaded
    base, adapter = names
    reductions = [
        Reduction(what, _estimate(reduction(losses[before], losses[after], seed)))
        for what, before, after in (
            (f"grounding, {base}", (0, False), (0, True)),
            (f"grounding, {adapter}", (1, False), (1, True)),
            ("adapter, without sources", (0, False), (1, False)),
            ("adapter, with sources", (0, True), (1, True)),
        )
    ]
    return CompletionReport(
        searcher.name,
        len(cases),
        float(np.mean([len(case.sources) for case in cases])),
        left_out,
        perplexities,
        reductions,
        sampled,
    )


def _estimate(values: tuple[float, float, float]) -> Estimate:
    return Estimate(*(round(value, 6) for value in values))


def _ending(generator: LocalGenerator, case: Case) -> list[int]:
    """Token ids of the true ending, tokenized behind the beginning."""
    vocabulary = generator.model.vocabulary
    whole, beginning = vocabulary.ids([f"{case.beginning} {case.ending}", case.beginning])
    return whole[len(beginning) :]


def _given(generator: LocalGenerator, case: Case, new_tokens: int) -> list[str]:
    """The sources that fit beside the beginning and `new_tokens` tokens."""
    return case.sources[: generator.count_fitting(case.beginning, case.sources, new_tokens)]


def _losses(
    generator: LocalGenerator,
    cases: Sequence[Case],
    *,
    grounded: bool,
    task: str,
    reporter: Reporter,
) -> Losses:
    texts, given = [], []
    for case in cases:
        ending = _ending(generator, case)
        sources = _given(generator, case, len(ending)) if grounded else []
        prompt = generator.prompt(case.beginning, sources)
        texts.append([*prompt, *ending])
        given.append(len(prompt))
    return losses_of(
        generator.model, texts, lambda done: reporter.progress(task, done, len(cases)), given
    )


WAYS = (
    ("without sources", False, False),
    ("grounded", True, False),
    ("only known numbers", True, True),
)
"""Name, whether sources are given, whether unknown numbers are forbidden."""


@dataclass(slots=True)
class _Written:
    """What was written in one way, case by case."""

    texts: list[str] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    """How many were written, and how many of these are true or in a source."""
    invented: int = 0
    tokens_blocked: int = 0


def _sampled(
    generator: LocalGenerator,
    searcher: Searcher,
    cases: Sequence[Case],
    seed: int,
    reporter: Reporter,
) -> Iterator[Sampled]:
    """Every case continued in each way, by as many tokens as its true ending has."""
    written = {how: _Written() for how, _, _ in WAYS}
    task = f"Writing with {generator.name}"
    for done, case in enumerate(cases):
        reporter.progress(task, done, len(cases))
        known = AllowedValues([case.beginning, *case.sources])
        true = AllowedValues([case.beginning, case.ending, *case.sources])
        for how, grounded, only_known in WAYS:  # the last two share a prompt, which is read once
            text, stats = _continued(
                generator, case, seed, known if only_known else None, grounded=grounded
            )
            numbers = [mention for mention in mentions(text) if mention.kind == "number"]
            way = written[how]
            way.texts.append(text.strip() or ".")
            way.numbers.append((len(numbers), sum(bool(true.having(number)) for number in numbers)))
            way.invented += sum(not known.having(number) for number in numbers)
            way.tokens_blocked += stats.tokens_blocked
    reporter.progress(task, len(cases), len(cases))
    endings = unit_rows(searcher.encoder.encode([case.ending for case in cases]))
    for how, way in written.items():
        vectors = unit_rows(searcher.encoder.encode(way.texts))
        yield Sampled(
            how,
            len(cases),
            sum(count for count, _ in way.numbers),
            _share(np.array(way.numbers, dtype=np.float64), seed),
            way.invented,
            _mean((vectors * endings).sum(axis=1), seed),
            _mean((vectors * np.roll(endings, 1, axis=0)).sum(axis=1), seed),
            way.tokens_blocked,
        )


def _continued(
    generator: LocalGenerator,
    case: Case,
    seed: int,
    allowed: AllowedValues | None,
    *,
    grounded: bool,
) -> tuple[str, GenerationStats]:
    length = max(1, len(_ending(generator, case)))
    given = _given(generator, case, length) if grounded else []
    stats = GenerationStats()
    sampling = Sampling(max_new_tokens=length, seed=seed)
    text = "".join(generator.generate(case.beginning, given, sampling, stats, allowed))
    if allowed is not None and stats.stopped != "end":
        text = allowed.without_unfinished(case.beginning, text)
    return text, stats


def _share(counts: NDArray[np.float64], seed: int) -> Estimate | None:
    """The share that the second column is of the first, over all rows; resampled by rows.

    Args:
        counts: (n, 2), the whole and its part.
    """
    if not counts[:, 0].sum():
        return None
    means = resampled_means(counts, seed)
    means = means[means[:, 0] > 0]
    return interval(counts[:, 1].sum() / counts[:, 0].sum(), means[:, 1] / means[:, 0])


def _mean(values: NDArray[np.floating], seed: int) -> Estimate:
    column = values.astype(np.float64)[:, None]
    return interval(float(column.mean()), resampled_means(column, seed)[:, 0])

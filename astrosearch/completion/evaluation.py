"""Evaluation of completion: does grounding help? Measured on abstracts cut in halves.

The model continues the first half of each abstract. Three things are measured: how well base model
and adapter predict the true second half, with sources and without; what share of the numbers that
the adapter writes are in the true abstract or in a source; and how near its text is to the true
ending. README.md beside this file has the results.
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
"""Loads a generator when it is needed."""


@dataclass(frozen=True, slots=True)
class Case:
    """An abstract in halves, and the sources for the first."""

    paper_id: str
    beginning: str
    ending: str
    sources: list[str]
    """Abstracts of other papers, the nearest first."""


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The perplexity of the true endings under one model."""

    model: str
    grounded: bool
    """Whether the sources are in the prompt."""
    value: float


@dataclass(frozen=True, slots=True)
class Reduction:
    """How much one change lowers the perplexity, as a share of that without the change."""

    what: str
    """The change."""
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Sampled:
    """Figures of the continuations that were written in one of `WAYS`."""

    how: str
    """Name of the way."""
    abstracts: int
    """Number of continuations."""
    numbers: int
    """Number of numbers in all continuations together."""
    supported: Estimate | None
    """Share of these numbers that are in the true abstract or a source; None without numbers."""
    unsupported_by_all: int
    """Numbers that are neither in the beginning nor in a source."""
    similarity: Estimate
    """Mean cosine of a continuation with the true ending."""
    shuffled: Estimate
    """Mean cosine of a continuation with the ending of another paper."""
    tokens_blocked: int
    """Tokens that were not written because they would have led to an unknown number."""


@dataclass(frozen=True, slots=True)
class CompletionReport:
    """Everything that was measured."""

    index: str
    papers: int
    """Number of cases."""
    sources: float
    """Mean number of sources of a case."""
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
    """The first `count` papers of a sample that have two halves and sources, and the number of
    papers that were left out.

    Args:
        k: most sources of a case.

    Raises:
        InputError: if fewer than two papers have both.
    """
    cases: list[Case] = []
    left_out = 0
    floors: dict[int, float] = {}  # one for all beginnings with the same power of two of words
    rows = sample_order(searcher.index, held_out=held_out, seed=seed)
    for paper in searcher.index.corpus.stream(rows):
        reporter.progress("Finding sources", len(cases), count)
        parts = halves(paper.abstract)
        try:
            if parts is None:
                raise NothingFound
            beginning, ending = parts
            words = 1 << len(beginning.split()).bit_length()
            if words not in floors:
                floors[words] = relevance_floor(searcher, words, k)
            sources = find_sources(searcher, beginning, k, exclude=[paper.id], floor=floors[words])
        except NothingFound:
            left_out += 1
            continue
        abstracts = [source.paper.abstract for source in sources]
        cases.append(Case(paper.id, beginning, ending, abstracts))
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
    """The perplexities under base model and adapter, and figures of continuations by the adapter.

    Args:
        loads: load the base model and the adapter; only one of them is in memory at a time.
        left_out: number of papers that `draw_cases` left out.
        continued: number of cases, from the first on, that the adapter continues.
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
            ending_losses = _losses(
                generator, cases, grounded=grounded, task=task, reporter=reporter
            )
            losses[number, grounded] = ending_losses
            perplexities.append(Perplexity(generator.name, grounded, ending_losses.perplexity))
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
    """Token ids of the true ending, tokenized after the beginning."""
    vocabulary = generator.model.vocabulary
    whole, beginning = vocabulary.ids([f"{case.beginning} {case.ending}", case.beginning])
    return whole[len(beginning) :]


def _fitting_sources(generator: LocalGenerator, case: Case, new_tokens: int) -> list[str]:
    """The sources that fit in the model's context with the beginning and `new_tokens` tokens."""
    return case.sources[: generator.count_fitting(case.beginning, case.sources, new_tokens)]


def _losses(
    generator: LocalGenerator,
    cases: Sequence[Case],
    *,
    grounded: bool,
    task: str,
    reporter: Reporter,
) -> Losses:
    """The losses of the true endings after their prompts."""
    texts, prompt_lengths = [], []
    for case in cases:
        ending = _ending(generator, case)
        sources = _fitting_sources(generator, case, len(ending)) if grounded else []
        prompt = generator.prompt(case.beginning, sources)
        texts.append([*prompt, *ending])
        prompt_lengths.append(len(prompt))
    return losses_of(
        generator.model,
        texts,
        lambda done: reporter.progress(task, done, len(cases)),
        prompt_lengths,
    )


WAYS = (
    ("without sources", False, False),
    ("grounded", True, False),
    ("only known numbers", True, True),
)
"""Name, whether sources are in the prompt, whether unknown numbers are blocked."""


@dataclass(slots=True)
class _Continuations:
    """The continuations written in one way, case by case."""

    texts: list[str] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    """Numbers in a continuation, and how many of them are true or in a source."""
    invented: int = 0
    tokens_blocked: int = 0


def _sampled(
    generator: LocalGenerator,
    searcher: Searcher,
    cases: Sequence[Case],
    seed: int,
    reporter: Reporter,
) -> Iterator[Sampled]:
    """Figures of each way, from a continuation of each case as long as its true ending."""
    continuations = {how: _Continuations() for how, _, _ in WAYS}
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
            supported = sum(bool(true.having(number)) for number in numbers)
            written = continuations[how]
            written.texts.append(text.strip() or ".")
            written.numbers.append((len(numbers), supported))
            written.invented += sum(not known.having(number) for number in numbers)
            written.tokens_blocked += stats.tokens_blocked
    reporter.progress(task, len(cases), len(cases))
    endings = unit_rows(searcher.encoder.encode([case.ending for case in cases]))
    for how, written in continuations.items():
        vectors = unit_rows(searcher.encoder.encode(written.texts))
        yield Sampled(
            how,
            len(cases),
            sum(count for count, _ in written.numbers),
            _share(np.array(written.numbers, dtype=np.float64), seed),
            written.invented,
            _mean((vectors * endings).sum(axis=1), seed),
            _mean((vectors * np.roll(endings, 1, axis=0)).sum(axis=1), seed),
            written.tokens_blocked,
        )


def _continued(
    generator: LocalGenerator,
    case: Case,
    seed: int,
    allowed: AllowedValues | None,
    *,
    grounded: bool,
) -> tuple[str, GenerationStats]:
    """A continuation of a case, as long as its true ending.

    Args:
        allowed: the numbers that may be written; None for any.
    """
    length = max(1, len(_ending(generator, case)))
    sources = _fitting_sources(generator, case, length) if grounded else []
    stats = GenerationStats()
    sampling = Sampling(max_new_tokens=length, seed=seed)
    text = "".join(generator.generate(case.beginning, sources, sampling, stats, allowed))
    if allowed is not None and stats.stopped != "end":
        text = allowed.without_unfinished(case.beginning, text)
    return text, stats


def _share(counts: NDArray[np.float64], seed: int) -> Estimate | None:
    """The sum of the second column over that of the first, resampled by rows; None if the first is
    zero.

    Args:
        counts: (n, 2), wholes and their parts.
    """
    if not counts[:, 0].sum():
        return None
    means = resampled_means(counts, seed)
    means = means[means[:, 0] > 0]
    return interval(counts[:, 1].sum() / counts[:, 0].sum(), means[:, 1] / means[:, 0])


def _mean(values: NDArray[np.floating], seed: int) -> Estimate:
    """The mean of (n,) values with its interval."""
    column = values.astype(np.float64)[:, None]
    return interval(float(column.mean()), resampled_means(column, seed)[:, 0])

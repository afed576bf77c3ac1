"""Grounded completion: a generator continues an abstract from papers of an index, and every
sentence, number and name of the continuation is checked against them.

    request = CompletionRequest("The Magellanic Stream is", source_count=3)
    result = run(request, searcher, reporter)

The AstroLLaMA paper lets a model continue the first sentences of an abstract and finds that it
invents numbers (arXiv:2309.06126, sections 3.2 and 4). Generated text is not a result; the checks
say where to look for what it claims.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from astrosearch.completion.attribution import Copy, calibrated_thresholds
from astrosearch.completion.generators.base import (
    GenerationStats,
    Generator,
    GeneratorSpec,
    Sampling,
    collect,
)
from astrosearch.completion.generators.loading import load_generator
from astrosearch.completion.grounding import (
    CheckedMention,
    CheckedSentence,
    Grounding,
    GroundingChecker,
)
from astrosearch.completion.sources import Source, find_sources
from astrosearch.corpus.filters import Filters
from astrosearch.errors import InputError, NothingFound
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.search.searcher import Searcher
from astrosearch.text.sentences import sentence_spans


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What to continue, with which generators, from which sources."""

    beginning: str
    generators: tuple[GeneratorSpec, ...] = (GeneratorSpec(),)
    sampling: Sampling = field(default_factory=Sampling)
    samples: int = 1
    """Continuations by each generator, with consecutive seeds from `sampling.seed` on."""
    source_count: int = 5
    filters: Filters | None = None
    """Which papers may be sources."""
    exclude: tuple[str, ...] = ()
    """Identifiers of papers that may not be sources, as the one whose beginning it is."""
    grounded: bool = True
    """Whether the generators are given the sources. If not, the text is still checked against
    them."""
    only_known_numbers: bool = False
    """Whether the decoder is kept to numbers that the beginning or a source has."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A continuation with its checks. `start` and `end` are places in `text`."""

    generator: str
    text: str
    grounding: Grounding
    sampling: Sampling
    stats: GenerationStats
    only_known_numbers: bool = False
    seconds: float = field(default=0.0, compare=False)
    """Time spent generating."""

    @property
    def sentences(self) -> list[CheckedSentence]:
        return self.grounding.sentences

    @property
    def copies(self) -> list[Copy]:
        return self.grounding.copies

    @property
    def numbers(self) -> list[CheckedMention]:
        return [m for m in self.grounding.mentions if m.mention.kind == "number"]

    @property
    def names(self) -> list[CheckedMention]:
        return [m for m in self.grounding.mentions if m.mention.kind == "name"]

    @property
    def longest_copy(self) -> int:
        """In words; 0 if nothing is copied."""
        return max((copy.words for copy in self.copies), default=0)


@dataclass(frozen=True, slots=True)
class CompletionResult:
    """The answer to a request."""

    beginning: str
    sources: list[Source]
    grounded: bool
    completions: list[Completion]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the last continuation, and with it the rest of the request."""
        return any(done.stats.stopped == "interrupted" for done in self.completions)


def beginning_of(paper: Paper, count: int) -> str:
    """The first `count` sentences of a paper's abstract.

    Raises:
        InputError: if nothing would be left to continue.
    """
    spans = sentence_spans(paper.abstract)
    if len(spans) <= count:
        raise InputError(
            f"the abstract of {paper.id} has {len(spans)} sentences; a beginning of {count} leaves "
            "nothing to continue"
        )
    return paper.abstract[: spans[count - 1][1]]


def run(
    request: CompletionRequest,
    searcher: Searcher,
    reporter: Reporter = SILENT,
    on_text: Callable[[str], None] | None = None,
) -> CompletionResult:
    """Continue a beginning as a request says, and check what comes.

    Ctrl-C ends the continuation that is being generated; it is checked, and the result has it as
    its last one.

    Args:
        on_text: is given each piece of text as it is generated, in place of the reporter's
            progress.

    Raises:
        InputError: if the beginning is too long, or a generator cannot do what is requested.
        NothingFound: if no paper is related to the beginning, and sources are to be given.
        ModelMissing: if a model is not on this machine and cannot be fetched.
    """
    _check(request)
    thresholds = calibrated_thresholds(searcher)
    sources = _sources(request, searcher, reporter)
    checker = GroundingChecker(
        searcher.encoder, thresholds, request.beginning, [source.paper for source in sources]
    )
    completions: list[Completion] = []
    result = CompletionResult(request.beginning, sources, request.grounded, completions)
    for spec in request.generators:
        for completion in _continuations(request, spec, checker, sources, reporter, on_text):
            completions.append(completion)
            if result.interrupted:
                return result
    return result


def _check(request: CompletionRequest) -> None:
    """Before anything is loaded."""
    if not request.beginning.strip():
        raise InputError("the beginning is empty")
    services = [spec.model for spec in request.generators if spec.is_service]
    if request.only_known_numbers and services:
        raise InputError(
            f"{services[0]} runs at its service and cannot be kept to known numbers; a model on "
            "this machine can"
        )


def _sources(request: CompletionRequest, searcher: Searcher, reporter: Reporter) -> list[Source]:
    """The sources. Without grounding there may be none: then there is nothing to check against."""
    try:
        return find_sources(
            searcher, request.beginning, request.source_count, request.filters, request.exclude
        )
    except NothingFound as error:
        if request.grounded:
            raise
        reporter.notify(f"Nothing to check the text against: {error}")
        return []


def _continuations(
    request: CompletionRequest,
    spec: GeneratorSpec,
    checker: GroundingChecker,
    sources: Sequence[Source],
    reporter: Reporter,
    on_text: Callable[[str], None] | None,
) -> Iterator[Completion]:
    """All samples of one generator, which is in memory only for that time."""
    generator = load_generator(spec, reporter)
    given = _fitting_sources(request, generator, sources, reporter)
    for number in range(request.samples):
        yield complete(
            generator,
            checker,
            request.beginning,
            given,
            replace(request.sampling, seed=request.sampling.seed + number),
            only_known_numbers=request.only_known_numbers,
            reporter=reporter,
            on_text=on_text,
        )


def _fitting_sources(
    request: CompletionRequest, generator: Generator, sources: Sequence[Source], reporter: Reporter
) -> Sequence[Source]:
    """The sources that the generator can read beside the beginning and the new tokens."""
    new_tokens = request.sampling.max_new_tokens
    abstracts = [source.paper.abstract for source in sources]
    count = generator.count_fitting(request.beginning, abstracts, new_tokens)
    if not request.grounded:
        return []
    if not count:
        raise InputError(
            f"no source fits into what {generator.name} reads beside the beginning and "
            f"{new_tokens:,} new tokens",
            remedy="fewer-tokens",
        )
    if count < len(sources):
        reporter.notify(
            f"Only {count} of the {len(sources)} sources fit into what {generator.name} reads"
        )
    return sources[:count]


def complete(
    generator: Generator,
    checker: GroundingChecker,
    beginning: str,
    sources: Sequence[Source],
    sampling: Sampling,
    *,
    only_known_numbers: bool = False,
    reporter: Reporter = SILENT,
    on_text: Callable[[str], None] | None = None,
) -> Completion:
    """Continue a beginning once and check what came. Ctrl-C ends the generation, not the checks.

    Args:
        sources: those that fit (`Generator.count_fitting`).
        only_known_numbers: let the generator write no number that neither the beginning nor a
            source has.
        on_text: is given each piece of the text, in place of the reporter's progress.
    """
    stats = GenerationStats()
    start = time.perf_counter()
    allowed = checker.allowed if only_known_numbers else None
    abstracts = [source.paper.abstract for source in sources]
    text = collect(
        generator.generate(beginning, abstracts, sampling, stats, allowed),
        stats,
        task=f"Writing with {generator.name}",
        most=sampling.max_new_tokens,
        reporter=reporter,
        on_text=on_text,
    )
    seconds = time.perf_counter() - start
    if only_known_numbers and stats.stopped != "end":
        text = checker.allowed.without_unfinished(beginning, text)
    grounding = checker.check(text)
    return Completion(generator.name, text, grounding, sampling, stats, only_known_numbers, seconds)

"""`astrosearch eval`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import (
    consent_option,
    format_option,
    index_argument,
    seed_option,
    was_given,
)

if TYPE_CHECKING:
    from astrosearch.encoders.base import Encoder
    from astrosearch.evaluation.gate import SavedReport
    from astrosearch.evaluation.report import Report
    from astrosearch.search.searcher import Reranker, Searcher

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("eval")
@index_argument
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["title", "half", "judgements", "completion"]),
    help="May be repeated, except completion. By default title and half, and judgements too with "
    "--judgements.",
)
@click.option(
    "--judgements",
    metavar="FILE",
    type=_FILE,
    help='JSON Lines of {"id" or "query": …, "relevant": [ids]}, TREC qrels, a question set of '
    "Pathfinder (JSON), or a table with columns question and paper (CSV, TSV, Parquet).",
)
@click.option(
    "--topics",
    metavar="FILE",
    type=_FILE,
    help="The queries of TREC qrels, one on each line: number, tab, text.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    help="Queries of each task, drawn at random; by default 1000, for completion 200.",
)
@click.option(
    "--pool",
    type=click.IntRange(min=2),
    default=10_000,
    show_default=True,
    help="Number of papers that are searched for the answers.",
)
@click.option(
    "--held-out", is_flag=True, help="Use only papers that no shipped model was trained on."
)
@seed_option("Seed of all random draws.")
@click.option(
    "--against",
    metavar="ENCODER",
    multiple=True,
    help="Compare with another encoder, named as for `astrosearch index`; may be repeated.",
)
@click.option(
    "--rerank",
    is_flag=True,
    help="Measure, too, what `query --rerank` gives; each query takes half a second more.",
)
@click.option("--model", metavar="MODEL", help="For completion: base model, as for `complete`.")
@click.option("--adapter", metavar="ADAPTER", help="For completion: adapter of --model.")
@click.option(
    "--sources",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="For completion: number of papers given to the model.",
)
@click.option(
    "--continued",
    type=click.IntRange(min=2),
    help="For completion: number of abstracts that the model continues; by default all.",
)
@format_option("table", "json")
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the report, with the scores of each query, for a later --gate.",
)
@click.option(
    "--gate",
    metavar="FILE",
    type=_FILE,
    help="Exit with code 1 if the index scores worse than in this saved report.",
)
@consent_option
def evaluate(index_name: str | None, tasks: tuple[str, ...], output: str, **options: Any) -> None:
    """Measure how well an index finds the right papers.

    title: each title must find its abstract. half: the first half of an abstract must find the
    second. judgements: a paper or a text must find the papers judged relevant, such as those it
    cites. Each task is run by words, by vectors and by both, and its scores have 95 % intervals.
    completion: how well a language model continues the first half of an abstract, with sources and
    without.

    \b
    astrosearch eval
    astrosearch eval astro --held-out --against minilm --against paper
    astrosearch eval astro --judgements multi_paper.json --against minilm
    astrosearch eval astro --judgements multi_paper.json --rerank
    astrosearch eval astro --judgements citations.jsonl --save before.json
    astrosearch eval astro --judgements citations.jsonl --gate before.json
    astrosearch eval astro --task completion --held-out
    """
    if "completion" in tasks:
        _evaluate_completion(index_name, tasks, output, options)
    else:
        _evaluate_retrieval(index_name, tasks, output, options)


def _evaluate_retrieval(
    index_name: str | None, tasks: tuple[str, ...], output: str, options: dict[str, Any]
) -> None:
    tasks = _retrieval_tasks(tasks, options)

    from astrosearch.evaluation.gate import SavedReport
    from astrosearch.evaluation.qrels import read_judgements
    from astrosearch.evaluation.retrieval import evaluate
    from astrosearch.evaluation.tasks import Settings, sample_tasks
    from astrosearch.search.searcher import open_index

    gate, save, judgements = options["gate"], options["save"], options["judgements"]
    saved = SavedReport.read(gate) if gate else None
    if save:
        _check_writable(save)
    judged = read_judgements(judgements, options["topics"]) if judgements else []
    settings = Settings(
        tuple(dict.fromkeys(tasks)),
        options["queries"] or 1000,
        options["pool"],
        options["held_out"],
        options["seed"],
    )
    reporter = Terminal(yes=options["yes"])
    with open_index(index_name, reporter=reporter) as searcher:
        reranker = _reranker(searcher) if options["rerank"] else None
        sampled = sample_tasks(searcher.index, settings, judged)
        for task in sampled:
            for note in task.notes:
                notify(f"{task.name}: {note}")
            if options["rerank"] and not task.asks_in_texts:
                notify(f"{task.name}: --rerank has no effect where papers ask")
        if saved:
            saved.check(sampled, settings)
        encoders = _encoders(searcher, options["against"], reporter)
        report = evaluate(searcher.index, settings, sampled, encoders, reporter, reranker)
    _write(report, output)
    if save:
        _save(report, save)
    if saved:
        _pass_gate(saved, report)


def _retrieval_tasks(tasks: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
    """The tasks to run, or the default ones.

    Raises:
        UsageError: if options contradict each other.
    """
    judgements = options["judgements"]
    if options["model"] or options["adapter"] or options["continued"] or was_given("sources"):
        raise click.UsageError(
            "--model, --adapter, --sources and --continued belong to --task completion"
        )
    if judgements is None and "judgements" in tasks:
        raise click.UsageError("--task judgements needs --judgements FILE")
    if judgements is not None and tasks and "judgements" not in tasks:
        raise click.UsageError("--judgements needs --task judgements too")
    if options["topics"] is not None and judgements is None:
        raise click.UsageError("--topics belongs to --judgements FILE")
    if tasks:
        return tasks
    return ("title", "half") if judgements is None else ("title", "half", "judgements")


def _encoders(
    searcher: "Searcher", against: tuple[str, ...], reporter: Terminal
) -> "list[tuple[str, Encoder]]":
    """The names and encoders to evaluate: the index's own first, then those of --against."""
    from astrosearch.encoders.consent import IndexConsent
    from astrosearch.encoders.loading import load_cached_encoder, load_encoder
    from astrosearch.encoders.registry import encoder_spec

    own = searcher.index.manifest.encoder
    consent = IndexConsent(reporter, searcher.index.folder)
    encoders = [(own.short_name, load_encoder(own, consent))]
    for name in dict.fromkeys(against):
        encoders.append((name, load_cached_encoder(encoder_spec(name), reporter)))
    return encoders


def _reranker(searcher: "Searcher") -> "Reranker":
    """
    Raises:
        InputError: if the hits of the index have no learnt order, to which reading adds.
    """
    from astrosearch.errors import InputError
    from astrosearch.search.cross_encoder import shipped_cross_encoder

    if not searcher.index.manifest.encoder.is_static:
        raise InputError(
            f"--rerank adds to the learnt order of hits, which index {searcher.name} does not "
            "have: its encoder compares no tokens"
        )
    return shipped_cross_encoder()


def _evaluate_completion(
    index_name: str | None, tasks: tuple[str, ...], output: str, options: dict[str, Any]
) -> None:
    retrieval_only = ("judgements", "topics", "pool", "against", "rerank", "save", "gate")
    if set(tasks) != {"completion"} or any(map(was_given, retrieval_only)):
        raise click.UsageError(
            "--task completion cannot be combined with another --task, --judgements, --topics, "
            "--pool, --against, --rerank, --save or --gate"
        )
    model, adapter = options["model"], options["adapter"]
    if (model is None) != (adapter is None):
        raise click.UsageError("give --model and --adapter together: they are compared")

    from astrosearch.cli.views.evaluation import write_completion_report
    from astrosearch.cli.views.hits import as_json
    from astrosearch.completion.evaluation import draw_cases, evaluate_completion
    from astrosearch.completion.generators.base import DEFAULT_GENERATOR
    from astrosearch.completion.generators.local import LocalGenerator
    from astrosearch.encoders.registry import DEFAULT
    from astrosearch.search.searcher import open_index

    base, adapter = (model, adapter) if model else (DEFAULT, DEFAULT_GENERATOR)
    count = options["queries"] or 200
    seed, reporter = options["seed"], Terminal(yes=options["yes"])
    with open_index(index_name, reporter=reporter) as searcher:
        cases, left_out = draw_cases(
            searcher,
            count,
            options["sources"],
            held_out=options["held_out"],
            seed=seed,
            reporter=reporter,
        )
        report = evaluate_completion(
            searcher,
            (
                lambda: LocalGenerator.load(base, reporter),
                lambda: LocalGenerator.load(base, reporter, adapter=adapter),
            ),
            cases,
            left_out,
            continued=min(count, options["continued"] or count),
            seed=seed,
            reporter=reporter,
        )
    if output == "json":
        write(as_json(report.as_record(), indent=True))
    else:
        write_completion_report(report)


def _write(report: "Report", output: str) -> None:
    from astrosearch.cli.views.evaluation import write_report
    from astrosearch.cli.views.hits import as_json

    if output == "json":
        write(as_json(report.as_record(), indent=True))
    else:
        write_report(report)


def _pass_gate(saved: "SavedReport", report: "Report") -> None:
    """Exit with code 1 if the report is worse than the saved one."""
    if regressions := saved.regressions(report):
        notify(f"astrosearch: worse than {saved.path}: {'; '.join(regressions)}")
        raise click.exceptions.Exit(1)
    notify(f"Not worse than {saved.path}")


def _check_writable(path: Path) -> None:
    """Fail now if the report cannot be written, and not after minutes of work.

    Raises:
        InputError: if it cannot.
    """
    is_new = not path.exists()
    with _writing(path):
        path.open("a").close()
        if is_new:
            path.unlink()


def _save(report: "Report", path: Path) -> None:
    from astrosearch.cli.views.hits import as_json

    with _writing(path):
        path.write_text(as_json(report.as_record(values=True)) + "\n")
    notify(f"Saved {path}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns an OSError into an InputError that names the path."""
    from astrosearch.errors import InputError

    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None

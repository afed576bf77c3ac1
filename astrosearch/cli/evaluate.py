"""`astrosearch eval`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import consent_option, seed_option

if TYPE_CHECKING:
    from astrosearch.encoders.base import Encoder
    from astrosearch.evaluation.retrieval import Report


@click.command("eval")
@click.argument("name", required=False, envvar="ASTROSEARCH_INDEX")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["title", "half", "judgements", "completion"]),
    help="May be repeated, but for completion; by default title and half, and judgements if there "
    "are any.",
)
@click.option(
    "--judgements",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON Lines of {"id" or "query": …, "relevant": [ids]}, or TREC qrels.',
)
@click.option(
    "--topics",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The queries of TREC qrels: number, tab, text.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    help="How many queries a task, drawn at random: 1000, or 200 abstracts for completion.",
)
@click.option(
    "--pool",
    type=click.IntRange(min=2),
    default=10_000,
    show_default=True,
    help="Among how many papers the answers are sought.",
)
@click.option("--held-out", is_flag=True, help="Only papers that nothing here was trained on.")
@seed_option("For all that is drawn.")
@click.option(
    "--against",
    metavar="ENCODER",
    multiple=True,
    help="Compare with another encoder, named as for `astrosearch index`; may be repeated.",
)
@click.option("--model", metavar="MODEL", help="For completion: the base, as for `complete`.")
@click.option("--adapter", metavar="ADAPTER", help="For completion: the adapter on --model.")
@click.option(
    "--sources",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="For completion: papers given to the model.",
)
@click.option(
    "--continued",
    type=click.IntRange(min=2),
    help="For completion: how many abstracts the model continues; by default all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report, with every query's values, for a later --gate.",
)
@click.option(
    "--gate",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="End with exit code 1 if the index answers worse than in this saved report.",
)
@consent_option
def evaluate(
    name: str | None,
    tasks: tuple[str, ...],
    judgements: Path | None,
    topics: Path | None,
    queries: int | None,
    pool: int,
    held_out: bool,
    seed: int,
    against: tuple[str, ...],
    model: str | None,
    adapter: str | None,
    sources: int,
    continued: int | None,
    as_json: bool,
    save: Path | None,
    gate: Path | None,
    yes: bool,
) -> None:
    """Measure how well an index finds what it should, on its own papers.

    By title: each title must find its abstract. By half: the first half of an abstract must find
    the second. By judgements: a paper, or a text, must find the papers named for it, as those it
    cites. By words, by vectors, and by both; with 95 % intervals. By completion: what a language
    model makes of the first half of an abstract, with sources and without.

    \b
    astrosearch eval
    astrosearch eval astro --held-out --against minilm --against paper
    astrosearch eval astro --judgements citations.jsonl --save before.json
    astrosearch eval astro --judgements citations.jsonl --gate before.json
    astrosearch eval astro --task completion --held-out
    """
    if "completion" in tasks:
        if set(tasks) != {"completion"} or judgements or against or save or gate:
            raise click.UsageError(
                "--task completion is asked alone: no other --task, --judgements, --against, "
                "--save or --gate"
            )
        if (model is None) != (adapter is None):
            raise click.UsageError("give --model and --adapter together: they are compared")
        chosen = (model, adapter) if model and adapter else None
        count = queries or 200
        written = min(count, continued or count)
        _completion(name, count, held_out, seed, chosen, sources, written, as_json=as_json)
        return
    if model or adapter or continued:
        raise click.UsageError("--model, --adapter and --continued belong to --task completion")
    if (judgements is None) and "judgements" in tasks:
        raise click.UsageError("--task judgements needs --judgements FILE")
    if judgements is not None and tasks and "judgements" not in tasks:
        raise click.UsageError("--judgements is given: add --task judgements")
    if topics is not None and judgements is None:
        raise click.UsageError("--topics belongs to --judgements FILE")
    if not tasks:
        tasks = ("title", "half") if judgements is None else ("title", "half", "judgements")

    from astrosearch import paths
    from astrosearch.encoders import registry
    from astrosearch.encoders.loading import load_cached_encoder, load_encoder
    from astrosearch.evaluation import retrieval as library
    from astrosearch.evaluation.gate import SavedReport
    from astrosearch.evaluation.qrels import read_judgements
    from astrosearch.evaluation.tasks import Settings, sample_tasks
    from astrosearch.index.reader import Index

    index = Index(paths.existing_index(name))
    saved = SavedReport.read(gate) if gate else None
    if save:
        _check_writable(save)
    judged = read_judgements(judgements, topics) if judgements else []
    settings = Settings(tuple(dict.fromkeys(tasks)), queries or 1000, pool, held_out, seed)
    drawn = sample_tasks(index, settings, judged)
    for task in drawn:
        for note in task.notes:
            notify(f"{task.name}: {note}")
    if saved:
        saved.check(drawn, settings)
    reporter = Terminal(yes=yes)
    own = index.manifest.encoder
    encoders: list[tuple[str, Encoder]] = [(own.short_name, load_encoder(own, reporter))]
    for other in dict.fromkeys(against):
        spec = registry.encoder_spec(other)
        encoders.append((other, load_cached_encoder(spec, reporter)))
    report = library.evaluate(index, settings, drawn, encoders, reporter)
    _write(report, as_json=as_json)
    if save:
        _save(report, save)
    if saved and (regressions := saved.regressions(report)):
        click.echo(f"astrosearch: worse than {gate}: {'; '.join(regressions)}", err=True)
        raise click.exceptions.Exit(1)
    if saved:
        notify(f"Not worse than {gate}")


def _completion(
    name: str | None,
    count: int,
    held_out: bool,
    seed: int,
    chosen: tuple[str, str] | None,
    sources: int,
    continued: int,
    *,
    as_json: bool,
) -> None:
    from astrosearch.cli.views import hits as render
    from astrosearch.cli.views.evaluation import write_completion_report
    from astrosearch.completion import evaluation as library
    from astrosearch.completion.generators.base import DEFAULT_GENERATOR
    from astrosearch.completion.generators.local import LocalGenerator
    from astrosearch.encoders.registry import DEFAULT
    from astrosearch.search.searcher import open_index

    base, adapter = chosen or (DEFAULT, DEFAULT_GENERATOR)
    reporter = Terminal()
    searcher = open_index(name, reporter=reporter)
    loads = (
        lambda: LocalGenerator.load(base, reporter),
        lambda: LocalGenerator.load(base, reporter, adapter=adapter),
    )
    cases, left_out = library.draw_cases(
        searcher, count, sources, held_out=held_out, seed=seed, reporter=reporter
    )
    report = library.evaluate_completion(
        searcher, loads, cases, left_out, continued=continued, seed=seed, reporter=reporter
    )
    if as_json:
        click.echo(render.as_json(report.as_record(), indent=True))
    else:
        write_completion_report(report)


def _write(report: "Report", *, as_json: bool) -> None:
    from astrosearch.cli.views import hits as render
    from astrosearch.cli.views.evaluation import write_report

    if as_json:
        click.echo(render.as_json(report.as_record(), indent=True))
    else:
        write_report(report)


def _check_writable(path: Path) -> None:
    """Before minutes of work, whose result would be lost."""
    new = not path.exists()
    with _writing(path):
        path.open("a").close()
        if new:
            path.unlink()


def _save(report: "Report", path: Path) -> None:
    from astrosearch.cli.views.hits import as_json

    with _writing(path):
        path.write_text(as_json(report.as_record(values=True)) + "\n")
    notify(f"Saved {path}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    from astrosearch.errors import InputError

    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None

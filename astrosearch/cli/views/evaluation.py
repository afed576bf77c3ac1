"""The output of an evaluation: tables on a terminal, tab-separated lines in a pipe."""

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from astrosearch.cli.console import write
from astrosearch.evaluation.bootstrap import Estimate
from astrosearch.evaluation.metrics import MEASURES
from astrosearch.evaluation.report import EncoderReport, Report, TaskReport

WIDE = 112
"""Terminal width, in columns, at which an interval is put beside its value, not under it."""

if TYPE_CHECKING:
    from astrosearch.completion.evaluation import CompletionReport

_DESCRIPTIONS = {
    "title": "titles find their abstracts",
    "half": "first halves of abstracts find the second",
    "judgements": "queries find the papers judged relevant",
}
_MARKS = {"better": ("▲", "green"), "worse": ("▼", "red"), "no clear difference": ("=", "dim")}


def write_report(report: Report) -> None:
    """Print to standard output: tables on a terminal, in a pipe one line for each score,

        title  dense  minilm  R@1  0.8900  0.8720  0.9070  +0.0210  +0.0100  +0.0330  better

    with task, mode, encoder, measure, value and its interval, and for a compared encoder the
    difference from the index's own, its interval and its verdict.
    """
    console = Console()
    if console.is_terminal:
        console.print(report_view(report, console.width))
    else:
        for line in _lines(report):
            write("\t".join(line))


def write_completion_report(report: "CompletionReport") -> None:
    """Print to standard output: tables, narrow enough for any terminal."""
    Console(highlight=False).print(completion_view(report))


def completion_view(report: "CompletionReport") -> Group:
    """Tables of perplexities, of their reductions and of continuations, and a note."""
    models = list(dict.fromkeys(perplexity.model for perplexity in report.perplexities))
    value = {
        (perplexity.model, perplexity.grounded): perplexity.value
        for perplexity in report.perplexities
    }
    perplexities = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("perplexity of the true ending", "without sources", "with sources"):
        perplexities.add_column(heading, justify="left" if heading.startswith("perp") else "right")
    for model in models:
        perplexities.add_row(
            model, *(f"{value[model, grounded]:.2f}" for grounded in (False, True))
        )
    reductions = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("perplexity is lower by", "", ""):
        reductions.add_column(heading)
    for reduction in report.reductions:
        estimate = reduction.estimate
        reductions.add_row(
            reduction.what,
            f"{100 * estimate.value:.1f} %",
            Text(f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]", style="dim"),
        )
    continuations = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("continuations", "numbers", "true or in a source", "invented"):
        continuations.add_column(heading, justify="left" if heading == "continuations" else "right")
    continuations.add_column("cosine with the true ending", justify="right")
    continuations.add_column("with another's", justify="right")
    for sampled in report.sampled:
        share = "" if sampled.supported is None else _with_interval(sampled.supported, 100, " %")
        continuations.add_row(
            f"{sampled.abstracts}, {sampled.how}",
            str(sampled.numbers),
            share,
            str(sampled.unsupported_by_all),
            _with_interval(sampled.similarity),
            f"{sampled.shuffled.value:.3f}",
        )
    note = (
        f"{report.papers:,} abstracts cut in halves, {report.sources:.1f} sources each on average; "
        f"{report.left_out:,} papers left out. In brackets: 95 % bootstrap intervals over "
        "abstracts, paired. Invented: neither the beginning nor a source has the number."
    )
    tables = (perplexities, Text(), reductions, Text(), continuations, Text())
    return Group(*tables, Text(note, style="dim"))


def _with_interval(estimate: Estimate, scale: int = 1, unit: str = "") -> str:
    """`0.812 [0.790, 0.834]`; with a scale of 100 without decimals."""
    digits = 0 if scale == 100 else 3
    value, low, high = (f"{scale * number:.{digits}f}" for number in _three(estimate))
    return f"{value}{unit} [{low}, {high}]"


def report_view(report: Report, width: int) -> Group:
    """A table for each task, a table of isotropy, and what the marks mean."""
    parts: list[RenderableType] = []
    for task in report.tasks:
        parts += [_heading(task), _task_table(task, width)]
    parts += [_isotropy_table(report.encoders)]
    notes = ["Grey: 95 % bootstrap intervals over queries."]
    if len(report.encoders) > 1:
        notes.append(
            "▲ better, ▼ worse than the index's own encoder in the same mode, = no clear "
            "difference (paired bootstrap, 95 %)."
        )
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _heading(report: TaskReport) -> Text:
    task = report.task
    size = f"{len(task.queries):,} queries, {len(task.rows):,} papers"
    return Text.assemble((task.name, "bold"), (f"  {_DESCRIPTIONS[task.name]}: {size}", "dim"))


def _task_table(report: TaskReport, width: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    table.add_column("mode", no_wrap=True)
    table.add_column("encoder", overflow="fold", max_width=20 if width >= WIDE else 14)
    for name in MEASURES:
        table.add_column(name, no_wrap=True)
    for result in report.results:
        table.add_row(
            result.mode,
            Text(result.encoder or "", style="cyan"),
            *(
                _cell(result.estimates[name], result.differences.get(name), wide=width >= WIDE)
                for name in MEASURES
            ),
        )
    return table


def _cell(estimate: Estimate, difference: Estimate | None, *, wide: bool) -> Text:
    mark, colour = _MARKS[difference.verdict] if difference else (" ", "")
    return Text.assemble(
        (f"{estimate.value:.3f}", "bold"),
        (f" {mark}", colour),
        " " if wide else "\n",
        (f"{estimate.low:.3f}–{estimate.high:.3f}", "dim"),
    )


def _isotropy_table(encoders: list[EncoderReport]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", border_style="dim", padding=(0, 1, 0, 0)
    )
    table.add_column("encoder", overflow="fold", max_width=20)
    table.add_column("dimension", justify="right")
    table.add_column("cosine of random pairs", no_wrap=True)
    table.add_column("variance in first axis", no_wrap=True)
    for encoder in encoders:
        isotropy = encoder.isotropy
        table.add_row(
            Text(encoder.name, style="cyan"),
            str(encoder.dimension),
            f"{isotropy.mean:.3f} ± {isotropy.spread:.3f}",
            f"{100 * isotropy.top_component:.1f} %",
        )
    return table


def _lines(report: Report) -> list[list[str]]:
    lines = []
    for task_report in report.tasks:
        for result in task_report.results:
            for name in MEASURES:
                line = [task_report.task.name, result.mode, result.encoder or "", name]
                line += [f"{value:.4f}" for value in _three(result.estimates[name])]
                if difference := result.differences.get(name):
                    line += [f"{value:+.4f}" for value in _three(difference)]
                    line += [difference.verdict]
                lines.append(line)
    for encoder in report.encoders:
        isotropy = encoder.isotropy
        for name, value in (
            ("mean cosine", isotropy.mean),
            ("spread of cosines", isotropy.spread),
            ("first component", isotropy.top_component),
        ):
            lines.append(["isotropy", "", encoder.name, name, f"{value:.4f}"])
    return lines


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high

"""`astrosearch train …`, which is `python -m training …`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal
from astrosearch.cli.options import seed_option, selection_options
from astrosearch.encoders.registry import DEFAULT
from astrosearch.evaluation.split import HELD_OUT_SHARE

if TYPE_CHECKING:
    pass

corpus_argument = click.argument(
    "corpus", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
base_option = click.option(
    "--base", metavar="MODEL", default=DEFAULT, show_default=True, help="The model to begin from."
)
data_option = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder made by `train prepare`.",
)


def stop_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every training run has: when to save and pause, where and how precisely to compute."""
    for decorate in (
        click.option("--restart", is_flag=True, help="Throw away what an unfinished run has left."),
        click.option("--device", help="cuda, mps or cpu; by default the best there is."),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "bfloat16", "float16"]),
            help="Of the products; by default bfloat16 where the hardware is made for it.",
        ),
        click.option(
            "--checkpoint-minutes",
            type=click.FloatRange(0),
            default=10.0,
            show_default=True,
            help="How often to save.",
        ),
        click.option(
            "--max-minutes",
            type=click.FloatRange(0, min_open=True),
            help="Pause after so long; the same command goes on.",
        ),
    ):
        command = decorate(command)
    return command


@click.group()
def train() -> None:
    """The commands behind `astrosearch train`."""


@train.command()
@corpus_argument
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new folder for the blocks."
)
@base_option
@selection_options
def prepare(corpus: tuple[Path, ...], out: Path, base: str, strict: bool, **selection: Any) -> None:
    """Turn abstracts into blocks of 512 tokens to train on.

    One paper in five is held out for good, by a hash of its identifier.

    \b
    astrosearch train prepare arxiv-metadata-oai-snapshot.json --category astro-ph --out blocks
    """

    from astrosearch.corpus.intake import Selection
    from training.lm.abstracts import prepare as run

    found = run(list(corpus), out, base, Selection(**selection), FirstProcess(), strict=strict)
    _table(
        (
            ("papers", f"{found.papers:,}"),
            ("first month", found.first),
            ("last month", found.last),
            ("tokens", f"{found.tokens:,}"),
            ("median tokens an abstract", f"{found.median_tokens:,.0f}"),
            ("training papers", f"{found.train.papers:,}"),
            ("training tokens", f"{found.train.tokens:,}"),
            ("training blocks", f"{found.train.blocks:,}"),
            ("held-out papers", f"{found.test.papers:,}"),
            ("held-out tokens", f"{found.test.tokens:,}"),
            ("held-out blocks", f"{found.test.blocks:,}"),
        ),
    )
    refused = sum(found.refused.values())
    if refused:
        notify(f"{refused:,} records were refused; they are listed in {out / 'rejected.jsonl'}")
    notify(f"Wrote {out}. Next: astrosearch train finetune --data {out} --out ADAPTER")


@train.command()
@base_option
@data_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The adapter's folder.")
@click.option("--rank", type=click.IntRange(min=1), default=16, show_default=True, help="LoRA's r.")
@click.option("--alpha", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--dropout", type=click.FloatRange(0, 0.9), default=0.05, show_default=True)
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=3e-4, show_default=True
)
@click.option("--weight-decay", type=click.FloatRange(0), default=0.1, show_default=True)
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Blocks a step."
)
@click.option(
    "--micro-batch",
    type=click.IntRange(min=1),
    help="Blocks at once in memory; by default 1 on a CPU, 8 on a GPU.",
)
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=3.0, show_default=True)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="End after so many tokens, rounded up to whole steps.",
)
@seed_option("For all that is drawn.")
@click.option(
    "--quantize",
    type=click.Choice(["4bit", "8bit", "none"]),
    help="How to hold the base; by default 4bit on CUDA, none elsewhere.",
)
@click.option("--gradient-checkpointing", is_flag=True, help="Less memory, a third slower.")
@stop_options
def finetune(
    base: str,
    data: Path,
    out: Path,
    micro_batch: int | None,
    quantize: str | None,
    dtype: str | None,
    max_minutes: float | None,
    checkpoint_minutes: float,
    device: str | None,
    restart: bool,
    **settings: Any,
) -> None:
    """Train a LoRA adapter to continue abstracts, the AstroLLaMA paper's way.

    It may be killed at any time: the same command goes on from the last checkpoint. The defaults
    are the paper's.

    \b
    astrosearch train finetune --data blocks --out adapter
    torchrun --nproc-per-node 4 -m training finetune --data blocks --out adapter
    """
    from astrosearch.encoders.devices import fast_dtype
    from training.lm.finetune import finetune as run
    from training.lm.finetune import process_device
    from training.run import Stops
    from training.settings import FinetuneSettings

    place = process_device(device)
    chosen: dict[str, Any] = {
        "micro_batch": micro_batch or (8 if place.type == "cuda" else 1),
        "quantize": quantize or ("4bit" if place.type == "cuda" else "none"),
        "dtype": dtype or str(fast_dtype(place)).removeprefix("torch."),
    }
    outcome = run(
        FinetuneSettings(base, **settings, **chosen),
        data,
        out,
        FirstProcess(),
        device=place,
        stops=Stops(checkpoint_minutes, max_minutes),
        restart=restart,
    )
    if outcome is None:
        notify("Paused. The same command goes on.")
    else:
        notify(f"Wrote {out}. Next: astrosearch train perplexity --data {data} --adapter {out}")


@train.command()
@corpus_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The adapter's folder.")
@base_option
@click.option("--adapter", help="Begin from this language-model or embedding adapter.")
@click.option(
    "--pairs",
    "relations",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Papers that belong together: {"id", "relevant"} or {"members"} a line; may be repeated.',
)
@click.option(
    "--layers", type=click.IntRange(min=0), default=0, show_default=True, help="Keep so many."
)
@click.option("--all-layers", is_flag=True, help="Keep all of them.")
@click.option(
    "--pooling",
    type=click.Choice(["weighted-first-last", "weighted-mean-without-bos", "mean-without-bos"]),
    default="weighted-mean-without-bos",
    show_default=True,
)
@click.option(
    "--attention",
    type=click.Choice(["causal", "bidirectional"]),
    default="causal",
    show_default=True,
)
@click.option(
    "--normalization",
    type=click.Choice(["plain", "none"]),
    default="plain",
    show_default=True,
    help="Whether texts are read as words in lower case or as they are written.",
)
@click.option("--dimension", type=click.IntRange(min=2), default=512, show_default=True)
@click.option(
    "--rank", type=click.IntRange(min=1), default=576, show_default=True, help="LoRA's r."
)
@click.option(
    "--kept-rank",
    type=click.IntRange(min=1),
    default=208,
    show_default=True,
    help="Without layers: r of what is written.",
)
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True
)
@click.option(
    "--head-learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Of the linear map.",
)
@click.option(
    "--weight-learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-2,
    show_default=True,
    help="Of the tokens' weights.",
)
@click.option(
    "--temperature", type=click.FloatRange(0, min_open=True), default=0.04, show_default=True
)
@click.option(
    "--batch", type=click.IntRange(min=2), default=1024, show_default=True, help="Pairs a step."
)
@click.option(
    "--masked",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the queries that lose most words which their document has.",
)
@click.option("--teacher", help="Learn, too, how near this encoder puts texts.")
@click.option(
    "--teacher-share",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Of the loss.",
)
@click.option(
    "--hard-negatives", type=click.IntRange(min=0), default=0, show_default=True, help="A pair."
)
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True)
@click.option("--max-pairs", type=click.IntRange(min=1), help="End after so many pairs.")
@click.option("--query-tokens", type=click.IntRange(min=8), default=128, show_default=True)
@click.option("--document-tokens", type=click.IntRange(min=8), default=512, show_default=True)
@click.option(
    "--memory-tokens",
    type=click.IntRange(min=512),
    default=16_384,
    show_default=True,
    help="Held at once; larger batches are encoded twice.",
)
@click.option(
    "--fold",
    type=click.IntRange(0, HELD_OUT_SHARE - 1),
    default=0,
    show_default=True,
    help="Which fifth of the papers is held out, for cross-validation; whatever else holds papers "
    "out, `eval --held-out` too, takes 0.",
)
@stop_options
@seed_option("For all that is drawn.")
def contrast(
    corpus: tuple[Path, ...],
    out: Path,
    relations: tuple[Path, ...],
    layers: int,
    all_layers: bool,
    dtype: str | None,
    max_minutes: float | None,
    checkpoint_minutes: float,
    device: str | None,
    restart: bool,
    **settings: Any,
) -> None:
    """Train an encoder that retrieves, on pairs of texts that belong together.

    One paper in five is held out. It may be killed at any time: the same command goes on.

    \b
    astrosearch train contrast arxiv-metadata-oai-snapshot.json --out embed
    astrosearch index astro --corpus arxiv-metadata-oai-snapshot.json --encoder embed
    """

    from astrosearch.encoders.devices import fast_dtype
    from training.contrastive.trainer import ContrastSettings
    from training.contrastive.trainer import contrast as run
    from training.lm.finetune import process_device
    from training.run import Stops

    place = process_device(device)
    outcome = run(
        ContrastSettings(
            layers=None if all_layers else layers,
            dtype=dtype or str(fast_dtype(place)).removeprefix("torch."),
            **settings,
        ),
        list(corpus),
        out,
        FirstProcess(),
        device=place,
        relations=relations,
        stops=Stops(checkpoint_minutes, max_minutes),
        restart=restart,
    )
    if outcome is None:
        notify("Paused. The same command goes on.")
    else:
        notify(f"Wrote {out}. Next: astrosearch index NAME --corpus FILE --encoder {out}")


@train.command()
@base_option
@click.option(
    "--adapter", "adapters", multiple=True, help="An adapter's name or folder; may be repeated."
)
@data_option
@click.option(
    "--papers",
    type=click.IntRange(min=2),
    default=200,
    show_default=True,
    help="Held-out abstracts, drawn at random.",
)
@click.option(
    "--blocks",
    type=click.IntRange(min=2),
    default=64,
    show_default=True,
    help="Held-out blocks, drawn at random.",
)
@click.option("--all", "everything", is_flag=True, help="All held-out abstracts and blocks.")
@seed_option("For all that is drawn.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw perplexity over tokens seen: .png, .svg or .pdf.",
)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]))
@click.option("--device", help="cuda, mps or cpu; by default the best there is.")
def perplexity(
    base: str,
    adapters: tuple[str, ...],
    data: Path,
    papers: int,
    blocks: int,
    everything: bool,
    seed: int,
    plot: Path | None,
    dtype: str | None,
    device: str | None,
) -> None:
    """Perplexity on held-out papers, of the base and of each adapter.

    \b
    astrosearch train perplexity --data blocks --adapter astro-smollm2-135m --plot figure1.png
    """
    import torch

    from astrosearch.encoders.devices import fast_dtype, pick_device
    from astrosearch.errors import InputError
    from training.lm import perplexity as module

    if plot:
        from astrosearch.comparison.figure import check_figure

        check_figure(plot)
    if plot and not adapters:
        raise InputError("--plot draws the training of an adapter: give --adapter")
    logs = (
        [(Path(name).name, module.log_of(name, FirstProcess())) for name in adapters]
        if plot
        else []
    )
    place = pick_device(device)
    lines = module.perplexity(
        base,
        adapters,
        data,
        FirstProcess(),
        device=place,
        dtype=getattr(torch, dtype) if dtype else fast_dtype(place),
        papers=None if everything else papers,
        blocks=None if everything else blocks,
        seed=seed,
    )

    def lower(share: tuple[float, float, float] | None) -> str:
        return "{:.1%} [{:.1%}, {:.1%}]".format(*share) if share else ""

    _table(
        [
            (
                line.name,
                f"{line.blocks:.2f}",
                lower(line.blocks_reduction),
                f"{line.abstracts:.2f}",
                lower(line.abstracts_reduction),
            )
            for line in lines
        ],
        header=("model", "blocks", "lower by", "abstracts", "lower by"),
    )
    if plot:
        module.plot(logs, base, plot)
        notify(f"Wrote {plot}")


@train.command()
@corpus_argument
@click.option("--model", metavar="MODEL", default=DEFAULT, show_default=True)
@click.option("--layers", type=click.IntRange(min=0), help="Run only the first layers.")
@click.option("--dimension", type=click.IntRange(min=1), help="By default the model's width.")
@click.option("--papers", default=8000, show_default=True, help="Training papers to fit on.")
@click.option("--held-out", default=3000, show_default=True, help="Held-out papers to judge on.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whitening here.")
def whiten(
    corpus: tuple[Path, ...],
    model: str,
    layers: int | None,
    dimension: int | None,
    papers: int,
    held_out: int,
    out: Path | None,
) -> None:
    """Fit a whitening on training papers and judge it on held-out ones."""
    from astrosearch.encoders.base import EncoderSpec
    from astrosearch.encoders.loading import load_encoder
    from training.whitening import fit, judge, split_papers

    spec = EncoderSpec(model, layers=layers)
    encoder = load_encoder(spec, FirstProcess())
    fitted_on, judged_on = split_papers(list(corpus), papers, held_out)
    whitening = fit(encoder, fitted_on, dimension or encoder.dimension)
    click.echo(f"{spec}; fitted on {len(fitted_on):,} papers, {len(judged_on):,} held out")
    for name, found in judge(encoder, judged_on, whitening).items():
        figures = (
            ("R@1", found.recall_at_1),
            ("R@10", found.recall_at_10),
            ("MRR", found.reciprocal_rank),
        )
        shown = "  ".join(
            f"{what} {value:.3f} [{a:.3f}, {b:.3f}]" for what, (value, a, b) in figures
        )
        click.echo(f"{name:12}{shown}")
    if out:
        whitening.save(out)
        click.echo(f"Wrote {out}, {out.stat().st_size:,} bytes")


class FirstProcess(Terminal):
    """Of several processes of one run, the first one speaks."""

    def notify(self, line: str) -> None:
        if _is_first():
            super().notify(line)

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        if _is_first():
            super().progress(task, done, total, detail)


def notify(line: str) -> None:
    FirstProcess().notify(line)


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _table(rows: Any, header: tuple[str, ...] = ()) -> None:
    """A table on a terminal, tab-separated lines down a pipe."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        for row in ([header] if header else []) + list(rows):
            click.echo("\t".join(row))
        return
    table = Table(show_header=bool(header), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place in range(len(rows[0])):
        table.add_column(header[place] if header else "", justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)

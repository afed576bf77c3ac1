"""`astrosearch train …`, which is `python -m training …`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal
from astrosearch.cli.options import old_spelling, seed_option, selection_options, was_given
from astrosearch.encoders.registry import DEFAULT
from training.disk import is_first_process, out_of_space
from training.options import settings_options
from training.settings import ContrastSettings, FinetuneSettings

if TYPE_CHECKING:
    import torch

    from astrosearch.search.ranker import Task
    from astrosearch.search.searcher import Searcher
    from training.ranking.fit import Row

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


requests_option = click.option(
    "--requests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help='{"id", "question", "keywords", "need"} in each line.',
)
out_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new folder for the adapter."
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every training run: when to save and pause, on what and in which precision."""
    for decorate in (
        click.option("--restart", is_flag=True, help="Discard an unfinished run."),
        click.option("--device", help="cuda, mps or cpu; by default the best available."),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "bfloat16", "float16"]),
            help="Precision of products; by default bfloat16 where the hardware supports it well.",
        ),
        click.option(
            "--checkpoint-minutes",
            type=click.FloatRange(0),
            default=10.0,
            show_default=True,
            help="How often to save a checkpoint.",
        ),
        click.option(
            "--max-minutes",
            type=click.FloatRange(0, min_open=True),
            help="Pause after this time; the same command goes on.",
        ),
    ):
        command = decorate(command)
    return command


@click.group()
def train() -> None:
    """Fine-tune the models that astrosearch uses."""


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
    astrosearch train prepare arxiv-metadata-oai-snapshot.json \\
      --category astro-ph --out blocks
    """
    from astrosearch.cli.views.tables import write_table
    from astrosearch.corpus.intake import Selection
    from training.lm.abstracts import prepare as run

    prepared = run(list(corpus), out, base, Selection(**selection), FirstProcess(), strict=strict)
    rows = (
        ("papers", f"{prepared.papers:,}"),
        ("first month", prepared.first),
        ("last month", prepared.last),
        ("tokens", f"{prepared.tokens:,}"),
        ("median tokens an abstract", f"{prepared.median_tokens:,.0f}"),
        ("training papers", f"{prepared.train.papers:,}"),
        ("training tokens", f"{prepared.train.tokens:,}"),
        ("training blocks", f"{prepared.train.blocks:,}"),
        ("held-out papers", f"{prepared.test.papers:,}"),
        ("held-out tokens", f"{prepared.test.tokens:,}"),
        ("held-out blocks", f"{prepared.test.blocks:,}"),
    )
    write_table(("quantity", "value"), rows, right=(1,))
    refused = sum(prepared.refused.values())
    if refused:
        notify(f"{refused:,} records were refused; they are listed in {out / 'rejected.jsonl'}")
    notify(f"Wrote {out}. Next: astrosearch train finetune --data {out} --out ADAPTER")


@train.command()
@base_option
@data_option
@out_option
@settings_options(FinetuneSettings)
@click.option(
    "--micro-batch",
    type=click.IntRange(min=1),
    help="Blocks in memory at once; by default 1 on a CPU, 8 on a GPU.",
)
@click.option(
    "--quantize",
    type=click.Choice(["4bit", "8bit", "none"]),
    help="Precision of the base's weights; by default 4bit on CUDA, none elsewhere.",
)
@run_options
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
    **options: Any,
) -> None:
    """Train a LoRA adapter to continue abstracts.

    It may be killed at any time: the same command goes on from the last checkpoint. The defaults
    are those of the AstroLLaMA paper.

    \b
    astrosearch train finetune --data blocks --out adapter
    torchrun --nproc-per-node 4 -m training finetune --data blocks --out adapter
    """
    from training.lm.finetune import finetune as run
    from training.lm.finetune import process_device
    from training.run import CheckpointPolicy

    place = process_device(device)
    chosen: dict[str, Any] = {
        "micro_batch": micro_batch or (8 if place.type == "cuda" else 1),
        "quantize": quantize or ("4bit" if place.type == "cuda" else "none"),
        "dtype": _dtype(dtype, place),
    }
    settings = FinetuneSettings(base, **options, **chosen)
    with _remedies(data=data, memory=_finetune_memory(settings)):
        outcome = run(
            settings,
            data,
            out,
            FirstProcess(),
            device=place,
            policy=CheckpointPolicy(checkpoint_minutes, max_minutes),
            restart=restart,
        )
    if outcome is None:
        notify("Paused. The same command goes on.")
    else:
        notify(f"Wrote {out}. Next: astrosearch train perplexity --data {data} --adapter {out}")


@train.command()
@corpus_argument
@out_option
@base_option
@click.option(
    "--pairs",
    "relations",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help='Papers that belong together: {"id", "relevant"} or {"members"} a line, or the folder of '
    "an index with citations; may be repeated.",
)
@click.option(
    "--requests",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='What papers are asked for by: {"id", "question", "keywords", "need"} a line; may be '
    "repeated.",
)
@settings_options(ContrastSettings)
@old_spelling(
    "--spelling",
    new="--normalization, and its value kept is none",
    param="normalization",
    values={"kept": "none"},
)
@click.option("--all-layers", is_flag=True, help="Keep all layers.")
@run_options
def contrast(
    corpus: tuple[Path, ...],
    out: Path,
    relations: tuple[Path, ...],
    requests: tuple[Path, ...],
    layers: int,
    all_layers: bool,
    dtype: str | None,
    max_minutes: float | None,
    checkpoint_minutes: float,
    device: str | None,
    restart: bool,
    **options: Any,
) -> None:
    """Train an encoder on pairs of texts that belong together.

    One paper in five is held out. It may be killed at any time: the same command goes on from the
    last checkpoint.

    \b
    astrosearch train contrast arxiv-metadata-oai-snapshot.json --out embed
    astrosearch index astro --encoder embed
    """
    if was_given("request_share") and not requests:
        raise click.UsageError("--request-share belongs to --requests FILE")
    if was_given("related_share") and not relations:
        raise click.UsageError("--related-share belongs to --pairs")
    if was_given("neighbours") and not any(path.is_dir() for path in relations):
        raise click.UsageError("--neighbours belongs to --pairs with the folder of an index")
    _check_contrast(layers, all_layers, options)

    from training.contrastive.contrast import contrast as run
    from training.lm.finetune import process_device
    from training.run import CheckpointPolicy

    place = process_device(device)
    settings = ContrastSettings(
        layers=None if all_layers else layers, dtype=_dtype(dtype, place), **options
    )
    smaller = f"--memory-tokens {settings.memory_tokens // 2}"
    if settings.spec.is_static:
        smaller = f"--batch {settings.batch // 2}"
    with _remedies(memory=f"try {smaller}"):
        outcome = run(
            settings,
            list(corpus),
            out,
            FirstProcess(),
            device=place,
            relations=relations,
            requests=requests,
            policy=CheckpointPolicy(checkpoint_minutes, max_minutes),
            restart=restart,
        )
    if outcome is None:
        notify("Paused. The same command goes on.")
    else:
        notify(f"Wrote {out}. Next: astrosearch index NAME --corpus FILE --encoder {out}")


def _check_contrast(layers: int, all_layers: bool, options: dict[str, Any]) -> None:
    """
    Raises:
        UsageError: if an option has no effect beside the others.
    """
    if all_layers and was_given("layers"):
        raise click.UsageError("--layers and --all-layers contradict each other: give one of them")
    has_layers = all_layers or layers > 0
    if has_layers and was_given("kept_rank"):
        raise click.UsageError("--kept-rank has no effect with layers: leave it out")
    if not has_layers and was_given("memory_tokens"):
        notify("--memory-tokens has no effect without layers, whose activations it is for")
    if not has_layers and was_given("attention"):
        raise click.UsageError("--attention has no effect without layers: give --layers too")
    if options["teacher"] is None and was_given("teacher_share"):
        raise click.UsageError("--teacher-share needs --teacher")
    if not options["pooling"].startswith("weighted") and was_given("weight_learning_rate"):
        raise click.UsageError(
            f"--weight-learning-rate has no effect with --pooling {options['pooling']}, which has "
            "no token weights"
        )


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
@click.option("--device", help="cuda, mps or cpu; by default the best available.")
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
    """Measure perplexity on held-out papers, of base and adapters.

    \b
    astrosearch train perplexity --data blocks --adapter astro-smollm2-135m
    """
    import torch

    from astrosearch.cli.views.tables import write_table
    from astrosearch.encoders.devices import pick_device
    from astrosearch.errors import InputError
    from training.lm import perplexity as module

    if plot:
        from astrosearch.comparison.figure import check_figure

        check_figure(plot)
    if plot and not adapters:
        raise InputError("--plot draws the training of an adapter: give --adapter")
    for name in ("papers", "blocks"):
        if everything and was_given(name):
            raise click.UsageError(f"--{name} has no effect with --all, which takes all of them")
    logs = (
        [(Path(name).name, module.log_of(name, FirstProcess())) for name in adapters]
        if plot
        else []
    )
    place = pick_device(device)
    with _remedies(data=data):
        models = module.perplexity(
            base,
            adapters,
            data,
            FirstProcess(),
            device=place,
            dtype=getattr(torch, _dtype(dtype, place)),
            papers=None if everything else papers,
            blocks=None if everything else blocks,
            seed=seed,
        )

    def lower(share: tuple[float, float, float] | None) -> str:
        return "{:.1%} [{:.1%}, {:.1%}]".format(*share) if share else ""

    write_table(
        ("model", "blocks", "lower by", "abstracts", "lower by"),
        [
            (
                model.name,
                f"{model.blocks:.2f}",
                lower(model.blocks_reduction),
                f"{model.abstracts:.2f}",
                lower(model.abstracts_reduction),
            )
            for model in models
        ],
        right=(1, 2, 3, 4),
    )
    if plot:
        module.plot(logs, base, plot)
        notify(f"Wrote {plot}")


@train.command()
@corpus_argument
@click.option("--model", metavar="MODEL", default=DEFAULT, show_default=True)
@click.option("--layers", type=click.IntRange(min=0), help="Run only the first layers.")
@click.option("--dimension", type=click.IntRange(min=1), help="By default the model's width.")
@click.option(
    "--papers",
    type=click.IntRange(min=2),
    default=8000,
    show_default=True,
    help="Training papers to fit on.",
)
@click.option(
    "--held-out",
    type=click.IntRange(min=2),
    default=3000,
    show_default=True,
    help="Held-out papers to judge on.",
)
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
    """Fit a whitening on training papers; judge it on held-out ones.

    \b
    astrosearch train whiten astro.jsonl --layers 12 --out whitening.safetensors
    """
    from astrosearch.cli.console import write
    from astrosearch.encoders.base import EncoderSpec
    from astrosearch.encoders.loading import load_encoder
    from training.whitening import fit, judge, split_papers

    spec = EncoderSpec(model, layers=layers)
    fitted_on, judged_on = split_papers(list(corpus), papers, held_out)
    encoder = load_encoder(spec, FirstProcess())
    whitening = fit(encoder, fitted_on, dimension or encoder.dimension)
    write(f"{spec}; fitted on {len(fitted_on):,} papers, {len(judged_on):,} held out")
    for name, retrieval in judge(encoder, judged_on, whitening).items():
        figures = (
            ("R@1", retrieval.recall_at_1),
            ("R@10", retrieval.recall_at_10),
            ("MRR", retrieval.reciprocal_rank),
        )
        shown = "  ".join(
            f"{measure} {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
            for measure, estimate in figures
        )
        write(f"{name:12}{shown}")
    if out:
        with out_of_space(out):
            whitening.save(out)
        write(f"Wrote {out}, {out.stat().st_size:,} bytes")


@train.command()
@click.argument("name", metavar="INDEX")
@click.option(
    "--task",
    type=click.Choice(["query", "dense", "related", "cite"]),
    required=True,
    help="A text by vectors and words, a text by vectors alone, papers like one, what one cites.",
)
@click.option(
    "--requests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='For query and dense: {"id", "question", "keywords", "need"} in each line.',
)
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help='{"id", "relevant"} in each line: what a paper cites. For query and dense its title asks, '
    'or "query". May be repeated.',
)
@click.option(
    "--fold",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="The fifth of the papers that the index's encoder has not trained on.",
)
@click.option(
    "--titles",
    type=click.IntRange(min=2),
    default=2500,
    show_default=True,
    help="For query and dense: papers whose titles and halves are sought, and topics.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the weights here, as JSON.",
)
def rank(
    name: str,
    task: "Task",
    requests: Path | None,
    pairs: tuple[Path, ...],
    fold: int,
    titles: int,
    out: Path,
) -> None:
    """Fit the weights by which hits are ordered.

    INDEX must have an encoder that has not seen what they are fitted on.

    \b
    astrosearch train contrast FILE --requests requests.jsonl --fold 1 --out fold1
    astrosearch index fold1 --corpus FILE --encoder fold1
    astrosearch train rank fold1 --task query --requests requests.jsonl --out query.json
    """
    from astrosearch import open_index
    from astrosearch.evaluation.qrels import read_judgements
    from training.ranking.fit import as_json, fit
    from training.ranking.samples import (
        Sample,
        cited_samples,
        paper_samples,
        request_samples,
        requests_of,
    )

    of_texts = task in ("query", "dense")
    if of_texts != (requests is not None) or not (of_texts or pairs):
        wanted = "--requests, and --pairs for what papers cite" if of_texts else "--pairs"
        raise click.UsageError(f"--task {task} takes {wanted}")
    if not of_texts and (was_given("fold") or was_given("titles")):
        raise click.UsageError(f"--fold and --titles have no effect with --task {task}")
    with open_index(name, reporter=FirstProcess()) as searcher:
        _check_compares_tokens(searcher)
        index, encoder = searcher.index, searcher.encoder
        reporter = FirstProcess()
        samples: list[Sample] = []
        if requests:
            asked = requests_of(requests, fold)
            samples += request_samples(
                index, encoder, asked, task=task, fold=fold, titles=titles, reporter=reporter
            )
        if pairs:
            of_pairs = cited_samples if of_texts else paper_samples
            judgements = [each for path in pairs for each in read_judgements(path)]
            samples += of_pairs(index, encoder, judgements, task=task, reporter=reporter)
    several = ("topic", "review", "overview", "related", "cite", "cite+")
    fitted = fit(samples, task, ("question", "keywords", "need", *several), FirstProcess())
    _write_rows(fitted.rows, "weighted mean", "learnt")
    options = [
        f"--task {task}",
        *([f"--requests {requests.name}"] if requests else []),
        *(f"--pairs {path.name}" for path in pairs),
    ]
    if of_texts:
        options += [f"--fold {fold}", f"--titles {titles}"]
    made_by = f"astrosearch train rank {name} {' '.join(options)}"
    _write_file(out, as_json(fitted.weights, task, made_by))


@train.command()
@click.argument("name", metavar="INDEX")
@click.option("--task", type=click.Choice(["query", "dense"]), required=True)
@requests_option
@click.option(
    "--topics",
    type=click.IntRange(min=0),
    default=500,
    show_default=True,
    help="Neighbouring words that several titles of training papers have are asked for, too.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of `train rank`; by default what ships.",
)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A JSON file."
)
def chance(
    name: str,
    task: "Task",
    requests: Path,
    topics: int,
    weights: Path | None,
    out: Path,
) -> None:
    """Fit what `match` is, among all papers of an index.

    INDEX must have an encoder that has not trained on the requests. The order of hits stays.

    \b
    astrosearch train chance astro --task query --requests development.jsonl \\
      --out query.json
    """
    from importlib.resources import files

    from astrosearch import open_index
    from astrosearch.errors import InputError
    from astrosearch.evaluation.qrels import Judgement
    from astrosearch.evaluation.split import is_held_out
    from training.contrastive.requests import request_lines
    from training.ranking.chances import check_weights, with_chances
    from training.ranking.samples import topics_of

    if weights:
        check_weights(weights, task)
    command = (
        f"astrosearch train chance {name} --task {task} --requests {requests.name} "
        f"--topics {topics}"
    )
    with open_index(name, reporter=FirstProcess()) as searcher:
        _check_compares_tokens(searcher)
        asked = [(paper_id, texts) for _, paper_id, texts in request_lines(requests)]
        ids = {paper_id for paper_id, _ in asked}
        # Quality is measured on the held-out papers, so nothing is fitted on them.
        trainable = {paper_id for paper_id in ids if not is_held_out(paper_id)}
        known = searcher.papers_known(trainable)
        if known != ids:
            notify(
                f"Of {len(ids):,} papers with requests, {len(ids - trainable):,} are held out and "
                f"{len(trainable - known):,} are not in the index: those are left out."
            )
        judgements = [
            Judgement(None, text, {paper_id: 1})
            for paper_id, texts in asked
            if paper_id in known
            for text in texts
        ]
        if not judgements:
            raise InputError(
                f"{requests} has no request for a training paper of index {name}: give requests "
                "for papers that it has and that are not held out"
            )
        judgements += topics_of(searcher.index, None, topics)
        file = weights or files("astrosearch.search").joinpath(f"rankers/{task}.json")
        fitted = with_chances(
            file.read_bytes(), searcher, judgements, task, command, FirstProcess()
        )
    _write_file(out, fitted)


@train.command()
@click.argument("name", metavar="INDEX")
@requests_option
@click.option(
    "--reader",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What `train rerank` wrote; by default what ships.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The config.json of the cross-encoder.",
)
def mixture(name: str, requests: Path, reader: Path | None, out: Path) -> None:
    """Fit how much a cross-encoder counts in a whole index.

    Neither INDEX's encoder nor the cross-encoder may have trained on the requests.

    \b
    astrosearch train mixture astro --requests development.jsonl --out config.json
    """
    from astrosearch import open_index
    from astrosearch.search.cross_encoder import SHIPPED
    from training.reranking import refitted

    with open_index(name, reporter=FirstProcess()) as searcher:
        _check_compares_tokens(searcher)
        fitted, rows = refitted(searcher, requests, reader or SHIPPED, FirstProcess())
    _write_rows(rows, "learnt order", "and read")
    _write_file(out, fitted)


@train.command()
@click.argument("name", metavar="INDEX")
@click.option(
    "--judged",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON Lines of {"id", "form", "sentences"}: which sentences answer.',
)
@click.option(
    "--requests",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The requests that were judged.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="ENCODER",
    help="Judge the sentences that are nearest by this encoder, too; may be repeated.",
)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A JSON file."
)
def answers(name: str, judged: Path, requests: Path, against: tuple[str, ...], out: Path) -> None:
    """Fit which sentences answer a question.

    INDEX must have an encoder that has not seen the requests.

    \b
    astrosearch train answers fold1 --judged answers.jsonl --requests development.jsonl \\
      --out answers.json
    """
    from astrosearch import open_index
    from astrosearch.cli.console import write
    from astrosearch.encoders.loading import load_encoder
    from astrosearch.encoders.registry import encoder_spec
    from training.ranking.answers import fitted_answers, read_judged

    questions = read_judged(judged, requests)
    command = f"astrosearch train answers {name} --judged {judged.name} --requests {requests.name}"
    with open_index(name, reporter=FirstProcess()) as searcher:
        specs = [encoder_spec(each) for each in against]
        others = [(spec.short_name, load_encoder(spec, FirstProcess())) for spec in specs]
        fitted, lines = fitted_answers(searcher, questions, FirstProcess(), command, others)
    for line in lines:
        write(line)
    _write_file(out, fitted)


@train.command()
@click.argument("name", metavar="INDEX")
@requests_option
@click.option(
    "--fold",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="The fifth of the papers that neither the index's encoder nor this one is trained on.",
)
@click.option("--layers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=3600, show_default=True)
@click.option(
    "--judged",
    type=click.IntRange(min=1),
    default=700,
    show_default=True,
    help="Papers of the fold whose requests are judged, and fit what is added to the order.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
def rerank(
    name: str, requests: Path, fold: int, layers: int, steps: int, judged: int, out: Path
) -> None:
    """Train the cross-encoder of `query --rerank`.

    It reads the first hits. INDEX must have an encoder that has seen no paper of the fold, as for
    `train rank`. The run may be killed; the same command goes on.

    \b
    astrosearch train rerank fold1 --requests requests.jsonl --out astro-rerank
    """
    from astrosearch import open_index
    from astrosearch.cli.console import write
    from training.reranking import Settings, train

    settings = Settings(fold=fold, layers=layers, steps=steps, judged=judged)
    reporter = FirstProcess()
    with open_index(name, reporter=reporter) as searcher:
        _check_compares_tokens(searcher)
        rows = train(searcher, requests, out, settings, reporter)
    _write_rows(rows, "learnt order", "and read")
    write(f"Wrote {out}")


@train.command()
@click.argument("name", metavar="INDEX")
@requests_option
@click.option(
    "--fold",
    type=click.IntRange(0, 4),
    default=0,
    show_default=True,
    help="The fifth of the papers that is not trained on; 1 to 4: its requests are judged.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=4, show_default=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file. In the folder of the encoder it has to be query-table.safetensors.",
)
def queries(name: str, requests: Path, fold: int, epochs: int, out: Path) -> None:
    """Train the query table of an encoder.

    The encoder of INDEX must have no layers. Its vectors of papers stay as they are. The run may be
    killed; the same command goes on.

    \b
    astrosearch train queries astro --requests requests.jsonl --out embed/query-table.safetensors
    """
    from astrosearch import open_index
    from astrosearch.cli.console import write
    from astrosearch.encoders.static import StaticEncoder
    from astrosearch.errors import InputError
    from training.query_table import Settings, train

    reporter = FirstProcess()
    with open_index(name, reporter=reporter) as searcher:
        encoder = searcher.encoder
        if not isinstance(encoder, StaticEncoder):
            raise InputError(
                f"the encoder of index {name} has layers; only one without layers, as astro-embed, "
                "can have a query table"
            )
        settings = Settings(fold=fold, epochs=epochs)
        rows = train(searcher.index, encoder, requests, out, settings, reporter)
    if rows:
        _write_rows(rows, "as documents", "as queries")
    write(f"Wrote {out}")


def _check_compares_tokens(searcher: "Searcher") -> None:
    """
    Raises:
        InputError: if an index's encoder does not, so that its hits have no learnt order.
    """
    from astrosearch.encoders.base import LateInteraction
    from astrosearch.errors import InputError

    if not isinstance(searcher.encoder, LateInteraction):
        raise InputError(
            f"the encoder of index {searcher.name} compares no tokens: the learnt order needs "
            "one that does"
        )


def _write_file(out: Path, content: bytes) -> None:
    from astrosearch.atomic import whole_file
    from astrosearch.cli.console import write

    with out_of_space(out), whole_file(out) as stream:
        stream.write(content)
    write(f"Wrote {out}, {out.stat().st_size:,} bytes")


def _write_rows(rows: "Sequence[Row]", first: str, second: str) -> None:
    """A table of two orders, compared on the same queries."""
    from astrosearch.cli.console import write

    write(f"{'':10}{'queries':>8}  {first:22}  {second:22}  difference")
    for kind, count, *estimates in rows:
        shown = "  ".join(
            f"{each.value:6.3f} [{each.low:6.3f}, {each.high:6.3f}]" for each in estimates
        )
        write(f"{kind:10}{count:>8,}  {shown}")


class FirstProcess(Terminal):
    """Of several processes of one run, only the first speaks."""

    def notify(self, line: str) -> None:
        if is_first_process():
            super().notify(line)

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        if is_first_process():
            super().progress(task, done, total, detail)


def notify(line: str) -> None:
    FirstProcess().notify(line)


def _dtype(name: str | None, device: "torch.device") -> str:
    """The precision that was asked for, or the device's fastest."""
    from astrosearch.encoders.devices import fast_dtype

    return name or str(fast_dtype(device)).removeprefix("torch.")


def _finetune_memory(settings: FinetuneSettings) -> str:
    """What to try if a fine-tuning needs too much memory."""
    ways = []
    if settings.micro_batch > 1:
        ways.append(f"--micro-batch {settings.micro_batch // 2}")
    if not settings.gradient_checkpointing:
        ways.append("--gradient-checkpointing")
    if settings.quantize == "none":
        ways.append("--quantize 4bit")
    return f"try {' or '.join(ways) or 'a smaller base or --rank'}"


@contextmanager
def _remedies(*, memory: str = "", data: Path | None = None) -> Iterator[None]:
    """Add to an error of the training package the option or command that mends it.

    Args:
        memory: what to try if memory does not suffice.
        data: where prepared data should be.
    """
    from astrosearch.errors import AstrosearchError
    from training.lm.abstracts import DataMissing
    from training.run import Diverged, OutOfMemory, UnfinishedRun

    remedies: dict[type[AstrosearchError], str] = {
        DataMissing: f"; make it with: astrosearch train prepare CORPUS --out {data}",
        Diverged: "; lower --learning-rate, or use --dtype float32",
        OutOfMemory: f"; {memory}",
        UnfinishedRun: ", or --restart to discard it",
    }
    try:
        yield
    except tuple(remedies) as error:
        raise type(error)(f"{error}{remedies[type(error)]}") from None

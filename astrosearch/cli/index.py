"""`astrosearch index`."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import consent_option, kind_option, selection_options

if TYPE_CHECKING:
    from astrosearch.corpus.intake import Selection
    from astrosearch.encoders.base import EncoderSpec
    from astrosearch.index.build import BuildReport
    from astrosearch.index.shards import Engine


@click.command()
@click.argument("name", required=False)
@click.option(
    "--corpus",
    "sources",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Kaggle snapshot or own JSON Lines, .json, .jsonl, .gz or .zip; may be repeated.",
)
@selection_options
@click.option(
    "--encoder",
    metavar="NAME",
    help="A name of `astrosearch models`, `paper`, `openai:NAME`, a hub id, a folder or a .gguf "
    "file.",
)
@click.option("--adapter", metavar="ID|DIR", help="A PEFT adapter for the encoder's model.")
@click.option("--layers", type=click.IntRange(min=0), help="Run only the first layers.")
@click.option(
    "--pooling", type=click.Choice(["mean-without-bos", "mean"]), help="How tokens become a vector."
)
@click.option("--max-tokens", type=click.IntRange(min=8), help="Longer texts are cut.")
@click.option("--quantize", type=click.Choice(["4bit"]), help="Hold the weights in 4 bits.")
@click.option("--device", metavar="NAME", help="cuda, mps or cpu; by default the best there is.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Number format of the model; by default what the device is fast with.",
)
@click.option("--batch-tokens", type=click.IntRange(min=1), help="Tokens a batch of the encoder.")
@consent_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Encode here, or on the machines of a Ray cluster.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="The Ray cluster; by default the one that runs on this machine.",
)
@kind_option
def index(
    name: str | None,
    sources: tuple[Path, ...],
    strict: bool,
    kind: str | None,
    device: str | None,
    dtype: str | None,
    batch_tokens: int | None,
    yes: bool,
    engine: str,
    address: str | None,
    **rest: Any,
) -> None:
    """Build an index, or bring it up to date.

    Without arguments, index the sampler that comes with astrosearch. An index that exists is
    brought up to date: only new and changed abstracts are encoded. A build that was stopped, or
    killed, goes on where it was when the same command is given again. With a
    corpus and no NAME, the index is called main.

    \b
    astrosearch index
    astrosearch index astro --corpus arxiv-metadata-oai-snapshot.json --category astro-ph
    astrosearch index trial --corpus arxiv-metadata-oai-snapshot.json --sample 2000
    """
    from astrosearch import paths
    from astrosearch.corpus import sampler
    from astrosearch.encoders import registry
    from astrosearch.encoders.loading import load_encoder
    from astrosearch.index.build import build

    if name is None:
        name = "main" if sources else sampler.NAME
    folder = paths.index_folder(name)
    files, selection = _corpus(name, folder, list(sources), rest)
    spec = _encoder_spec(folder, rest)
    if address and engine != "ray":
        raise click.UsageError("--address names a Ray cluster: add --engine ray")
    how = {"device": device, "dtype": dtype, "batch_tokens": batch_tokens}
    spread = _ray_engine(spec, address, how) if engine == "ray" else None
    spec = registry.with_revision(spec, Terminal())
    command = shlex.join(["astrosearch", *sys.argv[1:]])
    notify(f"Reading {', '.join(map(str, files))}")
    reporter = Terminal(yes=yes, resume=command)
    try:
        report = build(
            folder,
            files,
            selection,
            spec,
            lambda wanted: load_encoder(wanted, reporter, **how),
            engine=spread,
            index_type=kind,
            strict=strict,
            reporter=reporter,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"What was encoded is kept; to go on, give the same command again: {command}"
        ) from None
    _notify_report(report)


def _corpus(
    name: str, folder: Path, sources: list[Path], options: dict[str, Any]
) -> "tuple[list[Path], Selection]":
    """The files to read and what to take from them: as asked, else as last time."""
    from astrosearch import paths
    from astrosearch.corpus import sampler
    from astrosearch.corpus.intake import Selection
    from astrosearch.errors import IndexDamaged, InputError
    from astrosearch.index.manifest import Manifest

    given = {
        field: options[field]
        for field in ("category", "primary_only", "since", "until", "limit", "sample", "seed")
    }
    selection = Selection(**given)
    if sources:
        return sources, selection
    if name == sampler.NAME:
        return [sampler.path()], selection
    paths.recover(folder)
    if not (folder / paths.MANIFEST).exists():
        raise click.UsageError(f"name the papers of index {name!r} with --corpus FILE")
    corpus = Manifest.read(folder, check_files=False).corpus
    if selection == Selection():
        try:
            selection = Selection.from_record(dict(corpus.selection))
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise IndexDamaged(
                f"the manifest of index {name} selects papers in no way that is known ({error}); "
                "name them with --corpus FILE"
            ) from None
    elif corpus.selection:
        notify(f"What was selected last time no longer counts: {dict(corpus.selection)}")
    sources = [Path(source) for source in corpus.sources if "\0" not in source]
    if not sources:
        raise IndexDamaged(f"the manifest of index {name} names no corpus: give --corpus FILE")
    return sources, selection


def _encoder_spec(folder: Path, options: dict[str, Any]) -> "EncoderSpec":
    """The encoder that was asked for, else the one of the index that is there, else the default.

    Options that describe a model describe the default's base where no encoder is named.
    """
    from astrosearch import paths
    from astrosearch.encoders import registry
    from astrosearch.errors import IndexDamaged, InputError
    from astrosearch.index.manifest import Manifest

    of_a_model = any(options[field] is not None for field in ("adapter", "layers", "pooling"))
    usual = registry.DEFAULT if of_a_model else registry.DEFAULT_ENCODER
    spec = registry.encoder_spec(options["encoder"] or usual)
    if options["encoder"] is None and (folder / paths.MANIFEST).exists():
        try:
            spec = Manifest.read(folder, check_files=False).encoder
        except IndexDamaged as error:
            notify(f"{error}")
            notify(f"The encoder is the default, {spec}")
    asked = {
        field: options[field]
        for field in ("adapter", "layers", "pooling", "max_tokens", "quantize")
        if options[field] is not None
    }
    if asked.get("adapter") and Path(asked["adapter"]).is_dir():
        asked["adapter"] = str(Path(asked["adapter"]).resolve())
    if registry.is_embedding_adapter(asked.get("adapter")):
        raise InputError(
            f"{asked['adapter']} is an encoder by itself: --encoder {asked['adapter']}"
        )
    if of_a_model:
        if registry.is_embedding_adapter(spec.adapter):
            raise InputError(
                f"{spec.adapter} was trained as it is: no --adapter, --layers or --pooling; "
                f"for its base say --encoder {spec.model}"
            )
        asked["transform"] = None  # a whitening fits only the vectors it was fitted on
    return replace(spec, **asked)


def _ray_engine(spec: "EncoderSpec", address: str | None, options: dict[str, Any]) -> "Engine":
    from astrosearch.errors import InputError, SetupError

    if spec.is_service:
        raise InputError(f"{spec.model} runs at its service: leave --engine ray out")
    try:
        from astrosearch.index.ray import RayEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise SetupError(
            "--engine ray needs Ray, here and on each machine of the cluster: "
            "pip install 'ray[data]>=2.60'"
        ) from None
    return RayEngine(address, Terminal(), options)


def _notify_report(report: "BuildReport") -> None:
    from astrosearch.text.tex import one_line

    intake = report.intake
    shown = intake.first_refused
    notify(intake.summary())
    for refusal in shown:
        line = f"{refusal.file}:{refusal.line}: {refusal.reason}: {refusal.detail}"
        notify(f"  {one_line(line)}")
    if intake.refused.total() > len(shown):
        notify("  …")
    if shown and report.changed:
        notify(f"  all of them: {report.folder / 'rejected.jsonl'}")
    if not report.changed:
        notify(f"Index {report.folder.name} is up to date: {report.count:,} papers")
        return
    speed = ""
    if report.encoded:
        speed = (
            f", {report.encoded / report.seconds:,.1f} papers/s, "
            f"{report.tokens / report.seconds:,.0f} tokens/s"
        )
    notify(
        f"Index {report.folder.name}: {report.count:,} papers, {report.encoded:,} encoded, "
        f"{report.reused:,} vectors reused{speed}"
    )
    notify(f'Ask it: astrosearch query "magellanic stream" --index {report.folder.name}')

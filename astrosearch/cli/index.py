"""`astrosearch index`."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    consent_option,
    kind_option,
    new_index_argument,
    selection_options,
    service_options,
    was_given,
)

if TYPE_CHECKING:
    from astrosearch.corpus.intake import Selection
    from astrosearch.encoders.base import EncoderSpec
    from astrosearch.index.arxiv import Making
    from astrosearch.index.build import BuildReport
    from astrosearch.index.shards import Engine


@click.command()
@new_index_argument
@click.option(
    "--corpus",
    "sources",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="arXiv's Kaggle snapshot, records of ADS, arxiv.py or Semantic Scholar, or JSON Lines of "
    "your own: .json, .jsonl, .gz or .zip. May be repeated.",
)
@click.option(
    "--arxiv",
    is_flag=True,
    help="Take the papers from arXiv itself: those of --category, by default astro-ph.",
)
@selection_options
@service_options
@click.option(
    "--encoder",
    metavar="NAME",
    help="A name from `astrosearch models`, `paper`, `openai:NAME`, a Hugging Face id, a folder "
    "or a .gguf file.",
)
@click.option("--adapter", metavar="ID|DIR", help="A PEFT adapter for the encoder's base model.")
@click.option(
    "--layers", type=click.IntRange(min=0), help="Run only this many of the model's layers."
)
@click.option(
    "--pooling",
    type=click.Choice(["mean-without-bos", "mean"]),
    help="How the vector of a text is computed from those of its tokens.",
)
@click.option("--max-tokens", type=click.IntRange(min=8), help="Cut off longer texts.")
@click.option("--quantize", type=click.Choice(["4bit"]), help="Load the weights in 4 bits.")
@click.option(
    "--device", metavar="NAME", help="cuda, mps or cpu; by default the fastest available."
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Number format of the model; by default the one that suits the device.",
)
@click.option(
    "--batch-tokens", type=click.IntRange(min=1), help="Tokens in a batch of the encoder."
)
@consent_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Encode on this machine (local) or on a Ray cluster.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="The Ray cluster; by default the one running on this machine.",
)
@kind_option
def index(
    index_name: str | None,
    sources: tuple[Path, ...],
    arxiv: bool,
    strict: bool,
    base_url: str,
    pause: float,
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

    Without arguments, index the sample of papers that comes with astrosearch. With --corpus and no
    NAME, the index is called main. For an existing index, only new and changed abstracts are
    encoded. If a build is stopped or killed, run the same command again to resume it.

    With --arxiv, the newest papers come first, and what has come can be searched at once. An index
    of files of a category gets arXiv as one more source, from the day --since on.

    \b
    astrosearch index
    astrosearch index astro --arxiv --since 2024
    astrosearch index astro --corpus arxiv-metadata-oai-snapshot.json \\
      --category astro-ph
    astrosearch index trial --corpus astro.jsonl --sample 2000
    astrosearch index astro
    """
    from astrosearch import paths
    from astrosearch.corpus import sampler
    from astrosearch.encoders.consent import IndexConsent
    from astrosearch.encoders.loading import load_encoder
    from astrosearch.encoders.weights.locate import with_revision
    from astrosearch.errors import AstrosearchError
    from astrosearch.index.arxiv import Making
    from astrosearch.index.build import build
    from astrosearch.index.folder import has_shards

    name = index_name or ("main" if sources or arxiv else sampler.NAME)
    folder = paths.index_folder(name)
    _check_arxiv(name, folder, arxiv, sources, strict, kind, rest)
    is_arxiv = arxiv or (not sources and is_of_arxiv(folder))
    if not is_arxiv:
        files, selection = _corpus(name, folder, list(sources), rest)
    spec = _encoder_spec(folder, rest)
    if address and engine != "ray":
        raise click.UsageError("--address names a Ray cluster; add --engine ray")
    placement = {"device": device, "dtype": dtype, "batch_tokens": batch_tokens}
    ray = _ray_engine(spec, address, placement) if engine == "ray" else None
    command = shlex.join(["astrosearch", *sys.argv[1:]])
    terminal = Terminal(yes=yes, resume=command)
    reporter = IndexConsent(terminal, folder)
    is_in_manifest = rest["encoder"] is None and (folder / paths.MANIFEST).exists()
    try:
        spec = with_revision(spec, reporter if is_in_manifest else terminal)
    except AstrosearchError as error:
        if not (is_in_manifest and _is_that_of_index(spec, folder)):
            raise
        notify(f"The encoder cannot be used, only what is encoded already: {error}")
    done = "fetched and encoded" if is_arxiv else "encoded"
    try:
        if is_arxiv:
            making = Making(
                spec,
                lambda spec: load_encoder(spec, reporter, **placement),
                ray,
                kind,
                reporter,
            )
            _index_arxiv(folder, rest, base_url, pause, making)
            return
        notify(f"Reading {', '.join(map(str, files))}")
        report = build(
            folder,
            files,
            selection,
            spec,
            lambda spec: load_encoder(spec, reporter, **placement),
            engine=ray,
            index_type=kind,
            strict=strict,
            reporter=reporter,
        )
    except KeyboardInterrupt:
        is_kept = is_arxiv or has_shards(paths.partial_folder(folder))
        advice = f"What was {done} is kept. To resume, give the same command again"
        raise KeyboardInterrupt(
            f"{advice if is_kept else 'Nothing is kept. To begin again'}: {command}"
        ) from None
    _notify_report(report)


def is_of_arxiv(folder: Path) -> bool:
    """Whether an index is there that was made from arXiv."""
    from astrosearch import paths
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.manifest import Manifest

    if not (folder / paths.MANIFEST).exists():
        return False
    try:
        return Manifest.read(folder, check_files=False).corpus.arxiv is not None
    except IndexDamaged:
        return False


def _check_arxiv(
    name: str,
    folder: Path,
    arxiv: bool,
    sources: tuple[Path, ...],
    strict: bool,
    kind: str | None,
    options: dict[str, Any],
) -> None:
    """
    Raises:
        UsageError: if options do not go together.
    """
    from astrosearch import paths

    is_present = is_of_arxiv(folder)
    if sources and is_present:
        raise click.UsageError(
            f"index {name} is made from arXiv; to add files to it: astrosearch update {name} "
            "--corpus FILE"
        )
    if not arxiv and not is_present:
        for option, parameter in (("--base-url", "base_url"), ("--pause", "pause")):
            if was_given(parameter):
                raise click.UsageError(f"{option} needs --arxiv")
        return
    if sources:
        raise click.UsageError(
            "--arxiv and --corpus do not go together; files can be added later: astrosearch "
            f"update {name} --corpus FILE"
        )
    without_effect = {
        "--strict": strict,
        "--limit": options["limit"],
        "--sample": options["sample"],
        "--kind": kind if (folder / paths.MANIFEST).exists() else None,
    }
    for option, value in without_effect.items():
        if value:
            tuning = f"; change it: astrosearch indexes tune {name}" if option == "--kind" else ""
            raise click.UsageError(f"{option} has no effect on an index of arXiv{tuning}")


def _index_arxiv(
    folder: Path, options: dict[str, Any], base_url: str, pause: float, making: "Making"
) -> None:
    from dataclasses import replace as changed
    from datetime import UTC, date, datetime

    from astrosearch import paths
    from astrosearch.corpus.arxiv import EARLIEST, estimate
    from astrosearch.corpus.harvest import Etiquette
    from astrosearch.corpus.intake import Selection
    from astrosearch.index.arxiv import Service
    from astrosearch.index.manifest import Manifest
    from astrosearch.index.refresh import arxiv_record, build_from_arxiv, selection_of

    selection = Selection(
        **{name: options[name] for name in ("category", "primary_only", "since", "until")}
    )
    if (folder / paths.MANIFEST).exists():
        present = selection_of(Manifest.read(folder, check_files=False).corpus, folder.name)
        if selection == Selection():
            selection = present
        selection = changed(selection, category=selection.category or present.category)
    else:
        selection = changed(selection, category=selection.category or "astro-ph")
    _, state = arxiv_record(folder, selection, making.spec)
    if not state.is_complete:
        today = datetime.now(UTC).date()
        reached = date.fromisoformat(state.reached) if state.reached else today
        since = max(date.fromisoformat(state.since), EARLIEST)
        cost = estimate(str(selection.category), since, reached, pause)
        notify(
            f"arXiv, {selection.category}, changes since {since}: {cost}; the newest come first. "
            "It may be stopped at any time, and be searched meanwhile."
        )
    service = Service(base_url, Etiquette(pause=pause))
    report = build_from_arxiv(folder, selection, service, making)
    growth, manifest = report.growth, report.manifest
    notify(
        f"Index {folder.name}: {manifest.count:,} papers, {growth.added:,} new, "
        f"{growth.replaced:,} replaced, {growth.removed:,} removed"
    )
    notify(f'Search it: astrosearch query "magellanic stream" --index {folder.name}')
    notify(f"Or read on the full screen: astrosearch browse --index {folder.name}")
    notify(f"Keep it up to date: astrosearch update {folder.name}")


def _corpus(
    name: str, folder: Path, sources: list[Path], options: dict[str, Any]
) -> "tuple[list[Path], Selection]":
    """The files to read and what to select from them: from the options, or else from the manifest
    of the existing index."""
    from astrosearch import paths
    from astrosearch.corpus import sampler
    from astrosearch.corpus.intake import Selection
    from astrosearch.errors import IndexDamaged, InputError
    from astrosearch.index.manifest import Manifest

    fields = ("category", "primary_only", "since", "until", "limit", "sample", "seed")
    selection = Selection(**{field: options[field] for field in fields})
    if sources:
        return sources, selection
    if name == sampler.NAME:
        return [sampler.path()], selection
    if not (folder / paths.MANIFEST).exists():
        raise click.UsageError(
            f"there is no index {name!r} yet: name the files of its papers with --corpus FILE"
        )
    corpus = Manifest.read(folder, check_files=False).corpus
    if selection == Selection():
        try:
            selection = Selection.from_record(dict(corpus.selection))
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise IndexDamaged(
                f"the manifest of index {name} has a selection that cannot be read ({error}); "
                "name the files of its papers with --corpus FILE"
            ) from None
    elif corpus.selection:
        notify(f"The index's earlier selection is replaced: {dict(corpus.selection)}")
    sources = [Path(source) for source in corpus.sources if "\0" not in source]
    if not sources:
        raise IndexDamaged(f"the manifest of index {name} names no corpus; give --corpus FILE")
    return sources, selection


def _encoder_spec(folder: Path, options: dict[str, Any]) -> "EncoderSpec":
    """The encoder of --encoder, or else of the existing index, or else the default.

    Without --encoder, --adapter, --layers and --pooling apply to the default's base model.
    """
    from astrosearch import paths
    from astrosearch.encoders import registry
    from astrosearch.errors import IndexDamaged, InputError
    from astrosearch.index.manifest import Manifest

    needs_base_model = any(options[field] is not None for field in ("adapter", "layers", "pooling"))
    default = registry.DEFAULT if needs_base_model else registry.DEFAULT_ENCODER
    spec = registry.encoder_spec(options["encoder"] or default)
    if options["encoder"] is None and (folder / paths.MANIFEST).exists():
        try:
            spec = Manifest.read(folder, check_files=False).encoder
        except IndexDamaged as error:
            notify(f"{error}")
            notify(f"The default encoder is used: {spec}")
    changes = {
        field: options[field]
        for field in ("adapter", "layers", "pooling", "max_tokens", "quantize")
        if options[field] is not None
    }
    if changes.get("adapter") and Path(changes["adapter"]).is_dir():
        changes["adapter"] = str(Path(changes["adapter"]).resolve())
    if registry.is_embedding_adapter(changes.get("adapter")):
        raise InputError(
            f"{changes['adapter']} is an encoder by itself; use --encoder {changes['adapter']}"
        )
    if needs_base_model:
        if registry.is_embedding_adapter(spec.adapter):
            raise InputError(
                f"{spec.adapter} takes no --adapter, --layers or --pooling; for its base model, "
                f"use --encoder {spec.model}"
            )
        changes["transform"] = None  # a linear head fits only the vectors it was fitted on
    return replace(spec, **changes)


def _is_that_of_index(spec: "EncoderSpec", folder: Path) -> bool:
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.manifest import Manifest

    try:
        return Manifest.read(folder, check_files=False).encoder == spec
    except IndexDamaged:
        return False


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
            "--engine ray needs Ray on this machine and on each machine of the cluster: "
            "pip install 'ray[data]>=2.60'"
        ) from None
    return RayEngine(address, Terminal(), options)


def _notify_report(report: "BuildReport") -> None:
    notify(report.intake.summary())
    for line in _refusals(report):
        notify(f"  {line}")
    name = report.folder.name
    if not report.changed:
        notify(f"Index {name} is up to date: {report.count:,} papers")
        return
    speed = ""
    if report.encoded and report.seconds:
        speed = (
            f", {report.encoded / report.seconds:,.1f} papers/s, "
            f"{report.tokens / report.seconds:,.0f} tokens/s"
        )
    notify(
        f"Index {name}: {report.count:,} papers, {report.encoded:,} encoded, "
        f"{report.reused:,} vectors reused{speed}"
    )
    notify(f'Search it: astrosearch query "magellanic stream" --index {name}')
    notify(f"Or read on the full screen: astrosearch browse --index {name}")


def _refusals(report: "BuildReport") -> Iterator[str]:
    """The first refused records of the corpus, and the file that lists all of them."""
    from astrosearch.text.tex import one_line

    first, total = report.intake.first_refused, report.intake.refused.total()
    for refusal in first:
        yield one_line(f"{refusal.file}:{refusal.line}: {refusal.reason}: {refusal.detail}")
    if total > len(first):
        yield "…"
    if first and report.changed:
        yield f"all {total:,}: {report.rejected}"

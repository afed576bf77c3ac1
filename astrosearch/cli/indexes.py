"""`astrosearch indexes`: what has been built, and whether it is sound."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal, harmless, notify, write
from astrosearch.cli.group import ListGroup
from astrosearch.cli.options import (
    Bytes,
    format_option,
    index_argument,
    kind_option,
    required_index_argument,
)

if TYPE_CHECKING:
    from astrosearch.index.manifest import Manifest


@click.group(cls=ListGroup)
def indexes() -> None:
    """List, inspect, verify, tune, merge and remove indexes.

    \b
    astrosearch indexes
    astrosearch indexes info sampler
    astrosearch indexes verify sampler
    astrosearch indexes tune sampler --recall .99 --memory 500MB
    """


@indexes.command("list")
@format_option("table", "json", "jsonl", help="jsonl is one JSON object a line.")
def list_indexes(output: str) -> None:
    """List the indexes, the one built last first.

    \b
    astrosearch indexes
    astrosearch indexes list --format json
    """
    import json

    from astrosearch import paths
    from astrosearch.cli.views.tables import write_table

    if not paths.index_names():
        paths.existing_index(None)  # says so
    manifests = list(_manifests())
    if output == "table":
        rows = [
            (
                folder.name,
                f"{manifest.count:,}",
                _size(folder_bytes(folder)),
                manifest.built[:10],
                manifest.encoder.short_name,
            )
            for folder, manifest in manifests
        ]
        write_table(("index", "papers", "size", "built", "encoder"), rows, right=(1, 2))
        return
    records = [
        {
            "name": folder.name,
            "count": manifest.count,
            "bytes": folder_bytes(folder),
            "built": manifest.built,
            "encoder": manifest.encoder.as_record(),
        }
        for folder, manifest in manifests
    ]
    if output == "json":
        write(json.dumps(records, indent=1))
    else:
        for record in records:
            write(json.dumps(record))


def _manifests() -> "Iterator[tuple[Path, Manifest]]":
    """The indexes and what they are; of a damaged one a line says so."""
    from astrosearch import paths
    from astrosearch.cli.errors import with_remedy
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.snapshot import holding
    from astrosearch.text.tex import one_line

    for name in paths.index_names():
        folder = paths.index_folder(name)
        try:
            with holding(folder) as manifest:
                yield folder, manifest
        except IndexDamaged as error:
            notify(one_line(f"{name}: {with_remedy(error, name)}"))


def folder_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a build deletes files of earlier snapshots
                total += Path(place, name).stat().st_size
    return total


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@indexes.command()
@index_argument
@format_option("table", "json", help="json is the whole manifest.")
def info(index_name: str | None, output: str) -> None:
    """Show what an index holds and how it was built.

    \b
    astrosearch indexes info sampler
    astrosearch indexes info sampler --format json
    """
    import json

    from astrosearch import paths
    from astrosearch.cli.views.tables import write_facts
    from astrosearch.index.snapshot import holding

    folder = paths.existing_index(index_name)
    with holding(folder) as manifest:
        pass
    if output == "json":
        record = json.loads((folder / paths.MANIFEST).read_bytes())
        write(json.dumps(record, indent=1))  # in ASCII: no text of it can steer a terminal
        return
    write_facts(_facts(folder, manifest))


def _sources(manifest: "Manifest") -> dict[str, str]:
    """Where the papers came from, until when, and in how many segments they are."""
    corpus = manifest.corpus
    facts = {"corpus": ", ".join(corpus.sources)} if corpus.sources else {}
    if (arxiv := corpus.arxiv) is not None:
        days = f"{arxiv.reached} to {arxiv.until}" if arxiv.reached else "nothing complete yet"
        if not arxiv.is_complete:
            days += f"; wanted since {arxiv.since}: astrosearch update fetches the rest"
        facts["arXiv"] = f"{arxiv.set}, {days}"
    facts["segments"] = f"{len(manifest.segments):,}, {len(manifest.dead):,} dead rows"
    last = manifest.segments[-1]
    if last.until:
        facts["last segment"] = f"{last.rows:,} papers from {last.source}, until {last.until[:16]}"
    return facts


def _facts(folder: Path, manifest: "Manifest") -> dict[str, str]:
    corpus = manifest.corpus
    selection = ", ".join(
        f"{name} {value}" for name, value in corpus.selection.items() if value not in (None, False)
    )
    refused = sum(corpus.refused.values())
    largest = manifest.largest
    recall = "" if largest.recall is None else f"; recall@10 {largest.recall:.3f}"
    facts = {
        "index": folder.name,
        "papers": f"{manifest.count:,}",
        "built": f"{manifest.built[:16].replace('T', ' ')} UTC, by astrosearch {manifest.tool}",
        "folder": str(folder),
        "size": f"{_size(folder_bytes(folder))} in {len(manifest.files) + 1} files",
        **_sources(manifest),
        "lines": f"{corpus.lines:,} read, {corpus.not_selected:,} not selected, "
        f"{refused:,} refused",
        "selection": selection or "all papers",
        "encoder": str(manifest.encoder),
        "vectors": f"{manifest.count:,} of {manifest.dimension} dimensions",
        "search": f"{largest.factory} (faiss.index_factory){recall}",
    }
    mean, spread = manifest.background.mean, manifest.background.spread
    if mean is not None and spread is not None:
        facts["random pairs"] = f"cosine {mean:.3f} ± {spread:.3f}"
    return facts


@indexes.command()
@index_argument
def verify(index_name: str | None) -> None:
    """Check every byte of an index against its manifest, by sha256.

    \b
    astrosearch indexes verify sampler
    """
    from astrosearch import paths
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.manifest import has_digest
    from astrosearch.index.reader import Index
    from astrosearch.index.snapshot import holding

    folder = paths.existing_index(index_name)
    with holding(folder) as manifest:
        damaged = manifest.verify(folder)
    # Before it is opened: the libraries trust their files, and damaged ones may crash them.
    if damaged:
        raise IndexDamaged(
            f"index {folder.name}: {', '.join(damaged)} changed since the build (sha256 differs)",
            remedy="build-again",
        )
    with Index(folder) as index:
        len(index.lexical)
        write(f"{folder.name}: {len(index):,} papers, {len(index.manifest.files)} files, sound")
    if not has_digest(folder):
        notify(
            "The manifest states no sha256 of its own, as those of the first releases: its fields "
            "were not compared with anything"
        )


@indexes.command()
@index_argument
@kind_option
@click.option(
    "--recall",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="The least recall@10 against exact search; .99 at first.",
)
@click.option(
    "--memory", metavar="SIZE", type=Bytes(), help="The most memory a search may use, as 500MB."
)
def tune(
    index_name: str | None, kind: str | None, recall: float | None, memory: int | None
) -> None:
    """Change how an index searches its vectors; nothing is encoded.

    Recall is measured against exact search, and the search is widened until it is reached. An
    option that is not given keeps its value, also when the index is brought up to date.

    \b
    astrosearch indexes tune astro --recall .995
    astrosearch indexes tune astro --kind ivf --memory 500MB
    """
    from astrosearch import paths
    from astrosearch.index.tune import tune as tune_index

    if recall is not None and recall != recall:  # NaN passes any bounds
        raise click.BadParameter("nan is not a recall: write .99", param_hint="--recall")
    folder = paths.existing_index(index_name)
    tune_index(folder, index_type=kind, recall=recall, memory=memory, reporter=Terminal())


@indexes.command()
@index_argument
def merge(index_name: str | None) -> None:
    """Merge the segments of an index into one; nothing is encoded.

    Every update adds a segment, and each costs a search a little. Updates merge them by themselves
    when there are many.

    \b
    astrosearch indexes merge astro
    """
    from astrosearch import paths
    from astrosearch.index.manifest import Manifest
    from astrosearch.index.merge import merge as merge_segments

    folder = paths.existing_index(index_name)
    before = Manifest.read(folder, check_files=False)
    after = merge_segments(folder, reporter=Terminal())
    if after.snapshot == before.snapshot:
        notify(f"Index {folder.name} is one segment already")
    else:
        notify(f"Index {folder.name}: {_segments(before)} merged into one")


def _segments(manifest: "Manifest") -> str:
    count = len(manifest.segments)
    return "1 segment" if count == 1 else f"{count:,} segments"


@indexes.command()
@required_index_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(index_name: str, yes: bool) -> None:
    """Delete an index, and what an unfinished build of it has left.

    \b
    astrosearch indexes remove trial
    astrosearch indexes remove trial --yes
    """
    from astrosearch import paths
    from astrosearch.index.folder import remove as remove_index

    folder = paths.index_folder(index_name)
    if not folder.is_symlink() and not paths.partial_folder(folder).exists():
        folder = paths.existing_index(index_name)
    target = f"the link {folder}" if folder.is_symlink() else str(folder)
    if not yes and not _agrees(target):
        notify("Nothing was deleted")
        raise click.exceptions.Exit(1)
    remove_index(folder)
    notify(f"Deleted {target}")


def _agrees(target: str) -> bool:
    """
    Raises:
        InputError: if nobody can be asked and no answer is piped in.
    """
    from astrosearch.errors import InputError

    if sys.stdin.isatty():
        return click.confirm(harmless(f"Delete {target}?"), err=True)
    answer = sys.stdin.readline().strip().lower()
    if not answer:
        raise InputError(f"{target} is not deleted without consent; to agree, add --yes")
    return answer in ("y", "yes")

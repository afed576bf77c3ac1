"""`astrosearch indexes`: what has been built, and whether it is sound."""

import json

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.options import Bytes, kind_option


@click.group(invoke_without_command=True)
@click.pass_context
def indexes(ctx: click.Context) -> None:
    """List, inspect, verify, tune and remove indexes.

    \b
    astrosearch indexes
    astrosearch indexes info sampler
    astrosearch indexes verify sampler
    astrosearch indexes tune sampler --recall .99 --memory 500MB
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_indexes)


@indexes.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an index.")
def list_indexes(as_json: bool) -> None:
    """List the indexes, the one built last first."""
    from astrosearch import paths
    from astrosearch.cli.views.hits import write_table
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.manifest import Manifest

    names = paths.index_names()
    if not names:
        paths.existing_index(None)  # says so
    rows = []
    for name in names:
        folder = paths.index_folder(name)
        try:
            manifest = Manifest.read(folder)
        except IndexDamaged as error:
            notify(f"{name}: {error}")
            continue
        size = sum(file.stat().st_size for file in folder.iterdir())
        if as_json:
            record = {"name": name, "count": manifest.count, "bytes": size, "built": manifest.built}
            write(json.dumps({**record, "encoder": manifest.encoder.as_record()}))
        rows.append(
            (
                name,
                f"{manifest.count:,}",
                f"{size / 1e6:,.1f} MB",
                manifest.built[:10],
                str(manifest.encoder),
            )
        )
    if not as_json:
        write_table(("index", "papers", "size", "built", "encoder"), rows, right=(1, 2))


@indexes.command()
@click.argument("name", required=False)
def info(name: str | None) -> None:
    """Print an index's manifest, as JSON."""
    from astrosearch import paths
    from astrosearch.index.manifest import Manifest

    folder = paths.existing_index(name)
    Manifest.read(folder)
    record = json.loads((folder / paths.MANIFEST).read_bytes())
    write(json.dumps(record, indent=1))  # in ASCII: no text of it can steer a terminal


@indexes.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Check every byte of an index against its manifest, by sha256."""
    from astrosearch import paths
    from astrosearch.errors import IndexDamaged
    from astrosearch.index.manifest import Manifest, has_digest
    from astrosearch.index.reader import Index

    folder = paths.existing_index(name)
    # Before it is opened: the libraries trust their files, and damaged ones may crash them.
    if damaged := Manifest.read(folder).verify(folder):
        raise IndexDamaged(
            f"index {folder.name}: {', '.join(damaged)} changed since the build (sha256 differs)",
            remedy="build-again",
        )
    with Index(folder) as opened:
        len(opened.lexical)
        write(f"{folder.name}: {len(opened):,} papers, {len(opened.manifest.files)} files, sound")
    if not has_digest(folder):
        notify(
            "The manifest states no sha256 of its own, as those of the first releases: its fields "
            "were not compared with anything"
        )


@indexes.command()
@click.argument("name", required=False)
@kind_option
@click.option(
    "--recall",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Recall@10 against exact search, at least; .99 at first.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    type=Bytes(),
    help="What a search may hold in memory, as 500MB.",
)
def tune(name: str | None, kind: str | None, recall: float | None, memory: int | None) -> None:
    """Change how an index finds neighbours; nothing is encoded.

    Recall is measured against exact search, and the search goes further until it is as asked.
    What is not given stays as it was asked for last time, also when the index is brought up to
    date.
    """
    from astrosearch import paths
    from astrosearch.index.tune import tune as tune_index

    if recall is not None and recall != recall:  # NaN passes any bounds
        raise click.BadParameter("nan is no recall: write .99", param_hint="--recall")
    folder = paths.existing_index(name)
    tune_index(
        folder,
        index_type=kind,
        recall=recall,
        memory=memory,
        reporter=Terminal(),
    )


@indexes.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Delete an index and what is left of an unfinished build of it."""
    from astrosearch import paths
    from astrosearch.index.folder import remove as remove_index

    folder = paths.index_folder(name)
    if not folder.is_symlink() and not paths.partial_folder(folder).exists():
        folder = paths.existing_index(name)
    what = f"the link {folder}" if folder.is_symlink() else str(folder)
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    remove_index(folder)
    notify(f"Deleted {what}")

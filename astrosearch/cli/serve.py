"""`astrosearch serve`: a web page and an HTTP API."""

import importlib.util
import os
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal
from astrosearch.cli.options import served_indexes_option

if TYPE_CHECKING:
    from astrosearch.server.settings import Offer


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen at; 0 for one that is free.",
)
@click.option(
    "--token",
    envvar="ASTROSEARCH_TOKEN",
    show_envvar=True,
    help="What clients have to show. Everybody on this machine can read a command line, so the "
    "variable is the better place.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that answer; by default one a core, 8 at most.",
)
@click.option(
    "--public-name",
    "public_names",
    metavar="HOST",
    multiple=True,
    help="A name by which clients reach the server; may be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    metavar="URL",
    multiple=True,
    help="A web site whose scripts may read answers, as https://example.org; may be repeated.",
)
@click.option(
    "--library/--no-library",
    default=None,
    help="Whether clients may read and change your library and your saved searches; by default "
    "only if this machine alone can reach the server.",
)
@served_indexes_option
def serve(
    host: str,
    port: int,
    token: str | None,
    workers: int | None,
    public_names: tuple[str, ...],
    allowed_origins: tuple[str, ...],
    library: bool | None,
    index_names: tuple[str, ...],
) -> None:
    """Search in a browser, and from other programs over HTTP.

    Open the address that is printed. The API is described at /api/openapi.json there. Without
    --host only this machine can reach it.

    \b
    astrosearch serve
    astrosearch serve -i astro --port 8080
    ASTROSEARCH_TOKEN=… astrosearch serve --host 0.0.0.0
    """
    check_extra("serve")
    if token is not None and (not token.strip() or not token.isascii()):
        raise click.UsageError("the token is empty, or has letters that are not ASCII")

    from astrosearch.server.guard import is_loopback
    from astrosearch.server.http import serve as serve_http
    from astrosearch.server.settings import Settings

    if library is None:
        library = is_loopback(host) and not public_names
    settings = Settings(
        offer=offer_of(index_names, library=library),
        host=host,
        port=port,
        token=token.strip() if token else None,
        workers=workers or min(os.cpu_count() or 1, 8),
        public_names=public_names,
        allowed_origins=allowed_origins,
    )
    serve_http(settings, Terminal())


def check_extra(command: str) -> None:
    """
    Raises:
        SetupError: if what `serve` and `mcp` need is not installed.
    """
    from astrosearch.errors import SetupError

    needed = ("starlette", "uvicorn", "mcp")
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise SetupError(
            f"`astrosearch {command}` needs {', '.join(missing)}; install astrosearch with the "
            "extra serve: pip install '.[serve]'"
        )


def offer_of(index_names: tuple[str, ...], *, library: bool = True) -> "Offer":
    """The indexes of `--index`, or all of this machine.

    Args:
        library: whether the user's own library is for clients.

    Raises:
        IndexMissing: if there is no such index.
    """
    from astrosearch import paths
    from astrosearch.server.settings import Offer

    folders = [paths.existing_index(name) for name in index_names or (None,)]
    only = tuple(folder.name for folder in folders) if index_names else ()
    return Offer(folders[0].name, only, library)

"""`astrosearch serve`: a web page and an HTTP API."""

import importlib.util
import os
import re
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import Terminal
from astrosearch.cli.options import served_indexes_option

if TYPE_CHECKING:
    from astrosearch.server.settings import Cluster, Offer


class Replicas(click.ParamType["tuple[int, int]"]):
    """A number of processes, or the fewest and the most of them: 4, 2-8."""

    name = "N|N-N"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", str(value), re.ASCII)
        fewest, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= fewest <= most:
            self.fail(f"{value!r} is not a number from 1, nor a range such as 2-8", param, ctx)
        return fewest, most


class Spelled(click.ParamType[str]):
    """A text of a certain form: one of another form would never be met."""

    def __init__(self, name: str, form: str, example: str) -> None:
        self.name, self._form, self._example = name, form, example

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if not re.fullmatch(self._form, str(value), re.ASCII):
            self.fail(f"{value!r} cannot be one; for example {self._example}", param, ctx)
        return str(value)


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
    type=Spelled("HOST", r"[\w.-]+|[\da-fA-F:]+", "papers.example.org"),
    multiple=True,
    help="A name by which clients reach the server; may be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    type=Spelled("URL", r"https?://[^/\s]+|\*", "https://example.org"),
    multiple=True,
    help="A web site whose scripts may read answers, as https://example.org, or * for all; may be "
    "repeated.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What answers: processes of this machine, or of a Ray cluster (extra ray-serve).",
)
@click.option("--address", metavar="HOST:PORT", help="The Ray cluster; by default this machine's.")
@click.option(
    "--replicas",
    type=Replicas(),
    help="Processes of the cluster that answer; 2-8 for as many as are needed.  [default: 1]",
)
@click.option(
    "--shards",
    type=click.IntRange(1, 1000),
    help="Processes of the cluster that share the vectors among them.",
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
    engine: str,
    address: str | None,
    replicas: tuple[int, int] | None,
    shards: int | None,
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
    astrosearch serve --engine ray --address head:6379 --replicas 4
    """
    check_extra("serve")
    cluster = _cluster(engine, workers, address, replicas, shards)
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
        cluster=cluster,
        public_names=public_names,
        allowed_origins=allowed_origins,
    )
    serve_http(settings, Terminal())


def _cluster(
    engine: str,
    workers: int | None,
    address: str | None,
    replicas: tuple[int, int] | None,
    shards: int | None,
) -> "Cluster | None":
    """
    Raises:
        UsageError: if an option is of the other engine.
        SetupError: if Ray Serve is not installed.
    """
    from astrosearch.errors import SetupError
    from astrosearch.server.settings import Cluster

    of_ray = {"--address": address, "--replicas": replicas, "--shards": shards}
    given = ", ".join(name for name, value in of_ray.items() if value is not None)
    if engine == "local":
        if given:
            raise click.UsageError(f"{given} is for a Ray cluster: add --engine ray")
        return None
    if workers is not None:
        raise click.UsageError("--workers is for --engine local; with ray it is --replicas")
    if any(importlib.util.find_spec(name) is None for name in ("ray", "fastapi")):
        raise SetupError(
            "Ray Serve is not installed; install astrosearch with the extra ray-serve: "
            "pip install '.[ray-serve]'"
        )
    return Cluster(address, replicas or (1, 1), shards or 1)


def check_extra(command: str) -> None:
    """
    Raises:
        SetupError: if what `serve` and `mcp` need is not installed.
    """
    from astrosearch.errors import SetupError

    needed = ("starlette", "uvicorn", "httptools", "mcp")
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

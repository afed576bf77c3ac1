"""A connection to a Ray cluster (https://docs.ray.io), without what Ray prints on the way."""

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrosearch.errors import InputError, SetupError

# Before the import, which reads them. Nobody here has agreed to reports of Ray's use.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray


@contextmanager
def connected(address: str | None, processors: int | None = None) -> Iterator[None]:
    """A connection, for as long as the block runs.

    Args:
        address: HOST:PORT of a cluster that this machine belongs to; None for the one that runs on
            this machine, else one that is made of this machine alone.
        processors: what a cluster made of this machine has at least, as Ray sees it.

    Raises:
        InputError: if the address cannot be one.
        SetupError: if there is no cluster at it.
    """
    if address is not None:
        _reach(address)
    for name in ("ray", "ray.data", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _no_stderr():
            warnings.simplefilter("ignore")
            _init(address, processors)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SetupError(
            f"this machine cannot use the Ray cluster ({reason}); see: ray status"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _init(address: str | None, processors: int | None) -> None:
    quiet = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": False,
    }
    if address is None and processors is not None:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:  # none runs here
            most = max(processors, os.cpu_count() or 1)
            ray.init(address="local", num_cpus=most, include_dashboard=False, **quiet)
    else:
        ray.init(address=address, **quiet)


def _reach(address: str) -> None:
    """Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(
            f"{address!r} is not the address of a Ray cluster: write HOST:PORT, as host:6379"
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise SetupError(
            f"there is no Ray cluster at {address} ({error}); start one there with: "
            f"ray start --head --port {port}"
        ) from None


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Nothing to standard error, also from C++, which reports there that it was made quiet."""
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def machines() -> str:
    """How many machines the cluster has, in words."""
    count = sum(node["Alive"] for node in ray.nodes())
    return "one machine" if count == 1 else f"{count} machines"

"""Encoding on the machines of a Ray cluster, with Ray Data (https://docs.ray.io/en/latest/data).

An actor for each GPU holds the encoder; where the cluster has none, an actor for each `CORES`
processors. The texts are read on this machine, which has papers.sqlite, a few shards ahead of the
encoders; the vectors come back to it. The shards of a worker that is lost are done again by others.
"""

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrosearch import __version__, errors
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoded, Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.errors import AstrosearchError, SetupError
from astrosearch.index.ray_cluster import connected, machines  # before Ray: it sets its variables
from astrosearch.report import Reporter

import ray  # isort: skip
import ray.data  # isort: skip

CORES = 4
"""Processors an actor takes where there is no GPU; of a machine with fewer, all. With more, the
products of a small model get little faster."""

SHARD, STATIC_SHARD = 64, 2_048
"""Texts that are encoded together and become a shard; the latter for an encoder without layers."""

BLOCKS = 2_000
"""Parts, of whole shards, that the work is cut into at most: what an actor takes at a time, comes
back at once, and is done again if it is lost. Each costs Ray some milliseconds to set up."""


class RayEngine:
    """Encodes shards on a Ray cluster; an `Engine` of `astrosearch.index.build`."""

    def __init__(self, address: str | None, reporter: Reporter, options: Mapping[str, Any]) -> None:
        """
        Args:
            address: HOST:PORT of a cluster that this machine belongs to; None for the one that
                runs on this machine, else one that is made of this machine alone.
            options: `device`, `dtype` and `batch_tokens` of `load_encoder`.
        """
        self._address = address
        self._reporter = reporter
        self._options = dict(options)

    def __call__(
        self, spec: EncoderSpec, papers: Path, rows: NDArray[np.int64], largest: int
    ) -> Iterator[Encoded]:
        """The vectors of some rows of a papers.sqlite, shard by shard, as they get done. All shards
        are cut beforehand, since nobody knows which machine will encode which.

        Raises:
            InputError: if the address cannot be one.
            SetupError: if there is no cluster at it.
            AstrosearchError: what an encoder raised, with the name of its machine.
        """
        with connected(self._address):
            _be_quiet()
            count, each = _actors()
            self._reporter.notify(
                f"Encoding on {machines()} with {count} {'actors' if count > 1 else 'actor'}"
            )
            size = STATIC_SHARD if spec.is_static else SHARD
            shards = [rows[start : start + size] for start in range(0, len(rows), size)]
            yield from self._encode(spec, papers.resolve(), shards, count, each)

    def _encode(
        self,
        spec: EncoderSpec,
        papers: Path,
        shards: Sequence[NDArray[np.int64]],
        count: int,
        each: dict[str, int],
    ) -> Iterator[Encoded]:
        here = ray.get_runtime_context().get_node_id()
        items = [{"number": number, "rows": rows} for number, rows in enumerate(shards)]
        encoded = (
            ray.data.from_items(items, override_num_blocks=min(len(items), BLOCKS))
            .map(
                _Texts,
                fn_constructor_args=(spec, papers),
                label_selector={"ray.io/node-id": here},
                num_cpus=0,
                compute=ray.data.ActorPoolStrategy(size=1),
            )
            .map(
                _Vectors,
                fn_constructor_args=(spec, self._options, __version__),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
                **each,
            )
        )
        try:
            for row in encoded.iter_rows():
                if row["error"]:
                    raise _rebuilt(row["error"], row["message"])
                shard = shards[row["number"]]
                yield Encoded(shard, row["vectors"], row["tokens"], row["seconds"] / count)
        except ray.exceptions.RayTaskError:  # a bug: with its traceback
            raise
        except ray.exceptions.RayError as error:
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise AstrosearchError(f"Ray gave up: {line}; what was encoded is kept") from error


def _rebuilt(name: str, message: str) -> AstrosearchError:
    """An error that a worker met, of its own class if that takes a message alone."""
    kind = getattr(errors, name, AstrosearchError)
    error: AstrosearchError = (AstrosearchError if kind is errors.RecordError else kind)(message)
    return error


class _Texts:
    """Rows to texts."""

    def __init__(self, spec: EncoderSpec, papers: Path) -> None:
        self._spec = spec
        self._papers = papers
        self._of_thread = threading.local()  # Ray calls from several, SQLite serves one

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        if not hasattr(self._of_thread, "corpus"):
            self._of_thread.corpus = Corpus(self._papers)
        papers = self._of_thread.corpus.papers(item["rows"].tolist())
        return {"number": item["number"], "texts": [self._spec.text_of(paper) for paper in papers]}


class _Vectors:
    """Texts to vectors, in an actor that loads the encoder when the first texts come. Its errors
    are part of what it returns: Ray keeps only the text of what is raised."""

    def __init__(self, spec: EncoderSpec, options: dict[str, Any], version: str) -> None:
        self._spec = spec
        self._options = options
        self._version = version
        self._encoder: Encoder | None = None

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        result = {"number": item["number"], "tokens": 0, "seconds": 0.0, "error": "", "message": ""}
        try:
            encoder = self._loaded()
            start = time.perf_counter()
            vectors, tokens, _ = encoder.encode_counted(list(item["texts"]))
        except AstrosearchError as error:
            message = f"on {socket.gethostname()}: {error}"
            empty = np.zeros((0, 1), dtype=np.float32)
            return {**result, "vectors": empty, "error": type(error).__name__, "message": message}
        return {
            **result,
            "vectors": vectors,
            "tokens": tokens,
            "seconds": time.perf_counter() - start,
        }

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            if self._version != __version__:
                raise SetupError(
                    f"astrosearch has version {__version__} here and {self._version} where the "
                    "build runs: install the same"
                )
            self._encoder = load_encoder(self._spec, **self._options)
        return self._encoder


def _be_quiet() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _actors() -> tuple[int, dict[str, int]]:
    """How many actors the cluster has room for, and what each of them takes."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus := sum(int(machine.get("GPU", 0)) for machine in machines):
        return gpus, {"num_gpus": 1}
    processors = [count for machine in machines if (count := int(machine.get("CPU", 0)))]
    if not processors:
        raise SetupError("the Ray cluster has neither GPUs nor processors; see: ray status")
    cores = min(CORES, *processors)
    return sum(count // cores for count in processors), {"num_cpus": cores}

"""Answers from the machines of a Ray cluster (https://docs.ray.io/en/latest/serve).

Requests arrive here, as ever, and are handed to replicas: processes of Ray Serve, anywhere in the
cluster, each with the whole index. Where there are shards, a replica leaves the nearest vectors to
them and merges what they find. A request of a replica that dies is asked again, of another.
"""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from astrosearch import __version__
from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import AstrosearchError, SetupError
from astrosearch.index.ray_cluster import connected, machines  # sets variables that Ray reads
from astrosearch.index.reader import Index
from astrosearch.index.vector_index import Share
from astrosearch.report import SILENT, Reporter
from astrosearch.search.conditions import Condition
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.sharded_index import Nearest, Shard, ShardedIndex
from astrosearch.server.settings import Cluster, Offer
from astrosearch.server.workers import Answerer, Busy, TookTooLong, WorkerDied

import ray  # isort: skip
from ray import serve  # isort: skip
from ray.serve.exceptions import BackPressureError  # isort: skip

HANDED = 4
"""Requests that a replica has at a time: while it answers one, the next are there already."""
AGAIN = 0.1
"""Seconds after which a request whose replica died is asked again."""
LOST = (ray.exceptions.RayActorError, ray.exceptions.NodeDiedError)
"""What a request ends with whose process or machine is no more."""


class Place(NamedTuple):
    """Where indexes are looked for."""

    folder: Path
    """The working folder of the server."""
    home: str | None
    """Its `ASTROSEARCH_HOME`."""

    @classmethod
    def here(cls) -> "Place":
        home = os.environ.get("ASTROSEARCH_HOME")
        return cls(Path.cwd(), str(Path(home).expanduser().resolve()) if home else None)


class _Replica:
    """Answers questions, one after the other."""

    def __init__(
        self, offer: Offer, place: Place, version: str, seconds: float, shards: Sequence[Any]
    ) -> None:
        """
        Raises:
            AstrosearchError: if the default index cannot be searched on this machine.
        """
        _use(place, version)
        self._seconds, self._shards = seconds, shards
        self._since: float | None = None
        self._one = asyncio.Lock()
        self._answerer = Answerer(offer, self._papers_of if shards else None)

    async def answer(self, asked: BaseModel) -> tuple[object, list[str]]:
        async with self._one:  # Python runs one thread at a time
            self._since = time.monotonic()
            try:
                return await asyncio.to_thread(self._answerer.answer, asked)
            finally:
                self._since = None

    def check_health(self) -> None:
        """Ray replaces a replica that a request does not come back from."""
        if self._since is not None and time.monotonic() - self._since > 2 * self._seconds:
            raise TookTooLong

    def _papers_of(self, index: Index) -> LocalIndex:
        return ShardedIndex(index, self._ask_shards)

    def _ask_shards(
        self, name: str, snapshot: int, vector: Vectors, k: int, conditions: tuple[Condition, ...]
    ) -> list[Nearest]:
        def ask(shard: Any) -> Any:
            return shard.nearest.remote(name, snapshot, vector, k, conditions)

        end = time.monotonic() + self._seconds
        asked = [ask(shard) for shard in self._shards]
        found = []
        for shard, response in zip(self._shards, asked, strict=True):
            while True:
                try:
                    found.append(response.result(timeout_s=max(end - time.monotonic(), 0)))
                    break
                except LOST:
                    time.sleep(AGAIN)
                    response = ask(shard)
                except TimeoutError:
                    raise AstrosearchError(
                        f"a shard did not answer within {self._seconds:g} s"
                    ) from None
        return found


class _ShardReplica(Shard):
    """A shard in a process of its own."""

    def __init__(self, share: Share, place: Place, version: str) -> None:
        _use(place, version)
        super().__init__(share)


def _use(place: Place, version: str) -> None:
    """Look for indexes in this process where the server looks for them.

    Raises:
        SetupError: if this machine has another version of astrosearch, or no such folder.
    """
    if version != __version__:
        raise SetupError(
            f"machine {ray.util.get_node_ip_address()} has version {__version__} of astrosearch, "
            f"the server {version}: install the same"
        )
    if place.home is not None:
        os.environ["ASTROSEARCH_HOME"] = place.home
        return
    try:
        os.chdir(place.folder)  # a checkout has indexes of its own
    except OSError as error:
        raise SetupError(
            f"machine {ray.util.get_node_ip_address()} does not have the server's folder "
            f"{place.folder} ({error.strerror}); set ASTROSEARCH_HOME to one that all machines have"
        ) from None


class ClusterPool:
    """Hands requests to replicas in a cluster; a `Pool`."""

    def __init__(
        self,
        offer: Offer,
        cluster: Cluster,
        *,
        name: str,
        queue: int,
        seconds: float,
        reporter: Reporter = SILENT,
    ) -> None:
        """Start replicas and shards and wait until they are ready.

        Args:
            name: of the application in the cluster; one of that name is replaced.
            queue: requests that may wait.
            seconds: in which a request has to be answered, its waiting included.

        Raises:
            InputError: if the address of the cluster cannot be one.
            SetupError: if there is no cluster at it, or it has too few processors.
            AstrosearchError: if the default index cannot be searched on some machine.
        """
        self._name, self._queue, self._seconds, self._reporter = name, queue, seconds, reporter
        self._open = 0
        self._most = cluster.replicas[1]
        Answerer(offer)  # what is wrong with the index is told here, not by Ray
        needed = cluster.replicas[0] + (cluster.shards if cluster.shards > 1 else 0)
        with ExitStack() as stack:
            stack.enter_context(connected(cluster.address, needed))
            _check_room(needed)
            reporter.notify(f"Starting {_parts(cluster)} on {machines()}")
            serve.start(
                proxy_location="Disabled",
                logging_config={"log_level": "CRITICAL", "enable_access_log": False},
            )
            stack.callback(self._stop)
            self._handle = self._deploy(offer, cluster)
            self._resources = stack.pop_all()

    def _deploy(self, offer: Offer, cluster: Cluster) -> Any:
        place = Place.here()
        shards = [
            serve.deployment(_ShardReplica, name=f"shard-{number}", max_ongoing_requests=4).bind(
                Share(number, cluster.shards), place, __version__
            )
            for number in range(cluster.shards)
            if cluster.shards > 1
        ]
        fewest, most = cluster.replicas
        scaling: dict[str, Any] = (
            {"num_replicas": fewest}
            if fewest == most
            else {
                "autoscaling_config": {
                    "min_replicas": fewest,
                    "max_replicas": most,
                    "target_ongoing_requests": 1,
                }
            }
        )
        application = serve.deployment(
            _Replica,
            name="replica",
            max_ongoing_requests=HANDED,
            max_queued_requests=self._queue,
            health_check_period_s=2,
            health_check_timeout_s=10,
            graceful_shutdown_timeout_s=self._seconds,
            **scaling,
        ).bind(offer, place, __version__, self._seconds, shards)
        try:
            return serve.run(application, name=self._name, route_prefix=None)
        except RuntimeError:
            raise AstrosearchError(self._why_not()) from None

    def _why_not(self) -> str:
        """Why the application did not start, as one of its processes said it."""
        with suppress(Exception):  # Ray's report of a failure is no interface
            application = serve.status().applications[self._name]
            messages = "\n".join(part.message for part in application.deployments.values())
            found = re.findall(r"astrosearch\.errors\.\w+: (.+)", messages)
            if found:
                return str(found[-1])
        return "the replicas did not start; see: ray status"

    @property
    def waiting(self) -> int:
        return max(0, self._open - self._most)

    async def ask(
        self, asked: BaseModel, is_gone: Callable[[], Awaitable[bool]] | None = None
    ) -> object:
        if self._open >= self._most + self._queue:
            raise Busy
        if is_gone is not None and await is_gone():
            return None
        self._open += 1
        try:
            async with asyncio.timeout(self._seconds):
                reply, lines = await self._answer(asked)
        except TimeoutError:
            raise TookTooLong from None
        finally:
            self._open -= 1
        for line in lines:
            self._reporter.notify(line)
        return reply

    async def _answer(self, asked: BaseModel) -> tuple[object, list[str]]:
        """The reply of a replica, or of another in its place if it died. What is asked may be asked
        as often as time is left: questions change nothing, and a change of the library that is made
        twice is the same."""
        while True:
            try:
                answer: tuple[object, list[str]] = await self._handle.answer.remote(asked)
            except LOST:
                self._reporter.notify("A replica died; its question is asked again")
                await asyncio.sleep(AGAIN)
            except BackPressureError:
                raise Busy from None
            except ray.exceptions.RayError as error:
                self._reporter.notify(str(error).strip())
                raise WorkerDied from None
            else:
                return answer

    def close(self) -> None:
        self._resources.close()

    def _stop(self) -> None:
        """Take the application off the cluster; what else runs on it stays."""
        with suppress(Exception):
            serve.delete(self._name)


def _check_room(needed: int) -> None:
    """
    Raises:
        SetupError: if the cluster has fewer processors than processes that shall answer.
    """
    processors = int(ray.cluster_resources().get("CPU", 0))
    if processors < needed:
        raise SetupError(
            f"the Ray cluster has {processors} processors, replicas and shards need {needed}, one "
            "each; see: ray status"
        )


def _parts(cluster: Cluster) -> str:
    fewest, most = cluster.replicas
    replicas = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    text = f"{replicas} replica{'s' if most > 1 else ''}"
    return f"{text} and {cluster.shards} shards" if cluster.shards > 1 else text

"""What the server counts, as Prometheus reads it (text exposition format 0.0.4)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by route and status, and how long they took. For one thread."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()

    def count(self, route: str, status: int, seconds: float) -> None:
        self._requests[route, status] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]

    def text(self, waiting: int, indexes: Iterable[dict[str, object]]) -> str:
        """
        Args:
            waiting: requests without a worker.
            indexes: records with `name`, and of a sound index `papers` and `snapshot`.
        """
        return "\n".join(self._lines(waiting, list(indexes))) + "\n"

    def _lines(self, waiting: int, indexes: list[dict[str, object]]) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests answered.")
        for (route, status), count in sorted(self._requests.items()):
            yield f'astrosearch_requests_total{{route="{route}",status="{status}"}} {count}'
        yield from _head("request_seconds", "histogram", "Time from a request to its answer.")
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), buckets, strict=True):
                total += count
                labels = f'{{route="{route}",le="{bound}"}}'
                yield f"astrosearch_request_seconds_bucket{labels} {total}"
            yield f'astrosearch_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            yield f'astrosearch_request_seconds_count{{route="{route}"}} {total}'
        yield from _head("requests_waiting", "gauge", "Requests that wait for a worker.")
        yield f"astrosearch_requests_waiting {waiting}"
        for name, text in (("papers", "Papers of an index."), ("snapshot", "Its snapshot.")):
            yield from _head(f"index_{name}", "gauge", text)
            for index in indexes:
                if name in index:
                    yield f'astrosearch_index_{name}{{index="{index["name"]}"}} {index[name]}'


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP astrosearch_{name} {text}", f"# TYPE astrosearch_{name} {kind}"

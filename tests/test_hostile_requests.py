"""10,000 requests that nobody means well with, and the server that goes on answering."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import RunningServer, serving

REQUESTS = 10_000
AT_ONCE = 40
IDLE = 300
"""Connections that are held open all the while, half of a request's head sent."""
SECONDS = 5
"""After which a client that gets no answer leaves."""
ROUTES = (
    "/ /page.js /api/query /api/similar /api/cite /api/ask /api/papers/2503.14368 /api/compare "
    "/api/facets /api/map /api/library /api/library/2503.14368 /api/new /api/seen /api/searches "
    "/api/searches/x /api/batch /api/indexes /v1/models /v1/embeddings /mcp /healthz /metrics"
).split()
METHODS = "GET POST PUT DELETE HEAD OPTIONS PATCH TRACE CONNECT get G\0T PROPFIND".split(" ")
NAMES = "q id k offset since until category author mode sort format key area within index".split()
VALUES = (
    "",
    "%00",
    "%ed%a0%80",
    "%ff%fe",
    "-1",
    "1e308",
    "99999999999999999999",
    "..%2f..%2f..%2fetc%2fpasswd",
    "tag%3A%0a",
    "(" * 500,
    "%22" * 999,
    "OR%20" * 400,
    "-" * 1999,
    "title%3A" * 200,
    "%F0%9F%94%AD" * 300,
    "x" * 2_001,
    "a%20" * 900,
    "$%5Cfrac%7B" * 150,
    "year%3A-",
    "'%3B%20DROP%20TABLE%20papers%3B--",
    "%7B%7B7*7%7D%7D",
)
TEXTS = (
    b"",
    b"{",
    b"null",
    b"[" * 20_000,
    b'{"queries": [' + b'"x",' * 200 + b'"x"]}',
    b'{"queries": ["\\u0000\\ud800"], "k": 1e999}',
    b'{"model": "astro-embed", "input": ""}',
    b'{"tags": ["' + b"x" * 5_000 + b'"]}',
    b'{"q": 1, "replace": "yes"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "paper"}}',
    b"\xff\xfe\x00",
    b'{"index": "../../etc"}',
)

Make = Callable[[random.Random], bytes]


def _head(dice: random.Random, *headers: bytes, method: str = "", target: str = "") -> bytes:
    method = method or dice.choice(METHODS)
    target = target or dice.choice(ROUTES)
    first = f"{method} {target} HTTP/1.1".encode("utf-8", "surrogatepass")
    return b"\r\n".join((first, b"Host: localhost", *headers, b"", b""))


def _queries(dice: random.Random) -> bytes:
    pairs = [f"{dice.choice(NAMES)}={dice.choice(VALUES)}" for _ in range(dice.randint(1, 4))]
    target = f"{dice.choice(ROUTES)}?{'&'.join(pairs)}"
    return _head(dice, method=dice.choice(("GET", "GET", "HEAD", "DELETE")), target=target)


def _paths(dice: random.Random) -> bytes:
    pieces = ["..", "%2e%2e", "%00", "%c0%ae", "api", "papers", "~", "\\", "é", "%", "library", ""]
    target = "/" + "/".join(dice.choice(pieces) for _ in range(dice.randint(1, 60)))
    return _head(dice, method="GET", target=target)


def _headers(dice: random.Random) -> bytes:
    odd = [
        b"Host: evil.example",
        b"Host: localhost",
        b"X: " + b"y" * dice.choice((10, 9_000, 70_000)),
        b"\0: \0",
        b"No colon here",
        b" folded: x",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: -5",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: chunked, identity",
        b"Authorization: Bearer " + bytes(dice.randrange(128, 256) for _ in range(20)),
        b"Accept: " + b"application/json;q=x," * 200,
        b"Expect: 100-continue",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x",
        b"Origin: null",
        b"Range: bytes=0-,-1",
        *(f"X-{n}: y".encode() for n in range(dice.choice((0, 3, 400)))),
    ]
    return _head(dice, *dice.sample(odd, dice.randint(1, min(len(odd), 60))))


def _bodies(dice: random.Random) -> bytes:
    body = dice.choice(TEXTS)
    length = dice.choice((len(body), len(body), len(body) + 10, max(len(body) - 3, 0), 100_000_000))
    kind = dice.choice((b"application/json", b"application/json", b"text/plain", b"\xff"))
    headers = (b"Content-Type: " + kind, b"Content-Length: %d" % length)
    return _head(dice, *headers, method=dice.choice(("POST", "PUT", "PATCH"))) + body


def _chunks(dice: random.Random) -> bytes:
    odd = (
        b"zz\r\n",
        b"-1\r\nx\r\n",
        b"5\r\nabc",
        b"ffffffffffffffff\r\n",
        b"0\r\n",
        b"3;x=\0\r\nabc\r\n",
    )
    body = b"".join(dice.choice((b"1\r\n{\r\n", *odd)) for _ in range(dice.randint(1, 20)))
    headers = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    return _head(dice, *headers, method="POST") + body


def _noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((1, 20, 500, 20_000)))


def _mutated(dice: random.Random) -> bytes:
    sound = bytearray(dice.choice((_queries, _bodies))(dice))
    for _ in range(dice.randint(1, 8)):
        sound[dice.randrange(len(sound))] = dice.randrange(256)
    return bytes(sound)


def _pipelined(dice: random.Random) -> bytes:
    return b"".join(_head(dice, method="GET", target="/healthz") for _ in range(30)) + _noise(dice)


KINDS: tuple[Make, ...] = (
    *(_queries, _paths, _headers, _bodies, _chunks, _noise, _mutated, _mutated, _pipelined),
)


async def _send(port: int, sent: bytes, *, is_slow: bool) -> str:
    """The status of the answer; empty if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(SECONDS):
            if is_slow:
                for start in range(0, min(len(sent), 60), 12):
                    writer.write(sent[start : start + 12])
                    await asyncio.sleep(0.02)
                sent = sent[60:]
            writer.write(sent)
            writer.write_eof()
            answer = await reader.read(1_000)
    except OSError:  # out of time, or the server has left
        return ""
    finally:
        writer.transport.abort()
    match = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return match[1].decode() if match else ""


async def _attack(port: int, seed: int) -> Counter[str]:
    statuses: Counter[str] = Counter()
    numbers = iter(range(REQUESTS))
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE)]
    for _, writer in idle:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")

    async def client() -> None:
        for number in numbers:
            dice = random.Random(f"{seed}/{number}")
            sent = dice.choice(KINDS)(dice)
            statuses[await _send(port, sent, is_slow=number % 100 == 0)] += 1

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    for _, writer in idle:
        writer.transport.abort()
    return statuses


def _resident(server: RunningServer) -> int:
    """Bytes of the server's own process and its workers."""
    resident = 0
    for pid in (server.process.pid, *server.workers()):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        resident += 1024 * int(kilobytes)
    return resident


@pytest.mark.slow
def test_ten_thousand_hostile_requests_leave_the_server_answering(own_home: Path) -> None:
    with serving(own_home, "--workers", "2") as server:
        before = server.get("/api/query", q="magellanic stream").json["hits"]
        workers, memory = set(server.workers()), _resident(server)
        statuses = asyncio.run(_attack(server.port, seed=1))
        assert sum(statuses.values()) == REQUESTS
        assert statuses["200"]
        assert statuses["400"] > 1_000
        failures = {status for status in statuses if status.startswith("5")} - {"501", "503"}
        assert not failures, (statuses, server.said)
        assert server.get("/healthz").status == 200
        assert server.get("/api/query", q="magellanic stream").json["hits"] == before
        assert set(server.workers()) == workers
        assert _resident(server) - memory < 300_000_000
        metrics = server.get("/metrics").body.decode()
        routes = set(re.findall(r'requests_total\{route="([^"]*)"', metrics))
        assert len(routes) < 40  # no counter for each address that somebody makes up
    said = "".join(server.said)
    assert "Traceback" not in said, said
    assert "was replaced" not in said, said

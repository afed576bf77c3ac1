"""Who may ask: the `Host` header is one of the server's own, and the token is right."""

import hmac
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from astrosearch.server import problems
from astrosearch.server.metrics import Metrics
from astrosearch.server.problems import Problem
from astrosearch.server.settings import MOST_BYTES, Settings
from astrosearch.server.static import FILES

OPEN = frozenset((*FILES, "/healthz"))
"""What needs no token: nothing of an index is in it."""

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TOO_LONG = Problem(413, f"the body is longer than {MOST_BYTES:,} bytes", 2)

HEADERS = [
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
"""Of every answer."""


def problem_response(
    path: str, problem: Problem, headers: dict[str, str] | None = None
) -> Response:
    """
    Args:
        path: what was asked for: OpenAI's clients expect errors in OpenAI's form.
    """
    if path.startswith("/v1/"):
        body = orjson.dumps(problem.as_openai_record())
        return Response(body, problem.status, headers, "application/json")
    return Response(problem.body(), problem.status, headers, problems.MEDIA_TYPE)


class Guard:
    """Refuses requests that are not meant for this server, and counts the others."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._token = settings.token.encode() if settings.token else None
        self._public_names = settings.public_names
        self._allowed_origins = settings.allowed_origins
        own = {"localhost", settings.host, socket.gethostname(), *settings.public_names}
        self._names = {name.lower() for name in own}
        self._is_loopback = is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            app: Callable[[Scope, Receive, Send], Awaitable[None]] = refusal or self._app
            await app(scope, receive, count)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count(route, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        names = headers.getlist("host")
        host = host_name(names[0]) if len(names) == 1 else ""
        if not self._is_ours(host):
            detail = (
                f"this server is not {host!r}: start it with --public-name {host}"
                if host
                else "the request has to name one host: send the header Host"
            )
            return problem_response(path, Problem(421, detail, 2))
        origin = headers.get("origin")
        if scope["method"] not in SAFE and origin and not self._may_change(origin, headers):
            detail = f"pages of {origin} may change nothing here"
            return problem_response(path, Problem(403, detail, 2))
        if int(headers.get("content-length", 0)) > MOST_BYTES:
            return problem_response(path, TOO_LONG)
        if self._token is None or path in OPEN or scope["method"] == "OPTIONS":
            return None
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token):
            return None
        detail = "the server wants its token, as in Authorization: Bearer TOKEN"
        return problem_response(path, Problem(401, detail, 3), {"WWW-Authenticate": "Bearer"})

    def _may_change(self, origin: str, headers: Headers) -> bool:
        """Whether a page may send more than questions: it is the server's own, or allowed."""
        address = origin.partition("://")[2]
        own = (headers["host"], *self._public_names)
        return address in own or origin in self._allowed_origins

    def _is_ours(self, host: str) -> bool:
        """Whether a page of another site cannot have this name: a site may let its own name point
        to this machine (DNS rebinding), but not an address."""
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or not self._is_loopback


def host_name(header: str) -> str:
    """
    >>> host_name("LOCALHOST:8000"), host_name("[::1]:8000")
    ('localhost', '::1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

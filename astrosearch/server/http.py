"""The server: routes, and how it runs.

Guard (Host, token, counts) → Starlette (body limit, routes) → WorkerPool → a worker
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from http import HTTPStatus
from importlib.resources.abc import Traversable
from typing import Any, TypeVar, get_origin

import orjson
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from astrosearch.errors import InputError
from astrosearch.report import Reporter
from astrosearch.server import openapi, requests
from astrosearch.server.answers import index_records
from astrosearch.server.connections import PatientProtocol
from astrosearch.server.formats import accepted
from astrosearch.server.guard import HEADERS, TOO_LONG, Guard, is_loopback, problem_response
from astrosearch.server.mcp import create_server
from astrosearch.server.metrics import MEDIA_TYPE as METRICS_TYPE
from astrosearch.server.metrics import Metrics
from astrosearch.server.problems import Problem, invalid, of_error
from astrosearch.server.searchers import Reply, no_model
from astrosearch.server.settings import MOST_BYTES, Settings
from astrosearch.server.static import FILES, MEDIA_TYPES
from astrosearch.server.workers import PATIENCE, Busy, Pool, TookTooLong, WorkerDied, WorkerPool

BODY_SECONDS = 10
"""In which the body of a request has to arrive."""
MOST_CONNECTIONS = 1_000

Model = TypeVar("Model", bound=BaseModel)


class Api:
    """The endpoints."""

    def __init__(self, settings: Settings, pool: Pool, metrics: Metrics) -> None:
        self._settings, self._pool, self._metrics = settings, pool, metrics
        self._document = orjson.dumps(openapi.document(settings.token is not None))

    def routes(self) -> list[Route]:
        asking: dict[str, type[BaseModel]] = {
            "/api/query": requests.QueryRequest,
            "/api/similar": requests.SimilarRequest,
            "/api/cite": requests.CiteRequest,
            "/api/ask": requests.AskRequest,
            "/api/papers/{id:path}": requests.PaperRequest,
            "/api/citations": requests.CitationsRequest,
            "/api/compare": requests.CompareRequest,
            "/api/facets": requests.FacetsRequest,
            "/api/map": requests.MapRequest,
            "/api/library": requests.LibraryRequest,
            "/api/new": requests.NewRequest,
            "/api/searches": requests.SearchesRequest,
        }
        return [
            *(Route(path, _page(file)) for path, file in FILES.items()),
            *(Route(path, self._asking(model)) for path, model in asking.items()),
            Route("/api/batch", self.batch, methods=["POST"]),
            Route("/api/seen", self.see, methods=["POST"]),
            _by_method(
                "/api/library/{id:path}",
                PUT=self.mark,
                DELETE=self._asking(requests.RemoveRequest),
            ),
            _by_method(
                "/api/searches/{name}",
                GET=self._asking(requests.SavedRequest),
                PUT=self.save,
                DELETE=self._asking(requests.ForgetRequest),
            ),
            Route("/api/indexes", self.indexes),
            Route("/api/openapi.json", self.document),
            Route("/v1/models", self.models),
            Route("/v1/models/{id:path}", self.model),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
        ]

    def _asking(self, model: type[BaseModel]) -> Callable[[Request], Any]:
        """The endpoint of a request whose parameters are in the address."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, from_address(model, request))

        return endpoint

    async def batch(self, request: Request) -> Response:
        return await self._answer(request, await _from_body(requests.BatchRequest, request))

    async def see(self, request: Request) -> Response:
        return await self._answer(request, await _from_body(requests.SeenRequest, request))

    async def mark(self, request: Request) -> Response:
        marks = await _from_body(requests.Marks, request)
        named = {"id": request.path_params["id"], "marks": marks}
        return await self._answer(request, _validated(requests.MarkRequest, named))

    async def save(self, request: Request) -> Response:
        search = await _from_body(requests.Search, request)
        named = {"name": request.path_params["name"], "search": search}
        return await self._answer(request, _validated(requests.SaveRequest, named))

    async def embeddings(self, request: Request) -> Response:
        return await self._answer(request, await _from_body(requests.EmbeddingRequest, request))

    async def _answer(self, request: Request, asked: BaseModel) -> Response:
        try:
            reply = await self._pool.ask(asked, request.is_disconnected)
        except Busy:
            raise HTTPException(
                503, "too many requests wait already", {"Retry-After": str(PATIENCE)}
            ) from None
        except TookTooLong:
            raise HTTPException(504, f"not answered within {self._settings.seconds:g} s") from None
        except WorkerDied:
            raise HTTPException(500, "the processes that were asked ended") from None
        if isinstance(reply, Problem):
            return problem_response(request.url.path, reply)
        if not isinstance(reply, Reply):
            return Response(status_code=499)  # nobody is there to read it
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if reply.next_offset is not None:
            following = request.url.include_query_params(offset=reply.next_offset)
            headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return Response(reply.body, 200, headers, reply.media_type)

    async def indexes(self, request: Request) -> Response:
        _from_nothing(request)
        records = await asyncio.to_thread(index_records, self._settings.offer)
        offer = self._settings.offer
        return _json({"default": offer.default, "library": offer.library, "indexes": records})

    async def models(self, request: Request) -> Response:
        _from_nothing(request)
        return _json({"object": "list", "data": [*(await self._models()).values()]})

    async def model(self, request: Request) -> Response:
        asked = from_address(requests.ModelRequest, request)
        models = await self._models()
        if asked.id in models:
            return _json(models[asked.id])
        return problem_response(request.url.path, of_error(no_model(asked.id, models)))

    async def _models(self) -> dict[str, dict[str, object]]:
        """The encoders as OpenAI describes models, by their names."""
        return {
            str(record["encoder"]): {
                "id": record["encoder"],
                "object": "model",
                "created": 0,
                "owned_by": "astrosearch",
            }
            for record in await asyncio.to_thread(index_records, self._settings.offer)
            if "encoder" in record and not record["is_service"]
        }

    async def document(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    async def healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        _from_nothing(request)
        records = await asyncio.to_thread(index_records, self._settings.offer)
        text = self._metrics.text(self._pool.waiting, records)
        return Response(text, headers={"Content-Type": METRICS_TYPE})


def create_app(settings: Settings, pool: Pool) -> Starlette:
    """The ASGI application."""
    metrics = Metrics()
    middleware = [
        Middleware(Guard, settings=settings, metrics=metrics),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MOST_BYTES),
    ]
    if settings.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.allowed_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["Link", "Retry-After"],
            )
        )
    tools = create_server(_asked_by_tools(pool), lambda: index_records(settings.offer))
    # Host is checked by Guard. Without sessions, any client can be answered by any process.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    at_mcp = tools.streamable_http_app(
        stateless_http=True, json_response=True, transport_security=security
    )
    # A GET would wait for messages that never come, and hold its connection for ever.
    posted = [
        Route(route.path, _Whole(route.endpoint), methods=["POST"])
        for route in at_mcp.routes
        if isinstance(route, Route)
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with tools.session_manager.run():
            yield

    app = Starlette(
        routes=[*Api(settings, pool, metrics).routes(), *posted],
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _http_problem,
            ClientDisconnect: _gone,
            Exception: _failure,
        },
    )
    app.router.redirect_slashes = False
    return app


class _Whole:
    """An application that gets requests whose bodies have arrived: the SDK's would wait for one for
    ever, and log a traceback if the client leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(Request(scope, receive))
        messages: list[Message] = [{"type": "http.request", "body": body}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)


def _asked_by_tools(pool: Pool) -> Callable[[BaseModel], Awaitable[object]]:
    async def ask(asked: BaseModel) -> object:
        try:
            return await pool.ask(asked)
        except Busy:
            return Problem(503, "the server is busy: ask again in a second")
        except TookTooLong:
            return Problem(504, "the answer took too long")
        except WorkerDied:
            return Problem(500, "the server failed")

    return ask


def serve(settings: Settings, reporter: Reporter) -> None:
    """Answer until Ctrl-C.

    Raises:
        InputError: if the address cannot be had.
        AstrosearchError: if the default index cannot be searched.
    """
    listener = _listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    with (
        listener,
        closing(_pool(settings, port, reporter)) as pool,
    ):
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        reporter.notify(f"Index {settings.offer.default} at http://{host}:{port}/; Ctrl-C ends it")
        if not is_loopback(settings.host) and settings.token is None:
            reporter.notify(
                "Whoever can reach this machine can search its indexes; a token keeps others out: "
                "ASTROSEARCH_TOKEN or --token"
            )
        config = uvicorn.Config(
            create_app(settings, pool),
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="error",
            server_header=False,
            headers=HEADERS,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _pool(settings: Settings, port: int, reporter: Reporter) -> Pool:
    if settings.cluster is None:
        return WorkerPool(
            settings.offer,
            settings.workers,
            queue=settings.queue,
            seconds=settings.seconds,
            reporter=reporter,
        )
    from astrosearch.server.cluster import ClusterPool

    return ClusterPool(
        settings.offer,
        settings.cluster,
        name=f"astrosearch-{socket.gethostname()}-{port}",
        queue=settings.queue,
        seconds=settings.seconds,
        reporter=reporter,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        raise InputError(
            f"port {port} of {host} cannot be had ({error.strerror}); "
            f"another: {'--host' if is_host else '--port'}"
        ) from None
    return listener


def _by_method(path: str, **endpoints: Callable[[Request], Any]) -> Route:
    """One route with an endpoint for each method, so that a refusal names all methods."""

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        response: Response = await endpoints[method](request)
        return response

    return Route(path, endpoint, methods=list(endpoints))


def _page(file: Traversable) -> Callable[[Request], Any]:
    """The endpoint of a file of the page, which is read once."""
    body, media_type = file.read_bytes(), MEDIA_TYPES[file.name.rpartition(".")[2]]

    async def endpoint(request: Request) -> Response:
        return Response(body, 200, {"Cache-Control": "no-cache"}, media_type)

    return endpoint


def from_address(model: type[Model], request: Request) -> Model:
    """
    Raises:
        HTTPException: if a parameter is wrong, is not known, or is given twice.
    """
    parameters: dict[str, Any] = dict(request.path_params)
    for name, value in request.query_params.multi_items():
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is list:
            parameters.setdefault(name, []).append(value)
        elif name in parameters:
            raise HTTPException(400, f"{name} is given twice")
        else:
            parameters[name] = value
    if "format" in model.model_fields and "format" not in parameters:
        parameters["format"] = accepted(request.headers.get("accept", ""))
    return _validated(model, parameters)


def _from_nothing(request: Request) -> None:
    for name in request.query_params:
        raise HTTPException(400, f"there is no parameter {name!r} here")


async def _from_body(model: type[Model], request: Request) -> Model:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "the body has to be JSON: Content-Type: application/json")
    _from_nothing(request)
    return _validated(model, await _body(request))


async def _body(request: Request) -> bytes:
    """
    Raises:
        HTTPException: if it does not arrive in time.
        ClientDisconnect: if the client leaves before.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise HTTPException(
            408, f"the body did not arrive within {BODY_SECONDS} s", {"Connection": "close"}
        ) from None


def _validated(model: type[Model], given: dict[str, Any] | bytes) -> Model:
    """
    Args:
        given: the fields, or JSON.
    """
    try:
        if isinstance(given, bytes):
            return model.model_validate_json(given)
        return model.model_validate(given)
    except ValidationError as error:
        raise HTTPException(400, invalid(error, model)) from None


def _json(record: object) -> Response:
    return Response(
        orjson.dumps(record), 200, {"Cache-Control": "no-store"}, media_type="application/json"
    )


_PHRASES = frozenset(status.phrase for status in HTTPStatus)
_DETAILS = {
    404: "there is nothing at this address; what there is: /api/openapi.json",
    405: "this address takes another method",
}
"""Of what Starlette refuses in its own words."""


def _http_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path, status = request.url.path, error.status_code
    if status == TOO_LONG.status:
        return problem_response(path, TOO_LONG)
    detail = _DETAILS.get(status, error.detail) if error.detail in _PHRASES else error.detail
    exit_code = 1 if status >= 500 else 2
    return problem_response(path, Problem(status, detail, exit_code), dict(error.headers or {}))


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody is there to read it


def _failure(request: Request, error: Exception) -> Response:
    failed = Problem(500, "the server failed; its standard error says how")
    return problem_response(request.url.path, failed)

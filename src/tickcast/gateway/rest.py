"""REST: the newest state of prices, what there is, and how the system feels; OpenAPI at ``/docs``.

Bodies of prices come out of the core as bytes and go out unchanged, so that every digit of the venue survives.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tickcast import __version__
from tickcast.gateway import page, problem
from tickcast.gateway.config import Config
from tickcast.gateway.handshake import host_allowed, host_refusal
from tickcast.ports import Fanout, Insight, Registry
from tickcast.runtime import metrics

JSON: Final = "application/json"
LOCAL_ORIGINS: Final = r"https?://(localhost|[a-z0-9-]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?"
SYMBOL_MAX: Final = 96

Numbers = Annotated[
    Literal["number", "string"], Query(description="string: prices and sizes as JSON strings, for clients with floats.")
]
_DECIMAL: Final = {"type": ["number", "string", "null"]}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
PRICE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["symbol", "state"],
    "properties": {
        "symbol": {"type": "string"},
        "state": {"type": "string"},
        "currency": {"type": "string"},
        "venue": {"type": ["string", "null"]},
        "side": {"enum": ["buy", "sell", None]},
        **dict.fromkeys(
            (
                "price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "prev_close", "volume",
                "change", "change_pct",
            ),
            _DECIMAL,
        ),
        "exchange_timestamp": _TIME,
        "server_timestamp": _TIME,
        "epoch": {"type": "integer"},
        "seq": {"type": "integer"},
    },
}  # fmt: skip
_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def create_app(*, hub: Fanout, registry: Registry, insight: Insight, config: Config, with_page: bool = True) -> ASGIApp:
    """Build the HTTP application."""
    app = FastAPI(
        title="tickcast REST", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    _add_errors(app)
    _add_prices(app, hub, config)
    _add_symbols(app, registry)
    _add_operations(app, insight)
    page.add_docs(app)
    if with_page:
        page.add_page(app)
    anyone = "*" in config.origins
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"] if anyone else list(config.origins),
        allow_origin_regex=None if anyone else LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD"],
    )
    return _Guard(app, config)


class _Guard:
    """Refuses foreign Host names and adds the headers that keep a browser honest."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                headers += [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
                names = {name for name, _ in headers}
                if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                    headers.append((b"content-security-policy", page.CSP.encode()))
                if b"cache-control" not in names:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        if not host_allowed(scope["headers"], self._config):
            await _problem(421, host_refusal(scope["headers"]))(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    return Response(
        problem.problem(status, detail, **extra), status_code=status, media_type=problem.MEDIA_TYPE, headers=headers
    )


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = error.detail
        if error.status_code == 404 and detail == "Not Found":
            detail = f"there is no {request.url.path[:120]}; /docs lists what there is"
        elif error.status_code == 405:
            detail = f"{request.method} is not possible at {request.url.path[:120]}"
        return _problem(error.status_code, detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"name": ".".join(str(part) for part in entry["loc"][1:]), "reason": entry["msg"]}
            for entry in error.errors()
        ]
        return _problem(422, "; ".join(f"{entry['name']}: {entry['reason']}" for entry in errors), errors=errors)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return _problem(500, "the gateway failed on this request; it is logged there")


def _answers(schema: dict[str, Any], *problems: int) -> dict[int | str, dict[str, Any]]:
    content = {problem.MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": "Problem (RFC 9457)", "content": content} for status in problems
    }
    return {200: {"description": "OK", "content": {JSON: {"schema": schema}}}} | described


def _add_prices(app: FastAPI, hub: Fanout, config: Config) -> None:
    @app.get("/prices/{symbol}", tags=["prices"], response_class=Response, responses=_answers(PRICE_SCHEMA, 404, 422))
    async def price(
        symbol: Annotated[
            str, Path(max_length=SYMBOL_MAX, description="AAPL is consolidated over venues, XNAS:AAPL one venue's.")
        ],
        numbers: Numbers = "number",
    ) -> Response:
        """Newest state of one symbol."""
        body = hub.price(symbol, numbers == "string")
        if body is None:
            return _problem(404, f"there is no symbol {symbol}; /symbols lists what there is", symbol=symbol)
        return Response(body, media_type=JSON)

    @app.get(
        "/prices",
        tags=["prices"],
        response_class=Response,
        responses=_answers({"type": "object", "properties": {"prices": {"type": "array", "items": PRICE_SCHEMA}}}, 422),
    )
    async def prices(
        symbols: Annotated[str, Query(min_length=1, description="Symbols, separated by commas.")],
        numbers: Numbers = "number",
    ) -> Response:
        """Newest state of several symbols, in the order asked; each item is consistent in itself."""
        names = symbols.split(",")
        if len(names) > config.symbols_max:
            return _problem(422, f"symbols: expected at most {config.symbols_max}, found {len(names)}")
        strings = numbers == "string"
        items = [
            hub.price(name, strings) or msgspec.json.encode({"symbol": name, "state": "no_such_symbol"})
            for name in names
        ]
        return Response(b'{"prices":[' + b",".join(items) + b"]}", media_type=JSON)


def _add_symbols(app: FastAPI, registry: Registry) -> None:
    @app.get(
        "/symbols",
        tags=["prices"],
        response_class=Response,
        responses=_answers(
            {
                "type": "object",
                "properties": {
                    "symbols": {"type": "array", "items": {"type": "object"}},
                    "next": {"type": ["string", "null"]},
                },
            },
            422,
        ),
    )
    async def symbols(
        q: Annotated[str, Query(max_length=SYMBOL_MAX, description="Part of the symbol, in any case.")] = "",
        venue: Annotated[str, Query(max_length=20, description="One venue's instruments.")] = "",
        asset_class: Annotated[str, Query(alias="class", max_length=20, description="equity, crypto, ...")] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="Most symbols in the answer.")] = 100,
        cursor: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
    ) -> Response:
        """Everything that can be asked for: instruments (`XNAS:AAPL`) and securities over their venues (`AAPL`)."""
        found, following = registry.search(q, venue=venue, asset_class=asset_class, limit=limit, cursor=cursor)
        return Response(msgspec.json.encode({"symbols": found, "next": following}), media_type=JSON)


def _add_operations(app: FastAPI, insight: Insight) -> None:
    anything: dict[str, Any] = {"type": "object"}

    @app.get("/feeds", tags=["operations"], response_class=Response, responses=_answers(anything))
    async def feeds() -> Response:
        """Health of each feed; counters only grow while the feed lives."""
        return Response(msgspec.json.encode({"feeds": insight.feeds()}), media_type=JSON)

    @app.get("/latency", tags=["operations"], response_class=Response, responses=_answers(anything))
    async def latency() -> Response:
        """Percentiles of each hop against its budget."""
        return Response(msgspec.json.encode(insight.latency()), media_type=JSON)

    @app.get("/health/live", tags=["operations"], response_class=Response, responses=_answers(anything))
    async def live() -> Response:
        """The process answers."""
        return Response(b'{"status":"live"}', media_type=JSON)

    @app.get("/health/ready", tags=["operations"], response_class=Response, responses=_answers(anything, 503))
    async def ready() -> Response:
        """Whether prices can be served."""
        is_ready, facts = insight.ready()
        if not is_ready:
            return _problem(503, "not ready to serve prices", {"retry-after": "1"}, **facts)
        return Response(msgspec.json.encode({"status": "ready", **facts}), media_type=JSON)

    @app.get("/metrics", tags=["operations"], response_class=Response)
    async def scrape() -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/stream", include_in_schema=False)
    async def stream() -> Response:
        return _problem(426, "/stream is a WebSocket: expected an upgrade", {"upgrade": "websocket"})

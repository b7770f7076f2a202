"""REST: the newest state of prices, what there is, and how the system feels; OpenAPI at ``/docs``.

Bodies of prices come out of the core as bytes and go out unchanged, so that every digit of the venue survives.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tickcast import __version__, _native
from tickcast.gateway import asyncapi, gaps, page, schemas
from tickcast.gateway.administration import add_faults, add_processes
from tickcast.gateway.answers import JSON, answers, cursor_after, problems, read_cursor, refusal
from tickcast.gateway.auth.access import NOT_ENTITLED, Access
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.door import Door, Viewer, not_entitled, refuse_part, refuse_whole, shown
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.auth.issuing import add_tickets
from tickcast.gateway.choosing import add_choosing
from tickcast.gateway.config import Config
from tickcast.gateway.handshake import host_allowed, host_refusal
from tickcast.model.instrument import AssetClass
from tickcast.ports import (
    Clock,
    Exchanges,
    FeedSymbols,
    GapLedger,
    Insight,
    Listing,
    Processes,
    Registry,
    States,
)
from tickcast.runtime import metrics

LOCAL_ORIGINS: Final = r"https?://(localhost|[a-z0-9-]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?"
SYMBOL_MAX: Final = 96

POLLING: Final = [
    {
        "name": "since",
        "in": "query",
        "description": "`next` of the answer before: only what changed after it.",
        "schema": {"type": "string", "maxLength": 8000},
    },
    {
        "name": "wait",
        "in": "query",
        "description": "Seconds to wait for a change.",
        "schema": {"type": "number", "minimum": 0, "maximum": 60},
    },
]
"""Parameters of the polls that :mod:`tickcast.gateway.front` answers."""
Numbers = Annotated[
    Literal["number", "string"], Query(description="string: prices and sizes as JSON strings, for clients with floats.")
]
Symbol = Annotated[
    str, Path(max_length=SYMBOL_MAX, description="AAPL is consolidated over venues, XNAS:AAPL one venue's.")
]
ClassFilter = AssetClass | Literal[""]


def create_app(
    *,
    hub: States,
    registry: Registry,
    insight: Insight,
    ledger: GapLedger,
    config: Config,
    clock: Clock,
    symbols: FeedSymbols | None = None,
    processes: Processes | None = None,
    exchanges: Exchanges | None = None,
    guests: Guests | None = None,
    late: States | None = None,
    with_page: bool = True,
) -> ASGIApp:
    """Build the HTTP application; ``guests`` lets people in, without it there is one that knows no API keys.

    What is not given (``symbols``, ``processes``, ``exchanges``) has no routes.
    ``late`` is what those are shown who see everything late.

    Raises:
        UsageError: keys of tokens cannot be read.
    """
    if guests is None:
        admission = Admission(config.auth, host=config.host, folder=None, wall=clock)
        guests = Guests(admission, clock=clock, wall=clock)
    app = FastAPI(
        title="tickcast REST", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    add_errors(app)
    shown_to = ShownTo(hub, late, config.auth.delay_s)
    _add_prices(app, shown_to, config)
    _add_depth(app, shown_to)
    _add_symbols(app, registry)
    gaps.add_gaps(app, ledger, clock)
    gaps.add_completeness(app, ledger, clock)
    _add_operations(app, insight)
    if symbols is not None:
        add_choosing(app, symbols)
    if processes is not None:
        add_processes(app, processes)
    if exchanges is not None:
        add_faults(app, exchanges)
    add_tickets(app, guests.admission)
    add_basics(app)
    page.add_docs(app)
    if with_page:
        page.add_page(app)
    app.add_middleware(Door, guests=guests, is_page=page.own_paths())
    app.add_middleware(CORSMiddleware, **cors_settings(config))
    return Guard(app, config)


def cors_settings(config: Config) -> dict[str, Any]:
    """Whose pages may read what we answer."""
    anyone = "*" in config.origins
    return {
        "allow_origins": ["*"] if anyone else list(config.origins),
        "allow_origin_regex": None if anyone else LOCAL_ORIGINS,
        "allow_methods": ["GET", "HEAD", "POST", "DELETE"],
        "allow_headers": ["authorization", "x-api-key"],
    }


class Guard:
    """Refuses foreign Host names, answers HEAD, and adds the headers that keep a browser honest."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        head_only = scope["method"] == "HEAD"

        async def send_guarded(message: Message) -> None:
            if head_only and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                headers += page.HEADERS
                names = {name for name, _ in headers}
                if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                    policy = page.DOCS_CSP if scope["path"].startswith("/docs") else page.CSP
                    headers += [(b"content-security-policy", policy.encode()), *page.HTML_HEADERS]
                if b"cache-control" not in names:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        if not host_allowed(scope["headers"], self._config):
            await refusal(421, host_refusal(scope["headers"]))(scope, receive, send_guarded)
            return
        if any(name == b"content-encoding" and value != b"identity" for name, value in scope["headers"]):
            # nothing here inflates, so nothing can be inflated beyond its bounds
            await refusal(415, "expected a body that is not compressed")(scope, receive, send_guarded)
            return
        # HEAD is GET without the body (RFC 9110 section 9.3.2), wherever there is a GET.
        await self._app({**scope, "method": "GET"} if head_only else scope, receive, send_guarded)


def add_errors(app: FastAPI) -> None:
    """Answer what goes wrong with problem+json."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = error.detail
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 404 and detail == "Not Found":
            detail = f"there is no {request.url.path[:120]}; /docs lists what there is"
        elif error.status_code == 405:
            detail = f"{request.method} is not possible at {request.url.path[:120]}"
            headers["allow"] = ", ".join(_methods(app, request.scope))
        return refusal(error.status_code, detail, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"name": ".".join(str(part) for part in entry["loc"][1:]), "reason": entry["msg"]}
            for entry in error.errors()
        ]
        return refusal(422, "; ".join(f"{entry['name']}: {entry['reason']}" for entry in errors), errors=errors)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return refusal(500, "the gateway failed on this request; it is logged there")


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """What is possible at an address, over all its routes."""
    found: set[str] = set()
    for route in app.routes:
        if route.matches(scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found | {"HEAD"} if "GET" in found else found)


class ShownTo:
    """Bodies of prices by who asks: as things are, or as they were a while ago."""

    def __init__(self, live: States, late: States | None, delay_s: float) -> None:
        self._live = live
        self._late = late
        self._mark = b',"delay_s":%d}' % delay_s if delay_s == int(delay_s) else f',"delay_s":{delay_s}}}'.encode()

    def price(self, access: Access, symbol: str, *, strings: bool) -> bytes | None:
        """Newest state that somebody may see."""
        return self._marked(access, self._states(access).price(symbol, strings))

    def book(self, access: Access, symbol: str, depth: int, *, strings: bool) -> bytes | None:
        """Best levels that somebody may see."""
        return self._marked(access, self._states(access).book(symbol, access.depth(depth), strings))

    def bars(self, access: Access, symbol: str, channel: int, limit: int, *, strings: bool) -> bytes | None:
        """Newest bars that somebody may see."""
        return self._marked(access, self._states(access).bars(symbol, channel, limit, strings))

    def _states(self, access: Access) -> States:
        if not access.scope.delayed:
            return self._live
        if self._late is None:
            raise HTTPException(403, "you may see prices late, and this gateway keeps none back")
        return self._late

    def _marked(self, access: Access, body: bytes | None) -> bytes | None:
        return body[:-1] + self._mark if body is not None and access.scope.delayed else body


def _add_prices(app: FastAPI, hub: ShownTo, config: Config) -> None:
    @app.get(
        "/prices/{symbol}",
        tags=["prices"],
        response_class=Response,
        responses=answers(schemas.PRICE, 401, 403, 404, 422),
    )
    async def price(symbol: Symbol, access: Viewer, numbers: Numbers = "number") -> Response:
        """Newest state of one symbol."""
        if not _may_watch(access, "price", symbol):
            return not_entitled(symbol)
        body = hub.price(access, symbol, strings=numbers == "string")
        if body is None:
            return refusal(404, f"there is no symbol {symbol}; /symbols lists what there is", symbol=symbol)
        return Response(body, media_type=JSON)

    @app.get(
        "/prices",
        tags=["prices"],
        response_class=Response,
        responses=answers(schemas.PRICES, 401, 403, 422, 429, 503),
        openapi_extra={"parameters": POLLING},
    )
    async def prices(
        access: Viewer,
        symbols: Annotated[str, Query(min_length=1, description="Symbols, separated by commas.")],
        numbers: Numbers = "number",
    ) -> Response:
        """Newest state of several symbols, in the order asked; each item is consistent in itself.

        With `since` or `wait` the gateway's connections answer it (long polling): those that changed, once one did.
        """
        names = symbols.split(",")
        if len(names) > config.symbols_max:
            return refusal(422, f"symbols: expected at most {config.symbols_max}, found {len(names)}")
        strings = numbers == "string"
        items = [_price(hub, name, access, strings=strings) for name in names]
        return Response(b'{"prices":[' + b",".join(items) + b"]}", media_type=JSON)


def _may_watch(access: Access, channel: str, symbol: str) -> bool:
    return access.may_use(channel) and access.may_see(symbol)


def _price(hub: ShownTo, name: str, access: Access, *, strings: bool) -> bytes:
    if not _may_watch(access, "price", name):
        return msgspec.json.encode({"symbol": name, "state": NOT_ENTITLED})
    return hub.price(access, name, strings=strings) or msgspec.json.encode({"symbol": name, "state": "no_such_symbol"})


def _add_depth(app: FastAPI, hub: ShownTo) -> None:
    @app.get(
        "/books/{symbol}", tags=["prices"], response_class=Response, responses=answers(schemas.BOOK, 401, 403, 404, 422)
    )
    async def book(
        symbol: Symbol,
        access: Viewer,
        depth: Annotated[int, Query(ge=1, le=50, description="Most levels of each side.")] = 10,
        numbers: Numbers = "number",
    ) -> Response:
        """Best levels of one symbol's book. Levels are known while somebody watches the book on the stream."""
        if not _may_watch(access, "book", symbol):
            return not_entitled(symbol)
        body = hub.book(access, symbol, depth, strings=numbers == "string")
        if body is None:
            return refusal(404, f"there is no symbol {symbol}; /symbols lists what there is", symbol=symbol)
        return Response(body, media_type=JSON)

    @app.get(
        "/bars/{symbol}", tags=["prices"], response_class=Response, responses=answers(schemas.BARS, 401, 403, 404, 422)
    )
    async def bars(
        symbol: Symbol,
        access: Viewer,
        interval: Annotated[Literal["1s", "1m"], Query(description="Length of a bar.")] = "1m",
        limit: Annotated[int, Query(ge=1, le=1000, description="Most bars in the answer, the newest ones.")] = 60,
        numbers: Numbers = "number",
    ) -> Response:
        """Newest bars of one symbol, oldest first."""
        if not _may_watch(access, "bars", symbol):
            return not_entitled(symbol)
        channel = _native.CHANNELS.index(f"bars:{interval}")
        body = hub.bars(access, symbol, channel, limit, strings=numbers == "string")
        if body is None:
            return refusal(404, f"there is no symbol {symbol}; /symbols lists what there is", symbol=symbol)
        return Response(body, media_type=JSON)


def _add_symbols(app: FastAPI, registry: Registry) -> None:
    @app.get(
        "/symbols",
        tags=["prices"],
        response_class=Response,
        responses=answers(schemas.SYMBOLS, 401, 422),
    )
    async def symbols(  # noqa: PLR0917  the parameters of the address
        access: Viewer,
        q: Annotated[str, Query(max_length=SYMBOL_MAX, description="Part of the symbol, in any case.")] = "",
        venue: Annotated[str, Query(max_length=20, description="One venue's instruments.")] = "",
        asset_class: Annotated[ClassFilter, Query(alias="class", description="One kind of instrument.")] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="Most symbols in the answer.")] = 100,
        cursor: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
    ) -> Response:
        """Everything that can be asked for: instruments (`XNAS:AAPL`) and securities over their venues (`AAPL`)."""
        after = read_cursor(cursor)
        if after is None:
            return refusal(422, f"cursor: expected `next` of the page before, or none; found {cursor[:40]!r}")
        found, following = registry.search(
            q, venue=venue, asset_class=asset_class, limit=limit, cursor=after, may=access.may_see
        )
        following = None if following is None else cursor_after(following)
        return Response(msgspec.json.encode({"symbols": _shown(found, access), "next": following}), media_type=JSON)

    @app.get(
        "/symbols/overview", tags=["prices"], response_class=Response, responses=answers(schemas.OVERVIEW, 401, 422)
    )
    async def overview(
        access: Viewer,
        limit: Annotated[int, Query(ge=1, le=100, description="Most symbols in the answer.")] = 16,
    ) -> Response:
        """What to look at first: the securities over most venues, then one instrument of each venue."""
        found = registry.overview(limit, may=access.may_see)
        return Response(msgspec.json.encode({"symbols": _shown(found, access)}), media_type=JSON)


def _shown(found: Sequence[Listing], access: Access) -> Sequence[Any]:
    """Listings as somebody may see them: those outside the scope are not among them, and not named either."""
    return found if access.sees_everything else [shown(msgspec.to_builtins(listing), access) for listing in found]


def _add_operations(app: FastAPI, insight: Insight) -> None:
    @app.get("/feeds", tags=["operations"], response_class=Response, responses=answers(schemas.FEEDS, 401, 403))
    async def feeds(access: Viewer) -> Response:
        """Health of each feed; counters only grow while the feed lives."""
        rows = [row for row in insight.feeds() if access.sees_everything or access.may_know(str(row["venue"]))]
        return refuse_part(access, "status") or Response(msgspec.json.encode({"feeds": rows}), media_type=JSON)

    @app.get("/latency", tags=["operations"], response_class=Response, responses=answers(schemas.LATENCY, 401, 403))
    async def latency(access: Viewer) -> Response:
        """Percentiles of each hop against its budget."""
        if refused := refuse_whole(access):
            return refused
        return Response(msgspec.json.encode(insight.latency()), media_type=JSON)

    @app.get("/health/ready", tags=["operations"], response_class=Response, responses=answers(schemas.READY, 503))
    async def ready(access: Viewer) -> Response:
        """Whether prices can be served."""
        is_ready, known = insight.ready()
        facts = known if access.sees_everything else {}
        if not is_ready:
            return refusal(503, "not ready to serve prices", {"retry-after": "1"}, **facts)
        return Response(msgspec.json.encode({"status": "ready", **facts}), media_type=JSON)

    @app.get("/metrics", tags=["operations"], response_class=Response, responses=problems(401, 403))
    async def scrape(access: Viewer) -> Response:
        """Metrics in the text format of Prometheus."""
        if refused := refuse_whole(access):
            return refused
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def add_basics(app: FastAPI) -> None:
    """Add what every process that serves clients answers itself."""

    @app.get("/health/live", tags=["operations"], response_class=Response, responses=answers(schemas.LIVE))
    async def live() -> Response:
        """The process answers."""
        return Response(b'{"status":"live"}', media_type=JSON)

    @app.get("/events", include_in_schema=False)
    async def events() -> Response:
        # for HEAD alone: whoever asks with GET never comes here
        return Response(media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.get("/asyncapi.json", include_in_schema=False)
    async def described() -> Response:
        return Response(asyncapi.TEXT, media_type=JSON, headers={"cache-control": "no-cache"})

    @app.get("/stream", include_in_schema=False)
    async def stream() -> Response:
        return refusal(426, "/stream is a WebSocket: expected an upgrade", {"upgrade": "websocket"})

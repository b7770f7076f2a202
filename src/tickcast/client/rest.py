"""REST from the client's side: asked once, answered with the same types as streams give."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from tickcast.client.bars import Bar, bar_of
from tickcast.client.books import Book
from tickcast.client.channel import decimal
from tickcast.client.errors import ProtocolError, RequestError, UnreachableError, answered, untrusted
from tickcast.client.ticks import Tick, tick_of
from tickcast.client.wire import Settings, detail

T = TypeVar("T")
PAGE: Final = 1000
RETRIED: Final = frozenset({429, 503})
RETRY_AFTER_MAX_S: Final = 5


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be asked for: an instrument (``XNAS:AAPL``), or a security over its venues (``AAPL``)."""

    symbol: str
    venue: str | None = None
    """None: a security."""
    asset_class: str = msgspec.field(name="class", default="")
    currency: str = ""
    security: str = ""
    """The consolidated symbol it belongs to."""
    tick_size: str | None = None
    lot_size: str | None = None
    contract_size: str | None = None
    calendar: str | None = None
    legs: tuple[str, ...] = ()
    """Of a security: its instruments, the primary one first."""


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """Health of one feed."""

    name: str
    venue: str
    state: str
    since: str = ""
    restarts: int = 0
    reconnects: int = 0
    messages: int = 0
    gaps: int = 0
    dropped: int = 0
    rate: float = 0.0
    """Messages a second."""
    lag_ms: float = 0.0
    last_message: str | None = None
    last_error: str | None = None


class Rest:
    """REST of one gateway, over a connection that is kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    async def prices(self, symbols: Sequence[str]) -> list[Tick]:
        """``/prices``."""
        if not symbols:
            raise RequestError("expected at least one symbol, found none")
        found = await self._get("/prices", {"symbols": ",".join(symbols), "numbers": "string"}, dict[str, Any])
        return [tick_of(one) for one in _key(found, "prices")]

    async def book(self, symbol: str, depth: int) -> Book:
        """``/books/{symbol}``."""
        path = f"/books/{quote(symbol, safe=':')}"
        found = await self._get(path, {"depth": str(depth), "numbers": "string"}, dict[str, Any])
        bids, asks = (
            tuple((decimal("price", price), decimal("size", size)) for price, size in _key(found, side))
            for side in ("bids", "asks")
        )
        return Book(
            symbol=_key(found, "symbol"),
            state=_key(found, "state"),
            bids=bids,
            asks=asks,
            timestamp=found.get("timestamp"),
            epoch=found.get("epoch", 0),
            seq=found.get("seq", 0),
        )

    async def bars(self, symbol: str, interval: str, limit: int) -> list[Bar]:
        """``/bars/{symbol}``."""
        path = f"/bars/{quote(symbol, safe=':')}"
        asked = {"interval": interval, "limit": str(limit), "numbers": "string"}
        found = await self._get(path, asked, dict[str, Any])
        return [bar_of(_key(found, "symbol"), interval, one) for one in _key(found, "bars")]

    async def symbols(self, query: str, *, venue: str, asset_class: str, limit: int) -> list[Symbol]:
        """``/symbols``, all pages."""
        asked = {"q": query, "venue": venue, "class": asset_class, "limit": str(max(1, min(PAGE, limit)))}
        symbols: list[Symbol] = []
        while len(symbols) < limit:
            page = await self._get("/symbols", asked, _SymbolsPage)
            symbols += page.symbols
            if page.next is None:
                break
            asked["cursor"] = page.next
        return symbols[:limit]

    async def feeds(self) -> list[Feed]:
        """``/feeds``."""
        return (await self._get("/feeds", {}, _Feeds)).feeds

    async def close(self) -> None:
        """End the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _get(self, path: str, query: dict[str, str], kind: type[T]) -> T:
        """Ask, and once more where the gateway says when to come back."""
        header = await self._settings.header()
        for is_last in (False, True):
            status, headers, body = await self._asked(path, query, header)
            after = headers.get("Retry-After", "")
            if is_last or status not in RETRIED or not after.isascii() or not after.isdigit():
                break
            await asyncio.sleep(min(int(after), RETRY_AFTER_MAX_S))
        if status != 200:
            raise answered(status, detail(body), with_token=bool(header))
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise ProtocolError(f"{path}: expected the answer of a gateway, found something else: {wrong}") from None

    async def _asked(
        self, path: str, query: dict[str, str], header: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        settings = self._settings
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_s)
            self._http = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        options: dict[str, Any] = {} if settings.ssl is None else {"ssl": settings.ssl}
        try:
            # A redirect might carry the token elsewhere.
            async with self._http.get(
                settings.rest_url + path, params=query, headers=header, allow_redirects=False, **options
            ) as answer:
                return answer.status, answer.headers, await answer.read()
        except aiohttp.ClientConnectorCertificateError as failure:
            raise untrusted(getattr(failure.certificate_error, "verify_message", str(failure))) from None
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise UnreachableError(
                f"expected a gateway at {settings.rest_url}, found none: {failure or type(failure).__name__}; "
                "start one (tickcast demo), or check address and port"
            ) from None


class _SymbolsPage(msgspec.Struct):
    symbols: list[Symbol]
    next: str | None = None


class _Feeds(msgspec.Struct):
    feeds: list[Feed]


def _key(found: dict[str, Any], name: str) -> Any:
    if name not in found:
        raise ProtocolError(f"expected {name!r} in the answer of a gateway, found {str(found)[:200]}")
    return found[name]

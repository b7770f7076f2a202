"""The REST side of the dialect, over anything that can answer for it: the market, or a recording."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web

from tickcast.ports import Clock
from tickcast.sim.config import BinanceConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.rest_faults import RestFaults, abort_all

_MINUTE_NS: Final = 60_000_000_000
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_ADDRESSES_MAX: Final = 1024
LINE: Final = "rest"
"""Name of the REST side among the venue's lines."""


class RestSource(Protocol):
    """What stands behind the endpoints."""

    def exchange_symbols(self) -> Sequence[dict[str, Any]]:
        """Entries of ``symbols`` in ``exchangeInfo``."""

    def depth(self, symbol: str, limit: int) -> bytes | None:
        """Body of a depth answer; None if there is no such symbol."""

    def aggregates(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Body of an ``aggTrades`` answer; None if there is no such symbol."""

    def older(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Body of a ``historicalTrades`` answer; None if there is no such symbol."""


class RestError(Exception):
    """An answer with the venue's error code."""

    def __init__(self, code: int, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.code, self.reason, self.status = code, reason, status


class WeightLimit:
    """Weights used by each address in the current minute."""

    def __init__(self, weight_per_minute: int, now_ns: Clock) -> None:
        self._limit = weight_per_minute
        self._now_ns = now_ns
        self._minute = -1
        self._used: dict[str, int] = {}

    def use(self, address: str, weight: int) -> tuple[int, int]:
        """Add a request: (weight used, seconds to wait or 0)."""
        now = self._now_ns()
        if now // _MINUTE_NS != self._minute or len(self._used) > _ADDRESSES_MAX:
            self._minute = now // _MINUTE_NS
            self._used.clear()
        used = self._used.get(address, 0) + weight
        if used > self._limit:
            return self._used.get(address, 0), int((_MINUTE_NS - now % _MINUTE_NS) // 1_000_000_000) + 1
        self._used[address] = used
        return used, 0


class RestServer:
    """Serves ``/api/v3`` (and the older ``/api/v1`` spelling of depth)."""

    def __init__(
        self, config: BinanceConfig, source: RestSource, *, now_ns: Clock, faults: FaultGate | None = None
    ) -> None:
        self._gate = faults or FaultGate(now_ns=now_ns)
        self._faults = RestFaults(self._gate, line=LINE, too_many=self._too_many, same=lambda one: one.path_qs)
        self.counters = {"requests": 0, "limited": 0}
        self._config = config
        self._source = source
        self._now_ns = now_ns
        self._weights = WeightLimit(config.weight_per_minute, now_ns)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the base URL."""
        app = web.Application(middlewares=[self._faults.middleware, self._guard])
        for version in ("v1", "v3"):
            app.router.add_get(f"/api/{version}/ping", self._ping)
            app.router.add_get(f"/api/{version}/time", self._time)
            app.router.add_get(f"/api/{version}/exchangeInfo", self._exchange_info)
            app.router.add_get(f"/api/{version}/depth", self._depth)
            app.router.add_get(f"/api/{version}/aggTrades", self._aggregates)
            app.router.add_get(f"/api/{version}/historicalTrades", self._older)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        return f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    def disconnect(self) -> None:
        """Cut every connection."""
        abort_all(self._runner)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Count weights; turn errors into the venue's."""
        self.counters["requests"] += 1
        try:
            used, wait_s = self._weights.use(request.remote or "", self._weight(request))
            if wait_s:
                answer = self._too_many()
                answer.headers["Retry-After"] = str(wait_s)
            else:
                answer = await handler(request)
            answer.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        except RestError as error:
            return _json({"code": error.code, "msg": error.reason}, status=error.status)
        return answer

    def _too_many(self) -> web.Response:
        self.counters["limited"] += 1
        reason = f"Too much request weight used; current limit is {self._config.weight_per_minute} per 1 MINUTE."
        return _json({"code": -1003, "msg": reason}, status=429)

    def _weight(self, request: web.Request) -> int:
        if request.path.endswith("/depth"):
            limit = self._limit(request, default=100, most=self._config.depth_max)
            return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)
        return {"exchangeInfo": 20, "aggTrades": 4, "historicalTrades": 25}.get(request.path.rpartition("/")[2], 1)

    @staticmethod
    def _limit(request: web.Request, *, default: int, most: int) -> int:
        given = request.query.get("limit", str(default))
        if not (given.isascii() and given.isdigit()) or not int(given):
            raise RestError(-1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")
        return min(int(given), most)

    @staticmethod
    def _symbol(request: web.Request) -> str:
        symbol = request.query.get("symbol", "")
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        return symbol

    async def _ping(self, request: web.Request) -> web.Response:
        del request
        return _json({})

    async def _time(self, request: web.Request) -> web.Response:
        del request
        return _json({"serverTime": self._now_ms()})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        symbols = self._source.exchange_symbols()
        wanted = self._wanted(request)
        if wanted is not None:
            known = {entry["symbol"]: entry for entry in symbols}
            if not wanted or any(name not in known for name in wanted):
                raise RestError(-1121, "Invalid symbol.")
            symbols = [known[name] for name in wanted]
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return _json(
            {
                "timezone": "UTC",
                "serverTime": self._now_ms(),
                "rateLimits": [{**limit, "limit": self._config.weight_per_minute}],
                "exchangeFilters": [],
                "symbols": symbols,
            }
        )

    @staticmethod
    def _wanted(request: web.Request) -> list[str] | None:
        if "symbol" in request.query:
            return [request.query["symbol"]]
        if "symbols" not in request.query:
            return None
        try:
            return msgspec.json.decode(request.query["symbols"], type=list[str])
        except msgspec.MsgspecError:
            raise RestError(-1100, "Illegal characters found in parameter 'symbols'.") from None

    async def _depth(self, request: web.Request) -> web.Response:
        limit = self._limit(request, default=100, most=self._config.depth_max)
        return self._body(self._source.depth(self._symbol(request), limit))

    async def _aggregates(self, request: web.Request) -> web.Response:
        from_id, limit = self._range(request)
        return self._body(self._source.aggregates(self._symbol(request), from_id=from_id, limit=limit))

    async def _older(self, request: web.Request) -> web.Response:
        from_id, limit = self._range(request)
        return self._body(self._source.older(self._symbol(request), from_id=from_id, limit=limit))

    def _range(self, request: web.Request) -> tuple[int | None, int]:
        limit = self._limit(request, default=500, most=1000)
        start = request.query.get("fromId")
        if start is not None and not (start.isascii() and start.isdigit()):
            raise RestError(-1100, "Illegal characters found in parameter 'fromId'; legal range is '^[0-9]{1,20}$'.")
        return (int(start) if start is not None else None), limit

    def _now_ms(self) -> int:
        return (self._now_ns() + self._gate.clock_offset_ns) // 1_000_000

    @staticmethod
    def _body(body: bytes | None) -> web.Response:
        if body is None:
            raise RestError(-1121, "Invalid symbol.")
        return web.Response(body=body, content_type="application/json")


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)

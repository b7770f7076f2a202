"""XSIM as a dialect: the REST server over :class:`XsimState`, with ETags and a request limit."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from tickcast.ports import Clock
from tickcast.sim.config import Config, XsimConfig, split_address
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.rest_faults import RestFaults, abort_all
from tickcast.sim.universe import Universe
from tickcast.sim.xsim.state import GoneError, XsimState, trade_id

LIMIT_MAX: Final = 10_000
LIMIT_DEFAULT: Final = 1000
_ADDRESSES_MAX: Final = 1024


FAULTS: Final[Mapping[Verb, str]] = {
    "drop": "the connection ends without an answer",
    "duplicate": "the answer is the old one to such a request, with its older cursor",
    "delay": "answers come late",
    "corrupt": "bytes of an answer are no JSON and no UTF-8",
    "truncate": "half an answer, and the connection ends",
    "stall": "no answer; connections stay open",
    "disconnect": "connections are cut",
    "restart": "connections are cut, cursors begin lower: older ones get 410",
    "clock": "times are shifted",
    "refuse_login": "401",
    "throttle": "429 with Retry-After",
}


class RequestLimit:
    """A token bucket for each address."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_ns = per_s / 1e9
        self._burst = burst
        self._buckets: dict[str, tuple[float, int]] = {}

    def wait_s(self, address: str, now_ns: int) -> int:
        """Take a token: 0, or the seconds to wait for the next one."""
        if len(self._buckets) > _ADDRESSES_MAX:
            self._buckets.clear()
        tokens, since = self._buckets.get(address, (float(self._burst), now_ns))
        tokens = min(tokens + (now_ns - since) * self._per_ns, float(self._burst))
        if tokens < 1:
            self._buckets[address] = (tokens, now_ns)
            return max(int((1 - tokens) / self._per_ns / 1e9) + 1, 1) if self._per_ns else 3600
        self._buckets[address] = (tokens - 1, now_ns)
        return 0


class XsimDialect:
    """Lists some of the stocks and some of the pairs."""

    def __init__(
        self, name: str, venue: XsimConfig, flow: OrderFlow, *, now_ns: Clock, base: int, seed: int = 0
    ) -> None:
        self.flow = flow
        self.faults = FaultGate(seed=f"{seed}:{name}", now_ns=now_ns, supports=FAULTS)
        self.faults.on_disconnect = self._disconnect
        self.faults.on_restart = self._restart
        self._answers = RestFaults(
            self.faults, too_many=self._too_many, refused=_refused, same=lambda request: request.path
        )
        self.market = XsimState(flow, base=base, trades_max=venue.trades_max)
        self.counters = {"requests": 0, "limited": 0, "not_modified": 0, "gone": 0}
        self._config = venue
        self._name = name
        self._now_ns = now_ns
        self._limit = RequestLimit(venue.requests_per_s, venue.burst)
        self._runner: web.AppRunner | None = None

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        app = web.Application(middlewares=[self._answers.middleware, self._guard])
        app.router.add_get("/v1/instruments", self._instruments)
        app.router.add_get("/v1/market", self._market)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, *split_address(self._config.address, source=self._name)).start()
        bound = self._runner.addresses[0]
        return {"rest_url": f"http://{bound[0]}:{bound[1]}"}

    def begin(self, part: Slice, ts: int) -> None:
        """Nothing trades before the opening: the books show with it."""
        self.market.slice(Slice([], part.events), ts)

    def publish(self, part: Slice, ts: int) -> None:
        """Take one slice; nobody is told, clients ask."""
        self.market.clock_offset_ns = self.faults.clock_offset_ns
        self.market.slice(part, ts)

    def last_ids(self) -> list[str]:
        """Id of the last trade of each row."""
        symbols = self.flow.universe.symbols
        rows = zip(self.flow.last_match.tolist(), self.flow.indices.tolist(), strict=True)
        return [trade_id(match, symbols[index]) for match, index in rows]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return [self.flow.universe.symbols[index] for index in self.flow.indices.tolist()]

    def state(self) -> Mapping[str, Any]:
        """Counters and the newest cursor."""
        return {"cursor": str(self.market.latest), **self.counters}

    async def stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _disconnect(self, line: str) -> None:
        del line
        abort_all(self._runner)

    def _restart(self) -> None:
        abort_all(self._runner)
        self.market.restart(self.market.base // 2)

    # ------------------------------------------------------------------ HTTP

    def _too_many(self) -> web.Response:
        self.counters["limited"] += 1
        return _json({"error": f"at most {self._config.requests_per_s:g} requests a second"}, status=429)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.counters["requests"] += 1
        wait_s = self._limit.wait_s(request.remote or "", self._now_ns())
        if wait_s:
            limited = self._too_many()
            limited.headers["Retry-After"] = str(wait_s)
            return limited
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _instruments(self, request: web.Request) -> web.Response:
        tag = f'"{self.market.base}-instruments"'
        return self._tagged(request, tag, self.market.instruments)

    async def _market(self, request: web.Request) -> web.Response:
        since, limit = request.query.get("since"), request.query.get("limit", str(LIMIT_DEFAULT))
        for name, given in (("since", since), ("limit", limit)):
            if given is not None and not (given.isascii() and given.isdigit() and len(given) < 19):
                return _json({"error": f"expected a number in {name}, found {given!r}"}, status=400)
        most = int(limit)
        if not 1 <= most <= LIMIT_MAX:
            return _json({"error": f"expected limit between 1 and {LIMIT_MAX}, found {most}"}, status=400)
        market = self.market
        tag = f'"{market.base}-{since or ""}-{most}-{market.latest}"'
        try:
            return self._tagged(request, tag, lambda: market.market(None if since is None else int(since), most))
        except GoneError as gone:
            self.counters["gone"] += 1
            reason = "the cursor is older than what is kept, or of another run: begin again without one"
            return _json({"error": reason, "oldest": str(gone.oldest)}, status=410)

    def _tagged(self, request: web.Request, tag: str, body: Any) -> web.Response:
        known = {one.strip() for one in request.headers.get("If-None-Match", "").split(",")}
        if tag in known:
            self.counters["not_modified"] += 1
            return web.Response(status=304, headers={"ETag": tag})
        return _json(body(), headers={"ETag": tag})


def _refused() -> web.Response:
    return _json({"error": "not authorised"}, status=401)


def _json(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status, headers=headers)


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: XsimConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> XsimDialect:
    """Make the venue."""
    stocks = range(min(venue.stocks, universe.stock_count))
    pairs = range(universe.stock_count, min(universe.stock_count + venue.pairs, len(universe.symbols)))
    base = base_number(start_ns)
    flow = OrderFlow(universe, [*stocks, *pairs], config, venue=name, base=base)
    return XsimDialect(name, venue, flow, now_ns=now_ns, base=base, seed=config.seed)

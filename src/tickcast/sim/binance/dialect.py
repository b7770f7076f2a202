"""BINANCE as a dialect: flow to payloads to streams, and REST beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.sim.binance.payloads import Payloads, text
from tickcast.sim.binance.rest import LINE as REST
from tickcast.sim.binance.rest import RestServer
from tickcast.sim.binance.streams import LINE as WEBSOCKET
from tickcast.sim.binance.streams import StreamServer, frame_head
from tickcast.sim.config import BinanceConfig, Config, split_address
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.universe import Universe

_FAST_NS: Final = 100_000_000
_SLOW_NS: Final = 1_000_000_000


FAULTS: Final[Mapping[Verb, str]] = {
    "drop": "a WebSocket frame is missing, or a REST request ends without an answer",
    "duplicate": "a frame comes twice; a REST answer is the old one to the same request",
    "reorder": "a frame comes after the next one (no REST)",
    "delay": "frames come late, in order; REST answers come late",
    "corrupt": "bytes of a payload are no JSON and no UTF-8",
    "truncate": "half a frame, and the stream goes on; half a REST answer, and the connection ends",
    "stall": "no frame, no pong and no answer; connections stay open, what was missed follows",
    "disconnect": "connections are cut, without a close frame",
    "restart": "connections are cut, update ids begin lower; trades keep their ids",
    "clock": "event and trade times and serverTime are shifted",
    "refuse_login": "the WebSocket handshake is answered with 403",
    "throttle": "REST answers 429 with Retry-After",
}


class BinanceDialect:
    """Lists all crypto pairs and a few tokenised stocks."""

    def __init__(
        self,
        name: str,
        venue: BinanceConfig,
        flow: OrderFlow,
        names: list[tuple[str, str]],
        *,
        now_ns: Clock,
        base: int,
        seed: int = 0,
    ) -> None:
        """``names``: base and quote asset of each listed symbol."""
        self.flow = flow
        self.faults = FaultGate(
            seed=f"{seed}:{name}", now_ns=now_ns, supports=FAULTS, lines=(WEBSOCKET, REST), body=frame_head
        )
        self.faults.on_disconnect = self._disconnect
        self.faults.on_restart = self._restart
        self.payloads = Payloads(flow, [one + quote for one, quote in names], base=base)
        self.streams = StreamServer(name, venue, now_ns=now_ns, faults=self.faults)
        self.rest = RestServer(venue, self, now_ns=now_ns, faults=self.faults)
        self._assets = names
        self._update_id = base
        self._config = venue
        self._name = name
        self._fast_next = self._slow_next = 0

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        url = await self.streams.start(*split_address(self._config.address, source=self._name))
        rest_url = await self.rest.start(*split_address(self._config.rest_address, source=self._name))
        return {"url": url, "rest_url": rest_url}

    def begin(self, part: Slice, ts: int) -> None:
        """Take the first books."""
        del part
        self._fast_next, self._slow_next = ts + _FAST_NS, ts + _SLOW_NS
        self.payloads.begin()

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self.payloads.clock_offset_ns = self.faults.clock_offset_ns
        send, wanted = self.streams.send, self.streams.wanted
        self.payloads.slice(part.events, ts, send, wanted)
        if ts >= self._fast_next:
            self._fast_next += _FAST_NS
            self.payloads.depth(ts, send, wanted, slow=False)
        if ts >= self._slow_next:
            self._slow_next += _SLOW_NS
            self.payloads.depth(ts, send, wanted, slow=True)
            self.payloads.tickers(ts, send, wanted)
        self.streams.flush()

    def _disconnect(self, line: str) -> None:
        if line in {"", WEBSOCKET}:
            self.streams.disconnect()
        if line in {"", REST}:
            self.rest.disconnect()

    def _restart(self) -> None:
        self._disconnect("")
        self._update_id //= 2
        self.payloads.restart(self._update_id)

    def last_ids(self) -> list[str]:
        """Id of the last trade of each row."""
        return [str(symbol.trade_id) for symbol in self.payloads.symbols]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return [symbol.name for symbol in self.payloads.symbols]

    def state(self) -> Mapping[str, Any]:
        """Clients and counters."""
        return {**self.streams.state(), **self.rest.counters}

    async def stop(self) -> None:
        """Close everything."""
        await self.streams.stop()
        await self.rest.stop()

    # ------------------------------------------------------------------ REST

    def exchange_symbols(self) -> Sequence[dict[str, Any]]:
        """Entries of ``exchangeInfo``."""
        universe = self.flow.universe
        return [
            symbol_entry(
                base,
                quote,
                tick=int(universe.tick[symbol.index]),
                lot=int(universe.lot[symbol.index]),
                status="HALT" if symbol.index in self.flow.halted else "TRADING",
            )
            for symbol, (base, quote) in zip(self.payloads.symbols, self._assets, strict=True)
        ]

    def depth(self, symbol: str, limit: int) -> bytes | None:
        """The book as of now."""
        found = self.payloads.by_name.get(symbol)
        return None if found is None else self.payloads.snapshot(found, limit).encode()

    def aggregates(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Aggregate trades."""
        found = self.payloads.by_name.get(symbol)
        return None if found is None else self.payloads.aggregates(found, from_id=from_id, limit=limit).encode()

    def older(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Single trades."""
        found = self.payloads.by_name.get(symbol)
        return None if found is None else self.payloads.older(found, from_id=from_id, limit=limit).encode()


def symbol_entry(base: str, quote: str, *, tick: int, lot: int, status: str = "TRADING") -> dict[str, Any]:
    """Return one symbol of ``exchangeInfo``; tick and lot in 1e-8 units."""
    return {
        "symbol": base + quote,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(tick),
                "maxPrice": "1000000.00000000",
                "tickSize": text(tick),
            },
            {"filterType": "LOT_SIZE", "minQty": text(lot), "maxQty": "9000000.00000000", "stepSize": text(lot)},
        ],
        "permissions": ["SPOT"],
    }


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: BinanceConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> BinanceDialect:
    """Make the venue."""
    stocks = list(range(min(config.market.tokenised, universe.stock_count)))
    pairs = list(range(universe.stock_count, len(universe.symbols)))
    names = [(universe.symbols[index], "USD") for index in stocks]
    for index in pairs:
        base, _, quote = universe.symbols[index].partition("-")
        names.append((base, quote))
    flow = OrderFlow(universe, stocks + pairs, config, venue=name, base=base_number(start_ns))
    return BinanceDialect(name, venue, flow, names, now_ns=now_ns, base=start_ns // 1_000_000, seed=config.seed)

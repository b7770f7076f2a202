"""A gateway with the real hub on a free port of loopback, and a market that the test moves by hand."""

import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from tickcast import _native
from tickcast.config import Config as CoreConfig
from tickcast.fanout.stage import FanoutStage
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.gateway.stage import GatewayStage
from tickcast.gateway.status import StatusSource
from tickcast.late import Late, late_reason
from tickcast.latest.config import Config as LatestConfig
from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedCondition, FeedHealth
from tickcast.model.instrument import AssetClass, Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Flag, Kind, Records, Side, State, empty_records, record_bytes
from tickcast.ports import Clock, Completeness, Exchanges, FeedSymbols, GapLedger, GapQuery, Processes


def definition(name: str, *, security: str = "", primary: bool = False) -> Definition:
    """An instrument by its ``VENUE:SYMBOL``."""
    venue, _, symbol = name.partition(":")
    asset_class: AssetClass = "crypto" if "-" in symbol else "equity"
    return Definition(
        instrument=_native.instrument_id(name),
        venue=venue,
        symbol=symbol,
        feed=venue.lower(),
        security=security or symbol,
        asset_class=asset_class,
        currency=symbol.partition("-")[2] or "USD",
        tick_size="0.01",
        primary=primary,
    )


class NoInsight:
    """Operations that have nothing to tell."""

    def feeds(self) -> Sequence[dict[str, Any]]:
        """None."""
        return []

    def latency(self) -> dict[str, Any]:
        """No hops."""
        return {"hops": []}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Always."""
        return True, {}


class NoLedger:
    """A ledger in which nothing was ever entered."""

    def gaps(self, query: GapQuery) -> tuple[Sequence[LedgerEntry], str | None]:
        """None."""
        del query
        return (), None

    def completeness(self, symbol: str, from_ns: int, to_ns: int) -> Completeness | None:
        """Nobody knows."""
        del symbol, from_ns, to_ns
        return None


class RunningGateway:
    """What :func:`running_gateway` yields: addresses, and the market's levers."""

    def __init__(
        self,
        config: Config,
        *,
        names: Sequence[str],
        clock: Clock,
        ledger: GapLedger | None = None,
        listener: socket.socket | None = None,
        epoch: int = 1,
        wall: Clock | None = None,
        folder: Path | None = None,
        symbols: FeedSymbols | None = None,
        processes: Processes | None = None,
        exchanges: Exchanges | None = None,
        late: Late | None = None,
        **hub: Any,
    ) -> None:
        self._clock = clock
        self.late = late
        admission = Admission(config.auth, host=config.host, folder=folder, wall=wall or clock)
        self.guests = Guests(admission, clock=clock, wall=wall or clock)
        self.hub = _native.Hub(epoch=epoch, **hub)
        self.definitions = [definition(name, primary=name.startswith("XNAS:")) for name in names]
        self.registry = InstrumentRegistry()
        self.registry.add(self.definitions)
        self.hub.define(self.definitions, clock())
        for feed in {entry.feed for entry in self.definitions}:
            self.hub.set_feed_state(feed, State.LIVE, "", clock())
        self.ledger: GapLedger = ledger or NoLedger()
        insight = NoInsight()
        self.app = create_app(
            hub=self.hub,
            registry=self.registry,
            insight=insight,
            ledger=self.ledger,
            config=config,
            clock=clock,
            guests=self.guests,
            symbols=symbols,
            processes=processes,
            exchanges=exchanges,
            late=None if late is None else late.hub,
        )
        self.stage = GatewayStage(
            config,
            hub=self.hub,
            app=self.app,
            clock=clock,
            wall=wall,
            wake=self.flush,
            listener=listener,
            directory=self.registry,
            status=StatusSource(insight, self.ledger, lambda: (0, "normal")),
            guests=self.guests,
            late=None if late is None else late.shown,
        )
        if late is not None:
            late.deliver = self.stage.deliver_late
        self._fanout = FanoutStage(
            self.hub, clock=clock, wall=wall, deliver=self.stage.deliver, measure=lambda _hop, _ns: None
        )
        self._trades = 0

    @property
    def url(self) -> str:
        """``http://host:port``."""
        return self.stage.address

    @property
    def stream_url(self) -> str:
        """``ws://host:port/stream``."""
        return f"ws{self.stage.address.removeprefix('http')}/stream"

    def flush(self) -> None:
        """Flush as the fan-out stage does."""
        self._fanout.flush()

    def trade(self, name: str, price: str, size: str = "100", *, side: Side = Side.BUYER) -> None:
        """One trade, now."""
        self._trades += 1
        rows = self._rows(name, 1)
        rows["id"] = self._trades
        rows["side"] = side
        rows["kind"] = Kind.TRADE
        _fill(rows, 0, price, size)
        self.apply(rows)

    def quote(self, name: str, bid: tuple[str, str], ask: tuple[str, str]) -> None:
        """Best bid and ask (price, size), now."""
        rows = self._rows(name, 2)
        rows["kind"] = (Kind.BID, Kind.ASK)
        _fill(rows, 0, *bid)
        _fill(rows, 1, *ask)
        self.apply(rows)

    def book(self, name: str, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> None:
        """A whole book: (price, size) of each level, best first."""
        rows = self._rows(name, 2 + len(bids) + len(asks))
        rows["kind"] = Kind.BOOK_BID
        rows["kind"][1 + len(bids) :] = Kind.BOOK_ASK
        rows["flags"] |= int(Flag.SNAPSHOT)
        for place, levels in ((0, bids), (1 + len(bids), asks)):
            rows["flags"][place] |= Flag.NO_PRICE
            for offset, (price, size) in enumerate(levels):
                _fill(rows, place + 1 + offset, price, size)
        self.apply(rows)

    def apply(self, rows: Records) -> None:
        """Apply an event and flush what is due."""
        self.hub.apply(record_bytes(rows), self._clock())
        if self.late is not None:
            number = int(rows["instrument"][0])
            feed = next(entry.feed for entry in self.definitions if entry.instrument == number)
            self.late.put(TickBatch(feed, 1, rows))
        self.flush()

    def report(self, feed: str, state: FeedCondition = "connected") -> None:
        """Tell those who see everything late of a feed's process, so much later."""
        assert self.late is not None
        now_ns = self._clock()
        self.late.feed_health(FeedHealth(name=feed, venue=feed.upper(), state=state, since_ns=now_ns, pid=1))

    def _rows(self, name: str, count: int) -> Records:
        rows = empty_records(count)
        rows["ts_event"] = rows["ts_recv"] = self._clock()
        rows["instrument"] = _native.instrument_id(name)
        rows["flags"][-1] = Flag.LAST_OF_EVENT
        return rows

    async def start(self) -> None:
        """Listen."""
        if self.late is not None:
            await self.late.start()
            for feed in sorted({entry.feed for entry in self.definitions}):
                known = tuple(entry for entry in self.definitions if entry.feed == feed)
                self.late.put(TickBatch(feed, 1, definitions=known))
                self.report(feed)
        await self.stage.start()

    async def stop(self) -> None:
        """Stop everything."""
        await self.stage.stop()
        self._fanout.stop()
        if self.late is not None:
            await self.late.stop()


def late_of(config: Config, folder: Path, *, feed_silent_s: float = 60.0) -> Late:
    """Make the late half of a gateway with the feeds of :func:`running_gateway`; ``folder`` keeps things back."""
    feeds = {name: FeedConfig(venue=name.upper()) for name in ("xnas", "xsim", "binance")}
    latest = LatestConfig(feed_silent_s=feed_silent_s)
    whole = CoreConfig(gateway=config, feeds=feeds, latest=latest)
    return Late(whole, _native.Hub(epoch=9, late=late_reason(whole)), folder)


@asynccontextmanager
async def running_gateway(
    config: Config | None = None,
    *,
    names: Sequence[str] = ("XNAS:AAPL", "XNAS:MSFT", "XSIM:AAPL", "BINANCE:BTC-USDT"),
    clock: Clock = time.time_ns,
    ledger: GapLedger | None = None,
    listener: socket.socket | None = None,
    epoch: int = 1,
    wall: Clock | None = None,
    folder: Path | None = None,
    symbols: FeedSymbols | None = None,
    late: Late | None = None,
    **hub: Any,
) -> AsyncIterator[RunningGateway]:
    """Run a gateway on a free port; ``hub`` are settings of the hub, ``epoch`` its first, ``folder`` holds API keys.

    ``late`` is what those see who see everything late (:func:`late_of`).
    """
    running = RunningGateway(
        config or Config(port=0),
        names=names,
        clock=clock,
        ledger=ledger,
        listener=listener,
        epoch=epoch,
        wall=wall,
        folder=folder,
        symbols=symbols,
        late=late,
        **hub,
    )
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def _fill(rows: Records, place: int, price: str, size: str) -> None:
    row = cast("Any", rows[place])
    row["price"], row["price_scale"] = _mantissa(price)
    row["size"], row["size_scale"] = _mantissa(size)


def _mantissa(text: str) -> tuple[int, int]:
    scale = len(text.partition(".")[2])
    return int(Decimal(text).scaleb(scale)), scale

"""Binance spot: combined streams over WebSocket, instruments and depth snapshots over REST.

The order of things: the instrument list (``exchangeInfo``), then one link for as many symbols as a connection may
carry, then a depth snapshot for each symbol, spaced out. All streams of a symbol are on one link, so that their order
is kept. A link that breaks is opened again; each book proves by its chain whether something was missed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tickcast.model.errors import UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import State
from tickcast.venues import rows
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.binance import wire
from tickcast.venues.binance.market import MILLISECOND_NS, Market
from tickcast.venues.continuity import Diff
from tickcast.venues.naming import Naming, SymbolError

PREFIX: Final = b'{"stream":"'
ADDRESS_MAX: Final = 7_000
"""Characters of a link's address: common servers take request lines up to 8 KiB."""
INSTRUMENTS: Final = "exchangeInfo"
DEPTH: Final = "depth "
STATES: Final[Mapping[str, State]] = {
    "TRADING": State.LIVE,
    "HALT": State.HALTED,
    "AUCTION_MATCH": State.AUCTION,
    "BREAK": State.CLOSED,
    "END_OF_DAY": State.CLOSED,
    "PRE_TRADING": State.CLOSED,
    "POST_TRADING": State.CLOSED,
}
UNUSED: Final = ("kline_", "miniTicker", "ticker", "avgPrice", "depth5", "depth10", "depth20")
"""Streams that exist, were not asked for and are understood as such (a recording may hold them)."""

WORDS: Final[Mapping[str, str]] = {
    "trade": "trade",
    "quote": "bookTicker",
    "book": "depth",
    "aggTrade": "aggTrade",
    "bookTicker": "bookTicker",
    "depth": "depth",
}
"""Streams by the config's words."""

Handler = Callable[[Market, bytes, int, Step], None]


class BinanceSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        self._streams = tuple(WORDS[word] for word in config.streams if word in WORDS)
        if not self._streams:
            raise UsageError(f"feeds.{feed}.streams: expected at least one stream, found none")
        self._config = config
        self._url = (config.url or "wss://stream.binance.com:9443").rstrip("/")
        self._rest_url = (config.rest_url or "https://api.binance.com").rstrip("/")
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._depth = "depth" in self._streams
        self._markets: dict[str, Market] = {}
        self._routes: dict[bytes, tuple[Handler, Market]] = {}
        self._opened: set[str] = set()
        self._snapshot_ns = 0
        self.ignored = 0
        """Messages of streams that were not asked for, so far."""

    @property
    def wake_ns(self) -> int:
        """Never: nothing has to be sent by the clock, the shell pings."""
        return 0

    @property
    def markets(self) -> Mapping[str, Market]:
        """Instruments by the venue's symbol, for tests and tools."""
        return self._markets

    def start(self, now_ns: int) -> Step:
        """Ask for the instruments."""
        del now_ns
        return Step(requests=[Request(purpose=INSTRUMENTS, url=f"{self._rest_url}/api/v3/exchangeInfo")])

    def opened(self, link: str, now_ns: int) -> Step:
        """Ask for the snapshots of the link's books, after a break too: a quiet one would not tell what it missed."""
        step = Step(new_session=link in self._opened)
        again = link in self._opened
        self._opened.add(link)
        for market in self._markets.values():
            if market.link != link or not self._depth:
                continue
            if again:
                market.resumed()
            if again or market.sync.phase != "live":
                self._ask_snapshot(market, step, now_ns)
        return step

    def closed(self, link: str, now_ns: int) -> Step:
        """Keep everything: the chain will tell whether something was missed."""
        del link, now_ns
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Never asked for."""
        del now_ns
        return Step()

    # ------------------------------------------------------------------ stream

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Decode frames in order."""
        step = Step(messages=len(chunks))
        routes = self._routes
        for frame, ts_recv in zip(chunks, times, strict=True):
            route = routes.get(frame[11 : frame.find(b'"', 11)]) if frame.startswith(PREFIX) else None
            if route is None:
                self._other(link, frame, ts_recv, step)
            else:
                self._deliver(route, frame, ts_recv, step)
        return step

    @staticmethod
    def _deliver(route: tuple[Handler, Market], frame: bytes, ts_recv: int, step: Step) -> None:
        handler, market = route
        try:
            handler(market, frame, ts_recv, step)
        except ValueError as wrong:  # msgspec's errors and those of a decimal are ValueErrors
            step.bury(f"{market.definition.name}: {wrong}", frame)

    def _on_book_ticker(self, market: Market, frame: bytes, ts_recv: int, step: Step) -> None:
        market.book_ticker(wire.book_ticker.decode(frame).data, step.records, ts_recv)

    def _on_trade(self, market: Market, frame: bytes, ts_recv: int, step: Step) -> None:
        message = wire.trade.decode(frame).data
        market.trade(message.t, message, step.records, ts_recv)

    def _on_agg_trade(self, market: Market, frame: bytes, ts_recv: int, step: Step) -> None:
        message = wire.agg_trade.decode(frame).data
        market.trade(message.a, message, step.records, ts_recv)

    def _on_depth(self, market: Market, frame: bytes, ts_recv: int, step: Step) -> None:
        message = wire.depth_update.decode(frame).data
        diff = Diff(message.U, message.u, message.b, message.a, message.E * MILLISECOND_NS, ts_recv)
        before = market.sync.phase
        if market.sync.diff(diff):
            try:
                market.apply(diff, step.records)
            except ValueError:
                self._repair(market, step, ts_recv, missing=0)
                raise
            if market.book.crossed:
                self._repair(market, step, ts_recv, missing=0)
            else:
                market.follow_book(step.records, ts_recv)
        elif before == "live" and market.sync.phase != "live":
            self._repair(market, step, ts_recv, missing=market.sync.missing)

    def _repair(self, market: Market, step: Step, ts_recv: int, *, missing: int) -> None:
        """This instrument's book is not whole any more: say so, and get a snapshot."""
        if market.sync.phase == "live":
            market.sync.repair()
        step.records.append(rows.gap(market.instrument, missing, next_seq=market.sync.last + 1, ts_recv=ts_recv))
        step.records.append(market.status(State.GAP, ts_recv))
        step.records.append(market.status(market.state, ts_recv))
        self._ask_snapshot(market, step, ts_recv)

    def _other(self, link: str, frame: bytes, ts_recv: int, step: Step) -> None:
        """Handle what does not begin like a message of a stream that was asked for."""
        try:
            envelope = wire.any_envelope.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            step.bury(f"expected a combined stream's message, found something else: {wrong}", frame)
            return
        if envelope.stream is not None:
            name, _, kind = envelope.stream.partition("@")
            route = self._routes.get(envelope.stream.encode())
            if route is not None:  # the same in another spelling: white space, another order of keys
                self._deliver(route, frame, ts_recv, step)
            elif name.upper() in self._markets and kind.startswith(UNUSED):
                self.ignored += 1
            else:
                step.bury(f"message of stream {envelope.stream[:64]!r}, which was not asked for", frame)
        elif envelope.e == "serverShutdown":
            step.drop[link] = "the venue announces its shutdown"
        elif envelope.error is not None:
            step.bury(f"the venue answers with an error: {envelope.error}", frame)
        elif envelope.id is None:
            step.bury("expected a combined stream's message, found another object", frame)

    # ------------------------------------------------------------------ REST

    def answered(self, request: Request, answer: Answer) -> Step:
        """Take the instruments or a depth snapshot."""
        step = Step()
        try:
            if request.purpose == INSTRUMENTS:
                self._take_instruments(request, answer, step)
            elif request.purpose.startswith(DEPTH):
                self._take_snapshot(request, answer, step)
        except (ValueError, UnicodeDecodeError) as wrong:
            step.bury(f"{request.purpose}: {wrong}", answer.body[:256])
            step.repeat.append(request)
        return step

    def _take_instruments(self, request: Request, answer: Answer, step: Step) -> None:
        if answer.status == 404 and self._config.symbols:
            listed = [_from_name(name) for name in self._config.symbols]
        elif answer.status == 200:
            listed = wire.exchange_info.decode(answer.body).symbols
        else:
            step.bury(f"{request.purpose}: expected status 200, found {answer.status}", answer.body[:256])
            step.repeat.append(request)
            return
        wanted = set(self._config.symbols)
        chosen = [
            (info, definition)
            for info in listed
            if (definition := self._define(info, wanted, step)) is not None and info.symbol not in self._markets
        ]
        for missing in sorted(wanted - {definition.symbol for _, definition in chosen}):
            step.bury(f"symbol {missing} of the config is not in the venue's list", b"")
        if not chosen:
            step.repeat.append(request)
            return
        for link, group in self._grouped(chosen):
            step.links.append(link)
            for info, definition in group:
                self._begin(info, definition, link.name, step, answer.received_ns)

    def _define(self, info: wire.SymbolInfo, wanted: set[str], step: Step) -> Definition | None:
        symbol = f"{info.baseAsset}-{info.quoteAsset}"
        if wanted and symbol not in wanted:
            return None
        if not wanted and info.status == "BREAK":  # off the list, though still in it
            return None
        rules = {rule.filterType: rule for rule in info.filters}
        price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
        try:
            return self._naming.define(
                symbol,
                asset_class="crypto",
                currency=info.quoteAsset,
                native_symbol=info.symbol,
                tick_size=price.tickSize if price else None,
                lot_size=lot.stepSize if lot else None,
                time_precision=3,
            )
        except SymbolError as wrong:
            step.bury(str(wrong), info.symbol.encode())
            return None

    def _names(self, native: str) -> list[str]:
        speed = "" if self._config.depth_speed == "1000ms" else f"@{self._config.depth_speed}"
        return [f"{native.lower()}@{stream}{speed if stream == 'depth' else ''}" for stream in self._streams]

    def _grouped(
        self, chosen: list[tuple[wire.SymbolInfo, Definition]]
    ) -> list[tuple[Link, list[tuple[wire.SymbolInfo, Definition]]]]:
        """Spread the symbols over links: all streams of one symbol on one link."""
        links: list[tuple[Link, list[tuple[wire.SymbolInfo, Definition]]]] = []
        group: list[tuple[wire.SymbolInfo, Definition]] = []
        names: list[str] = []
        base = f"{self._url}/stream?streams="

        def close_group() -> None:
            link = Link(name=f"streams-{len(links) + 1}", transport="websocket", target=base + "/".join(names))
            links.append((link, group.copy()))
            group.clear()
            names.clear()

        for entry in chosen:
            more = self._names(entry[0].symbol)
            length = len(base) + sum(len(name) + 1 for name in [*names, *more])
            if names and (len(names) + len(more) > self._config.streams_max or length > ADDRESS_MAX):
                close_group()
            group.append(entry)
            names.extend(more)
        close_group()
        return links

    def _begin(self, info: wire.SymbolInfo, definition: Definition, link: str, step: Step, ts_recv: int) -> None:
        market = Market(
            definition,
            link=link,
            state=STATES.get(info.status, State.CLOSED),
            best_from_book="bookTicker" not in self._streams,
            levels=self._config.depth > 0,
        )
        if not self._depth:
            market.sync.phase = "live"
        self._markets[info.symbol] = market
        handlers: dict[str, Handler] = {
            "bookTicker": self._on_book_ticker,
            "trade": self._on_trade,
            "aggTrade": self._on_agg_trade,
            "depth": self._on_depth,
        }
        for name, stream in zip(self._names(info.symbol), self._streams, strict=True):
            self._routes[name.encode()] = (handlers[stream], market)
        step.definitions.append(definition)
        step.records.append(market.status(market.state, ts_recv))
        close = self._previous_close.get(definition.symbol)
        if close is not None:
            step.records.append(rows.previous_close(definition.instrument, close, ts_event=ts_recv, ts_recv=ts_recv))

    def _ask_snapshot(self, market: Market, step: Step, now_ns: int) -> None:
        if market.asked:
            return
        market.asked = True
        self._snapshot_ns = max(now_ns, self._snapshot_ns + self._config.snapshot_interval_ms * MILLISECOND_NS)
        url = f"{self._rest_url}/api/v3/depth?symbol={market.native}&limit={self._config.depth_limit}"
        step.requests.append(Request(purpose=DEPTH + market.native, url=url, at_ns=self._snapshot_ns))

    def _take_snapshot(self, request: Request, answer: Answer, step: Step) -> None:
        market = self._markets[request.purpose.removeprefix(DEPTH)]
        if answer.status != 200:
            step.bury(f"{request.purpose}: expected status 200, found {answer.status}", answer.body[:256])
            step.repeat.append(request)
            return
        snapshot = wire.depth_snapshot.decode(answer.body)
        sync = market.sync
        proved = sync.proved or snapshot.lastUpdateId == sync.last
        if sync.phase == "live" and proved and snapshot.lastUpdateId <= sync.last:
            market.asked = False
            return
        if market.doubts(snapshot.lastUpdateId):
            step.repeat.append(request)
            return
        ready = sync.snapshot(snapshot.lastUpdateId)
        if ready is None:  # older than what we have: the next one will join
            step.repeat.append(request)
            return
        market.asked = False
        try:
            market.replace(snapshot, ready, step.records, answer.received_ns)
        except ValueError:
            market.sync.repair()
            market.asked = True
            raise
        if market.book.crossed:
            self._repair(market, step, answer.received_ns, missing=0)
            return
        step.records.append(market.status(market.state, answer.received_ns))


def _from_name(name: str) -> wire.SymbolInfo:
    """What the config says of a symbol, for a venue without a list (a recording)."""
    base, _, quote = name.partition("-")
    return wire.SymbolInfo(symbol=base + quote, status="TRADING", baseAsset=base, quoteAsset=quote)

"""XSIM: a made-up exchange that can only be polled over REST.

One request is under way at any time: the instruments, then the whole market, then what changed since the cursor, again
and again. A cursor that is too old (410) is a gap: the whole market is fetched anew; the trades in between are lost,
which is said. The shell honours 429, 503 and Retry-After, the session never sees them.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.health import Overlap
from tickcast.model.instrument import Definition
from tickcast.model.record import RECORD, Kind, Side, State
from tickcast.venues import rows
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.times import rfc3339_ns
from tickcast.venues.xsim import wire

MILLISECOND_NS: Final = 1_000_000
INSTRUMENTS: Final = "instruments"
MARKET: Final = "market"
STATES: Final = {"open": State.LIVE, "halted": State.HALTED, "closed": State.CLOSED}
SIDES: Final = {"buy": Side.BUYER, "sell": Side.SELLER, None: Side.UNKNOWN}

Pair = tuple[str, str]


class Listed:
    """What is known of one instrument."""

    __slots__ = ("ask", "bid", "definition", "state")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.state: State | None = None
        self.bid: Pair | None = None
        self.ask: Pair | None = None


class XsimSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        if config.rest_url is None:
            raise UsageError(f"feeds.{feed}.rest_url: expected an address for venue {config.venue}, found nothing")
        if config.interval_ms <= 0:
            raise UsageError(f"feeds.{feed}.interval_ms: expected a positive number, found {config.interval_ms}")
        self._base = config.rest_url.rstrip("/")
        self._config = config
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._listed: dict[str, Listed] = {}
        self._cursor: str | None = None
        self._etags: tuple[str, str] | None = None
        """Address and tag of the newest answer."""
        self._polled_ns = 0
        self._count = 0
        """Records of the step under way."""

    @property
    def wake_ns(self) -> int:
        """Never: requests carry their own time."""
        return 0

    @property
    def cursor(self) -> str | None:
        """Up to where the market is known; None = not at all."""
        return self._cursor

    @property
    def is_settled(self) -> bool:
        """Whether the whole market is known."""
        return self._cursor is not None

    def overlap(self, now_ns: int) -> Overlap:
        """Say nothing: there is no link."""
        del now_ns
        return Overlap()

    def start(self, now_ns: int) -> Step:
        """Ask for the instruments."""
        self._polled_ns = now_ns
        return Step(requests=[Request(purpose=INSTRUMENTS, url=f"{self._base}/v1/instruments")])

    def opened(self, link: str, now_ns: int) -> Step:
        """Never called: there is no link."""
        del link, now_ns
        return Step()

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Never called: there is no link."""
        del link, chunks, times
        return Step()

    def closed(self, link: str, now_ns: int) -> Step:
        """Never called: there is no link."""
        del link, now_ns
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Never asked for."""
        del now_ns
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Take an answer, and ask the next question."""
        step = Step()
        self._count = 0
        try:
            if request.purpose == INSTRUMENTS:
                self._take_instruments(answer, step)
            else:
                self._take_market(request, answer, step)
        except (ValueError, UnicodeDecodeError) as wrong:
            step.bury(f"{request.purpose}: {wrong}", answer.body[:256])
            step.repeat.append(request)
        return step

    # ------------------------------------------------------------------ instruments

    def _take_instruments(self, answer: Answer, step: Step) -> None:
        if answer.status != 200:
            raise ValueError(f"expected status 200, found {answer.status}")
        wanted = set(self._config.symbols)
        for entry in wire.instruments.decode(answer.body).instruments:
            if not wanted or entry.symbol in wanted:
                self._define(entry, step, answer.received_ns)
        step.unlisted.extend(sorted(wanted - set(self._listed)))
        step.requests.append(self._poll(at_ns=0))

    def _define(self, entry: wire.Instrument, step: Step, ts_recv: int) -> None:
        try:
            definition = self._naming.define(
                entry.symbol,
                asset_class=entry.asset_class,
                currency=entry.currency,
                tick_size=entry.tick,
                lot_size=entry.lot,
                time_precision=6,
            )
        except SymbolError as wrong:
            step.bury(str(wrong), entry.symbol.encode())
            return
        self._listed[entry.symbol] = Listed(definition)
        step.definitions.append(definition)
        close = self._previous_close.get(entry.symbol, entry.prev_close)
        if close is not None:
            self._add(step, rows.previous_close(definition.instrument, close, ts_event=ts_recv, ts_recv=ts_recv))

    # ------------------------------------------------------------------ market

    def _poll(self, *, at_ns: int) -> Request:
        since = "" if self._cursor is None else f"since={quote(self._cursor, safe='')}&"
        url = f"{self._base}/v1/market?{since}limit={self._config.page_limit}"
        tag = self._etags[1] if self._etags is not None and self._etags[0] == url else None
        return Request(purpose=MARKET, url=url, at_ns=at_ns, headers={"If-None-Match": tag} if tag else {})

    def _take_market(self, request: Request, answer: Answer, step: Step) -> None:
        at_ns = max(answer.received_ns, request.at_ns + self._config.interval_ms * MILLISECOND_NS)
        if answer.status == 410:
            self._lost(step, answer.received_ns)
            step.requests.append(self._poll(at_ns=0))
            return
        if answer.status == 304:
            step.requests.append(self._poll(at_ns=at_ns))
            return
        if answer.status != 200:
            raise ValueError(f"expected status 200, 304 or 410, found {answer.status}")
        market = wire.market.decode(answer.body)
        self._etags = (request.url, answer.etag) if answer.etag is not None else None
        self._cursor = market.cursor
        step.messages += len(market.trades) + len(market.tickers)
        # trades first: the tickers are the state after them
        entries: list[wire.Trade | wire.Ticker] = [*market.trades, *market.tickers]
        for entry in entries:
            self._take_entry(entry, step, answer.received_ns)
        step.requests.append(self._poll(at_ns=0 if market.more else at_ns))

    def _take_entry(self, entry: wire.Trade | wire.Ticker, step: Step, ts_recv: int) -> None:
        listed = self._listed.get(entry.symbol)
        if listed is None:
            if not self._config.symbols:
                step.bury(f"{entry.symbol[:64]!r} is not in the venue's list of instruments", entry.symbol.encode())
            return
        try:
            if isinstance(entry, wire.Trade):
                self._trade(entry, listed, step, ts_recv)
            else:
                self._ticker(entry, listed, step, ts_recv)
        except ValueError as wrong:
            step.bury(f"{listed.definition.name}: {wrong}", repr(entry).encode())

    def _lost(self, step: Step, ts_recv: int) -> None:
        self._cursor = None
        self._etags = None
        for listed in self._listed.values():
            instrument = listed.definition.instrument
            self._add(step, rows.gap(instrument, 0, next_seq=0, ts_recv=ts_recv))
            self._add(step, rows.status(instrument, State.GAP, ts_event=ts_recv, ts_recv=ts_recv))
            listed.state = State.GAP

    def _trade(self, trade: wire.Trade, listed: Listed, step: Step, ts_recv: int) -> None:
        row = rows.trade(
            listed.definition.instrument,
            _native.parse_decimal(trade.price),
            _native.parse_decimal(trade.size),
            ident=_native.instrument_id(trade.id),
            side=SIDES[trade.side],
            seq=0,
            ts_event=rfc3339_ns(trade.time),
            ts_recv=ts_recv,
        )
        step.texts[self._count] = trade.id
        self._add(step, row)

    def _ticker(self, ticker: wire.Ticker, listed: Listed, step: Step, ts_recv: int) -> None:
        ts_event = rfc3339_ns(ticker.time)
        state = STATES[ticker.status]
        bid = _pair(ticker.bid, ticker.bid_size)
        ask = _pair(ticker.ask, ticker.ask_size)
        bid_level, ask_level = _level(bid), _level(ask)
        first = listed.state is None
        new_bid, new_ask = first or bid != listed.bid, first or ask != listed.ask
        instrument = listed.definition.instrument
        if new_bid:
            row = rows.quote(
                instrument, Kind.BID, bid_level, seq=0, ts_event=ts_event, ts_recv=ts_recv, last=not new_ask
            )
            self._add(step, row)
        if new_ask:
            row = rows.quote(instrument, Kind.ASK, ask_level, seq=0, ts_event=ts_event, ts_recv=ts_recv, last=True)
            self._add(step, row)
        if state != listed.state:
            self._add(step, rows.status(instrument, state, ts_event=ts_event, ts_recv=ts_recv))
        listed.bid, listed.ask, listed.state = bid, ask, state

    def _add(self, step: Step, row: bytes) -> None:
        step.records.append(row)
        self._count += len(row) // RECORD.itemsize


def _pair(price: str | None, size: str | None) -> Pair | None:
    return None if price is None else (price, size or "0")


def _level(pair: Pair | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    return None if pair is None else (_native.parse_decimal(pair[0]), _native.parse_decimal(pair[1]))

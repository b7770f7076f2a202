"""Bitstamp: what its declared dialect does not say."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.base import Quota, Request, VenueConfig
from tickcast.venues.bitstamp import wire
from tickcast.venues.bitstamp.dialect import DIFFERENCE, RECORDED, WHOLE, WHOLE_DEPTH, dialect
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Leaving,
    Limits,
    Listed,
    Print,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)

TRADES: Final = "live_trades"
BOOK: Final = "order_book"
DIFFERENCES: Final = "diff_order_book"
FUNDING: Final = "funding_rate"
BOOKS: Final = frozenset({BOOK, DIFFERENCES})
PERPETUAL: Final = "-perp"
"""End of the name of a perpetual."""
SECOND_NS: Final = 1_000_000_000
SPANS: Final = ((45, "minute"), (3300, "hour"))
"""Up to how many seconds back which span of trades reaches, with some to spare for clocks; beyond it ``day``."""
QUOTES: Final = ("usdt", "usdc", "usd", "eur", "gbp", "btc", "eth", "pax")
"""In which a name without a divider may end, the longest first."""


class BitstampVenue(Venue):
    """Spot and perpetuals over one socket; no channel of best bids and offers: the book gives them."""

    code: ClassVar[str] = "BITSTAMP"
    title: ClassVar[str] = "Bitstamp v2"
    dialect: Dialect = RECORDED
    limits: ClassVar[Limits] = Limits(
        channels_per_link=1000,
        channels_per_message=1,
        messages=Quota(amount=20, per_s=1.0),
        connects=Quota(amount=10, per_s=10.0),
        weight=Quota(amount=9000, per_s=600.0),
    )
    url: ClassVar[str] = "wss://ws.bitstamp.net"
    rest_url: ClassVar[str] = "https://www.bitstamp.net"
    former_lists: ClassVar[tuple[str, ...]] = ("trading-pairs-info",)
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "mark", "funding", "open_interest")
    ping_interval_s: ClassVar[float] = 20.0
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, page=1_000_000, pages_max=1, overlaps=True, reach="the last minute, hour or day, in one answer"
    )
    proof: ClassVar[str] = (
        f"each message is the whole book of {WHOLE_DEPTH} levels a side; deeper books are differences that nothing "
        "numbers (unverified), compared over REST"
    )

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._book = DIFFERENCES if config.depth > WHOLE_DEPTH else BOOK
        self.dialect = dialect(DIFFERENCE if self._book == DIFFERENCES else WHOLE)

    def listing(self) -> Sequence[Request]:
        """Ask for all markets; the list is one answer."""
        return [Request(purpose="markets", url=f"{self._rest}/markets/")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list, of today or of former years.

        Raises:
            ValueError: it is no list.
        """
        del request
        found = [_listed(market) for market in wire.markets.decode(body)]
        return [entry for entry in found if entry is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Trades and the book; of perpetuals the funding, with mark and index."""
        wanted = set(self.config.streams)
        found = []
        if "trade" in wanted:
            found.append(Channel(TRADES, listed.native))
        if wanted & {"book", "quote"}:
            found.append(Channel(self._book, listed.native, book=True))
        if wanted & {"mark", "funding"} and listed.native.endswith(PERPETUAL):
            found.append(Channel(FUNDING, listed.native))
        return found

    def quoted(self, listed: Listed) -> bool:
        """There is no stream of best bids and offers."""
        del listed
        return False

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel: of more than 512 bytes the venue reads none."""
        return [_frame("bts:subscribe", channel) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel."""
        return [_frame("bts:unsubscribe", channel) for channel in channels]

    def ping(self) -> bytes | None:
        """The venue's heartbeat, which it answers."""
        return b'{"event":"bts:heartbeat"}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Answers, heartbeats, the announcement of a cut."""
        del market
        said = wire.event.decode(frame)
        match said.event:
            case "bts:subscription_succeeded":
                return [Acknowledged([_channel(said.channel)])]
            case "bts:unsubscription_succeeded" | "bts:heartbeat":
                return [Alive()]
            case "bts:request_reconnect":
                return [Leaving("the venue asks to reconnect")]
            case "bts:error":
                return [Refused(_data(said).message or "an error without a text")]
            case _:
                return [Unknown(f"event {said.event!r} of channel {said.channel.rpartition('_')[0]!r}")]

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for the whole book, not grouped by steps of price."""
        del market
        return Request(purpose=f"book {native}", url=f"{self._rest}/order_book/{native}/?group=1")

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades of the shortest span that reaches back to the last one known."""
        del before
        age_s = (self.now_ns - after.ts_ns) / SECOND_NS
        span = next((word for most, word in SPANS if age_s < most), "day")
        return Request(purpose="trades", url=f"{self._rest}/transactions/{listed.native}/?time={span}")

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for the figures of the day, and the open interest of perpetuals: no stream tells them."""
        wanted = {"ticker", "open_interest"} if listed.native.endswith(PERPETUAL) else {"ticker"}
        if not wanted & set(self.config.streams) or listed.state != State.LIVE:
            return []
        return [Request(purpose="ticker", url=f"{self._rest}/ticker/{listed.native}/")]

    def probe_request(self) -> Request | None:
        """One ticker."""
        return Request(purpose="probe", url=f"{self._rest}/ticker/btcusd/")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the markets of a recorder's subscriptions; its books may be of either kind."""
        del addresses
        self.dialect = RECORDED
        known = {name.replace("-", "").lower(): name.upper() for name in instruments}
        found: dict[str, Listed] = {}
        for frame in sent:
            try:
                asked = wire.event.decode(frame)
            except msgspec.MsgspecError:
                continue
            native = _channel(_data(asked).channel).native
            listed = _named(native, known.get(native, ""))
            if listed is not None:
                found.setdefault(native, listed)
        return list(found.values())

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/") + "/api/v2"


def _channel(text: str) -> Channel:
    name, _, native = text.rpartition("_")
    return Channel(name, native, book=name in BOOKS)


def _data(event: wire.Event) -> wire.Data:
    return event.data if isinstance(event.data, wire.Data) else wire.Data()


def _frame(event: str, channel: Channel) -> bytes:
    return msgspec.json.encode({"event": event, "data": {"channel": f"{channel.name}_{channel.native}"}})


def _listed(market: wire.Market) -> Listed | None:
    """Read an entry of the list; None for what has no name of two currencies."""
    native = (market.market_symbol or market.url_symbol).lower()
    pair = market.name.upper().removesuffix(PERPETUAL.upper())
    base, _, quote = pair.partition("/")
    base, quote = market.base_currency.upper() or base, market.counter_currency.upper() or quote
    is_perpetual = market.market_type == "PERPETUAL" or native.endswith(PERPETUAL)
    symbol = f"{base}-{quote}{'-PERP' if is_perpetual else ''}"
    if not native or not base or not quote or not SYMBOL.fullmatch(symbol):
        return None
    tick = _text(market.tick_size) or _step(market.counter_decimals)
    return Listed(
        native=native,
        also=(market.name,),
        symbol=symbol,
        asset_class="perpetual" if is_perpetual else "crypto",
        currency=quote,
        state=State.LIVE if market.trading == "Enabled" else State.HALTED,
        tick_size=tick,
        lot_size=_step(market.base_decimals),
        contract_size=(_text(market.contract_size) or "1") if is_perpetual else None,
        settle_currency=quote if is_perpetual else None,
        underlying=f"{base}-{quote}" if is_perpetual else None,
        time_precision=6,
    )


def _named(native: str, name: str) -> Listed | None:
    """Make an instrument of the venue's name, divided as a name of the house says it or where a currency ends it."""
    pair = native.removesuffix(PERPETUAL)
    base, _, quote = name.removesuffix("-PERP").lower().partition("-")
    if base + quote != pair:
        quote = next((one for one in QUOTES if pair.endswith(one) and len(pair) > len(one)), "")
        base = pair.removesuffix(quote) if quote else ""
    if not base or not quote:
        return None
    end = native.removeprefix(pair).upper()
    listed = _listed(wire.Market(name=f"{base}/{quote}{end}".upper(), market_symbol=native))
    # decimals are not known
    return None if listed is None else replace(listed, lot_size=None)


def _step(decimals: int | None) -> str | None:
    return None if decimals is None else format(Decimal(1).scaleb(-decimals), "f")


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")

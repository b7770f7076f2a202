"""Coinbase Advanced Trade: what its declared dialect does not say."""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request
from tickcast.venues.coinbase.dialect import DIALECT
from tickcast.venues.coinbase.wire import Envelope, Failure, Product, Products, StatusMessage, Subscribe, Subscriptions
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    ClockReading,
    Happening,
    Limits,
    Listed,
    Print,
    Refused,
    Status,
    TradeHistory,
    Unknown,
    Venue,
    strange,
)

LEVEL2: Final = "level2"
TRADES: Final = "market_trades"
TICKER: Final = "ticker"
STATUS: Final = "status"
HEARTBEATS: Final = "heartbeats"
SECOND_NS: Final = 1_000_000_000
NO_CHANNEL: Final = Channel("")
"""Errors name no channel."""
FATAL: Final = ("authentication", "jwt", "unauthorized")
"""Words of errors after which a connection is of no use."""


class CoinbaseVenue(Venue):
    """Spot products; the best bid and offer comes from the book where there is one."""

    code: ClassVar[str] = "COINBASE"
    title: ClassVar[str] = "Coinbase Advanced Trade"
    dialect: Dialect = DIALECT
    # One connection's counter is the scope of a break: a link is kept small, so that few books are repaired at once.
    limits: ClassVar[Limits] = Limits(
        channels_per_link=60,
        channels_per_message=20,
        messages=Quota(amount=8, per_s=1.0),
        connects=Quota(amount=8, per_s=1.0),
        weight=Quota(amount=10, per_s=1.0),
    )
    url: ClassVar[str] = "wss://advanced-trade-ws.coinbase.com"
    rest_url: ClassVar[str] = "https://api.coinbase.com"
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "status")
    clock: ClassVar[ClockReading | None] = ClockReading(path="epochMillis", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(backwards=True, reach="by time, 1,000 at once")
    proof: ClassVar[str] = (
        "sequence_num counts all messages of a connection: a jump breaks every book of it; nothing checks the content"
    )

    def listing(self) -> Sequence[Request]:
        """Ask for the spot products; the list is one answer."""
        url = f"{self._rest}/api/v3/brokerage/market/products?product_type=SPOT"
        return [Request(purpose="products", url=url)]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the products; one with an alias has no data of its own and is not listed."""
        del request
        products = msgspec.json.decode(body, type=Products).products
        return [_listed(one) for one in products if one.product_type == "SPOT" and not one.alias]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Trades and the book; the ticker for the figures of the day, and for quotes where there is no book."""
        wanted = self.config.streams
        found = []
        if "trade" in wanted:
            found.append(Channel(TRADES, listed.native))
        if "book" in wanted:
            found.append(Channel(LEVEL2, listed.native, book=True))
        if "ticker" in wanted or self.quoted(listed):
            found.append(Channel(TICKER, listed.native))
        if "status" in wanted:
            found.append(Channel(STATUS, listed.native))
        return found

    def quoted(self, listed: Listed) -> bool:
        """The book is proved and told at every change; the ticker neither, so it quotes only where there is no book."""
        del listed
        return "quote" in self.config.streams and "book" not in self.config.streams

    def hello(self) -> Sequence[bytes]:
        """Every connection needs heartbeats: one whose channels are quiet for 60 to 90 s is closed otherwise."""
        return [_frame("subscribe", HEARTBEATS, [])]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel's name."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel's name."""
        return _frames("unsubscribe", channels)

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Acknowledgements, the status of products, errors."""
        del market
        envelope = msgspec.json.decode(frame, type=Envelope)
        if envelope.channel == "subscriptions":
            confirmed = [
                Channel(name, native, book=name == LEVEL2)
                for event in msgspec.json.decode(frame, type=Subscriptions).events
                for name, natives in event.subscriptions.items()
                for native in natives
                if name != HEARTBEATS
            ]
            return [Acknowledged(confirmed) if confirmed else Alive()]
        if envelope.channel == "status":
            events = msgspec.json.decode(frame, type=StatusMessage).events
            products = [one for event in events for one in event.products]
            told: list[Happening] = [
                Status(one.id, STATES.get(one.status, State.CLOSED), reason=one.status_message or one.status)
                for one in products
            ]
            return told + strange("status", (one.status for one in products), STATES)
        if envelope.channel == HEARTBEATS:
            return [Alive()]
        if envelope.type == "error":
            failure = msgspec.json.decode(frame, type=Failure)
            reason = " ".join(filter(None, (failure.message, failure.reason))) or "an error without a text"
            return [Refused(reason, NO_CHANNEL, fatal=any(word in reason.lower() for word in FATAL))]
        return [Unknown(f"channel {envelope.channel!r}, type {envelope.type!r}")]

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the products of a recorder's subscriptions."""
        del addresses, instruments
        names: dict[str, None] = {}
        for frame in sent:
            try:
                names.update(dict.fromkeys(msgspec.json.decode(frame, type=Subscribe).product_ids))
            except msgspec.MsgspecError:
                continue
        return [
            Listed(native=name, symbol=name, asset_class="crypto", currency=name.rpartition("-")[2], time_precision=6)
            for name in names
            if "-" in name
        ]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades of a time, in whole seconds, that holds both ends."""
        query = f"limit=1000&start={after.ts_ns // SECOND_NS - 1}"
        if before is not None:
            query += f"&end={before.ts_ns // SECOND_NS + 2}"
        return Request(
            purpose="trades", url=f"{self._rest}/api/v3/brokerage/market/products/{listed.native}/ticker?{query}"
        )

    def probe_request(self) -> Request | None:
        """Its clock."""
        return Request(purpose="probe", url=f"{self._rest}/api/v3/brokerage/time")

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/")


STATES: Final = {"online": State.LIVE, "offline": State.HALTED, "internal": State.CLOSED, "delisted": State.CLOSED}


def _listed(product: Product) -> Listed:
    return Listed(
        native=product.product_id,
        symbol=f"{product.base_currency_id}-{product.quote_currency_id}".upper(),
        asset_class="crypto",
        currency=product.quote_currency_id,
        state=state_of(product),
        tick_size=product.price_increment or product.quote_increment,
        lot_size=product.base_increment,
        time_precision=6,
    )


def state_of(product: Product) -> State:
    """Say whether a product trades."""
    state = STATES.get(product.status, State.CLOSED)
    if state is not State.LIVE:
        return state
    if product.is_disabled or product.trading_disabled or product.cancel_only or product.post_only:
        return State.HALTED  # with the last two orders may rest; nothing is matched
    return State.AUCTION if product.auction_mode else state


def _frames(kind: str, channels: Sequence[Channel]) -> list[bytes]:
    by_name: dict[str, list[str]] = {}
    for channel in channels:
        by_name.setdefault(channel.name, []).append(channel.native)
    return [_frame(kind, name, natives) for name, natives in by_name.items()]


def _frame(kind: str, name: str, natives: Sequence[str]) -> bytes:
    body: dict[str, object] = {"type": kind, "channel": name}
    if natives:
        body["product_ids"] = natives
    return msgspec.json.encode(body)

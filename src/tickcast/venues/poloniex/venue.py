"""Poloniex, spot: what is asked for, and what its answers say. The data's shape is in :mod:`.dialect`."""

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request
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
from tickcast.venues.poloniex.dialect import DIALECT

CHANNELS: Final = {"trade": "trades", "book": "book_lv2", "ticker": "ticker", "status": "symbols"}
"""Words of the config's ``streams``, and the venue's."""
STATES: Final = {"NORMAL": State.LIVE, "PAUSE": State.HALTED, "POST_ONLY": State.HALTED}
INTENSIVE: Final = 20
"""Weight of a request that may be made ten times a second; others may be made 200 times."""


class _Limits(msgspec.Struct):
    price_scale: int = msgspec.field(name="priceScale")
    quantity_scale: int = msgspec.field(name="quantityScale")


class _Pair(msgspec.Struct):
    symbol: str
    base: str = msgspec.field(name="baseCurrencyName")
    quote: str = msgspec.field(name="quoteCurrencyName")
    state: str
    limits: _Limits = msgspec.field(name="symbolTradeLimit")


class _Stated(msgspec.Struct):
    symbol: str
    state: str


class _Cold(msgspec.Struct):
    event: str = ""
    channel: str = ""
    symbols: list[str] = []
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class _Asked(msgspec.Struct):
    event: str = ""
    symbols: list[str] = []


class PoloniexVenue(Venue):
    """Spot; one address, one book channel whose messages name their predecessors."""

    code = "POLONIEX"
    title = "Poloniex spot"
    dialect: Dialect = DIALECT
    limits = Limits(
        channels_per_link=400,
        channels_per_message=100,
        messages=Quota(amount=100, per_s=1.0),
        weight=Quota(amount=200, per_s=1.0),
    )
    url = "wss://ws.poloniex.com"
    rest_url = "https://api.poloniex.com"
    endpoints: ClassVar = {"": "/ws/public"}
    streams = ("trade", "book", "ticker", "status")
    ping_interval_s = 15.0
    clock = ClockReading(path="serverTime", unit="ms")
    trade_history = TradeHistory(backwards=True, page=1000, pages_max=1, reach="the newest 1,000")
    proof = "lastId of each message of a book is the id of the one before"

    def listing(self) -> Sequence[Request]:
        """Ask for all pairs."""
        return [self._request("instruments", "/markets", weight=INTENSIVE)]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list of pairs."""
        del request
        return [
            Listed(
                native=one.symbol,
                symbol=f"{one.base}-{one.quote}",
                asset_class="crypto",
                currency=one.quote,
                tick_size=_step(one.limits.price_scale),
                lot_size=_step(one.limits.quantity_scale),
                state=STATES.get(one.state, State.CLOSED),
            )
            for one in msgspec.json.decode(body, type=list[_Pair])
        ]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """One channel for each stream that is wanted."""
        return [
            Channel(name, listed.native, book=word == "book")
            for word, name in CHANNELS.items()
            if word in self.config.streams
        ]

    def quoted(self, listed: Listed) -> bool:
        """Tell no quotes: there is no such stream."""
        del listed
        return False

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Ask for the symbols of each channel."""
        return _written("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """End the symbols of each channel."""
        return _written("unsubscribe", channels)

    def ping(self) -> bytes | None:
        """Ping: a connection that says nothing for 30 s is closed."""
        return b'{"event":"ping"}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read answers, and the states of pairs."""
        del market
        said = msgspec.json.decode(frame, type=_Cold)
        if said.event == "subscribe":
            return [Acknowledged([Channel(said.channel, native) for native in said.symbols])]
        if said.event == "error":
            return [Refused(said.message)]
        if said.event in {"pong", "unsubscribe"}:
            return [Alive()]
        if said.channel == "symbols" and not said.event:
            rows = msgspec.json.decode(said.data, type=list[_Stated])
            states = [Status(one.symbol, STATES.get(one.state, State.CLOSED), reason=one.state) for one in rows]
            return [*states, *strange("state", (one.state for one in rows), STATES)]
        return [Unknown(f"channel {said.channel!r}, event {said.event!r}", kind=said.channel or said.event)]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the newest trades: there is no other way."""
        del after, before
        return self._request("trades", f"/markets/{listed.native}/trades?limit=1000", weight=INTENSIVE)

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request("probe", "/timestamp", weight=1)

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the pairs that a recorder subscribed to, otherwise those that are named: names say what they are."""
        del addresses
        natives = dict.fromkeys(native for frame in sent for native in _asked(frame))
        natives = natives or dict.fromkeys(symbol.replace("-", "_") for symbol in instruments)
        return [
            Listed(native=native, symbol=f"{base}-{quote}", asset_class="crypto", currency=quote)
            for native in natives
            for base, _, quote in [native.partition("_")]
            if base and quote
        ]

    def _request(self, purpose: str, path: str, *, weight: int) -> Request:
        return Request(purpose=purpose, url=(self.config.rest_url or self.rest_url) + path, weight=weight)


def _asked(frame: str) -> Sequence[str]:
    """Symbols of a subscription; none if it is something else."""
    try:
        said = msgspec.json.decode(frame, type=_Asked)
    except msgspec.DecodeError:
        said = _Asked()
    return said.symbols if said.event == "subscribe" else ()


def _step(digits: int) -> str:
    return "1" if digits <= 0 else f"0.{'0' * (digits - 1)}1"


def _written(event: str, channels: Sequence[Channel]) -> list[bytes]:
    ordered = sorted(channels, key=lambda one: one.name)
    return [
        msgspec.json.encode({"event": event, "channel": [name], "symbols": [one.native for one in group]})
        for name, group in groupby(ordered, key=lambda one: one.name)
    ]

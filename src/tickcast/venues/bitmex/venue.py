"""BitMEX: lists, subscriptions and cold messages."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Request
from tickcast.venues.bitmex import wire
from tickcast.venues.bitmex.dialect import BOOKS, DIALECT
from tickcast.venues.bitmex.names import STATES, listed_from, named
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    Relist,
    Status,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.times import rfc3339_ms

MILLISECOND_NS: Final = 1_000_000
BOOK: Final = "orderBookL2"
CHANNELS: Final = {"trade": "trade", "quote": "quote", "book": BOOK, "liquidation": "liquidation"}
"""Table of each stream that has one."""
FIGURES: Final = ("ticker", "mark", "funding", "open_interest", "status")
"""Streams that the ``instrument`` table tells."""
REPEATED: Final = "already subscribed"
ENDED: Final = ("Settled", "Expired", "Cleared", "Unlisted")


class BitmexVenue(Venue):
    """BitMEX, public tables of single instruments."""

    code: ClassVar[str] = "BITMEX"
    title: ClassVar[str] = "BitMEX"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=200,
        channels_per_message=20,
        connects=Quota(amount=60, per_s=3600.0),
        weight=Quota(amount=30, per_s=60.0),
    )
    url: ClassVar[str] = "wss://ws.bitmex.com"
    rest_url: ClassVar[str] = "https://www.bitmex.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/realtime"}
    streams: ClassVar[tuple[str, ...]] = (*CHANNELS, *FIGURES)
    ping_interval_s: ClassVar[float] = 10.0
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="place", overlaps=True, reach="all trades, by time, 1,000 at once"
    )
    proof: ClassVar[str] = (
        "nothing counts the messages; a level that changes or is deleted and was never inserted, or is inserted twice, "
        "shows that one is missing; books are compared over REST by turns"
    )

    def listing(self) -> Sequence[Request]:
        """Ask for what is traded now."""
        return [self._request("instruments", "/api/v1/instrument/active")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list."""
        del request
        return [found for each in wire.instruments.decode(body) if (found := listed_from(each)) is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which tables an instrument has."""
        wanted, native = self.config.streams, listed.native
        found = [
            Channel(name, native, book=name == BOOK)
            for stream, name in CHANNELS.items()
            if stream in wanted and not (stream == "liquidation" and listed.asset_class == "crypto")
        ]
        if set(wanted) & set(FIGURES):
            found.append(Channel("instrument", native))
        return found

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each: an error does not say which of several tables it concerns."""
        return [_operation("subscribe", channel) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each."""
        return [_operation("unsubscribe", channel) for channel in channels]

    def ping(self) -> bytes | None:
        """Write the text that is answered by ``pong``."""
        return b"ping"

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer, the greeting, or the states in rows of ``instrument``."""
        del market
        found = wire.message.decode(frame)
        if found.table == "instrument":
            return list(_states(found))
        if found.table:
            return [Unknown(f"table {found.table[:60]} which was not asked for", found.table[:60])]
        if found.error:
            return [_refusal(found)]
        if found.subscribe:
            return [Acknowledged([channel_of(found.subscribe)])]
        if found.info or found.success is not None:
            return [Alive()]
        return [Unknown("expected a table, an answer or a greeting, found none of them")]

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for the book to hold it against ours: nothing proves it."""
        del market
        return self._request(f"book {native}", f"/api/v1/orderBook/L2?symbol={native}&depth={self.config.depth_limit}")

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades of a time, in whole milliseconds, that holds both ends, oldest first."""
        query = f"symbol={listed.native}&count=1000&startTime={rfc3339_ms(after.ts_ns)}"
        if before is not None:
            query += f"&endTime={rfc3339_ms(before.ts_ns + MILLISECOND_NS)}"
        return self._request("trades", f"/api/v1/trade?{query}")

    def probe_request(self) -> Request | None:
        """Ask for the list of tables."""
        return self._request("probe", "/api/v1/schema/websocketHelp")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from the tables that a recorder subscribed to: names say what they are."""
        del instruments
        asked = [argument for frame in sent for argument in _arguments(frame)]
        asked += [argument for address in addresses for argument in _in_address(address)]
        names = dict.fromkeys(argument.partition(":")[2] for argument in asked if ":" in argument)
        return [found for name in names if (found := named(name)) is not None]

    def _request(self, purpose: str, path: str) -> Request:
        return Request(purpose=purpose, url=(self.config.rest_url or self.rest_url).rstrip("/") + path)


def channel_of(topic: str) -> Channel:
    """Return the channel of a subscription's argument, ``orderBookL2:XBTUSD``."""
    name, _, native = topic.partition(":")
    return Channel(name, native, book=name in BOOKS)


def _operation(word: str, channel: Channel) -> bytes:
    return msgspec.json.encode({"op": word, "args": [f"{channel.name}:{channel.native}"]})


def _refusal(message: wire.Message) -> Happening:
    """Say what an error is about: we ask for one table in a frame."""
    args = message.request.args if isinstance(message.request.args, list) else [message.request.args]
    channel = channel_of(args[0]) if message.request.op == "subscribe" and len(args) == 1 else None
    if channel is not None and REPEATED in message.error:  # the answer to the first time was lost
        return Acknowledged([channel])
    return Refused(f"error {message.status}: {message.error}", channel)


def _arguments(frame: str) -> Iterable[str]:
    """Yield the tables in a recorder's own frame."""
    try:
        found = wire.operation.decode(frame)
    except msgspec.MsgspecError:
        return
    if found.op == "subscribe":
        yield from [found.args] if isinstance(found.args, str) else found.args


def _in_address(address: str) -> Iterable[str]:
    """Yield the tables that an address asks for (``?subscribe=trade:XBTUSD,quote:XBTUSD``)."""
    _, found, names = address.partition("subscribe=")
    if found:
        yield from names.partition("&")[0].replace("%3A", ":").replace("%2C", ",").split(",")


def _states(message: wire.Message) -> Iterable[Happening]:
    """Say what rows of ``instrument`` say of states: an instrument that ends is off the list."""
    for row in message.data:
        if not row.state or row.symbol.startswith("."):
            continue
        yield Status(row.symbol, STATES.get(row.state, State.CLOSED), reason=f"BitMEX: {row.state}")
        if row.state in ENDED and message.action != "partial":
            yield Relist(f"{row.symbol} is {row.state}")

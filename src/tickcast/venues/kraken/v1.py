"""Kraken's WebSocket v1, for recordings: arrays whose last two elements are the channel and the pair.

``[1920, {"a": [...]}, {"b": [...], "c": "4105471083"}, "book-1000", "SC/EUR"]``: an update of both sides is two objects
in one frame, the checksum in the second. Levels are ``[price, size, time]``, and ``[price, size, time, "r"]`` where one
is told again because others left the depth. There are no ids; only updates have a checksum.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import Kind, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Dialect,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Quotes,
    Time,
    Trades,
)
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Listed,
    Refused,
    Status,
    TradeHistory,
    Unknown,
)
from tickcast.venues.kraken.venue import NO_CHANNEL, STATES, KrakenVenue
from tickcast.venues.kraken.wire import AssetPair, V1Event, V1Subscribe

PAIR: Final = Key(path="/-1")
CHANNEL: Final = "-2"
RULE: Final = BookRule(chain="none", snapshot="stream", checksum="kraken_v1", depth_from="/-2", depth=10)
BOOK: Final = Match(path=CHANNEL, prefix="book-")


def _update(name: str, *, asks: str = "", bids: str = "", checksum: str, time: str) -> Message:
    """Declare updates that have these lists and no others; the newest level stands last."""
    present = tuple(Match(path=path, present=True) for path in (asks, bids) if path)
    return Message(
        name=name,
        when=(BOOK, *present),
        emits=(
            Book(
                key=PAIR,
                levels=Levels(bids=bids, asks=asks),
                rule=RULE,
                checksum=checksum,
                time=Time(path=time, unit="s"),
            ),
        ),
    )


SNAPSHOT: Final = Message(
    name="book snapshot",
    when=(BOOK, Match(path="1.as", present=True)),
    emits=(
        Book(
            key=PAIR,
            levels=Levels(bids="1.bs", asks="1.as"),
            rule=RULE,
            snapshot=(Match(path="1.as", present=True),),
            checksum="1.c",  # nothing stands there
        ),
    ),
)

TRADE: Final = Message(
    name="trade",
    when=(Match(path=CHANNEL, equals=("trade",)),),
    rows="1",
    emits=(
        Trades(
            key=PAIR,
            price="0",
            size="1",
            aggressor=Aggressor(path="3", buyer=("b",), seller=("s",)),
            time=Time(path="2", unit="s"),
        ),
    ),
)

TICKER: Final = Message(
    name="ticker",
    when=(Match(path=CHANNEL, equals=("ticker",)),),
    emits=(
        Quotes(key=PAIR, bid="1.b.0", ask="1.a.0", bid_size="1.b.2", ask_size="1.a.2"),
        Measures(
            key=PAIR,
            values=(
                Measure(kind=Kind.OPEN_24H, path="1.o.1"),
                Measure(kind=Kind.HIGH_24H, path="1.h.1"),
                Measure(kind=Kind.LOW_24H, path="1.l.1"),
                Measure(kind=Kind.VOLUME_24H, path="1.v.1"),
            ),
        ),
    ),
)

SPREAD: Final = Message(
    name="spread",
    when=(Match(path=CHANNEL, equals=("spread",)),),
    emits=(
        Quotes(
            key=PAIR, bid="1.0", ask="1.1", bid_size="1.3", ask_size="1.4", time=Time(path="1.2", unit="s"), whole=True
        ),
    ),
)

CONTROL: Final = (
    Message(name="ohlc", when=(Match(path=CHANNEL, prefix="ohlc"),)),
    Message(name="heartbeat", when=(Match(path="event", equals=("heartbeat",)),)),
)

DIALECT: Final = Dialect(
    messages=(
        # first what has two objects: each of its lists alone would fit a message of one
        _update("book", asks="1.a", bids="2.b", checksum="2.c", time="2.b.-1.2"),
        _update("book", asks="2.a", bids="1.b", checksum="2.c", time="2.a.-1.2"),
        _update("book", asks="1.a", bids="1.b", checksum="1.c", time="1.b.-1.2"),
        _update("book", asks="1.a", checksum="1.c", time="1.a.-1.2"),
        _update("book", bids="1.b", checksum="1.c", time="1.b.-1.2"),
        SNAPSHOT,
        TRADE,
        TICKER,
        SPREAD,
        *CONTROL,
    )
)


class KrakenV1Venue(KrakenVenue):
    """What was said on ``wss://ws.kraken.com`` and recorded; nothing is subscribed to."""

    title: ClassVar[str] = "Kraken v1 (recordings)"
    dialect: Dialect = DIALECT
    endpoints: ClassVar[dict[str, str]] = {"": ""}
    trade_history: ClassVar[TradeHistory | None] = None
    proof: ClassVar[str] = "a CRC32 of the ten best levels a side with every update, none with snapshots"

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self.dialect = DIALECT

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read what has an ``event``."""
        del market
        event = msgspec.json.decode(frame, type=V1Event)
        if event.event == "subscriptionStatus":
            channel = Channel(event.channelName, event.pair, book=event.channelName.startswith("book"))
            if event.status == "error":
                return [Refused(event.errorMessage or "an error without a text", channel)]
            return [Acknowledged([channel])]
        if event.event == "systemStatus":
            return [Status("", STATES.get(event.status, State.CLOSED), reason=event.status)]
        if event.event in {"pong", "heartbeat"}:
            return [Alive()]
        if event.event == "error":
            return [Refused(event.errorMessage or "an error without a text", NO_CHANNEL)]
        return [Unknown(f"event {event.event!r}")]

    def learn(self, frame: bytes) -> None:
        """Learn nothing: every book's frame names its depth."""
        del frame

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the pairs of a recorder's subscriptions; the depth stands in every frame."""
        del addresses, instruments
        pairs: dict[str, None] = {}
        for frame in sent:
            try:
                pairs.update(dict.fromkeys(msgspec.json.decode(frame, type=V1Subscribe).pair))
            except msgspec.MsgspecError:
                continue
        return [self._listed(AssetPair(wsname=pair)) for pair in pairs if "/" in pair]

    def _frame(self, method: str, name: str, natives: Sequence[str]) -> bytes:
        """Write a subscription of this dialect, as a recorder sent it."""
        return msgspec.json.encode({"event": method, "pair": natives, "subscription": {"name": name}})

    def _native(self, wsname: str) -> str:
        """Write a pair as the list does: ``XBT/USD``."""
        return wsname

"""Kraken Futures: what its declared dialect does not say."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Limits,
    Listed,
    Print,
    Refused,
    Status,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.kraken_futures import wire
from tickcast.venues.kraken_futures.dialect import DIALECT
from tickcast.venues.kraken_futures.names import listed_from, named
from tickcast.venues.times import rfc3339_ms

BOOK: Final = "book"
TRADE: Final = "trade"
TICKER: Final = "ticker"
TICKER_STREAMS: Final = frozenset({"ticker", "mark", "funding", "open_interest", "status"})
"""Streams that the one feed of tickers gives."""
HEARTBEAT: Final = b'{"event":"subscribe","feed":"heartbeat"}'
NO_CHANNEL: Final = Channel("")
"""A refusal of nothing that was subscribed to."""
MILLISECOND_NS: Final = 1_000_000
REPEATED: Final = "Already subscribed"


class KrakenFuturesVenue(Venue):
    """Perpetuals and dated futures, inverse and linear; one socket, names that are unique over them."""

    code: ClassVar[str] = "KRAKEN_FUTURES"
    title: ClassVar[str] = "Kraken Futures v1"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=600,
        channels_per_message=50,
        messages=Quota(amount=50, per_s=1.0),
        connects=Quota(amount=20, per_s=10.0),
        weight=Quota(amount=50, per_s=10.0),
    )
    url: ClassVar[str] = "wss://futures.kraken.com"
    rest_url: ClassVar[str] = "https://futures.kraken.com"
    endpoints: ClassVar[Mapping[str, str]] = {"": "/ws/v1"}
    streams: ClassVar[tuple[str, ...]] = (
        "trade",
        "quote",
        "book",
        "ticker",
        "mark",
        "funding",
        "open_interest",
        "liquidation",
        "status",
    )
    ping_interval_s: ClassVar[float] = 30.0
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, page=100, reach="the last seven days, or since the engine was started anew"
    )
    proof: ClassVar[str] = "each message of a book has the next seq of its product"

    def listing(self) -> Sequence[Request]:
        """Ask for all products; the list is one answer."""
        return [Request(purpose="instruments", url=f"{self._rest}/instruments")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list; indices are skipped: no feed tells them.

        Raises:
            ValueError: it is no list, or the venue's error.
        """
        del request
        answer = wire.instruments.decode(body)
        if answer.result != "success":
            raise ValueError(f"expected a list of instruments, found {answer.result} {answer.error}")
        found = [listed_from(entry) for entry in answer.instruments]
        return [entry for entry in found if entry is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Trades (liquidations are among them), the book, and the ticker for everything else."""
        wanted = set(self.config.streams)
        found = []
        if wanted & {"trade", "liquidation"}:
            found.append(Channel(TRADE, listed.native))
        if "book" in wanted:
            found.append(Channel(BOOK, listed.native, book=True))
        if wanted & TICKER_STREAMS or self.quoted(listed):
            found.append(Channel(TICKER, listed.native))
        return found

    def quoted(self, listed: Listed) -> bool:
        """The book is proved and told at every change, the ticker once a second: it quotes where there is no book."""
        del listed
        return "quote" in self.config.streams and "book" not in self.config.streams

    def hello(self) -> Sequence[bytes]:
        """Begin with heartbeats, so that a quiet link is told from a dead one."""
        return [HEARTBEAT]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each feed; the venue answers for each product."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each feed."""
        return _frames("unsubscribe", channels)

    def ping(self) -> bytes | None:
        """The venue wants to hear something every minute and documents no ping: heartbeats are asked for again."""
        return HEARTBEAT

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Answers, and tickers whose product is suspended or goes on."""
        del market
        said = wire.cold.decode(frame)
        if said.feed == TICKER and not said.event:
            return [_standing(said)]
        event = said.event.strip()
        channels = [_channel(said.feed.strip(), native) for native in said.product_ids]
        match event:
            case "subscribed" if channels:
                happening: Happening = Acknowledged(channels)
            case "subscribed_failed":
                return [Refused(said.message or event, channel) for channel in channels]
            case "error":
                happening = Refused(said.message or event)
            case "alert":
                happening = Alive() if REPEATED in said.message else Refused(said.message or event, NO_CHANNEL)
            case "info" | "subscribed" | "unsubscribed" | "unsubscribed_failed" | "pong" | "challenge":
                happening = Alive()
            case _:
                happening = Unknown(f"feed {said.feed!r}, event {event!r}")
        return [happening]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the 100 trades before a time, a millisecond behind the first one that is known again."""
        del after
        older = "" if before is None else f"&lastTime={rfc3339_ms(before.ts_ns + MILLISECOND_NS)}"
        return Request(purpose="trades", url=f"{self._rest}/history?symbol={listed.native}{older}")

    def probe_request(self) -> Request | None:
        """One ticker."""
        return Request(purpose="probe", url=f"{self._rest}/tickers/PF_XBTUSD")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the products of a recorder's subscriptions."""
        del addresses, instruments
        products: dict[str, None] = {}
        for frame in sent:
            try:
                products.update(dict.fromkeys(msgspec.json.decode(frame, type=wire.Subscribe).product_ids))
            except msgspec.MsgspecError:
                continue
        found = [named(native) for native in products]
        return [entry for entry in found if entry is not None]

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/") + "/derivatives/api/v3"


def _channel(feed: str, native: str) -> Channel:
    return Channel(feed, native, book=feed == BOOK)


def _standing(said: wire.Cold) -> Status:
    if said.suspended:
        return Status(said.product_id, State.HALTED, reason="suspended")
    if said.post_only:
        return Status(said.product_id, State.HALTED, reason="post only")
    return Status(said.product_id, State.LIVE)


def _frames(event: str, channels: Sequence[Channel]) -> list[bytes]:
    by_feed: dict[str, list[str]] = {}
    for channel in channels:
        by_feed.setdefault(channel.name, []).append(channel.native)
    return [
        msgspec.json.encode({"event": event, "feed": feed, "product_ids": natives}) for feed, natives in by_feed.items()
    ]

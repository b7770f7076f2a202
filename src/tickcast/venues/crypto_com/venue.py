"""Crypto.com Exchange v1: lists, subscriptions and cold messages."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final
from zlib import crc32

import msgspec

from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.crypto_com import wire
from tickcast.venues.crypto_com.dialect import DIALECT
from tickcast.venues.crypto_com.names import index_from, listed_from, listed_from_older, named
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
    Reply,
    TradeHistory,
    Unknown,
    Venue,
)

MILLISECOND_NS: Final = 1_000_000
DEPTH: Final = 50
"""Levels a side; the venue has 10 and 50."""
BOOK: Final[dict[str, Any]] = {"book_subscription_type": "SNAPSHOT_AND_UPDATE", "book_update_frequency": 10}
"""A whole book, then what changed, every 10 ms."""
DERIVED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "perpetual": {"mark": ("mark",), "funding": ("funding", "estimatedfunding")},
    "future": {"mark": ("mark", "settlement")},
    "index": {"mark": ("index",)},
}
"""Channels of each kind of instrument, by stream."""
HEARTBEAT: Final = "public/heartbeat"
ANSWERED: Final = "public/respond-heartbeat"
TICKER_STREAMS: Final = {"ticker", "open_interest"}


class CryptoComVenue(Venue):
    """Crypto.com Exchange v1, market data."""

    code: ClassVar[str] = "CRYPTO_COM"
    title: ClassVar[str] = "Crypto.com Exchange v1"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=400,
        channels_per_message=50,
        messages=Quota(amount=80, per_s=1.0),
        weight=Quota(amount=100, per_s=1.0),
    )
    url: ClassVar[str] = "wss://stream.crypto.com"
    rest_url: ClassVar[str] = "https://api.crypto.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/exchange/v1/market"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "mark", "funding", "open_interest")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, overlaps=True, page=150, reach="by time, 150 at once"
    )
    proof: ClassVar[str] = "pu of each book message is the u of the one before, for each instrument"

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._asked: dict[int, Channel] = {}
        """What was asked for by each id: an answer has nothing else."""

    def listing(self) -> Sequence[Request]:
        """Ask for the instruments; the list is one answer."""
        return [self._request("instruments", "get-instruments")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list: it also says which indices there are."""
        del request
        answer = wire.instruments.decode(body)
        if answer.code != 0:
            raise ValueError(f"expected a list of instruments, found error {answer.code}: {answer.message}")
        found = [each for entry in answer.result.data if (each := listed_from(entry)) is not None]
        indices = dict.fromkeys(
            entry.underlying_symbol for entry in answer.result.data if entry.inst_type in {"PERPETUAL_SWAP", "FUTURE"}
        )
        found += [index for name in indices if (index := index_from(name)) is not None]
        return [*found, *(each for one in answer.result.instruments if (each := listed_from_older(one)) is not None)]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which channels an instrument has."""
        wanted, native = set(self.config.streams), listed.native
        derived = DERIVED.get(listed.asset_class, {})
        found = [Channel(name, native) for stream, names in derived.items() if stream in wanted for name in names]
        if listed.asset_class == "index":
            return found
        if wanted & TICKER_STREAMS or self.quoted(listed):
            found.append(Channel("ticker", native))
        if "trade" in wanted:
            found.append(Channel("trade", native))
        if "book" in wanted:
            found.append(Channel(f"book.{DEPTH}", native, book=True))
        return found

    def quoted(self, listed: Listed) -> bool:
        """The book is proved and told every 10 ms, so the ticker quotes only where there is no book."""
        del listed
        return "quote" in self.config.streams and "book" not in self.config.streams

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each: its id alone says what an answer is about."""
        return [self._operation("subscribe", channel) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each."""
        return [self._operation("unsubscribe", channel) for channel in channels]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer, or a heartbeat: it wants an answer with its id within five seconds."""
        del market
        found = wire.answer.decode(frame)
        if found.method == HEARTBEAT:
            return [Reply(msgspec.json.encode({"id": found.id, "method": ANSWERED}))]
        pushed = _channel_in(bytes(found.result))
        if pushed is not None:
            return [Unknown(f"channel {pushed[:60]} which was not asked for", pushed[:60])]
        channel = self._asked.get(found.id)
        if found.code != 0:
            is_subscription = found.method == "subscribe"
            return [Refused(f"error {found.code}: {found.message}", channel if is_subscription else None)]
        if found.method == "subscribe":
            return [Acknowledged([channel] if channel is not None else ())]
        return [Alive() if found.method else Unknown("expected a method, found none")]

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for the book: to see what a silent one misses."""
        del market
        return self._request(f"book {native}", f"get-book?instrument_name={native}&depth={DEPTH}")

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades of a time, in whole milliseconds, that holds both ends."""
        query = f"instrument_name={listed.native}&count=150&start_ts={after.ts_ns // MILLISECOND_NS}"
        if before is not None:
            query += f"&end_ts={before.ts_ns // MILLISECOND_NS + 1}"
        return self._request("trades", f"get-trades?{query}")

    def probe_request(self) -> Request | None:
        """Ask for one ticker."""
        return self._request("probe", "get-tickers?instrument_name=BTC_USD")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from the channels that a recorder subscribed to: names say what they are."""
        del addresses, instruments
        names = dict.fromkeys(channel_of(text).native for frame in sent for text in _channels(frame))
        return [found for name in names if (found := named(name)) is not None]

    def _request(self, purpose: str, method: str) -> Request:
        url = (self.config.rest_url or self.rest_url).rstrip("/")
        return Request(purpose=purpose, url=f"{url}/exchange/v1/public/{method}")

    def _operation(self, method: str, channel: Channel) -> bytes:
        text = text_of(channel)
        ident = crc32(f"{method} {text}".encode())
        if method == "subscribe":
            self._asked[ident] = channel
        params: dict[str, Any] = {"channels": [text]}
        return msgspec.json.encode({"id": ident, "method": method, "params": params | BOOK if channel.book else params})


def text_of(channel: Channel) -> str:
    """Write a channel as the venue names it: ``book.BTC_USD.50``, ``trade.BTC_USD``."""
    name, _, depth = channel.name.partition(".")
    return f"{name}.{channel.native}.{depth}" if depth else f"{name}.{channel.native}"


def channel_of(text: str) -> Channel:
    """Return the channel of the venue's name for it."""
    name, *rest = text.split(".")
    if name == "book" and len(rest) > 1:
        return Channel(f"book.{rest[-1]}", ".".join(rest[:-1]), book=True)
    return Channel(name, rest[-1] if rest else "", book=name == "book")


def _channel_in(result: bytes) -> str | None:
    """Return the channel of a push; None: it is the answer to a request."""
    try:
        found = wire.pushed.decode(result) if result else None
    except msgspec.MsgspecError:
        return None
    return None if found is None or not found.channel else found.channel


def _channels(frame: str) -> Iterable[str]:
    """Yield the channels in a recorder's own frame."""
    try:
        found = wire.operation.decode(frame)
    except msgspec.MsgspecError:
        return
    if found.method == "subscribe":
        yield from found.params.channels

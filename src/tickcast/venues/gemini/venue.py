"""Gemini: what its declared dialect does not say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.venues.base import Quota, Request, VenueConfig
from tickcast.venues.declared.asking import Asked
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Channel,
    Happening,
    Limits,
    Listed,
    Print,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.gemini import wire
from tickcast.venues.gemini.dialect import DIALECT
from tickcast.venues.gemini.names import PERPETUAL, detailed, named

TRADE: Final = "trade"
QUOTE: Final = "bookTicker"
DEPTH: Final = "depth@100ms"
MARK: Final = "mark_price"
MARKS_TOLD: Final = "mark_price_updates"
MARKS: Final = "marks"
"""Endpoint of the older feed, which alone tells mark prices."""
MARKS_URL: Final = "wss://api.gemini.com"
CARRIED_OUT: Final = 200
THEN: Final = "then="
"""Begins the part of an address that says which details are asked for next; it is not sent."""
NAME: Final = re.compile(r"\b[A-Z0-9]{5,}\b")
"""An instrument in the text of an error of v2."""
STREAM: Final = re.compile(r"\b(\w+)@([\w@]+)")
"""A stream in the text of an error: ``Invalid stream name: btcusd@zzz``."""


class GeminiVenue(Venue):
    """Trades, best bids and offers and books that prove themselves; mark prices over a connection to the older feed."""

    code: ClassVar[str] = "GEMINI"
    title: ClassVar[str] = "Gemini"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=60,
        channels_at={MARKS: 50},
        channels_per_message=50,
        messages=Quota(amount=5, per_s=1.0),
        connects=Quota(amount=30, per_s=60.0),
        weight=Quota(amount=120, per_s=60.0),
    )
    url: ClassVar[str] = "wss://ws.gemini.com"
    rest_url: ClassVar[str] = "https://api.gemini.com"
    endpoints: ClassVar[Mapping[str, str]] = {"": "/?snapshot=-1", MARKS: "/v2/marketdata"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "mark")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        page=500, overlaps=True, reach="the last seven days, by id, 500 at once"
    )
    proof: ClassVar[str] = (
        "U of each difference of a book is the u of the one before; a subscription begins with the whole book, whose U "
        "is its own u"
    )

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._asked = Asked()

    def listing(self) -> Sequence[Request]:
        """Ask for the names."""
        return [Request(purpose="symbols", url=f"{self._rest}/v1/symbols")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the names, or what there is to know of one of them."""
        if is_names(request):
            return [found for name in wire.symbols.decode(body) if (found := named(name)) is not None]
        found = detailed(wire.detail.decode(body))
        return [] if found is None else [found]

    def next_page(self, request: Request, body: bytes) -> Request | None:
        """Ask for the details of what the config names, one after the other; of all there are too many."""
        if is_names(request):
            rest = [one.native.lower() for one in self.listed(request, body) if self._is_wanted(one)]
        else:
            rest = urlsplit(request.url).fragment.removeprefix(THEN).split(",")
        rest = [name for name in rest if name]
        if not rest:
            return None
        after = f"#{THEN}{','.join(rest[1:])}" if rest[1:] else ""
        return Request(purpose=f"symbol {rest[0]}", url=f"{self._rest}/v1/symbols/details/{rest[0]}{after}")

    def target(self, endpoint: str, channels: Sequence[Channel]) -> str:
        """Return the address: mark prices have a host of their own."""
        del channels
        base = self.config.url or (MARKS_URL if endpoint == MARKS else self.url)
        return base.rstrip("/") + self.endpoints[endpoint]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which streams an instrument has; perpetuals have a mark price."""
        wanted = self.config.streams
        words = {"trade": TRADE, "quote": QUOTE, "book": DEPTH}
        found = [Channel(name, listed.native, book=word == "book") for word, name in words.items() if word in wanted]
        if "mark" in wanted and listed.asset_class == "perpetual":
            found.append(Channel(MARK, listed.native, endpoint=MARKS))
        return found

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all; of v2 nothing confirms it but what the feed tells."""
        return self._frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all."""
        return self._frames("unsubscribe", channels)

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read the answer to a request; of v2 an error, or which instrument's marks come."""
        del market
        found = wire.answer.decode(frame)
        if found.type == MARKS_TOLD:
            mark = Channel(MARK, found.symbol.replace("-", ""), endpoint=MARKS)
            return [Acknowledged([mark], by_speech=True)]
        if found.result == "error":
            blamed = NAME.search(found.message)
            reason = f"{found.reason}: {found.message}"
            return [Refused(reason, Channel(MARK, blamed[0], endpoint=MARKS) if blamed else None)]
        if found.status is None:
            word = found.type or found.e
            return [Unknown(f"message of type {word[:60]!r}", kind=word[:60])]
        number = found.id if isinstance(found.id, int) else None
        if found.status == CARRIED_OUT:
            return [self._asked.confirmed(number)]
        return self._wrong(number, found)

    def _wrong(self, number: int | None, found: wire.Answer) -> Sequence[Happening]:
        """Say what a refusal means: one wrong stream refuses the whole request, and is named."""
        reason = f"{found.error.code} {found.error.msg}".strip()
        streams = [(name, native.upper()) for native, name in STREAM.findall(found.error.msg)]
        meant = [Channel(name, native, book=name == DEPTH) for name, native in streams]
        return self._asked.refused(number, reason, meant=meant)

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades from the last one known on, with it."""
        del before
        query = f"limit_trades=500&since_tid={after.ident - 1}"
        return Request(purpose="trades", url=f"{self._rest}/v1/trades/{listed.native.lower()}?{query}")

    def probe_request(self) -> Request | None:
        """Ask for one price."""
        return Request(purpose="probe", url=f"{self._rest}/v1/pubticker/btcusd")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the instruments of a recorder's subscriptions; without any, what the symbols say."""
        del addresses
        names = dict.fromkeys(_natives(sent)) or dict.fromkeys(symbol.replace("-", "") for symbol in instruments)
        return [found for name in names if (found := named(name)) is not None]

    def _frames(self, word: str, channels: Sequence[Channel]) -> list[bytes]:
        streams = [channel for channel in channels if channel.endpoint != MARKS]
        marks = [_symbol(channel) for channel in channels if channel.endpoint == MARKS]
        frames = []
        if streams:
            number = self._asked.number(streams if word == "subscribe" else ())
            names = [f"{channel.native.lower()}@{channel.name}" for channel in streams]
            frames.append(msgspec.json.encode(wire.Asked(number, word, names)))
        if marks:
            frames.append(msgspec.json.encode(wire.OlderAsked(word, [wire.Subscription(MARK, marks)])))
        return frames

    def _is_wanted(self, listed: Listed) -> bool:
        return any(fnmatchcase(listed.symbol, symbol) for symbol in self.config.symbols)

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/")


def is_names(request: Request) -> bool:
    """Whether a request asks for the names of all instruments."""
    return urlsplit(request.url).path.rstrip("/").endswith("/symbols")


def _symbol(channel: Channel) -> str:
    """Write a name as the feed of mark prices wants it: with hyphens."""
    found = named(channel.native) if channel.native.endswith(PERPETUAL) else None
    return found.symbol if found is not None else channel.native


def _natives(sent: Sequence[str]) -> Iterable[str]:
    """Yield the names that a recorder's own frames have."""
    for frame in sent:
        with suppress(msgspec.MsgspecError):
            asked = wire.asked.decode(frame)
            if asked.method.lower() == "subscribe":
                yield from (stream.partition("@")[0].upper() for stream in asked.params)
        with suppress(msgspec.MsgspecError):
            older = wire.older_asked.decode(frame)
            if older.type == "subscribe":
                for subscription in older.subscriptions:
                    yield from (symbol.replace("-", "") for symbol in subscription.symbols)

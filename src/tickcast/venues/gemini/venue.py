"""Gemini v2: what its declared dialect does not say."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.venues.base import Quota, Request
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Alive,
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

L2: Final = "l2"
MARK: Final = "mark_price"
THEN: Final = "then="
"""Begins the part of an address that says which details are asked for next; it is not sent."""
NAME: Final = re.compile(r"\b[A-Z0-9]{5,}\b")
"""An instrument in the text of an error."""


class GeminiVenue(Venue):
    """One channel gives book and trades; nothing proves the books, which are compared over REST."""

    code: ClassVar[str] = "GEMINI"
    title: ClassVar[str] = "Gemini v2"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=50,
        channels_per_message=50,
        messages=Quota(amount=5, per_s=1.0),
        connects=Quota(amount=30, per_s=60.0),
        weight=Quota(amount=120, per_s=60.0),
    )
    url: ClassVar[str] = "wss://api.gemini.com"
    rest_url: ClassVar[str] = "https://api.gemini.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/v2/marketdata"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "mark")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        page=500, overlaps=True, reach="the last seven days, by id, 500 at once"
    )
    proof: ClassVar[str] = (
        "nothing: the messages of v2 have neither numbers nor checksums; a book that crosses is broken, and books are "
        "compared with REST"
    )

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

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Book and trades come together; perpetuals have a mark price."""
        wanted = set(self.config.streams)
        found = [Channel(L2, listed.native, book=True)] if wanted & {"trade", "quote", "book"} else []
        if "mark" in wanted and listed.asset_class == "perpetual":
            found.append(Channel(MARK, listed.native))
        return found

    def quoted(self, listed: Listed) -> bool:
        """There is no stream of the best bid and offer: the book gives it."""
        del listed
        return False

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each feed; nothing confirms it but what the feed tells."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each feed."""
        return _frames("unsubscribe", channels)

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an error, or an answer of the newer feed."""
        del market
        found = wire.answer.decode(frame)
        if found.result == "error":
            blamed = NAME.search(found.message)
            reason = f"{found.reason}: {found.message}"
            return [Refused(reason, Channel(L2, blamed[0], book=True) if blamed else None)]
        if found.id is not None and found.status is not None:
            return [Alive()]
        return [Unknown(f"message of type {found.type[:60]!r}")]

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book, to compare with."""
        del market
        depth = self.config.depth_limit
        query = f"limit_bids={depth}&limit_asks={depth}"
        return Request(purpose="", url=f"{self._rest}/v1/book/{native.lower()}?{query}")

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
        names = dict.fromkeys(_asked(sent)) or dict.fromkeys(symbol.replace("-", "") for symbol in instruments)
        return [found for name in names if (found := named(name)) is not None]

    def _is_wanted(self, listed: Listed) -> bool:
        return any(fnmatchcase(listed.symbol, symbol) for symbol in self.config.symbols)

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/")


def is_names(request: Request) -> bool:
    """Whether a request asks for the names of all instruments."""
    return urlsplit(request.url).path.rstrip("/").endswith("/symbols")


def _symbol(channel: Channel) -> str:
    """Write a name as its feed wants it: that of mark prices with hyphens."""
    found = named(channel.native) if channel.name == MARK and channel.native.endswith(PERPETUAL) else None
    return found.symbol if found is not None else channel.native


def _frames(word: str, channels: Sequence[Channel]) -> list[bytes]:
    by_name: dict[str, list[str]] = {}
    for channel in channels:
        by_name.setdefault(channel.name, []).append(_symbol(channel))
    return [
        msgspec.json.encode(wire.Asked(word, [wire.Subscription(name, symbols)])) for name, symbols in by_name.items()
    ]


def _asked(sent: Sequence[str]) -> Iterable[str]:
    """Yield the names that a recorder's own frames have."""
    for frame in sent:
        try:
            asked = wire.asked.decode(frame)
        except msgspec.MsgspecError:
            continue
        if asked.type == "subscribe":
            for subscription in asked.subscriptions:
                yield from (symbol.replace("-", "") for symbol in subscription.symbols)

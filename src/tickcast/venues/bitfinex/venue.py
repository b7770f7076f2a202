"""Bitfinex v2: what its declared dialect does not say."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request, VenueConfig
from tickcast.venues.bitfinex import wire
from tickcast.venues.bitfinex.dialect import FLAGS, dialect
from tickcast.venues.bitfinex.names import PREFIX, STATUS, is_pair, listed_from, named, native_from
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
    Repeated,
    Status,
    TradeHistory,
    Unknown,
    Venue,
)

MILLISECOND_NS: Final = 1_000_000
BOOK: Final = "book"
TRADES: Final = "trades"
TICKER: Final = "ticker"
STATUSES: Final = "status"
LIQUIDATIONS: Final = "liq:global"
"""Key of the one channel that tells all liquidations; the channel's name here."""
DERIVED: Final = frozenset({"mark", "funding", "open_interest"})
LENGTHS: Final = (25, 100, 250)
"""Levels a side that a book may be asked for with; the checksum covers 25."""
LISTS: Final[Mapping[str, str]] = {"exchange": "pub:list:pair:exchange", "futures": "pub:list:pair:futures"}
"""Words of the config's ``markets`` to the venue's lists."""
MAINTENANCE: Final = "20060"
LEAVING: Final[Mapping[str, str]] = {
    "20051": "the server restarts",
    "20061": "maintenance is over, everything is to be subscribed anew",
}
"""Codes of ``info`` after which the connection is opened anew."""
REPEATED: Final = "10301"
"""Code of an error: subscribed to already."""


class BitfinexVenue(Venue):
    """Spot pairs and perpetuals; the best bid and offer comes from the book, which is proved, where there is one."""

    code: ClassVar[str] = "BITFINEX"
    title: ClassVar[str] = "Bitfinex v2"
    dialect: Dialect = dialect()
    limits: ClassVar[Limits] = Limits(
        channels_per_link=25,
        channels_per_message=1,
        messages=Quota(amount=20, per_s=1.0),
        connects=Quota(amount=20, per_s=60.0),
        weight=Quota(amount=15, per_s=60.0),
    )
    url: ClassVar[str] = "wss://api-pub.bitfinex.com"
    rest_url: ClassVar[str] = "https://api-pub.bitfinex.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/ws/2"}
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
    ping_interval_s: ClassVar[float] = 15.0
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        page=10_000, pages_max=5, overlaps=True, reach="all trades, by time, 10,000 at once"
    )
    proof: ClassVar[str] = (
        "one number counts all messages of a connection (SEQ_ALL); a CRC32 of the 25 best levels a side in messages of "
        "their own checks each book"
    )

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self.dialect = dialect()

    def listing(self) -> Sequence[Request]:
        """Ask for the pairs, spot and derivatives apart."""
        wanted = [name for word, name in LISTS.items() if not self.config.markets or word in self.config.markets]
        return [Request(purpose=f"pairs {name}", url=f"{self._rest}/v2/conf/{name}") for name in wanted]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list of names: they say all that the venue lists of a pair."""
        del request
        lists = wire.pairs.decode(body)
        if len(lists) != 1:
            raise ValueError(f"expected one list of pairs, found {len(lists)}")
        return [found for native in lists[0] if (found := listed_from(native)) is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Trades and the book; the ticker for the figures of the day, and for quotes where there is no book."""
        wanted = set(self.config.streams)
        found = []
        if "trade" in wanted:
            found.append(Channel(TRADES, listed.native))
        if "book" in wanted:
            found.append(Channel(BOOK, listed.native, book=True))
        if "ticker" in wanted or self.quoted(listed):
            found.append(Channel(TICKER, listed.native))
        if wanted & DERIVED and listed.asset_class == "perpetual":
            found.append(Channel(STATUSES, listed.native))
        return found

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """One channel tells the liquidations of all perpetuals."""
        has_any = any(one.asset_class == "perpetual" for one in listed)
        return [Channel(LIQUIDATIONS)] if has_any and "liquidation" in self.config.streams else []

    def quoted(self, listed: Listed) -> bool:
        """The ticker is slower than the book, and has no sizes of the best levels."""
        del listed
        return "quote" in self.config.streams and "book" not in self.config.streams

    def hello(self) -> Sequence[bytes]:
        """Switch on numbers, checksums and times, before anything is subscribed to."""
        return [msgspec.json.encode({"event": "conf", "flags": FLAGS})]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a message for each channel."""
        return [msgspec.json.encode({"event": "subscribe", **self._asked(channel)}) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a message for each, by the number that the venue gave it; without one it was never confirmed."""
        return [
            msgspec.json.encode({"event": "unsubscribe", "chanId": int(channel.handle)})
            for channel in channels
            if channel.handle
        ]

    def ping(self) -> bytes | None:
        """Answered by a ``pong``."""
        return b'{"event":"ping","cid":1}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an event."""
        del market
        found = wire.event.decode(frame)
        if found.event in {"unsubscribed", "pong"} or (found.event == "conf" and found.status == "OK"):
            return [Alive()]
        match found.event:
            case "subscribed":
                return [Acknowledged([_channel(found)])]
            case "error":
                return [_refusal(found)]
            case "info":
                return [_notice(found)]
            case "conf":
                return [Refused(f"conf: expected OK, found {found.status or found.msg}", fatal=True)]
        return [Unknown(f"event {found.event[:60]!r}")]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades from the time of the last one known on, oldest first."""
        query = f"limit=10000&sort=1&start={after.ts_ns // MILLISECOND_NS}"
        if before is not None:
            query += f"&end={before.ts_ns // MILLISECOND_NS + 1}"
        return Request(purpose="trades", url=f"{self._rest}/v2/trades/t{listed.native}/hist?{query}")

    def probe_request(self) -> Request | None:
        """Ask whether the platform trades."""
        return Request(purpose="probe", url=f"{self._rest}/v2/platform/status")

    def learn(self, frame: bytes) -> None:
        """Take what a recorder had switched on: it moves what stands at the end of a message."""
        if b'"conf"' not in frame:
            return
        try:
            found = wire.event.decode(frame)
        except msgspec.MsgspecError:
            return
        if found.event == "conf":
            self.dialect = dialect(found.flags)

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the pairs of a recorder's subscriptions; without any, what the symbols say."""
        del addresses
        if not sent:
            return [found for symbol in instruments if (found := named(symbol)) is not None]
        natives: dict[str, None] = {}
        for frame in sent:
            try:
                asked = wire.asked.decode(frame)
            except msgspec.MsgspecError:
                continue
            symbol = asked.symbol or asked.key or asked.pair
            if asked.event == "subscribe" and symbol != LIQUIDATIONS and is_pair(symbol):
                natives[native_from(symbol)] = None
        return [found for native in natives if (found := listed_from(native)) is not None]

    def _asked(self, channel: Channel) -> dict[str, str]:
        match channel.name:
            case "liq:global":  # LIQUIDATIONS
                return {"channel": STATUSES, "key": LIQUIDATIONS}
            case "status":
                return {"channel": STATUSES, "key": f"{STATUS}{channel.native}"}
            case "book":
                length = next((one for one in LENGTHS if one >= self.config.depth), LENGTHS[-1])
                book = {"prec": "P0", "freq": "F0", "len": str(length)}
                return {"channel": BOOK, "symbol": f"{PREFIX}{channel.native}", **book}
        return {"channel": channel.name, "symbol": f"{PREFIX}{channel.native}"}

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/")


def _channel(found: wire.Event) -> Channel:
    """Return the channel that an event is about."""
    handle = "" if found.chan_id is None else str(found.chan_id)
    if found.key == LIQUIDATIONS:
        return Channel(LIQUIDATIONS, handle=handle)
    native = native_from(found.symbol or found.key or found.pair)
    return Channel(found.channel, native, book=found.channel == BOOK, handle=handle)


def _refusal(found: wire.Event) -> Happening:
    code = str(found.code)
    if code == REPEATED and found.channel:
        return Repeated(
            f"{found.channel} {found.symbol or found.key}: the number of the channel was lost", _channel(found)
        )
    reason = f"error {code}: {found.msg}"
    return Refused(reason, _channel(found) if found.channel else None)


def _notice(found: wire.Event) -> Happening:
    code = str(found.code)
    if code in LEAVING:
        return Leaving(f"info {code}: {LEAVING[code]}")
    if code == MAINTENANCE:
        return Status("", State.HALTED, reason=found.msg or "maintenance")
    if found.platform is not None:
        trades = found.platform.status == 1
        return Status("", State.LIVE if trades else State.HALTED, reason="" if trades else "maintenance")
    return Alive()

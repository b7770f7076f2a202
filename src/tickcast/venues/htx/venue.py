"""HTX: lists, subscriptions and cold messages."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.venues.base import Request
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    ClockReading,
    Happening,
    Leaving,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    Reply,
    Status,
    TradeHistory,
    Unknown,
    Venue,
    Withheld,
)
from tickcast.venues.htx import wire
from tickcast.venues.htx.dialect import DEPTH, DIALECT
from tickcast.venues.htx.names import contract_from, from_symbol, market_of, named, pair_from, state_of

DERIVATIVES: Final = "wss://api.hbdm.com"
DERIVATIVES_REST: Final = "https://api.hbdm.com"
PAIRS: Final = "/v1/common/symbols"
CONTRACTS: Final = {
    "linear": "/linear-swap-api/v1/swap_contract_info?business_type=all",
    "inverse": "/swap-api/v1/swap_contract_info",
}
INTEREST: Final = {
    "linear": "/linear-swap-api/v1/swap_open_interest",
    "inverse": "/swap-api/v1/swap_open_interest",
}
HISTORIES: Final = {
    "spot": ("symbol", ""),
    "linear": ("contract_code", "/linear-swap-ex"),
    "inverse": ("contract_code", "/swap-ex"),
}
"""How the newest trades of a market are asked for: name of the instrument's parameter, beginning of the path."""
INCREMENTAL: Final = f"depth.size_{DEPTH}.high_freq"
MBP: Final = f"mbp.{DEPTH}"
BOOKS: Final = (INCREMENTAL, MBP)
MARKET_CHANNELS: Final = {"trade": "trade.detail", "quote": "bbo", "ticker": "detail"}
"""Of every instrument, on the market's own address."""
PUBLIC_CHANNELS: Final = {"funding": "funding_rate", "liquidation": "liquidation_orders", "status": "contract_info"}
"""Of contracts, on the market's address for notifications."""
VALUES: Final = ("mark_price.1min", "index.1min")
"""Candles of a minute, whose close is the newest value; on an address that serves all contracts."""
TOPIC: Final = re.compile(r"\b(?:market|public)\.([^.\"*]+)\.([^\"]+)")
TOO_SOON: Final = "too many request"
ALIVE: Final = frozenset({"unsub", "auth", "pong"})


class HtxVenue(Venue):
    """HTX, public channels of three markets."""

    code: ClassVar[str] = "HTX"
    title: ClassVar[str] = "HTX"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=100,
        channels_at={"spot books": 30},
        channels_per_message=10,
        messages=Quota(amount=20, per_s=1.0),
        asks=Quota(amount=1, per_s=0.12),
        weight=Quota(amount=100, per_s=3.0),
    )
    url: ClassVar[str] = "wss://api.huobi.pro"
    rest_url: ClassVar[str] = "https://api.huobi.pro"
    endpoints: ClassVar[Mapping[str, str]] = {
        "spot": "/ws",
        "spot books": "/feed",
        "linear": "/linear-swap-ws",
        "inverse": "/swap-ws",
        "linear notices": "/linear-swap-notification",
        "inverse notices": "/swap-notification",
        "values": "/ws_index",
    }
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
    clock: ClassVar[ClockReading | None] = ClockReading(path="data", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, page=2000, pages_max=1, overlaps=True, reach="the newest 2,000"
    )
    proof: ClassVar[str] = (
        "spot: prevSeqNum of each mbp message is the seqNum of the one before, from a book requested on the same "
        "connection; swaps: version of each message is the one before + 1"
    )

    def listing(self) -> Sequence[Request]:
        """Ask for the pairs and the contracts of each market."""
        markets = self.config.markets
        found = [self._request("spot", "instruments spot", PAIRS)] if not markets or "spot" in markets else []
        return found + [
            self._request(market, f"instruments {market}", path)
            for market, path in CONTRACTS.items()
            if not markets or market in markets
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list; contracts tell by their names whether they are linear."""
        if urlsplit(request.url).path.endswith("/symbols"):
            pairs = wire.pairs.decode(body)
            _check(pairs.status, pairs.err_msg)
            return [found for pair in pairs.data if (found := pair_from(pair)) is not None]
        contracts = wire.contracts.decode(body)
        _check(contracts.status, contracts.err_msg)
        return [found for each in contracts.data if (found := contract_from(each)) is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which channels an instrument has."""
        wanted, native, market = self.config.streams, listed.native, market_of(listed)
        found = [Channel(name, native, endpoint=market) for stream, name in MARKET_CHANNELS.items() if stream in wanted]
        if "book" in wanted and market == "spot":
            found.append(Channel(MBP, native, endpoint="spot books", book=True))
        elif "book" in wanted:
            found.append(Channel(INCREMENTAL, native, endpoint=market, book=True))
        if market == "spot":
            return found
        if "mark" in wanted:
            found += [Channel(name, native, endpoint="values") for name in VALUES]
        notices = [
            name
            for stream, name in PUBLIC_CHANNELS.items()
            if stream in wanted and (stream != "funding" or listed.asset_class == "perpetual")
        ]
        return found + [Channel(name, native, endpoint=f"{market} notices") for name in notices]

    def target(self, endpoint: str, channels: Sequence[Channel]) -> str:
        """Return the address: contracts have a host of their own."""
        del channels
        default = self.url if endpoint.startswith("spot") else DERIVATIVES
        return (self.config.url or default).rstrip("/") + self.endpoints[endpoint]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each: an answer names one channel."""
        return [_operation("sub", channel) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each."""
        return [_operation("unsub", channel) for channel in channels]

    def ask_book(self, channel: Channel) -> bytes | None:
        """Ask for a spot book on its own connection; a swap's channel begins with one when it is subscribed anew."""
        if channel.name != MBP:
            return None
        topic = _topic(channel)
        return msgspec.json.encode({"req": topic, "id": f"req {topic}"})

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read a ping, an answer, or a notice."""
        del market
        found = wire.cold.decode(frame)
        if found.ping is not None:
            return [Reply(b'{"pong":%d}' % found.ping)]
        if found.op:
            return _notice(found)
        if found.subbed and found.status == "ok":
            return [Acknowledged([_channel(found.subbed)])]
        if found.status == "error":
            return [_refusal(found)]
        if found.unsubbed or found.pong is not None:
            return [Alive()]
        known = found.ch or found.rep
        return [Unknown(f"channel {known[:60]} which was not asked for", known.partition(".")[2].partition(".")[2])]

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for a contract's open interest."""
        market = market_of(listed)
        if "open_interest" not in self.config.streams or market == "spot":
            return ()
        return [self._request(market, "", f"{INTEREST[market]}?contract_code={listed.native}")]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the newest trades: the venue tells no others."""
        del after, before
        market = market_of(listed)
        name, path = HISTORIES[market]
        return self._request(market, "trades", f"{path}/market/history/trade?{name}={listed.native}&size=2000")

    def probe_request(self) -> Request | None:
        """Ask for the time of the host that is used."""
        if self.config.markets and "spot" not in self.config.markets:
            return self._request("linear", "probe", "/api/v1/timestamp")
        return self._request("spot", "probe", "/v1/common/timestamp")

    def clock_request(self) -> Request | None:
        """Ask the host of spot, whichever markets are streamed: both answer in milliseconds, each in its own way."""
        return self._request("spot", "clock", "/v1/common/timestamp")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from what a recorder subscribed to: HTX's names say what they are."""
        del addresses
        names = dict.fromkeys(found[1] for frame in sent if "sub" in frame for found in TOPIC.finditer(frame))
        chosen = [named(name) for name in names] or [from_symbol(symbol) for symbol in instruments]
        return [each for each in chosen if each is not None]

    def _request(self, market: str, purpose: str, path: str) -> Request:
        default = self.rest_url if market == "spot" else DERIVATIVES_REST
        return Request(purpose=purpose, url=(self.config.rest_url or default).rstrip("/") + path)


# ------------------------------------------------------------------ messages


def _topic(channel: Channel) -> str:
    kind = "public" if channel.name in PUBLIC_CHANNELS.values() else "market"
    return f"{kind}.{channel.native}.{channel.name}"


def _channel(topic: str) -> Channel:
    """Return the channel that a topic stands for."""
    _, _, rest = topic.partition(".")
    native, _, name = rest.partition(".")
    return Channel(name, native, book=name in BOOKS)


def _operation(word: str, channel: Channel) -> bytes:
    """Write a frame whose answer names the topic again, in ``id`` or ``cid``, also when it is refused."""
    topic = _topic(channel)
    if topic.startswith("public."):
        return msgspec.json.encode({"op": word, "cid": topic, "topic": topic})
    operation = {word: topic, "id": topic}
    if channel.name == INCREMENTAL:
        operation["data_type"] = "incremental"
    return msgspec.json.encode(operation)


def _refusal(found: wire.Cold) -> Happening:
    """Read an error: of a subscription, or of a request for a book."""
    reason = f"error {found.err_code}: {found.err_msg}"
    asked = bytes(found.id).decode().strip('"') if found.id else ""
    if asked.startswith("req "):
        book = _channel(asked.removeprefix("req "))
        return Withheld(book, f"expected a book for {asked}, found {reason}", too_soon=TOO_SOON in found.err_msg)
    named_topic = TOPIC.fullmatch(asked)
    return Refused(reason, _channel(asked) if named_topic else None)


def _notice(found: wire.Cold) -> Sequence[Happening]:
    """Read what an address for notifications says."""
    if found.op == "ping":
        return [Reply(b'{"op":"pong","ts":%s}' % bytes(found.ts))]
    if found.op == "close":
        return [Leaving("the venue closes the connection")]
    if found.op == "error" or found.err_code not in {0, "0", ""}:
        topic = found.topic or found.cid
        return [Refused(f"error {found.err_code}: {found.err_msg}", _channel(topic) if topic else None)]
    if found.op == "sub":
        return [Acknowledged([_channel(found.topic)])]
    if found.op == "notify" and found.topic.endswith(".contract_info"):
        return [
            Status(row.contract_code, state_of(row), reason=f"HTX: contract_status {row.contract_status}")
            for row in wire.changed.decode(found.data)
        ]
    return [
        Alive()
        if found.op in ALIVE
        else Unknown(f"{found.op} {found.topic[:60]} which was not asked for", found.topic.rpartition(".")[2])
    ]


def _check(status: str, text: str) -> None:
    if status != "ok":
        raise ValueError(f"expected a list of instruments, found status {status}: {text}")

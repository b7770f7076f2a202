"""Bitget v2: lists, subscriptions and cold messages."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.venues.base import Request
from tickcast.venues.bitget import wire
from tickcast.venues.bitget.dialect import DIALECT, MARKETS, SPOT
from tickcast.venues.bitget.names import contract_from, from_symbol, named, pair_from
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
    Quota,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)

PAIRS: Final = "/api/v2/spot/public/symbols"
CONTRACTS: Final = "/api/v2/mix/market/contracts"
CHANNELS: Final = {"trade": "trade", "quote": "books1", "book": "books"}
TICKER_STREAMS: Final = frozenset({"ticker", "mark", "funding", "open_interest"})
"""All of these ride on the channel ``ticker`` of futures."""
OF_WORD: Final = {word.lower(): market for market, word in MARKETS.items()}
"""Markets by the venue's word, however it is written."""


class BitgetVenue(Venue):
    """Bitget v2, public channels of four markets at one address."""

    code: ClassVar[str] = "BITGET"
    title: ClassVar[str] = "Bitget v2"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=48,
        channels_per_message=24,
        messages=Quota(amount=240, per_s=3600.0),
        connects=Quota(amount=300, per_s=300.0),
        weight=Quota(amount=20, per_s=1.0),
    )
    url: ClassVar[str] = "wss://ws.bitget.com"
    rest_url: ClassVar[str] = "https://api.bitget.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/v2/ws/public"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "mark", "funding", "open_interest")
    ping_interval_s: ClassVar[float] = 25.0
    clock: ClassVar[ClockReading | None] = ClockReading(path="data.serverTime", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, overlaps=True, reach="pairs 30 days, futures 90, 1,000 at once"
    )
    proof: ClassVar[str] = (
        "pseq of each book message is the seq of the one before, for each instrument; a checksum of 25 levels where it "
        "is not 0"
    )

    def listing(self) -> Sequence[Request]:
        """Ask for each market's list."""
        wanted = [market for market in MARKETS if not self.config.markets or market in self.config.markets]
        return [
            self._request(
                f"instruments {market}", PAIRS if market == SPOT else f"{CONTRACTS}?productType={MARKETS[market]}"
            )
            for market in wanted
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list."""
        parts = urlsplit(request.url)
        if parts.path.endswith("/symbols"):
            pairs = wire.pairs.decode(body)
            _check(pairs.code, pairs.msg)
            return [found for pair in pairs.data or [] if (found := pair_from(pair)) is not None]
        contracts = wire.contracts.decode(body)
        _check(contracts.code, contracts.msg)
        market = OF_WORD.get(parts.query.partition("=")[2].lower(), "usdt")
        return [found for each in contracts.data or [] if (found := contract_from(each, market)) is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which channels an instrument has."""
        wanted = set(self.config.streams)
        names = [name for stream, name in CHANNELS.items() if stream in wanted]
        if wanted & ({"ticker"} if listed.market == SPOT else TICKER_STREAMS):
            names.append("ticker")
        return [Channel(name, listed.native, listed.market, book=name == CHANNELS["book"]) for name in names]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one frame for all of them."""
        return [_operation("subscribe", channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one frame for all of them."""
        return [_operation("unsubscribe", channels)]

    def ping(self) -> bytes | None:
        """Write the text that is answered by ``pong``."""
        return b"ping"

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer to what we sent."""
        del market
        if frame == b"pong":
            return [Alive()]
        found = wire.cold.decode(frame)
        channel = None if found.arg is None else _channel(found.arg)
        if found.event == "subscribe" and channel is not None:
            return [Acknowledged([channel])]
        if found.event == "error":
            return [
                Refused(f"error {found.code}: {found.msg}", channel if channel is not None and channel.name else None)
            ]
        if found.event in {"unsubscribe", "login"}:
            return [Alive()]
        if found.event or channel is None:
            return [Unknown(f"expected an event or a channel's push, found {found.event or 'neither'}")]
        return [Unknown(f"channel {channel.name[:60]} which was not asked for", channel.name)]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades up to an id, with it, or the newest."""
        del after
        older = "" if before is None else f"&idLessThan={before.ident + 1}"
        query = f"symbol={listed.native}&limit=1000{older}"
        if listed.market == "spot":
            return self._request("trades", f"/api/v2/spot/market/fills-history?{query}")
        return self._request("trades", f"/api/v2/mix/market/fills-history?productType={MARKETS[listed.market]}&{query}")

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request("probe", "/api/v2/public/time")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from what a recorder subscribed to."""
        del addresses
        names = dict.fromkeys((channel.market, channel.native) for channel in _channels(sent) if channel.native)
        chosen = [named(native, market) for market, native in names if market]
        return [each for each in chosen or [from_symbol(symbol) for symbol in instruments] if each is not None]

    def _request(self, purpose: str, path: str) -> Request:
        return Request(purpose=purpose, url=(self.config.rest_url or self.rest_url).rstrip("/") + path)


# ------------------------------------------------------------------ messages


def _operation(word: str, channels: Sequence[Channel]) -> bytes:
    arguments = [
        {"instType": MARKETS.get(channel.market, channel.market), "channel": channel.name, "instId": channel.native}
        for channel in channels
    ]
    return msgspec.json.encode({"op": word, "args": arguments})


def _channel(argument: wire.Argument) -> Channel:
    """Return the channel that an argument stands for."""
    name, native = argument.channel or argument.topic, argument.inst_id or argument.symbol
    return Channel(name, native, OF_WORD.get(argument.inst_type.lower(), ""), book=name == CHANNELS["book"])


def _channels(sent: Sequence[str]) -> Iterable[Channel]:
    """Yield the channels in a recorder's own frames."""
    for frame in sent:
        try:
            operation = wire.operation.decode(frame)
        except msgspec.MsgspecError:
            continue
        if operation.op == "subscribe":
            yield from map(_channel, operation.args)


def _check(code: str, text: str) -> None:
    if code != "00000":
        raise ValueError(f"expected a list of instruments, found error {code}: {text}")

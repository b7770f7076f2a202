"""Binance spot's messages, as far as we read them (documentation: "WebSocket Streams", "Market Data endpoints")."""

from typing import Generic, TypeVar

import msgspec

Levels = list[tuple[str, str]]


class BookTicker(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer, in real time; without any time."""

    u: int
    b: str
    B: str
    a: str
    A: str


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade: id ``t``."""

    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTrade(msgspec.Struct, frozen=True, gc=False):
    """Trades of one taker order at one price: id ``a``, of the trades ``f`` to ``l``."""

    a: int
    p: str
    q: str
    T: int
    m: bool


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """Changed levels of the update ids ``U`` to ``u``."""

    E: int
    U: int
    u: int
    b: Levels
    a: Levels


Payload = TypeVar("Payload", bound=msgspec.Struct)


class Combined(msgspec.Struct, Generic[Payload], frozen=True, gc=False):
    """A combined stream's envelope; the stream's name is read before."""

    data: Payload


class AnyEnvelope(msgspec.Struct, frozen=True, gc=False):
    """What is read of a frame that is nothing of the above."""

    stream: str | None = None
    id: int | str | None = None
    result: object = None
    error: object = None
    e: str | None = None


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False):
    """REST ``/api/v3/depth``."""

    lastUpdateId: int  # noqa: N815  the venue's spelling
    bids: Levels
    asks: Levels


class Filter(msgspec.Struct, frozen=True, gc=False):
    """A trading rule of a symbol."""

    filterType: str = ""  # noqa: N815
    tickSize: str | None = None  # noqa: N815
    stepSize: str | None = None  # noqa: N815


class SymbolInfo(msgspec.Struct, frozen=True, gc=False):
    """A symbol of ``/api/v3/exchangeInfo``."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[Filter] = []


class ExchangeInfo(msgspec.Struct, frozen=True, gc=False):
    """REST ``/api/v3/exchangeInfo``."""

    symbols: list[SymbolInfo]


book_ticker = msgspec.json.Decoder(Combined[BookTicker])
trade = msgspec.json.Decoder(Combined[Trade])
agg_trade = msgspec.json.Decoder(Combined[AggTrade])
depth_update = msgspec.json.Decoder(Combined[DepthUpdate])
any_envelope = msgspec.json.Decoder(AnyEnvelope)
depth_snapshot = msgspec.json.Decoder(DepthSnapshot)
exchange_info = msgspec.json.Decoder(ExchangeInfo)

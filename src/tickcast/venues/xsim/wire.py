"""XSIM's REST answers: a made-up exchange that can only be polled (its interface is described in ``NOTES.md``)."""

from typing import Literal

import msgspec

from tickcast.model.instrument import AssetClass


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``GET /v1/instruments``."""

    symbol: str
    asset_class: AssetClass = msgspec.field(name="class")
    currency: str
    tick: str | None = None
    lot: str | None = None
    prev_close: str | None = None


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """``GET /v1/instruments``."""

    instruments: list[Instrument]


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer and status of one instrument."""

    symbol: str
    time: str
    status: Literal["open", "halted", "closed"]
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade; its id is a text."""

    id: str
    symbol: str
    price: str
    size: str
    time: str
    side: Literal["buy", "sell"] | None = None


class Market(msgspec.Struct, frozen=True, gc=False):
    """``GET /v1/market``: what changed since a cursor, or all."""

    cursor: str
    tickers: list[Ticker]
    trades: list[Trade]
    more: bool = False


instruments = msgspec.json.Decoder(Instruments)
market = msgspec.json.Decoder(Market)

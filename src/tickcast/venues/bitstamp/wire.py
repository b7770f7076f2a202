"""Bitstamp's lists and cold messages, as far as we read them."""

from decimal import Decimal

import msgspec


class Market(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``GET /api/v2/markets/``, or of ``/api/v2/trading-pairs-info/`` in recordings."""

    name: str
    """``BTC/USD``, ``BTC/USD-PERP``."""
    market_symbol: str = ""
    url_symbol: str = ""
    """The older list's ``market_symbol``."""
    base_currency: str = ""
    counter_currency: str = ""
    base_decimals: int = 8
    counter_decimals: int | None = None
    trading: str = "Enabled"
    market_type: str = "SPOT"
    tick_size: Decimal | None = None
    contract_size: Decimal | None = None


class Data(msgspec.Struct, frozen=True, gc=False):
    """What a cold message says, or a subscription names."""

    channel: str = ""
    code: int | str | None = None
    message: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A cold message."""

    event: str = ""
    channel: str = ""
    data: Data | str | None = None
    """A text, always empty, of some messages of former years."""


markets = msgspec.json.Decoder(list[Market])
event = msgspec.json.Decoder(Event)

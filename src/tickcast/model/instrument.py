"""What an instrument is: a hash cannot be inverted, so a definition goes before the first tick."""

from typing import Literal

import msgspec

AssetClass = Literal["equity", "crypto", "perpetual", "future", "option", "index", "fx", "sensor"]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument as a venue lists it.

    ``symbol`` follows the house symbology: equities by ticker, crypto ``BASE-QUOTE``, perpetuals
    ``BASE-QUOTE-PERP``, dated futures ``BASE-QUOTE-YYYYMMDD``, options ``BASE-QUOTE-YYYYMMDD-STRIKE-C|P``.
    """

    instrument: int
    """xxh3-64 of ``VENUE:SYMBOL``."""
    venue: str
    """The market's MIC (``XNAS``) or the venue's code (``BINANCE``)."""
    symbol: str
    """Without the venue: ``AAPL``, ``BTC-USDT``."""
    feed: str
    """Name of the feed that defined it; its health is the instrument's health."""
    security: str
    """What is consolidated: a declared group of instruments in one currency. By default the symbol."""
    asset_class: AssetClass
    currency: str
    native_symbol: str = ""
    """As the venue spells it; empty when equal to ``symbol``."""
    tick_size: str | None = None
    """Decimal text; None where the venue does not say."""
    lot_size: str | None = None
    contract_size: str | None = None
    calendar: str = "24/7"
    """Name of the session calendar: ``24/7`` (UTC days) or one of exchange_calendars', such as ``XNYS``."""
    time_precision: int = 9
    """Digits of a second in the venue's event times: 3, 6 or 9."""
    primary: bool = False
    """Open, high, low and previous close of the security are this instrument's."""
    settle_currency: str | None = None
    """Of contracts: what profit and loss are paid in."""
    underlying: str | None = None
    """Of derivatives: house symbol of what they derive from."""
    strike: str | None = None
    """Of options: decimal text."""
    expiry: str | None = None
    """Of futures and options: RFC 3339, UTC."""
    option_type: Literal["call", "put"] | None = None
    on_demand: bool = False
    """It is streamed only while somebody watches it."""

    @property
    def name(self) -> str:
        """``VENUE:SYMBOL``."""
        return f"{self.venue}:{self.symbol}"

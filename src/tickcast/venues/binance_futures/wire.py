"""Binance USD-M futures over REST, as far as we read it (page "Exchange Information")."""

import msgspec

from tickcast.venues.binance.wire import Filter


class Contract(msgspec.Struct, frozen=True, gc=False):
    """A contract of ``/fapi/v1/exchangeInfo``, or of ``/dapi/v1/exchangeInfo`` in recordings."""

    symbol: str
    baseAsset: str  # noqa: N815  the venue's spelling
    quoteAsset: str  # noqa: N815
    status: str = ""
    contractStatus: str = ""  # noqa: N815
    """Coin-margined contracts' ``status``."""
    contractSize: int = 1  # noqa: N815
    """Of coin-margined contracts, in the quote currency; others are counted in the base."""
    marginAsset: str = ""  # noqa: N815
    contractType: str = "PERPETUAL"  # noqa: N815
    deliveryDate: int = 0  # noqa: N815
    filters: list[Filter] = []


class ExchangeInfo(msgspec.Struct, frozen=True, gc=False):
    """REST ``/fapi/v1/exchangeInfo``."""

    symbols: list[Contract]


exchange_info = msgspec.json.Decoder(ExchangeInfo)

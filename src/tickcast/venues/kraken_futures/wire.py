"""Kraken Futures' list and cold messages, as far as we read them."""

from decimal import Decimal

import msgspec


class Instrument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``GET /derivatives/api/v3/instruments``; lists of former years lack most of it."""

    symbol: str
    """``PF_XBTUSD``; in lists of 2021 in small letters."""
    type: str = ""
    """``futures_inverse``, ``futures_vanilla``, ``flexible_futures``; indices have other words."""
    tradeable: bool = False
    post_only: bool = False
    base: str = ""
    quote: str = ""
    tick_size: Decimal | None = None
    contract_size: Decimal | None = None
    contract_value_trade_precision: int | None = None
    """Decimals of quantities; below 0 they are multiples of 10, 100, ..."""
    last_trading_time: str | None = None
    """Of dated ones: ``2021-09-24T15:00:00.000Z``."""


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """The list; ``result`` is ``success`` or ``error``."""

    result: str
    instruments: list[Instrument] = []
    error: str = ""


class Cold(msgspec.Struct, frozen=True, gc=False):
    """What has an ``event``, and tickers whose product is suspended or goes on."""

    event: str = ""
    feed: str = ""
    product_id: str = ""
    product_ids: list[str] = []
    message: str = ""
    suspended: bool = False
    post_only: bool = False


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """What a recorder's subscription asked for."""

    event: str = ""
    product_ids: list[str] = []


cold = msgspec.json.Decoder(Cold)
instruments = msgspec.json.Decoder(Instruments)

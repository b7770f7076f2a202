"""Deribit's instrument lists and cold messages, as far as we read them (docs.deribit.com)."""

from decimal import Decimal
from typing import Any

import msgspec


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of ``public/get_instruments``; fields that lists of former years lack have defaults."""

    instrument_name: str
    kind: str
    """``future``, ``option``, ``spot``, ``future_combo``, ``option_combo``."""
    base_currency: str
    quote_currency: str
    settlement_currency: str | None = None
    price_index: str | None = None
    settlement_period: str | None = None
    is_active: bool = True
    state: str | None = None
    tick_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    contract_size: Decimal | None = None
    strike: Decimal | None = None
    option_type: str | None = None
    expiration_timestamp: int | None = None
    """Milliseconds; of a perpetual the year 3000."""


class Instruments(msgspec.Struct, frozen=True):
    """The answer to ``public/get_instruments``."""

    result: list[Instrument]


class RpcError(msgspec.Struct, frozen=True):
    """Why a request failed."""

    code: int = 0
    message: str = ""
    data: Any = None


class Params(msgspec.Struct, frozen=True):
    """Of a notification or a heartbeat."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class Cold(msgspec.Struct, frozen=True):
    """A frame that no declared message matches: an answer (``result`` or ``error``), a heartbeat, a notification."""

    method: str = ""
    result: Any = None
    error: RpcError | None = None
    params: Params | None = None
    id: int | str | None = None


class InstrumentState(msgspec.Struct, frozen=True):
    """``instrument.state.KIND.CURRENCY``."""

    instrument_name: str
    state: str


class PlatformState(msgspec.Struct, frozen=True):
    """``platform_state``: an index is locked or unlocked, maintenance begins or ends."""

    price_index: str | None = None
    locked: bool | None = None
    maintenance: bool | None = None

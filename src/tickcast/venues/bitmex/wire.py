"""BitMEX's cold messages and lists, as far as we read them."""

from decimal import Decimal

import msgspec


class Instrument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v1/instrument/active``: what is absent since 2023 was null before."""

    symbol: str
    typ: str = ""
    state: str = ""
    underlying: str = ""
    quote_currency: str = ""
    settl_currency: str | None = None
    position_currency: str | None = None
    expiry: str | None = None
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    multiplier: Decimal | None = None
    underlying_to_position_multiplier: Decimal | None = None
    underlying_to_settle_multiplier: Decimal | None = None
    is_quanto: bool = False
    is_inverse: bool = False


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What a client sends; ``args`` may be one text."""

    op: str = ""
    args: list[str] | str = []


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A row of the ``instrument`` table: what may be traded."""

    symbol: str = ""
    state: str = ""


class Message(msgspec.Struct, frozen=True, gc=False):
    """An answer, a greeting, or a table that says more than values."""

    success: bool | None = None
    subscribe: str = ""
    unsubscribe: str = ""
    error: str = ""
    status: int = 0
    request: Operation = Operation()
    info: str = ""
    table: str = ""
    action: str = ""
    data: list[Standing] = []


instruments = msgspec.json.Decoder(list[Instrument])
operation = msgspec.json.Decoder(Operation)
message = msgspec.json.Decoder(Message)

"""Bitget's cold messages and lists, as far as we read them."""

import msgspec


class Pair(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v2/spot/public/symbols``."""

    symbol: str
    base_coin: str
    quote_coin: str
    price_precision: str = ""
    quantity_precision: str = ""
    status: str = ""


class Contract(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v2/mix/market/contracts``."""

    symbol: str
    base_coin: str
    quote_coin: str
    price_place: str = ""
    price_end_step: str = ""
    size_multiplier: str = ""
    symbol_type: str = "perpetual"
    symbol_status: str = "normal"
    delivery_time: str | None = None


class Pairs(msgspec.Struct, frozen=True, gc=False):
    """Answer of the list of pairs; every answer has the code ``00000`` or says in ``msg`` what is wrong."""

    code: str
    msg: str = ""
    data: list[Pair] | None = None


class Contracts(msgspec.Struct, frozen=True, gc=False):
    """Answer of a list of contracts."""

    code: str
    msg: str = ""
    data: list[Contract] | None = None


class Argument(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a subscription names; v3 has a topic and a symbol."""

    inst_type: str = ""
    channel: str = ""
    inst_id: str = ""
    topic: str = ""
    symbol: str = ""


class Cold(msgspec.Struct, frozen=True, gc=False):
    """An answer to what we sent, or a push of a channel that is not known."""

    event: str = ""
    arg: Argument | None = None
    code: str | int = ""
    msg: str = ""


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    op: str
    args: list[Argument] = []


pairs = msgspec.json.Decoder(Pairs)
contracts = msgspec.json.Decoder(Contracts)
cold = msgspec.json.Decoder(Cold)
operation = msgspec.json.Decoder(Operation)

"""HTX's cold messages and lists, as far as we read them."""

from decimal import Decimal

import msgspec


class Pair(msgspec.Struct, frozen=True, gc=False, rename="kebab"):
    """An entry of ``/v1/common/symbols``."""

    symbol: str
    base_currency: str
    quote_currency: str
    price_precision: int
    amount_precision: int
    state: str = "online"


class Pairs(msgspec.Struct, frozen=True, gc=False, rename="kebab"):
    """Answer of ``/v1/common/symbols``."""

    status: str
    data: list[Pair] = []
    err_msg: str = ""


class Contract(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``swap_contract_info`` (linear or inverse), or a row of the topic ``contract_info``."""

    contract_code: str
    symbol: str = ""
    contract_size: Decimal | None = None
    price_tick: Decimal | None = None
    delivery_time: str = ""
    contract_status: int = 1
    trade_partition: str = ""


class Contracts(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``swap_contract_info``."""

    status: str
    data: list[Contract] = []
    err_msg: str = ""


class Cold(msgspec.Struct, frozen=True, gc=False, rename="kebab"):
    """Whatever is no market data: pings, answers, notices. ``id`` and ``cid`` are what we sent."""

    ping: int | None = None
    pong: int | None = None
    op: str = ""
    ts: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    status: str = ""
    subbed: str = ""
    unsubbed: str = ""
    rep: str = ""
    ch: str = ""
    topic: str = ""
    cid: str = ""
    err_code: str | int = 0
    err_msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


pairs = msgspec.json.Decoder(Pairs)
contracts = msgspec.json.Decoder(Contracts)
cold = msgspec.json.Decoder(Cold)
changed = msgspec.json.Decoder(list[Contract])

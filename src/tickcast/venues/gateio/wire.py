"""Gate.io's cold messages and lists, as far as we read them."""

import msgspec


class Pair(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``/spot/currency_pairs``."""

    id: str
    base: str
    quote: str
    precision: int | None = None
    """Digits of a price."""
    amount_precision: int | None = None
    trade_status: str = "tradable"


class Contract(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``/futures/SETTLE/contracts`` or ``/delivery/SETTLE/contracts``."""

    name: str
    type: str = "direct"
    """``direct``, ``inverse``, ``quanto``."""
    quanto_multiplier: str = ""
    """Coins of one contract; 0 of inverse ones, which are of a dollar."""
    order_price_round: str = ""
    in_delisting: bool = False
    status: str = ""
    enable_decimal: bool = False
    expire_time: int | None = None
    """Of delivery futures: seconds."""


class Error(msgspec.Struct, frozen=True, gc=False):
    """Why a request is refused."""

    code: int = 0
    message: str = ""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What is no data: answers to requests, pongs; ``method`` and ``result`` alone are of v3."""

    id: int | str | None = None
    channel: str = ""
    event: str = ""
    method: str = ""
    error: Error | str | None = None
    result: msgspec.Raw = msgspec.Raw()


class Request(msgspec.Struct, frozen=True, gc=False):
    """What a client sends; v3 has ``method`` and ``params``."""

    channel: str = ""
    event: str = ""
    payload: list[str] = []


pairs = msgspec.json.Decoder(list[Pair])
contracts = msgspec.json.Decoder(list[Contract])
answer = msgspec.json.Decoder(Answer)
request = msgspec.json.Decoder(Request)

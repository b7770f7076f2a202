"""KuCoin's cold messages, lists and tokens, as far as we read them."""

from decimal import Decimal

import msgspec

GOOD = "200000"
"""Code of a good answer over REST."""


class Pair(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v2/symbols``."""

    symbol: str
    base_currency: str
    quote_currency: str
    base_increment: str = ""
    price_increment: str = ""
    enable_trading: bool = True


class Contract(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An entry of ``/api/v1/contracts/active``; numbers are JSON numbers."""

    symbol: str
    base_currency: str
    quote_currency: str
    settle_currency: str = ""
    type: str = "FFWCSX"
    """``FFWCSX``: perpetual, ``FFICSX``: it ends at ``expireDate``."""
    expire_date: int | None = None
    lot_size: Decimal | None = None
    tick_size: Decimal | None = None
    multiplier: Decimal | None = None
    """Coins of one contract; negative: dollars."""
    is_inverse: bool = False
    status: str = "Open"


class Pairs(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``/api/v2/symbols``."""

    code: str
    msg: str = ""
    data: list[Pair] = []


class Contracts(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``/api/v1/contracts/active``."""

    code: str
    msg: str = ""
    data: list[Contract] = []


class Server(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Where a link may be opened."""

    endpoint: str
    protocol: str = "websocket"
    ping_interval: int = 18_000
    """Milliseconds."""
    ping_timeout: int = 10_000


class Bullet(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What admits to a link."""

    token: str
    instance_servers: list[Server]


class BulletAnswer(msgspec.Struct, frozen=True, gc=False):
    """Answer of ``/api/v1/bullet-public``."""

    code: str
    msg: str = ""
    data: Bullet | None = None


class Cold(msgspec.Struct, frozen=True, gc=False):
    """Everything on a link that is no data: ``welcome``, ``ack``, ``pong``, ``error``."""

    type: str = ""
    id: str | int | None = None
    code: int | str | None = None
    data: msgspec.Raw = msgspec.Raw()
    topic: str = ""


class Request(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    type: str = ""
    topic: str = ""


pairs = msgspec.json.Decoder(Pairs)
contracts = msgspec.json.Decoder(Contracts)
bullet = msgspec.json.Decoder(BulletAnswer)
cold = msgspec.json.Decoder(Cold)
request = msgspec.json.Decoder(Request)

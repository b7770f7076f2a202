"""Gemini's lists and cold messages, as far as we read them."""

from decimal import Decimal

import msgspec


class Detail(msgspec.Struct, frozen=True, gc=False):
    """``GET /v1/symbols/details/NAME``."""

    symbol: str
    base_currency: str
    quote_currency: str
    tick_size: Decimal = Decimal(0)
    """Step of sizes, in the base currency."""
    quote_increment: Decimal = Decimal(0)
    """Step of prices."""
    status: str = "open"
    product_type: str = "spot"
    """``spot`` or ``swap``."""


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """A feed and its instruments."""

    name: str
    symbols: list[str] = []


class OlderAsked(msgspec.Struct, frozen=True, gc=False):
    """What a client sends to v2."""

    type: str
    subscriptions: list[Subscription] = []


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    id: int | str
    method: str
    params: list[str] = []


class Wrong(msgspec.Struct, frozen=True, gc=False):
    """What is wrong with a request."""

    code: int = 0
    msg: str = ""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A message that tells nothing of the market."""

    id: int | str | None = None
    status: int | None = None
    """200: it was carried out."""
    error: Wrong = Wrong()
    e: str = ""
    # of v2
    type: str = ""
    symbol: str = ""
    result: str = ""
    reason: str = ""
    message: str = ""


symbols = msgspec.json.Decoder(list[str])
detail = msgspec.json.Decoder(Detail)
asked = msgspec.json.Decoder(Asked)
older_asked = msgspec.json.Decoder(OlderAsked)
answer = msgspec.json.Decoder(Answer)

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


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    type: str
    subscriptions: list[Subscription] = []


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A message that tells nothing of the market."""

    type: str = ""
    result: str = ""
    reason: str = ""
    message: str = ""
    id: int | str | None = None
    """Of answers of the newer feed."""
    status: int | None = None


symbols = msgspec.json.Decoder(list[str])
detail = msgspec.json.Decoder(Detail)
asked = msgspec.json.Decoder(Asked)
answer = msgspec.json.Decoder(Answer)

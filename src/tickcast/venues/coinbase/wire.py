"""Coinbase Advanced Trade's cold messages and lists, as far as we read them."""

from typing import Literal

import msgspec


class Product(msgspec.Struct, frozen=True, gc=False):
    """One product of ``GET /api/v3/brokerage/market/products``."""

    product_id: str
    product_type: str
    base_currency_id: str
    quote_currency_id: str
    base_increment: str
    quote_increment: str
    status: str
    price_increment: str = ""
    alias: str = ""
    """The product whose data it has: what is subscribed to under this name is told under that one."""
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    post_only: bool = False
    auction_mode: bool = False


class Products(msgspec.Struct, frozen=True, gc=False):
    """The list."""

    products: list[Product]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What tells cold messages apart: errors have a ``type``, everything else a ``channel``."""

    channel: str = ""
    type: str = ""


class SubscriptionsEvent(msgspec.Struct, frozen=True, gc=False):
    """All that the connection is subscribed to now: products by channel."""

    subscriptions: dict[str, list[str]]


class Subscriptions(msgspec.Struct, frozen=True, gc=False):
    """The answer to a subscribe or unsubscribe message."""

    events: list[SubscriptionsEvent]


class StatusProduct(msgspec.Struct, frozen=True, gc=False):
    """One product of the ``status`` channel."""

    id: str
    status: str
    status_message: str = ""


class StatusEvent(msgspec.Struct, frozen=True, gc=False):
    """Some or all products."""

    products: list[StatusProduct] = []


class StatusMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of the ``status`` channel."""

    events: list[StatusEvent]


class Failure(msgspec.Struct, frozen=True, gc=False):
    """``{"type":"error","message":...}``."""

    type: Literal["error"]
    message: str = ""
    reason: str = ""


# ------------------------------------------------------------------ the Exchange feed, of recordings


class ExchangeProduct(msgspec.Struct, frozen=True, gc=False):
    """One product of ``GET /products``, and of the ``status`` channel."""

    id: str
    base_currency: str
    quote_currency: str
    base_increment: str
    quote_increment: str
    status: str = "online"
    trading_disabled: bool = False
    cancel_only: bool = False
    post_only: bool = False
    auction_mode: bool = False


class ExchangeChannel(msgspec.Struct, frozen=True, gc=False):
    """A channel of an acknowledgement."""

    name: str
    product_ids: list[str] = []


class ExchangeEvent(msgspec.Struct, frozen=True, gc=False):
    """Every cold message."""

    type: str
    channels: list[ExchangeChannel] = []
    products: list[ExchangeProduct] = []
    message: str = ""
    reason: str = ""


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """What a recorder's subscription asked for."""

    product_ids: list[str] = []

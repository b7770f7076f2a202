"""What :func:`tickcast.feed` yields: one small object for each thing that a venue said, prices exact."""

from decimal import Decimal
from typing import Literal

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What every tick has."""

    symbol: str
    """``VENUE:SYMBOL``."""
    timestamp_ns: int
    """The venue's own time of the event, ns since 1970 UTC; where it says none, the time of receipt."""
    received_ns: int
    """When its bytes reached this machine."""
    seq: int = 0
    """The venue's sequence number; 0 where it has none."""


class Trade(Said, frozen=True, kw_only=True, tag="trade"):
    """A trade."""

    price: Decimal
    size: Decimal
    side: Literal["buy", "sell"] | None
    """The aggressor."""
    id: str
    """As the venue writes it; empty where it has none."""
    history: bool = False
    """Told at subscription: it happened before."""
    liquidation: bool = False
    """No trade of the tape: a position is being liquidated at this price."""


class Quote(Said, frozen=True, kw_only=True, tag="quote"):
    """The best bid and offer after a change; None for an empty side."""

    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None


class BookChange(Said, frozen=True, kw_only=True, tag="book"):
    """Levels that changed, as absolute sizes; a size of 0 means that the level is gone."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    begins: bool = False
    """The book begins anew with these levels: those told before do not count any more."""


class Measure(Said, frozen=True, kw_only=True, tag="measure"):
    """A value beside trades and books: ``mark``, ``index``, ``funding``, ``open_interest``, ``iv``, ``delta``, ..."""

    name: str
    value: Decimal


class Status(Said, frozen=True, kw_only=True, tag="status"):
    """How far the instrument can be believed from here on."""

    state: str
    """``syncing``, ``live``, ``gap``, ``repairing``, ``stale``, ``halted``, ``closed``, ``unverified``, ..."""
    reason: str = ""


class Gap(Said, frozen=True, kw_only=True, tag="gap"):
    """Messages of the venue are missing before this place; the status that follows says what that means."""

    missing: int
    """0 = unknown number."""
    recovered: bool = False
    """They came after all."""


Tick = Trade | Quote | BookChange | Measure | Status | Gap


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A book as :func:`tickcast.book` found it: best levels first, (price, size)."""

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    state: str
    """``live``, or ``unverified`` where the venue publishes nothing that proves it."""
    seq: int
    """The venue's number of the last change in it."""
    timestamp_ns: int

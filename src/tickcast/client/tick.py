"""What the client hands out, and how it fails."""

from datetime import datetime
from decimal import Decimal

import msgspec

from tickcast.model.errors import TickcastError


class StreamError(TickcastError):
    """The stream cannot go on: the gateway refused the request, or could not be reached at all."""


class StreamClosedError(StreamError):
    """The gateway closed the connection and said not to come back (4800-4899)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the gateway closed the stream with {code} ({reason}) and does not want a reconnect")
        self.code = code


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a symbol after a change; prices and sizes exact, None where unknown or not asked for.

    ``state`` says what the price is worth: only ``live`` is live. While the connection is down every symbol is
    ``stale``.
    """

    symbol: str
    state: str
    epoch: int = 0
    """While it stays the same, ``seq`` counts without a break."""
    seq: int = 0
    merged: int = 0
    """Updates that were merged into this one."""
    price: Decimal | None = None
    size: Decimal | None = None
    side: str | None = None
    """``buy`` or ``sell``: who was the aggressor of the last trade."""
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    venue: str | None = None
    """Where the last trade was."""
    timestamp: str | None = None
    """Of the last trade by the exchange's clock, RFC 3339."""
    server_timestamp: str | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    prev_close: Decimal | None = None
    volume: Decimal | None = None
    change: Decimal | None = None
    change_pct: Decimal | None = None
    crossed: bool | None = None
    """Of a consolidated symbol: its best bid is at or above its best ask."""
    legs: dict[str, int] | None = None
    """Of a consolidated symbol: how many of its venues are live, ``{"live": 2, "of": 3}``."""
    reason: str | None = None
    """Why the state is what it is, where the gateway says so."""

    @property
    def ts_ns(self) -> int | None:
        """``timestamp`` in ns since 1970 UTC."""
        return timestamp_ns(self.timestamp) if self.timestamp else None


DECIMALS = frozenset(
    ("price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "prev_close", "volume", "change",
     "change_pct")
)  # fmt: skip
"""Fields that are exact numbers."""
TEXTS = frozenset(("side", "venue", "timestamp", "server_timestamp", "crossed", "legs"))
"""Fields that are taken as they come."""


def timestamp_ns(text: str) -> int:
    """Return ns since 1970 UTC of a timestamp the gateway wrote (``2026-03-29T14:30:01.234Z``), exactly."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)

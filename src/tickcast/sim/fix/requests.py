"""Reads a client's application requests (FIX 4.4, volume 3): market data, security list, definition, status.

A request that is wrong in its form is a Reject (35=3), one that is well formed and cannot be met the answer that the
specification has for it (Y, y, d, j).
"""

from typing import Final

import msgspec

from tickcast.sim.fix.levels import DEPTHS, TYPES
from tickcast.sim.fix.session import Message


class FormError(ValueError):
    """Session-level: SessionRejectReason (373), RefTagID (371) and a text."""

    def __init__(self, reason: int, tag: int, text: str) -> None:
        super().__init__(text)
        self.reason, self.tag = reason, tag


class RefusedError(ValueError):
    """Application-level: MDReqRejReason (281) and a text."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


SNAPSHOT: Final = "0"
SUBSCRIBE: Final = "1"
UNSUBSCRIBE: Final = "2"
"""SubscriptionRequestType (263)."""


class MarketDataRequest(msgspec.Struct, frozen=True, kw_only=True):
    """35=V, checked."""

    number: str
    kind: str
    depth: int
    types: frozenset[str]
    symbols: tuple[str, ...]


def required(message: Message, tag: int) -> str:
    """Return a field's value.

    Raises:
        FormError: it is missing or empty.
    """
    value = message.first.get(tag)
    if not value:
        reason, text = (1, "Required tag missing") if value is None else (4, "Tag specified without a value")
        raise FormError(reason, tag, text)
    return value


def group(message: Message, count_tag: int, tag: int) -> list[str]:
    """Return the values of a group whose entries begin with one tag.

    Raises:
        FormError: no group, or not as many entries as it says.
    """
    text = required(message, count_tag)
    values = [value for found, value in message.fields if found == tag]
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) != len(values) or not values:
        raise FormError(16, count_tag, "Incorrect NumInGroup count for repeating group")
    return values


def market_data_request(message: Message) -> MarketDataRequest:
    """Check a 35=V.

    Raises:
        FormError: reject it.
        RefusedError: answer it with 35=Y.
    """
    number, kind = required(message, 262), required(message, 263)
    if kind == UNSUBSCRIBE:
        return MarketDataRequest(number=number, kind=kind, depth=0, types=frozenset(), symbols=())
    depth_text = required(message, 264)
    types = frozenset(group(message, 267, 269))
    symbols = tuple(dict.fromkeys(group(message, 146, 55)))
    if kind not in {SNAPSHOT, SUBSCRIBE}:
        raise RefusedError("4", f"expected SubscriptionRequestType 0, 1 or 2, found {kind}")
    if depth_text not in {str(depth) for depth in DEPTHS}:
        raise RefusedError("5", f"expected MarketDepth of {', '.join(map(str, DEPTHS))}, found {depth_text}")
    if kind == SUBSCRIBE and message.first.get(265, "1") != "1":
        raise RefusedError("6", "expected MDUpdateType 1 (incremental)")
    if message.first.get(266, "Y") != "Y":
        raise RefusedError("7", "expected AggregatedBook Y")
    if wrong := sorted(types - TYPES):
        raise RefusedError("8", f"expected MDEntryType of {', '.join(sorted(TYPES))}, found {', '.join(wrong)}")
    return MarketDataRequest(number=number, kind=kind, depth=int(depth_text), types=types, symbols=symbols)

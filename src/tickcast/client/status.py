"""Channel ``status`` from the client's side: feeds, what is less than whole, and how hard delivery works."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tickcast.client.channel import ChannelSession


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A feed's state, when the stream begins and whenever it changes."""

    name: str
    venue: str
    state: str
    last_error: str | None = None
    facts: dict[str, Any] = {}
    """All that ``GET /feeds`` says of it."""


class GapStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the gap ledger that is open, began or ended."""

    id: str
    feed: str
    kind: str
    began: str
    """RFC 3339."""
    ended: str | None
    """None: it is open."""
    reason: str = ""
    facts: dict[str, Any] = {}
    """All that ``GET /gaps`` says of it."""


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How hard delivery works: 0 ``normal`` to 4 ``full``."""

    rung: int
    word: str


Status = FeedStatus | GapStatus | DeliveryStatus


class StatusSession(ChannelSession[Status]):
    """What one stream of the gateway's own news knows."""

    channel = "status"
    is_counted = False

    def __init__(self, feeds: Iterable[str]) -> None:
        super().__init__(feeds, {})

    def _take(self, frame: dict[str, Any], made: list[Status]) -> None:
        if frame.get("channel") == self.channel and frame.get("type") not in {"subscribed", "unsubscribed"}:
            self._frame(str(frame["type"]), frame, made)
        else:
            super()._take(frame, made)

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Status]) -> None:
        match kind:
            case "snapshot":
                made.extend(_feed(one) for one in frame["feeds"])
                made.extend(_gap(one) for one in frame["gaps"])
                made.append(_delivery(frame["delivery"]))
            case "feed":
                made.append(_feed(frame["feed"]))
            case "gap":
                made.append(_gap(frame["gap"]))
            case "delivery":
                made.append(_delivery(frame["delivery"]))

    def _missing(self, symbol: str, state: str, made: list[Status]) -> None:
        made.append(FeedStatus(name=symbol, venue="", state=state))


def _feed(facts: dict[str, Any]) -> FeedStatus:
    return FeedStatus(
        name=facts["name"],
        venue=facts["venue"],
        state=facts["state"],
        last_error=facts.get("last_error"),
        facts=facts,
    )


def _gap(facts: dict[str, Any]) -> GapStatus:
    return GapStatus(
        id=facts["id"],
        feed=facts["feed"],
        kind=facts["kind"],
        began=facts["began"],
        ended=facts.get("ended"),
        reason=str(facts.get("reason") or ""),
        facts=facts,
    )


def _delivery(facts: dict[str, Any]) -> DeliveryStatus:
    return DeliveryStatus(rung=facts["rung"], word=facts["word"])

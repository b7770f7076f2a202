"""Channel ``trades`` from the client's side: every trade, and every loss with its count."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from tickcast.client.channel import LOST, ChannelSession, decimal_or_none
from tickcast.client.codecs import JSON, Codec
from tickcast.client.ticks import timestamp_ns


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade, exact."""

    symbol: str
    id: str
    """The venue's."""
    price: Decimal | None
    size: Decimal | None
    side: str | None
    """``buy`` or ``sell``: who was the aggressor."""
    timestamp: str
    """The exchange's, RFC 3339."""
    conditions: tuple[str, ...]
    seq: int
    """Counts the symbol's trades without a break, but for what :class:`Lost` says."""

    @property
    def ts_ns(self) -> int:
        """``timestamp`` in ns since 1970 UTC."""
        return timestamp_ns(self.timestamp)


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Trades are missing here."""

    symbol: str
    count: int | None
    """None: nobody knows how many."""
    reason: str


class TradesSession(ChannelSession[Trade | Lost]):
    """What one stream of trades knows."""

    channel = "trades"

    def __init__(self, symbols: Iterable[str]) -> None:
        super().__init__(symbols, {}, is_lossy=True)
        self._resuming: set[str] = set()

    def connected(self, codec: Codec = JSON) -> list[str | bytes]:
        """Ask for what came since; what cannot be told is said as lost."""
        self._resuming = set(self._places)
        return super().connected(codec)

    def _resumed_places(self) -> dict[str, tuple[int, int]]:
        return self._places

    def _standing(self, symbol: str, standing: dict[str, Any]) -> None:
        if symbol not in self._resuming:
            self._places[symbol] = (standing["epoch"], standing["seq"])

    def _missing(self, symbol: str, state: str, made: list[Trade | Lost]) -> None:
        made.append(Lost(symbol=symbol, count=None, reason=state))

    def _not_recovered(self, symbol: str, outcome: dict[str, Any], made: list[Trade | Lost]) -> None:
        if not self._is_watched(symbol):
            return
        self._places.pop(symbol, None)
        self._resuming.discard(symbol)
        if "epoch" in outcome:
            self._places[symbol] = (outcome["epoch"], outcome["seq"])
            self._total.stand(symbol, outcome["epoch"], outcome["seq"])
        made.append(Lost(symbol=symbol, count=None, reason=str(outcome.get("reason") or LOST)))

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Trade | Lost]) -> None:
        symbol, seq = frame["symbol"], frame["seq"]
        epoch, last = self._places.get(symbol, (0, seq - 1))
        if kind == "lost":
            is_new = epoch not in {0, frame["epoch"]}
            self._places[symbol] = (frame["epoch"], seq)
            if is_new:
                made.append(Lost(symbol=symbol, count=None, reason="epoch_changed"))
            elif frame["count"]:
                made.append(Lost(symbol=symbol, count=frame["count"], reason="the connection did not take more"))
            return
        if kind != "trade" or seq <= last:
            return
        if seq > last + 1:
            made.append(Lost(symbol=symbol, count=seq - last - 1, reason="not delivered"))
        self._places[symbol] = (epoch, seq)
        made.append(
            Trade(
                symbol=symbol,
                id=str(frame["id"]),
                price=decimal_or_none("price", frame["price"]),
                size=decimal_or_none("size", frame["size"]),
                side=frame["side"],
                timestamp=frame["timestamp"],
                conditions=tuple(frame["conditions"]),
                seq=seq,
            )
        )

"""Channel ``bars`` from the client's side: newest values of each bar, the final ones, and corrections."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from tickcast.client.channel import ChannelSession, decimal, decimal_or_none


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Open, high, low, close and volume of an interval, exact."""

    symbol: str
    interval: str
    start: str
    """RFC 3339."""
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    notional: Decimal | None
    """Sum of price times size."""
    trades: int
    """0: the venue took back all trades of the bar; there is none."""
    final: bool
    """The interval is over."""
    corrected: bool = False
    """Changed after its end."""


class BarsSession(ChannelSession[Bar]):
    """What one stream of bars knows: after a break, bars that are known already are not told again."""

    channel = "bars"

    def __init__(self, symbols: Iterable[str], *, interval: str = "1s", rate: float = 1) -> None:
        super().__init__(symbols, {"interval": interval, "rate": rate})
        self._synced_as = f"bars:{interval}"
        self._interval = interval
        self._told: dict[str, dict[str, Bar]] = {}
        """Newest values of each bar that the last snapshot, or what came after it, had."""

    def _forgotten(self, symbol: str) -> None:
        self._told.pop(symbol, None)

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Bar]) -> None:
        symbol = frame["symbol"]
        if frame.get("interval", self._interval) != self._interval:
            return
        if kind == "snapshot":
            before = self._told.get(symbol, {})
            bars = [bar_of(symbol, self._interval, one) for one in frame["bars"]]
            self._told[symbol] = {bar.start: bar for bar in bars}
            made.extend(bar for bar in bars if before.get(bar.start) != bar)
        elif kind == "bar":
            bar = bar_of(symbol, self._interval, frame)
            told = self._told.setdefault(symbol, {})
            told[bar.start] = bar
            while len(told) > KEPT:
                del told[next(iter(told))]
            made.append(bar)


def bar_of(symbol: str, interval: str, row: dict[str, Any]) -> Bar:
    """Return the bar of a frame, or of a row of REST."""
    return Bar(
        symbol=symbol,
        interval=interval,
        start=row["start"],
        open=decimal_or_none("open", row["open"]),
        high=decimal_or_none("high", row["high"]),
        low=decimal_or_none("low", row["low"]),
        close=decimal_or_none("close", row["close"]),
        volume=decimal("volume", row["volume"]),
        notional=decimal_or_none("notional", row.get("notional")),
        trades=row["trades"],
        final=row["final"],
        corrected=row.get("corrected", False),
    )


KEPT = 120
"""Bars of a symbol that are remembered."""

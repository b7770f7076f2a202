"""Channel ``bars`` from the client's side: newest values of each bar, the final ones, and corrections."""

from decimal import Decimal
from typing import Any

import msgspec

from tickcast.client.channel import ChannelSession, decimal, decimal_or_none
from tickcast.client.codecs import JSON, Codec


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

    def __init__(self, symbols: tuple[str, ...], *, interval: str, rate: float, codec: Codec = JSON) -> None:
        super().__init__(symbols, {"channel": "bars", "interval": interval, "rate": rate}, codec)
        self._interval = interval
        self._told: dict[str, dict[str, Bar]] = {}
        """Newest values of each bar that the last snapshot, or what came after it, had."""

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Bar]) -> None:
        symbol = frame["symbol"]
        if frame.get("interval", self._interval) != self._interval:
            return
        if kind == "snapshot":
            before = self._told.get(symbol, {})
            bars = [self._bar(symbol, one) for one in frame["bars"]]
            self._told[symbol] = {bar.start: bar for bar in bars}
            made.extend(bar for bar in bars if before.get(bar.start) != bar)
        elif kind == "bar":
            bar = self._bar(symbol, frame)
            told = self._told.setdefault(symbol, {})
            told[bar.start] = bar
            while len(told) > KEPT:
                del told[next(iter(told))]
            made.append(bar)

    def _bar(self, symbol: str, frame: dict[str, Any]) -> Bar:
        return Bar(
            symbol=symbol,
            interval=self._interval,
            start=frame["start"],
            open=decimal_or_none("open", frame["open"]),
            high=decimal_or_none("high", frame["high"]),
            low=decimal_or_none("low", frame["low"]),
            close=decimal_or_none("close", frame["close"]),
            volume=decimal("volume", frame["volume"]),
            notional=decimal_or_none("notional", frame.get("notional")),
            trades=frame["trades"],
            final=frame["final"],
            corrected=frame.get("corrected", False),
        )


KEPT = 120
"""Bars of a symbol that are remembered."""

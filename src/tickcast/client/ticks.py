"""Channel ``price`` from the client's side: whole states of symbols, made of snapshots and updates. No I/O, no clock.

An update is only applied on top of the state it follows (same epoch, a snapshot before it, ``seq`` rising); anything
else drops what is known of the symbol and asks for a snapshot. After a break it resumes by ``epoch`` and ``seq``; where
the gateway cannot prove that nothing is missing, a snapshot replaces everything.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from tickcast.client.channel import LOST, ChannelSession, decimal


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a symbol after a change; prices and sizes exact, None where unknown or not asked for.

    ``state`` says what the price is worth: only ``live`` is live, and ``delayed`` is as good, but ``delay_s`` old.
    While the connection is down every symbol is ``stale``.
    """

    symbol: str
    state: str
    epoch: int = 0
    """While it stays the same, ``seq`` counts without a break."""
    seq: int = 0
    merged: int = 0
    """Updates that were merged into this one; in mode ``all``: that were lost before it."""
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
    delay_s: float = 0.0
    """How late this is: the exchange told it so long before it came; 0 = it is not kept back."""

    @property
    def ts_ns(self) -> int | None:
        """``timestamp`` in ns since 1970 UTC."""
        return timestamp_ns(self.timestamp) if self.timestamp else None


DECIMALS: Final = frozenset(
    ("price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "prev_close", "volume", "change",
     "change_pct")
)  # fmt: skip
"""Fields that are exact numbers."""
TEXTS: Final = frozenset(("side", "venue", "timestamp", "server_timestamp", "crossed", "legs"))
"""Fields that are taken as they come."""


class TicksSession(ChannelSession[Tick]):
    """What one stream knows of its symbols."""

    channel = "price"

    def __init__(
        self, symbols: Iterable[str], *, rate: float = 20, fields: Sequence[str] | None = None, mode: str = "merge"
    ) -> None:
        terms: dict[str, Any] = {"rate": rate, "mode": mode}
        if fields is not None:
            terms["fields"] = list(fields)
        super().__init__(symbols, terms, is_lossy=mode == "all")
        self._known: dict[str, Tick] = {}
        """Newest tick of each symbol; without an entry the next frame must be a snapshot."""
        self._seen: set[str] = set()
        """Symbols that had a snapshot once."""

    def disconnected(self) -> list[Tick]:
        """Ticks that say that nothing is live any more, once for each break."""
        fresh = [tick for tick in self._known.values() if tick.reason != LOST]
        return [self._set(tick, state="stale", reason=LOST, merged=0) for tick in fresh]

    def _resumed_places(self) -> dict[str, tuple[int, int]]:
        return {symbol: (tick.epoch, tick.seq) for symbol, tick in self._known.items()}

    def _forgotten(self, symbol: str) -> None:
        self._known.pop(symbol, None)

    def _missing(self, symbol: str, state: str, made: list[Tick]) -> None:
        self._known.pop(symbol, None)
        # A gateway that has just started may not have learnt of it: what was there stays stale until a retry.
        if symbol not in self._seen or state != "no_such_symbol":
            made.append(Tick(symbol=symbol, state=state))

    def _status(self, frame: dict[str, Any], made: list[Tick]) -> None:
        tick = self._known.get(frame["symbol"])
        if tick is not None:
            made.append(self._set(tick, state=frame["state"], reason=frame.get("reason"), merged=0))

    def _recovered(self, symbol: str, outcome: dict[str, Any], made: list[Tick]) -> None:
        tick = self._known.get(symbol)
        if tick is not None:
            # A snapshot follows only where something changed; until then the old price has its state again.
            made.append(self._set(tick, state=outcome.get("state", "unverified"), reason=None, merged=0))

    def _not_recovered(self, symbol: str, outcome: dict[str, Any], made: list[Tick]) -> None:
        del outcome, made
        self._known.pop(symbol, None)

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Tick]) -> None:
        if kind == "update":
            self._update(frame, made)
        elif kind == "snapshot":
            made.append(self._snapshot(frame))
        elif kind == "lost":
            self._lost(frame)

    def _snapshot(self, frame: dict[str, Any]) -> Tick:
        symbol = frame["symbol"]
        before = self._known.get(symbol)
        merged = 0
        if before is not None and before.epoch == frame["epoch"]:
            merged = max(0, frame["seq"] - before.seq - 1)
        tick = Tick(
            symbol=symbol,
            state=frame["state"],
            epoch=frame["epoch"],
            seq=frame["seq"],
            merged=merged,
            reason=frame.get("reason"),
            delay_s=self.delay_s,
            **_values(frame),
        )
        self._unknown.discard(symbol)
        self._seen.add(symbol)
        self._known[symbol] = tick
        return tick

    def _update(self, frame: dict[str, Any], made: list[Tick]) -> None:
        symbol = frame["symbol"]
        before = self._known.get(symbol)
        seq = frame["seq"]
        if before is None or frame.get("epoch", before.epoch) != before.epoch or seq <= before.seq:
            if self._known.pop(symbol, None) is not None:
                made.append(Tick(symbol=symbol, state="repairing", reason="updates do not follow each other"))
            self._ask_again(symbol)
            return
        values = _values(frame)
        values["state"] = frame.get("state", before.state)
        made.append(self._set(before, seq=seq, merged=seq - before.seq - 1, **values))

    def _lost(self, frame: dict[str, Any]) -> None:
        """In mode ``all``: updates that did not come; the next one says how many by its ``seq``."""
        before = self._known.get(frame["symbol"])
        if before is not None and frame.get("epoch", before.epoch) != before.epoch:
            self._known.pop(frame["symbol"])

    def _set(self, tick: Tick, **changes: Any) -> Tick:
        changed = msgspec.structs.replace(tick, **changes)
        self._known[tick.symbol] = changed
        return changed


def _values(frame: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in frame.items():
        if name in DECIMALS:
            values[name] = None if value is None else decimal(name, value)
        elif name in TEXTS:
            values[name] = value
    return values


def tick_of(row: dict[str, Any]) -> Tick:
    """Return the tick of a row of REST, which calls the trade's time ``exchange_timestamp``."""
    values = _values(row)
    values["timestamp"] = row.get("exchange_timestamp")
    return Tick(
        symbol=row["symbol"],
        state=row["state"],
        epoch=row.get("epoch", 0),
        seq=row.get("seq", 0),
        delay_s=row.get("delay_s", 0.0),
        **values,
    )


def timestamp_ns(text: str) -> int:
    """Return ns since 1970 UTC of a timestamp the gateway wrote (``2026-03-29T14:30:01.234Z``), exactly."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)

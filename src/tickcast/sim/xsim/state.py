"""What XSIM answers: everything that changed since a cursor, in the order it changed. Synchronous, no I/O.

Every change has a number: a trade keeps its own, a ticker has that of its last change. A cursor is the last number a
client has seen, so an answer is a slice of two sequences ordered by number, cut at the limit.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import numpy as np

from tickcast.sim.market import BID, Events, Kind, NoticeKind, OrderFlow, Slice
from tickcast.sim.truth import size_text

_TRADES: Final = (Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE)


class GoneError(LookupError):
    """The cursor is not one of this run, or older than what is kept."""

    def __init__(self, oldest: int) -> None:
        super().__init__(oldest)
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as it is answered."""

    number: int
    row: int
    body: dict[str, Any]


def time_text(ts: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    whole, part = divmod(ts // 1000, 1_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part:06d}Z"


class XsimState:
    """Tickers and trades of one venue."""

    def __init__(self, flow: OrderFlow, *, base: int, trades_max: int) -> None:
        self.flow = flow
        self.base = self.latest = base
        self.oldest = base
        self.changed_ns = 0
        self.clock_offset_ns = 0
        """Added to the times that are answered."""
        self._universe = flow.universe
        self._symbols = [flow.universe.symbols[index] for index in flow.indices.tolist()]
        count = len(self._symbols)
        self._number = np.zeros(count, np.int64)
        self._time = np.zeros(count, np.int64)
        self._best: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)] * count
        self._status = ["closed"] * count
        self._trades: deque[Trade] = deque()
        self._trades_max = trades_max

    # ------------------------------------------------------------------ what happens

    def slice(self, part: Slice, ts: int) -> None:
        """Take one slice of the flow."""
        for notice in part.notices:
            if notice.kind in {NoticeKind.HALT, NoticeKind.RESUME}:
                self._set_status(int(self.flow.row[notice.index]), ts)
            elif notice.kind in {NoticeKind.OPEN, NoticeKind.CLOSE}:
                self._refresh(range(len(self._symbols)), ts)
        if len(part.events):
            self._take_trades(part.events)
            rows = np.unique(self.flow.row[part.events.index[part.events.kind != Kind.TRADE]])
            self._refresh(rows.tolist(), ts)

    def _refresh(self, rows: Any, ts: int) -> None:
        rows = list(rows)
        if not rows:
            return
        columns = [column.tolist() for column in self.flow.best(np.array(rows))]
        for row, *best in zip(rows, *columns, strict=True):
            if tuple(best) != self._best[row]:
                self._best[row] = (best[0], best[1], best[2], best[3])
                self._touch(row, ts)
            self._set_status(row, ts)

    def _set_status(self, row: int, ts: int) -> None:
        status = self.flow.status(row)
        if status != self._status[row]:
            self._status[row] = status
            self._touch(row, ts)

    def _touch(self, row: int, ts: int) -> None:
        self.latest += 1
        self._number[row] = self.latest
        self._time[row] = ts
        self.changed_ns = ts

    def _take_trades(self, events: Events) -> None:
        at = np.flatnonzero(np.isin(events.kind, _TRADES))
        columns = (
            events.index[at],
            events.side[at],
            events.other[at],
            events.price[at],
            events.size[at],
            events.ts[at],
        )
        hidden = (events.kind[at] == Kind.TRADE).tolist()
        rows = zip(hidden, *(column.tolist() for column in columns), strict=True)
        for unknown, index, side, match, price, size, ts in rows:
            self.latest += 1
            self.changed_ns = ts
            symbol = self._universe.symbols[index]
            taker = None if unknown else "sell" if side == BID else "buy"
            body = {
                "id": trade_id(match, symbol),
                "symbol": symbol,
                "price": self._universe.price_text(index, price),
                "size": size_text(self._universe, index, size),
                "side": taker,
                "time": self._time_text(ts),
            }
            self._trades.append(Trade(self.latest, int(self.flow.row[index]), body))
        while len(self._trades) > self._trades_max:
            self.oldest = self._trades.popleft().number

    def restart(self, base: int) -> None:
        """Begin the numbers anew, lower: every cursor so far is of another run."""
        self.base = self.latest = self.oldest = base
        self._trades.clear()
        for row in range(len(self._symbols)):
            self._touch(row, self.changed_ns)

    def _time_text(self, ts: int) -> str:
        return time_text(ts + self.clock_offset_ns)

    # ------------------------------------------------------------------ what is asked

    def instruments(self) -> dict[str, Any]:
        """Answer ``/v1/instruments``."""
        universe = self._universe
        return {
            "instruments": [
                {
                    "symbol": symbol,
                    "class": "equity" if index < universe.stock_count else "crypto",
                    "currency": "USD" if index < universe.stock_count else symbol.rpartition("-")[2],
                    "tick": universe.price_text(index, 1),
                    "lot": size_text(universe, index, 1),
                    "prev_close": universe.price_text(index, int(universe.previous_close[index])),
                }
                for symbol, index in zip(self._symbols, self.flow.indices.tolist(), strict=True)
            ]
        }

    def market(self, since: int | None, limit: int) -> dict[str, Any]:
        """Answer ``/v1/market``: whole state without a cursor, else at most ``limit`` changes after it.

        Raises:
            GoneError: the cursor is older than what is kept, or of another run.
        """
        if since is None:
            tickers = [self._ticker(row) for row in range(len(self._symbols))]
            return self._answer(self.latest, tickers, [], more=False)
        if not self.oldest <= since <= self.latest:
            raise GoneError(self.oldest)
        rows = np.flatnonzero(self._number > since)
        start = bisect_right(self._trades, since, key=lambda trade: trade.number)
        trades = list(islice(self._trades, start, start + limit + 1))
        numbers = sorted([*self._number[rows].tolist(), *(trade.number for trade in trades)])
        more = len(numbers) > limit
        last = numbers[limit - 1] if more else self.latest
        ordered = sorted((int(self._number[row]), row) for row in rows.tolist())
        tickers = [self._ticker(row) for number, row in ordered if number <= last]
        return self._answer(last, tickers, [trade.body for trade in trades if trade.number <= last], more=more)

    def _answer(self, cursor: int, tickers: list[Any], trades: list[Any], *, more: bool) -> dict[str, Any]:
        time = self._time_text(self.changed_ns)
        return {"cursor": str(cursor), "time": time, "tickers": tickers, "trades": trades, "more": more}

    def _ticker(self, row: int) -> dict[str, Any]:
        universe, index = self._universe, int(self.flow.indices[row])
        bid, bid_size, ask, ask_size = self._best[row]
        return {
            "symbol": self._symbols[row],
            "bid": universe.price_text(index, bid) if bid else None,
            "bid_size": size_text(universe, index, bid_size) if bid else None,
            "ask": universe.price_text(index, ask) if ask else None,
            "ask_size": size_text(universe, index, ask_size) if ask else None,
            "status": self._status[row],
            "time": self._time_text(int(self._time[row])),
        }


def trade_id(match: int, symbol: str) -> str:
    """Id of a trade: text, as some venues have it."""
    return f"T-{match:06d}-{symbol}"

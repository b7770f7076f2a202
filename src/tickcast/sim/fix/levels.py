"""Price levels and trades of the flow as market data entries (FIX 4.4, volume 3, "Market Data"), a slice at a time.

A *view* is what a subscription may ask for: how deep, and which entry types. All subscriptions of one view share their
entries: a slice is compared and written once for each view, however many clients read it.

A level is named by side and price: ``279=0`` makes it, ``1`` gives its new size, ``2`` takes it away. What changed
twice within a slice is told once. Entries after the first leave out what they share with the entry before: symbol (55),
date (272) and time (273). RptSeq (83) counts the entries of an instrument within its view, and a snapshot names the
number it includes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tickcast.sim.fix.message import TimeText
from tickcast.sim.market import ASK, BID, Events, Kind, NoticeKind, OrderFlow, Slice

DEPTHS: Final = (0, 1, 5, 10)
"""MarketDepth (264) that may be asked for; 0 = every level."""
TYPES: Final = frozenset("012B")
"""MDEntryType (269): bid, offer, trade; ``B`` (volume so far) is told in snapshots only."""
CROSSES: Final = (NoticeKind.CROSS_OPEN, NoticeKind.CROSS_CLOSE, NoticeKind.CROSS_HALT)
_TRADES: Final = np.array([Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE], np.uint8)
_COUNT_BITS: Final = 8
_COUNT_MASK: Final = (1 << _COUNT_BITS) - 1
_TEXTS_MAX: Final = 200_000

Levels = dict[int, int]
"""Price in ticks to size in lots and, in the low bits, number of orders."""


class Trade(NamedTuple):
    """A trade of the slice, or one that no longer counts."""

    ts: int
    price: int
    size: int
    match: int
    aggressor: str = ""
    """AggressorSide (2446): 1 buy, 2 sell; empty for a cross."""
    broken: bool = False


class Entry(NamedTuple):
    """One entry without what it may share with the one before."""

    head: str
    tail: str
    ts: int


@dataclass(slots=True)
class Part:
    """What a slice says of one instrument in one view."""

    symbol: str
    entries: list[Entry]
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    """A slice, sorted by row of the flow."""

    touched: list[int]
    ts: list[int]
    """Of the last change of the book of each touched row."""
    trades: Mapping[int, list[Trade]]


class Market:
    """Reads a flow; knows how its prices, sizes and times are written."""

    def __init__(self, flow: OrderFlow, *, time_digits: int, one_time: bool) -> None:
        """``one_time``: entries carry TransactTime (60) in place of date and time (272, 273)."""
        self.flow = flow
        self.times = TimeText(time_digits)
        self.offset_ns = 0
        self.symbols = [flow.universe.symbols[index] for index in flow.indices.tolist()]
        self.row_of = {name: row for row, name in enumerate(self.symbols)}
        self._one_time = one_time
        self._ticks: list[int] = flow.universe.tick[flow.indices].tolist()
        self._prices: dict[tuple[int, int], str] = {}

    def price(self, row: int, ticks: int) -> str:
        """A price in decimals."""
        key = (self._ticks[row], ticks)
        text = self._prices.get(key)
        if text is None:
            if len(self._prices) >= _TEXTS_MAX:
                self._prices.clear()
            text = self._prices[key] = self.flow.universe.price_text(int(self.flow.indices[row]), ticks)
        return text

    def happened(self, part: Slice) -> Happened:
        """Sort a slice by instrument."""
        events, flow = part.events, self.flow
        trades: dict[int, list[Trade]] = {}
        for notice in part.notices:
            if notice.kind in CROSSES:
                trade = Trade(notice.ts, notice.price, notice.size, notice.match)
                trades.setdefault(int(flow.row[notice.index]), []).append(trade)
        rows = flow.row[events.index]
        self._trades(events, rows, trades)
        for notice in part.notices:
            if notice.kind == NoticeKind.BROKEN:
                # behind the trades: it may be one of this slice
                trade = Trade(notice.ts, notice.price, notice.size, notice.match, broken=True)
                trades.setdefault(int(flow.row[notice.index]), []).append(trade)
        book = events.kind != Kind.TRADE
        touched, last = np.unique(rows[book][::-1], return_index=True)
        return Happened(touched.tolist(), events.ts[book][::-1][last].tolist(), trades)

    @staticmethod
    def _trades(events: Events, rows: np.ndarray, trades: dict[int, list[Trade]]) -> None:
        at = np.flatnonzero(np.isin(events.kind, _TRADES))
        columns = (rows[at], events.ts[at], events.price[at], events.size[at], events.other[at], events.side[at])
        for row, ts, price, size, match, side in zip(*(column.tolist() for column in columns), strict=True):
            trades.setdefault(row, []).append(Trade(ts, price, size, match, "2" if side == BID else "1"))

    def books(self, rows: list[int]) -> list[tuple[Levels, Levels]]:
        """Both sides of some rows, as of now."""
        if not rows:
            return []
        sides = zip(self.flow.price[rows].tolist(), self.flow.size[rows].tolist(), strict=True)
        return [(_levels(price[BID], size[BID]), _levels(price[ASK], size[ASK])) for price, size in sides]

    def time_fields(self, ts: int, before: int | None = None) -> str:
        """Date and time of an entry, without what the entry before has said."""
        ts += self.offset_ns
        if before is not None:
            before += self.offset_ns
            if ts == before:
                return ""
        if self._one_time:
            return f"60={self.times.timestamp(ts)}\x01"
        day_ns = 86_400_000_000_000
        date = "" if before is not None and before // day_ns == ts // day_ns else f"272={self.times.date(ts)}\x01"
        return f"{date}273={self.times.clock(ts)}\x01"


def _levels(prices: list[int], sizes: list[int]) -> Levels:
    levels: Levels = {}
    for price, size in zip(prices, sizes, strict=True):
        if size:
            levels[price] = levels.get(price, 0) + (size << _COUNT_BITS) + 1
    return levels


def _best(levels: Levels, depth: int, *, bids: bool) -> list[int]:
    return sorted(levels, reverse=bids)[: depth or None]


class View:
    """Entries of one depth and one choice of entry types."""

    def __init__(self, market: Market, depth: int, types: frozenset[str]) -> None:
        self.depth = depth
        self.types = types
        self._market = market
        self._sides = [side for side, name in ((BID, "0"), (ASK, "1")) if name in types]
        self._known: dict[int, tuple[Levels, Levels]] = {}
        self._numbers: dict[int, int] = {}

    def watch(self, row: int) -> None:
        """Begin to follow an instrument: what it is now is known."""
        if row not in self._known:
            self._known[row] = self._cut(self._market.books([row])[0])

    def leave(self, row: int) -> None:
        """Nobody follows an instrument any more."""
        self._known.pop(row, None)

    def _cut(self, book: tuple[Levels, Levels]) -> tuple[Levels, Levels]:
        if not self.depth:
            return book
        bids, asks = book
        return (
            {price: bids[price] for price in _best(bids, self.depth, bids=True)},
            {price: asks[price] for price in _best(asks, self.depth, bids=False)},
        )

    def changes(self, happened: Happened) -> dict[int, Part]:
        """What a slice says of each followed instrument."""
        parts: dict[int, Part] = {}
        entries: dict[int, list[Entry]] = {}
        if "2" in self.types:
            for row, trades in happened.trades.items():
                if row in self._known:
                    entries[row] = [self._trade(row, trade) for trade in trades]
        if self._sides:
            followed = [(row, ts) for row, ts in zip(happened.touched, happened.ts, strict=True) if row in self._known]
            books = self._market.books([row for row, _ in followed])
            for (row, ts), book in zip(followed, books, strict=True):
                if found := self._differences(row, book, ts):
                    entries.setdefault(row, []).extend(found)
        for row, found in entries.items():
            symbol = f"55={self._market.symbols[row]}\x01"
            parts[row] = Part(symbol, found, self.text(symbol, found))
        return parts

    def _number(self, row: int) -> int:
        number = self._numbers[row] = self._numbers.get(row, 0) + 1
        return number

    def _trade(self, row: int, trade: Trade) -> Entry:
        number = self._number(row)
        if trade.broken:
            return Entry("279=2\x01269=2\x01", f"83={number}\x011003={trade.match}\x01", trade.ts)
        who = f"2446={trade.aggressor}\x01" if trade.aggressor else "277=E\x01"
        return Entry(
            "279=0\x01269=2\x01",
            f"270={self._market.price(row, trade.price)}\x01271={trade.size}\x01"
            f"83={number}\x011003={trade.match}\x01{who}",
            trade.ts,
        )

    def _differences(self, row: int, book: tuple[Levels, Levels], ts: int) -> list[Entry]:
        now = self._cut(book)
        known, self._known[row] = self._known[row], now
        found = []
        price_text = self._market.price
        for side in self._sides:
            before, after = known[side], now[side]
            if before == after:
                continue
            for price in before:
                if price not in after:
                    head, tail = f"279=2\x01269={side}\x01", f"270={price_text(row, price)}\x01"
                    found.append(Entry(head, f"{tail}83={self._number(row)}\x01", ts))
            for price, level in after.items():
                old = before.get(price)
                if old != level:
                    found.append(
                        Entry(
                            f"279={0 if old is None else 1}\x01269={side}\x01",
                            f"270={price_text(row, price)}\x01271={level >> _COUNT_BITS}\x01"
                            f"346={level & _COUNT_MASK}\x0183={self._number(row)}\x01",
                            ts,
                        )
                    )
        return found

    def text(self, symbol: str, entries: Iterable[Entry]) -> str:
        """Entries of one instrument: the first in full, the others without what they share with the one before."""
        parts, before = [], None
        for head, tail, ts in entries:
            parts.append(head)
            if before is None:
                parts.append(symbol)
            parts.append(tail)
            if ts != before:
                parts.append(self._market.time_fields(ts, before))
            before = ts
        return "".join(parts)

    # ------------------------------------------------------------------ snapshots

    def snapshot(self, row: int, ts: int) -> str:
        """Fields of a full refresh (35=W) behind the request's id."""
        market, flow = self._market, self._market.flow
        book = market.books([row])[0]
        entries = []
        for side in self._sides:
            levels = book[side]
            for position, price in enumerate(_best(levels, self.depth, bids=side == BID), 1):
                level = levels[price]
                entries.append(
                    f"269={side}\x01270={market.price(row, price)}\x01271={level >> _COUNT_BITS}\x01"
                    f"{market.time_fields(ts)}346={level & _COUNT_MASK}\x01290={position}\x01"
                )
        if "2" in self.types and flow.trades[row]:
            entries.append(
                f"269=2\x01270={market.price(row, int(flow.last_price[row]))}\x01271={int(flow.last_size[row])}\x01"
                f"{market.time_fields(int(flow.last_ts[row]))}1003={int(flow.last_match[row])}\x01"
            )
        if "B" in self.types:
            entries.append(f"269=B\x01271={int(flow.volume[row])}\x01{market.time_fields(ts)}")
        number = self._numbers.get(row, 0)
        return f"55={market.symbols[row]}\x0183={number}\x01268={len(entries)}\x01{''.join(entries)}"


def messages(parts: list[Part], view: View, entries_max: int) -> list[str]:
    """Fields of the incremental refreshes (35=X), behind the request's id, that say these parts.

    More entries than ``entries_max`` are split: every message but the last has LastFragment (893) N, the last Y.
    """
    total = sum(len(part.entries) for part in parts)
    if total <= entries_max:
        return [f"268={total}\x01{''.join(part.text for part in parts)}"]
    found: list[str] = []
    texts: list[str] = []
    count = 0
    for part in parts:
        start = 0
        while start < len(part.entries):
            taken = part.entries[start : start + entries_max - count]
            texts.append(view.text(part.symbol, taken))
            count += len(taken)
            start += len(taken)
            if count == entries_max:
                found.append(f"268={count}\x01{''.join(texts)}")
                texts, count = [], 0
    if texts:
        found.append(f"268={count}\x01{''.join(texts)}")
    return [f"{text}893=N\x01" for text in found[:-1]] + [f"{found[-1]}893=Y\x01"]

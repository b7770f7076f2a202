"""The order flow of one venue: consistent books, made in vectors.

A book is a fixed number of *slots* a side; a slot holds one order or nothing. A slice of the flow draws distinct slots
and lets each do one thing: an empty slot gets a new order, a full one is executed, reduced, replaced or deleted. Since
no slot is drawn twice in a slice, the whole slice is a few numpy operations, and every order that is named exists.

Books never cross: bids stay at or below the *anchor* of their symbol, asks more than a step above it, and when the
anchor moves, the orders in its way are executed first (which is how trades move prices). The anchor follows the fair
price, and is less than a step away from it, so that venues do not cross each other but for moments.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from tickcast.sim.config import Config
from tickcast.sim.fair import FairPrices, venue_offsets
from tickcast.sim.universe import I64, Universe

U8 = npt.NDArray[np.uint8]


class Kind(IntEnum):
    """What happened to an order."""

    ADD = 1
    ADD_ATTRIBUTED = 2
    EXECUTE = 3
    EXECUTE_AT_PRICE = 4
    CANCEL = 5
    DELETE = 6
    REPLACE = 7
    TRADE = 8
    """Against a hidden order: no book changes."""


BID: Final = 0
ASK: Final = 1
_TRADES: Final = np.array([Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE], np.uint8)
_SIZES: Final = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 10.0, 0.5, 0.25, 0.03])
_SLICE_MAX: Final = 16_384


@dataclass(slots=True)
class Events:
    """Columns of order events, in order."""

    kind: U8
    index: I64
    """Row in the universe."""
    side: I64
    """0 bid, 1 ask: of the resting order."""
    ref: I64
    other: I64
    """New reference of a replace, match number of a trade, else 0."""
    price: I64
    """Ticks: of the order, or of the execution."""
    size: I64
    """Lots: of the order, or executed, or cancelled."""
    ts: I64
    left: I64
    """Lots that stand after the event."""

    def __len__(self) -> int:
        return len(self.kind)


class NoticeKind(IntEnum):
    """What happens beside the order flow."""

    OPEN = 1
    CLOSE = 2
    CROSS_OPEN = 3
    CROSS_CLOSE = 4
    CROSS_HALT = 5
    HALT = 6
    RESUME = 7
    BROKEN = 8


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing beside the order flow; price in ticks, size in lots, match of a cross or of the broken trade."""

    kind: NoticeKind
    ts: int
    index: int = -1
    price: int = 0
    size: int = 0
    match: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened at a venue in one slice of time: notices come before events."""

    notices: list[Notice]
    events: Events


@dataclass(frozen=True, slots=True)
class Recent:
    """A trade that may still be broken."""

    match: int
    index: int
    size: int


class Fair(Protocol):
    """Prices that a flow follows, by row of its universe."""

    price: I64
    """In ticks."""
    halted: set[int]

    def advance(self, elapsed_ns: int) -> None:
        """Walk to ``elapsed_ns`` after the start."""


class OrderFlow:
    """Books and trades of the symbols that one venue lists."""

    def __init__(
        self,
        universe: Universe,
        indices: Sequence[int],
        config: Config,
        *,
        venue: str,
        base: int,
        auctions: bool = False,
        keep_refs: bool = False,
        fair: Fair | None = None,
    ) -> None:
        """Prepare empty books.

        ``base`` is the first order reference and match number, higher than any used before, so that none comes twice;
        ``auctions`` has stocks open, close and resume with a cross. ``keep_refs`` lets a replaced order keep its
        reference, as markets do that modify orders. ``fair`` gives the prices that are followed; default the common
        market's.
        """
        self._keep_refs = keep_refs
        self._auctions = auctions
        self.universe = universe
        self.indices = np.asarray(indices, dtype=np.int64)
        self.row = np.full(len(universe.symbols), -1, np.int64)
        self.row[self.indices] = np.arange(len(self.indices))
        self.fair: Fair = fair or FairPrices(universe, config)
        self.config = config.market
        count, slots = len(self.indices), config.market.orders_per_side
        self.slots = slots
        self.ref = np.zeros((count, 2, slots), np.int64)
        self.price = np.zeros((count, 2, slots), np.int64)
        self.size = np.zeros((count, 2, slots), np.int64)
        self.offset = venue_offsets(universe, self.indices.tolist(), seed=config.seed, venue=venue)
        self.anchor = self.fair.price[self.indices] + self.offset
        self.spacing = universe.spacing[self.indices]
        self.typical = universe.typical[self.indices]
        self.trading = np.zeros(count, bool)
        self.halted: set[int] = set()
        self.phase = "before"
        self.closed = False
        self.next_ref = base
        self.next_match = base
        number = int.from_bytes(venue.encode()[:8].ljust(8, b"\0"), "big")
        self._random = np.random.default_rng((config.seed, 4, number))
        weight = universe.weight[self.indices]
        self._cumulated = np.cumsum(weight / weight.sum())
        self._mark = np.zeros(count * 2 * slots, np.int64)
        self._owed = 0.0
        self._recent: deque[Recent] = deque(maxlen=64)
        self.last_price = np.zeros(count, np.int64)
        self.last_size = np.zeros(count, np.int64)
        self.last_match = np.zeros(count, np.int64)
        self.last_ts = np.zeros(count, np.int64)
        self.round_price = np.zeros(count, np.int64)
        self.trades = np.zeros(count, np.int64)
        self.broken = np.zeros(count, np.int64)
        self.volume = np.zeros(count, np.int64)
        self.odd_below = np.where(self.indices < universe.stock_count, 100, 0)

    # ------------------------------------------------------------------ what a dialect asks

    def best(self, rows: I64 | None = None) -> tuple[I64, I64, I64, I64]:
        """Best bid, its size, best ask, its size of some rows, by default of all; price 0 = none."""
        size = self.size if rows is None else self.size[rows]
        price = self.price if rows is None else self.price[rows]
        alive = size > 0
        bid = np.where(alive[:, BID], price[:, BID], 0).max(axis=1)
        ask = np.where(alive[:, ASK], price[:, ASK], np.iinfo(np.int64).max).min(axis=1)
        bid_size = np.where(alive[:, BID] & (price[:, BID] == bid[:, None]), size[:, BID], 0).sum(axis=1)
        ask_size = np.where(alive[:, ASK] & (price[:, ASK] == ask[:, None]), size[:, ASK], 0).sum(axis=1)
        return bid, bid_size, np.where(ask_size > 0, ask, 0), ask_size

    def live_orders(self, ts: int) -> Events:
        """Every resting order as an addition: what a late joiner needs."""
        row, side, slot = np.nonzero(self.size)
        ref = self.ref[row, side, slot]
        order = np.argsort(ref, kind="stable")
        row, side, slot = row[order], side[order], slot[order]
        count = len(row)
        return Events(
            kind=np.full(count, Kind.ADD, np.uint8),
            index=self.indices[row],
            side=side.astype(np.int64),
            ref=ref[order],
            other=np.zeros(count, np.int64),
            price=self.price[row, side, slot],
            size=self.size[row, side, slot],
            ts=np.full(count, ts, np.int64),
            left=self.size[row, side, slot],
        )

    # ------------------------------------------------------------------ time passes

    def begin(self, ts: int) -> Slice:
        """Fill the books before the opening."""
        count, depth = len(self.indices), max(2, self.slots // 3)
        row = np.repeat(np.arange(count), 2 * depth)
        side = np.tile(np.repeat(np.array([BID, ASK]), depth), count)
        slot = np.tile(np.arange(depth), 2 * count)
        kind = np.full(len(row), Kind.ADD, np.uint8)
        price = self._quote_price(row, side, slot)
        size = self._order_size(row)
        ref = self.next_ref + np.arange(len(row))
        self.next_ref += len(row)
        self.price[row, side, slot] = price
        self.size[row, side, slot] = size
        self.ref[row, side, slot] = ref
        self.phase = "pre-open"
        zero = np.zeros(len(row), np.int64)
        return Slice([], Events(kind, self.indices[row], side, ref, zero, price, size, zero + ts, size))

    def step(self, *, start_ns: int, end_ns: int, elapsed_ns: int, events: float) -> Slice:
        """Let time pass to ``end_ns`` (``elapsed_ns`` after the start): about ``events`` order events."""
        self.fair.advance(elapsed_ns)
        # events fall into the last quarter of the slice: they are sent at its end, and should not look late
        length = max((end_ns - start_ns) // 4, 1)
        notices = self._phase(end_ns - length, elapsed_ns)
        if self.phase != "open":
            return Slice(notices, _join([]))
        notices += self._halts(end_ns - length)
        self._owed += events if self.trading.any() else 0.0
        parts: list[Events] = []
        drift = self._follow(int(self._owed))
        parts.append(drift)
        self._owed -= len(drift)
        tries = 0
        while self._owed >= 1 and tries < 50:
            tries += 1
            part = self._orders(min(int(self._owed), _SLICE_MAX, max(self._mark.size // 4, 1)))
            self._owed -= len(part)
            parts.append(part)
        self._owed = min(self._owed, 1e6)
        joined = _join(parts)
        count = len(joined)
        joined.ts = end_ns - length + (np.arange(count) * length) // max(count, 1)
        self._count(joined)
        return Slice(notices, joined)

    def break_trade(self, ts: int) -> Notice | None:
        """Break a recent trade that is not the last of its symbol; None if there is none."""
        while self._recent:
            trade = self._recent.popleft()
            row = int(self.row[trade.index])
            if trade.match != self.last_match[row]:
                self.broken[row] += 1
                self.volume[row] -= trade.size
                return Notice(NoticeKind.BROKEN, ts, index=trade.index, size=trade.size, match=trade.match)
        return None

    def print_trade(self, row: int, *, price: int, size: int, ts: int) -> int:
        """Print a trade against a hidden order of a venue's own making; returns its match number."""
        match = self.next_match
        self.next_match += 1
        whole = int(self.round_price[row])
        self._record_trade(row, price=price, size=size, match=match, ts=ts)
        if size < self.odd_below[row]:
            self.round_price[row] = whole
        return match

    def status(self, row: int) -> str:
        """``open``, ``halted`` or ``closed``."""
        index = int(self.indices[row])
        if self.phase != "open" or (self.closed and index < self.universe.stock_count):
            return "closed"
        return "halted" if index in self.halted else "open"

    # ------------------------------------------------------------------ phases and halts

    def _phase(self, ts: int, elapsed_ns: int) -> list[Notice]:
        if self.phase == "pre-open" and elapsed_ns >= self.config.open_after_ms * 1e6:
            self.phase = "open"
            self.trading[:] = True
            return [Notice(NoticeKind.OPEN, ts), *self._crosses(NoticeKind.CROSS_OPEN, range(len(self.indices)), ts)]
        if self.phase == "open" and not self.closed and 0 < self.config.close_after_s * 1e9 <= elapsed_ns:
            self.closed = True
            stocks = np.flatnonzero(self.indices < self.universe.stock_count)
            self.trading[stocks] = False
            return [*self._crosses(NoticeKind.CROSS_CLOSE, stocks.tolist(), ts), Notice(NoticeKind.CLOSE, ts)]
        return []

    def _crosses(self, kind: NoticeKind, rows: Sequence[int], ts: int) -> list[Notice]:
        notices = []
        for row in rows:
            index = int(self.indices[row])
            if index >= self.universe.stock_count or not self._auctions:
                continue
            price = int(self.anchor[row])
            size = 100 * int(self._random.integers(5, 500))
            notices.append(Notice(kind, ts, index=index, price=price, size=size, match=self.next_match))
            self._record_trade(row, price=price, size=size, match=self.next_match, ts=ts)
            self.next_match += 1
        return notices

    def _halts(self, ts: int) -> list[Notice]:
        notices: list[Notice] = []
        if self.halted == self.fair.halted or self.closed:
            return notices
        for index in sorted(self.fair.halted - self.halted):
            row = int(self.row[index])
            if row >= 0:
                self.trading[row] = False
                notices.append(Notice(NoticeKind.HALT, ts, index=index))
        for index in sorted(self.halted - self.fair.halted):
            row = int(self.row[index])
            if row >= 0:
                self.trading[row] = True
                notices += self._crosses(NoticeKind.CROSS_HALT, [row], ts)
                notices.append(Notice(NoticeKind.RESUME, ts, index=index))
        self.halted = set(self.fair.halted)
        return notices

    # ------------------------------------------------------------------ order flow

    def _follow(self, limit: int) -> Events:
        """Move anchors towards the fair price; orders in the way are executed, best first."""
        target = self.fair.price[self.indices] + self.offset
        moved = np.flatnonzero((target != self.anchor) & self.trading)[: max(limit, 1)]
        if not len(moved):
            return _join([])
        step = 3 * self.spacing[moved]
        new = self.anchor[moved] + np.clip(target[moved] - self.anchor[moved], -step, step)
        alive = self.size[moved] > 0
        hit_bid = alive[:, BID] & (self.price[moved, BID] > new[:, None])
        hit_ask = alive[:, ASK] & (self.price[moved, ASK] <= (new + self.spacing[moved])[:, None])
        place, slot = np.nonzero(hit_bid | hit_ask)
        row = moved[place]
        side = np.where(hit_bid[place, slot], BID, ASK)
        # a slot number names a bid and an ask; both are never in the way of one move
        price = self.price[row, side, slot]
        order = np.lexsort((np.where(side == BID, -price, price), row))
        row, side, slot, price = row[order], side[order], slot[order], price[order]
        count = len(row)
        size = self.size[row, side, slot]
        self.size[row, side, slot] = 0
        self.anchor[moved] = new
        match = self.next_match + np.arange(count)
        self.next_match += count
        kind = np.full(count, Kind.EXECUTE, np.uint8)
        ref = self.ref[row, side, slot]
        zero = np.zeros(count, np.int64)
        return Events(kind, self.indices[row], side, ref, match, price, size, zero, zero)

    def _orders(self, count: int) -> Events:
        """One thing happens to each of up to ``count`` distinct slots."""
        random = self._random
        row = np.minimum(np.searchsorted(self._cumulated, random.random(count), side="right"), len(self.indices) - 1)
        side = random.integers(0, 2, count)
        slot = random.integers(0, self.slots, count)
        dice = random.random(count)
        full = self.size[row, side, slot] > 0
        kind = np.full(count, Kind.ADD, np.uint8)
        kind[dice < 0.05] = Kind.ADD_ATTRIBUTED
        for kind_full, low, high in (
            (Kind.EXECUTE, 0.0, 0.12),
            (Kind.EXECUTE_AT_PRICE, 0.12, 0.13),
            (Kind.TRADE, 0.13, 0.15),
            (Kind.CANCEL, 0.15, 0.22),
            (Kind.REPLACE, 0.22, 0.55),
            (Kind.DELETE, 0.55, 1.0),
        ):
            kind[full & (dice >= low) & (dice < high)] = kind_full
        executed = np.flatnonzero((kind == Kind.EXECUTE) | (kind == Kind.EXECUTE_AT_PRICE))
        slot[executed] = self._best_slot(row[executed], side[executed])
        keep = self._distinct(row, side, slot, executed) & self.trading[row]
        row, side, slot, kind = row[keep], side[keep], slot[keep], kind[keep]
        return self._apply(row, side, slot, kind)

    def _best_slot(self, row: I64, side: I64) -> I64:
        price, size = self.price[row, side], self.size[row, side]
        signed = np.where(side[:, None] == BID, -price, price)
        best: I64 = np.where(size > 0, signed, np.iinfo(np.int64).max).argmin(axis=1)
        return best

    def _distinct(self, row: I64, side: I64, slot: I64, first: I64) -> npt.NDArray[np.bool_]:
        """Mark one draw of each slot; those in ``first`` win."""
        flat = (row * 2 + side) * self.slots + slot
        number = np.arange(len(flat))
        self._mark[flat] = number
        self._mark[flat[first]] = first
        keep: npt.NDArray[np.bool_] = self._mark[flat] == number
        return keep

    def _apply(self, row: I64, side: I64, slot: I64, kind: U8) -> Events:
        count = len(row)
        ref = self.ref[row, side, slot]
        price = self.price[row, side, slot]
        held = self.size[row, side, slot]
        drawn = self._order_size(row)
        other = np.zeros(count, np.int64)
        added = kind <= Kind.ADD_ATTRIBUTED
        replaced = kind == Kind.REPLACE
        trade = np.isin(kind, _TRADES)
        hidden = kind == Kind.TRADE
        executed = trade & ~hidden
        # a cancel of everything would be a delete: the order keeps at least one lot
        kind[(kind == Kind.CANCEL) & (held < 2)] = Kind.DELETE
        cancelled = kind == Kind.CANCEL
        fresh = added | replaced
        numbered = added if self._keep_refs else fresh
        number = np.cumsum(numbered)
        new_ref = self.next_ref + number - 1
        self.next_ref += int(number[-1]) if count else 0
        matched = np.cumsum(trade)
        other[trade] = (self.next_match + matched - 1)[trade]
        self.next_match += int(matched[-1]) if count else 0
        other[replaced] = (ref if self._keep_refs else new_ref)[replaced]
        ref[added] = new_ref[added]
        level = np.minimum(self._random.geometric(0.35, count) - 1, 15)
        quote = self._quote_price(row, side, level)
        size = np.where(cancelled, np.minimum(drawn, held - 1), np.where(executed, np.minimum(drawn, held), drawn))
        left = np.where(fresh, drawn, np.where(cancelled | executed, held - size, held))
        left[kind == Kind.DELETE] = 0
        price = np.where(fresh, quote, price)
        # against hidden orders: at the anchor, inside or at the best prices
        price = np.where(hidden, self.anchor[row] + side, price)
        book = ~hidden
        where = (row[book], side[book], slot[book])
        self.size[where] = left[book]
        self.price[where] = price[book]
        self.ref[where] = np.where(numbered, new_ref, ref)[book]
        improved = kind == Kind.EXECUTE_AT_PRICE
        price = np.where(improved, price + np.where(side == BID, -1, 1), price)
        return Events(kind, self.indices[row], side, ref, other, price, size, np.zeros(count, np.int64), left)

    def _quote_price(self, row: I64, side: I64, level: I64) -> I64:
        spacing = self.spacing[row]
        jitter = self._random.integers(0, spacing)
        away = level * spacing + jitter
        price: I64 = np.maximum(
            np.where(side == BID, self.anchor[row] - away, self.anchor[row] + spacing + 1 + away), 1
        )
        return price

    def _order_size(self, row: I64) -> I64:
        factor = _SIZES[self._random.integers(0, len(_SIZES), len(row))]
        size: I64 = np.maximum((self.typical[row] * factor).astype(np.int64), 1)
        return size

    # ------------------------------------------------------------------ what is true

    def _record_trade(self, row: int, *, price: int, size: int, match: int, ts: int) -> None:
        self.last_price[row] = self.round_price[row] = price
        self.last_size[row], self.last_match[row], self.last_ts[row] = size, match, ts
        self.trades[row] += 1
        self.volume[row] += size

    def _count(self, events: Events) -> None:
        """Note last trades and volumes."""
        at = np.flatnonzero(np.isin(events.kind, _TRADES))
        if not len(at):
            return
        row = self.row[events.index[at]]
        size = events.size[at]
        # with repeated rows numpy's assignment leaves the last one, which is the newest
        self.last_price[row] = events.price[at]
        self.last_size[row] = size
        self.last_match[row] = events.other[at]
        self.last_ts[row] = events.ts[at]
        whole = size >= self.odd_below[row]
        self.round_price[row[whole]] = events.price[at[whole]]
        self.trades += np.bincount(row, minlength=len(self.trades))
        np.add.at(self.volume, row, size)
        first = int(at[0])
        if events.kind[first] != Kind.TRADE or len(at) > 1:
            self._recent.append(Recent(int(events.other[first]), int(events.index[first]), int(events.size[first])))


def _join(parts: list[Events]) -> Events:
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none = np.zeros(0, np.int64)
        return Events(np.zeros(0, np.uint8), none, none, none, none, none, none, none, none)
    return Events(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("kind", "index", "side", "ref", "other", "price", "size", "ts", "left")
        )
    )

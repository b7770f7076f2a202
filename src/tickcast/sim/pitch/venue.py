"""What the units of a Cboe equities market say: the order flow and everything around it, as PITCH messages.

A unit begins with Unit Clear and the trading status of its symbols: ``S`` (suspended) at the start of the day, then
``A`` (orders are queued) until the opening. An auction prints its trade as a Trade message with an execution id, like
every execution that no visible order explains, and then states its result as an Auction Summary.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tickcast.sim.days import DAY_NS
from tickcast.sim.market import Events, Kind, Notice, NoticeKind, OrderFlow, Slice
from tickcast.sim.pitch.encode import HIDDEN_ORDERS, SECOND_NS, Block, PitchEncoder, rows
from tickcast.sim.universe import I64

_RARE: Final = ("auction_update", "break", "reg_sho", "trade_expanded")
_AUCTIONS: Final = {NoticeKind.CROSS_OPEN: b"O", NoticeKind.CROSS_CLOSE: b"C", NoticeKind.CROSS_HALT: b"H"}
_STATUSES: Final = {NoticeKind.HALT: b"H", NoticeKind.RESUME: b"T"}


class Pile:
    """Messages of all units, in the order of each."""

    def __init__(self) -> None:
        self._parts: dict[int, list[bytes]] = {}
        self._ends: dict[int, list[int]] = {}

    def add(self, unit: int, messages: bytes, *, count: int = 1) -> None:
        """Add ``count`` messages of one length."""
        if messages:
            length = len(messages) // count
            self.add_block(Block(unit, messages, [length * number for number in range(1, count + 1)]))

    def add_block(self, block: Block) -> None:
        """Add a block."""
        ends = self._ends.setdefault(block.unit, [])
        begin = ends[-1] if ends else 0
        ends += [begin + end for end in block.ends]
        self._parts.setdefault(block.unit, []).append(block.messages)

    def blocks(self) -> list[Block]:
        """Return a block for each unit that has messages."""
        return [Block(unit, b"".join(parts), self._ends[unit]) for unit, parts in sorted(self._parts.items())]


@dataclass(frozen=True, slots=True)
class Image:
    """Books and states as of one moment: what spins are made of."""

    ts: int
    midnight_ns: int
    sequences: tuple[int, ...]
    """Last sequence number of each unit, unit 0 (none) first."""
    ref: I64
    price: I64
    size: I64
    statuses: npt.NDArray[np.bytes_]
    reg_sho: npt.NDArray[np.bytes_]


class PitchVenue:
    """Turns slices of a flow into messages of units. Synchronous, no clock."""

    def __init__(self, flow: OrderFlow, *, units: int, rare_every_s: float) -> None:
        self.flow = flow
        self.units: Final = units
        self.encoder = PitchEncoder(flow.universe, units=units)
        self.midnight_ns = 0
        self._imager = PitchEncoder(flow.universe, units=units)
        self._stocks = flow.indices
        self._reg_sho = np.full(len(flow.indices), b"0", "S1")
        self._rare_every_ns = int(rare_every_s * 1e9)
        self._rare_next_ns = 0
        self._rare_number = 0

    # ------------------------------------------------------------------ beginnings

    def prologue(self, ts: int) -> list[Block]:
        """What stands before the orders of each unit: Unit Clear and the trading statuses."""
        pile = Pile()
        self.encoder.forget_time()
        self._prologue(pile, ts)
        return pile.blocks()

    def snapshot(self, ts: int) -> list[Block]:
        """Prologue and every resting order: units that begin in the middle of the day."""
        pile = Pile()
        self.encoder.forget_time()
        self._prologue(pile, ts)
        for block in self.orders(self.flow.live_orders(ts)):
            pile.add_block(block)
        return pile.blocks()

    def orders(self, events: Events) -> list[Block]:
        """Encode order events."""
        return self.encoder.events(events, midnight_ns=self.midnight_ns)

    def _prologue(self, pile: Pile, ts: int) -> None:
        for unit in range(1, self.units + 1):
            self._say(pile, unit, ts, rows("unit_clear", 1))
        if self.flow.phase != "open":
            self._say_statuses(pile, ts, np.full(len(self._stocks), b"S", "S1"))
        self._say_statuses(pile, ts, self.statuses())

    def statuses(self) -> npt.NDArray[np.bytes_]:
        """Trading status of each stock."""
        if self.flow.phase != "open":
            return np.full(len(self._stocks), b"A", "S1")
        if self.flow.closed:
            return np.full(len(self._stocks), b"S", "S1")
        return np.where(np.isin(self._stocks, sorted(self.flow.halted)), b"H", b"T").astype("S1")

    def end(self, ts: int) -> list[Block]:
        """End the session of every unit."""
        pile = Pile()
        for unit in range(1, self.units + 1):
            self._say(pile, unit, ts, rows("end_of_session", 1))
        return pile.blocks()

    # ------------------------------------------------------------------ the day

    def slice(self, part: Slice, ts: int) -> list[Block]:
        """Encode what happened in a slice of time, a block for each unit that has any."""
        rare = ""
        if self._rare_every_ns and self.flow.phase == "open" and not self.flow.closed:
            self._rare_next_ns = self._rare_next_ns or ts + min(self._rare_every_ns, SECOND_NS)
            if ts >= self._rare_next_ns:
                self._rare_next_ns += self._rare_every_ns
                rare = _RARE[self._rare_number % len(_RARE)]
        if not part.notices and not rare:
            return self.orders(part.events)
        pile = Pile()
        for notice in part.notices:
            self._notice(pile, notice)
        for block in self.orders(part.events):
            pile.add_block(block)
        if rare:
            self._rare(pile, rare, ts)
        return pile.blocks()

    def _since(self, ts: int) -> int:
        return (ts - self.midnight_ns) % DAY_NS

    def _say(self, pile: Pile, unit: int, ts: int, table: npt.NDArray[Any]) -> None:
        """Add rows of one unit and time, and a Time message before them if the second is new."""
        since = self._since(ts)
        pile.add(unit, self.encoder.time(unit, since))
        table["offset"] = since % SECOND_NS
        if len(table):
            pile.add(unit, table.tobytes(), count=len(table))

    def _say_statuses(self, pile: Pile, ts: int, statuses: npt.NDArray[np.bytes_]) -> None:
        unit_of = self.encoder.unit_of[self._stocks]
        for unit in range(1, self.units + 1):
            mine = unit_of == unit
            symbol = self.encoder.symbol[self._stocks[mine]]
            table = rows(
                "trading_status", len(symbol), symbol=symbol, status=statuses[mine], reg_sho=self._reg_sho[mine]
            )
            self._say(pile, unit, ts, table)

    def _notice(self, pile: Pile, notice: Notice) -> None:
        ts, index = notice.ts, notice.index
        if notice.kind == NoticeKind.OPEN:
            self._updates(pile, ts)
            self._say_statuses(pile, ts, self.statuses())
            return
        if notice.kind == NoticeKind.CLOSE:
            self._say_statuses(pile, ts, self.statuses())
            return
        unit = int(self.encoder.unit_of[index])
        if notice.kind == NoticeKind.BROKEN:
            self._say(pile, unit, ts, rows("trade_break", 1, execution=notice.match))
            return
        symbol = self.encoder.symbol[index]
        if notice.kind in _STATUSES:
            reg_sho = self._reg_sho[self.flow.row[index]]
            status = _STATUSES[notice.kind]
            self._say(pile, unit, ts, rows("trading_status", 1, symbol=symbol, status=status, reg_sho=reg_sho))
            return
        self._say(pile, unit, ts, self._hidden_trade(notice))
        price = int(self.encoder.price(index, notice.price))
        auction = _AUCTIONS[notice.kind]
        result = rows("auction_summary", 1, symbol=symbol, auction=auction, price=price, shares=notice.size)
        self._say(pile, unit, ts, result)

    def _hidden_trade(self, notice: Notice) -> npt.NDArray[Any]:
        return rows(
            "trade_expanded" if self.encoder.expanded[notice.index] else "trade_long", 1,
            order=notice.match + HIDDEN_ORDERS, side=b"B", shares=notice.size,
            symbol=self.encoder.symbol[notice.index], price=int(self.encoder.price(notice.index, notice.price)),
            execution=notice.match,
        )  # fmt: skip

    def _updates(self, pile: Pile, ts: int) -> None:
        """Auction Updates of all stocks before the opening."""
        unit_of = self.encoder.unit_of[self._stocks]
        price = self.encoder.price(self._stocks, self.flow.anchor)
        for unit in range(1, self.units + 1):
            mine = unit_of == unit
            table = rows(
                "auction_update", int(mine.sum()), symbol=self.encoder.symbol[self._stocks[mine]], auction=b"O",
                reference=price[mine], buy=10_000 + self._stocks[mine], sell=9_900, indicative=price[mine],
                auction_only=price[mine],
            )  # fmt: skip
            self._say(pile, unit, ts, table)

    def _rare(self, pile: Pile, name: str, ts: int) -> None:
        """One message of the next rare type, each consistent with what stands in the books."""
        row = self._rare_number % max(len(self._stocks), 1)
        self._rare_number += 1
        index = int(self._stocks[row])
        unit, symbol = int(self.encoder.unit_of[index]), self.encoder.symbol[index]
        price = int(self.encoder.price(index, self.flow.anchor[row]))
        if name == "break":
            notice = self.flow.break_trade(ts)
            if notice is not None:
                self._notice(pile, notice)
        elif name == "auction_update":
            table = rows(
                "auction_update", 1, symbol=symbol, auction=b"C", reference=price, buy=5_000, sell=5_300,
                indicative=price, auction_only=0,
            )  # fmt: skip
            self._say(pile, unit, ts, table)
        elif name == "reg_sho":
            self._reg_sho[row] = b"0" if self._reg_sho[row] == b"1" else b"1"
            status = self.statuses()[row]
            table = rows("trading_status", 1, symbol=symbol, status=status, reg_sho=self._reg_sho[row])
            self._say(pile, unit, ts, table)
        else:
            self._expanded_trade(pile, row, ts)

    def _expanded_trade(self, pile: Pile, row: int, ts: int) -> None:
        """Print one share against a hidden order in the expanded form."""
        if not self.flow.trading[row]:
            return
        match = self.flow.print_trade(row, price=int(self.flow.anchor[row]), size=1, ts=ts)
        index = int(self._stocks[row])
        table = rows(
            "trade_expanded", 1, order=match + HIDDEN_ORDERS, side=b"B", shares=1, symbol=self.encoder.symbol[index],
            price=int(self.encoder.price(index, self.flow.anchor[row])), execution=match,
        )  # fmt: skip
        self._say(pile, int(self.encoder.unit_of[index]), ts, table)

    # ------------------------------------------------------------------ images

    def image(self, ts: int, sequences: tuple[int, ...]) -> Image:
        """Keep what stands now."""
        flow = self.flow
        return Image(
            ts, self.midnight_ns, sequences, flow.ref.copy(), flow.price.copy(), flow.size.copy(), self.statuses(),
            self._reg_sho.copy(),
        )  # fmt: skip

    def spin(self, image: Image, unit: int) -> tuple[list[Block], int]:
        """Return the messages of one unit's image and the number of orders in it."""
        self._imager.forget_time()
        since = (image.ts - image.midnight_ns) % DAY_NS
        mine = self.encoder.unit_of[self._stocks] == unit
        symbol = self.encoder.symbol[self._stocks[mine]]
        pile = Pile()
        pile.add(unit, self._imager.time(unit, since))
        if len(symbol):
            table = rows(
                "trading_status", len(symbol), offset=since % SECOND_NS, symbol=symbol, status=image.statuses[mine],
                reg_sho=image.reg_sho[mine],
            )  # fmt: skip
            pile.add(unit, table.tobytes(), count=len(symbol))
        orders = self._orders_of(image, mine)
        for block in self._imager.events(orders, midnight_ns=image.midnight_ns):
            pile.add_block(block)
        return pile.blocks(), len(orders)

    def _orders_of(self, image: Image, mine: npt.NDArray[np.bool_]) -> Events:
        row, side, slot = np.nonzero((image.size > 0) & mine[:, None, None])
        ref = image.ref[row, side, slot]
        order = np.argsort(ref, kind="stable")
        row, side, slot, ref = row[order], side[order], slot[order], ref[order]
        size = image.size[row, side, slot]
        return Events(
            kind=np.full(len(row), Kind.ADD, np.uint8),
            index=self._stocks[row],
            side=side.astype(np.int64),
            ref=ref,
            other=np.zeros(len(row), np.int64),
            price=image.price[row, side, slot],
            size=size,
            ts=np.full(len(row), image.ts, np.int64),
            left=size,
        )

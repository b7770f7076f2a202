"""Order events to Cboe Multicast PITCH messages, a slice at a time.

Edition: US Equities/Options Multicast Depth of Book (PITCH) Specification, version 2.41.66 of 1 April 2026, equities
part. All numbers are little-endian; a message begins with its length, itself included, and its type. A time is a Time
message (seconds since midnight in New York) and an offset in nanoseconds in every other message.

As in the encoder of ITCH each message type is a numpy record, a slice is a table with one row per message, and the
filled parts of the rows are cut out in one operation. Which message an event becomes depends on its numbers: the short
forms hold two bytes of cents and two of shares, the expanded forms an eight-letter symbol and an attribution.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tickcast.sim.days import DAY_NS
from tickcast.sim.market import Events, Kind
from tickcast.sim.universe import I64, Universe

PRICE_UNIT: Final = 10_000
"""PITCH prices have four decimals: 1e-8 units to a price."""
SECOND_NS: Final = 1_000_000_000
HIDDEN_ORDERS: Final = 1 << 62
"""Order ids of hidden orders, which no book knows, are the execution id plus this."""
_SHORT_MAX: Final = 0xFFFF
_CENT: Final = 100
_SIDES: Final = np.frombuffer(b"BS", "S1")


def _layout(number: int, *fields: tuple[str, str]) -> tuple[int, np.dtype[Any]]:
    return number, np.dtype([("length", "u1"), ("type", "u1"), *fields])


def _timed(number: int, *fields: tuple[str, str]) -> tuple[int, np.dtype[Any]]:
    return _layout(number, ("offset", "<u4"), *fields)


_ORDER: Final = ("order", "<u8")
LAYOUTS: Final[dict[str, tuple[int, np.dtype[Any]]]] = {
    "time": _layout(0x20, ("seconds", "<u4")),
    "unit_clear": _timed(0x97),
    "add_long": _timed(
        0x21, _ORDER, ("side", "S1"), ("shares", "<u4"), ("symbol", "S6"), ("price", "<u8"), ("flags", "u1")
    ),
    "add_short": _timed(
        0x22, _ORDER, ("side", "S1"), ("shares", "<u2"), ("symbol", "S6"), ("price", "<u2"), ("flags", "u1")
    ),
    "add_expanded": _timed(
        0x2F, _ORDER, ("side", "S1"), ("shares", "<u4"), ("symbol", "S8"), ("price", "<u8"), ("flags", "u1"),
        ("participant", "S4"), ("customer", "S1"),
    ),
    "executed": _timed(0x23, _ORDER, ("shares", "<u4"), ("execution", "<u8")),
    "executed_at_price": _timed(
        0x24, _ORDER, ("shares", "<u4"), ("remaining", "<u4"), ("execution", "<u8"), ("price", "<u8")
    ),
    "reduce_long": _timed(0x25, _ORDER, ("shares", "<u4")),
    "reduce_short": _timed(0x26, _ORDER, ("shares", "<u2")),
    "modify_long": _timed(0x27, _ORDER, ("shares", "<u4"), ("price", "<u8"), ("flags", "u1")),
    "modify_short": _timed(0x28, _ORDER, ("shares", "<u2"), ("price", "<u2"), ("flags", "u1")),
    "delete": _timed(0x29, _ORDER),
    "trade_long": _timed(
        0x2A, _ORDER, ("side", "S1"), ("shares", "<u4"), ("symbol", "S6"), ("price", "<u8"), ("execution", "<u8")
    ),
    "trade_short": _timed(
        0x2B, _ORDER, ("side", "S1"), ("shares", "<u2"), ("symbol", "S6"), ("price", "<u2"), ("execution", "<u8")
    ),
    "trade_expanded": _timed(
        0x30, _ORDER, ("side", "S1"), ("shares", "<u4"), ("symbol", "S8"), ("price", "<u8"), ("execution", "<u8")
    ),
    "trade_break": _timed(0x2C, ("execution", "<u8")),
    "end_of_session": _timed(0x2D),
    "trading_status": _timed(0x31, ("symbol", "S8"), ("status", "S1"), ("reg_sho", "S1"), ("reserved", "S2")),
    "auction_update": _timed(
        0x95, ("symbol", "S8"), ("auction", "S1"), ("reference", "<u8"), ("buy", "<u4"), ("sell", "<u4"),
        ("indicative", "<u8"), ("auction_only", "<u8"),
    ),
    "auction_summary": _timed(0x96, ("symbol", "S8"), ("auction", "S1"), ("price", "<u8"), ("shares", "<u4")),
}  # fmt: skip
"""Every message of a unit that equities have, by name: type and layout."""

_NAMES: Final = tuple(LAYOUTS)
_CODES: Final = {name: number for number, name in enumerate(_NAMES)}
_EVENT_NAMES: Final = (
    "time", "add_long", "add_short", "add_expanded", "executed", "executed_at_price", "reduce_long", "reduce_short",
    "modify_long", "modify_short", "delete", "trade_long", "trade_short", "trade_expanded",
)  # fmt: skip
_WIDTH: Final = max(LAYOUTS[name][1].itemsize for name in _EVENT_NAMES)
_LENGTHS: Final = np.array([LAYOUTS[name][1].itemsize for name in _NAMES], np.int64)
_FILLED: Final = np.arange(_WIDTH)[None, :] < _LENGTHS[:, None]


def _by_kind(**names: str) -> npt.NDArray[np.int64]:
    codes = np.zeros(max(Kind) + 1, np.int64)
    for kind in Kind:
        codes[kind] = _CODES[names[kind.name.lower()]]
    return codes


_SAME: Final = {
    "add_attributed": "add_expanded",
    "execute": "executed",
    "execute_at_price": "executed_at_price",
    "delete": "delete",
}
_LONG: Final = _by_kind(add="add_long", cancel="reduce_long", replace="modify_long", trade="trade_long", **_SAME)
_SHORT: Final = _by_kind(add="add_short", cancel="reduce_short", replace="modify_short", trade="trade_short", **_SAME)
_SYMBOL_SHORT: Final = 6


def rows(name: str, count: int, **columns: Any) -> npt.NDArray[Any]:
    """Return messages of one type; what is not given is spaces or zero."""
    number, layout = LAYOUTS[name]
    table = np.zeros(count, layout)
    for field in layout.names or ():
        if layout[field].kind == "S":
            table[field] = b" " * layout[field].itemsize
    table["length"] = layout.itemsize
    table["type"] = number
    for field, value in columns.items():
        table[field] = value
    return table


@dataclass(frozen=True, slots=True)
class Block:
    """Messages of one unit, with the place behind each."""

    unit: int
    messages: bytes
    ends: list[int]


class PitchEncoder:
    """Encodes for one universe and division into units; remembers the second that each unit has told."""

    def __init__(self, universe: Universe, *, units: int) -> None:
        stocks = universe.symbols[: universe.stock_count]
        self.symbol = np.array([name.encode().ljust(8) for name in stocks], "S8")
        self.price_unit = universe.tick[: universe.stock_count] // PRICE_UNIT
        self.unit_of = np.arange(universe.stock_count) % units + 1
        """Unit of each stock, from 1 on: they are dealt round."""
        self.expanded = np.array([len(name) > _SYMBOL_SHORT for name in stocks], bool)
        """Whether a stock's name fits expanded messages only."""
        self._seconds = np.full(units + 1, -1, np.int64)

    def price(self, index: Any, ticks: Any) -> Any:
        """Ticks to PITCH prices."""
        return np.asarray(ticks) * self.price_unit[index]

    def forget_time(self) -> None:
        """Let every unit begin with a Time message again."""
        self._seconds[:] = -1

    def time(self, unit: int, since_midnight_ns: int) -> bytes:
        """Return the Time message that must go before a message of this time, if any."""
        seconds = since_midnight_ns // SECOND_NS
        if self._seconds[unit] == seconds:
            return b""
        self._seconds[unit] = seconds
        return rows("time", 1, seconds=seconds).tobytes()

    def events(self, events: Events, *, midnight_ns: int) -> list[Block]:
        """Encode a slice of order events: a block for each unit that has any, each in order, with Time messages."""
        if not len(events):
            return []
        unit = self.unit_of[events.index]
        order = np.argsort(unit, kind="stable")
        unit = unit[order]
        since = (events.ts[order] - midnight_ns) % DAY_NS
        seconds = since // SECOND_NS
        first = np.append(True, unit[1:] != unit[:-1])
        told = np.where(first, self._seconds[unit], np.append(-1, seconds[:-1]))
        news = seconds != told
        last = np.append(first[1:], True)
        self._seconds[unit[last]] = seconds[last]
        if news.any():
            # a Time message is a row of its own before the one that needs it
            repeats = 1 + news
            place = np.cumsum(repeats) - repeats
            is_time = np.zeros(int(repeats.sum()), bool)
            is_time[place[news]] = True
            order, unit = np.repeat(order, repeats), np.repeat(unit, repeats)
            since, seconds = np.repeat(since, repeats), np.repeat(seconds, repeats)
        else:
            is_time = np.zeros(len(order), bool)
        kind = events.kind[order]
        price = self.price(events.index[order], events.price[order])
        size = events.size[order]
        code = self._codes(kind, price=price, size=size, index=events.index[order])
        code[is_time] = 0
        table = np.zeros((len(code), _WIDTH), np.uint8)
        for number in np.unique(code).tolist():
            at = np.flatnonzero(code == number)
            name = _NAMES[number]
            if name == "time":
                made = rows("time", len(at), seconds=seconds[at])
            else:
                made = self._rows(name, events, order[at], price=price[at], since=since[at])
            table[at, : made.dtype.itemsize] = made.view(np.uint8).reshape(len(at), -1)
        return _blocks(table[_FILLED[code]].tobytes(), unit, _LENGTHS[code])

    def _codes(self, kind: npt.NDArray[np.uint8], *, price: I64, size: I64, index: I64) -> I64:
        short = (size <= _SHORT_MAX) & ((kind == Kind.CANCEL) | ((price <= _SHORT_MAX * _CENT) & (price % _CENT == 0)))
        code: I64 = np.where(short, _SHORT[kind], _LONG[kind])
        if self.expanded.any():
            named = self.expanded[index]
            code[named & (kind == Kind.ADD)] = _CODES["add_expanded"]
            code[named & (kind == Kind.TRADE)] = _CODES["trade_expanded"]
        return code

    def _rows(self, name: str, events: Events, at: I64, *, price: I64, since: I64) -> npt.NDArray[Any]:
        number, layout = LAYOUTS[name]
        fields = layout.names or ()
        made = np.empty(len(at), layout)
        made["length"] = layout.itemsize
        made["type"] = number
        made["offset"] = since % SECOND_NS
        traded = name.startswith("trade")
        made["order"] = events.other[at] + HIDDEN_ORDERS if traded else events.ref[at]
        if "shares" in fields:
            made["shares"] = events.size[at]
        if "side" in fields:
            # hidden orders: as Nasdaq's, the side is always B, whatever it was
            made["side"] = b"B" if traded else _SIDES[events.side[at]]
            # a shorter field keeps the first letters, which are all there are
            made["symbol"] = self.symbol[events.index[at]].astype(layout["symbol"])
        if "execution" in fields:
            made["execution"] = events.other[at]
        if "remaining" in fields:
            made["remaining"] = events.left[at]
        if "price" in fields:
            made["price"] = price // _CENT if name.endswith("short") else price
        if "flags" in fields:
            made["flags"] = 1
        if name == "add_expanded":
            made["participant"] = np.where(events.kind[at] == Kind.ADD_ATTRIBUTED, b"SIMU", b"    ")
            made["customer"] = b" "
        return made


def _blocks(messages: bytes, unit: I64, lengths: I64) -> list[Block]:
    ends = np.cumsum(lengths)
    borders = np.flatnonzero(np.append(unit[1:] != unit[:-1], True)) + 1
    blocks = []
    first = begin = 0
    for border in borders.tolist():
        end = int(ends[border - 1])
        blocks.append(Block(int(unit[first]), messages[begin:end], (ends[first:border] - begin).tolist()))
        first, begin = border, end
    return blocks

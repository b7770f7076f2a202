"""A slow, plain decoder of PITCH, binary and text, with books counted anew from all orders.

To hold the native one against.

Written from the field tables of the specifications and the text of ``_native.pyi``, not from the native code.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

from tickcast import _native
from tickcast.model.record import Condition, Flag, Kind, Side, State

LAYOUT: dict[int, tuple[str, str]] = {
    0x20: ("I", "time"),
    0x21: ("IQcI6sQB", "offset order side shares symbol price flags"),
    0x22: ("IQcH6sHB", "offset order side shares symbol cents flags"),
    0x2F: ("IQcI8sQB4sc", "offset order side shares symbol price flags firm customer"),
    0x23: ("IQIQ", "offset order shares execution"),
    0x24: ("IQIIQQ", "offset order shares remaining execution price"),
    0x25: ("IQI", "offset order shares"),
    0x26: ("IQH", "offset order shares"),
    0x27: ("IQIQB", "offset order shares price flags"),
    0x28: ("IQHHB", "offset order shares cents flags"),
    0x29: ("IQ", "offset order"),
    0x2A: ("IQcI6sQQ", "offset order side shares symbol price execution"),
    0x2B: ("IQcH6sHQ", "offset order side shares symbol cents execution"),
    0x30: ("IQcI8sQQ", "offset order side shares symbol price execution"),
    0x2C: ("IQ", "offset execution"),
    0x2D: ("I", "offset"),
    0x97: ("I", "offset"),
    0x31: ("I8scccc", "offset symbol status sho r1 r2"),
    0x95: ("I8scQIIQQ", "offset symbol auction reference buy sell indicative only"),
    0x96: ("I8scQI", "offset symbol auction price shares"),
    0x98: ("I8sc", "offset symbol letter"),
}
"""Equities: type to layout behind length and type."""
TEXT = {
    "A": "order12 side1 shares6 symbol6 price10 flag1",
    "d": "order12 side1 shares6 symbol8 price10 flag1 firm4 customer1",
    "1": "order12 side1 shares6 symbol8 long14 flag1 firm4 customer1",
    "E": "order12 shares6 execution12",
    "X": "order12 shares6",
    "P": "order12 side1 shares6 symbol6 price10 execution12",
    "r": "order12 side1 shares6 symbol8 price10 execution12",
    "2": "order12 side1 shares6 symbol8 long14 execution12",
    "B": "execution12",
    "s": "symbol8",
    "H": "symbol8 status1 sho1 r11 r21",
    "I": "symbol8 auction1 reference10 buy10 sell10 indicative10 only10",
    "3": "symbol8 auction1 reference14 buy10 sell10 indicative14 only14",
    "J": "symbol8 auction1 price10 shares10",
    "4": "symbol8 auction1 long14 shares10",
    "R": "symbol8 letter1",
}
PRICE_MAX = 10**14
BARE = Flag.NO_PRICE | Flag.NO_SIZE
STATES = {b"T": State.LIVE, b"H": State.HALTED, b"S": State.HALTED, b"A": State.AUCTION, b"Q": State.AUCTION}
Values = dict[str, Any]


@dataclass
class Row:
    """One record, but for its receive time."""

    ts_event: int
    instrument: int
    seq: int
    kind: int
    id: int = 0
    price: int = 0
    size: int = 0
    side: int = 0
    price_scale: int = 0
    flags: int = 0
    detail: int = 0


@dataclass
class Order:
    symbol: bytes
    side: bytes
    shares: int
    price: int


@dataclass
class Stock:
    instrument: int
    unit: int
    trading: State = State.EMPTY
    published: State = State.EMPTY
    sho: bytes = b"0"


@dataclass
class Unit:
    orders: dict[int, Order] = field(default_factory=dict)
    executions: dict[int, bytes] = field(default_factory=dict)
    base: int | None = None


class RefusedError(Exception):
    """A message that says what cannot be."""


@dataclass
class ReferenceMarket:
    """What both forms mean; prices at ``scale`` decimals."""

    venue: str
    midnight_ns: int
    scale: int = 4
    rows: list[Row] = field(default_factory=list)
    messages: int = 0
    dead: int = 0
    unpriced: int = 0
    units: dict[int, Unit] = field(default_factory=dict)
    stocks: dict[bytes, Stock] = field(default_factory=dict)

    def take(self, kind: int | str, values: Values, unit: int, ts: int, seq: int) -> None:
        """One message."""
        start = len(self.rows)
        try:
            self._apply(kind, values, self.units.setdefault(unit, Unit()), unit, ts, seq)
            self.messages += 1
        except RefusedError:
            self.dead += 1
        if len(self.rows) > start:
            self.rows[-1].flags |= Flag.LAST_OF_EVENT

    def best(self, symbol: bytes, side: bytes) -> tuple[int, int, int] | None:
        """(price, shares, orders) of the best level."""
        orders = self.units[self.stocks[symbol].unit].orders.values()
        mine = [one for one in orders if one.symbol == symbol and one.side == side]
        if not mine:
            return None
        price = max(one.price for one in mine) if side == b"B" else min(one.price for one in mine)
        level = [one for one in mine if one.price == price]
        return price, sum(one.shares for one in level), len(level)

    def _stock(self, symbol: bytes, unit: int) -> Stock:
        name = symbol.rstrip(b" ")
        if name not in self.stocks:
            if not name or any(not 0x21 <= byte <= 0x7E for byte in name):
                raise RefusedError("symbol")
            self.stocks[name] = Stock(_native.instrument_id(f"{self.venue}:{name.decode()}"), unit)
        return self.stocks[name]

    def _priced(self, row: Row, price: int) -> Row:
        row.price, row.price_scale = (price // 100, 4) if self.scale == 6 and price % 100 == 0 else (price, self.scale)
        return row

    def _quote(self, symbol: bytes, side: bytes, ts: int, seq: int) -> Row:
        stock = self.stocks[symbol]
        kind = Kind.BID if side == b"B" else Kind.ASK
        best = self.best(symbol, side)
        if best is None:
            return Row(ts, stock.instrument, seq, kind, flags=BARE)
        return self._priced(Row(ts, stock.instrument, seq, kind, size=best[1], detail=best[2]), best[0])

    def _status(self, stock: Stock, reason: bytes, ts: int, seq: int) -> None:
        if stock.trading != stock.published:
            stock.published = stock.trading
            ident = int.from_bytes(reason, "big")
            self.rows.append(Row(ts, stock.instrument, seq, Kind.STATUS, id=ident, flags=BARE, detail=stock.published))

    def _trade(self, stock: Stock, price: int, values: Values, ts: int, seq: int) -> Row:
        row = self._priced(Row(ts, stock.instrument, seq, Kind.TRADE, id=values["execution"]), price)
        row.size = values["shares"]
        row.detail = Condition.ODD_LOT if row.size < 100 else 0
        self.rows.append(row)
        return row

    def _change(self, symbol: bytes, side: bytes, ts: int, seq: int, change: Any) -> None:
        before = self.best(symbol, side)
        change()
        after = self.best(symbol, side)
        if (before and before[:2]) != (after and after[:2]):
            stock = self.stocks[symbol]
            if stock.trading == State.EMPTY:
                stock.trading = State.LIVE
                self._status(stock, b"    ", ts, seq)
            self.rows.append(self._quote(symbol, side, ts, seq))

    def _price(self, values: Values, *, least: int = 0) -> int:
        price = int(values["price"])
        if not least <= price <= PRICE_MAX:
            raise RefusedError("price")
        return price

    def _apply(self, kind: int | str, values: Values, unit: Unit, number: int, ts: int, seq: int) -> None:  # noqa: C901, PLR0912, PLR0917
        if kind in {0x21, 0x22, 0x2F, "A", "d", "1"}:
            self._add(values, unit, number, ts, seq)
        elif kind in {0x23, "E"}:
            self._execute(values, unit, ts, seq)
        elif kind == 0x24:
            self._execute_at(values, unit, ts, seq)
        elif kind in {0x25, 0x26, "X"}:
            if not values["shares"]:
                raise RefusedError("size")
            self._take(values, unit, values["shares"], ts, seq)
        elif kind in {0x27, 0x28}:
            self._modify(values, unit, ts, seq)
        elif kind == 0x29:
            self._take(values, unit, None, ts, seq)
        elif kind in {0x2A, 0x2B, 0x30, "P", "r", "2"}:
            self._hidden(values, unit, number, ts, seq)
        elif kind in {0x2C, "B"}:
            symbol = unit.executions.get(values["execution"])
            code = 0x2C if kind == 0x2C else ord("B")
            row = Row(ts, 0, seq, Kind.NOTICE, id=values["execution"], flags=BARE, detail=code)
            if symbol is not None:
                row.instrument, row.kind, row.detail = self.stocks[symbol].instrument, Kind.BUST, 0
            self.rows.append(row)
        elif kind in {0x97, 0x2D}:
            self._whole_unit(kind, unit, number, ts, seq)
        elif kind == "s":
            self._clear_symbol(values, unit, number, ts, seq)
        else:
            self._about(kind, values, number, ts, seq)

    def _add(self, values: Values, unit: Unit, number: int, ts: int, seq: int) -> None:
        if values["side"] not in {b"B", b"S"} or not values["shares"]:
            raise RefusedError("side or size")
        price = self._price(values, least=1)
        self._stock(values["symbol"], number)
        symbol = values["symbol"].rstrip(b" ")
        if values["order"] in unit.orders:
            raise RefusedError("order id")
        order = Order(symbol, values["side"], values["shares"], price)
        self._change(symbol, order.side, ts, seq, lambda: unit.orders.update({values["order"]: order}))

    def _known(self, values: Values, unit: Unit) -> Order | None:
        order = unit.orders.get(values["order"])
        self.unpriced += order is None
        return order

    def _print(self, order: Order, price: int, values: Values, unit: Unit, ts: int, seq: int) -> None:  # noqa: PLR0917
        row = self._trade(self.stocks[order.symbol], price, values, ts, seq)
        row.side = Side.SELLER if order.side == b"B" else Side.BUYER
        unit.executions[values["execution"]] = order.symbol

    def _execute(self, values: Values, unit: Unit, ts: int, seq: int) -> None:
        if not values["shares"]:
            raise RefusedError("size")
        order = self._known(values, unit)
        if order is None:
            return
        self._print(order, order.price, values, unit, ts, seq)
        self._take(values, unit, values["shares"], ts, seq)

    def _execute_at(self, values: Values, unit: Unit, ts: int, seq: int) -> None:
        if not values["shares"]:
            raise RefusedError("size")
        price = self._price(values)
        order = self._known(values, unit)
        if order is None:
            return
        self._print(order, price, values, unit, ts, seq)

        def change() -> None:
            if values["remaining"]:
                order.shares = values["remaining"]
            else:
                del unit.orders[values["order"]]

        self._change(order.symbol, order.side, ts, seq, change)

    def _take(self, values: Values, unit: Unit, shares: int | None, ts: int, seq: int) -> None:
        order = self._known(values, unit)
        if order is None:
            return
        excess = shares is not None and shares > order.shares

        def change() -> None:
            if shares is None or shares >= order.shares:
                del unit.orders[values["order"]]
            else:
                order.shares -= shares

        self._change(order.symbol, order.side, ts, seq, change)
        if excess:
            raise RefusedError("more than there was")

    def _modify(self, values: Values, unit: Unit, ts: int, seq: int) -> None:
        if not values["shares"]:
            raise RefusedError("size")
        price = self._price(values, least=1)
        order = self._known(values, unit)
        if order is not None:

            def change() -> None:
                order.shares, order.price = values["shares"], price

            self._change(order.symbol, order.side, ts, seq, change)

    def _hidden(self, values: Values, unit: Unit, number: int, ts: int, seq: int) -> None:
        if values["side"] not in {b"B", b"S"} or not values["shares"]:
            raise RefusedError("side or size")
        price = self._price(values)
        row = self._trade(self._stock(values["symbol"], number), price, values, ts, seq)
        row.detail |= Condition.HIDDEN
        row.side = Side.BUYER if values["side"] == b"S" else Side.UNKNOWN
        unit.executions[values["execution"]] = values["symbol"].rstrip(b" ")

    def _empty(self, symbol: bytes, unit: Unit, ts: int, seq: int) -> None:
        had = [side for side in (b"B", b"S") if self.best(symbol, side)]
        for order in [key for key, one in unit.orders.items() if one.symbol == symbol]:
            del unit.orders[order]
        self.rows += [self._quote(symbol, side, ts, seq) for side in had]
        if had:
            self.rows[-1].flags |= Flag.LAST_OF_EVENT

    def _whole_unit(self, kind: int | str, unit: Unit, number: int, ts: int, seq: int) -> None:
        flags = BARE | Flag.LAST_OF_EVENT
        self.rows.append(Row(ts, 0, seq, Kind.NOTICE, id=number, flags=flags, detail=int(kind)))
        for symbol, stock in self.stocks.items():
            if stock.unit != number:
                continue
            if kind == 0x97:
                self._empty(symbol, unit, ts, seq)
            else:
                stock.trading = State.CLOSED
                self._status(stock, b"    ", ts, seq)
                self.rows[-1].flags |= Flag.LAST_OF_EVENT

    def _clear_symbol(self, values: Values, unit: Unit, number: int, ts: int, seq: int) -> None:
        stock = self._stock(values["symbol"], number)
        self.rows.append(Row(ts, stock.instrument, seq, Kind.NOTICE, flags=BARE, detail=ord("s")))
        self._empty(values["symbol"].rstrip(b" "), unit, ts, seq)

    def _about(self, kind: int | str, values: Values, number: int, ts: int, seq: int) -> None:
        code = kind if isinstance(kind, int) else ord(kind)
        if kind in {0x31, "H"}:
            if values["status"] not in STATES:
                raise RefusedError("status")
            stock = self._stock(values["symbol"], number)
            stock.trading = STATES[values["status"]]
            self._status(stock, values["status"] + values["sho"] + values["r1"] + values["r2"], ts, seq)
            if values["sho"] in {b"0", b"1"} and values["sho"] != stock.sho:
                stock.sho = values["sho"]
                ident = stock.sho[0]
                self.rows.append(Row(ts, stock.instrument, seq, Kind.NOTICE, id=ident, flags=BARE, detail=code))
        elif kind in {0x95, "I", "3"}:
            if values["indicative"] > PRICE_MAX:
                raise RefusedError("price")
            stock = self._stock(values["symbol"], number)
            buy, sell = values["buy"], values["sell"]
            row = self._priced(Row(ts, stock.instrument, seq, Kind.IMBALANCE), values["indicative"])
            row.flags = 0 if values["indicative"] else Flag.NO_PRICE
            row.id, row.size, row.detail = abs(buy - sell), min(buy, sell), values["auction"][0]
            row.side = (buy > sell) + 2 * (buy < sell)
            self.rows.append(row)
        else:
            price = self._price(values) if "price" in values else 0
            ident = (values["letter"] if kind in {0x98, "R"} else values["auction"])[0]
            stock = self._stock(values["symbol"], number)
            row = Row(ts, stock.instrument, seq, Kind.NOTICE, id=ident, detail=code, size=values.get("shares", 0))
            if price:
                self._priced(row, price)
            row.flags = (0 if price else Flag.NO_PRICE) | (0 if row.size else Flag.NO_SIZE)
            self.rows.append(row)


class ReferenceDecoder(ReferenceMarket):
    """The binary form."""

    def decode(self, block: bytes, unit: int, first_seq: int, ts_recv: int) -> None:
        """Messages of a unit."""
        place, seq = 0, first_seq
        while place < len(block):
            length = block[place]
            message = block[place : place + length]
            if length < 2 or len(message) < length:
                self.dead += 1
                return
            place += length
            self._message(message, unit, seq, ts_recv)
            seq += bool(first_seq)

    def _message(self, message: bytes, unit: int, seq: int, ts_recv: int) -> None:
        layout = LAYOUT.get(message[1])
        if layout is None or len(message) < struct.calcsize("<" + layout[0]) + 2 - 5 * (message[1] == 0x2F):
            self.dead += 1
            return
        codes, names = layout
        if message[1] == 0x2F and len(message) < 41:
            codes, names = codes.removesuffix("4sc"), names.removesuffix(" firm customer")
        values = dict(zip(names.split(), struct.unpack_from("<" + codes, message, 2), strict=True))
        if "cents" in values:
            values["price"] = values["cents"] * 100
        state = self.units.setdefault(unit, Unit())
        if message[1] == 0x20:
            if values["time"] >= 2 * 86_400:
                self.dead += 1
                return
            state.base = self.midnight_ns + values["time"] * 1_000_000_000
            self.messages += 1
            return
        ts = ts_recv if state.base is None else state.base + values["offset"]
        self.take(message[1], values, unit, ts, seq)


class ReferenceTextDecoder(ReferenceMarket):
    """The text form, whole lines."""

    def __init__(self, venue: str, midnight_ns: int) -> None:
        super().__init__(venue, midnight_ns, scale=6)

    def decode(self, lines: bytes, first_seq: int) -> None:
        """Lines, each with its end."""
        for seq, line in enumerate(lines.split(b"\n")[:-1], first_seq):
            try:
                self._line(line.removeprefix(b"S"), seq)
            except (RefusedError, ValueError, KeyError, IndexError):
                self.dead += 1

    def _line(self, line: bytes, seq: int) -> None:
        ts = self.midnight_ns + number(line[:8]) * 1_000_000
        kind = line[8:9].decode("latin-1")
        place = 9
        values: Values = {}
        for one in TEXT[kind].split():
            name = one.rstrip("0123456789") if name_is_plain(one) else one[:2]
            width = int(one[len(name) :])
            part = line[place : place + width]
            place += width
            if len(part) < width:
                if name in {"flag", "firm", "customer"}:
                    continue
                raise RefusedError("short")
            values[name] = text_value(name, part, width)
        if "long" in values:
            values["price"] = values.pop("long")
        self.take(kind, values, 0, ts, seq)


def name_is_plain(one: str) -> bool:
    """Whether digits belong to the width only."""
    return not one.startswith(("r1", "r2"))


def number(part: bytes) -> int:
    """A number padded on the left."""
    digits = part.lstrip(b" ")
    if not digits or not all(48 <= byte <= 57 for byte in digits):
        raise RefusedError("number")
    return int(digits)


def text_value(name: str, part: bytes, width: int) -> Any:
    """A field of a line."""
    if name in {"order", "execution"}:
        if any(not (48 <= byte <= 57 or 65 <= byte <= 90) for byte in part):
            raise RefusedError("id")
        return int(part, 36)
    if name in {"shares", "buy", "sell"}:
        found = number(part)
        if found >= 1 << 32:
            raise RefusedError("size")
        return found
    if name in {"price", "long", "reference", "indicative", "only"}:
        return number(part) * (100 if width == 10 else 1)
    return part


def pack(kind: int, *values: object) -> bytes:
    """Build a message with its length and type before it."""
    body = struct.pack("<" + LAYOUT[kind][0], *values)
    return bytes([len(body) + 2, kind]) + body

"""A slow, plain decoder of ITCH 5.0 with books counted anew from all orders, to hold the native one against.

Written from the specification and the text of ``_native.pyi``, not from the native code.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tickcast import _native
from tickcast.model.record import Condition, Flag, Kind, Side, State

LAYOUT = {
    "S": ("c", "event"),
    "R": ("8sccIcc2scccccIc", "stock c1 c2 round_lot c3 c4 c5 c6 c7 c8 c9 c10 leverage c11"),
    "H": ("8scc4s", "stock state reserved reason"),
    "Y": ("8sc", "stock action"),
    "L": ("4s8sccc", "mpid stock primary mode state"),
    "V": ("QQQ", "level1 level2 level3"),
    "W": ("c", "level"),
    "K": ("8sIcI", "stock release qualifier price"),
    "J": ("8sIIII", "stock reference upper lower extension"),
    "h": ("8scc", "stock market action"),
    "A": ("QcI8sI", "ref side shares stock price"),
    "F": ("QcI8sI4s", "ref side shares stock price mpid"),
    "E": ("QIQ", "ref shares match"),
    "C": ("QIQcI", "ref shares match printable price"),
    "X": ("QI", "ref shares"),
    "D": ("Q", "ref"),
    "U": ("QQII", "ref new_ref shares price"),
    "P": ("QcI8sIQ", "ref side shares stock price match"),
    "Q": ("Q8sIQc", "shares stock price match cross"),
    "B": ("Q", "match"),
    "I": ("QQc8sIIIcc", "paired imbalance direction stock far near reference cross variation"),
    "N": ("8sc", "stock interest"),
    "O": ("8scIIIQII", "stock eligible low high near near_time lower upper"),
}
HEADER = ">cHH6s"
BARE = Flag.NO_PRICE | Flag.NO_SIZE
I64_MAX = 2**63 - 1
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
class Stock:
    instrument: int
    name: bytes
    round_lot: int = 100
    trading: State = State.EMPTY
    halted: bool = False
    published: State = State.EMPTY


@dataclass
class Order:
    locate: int
    side: bytes
    shares: int
    price: int


def pack(letter: str, locate: int, nanoseconds: int, *values: object) -> bytes:
    """Build a message with its length before it."""
    body = struct.pack(HEADER, letter.encode(), locate, 0, nanoseconds.to_bytes(6, "big"))
    body += struct.pack(">" + LAYOUT[letter][0], *values)
    return len(body).to_bytes(2, "big") + body


def split(block: bytes) -> Iterator[bytes | None]:
    """Messages of a block; None for a tail that is cut."""
    while block:
        length = int.from_bytes(block[:2], "big")
        if len(block) < 2 + length:
            yield None
            return
        yield block[2 : 2 + length]
        block = block[2 + length :]


@dataclass
class ReferenceDecoder:
    venue: str
    midnight_ns: int
    rows: list[Row] = field(default_factory=list)
    messages: int = 0
    dead: int = 0
    unpriced: int = 0
    stocks: dict[int, Stock] = field(default_factory=dict)
    renamable: set[int] = field(default_factory=set)
    orders: dict[int, Order] = field(default_factory=dict)

    def decode(self, block: bytes, first_seq: int) -> None:
        for seq, message in enumerate(split(block), first_seq):
            if self._message(message, seq):
                self.messages += 1
            else:
                self.dead += 1

    def best(self, locate: int, side: bytes) -> tuple[int, int, int] | None:
        """(price, shares, orders) of the best level."""
        orders = [order for order in self.orders.values() if order.locate == locate and order.side == side]
        if not orders:
            return None
        price = (max if side == b"B" else min)(order.price for order in orders)
        at_best = [order.shares for order in orders if order.price == price]
        return price, sum(at_best), len(at_best)

    def _message(self, message: bytes | None, seq: int) -> bool:
        letter = chr(message[0]) if message else ""
        if not message or letter not in LAYOUT:
            return False
        form, names = LAYOUT[letter]
        if len(message) != 11 + struct.calcsize(">" + form):
            return False
        _, locate, _, stamp = struct.unpack_from(HEADER, message)
        values = dict(zip(names.split(), struct.unpack_from(">" + form, message, 11), strict=True))
        self._ts = self.midnight_ns + int.from_bytes(stamp, "big")
        self._seq = seq
        start = len(self.rows)
        stock = None
        if "stock" in values and self._sane(letter, values):
            stock = self._stock(locate, values["stock"])
            if stock is None:
                return False
            if letter == "R":
                self.renamable.discard(locate)
        understood = self._apply(letter, locate, stock, values)
        if len(self.rows) > start:
            self.rows[-1].flags |= Flag.LAST_OF_EVENT
        return understood

    @staticmethod
    def _sane(letter: str, values: Values) -> bool:
        return letter not in "AF" or (values["side"] in (b"B", b"S") and values["shares"] > 0)

    def _stock(self, locate: int, name: bytes) -> Stock | None:
        known = self.stocks.get(locate)
        if known is not None and known.name == name:
            return known
        places = {place for place, stock in self.stocks.items() if stock.name == name} | {locate}
        if any(place in self.stocks and place not in self.renamable for place in places):
            return None
        self.orders = {ref: order for ref, order in self.orders.items() if order.locate not in places}
        for place in places:
            self.stocks.pop(place, None)
            self.renamable.discard(place)
        text = name.rstrip(b" ").decode("utf-8", "replace")
        known = self.stocks[locate] = Stock(_native.instrument_id(f"{self.venue}:{text}"), name)
        return known

    def _row(self, instrument: int, kind: Kind, **values: int) -> None:
        self.rows.append(Row(self._ts, instrument, self._seq, kind, **values))

    def _apply(self, letter: str, locate: int, stock: Stock | None, v: Values) -> bool:
        if letter in "AF":
            return stock is not None and self._add(locate, v["ref"], Order(locate, v["side"], v["shares"], v["price"]))
        if letter in "ECXD":
            return self._reduce(letter, v)
        if letter == "U":
            return self._replace(v)
        if letter == "B":
            if locate in self.stocks:
                self._row(self.stocks[locate].instrument, Kind.BUST, id=v["match"], flags=BARE)
        elif letter == "S":
            self._system(v["event"])
        elif letter in "WV":
            self._of_market(letter, v)
        elif stock:
            self._of_stock(letter, stock, v)
        return True

    def _of_market(self, letter: str, v: Values) -> None:
        if letter == "W":
            self._row(0, Kind.NOTICE, detail=ord("W"), id=v["level"][0], flags=BARE)
            return
        for number in (1, 2, 3):
            price = v[f"level{number}"]
            fits = price <= I64_MAX
            flags = Flag.NO_SIZE if fits else BARE
            self._row(0, Kind.NOTICE, detail=ord("V"), id=number, price=price * fits, price_scale=8, flags=flags)

    def _halts(self, letter: str, stock: Stock, v: Values) -> None:
        if letter == "H":
            states = {b"H": State.HALTED, b"P": State.HALTED, b"Q": State.AUCTION, b"T": State.LIVE}
            if v["state"] in states:
                stock.trading = states[v["state"]]
                self._status(stock, v["reason"])
        elif v["market"] == b"Q":
            stock.halted = v["action"] == b"H"
            if not stock.halted and stock.trading == State.EMPTY:
                stock.trading = State.LIVE
            self._status(stock, b"hQ" + v["action"] + b" ")

    def _of_stock(self, letter: str, stock: Stock, v: Values) -> None:
        if letter == "R":
            stock.round_lot = v["round_lot"] or 100
        elif letter in "Hh":
            self._halts(letter, stock, v)
        elif letter == "P":
            detail = Condition.HIDDEN | (Condition.ODD_LOT if v["shares"] < stock.round_lot else 0)
            price, size = v["price"], v["shares"]
            self._row(stock.instrument, Kind.TRADE, id=v["match"], price=price, size=size, price_scale=4, detail=detail)
        elif letter == "Q":
            if v["shares"]:
                kinds = {b"O": Condition.OPENING, b"C": Condition.CLOSING}
                detail = Condition.AUCTION | kinds.get(v["cross"], 0)
                price = v["price"]
                self._sized(stock, Kind.TRADE, v["shares"], id=v["match"], price=price, price_scale=4, detail=detail)
        elif letter == "I":
            side = {b"B": Side.BUYER, b"S": Side.SELLER}.get(v["direction"], Side.UNKNOWN)
            near, flags = v["near"], 0 if v["near"] else Flag.NO_PRICE
            common = {"id": v["imbalance"], "price": near, "price_scale": 4, "flags": flags}
            self._sized(stock, Kind.IMBALANCE, v["paired"], side=side, detail=v["cross"][0], **common)
        else:
            self._notice(letter, stock, v)

    def _notice(self, letter: str, stock: Stock, v: Values) -> None:
        detail = ord(letter)
        if letter in "YN":
            key = v["action"] if letter == "Y" else v["interest"]
            self._row(stock.instrument, Kind.NOTICE, detail=detail, id=key[0], flags=BARE)
        elif letter == "L":
            key = int.from_bytes(v["mpid"] + v["primary"] + v["mode"] + v["state"], "big")
            self._row(stock.instrument, Kind.NOTICE, detail=detail, id=key, flags=BARE)
        elif letter == "K":
            values = {"id": v["qualifier"][0], "price": v["price"], "price_scale": 4}
            self._sized(stock, Kind.NOTICE, v["release"], detail=detail, **values)
        elif letter == "J":
            values = {"id": v["upper"] << 32 | v["lower"], "price": v["reference"], "price_scale": 4}
            self._sized(stock, Kind.NOTICE, v["extension"], detail=detail, **values)
        elif letter == "O":
            values = {"id": v["eligible"][0], "price": v["near"], "price_scale": 4}
            self._sized(stock, Kind.NOTICE, v["near_time"], detail=detail, **values)

    def _sized(self, stock: Stock, kind: Kind, size: int, *, flags: int = 0, **values: int) -> None:
        if size > I64_MAX:
            size, flags = I64_MAX, flags | Flag.INEXACT_SIZE
        self._row(stock.instrument, kind, size=size, flags=flags, **values)

    def _status(self, stock: Stock, reason: bytes) -> None:
        state = State.HALTED if stock.halted and stock.trading != State.CLOSED else stock.trading
        if state != stock.published:
            stock.published = state
            self._row(stock.instrument, Kind.STATUS, id=int.from_bytes(reason, "big"), flags=BARE, detail=state)

    def _system(self, event: bytes) -> None:
        self._row(0, Kind.NOTICE, detail=event[0], flags=BARE | Flag.LAST_OF_EVENT)
        if event == b"O":
            self.renamable.update(self.stocks)
        for locate, stock in sorted(self.stocks.items()):
            start = len(self.rows)
            if event == b"O":
                had = [side for side in (b"B", b"S") if self.best(locate, side)]
                self.orders = {ref: order for ref, order in self.orders.items() if order.locate != locate}
                stock.trading = stock.published = State.EMPTY
                stock.halted = False
                for side in had:
                    self._quote(stock, locate, side)
            elif event in (b"E", b"C"):
                stock.trading = State.CLOSED
                self._status(stock, b"    ")
            if len(self.rows) > start:
                self.rows[-1].flags |= Flag.LAST_OF_EVENT

    def _quote(self, stock: Stock, locate: int, side: bytes) -> None:
        kind = Kind.BID if side == b"B" else Kind.ASK
        best = self.best(locate, side)
        if best is None:
            self._row(stock.instrument, kind, flags=BARE)
            return
        price, shares, orders = best
        self._row(stock.instrument, kind, price=price, size=shares, price_scale=4, detail=min(orders, 65535))

    def _changed(self, order: Order, before: tuple[int, int, int] | None) -> None:
        after = self.best(order.locate, order.side)
        if (before and before[:2]) == (after and after[:2]):
            return
        stock = self.stocks[order.locate]
        if stock.trading == State.EMPTY:
            stock.trading = State.LIVE
            self._status(stock, b"    ")
        self._quote(stock, order.locate, order.side)

    def _add(self, locate: int, ref: int, order: Order) -> bool:
        if ref in self.orders:
            return False
        before = self.best(locate, order.side)
        self.orders[ref] = order
        self._changed(order, before)
        return True

    def _reduce(self, letter: str, v: Values) -> bool:
        order = self.orders.get(v["ref"])
        if order is None:
            self.unpriced += 1
            return True
        stock = self.stocks[order.locate]
        shares = order.shares if letter == "D" else v["shares"]
        if letter == "E" or (letter == "C" and v["printable"] == b"Y"):
            detail = Condition.ODD_LOT if shares < stock.round_lot else 0
            side = Side.SELLER if order.side == b"B" else Side.BUYER
            price = v.get("price", order.price)
            values = {"price": price, "size": shares, "price_scale": 4, "side": side, "detail": detail}
            self._row(stock.instrument, Kind.TRADE, id=v["match"], **values)
        before = self.best(order.locate, order.side)
        enough = shares <= order.shares
        order.shares -= shares
        if order.shares <= 0:
            del self.orders[v["ref"]]
        self._changed(order, before)
        return enough

    def _replace(self, v: Values) -> bool:
        if v["shares"] == 0 or (v["new_ref"] in self.orders and v["new_ref"] != v["ref"]):
            return False
        old = self.orders.get(v["ref"])
        if old is None:
            self.unpriced += 1
            return True
        before = self.best(old.locate, old.side)
        del self.orders[v["ref"]]
        self.orders[v["new_ref"]] = Order(old.locate, old.side, v["shares"], v["price"])
        self._changed(old, before)
        return True

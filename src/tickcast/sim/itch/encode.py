"""Order events to Nasdaq TotalView-ITCH 5.0 messages as SoupBinTCP packets or MoldUDP64 blocks, a slice at a time.

Each message type is a numpy record in the layout of the specification (section 1.1 to 1.7), preceded by the length and
type of a SoupBinTCP sequenced packet. A MoldUDP64 message block is the same without the type and counts one byte less.
A slice is laid out as one row per message in a table as wide as the widest, columns are written for all messages of a
type at once, and the filled parts of the rows are then cut out in one operation.
"""

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tickcast.sim.market import Events, Kind
from tickcast.sim.universe import Universe

PRICE_UNIT: Final = 10_000
"""ITCH prices have four decimals: 1e-8 units to a price."""
_SIDES: Final = np.frombuffer(b"BS", "S1")


def _layout(*fields: tuple[str, str]) -> np.dtype[Any]:
    head = [("length", ">u2"), ("packet", "S1"), ("type", "S1"), ("locate", ">u2"), ("tracking", ">u2")]
    return np.dtype([*head, ("ts_high", ">u2"), ("ts_low", ">u4"), *fields])


LAYOUTS: Final[dict[str, np.dtype[Any]]] = {
    "S": _layout(("event", "S1")),
    "R": _layout(
        ("stock", "S8"),
        ("category", "S1"),
        ("financial", "S1"),
        ("round_lot", ">u4"),
        ("round_lots_only", "S1"),
        ("issue_class", "S1"),
        ("issue_subtype", "S2"),
        ("authenticity", "S1"),
        ("short_sale_threshold", "S1"),
        ("ipo", "S1"),
        ("luld_tier", "S1"),
        ("etp", "S1"),
        ("etp_leverage", ">u4"),
        ("inverse", "S1"),
    ),
    "H": _layout(("stock", "S8"), ("state", "S1"), ("reserved", "S1"), ("reason", "S4")),
    "Y": _layout(("stock", "S8"), ("action", "S1")),
    "L": _layout(("mpid", "S4"), ("stock", "S8"), ("primary", "S1"), ("mode", "S1"), ("state", "S1")),
    "V": _layout(("level1", ">u8"), ("level2", ">u8"), ("level3", ">u8")),
    "W": _layout(("level", "S1")),
    "K": _layout(("stock", "S8"), ("release", ">u4"), ("qualifier", "S1"), ("price", ">u4")),
    "J": _layout(("stock", "S8"), ("reference", ">u4"), ("upper", ">u4"), ("lower", ">u4"), ("extension", ">u4")),
    "h": _layout(("stock", "S8"), ("market", "S1"), ("action", "S1")),
    "A": _layout(("ref", ">u8"), ("side", "S1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4")),
    "F": _layout(
        ("ref", ">u8"), ("side", "S1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4"), ("attribution", "S4")
    ),
    "E": _layout(("ref", ">u8"), ("shares", ">u4"), ("match", ">u8")),
    "C": _layout(("ref", ">u8"), ("shares", ">u4"), ("match", ">u8"), ("printable", "S1"), ("price", ">u4")),
    "X": _layout(("ref", ">u8"), ("shares", ">u4")),
    "D": _layout(("ref", ">u8")),
    "U": _layout(("ref", ">u8"), ("new_ref", ">u8"), ("shares", ">u4"), ("price", ">u4")),
    "P": _layout(
        ("ref", ">u8"), ("side", "S1"), ("shares", ">u4"), ("stock", "S8"), ("price", ">u4"), ("match", ">u8")
    ),
    "Q": _layout(("shares", ">u8"), ("stock", "S8"), ("price", ">u4"), ("match", ">u8"), ("cross", "S1")),
    "B": _layout(("match", ">u8")),
    "I": _layout(
        ("paired", ">u8"),
        ("imbalance", ">u8"),
        ("direction", "S1"),
        ("stock", "S8"),
        ("far", ">u4"),
        ("near", ">u4"),
        ("reference", ">u4"),
        ("cross", "S1"),
        ("variation", "S1"),
    ),
    "N": _layout(("stock", "S8"), ("interest", "S1")),
    "O": _layout(
        ("stock", "S8"),
        ("eligible", "S1"),
        ("lowest", ">u4"),
        ("highest", ">u4"),
        ("near", ">u4"),
        ("near_time", ">u8"),
        ("lower", ">u4"),
        ("upper", ">u4"),
    ),
}
"""Every message of the specification, with the packet header of three bytes in front."""

_KIND_TYPES: Final = {
    Kind.ADD: "A",
    Kind.ADD_ATTRIBUTED: "F",
    Kind.EXECUTE: "E",
    Kind.EXECUTE_AT_PRICE: "C",
    Kind.CANCEL: "X",
    Kind.DELETE: "D",
    Kind.REPLACE: "U",
    Kind.TRADE: "P",
}
_WIDTH: Final = max(LAYOUTS[name].itemsize for name in _KIND_TYPES.values())
_LENGTHS: Final = np.zeros(max(Kind) + 1, np.int64)
for _kind, _name in _KIND_TYPES.items():
    _LENGTHS[_kind] = LAYOUTS[_name].itemsize
_FILLED: Final = np.arange(_WIDTH)[None, :] < _LENGTHS[:, None]
_TYPE_AT: Final = 2
_FILLED_MOLD: Final = _FILLED & (np.arange(_WIDTH) != _TYPE_AT)[None, :]

Framing = Literal["soup", "mold"]
"""What stands before each message: length and packet type (SoupBinTCP), or its length alone (MoldUDP64)."""


def packets(name: str, count: int, *, ts: int | npt.NDArray[np.int64], **columns: Any) -> npt.NDArray[Any]:
    """Return packets of one message type; what is not given is spaces or zero, ``ts`` is ns since midnight."""
    layout = LAYOUTS[name]
    table = np.zeros(count, layout)
    table["length"] = layout.itemsize - 2
    table["packet"] = b"S"
    table["type"] = name.encode()
    table["ts_high"] = np.asarray(ts) >> 32
    table["ts_low"] = np.asarray(ts) & 0xFFFF_FFFF
    for field in layout.names or ():
        if layout[field].kind == "S" and field not in {"packet", "type"}:
            table[field] = b" " * layout[field].itemsize
    for field, value in columns.items():
        table[field] = value
    return table


def framed(rows: npt.NDArray[Any], framing: Framing) -> bytes:
    """Return the rows of :func:`packets` as bytes of a transport; a row of MoldUDP64 loses its packet type."""
    if framing == "soup":
        return rows.tobytes()
    rows["length"] -= 1
    return np.delete(rows.view(np.uint8).reshape(len(rows), -1), _TYPE_AT, axis=1).tobytes()


class ItchEncoder:
    """Encodes for one universe: stock names, locates and price units are looked up, not formatted."""

    def __init__(self, universe: Universe, *, framing: Framing = "soup") -> None:
        self.framing: Framing = framing
        self._extra = 0 if framing == "soup" else 1
        self._filled = _FILLED if framing == "soup" else _FILLED_MOLD
        stocks = universe.symbols[: universe.stock_count]
        self.stock = np.array([name.encode().ljust(8) for name in stocks], "S8")
        self.price_unit = universe.tick[: universe.stock_count] // PRICE_UNIT

    def price(self, index: Any, ticks: Any) -> Any:
        """Ticks to ITCH prices."""
        return np.asarray(ticks) * self.price_unit[index]

    def events(self, events: Events, *, midnight_ns: int) -> bytes:
        """Encode a slice of order events, in order."""
        if not len(events):
            return b""
        table = np.zeros((len(events), _WIDTH), np.uint8)
        for kind, name in _KIND_TYPES.items():
            at = np.flatnonzero(events.kind == kind)
            if len(at):
                rows = self._rows(kind, name, events, at, midnight_ns)
                table[at, : rows.dtype.itemsize] = rows.view(np.uint8).reshape(len(at), -1)
        return table[self._filled[events.kind]].tobytes()

    def lengths(self, events: Events) -> npt.NDArray[np.int64]:
        """Bytes that each event takes in :meth:`events`."""
        lengths: npt.NDArray[np.int64] = _LENGTHS[events.kind] - self._extra
        return lengths

    def _rows(
        self, kind: Kind, name: str, events: Events, at: npt.NDArray[np.int64], midnight_ns: int
    ) -> npt.NDArray[Any]:
        layout = LAYOUTS[name]
        rows = np.empty(len(at), layout)
        index = events.index[at]
        ts = events.ts[at] - midnight_ns
        rows["length"] = layout.itemsize - 2 - self._extra
        rows["packet"] = b"S"
        rows["type"] = name.encode()
        rows["locate"] = index + 1
        rows["tracking"] = 0
        rows["ts_high"] = ts >> 32
        rows["ts_low"] = ts & 0xFFFF_FFFF
        rows["ref"] = 0 if kind == Kind.TRADE else events.ref[at]
        if kind != Kind.DELETE:
            rows["shares"] = events.size[at]
        if kind in {Kind.ADD, Kind.ADD_ATTRIBUTED, Kind.TRADE}:
            rows["stock"] = self.stock[index]
            # hidden orders: since 2014 the side of ``P`` is always B, whatever it was
            rows["side"] = b"B" if kind == Kind.TRADE else _SIDES[events.side[at]]
        if kind == Kind.ADD_ATTRIBUTED:
            rows["attribution"] = b"SIMU"
        if kind == Kind.REPLACE:
            rows["new_ref"] = events.other[at]
        if kind in {Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE}:
            rows["match"] = events.other[at]
        if kind == Kind.EXECUTE_AT_PRICE:
            rows["printable"] = b"Y"
        if kind not in {Kind.EXECUTE, Kind.CANCEL, Kind.DELETE}:
            rows["price"] = self.price(index, events.price[at])
        return rows

"""Each message an event can become, byte for byte, and where Time messages go."""

import struct
from typing import Any

import numpy as np

from tickcast.sim import universe as listing
from tickcast.sim.config import Config
from tickcast.sim.market import Events, Kind
from tickcast.sim.pitch.encode import PitchEncoder

UNIVERSE = listing.build(Config(symbols=50))
TEN = 36_000 * 10**9


def events(*rows: tuple[Kind, dict[str, int]], ts: tuple[int, ...] = ()) -> Events:
    def column(name: str) -> Any:
        return np.array([row.get(name, 0) for _, row in rows], np.int64)

    kind = np.array([one for one, _ in rows], np.uint8)
    times = np.array(ts or [TEN + 7] * len(rows), np.int64)
    return Events(kind, column("index"), column("side"), column("ref"), column("other"), column("price"),
                  column("size"), times, column("left"))  # fmt: skip


def encoded(kind: Kind, **columns: int) -> bytes:
    """One event of the first stock (AAPL, a tick is a cent) at 10:00:00.000000007."""
    encoder = PitchEncoder(UNIVERSE, units=1)
    (block,) = encoder.events(events((kind, columns)), midnight_ns=0)
    assert block.unit == 1
    assert block.ends[0] == 6
    assert block.messages[:6] == struct.pack("<BBI", 6, 0x20, 36_000)
    assert block.ends[-1] == len(block.messages)
    return block.messages[6:]


def test_orders_take_the_short_form_when_they_fit() -> None:
    order = {"ref": 0x0102030405060708, "price": 18_512, "size": 65_535, "side": 1}
    head = b"\x07\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01"
    assert encoded(Kind.ADD, **order) == b"\x1a\x22" + head + b"S\xff\xffAAPL  " + struct.pack("<HB", 18_512, 1)
    long = b"\x22\x21" + head + b"S\0\0\x01\0AAPL  " + struct.pack("<QB", 1_851_200, 1)
    assert encoded(Kind.ADD, **{**order, "size": 65_536}) == long
    dear = encoded(Kind.ADD, **{**order, "price": 65_536})
    assert dear == b"\x22\x21" + head + b"S\xff\xff\0\0AAPL  " + struct.pack("<QB", 6_553_600, 1)
    attributed = b"\x29\x2f" + head + b"B\x64\0\0\0AAPL    " + struct.pack("<QB", 1_851_200, 1) + b"SIMU "
    assert encoded(Kind.ADD_ATTRIBUTED, **{**order, "size": 100, "side": 0}) == attributed


def test_what_happens_to_orders() -> None:
    order = {"ref": 5, "price": 18_512, "size": 30, "left": 70, "other": 9}
    head = struct.pack("<IQ", 7, 5)
    assert encoded(Kind.EXECUTE, **order) == b"\x1a\x23" + head + struct.pack("<IQ", 30, 9)
    at_price = b"\x26\x24" + head + struct.pack("<IIQQ", 30, 70, 9, 1_851_200)
    assert encoded(Kind.EXECUTE_AT_PRICE, **order) == at_price
    assert encoded(Kind.CANCEL, **order) == b"\x10\x26" + head + struct.pack("<H", 30)
    assert encoded(Kind.CANCEL, **{**order, "size": 65_536}) == b"\x12\x25" + head + struct.pack("<I", 65_536)
    assert encoded(Kind.CANCEL, **{**order, "price": 99_999}) == b"\x10\x26" + head + struct.pack("<H", 30)
    assert encoded(Kind.DELETE, **order) == b"\x0e\x29" + head
    assert encoded(Kind.REPLACE, **order) == b"\x13\x28" + head + struct.pack("<HHB", 30, 18_512, 1)
    long = b"\x1b\x27" + head + struct.pack("<IQB", 65_536, 1_851_200, 1)
    assert encoded(Kind.REPLACE, **{**order, "size": 65_536}) == long


def test_trades_against_hidden_orders_have_an_order_id_that_no_book_knows() -> None:
    trade = {"ref": 5, "price": 18_512, "size": 30, "other": 9}
    head = struct.pack("<IQ", 7, (1 << 62) + 9)
    short = b"\x21\x2b" + head + b"B" + struct.pack("<H6sHQ", 30, b"AAPL  ", 18_512, 9)
    assert encoded(Kind.TRADE, **trade) == short
    long = b"\x29\x2a" + head + b"B" + struct.pack("<I6sQQ", 65_536, b"AAPL  ", 1_851_200, 9)
    assert encoded(Kind.TRADE, **{**trade, "size": 65_536}) == long


def test_long_symbols_take_the_expanded_forms() -> None:
    encoder = PitchEncoder(UNIVERSE, units=1)
    encoder.symbol[0] = b"LONGNAME"
    encoder.expanded[0] = True
    (block,) = encoder.events(
        events((Kind.ADD, {"price": 100, "size": 1}), (Kind.TRADE, {"price": 100, "size": 1})), midnight_ns=0
    )
    add, trade = block.messages[6:47], block.messages[47:]
    assert (add[:2], add[19:27], add[36:]) == (b"\x29\x2f", b"LONGNAME", b"     ")
    assert (trade[:2], trade[19:27], len(trade)) == (b"\x2b\x30", b"LONGNAME", 43)


def test_each_unit_says_each_second_once_and_before_what_needs_it() -> None:
    encoder = PitchEncoder(UNIVERSE, units=2)
    second = 10**9
    rows = [(Kind.DELETE, {"index": index, "ref": ref}) for ref, index in enumerate((0, 1, 0, 1, 0))]
    times = (TEN, TEN + 1, TEN + second, TEN + second + 1, TEN + second + 2)
    first, other = encoder.events(events(*rows, ts=times), midnight_ns=0)

    def seen(messages: bytes) -> list[tuple[int, int]]:
        found = []
        while messages:
            found.append((messages[1], struct.unpack("<I", messages[2:6])[0]))
            messages = messages[messages[0] :]
        return found

    assert seen(first.messages) == [(0x20, 36_000), (0x29, 0), (0x20, 36_001), (0x29, 0), (0x29, 2)]
    assert seen(other.messages) == [(0x20, 36_000), (0x29, 1), (0x20, 36_001), (0x29, 1)]
    assert first.ends == [6, 20, 26, 40, 54]
    (again,) = encoder.events(events((Kind.DELETE, {}), ts=(TEN + second + 3,)), midnight_ns=0)
    assert seen(again.messages) == [(0x29, 3)], "the second is known"
    assert encoder.time(2, TEN + second) == b""
    assert encoder.time(2, TEN + 2 * second) == struct.pack("<BBI", 6, 0x20, 36_002)
    assert encoder.events(events(), midnight_ns=0) == []

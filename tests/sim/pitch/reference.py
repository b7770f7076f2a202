"""Multicast PITCH for tests, from the specification alone: packets, messages, and a slow book of one unit."""

import struct
from collections import Counter

LENGTHS = {
    0x20: 6, 0x97: 6, 0x21: 34, 0x22: 26, 0x2F: 41, 0x23: 26, 0x24: 38, 0x25: 18, 0x26: 16, 0x27: 27, 0x28: 19,
    0x29: 14, 0x2A: 41, 0x2B: 33, 0x30: 43, 0x2C: 14, 0x2D: 6, 0x31: 18, 0x95: 47, 0x96: 27, 0x02: 3, 0x04: 10,
    0x80: 6, 0x82: 11, 0x83: 6,
}  # fmt: skip


def parse(packet: bytes) -> tuple[int, int, int, list[bytes]]:
    """Count, unit, sequence number and messages; asserts that the packet is whole."""
    length, count, unit, sequence = struct.unpack("<HBBI", packet[:8])
    assert length == len(packet)
    messages = []
    place = 8
    while place < length:
        messages.append(packet[place : place + packet[place]])
        assert len(messages[-1]) == packet[place] == LENGTHS[messages[-1][1]]
        place += packet[place]
    assert len(messages) == count
    return count, unit, sequence, messages


def by_number(packets: list[bytes], unit: int) -> dict[int, bytes]:
    """Messages of a unit by sequence number; what comes twice is the same."""
    found: dict[int, bytes] = {}
    for packet in packets:
        _, its_unit, sequence, messages = parse(packet)
        if its_unit == unit:
            for number, message in enumerate(messages, sequence):
                assert found.setdefault(number, message) == message
    return found


class UnitBook:
    """Orders by id; asserts that every message makes sense. Prices in 1/10,000."""

    def __init__(self) -> None:
        self.kinds: Counter[int] = Counter()
        self.seconds: int | None = None
        self.ts = 0
        self.orders: dict[int, list[int | str]] = {}
        self.status: dict[str, str] = {}
        self.executions: dict[int, tuple[str, int]] = {}
        self.last: dict[str, tuple[int, int, int]] = {}
        self.trades: Counter[str] = Counter()
        self.volume: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.summaries: dict[str, tuple[str, int, int]] = {}
        self.ended = False

    def feed(self, message: bytes) -> None:
        kind = message[1]
        self.kinds[kind] += 1
        assert not self.ended
        if kind == 0x20:
            (seconds,) = struct.unpack("<I", message[2:])
            assert self.seconds is None or seconds > self.seconds
            self.seconds = seconds
            return
        assert self.seconds is not None, "a Time message comes first"
        (offset,) = struct.unpack("<I", message[2:6])
        assert 0 <= offset < 10**9
        ts = self.seconds * 10**9 + offset
        assert ts >= self.ts
        self.ts = ts
        getattr(self, f"_on_{kind:02x}")(message[6:])

    def _on_97(self, body: bytes) -> None:
        assert not body
        self.orders.clear()

    def _on_2d(self, body: bytes) -> None:
        assert not body
        self.ended = True

    def _add(self, order: int, *, side: bytes, shares: int, symbol: bytes, price: int, flags: int) -> None:
        assert order not in self.orders
        assert side in {b"B", b"S"}
        assert shares > 0
        assert price > 0
        assert flags == 1
        self.orders[order] = [symbol.decode().rstrip(" "), side.decode(), price, shares]

    def _on_21(self, body: bytes) -> None:
        order, side, shares, symbol, price, flags = struct.unpack("<QcI6sQB", body)
        assert shares > 65_535 or price % 100 or price > 6_553_500, "else the short form"
        self._add(order, side=side, shares=shares, symbol=symbol, price=price, flags=flags)

    def _on_22(self, body: bytes) -> None:
        order, side, shares, symbol, cents, flags = struct.unpack("<QcH6sHB", body)
        self._add(order, side=side, shares=shares, symbol=symbol, price=cents * 100, flags=flags)

    def _on_2f(self, body: bytes) -> None:
        order, side, shares, symbol, price, flags, participant, customer = struct.unpack("<QcI8sQB4sc", body)
        assert participant in {b"SIMU", b"    "}
        assert customer == b" "
        self._add(order, side=side, shares=shares, symbol=symbol, price=price, flags=flags)

    def _on_23(self, body: bytes) -> None:
        order, shares, execution = struct.unpack("<QIQ", body)
        symbol, _, price, held = self.orders[order]
        self._execute(order, shares, int(held) - shares)
        self._trade(str(symbol), execution, shares=shares, price=int(price))

    def _on_24(self, body: bytes) -> None:
        order, shares, remaining, execution, price = struct.unpack("<QIIQQ", body)
        symbol, _, limit, held = self.orders[order]
        assert price != limit
        assert remaining == int(held) - shares
        self._execute(order, shares, remaining)
        self._trade(str(symbol), execution, shares=shares, price=price)

    def _execute(self, order: int, shares: int, left: int) -> None:
        assert shares > 0
        assert left >= 0
        self.orders[order][3] = left
        if not left:
            del self.orders[order]

    def _reduce(self, order: int, shares: int) -> None:
        assert 0 < shares < int(self.orders[order][3])
        self.orders[order][3] = int(self.orders[order][3]) - shares

    def _on_25(self, body: bytes) -> None:
        self._reduce(*struct.unpack("<QI", body))

    def _on_26(self, body: bytes) -> None:
        self._reduce(*struct.unpack("<QH", body))

    def _on_27(self, body: bytes) -> None:
        order, shares, price, flags = struct.unpack("<QIQB", body)
        assert flags & 2 == 0, "priority is lost"
        self.orders[order][2:] = [price, shares]

    def _on_28(self, body: bytes) -> None:
        order, shares, cents, flags = struct.unpack("<QHHB", body)
        assert flags & 2 == 0
        self.orders[order][2:] = [cents * 100, shares]

    def _on_29(self, body: bytes) -> None:
        del self.orders[struct.unpack("<Q", body)[0]]

    def _print(self, layout: str, body: bytes, scale: int) -> None:
        order, side, shares, symbol, price, execution = struct.unpack(layout, body)
        assert side == b"B"
        assert order not in self.orders
        self._trade(symbol.decode().rstrip(" "), execution, shares=shares, price=price * scale)

    def _on_2a(self, body: bytes) -> None:
        self._print("<QcI6sQQ", body, 1)

    def _on_2b(self, body: bytes) -> None:
        self._print("<QcH6sHQ", body, 100)

    def _on_30(self, body: bytes) -> None:
        self._print("<QcI8sQQ", body, 1)

    def _trade(self, symbol: str, execution: int, *, shares: int, price: int) -> None:
        assert execution not in self.executions
        self.executions[execution] = (symbol, shares)
        self.last[symbol] = (price, shares, execution)
        self.trades[symbol] += 1
        self.volume[symbol] += shares

    def _on_2c(self, body: bytes) -> None:
        symbol, shares = self.executions.pop(struct.unpack("<Q", body)[0])
        self.broken[symbol] += 1
        self.volume[symbol] -= shares

    def _on_31(self, body: bytes) -> None:
        symbol, status, reg_sho, reserved = struct.unpack("<8scc2s", body)
        assert status in b"AHQST"
        assert reg_sho in b"01"
        assert reserved == b"  "
        self.status[symbol.decode().rstrip()] = status.decode()

    def _on_95(self, body: bytes) -> None:
        symbol, auction, reference, buy, sell, indicative, _ = struct.unpack("<8scQIIQQ", body)
        assert symbol.decode().rstrip() in self.status
        assert auction in b"OCHI"
        assert reference == indicative
        assert buy != sell

    def _on_96(self, body: bytes) -> None:
        symbol, auction, price, shares = struct.unpack("<8scQI", body)
        name = symbol.decode().rstrip()
        assert self.last[name][:2] == (price, shares), "its trade goes before"
        self.summaries[name] = (auction.decode(), price, shares)

    def best(self, stock: str) -> tuple[int, int, int, int]:
        """Bid, bid size, ask, ask size; 0 where there is none."""
        mine = [order for order in self.orders.values() if order[0] == stock]
        bid = max((int(order[2]) for order in mine if order[1] == "B"), default=0)
        ask = min((int(order[2]) for order in mine if order[1] == "S"), default=0)
        bid_size = sum(int(order[3]) for order in mine if order[1] == "B" and order[2] == bid)
        ask_size = sum(int(order[3]) for order in mine if order[1] == "S" and order[2] == ask)
        return bid, bid_size, ask, ask_size

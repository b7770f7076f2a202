"""Independent counts of captured files: ``struct``, ``json`` and dicts, nothing of tickcast."""

import gzip
import json
import lzma
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Order = tuple[str, str, int, Decimal]
"""Symbol, side, shares, price."""


@dataclass
class Tape:
    """Orders and trades of a feed."""

    messages: int = 0
    unpriced: int = 0
    orders: dict[Any, Order] = field(default_factory=dict)
    trades: dict[str, list[tuple[Decimal, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    symbols: set[str] = field(default_factory=set)

    def add(self, key: Any, order: Order) -> None:
        self.symbols.add(order[0])
        self.orders[key] = order

    def take(self, key: Any, shares: int | None) -> None:
        if key not in self.orders:
            return
        symbol, side, left, price = self.orders[key]
        left -= left if shares is None else shares
        if left > 0:
            self.orders[key] = symbol, side, left, price
        else:
            del self.orders[key]

    def execute(self, key: Any, shares: int, price: Decimal | None = None, *, printable: bool = True) -> None:
        if key in self.orders:
            symbol, _, _, own = self.orders[key]
            if printable:
                self.trades[symbol].append((own if price is None else price, Decimal(shares)))
        elif printable:
            self.unpriced += 1
        self.take(key, shares)

    def print(self, symbol: str, shares: int, price: Decimal) -> None:
        self.symbols.add(symbol)
        self.trades[symbol].append((price, Decimal(shares)))

    def best(self, symbol: str, side: str) -> Decimal | None:
        prices = [price for one, own, _, price in self.orders.values() if (one, own) == (symbol, side)]
        return (max if side == "B" else min)(prices, default=None)

    def sums(self, symbol: str) -> tuple[int, Decimal, Decimal, Decimal | None, Decimal | None]:
        trades = self.trades[symbol]
        size = sum((shares for _, shares in trades), Decimal())
        notional = sum((price * shares for price, shares in trades), Decimal())
        return len(trades), size, notional, self.best(symbol, "B"), self.best(symbol, "S")


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def datagrams(data: bytes) -> Iterator[bytes]:
    """UDP payloads of a little-endian Ethernet pcap."""
    position = 24
    while position < len(data):
        length = struct.unpack_from("<I", data, position + 8)[0]
        packet = data[position + 16 : position + 16 + length]
        position += 16 + length
        at = 18 if packet[12:14] == b"\x81\x00" else 14  # with a VLAN tag
        if packet[at - 2 : at] == b"\x08\x00" and packet[at + 9] == 17:
            start = at + (packet[at] & 15) * 4
            yield packet[start + 8 : start + struct.unpack_from(">H", packet, start + 4)[0]]


def blocks(data: bytes, position: int = 0) -> Iterator[bytes]:
    while position < len(data):
        length = struct.unpack_from(">H", data, position)[0]
        yield data[position + 2 : position + 2 + length]
        position += 2 + length


# ------------------------------------------------------------------ ITCH


def itch_messages(path: Path) -> Iterator[bytes]:
    data = content(path)
    if path.suffix != ".pcap":
        yield from blocks(data)
        return
    seen: set[tuple[bytes, int]] = set()
    for payload in datagrams(data):
        session, sequence = payload[:10], struct.unpack_from(">Q", payload, 10)[0]
        for number, message in enumerate(blocks(payload, 20), sequence):
            if not sequence or (session, number) not in seen:
                seen.add((session, number))
                yield message


def price4(value: int) -> Decimal:
    return Decimal(value).scaleb(-4)


def count_itch(path: Path) -> Tape:  # noqa: C901  the message types of the format
    tape = Tape()
    for message in itch_messages(path):
        tape.messages += 1
        kind, body = chr(message[0]), message[11:]
        if kind in "AF":
            key, side, shares, stock, price = struct.unpack_from(">QsI8sI", body)
            tape.add(key, (stock.decode().strip(), side.decode(), shares, price4(price)))
        elif kind == "E":
            tape.execute(*struct.unpack_from(">QI", body))
        elif kind == "C":
            key, shares, _, printable, price = struct.unpack_from(">QIQcI", body)
            tape.execute(key, shares, price4(price), printable=printable == b"Y")
        elif kind == "X":
            tape.take(*struct.unpack_from(">QI", body))
        elif kind == "D":
            tape.take(struct.unpack_from(">Q", body)[0], None)
        elif kind == "U":
            old, new, shares, price = struct.unpack_from(">QQII", body)
            if old in tape.orders:
                symbol, side, _, _ = tape.orders.pop(old)
                tape.add(new, (symbol, side, shares, price4(price)))
        elif kind == "P":
            shares, stock, price = struct.unpack_from(">I8sI", body, 9)
            tape.print(stock.decode().strip(), shares, price4(price))
        elif kind == "Q":
            shares, stock, price = struct.unpack_from(">Q8sI", body)
            if shares:
                tape.print(stock.decode().strip(), shares, price4(price))
    return tape


# ------------------------------------------------------------------ PITCH


def count_pitch_text(path: Path) -> Tape:
    tape = Tape()
    for line in content(path).decode().splitlines():
        tape.messages += 1
        kind, rest = line[9], line[10:]
        key = rest[:12]
        if kind == "A":
            tape.add(key, (rest[19:25].strip(), rest[12], int(rest[13:19]), price4(int(rest[25:35]))))
        elif kind == "E":
            tape.execute(key, int(rest[12:18]))
        elif kind == "X":
            tape.take(key, int(rest[12:18]))
        elif kind == "P":
            tape.print(rest[19:25].strip(), int(rest[13:19]), price4(int(rest[25:35])))
        else:
            raise AssertionError(line)
    return tape


def count_pitch_packets(path: Path) -> Tape:  # noqa: C901, PLR0912  the message types of the format
    tape = Tape()
    seen: set[tuple[int, int]] = set()
    for payload in datagrams(content(path)):
        count, unit, sequence = struct.unpack_from("<BBI", payload, 2)
        position = 8
        for number in range(sequence, sequence + count):
            message = payload[position : position + payload[position]]
            position += payload[position]
            if (unit, number) in seen:
                continue
            seen.add((unit, number))
            tape.messages += 1
            kind, body = message[1], message[6:]
            key = (unit, body[:8])
            if kind == 0x21:
                side, shares, symbol, price = struct.unpack_from("<sI6sQ", body, 8)
                tape.add(key, (symbol.decode().strip(), side.decode(), shares, price4(price)))
            elif kind == 0x22:
                side, shares, symbol, price = struct.unpack_from("<sH6sH", body, 8)
                tape.add(key, (symbol.decode().strip(), side.decode(), shares, Decimal(price).scaleb(-2)))
            elif kind == 0x23:
                tape.execute(key, struct.unpack_from("<I", body, 8)[0])
            elif kind == 0x24:
                shares, left, _, price = struct.unpack_from("<IIQQ", body, 8)
                tape.execute(key, shares, price4(price))
                if key in tape.orders:
                    symbol, side, _, own = tape.orders[key]
                    tape.orders[key] = symbol, side, left, own
            elif kind in {0x25, 0x26}:
                tape.take(key, struct.unpack_from("<I" if kind == 0x25 else "<H", body, 8)[0])
            elif kind in {0x27, 0x28} and key in tape.orders:
                shares, price = struct.unpack_from("<IQ" if kind == 0x27 else "<HH", body, 8)
                symbol, side, _, _ = tape.orders[key]
                tape.orders[key] = symbol, side, shares, Decimal(price).scaleb(-4 if kind == 0x27 else -2)
            elif kind == 0x29:
                tape.take(key, None)
            elif kind == 0x2A:
                side, shares, symbol, price = struct.unpack_from("<sI6sQ", body, 8)
                tape.print(symbol.decode().strip(), shares, price4(price))
            elif kind == 0x2B:
                side, shares, symbol, price = struct.unpack_from("<sH6sH", body, 8)
                tape.print(symbol.decode().strip(), shares, Decimal(price).scaleb(-2))
    return tape


# ------------------------------------------------------------------ Binance


def count_binance(path: Path) -> tuple[int, int, dict[str, dict[str, Any]]]:
    """Frames, those of them that tell nothing, and sums by symbol."""
    frames = control = 0
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"trades": 0, "size": Decimal(), "notional": Decimal()})
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["t"] != "recv":
                continue
            frames += 1
            frame = json.loads(record["data"])
            data, stream = frame["data"], frame["stream"].partition("@")[2]
            symbol = found[data["s"]]
            control += stream.startswith("kline")
            if stream == "aggTrade":
                symbol["trades"] += 1
                symbol["size"] += Decimal(data["q"])
                symbol["notional"] += Decimal(data["q"]) * Decimal(data["p"])
            elif stream == "bookTicker":
                symbol["bid"], symbol["ask"] = Decimal(data["b"]), Decimal(data["a"])
    return frames, control, dict(found)

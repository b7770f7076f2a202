"""A small exchange that speaks PITCH, with its two TCP servers, and a shell that runs a session against it by hand.

Everything is synchronous and seeded: what goes over which line, what is lost, when time passes.
"""

import random
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tickcast import _native
from tickcast.model.record import Flag, Kind, Records, State, records_from
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.bats.session import BatsSession

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START = 1_775_138_400 * SECOND  # 2026-04-02 10:00:00 in New York
TEN = 36_000
HEADER = struct.Struct("<HBBI")


def time(seconds: int = TEN) -> bytes:
    return struct.pack("<BBI", 6, 0x20, seconds)


def add(order: int, side: str, shares: int, symbol: str, cents: int, *, offset: int = 0) -> bytes:
    return struct.pack("<BBIQcH6sHB", 26, 0x22, offset, order, side.encode(), shares, pad(symbol, 6), cents, 1)


def add_long(order: int, side: str, shares: int, symbol: str, price: int, *, offset: int = 0) -> bytes:
    return struct.pack("<BBIQcI6sQB", 34, 0x21, offset, order, side.encode(), shares, pad(symbol, 6), price, 1)


def execute(order: int, shares: int, execution: int, offset: int = 0) -> bytes:
    return struct.pack("<BBIQIQ", 26, 0x23, offset, order, shares, execution)


def reduce(order: int, shares: int, offset: int = 0) -> bytes:
    return struct.pack("<BBIQH", 16, 0x26, offset, order, shares)


def modify(order: int, shares: int, cents: int, *, offset: int = 0) -> bytes:
    return struct.pack("<BBIQHHB", 19, 0x28, offset, order, shares, cents, 1)


def delete(order: int, offset: int = 0) -> bytes:
    return struct.pack("<BBIQ", 14, 0x29, offset, order)


def trade(shares: int, symbol: str, cents: int, execution: int, *, side: str = "B", offset: int = 0) -> bytes:
    head = struct.pack("<BBIQc", 33, 0x2B, offset, 0, side.encode())
    return head + struct.pack("<H6sHQ", shares, pad(symbol, 6), cents, execution)


def unit_clear(offset: int = 0) -> bytes:
    return struct.pack("<BBI", 6, 0x97, offset)


def status(symbol: str, letter: str, reg_sho: str = "0", offset: int = 0) -> bytes:
    return struct.pack("<BBI8scccc", 18, 0x31, offset, pad(symbol, 8), letter.encode(), reg_sho.encode(), b"0", b"0")


def mapping(feed: str, osi: str) -> bytes:
    return struct.pack("<BB6s21sc", 30, 0x2E, pad(feed, 6), osi.encode(), b"N")


def pad(text: str, width: int) -> bytes:
    return text.encode().ljust(width)


def packet(messages: Sequence[bytes], unit: int = 0, sequence: int = 0) -> bytes:
    body = b"".join(messages)
    return HEADER.pack(HEADER.size + len(body), len(messages), unit, sequence) + body


@dataclass
class Order:
    side: str
    shares: int
    symbol: str
    cents: int


@dataclass
class Unit:
    """One unit of the exchange: what it sent, what rests, what traded."""

    number: int
    symbols: list[str]
    sent: list[bytes] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)
    trades: set[int] = field(default_factory=set)

    @property
    def next(self) -> int:
        return len(self.sent) + 1

    def send(self, *messages: bytes) -> bytes:
        first = self.next
        self.sent += messages
        return packet(messages, self.number, first)

    def heartbeat(self) -> bytes:
        return packet((), self.number, self.next)

    def again(self, first: int, count: int) -> list[bytes]:
        """Retransmissions, five messages a packet."""
        part = self.sent[first - 1 : first - 1 + count]
        return [packet(part[at : at + 5], self.number, first + at) for at in range(0, len(part), 5)]

    def image(self) -> tuple[int, list[bytes]]:
        """The orders that rest, and through which number that is so."""
        rest = self.orders.items()
        messages = [add(key, one.side, one.shares, one.symbol, one.cents) for key, one in rest]
        return self.next - 1, [time(TEN - 3600), *messages]

    def book(self, symbol: str) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
        sides = []
        for side, is_bid in (("B", True), ("S", False)):
            levels: dict[int, list[int]] = defaultdict(list)
            for one in self.orders.values():
                if one.symbol == symbol and one.side == side:
                    levels[one.cents].append(one.shares)
            rows = [(f"{cents / 100:.4f}", sum(shares), len(shares)) for cents, shares in sorted(levels.items())]
            sides.append(rows[::-1] if is_bid else rows)
        return sides[0], sides[1]


class Venue:
    """Units with consistent order flow."""

    def __init__(self, units: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.units = {number: Unit(number, [f"U{number}A", f"U{number}B"]) for number in range(1, units + 1)}
        self._ids = iter(range(1, 1 << 30))

    def act(self, number: int) -> bytes:
        """A packet of one to four messages of a unit."""
        unit = self.units[number]
        messages = [self._message(unit) for _ in range(self.random.randint(1, 3))]
        if self.random.random() < 0.3 or not unit.sent:
            messages.insert(0, time(TEN + len(unit.sent) // 50))
        return unit.send(*messages)

    def _message(self, unit: Unit) -> bytes:
        choice, key = self.random.random(), next(self._ids)
        if not unit.orders or choice < 0.5:
            side = self.random.choice("BS")
            cents = self.random.randint(990, 999) if side == "B" else self.random.randint(1001, 1010)
            one = Order(side, self.random.randint(1, 9) * 100, self.random.choice(unit.symbols), cents)
            unit.orders[key] = one
            return add(key, one.side, one.shares, one.symbol, one.cents)
        if choice < 0.55:
            unit.trades.add(key)
            return trade(100, self.random.choice(unit.symbols), 1000, key)
        at = self.random.choice(list(unit.orders))
        one = unit.orders[at]
        if choice < 0.7:
            del unit.orders[at]
            return delete(at)
        if choice < 0.8:
            one.shares, one.cents = self.random.randint(1, 9) * 100, one.cents
            return modify(at, one.shares, one.cents)
        part = min(50, one.shares)
        one.shares -= part
        if not one.shares:
            del unit.orders[at]
        if choice < 0.9:
            unit.trades.add(key)
            return execute(at, part, key)
        return reduce(at, part)


class GapServer:
    """Answers gap requests: ``status`` A with retransmissions, None not at all, another letter with a refusal."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.status: str | None = "A"
        self.login = "A"
        self.count_max = 65_535
        self.requests: list[tuple[int, int, int]] = []
        self.retransmissions: list[bytes] = []
        self.heartbeats = 0

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for kind, message in messages_of(data):
            if kind == 0x01:
                answers.append(packet([struct.pack("<BBc", 3, 2, self.login.encode())]))
            elif kind == 0x03:
                answers += self._request(message)
            else:
                self.heartbeats += 1
        return answers

    def _request(self, message: bytes) -> list[bytes]:
        _, _, number, first, count = struct.unpack("<BBBIH", message)
        self.requests.append((number, first, count))
        letter = "C" if self.status == "A" and count > self.count_max else self.status
        if letter is None:
            return []
        if letter == "A":
            self.retransmissions += self._venue.units[number].again(first, count)
        return [packet([struct.pack("<BBBIHc", 10, 4, number, first, count, letter.encode())])]


class SpinServer:
    """Offers images as they are when ``offer`` is called, and sends those."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._images: dict[int, tuple[int, list[bytes]]] = {}
        self.status: str | None = "A"
        self.requests: list[tuple[int, int]] = []
        self.is_mute = False

    def offer(self, *, numbers: Iterable[int] = ()) -> list[bytes]:
        answers = []
        for number in numbers or self._venue.units:
            sequence, _ = self._images[number] = self._venue.units[number].image()
            answers.append(packet([struct.pack("<BBI", 6, 0x80, sequence)], number))
        return answers

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for number, kind, message in units_of(data):
            if kind == 0x01:
                answers.append(packet([struct.pack("<BBc", 3, 2, b"A")]))
            elif kind == 0x81:
                answers += self._request(number, struct.unpack("<BBI", message)[2])
        return answers

    def _request(self, number: int, sequence: int) -> list[bytes]:
        self.requests.append((number, sequence))
        if self.status is None:
            return []
        known, messages = self._images.get(number, (0, []))
        letter = self.status if known == sequence else "O"
        head = struct.pack("<BBIIc", 11, 0x82, sequence, len(messages) - 1, letter.encode())
        answers = [packet([head], number)]
        if letter != "A" or self.is_mute:
            return answers
        answers += [packet(messages[at : at + 40], number) for at in range(0, len(messages), 40)]
        return [*answers, packet([struct.pack("<BBI", 6, 0x83, sequence)], number)]


def units_of(data: bytes) -> list[tuple[int, int, bytes]]:
    found, place = [], 0
    while place < len(data):
        length, count, number, _ = HEADER.unpack_from(data, place)
        at = place + HEADER.size
        if not count:
            found.append((number, 0, b""))
        while at < place + length:
            found.append((number, data[at + 1], data[at : at + data[at]]))
            at += data[at]
        place += length
    return found


def messages_of(data: bytes) -> list[tuple[int, bytes]]:
    return [(kind, message) for _, kind, message in units_of(data)]


class World:
    """A session, its exchange and the wires between them."""

    def __init__(
        self, *, units: int = 2, seed: int = 1, has_gap: bool = True, has_spin: bool = True, **settings: object
    ) -> None:
        addresses: dict[str, object] = {"venue": "BATS", "lines": ("127.0.0.1:1", "127.0.0.1:2")}
        if has_gap:
            addresses |= {"gap_address": "127.0.0.1:3", "gap_lines": ("127.0.0.1:4",)}
        if has_spin:
            addresses["spin_address"] = "127.0.0.1:5"
        self.config = VenueConfig(**{**addresses, **settings})  # type: ignore[arg-type]
        self.session = BatsSession(feed="bats", config=self.config, securities={}, previous_close={"U1A": "10.00"})
        self.venue = Venue(units, seed)
        self.gap = GapServer(self.venue)
        self.spin = SpinServer(self.venue)
        self.now = START
        self.steps: list[Step] = []
        self.rows: list[Records] = []
        self.symbols: dict[int, str] = {}
        self._dedup = _native.Dedup(65_536)
        self.links = {link.name for link in self.carry(self.session.start(self.now)).links}
        for name in ("gap", "spin"):
            if name in self.links:
                self.carry(self.session.opened(name, self.now))

    # what the shell does

    def carry(self, step: Step) -> Step:
        self.steps.append(step)
        self.symbols |= {one.instrument: one.symbol for one in step.definitions}
        if step.new_session:
            self._dedup = _native.Dedup(65_536)
        data = self._dedup.filter(b"".join(step.records))
        if data:
            self.rows.append(records_from(data))
        for link, request in step.send:
            server: Callable[[bytes], list[bytes]] = self.gap.take if link == "gap" else self.spin.take
            for answer in server(request):
                self.receive(link, answer)
        for link in [*step.drop, *step.refused]:
            self.carry(self.session.closed(link, self.now))
            self.carry(self.session.opened(link, self.now))
        return step

    def receive(self, link: str, *chunks: bytes) -> Step:
        return self.carry(self.session.received(link, list(chunks), [self.now] * len(chunks)))

    def both(self, *packets: bytes) -> None:
        for line in ("line0", "line1"):
            self.receive(line, *packets)

    def retransmit(self) -> None:
        """Let what the gap server sent arrive."""
        packets, self.gap.retransmissions = self.gap.retransmissions, []
        for one in packets:
            self.receive("gap0", one)

    def offer(self, *numbers: int) -> None:
        for answer in self.spin.offer(numbers=numbers):
            self.receive("spin", answer)

    def pass_ms(self, milliseconds: int) -> None:
        """Let time pass, waking the session when it wants to be."""
        end = self.now + milliseconds * MILLISECOND
        while self.session.wake_ns and self.session.wake_ns <= end:
            self.now = max(self.now, self.session.wake_ns)
            self.carry(self.session.wake(self.now))
        self.now = end

    # what was told

    def records(self) -> Records:
        return np.concatenate(self.rows) if self.rows else records_from(b"")

    def states(self) -> dict[str, State]:
        """The last state of each symbol."""
        rows = self.records()
        rows = rows[rows["kind"] == Kind.STATUS]
        return {self._symbol(row): State(int(row["detail"])) for row in rows}

    def _symbol(self, row: np.void) -> str:
        return self.symbols.get(int(row["instrument"]), "?")

    def best(self) -> dict[str, list[tuple[int, int] | None]]:
        """The last best bid and ask of each symbol: price at 4 decimals, and size."""
        found: dict[str, list[tuple[int, int] | None]] = defaultdict(lambda: [None, None])
        for row in self.records():
            if row["kind"] in {Kind.BID, Kind.ASK}:
                symbol = self._symbol(row)
                level = None if row["flags"] & Flag.NO_PRICE else (int(row["price"]), int(row["size"]))
                found[symbol][int(row["kind"] == Kind.ASK)] = level
        return found

    def trade_ids(self) -> list[int]:
        rows = self.records()
        return [int(one) for one in rows["id"][rows["kind"] == Kind.TRADE]]

    def ledger(self) -> list[tuple[int, bool]]:
        """Entries of whole units: how many are missing, and whether they came after all."""
        rows = self.records()
        rows = rows[(rows["kind"] == Kind.GAP) & (rows["instrument"] == 0)]
        return [(int(row["id"]), bool(row["flags"] & Flag.BACKFILLED)) for row in rows]

    def gaps(self) -> list[tuple[str, int]]:
        """Entries of single instruments."""
        rows = self.records()
        rows = rows[(rows["kind"] == Kind.GAP) & (rows["instrument"] != 0)]
        return [(self.symbols[int(row["instrument"])], int(row["id"])) for row in rows]

    def dead(self) -> list[str]:
        return [reason for step in self.steps for reason, _ in step.dead]

    def check_whole(self) -> None:
        """Every unit is live, and books and quotes are those of the exchange."""
        best = self.best()
        for unit in self.venue.units.values():
            if not unit.sent:
                continue
            assert self.session.phase(unit.number) == "live"
            for symbol in unit.symbols:
                truth = unit.book(symbol)
                assert self.session.decoder.book(symbol, 100) == truth
                for side, levels in enumerate(truth):
                    expected = (int(levels[0][0].replace(".", "")), levels[0][1]) if levels else None
                    assert best[symbol][side] == expected, symbol
        bad = {symbol: state for symbol, state in self.states().items() if state not in {State.LIVE, State.EMPTY}}
        assert not bad

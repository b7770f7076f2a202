"""BATS on a clock that the test moves, with sockets on all its lines, and a client of its TCP servers."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.sim.pitch.reference import UnitBook, by_number, parse
from tests.sim.udp.sockets import TIMEOUT_S, Socket

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig, PitchConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.pitch.dialect import PitchDialect, create
from tickcast.sim.truth import venue_truth

START = 1_774_879_200_000_000_000  # 2026-03-30 14:00 UTC
MARKET = MarketConfig(halt_every_s=1.5, halt_min_s=0.3, halt_max_s=0.5, close_after_s=6.0)


class Venue:
    def __init__(self, *, start: int = START, symbols: int = 30, **options: Any) -> None:
        self.config = Config(seed=3, symbols=symbols, rate=20_000, market=MARKET)
        self.now = start
        settings = PitchConfig(**{"rare_every_s": 0.05, **options})
        universe = listing.build(self.config)
        self.dialect: PitchDialect = create("BATS", settings, self.config, universe, start, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=2000.0, quantum_ms=5.0, start_ns=start)
        self.a, self.b, self.gap_a, self.gap_b = Socket(), Socket(), Socket(), Socket()
        self.gap = self.spin = ""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 10_000_000
            self.engine.advance(self.now)

    def next(self, unit: int) -> int:
        return int(self.dialect.state()["units"][unit]["next_sequence"])

    def complete(self, packets: list[bytes]) -> bool:
        return all(len(by_number(packets, unit)) == self.next(unit) - 1 for unit in self.dialect.units)

    def books(self, packets: list[bytes]) -> dict[int, UnitBook]:
        """A book of every unit, fed with all its messages in order."""
        books = {unit: UnitBook() for unit in self.dialect.units}
        for unit, book in books.items():
            found = by_number(packets, unit)
            for number in range(1, self.next(unit)):
                book.feed(found[number])
        return books

    def is_true(self, books: dict[int, UnitBook], *, trades: bool = True) -> None:
        """Assert that the books are the venue's."""
        truth = venue_truth(self.dialect)
        orders = 0
        for number, (stock, is_true) in enumerate(truth.items()):
            book = books[number % len(books) + 1]
            bid, bid_size, ask, ask_size = book.best(stock)
            assert [float(is_true[side] or 0) for side in ("bid", "ask")] == [bid / 10_000, ask / 10_000]
            assert [int(is_true["bid_size"]), int(is_true["ask_size"])] == [bid_size, ask_size]
            if trades:
                assert [is_true["trades"], int(is_true["volume"])] == [book.trades[stock], book.volume[stock]]
                assert is_true["broken"] == book.broken[stock]
                price, shares, execution = book.last[stock]
                assert (float(is_true["last"]), int(is_true["last_size"])) == (price / 10_000, shares)
                assert is_true["last_id"] == str(execution)
        orders = sum(len(book.orders) for book in books.values())
        assert orders == int((self.dialect.flow.size > 0).sum())


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Venue]:
    sockets = [Socket() for _ in range(4)]
    addresses = [one.address for one in sockets]
    lines = {"lines_a": (addresses[0],), "lines_b": (addresses[1],), "gap_lines": tuple(addresses[2:])}
    venue = Venue(**{**lines, **options})
    for unused in (venue.a, venue.b, venue.gap_a, venue.gap_b):
        unused.close()
    venue.a, venue.b, venue.gap_a, venue.gap_b = sockets
    started = await venue.dialect.start()
    venue.gap, venue.spin = started["gap_address"], started["spin_address"]
    try:
        yield venue
    finally:
        await venue.dialect.stop()
        for one in sockets:
            one.close()


class Client:
    """A client of the gap or spin server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, address: str) -> "Client":
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def send(self, message: bytes, unit: int = 0) -> None:
        self.writer.write(struct.pack("<HBBI", 8 + len(message), 1, unit, 0) + message)

    async def login(self, *, session: str = "0001", user: tuple[str, str] = ("USER", "PASSWORD")) -> str:
        """Send a login; returns the status of the response."""
        body = session.ljust(4) + user[0].ljust(4) + "  " + user[1].ljust(10)
        self.send(b"\x16\x01" + body.encode())
        answer = await self.message()
        assert answer[:2] == b"\x03\x02"
        return chr(answer[2])

    async def packet(self) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readexactly(8)
            (length,) = struct.unpack("<H", head[:2])
            return head + await self.reader.readexactly(length - 8)

    async def message(self) -> bytes:
        """The next single message without a number; heartbeats are skipped."""
        while True:
            count, _, sequence, messages = parse(await self.packet())
            assert sequence == 0
            if count:
                assert count == 1
                return messages[0]

    async def gap(self, unit: int, first: int, count: int) -> str:
        """Ask for messages; returns the status of the response."""
        self.send(struct.pack("<BBBIH", 9, 0x03, unit, first, count))
        answer = await self.message()
        assert answer[:9] == struct.pack("<BBBIH", 10, 0x04, unit, first, count)
        return chr(answer[9])

    def ask_spin(self, unit: int, sequence: int) -> None:
        self.send(struct.pack("<BBI", 6, 0x81, sequence), unit)

    async def announced(self, unit: int, wanted: Callable[[int], bool] = lambda _: True) -> int:
        """The next sequence number of which there is an image of a unit."""
        while True:
            _, its_unit, _, messages = parse(await self.packet())
            if its_unit == unit and messages[:1] and messages[0][1] == 0x80:
                sequence = int(struct.unpack("<I", messages[0][2:])[0])
                if wanted(sequence):
                    return sequence

    async def spin(self, unit: int) -> tuple[str, int, int, list[bytes]]:
        """Status, sequence, orders and messages of the spin that comes next."""
        messages: list[bytes] = []
        status, orders = "", 0
        while True:
            _, its_unit, number, found = parse(await self.packet())
            assert number == 0
            for message in found:
                if message[1] == 0x82:
                    sequence, orders, status_byte = struct.unpack("<IIc", message[2:])
                    status = status_byte.decode()
                    if status != "A":
                        return status, sequence, orders, []
                elif message[1] == 0x83:
                    return status, struct.unpack("<I", message[2:])[0], orders, messages
                elif message[1] != 0x80:
                    assert its_unit == unit
                    messages.append(message)

    async def closed(self) -> bool:
        """Whether the server closes; waits for it."""
        async with asyncio.timeout(TIMEOUT_S):
            with suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

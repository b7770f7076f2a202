"""A slow FIX client for tests: cuts and checks every message by hand, reads fields with simplefix, keeps books."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import simplefix

CLIENT_TIMEOUT_S = 10.0
Fields = list[tuple[int, str]]


def cut(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages and the rest; asserts BodyLength and CheckSum."""
    found = []
    while data:
        begin, _, rest = data.partition(b"\x01")
        length_field, soh, rest = rest.partition(b"\x01")
        if not soh:
            break
        assert begin == b"8=FIX.4.4", data[:40]
        assert length_field.startswith(b"9="), data[:40]
        length = int(length_field[2:])
        if len(rest) < length + 7:
            break
        end = len(data) - len(rest) + length
        assert data[end - 1 : end] == b"\x01"
        assert data[end : end + 7] == b"10=%03d\x01" % (sum(data[:end]) % 256), data[:end]
        found.append(data[: end + 7])
        data = data[end + 7 :]
    return found, data


def fields(message: bytes) -> Fields:
    parser = simplefix.FixParser()
    parser.append_buffer(message)
    parsed = parser.get_message()
    assert parsed is not None, message
    return [(int(tag), value.decode()) for tag, value in parsed.pairs]


def moment(text: str) -> int:
    whole, _, fraction = text.partition(".")
    seconds = datetime.strptime(whole, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC).timestamp()
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def entries(message: Fields) -> list[dict[int, str]]:
    """The entries of a group 268, each without what it inherits."""
    start = next(i for i, (tag, _) in enumerate(message) if tag == 268)
    delimiter = message[start + 1][0] if message[start][1] != "0" else 0
    found: list[dict[int, str]] = []
    for tag, value in message[start + 1 :]:
        if tag in {893, 10}:
            break
        if tag == delimiter:
            found.append({})
        assert tag not in found[-1], (tag, message)
        found[-1][tag] = value
    assert len(found) == int(message[start][1])
    return found


class Book:
    """One instrument, from snapshots and increments."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, int]] = {"0": {}, "1": {}}
        self.orders: dict[str, dict[str, int]] = {"0": {}, "1": {}}
        self.number = -1
        self.trades: dict[str, tuple[str, int, int]] = {}
        self.last: tuple[str, str, str] | None = None
        self.broken: list[str] = []
        self.volume = 0
        self.actions: set[tuple[str, str]] = set()
        self.ts = 0

    def best(self) -> tuple[str | None, str, str | None, str]:
        bids, asks = self.sides["0"], self.sides["1"]
        bid = max(bids, key=float, default=None)
        ask = min(asks, key=float, default=None)
        return bid, str(bids.get(bid or "", 0)), ask, str(asks.get(ask or "", 0))

    def snapshot(self, message: Fields) -> None:
        self.number = int(dict(message)[83])
        self.sides, self.orders = {"0": {}, "1": {}}, {"0": {}, "1": {}}
        for entry in entries(message):
            kind = entry[269]
            if kind in self.sides:
                self.sides[kind][entry[270]] = int(entry[271])
                self.orders[kind][entry[270]] = int(entry[346])
                assert int(entry[290]) == len(self.sides[kind])
            elif kind == "B":
                self.volume = int(entry[271])
            else:
                self.last = (entry[270], entry[271], entry[1003])

    def change(self, entry: dict[int, str], ts: int) -> None:
        assert int(entry[83]) == self.number + 1, entry
        self.number += 1
        self.ts = ts
        action, kind = entry[279], entry[269]
        self.actions.add((action, kind))
        if kind == "2":
            self._trade(entry, action, ts)
            return
        side = self.sides[kind]
        assert (entry[270] in side) == (action != "0"), entry
        if action == "2":
            assert 271 not in entry
            del side[entry[270]], self.orders[kind][entry[270]]
        else:
            assert (side.get(entry[270]), self.orders[kind].get(entry[270])) != (int(entry[271]), int(entry[346]))
            side[entry[270]] = int(entry[271])
            self.orders[kind][entry[270]] = int(entry[346])

    def _trade(self, entry: dict[int, str], action: str, ts: int) -> None:
        if action == "2":
            self.broken.append(entry[1003])
            if entry[1003] in self.trades:
                self.volume -= self.trades[entry[1003]][1]
            return
        assert entry[1003] not in self.trades
        self.trades[entry[1003]] = (entry[270], int(entry[271]), ts)
        self.last = (entry[270], entry[271], entry[1003])
        self.volume += int(entry[271])


class FixClient:
    """Logs on, remembers every message, applies market data in order of arrival."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, name: str, target: str, seq: int = 1
    ) -> None:
        self.reader, self.writer = reader, writer
        self.name, self.target, self.seq = name, target, seq
        self.raw: list[bytes] = []
        self.messages: list[Fields] = []
        self.books: dict[str, Book] = {}
        self.statuses: list[tuple[str, str]] = []
        self.fragments: list[str] = []
        self.closed = False
        self._held = b""

    @classmethod
    async def connect(cls, address: str, *, name: str = "TESTER", target: str = "XNYS", seq: int = 1) -> "FixClient":
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        return cls(reader, writer, name=name, target=target, seq=seq)

    def send(self, kind: str, *pairs: tuple[int, object], seq: int | None = None, head: Any = (), ts: str = "") -> int:
        """Send a message; ``seq`` in place of the next number does not count."""
        number = self.seq if seq is None else seq
        if seq is None:
            self.seq += 1
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4")
        for tag, value in ((35, kind), (49, self.name), (56, self.target), (34, number)):
            message.append_pair(tag, value)
        message.append_pair(52, ts or datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f"))
        for tag, value in (*head, *pairs):
            message.append_pair(tag, value)
        self.writer.write(message.encode())
        return number

    async def read(self) -> bool:
        """Read what is there; False at the end of the stream."""
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            try:
                data = await self.reader.read(1 << 16)
            except ConnectionResetError:
                data = b""
        if not data:
            self.closed = True
            return False
        found, self._held = cut(self._held + data)
        for raw in found:
            self.raw.append(raw)
            message = fields(raw)
            self.messages.append(message)
            self._take(message)
        return True

    async def until(self, done: Callable[["FixClient"], object]) -> None:
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            while not done(self):
                assert await self.read(), "the exchange closed the connection"

    async def kind(self, kind: str, count: int = 1) -> Fields:
        """The n-th message of a type, waited for."""
        await self.until(lambda one: len(one.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def ended(self) -> None:
        while await self.read():
            pass
        await self.close()

    def of(self, kind: str) -> list[Fields]:
        return [message for message in self.messages if message[2] == (35, kind)]

    async def logon(self, *pairs: tuple[int, object], heartbeat: object = 30, seq: int | None = None) -> Fields:
        count = len(self.of("A"))
        self.send("A", (98, 0), (108, heartbeat), *pairs, seq=seq)
        return await self.kind("A", count + 1)

    def subscribe(self, symbols: list[str], *, number: str = "R1", depth: int = 0, types: str = "012B") -> None:
        self.send(
            "V", (262, number), (263, 1), (264, depth), (265, 1), (266, "Y"), (267, len(types)),
            *[(269, kind) for kind in types], (146, len(symbols)), *[(55, symbol) for symbol in symbols],
        )  # fmt: skip

    def _take(self, message: Fields) -> None:
        first = dict(reversed(message))
        if first.get(43) == "Y":
            return  # it has been applied, or its number tells
        if first[35] == "W":
            self.books.setdefault(first[55], Book()).snapshot(message)
        elif first[35] == "X":
            self.fragments.append(first.get(893, ""))
            inherited: dict[int, str] = {}
            for entry in entries(message):
                inherited |= {tag: entry[tag] for tag in (55, 272, 273, 60) if tag in entry}
                when = inherited.get(60) or f"{inherited[272]}-{inherited[273]}"
                self.books[inherited[55]].change(entry, moment(when))
        elif first[35] == "f":
            self.statuses.append((first[55], first[326]))

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

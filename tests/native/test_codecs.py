"""The same states in every codec: what clients decode is equal, digit for digit."""

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast._native import CHANNEL_PRICE, CHANNEL_TRADES, CHANNELS, MODE_ALL, MODE_MERGE, Hub, instrument_id
from tickcast.client.handles import codec_of
from tickcast.client.ticks import timestamp_ns
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, State, empty_records, record_bytes

T0 = 1_774_794_601_234_567_891
CODECS = {"strings": 1, "msgpack": 2, "compact": 3, "proto": 4}
"""Numbers of the core; the first is what the others are held against."""
TIMES = {"timestamp", "server_timestamp", "since", "start"}
I64 = st.integers(-(1 << 63), (1 << 63) - 1)
MANTISSAS = st.one_of(st.integers(-1000, 1000), I64, st.sampled_from([0, -1, 1 << 48, 1 << 53, 1 << 58, -(1 << 58)]))
SCALES = st.one_of(st.integers(0, 12), st.integers(0, 38))


class Room:
    """A hub with a client of each codec, and what each decoded."""

    def __init__(self, symbol: str = "AAPL", *, batch: bool = False, digest_every: int = 50) -> None:
        self.hub = Hub(epoch=7, quantum_max_ns=0, digest_every=digest_every)
        self.now = T0
        self.name = f"XNAS:{symbol}"
        self.hub.define([definition(symbol, "XNAS"), definition(symbol, "XBOS")], self.now)
        self.clients = {name: self.hub.open(-1) for name in CODECS}
        self.decoders = {name: codec_of("json" if name == "strings" else name) for name in CODECS}
        self.messages = dict.fromkeys(CODECS, 0)
        for name, client in self.clients.items():
            self.hub.configure(client, codec=CODECS[name], batch=batch)

    def subscribe(self, *symbols: str, channel: int = CHANNEL_PRICE, mode: int = MODE_ALL) -> None:
        for name, client in self.clients.items():
            for symbol in symbols:
                position = self.hub.subscribe(client, channel, symbol, 0, 0, mode, self.now)
                assert position is not None
                handles = getattr(self.decoders[name], "handles", None)
                if handles is not None:
                    handles.learn({"symbol": symbol, "handle": position.handle})

    def apply(self, rows: Records, texts: Sequence[str | None] | None = None) -> None:
        self.now += 1_000_000_000
        self.hub.apply(record_bytes(rows), self.now, texts)

    def frames(self) -> dict[str, list[dict[str, Any]]]:
        """What each client got, in the same form."""
        data = dict(self.hub.flush(self.now).unsent)
        found: dict[str, list[dict[str, Any]]] = {}
        for name, client in self.clients.items():
            self.hub.drained(client)
            found[name] = []
            for opcode, payload in messages(data.get(client, b"")):
                assert opcode == (1 if name == "strings" else 2)
                self.messages[name] += 1
                text = payload.decode() if opcode == 1 else payload
                found[name] += [normal(frame) for frame in self.decoders[name].frames(text)]
        return found

    def check(self) -> list[dict[str, Any]]:
        """Frames that are the same in every codec."""
        found = self.frames()
        for name, frames in found.items():
            assert frames == found["strings"], name
        return found["strings"]


def definition(symbol: str, venue: str) -> Definition:
    return Definition(
        instrument=instrument_id(f"{venue}:{symbol}"),
        venue=venue,
        symbol=symbol,
        feed=venue.lower(),
        security=symbol,
        asset_class="equity",
        currency="USD",
        primary=True,
    )


def messages(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of a server's frames."""
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        found.append((data[0] & 15, data[start : start + length]))
        data = data[start + length :]
    return found


def normal(frame: dict[str, Any]) -> dict[str, Any]:
    """Times as ns (those of ours to the millisecond), without the handle that only some codecs tell."""
    frame = {key: value for key, value in frame.items() if key != "handle"}
    for key in TIMES & frame.keys():
        if frame[key] is not None:
            ns = timestamp_ns(frame[key])
            frame[key] = ns if key == "timestamp" else ns // 1_000_000
    return frame


def row(name: str, kind: Kind, price: tuple[int, int], size: tuple[int, int] = (1, 0), **rest: int) -> Records:
    """One row that is an event; price and size by mantissa and scale."""
    rows = empty_records(1)
    rows["instrument"] = instrument_id(name)
    rows["ts_event"] = rows["ts_recv"] = rest.pop("ts", T0)
    rows["kind"] = kind
    rows["price"], rows["price_scale"] = price
    rows["size"], rows["size_scale"] = size
    rows["flags"] = Flag.LAST_OF_EVENT | rest.pop("flags", 0)
    for key, value in rest.items():
        rows[key] = value
    return rows


EVENTS = st.tuples(
    st.sampled_from(["XNAS", "XBOS"]),
    st.sampled_from([Kind.TRADE, Kind.BID, Kind.ASK, Kind.PREV_CLOSE]),
    MANTISSAS, SCALES, MANTISSAS, SCALES,
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 2),
    st.sampled_from([0, 0, 0, Flag.NO_SIZE, Flag.NO_PRICE]),
)  # fmt: skip
SYMBOLS = st.sampled_from(["AAPL", 'A"B\\', "日本\N{ROCKET}", "BTC-USDT", "x" * 60])


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=8), SYMBOLS, st.booleans())
def test_states_are_equal_in_every_codec(events: list[Any], symbol: str, batch: bool) -> None:
    room = Room(symbol, batch=batch)
    room.subscribe(symbol, f"XNAS:{symbol}", f"XBOS:{symbol}")
    room.subscribe(symbol, f"XNAS:{symbol}", channel=CHANNEL_TRADES)
    assert len(room.check()) == 3
    for venue, kind, price, scale, size, size_scale, number, side, flags in events:
        rows = row(
            f"{venue}:{symbol}", kind, (price, scale), (size, size_scale),
            id=number, side=side, flags=int(flags), detail=number % 64, ts=T0 + number % 1_000_000_000,
        )  # fmt: skip
        room.apply(rows, [f"T-{number}\N{SNOWMAN}" if number % 3 == 0 else None])
        room.check()
    room.hub.set_feed_state("xnas", State.STALE, 'quiet "5 s"\n', room.now)
    frames = room.check()
    # The security may live on with its other leg.
    of_leg = [frame for frame in frames if frame["type"] == "status" and frame["symbol"] == room.name]
    assert {frame["reason"] for frame in of_leg} <= {'quiet "5 s"\n'}
    # A fresh look at everything, with all the nulls and sums there are by now.
    room.subscribe(symbol, f"XNAS:{symbol}", mode=MODE_MERGE)
    assert {frame["type"] for frame in room.check()} == {"snapshot"}


LEVELS = st.tuples(
    st.booleans(),
    st.sampled_from([100, 101, 102, 103, 1 << 58, (1 << 63) - 1]), st.sampled_from([0, 2, 2, 38]),
    st.sampled_from([0, 0, 1, 7, 12_340, 1 << 53, (1 << 63) - 1]), st.sampled_from([0, 5, 38]),
)  # fmt: skip
TOLD = st.one_of(
    st.tuples(st.just("levels"), st.lists(LEVELS, min_size=1, max_size=6)),
    st.tuples(st.just("trade"), MANTISSAS, SCALES, st.integers(0, 1000), SCALES, st.integers(0, 200)),
    st.tuples(st.just("bust"), st.integers(0, 5)),
    st.tuples(st.just("lost"), st.none()),
)


class Reader:
    """The book that a client of the protocol keeps, with the texts that it was told."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, tuple[str, str]]] = {"bids": {}, "asks": {}}
        self.digests = 0

    def read(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        for name, side in self.sides.items():
            for price, size in frame[name]:
                if Decimal(size):
                    side[Decimal(price)] = (price, size)
                else:
                    side.pop(Decimal(price), None)
        if "digest" in frame:
            self.digests += 1
            assert zlib.crc32(self.text().encode()) == frame["digest"]

    def text(self) -> str:
        """What the digest is of."""
        bids, asks = (sorted(side.items(), reverse=name == "bids") for name, side in self.sides.items())
        return ",".join(f"{price}:{size}" for _, (price, size) in bids + asks)


def book_rows(symbol: str, levels: Sequence[tuple[bool, int, int, int, int]], *, whole: bool = False) -> Records:
    """An event of levels; a whole book begins anew."""
    name = f"XNAS:{symbol}"
    rows = [
        row(name, Kind.BOOK_BID if is_bid else Kind.BOOK_ASK, (price, scale), (size, size_scale), flags=0)
        for is_bid, price, scale, size, size_scale in levels
    ]
    if whole:
        begins = [row(name, kind, (0, 0), (0, 0), flags=Flag.NO_PRICE) for kind in (Kind.BOOK_BID, Kind.BOOK_ASK)]
        rows = [*begins, *rows, row(name, Kind.BID, (1, 0)), row(name, Kind.ASK, (1 << 62, 0))]
    event = np.concatenate(rows)
    event["flags"][:-1] &= ~int(Flag.LAST_OF_EVENT) & 0xFFFF
    return event


@settings(max_examples=120, deadline=None)
@given(st.lists(TOLD, min_size=1, max_size=12), SYMBOLS, st.booleans())
def test_books_and_bars_are_equal_in_every_codec(told: list[Any], symbol: str, batch: bool) -> None:
    room = Room(symbol, batch=batch, digest_every=2)
    name = f"XNAS:{symbol}"
    room.apply(book_rows(symbol, [(True, 100, 2, 7, 0), (False, 103, 2, 1, 0)], whole=True))
    room.subscribe(symbol, channel=CHANNELS.index("book:10"), mode=MODE_MERGE)
    room.subscribe(name, channel=CHANNELS.index("book:5"), mode=MODE_MERGE)
    room.subscribe(symbol, name, channel=CHANNELS.index("bars:1s"), mode=MODE_MERGE)
    room.subscribe(name, channel=CHANNELS.index("bars:1m"), mode=MODE_MERGE)
    readers = {symbol: Reader(), name: Reader()}
    seen = Counter[str]()

    def look() -> None:
        for frame in room.check():
            seen[f"{frame['channel']} {frame['type']}"] += 1
            if frame["channel"] == "book":
                readers[frame["symbol"]].read(frame)

    look()
    number = 0
    for what, *rest in told:
        match what:
            case "levels":
                room.apply(book_rows(symbol, rest[0]))
            case "trade":
                number += 1
                price, scale, size, size_scale, age_s = rest
                room.apply(
                    row(name, Kind.TRADE, (price, scale), (size, size_scale), id=number, ts=room.now - age_s * 10**9)
                )
            case "bust":
                room.apply(row(name, Kind.BUST, (0, 0), (0, 0), id=max(1, number - rest[0])))
            case _:
                room.apply(row(name, Kind.BOOK_BID, (0, 0), (0, 0), flags=Flag.NO_PRICE | Flag.INVALID_BOOK))
                look()
                room.apply(book_rows(symbol, [(True, 100, 2, 7, 0)], whole=True))
        look()
        room.hub.tick(room.now)
        look()
    assert seen["book snapshot"] >= 2
    assert seen["bars snapshot"] == 3
    assert sum(reader.digests for reader in readers.values()) >= 2
    if any(what == "trade" for what, *_ in told):
        assert seen["bars bar"] > 0


def test_a_bar_that_was_taken_back_has_no_prices_in_any_codec() -> None:
    room = Room()
    room.subscribe("XNAS:AAPL", channel=CHANNELS.index("bars:1s"), mode=MODE_MERGE)
    room.check()
    room.apply(row("XNAS:AAPL", Kind.TRADE, (18_542, 2), (100, 0), id=7))
    assert [frame.get("close") for frame in room.check()][-1] == "185.42"
    room.apply(row("XNAS:AAPL", Kind.BUST, (0, 0), (0, 0), id=7))
    [bar] = room.check()
    assert [bar[key] for key in ("open", "high", "low", "close", "trades")] == [None] * 4 + [0]


def test_a_batch_is_one_message_in_every_codec() -> None:
    room = Room(batch=True)
    room.subscribe("AAPL", "XNAS:AAPL")
    room.subscribe("XNAS:AAPL", channel=CHANNEL_TRADES)
    room.check()
    for cents in range(100, 160):
        room.hub.apply(record_bytes(row("XNAS:AAPL", Kind.TRADE, (cents, 2))), room.now)
    before = dict(room.messages)
    frames = room.check()
    # The first trade also makes instrument and security live.
    assert Counter(frame["type"] for frame in frames) == {"status": 2, "update": 120, "trade": 60}
    assert all(room.messages[name] - before[name] == 1 for name in CODECS)
    seqs = [frame["seq"] for frame in frames if frame["type"] == "trade"]
    assert seqs == sorted(seqs)


def test_losses_are_told_in_every_codec() -> None:
    room = Room()
    room.hub = hub = Hub(epoch=7, quantum_max_ns=0, buffer_max=400)
    hub.define([definition("AAPL", "XNAS")], room.now)
    room.clients = {name: hub.open(-1) for name in CODECS}
    for name, client in room.clients.items():
        hub.configure(client, codec=CODECS[name], batch=False)
    room.subscribe("XNAS:AAPL", channel=CHANNEL_TRADES)
    room.apply(row("XNAS:AAPL", Kind.TRADE, (1, 2)))
    blocked = dict(hub.flush(room.now).unsent)
    assert len(blocked) == len(CODECS)
    for cents in range(50):
        hub.apply(record_bytes(row("XNAS:AAPL", Kind.TRADE, (cents, 2))), room.now)
    for client in room.clients.values():
        hub.drained(client)
    for name, frames in room.frames().items():
        lost = next(frame for frame in frames if frame["type"] == "lost")
        seqs = [frame["seq"] for frame in frames if frame["type"] == "trade"]
        assert lost["channel"] == "trades", name
        assert (lost["epoch"], lost["seq"]) == (7, 51)
        assert lost["count"] == 51 - max(seqs, default=1)


def test_binary_codecs_are_small() -> None:
    room = Room("BTC-USDT")
    room.subscribe("XNAS:BTC-USDT")
    room.check()
    rows = np.concatenate(
        [
            row("XNAS:BTC-USDT", Kind.BID, (6_712_345, 2), (12_340, 5)),
            row("XNAS:BTC-USDT", Kind.ASK, (6_712_346, 2), (99, 5)),
        ]
    )
    rows["flags"][0] = 0
    room.apply(rows)
    room.check()  # with the status: it is live now
    rows["size"] += 1
    room.apply(rows)
    sizes = {client: len(data) for client, data in room.hub.flush(room.now).unsent}
    found = {name: sizes[client] for name, client in room.clients.items()}
    assert found["proto"] < found["compact"] + 8 < found["msgpack"] < found["strings"]
    assert found["compact"] < found["strings"] // 4


def test_replies_are_batches_of_one() -> None:
    hub = Hub(epoch=1)
    expected = {
        0: b'[{"a":1}]', 1: b'[{"a":1}]', 2: b'\x91{"a":1}', 3: b'\x91{"a":1}', 4: b'{"a":1}',
    }  # fmt: skip
    for codec, payload in expected.items():
        client = hub.open(-1)
        hub.configure(client, codec=codec, batch=True)
        hub.reply(client, json.dumps({"a": 1}, separators=(",", ":")).encode())
        [(_, data)] = hub.flush(T0, only=client).unsent
        assert messages(data) == [(1 if codec < 2 else 2, payload)]

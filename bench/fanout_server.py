"""tickcast's hub as `fanout.py` measures it. Not to be run by itself.

MODE: single (a flush for each tick), hub (a flush for each turn), hold (a flush every 10 ms), conflated (20 a second
for each symbol and client, held up to 10 ms as by default), gathered (the same, held up to 50 ms as the peers do). What
is published, and when: fanout_pace.py.
"""

import asyncio
import base64
import hashlib
import json
import os
import struct
import sys
import time
from typing import cast

import numpy as np
import uvloop

from fanout_pace import CONFLATED_PER_S, CONFLATED_S, HOLD_NS, NAMES, SYMBOLS, Pace
from tickcast._native import CHANNEL_PRICE, MODE_ALL, MODE_MERGE, Flushed, FrameReader, Hub, instrument_id
from tickcast.model.instrument import Definition
from tickcast.model.record import RECORD, Flag, Kind, empty_records, record_bytes

ROW = RECORD.itemsize
OFFSETS = {name: RECORD.fields[name][1] for name in ("id", "price", "size", "ts_event", "ts_recv")}
U64, I64 = struct.Struct("<Q"), struct.Struct("<q")


class TickcastServer:
    """The hub, its market, and what carries what a socket did not take."""

    def __init__(self, *, hold_ns: int, mode: int, rate: int) -> None:
        self.hub = Hub(epoch=1, quantum_max_ns=hold_ns, history_count=1)
        self.mode = mode
        self.rate = rate
        self.fields = 0
        self.subscribed = 0
        self.transports: dict[int, asyncio.Transport] = {}
        self.template = empty_records(SYMBOLS)
        self.hub.define([definition(name) for name in NAMES], time.time_ns())
        self.template["instrument"] = [instrument_id(f"XNAS:{name}") for name in NAMES]
        self.template["size"] = 100
        self.template["price_scale"] = 2
        self.template["kind"] = Kind.TRADE
        self.template["flags"] = Flag.LAST_OF_EVENT
        self.rows = memoryview(bytearray(record_bytes(self.template)))
        self.stamp_ns = 0

    def subscribe(self, client: int, symbol: str, now: int) -> None:
        self.hub.subscribe(client, CHANNEL_PRICE, symbol, self.rate, self.fields, self.mode, now)
        self.subscribed += 1

    def publish(self, first: int, count: int) -> None:
        if count == 1:
            self.publish_one(first)
            return
        now = time.time_ns()
        ids = np.arange(first, first + count)
        records = self.template[ids % SYMBOLS]
        records["id"] = ids
        records["price"] = 10_000 + ids * 7 % 10_000
        records["ts_event"] = records["ts_recv"] = now
        self.hub.apply(record_bytes(records), now)

    def publish_one(self, number: int) -> None:
        """One tick, written into bytes that are there: arrays of one row would cost more than the hub does."""
        now, at = time.time_ns(), number % SYMBOLS * ROW
        row = self.rows[at : at + ROW]
        U64.pack_into(row, OFFSETS["id"], number)
        I64.pack_into(row, OFFSETS["price"], 10_000 + number * 7 % 10_000)
        I64.pack_into(row, OFFSETS["ts_event"], now)
        I64.pack_into(row, OFFSETS["ts_recv"], now)
        if self.stamp_ns:
            I64.pack_into(row, OFFSETS["size"], self.stamp_ns)
        self.hub.apply(row, now)

    def flush(self) -> None:
        self.carry(self.hub.flush(time.time_ns()))

    def carry(self, flushed: Flushed) -> None:
        for client, data in flushed.unsent:
            transport = self.transports[client]
            transport.write(data)
            if not transport.get_write_buffer_size():
                self.hub.drained(client)
        for client in flushed.slow + flushed.broken:
            self.transports[client].abort()


def definition(name: str) -> Definition:
    return Definition(
        instrument=instrument_id(f"XNAS:{name}"), venue="XNAS", symbol=name, feed="xnas", security=name,
        asset_class="equity", currency="USD", primary=True,
    )  # fmt: skip


class TickcastClient(asyncio.Protocol):
    """A handshake, then frames."""

    def __init__(self, server: TickcastServer) -> None:
        self.server = server
        self.reader: FrameReader | None = None
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.transport.set_write_buffer_limits(0)
        self.client = self.server.hub.open(transport.get_extra_info("socket").fileno())
        self.server.transports[self.client] = self.transport

    def data_received(self, data: bytes) -> None:
        if self.reader is None:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
            answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self.transport.write(answer + b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
            self.reader = FrameReader(65536)
        for _, payload in self.reader.feed(data):
            for symbol in json.loads(payload)["symbols"]:
                self.server.subscribe(self.client, symbol, time.time_ns())

    def resume_writing(self) -> None:
        self.server.hub.drained(self.client)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.server.hub.close(self.client)
        del self.server.transports[self.client]


async def serve(port: int, pace: Pace, mode: str) -> None:
    holds = {"hold": HOLD_NS, "conflated": HOLD_NS, "gathered": round(CONFLATED_S * 1e9)}
    server = TickcastServer(
        hold_ns=holds.get(mode, 0),
        mode=MODE_ALL if mode == "hold" else MODE_MERGE,
        rate=20 if pace.per_s else 0,
    )
    await asyncio.get_running_loop().create_server(lambda: TickcastClient(server), "127.0.0.1", port, backlog=1024)
    print("listening", flush=True)
    while True:
        pace.subscribed = server.subscribed
        count = pace.due()
        step = 1 if mode == "single" else max(count, 1)
        for _ in range(0, count, step):
            server.publish(pace.ticks, step)
            pace.ticks += step
            server.flush()
        server.flush()
        await asyncio.sleep(0 if count and not pace.per_s else 0.001)


async def main() -> None:
    mode, port = os.environ["MODE"], int(os.environ["PORT"])
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: os._exit(0))
    await serve(port, Pace(CONFLATED_PER_S if mode in {"conflated", "gathered"} else 0), mode)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

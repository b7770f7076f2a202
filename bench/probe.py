"""One unfiltered client's delays in a process that has much else to send. Not to be run by itself.

A hub, the fan-out stage and an event loop as in the core, but for the overload ladder.
Every millisecond one trade of each of a few symbols is
due, and is applied as soon as the loop comes to it; a child process reads the probe's socket and notes when each came
(its price is the trade's number; the monotonic clock is one for all processes). A trade's delay is from when it was due
until the client had it or a newer one of its symbol. What else there is, the caller adds before it runs.
"""

import asyncio
import bisect
import os
import re
import socket
import statistics
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import uvloop

from tickcast._native import CHANNEL_PRICE, MODE_MERGE, Flushed, Hub, instrument_id
from tickcast.fanout.config import Config
from tickcast.fanout.stage import FanoutStage
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, empty_records, record_bytes
from tickcast.ports import Flush

SYMBOLS = 20
TICK_NS = 1_000_000
_PRICE = re.compile(rb'"price":(\d+)')
_NOTE = struct.Struct("<QQ")


def definition(number: int) -> Definition:
    name = f"S{number:04d}"
    return Definition(
        instrument=instrument_id(f"XNAS:{name}"), venue="XNAS", symbol=name, feed="xnas", security=name,
        asset_class="equity", currency="USD", primary=True,
    )  # fmt: skip


def pair() -> tuple[socket.socket, socket.socket]:
    """A connection over loopback: ours, not blocking, and theirs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)  # noqa: FBT003  the socket module's signature
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


class Counting:
    """A hub whose writes are counted, and the longest flush by CPU time of the thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.writes = self.longest_ns = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def send(self, now_ns: int) -> Flushed:
        begun = time.thread_time_ns()
        flushed = self._hub.send(now_ns)
        self.longest_ns = max(self.longest_ns, time.thread_time_ns() - begun)
        self.writes += flushed.writes
        return flushed


class Rig:
    """A hub with a probe."""

    def __init__(self, **settings: int) -> None:
        self.hub = Hub(epoch=1, history_count=1, **settings)
        self.hub.define([definition(number) for number in range(SYMBOLS)], time.time_ns())
        self.counting = Counting(self.hub)
        self.fanout = FanoutStage(
            self.counting,
            clock=time.time_ns,
            deliver=self._deliver,
            measure=lambda *_: None,
            config=Config(overload_busy=0, overload_lag_ms=0),
        )
        self.template = empty_records(SYMBOLS)
        self.template["instrument"] = [definition(number).instrument for number in range(SYMBOLS)]
        self.template["size"] = 1
        self.template["kind"] = Kind.TRADE
        self.template["flags"] = Flag.LAST_OF_EVENT
        self.kept: dict[int, bytes] = {}
        self.shifted = self.slow = 0
        self.ours, self.theirs = pair()
        self.watch(self.hub.open(self.ours.fileno()), range(SYMBOLS), 0)

    def watch(self, client: int, numbers: Sequence[int], rate: int) -> None:
        for number in numbers:
            self.hub.subscribe(
                client, CHANNEL_PRICE, f"XNAS:S{number:04d}", rate, 0, MODE_MERGE, time.time_ns()
            )  # fmt: skip

    def _deliver(self, flushed: Flush) -> None:
        self.kept.update(flushed.unsent)
        self.shifted += len(flushed.shifted)
        self.slow += len(flushed.slow)

    def run(self, seconds: float, settle_s: float) -> list[float]:
        """Delays of the probe's updates, ms, sorted, after some seconds that are not counted."""
        notes, write = os.pipe()
        child = os.fork()
        if child == 0:
            _note_arrivals(self.theirs, write)
        os.close(write)
        self.theirs.close()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sent = runner.run(self._publish(seconds, settle_s))
        # the child has a copy of our end, so closing alone would tell it nothing
        self.ours.shutdown(socket.SHUT_RDWR)
        self.ours.close()
        with os.fdopen(notes, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        return _delays(sent, dict(_NOTE.iter_unpack(data)))

    async def _publish(self, seconds: float, settle_s: float) -> dict[int, int]:
        sent: dict[int, int] = {}
        number, due = 1, time.monotonic_ns()
        settled = due + int(settle_s * 1e9)
        end = settled + int(seconds * 1e9)
        while due < end:
            # a loop that is late has to do all that came meanwhile, and it came when it was due
            while due <= time.monotonic_ns():
                now = time.time_ns()
                records = self.template.copy()
                records["price"] = records["id"] = np.arange(number, number + SYMBOLS)
                records["ts_event"] = records["ts_recv"] = now
                self.hub.apply(record_bytes(records), now)
                if settled < due < end:
                    sent.update(dict.fromkeys(range(number, number + SYMBOLS), due))
                number += SYMBOLS
                due += TICK_NS
            self.fanout.flush()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        self.fanout.stop()
        return sent


def _delays(sent: dict[int, int], arrivals: dict[int, int]) -> list[float]:
    """How long after each trade was due the client knew it or a newer one of its symbol, ms, sorted."""
    delays = []
    for symbol in range(SYMBOLS):
        numbers = sorted(number for number in arrivals if number % SYMBOLS == symbol)
        for number, at in sent.items():
            place = bisect.bisect_left(numbers, number) if number % SYMBOLS == symbol else len(numbers)
            if place < len(numbers):
                delays.append((arrivals[numbers[place]] - at) / 1e6)
    return sorted(delays)


def _note_arrivals(theirs: socket.socket, write: int) -> None:
    """Read until the end, in the child."""
    rest, notes = b"", bytearray()
    while data := theirs.recv(1 << 18):
        now = time.monotonic_ns()
        rest += data
        last = 0
        for found in _PRICE.finditer(rest, 0, max(0, len(rest) - 24)):
            notes += _NOTE.pack(int(found[1]), now)
            last = found.end()
        rest = rest[last:]
    with os.fdopen(write, "wb") as pipe:
        pipe.write(notes)
    os._exit(0)


def quantile(delays: Sequence[float], share: float) -> float:
    """Of a sorted list."""
    return delays[min(len(delays) - 1, int(share * len(delays)))]


def row(name: str, runs: Sequence[Sequence[float]]) -> str:
    """p50, p99 and the highest of some runs as Markdown: the median, and the lowest and highest."""
    cells = []
    for share in (0.5, 0.99, 0.999):
        values = [quantile(run, share) for run in runs]
        cells.append(f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    return f"| {name} | {' | '.join(cells)} | {sum(map(len, runs)):,} |"


HEAD = "| run | p50 ms: median (lowest to highest) | p99 ms | p99.9 ms | updates |\n|---|---|---|---|---|"

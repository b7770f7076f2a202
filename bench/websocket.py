"""Frames through a real WebSocket on loopback: bare clients, and a whole feed.

    python bench/websocket.py [--frames 400000] [--pace 300000] [--rounds 2] [--json FILE]

A server in a process of its own sends small messages (trades and quotes of a hundred instruments as Binance writes
them, see crypto.py), 64 to a write. First as fast as they are taken: by picows alone and by ``websockets`` alone,
which only take each frame as bytes, and by a Feed (connector, inbox, session, core, pipeline; batches are counted and
dropped). Figures are frames per CPU-second of the client's process, the best round.

Then the server sends ``--pace`` frames a second to a Feed, a slice every 5 ms: what it could send, what the feed
took, how many CPUs the feed used, and the longest time from a read to its batch.
"""

import argparse
import asyncio
import json
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import picows
import uvloop
import websockets.asyncio.client
from aiohttp import web

import crypto
import machine
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.sim.crypto.sockets import text_frame
from tickcast.venues.registry import open_session

WRITE: Final = 64
SLICE_S: Final = 0.005
NAMES: Final = tuple(f"C{number}" for number in range(100))
LISTED: Final = {
    "symbols": [
        {"symbol": f"{name}USDT", "status": "TRADING", "baseAsset": name, "quoteAsset": "USDT", "filters": []}
        for name in NAMES
    ]
}
FIRST_S: Final = 20.0
"""A feed takes its first message, and ends when it is told to, within this time."""
DEADLINE_S: Final = 120.0
"""All frames are made, and those of a turn are taken, within this time."""
UNSENT_MAX: Final = 4 << 20


class Server:
    """Sends the frames once to each connection; ``/pace`` paced, ``/feed`` behind a subscription."""

    def __init__(self, frames: Sequence[bytes], pace: int, write_end: int) -> None:
        self._write_end = write_end
        self._frames = [text_frame(frame) for frame in frames]
        self._writes = [b"".join(self._frames[at : at + WRITE]) for at in range(0, len(frames), WRITE)]
        self._pace = pace

    async def run(self) -> None:
        """Listen, and say where."""
        sockets = await picows.ws_create_server(lambda request: Sending(self, request.path), "127.0.0.1", 0)
        app = web.Application()
        app.router.add_get("/{path:.*}", self._list)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports = (sockets.sockets[0].getsockname()[1], runner.addresses[0][1])
        os.write(self._write_end, json.dumps(ports).encode() + b"\n")
        await asyncio.Event().wait()

    async def _list(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(LISTED)

    async def send(self, one: "Sending") -> None:
        """All frames, as fast as they are taken or paced."""
        if not one.is_paced:
            for data in self._writes:
                await one.write(data)
            return
        begin, sent = time.monotonic(), 0
        while True:
            due = min(round((time.monotonic() - begin) * self._pace), len(self._frames))
            if due > sent:
                await one.write(b"".join(self._frames[sent:due]))
                sent = due
            if sent == len(self._frames):
                break  # told at once: a client that has all of them leaves, and that ends this
            await asyncio.sleep(SLICE_S)
        os.write(self._write_end, json.dumps(time.monotonic() - begin).encode() + b"\n")


class Sending(picows.WSListener):
    """One connection of the server."""

    def __init__(self, server: Server, path: bytes | str) -> None:
        super().__init__()
        text = path.decode() if isinstance(path, bytes) else path
        self._server = server
        self.is_paced = "pace" in text
        self._waits = "feed" in text or self.is_paced
        self._task: asyncio.Task[None] | None = None
        self._transport: picows.WSTransport | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        if not self._waits:
            self._begin()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        del transport
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Confirm a subscription; the first begins it all."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == picows.WSMsgType.TEXT:
            asked = json.loads(frame.get_payload_as_bytes())
            transport.send(picows.WSMsgType.TEXT, json.dumps({"result": None, "id": asked["id"]}).encode())
            if self._task is None:
                self._begin()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._server.send(self))

    async def write(self, data: bytes) -> None:
        """Write frames that are encoded already; wait while much is unsent."""
        while self._transport is not None:
            under = self._transport.underlying_transport
            if under.get_write_buffer_size() < UNSENT_MAX:
                under.write(data)
                return
            await asyncio.sleep(0.001)
        raise asyncio.CancelledError


class Counting(picows.WSListener):
    """Takes each frame as bytes, as the connector does."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.left = total
        self.done = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        frame.get_payload_as_bytes()
        self.left -= 1
        if not self.left:
            transport.disconnect()
            self.done.set_result(None)


async def bare_picows(url: str, total: int) -> None:
    """Take all frames with picows."""
    counting = Counting(total)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await picows.ws_connect(lambda: counting, url)
            await counting.done
    except TimeoutError:
        raise SystemExit(f"picows: expected {total} frames in {DEADLINE_S:g} s, {counting.left} are missing") from None


async def bare_websockets(url: str, total: int) -> None:
    """Take all frames with websockets."""
    taken = 0
    try:
        async with asyncio.timeout(DEADLINE_S), websockets.asyncio.client.connect(url, compression=None) as link:
            while taken < total:
                await link.recv(decode=False)
                taken += 1
    except TimeoutError:
        raise SystemExit(f"websockets: expected {total} frames in {DEADLINE_S:g} s, found {taken}") from None


class Dropping:
    """A publisher that counts records, and notes how long frames waited to be read and decoded."""

    conflated = 0

    def __init__(self) -> None:
        self.records = 0
        self.late_ns = 0

    async def publish(self, batch: TickBatch) -> None:
        self.records += len(batch.records)
        if batch.hops.received:
            self.late_ns = max(self.late_ns, now_ns() - batch.hops.received)

    async def report(self, health: FeedHealth) -> None:
        """Nothing."""

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """Nobody joins."""

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Nobody watches."""

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Nobody watches."""

    async def close(self) -> None:
        """Nothing."""


async def taken(running: Feed, task: asyncio.Task[None], messages: int, *, within_s: float, every_s: float) -> None:
    """Wait until a feed has taken so many messages.

    Raises:
        SystemExit: it has not within this time, or it has ended.
    """
    end = time.monotonic() + within_s
    health = running.health
    while health.messages < messages:
        if task.done():
            raise SystemExit(f"the feed ended after {health.messages} of {messages} messages: {task.exception()!r}")
        if time.monotonic() > end:
            raise SystemExit(
                f"expected {messages} messages of the feed in {within_s:g} s, found {health.messages};"
                f" it is {health.state}, last error: {health.last_error or 'none'}"
            )
        await asyncio.sleep(every_s)


async def feed(ports: tuple[int, int], path: str, total: int) -> dict[str, float]:
    """Run a feed until it has taken every frame."""
    config = FeedConfig(
        venue="BINANCE",
        streams=("trade", "quote"),
        symbols=tuple(f"{name}-USDT" for name in NAMES),
        url=f"ws://127.0.0.1:{ports[0]}/{path}",
        rest_url=f"http://127.0.0.1:{ports[1]}",
    )
    publisher, stop = Dropping(), asyncio.Event()
    running = Feed(
        "bench",
        config=config,
        session=open_session("bench", config, {}),
        normaliser=Pipeline("bench"),
        publisher=publisher,
        clock=now_ns,
        jitter=lambda: 0.5,
    )
    task = asyncio.get_running_loop().create_task(running.run(stop))
    try:
        await taken(running, task, 1, within_s=FIRST_S, every_s=0.001)
        begin, used_s = time.monotonic(), time.process_time()
        await taken(running, task, total + 1, within_s=DEADLINE_S, every_s=0.002)  # the first is the confirmation
        took_s, used_s = time.monotonic() - begin, time.process_time() - used_s
    finally:
        stop.set()
        await asyncio.wait([task], timeout=FIRST_S)
    if not task.done():
        raise SystemExit(f"expected the feed to end within {FIRST_S:g} s, found it running")
    task.result()
    return {
        "took_s": took_s,
        "cpu_s": used_s,
        "late_ms": publisher.late_ns / 1e6,
        "dead": running.health.dead_letters,
        "records": publisher.records,
    }


def serve(frames: Sequence[bytes], pace: int) -> tuple[int, int, tuple[int, int]]:
    """Start the server in a process of its own: its pid, where it tells what it did, ports of WebSocket and REST."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            logging.disable(logging.CRITICAL)
            uvloop.run(Server(frames, pace, write_end).run())
        finally:
            os._exit(1)
    try:
        ports = json.loads(told(read_end, "the ports of the server", within_s=DEADLINE_S))
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    return child, read_end, (ports[0], ports[1])


def told(read_end: int, what: str, *, within_s: float) -> bytes:
    """Take what the server says next.

    Raises:
        SystemExit: it says nothing in time, or it has ended.
    """
    ready, _, _ = select.select([read_end], [], [], within_s)
    if not ready:
        raise SystemExit(f"expected {what} within {within_s:g} s, found nothing")
    return os.read(read_end, 64)


def cpu_of(work: Any) -> float:
    """CPU seconds of this process."""
    begin = time.process_time()
    uvloop.run(work)
    return time.process_time() - begin


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    frames = crypto.small(asked.frames)
    child, read_end, ports = serve(frames, asked.pace)
    del frames
    url, total = f"ws://127.0.0.1:{ports[0]}/", asked.frames
    rates: dict[str, float] = {"picows": 0.0, "websockets": 0.0, "feed": 0.0}
    try:
        for _ in range(asked.rounds):
            rates["picows"] = max(rates["picows"], total / cpu_of(bare_picows(url, total)))
            rates["websockets"] = max(rates["websockets"], total / cpu_of(bare_websockets(url, total)))
            fast = uvloop.run(feed(ports, "feed", total))
            rates["feed"] = max(rates["feed"], total / fast["cpu_s"])
        paced = uvloop.run(feed(ports, "pace", total))
        sent_s = float(told(read_end, "how long the server sent", within_s=FIRST_S))
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    return {
        "frames": total,
        "per_cpu_second": {name: round(rate) for name, rate in rates.items()},
        "paced": {
            "asked_per_s": asked.pace,
            "sent_per_s": round(total / sent_s),
            "per_s": round(total / paced["took_s"]),
            "cpus": round(paced["cpu_s"] / paced["took_s"], 2),
            "longest_wait_ms": round(paced["late_ms"], 1),
            "dead_letters": int(paced["dead"]),
        },
    }


def show(result: Mapping[str, Any]) -> None:
    """Print it."""
    for name, rate in result["per_cpu_second"].items():
        print(f"{name:12} {rate:12,} frames per CPU-second")
    paced = result["paced"]
    print(
        f"feed at {paced['asked_per_s']:,} frames/s: {paced['sent_per_s']:,}/s sent, {paced['per_s']:,}/s taken,"
        f" {paced['cpus']} CPUs, longest wait {paced['longest_wait_ms']} ms, {paced['dead_letters']} dead letters"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400_000)
    parser.add_argument("--pace", type=int, default=300_000, help="frames a second")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked, facts = parser.parse_args(), machine.facts()
    result = measure(asked)
    show(result)
    if asked.json:
        asked.json.write_text(json.dumps({"benchmark": "websocket", "machine": facts, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Hubs written by hand on picows, websockets and socketify, for `fanout.py`. Not to be run by itself.

``python fanout_peers.py SERVER``: picows, websockets or socketify. MODE is how it coalesces:

* each: a frame for every update;
* array: one JSON array a client and turn of 250 ticks;
* hold: the same over 10 ms;
* publish: socketify's own topics, which uWebSockets gathers over a turn of its loop;
* conflated: the newest of each symbol, 20 times a second and client in one array.

All of them: a dict from symbol to clients, an update formatted once and shared, uvloop where the library allows it.
"""

import asyncio
import importlib
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from json import loads
from typing import Any

from fanout_pace import CONFLATED_PER_S, CONFLATED_S, HOLD_NS, NAMES, SYMBOLS, Pace


class Client:
    """Somebody who watches symbols; ``send`` writes one text frame."""

    __slots__ = ("gathered", "seen", "send", "watches")

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self.send = send
        self.gathered: list[bytes] = []
        self.watches: list[int] = []
        self.seen = 0
        """Ticks published when it was last told (conflated)."""


class Hub:
    """Who watches what, and how an update gets there."""

    def __init__(self, mode: str, publish: Callable[[str, bytes], object] | None = None) -> None:
        self.mode = mode
        self.pace = Pace(CONFLATED_PER_S if mode == "conflated" else 0)
        self.clients: list[Client] = []
        self._watchers: dict[str, list[Client]] = defaultdict(list)
        self._publish = publish
        self._touched: list[Client] = []
        self._held_since = 0
        self._newest = [b""] * SYMBOLS
        self._changed = [0] * SYMBOLS

    def subscribe(self, client: Client, message: bytes | str) -> list[str]:
        """Take a subscribe request; its symbols."""
        symbols: list[str] = loads(message)["symbols"]
        for symbol in symbols:
            self._watchers[symbol].append(client)
            client.watches.append(int(symbol[1:]))
        self.clients.append(client)
        self.pace.subscribed += len(symbols)
        return symbols

    async def run(self) -> None:
        """Publish for ever."""
        conflating = asyncio.ensure_future(self._tell()) if self.mode == "conflated" else None
        while conflating is None or not conflating.done():
            count = self.pace.due()
            for number in range(self.pace.ticks, self.pace.ticks + count):
                self._tick(number)
            self.pace.ticks += count
            self._flush()
            await asyncio.sleep(0 if count and not self.pace.per_s else 0.001)

    def _tick(self, number: int) -> None:
        name, text = tick_text(number)
        if self.mode == "conflated":
            self._newest[number % SYMBOLS], self._changed[number % SYMBOLS] = text, number + 1
        elif self._publish is not None:
            self._publish(name, text)
        elif self.mode == "each":
            for client in self._watchers[name]:
                client.send(text)
        else:
            touched = self._touched
            for client in self._watchers[name]:
                gathered = client.gathered
                if not gathered:
                    touched.append(client)
                gathered.append(text)

    def _flush(self) -> None:
        if not self._touched:
            return
        if self.mode == "hold":
            now = time.monotonic_ns()
            self._held_since = self._held_since or now
            if now - self._held_since < HOLD_NS:
                return
            self._held_since = 0
        for client in self._touched:
            client.send(b"[" + b",".join(client.gathered) + b"]")
            client.gathered.clear()
        self._touched.clear()

    async def _tell(self) -> None:
        """Go round the clients every 50 ms, a few each millisecond: each gets what changed since its last turn."""
        place, began = 0, time.monotonic()
        while True:
            due = int((time.monotonic() - began) / CONFLATED_S * len(self.clients))
            for turn in range(place, due):
                client = self.clients[turn % len(self.clients)]
                changed = self._changed
                news = [self._newest[watched] for watched in client.watches if changed[watched] > client.seen]
                client.seen = self.pace.ticks
                if news:
                    client.send(b"[" + b",".join(news) + b"]")
            place = max(place, due)
            await asyncio.sleep(0.001)


def tick_text(number: int) -> tuple[str, bytes]:
    """About the length of tickcast's own update."""
    name, cents = NAMES[number % SYMBOLS], 10_000 + number * 7 % 10_000
    return name, (
        f'{{"type":"update","symbol":"{name}","price":{cents // 100}.{cents % 100:02d},'
        f'"timestamp":"2026-03-29T14:30:01.{number % 10**9:09d}Z","high":199.99,"low":100.00,'
        f'"volume":{number},"seq":{number}}}'
    ).encode()


async def serve_picows(port: int, mode: str) -> None:
    import picows  # noqa: PLC0415  each server needs its own library only

    hub, text = Hub(mode), picows.WSMsgType.TEXT

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == text:
                hub.subscribe(Client(lambda data: transport.send(text, data)), frame.get_payload_as_bytes())

    await picows.ws_create_server(lambda _: Listener(), "127.0.0.1", port, backlog=1024)
    print("listening", flush=True)
    await hub.run()


async def serve_websockets(port: int, mode: str) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve  # noqa: PLC0415  as above

    hub = Hub(mode)
    if mode == "each":
        watchers: dict[str, set[ServerConnection]] = defaultdict(set)
        hub = Hub(mode, lambda name, text: broadcast(watchers[name], text.decode()))

    async def client(connection: ServerConnection) -> None:
        async for message in connection:
            asked = Client(lambda data: broadcast((connection,), data.decode()))
            for symbol in hub.subscribe(asked, message):
                if mode == "each":
                    watchers[symbol].add(connection)

    async with serve(client, "127.0.0.1", port, compression=None, ping_interval=None, backlog=1024):
        print("listening", flush=True)
        await hub.run()


def serve_socketify(port: int, mode: str) -> None:
    socketify: Any = importlib.import_module("socketify")  # not installed where this is checked
    app, text = socketify.App(), socketify.OpCode.TEXT
    hub = Hub(mode, (lambda name, data: app.publish(name, data, text)) if mode == "publish" else None)

    def on_message(connection: Any, message: Any, _opcode: object) -> None:
        for symbol in hub.subscribe(Client(lambda data: connection.send(data, text)), message):
            if mode == "publish":
                connection.subscribe(symbol)

    settings = {"compression": socketify.CompressOptions.DISABLED, "idle_timeout": 0, "max_backpressure": 16 << 20}
    app.ws("/*", {**settings, "max_payload_length": 65_536, "message": on_message})
    app.loop.create_background_task(hub.run)
    app.listen(socketify.AppListenOptions(port=port, host="127.0.0.1"), lambda _: print("listening", flush=True))
    app.run()


def end_with_input() -> None:
    """End the process when its standard input does."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    server, mode, port = sys.argv[1], os.environ["MODE"], int(os.environ["PORT"])
    threading.Thread(target=end_with_input, daemon=True).start()
    if server == "socketify":
        serve_socketify(port, mode)
        return
    import uvloop  # noqa: PLC0415  socketify has a loop of its own

    serve = {"picows": serve_picows, "websockets": serve_websockets}[server]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(port, mode))


if __name__ == "__main__":
    main()

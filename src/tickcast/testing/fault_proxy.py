"""A TCP proxy on loopback that breaks what goes through it: for tests of clients, in any language.

In a test of this process::

    async with FaultProxy("127.0.0.1", gateway_port) as proxy:
        url = f"ws://127.0.0.1:{proxy.port}/stream"
        proxy.half_open()

From anywhere else, ``python -m tickcast.testing.fault_proxy --target 127.0.0.1:8000`` prints one line of JSON
(``{"port": 40001}``), then does what each line of its standard input says, and answers it with a line of JSON. It ends
with its input.

What each fault is to the client:

========== ==========================================================================================================
drop       every connection ends as its peer's process would end it: what is under way arrives, then a FIN
reset      every connection ends at once with a RST, in the middle of a frame or not
half_open  every connection stays open and nothing arrives any more in either direction, as when a machine between the
           two was switched off; nobody is told when the other side gives up
refuse     new connections are reset at once until ``accept``
delay MS   what arrives is passed on so much later, in order, from now on; 0 = at once
========== ==========================================================================================================
"""

import asyncio
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

import click
import msgspec

PENDING_MAX: Final = 1 << 20
"""Bytes that a direction of a connection holds back; more are not read."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class _Half(asyncio.Protocol):
    """One side of a connection: what it receives goes to ``other``."""

    def __init__(self, proxy: "FaultProxy") -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None
        self.is_mute = False
        self.is_over = False
        self.has_ended = False
        self._pending = 0
        self._is_held = False
        self._waiting: deque[tuple[float, int, Callable[[], None]]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.is_mute:
            return
        self._later(lambda: self._pass_on(data), len(data))

    def eof_received(self) -> bool:
        if not self.is_mute and self.other is not None:
            self._later(self._end_on, 0)
        return True  # the other direction may go on

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._proxy.forget(self)
        if not self.is_mute and self.other is not None:
            other = self.other
            self._later(other.end if exc is None else other.reset, 0)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold(is_held=True)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.hold(is_held=False)

    def hold(self, *, is_held: bool) -> None:
        """Read on or not, as the other side's peer takes it."""
        self._is_held = is_held
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self.transport is None or self.is_over:
            return
        if self._is_held or self._pending > PENDING_MAX:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _later(self, act: Callable[[], None], size: int) -> None:
        """Act after the delay, behind what came earlier."""
        now = self._loop.time()
        self._waiting.append((now + self._proxy.delay_s, size, act))
        self._pending += size
        if len(self._waiting) == 1:
            self._run()
        self._read_or_not()

    def _run(self) -> None:
        """Do what is due, and come back for the rest."""
        while self._waiting:
            due, size, act = self._waiting[0]
            if due > self._loop.time():
                self._loop.call_at(due, self._run)
                return
            self._waiting.popleft()
            self._pending -= size
            act()
        self._read_or_not()

    def _pass_on(self, data: bytes) -> None:
        other = self.other
        if other is not None and other.transport is not None and not (other.is_over or other.is_mute or self.is_mute):
            other.transport.write(data)

    def _end_on(self) -> None:
        """Tell the other side that nothing more comes from here; a connection that is over both ways is let go."""
        self.has_ended = True
        other = self.other
        if other is None or other.transport is None or other.is_over or other.is_mute or self.is_mute:
            return
        if other.has_ended:
            other.end()
            self.end()
        else:
            other.transport.write_eof()

    def end(self) -> None:
        """Send what is under way, then a FIN."""
        if self.transport is not None and not self.is_over:
            self.transport.close()

    def reset(self) -> None:
        """Send a RST."""
        if self.transport is not None and not self.is_over:
            bare = self.transport.get_extra_info("socket")
            if bare is not None:
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            self.transport.abort()


class _Client(_Half):
    """The side that dialled us: the target is dialled for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.take(self)


class FaultProxy:
    """Passes connections on to a target, and breaks them when told."""

    def __init__(self, host: str, port: int) -> None:
        """``host`` and ``port`` are the target's."""
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._clients: dict[_Half, asyncio.Task[None]] = {}
        self._halves: set[_Half] = set()
        self._is_refusing = False
        self.delay_s = 0.0
        self.port = 0
        """Of the proxy, on loopback."""
        self.accepted = 0
        """Connections that were made to it."""

    def turn(self, port: int) -> None:
        """Bring new connections to another port of the target's host, as a balancer does."""
        self._target = (self._target[0], port)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; 0 takes a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Reset all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        dialling = list(self._clients.values())
        self.reset()
        for task in dialling:
            task.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)
        while self._halves:  # noqa: ASYNC110  transports tell their end in the next turns of the loop
            await asyncio.sleep(0)

    @property
    def open(self) -> int:
        """Connections from clients that are open now, mute ones too."""
        return len(self._clients)

    def drop(self) -> None:
        """End every connection with a FIN."""
        for half in tuple(self._halves):
            half.end()

    def reset(self) -> None:
        """End every connection with a RST."""
        for half in tuple(self._halves):
            half.reset()

    def half_open(self) -> None:
        """Let nothing through any more on the connections there are; new ones are passed on."""
        for half in tuple(self._halves):
            half.is_mute = True

    def refuse(self) -> None:
        """Reset new connections at once."""
        self._is_refusing = True

    def accept(self) -> None:
        """Pass new connections on again."""
        self._is_refusing = False

    def delay(self, ms: float) -> None:
        """Pass everything on ``ms`` later, from now on."""
        self.delay_s = ms / 1000

    # ------------------------------------------------------------------ for the connections

    def take(self, client: _Half) -> None:
        """Dial the target for a new connection."""
        self.accepted += 1
        self._halves.add(client)
        if self._is_refusing:
            client.reset()
            return
        assert client.transport is not None
        client.transport.pause_reading()
        self._clients[client] = asyncio.get_running_loop().create_task(self._dial(client))

    async def _dial(self, client: _Half) -> None:
        target = _Half(self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: target, *self._target)
        except OSError:
            client.reset()
            return
        self._halves.add(target)
        target.other, client.other = client, target
        if client.is_over:
            target.end()
        elif client.transport is not None:
            client.transport.resume_reading()

    def forget(self, half: _Half) -> None:
        """A connection ended."""
        self._halves.discard(half)
        self._clients.pop(half, None)


def obey(proxy: FaultProxy, line: str) -> dict[str, Any]:
    """Do what a line says, and return the answer: what was done and how many connections there are.

    Unknown words are answered with ``error``.
    """
    verb, _, argument = line.strip().partition(" ")
    match verb:
        case "drop" | "reset" | "half_open" | "refuse" | "accept":
            getattr(proxy, verb)()
        case "delay":
            try:
                proxy.delay(max(0.0, float(argument)))
            except ValueError:
                return {"error": f"delay: expected milliseconds, found {argument!r}"}
        case "state":
            pass
        case _:
            return {"error": f"expected drop, reset, half_open, refuse, accept, delay MS or state; found {verb!r}"}
    return {"done": verb, "open": proxy.open, "accepted": proxy.accepted}


async def _serve(host: str, target_port: int, port: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    proxy = FaultProxy(host, target_port)
    await proxy.start(port)
    try:
        click.echo(msgspec.json.encode({"port": proxy.port}).decode())
        while line := await reader.readline():
            click.echo(msgspec.json.encode(obey(proxy, line.decode(errors="replace"))).decode())
    finally:
        await proxy.stop()
        pipe.close()


@click.command()
@click.option("--target", required=True, metavar="HOST:PORT", help="Where connections are passed on to.")
@click.option("--port", default=0, show_default=True, help="Port on loopback; 0 takes a free one. It is printed.")
def main(target: str, port: int) -> None:
    """Pass connections on, and break them as the lines of standard input say."""
    host, _, number = target.rpartition(":")
    if not host or not number.isascii() or not number.isdigit():
        raise click.BadParameter(f"expected HOST:PORT, found {target!r}", param_hint="--target")
    try:
        asyncio.run(_serve(host, int(number), port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()

"""A session of Engine.IO at several workers: whichever gets its next request brings it to the one that holds it.

A polling client sends each request on whatever connection it has, and workers accept from one port, so no balancer
keeps a client at its worker. Therefore the name of a session begins with the number of its worker, and every worker
listens on a Unix socket for its neighbours:

- a polling request goes on over it as an HTTP request, and the answer comes back unchanged;
- an upgrade to WebSocket is carried there byte by byte from its head on, for as long as it lives.

A session is opened by whoever gets its first request, so a client that begins with WebSocket is never carried. Who may
come in, limits of an address and the limits of a client are looked after where they are: the first two by the worker
that has the client's connection, the last by the one that has its session.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from starlette.types import Receive, Scope, Send

from tickcast.gateway.config import WORKERS_MAX
from tickcast.gateway.handshake import Headers
from tickcast.gateway.problem import answer
from tickcast.gateway.upstream import CONNECT_S, Upstream
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

MARK: Final = "."
"""Between the number of the worker and the engine's name; the engine's names have none."""
SILENT_S: Final = 60.0
"""A GET waits for the next packet, and there is a ping each 25 s."""
UNSENT_MAX: Final = 65_536
"""Bytes that one side of a carried connection does not take before the other is not read from."""
BACKLOG: Final = 1_024
AWAY: Final = "the worker that holds this session is gone; connect again"

_carried: Final = metrics.gauge("gateway_socketio_carried", "WebSockets carried on to the worker that has the session.")


class Neighbours:
    """The workers of one port, as one of them sees them."""

    def __init__(self, number: int, path_of: Callable[[int], Path], *, connections_max: int) -> None:
        """``number`` is this worker's, ``path_of`` the Unix socket of one; as many requests go on as may connect."""
        self.number: Final = number
        self._path_of = path_of
        self._most = connections_max
        self._ways: dict[int, Upstream] = {}
        self._server: asyncio.Server | None = None
        self._tasks = TaskGroupOwner("gateway.neighbours")
        self._carriers: set[Carrier] = set()
        metrics.watch_queue(
            "gateway_socketio_forwarding",
            bound=connections_max,
            depth=lambda: sum(way.under_way for way in self._ways.values()),
            drops=lambda: sum(way.turned_away for way in self._ways.values()),
        )
        _carried.set_function(lambda: len(self._carriers))

    def mark(self, name: str) -> str:
        """Return the name of a session of this worker."""
        return f"{self.number}{MARK}{name}"

    def holder(self, name: str) -> int | None:
        """Return which other worker holds a session; None: it is ours, or there is no such name."""
        number, mark, _ = name.partition(MARK)
        if not mark or not number.isascii() or not number.isdigit() or len(number) > len(str(WORKERS_MAX)):
            return None
        return int(number) if 0 < int(number) <= WORKERS_MAX and int(number) != self.number else None

    async def start(self, take: Callable[[], asyncio.Protocol]) -> None:
        """Listen for the others; ``take`` makes the protocol of a connection."""
        path = self._path_of(self.number)
        path.unlink(missing_ok=True)  # one that a killed process left
        self._server = await asyncio.get_running_loop().create_unix_server(take, path, backlog=BACKLOG)
        path.chmod(0o600)

    async def stop(self) -> None:
        """Listen no more, and cut what is carried."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path_of(self.number).unlink(missing_ok=True)
        for carrier in list(self._carriers):
            carrier.abort()
        await self._tasks.stop()
        for way in self._ways.values():
            await way.stop()
        self._ways.clear()

    async def forward(self, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Let another worker answer a polling request."""
        way = self._ways.get(number)
        if way is None:
            way = self._ways[number] = Upstream(
                self._path_of(number), connections_max=0, waiting_max=self._most, silent_s=SILENT_S, away=AWAY
            )
            await way.start()
        await way(scope, receive, send)

    def carry(
        self, number: int, transport: Any, target: bytes, headers: Headers, gone: Callable[[], None]
    ) -> asyncio.Protocol:
        """Carry an upgrade to another worker, from its head on; ``gone`` is called when it is over."""
        lines = [b"GET " + target + b" HTTP/1.1", *(name + b": " + value for name, value in headers), b"", b""]

        def over() -> None:
            self._carriers.discard(carrier)
            gone()

        carrier = Carrier(b"\r\n".join(lines), over)
        self._carriers.add(carrier)
        carrier.take_over(transport)
        self._tasks.spawn(carrier.connect(self._path_of(number)), "carry")
        return carrier


class Carrier(asyncio.Protocol):
    """The client's side of a connection that another worker serves."""

    def __init__(self, head: bytes, over: Callable[[], None]) -> None:
        self._unsent = bytearray(head)
        self._over = over
        self._client: asyncio.Transport | None = None
        self._far = _FarSide(self)

    def take_over(self, transport: asyncio.Transport) -> None:
        """Have the client's connection, which is not read from until there is somebody to read it."""
        self._client = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=UNSENT_MAX)
        transport.pause_reading()

    async def connect(self, path: Path) -> None:
        """Connect to the worker, and begin."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_unix_connection(lambda: self._far, str(path))
        except (OSError, TimeoutError) as wrong:
            log.debug("a neighbour took no connection", path=str(path), reason=str(wrong))
            if self._client is not None:
                self._client.write(answer(503, AWAY, ((b"retry-after", b"1"),)))
                self._client.close()
            return
        if self._client is None or self._far.transport is None:
            self._far.close()
            return
        self._far.transport.write(bytes(self._unsent))
        self._unsent.clear()
        self._client.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on what the client says."""
        if self._far.transport is None:
            self._unsent += data  # what came with the head; nothing more is read
        else:
            self._far.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and so is its connection to the worker."""
        del exc
        self._client = None
        self._far.close()
        self._over()

    def pause_writing(self) -> None:
        """The client does not read: neither do we."""
        if self._far.transport is not None:
            self._far.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._far.transport is not None:
            self._far.transport.resume_reading()

    def told(self, data: bytes) -> None:
        """Pass on what the worker says."""
        if self._client is not None:
            self._client.write(data)

    def wait(self, *, is_full: bool) -> None:
        """Read from the client no more while the worker does not."""
        if self._client is not None:
            with contextlib.suppress(RuntimeError):  # paused or closing already
                (self._client.pause_reading if is_full else self._client.resume_reading)()

    def close(self) -> None:
        """End once the client has what was written."""
        if self._client is not None:
            self._client.close()

    def abort(self) -> None:
        """Cut it."""
        if self._client is not None:
            self._client.abort()


class _FarSide(asyncio.Protocol):
    """The worker's side."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self.transport.set_write_buffer_limits(high=UNSENT_MAX)

    def data_received(self, data: bytes) -> None:
        self._carrier.told(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        self._carrier.close()

    def pause_writing(self) -> None:
        self._carrier.wait(is_full=True)

    def resume_writing(self) -> None:
        self._carrier.wait(is_full=False)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

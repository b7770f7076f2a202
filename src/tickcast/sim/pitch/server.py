"""What the gap request server and the spin server share: TCP connections, login, heartbeats, backpressure.

A client logs in first, sends a heartbeat when it has nothing else to say, and is closed when it is silent or breaks the
protocol. What is sent passes the gate for faults under the server's name.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final, cast

from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import PitchConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.pitch.packets import (
    GapRequest,
    Login,
    PitchError,
    RequestReader,
    SpinRequest,
    idle,
    login_response,
)

log = get_logger("sim")

HEARTBEAT_NS: Final = 1_000_000_000
GROUP: Final = 32
"""Packets written to one client before others have their turn."""


class PitchClient(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: "PitchServer") -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._queue: deque[bytes] = deque()
        self._paused = False
        self._pumping = False
        self.session: str | None = None
        self.heard_ns = self.sent_ns = server.now_ns()
        self.asked_ns: deque[int] = deque()
        """When it asked for what is limited."""

    @property
    def waiting(self) -> int:
        """Packets of a long answer that are not written yet."""
        return len(self._queue)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it."""
        # uvloop's transport has the interface and not the base class
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._server.config.unsent_bytes_max)
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._transport = None
        self._queue.clear()
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        self.heard_ns = self._server.now_ns()
        try:
            for request in self._reader.feed(data):
                self._server.requested(self, request)
        except PitchError as error:
            self._server.counters["broken"] += 1
            log.warning("client broke the protocol", venue=self._server.venue, error=str(error))
            self.close()

    def pause_writing(self) -> None:
        """Stop writing until the transport drains."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        self._pump()

    def write(self, packet: bytes) -> None:
        """Send one packet now."""
        self._pass([packet])

    def write_long(self, packets: list[bytes]) -> None:
        """Send many packets, as fast as the client takes them."""
        self._queue.extend(packets)
        if not self._pumping:
            self._pump()

    def flush(self) -> None:
        """Let go what faults have held back long enough."""
        self._pass([])

    def _pass(self, packets: list[bytes]) -> None:
        if self._transport is not None:
            passed = self._server.faults.pass_units(packets, self._server.line, peer=self)
            if passed:
                self._transport.write(b"".join(passed))
                self.sent_ns = self._server.now_ns()

    def _pump(self) -> None:
        self._pumping = False
        if self._paused or self._transport is None or not self._queue:
            return
        self._pass([self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))])
        if self._queue:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def close(self) -> None:
        """Close when what was written has gone."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class PitchServer(ABC):
    """Listens, logs clients in, beats."""

    line: str
    """Name of this server to the faults."""

    def __init__(self, venue: str, config: PitchConfig, faults: FaultGate, *, now_ns: Clock) -> None:
        self.venue: Final = venue
        self.config: Final = config
        self.faults: Final = faults
        self.now_ns: Final = now_ns
        self.counters: dict[str, int] = dict.fromkeys(("logins", "rejected", "refused", "broken", "dead"), 0)
        self.clients: set[PitchClient] = set()
        self._server: asyncio.Server | None = None
        self._tasks = TaskGroupOwner(f"sim.{venue}.{self.line}")

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: PitchClient(self), host, port)
        self._tasks.spawn(self._watch(), "watch")
        bound: tuple[Any, ...] = self._server.sockets[0].getsockname()
        return f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stop listening and close the clients."""
        if self._server is not None:
            self._server.close()
        await self._tasks.stop()
        self.cut()

    def cut(self) -> None:
        """Cut every connection."""
        for client in list(self.clients):
            client.abort()

    def joined(self, client: PitchClient) -> None:
        """Note a connection."""
        if len(self.clients) >= self.config.clients_max or self.faults.refuses_connection(self.line):
            self.counters["refused"] += 1
            client.abort()
            return
        self.clients.add(client)

    def left(self, client: PitchClient) -> None:
        """Note its end."""
        self.clients.discard(client)
        self.faults.forget(client)

    def requested(self, client: PitchClient, request: Login | GapRequest | SpinRequest) -> None:
        """Take a request.

        Raises:
            PitchError: a request before the login, or one for another server.
        """
        if isinstance(request, Login):
            if client.session is not None:
                raise PitchError("expected one login, found a second; closing")
            self._login(client, request)
        elif client.session is None:
            raise PitchError("expected a login first, found a request; closing")
        else:
            self.answer(client, request)

    @abstractmethod
    def answer(self, client: PitchClient, request: GapRequest | SpinRequest) -> None:
        """Answer a request of a client that is logged in."""

    @abstractmethod
    def admitted(self, client: PitchClient) -> None:
        """Greet a client that has just logged in."""

    def _login(self, client: PitchClient, login: Login) -> None:
        status = self._login_status(login)
        client.write(login_response(status))
        if status != "A":
            self.counters["rejected"] += 1
            client.close()
            return
        self.counters["logins"] += 1
        client.session = login.session
        self.admitted(client)

    def _login_status(self, login: Login) -> str:
        config = self.config
        if config.username and (login.username, login.password) != (config.username, config.password):
            return "N"
        if config.session and login.session != config.session:
            return "S"
        if config.session and any(client.session == login.session for client in self.clients):
            return "B"
        return "N" if self.faults.refuses_login(self.line) else "A"

    async def _watch(self) -> None:
        """Send heartbeats, close silent clients, let go what faults held back."""
        silence_max_ns = int(self.config.silence_max_s * 1e9)
        while True:
            await asyncio.sleep(0.1)
            now = self.now_ns()
            stalled = self.faults.stalled(self.line)
            for client in list(self.clients):
                if self.faults.busy:
                    client.flush()
                if silence_max_ns and now - client.heard_ns > silence_max_ns:
                    self.counters["dead"] += 1
                    client.abort()
                elif client.session is not None and not stalled and now - client.sent_ns >= HEARTBEAT_NS:
                    client.write(idle(0))

    def state(self) -> dict[str, Any]:
        """Clients and counters, for the control endpoint."""
        return {"clients": sum(client.session is not None for client in self.clients), **self.counters}


def too_many(asked_ns: deque[int], now_ns: int, *, within_ns: int, most: int) -> bool:
    """Whether ``most`` things were asked for in the time before now."""
    return len(asked_ns) >= most and now_ns - asked_ns[-most] < within_ns

"""The SoupBinTCP server: sessions, clients, heartbeats. Every client reads the same blocks at its own pace.

Sessions. The simulator's first session begins with the prologue and holds everything after it. The stream behind it is
kept in a bounded history; when its beginning has gone, a client that asks for sequence 1 of the *current* session
(blank) gets a new session: a fresh prologue with all resting orders, then the same stream. Clients of the older
session stay in it, and can resume there as long as the history reaches.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import watch_queue
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import SoupItchConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.soup_itch.session import (
    END_OF_SESSION,
    HEARTBEAT,
    History,
    Login,
    PacketReader,
    Session,
    SoupError,
    accepted,
    parse_login,
    rejected,
    split_packets,
)

log = get_logger("sim")

HEARTBEAT_NS: Final = 1_000_000_000
CLIENT_DEAD_NS: Final = 15_000_000_000
SESSIONS_MAX: Final = 64


class Source(Protocol):
    """What stands behind the server: it names sessions and says how one begins in the middle."""

    def session_name(self, number: int) -> str:
        """Name of the n-th session, up to ten characters."""

    def snapshot(self) -> tuple[bytes, int] | None:
        """Packets that let a late joiner start at the present position, and their number; None = not possible."""


class SoupClient(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: "SoupServer") -> None:
        self._server = server
        self._reader = PacketReader()
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.in_head = 0
        self.position = 0
        self.paused = False
        self.ended = False
        self.heard_ns = self.sent_ns = server.now_ns()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        # uvloop's transport has the interface and not the base class
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self._server.config.unsent_bytes_max)
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self.transport = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        """Read packets."""
        self.heard_ns = self._server.now_ns()
        try:
            for kind, payload in self._reader.feed(data):
                self._packet(kind, payload)
        except SoupError as error:
            self._server.counters["broken"] += 1
            log.warning("client broke the protocol", venue=self._server.venue, error=str(error))
            self.close()

    def _packet(self, kind: bytes, payload: bytes) -> None:
        if kind == b"O":
            self.close()
        elif kind == b"L":
            if self.session is not None:
                raise SoupError("expected one login, found a second; closing")
            self._server.login(self, parse_login(payload))
        elif self.session is None and kind == b"U":
            raise SoupError("expected a login first, found unsequenced data; closing")

    def pause_writing(self) -> None:
        """Stop writing until the transport drains."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        self._server.pump(self)

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        if self.transport is not None:
            self.transport.write(data)
            self.sent_ns = self._server.now_ns()

    def close(self) -> None:
        """Close when what was written has gone."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()


class SoupServer:
    """Listens, logs clients in, and lets each read the stream."""

    def __init__(
        self, venue: str, config: SoupItchConfig, source: Source, *, now_ns: Clock, faults: FaultGate | None = None
    ) -> None:
        self.venue = venue
        self.faults = faults or FaultGate(now_ns=now_ns)
        self.config = config
        self.now_ns = now_ns
        self.counters = {"logins": 0, "rejected": 0, "slow": 0, "dead": 0, "broken": 0, "refused": 0}
        self.on_first_client: Callable[[], None] | None = None
        self._source = source
        self._clients: set[SoupClient] = set()
        self._sessions: list[Session] = []
        self._session_count = 0
        self._stream = History(config.history_bytes_max)
        self._server: asyncio.Server | None = None
        self._tasks = TaskGroupOwner(f"sim.{venue}")
        watch_queue(
            f"sim_{venue}_history",
            bound=config.history_bytes_max,
            depth=lambda: self._stream.bytes,
            drops=lambda: self._stream.dropped,
        )

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SoupClient(self), host, port)
        self._tasks.spawn(self._watch(), "watch")
        bound: tuple[Any, ...] = self._server.sockets[0].getsockname()
        return f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """End the session, close the clients, stop listening."""
        if self._server is not None:
            self._server.close()
        self.end_session()
        await self._tasks.stop()
        await asyncio.sleep(0)
        for client in list(self._clients):
            client.abort()

    # ------------------------------------------------------------------ the stream

    def begin_session(self, head: bytes, count: int) -> None:
        """Start a session here: ``head`` is its beginning, the stream goes on from there."""
        history = History(max(len(head), 1))
        history.append(head, count)
        self._session_count += 1
        name = self._source.session_name(self._session_count)
        self._sessions.append(Session(name, history, self._stream.next))
        del self._sessions[:-SESSIONS_MAX]

    def publish(self, block: bytes, count: int) -> None:
        """Add packets to the stream and send them."""
        self._stream.append(block, count)
        for client in list(self._clients):
            if client.session is None:
                continue
            if not client.paused:
                self.pump(client)
            elif client.position < self._stream.oldest:
                self._drop_slow(client)

    def end_session(self) -> None:
        """Tell every client that its session is over, and forget all sessions."""
        for client in list(self._clients):
            if client.session is not None:
                self.pump(client)
                client.ended = True
                client.write(END_OF_SESSION)
            client.close()
        self._sessions.clear()
        self._stream = History(self.config.history_bytes_max)

    @property
    def behind(self) -> int:
        """Packets that the slowest logged-in client has not been given yet."""
        waiting = [client for client in self._clients if client.session is not None]
        return max((self._stream.next - client.position for client in waiting), default=0)

    def pump(self, client: SoupClient) -> None:
        """Write to a client what it has not seen, until its transport is full."""
        session = client.session
        if session is None or client.ended or self.faults.stalled():
            return
        try:
            while not client.paused and client.transport is not None:
                if client.in_head <= session.head_count:
                    block, client.in_head = session.head.read(client.in_head)
                else:
                    block, client.position = self._stream.read(client.position)
                if self.faults.busy:
                    self._write_faulty(client, block)
                elif block:
                    client.write(block)
                if not block:
                    break
        except LookupError:
            self._drop_slow(client)

    def _write_faulty(self, client: SoupClient, block: bytes) -> None:
        passed = self.faults.pass_units(split_packets(block), peer=client)
        if passed:
            client.write(b"".join(passed))

    def disconnect(self, line: str = "") -> None:
        """Cut every connection."""
        del line
        for client in list(self._clients):
            client.abort()

    def restart(self) -> None:
        """Begin as after a crash: connections cut, sessions and history forgotten, a new session from number 1."""
        self.disconnect()
        self._sessions.clear()
        self._stream = History(self.config.history_bytes_max)
        fresh = self._source.snapshot()
        if fresh is not None:
            self.begin_session(*fresh)

    def _drop_slow(self, client: SoupClient) -> None:
        self.counters["slow"] += 1
        log.warning("client too slow: its place in the history is gone; closed", venue=self.venue)
        client.abort()

    # ------------------------------------------------------------------ clients

    def joined(self, client: SoupClient) -> None:
        """Note a connection."""
        if len(self._clients) >= self.config.clients_max or self.faults.refuses_connection():
            self.counters["refused"] += 1
            client.abort()
            return
        self._clients.add(client)

    def left(self, client: SoupClient) -> None:
        """Note its end."""
        self._clients.discard(client)
        self.faults.forget(client)

    def login(self, client: SoupClient, login: Login) -> None:
        """Admit or reject."""
        config = self.config
        wrong = config.username and (login.username, login.password) != (config.username, config.password)
        if wrong or self.faults.refuses_login():
            self._reject(client, "A")
            return
        if self.on_first_client is not None:
            first, self.on_first_client = self.on_first_client, None
            first()
        session = self._find(login)
        sequence = login.sequence
        if session is not None and not sequence:
            sequence = session.sequence(self._stream.next)
        if session is None or not self._place(client, session, sequence):
            self._reject(client, "S")
            return
        self.counters["logins"] += 1
        client.session = session
        client.write(accepted(session.name, sequence))
        self.pump(client)

    def _find(self, login: Login) -> Session | None:
        if login.session:
            return next((one for one in self._sessions if one.name == login.session), None)
        if not self._sessions:
            return None
        current = self._sessions[-1]
        if login.sequence == 1 and current.base < self._stream.oldest:
            fresh = self._source.snapshot()
            if fresh is None:
                return None
            self.begin_session(*fresh)
        return self._sessions[-1]

    def _place(self, client: SoupClient, session: Session, sequence: int) -> bool:
        """Put the client at a sequence number; False if that is not available."""
        client.in_head = min(sequence, session.head_count + 1)
        client.position = session.base + max(sequence - session.head_count - 1, 0)
        return self._stream.oldest <= client.position <= self._stream.next

    def _reject(self, client: SoupClient, code: str) -> None:
        self.counters["rejected"] += 1
        client.write(rejected(code))
        client.close()

    async def _watch(self) -> None:
        """Heartbeats after a second without traffic; clients silent for 15 s are dead."""
        while True:
            await asyncio.sleep(0.2)
            now = self.now_ns()
            stalled = self.faults.stalled()
            for client in list(self._clients):
                if now - client.heard_ns > CLIENT_DEAD_NS:
                    self.counters["dead"] += 1
                    client.abort()
                elif (
                    client.session is not None
                    and now - client.sent_ns >= HEARTBEAT_NS
                    and not (client.paused or stalled)
                ):
                    client.write(HEARTBEAT)

    # ------------------------------------------------------------------ for the control endpoint

    def state(self) -> dict[str, Any]:
        """Sessions, clients, counters."""
        return {
            "sessions": [
                {"session": one.name, "next_sequence": one.sequence(self._stream.next)} for one in self._sessions
            ],
            "clients": sum(client.session is not None for client in self._clients),
            **self.counters,
        }

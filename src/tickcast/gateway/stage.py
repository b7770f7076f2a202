"""Start and stop of the gateway: the listening socket, the accept loop, the sweep, the drain."""

import asyncio
import random
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.types import ASGIApp

from tickcast import _native
from tickcast.gateway import messages
from tickcast.gateway.acceptor import Acceptor, raise_files_max, turn_away
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.clients import Clients
from tickcast.gateway.config import Config
from tickcast.gateway.front import TOO_MANY_CONNECTIONS, FrontConnection
from tickcast.gateway.http import HttpServer
from tickcast.gateway.listener import BACKLOG, address_of, bind
from tickcast.gateway.shares import Shares
from tickcast.gateway.socketio.door import EventDoor, open_door
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.gateway.status import StatusSource
from tickcast.gateway.tally import ALONE, Tallies
from tickcast.gateway.timestamps import timestamp
from tickcast.gateway.tls import Certificate, certificate, failed
from tickcast.ports import Clock, Directory, Fanout, Flush, Owner
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

SWEEP_S = 0.25
POLL_S = 0.02
DRAINED_AT_ONCE = 500
"""Clients that are sent their close before the loop does something else."""
CHANCE = random.SystemRandom().random
STATUS_NS = 500_000_000
"""What is told on channel ``status`` is looked at so often."""
DRAIN_S = 1.5
"""Time all clients together have to answer the close when the gateway stops."""


class LateHub(NamedTuple):
    """What those are served from who see everything late: a hub of its own, on a clock that is behind."""

    hub: Fanout
    clock: Clock
    wake: Callable[[], None]
    delay_s: float
    directory: Directory | None = None
    owner: Owner | None = None


class GatewayStage:
    """Clients of ``/stream``, and whatever else ``app`` answers, on one listening socket."""

    def __init__(
        self,
        config: Config,
        *,
        hub: Fanout,
        app: ASGIApp,
        clock: Clock,
        wake: Callable[[], None],
        listener: socket.socket | None = None,
        shares: Shares | None = None,
        directory: Directory | None = None,
        owner: Owner | None = None,
        wall: Clock | None = None,
        status: StatusSource | None = None,
        chance: Callable[[], float] = CHANCE,
        guests: Guests | None = None,
        late: LateHub | None = None,
        neighbours: Neighbours | None = None,
        tallies: Tallies = ALONE,
    ) -> None:
        """Prepare; nothing is bound yet.

        Args:
            config: address and limits.
            hub: the clients' fan-out.
            app: answers every request but the stream's.
            clock: now, ns since 1970 UTC; a clock that is never set.
            wake: asks the fan-out stage for a flush soon: a client that was blocked can take data again.
            listener: a bound socket that other processes accept from too; without it the stage binds its own.
            shares: what those processes tell each other.
            directory: resolves patterns of symbols; without it there are none.
            owner: the process that the hub's data comes from, where that is another one.
            status: makes the notes of channel ``status``, where this process is the one that knows.
            wall: what clocks on the wall show now, where that may differ from ``clock``.
            guests: lets clients in; without it there is one that knows no API keys.
            late: what those are served from who see everything late; without it they are refused.
            neighbours: other workers of the same port, among which sessions of Socket.IO are found.
            tallies: what other processes hold of the same addresses.
            chance: a number in [0, 1) at each call: when a drained client comes back.
        """
        self._config = config
        self.clients = Clients(
            hub,
            config,
            clock,
            field_names=_native.PRICE_FIELDS,
            reader=_native.FrameReader,
            protocol_error=_native.ProtocolError,
            wake=wake,
            directory=directory,
            owner=owner,
            wall=wall,
            guests=guests,
            tallies=tallies,
        )
        self._tables = [self.clients]
        if late is not None:
            self._tables.append(self._make_late(late, self.clients))
        self._status = status
        self._status_ns = 0
        self._events: EventDoor | None = open_door(self.clients, app, neighbours)
        self._neighbours = None if self._events is None else neighbours
        self._http = HttpServer(app if self._events is None else self._events)
        self._clock = clock
        self._wall = wall or clock
        self._chance = chance
        self._tasks = TaskGroupOwner("gateway")
        self._socket = listener
        self._is_shared = listener is not None
        self._certificate: Certificate | None = None
        self._shares = shares
        self._acceptor: Acceptor | None = None
        self.address = ""
        """``http://host:port``, or ``https``, once started."""

    def deliver(self, flushed: Flush) -> None:
        """Do what a flush of the fan-out stage left to do."""
        self.clients.deliver(flushed)

    def _make_late(self, late: "LateHub", live: Clients) -> Clients:
        return Clients(
            late.hub,
            self._config,
            late.clock,
            field_names=_native.PRICE_FIELDS,
            reader=_native.FrameReader,
            protocol_error=_native.ProtocolError,
            wake=late.wake,
            directory=late.directory,
            owner=late.owner,
            wall=live.desk.wall,
            guests=live.guests,
            live=live,
            delay_s=late.delay_s,
        )

    def deliver_late(self, flushed: Flush) -> None:
        """Do what a flush of the late hub left to do."""
        self._tables[-1].deliver(flushed)

    def take_notes(self, notes: Sequence[messages.StatusNote], *, is_whole: bool) -> None:
        """Take in notes of channel ``status`` that another process made; ``is_whole``: earlier ones are void."""
        for clients in self._tables:
            clients.status.take(notes, is_whole=is_whole)

    def lose_notes(self, reason: str) -> None:
        """The process that made the notes is gone: the feeds are shown as stale until it tells of them again."""
        for clients in self._tables:
            clients.status.lose(reason, timestamp(self._wall()))

    def bind(self) -> None:
        """Take the address, before anything is started; clients are refused until :meth:`start`.

        Raises:
            UsageError: the address cannot be listened on, or the certificate cannot be used.
        """
        self._certificate = certificate(self._config)
        if self._socket is None:
            self._socket = bind(self._config)

    async def start(self) -> None:
        """Listen and serve; returns when requests are answered.

        Raises:
            UsageError: the address cannot be listened on.
        """
        self.bind()
        assert self._socket is not None  # noqa: S101  bound just above
        files_max = raise_files_max()
        self.address = address_of(self._socket, is_tls=self._certificate is not None)
        await self._http.start()
        if self._events is not None:
            await self._events.start()
        if self._neighbours is not None:
            await self._neighbours.start(lambda: FrontConnection(self.clients, **self._http.protocol_settings()))
        self._socket.listen(BACKLOG)
        self._acceptor = Acceptor(
            self._socket,
            take=self._admit,
            has_room=lambda: not self.clients.full,
            shared=self._is_shared,
            clock=self._clock,
            is_ahead=self._is_ahead,
            tls=lambda: None if self._certificate is None else self._certificate.context,
            tls_timeout_s=self._config.handshake_timeout_s,
            lose=self._lose,
        )
        self._acceptor.start()
        self._tasks.spawn(self._sweep(), "sweep")
        log.info("listening", address=self.address, files_max=files_max)

    def _admit(self, connection: socket.socket, address: str) -> asyncio.Protocol | None:
        """Make the protocol of a new connection, unless its address has far too many."""
        key, verdict = self.clients.addresses.arrive(address, self._clock())
        if verdict == "cut":
            turn_away(connection, 429, TOO_MANY_CONNECTIONS, "address")
            return None
        return FrontConnection(
            self.clients, address=key, is_welcome=verdict == "welcome", **self._http.protocol_settings()
        )

    def _lose(self, protocol: asyncio.Protocol, reason: OSError) -> None:
        """A connection ended before a byte of it was served."""
        if self._certificate is not None:
            failed(reason)
        if isinstance(protocol, FrontConnection):
            protocol.leave()

    def _tell_shares(self) -> None:
        if self._shares is not None:
            self._shares.tell(len(self.clients.streams) + len(self.clients.waiting), self._wall())

    def _is_ahead(self) -> bool:
        self._tell_shares()
        return self._shares is not None and self._shares.is_ahead(self._wall())

    async def _sweep(self) -> None:
        config = self._config
        shortest_s = min(
            config.handshake_timeout_s, config.request_timeout_s, config.ping_interval_s, config.heartbeat_s,
            config.close_timeout_s,
        )  # fmt: skip
        while True:
            await asyncio.sleep(min(SWEEP_S, shortest_s / 4))
            self._tell_shares()
            now_ns = self._clock()
            if self._certificate is not None:
                self._certificate.look(now_ns)
            for clients in self._tables:
                table_ns = clients.clock()
                clients.hub.set_wall_ahead(self._wall() - table_ns)
                clients.sweep(table_ns)
            if self._status is not None and not 0 <= now_ns - self._status_ns < STATUS_NS:
                self._status_ns = now_ns
                notes = self._status.notes(self._wall())
                for clients in self._tables:
                    clients.status.put(notes)

    async def stop(self) -> None:
        """Tell every client to come back later, give it a moment, and let go of the port."""
        if self._acceptor is None or self._socket is None:
            return
        self._acceptor.stop()
        self._acceptor = None
        if self._shares is not None:
            self._shares.leave()
            self._shares = None
        self._socket.close()
        self._socket = None
        await self._drain()
        if self._neighbours is not None:
            await self._neighbours.stop()
        await self._tasks.stop()
        if self._events is not None:
            await self._events.stop()
        await self._http.stop()

    async def _drain(self) -> None:
        """Close in slices, so that 20,000 clients do not stop the loop, and wait for their answers, but not long."""
        count = sum(len(clients.streams) for clients in self._tables)
        for clients in self._tables:
            while clients.close_some(DRAINED_AT_ONCE, self._retry_ms):  # noqa: ASYNC110  slices, no event
                await asyncio.sleep(0)
        deadline_ns = self._clock() + int(min(DRAIN_S, self._config.close_timeout_s) * 1e9)
        while self._closing and self._clock() < deadline_ns:  # noqa: ASYNC110  uvicorn's own shutdown polls too
            await asyncio.sleep(POLL_S)
        if count:
            log.info("drained", clients=count, cut=self._closing)
        for clients in self._tables:
            clients.abort_all()

    @property
    def _closing(self) -> int:
        """Clients that were sent a close and have not answered."""
        return sum(len(clients.closing) for clients in self._tables)

    def _retry_ms(self) -> int:
        return int(self._config.drain_jitter_s * 1000 * self._chance())

"""The acceptor's sockets: connections, peers and their ledgers, timers, the gate for faults, bounded sending."""

import asyncio
from typing import Any, Final, Protocol, cast

from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import watch_queue
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import FixConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.fix.desk import Account
from tickcast.sim.fix.message import GarbledStreamError, MessageReader
from tickcast.sim.fix.requests import FormError
from tickcast.sim.fix.session import Ledger, Message, Rules, Session, SessionEndedError

log = get_logger("sim")

PEERS_MAX: Final = 256
"""Peers whose sequence numbers are remembered."""
SNAPSHOTS_AT_ONCE: Final = 50
_WATCH_S: Final = 0.2


class Clerk(Protocol):
    """What answers the requests of clients that are logged on: :class:`tickcast.sim.fix.desk.Desk`, or a recording."""

    def joined(self, peer: "FixClient") -> None:
        """A client logged on."""

    def left(self, peer: "FixClient") -> None:
        """A client is gone."""

    def take(self, peer: "FixClient", message: Message) -> None:
        """A request came."""

    def pump(self, peer: "FixClient", limit: int) -> bool:
        """Send some of what waits for a client; whether there is more."""


class FixGate(FaultGate):
    """Corrupts so that a message's CheckSum shows it: one digit or letter in the middle becomes another."""

    def spoil(self, unit: bytes) -> bytes:
        """Change the lowest bit of a byte that ends a value."""
        place = unit.find(b"\x01", len(unit) // 2) - 1
        spoilt = bytearray(unit)
        spoilt[place] ^= 0x01
        return bytes(spoilt)


class FixClient(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: "FixServer") -> None:
        self.server = server
        self.desk = Account()
        self.transport: asyncio.Transport | None = None
        self.session = server.new_session()
        self._reader = MessageReader()
        self._pumping = False
        self._ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it."""
        # uvloop's transport has the interface and not the base class
        self.transport = cast("asyncio.Transport", transport)
        self.server.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self.transport = None
        self.server.went(self)

    def data_received(self, data: bytes) -> None:
        """Read messages and answer them."""
        if self._ending:
            return
        try:
            for fields in self._reader.feed(data):
                self._take(fields)
        except (SessionEndedError, GarbledStreamError) as error:
            self.end(str(error))
        self.flush()
        self.pump()

    def _take(self, fields: list[tuple[int, str]]) -> None:
        was_on = self.session.logged_on
        message = self.session.receive(fields, self.server.now_ns())
        if self.session.logged_on and not was_on:
            self.server.logged_on(self)
        if message is not None:
            self.server.desk.take(self, message)

    @property
    def garbled(self) -> int:
        """Messages of this client that were garbled."""
        return self._reader.garbled

    # ------------------------------------------------------------------ what the desk needs

    def send(self, msg_type: str, text: str) -> None:
        """Send a message with the next flush."""
        self.session.send(msg_type, text, self.server.now_ns())

    def reject(self, message: Message, error: FormError) -> None:
        """Session-level Reject (35=3)."""
        self.session.reject(message, error.reason, str(error), self.server.now_ns(), tag=error.tag)

    def refuse(self, message: Message, reason: int, text: str) -> None:
        """Business Message Reject (35=j)."""
        self.session.refuse(message, reason, text, self.server.now_ns())

    # ------------------------------------------------------------------ sending

    def pump(self) -> None:
        """Send waiting snapshots, some at a time and no faster than the client reads."""
        if self._pumping or self.transport is None or self._ending or not self.desk.snapshots:
            return
        if self.transport.get_write_buffer_size() > self.server.config.unsent_bytes_max // 4:
            return  # the watch comes again
        more = self.server.desk.pump(self, SNAPSHOTS_AT_ONCE)
        self.flush()
        if more:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._pumping = False
        self.pump()

    def flush(self) -> None:
        """Write what has gathered, through the gate."""
        session, faults = self.session, self.server.faults
        if not session.out and not faults.busy:
            return
        units, session.out = session.out, []
        self.server.counters["messages"] += len(units)
        sent = faults.pass_units(units, peer=self)
        if self.transport is None or self.transport.is_closing() or not sent:
            return
        self.transport.write(b"".join(sent))
        if self.transport.get_write_buffer_size() > self.server.config.unsent_bytes_max:
            self.server.counters["slow"] += 1
            log.warning("client too slow: too much unsent; closed", venue=self.server.venue, peer=session.peer)
            self.abort()

    def wake(self) -> None:
        """Timers."""
        try:
            self.session.wake(self.server.now_ns())
        except SessionEndedError as error:
            self.server.counters["dead"] += 1
            self.end(str(error))
            self.abort()
        self.flush()
        self.pump()

    def end(self, reason: str) -> None:
        """Close when what was written has gone."""
        log.info("fix client leaves", venue=self.server.venue, peer=self.session.peer, reason=reason)
        self._ending = True
        self.server.desk.left(self)
        self.flush()
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()


class FixServer:
    """Listens; every peer's numbers and sent messages are kept here, in memory."""

    def __init__(self, venue: str, config: FixConfig, *, now_ns: Clock, faults: FaultGate) -> None:
        self.venue = venue
        self.config = config
        self.faults = faults
        self.now_ns = now_ns
        self.desk: Clerk
        """Set by the dialect."""
        self.counters = {
            "logons": 0, "messages": 0, "slow": 0, "dead": 0, "refused": 0, "replaced": 0, "garbled": 0,
            "rejects": 0, "resends": 0, "resend_requests": 0, "rejected_logons": 0,
        }  # fmt: skip
        self._rules = Rules(
            comp_id=config.comp_id or venue,
            username=config.username,
            password=config.password,
            resend=config.resend,
            time_digits=config.time_digits,
            clock_error_max_s=config.clock_error_max_s,
        )
        self._ledgers: dict[str, Ledger] = {}
        self._clients: dict[FixClient, None] = {}
        self._server: asyncio.Server | None = None
        self._tasks = TaskGroupOwner(f"sim.{venue}")
        faults.on_disconnect = self.cut
        faults.on_restart = self.restart
        watch_queue(
            f"sim_{venue}_store",
            bound=lambda: config.store_bytes_max * max(len(self._ledgers), 1),
            depth=lambda: sum(one.bytes for one in self._ledgers.values()),
            drops=lambda: sum(one.dropped for one in self._ledgers.values()),
        )

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: FixClient(self), host, port)
        self._tasks.spawn(self._watch(), "watch")
        bound: tuple[Any, ...] = self._server.sockets[0].getsockname()
        return f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Log everybody out and stop listening."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            if client.session.logged_on:
                client.session.logout("The exchange closes", self.now_ns())
            client.end("the exchange closes")
        await self._tasks.stop()
        await asyncio.sleep(0)
        self.cut()

    # ------------------------------------------------------------------ clients

    def new_session(self) -> Session:
        """A session for a connection."""
        return Session(
            self._rules,
            ledger_of=self._ledger,
            refuses=self.faults.refuses_login,
            now_ns=self.now_ns(),
            offset_ns=lambda: self.faults.clock_offset_ns,
        )

    def _ledger(self, peer: str) -> Ledger:
        found = self._ledgers.get(peer)
        if found is None:
            if len(self._ledgers) >= PEERS_MAX:
                present = {client.session.peer for client in self._clients}
                oldest = next((name for name in self._ledgers if name not in present), None)
                if oldest is None:
                    raise SessionEndedError("too many peers")
                del self._ledgers[oldest]
            found = Ledger(messages_max=self.config.store_messages_max, bytes_max=self.config.store_bytes_max)
            self._ledgers[peer] = found
        return found

    def came(self, client: FixClient) -> None:
        """Note a connection."""
        if len(self._clients) >= self.config.clients_max or self.faults.refuses_connection():
            self.counters["refused"] += 1
            client.abort()
            return
        self._clients[client] = None

    def logged_on(self, client: FixClient) -> None:
        """Note a logon; a peer has one connection, and the newer one is the living one."""
        for other in list(self._clients):
            if other is not client and other.session.logged_on and other.session.peer == client.session.peer:
                self.counters["replaced"] += 1
                self.desk.left(other)
                other.abort()
        self.counters["logons"] += 1
        self.desk.joined(client)

    def went(self, client: FixClient) -> None:
        """Note the end of a connection."""
        if client not in self._clients:
            return
        del self._clients[client]
        self.counters["garbled"] += client.garbled
        for name, count in client.session.counters.items():
            self.counters[name] += count
        self.faults.forget(client)
        self.desk.left(client)

    def flush(self) -> None:
        """Send to everybody what has gathered."""
        for client in list(self._clients):
            client.flush()

    def cut(self, line: str = "") -> None:
        """Cut every connection; there is only one line."""
        del line
        for client in list(self._clients):
            client.abort()

    def restart(self) -> None:
        """Lose the memory: every connection is cut, and every peer's numbers begin at 1 again."""
        self.cut()
        for client in list(self._clients):
            self.desk.left(client)
        self._ledgers.clear()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            for client in list(self._clients):
                client.wake()

    # ------------------------------------------------------------------ for the control endpoint

    def state(self) -> dict[str, Any]:
        """Clients, counters, and the next numbers of every peer."""
        counters = dict(self.counters)
        for client in self._clients:
            counters["garbled"] += client.garbled
            for name, count in client.session.counters.items():
                counters[name] += count
        return {
            "clients": sum(client.session.logged_on for client in self._clients),
            "peers": {name: {"next_in": one.next_in, "next_out": one.next_out} for name, one in self._ledgers.items()},
            **counters,
        }

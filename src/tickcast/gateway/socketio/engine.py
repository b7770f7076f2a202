"""The Socket.IO server below the gateway: python-socketio, behind our front and with the bounds that it lacks.

What python-socketio 5.18 and python-engineio 4.15 leave open, and what is done about it here:

- the queue of a client has no bound: :class:`~tickcast.gateway.socketio.outbox.Outbox`;
- a message that is no packet ends the task that serves a WebSocket and leaves its session behind, or is logged and
  forgotten: here it ends the client;
- an event may announce any number of binary attachments, which are kept until the last has come: we have no binary
  events, and refuse them;
- a session that never sends CONNECT lives on: here it has as long as a handshake may take;
- sessions are not counted: here they are, in all and of each address.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import socketio
from engineio import exceptions as engine_exceptions
from engineio import packet as engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tickcast.gateway.addresses import Addresses
from tickcast.gateway.answers import refusal
from tickcast.gateway.auth.access import Denied
from tickcast.gateway.clients import Clients
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.handshake import Accepted, Headers, host_allowed, host_refusal, origin_allowed
from tickcast.gateway.socketio.client import EventClient
from tickcast.gateway.socketio.modes import Mode
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.gateway.socketio.outbox import HELD_MAX, Outbox
from tickcast.gateway.socketio.websocket import EngineSocket
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

PATH: Final = "/socket.io"
NAMESPACE: Final = "/"
PING_INTERVAL_S: Final = 25
PING_TIMEOUT_S: Final = 20
"""Both are Socket.IO's own defaults."""
LOOK_S: Final = 1.0
"""Time between two looks at what is overdue."""
PACKETS_MAX: Final = 16
"""Packets of one POST; python-engineio takes no more."""
PACKETS_PER_REQUEST: Final = 4
"""Packets that a client may send for each request that it may: events, answers to pings, what an upgrade needs."""
EVENT_KINDS: Final = "0123"
"""Packets of Socket.IO that clients send: CONNECT, DISCONNECT, EVENT, ACK."""
SEPARATOR: Final = "\x1e"
"""Between the packets of a polling body."""

_sessions: Final = metrics.gauge("gateway_socketio_sessions", "Engine.IO sessions now, whatever their transport.")
_malformed: Final = metrics.counter("gateway_socketio_malformed", "Clients ended for what is no packet, so far.")


class Link:
    """One Engine.IO session: its queue, its connection, and its client, once that has connected."""

    __slots__ = ("_engine", "address", "allowance", "client", "counted_ns", "name", "opened_ns", "outbox", "socket")

    def __init__(self, engine: "SocketIoEngine", name: str, address: str) -> None:
        self._engine = engine
        self.name = name
        self.address = address
        self.opened_ns = self.counted_ns = engine.clients.clock()
        self.allowance = float(engine.packets_per_second)
        self.outbox: Outbox = engine.socket_of(name).queue
        self.socket: EngineSocket | None = None
        self.client: EventClient | None = None

    def end(self, *, at_once: bool) -> None:
        """End the session: what is queued still goes out, unless it is ``at_once``."""
        self._engine.end(self, at_once=at_once)


class SocketIoEngine:
    """Everything of the dialect in one process, as an ASGI application in front of another."""

    def __init__(
        self,
        clients: Clients,
        mode: Mode,
        app: ASGIApp,
        neighbours: Neighbours | None = None,
        *,
        late: Mode | None = None,
    ) -> None:
        """``mode`` says how clients are served, ``app`` answers what is not ours, ``neighbours`` have others.

        ``late`` serves those who see everything late, in the same way from their own hub.
        """
        self.clients = clients
        self.modes = {clients: mode}
        if late is not None and clients.late is not None:
            self.modes[clients.late] = late
        self._app = app
        self._neighbours = neighbours
        self._tasks = TaskGroupOwner("gateway.socketio")
        self.packets_per_second = PACKETS_PER_REQUEST * clients.config.requests_per_second
        self._links: dict[str, Link] = {}
        self._ended: dict[str, int] = {}
        """Polling sessions that are over, since when."""
        self._addresses = Addresses(clients.config, tally=clients.tallies.polling)
        silent = logging.getLogger("tickcast.gateway.socketio")
        silent.setLevel(logging.CRITICAL)  # what clients do wrong is counted, not written down
        self.sio = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,
            cors_allowed_origins=lambda _origin, _environ: True,  # refused before it comes here
            http_compression=False,
            max_http_buffer_size=clients.config.frame_max,
            monitor_clients=False,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            logger=silent,
            engineio_logger=silent,
        )
        self._eio = self.sio.eio
        self._eio.create_queue = Outbox
        self._eio.start_background_task = self._start_task
        if neighbours is not None:
            make_name = self._eio.generate_id
            self._eio.generate_id = lambda: neighbours.mark(make_name())
        self._connect_session = self._eio.handlers["connect"]
        self._take_message = self._eio.handlers["message"]
        self._eio.on("connect", self._session_opened)
        self._eio.on("message", self._message)
        self.sio.on("connect", self._connected)
        self.sio.on("disconnect", self._disconnected)
        self.sio.on("*", self._event)
        for one in self.modes.values():
            one.attach(self.sio.manager)
        _sessions.set_function(lambda: len(self._links))
        metrics.watch_queue(
            "gateway.socketio_outboxes",
            bound=lambda: max(1, len(self._links)) * HELD_MAX,
            depth=lambda: sum(link.outbox.held for link in self._links.values()),
            drops=lambda: 0,
        )

    @property
    def mode(self) -> Mode:
        """Of those who see things as they come."""
        return self.modes[self.clients]

    async def start(self) -> None:
        """Begin to look after sessions."""
        for mode in self.modes.values():
            await mode.start(self._tasks)
        self._tasks.spawn(self._look_after(), "look")

    async def stop(self) -> None:
        """End what is left."""
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(self._end(link, at_once=True) for link in links))
        await self._tasks.stop()
        for mode in self.modes.values():
            await mode.stop()

    def _start_task(self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **named: Any) -> Any:
        return self._tasks.spawn(target(*args, **named), "engine")

    def socket_of(self, name: str) -> Any:
        """The engine's object of a session."""
        return self._eio.sockets[name]

    # ------------------------------------------------------------------ HTTP

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: one of a polling client, or one of somebody else."""
        if scope["type"] != "http" or scope["path"].rstrip("/") != PATH:
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope)
        holder = self._holder(_name_in(scope)) if refused is None else None
        if holder is not None and self._neighbours is not None:
            await self._neighbours.forward(holder, scope, receive, send)
            return
        if refused is None and scope["method"] == "POST":
            body = await _read(receive, self.clients.config.frame_max)
            if body is None:
                refused = refusal(413, f"expected a body of at most {self.clients.config.frame_max} bytes")
            else:
                refused = self._refuse_body(body, self._links.get(_name_in(scope)))
                receive = _again(body)
        if refused is not None:
            await refused(scope, receive, send)
            return
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.sio.handle_request(scope, receive, send_on)
        except (ValueError, KeyError, OSError, RecursionError, engine_exceptions.EngineIOError) as wrong:
            log.debug("a polling request failed", reason=str(wrong))
            if not begun:
                await refusal(400, "this request is none that Engine.IO knows")(scope, receive, send)

    def _holder(self, name: str) -> int | None:
        """Which other worker holds a session; None: none does."""
        return self._neighbours.holder(name) if name and self._neighbours is not None else None

    def _refuse(self, scope: Scope) -> Any:
        """Why a request is not served; None: it is."""
        config = self.clients.config
        if not host_allowed(scope["headers"], config):
            return refusal(421, host_refusal(scope["headers"]))
        if not origin_allowed(scope["headers"], config):
            return refusal(403, "this origin is not allowed; the operator can list it in gateway.origins")
        if scope["method"] not in {"GET", "POST", "OPTIONS"}:
            return refusal(405, "expected GET or POST", {"allow": "GET, POST, OPTIONS"})
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if "j" in query:
            return refusal(400, "JSONP is not spoken here; use XMLHttpRequest, fetch or a WebSocket")
        return None if scope["method"] != "GET" or "sid" in query else self._refuse_session(scope)

    def _refuse_session(self, scope: Scope) -> Any:
        """Why there is no room for another session; None: there is, and its address is counted."""
        if self.clients.full or self.clients.is_overloaded:
            return refusal(503, "this gateway has no room for another client", {"retry-after": "5"})
        key, verdict = self._addresses.arrive((scope.get("client") or ("",))[0], self.clients.clock())
        if verdict != "welcome" or self._addresses.handshake(key, self.clients.clock()):
            self._addresses.leave(key, refused=verdict == "refuse")
            return refusal(429, "this address has too many clients, or opens them too fast", {"retry-after": "5"})
        scope["tickcast.address"] = key
        return None

    def _refuse_body(self, body: bytes, link: Link | None) -> Any:
        """Why the packets of a POST are not served; who sends what is none is ended."""
        if link is None:
            return refusal(400, "there is no such session; connect again")
        try:
            packets = body.decode().split(SEPARATOR)
        except UnicodeDecodeError:
            packets = []
        if not 0 < len(packets) <= PACKETS_MAX or not all(_is_packet(packet) for packet in packets):
            self._end_malformed(link)
            return refusal(400, f"expected up to {PACKETS_MAX} packets of Engine.IO; the session is ended")
        if not all(self._pay(link) for _ in packets):
            self._flooded(link)
            return refusal(429, "too many packets; the session is ended")
        return None

    # ------------------------------------------------------------------ WebSocket

    def upgrade(
        self, transport: Any, accepted: Accepted, target: bytes, headers: Headers, address: str
    ) -> asyncio.Protocol:
        """Take over a connection whose upgrade to :data:`PATH` was checked."""
        url = urlsplit(target.decode("latin-1"))
        clients = self.clients
        holder = self._holder(parse_qs(url.query).get("sid", [""])[0])
        if holder is not None and self._neighbours is not None:
            return self._neighbours.carry(
                holder, transport, target, headers, gone=lambda: clients.addresses.leave(address)
            )
        connection = EngineSocket(
            self,
            reader=clients.reader(clients.config.frame_max),
            protocol_error=clients.protocol_error,
            welcome=accepted.answer,
            address=address,
            spawn=self._tasks.spawn,
        )
        connection.open(transport, path=url.path, query=url.query.encode("latin-1"), headers=headers)
        return connection

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket to its end."""
        name = _name_in(scope)
        if name in self._links:
            self._carry(self._links[name], scope["tickcast.socket"])  # the upgrade of a polling session
        try:
            await self.sio.handle_request(scope, receive, send)
        except Exception as wrong:  # noqa: BLE001  whatever a client sends ends this client and nobody else
            log.debug("a client's WebSocket failed", reason=repr(wrong))
            link = scope["tickcast.socket"].link
            if link is not None:
                self._end_malformed(link)

    def gone(self, connection: EngineSocket) -> None:
        """Note that a WebSocket is lost, and its session with it."""
        self.clients.addresses.leave(connection.address)
        link: Link | None = connection.link
        if link is not None:
            self.end(link, at_once=True)
            if link.client is not None:
                link.client.disconnected()

    def count(self, connection: EngineSocket) -> bool:
        """Count a message of a WebSocket."""
        return self._pay(connection)

    @staticmethod
    def _carry(link: Link, connection: EngineSocket) -> None:
        link.socket, connection.link = connection, link

    def _pay(self, payer: Link | EngineSocket) -> bool:
        now_ns, limit = self.clients.clock(), float(self.packets_per_second)
        elapsed_s = max(0, now_ns - payer.counted_ns) / 1e9 if payer.counted_ns else limit
        payer.allowance = min(limit, payer.allowance + elapsed_s * limit) - 1.0
        payer.counted_ns = now_ns
        return payer.allowance >= 0

    # ------------------------------------------------------------------ sessions of Engine.IO

    async def _session_opened(self, name: str, environ: dict[str, Any]) -> Any:
        scope = environ["asgi.scope"]
        link = self._links[name] = Link(self, name, scope.get("tickcast.address", ""))
        if "tickcast.socket" in scope:
            self._carry(link, scope["tickcast.socket"])
        return await self._connect_session(name, environ)

    async def _message(self, name: str, data: Any) -> None:
        link = self._links.get(name)
        if link is None:
            return
        is_second = isinstance(data, str) and data[:1] == "0" and link.client is not None
        if not isinstance(data, str) or data[:1] not in EVENT_KINDS or not data or is_second:
            self._end_malformed(link)
            return
        try:
            await self._take_message(name, data)
        except Exception as wrong:  # noqa: BLE001  as in `serve`
            log.debug("a client's packet failed", reason=repr(wrong))
            self._end_malformed(link)

    def _end_malformed(self, link: Link) -> None:
        _malformed.inc()
        self.end(link, at_once=False)

    def _flooded(self, link: Link) -> None:
        if link.client is not None:
            link.client.close(CloseCode.FLOOD, CloseCode.FLOOD.meaning)
        else:
            self.end(link, at_once=True)

    def end(self, link: Link, *, at_once: bool) -> None:
        """End a session; its client is told by ``disconnect``."""
        if self._links.pop(link.name, None) is None:
            return
        self._addresses.leave(link.address)
        self._tasks.spawn(self._end(link, at_once=at_once), "end")

    async def _end(self, link: Link, *, at_once: bool) -> None:
        socket = self._eio.sockets.get(link.name)
        if socket is not None:
            # without the packet CLOSE: clients take that for an end that they must not come back from
            with contextlib.suppress(engine_exceptions.SocketIsClosedError):
                await socket.close(wait=False, abort=True)
        link.outbox.put_nowait(engine.Packet(engine.NOOP))
        link.outbox.put_nowait(None)  # whoever waits for packets ends behind them
        if link.socket is not None and at_once:
            link.socket.abort()
        if link.client is not None and (link.socket is None or at_once):
            link.client.disconnected()
        if link.socket is None and not at_once:
            self._ended[link.name] = self.clients.clock()  # a last GET may fetch what is left
        else:
            self._eio.sockets.pop(link.name, None)

    async def _look_after(self) -> None:
        """End sessions that answer no ping, and those that never become a client."""
        while True:
            await asyncio.sleep(LOOK_S)
            fetched_ns = self.clients.clock() - int(self.clients.config.close_timeout_s * 1e9)
            for name in [name for name, ended_ns in self._ended.items() if ended_ns < fetched_ns]:
                del self._ended[name]
                self._eio.sockets.pop(name, None)
            before_ns = self.clients.clock() - int(self.clients.config.handshake_timeout_s * 1e9)
            for link in list(self._links.values()):
                if link.client is None and link.opened_ns < before_ns:
                    self.end(link, at_once=True)
                    continue
                socket = self._eio.sockets.get(link.name)
                try:
                    if socket is None or not await socket.check_ping_timeout():
                        self.end(link, at_once=True)
                except engine_exceptions.SocketIsClosedError:
                    self.end(link, at_once=True)

    # ------------------------------------------------------------------ clients of Socket.IO

    async def _connected(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        scope = environ["asgi.scope"]
        shown = auth if isinstance(auth, dict) else {}
        token = shown.get("token", "")
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[-1]
        clients = self.clients
        try:
            if not isinstance(token, str):
                raise Denied("token: expected a text")
            access = clients.admission.admit(scope["headers"], ticket=ticket, token=token)
            home = clients.at(access)
            guest = clients.guests.enter(access, _no_end, is_late=access.scope.delayed)
        except Denied as denied:
            code = CloseCode.USER_FULL if denied.status == 429 else CloseCode.NOT_ADMITTED
            raise socketio.exceptions.ConnectionRefusedError(
                denied.reason, {"code": int(code), "reason": denied.reason}
            ) from None
        link = self._links[self.sio.manager.eio_sid_from_sid(sid, NAMESPACE)]
        link.client = self.modes[home].client(home, link, sid, guest, shown)

    async def _disconnected(self, sid: str, _reason: str = "") -> None:
        name = self.sio.manager.eio_sid_from_sid(sid, NAMESPACE)
        link = self._links.get(name) if name is not None else None
        if link is not None and link.client is not None:
            link.client.disconnected()
            self.end(link, at_once=False)

    async def _event(self, event: str, sid: str, *arguments: Any) -> Any:
        name = self.sio.manager.eio_sid_from_sid(sid, NAMESPACE)
        link = self._links.get(name) if name is not None else None
        if link is None or link.client is None:
            return None
        return await link.client.event(event, arguments)


def _no_end(_reason: str) -> None:
    """A client that is being let in cannot end in between."""


def _is_packet(packet: str) -> bool:
    """Whether a client may send this to Engine.IO: CLOSE, PONG, MESSAGE with a packet of Socket.IO, UPGRADE or NOOP."""
    return packet[:1] in {"1", "3", "5", "6"} or (packet[:1] == "4" and packet[1:2] in {"0", "1", "2", "3"})


def _name_in(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get("sid", [""])[0]


async def _read(receive: Receive, most: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes) -> Receive:
    """Give a body that was read to whoever reads it next."""
    parts: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(parts, {"type": "http.disconnect"})

    return receive

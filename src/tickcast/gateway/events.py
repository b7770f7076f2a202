"""Server-sent events (WHATWG HTML section 9.2): ``GET /events``, a client of the hub whose one request is its address.

The hub writes to the socket itself, with frames that are shared by all clients of the dialect (the core's
``hub/events.rs`` says what they look like), so a client costs what one of ``/stream`` costs. What is here is what
differs: the answer's head goes out in front of the first reply, a refusal of the session becomes an answer of HTTP as
long as there was none, a heartbeat is a comment, and the end is an event, for there is no close.

The answer has no length and ends with the connection. Nothing that the client sends after its request is read. Whether
it is still there shows in what it acknowledges: TCP ends a connection whose bytes nobody takes.
"""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tickcast.gateway import places
from tickcast.gateway.asking import Asked, query_of, read_asked
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.codecs import JsonCodec
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.handshake import Headers, cors_of, one_header
from tickcast.gateway.messages import Error, Reply, Subscribed
from tickcast.gateway.problem import answer
from tickcast.gateway.session import Session
from tickcast.gateway.stream import PING, StreamProtocol, is_plain
from tickcast.gateway.timestamps import timestamp

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients

PATH: Final = "/events"
ID_MAX: Final = 4096
"""Bytes of an id: proxies take lines of at least 8 KB."""
ROOM: Final = 512
"""Bytes of a request's head that an id leaves free, for headers that come and go."""
RETRY_MS: Final = 2_000
"""A browser comes back after half of this to all of it, each after a time of its own."""
CHANCE: Final = random.SystemRandom().random
_RETRY: Final = re.compile(r"retry in (\d+) ms")
_STATUS: Final = ((4100, 422), (4102, 429), (4200, 422), (4500, 403), (5000, 503))
"""Status of a refusal by its code: that of the first row whose bound is above it."""


class EventsCodec(JsonCodec):
    """JSON in events."""

    def number(self, *, strings: bool) -> int:
        """See :class:`~tickcast.gateway.codecs.Codec`."""
        return 7 if strings else 6


EVENTS: Final = EventsCodec()


class Opening(NamedTuple):
    """A request that was found good: what is asked for, and of whom."""

    asked: Asked
    headers: Headers
    id_max: int
    """Bytes of an id with which the same request can be made again."""


class HeededSession(Session):
    """A session whose replies somebody looks at first."""

    __slots__ = ("heed",)

    heed: Callable[[Reply], bool]
    """Whether a reply goes to the client."""

    def _reply(self, reply: Reply) -> None:
        if self.heed(reply):
            super()._reply(reply)


def read_opening(target: bytes, headers: Headers, *, head_bytes: int, head_max: int) -> Opening:
    """Read a request for events.

    Raises:
        Unclear: it does not say what is meant.
    """
    query = query_of(target)
    shown = one_header(headers, b"last-event-id").decode("latin-1")
    since = shown or query.get("last_event_id") or None
    # an id that the browser sends comes on top of the same head
    id_max = min(ID_MAX, head_max - head_bytes - ROOM + len(shown))
    return Opening(read_asked(query, since=since), headers, max(0, id_max))


def status_of(code: int) -> int:
    """Status of HTTP for a refusal of the session."""
    return next(status for bound, status in _STATUS if code < bound)


class EventStream(StreamProtocol):
    """A client of ``/events``, from the end of its request on."""

    __slots__ = ("_asked", "_id_max", "_ignored", "_is_open", "_opening")

    def __init__(self, clients: "Clients", address: str, opening: Opening) -> None:
        """``address`` is the client's key in the limits per address."""
        super().__init__(clients, address)
        self._asked = opening.asked
        self._opening: Opening | None = opening
        self._id_max = opening.id_max
        self._ignored = 0
        """Bytes that the client sent behind its request."""
        self._is_open = False
        """The head of the answer was written."""

    def begin(self, transport: asyncio.Transport, guest: Guest) -> None:
        """Take a connection over and ask the session for what the address says; ``guest`` is who it is."""
        clients = self._clients
        self._transport = transport
        transport.set_protocol(self)
        # as for frames: uvloop's TLS would never go on at 0
        transport.set_write_buffer_limits(high=0 if is_plain(transport) else 1, low=0)
        connection = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            idle_ms = int(2000 * clients.config.ping_interval_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, idle_ms)
        direct = is_plain(transport) and not transport.get_write_buffer_size()
        self.client = clients.hub.open(connection.fileno() if direct else -1)
        self._guest = guest
        if guest.end is not None:
            guest.end = self._end_access
        session = HeededSession(
            clients.desk,
            self.client,
            self.heard_ns,
            access=guest.access,
            codec=EVENTS,
            strings=self._asked.strings,
        )
        session.heed = self._heed
        self._session = session
        clients.add(self)
        for request in self._asked.requests():
            if not self.closing:
                session.request(request, self.heard_ns)
        if not self.closing:
            clients.flush(self.client, self.heard_ns)

    def _heed(self, reply: Reply) -> bool:
        """Write the head in front of the first reply; end where the session refuses."""
        if self.closing:
            return False
        if isinstance(reply, Error):
            if self._is_open:
                self.close(reply.code, reply.reason)
            else:
                self._refuse(status_of(reply.code), reply.reason)
            return False
        if not self._is_open:
            self._write_head()
        if isinstance(reply, Subscribed) and reply.channel in places.KEPT:
            self._set_ids(reply)
        return True

    def _write_head(self) -> None:
        assert self._opening is not None  # noqa: S101  kept until here
        lines = [
            b"HTTP/1.1 200 OK",
            b"content-type: text/event-stream",
            b"cache-control: no-store",
            b"x-accel-buffering: no",
            b"x-content-type-options: nosniff",
            b"connection: close",
            *(name + b": " + value for name, value in cors_of(self._opening.headers, self._clients.config)),
        ]
        # no blank line: the time belongs to the first event, so that no client takes it for one of its own
        retry = b"retry: %d\n" % int(RETRY_MS * (1 + CHANCE()) / 2)
        self._is_open = True
        self._opening = None
        self.write(b"\r\n".join(lines) + b"\r\n\r\n" + retry)

    def _set_ids(self, reply: Subscribed) -> None:
        """Let events say where the client stands, once it is known what it watches."""
        if not self._asked.has_places:
            return
        symbols = reply.symbols
        missing = [symbols[symbol].epoch is msgspec.UNSET for symbol in self._asked.symbols]
        prefix = self._asked.prefix(missing)
        if len(prefix) + places.ENTRY <= self._id_max:
            self._clients.hub.set_ids(self.client, prefix, self._id_max, each=self._asked.each)

    def _refuse(self, status: int, reason: str) -> None:
        clients = self._clients
        headers = ((b"retry-after", b"1"),) if status in {429, 503} else ()
        assert self._opening is not None  # noqa: S101  no head was written
        cors = tuple(cors_of(self._opening.headers, clients.config))
        clients.refused(status)
        self._forget()
        self.write(answer(status, reason, headers + cors))
        if self._transport is not None:
            self._transport.close()

    # ------------------------------------------------------------------ what a stream of frames does otherwise

    def data_received(self, data: bytes) -> None:
        """Read nothing more; whoever goes on sending is cut."""
        self._ignored += len(data)
        if self._ignored > self._clients.config.frame_max:
            self.abort()

    def ping(self, now_ns: int) -> None:
        """Leave it to TCP."""
        self.heard_ns = self.pinged_ns = now_ns

    def heartbeat(self) -> None:
        """Queue a comment."""
        clients = self._clients
        clients.hub.control(self.client, PING, b"hb " + timestamp(clients.desk.wall()).encode())

    def close(self, code: int, reason: str) -> None:
        """Say why, when to come back if that is said, and end."""
        if self.closing or self._transport is None:
            return
        if not self._is_open:
            self._refuse(401 if code == CloseCode.NOT_ADMITTED else 503, reason)
            return
        self._forget()
        self._clients.closed(code)
        retry = _RETRY.search(reason)
        event = msgspec.json.encode({"type": "close", "code": int(code), "reason": reason})
        self.write(b"%bdata: %b\nevent: close\n\n" % (b"retry: " + retry[1].encode() + b"\n" if retry else b"", event))
        self._transport.close()

"""The first protocol of every connection: HTTP as uvicorn speaks it, with what its server does not do.

uvicorn 0.54 gives a request no time limit, loses bytes that follow the head of an upgrade in the same read, and
forgets upgraded connections when it shuts down. Here heads and bodies have deadlines and a bound, ``/stream`` is
upgraded to our own protocol with every byte that came after the head, and the gateway closes its streams itself.

``/events`` leaves HTTP as well, and a request for prices that waits is answered here: an application would hold a task
for each of them.
"""

import asyncio
import math
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tickcast.gateway import events, polls
from tickcast.gateway.asking import Unclear
from tickcast.gateway.auth.access import Denied
from tickcast.gateway.auth.admission import MISSING
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.clients import Clients, Upgrade
from tickcast.gateway.events import EventStream
from tickcast.gateway.handshake import PATH, Accepted, Rejected, cors_of, negotiate, refuse_site
from tickcast.gateway.polls import Answered, Poll
from tickcast.gateway.problem import MEDIA_TYPE, answer, problem
from tickcast.gateway.stream import StreamProtocol

HEADER_OVERHEAD = 4
"""Bytes of a header line beside name and value."""
TOO_MANY_CONNECTIONS = "this address holds as many connections as one may; close some, or come back later"
TOO_MANY_HANDSHAKES = "this address opens streams faster than one may; come back later"


class FrontConnection(HttpToolsProtocol):
    """A connection that speaks HTTP, until it asks for the stream."""

    def __init__(self, clients: Clients, *, address: str = "", is_welcome: bool = True, **uvicorn: Any) -> None:
        """``address`` is the key of the limits per address, ``uvicorn`` what uvicorn gives its protocol classes."""
        super().__init__(**uvicorn)
        self._clients = self._home = clients
        self._address = address
        self._is_welcome = is_welcome
        self._head_bytes = 0
        self._in_head = True
        self._refusal: tuple[int, str] | None = None
        self._own: str | None = None
        """The path of a request that no application answers."""
        self._poll: Poll | None = None
        self._is_last = False
        """The connection ends with the answer to the poll."""
        self._polls_left = float(clients.config.requests_per_second)
        self._polled_ns = clients.clock()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait(self._clients.config.handshake_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._clients.waiting.pop(self, None)
        self.leave()
        if self._poll is not None:
            self._poll.end()
            self._poll = None
        super().connection_lost(exc)

    def leave(self) -> None:
        """Give back what the connection counts for at its address; also of one that never began."""
        self._clients.addresses.leave(self._address, refused=not self._is_welcome)

    def _wait(self, timeout_s: float) -> None:
        self._clients.waiting[self] = self._clients.clock() + int(timeout_s * 1e9)

    def expire(self) -> None:
        """The request was not finished in time."""
        self._end(408, "the request was not finished in time")

    def data_received(self, data: bytes) -> None:
        """Feed the parser; hand an upgrade over."""
        if self._refusal is not None or self.transport.is_closing():
            return
        if not self._is_welcome:
            self._end(429, TOO_MANY_CONNECTIONS, ((b"retry-after", b"5"),))
            return
        if self._poll is not None:
            # nobody may ask for more before the answer
            self._is_last = True
            return
        self._unset_keepalive_if_required()
        try:
            if self._in_head:
                self._head_bytes += len(data)
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._end(400, "the request is no HTTP/1.1")
            return
        if self._refusal is None and self._in_head and self._head_bytes > self._clients.config.head_max:
            self._refusal = self._too_large()
        if self._refusal is not None:
            self._end(*self._refusal)
        elif self._own is not None and self._in_head:
            self._begin_own()

    # ------------------------------------------------------------------ what the parser says

    def on_message_begin(self) -> None:
        """A request begins: on a kept connection it has a deadline as well."""
        super().on_message_begin()
        if self._own is not None:
            self._refusal = (400, "a request must wait for the answer to the one before it")
        if self.cycle is not None:
            self._wait(self._clients.config.handshake_timeout_s)
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Run the application, unless the head is too large."""
        self._in_head = False
        if self._refusal is not None:
            return
        if self._head_size() > self._clients.config.head_max:
            self._refusal = self._too_large()
            return
        self._wait(self._clients.config.request_timeout_s)
        if self._is_own():
            return
        super().on_headers_complete()

    def _is_own(self) -> bool:
        """Whether the request is for what is answered here; then :attr:`_own` says so."""
        path, _, query = self.url.partition(b"?")
        is_poll = path == polls.PATH.encode() and any(name.encode() + b"=" in query for name in polls.NAMES)
        if not (is_poll or path == events.PATH.encode()):
            return False
        is_socket = self.parser.should_upgrade() and self._should_upgrade()
        if (
            is_socket
            or self.parser.get_method() != b"GET"
            or (self.cycle is not None and not self.cycle.response_complete)
        ):
            return False
        self.scope["method"] = "GET"
        self._own = path.decode()
        return True

    def on_body(self, body: bytes) -> None:
        """Keep the body for the application."""
        if self._refusal is None and self._own is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is finished."""
        self._clients.waiting.pop(self, None)
        self._in_head = True
        self._head_bytes = 0
        if self._refusal is None and self._own is None:
            super().on_message_complete()

    def _too_large(self) -> tuple[int, str]:
        return 431, f"expected a request head of at most {self._clients.config.head_max} bytes"

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket"

    # ------------------------------------------------------------------ what no application answers

    def _begin_own(self) -> None:
        """Hand the connection to a stream of events, or let a poll wait."""
        path, self._own = self._own, None
        refused = self._limited() or refuse_site(self.headers, self._clients.config) or self._no_room()
        if refused is not None:
            self._reject(refused)
            return
        try:
            if path == events.PATH:
                self._begin_events()
            else:
                self._begin_poll()
        except Unclear as unclear:
            self._end(422, str(unclear), tuple(cors_of(self.headers, self._clients.config)))

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)

    def _begin_events(self) -> None:
        clients = self._clients
        opening = events.read_opening(
            self.url, self.headers, head_bytes=self._head_size(), head_max=clients.config.head_max
        )
        guest = self._admit_known(opening.asked.ticket)
        if guest is not None:
            transport = self._release()
            EventStream(self._home, self._address, opening).begin(transport, guest)

    def _begin_poll(self) -> None:
        clients = self._clients
        wanted = polls.read_poll(
            self.url,
            head_bytes=self._head_size(),
            head_max=clients.config.head_max,
            wait_max_s=clients.config.poll_wait_max_s,
        )
        # after an offer to upgrade (h2c) the parser reads no further request
        self._is_last = (
            self.scope["http_version"] == "1.0"
            or not self.parser.should_keep_alive()
            or bool(self.parser.should_upgrade())
        )
        if not self._may_poll():
            limit = clients.config.requests_per_second
            detail = f"too many requests: {limit} a second allowed on a connection"
            self._answer(Answered(429, detail=detail, retry_s=1))
            return
        guest = self._admit_known(wanted.asked.ticket)
        if guest is not None:
            self._poll = poll = Poll(self._home, wanted, guest, self._answer)
            poll.begin()

    def _may_poll(self) -> bool:
        """Spend a request from the connection's credit, as the stream's clients do."""
        now_ns, limit = self._clients.clock(), self._clients.config.requests_per_second
        elapsed_s = max(0, now_ns - self._polled_ns) / 1e9
        self._polls_left = min(float(limit), self._polls_left + elapsed_s * limit) - 1
        self._polled_ns = now_ns
        return self._polls_left >= 0

    def _answer(self, answered: Answered) -> None:
        """Answer a poll; the next request may follow."""
        self._poll = None
        if self.transport is None or self.transport.is_closing():
            return
        is_good = answered.status == 200
        body = answered.body if is_good else problem(answered.status, answered.detail)
        lines = [
            f"HTTP/1.1 {answered.status} {HTTPStatus(answered.status).phrase}".encode(),
            b"content-type: " + (b"application/json" if is_good else MEDIA_TYPE.encode()),
            b"content-length: %d" % len(body),
            b"cache-control: no-store",
            b"x-content-type-options: nosniff",
            b"referrer-policy: no-referrer",
            *(name + b": " + value for name, value in cors_of(self.headers, self._clients.config)),
        ]
        if answered.retry_s:
            lines.append(b"retry-after: %d" % answered.retry_s)
        if self._is_last:
            lines.append(b"connection: close")
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        if self._is_last:
            self.transport.close()
        else:
            self.on_response_complete()

    # ------------------------------------------------------------------ ways out

    def _upgrade(self, rest: bytes) -> None:
        if self._refusal is not None:
            self._end(*self._refusal)
            return
        if self._own is not None:
            self._begin_own()
            return
        if not self._should_upgrade():
            # Some other protocol was offered; the request itself is served, and the connection ends with it.
            self.cycle.keep_alive = False
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._end(400, "an upgrade must wait for the answer to the request before it")
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        upgrade = self._clients.upgrades.get(path)
        outcome = self._negotiate(PATH if upgrade is None else path)
        if isinstance(outcome, Rejected):
            self._reject(outcome)
            return
        # other dialects say who they are in a way of their own
        guest = self._admit(outcome.ticket) if upgrade is None else None
        if isinstance(guest, Rejected):
            self._reject(guest)
            return
        self._hand_over(outcome, guest, upgrade, rest)

    def _hand_over(self, accepted: Accepted, guest: Guest | None, upgrade: Upgrade | None, rest: bytes) -> None:
        """Let another protocol go on with the connection, from ``rest`` on."""
        target, headers = self.url, self.headers
        transport = self._release()
        protocol: asyncio.Protocol
        if upgrade is None:
            protocol = stream = StreamProtocol(self._home, self._address)
            stream.open(transport, accepted, guest)
        else:
            protocol = upgrade(transport, accepted, target, headers, self._address)
        if rest:
            protocol.data_received(rest)

    def _negotiate(self, path: str) -> Accepted | Rejected:
        limited = self._limited()
        if limited is not None:
            return limited
        if self.scope["http_version"] != "1.1":
            return Rejected(400, "expected HTTP/1.1 for an upgrade")
        config = self._clients.config
        outcome = negotiate(self.scope["method"].encode(), self.url, self.headers, config, path=path)
        return (None if isinstance(outcome, Rejected) else self._no_room()) or outcome

    def _limited(self) -> Rejected | None:
        """Spend a handshake of the address."""
        retry_s = self._clients.addresses.handshake(self._address, self._clients.clock())
        headers = ((b"retry-after", str(math.ceil(retry_s)).encode()),)
        return Rejected(429, TOO_MANY_HANDSHAKES, headers) if retry_s else None

    def _no_room(self) -> Rejected | None:
        if self._clients.full or self._clients.is_overloaded:
            return Rejected(503, "this gateway has no room for another client", ((b"retry-after", b"5"),))
        return None

    def _admit_known(self, ticket: str) -> Guest | None:
        """Find out who it is where there is no first message to say it in; None: it was refused."""
        guest = self._admit(ticket)
        if isinstance(guest, Guest):
            return guest
        self._reject(guest or Rejected(401, MISSING, ((b"www-authenticate", b'Bearer realm="tickcast"'),)))
        return None

    def _admit(self, ticket: str) -> Guest | Rejected | None:
        """Find out who it is, by its headers or its ticket; None: it shows nothing, and may still do so."""
        clients = self._clients
        try:
            access = clients.admission.admit(self.headers, ticket=ticket)
            self._home = clients.at(access)
            return clients.guests.enter(access, _no_end, is_late=access.scope.delayed)
        except Denied as denied:
            if denied.is_missing:
                return None
            headers = tuple((name.encode(), value.encode()) for name, value in denied.headers.items())
            return Rejected(denied.status, denied.reason, headers)

    def _reject(self, rejected: Rejected) -> None:
        self._clients.refused(rejected.status)
        self._end(rejected.status, rejected.detail, rejected.headers)

    def _release(self) -> asyncio.Transport:
        """Let go of the connection: another protocol takes it over."""
        transport = self.transport
        self.connections.discard(self)
        self._clients.waiting.pop(self, None)
        # The parser refers to this object and back: let go, so that both are freed now.
        self.parser = self.flow = self.transport = None  # type: ignore[assignment]
        return transport

    def _end(self, status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self._clients.waiting.pop(self, None)
        self._refusal = (status, detail)
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(answer(status, detail, headers))
        self.transport.close()


def _no_end(_reason: str) -> None:
    """A connection that is being handed over cannot end in between."""

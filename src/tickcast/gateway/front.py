"""The first protocol of every connection: HTTP as uvicorn speaks it, with what its server does not do.

uvicorn 0.54 gives a request no time limit, loses bytes that follow the head of an upgrade in the same read, and
forgets upgraded connections when it shuts down. Here heads and bodies have deadlines and a bound, ``/stream`` is
upgraded to our own protocol with every byte that came after the head, and the gateway closes its streams itself.
"""

import asyncio
import math
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tickcast.gateway.auth.access import Denied
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.clients import Clients, Upgrade
from tickcast.gateway.handshake import PATH, Accepted, Rejected, negotiate
from tickcast.gateway.problem import answer
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
        self._clients = clients
        self._address = address
        self._is_welcome = is_welcome
        self._head_bytes = 0
        self._in_head = True
        self._refusal: tuple[int, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait(self._clients.config.handshake_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._clients.waiting.pop(self, None)
        self.leave()
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

    # ------------------------------------------------------------------ what the parser says

    def on_message_begin(self) -> None:
        """A request begins: on a kept connection it has a deadline as well."""
        super().on_message_begin()
        if self.cycle is not None:
            self._wait(self._clients.config.handshake_timeout_s)
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Run the application, unless the head is too large."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)
        if size > self._clients.config.head_max:
            self._refusal = self._too_large()
            return
        self._wait(self._clients.config.request_timeout_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep the body for the application."""
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is finished."""
        self._clients.waiting.pop(self, None)
        self._in_head = True
        self._head_bytes = 0
        if self._refusal is None:
            super().on_message_complete()

    def _too_large(self) -> tuple[int, str]:
        return 431, f"expected a request head of at most {self._clients.config.head_max} bytes"

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket"

    # ------------------------------------------------------------------ ways out

    def _upgrade(self, rest: bytes) -> None:
        if self._refusal is not None:
            self._end(*self._refusal)
            return
        if not self._should_upgrade():
            # Some other protocol was offered; the request itself is served, and the connection ends with it.
            self.cycle.keep_alive = False
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._end(400, "an upgrade must wait for the answer to the request before it")
            return
        clients = self._clients
        retry_s = clients.addresses.handshake(self._address, clients.clock())
        if retry_s:
            clients.refused(429)
            self._end(429, TOO_MANY_HANDSHAKES, ((b"retry-after", str(math.ceil(retry_s)).encode()),))
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        upgrade = clients.upgrades.get(path)
        expected = PATH if upgrade is None else path
        outcome = negotiate(self.scope["method"].encode(), self.url, self.headers, clients.config, path=expected)
        if self.scope["http_version"] != "1.1":
            outcome = Rejected(400, "expected HTTP/1.1 for an upgrade")
        if not isinstance(outcome, Rejected) and (clients.full or clients.is_overloaded):
            outcome = Rejected(503, "this gateway has no room for another client", ((b"retry-after", b"5"),))
        if isinstance(outcome, Rejected):
            self._reject(outcome)
            return
        # other dialects say who they are in a way of their own
        guest = self._admit(outcome) if upgrade is None else None
        if isinstance(guest, Rejected):
            self._reject(guest)
            return
        self._hand_over(outcome, guest, upgrade, rest)

    def _hand_over(self, accepted: Accepted, guest: Guest | None, upgrade: Upgrade | None, rest: bytes) -> None:
        """Let another protocol go on with the connection, from ``rest`` on."""
        clients = self._clients
        transport, target, headers = self.transport, self.url, self.headers
        self.connections.discard(self)
        clients.waiting.pop(self, None)
        # The parser refers to this object and back: let go, so that both are freed now.
        self.parser = self.flow = self.transport = None  # type: ignore[assignment]
        protocol: asyncio.Protocol
        if upgrade is None:
            protocol = stream = StreamProtocol(clients, self._address)
            stream.open(transport, accepted, guest)
        else:
            protocol = upgrade(transport, accepted, target, headers, self._address)
        if rest:
            protocol.data_received(rest)

    def _admit(self, accepted: Accepted) -> Guest | Rejected | None:
        """Find out who it is, by its headers or its ticket; None: it shows nothing, and may still do so."""
        clients = self._clients
        try:
            return clients.guests.enter(clients.admission.admit(self.headers, ticket=accepted.ticket), _no_end)
        except Denied as denied:
            if denied.is_missing:
                return None
            headers = tuple((name.encode(), value.encode()) for name, value in denied.headers.items())
            return Rejected(denied.status, denied.reason, headers)

    def _reject(self, rejected: Rejected) -> None:
        self._clients.refused(rejected.status)
        self._end(rejected.status, rejected.detail, rejected.headers)

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

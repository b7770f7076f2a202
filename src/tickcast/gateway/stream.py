"""One WebSocket client: an asyncio protocol that moves bytes between a transport, the frame reader and the session.

There are many of these and most are idle, so each is slots and nothing else: no task, no timer, no bound methods kept.
What passes with time (pings, deadlines) is done for all of them by :class:`tickcast.gateway.clients.Clients`.

The hub writes to the socket itself while the transport's buffer is empty. Everything it hands over is whole frames
(what a short send left is written to the transport at once), so between two flushes the transport may be written to
as well: a close frame never lands inside another frame.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tickcast.gateway.auth.access import Access, Denied
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.handshake import Accepted
from tickcast.gateway.messages import Auth, Reply
from tickcast.gateway.requests import Refused, convert, request_id_of
from tickcast.gateway.session import Session

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients

TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
REASON_MAX = 123
"""Bytes of a close reason (RFC 6455 section 5.5)."""


class StreamProtocol(asyncio.Protocol):
    """A client of ``/stream``, from the end of its handshake on."""

    __slots__ = (
        "_accepted",
        "_clients",
        "_failed",
        "_guest",
        "_reader",
        "_session",
        "_transport",
        "address",
        "blocked",
        "client",
        "closing",
        "heard_ns",
        "pinged_ns",
    )

    def __init__(self, clients: "Clients", address: str = "") -> None:
        """``address`` is the client's key in the limits per address."""
        self._clients = clients
        self.address = address
        self._reader = clients.reader(clients.config.frame_max)
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._accepted: Accepted | None = None
        """Of a client that has not said yet who it is."""
        self._guest: Guest | None = None
        self._failed = False
        """The client broke the framing: what else it sends is read and dropped, so that the close frame is not lost."""
        self.blocked = False
        """The transport holds bytes that the socket did not take."""
        self.closing = False
        """A close frame was sent; nothing else will be."""
        self.client = -1
        """The hub's number; -1: it is not there yet."""
        self.heard_ns = self.pinged_ns = clients.clock()

    def open(self, transport: asyncio.Transport, accepted: Accepted, guest: Guest | None) -> None:
        """Take a connection over: answer its handshake, and register with the hub.

        ``guest`` says who it is; None: it will in its first message, and gets nothing before.
        """
        self._transport = transport
        transport.set_protocol(self)
        # With a limit of 0 a write is tried at once, and pause and resume tell exactly whether bytes are held. uvloop's
        # TLS compares with "at least" where its TCP has "more than": 0 would pause it for ever.
        transport.set_write_buffer_limits(high=0 if is_plain(transport) else 1, low=0)
        transport.write(accepted.answer)
        self._accepted = accepted
        if guest is None:
            self._clients.unproven[self] = self.heard_ns
        else:
            self._begin(transport, accepted, guest)

    def _begin(self, transport: asyncio.Transport, accepted: Accepted, guest: Guest) -> None:
        """Give a client that was let in its session and its place in the hub."""
        clients = self._clients
        self._guest = guest
        if guest.end is not None:
            guest.end = self._end_access
        direct = is_plain(transport) and not transport.get_write_buffer_size()
        self.client = clients.hub.open(transport.get_extra_info("socket").fileno() if direct else -1)
        self._session = Session(
            clients.desk,
            self.client,
            self.heard_ns,
            access=guest.access,
            renew=None if guest.access.is_anonymous else self._renew,
            codec=accepted.codec,
            strings=accepted.strings,
            batch=accepted.batch,
        )
        self._accepted = None
        clients.add(self)

    def _prove(self, opcode: int, payload: bytes) -> None:
        """Read the first message of a client that came without saying who it is: a token, or the end."""
        accepted, transport = self._accepted, self._transport
        if accepted is None or transport is None or opcode not in {TEXT, BINARY}:
            return
        try:
            if opcode != accepted.codec.opcode:
                raise Denied("the first message is none of the connection's codec")
            raw = accepted.codec.decode(payload)
            if raw.get("action") != "auth":
                raise Denied('expected {"action":"auth","token":"..."} as the first message')
            request = convert(raw, Auth)
            access = self._clients.admission.admit(token=request.token)
            home = self._clients.at(access)
            guest = self._clients.guests.enter(access, self._end_access, is_late=access.scope.delayed)
        except Refused:
            self.close(CloseCode.NOT_ADMITTED, 'expected {"action":"auth","token":"..."} as the first message')
        except Denied as denied:
            self.close(CloseCode.USER_FULL if denied.status == 429 else CloseCode.NOT_ADMITTED, denied.reason)
        else:
            self._clients.unproven.pop(self, None)
            self._clients = home
            self.heard_ns = self.pinged_ns = home.clock()
            self._begin(transport, accepted, guest)
            if self._session is not None:
                self._session.greet(request_id_of(raw))

    def _renew(self, token: str) -> Access:
        """Stay on a newer token."""
        access = self._clients.admission.admit(token=token)
        if self._guest is not None:
            self._clients.guests.renew(self._guest, access)
        return access

    def _end_access(self, reason: str) -> None:
        self.close(CloseCode.NOT_ADMITTED, reason)

    def data_received(self, data: bytes) -> None:
        """Serve whole messages; what they cause is sent before this returns."""
        clients = self._clients
        now_ns = self.heard_ns = clients.clock()
        served = False
        frames = self._read(data)
        while frames:
            served = True
            for opcode, payload in frames:
                self._serve(opcode, payload, now_ns)
            frames = self._read(b"")
        if self.closing or self.client < 0:
            return
        if clients is not self._clients:
            clients = self._clients
            now_ns = self.heard_ns
        if served:
            clients.flush(self.client, now_ns)
        clients.track(self, unfinished=self._reader.pending > 0, anew=served, now_ns=now_ns)

    def _read(self, data: bytes) -> list[tuple[int, bytes]]:
        try:
            return self._reader.feed(data)
        except self._clients.protocol_error as broken:
            code, reason = broken.args
            if not self.closing:
                # Requests in front of the broken frame were served; their replies go out before the close.
                self._flush()
                self.close(code, reason)
                self._fail()
            elif not self._failed:
                self.abort()
            return []

    def _flush(self) -> None:
        if self.client >= 0:
            self._clients.flush(self.client, self.heard_ns)

    def _fail(self) -> None:
        """End our half of the connection behind the close frame (RFC 6455 section 7.1.7): no answer to it is awaited.

        A broken close frame is the last that the client sends, so it waits for our end. To close outright while bytes
        of the client are on their way would reset the connection, which may overtake the close frame.
        """
        if self._transport is not None and self._transport.can_write_eof() and not self._transport.is_closing():
            self._failed = True
            self._transport.write_eof()

    def _serve(self, opcode: int, payload: bytes, now_ns: int) -> None:
        if opcode == CLOSE:
            self._closed_by_peer(payload)
        session = self._session
        if self.closing:
            return
        if session is None:
            self._prove(opcode, payload)
            return
        verdict: CloseCode | None = None
        if opcode == session.opcode:
            verdict = session.request(payload, now_ns)
        elif opcode in {TEXT, BINARY}:
            verdict = session.stray(now_ns)
        elif opcode == PING:
            session.ping(payload, now_ns)
        if verdict is not None:
            self._clients.flush(self.client, now_ns)
            self.close(verdict, verdict.meaning)

    def ping(self, now_ns: int) -> None:
        """Queue a protocol ping."""
        self.pinged_ns = now_ns
        self._clients.hub.control(self.client, PING)

    def heartbeat(self) -> None:
        """Queue a heartbeat."""
        if self._session is not None:
            self._session.heartbeat()

    def note(self, note: Reply) -> None:
        """Queue something that the client did not ask for."""
        if self._session is not None:
            self._session.note(note)

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """Symbols are new: those that fall under a pattern of the client join."""
        if self._session is not None:
            self._session.listed(symbols, now_ns)

    def write(self, data: bytes) -> None:
        """Write what the socket did not take from the hub; ``blocked`` says afterwards whether it is still held."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # ------------------------------------------------------------------ the end

    def close(self, code: int, reason: str) -> None:
        """Say why and begin the closing handshake; the hub forgets the client now."""
        if self.closing or self._transport is None:
            return
        self._forget()
        self._send_close(code.to_bytes(2, "big") + reason.encode()[:REASON_MAX])
        self._clients.closed(code)
        if self.blocked and not self._transport.is_closing():
            self._transport.resume_reading()

    def _closed_by_peer(self, payload: bytes) -> None:
        if self._transport is None:
            return
        if not self.closing:
            self._flush()
        if not self.closing:
            self._forget()
            self._send_close(payload[:2])
            self._clients.closed(CloseCode.NORMAL)
        self._transport.close()

    def _forget(self) -> None:
        self.closing = True
        if self._session is not None:
            self._session.end()
        self._session = None
        if self._guest is not None:
            self._clients.guests.leave(self._guest)
        self._clients.remove(self)

    def _send_close(self, payload: bytes) -> None:
        self.write(bytes((0x80 | CLOSE, len(payload))) + payload)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client: before the descriptor can belong to another connection."""
        del exc
        if not self.closing:
            self._forget()
        self._clients.gone(self)
        self._transport = None

    # ------------------------------------------------------------------ back pressure

    def pause_writing(self) -> None:
        """The socket is full: serve no requests until it drains, so that replies are bounded too."""
        self.blocked = True
        if self._transport is not None and not self.closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The socket took everything: the client gets newest state again."""
        self.blocked = False
        if self._transport is not None and not self.closing:
            self._transport.resume_reading()
            if self.client >= 0:  # TLS holds the answer to the handshake back for a moment
                self._clients.drained(self.client)


def is_plain(transport: asyncio.Transport) -> bool:
    """Whether what is written goes to the socket as it is."""
    return transport.get_extra_info("sslcontext") is None

"""One client of the Socket.IO dialect: a session of the gateway, whose frames go out as events."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from engineio import packet as engine

from tickcast.gateway import messages
from tickcast.gateway.auth.access import Access
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.session import Session
from tickcast.gateway.socketio.outbox import HELD, Outbox
from tickcast.gateway.socketio.packets import EventCodec, event_of, payloads

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients
    from tickcast.gateway.desk import Desk
    from tickcast.gateway.socketio.engine import Link

DISCONNECT: Final = "1"
"""The packet that ends a client for good."""
NOT_AGAIN: Final = 4800
"""Closes from this code on say that the client must not come back by itself."""
EVENT_NAME_MAX: Final = 60
"""Characters of an event's name that a refusal repeats."""


def packet_of(text: str) -> Any:
    """Make an Engine.IO message of a Socket.IO packet."""
    return engine.Packet(engine.MESSAGE, data=text)


class EventClient:
    """A client, from its CONNECT on; one of :class:`tickcast.gateway.clients.Stream`."""

    def __init__(self, clients: "Clients", desk: "Desk", link: "Link", sid: str, guest: Guest) -> None:
        """``link`` is its Engine.IO connection, ``sid`` its name at python-socketio, ``desk`` the mode's."""
        self._guest = guest
        if guest.end is not None:
            guest.end = self._end_access
        self._clients = clients
        self._link = link
        self._outbox: Outbox = link.outbox
        self._codec = EventCodec()
        self._waiting: set[asyncio.Future[dict[str, Any] | None]] = set()
        """Acknowledgements whose replies come from another process."""
        self.sid = sid
        self.address = ""
        self.blocked = False
        self.closing = False
        self._is_gone = False
        self.heard_ns = self.pinged_ns = clients.clock()
        self.client = desk.hub.open(-1)
        self._session: Session | None = Session(
            desk,
            self.client,
            self.heard_ns,
            access=guest.access,
            renew=None if guest.access.is_anonymous else self._renew,
            codec=self._codec,
        )
        self._outbox.asked = self._asked
        self._outbox.overflown = self._overflown
        clients.add(self)

    # ------------------------------------------------------------------ requests

    async def event(self, name: str, arguments: Sequence[Any]) -> dict[str, Any] | None:
        """Serve an event; returns its reply, for the acknowledgement.

        Where the reply comes from another process, this waits for it, and so do the client's further events.
        """
        answered: list[dict[str, Any]] = []
        future: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()

        def answer(reply: dict[str, Any]) -> None:
            answered.append(reply)
            if not future.done():
                future.set_result(reply)

        session = self._session
        if session is None:
            return None
        now_ns = self.heard_ns = self._clients.clock()
        verdict = session.request(self._request(name, arguments, answer), now_ns)
        # behind the acknowledgement, which python-socketio sends when this returns
        asyncio.get_running_loop().call_soon(self._served, verdict)
        if answered:
            return answered[0]
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)

    def _request(self, name: str, arguments: Sequence[Any], answer: Any) -> bytes:
        """Make the session's request of an event; of what is none, one that it refuses."""
        body = arguments[0] if arguments else {}
        if isinstance(body, dict):
            try:
                return self._codec.ask(name[:EVENT_NAME_MAX], body, answer)
            except (ValueError, TypeError, OverflowError, RecursionError):
                pass  # a text that is no Unicode, an integer beyond 64 bits
        return self._codec.refuse(body, answer)

    def _served(self, verdict: CloseCode | None) -> None:
        if self.closing:
            return
        if not self.blocked:
            self._clients.flush(self.client, self.heard_ns)
        if verdict is not None:
            self.close(verdict, verdict.meaning)

    # ------------------------------------------------------------------ what the hub sends

    def write(self, data: bytes) -> None:
        """Queue what the hub sends; the hub goes on until so much waits that the client is behind."""
        for frame in payloads(data):
            self.put(packet_of(event_of(frame)))
        self.blocked = self._outbox.held > HELD

    def put(self, packet: Any) -> None:
        """Queue a packet."""
        if not self.closing:
            self._outbox.put_nowait(packet)

    @property
    def is_behind(self) -> bool:
        """Whether more waits than should."""
        return self._outbox.held > HELD

    def _asked(self) -> None:
        """Everything was taken."""
        if self.blocked and not self.closing:
            self.blocked = False
            self._clients.drained(self.client)

    def _overflown(self) -> None:
        asyncio.get_running_loop().call_soon(self.close, CloseCode.SLOW, CloseCode.SLOW.meaning)

    def ping(self, now_ns: int) -> None:
        """Engine.IO's own pings find out who is gone."""
        self.pinged_ns = self.heard_ns = now_ns

    def heartbeat(self) -> None:
        """Queue a heartbeat."""
        if self._session is not None:
            self._session.heartbeat()

    def note(self, note: messages.Reply) -> None:
        """Queue something that the client did not ask for."""
        if self._session is not None:
            self._session.note(note)

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """Symbols are new: those that fall under a pattern of the client join."""
        if self._session is not None:
            self._session.listed(symbols, now_ns)

    # ------------------------------------------------------------------ who it is

    def _renew(self, token: str) -> Access:
        """Stay on a newer token."""
        access = self._clients.admission.admit(token=token)
        self._clients.guests.renew(self._guest, access)
        return access

    def _end_access(self, reason: str) -> None:
        self.close(CloseCode.NOT_ADMITTED, reason)

    # ------------------------------------------------------------------ the end

    def close(self, code: int, reason: str) -> None:
        """Say why in an event ``close``, and end the connection.

        The client's library comes back by itself, unless the code says that it must not: then it is disconnected.
        """
        if self.closing:
            return
        if code != CloseCode.SLOW:
            notice = msgspec.json.encode({"type": "close", "code": int(code), "reason": reason}).decode()
            self.put(packet_of(event_of(notice)))
        if code >= NOT_AGAIN:
            self.put(packet_of(DISCONNECT))
        self._forget()
        self._clients.closed(code)
        self._link.end(at_once=code == CloseCode.SLOW)

    def disconnected(self) -> None:
        """The client is gone, by its own will or not."""
        if not self.closing:
            self._forget()
            self._clients.closed(CloseCode.NORMAL)
        if not self._is_gone:
            self._is_gone = True
            self._clients.guests.leave(self._guest)
            self._clients.gone(self)

    def _forget(self) -> None:
        self.closing = True
        self._outbox.asked = self._outbox.overflown = None
        if self._session is not None:
            self._session.end()
        self._session = None
        self._clients.remove(self)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def abort(self) -> None:
        """Cut the connection."""
        self._link.end(at_once=True)

"""Long polls: ``GET /prices?symbols=&since=&wait=`` answers when something changed after ``since``, or when time is up.

A poll is a client of the hub for as long as it waits: it subscribes, and picks up at its cursor. What the hub sends
it is not passed on but read for the names in it; their newest state goes out in one answer, with the cursor behind it.
A waiting poll is this object, an entry in the table of deadlines and its subscriptions: no task, no timer, and nothing
is done for it until one of its symbols changes.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tickcast.gateway import places
from tickcast.gateway.asking import Asked, Unclear, query_of, read_asked
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.events import EVENTS, HeededSession, status_of
from tickcast.gateway.messages import Error, Reply, Standing, Subscribed
from tickcast.gateway.requests import is_pattern
from tickcast.gateway.stream import PING

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients

PATH: Final = "/prices"
NAMES: Final = ("since", "wait")
"""Parameters of which one makes a poll of a request."""
DEFAULT_WAIT_S: Final = 25.0
ROOM: Final = 256
"""Bytes of a request's head that a cursor leaves free."""
_DATA: Final = b"data: "
_LINE_END: Final = b"\n"


class Wanted(NamedTuple):
    """A poll that was found good."""

    asked: Asked
    wait_s: float
    cursor_max: int
    """Bytes of a cursor with which the same request can be made again."""


class Answered(NamedTuple):
    """What a poll comes to: a body of JSON, or a problem."""

    status: int
    body: bytes = b""
    detail: str = ""
    retry_s: int = 0


class _Told(msgspec.Struct):
    """What is read of a message of the hub."""

    type: str = ""
    symbol: str = ""


_told: Final = msgspec.json.Decoder(_Told)


def read_poll(target: bytes, *, head_bytes: int, head_max: int, wait_max_s: float) -> Wanted:
    """Read a request for prices that may wait.

    Raises:
        Unclear: it does not say what is meant.
    """
    query = query_of(target)
    since = query.get("since") or None
    try:
        wait_s = float(query.get("wait") or (DEFAULT_WAIT_S if "wait" in query else 0))
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= wait_max_s:
        raise Unclear(f"wait: expected 0 to {wait_max_s:g} seconds, found {query['wait'][:40]!r}")
    asked = read_asked(query, channels=("price",), since=since)
    pattern = next(filter(is_pattern, asked.symbols), None)
    if pattern is not None:
        raise Unclear(f"symbols: expected names, found the pattern {pattern[:96]!r}; /events and /stream take patterns")
    cursor_max = head_max - head_bytes - ROOM + len(since or "")
    prefix = asked.prefix([True] * len(asked.symbols))
    if len(prefix) + places.ENTRY * len(asked.symbols) > cursor_max:
        raise Unclear(
            f"symbols: expected so few that they and a cursor fit into a request of {head_max} bytes, "
            f"found {len(asked.symbols)}; ask for them in several requests"
        )
    return Wanted(asked, wait_s, cursor_max)


class Poll:
    """A request for prices that waits."""

    __slots__ = (
        "_answered",
        "_changed",
        "_clients",
        "_guest",
        "_is_over",
        "_session",
        "_standings",
        "_wanted",
        "address",
        "blocked",
        "client",
        "heard_ns",
        "pinged_ns",
    )

    def __init__(self, clients: "Clients", wanted: Wanted, guest: Guest, answered: Callable[[Answered], None]) -> None:
        """``guest`` is who it is; ``answered`` is called once, maybe at once, unless the poll is ended before."""
        self._clients = clients
        self._wanted = wanted
        self._guest = guest
        self._answered = answered
        self._session: HeededSession | None = None
        self._standings: dict[str, Standing] = {}
        self._changed: set[str] = set()
        self._is_over = False
        self.address = ""
        """The connection is counted by whoever holds it."""
        self.blocked = False
        self.client = -1
        self.heard_ns = self.pinged_ns = clients.clock()

    def begin(self) -> None:
        """Subscribe, and wait."""
        clients, asked = self._clients, self._wanted.asked
        self.client = clients.hub.open(-1)
        if self._guest.end is not None:
            self._guest.end = self._end_access
        session = HeededSession(
            clients.desk,
            self.client,
            self.heard_ns,
            access=self._guest.access,
            codec=EVENTS,
            strings=asked.strings,
        )
        session.heed = self._heed
        self._session = session
        clients.add(self)
        clients.waiting[self] = self.heard_ns + int(self._wanted.wait_s * 1e9)
        for request in asked.requests():
            session.request(request, self.heard_ns)
        if not self._is_over:
            clients.flush(self.client, self.heard_ns)

    def end(self) -> None:
        """Forget it: answered, or nobody waits for the answer any more."""
        if self._is_over:
            return
        self._is_over = True
        clients = self._clients
        clients.waiting.pop(self, None)
        if self._session is not None:
            self._session.end()
        clients.guests.leave(self._guest)
        clients.remove(self)
        clients.gone(self)

    def _end_access(self, reason: str) -> None:
        self._finish(Answered(401, detail=reason))

    def _heed(self, reply: Reply) -> bool:
        """Take note of a reply; none of them is sent."""
        if self._is_over:
            return False
        if isinstance(reply, Error):
            status = status_of(reply.code)
            self._finish(Answered(status, detail=reply.reason, retry_s=1 if status in {429, 503} else 0))
        elif isinstance(reply, Subscribed):
            self._standings = reply.symbols
            asked = self._wanted.asked
            missing = [reply.symbols[symbol].epoch is msgspec.UNSET for symbol in asked.symbols]
            self._clients.hub.set_ids(self.client, asked.prefix(missing), self._wanted.cursor_max)
            if asked.since is None or not self._wanted.wait_s:
                # what is due at once comes with the flush that follows
                asyncio.get_running_loop().call_soon(self._settle)
        return False

    def _settle(self) -> None:
        """Answer with what there is."""
        if not self._is_over:
            self._finish(self._prices())

    def _finish(self, answered: Answered) -> None:
        self.end()
        self._answered(answered)

    def _prices(self) -> Answered:
        clients, asked = self._clients, self._wanted.asked
        items: list[bytes] = []
        for symbol in asked.symbols:
            standing = self._standings[symbol]
            body = None if standing.epoch is msgspec.UNSET else clients.hub.price(symbol, asked.strings)
            if body is not None and clients.desk.delay_s:
                body = body[:-1] + b',"delay_s":%b}' % msgspec.json.encode(clients.desk.delay_s)
            if asked.since is None and body is None:
                body = msgspec.json.encode({"symbol": symbol, "state": standing.state})
            if body is not None and (asked.since is None or symbol in self._changed):
                items.append(body)
        following = clients.hub.place_of(self.client)
        return Answered(200, b'{"prices":[' + b",".join(items) + b'],"next":"' + following + b'"}')

    # ------------------------------------------------------------------ as a client of the hub

    def write(self, data: bytes) -> None:
        """Look what changed; the first news is answered."""
        for line in data.split(_LINE_END):
            if line.startswith(_DATA):
                told = _told.decode(line[len(_DATA) :])
                # a change of the state is a tick as well, which brings an update
                if told.type in {"snapshot", "update"}:
                    self._changed.add(told.symbol)
        if self._changed:
            self._settle()

    def expire(self) -> None:
        """Nothing changed in time; or the owner of the data did not answer."""
        if self._standings:
            self._settle()
        else:
            self._finish(Answered(503, detail="the process that owns the data does not answer", retry_s=1))

    def ping(self, now_ns: int) -> None:
        """Whoever holds the connection knows whether it is there."""
        self.heard_ns = self.pinged_ns = now_ns

    def heartbeat(self) -> None:
        """Have the hub send something: it tells by that who was not forgotten."""
        self._clients.hub.control(self.client, PING)

    def note(self, note: Reply) -> None:
        """Nothing but prices is waited for."""

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """No patterns are watched."""

    def close(self, code: int, reason: str) -> None:
        """Ask the client to come back later."""
        self._clients.closed(code)
        self._finish(Answered(503, detail=reason, retry_s=1))

    def abort(self) -> None:
        """Leave the connection to whoever holds it."""
        self.end()

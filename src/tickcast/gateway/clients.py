"""All clients of one gateway: who is connected, what the hub left to write, and what passes with time.

One sweep serves everybody: handshakes and frames that are never finished, pings, heartbeats, closes that are never
answered. Tables are dicts whose order is the order of their deadlines, so a sweep looks at what is due and stops.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from tickcast.gateway import messages
from tickcast.gateway.addresses import Addresses
from tickcast.gateway.auth.access import Access, Denied
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.config import Config
from tickcast.gateway.desk import Desk
from tickcast.gateway.handshake import Accepted, Headers
from tickcast.gateway.status import StatusBoard
from tickcast.gateway.tally import ALONE, Tallies
from tickcast.ports import Clock, Directory, Fanout, Flush, Owner
from tickcast.runtime import metrics

_connections: Final = metrics.gauge("gateway_connections", "Stream clients connected now.")
_opened: Final = metrics.counter("gateway_opened", "Stream clients that finished their handshake, so far.")
_closed: Final = metrics.counter("gateway_closed", "Connections closed with a close code, so far.", ("code",))
_refused: Final = metrics.counter("gateway_refused", "Handshakes that were refused, so far.", ("status",))


AT_ONCE_MIN: Final = 256
SHARES: Final = 16
"""A sweep writes to one of so many shares of all clients; with four sweeps a second all get their turn within 4 s."""


class Reader(Protocol):
    """Reads frames: ``tickcast._native.FrameReader``."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]: ...
    @property
    def pending(self) -> int: ...


class Pending(Protocol):
    """A connection that has not finished its request."""

    def expire(self) -> None:
        """Its time is over: answer and close."""


class Stream(Protocol):
    """A client of the hub, in whatever dialect it speaks: :class:`tickcast.gateway.stream.StreamProtocol` is one."""

    client: int
    """The hub's number."""
    address: str
    """Its key in the limits per address; empty = not limited."""
    blocked: bool
    """Bytes of the hub wait for the client: :meth:`Clients.drained` is to be called when they are gone."""
    heard_ns: int
    pinged_ns: int

    def write(self, data: bytes) -> None:
        """Take what the hub could not send itself: whole messages, in the hub's framing."""

    def ping(self, now_ns: int) -> None:
        """Look whether it is there; one not heard of (``heard_ns``) until the next time is closed."""

    def heartbeat(self) -> None:
        """Queue a heartbeat."""

    def note(self, note: messages.Reply) -> None:
        """Queue something that the client did not ask for."""

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """Symbols are new."""

    def close(self, code: int, reason: str) -> None:
        """Say why, and end: :meth:`Clients.remove` at once, :meth:`Clients.gone` when the connection is."""

    def abort(self) -> None:
        """Cut the connection."""


class Upgrade(Protocol):
    """Takes over a connection whose upgrade was checked, with the head of its request."""

    def __call__(
        self, transport: asyncio.Transport, accepted: Accepted, target: bytes, headers: Headers, address: str
    ) -> asyncio.Protocol: ...


class Clients:
    """The tables, and the rules of time."""

    def __init__(
        self,
        hub: Fanout,
        config: Config,
        clock: Clock,
        *,
        field_names: tuple[str, ...],
        reader: Callable[[int], Reader],
        protocol_error: type[Exception],
        wake: Callable[[], None],
        directory: Directory | None = None,
        owner: Owner | None = None,
        wall: Clock | None = None,
        guests: Guests | None = None,
        live: "Clients | None" = None,
        delay_s: float = 0.0,
        tallies: Tallies = ALONE,
    ) -> None:
        """``wake`` asks the fan-out stage for a flush soon; ``reader`` and ``protocol_error`` are the core's.

        ``owner`` is the process that the hub's data comes from, where that is another one. ``guests`` lets clients
        in; without it there is one that knows no API keys.

        ``tallies`` are what other processes hold of the same addresses.
        ``live`` are the clients of the hub that is not late, where this one is by ``delay_s``.

        Raises:
            UsageError: keys of tokens cannot be read.
        """
        self.hub = hub
        self.config = config
        self.clock = clock
        wall = wall or clock
        if guests is None:
            admission = Admission(config.auth, host=config.host, folder=None, wall=wall)
            guests = Guests(admission, clock=clock, wall=wall)
        self.admission = guests.admission
        """Decides who comes in."""
        self.guests = guests
        """Who is in by a token or a key, whatever they speak."""
        self.status = StatusBoard(self.tell)
        self.desk = Desk(
            hub,
            config,
            field_names,
            clock=clock,
            wall=wall,
            flush=lambda client: self.flush(client, clock()),
            status=self.status,
            directory=directory,
            owner=owner,
            pay=self.guests.pay,
            delay_s=delay_s,
        )
        self.desk.directory.on_listed(self.listed)
        self.reader = reader
        self.protocol_error = protocol_error
        self.tallies = tallies
        self.addresses: Addresses = Addresses(config, tally=tallies.addresses) if live is None else live.addresses
        self.late: Clients | None = None
        """Those who see everything late."""
        self._live = live or self
        if live is not None:
            live.late = self
        self._wake = wake
        self._is_draining = False
        self.is_overloaded = False
        """Delivery has no time for new clients: they are asked to come back later."""
        self.streams: dict[int, Stream] = {}
        """By the hub's number, in the order of their last ping."""
        self.unfinished: dict[Stream, int] = {}
        """Clients in the middle of a frame, since when."""
        self.unproven: dict[Stream, int] = {}
        """Clients that have not said yet who they are, since when."""
        self.sources: dict[int, Stream] = {}
        """Clients of the hub that are nobody's connection: rooms."""
        self.upgrades: dict[str, Upgrade] = {}
        """Who takes over a connection that is upgraded at another path than the stream's."""
        self.closing: dict[Stream, int] = {}
        """Clients that were sent a close, since when."""
        self.waiting: dict[Pending, int] = {}
        """Requests that are not finished, until when."""
        if live is None:
            _connections.set_function(lambda: len(self.streams) + (0 if self.late is None else len(self.late.streams)))

    def at(self, access: Access) -> "Clients":
        """Where somebody belongs: those who see things as they come, or those who see them late.

        Raises:
            Denied: nothing is kept back here.
        """
        if not access.scope.delayed:
            return self._live
        if self._live.late is None:
            raise Denied("you may see prices late, and nothing is kept back here", status=403)
        return self._live.late

    # ------------------------------------------------------------------ coming and going

    @property
    def full(self) -> bool:
        """Whether there is no room for another client, or no time."""
        connected = len(self.streams) + len(self.closing) + len(self.unproven)
        return self._is_draining or connected >= self.config.connections_max

    def add(self, stream: Stream) -> None:
        """Take in a client after its handshake."""
        self.streams[stream.client] = stream
        _opened.inc()

    def remove(self, stream: Stream) -> None:
        """Forget a client that is about to close: it gets nothing more."""
        if self.unproven.pop(stream, None) is None:
            self.hub.close(stream.client)
            self.streams.pop(stream.client, None)
        self.unfinished.pop(stream, None)
        self.closing[stream] = self.clock()

    def gone(self, stream: Stream) -> None:
        """Note that a connection is gone."""
        self.closing.pop(stream, None)
        self.addresses.leave(stream.address)

    def closed(self, code: int) -> None:
        """Count a close."""
        _closed.labels(str(int(code))).inc()

    def refused(self, status: int) -> None:
        """Count a refused handshake."""
        _refused.labels(str(status)).inc()

    def track(self, stream: Stream, *, unfinished: bool, anew: bool, now_ns: int) -> None:
        """Note whether a client is in the middle of a frame; ``anew``: of another one than before."""
        if anew or not unfinished:
            self.unfinished.pop(stream, None)
        if unfinished:
            self.unfinished.setdefault(stream, now_ns)

    # ------------------------------------------------------------------ sending

    def flush(self, client: int, now_ns: int) -> None:
        """Send a client its replies and snapshots."""
        self.deliver(self.hub.flush(now_ns, only=client))

    def deliver(self, flushed: Flush) -> None:
        """Do what a flush left to do: write, close the slow, cut the broken, tell of rates."""
        for client, data in flushed.unsent:
            stream = self.streams.get(client) or self.sources.get(client)
            if stream is None:
                continue
            stream.write(data)
            if not stream.blocked:
                self.hub.drained(client)
        for stream in self._known(flushed.broken):
            stream.abort()
        for stream in self._known(flushed.slow):
            stream.close(CloseCode.SLOW, CloseCode.SLOW.meaning)
        for client, rate, reason in flushed.shifted:
            for stream in self._known([client]):
                stream.note(messages.Rate(rate=rate, reason=reason))
        if flushed.unsent or flushed.shifted:
            # Whoever drained can take more; whoever did not must be looked at again, even if the market is quiet.
            self._wake()

    def _known(self, clients: Iterable[int]) -> Iterator[Stream]:
        for client in clients:
            stream = self.streams.get(client) or self.sources.get(client)
            if stream is not None:
                yield stream

    def tell(self, client: int, note: messages.Reply) -> None:
        """Send a client something that it did not ask for."""
        stream = self.streams.get(client)
        if stream is not None and not stream.blocked:
            stream.note(note)
            self.flush(client, self.clock())

    def listed(self, symbols: Sequence[str]) -> None:
        """Symbols are new: clients that watch a pattern may get them."""
        now_ns = self.clock()
        for client in list(self.desk.pattern_watchers):
            stream = self.streams.get(client)
            if stream is not None:
                stream.listed(symbols, now_ns)
                self.flush(client, now_ns)

    def drained(self, client: int) -> None:
        """Go on with a client whose socket took everything."""
        self.hub.drained(client)
        self.flush(client, self.clock())
        self._wake()

    def close_some(self, count: int, retry_ms: Callable[[], int]) -> bool:
        """Ask up to ``count`` clients to come back later, each after a time of its own; returns whether some are left.

        New ones are refused from the first call on.
        """
        self._is_draining = True
        for stream in list(itertools.islice(self.streams.values(), count)):
            stream.close(CloseCode.DRAIN, f"{CloseCode.DRAIN.meaning}; retry in {retry_ms()} ms")
        for stream in list(itertools.islice(self.unproven, count)):
            stream.close(CloseCode.DRAIN, f"{CloseCode.DRAIN.meaning}; retry in {retry_ms()} ms")
        return bool(self.streams or self.unproven)

    def abort_all(self) -> None:
        """Cut whoever is left."""
        for stream in [*self.streams.values(), *self.unproven, *self.closing]:
            stream.abort()

    # ------------------------------------------------------------------ time

    def sweep(self, now_ns: int) -> None:
        """Do what is due."""
        for connection in [pending for pending, until_ns in self.waiting.items() if until_ns <= now_ns]:
            self.waiting.pop(connection, None)
            connection.expire()
        for stream in _due(self.unproven, now_ns - _ns(self.config.handshake_timeout_s)):
            stream.close(CloseCode.NOT_ADMITTED, "nobody said in time who this is")
        if self._live is self:
            self.guests.sweep()
        for stream in _due(self.unfinished, now_ns - _ns(self.config.request_timeout_s)):
            stream.close(CloseCode.TIMED_OUT, "a frame was not finished in time")
        for stream in _due(self.closing, now_ns - _ns(self.config.close_timeout_s)):
            stream.abort()
        for client in self._ping(now_ns) | self._heartbeat(now_ns):
            self.flush(client, now_ns)

    def _ping(self, now_ns: int) -> set[int]:
        before_ns = now_ns - _ns(self.config.ping_interval_s)
        due: list[Stream] = []
        for stream in self.streams.values():
            if stream.pinged_ns > before_ns or len(due) == self._most_at_once:
                break
            due.append(stream)
        pinged: set[int] = set()
        for stream in due:
            # A blocked client is not read from either; the hub closes it if it stays so.
            if stream.heard_ns < stream.pinged_ns and not stream.blocked:
                stream.close(CloseCode.TIMED_OUT, "nothing came back since the last ping")
                continue
            self.streams[stream.client] = self.streams.pop(stream.client)
            stream.ping(now_ns)
            pinged.add(stream.client)
        return pinged

    def _heartbeat(self, now_ns: int) -> set[int]:
        quiet: set[int] = set()
        for client in self.hub.quiet(now_ns - _ns(self.config.heartbeat_s)):
            stream = self.streams.get(client)
            if stream is not None and not stream.blocked:
                stream.heartbeat()
                quiet.add(client)
            if len(quiet) == self._most_at_once:
                break
        return quiet

    @property
    def _most_at_once(self) -> int:
        """Clients that one sweep writes to: a quiet market would else make all heartbeats fall on one moment."""
        return max(AT_ONCE_MIN, len(self.streams) // SHARES)


def _due(table: dict[Stream, int], before_ns: int) -> list[Stream]:
    due: list[Stream] = []
    for stream, since_ns in table.items():
        if since_ns > before_ns:
            break
        due.append(stream)
    return due


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)

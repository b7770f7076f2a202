"""The mode ``rooms``: one stream of the hub for all clients that watch the same on the same terms.

A room is a client of the hub that watches one symbol, and those who listen: a frame is made a packet once, and put
into each listener's queue. That is cheap, and it means that a room has one pace. What a room cannot do, each client
does by itself, since each is a client of the hub as well, on its *own* subscription:

- it begins on its own: the snapshot, and what a resume brings, are its own;
- it joins the room at the first frame that follows without a gap on what it was sent: the frame begins (``prev``) at
  or before its ``seq``. Values are absolute, so what it knows already does no harm;
- it leaves the room when it does not take what it is sent, when its page is hidden, and when the room's frames have a
  gap (:mod:`tickcast.gateway.socketio.nodes`): it goes on on its own where it stands, conflated by the hub, and
  joins again.

So nothing is lost by the way; but the counters of ``sync`` are of a subscription of the hub, and here nobody has one
for long: it is refused.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tickcast import _native
from tickcast.gateway import messages
from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.desk import Desk
from tickcast.gateway.requests import Refused
from tickcast.gateway.socketio.client import EventClient, packet_of
from tickcast.gateway.socketio.packets import Head, event_of, head_of, payloads
from tickcast.ports import Flush, Standing
from tickcast.runtime import metrics
from tickcast.runtime.tasks import TaskGroupOwner

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients
    from tickcast.gateway.socketio.engine import Link

NAMESPACE: Final = "/"
TRADES: Final = _native.CHANNELS.index("trades")
NOT_SENT: Final = -1

_rooms: Final = metrics.gauge("gateway_socketio_rooms", "Rooms now, each a subscription of a hub.", ("hub",))
_left: Final = metrics.counter(
    "gateway_socketio_left", "Times that clients went on on their own, so far.", ("reason",)
)  # fmt: skip


class Terms(NamedTuple):
    """What a room is about: what a client watches, and how it is written."""

    number: int
    """Of the core's channel."""
    symbol: str
    rate: int
    fields: int
    mode: int
    codec: int = 0

    @property
    def topic(self) -> "Topic":
        """What frames say of themselves: the channel (without depth) and the symbol."""
        name = _native.CHANNELS[self.number]
        return (name if name.startswith("bars") else name.partition(":")[0], self.symbol)

    @property
    def room(self) -> str:
        """Name of the room."""
        return f"{_native.CHANNELS[self.number]}|{self.symbol}|{self.rate}|{self.fields:x}|{self.mode}|{self.codec}"


Topic = tuple[str, str]


def topic_of(head: Head) -> Topic:
    """Say what a frame is about."""
    return (f"bars:{head.interval}" if head.channel == "bars" else head.channel, head.symbol)


class Own:
    """What a client watches by itself, and how far it was sent."""

    __slots__ = ("epoch", "room", "seq", "start", "terms")

    def __init__(self, terms: Terms, epoch: int, start: int, seq: int = NOT_SENT) -> None:
        self.terms = terms
        self.epoch = epoch
        self.room: Room | None = None
        """Which it may join."""
        self.start = start
        """Where the subscription began."""
        self.seq = seq
        """Of the newest frame sent; :data:`NOT_SENT`: the snapshot is still to come."""


class Room:
    """Who listens, and how far they are; a hub's client (:class:`tickcast.gateway.clients.Stream`) that feeds it."""

    def __init__(self, rooms: "Rooms", terms: Terms, epoch: int, seq: int) -> None:
        self._rooms = rooms
        self.terms = terms
        self.name = rooms.prefix + terms.room
        self.epoch = epoch
        self.seq = seq
        """Everybody who listens has all up to here."""
        self.listeners: dict[str, RoomClient] = {}
        """By the name that python-socketio knows them by."""
        self.waiting: dict[RoomClient, None] = {}
        """Who watches the same on its own, and may join."""
        self.client = -1
        self.address = ""
        self.blocked = False
        self.heard_ns = self.pinged_ns = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody is interested."""
        return not self.listeners and not self.waiting

    # ------------------------------------------------------------------ frames

    def write(self, data: bytes) -> None:
        """Take what the hub sends to the room."""
        for frame in payloads(data):
            head = head_of(frame)
            if head.symbol:
                prev = self.seq
                self.take(prev, head, frame)
                self._rooms.published(self, prev, frame)

    def take(self, prev: int, head: Head, frame: str) -> None:
        """Send a frame that follows on ``prev`` to those who listen, and to those who may from now on."""
        if head.seq < 0:
            self._send(packet_of(event_of(frame)), None)
            return
        begins = head.type == "snapshot" or (head.epoch not in {0, self.epoch})
        if not begins and head.seq <= self.seq:
            return  # told before, by another who feeds the room
        if not begins and prev > self.seq:
            self._rooms.leave_all(self, "gap")
        packet = packet_of(event_of(frame))
        self.seq, self.epoch = head.seq, head.epoch or self.epoch
        self._send(packet, None if begins else head.seq)
        self._let_in(prev, packet, begins=begins)

    def _send(self, packet: Any, seq: int | None) -> None:
        topic = self.terms.topic
        for sid, _ in self._rooms.manager.get_participants(NAMESPACE, self.name):
            listener = self.listeners.get(sid)
            if listener is not None and (seq is None or not listener.knows(topic, seq)):
                listener.hear(packet)

    def _let_in(self, prev: int, packet: Any, *, begins: bool) -> None:
        for member in list(self.waiting):
            own = member.own.get(self.terms.topic)
            if own is None or member.is_busy:
                continue
            if own.seq == NOT_SENT or not (begins or (own.epoch == self.epoch and prev <= own.seq)):
                continue
            if own.epoch == self.epoch and own.seq >= self.seq:
                member.ahead[self.terms.topic] = own.seq  # the room is late
                self._rooms.join(member, self)
            else:
                self._rooms.join(member, self)
                member.hear(packet)

    # ------------------------------------------------------------------ what a hub's client may be told

    def ping(self, now_ns: int) -> None:
        """Nobody is there."""

    def heartbeat(self) -> None:
        """Nobody is there."""

    def note(self, note: messages.Reply) -> None:
        """Rates that the gateway caps are told to each client by its own."""

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """A room has no pattern."""

    def close(self, code: int, reason: str) -> None:
        """Cannot be slow: what it is sent is taken at once."""

    def abort(self) -> None:
        """There is no connection."""


class RoomClient(EventClient):
    """A client that listens in rooms."""

    def __init__(self, rooms: "Rooms", clients: "Clients", link: "Link", sid: str, guest: Guest) -> None:
        self._rooms = rooms
        self.own: dict[Topic, Own] = {}
        self.joined: dict[Topic, Room] = {}
        self.ahead: dict[Topic, int] = {}
        """Where it was told more, on its own, than the room that it joined has told yet."""
        self.codec = 0
        self.is_hidden = False
        self._queue = link.outbox
        super().__init__(clients, rooms.desk, link, sid, guest)
        rooms.add(self)

    @property
    def is_busy(self) -> bool:
        """Whether it cannot join a room now."""
        return self.is_hidden or self.blocked or self.is_behind or self.closing

    def knows(self, topic: Topic, seq: int) -> bool:
        """Whether it was told before it joined."""
        if topic not in self.ahead:
            return False
        if seq <= self.ahead[topic]:
            return True
        del self.ahead[topic]
        return False

    def hear(self, packet: Any) -> None:
        """Take a packet of a room; whoever does not take what it is sent goes on on its own."""
        self.put(packet)
        if self.is_behind and not self.closing:
            self._rooms.leave(self, "slow")

    def write(self, data: bytes) -> None:
        """Queue what the hub sends to this client alone."""
        for frame in payloads(data):
            if self._is_news(head_of(frame)):
                self.put(packet_of(event_of(frame)))
        self.blocked = self.is_behind

    def _is_news(self, head: Head) -> bool:
        """Note how far the client was sent; False: a room was faster."""
        if not head.symbol or head.seq < 0:
            return True
        topic = topic_of(head)
        own, room = self.own.get(topic), self.joined.get(topic)
        if own is None:
            return room is None  # what is left of its own subscription: the room tells it
        if head.type != "snapshot" and head.epoch in {0, own.epoch} and head.seq <= own.seq:
            return False  # of a subscription before this one: a room told it meanwhile
        own.seq = head.seq
        if head.epoch not in {0, own.epoch}:
            own.epoch = head.epoch
            self._rooms.moved(self, own)
        return True

    def flushed(self) -> None:
        """Note that everything due was queued: trades have no snapshot that would say so."""
        if not self.blocked:
            for own in self.own.values():
                if own.terms.number == TRADES:
                    own.seq = max(own.seq, own.start)

    def _served(self, verdict: Any) -> None:
        super()._served(verdict)
        self.flushed()

    def _asked(self) -> None:
        if self.blocked:
            super()._asked()
            self.flushed()

    def _forget(self) -> None:
        self._rooms.forget(self)
        super()._forget()


class Rooms:
    """The mode; and to the sessions of its clients a hub, in front of the real one."""

    def __init__(self, clients: "Clients") -> None:
        """``clients`` has the real hub."""
        self._clients = clients
        self._hub = clients.hub
        known = clients.desk
        self.desk = Desk(
            self,
            known.config,
            known.field_names,
            clock=known.clock,
            wall=known.wall,
            flush=self._flush_client,
            status=known.status,
            directory=known.directory,
            owner=known.owner,
            pay=known.pay,
            delay_s=known.delay_s,
        )
        self.desk.pattern_watchers = known.pattern_watchers
        self.manager: Any = None
        self.rooms: dict[str, Room] = {}
        self._members: dict[int, RoomClient] = {}
        self._unflushed: set[int] = set()
        """Clients that went on on their own a moment ago."""
        self.prefix = f"late {known.delay_s:g}|" if known.delay_s else ""
        """Of names of rooms: python-socketio, and Redis, have one list of them for all hubs."""
        _rooms.labels("late" if known.delay_s else "live").set_function(lambda: len(self.rooms))

    # ------------------------------------------------------------------ the mode

    def attach(self, manager: Any) -> None:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""
        self.manager = manager

    async def start(self, tasks: TaskGroupOwner) -> None:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""

    async def stop(self) -> None:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""

    def client(self, clients: "Clients", link: "Link", sid: str, guest: Guest, auth: dict[str, Any]) -> EventClient:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""
        del auth
        return RoomClient(self, clients, link, sid, guest)

    def add(self, member: RoomClient) -> None:
        """Take a client in."""
        self._members[member.client] = member

    def forget(self, member: RoomClient) -> None:
        """Let a client go: from its rooms, and from those that it might have joined."""
        self._members.pop(member.client, None)
        for topic in list(member.joined):
            self._quit(member, topic)
        for own in list(member.own.values()):
            self._stop_waiting(member, own)
        member.own.clear()

    def published(self, room: Room, prev: int, frame: str) -> None:
        """Note that the hub told a room something; other nodes might want it."""

    def moved(self, member: RoomClient, own: Own) -> None:
        """Note that what a client watches has another epoch."""

    def name_of(self, own: Own) -> str:
        """Name of the room that a client may join."""
        return self.prefix + own.terms.room

    def make(self, own: Own) -> Room:
        """Make the room that a client may join."""
        return Room(self, own.terms, own.epoch, own.start)

    # ------------------------------------------------------------------ in and out of rooms

    def join(self, member: RoomClient, room: Room) -> None:
        """Let a client listen, in place of its own subscription."""
        topic = room.terms.topic
        self._hub.unsubscribe(member.client, room.terms.number, room.terms.symbol)
        member.own.pop(topic, None)
        room.waiting.pop(member, None)
        room.listeners[member.sid] = member
        member.joined[topic] = room
        self.manager.basic_enter_room(member.sid, NAMESPACE, room.name)

    def leave(self, member: RoomClient, reason: str) -> None:
        """Let a client go on on its own, in everything that it listens to."""
        for topic in list(member.joined):
            self._go_on_alone(member, topic, reason)

    def leave_all(self, room: Room, reason: str) -> None:
        """Let all who listen go on on their own."""
        for member in list(room.listeners.values()):
            self._go_on_alone(member, room.terms.topic, reason)

    def _go_on_alone(self, member: RoomClient, topic: Topic, reason: str) -> None:
        """Subscribe in the hub from where the room left a client."""
        _left.labels(reason).inc()
        ahead = member.ahead.get(topic, NOT_SENT)
        room = self._quit(member, topic, is_over=False)
        seq = max(room.seq, ahead)
        terms, now_ns = room.terms._replace(codec=member.codec), self._clients.clock()
        standing = self._hub.subscribe(
            member.client, terms.number, terms.symbol, terms.rate, terms.fields, terms.mode, now_ns
        )
        if standing is None:
            self._close_if_empty(room)
            return
        own = member.own[topic] = Own(terms, standing.epoch, standing.seq)
        refused = self._hub.resume(
            member.client, terms.number, terms.symbol, now_ns, epoch=room.epoch, seq=seq
        )  # fmt: skip
        if refused is None and terms.number <= TRADES:
            own.seq = seq
        elif terms.number == TRADES:
            self._tell_lost(member, room, seq, standing)
        self._wait(member, own)
        self._close_if_empty(room)
        if member.client not in self._unflushed:
            # what it missed must not wait until the market moves
            self._unflushed.add(member.client)
            asyncio.get_running_loop().call_soon(self._flush_client, member.client)

    def _tell_lost(self, member: RoomClient, room: Room, seq: int, standing: Standing) -> None:
        is_same = standing.epoch == room.epoch
        lost = {
            "type": "lost", "symbol": room.terms.symbol, "channel": "trades",
            "count": max(0, standing.seq - seq) if is_same else 0, "epoch": standing.epoch,
            "seq": standing.seq if is_same else 0,
        }  # fmt: skip
        self._hub.reply(member.client, msgspec.json.encode(lost))

    def _quit(self, member: RoomClient, topic: Topic, *, is_over: bool = True) -> Room:
        room = member.joined.pop(topic)
        member.ahead.pop(topic, None)
        room.listeners.pop(member.sid, None)
        self.manager.basic_leave_room(member.sid, NAMESPACE, room.name)
        if is_over:
            self._close_if_empty(room)
        return room

    def _wait(self, member: RoomClient, own: Own) -> None:
        """Let a client join a room when it can; the room is made if need be."""
        name = self.name_of(own)
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = self.make(own)
            self.feed(room)
        own.room = room
        room.waiting[member] = None

    def _stop_waiting(self, member: RoomClient, own: Own) -> None:
        room, own.room = own.room, None
        if room is not None:
            room.waiting.pop(member, None)
            self._close_if_empty(room)

    def _close_if_empty(self, room: Room) -> None:
        if room.is_empty and self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self.starve(room)

    def feed(self, room: Room) -> None:
        """Begin to send a room what the hub knows."""
        terms, hub = room.terms, self._hub
        room.client = hub.open(-1)
        hub.configure(room.client, codec=terms.codec, batch=False)
        self._clients.sources[room.client] = room
        standing = hub.subscribe(
            room.client, terms.number, terms.symbol, terms.rate, terms.fields, terms.mode, self._clients.clock()
        )
        if standing is not None:
            room.epoch, room.seq = standing.epoch, standing.seq

    def starve(self, room: Room) -> None:
        """Send a room nothing more."""
        if room.client >= 0:
            self._clients.sources.pop(room.client, None)
            self._hub.close(room.client)
            room.client = -1

    # ------------------------------------------------------------------ what sessions see: a hub

    def open(self, fd: int) -> int:
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.open(fd)

    def close(self, client: int) -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.close(client)

    def configure(self, client: int, *, codec: int, batch: bool) -> None:
        """See :class:`tickcast.ports.Fanout`; who is written to otherwise than before leaves its rooms."""
        del batch
        self._hub.configure(client, codec=codec, batch=False)
        member = self._members.get(client)
        if member is None or member.codec == codec:
            return
        member.codec = codec
        self.leave(member, "numbers")
        for own in member.own.values():
            self._stop_waiting(member, own)
            own.terms = own.terms._replace(codec=codec)
            self._wait(member, own)

    def subscribe(  # noqa: PLR0917  the native signature
        self, client: int, channel: int, symbol: str, rate: int, fields: int, mode: int, now_ns: int
    ) -> Standing | None:
        """See :class:`tickcast.ports.Fanout`."""
        member = self._members[client]
        terms = Terms(channel, symbol, rate, fields, mode, member.codec)
        topic = terms.topic
        room, own = member.joined.get(topic), member.own.get(topic)
        if room is not None:
            if room.terms == terms:
                return self._hub.position(symbol, channel)
            self._quit(member, topic)
        standing = self._hub.subscribe(client, channel, symbol, rate, fields, mode, now_ns)
        if standing is None:
            return None
        if fields:  # the hub keeps a bounded number of field sets
            watched = self._hub.subscriptions(client)
            kept = [kept for number, of, _, kept, _ in watched if number == channel and of == symbol]
            terms = terms._replace(fields=kept[0])
        if own is None or own.terms != terms:
            if own is not None:
                self._stop_waiting(member, own)
            own = member.own[topic] = Own(terms, standing.epoch, standing.seq)
            self._wait(member, own)
        return standing

    def unsubscribe(self, client: int, channel: int, symbol: str) -> bool:
        """See :class:`tickcast.ports.Fanout`."""
        member = self._members[client]
        topic = Terms(channel, symbol, 0, 0, 0).topic
        room, own = member.joined.get(topic), member.own.get(topic)
        if room is not None and room.terms.number == channel:
            self._quit(member, topic)
            return True
        if own is not None and own.terms.number == channel:
            del member.own[topic]
            self._stop_waiting(member, own)
        return self._hub.unsubscribe(client, channel, symbol)

    def subscriptions(self, client: int) -> list[tuple[int, str, int, int, int]]:
        """See :class:`tickcast.ports.Fanout`."""
        joined = [room.terms for room in self._members[client].joined.values()]
        return self._hub.subscriptions(client) + [
            (terms.number, terms.symbol, terms.rate, terms.fields, terms.mode) for terms in joined
        ]

    def resume(self, client: int, channel: int, symbol: str, now_ns: int, **place: int) -> str | None:
        """See :class:`tickcast.ports.Fanout`; what was missed is the client's own."""
        member = self._members[client]
        topic = Terms(channel, symbol, 0, 0, 0).topic
        if topic in member.joined:
            self._go_on_alone(member, topic, "resume")
        refused = self._hub.resume(client, channel, symbol, now_ns, **place)
        own = member.own.get(topic)
        if own is not None and channel == TRADES:
            own.seq = NOT_SENT  # what is repeated is wanted
        elif refused is None and own is not None and channel < TRADES and place.get("epoch"):
            own.seq = place.get("seq", NOT_SENT)
        return refused

    def set_hidden(self, client: int, hidden: bool) -> None:  # noqa: FBT001  the native signature
        """See :class:`tickcast.ports.Fanout`; who is hidden has a pace of its own."""
        member = self._members[client]
        member.is_hidden = hidden
        if hidden:
            self.leave(member, "hidden")
        self._hub.set_hidden(client, hidden)

    def sync(self, client: int, now_ns: int) -> list[tuple[int, str, int, int, int, int, int, int]]:
        """Refuse: see the head of this file."""
        del client, now_ns
        mode = self.desk.config.socketio.mode
        raise Refused(
            ErrorCode.INVALID_REQUEST, f"sync: in the mode {mode} there are no counters of one client; seq tells losses"
        )

    def reply(self, client: int, payload: bytes) -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.reply(client, payload)

    def control(self, client: int, opcode: int, payload: bytes = b"") -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.control(client, opcode, payload)

    def set_ids(self, client: int, prefix: bytes, most: int, *, each: bool = False) -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.set_ids(client, prefix, most, each=each)

    def place_of(self, client: int) -> bytes:
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.place_of(client)

    def flush(self, now_ns: int, only: int = -1) -> Flush:
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.flush(now_ns, only)

    def drained(self, client: int) -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.drained(client)

    def quiet(self, before_ns: int) -> list[int]:
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.quiet(before_ns)

    def set_wall_ahead(self, ahead_ns: int) -> None:
        """See :class:`tickcast.ports.Fanout`."""
        self._hub.set_wall_ahead(ahead_ns)

    def position(self, symbol: str, channel: int) -> Standing | None:
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.position(symbol, channel)

    def price(self, symbol: str, strings: bool = False) -> bytes | None:  # noqa: FBT001, FBT002  the native signature
        """See :class:`tickcast.ports.Fanout`."""
        return self._hub.price(symbol, strings)

    def _flush_client(self, client: int) -> None:
        self._unflushed.discard(client)
        member = self._members.get(client)
        self._clients.flush(client, self._clients.clock())
        if member is not None:
            member.flushed()

    def members(self) -> Iterator[RoomClient]:
        """All clients."""
        yield from self._members.values()

"""The mode ``redis``: rooms over several nodes, whose subscriptions outlive the node.

Nodes are gateways with the same ``redis_prefix``, on one machine or on many. Of each room, one node (it holds a lease,
``SET NX PX``) subscribes in its hub; it publishes the room's frames, and the others deliver what they receive. What
Redis publishes may be lost, late or from another who thinks it has the lease, so each message says where the frame
begins and ends (``prev``, ``seq``): nobody joins a room, or stays in it, over a gap
(:meth:`tickcast.gateway.socketio.rooms.Room.take`). If a room is silent for longer than its lease, or Redis is away,
its listeners go on on subscriptions of their own at once: they wait for nobody.

A room is of one epoch: nodes whose hubs do not count alike (those of different instances) have different rooms.

What a client watches is kept under the hash of a token that it is told (event ``session``). Who shows it in ``auth``
at any node, ``{"session": token}``, is subscribed to all of it again, with snapshots, as far as it may see it still.
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import redis.asyncio
import redis.exceptions

from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.requests import CHANNEL_NAMES, depth_of, interval_of, mode_name
from tickcast.gateway.socketio.client import EventClient, packet_of
from tickcast.gateway.socketio.packets import Head, event_of, head_of
from tickcast.gateway.socketio.rooms import NOT_SENT, Own, Room, RoomClient, Rooms, Terms
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner, is_cancelled

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients
    from tickcast.gateway.socketio.engine import Link

log = get_logger("gateway")

LEASE_MS: Final = 3_000
TEND_S: Final = 0.5
"""Time between two looks at leases and at what clients watch."""
RETRY_S: Final = 0.5
OUTGOING_MAX: Final = 10_000
"""Messages that wait to be published; further ones are dropped, and those who listen go on on their own."""
SESSION_MAX: Final = 128
"""Characters of a token."""
REQUESTS_MAX: Final = 16
"""Subscriptions with different terms that are remembered of a client."""
RENEW: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
GIVE_UP: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"
AWAY: Final = (redis.exceptions.RedisError, OSError, TimeoutError)

_published: Final = metrics.counter("gateway_socketio_published", "Frames published to other nodes, so far.")
_received: Final = metrics.counter("gateway_socketio_received", "Frames of other nodes, so far.")
_dropped: Final = metrics.counter("gateway_socketio_unpublished", "Frames that Redis did not take in time, so far.")


class Envelope(msgspec.Struct, array_like=True):
    """What is published."""

    node: str
    prev: int
    epoch: int
    frame: str
    """Empty: the node still has the lease, and the room stands at ``prev``."""


class Remembered(msgspec.Struct):
    """What is kept of a client."""

    subject: str
    """Whose it is: nobody else may take it up."""
    requests: list[dict[str, Any]]


class NodeRoom(Room):
    """A room of one epoch that this node feeds, or another."""

    def __init__(self, rooms: "NodeRooms", terms: Terms, epoch: int, seq: int) -> None:
        super().__init__(rooms, terms, epoch, seq)
        self._nodes = rooms
        self.name = f"{rooms.prefix}{terms.room}|{epoch}"
        self.heard_ns = 0
        """When its feeder was heard of last."""

    @property
    def is_ours(self) -> bool:
        """Whether this node feeds it."""
        return self.client >= 0

    def take(self, prev: int, head: Head, frame: str) -> None:
        """See :class:`~tickcast.gateway.socketio.rooms.Room`; with a new epoch the room is over."""
        if head.epoch in {0, self.epoch}:
            super().take(prev, head, frame)
        else:
            self._nodes.end_epoch(self, head.epoch)


class NodeClient(RoomClient):
    """A client whose subscriptions are remembered."""

    token = ""
    subject = ""


class NodeRooms(Rooms):
    """The mode."""

    def __init__(self, clients: "Clients") -> None:
        """Prepare; nothing is connected yet."""
        super().__init__(clients)
        settings = clients.config.socketio
        self.node = secrets.token_hex(8)
        self._prefix = settings.redis_prefix
        self._remember_ms = int(settings.remember_s * 1000)
        self._redis: Any = redis.asyncio.Redis.from_url(
            settings.redis_url, socket_connect_timeout=2.0, socket_timeout=5.0, health_check_interval=0
        )
        self._listener: Any = None
        self._heard: set[str] = set()
        self._leases: set[str] = set()
        """Leases that this node holds, or held a moment ago."""
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._is_waiting = asyncio.Event()
        self._remembered_ns: dict[int, tuple[int, bytes]] = {}
        self._tasks: TaskGroupOwner | None = None
        self._is_away = False
        metrics.watch_queue(
            "gateway.socketio_outgoing" + ("_late" if self.prefix else ""),
            bound=OUTGOING_MAX,
            depth=lambda: len(self._outgoing),
            drops=lambda: 0,
        )

    async def start(self, tasks: TaskGroupOwner) -> None:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""
        self._tasks = tasks
        tasks.spawn(self._publish(), "publish")
        tasks.spawn(self._listen(), "listen")
        tasks.spawn(self._tend(), "tend")

    async def stop(self) -> None:
        """Give the leases back, so that others need not wait for their end."""
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(1.0):
                for lease in list(self._leases):
                    await self._redis.eval(GIVE_UP, 1, lease, self.node)
        with contextlib.suppress(*AWAY):
            if self._listener is not None:
                await self._listener.aclose()
            await self._redis.aclose()

    # ------------------------------------------------------------------ rooms

    def feed(self, room: Room) -> None:
        """Do nothing yet: who feeds a room is decided with the next look at the leases."""

    def name_of(self, own: Own) -> str:
        """Name a room: counters of another epoch are none of its business."""
        return f"{self.prefix}{own.terms.room}|{own.epoch}"

    def make(self, own: Own) -> Room:
        """See :class:`~tickcast.gateway.socketio.rooms.Rooms`."""
        return NodeRoom(self, own.terms, own.epoch, own.start)

    def moved(self, member: RoomClient, own: Own) -> None:
        """See :class:`~tickcast.gateway.socketio.rooms.Rooms`: another epoch, another room."""
        self._stop_waiting(member, own)
        self._wait(member, own)

    def starve(self, room: Room) -> None:
        """Let go of a room that nobody here listens to."""
        was_ours = room.client >= 0
        super().starve(room)
        if was_ours and self._tasks is not None:
            self._tasks.spawn(self._give_up(self._lease(room)), "lease")

    async def _give_up(self, lease: str) -> None:
        with contextlib.suppress(*AWAY):
            await self._redis.eval(GIVE_UP, 1, lease, self.node)
            self._leases.discard(lease)

    def end_epoch(self, room: NodeRoom, epoch: int) -> None:
        """The hub counts anew: who listens begins anew, on its own, and in another room later."""
        self._tell(room, Envelope(self.node, NOT_SENT, epoch, ""))
        self.leave_all(room, "epoch")

    def published(self, room: Room, prev: int, frame: str) -> None:
        """Tell the other nodes."""
        if room.client >= 0:
            self._tell(room, Envelope(self.node, prev, room.epoch, frame))

    def _tell(self, room: Room, envelope: Envelope) -> None:
        if len(self._outgoing) >= OUTGOING_MAX:
            _dropped.inc()
            return
        self._outgoing.append((self._channel(room.name), msgspec.msgpack.encode(envelope)))
        self._is_waiting.set()

    def _channel(self, name: str) -> str:
        return f"{self._prefix}:room:{name}"

    def _lease(self, room: Room) -> str:
        return f"{self._prefix}:lease:{room.name}"

    # ------------------------------------------------------------------ Redis
    # redis-py 8.1 loses a cancellation that comes while a pipeline's answer does: each loop asks for itself.

    async def _publish(self) -> None:
        while not is_cancelled():
            await self._is_waiting.wait()
            self._is_waiting.clear()
            while self._outgoing and not is_cancelled():
                some = [self._outgoing.popleft() for _ in range(min(500, len(self._outgoing)))]
                try:
                    async with self._redis.pipeline(transaction=False) as pipeline:
                        for channel, message in some:
                            pipeline.publish(channel, message)
                        await pipeline.execute()
                    _published.inc(len(some))
                except AWAY as wrong:
                    _dropped.inc(len(some))
                    self._lost(wrong)
                    await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        while not is_cancelled():
            try:
                self._listener = self._redis.pubsub(ignore_subscribe_messages=True)
                self._heard = set()
                await self._listener.subscribe(f"{self._prefix}:nodes")
                await self._follow()
                while not is_cancelled():
                    message = await self._listener.get_message(timeout=1.0)
                    if message is not None:
                        self._take(message["channel"].decode(), message["data"])
            except AWAY as wrong:
                self._lost(wrong)
                with contextlib.suppress(*AWAY):
                    await self._listener.aclose()
                self._listener = None
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Listen to the channels of the rooms that there are here, and to no others."""
        if self._listener is None:
            return
        wanted = {self._channel(name) for name in self.rooms}
        if new := wanted - self._heard:
            await self._listener.subscribe(*new)
        if old := self._heard - wanted:
            await self._listener.unsubscribe(*old)
        self._heard = wanted

    def _take(self, channel: str, data: bytes) -> None:
        try:
            envelope = msgspec.msgpack.decode(data, type=Envelope)
            head = head_of(envelope.frame) if envelope.frame else None
        except msgspec.DecodeError:
            return
        room = self.rooms.get(channel.removeprefix(self._channel("")))
        if envelope.node == self.node or not isinstance(room, NodeRoom) or room.is_ours:
            return
        room.heard_ns = self._clients.clock()
        _received.inc()
        if head is not None:
            room.take(envelope.prev, head, envelope.frame)
        elif room.seq < envelope.prev or room.epoch != envelope.epoch:
            self.leave_all(room, "gap")  # a frame was lost
            room.seq = max(room.seq, envelope.prev)

    def _lost(self, wrong: BaseException) -> None:
        """Redis is away: nobody waits for it."""
        if not self._is_away:
            self._is_away = True
            log.warning("Redis is away: clients of Socket.IO go on on their own", reason=str(wrong))
        for room in list(self.rooms.values()):
            if isinstance(room, NodeRoom) and not room.is_ours:
                self.leave_all(room, "redis")

    # ------------------------------------------------------------------ leases

    async def _tend(self) -> None:
        while not is_cancelled():
            await asyncio.sleep(TEND_S)
            try:
                await self._look_at_leases()
                await self._follow()
                await self._remember()
                if self._is_away:
                    self._is_away = False
                    log.info("Redis is back")
            except AWAY as wrong:
                self._lost(wrong)

    async def _look_at_leases(self) -> None:
        rooms = [room for room in self.rooms.values() if isinstance(room, NodeRoom)]
        for some in (rooms[place : place + 500] for place in range(0, len(rooms), 500)):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for room in some:
                    if room.is_ours:
                        pipeline.eval(RENEW, 1, self._lease(room), self.node, LEASE_MS)
                    else:
                        pipeline.set(self._lease(room), self.node, nx=True, px=LEASE_MS)
                answers = await pipeline.execute()
            for room, answer in zip(some, answers, strict=True):
                if self.rooms.get(room.name) is room:
                    self._settle(room, has_lease=bool(answer))

    def _settle(self, room: NodeRoom, *, has_lease: bool) -> None:
        now_ns = self._clients.clock()
        if has_lease and not room.is_ours:
            self._leases.add(self._lease(room))
            self.leave_all(room, "feeder")  # they join again at the first frame of ours
            if self.rooms.get(room.name) is room:
                self._begin_to_feed(room)
        elif room.is_ours and not has_lease:
            super().starve(room)
            room.heard_ns = now_ns
            self.leave_all(room, "feeder")
        elif not room.is_ours and room.listeners and now_ns - room.heard_ns > LEASE_MS * 1_000_000:
            self.leave_all(room, "silent")
        if room.is_ours:
            self._tell(room, Envelope(self.node, room.seq, room.epoch, ""))

    def _begin_to_feed(self, room: NodeRoom) -> None:
        epoch = room.epoch
        super().feed(room)
        if room.epoch != epoch:  # our hub counts anew already
            room.epoch = epoch
            super().starve(room)

    # ------------------------------------------------------------------ what clients watch

    def client(self, clients: "Clients", link: "Link", sid: str, guest: Guest, auth: dict[str, Any]) -> EventClient:
        """See :class:`~tickcast.gateway.socketio.modes.Mode`."""
        member = NodeClient(self, clients, link, sid, guest)
        shown = auth.get("session")
        if self._tasks is not None:
            token = shown if isinstance(shown, str) and 0 < len(shown) <= SESSION_MAX else ""
            self._tasks.spawn(self._recall(member, guest.access.subject, token), "recall")
        return member

    async def _recall(self, member: NodeClient, subject: str, token: str) -> None:
        """Subscribe a client that comes back to what it watched; tell it its token."""
        remembered = None
        with contextlib.suppress(*AWAY):
            remembered = await self._load(token) if token else None
        if remembered is not None and remembered.subject != subject:
            remembered = None
        member.subject = subject
        member.token = token if remembered is not None else secrets.token_urlsafe(24)
        symbols = 0
        for request in remembered.requests if remembered is not None else ():
            reply = await member.event("subscribe", [request])
            if reply is not None and reply.get("type") == "subscribed":
                symbols += sum("epoch" in standing for standing in reply["symbols"].values())
        told = {"type": "session", "session": member.token, "recalled": remembered is not None, "symbols": symbols}
        member.put(packet_of(event_of(msgspec.json.encode(told).decode())))

    async def _load(self, token: str) -> Remembered | None:
        data = await self._redis.get(self._key(token))
        try:
            return None if data is None else msgspec.json.decode(data, type=Remembered)
        except msgspec.DecodeError:
            return None

    async def _remember(self) -> None:
        """Write down what clients watch: at once where it changed, and before it is forgotten."""
        now_ns, changed = self._clients.clock(), []
        for member in self.members():
            if not isinstance(member, NodeClient) or not member.token:
                continue
            data = msgspec.json.encode(Remembered(member.subject, self._requests_of(member)))
            at_ns, before = self._remembered_ns.get(member.client, (0, b""))
            if data != before or now_ns - at_ns > self._remember_ms * 1_000_000 // 3:
                changed.append((member, data))
        for some in (changed[place : place + 500] for place in range(0, len(changed), 500)):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for member, data in some:
                    pipeline.set(self._key(member.token), data, px=self._remember_ms * 4 // 3)
                await pipeline.execute()
            self._remembered_ns.update((member.client, (now_ns, data)) for member, data in some)
        if len(self._remembered_ns) > 2 * len(self._members) + 100:
            self._remembered_ns = {
                client: kept for client, kept in self._remembered_ns.items() if client in self._members
            }

    def _requests_of(self, member: NodeClient) -> list[dict[str, Any]]:
        groups: dict[tuple[int, int, int, int], list[str]] = {}
        for number, symbol, rate, fields, mode in self.subscriptions(member.client):
            groups.setdefault((number, rate, fields, mode), []).append(symbol)
        return [
            self._request(number, rate, fields, mode, symbols) | ({"numbers": "string"} if member.codec else {})
            for (number, rate, fields, mode), symbols in sorted(groups.items())[:REQUESTS_MAX]
        ]

    def _request(self, number: int, rate: int, fields: int, mode: int, symbols: Iterable[str]) -> dict[str, Any]:
        channel = CHANNEL_NAMES[number]
        request = {
            "symbols": sorted(symbols), "channel": channel, "rate": rate, "mode": mode_name(number, mode),
            "depth": depth_of(number), "interval": interval_of(number),
        }  # fmt: skip
        if channel == "price" and fields:
            request["fields"] = self.desk.names(fields)
        return {key: value for key, value in request.items() if value is not msgspec.UNSET}

    def _key(self, token: str) -> str:
        # who sees everything late takes nothing up of somebody who does not
        return f"{self._prefix}:session:{self.prefix}{hashlib.sha256(token.encode()).hexdigest()}"

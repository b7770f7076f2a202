"""The links of a feed: which channels each carries, what has been asked for on it, and what was confirmed.

A channel is *wanted* (waits for its turn), *asked* (sent, not answered), *active* or *refused*; it goes round again
when the link comes back. Everything that is sent goes through one queue for each link, so that the venue's limit of
messages holds whatever it is that is sent.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from tickcast.venues.base import Link
from tickcast.venues.declared.asks import Asks
from tickcast.venues.declared.pacing import SECOND_NS, Bucket, soonest
from tickcast.venues.declared.venue import Channel, Limits, Venue

ANSWER_NS: Final = 5 * SECOND_NS
"""A subscription is confirmed within this time, or asked for again."""
ASKED_MAX: Final = 2
"""So often, before it counts as refused."""
SHARES: Final = 4
"""A message that is refused as a whole is asked for again in so many parts: one bad channel keeps no others out."""
REFUSED_NS: Final = 60 * SECOND_NS
"""What was refused is asked for again after this time."""
PONG_NS: Final = 10 * SECOND_NS
"""A venue that is pinged says something within this time, or the link is dead."""

Phase = Literal["wanted", "asked", "active", "refused"]
Admitted = Literal["free", "wanted", "asked", "told"]


class Subscription:
    """One channel on one link."""

    __slots__ = ("asked_ns", "asked_with", "attempts", "channel", "handle", "phase", "share", "urgency")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.phase: Phase = "wanted"
        self.attempts = 0
        self.asked_ns = 0
        """When it was asked for, or refused."""
        self.asked_with = 1
        """Channels of the message that asked for it."""
        self.share = 0
        """So many channels at most in the next message that asks for it; 0 = as many as the venue takes."""
        self.urgency = 0.0
        """The most urgent go first."""
        self.handle = ""
        """What the venue calls it."""

    @property
    def named(self) -> Channel:
        """The channel with what the venue calls this subscription."""
        return replace(self.channel, handle=self.handle) if self.handle else self.channel

    def share_out(self) -> None:
        """One of those that it was asked for with is refused, and nobody knows which: ask again for fewer at once."""
        self.share = -(-self.asked_with // SHARES)
        self.phase = "wanted"


class Wire:
    """One link: its channels, and what waits to be sent."""

    def __init__(self, number: int, name: str, *, endpoint: str, market: str, limits: Limits, line: str = "") -> None:
        self.number = number
        """As the core knows it."""
        self.name = name
        self.line = line
        """``B``: what it carries comes over another link too, whether or not that one is open."""
        self.replaces: Wire | None = None
        """The link whose place it is to take: until then nothing depends on it."""
        self.opened_ns = 0
        self.endpoint = endpoint
        self.market = market
        self.target = ""
        self.subscriptions: dict[Channel, Subscription] = {}
        self._restless: dict[Channel, Subscription] = {}
        """Those that are not active."""
        self.is_named = False
        """The shell has been told of it."""
        self.is_open = False
        self.opened_count = 0
        self.heard_ns = 0
        self.pinged_ns = 0
        """When a ping was sent that nothing has followed yet; 0 = none."""
        self.ping_sent_ns = 0
        """When the newest ping of the venue's own kind was sent; 0 = none was."""
        self.ping_due_ns = 0
        self.ping_ns = 0
        """So often the venue's own ping is sent; 0 = never."""
        self.admission: Admitted = "free"
        """Where the venue must admit it before it opens: how far that is (:mod:`.admissions`)."""
        self.has_spoken = False
        """Something came since it was opened."""
        self.confirms = False
        """The venue confirms subscriptions: one that is not confirmed is none."""
        self._limits = limits
        self._bucket = Bucket(limits.messages)
        self.asks = Asks(limits.asks)
        """Books that are asked for on this link."""
        self._queue: deque[tuple[bytes, tuple[Channel, ...]]] = deque()
        """Frames to be sent, and the channels of which it is the last word."""
        self._unanswered: deque[tuple[Channel, ...]] = deque()
        self._dropping: list[Channel] = []
        self._renewing: dict[Channel, float] = {}
        """To be subscribed anew, and how urgent it is."""

    # ------------------------------------------------------------------ what it carries

    @property
    def room(self) -> int:
        """How many channels more it may carry."""
        return self._limits.room(self.endpoint) - len(self.subscriptions)

    def add(self, channels: Iterable[Channel]) -> None:
        """Carry channels."""
        for channel in channels:
            if channel not in self.subscriptions:
                self.subscriptions[channel] = self._restless[channel] = Subscription(channel)

    def remove(self, channels: Iterable[Channel]) -> None:
        """Carry channels no more."""
        for channel in channels:
            subscription = self.subscriptions.pop(channel, None)
            self._renewing.pop(channel, None)
            self.asks.discard(channel)
            self._restless.pop(channel, None)
            if subscription is not None and self.is_open and subscription.phase in {"asked", "active"}:
                self._dropping.append(subscription.named)

    def renew(self, channel: Channel, urgency: float) -> None:
        """Subscribe a channel anew: unsubscribe, subscribe."""
        if self.is_open and channel in self.subscriptions:
            self._renewing[channel] = urgency

    def say(self, frame: bytes) -> None:
        """Send a frame when its turn comes."""
        self._queue.append((frame, ()))

    def opened(self, hello: Sequence[bytes], now_ns: int) -> None:
        """It is open: everything is to be asked for."""
        self.is_open = True
        self.opened_count += 1
        self.opened_ns = self.heard_ns = now_ns
        self._reset()
        self._queue.extend((frame, ()) for frame in hello)

    def closed(self) -> None:
        """It is closed: nothing is subscribed any more."""
        self.is_open = False
        self._reset()

    def _reset(self) -> None:
        self.pinged_ns = 0
        self.has_spoken = False
        self._queue.clear()
        self._unanswered.clear()
        self._dropping.clear()
        self._renewing.clear()
        self._bucket = Bucket(self._limits.messages)
        self.asks = Asks(self._limits.asks)
        self._restless = dict(self.subscriptions)
        for subscription in self._restless.values():
            subscription.phase = "wanted"
            subscription.attempts = 0
            subscription.handle = ""

    # ------------------------------------------------------------------ sending

    def first(self, frames: Iterable[bytes], now_ns: int) -> list[tuple[str, bytes]]:
        """Send at once: answers to pings, which count all the same."""
        sent = [(self.name, frame) for frame in frames]
        self._bucket.spend(len(sent), now_ns)
        return sent

    def pump(self, venue: Venue, now_ns: int) -> list[tuple[str, bytes]]:
        """Return what may be sent now."""
        sent: list[tuple[str, bytes]] = []
        while self.is_open and (self._queue or self._fill(venue, now_ns)):
            if self._bucket.ready_ns(1, now_ns) > now_ns:
                break
            frame, channels = self._queue.popleft()
            self._bucket.spend(1, now_ns)
            sent.append((self.name, frame))
            for channel in channels:
                subscription = self.subscriptions.get(channel)
                if subscription is not None:
                    subscription.asked_ns = now_ns
            if channels:
                self._unanswered.append(channels)
        return sent

    def _fill(self, venue: Venue, now_ns: int) -> bool:
        """Write the next frames; whether there are any."""
        most = self._limits.channels_per_message
        if self._dropping:
            part, self._dropping = self._dropping[:most], self._dropping[most:]
            self._queue.extend((frame, ()) for frame in venue.unsubscribe(part))
            return bool(self._queue)
        if self._renewing:
            urgent = sorted(self._renewing, key=lambda channel: -self._renewing[channel])[:most]
            for channel in urgent:
                del self._renewing[channel]
            named = [self.subscriptions[channel].named for channel in urgent]
            self._queue.extend((frame, ()) for frame in venue.unsubscribe(named))
            self._ask(venue, urgent, now_ns)
            return bool(self._queue)
        wanted = [one for one in self._restless.values() if one.phase == "wanted"]
        if wanted:
            wanted.sort(key=lambda one: -one.urgency)
            share = wanted[0].share
            alike = [one.channel for one in wanted if one.share == share]
            self._ask(venue, alike[: min(most, share or most)], now_ns)
        return bool(self._queue)

    def _ask(self, venue: Venue, channels: list[Channel], now_ns: int) -> None:
        frames = list(venue.subscribe(channels))
        for place, frame in enumerate(frames):
            self._queue.append((frame, tuple(channels) if place == len(frames) - 1 else ()))
        for channel in channels:
            subscription = self._restless[channel] = self.subscriptions[channel]
            subscription.phase = "asked"
            subscription.handle = ""
            subscription.attempts += 1
            subscription.asked_with = len(channels)
            subscription.asked_ns = now_ns

    @property
    def waits(self) -> bool:
        """Whether something waits to be sent."""
        return self.is_open and (
            bool(self._queue or self._dropping or self._renewing)
            or any(one.phase == "wanted" for one in self._restless.values())
        )

    # ------------------------------------------------------------------ answers

    def confirmed(self, channels: Sequence[Channel], *, by_speech: bool = False) -> list[Channel]:
        """Subscriptions are confirmed (none named: those of the oldest message); returns those that were not before."""
        self.confirms |= not by_speech
        if not channels:
            found: Iterable[Channel] = self._unanswered.popleft() if self._unanswered else ()
        else:
            found = self._handled(channels)
        return [channel for channel in found if self.heard(channel)]

    def _handled(self, channels: Sequence[Channel]) -> list[Channel]:
        """Return the channels that are meant, and keep what the venue calls them."""
        found = []
        for named in channels:
            for known in self.named(named):
                if named.handle:
                    self.subscriptions[known].handle = named.handle
                found.append(known)
        return found

    def heard(self, channel: Channel) -> bool:
        """Take a channel as subscribed, since it speaks; whether that is news."""
        subscription = self.subscriptions.get(channel)
        if subscription is None or subscription.phase == "active":
            return False
        subscription.phase = "active"
        self._restless.pop(channel, None)
        subscription.attempts = subscription.share = 0
        return True

    def refused(self, channel: Channel | None, now_ns: int, among: Sequence[Channel] = ()) -> list[Channel]:
        """A subscription is refused, or without one a whole message: that of ``among``, else the oldest.

        Returns what is refused. Of several channels in a message nobody knows which was refused: each part of them is
        asked for again.
        """
        if channel is None:
            found: Sequence[Channel] = (
                [one for named in among for one in self.named(named)] if among else self._oldest()
            )
            if among or len(found) > 1:
                for one in found:
                    self.subscriptions[one].share_out()
                return []
        else:
            found = self.named(channel)
        for one in found:
            subscription = self.subscriptions.get(one)
            if subscription is not None:
                subscription.phase = "refused"
                subscription.asked_ns = now_ns
                self._restless[one] = subscription
        return list(found)

    def is_active(self, channel: Channel) -> bool:
        """Whether the subscription to a channel was confirmed."""
        return all(self.subscriptions[one].phase == "active" for one in self.named(channel))

    def _oldest(self) -> Sequence[Channel]:
        """Channels of the oldest message that is not answered, as far as they still wait for an answer."""
        while self._unanswered:
            waiting = [
                one
                for one in self._unanswered.popleft()
                if (known := self.subscriptions.get(one)) is not None and known.phase == "asked"
            ]
            if waiting:
                return waiting
        return ()

    def named(self, named: Channel) -> list[Channel]:
        """Return the channels of this link that are meant by a name."""
        if named in self.subscriptions:
            return [named]
        return [one for one in self.subscriptions if (one.name, one.native) == (named.name, named.native)]

    def overdue(self, now_ns: int) -> list[Channel]:
        """Ask again for what was not answered; returns what was asked for in vain too often, which is refused now."""
        given_up = []
        for subscription in self._restless.values():
            age_ns = now_ns - subscription.asked_ns
            if subscription.phase == "asked" and age_ns >= ANSWER_NS:
                if subscription.attempts < ASKED_MAX:
                    subscription.phase = "wanted"
                elif self.confirms and subscription.asked_with > 1:
                    subscription.share_out()
                else:
                    subscription.phase = "refused"
                    subscription.asked_ns = now_ns
                    given_up.append(subscription.channel)
            elif subscription.phase == "refused" and age_ns >= REFUSED_NS:
                subscription.phase = "wanted"
                subscription.attempts = ASKED_MAX - 1
        return given_up

    # ------------------------------------------------------------------ time

    def next_ns(self, now_ns: int) -> int:
        """When something is to be done; 0 = nothing is."""
        if not self.is_open:
            return 0
        due = [self.ping_due_ns, self.pinged_ns + PONG_NS if self.pinged_ns else 0]
        if self.waits:
            due.append(self._bucket.ready_ns(1, now_ns))
        for subscription in self._restless.values():
            if subscription.phase == "asked":
                due.append(subscription.asked_ns + ANSWER_NS)
            elif subscription.phase == "refused":
                due.append(subscription.asked_ns + REFUSED_NS)
        return soonest(due)


class Wires:
    """All links of a feed, and which of them carries what."""

    def __init__(self, venue: Venue, limits: Limits) -> None:
        """``limits``: the venue's, or less."""
        self._venue = venue
        self._limits = limits
        self._number = 0
        self._names: Counter[str] = Counter()
        self.by_name: dict[str, Wire] = {}
        self.by_channel: dict[Channel, Wire] = {}
        """The link that each depends on: of two lines the one that has not been lost."""
        self.second: dict[Channel, Wire] = {}
        """The other line, of channels that have two."""
        self.retired: set[str] = set()
        """Links that are replaced, and not closed yet."""

    def __iter__(self) -> Iterator[Wire]:
        """All of them, oldest first."""
        return iter(self.by_name.values())

    def place(
        self, groups: Iterable[Sequence[Channel]], open_link: Callable[[int, str], None], *, line: str = ""
    ) -> None:
        """Spread groups of channels over links: what is of one group and endpoint stays together.

        ``open_link`` is told of the number and market of each new link; ``line`` ``B``: over other links once more.
        """
        placed = self.second if line else self.by_channel
        for group in groups:
            parts: dict[tuple[str, str], list[Channel]] = {}
            for channel in group:
                if channel not in placed:
                    parts.setdefault((channel.endpoint, channel.market), []).append(channel)
            for (endpoint, market), channels in parts.items():
                most = self._limits.room(endpoint)
                for begin in range(0, len(channels), most):
                    part = channels[begin : begin + most]
                    wire = self._find_room(endpoint, market, part, line)
                    if wire is None:
                        wire = self._add(self._name(endpoint), endpoint, market, line)
                        open_link(wire.number, market)
                    wire.add(part)
                    placed.update(dict.fromkeys(part, wire))

    def _name(self, endpoint: str) -> str:
        kind = endpoint or "streams"
        self._names[kind] += 1
        return f"{kind}-{self._names[kind]}"

    def _add(self, name: str, endpoint: str, market: str, line: str) -> Wire:
        wire = Wire(self._number, name, endpoint=endpoint, market=market, limits=self._limits, line=line)
        self._number += 1
        wire.ping_ns = int(self._venue.ping_interval_s * SECOND_NS)
        if self._venue.admission(endpoint) is not None:
            wire.admission = "wanted"
        self.by_name[name] = wire
        return wire

    def _find_room(self, endpoint: str, market: str, channels: list[Channel], line: str) -> Wire | None:
        return next((one for one in self.by_name.values() if self._takes(one, endpoint, market, channels, line)), None)

    def _takes(self, wire: Wire, endpoint: str, market: str, channels: list[Channel], line: str) -> bool:
        if (wire.endpoint, wire.market) != (endpoint, market) or wire.room < len(channels):
            return False
        if wire.line != line or wire.replaces is not None or wire.name in self.retired:
            return False
        if not wire.is_named:
            return True
        # an address that names its channels cannot take more once it is told
        return self._venue.target(endpoint, [*wire.subscriptions, *channels]) == wire.target

    def remove(self, channels: Iterable[Channel]) -> None:
        """Channels are wanted no more."""
        for channel in channels:
            self.by_channel.pop(channel, None)
            self.second.pop(channel, None)
            for wire in self.by_name.values():
                wire.remove([channel])

    # ------------------------------------------------------------------ links that take another's place

    def succeed(self, old: Wire, open_link: Callable[[int, str], None]) -> Wire:
        """Return a new link that carries what another one does, and is to take its place."""
        name, _, generation = old.name.partition(".")
        new = self._add(f"{name}.{int(generation or 1) + 1}", old.endpoint, old.market, old.line)
        new.replaces = old
        new.add(old.subscriptions)
        open_link(new.number, new.market)
        return new

    def take_over(self, new: Wire) -> Wire | None:
        """Let a link take the place of the one that it replaces, which is retired; returns that."""
        old, new.replaces = new.replaces, None
        if old is None:
            return None
        new.add(channel for channel in old.subscriptions if channel not in new.subscriptions)
        new.asks.adopt(old.asks)
        for placed in (self.by_channel, self.second):
            placed.update({channel: new for channel, wire in placed.items() if wire is old})
        self.retired.add(old.name)
        return old

    def forget(self, name: str) -> None:
        """A link is over, and nothing depends on it."""
        self.by_name.pop(name, None)
        self.retired.discard(name)

    def depended_on(self, wire: Wire, channels: Sequence[Channel]) -> Wire:
        """Return the link that an instrument depends on: of several that bring it the one in use."""
        if wire.replaces is not None:
            wire = wire.replaces
        if wire.name in self.retired or any(channel in self.second for channel in channels):
            return next((self.by_channel[one] for one in channels if one in self.by_channel), wire)
        return wire

    def swap(self, lost: Wire) -> list[Channel]:
        """Let the other line take over what a lost link carried; returns the channels that go on there."""
        moved = []
        for channel, other in list(self.second.items()):
            subscription = other.subscriptions.get(channel)
            if self.by_channel.get(channel) is lost and other.is_open and subscription is not None:
                if subscription.phase != "active":
                    continue
                self.by_channel[channel], self.second[channel] = other, lost
                moved.append(channel)
        return moved

    def due_links(self) -> list[Link]:
        """Return the links that the shell is to keep open from now on; those that need an admission wait for it."""
        links = []
        for wire in self.by_name.values():
            if not wire.is_named and wire.subscriptions:
                wire.is_named = True
                wire.target = self._venue.target(wire.endpoint, list(wire.subscriptions))
                if wire.admission == "free":
                    links.append(self.link(wire, wire.target))
        return links

    def take_empty(self) -> list[str]:
        """Return the links that the shell keeps open and that carry nothing any more; they are links no more."""
        empty = [wire.name for wire in self.by_name.values() if not wire.subscriptions]
        return [name for name in empty if self.by_name.pop(name).is_named]

    def link(self, wire: Wire, target: str, *, is_once: bool = False) -> Link:
        """Return a link as the shell is to open it."""
        headers = tuple(self._venue.headers(wire.endpoint).items())
        return Link(name=wire.name, transport="websocket", target=target, headers=headers, is_once=is_once)

    def next_ns(self, now_ns: int) -> int:
        """When something is to be done on any of them; 0 = never."""
        return soonest([wire.next_ns(now_ns) for wire in self.by_name.values()])

"""What depends on which link: whose channels it carries, and what becomes of them when it ends, speaks or is refused.

An instrument hangs on the link of its book (:meth:`Dependence.is_main`), or of its first channel if it has no book:
when that ends, the instrument is stale until its book is whole again. The link of another of its streams may end too:
then it is stale all the same, since what that stream tells is missing, while its book goes on beneath.

Nothing is stale where another link brings the same: a successor that is ready (:mod:`.handover`), or the other of two
lines.
"""

from collections.abc import Collection
from typing import Final

from tickcast import _native
from tickcast.model.ledger import Incident
from tickcast.model.record import State
from tickcast.venues import rows
from tickcast.venues.base import Step
from tickcast.venues.declared.backfill import Backfill
from tickcast.venues.declared.books import BookKeeping
from tickcast.venues.declared.handover import Handovers
from tickcast.venues.declared.instruments import Instrument
from tickcast.venues.declared.links import Wire, Wires
from tickcast.venues.declared.venue import Channel, Refused

SILENT: Final = frozenset({State.EMPTY, State.STALE})
"""States of an instrument without a book that nothing was heard of, since its link was opened."""


class Dependence:
    """Of one feed."""

    def __init__(
        self,
        *,
        feed: "_native.JsonFeed",
        wires: Wires,
        books: BookKeeping,
        backfill: Backfill,
        handovers: Handovers,
    ) -> None:
        self._feed = feed
        self._wires = wires
        self._books = books
        self._backfill = backfill
        self._handovers = handovers
        self._owner: dict[Channel, Instrument] = {}
        """Whose each channel is; those of no one instrument are not here."""
        self._lost: dict[int, set[str]] = {}
        """Links that carry part of an instrument and are closed, where its book is on another."""

    # ------------------------------------------------------------------ whose it is

    def add(self, instrument: Instrument) -> None:
        """Take note of an instrument's channels."""
        for channel in instrument.channels:
            self._owner[channel] = instrument

    def forget(self, instrument: Instrument) -> None:
        """Nothing more is streamed of it."""
        for channel in instrument.channels:
            self._owner.pop(channel, None)
        self._lost.pop(instrument.id, None)

    @property
    def partly_lost(self) -> Collection[int]:
        """Instruments whose book goes on while the link of another of their streams is lost."""
        return self._lost.keys()

    def is_main(self, wire: Wire, instrument: Instrument) -> bool:
        """Whether it is the link whose loss makes the instrument's book stale: that of its book, if it has one."""
        channel = instrument.book or (instrument.channels[0] if instrument.channels else None)
        return channel is not None and self._wires.by_channel.get(channel) is wire

    # ------------------------------------------------------------------ links that end

    def ended(self, wire: Wire, reason: str, step: Step, now_ns: int) -> None:
        """A link that was open is closed: say what is stale by that."""
        if not self._handovers.over(wire, step, now_ns) and not self._goes_on(wire, reason, step, now_ns):
            wire.closed()
            self._lose(wire, reason, step, now_ns)

    def _goes_on(self, wire: Wire, reason: str, step: Step, now_ns: int) -> bool:
        """Whether nothing depends on a link that is gone, since others bring what it did."""
        if wire.replaces is not None:
            wire.closed()
            return True
        successor, is_ready = self._handovers.ended_early(wire, step, now_ns)
        if successor is not None and is_ready:
            return True
        if successor is not None:
            self._lose(successor, reason, step, now_ns)
            for channel, subscription in successor.subscriptions.items():
                if subscription.phase == "active":
                    self.subscribed(channel, successor, step, now_ns)
            return True
        self._wires.swap(wire)
        others = [one for one in wire.subscriptions if self._wires.second.get(one) is wire]
        if not others:
            return False
        wire.closed()
        for channel in others:
            self._go_on_over_other_line(channel, wire, step, now_ns)
        if any(self._wires.by_channel.get(one) is wire for one in wire.subscriptions):
            self._lose(wire, reason, step, now_ns)
        return True

    def _go_on_over_other_line(self, channel: Channel, lost: Wire, step: Step, now_ns: int) -> None:
        """A book that nothing chains to its past begins anew on the other line; all else goes on."""
        owner = self._owner.get(channel) if channel.book and not self._handovers.is_chained else None
        if owner is not None and self._feed.book_link(owner.id) == lost.number:
            self._books.renew(owner, step, now_ns)

    def damaged(self, wire: Wire, step: Step, now_ns: int) -> None:
        """A frame of a link could not be read, so something is missing: books that nothing proves begin anew.

        Nothing else would ever show that it was a change of theirs; those that prove themselves do so.
        """
        for channel in wire.subscriptions:
            owner = self._owner.get(channel) if channel.book else None
            if owner is not None and self.is_main(wire, owner) and self._feed.state(owner.id) == State.UNVERIFIED:
                self._books.renew(owner, step, now_ns)

    def _lose(self, wire: Wire, reason: str, step: Step, now_ns: int) -> None:
        """What depends on a link is stale: nobody knows what it misses."""
        self._backfill.lost(wire, now_ns)
        link = wire.name
        depends = [one for one in wire.subscriptions if self._wires.by_channel.get(one) is wire]
        concerned = list(dict.fromkeys(self._owner[one] for one in depends if one in self._owner))
        first = [one.id for one in concerned if self.is_main(wire, one)]
        self._books.dismiss(first)
        step.records.append(self._feed.suspend(first, State.STALE, now_ns))
        for one in concerned:
            if not self.is_main(wire, one):
                self._lost.setdefault(one.id, set()).add(link)
                step.records.append(rows.status(one.id, State.STALE, ts_event=now_ns, ts_recv=now_ns))
        step.incidents.append(
            Incident(
                kind="reconnect",
                scope="connection",
                reason=reason,
                ts_ns=now_ns,
                link=link,
                instruments=tuple(one.id for one in concerned),
                repair="reconnect",
            )
        )

    # ------------------------------------------------------------------ channels

    def subscribed(self, channel: Channel, wire: Wire, step: Step, now_ns: int) -> None:
        """A channel is confirmed, or speaks."""
        owner = self._owner.get(channel)
        if owner is None or self._wires.by_channel.get(channel) is not wire:
            return
        lost = self._lost.get(owner.id)
        if lost is not None:
            lost.discard(wire.name)
            if not lost:
                del self._lost[owner.id]
                state = State(self._feed.state(owner.id))
                step.records.append(rows.status(owner.id, state, ts_event=now_ns, ts_recv=now_ns))
        if channel.book:
            self._books.subscribed(owner.id, now_ns, step)
        elif owner.book is None and self.is_main(wire, owner) and State(self._feed.state(owner.id)) in SILENT:
            step.records.append(self._feed.suspend([owner.id], State.LIVE, now_ns))  # it waits for nothing else

    def refused(self, refused: Refused, wire: Wire, step: Step, now_ns: int) -> None:
        """The venue refuses a channel, or a whole message: books that depend on it are not asked for."""
        reason, channel = refused.reason, refused.channel
        concerned = wire.refused(channel, now_ns, refused.among)
        owners = dict.fromkeys(self._owner[one].id for one in concerned if one in self._owner)
        depends = [one for one in concerned if self._wires.by_channel.get(one) is wire]
        self._books.dismiss([self._owner[one].id for one in depends if one.book and one in self._owner])
        step.incidents.append(
            Incident(
                kind="refused",
                scope="channel" if concerned else "connection",
                reason=reason,
                ts_ns=now_ns,
                link=wire.name,
                channel=channel.name if channel is not None else "",
                instruments=tuple(owners),
            )
        )

    def unanswered(self, channel: Channel, wire: Wire, step: Step, now_ns: int) -> None:
        """Nobody answered for a channel: it counts as refused."""
        owner = self._owner.get(channel)
        step.incidents.append(
            Incident(
                kind="refused",
                scope="channel",
                reason=f"{channel.name} {channel.native}: asked for twice, neither confirmed nor heard of",
                ts_ns=now_ns,
                link=wire.name,
                channel=channel.name,
                instruments=(owner.id,) if owner is not None else (),
            )
        )

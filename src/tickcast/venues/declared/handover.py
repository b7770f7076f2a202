"""Links that are replaced before they end: the second is opened first, the first closed when nothing depends on it.

Theory. A link ends at a time that is known: the venue announces it (:class:`tickcast.venues.declared.venue.Leaving`),
closes every link of some age (:attr:`tickcast.venues.declared.venue.Limits.lifetime_s`), or we have no trust in it any
more. Opened anew it would lose what happens in between. So a *successor* is opened beside it, subscribes to the same,
and both are listened to: from the moment at which a subscription is confirmed, the successor brings all that follows.
What comes twice is told once, by what the core knows of twins: trades by their ids, books by their chain, quotes by
number or time. When everything is confirmed, the overlap lasts :data:`OVERLAP_NS` more, so that what the older link has
on its way is not lost; then the successor takes over. Books that no ids chain together must have begun on it.

Nothing is told of it but a count: no state changes, no entry of the ledger. If the successor cannot be opened or is
refused within :data:`PATIENCE_NS`, it is given up; the older link then ends as any link does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickcast import _native
from tickcast.model.health import LineHealth, Overlap
from tickcast.model.record import State
from tickcast.venues.base import Step
from tickcast.venues.declared.dialect import books_of_feeds
from tickcast.venues.declared.instruments import Catalogue
from tickcast.venues.declared.links import Wire, Wires
from tickcast.venues.declared.pacing import SECOND_NS, soonest
from tickcast.venues.declared.venue import Venue

OVERLAP_NS: Final = SECOND_NS
"""Both links are listened to for so long after everything is confirmed."""
JOIN_NS: Final = 10 * SECOND_NS
"""A book that no ids chain to its past begins on the successor within this time, or anew when the link is gone."""
PATIENCE_NS: Final = 60 * SECOND_NS
AGAIN_NS: Final = 60 * SECOND_NS
"""After one was given up, a link is left alone for so long."""
EARLY_NS: Final = 600 * SECOND_NS
"""A link is replaced so long before the venue closes it, of several each :data:`APART_NS` earlier than the next."""
APART_NS: Final = 30 * SECOND_NS


@dataclass(slots=True)
class _Handover:
    old: Wire
    new: Wire
    reason: str
    begun_ns: int
    ready_ns: int = 0
    """Since when everything is confirmed; 0 = it is not."""


class Handovers:
    """Of one feed; one at a time, the others wait."""

    def __init__(
        self, venue: Venue, *, feed: "_native.JsonFeed", wires: Wires, catalogue: Catalogue, lifetime_s: float = 0.0
    ) -> None:
        """``lifetime_s``: links of this age are replaced, whatever the venue allows."""
        self._venue = venue
        self._feed = feed
        self._wires = wires
        self._catalogue = catalogue
        self._under_way: dict[str, _Handover] = {}
        """By the name of the link that is replaced."""
        self._left_alone: dict[str, int] = {}
        """Links of which one was given up, and until when."""
        self._lifetime_ns = int((lifetime_s or venue.limits.lifetime_s) * SECOND_NS)
        self._early_ns = 0 if lifetime_s else EARLY_NS
        self.is_chained = all(rule.chain != "none" for _, rule in books_of_feeds(venue.dialect))
        self.planned = 0
        """Links that were replaced before they ended, so far."""

    # ------------------------------------------------------------------ what is known

    def overlap(self, now_ns: int) -> Overlap:
        """Say how often links were replaced before they ended, and what came over two of them."""
        by_number = {wire.number: wire for wire in self._wires}
        lines = [
            LineHealth(
                line=wire.line or "A",
                link=wire.name,
                first=first,
                late=late,
                missing=missing,
                lead_ms=round(lead_ns / 1e6, 3),
            )
            for number, first, late, missing, lead_ns in self._feed.lines(now_ns)
            if (wire := by_number.get(number)) is not None
        ]
        return Overlap(planned=self.planned, left_out=self._feed.left_out(), lines=lines)

    @property
    def is_settled(self) -> bool:
        """Whether everything is subscribed, and every book that can be whole is."""
        if not self._catalogue.is_known:
            return False
        asked = (one.phase for wire in self._wires for one in wire.subscriptions.values())
        down = {State.EMPTY, State.SYNCING, State.GAP, State.REPAIRING, State.STALE}
        return all(phase in {"active", "refused"} for phase in asked) and not any(
            State(self._feed.state(one.id)) in down for one in self._catalogue.all if one.listed.state == State.LIVE
        )

    # ------------------------------------------------------------------ begin

    def begin(self, old: Wire, reason: str, now_ns: int) -> bool:
        """Open a successor; False: it cannot be now, and the link is to be dropped."""
        if old.name in self._under_way or old.name in self._wires.retired:
            return True
        if old.replaces is not None or not old.is_open or self._left_alone.get(old.name, 0) > now_ns:
            return False
        new = self._wires.succeed(old, self._feed.open_link)
        self._feed.pair(old.number, new.number)
        self._under_way[old.name] = _Handover(old, new, reason, now_ns)
        return True

    def _begin_due(self, now_ns: int) -> None:
        """Replace what the venue will close for its age."""
        if not self._lifetime_ns or self._under_way:
            return
        for wire in list(self._wires):
            due_ns = self._due_ns(wire)
            reason = f"links are replaced after {self._lifetime_ns / SECOND_NS:g} s"
            if due_ns and due_ns <= now_ns and self.begin(wire, reason, now_ns):
                return

    def _due_ns(self, wire: Wire) -> int:
        """When a link is to be replaced for its age; 0 = never."""
        if not self._lifetime_ns or not wire.is_open or wire.replaces is not None or wire.name in self._wires.retired:
            return 0
        early_ns = min(self._early_ns + wire.number % 16 * APART_NS, self._lifetime_ns // 2)
        return max(wire.opened_ns + self._lifetime_ns - early_ns, self._left_alone.get(wire.name, 0))

    # ------------------------------------------------------------------ go on

    def next_ns(self, now_ns: int) -> int:
        """When :meth:`pump` has something to do; 0 = never."""
        due = [] if self._under_way else [self._due_ns(wire) for wire in self._wires]
        for one in self._under_way.values():
            due.append(max(one.ready_ns + OVERLAP_NS, now_ns + OVERLAP_NS // 4) if one.ready_ns else 0)
            due.append(one.begun_ns + PATIENCE_NS)
        return soonest(due)

    def pump(self, step: Step, now_ns: int) -> None:
        """Let successors that are ready take over; give up those that do not become ready."""
        for one in list(self._under_way.values()):
            is_ready = _is_subscribed(one.new)
            if not is_ready:
                one.ready_ns = 0
            elif not one.ready_ns:
                one.ready_ns = now_ns
            if is_ready and self._is_joined(one, now_ns):
                self._complete(one, step)
            elif now_ns - one.begun_ns >= PATIENCE_NS or _is_refused(one.new):
                self._give_up(one, step, now_ns)
        self._begin_due(now_ns)

    def _is_joined(self, one: _Handover, now_ns: int) -> bool:
        if now_ns - one.ready_ns < OVERLAP_NS:
            return False
        if now_ns - one.ready_ns >= JOIN_NS:
            return True
        if self.is_chained:
            return self._feed.is_joined()
        on_old = (known for known in self._catalogue.all if known.book in one.new.subscriptions)
        return not any(self._feed.book_link(known.id) == one.old.number for known in on_old)

    def _complete(self, one: _Handover, step: Step) -> None:
        del self._under_way[one.old.name]
        self._wires.take_over(one.new)
        self._feed.succeed(one.old.number, one.new.number)
        self.planned += 1
        step.end[one.old.name] = one.reason

    def _give_up(self, one: _Handover, step: Step, now_ns: int) -> None:
        del self._under_way[one.old.name]
        self._left_alone[one.old.name] = now_ns + AGAIN_NS
        step.end[one.new.name] = "it could not take another link's place"
        self._retire(one.new)

    def _retire(self, new: Wire) -> None:
        """A successor is not wanted any more."""
        new.replaces = None
        if new.is_open:
            self._wires.retired.add(new.name)
        else:
            self._wires.forget(new.name)

    # ------------------------------------------------------------------ links that end

    def over(self, wire: Wire, step: Step, now_ns: int) -> bool:
        """Take note that a retired link is closed: nothing depends on it. False: it was none."""
        if wire.name not in self._wires.retired:
            return False
        wire.closed()
        self._wires.forget(wire.name)
        self._left_alone.pop(wire.name, None)
        step.records.append(self._feed.close_link(wire.number, now_ns))
        return True

    def ended_early(self, old: Wire, step: Step, now_ns: int) -> tuple[Wire | None, bool]:
        """A link that is being replaced is gone: its successor takes over at once.

        Returns the successor (None: there is none), and whether all of it was confirmed before.
        """
        one = self._under_way.get(old.name)
        if one is None:
            return None, False
        is_ready = bool(one.ready_ns) and _is_subscribed(one.new)
        self._complete(one, step)
        self.planned -= not is_ready
        self.over(old, step, now_ns)
        return one.new, is_ready


def _is_subscribed(wire: Wire) -> bool:
    return wire.is_open and not wire.waits and all(one.phase == "active" for one in wire.subscriptions.values())


def _is_refused(wire: Wire) -> bool:
    refused: Sequence[str] = [one.phase for one in wire.subscriptions.values() if one.phase == "refused"]
    return bool(refused) and len(refused) == len(wire.subscriptions)

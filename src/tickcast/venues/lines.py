"""Recovery of what all lines lost: when a hole is a gap, what to ask for, when to give up. Shared by the UDP protocols.

The arbiter (:class:`tickcast._native.LineArbiter`) knows the holes; this machine knows the time. Of each unit::

    live ──a hole is older than gap_wait_ms──▶ repairing ──nothing missing for so long──▶ live
                                                 │ requests are not answered, too much is missing, nobody to ask
                                                 ▼
                                                lost ──the caller skipped or put an image in place──▶ live

A hole younger than ``gap_wait_ms`` is only patience: another line or a late packet may fill it. From then on its unit
is in a gap and its missing messages are asked for, lowest first, a few requests at a time. A request is repeated after
``gap_timeout_ms`` without any progress, and after ``gap_attempts``, in which none of the unit's other requests was
answered either, everything that the unit misses is lost. How many messages a request may name is learned from the
answers, since a server sends no more than one packet holds.

Use: after each read and at ``wake_ns`` call :meth:`Recovery.look` with the arbiter's holes, and do what it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tickcast.venues.base import VenueConfig

MILLISECOND_NS: Final = 1_000_000
WINDOW: Final = 16
"""Requests that are not answered yet, over all units."""

Phase = Literal["live", "repairing", "lost"]
Hole = tuple[int, int, int, int]
"""Unit, first and last missing number, since when: as the arbiter tells it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send now."""

    unit: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers that will not come: skip them, or put an image in their place."""

    unit: int
    first: int
    """First and last number that is missing now; what came in between is not lost."""
    last: int
    missing: int
    reason: str


@dataclass(slots=True)
class Orders:
    """What one look says, to be done in the order of the fields."""

    gaps: list[int] = field(default_factory=list)
    """Units that are in a gap from now on: their whole scope is marked."""
    losses: list[Loss] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
    """Units of which nothing is missing any more, after a gap or a loss."""
    asks: list[Ask] = field(default_factory=list)


@dataclass(slots=True)
class _Pending:
    """A request that was sent."""

    first: int
    last: int
    left: int
    """Numbers of it that were missing at the last look."""
    sent_ns: int
    attempts: int = 1
    is_cut: bool = False
    """An answer came that does not hold all of it: the rest is asked for anew."""


class Recovery:
    """See the module."""

    def __init__(self, config: VenueConfig, *, can_ask: bool, ask_max: int, window: int = WINDOW) -> None:
        """Begin with every unit live.

        Args:
            config: ``gap_wait_ms``, ``gap_timeout_ms``, ``gap_attempts`` and ``gap_range_max`` are read.
            can_ask: there is a server to ask; otherwise a gap is a loss at once.
            ask_max: most messages that one request may name.
            window: most requests on their way.
        """
        self._wait_ns = config.gap_wait_ms * MILLISECOND_NS
        self._timeout_ns = config.gap_timeout_ms * MILLISECOND_NS
        self._attempts = config.gap_attempts
        self._range_max = config.gap_range_max
        self._bounds: dict[int, tuple[int, str]] = {}
        """By unit, in place of ``gap_range_max``: most messages, and the setting that says so."""
        self._can_ask = can_ask
        self._ask_max = ask_max
        self._fit = ask_max
        """Messages that a request names."""
        self._largest = 1
        """Messages of the largest answer so far."""
        self._window = window
        self._phases: dict[int, Phase] = {}
        self._pending: dict[int, list[_Pending]] = {}
        self._refused: dict[int, str] = {}
        """By unit, since the last look."""
        self.wake_ns = 0
        """When :meth:`look` wants to be called without news; 0 = not at all."""
        self.requests = 0
        """Requests so far, repeats included."""

    def phase(self, unit: int) -> Phase:
        """Where a unit stands."""
        return self._phases.get(unit, "live")

    def forget(self, unit: int) -> None:
        """Take a unit as it was in the beginning: its numbers begin anew."""
        self._phases.pop(unit, None)
        self._pending.pop(unit, None)
        self._refused.pop(unit, None)

    def refuse(self, unit: int, reason: str) -> None:
        """Take the server's word that it will not bring what is missing: the next look makes it a loss."""
        if unit in self._phases:
            self._refused[unit] = reason

    def bound(self, unit: int, count: int | None = None, setting: str = "") -> None:
        """Ask for at most so many missing messages of a unit, in place of ``gap_range_max``; None = as usual."""
        if count is None:
            self._bounds.pop(unit, None)
        else:
            self._bounds[unit] = (count, setting)

    def limit(self, count: int) -> None:
        """Name at most so many messages in a request from now on; larger ones are asked anew, in parts."""
        self._fit = min(self._fit, count)
        for unit, pending in self._pending.items():
            self._pending[unit] = [one for one in pending if one.last - one.first < count]

    def answered(self, unit: int, first: int, count: int) -> None:
        """Learn from an answer that begins with ``first``: how much one packet holds, and that the rest does not come.

        Only for servers that answer a request with one packet; others need not be told of.
        """
        for pending in self._pending.get(unit, ()):
            if pending.first <= first <= pending.last and not pending.is_cut:
                asked = pending.last - first + 1
                pending.is_cut = count < asked
                self._largest = max(self._largest, min(count, asked))
                if pending.is_cut:
                    self._fit = self._largest
                return

    def look(self, holes: Sequence[Hole], now_ns: int) -> Orders:
        """Say what follows from the holes at this time."""
        orders = Orders()
        self.wake_ns = 0
        if not holes and not self._phases:
            return orders
        due: dict[int, list[Hole]] = {}
        for hole in holes:
            if hole[3] + self._wait_ns <= now_ns:
                due.setdefault(hole[0], []).append(hole)
            else:
                self._wake_at(hole[3] + self._wait_ns)
        for unit in [unit for unit in self._phases if unit not in due]:
            self.forget(unit)
            orders.live.append(unit)
        for unit, missing in due.items():
            self._look_at(unit, missing, now_ns, orders)
        return orders

    def _look_at(self, unit: int, holes: list[Hole], now_ns: int, orders: Orders) -> None:
        """Take up a unit that misses something for too long."""
        if unit not in self._phases:
            self._phases[unit] = "repairing"
            orders.gaps.append(unit)
        if self._phases[unit] == "lost":
            return
        count = sum(last - first + 1 for _, first, last, _ in holes)
        reason = (
            self._refused.pop(unit, "")
            or self._hopeless(unit, count)
            or self._check_pending(unit, holes, now_ns, orders)
        )
        if reason:
            self._phases[unit] = "lost"
            self._pending.pop(unit, None)
            orders.losses.append(Loss(unit, holes[0][1], holes[-1][2], count, reason))
            return
        self._ask(unit, holes, now_ns, orders)

    def _hopeless(self, unit: int, count: int) -> str:
        if not self._can_ask:
            return "there is no server to ask"
        most, setting = self._bounds.get(unit, (self._range_max, "gap_range_max"))
        if count > most:
            return f"more is missing than is asked for ({setting} = {most})"
        return ""

    def _check_pending(self, unit: int, holes: list[Hole], now_ns: int, orders: Orders) -> str:
        """Forget requests that are done, repeat those without progress; returns why all is lost, or nothing."""
        kept: list[_Pending] = []
        found = [(pending, _missing(pending, holes)) for pending in self._pending.get(unit, ())]
        if any(left < pending.left for pending, left in found):  # the server answers: what it owes may still come
            for pending, _ in found:
                pending.attempts = 1
        for pending, left in found:
            if not left or (pending.is_cut and left < pending.left):
                continue
            pending.is_cut = False
            if left < pending.left:
                pending.left, pending.sent_ns = left, now_ns
            elif now_ns - pending.sent_ns >= self._timeout_ns:
                if pending.attempts >= self._attempts:
                    return f"no answer to {pending.attempts} requests"
                pending.attempts += 1
                self._send(unit, pending, now_ns, orders)
            kept.append(pending)
        self._pending[unit] = kept
        return ""

    def _ask(self, unit: int, holes: list[Hole], now_ns: int, orders: Orders) -> None:
        """Ask for what is missing and not asked for yet, while the window has room."""
        pending = self._pending.setdefault(unit, [])
        room = self._window - sum(map(len, self._pending.values()))
        taken = sorted((one.first, one.last) for one in pending)
        for _, first, last, _ in holes:
            if room <= 0:
                break
            for begin, end in _without(first, last, taken):
                for start in range(begin, min(end + 1, begin + room * self._fit), self._fit):
                    stop = min(end, start + self._fit - 1)
                    one = _Pending(start, stop, stop - start + 1, now_ns)
                    pending.append(one)
                    self._send(unit, one, now_ns, orders)
                    room -= 1
        for one in pending:
            self._wake_at(one.sent_ns + self._timeout_ns)

    def _send(self, unit: int, pending: _Pending, now_ns: int, orders: Orders) -> None:
        pending.sent_ns = now_ns
        self.requests += 1
        orders.asks.append(Ask(unit, pending.first, pending.last - pending.first + 1))

    def _wake_at(self, at_ns: int) -> None:
        self.wake_ns = min(self.wake_ns, at_ns) if self.wake_ns else at_ns


def _missing(pending: _Pending, holes: Sequence[Hole]) -> int:
    """Count the numbers of a request that are missing."""
    return sum(max(0, min(last, pending.last) - max(first, pending.first) + 1) for _, first, last, _ in holes)


def _without(first: int, last: int, taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of a range that none of the others, ascending, covers."""
    parts: list[tuple[int, int]] = []
    for start, end in taken:
        if end < first:
            continue
        if start > last:
            break
        if start > first:
            parts.append((first, start - 1))
        first = max(first, end + 1)
    if first <= last:
        parts.append((first, last))
    return parts

"""How often something may be done, and which request goes next.

Theory. A venue counts what it gets in a window of time that begins when it likes. A bucket that holds a fifth of the
quota and is filled with the other four fifths in each window can be emptied and refilled as one likes: in no window of
that length, wherever it begins, more than the quota leaves it.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Final

from tickcast.venues.base import Quota, Request

SECOND_NS: Final = 1_000_000_000
BURST_PART: Final = 5
IN_FLIGHT_MAX: Final = 8
"""Requests under way at once: a more urgent one does not wait behind a crowd."""


class Bucket:
    """A :class:`tickcast.venues.declared.venue.Quota` that is kept; without one there is no limit."""

    __slots__ = ("_at_ns", "_burst", "_per_ns", "_tokens")

    def __init__(self, quota: Quota | None) -> None:
        self._burst = float(max(1, quota.amount // BURST_PART)) if quota is not None else 0.0
        self._per_ns = 0.0
        if quota is not None:
            rest = quota.amount - self._burst
            self._per_ns = (rest if rest > 0 else self._burst) / (quota.per_s * SECOND_NS)
        self._tokens = self._burst
        self._at_ns = 0

    def ready_ns(self, cost: float, now_ns: int) -> int:
        """When there is room for something of this cost: ``now_ns`` if there is now."""
        if not self._per_ns:
            return now_ns
        self._fill(now_ns)
        missing = min(cost, self._burst) - self._tokens
        return now_ns if missing <= 1e-9 else now_ns + int(missing / self._per_ns) + 1

    def spend(self, cost: float, now_ns: int) -> None:
        """Take the room; what costs more than the bucket holds is paid off afterwards."""
        if self._per_ns:
            self._fill(now_ns)
            self._tokens -= cost

    def _fill(self, now_ns: int) -> None:
        if self._at_ns:
            self._tokens = min(self._burst, self._tokens + max(now_ns - self._at_ns, 0) * self._per_ns)
        self._at_ns = max(now_ns, self._at_ns)


class Errands:
    """REST requests that wait their turn: the most urgent first, each purpose once.

    The quota is kept by the shell, for all processes of the machine; what waits here can still be withdrawn.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Request] = {}
        self._under_way: set[str] = set()

    def add(self, request: Request) -> None:
        """Ask for it; nothing happens if it is asked for or under way already."""
        if request.purpose not in self._under_way:
            self._waiting.setdefault(request.purpose, request)

    def withdraw(self, purpose: str) -> None:
        """It is not wanted any more, unless it is under way."""
        self._waiting.pop(purpose, None)

    def done(self, purpose: str) -> None:
        """It has its answer."""
        self._under_way.discard(purpose)

    def is_asked(self, purpose: str) -> bool:
        """Whether it waits or is under way."""
        return purpose in self._waiting or purpose in self._under_way

    def release(self, urgency: Callable[[Request], float]) -> list[Request]:
        """Return what may be sent now."""
        room = IN_FLIGHT_MAX - len(self._under_way)
        if room <= 0 or not self._waiting:
            return []
        released = heapq.nlargest(room, self._waiting.values(), key=urgency)
        for request in released:
            del self._waiting[request.purpose]
            self._under_way.add(request.purpose)
        return released


def soonest(times: Sequence[int]) -> int:
    """Return the earliest of some times, where 0 means never."""
    return min((time for time in times if time), default=0)

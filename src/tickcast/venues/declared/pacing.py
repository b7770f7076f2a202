"""How often something may be done.

Theory. A venue counts what it gets in a window of time that begins when it likes. A bucket that holds a fifth of the
quota and is filled with the other four fifths in each window can be emptied and refilled as one likes: in no window of
that length, wherever it begins, more than the quota leaves it.
"""

from collections.abc import Sequence
from typing import Final

from tickcast.venues.base import Quota, Request

SECOND_NS: Final = 1_000_000_000
BURST_PART: Final = 5


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
    """REST requests, each purpose once at a time. The shell keeps the quota, and asks what is most urgent."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []
        self._under_way: set[str] = set()

    def add(self, request: Request) -> None:
        """Ask for it; nothing happens if it is under way already."""
        if request.purpose not in self._under_way:
            self._under_way.add(request.purpose)
            self._waiting.append(request)

    def done(self, purpose: str) -> None:
        """It has its answer."""
        self._under_way.discard(purpose)

    @property
    def count(self) -> int:
        """Requests under way."""
        return len(self._under_way)

    def is_under_way(self, purpose: str) -> bool:
        """Whether its answer is to come."""
        return purpose in self._under_way

    def release(self) -> list[Request]:
        """Return what is to be sent."""
        released, self._waiting = self._waiting, []
        return released


def soonest(times: Sequence[int]) -> int:
    """Return the earliest of some times, where 0 means never."""
    return min((time for time in times if time), default=0)

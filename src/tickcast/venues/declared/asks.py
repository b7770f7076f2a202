"""Books that are asked for on a link: one at a time, the most urgent first, as fast as the venue gives them.

Theory. A venue counts the time between two requests where they arrive, and what we send at equal distances arrives at
unequal ones: a network, or a venue that is busy, hands over several at once. So nothing is sent by the clock alone. The
next request goes out a pause after the *answer* to the one before: an answer is written when its request has been
counted, hence between two requests that the venue counts there always is more than the pause. After a reset of all
books each therefore waits its turn; none is refused for the others, and a venue that is slow is asked more slowly by
itself.

A request that is refused all the same as too soon goes back to its place, and the pause is doubled, up to
:data:`PAUSE_MAX_NS`; every answer halves it again, down to what the venue declares (:attr:`.venue.Limits.asks`). One
that nobody answers holds up the others for :data:`ANSWER_NS`, and counts as too soon.
"""

from collections.abc import Callable
from typing import Final

from tickcast.venues.base import Quota
from tickcast.venues.declared.pacing import SECOND_NS
from tickcast.venues.declared.venue import Channel

ANSWER_NS: Final = 5 * SECOND_NS
"""The answer to one request is waited for so long before the next one is sent."""
PAUSE_MAX_NS: Final = 5 * SECOND_NS


class Asks:
    """Of one link, from its opening on."""

    def __init__(self, quota: Quota | None) -> None:
        self._least_ns = int(quota.per_s * SECOND_NS / quota.amount) if quota is not None else 0
        self._pause_ns = self._least_ns
        self._waiting: dict[Channel, int] = {}
        """Channels whose books are to be asked for, and of which instrument they are."""
        self._under_way: Channel | None = None
        self._sent_ns = 0
        self._ready_ns = 0
        """Before this time nothing more is sent."""

    @property
    def is_waiting(self) -> bool:
        """Whether any book is to be asked for."""
        return bool(self._waiting)

    def add(self, channel: Channel, instrument: int) -> None:
        """Let a book be asked for when its turn comes."""
        self._waiting[channel] = instrument

    def adopt(self, other: "Asks") -> None:
        """Take over what waits on another link."""
        self._waiting.update(other.hand_over())

    def hand_over(self) -> dict[Channel, int]:
        """Ask for nothing more here; returns what was waiting."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def discard(self, channel: Channel) -> None:
        """Do not ask for it any more: it is whole, or wanted no more."""
        self._waiting.pop(channel, None)

    def next_ns(self) -> int:
        """When :meth:`take` has something; 0 = never."""
        if not self._waiting:
            return 0
        return max(self._sent_ns + ANSWER_NS if self._under_way is not None else self._ready_ns, 1)

    def take(self, now_ns: int, urgency: Callable[[int], float]) -> tuple[Channel, int] | None:
        """Return what is to be asked for now, and of which instrument it is; it counts as sent."""
        due_ns = self.next_ns()
        if not due_ns or due_ns > now_ns:
            return None
        if self._under_way is not None:
            self._slow_down()
        channel = max(self._waiting, key=lambda one: urgency(self._waiting[one]))
        self._under_way, self._sent_ns = channel, now_ns
        return channel, self._waiting.pop(channel)

    def answered(self, channel: Channel, now_ns: int) -> None:
        """Its book has come."""
        self.discard(channel)
        if channel == self._under_way:
            self._under_way = None
            self._ready_ns = now_ns + self._pause_ns
            self._pause_ns = max(self._pause_ns // 2, self._least_ns)

    def withheld(self, channel: Channel, now_ns: int, *, too_soon: bool) -> bool:
        """Take note that the venue does not give it; whether it is what was asked for last."""
        if channel != self._under_way:
            return False
        self._under_way = None
        if too_soon:
            self._slow_down()
        self._ready_ns = now_ns + self._pause_ns
        return True

    def _slow_down(self) -> None:
        self._pause_ns = min(self._pause_ns * 2, PAUSE_MAX_NS)

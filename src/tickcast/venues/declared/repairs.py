"""Books that are not whole: when each is asked for again.

Each is repaired on its own, and never twice at once. One that was asked for and did not come within :data:`ASK_NS` is
asked for again; one that breaks again and again waits longer each time, so that a venue whose book cannot be made
whole is not asked for it all the time.
"""

from collections.abc import Callable
from typing import Final

from tickcast.venues.declared.pacing import SECOND_NS

ASK_NS: Final = 10 * SECOND_NS
"""A book that was asked for comes within this time, or is asked for again."""
QUEUED_NS: Final = 30 * SECOND_NS
CALM_NS: Final = 60 * SECOND_NS
"""A book that stayed whole for so long begins with the shortest delay again."""
DELAYS_NS: Final = tuple(seconds * SECOND_NS for seconds in (0, 1, 2, 4, 8, 16, 32, 60))


class _Repair:
    __slots__ = ("attempts", "due_ns", "is_asked", "is_open", "whole_ns")

    def __init__(self) -> None:
        self.attempts = 0
        self.due_ns = 0
        self.is_asked = False
        self.is_open = False
        self.whole_ns = 0


class Repairs:
    """Keeps what is known of the repairs of one feed, by instrument."""

    def __init__(self) -> None:
        self._repairs: dict[int, _Repair] = {}
        self._open: dict[int, _Repair] = {}

    def broken(self, instrument: int, now_ns: int, *, after_ns: int = 0) -> None:
        """It is not whole: it is to be asked for, at once or after its delay, and not before ``after_ns`` from now."""
        repair = self._repairs.setdefault(instrument, _Repair())
        if repair.is_open and not repair.is_asked:
            return
        if not repair.is_open and repair.whole_ns and now_ns - repair.whole_ns >= CALM_NS:
            repair.attempts = 0
        repair.is_open = True
        repair.is_asked = False
        repair.due_ns = now_ns + max(after_ns, DELAYS_NS[min(repair.attempts, len(DELAYS_NS) - 1)])
        self._open[instrument] = repair

    def queued(self, instrument: int, now_ns: int) -> None:
        """It waits for its turn on its link, and is asked for (:meth:`asked`) when that comes.

        After :data:`QUEUED_NS` it is put in the queue again: the link may be another one by then.
        """
        repair = self._open.get(instrument)
        if repair is not None:
            repair.is_asked = True
            repair.due_ns = now_ns + QUEUED_NS

    def asked(self, instrument: int, now_ns: int, *, within_ns: int = ASK_NS) -> None:
        """It has been asked for."""
        repair = self._open.get(instrument)
        if repair is not None:
            repair.is_asked = True
            repair.attempts += 1
            repair.due_ns = now_ns + within_ns

    def waiting(self, instrument: int, now_ns: int) -> None:
        """It was subscribed to and brings its book by itself: it is asked for if that does not come."""
        self.broken(instrument, now_ns)
        repair = self._open[instrument]
        repair.is_asked = True
        repair.due_ns = now_ns + ASK_NS

    def ready(self, instrument: int, now_ns: int) -> None:
        """What it waited for has come, its subscription: now it can be asked for."""
        self.broken(instrument, now_ns)
        repair = self._open[instrument]
        repair.is_asked = False
        repair.due_ns = now_ns

    def whole(self, instrument: int, now_ns: int) -> None:
        """It is whole."""
        repair = self._open.pop(instrument, None)
        if repair is not None:
            if not repair.whole_ns:
                repair.attempts = 0  # the beginning was no repair
            repair.is_open = repair.is_asked = False
            repair.whole_ns = now_ns

    def dismiss(self, instrument: int) -> None:
        """Nothing is to be asked for: its link is closed."""
        repair = self._open.pop(instrument, None)
        if repair is not None:
            repair.is_open = repair.is_asked = False

    def forget(self, instrument: int) -> None:
        """There is no such instrument any more."""
        self._open.pop(instrument, None)
        self._repairs.pop(instrument, None)

    def is_open(self, instrument: int) -> bool:
        """Whether it is being repaired, or waits for that."""
        return instrument in self._open

    def due(self, now_ns: int, urgency: Callable[[int], float]) -> list[int]:
        """Return those that are to be asked for now, the most urgent first."""
        found = [instrument for instrument, repair in self._open.items() if repair.due_ns <= now_ns]
        found.sort(key=lambda instrument: -urgency(instrument))
        return found

    def next_ns(self) -> int:
        """When :meth:`due` has something; 0 = never."""
        return min((repair.due_ns for repair in self._open.values()), default=0)

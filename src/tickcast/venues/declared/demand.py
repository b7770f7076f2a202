"""Instruments that are streamed while somebody watches them: which begin, which end, which find no room. Pure.

One that is watched begins at once where there is room. When the last watcher has left, it goes on for a while, since
who changes a page often comes back; where another one waits for the room, it ends sooner. What finds no room waits, the
most watched first, and its watchers are told why.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

SECOND_NS: Final = 1_000_000_000
AGAIN_NS: Final = 5 * SECOND_NS
"""What finds no room is told again so often: somebody may have come and gone between two counts."""


@dataclass(slots=True)
class Turn:
    """What follows from a look."""

    begin: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Those that find no room, told whenever more or fewer watch them, and now and then."""


class Demand:
    """Of one feed."""

    def __init__(self, *, most: int, linger_s: float) -> None:
        self.most = most
        self.linger_ns = 0
        self.set_limits(most=most, linger_s=linger_s)
        self._counts: Mapping[int, int] = {}
        """Watchers of every instrument of the feed that has any."""
        self._streamed: dict[int, int] = {}
        """Those that are streamed on demand, and since when nobody watches them (0 = somebody does)."""
        self._refused: dict[int, tuple[int, int]] = {}
        """Those that wait for room, how many watched when they were told, and when that was."""
        self._due_ns = 0

    def set_limits(self, *, most: int, linger_s: float) -> None:
        """Take other limits than before."""
        self.most, self.linger_ns = most, round(linger_s * SECOND_NS)

    @property
    def count(self) -> int:
        """Instruments that are streamed on demand."""
        return len(self._streamed)

    @property
    def waiting(self) -> Collection[int]:
        """Instruments that find no room."""
        return self._refused.keys()

    def watchers(self, instrument: int) -> int:
        """How many watch an instrument."""
        return self._counts.get(instrument, 0)

    def take(self, counts: Mapping[int, int]) -> None:
        """Take how many watch each instrument; the newest replaces all before."""
        self._counts = counts

    def forget(self, instrument: int) -> None:
        """It is not streamed on demand any more."""
        self._streamed.pop(instrument, None)
        self._refused.pop(instrument, None)

    def next_ns(self) -> int:
        """When :meth:`look` has something to do though nothing has changed; 0 = never."""
        return self._due_ns

    def look(self, idle: Collection[int], now_ns: int) -> Turn:
        """Say what begins and ends; ``idle`` are the instruments that may begin."""
        turn = Turn()
        left: list[tuple[int, int]] = []
        for instrument, was_ns in self._streamed.items():
            since_ns = 0 if instrument in self._counts else was_ns or now_ns
            self._streamed[instrument] = since_ns
            if since_ns:
                left.append((since_ns, instrument))
        wanted = [one for one in self._counts if one in idle]
        wanted.sort(key=lambda one: -self._counts[one])
        left.sort()
        over = len(self._streamed) + len(wanted) - self.most
        for place, (since_ns, instrument) in enumerate(left):
            if place < over or now_ns - since_ns >= self.linger_ns:
                turn.end.append(instrument)
                del self._streamed[instrument]
        room = max(self.most - len(self._streamed), 0)
        turn.begin = wanted[:room]
        self._streamed.update(dict.fromkeys(turn.begin, 0))
        self._refuse(wanted[room:], turn, now_ns)
        due = [since_ns + self.linger_ns for since_ns in self._streamed.values() if since_ns]
        due += [told_ns + AGAIN_NS for _, told_ns in self._refused.values()]
        self._due_ns = min(due, default=0)
        return turn

    def _refuse(self, instruments: list[int], turn: Turn, now_ns: int) -> None:
        before, self._refused = self._refused, {}
        for one in instruments:
            count, told_ns = before.get(one, (0, 0))
            if count != self._counts[one] or now_ns - told_ns >= AGAIN_NS:
                turn.refused.append(one)
                count, told_ns = self._counts[one], now_ns
            self._refused[one] = (count, told_ns)

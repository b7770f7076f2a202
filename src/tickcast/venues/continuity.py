"""Keeping a book whole: a snapshot from REST and a chain of differences from a stream, joined without a hole.

Theory. Each difference covers the update ids ``first..last``; a snapshot says the last id that is in it. A book is
whole if every id is in the snapshot or in a difference applied since. So:

- until there is a snapshot, differences are buffered;
- of the buffered ones, those with ``last <= snapshot`` are in it already and dropped; the first that stays must cover
  the id after the snapshot (``first <= snapshot + 1 <= last``), otherwise the snapshot is too old: fetch another;
- after that each difference must begin with the id after its predecessor's last; otherwise something is missing and
  the whole begins anew, for this instrument only.

A stream that broke and came back proves by the same rule that nothing was missed; if its first difference is *behind*
what the book has, the venue has begun its numbers anew.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

BEHIND_MAX_NS: Final = 5_000_000_000
"""Differences that the book has already come from before a snapshot and soon cease. If they go on for so long, it was
the snapshot that was wrong: an old one, of numbers that the venue does not use any more."""
Levels = list[tuple[str, str]]

BUFFER_MAX: Final = 4_096
"""Differences that wait for a snapshot; the oldest beyond it are dropped, which a newer snapshot makes good."""


@dataclass(frozen=True, slots=True)
class Diff:
    """A difference: levels to set, size 0 deletes."""

    first: int
    last: int
    bids: Levels
    asks: Levels
    ts_event: int
    ts_recv: int


Phase = Literal["syncing", "live", "repairing"]


class DepthSync:
    """The state machine of one instrument; holds differences, not levels."""

    __slots__ = ("_after_snapshot", "_behind_ns", "_buffer", "_resumed", "last", "missing", "phase")

    def __init__(self) -> None:
        self.phase: Phase = "syncing"
        """``syncing`` before the first snapshot, ``repairing`` after a break."""
        self.last = 0
        """Last update id that the book holds."""
        self.missing = 0
        """Ids missing at the last break; 0 = unknown number."""
        self._after_snapshot = False
        self._resumed = False
        self._behind_ns = 0
        """When the first came of the differences that the book has already; 0 = the newest was none."""
        self._buffer: deque[Diff] = deque(maxlen=BUFFER_MAX)

    @property
    def buffered(self) -> int:
        """Differences that wait for a snapshot."""
        return len(self._buffer)

    @property
    def proved(self) -> bool:
        """Whether the chain has gone on since the stream came back, if it ever broke."""
        return not self._resumed

    def resumed(self) -> None:
        """The stream broke and is back."""
        self._resumed = True
        if self.phase != "live":
            self._buffer.clear()

    def diff(self, diff: Diff) -> bool:
        """Take a difference: True = apply it now. False = not now; ``phase`` says whether the chain has just broken."""
        if self.phase != "live":
            self._buffer.append(diff)
            return False
        resumed, self._resumed = self._resumed, False
        follows = diff.first == self.last + 1
        if follows or (self._after_snapshot and diff.first <= self.last + 1 <= diff.last):
            self._after_snapshot = False
            self.last = diff.last
            self._behind_ns = 0
            return True
        if diff.last <= self.last and not resumed:
            self._behind_ns = self._behind_ns or diff.ts_recv
            if diff.ts_recv - self._behind_ns < BEHIND_MAX_NS:
                return False
        self.missing = max(diff.first - self.last - 1, 0)
        self.repair()
        self._buffer.append(diff)
        return False

    def repair(self) -> None:
        """The book cannot be trusted: begin anew with a snapshot."""
        self.phase = "repairing"
        self._behind_ns = 0
        self._buffer.clear()

    def snapshot(self, last: int) -> list[Diff] | None:
        """Take a snapshot: the buffered differences to apply on top of it. None = it does not join: fetch another."""
        while self._buffer and self._buffer[0].last <= last:
            self._buffer.popleft()
        end = last
        for place, diff in enumerate(self._buffer):
            joins = diff.first <= end + 1 if place == 0 else diff.first == end + 1
            if not joins:
                for _ in range(place):
                    self._buffer.popleft()
                return None
            end = diff.last
        ready = list(self._buffer)
        self._buffer.clear()
        self._after_snapshot = not ready
        self._resumed = False
        self._behind_ns = 0
        self.last = end
        self.phase = "live"
        return ready

"""How far a venue's clock is ahead of ours, and how well that is known: a pure estimator, told of every sighting.

Theory. The offset is the venue's clock minus ours. Two kinds of sightings bound it, whatever the delays on the way
are:

- *One way*: something with the venue's time ``told`` arrives at our time ``received``. It was sent before it arrived,
  so the offset is at least ``told - received``. The fastest of many messages gives the best bound (a minimum filter
  over their delays).
- *Round trip*: we ask at ``sent``, are told the venue's time, and have it at ``received``. The venue read its clock
  in between, so the offset is at least ``told - received`` and at most ``told - sent``. A clock that is told in units
  (whole seconds, milliseconds) may have been further by one unit: the upper bound is so much higher.

The offset lies between the highest lower bound and the lowest upper bound. Its estimate is the middle, its
uncertainty half the width; that holds for delays of any asymmetry, which is what the width stands for. Answers in
whole seconds that come at different moments of the second narrow it down to the length of a round trip. Without an
upper bound the estimate is the lower one: then it says how much slower than the fastest message something was, and
the uncertainty is not known.

Clocks drift apart by up to :data:`DRIFT`, so a bound becomes worse with its age, and is forgotten after
:data:`WINDOW_NS`. A clock that is set shows as sightings that contradict the bounds: :data:`STRAYS` of them in a row,
all of the same sense, and everything before is forgotten.

Since the estimate is never below what any message showed, a latency that is corrected by it is never negative but for
messages faster than every one before, and these raise the bound as they are told.
"""

from collections import deque
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

SECOND_NS: Final = 1_000_000_000
BUCKET_NS: Final = 10 * SECOND_NS
"""Of the sightings of so long the best ones are kept."""
WINDOW_NS: Final = 600 * SECOND_NS
DRIFT: Final = 30e-6
"""Two clocks that are not kept in step drift apart by less than this: 30 microseconds a second."""
SLACK_NS: Final = 20_000_000
"""Bounds that contradict each other by less are no step: machines of one venue differ by so much."""
STRAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of an offset."""

    offset_ns: int
    """Venue's clock minus ours."""
    uncertainty_ns: int | None
    """The offset is at most so far from ``offset_ns``; None: it may be larger by anything."""
    round_trips: int
    """Sightings of both ways in the window."""
    steps: int
    """How often one of the clocks was set."""

    @property
    def certain_ns(self) -> int:
        """How far the venue's clock is ahead at least (negative: behind): 0 where the two may agree.

        What is corrected is corrected by this: clocks that may agree are taken to agree.
        """
        if self.uncertainty_ns is None:
            return max(self.offset_ns, 0)
        if abs(self.offset_ns) <= self.uncertainty_ns:
            return 0
        return self.offset_ns - self.uncertainty_ns if self.offset_ns > 0 else self.offset_ns + self.uncertainty_ns

    @property
    def error_ns(self) -> int | None:
        """How far the truth may be from :attr:`certain_ns`; None: by anything."""
        if self.uncertainty_ns is None:
            return None
        return abs(self.offset_ns - self.certain_ns) + self.uncertainty_ns


def _drifted(age_ns: int) -> int:
    """How much worse a bound is after so long."""
    return round(DRIFT * max(age_ns, 0))


@dataclass(slots=True)
class _Bucket:
    """The best bounds of one stretch of time, and when they were seen."""

    begin_ns: int
    low_ns: int | None = None
    low_at_ns: int = 0
    high_ns: int | None = None
    high_at_ns: int = 0
    round_trips: int = 0

    def take(self, low_ns: int, high_ns: int | None, at_ns: int) -> None:
        if self.low_ns is None or low_ns >= self.low_ns - _drifted(at_ns - self.low_at_ns):
            self.low_ns, self.low_at_ns = low_ns, at_ns
        if high_ns is not None:
            self.round_trips += 1
            if self.high_ns is None or high_ns <= self.high_ns + _drifted(at_ns - self.high_at_ns):
                self.high_ns, self.high_at_ns = high_ns, at_ns


class VenueClock:
    """Of one venue, as seen by one feed; times are ns since 1970, by our wall clock but for ``told_ns``."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque()
        self._strays: list[tuple[int, int | None, int]] = []
        """Sightings in a row that contradict what is known."""
        self._steps = 0

    def one_way(self, told_ns: int, received_ns: int) -> None:
        """Take a message that carries the venue's time."""
        self._take(told_ns - received_ns, None, received_ns)

    def round_trip(self, told_ns: int, *, sent_ns: int, received_ns: int, unit_ns: int = 1) -> None:
        """Take an answer that carries the venue's time, told in units of ``unit_ns``, cut off."""
        if received_ns < sent_ns:
            return  # our own clock was set in between
        self._take(told_ns - received_ns, told_ns + unit_ns - sent_ns, received_ns)

    @property
    def is_contradicted(self) -> bool:
        """Whether the newest sightings contradict what is known: another round trip would tell which is right."""
        return bool(self._strays)

    def _take(self, low_ns: int, high_ns: int | None, at_ns: int) -> None:
        if self._buckets and at_ns < self._buckets[-1].begin_ns - BUCKET_NS:
            self._reset()  # our clock was set back
        if self._contradicts(low_ns, high_ns, at_ns):
            self._strays.append((low_ns, high_ns, at_ns))
            if len(self._strays) >= STRAYS:
                strays = self._strays
                self._reset()
                for stray in strays:
                    self._keep(*stray)
            return
        self._strays.clear()
        self._keep(low_ns, high_ns, at_ns)

    def _contradicts(self, low_ns: int, high_ns: int | None, at_ns: int) -> bool:
        low, high = self._bounds(at_ns)
        above = high is not None and low_ns > high + SLACK_NS
        below = low is not None and high_ns is not None and high_ns < low - SLACK_NS
        return above or below

    def _reset(self) -> None:
        self._buckets.clear()
        self._strays = []
        self._steps += 1

    def _keep(self, low_ns: int, high_ns: int | None, at_ns: int) -> None:
        if not self._buckets or at_ns - self._buckets[-1].begin_ns >= BUCKET_NS:
            self._buckets.append(_Bucket(at_ns))
        self._buckets[-1].take(low_ns, high_ns, at_ns)
        while at_ns - self._buckets[0].begin_ns > WINDOW_NS:
            self._buckets.popleft()

    def _bounds(self, now_ns: int) -> tuple[int | None, int | None]:
        """Highest lower and lowest upper bound, each as much worse as it is old."""
        lows, highs = [], []
        for one in self._buckets:
            if one.low_ns is not None:
                lows.append(one.low_ns - _drifted(now_ns - one.low_at_ns))
            if one.high_ns is not None:
                highs.append(one.high_ns + _drifted(now_ns - one.high_at_ns))
        return max(lows, default=None), min(highs, default=None)

    def estimate(self, now_ns: int) -> Estimate | None:
        """Return what is known now; None: nothing."""
        while self._buckets and now_ns - self._buckets[0].begin_ns > WINDOW_NS:
            self._buckets.popleft()
        low, high = self._bounds(now_ns)
        if low is None:
            return None
        trips = sum(one.round_trips for one in self._buckets)
        if high is None:
            return Estimate(low, None, trips, self._steps)
        if high < low:  # machines of the venue that differ a little: no message may come before it was sent
            return Estimate(low, low - high, trips, self._steps)
        return Estimate((low + high) // 2, (high - low + 1) // 2, trips, self._steps)


def date_ns(text: str) -> int:
    """Read an HTTP date, ns since 1970; 0: it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return 0
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()) * SECOND_NS

"""Which day an ITCH time belongs to.

ITCH counts nanoseconds since midnight in New York and names no date. The core adds the midnight it was given; this
object corrects that for sessions that run over midnight:

- a time that falls back by more than half a day is on the next day;
- where no date is fixed, a first time more than half a day ahead of the receive time is yesterday's: we logged in after
  midnight and are told of the evening before.
"""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

NEW_YORK: Final = ZoneInfo("America/New_York")
HALF_DAY_NS: Final = 43_200_000_000_000
SECOND_NS: Final = 1_000_000_000


def new_york_day(now_ns: int) -> date:
    """Return the date in New York at a time."""
    return datetime.fromtimestamp(now_ns // SECOND_NS, NEW_YORK).date()


def midnight_ns(day: date) -> int:
    """Return the beginning of a day in New York, ns since 1970 UTC."""
    return int(datetime.combine(day, time(), NEW_YORK).timestamp()) * SECOND_NS


class TradingDay:
    """Corrects event times in place; fed in order."""

    def __init__(self, day: date, *, fixed: bool) -> None:
        """``day`` is the date whose midnight the decoder adds; ``fixed`` = a recording, whatever the receive time."""
        self._day = day
        self._fixed = fixed
        self._shift_days = 0
        self._last = 0
        """The last time before correction; 0 = none yet."""

    @property
    def midnight_ns(self) -> int:
        """What the decoder adds."""
        return midnight_ns(self._day)

    def correct(self, times: npt.NDArray[np.int64], ts_recv: int) -> None:
        """Move event times of one block, which the decoder computed with ``midnight_ns``, to their day."""
        if not len(times):
            return
        first = int(times[0])
        if not self._last:
            if not self._fixed and first - ts_recv > HALF_DAY_NS:
                self._shift_days = -1
            self._last = first
        midnights = np.flatnonzero(np.diff(times, prepend=self._last) < -HALF_DAY_NS)
        self._last = int(times[-1])
        start = 0
        for midnight in midnights.tolist():
            self._apply(times[start:midnight])
            self._shift_days += 1
            start = midnight
        self._apply(times[start:])

    def _apply(self, times: npt.NDArray[np.int64]) -> None:
        if self._shift_days:
            times += midnight_ns(self._day + timedelta(days=self._shift_days)) - midnight_ns(self._day)

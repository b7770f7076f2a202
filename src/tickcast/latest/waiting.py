"""Records of unknown instruments: they wait, bounded, for a definition, and are then dead letters."""

from collections import deque
from typing import Final

import numpy as np

from tickcast.model.record import Records, empty_records


class WaitingRoom:
    """Holds records, oldest first, until their instrument is defined or their time is up."""

    def __init__(self, *, records_max: int, wait_ns: int) -> None:
        self._records_max: Final = records_max
        self._wait_ns: Final = wait_ns
        self._held: deque[tuple[int, Records]] = deque()
        self.records = 0
        self.dead = 0
        """Records given up, so far."""

    def hold(self, records: Records, now_ns: int) -> None:
        """Keep records; the oldest are given up when there are too many."""
        if len(records):
            self._held.append((now_ns, records))
            self.records += len(records)
        while self.records > self._records_max:
            self._give_up()

    def release(self, instruments: set[int], now_ns: int) -> Records:
        """Records of instruments that are defined by now, in order of arrival; what waited too long is given up."""
        while self._held and now_ns - self._held[0][0] > self._wait_ns:
            self._give_up()
        if not instruments or not self._held:
            return empty_records()
        wanted = np.array(sorted(instruments), np.uint64)
        released: list[Records] = []
        kept: deque[tuple[int, Records]] = deque()
        for since_ns, records in self._held:
            known = np.isin(records["instrument"], wanted)
            if known.any():
                released.append(records[known])
                self.records -= int(known.sum())
            if not known.all():
                kept.append((since_ns, records[~known]))
        self._held = kept
        return np.concatenate(released) if released else empty_records()

    def _give_up(self) -> None:
        _, records = self._held.popleft()
        self.records -= len(records)
        self.dead += len(records)

"""Paces one venue: whole slices of fixed length, made when their end has come. Synchronous; time is passed in."""

from typing import Final, Generic, TypeVar

from tickcast.sim.dialect import Paced

Kind = TypeVar("Kind", bound=Paced)

BEHIND_MAX_NS: Final = 50_000_000
"""A venue that is later than this gives up the time it cannot make good: on a busy machine it makes fewer events, not
older ones, since an exchange's event times are those of its own clock."""


class VenueEngine(Generic[Kind]):
    """Advances a venue's flow; what is made depends on seed, config and start, never on when it is called."""

    def __init__(self, dialect: Kind, *, rate: float, quantum_ms: float, start_ns: int) -> None:
        self.dialect = dialect
        self.rate = rate
        self.times = 1.0
        """So many times its rate it is busy now."""
        self.paused = False
        self.skipped_ns = 0
        self.events = 0
        self._quantum_ns = round(quantum_ms * 1_000_000)
        self._start_ns = start_ns
        self._made_ns = start_ns
        self._elapsed_ns = 0
        dialect.begin(dialect.flow.begin(start_ns), start_ns)

    @property
    def next_ns(self) -> int:
        """When the next slice is due."""
        return self._made_ns + self._quantum_ns

    def advance(self, now_ns: int, *, slices_max: int = 1_000_000) -> int:
        """Make the slices that are due, at most ``slices_max``; returns how many were made."""
        behind = now_ns - self._made_ns
        if self.paused or behind > BEHIND_MAX_NS:
            lost = (behind if self.paused else behind - BEHIND_MAX_NS) // self._quantum_ns * self._quantum_ns
            self._made_ns += lost
            if not self.paused:
                self.skipped_ns += lost
        made = 0
        while not self.paused and made < slices_max and self.next_ns <= now_ns:
            made += 1
            begin = self._made_ns
            self._made_ns += self._quantum_ns
            self._elapsed_ns += self._quantum_ns
            part = self.dialect.flow.step(
                start_ns=begin,
                end_ns=self._made_ns,
                elapsed_ns=self._elapsed_ns,
                events=self.rate * self.times * self._quantum_ns / 1e9,
            )
            self.events += len(part.events)
            self.dialect.publish(part, self._made_ns)
        return made

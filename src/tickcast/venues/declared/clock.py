"""What a session does about its venue's clock: asks for it now and then, and reads it where a pong tells it."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from tickcast.venues.base import Answer, Sighting, Step, VenueConfig
from tickcast.venues.declared.books import IDLE
from tickcast.venues.declared.links import Wire
from tickcast.venues.declared.pacing import SECOND_NS, Errands
from tickcast.venues.declared.venue import Alive, ClockReading, Venue

PURPOSE: Final = "clock"
UNITS: Final = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
FAILED_MAX: Final = 3
EAGER: Final = 5
"""So many times it is asked soon, since each answer narrows it down."""
EAGER_NS: Final = 2 * SECOND_NS


class ClockWatch:
    """Of one feed."""

    def __init__(self, venue: Venue, config: VenueConfig, *, errands: Errands) -> None:
        self._venue = venue
        self._errands = errands
        self._every_ns = int(config.clock_interval_s * SECOND_NS) if venue.clock is not None else 0
        self._due_ns = 0
        self._asked = 0
        self._failed = 0
        """Answers without a time, in a row."""

    @property
    def is_on(self) -> bool:
        """Whether the venue is asked."""
        return self._every_ns > 0

    def next_ns(self) -> int:
        """When :meth:`look` wants to be called; 0 = not at all."""
        return self._due_ns

    def begin(self, now_ns: int) -> None:
        """There are instruments now."""
        if self.is_on and not self._due_ns:
            self._due_ns = now_ns + EAGER_NS

    def look(self, now_ns: int) -> None:
        """Ask, if it is time."""
        if not self._due_ns or self._due_ns > now_ns:
            return
        self._asked += 1
        self._due_ns = now_ns + (min(EAGER_NS, self._every_ns) if self._asked < EAGER else self._every_ns)
        request = self._venue.clock_request()
        if request is not None:
            self._errands.add(replace(request, purpose=PURPOSE, priority=IDLE))

    @staticmethod
    def owns(purpose: str) -> bool:
        """Whether a request was for the time."""
        return purpose == PURPOSE

    def answered(self, answer: Answer, step: Step) -> None:
        """Read the venue's time; one that does not say it again and again is not asked any more."""
        reading = self._venue.clock
        if reading is None or not answer.sent_ns:
            return
        try:
            if answer.status != 200:
                raise ValueError(f"expected status 200, found {answer.status}")
            told_ns = read(reading, answer.body)
        except ValueError as wrong:
            step.bury(f"{PURPOSE}: {wrong}", answer.body[:256])
            self._failed += 1
            if self._failed >= FAILED_MAX:
                self._due_ns = self._every_ns = 0
            return
        self._failed = 0
        step.sightings.append(
            Sighting(
                told_ns=told_ns, unit_ns=UNITS[reading.unit], sent_ns=answer.sent_ns, received_ns=answer.received_ns
            )
        )


def sight(pong: Alive, wire: Wire | None, received_ns: int, step: Step) -> None:
    """Take the venue's time out of the answer to a ping, where it says it."""
    if pong.told_ns and wire is not None and wire.ping_sent_ns:
        step.sightings.append(
            Sighting(told_ns=pong.told_ns, unit_ns=pong.unit_ns, sent_ns=wire.ping_sent_ns, received_ns=received_ns)
        )


def read(reading: ClockReading, body: bytes) -> int:
    """Find the time in an answer, ns.

    Raises:
        ValueError: there is none.
    """
    found: Any = msgspec.json.decode(body)
    for step in reading.path.split("."):
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise ValueError(f"expected a time at {reading.path!r}, found nothing")
    text = str(found)
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"expected a time in whole {reading.unit} at {reading.path!r}, found {text[:40]!r}")
    return int(text) * UNITS[reading.unit]

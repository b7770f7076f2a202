"""Links that the venue must admit before they open: each time anew a REST answer says where to, and by what token.

A link is *wanted* until its admission is asked for, *asked* until the answer is there, and *told* to the shell then. An
admission is good for one connection: when that is over, or could not be opened, the link is wanted again. The requests
keep the venue's quota as all others do, and are asked again with backoff while their answers are of no use.
"""

from dataclasses import replace
from typing import Final

from tickcast.venues.base import Answer, Link, Request
from tickcast.venues.declared.links import Wire, Wires
from tickcast.venues.declared.pacing import SECOND_NS, Errands
from tickcast.venues.declared.venue import Venue

ADMISSION: Final = "admission "
URGENT: Final = 1e16
"""Priority: nothing comes without a link."""


class Admissions:
    """The admissions of one feed's links."""

    def __init__(self, venue: Venue, *, wires: Wires, errands: Errands) -> None:
        self._venue = venue
        self._wires = wires
        self._errands = errands

    def owns(self, purpose: str) -> bool:
        """Whether a request was for an admission."""
        return purpose.startswith(ADMISSION)

    def pump(self) -> None:
        """Ask for what links wait for; one that carries nothing (any more) needs none."""
        for wire in self._wires:
            if wire.admission == "wanted" and wire.subscriptions:
                request = self._venue.admission(wire.endpoint)
                if request is not None:
                    wire.admission = "asked"
                    self._errands.add(replace(request, purpose=ADMISSION + wire.name, priority=URGENT))

    def over(self, wire: Wire) -> None:
        """A connection is over, or could not be opened: what admitted it is spent."""
        if wire.admission == "told":
            wire.admission = "wanted"

    def answered(self, request: Request, answer: Answer) -> Link | None:
        """Take an answer: the link may be opened.

        Raises:
            ValueError: it is no admission.
        """
        wire = self._wires.by_name.get(request.purpose.removeprefix(ADMISSION))
        if wire is None or wire.admission != "asked":
            return None
        if answer.status != 200:
            raise ValueError(f"expected status 200, found {answer.status}")
        found = self._venue.admitted(wire.endpoint, answer.body)
        wire.admission = "told"
        if found.ping_interval_s > 0:
            wire.ping_ns = int(found.ping_interval_s * SECOND_NS)
        return self._wires.link(wire, found.target, is_once=True)

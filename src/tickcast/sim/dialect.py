"""What a dialect is: it gets a venue's slices of order flow and serves them in its own protocol.

A new dialect is a folder with a factory, a config struct in ``config.VenueConfig`` and a line in ``_OWN``. That of a
JSON venue is a voice in ``crypto/`` instead: it needs the struct and a line in :mod:`tickcast.sim.crypto.voices`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from tickcast.ports import Clock
from tickcast.sim.config import Config, VenueConfig
from tickcast.sim.crypto.voices import VOICES
from tickcast.sim.faults import FaultGate
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.universe import Universe


class Paced(Protocol):
    """What time passes for: it is given the slices of its flow."""

    flow: OrderFlow

    def begin(self, part: Slice, ts: int) -> None:
        """Take the books of before the opening; called once, first."""

    def publish(self, part: Slice, ts: int) -> None:
        """Take one slice of the flow and send what follows from it; ``ts`` is the end of the slice."""


class Dialect(Paced, Protocol):
    """One venue in its protocol."""

    faults: FaultGate
    """What it sends passes this gate."""

    async def start(self) -> Mapping[str, Any]:
        """Listen; returns the addresses by their config names in a client (``address``, ``url``, ``lines``)."""

    def last_ids(self) -> list[str]:
        """Id of the last trade of each row of the flow, as the venue writes it."""

    def names(self) -> list[str]:
        """The venue's own symbol of each row of the flow."""

    def state(self) -> Mapping[str, Any]:
        """Clients and counters for the control endpoint."""

    async def stop(self) -> None:
        """Close everything."""


Factory = Callable[[str, Any, Config, Universe, int, Clock], Dialect]
"""(venue name, its config, whole config, universe, start in ns, clock) to a dialect."""

_OWN: Final = {
    "soup_itch": "tickcast.sim.soup_itch.dialect:create",
    "mold_itch": "tickcast.sim.mold_itch.dialect:create",
    "fix": "tickcast.sim.fix.dialect:create",
    "pitch": "tickcast.sim.pitch.dialect:create",
    "binance": "tickcast.sim.binance.dialect:create",
    "xsim": "tickcast.sim.xsim.dialect:create",
}
FACTORIES: Final = _OWN | {word: "tickcast.sim.crypto.dialect:create" for word in VOICES if word not in _OWN}
"""Tag of the config struct to factory; imported when used. The simulated BINANCE still has one of its own."""


def create(  # noqa: PLR0917  the same order as Factory
    name: str, venue: VenueConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> Dialect:
    """Make the dialect that a venue's config asks for."""
    module, _, attribute = FACTORIES[str(venue.__struct_config__.tag)].partition(":")
    factory: Factory = getattr(import_module(module), attribute)
    return factory(name, venue, config, universe, start_ns, now_ns)


def base_number(start_ns: int) -> int:
    """Where references, matches and cursors begin: above all of an earlier start, so that no number comes twice."""
    return (start_ns // 1_000_000) << 12

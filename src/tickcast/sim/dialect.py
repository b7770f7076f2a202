"""What a dialect is: it gets a venue's slices of order flow and serves them in its own protocol.

A new dialect is a folder with a factory, a config struct in ``config.VenueConfig`` and a line in ``FACTORIES``.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from tickcast.ports import Clock
from tickcast.sim.config import Config, VenueConfig
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

FACTORIES: Final = {
    "soup_itch": "tickcast.sim.soup_itch.dialect:create",
    "mold_itch": "tickcast.sim.mold_itch.dialect:create",
    "fix": "tickcast.sim.fix.dialect:create",
    "pitch": "tickcast.sim.pitch.dialect:create",
    "binance": "tickcast.sim.binance.dialect:create",
    "xsim": "tickcast.sim.xsim.dialect:create",
    "binance_futures": "tickcast.sim.crypto.dialect:create",
    "okx": "tickcast.sim.crypto.dialect:create",
    "bybit": "tickcast.sim.crypto.dialect:create",
    "coinbase": "tickcast.sim.crypto.dialect:create",
    "kraken": "tickcast.sim.crypto.dialect:create",
    "bitstamp": "tickcast.sim.crypto.dialect:create",
    "kraken_futures": "tickcast.sim.crypto.dialect:create",
    "kucoin": "tickcast.sim.crypto.dialect:create",
    "gateio": "tickcast.sim.crypto.dialect:create",
    "deribit": "tickcast.sim.crypto.dialect:create",
    "bitfinex": "tickcast.sim.crypto.dialect:create",
    "gemini": "tickcast.sim.crypto.dialect:create",
    "bitget": "tickcast.sim.crypto.dialect:create",
    "htx": "tickcast.sim.crypto.dialect:create",
    "bitmex": "tickcast.sim.crypto.dialect:create",
    "crypto_com": "tickcast.sim.crypto.dialect:create",
    "poloniex": "tickcast.sim.crypto.dialect:create",
}
"""Tag of the config struct to factory; imported when used."""


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

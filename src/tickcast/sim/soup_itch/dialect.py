"""XNAS as a dialect: flow to packets to clients, and the roll of the session at midnight."""

from collections.abc import Mapping
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.sim.config import Config, SoupItchConfig, split_address
from tickcast.sim.days import midnight_ns, next_midnight_ns, shifted_midnight_ns
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.itch.venue import ItchVenue, count_packets, session_name
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.soup_itch.server import SoupServer
from tickcast.sim.universe import Universe

PACKET_HEAD: Final = 3
"""Bytes before the message: length and packet type."""
FAULTS: Final[Mapping[Verb, str]] = {
    "drop": "a sequenced packet is missing from one client's stream; numbers are counted, not sent: only a reference"
    " to what was in it tells",
    "duplicate": "a sequenced packet comes twice, and counts twice",
    "reorder": "a packet comes after the next one",
    "delay": "packets come late, in order",
    "corrupt": "type and other bytes of an ITCH message are wrong",
    "truncate": "half a packet, and the stream goes on: the packets' frame is lost until the client connects again",
    "stall": "no packet and no heartbeat; the connection stays open, what was missed follows",
    "disconnect": "connections are cut",
    "restart": "connections are cut, the session is gone, a new one begins at 1 with directory and resting orders",
    "clock": "times since midnight are shifted, as far as the day reaches",
    "refuse_login": "login rejected: A, not authorised",
}


class SoupItchDialect:
    """Lists all stocks."""

    def __init__(
        self, name: str, venue: SoupItchConfig, flow: OrderFlow, *, start_ns: int, now_ns: Clock, seed: int = 0
    ) -> None:
        self.flow = flow
        self.faults = FaultGate(seed=f"{seed}:{name}", now_ns=now_ns, supports=FAULTS, body=PACKET_HEAD)
        self.server = SoupServer(name, venue, self, now_ns=now_ns, faults=self.faults)
        self.faults.on_disconnect = self.server.disconnect
        self.faults.on_restart = self.server.restart
        self.itch = ItchVenue(flow, rare_every_s=venue.rare_every_s)
        self._config = venue
        self._name = name
        self._start_ns = start_ns
        self._now_ns = start_ns
        self._set_day(start_ns)

    def _set_day(self, ts: int) -> None:
        self._midnight_ns = self.itch.midnight_ns = midnight_ns(ts, self._config.timezone)
        self._day_end_ns = next_midnight_ns(ts, self._config.timezone)

    def _set_clock(self, ts: int) -> None:
        self.itch.midnight_ns = shifted_midnight_ns(ts, self._midnight_ns, self.faults.clock_offset_ns)

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        host, port = split_address(self._config.address, source=self._name)
        return {"address": await self.server.start(host, port)}

    def begin(self, part: Slice, ts: int) -> None:
        """Begin the first session: prologue, then the orders of before the opening."""
        head = self.itch.prologue(ts)
        orders = self.itch.encoder.events(part.events, midnight_ns=self.itch.midnight_ns)
        self.server.begin_session(head + orders, count_packets(head) + len(part.events))

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self._now_ns = ts
        self._set_clock(ts)
        block, count = self.itch.slice(part, ts)
        self.server.publish(block, count)
        if ts >= self._day_end_ns:
            # ITCH counts ns since midnight: the next day is a new session
            self.server.end_session()
            self._set_day(ts)
            self.server.begin_session(*self.snapshot())

    def session_name(self, number: int) -> str:
        """Name the n-th session: unique over restarts, ten characters at most."""
        return session_name(self._start_ns, number)

    def snapshot(self) -> tuple[bytes, int]:
        """Prologue and resting orders as of now."""
        block = self.itch.snapshot(self._now_ns)
        return block, count_packets(block)

    def last_ids(self) -> list[str]:
        """Match number of the last trade of each row."""
        return [str(match) for match in self.flow.last_match.tolist()]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return [self.flow.universe.symbols[index] for index in self.flow.indices.tolist()]

    def state(self) -> Mapping[str, Any]:
        """Sessions, clients and counters."""
        return self.server.state()

    async def stop(self) -> None:
        """End the session."""
        await self.server.stop()


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: SoupItchConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> SoupItchDialect:
    """Make the venue."""
    indices = list(range(universe.stock_count))
    flow = OrderFlow(universe, indices, config, venue=name, base=base_number(start_ns), auctions=True)
    return SoupItchDialect(name, venue, flow, start_ns=start_ns, now_ns=now_ns, seed=config.seed)

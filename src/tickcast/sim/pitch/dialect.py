"""BATS as a dialect: flow to units to packets on both lines, with a gap request server and a spin server.

All units begin anew, with sequence number 1 and Unit Clear, at midnight (PITCH times count from there; End of Session
goes before) and when a fault says so, as after a failover.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.runtime.metrics import watch_queue
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import Config, PitchConfig, split_address
from tickcast.sim.days import midnight_ns, next_midnight_ns, shifted_midnight_ns
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.pitch.encode import Block
from tickcast.sim.pitch.gap import GapServer
from tickcast.sim.pitch.packets import HEADER, UnitSequence, idle
from tickcast.sim.pitch.spin import SpinServer
from tickcast.sim.pitch.venue import Image, PitchVenue
from tickcast.sim.udp.lines import Line, Lines
from tickcast.sim.universe import Universe

HEARTBEAT_S: Final = 1.0

SUPPORTS: Final[Mapping[Verb, str]] = {
    "drop": "packets of a line or of a server are not sent",
    "duplicate": "packets are sent twice",
    "reorder": "a packet is sent after the one behind it",
    "delay": "packets are sent delay_ms late",
    "corrupt": "bits behind the unit header are flipped",
    "truncate": "the second half of a packet is missing",
    "stall": "nothing is sent, on the lines and by the servers",
    "disconnect": "connections to the gap and spin servers are cut; with for_s new ones are cut too until then",
    "restart": "every unit begins at sequence number 1 with Unit Clear",
    "clock": "PITCH times are offset_s ahead (behind when negative)",
    "refuse_login": "logins to the gap and spin servers are not authorised",
    "throttle": "gap and spin requests are refused with status S",
}


class PitchDialect:
    """Lists all stocks."""

    def __init__(
        self, name: str, venue: PitchConfig, flow: OrderFlow, *, start_ns: int, now_ns: Clock, seed: int = 0
    ) -> None:
        self.flow = flow
        self.market = PitchVenue(flow, units=venue.units, rare_every_s=venue.rare_every_s)
        units = range(1, venue.units + 1)
        gap_names = [f"gap_{chr(ord('A') + number)}" for number in range(len(venue.gap_lines))]
        self.faults = FaultGate(
            seed=f"{seed}:{name}",
            now_ns=now_ns,
            supports=SUPPORTS,
            lines=(*(f"{line}/{unit}" for line in ("A", "B", *gap_names) for unit in units), "gap", "spin"),
            body=HEADER.size + 1,
            ordered=False,
        )
        self.faults.on_restart = self._restart
        self.faults.on_disconnect = self._disconnect
        self._config = venue
        self._name = name
        self._ts = start_ns
        a, b = self._lines("A", venue.lines_a), self._lines("B", venue.lines_b, lag_s=venue.lag_b_ms / 1000)
        again = [line for key, one in zip(gap_names, venue.gap_lines, strict=True) for line in self._lines(key, [one])]
        self._all_lines = (*a, *b, *again)
        self._unit_lines = {
            unit: Lines([line[(unit - 1) % len(line)] for line in (a, b) if line], self.faults) for unit in units
        }
        self._gap_lines = Lines(again, self.faults)
        share = venue.history_bytes_max // venue.units
        self.units = {
            unit: UnitSequence(unit, packet_bytes_max=venue.packet_bytes_max, history_bytes_max=share)
            for unit in units
        }  # fmt: skip
        self.gap = GapServer(name, venue, self.faults, units=self.units, resend=self._resend, now_ns=now_ns)
        self.spin = SpinServer(name, venue, self.faults, market=self.market, image=self._image, now_ns=now_ns)
        self._told: dict[int, int] = {}
        self._resent: set[int] = set()
        self._tasks = TaskGroupOwner(f"sim.{name}")
        self._set_day(start_ns)
        watch_queue(
            f"sim_{name}_history",
            bound=venue.history_bytes_max,
            depth=lambda: sum(unit.history.bytes for unit in self.units.values()),
            drops=lambda: sum(unit.history.dropped for unit in self.units.values()),
        )

    def _lines(self, key: str, addresses: Sequence[str], *, lag_s: float = 0.0) -> list[Line]:
        interface, ttl = self._config.interface, self._config.ttl
        return [
            Line(self._name, key, address, interface=interface, ttl=ttl, lag_s=lag_s) for address in addresses
        ]  # fmt: skip

    def _set_day(self, ts: int) -> None:
        self._midnight_ns = midnight_ns(ts, self._config.timezone)
        self._day_end_ns = next_midnight_ns(ts, self._config.timezone)
        self._set_clock()

    def _set_clock(self) -> None:
        self.market.midnight_ns = shifted_midnight_ns(self._ts, self._midnight_ns, self.faults.clock_offset_ns)

    async def start(self) -> Mapping[str, Any]:
        """Open the lines and listen."""
        for line in self._all_lines:
            line.start()
        config = self._config
        gap = await self.gap.start(*split_address(config.gap_address, source=self._name))
        spin = await self.spin.start(*split_address(config.spin_address, source=self._name))
        self._tasks.spawn(self._beat(), "heartbeat")
        return {
            "lines": [*config.lines_a, *config.lines_b],
            "gap_address": gap,
            "gap_lines": list(config.gap_lines),
            "spin_address": spin,
        }

    def begin(self, part: Slice, ts: int) -> None:
        """Begin the day: Unit Clear and statuses, then the orders of before the opening."""
        self._send(self.market.prologue(ts))
        self._send(self.market.orders(part.events))

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self._ts = ts
        self._set_clock()
        self._send(self.market.slice(part, ts))
        if self.faults.busy:
            for unit, lines in self._unit_lines.items():
                lines.flush(suffix=f"/{unit}")
                self._gap_lines.flush(suffix=f"/{unit}")
        if ts >= self._day_end_ns:
            self._send(self.market.end(ts))
            self._set_day(ts)
            self._restart()

    def _send(self, blocks: list[Block]) -> None:
        for block in blocks:
            packets = self.units[block.unit].packets(block)
            self._unit_lines[block.unit].send(packets, suffix=f"/{block.unit}")

    def _resend(self, unit: int, packets: list[bytes]) -> None:
        self._resent.add(unit)
        self._gap_lines.send(packets, suffix=f"/{unit}")

    def _restart(self) -> None:
        for unit in self.units.values():
            unit.begin()
        self.spin.images.clear()
        self._send(self.market.snapshot(self._ts))

    def _disconnect(self, line: str) -> None:
        for server in (self.gap, self.spin):
            if line in {"", server.line}:
                server.cut()

    def _image(self) -> Image:
        sequences = (0, *(unit.next - 1 for unit in self.units.values()))
        return self.market.image(self._ts, sequences)

    async def _beat(self) -> None:
        """Let nobody be silent for long, also while the market is paused.

        A quiet unit says its next number; the gap lines, which have no numbers of their own, say none.
        """
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for number, unit in self.units.items():
                quiet = self._told.get(number) == unit.next
                self._told[number] = unit.next
                if quiet:
                    self._unit_lines[number].send([unit.heartbeat()], suffix=f"/{number}")
                if number not in self._resent:
                    self._gap_lines.send([idle(number)], suffix=f"/{number}")
            self._resent.clear()

    # ------------------------------------------------------------------ for tests and the control endpoint

    def last_ids(self) -> list[str]:
        """Execution id of the last trade of each row."""
        return [str(match) for match in self.flow.last_match.tolist()]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return [self.flow.universe.symbols[index] for index in self.flow.indices.tolist()]

    def state(self) -> Mapping[str, Any]:
        """Units, packets by line, gap and spin servers."""
        return {
            "units": {
                number: {"next_sequence": unit.next, "oldest_sequence": unit.history.oldest}
                for number, unit in self.units.items()
            },
            "lines": [{"line": line.name, **line.state()} for line in self._all_lines],
            "gap": self.gap.state(),
            "spin": self.spin.state(),
        }

    async def stop(self) -> None:
        """End the sessions of all units and close."""
        await self._tasks.stop()
        self._send(self.market.end(self._ts))
        for line in self._all_lines:
            line.stop()
        await self.gap.stop()
        await self.spin.stop()


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: PitchConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> PitchDialect:
    """Make the venue."""
    indices = list(range(universe.stock_count))
    base = base_number(start_ns)
    flow = OrderFlow(universe, indices, config, venue=name, base=base, auctions=True, keep_refs=True)
    return PitchDialect(name, venue, flow, start_ns=start_ns, now_ns=now_ns, seed=config.seed)

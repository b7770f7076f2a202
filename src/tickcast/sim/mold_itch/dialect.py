"""XBOS as a dialect: flow to packets to both lines, heartbeats, and sessions that follow each other.

A new session begins at midnight (ITCH times count from there), when a fault says so, and, so that a receiver that joins
late can always ask for the whole of the present one, when the history is full. It begins with the prologue and every
order that rests, at sequence number 1.
"""

import asyncio
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final

import numpy as np

from tickcast.ports import Clock
from tickcast.runtime.metrics import watch_queue
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import Config, MoldItchConfig, split_address
from tickcast.sim.days import midnight_ns, next_midnight_ns, shifted_midnight_ns
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.itch.venue import ItchVenue, session_name
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.mold_itch.packets import HEADER, MoldSession
from tickcast.sim.mold_itch.rerequest import LINE, RerequestServer
from tickcast.sim.udp.lines import Line, Lines
from tickcast.sim.universe import Universe

HEARTBEAT_S: Final = 1.0
ENDS: Final = 3
"""Packets that say a session is over; they may be lost like any other."""

SUPPORTS: Final[Mapping[Verb, str]] = {
    "drop": "packets of a line, or answers of the re-request server, are not sent",
    "duplicate": "packets are sent twice",
    "reorder": "a packet is sent after the one behind it",
    "delay": "packets are sent delay_ms late",
    "corrupt": "bits behind the packet header are flipped",
    "truncate": "the second half of a packet is missing",
    "stall": "nothing is sent on the lines, requests are not read",
    "restart": "a new session begins at sequence number 1; the old one ends without a word and is forgotten",
    "clock": "ITCH times are offset_s ahead (behind when negative)",
    "throttle": "requests get no answer",
}


class MoldItchDialect:
    """Lists all stocks."""

    def __init__(
        self, name: str, venue: MoldItchConfig, flow: OrderFlow, *, start_ns: int, now_ns: Clock, seed: int = 0
    ) -> None:
        self.flow = flow
        self.itch = ItchVenue(flow, rare_every_s=venue.rare_every_s, framing="mold")
        names = [chr(ord("A") + number) for number in range(len(venue.lines))]
        self.faults = FaultGate(
            seed=f"{seed}:{name}",
            now_ns=now_ns,
            supports=SUPPORTS,
            lines=(*names, LINE),
            body=HEADER.size + 2,
            ordered=False,
        )
        self.faults.on_restart = self._restart
        lags = [0.0, *[venue.lag_b_ms / 1000] * (len(names) - 1)]
        self.lines = Lines(
            [
                Line(name, letter, address, interface=venue.interface, ttl=venue.ttl, lag_s=lag)
                for letter, address, lag in zip(names, venue.lines, lags, strict=False)
            ],
            self.faults,
        )
        self.rerequest = RerequestServer(self.find, self.faults)
        self.session: MoldSession
        self._before: MoldSession | None = None
        self._session_count = 0
        self._full_bytes = 0.0
        self._config = venue
        self._name = name
        self._start_ns = start_ns
        self._ts = start_ns
        self._tasks = TaskGroupOwner(f"sim.{name}")
        self._set_day(start_ns)
        watch_queue(
            f"sim_{name}_history",
            bound=venue.history_bytes_max,
            depth=lambda: self.session.history.bytes,
            drops=lambda: self.session.history.dropped,
        )

    def _set_day(self, ts: int) -> None:
        self._midnight_ns = midnight_ns(ts, self._config.timezone)
        self._day_end_ns = next_midnight_ns(ts, self._config.timezone)
        self._set_clock()

    def _set_clock(self) -> None:
        self.itch.midnight_ns = shifted_midnight_ns(self._ts, self._midnight_ns, self.faults.clock_offset_ns)

    async def start(self) -> Mapping[str, Any]:
        """Open the lines and listen for requests."""
        self.lines.start()
        host, port = split_address(self._config.rerequest, source=self._name)
        address = await self.rerequest.start(host, port)
        self._tasks.spawn(self._beat(), "heartbeat")
        return {"lines": list(self._config.lines), "rerequest": address}

    def begin(self, part: Slice, ts: int) -> None:
        """Begin the first session: prologue, then the orders of before the opening."""
        head = self.itch.prologue(ts)
        orders = self.itch.encoder.events(part.events, midnight_ns=self.itch.midnight_ns)
        self._begin_session(head + orders)

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self._ts = ts
        self._set_clock()
        head, events, tail = self.itch.parts(part, ts)
        if head or events or tail:
            ends = message_ends(head)
            ends += (len(head) + np.cumsum(self.itch.encoder.lengths(part.events))).tolist()
            ends += [len(head) + len(events) + end for end in message_ends(tail)]
            self.lines.send(self.session.packets(head + events + tail, ends))
        self.lines.flush()
        if ts >= self._day_end_ns:
            self._set_day(ts)
            self._roll()
        elif self._config.roll_when_full and self.session.history.bytes >= self._full_bytes:
            self._roll()

    def find(self, name: str) -> MoldSession | None:
        """Return a session that requests may name."""
        known = (self.session, self._before)
        return next((one for one in known if one is not None and one.name == name), None)

    # ------------------------------------------------------------------ sessions

    def _begin_session(self, block: bytes) -> None:
        self._session_count += 1
        self.session = MoldSession(
            session_name(self._start_ns, self._session_count).rjust(10, "0"),
            packet_bytes_max=self._config.packet_bytes_max,
            history_bytes_max=self._config.history_bytes_max,
        )
        self.lines.send(self.session.packets(block, message_ends(block)))
        # a market whose orders alone fill the history does not begin anew again and again: it forgets
        self._full_bytes = max(self._config.history_bytes_max * 0.9, 2.0 * len(block))

    def _roll(self) -> None:
        """End the session; requests for its end are still answered."""
        self.lines.send([self.session.end()] * ENDS)
        self._before = self.session
        self._begin_session(self.itch.snapshot(self._ts))

    def _restart(self) -> None:
        self._before = None
        self._begin_session(self.itch.snapshot(self._ts))

    async def _beat(self) -> None:
        """Say the next number every second, also while the market is paused."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self.lines.send([self.session.heartbeat()])

    # ------------------------------------------------------------------ for tests and the control endpoint

    def last_ids(self) -> list[str]:
        """Match number of the last trade of each row."""
        return [str(match) for match in self.flow.last_match.tolist()]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return [self.flow.universe.symbols[index] for index in self.flow.indices.tolist()]

    def state(self) -> Mapping[str, Any]:
        """Session, packets by line, requests."""
        return {
            "session": self.session.name,
            "sessions": self._session_count,
            "next_sequence": self.session.next,
            "oldest_sequence": self.session.history.oldest,
            "history_bytes": self.session.history.bytes,
            "lines": self.lines.state(),
            "requests": self.rerequest.state(),
        }

    async def stop(self) -> None:
        """End the session and close."""
        await self._tasks.stop()
        self.lines.send([self.session.end()] * ENDS)
        self.lines.stop()
        self.rerequest.stop()


def message_ends(block: bytes) -> list[int]:
    """Place behind each message of a block of message blocks."""
    lengths = []
    place = 0
    while place < len(block):
        length = 2 + int.from_bytes(block[place : place + 2], "big")
        lengths.append(length)
        place += length
    return list(accumulate(lengths))


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: MoldItchConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> MoldItchDialect:
    """Make the venue."""
    indices = list(range(universe.stock_count))
    flow = OrderFlow(universe, indices, config, venue=name, base=base_number(start_ns), auctions=True)
    return MoldItchDialect(name, venue, flow, start_ns=start_ns, now_ns=now_ns, seed=config.seed)

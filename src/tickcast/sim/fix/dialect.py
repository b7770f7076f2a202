"""XNYS as a dialect: flow to price levels and trades, in FIX 4.4."""

from collections.abc import Mapping
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.sim.config import Config, FixConfig, split_address
from tickcast.sim.dialect import base_number
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.fix.desk import Desk
from tickcast.sim.fix.levels import Market
from tickcast.sim.fix.server import FixGate, FixServer
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.universe import Universe

FAULTS: Final[Mapping[Verb, str]] = {
    "drop": "a message is missing on the wire, but numbered and stored: a resend request brings it",
    "duplicate": "a message comes twice under one number, without PossDupFlag: a client has to log out",
    "reorder": "a message comes after the next one",
    "delay": "messages come late, in order",
    "corrupt": "one bit of a value is wrong, and so the CheckSum",
    "truncate": "half a message, and the next begins in the middle of it",
    "stall": "no message and no heartbeat; the connection stays open, what was missed follows",
    "disconnect": "connections are cut; the numbers go on at the next logon",
    "restart": "connections are cut and every peer's numbers are forgotten: the next logon is answered with number 1",
    "clock": "SendingTime and the times of entries are shifted",
    "refuse_login": "logon answered with Logout and a text",
    "throttle": "requests are answered with 35=j and the seconds to wait in its text",
}


class FixDialect:
    """Lists all stocks."""

    def __init__(self, name: str, venue: FixConfig, flow: OrderFlow, *, seed: int, now_ns: Clock) -> None:
        self.flow = flow
        self.faults: FaultGate = FixGate(seed=f"{seed}:{name}", now_ns=now_ns, supports=FAULTS)
        self.market = Market(flow, time_digits=venue.time_digits, one_time=venue.entry_time == "transact")
        self.server = FixServer(name, venue, now_ns=now_ns, faults=self.faults)
        self.desk = Desk(venue, self.market, venue=name, throttles=self.faults.throttles)
        self.server.desk = self.desk
        self._config = venue
        self._name = name
        self._break_every_ns = int(venue.break_every_s * 1e9)
        self._break_next_ns = 0

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        host, port = split_address(self._config.address, source=self._name)
        return {"address": await self.server.start(host, port)}

    def begin(self, part: Slice, ts: int) -> None:
        """Take the first books."""
        del part
        self.desk.now_ns = ts
        self._break_next_ns = ts + self._break_every_ns

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self.market.offset_ns = self.faults.clock_offset_ns
        if self._break_every_ns and ts >= self._break_next_ns:
            self._break_next_ns += self._break_every_ns
            broken = self.flow.break_trade(ts)
            if broken is not None:
                part = Slice([*part.notices, broken], part.events)
        self.desk.publish(part, ts)
        self.server.flush()

    def last_ids(self) -> list[str]:
        """TradeID (1003) of the last trade of each row."""
        return [str(match) for match in self.flow.last_match.tolist()]

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return self.market.symbols

    def state(self) -> Mapping[str, Any]:
        """Clients, peers and counters."""
        return {**self.server.state(), **self.desk.counters}

    async def stop(self) -> None:
        """Log everybody out."""
        await self.server.stop()


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: FixConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> FixDialect:
    """Make the venue."""
    indices = list(range(universe.stock_count))
    flow = OrderFlow(universe, indices, config, venue=name, base=base_number(start_ns), auctions=True)
    return FixDialect(name, venue, flow, seed=config.seed, now_ns=now_ns)

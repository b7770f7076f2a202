"""A simulated exchange, its feed, and faults by chance: what the test of the same name drives, and what it looks at."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tests.feeds.test_simulated import Running, running
from tests.venues.decoding import rows

from tickcast.model.record import Flag, Kind, State
from tickcast.sim import config as sim
from tickcast.sim.faults import Fault, Verb
from tickcast.sim.server import Simulator
from tickcast.sim.truth import venue_truth

Quote = tuple[Decimal, Decimal] | None
LATE: Final = (State.GAP, State.SYNCING, State.UNVERIFIED)
COUNTED: Final[Mapping[Verb, int]] = {
    "drop": 8, "duplicate": 8, "reorder": 5, "corrupt": 5, "truncate": 2, "refuse_login": 2, "throttle": 2,
}  # fmt: skip
"""Verbs that touch so many units at most."""
SETTINGS: Final[Mapping[str, dict[str, Any]]] = {
    "XSIM": {"interval_ms": 50},
    "XNYS": {"gap_timeout_ms": 300},
    "XBOS": {"gap_timeout_ms": 100},
    "BATS": {"gap_timeout_ms": 100},
}
QUICK: Final = {"refused_retry_s": 0.3, "dead_after_s": 3.0, "stale_after_s": 2.0}
"""The test is not to wait a minute for what the shell does slowly."""


def free_ports(count: int) -> list[str]:
    """UDP addresses that nobody uses now."""
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{sock.getsockname()[1]}" for sock in socks]


def _venue(name: str) -> dict[str, Any]:
    ports = free_ports(4)
    venues: dict[str, dict[str, Any]] = {
        "XNAS": {"dialect": "soup_itch"},
        "XBOS": {"dialect": "mold_itch", "lines": ports[:2]},
        "BATS": {
            "dialect": "pitch", "units": 3, "lines_a": ports[:1], "lines_b": ports[1:2], "gap_lines": ports[2:],
            "spins_per_minute": 100_000,
        },
        "XNYS": {"dialect": "fix"},
        "BINANCE": {"dialect": "binance"},
        "XSIM": {"dialect": "xsim", "requests_per_s": 200.0, "burst": 200, "quantum_ms": 20.0},
    }  # fmt: skip
    return venues[name]


@dataclass(slots=True)
class Shown:
    """What a consumer sees of an instrument now."""

    symbol: str
    native: str
    state: State = State.EMPTY
    bid: Quote = None
    ask: Quote = None


class Screen:
    """What a consumer of the feed sees now, and whether it is true."""

    def __init__(self, feed: Running) -> None:
        self._feed = feed
        self._taken = 0
        self.shown: dict[int, Shown] = {}
        self.trades: dict[tuple[int, int, int], int] = {}
        """How often each trade was told: by feed session, instrument and id."""

    def look(self) -> dict[int, Shown]:
        """Take what was published since the last look."""
        batches = self._feed.publisher.batches
        for batch in batches[self._taken :]:
            for one in batch.definitions:
                self.shown.setdefault(one.instrument, Shown(one.symbol, one.native_symbol or one.symbol))
            for row in rows(batch.records.tobytes()):
                shown = self.shown.get(row.instrument)
                if shown is None:
                    continue
                quote = None if row.price is None or row.size is None else (row.price, row.size)
                if row.kind == Kind.BID:
                    shown.bid = quote
                elif row.kind == Kind.ASK:
                    shown.ask = quote
                elif row.kind == Kind.STATUS:
                    shown.state = State(row.detail)
                elif row.kind == Kind.TRADE and not row.flags & Flag.SNAPSHOT:  # that is the last one, told again
                    key = batch.session, row.instrument, row.ident
                    self.trades[key] = self.trades.get(key, 0) + 1
        self._taken = len(batches)
        return self.shown


class Market:
    """One simulated exchange and the feed that reads it."""

    def __init__(self, name: str, simulator: Simulator, feed: Running) -> None:
        self.name = name
        self.engine = simulator.engines[name]
        self.dialect = self.engine.dialect
        self.faults: Any = getattr(self.dialect, "faults")  # noqa: B009  every dialect has it, the protocol does not say
        self.feed = feed
        self.screen = Screen(feed)

    def wrong(self, *, live_only: bool) -> list[str]:
        """What is shown and not true; with ``live_only`` only where it is said to be live."""
        truth = venue_truth(self.dialect)
        by_name = {name: one for shown in self.screen.look().values() for name, one in _names(shown)}
        found = []
        for name, true in truth.items():
            shown = by_name.get(name) or by_name.get(str(true["symbol"]))
            if shown is None:
                if not live_only:
                    found.append(f"{name} is not known")
                continue
            if live_only and shown.state in LATE:
                continue
            for side, told in (("bid", shown.bid), ("ask", shown.ask)):
                level = None if true[side] is None else (Decimal(true[side]), Decimal(true[f"{side}_size"]))
                if told != level:
                    found.append(f"{name} {side}: {shown.state.name} {told} is not {level}")
        return found

    def late(self) -> list[str]:
        """Symbols that are not as the venue says."""
        return [f"{one.symbol} {one.state.name}" for one in self.screen.look().values() if one.state in LATE]

    def is_right(self) -> bool:
        """Everything is live and true."""
        return self.feed.feed.health.state == "connected" and not self.late() and not self.wrong(live_only=False)

    def choose(self, chance: random.Random) -> Fault:
        """Choose a fault that the venue has."""
        verb: Verb = chance.choice(sorted(self.faults.supports))
        lines = ["", *(line for line in self.faults.lines)]
        given: dict[str, Any] = {"fault": verb}
        if verb == "clock":
            given |= {"offset_s": chance.choice([3600.0, -3600.0]), "for_s": chance.uniform(0.2, 1.0)}
        elif verb == "restart":
            return Fault(fault=verb)
        elif verb in COUNTED:
            given |= {"count": chance.randint(1, COUNTED[verb]), "line": chance.choice(lines)}
            if verb not in {"refuse_login", "throttle"}:
                given["every"] = chance.choice([1, 1, 3, 7])
            if verb == "throttle":
                given["delay_ms"] = 200.0
        else:
            given |= {"for_s": round(chance.uniform(0.1, 1.0), 2), "line": chance.choice(lines)}
            if verb == "delay":
                given["delay_ms"] = chance.choice([5.0, 50.0, 400.0])
        return Fault(**given)


def _names(shown: Shown) -> list[tuple[str, Shown]]:
    return [(shown.native, shown), (shown.symbol, shown), (shown.symbol.replace("-", ""), shown)]


@contextlib.asynccontextmanager
async def market(name: str, *, seed: int) -> AsyncIterator[Market]:
    """Run one exchange with its feed."""
    settings = {
        "seed": seed, "symbols": 24, "market": {"halt_every_s": 0}, "venues": {name: {**_venue(name), "rate": 1200.0}}
    }  # fmt: skip
    simulator = Simulator(sim.from_mapping(settings))
    ready = await simulator.start()
    addresses = {key: tuple(one) if isinstance(one, list) else one for key, one in ready["venues"][name].items()}
    try:
        feed = Running(name, **{**addresses, **SETTINGS.get(name, {}), **QUICK})
        async with running(feed):
            yield Market(name, simulator, feed)
    finally:
        await simulator.stop()


async def within(seconds: float, condition: Any) -> bool:
    """Poll; False when it does not come true in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        if loop.time() > end:
            return False
        await asyncio.sleep(0.02)
    return True

"""Starts what the config names and lets time pass: the one asynchronous loop over all venues."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.runtime import clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim import universe as listing
from tickcast.sim.admin import Admin
from tickcast.sim.config import Config, split_address, venue_rates
from tickcast.sim.dialect import Dialect, create
from tickcast.sim.engine import VenueEngine
from tickcast.sim.recorded.load import load
from tickcast.sim.recorded.play import Player

log = get_logger("sim")


class Simulator:
    """All venues of one config: a market, or recordings."""

    def __init__(self, config: Config, *, now_ns: Clock = clock.now_ns) -> None:
        self.config = config
        self.universe = listing.build(config)
        self.engines: dict[str, VenueEngine[Dialect]] = {}
        self.playbacks: dict[str, Player] = {}
        self._now_ns = now_ns
        self._admin = Admin(self.engines, self.playbacks)
        self._tasks = TaskGroupOwner("sim")

    async def start(self) -> dict[str, Any]:
        """Listen everywhere; returns what the ready line says.

        Raises:
            UsageError: an address that cannot be bound, a path that cannot be read or written.
        """
        if self.config.recorded.path:
            self.playbacks.update(load(self.config, self._now_ns))
        else:
            self._write_previous_close()
            self._make_market()
        venues: dict[str, Mapping[str, Any]] = {}
        starters: dict[str, Any] = {name: engine.dialect.start for name, engine in self.engines.items()}
        starters |= {name: playback.start for name, playback in self.playbacks.items()}
        place = ""
        try:
            for name, starter in starters.items():
                place = f"venues.{name}"
                venues[name] = await starter()
            place = "admin"
            admin = await self._admin.start(*split_address(self.config.admin, source="admin"))
        except OSError as error:
            await self.stop()
            raise UsageError(f"{place}: expected a free address, found {error}; nothing started") from error
        for name, engine in self.engines.items():
            self._tasks.spawn(self._run(engine), name)
        for name, playback in self.playbacks.items():
            self._tasks.spawn(playback.run(), name)
        return {"ready": True, "venues": venues, "admin": admin}

    async def stop(self) -> None:
        """Close everything."""
        await self._tasks.stop()
        stops = [engine.dialect.stop() for engine in self.engines.values()]
        stops += [playback.stop() for playback in self.playbacks.values()]
        await asyncio.gather(*stops, return_exceptions=True)
        await self._admin.stop()

    def _make_market(self) -> None:
        start_ns = self._now_ns()
        rates = venue_rates(self.config)
        for name, venue in self.config.venues.items():
            dialect = create(name, venue, self.config, self.universe, start_ns, self._now_ns)
            self.engines[name] = VenueEngine(dialect, rate=rates[name], quantum_ms=venue.quantum_ms, start_ns=start_ns)

    async def _run(self, engine: VenueEngine[Dialect]) -> None:
        while True:
            # a few slices at a time, so that sockets are served while a venue catches up
            made = engine.advance(self._now_ns(), slices_max=4)
            wait_ns = engine.next_ns - self._now_ns()
            await asyncio.sleep(max(wait_ns, 0) / 1e9 if made < 4 else 0)

    def _write_previous_close(self) -> None:
        if not self.config.previous_close:
            return
        try:
            Path(self.config.previous_close).write_text(listing.previous_close_csv(self.universe), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"previous_close: expected a writable path, found {self.config.previous_close}: {error.strerror};"
                " nothing started"
            ) from error
